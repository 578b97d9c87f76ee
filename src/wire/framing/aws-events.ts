import { EventStreamCodec } from '@smithy/eventstream-codec'
import { GatewayError } from '../../errors.ts'
import { latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { type Framer, tooLong } from './frames.ts'

/**
 * AWS's binary event stream (`application/vnd.amazon.eventstream`): messages of a length, headers, a payload and two
 * checksums. An event is named by its `:event-type`; an exception by `exception:` and its name.
 */
export function awsFrames(maxBytes: number): Framer {
  let held: Uint8Array[] = []
  let size = 0
  /** Of the message under way; until its length is known, the length of the length. */
  let wanted = lengthBytes

  function take(): Uint8Array {
    const bytes = held.length === 1 && held[0] ? held[0] : joined(held, size)
    held = []
    size = 0
    return bytes
  }

  return {
    push(chunk) {
      const frames: Frame[] = []
      for (let at = 0; at < chunk.length; ) {
        const piece = chunk.subarray(at, at + wanted - size)
        at += piece.length
        held.push(piece)
        size += piece.length
        if (size < wanted) {
          // The reader may use its memory again.
          held[held.length - 1] = new Uint8Array(piece)
        } else if (wanted === lengthBytes) {
          const head = take()
          wanted = lengthOf(head, maxBytes)
          held.push(new Uint8Array(head))
          size = lengthBytes
        } else {
          wanted = lengthBytes
          const frame = decode(take())
          if (frame) frames.push(frame)
        }
      }
      return frames
    },
    // A message that was cut has no meaning; the stream's own machine knows whether it was the last one.
    end: () => [],
  }
}

const lengthBytes = 4
/** Two lengths and two checksums. */
const leastBytes = 16

function lengthOf(head: Uint8Array, maxBytes: number): number {
  const length = new DataView(head.buffer, head.byteOffset, lengthBytes).getUint32(0)
  if (length < leastBytes) throw damaged(`a message of ${length} bytes`)
  if (length > maxBytes) throw tooLong(maxBytes)
  return length
}

const codec = new EventStreamCodec(
  (bytes) => utf8(typeof bytes === 'string' ? toUtf8(bytes) : bytes),
  toUtf8,
)

/** Checks both checksums. */
function decode(message: Uint8Array): Frame | undefined {
  let read: ReturnType<typeof codec.decode>
  try {
    read = codec.decode(message)
  } catch (cause) {
    throw damaged(cause)
  }
  const said = (name: string): string | undefined => {
    const header = Object.hasOwn(read.headers, name) ? read.headers[name] : undefined
    return header?.type === 'string' ? header.value : undefined
  }
  const data = latin1(read.body)
  switch (said(':message-type')) {
    case 'exception':
      return { event: `exception:${said(':exception-type') ?? ''}`, data }
    case 'error': {
      // An error nobody modelled: it is told in the headers and has no payload.
      const message = said(':error-message')
      return {
        event: `exception:${said(':error-code') ?? ''}`,
        data: latin1(toUtf8(JSON.stringify({ message }))),
      }
    }
    default:
      return { event: said(':event-type'), data }
  }
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

const damaged = (cause: unknown): GatewayError =>
  new GatewayError('bad_gateway', 'the provider sent a damaged event stream', { cause })
