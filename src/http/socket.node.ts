import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { GatewayError } from '../errors.ts'
import { bodyTaken, clientGone, faultAnswer, isUnexpected, targetOf } from './door.ts'
import type { Incoming } from './http.ts'
import { writtenAnswer } from './serve.node.ts'
import type { Signal } from './signal.ts'
import { isKeyProtocol, type Socket, type Upgrade } from './socket.ts'
import { headerOf, oneHost, plainAddress } from './visit.node.ts'

export type SocketOptions = {
  /** Prefix to take off paths; empty for none. */
  root: string
  /** Largest message. */
  messageBytes: number
  /** A connection on which nothing is said, and nothing answered, for so long is closed. */
  idleMs: number
  /** A peer is asked whether it is there so often, and is gone when it has not said so by the next time. */
  pingMs: number
  /** A peer that takes nothing of what is sent to it for so long is cut off. */
  stallMs: number
  onError: (error: unknown) => void
}

export type SocketDoor = {
  /** Takes over the handshake of `req`. */
  admit(req: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Says goodbye to all; what is being answered is answered first. */
  close(): void
}

/** The door for WebSockets on Node: handshakes go to `upgrade`, which refuses them or takes the conversation. */
export function createSocketDoor(upgrade: Upgrade, options: SocketOptions): SocketDoor {
  const { messageBytes, onError } = options
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: messageBytes,
    // Memory per connection, and a way to make much out of little.
    perMessageDeflate: false,
    clientTracking: false,
    // Browsers have no place for a key but this list; it is not for reading aloud.
    handleProtocols: (offered) => [...offered].find((one) => !isKeyProtocol(one)) ?? false,
  })
  server.on('wsClientError', (error, socket) => {
    const fault = new GatewayError(
      'bad_request',
      `This is no WebSocket handshake: ${error.message}`,
    )
    socket.end(writtenAnswer(faultAnswer(fault)))
  })
  const open = new Set<() => void>()

  async function take(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const refusal = oneHost(req.headers.host)
      ? undefined
      : new GatewayError('bad_request', 'The request needs exactly one Host header')
    if (refusal) return void socket.end(writtenAnswer(faultAnswer(refusal)))
    const gone = new AbortController()
    socket.once('close', () => gone.abort(clientGone()))
    const verdict = await upgrade(incomingOf(req, options.root, gone.signal))
    if ('refused' in verdict) return void socket.end(writtenAnswer(verdict.refused))
    server.handleUpgrade(req, socket, head, (peer) => {
      const { conversation, leave } = converse(peer, gone.signal, options)
      open.add(leave)
      verdict
        .accepted(conversation)
        .catch((error: unknown) => {
          if (isUnexpected(error)) onError(error)
        })
        .finally(() => {
          open.delete(leave)
          leave()
        })
    })
  }

  return {
    admit(req, socket, head) {
      // Until the handshake is over nobody else listens for it.
      socket.on('error', () => socket.destroy())
      take(req, socket, head).catch((error: unknown) => {
        if (isUnexpected(error)) onError(error)
        socket.end(writtenAnswer(faultAnswer(GatewayError.from(error))))
      })
    },
    close() {
      for (const leave of open) leave()
    },
  }
}

function incomingOf(req: IncomingMessage, root: string, signal: Signal): Incoming {
  return {
    method: 'GET',
    ...targetOf(req.url ?? '/', root),
    header: (name) => headerOf(req.headers[name]),
    headerNames: () => Object.keys(req.headers),
    headers: () =>
      Object.fromEntries(
        Object.entries(req.headers).map(([name, value]) => [name, headerOf(value) ?? '']),
      ),
    remoteAddress: plainAddress(req.socket.remoteAddress ?? ''),
    body: async () => new Uint8Array(0),
    stream: () => {
      throw bodyTaken()
    },
    signal,
  }
}

/** One peer: its messages wait here for the one who reads them, and when too many wait, in the network. */
function converse(
  peer: WebSocket,
  signal: Signal,
  { idleMs, pingMs, stallMs }: SocketOptions,
): { conversation: Socket; leave: () => void } {
  const waiting: string[] = []
  let wake: (() => void) | undefined
  let leaving = false
  let busy = false
  let usedAt = Date.now()
  let isThere = true

  function leave(): void {
    leaving = true
    if (!busy) peer.close(1001, 'going away')
    wake?.()
  }

  peer.on('message', (data, isBinary) => {
    usedAt = Date.now()
    if (isBinary) return peer.close(1003, 'send texts')
    waiting.push(String(data))
    // One is read ahead at most: a message may be as large as a body.
    peer.pause()
    wake?.()
  })
  peer.on('pong', () => {
    isThere = true
  })
  // Too large a message, or what is no WebSocket at all: `ws` says so to the peer and closes.
  peer.on('error', () => {})
  peer.on('close', () => wake?.())
  const watch = setInterval(() => {
    // Nothing is heard from one who is not listened to.
    if (!isThere && !peer.isPaused) return peer.terminate()
    if (!busy && Date.now() - usedAt > idleMs) return peer.close(1000, 'idle')
    isThere = false
    peer.ping()
  }, pingMs)
  peer.once('close', () => clearInterval(watch))

  async function next(): Promise<IteratorResult<string, undefined>> {
    busy = false
    usedAt = Date.now()
    for (;;) {
      if (leaving || peer.readyState !== WebSocket.OPEN) {
        peer.close(1001, 'going away')
        return { done: true, value: undefined }
      }
      const message = waiting.shift()
      if (message !== undefined) {
        busy = true
        if (waiting.length === 0) peer.resume()
        return { done: false, value: message }
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }

  const conversation: Socket = {
    messages: { [Symbol.asyncIterator]: () => ({ next }) },
    close: (code, reason = '') => peer.close(code, cutTo(closingBytes, reason)),
    send: (text) =>
      new Promise((resolve, reject) => {
        usedAt = Date.now()
        if (peer.readyState !== WebSocket.OPEN) return reject(clientGone())
        const isFull = peer.bufferedAmount > bufferedMax
        const stalled = isFull ? setTimeout(() => peer.terminate(), stallMs) : undefined
        peer.send(text, (error) => {
          clearTimeout(stalled)
          if (error) reject(clientGone())
          else resolve()
        })
        // As long as there is room, nobody waits for the network.
        if (!isFull) resolve()
      }),
    signal,
  }
  return { conversation, leave }
}

/** Whole characters of a text that is too long. */
function cutTo(bytes: number, said: string): string {
  let out = said.slice(0, bytes)
  while (Buffer.byteLength(out) > bytes) out = out.slice(0, -1)
  return out.toWellFormed()
}
const closingBytes = 123

const bufferedMax = 256 * 1024
