import type { ChatRequest, Effort, FunctionTool, OutputFormat, Tool } from '../../chat/chat.ts'
import { bool, compact, isObject, type JsonObject, list, text } from '../../json/json.ts'
import type { Encoded, Target } from '../wire.ts'
import { encodeFunctions } from './functions.ts'
import { withoutLacking } from './lacking.ts'
import { encodeMessages } from './messages.ts'

export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const able = canThink(to)
  const { request, dropped, passed } = withoutLacking(asked, to, able ? knownOfThinkers : known)
  const thinking = able ? encodeThinking(request) : undefined
  const own = encodeExtras(request, dropped)
  const { messages, documents } = encodeMessages(request.messages, {
    to,
    thinks: able && thinking?.type !== 'disabled',
    dropped,
  })
  const functions = encodeFunctions(request, dropped)
  const hasTools = functions.tools.length > 0
  const body = compact({
    strict_tools: hasTools ? encodeStrict(request.tools, dropped) : undefined,
    ...own,
    ...passed,
    model: to.model,
    messages,
    documents: documents.length > 0 ? [...list(own.documents), ...documents] : own.documents,
    tools: hasTools ? functions.tools : undefined,
    tool_choice: hasTools ? encodeChoice(request, functions.must) : undefined,
    response_format: encodeOutput(request.output),
    max_tokens: request.maxTokens,
    stop_sequences: request.stop,
    temperature: request.temperature,
    p: request.topP === undefined ? undefined : Math.min(Math.max(request.topP, leastP), mostP),
    k: request.topK,
    seed: request.seed,
    // "cannot specify both": one that changes nothing is not specified.
    frequency_penalty: request.frequencyPenalty || undefined,
    presence_penalty: request.presencePenalty || undefined,
    logprobs: request.logprobs || undefined,
    thinking,
    stream: request.stream || undefined,
  })
  const notes = functions.custom.size > 0 ? { customTools: functions.custom } : {}
  return {
    body,
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { ...notes, model: to.model },
  }
}

/** `p` has to lie between these (SDK 8.1), where OpenAI's top_p of 1 means no cut at all. */
const leastP = 0.01
const mostP = 0.99

const names =
  `temperature top_p top_k seed stop presence_penalty frequency_penalty logprobs tools tool_choice
response_format`.split(/\s+/)
const known: ReadonlySet<string> = new Set(names)
const knownOfThinkers: ReadonlySet<string> = new Set([...names, 'reasoning_effort', 'thinking'])

/** What the catalogue knows and does not call a reasoning model is none; a model nobody knows may be one. */
const canThink = ({ model, info }: Target): boolean =>
  bool(info.supports_reasoning) ??
  (/reasoning|command-a-plus/i.test(model) || text(info.litellm_provider) === undefined)

/** LiteLLM's budgets; without one the model thinks as long as it likes. */
const budgets: Partial<Record<Effort, number>> = {
  minimal: 128,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
}

function encodeThinking({ reasoning, extras }: ChatRequest): JsonObject | undefined {
  // Cohere's own words, from a client that knows them.
  if (isObject(extras.thinking) && extras.thinking.token_budget !== undefined)
    return extras.thinking
  if (!reasoning) return undefined
  const { effort, budget, adaptive } = reasoning
  if (budget === 0 || (budget === undefined && effort === 'none')) return { type: 'disabled' }
  if (budget === undefined && effort === undefined && !adaptive) return undefined
  const tokens = budget !== undefined && budget > 0 ? Math.ceil(budget) : budgets[effort ?? 'max']
  return compact({ type: 'enabled', token_budget: tokens })
}

/** There is no choice by name: the others are left out of `tools`, and what is left is required. */
const encodeChoice = ({ toolChoice }: ChatRequest, must: boolean): string | undefined =>
  must ? 'REQUIRED' : toolChoice === 'none' ? 'NONE' : undefined

/** One switch for all tools, so it is on where every tool asks for it. */
function encodeStrict(tools: readonly Tool[], dropped: string[]): true | undefined {
  const functions = tools.filter((tool): tool is FunctionTool => tool.type === 'function')
  const strict = functions.filter((tool) => tool.strict === true)
  if (strict.length === 0) return undefined
  if (strict.length === functions.length) return true
  dropped.push('tools.strict')
  return undefined
}

function encodeOutput(output: OutputFormat | undefined): JsonObject | undefined {
  if (output === undefined || output.type === 'text') return undefined
  return compact({
    type: 'json_object',
    json_schema: output.type === 'schema' ? output.schema : undefined,
  })
}

/** Fields of Cohere's own that clients of other dialects may send too. */
const ownFields = new Set('documents citation_options safety_mode strict_tools priority'.split(' '))
/** OpenAI's own, which say nothing to another provider. */
const foreign = new Set(
  `store metadata prediction safety_identifier prompt_cache_key prompt_cache_retention`.split(' '),
)

/** An OpenAI client's unknown fields go along, since they are meant for the provider; other dialects' are their own. */
function encodeExtras({ extras, dialect }: ChatRequest, dropped: string[]): JsonObject {
  const isOpenAi = dialect === undefined || dialect === 'openai-chat'
  const own: JsonObject = {}
  for (const [key, value] of Object.entries(extras)) {
    if (key === 'thinking' || value === undefined) continue
    if (ownFields.has(key) || (isOpenAi && !foreign.has(key) && key !== '__proto__'))
      own[key] = value
    else dropped.push(key)
  }
  return own
}
