import { type FaultKind, faults, GatewayError, kindOfStatus } from '../../errors.ts'
import { isObject, type Json, type JsonObject, number, object, text } from '../../json/json.ts'
import type { ErrorAnswer } from '../wire.ts'

const kindOfCode: ReadonlyMap<string, FaultKind> = new Map(
  Object.entries({
    context_length_exceeded: 'context_window',
    content_policy_violation: 'content_policy',
    content_filter: 'content_policy',
    invalid_api_key: 'authentication',
    insufficient_quota: 'rate_limit',
    rate_limit_exceeded: 'rate_limit',
    model_not_found: 'not_found',
  }),
)

/** Words by which providers without a code say that the prompt was too long, or was refused. */
const tooLong =
  /maximum context length|context length exceeded|context window|prompt is too long|input is too long|exceeds the model's (maximum )?context|too many tokens|maximum (number of )?tokens|reduce the length of/i
const refused =
  /content (management )?policy|content_filter|safety system|violat\w{1,8} .{0,40}policy/i

/**
 * Any server's error body: OpenAI's `{error: {message…}}`, vLLM's `{object: "error", message}`, `{detail}`, `{message}`,
 * `{error: "text"}`, or no JSON at all. The status stays; the text stays, its class is told by the table.
 */
export function decodeError({ status, body, header, provider }: ErrorAnswer): GatewayError {
  const said = readError(body)
  const code = text(said.code)
  const param = text(said.param)
  const type = text(said.type)
  const message = text(said.message) || (status < 400 ? 'error' : `HTTP ${status}`)
  const retryAfter = header('retry-after')
  return new GatewayError(kindOf(status, code ?? type, message), message, {
    status: status >= 400 ? status : undefined,
    provider,
    type,
    param,
    code,
    retryAfter,
  })
}

/** An error object inside a stream, or in a 200: its own code is the status where it is one, or means one. */
export function decodeErrorObject(value: Json | undefined): GatewayError {
  const error = isObject(value) ? value : { message: value }
  const status =
    [error.code, error.status, error.status_code].map(asNumber).find(isErrorStatus) ??
    statusOf(text(error.code)) ??
    statusOf(text(error.type)) ??
    500
  return decodeError({ status, body: JSON.stringify({ error }), header: () => undefined })
}

/** `Number` would throw for what cannot be turned into text, such as a number beyond 1.8e308. */
const asNumber = (value: Json | undefined): number =>
  typeof value === 'string' ? Number(value) : (number(value) ?? Number.NaN)
const isErrorStatus = (code: number): boolean => Number.isInteger(code) && code >= 400 && code < 600

function statusOf(word: string | undefined): number | undefined {
  if (word === undefined) return undefined
  const kind = kindOfCode.get(word)
  if (kind) return faults[kind].status
  return Object.values(faults).find(({ openai }) => openai === word)?.status
}

/** The error that stands where an answer, or a piece of one, should be; undefined when there is none. */
export function errorIn(body: JsonObject): Json | undefined {
  if (body.error) return body.error
  // Older vLLM says {object: "error", message…}; gateways in between say {message…} or {detail…} and no choices.
  const said = text(body.message) ?? text(body.detail)
  const isBare = body.object === 'error' || (body.choices === undefined && said !== undefined)
  return isBare ? { ...body, message: said } : undefined
}

function kindOf(status: number, code: string | undefined, said: string): FaultKind {
  const message = said.slice(0, 10_000)
  const byCode = kindOfCode.get(code ?? '')
  if (byCode && (status === 400 || kindOfStatus(status) === byCode)) return byCode
  if (status === 400 || status === 413 || status === 422) {
    if (tooLong.test(message)) return 'context_window'
    if (refused.test(message)) return 'content_policy'
  }
  return kindOfStatus(status)
}

function readError(body: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return { message: plain(body) }
  }
  if (Array.isArray(value)) value = value[0]
  if (typeof value === 'string') return { message: value }
  const whole = object(value)
  if (isObject(whole.error)) {
    const { error } = whole
    return { ...error, message: text(error.message) ?? text(error.msg) ?? JSON.stringify(error) }
  }
  const message =
    text(whole.error) ??
    text(whole.message) ??
    // Mistral's list of what is wrong in a request.
    (isObject(whole.message) ? JSON.stringify(whole.message) : undefined) ??
    text(whole.detail) ??
    text(whole.error_message) ??
    text(whole.msg) ??
    (whole.detail !== undefined || whole.errors !== undefined ? JSON.stringify(whole) : undefined)
  return { ...whole, message }
}

/** An HTML page of a proxy in between: its title says enough. */
function plain(body: string): string | undefined {
  const title = /<title>([^<]{1,200})<\/title>/i.exec(body.slice(0, 4096))?.[1]
  const words = title ?? (body.trimStart().startsWith('<') ? undefined : body.slice(0, 500).trim())
  return words || undefined
}

/**
 * The text LiteLLM's SDKs map by: "litellm.RateLimitError: RateLimitError: OpenAIException - …".
 * What the gateway itself says carries no class.
 */
export function describe(error: GatewayError): string {
  if (error.provider === undefined) return error.message
  const { className } = faults[error.kind]
  const twice = error.kind === 'bad_request' ? '' : `${className}: `
  return `litellm.${className}: ${twice}${error.provider}Exception - ${error.message}`
}

export const encodeError = (error: GatewayError): JsonObject => ({
  error: {
    message: describe(error),
    type: error.type ?? typeOf(error),
    param: error.param ?? null,
    // LiteLLM always says the status here; a provider's own word is kept, since OpenAI's clients look for it.
    code: error.code !== undefined && !/^\d+$/.test(error.code) ? error.code : String(error.status),
  },
})

/** LiteLLM names an upstream's 429 `throttling_error`; its clients look for it. */
const typeOf = (error: GatewayError): string =>
  error.kind === 'rate_limit' && error.provider !== undefined
    ? 'throttling_error'
    : faults[error.kind].openai

export const encodeStreamError = (error: GatewayError): string =>
  `data: ${JSON.stringify(encodeError(error))}\n\n`
