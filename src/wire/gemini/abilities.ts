import { bool, number } from '../../json/json.ts'
import type { Target } from '../wire.ts'

/** What a Gemini model takes: the catalogue's word first, then what its name says. */
export type Abilities = {
  thinks: boolean
  /** `thinkingLevel` instead of `thinkingBudget`. */
  levels: boolean
  minimalLevel: boolean
  mediumLevel: boolean
  /** A budget of 0 turns thinking off. */
  stopsThinking: boolean
  budgetMin: number
  budgetMax: number
  /** temperature, topP and topK. */
  sampling: boolean
  systemInstruction: boolean
  /** `parametersJsonSchema` and `responseJsonSchema`. */
  jsonSchema: boolean
  /** Calls and results carry ids, results may hold media, the first call of a step must be signed. */
  third: boolean
  maxOutput: number | undefined
}

/**
 * By version, from ai.google.dev (thinking, thought signatures, function calling, structured output) and the types of
 * @google/genai 3.1, 2026-11: levels, ids and signatures since Gemini 3; JSON Schema since 2.5; no sampling parameters
 * where the catalogue says so (3.5 Flash-Lite, 3.6 and later).
 */
export function abilitiesOf({ model, info }: Target): Abilities {
  const says = (flag: string): boolean | undefined => bool(info[flag])
  const version = versionOf(model)
  const third = version !== undefined && version >= 3
  const isGemma = /gemma/i.test(model)
  const isPro = /pro/i.test(model)
  const isLite = /flash-lite/i.test(model)
  const isSecond = version !== undefined && !third
  return {
    thinks:
      says('supports_reasoning') ??
      (!/tts|-image|gemma|imagen|lyria/i.test(model) && (version === undefined || version >= 2.05)),
    levels: third || /gemma-(?:[4-9]|\d\d)/i.test(model),
    minimalLevel:
      says('supports_minimal_reasoning_effort') ??
      (isGemma || (!isPro && version !== undefined && version < 3.07)),
    mediumLevel: !/gemini-3-pro/i.test(model) && !isGemma,
    stopsThinking: !isPro,
    budgetMin: isSecond && isPro ? 128 : isLite ? 512 : 1,
    budgetMax: isPro ? 32_768 : 24_576,
    sampling: says('supports_sampling_params') ?? true,
    systemInstruction: says('supports_system_messages') ?? !/gemma-[1-3]\b/i.test(model),
    jsonSchema: version === undefined ? !isGemma : version >= 2.05,
    third,
    maxOutput: number(info.max_output_tokens),
  }
}

/** `gemini-2.5-flash` is 2.05 and `gemini-3-pro-preview` 3; what is called `latest` is at least 3; undefined for other names. */
export function versionOf(model: string): number | undefined {
  const found = /gemini-(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)/i.exec(model)
  if (found) return Number(found[1]) + Number(found[2] ?? 0) / 100
  return /gemini-[a-z-]{1,32}-latest/i.test(model) ? 3 : undefined
}
