import type { FaultKind, GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, number, object, text } from '../../json/json.ts'
import { decodeError, describe, encodeError } from '../openai-chat/errors.ts'

/** The error of a failed response, or of an `error` event: it has no status, so its code or type is all there is. */
export function decodeFault(said: unknown): GatewayError {
  const error: JsonObject = isObject(said) ? said : { message: text(said) }
  const message = text(error.message) ?? 'the provider reported an error and did not say which'
  return decodeError({
    status: statusOf(error),
    body: JSON.stringify({
      error: { message, code: word(error.code), type: word(error.type), param: word(error.param) },
    }),
    header: () => undefined,
  })
}

const word = (value: Json | undefined): Json | undefined =>
  typeof value === 'string' || typeof value === 'number' ? value : undefined

function statusOf({ code, type, status }: JsonObject): number {
  const own = number(status) ?? Number(code)
  if (Number.isInteger(own) && own >= 400 && own < 600) return own
  const byCode = statuses.get(text(code) ?? '') ?? statuses.get(text(type) ?? '')
  return byCode ?? (isAboutInput.test(text(code) ?? '') ? 400 : 500)
}

const statuses: ReadonlyMap<string, number> = new Map([
  ['rate_limit_exceeded', 429],
  ['rate_limit_error', 429],
  ['insufficient_quota', 429],
  ['server_is_overloaded', 503],
  ['slow_down', 503],
  ['vector_store_timeout', 504],
  ['context_length_exceeded', 400],
  ['content_policy_violation', 400],
  ['bio_policy', 400],
  ['misalignment_policy_violation', 400],
  ['data_residency_mismatch', 400],
  ['previous_response_not_found', 400],
  ['failed_to_download_image', 400],
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['permission_error', 403],
  ['not_found_error', 404],
])
const isAboutInput = /^invalid_|^unsupported_|image/

/** `error` of a response that failed. Clients look for OpenAI's codes: some try again, some shorten the conversation. */
export const encodeFault = (error: GatewayError): JsonObject => ({
  code: codeOf(error),
  message: describe(error),
})

const codeOf = ({ kind, code }: GatewayError): string =>
  code !== undefined && !/^\d+$/.test(code) ? code : (codes[kind] ?? 'server_error')
const codes: Partial<Record<FaultKind, string>> = {
  context_window: 'context_length_exceeded',
  rate_limit: 'rate_limit_exceeded',
  content_policy: 'invalid_prompt',
  bad_request: 'invalid_prompt',
  unavailable: 'server_is_overloaded',
}

/** Said twice: as its type has it, and in `error`, where OpenAI's servers put it and its clients look first. */
export function encodeStreamError(error: GatewayError, sequence_number = 0): string {
  const { code, message } = encodeFault(error)
  const said = {
    type: 'error',
    code,
    message,
    param: error.param ?? null,
    sequence_number,
    error: { ...object(encodeError(error).error), code },
  }
  return `event: error\ndata: ${JSON.stringify(said)}\n\n`
}
