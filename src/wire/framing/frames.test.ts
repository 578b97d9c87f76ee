import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, toUtf8, utf8 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { openFrames } from './frames.ts'

const max = 1 << 20
type Framing = Parameters<typeof openFrames>[0]

/** Frames of a text cut every `size` bytes. */
function framesOf(
  framing: Framing,
  text: string,
  size = Number.POSITIVE_INFINITY,
  limit = max,
): Frame[] {
  const frames = openFrames(framing, limit)
  const bytes = toUtf8(text)
  const out: Frame[] = []
  for (let at = 0; at < bytes.length; at += size)
    out.push(...frames.push(bytes.subarray(at, at + size)))
  return [...out, ...frames.end()].map(({ event, data }) => ({ event, data: utf8(bytesOf(data)) }))
}
const sizes = [1, 2, 3, 7, 64, Number.POSITIVE_INFINITY]

const events: [name: string, text: string, frames: [data: string, event?: string][]][] = [
  ['LF', 'data: a\n\ndata: b\n\n', [['a'], ['b']]],
  ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', [['a'], ['b']]],
  ['CR', 'data: a\r\rdata: b\r\r', [['a'], ['b']]],
  ['a byte order mark', '\ufeffdata: a\n\n', [['a']]],
  ['no space', 'data:a\n\n', [['a']]],
  ['two spaces: one is kept', 'data:  a\n\n', [[' a']]],
  ['comments', ': ping\n\ndata: a\n: x\n\n:\n\n', [['a']]],
  ['several lines', 'data: a\ndata: b\n\n', [['a\nb']]],
  ['a name', 'event: x\ndata: a\n\ndata: b\n\n', [['a', 'x'], ['b']]],
  ['id and retry', 'id: 1\nretry: 5\ndata: a\n\n', [['a']]],
  ['no last blank line', 'data: a\n\ndata: b', [['a'], ['b']]],
  ['no last line end', 'data: a\n\ndata: b\n', [['a'], ['b']]],
  ['many blank lines', '\n\n\ndata: a\n\n\n\n', [['a']]],
  ['nothing', '', []],
  ['letters of several bytes', 'data: Grüße 世界 👋\n\n', [['Grüße 世界 👋']]],
]
for (const [name, text, wanted] of events)
  for (const size of sizes)
    test(`events: ${name}, cut every ${size}`, () => {
      const frames = framesOf('sse', text, size)
      assert.deepEqual(
        frames.map(({ event, data }) => (event === undefined ? [data] : [data, event])),
        wanted,
      )
    })

const lines: [name: string, text: string, frames: string[]][] = [
  ['LF', '{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']],
  ['CRLF', '{"a":1}\r\n{"b":2}\r\n', ['{"a":1}', '{"b":2}']],
  ['no last line end', '{"a":1}\n{"b":2}', ['{"a":1}', '{"b":2}']],
  ['blank lines', '\n\n{"a":1}\n \n', ['{"a":1}']],
  ['letters of several bytes', '{"a":"à世👋"}\n', ['{"a":"à世👋"}']],
  ['nothing', '', []],
]
for (const [name, text, wanted] of lines)
  for (const size of sizes)
    test(`lines: ${name}, cut every ${size}`, () => {
      assert.deepEqual(
        framesOf('json-lines', text, size).map(({ data }) => data),
        wanted,
      )
    })

test('law: cuts change nothing', () => {
  const said = fc.array(
    fc.string({ unit: 'grapheme', maxLength: 10 }).map((text) => JSON.stringify(text)),
    { maxLength: 6 },
  )
  fc.assert(
    fc.property(
      said,
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.integer({ min: 1, max: 20 }),
      (texts, end, size) => {
        const sse = texts.map((text) => `data: ${text}${end}${end}`).join('')
        assert.deepEqual(
          framesOf('sse', sse, size).map(({ data }) => data),
          texts,
        )
        const json = texts.map((text) => `${text}\n`).join('')
        assert.deepEqual(
          framesOf('json-lines', json, size).map(({ data }) => data),
          texts,
        )
      },
    ),
    { numRuns: 150 },
  )
})

for (const framing of ['sse', 'json-lines'] as const) {
  const long = framing === 'sse' ? `data: ${'x'.repeat(500)}` : 'x'.repeat(500)
  test(`${framing}: a line that never ends is a fault, and stays one`, () => {
    const frames = openFrames(framing, 100)
    const feed = () => {
      for (let at = 0; at < long.length; at += 50) frames.push(toUtf8(long.slice(at, at + 50)))
    }
    assert.throws(feed, {
      name: 'GatewayError',
      kind: 'bad_gateway',
      message: /more than 100 bytes/,
    })
    if (framing === 'sse') assert.throws(() => frames.end(), { name: 'GatewayError' })
  })
  test(`${framing}: many short lines are none`, () => {
    const text = framing === 'sse' ? 'data: x\n\n' : '1\n'
    assert.equal(framesOf(framing, text.repeat(1000), 10, 100).length, 1000)
  })
}

test('an event of endless data lines is a fault too', () => {
  const frames = openFrames('sse', 1000)
  assert.throws(
    () => {
      for (let i = 0; i < 1000; i++) frames.push(toUtf8('data: 0123456789\n'))
    },
    { name: 'GatewayError' },
  )
})
