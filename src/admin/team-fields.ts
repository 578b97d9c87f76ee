import * as z from 'zod'
import type { JsonObject } from '../json/json.ts'
import { object } from '../json/json.ts'
import {
  budgetByModel,
  budgetFields,
  budgetWindows,
  dollars,
  duration,
  guaranteed,
  id,
  ids,
  limit,
  limitByModel,
  metadata,
  name,
  names,
  objectPermission,
} from './fields.ts'
import { member } from './people.ts'
import { merged, shownOnly } from './written.ts'

/** Text that is empty or blank says nothing: LiteLLM's pages send it for fields nobody filled in. */
const unlessBlank = <T extends z.ZodType>(inner: T) =>
  z.preprocess(
    (value) => (typeof value === 'string' && value.trim() === '' ? null : value),
    inner.nullish(),
  )

const fields = {
  team_alias: name.nullish(),
  organization_id: unlessBlank(id),
  metadata: metadata.nullish(),
  ...budgetFields,
  budget_limits: budgetWindows.nullish(),
  model_max_budget: budgetByModel.nullish(),
  models: names.nullish(),
  blocked: z.boolean().nullish(),
  team_member_permissions: names.nullish(),
  router_settings: objectPermission.nullish(),
  access_group_ids: ids.nullish(),
  default_team_member_models: names.nullish(),
  model_aliases: z.record(name, name).nullish(),
  object_permission: objectPermission.nullish(),
  tags: names.nullish(),
  guardrails: names.nullish(),
  policies: names.nullish(),
  prompts: names.nullish(),
  model_rpm_limit: limitByModel.nullish(),
  model_tpm_limit: limitByModel.nullish(),
  rpm_limit_type: guaranteed.nullish(),
  tpm_limit_type: guaranteed.nullish(),
  mcp_rpm_limit: limitByModel.nullish(),
  default_estimated_output_tokens: limit.nullish(),
  default_estimated_output_tokens_per_model: limitByModel.nullish(),
  team_member_key_duration: duration.nullish(),
  team_member_budget: dollars.nullish(),
  team_member_rpm_limit: limit.nullish(),
  team_member_tpm_limit: limit.nullish(),
  team_member_budget_duration: duration.nullish(),
}

export const newTeam = z
  .looseObject({
    team_id: unlessBlank(id),
    ...fields,
    members_with_roles: z.array(member).max(10_000).nullish(),
    members: ids.nullish(),
    admins: ids.nullish(),
  })
  .meta({ id: 'NewTeam' })
export const teamUpdate = z.looseObject({ team_id: id, ...fields }).meta({ id: 'TeamUpdate' })
export const teamPatch = z
  .looseObject({ team_id: id.nullish(), ...fields })
  .meta({ id: 'TeamPatch' })
/** What `default_team_params` may say. */
export const teamDefaults = z.object({
  max_budget: dollars.nullish(),
  budget_duration: duration.nullish(),
  tpm_limit: limit.nullish(),
  rpm_limit: limit.nullish(),
  models: names.nullish(),
  team_member_permissions: names.nullish(),
  organization_id: id.nullish(),
})

export const teamRef = z.object({ team_id: id }).meta({ id: 'TeamId' })
export const teamModels = z.object({ team_id: id, models: names }).meta({ id: 'TeamModels' })
export const teamIds = z
  .object({ team_ids: ids.min(1, 'name at least one team') })
  .meta({ id: 'TeamIds' })
export const teamRowShape = z.looseObject({ team_id: z.string() }).meta({ id: 'Team' })

/** Fields that LiteLLM keeps and shows within `metadata`. */
export const inMetadata: readonly string[] = [
  'model_rpm_limit',
  'model_tpm_limit',
  'model_itpm_limit',
  'model_otpm_limit',
  'default_estimated_output_tokens',
  'default_estimated_output_tokens_per_model',
  'mcp_rpm_limit',
  'tag_rpm_limit',
  'rpm_limit_type',
  'tpm_limit_type',
  'enforced_params',
  'allowed_vector_store_indexes',
  'enforced_batch_output_expires_after',
  'enforced_file_expires_after',
  'disable_global_guardrails',
  'guardrails',
  'tags',
  'team_member_key_duration',
  'prompts',
  'logging',
  'secret_manager_settings',
  'allowed_passthrough_routes',
  'denied_passthrough_routes',
]

/** The budget of members who have none of their own: a shared budget, which the team's metadata names. */
export const memberBudgetFields = {
  team_member_budget: 'max_budget',
  team_member_rpm_limit: 'rpm_limit',
  team_member_tpm_limit: 'tpm_limit',
  team_member_budget_duration: 'budget_duration',
} as const
export const memberBudgetId = 'team_member_budget_id'

const derived = new Set([
  ...shownOnly,
  ...inMetadata,
  ...Object.keys(memberBudgetFields),
  'metadata',
  'team_id',
  'members',
  'admins',
  'members_with_roles',
  'team_memberships',
  'keys',
  'members_count',
  'keys_count',
  'litellm_model_table',
  'model_id',
  'team_member_budget_table',
  'organization_models',
  'access_group_models',
])

/** A team's document after a body: metadata is replaced as a whole where it is sent, but for what is not the client's. */
export function teamData(was: JsonObject, body: Readonly<Record<string, unknown>>): JsonObject {
  const before = object(was['metadata'])
  const sent = inMetadata.filter((key) => body[key] !== undefined)
  const cleared = new Set([
    '__proto__',
    memberBudgetId,
    ...sent.filter((key) => body[key] === null),
  ])
  const base = body['metadata'] === undefined ? before : (body['metadata'] ?? {})
  const metadata = { ...base, ...Object.fromEntries(sent.map((key) => [key, body[key]])) }
  const kept = before[memberBudgetId]
  return {
    ...merged(was, body, derived),
    metadata: {
      // Bodies were JSON.
      ...(Object.fromEntries(
        Object.entries(metadata).filter(([key]) => !cleared.has(key)),
      ) as JsonObject),
      ...(kept !== undefined && { [memberBudgetId]: kept }),
    },
  }
}
