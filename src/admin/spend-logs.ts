import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import type { JsonObject } from '../json/json.ts'
import {
  countSpendRows,
  payloadOf,
  type SpendOrder,
  type SpendRow,
  spendRows,
} from '../store/spend.ts'
import type { SpendFilter } from '../store/spend-filter.ts'
import { spendSums } from '../store/spend-sums.ts'
import { dollars, name } from './fields.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  dollarsOf,
  flag,
  forbidden,
  json,
  nanoOf,
  numberIn,
  pageOf,
  pagesOf,
  readQuery,
} from './route.ts'
import { spendRow } from './spend-row.ts'
import { dateOf, dates, keyIdOf, maybeDays, moment, oneOrMore, sightOf } from './spend-sight.ts'

const logsQuery = z.object({
  api_key: oneOrMore.optional(),
  user_id: oneOrMore.optional(),
  request_id: name.optional(),
  ...dates,
  summarize: flag.default(true),
})

/** As many as LiteLLM gives of rows that are not paged. */
const rowsMax = 10_000
const chunk = 500

async function spendLogs(visit: Visit): Promise<Outgoing> {
  const asked = readQuery(visit, logsQuery)
  const { start_date, end_date, request_id: requestId } = asked
  const books = booksOf(visit)
  await books.flush()
  const filter: SpendFilter = {
    sight: await sightOf(visit),
    keys: asked.api_key?.map((key) => keyIdOf(visit, key)),
    users: asked.user_id,
    requestId,
    ...maybeDays(asked),
  }
  if (asked.summarize && start_date !== undefined && end_date !== undefined)
    return json(await summary(visit, filter, end_date / 86_400_000))
  const db = books.store.db.query
  const most = Math.min(await countSpendRows(db, filter, rowsMax + 1), rowsMax + 1)
  // The first rows before the answer begins: what is wrong with the query is then still a status.
  const first = await spendRows(db, filter, { limit: chunk })
  const headers = {
    'content-type': 'application/json',
    ...(most > rowsMax && { 'x-litellm-spend-logs-truncated': 'true' }),
  }
  if (requestId !== undefined) return { ...json(await whole(visit, first)), headers }
  async function* rows(): AsyncGenerator<string> {
    let page = first
    let told = 0
    for (;;) {
      const text = page.map((row) => JSON.stringify(spendRow(row))).join(',')
      yield `${told === 0 ? '[' : page.length > 0 ? ',' : ''}${text}`
      told += page.length
      const after = page.at(-1)
      if (page.length < chunk || told >= rowsMax || !after) break
      page = await spendRows(db, filter, { limit: Math.min(chunk, rowsMax - told), after })
    }
    yield ']'
  }
  if (first.length < chunk) return { ...json(first.map(spendRow)), headers }
  return { status: 200, headers, body: rows() }
}

/** With what was kept of prompts and answers. */
const whole = (visit: Visit, rows: readonly SpendRow[]): Promise<JsonObject[]> =>
  Promise.all(
    rows.map(async (row) => ({
      ...spendRow(row),
      ...(await payloadOf(booksOf(visit).store.db.query, row.callId ?? row.requestId)),
    })),
  )

/** One entry per day: what was spent, and by whom and on what. Days after the last one are there with nothing. */
async function summary(
  visit: Visit,
  { sight, ...filter }: SpendFilter,
  lastDay: number,
): Promise<JsonObject[]> {
  const db = booksOf(visit).store.db.query
  const days = new Map<number, { spend: number; parts: Record<Part, Map<string, number>> }>()
  const add = (day: number, spend: number, of: Partial<Record<Part, string>>, whole: boolean) => {
    let entry = days.get(day)
    if (!entry)
      days.set(
        day,
        (entry = { spend: 0, parts: { key: new Map(), user: new Map(), model: new Map() } }),
      )
    if (whole) entry.spend += spend
    for (const part of parts) {
      const who = of[part]
      if (who !== undefined) entry.parts[part].set(who, (entry.parts[part].get(who) ?? 0) + spend)
    }
  }
  if (filter.requestId !== undefined)
    for (const row of await spendRows(db, { ...filter, sight }, { limit: rowsMax }))
      add(
        Math.floor(row.startedAt / 86_400_000),
        row.spend,
        { key: row.key ?? '', user: row.user ?? '', model: row.model ?? '' },
        true,
      )
  else {
    const { from, until, keys } = filter
    // Sums know one party at a time: who does not see everything sees their own here, LiteLLM's rule too.
    const own = sight && (sight.users.length > 0 ? { users: sight.users } : { keys: sight.keys })
    const users = narrowed(filter.users, own?.users)
    const among = { from, until, keys: narrowed(keys, own?.keys) }
    const rows = await spendSums(
      db,
      { ...among, ...(users ? { scope: 'user', of: users } : { scope: 'all' }) },
      ['day', 'key', 'model'],
    )
    for (const { day, key, model, spend } of rows) add(day, spend, { key, model }, true)
    const named = new Map<number, number>()
    for (const { day, who, spend } of await spendSums(db, { ...among, scope: 'user', of: users }, [
      'day',
      'who',
    ])) {
      add(day, spend, { user: who }, false)
      named.set(day, (named.get(day) ?? 0) + spend)
    }
    for (const [day, { spend, parts: of }] of days) {
      const rest = spend - (named.get(day) ?? 0)
      if (rest > 0) of.user.set('', rest)
    }
  }
  const entries: [number, JsonObject][] = [...days].map(([day, { spend, parts: of }]) => {
    const shown = (part: Part) =>
      Object.fromEntries([...of[part]].map(([who, sum]) => [who, dollarsOf(sum)]))
    return [
      day,
      {
        ...shown('key'),
        startTime: dateOf(day),
        spend: dollarsOf(spend),
        users: shown('user'),
        models: shown('model'),
      },
    ]
  })
  entries.sort(([a], [b]) => a - b)
  const last = entries.at(-1)?.[0]
  if (last !== undefined)
    for (let day = last + 1; day <= Math.min(lastDay, last + 400); day++)
      entries.push([day, { startTime: dateOf(day), spend: 0, users: {}, models: {} }])
  return entries.map(([, entry]) => entry)
}
const parts = ['key', 'user', 'model'] as const
type Part = (typeof parts)[number]

const narrowed = (
  asked: readonly string[] | undefined,
  seen: readonly string[] | undefined,
): readonly string[] | undefined =>
  asked && seen ? asked.filter((one) => seen.includes(one)) : (asked ?? seen)

const orders = [
  'spend',
  'total_tokens',
  'startTime',
  'endTime',
  'request_duration_ms',
  'model',
  'ttft_ms',
] as const satisfies readonly SpendOrder[]

const pageQuery = z.object({
  api_key: oneOrMore.optional(),
  user_id: oneOrMore.optional(),
  team_id: oneOrMore.optional(),
  organization_id: oneOrMore.optional(),
  end_user: oneOrMore.optional(),
  request_id: name.optional(),
  session_id: name.optional(),
  model: oneOrMore.optional(),
  model_id: oneOrMore.optional(),
  model_group: oneOrMore.optional(),
  key_alias: name.optional(),
  min_spend: dollars.optional(),
  max_spend: dollars.optional(),
  start_date: moment.optional(),
  end_date: moment.optional(),
  status_filter: z.enum(['success', 'failure']).optional(),
  cache_hit_filter: z.enum(['hit', 'miss']).optional(),
  span_type: z.enum(['llm', 'agent', 'mcp', 'batch']).optional(),
  error_code: name.optional(),
  error_message: name.optional(),
  search: name.optional(),
  group_by_session: flag.default(false),
  sort_by: z.enum(orders).default('startTime'),
  sort_order: z
    .string()
    .transform((way) => way.toLowerCase())
    .pipe(z.enum(['asc', 'desc']))
    .default('desc'),
  page: numberIn(1, 100_000, 1),
  page_size: numberIn(1, 1000, 50),
})

/** Counting further costs more than anybody reads; where rights have to be looked at row by row, sooner. */
const countMax = 100_000
const countMaxSeen = 10_000

/** `ids`: a request's id is looked for whatever the time. */
const spendPage =
  (ids: boolean) =>
  async (visit: Visit): Promise<Outgoing> => {
    const asked = readQuery(visit, pageQuery)
    const { start_date, end_date, request_id: requestId, page, page_size: size } = asked
    if ((start_date === undefined || end_date === undefined) && !(ids && requestId !== undefined))
      throw badRequest('Start date and end date are required', 'start_date')
    if (asked.group_by_session)
      throw badRequest(
        'group_by_session is not offered: /spend/logs/session/ui has the rows of one session',
        'group_by_session',
      )
    const books = booksOf(visit)
    await books.flush()
    const sight = await sightOf(visit)
    const timed = !(ids && requestId !== undefined)
    const filter: SpendFilter = {
      sight,
      ...(timed && start_date && { from: start_date.begin }),
      ...(timed && end_date && { until: end_date.end }),
      requestId,
      keys: await keysAsked(visit, asked),
      users: asked.user_id,
      teams: asked.team_id,
      organizations: asked.organization_id,
      customers: asked.end_user,
      session: asked.session_id,
      models: asked.model,
      deployments: asked.model_id,
      groups: asked.model_group,
      ...(asked.min_spend !== undefined && { minSpend: nanoOf(asked.min_spend) }),
      ...(asked.max_spend !== undefined && { maxSpend: nanoOf(asked.max_spend) }),
      ...(asked.status_filter && { failed: asked.status_filter === 'failure' }),
      ...(asked.cache_hit_filter && { cached: asked.cache_hit_filter === 'hit' }),
      ...(asked.error_code !== undefined && {
        status: Number.parseInt(asked.error_code, 10) || -1,
      }),
      error: asked.error_message,
      anyId: asked.search,
    }
    // Calls of models are all that is written down.
    const none = asked.span_type !== undefined && asked.span_type !== 'llm'
    return json(
      await pageOfRows(visit, none ? { ...filter, keys: [] } : filter, {
        page,
        size,
        order: asked.sort_by,
        descending: asked.sort_order === 'desc',
      }),
    )
  }

async function pageOfRows(
  visit: Visit,
  filter: SpendFilter,
  {
    page,
    size,
    order = 'startTime',
    descending = true,
  }: { page: number; size: number; order?: SpendOrder; descending?: boolean },
): Promise<JsonObject> {
  const db = booksOf(visit).store.db.query
  const { limit, offset } = pageOf(page, size)
  const rows = await spendRows(db, filter, { limit, offset, order, descending })
  const most = filter.sight ? countMaxSeen : countMax
  const counted = await countSpendRows(db, filter, most + 1)
  const total = Math.min(counted, most)
  return {
    data: rows.map(spendRow),
    total,
    page,
    page_size: size,
    total_pages: pagesOf(total, size),
    total_is_capped: counted > most,
  }
}

/** Keys named by themselves, their hash or a part of their alias. */
async function keysAsked(
  visit: Visit,
  { api_key, key_alias: alias }: Pick<z.output<typeof pageQuery>, 'api_key' | 'key_alias'>,
): Promise<string[] | undefined> {
  const named = api_key?.map((key) => keyIdOf(visit, key))
  if (alias === undefined) return named
  const { docs } = booksOf(visit).store
  const found = await docs.virtual_key.list({ containing: alias, limit: 1000 })
  const aliased = found.filter(({ uniqueName }) => uniqueName?.includes(alias)).map(({ id }) => id)
  return named ? named.filter((id) => aliased.includes(id)) : aliased
}

const sessionQuery = z.object({
  session_id: name,
  page: numberIn(1, 100_000, 1),
  page_size: numberIn(1, 100, 50),
})

async function spendOfSession(visit: Visit): Promise<Outgoing> {
  const { session_id: session, page, page_size: size } = readQuery(visit, sessionQuery)
  await booksOf(visit).flush()
  const filter = { session, sight: await sightOf(visit) }
  return json(await pageOfRows(visit, filter, { page, size }))
}

/** Prompt and answer of one request, where they were kept. */
async function spendPayload(visit: Visit): Promise<Outgoing> {
  const requestId = visit.params['request_id'] ?? ''
  const books = booksOf(visit)
  await books.flush()
  const db = books.store.db.query
  const sight = await sightOf(visit)
  const [row] = await spendRows(db, { requestId, sight }, { limit: 1 })
  if (!row) {
    if (sight) throw forbidden('You may not see this request, or there is none of this id')
    return json(null)
  }
  const kept = await payloadOf(db, row.callId ?? row.requestId)
  return json({ messages: {}, response: {}, proxy_server_request: {}, ...kept })
}

export const spendLogRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/spend/logs',
    permission: 'self',
    summary: 'Requests with their cost, the newest first; with both dates, sums by day',
    run: spendLogs,
  },
  {
    method: 'GET',
    path: '/spend/logs/v2',
    permission: 'self',
    summary: 'A page of requests with their cost',
    run: spendPage(false),
  },
  {
    method: 'GET',
    path: '/spend/logs/ui',
    permission: 'self',
    summary: 'A page of requests with their cost; one by its id at any time',
    run: spendPage(true),
  },
  {
    method: 'GET',
    path: '/spend/logs/session/ui',
    permission: 'self',
    summary: 'Requests of one session',
    run: spendOfSession,
  },
  {
    method: 'GET',
    path: '/spend/logs/ui/{request_id}',
    permission: 'self',
    summary: 'What was kept of a request and its answer',
    run: spendPayload,
  },
]
