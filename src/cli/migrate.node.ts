import { openDataDir } from '../start/data.node.ts'
import { openDb } from '../start/database.node.ts'
import { migrate as migrateDb } from '../store/migrate.ts'
import type { Options } from './flags.ts'
import { noticeLines, prepare } from './settings.node.ts'
import type { Terminal } from './terminal.node.ts'

/** Brings the database to this version and says what was done. A start does the same by itself. */
export async function migrate(options: Options, terminal: Terminal): Promise<number> {
  const prepared = await prepare(options, process.env)
  for (const line of noticeLines(prepared.errors, 'error')) terminal.err(`${line}\n`)
  if (prepared.errors.length > 0) return 1
  await openDataDir(prepared.dataDir)
  const db = await openDb({ ...prepared, log: (_, message) => terminal.err(`${message}\n`) })
  try {
    const done = await migrateDb(db)
    const where =
      db.dialect === 'sqlite' ? `the SQLite database in ${prepared.dataDir}` : 'PostgreSQL'
    terminal.out(
      done.length === 0
        ? `${where} is up to date\n`
        : `${where}: ${done.join(', ')} done; it is up to date\n`,
    )
    return 0
  } finally {
    await db.close()
  }
}
