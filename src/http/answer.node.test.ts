import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bodyOf,
  eventually,
  exchange,
  head,
  openClient,
  openDoor,
  sleep,
  statusOf,
} from '../../test/raw-client.ts'
import type { Handler, Incoming, Outgoing } from './http.ts'

const close = 'Connection: close'
const answer = (body: Outgoing['body'], headers: Record<string, string> = {}): Outgoing => ({
  status: 200,
  headers,
  body,
})
const get = head('GET /x')

/** A stream that tells whether it was settled. */
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

const untilAborted = (signal: Incoming['signal']): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

test('a client that leaves while a whole answer is computed: the signal tells', async (t) => {
  let reason: unknown
  const { port, door, errors } = await openDoor(t, async ({ signal }) => {
    await untilAborted(signal).catch((error) => {
      reason = error
    })
    return answer('nobody hears')
  })
  const client = openClient(port, get)
  await eventually(() => door.inFlight() === 1)
  client.socket.destroy()
  await eventually(() => door.inFlight() === 0)
  assert.match(String(reason), /client closed the connection/)
  assert.deepEqual(errors, [])
})

test('a client that leaves during a stream: the stream is settled', async (t) => {
  const { told, body } = stream(async () => {
    await sleep(2)
    return 'data: x\n\n'
  })
  const { port, door, errors } = await openDoor(t, async () => answer(body))
  const client = openClient(port, get)
  await client.until(/data: x\n\n\r\n.*data/s)
  client.socket.destroy()
  await eventually(() => door.inFlight() === 0)
  assert.equal(told.settled, 1)
  assert.deepEqual(errors, [])
})

test('a client that leaves while the next chunk is awaited: the signal ends the wait', async (t) => {
  const settled: string[] = []
  const { port, door, errors } = await openDoor(t, async ({ signal }) => {
    const { body, told } = stream((i) => (i === 0 ? Promise.resolve('one') : untilAborted(signal)))
    signal.addEventListener('abort', () => settled.push(`aborted, settled ${told.settled}`))
    return answer(body)
  })
  const client = openClient(port, get)
  await client.until(/one/)
  client.socket.destroy()
  await eventually(() => door.inFlight() === 0)
  assert.deepEqual(settled, ['aborted, settled 0'])
  assert.deepEqual(errors, [])
})

test('an iterator that can be told hears of it at once, without the signal', async (t) => {
  let release = (_: IteratorResult<string>) => {}
  let returned = 0
  const body: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        new Promise((resolve) => {
          release = resolve
        }),
      async return() {
        returned++
        release({ done: true, value: undefined })
        return { done: true, value: undefined }
      },
    }),
  }
  const { port, door } = await openDoor(t, async () => answer(body))
  const client = openClient(port, get)
  await eventually(() => door.inFlight() === 1)
  release({ done: false, value: 'one' })
  await client.until(/one/)
  client.socket.destroy()
  await eventually(() => door.inFlight() === 0)
  assert.equal(returned, 1)
})

test('a client that has left before the stream begins: it is settled all the same', async (t) => {
  const { told, body } = stream(async () => 'x')
  const { port, door } = await openDoor(t, async ({ signal }) => {
    await untilAborted(signal).catch(() => {})
    return answer(body)
  })
  const client = openClient(port, get)
  await eventually(() => door.inFlight() === 1)
  client.socket.destroy()
  await eventually(() => door.inFlight() === 0)
  assert.equal(told.settled, 1)
})

test('a client that leaves after its answer: nothing is aborted', async (t) => {
  const signals: Incoming['signal'][] = []
  const { port, door } = await openDoor(t, async ({ signal, path }) => {
    signals.push(signal)
    return answer(path === '/x' ? 'whole' : stream(async (i) => (i < 3 ? 'x' : undefined)).body)
  })
  const client = openClient(port, get)
  await client.until(/whole/)
  client.socket.write(head('GET /stream'))
  await client.until(/0\r\n\r\n$/)
  client.socket.destroy()
  await eventually(() => door.connections() === 0)
  assert.deepEqual(
    signals.map((signal) => signal.aborted),
    [false, false],
  )
})

test('a slow reader of 100 MB: little is made ahead, and all of it arrives', async (t) => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const { told, body } = stream(async (i) => (i < 1600 ? chunk : undefined))
  const { port } = await openDoor(t, async () => answer(body))
  const client = openClient(port)
  client.socket.pause()
  client.socket.removeAllListeners('data')
  client.socket.write(head('GET /x', close))
  await sleep(150)
  const ahead = told.made
  assert.ok(ahead > 0 && ahead < 300, `${ahead} chunks of 64 KB`)
  let size = 0
  client.socket.on('data', (bytes) => {
    size += bytes.length
  })
  client.socket.resume()
  await client.end()
  assert.equal(told.made, 1600)
  assert.equal(told.settled, 1)
  assert.ok(size > 1600 * chunk.length)
})

test('a client that hangs up while the stream waits for it: no hang', async (t) => {
  const { told, body } = stream(async () => Buffer.alloc(64 * 1024))
  const { port, door } = await openDoor(t, async () => answer(body))
  const client = openClient(port)
  client.socket.pause()
  client.socket.write(get)
  await eventually(() => told.made > 0)
  client.socket.resetAndDestroy()
  await eventually(() => door.inFlight() === 0)
  assert.equal(told.settled, 1)
})

for (const whole of [false, true])
  test(`a client that takes nothing is cut off (${whole ? 'whole answer' : 'stream'})`, async (t) => {
    const { told, body } = stream(async () => Buffer.alloc(64 * 1024))
    const large = Buffer.alloc(30 * 1024 * 1024)
    const { port, door } = await openDoor(t, async () => answer(whole ? large : body), {
      limits: { stallMs: 60 },
    })
    const client = openClient(port)
    client.socket.pause()
    client.socket.write(get)
    await eventually(() => door.connections() === 1)
    await eventually(() => door.connections() === 0)
    assert.equal(told.settled, whole ? 0 : 1)
    client.socket.destroy()
  })

test('a long wait is no reason to cut', async (t) => {
  const limits = { headMs: 40, bodyIdleMs: 40, keepAliveMs: 40, stallMs: 40 }
  const { body } = stream(async (i) => {
    await sleep(120)
    return i < 2 ? 'x' : undefined
  })
  const { port } = await openDoor(t, async () => answer(body), { limits })
  assert.match(await exchange(port, head('GET /x', close)), /0\r\n\r\n$/)
})

test('a stream that fails is cut, and what it said before still arrives', async (t) => {
  const { body } = stream(async (i) => {
    if (i === 1) throw new Error('broken')
    return 'data: last words\n\n'
  })
  const { port, errors } = await openDoor(t, async () => answer(body))
  const text = await exchange(port, get)
  assert.match(text, /last words/)
  assert.doesNotMatch(text, /0\r\n\r\n$/)
  assert.match(String(errors), /broken/)
})

test('on HTTP/1.0, where the end of the connection ends the answer, a cut is a reset', async (t) => {
  const { body } = stream(async (i) => {
    await sleep(20)
    if (i === 1) throw new Error('broken')
    return 'x'
  })
  const { port } = await openDoor(t, async ({ path }) => answer(path === '/x' ? body : 'fine'))
  assert.equal((await openClient(port, 'GET /x HTTP/1.0\r\n\r\n').end()).error, 'ECONNRESET')
  assert.match(await exchange(port, 'GET /y HTTP/1.0\r\n\r\n'), /^HTTP\/1.1 200 [\s\S]*fine$/)
})

test('a stream that fails before its first chunk can still be answered', async (t) => {
  const { told, body } = stream(async () => {
    throw new Error('broken')
  })
  const { port } = await openDoor(t, async () => answer(body))
  const text = await exchange(port, head('GET /x', close))
  assert.equal(statusOf(text), 500)
  assert.equal(JSON.parse(bodyOf(text)).error.code, '500')
  assert.equal(told.settled, 1)
})

test('each chunk leaves when it is made', async (t) => {
  let release = () => {}
  const { body } = stream(async (i) => {
    if (i === 1) await new Promise<void>((resolve) => void (release = resolve))
    return i < 2 ? `chunk ${i}` : undefined
  })
  const { port } = await openDoor(t, async () => answer(body, { 'content-type': 'text/plain' }))
  const client = openClient(port, head('GET /x', close))
  assert.match(await client.until(/chunk 0/), /^HTTP\/1.1 200 OK[\s\S]*\r\n\r\n7\r\nchunk 0\r\n$/)
  release()
  assert.match((await client.end()).text, /chunk 1\r\n0\r\n\r\n$/)
})

const promised = { 'content-length': '5' }
const streamOf = (...chunks: string[]) => stream(async (i) => chunks[i]).body
const forms: [name: string, method: string, make: () => Outgoing, expected: RegExp, not: RegExp][] =
  [
    ['whole', 'GET', () => answer('hello'), /content-length: 5\r\n[\s\S]*hello$/, /chunked/],
    [
      'bytes',
      'GET',
      () => answer(Buffer.from('hello')),
      /content-length: 5\r\n[\s\S]*hello$/,
      /chunked/,
    ],
    ['not ASCII', 'GET', () => answer('é'), /content-length: 2\r\n/, /chunked/],
    ['empty', 'GET', () => answer(''), /content-length: 0\r\n[\s\S]*\r\n\r\n$/, /chunked/],
    [
      'a wrong length',
      'GET',
      () => answer('hi', promised),
      /content-length: 2\r\n[\s\S]*hi$/,
      /length: 5/,
    ],
    [
      'stream',
      'GET',
      () => answer(streamOf('a', '', 'b')),
      /chunked[\s\S]*1\r\na\r\n1\r\nb\r\n0\r\n\r\n$/,
      /content-length/,
    ],
    [
      'empty stream',
      'GET',
      () => answer(streamOf()),
      /chunked[\s\S]*\r\n\r\n0\r\n\r\n$/,
      /content-length/,
    ],
    [
      'stream of known length',
      'GET',
      () => answer(streamOf('hel', 'lo'), promised),
      /content-length: 5\r\n[\s\S]*hello$/,
      /chunked/,
    ],
    ['HEAD', 'HEAD', () => answer('hello'), /content-length: 5\r\n[\s\S]*\r\n\r\n$/, /hello/],
    [
      'HEAD with a length',
      'HEAD',
      () => answer('', promised),
      /content-length: 5\r\n[\s\S]*\r\n\r\n$/,
      /hello/,
    ],
    [
      'HEAD of a stream',
      'HEAD',
      () => answer(streamOf('hello')),
      /^HTTP\/1.1 200[\s\S]*\r\n\r\n$/,
      /hello/,
    ],
    ['OPTIONS', 'OPTIONS', () => answer('hello'), /hello$/, /chunked/],
    [
      '204',
      'GET',
      () => ({ ...answer('hello'), status: 204 }),
      /^HTTP\/1.1 204[\s\S]*\r\n\r\n$/,
      /content-length|hello/,
    ],
    [
      '304',
      'GET',
      () => ({ ...answer(streamOf('hello'), promised), status: 304 }),
      /304[\s\S]*content-length: 5\r\n[\s\S]*\r\n\r\n$/,
      /hello/,
    ],
    [
      'what is between us and the client',
      'GET',
      () =>
        answer('hello', {
          'transfer-encoding': 'chunked',
          'content-length': '1',
          connection: 'keep-alive',
          upgrade: 'x',
          Trailer: 'y',
        }),
      /hello$/,
      /chunked|keep-alive|upgrade|trailer/i,
    ],
    [
      'the date, and no brand',
      'GET',
      () => answer('hello'),
      /\r\ndate: \w+, /i,
      /x-powered-by|server:/i,
    ],
  ]
for (const [name, method, make, expected, not] of forms)
  test(`form of an answer: ${name}`, async (t) => {
    const { port, door, errors } = await openDoor(t, async () => make())
    const text = await exchange(port, head(`${method} /x`, close))
    assert.match(text, expected)
    assert.doesNotMatch(text, not)
    await eventually(() => door.inFlight() === 0)
    assert.deepEqual(errors, [])
  })

const broken: [name: string, make: () => Outgoing][] = [
  ['longer', () => answer(streamOf('hello', ' you'), promised)],
  ['shorter', () => answer(streamOf('hi'), promised)],
]
for (const [name, make] of broken)
  test(`a stream ${name} than it promised is cut`, async (t) => {
    const { port, errors } = await openDoor(t, async () => make())
    const text = await exchange(port, get)
    assert.ok(bodyOf(text).length <= 5)
    assert.equal(errors.length, 1)
  })

test('an answer in the midst of an upload ends well', async (t) => {
  const talk: Handler = async (incoming) => {
    const upload = incoming.stream()[Symbol.asyncIterator]()
    await upload.next()
    return answer(streamOf('a', 'b'))
  }
  const { port, door } = await openDoor(t, talk)
  const client = openClient(port, head('POST /x', 'Content-Length: 200000'))
  client.socket.write(Buffer.alloc(100_000))
  await client.until(/b\r\n/)
  client.socket.write(Buffer.alloc(100_000))
  assert.match((await client.end()).text, /0\r\n\r\n$/)
  await eventually(() => door.inFlight() === 0)
})
