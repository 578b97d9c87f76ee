import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import { type Account, keyAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { moneyOf } from './budget-table.ts'
import { dollarsOf, iso } from './route.ts'
import { withoutSecrets } from './team-secrets.ts'

/** A key as LiteLLM's lists show it. `token` is its SHA-256; the key itself is nowhere. */
export function keyRow(
  doc: Doc<'virtual_key'>,
  account: Account | undefined,
  budget?: Doc<'budget'>,
): JsonObject {
  const { data, columns } = doc
  return {
    ...blank,
    ...data,
    metadata: withoutSecrets(object(data['metadata'])),
    token: doc.id,
    ...moneyOf(account),
    expires: instantOf(columns.expires_at),
    org_id: columns.organization_id ?? null,
    litellm_budget_table: sharedOf(data, budget),
    created_at: iso(doc.createdAt),
    updated_at: iso(doc.updatedAt),
  }
}

/** Every field a row has, so that clients find those nobody has set. */
const blank: JsonObject = {
  key_name: null,
  key_alias: null,
  max_budget: null,
  soft_budget: null,
  models: [],
  aliases: {},
  config: {},
  user_id: null,
  team_id: null,
  agent_id: null,
  project_id: null,
  organization_id: null,
  max_parallel_requests: null,
  metadata: {},
  tpm_limit: null,
  rpm_limit: null,
  tpd_limit: null,
  budget_duration: null,
  allowed_cache_controls: [],
  allowed_routes: [],
  key_type: null,
  permissions: {},
  model_spend: {},
  model_max_budget: {},
  budget_fallbacks: {},
  soft_budget_cooldown: false,
  blocked: null,
  budget_id: null,
  created_by: null,
  updated_by: null,
  settings_updated_at: null,
  last_active: null,
  object_permission_id: null,
  object_permission: null,
  access_group_ids: [],
  rotation_count: 0,
  auto_rotate: false,
  rotation_interval: null,
  last_rotation_at: null,
  key_rotation_at: null,
  router_settings: {},
  budget_limits: null,
}

const instantOf = (ms: string | null | undefined): string | null =>
  ms == null ? null : iso(Number(ms))

/** LiteLLM keeps a key's soft budget in a budget of its own. */
function sharedOf({ soft_budget }: JsonObject, budget: Doc<'budget'> | undefined) {
  if (!budget && soft_budget === undefined) return null
  return {
    budget_id: budget?.id ?? null,
    ...budget?.data,
    ...(soft_budget != null && { soft_budget }),
  }
}

/** The accounts beside a thing's own: one per window of `budget_limits`, one per model of `model_max_budget`. */
export const accountsBeside = (
  own: string,
  data: JsonObject,
): { id: string; of: 'window' | 'model'; name: string; duration: string | null; max: number }[] => [
  ...list(data['budget_limits']).flatMap((one) => {
    const window = object(one)
    const duration = text(window['budget_duration'])
    return duration === undefined
      ? []
      : [
          {
            id: `${own}|window:${duration}`,
            of: 'window' as const,
            name: duration,
            duration,
            max: number(window['max_budget']) ?? 0,
          },
        ]
  }),
  ...Object.entries(object(data['model_max_budget'])).flatMap(([name, value]) => {
    const terms = object(value)
    const max = number(isObject(value) ? (terms['budget_limit'] ?? terms['max_budget']) : value)
    return max === undefined
      ? []
      : [
          {
            id: `${own}|model:${name}`,
            of: 'model' as const,
            name,
            duration: text(terms['time_period']) ?? text(terms['budget_duration']) ?? null,
            max,
          },
        ]
  }),
]

/** What each window and each model's budget has seen, as /key/info and /user/info say it beside the row. */
export function usageOf(
  own: string,
  data: JsonObject,
  accounts: ReadonlyMap<string, Account>,
): JsonObject {
  const windows: JsonObject = {}
  const models: JsonObject = {}
  for (const { id, of, name, duration, max } of accountsBeside(own, data)) {
    const current_spend = dollarsOf(accounts.get(id)?.spend ?? 0)
    if (of === 'window') windows[name] = { current_spend }
    else models[name] = { current_spend, budget_limit: max, time_period: duration }
  }
  return {
    ...(Object.keys(windows).length > 0 && {
      budget_limits: list(data['budget_limits']).map((one) => {
        const window = object(one)
        const account = accounts.get(`${own}|window:${text(window['budget_duration'])}`)
        return { ...window, ...(account?.resetsAt != null && { reset_at: iso(account.resetsAt) }) }
      }),
      budget_limits_usage: windows,
    }),
    ...(Object.keys(models).length > 0 && { model_max_budget_usage: models }),
  }
}

/** `active`, `expired` or `revoked` (blocked): every key is one of them. */
export function statusOf({ data, columns }: Doc<'virtual_key'>, now: number): string {
  if (data['blocked'] === true) return 'revoked'
  return columns.expires_at != null && Number(columns.expires_at) <= now ? 'expired' : 'active'
}

/** The accounts a row is shown with. */
export const keyAccounts = (docs: readonly Doc<'virtual_key'>[]): string[] => docs.map(keyAccount)

/** A key that is no more, as it was when it ended. */
export const formerRow = ({ id, data }: Doc<'former_key'>): JsonObject => {
  const { revoke_at: _, ...kept } = data
  return {
    ...blank,
    spend: 0,
    total_spend: 0,
    budget_reset_at: null,
    expires: null,
    org_id: data['organization_id'] ?? null,
    litellm_budget_table: null,
    ...kept,
    metadata: withoutSecrets(object(data['metadata'])),
    token: id,
    status: 'deleted',
  }
}
