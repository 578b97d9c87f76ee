import type { ChatResult, Finish, Part, TextPart, Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { clientsCall } from '../anthropic/response.ts'
import type { Notes } from '../wire.ts'
import { blockOf, decodeCitation, readCitations } from './citations.ts'
import { decodeFault } from './errors.ts'

const modelled = new Set(['id', 'message', 'finish_reason', 'usage', 'logprobs'])

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const { message } = body
  if (!isObject(message)) {
    if (typeof message === 'string') throw decodeFault(body)
    throw new GatewayError('bad_gateway', 'the upstream answered without a message')
  }
  const reason = text(body.finish_reason)
  const failure = failed(reason, undefined)
  if (failure) throw failure
  const parts = decodeMessage(message, notes)
  const called = parts.some((part) => part.type === 'tool-call')
  const finish = decodeFinish(reason, called)
  const citations = list(message.citations)
  const fields = ownFields(text(message.tool_plan) ?? '', citations)
  const logprobs = decodeLogprobs(body.logprobs)
  const extras = extrasOf(body, modelled)
  return {
    id: text(body.id) ?? '',
    created: 0,
    model: notes.model,
    choices: [
      {
        parts,
        finish,
        ...(reason !== undefined && { reason }),
        ...(logprobs && { logprobs }),
        ...(fields && { extras: fields }),
      },
    ],
    usage: decodeUsage(body.usage),
    ...(extras && { extras }),
  }
}

/** Thoughts and text by block, then the plan, then the calls it is about. */
function decodeMessage(message: JsonObject, notes: Notes): Part[] {
  const parts: Part[] = []
  const blocks = new Map<number, { part: TextPart; from: number }>()
  let length = 0
  const content = typeof message.content === 'string' ? [message.content] : list(message.content)
  content.forEach((value, at) => {
    const block = object(value)
    const thought = text(block.thinking)
    if (thought) parts.push({ type: 'reasoning', text: thought })
    const said = typeof value === 'string' ? value : text(block.text)
    if (!said) return
    const part: TextPart = { type: 'text', text: said }
    parts.push(part)
    blocks.set(at, { part, from: length })
    length += said.length
  })
  for (const citation of readCitations(message.citations)) {
    const at = blockOf(citation)
    const block = at === undefined ? undefined : (blocks.get(at) ?? first(blocks))
    if (block)
      block.part.annotations = [
        ...(block.part.annotations ?? []),
        ...decodeCitation(citation, block.from),
      ]
  }
  const plan = text(message.tool_plan)
  if (plan) parts.push({ type: 'reasoning', text: plan })
  for (const call of list(message.tool_calls)) parts.push(decodeCall(object(call), notes))
  return parts
}

const first = <T>(blocks: ReadonlyMap<number, T>): T | undefined => blocks.values().next().value

function decodeCall(call: JsonObject, notes: Notes): Part {
  const { name, arguments: input } = object(call.function)
  return clientsCall(
    {
      type: 'tool-call',
      id: text(call.id) ?? '',
      name: text(name) ?? '',
      input: text(input) || '{}',
    },
    notes,
  )
}

/** What OpenAI's shape has no place for, where LiteLLM's clients look for it. */
export function ownFields(plan: string, citations: readonly Json[]): JsonObject | undefined {
  const fields = compact({
    tool_plan: plan || undefined,
    citations: citations.length > 0 ? [...citations] : undefined,
  })
  return Object.keys(fields).length > 0 ? { provider_specific_fields: fields } : undefined
}

/** The API answers 200 and tells in the reason that there is no answer. */
export function failed(
  reason: string | undefined,
  said: string | undefined,
): GatewayError | undefined {
  switch (reason?.toUpperCase()) {
    case 'ERROR':
      return new GatewayError('provider', said ?? 'the generation failed with an internal error')
    case 'TIMEOUT':
      return new GatewayError(
        'timeout',
        said ?? 'the generation exceeded the time the provider allows',
      )
    default:
      return undefined
  }
}

const finishes: Record<string, Finish> = {
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'stop',
  MAX_TOKENS: 'length',
  ERROR_LIMIT: 'length',
  ERROR_TOXIC: 'content-filter',
  TOOL_CALL: 'tool-calls',
}

export function decodeFinish(reason: string | undefined, called: boolean): Finish {
  const word = reason?.toUpperCase()
  const finish: Finish =
    word === undefined
      ? 'stop'
      : Object.hasOwn(finishes, word)
        ? (finishes[word] ?? 'other')
        : 'other'
  return called && finish === 'stop' ? 'tool-calls' : finish
}

/**
 * `billed_units` is what the invoice counts, `tokens` all that went through the model. Spend follows the invoice, and
 * both stay in `raw`.
 */
export function decodeUsage(value: Json | undefined): Usage {
  const usage = object(value)
  const billed = object(usage.billed_units)
  const all = object(usage.tokens)
  const read = count(billed.input_tokens ?? all.input_tokens)
  const cacheRead = Math.min(read, count(usage.cached_tokens))
  return {
    input: read - cacheRead,
    cacheRead,
    cacheWrite: 0,
    cacheWrite1h: 0,
    inputAudio: 0,
    inputImage: 0,
    output: count(billed.output_tokens ?? all.output_tokens),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
    searches: count(billed.search_units),
    ...(isObject(value) && { raw: value }),
  }
}

function count(value: Json | undefined): number {
  const said = number(value) ?? 0
  return said > 0 && said <= Number.MAX_SAFE_INTEGER ? Math.round(said) : 0
}

/** OpenAI's shape. An item may cover several tokens: the probability of them together is their sum. */
export function decodeLogprobs(value: Json | undefined): JsonObject | undefined {
  const items = (Array.isArray(value) ? value : [value]).filter(isObject)
  if (items.length === 0) return undefined
  return {
    content: items.map((item) => ({
      token: text(item.text) ?? '',
      logprob: list(item.logprobs).reduce<number>((sum, one) => sum + (number(one) ?? 0), 0),
      bytes: null,
      top_logprobs: [],
    })),
  }
}
