import { isObject, type Json, type JsonObject, object } from '../json/json.ts'
import { isSecretKey } from '../provider/secrets.ts'
import type { Doc } from '../store/docs.ts'
import type { Sealer } from '../store/seal.ts'

/** Sections of the config that may be changed over the API, one document each. */
export const sectionNames = ['litellm_settings', 'general_settings', 'router_settings'] as const
export type SectionName = (typeof sectionNames)[number]
export const variablesName = 'environment_variables'

/** With whatever may be secret sealed: values by their names, and every variable. */
export function sealSection(name: string, data: JsonObject, { seal }: Sealer): JsonObject {
  const sealed = (value: Json | undefined): string => seal(JSON.stringify(value ?? null))
  const read = (value: Json | undefined, key: string): Json | undefined => {
    if (value === null || value === undefined) return value
    if (name === variablesName || isSecretKey(key)) return sealed(value)
    // What looks sealed must come back as it was.
    if (typeof value === 'string') return value.startsWith('sealed:') ? sealed(value) : value
    if (Array.isArray(value)) return value.map((item) => read(item, '') ?? null)
    return isObject(value) ? mapOf(value, read) : value
  }
  return mapOf(data, read)
}

/** Throws where it was sealed with another key. */
export function openSection({ data }: Doc<'setting'>, { open }: Sealer): JsonObject {
  const read = (value: Json | undefined): Json | undefined => {
    if (typeof value === 'string')
      return value.startsWith('sealed:') ? JSON.parse(open(value)) : value
    if (Array.isArray(value)) return value.map((item) => read(item) ?? null)
    return isObject(value) ? mapOf(value, read) : value
  }
  return object(mapOf(data, read))
}

const mapOf = (
  from: JsonObject,
  read: (value: Json | undefined, key: string) => Json | undefined,
): JsonObject =>
  Object.fromEntries(Object.entries(from).map(([key, value]) => [key, read(value, key)]))

/** Settings that are looked at anew with every change. Others that work take a restart. */
export const changesAtOnce: Readonly<Record<SectionName, ReadonlySet<string>>> = {
  litellm_settings: new Set(
    `drop_params modify_params request_timeout num_retries fallbacks context_window_fallbacks
    content_policy_fallbacks default_fallbacks max_fallbacks allowed_fails model_alias_map model_group_settings
    block_requests_for_models_without_pricing max_budget budget_duration max_end_user_budget max_end_user_budget_id
    budget_exceeded_status_code default_team_params default_internal_user_params
    default_key_generate_params upperbound_key_generate_params public_model_groups public_model_groups_links
    key_alias_pattern enable_key_alias_format_validation`.split(/\s+/),
  ),
  general_settings: new Set(
    `budget_overshoot fail_closed_budget_enforcement disable_budget_reservation token_rate_limit_type
    global_max_parallel_requests max_parallel_requests apply_user_budget_to_team_keys
    maximum_spend_logs_retention_period maximum_spend_logs_size_mb maximum_spend_logs_retention_interval
    maximum_spend_logs_cleanup_batch_size maximum_spend_logs_cleanup_max_batches prompt_retention_period prompt_size_mb
    store_prompts_in_spend_logs alerting alert_types alert_to_webhook_url enforce_user_param enforced_params
    service_account_settings reject_clientside_metadata_tags unpriced_models infer_model_from_keys allow_client_side_credentials completion_model embedding_model
    image_generation_model moderation_model transcription_model speech_model forward_client_headers_to_llm_api
    forward_openai_org_id user_header_name user_header_mappings include_call_id_in_error_body
    always_include_stream_usage public_routes dangerously_allow_mock_testing_request_params disable_custom_api_keys disable_auto_add_proxy_admin_to_teams
    team_admin_editable_team_fields team_metadata_schema store_model_in_db
    pass_through_endpoints pass_through_request_timeout`.split(/\s+/),
  ),
  router_settings: new Set(
    `num_retries retry_policy model_group_retry_policy retry_after cooldown_time disable_cooldowns allowed_fails
    allowed_fails_policy fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks max_fallbacks
    model_group_alias enable_tag_filtering tag_filtering_match_any timeout stream_timeout default_litellm_params
    routing_strategy provider_budget_config`.split(/\s+/),
  ),
}
