import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely'
import { type JsonObject, object } from '../json/json.ts'
import type { Reader } from './docs.ts'
import { idParts, type Tables } from './tables.ts'

/** One request as it was written down, its words put back. Money in nano-dollars, times in milliseconds. */
export type SpendRow = {
  seq: number
  /** The answer's id, or the call's where there was none. */
  requestId: string
  callId: string | null
  startedAt: number
  duration: number
  firstByte: number | null
  operation: string
  key: string | null
  user: string | null
  team: string | null
  organization: string | null
  customer: string | null
  group: string | null
  model: string | null
  deployment: string | null
  provider: string | null
  spend: number
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  reasoning: number
  status: number
  /** Kind of error; null for a success. */
  fault: string | null
  flags: number
  more: JsonObject
}

/** Which rows. What is absent does not narrow; an empty list fits nothing. */
export type SpendFilter = {
  /** Whose rows may be seen at all: what one of these names. */
  sight?: Sight | undefined
  /** Milliseconds since the epoch; the end is not part of it. */
  from?: number | undefined
  until?: number | undefined
  /** The answer's id or the call's. */
  requestId?: string | undefined
  keys?: readonly string[] | undefined
  users?: readonly string[] | undefined
  teams?: readonly string[] | undefined
  organizations?: readonly string[] | undefined
  customers?: readonly string[] | undefined
  models?: readonly string[] | undefined
  groups?: readonly string[] | undefined
  deployments?: readonly string[] | undefined
  session?: string | undefined
  /** Nano-dollars, both inclusive. */
  minSpend?: number | undefined
  maxSpend?: number | undefined
  failed?: boolean | undefined
  cached?: boolean | undefined
  /** HTTP status of what failed. */
  status?: number | undefined
  /** Part of what was told of the error. */
  error?: string | undefined
  /** An id of any kind; a request's own is found outside the times too. */
  anyId?: string | undefined
}

export type Sight = {
  keys: readonly string[]
  users: readonly string[]
  teams: readonly string[]
  organizations: readonly string[]
}

export type SpendOrder =
  | 'startTime'
  | 'endTime'
  | 'spend'
  | 'total_tokens'
  | 'request_duration_ms'
  | 'ttft_ms'
  | 'model'

export type SpendPage = {
  order?: SpendOrder
  descending?: boolean
  limit: number
  offset?: number
  /** Rows older than this one; only in the order of time, newest first. */
  after?: { startedAt: number; seq: number }
}

/** Rows in their order, newest first unless said otherwise. */
export async function spendRows(
  db: Reader,
  filter: SpendFilter,
  { order = 'startTime', descending = true, limit, offset = 0, after }: SpendPage,
): Promise<SpendRow[]> {
  const idOf = await wordIds(db, namesIn(filter))
  const keys = await keysOf(db, filter, idOf)
  const way = descending ? 'desc' : 'asc'
  const seqs = (of: Keys, most: number, from: number) => {
    let query = db
      .selectFrom('spend_log')
      .select('seq')
      .where(conditionsOf(filter, idOf, of, after))
      .orderBy(orders[order], way)
      .orderBy('seq', way)
      .limit(most)
    if (from > 0) query = query.offset(from)
    return query
  }
  // A search for each key: each is in the order of time by its index, all at once would have to be sorted as a whole.
  const apart = order === 'startTime' && keys !== undefined && keys.length <= branchesMax
  const branches = apart ? keys.map((key) => [key]) : [keys]
  // Found by index first, read whole then: a page far down reads only its own rows.
  const [first, ...others] = branches.map((of) =>
    db
      .selectFrom(
        (branches.length === 1 ? seqs(of, limit, offset) : seqs(of, limit + offset, 0)).as('one'),
      )
      .select('seq'),
  )
  if (!first) return []
  let query = db
    .selectFrom('spend_log')
    .selectAll()
    .where(
      'seq',
      'in',
      others.reduce((all, one) => all.union(one), first),
    )
    .orderBy(orders[order], way)
    .orderBy('seq', way)
    .limit(limit)
  if (branches.length > 1 && offset > 0) query = query.offset(offset)
  const rows = await query.execute()
  const texts = await wordTexts(db, rows.flatMap(wordsIn))
  const word = (id: number | null): string | null =>
    id === null ? null : (texts.get(Number(id)) ?? null)
  return rows.map((row) => ({
    seq: Number(row.seq),
    requestId: row.request_id,
    callId: row.call_id,
    startedAt: Number(row.started_at),
    duration: Number(row.duration),
    firstByte: row.first_byte === null ? null : Number(row.first_byte),
    operation: word(row.operation) ?? '',
    key: word(row.key_id),
    user: word(row.user_id),
    team: word(row.team_id),
    organization: word(row.organization_id),
    customer: word(row.customer_id),
    group: word(row.model_group),
    model: word(row.model),
    deployment: word(row.deployment_id),
    provider: word(row.provider),
    spend: Number(row.spend),
    input: Number(row.input),
    output: Number(row.output),
    cacheRead: Number(row.cache_read),
    cacheWrite: Number(row.cache_write),
    reasoning: Number(row.reasoning),
    status: Number(row.status),
    fault: word(row.fault),
    flags: Number(row.flags),
    more: row.more === null ? {} : object(JSON.parse(row.more)),
  }))
}

/** How many there are; no further than `most`. */
export async function countSpendRows(
  db: Reader,
  filter: SpendFilter,
  most = Number.MAX_SAFE_INTEGER,
): Promise<number> {
  const idOf = await wordIds(db, namesIn(filter))
  const found = db
    .selectFrom('spend_log')
    .select(sql<number>`1`.as('one'))
    .where(conditionsOf(filter, idOf, await keysOf(db, filter, idOf)))
  const { n } = await db
    .selectFrom((most < Number.MAX_SAFE_INTEGER ? found.limit(most) : found).as('found'))
    .select((a) => a.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  return Number(n)
}

export type RowSums = {
  /** Days since the epoch, UTC. */
  day: number
  key: string
  team: string
  model: string
  deployment: string
  count: number
  spend: number
  input: number
  output: number
}
type RowSumsBy = 'day' | 'key' | 'team' | 'model' | 'deployment'

/** Sums of rows, where the hourly sums do not tell apart what is asked for. What is not in `by` is empty. */
export async function spendRowSums(
  db: Reader,
  filter: SpendFilter,
  by: readonly RowSumsBy[],
): Promise<RowSums[]> {
  const idOf = await wordIds(db, namesIn(filter))
  const rows = (await db
    .selectFrom('spend_log')
    .select((a) => [
      a.fn.countAll<number>().as('count'),
      a.fn.sum<number>('spend').as('sum_spend'),
      a.fn.sum<number>('input').as('sum_input'),
      a.fn.sum<number>('output').as('sum_output'),
      ...by.map((name) => rowGroups[name].as(`by_${name}`)),
    ])
    .where(conditionsOf(filter, idOf, await keysOf(db, filter, idOf)))
    .groupBy(by.map((name) => sql.ref(`by_${name}`)))
    .execute()) as Record<string, unknown>[]
  const words = by.filter((name) => name !== 'day')
  const texts = await wordTexts(
    db,
    rows.flatMap((row) => words.map((name) => Number(row[`by_${name}`]))),
  )
  const word = (row: Record<string, unknown>, name: RowSumsBy): string =>
    texts.get(Number(row[`by_${name}`] ?? 0)) ?? ''
  return rows.map((row) => ({
    day: Number(row['by_day'] ?? 0),
    key: word(row, 'key'),
    team: word(row, 'team'),
    model: word(row, 'model'),
    deployment: word(row, 'deployment'),
    count: Number(row['count']),
    spend: Number(row['sum_spend']),
    input: Number(row['sum_input']),
    output: Number(row['sum_output']),
  }))
}
const rowGroups = {
  day: sql<number>`started_at / 86400000`,
  key: sql<number>`key_id`,
  team: sql<number>`team_id`,
  model: sql<number>`model`,
  deployment: sql<number>`deployment_id`,
} as const satisfies Record<RowSumsBy, unknown>

/** What an operator had kept of a request; undefined: nothing. */
export async function payloadOf(db: Reader, requestId: string): Promise<JsonObject | undefined> {
  const row = await db
    .selectFrom('payload')
    .select('data')
    .where('request_id', '=', requestId)
    .executeTakeFirst()
  return row && object(JSON.parse(row.data))
}

/** Numbers of words. A word nobody has written yet has none. */
export async function wordIds(
  db: Reader,
  texts: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  const wanted = [...new Set(texts)]
  for (let at = 0; at < wanted.length; at += 500)
    for (const { id, text } of await db
      .selectFrom('word')
      .selectAll()
      .where('text', 'in', wanted.slice(at, at + 500))
      .execute())
      found.set(text, Number(id))
  return found
}

export async function wordTexts(
  db: Reader,
  ids: readonly (number | null)[],
): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>()
  const wanted = [...new Set(ids.map(Number))].filter((id) => id > 0)
  for (let at = 0; at < wanted.length; at += 500)
    for (const { id, text } of await db
      .selectFrom('word')
      .selectAll()
      .where('id', 'in', wanted.slice(at, at + 500))
      .execute())
      found.set(Number(id), text)
  return found
}

type Log = ExpressionBuilder<Tables, 'spend_log'>

const orders = {
  startTime: sql`started_at`,
  endTime: sql`started_at + duration`,
  spend: sql`spend`,
  total_tokens: sql`input + output`,
  request_duration_ms: sql`duration`,
  ttft_ms: sql`coalesce(first_byte, duration)`,
  model: sql`(select text from word where word.id = spend_log.model)`,
} as const satisfies Record<SpendOrder, unknown>

/** Filters by a word: the field and its column. */
const wordColumns = {
  keys: 'key_id',
  users: 'user_id',
  teams: 'team_id',
  organizations: 'organization_id',
  customers: 'customer_id',
  models: 'model',
  groups: 'model_group',
  deployments: 'deployment_id',
} as const
type WordField = keyof typeof wordColumns
const wordFields = Object.keys(wordColumns) as WordField[]
const sightFields = ['keys', 'users', 'teams', 'organizations'] as const

const namesIn = (filter: SpendFilter): string[] => [
  ...wordFields.flatMap((field) => filter[field] ?? []),
  ...sightFields.flatMap((field) => filter.sight?.[field] ?? []),
  ...(filter.anyId === undefined ? [] : [filter.anyId]),
]

const blind: Sight = { keys: [], users: [], teams: [], organizations: [] }

/** Numbers of keys the rows can only have; 0: no key. Undefined: any. */
type Keys = readonly number[] | undefined

/**
 * Users, teams and organisations have no index of their own, which would be a fifth of the database: every hour's sums
 * know by which keys their requests came, and a key's rows have one.
 */
async function keysOf(
  db: Reader,
  { sight, ...filter }: SpendFilter,
  idOf: ReadonlyMap<string, number>,
): Promise<Keys> {
  if (filter.requestId !== undefined || filter.anyId !== undefined) return undefined
  const ids = (names: readonly string[]): number[] => names.flatMap((name) => idOf.get(name) ?? [])
  const keysBy = async ({ keys, ...parties }: Sight): Promise<Set<number>> => {
    const found = new Set(ids(keys))
    for (const field of ['users', 'teams', 'organizations'] as const)
      for (const row of parties[field].length === 0
        ? []
        : await db
            .selectFrom('spend_hour')
            .select('key_id')
            .distinct()
            .where('scope', '=', scopes[field])
            .where('scope_id', 'in', [-1, ...ids(parties[field])])
            .execute())
        found.add(Number(row.key_id))
    return found
  }
  const wanted = sightFields.flatMap((field) => {
    const names = filter[field]
    return names ? [{ ...blind, [field]: names }] : []
  })
  if (sight) wanted.push(sight)
  let all: Set<number> | undefined
  for (const one of wanted) {
    const found = await keysBy(one)
    all = all ? new Set([...all].filter((key) => found.has(key))) : found
  }
  // So many keys have most of the rows: going through all of them is no slower.
  return all && all.size > keysMax ? undefined : all && [...all]
}
const scopes = { users: 'user', teams: 'team', organizations: 'organization' } as const
const keysMax = 500
const branchesMax = 50

function conditionsOf(
  filter: SpendFilter,
  idOf: ReadonlyMap<string, number>,
  among: Keys,
  after?: SpendPage['after'],
) {
  return (a: Log): Expression<SqlBool> => {
    const named = (column: (typeof wordColumns)[WordField], names: readonly string[]) => {
      const ids = names.flatMap((name) => idOf.get(name) ?? [])
      const [id] = ids
      if (id === undefined) return sql<SqlBool>`1 = 0`
      return ids.length === 1 ? a(column, '=', id) : a(column, 'in', ids)
    }
    const within = [
      ...(filter.from === undefined ? [] : [a('started_at', '>=', filter.from)]),
      ...(filter.until === undefined ? [] : [a('started_at', '<', filter.until)]),
    ]
    const all: Expression<SqlBool>[] = filter.anyId === undefined ? [...within] : []
    for (const field of wordFields) {
      const names = filter[field]
      if (names) all.push(named(wordColumns[field], names))
    }
    const { sight, requestId, anyId, session, error } = filter
    if (among) {
      const known = among.filter((key) => key > 0)
      const [key] = known
      const by = [
        ...(key === undefined
          ? []
          : [known.length === 1 ? a('key_id', '=', key) : a('key_id', 'in', known)]),
        ...(among.includes(0) ? [a('key_id', 'is', null)] : []),
      ]
      all.push(by.length === 0 ? sql<SqlBool>`1 = 0` : a.or(by))
    }
    if (sight) {
      const rights = sightFields.filter((field) => sight[field].length > 0)
      all.push(
        rights.length === 0
          ? sql<SqlBool>`1 = 0`
          : a.or(rights.map((field) => named(wordColumns[field], sight[field]))),
      )
    }
    if (requestId !== undefined)
      all.push(a.or([isId('request_id', requestId), isId('call_id', requestId)]))
    if (anyId !== undefined)
      all.push(
        a.or([
          isId('request_id', anyId),
          a.and([
            ...within,
            a.or([
              isId('call_id', anyId),
              ...(['key_id', 'user_id', 'team_id', 'customer_id', 'deployment_id'] as const).map(
                (column) => named(column, [anyId]),
              ),
              holds('session_id', anyId),
            ]),
          ]),
        ]),
      )
    if (session !== undefined) all.push(holds('session_id', session))
    if (error !== undefined) all.push(mentions(JSON.stringify(error).slice(1, -1)))
    if (filter.minSpend !== undefined) all.push(a('spend', '>=', filter.minSpend))
    if (filter.maxSpend !== undefined) all.push(a('spend', '<=', filter.maxSpend))
    if (filter.failed !== undefined)
      all.push(filter.failed ? a('fault', 'is not', null) : a('fault', 'is', null))
    // The bit of `flags` that says: answered from the cache.
    if (filter.cached !== undefined)
      all.push(filter.cached ? sql<SqlBool>`(flags & 8) <> 0` : sql<SqlBool>`(flags & 8) = 0`)
    if (filter.status !== undefined)
      all.push(a('fault', 'is not', null), a('status', '=', filter.status))
    if (after)
      all.push(
        a('started_at', '<=', after.startedAt),
        a.or([a('started_at', '<', after.startedAt), a('seq', '<', after.seq)]),
      )
    return a.and(all)
  }
}

/** The index has only a part of the id. */
const isId = (column: keyof typeof idParts, id: string): Expression<SqlBool> =>
  sql<SqlBool>`(${idParts[column]} = ${partOf[column](id)} and ${sql.ref(column)} = ${id})`
const partOf = {
  request_id: (id: string) => [...id].slice(-5).join(''),
  call_id: (id: string) => [...id].slice(0, 5).join(''),
} as const satisfies Record<keyof typeof idParts, unknown>

/** In the JSON of `more`, as JSON.stringify wrote it. */
const holds = (name: string, value: string): Expression<SqlBool> =>
  mentions(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
/** Both databases know `replace`, and it heeds the case; `like` does not in one of them. */
const mentions = (part: string): Expression<SqlBool> =>
  sql<SqlBool>`(more is not null and replace(more, ${part}, '') <> more)`

const wordsIn = (row: {
  operation: number
  key_id: number | null
  user_id: number | null
  team_id: number | null
  organization_id: number | null
  customer_id: number | null
  model_group: number | null
  model: number | null
  deployment_id: number | null
  provider: number | null
  fault: number | null
}): (number | null)[] => [
  row.operation,
  row.key_id,
  row.user_id,
  row.team_id,
  row.organization_id,
  row.customer_id,
  row.model_group,
  row.model,
  row.deployment_id,
  row.provider,
  row.fault,
]
