import { type RawBuilder, sql } from 'kysely'
import type { Db } from './db.ts'
import { isTrue, jsonField, lists } from './json-field.ts'

/** One set of keys; all that is said of it holds. Null: keys that have none. */
export type KeyScope = {
  id?: string
  userId?: string | null | { containing: string }
  teamIds?: readonly string[] | null
  organizationIds?: readonly string[]
  createdBy?: string
}

export type KeyFilter = {
  /** Keys of any of these; absent: all. */
  scopes?: readonly KeyScope[] | undefined
  teamId?: string | undefined
  projectId?: string | undefined
  organizationId?: string | undefined
  alias?: string | { containing: string } | undefined
  id?: string | undefined
  /** The id, or a part of the alias. */
  search?: { id: string; containing: string } | undefined
  accessGroupId?: string | undefined
  agentId?: string | undefined
  status?: 'active' | 'expired' | 'revoked' | 'deleted' | undefined
  expires?: 'active' | 'expired' | undefined
  /** Only keys that have an alias. */
  aliased?: boolean
  now: number
  sort?: KeySort | undefined
  descending?: boolean
  limit: number
  offset: number
}
export type KeySort = (typeof keySorts)[number]
export const keySorts = [
  'spend',
  'max_budget',
  'created_at',
  'updated_at',
  'token',
  'key_alias',
] as const

/** Ids of the keys of one page, and how many fit in all. Deleted keys are `former_key` documents, the others `virtual_key`. */
export async function findKeys(
  { query, dialect }: Db,
  filter: KeyFilter,
): Promise<{ ids: string[]; total: number }> {
  const former = filter.status === 'deleted'
  const table = sql.table(former ? 'former_key' : 'virtual_key')
  const words = wordsOf(dialect, former)
  const conditions = conditionsOf(filter, words)
  const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`
  const [count] = (
    await sql<{ n: number }>`select count(*) as n from ${table} ${where}`.execute(query)
  ).rows
  const way = (filter.descending ?? true) ? sql`desc` : sql`asc`
  const order = sql.join(
    [...words.sorts[filter.sort ?? 'created_at'], sql.ref('id')].map((by) => sql`${by} ${way}`),
  )
  const page = await sql<{
    id: string
  }>`select id from ${table} ${where} order by ${order} limit ${filter.limit} offset ${filter.offset}`.execute(
    query,
  )
  return { ids: page.rows.map(({ id }) => id), total: Number(count?.n ?? 0) }
}

type Condition = RawBuilder<unknown>

/** What the two databases, and the two tables, say differently. */
function wordsOf(dialect: Db['dialect'], former: boolean) {
  const field = (name: string): Condition => jsonField(dialect, name)
  const alias = former ? field('key_alias') : sql.ref('unique_name')
  const number = (value: Condition, otherwise: number): Condition =>
    dialect === 'sqlite'
      ? sql`coalesce(${value}, ${otherwise})`
      : sql`coalesce((${value})::double precision, ${otherwise}::double precision)`
  const spend = former
    ? number(field('spend'), 0)
    : sql`coalesce((select spend from account where account.id = 'key:' || coalesce(virtual_key.account, virtual_key.id)), 0)`
  const sorts: Record<KeySort, readonly Condition[]> = {
    spend: [spend],
    // No budget is the largest.
    max_budget: [number(field('max_budget'), 1e300)],
    created_at: [sql.ref('created_at')],
    updated_at: [sql.ref('updated_at')],
    token: [],
    key_alias: [sql`(case when ${alias} is null then 1 else 0 end)`, alias],
  }
  return {
    field,
    alias,
    sorts,
    blocked: isTrue(dialect, 'blocked'),
    inList: (name: string, value: string): Condition => lists(dialect, name, value),
  }
}

function conditionsOf(filter: KeyFilter, words: ReturnType<typeof wordsOf>): Condition[] {
  const { scopes, alias, search, now, status, expires } = filter
  const is = (column: Condition, value: string | undefined): Condition[] =>
    value === undefined ? [] : [sql`${column} = ${value}`]
  const ended = sql`(expires_at is not null and expires_at <= ${now})`
  const named =
    alias === undefined
      ? []
      : typeof alias === 'string'
        ? [sql`${words.alias} = ${alias}`]
        : [containing(words.alias, alias.containing)]
  return [
    ...(scopes ? [anyOf(scopes.map((scope) => scoped(scope, words)))] : []),
    ...is(sql.ref('team_id'), filter.teamId),
    ...is(sql.ref('project_id'), filter.projectId),
    ...is(sql.ref('organization_id'), filter.organizationId),
    ...is(sql.ref('id'), filter.id),
    ...is(words.field('agent_id'), filter.agentId),
    ...named,
    ...(search === undefined
      ? []
      : [anyOf([sql`id = ${search.id}`, containing(words.alias, search.containing)])]),
    ...(filter.accessGroupId === undefined
      ? []
      : [words.inList('access_group_ids', filter.accessGroupId)]),
    ...(filter.aliased ? [sql`${words.alias} is not null`] : []),
    ...(status === 'revoked' ? [words.blocked] : []),
    ...(status === 'active' ? [sql`not ${words.blocked}`, sql`not ${ended}`] : []),
    ...(status === 'expired' ? [sql`not ${words.blocked}`, ended] : []),
    ...(expires === 'active' ? [sql`not ${ended}`] : []),
    ...(expires === 'expired' ? [ended] : []),
  ]
}

function scoped(scope: KeyScope, { field }: ReturnType<typeof wordsOf>): Condition {
  const { userId, teamIds, organizationIds } = scope
  const all: Condition[] = []
  if (scope.id !== undefined) all.push(sql`id = ${scope.id}`)
  if (userId === null) all.push(sql`user_id is null`)
  else if (typeof userId === 'object') all.push(containing(sql.ref('user_id'), userId.containing))
  else if (userId !== undefined) all.push(sql`user_id = ${userId}`)
  if (teamIds === null) all.push(sql`team_id is null`)
  else if (teamIds) all.push(oneOf('team_id', teamIds))
  if (organizationIds)
    all.push(
      anyOf([
        oneOf('organization_id', organizationIds),
        sql`team_id in (select id from team where ${oneOf('organization_id', organizationIds)})`,
      ]),
    )
  if (scope.createdBy !== undefined) all.push(sql`${field('created_by')} = ${scope.createdBy}`)
  return sql`(${sql.join(all, sql` and `)})`
}

const oneOf = (column: string, values: readonly string[]): Condition =>
  values.length === 0 ? sql`1 = 0` : sql`${sql.ref(column)} in (${sql.join(values)})`

const anyOf = (conditions: readonly Condition[]): Condition =>
  conditions.length === 0 ? sql`1 = 0` : sql`(${sql.join(conditions, sql` or `)})`

/** Whatever the case, as far as the database knows letters: SQLite those of ASCII. */
function containing(column: Condition, part: string): Condition {
  const like = (text: string) => `%${text.replace(/[\\%_]/g, '\\$&')}%`
  return sql`(${column} like ${like(part)} escape '\\' or lower(${column}) like ${like(part.toLowerCase())} escape '\\')`
}
