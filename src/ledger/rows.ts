import { inputTokens, outputTokens } from '../chat/chat.ts'
import type { Json, JsonObject } from '../json/json.ts'
import type { Statement } from '../store/db.ts'
import type { Entry } from './ledger.ts'
import { fitting } from './words.ts'

/** What `spend_log.flags` holds. */
export const flags = { stream: 1, estimated: 2, unpriced: 4, cached: 8 } as const

/** Names of an entry that rows refer to by number. */
export function wordsOf(entry: Entry): string[] {
  const { payer } = entry
  return [
    entry.operation,
    entry.keyId,
    payer?.userId,
    payer?.teamId,
    payer?.organizationId,
    payer?.customerId,
    entry.group || entry.model,
    entry.upstreamModel,
    entry.deploymentId,
    entry.provider,
    entry.fault,
    ...(payer?.tags ?? []),
  ].filter((word): word is string => word !== undefined && word !== '')
}

/** As it can be kept, whatever a client called its model, its tags or itself. The same entry where nothing is wrong. */
export function fitted(entry: Entry): Entry {
  const { payer, model } = entry
  const tags = payer?.tags?.some(unfit) === true
  const accounts = payer?.accounts.some(unfit) === true
  if (!tags && !accounts && !unfit(model)) return entry
  return {
    ...entry,
    model: fitting(model),
    ...(payer && {
      payer: {
        ...payer,
        accounts: payer.accounts.map(fitting),
        ...(payer.tags && { tags: payer.tags.map(fitting) }),
      },
    }),
  }
}
const unfit = (text: string): boolean => text.length > 512 || fitting(text) !== text

type Lookup = (text: string) => number

/** What a batch adds to each account. */
export function spentBy(entries: readonly Entry[]): Map<string, number> {
  const spent = new Map<string, number>()
  for (const { payer, nanoDollars } of entries)
    for (const account of payer?.accounts ?? [])
      spent.set(account, (spent.get(account) ?? 0) + whole(nanoDollars))
  return spent
}

/** The columns of `spend_log` a row is written with, and what PostgreSQL calls their types. */
const logColumns = {
  request_id: 'text',
  call_id: 'text',
  started_at: 'bigint',
  duration: 'integer',
  first_byte: 'integer',
  operation: 'bigint',
  key_id: 'bigint',
  user_id: 'bigint',
  team_id: 'bigint',
  organization_id: 'bigint',
  customer_id: 'bigint',
  model_group: 'bigint',
  model: 'bigint',
  deployment_id: 'bigint',
  provider: 'bigint',
  spend: 'bigint',
  input: 'bigint',
  output: 'bigint',
  cache_read: 'bigint',
  cache_write: 'bigint',
  reasoning: 'bigint',
  status: 'bigint',
  fault: 'bigint',
  flags: 'integer',
  more: 'text',
} as const

const hourKeys = {
  hour: 'bigint',
  scope: 'text',
  scope_id: 'bigint',
  key_id: 'bigint',
  model_group: 'bigint',
  model: 'bigint',
  provider: 'bigint',
  operation: 'bigint',
} as const
const hourSums = [
  'spend',
  'input',
  'output',
  'cache_read',
  'cache_write',
  'requests',
  'failures',
  'duration',
] as const
const hourColumns = {
  ...hourKeys,
  ...(Object.fromEntries(hourSums.map((name) => [name, 'bigint'])) as Record<
    (typeof hourSums)[number],
    'bigint'
  >),
}

/** Rows and hourly sums of a batch of entries. `rows: false` keeps only the sums (`disable_spend_logs`). */
export function statementsOf(
  entries: readonly Entry[],
  wordOf: Lookup,
  dialect: 'sqlite' | 'postgres',
  rows: boolean,
): Statement[] {
  const statements: Statement[] = []
  if (rows && entries.length > 0)
    statements.push(
      bulk(
        'spend_log',
        logColumns,
        entries.map((entry) => logRow(entry, wordOf)),
        '',
        dialect,
      ),
    )
  // By the call's id, which is its own, unlike answers of providers that repeat themselves.
  const payloads = new Map(
    entries.flatMap(({ payload, requestId, endedAt }) =>
      payload === undefined
        ? []
        : [[fitting(requestId), [fitting(requestId), whole(endedAt), payload.length, payload]]],
    ),
  )
  if (payloads.size > 0)
    statements.push(
      bulk(
        'payload',
        { request_id: 'text', at: 'bigint', bytes: 'bigint', data: 'text' },
        [...payloads.values()],
        ' on conflict (request_id) do update set at = excluded.at, bytes = excluded.bytes, data = excluded.data',
        dialect,
      ),
    )
  const hours = hourRows(entries, wordOf)
  if (hours.length > 0) {
    const sums = hourSums.map((name) => `${name} = spend_hour.${name} + excluded.${name}`)
    statements.push(
      bulk(
        'spend_hour',
        hourColumns,
        hours,
        ` on conflict (scope, scope_id, hour, key_id, model_group, model, provider, operation) do update set ${sums.join(', ')}`,
        dialect,
      ),
    )
  }
  return statements
}

/**
 * Many rows at once, the way each database takes them fastest: SQLite one prepared insert a row, PostgreSQL one array a
 * column.
 */
export function bulk(
  table: string,
  columns: Readonly<Record<string, string>>,
  rows: readonly (readonly unknown[])[],
  conflict: string,
  dialect: 'sqlite' | 'postgres',
): Statement {
  const names = Object.keys(columns)
  const into = `insert into ${table} (${names.join(', ')})`
  if (dialect === 'sqlite')
    return {
      query: {
        sql: `${into} values (${names.map(() => '?').join(', ')})${conflict}`,
        parameters: [],
      },
      many: rows,
    }
  const types = Object.values(columns)
  return {
    query: {
      sql: `${into} select * from unnest(${types.map((type, at) => `$${at + 1}::${type}[]`).join(', ')})${conflict}`,
      parameters: names.map((_, at) => rows.map((row) => row[at] ?? null)),
    },
  }
}

function logRow(entry: Entry, wordOf: Lookup): unknown[] {
  const { payer, usage } = entry
  const word = (text: string | undefined): number | null =>
    text === undefined || text === '' ? null : wordOf(text)
  return [
    fitting(entry.answerId ?? entry.requestId),
    entry.answerId === undefined ? null : fitting(entry.requestId),
    whole(entry.startedAt),
    span(entry.startedAt, entry.endedAt),
    entry.firstByteAt === undefined ? null : span(entry.startedAt, entry.firstByteAt),
    wordOf(entry.operation),
    word(entry.keyId),
    word(payer?.userId),
    word(payer?.teamId),
    word(payer?.organizationId),
    word(payer?.customerId),
    word(entry.group || entry.model),
    word(entry.upstreamModel),
    word(entry.deploymentId),
    word(entry.provider),
    whole(entry.nanoDollars),
    whole(inputTokens(usage)),
    whole(outputTokens(usage)),
    whole(usage.cacheRead),
    cacheWrites(entry),
    whole(usage.reasoning),
    whole(entry.status),
    word(entry.fault),
    (entry.stream ? flags.stream : 0) |
      (usage.estimated ? flags.estimated : 0) |
      (entry.priced ? 0 : flags.unpriced) |
      (payer?.cached ? flags.cached : 0),
    moreOf(entry),
  ]
}

const cacheWrites = ({ usage }: Entry): number => whole(usage.cacheWrite + usage.cacheWrite1h)

/** Whatever a provider counted: no column takes a fraction, and one bad number must not hold up all the others. */
const whole = (count: number): number =>
  count > 0 ? Math.min(Math.round(count), Number.MAX_SAFE_INTEGER) : 0
/** Milliseconds between two instants, though the clock may have been set meanwhile. */
const span = (from: number, to: number): number =>
  Math.max(0, Math.min(Math.round(to - from) || 0, 2_000_000_000))

/** What most requests do not have. */
function moreOf(entry: Entry): string | null {
  const { payer } = entry
  const more: JsonObject = {}
  const put = (name: string, value: Json | undefined): void => {
    if (value !== undefined && value !== '' && value !== 0) more[name] = value
  }
  put('tags', payer?.tags?.length ? [...payer.tags] : undefined)
  put('metadata', payer?.metadata)
  put('session_id', payer?.sessionId)
  put('ip', payer?.ip)
  put('user_agent', payer?.userAgent)
  put('key_alias', payer?.keyAlias)
  put('team_alias', payer?.teamAlias)
  put('project_id', payer?.projectId)
  put('retries', entry.retries)
  put('fallbacks', entry.fallbacks)
  put('units', unitsOf(entry))
  if (entry.group !== '' && entry.group !== entry.model) put('asked', entry.model)
  if (entry.error !== undefined)
    put('error', { message: entry.error.slice(0, 2000), code: String(entry.status) })
  for (const _ in more) return JSON.stringify(more)
  return null
}

/** Those that are something. Fractions stay: half a second of sound is half a second. */
function unitsOf({ units = {} }: Entry): JsonObject | undefined {
  const out: JsonObject = {}
  for (const [name, value] of Object.entries(units))
    if (typeof value === 'number' ? value > 0 && value < 1e15 : value !== undefined)
      out[name] = typeof value === 'string' ? fitting(value) : value
  for (const _ in out) return out
  return undefined
}

/** Sums per hour, once for everybody and once for each party. */
function hourRows(entries: readonly Entry[], wordOf: Lookup): (string | number)[][] {
  const rows = new Map<string, (string | number)[]>()
  for (const entry of entries) {
    const { payer } = entry
    const word = (text: string | undefined): number =>
      text === undefined || text === '' ? 0 : wordOf(text)
    const parties: [scope: string, id: number][] = [['all', 0]]
    if (payer?.userId) parties.push(['user', word(payer.userId)])
    if (payer?.teamId) parties.push(['team', word(payer.teamId)])
    if (payer?.organizationId) parties.push(['organization', word(payer.organizationId)])
    if (payer?.customerId) parties.push(['customer', word(payer.customerId)])
    for (const tag of new Set(payer?.tags?.map(word))) parties.push(['tag', tag])
    const hour = Math.floor(whole(entry.startedAt) / 3_600_000) * 3_600_000
    const sums = [
      whole(entry.nanoDollars),
      whole(inputTokens(entry.usage)),
      whole(outputTokens(entry.usage)),
      whole(entry.usage.cacheRead),
      cacheWrites(entry),
      1,
      entry.fault === undefined ? 0 : 1,
      entry.fault === undefined ? span(entry.startedAt, entry.endedAt) : 0,
    ]
    const what = [
      word(entry.keyId),
      word(entry.group || entry.model),
      // Who was refused asked for a model all the same.
      word(entry.upstreamModel || entry.group || entry.model),
      word(entry.provider),
      word(entry.operation),
    ]
    for (const [scope, id] of parties) {
      const keys = [hour, scope, id, ...what]
      const name = keys.join(' ')
      const row = rows.get(name)
      if (row)
        for (const [at, sum] of sums.entries())
          row[keys.length + at] = Number(row[keys.length + at]) + sum
      else rows.set(name, [...keys, ...sums])
    }
  }
  // In one order, so that two processes that write the same rows do not wait for each other crosswise.
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}
