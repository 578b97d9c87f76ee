import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { join } from '../call/transport.ts'
import { noUsage } from '../chat/chat.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { context, specs, target, write } from './openai-chat/chunks.test.ts'
import { type Crossing, relayResult, relayStream } from './relay.ts'
import type { ClientContext } from './wire.ts'
import { wires } from './wires.ts'

const openai = wires['openai-chat']
const crossing = (passes: boolean, more: Partial<ClientContext> = {}): Crossing => ({
  from: openai,
  to: openai,
  native: passes ? openai.native : undefined,
  target,
  notes: { model: 'm' },
  context: { ...context, ...more },
  secrets: [],
})

/** What a client reads of these bytes, and how it ended. */
function carried(bytes: Uint8Array, way: Crossing, size = Number.POSITIVE_INFINITY) {
  const relay = relayStream(way, 1 << 20)
  const out: Uint8Array[] = []
  const keep = (some: Uint8Array | undefined) => some && out.push(some)
  for (let at = 0; at < bytes.length && !relay.fault; at += size)
    keep(relay.push(bytes.subarray(at, at + size)))
  if (!relay.fault) keep(relay.flush())
  if (!relay.fault) keep(relay.end({ ...noUsage, input: 1, output: 1 }))
  return { text: utf8(join(out)), relay }
}
const bytesOfStream = (frames: string[], done = true) =>
  toUtf8(
    [...frames.map((frame) => frame.replaceAll('\n', '\ndata: ')), ...(done ? ['[DONE]'] : [])]
      .map((data) => `data: ${data}\n\n`)
      .join(''),
  )

for (const passes of [true, false]) {
  const how = passes ? 'passed' : 'told again'
  test(`law, ${how}: cuts change nothing, and [DONE] comes once and last`, () => {
    fc.assert(
      fc.property(specs, fc.constantFrom(1, 2, 3, 7, 64), (spec, size) => {
        const bytes = bytesOfStream(write(spec), spec.done)
        const way = crossing(passes, { choices: spec.choices })
        const whole = carried(bytes, way)
        const cut = carried(bytes, way, size)
        assert.equal(cut.text, whole.text)
        assert.equal(whole.text.split('data: [DONE]\n\n').length, 2)
        assert.ok(whole.text.endsWith('data: [DONE]\n\n'))
        assert.deepEqual(cut.relay.usage(), whole.relay.usage())
        assert.equal(cut.relay.text(), whole.relay.text())
      }),
      { numRuns: 60 },
    )
  })

  test(`${how}: a stream cut at any byte before its ending is a fault and never [DONE]`, () => {
    const frames = write({
      choices: 1,
      said: [
        { choice: 0, delta: { content: 'Grüße "x"' } },
        { choice: 0, delta: { reasoning: 'h' } },
      ],
      role: 'first',
      usage: 'last',
      order: 'openai',
      id: 'i',
      seed: 1,
      spaces: false,
      done: true,
    })
    const ending = frames.findIndex((frame) => frame.includes('"finish_reason":"'))
    const until = bytesOfStream(frames.slice(0, ending + 1), false).length - 2
    const bytes = bytesOfStream(frames)
    for (let at = 0; at < until; at++) {
      const { text, relay } = carried(bytes.subarray(0, at), crossing(passes))
      assert.equal(relay.fault?.kind, 'bad_gateway', `cut at ${at}`)
      assert.ok(!text.includes('[DONE]'))
    }
    assert.equal(carried(bytes.subarray(0, until), crossing(passes)).relay.fault, undefined)
  })

  test(`${how}: content, fault and usage as they become known`, () => {
    const relay = relayStream(crossing(passes, { streamUsage: true }), 1 << 20)
    const push = (said: object) =>
      utf8(
        relay.push(toUtf8(`data: ${JSON.stringify({ id: 'i', choices: [], ...said })}\n\n`)) ??
          new Uint8Array(),
      )
    push({})
    assert.equal(relay.content, false)
    push({ choices: [{ index: 0, delta: { content: 'a' } }] })
    assert.equal(relay.content, true)
    push({ usage: { prompt_tokens: 3, completion_tokens: 1 } })
    assert.equal(relay.usage()?.input, 3)
    assert.equal(push({ error: { message: 'boom', code: 503 } }), '')
    assert.deepEqual([relay.fault?.kind, relay.fault?.message], ['unavailable', 'boom'])
    assert.equal(push({ choices: [{ index: 0, delta: { content: 'late' } }] }), '')
    assert.equal(relay.text(), 'a')
  })

  test(`${how}: what came before an error in the same read is still said`, () => {
    const { text, relay } = carried(
      bytesOfStream([
        '{"choices":[{"index":0,"delta":{"content":"a"}}]}',
        '{"error":{"message":"x"}}',
        '{"choices":[{"index":0,"delta":{"content":"b"}}]}',
      ]),
      crossing(passes),
    )
    assert.match(text, /"content":"a"/)
    assert.doesNotMatch(text, /"content":"b"|DONE/)
    assert.equal(relay.fault?.message, 'x')
  })

  test(`${how}: usage that nobody told is what was counted`, () => {
    const { text } = carried(
      bytesOfStream([
        '{"id":"i","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}',
      ]),
      crossing(passes, { streamUsage: true }),
    )
    assert.match(text, /"total_tokens":2/)
    assert.equal(text.match(/"usage":\{/g)?.length, 1)
  })

  test(`${how}: flushing twice says nothing twice`, () => {
    const relay = relayStream(crossing(passes), 1 << 20)
    relay.push(
      toUtf8('data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}'),
    )
    assert.match(utf8(relay.flush() ?? new Uint8Array()), /"content":"a"/)
    assert.equal(relay.flush(), undefined)
    assert.match(utf8(relay.end(undefined)), /DONE/)
  })

  const answer =
    '{"id":"i","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
  test(`${how}: a whole answer without usage says what was counted`, () => {
    const result = relayResult(toUtf8(answer), crossing(passes))
    assert.deepEqual([result.usage, result.text()], [undefined, 'hi'])
    assert.match(result.encode({ ...noUsage, input: 2, output: 3 }).body, /"total_tokens":5/)
  })

  for (const bad of ['', 'x', '[]', 'null', '{}', '{"error":{"message":"no"}}', '{"choices":1}'])
    test(`${how}: ${JSON.stringify(bad)} is no answer`, () => {
      assert.throws(() => relayResult(toUtf8(bad), crossing(passes)), {
        name: 'GatewayError',
        status: bad.includes('error') ? 500 : 502,
      })
    })
}

test('secrets in what passes are hidden', () => {
  const way = { ...crossing(true), secrets: ['sk-canary-1'] }
  const stream = carried(
    bytesOfStream([
      '{"choices":[{"index":0,"delta":{"content":"your key sk-canary-1"},"finish_reason":"stop"}]}',
    ]),
    way,
  )
  assert.doesNotMatch(stream.text, /canary/)
  const { body } = relayResult(
    toUtf8('{"choices":[{"message":{"content":"sk-canary-1"}}]}'),
    way,
  ).encode(undefined)
  assert.doesNotMatch(body, /canary/)
})
