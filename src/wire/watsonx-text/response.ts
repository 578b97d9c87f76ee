import { type ChatResult, type Finish, noUsage, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { count } from '../tgi/response.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const [first] = list(body.results)
  if (!isObject(first)) {
    const fault = faultIn(body)
    throw fault ?? new GatewayError('bad_gateway', 'the upstream answered without results')
  }
  const said = text(first.generated_text) ?? ''
  const reason = text(first.stop_reason)
  return {
    id: text(body.id) ?? '',
    created: createdAt(body.created_at),
    model: text(body.model_id) ?? notes.model,
    choices: [
      {
        parts: said === '' ? [] : [{ type: 'text', text: said }],
        finish: decodeFinish(reason),
        ...(reason !== undefined && { reason }),
      },
    ],
    usage: decodeUsage(first) ?? noUsage,
  }
}

/** `{errors: [{code, message}]}`. */
export function faultIn(body: JsonObject): GatewayError | undefined {
  const error = list(body.errors)[0] ?? body.error
  if (!isObject(error) && typeof error !== 'string') return undefined
  const status = body.status_code
  return decodeErrorObject(isObject(error) ? { ...error, status } : error)
}

export function createdAt(value: Json | undefined): number {
  const ms = Date.parse(text(value) ?? '')
  return Number.isFinite(ms) && ms > 0 ? Math.floor(ms / 1000) : 0
}

export function decodeUsage(result: Json | undefined): Usage | undefined {
  const { input_token_count, generated_token_count } = object(result)
  const input = count(input_token_count)
  const output = count(generated_token_count)
  if (input === undefined || output === undefined) return undefined
  return {
    ...noUsage,
    input,
    output,
    raw: { input_token_count: input, generated_token_count: output },
  }
}

const finishes: ReadonlyMap<string, Finish> = new Map(
  Object.entries({
    eos_token: 'stop',
    stop_sequence: 'stop',
    max_tokens: 'length',
    token_limit: 'length',
    time_limit: 'length',
    cancelled: 'other',
    error: 'other',
  }),
)
export const decodeFinish = (reason: string | undefined): Finish =>
  reason === undefined ? 'stop' : (finishes.get(reason) ?? 'other')
