import { sql } from 'kysely'
import type { Db } from './db.ts'
import { isPayload } from './shelf.ts'

/** How long rows stay, and how much room they may take. Absent: for ever, whatever it takes. */
export type RetainTerms = {
  /** Milliseconds after which rows of single requests are deleted. Sums by hour stay. */
  rowsMs: number | undefined
  rowsBytes: number | undefined
  /** The same for prompts and answers, which go with their rows at the latest. */
  payloadsMs: number | undefined
  payloadsBytes: number | undefined
}

export type RetainOptions = {
  db: Db
  terms: RetainTerms
  now: number
  /** Between two steps, so that what serves comes first. */
  pause(): Promise<void>
  /** Rows of a step, and the most steps of a run. */
  stepRows?: number
  steps?: number
}

/** What a run has deleted. */
export type Retained = { rows: number; payloads: number }

/**
 * Deletes what has been kept for long enough, the oldest first, in steps of their own transaction: nothing is read into
 * memory, and nobody waits for more than one of them.
 */
export async function retain(options: RetainOptions): Promise<Retained> {
  const { db, terms, now, pause, stepRows = 500, steps = 10_000 } = options
  const { rowsMs, rowsBytes, payloadsMs, payloadsBytes } = terms
  const done: Retained = { rows: 0, payloads: 0 }
  const sooner = Math.min(
    payloadsMs ?? Number.POSITIVE_INFINITY,
    rowsMs ?? Number.POSITIVE_INFINITY,
  )
  const rowCuts = [
    rowsMs === undefined ? undefined : now - rowsMs,
    rowsBytes === undefined ? undefined : await rowsCut(db, rowsBytes),
  ].filter((cut) => cut !== undefined)
  const payloadCuts = [
    Number.isFinite(sooner) ? now - sooner : undefined,
    payloadsBytes === undefined ? undefined : await payloadsCut(db, payloadsBytes),
    ...rowCuts,
  ].filter((cut) => cut !== undefined)
  // Prompts first: where a run is cut short, none outlives its row.
  if (payloadCuts.length > 0) {
    const cut = Math.max(...payloadCuts)
    done.payloads = await inSteps(pause, steps, () => deletePayloads(db, cut, stepRows))
  }
  if (rowCuts.length > 0) {
    const cut = Math.max(...rowCuts)
    done.rows = await inSteps(pause, steps, () => deleteRows(db, cut, stepRows))
  }
  return done
}

async function inSteps(
  pause: () => Promise<void>,
  steps: number,
  step: () => Promise<number>,
): Promise<number> {
  let all = 0
  for (let nth = 0; nth < steps; nth++) {
    const count = await step()
    all += count
    if (count === 0) break
    await pause()
  }
  return all
}

const deleteRows = async ({ query }: Db, cut: number, most: number): Promise<number> => {
  const { numAffectedRows } =
    await sql`delete from spend_log where seq in (select seq from spend_log where started_at < ${Math.floor(cut)} order by started_at limit ${most})`.execute(
      query,
    )
  return Number(numAffectedRows ?? 0)
}

const deletePayloads = async ({ query }: Db, cut: number, most: number): Promise<number> => {
  const { numAffectedRows } =
    await sql`delete from payload where request_id in (select request_id from payload where at < ${Math.floor(cut)} and ${isPayload} order by at limit ${most})`.execute(
      query,
    )
  return Number(numAffectedRows ?? 0)
}

/** What a row takes with its indexes, besides `more`: measured at a million rows on both databases. */
const rowBytes = 230
const sampled = 1000

/** Before which instant rows have to go so that the rest fits. Undefined: all fit. */
async function rowsCut({ query }: Db, bytes: number): Promise<number | undefined> {
  const [row] = (
    await sql<{ count: number; more: number }>`select
        (select coalesce(max(seq) - min(seq) + 1, 0) from spend_log) as count,
        (select coalesce(avg(length(coalesce(more, ''))), 0) from (select more from spend_log order by seq desc limit ${sampled}) as latest) as more`.execute(
      query,
    )
  ).rows
  const fitting = Math.floor(bytes / (rowBytes + Number(row?.more ?? 0)))
  if (Number(row?.count ?? 0) <= fitting) return undefined
  const last = await query
    .selectFrom('spend_log')
    .select('started_at')
    .orderBy('started_at', 'desc')
    .offset(fitting)
    .limit(1)
    .executeTakeFirst()
  // That one goes too.
  return last && Number(last.started_at) + 1
}

async function payloadsCut({ query }: Db, bytes: number): Promise<number | undefined> {
  const [row] = (
    await sql<{ count: number; bytes: number }>`select
        (select count(*) from payload where ${isPayload}) as count,
        (select coalesce(avg(bytes), 0) from (select bytes from payload where ${isPayload} order by at desc limit ${sampled}) as latest) as bytes`.execute(
      query,
    )
  ).rows
  const fitting = Math.floor(bytes / Math.max(1, Number(row?.bytes ?? 0)))
  if (Number(row?.count ?? 0) <= fitting) return undefined
  const last = await query
    .selectFrom('payload')
    .select('at')
    .where(isPayload)
    .orderBy('at', 'desc')
    .offset(fitting)
    .limit(1)
    .executeTakeFirst()
  return last && Number(last.at) + 1
}
