import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { eachRow, type Packed } from './packed.ts'

/** Statements for one connection, as they go to a thread. */
export type Ask = {
  id: number
  statements: {
    sql: string
    parameters: readonly unknown[]
    many?: readonly (readonly unknown[])[]
    /** The same as `many`. */
    packed?: Packed
    expect?: number
  }[]
  atomic: boolean
}
export type Told =
  | { id: number; results: { rows: unknown[]; changes: number }[] }
  | { id: number; error: { message: string; errcode?: number; superseded?: true } }

type Prepared = Map<string, { statement: StatementSync; reads: boolean }>
const preparedMax = 300

export type SqliteConnection = { run(ask: Ask): Told; close(): void }

/**
 * One connection to the file; statements are prepared once. A crash of the process loses nothing; a power cut may lose
 * the last commits. `busyMs`: how long it waits for another process. `checkpoints`: whether a commit may be followed by
 * writing the log into the file, which waits for the disk. 4 MB of pages are what rows of spend are written to as fast as
 * with 8; with 2 a row costs 2 µs more.
 */
export function openConnection(
  path: string,
  { busyMs, checkpoints }: { busyMs: number; checkpoints: boolean },
): SqliteConnection {
  if (path !== ':memory:') keepPrivate(path)
  const db = new DatabaseSync(path)
  const prepared: Prepared = new Map()
  db.exec(
    `pragma busy_timeout = 2000; pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -4000; pragma wal_autocheckpoint = ${checkpoints ? 1000 : 0}; pragma busy_timeout = ${busyMs}`,
  )
  return {
    run: (ask) => run(db, prepared, ask),
    close() {
      prepared.clear()
      db.close()
    },
  }
}

/**
 * Who may read what was spent, and hashes of keys: nobody else on this machine. Files beside it take its rights. One that
 * is there must not be opened here: closing it would drop the locks of every connection of this process
 * (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
function keepPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch {
    // It is there, or SQLite says better what is wrong.
  }
  for (const file of [path, `${path}-wal`, `${path}-shm`])
    try {
      if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
    } catch {
      // It is not there, or somebody else's, who has to see to it.
    }
}

function run(db: DatabaseSync, prepared: Prepared, { id, statements, atomic }: Ask): Told {
  try {
    if (atomic) db.exec('begin immediate')
    const results = statements.map(({ sql, parameters, many, packed, expect }) => {
      if (packed) {
        // Looked up once: a row takes 5 µs.
        const { statement } = prepared.get(sql) ?? prepare(db, prepared, sql)
        let changes = 0
        eachRow(packed, (row) => {
          changes += Number(statement.run(...row).changes)
        })
        return { rows: [], changes }
      }
      if (many) {
        let changes = 0
        for (const values of many) changes += one(db, prepared, sql, values).changes
        return { rows: [], changes }
      }
      const result = one(db, prepared, sql, parameters)
      if (expect !== undefined && result.changes !== expect) throw new Other()
      return result
    })
    if (atomic) db.exec('commit')
    return { id, results }
  } catch (cause) {
    if (atomic && db.isTransaction) db.exec('rollback')
    const { message, errcode } = cause as { message?: string; errcode?: number }
    return {
      id,
      error: {
        message: String(message),
        ...(errcode !== undefined && { errcode }),
        ...(cause instanceof Other && { superseded: true }),
      },
    }
  }
}

class Other extends Error {}

function one(
  db: DatabaseSync,
  prepared: Prepared,
  sql: string,
  parameters: readonly unknown[],
): { rows: unknown[]; changes: number } {
  const { statement, reads } = prepared.get(sql) ?? prepare(db, prepared, sql)
  const values = parameters as SQLInputValue[]
  if (!reads) return { rows: [], changes: Number(statement.run(...values).changes) }
  const rows = statement.all(...values) as Record<string, unknown>[]
  for (const row of rows)
    for (const name in row) if (typeof row[name] === 'bigint') row[name] = Number(row[name])
  return { rows, changes: rows.length }
}

function prepare(
  db: DatabaseSync,
  prepared: Prepared,
  sql: string,
): { statement: StatementSync; reads: boolean } {
  const statement = db.prepare(sql)
  const reads = statement.columns().length > 0
  // Sums of nano-dollars can pass what a double holds exactly; failing there would be worse than rounding.
  if (reads) statement.setReadBigInts(true)
  if (prepared.size >= preparedMax) prepared.delete(prepared.keys().next().value ?? '')
  const one = { statement, reads }
  prepared.set(sql, one)
  return one
}
