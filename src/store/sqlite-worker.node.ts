import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/**
 * SQLite in a thread of its own, so that neither a checkpoint's fsync nor a long report holds up a request. One message
 * in, one out; statements are prepared once.
 */
export type Ask = {
  id: number
  statements: {
    sql: string
    parameters: readonly unknown[]
    many?: readonly (readonly unknown[])[]
    expect?: number
  }[]
  atomic: boolean
}
export type Told =
  | { id: number; results: { rows: unknown[]; changes: number }[] }
  | { id: number; error: { message: string; errcode?: number; superseded?: true } }

const prepared = new Map<string, { statement: StatementSync; reads: boolean }>()
const preparedMax = 300

if (parentPort) serve(parentPort, String((workerData as { path: string }).path))

function serve(port: NonNullable<typeof parentPort>, path: string): void {
  const db = new DatabaseSync(path)
  // A crash of the process loses nothing; a power cut may lose the last commits. Other processes wait for each other.
  db.exec(
    'pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -8000',
  )
  port.on('message', (ask: Ask | 'close') => {
    if (ask === 'close') {
      prepared.clear()
      db.close()
      port.close()
      return
    }
    port.postMessage(run(db, ask))
  })
}

function run(db: DatabaseSync, { id, statements, atomic }: Ask): Told {
  try {
    if (atomic) db.exec('begin immediate')
    const results = statements.map(({ sql, parameters, many, expect }) => {
      if (many) {
        let changes = 0
        for (const values of many) changes += one(db, sql, values).changes
        return { rows: [], changes }
      }
      const result = one(db, sql, parameters)
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
  sql: string,
  parameters: readonly unknown[],
): { rows: unknown[]; changes: number } {
  const { statement, reads } = prepared.get(sql) ?? prepare(db, sql)
  const values = parameters as SQLInputValue[]
  if (!reads) return { rows: [], changes: Number(statement.run(...values).changes) }
  const rows = statement.all(...values) as Record<string, unknown>[]
  for (const row of rows)
    for (const name in row) if (typeof row[name] === 'bigint') row[name] = Number(row[name])
  return { rows, changes: rows.length }
}

function prepare(db: DatabaseSync, sql: string): { statement: StatementSync; reads: boolean } {
  const statement = db.prepare(sql)
  const reads = statement.columns().length > 0
  // Sums of nano-dollars can pass what a double holds exactly; failing there would be worse than rounding.
  if (reads) statement.setReadBigInts(true)
  if (prepared.size >= preparedMax) prepared.delete(prepared.keys().next().value ?? '')
  const one = { statement, reads }
  prepared.set(sql, one)
  return one
}
