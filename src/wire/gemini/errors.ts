import { type FaultKind, faults, GatewayError, kindOfStatus } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import type { ErrorAnswer } from '../wire.ts'
import { lookUp } from './keys.ts'

/** Google's `{error: {code, message, status, details}}`, also as the only item of a list; a plain text of a proxy between. */
export function decodeError(answer: ErrorAnswer): GatewayError {
  const said = readError(answer.body)
  return tell(said, answer.status, {
    provider: answer.provider,
    retryAfter: answer.header('retry-after'),
    cause: said.message === undefined ? answer.body.slice(0, 4000) : undefined,
  })
}

/** An error object inside a stream, or in a 200: its own code is the status, or its word says which. */
export function decodeErrorObject(value: Json | undefined): GatewayError {
  const error = isObject(value) ? value : { message: value }
  const code = Number(error.code)
  const kind = lookUp(kindOfWord, text(error.status))
  const status =
    Number.isInteger(code) && code >= 400 && code < 600 ? code : kind ? faults[kind].status : 500
  return tell(error, status, {})
}

/** The prompt itself was refused: there are no candidates. */
export function blocked(feedback: JsonObject): GatewayError {
  const reason = text(feedback.blockReason) ?? 'OTHER'
  const more = text(feedback.blockReasonMessage)
  return new GatewayError(
    'content_policy',
    `the prompt was blocked by the provider (${reason})${more ? `: ${more}` : ''}`,
    { code: 'content_policy_violation' },
  )
}

type More = { provider?: string | undefined; retryAfter?: string | undefined; cause?: unknown }

function tell(
  error: JsonObject,
  status: number,
  { provider, retryAfter, cause }: More,
): GatewayError {
  const message = text(error.message) || `the provider answered with HTTP ${status}`
  const word = text(error.status)
  const kind = kindOf(status, word, message)
  return new GatewayError(kind, message, {
    // Google says 400 to a wrong key; clients look for 401.
    status: kind === 'authentication' && status === 400 ? undefined : status,
    provider,
    code:
      word !== undefined && word !== faults[kind].google && lookUp(kindOfWord, word)
        ? word
        : undefined,
    retryAfter: retryAfter ?? retryDelay(error),
    cause,
  })
}

function kindOf(status: number, word: string | undefined, message: string): FaultKind {
  if (status === 400 || status === 413) {
    if (tooLong.test(message)) return 'context_window'
    if (badKey.test(message)) return 'authentication'
  }
  if (status === 499) return 'canceled'
  const byStatus = kindOfStatus(status)
  return byStatus === 'bad_request' && status !== 400
    ? (lookUp(kindOfWord, word) ?? byStatus)
    : byStatus
}

const tooLong =
  /token count.{0,80}exceeds|exceeds the maximum number of (?:input )?tokens|too many tokens|maximum context length|context window/i
const badKey = /api key not valid|api_key_invalid|api key expired/i

/** google.rpc.Code by name. */
const kindOfWord: Readonly<Record<string, FaultKind>> = {
  INVALID_ARGUMENT: 'bad_request',
  FAILED_PRECONDITION: 'bad_request',
  OUT_OF_RANGE: 'bad_request',
  UNAUTHENTICATED: 'authentication',
  PERMISSION_DENIED: 'permission',
  NOT_FOUND: 'not_found',
  ALREADY_EXISTS: 'conflict',
  ABORTED: 'conflict',
  RESOURCE_EXHAUSTED: 'rate_limit',
  CANCELLED: 'canceled',
  DEADLINE_EXCEEDED: 'timeout',
  UNAVAILABLE: 'unavailable',
  UNIMPLEMENTED: 'not_offered',
  INTERNAL: 'provider',
  UNKNOWN: 'provider',
  DATA_LOSS: 'provider',
}

/** RetryInfo's `retryDelay`, a text such as `37s` or `16.4s`, as whole seconds. */
function retryDelay(error: JsonObject): string | undefined {
  for (const detail of list(error.details)) {
    const found = /^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(text(object(detail).retryDelay) ?? '')
    if (found) return String(Math.ceil(Number(found[1])))
  }
  return undefined
}

function readError(body: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    const plain = body.slice(0, 4096).trim()
    const title = /<title>([^<]{1,200})<\/title>/i.exec(plain)?.[1]
    // A page of HTML tells a client nothing but its title; a line of text may.
    return { message: title ?? (plain.startsWith('<') ? undefined : plain.slice(0, 500)) }
  }
  const whole = object(Array.isArray(value) ? value[0] : value)
  if (isObject(whole.error)) return whole.error
  return { message: text(whole.error) ?? text(whole.message) ?? text(whole.detail) }
}

export function encodeError(error: GatewayError): JsonObject {
  const { code, kind, status, message, retryAfter } = error
  const seconds = /^\d{1,9}$/.test(retryAfter ?? '') ? retryAfter : undefined
  return {
    error: {
      code: status,
      message,
      status: code !== undefined && lookUp(kindOfWord, code) ? code : faults[kind].google,
      ...(seconds !== undefined && {
        details: [
          { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${seconds}s` },
        ],
      }),
    },
  }
}

export const encodeStreamError = (error: GatewayError): string =>
  `data: ${JSON.stringify(encodeError(error))}\n\n`
