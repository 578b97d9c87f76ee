import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { keyAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { budgetsOf } from './budget-table.ts'
import { jsonOf } from './key-fields.ts'
import { keyAccounts, keyRow } from './key-row.ts'
import { refuseUnknownModels } from './model-names.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  forbidden,
  json,
  readBody,
  storeOf,
} from './route.ts'
import { administeredBy, refuseNobody, type Standing, standingOf } from './standing.ts'
import { teamRows } from './team-row.ts'
import {
  newUser,
  ownFields,
  updateUser,
  userAnswer,
  userIds,
  userInfo,
  userMetadataFields,
} from './user-fields.ts'
import { createUser } from './user-new.ts'
import { membershipsOf, userRowNow } from './user-row.ts'
import { changeUser, endUsers, passwordOf, userNotFound } from './user-write.ts'

type User = Doc<'gateway_user'>

/** A plus in an address stays one: clients that mean a space write %20. */
function askedFor({ incoming }: Visit): string | undefined {
  const raw = incoming.query.split('&').find((part) => part.startsWith('user_id='))
  if (raw === undefined || raw === 'user_id=') return undefined
  try {
    return decodeURIComponent(raw.slice('user_id='.length)).slice(0, 1000)
  } catch {
    throw badRequest('user_id has a broken percent-encoding', 'user_id')
  }
}

/** Oneself; members of teams and organisations one administers. Throws 404 to those who see all, else 403. */
async function userFor(visit: Visit, standing: Standing, id: string): Promise<User> {
  const { docs } = storeOf(visit)
  const user = await docs.gateway_user.find(id)
  if (user && (standing.sees || id === standing.userId)) return user
  if (standing.sees) throw userNotFound(id)
  const members = (await membershipsOf(storeOf(visit), [id])).get(id)
  const mine =
    members?.teams.some(({ columns }) => standing.teams.get(columns.team_id ?? '') === 'admin') ||
    members?.organizations.some(
      ({ columns }) => standing.organizations.get(columns.organization_id ?? '') === true,
    )
  if (user && mine) return user
  throw forbidden(
    `key not allowed to access this user's info. user_id=${id.slice(0, 200)}, key's user_id=${standing.userId ?? 'None'}`,
  )
}

const uiTeam = 'litellm-dashboard'
/** Whoever sees all and names nobody is shown this many keys and teams. */
const shownMax = 1000

async function info(visit: Visit): Promise<Outgoing> {
  const standing = await standingOf(visit)
  const id = askedFor(visit) ?? standing.userId
  const { docs } = storeOf(visit)
  if (id === undefined && !standing.sees)
    throw badRequest('user_id is required: this key belongs to no user', 'user_id')
  const all = standing.sees && askedFor(visit) === undefined
  const user =
    id === undefined
      ? undefined
      : await (all ? docs.gateway_user.find(id) : userFor(visit, standing, id))
  const newest = { descending: true, limit: shownMax } as const
  const [keys, teams] = await Promise.all([
    docs.virtual_key.list(all ? newest : { where: { user_id: id ?? '' }, ...newest }),
    all
      ? docs.team.list(newest)
      : docs.team_member
          .list({ where: { user_id: id ?? '' } })
          .then((of) => docs.team.many(of.map(({ columns }) => columns.team_id ?? ''))),
  ])
  const rows = await teamRows(visit, teams)
  rows.sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
  return json({
    user_id: id ?? null,
    user_info: user ? await userRowNow(visit, user) : null,
    keys: await keyRows(visit, keys),
    teams: rows,
  })
}
const nameOf = ({ team_alias }: JsonObject): string => text(team_alias) ?? ''

async function keyRows(visit: Visit, keys: readonly Doc<'virtual_key'>[]): Promise<JsonObject[]> {
  const store = storeOf(visit)
  const shown = keys.filter(({ columns }) => columns.team_id !== uiTeam)
  const [budgets, accounts, teams] = await Promise.all([
    budgetsOf(store, shown),
    booksOf(visit).accounts(keyAccounts(shown)),
    store.docs.team.many([...new Set(shown.flatMap(({ columns }) => columns.team_id ?? []))]),
  ])
  const aliases = new Map(teams.map(({ id, data }) => [id, data['team_alias'] ?? null]))
  return shown.map((key) => ({
    ...keyRow(key, accounts.get(keyAccount(key)), budgets.get(key.columns.budget_id ?? '')),
    team_alias: aliases.get(key.columns.team_id ?? '') ?? null,
  }))
}

/** Only the user: no keys, no teams but their ids. */
async function infoOnly(visit: Visit): Promise<Outgoing> {
  const standing = await standingOf(visit)
  const id = askedFor(visit) ?? standing.userId
  if (id === undefined)
    throw badRequest(
      'user_id is required. Either pass it as a query parameter or authenticate with a user-bound key.',
      'user_id',
    )
  return json(await userRowNow(visit, await userFor(visit, standing, id)))
}

/** One change to one user. `named`: whom the body means. */
export async function change(
  visit: Visit,
  standing: Standing,
  said: JsonObject,
): Promise<{ user_id: string; data: JsonObject }> {
  const store = storeOf(visit)
  const hash = standing.admin ? await passwordOf(said) : undefined
  const user = await store.write(async (tx) => {
    const id = await meantBy(tx, said)
    const was = id === undefined ? undefined : await tx.gateway_user.find(id)
    refuseChange(standing, was, id ?? '', said)
    await refuseUnknownModels(visit, tx, list(said['models']), { known: list(was?.data['models']) })
    return changeUser(visit, tx, id ?? '', said, hash)
  })
  return { user_id: user.id, data: await userRowNow(visit, user) }
}

/** By the id; by the address where there is none. */
async function meantBy(tx: Tx, { user_id, user_email }: JsonObject): Promise<string | undefined> {
  if (typeof user_id === 'string') return user_id
  const [first, second] = await tx.gateway_user.list({
    where: { email: text(user_email)?.toLowerCase() ?? '' },
    limit: 2,
  })
  if (second)
    throw badRequest('Multiple users have this user_email: say which one by user_id', 'user_email')
  return first?.id
}

/** People change how they are called, and nothing that bounds them. Throws 403, or 404 to administrators. */
function refuseChange(
  { admin, userId }: Standing,
  user: User | undefined,
  id: string,
  said: JsonObject,
): void {
  if (admin && user) return
  if (admin)
    throw userNotFound(id === '' ? 'nobody has this user_email: make them with /user/new' : id)
  if (!user || user.id !== userId)
    throw forbidden(
      'User does not have permission to update this user. Only PROXY_ADMIN can update other users.',
    )
  const field = Object.keys(said).find(
    (one) => !ownFields.has(one) && JSON.stringify(said[one]) !== JSON.stringify(user.data[one]),
  )
  if (field !== undefined)
    throw forbidden(
      `Non-admin users cannot modify '${field.slice(0, 100)}' on their own record. Contact your proxy admin.`,
    )
  const [was, is] = [object(user.data['metadata']), object(said['metadata'])]
  if (said['metadata'] === undefined) return
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)]))
    if (
      (userMetadataFields.includes(name) || /^allow_client/.test(name)) &&
      JSON.stringify(was[name]) !== JSON.stringify(is[name])
    )
      throw forbidden(`Non-admin users cannot modify '${name.slice(0, 100)}' in their metadata`)
}

async function update(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const said = jsonOf(await readBody(visit, updateUser))
  return json(await change(visit, await standingOf(visit), said))
}

async function remove(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const { user_ids } = await readBody(visit, userIds)
  const ids = [...new Set(user_ids)]
  const standing = await standingOf(visit)
  const books = booksOf(visit)
  await books.flush()
  await books.store.write(async (tx) => {
    const found = new Set((await tx.gateway_user.many(ids)).map(({ id }) => id))
    if (!standing.admin) await refuseOutsiders(tx, standing, ids)
    const missing = ids.find((id) => !found.has(id))
    if (missing !== undefined) throw userNotFound(missing)
    await endUsers(visit, tx, ids)
  })
  return json(ids.length)
}

/** Administrators of organisations delete whoever is in theirs and in no other. Throws 403. */
async function refuseOutsiders(tx: Tx, standing: Standing, ids: readonly string[]): Promise<void> {
  const runs = administeredBy(standing)
  if (runs.length === 0) throw forbidden('Only PROXY_ADMIN or ORG_ADMIN users may delete users.')
  const members = await tx.organization_member.list({ where: { user_id: ids } })
  const users = new Map((await tx.gateway_user.many(ids)).map((user) => [user.id, user]))
  for (const id of ids) {
    const of = members.filter(({ columns }) => columns.user_id === id)
    const inside =
      of.length > 0 && of.every(({ columns }) => runs.includes(columns.organization_id ?? ''))
    const role = users.get(id)?.columns.role
    if (!inside || role === 'proxy_admin' || role === 'proxy_admin_viewer')
      throw forbidden(
        `User ${id.slice(0, 200)} is not within your admin scope. Only PROXY_ADMIN may delete users outside your administered organizations.`,
      )
  }
}

const roles = {
  proxy_admin: {
    description: 'administers the whole gateway',
    ui_label: 'Admin (All Permissions)',
  },
  proxy_admin_viewer: { description: 'sees all keys and all spend', ui_label: 'Admin (View Only)' },
  internal_user: {
    description: 'sees, makes and deletes their own keys, and sees their own spend',
    ui_label: 'Internal User (Create/Delete/View)',
  },
  internal_user_viewer: {
    description: 'sees their own keys and their own spend',
    ui_label: 'Internal User (View Only)',
  },
} as const

export const userRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/user/new',
    permission: 'self_write',
    summary: 'Make a user, and a key for them',
    input: newUser,
    output: userAnswer,
    run: createUser,
  },
  {
    method: 'GET',
    path: '/user/info',
    permission: 'self',
    summary: 'A user with their keys and teams',
    output: userInfo,
    run: info,
  },
  {
    method: 'GET',
    path: '/v2/user/info',
    permission: 'self',
    summary: 'A user',
    run: infoOnly,
  },
  {
    method: 'POST',
    path: '/user/update',
    permission: 'self_write',
    summary: 'Change a user',
    input: updateUser,
    run: update,
  },
  {
    method: 'POST',
    path: '/user/delete',
    permission: 'self_write',
    summary: 'Delete users with their keys and memberships',
    input: userIds,
    run: remove,
  },
  {
    method: 'GET',
    path: '/user/available_roles',
    permission: 'self',
    summary: 'Roles a user can have',
    run: () => json(roles),
  },
]
