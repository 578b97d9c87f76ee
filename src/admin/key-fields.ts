import * as z from 'zod'
import type { JsonObject } from '../json/json.ts'
import { durationMs } from '../store/durations.ts'
import * as f from './fields.ts'

/** Bodies of the key routes. Null clears, and what is not known is kept. */

/** Clients that clear a field of a form send empty text. */
const cleared = <T extends z.ZodType>(kind: T) =>
  z.preprocess((value) => (value === '' ? null : value), kind.nullish())

/** How long a key lives, from now; `-1`: for ever. */
const lifetime = z
  .string("expected text like '30s', '1h' or '30d'")
  .refine(
    (text) => text === '-1' || (text.length <= 40 && durationMs(text) !== undefined),
    "Invalid duration: use a format like '30s', '30m', '1h' or '30d', or '-1' for a key that never expires",
  )

const interval = z
  .string("expected text like '30d'")
  .refine(
    (text) => text.length <= 40 && (durationMs(text) ?? 0) >= 60_000,
    "Invalid rotation_interval: use a format like '1h', '7d' or '30d', and at least a minute",
  )

const grace = z
  .string("expected text like '24h'")
  .refine(
    (text) => text.length <= 40 && durationMs(text) !== undefined,
    "Invalid grace_period: use a format like '30m', '24h' or '2d'",
  )

const map = z.record(z.string(), z.unknown(), 'expected a map')
const flag = z.boolean('expected true or false')

const throughput = z.enum(
  ['guaranteed_throughput', 'best_effort_throughput', 'dynamic'],
  'expected guaranteed_throughput, best_effort_throughput or dynamic',
)

export const keyTypes = ['default', 'llm_api', 'management', 'read_only'] as const

/** Routes that a type of key opens, as its `allowed_routes` say it. */
export const routesOfType: Readonly<Record<(typeof keyTypes)[number], readonly string[]>> = {
  default: [],
  llm_api: ['llm_api_routes'],
  management: ['management_routes'],
  read_only: ['info_routes'],
}

/** What keys and users have in common. */
export const commonFields = {
  models: f.names.nullish(),
  spend: f.spent.nullish(),
  max_budget: cleared(f.dollars),
  soft_budget: cleared(f.dollars),
  budget_duration: cleared(f.duration),
  budget_limits: f.budgetWindows
    .refine(
      (windows) =>
        new Set(windows.map(({ budget_duration }) => budget_duration)).size === windows.length,
      'has two windows of the same budget_duration',
    )
    .nullish(),
  max_parallel_requests: cleared(f.limit),
  tpm_limit: cleared(f.limit),
  rpm_limit: cleared(f.limit),
  tpd_limit: cleared(f.limit),
  model_max_budget: f.budgetByModel.nullish(),
  budget_fallbacks: z.record(f.name, f.names, 'expected a map from models to lists').nullish(),
  metadata: f.metadata.nullish(),
  allowed_cache_controls: f.names.nullish(),
  config: map.nullish(),
  permissions: map.nullish(),
  aliases: z.record(f.name, f.name, 'expected a map from names to models').nullish(),
  guardrails: f.names.nullish(),
  policies: f.names.nullish(),
  prompts: f.names.nullish(),
  blocked: flag.nullish(),
  object_permission: f.objectPermission.nullish(),
  model_rpm_limit: f.limitByModel.nullish(),
  model_tpm_limit: f.limitByModel.nullish(),
  mcp_rpm_limit: f.limitByModel.nullish(),
  tag_rpm_limit: f.limitByModel.nullish(),
  budget_id: cleared(f.id),
  tags: f.names.nullish(),
  send_invite_email: flag.nullish(),
}

const keyFields = {
  ...commonFields,
  key_alias: cleared(f.name),
  duration: cleared(lifetime),
  user_id: cleared(f.id),
  team_id: cleared(f.id),
  organization_id: cleared(f.id),
  project_id: cleared(f.id),
  agent_id: cleared(f.name),
  model_itpm_limit: f.limitByModel.nullish(),
  model_otpm_limit: f.limitByModel.nullish(),
  default_estimated_output_tokens: f.limit.nullish(),
  default_estimated_output_tokens_per_model: f.limitByModel.nullish(),
  end_user_budget_id: z.string('expected text').max(255).nullish(),
  disable_global_guardrails: flag.nullish(),
  enable_prompt_caching: flag.nullish(),
  throttle_on_budget_exceeded: flag.nullish(),
  enforced_params: f.names.nullish(),
  allowed_routes: f.names.nullish(),
  allowed_passthrough_routes: z.array(z.unknown(), 'expected a list').max(1000).nullish(),
  denied_passthrough_routes: f.names.nullish(),
  allowed_vector_store_indexes: z.array(z.unknown(), 'expected a list').max(1000).nullish(),
  rpm_limit_type: throughput.nullish(),
  tpm_limit_type: throughput.nullish(),
  router_settings: map.nullish(),
  access_group_ids: f.ids.nullish(),
  key_type: z.enum(keyTypes, `expected ${keyTypes.join(', ')}`).nullish(),
  auto_rotate: flag.nullish(),
  rotation_interval: cleared(interval),
  temp_budget_increase: f.dollars.nullish(),
  temp_budget_expiry: f.instant.nullish(),
}

/** A key, or its SHA-256. */
const keyName = z.string('expected a key or its SHA-256').min(1, 'may not be empty').max(1000)
/** A key of somebody's own making. */
const secret = z
  .string('expected text')
  .max(255, 'may not be longer than 255 characters')
  .refine((text) => text.startsWith('sk-'), "must start with 'sk-'")
  .refine((text) => text.length >= 16, 'must be at least 16 characters long')
  .refine(
    (text) => /^[\x21-\x7e]*$/.test(text),
    'may have letters, digits and signs of ASCII only: it travels in a header',
  )

const sizeMax = 2 * 1024 * 1024
const bounded = <S extends z.ZodRawShape>(shape: S, id: string) =>
  z
    .looseObject(shape)
    .refine((body) => JSON.stringify(body).length <= sizeMax, 'is larger than 2 MB')
    .meta({ id })

export const generateKey = bounded({ ...keyFields, key: secret.nullish() }, 'GenerateKey')
export const updateKey = bounded({ ...keyFields, key: keyName.nullish() }, 'UpdateKey')
export const regenerateKey = bounded(
  {
    ...keyFields,
    key: keyName.nullish(),
    new_key: secret.nullish(),
    new_master_key: z.unknown().optional(),
    grace_period: cleared(grace),
  },
  'RegenerateKey',
)
export const manyKeys = z
  .looseObject({
    keys: z.array(keyName, 'expected a list of keys').max(1000, 'has more than 1000').nullish(),
    key_aliases: f.names.nullish(),
  })
  .meta({ id: 'ManyKeys' })
export const oneKey = z.looseObject({ key: keyName }).meta({ id: 'OneKey' })
export const resetSpend = z.looseObject({ reset_to: f.spent }).meta({ id: 'ResetSpend' })
export const bulkKeys = z
  .looseObject({
    keys: z
      .array(updateKey)
      .min(1, 'No keys provided for update')
      .max(500, 'Maximum 500 keys can be updated at once'),
  })
  .meta({ id: 'BulkUpdateKeys' })

export type KeyBody = z.output<typeof updateKey>

export const keyAnswer = z
  .looseObject({
    key: z.string().meta({ description: 'The key itself, shown this once' }),
    token: z.string().meta({ description: 'Its SHA-256, by which it is known from now on' }),
    key_name: z.string().nullable(),
    expires: z.string().nullable(),
  })
  .meta({ id: 'GeneratedKey' })
export const keyInfo = z
  .looseObject({
    key: z.string(),
    info: z.looseObject({ spend: z.number(), max_budget: z.number().nullable() }),
  })
  .meta({ id: 'KeyInfo' })

/** Fields that LiteLLM keeps, and shows, inside `metadata`. */
export const metadataFields: readonly string[] = [
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
  'temp_budget_increase',
  'temp_budget_expiry',
  'allowed_vector_store_indexes',
  'enforced_batch_output_expires_after',
  'enforced_file_expires_after',
  'throttle_on_budget_exceeded',
  'enable_prompt_caching',
  'end_user_budget_id',
  'disable_global_guardrails',
  'guardrails',
  'policies',
  'tags',
  'prompts',
  'logging',
  'secret_manager_settings',
  'allowed_passthrough_routes',
  'denied_passthrough_routes',
]

/** Names a body may say: what is beside these is kept, but only administrators may say it. */
export const knownFields: ReadonlySet<string> = new Set([
  ...Object.keys(keyFields),
  ...metadataFields,
])

/** Bodies were JSON, and zod makes nothing of them that is not. */
export const jsonOf = (body: Readonly<Record<string, unknown>>): JsonObject => body as JsonObject
