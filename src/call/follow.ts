import { GatewayError } from '../errors.ts'
import type { Signal } from '../http/signal.ts'
import { isObject, type JsonObject } from '../json/json.ts'
import { utf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import { canceled } from './connection-error.ts'
import type { Limits, Reply, Transport } from './transport.ts'

export type Following = {
  to: Deployment
  /** Where the request went, and what it was sent with. */
  url: string
  headers: Readonly<Record<string, string>>
  stream: boolean
  transport: Transport
  maxBytes: number
  signal: Signal
  limits: Limits
}

/**
 * Some providers answer with a ticket: where the answer is, or will be. Goes there until there is nothing more to follow;
 * what comes last is the answer. A reply that is no ticket comes back as it is.
 */
export async function followed(first: Reply, how: Following): Promise<Reply> {
  const { to, transport, signal, limits, stream } = how
  const { follow } = to.wire
  let reply = first
  const started = performance.now()
  while (follow && isTicket(reply)) {
    const bytes = await reply.bytes(how.maxBytes)
    const said = read(bytes)
    const next = said && follow.next(said, stream, how.url)
    if (!next) return whole(reply, bytes)
    const left = (limits.totalMs || followMsMax) - (performance.now() - started)
    if (left < next.afterMs) throw tooLate(limits.totalMs || followMsMax)
    if (next.afterMs > 0) await wait(next.afterMs, signal)
    reply = await transport({
      method: 'GET',
      url: checked(next.url, how.url, follow.hosts),
      headers: headersOf(how.headers, next.stream),
      signal,
      limits: limits.totalMs ? { ...limits, totalMs: Math.max(left, 1) } : limits,
      connection: to.connection,
    })
  }
  return reply
}

const isTicket = (reply: Reply): boolean =>
  reply.status >= 200 &&
  reply.status < 300 &&
  reply.header('content-type')?.startsWith('application/json') === true

/** Where the caller sets no limit: nobody waits longer for a ticket. */
const followMsMax = 10 * 60_000

const tooLate = (ms: number): GatewayError =>
  new GatewayError(
    'timeout',
    `Timeout: the provider took the request and had no answer after ${Math.round(ms / 1000)} s: ask for fewer tokens, raise timeout, or use a model that is warm`,
    { status: 408 },
  )

/** A provider must not send our key elsewhere: to where the request went, or to its own hosts over TLS. */
function checked(url: string, origin: string, hosts: readonly string[]): string {
  const next = URL.canParse(url) ? new URL(url) : undefined
  const isSame = next?.origin === new URL(origin).origin
  const isOwn =
    next?.protocol === 'https:' &&
    hosts.some((host) => next.hostname === host || next.hostname.endsWith(`.${host}`))
  if (next && (isSame || isOwn)) return next.href
  throw new GatewayError(
    'bad_gateway',
    `the upstream says its answer is at ${next?.host ?? 'an address that is none'}, which is not its own`,
  )
}

/** The credential, and nothing that was said of the first request's body. */
function headersOf(
  sent: Readonly<Record<string, string>>,
  stream: boolean,
): Record<string, string> {
  const out: Record<string, string> = { ...sent }
  for (const name of ['content-type', 'content-length', 'prefer', 'cancel-after']) delete out[name]
  out['accept'] = stream ? 'text/event-stream' : 'application/json'
  return out
}

function read(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(utf8(bytes))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A reply whose bytes have been read already. */
const whole = (reply: Reply, bytes: Uint8Array): Reply => ({
  status: reply.status,
  header: (name) => reply.header(name),
  headers: () => reply.headers(),
  body: (async function* () {
    yield bytes
  })(),
  bytes: async () => bytes,
})

function wait(ms: number, signal: Signal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(canceled(signal))
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', gone)
    }
    const gone = () => {
      done()
      reject(canceled(signal))
    }
    const timer = setTimeout(() => {
      done()
      resolve()
    }, ms)
    signal.addEventListener('abort', gone, { once: true })
  })
}
