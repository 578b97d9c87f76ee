import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, text } from '../json/json.ts'
import { accountOf, keyAccount } from '../store/accounts.ts'
import { findKeys, type KeyScope, keySorts } from '../store/find-keys.ts'
import { budgetsOf } from './budget-table.ts'
import { mayRead } from './key-rights.ts'
import { formerRow, keyAccounts, keyRow } from './key-row.ts'
import { keyIdOf } from './keys.ts'
import {
  type AdminRoute,
  booksOf,
  flag,
  forbidden,
  json,
  numberIn,
  pageOf,
  pagesOf,
  readQuery,
  storeOf,
} from './route.ts'
import { administeredBy, type Standing, standingOf } from './standing.ts'
import { userRow } from './user-row.ts'

/** Forms send fields nobody has filled in as empty text. */
const word = z
  .string('is said more than once')
  .max(1000)
  .transform((said) => (said === '' ? undefined : said))
  .optional()
const oneOf = <const T extends readonly string[]>(...words: T) =>
  z.enum(words, `expected ${words.join(', ')}`).optional()

const listQuery = z
  .looseObject({
    page: numberIn(1, 1_000_000, 1),
    size: numberIn(1, 100, 10),
    user_id: word,
    team_id: word,
    organization_id: word,
    key_hash: word,
    key_alias: word,
    search: word,
    project_id: word,
    access_group_id: word,
    agent_id: word,
    return_full_object: flag.default(false),
    include_team_keys: flag.default(false),
    include_created_by_keys: flag.default(false),
    substring_matching: flag.default(false),
    sort_by: oneOf(...keySorts),
    sort_order: z
      .string()
      .transform((said) => said.toLowerCase())
      .pipe(z.enum(['asc', 'desc'], "expected 'asc' or 'desc'"))
      .default('desc'),
    expand: z.union([z.string(), z.array(z.string())]).optional(),
    status: oneOf('active', 'expired', 'revoked', 'deleted'),
    expires: oneOf('active', 'expired'),
  })
  .meta({ id: 'KeyListQuery' })
type ListQuery = z.output<typeof listQuery>

async function listKeys(visit: Visit): Promise<Outgoing> {
  const query = readQuery(visit, listQuery)
  const { page, size, substring_matching: part, key_alias } = query
  const store = storeOf(visit)
  const standing = await standingOf(visit)
  const id = query.key_hash === undefined ? undefined : keyIdOf(store, query.key_hash)
  const scopes = await scopesOf(visit, standing, query, id)
  const { ids, total } = await findKeys(store.db, {
    scopes,
    teamId: query.team_id,
    projectId: query.project_id,
    organizationId: query.organization_id,
    alias: key_alias !== undefined && part ? { containing: key_alias } : key_alias,
    id,
    search:
      query.search === undefined
        ? undefined
        : { id: keyIdOf(store, query.search), containing: query.search },
    accessGroupId: query.access_group_id,
    agentId: query.agent_id,
    status: query.status,
    expires: query.expires,
    now: store.now(),
    sort: query.sort_by,
    descending: query.sort_order === 'desc',
    ...pageOf(page, size),
  })
  const expand = [query.expand ?? []].flat().includes('user')
  const whole = query.return_full_object || expand
  const keys: (string | JsonObject)[] = whole
    ? query.status === 'deleted'
      ? await formerRows(visit, ids)
      : await liveRows(visit, ids, expand)
    : ids
  return json({
    keys,
    total_count: total,
    current_page: page,
    total_pages: pagesOf(total, size),
  })
}

/**
 * What the caller may see, as far as they ask for it: their own keys; on demand also all keys of teams and organisations
 * they run, and those of their teams that belong to no member. Throws 403 where they ask for what is others'.
 */
async function scopesOf(
  visit: Visit,
  standing: Standing,
  query: ListQuery,
  id: string | undefined,
): Promise<KeyScope[] | undefined> {
  const { user_id, team_id, organization_id, include_team_keys, include_created_by_keys } = query
  const { sees, userId, keyId, teams, organizations } = standing
  if (sees) {
    if (user_id === undefined) return undefined
    const own = { userId: query.substring_matching ? { containing: user_id } : user_id }
    return include_created_by_keys ? [own, { createdBy: user_id }] : [own]
  }
  if (userId === undefined) return [{ id: keyId }]
  const { docs } = storeOf(visit)
  if (user_id !== undefined && user_id !== userId)
    throw forbidden("You are not authorized to check another user's keys")
  const runs = administeredBy(standing)
  if (team_id !== undefined && !teams.has(team_id)) {
    const team = await docs.team.find(team_id)
    if (!runs.includes(team?.columns.organization_id ?? ''))
      throw forbidden("You are not authorized to check this team's keys")
  }
  if (organization_id !== undefined && !organizations.has(organization_id))
    throw forbidden("You are not authorized to check this organization's keys")
  const scopes: KeyScope[] = [{ userId }]
  const key = id === undefined ? undefined : await docs.virtual_key.find(id)
  if (key) {
    const team = key.columns.team_id ? await docs.team.find(key.columns.team_id) : undefined
    if (!mayRead(standing, key, team))
      throw forbidden(
        `You are not allowed to access this key's info. Your role=${visit.caller.role}`,
      )
    scopes.push({ id: key.id })
  }
  const members = [...teams.keys()]
  if (include_created_by_keys)
    scopes.push({ createdBy: userId, teamIds: members }, { createdBy: userId, teamIds: null })
  if (include_team_keys) {
    const listed = (await docs.team.many(members)).filter(
      ({ id: team, data }) =>
        teams.get(team) === 'admin' || list(data['team_member_permissions']).includes('/key/list'),
    )
    scopes.push({ teamIds: listed.map((team) => team.id) }, { organizationIds: runs })
  }
  if (include_team_keys || include_created_by_keys) scopes.push({ teamIds: members, userId: null })
  return scopes
}

async function liveRows(
  visit: Visit,
  ids: readonly string[],
  expand: boolean,
): Promise<JsonObject[]> {
  const store = storeOf(visit)
  const found = new Map((await store.docs.virtual_key.many(ids)).map((key) => [key.id, key]))
  const keys = ids.flatMap((id) => found.get(id) ?? [])
  const [budgets, accounts] = await Promise.all([
    budgetsOf(store, keys),
    booksOf(visit).accounts(keyAccounts(keys)),
  ])
  const rows = keys.map((key) =>
    keyRow(key, accounts.get(keyAccount(key)), budgets.get(key.columns.budget_id ?? '')),
  )
  return expand ? withUsers(visit, rows) : rows
}

/** `expand=user`: whose keys they are, and who made them. */
async function withUsers(visit: Visit, rows: readonly JsonObject[]): Promise<JsonObject[]> {
  const named = rows.flatMap((row) => [text(row['user_id']) ?? [], text(row['created_by']) ?? []])
  const users = new Map(
    (await storeOf(visit).docs.gateway_user.many([...new Set(named.flat())])).map((user) => [
      user.id,
      user,
    ]),
  )
  const accounts = await booksOf(visit).accounts([...users.keys()].map(accountOf.user))
  return rows.map((row) => {
    const user = users.get(text(row['user_id']) ?? '')
    const maker = users.get(text(row['created_by']) ?? '')
    return {
      ...row,
      ...(user && { user: userRow(user, accounts.get(accountOf.user(user.id))) }),
      ...(maker && {
        created_by_user: {
          user_id: maker.id,
          user_email: maker.data['user_email'] ?? null,
          user_alias: maker.data['user_alias'] ?? null,
        },
      }),
    }
  })
}

async function formerRows(visit: Visit, ids: readonly string[]): Promise<JsonObject[]> {
  const { docs } = storeOf(visit)
  const found = new Map((await docs.former_key.many(ids)).map((key) => [key.id, key]))
  return ids.flatMap((id) => {
    const key = found.get(id)
    return key ? [formerRow(key)] : []
  })
}

const aliasQuery = z.looseObject({
  page: numberIn(1, 1_000_000, 1),
  size: numberIn(1, 100, 50),
  search: word,
  team_id: word,
})

/** Aliases of every key the caller may see. */
async function aliases(visit: Visit): Promise<Outgoing> {
  const { page, size, search, team_id } = readQuery(visit, aliasQuery)
  const store = storeOf(visit)
  const standing = await standingOf(visit)
  const { ids, total } = await findKeys(store.db, {
    scopes: standing.sees
      ? undefined
      : standing.userId === undefined
        ? [{ id: standing.keyId }]
        : [
            { userId: standing.userId },
            { teamIds: [...standing.teams.keys()] },
            { organizationIds: administeredBy(standing) },
          ],
    teamId: team_id,
    alias: search === undefined ? undefined : { containing: search },
    aliased: true,
    now: store.now(),
    sort: 'key_alias',
    descending: false,
    ...pageOf(page, size),
  })
  const found = new Map(
    (await store.docs.virtual_key.many(ids)).map((key) => [key.id, key.uniqueName]),
  )
  return json({
    aliases: ids.flatMap((id) => found.get(id) ?? []),
    total_count: total,
    current_page: page,
    total_pages: pagesOf(total, size),
    size,
  })
}

export const keyListRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/key/list',
    permission: 'self',
    summary: 'Keys by page: their SHA-256, or whole rows with return_full_object',
    run: listKeys,
  },
  {
    method: 'GET',
    path: '/key/aliases',
    permission: 'self',
    summary: 'Aliases of keys',
    run: aliases,
  },
]
