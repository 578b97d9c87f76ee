import { routerSettingsOf } from '../config/routing.ts'
import { readConfig } from '../config/schema.ts'
import type { JsonObject } from '../json/json.ts'
import { text } from '../json/json.ts'
import { isSecretKey } from '../provider/secrets.ts'
import { createRouter, type RouterSettings } from '../router/router.ts'
import type { Call } from './complete.ts'
import type { Fallback, Said } from './options.ts'
import { type Room, readRow } from './room.ts'

/** LiteLLM's, for a call outside a router. */
export const usualTimeoutSeconds = 600

/** One model, and others that follow where it fails and `fallbacks` says so. */
export function alone(said: Said, room: Room): Omit<Call, 'said' | 'wire'> {
  const { controls, model, params } = said
  const first = room.make(readRow(group(0), model, params, room))
  const others = controls.disableFallbacks ? [] : controls.fallbacks
  const deployments = [
    first,
    ...others.map((one, at) =>
      room.make(
        readRow(group(at + 1), one.model, paramsFor(one, said, first.provider, room), room),
      ),
    ),
  ]
  // A mock fails to see what follows, not to wait for it.
  const usual = room.settings.num_retries ?? (first.mock ? 0 : 2)
  const router = createRouter({
    deployments,
    settings: { ...restless, retries: usual, maxFallbacks: deployments.length },
    expand: (wildcard) => wildcard,
    ...(room.runtime.sleep && { sleep: room.runtime.sleep }),
  })
  return {
    router,
    group: group(0),
    override: (to) => to,
    fallbacks: deployments.slice(1).map((to) => to.group),
    timeout: room.settings.request_timeout ?? usualTimeoutSeconds,
    streamTimeout: undefined,
  }
}

const group = (at: number): string => `call ${at}`

/** Nothing is remembered from one call to the next, so nothing rests. */
const restless: RouterSettings = routerSettingsOf(
  readConfig({ router_settings: { disable_cooldowns: true } }).config,
  { retries: 2, allowedFails: undefined, cooldownSeconds: 0, maxFallbacks: 0 },
)

/**
 * The first call's parameters, and over them its own. Another provider gets neither the first one's credentials nor its
 * address: a key is for him it was made for.
 */
function paramsFor(fallback: Fallback, said: Said, provider: string, room: Room): JsonObject {
  const { model: _, ...own } = fallback.options ?? {}
  const custom = text(own.custom_llm_provider)
  const same = room.resolve(fallback.model, custom, text(own.api_base)).provider === provider
  const kept = Object.entries(said.params).filter(([key]) => same || isShared(key))
  return { ...Object.fromEntries(kept), ...own }
}

const ofProvider = new Set(
  `api_base base_url api_version custom_llm_provider organization extra_headers headers extra_body base_model
  model_info input_cost_per_token output_cost_per_token`.split(/\s+/),
)
const isShared = (key: string): boolean =>
  !ofProvider.has(key) && !isSecretKey(key) && !/^(aws|azure|vertex|watsonx|oci)_/.test(key)
