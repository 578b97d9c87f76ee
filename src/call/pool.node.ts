import { GatewayError } from '../errors.ts'
import {
  fingerprint,
  prepareSettings,
  type Route,
  routeTo,
  type Settings,
} from './connection.node.ts'
import { type Line, type LineOwner, openLine } from './line.node.ts'
import { chooseProxy, type Environment } from './proxy.node.ts'
import type { Connection } from './transport.ts'

/** Who wants a line, and hears of it once. */
export type Taker = { take(line: Line): void; refuse(error: GatewayError): void }

/** The lines to one origin with the same settings. It stays when they have gone: it remembers the TLS session. */
export type Pool = {
  /** Of a plain HTTP proxy: what goes before the path, and the proxy's login. */
  readonly pathPrefix: string
  readonly proxyLogin: string | undefined
  /** Gives a line now or later; `fresh` asks for a new one. */
  acquire(fresh: boolean, taker: Taker): void
  /** Leaves the queue. */
  leave(taker: Taker): void
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
  const { connectionsMax = 2048, waitingMax = 2048, idleMs = 1000 } = options
  const { keepAliveMs = route.secure ? 30_000 : 4_000 } = options
  const lines = new Set<Line>()
  const idle: Line[] = []
  const waiting = new Set<Taker>()
  let usedAt = 0
  let sweeping: ReturnType<typeof setInterval> | undefined

  const owner: LineOwner = {
    idle(freed) {
      idle.push(freed)
      sweeping ??= setInterval(sweep, sweepMs).unref()
      if (waiting.size > 0) setImmediate(serve)
    },
    gone(lost) {
      lines.delete(lost)
      const at = idle.lastIndexOf(lost)
      if (at !== -1) idle.splice(at, 1)
      if (waiting.size > 0) setImmediate(serve)
    },
  }
  /** Closes what has been idle for too long. One timer for all: each of its own would cost every request. */
  const sweep = () => {
    for (const line of [...idle]) if (!line.isAlive()) line.drop()
    if (idle.length > 0) return
    clearInterval(sweeping)
    sweeping = undefined
  }
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
    const line = openLine(route, { keepAliveMs, idleMs }, owner)
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
    },
    leave: (taker) => void waiting.delete(taker),
    isIdle: () => idle.length === lines.size && waiting.size === 0,
    usedAt: () => usedAt,
    close(error) {
      for (const taker of waiting) {
        waiting.delete(taker)
        taker.refuse(error)
      }
      for (const line of lines) line.drop()
      clearInterval(sweeping)
      closed()
    },
  }
}

const sweepMs = 1000
