import type { ChatResult, Finish, Part, ToolCallPart, Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { clientsCall } from '../anthropic/response.ts'
import { written } from '../cohere/written.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  if (body.error !== undefined && body.error !== null) throw decodeErrorObject(body.error)
  const { message } = body
  if (!isObject(message))
    throw new GatewayError('bad_gateway', 'the upstream answered without a message')
  const parts: Part[] = []
  const thought = text(message.thinking)
  if (thought) parts.push({ type: 'reasoning', text: thought })
  const said = text(message.content)
  if (said) parts.push({ type: 'text', text: said })
  const calls = list(message.tool_calls).map((call, at) => decodeCall(call, at, body.created_at))
  for (const call of calls) parts.push(clientsCall(call, notes))
  const reason = text(body.done_reason)
  const logprobs = decodeLogprobs(body.logprobs)
  return {
    id: '',
    created: decodeTime(body.created_at),
    model: text(body.model) ?? notes.model,
    choices: [
      {
        parts,
        finish: decodeFinish(reason, calls.length > 0),
        ...(reason !== undefined && { reason }),
        ...(logprobs && { logprobs }),
      },
    ],
    usage: decodeUsage(body),
  }
}

/** Calls have no ids; clients need one, another in every answer, and the same for the same answer. */
export function decodeCall(value: Json, index: number, at: Json | undefined): ToolCallPart {
  const call = object(value)
  const fn = object(call.function)
  const name = text(fn.name) ?? ''
  const input = text(fn.arguments) ?? written(fn.arguments ?? {})
  const id = text(call.id) || `call_${digest(`${text(at) ?? ''}|${index}|${name}|${input}`)}`
  return { type: 'tool-call', id, name, input: input || '{}' }
}

/** Two lanes of FNV-1a: short, and the same everywhere. */
function digest(of: string): string {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (let at = 0; at < of.length; at++) {
    const code = of.charCodeAt(at)
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ (code + 131), 0x01000195)
  }
  return [a, b].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}

/** Unix seconds; 0 for what is no date. */
export function decodeTime(value: Json | undefined): number {
  const ms = Date.parse(text(value) ?? '')
  return Number.isFinite(ms) && ms > 0 ? Math.floor(ms / 1000) : 0
}

export function decodeFinish(reason: string | undefined, called: boolean): Finish {
  if (reason === 'length') return 'length'
  if (called) return 'tool-calls'
  return reason === undefined || reason === 'stop' ? 'stop' : 'other'
}

/** Two counts and the times they took; what is not told is 0. */
export function decodeUsage(body: JsonObject): Usage {
  const counts = compact({
    prompt_eval_count: body.prompt_eval_count,
    eval_count: body.eval_count,
    total_duration: body.total_duration,
    load_duration: body.load_duration,
    prompt_eval_duration: body.prompt_eval_duration,
    eval_duration: body.eval_duration,
  })
  return {
    input: count(body.prompt_eval_count),
    cacheRead: 0,
    cacheWrite: 0,
    cacheWrite1h: 0,
    inputAudio: 0,
    inputImage: 0,
    output: count(body.eval_count),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
    searches: 0,
    ...(hasUsage(body) && { raw: counts }),
  }
}

export const hasUsage = (body: JsonObject): boolean =>
  number(body.eval_count) !== undefined || number(body.prompt_eval_count) !== undefined

function count(value: Json | undefined): number {
  const said = number(value) ?? 0
  return said > 0 && said <= Number.MAX_SAFE_INTEGER ? Math.floor(said) : 0
}

/** Its items have OpenAI's names. */
export function decodeLogprobs(value: Json | undefined): JsonObject | undefined {
  const content = list(value).filter(isObject)
  return content.length > 0 ? { content } : undefined
}
