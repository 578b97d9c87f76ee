import { countedUsage } from '../chat/tokens.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import { totals } from './costs.ts'
import { withHidden } from './hidden.ts'
import { jsonOf, wrong } from './options.ts'
import type { Room } from './room.ts'
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatMessage,
  CompletionBody,
  HiddenParams,
} from './types.ts'

/**
 * The whole answer that was streamed. Usage is the provider's where a chunk has it; otherwise it is counted, what was
 * asked only if `messages` says it.
 */
export function streamChunkBuilder(
  chunks: readonly ChatCompletionChunk[],
  messages: readonly ChatMessage[] | undefined,
  room: Room,
): ChatCompletion {
  const [first] = chunks
  if (!first) throw wrong('stream_chunk_builder needs at least one chunk')
  const said = list(jsonOf({ chunks }).chunks).map(object)
  const choices = new Map<number, Building>()
  let whole: JsonObject = {}
  let usage: JsonObject | undefined
  for (const chunk of said) {
    const { choices: parts, usage: told, object: _, ...rest } = chunk
    // What came first is the head; later chunks add what it lacked.
    whole = { ...rest, ...whole }
    if (isObject(told)) usage = told
    for (const part of list(parts)) add(choices, object(part))
  }
  const built = [...choices].sort(([a], [b]) => a - b).map(([index, one]) => finished(index, one))
  const model = text(whole.model) ?? ''
  const asked = messages && list(jsonOf({ messages }).messages)
  const completion = {
    ...whole,
    object: 'chat.completion',
    choices: built,
    usage: usage ?? counted(choices, asked, model, room),
  }
  // Put together from chunks, whose fields the provider vouched for.
  const answer = completion as unknown as CompletionBody
  return withHidden(answer, hiddenOf(first))
}

const hiddenOf = (chunk: ChatCompletionChunk): HiddenParams =>
  chunk._hidden_params ?? {
    model_id: '',
    custom_llm_provider: '',
    litellm_model_name: chunk.model,
    api_base: '',
    response_cost: null,
    litellm_call_id: '',
    additional_headers: {},
    dropped_params: [],
    _response_ms: 0,
  }

type Building = {
  message: JsonObject
  calls: Map<number, JsonObject>
  finish: string | undefined
  logprobs: { content: Json[]; refusal: Json[] }
}

function add(choices: Map<number, Building>, part: JsonObject): void {
  const index = number(part.index) ?? 0
  let one = choices.get(index)
  if (!one) {
    one = {
      message: {},
      calls: new Map(),
      finish: undefined,
      logprobs: { content: [], refusal: [] },
    }
    choices.set(index, one)
  }
  one.finish = text(part.finish_reason) ?? one.finish
  const { content, refusal } = object(part.logprobs)
  one.logprobs.content.push(...list(content))
  one.logprobs.refusal.push(...list(refusal))
  const { tool_calls: calls, role: _, ...delta } = object(part.delta)
  for (const [key, value] of Object.entries(delta))
    one.message[key] = joined(one.message[key], value)
  list(calls).forEach((value, at) => {
    const { index: said, ...call } = object(value)
    const place = number(said) ?? at
    const before = one.calls.get(place) ?? {}
    one.calls.set(place, merged(before, call))
  })
}

/** Pieces of text are one text, lists one list, objects one object; of anything else the last word counts. */
function joined(before: Json | undefined, value: Json | undefined): Json | undefined {
  if (value === null || value === undefined) return before
  if (typeof before === 'string' && typeof value === 'string') return before + value
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value]
  if (isObject(before) && isObject(value)) return merged(before, value)
  return value
}

/** Said once, though some providers repeat them in every piece. */
const once = new Set(['id', 'type', 'name', 'format', 'expires_at'])

function merged(before: JsonObject, value: JsonObject): JsonObject {
  const out = { ...before }
  for (const [key, item] of Object.entries(value))
    out[key] = once.has(key) ? out[key] || item : joined(out[key], item)
  return out
}

function finished(index: number, { message, calls, finish, logprobs }: Building): JsonObject {
  const ordered = [...calls].sort(([a], [b]) => a - b).map(([, call]) => call)
  const told = logprobs.content.length + logprobs.refusal.length > 0
  const { content = null, thinking_blocks: blocks, ...rest } = message
  return {
    index,
    message: {
      role: 'assistant',
      content,
      ...rest,
      ...(Array.isArray(blocks) && { thinking_blocks: blocks }),
      ...(ordered.length > 0 && { tool_calls: ordered }),
    },
    finish_reason: finish ?? (ordered.length > 0 ? 'tool_calls' : 'stop'),
    ...(told && { logprobs }),
  }
}

function counted(
  choices: ReadonlyMap<number, Building>,
  messages: readonly Json[] | undefined,
  model: string,
  { tokens }: Room,
): JsonObject {
  const written = [...choices.values()].flatMap(({ message, calls }) => [
    text(message.reasoning_content) ?? '',
    text(message.content) ?? '',
    ...[...calls.values()].map((call) => {
      const { name, arguments: input } = object(call.function)
      return `${text(name) ?? ''}${text(input) ?? ''}`
    }),
  ])
  const input = messages ? tokens.countMessages(messages, undefined, model) : 0
  const output = tokens.countText(written.filter((one) => one !== '').join('\n'), model)
  return totals(countedUsage(input, { output, reasoning: 0, outputAudio: 0, outputImage: 0 }))
}
