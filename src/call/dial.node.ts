import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { GatewayError } from '../errors.ts'
import { openSocket, prepareSettings, routeTo, type Settings } from './connection.node.ts'
import { canceled, connectionError } from './connection-error.ts'
import type { Dial, DialCall, Dialed, SocketLine } from './dial.ts'
import { chooseProxy, type Environment, openTunnel, type ProxyServer } from './proxy.node.ts'
import type { Connection, Reply } from './transport.ts'

/** WebSockets to providers on Node: through the same proxies, with the same TLS settings as requests. */
export function createDial({
  env = {},
  defaults = {},
}: {
  env?: Environment
  defaults?: Connection
}): Dial {
  return (call) => {
    const settings = prepareSettings({ ...defaults, ...call.connection })
    return open(call, settings, chooseProxy(new URL(call.url), settings.proxy, env))
  }
}

function open(call: DialCall, settings: Settings, proxy: ProxyServer | undefined): Promise<Dialed> {
  const { url, headers, signal, connectMs, messageBytes } = call
  if (signal.aborted) return Promise.reject(canceled(signal))
  const { promise, resolve, reject } = Promise.withResolvers<Dialed>()
  const target = new URL(url)
  let stopConnecting = () => {}
  const peer = new WebSocket(url.replace(/^http/i, 'ws'), {
    headers: { ...headers },
    maxPayload: messageBytes,
    perMessageDeflate: false,
    followRedirects: false,
    createConnection: ((_: unknown, done: Opened) => {
      stopConnecting = connect(target, settings, proxy, done)
    }) as never, // Node takes a callback here; the type knows only the socket as an answer.
  })
  function giveUp(error: GatewayError): void {
    reject(error)
    if (peer.readyState === WebSocket.CONNECTING) stopConnecting()
    peer.terminate()
  }
  const leave = (): void => giveUp(canceled(signal))
  signal.addEventListener('abort', leave, { once: true })
  // The package's own timer watches a socket that it has opened itself.
  const timer = setTimeout(() => giveUp(tooLate()), connectMs)
  peer.once('close', () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  })
  peer.once('unexpected-response', (_request, answer) => {
    const give = (bytes: Uint8Array): void => {
      clearTimeout(timer)
      resolve({ type: 'refused', reply: replyOf(answer, bytes) })
      peer.terminate()
    }
    firstBytes(answer).then(give, () => give(new Uint8Array(0)))
  })
  // Where the handshake is over, the line hears of it by `close`.
  peer.on('error', (cause) => reject(connectionError(cause, false)))
  const line = lineOf(peer)
  peer.once('open', () => {
    clearTimeout(timer)
    resolve({ type: 'open', line })
  })
  return promise
}

type Opened = (...outcome: [null, Socket] | [Error, null]) => void

/**
 * Calling the answer ends the attempt. A proxy that only passes on requests is of no use for what comes after one: it is
 * asked for a way through.
 */
function connect(
  target: URL,
  settings: Settings,
  proxy: ProxyServer | undefined,
  done: Opened,
): () => void {
  const route = routeTo(target, proxy, settings)
  if (!proxy || route.secure) return openSocket(route, undefined, done)
  const host = isIP(route.host) === 6 ? `[${route.host}]` : route.host
  return openTunnel(proxy, `${host}:${route.port}`, settings.tls, (error, socket) => {
    if (error || !socket) done(error ?? new Error('no socket'), null)
    else done(null, socket)
  })
}

const tooLate = (): GatewayError =>
  new GatewayError('timeout', 'Connection timed out: the provider did not answer the handshake')

/** Its messages wait here for the one who reads them, one at most: then they wait in the network. */
function lineOf(peer: WebSocket): SocketLine {
  const waiting: string[] = []
  let wake: (() => void) | undefined
  let ended: SocketLine['ended']
  peer.on('message', (data) => {
    waiting.push(String(data))
    peer.pause()
    wake?.()
  })
  peer.once('close', (code, reason) => {
    ended = { code, reason: reason.toString() }
    wake?.()
  })
  async function next(): Promise<IteratorResult<string, undefined>> {
    for (;;) {
      const message = waiting.shift()
      if (message !== undefined) {
        if (waiting.length === 0) peer.resume()
        return { done: false, value: message }
      }
      if (ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return {
    messages: { [Symbol.asyncIterator]: () => ({ next }) },
    send: (text) =>
      new Promise((resolve, reject) => {
        if (peer.readyState !== WebSocket.OPEN) return reject(gone())
        const isFull = peer.bufferedAmount > bufferedMax
        peer.send(text, (error) => (error ? reject(gone()) : resolve()))
        if (!isFull) resolve()
      }),
    close(code = 1000, reason = '') {
      // One who closes hears nothing more, also of a peer that does not answer to it.
      peer.resume()
      peer.close(code, reason)
    },
    get ended() {
      return ended
    },
  }
}

const gone = (): GatewayError =>
  new GatewayError('provider', 'Connection error: the provider closed the WebSocket')

async function firstBytes(answer: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer) {
    chunks.push(chunk)
    size += chunk.length
    if (size > refusalMax) break
  }
  return Buffer.concat(chunks)
}

function replyOf({ statusCode = 502, headers }: IncomingMessage, bytes: Uint8Array): Reply {
  const said: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && name !== 'set-cookie') said[name] = String(value)
  return {
    status: statusCode,
    header: (name) => said[name.toLowerCase()],
    headers: () => ({ ...said }),
    body: (async function* () {
      yield bytes
    })(),
    bytes: async () => bytes,
  }
}

const bufferedMax = 256 * 1024
const refusalMax = 1_000_000
