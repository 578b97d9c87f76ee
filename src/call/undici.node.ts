import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import { type Answer, createAnswer } from './answer.node.ts'
import { canceled, connectionError, uploadError } from './connection-error.ts'
import { type Watch, watchLimits } from './limits.ts'
import { createPools, type Line, type Pool, type PoolOptions, type Pools } from './pool.node.ts'
import { ProxyError } from './proxy.node.ts'
import { followRedirects, isReplayable } from './redirect.ts'
import { headersFor, type Target, targetOf } from './target.ts'
import type { Limits, Reply, Transport, Upstream } from './transport.ts'

export type UndiciOptions = PoolOptions & {
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
export function undiciTransport(
  options: UndiciOptions = {},
): Transport & { close(): Promise<void> } {
  const { connectMs = 10_000, maxBytes = 268_435_456 } = options
  const pools = createPools(options)
  const way: Way = { pools, targetOf: createTargets(), limits: { connectMs }, maxBytes }
  const transport = followRedirects((request, since) => exchange(request, since, way))
  /** Ends what is idle and what still runs. */
  const close = async () => pools.close()
  return Object.assign(transport, { close })
}

type Way = { pools: Pools; targetOf(url: string): Target; limits: Limits; maxBytes: number }

/** One request, one line: from the queue for a line to the last byte of the answer. */
type Call = {
  readonly request: Upstream
  readonly way: Way
  readonly upload: Readable | undefined
  readonly watch: Watch
  line: Line | undefined
  answer: Answer | undefined
  leaveQueue: (() => void) | undefined
  throughProxy: boolean
  /** Has the upstream said anything? */
  heard: boolean
  over: boolean
  answered(reply: Reply): void
  /** Ends the call wherever it stands. */
  fail(error: GatewayError, atOnce?: boolean): void
  /** Lets go of everything but the line. */
  settle(): void
}

function exchange(request: Upstream, since: number, way: Way): Promise<Reply> {
  const { signal } = request
  if (signal?.aborted) return Promise.reject(canceled(signal))
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const abort = () => call.fail(canceled(signal))
  const limits = limitsOf(request, way)
  const call: Call = {
    request,
    way,
    upload: uploadOf(request.body),
    watch: watchLimits(limits, since, (error) => call.fail(error), setImmediate),
    line: undefined,
    answer: undefined,
    leaveQueue: undefined,
    throughProxy: false,
    heard: false,
    over: false,
    answered: resolve,
    fail(error, atOnce = true) {
      if (!call.over) {
        call.settle()
        call.leaveQueue?.()
        call.line?.drop()
      }
      if (call.answer) call.answer.fail(error, atOnce)
      else reject(error)
    },
    settle() {
      call.over = true
      call.watch.stop()
      signal?.removeEventListener('abort', abort)
      call.upload?.destroy()
    },
  }
  signal?.addEventListener('abort', abort, { once: true })
  send(call, false)
  return promise
}

/** Who does not wait longer for the first byte does not wait longer for a connection either. */
function limitsOf({ limits }: Upstream, way: Way): Limits {
  if (!limits) return way.limits
  const { connectMs: usual = 0 } = way.limits
  const { firstByteMs = 0, connectMs = usual } = limits
  const shorter = firstByteMs > 0 && (connectMs === 0 || firstByteMs < connectMs)
  return { ...limits, connectMs: shorter ? firstByteMs : connectMs }
}

function send(call: Call, fresh: boolean): void {
  const { request, upload, watch, way } = call
  try {
    const target = way.targetOf(request.url)
    const pool = way.pools.find(target.origin, request.connection)
    const options = dispatchOptions(request, target, upload, pool)
    call.throughProxy = pool.pathPrefix !== ''
    call.line = undefined
    call.leaveQueue = pool.acquire(fresh, {
      take(line) {
        call.line = line
        line.opening = watch.connecting
        line.dispatch(options, handlerOf(call))
      },
      refuse: call.fail,
    })
    if (!call.line) watch.connecting()
  } catch (error) {
    call.fail(GatewayError.from(error))
  }
}

function handlerOf(call: Call): Dispatcher.DispatchHandler {
  const { request, upload, watch, way } = call
  return {
    onRequestStart: watch.sent,
    onResponseStarted() {
      call.heard = true
    },
    onResponseStart(controller, status, headers) {
      if (call.over || status < 200) return
      if (status === 407 && call.throughProxy) return call.fail(proxyLoginWanted())
      call.answer = createAnswer(status, headers, {
        pause() {
          controller.pause()
          watch.hold()
        },
        resume() {
          watch.read()
          if (!call.over) controller.resume()
        },
        cancel: () => call.fail(canceled(undefined)),
        maxBytes: way.maxBytes,
      })
      watch.read()
      call.answered(call.answer.reply)
    },
    onResponseData(_controller, chunk) {
      if (call.over) return
      watch.read()
      call.answer?.push(chunk)
    },
    onResponseEnd() {
      if (call.over) return
      call.settle()
      call.line?.release()
      call.answer?.end()
    },
    onResponseError(_controller, error) {
      if (call.over) return
      const { answer, heard, line } = call
      if (line?.reused && !heard && isStale(error) && isReplayable(request.body)) {
        line.drop()
        send(call, true)
      } else call.fail(meaningOf(error, upload, answer !== undefined), false)
    },
  }
}

/**
 * The peer closed a kept-alive connection while the request was on its way to it: it never heard the request, so
 * sending it once more is safe. A fresh line is not `reused`, so this happens once.
 */
function isStale(error: Error): boolean {
  if (!('code' in error)) return false
  return (
    error.code === 'EPIPE' ||
    (error.code === 'UND_ERR_SOCKET' && error.message === 'other side closed')
  )
}

function meaningOf(error: Error, upload: Readable | undefined, answering: boolean): GatewayError {
  if (upload?.errored === error) return uploadError(error)
  const code = 'code' in error ? error.code : undefined
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH')
    return new GatewayError(
      'bad_request',
      `the request to the upstream cannot be written as HTTP: ${error.message}`,
      { cause: error },
    )
  if (error instanceof ProxyError)
    return new GatewayError('provider', `Connection error: ${error.message}`, { cause: error })
  return connectionError(error, answering)
}

const proxyLoginWanted = () =>
  new GatewayError(
    'provider',
    'Connection error: the proxy wants a login; write it into the proxy setting as http://user:password@host:port',
  )

function uploadOf(body: Upstream['body']): Readable | undefined {
  if (isReplayable(body)) return undefined
  const upload = Readable.from(body, { objectMode: false, highWaterMark: 65_536 })
  // undici stops listening when it is done with the request; what the body says after that concerns nobody.
  upload.on('error', () => {})
  return upload
}

function dispatchOptions(
  request: Upstream,
  target: Target,
  upload: Readable | undefined,
  { pathPrefix, proxyLogin }: Pool,
): Dispatcher.DispatchOptions {
  const { method = 'POST', body } = request
  const headers = headersFor(request, target)
  if (proxyLogin) headers.push('proxy-authorization', proxyLogin)
  return {
    method,
    path: pathPrefix + target.path,
    headers,
    body: upload ?? (isReplayable(body) ? (body ?? null) : null),
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
