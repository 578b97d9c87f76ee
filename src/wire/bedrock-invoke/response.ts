import type { ChatResult } from '../../chat/chat.ts'
import { isObject, type JsonObject } from '../../json/json.ts'
import { decodeResult as decodeMessage } from '../anthropic/response.ts'
import { decodeException } from '../bedrock-converse/errors.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  if (!Array.isArray(body.content) && body.type !== 'error' && typeof body.message === 'string')
    throw decodeException(typeof body.__type === 'string' ? body.__type : '', JSON.stringify(body))
  return decodeMessage(withoutMetrics(body), notes)
}

/** Bedrock's guardrail verdict and counts stand between Anthropic's fields. */
export function withoutMetrics(body: JsonObject): JsonObject {
  const {
    'amazon-bedrock-invocationMetrics': _,
    'amazon-bedrock-trace': trace,
    'amazon-bedrock-guardrailAction': action,
    ...rest
  } = body
  if (action === 'INTERVENED' && (rest.stop_reason === undefined || rest.stop_reason === null))
    rest.stop_reason = 'refusal'
  return isObject(trace) ? { ...rest, trace } : rest
}
