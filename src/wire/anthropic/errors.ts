import { type FaultKind, faults, GatewayError, kindOfStatus } from '../../errors.ts'
import { isObject, type JsonObject, object, text } from '../../json/json.ts'
import type { ErrorAnswer } from '../wire.ts'

export function decodeError(answer: ErrorAnswer): GatewayError {
  const said = read(answer.body)
  const message = said.message ?? `the provider answered with HTTP ${answer.status}`
  const kind = kindOf(message) ?? kindOfStatus(answer.status)
  return new GatewayError(kind, message, {
    status: answer.status,
    provider: answer.provider,
    type: said.type === faults[kind].anthropic ? undefined : said.type,
    retryAfter: answer.header('retry-after'),
    cause: said.message === undefined ? answer.body.slice(0, 4000) : undefined,
  })
}

/** `{"type": "error"}` where a message or a stream was expected: there is no status, so the type is all there is. */
export function decodeFault(body: JsonObject): GatewayError {
  const error = object(body.error)
  const type = text(error.type)
  const message = text(error.message) ?? 'the provider reported an error and did not say which'
  const known = type !== undefined && Object.hasOwn(types, type) ? types[type] : undefined
  return new GatewayError(kindOf(message) ?? known?.kind ?? 'provider', message, {
    status: known?.status,
    type: known ? undefined : type,
  })
}

export const encodeError = (error: GatewayError): JsonObject => ({
  type: 'error',
  error: { type: typeOf(error), message: error.message },
})

/** A provider's own word counts where it is one of Anthropic's and means this status: others use the same words for more. */
function typeOf({ type, kind, status }: GatewayError): string {
  const known = type === undefined || !Object.hasOwn(types, type) ? undefined : types[type]
  return type !== undefined && known?.status === status ? type : faults[kind].anthropic
}

export const encodeStreamError = (error: GatewayError): string =>
  `event: error\ndata: ${JSON.stringify(encodeError(error))}\n\n`

function read(body: string): { message?: string; type?: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    const plain = body.trim()
    // A page of HTML tells a client nothing; a line of text may.
    return plain === '' || plain.startsWith('<') ? {} : { message: plain.slice(0, 500) }
  }
  // Google's front ends put the object in a list.
  const whole = object(Array.isArray(parsed) ? parsed[0] : parsed)
  const error = isObject(whole.error) ? whole.error : whole
  const message =
    text(error.message) ?? text(whole.error) ?? text(whole.message) ?? text(whole.detail)
  const type = text(error.type)
  return { ...(message && { message }), ...(type && type !== 'error' && { type }) }
}

/** Two kinds that Anthropic tells by words only. */
function kindOf(message: string): FaultKind | undefined {
  const said = message.toLowerCase()
  if (tooLong.some((words) => said.includes(words))) return 'context_window'
  return said.includes('content filtering policy') ? 'content_policy' : undefined
}
const tooLong = ['prompt is too long', 'exceed context limit', 'exceeds the context window']

const types: Record<string, { kind: FaultKind; status: number }> = {
  invalid_request_error: { kind: 'bad_request', status: 400 },
  authentication_error: { kind: 'authentication', status: 401 },
  billing_error: { kind: 'bad_request', status: 402 },
  permission_error: { kind: 'permission', status: 403 },
  not_found_error: { kind: 'not_found', status: 404 },
  request_too_large: { kind: 'too_large', status: 413 },
  rate_limit_error: { kind: 'rate_limit', status: 429 },
  api_error: { kind: 'provider', status: 500 },
  timeout_error: { kind: 'timeout', status: 504 },
  overloaded_error: { kind: 'unavailable', status: 529 },
}
