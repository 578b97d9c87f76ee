import type { ChatRequest, Effort } from '../../chat/chat.ts'
import { bool, type JsonObject, text } from '../../json/json.ts'
import { versionOf } from '../anthropic/abilities.ts'
import { type Circumstances, planThinking } from '../anthropic/thinking.ts'
import type { Target } from '../wire.ts'
import type { Powers } from './family.ts'

/** How much to think, in the words of the model's family, for `additionalModelRequestFields`. */
export type ReasoningPlan = {
  fields: JsonObject
  /** Is there a budget or an adaptive thought? Both restrict sampling. */
  thinks: boolean
  /** Claude's `thinking` with a budget: a tool must not be forced. */
  budgeted: boolean
  maxTokens?: number
  betas: string[]
  dropped: string[]
  unsupported: string[]
}

export function planReasoning(
  request: ChatRequest,
  to: Target,
  powers: Powers,
  circumstances: Circumstances,
): ReasoningPlan {
  const plan: ReasoningPlan = {
    fields: {},
    thinks: false,
    budgeted: false,
    betas: [],
    dropped: [],
    unsupported: [],
    ...(request.maxTokens !== undefined && { maxTokens: request.maxTokens }),
  }
  if (powers.family === 'claude' || powers.family === 'unnamed')
    return claudeThinking(plan, request, to, powers, circumstances)
  const { reasoning } = request
  if (reasoning === undefined) return plan
  const name = reasoning.effort === undefined ? 'thinking' : 'reasoning_effort'
  const effort = effortOf(request)
  switch (powers.family) {
    case 'nova-2':
      if (effort !== 'none') {
        plan.fields.reasoningConfig = { type: 'enabled', maxReasoningEffort: threeSteps(effort) }
        plan.thinks = threeSteps(effort) === 'high'
      }
      return plan
    case 'gpt-oss':
      // It always thinks; low is the least.
      plan.fields.reasoning_effort = effort === 'none' ? 'low' : threeSteps(effort)
      return plan
    case 'openai':
      plan.fields.reasoning = { effort: openaiEffort(effort, to.info) }
      return plan
    case 'deepseek':
    case 'kimi':
      // The first R1 always thinks and has no word for how much.
      if (/deepseek\.r1/i.test(to.model)) plan.dropped.push(name)
      else if (effort !== 'none') plan.fields.reasoning_effort = threeSteps(effort)
      return plan
    default:
      if (effort === 'none') return plan
      if (bool(to.info.supports_reasoning) === true) plan.dropped.push(name)
      else plan.unsupported.push(name)
      return plan
  }
}

function claudeThinking(
  plan: ReasoningPlan,
  request: ChatRequest,
  to: Target,
  { claude }: Powers,
  circumstances: Circumstances,
): ReasoningPlan {
  const { thinking, effort, maxTokens, dropped, unsupported } = planThinking(
    request,
    claude,
    circumstances,
  )
  plan.dropped.push(...dropped)
  plan.unsupported.push(...unsupported)
  if (thinking !== undefined) {
    plan.fields.thinking = thinking
    plan.thinks = thinking.type !== 'disabled'
    plan.budgeted = thinking.type === 'enabled'
    // Without a budget Bedrock's own default is the most the model writes.
    if (plan.budgeted) plan.maxTokens = maxTokens
  }
  if (effort !== undefined) {
    plan.fields.output_config = { effort }
    if (versionOf(to.model) === 4.05) plan.betas.push('effort-2025-11-24')
  }
  return plan
}

/** A budget in Anthropic's way as the effort that is nearest to it. */
function effortOf({ reasoning = {} }: ChatRequest): Effort {
  const { effort, budget } = reasoning
  if (budget === 0) return 'none'
  if (effort !== undefined) return effort
  if (budget === undefined || budget < 0) return 'medium'
  return budget <= 2048 ? 'low' : budget <= 8192 ? 'medium' : 'high'
}

const steps = {
  none: 'low',
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
} as const satisfies Record<Effort, string>
const threeSteps = (effort: Effort): 'low' | 'medium' | 'high' => steps[effort]

/** The newer models tell in the catalogue which of the outer words they know. */
function openaiEffort(effort: Effort, info: JsonObject): string {
  const knows = bool(info[flags[effort] ?? ''])
  return flags[effort] === undefined || knows === true ? effort : threeSteps(effort)
}
const flags: { [E in Effort]?: string } = {
  none: 'supports_none_reasoning_effort',
  minimal: 'supports_minimal_reasoning_effort',
  xhigh: 'supports_xhigh_reasoning_effort',
  max: 'supports_max_reasoning_effort',
}

/** Flags that Bedrock knows; it refuses a request with any other ("invalid beta flag"). */
export const bedrockBetas: ReadonlySet<string> = new Set([
  'computer-use-2024-10-22',
  'computer-use-2025-01-24',
  'computer-use-2025-11-24',
  'token-efficient-tools-2025-02-19',
  'interleaved-thinking-2025-05-14',
  'output-128k-2025-02-19',
  'dev-full-thinking-2025-05-14',
  'context-1m-2025-08-07',
  'context-management-2025-06-27',
  'effort-2025-11-24',
  'tool-search-tool-2025-10-19',
  'tool-examples-2025-10-29',
  'compact-2026-01-12',
])

/** Flags of a client: a list, or one text with commas as in the header. Those Bedrock does not know are told. */
export function readBetas(said: unknown, dropped: string[]): string[] {
  const all = Array.isArray(said) ? said : (text(said)?.split(',') ?? [])
  return all.flatMap((flag) => {
    const name = text(flag)?.trim() ?? ''
    if (name === '') return []
    if (bedrockBetas.has(name)) return [name]
    dropped.push(`anthropic-beta.${name}`)
    return []
  })
}
