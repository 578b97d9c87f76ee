import assert from 'node:assert/strict'
import { Agent, request } from 'node:https'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import {
  bodyOf,
  type Client,
  eventually,
  exchange,
  head,
  openClient,
  openDoor,
  sleep,
  statusOf,
} from '../../test/raw-client.ts'
import { GatewayError } from '../errors.ts'
import type { Handler, Incoming } from './http.ts'
import { createNodeServer, type ServerOptions } from './serve.node.ts'

const close = 'Connection: close'
const host = 'Host: test'
const fine: Handler = async () => ({ status: 200, headers: {}, body: 'fine' })
const lines = (...all: string[]): string => [...all, '', ''].join('\r\n')

const hostile: [name: string, bytes: string, status: number][] = [
  [
    'both lengths',
    lines('POST / HTTP/1.1', host, 'Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    400,
  ],
  [
    'both lengths, the other way',
    lines('POST / HTTP/1.1', host, 'Transfer-Encoding: chunked', 'Content-Length: 5') + '0\r\n\r\n',
    400,
  ],
  [
    'the same length twice',
    lines('POST / HTTP/1.1', host, 'Content-Length: 5', 'Content-Length: 5') + 'hello',
    400,
  ],
  [
    'two lengths',
    lines('POST / HTTP/1.1', host, 'Content-Length: 5', 'Content-Length: 6') + 'hello!',
    400,
  ],
  [
    'two lengths in one line',
    lines('POST / HTTP/1.1', host, 'Content-Length: 5, 5') + 'hello',
    400,
  ],
  ['a signed length', lines('POST / HTTP/1.1', host, 'Content-Length: +5') + 'hello', 400],
  ['a space before the colon', lines('POST / HTTP/1.1', host, 'Content-Length : 5') + 'hello', 400],
  [
    'an unknown coding',
    lines('POST / HTTP/1.1', host, 'Transfer-Encoding: xchunked') + '0\r\n\r\n',
    501,
  ],
  [
    'chunked twice',
    lines('POST / HTTP/1.1', host, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') +
      '0\r\n\r\n',
    400,
  ],
  [
    'chunked in HTTP/1.0',
    lines('POST / HTTP/1.0', host, 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    400,
  ],
  ['bare line feeds', `GET / HTTP/1.1\n${host}\n\n`, 400],
  ['one bare line feed', `GET / HTTP/1.1\r\n${host}\nA: b\r\n\r\n`, 400],
  ['a bare carriage return', `GET / HTTP/1.1\r\n${host}\rA: b\r\n\r\n`, 400],
  ['a folded line', lines('GET / HTTP/1.1', host, 'A: b', ' c'), 400],
  ['a nul in a value', lines('GET / HTTP/1.1', host, 'A: b\0c'), 400],
  ['no host', lines('GET / HTTP/1.1'), 400],
  ['two hosts', lines('GET / HTTP/1.1', host, 'Host: other'), 400],
  ['a target without a slash', lines('GET v1/models HTTP/1.1', host), 400],
  ['a space in the target', lines('GET /a b HTTP/1.1', host), 400],
  ['HTTP/0.9', 'GET /\r\n\r\n', 505],
  ['HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['TLS where none is spoken', '\x16\x03\x01\x02\0\x01\0\x01', 400],
  ['a tunnel', lines('CONNECT other:443 HTTP/1.1', host), 405],
  [
    'a WebSocket',
    lines('GET /v1/realtime HTTP/1.1', host, 'Connection: Upgrade', 'Upgrade: websocket'),
    501,
  ],
  ['a large head', lines('GET / HTTP/1.1', host, `A: ${'x'.repeat(300_000)}`), 431],
  ['a long target', lines(`GET /${'x'.repeat(40_000)} HTTP/1.1`, host), 431],
  ['many small headers', lines('GET / HTTP/1.1', host, ...Array<string>(9000).fill('a:b')), 431],
]
for (const [name, bytes, status] of hostile)
  test(`refused before the handler: ${name}`, async (t) => {
    let handled = 0
    const { port, errors } = await openDoor(t, (incoming) => {
      handled++
      return fine(incoming)
    })
    const { text, error } = await openClient(port, bytes).end()
    assert.equal(error, undefined)
    assert.equal(statusOf(text), status)
    assert.match(text, /connection: close/i)
    const fault = JSON.parse(bodyOf(text)).error
    assert.deepEqual([fault.param, fault.code], [null, String(status)])
    assert.ok(fault.message.length > 5)
    assert.equal(handled, 0)
    assert.deepEqual(errors, [])
  })

test('what follows a refused request on its connection is not served', async (t) => {
  const seen: string[] = []
  const { port } = await openDoor(t, async ({ path }) => {
    seen.push(path)
    return { status: 200, headers: {}, body: '' }
  })
  const smuggled = lines('GET /admin HTTP/1.1', host)
  for (const [, bytes] of hostile) await exchange(port, bytes + smuggled)
  assert.deepEqual(seen, [])
})

test('a broken chunk ends its request', async (t) => {
  const { port, door } = await openDoor(t, async (incoming) => {
    await incoming.body()
    return { status: 200, headers: {}, body: 'never' }
  })
  const broken = head('POST /', 'Transfer-Encoding: chunked') + '5\r\nhello\r\n'
  const client = openClient(port, broken)
  await eventually(() => door.inFlight() === 1)
  client.socket.write('zz\r\n')
  assert.equal(statusOf((await client.end()).text), 400)
  await eventually(() => door.inFlight() === 0)
})

test('rubbish behind a request is not taken for its answer', async (t) => {
  const { port, door } = await openDoor(t, async ({ signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', resolve))
    return { status: 200, headers: {}, body: 'late' }
  })
  const { text } = await openClient(port, `${head('GET /')}\x01\x02\r\n`).end()
  assert.equal(text, '')
  await eventually(() => door.inFlight() === 0)
})

const slow: [name: string, first: string, drip: string][] = [
  ['stops', 'GET / HTTP/1.1\r\nHost: te', ''],
  ['drips', 'GET / HTTP/1.1\r\nHost: test\r\n', 'a: b\r\n'],
  ['never comes', '', ''],
]
for (const [name, first, drip] of slow)
  test(`a head that ${name}: 408`, async (t) => {
    const { port } = await openDoor(t, fine, { limits: { headMs: 100 } })
    const since = performance.now()
    const client = openClient(port, first)
    const dripping = setInterval(() => client.socket.write(drip), 20)
    const text = await client.until(/\}$/)
    clearInterval(dripping)
    const ms = performance.now() - since
    assert.equal(statusOf(text), 408)
    assert.equal(JSON.parse(bodyOf(text)).error.type, 'timeout_error')
    assert.ok(ms > 80 && ms < 600, `${ms} ms`)
    await client.end()
  })

test('a later head on the same connection is timed too', async (t) => {
  const { port } = await openDoor(t, fine, { limits: { headMs: 100 } })
  const client = openClient(port, head('GET /'))
  await client.until(/fine$/)
  await sleep(150)
  client.socket.write('GET / HTTP/1.1\r\n')
  assert.match((await client.end()).text, /fineHTTP\/1.1 408 /)
})

/** Answers with what it was asked. */
const mirror: Handler = async ({ method, path, query }) => ({
  status: 200,
  headers: {},
  body: JSON.stringify([method, path, query]),
})
const targets: [target: string, path: string, query: string][] = [
  ['/v1/models?a=b&c=%20', '/v1/models', 'a=b&c=%20'],
  ['//v1//models', '//v1//models', ''],
  ['/v1%2fmodels/%2e%2e/x', '/v1%2fmodels/%2e%2e/x', ''],
  ['/v1/../admin', '/v1/../admin', ''],
  ['/v1/models;/../x', '/v1/models;/../x', ''],
  ['/v1\\models', '/v1\\models', ''],
  ['http://evil.example/key/generate?x', '/key/generate', 'x'],
  ['http://evil.example', '/', ''],
  ['/api/v1/models', '/v1/models', ''],
  ['http://evil.example/api', '/', ''],
]
for (const [target, path, query] of targets)
  test(`the path is what was sent: ${target}`, async (t) => {
    const { port } = await openDoor(t, mirror, { rootPath: '/api/' })
    const answer = await exchange(port, head(`GET ${target}`, close))
    assert.deepEqual(JSON.parse(bodyOf(answer)), ['GET', path, query])
  })

test('HEAD, OPTIONS and what else there is reach the handler', async (t) => {
  const seen: string[] = []
  const { port } = await openDoor(t, async ({ method, path }) => {
    seen.push(`${method} ${path}`)
    return { status: 204, headers: {}, body: '' }
  })
  for (const first of ['HEAD /', 'OPTIONS *', 'OPTIONS /', 'DELETE /', 'PATCH /', 'TRACE /'])
    await exchange(port, head(first, close))
  assert.deepEqual(seen, ['HEAD /', 'OPTIONS *', 'OPTIONS /', 'DELETE /', 'PATCH /', 'TRACE /'])
})

test('headers: lower-case, joined, and none that nobody sent', async (t) => {
  const seen: Incoming[] = []
  const { port } = await openDoor(t, (incoming) => {
    seen.push(incoming)
    return fine(incoming)
  })
  const sent = ['X-A: 1', 'x-a: 2', 'Authorization: a', 'Authorization: b', '__proto__: x', close]
  await exchange(port, head('GET /', ...sent))
  const [incoming] = seen
  assert.ok(incoming)
  assert.equal(incoming.header('x-a'), '1, 2')
  assert.equal(incoming.header('authorization'), 'a, b')
  for (const name of ['constructor', 'toString', '__proto__', 'x-b'])
    assert.equal(incoming.header(name), undefined)
  assert.deepEqual(Object.entries(incoming.headers()).sort(), [
    ['authorization', 'a, b'],
    ['connection', 'close'],
    ['host', 'test'],
    ['x-a', '1, 2'],
  ])
  assert.equal(incoming.remoteAddress, '127.0.0.1')
})

const failures: [name: string, handler: Handler, status: number, code: string, reported: number][] =
  [
    ['throws', async () => Promise.reject(new TypeError('secret')), 500, '500', 1],
    [
      'throws at once',
      () => {
        throw new Error('secret')
      },
      500,
      '500',
      1,
    ],
    [
      'throws a fault',
      async () => Promise.reject(new GatewayError('rate_limit', 'slower')),
      429,
      '429',
      0,
    ],
    [
      'gives a broken header',
      async () => ({ status: 200, headers: { 'x-a': 'b\r\nc: d' }, body: '' }),
      500,
      '500',
      1,
    ],
    [
      'gives an impossible status',
      async () => ({ status: 7, headers: {}, body: '' }),
      500,
      '500',
      1,
    ],
  ]
for (const [name, handler, status, code, reported] of failures)
  test(`a handler that ${name}: answered, and the server lives on`, async (t) => {
    const { port, errors } = await openDoor(t, (incoming) =>
      incoming.path === '/fine' ? fine(incoming) : handler(incoming),
    )
    const client = openClient(port, head('GET /'))
    const text = await client.until(/\}$/)
    assert.equal(statusOf(text), status)
    assert.equal(JSON.parse(bodyOf(text)).error.code, code)
    assert.doesNotMatch(text, /secret/)
    assert.equal(errors.length, reported)
    client.socket.write(head('GET /fine', close))
    assert.match((await client.end()).text, /fine$/)
  })

test('requests of one connection are answered in order, one at a time', async (t) => {
  let running = 0
  const { port, door } = await openDoor(t, async ({ path }) => {
    running++
    assert.equal(running, 1)
    if (path === '/1') await sleep(30)
    running--
    return { status: 200, headers: {}, body: `answer ${path};` }
  })
  const paths = Array.from({ length: 50 }, (_, i) => `/${i + 1}`)
  const client = openClient(port, paths.map((path) => head(`GET ${path}`)).join(''))
  const text = await client.until(/answer \/50;$/)
  assert.deepEqual(text.match(/(?<=answer )\S+(?=;)/g), paths)
  client.socket.write(head('GET /last', close))
  assert.match((await client.end()).text, /answer \/last;$/)
  assert.equal(door.inFlight(), 0)
})

test('a pipelined body is not lost', async (t) => {
  const { port } = await openDoor(t, async (incoming) => {
    await sleep(10)
    return { status: 200, headers: {}, body: `<${Buffer.from(await incoming.body())}>` }
  })
  const post = (body: string) => head('POST /', `Content-Length: ${body.length}`) + body
  const text = await openClient(port, post('one') + post('two') + post('three')).until(/three/)
  assert.deepEqual(text.match(/<\w+>/g), ['<one>', '<two>', '<three>'])
})

test('a flood of pipelined requests ends the connection', async (t) => {
  let handled = 0
  const { port, door } = await openDoor(t, async ({ signal }) => {
    handled++
    await new Promise<void>((resolve) => signal.addEventListener('abort', resolve))
    return { status: 200, headers: {}, body: '' }
  })
  await openClient(port, head('GET /').repeat(2000)).end()
  await eventually(() => door.inFlight() === 0)
  assert.equal(handled, 1)
})

test('an idle connection is closed after its time', async (t) => {
  const { port } = await openDoor(t, fine, { limits: { keepAliveMs: 50 } })
  const client = openClient(port, head('GET /'))
  await client.until(/fine$/)
  const since = performance.now()
  await client.end()
  assert.ok(performance.now() - since < 1500)
})

test('one connection too many is told so, and the others go on', async (t) => {
  const { port, door } = await openDoor(t, fine, { limits: { connections: 2 } })
  const first = openClient(port)
  const second = openClient(port)
  await eventually(() => door.connections() === 2)
  const third = openClient(port, head('POST /', 'Content-Length: 3') + 'abc')
  const { text } = await third.end()
  assert.equal(statusOf(text), 503)
  assert.match(text, /retry-after: 1\r\n/)
  assert.match(text, /connection: close/i)
  for (const client of [first, second]) {
    client.socket.write(head('GET /', close))
    assert.match((await client.end()).text, /fine$/)
  }
  assert.match(await exchange(port, head('GET /', close)), /fine$/)
})

test('an offer of another protocol is ignored, as by Java', async (t) => {
  for (const onUpgrade of [undefined, () => assert.fail('not a WebSocket')]) {
    const { port } = await openDoor(
      t,
      async (incoming) => ({
        status: 200,
        headers: {},
        body: await incoming.body(),
      }),
      { onUpgrade },
    )
    const offer = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AA']
    const client = openClient(port, head('POST /', ...offer, 'Content-Length: 4') + 'body')
    assert.match(await client.until(/body$/), /^HTTP\/1.1 200 /)
    client.socket.destroy()
  }
})

test('a WebSocket goes to the one who wants it', async (t) => {
  const onUpgrade: ServerOptions['onUpgrade'] = (request, socket, first) =>
    void socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${request.url} ${first}`)
  const { port } = await openDoor(t, fine, { onUpgrade })
  const ask = head('GET /v1/realtime', 'Connection: Upgrade', 'Upgrade: websocket')
  assert.match(await exchange(port, `${ask}frame`), /^HTTP\/1.1 101 [\s\S]*\/v1\/realtime frame$/)
})

test('where it listens', async (t) => {
  const door = createNodeServer(fine)
  const at = await door.listen({ port: 0 })
  t.after(() => door.close())
  assert.deepEqual(at, { host: '127.0.0.1', port: at.port, url: `http://127.0.0.1:${at.port}` })
  const wide = createNodeServer(fine)
  t.after(() => wide.close())
  assert.match((await wide.listen({ host: '0.0.0.0', port: 0 })).url, /^http:\/\/127.0.0.1:\d+$/)

  const refused: [at: { host?: string; port: number }, says: RegExp][] = [
    [{ port: at.port }, /^port \d+ on 127.0.0.1 is in use; choose another with --port$/],
    [{ port: 70_000 }, /^70000 is not a port/],
    [{ host: '192.0.2.1', port: 0 }, /^cannot listen on 192.0.2.1 \(EADDRNOTAVAIL\); .*--host$/],
    [{ host: 'no host', port: 0 }, /^cannot listen on no host/],
  ]
  for (const [where, says] of refused) {
    const errors: unknown[] = []
    const other = createNodeServer(fine, { onError: (error) => void errors.push(error) })
    await assert.rejects(other.listen(where), (error) => {
      assert.ok(GatewayError.is(error))
      assert.match(error.message, says)
      return true
    })
    assert.deepEqual(errors, [])
    await other.close()
  }
})

test('closing: the idle go at once, what runs ends well, nobody new comes in', async (t) => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const { port, door } = await openDoor(t, async ({ path }) => {
    if (path === '/whole') await released
    async function* body() {
      yield 'begun;'
      await released
      yield 'ended'
    }
    return { status: 200, headers: {}, body: path === '/stream' ? body() : 'whole' }
  })
  const silent = openClient(port)
  const idle = openClient(port, head('GET /'))
  const whole = openClient(port, head('GET /whole'))
  const stream = openClient(port, head('GET /stream'))
  await idle.until(/whole$/)
  await stream.until(/begun/)
  await eventually(() => door.connections() === 4 && door.inFlight() === 2)
  const since = performance.now()
  const closed = door.close({ graceMs: 5000 })
  const ends = (client: Client) => client.end().then(({ text }) => text)
  await Promise.all([idle, silent].map(ends))
  assert.equal((await openClient(port).end()).error, 'ECONNREFUSED')
  assert.equal(door.inFlight(), 2)
  release()
  assert.match(await ends(whole), /connection: close\r\n[\s\S]*whole$/i)
  assert.match(await ends(stream), /ended\r\n0\r\n\r\n$/)
  await closed
  assert.ok(performance.now() - since < 2000)
  assert.deepEqual([door.connections(), door.inFlight()], [0, 0])
})

test('closing: when grace is over, what runs is cut and told', async (t) => {
  let settled = false
  const { port, door } = await openDoor(t, async ({ signal }) => {
    async function* body() {
      try {
        yield 'begun'
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        )
      } finally {
        settled = true
      }
    }
    return { status: 200, headers: {}, body: body() }
  })
  const client = openClient(port, head('GET /'))
  await client.until(/begun/)
  const patient = door.close({ graceMs: 60_000 })
  const since = performance.now()
  await door.close({ graceMs: 50 })
  await patient
  assert.ok(performance.now() - since < 1000)
  assert.equal(settled, true)
  assert.doesNotMatch((await client.end()).text, /0\r\n\r\n$/)
})

test('a door that never opened closes', async () => {
  await createNodeServer(fine).close()
})

/** Made for these tests, of no other use: CN=localhost, until 2126. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMDWWjpP9tHCUlFsX
nxhvNXmTi6+8/tNIlwmno74LKw6hRANCAAS9oYDXA2/ARYfLiAv4FFf5YSDtxvjX
eVlhhUGFAcPnjfKLIXKqC2UCYDXT2Pygf3w/Cc1hHr0wfBnJHc/mYhab
-----END PRIVATE KEY-----
`
const cert = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUYccGj4EtNy0d8BZzw9TJas86YAAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTEwNTMzNFoYDzIxMjYxMDI4
MTA1MzM0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS9oYDXA2/ARYfLiAv4FFf5YSDtxvjXeVlhhUGFAcPnjfKLIXKqC2UC
YDXT2Pygf3w/Cc1hHr0wfBnJHc/mYhabo28wbTAdBgNVHQ4EFgQU6/LM03ndFUr6
qbfPT8Szcgc9iw4wHwYDVR0jBBgwFoAU6/LM03ndFUr6qbfPT8Szcgc9iw4wDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAOvS7/w/ceRVHn4PU2J4W+viWSrQBKIWIllov9s08+QBAiEA
gboH8hdDlro7rLTY9O9yVQ+WKf5Z8ArAmh0xBuNcavA=
-----END CERTIFICATE-----
`

test('over TLS: served, cut and closed alike', async (t) => {
  const tls = { key, cert, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }
  const { port, door } = await openDoor(
    t,
    async (incoming) => ({
      status: 200,
      headers: {},
      body: `${incoming.remoteAddress} ${Buffer.from(await incoming.body())}`,
    }),
    { tls, limits: { headMs: 100 } },
  )
  const agent = new Agent({ ca: cert, keepAlive: true, maxVersion: 'TLSv1.2' })
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      const req = request({ port, host: '127.0.0.1', method: 'POST', agent }, (res) => {
        res.setEncoding('latin1').on('data', resolve)
      })
      req.on('error', reject).end('secret')
    })
  assert.equal(await ask(), '127.0.0.1 secret')
  assert.equal(await ask(), '127.0.0.1 secret')
  assert.equal(door.connections(), 1)
  // Whoever speaks no TLS, and whoever speaks nothing.
  assert.equal(await exchange(port, head('GET /')), '')
  assert.equal(await exchange(port, ''), '')
  const mute = connectTls({ port, host: '127.0.0.1', ca: cert })
  const said = await new Promise((resolve) => mute.setEncoding('latin1').on('data', resolve))
  assert.match(String(said), /^HTTP\/1.1 408 /)
  const since = performance.now()
  await door.close({ graceMs: 5000 })
  assert.ok(performance.now() - since < 2000)
  agent.destroy()
})

test('TLS settings that cannot be: said when the door is made', () => {
  for (const tls of [
    { key: 'x', cert },
    { key, cert: 'x' },
    { key, cert, ciphers: 'NO-SUCH' },
  ])
    assert.throws(
      () => createNodeServer(fine, { tls }),
      (error) => GatewayError.is(error) && /TLS settings/.test(error.message),
    )
})
