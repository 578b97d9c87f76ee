import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { createGzip, gzipSync } from 'node:zlib'
import { type NodeTransportOptions, nodeTransport } from '../../src/call/transport.node.ts'
import type { Upstream } from '../../src/call/transport.ts'
import { GatewayError } from '../../src/errors.ts'

const closing: (() => void)[] = []
after(() => {
  for (const close of closing) close()
})

function open(options: NodeTransportOptions = {}) {
  const transport = nodeTransport(options)
  closing.push(() => void transport.close())
  return transport
}

type Site = { url: string; server: Server; sockets: Socket[] }

async function serve(listener: RequestListener): Promise<Site> {
  const server = createServer(listener)
  return { ...(await listen(server)), server }
}
async function listen(server: ReturnType<typeof createTcpServer>): Promise<Omit<Site, 'server'>> {
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

const words = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const ask = (url: string, more: Partial<Upstream> = {}): Upstream => ({
  url,
  headers: {},
  body: 'hello',
  ...more,
})
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function fault(promise: Promise<unknown>): Promise<GatewayError> {
  try {
    await promise
  } catch (error) {
    assert.ok(GatewayError.is(error), `not a GatewayError: ${error}`)
    return error
  }
  assert.fail('no fault')
}

const answer = (text: string, more = '') =>
  `HTTP/1.1 200 OK\r\n${more}content-length: ${text.length}\r\n\r\n${text}`

describe('connections', () => {
  test('one after another share a connection, side by side have their own', async () => {
    const { url, sockets } = await serve((_request, response) => response.end('x'))
    const transport = open()
    const call = async () => words(await (await transport(ask(url))).bytes())
    for (let at = 0; at < 5; at++) assert.equal(await call(), 'x')
    assert.equal(sockets.length, 1)
    await Promise.all([call(), call(), call()])
    assert.equal(sockets.length, 3)
    await Promise.all([call(), call(), call()])
    assert.equal(sockets.length, 3)
  })

  test('equal settings share a connection, other settings do not', async () => {
    const { url, sockets } = await serve((_request, response) => response.end('x'))
    const transport = open({ defaults: { verifyTls: true } })
    const settings = [
      undefined,
      {},
      { verifyTls: true },
      { verifyTls: false },
      { verifyTls: false },
    ]
    for (const connection of settings) await (await transport(ask(url, { connection }))).bytes()
    assert.equal(sockets.length, 2)
  })

  test('a connection the server closed while idle is not noticed by anyone', async () => {
    const { url, sockets } = await serve((_request, response) => response.end('x'))
    const transport = open({ idleMs: 0 })
    for (let at = 0; at < 3; at++) {
      await (await transport(ask(url))).bytes()
      sockets.at(-1)?.[at === 1 ? 'resetAndDestroy' : 'destroy']()
      if (at > 0) await pause(10)
    }
    assert.equal(words(await (await transport(ask(url))).bytes()), 'x')
  })

  describe('a kept-alive connection that closes instead of answering', () => {
    const stale = async (more: Partial<Upstream>, freshToo = false, idleMs = 0) => {
      let heard = 0
      const site = await listen(
        createTcpServer((socket) => {
          let first = !freshToo || site.sockets.length === 0
          socket.on('data', () => {
            heard++
            if (first) socket.write(answer('x'))
            else socket.end()
            first = false
          })
        }),
      )
      const transport = open({ idleMs })
      await (await transport(ask(site.url))).bytes()
      const second = transport(ask(site.url, more)).then(async (reply) =>
        words(await reply.bytes()),
      )
      return { second, heard: () => heard, sockets: site.sockets }
    }
    test('is replaced by a fresh one, unseen', async () => {
      const { second, heard, sockets } = await stale({})
      assert.equal(await second, 'x')
      assert.deepEqual([heard(), sockets.length], [3, 2])
    })
    test('but not where it served just now: then the peer has heard the request', async () => {
      const { second, heard } = await stale({}, false, 1000)
      assert.equal((await fault(second)).kind, 'bad_gateway')
      assert.equal(heard(), 2)
    })
    test('once', async () => {
      const { second, heard } = await stale({}, true)
      assert.equal((await fault(second)).kind, 'bad_gateway')
      assert.equal(heard(), 3)
    })
    test('not for a body that cannot be sent again', async () => {
      async function* upload() {
        yield Buffer.from('part')
      }
      const { second, sockets } = await stale({ body: upload() })
      assert.equal((await fault(second)).kind, 'bad_gateway')
      assert.equal(sockets.length, 1)
    })
    test('not when some of the answer has come', async () => {
      const site = await listen(
        createTcpServer((socket) => {
          let first = true
          socket.on('data', () => {
            if (first) socket.write(answer('x'))
            else socket.end('HTTP/1.1 2')
            first = false
          })
        }),
      )
      const transport = open({ idleMs: 0 })
      await (await transport(ask(site.url))).bytes()
      assert.equal((await fault(transport(ask(site.url)))).kind, 'bad_gateway')
      assert.equal(site.sockets.length, 1)
    })
  })

  test('a full house queues, a full queue refuses, a queue has an end', async () => {
    const waiting: (() => void)[] = []
    const { url, sockets } = await serve((_request, response) => {
      waiting.push(() => response.end('x'))
    })
    const transport = open({ connectionsMax: 1, waitingMax: 2 })
    const first = transport(ask(url))
    await pause(10)
    const controller = new AbortController()
    const second = transport(ask(url, { signal: controller.signal }))
    const third = fault(transport(ask(url, { limits: { connectMs: 40 } })))
    assert.equal((await fault(transport(ask(url)))).kind, 'unavailable')
    controller.abort()
    assert.equal((await fault(second)).kind, 'canceled')
    const fourth = transport(ask(url))
    assert.match((await third).message, /no connection to the upstream within 40 ms/)
    waiting[0]?.()
    await (await first).bytes()
    while (waiting.length < 2) await pause(2)
    waiting[1]?.()
    await (await fourth).bytes()
    assert.deepEqual([waiting.length, sockets.length], [2, 1])
  })

  test('many wait for few, and all are served', async () => {
    const { url, sockets } = await serve((_request, response) => response.end('x'))
    const transport = open({ connectionsMax: 3 })
    const calls = Array.from({ length: 60 }, async () =>
      words(await (await transport(ask(url))).bytes()),
    )
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['x']))
    assert.equal(sockets.length, 3)
  })

  test('an answer that closes its connection gives its place to the next', async () => {
    const { url, sockets } = await serve((_request, response) =>
      response.writeHead(200, { connection: 'close' }).end('x'),
    )
    const transport = open({ connectionsMax: 2 })
    const calls = Array.from({ length: 8 }, async () => (await transport(ask(url))).bytes())
    await Promise.all(calls)
    assert.equal(sockets.length, 8)
  })

  test('of too many pools the idle one that was used longest ago is closed', async () => {
    const sites = await Promise.all(
      Array.from({ length: 3 }, () => serve((_request, response) => response.end('x'))),
    )
    const transport = open({ poolsMax: 2 })
    for (const { url } of sites) await (await transport(ask(url))).bytes()
    await pause(10)
    assert.deepEqual(
      sites.map(({ sockets }) => sockets[0]?.destroyed),
      [true, false, false],
    )
  })

  test('close ends what is idle, what runs and what waits', async () => {
    const { url, sockets } = await serve(({ url: path }, response) => {
      if (path === '/run') response.write('x')
      else if (path !== '/wait') response.end('x')
    })
    const transport = open({ connectionsMax: 3 })
    const running = await transport(ask(`${url}/run`))
    const calls = [transport(ask(`${url}/wait`)), transport(ask(url)).then((r) => r.bytes())]
    await calls[1]
    const [waits, queued] = [fault(transport(ask(`${url}/wait`))), fault(transport(ask(url)))]
    await pause(10)
    await transport.close()
    const errors = await Promise.all([
      fault(running.bytes()),
      fault(calls[0] ?? waits),
      waits,
      queued,
    ])
    assert.deepEqual(
      errors.map(({ kind }) => kind),
      ['unavailable', 'unavailable', 'unavailable', 'unavailable'],
    )
    assert.equal((await fault(transport(ask(url)))).kind, 'unavailable')
    await pause(10)
    assert.ok(sockets.every((socket) => socket.destroyed))
  })

  test('an attempt to connect ends with its limit, its abort, or its close', async () => {
    // Accepts, and never says a word of TLS.
    const { url, sockets } = await listen(createTcpServer((socket) => socket.resume()))
    const secure = url.replace('http:', 'https:')
    const transport = open({ connectMs: 50 })
    const since = performance.now()
    const slow = await fault(transport(ask(secure)))
    assert.match(slow.message, /no connection to the upstream within 50 ms \(connect limit\)/)
    assert.ok(performance.now() - since < 110)
    const controller = new AbortController()
    const aborted = fault(
      transport(ask(secure, { signal: controller.signal, limits: { connectMs: 0 } })),
    )
    await pause(15)
    controller.abort()
    assert.equal((await aborted).kind, 'canceled')
    const closed = fault(transport(ask(secure)))
    await pause(15)
    await transport.close()
    assert.equal((await closed).kind, 'unavailable')
    await pause(15)
    assert.deepEqual(
      sockets.map(({ destroyed }) => destroyed),
      [true, true, true],
    )
  })
})

describe('answers', () => {
  test('informational answers are passed over', async () => {
    const { url } = await listen(
      createTcpServer((socket) =>
        socket.on('data', () =>
          socket.write(
            `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${answer('x', 'x-a: 1\r\n')}`,
          ),
        ),
      ),
    )
    const reply = await open()(ask(url))
    assert.deepEqual(
      [reply.status, reply.header('x-a'), reply.header('link')],
      [200, '1', undefined],
    )
    assert.equal(words(await reply.bytes()), 'x')
  })

  test('what cannot be written as HTTP is a clear fault, and its value is not told', async () => {
    const { url, sockets } = await serve((_request, response) => response.end('x'))
    const transport = open()
    const cases: [Partial<Upstream>, RegExp][] = [
      [{ headers: { 'x-key': 'pa55\r\nevil: 1' } }, /invalid x-key header/],
      [{ headers: { 'a b': 'pa55' } }, /invalid header/],
      [{ headers: { 'content-length': '3' } }, /content-length/],
    ]
    for (const [more, text] of cases) {
      const error = await fault(transport(ask(url, more)))
      assert.equal(error.kind, 'bad_request')
      assert.match(error.message, text)
      assert.doesNotMatch(error.message, /pa55/)
    }
    assert.equal(words(await (await transport(ask(url))).bytes()), 'x')
    assert.ok(sockets.length <= 2)
  })

  test('garbage in the middle of an answer', async () => {
    const { url } = await listen(
      createTcpServer((socket) =>
        socket.on('data', () =>
          socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
        ),
      ),
    )
    const error = await fault(open()(ask(url)).then((reply) => reply.bytes()))
    assert.equal(error.kind, 'bad_gateway')
    assert.match(error.message, /did not answer in HTTP\/1\.1/)
  })

  test('codings: several at once, none that is known, none at all, and not what it says', async () => {
    const cases: [coding: string, body: string | Buffer, expected: string | RegExp][] = [
      ['gzip, gzip', gzipSync(gzipSync('deep')), 'deep'],
      ['utf-8', 'plain', 'plain'],
      ['identity', 'plain', 'plain'],
      ['gzip', '', ''],
      ['gzip', gzipSync('no trailer').subarray(0, -8), 'no trailer'],
      ['gzip', 'plain', /not the gzip it says it is/],
      ['zstd', 'plain', /not the zstd it says it is/],
    ]
    for (const [coding, body, expected] of cases) {
      const { url } = await serve((_request, response) =>
        response.writeHead(200, { 'content-encoding': coding }).end(body),
      )
      const reply = await open()(ask(url))
      if (typeof expected === 'string') assert.equal(words(await reply.bytes()), expected, coding)
      else assert.match((await fault(reply.bytes())).message, expected)
    }
  })

  test('a compressed stream is read event by event', async () => {
    let said = () => {}
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      const gzip = createGzip()
      gzip.pipe(response)
      gzip.write('one')
      gzip.flush()
      said = () => void gzip.end('two')
    })
    const got: string[] = []
    for await (const chunk of (await open()(ask(url))).body) {
      got.push(words(chunk))
      said()
    }
    assert.deepEqual(got, ['one', 'two'])
  })

  test('a bomb fills nothing: neither read whole nor read slowly', async () => {
    const bomb = gzipSync(Buffer.alloc(128 << 20), { level: 1 })
    const { url } = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    )
    const transport = open({ maxBytes: 4 << 20 })
    const before = process.memoryUsage().rss
    const error = await fault(transport(ask(url)).then((reply) => reply.bytes()))
    assert.match(error.message, /larger than 4194304 bytes/)
    const { body } = await transport(ask(url))
    let read = 0
    for await (const chunk of body) {
      read += chunk.length
      if (read > 1 << 20) break
      await pause(1)
    }
    const grown = (process.memoryUsage().rss - before) >> 20
    assert.ok(grown < 60, `${grown} MB`)
  })

  test('a slow reader slows the upstream, and misses nothing', async () => {
    const total = 200 << 20
    const piece = Buffer.alloc(1 << 20, 7)
    let written = 0
    const { url } = await serve((_request, response) => {
      const more = () => {
        while (written < total) {
          written += piece.length
          if (!response.write(piece)) return void response.once('drain', more)
        }
        response.end()
      }
      more()
    })
    const transport = open()
    const before = process.memoryUsage().rss
    // An idle limit must not take the reader's slowness for the upstream's.
    const { body } = await transport(ask(url, { limits: { idleMs: 60 } }))
    await pause(100)
    assert.ok(written < 32 << 20, `${written >> 20} MB were sent before anyone read`)
    let read = 0
    let behind = 0
    let peak = 0
    let chunks = 0
    for await (const chunk of body) {
      read += chunk.length
      behind = Math.max(behind, written - read)
      if (++chunks % 256 !== 0) continue
      peak = Math.max(peak, process.memoryUsage().rss)
      await pause(1)
    }
    assert.equal(read, total)
    assert.ok(behind < 32 << 20, `${behind >> 20} MB behind`)
    assert.ok((peak - before) >> 20 < 120, `${(peak - before) >> 20} MB more`)
  })
})
