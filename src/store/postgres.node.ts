import { Kysely, PostgresDialect, type PostgresPoolClient, type QueryResult } from 'kysely'
import pg from 'pg'
import { GatewayError } from '../errors.ts'
import { away, type Db, type Statement, Superseded } from './db.ts'
import type { Tables } from './tables.ts'

/** Everything of ours lies in a schema of its own: a database that LiteLLM uses too is never written outside it. */
export const schemaName = 'throughway'
const channel = 'throughway'

export type PostgresOptions = {
  url: string
  /** `database_connection_pool_limit`. */
  connections?: number
  /** `database_connection_timeout`, seconds. */
  connectSeconds?: number
  onError(cause: unknown): void
}

/** A transaction of the ledger takes milliseconds; one that takes this long has lost its connection. */
const batchMs = 20_000
const listenAgainMs = 500

/** Opens a pool; the schema is made when it is missing. Rejects where the database cannot be reached. */
export async function openPostgres(options: PostgresOptions): Promise<Db> {
  const connection = {
    connectionString: options.url,
    connectionTimeoutMillis: (options.connectSeconds ?? 10) * 1000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'throughway',
  }
  const pool = new pg.Pool({
    ...connection,
    // A transaction is sent as a whole and waits for its answers together, not for one after the other.
    pipeline: true,
    max: options.connections ?? 10,
    idleTimeoutMillis: 30_000,
    // Said while connecting, so that no query comes before it.
    options: `-c search_path=${schemaName}`,
    types: { getTypeParser },
  })
  // Without a listener a connection that breaks would end the process: an idle one tells the pool, one that is lent out
  // only itself.
  pool.on('error', options.onError)
  pool.on('connect', (client) => void client.on('error', () => {}))
  await pool.query(`create schema if not exists ${schemaName}`).catch(async (cause: unknown) => {
    // Two processes that start at once both find it missing; the second one's attempt is refused, and that is fine.
    if (codeOf(cause) === '23505' || codeOf(cause) === '42P06') return
    await pool.end().catch(() => {})
    throw cause
  })
  const query = new Kysely<Tables>({
    dialect: new PostgresDialect({
      pool: {
        options: pool.options,
        connect: async () => told(await pool.connect().catch(refuseAway)),
        end: async () => {},
      },
    }),
  })
  const stopListening = new AbortController()
  return {
    dialect: 'postgres',
    query,
    async batch(statements) {
      const client = await pool.connect().catch(refuseAway)
      let broken = false
      try {
        const results = await together(client, statements)
        await bounded(client, 'commit')
        return results
      } catch (cause) {
        await bounded(client, 'rollback').catch(() => {
          broken = true
        })
        return refuseAway(cause)
      } finally {
        client.release(broken)
      }
    },
    async listen(hear) {
      const { signal } = stopListening
      let first = true
      const begun = Promise.withResolvers<void>()
      /** For as long as the process lives: whoever listens again has missed what was said meanwhile. */
      const go = async (): Promise<void> => {
        while (!signal.aborted) {
          try {
            await listenOnce(new pg.Client(connection), hear, signal, begun.resolve)
          } catch (cause) {
            if (first) begun.reject(cause)
          }
          first = false
          await new Promise((resolve) => setTimeout(resolve, listenAgainMs).unref())
        }
      }
      go().catch(options.onError)
      await begun.promise.catch(refuseAway)
    },
    async close() {
      stopListening.abort()
      await query.destroy()
      await pool.end()
    },
  }
}

function bounded(
  client: pg.PoolClient,
  text: string,
  values: readonly unknown[] = [],
): Promise<pg.QueryResult> {
  const config: pg.QueryConfig & { query_timeout: number } = {
    text,
    values: [...values],
    query_timeout: batchMs,
  }
  return client.query(config)
}

/** Everything in one message, with its beginning and without its end. */
async function together(
  client: pg.PoolClient,
  statements: readonly Statement[],
): Promise<QueryResult<unknown>[]> {
  const ask = (text: string, values?: readonly unknown[]) => bounded(client, text, values)
  const begun = ask('begin')
  const asked = statements.map(({ query, many }) =>
    many ? many.map((values) => ask(query.sql, values)) : [ask(query.sql, query.parameters)],
  )
  // All are heard out: a failure of the first makes the others fail too, and each of them says so.
  const settled = await Promise.allSettled([begun, ...asked.flat()])
  for (const one of settled) if (one.status === 'rejected') throw one.reason
  const results: QueryResult<unknown>[] = []
  for (const [at, { expect }] of statements.entries()) {
    let rows: unknown[] = []
    let affected = 0
    for (const one of asked[at] ?? []) {
      const result = await one
      rows = result.rows
      affected += result.rowCount ?? 0
    }
    if (expect !== undefined && affected !== expect)
      throw new Superseded('another process was there first')
    results.push({ rows, numAffectedRows: BigInt(affected) })
  }
  return results
}

/** Resolves when the connection has ended. `ready` once it listens. */
async function listenOnce(
  client: pg.Client,
  hear: (message: string) => void,
  signal: AbortSignal,
  ready: () => void,
): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    client.on('end', resolve)
    client.on('error', () => resolve())
  })
  const stop = (): void => void client.end().catch(() => {})
  client.on('notification', ({ payload }) => hear(payload ?? ''))
  try {
    await client.connect()
    await client.query(`listen ${channel}`)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    ready()
    hear('')
    await ended
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** A connection whose failures are told as the others': the database is away, or it refuses what it was asked. */
function told(client: pg.PoolClient): PostgresPoolClient {
  const query = (text: string, values: readonly unknown[]): Promise<unknown> =>
    client.query(text, [...values]).catch(refuseAway)
  return {
    // No cursors are given to Kysely, so it asks in this one way only.
    query: query as unknown as PostgresPoolClient['query'],
    release: (destroy?: boolean) => client.release(destroy),
  }
}

const codeOf = (cause: unknown): string => String((cause as { code?: unknown }).code ?? '')

/** Throws what it is given, as `away` where it was no answer of the database to what it was asked. */
function refuseAway(cause: unknown): never {
  const code = codeOf(cause)
  const { message = '' } = cause as { message?: string }
  // 53: no room left, on its disk or for connections. 57P: it is shut down or starts. 08: the connection failed.
  if (code === '53100') throw away(cause, 'cannot be written (its disk is full)')
  if (/^(08|53|57P)/.test(code) || networkCodes.has(code) || lost.test(message)) throw away(cause)
  if (code === '22021')
    throw new GatewayError(
      'bad_request',
      'a text has a NUL character in it, which the database does not keep: leave it out',
      { type: 'bad_request_error', code: '400', cause },
    )
  throw cause
}
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
const lost =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|Query read timeout|not queryable|Cannot use a pool after|Connection ended/i

/** Counts and sums come as text, because they might not fit a double; ours are rounded rather than told as text. */
const getTypeParser = ((oid: number, format?: 'text' | 'binary') =>
  format !== 'binary' && (oid === 20 || oid === 1700)
    ? Number
    : pg.types.getTypeParser(oid, format ?? 'text')) as typeof pg.types.getTypeParser
