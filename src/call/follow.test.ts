import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { utf8 } from '../json/latin1.ts'
import { type Answer, call } from './call.ts'
import { mockTransport } from './mock.ts'
import { ask, deployment, hear, type Provider, provider, type Told } from './upstream.test.ts'

/** Replicate's predictions: the wire that answers with tickets. */
const base = 'https://api.replicate.com/v1'
const to = deployment({ model: 'replicate/meta/llama', api_key: 'r8_secret-secret-1' })
const ticket = (urls: JsonObject, status = 'processing'): Told => ({
  status: 201,
  body: JSON.stringify({ id: 'p', status, urls }),
})
const got: Told = { body: JSON.stringify({ id: 'p', status: 'succeeded', output: ['Hel', 'lo'] }) }
const events: Told = {
  body: [
    'event: output\ndata: Hel\n\n',
    'event: output\ndata: lo\n\n',
    'event: done\ndata: {}\n\n',
  ],
}

const reach = (
  from: Provider,
  stream: boolean,
  { signal = new AbortController().signal, totalMs = 0 } = {},
): Promise<Answer> =>
  call(
    hear({ stream }),
    to,
    ask(),
    { transport: from.transport, mock: mockTransport, maxLineBytes: 1000, maxAnswerBytes: 1 << 20 },
    { signal, limits: { totalMs } },
  )

// At the same time: each waits half a second or two before it asks again.
describe('an answer that is asked for again', { concurrency: true }, () => {
  test('a prediction that is done at once is the answer', async () => {
    const from = provider(got)
    const answer = await reach(from, false)
    assert.ok(answer.type === 'whole')
    assert.match(answer.result.encode(undefined).body, /Hello/)
    assert.equal(from.asked.length, 1)
  })

  test('one that is not is asked for again, with the key and without the body', async () => {
    const get = `${base}/predictions/p`
    const from = provider(ticket({ get }), ticket({ get }), got)
    const answer = await reach(from, false)
    assert.ok(answer.type === 'whole')
    assert.match(answer.result.encode(undefined).body, /Hello/)
    assert.deepEqual(
      from.asked.map(({ method = 'POST', url }) => `${method} ${url}`),
      [`POST ${base}/models/meta/llama/predictions`, `GET ${get}`, `GET ${get}`],
    )
    const { headers, body } = from.asked[1] ?? { headers: {}, body: 'none' }
    assert.deepEqual(headers, {
      authorization: 'Bearer r8_secret-secret-1',
      accept: 'application/json',
    })
    assert.equal(body, undefined)
  })

  test('a stream is told where the ticket leads', async () => {
    const from = provider(ticket({ stream: 'https://stream-b.svc.replicate.net/v1/p' }), events)
    const answer = await reach(from, true)
    assert.ok(answer.type === 'stream')
    let said = answer.head.map(utf8).join('')
    for (let next = await answer.rest.next(); next; next = await answer.rest.next())
      said += utf8(answer.relay.push(next) ?? new Uint8Array())
    assert.match(said, /"Hel".*"lo"/s)
    assert.equal(from.asked[1]?.headers['accept'], 'text/event-stream')
  })

  test('a model without events is asked for and told as a stream', async () => {
    const from = provider(ticket({ get: `${base}/predictions/p` }), got)
    const answer = await reach(from, true)
    assert.ok(answer.type === 'stream')
    assert.match(answer.head.map(utf8).join(''), /Hello/)
  })

  for (const url of [
    'https://evil.example/p',
    'http://api.replicate.com/p',
    'https://notreplicate.com/p',
    'x',
  ])
    test(`the key does not go to ${url}`, async () => {
      const from = provider(ticket({ get: url }), got)
      await assert.rejects(reach(from, false), { kind: 'bad_gateway', message: /not its own/ })
      assert.equal(from.asked.length, 1)
    })

  test('an error on the way is the error', async () => {
    const from = provider(ticket({ get: `${base}/predictions/p` }), {
      status: 404,
      body: '{"detail":"gone"}',
    })
    await assert.rejects(reach(from, false), { kind: 'not_found', message: /gone/ })
  })

  test('no longer than the limit', async () => {
    const from = provider(ticket({ get: `${base}/predictions/p` }))
    await assert.rejects(reach(from, false, { totalMs: 100 }), { kind: 'timeout', status: 408 })
    assert.equal(from.asked.length, 1)
  })

  test('a client that goes during the wait ends it', async () => {
    const gone = new AbortController()
    const from = provider(ticket({ get: `${base}/predictions/p` }))
    setTimeout(() => gone.abort(), 20)
    await assert.rejects(reach(from, false, { signal: gone.signal }), { kind: 'canceled' })
    assert.equal(from.asked.length, 1)
  })

  test('a task is asked for by its id until it is done', async () => {
    const agent = deployment({ model: 'manus/manus-1.6', api_key: 'manus-key-1234' })
    const task = (status: string, text = ''): Told => ({
      body: JSON.stringify({
        id: 'r/1',
        status,
        output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] }],
      }),
    })
    const from = provider(task('running'), task('completed', 'done'))
    const answer = await call(
      hear(),
      agent,
      ask(),
      {
        transport: from.transport,
        mock: mockTransport,
        maxLineBytes: 1000,
        maxAnswerBytes: 1 << 20,
      },
      { signal: new AbortController().signal, limits: {} },
    )
    assert.ok(answer.type === 'whole')
    assert.match(answer.result.encode(undefined).body, /done/)
    assert.equal(from.asked[1]?.url, 'https://api.manus.im/v1/responses/r%2F1')
    assert.equal(from.asked[1]?.headers['api_key'], 'manus-key-1234')
  })
})
