import {
  type ChatResult,
  type Choice,
  type Finish,
  inputTokens,
  noUsage,
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
  list,
  object,
  text,
} from '../../json/json.ts'
import type { ClientContext, Notes } from '../wire.ts'
import { adaptMessageAnswer } from './adapt.ts'
import { restored } from './custom.ts'
import { decodeErrorObject, errorIn } from './errors.ts'
import {
  answeredCall,
  decodeCalls,
  decodeContent,
  decodeThoughts,
  encodeThoughts,
} from './request.ts'

const known = new Set(['id', 'object', 'created', 'model', 'choices', 'usage'])
const knownOfMessage = new Set(
  `role content tool_calls function_call refusal reasoning_content reasoning reasoning_text thinking_blocks
  annotations`.split(/\s+/),
)

/** An answer without choices is none: it is an error in a success's clothes, or something else altogether. */
export function refuseBroken(body: JsonObject): void {
  if (Array.isArray(body.choices)) return
  const error = errorIn(body)
  if (error !== undefined) throw decodeErrorObject(error)
  throw new GatewayError('bad_gateway', 'the upstream answered without choices')
}

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  refuseBroken(body)
  const extras = extrasOf(body, known)
  return {
    id: text(body.id) ?? '',
    created: number(body.created) ?? 0,
    model: text(body.model) ?? notes.model,
    usage: decodeUsage(body) ?? noUsage,
    choices: list(body.choices).map((value) => decodeChoice(value, notes)),
    ...(extras && { extras }),
  }
}

function decodeChoice(value: Json, { customTools }: Notes): Choice {
  const choice = object(value)
  const message = { ...object(choice.message) }
  adaptMessageAnswer(message)
  const parts: Part[] = [...decodeThoughts(message), ...decodeContent(message.content)]
  const annotations = list(message.annotations).filter(isObject)
  const said = parts.findLast((part) => part.type === 'text')
  if (annotations.length > 0 && said) said.annotations = annotations
  const refusal = text(message.refusal)
  if (refusal) parts.push({ type: 'refusal', text: refusal })
  parts.push(...decodeCalls(message))
  const reason = text(choice.finish_reason)
  const extras = extrasOf(message, knownOfMessage)
  return {
    parts: customTools ? parts.map((part) => restored(part, customTools)) : parts,
    finish: decodeFinish(reason),
    ...(reason !== undefined && { reason }),
    ...(choice.logprobs !== undefined && choice.logprobs !== null && { logprobs: choice.logprobs }),
    ...(extras && { extras }),
  }
}

export function encodeResult(result: ChatResult, context: ClientContext): JsonObject {
  return compact({
    id: result.id || `chatcmpl-${context.requestId}`,
    object: 'chat.completion',
    created: result.created || context.created,
    model: context.model,
    choices: result.choices.map((choice, index) =>
      compact({
        index,
        message: encodeMessage(choice),
        finish_reason: encodeFinish(choice.finish),
        logprobs: choice.logprobs,
      }),
    ),
    usage: encodeUsage(result.usage),
    ...result.extras,
  })
}

function encodeMessage(choice: Choice): JsonObject {
  const calls = choice.parts.filter((part) => part.type === 'tool-call')
  const texts = choice.parts.filter((part) => part.type === 'text')
  const said = texts.map((part) => part.text).join('')
  const annotations = texts.flatMap((part) => part.annotations ?? [])
  const refusal = choice.parts.find((part) => part.type === 'refusal')?.text
  const images = choice.parts.flatMap((part) =>
    part.type === 'media' && part.media === 'image' && part.source.type !== 'id'
      ? [
          {
            type: 'image_url',
            image_url: {
              url:
                part.source.type === 'bytes'
                  ? `data:${part.source.mime};base64,${part.source.base64}`
                  : part.source.url,
            },
          },
        ]
      : [],
  )
  const raw = choice.parts.flatMap((part) => (part.type === 'raw' ? [part.value] : []))
  const { provider_specific_fields: fields, ...extras } = choice.extras ?? {}
  return compact({
    role: 'assistant',
    content:
      said === '' && (calls.length > 0 || refusal !== undefined || images.length > 0) ? null : said,
    ...encodeThoughts(choice.parts),
    refusal,
    annotations: annotations.length > 0 ? annotations : undefined,
    images: images.length > 0 ? images : undefined,
    tool_calls: calls.length > 0 ? calls.map(answeredCall) : undefined,
    provider_specific_fields:
      raw.length > 0 || isObject(fields)
        ? { ...object(fields), ...(raw.length > 0 && { raw_blocks: raw }) }
        : undefined,
    ...extras,
  })
}

export const decodeUsage = (body: JsonObject): Usage | undefined => usageOf(body.usage)

/**
 * `prompt_tokens` holds cached and audio tokens, `completion_tokens` holds reasoning and audio ones: taken apart here so
 * that no token is counted twice. Cache fields under other names: DeepSeek (prompt_cache_hit_tokens) and servers in
 * front of Claude (cache_creation_input_tokens inside or beside the details).
 */
export function usageOf(told: Json | undefined): Usage | undefined {
  // An object without counts says nothing: it is then counted here.
  if (!isObject(told) || !hasCount(told)) return undefined
  const usage = told
  const read = objectOr(usage.prompt_tokens_details)
  const wrote = objectOr(usage.completion_tokens_details)
  const prompt = number(usage.prompt_tokens) ?? number(usage.input_tokens) ?? 0
  const wroteThoughts = number(wrote.reasoning_tokens) ?? number(usage.reasoning_tokens) ?? 0
  const said = number(usage.completion_tokens) ?? number(usage.output_tokens) ?? 0
  // xAI counts thoughts beside the rest, which the total shows; Perplexity's own field tells more of them than of the rest.
  const isBeside =
    (wroteThoughts > 0 && number(usage.total_tokens) === prompt + said + wroteThoughts) ||
    (number(usage.reasoning_tokens) ?? 0) > said
  const completion = isBeside ? said + wroteThoughts : said
  const cacheRead = Math.min(
    prompt,
    number(read.cached_tokens) ??
      number(usage.prompt_cache_hit_tokens) ??
      number(usage.cached_tokens) ??
      0,
  )
  const cacheWrite = Math.min(
    prompt - cacheRead,
    number(read.cache_creation_tokens) ??
      number(read.cache_write_tokens) ??
      number(usage.cache_creation_input_tokens) ??
      0,
  )
  const inputAudio = Math.min(prompt - cacheRead - cacheWrite, number(read.audio_tokens) ?? 0)
  const inputImage = Math.min(
    prompt - cacheRead - cacheWrite - inputAudio,
    number(read.image_tokens) ?? 0,
  )
  const reasoning = Math.min(completion, wroteThoughts)
  const outputAudio = Math.min(completion - reasoning, number(wrote.audio_tokens) ?? 0)
  const outputImage = Math.min(
    completion - reasoning - outputAudio,
    number(wrote.image_tokens) ?? 0,
  )
  return {
    input: prompt - cacheRead - cacheWrite - inputAudio - inputImage,
    cacheRead,
    cacheWrite,
    cacheWrite1h: 0,
    inputAudio,
    inputImage,
    output: completion - reasoning - outputAudio - outputImage,
    reasoning,
    outputAudio,
    outputImage,
    searches:
      number(usage.num_search_queries) ??
      number(objectOr(usage.server_tool_use).web_search_requests) ??
      number(objectOr(usage.server_side_tool_usage_details).web_search_calls) ??
      0,
    raw: usage,
  }
}

const hasCount = ({ prompt_tokens, completion_tokens, input_tokens, output_tokens }: JsonObject) =>
  typeof prompt_tokens === 'number' ||
  typeof completion_tokens === 'number' ||
  typeof input_tokens === 'number' ||
  typeof output_tokens === 'number'

/** Details that most answers lack: no object is made for their absence. */
const objectOr = (value: Json | undefined): JsonObject => (isObject(value) ? value : nothing)
const nothing: JsonObject = {}

/** A count of a provider's. What is none, or would lower a bill, is 0. */
const number = (value: Json | undefined): number | undefined =>
  typeof value !== 'number' ? undefined : value > 0 && value < 1e15 ? value : 0

/** What the provider said comes back as it said it when it spoke this wire; otherwise OpenAI's fields are made from the buckets. */
export function encodeUsage(usage: Usage): JsonObject {
  if (usage.raw && typeof usage.raw.prompt_tokens === 'number') return usage.raw
  const read = inputTokens(usage)
  const wrote = outputTokens(usage)
  const written = usage.cacheWrite + usage.cacheWrite1h
  return compact({
    prompt_tokens: read,
    completion_tokens: wrote,
    total_tokens: read + wrote,
    prompt_tokens_details: compact({
      cached_tokens: usage.cacheRead,
      audio_tokens: usage.inputAudio || undefined,
      image_tokens: usage.inputImage || undefined,
      cache_creation_tokens: written || undefined,
    }),
    completion_tokens_details: compact({
      reasoning_tokens: usage.reasoning,
      audio_tokens: usage.outputAudio || undefined,
      image_tokens: usage.outputImage || undefined,
    }),
    // LiteLLM's clients read Anthropic's two names too.
    cache_read_input_tokens: usage.cacheRead || undefined,
    cache_creation_input_tokens: written || undefined,
    server_tool_use: usage.searches > 0 ? { web_search_requests: usage.searches } : undefined,
  })
}

const finishes: ReadonlyMap<string, Finish> = new Map(
  Object.entries({
    stop: 'stop',
    length: 'length',
    tool_calls: 'tool-calls',
    function_call: 'tool-calls',
    content_filter: 'content-filter',
    eos: 'stop',
    model_length: 'length',
  }),
)
export const decodeFinish = (reason: string | undefined): Finish =>
  reason === undefined ? 'stop' : (finishes.get(reason) ?? 'other')

const reasons = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
  pause: 'stop',
  other: 'stop',
} as const satisfies Record<Finish, string>
export const encodeFinish = (finish: Finish): string => reasons[finish]
