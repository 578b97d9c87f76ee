/**
 * Names that are not keys of the file but stand where keys or values stand: parameters of a call, prices, integrations.
 * Facts of LiteLLM 1.106.2.
 */

/** Parameters of calls that rows of model_list commonly preset. Those named here are never taken for a misspelt key. */
export const callParameters: ReadonlySet<string> = new Set(
  `temperature top_p top_k min_p n stream stream_options stop max_tokens max_completion_tokens presence_penalty
  frequency_penalty repetition_penalty logit_bias user response_format seed tools tool_choice logprobs top_logprobs
  parallel_tool_calls functions function_call reasoning_effort thinking service_tier store metadata modalities audio
  prediction web_search_options verbosity safety_identifier prompt_cache_key prompt_cache_retention dimensions
  encoding_format input_type truncate voice speed size quality style background moderation output_format
  output_compression language prompt reasoning include instructions truncation context_management safety_settings
  num_ctx num_predict keep_alive mirostat tfs_z num_gpu num_thread format think options raw template suffix echo best_of
  guided_json guided_regex guided_choice chat_template_kwargs provider transforms route models plugins
  max_output_tokens betas container mcp_servers top_n return_documents max_chunks_per_doc documents`.split(
    /\s+/,
  ),
)

/** Of those, the ones that are numbers: text from the environment becomes one. */
export const numberParameters: ReadonlySet<string> = new Set(
  `temperature top_p top_k min_p n max_tokens max_completion_tokens max_output_tokens presence_penalty
  frequency_penalty repetition_penalty seed top_logprobs dimensions speed num_ctx num_predict best_of top_n`.split(
    /\s+/,
  ),
)

/** Whether a key of litellm_params or model_info is a price (or changes one). Exact, so that a misspelt price is noticed. */
export const isPrice = (key: string): boolean => priceNames.test(key)

const priceBases =
  `annotation_cost_per_page cache_creation_input_audio_token_cost cache_creation_input_token_cost
  cache_read_input_audio_token_cost cache_read_input_image_token_cost cache_read_input_token_cost
  citation_cost_per_token code_interpreter_cost_per_session computer_use_input_cost_per_1k_tokens
  computer_use_output_cost_per_1k_tokens cost_per_second explicit_cache_read_input_token_cost
  file_search_cost_per_1k_calls file_search_cost_per_gb_per_day google_maps_grounding_cost_per_query
  guardrail_cost_per_unit input_cost_per_audio_per_second input_cost_per_audio_token input_cost_per_character
  input_cost_per_image input_cost_per_image_token input_cost_per_pixel input_cost_per_query input_cost_per_request
  input_cost_per_second input_cost_per_text_message input_cost_per_token input_cost_per_token_cache_hit
  input_cost_per_video_per_second input_cost_per_video_token input_dbu_cost_per_token ocr_cost_per_credit
  ocr_cost_per_page off_peak_pricing output_cost_per_audio_token output_cost_per_character output_cost_per_image
  output_cost_per_image_token output_cost_per_pixel output_cost_per_reasoning_token output_cost_per_second
  output_cost_per_token output_cost_per_video_per_second output_cost_per_video_token output_dbu_cost_per_token
  regional_endpoint_uplift_multiplier regional_processing_uplift_multiplier_eu
  regional_processing_uplift_multiplier_us search_context_cost_per_query search_free_requests tiered_pricing
  vector_store_cost_per_gb_per_day`.split(/\s+/)

/** What may follow: a threshold, a size of picture, a service tier. */
const priceNames = new RegExp(
  `^(${priceBases.join('|')})(_above_\\d{1,4}(k_tokens|hr|s_interval))?(_above_\\d{1,4}k_tokens)?` +
    '(_(0\\.5K|1K|2K|4K|512|1024|1536|480p|720p|768p|1080p|2k|4k))?(_(batches|flex|priority|ultrafast|balanced|decisions))?$',
)

/** The prices people write by hand: what a misspelt one is compared with. */
export const commonPrices: readonly string[] = priceBases

/** Integrations one may name in callbacks. */
export const integrations: ReadonlySet<string> = new Set(
  `langfuse langfuse_otel otel opentelemetry prometheus datadog datadog_llm_observability datadog_metrics
  datadog_cost_management s3 s3_v2 gcs_bucket gcs_pubsub azure_storage aws_sqs dynamodb generic_api langsmith helicone
  arize arize_phoenix phoenix braintrust opik mlflow lunary sentry slack logfire posthog openmeter lago galileo argilla
  athina literalai humanloop agentops newrelic weave weave_otel wandb levo deepeval supabase pagerduty azure_sentinel
  clickhouse zerobus pointfive signoz cloudzero vantage focus mavvrik smtp_email sendgrid_email resend_email email
  dynamic_rate_limiter dynamic_rate_limiter_v3 anthropic_cache_control_hook vector_store_pre_call_hook
  compression_interception websearch_interception dotprompt bitbucket gitlab prometheus_system traceloop promptlayer
  greenscale webhook custom_callback_api batch_redis_requests max_parallel_request_limiter
  cache_control_check presidio llmguard_moderations google_text_moderation llamaguard_moderations
  openai_moderations lakera_prompt_injection detect_prompt_injection hide_secrets banned_keywords blocked_user_check
  parallel_request_limiter max_budget_limiter redis postgres batch_write_to_db reset_budget_job self router auth
  proxy_pre_call rag_hooks focus_export bitbucket_prompt gitlab_prompt generic_prompt_management langfuse_prompt`.split(
    /\s+/,
  ),
)

/** Guardrails one may name; anything else with a dot in it is a Python path. */
export const guardrailNames: ReadonlySet<string> = new Set(
  `aporia bedrock dynamoai guardrails_ai lakera lakera_v2 presidio hide-secrets hiddenlayer aim cato_networks pangea
  crowdstrike_aidr lasso pillar grayswan panw_prisma_airs cisco_ai_defense azure/prompt_shield azure/text_moderations
  model_armor openai_moderation noma noma_v2 tool_permission zscaler_ai_guard javelin enkryptai ibm_guardrails
  litellm_content_filter mcp_security onyx promptguard xecguard prompt_security generic_guardrail_api qualifire
  custom_code ovalix microsoft_purview semantic_guard mcp_end_user_permission block_code_execution akto mcp_jwt_signer
  llm_as_a_judge deepkeep qostodian_nexus rubrik vigil_guard repelloai singulr headroom compresr typesafe straiker
  alice agent_365 llm_shield_proxy conduct decision_model`.split(/\s+/),
)

/** Variables through which settings could run code in every program started after them, or lead its traffic elsewhere. */
export const reservedVariables: ReadonlySet<string> = new Set(
  `PATH LD_PRELOAD LD_LIBRARY_PATH DYLD_LIBRARY_PATH DYLD_INSERT_LIBRARIES PYTHONPATH PYTHONSTARTUP PYTHONHOME HOME USER
  SHELL LOGNAME NO_PROXY no_proxy NODE_OPTIONS NODE_PATH`.split(/\s+/),
)
