import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import Client from 'undici/lib/dispatcher/client.js'
import { GatewayError } from '../errors.ts'
import {
  fingerprint,
  openSocket,
  prepareSettings,
  type Route,
  routeTo,
  type Settings,
} from './connection.node.ts'
import { chooseProxy, type Environment } from './proxy.node.ts'
import type { Connection } from './transport.ts'

/**
 * One kept-alive connection: an undici client that is given one request at a time. undici's own pool is not used,
 * since a request that has not begun cannot be taken back from it: neither its place in the queue nor the socket that
 * is being opened for it.
 */
export type Line = {
  /** Has it lain idle for a while? Then its peer may have closed it meanwhile. */
  reused: boolean
  /** Called whenever a socket has to be opened for the request. */
  opening: (() => void) | undefined
  isAlive(): boolean
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void
  /** The answer is complete: the next may have it. */
  release(): void
  /** Ends it at once, whatever state it is in. */
  drop(): void
}

/** Who wants a line, and hears of it once. */
export type Taker = { take(line: Line): void; refuse(error: GatewayError): void }

/** The lines to one origin with the same settings. It stays when they have gone: it remembers the TLS session. */
export type Pool = {
  /** Of a plain HTTP proxy: what goes before the path, and the proxy's login. */
  readonly pathPrefix: string
  readonly proxyLogin: string | undefined
  /** Gives a line now or later; `fresh` asks for a new one. Calling the answer leaves the queue. */
  acquire(fresh: boolean, taker: Taker): () => void
  isIdle(): boolean
  usedAt(): number
  close(error: GatewayError): void
}

export type PoolOptions = {
  /** HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read from it. */
  env?: Environment
  /** What a request's connection does not say. */
  defaults?: Connection
  /** Connections to one origin. An answer may take minutes and holds one all the time. */
  connectionsMax?: number
  /** Requests that may wait for one of them. */
  waitingMax?: number
  /** How long a connection is kept without use when the server does not say. */
  keepAliveMs?: number
  /**
   * A connection that served less than this ago is not closed for having been idle: one that ends then has refused the
   * request it was sent. Default 1,000 ms, the shortest time servers keep idle connections.
   */
  idleMs?: number
  poolsMax?: number
}

export type Pools = {
  find(origin: string, connection: Connection | undefined): Pool
  close(): void
}

export function createPools(options: PoolOptions): Pools {
  const { env = {}, defaults = {}, poolsMax = 256 } = options
  const all = new Set<Pool>()
  const entries = new Map<string, Entry>()
  const known = new WeakMap<Connection, Entry>()
  let closed = false

  const prepare = (connection: Connection): Entry => {
    const key = fingerprint(connection)
    const found = entries.get(key)
    if (found) return found
    for (const [old, { pools }] of entries) {
      if (entries.size < poolsMax) break
      if (pools.size === 0) entries.delete(old)
    }
    const entry: Entry = { settings: prepareSettings(connection), pools: new Map() }
    entries.set(key, entry)
    return entry
  }
  const entryOf = (connection: Connection): Entry => {
    let entry = known.get(connection)
    if (!entry) {
      entry = prepare(connection === defaults ? defaults : { ...defaults, ...connection })
      known.set(connection, entry)
    }
    return entry
  }
  const open = (origin: string, { settings, pools }: Entry): Pool => {
    const url = new URL(origin)
    const proxy = chooseProxy(url, settings.proxy, env)
    if (all.size >= poolsMax) leastUsed(all)?.close(shutDown())
    const pool = createPool(origin, routeTo(url, proxy, settings), options, () => {
      all.delete(pool)
      if (pools.get(origin) === pool) pools.delete(origin)
    })
    all.add(pool)
    pools.set(origin, pool)
    return pool
  }
  return {
    find(origin, connection = defaults) {
      if (closed) throw shutDown()
      const entry = entryOf(connection)
      return entry.pools.get(origin) ?? open(origin, entry)
    },
    close() {
      closed = true
      for (const pool of all) pool.close(shutDown())
    },
  }
}

type Entry = { settings: Settings; pools: Map<string, Pool> }

const shutDown = () => new GatewayError('unavailable', 'the gateway is shutting down')

function leastUsed(pools: Iterable<Pool>): Pool | undefined {
  let least: Pool | undefined
  for (const pool of pools)
    if (pool.isIdle() && (!least || pool.usedAt() < least.usedAt())) least = pool
  return least
}

function createPool(origin: string, route: Route, options: PoolOptions, closed: () => void): Pool {
  const { connectionsMax = 2048, waitingMax = 2048 } = options
  const lines = new Set<Line>()
  const idle: Line[] = []
  const waiting = new Set<Taker>()
  let usedAt = 0

  const idleLine = (): Line | undefined => {
    // The last one used: the others may grow old and be closed.
    for (let line = idle.pop(); line; line = idle.pop()) {
      if (line.isAlive()) return line
      line.drop()
    }
    return undefined
  }
  const newLine = (): Line | undefined => {
    if (lines.size >= connectionsMax) idle.shift()?.drop()
    if (lines.size >= connectionsMax) return undefined
    const line = openLine(origin, route, options, {
      idle(freed) {
        idle.push(freed)
        // Not now: undici is still inside the answer, and may be about to close the socket.
        if (waiting.size > 0) setImmediate(serve)
      },
      gone(lost) {
        lines.delete(lost)
        const at = idle.lastIndexOf(lost)
        if (at !== -1) idle.splice(at, 1)
        if (waiting.size > 0) setImmediate(serve)
      },
    })
    lines.add(line)
    return line
  }
  const serve = () => {
    for (const taker of waiting) {
      const line = idleLine() ?? newLine()
      if (!line) return
      waiting.delete(taker)
      taker.take(line)
    }
  }
  return {
    pathPrefix: route.proxy && !route.secure ? origin : '',
    proxyLogin: route.proxy && !route.secure ? route.proxy.authorization : undefined,
    acquire(fresh, taker) {
      usedAt = performance.now()
      const line = (fresh ? undefined : idleLine()) ?? newLine()
      if (line) taker.take(line)
      else if (waiting.size < waitingMax) waiting.add(taker)
      else
        throw new GatewayError(
          'unavailable',
          'too many requests are waiting for a connection to this upstream; try again later',
        )
      return () => waiting.delete(taker)
    },
    isIdle: () => idle.length === lines.size && waiting.size === 0,
    usedAt: () => usedAt,
    close(error) {
      for (const taker of waiting) {
        waiting.delete(taker)
        taker.refuse(error)
      }
      for (const line of lines) line.drop()
      closed()
    },
  }
}

type Owner = { idle(line: Line): void; gone(line: Line): void }

function openLine(origin: string, route: Route, options: PoolOptions, owner: Owner): Line {
  const { keepAliveMs = route.secure ? 30_000 : 4_000, idleMs = 1000 } = options
  let servedAt: number | undefined
  let socket: Socket | undefined
  let stopOpening = () => {}
  let leased = true
  let dropped = false

  const client = new Client(origin, {
    connect(asked, opened) {
      line.reused = false
      line.opening?.()
      stopOpening = openSocket(route, asked.servername, (...outcome) => {
        // From now on it is undici's to destroy, with its reason.
        stopOpening = () => {}
        socket = outcome[1] ?? undefined
        opened(...outcome)
      })
    },
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: 120_000,
    keepAliveTimeoutThreshold: 1_000,
    maxHeaderSize: 65_536,
    // Ours are exact, undici's are not.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  // A request that has not begun when its socket dies is given a new socket by undici; only a line nobody holds ends.
  const abandoned = () => {
    if (!leased) line.drop()
  }
  client.on('disconnect', abandoned)
  client.on('connectionError', abandoned)

  const line: Line = {
    reused: false,
    opening: undefined,
    isAlive: () => socket !== undefined && !socket.destroyed && !client.destroyed,
    dispatch(request, handler) {
      leased = true
      line.reused = servedAt !== undefined && performance.now() - servedAt >= idleMs
      client.dispatch(request, handler)
    },
    release() {
      leased = false
      servedAt = performance.now()
      line.opening = undefined
      owner.idle(line)
    },
    drop() {
      if (dropped) return
      dropped = true
      stopOpening()
      client.destroy(null, () => {})
      owner.gone(line)
    },
  }
  return line
}
