import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as z from 'zod'
import type { JsonObject } from '../json/json.ts'
import { strategies as routing } from '../router/strategies.ts'
import { type Rows, strategies, topLevel } from './keys.ts'
import { isPrice } from './names.ts'
import { readConfig } from './schema.ts'
import { rowOf } from './table.ts'

const inside = (rows: Rows, ...path: string[]): Rows =>
  path.reduce((table, key) => table[key]?.inside?.rows ?? {}, rows)

/** As they are found in configurations of real deployments, so a key that falls out of a table is noticed. */
const used: [section: string[], keys: string][] = [
  [
    [],
    'model_list litellm_settings general_settings router_settings environment_variables include credential_list guardrails mcp_servers vector_store_registry search_tools callback_settings prompts files_settings finetune_settings default_vertex_config agents policies',
  ],
  [
    ['model_list', 'litellm_params'],
    'model api_key api_base base_url api_version custom_llm_provider organization timeout stream_timeout max_retries num_retries rpm tpm itpm otpm weight order max_parallel_requests max_budget budget_duration drop_params additional_drop_params allowed_openai_params extra_headers extra_body headers tags mock_response cooldown_time litellm_credential_name configurable_clientside_auth_params use_in_pass_through merge_reasoning_content_in_choices cache_control_injection_points aws_access_key_id aws_secret_access_key aws_session_token aws_region_name aws_role_name aws_profile_name aws_session_name aws_web_identity_token aws_sts_endpoint aws_bedrock_runtime_endpoint vertex_project vertex_location vertex_credentials azure_ad_token tenant_id client_id client_secret anthropic_federation_rule_id anthropic_keycloak_url watsonx_region_name s3_bucket_name guardrails auto_router_config complexity_router_default_model supports_system_message model_info',
  ],
  [
    ['model_list', 'model_info'],
    'id base_model mode max_tokens max_input_tokens max_output_tokens supports_vision supports_function_calling litellm_provider db_model team_id access_groups blocked health_check_model health_check_timeout allowed_fails allowed_fails_policy disable_background_health_check ptu_count created_at',
  ],
  [
    ['litellm_settings'],
    'drop_params modify_params num_retries request_timeout set_verbose json_logs callbacks success_callback failure_callback service_callback post_call_rules cache cache_params fallbacks context_window_fallbacks content_policy_fallbacks default_fallbacks allowed_fails max_fallbacks model_alias_map max_budget budget_duration budget_exceeded_status_code default_internal_user_params max_internal_user_budget internal_user_budget_duration max_user_budget max_end_user_budget default_team_settings default_team_params default_key_generate_params upperbound_key_generate_params key_generation_settings turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions log_raw_request_response global_disable_no_log_param store_audit_logs langfuse_default_tags prometheus_metrics_config custom_prometheus_metadata_labels require_auth_for_metrics_endpoint tag_budget_config cost_discount_config cost_margin_config model_group_settings priority_reservation ssl_verify ssl_certificate force_ipv4 include_cost_in_streaming_usage disable_streaming_logging expose_router_debug_in_errors custom_provider_map guardrails mcp_aliases enable_redis_auth_cache s3_callback_params user_url_validation public_model_groups telemetry enable_preview_features suppress_debug_info',
  ],
  [
    ['litellm_settings', 'cache_params'],
    'type mode host port password username url db ssl namespace ttl default_in_memory_ttl default_in_redis_ttl supported_call_types similarity_threshold redis_startup_nodes sentinel_nodes service_name redis_semantic_cache_embedding_model valkey_semantic_cache_index_name qdrant_api_base qdrant_collection_name s3_bucket_name s3_region_name s3_aws_access_key_id gcs_bucket_name disk_cache_dir',
  ],
  [
    ['general_settings'],
    'master_key database_url database_connection_pool_limit database_connection_timeout allow_requests_on_db_unavailable store_model_in_db store_prompts_in_spend_logs disable_spend_logs maximum_spend_logs_retention_period disable_reset_budget proxy_budget_rescheduler_min_time proxy_batch_write_at use_redis_transaction_buffer coordination_redis user_api_key_cache_ttl max_parallel_requests global_max_parallel_requests max_request_size_mb max_response_size_mb completion_model infer_model_from_keys custom_auth custom_key_generate custom_sso litellm_key_header_name enable_jwt_auth litellm_jwtauth enforce_user_param enforced_params user_header_name user_header_mappings allow_client_side_credentials forward_client_headers_to_llm_api forward_openai_org_id allowed_routes admin_only_routes public_routes allowed_ips use_x_forwarded_for alerting alert_types alerting_args alert_to_webhook_url alerting_threshold background_health_checks health_check_interval health_check_details pass_through_endpoints ui_access_mode role_permissions key_management_system key_management_settings disable_master_key_return service_account_settings always_include_stream_usage cancel_on_disconnect limits unpriced_models embedding_model image_generation_model',
  ],
  [
    ['general_settings', 'litellm_jwtauth'],
    'admin_jwt_scope team_id_jwt_field user_id_jwt_field user_id_upsert public_key_ttl enforce_rbac role_mappings scope_mappings user_allowed_email_domain end_user_id_jwt_field oidc_userinfo_enabled virtual_key_claim_field issuers',
  ],
  [
    ['router_settings'],
    'routing_strategy routing_strategy_args num_retries max_fallbacks retry_after retry_policy model_group_retry_policy allowed_fails allowed_fails_policy cooldown_time disable_cooldowns fallbacks context_window_fallbacks content_policy_fallbacks default_fallbacks model_group_alias timeout stream_timeout enable_pre_call_checks optional_pre_call_checks enable_tag_filtering tag_filtering_match_any provider_budget_config default_max_parallel_requests default_litellm_params redis_host redis_port redis_password redis_url cache_responses cache_kwargs client_ttl alerting_config ignore_invalid_deployments set_verbose debug_level',
  ],
  [
    ['mcp_servers'],
    'url transport command args env spec_path auth_type authentication_token static_headers extra_headers allowed_tools disallowed_tools access_groups allow_all_keys client_id client_secret scopes authorization_url token_url mcp_info aws_region_name',
  ],
]
for (const [section, keys] of used)
  test(`keys in use are known: ${section.join('.') || 'top level'}`, () => {
    const rows = inside(topLevel, ...section)
    const strange = keys.split(' ').filter((key) => rowOf(rows, key) === undefined)
    assert.deepEqual(strange, [])
  })

/** Every table, with its name. */
function* tables(rows: Rows, name = 'top level'): Generator<[string, Rows]> {
  yield [name, rows]
  for (const [key, row] of Object.entries(rows)) if (row.inside) yield* tables(row.inside.rows, key)
}

test('every default is a value its own key accepts, and is told in words', () => {
  for (const [name, rows] of tables(topLevel))
    for (const [key, row] of Object.entries(rows)) {
      assert.match(row.about, /[.:,)…]$/, `${name}.${key}`)
      if (row.default !== undefined)
        assert.deepEqual(row.kind.safeParse(row.default).data, row.default, `${name}.${key}`)
    }
})

test('a default, written out, is worth no warning', () => {
  const sections = ['litellm_settings', 'general_settings', 'router_settings'] as const
  const raw: JsonObject = {}
  for (const section of sections) {
    const own: JsonObject = {}
    for (const [key, row] of Object.entries(topLevel[section].inside?.rows ?? {}))
      if (row.default !== undefined) own[key] = row.default
    raw[section] = own
  }
  const { errors, warnings } = readConfig(raw)
  assert.deepEqual([errors, warnings], [[], []])
})

test('every key without a default is accepted with a value of its kind', () => {
  const samples = [
    'a',
    1,
    true,
    ['a'],
    { a: 'b' },
    [{ a: ['b'] }],
    { RateLimitErrorRetries: 1 },
    { a: { DefaultRetries: 1 } },
  ]
  for (const [name, rows] of tables(topLevel))
    for (const [key, row] of Object.entries(rows))
      assert.ok(
        samples.some((sample) => row.kind.safeParse(sample).success) ||
          row.default !== undefined ||
          row.kind instanceof z.ZodEnum,
        `${name}.${key}`,
      )
})

test('every strategy has its row in the router', () => {
  // Budgets of providers are looked at whatever the strategy.
  const rows = ['provider-budget-routing', ...Object.keys(routing)]
  assert.deepEqual([...strategies].sort(), rows.sort())
})

const prices: [name: string, is: boolean][] = [
  ['input_cost_per_token', true],
  ['output_cost_per_token_above_200k_tokens_batches', true],
  ['cache_creation_input_token_cost_above_1hr_above_100k_tokens', true],
  ['cache_read_input_token_cost_above_272k_tokens_priority', true],
  ['input_cost_per_video_per_second_above_15s_interval', true],
  ['output_cost_per_image_0.5K', true],
  ['output_cost_per_second_1080p', true],
  ['input_cost_per_token_cache_hit', true],
  ['regional_processing_uplift_multiplier_eu', true],
  ['tiered_pricing', true],
  ['search_context_cost_per_query', true],
  ['input_cost_per_tokn', false],
  ['cost', false],
  ['max_tokens', false],
  [`input_cost_per_token${'_above_200k_tokens'.repeat(1000)}`, false],
]
for (const [name, is] of prices)
  test(`${name.slice(0, 60)}: ${is ? 'a' : 'no'} price`, () => assert.equal(isPrice(name), is))

const written: unknown = JSON.parse(
  readFileSync(new URL('../../data/config.schema.json', import.meta.url), 'utf8'),
)
const schema = z.fromJSONSchema(written as Parameters<typeof z.fromJSONSchema>[0]) // the file is ours

const files: [name: string, file: unknown, fits: boolean][] = [
  [
    'a usual file',
    {
      model_list: [
        {
          model_name: 'a',
          litellm_params: {
            model: 'openai/a',
            api_key: 'os.environ/K',
            temperature: 1,
            input_cost_per_token: 1e-6,
          },
          model_info: { owner: 'me' },
        },
      ],
      litellm_settings: { drop_params: true, callbacks: ['langfuse'] },
    },
    true,
  ],
  [
    'values from the environment',
    {
      router_settings: {
        timeout: 'os.environ/T',
        disable_cooldowns: 'os.environ/D',
        routing_strategy: 'os.environ/S',
        num_retries: 3,
      },
    },
    true,
  ],
  [
    'lenient values',
    { litellm_settings: { drop_params: 'True', num_retries: '3', request_timeout: '1.5' } },
    true,
  ],
  ['keys without a value', { model_list: null, general_settings: { master_key: null } }, true],
  [
    'our own keys',
    { general_settings: { limits: { json_body_mb: 3 }, unpriced_models: { price_as: 'a' } } },
    true,
  ],
  [
    'fallbacks',
    {
      router_settings: {
        fallbacks: [{ a: ['b', { model: 'c' }] }],
        model_group_alias: { a: 'b', c: { model: 'd', hidden: true } },
      },
    },
    true,
  ],
  ['no model', { model_list: [{ model_name: 'a', litellm_params: {} }] }, false],
  ['a misspelt key', { router_settings: { num_retrys: 3 } }, false],
  ['a wrong type', { litellm_settings: { drop_params: 'maybe' } }, false],
]
for (const [name, file, fits] of files)
  test(`the JSON Schema ${fits ? 'takes' : 'refuses'} ${name}`, () =>
    assert.equal(schema.safeParse(file).success, fits))
