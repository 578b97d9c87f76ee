import { Readable } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { HeaderList } from '../http/fields.ts'
import { type Answer, createAnswer, type Network } from './answer.node.ts'
import { canceled, connectionError, uploadError } from './connection-error.ts'
import { createFar } from './far.node.ts'
import { HttpFault } from './h1.ts'
import { headOf } from './head.ts'
import { type Clock, type Watch, watchLimits } from './limits.ts'
import type { Flow, Line, LineListener, LineRequest } from './line.node.ts'
import { createPools, type Pool, type PoolOptions, type Pools, type Taker } from './pool.node.ts'
import { bareHost, ProxyError } from './proxy.node.ts'
import { arrival, type Exchange, isReplayable } from './redirect.ts'
import { type Target, targetOf } from './target.ts'
import type { Limits, Reply, Transport, Upstream } from './transport.ts'

export type NodeTransportOptions = PoolOptions & {
  /** For requests whose limits do not say; 0 is none. */
  connectMs?: number
  /** What `bytes()` takes when it is not told. */
  maxBytes?: number
}

/**
 * The way out on Node. A reply's body must be read to its end or left (`return()`, or the request's signal): until
 * then it holds its connection. `accept-encoding: identity` is sent unless the request has its own, since a gateway
 * is shorter of CPU than of bandwidth; an answer that is compressed all the same is decompressed.
 */
export function nodeTransport(
  options: NodeTransportOptions = {},
): Transport & { close(): Promise<void> } {
  const { connectMs = 10_000, maxBytes = 268_435_456 } = options
  const pools = createPools(options)
  const exchange: Exchange = (request, since, hops) => {
    const { signal } = request
    if (signal?.aborted) return Promise.reject(canceled(signal))
    const reply = Promise.withResolvers<Reply>()
    new Call(request, since, hops, way, reply).send(false)
    return reply.promise
  }
  const clock: Clock = { later: setImmediate, far: createFar() }
  const way: Way = { pools, targetOf: createTargets(), clock, connectMs, maxBytes, exchange }
  const transport: Transport = (request) => exchange(request, performance.now(), 0)
  /** Ends what is idle and what still runs. */
  const close = async () => pools.close()
  return Object.assign(transport, { close })
}

type Way = {
  pools: Pools
  targetOf(url: string): Target
  clock: Clock
  connectMs: number
  maxBytes: number
  exchange: Exchange
}

/**
 * One request, one line: from the queue for a line to the last byte of the answer. A class, since what it is told by its
 * line, its queue and its reader would be a dozen closures for every request.
 */
class Call implements LineListener, Taker, Network {
  readonly maxBytes: number
  readonly #request: Upstream
  readonly #since: number
  readonly #hops: number
  readonly #way: Way
  readonly #upload: Readable | undefined
  readonly #watch: Watch
  readonly #reply: PromiseWithResolvers<Reply>
  readonly #abort: () => void
  #line: Line | undefined
  #answer: Answer | undefined
  #flow: Flow | undefined
  #pool: Pool | undefined
  #written: LineRequest | undefined
  #over = false

  constructor(
    request: Upstream,
    since: number,
    hops: number,
    way: Way,
    reply: PromiseWithResolvers<Reply>,
  ) {
    this.maxBytes = way.maxBytes
    this.#request = request
    this.#since = since
    this.#hops = hops
    this.#way = way
    this.#upload = uploadOf(request.body)
    this.#abort = () => this.refuse(canceled(request.signal))
    this.#watch = watchLimits(request.limits ?? none, since, this, way.clock)
    this.#reply = reply
    request.signal?.addEventListener('abort', this.#abort)
  }

  send(fresh: boolean): void {
    try {
      const target = this.#way.targetOf(this.#request.url)
      const pool = this.#way.pools.find(target.origin, this.#request.connection)
      this.#pool = pool
      this.#written = requestFor(this.#request, target, this.#upload, pool)
      this.#line = undefined
      pool.acquire(fresh, this)
      if (!this.#line) this.opening()
    } catch (error) {
      this.refuse(meaningOf(error, this.#upload, false))
    }
  }

  // The queue.
  take(line: Line): void {
    this.#line = line
    if (this.#written) line.dispatch(this.#written, this)
  }
  /** Ends the call wherever it stands. */
  refuse(error: GatewayError, atOnce = true): void {
    if (!this.#over) {
      this.#settle()
      this.#pool?.leave(this)
      this.#line?.drop()
    }
    if (this.#answer) this.#answer.fail(error, atOnce)
    else this.#reply.reject(error)
  }

  // The line.
  opening(): void {
    this.#watch.connecting(connectMsOf(this.#request, this.#way))
  }
  sent(): void {
    this.#watch.sent()
  }
  head(status: number, headers: HeaderList, flow: Flow): void {
    if (this.#over) return
    if (status === 407 && this.#pool?.pathPrefix !== '') this.refuse(proxyLoginWanted())
    else {
      this.#flow = flow
      this.#answer = createAnswer(status, headers, this)
      this.#watch.read()
      const { reply } = this.#answer
      const { exchange } = this.#way
      this.#reply.resolve(arrival(reply, this.#request, this.#since, this.#hops, exchange))
    }
  }
  data(bytes: Uint8Array): void {
    if (this.#over) return
    this.#watch.read()
    this.#answer?.push(bytes)
  }
  end(): void {
    if (this.#over) return
    this.#settle()
    this.#line?.release()
    this.#answer?.end()
  }
  fail(error: Error, heard: boolean): void {
    if (this.#over) return
    if (this.#line?.reused && !heard && isStale(error) && isReplayable(this.#request.body))
      this.send(true)
    else this.refuse(meaningOf(error, this.#upload, this.#answer !== undefined), false)
  }

  // The reader of the answer.
  pause(): void {
    this.#flow?.pause()
    this.#watch.hold()
  }
  resume(): void {
    this.#watch.read()
    if (!this.#over) this.#flow?.resume()
  }
  cancel(): void {
    this.refuse(canceled(undefined))
  }

  /** Lets go of everything but the line. */
  #settle(): void {
    this.#over = true
    this.#watch.stop()
    this.#request.signal?.removeEventListener('abort', this.#abort)
    this.#upload?.destroy()
  }
}

/** Who does not wait longer for the first byte does not wait longer for a connection either. */
function connectMsOf({ limits = none }: Upstream, way: Way): number {
  const { firstByteMs = 0, connectMs = way.connectMs } = limits
  return firstByteMs > 0 && (connectMs === 0 || firstByteMs < connectMs) ? firstByteMs : connectMs
}
const none: Limits = {}

/**
 * The peer closed a kept-alive connection while the request was on its way to it: it never heard the request, so
 * sending it once more is safe. A fresh line is not `reused`, so this happens once.
 */
const isStale = (error: Error): boolean =>
  'code' in error &&
  (error.code === 'EPIPE' ||
    error.code === 'HTTP_CLOSED' ||
    // A reset that was there before the request: what is read as one may have come after it.
    (error.code === 'ECONNRESET' && 'syscall' in error && error.syscall === 'write'))

function meaningOf(error: unknown, upload: Readable | undefined, answering: boolean): GatewayError {
  if (upload && upload.errored === error) return uploadError(error)
  if (error instanceof HttpFault && error.code === 'HTTP_UNWRITABLE')
    return new GatewayError(
      'bad_request',
      `the request to the upstream cannot be written as HTTP: ${error.message}`,
      { cause: error },
    )
  if (error instanceof ProxyError)
    return new GatewayError('provider', `Connection error: ${error.message}`, { cause: error })
  return GatewayError.is(error) ? error : connectionError(error, answering)
}

const proxyLoginWanted = () =>
  new GatewayError(
    'provider',
    'Connection error: the proxy wants a login; write it into the proxy setting as http://user:password@host:port',
  )

function uploadOf(body: Upstream['body']): Readable | undefined {
  if (isReplayable(body)) return undefined
  const upload = Readable.from(body, { objectMode: false, highWaterMark: 65_536 })
  // What the body says when the request is over concerns nobody.
  upload.on('error', () => {})
  return upload
}

function requestFor(
  request: Upstream,
  target: Target,
  upload: Readable | undefined,
  pool: Pool,
): LineRequest {
  const { method = 'POST', body } = request
  const { text: head, length, host } = headOf(request, target, pool)
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const whole = bytes instanceof Uint8Array ? bytes : undefined
  let tail = '\r\n'
  if (whole || (!upload && method !== 'GET' && method !== 'DELETE')) {
    const size = whole?.length ?? 0
    if (length !== undefined && length !== size)
      throw new HttpFault('HTTP_UNWRITABLE', 'the body is not as long as its content-length says')
    tail = `content-length: ${size}\r\n\r\n`
  } else if (upload) {
    if (length !== undefined && !(Number.isSafeInteger(length) && length >= 0))
      throw new HttpFault('HTTP_UNWRITABLE', 'invalid content-length header')
    tail =
      length === undefined
        ? 'transfer-encoding: chunked\r\n\r\n'
        : `content-length: ${length}\r\n\r\n`
  }
  return {
    head,
    tail,
    body: upload ?? whole,
    length: upload ? length : undefined,
    servername: host && bareHost(host.replace(/:\d*$/, '')),
  }
}

/** A gateway calls the same few URLs again and again. */
function createTargets(): (url: string) => Target {
  const known = new Map<string, Target>()
  return (url) => {
    let target = known.get(url)
    if (!target) {
      target = targetOf(url)
      if (known.size >= targetsMax) known.clear()
      known.set(url, target)
    }
    return target
  }
}

const targetsMax = 1_000
