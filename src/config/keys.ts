import type * as z from 'zod'
import type { Json } from '../json/json.ts'
import * as k from './kinds.ts'

/**
 * Every key of LiteLLM's config.yaml, and what this build does with it. docs/config.md and data/config.schema.json are
 * written from these tables. The verb in front of a row is its status; a key that has come to work changes that word.
 */
export type Status =
  /** Works. */
  | 'acted'
  /** Accepted, without effect yet. */
  | 'known'
  /** The same, for a key that limits access or spend: somebody counts on it, so it is reported louder. */
  | 'unmet'
  /** Code in Python, which cannot run here: checks.ts reports each by name. */
  | 'python'

export type Row<K extends z.ZodType = z.ZodType> = {
  kind: K
  status: Status
  about: string
  default?: Json
  unit?: string
  /** The table of the keys inside: of the map, of each map in the list, or of each map under a name. */
  inside?: { rows: Rows; each?: 'item' | 'name' }
  /** Keys that are not in the table inside belong to someone else (a call, a guardrail's vendor) and are no mistake. */
  open?: boolean
}
/** A name that ends in `*` stands for every key that begins so. */
export type Rows = { readonly [key: string]: Row }

type More = Pick<Row, 'default' | 'unit' | 'inside' | 'open'>

const as =
  (status: Status) =>
  <K extends z.ZodType>(kind: K, about: string, more: More = {}): Row<K> => ({
    kind,
    status,
    about,
    ...more,
  })
const acted = as('acted')
const known = as('known')
const unmet = as('unmet')
const python = as('python')

/** Several keys of one meaning. */
const all = <const N extends string, R extends Row>(keys: readonly N[], row: R): Record<N, R> => {
  const out: Partial<Record<N, R>> = {}
  for (const key of keys) out[key] = row
  return out as Record<N, R> // every key was just given its row
}

const s = { unit: 's' }
const usd = { unit: 'USD' }
const off = { default: false }
const on = { default: true }

const retryNames = all(
  k.policyNames('Retries', 'Default'),
  acted(k.count, 'Retries after this kind of error.'),
)
const failNames = all(
  k.policyNames('AllowedFails', 'BadGatewayError'),
  acted(k.count, 'Failures of this kind before the deployment rests.'),
)

// biome-ignore format: a table reads by the line
/** litellm_settings.cache_params */
const cacheParams = {
  type: known(k.text, 'Where answers are kept: local, redis, redis-semantic, valkey-semantic, qdrant-semantic, s3, gcs, azure-blob or disk.', { default: 'local' }),
  mode: known(k.oneOf('default_on', 'default_off'), 'default_off caches only what a request asks to cache.', { default: 'default_on' }),
  ...all(['host', 'password', 'username', 'url', 'namespace', 'service_name', 'gcp_service_account', 'gcp_ssl_ca_certs'], known(k.label, 'Redis connection.')),
  port: known(k.port, 'Redis port.'),
  db: known(k.count, 'Redis database number.'),
  ssl: known(k.flag, 'Redis over TLS.', off),
  ttl: known(k.seconds, 'How long an answer is kept.', s),
  ...all(['default_in_memory_ttl', 'default_in_redis_ttl'], known(k.seconds, 'How long an answer is kept there.', s)),
  supported_call_types: known(k.names, 'Which calls are cached.'),
  ...all(['max_connections', 'redis_flush_size'], known(k.count, 'Redis client tuning.')),
  ...all(['redis_startup_nodes', 'sentinel_nodes'], known(k.list, 'Nodes of a Redis cluster or its sentinels.')),
  sentinel_password: known(k.text, 'Password of the sentinels.'),
  similarity_threshold: known(k.amount, 'How alike two prompts must be to share an answer, 0 to 1.'),
  ...all(['redis_semantic_cache_embedding_model', 'redis_semantic_cache_index_name', 'valkey_semantic_cache_*', 'qdrant_semantic_cache_embedding_model', 'semantic_cache_scope'], known(k.anything, 'Semantic cache.')),
  ...all(['qdrant_api_base', 'qdrant_api_key', 'qdrant_collection_name', 'qdrant_quantization_config', 'qdrant_semantic_cache_vector_size', 'semantic_cache_embedding_timeout', 'semantic_cache_embedding_max_input_tokens', 'max_messages'], known(k.anything, 'Semantic cache.')),
  ...all(['s3_bucket_name', 's3_region_name', 's3_path', 's3_endpoint_url', 's3_aws_*', 's3_use_ssl', 's3_verify', 's3_api_version'], known(k.anything, 'Cache in an S3 bucket.')),
  ...all(['gcs_bucket_name', 'gcs_path', 'gcs_path_service_account', 'azure_account_url', 'azure_blob_container', 'disk_cache_dir'], known(k.anything, 'Cache in another store.')),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** general_settings.litellm_jwtauth */
const jwtAuth = {
  ...all(['admin_jwt_scope', 'team_id_jwt_field', 'team_ids_jwt_field', 'team_alias_jwt_field', 'team_id_default', 'org_id_jwt_field', 'org_alias_jwt_field', 'user_id_jwt_field', 'user_email_jwt_field', 'user_allowed_email_domain', 'user_roles_jwt_field', 'end_user_id_jwt_field', 'roles_jwt_field', 'object_id_jwt_field'], acted(k.text, 'Which claim of the token says it, or which value it must have.')),
  ...all(['oidc_userinfo_endpoint', 'virtual_key_claim_field'], known(k.text, 'Where more is told of the bearer.')),
  custom_validate: python(k.text, 'A hook, which never runs.'),
  ...all(['admin_allowed_routes', 'team_allowed_routes', 'user_allowed_roles', 'role_mappings', 'scope_mappings', 'jwt_litellm_role_map', 'issuers'], acted(k.list, 'What a role, scope or issuer may do.')),
  public_allowed_routes: known(k.anything, 'What a token that names nobody may do: nothing here.'),
  ...all(['team_id_upsert', 'user_id_upsert', 'upsert_sso_user_to_team', 'sync_user_role_and_teams'], acted(k.flag, 'Make who the token names, or write what it says of them.', off)),
  oidc_userinfo_enabled: known(k.flag, 'Look up who the token names.', off),
  ...all(['enforce_rbac', 'enforce_scope_based_access', 'enforce_team_based_model_access'], acted(k.flag, 'Refuse what the role, scope or team does not allow.', off)),
  public_key_ttl: acted(k.seconds, 'How long signing keys are kept.', { default: 600, ...s }),
  public_key_stale_ttl: acted(k.seconds, 'How long old signing keys serve when new ones cannot be had.', { default: 3600, ...s }),
  ...all(['oidc_userinfo_cache_ttl', 'virtual_key_mapping_cache_ttl'], known(k.seconds, 'How long the look-up is kept.', { default: 300, ...s })),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** general_settings.coordination_redis */
const coordinationRedis = {
  ...all(['host', 'password', 'username', 'url', 'sentinel_password', 'service_name', 'aws_iam_*'], known(k.label, 'Connection of the Redis for limits and locks.')),
  port: known(k.port, 'Its port.'),
  ssl: known(k.flag, 'TLS.', off),
  ...all(['startup_nodes', 'sentinel_nodes'], known(k.list, 'Nodes of a cluster or its sentinels.')),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** general_settings.pass_through_endpoints[] */
const passThroughEndpoint = {
  id: known(k.label, 'Name of the route.'),
  path: acted(k.text, 'Path on this server.'),
  target: acted(k.text, 'URL the request goes to.'),
  headers: acted(k.map, 'Headers added to it.'),
  include_subpath: acted(k.flag, 'Serve what is below the path too.', off),
  forward_headers: acted(k.flag, "Send the client's own headers on.", off),
  auth: acted(k.flag, 'Ask for a key.', on),
  cost_per_request: acted(k.amount, 'What one request costs.', { default: 0, ...usd }),
  methods: acted(k.names, 'Which methods are served.'),
  default_query_params: acted(k.map, 'Query added to it.'),
  timeout: acted(k.seconds, 'Longest wait.', s),
  guardrails: known(k.anything, 'Guardrails that look at it.'),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** general_settings.key_management_settings */
const keyManagement = {
  hosted_keys: acted(k.names, 'Only these names are looked up there.'),
  store_virtual_keys: acted(k.flag, 'Write keys that were rotated by themselves there, under their aliases.', off),
  prefix_for_stored_virtual_keys: acted(k.text, 'Prefix of their names.', { default: 'litellm/' }),
  access_mode: acted(k.oneOf('read_only', 'write_only', 'read_and_write'), 'What may be done there.', { default: 'read_only' }),
  primary_secret_name: acted(k.text, 'One secret that holds them all, as a JSON object of names and values.'),
  'aws_*': acted(k.anything, 'Credentials and region of AWS Secrets Manager, as in a row of model_list.'),
  ...all(['kms_key_id', 'description', 'custom_secret_manager'], known(k.anything, 'Of secrets it makes, and of managers written in Python.')),
  tags: known(k.anything, 'Tags of the secrets it makes.'),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** general_settings.limits: Throughway's own. */
export const limits = {
  json_body_mb: acted(k.amount, 'Largest JSON body of a request.', { default: 64, unit: 'MiB' }),
  upload_mb: acted(k.amount, 'Largest form with files, where no max_request_size_mb is set.', { default: 512, unit: 'MiB' }),
  head_kb: acted(k.amount, 'Largest request line and headers together.', { default: 32, unit: 'KiB' }),
  head_seconds: acted(k.seconds, 'Longest time a client may take to send its headers.', { default: 10, ...s }),
  body_idle_seconds: acted(k.seconds, 'Longest pause within a request body.', { default: 60, ...s }),
  json_depth: acted(k.positive, 'Deepest nesting of a JSON body.', { default: 200 }),
  sse_line_mb: acted(k.amount, 'Longest line of an upstream event stream.', { default: 16, unit: 'MiB' }),
  connections: acted(k.positive, 'Most open client connections.', { default: 10_000 }),
  grace_seconds: acted(k.seconds, 'How long running requests may go on after SIGTERM.', { default: 30, ...s }),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** Settings of fallbacks, retries and rest that litellm_settings and router_settings share. */
const routingRows = {
  fallbacks: acted(k.fallbacks, 'Groups to ask next when a group has failed: `[{group: [groups]}]`; `*` stands for any group.'),
  context_window_fallbacks: acted(k.fallbacks, 'The same, when the prompt was too long.'),
  content_policy_fallbacks: acted(k.fallbacks, "The same, when the provider's content policy refused."),
  default_fallbacks: acted(k.names, 'Groups to ask next for every group without an entry of its own.'),
  max_fallbacks: acted(k.count, 'Longest chain of fallbacks.', { default: 5 }),
  allowed_fails: acted(k.count, 'Failures in a minute before a deployment rests.', { default: 3 }),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** litellm_settings */
export const litellmSettings = {
  drop_params: acted(k.flag, 'Drop OpenAI parameters the provider does not take, instead of a 400.', off),
  modify_params: acted(k.flag, 'Mend requests the provider would refuse (message order, dummy tools).', off),
  num_retries: acted(k.count, 'Retries within a model group, if router_settings does not say.', { default: 2 }),
  request_timeout: acted(k.seconds, 'Longest wait for one call.', { default: 6000, ...s }),
  set_verbose: acted(k.flag, 'Debug log.', off),
  json_logs: acted(k.flag, 'Log lines as JSON.', off),
  ...routingRows,
  model_alias_map: acted(k.aliases, 'Other names of models, for everyone.'),
  model_group_settings: acted(k.map, 'Settings of single model groups.', { inside: { rows: { forward_client_headers_to_llm_api: acted(k.flagOrNames, "Groups whose calls carry the client's `x-` headers.") } } }),
  ssl_verify: acted(k.flagOrText, 'Check the certificates of upstreams; a path names a bundle of authorities.', on),
  ssl_certificate: acted(k.text, 'Client certificate shown to upstreams (a path).'),
  ...all(['ssl_security_level', 'ssl_ecdh_curve'], known(k.text, 'TLS tuning of upstream connections.')),
  block_requests_for_models_without_pricing: acted(k.flag, 'Refuse models whose price is not known.', off),
  return_response_headers: acted(k.flag, 'Keep upstream headers (SDK).', off),
  redact_messages_in_exceptions: acted(k.flag, 'Keep prompts out of logged errors.', off),
  expose_router_debug_in_errors: acted(k.flag, 'Say in error messages which fallbacks were tried.', on),

  callbacks: known(k.names, 'Integrations that hear of every call.'),
  ...all(['success_callback', 'failure_callback'], known(k.names, 'Integrations that hear of good (or failed) calls.')),
  ...all(['service_callback', 'service_callbacks', 'audit_log_callbacks'], known(k.names, 'Integrations that hear of the server itself.')),
  post_call_rules: python(k.anything, 'A rule for answers, which never runs.'),
  custom_provider_map: python(k.list, 'Providers written in Python.'),
  cache: known(k.flag, 'Keep answers and give them again.', off),
  cache_params: known(k.map, 'Where and how long.', { inside: { rows: cacheParams } }),
  ...all(['max_budget'], acted(k.amount, 'Spend cap of the whole server.', usd)),
  budget_duration: acted(k.text, 'Time after which the spend counts from zero.'),
  budget_exceeded_status_code: acted(k.count, 'Status of budget errors.', { default: 422 }),
  budget_exceeded_throttle_percentage: known(k.amount, 'Slow down instead of blocking.'),
  budget_rollover: known(k.flag, 'Carry what is left of a budget over.', off),
  budget_reset_time: acted(k.textOrMap, 'Time of day at which budgets start anew.'),
  timezone: acted(k.text, 'Time zone for that.', { default: 'UTC' }),
  default_soft_budget: known(k.amount, 'Spend at which a warning is sent.', { default: 50, ...usd }),
  default_internal_user_params: acted(k.map, 'What new users get.'),
  max_internal_user_budget: acted(k.amount, 'Spend cap of an internal user nobody has set one for.', usd),
  ...all(['default_max_internal_user_budget', 'max_user_budget'], unmet(k.amount, 'Spend cap of an internal user.', usd)),
  internal_user_budget_duration: acted(k.text, 'Time after which their spend counts from zero.'),
  max_ui_session_budget: known(k.amount, 'Spend cap of a session of the UI.', { default: 1, ...usd }),
  max_end_user_budget: acted(k.amount, 'Spend cap of an end user nobody has set one for.', usd),
  max_end_user_budget_id: acted(k.text, 'Budget of such an end user.'),
  validate_end_user_id_in_db: unmet(k.flag, 'Refuse end users that are not in the database.', off),
  default_team_params: known(k.map, 'What teams made by SSO get.'),
  default_team_settings: known(k.list, 'Callbacks of single teams.'),
  default_key_generate_params: acted(k.map, 'What new keys get.'),
  upperbound_key_generate_params: acted(k.map, 'The most a new key may get: max_budget, budget_duration, duration, max_parallel_requests, tpm_limit, rpm_limit.'),
  key_generation_settings: acted(k.map, 'Who may make keys.'),
  default_key_max_budget_alert_emails: known(k.map, 'Whom to write to at which share of a budget.'),
  enable_key_alias_format_validation: acted(k.flag, 'Check the aliases of keys.', off),
  key_alias_pattern: acted(k.text, 'What they must look like.'),
  turn_off_message_logging: unmet(k.flag, 'Keep prompts and answers from callbacks.', off),
  redact_user_api_key_info: unmet(k.flag, 'Keep key and user names from callbacks.', off),
  log_raw_request_response: known(k.flag, 'Log what goes to and comes from the provider.', off),
  standard_logging_payload_excluded_fields: unmet(k.names, 'Fields kept from callbacks.'),
  global_disable_no_log_param: known(k.flag, "Ignore a client's no-log.", off),
  allow_dynamic_callback_disabling: known(k.flag, 'Let a header switch callbacks off.', on),
  disable_add_user_agent_to_request_tags: known(k.flag, 'No tag from the User-Agent.', off),
  extra_spend_tag_headers: known(k.names, 'Headers that become spend tags.'),
  store_audit_logs: known(k.flag, 'Keep a table of changes.', off),
  langfuse_default_tags: known(k.names, 'Fields that become Langfuse tags.'),
  prometheus_initialize_budget_metrics: known(k.flag, 'Budget gauges from the start.', off),
  prometheus_metrics_config: known(k.list, 'Which metrics and labels there are.'),
  ...all(['prometheus_exclude_metrics', 'prometheus_exclude_labels', 'custom_prometheus_metadata_labels', 'custom_prometheus_tags'], known(k.names, 'Which metrics and labels there are.')),
  prometheus_latency_buckets: known(k.list, 'Bounds of the latency histogram.', s),
  require_auth_for_metrics_endpoint: known(k.flag, '/metrics asks for a key.', on),
  ...all(['prometheus_emit_stream_label', 'prometheus_emit_rate_limit_labels', 'prometheus_emit_input_sequence_length_label'], known(k.flag, 'More labels.', off)),
  prometheus_end_user_metrics_max_series_per_metric: known(k.count, 'Most end users in one metric.', { default: 10_000 }),
  prometheus_end_user_metrics_ttl_seconds: known(k.seconds, 'When an idle end user is forgotten.', { default: 3600, ...s }),
  prometheus_end_user_metrics_cleanup_interval_seconds: known(k.seconds, 'How often that is looked at.', { default: 60, ...s }),
  ...all(['enable_end_user_cost_tracking_prometheus_only', 'disable_end_user_cost_tracking', 'disable_end_user_cost_tracking_prometheus_only'], known(k.flag, 'End users in spend and metrics.', off)),
  tag_budget_config: unmet(k.map, 'Spend caps of tags.'),
  cost_discount_config: known(k.map, 'Share taken off the price, by provider.'),
  cost_margin_config: known(k.map, 'Share or amount put on the price, by provider.'),
  apply_search_free_tier: known(k.flag, "Count the provider's free searches.", off),
  ...all(['public_model_groups', 'public_model_groups_links', 'public_agent_groups', 'public_mcp_servers', 'public_mcp_hub_strict_whitelist'], known(k.anything, 'The public hub.')),
  priority_reservation: unmet(k.map, 'Shares of rpm and tpm by priority of the key.'),
  priority_reservation_settings: known(k.map, 'How those shares are counted.'),
  ...all(['force_ipv4', 'http2', 'disable_aiohttp_transport', 'aiohttp_trust_env'], known(k.flag, 'Upstream connections.', off)),
  use_aiohttp_transport: known(k.flag, 'A choice among Python clients: nothing to choose here.', on),
  forward_traceparent_to_llm_provider: known(k.flag, 'Send the tracing header upstream.', off),
  add_user_information_to_llm_headers: known(k.flag, 'Send who asks upstream.', off),
  overwrite_user_with_key_hash: known(k.flag, "Set `user` to the key's hash.", off),
  include_cost_in_streaming_usage: known(k.flag, 'Cost in the usage of the last chunk.', off),
  ...all(['disable_streaming_logging', 'disable_token_counter'], known(k.flag, 'Do less, faster.', off)),
  enable_json_schema_validation: known(k.flag, 'Check answers against the asked schema.', off),
  enable_anthropic_prompt_caching: known(k.flag, 'Mark prompts for caching by itself.', off),
  anthropic_prompt_caching_ttl: known(k.oneOf('5m', '1h'), 'For how long.', { default: '5m' }),
  sse_keepalive_ping_interval_seconds: known(k.seconds, 'Ping idle streams.', s),
  anthropic_sse_ping_interval_seconds: known(k.seconds, "Ping idle streams of Anthropic's shape.", { default: 15, ...s }),
  ...all(['route_all_chat_openai_to_responses', 'use_chat_completions_url_for_anthropic_messages'], known(k.flag, 'Which upstream API is called.', off)),
  enable_loadbalancing_on_batch_endpoints: known(k.flag, 'Route batches and files by model.', off),
  ...all(['enable_caching_on_provider_specific_optional_params', 'disable_stop_sequence_limit', 'disable_copilot_system_to_assistant', 'disable_hf_tokenizer_download', 'disable_add_transform_inline_image_block', 'enable_preview_features', 'suppress_debug_info', 'add_function_to_prompt', 'telemetry'], known(k.flag, 'Rare switches of the Python package.', off)),
  guardrails: unmet(k.list, 'Guardrails, as they were written in former times.'),
  ...all(['mcp_aliases', 'mcp_semantic_tool_filter', 'mcp_tool_search', 'websearch_interception_params'], known(k.anything, 'MCP and web search.')),
  enable_redis_auth_cache: known(k.flag, 'Keep keys in Redis.', off),
  ...all(['global_prompt_directory', 'global_bitbucket_config', 'global_gitlab_config'], known(k.anything, 'Where prompts come from.')),
  ...all(['s3_callback_params', 'gcs_callback_params', 'gcs_pubsub_callback_params', 'aws_sqs_callback_params', 'datadog_params', 'datadog_llm_observability_params', 'newrelic_params', 'generic_logger_headers', 'dynamodb_table_name'], known(k.anything, 'Options of an integration.')),
  user_url_validation: acted(k.flag, 'Fetch URLs of users only by https, from the usual ports of public addresses.', on),
  user_url_allowed_hosts: acted(k.names, 'Hosts that are fetched from all the same, as the URL spells them: `host` for any port, or `host:port`.'),
  provider_url_destination_allowed_hosts: known(k.names, 'Hosts that are allowed all the same.'),
  ...all(['skip_system_message_in_guardrail', 'skip_tool_message_in_guardrail'], known(k.flag, 'What guardrails look at.', off)),
  ...all(['api_key', 'api_base', 'openai_key', 'anthropic_key', 'azure_key', 'cohere_key', 'replicate_key', 'huggingface_key', 'openrouter_key', 'groq_key', 'together_ai_key', 'togetherai_api_key', 'nlp_cloud_key', 'ai21_key', 'vertex_project', 'vertex_location', 'organization'], known(k.text, 'Credentials for every call: put them into the row of the model.')),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** general_settings */
export const generalSettings = {
  master_key: acted(k.text, 'The admin key. Without one, or with a publicly known one, the server does not start.'),
  dangerously_permit_weak_or_unset_master_key: acted(k.flag, 'Start all the same; without a key every request is let in.', off),
  dangerously_allow_mock_testing_request_params: acted(k.flag, 'Let clients send mock_testing_*, mock_timeout and mock_delay.', off),
  litellm_key_header_name: acted(k.text, 'Header that carries the key.', { default: 'Authorization' }),
  forward_client_headers_to_llm_api: acted(k.flag, "Send a client's `x-` headers upstream.", off),
  forward_openai_org_id: acted(k.flag, "Send a client's OpenAI-Organization upstream.", off),
  forward_llm_provider_auth_headers: known(k.flag, "Send a client's provider credentials upstream.", off),
  allow_client_side_credentials: acted(k.flag, 'Let clients send api_key and api_base in the body.', off),
  max_request_size_mb: acted(k.amount, 'Largest request body.', { unit: 'MiB' }),
  completion_model: acted(k.text, 'Every chat call goes to this model.'),
  infer_model_from_keys: acted(k.flag, 'List the models of every provider whose key is in the environment.', off),
  include_call_id_in_error_body: acted(k.flag, 'litellm_call_id in the body of errors.', off),
  always_include_stream_usage: acted(k.flag, 'Usage at the end of every stream, asked for or not.', off),
  public_routes: acted(k.names, 'Routes that ask for no key.'),
  limits: acted(k.map, "Throughway's own: bounds of the HTTP server.", { inside: { rows: limits } }),
  unpriced_models: acted(k.unpricedModels, "Throughway's own: what a model without a known price costs. `free`; `deny` refuses it; `{price_as: model}` takes that model's price.", { default: 'free' }),

  database_url: acted(k.text, 'PostgreSQL, where DATABASE_URL does not say it.'),
  ...all(['database_connection_pool_limit'], acted(k.count, 'Connections kept.', { default: 10 })),
  ...all(['database_connection_timeout', 'database_max_idle_connection_lifetime'], known(k.seconds, 'Waiting for the database.', { default: 60, ...s })),
  ...all(['database_connect_timeout', 'database_socket_timeout'], known(k.seconds, 'Waiting for the database.', s)),
  database_extra_connection_params: known(k.map, 'Added to the URL.'),
  database_disable_prepared_statements: known(k.flag, 'For poolers.', off),
  allow_requests_on_db_unavailable: known(k.flag, 'Let requests through while the database is away.', off),
  store_model_in_db: known(k.flag, 'Models are added over the API.', off),
  supported_db_objects: known(k.names, 'What is read from the database.'),
  store_prompts_in_spend_logs: acted(k.flag, 'Keep prompts and answers, apart from the rows of spend.', off),
  prompt_retention_period: acted(k.duration, "Throughway's own: how long prompts and answers stay; never longer than their rows."),
  prompt_size_mb: acted(k.amount, "Throughway's own: the room they may take; past it the oldest go.", { unit: 'MiB' }),
  spend_logs_metadata_fields: known(k.map, 'Which metadata is kept: {include} or {exclude}.'),
  disable_spend_logs: acted(k.flag, 'Write no rows of single requests; sums and budgets go on.', off),
  ...all(['disable_spend_updates', 'disable_error_logs'], known(k.flag, 'Write no rows.', off)),
  maximum_spend_logs_retention_period: acted(k.duration, 'How long rows of single requests stay; sums stay for ever.'),
  maximum_spend_logs_size_mb: acted(k.amount, "Throughway's own: the room rows may take; past it the oldest go.", { unit: 'MiB' }),
  ...all(['maximum_spend_logs_cleanup_cron', 'maximum_spend_logs_cleanup_run_budget', 'maximum_spend_logs_cleanup_batch_timeout', 'maximum_health_check_retention_period', 'maximum_daily_tag_spend_retention_period', 'maximum_autorouter_session_retention_period'], known(k.label, 'When old rows are deleted.')),
  maximum_spend_logs_retention_interval: acted(k.duration, 'How often that is done.', { default: '1d' }),
  maximum_spend_logs_cleanup_batch_size: acted(k.positive, 'Rows deleted at once.', { default: 1000 }),
  maximum_spend_logs_cleanup_max_batches: acted(k.positive, 'Batches in one run.', { default: 500 }),
  use_spend_logs_partitioning: known(k.flag, 'A table for each span of time.', off),
  disable_reset_budget: known(k.flag, 'Budgets never start anew.', off),
  proxy_budget_rescheduler_min_time: known(k.seconds, 'How often budgets are looked at, at least.', { default: 597, ...s }),
  proxy_budget_rescheduler_max_time: known(k.seconds, 'The same, at most.', { default: 605, ...s }),
  proxy_batch_write_at: known(k.seconds, 'How often spend is written.', { default: 10, ...s }),
  proxy_batch_polling_interval: known(k.seconds, 'How often batches are looked at.', { default: 3600, ...s }),
  proxy_config_reload_interval_seconds: known(k.seconds, 'How often the database is read again.', { default: 30, ...s }),
  use_redis_transaction_buffer: known(k.flag, 'Spend waits in Redis.', off),
  coordination_redis: known(k.map, 'Redis for limits and locks.', { inside: { rows: coordinationRedis } }),
  user_api_key_cache_ttl: known(k.seconds, 'How long a key is kept in memory.', { default: 60, ...s }),
  user_api_key_cache_max_size: known(k.count, 'Keys kept in memory.', { default: 200 }),
  fail_closed_budget_enforcement: acted(k.flag, 'A request whose cost is not bounded is refused where it might not fit.', off),
  fail_closed_rate_limit_enforcement: acted(k.flag, '503 where processes cannot count together because the database is away; otherwise each counts by itself, up to its share.', off),
  budget_overshoot: acted(k.oneOf('bounded', 'allow', 'deny'), 'What happens to a request that may cost more than is left: bounded refuses it where it bounds its output and lets it in otherwise while anything is left; allow lets in, deny refuses both.', { default: 'bounded' }),
  disable_budget_reservation: acted(k.flag, 'Do not set the likely cost aside before the call.', off),
  token_rate_limit_type: acted(k.oneOf('total', 'input', 'output'), 'What tpm counts.', { default: 'total' }),
  max_parallel_requests: acted(k.count, 'Most requests at a time of a key that says none itself.'),
  global_max_parallel_requests: acted(k.count, 'Most requests of everyone at a time.'),
  ...all(['max_in_flight_requests_per_worker', 'max_queued_requests_per_worker'], unmet(k.count, 'Most requests at a time in a process.')),
  admission_queue_timeout_seconds: known(k.seconds, 'Longest wait to be let in.', { default: 1, ...s }),
  max_response_size_mb: unmet(k.amount, 'Largest answer.', { unit: 'MiB' }),
  ...all(['max_file_size_mb', 'max_batch_file_size_mb', 'max_batch_file_records', 'max_batch_file_uploads_per_day', 'max_file_downloads_per_minute'], unmet(k.amount, 'Bounds of the file endpoints.')),
  ...all(['allowed_file_extensions', 'blocked_file_extensions'], unmet(k.names, 'Which files may be sent.')),
  custom_auth: python(k.text, 'Decides who gets in: the server refuses to start, because without it everyone would be let in.'),
  custom_auth_run_common_checks: known(k.flag, 'Belongs to custom_auth.', off),
  ...all(['custom_key_generate', 'custom_key_update', 'custom_key_policy', 'custom_sso', 'custom_ui_sso_sign_in_handler', 'custom_team_metadata_validate'], python(k.text, 'A hook, which never runs.')),
  enable_jwt_auth: acted(k.flag, 'Let JSON web tokens in, of the issuer JWT_PUBLIC_KEY_URL leads to.', off),
  litellm_jwtauth: acted(k.map, 'How they are read.', { inside: { rows: jwtAuth } }),
  ...all(['enable_oauth2_auth', 'enable_oauth2_proxy_auth'], unmet(k.flag, 'Let opaque tokens in.', off)),
  oauth2_config_mappings: known(k.map, 'How they are read.'),
  enforce_user_param: acted(k.flag, 'Refuse calls without `user`.', off),
  enforced_params: acted(k.names, 'Refuse calls without these fields.'),
  user_header_name: acted(k.text, 'Header that names the end user.'),
  user_header_mappings: acted(k.anything, 'Headers that name users, by role.'),
  missing_session_id: known(k.oneOf('generate', 'reject', 'omit'), 'Calls without a session.'),
  reject_clientside_metadata_tags: acted(k.flag, "Refuse a client's tags.", off),
  allowed_ips: acted(k.names, 'Addresses that may call, single ones or ranges as 10.0.0.0/8.'),
  allowed_routes: acted(k.names, 'The only routes there are: paths, or names of groups of them.'),
  admin_only_routes: acted(k.names, 'Routes for administrators only.'),
  use_x_forwarded_for: acted(k.flag, 'Believe that header: its last address that is not in trusted_proxy_ranges is the client.', off),
  trusted_proxy_ranges: acted(k.names, 'Addresses of proxies in front of the one in front.'),
  alerting: acted(k.names, 'Who is told of soft budgets that were passed: webhook (WEBHOOK_URL), slack (SLACK_WEBHOOK_URL). email is not sent.'),
  alert_types: acted(k.names, 'Which alerts: only budget_alerts are sent, unless this leaves them out.'),
  alert_to_webhook_url: acted(k.anything, "Slack's address for a kind of alert: budget_alerts."),
  ...all(['alerting_args', 'alert_type_config'], known(k.anything, 'How alerts are sent.')),
  alerting_threshold: known(k.seconds, 'A call this long is reported.', s),
  spend_report_frequency: known(k.text, 'How often spend is reported.', { default: '7d' }),
  background_health_checks: known(k.flag, 'Ask every deployment now and then.', off),
  health_check_interval: known(k.seconds, 'How often.', { default: 300, ...s }),
  ...all(['health_check_concurrency', 'health_check_staleness_threshold'], known(k.amount, 'How many at a time; how old a result may be.')),
  health_check_details: known(k.flag, 'Details in /health.', on),
  ...all(['use_shared_health_check', 'enable_health_check_routing', 'health_check_ignore_transient_errors', 'health_check_skip_disabled_background_models', 'model_list_healthy_only'], known(k.flag, 'What health decides.', off)),
  background_health_check_model_groups: known(k.names, 'Only these groups are asked.'),
  allow_public_health_readiness_details: known(k.flag, 'Details without a key.', off),
  pass_through_endpoints: acted(k.list, 'Paths that lead to another server.', { inside: { rows: passThroughEndpoint, each: 'item' } }),
  use_client_credentials_pass_through_routes: known(k.flag, "With the client's credentials.", off),
  pass_through_request_timeout: acted(k.seconds, 'Longest wait there.', { default: 600, ...s }),
  ui_access_mode: unmet(k.anything, 'Who may open the UI: admin_only or all.', { default: 'all' }),
  ...all(['password_policy_min_length'], unmet(k.count, 'Passwords of the UI.')),
  ...all(['password_policy_require_uppercase', 'password_policy_require_lowercase', 'password_policy_require_numbers', 'password_policy_require_special_characters', 'password_policy_check_breached_passwords'], unmet(k.flag, 'Passwords of the UI.', off)),
  max_failed_login_attempts_per_source: unmet(k.count, 'Failed logins before a source is blocked.'),
  max_failed_login_attempts_per_source_overrides: unmet(k.map, 'The same for single sources.'),
  ...all(['failed_login_window_seconds', 'failed_login_block_seconds'], unmet(k.seconds, 'Counted over, and blocked for.', s)),
  ...all(['disable_password_login_when_sso_enabled', 'disable_env_credential_login', 'auto_redirect_ui_login_to_sso'], unmet(k.flag, 'How one logs in to the UI.', off)),
  control_plane_url: known(k.text, 'UI of several servers.'),
  plugins: known(k.list, 'Python plug-ins.'),
  disable_custom_api_keys: acted(k.flag, 'Keys are made here only.', off),
  ...all(['disable_master_key_return', 'disable_key_generate_for_org_admin'], unmet(k.flag, 'Rules for keys.', off)),
  service_account_settings: acted(k.map, 'Rules for keys of services: {enforced_params}.'),
  role_permissions: acted(k.list, 'Models and routes of a role of tokens, where enforce_rbac is on: {role, models, routes}.'),
  default_team_disabled: known(k.flag, 'The UI offers no keys without a team.', off),
  disable_auto_add_proxy_admin_to_teams: known(k.flag, '/team/new leaves the caller out.', off),
  apply_user_budget_to_team_keys: acted(k.flag, "A user's budget holds for team keys too.", off),
  enforce_fallback_model_access: unmet(k.flag, 'Fallbacks only to models the key may use.', off),
  expose_fallback_errors_to_caller: known(k.flag, 'Errors of fallbacks in the message.', off),
  disable_retry_on_max_parallel_request_limit_error: known(k.flag, "No retry of the server's own 429.", off),
  cancel_on_disconnect: known(k.flag, 'Stop the upstream call when the client hangs up.'),
  use_team_public_model_name: known(k.flag, "Answers carry the team's name of the model.", off),
  key_management_system: acted(k.text, 'Where os.environ/NAME is looked up before the environment: aws_secret_manager, azure_key_vault, google_secret_manager, hashicorp_vault or local.'),
  key_management_settings: acted(k.map, 'How.', { inside: { rows: keyManagement } }),
  ...all(['use_google_kms', 'use_azure_key_vault', 'use_aws_kms'], acted(k.flag, 'Former spelling of key_management_system.', off)),
  vector_store_deny_by_default: acted(k.flag, 'Stores of vector_store_registry are for those only whose object_permission.vector_stores names them.', off),
  search_tool_deny_by_default: unmet(k.flag, 'Only what was granted.', off),
  ...all(['mcp_internal_ip_ranges', 'mcp_trusted_proxy_ranges', 'mcp_xff_num_trusted_hops', 'mcp_client_id_header', 'mcp_required_fields', 'mcp_advertised_versions', 'mcp_prefer_client_id_metadata_document', 'mcp_client_side_auth_header_name', 'enable_mcp_registry', 'user_mcp_management_mode'], known(k.anything, 'MCP gateway.')),
  ...all(['mcp_allowed_clients', 'require_key_mcp_access_defined', 'require_end_user_mcp_access_defined'], unmet(k.anything, 'Who may use MCP.')),
  ...all(['disable_batch_input_file_rate_limiting', 'track_unmanaged_batch_cost'], known(k.flag, 'Batches.', off)),
  ...all(['skip_batch_input_file_rate_limiting_for_providers', 'skip_batch_input_file_rate_limiting_for_models'], known(k.names, 'Batches.')),
  ...all(['disable_responses_id_security', 'allow_unmanaged_response_ids'], known(k.flag, 'Who may use a response id.', off)),
  passthrough_managed_object_ids: known(k.anything, 'Who may use an id.'),
  litellm_license: known(k.text, 'Not needed here.'),
  enable_drain_endpoint: known(k.flag, 'A route that starts the draining.', off),
  drain_endpoint_token: known(k.text, 'Its key.'),
  ...all(['image_generation_model', 'embedding_model', 'moderation_model', 'transcription_model', 'speech_model'], acted(k.text, 'Every call of that kind goes to this model.')),
  allow_user_auth: known(k.flag, 'Former login.', off),
  ...all(['otel', 'enable_public_model_hub', 'disable_prisma_schema_update', 'disable_model_info_refresh', 'hide_default_credentials_hint'], known(k.flag, 'Rare.', off)),
  ...all(['tracing', 'scheduled_job_stagger', 'spend_capture_rate_check'], known(k.anything, 'Rare.')),
} satisfies Rows

/** The strategies of LiteLLM; the first is what holds where none is named. */
export const strategies = [
  'simple-shuffle',
  'least-busy',
  'usage-based-routing',
  'usage-based-routing-v2',
  'latency-based-routing',
  'cost-based-routing',
  'lar1',
  'provider-budget-routing',
] as const

// biome-ignore format: a table reads by the line
/** router_settings */
export const routerSettings = {
  routing_strategy: acted(k.oneOf(...strategies), 'How a deployment is picked among those that may serve.', { default: 'simple-shuffle' }),
  num_retries: acted(k.count, 'Retries within a model group.', { default: 2 }),
  retry_after: acted(k.seconds, 'Shortest wait before a retry.', { default: 0, ...s }),
  retry_policy: acted(k.retryPolicy, 'Retries by kind of error.', { inside: { rows: retryNames } }),
  model_group_retry_policy: acted(k.retryPolicies, 'The same for single groups.', { inside: { rows: retryNames, each: 'name' } }),
  ...routingRows,
  allowed_fails_policy: acted(k.failsPolicy, 'Failures before a deployment rests, by kind of error.', { inside: { rows: failNames } }),
  cooldown_time: acted(k.seconds, 'How long a deployment rests.', { default: 5, ...s }),
  disable_cooldowns: acted(k.flag, 'No deployment ever rests.', off),
  model_group_alias: acted(k.aliases, 'Other names of groups: `{alias: group}` or `{alias: {model: group, hidden: true}}`.'),
  timeout: acted(k.seconds, 'Longest wait for one call.', s),
  stream_timeout: acted(k.seconds, 'The same for streams.', s),
  enable_tag_filtering: acted(k.flag, 'Route by tags.', off),
  tag_filtering_match_any: acted(k.flag, 'One common tag is enough.', on),
  default_litellm_params: acted(k.map, 'Parameters of every deployment that does not set them.'),
  ignore_invalid_deployments: acted(k.flag, 'Leave wrong rows of model_list out instead of refusing to start.', off),

  routing_strategy_args: acted(k.map, 'Tuning of the strategy: ttl (seconds), lowest_latency_buffer (a share), max_latency_list_size, ttft_percentile; of lar1 confidence_threshold_low, _medium, _high.'),
  routing_groups: known(k.list, 'Strategies of single groups.'),
  enable_pre_call_checks: acted(k.flag, 'Leave out deployments whose context window is too small, or whose rpm or tpm is used up.', off),
  optional_pre_call_checks: acted(k.names, 'enforce_model_rate_limits: rpm and tpm of a deployment are limits. session_affinity, deployment_affinity: a session, or a key, stays at the deployment it was first given; prompt_caching: a prompt that is marked for the cache goes to who was given its beginning within five minutes; encrypted_content_affinity: a conversation with thoughts that OpenAI encrypted stays at the deployment whose account can read them. Each process remembers for itself.'),
  deployment_affinity_ttl_seconds: acted(k.seconds, 'How long stickiness lasts after the last request.', { default: 3600, ...s }),
  model_group_affinity_config: acted(k.map, 'Stickiness of single groups, in place of the above: `{group: [session_affinity]}`.'),
  tag_routing_prefix: known(k.text, 'Only tags that begin so route.', { default: '' }),
  provider_budget_config: acted(k.map, 'Spend caps of providers: {budget_limit, time_period}. Past it their deployments are not asked.'),
  default_max_parallel_requests: acted(k.count, 'Most calls at a time of a deployment that states neither max_parallel_requests nor rpm nor tpm.'),
  default_priority: known(k.numberValue, 'Place in the queue.'),
  polling_interval: known(k.seconds, 'How often the queue is looked at.', { default: 0.03, ...s }),
  ...all(['redis_host', 'redis_password', 'redis_url', 'redis_username'], known(k.label, 'Redis shared by several servers.')),
  redis_port: known(k.port, 'Its port.'),
  redis_db: known(k.count, 'Its database.'),
  cache_responses: known(k.flag, 'Keep answers.', off),
  ...all(['cache_kwargs', 'caching_groups'], known(k.anything, 'How.')),
  client_ttl: known(k.seconds, 'How long a provider client is kept.', { default: 3600, ...s }),
  alerting_config: known(k.map, 'Slack.'),
  enable_weighted_failover: known(k.flag, 'After a failure, the next deployment by weight.', off),
  ...all(['enable_health_check_routing', 'health_check_ignore_transient_errors'], known(k.flag, 'Leave unhealthy deployments out.', off)),
  health_check_staleness_threshold: known(k.seconds, 'How old a result may be.', s),
  background_health_check_model_groups: known(k.names, 'Only these groups.'),
  router_general_settings: known(k.map, 'async_only_mode, pass_through_all_models.'),
  set_verbose: known(k.flag, 'Debug log.', off),
  debug_level: known(k.oneOf('DEBUG', 'INFO'), 'How much of it.', { default: 'INFO' }),
  ...all(['assistants_config', 'search_tools', 'guardrail_list', 'plugins'], known(k.anything, 'Filled from the sections of that name.')),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** model_list[].model_info */
export const modelInfo = {
  id: acted(k.label, 'Lasting id of the deployment; default: made from its name and parameters.'),
  base_model: acted(k.text, 'Name in the price list, where the upstream name says nothing (Azure).'),
  mode: acted(k.text, 'chat, completion, embedding, image_generation, audio_transcription, audio_speech, rerank, responses, realtime, batch, ocr, video_generation or moderation.'),
  ...all(['max_tokens', 'max_input_tokens', 'max_output_tokens'], acted(k.count, 'What the price list says of the model, said better.')),
  litellm_provider: acted(k.text, 'The same.'),
  'supports_*': acted(k.anything, 'The same: what the model can do.'),
  db_model: acted(k.flag, 'Kept in the database.', off),
  ...all(['team_id', 'team_public_model_name'], known(k.text, 'The team the model belongs to, and its name there.')),
  access_groups: acted(k.names, 'Groups of models a key may be given.'),
  access_windows: unmet(k.list, 'Times of access.'),
  tier: acted(k.label, 'free or paid.'),
  ...all(['blocked', 'discoverable'], acted(k.flag, 'Stop or hide the model.')),
  health_check_model: known(k.text, 'Asked instead in health checks.'),
  health_check_timeout: acted(k.seconds, 'Longest wait of a health check.', s),
  health_check_max_tokens: acted(k.count, 'Tokens asked for in one.'),
  health_check_voice: known(k.text, 'Voice asked for in one.'),
  disable_background_health_check: known(k.flag, 'Leave it out of the background checks.', off),
  allowed_fails: acted(k.count, 'Failures before this deployment rests.'),
  allowed_fails_policy: acted(k.failsPolicy, 'The same by kind of error.', { inside: { rows: failNames } }),
  ...all(['enable_tag_filtering', 'internal_router_model', 'member_auto_router', 'allow_fail_open'], known(k.flag, 'Routing of this deployment.')),
  ...all(['ptu_count', 'cost_per_ptu_per_hour'], known(k.amount, 'Throughput bought beforehand.')),
  ptu_effective_from: acted(k.label, 'From when.'),
  ptu_effective_to: acted(k.label, 'Until when.'),
  supported_environments: unmet(k.names, 'Only there (LITELLM_ENVIRONMENT).'),
  ...all(['created_at', 'created_by', 'updated_at', 'updated_by'], acted(k.anything, 'Set by the database.')),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** model_list[].litellm_params, but for prices and parameters of the call */
export const litellmParams = {
  model: acted(k.text, '`provider/model` asked upstream.'),
  api_key: acted(k.text, 'Upstream key.'),
  api_base: acted(k.text, 'Upstream URL.'),
  base_url: acted(k.text, 'The same.'),
  api_version: acted(k.text, 'Version of the API (Azure).'),
  custom_llm_provider: acted(k.text, 'The provider, if `model` does not begin with it.'),
  organization: acted(k.names, 'OpenAI organisation; a list makes one deployment of each.'),
  timeout: acted(k.seconds, 'Longest wait for one call.', s),
  request_timeout: acted(k.seconds, 'The same.', s),
  stream_timeout: acted(k.seconds, 'The same for streams.', s),
  max_retries: acted(k.count, 'Retries of the provider client: none beside those of the router.'),
  num_retries: acted(k.count, 'Retries of the router.'),
  ...all(['rpm', 'tpm'], acted(k.count, 'Requests or tokens a minute: the weight among deployments.')),
  weight: acted(k.amount, 'Weight among deployments.'),
  order: acted(k.numberValue, 'Lower is asked first; the next only when all of the lower are out.'),
  max_parallel_requests: acted(k.count, 'Most calls at a time.'),
  drop_params: acted(k.flag, 'Drop parameters the provider does not take.'),
  additional_drop_params: acted(k.names, 'Drop these, too.'),
  allowed_openai_params: acted(k.names, 'Let these through in any case.'),
  ...all(['extra_headers', 'headers'], acted(k.labels, 'Headers added to the upstream request.')),
  extra_body: acted(k.map, 'Fields added to the upstream body.'),
  tags: acted(k.names, 'Tags of the deployment; `default` serves what matches nothing.'),
  mock_response: acted(k.anything, 'Answer this, without an upstream.'),
  cooldown_time: acted(k.seconds, 'How long it rests.', s),
  litellm_credential_name: acted(k.text, 'Take what is missing from this entry of credential_list.'),
  configurable_clientside_auth_params: acted(k.clientsideParams, 'What a client may set for itself: api_key, api_base, or `{api_base: pattern}`.'),
  model_info: acted(k.map, 'The same as model_info beside litellm_params.', { open: true, inside: { rows: modelInfo } }),
  base_model: acted(k.text, 'The same as in model_info.'),

  ...all(['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token', 'aws_region_name', 'aws_session_name', 'aws_profile_name', 'aws_role_name', 'aws_web_identity_token', 'aws_sts_endpoint', 'aws_external_id', 'aws_bedrock_runtime_endpoint', 'model_id'], acted(k.text, 'AWS credentials and place.')),
  ...all(['azure_ad_token', 'tenant_id', 'client_id', 'client_secret', 'azure_scope', 'azure_username', 'azure_password'], acted(k.text, 'Entra ID credentials.')),
  ...all(['vertex_project', 'vertex_location', 'vertex_ai_project', 'vertex_ai_location'], acted(k.label, 'Google Cloud project and place.')),
  ...all(['vertex_credentials', 'vertex_ai_credentials'], acted(k.textOrMap, 'Google service account: its JSON or the path of it.')),
  region_name: acted(k.text, 'Region of the deployment.'),
  use_chat_completions_api: acted(k.flag, 'Do not use the Responses API upstream.'),

  ...all(['aws_session_tags', 'aws_bedrock_project_id', 'bedrock_tags'], known(k.anything, 'AWS.')),
  aws_batch_role_arn: acted(k.text, 'The role by which batches of Bedrock read and write the bucket.'),
  ...all(['s3_bucket_name', 's3_region_name', 's3_endpoint_url', 's3_access_key_id', 's3_secret_access_key', 's3_encryption_key_id', 's3_bucket_owner', 's3_output_bucket_name', 'gcs_bucket_name', 'bucket_name'], acted(k.text, 'The bucket of batches at Bedrock or Vertex AI: its name, perhaps with a prefix behind a slash, its region, address, keys, owner and the key it is encrypted with.')),
  sagemaker_base_url: acted(k.text, 'Upstream URL of SageMaker.'),
  ...all(['project_id', 'space_id', 'watsonx_project', 'watsonx_region_name', 'token', 'watsonx_token', 'zen_api_key'], acted(k.text, 'IBM watsonx.ai: project or space, region, a token or a Zen key.')),
  ...all(['oci_user', 'oci_fingerprint', 'oci_tenancy', 'oci_key', 'oci_key_file', 'oci_region', 'oci_compartment_id', 'oci_serving_mode', 'oci_endpoint_id'], acted(k.text, 'Oracle Cloud: the key that signs, the region, the compartment, and ON_DEMAND or DEDICATED with its endpoint.')),
  ...all(['auth_url', 'resource_group'], acted(k.text, 'SAP AI Core: where tokens are had, and the resource group.')),
  service_key: acted(k.textOrMap, 'SAP AI Core: the service key, as JSON.'),
  ...all(['gigachat_access_token', 'gigachat_credentials', 'gigachat_auth_url', 'gigachat_scope'], acted(k.text, 'GigaChat: a token, or what it is had with.')),
  predibase_tenant_id: acted(k.text, 'Tenant of Predibase.'),
  account_id: acted(k.text, 'Account of Snowflake.'),
  ...all(['anthropic_federation_*', 'anthropic_identity_*', 'anthropic_issuer_*', 'anthropic_keycloak_*', 'openai_identity_provider_id', 'openai_service_account_id', 'openai_identity_token_file'], known(k.text, 'Other credentials.')),
  ...all(['timeout_by_service_tier', 'stream_timeout_by_service_tier'], known(k.secondsByName, 'Longest wait by service tier.')),
  ...all(['itpm', 'otpm'], known(k.count, 'Input or output tokens a minute.')),
  max_budget: unmet(k.amount, 'Spend cap of the deployment.', usd),
  budget_duration: known(k.text, 'Time after which it counts from zero.'),
  tag_regex: known(k.names, 'Tags by pattern.'),
  merge_reasoning_content_in_choices: known(k.flag, 'Thoughts inside the content.', off),
  use_in_pass_through: acted(k.flag, "Its address and credential are those of its provider's pass-through routes.", off),
  use_litellm_proxy: known(k.flag, 'Send through another gateway.', off),
  ...all(['default_api_key_tpm_limit', 'default_api_key_rpm_limit'], acted(k.count, 'Limits for this model of each key that has none of its own.')),
  max_file_size_mb: unmet(k.amount, 'Largest recording.', { unit: 'MiB' }),
  keepalive_seconds: known(k.seconds, 'Pings of idle streams.', s),
  allow_client_keepalive_override: known(k.flag, 'Let the client choose.', off),
  provider_affinity_header: known(k.text, 'Header that keeps calls together.'),
  cache_control_injection_points: acted(k.list, 'Where prompts are marked for the cache of the provider: `{location: message, role: system}`, `{location: message, index: -1}`, `{location: tool_config}`.'),
  prompt_id: known(k.label, 'Prompt kept elsewhere.'),
  ...all(['prompt_variables', 'prompt_label', 'prompt_version'], known(k.anything, 'What is filled in.')),
  guardrails: unmet(k.anything, 'Guardrails of this model.'),
  ...all(['complexity_router_config', 'adaptive_router_config', 'quality_router_config', 'auto_router_config', 'auto_router_config_path', 'complexity_router_default_model', 'adaptive_router_default_model', 'quality_router_default_model', 'auto_router_default_model', 'auto_router_embedding_model'], known(k.anything, 'Pick the model by content.')),
  ...all(['mock_tool_calls', 'mock_delay', 'mock_timeout', 'mock_latency_ms', 'mock_error'], acted(k.anything, 'Behaviour of the built-in mock provider: tool calls, seconds or milliseconds of delay, no answer at all, an error status.')),
  ssl_verify: known(k.flagOrText, 'Check the certificate of this upstream.'),
  supports_system_message: known(k.flag, 'false: the system message is sent as the user.'),
  hf_model_name: acted(k.text, 'The model behind an endpoint: its prompt is shaped as that model was taught, or a server of several is told it.'),
  roles: acted(k.map, 'Shape of the prompt of models that go on with a text: `{user: {pre_message, post_message}, …}`.'),
  ...all(['initial_prompt_value', 'final_prompt_value'], acted(k.text, 'What stands before and after it.')),
  ...all(['bos_token', 'eos_token', 'ensure_alternating_roles', 'user_continue_message', 'assistant_continue_message', 'litellm_system_prompt'], known(k.anything, 'Shape of the prompt.')),
  ...all(['fallbacks', 'retry_policy', 'allowed_model_region', 'cache', 'caching', 'no-log', 'litellm_trace_id', 'azure_endpoint', 'api_type', 'web_search_billing_unit'], known(k.anything, 'Rare.')),
} satisfies Rows

/** model_list[] */
export const modelEntry = {
  model_name: acted(
    k.text,
    'Name clients ask for. Rows of one name share its calls; `*` and `prefix/*` stand for many names.',
  ),
  litellm_params: acted(k.map, 'Where the calls go.', {
    open: true,
    inside: { rows: litellmParams },
  }),
  model_info: acted(k.map, 'What is known of the model.', {
    open: true,
    inside: { rows: modelInfo },
  }),
} satisfies Rows

/** credential_list[] */
export const credentialEntry = {
  credential_name: acted(k.text, 'Its name, for litellm_credential_name.'),
  credential_values: acted(k.map, 'Parameters it stands for: api_key, api_base, …'),
  credential_info: acted(k.map, 'Said about it.'),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** guardrails[] */
const guardrailEntry = {
  guardrail_name: known(k.text, 'Its name.'),
  litellm_params: known(k.map, 'What it is.', { open: true, inside: { rows: {
    guardrail: known(k.text, 'Which one.'),
    mode: known(k.anything, 'When: pre_call, during_call, post_call, logging_only, pre_mcp_call, during_mcp_call, post_mcp_call or realtime_input_transcription.'),
    default_on: known(k.flag, 'On every request.', off),
    ...all(['api_key', 'api_base', 'model'], known(k.text, 'Where it runs.')),
    timeout: known(k.seconds, 'Longest wait.', s),
    ...all(['mask_request_content', 'mask_response_content'], known(k.flag, 'Mask instead of blocking.')),
    unreachable_fallback: known(k.oneOf('fail_closed', 'fail_open'), 'What happens when it is away.', { default: 'fail_closed' }),
    fail_on_error: known(k.flag, 'Refuse when it fails.', on),
  } } }),
  guardrail_info: known(k.map, 'Said about it.'),
  ...all(['guardrail_id', 'policy_template'], known(k.anything, 'Set by the database.')),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** mcp_servers.<name> */
const mcpServer = {
  ...all(['url', 'command', 'spec_path', 'auth_type', 'authentication_token', 'auth_value', 'client_id', 'client_secret', 'authorization_url', 'token_url', 'registration_url', 'oauth2_flow', 'token_exchange_endpoint', 'audience', 'instructions', 'description', 'alias', 'server_id', 'server_name', 'protocol_version'], known(k.label, 'Where it is and how to get in.')),
  transport: known(k.oneOf('sse', 'http', 'stdio'), 'How it is spoken to.', { default: 'sse' }),
  ...all(['args', 'extra_headers', 'allowed_tools', 'disallowed_tools', 'access_groups', 'scopes', 'mcp_access_groups'], known(k.names, 'Lists of it.')),
  ...all(['env', 'static_headers', 'allowed_params', 'tool_name_to_display_name', 'tool_name_to_description', 'mcp_info'], known(k.anything, 'Maps of it.')),
  ...all(['allow_all_keys', 'delegate_auth_to_upstream', 'oauth_passthrough', 'is_byok', 'allow_sampling', 'allow_elicitation'], known(k.flag, 'What is allowed.', off)),
  available_on_public_internet: known(k.flag, 'Shown outside.', on),
  'aws_*': known(k.anything, 'AWS credentials and place.'),
  ...all(['timeout', 'max_concurrent_requests', 'rpm'], known(k.amount, 'Bounds of it.')),
} satisfies Rows

const vectorStore = {
  vector_store_name: known(k.text, 'Its name.'),
  vector_store_description: known(k.text, 'Said about it.'),
  vector_store_metadata: known(k.anything, 'Said about it.'),
  litellm_params: acted(
    k.map,
    'vector_store_id, custom_llm_provider, its credentials and place, litellm_embedding_model.',
  ),
} satisfies Rows

const searchTool = {
  search_tool_name: acted(k.text, 'Its name.'),
  litellm_params: acted(k.map, 'search_provider, api_key, api_base, timeout, max_retries.'),
  search_tool_info: known(k.map, 'Said about it.'),
} satisfies Rows

// biome-ignore format: a table reads by the line
/** The file itself */
export const topLevel = {
  model_list: acted(k.list, 'The deployments.', { inside: { rows: modelEntry, each: 'item' } }),
  litellm_settings: acted(k.map, 'Switches of every call.', { inside: { rows: litellmSettings } }),
  general_settings: acted(k.map, 'Switches of the server.', { inside: { rows: generalSettings } }),
  router_settings: acted(k.map, 'Switches of routing.', { inside: { rows: routerSettings } }),
  environment_variables: acted(k.labels, 'Set in the environment before the rest is read.'),
  include: acted(k.names, 'Other files: lists are appended, other sections replaced.'),
  credential_list: acted(k.list, 'Credentials that rows of model_list share by name.', { inside: { rows: credentialEntry, each: 'item' } }),
  guardrails: unmet(k.list, 'Guardrails.', { inside: { rows: guardrailEntry, each: 'item' } }),
  mcp_servers: known(k.map, 'MCP servers.', { inside: { rows: mcpServer, each: 'name' } }),
  mcp_tools: known(k.list, 'MCP tools of our own: name, description, input_schema, handler.'),
  vector_store_registry: acted(k.list, 'Vector stores that keys may look into.', { inside: { rows: vectorStore, each: 'item' } }),
  search_tools: acted(k.list, 'Search tools.', { inside: { rows: searchTool, each: 'item' } }),
  callback_settings: known(k.map, 'Options of integrations.'),
  prompts: known(k.list, 'Prompts kept elsewhere.'),
  ...all(['policies', 'policy_attachments'], unmet(k.anything, 'Policy rules.')),
  ...all(['agents', 'agent_list'], known(k.list, 'A2A agents.')),
  assistant_settings: known(k.map, 'Provider of the assistants API.'),
  files_settings: acted(k.list, 'Credentials of the file endpoints, by provider.'),
  finetune_settings: acted(k.list, 'Credentials of the fine-tuning endpoints, by provider.'),
  default_vertex_config: known(k.map, 'vertex_project, vertex_location, vertex_credentials of pass-through routes.'),
  worker_registry: known(k.list, 'Other servers shown in the UI.'),
  sandbox_tools: known(k.list, 'Sandboxes for code.'),
} satisfies Rows
