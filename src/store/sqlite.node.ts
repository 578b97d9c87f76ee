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
import type { Ask, Told } from './sqlite-worker.node.ts'
import type { Tables } from './tables.ts'

/** Opens (or makes) the database file. `:memory:` is a database of its own. */
export function openSqlite(path: string): Db {
  const thread = openThread(path)
  const turn = createTurns()
  const results = async (
    statements: Ask['statements'],
    atomic: boolean,
  ): Promise<QueryResult<unknown>[]> =>
    (await thread.ask(statements, atomic)).map(({ rows, changes }) => ({
      rows,
      numAffectedRows: BigInt(changes),
    }))
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
  const driver: Driver = {
    init: async () => {},
    acquireConnection: async () => {
      await turn.take()
      return connection
    },
    // Immediate: a transaction that reads first and writes then must not find that somebody else wrote in between.
    beginTransaction: () => say('begin immediate'),
    commitTransaction: () => say('commit'),
    rollbackTransaction: () => say('rollback'),
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
      await turn.take()
      try {
        return await results(
          statements.map(({ query: { sql, parameters }, many, expect }) => ({
            sql,
            parameters,
            ...(many && { many }),
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
    close: thread.close,
  }
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

function openThread(path: string) {
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
          : failureOf(Object.assign(new Error(told.error.message), { errcode: told.error.errcode })),
      )
  })
  worker.on('error', (cause) => end(away(cause, 'has stopped')))
  worker.on('exit', () => end(away(new Error('the database is closed'), 'is closed')))
  return {
    ask: (statements: Ask['statements'], atomic: boolean) =>
      new Promise<{ rows: unknown[]; changes: number }[]>((resolve, reject) => {
        if (ended) return reject(ended)
        const id = ++last
        asked.set(id, { resolve, reject })
        // A process that waits for an answer does not end meanwhile.
        worker.ref()
        worker.postMessage({ id, statements, atomic } satisfies Ask)
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
