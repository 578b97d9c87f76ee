import { GatewayError } from '../errors.ts'
import type { Reply, Transport, Upstream } from './transport.ts'

/** One request and its answer, redirects not followed. `since` is when the first of the chain began, `hops` ago. */
export type Exchange = (request: Upstream, since: number, hops: number) => Promise<Reply>

/** Follows redirects. */
export function followRedirects(exchange: Exchange): Transport {
  const follow: Exchange = (request, since, hops) =>
    exchange(request, since, hops).then((reply) => arrival(reply, request, since, hops, follow))
  return (first) => follow(first, performance.now(), 0)
}

/**
 * The answer, or where it is a redirect within one origin, the one it leads to. Another origin is refused: the request
 * carries the provider's key and the client's words, and whoever answers there was not chosen by the operator.
 */
export function arrival(
  reply: Reply,
  request: Upstream,
  since: number,
  hops: number,
  exchange: Exchange,
): Reply | Promise<Reply> {
  const location = redirects.has(reply.status) ? reply.header('location') : undefined
  if (location === undefined) return reply
  return discard(reply).then(() => {
    if (hops === hopsMax)
      throw new GatewayError('bad_gateway', `the provider redirected more than ${hopsMax} times`)
    return exchange(redirected(request, reply.status, location), since, hops + 1)
  })
}

function redirected(request: Upstream, status: number, location: string): Upstream {
  const from = new URL(request.url)
  const to = URL.canParse(location, from) ? new URL(location, from) : undefined
  if (!to)
    throw new GatewayError('bad_gateway', 'the provider redirected to an address that is not a URL')
  if (to.origin !== from.origin)
    throw new GatewayError(
      'bad_gateway',
      'the provider redirected to another origin, which is not followed; if it has moved, set its new base URL',
      { cause: new Error(`redirected to ${to.origin}`) },
    )
  to.username = from.username
  to.password = from.password
  to.hash = ''
  if (status === 307 || status === 308) {
    if (!isReplayable(request.body))
      throw new GatewayError(
        'bad_gateway',
        'the provider redirected an upload, which cannot be sent twice',
      )
    return { ...request, url: to.href }
  }
  // 303 always, 301 and 302 by custom: what was posted is fetched from its new place.
  if (request.method === 'GET') return { ...request, url: to.href }
  const { body, ...bare } = request
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => !name.startsWith('content-')),
  )
  return { ...bare, method: 'GET', url: to.href, headers }
}

/** Can the body be sent a second time? */
export const isReplayable = (body: Upstream['body']): body is Uint8Array | string | undefined =>
  body === undefined || typeof body === 'string' || body instanceof Uint8Array

/** A short body is read, so that the connection serves again; a long one is not worth waiting for. */
async function discard(reply: Reply): Promise<void> {
  const length = Number(reply.header('content-length') ?? Number.NaN)
  if (length <= shortBody) await reply.bytes(shortBody).catch(() => undefined)
  else await reply.body[Symbol.asyncIterator]().return?.()
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const hopsMax = 3
const shortBody = 65_536
