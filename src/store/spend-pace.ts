import { sql } from 'kysely'
import type { Reader } from './docs.ts'
import { conditionsOf, keysOf, namesIn, type SpendFilter } from './spend-filter.ts'
import { wordIds, wordTexts } from './words.ts'

/** How long requests took. What is not in `by` is empty. */
export type Pace = {
  /** Days since the epoch, UTC. */
  day: number
  model: string
  deployment: string
  /** Kind of error; empty for a success. */
  fault: string
  count: number
  /** Those that took at least `slowMs`. */
  slow: number
  /** Of those that wrote something: how many, and the mean of their milliseconds for each token. */
  wrote: number
  msPerToken: number
  /** Of those that were streamed: how many, and the mean of the milliseconds before their first byte. */
  streamed: number
  msToFirst: number
}
export type PaceBy = 'day' | 'model' | 'deployment' | 'fault'

export async function spendPace(
  db: Reader,
  filter: SpendFilter,
  by: readonly PaceBy[],
  slowMs: number,
): Promise<Pace[]> {
  const idOf = await wordIds(db, namesIn(filter))
  const slow = sql.lit(Math.round(slowMs))
  const rows = (await db
    .selectFrom('spend_log')
    .select((a) => [
      a.fn.countAll<number>().as('count'),
      sql<number>`sum(case when duration >= ${slow} then 1 else 0 end)`.as('slow'),
      sql<number>`sum(case when output > 0 then 1 else 0 end)`.as('wrote'),
      sql<number>`avg(case when output > 0 then duration * 1.0 / output end)`.as('per_token'),
      sql<number>`sum(case when ${streamed} then 1 else 0 end)`.as('streamed'),
      sql<number>`avg(case when ${streamed} then first_byte * 1.0 end)`.as('to_first'),
      ...by.map((name) => groups[name].as(`by_${name}`)),
    ])
    .where(conditionsOf(filter, idOf, await keysOf(db, filter, idOf), db))
    .groupBy(by.map((name) => sql.ref(`by_${name}`)))
    .execute()) as Record<string, unknown>[]
  const words = by.filter((name) => name !== 'day')
  const texts = await wordTexts(
    db,
    rows.flatMap((row) => words.map((name) => Number(row[`by_${name}`]))),
  )
  const word = (row: Record<string, unknown>, name: PaceBy): string =>
    texts.get(Number(row[`by_${name}`] ?? 0)) ?? ''
  const count = (row: Record<string, unknown>, name: string): number => Number(row[name] ?? 0)
  return rows.map((row) => ({
    day: count(row, 'by_day'),
    model: word(row, 'model'),
    deployment: word(row, 'deployment'),
    fault: word(row, 'fault'),
    count: count(row, 'count'),
    slow: count(row, 'slow'),
    wrote: count(row, 'wrote'),
    msPerToken: count(row, 'per_token'),
    streamed: count(row, 'streamed'),
    msToFirst: count(row, 'to_first'),
  }))
}

/** The first bit of `flags`; whole answers have all of their bytes at once. */
const streamed = sql`((flags & 1) <> 0 and first_byte is not null)`
const groups = {
  day: sql<number>`started_at / 86400000`,
  model: sql<number>`model`,
  deployment: sql<number>`deployment_id`,
  fault: sql<number>`fault`,
} as const satisfies Record<PaceBy, unknown>
