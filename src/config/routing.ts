import type { FaultKind } from '../errors.ts'
import { type JsonObject, object } from '../json/json.ts'
import type { Row } from '../provider/deployment.ts'
import type { AffinitySettings, Stickiness } from '../router/affinity.ts'
import { lar1Thresholds } from '../router/lar1.ts'
import type { Fallbacks, RetryPolicy, RouterSettings, StrategyArgs } from '../router/router.ts'
import { type StrategyName, strategies } from '../router/strategies.ts'
import type { ErrorName, FallbackTarget } from './kinds.ts'
import type { Config, ModelRow } from './schema.ts'

/** What holds where the configuration is silent. */
export type RoutingDefaults = {
  retries: number
  allowedFails: number | undefined
  cooldownSeconds: number
  maxFallbacks: number
}

/** The router's settings, out of router_settings and what litellm_settings says of the same. */
export function routerSettingsOf(config: Config, defaults: RoutingDefaults): RouterSettings {
  const { settings, router } = config
  const aliases: Record<string, { group: string; hidden: boolean }> = {}
  for (const table of [settings.model_alias_map, router.model_group_alias])
    for (const [alias, { model, hidden }] of table ?? []) aliases[alias] = { group: model, hidden }
  const general = fallbacksOf(router.fallbacks ?? settings.fallbacks) ?? {}
  const everyone = router.default_fallbacks ?? settings.default_fallbacks
  return {
    retries: router.num_retries ?? settings.num_retries ?? defaults.retries,
    retryPolicy: policyOf(router.retry_policy),
    groupRetryPolicy: Object.fromEntries(
      [...(router.model_group_retry_policy ?? [])].map(([group, policy]) => [
        group,
        policyOf(policy),
      ]),
    ),
    retryAfterSeconds: router.retry_after ?? 0,
    cooldownSeconds: router.cooldown_time ?? defaults.cooldownSeconds,
    disableCooldowns: router.disable_cooldowns === true,
    allowedFails: notDefault(
      router.allowed_fails ?? settings.allowed_fails ?? defaults.allowedFails,
    ),
    allowedFailsPolicy: policyOf(router.allowed_fails_policy),
    fallbacks: everyone ? { '*': everyone, ...general } : general,
    contextWindowFallbacks: fallbacksOf(
      router.context_window_fallbacks ?? settings.context_window_fallbacks,
    ),
    contentPolicyFallbacks: fallbacksOf(
      router.content_policy_fallbacks ?? settings.content_policy_fallbacks,
    ),
    maxFallbacks: router.max_fallbacks ?? settings.max_fallbacks ?? defaults.maxFallbacks,
    aliases,
    tagFiltering: router.enable_tag_filtering === true,
    tagMatchAny: router.tag_filtering_match_any !== false,
    strategy: strategyOf(router.routing_strategy),
    strategyArgs: strategyArgsOf(router.routing_strategy_args),
    enforceLimits: (router.optional_pre_call_checks ?? []).includes('enforce_model_rate_limits'),
    preCallChecks: router.enable_pre_call_checks === true,
    parallelDefault: router.default_max_parallel_requests,
    affinity: affinityOf(router),
  }
}

/** Undefined where nobody is kept anywhere, which is the usual thing. */
function affinityOf(router: Config['router']): AffinitySettings | undefined {
  const general = stickinessOf(router.optional_pre_call_checks)
  const groups = new Map(
    Object.entries(router.model_group_affinity_config ?? {}).map(([group, names]) => [
      group,
      stickinessOf(Array.isArray(names) ? names : []),
    ]),
  )
  const prompts = router.optional_pre_call_checks?.includes('prompt_caching') === true
  const all = [general, ...groups.values()]
  const any = all.some(({ callers, sessions, threads }) => callers || sessions || threads)
  if (!prompts && !any) return undefined
  return { ...general, prompts, groups, ttlSeconds: router.deployment_affinity_ttl_seconds ?? 3600 }
}

const stickinessOf = (checks: readonly unknown[] = []): Stickiness => ({
  callers: checks.includes('deployment_affinity'),
  sessions: checks.includes('session_affinity'),
  threads: checks.includes('encrypted_content_affinity'),
})

/** `defaults` are router_settings.default_litellm_params: beneath what the row says. */
export function rowOf(model: ModelRow, defaults: JsonObject = {}): Row {
  const { modelName, params, prices, info, unset } = model
  return {
    modelName,
    params: jsonOf(params),
    defaults: { ...defaults, ...model.defaults },
    prices,
    info: jsonOf(info),
    ...(info.allowed_fails_policy && { failsPolicy: policyOf(info.allowed_fails_policy) }),
    unset,
  }
}

/** A second row of the same content is another deployment: ids are given out once. */
export function uniqueIds(): (id: string) => string {
  const seen = new Map<string, number>()
  return (id) => {
    const times = (seen.get(id) ?? 0) + 1
    seen.set(id, times)
    return times === 1 ? id : `${id}-${times}`
  }
}

/** What a config says is JSON, but for values that the schema turned into maps. */
const jsonOf = (value: unknown): JsonObject =>
  object(
    JSON.parse(
      JSON.stringify(value, (_, said) => (said instanceof Map ? Object.fromEntries(said) : said)),
    ),
  )

const strategyOf = (name: string | undefined): StrategyName =>
  name !== undefined && Object.hasOwn(strategies, name)
    ? (name as StrategyName) // a key of the table
    : 'simple-shuffle'

function strategyArgsOf(args: Readonly<Record<string, unknown>> | undefined): StrategyArgs {
  const { ttl, lowest_latency_buffer, max_latency_list_size, ttft_percentile } = args ?? {}
  const out: StrategyArgs = {}
  if (typeof ttl === 'number') out.ttlSeconds = ttl
  if (typeof lowest_latency_buffer === 'number') out.latencyBuffer = lowest_latency_buffer
  if (typeof max_latency_list_size === 'number') out.latencyListMax = max_latency_list_size
  // 95 and 0.95 are the same.
  if (typeof ttft_percentile === 'number')
    out.firstPercentile = ttft_percentile > 1 ? ttft_percentile / 100 : ttft_percentile
  const thresholds = lar1Of(args)
  if (thresholds) out.lar1 = thresholds
  return out
}

/** Undefined where none is named; LiteLLM's own stand for those that are not. */
export function lar1Of(
  args: Readonly<Record<string, unknown>> | undefined,
): StrategyArgs['lar1'] | undefined {
  const said = (['low', 'medium', 'high'] as const).map((name) => {
    const value = args?.[`confidence_threshold_${name}`]
    return [name, typeof value === 'number' ? value : undefined] as const
  })
  if (said.every(([, value]) => value === undefined)) return undefined
  return {
    ...lar1Thresholds,
    ...Object.fromEntries(said.filter(([, value]) => value !== undefined)),
  }
}

/** LiteLLM's own number stands for "not set": its default rule then decides. */
const notDefault = (fails: number | undefined): number | undefined =>
  fails === 3 ? undefined : fails

function fallbacksOf(
  table: ReadonlyMap<string, readonly FallbackTarget[]> | undefined,
): Fallbacks | undefined {
  if (!table) return undefined
  return Object.fromEntries(
    [...table].map(([group, targets]) => [
      group,
      targets.map((target) => (typeof target === 'string' ? target : target.model)),
    ]),
  )
}

const kindsOf: Record<ErrorName, FaultKind | 'default'> = {
  BadRequestError: 'bad_request',
  AuthenticationError: 'authentication',
  TimeoutError: 'timeout',
  RateLimitError: 'rate_limit',
  ContentPolicyViolationError: 'content_policy',
  InternalServerError: 'provider',
  ServiceUnavailableError: 'unavailable',
  NotFoundError: 'not_found',
  BadGatewayError: 'bad_gateway',
  Default: 'default',
}

function policyOf(policy: ReadonlyMap<ErrorName, number> | undefined): RetryPolicy {
  const out: Partial<Record<FaultKind | 'default', number>> = {}
  for (const [name, value] of policy ?? []) out[kindsOf[name]] = value
  return out
}
