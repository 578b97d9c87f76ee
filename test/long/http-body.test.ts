import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import type { Handler } from '../../src/http/http.ts'
import {
  bodyOf,
  eventually,
  exchange,
  head,
  openClient,
  openDoor,
  sleep,
  statusOf,
} from '../raw-client.ts'

/** Answers with what it read. */
const echo: Handler = async (incoming) => ({
  status: 200,
  headers: { 'content-type': 'text/plain' },
  body: await incoming.body(),
})

const close = 'Connection: close'
const post = (body: Uint8Array | string, ...lines: string[]): Buffer =>
  Buffer.concat([
    Buffer.from(head('POST /x', `Content-Length: ${Buffer.byteLength(body)}`, ...lines)),
    Buffer.from(body),
  ])
const chunked = (pieces: Uint8Array[], ...lines: string[]): Buffer =>
  Buffer.concat([
    Buffer.from(head('POST /x', 'Transfer-Encoding: chunked', ...lines)),
    ...pieces
      .filter((piece) => piece.length > 0)
      .flatMap((piece) => [
        Buffer.from(`${piece.length.toString(16)}\r\n`),
        piece,
        Buffer.from('\r\n'),
      ]),
    Buffer.from('0\r\n\r\n'),
  ])

test('a body arrives as it was sent, however it was framed and cut', async (t) => {
  const { port } = await openDoor(t, echo)
  const law = fc.asyncProperty(
    fc.uint8Array({ maxLength: 3000 }),
    fc.array(fc.nat(3200), { maxLength: 3 }),
    fc.boolean(),
    async (bytes, spots, inChunks) => {
      const cuts = spots.sort((a, b) => a - b)
      const pieces = [0, ...cuts].map((from, i) => bytes.slice(from, cuts[i] ?? bytes.length))
      const message = inChunks ? chunked(pieces, close) : post(bytes, close)
      const client = openClient(port)
      client.socket.setNoDelay(true)
      for (const [i, from] of [0, ...cuts].entries()) {
        client.socket.write(message.subarray(from, cuts[i] ?? message.length))
        await sleep(0)
      }
      const { text } = await client.end()
      assert.equal(bodyOf(text), Buffer.from(bytes).toString('latin1'))
    },
  )
  await fc.assert(law, { numRuns: 40 })
})

const words = Buffer.from('words and more words, '.repeat(5000))
const encodings: [encoding: string, bytes: Uint8Array][] = [
  ['identity', words],
  ['gzip', gzipSync(words)],
  ['x-gzip', gzipSync(words)],
  [' GZIP ', gzipSync(words)],
  ['gzip', Buffer.concat([gzipSync(words.subarray(0, 100)), gzipSync(words.subarray(100))])],
  ['deflate', deflateSync(words)],
  ['br', brotliCompressSync(words)],
  ['zstd', zstdCompressSync(words)],
]
for (const [encoding, bytes] of encodings)
  test(`content-encoding ${JSON.stringify(encoding)} is undone`, async (t) => {
    const { port } = await openDoor(t, echo)
    const answer = await exchange(port, post(bytes, `Content-Encoding: ${encoding}`, close))
    assert.equal(bodyOf(answer), words.toString())
    const cut = await exchange(port, chunked([bytes], `Content-Encoding: ${encoding}`, close))
    assert.equal(bodyOf(cut), words.toString())
  })

const wideWindow = zstdCompressSync(Buffer.alloc(12 * 1024 * 1024), {
  params: { [constants.ZSTD_c_windowLog]: 26 },
})
const refused: [name: string, bytes: Uint8Array, lines: string[], status: number, says: RegExp][] =
  [
    [
      'unknown encoding',
      words,
      ['Content-Encoding: rot13'],
      415,
      /"rot13" is not supported; use gzip/,
    ],
    ['two encodings', words, ['Content-Encoding: gzip, gzip'], 415, /not supported/],
    ['no gzip at all', words, ['Content-Encoding: gzip'], 400, /not valid gzip/],
    [
      'half of a gzip',
      gzipSync(words).subarray(0, 100),
      ['Content-Encoding: gzip'],
      400,
      /not valid gzip/,
    ],
    [
      'half of a br',
      brotliCompressSync(words).subarray(0, 30),
      ['Content-Encoding: br'],
      400,
      /not valid br/,
    ],
    ['nothing as zstd', Buffer.from('xxxx'), ['Content-Encoding: zstd'], 400, /not valid zstd/],
    ['a window of 64 MB', wideWindow, ['Content-Encoding: zstd'], 400, /not valid zstd/],
  ]
for (const [name, bytes, lines, status, says] of refused)
  test(`refused: ${name}`, async (t) => {
    const { port, errors } = await openDoor(t, echo)
    const answer = await exchange(port, post(bytes, close, ...lines))
    assert.equal(statusOf(answer), status)
    assert.match(JSON.parse(bodyOf(answer)).error.message, says)
    assert.deepEqual(errors, [])
  })

test('a transfer-encoding besides chunked is not offered', async (t) => {
  const { port } = await openDoor(t, echo)
  const answer = await exchange(
    port,
    head('POST /x', 'Transfer-Encoding: gzip, chunked', close) + '0\r\n\r\n',
  )
  assert.equal(statusOf(answer), 501)
})

const megabyte = Buffer.alloc(1024 * 1024)
const bombs: [encoding: string, bytes: Uint8Array][] = [
  ['gzip', Buffer.concat(Array<Buffer>(1000).fill(gzipSync(megabyte)))],
  ['deflate', deflateSync(Buffer.alloc(60 * 1024 * 1024), { level: 1 })],
  [
    'br',
    brotliCompressSync(Buffer.alloc(60 * 1024 * 1024), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    }),
  ],
  ['zstd', zstdCompressSync(Buffer.alloc(60 * 1024 * 1024))],
]
test('bombs: 413 in little memory, and everyone else is served meanwhile', async (t) => {
  const { port } = await openDoor(t, echo, { limits: { decompressedBytes: 16 * 1024 * 1024 } })
  const before = process.memoryUsage().rss
  let peak = before
  let slowest = 0
  let busy = true
  const pings = (async () => {
    while (busy) {
      const since = performance.now()
      assert.equal(statusOf(await exchange(port, head('GET /ping', close))), 200)
      slowest = Math.max(slowest, performance.now() - since)
      peak = Math.max(peak, process.memoryUsage().rss)
    }
  })()
  const answers = await Promise.all(
    [...bombs, ...bombs].map(([encoding, bytes]) =>
      exchange(port, post(bytes, `Content-Encoding: ${encoding}`, close)),
    ),
  )
  busy = false
  await pings
  assert.deepEqual(answers.map(statusOf), Array(8).fill(413))
  assert.ok(slowest < 500, `a ping took ${slowest} ms`)
  assert.ok(peak - before < 400e6, `${(peak - before) / 1e6} MB`)
})

test('a body that says it is too large is refused before it is read', async (t) => {
  const { port } = await openDoor(t, echo, { limits: { bodyBytes: 1000 } })
  const client = openClient(port, head('POST /x', 'Content-Length: 100001'))
  const answer = await client.until(/\}$/)
  assert.equal(statusOf(answer), 413)
  assert.match(answer, /connection: close/i)
  assert.equal(JSON.parse(bodyOf(answer)).error.code, '413')
  client.socket.destroy()
  assert.equal(statusOf(await exchange(port, post(Buffer.alloc(1000), close))), 200)
})

test('a chunked body is counted', async (t) => {
  const { port } = await openDoor(t, echo, { limits: { bodyBytes: 1000 } })
  const pieces = Array<Buffer>(11).fill(Buffer.alloc(100))
  assert.equal(statusOf(await exchange(port, chunked(pieces, close))), 413)
  assert.equal(statusOf(await exchange(port, chunked(pieces.slice(1), close))), 200)
})

test('routes may have other limits', async (t) => {
  const bodyLimitOf = (path: string) => (path === '/v1/files' ? 5000 : undefined)
  const options = { limits: { bodyBytes: 100 }, bodyLimitOf, rootPath: '/api' }
  const { port } = await openDoor(t, echo, options)
  const send = (path: string, size: number) =>
    exchange(port, head(`POST ${path}`, `Content-Length: ${size}`, close) + 'x'.repeat(size))
  assert.equal(statusOf(await send('/api/v1/files', 5000)), 200)
  assert.equal(statusOf(await send('/api/v1/files', 5001)), 413)
  assert.equal(statusOf(await send('/api/v1/chat', 101)), 413)
})

for (const framing of ['content-length', 'chunks'])
  test(`a client that sends 100 MB and only then reads sees its 413 (${framing})`, async (t) => {
    const { port } = await openDoor(t, echo, { limits: { bodyBytes: 30 * 1024 * 1024 } })
    const client = openClient(port)
    client.socket.pause()
    const line =
      framing === 'chunks' ? 'Transfer-Encoding: chunked' : `Content-Length: ${100 * 1024 * 1024}`
    client.socket.write(head('POST /x', line))
    for (let sent = 0; sent < 100; sent++) {
      if (framing === 'chunks') client.socket.write('100000\r\n')
      const more = client.socket.write(megabyte)
      if (framing === 'chunks') client.socket.write('\r\n')
      if (!more) await new Promise((resolve) => client.socket.once('drain', resolve))
    }
    if (framing === 'chunks') client.socket.write('0\r\n\r\n')
    client.socket.resume()
    const { text, error } = await client.end()
    assert.equal(error, undefined)
    assert.equal(statusOf(text), 413)
    assert.match(bodyOf(text), /limit of 30 MB/)
  })

test('the rest of a refused body is taken in for so long and no longer', async (t) => {
  const { port } = await openDoor(t, echo, { limits: { bodyBytes: 10, lingerMs: 60 } })
  const since = performance.now()
  const answer = await exchange(port, head('POST /x', 'Content-Length: 1000000'))
  assert.equal(statusOf(answer), 413)
  assert.ok(performance.now() - since < 1000)
})

const slow: [name: string, piece: string][] = [
  ['stops', ''],
  ['trickles', 'x'],
]
for (const [name, piece] of slow)
  test(`a body that ${name}: 408`, async (t) => {
    const { port } = await openDoor(t, echo, { limits: { bodyIdleMs: 80, lingerMs: 50 } })
    const client = openClient(port, head('POST /x', 'Content-Length: 5000') + 'first')
    const trickle = setInterval(() => client.socket.write(piece), 10)
    const { text } = await client.end()
    clearInterval(trickle)
    assert.equal(statusOf(text), 408)
    assert.match(bodyOf(text), /stopped arriving for 0.08 seconds/)
  })

test('a body that keeps moving may take longer than the idle limit', async (t) => {
  const { port } = await openDoor(t, echo, { limits: { bodyIdleMs: 100 } })
  const client = openClient(port, head('POST /x', `Content-Length: ${6 * 8192}`, close))
  for (let i = 0; i < 6; i++) {
    await sleep(40)
    client.socket.write(Buffer.alloc(8192, 'x'))
  }
  assert.equal(bodyOf((await client.end()).text).length, 6 * 8192)
})

const begun: [encoding: string, bytes: Uint8Array][] = [
  ['identity', Buffer.from('first')],
  ['gzip', gzipSync(words).subarray(0, 30)],
]
for (const [encoding, bytes] of begun)
  test(`a client that leaves while it sends: handled in silence (${encoding})`, async (t) => {
    const heard: unknown[] = []
    const { port, errors, door } = await openDoor(t, async (incoming) => {
      try {
        return { status: 200, headers: {}, body: await incoming.body() }
      } catch (error) {
        heard.push(error)
        throw error
      }
    })
    const line = `Content-Encoding: ${encoding}`
    const client = openClient(port, head('POST /x', 'Content-Length: 5000', line))
    client.socket.write(bytes)
    await eventually(() => door.inFlight() === 1)
    client.socket.destroy()
    await eventually(() => door.inFlight() === 0)
    assert.ok(GatewayError.is(heard[0]))
    assert.equal(heard[0].kind, 'canceled')
    assert.deepEqual(errors, [])
  })

test('stream() gives what comes when it comes, decompressed', async (t) => {
  const seen: number[] = []
  const { port } = await openDoor(t, async (incoming) => {
    for await (const chunk of incoming.stream()) seen.push(chunk.length)
    return { status: 200, headers: {}, body: '' }
  })
  const client = openClient(port, head('POST /x', 'Content-Length: 6', close) + 'abc')
  await eventually(() => seen.length === 1)
  client.socket.write('def')
  assert.equal(statusOf((await client.end()).text), 200)
  assert.deepEqual(seen, [3, 3])
  seen.length = 0
  await exchange(port, post(gzipSync(words), 'Content-Encoding: gzip', close))
  assert.equal(
    seen.reduce((sum, size) => sum + size, 0),
    words.length,
  )
})

test('a body left half read does not hurt the answer', async (t) => {
  const { port } = await openDoor(t, async (incoming) => {
    for await (const chunk of incoming.stream())
      return { status: 200, headers: {}, body: `saw ${chunk.length > 0}` }
    return { status: 500, headers: {}, body: '' }
  })
  for (const size of [10, 1000, 3_000_000]) {
    const answer = await exchange(port, post(Buffer.alloc(size), close))
    assert.equal(bodyOf(answer), 'saw true')
  }
})

test('a small unread body does not cost the connection, a large one does', async (t) => {
  const { port } = await openDoor(t, async () => ({ status: 401, headers: {}, body: 'no' }))
  const client = openClient(port, head('POST /x', 'Content-Length: 10') + 'abc')
  await client.until(/no$/)
  client.socket.write(`defghij${head('GET /y', close)}`)
  assert.equal((await client.end()).text.match(/HTTP\/1.1 401/g)?.length, 2)
  const large = openClient(port, head('POST /x', 'Content-Length: 1000000'))
  assert.match(await large.until(/no$/), /connection: close/i)
  large.socket.destroy()
})

test('body() may be asked for twice, and again as a stream, but not after stream()', async (t) => {
  const { port, errors } = await openDoor(t, async (incoming) => {
    if (incoming.path === '/late') {
      for await (const _ of incoming.stream()) break
      await incoming.body()
    }
    const first = await incoming.body()
    const same = first === (await incoming.body())
    let size = 0
    for await (const chunk of incoming.stream()) size += chunk.length
    return { status: 200, headers: {}, body: `${same} ${size}` }
  })
  assert.equal(bodyOf(await exchange(port, post('12345', close))), 'true 5')
  const late = head('POST /late', 'Content-Length: 5', close)
  assert.equal(statusOf(await exchange(port, `${late}12345`)), 500)
  assert.deepEqual(errors.length, 1)
})

test('who asks whether to send a body is told', async (t) => {
  const { port } = await openDoor(t, echo, { limits: { bodyBytes: 1000 } })
  const asks = ['Expect: 100-continue', close]
  const client = openClient(port, head('POST /x', 'Content-Length: 3', ...asks))
  assert.match(await client.until(/\r\n\r\n/), /^HTTP\/1.1 100 /)
  client.socket.write('yes')
  assert.match((await client.end()).text, /yes$/)
  const refused = await exchange(port, head('POST /x', 'Content-Length: 3000', ...asks))
  assert.equal(statusOf(refused), 413)
})
