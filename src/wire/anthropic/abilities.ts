import { bool, number } from '../../json/json.ts'
import type { Target } from '../wire.ts'

/** What a Claude model takes: the catalogue's word first, then what its name says. */
export type Abilities = {
  /** Extended thinking in any form. */
  thinks: boolean
  /** `thinking: {type: "adaptive"}`, steered by effort. */
  adaptive: boolean
  /** `thinking: {type: "enabled", budget_tokens}`. */
  budgets: boolean
  /** Refuses `thinking: {type: "disabled"}`. */
  alwaysThinks: boolean
  /** Thinks unless told not to. */
  thinksUnasked: boolean
  /** `output_config.effort`, and its two highest levels. */
  effort: boolean
  xhigh: boolean
  max: boolean
  /** temperature, top_p and top_k. */
  sampling: boolean
  /** temperature or top_p, not both. */
  oneSampler: boolean
  /** `output_config.format` and `strict` tools. */
  schemas: boolean
  /** `role: "system"` between other messages. */
  midSystem: boolean
  /** tool_choice any and tool. */
  forcedTools: boolean
  webSearch: boolean
  maxOutput: number | undefined
}

/**
 * Families by version, from platform.claude.com (thinking, effort, structured outputs, mid-conversation system
 * messages), 2026-11: adaptive thinking from 4.6, budgets refused from 4.7 on, and with them sampling.
 */
export function abilitiesOf(to: Target): Abilities {
  let abilities = known.get(to)
  if (!abilities) known.set(to, (abilities = abilitiesFrom(to)))
  return abilities
}

/** Targets live as long as their deployment. */
const known = new WeakMap<Target, Abilities>()

/** The same of a model that is no target of its own. */
export function abilitiesFrom(to: Pick<Target, 'provider' | 'model' | 'info'>): Abilities {
  const says = (flag: string): boolean | undefined => bool(to.info[flag])
  const version = versionOf(to.model)
  const from = (least: number): boolean => version !== undefined && version >= least
  const adaptive = says('supports_adaptive_thinking') ?? from(4.06)
  const own = to.provider === 'anthropic'
  return {
    thinks: says('supports_reasoning') ?? (version === undefined || version >= 3.07),
    adaptive,
    budgets: says('supports_legacy_thinking') ?? !(version === undefined ? adaptive : from(4.07)),
    alwaysThinks: says('thinking_always_on') ?? false,
    thinksUnasked: from(5),
    effort: says('supports_output_config') ?? adaptive,
    xhigh: says('supports_xhigh_reasoning_effort') ?? from(4.07),
    max: says('supports_max_reasoning_effort') ?? from(4.06),
    sampling: says('supports_sampling_params') ?? !from(4.07),
    oneSampler: from(4.01),
    schemas: says('supports_native_structured_output') ?? (own && from(4.01)),
    midSystem: says('supports_mid_conversation_system') ?? (own && from(4.08)),
    forcedTools: says('supports_forced_tool_use') ?? true,
    webSearch: says('supports_web_search') ?? (own && from(3.05)),
    maxOutput: number(to.info.max_output_tokens),
  }
}

/** `claude-3-7-sonnet-20250219` is 3.07, `claude-opus-4-20250514` is 4; undefined when the name has no number. */
export function versionOf(model: string): number | undefined {
  if (model.includes('claude-mythos-preview')) return 4.07
  const found = /claude-(?:[a-z]+-)*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/.exec(model)
  return found ? Number(found[1]) + Number(found[2] ?? 0) / 100 : undefined
}
