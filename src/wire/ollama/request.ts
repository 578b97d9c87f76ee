import type { ChatRequest, Reasoning } from '../../chat/chat.ts'
import { bool, compact, isObject, type Json, type JsonObject, object } from '../../json/json.ts'
import { encodeFunctions } from '../cohere/functions.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import type { Encoded, Target } from '../wire.ts'
import { encodeMessages } from './messages.ts'

export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const thinks = bool(to.info.supports_reasoning) !== false
  const { request, dropped, passed } = withoutLacking(asked, to, thinks ? knownOfThinkers : known)
  const { top, options } = encodeExtras(request, dropped)
  const functions = encodeFunctions(request, dropped)
  // Tools can be kept back but not forced; LiteLLM's clients are used to that, so nobody is refused for it.
  if (functions.must) dropped.push('tool_choice')
  const tools = request.toolChoice === 'none' ? [] : functions.tools
  const allOptions = compact({
    ...options,
    ...passed,
    num_predict: request.maxTokens ?? options.num_predict,
    temperature: request.temperature,
    top_p: request.topP,
    top_k: request.topK,
    seed: request.seed,
    stop: request.stop,
    presence_penalty: request.presencePenalty,
    frequency_penalty: request.frequencyPenalty,
  })
  const body = compact({
    model: to.model,
    messages: encodeMessages(request.messages, to, dropped),
    // Without it Ollama streams.
    stream: request.stream,
    tools: tools.length > 0 ? tools : undefined,
    format: encodeFormat(request.output),
    think: encodeThink(request.reasoning, to.model),
    logprobs: request.logprobs || undefined,
    top_logprobs: request.topLogprobs || undefined,
    ...top,
    options: Object.keys(allOptions).length > 0 ? allOptions : undefined,
  })
  const notes = functions.custom.size > 0 ? { customTools: functions.custom } : {}
  return {
    body,
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { ...notes, model: to.model },
  }
}

const names =
  `temperature top_p top_k seed stop presence_penalty frequency_penalty logprobs top_logprobs tools
tool_choice response_format`.split(/\s+/)
const known: ReadonlySet<string> = new Set(names)
const knownOfThinkers: ReadonlySet<string> = new Set([...names, 'reasoning_effort', 'thinking'])

function encodeFormat(output: ChatRequest['output']): Json | undefined {
  if (output === undefined || output.type === 'text') return undefined
  return output.type === 'json' ? 'json' : output.schema
}

/** Levels are gpt-oss's, besides true and false (ollama/ollama#11752, 2025-08); other models think or do not. */
function encodeThink(reasoning: Reasoning | undefined, model: string): Json | undefined {
  if (!reasoning) return undefined
  const { effort, budget, adaptive } = reasoning
  if (budget === undefined && effort === undefined && !adaptive) return undefined
  const off = budget === 0 || (budget === undefined && effort === 'none')
  if (off || !/gpt-oss/i.test(model)) return !off
  if (budget !== undefined && budget > 0)
    return budget < 2048 ? 'low' : budget < 4096 ? 'medium' : 'high'
  return levels[effort ?? 'medium']
}

const levels = {
  none: 'low',
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
} as const satisfies Record<NonNullable<Reasoning['effort']>, string>

const topFields = new Set(['keep_alive', 'think', 'format'])
/** OpenAI's own, which say nothing to a server at home. */
const foreign = new Set(
  `store metadata prediction safety_identifier prompt_cache_key prompt_cache_retention thinking`.split(
    ' ',
  ),
)

/** Unknown plain values of an OpenAI client are meant as options (num_ctx, min_p…): the server warns of those it does not know and goes on (ollama api/types.go, FromMap). */
function encodeExtras(
  { extras, dialect }: ChatRequest,
  dropped: string[],
): { top: JsonObject; options: JsonObject } {
  const isOpenAi = dialect === undefined || dialect === 'openai-chat'
  const top: JsonObject = {}
  const options: JsonObject = {}
  for (const [key, value] of Object.entries(extras)) {
    if (value === undefined || value === null) continue
    if (topFields.has(key) && isOpenAi) top[key] = value
    else if (key === 'keep_alive') top[key] = value
    else if (key === 'options' && isOpenAi) Object.assign(options, object(value))
    else if (isOpenAi && !foreign.has(key) && !isObject(value) && key !== '__proto__')
      options[key] = value
    else if (key !== 'thinking') dropped.push(key)
  }
  return { top, options }
}
