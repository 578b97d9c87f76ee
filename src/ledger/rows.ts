import { inputTokens, outputTokens } from '../chat/chat.ts'
import type { Json, JsonObject } from '../json/json.ts'
import type { Statement } from '../store/db.ts'
import { columnsOf, type Packed, Packing } from '../store/packed.ts'
import type { Entry, Payer } from './ledger.ts'
import { cacheWrites, isAlike, span, Tallies, type Tally, whole, wordAt } from './tallies.ts'
import { fitting } from './words.ts'

/** What `spend_log.flags` holds. */
export const flags = { stream: 1, estimated: 2, unpriced: 4, cached: 8 } as const

/** Names that rows of these refer to by number. */
export function wordsOf(entries: readonly Entry[]): Set<string> {
  const words = new Set<string>()
  const add = (word: string | undefined): void => {
    if (word !== undefined && word !== '') words.add(word)
  }
  let last: Entry | undefined
  for (const entry of entries) {
    if (last && isAlike(last, entry)) continue
    last = entry
    const { payer } = entry
    add(entry.operation)
    add(entry.keyId)
    add(payer?.userId)
    add(payer?.teamId)
    add(payer?.organizationId)
    add(payer?.customerId)
    add(entry.group || entry.model)
    add(entry.upstreamModel)
    add(entry.deploymentId)
    add(entry.provider)
    add(entry.fault)
    for (const tag of payer?.tags ?? []) add(tag)
  }
  return words
}

/** As it can be kept, whatever a client called its model, its tags or itself. The same entry where nothing is wrong. */
export function fitted(entry: Entry): Entry {
  const { payer, model } = entry
  if (!unfit(model) && (payer === undefined || isFit(payer))) return entry
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

/** Requests of a key have one payer, which is looked at once. */
function isFit(payer: Payer): boolean {
  if (fit.has(payer)) return true
  if (payer.tags?.some(unfit) || payer.accounts.some(unfit)) return false
  if (isShared(payer)) fit.add(payer)
  return true
}
const fit = new WeakSet<Payer>()
/** What a request brings besides makes it a payer of its own. */
const isShared = ({ tags, metadata }: Payer): boolean =>
  tags === undefined && metadata === undefined

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
  if (entries.length === 0) return []
  const tallies = new Tallies(wordOf)
  const log = new Packing(Object.keys(logColumns).length, rows ? entries.length : 0)
  let before: string | null | undefined
  for (const entry of entries) {
    const tally = tallies.add(entry)
    if (!rows) continue
    putRow(log, entry, tally)
    const more = moreOf(entry)
    if (more === before) log.asBefore()
    else log.text(more)
    before = more
  }
  const statements: Statement[] = []
  if (rows) statements.push(bulk('spend_log', logColumns, log.packed, '', dialect))
  const payloads = payloadRows(entries)
  if (payloads)
    statements.push(
      bulk(
        'payload',
        { request_id: 'text', at: 'bigint', bytes: 'bigint', data: 'text' },
        payloads,
        ' on conflict (request_id) do update set at = excluded.at, bytes = excluded.bytes, data = excluded.data',
        dialect,
      ),
    )
  statements.push(bulk('spend_hour', hourColumns, tallies.hourRows(), addHour, dialect))
  return statements
}

const addHour = ` on conflict (scope, scope_id, hour, key_id, model_group, model, provider, operation) do update set ${hourSums
  .map((name) => `${name} = spend_hour.${name} + excluded.${name}`)
  .join(', ')}`

/** By the call's id, which is its own, unlike answers of providers that repeat themselves. */
function payloadRows(entries: readonly Entry[]): Packed | undefined {
  const kept = new Map<string, { payload: string; endedAt: number }>()
  for (const { payload, requestId, endedAt } of entries)
    if (payload !== undefined) kept.set(fitting(requestId), { payload, endedAt })
  if (kept.size === 0) return undefined
  const packing = new Packing(4, kept.size)
  for (const [requestId, { payload, endedAt }] of kept) {
    packing.text(requestId)
    packing.number(whole(endedAt))
    packing.number(payload.length)
    packing.text(payload)
  }
  return packing.packed
}

/**
 * Many rows at once, the way each database takes them fastest: SQLite one prepared insert a row, PostgreSQL one array a
 * column.
 */
function bulk(
  table: string,
  columns: Readonly<Record<string, string>>,
  rows: Packed,
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
      packed: rows,
    }
  const types = Object.values(columns)
  return {
    query: {
      sql: `${into} select * from unnest(${types.map((type, at) => `$${at + 1}::${type}[]`).join(', ')})${conflict}`,
      parameters: columnsOf(rows),
    },
  }
}

/** All of a row but `more`, which is its last column. */
function putRow(to: Packing, entry: Entry, { words }: Tally): void {
  const { answerId, requestId, startedAt, endedAt, firstByteAt, usage } = entry
  to.text(fitting(answerId ?? requestId))
  to.text(answerId === undefined ? null : fitting(requestId))
  to.number(whole(startedAt))
  to.number(span(startedAt, endedAt))
  if (firstByteAt === undefined) to.nothing()
  else to.number(span(startedAt, firstByteAt))
  to.number(words[wordAt.operation] ?? 0)
  for (let at = wordAt.operation + 1; at < wordAt.fault; at++) putWord(to, words[at])
  to.number(whole(entry.nanoDollars))
  to.number(whole(inputTokens(usage)))
  to.number(whole(outputTokens(usage)))
  to.number(whole(usage.cacheRead))
  to.number(cacheWrites(entry))
  to.number(whole(usage.reasoning))
  to.number(whole(entry.status))
  putWord(to, words[wordAt.fault])
  to.number(
    (entry.stream ? flags.stream : 0) |
      (usage.estimated ? flags.estimated : 0) |
      (entry.priced ? 0 : flags.unpriced) |
      (entry.payer?.cached ? flags.cached : 0),
  )
}

function putWord(to: Packing, word: number | undefined): void {
  if (word) to.number(word)
  else to.nothing()
}

/** What most requests do not have; of most requests only their payer has any of it. */
function moreOf(entry: Entry): string | null {
  const { payer, group } = entry
  if (
    payer === undefined ||
    !isShared(payer) ||
    entry.retries !== 0 ||
    entry.fallbacks !== 0 ||
    entry.units !== undefined ||
    entry.error !== undefined ||
    (group !== '' && group !== entry.model)
  )
    return moreText(entry)
  let more = mores.get(payer)
  if (more === undefined) mores.set(payer, (more = moreText(entry)))
  return more
}
const mores = new WeakMap<Payer, string | null>()

function moreText(entry: Entry): string | null {
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
