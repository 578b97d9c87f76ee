import type { ChatRequest, Effort, Reasoning } from '../../chat/chat.ts'
import { bool, compact, type JsonObject, object } from '../../json/json.ts'
import type { Target } from '../wire.ts'

/** Does the model think? The catalogue lists what a model can do, so of one it knows and says nothing about, it cannot. */
export function thinks({ info }: Target): boolean | undefined {
  const said = bool(info.supports_reasoning)
  return said ?? (info.litellm_provider === undefined ? undefined : false)
}

/**
 * `reasoning` as the model takes it. OpenAI's own words go as they are, for the provider to judge; budgets and efforts
 * of other dialects are brought to what the model knows, and left out where it does not think.
 */
export function encodeReasoning(
  { reasoning, extras }: ChatRequest,
  to: Target,
  isOpenAi: boolean,
): { reasoning?: JsonObject; dropped: boolean } {
  const rest = isOpenAi ? object(extras.reasoning) : {}
  if (!reasoning)
    return Object.keys(rest).length > 0 ? { reasoning: rest, dropped: false } : { dropped: false }
  if (isOpenAi && reasoning.budget === undefined && !reasoning.adaptive) {
    const { effort, summary } = reasoning
    return {
      reasoning: compact({ ...rest, effort: effort ?? rest.effort, summary }),
      dropped: false,
    }
  }
  if (thinks(to) === false)
    return { dropped: reasoning.effort !== 'none' && reasoning.budget !== 0 }
  const effort = nearest(effortOf(reasoning), to.info)
  const summary = reasoning.summary ?? (isShown(reasoning) ? 'auto' : undefined)
  const said = compact({ ...rest, effort, summary: summary === 'none' ? undefined : summary })
  return Object.keys(said).length > 0 ? { reasoning: said, dropped: false } : { dropped: false }
}

/** Whoever gives a budget reads the thoughts; of adaptive thinking it is said whether they are shown. */
const isShown = ({ budget }: Reasoning): boolean => budget !== undefined && budget !== 0

/** The steps LiteLLM takes the other way. */
export function effortOf({ effort, budget, adaptive }: Reasoning): Effort | undefined {
  if (effort !== undefined) return effort
  if (budget === undefined) return adaptive ? 'medium' : undefined
  if (budget < 0) return 'medium'
  if (budget === 0) return 'none'
  return budget < 1024 ? 'minimal' : budget < 2048 ? 'low' : budget < 4096 ? 'medium' : 'high'
}

/** The nearest effort the catalogue does not deny the model, or, for the highest, grants it. */
export function nearest(effort: Effort | undefined, info: JsonObject): Effort | undefined {
  const denies = (word: Effort): boolean => info[`supports_${word}_reasoning_effort`] === false
  const grants = (word: Effort): boolean => info[`supports_${word}_reasoning_effort`] === true
  switch (effort) {
    case 'none':
      return denies('none') ? nearest('minimal', info) : 'none'
    case 'minimal':
      return grants('minimal') ? 'minimal' : 'low'
    case 'max':
      return grants('max') ? 'max' : grants('xhigh') ? 'xhigh' : 'high'
    case 'xhigh':
      return grants('xhigh') ? 'xhigh' : 'high'
    default:
      return effort
  }
}
