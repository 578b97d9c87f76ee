import { type Expression, type ExpressionBuilder, PostgresAdapter, type SqlBool, sql } from 'kysely'
import type { Reader } from './docs.ts'
import { blockBits, idBlock, idLength, idParts, type Tables } from './tables.ts'

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

type Log = ExpressionBuilder<Tables, 'spend_log'>

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

/** Every name in it that rows have as a word. */
export const namesIn = (filter: SpendFilter): string[] => [
  ...wordFields.flatMap((field) => filter[field] ?? []),
  ...sightFields.flatMap((field) => filter.sight?.[field] ?? []),
  ...(filter.anyId === undefined ? [] : [filter.anyId]),
]

const blind: Sight = { keys: [], users: [], teams: [], organizations: [] }

/** Numbers of keys the rows can only have; 0: no key. Undefined: any. */
export type Keys = readonly number[] | undefined

/**
 * Users, teams and organisations have no index of their own, which would be a fifth of the database: every hour's sums
 * know by which keys their requests came, and a key's rows have one.
 */
export async function keysOf(
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

export function conditionsOf(
  filter: SpendFilter,
  idOf: ReadonlyMap<string, number>,
  among: Keys,
  db: Reader,
  after?: { startedAt: number; seq: number },
) {
  const isId = isPostgres(db) ? isIdByPart : isIdByBlock
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

type Id = 'request_id' | 'call_id'
/** The index has only a part of the id. */
const isIdByPart = (column: Id, id: string): Expression<SqlBool> =>
  hasId(column, id, idLength.postgres)
/** And SQLite's has it within its block of rows, each of which is looked into: a million rows have 122. */
const isIdByBlock = (column: Id, id: string): Expression<SqlBool> =>
  sql<SqlBool>`(${idBlock} in (
      with recursive block (n) as (
        select (select min(seq) from spend_log) >> ${sql.lit(blockBits)}
        union all select n + 1 from block where n < (select max(seq) from spend_log) >> ${sql.lit(blockBits)}
      ) select n from block)
    and ${hasId(column, id, idLength.sqlite)})`
const hasId = (column: Id, id: string, length: number): Expression<SqlBool> =>
  sql<SqlBool>`(${idParts(length)[column]} = ${partOf[column](id, length)} and ${sql.ref(column)} = ${id})`
const isPostgres = (db: Reader): boolean => db.getExecutor().adapter instanceof PostgresAdapter
const partOf = {
  request_id: (id: string, length: number) => [...id].slice(-length).join(''),
  call_id: (id: string, length: number) => [...id].slice(0, length).join(''),
}

/** In the JSON of `more`, as JSON.stringify wrote it. */
const holds = (name: string, value: string): Expression<SqlBool> =>
  mentions(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
/** Both databases know `replace`, and it heeds the case; `like` does not in one of them. */
const mentions = (part: string): Expression<SqlBool> =>
  sql<SqlBool>`(more is not null and replace(more, ${part}, '') <> more)`
