import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcp } from 'node:net'
import { after, before, test } from 'node:test'
import { WebSocketServer } from 'ws'
import { createDial } from './dial.node.ts'
import type { DialCall } from './dial.ts'

/** Repeats what it hears; answers other handshakes with 429. */
const server: Server = createServer()
const sockets = new WebSocketServer({ noServer: true })
server.on('upgrade', (request, socket, head) => {
  if (request.url !== '/talk')
    return void socket.end(
      'HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nfull',
    )
  sockets.handleUpgrade(request, socket, head, (peer) => {
    peer.send(`key ${request.headers.authorization}`)
    peer.on('message', (data, isBinary) =>
      String(data) === 'leave'
        ? peer.close(4002, 'as you wish')
        : peer.send(data, { binary: isBinary }),
    )
    if (request.headers['x-binary']) peer.send(Buffer.from('ü in bytes'))
  })
})

/** Lets everybody through who logs in. */
const asked: string[] = []
const proxy = createServer()
proxy.on('connect', (request, socket) => {
  asked.push(`${request.url} ${request.headers['proxy-authorization']}`)
  const [host = '', port] = (request.url ?? '').split(':')
  const through = connect(Number(port), host, () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.pipe(through).pipe(socket)
  })
  for (const one of [socket, through]) one.on('error', () => one.destroy())
})
const silent = createTcp((socket) => void socket.on('error', () => {}))

const portOf = (one: { address(): AddressInfo | string | null }): number => {
  const at = one.address()
  return typeof at === 'object' && at ? at.port : 0
}
before(() =>
  Promise.all(
    [server, proxy, silent].map(
      (one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve)),
    ),
  ),
)
after(() => {
  for (const peer of sockets.clients) peer.terminate()
  for (const one of [server, proxy]) {
    one.closeAllConnections()
    one.close()
  }
  silent.close()
})

const callTo = (path: string, more: Partial<DialCall> = {}): DialCall => ({
  url: `http://127.0.0.1:${portOf(server)}${path}`,
  headers: { authorization: 'Bearer k' },
  signal: new AbortController().signal,
  connectMs: 5000,
  messageBytes: 1000,
  ...more,
})

async function open(dial: ReturnType<typeof createDial>, call: DialCall) {
  const dialed = await dial(call)
  if (dialed.type !== 'open') throw new Error(`refused: ${dialed.reply.status}`)
  const messages = dialed.line.messages[Symbol.asyncIterator]()
  return { line: dialed.line, next: async () => (await messages.next()).value }
}

test('texts both ways, bytes as UTF-8, and how it ended', async () => {
  const call = callTo('/talk', { headers: { authorization: 'Bearer k', 'x-binary': '1' } })
  const { line, next } = await open(createDial({}), call)
  equal(await next(), 'key Bearer k')
  equal(await next(), 'ü in bytes')
  await line.send('hello')
  equal(await next(), 'hello')
  equal(line.ended, undefined)
  await line.send('leave')
  equal(await next(), undefined)
  deepEqual(line.ended, { code: 4002, reason: 'as you wish' })
  await rejects(line.send('more'), { kind: 'provider' })
})

test('a refusal is an answer: status, headers and body', async () => {
  const dialed = await createDial({})(callTo('/other'))
  ok(dialed.type === 'refused')
  equal(dialed.reply.status, 429)
  equal(dialed.reply.header('Retry-After'), '7')
  equal(Buffer.from(await dialed.reply.bytes()).toString(), 'full')
})

test('through a proxy, of the environment or of the row', async () => {
  const there = `http://user:pass@127.0.0.1:${portOf(proxy)}`
  const login = `Basic ${Buffer.from('user:pass').toString('base64')}`
  for (const [env, connection] of [
    [{ HTTP_PROXY: there }, {}],
    [{}, { proxy: there }],
  ] as const) {
    const { line, next } = await open(createDial({ env }), callTo('/talk', { connection }))
    equal(await next(), 'key Bearer k')
    line.close()
  }
  deepEqual(asked, Array(2).fill(`127.0.0.1:${portOf(server)} ${login}`))
})

test('nobody there, nobody answering, nobody waiting any more', async () => {
  const dial = createDial({})
  await rejects(dial(callTo('', { url: 'http://127.0.0.1:1/' })), { kind: 'provider' })
  const url = `http://127.0.0.1:${portOf(silent)}/`
  await rejects(dial(callTo('', { url, connectMs: 100 })), { kind: 'timeout' })
  const stop = new AbortController()
  const dialing = dial(callTo('', { url, signal: stop.signal }))
  stop.abort()
  await rejects(dialing, { kind: 'canceled' })
})

test('too large a message ends the line', async () => {
  const { line, next } = await open(createDial({}), callTo('/talk'))
  await next()
  await line.send('x'.repeat(2000))
  equal(await next(), undefined)
  match(String(line.ended?.code), /^1006|1009$/)
})
