import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
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
import type { Handler, Incoming } from './http.ts'

/** A request that has this is read by Node's own server, whatever else it is. */
const notPlain = ['X-Twice: 1', 'X-Twice: 2']
const close = 'Connection: close'

/** Answers with all that it was told. */
const mirror: Handler = async (incoming) => {
  const { 'x-twice': _, ...headers } = incoming.headers()
  assert.deepEqual(
    Object.keys(incoming.headers()).sort(),
    [...new Set(incoming.headerNames())].sort(),
  )
  for (const name of incoming.headerNames())
    assert.equal(incoming.header(name), incoming.headers()[name])
  const { method, path, query, remoteAddress } = incoming
  const body = Buffer.from(await incoming.body()).toString('latin1')
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ method, path, query, remoteAddress, headers, body }),
  }
}

const undated = (answer: string): string => answer.replace(/\r\ndate: [^\r]+/i, '')

/** Status, headers by name and body: what a client sees. */
function seen(answer: string): unknown {
  const at = answer.indexOf('\r\n\r\n')
  const [first, ...lines] = undated(answer.slice(0, at)).split('\r\n')
  const headers = lines.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase()))
  return [first, headers.map((line) => line.toLowerCase()).sort(), answer.slice(at)]
}

test('law: a request cut anywhere is served as Node serves it', async (t) => {
  const { port, errors } = await openDoor(t, mirror)
  const word = fc.stringMatching(/^[a-z]{1,8}$/)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
      fc.array(word, { maxLength: 3 }),
      fc.option(word),
      fc.dictionary(
        word.map((name) => `X-${name}`),
        fc.stringMatching(/^[!-~]([ -~\xa0-\xff\t]{0,20}[!-~])?$/),
        { maxKeys: 5, noNullPrototype: true },
      ),
      fc.option(fc.string({ maxLength: 300 })),
      fc.array(fc.nat({ max: 400 }), { maxLength: 3 }),
      async (method, path, query, headers, body, cuts) => {
        const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
        fc.pre(names.size === Object.keys(headers).length && !names.has('x-twice'))
        const bytes = Buffer.from(body ?? '')
        const make = (...more: string[]): Buffer =>
          Buffer.concat([
            Buffer.from(
              head(
                `${method} /${path.join('/')}${query === null ? '' : `?${query}`}`,
                ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
                ...(body === null ? [] : [`Content-Length: ${bytes.length}`]),
                ...more,
                close,
              ),
              'latin1',
            ),
            bytes,
          ])
        const plain = make()
        const client = openClient(port)
        let from = 0
        for (const cut of [...cuts.sort((a, b) => a - b), plain.length]) {
          const to = Math.min(cut, plain.length)
          client.socket.write(plain.subarray(from, to))
          from = to
          await new Promise((resolve) => setImmediate(resolve))
        }
        const { text } = await client.end()
        assert.equal(statusOf(text), 200)
        assert.deepEqual(seen(text), seen(await exchange(port, make(...notPlain))))
      },
    ),
    { numRuns: 60 },
  )
  assert.deepEqual(errors, [])
})

test('one connection carries plain requests and others by turns', async (t) => {
  const { port } = await openDoor(t, async (incoming) => ({
    status: 200,
    headers: {},
    body: `<${incoming.path} ${Buffer.from(await incoming.body())}>`,
  }))
  const chunked = `${head('POST /chunked', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`
  const plain = (path: string) => `${head(`POST ${path}`, 'Content-Length: 2')}hi`
  const client = openClient(port)
  for (const [bytes, expected] of [
    [plain('/1'), '</1 hi>'],
    [plain('/2'), '</2 hi>'],
    [chunked, '</chunked abc>'],
    [plain('/3'), '</3 hi>'],
    [chunked, '</chunked abc>'],
  ] as const) {
    const before = client.text().length
    client.socket.write(bytes)
    await eventually(() => client.text().slice(before).endsWith(expected))
  }
  client.socket.destroy()
  // And all at once, behind each other.
  const text = await openClient(port, plain('/1') + chunked + plain('/2') + plain('/3')).until(
    /3 hi/,
  )
  assert.deepEqual(text.match(/<[^>]+>/g), ['</1 hi>', '</chunked abc>', '</2 hi>', '</3 hi>'])
})

const large = 'x'.repeat(200_000)
const bodies: [name: string, body: string, pieces: number][] = [
  ['none', '', 1],
  ['64 KB', large.slice(0, 64 * 1024), 1],
  ['64 KB in pieces', large.slice(0, 64 * 1024), 5],
  ['in very many pieces', large.slice(0, 100), 100],
  ['more than 64 KB', large, 1],
  ['more than 64 KB in pieces', large, 10],
]
for (const [name, body, pieces] of bodies)
  test(`a body: ${name}`, async (t) => {
    const { port } = await openDoor(t, async (incoming) => ({
      status: 200,
      headers: {},
      body: `${(await incoming.body()).length}`,
    }))
    const bytes = head('POST /', `Content-Length: ${body.length}`, close) + body
    const client = openClient(port)
    const size = Math.ceil(bytes.length / pieces)
    for (let at = 0; at < bytes.length; at += size) {
      client.socket.write(bytes.slice(at, at + size))
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(bodyOf((await client.end()).text), `${body.length}`)
  })

test('a client that pauses in the midst of a request is waited for', async (t) => {
  const { port } = await openDoor(t, mirror, { limits: { headMs: 400 } })
  const client = openClient(port, 'POST /slow HTTP/1.1\r\nHost: ')
  await sleep(100)
  client.socket.write('test\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabc')
  await sleep(600)
  client.socket.write('def')
  const { text } = await client.end()
  assert.equal(JSON.parse(bodyOf(text)).body, 'abcdef')
})

test('a route may take less', async (t) => {
  const { port } = await openDoor(t, mirror, { bodyLimitOf: (path) => (path === '/a' ? 4 : 5) })
  const ask = (path: string) =>
    exchange(port, `${head(`POST ${path}`, 'Content-Length: 5', close)}hello`)
  assert.equal(statusOf(await ask('/a')), 413)
  assert.equal(statusOf(await ask('/b')), 200)
})

async function all(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for await (const piece of stream) pieces.push(piece)
  return pieces
}

test('body() may be asked for twice, and again as a stream, but not after stream()', async (t) => {
  const ways: Record<string, (incoming: Incoming) => Promise<unknown>> = {
    '/again': async (incoming) => {
      const [first, second] = [await incoming.body(), await incoming.body()]
      const streamed = await all(incoming.stream())
      return [first, second, Buffer.concat(streamed)].map((bytes) => `${Buffer.from(bytes)}`)
    },
    '/after': async (incoming) => {
      const streamed = await all(incoming.stream())
      const refused = await incoming.body().catch((error: Error) => error.message)
      return [`${Buffer.concat(streamed)}`, refused]
    },
  }
  const { port } = await openDoor(t, async (incoming) => ({
    status: 200,
    headers: {},
    body: JSON.stringify(await ways[incoming.path]?.(incoming)),
  }))
  const ask = async (path: string) =>
    JSON.parse(
      bodyOf(await exchange(port, `${head(`POST ${path}`, 'Content-Length: 2', close)}hi`)),
    )
  assert.deepEqual(await ask('/again'), ['hi', 'hi', 'hi'])
  assert.deepEqual(await ask('/after'), ['hi', 'Internal server error'])
})

test('a connection that lies idle keeps no large head', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const used = () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const { port } = await openDoor(t, async () => ({ status: 200, headers: {}, body: 'told' }))
  const request = head('GET /', ...['a', 'b'].map((name) => `x-${name}: ${name.repeat(15_000)}`))
  const clients = Array.from({ length: 20 }, () => openClient(port))
  const before = used()
  for (const client of clients)
    for (const answers of [/told$/, /told[\s\S]*told$/, /told[\s\S]*told[\s\S]*told$/]) {
      client.socket.write(request)
      await client.until(answers)
    }
  const each = (used() - before) / clients.length
  for (const { socket } of clients) socket.destroy()
  assert.ok(each < 40_000, `${each} bytes`)
})

test('empty lines between requests are passed over', async (t) => {
  const { port } = await openDoor(t, mirror)
  const client = openClient(port, `${head('GET /1')}\r\n`)
  await client.until(/\/1[\s\S]*\}$/)
  client.socket.write(`\r\n${head('GET /2', close)}`)
  assert.match((await client.end()).text, /\/2/)
})

const headers: [name: string, headers: Record<string, string>][] = [
  ['a line end in a value', { 'x-a': 'b\r\nc: d' }],
  ['a bare line feed in a value', { 'x-a': 'b\nc: d' }],
  ['a NUL in a value', { 'x-a': 'b\0' }],
  ['a value beyond latin1', { 'x-a': '€' }],
  ['a blank in a name', { 'x a': 'b' }],
  ['a line end in a name', { 'x-a\r\nb': 'c' }],
  ['an empty name', { '': 'b' }],
]
for (const [name, sent] of headers)
  test(`an answer with ${name} is not sent`, async (t) => {
    const { port, errors } = await openDoor(t, async () => ({
      status: 200,
      headers: sent,
      body: 'never',
    }))
    const text = await exchange(port, head('GET /', close))
    assert.equal(statusOf(text), 500)
    assert.doesNotMatch(text, /never|x-a/)
    assert.equal(errors.length, 1)
  })

test('bytes, texts and their encodings arrive as they are', async (t) => {
  const sizes = [0, 1, 5, 16_383, 16_385, 100_000]
  const kinds = {
    ascii: (size: number) => 'a'.repeat(size),
    utf8: (size: number) => 'é€'.repeat(size),
    bytes: (size: number) => Buffer.alloc(size, 0xe9),
    latin1: (size: number) => '\xe9'.repeat(size),
  }
  const { port } = await openDoor(t, async ({ path }) => {
    const [, kind = '', size = '', how = ''] = path.split('/')
    const make = kinds[kind as keyof typeof kinds]
    const body = make(Number(size))
    const encoding = kind === 'latin1' ? ({ encoding: 'latin1' } as const) : {}
    const streamed = async function* () {
      yield body
      yield body
    }
    return { status: 200, headers: {}, ...encoding, body: how === 'whole' ? body : streamed() }
  })
  for (const [kind, make] of Object.entries(kinds))
    for (const size of sizes)
      for (const how of ['whole', 'streamed']) {
        const answer = await fetch(`http://127.0.0.1:${port}/${kind}/${size}/${how}`)
        const got = Buffer.from(await answer.arrayBuffer())
        const once = Buffer.from(make(size) as string, kind === 'latin1' ? 'latin1' : 'utf8')
        const expected = how === 'whole' ? once : Buffer.concat([once, once])
        assert.ok(got.equals(expected), `${kind} ${size} ${how}: ${got.length}`)
      }
})

test('closing: idle connections go, one that is answered is told that it was the last', async (t) => {
  let release = () => {}
  const { port, door } = await openDoor(t, async ({ path }) => {
    if (path === '/slow') await new Promise<void>((resolve) => void (release = resolve))
    return { status: 200, headers: {}, body: 'fine' }
  })
  const idle = openClient(port, head('GET /'))
  await idle.until(/fine$/)
  const busy = openClient(port, head('GET /slow'))
  await eventually(() => door.inFlight() === 1)
  const closed = door.close({ graceMs: 5000 })
  await idle.end()
  release()
  assert.match((await busy.end()).text, /connection: close[\s\S]*fine$/)
  await closed
  assert.equal(door.connections(), 0)
})
