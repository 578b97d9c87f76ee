import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { GatewayError } from '../../errors.ts'
import { anyText } from '../../json/any-text.test.ts'
import { bytesOf, toUtf8, utf8 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { openFrames } from './frames.ts'

const codec = new EventStreamCodec(
  (bytes) => utf8(typeof bytes === 'string' ? toUtf8(bytes) : bytes),
  toUtf8,
)

function message(headers: Record<string, string>, payload: string): Uint8Array {
  const typed = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }]),
  )
  return codec.encode({ headers: typed, body: toUtf8(payload) })
}
const event = (type: string, payload: string): Uint8Array =>
  message(
    { ':message-type': 'event', ':event-type': type, ':content-type': 'application/json' },
    payload,
  )

const join = (parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(parts.flatMap((part) => [...part]))

function read(chunks: readonly Uint8Array[], maxBytes = 1_000_000): Frame[] {
  const framer = openFrames('aws-events', maxBytes)
  const frames = chunks.flatMap((chunk) => framer.push(chunk))
  return [...frames, ...framer.end()].map(({ event, data }) => ({
    event,
    data: utf8(bytesOf(data)),
  }))
}

/** Cut anywhere, as often as there are places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  )
  return at.slice(1).map((to, index) => bytes.slice(at[index], to))
}

/** Made by AWS's own encoder for the tests of its SDKs: an empty message, and one with a header and a payload. */
const published: [name: string, hex: string, frames: Frame[]][] = [
  ['nothing in it', '000000100000000005c248eb7d98c8ff', [{ event: undefined, data: '' }]],
  [
    'a payload without headers',
    '0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936',
    [{ event: undefined, data: "{'foo':'bar'}" }],
  ],
]

describe('AWS event streams', () => {
  for (const [name, hex, frames] of published)
    it(`published: ${name}`, () =>
      assert.deepEqual(read([Uint8Array.from(Buffer.from(hex, 'hex'))]), frames))

  it('events, exceptions and errors are named', () => {
    const bytes = join([
      event('messageStart', '{"role":"assistant"}'),
      message(
        { ':message-type': 'exception', ':exception-type': 'throttlingException' },
        '{"message":"slow é"}',
      ),
      message(
        { ':message-type': 'error', ':error-code': 'Internal', ':error-message': 'oh ✓' },
        '',
      ),
    ])
    assert.deepEqual(read([bytes]), [
      { event: 'messageStart', data: '{"role":"assistant"}' },
      { event: 'exception:throttlingException', data: '{"message":"slow é"}' },
      { event: 'exception:Internal', data: '{"message":"oh ✓"}' },
    ])
  })

  it('a stream means the same however it is cut', () => {
    const payloads = fc.array(fc.tuple(fc.string({ maxLength: 20 }), anyText(60)))
    fc.assert(
      fc.property(payloads, fc.array(fc.nat(), { maxLength: 30 }), (events, places) => {
        const bytes = join(events.map(([type, data]) => event(type, data)))
        const whole = read([bytes])
        assert.equal(whole.length, events.length)
        assert.deepEqual(read(cut(bytes, places)), whole)
        assert.deepEqual(read([...bytes].map((byte) => Uint8Array.of(byte))), whole)
      }),
      { numRuns: 12 },
    )
  })

  it('a reader may use its memory again', () => {
    const bytes = event('a', '{"text":"kept"}')
    const framer = openFrames('aws-events', 1000)
    // A Buffer's `slice` is no copy.
    for (const like of [(some: Uint8Array) => some, (some: Uint8Array) => Buffer.from(some)])
      for (const cut of [2, 4, 40]) {
        const shared = like(bytes.slice(0, cut))
        assert.deepEqual(framer.push(shared), [])
        shared.fill(0)
        assert.equal(framer.push(bytes.slice(cut))[0]?.data, '{"text":"kept"}')
      }
  })

  it('a changed byte is noticed', () => {
    const bytes = event('contentBlockDelta', '{"delta":{"text":"Hello"}}')
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = bytes.slice()
        changed[at] = (changed[at] ?? 0) ^ by
        // A longer length only means that the message is not over.
        assert.ok(isRefused([changed]) || (at < 4 && read([changed], 2 ** 32).length === 0))
      }),
    )
  })

  it('whatever arrives, nothing but a GatewayError is thrown', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 })), (chunks) => {
        try {
          read(chunks)
        } catch (error) {
          assert.ok(GatewayError.is(error))
        }
      }),
    )
  })

  it('a length beyond the limit is refused before anything is kept', () => {
    assert.ok(isRefused([Uint8Array.of(0x7f, 0, 0, 0)]))
    assert.ok(isRefused([Uint8Array.of(0, 0, 0, 15)]))
  })
})

function isRefused(chunks: readonly Uint8Array[]): boolean {
  try {
    read(chunks)
    return false
  } catch (error) {
    return GatewayError.is(error) && error.kind === 'bad_gateway'
  }
}
