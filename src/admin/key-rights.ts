import { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import { list, object } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import { knownFields, metadataFields } from './key-fields.ts'
import { forbidden } from './route.ts'
import { runsTeam, type Standing } from './standing.ts'

type Key = Doc<'virtual_key'>
type Team = Doc<'team'> | undefined

/** Own keys, the calling key itself, and keys of teams and organisations the caller is in. */
export function mayRead(standing: Standing, { id, columns }: Key, team: Team): boolean {
  const { sees, userId, keyId, teams, organizations } = standing
  return (
    sees ||
    id === keyId ||
    (userId !== undefined && columns.user_id === userId) ||
    teams.has(columns.team_id ?? '') ||
    organizations.get(columns.organization_id ?? team?.columns.organization_id ?? '') === true
  )
}

const owns = ({ userId }: Standing, { columns }: Key): boolean =>
  userId !== undefined && columns.user_id === userId

/** Administrators of the house, of the key's team, and of the organisation either belongs to. */
export const runsKey = (standing: Standing, { columns }: Key, team: Team): boolean =>
  standing.admin ||
  runsTeam(standing, team) ||
  standing.organizations.get(columns.organization_id ?? '') === true

/** To delete a key or make it anew. Throws 403. */
export function refuseStranger(standing: Standing, key: Key, team: Team, what: string): void {
  if (!runsKey(standing, key, team) && !owns(standing, key))
    throw forbidden(`You are not authorized to ${what} this key`)
}

/** To block a key, to reset its spend. Throws 403. */
export function refuseUnprivileged(standing: Standing, key: Key, team: Team, route: string): void {
  if (!runsKey(standing, key, team))
    throw forbidden(`Only proxy admins, team admins, or org admins can call ${route}`)
}

/** Routes every member of a team may use for its keys; the team's own list comes on top. */
const baseline = ['/key/info', '/key/health']

/**
 * A member of a team uses only those key routes that `team_member_permissions` lists; who runs the team uses all.
 * Throws 401 as LiteLLM does.
 */
export function refuseMember(standing: Standing, team: Doc<'team'>, route: string): void {
  if (runsTeam(standing, team)) return
  if (!standing.teams.has(team.id))
    throw memberError(
      `User ${standing.userId ?? ''} does not belong to team ${team.id}: keys of a team are for its members`,
      route,
    )
  const allowed = [...baseline, ...list(team.data['team_member_permissions'])]
  if (!allowed.includes(route))
    throw memberError(
      `Team member does not have permissions for endpoint: ${route}. Members of team ${team.id} may use ${allowed.join(', ')}: an administrator of the team can add to them with /team/permissions_update`,
      route,
    )
}
const memberError = (message: string, route: string): GatewayError =>
  new GatewayError('authentication', message.slice(0, 1000), {
    type: 'team_member_permission_error',
    param: route,
    code: '401',
  })

/** Only administrators of the house say these. */
const adminOnly = [
  'permissions',
  'allowed_routes',
  'throttle_on_budget_exceeded',
  'end_user_budget_id',
  'default_estimated_output_tokens',
  'default_estimated_output_tokens_per_model',
  'disable_global_guardrails',
  'allowed_passthrough_routes',
  'denied_passthrough_routes',
  'router_settings',
  'config',
  'secret_manager_settings',
  'spend',
  'object_permission',
]
/** What bounds a key, or says whose it is: for those who run it, not for those who use it. */
const bounding = [
  'max_budget',
  'soft_budget',
  'budget_duration',
  'budget_limits',
  'model_max_budget',
  'budget_id',
  'temp_budget_increase',
  'temp_budget_expiry',
  'blocked',
  'user_id',
  'team_id',
  'organization_id',
  'project_id',
  'access_group_ids',
]

/** Fields of a new key that only administrators may say. Throws 403 naming the field. */
export function refuseAdminFields({ admin }: Standing, body: JsonObject): void {
  if (admin) return
  const metadata = object(body['metadata'])
  for (const field of [...adminOnly, 'temp_budget_increase', 'temp_budget_expiry'])
    if (!isBlank(body[field]) || !isBlank(metadata[field]))
      throw forbidden(`Only proxy admins can set '${field}' on a key`)
  refuseLoosening(metadata, {})
  for (const field of Object.keys(body))
    if (!knownFields.has(field) && !envelope.has(field))
      throw forbidden(
        `Only proxy admins can set '${field.slice(0, 100)}' on a key: this gateway does not know the field`,
      )
  if (body['key_type'] === 'management')
    throw forbidden("Only proxy admins can make keys of the type 'management'")
}

/** Said and meaning nothing, as forms send fields nobody has filled in. Zero means something: a budget of nothing. */
const isBlank = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0)

/** Marks by which LiteLLM lets the clients of a key name prices and answers of their own. */
function refuseLoosening(is: JsonObject, was: JsonObject): void {
  for (const field of new Set([...Object.keys(is), ...Object.keys(was)]))
    if (/^allow_client/.test(field) && JSON.stringify(is[field]) !== JSON.stringify(was[field]))
      throw forbidden(`Only proxy admins can set '${field.slice(0, 100)}' in the metadata of a key`)
}

/** Of the request, not of the key. */
export const envelope: ReadonlySet<string> = new Set([
  'key',
  'keys',
  'new_key',
  'new_master_key',
  'grace_period',
  'send_invite_email',
])

/**
 * Who may change which fields of a key: administrators everything; who runs its team what is not for administrators;
 * who made it for themselves, and members whom the team lets, what bounds nothing. Throws 403, or 401 for members.
 */
export function refuseChange(
  standing: Standing,
  key: Key,
  team: Team,
  body: JsonObject,
  route: string,
): void {
  if (standing.admin) return
  const changed = Object.keys(body).filter((field) => differs(field, key.data, body))
  for (const field of changed) {
    if (adminOnly.includes(field)) throw forbidden(`Only proxy admins can set '${field}' on a key`)
    if (!knownFields.has(field) && !envelope.has(field))
      throw forbidden(
        `Only proxy admins can set '${field.slice(0, 100)}' on a key: this gateway does not know the field`,
      )
  }
  if (changed.includes('user_id'))
    throw forbidden('Only proxy admins can give a key to another user')
  if (body['key_type'] === 'management' && key.data['key_type'] !== 'management')
    throw forbidden("Only proxy admins can make keys of the type 'management'")
  if (changed.includes('key_type') && list(key.data['allowed_routes']).includes('info_routes'))
    throw forbidden('Only proxy admins can open a key that may only read')
  refuseMetadata(object(key.data['metadata']), body)
  if (changed.length === 0 || runsKey(standing, key, team)) return
  const byMember = team !== undefined && (key.columns.user_id == null || owns(standing, key))
  const byMaker = !team && owns(standing, key) && key.data['created_by'] === standing.userId
  if (byMember) refuseMember(standing, team, route)
  else if (!byMaker)
    throw forbidden(`Only proxy admins, team admins, or org admins can call ${route} for this key`)
  const refused = changed.find((field) => bounding.includes(field))
  if (refused !== undefined)
    throw forbidden(
      `Only proxy admins, team admins, or org admins can change '${refused}' of a key`,
    )
}

/** Fields with a name of their own are not smuggled in, or out, as metadata. */
function refuseMetadata(was: JsonObject, { metadata }: JsonObject): void {
  if (metadata === undefined) return
  const is = object(metadata)
  refuseLoosening(is, was)
  for (const field of metadataFields)
    if (JSON.stringify(is[field]) !== JSON.stringify(was[field]))
      throw forbidden(
        `Only proxy admins can change '${field}' within metadata: send it as it is, or as a field of its own`,
      )
}

function differs(field: string, data: JsonObject, body: JsonObject): boolean {
  const was = metadataFields.includes(field) ? object(data['metadata'])[field] : data[field]
  const is = body[field]
  return !(isBlank(was) && isBlank(is)) && JSON.stringify(was) !== JSON.stringify(is)
}
