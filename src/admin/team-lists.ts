import { sql } from 'kysely'
import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { list, text } from '../json/json.ts'
import { keyAccount } from '../store/accounts.ts'
import type { Doc, ListOptions } from '../store/docs.ts'
import type { Store } from '../store/store.ts'
import { id, name } from './fields.ts'
import { keyAccounts, keyRow } from './key-row.ts'
import { allOf } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  forbidden,
  json,
  numberIn,
  pageOf,
  pagesOf,
  readQuery,
  storeOf,
} from './route.ts'
import { administeredBy, runsTeam, type Standing, standingOf } from './standing.ts'
import { teamRowShape } from './team-fields.ts'
import { membershipRows, membersOf, teamRows } from './team-row.ts'

/** Lists of teams, as far as the caller sees them. */

/** Teams somebody sees without seeing everything: those they are in, those of organisations they administer, and their key's. */
async function teamsSeen(visit: Visit, standing: Standing): Promise<Set<string>> {
  const { docs } = storeOf(visit)
  const { teamId } = visit.caller
  const organizations = administeredBy(standing)
  const theirs = await allOf(docs.team, 'organization_id', organizations)
  return new Set([
    ...standing.teams.keys(),
    ...theirs.map((team) => team.id),
    ...(teamId === undefined ? [] : [teamId]),
  ])
}

export const teamsOfUser = async ({ docs }: Store, userId: string): Promise<string[]> =>
  (await docs.team_member.list({ where: { user_id: userId } })).flatMap(
    ({ columns }) => columns.team_id ?? [],
  )

/**
 * Ids a list may show; undefined: all. Throws 403 to whoever asks for another user's teams without seeing everything or
 * administering an organisation.
 */
export async function seenTeams(visit: Visit, userId?: string): Promise<string[] | undefined> {
  const standing = await standingOf(visit)
  const store = storeOf(visit)
  const ofUser = userId === undefined ? undefined : await teamsOfUser(store, userId)
  if (standing.sees) return ofUser
  const own = userId === undefined || userId === standing.userId
  if (!own && administeredBy(standing).length === 0)
    throw forbidden('Only admin users can query all teams or teams of others')
  const seen = await teamsSeen(visit, standing)
  return ofUser && !own ? ofUser.filter((team) => seen.has(team)) : [...seen]
}

const listQuery = z.object({
  user_id: id.optional(),
  organization_id: id.optional(),
})

/** Every team the caller sees, with memberships and keys: LiteLLM's old list, which has no pages. */
async function listTeams(visit: Visit): Promise<Outgoing> {
  const { user_id, organization_id } = readQuery(visit, listQuery)
  const seen = await seenTeams(visit, user_id)
  const books = booksOf(visit)
  const { docs } = books.store
  const ofOrganization =
    organization_id === undefined
      ? {}
      : { organization_id: organization_id === 'default_organization' ? null : organization_id }
  const where = { ...ofOrganization, ...(seen && { id: seen }) }
  const teams = await docs.team.list({ where, sort: 'alias' })
  const standing = await standingOf(visit)
  const open = teams.filter((team) => standing.sees || runsTeam(standing, team))
  const [rows, members, keys] = await Promise.all([
    teamRows(visit, teams),
    membersOf(
      docs,
      teams.map((team) => team.id),
    ),
    allOf(
      docs.virtual_key,
      'team_id',
      open.map((team) => team.id),
    ),
  ])
  const [memberships, accounts] = await Promise.all([
    membershipRows(books, [...members.values()].flat()),
    books.accounts(keyAccounts(keys)),
  ])
  const byTeam = Map.groupBy(memberships, ({ team_id }) => team_id)
  const keysByTeam = Map.groupBy(keys, ({ columns }) => columns.team_id)
  return json(
    rows.map((row) => ({
      ...row,
      team_memberships: (byTeam.get(row['team_id']) ?? []).filter(
        (one) => user_id === undefined || one['user_id'] === user_id,
      ),
      keys: (keysByTeam.get(text(row['team_id'])) ?? []).map((key) =>
        keyRow(key, accounts.get(keyAccount(key))),
      ),
    })),
  )
}

const pageQuery = z.object({
  user_id: id.optional(),
  organization_id: id.optional(),
  team_id: id.optional(),
  team_alias: name.optional(),
  search: name.optional(),
  search_team_id_match: z.enum(['exact', 'prefix']).default('exact'),
  page: numberIn(1, 1_000_000, 1),
  page_size: numberIn(1, 100, 10),
  sort_by: z.enum(['team_id', 'team_alias', 'created_at']).catch('created_at').optional(),
  sort_order: z.string().max(10).default('asc'),
  status: z.enum(['deleted'], "Invalid status value: currently only 'deleted' is known").optional(),
})

async function listPaged(visit: Visit): Promise<Outgoing> {
  const query = readQuery(visit, pageQuery)
  if (query.status === 'deleted')
    throw badRequest('this gateway keeps no list of deleted teams', 'status')
  const seen = await seenTeams(visit, query.user_id)
  const { page, page_size } = query
  const store = storeOf(visit)
  const ids = await matching(store, query, seen)
  const where = {
    ...(query.organization_id !== undefined && { organization_id: query.organization_id }),
    ...(ids && { id: ids }),
  }
  const sort: NonNullable<ListOptions<'team'>['sort']> =
    query.sort_by === 'team_id' ? 'id' : query.sort_by === 'team_alias' ? 'alias' : 'created_at'
  const [total, teams] = await Promise.all([
    store.docs.team.count({ where }),
    store.docs.team.list({
      where,
      sort,
      // Newest first, unless an order was asked for.
      descending: query.sort_by === undefined || query.sort_order.toLowerCase() === 'desc',
      ...pageOf(page, page_size),
    }),
  ])
  const [rows, counts] = await Promise.all([teamRows(visit, teams), keyCounts(store, teams)])
  return json({
    teams: rows.map((row) => ({
      ...row,
      members_count: list(row['members_with_roles']).length,
      keys_count: counts.get(text(row['team_id']) ?? '') ?? 0,
    })),
    total,
    page,
    page_size,
    total_pages: pagesOf(total, page_size),
  })
}

/** Ids that pass every filter there is of names and ids; undefined: all do. */
async function matching(
  { db }: Store,
  query: z.output<typeof pageQuery>,
  seen: readonly string[] | undefined,
): Promise<string[] | undefined> {
  const { team_id, team_alias, search, search_team_id_match } = query
  if (team_alias === undefined && search === undefined) {
    if (team_id === undefined) return seen && [...seen]
    return !seen || seen.includes(team_id) ? [team_id] : []
  }
  let found = db.query.selectFrom('team').select('id')
  if (team_id !== undefined) found = found.where('id', '=', team_id)
  if (team_alias !== undefined) found = found.where(aliasHas(team_alias))
  if (search !== undefined)
    found = found.where((is) =>
      is.or([
        aliasHas(search),
        search_team_id_match === 'exact'
          ? is('id', '=', search)
          : sql<boolean>`substr(id, 1, ${search.length}) = ${search}`,
      ]),
    )
  const ids = (await found.execute()).map((one) => one.id)
  const may = seen && new Set(seen)
  return may ? ids.filter((one) => may.has(one)) : ids
}

const aliasHas = (part: string) =>
  sql<boolean>`lower(alias) like ${`%${part.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`} escape '\\'`

async function keyCounts(
  { db }: Store,
  teams: readonly Doc<'team'>[],
): Promise<Map<string | null, number>> {
  if (teams.length === 0) return new Map()
  const rows = await db.query
    .selectFrom('virtual_key')
    .select(['team_id', (count) => count.fn.countAll<number>().as('n')])
    .where(
      'team_id',
      'in',
      teams.map((team) => team.id),
    )
    .groupBy('team_id')
    .execute()
  return new Map(rows.map(({ team_id, n }) => [team_id, Number(n)]))
}

const filterQuery = z.object({
  team_id: name.optional(),
  team_alias: name.optional(),
  page: numberIn(1, 1_000_000, 1),
  page_size: numberIn(1, 100, 50),
})

/** Teams by part of the id and part of the name, for forms that ask for one. */
async function filter(visit: Visit): Promise<Outgoing> {
  const { team_id, team_alias, page, page_size } = readQuery(visit, filterQuery)
  const { db, docs } = storeOf(visit)
  let found = db.query.selectFrom('team').select('id')
  if (team_alias !== undefined) found = found.where(aliasHas(team_alias))
  if (team_id !== undefined)
    found = found.where(
      sql<boolean>`lower(id) like ${`%${team_id.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`} escape '\\'`,
    )
  const { limit, offset } = pageOf(page, page_size)
  const ids = await found
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .limit(limit)
    .offset(offset)
    .execute()
  const teams = new Map(
    (await docs.team.many(ids.map((one) => one.id))).map((team) => [team.id, team]),
  )
  return json(
    await teamRows(
      visit,
      ids.flatMap((one) => teams.get(one.id) ?? []),
    ),
  )
}

const teams = z.array(teamRowShape).meta({ id: 'Teams' })

export const teamListRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/team/list',
    permission: 'self',
    summary: 'Teams the caller sees, all at once',
    output: teams,
    run: listTeams,
  },
  {
    method: 'GET',
    path: '/v2/team/list',
    permission: 'self',
    summary: 'Teams the caller sees, in pages',
    run: listPaged,
  },
  {
    method: 'GET',
    path: '/team/filter/ui',
    permission: 'view',
    summary: 'Teams by part of their name',
    output: teams,
    run: filter,
  },
]
