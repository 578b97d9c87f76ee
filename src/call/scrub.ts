import { GatewayError } from '../errors.ts'
import { hide } from '../wire/hide.ts'
import type { Reply } from './transport.ts'

/** A provider that echoes its request must not show our credential to the client. */
export function scrub(error: GatewayError, secrets: readonly string[]): GatewayError {
  if (!secrets.some((secret) => mentions(error, secret))) return error
  const { kind, status, provider, type, param, code, retryAfter, headers, cause } = error
  return new GatewayError(kind, hide(error.message, secrets), {
    status,
    provider,
    type: type && hide(type, secrets),
    param: param && hide(param, secrets),
    code: code && hide(code, secrets),
    retryAfter: retryAfter && hide(retryAfter, secrets),
    headers,
    cause,
  })
}

const mentions = (
  { message, type, param, code, retryAfter }: GatewayError,
  secret: string,
): boolean => [message, type, param, code, retryAfter].some((said) => said?.includes(secret))

/** Belong to one connection, or say how the bytes were packed. */
const kept = new Set(
  `connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade content-length
  content-encoding set-cookie authorization x-api-key api-key x-goog-api-key date`.split(/\s+/),
)

/** The provider's headers as LiteLLM shows them: all under `llm_provider-`, its rate limits under their own names too. One that holds a secret is left out. */
export function headersBack(reply: Reply, secrets: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {}
  const tell = (name: string, value: string) => {
    const shown = shownAs(name)
    if (shown === undefined || holds(value, secrets)) return
    out[shown] = value
    if (name.startsWith('x-ratelimit-')) out[name] = value
  }
  if (reply.eachHeader) reply.eachHeader(tell)
  else for (const [name, value] of Object.entries(reply.headers())) tell(name, value)
  return out
}

function holds(value: string, secrets: readonly string[]): boolean {
  for (const secret of secrets) if (value.includes(secret)) return true
  return false
}

/** Providers send the same few names again and again: a name put together anew for each answer costs more than all the rest here. */
function shownAs(name: string): string | undefined {
  let shown = names.get(name)
  if (shown === undefined && !kept.has(name)) {
    if (names.size >= 2000) names.clear()
    names.set(name, (shown = `llm_provider-${name}`))
  }
  return shown
}
const names = new Map<string, string>()
