import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { bytesOf, toUtf8, utf8 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { openFrames } from './frames.ts'

const codec = new EventStreamCodec(
  (bytes) => utf8(typeof bytes === 'string' ? toUtf8(bytes) : bytes),
  toUtf8,
)
const message = (headers: Record<string, string>, body: Uint8Array): Uint8Array =>
  codec.encode({
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, { type: 'string', value }]),
    ),
    body,
  })

/** A container's text, in payload parts cut every `size` bytes. */
export const payloads = (text: string, size: number): Uint8Array => {
  const bytes = toUtf8(text)
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size)
    parts.push(
      message(
        { ':message-type': 'event', ':event-type': 'PayloadPart' },
        bytes.subarray(at, at + size),
      ),
    )
  return new Uint8Array(parts.flatMap((part) => [...part]))
}

const read = (...chunks: Uint8Array[]): Frame[] => {
  const framer = openFrames('aws-payload', 10_000)
  return [...chunks.flatMap((chunk) => framer.push(chunk)), ...framer.end()].map(
    ({ event, data }) => ({ event, data: utf8(bytesOf(data)) }),
  )
}

const written: [name: string, text: string][] = [
  ['server-sent events', 'data: {"a":"Zürich"}\n\ndata: {"a":"🌍"}\n\n'],
  ['lines of JSON', '{"a":"Zürich"}\n{"a":"🌍"}\n'],
]
for (const [name, text] of written)
  test(`${name}, cut anywhere, letters too`, () => {
    const expected = ['{"a":"Zürich"}', '{"a":"🌍"}']
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), (size) => {
        assert.deepEqual(
          read(payloads(text, size)).map(({ data }) => data),
          expected,
        )
      }),
    )
  })

test('an exception keeps its name', () => {
  const exception = message(
    { ':message-type': 'exception', ':exception-type': 'ModelStreamError' },
    toUtf8('{"Message":"gone"}'),
  )
  assert.deepEqual(read(payloads('data: 1\n\n', 3), exception).at(-1), {
    event: 'exception:ModelStreamError',
    data: '{"Message":"gone"}',
  })
})
