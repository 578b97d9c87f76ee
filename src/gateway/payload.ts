import type { Incoming, Outgoing } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, object } from '../json/json.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Rooms } from './rooms.ts'

/** What was answered: a body as it was sent, or the text of a stream. */
export type Said = Pick<Outgoing, 'body' | 'encoding'> | { text: string }

/**
 * What is kept of a prompt and its answer, where an operator wants that (`store_prompts_in_spend_logs`) and the client
 * does not forbid it. Called when the request has ended, with what was answered, if anything was; JSON.
 */
export type Keep = (answer: Said | undefined) => string | undefined

export function keepOf(
  incoming: Incoming,
  said: Inbound,
  { settings }: Pick<Rooms, 'settings'>,
): Keep | undefined {
  const { storePrompts } = settings
  if (!storePrompts || isForbidden(incoming, said, storePrompts)) return undefined
  return (answer) => {
    const body = parsed(utf8(said.bytes))
    const cut = (value: Json | undefined): Json => fitting(value ?? {}, storePrompts.length, 0)
    const { messages } = object(body)
    const payload = JSON.stringify({
      messages: Array.isArray(messages) ? cut(messages) : {},
      response: cut(answered(answer)),
      proxy_server_request: cut(withoutSecrets(object(body))),
    })
    return payload.length <= payloadMax ? payload : tooLarge
  }
}

export type StorePrompts = {
  /** Longest string that is kept whole; 0: however long. */
  length: number
  /** `turn_off_message_logging`: only where a header asks for it. */
  onlyAsked: boolean
  /** `global_disable_no_log_param`. */
  ignoreNoLog: boolean
}

const payloadMax = 1_000_000
const tooLarge = JSON.stringify({
  messages: {},
  response: {},
  proxy_server_request: {
    litellm_truncated: 'a prompt and answer of over a megabyte are not kept',
  },
})

function isForbidden(incoming: Incoming, said: Inbound, how: StorePrompts): boolean {
  const is = (name: string): boolean => incoming.header(name)?.toLowerCase() === 'true'
  if (is('x-litellm-enable-message-redaction')) return true
  if (how.onlyAsked && !is('litellm-disable-message-redaction')) return true
  return !how.ignoreNoLog && said.has('no-log') && said.field('no-log') === true
}

function answered(answer: Said | undefined): Json {
  if (!answer) return {}
  if ('text' in answer)
    return answer.text === ''
      ? {}
      : { choices: [{ index: 0, message: { role: 'assistant', content: answer.text } }] }
  const { body, encoding } = answer
  if (typeof body !== 'string') return body instanceof Uint8Array ? parsed(utf8(body)) : {}
  return parsed(encoding === 'latin1' ? utf8(bytesOf(body)) : body)
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

/** As LiteLLM cuts: a third of what is kept from the beginning, the rest from the end, where conversations matter most. */
function fitting(value: Json, length: number, depth: number): Json {
  if (typeof value === 'string') {
    if (length === 0 || value.length <= length) return value
    const start = Math.floor(length * 0.35)
    const end = length - start
    return `${value.slice(0, start).toWellFormed()}... (litellm_truncated skipped ${value.length - length} chars. To keep more, set MAX_STRING_LENGTH_PROMPT_IN_DB) ...${value.slice(-end).toWellFormed()}`
  }
  if (depth > depthMax) return '… (litellm_truncated: nested too deeply)'
  if (Array.isArray(value)) return value.map((one) => fitting(one, length, depth + 1))
  if (!isObject(value)) return value
  const out: [string, Json][] = []
  for (const [key, one] of Object.entries(value))
    if (one !== undefined) out.push([key, fitting(one, length, depth + 1)])
  return Object.fromEntries(out)
}
const depthMax = 100

/** Credentials a client was allowed to bring are for the provider. What lies in the conversation is the conversation. */
function withoutSecrets(body: JsonObject): JsonObject {
  const out: [string, Json][] = []
  for (const [key, value] of Object.entries(body)) {
    if (value === undefined || key === 'secret_fields') continue
    if (typeof value === 'string' && secretName.test(key)) out.push([key, 'REDACTED'])
    else if (isObject(value) && !conversation.has(key)) out.push([key, withoutSecrets(value)])
    else if (key === 'fallbacks' || key === 'mcp_servers')
      out.push([key, list(value).map((one) => (isObject(one) ? withoutSecrets(one) : one))])
    else out.push([key, value])
  }
  return Object.fromEntries(out)
}
const secretName =
  /api[-_]?key|authorization|password|secret|credential|(access|refresh|session|ad|auth(orization)?)[-_]token$/i
const conversation = new Set([
  'messages',
  'input',
  'contents',
  'prompt',
  'tools',
  'response_format',
])
