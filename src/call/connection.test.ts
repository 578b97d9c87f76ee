import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createPlain, type RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { connectionFromEnv, fingerprint } from './connection.node.ts'
import { nodeTransport } from './transport.node.ts'
import type { Connection } from './transport.ts'

test('what the environment says of TLS', () => {
  const files: Record<string, string> = {
    '/ca': 'CA',
    '/other': 'OTHER',
    '/own': 'OWN',
    '/extra': 'EXTRA',
  }
  const readFile = (path: string) => files[path] ?? assert.fail('ENOENT')
  const own = { clientCert: 'OWN', clientKey: 'OWN' }
  const cases: [env: Record<string, string>, expected: Connection][] = [
    [{}, {}],
    [{ SSL_VERIFY: 'True' }, {}],
    [{ SSL_VERIFY: '' }, {}],
    [{ SSL_VERIFY: 'False' }, { verifyTls: false }],
    [{ SSL_VERIFY: '0', SSL_CERT_FILE: '/ca' }, { verifyTls: false }],
    [{ SSL_VERIFY: '/ca' }, { ca: 'CA' }],
    [{ SSL_CERT_FILE: '/ca' }, { ca: 'CA' }],
    [{ SSL_VERIFY: '/other', SSL_CERT_FILE: '/ca' }, { ca: 'OTHER' }],
    [{ SSL_VERIFY: 'true', SSL_CERT_FILE: '/ca' }, { ca: 'CA' }],
    [{ SSL_CERTIFICATE: '/own' }, own],
    [
      { SSL_CERTIFICATE: '/own', SSL_VERIFY: 'no' },
      { verifyTls: false, ...own },
    ],
    [{ SSL_CERT_FILE: '/ca', NODE_EXTRA_CA_CERTS: '/extra' }, { ca: 'CA\nEXTRA' }],
  ]
  for (const [env, expected] of cases)
    assert.deepEqual(connectionFromEnv(env, readFile), expected, JSON.stringify(env))

  const extra = { NODE_EXTRA_CA_CERTS: '/extra' }
  assert.deepEqual(
    connectionFromEnv(extra, readFile, () => true),
    {},
    'Node has read it',
  )
  const { ca = '' } = connectionFromEnv(extra, readFile, () => false)
  assert.ok(ca.startsWith('-----BEGIN') && ca.endsWith('\nEXTRA'), 'added to the CAs there are')

  for (const name of ['SSL_CERT_FILE', 'SSL_CERTIFICATE', 'SSL_VERIFY', 'NODE_EXTRA_CA_CERTS'])
    assert.throws(
      () => connectionFromEnv({ [name]: '/none' }, readFile, () => false),
      (error) =>
        GatewayError.is(error) &&
        error.message === `${name}: cannot read /none; give the path of a PEM file`,
    )
})

test('a fingerprint tells settings apart by their content', () => {
  const settings: Connection[] = [
    {},
    { verifyTls: false },
    { ca: 'a' },
    { clientCert: 'a' },
    { clientKey: 'a' },
    { clientKeyPassphrase: 'a' },
    { proxy: '' },
    { proxy: 'a' },
  ]
  assert.equal(new Set(settings.map(fingerprint)).size, settings.length)
  assert.equal(
    fingerprint({ ca: 'a', proxy: 'b' }),
    fingerprint({ proxy: 'b', ca: 'a', verifyTls: true }),
  )
})

const openssl = spawnSync('openssl', ['version']).status === 0
const skip = openssl ? false : 'openssl is not installed, and Node cannot make certificates'

describe('TLS', { skip }, () => {
  const closing: (() => void)[] = []
  const transport = nodeTransport()
  let folder = ''
  let server: { key: string; cert: string }
  let client: { key: string; cert: string }
  let lockedKey = ''

  const certificate = (name: string, ...more: string[]) => {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)]
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const said = ['-days', '2', '-subj', `/CN=${name}`, ...more]
    execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...said], {
      stdio: 'pipe',
    })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  }
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tls-'))
    server = certificate('localhost', '-addext', 'subjectAltName=DNS:localhost')
    client = certificate('client')
    const locked = ['ec', '-aes256', '-passout', 'pass:secret', '-in', join(folder, 'client.key')]
    lockedKey = execFileSync('openssl', locked, { stdio: 'pipe' }).toString()
  })
  after(() => {
    void transport.close()
    for (const close of closing) close()
    if (folder) rmSync(folder, { recursive: true })
  })

  const serve = async (options: ServerOptions = {}) => {
    const sockets: TLSSocket[] = []
    const reused: boolean[] = []
    const raw: Socket[] = []
    const https = createServer({ ...server, ...options }, ({ socket, url }, response) => {
      if (url === '/close') response.setHeader('connection', 'close')
      reused.push((socket as TLSSocket).isSessionReused())
      const name = (socket as TLSSocket).getPeerCertificate().subject?.CN
      response.end(`hello ${name}`)
    })
    https.on('secureConnection', (socket) => sockets.push(socket))
    https.on('connection', (socket: Socket) => raw.push(socket))
    https.listen(0, '127.0.0.1')
    await once(https, 'listening')
    closing.push(() => {
      https.close()
      for (const socket of raw) socket.destroy()
    })
    return { port: (https.address() as AddressInfo).port, sockets, reused }
  }
  const get = async (url: string, connection: Connection, send = transport) => {
    const reply = await send({ method: 'GET', url, headers: {}, connection })
    return Buffer.from(await reply.bytes()).toString()
  }
  const fault = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => assert.fail('no fault'),
      (reason) => reason,
    )
    assert.ok(GatewayError.is(error), String(error))
    return error
  }

  test('a certificate is checked, unless told not to', async () => {
    const { port } = await serve()
    const url = `https://localhost:${port}/`
    const ca = server.cert
    const untrusted = await fault(get(url, {}))
    assert.deepEqual([untrusted.kind, untrusted.status], ['provider', 500])
    assert.match(untrusted.message, /not trusted.*SSL_CERT_FILE.*\(DEPTH_ZERO_SELF_SIGNED_CERT\)/)
    assert.equal(await get(url, { ca }), 'hello undefined')
    assert.equal(await get(url, { verifyTls: false }), 'hello undefined')
    const other = await fault(get(`https://127.0.0.1:${port}/`, { ca }))
    assert.match(other.message, /for another host name/)
    assert.equal(await get(`https://127.0.0.1:${port}/`, { verifyTls: false }), 'hello undefined')
  })

  test('large answers that come at once, with TLS and without, keep apart', async () => {
    const bodyOf = (url = ''): Buffer => Buffer.alloc(600_000, `${url} says so; `)
    const answer: RequestListener = ({ url }, response) => {
      const body = bodyOf(url)
      for (let at = 0; at < body.length; at += 50_000)
        response.write(body.subarray(at, at + 50_000))
      response.end()
    }
    const open = async (site: ReturnType<typeof createPlain>): Promise<number> => {
      site.listen(0, '127.0.0.1')
      await once(site, 'listening')
      closing.push(() => site.close())
      return (site.address() as AddressInfo).port
    }
    const secure = `https://localhost:${await open(createServer(server, answer))}`
    const plain = `http://127.0.0.1:${await open(createPlain(answer))}`
    const read = async (base: string, path: string): Promise<void> => {
      const connection = { ca: server.cert }
      const reply = await transport({ method: 'GET', url: base + path, headers: {}, connection })
      const pieces: Uint8Array[] = []
      for await (const piece of reply.body) {
        pieces.push(piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.ok(Buffer.concat(pieces).equals(bodyOf(path)), path)
    }
    const paths = Array.from({ length: 12 }, (_, i) => `/${i}`)
    await Promise.all(paths.flatMap((path) => [read(secure, path), read(plain, `${path}/plain`)]))
  })

  test('our certificate is shown to those who ask', async () => {
    const { port } = await serve({ requestCert: true, rejectUnauthorized: true, ca: client.cert })
    const url = `https://localhost:${port}/`
    const mine = { ca: server.cert, clientCert: client.cert }
    assert.equal(await get(url, { ...mine, clientKey: client.key }), 'hello client')
    const unlocked = { ...mine, clientKey: lockedKey, clientKeyPassphrase: 'secret' }
    assert.equal(await get(url, unlocked), 'hello client')
    const one = {
      ...mine,
      clientCert: client.cert + client.key,
      clientKey: client.cert + client.key,
    }
    assert.equal(await get(url, one), 'hello client')
    const nobody = await fault(get(url, { ca: server.cert }))
    assert.match(nobody.message, /^Connection error: /)
    const unusable: Connection[] = [
      { ...unlocked, clientKeyPassphrase: 'wrong' },
      { ...mine, clientKey: server.key },
      { clientCert: 'nonsense' },
    ]
    for (const connection of unusable) {
      const error = await fault(get(url, connection))
      assert.match(error.message, /the TLS settings cannot be used/)
      assert.doesNotMatch(error.message, /wrong|nonsense/)
    }
  })

  test("the second connection takes up the first one's session", async () => {
    const { port, reused } = await serve()
    const url = `https://localhost:${port}/close`
    for (let at = 0; at < 2; at++) await get(url, { ca: server.cert })
    assert.deepEqual(reused, [false, true])
  })

  test('TLS is spoken to one who does not', async () => {
    const plain = createPlain((_request, response) => response.end())
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    closing.push(() => plain.close())
    const { port } = plain.address() as AddressInfo
    const error = await fault(get(`https://127.0.0.1:${port}/`, {}))
    assert.equal(error.kind, 'provider')
    assert.match(error.message, /no TLS connection could be agreed/)
  })

  const tunnel = async (scheme: 'http' | 'https') => {
    const { port, sockets } = await serve()
    const asked: string[] = []
    const proxy = scheme === 'http' ? createPlain() : createServer(server)
    let ends = 0
    proxy.on('connect', (request, socket) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
      ends++
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        onward.pipe(socket).pipe(onward)
      })
      socket.on('close', () => onward.destroy()).on('error', () => {})
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    closing.push(() => proxy.close())
    const { port: at } = proxy.address() as AddressInfo
    const env = { HTTPS_PROXY: `${scheme}://us%20er:p@localhost:${at}` }
    const send = nodeTransport({ env, defaults: { ca: server.cert } })
    const url = `https://localhost:${port}/`
    for (let call = 0; call < 3; call++) assert.equal(await get(url, {}, send), 'hello undefined')
    assert.deepEqual(asked, [`localhost:${port} Basic ${btoa('us er:p')}`])
    assert.match(
      (await fault(get(url, { ca: client.cert }, send))).message,
      /DEPTH_ZERO_SELF_SIGNED_CERT/,
    )
    await send.close()
    await Promise.all(sockets.map((socket) => socket.destroyed || once(socket, 'close')))
    assert.equal(ends, scheme === 'http' ? 2 : 1, 'a proxy that is not trusted is not asked')
  }
  test('a tunnel is asked for, logged in to, kept, and ended with the request', () =>
    tunnel('http'))
  test('through a proxy that speaks TLS itself', () => tunnel('https'))
})
