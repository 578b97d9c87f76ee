import type { Answer } from '../call/call.ts'
import type { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { litellmVersion } from '../version.ts'
import { isPlainHeader } from './fields.ts'
import { randomId } from './random-id.ts'
import { dollars, type Receipt } from './receipt.ts'
import type { GatewaySettings } from './rooms.ts'

/** LiteLLM's headers of an answer, without the ones that leak: no address of the provider, no hash of the key. */
export function answerHeaders(
  answer: Pick<Answer, 'headers' | 'deployment' | 'dropped'>,
  receipt: Receipt,
): Record<string, string> {
  // The answer's own object, so that nothing is copied.
  const { headers } = answer
  headers['x-litellm-call-id'] = receipt.requestId
  headers['x-litellm-model-id'] = answer.deployment.id
  headers['x-litellm-model-group'] = headerText(receipt.group)
  headers['x-litellm-version'] = litellmVersion
  headers['x-litellm-attempted-retries'] = String(receipt.retries)
  headers['x-litellm-attempted-fallbacks'] = String(receipt.fallbacks)
  const { pass } = receipt
  if (pass) {
    pass.tell(headers)
    const spent = pass.keySpend?.()
    // With what this answer cost, as far as that is known by now.
    if (spent !== undefined)
      headers['x-litellm-key-spend'] = dollars(spent + receipt.cost().nanoDollars)
  }
  if (answer.dropped.length > 0)
    headers['x-throughway-dropped'] = headerText(answer.dropped.join(','))
  return headers
}

/** Only known for whole answers: a stream's headers leave before its cost is known. */
export const costOfAnswer = (receipt: Receipt): string => dollars(receipt.cost().nanoDollars)

export function errorHeaders(error: GatewayError, requestId: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    ...error.headers,
    ...(error.retryAfter !== undefined &&
      /^[\x20-\x7e]{1,100}$/.test(error.retryAfter) && { 'retry-after': error.retryAfter }),
    'x-litellm-call-id': requestId,
    'x-litellm-version': litellmVersion,
    'x-litellm-response-cost': '0',
  }
}

/** A header holds Latin-1 without line ends; what else a name has is written as in a URL. Clients take only so much of it. */
const headerText = (said: string): string =>
  (/^[\x20-\x7e]*$/.test(said)
    ? said
    : encodeURIComponent(said.slice(0, 1024).toWellFormed())
  ).slice(0, 1024)

/** The headers that go along to the provider: the client's own that may, and `more` over them. */
export function forwarded(
  incoming: Incoming,
  group: string,
  settings: GatewaySettings,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const all = settings.forwardHeaders(group)
  if (!settings.forwardOrganization && !all) return more
  const headers = incoming.headers()
  const out: Record<string, string> = {}
  if (settings.forwardOrganization && headers['openai-organization'])
    out['openai-organization'] = headers['openai-organization']
  if (!all) return { ...out, ...more }
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || !name.startsWith('x-') || name.startsWith('x-litellm-')) continue
    if (name === settings.keyHeader) continue
    if (isPlainHeader(name, value) && !infrastructure.test(name)) out[name] = value
  }
  return { ...out, ...more }
}
/** Written by the proxies in between, about the client's connection to us; and the OpenAI SDK's own bookkeeping. */
const infrastructure = /^x-(forwarded|real-ip|envoy|amzn|request-start|stainless)/

const dialectNames = ['anthropic-beta', 'anthropic-version']
/** Headers that belong to a dialect as its fields do. */
export function dialectHeaders(incoming: Incoming): Record<string, string> {
  const out: Record<string, string> = {}
  for (const name of dialectNames) {
    const value = incoming.header(name)
    if (value !== undefined && isPlainHeader(name, value)) out[name] = value
  }
  return out
}

/** Chosen by the client where it can be an id, ours otherwise. */
export const callIdOf = (asked: string | undefined): string =>
  asked !== undefined && /^[\x21-\x7e]{1,256}$/.test(asked) ? asked : randomId()
