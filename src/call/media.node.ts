import { lookup as lookUp } from 'node:dns/promises'
import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { GatewayError } from '../errors.ts'
import { abortSignalOf } from '../http/signal.ts'
import { version } from '../version.ts'
import { openSocket, prepareSettings, type Route, type Settings } from './connection.node.ts'
import {
  type AllowedHosts,
  createAllowedHosts,
  hostOf,
  isForbidden,
  notPublic,
  objectionTo,
  portOf,
} from './guard.ts'
import type { FetchMedia, Wanted } from './media.ts'
import { essenceOf, mediaTypeOf } from './media-type.ts'
import { chooseProxy, type Environment } from './proxy.node.ts'
import type { Connection } from './transport.ts'

// See src/http/serve.node.ts: an import would load Node's own fetch.
const { request: ask } = process.getBuiltinModule('node:http')

export type MediaFetchOptions = {
  /** False: clients are trusted, and everything on http and https may be fetched. LiteLLM's `user_url_validation`. */
  validate?: boolean | undefined
  /** LiteLLM's `user_url_allowed_hosts`. */
  allowedHosts?: readonly string[] | undefined
  limits?: Partial<MediaLimits>
  /** TLS and proxy settings of the process. */
  connection?: Connection
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read from it. */
  env?: Environment
  lookup?: (host: string) => Promise<readonly string[]>
  open?: typeof openSocket
  now?: () => number
}

export type MediaLimits = {
  itemBytes: number
  /** From the first look-up to the last byte, waiting for a turn included. */
  totalMs: number
  /** Fetches of the whole process that run at the same time. */
  concurrency: number
  cacheBytes: number
  cacheMs: number
}

/**
 * Fetches what clients name, behind a guard: a name is resolved once, all its addresses must be public, and the
 * connection goes to the address that was checked, so that a name which answers differently a moment later changes
 * nothing. Each redirect is judged as the first address was. No credential, cookie or client header goes along.
 */
export function createMediaFetch(options: MediaFetchOptions = {}): FetchMedia {
  const limits = { ...usualLimits, ...options.limits }
  const way: Way = {
    validate: options.validate ?? true,
    allowed: createAllowedHosts(options.allowedHosts ?? []),
    settings: prepareSettings(options.connection ?? {}),
    env: options.env ?? {},
    lookup: options.lookup ?? addressesOf,
    open: options.open ?? openSocket,
    bytesMax: limits.itemBytes,
  }
  const gate = createGate(limits.concurrency)
  const cache = createCache(limits, options.now ?? Date.now)
  return async (url, wanted) => {
    const kept = cache.find(url)
    if (kept) wanted.take(kept.size)
    const found = kept ?? (await inTime(url, wanted, way, gate, limits.totalMs))
    if (!kept && found.keep) cache.add(url, found)
    const mime = mediaTypeOf(wanted, found.stated, found.head)
    if (mime === undefined)
      throw refused(
        `its server says it is ${essenceOf(found.stated) ?? 'of no known type'}, and ${wantedWords(wanted)} was expected`,
      )
    return { base64: found.base64, mime }
  }
}

const usualLimits: MediaLimits = {
  itemBytes: 20 * 1024 * 1024,
  totalMs: 10_000,
  concurrency: 16,
  cacheBytes: 64 * 1024 * 1024,
  cacheMs: 60_000,
}

type Way = {
  validate: boolean
  allowed: AllowedHosts
  settings: Settings
  env: Environment
  lookup: (host: string) => Promise<readonly string[]>
  open: typeof openSocket
  bytesMax: number
}

type Found = {
  base64: string
  size: number
  /** `content-type`, as it came. */
  stated: string | undefined
  /** The first bytes, which tell what it is. */
  head: Uint8Array
  /** May it be kept for the next turn? */
  keep: boolean
}

const wantedWords = ({ kind, mime }: Wanted): string =>
  kind === 'file' ? (mime ?? 'a file') : kind === 'image' ? 'an image' : kind

async function inTime(
  url: string,
  wanted: Wanted,
  way: Way,
  enter: Gate,
  totalMs: number,
): Promise<Found> {
  const clock = AbortSignal.timeout(totalMs)
  const signal = AbortSignal.any([abortSignalOf(wanted.signal), clock])
  try {
    const leave = await enter(signal)
    try {
      return await follow(url, wanted, way, signal)
    } finally {
      leave()
    }
  } catch (cause) {
    if (wanted.signal.aborted || !clock.aborted) throw cause
    throw refused(`it took longer than ${totalMs / 1000} seconds`, cause)
  }
}

async function follow(
  first: string,
  wanted: Wanted,
  way: Way,
  signal: AbortSignal,
): Promise<Found> {
  let url = read(first)
  for (let hops = 0; ; hops++) {
    const answer = await get(url, way, signal)
    try {
      const { location } = answer.headers
      if (!redirects.has(answer.statusCode ?? 0) || location === undefined)
        return await collect(answer, wanted, way.bytesMax)
      if (hops === hopsMax) throw refused(`it redirects more than ${hopsMax} times`)
      url = read(location, url)
    } finally {
      answer.destroy()
    }
  }
}

function read(text: string, base?: URL): URL {
  if (text.length > urlMax || !URL.canParse(text, base)) throw refused('it leads to no URL')
  return new URL(text, base)
}

async function get(url: URL, way: Way, signal: AbortSignal): Promise<IncomingMessage> {
  const trusted = !way.validate || way.allowed.has(url)
  const objection = objectionTo(url, trusted)
  if (objection !== undefined) throw refused(objection)
  const { socket, route, address } = await connect(url, trusted, way, signal)
  const isProxied = route.proxy !== undefined && !route.secure
  const place = `${isIP(address) === 6 ? `[${address}]` : address}:${route.port}`
  return await new Promise((resolve, reject) => {
    const request = ask({
      createConnection: () => socket,
      path: (isProxied ? `http://${place}` : '') + url.pathname + url.search,
      headers: {
        host: url.host,
        accept: '*/*',
        'accept-encoding': 'identity',
        'user-agent': `throughway/${version}`,
        ...(isProxied &&
          route.proxy?.authorization && { 'proxy-authorization': route.proxy.authorization }),
      },
      signal,
    })
    request.on('response', (answer) => {
      // Whoever reads it hears of it; when nobody does, it must not end the process.
      answer.on('error', () => {})
      resolve(answer)
    })
    request.on('error', (cause) => reject(refused('its server did not answer', cause)))
    request.end()
  })
}

type Connected = { socket: Socket; route: Route; address: string }

/** One look-up; every address is judged, and the first that can be reached is used. */
async function connect(
  url: URL,
  trusted: boolean,
  way: Way,
  signal: AbortSignal,
): Promise<Connected> {
  const host = hostOf(url)
  const literal = isIP(host) !== 0
  const found = literal ? [host] : await resolved(host, way, signal)
  if (found.length === 0) throw refused(notPublic)
  if (!trusted && found.some(isForbidden))
    throw refused(notPublic, new Error(`${host} is ${found.join(', ')}`))
  const proxy = chooseProxy(url, way.settings.proxy, way.env)
  let last: unknown
  for (const address of found.slice(0, addressesMax)) {
    const route: Route = {
      secure: url.protocol === 'https:',
      host: address,
      port: portOf(url),
      proxy,
      tls: way.settings.tls,
      session: undefined,
    }
    try {
      // The certificate is for the host's name, whatever address it is at.
      const name = literal ? undefined : host
      const socket = await opened(route, name, way.open, signal)
      return { socket, route, address }
    } catch (cause) {
      if (signal.aborted) throw cause
      last = cause
    }
  }
  throw refused('no connection could be made', last)
}

async function resolved(host: string, way: Way, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return await orAborted(way.lookup(host), signal)
  } catch (cause) {
    if (signal.aborted) throw cause
    throw refused(notPublic, cause)
  }
}

const addressesOf = async (host: string): Promise<string[]> =>
  (await lookUp(host, { all: true })).map(({ address }) => address)

function opened(
  route: Route,
  servername: string | undefined,
  open: typeof openSocket,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const give = () => {
      stop()
      reject(signal.reason)
    }
    const stop = open(route, servername, (error, socket) => {
      signal.removeEventListener('abort', give)
      if (socket) resolve(socket)
      else reject(error)
    })
    if (signal.aborted) give()
    else signal.addEventListener('abort', give, { once: true })
  })
}

async function collect(
  answer: IncomingMessage,
  { take }: Wanted,
  bytesMax: number,
): Promise<Found> {
  const { statusCode = 0, headers } = answer
  if (statusCode !== 200) throw refused(`its server answered with status ${statusCode}`)
  // What is small when it comes may be large when it is unpacked; nobody asked for that.
  const coding = headers['content-encoding']?.trim().toLowerCase()
  if (coding !== undefined && coding !== '' && coding !== 'identity')
    throw refused('its server sends it compressed, though it was asked not to')
  const tooLarge = () => refused(`it is larger than ${bytesMax / 1024 / 1024} MiB`)
  if (Number(headers['content-length']) > bytesMax) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of answer) {
      const bytes: Buffer = chunk
      size += bytes.length
      if (size > bytesMax) throw tooLarge()
      take(bytes.length)
      chunks.push(bytes)
    }
  } catch (cause) {
    throw GatewayError.is(cause) ? cause : refused('its server broke off', cause)
  }
  if (size === 0) throw refused('it is empty')
  const whole = Buffer.concat(chunks, size)
  return {
    base64: whole.toString('base64'),
    size,
    stated: headers['content-type'],
    head: Uint8Array.from(whole.subarray(0, 32)),
    keep: !/no-store|private/i.test(headers['cache-control'] ?? ''),
  }
}

type Gate = (signal: AbortSignal) => Promise<() => void>

/** Lets so many in at a time; who is let in says when it has left. */
function createGate(places: number): Gate {
  let free = places
  const waiting = new Set<() => void>()
  const leave = () => {
    const [next] = waiting
    if (!next) free++
    else {
      waiting.delete(next)
      next()
    }
  }
  return async (signal) => {
    signal.throwIfAborted()
    if (free > 0) free--
    else
      await new Promise<void>((resolve, reject) => {
        const turn = () => {
          signal.removeEventListener('abort', give)
          resolve()
        }
        const give = () => {
          waiting.delete(turn)
          reject(signal.reason)
        }
        waiting.add(turn)
        signal.addEventListener('abort', give, { once: true })
      })
    return leave
  }
}

/** An agent sends the whole conversation with every turn, pictures included. Whoever knows the address could fetch it too. */
function createCache({ cacheBytes, cacheMs }: MediaLimits, now: () => number) {
  const kept = new Map<string, Found & { until: number }>()
  let size = 0
  const drop = (url: string): void => {
    size -= kept.get(url)?.base64.length ?? 0
    kept.delete(url)
  }
  return {
    find(url: string): Found | undefined {
      const found = kept.get(url)
      if (!found) return undefined
      if (found.until > now()) {
        // Used again: now the last to go.
        kept.delete(url)
        kept.set(url, found)
        return found
      }
      drop(url)
      return undefined
    },
    add(url: string, found: Found): void {
      drop(url)
      if (found.base64.length > cacheBytes) return
      size += found.base64.length
      kept.set(url, { ...found, until: now() + cacheMs })
      for (const oldest of kept.keys()) {
        if (size <= cacheBytes) break
        drop(oldest)
      }
    },
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason)
    if (signal.aborted) give()
    signal.addEventListener('abort', give, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give))
  })
}

const refused = (reason: string, cause?: unknown): GatewayError =>
  new GatewayError('bad_request', reason, { cause })

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const hopsMax = 3
const addressesMax = 4
const urlMax = 8192
