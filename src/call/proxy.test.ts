import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as forward, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { chooseProxy, type Environment, isExempt } from './proxy.node.ts'
import { nodeTransport } from './transport.node.ts'

test('NO_PROXY', () => {
  const cases: [list: string, url: string, exempt: boolean][] = [
    ['', 'http://example.com', false],
    ['*', 'http://example.com', true],
    ['example.com', 'http://example.com', true],
    ['example.com', 'http://api.example.com', true],
    ['example.com', 'http://notexample.com', false],
    ['example.com', 'http://example.com.evil', false],
    ['.example.com', 'http://example.com', true],
    ['*.example.com', 'http://example.com', false],
    ['*.example.com', 'http://a.b.example.com', true],
    ['EXAMPLE.com.', 'http://Example.COM', true],
    ['a.test, example.com', 'http://example.com', true],
    ['a.test  example.com', 'http://example.com', true],
    ['example.com:8080', 'http://example.com:8080', true],
    ['example.com:8080', 'http://example.com', false],
    ['example.com:443', 'https://example.com', true],
    ['*:80', 'http://example.com', true],
    ['*:80', 'https://example.com', false],
    ['localhost,127.0.0.1', 'http://localhost:4000', true],
    ['localhost,127.0.0.1', 'http://127.0.0.1:4000', true],
    ['localhost', 'http://127.0.0.1', false],
    ['10.0.0.0/8', 'http://10.2.3.4', true],
    ['10.0.0.0/8', 'http://11.2.3.4', false],
    ['10.0.0.0/99', 'http://10.2.3.4', false],
    ['0.0.0.1', 'http://10.0.0.1', false],
    ['::1', 'http://[::1]:4000', true],
    ['[::1]', 'http://[::1]:4000', true],
    ['[::1]:4000', 'http://[::1]:4000', true],
    ['[::1]:4001', 'http://[::1]:4000', false],
    ['fd00::/8', 'http://[fd12::1]', true],
    ['fd00::/8', 'http://10.0.0.1', false],
    ['.', 'http://example.com', false],
    [',,:,[],/,*x', 'http://example.com', false],
  ]
  for (const [list, url, exempt] of cases)
    assert.equal(isExempt(new URL(url), list), exempt, `${list} ${url}`)
})

test('which proxy leads where', () => {
  const cases: [
    url: string,
    env: Environment,
    own: string | undefined,
    host: string | undefined,
  ][] = [
    ['http://a.test', {}, undefined, undefined],
    ['http://a.test', { HTTP_PROXY: 'http://p:1' }, undefined, 'p:1'],
    ['https://a.test', { HTTP_PROXY: 'http://p:1' }, undefined, undefined],
    ['https://a.test', { HTTPS_PROXY: 'http://p:1' }, undefined, 'p:1'],
    ['https://a.test', { https_proxy: 'http://q:2', HTTPS_PROXY: 'http://p:1' }, undefined, 'q:2'],
    ['https://a.test', { https_proxy: '', HTTPS_PROXY: 'http://p:1' }, undefined, undefined],
    ['https://a.test', { ALL_PROXY: 'p:1' }, undefined, 'p:1'],
    ['http://a.test', { ALL_PROXY: 'p:1', HTTP_PROXY: 'https://q' }, undefined, 'q:443'],
    ['http://a.test', { HTTP_PROXY: 'p', NO_PROXY: 'a.test' }, undefined, undefined],
    ['http://a.test', { HTTP_PROXY: 'p', no_proxy: 'a.test' }, undefined, undefined],
    ['http://localhost', { HTTP_PROXY: 'p' }, undefined, 'p:80'],
    ['http://a.test', { HTTP_PROXY: 'p', NO_PROXY: 'a.test' }, 'http://own:3', 'own:3'],
    ['http://a.test', { HTTP_PROXY: 'p' }, '', undefined],
    ['http://a.test', {}, 'http://[::1]:3', '::1:3'],
  ]
  for (const [url, env, own, expected] of cases) {
    const proxy = chooseProxy(new URL(url), own, env)
    assert.equal(proxy && `${proxy.host}:${proxy.port}`, expected, JSON.stringify([url, env, own]))
  }
  for (const bad of ['socks5://u:pa55@p:1', 'http://', 'http://p:99999', 'ftp://p'])
    assert.throws(
      () => chooseProxy(new URL('http://a.test'), bad, {}),
      (error) =>
        GatewayError.is(error) &&
        /http:\/\/host:port/.test(error.message) &&
        !/pa55/.test(error.message),
    )
})

describe('through a proxy', () => {
  const closing: (() => void)[] = []
  after(() => {
    for (const close of closing) close()
  })
  const listen = async (server: Server): Promise<string> => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => {
      server.close()
      server.closeAllConnections()
    })
    return `127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  /** Passes requests on and opens tunnels, for those who log in as `user` with `pa:55`. */
  const openProxy = async (login: string | undefined) => {
    const asked: string[] = []
    const sockets = new Set<Socket>()
    const wanted = login && `Basic ${btoa(login)}`
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      const { 'proxy-authorization': given, ...headers } = request.headers
      if (given !== wanted) return response.writeHead(407).end()
      const onward = forward(request.url ?? '', { method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(response)
      })
      request.pipe(onward)
    })
    server.on('connect', (request, socket: Socket) => {
      asked.push(`CONNECT ${request.url}`)
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('end', () => socket.destroy())
      if (request.url?.startsWith('mute')) return socket.resume()
      if (request.headers['proxy-authorization'] !== wanted)
        return socket.resume().end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      const [host = '', port] = (request.url ?? '').split(':')
      const onward = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        onward.pipe(socket).pipe(onward)
      })
      onward.on('error', () => socket.destroy())
    })
    return { at: await listen(server), asked, sockets }
  }
  const openUpstream = () =>
    listen(
      createServer(({ method, url, headers }, response) =>
        response.end(`${method} ${url} ${headers.host} ${headers['proxy-authorization']}`),
      ),
    )
  const open = (env: Environment) => {
    const transport = nodeTransport({ env })
    closing.push(() => void transport.close())
    return transport
  }
  const fault = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => assert.fail('no fault'),
      (reason) => reason,
    )
    assert.ok(GatewayError.is(error), String(error))
    assert.doesNotMatch(error.message, /pa:?55|127\.0/)
    return error
  }

  test('plain HTTP is passed on, with a login, and the upstream does not see it', async () => {
    const proxy = await openProxy('user:pa:55')
    const upstream = await openUpstream()
    const transport = open({ http_proxy: `http://user:pa%3A55@${proxy.at}` })
    for (let at = 0; at < 2; at++) {
      const reply = await transport({ url: `http://${upstream}/p?q=1`, headers: {}, body: 'x' })
      assert.equal(Buffer.from(await reply.bytes()).toString(), `POST /p?q=1 ${upstream} undefined`)
    }
    assert.deepEqual(proxy.asked, Array(2).fill(`POST http://${upstream}/p?q=1`))
  })

  test('NO_PROXY and an empty setting go straight', async () => {
    const proxy = await openProxy(undefined)
    const upstream = await openUpstream()
    const url = `http://${upstream}/`
    await (
      await open({ HTTP_PROXY: proxy.at, NO_PROXY: '127.0.0.1' })({ url, headers: {} })
    ).bytes()
    const transport = open({ HTTP_PROXY: proxy.at })
    await (await transport({ url, headers: {}, connection: { proxy: '' } })).bytes()
    assert.deepEqual(proxy.asked, [])
    await (await transport({ url, headers: {} })).bytes()
    assert.equal(proxy.asked.length, 1)
  })

  test('a proxy that refuses, is gone, or says nothing', async () => {
    const proxy = await openProxy('user:pa:55')
    const headers = {}
    const wrong = open({ ALL_PROXY: `http://user:pa55@${proxy.at}` })
    const login = await fault(wrong({ url: 'http://a.test', headers }))
    assert.deepEqual([login.kind, login.status], ['provider', 500])
    assert.match(login.message, /the proxy wants a login/)
    const refused = await fault(wrong({ url: 'https://a.test', headers }))
    assert.match(refused.message, /the proxy refused to connect \(status 407\)/)

    const gone = createServer()
    const nobody = await listen(gone)
    gone.close()
    const unreachable = await fault(open({ ALL_PROXY: nobody })({ url: 'https://a.test', headers }))
    assert.match(unreachable.message, /the proxy could not be reached/)

    const limits = { connectMs: 40 }
    const slow = await fault(wrong({ url: 'https://mute.test', headers, limits }))
    assert.match(slow.message, /connect limit/)
    const controller = new AbortController()
    const aborted = fault(wrong({ url: 'https://mute.test', headers, signal: controller.signal }))
    setTimeout(() => controller.abort(), 20)
    assert.equal((await aborted).kind, 'canceled')
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.ok([...proxy.sockets].every((socket) => socket.destroyed))
  })
})
