import type { ServerOptions as HttpOptions, IncomingMessage, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import { byStream, directly } from './direct.node.ts'
import { defaultBodyLimits, faultAnswer, rootOf } from './door.ts'
import type { Handler, Outgoing } from './http.ts'
import { Lanes } from './lane.node.ts'
import { createVisits, isWebSocket, type VisitOptions, type Visits } from './visit.node.ts'

// Who imports `node:http` is given all its names, WebSocket too, and with it Node's own fetch: 35 ms and 13 MB.
const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http')

export type ServerLimits = {
  /** Largest request body, as sent. */
  bodyBytes: number
  /** Largest request body, once decompressed; absent: as sent. */
  decompressedBytes?: number | undefined
  /** A body must bring 4 KB, or end, in each such span. */
  bodyIdleMs: number
  headBytes: number
  /** From the connection, or the first byte of a later request, to the end of its head. */
  headMs: number
  connections: number
  /** How long a connection without a request is kept. */
  keepAliveMs: number
  /** A client that takes nothing of its answer for so long is cut off. */
  stallMs: number
  /** How long the rest of a refused body is taken in, so that the client can read the refusal. */
  lingerMs: number
}

export type ServerOptions = {
  limits?: Partial<ServerLimits> | undefined
  /** PEM texts. */
  tls?:
    | { key: string; cert: string; passphrase?: string | undefined; ciphers?: string | undefined }
    | undefined
  /** Prefix the server is reached under; requests without it are served too. */
  rootPath?: string | undefined
  /** Routes that take more, or less, than `limits.bodyBytes`; undefined where that holds. */
  bodyLimitOf?: ((path: string) => number | undefined) | undefined
  /** Takes over WebSocket handshakes; absent: they are refused. */
  onUpgrade?: ((request: IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined
  /** For the log: what should not have happened. The client has been answered, or cut off, by then. */
  onError?: ((error: unknown) => void) | undefined
}

export type NodeServer = {
  /** Port 0 takes any free one. */
  listen(at: { host?: string | undefined; port: number }): Promise<Address>
  /** Accepts nothing more, lets what runs finish within `graceMs`, then cuts it. Later calls can only shorten the wait. */
  close(options?: { graceMs?: number | undefined }): Promise<void>
  connections(): number
  /** Requests being answered, streams included. */
  inFlight(): number
}

export type Address = { host: string; port: number; url: string }

export const defaultServerLimits: ServerLimits = {
  bodyBytes: defaultBodyLimits.bytes,
  bodyIdleMs: defaultBodyLimits.idleMs,
  headBytes: 32 * 1024,
  headMs: 10_000,
  connections: 10_000,
  keepAliveMs: 65_000,
  stallMs: 300_000,
  lingerMs: 10_000,
}

/** The door on Node: an HTTP/1.1 server around a handler. */
export function createNodeServer(handler: Handler, options: ServerOptions = {}): NodeServer {
  const limits = { ...defaultServerLimits, ...options.limits }
  const settings = visitOptions(options, limits)
  const visits = createVisits(handler, settings)
  const server = openServer(options, limits)
  const sockets = new Set<Socket>()
  // Over TLS a request comes from the socket inside, which exists only after the handshake.
  const handOver = options.tls ? undefined : ownListener(server)
  const lanes = new Lanes(limits)
  server.on('connection', (accepted: Socket) => {
    const direct = handOver === undefined ? byStream(accepted) : directly(accepted)
    const { socket } = direct
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    if (options.tls) return
    const isCrowded = sockets.size > limits.connections
    const line = visits.greet(socket, isCrowded)
    if (handOver === undefined) return
    if (isCrowded) handOver(socket)
    else
      lanes.open(direct, handOver, (head, body, lane) => visits.acceptPlain(line, head, body, lane))
  })
  if (options.tls)
    server.on('secureConnection', (socket: Socket) =>
      visits.greet(socket, sockets.size > limits.connections),
    )
  server.on('request', (req, res) => visits.accept(req, res, false))
  server.on('checkContinue', (req, res) => visits.accept(req, res, true))
  server.on('connect', (_req, socket) => socket.end(written(noTunnels)))
  server.on('clientError', (error, socket) => refuse(visits, error, socket))
  // Before, it is the one who listens that is told.
  server.on('listening', () => server.on('error', settings.onError))
  const { onUpgrade } = options
  if (onUpgrade)
    server.on('upgrade', (req, socket, head) =>
      !isWebSocket(req)
        ? socket.end(written(noUpgrade))
        : sockets.size > limits.connections || settings.draining
          ? socket.end(written(noRoom))
          : onUpgrade(req, socket, head),
    )

  let closed: Promise<void> | undefined
  return {
    listen: (at) => listen(server, at, options.tls ? 'https' : 'http'),
    async close({ graceMs = 30_000 } = {}) {
      settings.draining = true
      closed ??= drained(server, sockets, lanes, options.tls !== undefined).then(visits.idle)
      await within(graceMs, closed)
      for (const socket of sockets) socket.destroy()
      sockets.clear()
      // What was cut has been told; this is for its last words.
      await within(settleMs, closed)
    },
    connections: () => sockets.size,
    inFlight: visits.inFlight,
  }
}

function visitOptions(options: ServerOptions, limits: ServerLimits): VisitOptions {
  const { bodyLimitOf, onError = () => {} } = options
  return {
    root: rootOf(options.rootPath),
    limitsOf(path) {
      const bytes = bodyLimitOf?.(path) ?? limits.bodyBytes
      return {
        bytes,
        decompressedBytes: limits.decompressedBytes ?? bytes,
        idleMs: limits.bodyIdleMs,
      }
    },
    upgrades: options.onUpgrade !== undefined,
    draining: false,
    stallMs: limits.stallMs,
    lingerMs: limits.lingerMs,
    lingerBytes: 4 * limits.bodyBytes,
    keepAliveMs: limits.keepAliveMs,
    onError,
  }
}

function openServer({ tls, onUpgrade }: ServerOptions, limits: ServerLimits): Server {
  const http: HttpOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean } = {
    insecureHTTPParser: false,
    // Checked by us, to answer in JSON.
    requireHostHeader: false,
    joinDuplicateHeaders: true,
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headMs,
    // Long uploads are fine as long as they move: the body has its own clock.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(Math.max(limits.headMs / 20, 10), 1000),
    keepAliveTimeout: limits.keepAliveMs,
    noDelay: true,
    // Java's client asks for h2c with each first request and must be served as if it had not (RFC 9110, 7.8).
    shouldUpgradeCallback: onUpgrade ? isWebSocket : () => false,
  }
  const server = tls ? openTls(tls, http, limits) : createServer(http)
  // Waiting for a model, and streaming its answer, may take any time.
  server.timeout = 0
  // Node would drop headers over its count without a word; their bytes are bounded anyway.
  server.maxHeadersCount = 0
  // Beyond the limit comes a polite refusal, and beyond this a closed door.
  server.maxConnections = limits.connections + politeMax
  return server
}

/** Gives sockets to Node's own server, which listens for them until then. Undefined: it does that in some other way. */
function ownListener(server: Server): ((socket: Socket) => void) | undefined {
  const [own, ...others] = server.listeners('connection')
  if (own === undefined || others.length > 0) return undefined
  server.removeAllListeners('connection')
  return (socket) => void Reflect.apply(own, server, [socket])
}

function openTls(
  tls: NonNullable<ServerOptions['tls']>,
  http: HttpOptions,
  limits: ServerLimits,
): Server {
  const { key, cert, passphrase, ciphers } = tls
  try {
    return createTlsServer({
      ...http,
      key,
      cert,
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(ciphers === undefined ? {} : { ciphers }),
      handshakeTimeout: limits.headMs,
    })
  } catch (cause) {
    throw new GatewayError(
      'bad_request',
      'The TLS settings cannot be used: check that the key and the certificate are PEM texts that belong together, the passphrase fits and the cipher list is in OpenSSL syntax',
      { cause },
    )
  }
}

function listen(
  server: Server,
  { host = '127.0.0.1', port }: { host?: string | undefined; port: number },
  scheme: string,
): Promise<Address> {
  return new Promise((resolve, reject) => {
    const failed = (cause: unknown) => reject(listenFault(cause, host, port))
    const listening = () => {
      server.off('error', failed)
      const at = server.address()
      if (at === null || typeof at === 'string') return failed(undefined)
      resolve({
        host: at.address,
        port: at.port,
        url: `${scheme}://${reachable(at.address)}:${at.port}`,
      })
    }
    server.once('error', failed)
    try {
      server.listen({ host, port, backlog: 4096 }, listening)
    } catch (cause) {
      server.off('error', failed)
      failed(cause)
    }
  })
}

/** Every address means none in particular; this machine is one of them. */
function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  if (address === '::') return '[::1]'
  return address.includes(':') ? `[${address}]` : address
}

function listenFault(cause: unknown, host: string, port: number): GatewayError {
  const code = codeOf(cause)
  const [kind, message] =
    code === 'EADDRINUSE'
      ? (['conflict', `port ${port} on ${host} is in use; choose another with --port`] as const)
      : code === 'EACCES'
        ? ([
            'permission',
            `port ${port} on ${host} needs rights this process does not have; choose one above 1023 with --port`,
          ] as const)
        : code === 'ERR_SOCKET_BAD_PORT'
          ? ([
              'bad_request',
              `${port} is not a port; choose one from 0 to 65535 with --port`,
            ] as const)
          : ([
              'bad_request',
              `cannot listen on ${host} (${code || 'unknown reason'}); choose an address of this machine with --host`,
            ] as const)
  return new GatewayError(kind, message, { cause })
}

/** Resolves when every connection has ended; those without a request are ended here. */
async function drained(
  server: Server,
  sockets: Set<Socket>,
  lanes: Lanes,
  tls: boolean,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => server.close(() => resolve()))
  const sweep = () => {
    server.closeIdleConnections()
    lanes.closeIdle()
    // To Node, a connection that never sent a byte is busy with its first request.
    if (!tls) for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  }
  sweep()
  const sweeping = setInterval(sweep, sweepMs)
  await stopped
  clearInterval(sweeping)
}

function within(ms: number, done: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    void done.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** What the parser refuses never becomes a request, so the answer is written by hand. */
function refuse(visits: Visits, error: unknown, socket: Duplex): void {
  const fault = headFault(error)
  if (!(socket instanceof Socket) || fault === undefined) return void socket.destroy()
  const verdict = visits.refuse(socket)
  if (verdict === 'told') return
  if (!socket.writable) return void socket.destroy()
  if (verdict === 'answer') socket.end(written(fault))
  // What was said before still goes out.
  else socket.destroySoon()
  // The client may still be sending; closing at once would take the answer from it.
  setTimeout(() => socket.destroy(), refusedMs).unref()
}

function headFault(error: unknown): GatewayError | undefined {
  const code = codeOf(error)
  if (code === 'HPE_HEADER_OVERFLOW')
    return new GatewayError(
      'bad_request',
      'The head of the request is too large; send fewer or shorter headers',
      { status: 431 },
    )
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return new GatewayError('too_large', 'The chunk extensions of the request are too large')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('timeout', 'The head of the request did not arrive in time')
  if (!code.startsWith('HPE_')) return undefined
  const reason = error instanceof Error && 'reason' in error ? String(error.reason) : ''
  return new GatewayError(
    'bad_request',
    `The request is not valid HTTP${reason ? `: ${reason}` : ''}`,
  )
}

const written = (fault: GatewayError): string => writtenAnswer(faultAnswer(fault))

/** A whole answer by hand, and the last of its connection. */
export function writtenAnswer({ status, headers, body }: Outgoing): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`]
  for (const name of Object.keys(headers)) lines.push(`${name}: ${headers[name]}`)
  lines.push(`date: ${new Date().toUTCString()}`, 'connection: close')
  lines.push(`content-length: ${Buffer.byteLength(String(body))}`, '', String(body))
  return lines.join('\r\n')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

const noTunnels = new GatewayError('bad_request', 'This is not a proxy; send the request itself', {
  status: 405,
})
const noRoom = new GatewayError('unavailable', 'Too many connections; try again in a moment', {
  retryAfter: '1',
})
const noUpgrade = new GatewayError('not_offered', 'Only WebSocket upgrades are offered here')

/** Connections over the limit that are told so. */
const politeMax = 256
const sweepMs = 50
const settleMs = 1000
const refusedMs = 1000
