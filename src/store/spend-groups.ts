import { type RawBuilder, sql } from 'kysely'
import type { Reader } from './docs.ts'
import { conditionsOf, keysOf, namesIn, type SpendFilter } from './spend-filter.ts'
import { wordIds, wordTexts } from './words.ts'

/** What rows of the spend log can be told apart by; a day is counted from the epoch, UTC. */
const groups = {
  day: sql<number>`started_at / 86400000`,
  key: sql<number>`key_id`,
  team: sql<number>`team_id`,
  model: sql<number>`model`,
  deployment: sql<number>`deployment_id`,
  fault: sql<number>`fault`,
} as const
export type RowGroup = keyof typeof groups

export type GroupedRows = {
  /** 0 where days were not asked for. */
  day: number
  /** Empty where it was not asked for, or the rows have none. */
  word(name: Exclude<RowGroup, 'day'>): string
  /** One of `figures`; 0 where there was nothing to reckon with. */
  figure(name: string): number
}

/** `figures` of the rows that pass the filter, for each group of them. */
export async function groupRows(
  db: Reader,
  filter: SpendFilter,
  by: readonly RowGroup[],
  figures: Readonly<Record<string, RawBuilder<number>>>,
): Promise<GroupedRows[]> {
  const idOf = await wordIds(db, namesIn(filter))
  const rows = (await db
    .selectFrom('spend_log')
    .select([
      ...Object.entries(figures).map(([name, figure]) => figure.as(`of_${name}`)),
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
  return rows.map((row) => ({
    day: Number(row['by_day'] ?? 0),
    word: (name) => texts.get(Number(row[`by_${name}`] ?? 0)) ?? '',
    figure: (name) => Number(row[`of_${name}`] ?? 0),
  }))
}
