import type { ChatRequest, Effort } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, number } from '../../json/json.ts'
import type { Abilities } from './abilities.ts'

export type ThinkingPlan = {
  thinking?: JsonObject
  /** `output_config.effort` */
  effort?: string
  maxTokens: number
  /** What was asked for and could not be granted, by the client's name for it. */
  dropped: string[]
  /** The model cannot think at all. */
  unsupported: string[]
}

export type Circumstances = {
  /** A tool must be called: with a budget the API refuses that. */
  forcedTool: boolean
  /** The tool loop under way has lost its thought. */
  lostThought: boolean
}

/** How much to think, in what this model takes, and the room it needs below max_tokens. */
export function planThinking(
  request: ChatRequest,
  abilities: Abilities,
  { forcedTool, lostThought }: Circumstances,
): ThinkingPlan {
  const asked = askedFor(request)
  const effort = request.reasoning?.effort
  const plan: ThinkingPlan = {
    maxTokens: request.maxTokens ?? abilities.maxOutput ?? defaultMaxTokens,
    dropped: [],
    unsupported: [],
  }
  if (asked === undefined) return plan
  const verbatim = isObject(request.extras.thinking)
  const name = verbatim || effort === undefined ? 'thinking' : 'reasoning_effort'

  if (asked.type === 'disabled') {
    if (abilities.alwaysThinks) {
      plan.dropped.push(name)
      if (abilities.effort) plan.effort = 'low'
    } else {
      if (verbatim || abilities.thinksUnasked) plan.thinking = asked
      if (abilities.effort) set(plan, 'effort', effortWord(effort, abilities))
    }
    return plan
  }
  if (!abilities.thinks) {
    plan.unsupported.push(name)
    return plan
  }
  const config = inItsTerms(asked, effort, abilities)
  if (config.type === 'adaptive' || config.type === 'between_tools') {
    plan.thinking = config
    const budget = number(asked.budget_tokens)
    const word =
      effort ?? (config.type === 'adaptive' && budget ? effortOfBudget(budget) : undefined)
    if (abilities.effort) set(plan, 'effort', effortWord(word, abilities))
    return plan
  }
  if (forcedTool || lostThought) {
    plan.dropped.push(name)
    return plan
  }
  // A budget the client stated beside an effort is Opus 4.5's way; one made from the effort says all there is.
  if (abilities.effort && asked.budget_tokens !== undefined)
    set(plan, 'effort', effortWord(effort, abilities))
  let budget = number(config.budget_tokens) ?? leastBudget
  if (request.maxTokens === undefined && plan.maxTokens <= budget)
    plan.maxTokens = budget + defaultMaxTokens
  if (!verbatim) {
    budget = Math.min(Math.max(budget, leastBudget), plan.maxTokens - 1)
    if (budget < leastBudget) {
      plan.dropped.push(name)
      return plan
    }
  }
  plan.thinking = { ...config, budget_tokens: budget }
  return plan
}

/** Anthropic's own `thinking` comes first, then a budget, then an effort. */
function askedFor({ extras, reasoning }: ChatRequest): JsonObject | undefined {
  if (isObject(extras.thinking)) return extras.thinking
  if (reasoning === undefined) return undefined
  const { effort, budget, adaptive, summary } = reasoning
  const display = summary === undefined || summary === 'none' ? undefined : 'summarized'
  if (budget === 0 || (effort === 'none' && budget === undefined)) return { type: 'disabled' }
  if (adaptive || budget === -1) return compact({ type: 'adaptive', display })
  if (budget !== undefined && budget > 0)
    return compact({ type: 'enabled', budget_tokens: Math.floor(budget), display })
  // Whoever asks in efforts reads the thoughts, which newer models leave out unless told.
  return effort === undefined ? undefined : { type: 'effort', display: 'summarized' }
}

function inItsTerms(
  asked: JsonObject,
  effort: Effort | undefined,
  abilities: Abilities,
): JsonObject {
  const { display } = asked
  const wantsBudget = asked.type === 'enabled'
  if (wantsBudget ? abilities.budgets : !abilities.adaptive && asked.type !== 'between_tools')
    return wantsBudget ? asked : { type: 'enabled', budget_tokens: budgets[effort ?? 'medium'] }
  if (asked.type === 'between_tools') return asked
  return asked.type === 'adaptive' ? asked : compact({ type: 'adaptive', display })
}

/** The nearest effort the model knows. */
export function effortWord(
  effort: Effort | undefined,
  { xhigh, max }: Abilities,
): string | undefined {
  switch (effort) {
    case undefined:
    case 'none':
      return undefined
    case 'minimal':
      return 'low'
    case 'xhigh':
      return xhigh ? 'xhigh' : 'high'
    case 'max':
      return max ? 'max' : xhigh ? 'xhigh' : 'high'
    default:
      return effort
  }
}

const effortOfBudget = (budget: number): Effort =>
  budget <= 2048 ? 'low' : budget <= 8192 ? 'medium' : 'high'

function set(plan: ThinkingPlan, key: 'effort', value: string | undefined): void {
  if (value !== undefined) plan[key] = value
}

/** The API's own minimum. */
export const leastBudget = 1024
const defaultMaxTokens = 4096
/** LiteLLM's budgets; its 128 for minimal is below what the API takes. */
export const budgets = {
  none: leastBudget,
  minimal: leastBudget,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16384,
} as const satisfies Record<Effort, number>
