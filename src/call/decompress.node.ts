import type { Transform } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'

/** Bytes as they came in, bytes as they were meant out. Never holds more than a few chunks: a bomb waits inside. */
export type Decoder = {
  push(chunk: Uint8Array): void
  end(): void
  pause(): void
  resume(): void
  destroy(): void
}

export type DecoderOptions = {
  push(chunk: Uint8Array): void
  end(): void
  fail(cause: Error): void
  /** Toward the network. */
  pause(): void
  resume(): void
}

/** The codings of a `content-encoding` in the order they are undone; undefined: none, or one that is not known. */
export function codingsOf(header: string | undefined): Coding[] | undefined {
  if (header === undefined || header.length > 64) return undefined
  const names = header.toLowerCase().split(',')
  const codings: Coding[] = []
  for (const name of names.map((part) => part.trim())) {
    if (name === 'identity' || name === '') continue
    const coding = codingNames[name]
    // Some servers put a charset here: what is no coding is no reason to refuse an answer.
    if (!coding) return undefined
    codings.unshift(coding)
  }
  return codings.length > 0 ? codings : undefined
}

export function createDecoder(codings: readonly Coding[], to: DecoderOptions): Decoder {
  let stages: Transform[] = []
  let destroyed = false
  let full = false

  const open = (first: Uint8Array) => {
    stages = codings.map((coding) => openers[coding](first))
    for (const [at, stage] of stages.entries()) {
      stage.on('error', (cause) => {
        if (!destroyed) to.fail(cause)
      })
      const next = stages[at + 1]
      if (next) stage.pipe(next)
    }
    stages[0]?.on('drain', () => {
      full = false
      to.resume()
    })
    stages.at(-1)?.on('data', to.push).on('end', to.end)
  }
  return {
    push(chunk) {
      if (destroyed || chunk.length === 0) return
      if (stages.length === 0) open(chunk)
      if (stages[0]?.write(chunk) !== false || full) return
      full = true
      to.pause()
    },
    end() {
      // An answer without a body may name a coding all the same.
      if (stages.length === 0) to.end()
      else stages[0]?.end()
    },
    pause: () => void stages.at(-1)?.pause(),
    resume: () => void stages.at(-1)?.resume(),
    destroy() {
      destroyed = true
      for (const stage of stages) stage.destroy()
    },
  }
}

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

const codingNames: Readonly<Record<string, Coding>> = Object.assign(Object.create(null), {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
})

/** Give what there is with every flush, and forgive a missing trailer, as browsers do: HTTP says where a body ends. */
const zlib = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
const brotli = {
  flush: constants.BROTLI_OPERATION_FLUSH,
  finishFlush: constants.BROTLI_OPERATION_FLUSH,
}

const openers: Record<Coding, (first: Uint8Array) => Transform> = {
  gzip: () => createGunzip(zlib),
  /** Should begin with zlib's header (RFC 9110 §8.4.1.2), and often does not. */
  deflate: (first) =>
    ((first[0] ?? 0) & 0x0f) === 8 ? createInflate(zlib) : createInflateRaw(zlib),
  br: () => createBrotliDecompress(brotli),
  zstd: () => createZstdDecompress(),
}
