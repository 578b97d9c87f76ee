import type { Visit } from '../gateway/routes.ts'
import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { AllDocs, Tx } from '../store/store.ts'
import { effective, namedBudget } from './budget-table.ts'
import { badRequest, forbidden } from './route.ts'
import { inMetadata } from './team-fields.ts'
import { withoutSecrets } from './team-secrets.ts'

/** What a team may be given lies within what its organisation has. */
export type Bounds = {
  organization: Doc<'organization'>
  terms: JsonObject
  /** Empty: all there are. */
  models: string[]
}

/** The organisation a body names, with what counts for it. Throws 400 where there is none. */
export async function boundsOf(
  docs: Pick<AllDocs, 'organization' | 'budget'>,
  organizationId: string | null | undefined,
): Promise<Bounds | undefined> {
  if (organizationId == null) return undefined
  const organization = await docs.organization.find(organizationId)
  if (!organization)
    throw badRequest(
      `Organization not found for organization_id=${organizationId.slice(0, 200)}: make it with /organization/new first`,
      'organization_id',
    )
  const shared = await namedBudget(docs, text(organization.data['budget_id'])).catch(
    () => undefined,
  )
  return {
    organization,
    terms: effective(organization.data, shared),
    models: list(organization.data['models']).map(String),
  }
}

/** Throws 400 naming the field. `sent`: what is new; what was there before is not asked about again. */
export function refuseBeyond(
  { organization, terms, models }: Bounds,
  sent: Readonly<Record<string, unknown>>,
): void {
  for (const field of ['max_budget', 'tpm_limit', 'rpm_limit'] as const) {
    const asked = number(sent[field])
    const most = number(terms[field])
    if (asked !== undefined && most !== undefined && asked > most)
      throw badRequest(
        `Team ${field} (${asked}) exceeds organization's ${field} (${most}). Organization: ${organization.id}`,
        field,
      )
  }
  for (const model of Array.isArray(sent['models']) ? sent['models'] : [])
    if (!opens(models, model))
      throw badRequest(
        `Model '${String(model).slice(0, 100)}' not in organization's allowed models. Organization: ${organization.id}`,
        'models',
      )
}

/** Does a list of models let this one in? An empty list lets in all. */
export const opens = (models: readonly unknown[], model: unknown): boolean =>
  models.length === 0 ||
  model === 'no-default-models' ||
  models.some(
    (one) =>
      one === 'all-proxy-models' ||
      one === model ||
      (typeof one === 'string' &&
        typeof model === 'string' &&
        one.endsWith('/*') &&
        model.startsWith(one.slice(0, -1))),
  )

/**
 * `guaranteed_throughput`: what the teams of an organisation are promised together is no more than it has. Throws 400.
 */
export async function refuseOverPromised(
  tx: Tx,
  { organization, terms }: Bounds,
  teamId: string,
  data: JsonObject,
): Promise<void> {
  const said = object(data['metadata'])
  const guaranteed = [said['rpm_limit_type'], said['tpm_limit_type']]
  if (!guaranteed.includes('guaranteed_throughput')) return
  const others = (await tx.team.list({ where: { organization_id: organization.id } }))
    .filter(({ id }) => id !== teamId)
    .map((team) => team.data)
  for (const kind of ['rpm', 'tpm'] as const) {
    const field = `${kind}_limit`
    const perModel = `model_${field}`
    const most = number(terms[field])
    const own = number(data[field])
    if (own !== undefined)
      refuseMore(
        kind,
        others.map((one) => one[field]),
        own,
        most,
        field,
      )
    const ofModels = object(
      organization.data[perModel] ?? object(organization.data['metadata'])[perModel],
    )
    for (const [model, limit] of Object.entries(object(said[perModel])))
      refuseMore(
        kind,
        others.map((one) => object(object(one['metadata'])[perModel])[model]),
        number(limit) ?? 0,
        most ?? number(ofModels[model]),
        perModel,
      )
  }
}

function refuseMore(
  kind: string,
  given: readonly unknown[],
  own: number,
  most: number | undefined,
  field: string,
): void {
  const allocated = given.reduce<number>((sum, one) => sum + (number(one) ?? 0), 0)
  const word = kind.toUpperCase()
  if (most !== undefined && allocated + own > most)
    throw badRequest(
      `Allocated ${word} limit=${allocated} + Team ${word} limit=${own} is greater than organization ${word} limit=${most}`,
      field,
    )
}

/** Fields of a team that an administrator of its organisation may say; nobody opens more than they were given. */
export const orgAdminFields: ReadonlySet<string> = new Set([
  'team_id',
  'team_alias',
  'organization_id',
  'metadata',
  'models',
  'max_budget',
  'soft_budget',
  'budget_duration',
  'budget_limits',
  'model_max_budget',
  'max_parallel_requests',
  'tpm_limit',
  'rpm_limit',
  'tpd_limit',
  'model_rpm_limit',
  'model_tpm_limit',
  'rpm_limit_type',
  'tpm_limit_type',
  'tags',
  'blocked',
  'team_member_permissions',
  'default_team_member_models',
  'team_member_budget',
  'team_member_rpm_limit',
  'team_member_tpm_limit',
  'team_member_budget_duration',
  'team_member_key_duration',
  'members_with_roles',
  'members',
  'admins',
])

/** Of these, what the operator may let administrators of teams change (`team_admin_editable_team_fields`). */
const teamAdminFields = new Set(['tpm_limit', 'rpm_limit', 'max_budget'])
export const teamAdminMay = ({ rooms }: Visit): ReadonlySet<string> =>
  new Set(
    list(rooms.settings.said.general['team_admin_editable_team_fields']).filter(
      (field): field is string => typeof field === 'string' && teamAdminFields.has(field),
    ),
  )

/**
 * Fields with names of their own are not brought in, or taken out, as metadata by those who may not say them; nor are marks
 * by which clients would choose prices and answers. `before`: the metadata that a whole one takes the place of. Throws 403.
 */
export function refuseSmuggled(
  sent: unknown,
  before: JsonObject,
  may: ReadonlySet<string>,
  whole = true,
): void {
  if (!isObject(sent)) return
  const shown = withoutSecrets(before)
  for (const field of new Set([...Object.keys(sent), ...(whole ? Object.keys(before) : [])])) {
    const closed =
      (inMetadata.includes(field) && !may.has(field)) || /^(allow_|temp_budget_)/.test(field)
    if (closed && JSON.stringify(sent[field]) !== JSON.stringify(shown[field]))
      throw forbidden(
        `You may not set '${field.slice(0, 100)}' within metadata: ask a proxy administrator`,
      )
  }
}
