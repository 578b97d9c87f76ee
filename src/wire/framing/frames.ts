import { GatewayError } from '../../errors.ts'
import type { Frame, ProviderWire } from '../wire.ts'
import { awsFrames } from './aws-events.ts'
import { payloadFrames } from './aws-payload.ts'
import { lineFrames } from './json-lines.ts'
import { sseFrames } from './sse.ts'

/** Bytes of an answer to frames. `data` holds one character per byte: whoever reads text decodes it (`decodeFrame`). */
export interface Framer {
  push(chunk: Uint8Array): Frame[]
  /** Whether this read, one character per byte, begins with an event and ends with one; `pushText` takes it. Absent: frames are no text. */
  isWhole?(text: string): boolean
  pushText?(text: string): Frame[]
  /** The bytes have ended: what was left without its final line end. */
  end(): Frame[]
}

/** A line longer than `maxBytes` is a fault: a provider must not fill our memory. */
export function openFrames(framing: ProviderWire['framing'], maxBytes: number): Framer {
  return framers[framing](maxBytes)
}

const framers: Record<ProviderWire['framing'], (maxBytes: number) => Framer> = {
  sse: sseFrames,
  'json-lines': lineFrames,
  'aws-events': awsFrames,
  'aws-payload': payloadFrames,
}

export const tooLong = (maxBytes: number): GatewayError =>
  new GatewayError('bad_gateway', `the provider sent a line of more than ${maxBytes} bytes`)
