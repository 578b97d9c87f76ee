import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import { bool, type JsonObject, list, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { effective } from './budget-table.ts'
import {
  inOrganization,
  namedBy,
  refuseBeyondProject,
  refuseMisfit,
  refuseOverAllocation,
  withDefaults,
  withinOwnKey,
  withinUpperBounds,
} from './key-bounds.ts'
import { generateKey, jsonOf } from './key-fields.ts'
import { refuseAdminFields, refuseChange, refuseMember } from './key-rights.ts'
import { changeKey, insertKey, newSecret } from './key-write.ts'
import { refuseUnknownModels } from './model-names.ts'
import { badRequest, forbidden, storeOf } from './route.ts'
import { defaultsOf } from './settings.ts'
import { runsTeam, type Standing } from './standing.ts'
import { withSealed } from './team-secrets.ts'
import { writerOf } from './written.ts'

type Key = Doc<'virtual_key'>

/**
 * Makes a key as a body asks for it, within everything that bounds it. `service`: a key of a team that belongs to no
 * user. The answer has the secret, which is known to nobody afterwards.
 */
export async function makeKey(
  visit: Visit,
  tx: Tx,
  standing: Standing,
  said: JsonObject,
  { route, service = false }: { route: string; service?: boolean },
): Promise<{ doc: Key; secret: string }> {
  refuseAdminFields(standing, said)
  const { sealer } = storeOf(visit)
  const mine = jsonOf(withSealed(said, {}, sealer))
  if (service) asService(mine)
  else if (!standing.admin) mine['user_id'] ??= standing.userId
  const body = valid(
    withinUpperBounds(visit, withDefaults(visit, withinOwnKey(visit, standing, mine, true)), true),
  )
  if (service) delete body['user_id']
  const { team, organization, project } = await namedBy(tx, body)
  await refuseOthers(visit, tx, standing, body, team, route)
  if (organization && !inOrganization(standing, organization.id, team))
    throw forbidden(`Caller is not a member of organization_id=${organization.id}`)
  await refuseBeyond(tx, body, { team, organization, project })
  await refuseUnknownModels(visit, tx, list(body['models']), {
    known: Object.keys(object(body['aliases'])),
    teamId: team?.id,
  })
  checkAlias(visit, text(body['key_alias']))
  const own = text(said['key'])
  if (own !== undefined && bool(visit.rooms.settings.said.general['disable_custom_api_keys']))
    throw forbidden(
      'Custom API key values are disabled by your administrator. Keys must be auto-generated.',
    )
  const secret = own ?? newSecret()
  return { doc: await insertKey(visit, tx, { secret, body, by: writerOf(visit.caller) }), secret }
}

function asService(body: JsonObject): void {
  if (text(body['team_id']) === undefined)
    throw badRequest(
      'team_id is required for service account keys. Please specify `team_id` in the request body.',
      'team_id',
    )
  delete body['user_id']
  const metadata = object(body['metadata'])
  body['metadata'] = {
    ...metadata,
    service_account_id:
      metadata['service_account_id'] ?? text(body['key_alias']) ?? crypto.randomUUID(),
  }
}

/** What the configuration has put in is checked like what a client says. */
function valid(body: JsonObject): JsonObject {
  const { success, data, error } = generateKey.safeParse(body)
  if (success) return jsonOf(data)
  const [issue] = error.issues
  throw new GatewayError(
    'internal',
    `default_key_generate_params or upperbound_key_generate_params of the configuration: ${issue?.path.join('.')}: ${issue?.message}`,
    { cause: error },
  )
}

/** Keys are one's own, or of a team one may make keys in. Throws 400, 401, 403. */
async function refuseOthers(
  visit: Visit,
  tx: Tx,
  standing: Standing,
  body: JsonObject,
  team: Doc<'team'> | undefined,
  route: string,
): Promise<void> {
  const metadata = object(body['metadata'])
  if (metadata['service_account_id'] !== undefined && !team)
    throw badRequest('team_id is required for service account keys', 'team_id')
  if (standing.admin) return
  const userId = text(body['user_id'])
  const runs = runsTeam(standing, team)
  if (userId !== undefined && userId !== standing.userId && !runs)
    throw forbidden(
      `User can only create keys for themselves. Got user_id=${userId}, Your ID=${standing.userId ?? ''}`,
    )
  const rules = object(defaultsOf(visit, 'key_generation_settings'))
  if (!team) {
    refuseByRules(
      object(rules['personal_key_generation']),
      'allowed_user_roles',
      visit.caller.role,
      body,
    )
  } else {
    refuseMember(standing, team, route)
    if (userId !== undefined && !(await tx.team_member.find(`${team.id}/${userId}`)))
      throw badRequest(`User=${userId} not assigned to team=${team.id}`, 'user_id')
    refuseByRules(
      object(rules['team_key_generation']),
      'allowed_team_member_roles',
      runs ? 'admin' : 'user',
      body,
    )
  }
  const permissions = list(team?.data['team_member_permissions'])
  if (
    list(body['access_group_ids']).length > 0 &&
    !runs &&
    !permissions.includes('/key/access_group_assignment')
  )
    throw forbidden(
      "access_group_ids: only administrators give access groups to keys, and members of teams that list '/key/access_group_assignment' in team_member_permissions",
    )
}

/** `key_generation_settings`: who may make keys, and what they have to say of them. */
function refuseByRules(rules: JsonObject, field: string, role: string, body: JsonObject): void {
  const allowed = rules[field]
  if (Array.isArray(allowed) && !allowed.includes(role))
    throw badRequest(
      `Key creation has been restricted by admin. ${field}=${allowed.join(', ')}. Your role=${role}`,
    )
  for (const param of list(rules['required_params']))
    if (typeof param === 'string' && body[param] === undefined)
      throw badRequest(`Required param ${param} not in data`, param)
}

type Owners = {
  team: Doc<'team'> | undefined
  organization: Doc<'organization'> | undefined
  project: Doc<'project'> | undefined
}

async function refuseBeyond(
  tx: Tx,
  body: JsonObject,
  { team, organization, project }: Owners,
  key?: string,
): Promise<void> {
  const shared = async (doc: Doc<'project'> | Doc<'organization'> | undefined) =>
    doc?.columns.budget_id ? tx.budget.find(doc.columns.budget_id) : undefined
  refuseBeyondProject(project, await shared(project), body)
  if (team)
    refuseOverAllocation('team', team.data, await keysOf(tx, 'team_id', team.id, body), body, key)
  if (organization)
    refuseOverAllocation(
      'organization',
      effective(organization.data, await shared(organization)),
      await keysOf(tx, 'organization_id', organization.id, body),
      body,
      key,
    )
}

/** Only where somebody is promised a share: a team may have thousands of keys. */
const keysOf = async (
  tx: Tx,
  column: 'team_id' | 'organization_id',
  id: string,
  body: JsonObject,
): Promise<Key[]> =>
  JSON.stringify(body).includes('guaranteed_throughput')
    ? tx.virtual_key.list({ where: { [column]: id } })
    : []

const format = /^[a-zA-Z0-9][\w\-/.@]{0,253}[a-zA-Z0-9]$/

/** `key_alias_pattern`, `enable_key_alias_format_validation`. Throws 400. */
function checkAlias({ rooms }: Visit, alias: string | undefined): void {
  const { key_alias_pattern, enable_key_alias_format_validation } = rooms.settings.said.settings
  const own = text(key_alias_pattern)
  if (alias === undefined || (own === undefined && enable_key_alias_format_validation !== true))
    return
  let pattern = format
  try {
    if (own !== undefined) pattern = new RegExp(`^(?:${own})$`, 'u')
  } catch (cause) {
    throw new GatewayError(
      'internal',
      'litellm_settings.key_alias_pattern is no regular expression: correct it in the configuration',
      { cause },
    )
  }
  if (!pattern.test(alias))
    throw badRequest(
      own === undefined
        ? 'Invalid key_alias format. Must be 2-255 characters, start/end with alphanumeric, and only contain a-zA-Z0-9_-/.@.'
        : `Invalid key_alias format. It has to match key_alias_pattern: ${own}`,
      'key_alias',
    )
}

/** Changes a key as a body asks for it, within everything that bounds it. */
export async function alterKey(
  visit: Visit,
  tx: Tx,
  standing: Standing,
  key: Key,
  said: JsonObject,
  route: string,
): Promise<Key> {
  const team = key.columns.team_id ? await tx.team.find(key.columns.team_id) : undefined
  const { sealer } = storeOf(visit)
  const sealed = jsonOf(withSealed(said, object(key.data['metadata']), sealer))
  refuseChange(standing, key, team, sealed, route)
  const body = withinUpperBounds(visit, withinOwnKey(visit, standing, sealed, false), false)
  const project = text(body['project_id'])
  if (project !== undefined && project !== key.columns.project_id)
    throw badRequest(
      'Project reassignment is not supported. Use null to detach the key.',
      'project_id',
    )
  const named = await namedBy(tx, body)
  const after = { ...key.data, ...body }
  const owners = {
    team: named.team ?? (body['team_id'] === null ? undefined : team),
    organization: named.organization,
    project:
      body['models'] === undefined && body['max_budget'] === undefined
        ? undefined
        : await projectOf(tx, key, body),
  }
  if (named.team && named.team.id !== team?.id) {
    if (!runsTeam(standing, named.team))
      throw forbidden(`You do not administer team ${named.team.id}, so you cannot move keys to it`)
    const userId = text(after['user_id'])
    refuseMisfit(
      named.team,
      after,
      userId === undefined ? undefined : await tx.team_member.find(`${named.team.id}/${userId}`),
    )
  }
  if (named.organization && !inOrganization(standing, named.organization.id, owners.team))
    throw forbidden(`Caller is not a member of organization_id=${named.organization.id}`)
  if (throughput.some((field) => body[field] !== undefined))
    await refuseBeyond(tx, { ...after, metadata: metadataOf(key, body) }, owners, key.id)
  else await refuseBeyond(tx, body, { ...owners, team: undefined, organization: undefined })
  await refuseUnknownModels(visit, tx, list(body['models']), {
    known: [...list(key.data['models']), ...Object.keys(object(after['aliases']))],
    teamId: owners.team?.id,
  })
  if (text(body['key_alias']) !== key.data['key_alias']) checkAlias(visit, text(body['key_alias']))
  return changeKey(visit, tx, key.id, { body, by: writerOf(visit.caller) })
}

const throughput = [
  'team_id',
  'organization_id',
  'tpm_limit',
  'rpm_limit',
  'tpm_limit_type',
  'rpm_limit_type',
  'model_rpm_limit',
  'model_tpm_limit',
]
const metadataOf = ({ data }: Key, body: JsonObject): JsonObject =>
  object(body['metadata'] === undefined ? data['metadata'] : body['metadata'])

async function projectOf(tx: Tx, { columns }: Key, body: JsonObject) {
  const id = body['project_id'] === undefined ? columns.project_id : text(body['project_id'])
  return id ? tx.project.find(id) : undefined
}
