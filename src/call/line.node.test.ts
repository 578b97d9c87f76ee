import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { GatewayError } from '../errors.ts'
import type { InboxReader } from './inbox.ts'
import { type NodeTransportOptions, nodeTransport } from './transport.node.ts'
import { readAll, type Upstream } from './transport.ts'

const closing: (() => void)[] = []
after(() => {
  for (const close of closing) close()
})

function open(options: NodeTransportOptions = {}) {
  const transport = nodeTransport(options)
  closing.push(() => void transport.close())
  return transport
}

type Site = { port: number; url: string; sockets: Socket[] }

async function listen(server: Server): Promise<Site> {
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
  const { port } = server.address() as AddressInfo
  return { port, url: `http://127.0.0.1:${port}`, sockets }
}
const serve = (listener: RequestListener) => listen(createServer(listener))

/** An upstream below HTTP: with each read it hears all that has come over the connection. */
const serveRaw = (speak: (socket: Socket, heard: string) => void) =>
  listen(
    createTcpServer((socket) => {
      let heard = ''
      socket.on('data', (bytes) => {
        heard += bytes.toString('latin1')
        speak(socket, heard)
      })
    }),
  )

const words = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const ask = (url: string, more: Partial<Upstream> = {}): Upstream => ({
  url,
  headers: {},
  body: 'hello',
  ...more,
})
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const answer = (text: string, more = '') =>
  `HTTP/1.1 200 OK\r\n${more}content-length: ${text.length}\r\n\r\n${text}`

async function until(what: () => boolean, ms = 2000): Promise<void> {
  for (const since = performance.now(); !what(); await pause(2))
    assert.ok(performance.now() - since < ms, `not within ${ms} ms: ${what}`)
}

async function fault(promise: Promise<unknown>): Promise<GatewayError> {
  try {
    await promise
  } catch (error) {
    assert.ok(GatewayError.is(error), `not a GatewayError: ${error}`)
    return error
  }
  assert.fail('no fault')
}

async function* pieces(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}

describe('an upload', () => {
  const echo = () =>
    serve(async (request: IncomingMessage, response) => {
      const body = words(await readAll(request))
      response.end(`${request.headers['content-length']} ${body}`)
    })

  test('goes under the length it says, and the connection serves again', async () => {
    const { url, sockets } = await echo()
    const transport = open()
    const cases: [length: string, texts: string[]][] = [
      ['9', ['one', '', 'two', 'six']],
      ['3', ['one']],
      ['0', []],
      ['0', ['']],
    ]
    for (const [length, texts] of cases) {
      const more = { headers: { 'content-length': length }, body: pieces(...texts) }
      const reply = await transport(ask(url, more))
      assert.equal(words(await reply.bytes()), `${length} ${texts.join('')}`)
    }
    assert.equal(sockets.length, 1)
  })

  test('of another length than it says reaches nobody as a whole', async () => {
    let whole = 0
    const { url, sockets } = await serve(async (request, response) => {
      await readAll(request).catch(() => undefined)
      if (request.complete) whole++
      response.end('x')
    })
    const transport = open()
    for (const texts of [['one'], [], ['one', 'two', 'three'], ['one, two, three']]) {
      const more = { headers: { 'content-length': '6' }, body: pieces(...texts) }
      const error = await fault(transport(ask(url, more)))
      assert.equal(error.kind, 'bad_request')
      assert.match(error.message, /not as long as its content-length says/)
    }
    await until(() => sockets.every((socket) => socket.destroyed))
    assert.equal(whole, 0)
    for (const length of ['-1', '1.5', 'x', '1e400'])
      assert.match(
        (
          await fault(
            transport(ask(url, { headers: { 'content-length': length }, body: pieces('x') })),
          )
        ).message,
        /invalid content-length header/,
      )
  })

  test('that is answered early ends there, and its connection with it', async () => {
    let asked = 0
    const site = await serveRaw((socket, heard) => {
      if (heard.endsWith('hello')) socket.write(answer('next'))
      else if (heard.includes('first') && asked++ === 0) socket.write(answer('enough'))
    })
    let left = false
    async function* endless() {
      try {
        yield Buffer.from('first')
        for (;;) {
          await pause(1)
          yield Buffer.from('more')
        }
      } finally {
        left = true
      }
    }
    const transport = open()
    assert.equal(
      words(await (await transport(ask(site.url, { body: endless() }))).bytes()),
      'enough',
    )
    await until(() => left && site.sockets[0]?.destroyed === true)
    assert.equal(words(await (await transport(ask(site.url))).bytes()), 'next')
    assert.equal(site.sockets.length, 2)
  })

  test('that is answered before its first byte does not wait for it', async () => {
    const site = await serveRaw((socket) => socket.write(answer('enough')))
    let left = false
    async function* mute() {
      try {
        await pause(300)
        yield Buffer.from('late')
      } finally {
        left = true
      }
    }
    assert.equal(words(await (await open()(ask(site.url, { body: mute() }))).bytes()), 'enough')
    await until(() => site.sockets[0]?.destroyed === true)
    await until(() => left)
  })
})

describe('a body in one piece that is answered before it was taken', () => {
  test('leaves a connection that nobody uses again', async () => {
    const site = await serveRaw((socket, heard) => {
      if (heard.includes('hello')) return socket.write(answer('next'))
      socket.pause()
      socket.write(answer('too large'))
    })
    const transport = open()
    const large = new Uint8Array(64 << 20)
    assert.equal(
      words(await (await transport(ask(site.url, { body: large }))).bytes()),
      'too large',
    )
    assert.equal(words(await (await transport(ask(site.url))).bytes()), 'next')
    assert.equal(site.sockets.length, 2)
  })
})

describe('big bodies', () => {
  const size = 1 << 20
  const big = Buffer.allocUnsafe(size)
  for (let at = 0; at < size; at++) big[at] = (at * 31) ^ (at >> 8)
  async function* slowly() {
    for (let at = 0; at < size; at += 50_000) yield big.subarray(at, at + 50_000)
  }
  const uploads: [name: string, more: () => Partial<Upstream>][] = [
    ['whole', () => ({ body: big })],
    ['in pieces', () => ({ body: slowly() })],
    [
      'in pieces of a known length',
      () => ({ body: slowly(), headers: { 'content-length': `${size}` } }),
    ],
  ]
  for (const [name, more] of uploads)
    test(`both ways at once, ${name}, over one connection, however slowly they are read`, async () => {
      const { url, sockets } = await serve(async (request, response) => {
        response.flushHeaders()
        for await (const chunk of request) {
          if (!response.write(chunk)) await once(response, 'drain')
          if (Math.random() < 0.1) await pause(1)
        }
        response.end()
      })
      const transport = open()
      for (let time = 0; time < 3; time++) {
        const got: Uint8Array[] = []
        const { body } = await transport(ask(url, more()))
        for await (const chunk of body) {
          got.push(chunk)
          if (got.length % 8 === 0) await pause(1)
        }
        assert.ok(Buffer.concat(got).equals(big))
      }
      assert.equal(sockets.length, 1)
    })

  test('one that is read after all of it has come holds up nobody', async () => {
    // At the size at which the network is asked to wait, and around it, plain and in coded form.
    for (const length of [262_143, 262_144, 300_000, size])
      for (const coded of [false, true]) {
        const body = coded
          ? gzipSync(big.subarray(0, length), { level: 0 })
          : big.subarray(0, length)
        const site = await serve((_request, response) => {
          const coding = coded ? { 'content-encoding': 'gzip' } : {}
          response.writeHead(200, { ...coding, 'content-length': body.length }).end(body)
        })
        const transport = open()
        const limits = { firstByteMs: 500, idleMs: 500 }
        const late = await transport(ask(site.url))
        await pause(20)
        const between = await transport(ask(site.url, { limits }))
        assert.equal((await between.bytes()).length, length)
        assert.equal((await late.bytes()).length, length)
        const next = await transport(ask(site.url, { limits }))
        assert.equal((await next.bytes()).length, length)
      }
  })
})

describe('how long a connection is kept', () => {
  test('a second less than the server says, so for timeout=1 not at all', async () => {
    for (const [seconds, sockets] of [
      [1, 3],
      [0, 3],
      [5, 1],
    ]) {
      const site = await serveRaw((socket) =>
        socket.write(answer('x', `keep-alive: timeout=${seconds}\r\n`)),
      )
      const transport = open()
      for (let time = 0; time < 3; time++) await (await transport(ask(site.url))).bytes()
      assert.equal(site.sockets.length, sockets)
      if (sockets === 3) await until(() => site.sockets.every((socket) => socket.destroyed), 300)
    }
  })

  test('as long as the options say where the server does not, then it is closed', async () => {
    const site = await serveRaw((socket) => socket.write(answer('x')))
    const transport = open({ keepAliveMs: 40 })
    for (let time = 0; time < 2; time++) await (await transport(ask(site.url))).bytes()
    assert.equal(site.sockets.length, 1)
    await pause(60)
    await (await transport(ask(site.url))).bytes()
    assert.equal(site.sockets.length, 2)
    // Also without another call.
    await until(() => site.sockets.every((socket) => socket.destroyed))
  })

  test('not after `connection: close`, whoever closes', async () => {
    const site = await serveRaw((socket) => socket.write(answer('x', 'connection: close\r\n')))
    const transport = open()
    for (let time = 0; time < 2; time++) await (await transport(ask(site.url))).bytes()
    await until(() => site.sockets.every((socket) => socket.destroyed))
    assert.equal(site.sockets.length, 2)
  })

  test('an idle one keeps no process alive, one in use does', async () => {
    const { url, sockets } = await serve((_request, response) => {
      setTimeout(() => response.end('x'), 60)
    })
    const transport = new URL('./transport.node.ts', import.meta.url).href
    const program = `
      const { nodeTransport } = await import(${JSON.stringify(transport)})
      const transport = nodeTransport()
      for (let time = 0; time < 2; time++) {
        const reply = await transport({ url: ${JSON.stringify(url)}, headers: {}, body: 'x' })
        await reply.bytes()
      }
      process.stdout.write('done')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    const exited = once(child, 'exit')
    const [said] = await once(child.stdout, 'data')
    const since = performance.now()
    assert.equal(String(said), 'done')
    assert.equal((await exited)[0], 0)
    assert.ok(performance.now() - since < 1500, 'it waited for the connection to be closed')
    assert.equal(sockets.length, 1)
  })
})

describe('an idle connection on which something comes', () => {
  const early: [name: string, speak: (socket: Socket) => void][] = [
    ['an answer to nothing', (socket) => socket.write(answer('stolen'))],
    ['an answer and the end', (socket) => socket.end('HTTP/1.1 408 Request Timeout\r\n\r\n')],
    ['the end', (socket) => socket.end()],
    ['a reset', (socket) => socket.resetAndDestroy()],
    ['the end of it', (socket) => socket.destroy()],
  ]
  for (const [name, speak] of early) {
    test(`${name}: it is closed, and the next request has its own`, async () => {
      const site = await serveRaw((socket) => socket.write(answer('x')))
      const transport = open({ idleMs: 0 })
      await (await transport(ask(site.url))).bytes()
      const [first] = site.sockets
      if (first) speak(first)
      await until(() => first?.destroyed === true)
      assert.equal(words(await (await transport(ask(site.url))).bytes()), 'x')
      assert.equal(site.sockets.length, 2)
    })

    for (const upload of [false, true])
      test(`${name}, as a request ${upload ? 'with an upload ' : ''}is about to go: it goes over another`, async () => {
        const site = await serveRaw((socket, heard) => {
          if (/hello$|0\r\n\r\n$/.test(heard)) socket.write(answer('x'))
        })
        const transport = open()
        const [client] = await clientsOf(async () => (await transport(ask(site.url))).bytes())
        assert.ok(client)
        // It has the request now, and writes it when this turn of the loop ends.
        const call = transport(ask(site.url, upload ? { body: pieces('up') } : {}))
        if (name === 'a reset') client.destroy(new Error('read ECONNRESET'))
        else if (name === 'the end of it') client.destroy()
        else {
          if (name.includes('answer')) arrive(client, answer('stolen'))
          if (name.includes('end')) {
            client.push(null)
            client.read(0)
          }
        }
        assert.equal(words(await (await call).bytes()), 'x')
        assert.equal(site.sockets.length, 2)
      })
  }

  test('a request that is given up as it is about to go is not sent', async () => {
    let heard = ''
    const site = await serveRaw((socket, all) => {
      heard = all
      socket.write(answer('x'))
    })
    const transport = open()
    await (await transport(ask(site.url, { body: 'first' }))).bytes()
    const controller = new AbortController()
    const call = fault(transport(ask(site.url, { body: 'second', signal: controller.signal })))
    controller.abort()
    assert.equal((await call).kind, 'canceled')
    await until(() => site.sockets[0]?.destroyed === true)
    assert.match(heard, /first$/)
    await pause(20)
    assert.equal(site.sockets.length, 1, 'nothing is opened for it')
  })
})

describe('nothing is left behind', () => {
  const events = [
    'data',
    'end',
    'error',
    'close',
    'drain',
    'connect',
    'finish',
    'readable',
    'timeout',
  ]
  const counts = (socket: Socket) => events.map((event) => socket.listenerCount(event))

  test('on a connection, by 1,000 requests and 100 uploads', async () => {
    const { url } = await serve((request, response) => {
      request.resume().on('end', () => response.end('x'))
    })
    const transport = open()
    const call = async (more: Partial<Upstream> = {}) => (await transport(ask(url, more))).bytes()
    const warnings: Error[] = []
    const warned = (warning: Error) => void warnings.push(warning)
    process.on('warning', warned)
    const clients = await clientsOf(async () => {
      await call()
      await call({ body: pieces('up') })
    })
    const [client] = clients
    assert.ok(client)
    const before = counts(client)
    for (let at = 0; at < 1000; at++) await call()
    assert.deepEqual(counts(client), before)
    for (let at = 0; at < 100; at++) await call({ body: pieces('up', 'load') })
    assert.deepEqual(counts(client), before)
    process.off('warning', warned)
    assert.deepEqual([clients.length, client.destroyed, warnings], [1, false, []])
  })

  test('no timer, by calls with limits that are over', async () => {
    const { url } = await serve((_request, response) => response.end('x'))
    const transport = open()
    const limits = { connectMs: 60_000, firstByteMs: 60_000, idleMs: 60_000, totalMs: 60_000 }
    const timers = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    for (let at = 0; at < 20; at++) await (await transport(ask(url, { limits }))).bytes()
    assert.ok(timers() <= before + 1, `${before} timers before, ${timers()} after`)
  })
})

describe('a body that comes in bursts of chunks', () => {
  const pieces = Array.from({ length: 60 }, (_, at) => `${at} `.repeat((at % 7) * 20 + 1))
  const burst = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
  const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
  const openBurst = async () => {
    let send = (_bytes: string) => {}
    const { url } = await serveRaw((socket) => {
      socket.setNoDelay(true)
      socket.write(chunked)
      send = (bytes) => void socket.write(bytes)
    })
    const { body } = await open()(ask(url))
    const reader: Partial<InboxReader> = body[Symbol.asyncIterator]()
    return { reader, send: (bytes: string) => send(bytes) }
  }

  test('is told whole and in order, a read at a time', async () => {
    const { reader, send } = await openBurst()
    const heard: string[] = []
    let isOver = false
    reader.flow?.({
      chunk(bytes) {
        heard.push(words(bytes))
        return 'more'
      },
      end: () => void (isOver = true),
      fail: assert.ifError,
    })
    for (let at = 0; at < 3; at++) {
      send(burst)
      await until(() => heard.join('') === pieces.join('').repeat(at + 1))
    }
    // Three reads, or some more where the network cuts them.
    assert.ok(heard.length < 30, `${heard.length} pieces`)
    send(`${burst}0\r\n\r\n`)
    await until(() => isOver)
    assert.equal(heard.join(''), pieces.join('').repeat(4))
  })

  test('is kept for who has no room, and told when there is', async () => {
    const { reader, send } = await openBurst()
    let heard = ''
    let wants: 'more' | 'later' = 'later'
    const flow = reader.flow?.({
      chunk(bytes) {
        heard += words(bytes)
        return wants
      },
      end: () => void (heard += ' end'),
      fail: assert.ifError,
    })
    send(burst)
    await until(() => heard !== '')
    send(`${burst}0\r\n\r\n`)
    await pause(20)
    assert.ok(heard.length <= pieces.join('').length)
    wants = 'more'
    flow?.resume()
    await until(() => heard.endsWith('end'))
    assert.equal(heard, `${pieces.join('').repeat(2)} end`)
  })

  test('what came before an end that is none is told before the failure', async () => {
    const { reader, send } = await openBurst()
    const heard: string[] = []
    reader.flow?.({
      chunk(bytes) {
        heard.push(words(bytes))
        return 'more'
      },
      end: () => void heard.push('end'),
      fail: ({ kind }) => void heard.push(kind),
    })
    send(`${burst}no size\r\n`)
    await until(() => heard.at(-1) === 'bad_gateway')
    assert.equal(heard.slice(0, -1).join(''), pieces.join(''))
  })
})

describe('what an upstream sends', () => {
  test('cannot end the process, whatever and whenever it is', async () => {
    const sent = [
      '\0'.repeat(100),
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz',
      `${answer('x')}${answer('y')}`,
      `HTTP/1.1 200 OK\r\na: ${'b'.repeat(70_000)}`,
      'HTTP/1.1 100 Continue\r\n\r\n'.repeat(10_000),
    ]
    const ends = ['end', 'resetAndDestroy'] as const
    for (const bytes of sent)
      for (const end of ends) {
        const site = await serveRaw((socket) => {
          socket.write(bytes, 'latin1', () => socket[end]())
        })
        const transport = open()
        for (const body of ['whole', pieces('up', 'load')]) {
          const outcome = transport(ask(site.url, { body })).then((reply) => reply.bytes())
          const said = await outcome.then(words, (error) => {
            assert.ok(GatewayError.is(error), String(error))
            return error.kind
          })
          assert.ok(said === 'x' || said === 'bad_gateway', said)
        }
        await until(() => site.sockets.every((socket) => socket.destroyed))
      }
  })
})

describe('what a request brings', () => {
  test('cannot become another header, another length or another request', async () => {
    let heard = ''
    const site = await serveRaw((socket, all) => {
      heard = all
      socket.write(answer('x'))
    })
    const transport = open()
    const refused: Record<string, string>[] = [
      { 'x-a': 'a\r\nx-b: c' },
      { 'x-a': 'a\nx-b: c' },
      { 'x-a': 'a\rx-b: c' },
      { 'x-a': 'a\0' },
      { 'x-a': '\u0100' },
      { 'x-a': '\ud83d\ude00' },
      { 'x-a: b\r\nx-c': 'd' },
      { 'x-a:': 'd' },
      { '': 'd' },
      { host: 'a\r\nx-b: c' },
      { 'Content-Length': '3' },
      { 'content-length': '5, 5' },
    ]
    for (const headers of refused)
      assert.equal(
        (await fault(transport(ask(site.url, { headers })))).kind,
        'bad_request',
        JSON.stringify(headers),
      )
    assert.equal(heard, '')
    const headers = {
      'x-a': '\xe9 \t~',
      Connection: 'upgrade',
      'Transfer-Encoding': 'chunked',
      TE: 'gzip',
      Host: 'other.test',
    }
    await (await transport(ask(`${site.url}/a b\r\nx-b: c?d\u00e9#f`, { headers }))).bytes()
    assert.deepEqual(heard.split('\r\n'), [
      'POST /a%20bx-b:%20c?d%C3%A9 HTTP/1.1',
      'host: other.test',
      'connection: keep-alive',
      'x-a: \xe9 \t~',
      'accept-encoding: identity',
      'content-length: 5',
      '',
      'hello',
    ])
  })
})

const openssl = spawnSync('openssl', ['version']).status === 0
const skip = openssl ? false : 'openssl is not installed, and Node cannot make certificates'

describe('the name a certificate must have', { skip }, () => {
  let folder = ''
  after(() => {
    if (folder) rmSync(folder, { recursive: true })
  })
  const certificate = (host: string) => {
    folder ||= mkdtempSync(join(tmpdir(), 'line-'))
    const [key, cert] = [join(folder, `${host}.key`), join(folder, `${host}.pem`)]
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const said = ['-days', '2', '-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
    const args = ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...said]
    execFileSync('openssl', args, { stdio: 'pipe' })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  }

  test("is the `host` header's where there is one, for every request anew", async () => {
    const server = certificate('a.test')
    const names: unknown[] = []
    const https = createSecure(server, (request, response) => {
      names.push(`${Reflect.get(request.socket, 'servername')} ${request.headers.host}`)
      response.end('x')
    })
    const { port, sockets } = await listen(https)
    const transport = open()
    const connection = { ca: server.cert }
    const get = async (host: string | undefined) => {
      const more: Partial<Upstream> = { headers: host === undefined ? {} : { host }, connection }
      return words(await (await transport(ask(`https://127.0.0.1:${port}/`, more))).bytes())
    }
    assert.equal(await get('a.test'), 'x')
    assert.equal(await get('a.test'), 'x')
    assert.equal(await get('a.test:8443'), 'x')
    assert.equal(sockets.length, 1)
    // The session of one name must not vouch for another.
    for (const host of ['b.test', undefined, 'b.test:443'])
      assert.match((await fault(get(host))).message, /for another host name/, host)
    assert.equal(await get('a.test'), 'x')
    assert.deepEqual(names, [
      'a.test a.test',
      'a.test a.test',
      'a.test a.test:8443',
      'a.test a.test',
    ])
  })
})

/** The sockets that are opened meanwhile on our side. */
async function clientsOf(work: () => Promise<unknown>): Promise<Socket[]> {
  const clients: Socket[] = []
  const opened = (message: unknown) => {
    const socket = typeof message === 'object' && message && Reflect.get(message, 'socket')
    if (socket instanceof Socket) clients.push(socket)
  }
  subscribe('net.client.socket', opened)
  await work()
  unsubscribe('net.client.socket', opened)
  return clients
}

/** As if these bytes had come just now: into the buffer the socket reads into, and told as Node tells it. */
function arrive(socket: Socket, text: string): void {
  const symbols = Object.getOwnPropertySymbols(socket)
  const of = (name: string): unknown => {
    const symbol = symbols.find(({ description }) => description === name)
    return symbol && Reflect.get(socket, symbol)
  }
  const [buffer, tell] = [of('kBuffer'), of('kBufferCb')]
  assert.ok(buffer instanceof Uint8Array && typeof tell === 'function')
  buffer.set(Buffer.from(text))
  tell(text.length, buffer)
}
