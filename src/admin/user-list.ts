import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { accountOf } from '../store/accounts.ts'
import { findUsers, keyCounts, userSorts } from '../store/find-users.ts'
import {
  type AdminRoute,
  booksOf,
  forbidden,
  json,
  numberIn,
  pageOf,
  pagesOf,
  readQuery,
  storeOf,
} from './route.ts'
import { administeredBy, standingOf } from './standing.ts'
import { membershipsOf, userAccounts, userRow } from './user-row.ts'

const word = z
  .string('is said more than once')
  .max(10_000)
  .transform((said) => (said === '' ? undefined : said))
  .optional()
const words = word.transform((said) =>
  said
    ?.split(',')
    .map((one) => one.trim())
    .filter((one) => one !== ''),
)

const listQuery = z.looseObject({
  page: numberIn(1, 1_000_000, 1),
  page_size: numberIn(1, 100, 25),
  role: word,
  user_ids: words,
  sso_user_ids: words,
  user_email: word,
  search: word,
  team: word,
  organization_ids: words,
  sort_by: z.enum(userSorts, `expected ${userSorts.join(', ')}`).optional(),
  sort_order: z
    .string()
    .transform((said) => said.toLowerCase())
    .pipe(z.enum(['asc', 'desc'], "expected 'asc' or 'desc'"))
    .optional(),
})

async function listUsers(visit: Visit): Promise<Outgoing> {
  const query = readQuery(visit, listQuery)
  const { page, page_size, user_ids } = query
  const books = booksOf(visit)
  const { store } = books
  const organizationIds = await organizationsFor(visit, query.organization_ids)
  const [only] = user_ids ?? []
  const { ids, total } = await findUsers(store.db, {
    role: query.role,
    ids: only === undefined ? undefined : user_ids?.length === 1 ? { containing: only } : user_ids,
    ssoIds: query.sso_user_ids,
    email: query.user_email,
    search: query.search,
    teamIds: query.team === undefined ? undefined : [query.team],
    organizationIds,
    sort: query.sort_by,
    // The newest first, but what is sorted by a column is sorted upwards.
    descending: query.sort_order ? query.sort_order === 'desc' : query.sort_by === undefined,
    ...pageOf(page, page_size),
  })
  const found = new Map((await store.docs.gateway_user.many(ids)).map((user) => [user.id, user]))
  const users = ids.flatMap((id) => found.get(id) ?? [])
  const [members, accounts, keys] = await Promise.all([
    membershipsOf(store, ids),
    books.accounts(userAccounts(users)),
    keyCounts(store.db, ids),
  ])
  return json({
    users: users.map((user) => ({
      ...userRow(user, accounts.get(accountOf.user(user.id)), members.get(user.id)),
      key_count: keys.get(user.id) ?? 0,
    })),
    total,
    page,
    page_size,
    total_pages: pagesOf(total, page_size),
  })
}

/** Those asked for; for administrators of organisations, those of theirs. Throws 403 to everybody else. */
async function organizationsFor(
  visit: Visit,
  asked: readonly string[] | undefined,
): Promise<readonly string[] | undefined> {
  const standing = await standingOf(visit)
  const named = asked?.length ? asked : undefined
  if (standing.sees) return named
  const runs = administeredBy(standing)
  if (runs.length === 0)
    throw forbidden('Only proxy admins and organization admins can list users.')
  const both = named?.filter((id) => runs.includes(id)) ?? runs
  if (both.length === 0)
    throw forbidden('You do not have org_admin access to the requested organization(s).')
  return both
}

const searchQuery = z.looseObject({
  page: numberIn(1, 1_000_000, 1),
  page_size: numberIn(1, 100, 50),
  user_id: word,
  user_email: word,
  search: word,
})

/** For whoever adds people to a team: addresses of those they could add, and nothing else of them. */
async function searchUsers(visit: Visit): Promise<Outgoing> {
  const { page, page_size, user_id, user_email, search } = readQuery(visit, searchQuery)
  const store = storeOf(visit)
  const standing = await standingOf(visit)
  const runsTeams = [...standing.teams].flatMap(([id, role]) => (role === 'admin' ? [id] : []))
  const organizationIds = [...standing.organizations.keys()]
  if (!standing.sees && runsTeams.length === 0 && administeredBy(standing).length === 0)
    throw forbidden('Only proxy admins, organization admins, or team admins can search users.')
  const { ids } = await findUsers(store.db, {
    ids: user_id === undefined ? undefined : { containing: user_id },
    email: user_email,
    search,
    within: standing.sees ? undefined : { teamIds: runsTeams, organizationIds },
    ...pageOf(page, page_size),
  })
  const found = new Map((await store.docs.gateway_user.many(ids)).map((user) => [user.id, user]))
  return json(
    ids.map((id) => ({ user_id: id, user_email: found.get(id)?.data['user_email'] ?? null })),
  )
}

export const userListRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/user/list',
    permission: 'self',
    summary: 'Users by page',
    run: listUsers,
  },
  {
    method: 'GET',
    path: '/user/filter/ui',
    permission: 'self',
    summary: 'Find users by a part of their id or address',
    run: searchUsers,
  },
]
