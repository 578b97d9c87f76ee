import { GatewayError } from '../errors.ts'
import { compile, type Route, type Table } from './routes.ts'

type Known = Pick<Route, 'method' | 'path'> & { area: string }

/**
 * Addresses of LiteLLM's that are known and served by nobody here: they are told by their name, so that nobody takes them
 * for a wrong address. By area; methods, then paths.
 */
const areas: Readonly<
  Record<string, readonly (readonly [methods: readonly Route['method'][], paths: string])[]>
> = {
  'Signing in, invitations, models': [
    [
      ['GET'],
      `/fallback/login /onboarding/get_token /get_logo_url /get_image /get_favicon
      /alerting/settings /invitation/info
      /schedule/anthropic_beta_headers_reload/status /adaptive_router/state`,
    ],
    [
      ['POST'],
      `/onboarding/claim_token /login /v2/login
      /v3/login /v3/login/exchange /invitation/new /invitation/update /invitation/delete
      /reload/anthropic_beta_headers`,
    ],
    [['POST', 'DELETE'], '/schedule/anthropic_beta_headers_reload'],
  ],
  Skills: [
    [
      ['POST'],
      `/api/event_logging/batch /claude_code_gateway/v1/messages
      /claude_code_gateway/v1/messages/count_tokens`,
    ],
    [['GET', 'POST'], '/v1/skills'],
    [['GET', 'DELETE'], '/v1/skills/{skill_id}'],
  ],
  "Google's agents": [
    [['GET', 'POST'], '/v1beta/agents'],
    [['GET', 'DELETE'], '/v1beta/agents/{name}'],
    [['GET'], '/v1beta/agents/{name}/versions'],
  ],
  'Search tools, RAG, calls': [
    [
      ['POST'],
      `/v1/rag/ingest /v1/rag/query /search_tools /search_tools/test_connection /v1/realtime/calls`,
    ],
    [['GET'], '/search_tools/list /search_tools/ui/available_providers'],
    [['GET', 'PUT', 'DELETE'], '/search_tools/{search_tool_id}'],
  ],
  Evals: [
    [['GET', 'POST'], '/v1/evals /v1/evals/{eval_id}/runs'],
    [['GET', 'POST', 'DELETE'], '/v1/evals/{eval_id} /v1/evals/{eval_id}/runs/{run_id}'],
    [['POST'], '/v1/evals/{eval_id}/cancel'],
  ],
  'Vector stores': [
    [['POST'], `/vector_store/new /vector_store/delete /vector_store/info /vector_store/update`],
    [['GET'], '/v1/vector_store/list'],
  ],
  Langfuse: [[['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], '/langfuse/{endpoint+}']],
  'Keys of JSON web tokens': [
    [['POST'], '/jwt/key/mapping/new /jwt/key/mapping/update /jwt/key/mapping/delete'],
    [['GET'], '/jwt/key/mapping/list /jwt/key/mapping/info'],
  ],
  Users: [[['GET'], '/user/available_users']],
  Tags: [
    [
      ['GET'],
      `/tag/distinct /tag/dau /tag/wau /tag/mau /tag/summary /tag/user-agent/per-user-analytics`,
    ],
  ],
  'Spend and reports': [
    [
      ['GET'],
      `/user/daily/activity/aggregated/keys
      /user/daily/activity/aggregated/search /user/daily/activity/aggregated/model_top_keys
      /user/daily/activity/export /user/daily/activity/aggregated/cache_leakage_keys
      /team/daily/activity/aggregated/keys /team/daily/activity/aggregated/search
      /team/daily/activity/aggregated/model_top_keys /team/daily/activity/export
      /tag/daily/activity/aggregated/keys /tag/daily/activity/aggregated/search
      /tag/daily/activity/aggregated/model_top_keys /tag/daily/activity/export
      /organization/daily/activity/aggregated/keys /organization/daily/activity/aggregated/search
      /organization/daily/activity/aggregated/model_top_keys /organization/daily/activity/export
      /customer/daily/activity/aggregated/keys /customer/daily/activity/aggregated/search
      /customer/daily/activity/aggregated/model_top_keys /customer/daily/activity/export
      /agent/daily/activity/aggregated/keys /agent/daily/activity/aggregated/search
      /agent/daily/activity/aggregated/model_top_keys /agent/daily/activity/export
      /global/activity/cache_hits /gateway/daily/activity`,
    ],
    [
      ['GET', 'PATCH'],
      `/config/cost_discount_config /config/cost_margin_config
      /config/block_requests_for_models_without_pricing`,
    ],
    [['GET', 'PUT'], '/cloudzero/settings /vantage/settings'],
    [
      ['POST'],
      `/cloudzero/init /cloudzero/dry-run /cloudzero/export /vantage/init /vantage/dry-run
      /vantage/export`,
    ],
    [['DELETE'], '/cloudzero/delete /vantage/delete'],
  ],
  Router: [
    [['GET', 'POST'], '/auto_router/classifier/default_prompt'],
    [['GET', 'PUT', 'DELETE'], '/access_group/{access_group}/budget'],
    [['GET'], '/router/settings /router/fields'],
    [['POST'], '/fallback'],
    [['GET', 'DELETE'], '/fallback/{model}'],
  ],
  'Guardrails and policies': [
    [
      ['GET'],
      `/guardrails/list /v2/guardrails/list /guardrails/submissions
      /guardrails/submissions/{guardrail_id} /guardrails/{guardrail_id}/info
      /guardrails/ui/add_guardrail_settings /guardrails/ui/category_yaml/{category_name}
      /guardrails/ui/major_airlines /guardrails/ui/provider_specific_params
      /guardrails/usage/overview /guardrails/usage/detail/{guardrail_id} /guardrails/usage/logs
      /policies/usage/overview /policies/list /policies/compare
      /policies/{policy_id}/resolved-guardrails /policies/attachments/list`,
    ],
    [
      ['POST'],
      `/guardrails /guardrails/register /guardrails/submissions/{guardrail_id}/approve
      /guardrails/submissions/{guardrail_id}/reject /guardrails/validate_blocked_words_file
      /guardrails/test_custom_code /apply_guardrail /guardrails/apply_guardrail /policies
      /policies/test-pipeline /policies/attachments`,
    ],
    [['GET', 'PUT', 'PATCH', 'DELETE'], '/guardrails/{guardrail_id}'],
    [['GET', 'POST'], '/policies/name/{policy_name}/versions'],
    [['PUT'], '/policies/{policy_id}/status'],
    [['DELETE'], '/policies/name/{policy_name}/all-versions'],
    [['GET', 'PUT', 'DELETE'], '/policies/{policy_id}'],
    [['GET', 'DELETE'], '/policies/attachments/{attachment_id}'],
  ],
  MCP: [
    [
      ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      `/mcp/proxy /mcp /toolset/{toolset_name}/mcp /{mcp_server_name}/mcp`,
    ],
    [
      ['GET'],
      `/mcp-rest/tools/list /authorize/mcp-session /authorize /{mcp_server_name}/authorize
      /authorize/flow /.well-known/litellm-cli-auth /callback
      /.well-known/oauth-protected-resource /.well-known/oauth-protected-resource/mcp
      /.well-known/oauth-authorization-server/mcp
      /.well-known/oauth-protected-resource/mcp/{mcp_server_name}
      /.well-known/oauth-protected-resource/{mcp_server_name}/mcp
      /.well-known/oauth-authorization-server/mcp/{mcp_server_name}
      /.well-known/oauth-authorization-server
      /.well-known/oauth-authorization-server/{mcp_server_name} /.well-known/openid-configuration
      /.well-known/jwks.json /.well-known/oauth-authorization-server/{mcp_server_name}/mcp
      /oauth/client-metadata.json`,
    ],
    [
      ['POST'],
      `/mcp-rest/tools/call /mcp-rest/test/connection /mcp-rest/test/tools/list /token
      /{mcp_server_name}/token /authorize/complete /revoke /introspect /register
      /{mcp_server_name}/register`,
    ],
  ],
  'Agents (A2A)': [
    [['GET', 'POST'], '/v1/agents'],
    [
      ['GET'],
      `/v1/agents/identity/providers /v1/agents/{agent_id}/identity
      /a2a/{agent_id}/.well-known/agent.json /a2a/{agent_id}/.well-known/agent-card.json`,
    ],
    [['GET', 'PUT', 'PATCH', 'DELETE'], '/v1/agents/{agent_id}'],
    [
      ['POST'],
      `/v1/agents/{agent_id}/kill_switch /v1/agents/{agent_id}/make_public /v1/agents/make_public
      /v1/a2a/{agent_id}/message/send /a2a/{agent_id} /v1/a2a/discover`,
    ],
  ],
  'Health and debugging': [
    [
      ['GET'],
      `/test /health/services /health/history /health/latest /health/shared-status /health/license
      /active/callbacks /settings /health/readiness/details /health/backlog /health/drain
      /debug/asyncio-tasks /memory-usage-in-mem-cache /memory-usage-in-mem-cache-items
      /debug/memory/summary /debug/memory/details /debug/report /otel-spans`,
    ],
    [['POST'], '/health/test_connection /debug/memory/gc/configure'],
  ],
  Cache: [
    [['GET'], '/cache/ping /cache/redis/info'],
    [['POST'], '/cache/delete /cache/flushall /cache/settings/test'],
    [['GET', 'POST'], '/cache/settings'],
  ],
  Prompts: [
    [['GET'], '/prompts/list /prompts/{prompt_id}/versions /prompts/{prompt_id}/info'],
    [['GET', 'PUT', 'PATCH', 'DELETE'], '/prompts/{prompt_id}'],
    [['POST'], '/prompts /prompts/test /utils/dotprompt_json_converter'],
  ],
  'Tools, memory': [
    [['GET', 'POST'], '/v1/memory'],
    [['GET', 'PUT', 'DELETE'], '/v1/memory/{key+}'],
    [
      ['GET'],
      `/v1/tool/policy/options /v1/tool/list /v1/tool/spend /v1/tool/{tool_name+}/detail
      /v1/tool/{tool_name+}/logs /v1/tool/{tool_name+}`,
    ],
    [['POST'], '/v1/tool/policy'],
    [['DELETE'], '/v1/tool/{tool_name+}/overrides'],
  ],
  'Settings of pages': [
    [
      ['GET'],
      `/callbacks/list /callbacks/configs /get/allowed_ips /get/internal_user_settings
      /get/default_team_settings /get/sso_settings /get/ui_theme_settings
      /get/mcp_semantic_filter_settings /get/websearch_interception_settings
      /get/mcp_tool_search_settings /get/ui_settings`,
    ],
    [
      ['POST'],
      `/add/allowed_ip /delete/allowed_ip /upload/logo
      /config_overrides/hashicorp_vault/test_connection /config_overrides/cyberark/test_connection`,
    ],
    [
      ['PATCH'],
      `/update/internal_user_settings /update/default_team_settings /update/sso_settings
      /update/ui_theme_settings /update/mcp_semantic_filter_settings
      /update/websearch_interception_settings /update/mcp_tool_search_settings /update/ui_settings`,
    ],
    [['GET', 'POST', 'DELETE'], '/config_overrides/hashicorp_vault /config_overrides/cyberark'],
  ],
  'SSO and sessions': [
    [['POST'], `/session/logout /sso/cli/start /sso/cli/complete/{login_id} /sso/saml/callback`],
    [
      ['GET'],
      `/sso/key/generate /sso/callback /sso/saml/login /sso/saml/metadata /sso/cli/poll/{key_id}
      /sso/get/ui_settings /sso/readiness /sso/debug/login /sso/debug/callback`,
    ],
  ],
  'SCIM v2': [
    [
      ['GET'],
      `/scim/v2/ /scim/v2 /scim/v2/ResourceTypes /scim/v2/ResourceTypes/{resource_type_id}
      /scim/v2/Schemas /scim/v2/Schemas/{schema_id+} /scim/v2/ServiceProviderConfig
      /scim/v2/placeholders`,
    ],
    [['GET', 'POST'], '/scim/v2/Users /scim/v2/Groups'],
    [['GET', 'PUT', 'PATCH', 'DELETE'], '/scim/v2/Users/{user_id} /scim/v2/Groups/{group_id}'],
    [['POST'], '/scim/v2/placeholders/{user_id}/merge'],
  ],
  Audit: [[['GET'], '/audit /audit/{id}']],
  'Public hub and discovery': [
    [
      ['GET'],
      `/public/model_hub /public/agent_hub /public/mcp_hub /public/skill_hub /public/model_hub/info
      /public/providers /public/providers/fields /public/complexity_router/scorer_defaults
      /public/complexity_router/fuse_presets /public/litellm_blog_posts /public/autorouter_presets
      /public/endpoints /public/agents/fields /public/v1/model_hub /public/v1/model_hub/{facet}
      /litellm/.well-known/litellm-ui-config /.well-known/litellm-ui-config`,
    ],
  ],
  Others: [
    [
      ['GET', 'POST'],
      `/docs/oauth2-redirect /redoc /v1/traces /moyai/connect/exchange /v1/workflows/runs
      /v1/workflows/runs/{run_id}/events /v1/workflows/runs/{run_id}/messages /lens/datasets
      /lens/feedback /lens/tracing/keys /lens /lens/{lens_id}/runs /coordination_redis/settings
      /email/event_settings /email/event_settings/reset /liteadmin/slack/connect/{token}
      /robots.txt /.well-known/oauth-authorization-server/v1/mcp/oauth
      /v1/mcp/oauth/protected-resource /v1/mcp/oauth/authorize /claude_code_gateway/v1/traces
      /claude-code/plugins`,
    ],
    [
      ['POST'],
      `/v1/logs /v1/traces/query /user/password/change
      /management/v1/teams/{team_id}/members/bulk_delete
      /management/v1/teams/{team_id}/members/bulk_update /management/v1/users/bulk
      /management/v1/users/bulk_delete /v1/rust_control_plane/logs /moyai/connect/start
      /auto_router/validate_complexity_router_config /auto_router/availability
      /auto_router/test_routing /auto_router/shadow_eval/start
      /auto_router/shadow_eval/{job_id}/stop /lens/datasets/build
      /lens/datasets/{dataset_id}/revisions /lens/feedback/summary /lens/traces/signals
      /lens/traces/findings /lens/watch-all /lens/{lens_id}/cancel /lens/preview/sample
      /lens/workers/register /lens/worker/claim /lens/worker/{lens_id}/{job_id}/progress
      /lens/worker/{lens_id}/{job_id}/model /lens/worker/{lens_id}/{job_id}/result
      /lens/worker/{lens_id}/{job_id}/heartbeat /cost/predict-cache
      /coordination_redis/settings/test /lazy/warm/{name} /utils/test_policies_and_guardrails
      /policy/validate /policy/test /policy/templates/enrich /policy/templates/enrich/stream
      /policy/templates/suggest /policy/templates/test /policies/resolve
      /policies/attachments/estimate-impact /v1/mcp/server/register /v1/mcp/server/import
      /v1/mcp/server/oauth/session /v1/mcp/server/oauth/{server_id}/token
      /v1/mcp/server/oauth/{server_id}/register /v1/mcp/make_public /v1/mcp/oauth/token
      /claude_code_gateway/oauth/device_authorization /claude_code_gateway/oauth/token
      /claude_code_gateway/oauth/revoke /claude_code_gateway/v1/metrics
      /claude_code_gateway/v1/logs /systemone /v1/systemone /decisions /v1/decisions
      /claude-code/plugins/{plugin_name}/enable /claude-code/plugins/{plugin_name}/disable
      /usage/ai/chat /compliance/eu-ai-act /compliance/gdpr`,
    ],
    [
      ['GET'],
      `/v1/traces/agents /v1/traces/query/help /v1/traces/{trace_id}
      /v1/traces/{trace_id}/spans/{span_id} /v1/traces/{trace_id}/spans/{span_id}/error
      /management/v1/budgets /management/v1/spend_logs/end_users /management/v1/spend_logs/users
      /get/user_banner /get/latest_release_info /auto_router/benchmarks /auto_router/session
      /auto_router/shadow_eval /auto_router/shadow_eval/{job_id} /lens/datasets/{dataset_id}
      /lens/datasets/{dataset_id}/export /lens/datasets/{dataset_id}/revisions/{revision}/cases
      /lens/service /lens/internal/ingestion-credentials /lens/activity/available /lens/agents
      /lens/{lens_id}/runs/{job_id} /lens/{lens_id}/runs/{job_id}/reviews
      /lens/worker/{lens_id}/{job_id}/reviews /lens/worker/{lens_id}/{job_id}/sample
      /lens/worker/{lens_id}/{job_id}/content /lens/{lens_id}/executions/{execution_id}
      /api/plugins /api/plugins/auth-token /plugin-proxy/{plugin_name}/{path+}
      /cost_optimization/prompt_caching/requests /.well-known/skills/index.json
      /.well-known/agent-skills/index.json /v1/skills/{skill_id}/archive /policy/list
      /policy/info/{policy_name} /policy/templates /model-insights /model-insights/tasks
      /v1/mcp/tools /v1/mcp/access_groups /v1/mcp/network/client-ip /v1/mcp/registry.json
      /v1/mcp/server/health /v1/mcp/server/submissions /v1/mcp/server/oauth/{server_id}/authorize
      /v1/mcp/server/{server_id}/oauth-user-credential/status /v1/mcp/user-credentials
      /v1/mcp/server/{server_id}/user-credentials /v1/mcp/user-env-vars/status /v1/mcp/discover
      /v1/mcp/openapi-registry /.well-known/oauth-authorization-server/{root_path+}/v1/mcp/oauth
      /claude_code_gateway/.well-known/oauth-authorization-server
      /claude_code_gateway/managed/settings /claude-code/marketplace.json`,
    ],
    [['PATCH'], '/update/user_banner /lens/{lens_id}/findings/{finding_id}'],
    [['GET', 'PATCH'], '/v1/workflows/runs/{run_id}'],
    [['DELETE'], '/lens/tracing/keys/{key_id} /lens/workers/{worker_id}'],
    [['GET', 'PUT'], '/lens/signals /lens/{lens_id}'],
    [
      ['PUT'],
      `/lens/workers/{worker_id}/billing-key /v1/mcp/server/{server_id}/approve
      /v1/mcp/server/{server_id}/reject`,
    ],
    [['GET', 'POST', 'PUT'], '/v1/mcp/server /v1/mcp/toolset'],
    [['GET', 'DELETE'], `/v1/mcp/sessions /v1/mcp/server/{server_id} /v1/mcp/toolset/{toolset_id}`],
    [
      ['POST', 'DELETE'],
      `/v1/mcp/server/{server_id}/pin /v1/mcp/server/{server_id}/user-credential
      /v1/mcp/server/{server_id}/oauth-user-credential`,
    ],
    [['GET', 'POST', 'DELETE'], '/v1/mcp/server/{server_id}/user-env-vars'],
    [['GET', 'PUT', 'DELETE'], '/claude-code/plugins/{plugin_name}'],
  ],
}

export const notOffered: readonly Known[] = Object.entries(areas).flatMap(([area, rows]) =>
  rows.flatMap(([methods, paths]) =>
    methods.flatMap((method) => paths.split(/\s+/).map((path) => ({ area, method, path }))),
  ),
)

/** Made for the first request that nobody serves. */
let table: Table<Known> | undefined

/** The name of what is known and not offered; undefined: nobody knows it. */
export function nameOfNotOffered(method: string, path: string): string | undefined {
  table ??= compile(notOffered)
  const found = table.match(method, path)
  return 'route' in found ? `${found.route.method} ${found.route.path}` : undefined
}

export const notOfferedHere = (known: string): GatewayError =>
  new GatewayError('not_offered', `${known} is not offered by this gateway`, { code: '501' })
