import { type FaultKind, faults, GatewayError, kindOfStatus } from '../../errors.ts'
import { type JsonObject, number, object, text } from '../../json/json.ts'
import type { ErrorAnswer } from '../wire.ts'

/** AWS says the class of an error in a header, or in the body as `__type`. */
export function decodeError({ status, body, header, provider }: ErrorAnswer): GatewayError {
  const said = read(body)
  const name = nameOf(header('x-amzn-errortype') ?? text(said.__type))
  const message = messageOf(said) ?? plain(body) ?? `the provider answered with HTTP ${status}`
  const kind = kindOf(name, message, status)
  return new GatewayError(kind, message, {
    status: kind === 'authentication' || unlike(kind, status) ? faults[kind].status : status,
    provider,
    type: name,
    retryAfter: header('retry-after'),
    cause: messageOf(said) === undefined ? body.slice(0, 4000) : undefined,
  })
}

/**
 * A wrong or expired key is 403 at AWS; the class that clients know it by is 401. Its common errors say 400 of
 * throttling (CommonErrors, 2026-11), and nobody would ask again.
 */
const unlike = (kind: FaultKind, status: number): boolean =>
  status === 400 && kindOfStatus(faults[kind].status) === kind && faults[kind].status >= 408

/** An exception inside a stream: its name is all there is of a status. */
export function decodeException(name: string, payload: string): GatewayError {
  const said = read(payload)
  const clean = nameOf(name) ?? 'exception'
  const message =
    messageOf(said) ?? text(said.originalMessage) ?? `the provider ended the stream: ${clean}`
  const original = number(said.originalStatusCode)
  const isStatus = original !== undefined && original >= 400 && original < 600
  const kind = kindOf(clean, message, isStatus ? original : 500)
  return new GatewayError(kind, message, { type: clean })
}

/** `ThrottlingException:http://…`, `com.amazon.coral.service#ThrottlingException`, `throttlingException`. */
function nameOf(said: string | undefined): string | undefined {
  const name = said?.split(':')[0]?.split('#').at(-1)?.trim()
  return name && /^[A-Za-z0-9._-]{1,100}$/.test(name)
    ? name[0]?.toUpperCase() + name.slice(1)
    : undefined
}

const messageOf = (said: JsonObject): string | undefined =>
  text(said.message) || text(said.Message) || text(said.errorMessage) || undefined

function read(body: string): JsonObject {
  try {
    return object(JSON.parse(body))
  } catch {
    return {}
  }
}

/** A line of text may tell something; a page of HTML and JSON without a message do not. */
function plain(body: string): string | undefined {
  const words = body.trim()
  return words === '' || /^[<{[]/.test(words) ? undefined : words.slice(0, 500)
}

function kindOf(name: string | undefined, message: string, status: number): FaultKind {
  const byName = name !== undefined && Object.hasOwn(kinds, name) ? kinds[name] : undefined
  const kind = byName ?? kindOfStatus(status)
  if (kind === 'bad_request' || kind === 'too_large' || kind === 'unprocessable') {
    if (tooLong.test(message)) return 'context_window'
    if (refused.test(message)) return 'content_policy'
    if (unknownModel.test(message)) return 'not_found'
  }
  if (byName === undefined && status === 403 && badKey.test(message)) return 'authentication'
  return kind
}

const tooLong =
  /input is too long|prompt is too long|too many (?:input )?tokens|too large for model|context (?:length|window|limit)|maximum (?:number of )?(?:input )?tokens|input (?:length|tokens?)[^.]{0,80} exceeds?|exceeds? the (?:maximum|model)[^.]{0,40} (?:tokens?|length)/i
const refused = /content filtering policy|blocked by (?:content|our) (?:filter|polic)/i
const unknownModel = /model identifier is invalid|model identifier provided is invalid/i
const badKey =
  /security token|signature|access key|authentication failed|api key|not authorized to perform.{0,40}sts/i

/** Errors of Bedrock's runtime (API_runtime_Converse, "Errors") and of AWS's signatures (2026-11). */
const kinds: Record<string, FaultKind> = {
  ValidationException: 'bad_request',
  ThrottlingException: 'rate_limit',
  TooManyRequestsException: 'rate_limit',
  ServiceQuotaExceededException: 'rate_limit',
  AccessDeniedException: 'permission',
  ResourceNotFoundException: 'not_found',
  ConflictException: 'conflict',
  ModelTimeoutException: 'timeout',
  ModelNotReadyException: 'unavailable',
  ServiceUnavailableException: 'unavailable',
  ModelErrorException: 'provider',
  ModelStreamErrorException: 'provider',
  InternalServerException: 'provider',
  InternalFailure: 'provider',
  UnrecognizedClientException: 'authentication',
  InvalidClientTokenId: 'authentication',
  ExpiredToken: 'authentication',
  ExpiredTokenException: 'authentication',
  InvalidSignatureException: 'authentication',
  SignatureDoesNotMatch: 'authentication',
  IncompleteSignature: 'authentication',
  IncompleteSignatureException: 'authentication',
  MissingAuthenticationToken: 'authentication',
  MissingAuthenticationTokenException: 'authentication',
}
