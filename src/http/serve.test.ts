import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { eventually, sleep } from '../../test/raw-client.ts'
import { GatewayError } from '../errors.ts'
import type { Handler, Incoming, Outgoing } from './http.ts'
import { serveFetch } from './serve.ts'

const url = 'https://gateway.example/v1/x'
const answer = (body: Outgoing['body'], headers: Record<string, string> = {}): Outgoing => ({
  status: 200,
  headers,
  body,
})
const echo: Handler = async (incoming) => answer(await incoming.body())

type Sent = { headers?: Record<string, string>; signal?: AbortSignal }
const post = (body: BodyInit, sent: Sent = {}): Request =>
  new Request(url, { method: 'POST', body, duplex: 'half', ...sent } as RequestInit)

/** A body in pieces, the last of which may never come. */
const pieces = (...all: (Uint8Array<ArrayBuffer> | 'never')[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    async pull(controller) {
      const next = all.shift()
      if (next === undefined) controller.close()
      else if (next === 'never') await new Promise(() => {})
      else controller.enqueue(next)
    },
  })

function stream(step: (i: number) => Promise<string | Uint8Array | undefined>) {
  const told = { made: 0, settled: 0 }
  async function* body() {
    try {
      for (;;) {
        const chunk = await step(told.made)
        if (chunk === undefined) return
        told.made++
        yield chunk
      }
    } finally {
      told.settled++
    }
  }
  return { told, body: body() }
}

test('a request as the handler sees it, an answer as the client sees it', async () => {
  const serve = serveFetch(
    async (incoming) => ({
      status: 201,
      headers: { 'x-a': 'b' },
      body: JSON.stringify([
        incoming.method,
        incoming.path,
        incoming.query,
        incoming.header('x-b'),
        incoming.header('x-c') ?? null,
        incoming.headers()['x-b'],
        incoming.remoteAddress,
        Buffer.from(await incoming.body()).toString(),
      ]),
    }),
    { rootPath: 'api', remoteAddressOf: (request) => request.headers.get('x-b') ?? undefined },
  )
  const response = await serve(
    new Request('https://h/api/v1//x%2f;?q=1', {
      method: 'POST',
      body: 'hi',
      headers: { 'X-B': '7' },
    }),
  )
  assert.equal(response.status, 201)
  assert.equal(response.headers.get('x-a'), 'b')
  assert.deepEqual(await response.json(), ['POST', '/v1//x%2f;', 'q=1', '7', null, '7', '7', 'hi'])
})

const words = Buffer.from('words and more words, '.repeat(1000))
const bytes = (buffer: Buffer): Uint8Array<ArrayBuffer> => new Uint8Array(buffer)
const bomb = bytes(gzipSync(Buffer.alloc(20 * 1024 * 1024)))
const encoded = (encoding: string) => ({ headers: { 'content-encoding': encoding } })
const bodies: [name: string, make: () => Request, status: number, says: RegExp][] = [
  ['plain', () => post(words.toString()), 200, /^words.*, $/],
  ['gzip', () => post(bytes(gzipSync(words)), encoded('gzip')), 200, /^words.*, $/],
  ['x-gzip', () => post(bytes(gzipSync(words)), encoded('X-GZIP')), 200, /^words.*, $/],
  ['deflate', () => post(bytes(deflateSync(words)), encoded('deflate')), 200, /^words.*, $/],
  [
    'br',
    () => post(bytes(brotliCompressSync(words)), encoded('br')),
    415,
    /use gzip, deflate or none/,
  ],
  ['no gzip', () => post('plain', encoded('gzip')), 400, /not valid gzip/],
  [
    'half a gzip',
    () => post(bytes(gzipSync(words).subarray(0, 60)), encoded('gzip')),
    400,
    /not valid gzip/,
  ],
  [
    'says it is too large',
    () => post('x', { headers: { 'content-length': '100001' } }),
    413,
    /limit of 100000 bytes/,
  ],
  [
    'is too large',
    () => post(pieces(new Uint8Array(60_000), new Uint8Array(60_000))),
    413,
    /limit of 100000/,
  ],
  ['a bomb', () => post(bomb, encoded('gzip')), 413, /limit of 1 MB/],
  ['stops', () => post(pieces(new Uint8Array(10), 'never')), 408, /stopped arriving/],
  [
    'stops, compressed',
    () => post(pieces(bytes(gzipSync(words).subarray(0, 60)), 'never'), encoded('gzip')),
    408,
    /stopped arriving/,
  ],
  ['none', () => new Request(url), 200, /^$/],
]
for (const [name, make, status, says] of bodies)
  test(`body: ${name}`, async () => {
    const errors: unknown[] = []
    const serve = serveFetch(echo, {
      limits: { bodyBytes: 100_000, decompressedBytes: 1024 * 1024, bodyIdleMs: 50 },
      onError: (error) => void errors.push(error),
    })
    const response = await serve(make())
    const text = await response.text()
    assert.equal(response.status, status, text)
    assert.match(status === 200 ? text : JSON.parse(text).error.message, says)
    assert.deepEqual(errors, [])
  })

test('routes may have other limits, and a body is read once', async () => {
  const serve = serveFetch(
    async (incoming) => {
      const first = await incoming.body()
      assert.equal(await incoming.body(), first)
      for await (const again of incoming.stream()) assert.equal(again, first)
      return answer('')
    },
    { bodyLimitOf: (path) => (path === '/v1/x' ? 3 : undefined) },
  )
  assert.equal((await serve(post('abc'))).status, 200)
  assert.equal((await serve(post('abcd'))).status, 413)
})

const failures: [name: string, handler: Handler, status: number, reported: number][] = [
  ['throws', async () => Promise.reject(new Error('secret')), 500, 1],
  ['throws a fault', async () => Promise.reject(new GatewayError('budget', 'spent')), 422, 0],
  ['gives a broken header', async () => answer('', { 'x-a': 'b\nc' }), 500, 1],
  [
    'fails before its first chunk',
    async () => answer(stream(async () => Promise.reject(new Error('secret'))).body),
    500,
    1,
  ],
]
for (const [name, handler, status, reported] of failures)
  test(`a handler that ${name} is answered for`, async () => {
    const errors: unknown[] = []
    const response = await serveFetch(handler, { onError: (error) => void errors.push(error) })(
      new Request(url),
    )
    assert.equal(response.status, status)
    assert.equal((await response.json()).error.code, String(status))
    assert.equal(errors.length, reported)
  })

test('a stream is made as it is read, and settled at its end', async () => {
  const { told, body } = stream(async (i) => ['a', '', new Uint8Array([98])][i])
  const response = await serveFetch(async () => answer(body))(new Request(url))
  await sleep(5)
  assert.equal(told.made, 1)
  assert.equal(await response.text(), 'ab')
  assert.deepEqual(told, { made: 3, settled: 1 })
})

test('a stream that fails is cut', async () => {
  const { body } = stream(async (i) => {
    if (i === 1) throw new Error('broken')
    return 'a'
  })
  const response = await serveFetch(async () => answer(body))(new Request(url))
  await assert.rejects(response.text())
})

test('a client that cancels: the signal tells and the stream is settled', async () => {
  const reasons: unknown[] = []
  let told = { settled: 0 }
  const serve = serveFetch(async ({ signal }) => {
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => {
        reasons.push(signal.reason)
        reject(signal.reason)
      }),
    )
    const made = stream((i) => (i === 0 ? Promise.resolve('a') : aborted))
    told = made.told
    return answer(made.body)
  })
  const reader = (await serve(new Request(url))).body?.getReader()
  await reader?.read()
  const pending = reader?.read()
  await reader?.cancel()
  await pending
  await eventually(() => told.settled === 1)
  assert.ok(GatewayError.is(reasons[0]) && reasons[0].kind === 'canceled')
})

test('a client that leaves, as the runtime tells it, in every phase', async () => {
  for (const phase of ['computing', 'streaming', 'before']) {
    const client = new AbortController()
    if (phase === 'before') client.abort()
    let seen: Incoming['signal'] | undefined
    const { told, body } = stream(async () => {
      await sleep(2)
      return 'x'
    })
    const serve = serveFetch(async ({ signal }) => {
      seen = signal
      if (phase === 'computing') client.abort()
      return answer(body)
    })
    const response = await serve(new Request(url, { signal: client.signal }))
    if (phase === 'streaming') {
      await response.body?.getReader().read()
      client.abort()
    }
    await eventually(() => told.settled === 1)
    assert.equal(seen?.aborted, true, phase)
  }
})

test('answers without a body have none, and their streams are settled', async () => {
  for (const [method, status] of [
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ] as const) {
    const { told, body } = stream(async () => 'x')
    for (const form of [body, 'x']) {
      const serve = serveFetch(async () => ({ status, headers: {}, body: form }))
      const response = await serve(new Request(url, { method }))
      assert.equal(response.status, status)
      assert.equal(response.body, null)
    }
    assert.equal(told.settled, 1)
  }
})
