import {
  type ChatResult,
  type Choice,
  type Finish,
  type MediaPart,
  outputTokens,
  type Part,
  type Usage,
} from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  number,
  object,
  text,
} from '../../json/json.ts'
import type { ClientContext, Notes } from '../wire.ts'
import {
  customInput,
  decodeBlocks,
  decodeCitation,
  encodeText,
  parseInput,
  parseOr,
} from './blocks.ts'
import { decodeFault } from './errors.ts'

const modelled = new Set(
  `id type role model content stop_reason stop_sequence stop_details usage`.split(' '),
)

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  if (body.type === 'error') throw decodeFault(body)
  if (!Array.isArray(body.content))
    throw new GatewayError('bad_gateway', 'the upstream answered without content')
  let answered = false
  let length = 0
  const parts = decodeBlocks(body.content).map((part): Part => {
    if (part.type === 'tool-call' && part.name === notes.outputTool) {
      answered = true
      return { type: 'text', text: answerOf(part.input, notes) }
    }
    if (part.type === 'tool-call') return clientsCall(part, notes)
    if (part.type !== 'text') return part
    const at = { start: length, end: length + part.text.length }
    length = at.end
    return part.annotations
      ? { ...part, annotations: part.annotations.map((citation) => decodeCitation(citation, at)) }
      : part
  })
  const reason = text(body.stop_reason)
  const finish = decodeFinish(reason)
  const calls = parts.some((part) => part.type === 'tool-call')
  const extras = withoutNulls(extrasOf(body, modelled))
  const choice: Choice = {
    parts,
    finish: answered && finish === 'tool-calls' && !calls ? 'stop' : finish,
    ...(reason !== undefined && !answered && { reason }),
  }
  const ending = decodeEnding(body)
  if (ending) choice.extras = ending
  return {
    id: text(body.id) ?? '',
    created: 0,
    model: text(body.model) ?? notes.model,
    choices: [choice],
    usage: decodeUsage(object(body.usage)),
    ...(extras && { extras }),
  }
}

/** How the answer ended, beyond the reason: LiteLLM's clients look for a provider's own fields in this place. */
export function decodeEnding(said: JsonObject): JsonObject | undefined {
  const fields = withoutNulls({
    stop_sequence: said.stop_sequence,
    stop_details: said.stop_details,
  })
  return fields && { provider_specific_fields: fields }
}

function withoutNulls(fields: JsonObject | undefined): JsonObject | undefined {
  const kept = Object.entries(fields ?? {}).filter(
    ([, value]) => value !== null && value !== undefined,
  )
  return kept.length > 0 ? Object.fromEntries(kept) : undefined
}

/** The input of the answer tool as the text of the answer. */
export function answerOf(input: string, { outputKey }: Notes): string {
  if (outputKey === undefined) return input
  const whole = object(parseOr(input))
  return JSON.stringify(whole[outputKey] ?? whole)
}

/** A call under the name, and in the form, in which the client knows its tool. */
export function clientsCall(
  part: Extract<Part, { type: 'tool-call' }>,
  { toolNames, customTools }: Notes,
): Part {
  const name = toolNames?.get(part.name) ?? part.name
  if (!customTools?.has(part.name)) return name === part.name ? part : { ...part, name }
  return { ...part, name, kind: 'custom', input: customText(part.input) }
}

export const customText = (input: string): string =>
  text(object(parseOr(input))[customInput]) ?? input

export function encodeResult(result: ChatResult, context: ClientContext): JsonObject {
  const choice: Choice = result.choices[0] ?? { parts: [], finish: 'stop' }
  const ending = endingOf(choice.extras)
  return {
    id: messageId(result.id, context),
    type: 'message',
    role: 'assistant',
    model: context.model,
    content: choice.parts.flatMap((part, at, all) => encodePart(part, all[at - 1], all[at + 1])),
    stop_reason: encodeFinish(choice.finish, choice.reason, choice.parts.some(isCall)),
    stop_sequence: ending.stop_sequence ?? null,
    ...(isObject(ending.stop_details) && { stop_details: ending.stop_details }),
    ...ownFields(result.extras),
    usage: encodeUsage(result.usage),
  }
}

const isUnsigned = (part: Part | undefined): boolean =>
  part?.type === 'reasoning' && part.signature === undefined && part.redacted === undefined

const isCall = (part: Part): boolean => part.type === 'tool-call'

export const endingOf = (extras: JsonObject | undefined): JsonObject =>
  object(extras?.provider_specific_fields)

/** Other wires' fields (system_fingerprint, citations…) mean nothing to Anthropic's clients. */
export const ownFields = (extras: JsonObject = {}): JsonObject => {
  const own: JsonObject = {}
  for (const key of ['container', 'context_management', 'diagnostics', 'input_transformations'])
    if (extras[key] !== undefined) own[key] = extras[key]
  return own
}

export const messageId = (id: string, { requestId }: ClientContext): string =>
  id.startsWith('msg_') ? id : `msg_${requestId.replace(/[^a-zA-Z0-9_-]/g, '')}`

/** Gemini signs a call; the thought before it, with words or without, is where clients keep that. */
function encodePart(part: Part, before: Part | undefined, next: Part | undefined): JsonObject[] {
  switch (part.type) {
    case 'text':
      return part.text === '' ? [] : [encodeText(part, true)]
    case 'refusal':
      return part.text === '' ? [] : [{ type: 'text', text: part.text }]
    case 'reasoning':
      return [
        part.redacted !== undefined
          ? { type: 'redacted_thinking', data: part.redacted }
          : {
              type: 'thinking',
              thinking: part.text,
              signature:
                part.signature ?? (next?.type === 'tool-call' ? (next.signature ?? '') : ''),
            },
      ]
    case 'tool-call':
      return [
        ...(part.signature !== undefined && !isUnsigned(before)
          ? [{ type: 'thinking', thinking: '', signature: part.signature }]
          : []),
        {
          type: 'tool_use',
          id: part.id,
          name: part.name,
          input: parseInput(part.input, part.kind),
        },
      ]
    case 'media':
      return encodeImage(part)
    case 'raw':
      return part.wire === 'anthropic' ? [part.value] : []
    case 'tool-result':
      return []
  }
}

/** Claude draws no pictures; those of other models are told in the block Anthropic has for pictures it is given. */
export function encodeImage({ media, source }: MediaPart): JsonObject[] {
  if (media !== 'image' || source.type === 'id') return []
  return [
    {
      type: 'image',
      source:
        source.type === 'url'
          ? { type: 'url', url: source.url }
          : { type: 'base64', media_type: source.mime, data: source.base64 },
    },
  ]
}

/**
 * `input_tokens` is what was neither read from the cache nor written to it. Thinking is part of `output_tokens`; newer
 * answers tell how much of it, older ones do not, and it then stays in `output`.
 */
export function decodeUsage(usage: JsonObject): Usage {
  const output = count(usage.output_tokens)
  const reasoning = Math.min(output, count(object(usage.output_tokens_details).thinking_tokens))
  const written = object(usage.cache_creation)
  const oneHour = count(written.ephemeral_1h_input_tokens)
  const total = Math.max(
    count(usage.cache_creation_input_tokens),
    oneHour + count(written.ephemeral_5m_input_tokens),
  )
  return {
    input: count(usage.input_tokens),
    cacheRead: count(usage.cache_read_input_tokens),
    cacheWrite: total - oneHour,
    cacheWrite1h: oneHour,
    inputAudio: 0,
    inputImage: 0,
    output: output - reasoning,
    reasoning,
    outputAudio: 0,
    outputImage: 0,
    searches: count(object(usage.server_tool_use).web_search_requests),
    raw: usage,
  }
}

function count(value: Json | undefined): number {
  const said = number(value) ?? 0
  return said > 0 && said <= Number.MAX_SAFE_INTEGER ? Math.floor(said) : 0
}

/** What Anthropic said beyond the counts comes back with them. */
export function encodeUsage(usage: Usage): JsonObject {
  const { raw } = usage
  const own = raw && 'input_tokens' in raw && !('total_tokens' in raw) ? raw : undefined
  return compact({
    ...own,
    input_tokens: usage.input + usage.inputAudio + usage.inputImage,
    cache_creation_input_tokens: usage.cacheWrite + usage.cacheWrite1h,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation:
      usage.cacheWrite1h > 0 || isObject(own?.cache_creation)
        ? {
            ephemeral_5m_input_tokens: usage.cacheWrite,
            ephemeral_1h_input_tokens: usage.cacheWrite1h,
          }
        : undefined,
    output_tokens: outputTokens(usage),
    output_tokens_details:
      usage.reasoning > 0 ? { thinking_tokens: usage.reasoning } : own?.output_tokens_details,
    server_tool_use:
      own?.server_tool_use ??
      (usage.searches > 0 ? { web_search_requests: usage.searches } : undefined),
  })
}

const finishes: Record<string, Finish> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool-calls',
  pause_turn: 'pause',
  compaction: 'pause',
  refusal: 'content-filter',
}
export const decodeFinish = (reason: string | undefined): Finish =>
  reason === undefined
    ? 'stop'
    : Object.hasOwn(finishes, reason)
      ? (finishes[reason] ?? 'other')
      : 'other'

const reasons = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
  'content-filter': 'refusal',
  pause: 'pause_turn',
  other: 'end_turn',
} as const satisfies Record<Finish, string>

/** A client waits for results exactly when it is told `tool_use`, so that follows the calls. */
export function encodeFinish(finish: Finish, reason: string | undefined, calls: boolean): string {
  if (reason !== undefined && Object.hasOwn(finishes, reason) && finishes[reason] === finish)
    return reason
  if (calls && finish === 'stop') return 'tool_use'
  if (!calls && finish === 'tool-calls') return 'end_turn'
  return reasons[finish]
}
