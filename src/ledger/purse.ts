import { sql } from 'kysely'
import { GatewayError } from '../errors.ts'
import { type Json, number, object } from '../json/json.ts'
import type { Statement } from '../store/db.ts'
import { nextReset } from '../store/durations.ts'
import type { Store } from '../store/store.ts'
import { bulk } from './rows.ts'

/**
 * Budgets, exact on any number of processes. Every account with a budget is a row; a process may spend only what it has
 * leased of it, and a lease is taken by one transaction that never grants more than is left. So the sum of what has been
 * spent, what is reserved and what lies idle in leases never passes the budget, whatever the processes do.
 *
 * Away from the limit a process leases more than it needs (all of it, when it is alone), so that most requests ask
 * nobody. Near the limit leases are single reservations; and a process that finds too little left recalls what others
 * hold idle before it refuses.
 */
export type Purses = {
  /** Sets aside what a request may cost, in every account or in none. */
  reserve(asks: readonly Ask[], need: Need): Reserved | Refused | Promise<Reserved | Refused>
  /** Something was spent that a later flush writes. */
  spend(account: string, nanoDollars: number): void
  /**
   * What a flush has to write of accounts, given what it writes of their spend. `done` once it is on disk, `failed` when
   * it could not be; one of them is said, and no other flush is taken before.
   */
  takeFlush(spent: ReadonlyMap<string, number>): Flush
  /** Is there something to write besides spend: leases to give back, recalls to answer? */
  pending(): boolean
  /** Another process wants what lies idle. */
  recalled(account: string, seq: number): void
  /** Something was written past us: the budget's spend or its maximum. */
  forget(account: string): void
  /** How many processes serve on this database. */
  setNodes(count: number): void
  /** Gives back everything idle, at the end. */
  giveBackAll(): void
}

export type Ask = {
  account: string
  /** Nano-dollars. */
  max: number
  duration: string | undefined
}

export type Need = {
  /** The most it may cost, nano-dollars. */
  amount: number
  /**
   * What is done when less is left: `refuse`, or `clip`: it goes through while anything is left, and sets aside no more
   * than that.
   */
  short: 'refuse' | 'clip'
}

export type Reserved = {
  ok: true
  /** What was set aside in each account, in their order. */
  held: readonly { purse: Purse; amount: number }[]
  /** Gives back what was set aside; once. What was spent is said by `spend`. */
  release(): void
}
export type Refused = {
  ok: false
  account: string
  max: number
  /** Nano-dollars spent in the running period, and what is left for new requests. */
  spend: number
  left: number
}

export type Flush = {
  statements: Statement[]
  done(): void
  failed(): void
}

/** One account as this process holds it. */
type Purse = {
  readonly id: string
  max: number
  duration: string | undefined
  /** As the row was when it was last seen. */
  seen: { spend: number; leased: number; resetsAt: number | null } | undefined
  /** What is leased, as the lease's row says. */
  lease: number
  reserved: number
  /** Spent and not yet written. */
  spent: number
  /** The row has to be looked at before anything more is given out. */
  stale: boolean
  /** Until then only what is needed is leased, and what is idle goes back. */
  tightUntil: number
  /** The latest recall that has to be answered. */
  recall: number
  answered: number
  asking: Promise<void> | undefined
  /** A flush has its lease's row in its hands. */
  flushing: Promise<void> | undefined
  usedAt: number
}

export type PurseOptions = {
  store: Store
  now(): number
  clock: { timeZone?: string; timeOfDay?: string }
  /** Waits; tests bring their own. */
  sleep(ms: number): Promise<void>
  /** Writes everything pending and answers when it is on disk. */
  flush(): Promise<void>
  /** Spent from an account and not yet written. */
  unwritten(account: string): number
}

const tightMs = 5000
const recallMs = 1500
const recallStepMs = 25
const pursesMax = 20_000
const roundsMax = 100

export function createPurses({ store, now, clock, sleep, flush, unwritten }: PurseOptions): Purses {
  const { db, node } = store
  const purses = new Map<string, Purse>()
  let nodes = 1

  const idle = ({ lease, reserved, spent }: Purse): number => lease - reserved - spent

  function purseOf({ account, max, duration }: Ask): Purse {
    let purse = purses.get(account)
    if (!purse) {
      if (purses.size >= pursesMax) evict()
      purse = {
        id: account,
        max,
        duration,
        seen: undefined,
        lease: 0,
        reserved: 0,
        spent: unwritten(account),
        stale: true,
        tightUntil: 0,
        recall: 0,
        answered: 0,
        asking: undefined,
        flushing: undefined,
        usedAt: now(),
      }
      purses.set(account, purse)
    }
    if (purse.max !== max || purse.duration !== duration) {
      purse.max = max
      purse.duration = duration
      purse.stale = true
    }
    purse.usedAt = now()
    return purse
  }

  function evict(): void {
    for (const [id, purse] of purses) {
      if (purse.lease !== 0 || purse.reserved !== 0 || purse.spent !== 0 || purse.asking) continue
      purses.delete(id)
      if (purses.size < pursesMax * 0.9) return
    }
  }

  const due = ({ seen }: Purse): boolean =>
    seen?.resetsAt !== null && seen !== undefined && seen.resetsAt <= now()

  /** What can be given out at once; undefined: the row has to be asked. */
  const ready = (purse: Purse, { amount, short }: Need): boolean =>
    !purse.stale &&
    !due(purse) &&
    (idle(purse) >= amount || (short === 'clip' && idle(purse) > 0 && drained(purse)))

  /** Nothing more is to be had from the row: all that is left of the budget is in our lease. */
  const drained = (purse: Purse): boolean =>
    purse.seen !== undefined &&
    purse.max - purse.seen.spend - purse.seen.leased <= 0 &&
    purse.seen.leased <= purse.lease

  function take(of: readonly Purse[], need: Need): Reserved {
    const held = of.map((purse) => {
      const amount = Math.min(need.amount, Math.max(idle(purse), 0))
      purse.reserved += amount
      return { purse, amount }
    })
    let released = false
    return {
      ok: true,
      held,
      release() {
        if (released) return
        released = true
        for (const { purse, amount } of held) purse.reserved -= amount
      },
    }
  }

  async function reserveSlowly(of: readonly Purse[], need: Need): Promise<Reserved | Refused> {
    const recalledOnce = new Set<Purse>()
    for (let round = 0; round < roundsMax; round++) {
      // Whatever waited, another request may have taken meanwhile: all are looked at again, and taken in one turn.
      const lacking = of.find((purse) => !ready(purse, need))
      if (!lacking) return take(of, need)
      // Alone, and the row has nothing more to give: it need not be asked again to say so.
      if (!lacking.stale && !due(lacking) && nodes <= 1 && drained(lacking)) return refuse(lacking)
      await ask(lacking, need.amount)
      if (lacking.stale || due(lacking)) continue
      if (fits(lacking, need)) {
        if (of.every((purse) => ready(purse, need) || fits(purse, need))) return take(of, need)
        continue
      }
      if (recalledOnce.has(lacking) || !(await recall(lacking, need))) return refuse(lacking)
      recalledOnce.add(lacking)
    }
    throw new GatewayError(
      'unavailable',
      'too many requests want the same budget at once: try again',
    )
  }

  function refuse(purse: Purse): Refused {
    const { seen, max, spent, id } = purse
    // Spent so far, as the refused caller should see it: written, and still in our hands.
    const spend = (seen?.spend ?? 0) + spent
    return {
      ok: false,
      account: id,
      max,
      spend,
      left: Math.max(0, Math.min(idle(purse), max - spend)),
    }
  }

  const fits = (purse: Purse, { amount, short }: Need): boolean =>
    !purse.stale && !due(purse) && (idle(purse) >= amount || (short === 'clip' && idle(purse) > 0))

  /** Leases more of one account, and learns how it stands. One asks at a time, and never beside a flush. */
  async function ask(purse: Purse, amount: number): Promise<void> {
    if (due(purse)) await rollOver(purse)
    while (purse.asking || purse.flushing) await (purse.asking ?? purse.flushing)
    const asking = leased(purse, amount)
    purse.asking = asking
    try {
      await asking
    } finally {
      purse.asking = undefined
    }
  }

  /**
   * How much more to lease. Alone: all there is. With others: several reservations while plenty is left, in whole
   * reservations, so that no crumbs lie about; near the limit just the one.
   */
  function wanted({ seen, max, tightUntil }: Purse, amount: number): number {
    if (nodes <= 1) return max
    if (!seen || amount <= 0 || tightUntil > now()) return amount
    const left = max - seen.spend - seen.leased
    return Math.max(1, Math.min(16, Math.floor(left / (4 * nodes) / amount))) * amount
  }

  /** Gives back what a lowered budget does not cover, leases what is needed, reads the row: one transaction. */
  async function leased(purse: Purse, amount: number): Promise<void> {
    const { id, max } = purse
    const duration = purse.duration ?? null
    const resetsAt = duration === null ? null : nextReset(duration, { ...clock, now: now() })
    const back = purse.stale ? Math.max(0, idle(purse)) : 0
    // Nobody may give out meanwhile what goes back.
    purse.lease -= back
    const have = Math.max(0, idle(purse))
    const wish = Math.max(amount, wanted(purse, amount)) - have
    // What is written from now on must be looked at again.
    purse.stale = false
    const results = await db
      .batch(
        [
          sql`insert into account (id, spend, total, leased, duration, resets_at)
            values (${id}, 0, 0, 0, ${duration}, ${resetsAt}) on conflict (id) do nothing`,
          // A shared budget whose period has changed reaches its holders here.
          sql`update account set duration = ${duration}, resets_at = ${resetsAt}
            where id = ${id} and coalesce(duration, '') <> coalesce(${duration}, '')`,
          ...(db.dialect === 'postgres'
            ? [sql`select 1 from account where id = ${id} for update`]
            : []),
          sql`insert into lease (account, node, amount, busy, recalled) values (${id}, ${node}, 0, 0, 0)
            on conflict (account, node) do update set amount = lease.amount - ${back}`,
          sql`update account set leased = (select coalesce(sum(amount), 0) from lease where account = ${id})
            where id = ${id}`,
          // What is wished for, or what is left of it.
          sql`update lease set amount = amount + coalesce((
              select case when ${max} - spend - leased >= ${wish} then ${wish}
                          when ${max} - spend - leased > 0 then ${max} - spend - leased
                          else 0 end
              from account where id = ${id}), 0)
            where account = ${id} and node = ${node}`,
          sql`update account set leased = (select coalesce(sum(amount), 0) from lease where account = ${id})
            where id = ${id}`,
          sql`select account.spend, account.leased, account.resets_at, lease.amount as mine
            from account join lease on lease.account = account.id and lease.node = ${node}
            where account.id = ${id}`,
        ].map((statement) => ({ query: statement.compile(db.query) })),
      )
      .catch((cause: unknown) => {
        purse.stale = true
        purse.lease += back
        throw cause
      })
    const row = object(results.at(-1)?.rows[0] as Json)
    const reset = number(row['resets_at'])
    purse.seen = {
      spend: number(row['spend']) ?? 0,
      leased: number(row['leased']) ?? 0,
      resetsAt: reset ?? null,
    }
    purse.lease = number(row['mine']) ?? 0
  }

  /** A period has ended. What was spent in it is written first; one process writes the new one. */
  async function rollOver(purse: Purse): Promise<void> {
    await flush()
    await resetAccount(store, purse.id, purse.duration, clock, now())
    if (purse.seen) purse.seen.resetsAt = null
    purse.stale = true
  }

  /** Asks the others for what they hold idle. False: there is nothing to wait for. */
  async function recall(purse: Purse, need: Need): Promise<boolean> {
    const { id, seen } = purse
    if (!seen || seen.leased <= purse.lease || purse.tightUntil > now()) return false
    purse.tightUntil = now() + tightMs
    const seq = await announce(store, 'recall', id)
    const end = now() + recallMs
    do {
      await sleep(recallStepMs)
      const open = await db.query
        .selectFrom('lease')
        .innerJoin('node', 'node.id', 'lease.node')
        .select('lease.node')
        .where('lease.account', '=', id)
        .where('lease.node', '<>', node)
        .where('lease.recalled', '<', seq)
        .where('lease.amount', '>', 0)
        .where('node.heartbeat_at', '>', now() - 5000)
        .execute()
      await ask(purse, need.amount)
      if (idle(purse) >= need.amount) return true
      if (open.length === 0) break
    } while (now() < end)
    return true
  }

  /** What goes back with a flush. */
  function backOf(purse: Purse, at: number): number {
    if (purse.asking) return 0
    const tight = purse.tightUntil > at || purse.recall > purse.answered
    const unused = at - purse.usedAt > tightMs && nodes > 1
    return tight || unused ? Math.max(0, idle(purse)) : 0
  }

  return {
    reserve(asks, need) {
      if (asks.length === 0 || need.amount <= 0) return take([], need)
      const of = asks.map(purseOf)
      for (const purse of of) if (!ready(purse, need)) return reserveSlowly(of, need)
      return take(of, need)
    },
    spend(account, nanoDollars) {
      const purse = purses.get(account)
      if (purse) purse.spent += nanoDollars
    },
    pending() {
      const at = now()
      for (const purse of purses.values())
        if (purse.recall > purse.answered || backOf(purse, at) > 0) return true
      return false
    },
    takeFlush(spent) {
      const at = now()
      const running = Promise.withResolvers<void>()
      const settled: { purse: Purse; spent: number; used: number; back: number; recall: number }[] =
        []
      for (const purse of purses.values()) {
        const amount = spent.get(purse.id) ?? 0
        const back = backOf(purse, at)
        if (amount === 0 && back === 0 && purse.recall <= purse.answered) continue
        const used = purse.asking ? 0 : Math.max(0, Math.min(amount, purse.lease))
        settled.push({ purse, spent: amount, used, back, recall: purse.recall })
        purse.flushing = running.promise
        // Nobody may give out what is on its way back.
        purse.lease -= back
      }
      const byName = (a: { purse: Purse }, b: { purse: Purse }): number =>
        a.purse.id < b.purse.id ? -1 : 1
      settled.sort(byName)
      const leases = settled.filter(({ purse }) => !purse.asking)
      const accounts = [...spent]
        .filter(([, amount]) => amount !== 0)
        .sort(([a], [b]) => (a < b ? -1 : 1))
      const statements: Statement[] = []
      if (accounts.length > 0)
        statements.push(
          bulk(
            'account',
            { id: 'text', spend: 'bigint', total: 'bigint', leased: 'bigint' },
            accounts.map(([id, amount]) => [id, amount, amount, 0]),
            ' on conflict (id) do update set spend = account.spend + excluded.spend, total = account.total + excluded.total',
            db.dialect,
          ),
        )
      for (const { purse, used, back, recall: seq } of leases) {
        statements.push({
          query:
            sql`update lease set amount = amount - ${used + back}, busy = ${purse.reserved}, recalled = ${seq}
            where account = ${purse.id} and node = ${node}`.compile(db.query),
        })
        if (used + back > 0)
          statements.push({
            query:
              sql`update account set leased = leased - ${used + back} where id = ${purse.id}`.compile(
                db.query,
              ),
          })
      }
      const end = (): void => {
        for (const { purse } of settled) purse.flushing = undefined
        running.resolve()
      }
      return {
        statements,
        done() {
          for (const { purse, spent: amount, used, back, recall: seq } of settled) {
            purse.spent -= amount
            purse.lease -= used
            purse.answered = Math.max(purse.answered, seq)
            if (purse.seen) {
              purse.seen.spend += amount
              purse.seen.leased -= used + back
            }
          }
          end()
        },
        failed() {
          for (const { purse, back } of settled) purse.lease += back
          end()
        },
      }
    },
    recalled(account, seq) {
      const purse = purses.get(account)
      if (!purse) return
      purse.recall = Math.max(purse.recall, seq)
      purse.tightUntil = now() + tightMs
    },
    forget(account) {
      const beside = `${account}|`
      for (const [id, purse] of purses)
        if (id === account || id.startsWith(beside)) purse.stale = true
    },
    setNodes(count) {
      nodes = count
    },
    giveBackAll() {
      for (const purse of purses.values()) purse.tightUntil = Number.POSITIVE_INFINITY
    },
  }
}

/** Begins a new period where the old one has ended; whichever process comes first does it. */
export async function resetAccount(
  { db }: Store,
  id: string,
  duration: string | undefined,
  clock: PurseOptions['clock'],
  now: number,
): Promise<void> {
  const next = duration === undefined ? null : nextReset(duration, { ...clock, now })
  await db.query
    .updateTable('account')
    .set({ spend: 0, resets_at: next })
    .where('id', '=', id)
    .where('resets_at', '<=', now)
    .execute()
}

/** Tells every process something that is no document. Returns its place in the order of things told. */
export async function announce(
  { db, node, now }: Store,
  kind: string,
  id: string,
): Promise<number> {
  const [row] = await db.query
    .insertInto('change')
    .values({ kind, id, node, at: now() })
    .returning('seq')
    .execute()
  if (db.dialect === 'postgres')
    await sql`select pg_notify('throughway', ${node})`.execute(db.query)
  return Number(row?.seq ?? 0)
}
