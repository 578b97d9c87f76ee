import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { jsonOf } from './key-fields.ts'
import { makeKey } from './key-make.ts'
import { told } from './keys.ts'
import { refuseUnknownModels } from './model-names.ts'
import { badRequest, forbidden, json, readBody, storeOf } from './route.ts'
import { defaultsOf } from './settings.ts'
import { administeredBy, refuseNobody, type Standing, standingOf } from './standing.ts'
import { join } from './team-write.ts'
import { fieldsOfKey, newUser, teamsOfNew, userMetadataFields } from './user-fields.ts'
import { userRowNow } from './user-row.ts'
import { insertUser, type TeamOfNew, teamsIn } from './user-write.ts'

type User = Doc<'gateway_user'>

/** Fields that only administrators say of anybody. */
const administrative = ['permissions', 'spend', 'config', 'object_permission'] as const

export async function createUser(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const said = jsonOf(await readBody(visit, newUser))
  const standing = await standingOf(visit)
  if (!standing.admin) refuseInviting(standing, said)
  const { body, teams } = withDefaults(visit, said)
  const store = storeOf(visit)
  const made = await store.write(async (tx) => {
    const user = await insertUser(visit, tx, body)
    await refuseUnknownModels(visit, tx, list(body['models']))
    const teamId = text(body['team_id'])
    const joining =
      teamId === undefined ? teams : [{ teamId, role: 'user' as const, maxBudget: undefined }]
    for (const team of joining) await joinTeam(visit, tx, user, team)
    for (const id of list(body['organizations'])) await joinOrganization(tx, user.id, String(id))
    if (body['auto_create_key'] === false) return { user }
    const ofKey = Object.fromEntries(
      fieldsOfKey
        .filter((field) => body[field] != null)
        .map((field): [string, Json | undefined] => [field, body[field]]),
    )
    const key = await makeKey(
      visit,
      tx,
      // Whoever may make the user may make their first key.
      { ...standing, admin: true },
      { ...ofKey, user_id: user.id },
      { route: '/key/generate' },
    )
    return { user, key }
  })
  const { user, key } = made
  const row = await userRowNow(visit, user)
  const { token: _, token_id: __, ...ofKey } = key ? await told(visit, key, body) : { key: '' }
  const metadata = object(row['metadata'])
  return json({
    ...ofKey,
    ...row,
    ...Object.fromEntries(
      userMetadataFields
        .filter((field) => metadata[field] !== undefined)
        .map((field) => [field, metadata[field]]),
    ),
  })
}

/** Who administers an organisation makes users in it, and no administrators. Throws 403. */
function refuseInviting(standing: Standing, body: JsonObject): void {
  const runs = administeredBy(standing)
  const named = list(body['organizations'])
  if (named.length === 0 || !named.every((id) => runs.includes(String(id))))
    throw forbidden(
      'Only proxy admins can make users; administrators of an organisation, in organizations they administer',
    )
  const role = text(body['user_role'])
  if (role === 'proxy_admin' || role === 'proxy_admin_viewer')
    throw forbidden(
      `Only proxy admins can create administrative users (proxy_admin, proxy_admin_viewer). Attempted to create user with role: ${role}`,
    )
  const field = [...administrative, 'team_id', 'teams'].find((one) => body[one] != null)
  if (field !== undefined) throw forbidden(`Only proxy admins can set '${field}' on a user`)
}

/** `default_internal_user_params` and the budget of internal users, for what a body does not say. */
function withDefaults(visit: Visit, said: JsonObject): { body: JsonObject; teams: TeamOfNew[] } {
  const body = { ...said }
  const defaults = defaultsOf(visit, 'default_internal_user_params')
  const { max_internal_user_budget, internal_user_budget_duration } =
    visit.rooms.settings.said.settings
  if (body['user_role'] !== 'proxy_admin')
    for (const [field, value] of Object.entries(defaults)) {
      if (field === 'available_teams' || field === 'teams') continue
      const empty = field === 'models' && list(body[field]).length === 0
      if (body[field] == null || empty) body[field] = value
    }
  if (body['user_role'] === 'internal_user') {
    const most = number(max_internal_user_budget)
    const period = text(internal_user_budget_duration)
    if (most !== undefined) body['max_budget'] ??= most
    if (period !== undefined) body['budget_duration'] ??= period
  }
  const { success, data, error } = newUser.safeParse(body)
  if (!success)
    throw badRequest(
      `default_internal_user_params of the configuration: ${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`,
    )
  const standard = teamsOfNew.safeParse(defaults['teams'])
  return {
    body: jsonOf(data),
    teams: teamsIn(said['teams'] ?? (standard.success ? standard.data : [])),
  }
}

async function joinTeam(
  visit: Visit,
  tx: Tx,
  { id }: User,
  { teamId, role, maxBudget }: TeamOfNew,
) {
  const team = await tx.team.find(teamId)
  if (!team) throw badRequest(`Team not found, passed team_id=${teamId.slice(0, 200)}`, 'teams')
  const fields = maxBudget === undefined ? {} : { max_budget: maxBudget }
  await join(visit, tx, team, { user_id: id, role }, fields)
}

async function joinOrganization(tx: Tx, userId: string, organizationId: string): Promise<void> {
  if (!(await tx.organization.find(organizationId)))
    throw badRequest(
      `Organization not found for organization_id=${organizationId.slice(0, 200)}`,
      'organizations',
    )
  const id = `${organizationId}/${userId}`
  if (await tx.organization_member.find(id)) return
  await tx.organization_member.insert({
    id,
    columns: { organization_id: organizationId, user_id: userId },
    data: { organization_id: organizationId, user_id: userId, user_role: 'internal_user' },
  })
}
