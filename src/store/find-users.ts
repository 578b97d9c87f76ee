import { type RawBuilder, sql } from 'kysely'
import type { Db } from './db.ts'
import { jsonField } from './json-field.ts'

export type UserFilter = {
  role?: string | undefined
  ids?: readonly string[] | { containing: string } | undefined
  ssoIds?: readonly string[] | undefined
  /** A part of it, whatever the case. */
  email?: string | undefined
  /** A part of the id or of the e-mail address. */
  search?: string | undefined
  teamIds?: readonly string[] | undefined
  organizationIds?: readonly string[] | undefined
  /** Instead of both: somebody in one of the teams or one of the organisations. */
  within?: { teamIds: readonly string[]; organizationIds: readonly string[] } | undefined
  sort?: UserSort | undefined
  descending?: boolean
  limit: number
  offset: number
}
export type UserSort = (typeof userSorts)[number]
export const userSorts = [
  'user_id',
  'user_email',
  'created_at',
  'spend',
  'user_alias',
  'user_role',
] as const

/** Ids of the users of one page, and how many fit in all. */
export async function findUsers(
  { query, dialect }: Db,
  filter: UserFilter,
): Promise<{ ids: string[]; total: number }> {
  const conditions = conditionsOf(filter)
  const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`
  const [count] = (
    await sql<{ n: number }>`select count(*) as n from gateway_user ${where}`.execute(query)
  ).rows
  const way = (filter.descending ?? true) ? sql`desc` : sql`asc`
  const sorts: Record<UserSort, Condition> = {
    user_id: sql.ref('id'),
    user_email: sql`coalesce(email, '')`,
    created_at: sql.ref('created_at'),
    spend: sql`coalesce((select spend from account where account.id = 'user:' || gateway_user.id), 0)`,
    user_alias: sql`coalesce(${jsonField(dialect, 'user_alias')}, '')`,
    user_role: sql`coalesce(role, '')`,
  }
  const by = sorts[filter.sort ?? 'created_at']
  const page = await sql<{
    id: string
  }>`select id from gateway_user ${where} order by ${by} ${way}, id ${way} limit ${filter.limit} offset ${filter.offset}`.execute(
    query,
  )
  return { ids: page.rows.map(({ id }) => id), total: Number(count?.n ?? 0) }
}

/** How many keys each of these has. */
export async function keyCounts(
  { query }: Db,
  userIds: readonly string[],
): Promise<Map<string, number>> {
  if (userIds.length === 0) return new Map()
  const rows = await query
    .selectFrom('virtual_key')
    .select((a) => ['user_id', a.fn.countAll<number>().as('n')])
    .where('user_id', 'in', userIds)
    .groupBy('user_id')
    .execute()
  return new Map(rows.map(({ user_id, n }) => [user_id ?? '', Number(n)]))
}

type Condition = RawBuilder<unknown>

function conditionsOf(filter: UserFilter): Condition[] {
  const { ids, within } = filter
  const all: Condition[] = []
  if (filter.role !== undefined) all.push(sql`role = ${filter.role}`)
  if (ids !== undefined)
    all.push('containing' in ids ? containing('id', ids.containing) : oneOf(sql.ref('id'), ids))
  if (filter.ssoIds) all.push(oneOf(sql.ref('sso_id'), filter.ssoIds))
  if (filter.email !== undefined) all.push(containing('email', filter.email))
  if (filter.search !== undefined)
    all.push(sql`(${containing('id', filter.search)} or ${containing('email', filter.search)})`)
  if (filter.teamIds) all.push(inTeams(filter.teamIds))
  if (filter.organizationIds) all.push(inOrganizations(filter.organizationIds))
  if (within)
    all.push(sql`(${inTeams(within.teamIds)} or ${inOrganizations(within.organizationIds)})`)
  return all
}

const inTeams = (ids: readonly string[]): Condition =>
  sql`id in (select user_id from team_member where ${oneOf(sql.ref('team_id'), ids)})`
const inOrganizations = (ids: readonly string[]): Condition =>
  sql`id in (select user_id from organization_member where ${oneOf(sql.ref('organization_id'), ids)})`

const oneOf = (column: Condition, values: readonly string[]): Condition =>
  values.length === 0 ? sql`1 = 0` : sql`${column} in (${sql.join(values)})`

/** Addresses are kept in small letters; of ids, SQLite knows the case of ASCII only. */
function containing(column: 'id' | 'email', part: string): Condition {
  const like = (text: string) => `%${text.replace(/[\\%_]/g, '\\$&')}%`
  return sql`(${sql.ref(column)} like ${like(part)} escape '\\' or lower(${sql.ref(column)}) like ${like(part.toLowerCase())} escape '\\')`
}
