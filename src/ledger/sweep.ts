import { sql } from 'kysely'
import type { Db } from '../store/db.ts'
import { recountStatements } from './lease.ts'

/** Rows of processes that went without a word, and whose journal may still come back with their disk. */
const forgottenMs = 90 * 86_400_000
/** Rows of processes whose books were closed. */
const takenMs = 86_400_000
const stepMax = 500

/**
 * Frees what `lapsed` processes hold idle: what they had reserved stays so until their own journal is read. And forgets
 * leases of nothing, and processes of long ago.
 */
export async function sweepNodes(
  db: Db,
  self: string,
  now: number,
  lapsed: readonly string[],
): Promise<void> {
  const { query } = db
  await freeOrphans(db)
  for (const node of lapsed) {
    const idle = await query
      .selectFrom('lease')
      .select('account')
      .where('node', '=', node)
      .whereRef('amount', '>', 'busy')
      .limit(stepMax)
      .execute()
    if (idle.length === 0) continue
    const accounts = idle.map(({ account }) => account)
    await db.batch([
      {
        query: query
          .updateTable('lease')
          .set((row) => ({ amount: row.ref('busy') }))
          .where('node', '=', node)
          .where('account', 'in', accounts)
          .compile(),
      },
      ...recountStatements(db, accounts),
    ])
  }
  // Of our own, the last ones to be of use have been forgotten by now; and one that is needed again is written again.
  await sql`delete from lease where amount = 0 and busy = 0 and node in (${sql.join([self, ...lapsed])})`.execute(
    query,
  )
  await query
    .deleteFrom('node')
    .where((row) =>
      row.or([
        row.and([row('taken_by', 'is not', null), row('heartbeat_at', '<', now - takenMs)]),
        row('heartbeat_at', '<', now - forgottenMs),
      ]),
    )
    .where('id', '<>', self)
    .execute()
}

/** Leases of processes that nobody remembers. */
async function freeOrphans(db: Db): Promise<void> {
  const { query } = db
  const { rows } = await sql<{
    account: string
    node: string
  }>`select account, node from lease where not exists (select 1 from node where node.id = lease.node) limit ${stepMax}`.execute(
    query,
  )
  if (rows.length === 0) return
  const accounts = [...new Set(rows.map(({ account }) => account))]
  await db.batch([
    {
      query: query
        .deleteFrom('lease')
        .where('node', 'in', [...new Set(rows.map(({ node }) => node))])
        .where('account', 'in', accounts)
        .compile(),
    },
    ...recountStatements(db, accounts),
  ])
}

/** A process that ends holds nothing any more. */
export async function giveBackLeases(db: Db, node: string): Promise<void> {
  const held = await db.query
    .selectFrom('lease')
    .select('account')
    .where('node', '=', node)
    .execute()
  await db.batch([
    { query: sql`delete from lease where node = ${node}`.compile(db.query) },
    ...recountStatements(
      db,
      held.map(({ account }) => account),
    ),
  ])
}
