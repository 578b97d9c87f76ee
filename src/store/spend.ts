import { sql } from 'kysely'
import { type JsonObject, object } from '../json/json.ts'
import type { Reader } from './docs.ts'
import { conditionsOf, type Keys, keysOf, namesIn, type SpendFilter } from './spend-filter.ts'
import { groupRows } from './spend-groups.ts'
import { wordIds, wordTexts } from './words.ts'

/** One request as it was written down, its words put back. Money in nano-dollars, times in milliseconds. */
export type SpendRow = {
  seq: number
  /** The answer's id, or the call's where there was none. */
  requestId: string
  callId: string | null
  startedAt: number
  duration: number
  firstByte: number | null
  operation: string
  key: string | null
  user: string | null
  team: string | null
  organization: string | null
  customer: string | null
  group: string | null
  model: string | null
  deployment: string | null
  provider: string | null
  spend: number
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  reasoning: number
  status: number
  /** Kind of error; null for a success. */
  fault: string | null
  flags: number
  more: JsonObject
}

export type SpendOrder =
  | 'startTime'
  | 'endTime'
  | 'spend'
  | 'total_tokens'
  | 'request_duration_ms'
  | 'ttft_ms'
  | 'model'

export type SpendPage = {
  order?: SpendOrder
  descending?: boolean
  limit: number
  offset?: number
  /** Rows older than this one; only in the order of time, newest first. */
  after?: { startedAt: number; seq: number }
}

/** Rows in their order, newest first unless said otherwise. */
export async function spendRows(
  db: Reader,
  filter: SpendFilter,
  { order = 'startTime', descending = true, limit, offset = 0, after }: SpendPage,
): Promise<SpendRow[]> {
  const idOf = await wordIds(db, namesIn(filter))
  const keys = await keysOf(db, filter, idOf)
  const way = descending ? 'desc' : 'asc'
  const seqs = (of: Keys, most: number, from: number) => {
    let query = db
      .selectFrom('spend_log')
      .select('seq')
      .where(conditionsOf(filter, idOf, of, db, after))
      .orderBy(orders[order], way)
      .orderBy('seq', way)
      .limit(most)
    if (from > 0) query = query.offset(from)
    return query
  }
  // A search for each key: each is in the order of time by its index, all at once would have to be sorted as a whole.
  const apart = order === 'startTime' && keys !== undefined && keys.length <= branchesMax
  const branches = apart ? keys.map((key) => [key]) : [keys]
  // Found by index first, read whole then: a page far down reads only its own rows.
  const [first, ...others] = branches.map((of) =>
    db
      .selectFrom(
        (branches.length === 1 ? seqs(of, limit, offset) : seqs(of, limit + offset, 0)).as('one'),
      )
      .select('seq'),
  )
  if (!first) return []
  let query = db
    .selectFrom('spend_log')
    .selectAll()
    .where(
      'seq',
      'in',
      others.reduce((all, one) => all.union(one), first),
    )
    .orderBy(orders[order], way)
    .orderBy('seq', way)
    .limit(limit)
  if (branches.length > 1 && offset > 0) query = query.offset(offset)
  const rows = await query.execute()
  const texts = await wordTexts(db, rows.flatMap(wordsIn))
  const word = (id: number | null): string | null =>
    id === null ? null : (texts.get(Number(id)) ?? null)
  return rows.map((row) => ({
    seq: Number(row.seq),
    requestId: row.request_id,
    callId: row.call_id,
    startedAt: Number(row.started_at),
    duration: Number(row.duration),
    firstByte: row.first_byte === null ? null : Number(row.first_byte),
    operation: word(row.operation) ?? '',
    key: word(row.key_id),
    user: word(row.user_id),
    team: word(row.team_id),
    organization: word(row.organization_id),
    customer: word(row.customer_id),
    group: word(row.model_group),
    model: word(row.model),
    deployment: word(row.deployment_id),
    provider: word(row.provider),
    spend: Number(row.spend),
    input: Number(row.input),
    output: Number(row.output),
    cacheRead: Number(row.cache_read),
    cacheWrite: Number(row.cache_write),
    reasoning: Number(row.reasoning),
    status: Number(row.status),
    fault: word(row.fault),
    flags: Number(row.flags),
    more: row.more === null ? {} : object(JSON.parse(row.more)),
  }))
}

/** How many there are; no further than `most`. */
export async function countSpendRows(
  db: Reader,
  filter: SpendFilter,
  most = Number.MAX_SAFE_INTEGER,
): Promise<number> {
  const idOf = await wordIds(db, namesIn(filter))
  const found = db
    .selectFrom('spend_log')
    .select(sql<number>`1`.as('one'))
    .where(conditionsOf(filter, idOf, await keysOf(db, filter, idOf), db))
  const { n } = await db
    .selectFrom((most < Number.MAX_SAFE_INTEGER ? found.limit(most) : found).as('found'))
    .select((a) => a.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  return Number(n)
}

export type RowSums = {
  /** Days since the epoch, UTC. */
  day: number
  key: string
  team: string
  model: string
  deployment: string
  count: number
  spend: number
  input: number
  output: number
}
type RowSumsBy = 'day' | 'key' | 'team' | 'model' | 'deployment'

/** Sums of rows, where the hourly sums do not tell apart what is asked for. What is not in `by` is empty. */
export async function spendRowSums(
  db: Reader,
  filter: SpendFilter,
  by: readonly RowSumsBy[],
): Promise<RowSums[]> {
  const rows = await groupRows(db, filter, by, {
    count: sql<number>`count(*)`,
    spend: sql<number>`sum(spend)`,
    input: sql<number>`sum(input)`,
    output: sql<number>`sum(output)`,
  })
  return rows.map(({ day, word, figure }) => ({
    day,
    key: word('key'),
    team: word('team'),
    model: word('model'),
    deployment: word('deployment'),
    count: figure('count'),
    spend: figure('spend'),
    input: figure('input'),
    output: figure('output'),
  }))
}

/** What an operator had kept of a request; undefined: nothing. */
export async function payloadOf(db: Reader, requestId: string): Promise<JsonObject | undefined> {
  const row = await db
    .selectFrom('payload')
    .select('data')
    .where('request_id', '=', requestId)
    .executeTakeFirst()
  return row && object(JSON.parse(row.data))
}

const orders = {
  startTime: sql`started_at`,
  endTime: sql`started_at + duration`,
  spend: sql`spend`,
  total_tokens: sql`input + output`,
  request_duration_ms: sql`duration`,
  ttft_ms: sql`coalesce(first_byte, duration)`,
  model: sql`(select text from word where word.id = spend_log.model)`,
} as const satisfies Record<SpendOrder, unknown>

/** A search each for so many keys; more are searched at once. */
const branchesMax = 50

const wordsIn = (row: {
  operation: number
  key_id: number | null
  user_id: number | null
  team_id: number | null
  organization_id: number | null
  customer_id: number | null
  model_group: number | null
  model: number | null
  deployment_id: number | null
  provider: number | null
  fault: number | null
}): (number | null)[] => [
  row.operation,
  row.key_id,
  row.user_id,
  row.team_id,
  row.organization_id,
  row.customer_id,
  row.model_group,
  row.model,
  row.deployment_id,
  row.provider,
  row.fault,
]
