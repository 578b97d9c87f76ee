import { request as httpsRequest } from 'node:https'
import { BlockList, isIP, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { basicLogin } from './target.ts'

// See src/http/serve.node.ts: an import would load Node's own fetch.
const { request: httpRequest } = process.getBuiltinModule('node:http')

export type ProxyServer = {
  secure: boolean
  host: string
  port: number
  /** `proxy-authorization`, when the URL holds a login. */
  authorization: string | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Which proxy leads to an origin; `explicit` is a deployment's own setting and is not questioned by NO_PROXY. */
export function chooseProxy(
  target: URL,
  explicit: string | undefined,
  env: Environment,
): ProxyServer | undefined {
  const named =
    explicit ?? (isExempt(target, variable(env, 'no_proxy')) ? '' : proxyOfEnv(target, env))
  return named === '' ? undefined : parseProxy(named)
}

function proxyOfEnv(target: URL, env: Environment): string {
  return variable(env, `${target.protocol.slice(0, -1)}_proxy`) || variable(env, 'all_proxy')
}

/** Lower case wins, as in curl and Python. */
const variable = (env: Environment, name: string): string =>
  (env[name] ?? env[name.toUpperCase()] ?? '').trim()

function parseProxy(text: string): ProxyServer {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(full) ? new URL(full) : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    throw new GatewayError(
      'provider',
      'Connection error: the proxy setting is not understood; write it as http://host:port',
    )
  const secure = url.protocol === 'https:'
  return {
    secure,
    host: bareHost(url.hostname),
    port: Number(url.port) || (secure ? 443 : 80),
    authorization: basicLogin(url),
  }
}

/** `[::1]` → `::1`, and no dot at the end: as sockets and certificates name a host. */
export const bareHost = (hostname: string): string =>
  hostname.replace(/^\[(.*)\]$/, '$1').replace(/(.)\.$/, '$1')

/**
 * NO_PROXY: hosts separated by commas or spaces. `example.com` and `.example.com` stand for the name and all below
 * it, `*.example.com` for what is below; `:port` narrows; addresses may be a range (10.0.0.0/8); `*` is everything.
 */
export function isExempt(target: URL, list: string): boolean {
  const host = bareHost(target.hostname).toLowerCase()
  const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80)
  return list
    .slice(0, listMax)
    .toLowerCase()
    .split(/[,\s]/)
    .some((entry) => entry !== '' && matches(entry, host, port))
}

function matches(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true
  const [, bracketed, plain, at] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [
    undefined,
    undefined,
    entry,
  ]
  if (at !== undefined && Number(at) !== port) return false
  const name = bareHost(bracketed ?? plain ?? '')
  if (name === '*') return true
  if (isIP(host)) return name === host || inRange(name, host)
  if (name.startsWith('*.')) return host.endsWith(name.slice(1))
  const suffix = name.startsWith('.') ? name : `.${name}`
  return suffix.length > 1 && (host === suffix.slice(1) || host.endsWith(suffix))
}

function inRange(range: string, host: string): boolean {
  const [net = '', bits] = range.split('/')
  const family = isIP(net)
  const prefix = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits)
  if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > (family === 4 ? 32 : 128))
    return false
  const block = new BlockList()
  block.addSubnet(net, prefix, family === 4 ? 'ipv4' : 'ipv6')
  return block.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6')
}

/** Asks a proxy for a way through (CONNECT). Gives the socket, which speaks to the upstream from then on. */
export function openTunnel(
  proxy: ProxyServer,
  authority: string,
  tls: { secureContext: SecureContext; rejectUnauthorized: boolean },
  done: (error: Error | undefined, socket?: Socket) => void,
): () => void {
  const asked = (proxy.secure ? httpsRequest : httpRequest)({
    host: proxy.host,
    port: proxy.port,
    method: 'CONNECT',
    path: authority,
    agent: false,
    headers: {
      host: authority,
      ...(proxy.authorization && { 'proxy-authorization': proxy.authorization }),
    },
    ...(proxy.secure && { ...tls, ...(isIP(proxy.host) === 0 && { servername: proxy.host }) }),
  })
  asked.once('connect', (answer, socket, head) => {
    if (answer.statusCode !== 200) {
      socket.destroy()
      done(new ProxyError(`the proxy refused to connect (status ${answer.statusCode})`))
      return
    }
    if (head.length > 0) socket.unshift(head)
    // `socket` is typed as a Duplex; a CONNECT gives the connection itself.
    done(undefined, socket as Socket)
  })
  asked.on('error', (cause) => {
    const code = 'code' in cause ? ` (${cause.code})` : ''
    done(new ProxyError(`the proxy could not be reached${code}`, { cause }))
  })
  asked.end()
  return () => asked.destroy()
}

/** The proxy, not the upstream, is at fault. The message is fit to be shown. */
export class ProxyError extends Error {
  override readonly name: string = 'ProxyError'
}

const listMax = 65_536
