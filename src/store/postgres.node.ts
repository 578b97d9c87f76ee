import { Kysely, PostgresDialect, type QueryResult } from 'kysely'
import pg from 'pg'
import { type Db, Superseded } from './db.ts'
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

/** Opens a pool; the schema is made when it is missing. Rejects where the database cannot be reached. */
export async function openPostgres(options: PostgresOptions): Promise<Db> {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connections ?? 10,
    connectionTimeoutMillis: (options.connectSeconds ?? 10) * 1000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: 'throughway',
    // Said while connecting, so that no query comes before it.
    options: `-c search_path=${schemaName}`,
    types: { getTypeParser },
  })
  // Without a listener an idle connection that breaks would end the process.
  pool.on('error', options.onError)
  await pool.query(`create schema if not exists ${schemaName}`).catch(async (cause: unknown) => {
    // Two processes that start at once both find it missing; the second one's attempt is refused, and that is fine.
    if (
      (cause as { code?: string }).code === '23505' ||
      (cause as { code?: string }).code === '42P06'
    )
      return
    await pool.end().catch(() => {})
    throw cause
  })
  const query = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  let ear: pg.Client | undefined
  let closed = false
  return {
    dialect: 'postgres',
    query,
    async batch(statements) {
      const client = await pool.connect()
      let broken: unknown
      try {
        await client.query('begin')
        const results: QueryResult<unknown>[] = []
        for (const { query: one, many, expect } of statements) {
          if (many) {
            for (const values of many) await client.query(one.sql, [...values])
            results.push({ rows: [] })
            continue
          }
          const { rows, rowCount } = await client.query(one.sql, [...one.parameters])
          if (expect !== undefined && rowCount !== expect)
            throw new Superseded('another process was there first')
          results.push({ rows, numAffectedRows: BigInt(rowCount ?? 0) })
        }
        await client.query('commit')
        return results
      } catch (cause) {
        await client.query('rollback').catch((lost: unknown) => {
          broken = lost
        })
        throw cause
      } finally {
        client.release(broken !== undefined)
      }
    },
    async listen(hear) {
      const open = async (): Promise<void> => {
        const client = new pg.Client({
          connectionString: options.url,
          keepAlive: true,
          application_name: 'throughway',
          connectionTimeoutMillis: (options.connectSeconds ?? 10) * 1000,
        })
        ear = client
        client.on('notification', ({ payload }) => hear(payload ?? ''))
        // Whoever listens has missed what was said while the connection was away.
        const again = (): void => {
          if (closed || ear !== client) return
          ear = undefined
          setTimeout(() => {
            if (!closed) open().catch(again)
          }, 500).unref()
        }
        client.on('error', again)
        client.on('end', again)
        await client.connect()
        await client.query(`listen ${channel}`)
        hear('')
      }
      await open()
    },
    async close() {
      closed = true
      await ear?.end().catch(() => {})
      await query.destroy()
    },
  }
}

/** Counts and sums come as text, because they might not fit a double; ours are rounded rather than told as text. */
const getTypeParser = ((oid: number, format?: 'text' | 'binary') =>
  format !== 'binary' && (oid === 20 || oid === 1700)
    ? Number
    : pg.types.getTypeParser(oid, format ?? 'text')) as typeof pg.types.getTypeParser
