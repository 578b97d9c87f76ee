import { bool, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { thinks } from '../openai-responses/effort.ts'
import type { Target } from '../wire.ts'

/**
 * Parameters that this model's provider answers with a 400 of its own: told by the row, or by what the catalogue knows of
 * the model. Without drop_params they are sent, and the provider says so; with it they are left out by name.
 */

/** Top-level keys to look at. */
export function refusable(to: Target): string[] {
  if (!to.dropParams) return []
  const keys = Object.keys(flags).filter((key) => bool(to.info[flags[key] ?? '']) === false)
  if (judgesEffort(to)) keys.push('reasoning_effort')
  const all = new Set([...keys, ...(to.quirks.refusedThere ?? [])])
  return [...all].filter((key) => !to.allowedParams?.includes(key))
}

/** Takes them out of `body`; answers with what they were. */
export function dropRefused(body: JsonObject, to: Target): string[] {
  const byRow = to.quirks.refusedThere ?? []
  const dropped = refusable(to).filter((key) => {
    const value = body[key]
    if (value === undefined || value === null) return false
    if (key === 'reasoning_effort' && !byRow.includes(key)) return refusesEffort(value, to)
    // Without it the model might call what it was told not to.
    return key !== 'tool_choice' || value !== 'none' || byRow.includes('tools')
  })
  for (const key of dropped) delete body[key]
  return dropped
}

/** Abilities the catalogue denies by a plain no. */
const flags: Readonly<Record<string, string>> = {
  parallel_tool_calls: 'supports_parallel_function_calling',
  tool_choice: 'supports_tool_choice',
}

/** Rows that spell an effort as a switch send it in words their models overlook. */
function judgesEffort(to: Target): boolean {
  const { effortAsThinking, effortAsEnableThinking, rename } = to.quirks
  if (effortAsThinking || effortAsEnableThinking || rename?.reasoning_effort) return false
  return cannotThink(to) || isOpenAis(to) || steps.some((step) => denies(to, step))
}

const cannotThink = (to: Target): boolean =>
  thinks(to) === false &&
  !(openToEfforts.has(to.provider) && bool(to.info.supports_reasoning) === undefined)
/** Here the catalogue's silence says nothing: every model takes an effort (LiteLLM's lists of parameters, 2026-11). */
const openToEfforts: ReadonlySet<string> = new Set([
  'amazon_nova',
  'databricks',
  'deepseek',
  'inception',
])

/** An effort may also be said as Responses does: `{effort, summary}`. */
function refusesEffort(value: Json, to: Target): boolean {
  if (cannotThink(to)) return true
  const effort = text(value) ?? text(object(value).effort)
  if (effort === undefined || (effort === 'none' && to.quirks.effortNoneAsThinkingOff)) return false
  return denies(to, effort) || (effort === 'xhigh' && isOpenAis(to) && !grantsXhigh(to))
}

const steps = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh']
const denies = ({ info }: Target, effort: string): boolean =>
  effort !== 'max' && bool(info[`supports_${effort}_reasoning_effort`]) === false

/** Most of OpenAI's models that think refuse `xhigh`; of one the catalogue does not list nothing is known. */
const isOpenAis = (to: Target): boolean =>
  thinks(to) === true && /^(?:openai|azure)/.test(text(to.info.litellm_provider) ?? '')
const grantsXhigh = ({ info }: Target): boolean =>
  bool(info.supports_xhigh_reasoning_effort) === true
