import { sql } from 'kysely'
import { object } from '../json/json.ts'
import { within } from '../ledger/purse.ts'
import { isAway, type Statement, Superseded } from '../store/db.ts'
import type { Store } from '../store/store.ts'

/** What is limited: requests or tokens in a window that slides, or requests at once. */
export type LimitKind = 'requests' | 'tokens' | 'max_parallel_requests'

export type LimitAsk = {
  /** Whose, and which: `key:<id>`, `key:<id>|model:<name>`. */
  id: string
  kind: LimitKind
  limit: number
  /** How much of it: one request, so many tokens. */
  amount: number
  /** Of the window; a day for `tpd_limit`. Not for requests at once. */
  windowMs: number
  /** As headers and refusals name whose it is: `api_key`, `team`, `model_per_key`. */
  descriptor: string
  name: string
  /** What it is counted under: worked out once, for asks that are used again. */
  meter?: string
  /** Names of the headers that tell it, likewise. */
  headers?: { limit: string; left: string; bound: string }
}

export type Taken = {
  readonly ok: true
  readonly asks: readonly LimitAsk[]
  /** What is left of each, in their order. */
  readonly left: readonly number[]
  /** The request has ended. `tokens`: what it took, where tokens were asked for; undefined: nothing of it counts. */
  release(tokens: number | undefined): void
}
export type Denied = { ok: false; ask: LimitAsk; used: number; retryAfterMs: number }

export type Limits = {
  /** `tokens`: how much of each limit of tokens, in place of its own amount; so the same asks serve many requests. */
  take(asks: readonly LimitAsk[], tokens?: number): Taken | Denied | Promise<Taken | Denied>
  /** The numbers of the processes that are alive, and this one's. With more than one, the database counts. */
  setNodes(alive: readonly number[], self: number): Promise<void>
}

const slotsOfWindow = 60
const metersMax = 50_000
/** After it was found away, nobody is made to wait for the database for so long. */
const awayMs = 500

/** A window that slides in sixtieths. One slot more than the window is long, so that nothing is let go too early. */
type Window = { slotMs: number; first: number; counts: Float64Array; used: number }

/**
 * Alone on a database, a process counts minutes in memory. With others, every request asks the database, in one
 * transaction for all its limits, so that together they let through what one would. What each has counted alone is told
 * when the first other comes. Longer windows than a minute are always the database's: they outlive a restart. While it is
 * away each process counts by itself, up to its share.
 */
export function createLimits(
  store: Store | undefined,
  now: () => number,
  /** `fail_closed_rate_limit_enforcement`: what cannot be counted together is refused. */
  failClosed: () => boolean = () => false,
): Limits {
  const windows = new Map<string, Window>()
  const running = new Map<string, number>()
  let shared = false
  let sharedUntil = 0
  let alive: readonly number[] = []
  let self = 0
  let forgotAt = Number.NEGATIVE_INFINITY
  let awayAt = Number.NEGATIVE_INFINITY
  let awayCause: unknown
  let sweptAt = now()
  /** Slots that are free, which the database has not heard. */
  let unsaid: Correction[] = []

  const idOf = meterOf

  function windowOf(ask: LimitAsk, at: number): Window {
    const id = idOf(ask)
    const slotMs = ask.windowMs / slotsOfWindow
    let window = windows.get(id)
    // The one not asked for the longest is the first to go, once it comes to that.
    if (window && windows.size > metersMax / 2) {
      windows.delete(id)
      windows.set(id, window)
    } else if (!window) {
      if (windows.size >= metersMax) forgetIdle()
      window = {
        slotMs,
        first: slotOf(slotMs, at) - slotsOfWindow,
        counts: new Float64Array(slotsOfWindow + 1),
        used: 0,
      }
      windows.set(id, window)
    }
    slide(window, slotOf(slotMs, at))
    return window
  }

  function forgetIdle(): void {
    // To look at all of them takes milliseconds.
    if (Math.abs(now() - forgotAt) > 1000) {
      forgotAt = now()
      for (const [id, window] of windows) {
        slide(window, slotOf(window.slotMs, now()))
        if (window.used === 0) windows.delete(id)
      }
    }
    // Should all of them be in use, the oldest is: counting a little less beats running out of memory.
    if (windows.size >= metersMax) windows.delete(windows.keys().next().value ?? '')
  }

  const add = (window: Window, slot: number, amount: number): void => {
    const at = slot - window.first
    if (at < 0 || at > slotsOfWindow) return
    const index = slot % (slotsOfWindow + 1)
    const is = window.counts[index] ?? 0
    const next = Math.max(0, is + amount)
    window.counts[index] = next
    window.used += next - is
  }

  /** When enough of a full window has slid away for `amount` more. */
  function retryAfter(window: Window, limit: number, amount: number): number {
    let free = limit - window.used
    for (let slot = window.first; slot <= window.first + slotsOfWindow; slot++) {
      free += window.counts[slot % (slotsOfWindow + 1)] ?? 0
      if (free >= amount) return Math.max(1, (slot + slotsOfWindow + 1) * window.slotMs - now())
    }
    return window.slotMs * slotsOfWindow
  }

  /** `share`: of how many processes it is one, where they cannot count together. */
  function takeAlone(
    asks: readonly LimitAsk[],
    tokens: number | undefined,
    share = 1,
  ): Taken | Denied {
    const at = now()
    for (const ask of asks) {
      const limit = share > 1 ? Math.max(Math.min(1, ask.limit), ask.limit / share) : ask.limit
      const amount = amountOf(ask, tokens)
      if (ask.kind === 'max_parallel_requests') {
        const used = running.get(idOf(ask)) ?? 0
        if (used + amount > limit) return { ok: false, ask, used, retryAfterMs: 1000 }
        continue
      }
      const window = windowOf(ask, at)
      if (window.used + amount > limit)
        return {
          ok: false,
          ask,
          used: window.used,
          retryAfterMs: retryAfter(window, ask.limit, amount),
        }
    }
    return count(asks, tokens, undefined)
  }

  /** Notes in memory what has been let through. `together`: what the database has of each, where it counts them. */
  function count(
    asks: readonly LimitAsk[],
    tokens: number | undefined,
    together: ReadonlyMap<LimitAsk, number> | undefined,
  ): Taken {
    const at = now()
    // One that grows has room for 17.
    const left = new Array<number>(asks.length)
    let nth = 0
    for (const ask of asks) {
      const used = note(ask, amountOf(ask, tokens), at)
      left[nth++] = Math.max(0, ask.limit - (together ? (together.get(ask) ?? 0) : used))
    }
    return new Counted({ asks, left, tokens, at, together: together !== undefined }, giveBack)
  }

  /** What is used of it then. */
  function note(ask: LimitAsk, amount: number, at: number): number {
    if (ask.kind === 'max_parallel_requests') {
      const used = (running.get(idOf(ask)) ?? 0) + amount
      running.set(idOf(ask), used)
      return used
    }
    const window = windowOf(ask, at)
    add(window, slotOf(window.slotMs, at), amount)
    return window.used
  }

  /** A request has ended: it has room again for what it did not use. */
  function giveBack({ asks, tokens, at, together }: Count, used: number | undefined): void {
    const corrections: Correction[] | undefined = together || shared ? [] : undefined
    for (const ask of asks) {
      const id = idOf(ask)
      const amount = amountOf(ask, tokens)
      if (ask.kind === 'max_parallel_requests') {
        const rest = (running.get(id) ?? 0) - amount
        if (rest > 0) running.set(id, rest)
        else running.delete(id)
        corrections?.push({ id, slot: self, by: -amount })
        continue
      }
      const by = (used === undefined ? 0 : ask.kind === 'tokens' ? used : amount) - amount
      if (by === 0) continue
      const window = windowOf(ask, now())
      const slot = slotOf(window.slotMs, at)
      add(window, slot, by)
      corrections?.push({ id, slot, by })
    }
    if (corrections && corrections.length > 0) correct(corrections)
  }

  /** Tells the database what a request took after all. */
  function correct(corrections: readonly Correction[]): void {
    if (!store) return
    const { db } = store
    const statements = [...corrections]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, slot, by }) => ({
        query: sql`insert into meter (id, slot, used) values (${id}, ${slot}, ${Math.max(0, by)})
          on conflict (id, slot) do update set used = case when meter.used + ${by} > 0 then meter.used + ${by} else 0 end`.compile(
          db.query,
        ),
      }))
    // Lost while it is away, as far as windows go: they slide on. A slot would stay taken.
    db.batch(statements).catch(() => {
      if (unsaid.length < metersMax)
        unsaid.push(...corrections.filter(({ id }) => id.endsWith(parallelSuffix)))
    })
  }

  async function takeTogether(
    asks: readonly LimitAsk[],
    tokens: number | undefined,
  ): Promise<Taken | Denied> {
    if (!store) return takeAlone(asks, tokens)
    const { db } = store
    const sorted = [...asks].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1))
    const at = now()
    const statements: Statement[] = []
    // Two transactions must not both see room for one.
    if (db.dialect === 'postgres')
      for (const ask of sorted)
        statements.push({
          query: sql`select pg_advisory_xact_lock(hashtextextended(${idOf(ask)}, 0))`.compile(
            db.query,
          ),
        })
    for (const ask of sorted) {
      const amount = amountOf(ask, tokens)
      const slot =
        ask.kind === 'max_parallel_requests' ? self : slotOf(ask.windowMs / slotsOfWindow, at)
      statements.push({
        query: sql`insert into meter (id, slot, used)
          select ${idOf(ask)}, ${slot}, ${amount} where (${usedTogether(ask, at)}) + ${amount} <= ${ask.limit}
          on conflict (id, slot) do update set used = meter.used + excluded.used`.compile(db.query),
        expect: 1,
      })
    }
    try {
      if (Math.abs(now() - awayAt) < awayMs) throw awayCause
      const asked = db.batch([...statements, usedStatement(db, asks, at)])
      await within(asked)
      const results = await asked
      return count(asks, tokens, usedOf(asks, results.at(-1)?.rows))
    } catch (cause) {
      if (isAway(cause)) {
        if (cause !== awayCause) awayAt = now()
        awayCause = cause
        if (failClosed()) throw cause
        return takeAlone(asks, tokens, Math.max(1, alive.length))
      }
      if (!(cause instanceof Superseded)) throw cause
      return denied(asks, tokens, at)
    }
  }

  const usedTogether = (ask: LimitAsk, at: number) => {
    if (ask.kind === 'max_parallel_requests')
      return sql`select coalesce(sum(used), 0) from meter
        where id = ${idOf(ask)} and slot in (${sql.join(alive.includes(self) ? alive : [...alive, self])})`
    const slot = slotOf(ask.windowMs / slotsOfWindow, at)
    // What lies in the future was counted by a clock that was wrong.
    return sql`select coalesce(sum(used), 0) from meter
      where id = ${idOf(ask)} and slot between ${slot - slotsOfWindow} and ${slot + slotsOfWindow}`
  }

  const usedStatement = (
    { query }: Store['db'],
    asks: readonly LimitAsk[],
    at: number,
  ): Statement => ({
    query: sql`select ${sql.join(
      asks.map((ask, nth) => sql`(${usedTogether(ask, at)}) as ${sql.ref(`u${nth}`)}`),
    )}`.compile(query),
  })

  function usedOf(
    asks: readonly LimitAsk[],
    rows: readonly unknown[] | undefined,
  ): Map<LimitAsk, number> {
    const row = object(rows?.[0])
    return new Map(asks.map((ask, nth) => [ask, Number(row[`u${nth}`] ?? 0)]))
  }

  async function denied(
    asks: readonly LimitAsk[],
    tokens: number | undefined,
    at: number,
  ): Promise<Denied> {
    if (!store) throw new Error('nobody is denied by a database that is not there')
    const { db } = store
    const [read] = await db.batch([usedStatement(db, asks, at)])
    const used = usedOf(asks, read?.rows)
    const full =
      asks.find((ask) => (used.get(ask) ?? 0) + amountOf(ask, tokens) > ask.limit) ?? asks[0]
    if (!full) throw new Error('nothing was asked for, so nothing is denied')
    return {
      ok: false,
      ask: full,
      used: used.get(full) ?? 0,
      retryAfterMs:
        full.kind === 'max_parallel_requests'
          ? 1000
          : await freeAfter(store, full, amountOf(full, tokens), at),
    }
  }

  /** Minutes in memory, longer windows in the database: all or nothing. */
  async function takeApart(
    minutes: readonly LimitAsk[],
    longer: readonly LimitAsk[],
    tokens: number | undefined,
  ): Promise<Taken | Denied> {
    const first = takeAlone(minutes, tokens)
    if (!first.ok) return first
    try {
      const second = await takeTogether(longer, tokens)
      if (!second.ok) {
        first.release(undefined)
        return second
      }
      return {
        ok: true,
        asks: [...minutes, ...longer],
        left: [...first.left, ...second.left],
        release(used) {
          first.release(used)
          second.release(used)
        },
      }
    } catch (cause) {
      first.release(undefined)
      throw cause
    }
  }

  /** What was counted alone becomes everybody's. */
  async function publish(): Promise<void> {
    if (!store) return
    const { db } = store
    const rows: { id: string; slot: number; used: number }[] = []
    for (const [id, window] of windows) {
      slide(window, slotOf(window.slotMs, now()))
      if (window.used === 0) continue
      for (let slot = window.first; slot <= window.first + slotsOfWindow; slot++) {
        const used = window.counts[slot % (slotsOfWindow + 1)] ?? 0
        if (used > 0) rows.push({ id, slot, used })
      }
    }
    for (const [id, used] of running) rows.push({ id, slot: self, used })
    for (let at = 0; at < rows.length; at += 200)
      await db.batch(
        rows.slice(at, at + 200).map(({ id, slot, used }) => ({
          query: sql`insert into meter (id, slot, used) values (${id}, ${slot}, ${used})
            on conflict (id, slot) do update set used = meter.used + excluded.used`.compile(
            db.query,
          ),
        })),
      )
  }

  /** Windows that slid away, and slots of processes that are no more. */
  async function sweep({ db }: Store, at: number): Promise<void> {
    if (Math.abs(at - sweptAt) < 60_000) return
    sweptAt = at
    for (const windowMs of [minuteMs, dayMs])
      await db.query
        .deleteFrom('meter')
        .where('id', 'like', `%#${windowMs / 1000}`)
        .where('slot', '<', slotOf(windowMs / slotsOfWindow, at) - 2 * slotsOfWindow)
        .execute()
    await sql`delete from meter where id like ${`%${parallelSuffix}`}
      and (used = 0 or not exists (select 1 from node where node.seq = meter.slot and node.taken_by is null))`.execute(
      db.query,
    )
  }

  return {
    take(asks, tokens) {
      if (asks.length === 0) return nothing
      if (shared || sharedUntil > now()) return takeTogether(asks, tokens)
      if (!store || asks.every(inMemory)) return takeAlone(asks, tokens)
      return takeApart(
        asks.filter(inMemory),
        asks.filter((ask) => !inMemory(ask)),
        tokens,
      )
    },
    async setNodes(numbers, number) {
      self = number
      alive = numbers
      if (numbers.length > 1 && !shared) {
        const alone = sharedUntil <= now()
        shared = true
        if (alone) await publish()
      } else if (numbers.length <= 1 && shared) {
        shared = false
        // What the others let through still fills the windows.
        sharedUntil = now() + minuteMs + 1000
      }
      if (!store) return
      if (unsaid.length > 0) {
        const some = unsaid
        unsaid = []
        correct(some)
      }
      await sweep(store, now())
    },
  }
}

type Correction = { id: string; slot: number; by: number }

const amountOf = ({ kind, amount }: LimitAsk, tokens: number | undefined): number =>
  kind === 'tokens' && tokens !== undefined ? tokens : amount

const nothing: Taken = Object.freeze({ ok: true, asks: [], left: [], release() {} })

/** What a request was counted with, and when. `together`: in the database too. */
type Count = Pick<Taken, 'asks' | 'left'> & {
  readonly tokens: number | undefined
  readonly at: number
  readonly together: boolean
}

/** A class, since its closure and what that held were 300 bytes a request. */
class Counted implements Taken, Count {
  readonly ok = true
  readonly asks: readonly LimitAsk[]
  readonly left: readonly number[]
  readonly tokens: number | undefined
  readonly at: number
  readonly together: boolean
  readonly #giveBack: (count: Count, used: number | undefined) => void
  #released = false

  constructor(
    { asks, left, tokens, at, together }: Count,
    giveBack: (count: Count, used: number | undefined) => void,
  ) {
    this.asks = asks
    this.left = left
    this.tokens = tokens
    this.at = at
    this.together = together
    this.#giveBack = giveBack
  }

  release(used: number | undefined): void {
    if (this.#released) return
    this.#released = true
    this.#giveBack(this, used)
  }
}

const minuteMs = 60_000
const dayMs = 86_400_000
const parallelSuffix = '#parallel'
const inMemory = ({ kind, windowMs }: LimitAsk): boolean =>
  kind === 'max_parallel_requests' || windowMs <= minuteMs

/** What an ask is counted under. */
export const meterOf = (ask: LimitAsk): string =>
  (ask.meter ??=
    ask.kind === 'max_parallel_requests'
      ? `${ask.id}${parallelSuffix}`
      : `${ask.id}#${ask.kind}#${ask.windowMs / 1000}`)

const slotOf = (slotMs: number, at: number): number => Math.floor(at / slotMs)

/**
 * Lets go of what is older than the window. After a clock was set back by more than a window, all that is in it counts as
 * of now: for a minute too much, rather than nothing until the clock is there again.
 */
function slide(window: Window, slot: number): void {
  const first = slot - slotsOfWindow
  if (slot < window.first) {
    window.counts.fill(0)
    window.counts[slot % (slotsOfWindow + 1)] = window.used
    window.first = first
    return
  }
  if (first <= window.first) return
  const gone = Math.min(first - window.first, slotsOfWindow + 1)
  for (let i = 0; i < gone; i++) {
    const index = (window.first + i) % (slotsOfWindow + 1)
    window.used -= window.counts[index] ?? 0
    window.counts[index] = 0
  }
  window.first = first
  if (gone === slotsOfWindow + 1) window.used = 0
}

async function freeAfter(store: Store, ask: LimitAsk, amount: number, at: number): Promise<number> {
  const slotMs = ask.windowMs / slotsOfWindow
  const rows = await store.db.query
    .selectFrom('meter')
    .select(['slot', 'used'])
    .where('id', '=', meterOf(ask))
    .where('slot', '>=', slotOf(slotMs, at) - slotsOfWindow)
    .orderBy('slot')
    .execute()
  let free = ask.limit - rows.reduce((sum, { used }) => sum + Number(used), 0)
  for (const { slot, used } of rows) {
    free += Number(used)
    if (free >= amount) return Math.max(1, (Number(slot) + slotsOfWindow + 1) * slotMs - at)
  }
  return ask.windowMs
}
