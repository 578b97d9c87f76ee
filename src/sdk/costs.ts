import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { type JsonObject, list, number, object, text } from '../json/json.ts'
import { type Cost, costOf, priceOf, tierOf, type Units } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import { decodeUsage } from '../wire/openai-chat/response.ts'
import { ModelNotMappedError } from './errors.ts'
import { lookUp } from './models.ts'
import type { EitherCase } from './names.ts'
import { snakeKeys } from './names.ts'
import { jsonOf, wrong } from './options.ts'
import type { Room } from './room.ts'
import type { ChatMessage } from './types.ts'

/** What a call cost, in US dollars; null where nobody has a price. */
export function costOfCall(
  usage: Usage,
  { info, priceOptions }: Pick<Deployment, 'info' | 'priceOptions'>,
  { tier, served, at, units }: CostCircumstances,
): number | null {
  const serviceTier = tierOf(tier, served ?? text(usage.raw?.service_tier))
  const cost = costOf(usage, priceOf(info, { ...priceOptions, serviceTier }), { at, units })
  return cost.priced ? cost.dollars : null
}
type CostCircumstances = {
  /** The service tier that was asked for, and the one that served. */
  tier: string | undefined
  served: string | undefined
  at: number
  units?: Units | undefined
}

type CustomPrices = {
  /** Dollars, instead of the catalogue's. */
  custom_cost_per_token?:
    | { input_cost_per_token: number; output_cost_per_token: number }
    | undefined
  custom_cost_per_second?: number | undefined
  custom_llm_provider?: string | undefined
  region_name?: string | undefined
  service_tier?: string | undefined
}

export type CostPerTokenOptions = EitherCase<
  {
    model: string
    /** All that was read, cached tokens too. */
    prompt_tokens?: number | undefined
    /** All that was written, reasoning too. */
    completion_tokens?: number | undefined
    cache_read_input_tokens?: number | undefined
    cache_creation_input_tokens?: number | undefined
    /** An answer's `usage`, instead of the four numbers. */
    usage_object?: object | undefined
    /** For models billed by time. */
    response_time_ms?: number | undefined
  } & CustomPrices
>

/** `[prompt, completion]` in US dollars, not rounded. */
export function costPerToken(options: CostPerTokenOptions, room: Room): [number, number] {
  const said = read(options)
  const usage = usageOf(said)
  const cost = price(usage, said, number(said.response_time_ms) ?? 0, room)
  return [cost.input + cost.cacheRead + cost.cacheWrite + cost.units, cost.output + cost.reasoning]
}

export type CompletionCostOptions = EitherCase<
  {
    /** What `completion` gave, or anything with `usage` and `model`. */
    completion_response?: object | undefined
    model?: string | undefined
    /** Without a response: what was asked and answered, which is counted. */
    prompt?: string | undefined
    messages?: readonly ChatMessage[] | undefined
    completion?: string | undefined
    /** Milliseconds, for models billed by time. */
    total_time?: number | undefined
  } & CustomPrices
>

/** US dollars, to a billionth. */
export function completionCost(options: CompletionCostOptions, room: Room): number {
  const said = read(options)
  const { completionResponse, completion_response: answer = completionResponse } = options
  const hidden = object(answer && Reflect.get(answer, '_hidden_params'))
  const plain = !['model', ...overrides].some((name) => said[name] !== undefined)
  const known = number(hidden.response_cost)
  // Priced when it came, by the deployment's own prices, which nobody can tell from the answer.
  if (plain && known !== undefined) return known
  const response = object(said.completion_response)
  const model = text(said.model) ?? text(hidden.litellm_model_name) ?? text(response.model)
  if (!model)
    throw wrong('give completion_response, or model with messages and completion', 'model')
  const usage = decodeUsage(response) ?? counted(said, model, room)
  const own = said.model === undefined ? text(hidden.custom_llm_provider) : undefined
  const custom = text(said.custom_llm_provider) ?? own
  const tier = text(said.service_tier) ?? text(response.service_tier)
  const whole = { ...said, model, custom_llm_provider: custom, service_tier: tier }
  return price(usage, whole, number(said.total_time) ?? 0, room).dollars
}

const overrides = [
  'custom_cost_per_token',
  'custom_cost_per_second',
  'custom_llm_provider',
  'region_name',
  'service_tier',
]

const read = (options: object): JsonObject => jsonOf(snakeKeys(options, () => true))

function price(usage: Usage, said: JsonObject, ms: number, room: Room): Cost {
  const model = text(said.model)
  if (!model) throw wrong('model is missing', 'model')
  const perToken = object(said.custom_cost_per_token)
  const perSecond = number(said.custom_cost_per_second)
  const own: JsonObject = {
    ...perToken,
    ...(perSecond !== undefined && { input_cost_per_second: perSecond }),
  }
  const found = lookUp(
    { model, custom_llm_provider: text(said.custom_llm_provider), region: text(said.region_name) },
    own,
    room,
  )
  const list = priceOf(found.info, {
    provider: found.provider,
    serviceTier: tierOf(text(said.service_tier), text(usage.raw?.service_tier)),
    ownPrices: Object.keys(own).length > 0,
  })
  const units: Units | undefined = ms > 0 ? { seconds: ms / 1000 } : undefined
  const cost = costOf(usage, list, { units, at: Date.now() })
  if (!cost.priced)
    throw new ModelNotMappedError(
      `litellm.ModelNotMappedError: no price is known for ${model}: give custom_cost_per_token`,
      { status: 400, model, llm_provider: found.provider },
    )
  return cost
}

/** OpenAI's or Anthropic's usage, or the four numbers. */
function usageOf(said: JsonObject): Usage {
  const usage = object(said.usage_object)
  const cached = number(usage.cache_read_input_tokens) ?? number(said.cache_read_input_tokens)
  const written =
    number(usage.cache_creation_input_tokens) ?? number(said.cache_creation_input_tokens)
  const details = object(usage.prompt_tokens_details)
  const asked = {
    ...usage,
    prompt_tokens: number(usage.prompt_tokens) ?? number(said.prompt_tokens) ?? 0,
    completion_tokens: number(usage.completion_tokens) ?? number(said.completion_tokens) ?? 0,
    prompt_tokens_details: {
      ...details,
      cached_tokens: number(details.cached_tokens) ?? cached,
      cache_creation_tokens: number(details.cache_creation_tokens) ?? written,
    },
  }
  return decodeUsage({ usage: asked }) ?? noUsage
}

function counted(said: JsonObject, model: string, { tokens }: Room): Usage {
  const { prompt, messages, completion } = said
  const input = Array.isArray(messages)
    ? tokens.countMessages(list(messages), undefined, model)
    : tokens.countText(text(prompt) ?? '', model)
  return { ...noUsage, input, output: tokens.countText(text(completion) ?? '', model) }
}

/** The three numbers every answer has. */
export const totals = (usage: Usage) => {
  const read = inputTokens(usage)
  const wrote = outputTokens(usage)
  return { prompt_tokens: read, completion_tokens: wrote, total_tokens: read + wrote }
}
