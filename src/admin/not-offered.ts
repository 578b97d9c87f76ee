import { notOffered } from './later.ts'
import type { AdminRoute } from './route.ts'

/** Routes of LiteLLM's for reports, settings and its pages that are known and not offered: methods, then paths. */
const rows: readonly [methods: readonly AdminRoute['method'][], paths: string][] = [
  [
    ['GET'],
    `/spend/capture_rate /global/activity/cache_hits /gateway/daily/activity
    /user/daily/activity/aggregated/cache_leakage_keys /router/settings /router/fields /callbacks/list
    /callbacks/configs /get/allowed_ips /get/sso_settings /get/ui_theme_settings /get/mcp_semantic_filter_settings
    /get/websearch_interception_settings /get/mcp_tool_search_settings /get/ui_settings`,
  ],
  [
    ['GET', 'PATCH'],
    `/config/cost_discount_config /config/cost_margin_config /config/block_requests_for_models_without_pricing`,
  ],
  [['GET', 'PUT'], '/cloudzero/settings /vantage/settings'],
  [
    ['POST'],
    `/cloudzero/init /cloudzero/dry-run /cloudzero/export /vantage/init /vantage/dry-run /vantage/export /fallback
    /add/allowed_ip /delete/allowed_ip /upload/logo /config_overrides/hashicorp_vault/test_connection
    /config_overrides/cyberark/test_connection`,
  ],
  [
    ['PATCH'],
    `/update/sso_settings /update/ui_theme_settings /update/mcp_semantic_filter_settings
    /update/websearch_interception_settings /update/mcp_tool_search_settings /update/ui_settings`,
  ],
  [['DELETE'], '/cloudzero/delete /vantage/delete'],
  [['GET', 'DELETE'], '/fallback/{model+}'],
  [['GET', 'POST', 'DELETE'], '/config_overrides/hashicorp_vault /config_overrides/cyberark'],
]

export const notOfferedRoutes: readonly AdminRoute[] = rows.flatMap(([methods, paths]) =>
  methods.flatMap((method) => paths.split(/\s+/).map((path) => notOffered(method, path))),
)
