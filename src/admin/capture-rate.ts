import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, number, object, text } from '../json/json.ts'
import { parseObject } from '../json/parse.ts'
import { spendSums } from '../store/spend-sums.ts'
import { liveOf } from './live-visit.ts'
import { type AdminRoute, badRequest, booksOf, dollarsOf, json, readQuery } from './route.ts'
import { dateOf, dates, dayMs, neededDays, oneOrMore } from './spend-sight.ts'

/** How much of a provider's bill came through this gateway: what it knows of the days against what the provider says. */

const keyName = 'OPENAI_ADMIN_KEY'
/** https://platform.openai.com/docs/api-reference/usage/costs; never another address, since the key opens the whole organisation. */
const costsUrl = 'https://api.openai.com/v1/organization/costs'
/** Days of a page, which is OpenAI's most, and pages: nine years. */
const pageDays = 180
const pagesMax = 20
const answerBytesMax = 8 * 1024 * 1024
/** Providers of ours that are on that bill. */
const billed = new Set(['openai', 'text-completion-openai'])

const rateQuery = z.object({
  ...dates,
  provider: z.literal('openai').default('openai'),
  threshold: z.coerce.number().gt(0).max(1).default(0.9),
  project_ids: oneOrMore.optional(),
})

async function captureRate(visit: Visit): Promise<Outgoing> {
  const { provider, threshold, project_ids: projects = [], ...said } = readQuery(visit, rateQuery)
  const { from, until } = neededDays(said)
  if (until <= from || until - from > pageDays * pagesMax * dayMs)
    throw badRequest(
      `end_date must not be before start_date, nor more than ${pageDays * pagesMax} days after it`,
      'end_date',
    )
  const books = booksOf(visit)
  const key = liveOf(visit).variable(keyName)
  if (!key)
    throw new GatewayError(
      'bad_request',
      `${keyName} is not set, so the bill of ${provider} cannot be read: make an admin key of the organisation and set it`,
      { type: 'bad_request_error', param: 'provider', code: '400' },
    )
  const bill = await openaiBill(visit, key, { from, until, projects })
  await books.flush()
  const captured = new Map<number, number>()
  const filter = { scope: 'all', from, until } as const
  for (const one of await spendSums(books.store.db.query, filter, ['day', 'provider']))
    if (billed.has(one.provider)) captured.set(one.day, (captured.get(one.day) ?? 0) + one.spend)
  const days: JsonObject[] = []
  let ours = 0
  let theirs = 0
  for (let day = from / dayMs; day < until / dayMs; day++) {
    const spent = captured.get(day) ?? 0
    const asked = bill.get(day) ?? 0
    ours += spent
    theirs += asked
    days.push({
      date: dateOf(day),
      captured_spend: dollarsOf(spent),
      provider_spend: asked,
      capture_rate: rateOf(spent, asked),
    })
  }
  const rate = rateOf(ours, theirs)
  return json({
    provider,
    start_date: dateOf(from / dayMs),
    end_date: dateOf(until / dayMs - 1),
    captured_spend: dollarsOf(ours),
    provider_spend: theirs,
    capture_rate: rate,
    threshold,
    below_threshold: rate !== null && rate < threshold,
    days,
  })
}

const rateOf = (nanoDollars: number, dollars: number): number | null =>
  dollars > 0 ? dollarsOf(nanoDollars) / dollars : null

type Asked = { from: number; until: number; projects: readonly string[] }

/** Dollars by day since the epoch, as OpenAI bills them. Throws where it does not say. */
async function openaiBill(
  { rooms, incoming }: Visit,
  key: string,
  { from, until, projects }: Asked,
): Promise<Map<number, number>> {
  const bill = new Map<number, number>()
  const query = new URLSearchParams({
    start_time: String(from / 1000),
    end_time: String(until / 1000),
    bucket_width: '1d',
    limit: String(pageDays),
  })
  for (const project of projects) query.append('project_ids[]', project)
  for (let page = 0; page < pagesMax; page++) {
    const reply = await rooms.calls.transport({
      url: `${costsUrl}?${query}`,
      headers: { authorization: `Bearer ${key}`, accept: 'application/json' },
      signal: incoming.signal,
      limits: { totalMs: 30_000 },
    })
    const bytes = await reply.bytes(answerBytesMax)
    if (reply.status !== 200)
      throw new GatewayError(
        'bad_gateway',
        `the bill of openai could not be read: it answered ${reply.status}${reply.status === 401 || reply.status === 403 ? `. Is ${keyName} an admin key?` : ''}`,
        { cause: new TextDecoder().decode(bytes.subarray(0, 2000)) },
      )
    const said = parsed(bytes)
    for (const bucket of list(said['data']).map(object)) {
      const day = Math.floor((number(bucket['start_time']) ?? Number.NaN) / (dayMs / 1000))
      if (Number.isNaN(day)) continue
      for (const result of list(bucket['results']))
        bill.set(day, (bill.get(day) ?? 0) + amountOf(object(object(result)['amount'])))
    }
    const next = text(said['next_page'])
    if (said['has_more'] !== true || !next) return bill
    query.set('page', next)
  }
  throw new GatewayError(
    'bad_gateway',
    'the bill of openai has more pages than days were asked for',
  )
}

function parsed(bytes: Uint8Array): JsonObject {
  try {
    return parseObject(bytes)
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the bill of openai is not JSON', { cause })
  }
}

/** A number, or text that is one: both have been seen. */
function amountOf({ value, currency }: JsonObject): number {
  const dollars = Number(typeof value === 'string' ? value : (number(value) ?? 0))
  if (!Number.isFinite(dollars)) return 0
  if (currency !== undefined && currency !== 'usd')
    throw new GatewayError(
      'bad_gateway',
      `the bill of openai is in ${String(currency).slice(0, 20)}, and only dollars can be compared`,
    )
  return dollars
}

export const captureRateRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/spend/capture_rate',
    permission: 'view',
    summary: "What was spent here against the provider's own bill",
    run: captureRate,
  },
]
