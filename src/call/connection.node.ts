import { createHash } from 'node:crypto'
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  getCACertificates,
  type SecureContext,
} from 'node:tls'
import { GatewayError } from '../errors.ts'
import { bareHost, type Environment, openTunnel, type ProxyServer } from './proxy.node.ts'
import type { Connection } from './transport.ts'

/**
 * What the environment says about TLS, in LiteLLM's names: SSL_VERIFY (a yes or no, or the file of the CAs to
 * trust), SSL_CERT_FILE (the CAs to trust), SSL_CERTIFICATE (our certificate and its key, in one file), and Node's
 * NODE_EXTRA_CA_CERTS (CAs to trust besides the others). Files are read once, here.
 */
export function connectionFromEnv(
  env: Environment,
  readFile: (path: string) => string,
  nodeHasExtra: () => boolean = () => getCACertificates('extra').length > 0,
): Connection {
  const verify = (env['SSL_VERIFY'] ?? '').trim()
  const read = (name: string, path: string): string => {
    try {
      return readFile(path)
    } catch (cause) {
      throw new GatewayError(
        'internal',
        `${name}: cannot read ${path}; give the path of a PEM file`,
        {
          cause,
        },
      )
    }
  }
  if (no.has(verify.toLowerCase())) return { verifyTls: false, ...clientOf(env, read) }
  const isPath = verify !== '' && !yes.has(verify.toLowerCase())
  const file = isPath ? verify : (env['SSL_CERT_FILE'] ?? '').trim()
  const roots = file === '' ? undefined : read(isPath ? 'SSL_VERIFY' : 'SSL_CERT_FILE', file)
  const extra = (env['NODE_EXTRA_CA_CERTS'] ?? '').trim()
  // Node reads its own variable when it starts, but not if it was set later, nor when the CAs are replaced.
  const missing = extra !== '' && (roots !== undefined || !nodeHasExtra())
  const ca = missing
    ? [roots ?? getCACertificates('default').join('\n'), read('NODE_EXTRA_CA_CERTS', extra)].join(
        '\n',
      )
    : roots
  return { ...(ca !== undefined && { ca }), ...clientOf(env, read) }
}

function clientOf(env: Environment, read: (name: string, path: string) => string): Connection {
  const file = (env['SSL_CERTIFICATE'] ?? '').trim()
  if (file === '') return {}
  const pem = read('SSL_CERTIFICATE', file)
  return { clientCert: pem, clientKey: pem }
}

/** A connection's settings, made ready: parsing certificates takes milliseconds, so it is done once. */
export type Settings = {
  proxy: string | undefined
  tls: { secureContext: SecureContext; rejectUnauthorized: boolean }
}

export function prepareSettings(connection: Connection): Settings {
  const { ca, clientCert, clientKey, clientKeyPassphrase, verifyTls } = connection
  try {
    const secureContext = createSecureContext({
      ...(ca !== undefined && { ca }),
      ...(clientCert !== undefined && { cert: clientCert }),
      ...(clientKey !== undefined && { key: clientKey }),
      ...(clientKeyPassphrase !== undefined && { passphrase: clientKeyPassphrase }),
    })
    return {
      proxy: connection.proxy,
      tls: { secureContext, rejectUnauthorized: verifyTls !== false },
    }
  } catch (cause) {
    throw new GatewayError(
      'provider',
      'Connection error: the TLS settings cannot be used; check that CA, client certificate, key and passphrase are PEM texts that belong together',
      { cause },
    )
  }
}

/** The same text for the same settings, short enough to be kept. */
export function fingerprint(connection: Connection): string {
  const { verifyTls = true, ca, clientCert, clientKey, clientKeyPassphrase, proxy } = connection
  const said = JSON.stringify([verifyTls, ca, clientCert, clientKey, clientKeyPassphrase, proxy])
  return createHash('sha256').update(said).digest('base64url')
}

export type Route = {
  secure: boolean
  host: string
  port: number
  proxy: ProxyServer | undefined
  tls: Settings['tls']
  /** The last TLS session, which shortens the next handshake. It vouches for the name it was agreed under alone. */
  session: { name: string; ticket: Buffer } | undefined
}

export function routeTo(target: URL, proxy: ProxyServer | undefined, { tls }: Settings): Route {
  const secure = target.protocol === 'https:'
  return {
    secure,
    host: bareHost(target.hostname),
    port: Number(target.port) || (secure ? 443 : 80),
    proxy,
    tls,
    session: undefined,
  }
}

type Opened = (...outcome: [null, Socket] | [Error, null]) => void

/** Hears what comes, `length` bytes of it; they are its own only while it is called, and it may write over them. */
type ReadListener = (bytes: Uint8Array, length: number) => void

/**
 * Opens a connection to an upstream, through its proxy if it has one. Calling the answer ends the attempt. `listener` is told
 * what comes, instead of the socket's 'data'.
 */
export function openSocket(
  route: Route,
  servername: string | undefined,
  opened: Opened,
  listener?: ReadListener,
): () => void {
  let stop = () => {}
  const reading = listener && readingTo(listener)
  const secured = (over: Socket | undefined) => {
    const name = servername ?? route.host
    const socket = secure(route, name, reading, over)
    // Over another stream there is no buffer to read into.
    if (over && listener) socket.on('data', (bytes: Buffer) => listener(bytes, bytes.length))
    socket.on('session', (ticket: Buffer) => {
      route.session = { name, ticket }
    })
    stop = watch(socket, 'secureConnect', opened)
  }
  const { proxy } = route
  if (!proxy) {
    if (route.secure) secured(undefined)
    else
      stop = watch(
        connectTcp({ ...tuning, ...reading, host: route.host, port: route.port }),
        'connect',
        opened,
      )
  } else if (!route.secure) {
    const { host, port, secure: hidden } = proxy
    if (hidden)
      stop = watch(
        secure({ ...route, host, port, session: undefined }, host, reading),
        'secureConnect',
        opened,
      )
    else stop = watch(connectTcp({ ...tuning, ...reading, host, port }), 'connect', opened)
  } else {
    const authority = `${isIP(route.host) === 6 ? `[${route.host}]` : route.host}:${route.port}`
    stop = openTunnel(proxy, authority, route.tls, (error, socket) => {
      if (error || !socket) opened(error ?? new Error('no socket'), null)
      else secured(socket)
    })
  }
  return () => stop()
}

/**
 * All sockets read into one buffer: what has come is dealt with, or copied, before the next can read. A buffer for each
 * read, and a stream that hands it on, would cost a streamed token a sixth more.
 */
const readingTo = (listener: ReadListener): { onread: OnReadOpts } => ({
  onread: {
    buffer: (shared ??= Buffer.allocUnsafeSlow(sharedBytes)),
    callback(count, buffer) {
      listener(buffer, count)
      return true
    },
  },
})
let shared: Buffer | undefined
const sharedBytes = 65_536

function secure(
  route: Route,
  name: string,
  reading: { onread: OnReadOpts } | undefined,
  over?: Socket,
) {
  return connectTls({
    ...tuning,
    ...(!over && reading),
    ...route.tls,
    host: route.host,
    port: route.port,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(name) === 0 && { servername: name }),
    // Node checks no certificate again where a session is taken up.
    ...(route.session?.name === name && { session: route.session.ticket }),
    ...(over && { socket: over }),
  })
}

/** Says once how the attempt ended. The error listener stays: a socket that nobody listens to ends the process. */
function watch(socket: Socket, event: 'connect' | 'secureConnect', opened: Opened): () => void {
  let told = false
  const tell: Opened = (...outcome) => {
    if (told) return
    told = true
    opened(...outcome)
  }
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  socket.on(event, () => tell(null, socket))
  socket.on('error', (error) => tell(error, null))
  return () => {
    told = true
    socket.destroy()
  }
}

const tuning = { highWaterMark: 65_536, noDelay: true }
const yes: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on'])
const no: ReadonlySet<string> = new Set(['false', '0', 'no', 'off'])
