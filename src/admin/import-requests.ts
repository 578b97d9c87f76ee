import { GatewayError } from '../errors.ts'
import { object } from '../json/json.ts'
import type { Entry } from '../ledger/ledger.ts'
import { statementsOf, wordsOf } from '../ledger/rows.ts'
import { createWords, fitting, type Words } from '../ledger/words.ts'
import type { Statement } from '../store/db.ts'
import type { LitellmSource, RequestRange } from '../store/litellm.ts'
import type { Store } from '../store/store.ts'
import { entryOf } from './import-spend.ts'

export type RequestsReport = {
  read: number
  written: number
  /** Nano-dollars of those written. */
  spend: number
  /** The rows before were not asked for. Milliseconds since the epoch. */
  from: number
}

export type RequestsOptions = {
  source: LitellmSource
  store: Store
  masterKeys: ReadonlySet<string>
  from: number
  requestRows: boolean
  onProgress(what: string, done: number, of: number): void
}

/** LiteLLM writes a row when a request has ended, by the time it began: so late rows come between early ones. */
const lateMs = 6 * 3_600_000
const dayMs = 86_400_000

/** How far it has come, as the mark of the source says it. */
type Reached = { from: number; at: number; id: string }

/**
 * Rows of requests, as rows and hourly sums. Page by page, each in one transaction with the mark how far it has come: an
 * interrupted run goes on there, a later one brings what has come since. A row that is here is not written again.
 */
export async function bringRequests(options: RequestsOptions): Promise<RequestsReport> {
  const { source, store, from, requestRows } = options
  const until = store.now() + dayMs
  const words = createWords(store.db)
  const was = await reachedOf(options)
  let reached: Reached = was ?? { from, at: from, id: '' }
  const report: RequestsReport = { read: 0, written: 0, spend: 0, from }
  const passes: { range: RequestRange; older: boolean }[] = []
  if (was && from < was.from) passes.push({ range: { from, until: was.from }, older: true })
  // Where rows are not kept, nobody could tell whether one is here: then it goes on exactly where it was.
  if (was && requestRows)
    passes.push({ range: { from: Math.max(was.from, was.at - lateMs), until }, older: false })
  else if (was) passes.push({ range: { from: was.from, until, after: was }, older: false })
  else passes.push({ range: { from, until }, older: false })
  const counts = []
  for (const { range } of passes) counts.push(await source.countRequests(range))
  const of = counts.reduce((sum, count) => sum + count, 0)
  for (const { range, older } of passes) {
    for await (const page of source.requests(range)) {
      const last = page.at(-1)
      const place = {
        at: Date.parse(String(last?.['startTime'])),
        id: String(last?.['request_id']),
      }
      if (!older && isLater(place, reached)) reached = { ...reached, ...place }
      const entries = page.map((row) => entryOf(row, options.masterKeys))
      const written = await writePage(options, words, entries, reached)
      report.read += page.length
      report.written += written.length
      report.spend += written.reduce((sum, { nanoDollars }) => sum + nanoDollars, 0)
      options.onProgress('requests', report.read, of)
    }
    if (older) {
      reached = { ...reached, from }
      await store.db.batch([markOf(options, reached)])
    }
  }
  if (report.read !== of)
    throw new GatewayError(
      'internal',
      `${report.read} rows of LiteLLM_SpendLogs were read, and there are ${of}: run this again`,
    )
  return report
}

const isLater = (a: { at: number; id: string }, b: { at: number; id: string }): boolean =>
  a.at > b.at || (a.at === b.at && a.id !== b.id)

/** Returns those that were not here yet. */
async function writePage(
  options: RequestsOptions,
  words: Words,
  entries: readonly Entry[],
  reached: Reached,
): Promise<Entry[]> {
  const { store, requestRows } = options
  const here = requestRows ? await hereOf(store, entries) : new Set<string>()
  const fresh = entries.filter((entry) => !here.has(nameOf(entry)))
  const wordOf = await words.known(wordsOf(fresh))
  await store.db.batch([
    ...statementsOf(fresh, wordOf, store.db.dialect, requestRows),
    markOf(options, reached),
  ])
  if (requestRows && fresh.length > 0) {
    const now = await hereOf(store, fresh)
    const missing = fresh.find((entry) => !now.has(nameOf(entry)))
    if (missing)
      throw new GatewayError(
        'internal',
        `a request was not found again as it was written (${missing.requestId.slice(0, 80)})`,
      )
  }
  return fresh
}

/** Requests are found by when they began, which is indexed, and by their id. */
async function hereOf({ db }: Store, entries: readonly Entry[]): Promise<Set<string>> {
  const rows = await db.query
    .selectFrom('spend_log')
    .select(['started_at', 'request_id'])
    .where('started_at', 'in', [...new Set(entries.map(({ startedAt }) => startedAt))])
    .where('request_id', 'in', entries.map(idOf))
    .execute()
  return new Set(rows.map((row) => `${Number(row.started_at)} ${row.request_id}`))
}
const idOf = ({ answerId, requestId }: Entry): string => fitting(answerId ?? requestId)
const nameOf = (entry: Entry): string => `${entry.startedAt} ${idOf(entry)}`

const kind = 'spend_log'

async function reachedOf({ store, source }: RequestsOptions): Promise<Reached | undefined> {
  const row = await store.db.query
    .selectFrom('imported')
    .select('print')
    .where('kind', '=', kind)
    .where('id', '=', source.name)
    .executeTakeFirst()
  if (!row) return undefined
  const { from, at, id } = object(JSON.parse(row.print))
  return { from: Number(from), at: Number(at), id: String(id) }
}

const markOf = ({ store, source }: RequestsOptions, reached: Reached): Statement => ({
  query: store.db.query
    .insertInto('imported')
    .values({
      kind,
      id: source.name,
      source: source.name,
      print: JSON.stringify(reached),
      at: store.now(),
      spend: 0,
      total: 0,
    })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'id']).doUpdateSet((row) => ({
        print: row.ref('excluded.print'),
        at: row.ref('excluded.at'),
      })),
    )
    .compile(),
})
