import { statSync } from 'node:fs'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { away, type Db, Superseded } from './db.ts'
import { packed as packedOf } from './packed.ts'
import { type Ask, openConnection, type SqliteConnection, type Told } from './sqlite-run.node.ts'
import type { Tables } from './tables.ts'

/** Opens (or makes) the database file. `:memory:` is a database of its own. */
export function openSqlite(path: string): Db {
  const turn = createTurns()
  // One in memory is its connection's alone.
  let thread = (path === ':memory:' ? undefined : openHere(path)) ?? openThread(path)
  /** Something has come that must not hold up a request: from the next turn on a thread does the work. */
  let wanted = false
  const take = async (): Promise<void> => {
    await turn.take()
    if (!wanted || !thread.here) return
    await moveOut()
  }
  const moveOut = async (): Promise<void> => {
    const here = thread
    const next = openThread(path)
    // Whoever closes the file last writes the log into it: that must not be this thread.
    await next.ask([{ sql: 'select 1', parameters: [] }], false)
    thread = next
    await here.close()
  }
  const results = async (
    statements: Ask['statements'],
    atomic: boolean,
  ): Promise<QueryResult<unknown>[]> => {
    if (thread.here && isLong(statements)) {
      wanted = true
      // In a transaction that began here it goes on here.
      if (!inTransaction) await moveOut()
    }
    const began = thread.here ? performance.now() : 0
    let told: Answered[]
    try {
      told = await thread.ask(statements, atomic)
    } catch (cause) {
      // Another process holds the file: waiting for it is for the thread to do. Nothing has been done yet.
      if (!thread.here || inTransaction || !isBusy(cause)) throw cause
      await moveOut()
      told = await thread.ask(statements, atomic)
    }
    if (thread.here) {
      // Making the tables takes its time, once, before anybody is served.
      const slow = performance.now() - began > hereMsMax
      if (slow && !statements.some(({ sql }) => /^\s*(create|commit)\b/i.test(sql))) wanted = true
      if (++done % 100 === 0 && sizeOf(`${path}-wal`) > logMax) wanted = true
    }
    return told.map(({ rows, changes }) => ({ rows, numAffectedRows: BigInt(changes) }))
  }
  let done = 0
  let inTransaction = false
  const connection: DatabaseConnection = {
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      const [result = { rows: [] }] = await results([{ sql, parameters }], false)
      return result as QueryResult<R>
    },
    // biome-ignore lint/correctness/useYield: the interface wants a generator, and nobody here streams rows
    async *streamQuery() {
      throw new Error('rows are not streamed from SQLite: page through them')
    },
  }
  const say = async (sql: string): Promise<void> => {
    await results([{ sql, parameters: [] }], false)
  }
  const end = async (how: 'commit' | 'rollback'): Promise<void> => {
    try {
      await say(how)
    } finally {
      inTransaction = false
    }
  }
  const driver: Driver = {
    init: async () => {},
    acquireConnection: async () => {
      await take()
      return connection
    },
    // Immediate: a transaction that reads first and writes then must not find that somebody else wrote in between.
    async beginTransaction() {
      await say('begin immediate')
      inTransaction = true
    },
    commitTransaction: () => end('commit'),
    rollbackTransaction: () => end('rollback'),
    releaseConnection: async () => turn.give(),
    destroy: async () => {},
  }
  const dialect: Dialect = {
    createAdapter: () => new TransactionalAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  const query = new Kysely<Tables>({ dialect })
  return {
    dialect: 'sqlite',
    query,
    async batch(statements) {
      await take()
      try {
        return await results(
          statements.map(({ query: { sql, parameters }, many, packed, expect }) => ({
            sql,
            parameters,
            ...(many && { many }),
            ...(packed && { packed }),
            ...(expect !== undefined && { expect }),
          })),
          true,
        )
      } finally {
        turn.give()
      }
    },
    async version() {
      const [result] = await results([{ sql: 'pragma data_version', parameters: [] }], false)
      return Number((result?.rows[0] as { data_version?: number } | undefined)?.data_version ?? 0)
    },
    close: () => thread.close(),
  }
}

/**
 * A gateway that is little used works on the file by itself: a thread takes 10 MB and 30 ms of a start. The thread comes
 * with the first statement that took this long or may, with the first wait for another process, and when the log has grown
 * so far that somebody has to write it into the file.
 */
const hereMsMax = 4
const rowsMax = 64
const logMax = 8 * 1024 * 1024

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

type Answered = { rows: unknown[]; changes: number }
type Asked = {
  /** In this thread. */
  here: boolean
  ask(statements: Ask['statements'], atomic: boolean): Promise<Answered[]>
  close(): Promise<void>
}

const isLong = (statements: Ask['statements']): boolean =>
  statements.some(
    ({ sql, many, packed }) =>
      (many !== undefined && many.length > rowsMax) ||
      (packed !== undefined && packed.numbers.length > rowsMax * packed.width) ||
      (/\b(spend_log|spend_hour|payload)\b/.test(sql) && /^\s*(select|with)\b/i.test(sql)),
  )

const isBusy = (cause: unknown): boolean => {
  const { errcode } = (cause as { cause?: { errcode?: unknown } }).cause ?? {}
  return errcode === 5 || errcode === 6 || (cause as { errcode?: unknown }).errcode === 5
}

/** The connection in this thread: it waits for nobody, and leaves the log to the thread that comes later. */
function openHere(path: string): Asked | undefined {
  let closed = false
  let connection: SqliteConnection
  try {
    connection = openConnection(path, { busyMs: 0, checkpoints: false })
  } catch (cause) {
    if (isBusy(cause)) return undefined
    throw failureOf(cause as Error & { errcode: number | undefined })
  }
  return {
    here: true,
    async ask(statements, atomic) {
      if (closed) throw away(new Error('the database is closed'), 'is closed')
      const told = connection.run({ id: 0, statements, atomic })
      if (!('results' in told)) throw errorOf(told.error)
      // As they come from the thread: ordinary objects.
      for (const result of told.results)
        result.rows = result.rows.map((row) => ({ ...(row as Record<string, unknown>) }))
      return told.results
    },
    async close() {
      if (closed) return
      closed = true
      connection.close()
    },
  }
}

function errorOf(error: Extract<Told, { error: unknown }>['error']): Error {
  return error.superseded
    ? new Superseded('another process was there first')
    : failureOf(Object.assign(new Error(error.message), { errcode: error.errcode }))
}

/** SQLite does roll back what changes tables, which makes migrations all or nothing. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/** One connection, one transaction at a time: whoever comes later waits. */
function createTurns() {
  let taken = false
  const waiting: (() => void)[] = []
  return {
    take: (): Promise<void> | void => {
      if (!taken) {
        taken = true
        return
      }
      return new Promise((resolve) => waiting.push(resolve))
    },
    give() {
      const next = waiting.shift()
      if (next) next()
      else taken = false
    },
  }
}

function openThread(path: string): Asked {
  // `.ts` from source, `.mjs` from the bundle, `.js` in the compiled library.
  const file = new URL(`./sqlite-worker.node${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, {
    workerData: { path },
    // What it holds are a few statements; the pages are SQLite's own.
    resourceLimits: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 4 },
  })
  worker.unref()
  const asked = new Map<
    number,
    { resolve(results: { rows: unknown[]; changes: number }[]): void; reject(cause: Error): void }
  >()
  let last = 0
  let ended: Error | undefined
  const end = (cause: Error): void => {
    ended ??= cause
    for (const { reject } of asked.values()) reject(ended)
    asked.clear()
  }
  worker.on('message', (told: Told) => {
    const one = asked.get(told.id)
    asked.delete(told.id)
    if (asked.size === 0) worker.unref()
    if (!one) return
    if ('results' in told) one.resolve(told.results)
    else
      one.reject(
        told.error.superseded
          ? new Superseded('another process was there first')
          : failureOf(
              Object.assign(new Error(told.error.message), { errcode: told.error.errcode }),
            ),
      )
  })
  worker.on('error', (cause) => end(away(cause, 'has stopped')))
  worker.on('exit', () => end(away(new Error('the database is closed'), 'is closed')))
  return {
    here: false,
    ask: (statements, atomic) =>
      new Promise<Answered[]>((resolve, reject) => {
        if (ended) return reject(ended)
        const id = ++last
        asked.set(id, { resolve, reject })
        // A process that waits for an answer does not end meanwhile.
        worker.ref()
        const buffers: ArrayBuffer[] = []
        const sent = statements.map((statement) => {
          const { many, packed = many && packedOf(many), ...rest } = statement
          if (!packed) return statement
          buffers.push(packed.numbers.buffer)
          return { ...rest, packed }
        })
        worker.postMessage({ id, statements: sent, atomic } satisfies Ask, buffers)
      }),
    close: async (): Promise<void> => {
      if (ended) return
      const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
      worker.ref()
      worker.postMessage('close')
      await gone
    },
  }
}

/** What SQLite could not do as things are, as `away`; anything else is a mistake in what it was asked. */
function failureOf(cause: Error & { errcode: number | undefined }): Error {
  const why = cause.errcode === undefined ? undefined : unable[cause.errcode & 0xff]
  return why === undefined ? cause : away(cause, why)
}
const unable: Readonly<Record<number, string>> = {
  5: 'is busy with another process',
  6: 'is busy with another process',
  8: 'cannot be written (its folder is read-only)',
  10: 'cannot be read or written (its disk fails)',
  13: 'cannot be written (its disk is full)',
  14: 'cannot be opened',
}
