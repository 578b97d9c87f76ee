import * as z from 'zod'
import { noUsage, type Usage } from '../chat/chat.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type Json, type JsonObject, text } from '../json/json.ts'
import { infoOf } from '../provider/catalogue.ts'
import { type Cost, costOf, type Price, priceOf } from '../provider/cost.ts'
import { decodeUsage } from '../wire/openai-chat/response.ts'
import { limit, name } from './fields.ts'
import { type AdminRoute, badRequest, json, readBody } from './route.ts'

const calculateBody = z
  .looseObject({
    model: name.nullish(),
    messages: z.array(z.looseObject({ role: z.string() })).nullish(),
    completion_response: z.record(z.string(), z.unknown()).nullish(),
  })
  .meta({ id: 'SpendCalculateRequest', description: 'model with messages, or a finished answer' })

const calculated = z
  .object({ cost: z.number().meta({ description: 'US dollars' }) })
  .meta({ id: 'SpendCalculated' })

/** What a request would cost to be read, or what a finished one has cost. */
async function calculate(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, calculateBody)
  if (body.model != null) {
    if (body.messages == null)
      throw badRequest('messages must be given beside model: they are what is priced', 'messages')
    const { price, model } = await pricedModel(visit, body.model)
    await visit.rooms.tokens.ready()
    // Bodies were JSON.
    const input = visit.rooms.tokens.counter.countMessages(
      body.messages as Json[],
      body['tools'] as Json | undefined,
      model,
      undefined,
    )
    return json({ cost: costOf({ ...noUsage, input }, price, { at: visit.rooms.now() }).dollars })
  }
  if (body.completion_response == null)
    throw badRequest("Either 'model' or 'completion_response' must be provided", 'model')
  const answer = body.completion_response as JsonObject // it was JSON
  const model = text(answer['model'])
  const usage = decodeUsage(answer)
  if (model === undefined)
    throw badRequest('completion_response has no model', 'completion_response.model')
  if (!usage) throw badRequest('completion_response has no usage', 'completion_response.usage')
  const { price } = await pricedModel(visit, model)
  return json({ cost: costOf(usage, price, { at: visit.rooms.now() }).dollars })
}

/** The price of a model of this gateway, or of the catalogue where it serves none of this name. Throws 400. */
async function pricedModel(
  { rooms, caller }: Visit,
  asked: string,
): Promise<{ price: Price; model: string; provider: string }> {
  const group = rooms.router.groups.nameOf(rooms.access?.aliasOf(caller, asked) ?? asked)
  const [deployment] = rooms.router.groups.find(group)
  if (deployment) {
    rooms.access?.refuse(caller, group, asked)
    return unlessUnpriced(asked, {
      price: deployment.price,
      model: deployment.target.model,
      provider: deployment.provider,
    })
  }
  const catalogue = await rooms.catalogue()
  const slash = asked.indexOf('/')
  const provider = slash > 0 ? asked.slice(0, slash) : (catalogue.providerOf(asked) ?? 'openai')
  const model = slash > 0 ? asked.slice(slash + 1) : asked
  const price = priceOf(infoOf(catalogue, provider, model, {}), { provider })
  return unlessUnpriced(asked, { price, model, provider })
}

function unlessUnpriced<T extends { price: Price }>(asked: string, found: T): T {
  if (found.price.priced) return found
  throw badRequest(
    `There is no price for model=${asked.slice(0, 200)}: set input_cost_per_token and output_cost_per_token in its model_info`,
    'model',
  )
}

const count = limit.default(0)
const estimateBody = z
  .looseObject({
    model: name,
    input_tokens: limit,
    output_tokens: limit,
    cache_read_input_tokens: count,
    cache_creation_input_tokens: count,
    reasoning_tokens: count,
    num_requests_per_day: limit.nullish(),
    num_requests_per_month: limit.nullish(),
  })
  .refine(
    (asked) =>
      asked.cache_read_input_tokens + asked.cache_creation_input_tokens <= asked.input_tokens,
    {
      path: ['input_tokens'],
      message: 'cache_read_input_tokens and cache_creation_input_tokens are part of input_tokens',
    },
  )
  .refine((asked) => asked.reasoning_tokens <= asked.output_tokens, {
    path: ['output_tokens'],
    message: 'reasoning_tokens are part of output_tokens',
  })
  .meta({ id: 'CostEstimateRequest' })

async function estimate(visit: Visit): Promise<Outgoing> {
  const asked = await readBody(visit, estimateBody)
  const { price, provider } = await pricedModel(visit, asked.model)
  const { cache_read_input_tokens: cacheRead, cache_creation_input_tokens: cacheWrite } = asked
  const usage: Usage = {
    ...noUsage,
    input: asked.input_tokens - cacheRead - cacheWrite,
    cacheRead,
    cacheWrite,
    output: asked.output_tokens - asked.reasoning_tokens,
    reasoning: asked.reasoning_tokens,
  }
  const cost = costOf(usage, price, { at: visit.rooms.now() })
  const { num_requests_per_day: daily = null, num_requests_per_month: monthly = null } = asked
  return json({
    model: asked.model,
    input_tokens: asked.input_tokens,
    output_tokens: asked.output_tokens,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
    reasoning_tokens: asked.reasoning_tokens,
    num_requests_per_day: daily,
    num_requests_per_month: monthly,
    ...Object.fromEntries(
      Object.entries(partsOf(cost)).map(([part, value]) => [perRequest(part), value]),
    ),
    ...timesOf(cost, 'daily', daily),
    ...timesOf(cost, 'monthly', monthly),
    provider,
  })
}

const partsOf = (cost: Cost) => ({
  cost: cost.dollars,
  input_cost: cost.input + cost.cacheRead + cost.cacheWrite,
  output_cost: cost.output + cost.reasoning,
  margin_cost: 0,
  cache_read_cost: cost.cacheRead,
  cache_creation_cost: cost.cacheWrite,
  reasoning_cost: cost.reasoning,
})
const perRequest = (part: string): string => `${part}_per_request`

/** The same for so many requests; null where nobody said how many. */
const timesOf = (cost: Cost, period: string, times: number | null): JsonObject =>
  Object.fromEntries(
    Object.entries(partsOf(cost)).map(([part, value]) => [
      `${period}_${part}`,
      times === null ? null : value * times,
    ]),
  )

export const costRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/spend/calculate',
    permission: 'self',
    summary: 'What a request costs',
    input: calculateBody,
    output: calculated,
    run: calculate,
  },
  {
    method: 'POST',
    path: '/cost/estimate',
    permission: 'self',
    summary: 'What many requests of a size would cost',
    input: estimateBody,
    run: estimate,
  },
]
