import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { fetchTransport } from '../../src/call/fetch.ts'
import { nodeTransport } from '../../src/call/transport.node.ts'
import { readAll, type Transport, type Upstream } from '../../src/call/transport.ts'
import { GatewayError } from '../../src/errors.ts'

/** One contract, every transport. */
const own = nodeTransport()
const transports: Record<string, Transport> = {
  'connections of our own': own,
  fetch: fetchTransport(),
}
const closing: (() => void)[] = [() => void own.close()]
after(() => {
  for (const close of closing) close()
})

async function listen(
  server: { listen(port: number, host: string): unknown } & Server,
): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.close()
    server.closeAllConnections?.()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const serve = (listener: RequestListener) => listen(createServer(listener))

/** An upstream below HTTP: `speak` has the socket once the request's head has come. */
function serveRaw(speak: (socket: Socket, head: string) => void): Promise<string> {
  const server = createTcpServer((socket) => {
    closing.push(() => socket.destroy())
    socket.on('error', () => {})
    socket.on('data', (bytes) => speak(socket, bytes.toString('latin1')))
  })
  // What is needed of an http.Server is in a net.Server too.
  return listen(server as Server)
}

const words = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const ask = (url: string, more: Partial<Upstream> = {}): Upstream => ({ url, headers: {}, ...more })
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

for (const [name, transport] of Object.entries(transports)) {
  const read = async (request: Upstream) => words(await (await transport(request)).bytes())

  describe(name, () => {
    test('a request arrives as it was meant, for every kind of body', async () => {
      const url = await serve(async (request, response) => {
        const body = await readAll(request)
        response.end(`${request.method} ${request.url} ${request.headers['x-a']} ${words(body)}`)
      })
      async function* pieces() {
        yield Buffer.from('by ')
        yield Buffer.from('piece')
      }
      const headers = { 'x-a': '1', connection: 'close', 'transfer-encoding': 'chunked' }
      const cases: [Partial<Upstream>, string][] = [
        [{ body: 'text é' }, 'POST /p?q=1 1 text é'],
        [{ body: Buffer.from('xbytesx').subarray(1, 6) }, 'POST /p?q=1 1 bytes'],
        [{ body: pieces() }, 'POST /p?q=1 1 by piece'],
        [{ method: 'PUT' }, 'PUT /p?q=1 1 '],
        [{ method: 'GET' }, 'GET /p?q=1 1 '],
        [{ method: 'DELETE' }, 'DELETE /p?q=1 1 '],
      ]
      for (const [more, expected] of cases)
        assert.equal(await read({ url: `${url}/p?q=1`, headers, ...more }), expected)
    })

    test('an answer keeps its status and headers, but not its cookies', async () => {
      const url = await serve((_request, response) => {
        response.writeHead(
          418,
          [
            ['X-Two', 'a'],
            ['X-Two', 'b'],
            ['Set-Cookie', 'secret=1'],
            ['X-One', 'é'],
          ].flat(),
        )
        response.end('tea')
      })
      const reply = await transport(ask(url))
      assert.equal(reply.status, 418)
      assert.equal(reply.header('x-two'), 'a, b')
      assert.equal(reply.header('set-cookie'), undefined)
      assert.equal(reply.header('constructor'), undefined)
      const headers = reply.headers()
      assert.equal(headers['x-two'], 'a, b')
      assert.equal('set-cookie' in headers, false)
      assert.equal(words(await reply.bytes()), 'tea')
      await fault(reply.bytes())
    })

    test("the URL's login becomes a header, and identity is asked for", async () => {
      const url = await serve(({ headers }, response) => {
        response.end(`${headers.authorization} ${headers['accept-encoding']}`)
      })
      const login = url.replace('//', '//us%40er:p%40ss@')
      const basic = `Basic ${btoa('us@er:p@ss')}`
      assert.equal(await read(ask(login)), `${basic} identity`)
      const own = { authorization: 'Bearer k', 'accept-encoding': 'gzip' }
      assert.equal(await read(ask(login, { headers: own })), 'Bearer k gzip')
    })

    test('what is not a URL is a clear fault', async () => {
      for (const url of ['', 'nonsense', 'ftp://127.0.0.1/', '//x'])
        assert.match((await fault(transport(ask(url)))).message, /https:\/\/host\/path/)
    })

    test('limits are kept to a few milliseconds and named', async () => {
      const url = await serve(async (request, response) => {
        if (request.url === '/mute') return
        response.write('a')
        if (request.url === '/stuck') return
        for (let step = 0; step < 12 && !response.destroyed; step++) {
          await pause(15)
          response.write('b')
        }
        response.end()
      })
      const cases: [path: string, limits: Upstream['limits'], fault: RegExp | undefined][] = [
        ['/mute', { firstByteMs: 50 }, /begin to answer within 50 ms \(first byte limit\)/],
        ['/mute', { totalMs: 50, firstByteMs: 9e9 }, /not complete within 50 ms \(total limit\)/],
        ['/stuck', { idleMs: 50, firstByteMs: 600_000 }, /nothing for 50 ms \(idle limit\)/],
        ['/drip', { totalMs: 50, idleMs: 9e9 }, /within 50 ms \(total limit\)/],
        ['/drip', { idleMs: 120, totalMs: 3000, firstByteMs: 1000 }, undefined],
        ['/drip', { idleMs: 0, totalMs: 0, firstByteMs: 0, connectMs: 0 }, undefined],
      ]
      await Promise.all(
        cases.map(async ([path, limits, text]) => {
          if (!text) return assert.equal(await read(ask(url + path, { limits })), 'abbbbbbbbbbbb')
          // A busy machine may be late once; a coarse timer is late every time.
          let quickest = Number.POSITIVE_INFINITY
          for (let attempt = 0; attempt < 4 && quickest > 75; attempt++) {
            const since = performance.now()
            const error = await fault(read(ask(url + path, { limits })))
            const ms = performance.now() - since
            assert.match(error.message, text)
            assert.deepEqual([error.kind, error.status], ['timeout', 408])
            assert.ok(ms >= 49, `${path} took ${ms} ms`)
            quickest = Math.min(quickest, ms)
          }
          assert.ok(quickest <= 75, `${path} took ${quickest} ms`)
        }),
      )
    })

    test('a process that was busy does not blame the upstream', async () => {
      let more = () => {}
      const url = await serve((_request, response) => {
        response.write('a')
        more = () => response.write('b')
      })
      const { body } = await transport(ask(url, { limits: { idleMs: 40 } }))
      let got = ''
      const error = await fault(
        (async () => {
          for await (const chunk of body) {
            got += words(chunk)
            if (got !== 'a') continue
            const waiting = performance.now() + 20
            while (performance.now() < waiting);
            more()
            // The bytes are there, and so is the end of the limit.
            setImmediate(() => {
              while (performance.now() < waiting + 60);
            })
          }
        })(),
      )
      assert.equal(got, 'ab')
      assert.match(error.message, /idle limit/)
    })

    test('what breaks has a kind, a status and a text that gives nothing away', async () => {
      const dead = await serveRaw(() => {})
      closing.pop()?.()
      const cases: [name: string, url: string, kind: string, status: number, text: RegExp][] = [
        ['nobody listens', dead, 'provider', 500, /refused by the upstream \(ECONNREFUSED\)/],
        ['no such host', 'http://no-such-host.invalid', 'provider', 500, /host name|reached/],
        [
          'hangs up',
          await serveRaw((socket) => socket.end()),
          'bad_gateway',
          502,
          /without an answer/,
        ],
        [
          'resets',
          await serveRaw((socket) => socket.resetAndDestroy()),
          'bad_gateway',
          502,
          /without an answer/,
        ],
        [
          'not HTTP',
          await serveRaw((socket) => socket.end('SSH-2.0-OpenSSH\r\n')),
          'bad_gateway',
          502,
          /did not answer in HTTP/,
        ],
      ]
      for (const [what, url, kind, status, text] of cases) {
        const error = await fault(transport(ask(url.replace('//', '//user:pa55@'))))
        assert.deepEqual([error.kind, error.status], [kind, status], what)
        assert.match(error.message, text, what)
        assert.match(error.message, /^Connection error: /)
        assert.doesNotMatch(error.message, /pa55|127\.0\.0\.1|\.js|at /)
        assert.ok(error.cause)
      }
    })

    test('an answer that is cut short says so, after what did come', async () => {
      const cuts = {
        length: 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
        chunked: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
        'chunked, last of its connection':
          'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      }
      for (const [how, bytes] of Object.entries(cuts))
        for (const end of ['end', 'resetAndDestroy'] as const) {
          const url = await serveRaw((socket) => {
            socket.write(bytes)
            setTimeout(() => socket[end](), 15)
          })
          const reply = await transport(ask(url))
          let got = ''
          const error = await fault(
            (async () => {
              for await (const chunk of reply.body) got += words(chunk)
            })(),
          )
          assert.equal(got, 'half', how)
          assert.deepEqual(
            [error.kind, error.message],
            ['bad_gateway', 'the upstream closed the connection before the answer was complete'],
          )
        }
    })

    test('an answer that ends with its connection is complete', async () => {
      const url = await serveRaw((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'))
      assert.equal(await read(ask(url)), 'all of it')
    })

    describe('an abort ends the upstream request at once', () => {
      const abortAt = async (when: 'head' | 'body' | 'gather') => {
        let seen = () => {}
        const arrived = new Promise<void>((resolve) => (seen = resolve))
        let gone = (_at: number) => {}
        const closed = new Promise<number>((resolve) => (gone = resolve))
        const url = await serve((request, response) => {
          request.socket.on('close', () => gone(performance.now()))
          if (when !== 'head') response.write('x')
          seen()
        })
        const controller = new AbortController()
        const call = transport(ask(url, { signal: controller.signal }))
        const reading = (async () => {
          const reply = await call
          if (when === 'gather') return reply.bytes()
          for await (const _ of reply.body);
        })()
        const failed = fault(reading)
        await arrived
        await pause(15)
        const at = performance.now()
        controller.abort()
        assert.equal((await failed).kind, 'canceled')
        assert.ok((await closed) - at < 200)
        assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
      }
      test('while waiting for the head', () => abortAt('head'))
      test('in the middle of the body', () => abortAt('body'))
      test('while the body is gathered', () => abortAt('gather'))
      test('before it began: nothing is sent', async () => {
        let asked = 0
        const url = await serve((_request, response) => {
          asked++
          response.end()
        })
        const error = await fault(transport(ask(url, { signal: AbortSignal.abort() })))
        assert.equal(error.kind, 'canceled')
        assert.equal(asked, 0)
      })
      test('a reason that is a fault is kept', async () => {
        const reason = new GatewayError('timeout', 'enough')
        const url = await serve(() => {})
        const controller = new AbortController()
        setTimeout(() => controller.abort(reason), 10)
        assert.equal(await fault(transport(ask(url, { signal: controller.signal }))), reason)
      })
    })

    test('leaving the loop early closes the upstream connection', async () => {
      let gone = () => {}
      const closed = new Promise<void>((resolve) => (gone = resolve))
      const url = await serve((request, response) => {
        request.socket.on('close', gone)
        response.write('first')
      })
      const { body } = await transport(ask(url))
      for await (const chunk of body) {
        assert.equal(words(chunk), 'first')
        break
      }
      await closed
    })

    test('a signal that outlives its calls keeps nothing of them', async () => {
      const url = await serve((_request, response) => response.end('x'))
      const { signal } = new AbortController()
      for (let call = 0; call < 20; call++) await read(ask(url, { signal }))
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    })

    test('redirects: within the origin only', async () => {
      const other = await serve((_request, response) => response.end('stolen'))
      const url = await serve(async (request, response) => {
        const at = new URL(request.url ?? '', 'http://x')
        const status = Number(at.searchParams.get('status'))
        if (at.pathname === '/end') {
          const body = words(await readAll(request))
          const type = request.headers['content-type']
          return response.end(`${request.method} ${body} ${type} ${request.headers.authorization}`)
        }
        response.writeHead(status, { location: at.searchParams.get('to') ?? '' }).end('moved')
      })
      const to = (status: number, target: string) =>
        `${url}/?status=${status}&to=${encodeURIComponent(target)}`
      const post = {
        headers: { authorization: 'key', 'content-type': 'text/plain' },
        body: 'said',
      }
      for (const status of [307, 308])
        assert.equal(await read({ url: to(status, '/end'), ...post }), 'POST said text/plain key')
      for (const status of [301, 302, 303])
        assert.equal(await read({ url: to(status, '/end'), ...post }), 'GET  undefined key')
      assert.equal(
        await read({ url: to(307, to(307, to(307, '/end'))), ...post }),
        'POST said text/plain key',
      )

      async function* upload() {
        yield Buffer.from('said')
      }
      const loop = await serve((_request, response) =>
        response.writeHead(307, { location: '/again' }).end(),
      )
      const refused: [Upstream, RegExp][] = [
        [
          { url: to(307, `${other}/?key=pa55`), ...post },
          /^the provider redirected to another origin, which is not followed/,
        ],
        [{ url: to(302, 'https://127.0.0.1/end'), ...post }, /another origin/],
        [{ url: to(302, 'http://['), ...post }, /not a URL/],
        [{ url: to(308, '/end'), headers: {}, body: upload() }, /cannot be sent twice/],
        [{ url: loop, ...post }, /more than 3 times/],
      ]
      for (const [request, text] of refused) {
        const error = await fault(transport(request))
        assert.equal(error.kind, 'bad_gateway')
        assert.match(error.message, text)
        assert.doesNotMatch(error.message, /pa55|127/)
      }
      const unmoved = await transport({ url: to(304, '/end'), ...post })
      assert.equal(unmoved.status, 304)
      await unmoved.bytes()
    })

    test('compressed answers are read as what they hold', async () => {
      const plain = 'the same text, again and again. '.repeat(400)
      const coded: [coding: string, body: Buffer][] = [
        ['gzip', gzipSync(plain)],
        ['x-gzip', gzipSync(plain)],
        ['deflate', deflateSync(plain)],
        ['deflate', deflateRawSync(plain)],
        ['BR', brotliCompressSync(plain)],
        ['zstd', zstdCompressSync(plain)],
      ]
      let at = 0
      const url = await serve((_request, response) => {
        const [coding = '', body = Buffer.alloc(0)] = coded[at] ?? []
        response.writeHead(200, { 'content-encoding': coding, 'content-length': body.length })
        response.end(body)
      })
      for (; at < coded.length; at++) {
        const reply = await transport(ask(url))
        assert.equal(reply.header('content-encoding'), undefined)
        assert.equal('content-length' in reply.headers(), false)
        assert.equal(words(await reply.bytes()), plain, coded[at]?.[0])
        const again = await transport(ask(url))
        assert.equal(words(await readAll(again.body)), plain)
      }
    })

    test('an answer larger than its limit is refused and its connection closed', async () => {
      let gone = () => {}
      const closed = new Promise<void>((resolve) => (gone = resolve))
      const url = await serve((request, response) => {
        request.socket.on('close', gone)
        response.write('x'.repeat(1001))
      })
      const reply = await transport(ask(url))
      const error = await fault(reply.bytes(1000))
      assert.equal(error.kind, 'bad_gateway')
      assert.match(error.message, /larger than 1000 bytes/)
      await closed
      const fits = await serve((_request, response) => response.end('x'.repeat(1000)))
      assert.equal((await (await transport(ask(fits))).bytes(1000)).length, 1000)
    })

    test('an upload is read no faster than the upstream takes it', async () => {
      let made = 0
      let ended = false
      async function* endless() {
        try {
          for (; made < 4096; made++) yield new Uint8Array(65_536)
        } finally {
          ended = true
        }
      }
      const url = await serve((request) => request.pause())
      const controller = new AbortController()
      const failed = fault(transport(ask(url, { body: endless(), signal: controller.signal })))
      await pause(80)
      assert.ok(made < 400, `${made} pieces of 64 KB were taken`)
      controller.abort()
      assert.equal((await failed).kind, 'canceled')
      await pause(5)
      assert.ok(ended)
    })

    test('an upload that breaks off tells why', async () => {
      const url = await serve((request) => request.resume())
      async function* broken(error: Error) {
        yield Buffer.from('a')
        throw error
      }
      const own = new GatewayError('too_large', 'the body is too large')
      assert.equal(await fault(transport(ask(url, { body: broken(own) }))), own)
      const error = await fault(transport(ask(url, { body: broken(new Error('disk')) })))
      assert.deepEqual(
        [error.kind, error.message],
        ['bad_request', 'the body of the request could not be read'],
      )
    })
  })
}
