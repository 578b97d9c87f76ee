import { GatewayError } from '../errors.ts'
import { canceled, connectionError, uploadError } from './connection-error.ts'
import { watchLimits } from './limits.ts'
import { followRedirects, isReplayable } from './redirect.ts'
import { headersFor, targetOf } from './target.ts'
import { join, type Reply, type Transport, type Upstream } from './transport.ts'

export type FetchOptions = {
  /** What `bytes()` takes when it is not told. */
  maxBytes?: number
}

/**
 * The way out where there is only `fetch`. TLS and proxy settings are the runtime's (`connection` is not looked at),
 * and so is connecting, which `fetch` does not show: `firstByteMs` counts from the start and covers `connectMs`.
 */
export function fetchTransport(
  send: typeof fetch = globalThis.fetch,
  { maxBytes = 268_435_456 }: FetchOptions = {},
): Transport {
  return followRedirects((request, since) => exchange(request, since, send, maxBytes))
}

async function exchange(
  request: Upstream,
  since: number,
  send: typeof fetch,
  maxBytes: number,
): Promise<Reply> {
  const { signal } = request
  if (signal?.aborted) throw canceled(signal)
  const target = targetOf(request.url)
  const controller = new AbortController()
  const cut = Promise.withResolvers<never>()
  cut.promise.catch(() => undefined)
  let failure: GatewayError | undefined

  const settle = () => {
    watch.stop()
    signal?.removeEventListener('abort', abort)
  }
  const fail = (error: GatewayError): GatewayError => {
    if (failure) return failure
    failure = error
    settle()
    controller.abort(error)
    cut.reject(error)
    return error
  }
  const abort = () => void fail(canceled(signal))
  const watch = watchLimits(request.limits ?? {}, since, { refuse: fail })
  signal?.addEventListener('abort', abort, { once: true })
  watch.sent()
  try {
    const init = initOf(request, headersFor(request, target), controller.signal, (cause) =>
      fail(uploadError(cause)),
    )
    // The race is for a `fetch` that does not look at its signal.
    const response = await Promise.race([send(target.origin + target.path, init), cut.promise])
    watch.hold()
    if (response.type === 'opaqueredirect')
      throw new GatewayError(
        'bad_gateway',
        'the provider redirected, and this runtime does not say where to; set its new base URL',
      )
    return replyOf(response, {
      watch,
      fail,
      settle,
      failure: () => failure,
      cut: cut.promise,
      maxBytes,
    })
  } catch (cause) {
    throw fail(GatewayError.is(cause) ? cause : connectionError(cause, false))
  }
}

type Call = {
  watch: { read(): void; hold(): void }
  fail(error: GatewayError): GatewayError
  settle(): void
  failure(): GatewayError | undefined
  cut: Promise<never>
  maxBytes: number
}

function replyOf(response: Response, call: Call): Reply {
  const { headers, status } = response
  const coded = codings.has(headers.get('content-encoding')?.trim().toLowerCase() ?? '')
  const isHidden = (name: string) =>
    name === 'set-cookie' || (coded && (name === 'content-encoding' || name === 'content-length'))
  let read = false
  const open = () => {
    if (read) throw new GatewayError('internal', 'an answer can be read only once')
    read = true
    return readerOf(response, call)
  }
  if (!response.body) call.settle()
  return {
    status,
    header: (name) => (isHidden(name) ? undefined : (headers.get(name) ?? undefined)),
    headers: () => Object.fromEntries([...headers].filter(([name]) => !isHidden(name))),
    body: { [Symbol.asyncIterator]: open },
    async bytes(max = call.maxBytes) {
      const reader = open()
      const chunks: Uint8Array[] = []
      let size = 0
      for (let step = await reader.next(); !step.done; step = await reader.next()) {
        size += step.value.length
        if (size > max)
          throw call.fail(
            new GatewayError('bad_gateway', `the upstream's answer is larger than ${max} bytes`),
          )
        chunks.push(step.value)
      }
      return join(chunks)
    },
  }
}

function readerOf(response: Response, call: Call) {
  const reader = response.body?.getReader()
  // A pending read ends with this, whatever the runtime makes of the signal.
  call.cut.catch((error) => reader?.cancel(error).catch(() => undefined))
  let done = !reader
  return {
    async next(): Promise<IteratorResult<Uint8Array, undefined>> {
      if (!reader || done) return { done: true, value: undefined }
      call.watch.read()
      const step = await reader.read().catch((cause) => {
        throw call.fail(connectionError(cause, true))
      })
      const failure = call.failure()
      if (failure) throw failure
      call.watch.hold()
      if (!step.done) return { done: false, value: step.value }
      done = true
      call.settle()
      return { done: true, value: undefined }
    },
    return(): Promise<IteratorResult<Uint8Array, undefined>> {
      if (!done) call.fail(canceled(undefined))
      done = true
      return Promise.resolve({ done: true, value: undefined })
    },
  }
}

function initOf(
  { method = 'POST', body }: Upstream,
  list: readonly string[],
  signal: AbortSignal,
  failed: (cause: unknown) => void,
): RequestInit & { duplex?: 'half' } {
  const headers = new Headers()
  for (let at = 0; at + 1 < list.length; at += 2) headers.append(list[at] ?? '', list[at + 1] ?? '')
  const init: RequestInit = { method, headers, signal, redirect: 'manual' }
  if (body === undefined) return init
  if (!isReplayable(body)) return { ...init, body: streamOf(body, failed), duplex: 'half' }
  // The web's types leave out memory shared between threads; nobody here has any.
  return { ...init, body: typeof body === 'string' ? body : (body as Uint8Array<ArrayBuffer>) }
}

function streamOf(
  body: AsyncIterable<Uint8Array>,
  failed: (cause: unknown) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const source = body[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      try {
        const step = await source.next()
        if (step.done) controller.close()
        // As above: no shared memory.
        else controller.enqueue(step.value as Uint8Array<ArrayBuffer>)
      } catch (cause) {
        failed(cause)
        controller.error(cause)
      }
    },
    async cancel() {
      await source.return?.()
    },
  })
}

/** What `fetch` undoes by itself; it leaves the header as it was. */
const codings: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd'])
