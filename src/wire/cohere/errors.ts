import { GatewayError } from '../../errors.ts'
import { type JsonObject, text } from '../../json/json.ts'
import { decodeError as decodeAny } from '../openai-chat/errors.ts'
import type { ErrorAnswer } from '../wire.ts'

/** `{message}`, with the status as the only other word. */
export function decodeError(answer: ErrorAnswer): GatewayError {
  const error = decodeAny(answer)
  if (error.kind !== 'context_window' || !limitsOutput.test(error.message)) return error
  const { message, status, type, provider, param, code, retryAfter } = error
  return new GatewayError('bad_request', message, {
    status,
    type,
    provider,
    param,
    code,
    retryAfter,
  })
}

/** "too many tokens" is said of a long prompt and of a large max_tokens (docs.cohere.com/reference/errors, 2026-11); a larger context helps the first only. */
const limitsOutput = /max[ _]tokens must be/i

/** An error where an answer or an event was expected: there is no status. */
export const decodeFault = (body: JsonObject): GatewayError =>
  new GatewayError(
    'provider',
    text(body.message) || 'the provider reported an error and did not say which',
  )
