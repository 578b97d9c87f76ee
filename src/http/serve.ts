import { GatewayError } from '../errors.ts'
import {
  type BodyLimits,
  badEncoding,
  bodyTaken,
  clientGone,
  defaultBodyLimits,
  faultAnswer,
  isBodiless,
  isUnexpected,
  progressBytes,
  rootOf,
  targetOf,
  tooLarge,
  tooSlow,
  unknownEncoding,
} from './door.ts'
import type { Handler, Incoming, Outgoing } from './http.ts'

export type FetchOptions = {
  limits?:
    | {
        bodyBytes?: number | undefined
        decompressedBytes?: number | undefined
        bodyIdleMs?: number | undefined
      }
    | undefined
  rootPath?: string | undefined
  bodyLimitOf?: ((path: string) => number | undefined) | undefined
  /** Where the runtime tells the peer's address, e.g. in a header its edge sets. */
  remoteAddressOf?: ((request: Request) => string | undefined) | undefined
  /** For the log: what should not have happened. */
  onError?: ((error: unknown) => void) | undefined
}

/** The door of runtimes that speak fetch: Workers, Deno, Bun. */
export function serveFetch(
  handler: Handler,
  options: FetchOptions = {},
): (request: Request) => Promise<Response> {
  const root = rootOf(options.rootPath)
  const onError = options.onError ?? (() => {})
  return async (request) => {
    const abort = new AbortController()
    const leave = () => abort.abort(clientGone())
    if (request.signal.aborted) leave()
    else request.signal.addEventListener('abort', leave, { once: true })
    const over = () => request.signal.removeEventListener('abort', leave)
    try {
      const answer = await handler(incomingOf(request, root, abort.signal, options))
      return await responseOf(request.method, answer, abort, over, onError)
    } catch (error) {
      over()
      if (isUnexpected(error)) onError(error)
      return responseOf(request.method, faultAnswer(GatewayError.from(error)), abort, over, onError)
    }
  }
}

function incomingOf(
  request: Request,
  root: string,
  signal: AbortSignal,
  options: FetchOptions,
): Incoming {
  const { path, query } = targetOf(request.url, root)
  let whole: Promise<Uint8Array> | undefined
  let streamed = false
  return {
    method: request.method,
    path,
    query,
    header: (name) => request.headers.get(name) ?? undefined,
    headers: () => Object.fromEntries(request.headers),
    headerNames: () => [...request.headers.keys()],
    remoteAddress: options.remoteAddressOf?.(request) ?? '',
    body() {
      if (streamed) return Promise.reject(bodyTaken())
      whole ??= readBody(request, limitsOf(path, options))
      return whole
    },
    async *stream() {
      if (whole) yield await whole
      else if (streamed) throw bodyTaken()
      else {
        streamed = true
        yield* streamBody(request, limitsOf(path, options))
      }
    },
    signal,
  }
}

function limitsOf(path: string, { limits = {}, bodyLimitOf }: FetchOptions): BodyLimits {
  const bytes = bodyLimitOf?.(path) ?? limits.bodyBytes ?? defaultBodyLimits.bytes
  return {
    bytes,
    decompressedBytes: limits.decompressedBytes ?? bytes,
    idleMs: limits.bodyIdleMs ?? defaultBodyLimits.idleMs,
  }
}

async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of streamBody(request, limits)) {
    chunks.push(chunk)
    size += chunk.length
  }
  if (chunks.length === 1 && chunks[0]) return chunks[0]
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

async function* streamBody(request: Request, limits: BodyLimits): AsyncGenerator<Uint8Array> {
  if (request.body === null) return
  if (Number(request.headers.get('content-length') ?? 0) > limits.bytes)
    throw tooLarge(limits.bytes)
  const written = (request.headers.get('content-encoding') ?? '').trim().toLowerCase()
  const sent = arriving(request.body, limits)
  if (written === '' || written === 'identity') return yield* sent
  const encoding = written === 'x-gzip' ? 'gzip' : written
  // What every runtime can decompress.
  if (encoding !== 'gzip' && encoding !== 'deflate')
    throw unknownEncoding(encoding, ['gzip', 'deflate'])
  yield* decoded(sent, new DecompressionStream(encoding), encoding, limits.decompressedBytes)
}

/** The body's bytes as sent, the clock running only while the client is waited for. */
async function* arriving(
  body: ReadableStream<Uint8Array>,
  { bytes, idleMs }: BodyLimits,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  let total = 0
  let fresh = 0
  let left = idleMs
  try {
    for (;;) {
      const since = Date.now()
      const { done, value } = await inTime(reader.read(), left, idleMs)
      if (done) return
      left -= Date.now() - since
      total += value.length
      fresh += value.length
      if (total > bytes) throw tooLarge(bytes)
      if (fresh >= progressBytes) {
        fresh = 0
        left = idleMs
      }
      yield value
    }
  } finally {
    // Of a body that ended or failed there is nothing left to cancel.
    reader.cancel().catch(() => {})
  }
}

async function inTime<T>(read: Promise<T>, left: number, idleMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(idleMs)), Math.max(left, 0))
  })
  try {
    return await Promise.race([read, late])
  } catch (error) {
    throw GatewayError.is(error) ? error : clientGone()
  } finally {
    clearTimeout(timer)
  }
}

async function* decoded(
  source: AsyncGenerator<Uint8Array>,
  decoder: DecompressionStream,
  encoding: string,
  limit: number,
): AsyncGenerator<Uint8Array> {
  const writer = decoder.writable.getWriter()
  const reader = decoder.readable.getReader()
  let failure: unknown
  const feed = async () => {
    try {
      for await (const chunk of source) await writer.write(new Uint8Array(chunk))
      await writer.close()
    } catch (error) {
      failure = error
      await writer.abort(error).catch(() => {})
    }
  }
  void feed()
  let total = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      total += value.length
      if (total > limit) throw tooLarge(limit)
      yield value
    }
  } catch (error) {
    const known = [error, failure].find(GatewayError.is)
    throw known ?? badEncoding(encoding, error)
  } finally {
    // Not waited for: the source may be waiting for its client.
    void reader.cancel().catch(() => {})
    void source.return(undefined).catch(() => {})
  }
}

async function responseOf(
  method: string,
  { status, headers, body, encoding }: Outgoing,
  abort: AbortController,
  over: () => void,
  onError: (error: unknown) => void,
): Promise<Response> {
  const bodiless = isBodiless(method, status)
  if (typeof body === 'string' || body instanceof Uint8Array) {
    over()
    return new Response(bodiless ? null : new Uint8Array(bytesOf(body, encoding)), {
      status,
      headers,
    })
  }
  const iterator = body[Symbol.asyncIterator]()
  let ended: Promise<unknown> | undefined
  const end = async () => {
    over()
    abort.signal.removeEventListener('abort', end)
    ended ??= Promise.resolve(iterator.return?.()).catch(onError)
    await ended
  }
  // At once, also while a chunk is awaited.
  abort.signal.addEventListener('abort', end)
  try {
    // A generator that never began has no `finally` to settle anything; and a first failure can still be answered.
    const first = await iterator.next()
    if (!bodiless && !abort.signal.aborted)
      return new Response(streamOf(first, iterator, abort, end), { status, headers })
    await end()
    return new Response(null, { status: abort.signal.aborted && !bodiless ? 499 : status, headers })
  } catch (error) {
    await end()
    throw error
  }
}

/** One chunk is made for each that is asked for: a slow reader slows the maker. */
function streamOf(
  first: IteratorResult<Uint8Array | string>,
  iterator: AsyncIterator<Uint8Array | string>,
  abort: AbortController,
  end: () => Promise<void>,
): ReadableStream<Uint8Array> {
  let step: IteratorResult<Uint8Array | string> | undefined = first
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          for (;;) {
            const { done, value } = step ?? (await iterator.next())
            step = undefined
            if (abort.signal.aborted) break
            if (!done && value.length === 0) continue
            if (!done) return controller.enqueue(bytesOf(value))
            controller.close()
            return await end()
          }
          throw abort.signal.reason
        } catch (error) {
          // The client sees a cut, never a clean end.
          controller.error(error)
          await end()
        }
      },
      async cancel() {
        abort.abort(clientGone())
        await end()
      },
    },
    { highWaterMark: 0 },
  )
}

function bytesOf(chunk: Uint8Array | string, encoding?: Outgoing['encoding']): Uint8Array {
  if (typeof chunk !== 'string') return chunk
  return encoding === 'latin1'
    ? Uint8Array.from(chunk, (character) => character.charCodeAt(0))
    : encoder.encode(chunk)
}

const encoder = new TextEncoder()
