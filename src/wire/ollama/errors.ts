import { GatewayError } from '../../errors.ts'
import { decodeError as decodeAny } from '../openai-chat/errors.ts'
import type { ErrorAnswer } from '../wire.ts'

/** `{error: "…"}`; what went wrong is told by the status, and by words where the context was too small. */
export function decodeError(answer: ErrorAnswer): GatewayError {
  const error = decodeAny(answer)
  if (error.kind !== 'bad_request' || !tooLong.test(error.message)) return error
  const { message, status, type, provider, param, code, retryAfter } = error
  return new GatewayError('context_window', message, {
    status,
    type,
    provider,
    param,
    code,
    retryAfter,
  })
}

const tooLong = /exceeds (the |available |maximum ){0,2}context (length|size)/i
