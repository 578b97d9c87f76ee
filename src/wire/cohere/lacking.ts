import type { ChatRequest } from '../../chat/chat.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import type { Target } from '../wire.ts'

export type Sayable = {
  /** What is left: everything in it has a word in the wire. */
  request: ChatRequest
  /** By OpenAI's names. */
  dropped: string[]
  /** The row insists on them (`allowed_openai_params`): sent as the client wrote them. */
  passed: JsonObject
}

/**
 * Takes out what a wire, or this provider's row, has no word for. What would change the answer is refused with its
 * name, or dropped where the operator asked for that; a value that changes nothing goes quietly.
 */
export function withoutLacking(
  request: ChatRequest,
  to: Target,
  known: ReadonlySet<string>,
): Sayable {
  const kept = { ...request }
  const allowed = new Set(to.allowedParams)
  const refusals = new Set(to.quirks.unsupported)
  const refused: string[] = []
  const passed: JsonObject = {}
  for (const [name, { key, said }] of Object.entries(params)) {
    if (known.has(name) && (!refusals.has(name) || allowed.has(name))) continue
    const value = said(request)
    if (value === undefined) {
      if (!sharedKeys.has(key)) clear(kept, key)
      continue
    }
    clear(kept, key)
    if (allowed.has(name) && !shaped.has(name)) passed[name] = value
    else refused.push(name)
  }
  const grave = refused.filter((name) => !bookkeeping.has(name))
  if (grave.length > 0 && !to.dropParams) throw unsupported(to, grave)
  return { request: kept, dropped: refused, passed }
}

function clear(request: ChatRequest, key: Key): void {
  if (key === 'tools') request.tools = []
  else delete request[key]
}

type Key = Exclude<keyof ChatRequest, 'model' | 'messages' | 'stream' | 'extras'>
type Param = {
  key: Key
  /** What was asked for; undefined where that is what happens anyway. */
  said(request: ChatRequest): Json | undefined
}

const unless = <T extends Json>(value: T | undefined, usual: Json): T | undefined =>
  value === usual ? undefined : value

const params: Readonly<Record<string, Param>> = {
  temperature: { key: 'temperature', said: (r) => r.temperature },
  top_p: { key: 'topP', said: (r) => unless(r.topP, 1) },
  top_k: { key: 'topK', said: (r) => unless(r.topK, 0) },
  seed: { key: 'seed', said: (r) => r.seed },
  stop: { key: 'stop', said: (r) => (r.stop && r.stop.length > 0 ? r.stop : undefined) },
  n: { key: 'n', said: (r) => unless(r.n, 1) },
  presence_penalty: { key: 'presencePenalty', said: (r) => unless(r.presencePenalty, 0) },
  frequency_penalty: { key: 'frequencyPenalty', said: (r) => unless(r.frequencyPenalty, 0) },
  logit_bias: {
    key: 'logitBias',
    said: ({ logitBias = {} }) => (Object.keys(logitBias).length > 0 ? logitBias : undefined),
  },
  logprobs: { key: 'logprobs', said: (r) => unless(r.logprobs, false) },
  top_logprobs: { key: 'topLogprobs', said: (r) => unless(r.topLogprobs, 0) },
  tools: { key: 'tools', said: (r) => (r.tools.length > 0 ? r.tools.length : undefined) },
  tool_choice: {
    key: 'toolChoice',
    said: ({ toolChoice, tools }) =>
      toolChoice === undefined || toolChoice === 'auto' || tools.length === 0 ? undefined : true,
  },
  parallel_tool_calls: { key: 'parallelTools', said: (r) => unless(r.parallelTools, true) },
  response_format: {
    key: 'output',
    said: ({ output }) => (output === undefined || output.type === 'text' ? undefined : true),
  },
  reasoning_effort: { key: 'reasoning', said: (r) => unless(r.reasoning?.effort, 'none') },
  thinking: {
    key: 'reasoning',
    said: ({ reasoning }) =>
      reasoning?.effort === undefined && (reasoning?.budget ?? Number(reasoning?.adaptive))
        ? true
        : undefined,
  },
  verbosity: { key: 'verbosity', said: (r) => unless(r.verbosity, 'medium') },
  modalities: {
    key: 'modalities',
    said: ({ modalities }) => (modalities?.some((one) => one !== 'text') ? modalities : undefined),
  },
  audio: { key: 'audio', said: (r) => r.audio },
  web_search_options: { key: 'webSearch', said: (r) => r.webSearch },
  service_tier: {
    key: 'serviceTier',
    said: ({ serviceTier }) =>
      serviceTier === 'default' ? undefined : unless(serviceTier, 'auto'),
  },
  user: { key: 'user', said: (r) => r.user },
}

/** In the house these are no longer what the client wrote, so they cannot be sent as they came. */
const shaped = new Set(['tools', 'tool_choice', 'response_format', 'thinking'])
/** One field of the house under two names: the one that was said takes it out. */
const sharedKeys = new Set<Key>(['reasoning'])
/** Tells who asks, not what: nobody is refused for it. */
const bookkeeping = new Set(['user'])
