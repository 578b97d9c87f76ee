import type { ChatRequest, Effort } from '../../chat/chat.ts'
import { compact, type JsonObject } from '../../json/json.ts'
import type { Abilities } from './abilities.ts'

export type ThinkingPlan = {
  config?: JsonObject
  /** What was asked for and could not be granted, by the client's name for it. */
  dropped: string[]
  /** The model cannot think at all. */
  unsupported: string[]
}

/** How much to think, in what this model takes: a level since Gemini 3, a budget before. */
export function planThinking(
  { reasoning, extras }: ChatRequest,
  abilities: Abilities,
): ThinkingPlan {
  const plan: ThinkingPlan = { dropped: [], unsupported: [] }
  if (reasoning === undefined) return plan
  const { effort, budget, adaptive } = reasoning
  const isOff = budget === 0 || (effort === 'none' && budget === undefined)
  const isOpen = adaptive === true || budget === -1
  if (!abilities.thinks) {
    const name =
      extras.thinking !== undefined || effort === undefined ? 'thinking' : 'reasoning_effort'
    // A model that decides for itself may well decide not to think.
    if (isOpen) plan.dropped.push(name)
    else if (!isOff) plan.unsupported.push(name)
    return plan
  }
  const amount = abilities.levels
    ? { thinkingLevel: levelOf(effort, budget, isOff, isOpen, abilities) }
    : { thinkingBudget: budgetOf(effort, budget, isOff, isOpen, abilities) }
  const config = compact({
    ...amount,
    // Whoever asks for thinking reads the thoughts, unless they say otherwise.
    includeThoughts: isOff || reasoning.summary === 'none' ? undefined : true,
  })
  if (Object.keys(config).length > 0) plan.config = config
  return plan
}

function levelOf(
  effort: Effort | undefined,
  budget: number | undefined,
  isOff: boolean,
  isOpen: boolean,
  { minimalLevel, mediumLevel }: Abilities,
): string | undefined {
  // Thinking cannot be turned off: as little as the model knows.
  const asked = isOff ? 'none' : (effort ?? (isOpen ? undefined : effortOfBudget(budget)))
  switch (asked) {
    case undefined:
      return undefined
    case 'none':
    case 'minimal':
      return minimalLevel ? 'MINIMAL' : 'LOW'
    case 'low':
      return 'LOW'
    case 'medium':
      return mediumLevel ? 'MEDIUM' : 'HIGH'
    default:
      return 'HIGH'
  }
}

const effortOfBudget = (budget: number | undefined): Effort | undefined =>
  budget === undefined ? undefined : budget <= 2048 ? 'low' : budget <= 8192 ? 'medium' : 'high'

function budgetOf(
  effort: Effort | undefined,
  budget: number | undefined,
  isOff: boolean,
  isOpen: boolean,
  { stopsThinking, budgetMin, budgetMax }: Abilities,
): number | undefined {
  if (isOff) return stopsThinking ? 0 : budgetMin
  const asked = budget !== undefined && budget > 0 ? budget : effort && budgets[effort]
  if (asked === undefined) return isOpen ? -1 : undefined
  return Math.max(budgetMin, Math.min(budgetMax, Math.floor(asked)))
}

/** LiteLLM's budgets. */
export const budgets = {
  none: 0,
  minimal: 128,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16_384,
} as const satisfies Record<Effort, number>
