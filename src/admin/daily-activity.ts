import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type Json, type JsonObject, text } from '../json/json.ts'
import { seesAll } from '../policy/caller.ts'
import {
  type SumScope,
  type Sums,
  type SumsBy,
  type SumsFilter,
  type SumsRow,
  spendSums,
} from '../store/spend-sums.ts'
import type { Store } from '../store/store.ts'
import { name } from './fields.ts'
import {
  type AdminRoute,
  booksOf,
  dollarsOf,
  forbidden,
  json,
  numberIn,
  readQuery,
} from './route.ts'
import { commaList, dateOf, dates, dayMs, keyIdOf, neededDays, ownKeys } from './spend-sight.ts'
import { administeredBy, standingOf } from './standing.ts'

const query = z.object({
  ...dates,
  /** Minutes that the caller's clock is behind UTC, as JavaScript's getTimezoneOffset() says it. */
  timezone: z.coerce.number().int().min(-1440).max(1440).default(0),
  model: name.optional(),
  api_key: name.optional(),
  user_id: commaList.optional(),
  team_ids: commaList.optional(),
  tags: commaList.optional(),
  organization_ids: commaList.optional(),
  end_user_ids: commaList.optional(),
  exclude_team_ids: commaList.optional(),
  exclude_organization_ids: commaList.optional(),
  exclude_end_user_ids: commaList.optional(),
  page: numberIn(1, 100_000, 1),
  page_size: numberIn(1, 1000, 1000),
  api_key_limit: numberIn(1, 1000, 1000),
})
type Query = z.output<typeof query>
type Whose = Pick<SumsFilter, 'scope' | 'of' | 'except' | 'keys'>

/** Whose sums somebody may see, of what they asked for. Throws 403. */
type Narrow = (visit: Visit, asked: Query) => Promise<Whose> | Whose

const ofUsers: Narrow = ({ caller }, { user_id: asked }) => {
  if (seesAll(caller))
    return asked && asked.length > 0 ? { scope: 'user', of: asked } : { scope: 'all' }
  if (caller.userId === undefined) return { scope: 'all', keys: [caller.keyId] }
  if (asked?.some((one) => one !== caller.userId))
    throw forbidden('You may only see your own spend: leave user_id out, or give your own')
  return { scope: 'user', of: [caller.userId] }
}

/** Administrators of a team see all of it, its members what they spent themselves. */
const ofTeams: Narrow = async (visit, { team_ids: asked, exclude_team_ids: except }) => {
  if (seesAll(visit.caller)) return { scope: 'team', of: asked, except }
  const { teams } = await standingOf(visit)
  const of = asked ?? [...teams.keys()]
  if (of.some((id) => !teams.has(id)))
    throw forbidden('You may only see teams that you are a member of')
  const runsAll = of.every((id) => teams.get(id) === 'admin')
  return { scope: 'team', of, except, ...(!runsAll && { keys: await ownKeys(visit) }) }
}

const ofTags: Narrow = async (visit, { tags: of }) => ({
  scope: 'tag',
  of,
  ...(!seesAll(visit.caller) && { keys: await ownKeys(visit) }),
})

const ofOrganizations: Narrow = async (visit, asked) => {
  const { organization_ids: wanted, exclude_organization_ids: except } = asked
  if (seesAll(visit.caller)) return { scope: 'organization', of: wanted, except }
  const administered = administeredBy(await standingOf(visit))
  const of = wanted ?? administered
  if (of.length === 0 || of.some((id) => !administered.includes(id)))
    throw forbidden('You may only see organisations that you administer')
  return { scope: 'organization', of, except }
}

const ofCustomers: Narrow = (_, { end_user_ids: of, exclude_end_user_ids: except }) => ({
  scope: 'customer',
  of,
  except,
})

/** Agents are not known here, so none has ever spent anything. */
const ofAgents: Narrow = () => ({ scope: 'tag', of: [] })

const activity =
  (narrow: Narrow, paged: boolean) =>
  async (visit: Visit): Promise<Outgoing> => {
    const asked = readQuery(visit, query)
    const days = neededDays(asked, asked.timezone)
    const books = booksOf(visit)
    const whose = await narrow(visit, asked)
    const key = asked.api_key === undefined ? undefined : keyIdOf(visit, asked.api_key)
    const keys =
      key === undefined ? whose.keys : whose.keys ? whose.keys.filter((one) => one === key) : [key]
    await books.flush()
    const filter: SumsFilter = {
      ...whose,
      keys,
      ...days,
      models: asked.model === undefined ? undefined : [asked.model],
    }
    const { page, page_size: size } = paged ? asked : { page: 1, page_size: Infinity }
    return json(
      await activityShown(books.store, filter, {
        offsetMinutes: asked.timezone,
        page,
        size,
        keysMax: asked.api_key_limit,
      }),
    )
  }

type Shape = { offsetMinutes: number; page: number; size: number; keysMax: number }

/**
 * Days, the newest first, and what was spent on each by model, provider, endpoint, key and party. A page is so many days,
 * whole; its totals are of those days. Of keys only those that spent most are told apart.
 */
async function activityShown(
  store: Store,
  filter: SumsFilter,
  { offsetMinutes, page, size, keysMax }: Shape,
): Promise<JsonObject> {
  const db = store.db.query
  const days = (await spendSums(db, filter, ['day'], { offsetMinutes })).sort(
    (a, b) => b.day - a.day,
  )
  const shown = days.slice((page - 1) * size, page * size)
  const pages = Math.ceil(days.length / size)
  const first = shown.at(-1)?.day
  const last = shown[0]?.day
  const within: SumsFilter = {
    ...filter,
    ...(first !== undefined &&
      last !== undefined && {
        from: first * dayMs + offsetMinutes * 60_000,
        until: (last + 1) * dayMs + offsetMinutes * 60_000,
      }),
  }
  const keys = shown.length === 0 ? [] : await spendSums(db, within, ['key'])
  const top = keys
    .sort((a, b) => b.spend - a.spend || b.requests - a.requests)
    .slice(0, keysMax)
    .map(({ key }) => key)
  const dims = filter.scope === 'all' ? dimensions : [...dimensions, 'who' as const]
  const [parts, byKey, known, parties] = await Promise.all([
    shown.length === 0 ? [] : spendSums(db, within, ['day', ...dims], { offsetMinutes }),
    top.length === 0
      ? []
      : spendSums(
          db,
          keys.length > top.length ? { ...within, keys: top } : within,
          ['day', 'key', ...dims],
          { offsetMinutes },
        ),
    keysKnown(store, top),
    partiesKnown(store, filter.scope, shown.length === 0 ? [] : await whoOf(store, within)),
  ])
  const partsOf = Map.groupBy(parts, ({ day }) => day)
  const keysOf = Map.groupBy(byKey, ({ day }) => day)
  const total = sumOf(shown)
  return {
    results: shown.map((sums) => ({
      date: dateOf(sums.day),
      metrics: metricsOf(sums),
      breakdown: breakdownOf(
        partsOf.get(sums.day) ?? [],
        keysOf.get(sums.day) ?? [],
        known,
        parties,
      ),
    })),
    metadata: {
      ...Object.fromEntries(
        Object.entries(metricsOf(total)).map(([metric, value]) => [totals(metric), value]),
      ),
      page,
      total_pages: Math.max(1, pages),
      has_more: page < pages,
      api_key_limit: keysMax,
      total_api_keys: keys.length,
    },
  }
}
const dimensions = ['model', 'group', 'provider', 'operation'] as const satisfies SumsBy[]
/** LiteLLM says `total_spend` and `total_response_time_ms`. */
const totals = (metric: string): string =>
  metric.startsWith('total_') ? metric : `total_${metric}`

function breakdownOf(
  parts: readonly SumsRow[],
  byKey: readonly SumsRow[],
  known: ReadonlyMap<string, JsonObject>,
  parties: ReadonlyMap<string, JsonObject> | undefined,
): JsonObject {
  const keysOf = (rows: readonly SumsRow[]): JsonObject =>
    Object.fromEntries(
      [...Map.groupBy(rows, ({ key }) => key)].map(([key, of]) => [
        key,
        { metrics: metricsOf(sumOf(of)), metadata: known.get(key) ?? unknownKey },
      ]),
    )
  const told = (dimension: SumsBy, nameOf: (row: SumsRow) => string): JsonObject => {
    const keys = Map.groupBy(byKey, nameOf)
    return Object.fromEntries(
      [...Map.groupBy(parts, nameOf)]
        .filter(([named]) => named !== '')
        .map(([named, rows]) => [
          named,
          {
            metrics: metricsOf(sumOf(rows)),
            metadata: (dimension === 'who' ? parties?.get(named) : undefined) ?? {},
            api_key_breakdown: keysOf(keys.get(named) ?? []),
          },
        ]),
    )
  }
  return {
    mcp_servers: {},
    models: told('model', ({ model, group }) => model || group),
    model_groups: told('group', ({ group }) => group),
    providers: told('provider', ({ provider }) => provider),
    endpoints: told('operation', ({ operation }) => endpoints[operation] ?? `/${operation}`),
    api_keys: keysOf(byKey),
    entities: told('who', ({ who }) => who),
  }
}

/** Where clients ask for an operation. */
const endpoints: Readonly<Record<string, string>> = {
  chat: '/chat/completions',
  image: '/images/generations',
  image_edit: '/images/edits',
  image_variation: '/images/variations',
  speech: '/audio/speech',
  transcription: '/audio/transcriptions',
  moderation: '/moderations',
}

function sumOf(rows: readonly Sums[]): Sums {
  const sum = {
    spend: 0,
    input: 0,
    output: 0,
    cacheRead: 0,
    cacheWrite: 0,
    requests: 0,
    failures: 0,
    duration: 0,
  }
  for (const row of rows)
    for (const field of [
      'spend',
      'input',
      'output',
      'cacheRead',
      'cacheWrite',
      'requests',
      'failures',
      'duration',
    ] as const)
      sum[field] += row[field]
  return sum
}

const metricsOf = (sums: Sums): JsonObject => ({
  spend: dollarsOf(sums.spend),
  flat_cost: 0,
  prompt_tokens: sums.input,
  completion_tokens: sums.output,
  cache_read_input_tokens: sums.cacheRead,
  cache_creation_input_tokens: sums.cacheWrite,
  total_tokens: sums.input + sums.output,
  successful_requests: sums.requests - sums.failures,
  failed_requests: sums.failures,
  api_requests: sums.requests,
  // How long a request took that failed says nothing of models.
  total_response_time_ms: sums.duration,
  timed_requests: sums.requests - sums.failures,
})

const unknownKey: JsonObject = {
  key_alias: null,
  team_id: null,
  user_id: null,
  user_email: null,
  key_exists: false,
}

async function keysKnown(
  { docs }: Store,
  ids: readonly string[],
): Promise<ReadonlyMap<string, JsonObject>> {
  const keys = await docs.virtual_key.many(ids)
  const users = await docs.gateway_user.many([
    ...new Set(keys.flatMap(({ columns }) => columns.user_id ?? [])),
  ])
  const email = new Map(users.map(({ id, data }) => [id, text(data['user_email'])]))
  return new Map(
    keys.map(({ id, data, columns }) => [
      id,
      {
        key_alias: (data['key_alias'] ?? null) as Json,
        team_id: columns.team_id ?? null,
        user_id: columns.user_id ?? null,
        user_email: email.get(columns.user_id ?? '') ?? null,
        key_exists: true,
      },
    ]),
  )
}

const whoOf = async ({ db }: Store, filter: SumsFilter): Promise<string[]> =>
  filter.scope === 'team' || filter.scope === 'organization'
    ? (await spendSums(db.query, filter, ['who'])).map(({ who }) => who)
    : []

/** What is told of teams and organisations beside their ids. */
async function partiesKnown(
  { docs }: Store,
  scope: SumScope,
  ids: readonly string[],
): Promise<ReadonlyMap<string, JsonObject> | undefined> {
  if (scope === 'team')
    return new Map(
      (await docs.team.many(ids)).map(({ id, columns }) => [
        id,
        { team_alias: columns.alias ?? null },
      ]),
    )
  if (scope === 'organization')
    return new Map(
      (await docs.organization.many(ids)).map(({ id, columns }) => [
        id,
        { organization_alias: columns.alias ?? null },
      ]),
    )
  return undefined
}

const entities: readonly [path: string, permission: 'self' | 'view', narrow: Narrow][] = [
  ['/user', 'self', ofUsers],
  ['/team', 'self', ofTeams],
  ['/tag', 'self', ofTags],
  ['/organization', 'self', ofOrganizations],
  ['/customer', 'view', ofCustomers],
  ['/end_user', 'view', ofCustomers],
  ['/agent', 'view', ofAgents],
]

export const dailyActivityRoutes: readonly AdminRoute[] = entities.flatMap(
  ([path, permission, narrow]) => {
    const about = path.slice(1).replace('_', ' ')
    return [
      {
        method: 'GET',
        path: `${path}/daily/activity`,
        permission,
        summary: `Spend, tokens and requests by day: ${about}`,
        run: activity(narrow, true),
      },
      {
        method: 'GET',
        path: `${path}/daily/activity/aggregated`,
        permission,
        summary: `Spend, tokens and requests of all days: ${about}`,
        run: activity(narrow, false),
      },
    ]
  },
)
