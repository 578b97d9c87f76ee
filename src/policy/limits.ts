import { sql } from 'kysely'
import { type Statement, Superseded } from '../store/db.ts'
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
}

export type Taken = {
  ok: true
  /** What is left of each, in their order. */
  left: readonly { ask: LimitAsk; left: number }[]
  /** The request has ended. `tokens`: what it took, where tokens were asked for; undefined: nothing of it counts. */
  release(tokens: number | undefined): void
}
export type Denied = { ok: false; ask: LimitAsk; used: number; retryAfterMs: number }

export type Limits = {
  take(asks: readonly LimitAsk[]): Taken | Denied | Promise<Taken | Denied>
  /** How many processes count with this one, and its number among them. With more than one, the database counts. */
  setNodes(count: number, self: number): Promise<void>
}

const slotsOfWindow = 60
const metersMax = 50_000

/** A window that slides in sixtieths. One slot more than the window is long, so that nothing is let go too early. */
type Window = { slotMs: number; first: number; counts: Float64Array; used: number }

/**
 * Alone on a database, a process counts in memory. With others, every request asks the database, in one transaction for
 * all its limits, so that together they let through what one would. What each has counted alone is told when the first
 * other comes.
 */
export function createLimits(store: Store | undefined, now: () => number): Limits {
  const windows = new Map<string, Window>()
  const running = new Map<string, number>()
  let shared = false
  let sharedUntil = 0
  let self = 0

  const idOf = ({ id, kind, windowMs }: LimitAsk): string =>
    kind === 'max_parallel_requests' ? `${id}#parallel` : `${id}#${kind}#${windowMs / 1000}`

  function windowOf(ask: LimitAsk): Window {
    const id = idOf(ask)
    const slotMs = ask.windowMs / slotsOfWindow
    let window = windows.get(id)
    if (!window) {
      if (windows.size >= metersMax) forgetIdle()
      window = {
        slotMs,
        first: slotOf(slotMs, now()) - slotsOfWindow,
        counts: new Float64Array(slotsOfWindow + 1),
        used: 0,
      }
      windows.set(id, window)
    }
    slide(window, slotOf(slotMs, now()))
    return window
  }

  function forgetIdle(): void {
    for (const [id, window] of windows) {
      slide(window, slotOf(window.slotMs, now()))
      if (window.used === 0) windows.delete(id)
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
  function retryAfter(window: Window, { limit, amount }: LimitAsk): number {
    let free = limit - window.used
    for (let slot = window.first; slot <= window.first + slotsOfWindow; slot++) {
      free += window.counts[slot % (slotsOfWindow + 1)] ?? 0
      if (free >= amount) return Math.max(1, (slot + slotsOfWindow + 1) * window.slotMs - now())
    }
    return window.slotMs * slotsOfWindow
  }

  function takeAlone(asks: readonly LimitAsk[]): Taken | Denied {
    for (const ask of asks) {
      if (ask.kind === 'max_parallel_requests') {
        const used = running.get(idOf(ask)) ?? 0
        if (used + ask.amount > ask.limit) return { ok: false, ask, used, retryAfterMs: 1000 }
        continue
      }
      const window = windowOf(ask)
      if (window.used + ask.amount > ask.limit)
        return { ok: false, ask, used: window.used, retryAfterMs: retryAfter(window, ask) }
    }
    return count(asks, (ask) => ask.limit - usedAlone(ask))
  }

  const usedAlone = (ask: LimitAsk): number =>
    ask.kind === 'max_parallel_requests' ? (running.get(idOf(ask)) ?? 0) : windowOf(ask).used

  /** Notes in memory what has been let through, and how to take it back. */
  function count(asks: readonly LimitAsk[], leftOf: (ask: LimitAsk) => number): Taken {
    const at = now()
    const inDatabase = shared
    for (const ask of asks) {
      if (ask.kind === 'max_parallel_requests')
        running.set(idOf(ask), (running.get(idOf(ask)) ?? 0) + ask.amount)
      else {
        const window = windowOf(ask)
        add(window, slotOf(window.slotMs, at), ask.amount)
      }
    }
    let released = false
    return {
      ok: true,
      left: asks.map((ask) => ({ ask, left: Math.max(0, leftOf(ask)) })),
      release(tokens) {
        if (released) return
        released = true
        const corrections: { ask: LimitAsk; slot: number; by: number }[] = []
        for (const ask of asks) {
          const id = idOf(ask)
          if (ask.kind === 'max_parallel_requests') {
            const rest = (running.get(id) ?? 0) - ask.amount
            if (rest > 0) running.set(id, rest)
            else running.delete(id)
            corrections.push({ ask, slot: self, by: -ask.amount })
            continue
          }
          const is = tokens === undefined ? 0 : ask.kind === 'tokens' ? tokens : ask.amount
          const by = is - ask.amount
          if (by === 0) continue
          const window = windowOf(ask)
          const slot = slotOf(window.slotMs, at)
          add(window, slot, by)
          corrections.push({ ask, slot, by })
        }
        if ((inDatabase || shared) && corrections.length > 0) correct(corrections)
      },
    }
  }

  /** Tells the database what a request took after all. Lost where it is away: the window slides on. */
  function correct(corrections: { ask: LimitAsk; slot: number; by: number }[]): void {
    if (!store) return
    const { db } = store
    const statements = corrections
      .map(({ ask, slot, by }) => ({ id: idOf(ask), slot, by }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, slot, by }) => ({
        query: sql`insert into meter (id, slot, used) values (${id}, ${slot}, ${Math.max(0, by)})
          on conflict (id, slot) do update set used = case when meter.used + ${by} > 0 then meter.used + ${by} else 0 end`.compile(
          db.query,
        ),
      }))
    db.batch(statements).catch(() => {})
  }

  async function takeTogether(asks: readonly LimitAsk[]): Promise<Taken | Denied> {
    if (!store) return takeAlone(asks)
    const { db } = store
    const sorted = [...asks].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1))
    const at = now()
    const statements: Statement[] = []
    for (const ask of sorted) {
      const id = idOf(ask)
      // Two transactions must not both see room for one.
      if (db.dialect === 'postgres')
        statements.push({
          query: sql`select pg_advisory_xact_lock(hashtextextended(${id}, 0))`.compile(db.query),
        })
      const slot =
        ask.kind === 'max_parallel_requests' ? self : slotOf(ask.windowMs / slotsOfWindow, at)
      statements.push({
        query: sql`insert into meter (id, slot, used)
          select ${id}, ${slot}, ${ask.amount} where (${usedTogether(ask, at)}) + ${ask.amount} <= ${ask.limit}
          on conflict (id, slot) do update set used = meter.used + excluded.used`.compile(db.query),
        expect: 1,
      })
    }
    try {
      await db.batch(statements)
    } catch (cause) {
      if (!(cause instanceof Superseded)) throw cause
      return denied(asks, at)
    }
    const used = await readTogether(asks, at)
    return count(asks, (ask) => ask.limit - (used.get(idOf(ask)) ?? 0))
  }

  const usedTogether = (ask: LimitAsk, at: number) =>
    ask.kind === 'max_parallel_requests'
      ? sql`select coalesce(sum(meter.used), 0) from meter join node on node.seq = meter.slot
          where meter.id = ${idOf(ask)} and node.taken_by is null and node.heartbeat_at > ${at - 5000}`
      : sql`select coalesce(sum(used), 0) from meter where id = ${idOf(ask)}
          and slot >= ${slotOf(ask.windowMs / slotsOfWindow, at) - slotsOfWindow}`

  async function readTogether(asks: readonly LimitAsk[], at: number): Promise<Map<string, number>> {
    const used = new Map<string, number>()
    if (!store) return used
    for (const ask of asks) {
      const { rows } = await sql<{
        used: number
      }>`select (${usedTogether(ask, at)}) as used`.execute(store.db.query)
      used.set(idOf(ask), Number(rows[0]?.used ?? 0))
    }
    return used
  }

  async function denied(asks: readonly LimitAsk[], at: number): Promise<Denied> {
    const used = await readTogether(asks, at)
    const full = asks.find((ask) => (used.get(idOf(ask)) ?? 0) + ask.amount > ask.limit) ?? asks[0]
    if (!full) throw new Error('nothing was asked for, so nothing is denied')
    return {
      ok: false,
      ask: full,
      used: used.get(idOf(full)) ?? 0,
      retryAfterMs:
        full.kind === 'max_parallel_requests' || !store
          ? 1000
          : await freeAfter(store, idOf(full), full, at),
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

  return {
    take(asks) {
      if (asks.length === 0) return { ok: true, left: [], release() {} }
      if (!shared && sharedUntil <= now()) return takeAlone(asks)
      return takeTogether(asks)
    },
    async setNodes(count, number) {
      self = number
      if (count > 1 && !shared) {
        const alone = sharedUntil <= now()
        shared = true
        if (alone) await publish()
      } else if (count <= 1 && shared) {
        shared = false
        // What the others let through still fills the windows.
        sharedUntil = now() + 61_000
      }
      if (count > 1) await sweep(store, now())
    },
  }
}

const slotOf = (slotMs: number, at: number): number => Math.floor(at / slotMs)

/** Lets go of what is older than the window. A clock that jumps back leaves it as it is. */
function slide(window: Window, slot: number): void {
  const first = slot - slotsOfWindow
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

async function freeAfter(store: Store, id: string, ask: LimitAsk, at: number): Promise<number> {
  const slotMs = ask.windowMs / slotsOfWindow
  const rows = await store.db.query
    .selectFrom('meter')
    .select(['slot', 'used'])
    .where('id', '=', id)
    .where('slot', '>=', slotOf(slotMs, at) - slotsOfWindow)
    .orderBy('slot')
    .execute()
  let free = ask.limit - rows.reduce((sum, { used }) => sum + Number(used), 0)
  for (const { slot, used } of rows) {
    free += Number(used)
    if (free >= ask.amount) return Math.max(1, (Number(slot) + slotsOfWindow + 1) * slotMs - at)
  }
  return ask.windowMs
}

let lastSweep = 0
/** Windows that slid away, now and then. Slots of processes are small numbers and stay. */
async function sweep(store: Store | undefined, at: number): Promise<void> {
  if (!store || at - lastSweep < 60_000) return
  lastSweep = at
  await store.db.query
    .deleteFrom('meter')
    .where('slot', '>', 1_000_000)
    .where('slot', '<', Math.floor((at - 180_000) / 1000))
    .where('id', 'like', '%#60')
    .execute()
}
