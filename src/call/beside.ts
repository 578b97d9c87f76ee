import { GatewayError } from '../errors.ts'
import type { Signal } from '../http/signal.ts'
import type { Deployment } from '../provider/deployment.ts'
import { sentSecrets } from '../provider/secrets.ts'
import { named, refusalOf } from './call.ts'
import type { Limits, Reply, Transport } from './transport.ts'

export type Beside = {
  method: 'GET' | 'POST' | 'DELETE'
  url: string
  headers?: Record<string, string>
  body?: Uint8Array
}

/**
 * A request to a deployment that is no conversation: with its credential, its connection and its errors. `at` is the
 * deployment with what must not be shown of this request. Throws GatewayError for any status but a success.
 */
export async function callBeside(
  to: Deployment,
  { method, url, headers: more, body }: Beside,
  transport: Transport,
  { signal, limits }: { signal: Signal; limits: Limits },
): Promise<{ reply: Reply; at: Deployment }> {
  if (to.problem) throw to.problem
  if (to.mock)
    throw new GatewayError('not_offered', 'a mock model answers conversations and nothing else')
  let at = to
  try {
    const headers = { ...to.headers, ...more }
    if (body === undefined) delete headers['content-type']
    if (to.authorize) {
      await to.authorize({ method, url, headers, body: body ?? nothing })
      at = { ...to, secrets: [...to.secrets, ...sentSecrets(headers)] }
    }
    const { connection } = to
    const reply = await transport({
      method,
      url,
      headers,
      ...(body && { body }),
      signal,
      limits,
      connection,
    })
    if (reply.status >= 400 || reply.status < 200)
      throw await refusalOf(reply, at, at.wire.decodeError)
    return { reply, at }
  } catch (cause) {
    throw named(cause, at)
  }
}
const nothing = new Uint8Array(0)

/** A longer path, before the query. */
export function beneath(url: string, tail: string, query?: URLSearchParams): string {
  const at = url.indexOf('?')
  const [path, own] = at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
  const all = new URLSearchParams(own)
  for (const [name, value] of query ?? []) all.append(name, value)
  return `${path}${tail}${all.size > 0 ? `?${all}` : ''}`
}
