import { sql } from 'kysely'
import type { Reader } from './docs.ts'
import { wordIds, wordTexts } from './words.ts'

/** Sums of many requests. Money in nano-dollars. */
export type Sums = {
  spend: number
  /** Every token read, cached ones included. */
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  requests: number
  failures: number
  /** Milliseconds of those that did not fail. */
  duration: number
}

export type SumScope = 'all' | 'user' | 'team' | 'organization' | 'customer' | 'tag'

/** Which hours of whom. What is absent does not narrow; an empty list fits nothing. */
export type SumsFilter = {
  scope: SumScope
  /** Who within the scope. */
  of?: readonly string[] | undefined
  except?: readonly string[] | undefined
  keys?: readonly string[] | undefined
  /** Public names or providers' names of models. */
  models?: readonly string[] | undefined
  /** Hours that begin from here on, and before there. Milliseconds since the epoch. */
  from?: number | undefined
  until?: number | undefined
}

/** `day`: days since the epoch where the clock on the wall is `offsetMinutes` behind UTC; an hour is part of the day it begins in. */
export type SumsBy = 'day' | 'who' | 'key' | 'group' | 'model' | 'provider' | 'operation'

export type SumsRow = Sums & {
  day: number
  /** Who of the scope; empty where the grouping has none, or there was none. */
  who: string
  key: string
  group: string
  model: string
  provider: string
  operation: string
}

export type SumsOptions = {
  offsetMinutes?: number
  /** Only so many, those who spent most. */
  top?: number
}

/** One row for each combination of `by` that occurs; without `by`, one row or none. */
export async function spendSums(
  db: Reader,
  filter: SumsFilter,
  by: readonly SumsBy[],
  { offsetMinutes = 0, top }: SumsOptions = {},
): Promise<SumsRow[]> {
  const named = [filter.of, filter.except, filter.keys, filter.models]
  const idOf = await wordIds(
    db,
    named.flatMap((names) => names ?? []),
  )
  const ids = (names: readonly string[]): number[] => names.flatMap((name) => idOf.get(name) ?? [])
  let query = db.selectFrom('spend_hour').where('scope', '=', filter.scope)
  const { of, except, keys, models, from, until } = filter
  for (const [names, column] of [
    [of, 'scope_id'],
    [keys, 'key_id'],
  ] as const) {
    if (!names) continue
    const found = ids(names)
    if (found.length === 0) return []
    query = query.where(column, 'in', found)
  }
  if (except && ids(except).length > 0) query = query.where('scope_id', 'not in', ids(except))
  if (models) {
    const found = ids(models)
    if (found.length === 0) return []
    query = query.where((a) => a.or([a('model_group', 'in', found), a('model', 'in', found)]))
  }
  if (from !== undefined) query = query.where('hour', '>=', from)
  if (until !== undefined) query = query.where('hour', '<', until)
  // Written out, not bound: a bound number is a floating one to SQLite, which would divide into fractions.
  const shift = sql.lit(Math.round(offsetMinutes) * 60_000)
  const columns = {
    day: sql<number>`(hour - ${shift}) / 86400000`,
    who: sql<number>`scope_id`,
    key: sql<number>`key_id`,
    group: sql<number>`model_group`,
    model: sql<number>`model`,
    provider: sql<number>`provider`,
    operation: sql<number>`operation`,
  }
  const sums = query.select((a) => [
    a.fn.sum<number>('spend').as('sum_spend'),
    a.fn.sum<number>('input').as('sum_input'),
    a.fn.sum<number>('output').as('sum_output'),
    a.fn.sum<number>('cache_read').as('sum_cache_read'),
    a.fn.sum<number>('cache_write').as('sum_cache_write'),
    a.fn.sum<number>('requests').as('sum_requests'),
    a.fn.sum<number>('failures').as('sum_failures'),
    a.fn.sum<number>('duration').as('sum_duration'),
  ])
  let grouped = sums.select(by.map((name) => columns[name].as(`by_${name}`)))
  if (by.length > 0) grouped = grouped.groupBy(by.map((name) => sql.ref(`by_${name}`)))
  if (top !== undefined) grouped = grouped.orderBy('sum_spend', 'desc').limit(top)
  // Without groups a sum of nothing is one row of nulls.
  const rows = ((await grouped.execute()) as Record<string, unknown>[]).filter(
    (row) => row['sum_requests'] !== null,
  )
  const texts = await wordTexts(
    db,
    rows.flatMap((row) => by.filter((name) => name !== 'day').map((n) => Number(row[`by_${n}`]))),
  )
  const word = (row: Record<string, unknown>, name: SumsBy): string =>
    texts.get(Number(row[`by_${name}`] ?? 0)) ?? ''
  return rows.map((row) => ({
    day: Number(row['by_day'] ?? 0),
    who: word(row, 'who'),
    key: word(row, 'key'),
    group: word(row, 'group'),
    model: word(row, 'model'),
    provider: word(row, 'provider'),
    operation: word(row, 'operation'),
    spend: Number(row['sum_spend']),
    input: Number(row['sum_input']),
    output: Number(row['sum_output']),
    cacheRead: Number(row['sum_cache_read']),
    cacheWrite: Number(row['sum_cache_write']),
    requests: Number(row['sum_requests']),
    failures: Number(row['sum_failures']),
    duration: Number(row['sum_duration']),
  }))
}

/** Everyone of a scope who ever spent, by name; no more than `most`. */
export async function spenders(db: Reader, scope: SumScope, most: number): Promise<string[]> {
  const rows = await db
    .selectFrom('spend_hour')
    .select('scope_id')
    .distinct()
    .where('scope', '=', scope)
    .limit(most)
    .execute()
  const texts = await wordTexts(
    db,
    rows.map(({ scope_id }) => scope_id),
  )
  return [...texts.values()].sort()
}
