import {
  type ChatResult,
  type Choice,
  type Finish,
  noUsage,
  type Part,
  type Usage,
} from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { customText } from '../anthropic/response.ts'
import { decodeCalls } from '../cohere-v1/response.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { count } from '../tgi/response.ts'
import { createdAt } from '../watsonx-text/response.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const said = object(body.chatResponse)
  const failure = text(said.errorMessage) || (body.error ?? undefined)
  if (failure) throw decodeErrorObject(failure)
  if (!isObject(body.chatResponse))
    throw new GatewayError('bad_gateway', 'the upstream answered without chatResponse')
  return {
    id: '',
    created: createdAt(said.timeCreated),
    model: text(body.modelId) ?? notes.model,
    choices: Array.isArray(said.choices)
      ? list(said.choices).map((value) => decodeGeneric(object(value), notes))
      : [decodeCohere(said, notes)],
    usage: decodeUsage(said.usage) ?? noUsage,
  }
}

function decodeGeneric(choice: JsonObject, notes: Notes): Choice {
  const message = object(choice.message)
  const thought = text(message.reasoningContent)
  const refusal = text(message.refusal)
  const parts: Part[] = [
    ...(thought ? [{ type: 'reasoning' as const, text: thought }] : []),
    ...wordsIn(message.content).map((one) => ({ type: 'text' as const, text: one })),
    ...(refusal ? [{ type: 'refusal' as const, text: refusal }] : []),
    ...list(message.toolCalls).map((value, at): Part => {
      const call = object(value)
      const input = text(call.arguments) ?? ''
      return callPart(text(call.id) || `call_${at}`, text(call.name) ?? '', input, notes)
    }),
  ]
  return ended(parts, text(choice.finishReason), choice.logprobs)
}

function decodeCohere(said: JsonObject, notes: Notes): Choice {
  const words = text(said.text)
  const citations = list(said.citations)
  const choice = ended(
    [
      ...(words ? [{ type: 'text' as const, text: words }] : []),
      ...decodeCalls(said.toolCalls, notes),
    ],
    text(said.finishReason),
    undefined,
  )
  return citations.length > 0
    ? { ...choice, extras: { provider_specific_fields: { citations } } }
    : choice
}

const callPart = (id: string, name: string, input: string, { customTools }: Notes) =>
  customTools?.has(name)
    ? { type: 'tool-call' as const, id, name, input: customText(input), kind: 'custom' as const }
    : { type: 'tool-call' as const, id, name, input }

function ended(parts: Part[], reason: string | undefined, logprobs: Json | undefined): Choice {
  const called = parts.some(({ type }) => type === 'tool-call')
  return {
    parts,
    finish: decodeFinish(reason, called),
    ...(reason !== undefined && { reason }),
    ...(isObject(logprobs) && { logprobs }),
  }
}

/** Pieces of text; other pieces are not made by these models. */
export const wordsIn = (content: Json | undefined): string[] =>
  typeof content === 'string'
    ? [content].filter(Boolean)
    : list(content).flatMap((piece) => text(object(piece).text) || [])

/** Cohere's words in capitals, others' in OpenAI's own. */
const finishes: ReadonlyMap<string, Finish> = new Map(
  Object.entries({
    complete: 'stop',
    stop: 'stop',
    max_tokens: 'length',
    length: 'length',
    tool_call: 'tool-calls',
    tool_calls: 'tool-calls',
    error_toxic: 'content-filter',
    content_filter: 'content-filter',
    content_filtered: 'content-filter',
    error_limit: 'length',
  }),
)
export const decodeFinish = (reason: string | undefined, called: boolean): Finish =>
  called
    ? 'tool-calls'
    : reason === undefined
      ? 'stop'
      : (finishes.get(reason.toLowerCase()) ?? 'other')

export function decodeUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const input = count(value.promptTokens)
  const output = count(value.completionTokens)
  if (input === undefined && output === undefined) return undefined
  const cacheRead = Math.min(input ?? 0, count(object(value.promptTokensDetails).cachedTokens) ?? 0)
  const reasoning = Math.min(
    output ?? 0,
    count(object(value.completionTokensDetails).reasoningTokens) ?? 0,
  )
  return {
    ...noUsage,
    input: (input ?? 0) - cacheRead,
    cacheRead,
    output: (output ?? 0) - reasoning,
    reasoning,
    raw: value,
  }
}
