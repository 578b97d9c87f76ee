import { existsSync } from 'node:fs'
import { GatewayError } from '../errors.ts'
import { openPostgresAt, sqlitePath } from '../start/database.node.ts'
import { accessOf } from '../start/start.node.ts'
import { migrate } from '../store/migrate.ts'
import { moveDatabase } from '../store/move.node.ts'
import { openSqlite } from '../store/sqlite.node.ts'
import type { Options } from './flags.ts'
import { noticeLines, type Prepared, prepare } from './settings.node.ts'
import type { Terminal } from './terminal.node.ts'

const tellMs = 1000

/** Copies the SQLite database of the data folder to PostgreSQL. The original stays as it is, and may be served meanwhile. */
export async function move(options: Options, terminal: Terminal): Promise<number> {
  if (options.to === undefined) {
    terminal.err('throughway: move needs --to postgres://USER:PASSWORD@HOST/NAME\n')
    return 2
  }
  const prepared = await prepare(options, process.env)
  for (const line of noticeLines(prepared.errors, 'error')) terminal.err(`${line}\n`)
  if (prepared.errors.length > 0) return 1
  const from = sqlitePath(prepared.dataDir)
  if (!existsSync(from))
    throw new GatewayError(
      'internal',
      `there is no ${from}: name the data folder of the gateway with --data-dir`,
    )
  const served = await upToDate(from)
  const to = await openPostgresAt(options.to, '--to', { onError: () => {} })
  try {
    await migrate(to)
    let toldAt = 0
    const moves = await moveDatabase({
      from,
      to,
      onProgress(table, done, of) {
        if (done < of && Date.now() - toldAt < tellMs) return
        toldAt = Date.now()
        terminal.out(`${table}: ${done} of ${of}\n`)
      },
    })
    const rows = moves.reduce((sum, one) => sum + one.rows, 0)
    terminal.out(`copied ${rows} rows of ${moves.length} tables; counts and sums are the same\n`)
    for (const note of notes(served, prepared)) terminal.out(`${note}\n`)
    return 0
  } finally {
    await to.close()
  }
}

/** Brings the original to this version. True: a gateway serves it. */
async function upToDate(from: string): Promise<boolean> {
  const db = openSqlite(from)
  try {
    await migrate(db)
    const alive = await db.query
      .selectFrom('node')
      .select('id')
      .where('taken_by', 'is', null)
      .where('heartbeat_at', '>', Date.now() - 5000)
      .executeTakeFirst()
    return alive !== undefined
  } finally {
    await db.close()
  }
}

function notes(served: boolean, { config, settings, dataDir }: Prepared): string[] {
  const { masterKey } = accessOf({ config, settings })
  return [
    ...(served
      ? [
          'A gateway serves the original: what it writes from now on is not in the copy. Stop it and run this again (it takes the place of this copy), then start with DATABASE_URL.',
        ]
      : ['Start with DATABASE_URL set to it; the original is as it was and is not used then.']),
    ...(settings.saltKey === undefined && masterKey === undefined
      ? [
          `Keys and credentials are sealed with ${dataDir}/salt.key: set LITELLM_SALT_KEY to what it says, or none of them will be known.`,
        ]
      : []),
  ]
}
