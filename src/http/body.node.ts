import type { IncomingMessage } from 'node:http'
import { pipeline, Readable, type Transform } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib'
import { GatewayError } from '../errors.ts'
import {
  type BodyLimits,
  badEncoding,
  clientGone,
  progressBytes,
  tooLarge,
  tooSlow,
  unknownEncoding,
} from './door.ts'

/**
 * The whole body of a request, decompressed, within the limits. `ready` is called once nothing in the head speaks
 * against the body: the moment to tell a client that asked whether to send it.
 */
export async function readBody(
  req: IncomingMessage,
  limits: BodyLimits,
  ready: () => void,
): Promise<Uint8Array> {
  if (hasNoBody(req)) return empty
  const pieces = openBody(req, limits)
  ready()
  if (pieces.plain) {
    // A small body comes in the packet of its head: one turn later it is there, and nobody need listen for it.
    await undefined
    if (req.readableLength === Number(req.headers['content-length'])) return takeBuffered(req)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of pieces.chunks()) {
    chunks.push(chunk)
    size += chunk.length
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)
}

/** The body as it comes. Leaving the loop early leaves the rest unread; it does not hurt the answer. */
export async function* streamBody(
  req: IncomingMessage,
  limits: BodyLimits,
  ready: () => void,
): AsyncGenerator<Uint8Array> {
  if (hasNoBody(req)) return
  const pieces = openBody(req, limits)
  ready()
  yield* pieces.chunks()
}

/** Refuses at once what can be refused by the head alone. */
function openBody(
  req: IncomingMessage,
  limits: BodyLimits,
): { plain: boolean; chunks: () => AsyncIterable<Uint8Array> } {
  if (Number(req.headers['content-length'] ?? 0) > limits.bytes) throw tooLarge(limits.bytes)
  const encoding = (req.headers['content-encoding'] ?? '').trim().toLowerCase()
  if (encoding === '' || encoding === 'identity')
    return { plain: true, chunks: () => arriving(req, limits) }
  const createDecoder = decoders.get(encoding)
  if (createDecoder === undefined)
    throw unknownEncoding(encoding, ['gzip', 'deflate', 'br', 'zstd'])
  return {
    plain: false,
    chunks: () => decoded(arriving(req, limits), createDecoder(), encoding, limits),
  }
}

function takeBuffered(req: IncomingMessage): Uint8Array {
  const bytes: unknown = req.read()
  return bytes instanceof Uint8Array ? bytes : empty
}

/** The body's bytes as sent. The clock runs only while the client is waited for. */
async function* arriving(req: IncomingMessage, limits: BodyLimits): AsyncGenerator<Uint8Array> {
  let total = 0
  let fresh = 0
  let left = limits.idleMs
  for (;;) {
    const chunk: unknown = req.read()
    if (chunk instanceof Uint8Array) {
      total += chunk.length
      fresh += chunk.length
      if (total > limits.bytes) throw tooLarge(limits.bytes)
      if (fresh >= progressBytes) {
        fresh = 0
        left = limits.idleMs
      }
      yield chunk
    } else if (req.readableEnded || (req.complete && req.readableLength === 0)) return
    else if (req.destroyed) throw clientGone()
    else {
      const since = performance.now()
      if (left <= 0 || !(await moreComes(req, left))) throw tooSlow(limits.idleMs)
      left -= performance.now() - since
    }
  }
}

/** False when nothing came in time. */
function moreComes(req: IncomingMessage, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms, false)
    const came = () => done(true)
    function done(inTime: boolean) {
      clearTimeout(timer)
      for (const event of ['readable', 'end', 'close'] as const) req.off(event, came)
      resolve(inTime)
    }
    for (const event of ['readable', 'end', 'close'] as const) req.on(event, came)
  })
}

/**
 * zlib's streams work on other threads and hand over 64 KB at a time, so a bomb costs the loop nothing and is
 * dropped as soon as it is over the limit.
 */
async function* decoded(
  source: AsyncIterable<Uint8Array>,
  decoder: Transform,
  encoding: string,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array> {
  let total = 0
  pipeline(Readable.from(source, { objectMode: false }), decoder, () => {
    // The loop below hears of every failure.
  })
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
      total += chunk.length
      if (total > limits.decompressedBytes) throw tooLarge(limits.decompressedBytes)
      yield chunk
    }
  } catch (error) {
    throw GatewayError.is(error) ? error : badEncoding(encoding, error)
  } finally {
    decoder.destroy()
  }
}

export const hasNoBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'

const chunkSize = 64 * 1024

/** A window larger than 8 MB is refused (RFC 9659): it would be memory a few bytes can ask for. */
const zstd = { chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 23 } }

const decoders = new Map<string, () => Transform>([
  ['gzip', () => createGunzip({ chunkSize })],
  ['deflate', () => createInflate({ chunkSize })],
  ['br', () => createBrotliDecompress({ chunkSize })],
  ['zstd', () => createZstdDecompress(zstd)],
  ['x-gzip', () => createGunzip({ chunkSize })],
])

const empty = new Uint8Array(0)
