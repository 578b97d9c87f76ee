import { sql } from 'kysely'
import { noUsage } from '../chat/chat.ts'
import { type Db, isUniqueViolation, type Statement, Superseded } from '../store/db.ts'
import type { Left } from './journal.ts'
import { recountStatements, settleStatements } from './lease.ts'
import type { Entry } from './ledger.ts'
import { spentBy, statementsOf, wordsOf } from './rows.ts'
import { fitting, type Words } from './words.ts'

export type Taken = { requests: number; unfinished: number; accounts: string[] }

/**
 * Writes what a dead process had settled, and what it left open as far as it had come; then frees its leases. Undefined:
 * somebody else has done it.
 */
export async function takeOver(
  db: Db,
  self: string,
  left: Left,
  words: Words,
  rows: boolean,
): Promise<Taken | undefined> {
  const { query } = db
  const row = await query
    .selectFrom('node')
    .select(['flushed', 'taken_by'])
    .where('id', '=', left.node)
    .executeTakeFirst()
  if (row?.taken_by) return undefined
  const flushed = Number(row?.flushed ?? 0)
  const settled = left.settled.filter(({ seq }) => seq > flushed)
  const written = await writtenOf(
    db,
    left.open.map(({ opening }) => opening),
  )
  const unfinished = left.open.filter(({ opening }) => !written.has(fitting(opening.requestId)))
  const entries = [...settled.map(({ entry }) => entry), ...unfinished.map(entryOfOpen)]
  const wordOf = await words.known(wordsOf(entries))
  const spent = spentBy(entries)
  const leased = (
    await query.selectFrom('lease').select('account').where('node', '=', left.node).execute()
  ).map(({ account }) => account)
  // Should it live after all, it learns from `flushed` what it need not write again.
  const upTo = settled.reduce((most, { seq }) => Math.max(most, seq), flushed)
  const mark = row
    ? sql`update node set taken_by = ${self}, flushed = ${upTo}
        where id = ${left.node} and taken_by is null and flushed = ${flushed}`
    : // It never got as far as telling the database that it exists.
      sql`insert into node (id, host, started_at, heartbeat_at, seen, flushed, taken_by)
        values (${left.node}, '', 0, 0, 0, ${upTo}, ${self})`
  const statements: Statement[] = [
    { query: mark.compile(query), expect: 1 },
    ...statementsOf(entries, wordOf, db.dialect, rows),
    ...settleStatements(db, left.node, spent, []),
    { query: sql`delete from lease where node = ${left.node}`.compile(query) },
    ...recountStatements(db, leased),
  ]
  try {
    await db.batch(statements)
  } catch (cause) {
    // Another process was there first, and wrote the same.
    if (cause instanceof Superseded || isUniqueViolation(cause)) return undefined
    throw cause
  }
  return {
    requests: entries.length,
    unfinished: unfinished.length,
    accounts: [...leased, ...spent.keys()],
  }
}

/**
 * Of these requests, those that have a row, and what it says they cost. While its disk is full a journal is behind the
 * database; and who was taken for dead finds rows that were written in its place.
 */
export async function writtenOf(
  { query }: Db,
  begun: readonly Pick<Entry, 'requestId' | 'startedAt'>[],
): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (let at = 0; at < begun.length; at += 200) {
    const some = begun.slice(at, at + 200)
    const ids = some.map(({ requestId }) => fitting(requestId))
    const rows = await query
      .selectFrom('spend_log')
      .select(['request_id', 'call_id', 'spend'])
      // By when they began, which is indexed.
      .where(
        'started_at',
        'in',
        some.map(({ startedAt }) => startedAt),
      )
      .where((row) => row.or([row('call_id', 'in', ids), row('request_id', 'in', ids)]))
      .execute()
    for (const { request_id, call_id, spend } of rows)
      found.set(call_id ?? request_id, Number(spend))
  }
  return found
}

/** As far as it had come: its input, and what had been streamed of its output. */
function entryOfOpen({ opening, tokens, nanoDollars }: Left['open'][number]): Entry {
  return {
    ...opening,
    firstByteAt: undefined,
    endedAt: opening.startedAt,
    group: opening.model,
    deploymentId: undefined,
    provider: undefined,
    upstreamModel: undefined,
    usage: { ...noUsage, output: tokens, estimated: true },
    nanoDollars,
    priced: true,
    retries: 0,
    fallbacks: 0,
    fault: 'canceled',
    status: 499,
    error: 'the gateway ended before the answer did: counted as far as it had come',
  }
}
