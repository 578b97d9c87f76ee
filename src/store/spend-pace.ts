import { sql } from 'kysely'
import type { Reader } from './docs.ts'
import type { SpendFilter } from './spend-filter.ts'
import { groupRows } from './spend-groups.ts'

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
  const slow = sql.lit(Math.round(slowMs))
  const rows = await groupRows(db, filter, by, {
    count: sql<number>`count(*)`,
    slow: sql<number>`sum(case when duration >= ${slow} then 1 else 0 end)`,
    wrote: sql<number>`sum(case when output > 0 then 1 else 0 end)`,
    per_token: sql<number>`avg(case when output > 0 then duration * 1.0 / output end)`,
    streamed: sql<number>`sum(case when ${streamed} then 1 else 0 end)`,
    to_first: sql<number>`avg(case when ${streamed} then first_byte * 1.0 end)`,
  })
  return rows.map(({ day, word, figure }) => ({
    day,
    model: word('model'),
    deployment: word('deployment'),
    fault: word('fault'),
    count: figure('count'),
    slow: figure('slow'),
    wrote: figure('wrote'),
    msPerToken: figure('per_token'),
    streamed: figure('streamed'),
    msToFirst: figure('to_first'),
  }))
}

/** The first bit of `flags`; whole answers have all of their bytes at once. */
const streamed = sql`((flags & 1) <> 0 and first_byte is not null)`
