import { GatewayError } from '../errors.ts'
import { resetAccount } from '../store/accounts.ts'
import { away, isAway, type Statement } from '../store/db.ts'
import { nextReset } from '../store/durations.ts'
import type { Store } from '../store/store.ts'
import { leaseStatements, readLease, settleStatements } from './lease.ts'

/**
 * Budgets, exact on any number of processes. Every account with a budget is a row; a process may spend only what it has
 * leased of it, and a lease is taken by one transaction that never grants more than is left. So the sum of what has been
 * spent, what is reserved and what lies idle in leases never passes the budget, whatever the processes do.
 *
 * Away from the limit a process leases more than it needs, so that most requests ask nobody, and calls go on for a while
 * when the database is away. Near the limit leases are single reservations; and a process that finds too little left
 * recalls what others hold idle before it refuses.
 */
export type Purses = {
  /** Sets aside what a request may cost, in every account or in none. Rejects with `isAway` where nobody can be asked. */
  reserve(asks: readonly Ask[], need: Need): Reserved | Refused | Promise<Reserved | Refused>
  /** Something was spent that a later flush writes. */
  spend(account: string, nanoDollars: number): void
  /**
   * What a flush has to write of accounts, given what it writes of their spend. One of its ends is said, and no other
   * flush is taken before.
   */
  takeFlush(spent: ReadonlyMap<string, number>): Promise<Flush>
  /** Is there something to write besides spend: leases to give back, recalls to answer? */
  pending(): boolean
  /** Another process wants what lies idle. */
  recalled(account: string, seq: number): void
  /** Something was written past us: the budget's spend or its maximum. */
  forget(account: string): void
  /** Everything that was leased is gone: another process has taken this one for dead. */
  forgetAll(): void
  /** Who serves on this database, this process included. */
  setNodes(count: number): void
  /** The others have heard of this process at this instant (of `mono`): until they can miss it, its leases hold. */
  heardAt(instant: number): void
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
  /** It is on disk. */
  done(): void
  /** It failed, perhaps after it was written: `known` once that is known. Nothing is given out twice meanwhile. */
  failed(): { known(written: boolean): void }
}

/** One account as this process holds it. */
type Purse = {
  readonly id: string
  max: number
  duration: string | undefined
  /** As the row was when it was last seen. */
  seen: { spend: number; leased: number; resetsAt: number | null } | undefined
  /** What is leased, reserved and unwritten spend included. */
  lease: number
  reserved: number
  /** Spent and not yet written. */
  spent: number
  /** The row has to be looked at before anything more is given out. */
  stale: boolean
  /** The row may say another lease than we hold: the next flush says ours. */
  dirty: boolean
  /** Until then only what is needed is leased, and what is idle goes back. */
  tightUntil: number
  /** The latest recall that has to be answered. */
  recall: number
  answered: number
  /** Ends when whoever has the rows in hand, a flush or an ask, is through with them. */
  turn: Promise<unknown>
  /** Requests that wait for it. */
  waiting: number
  /** It goes back and is forgotten, to make room. */
  leaving: boolean
  usedAt: number
}

export type PurseOptions = {
  store: Store
  now(): number
  /** Milliseconds that only go forward, whatever is done to the clock. */
  mono(): number
  clock: { timeZone?: string; timeOfDay?: string }
  /** Waits; tests bring their own. */
  sleep(ms: number): Promise<void>
  /** Writes everything pending and answers when it is on disk. */
  flush(): Promise<void>
  /** Spent from an account and not yet written. */
  unwritten(account: string): number
  /** Other processes that are alive, as far as is known. */
  others(): readonly string[]
}

const tightMs = 5000
const recallMs = 1500
const recallStepMs = 25
const pursesMax = 20_000
const leavingMax = 2000
const roundsMax = 100
/** A request waits no longer than this for the database. */
const askMs = 5000
/** After it was found away, nobody else is made to wait for it for so long. */
const awayMs = 500
/** Leases hold for so long after the others have last heard of us; they free them only later (`lapsedMs` of nodes.ts). */
export const leaseMs = 45_000

export function createPurses(options: PurseOptions): Purses {
  const { store, now, mono, clock, sleep, flush, unwritten, others } = options
  const { db, node } = store
  const purses = new Map<string, Purse>()
  /** Those a flush has something to do for besides their spend. */
  const restless = new Set<Purse>()
  let nodes = 1
  let sweptAt = mono()
  let evictAt = pursesMax
  let closing = false
  let heard = mono()
  let heardWall = now()
  let lapsed = false
  let awayUntil = 0
  let awayCause: unknown

  const idle = ({ lease, reserved, spent }: Purse): number => lease - reserved - spent

  function purseOf({ account, max, duration }: Ask): Purse {
    let purse = purses.get(account)
    if (!purse) {
      if (purses.size >= evictAt) evict()
      purse = {
        id: account,
        max,
        duration,
        seen: undefined,
        lease: 0,
        reserved: 0,
        spent: unwritten(account),
        stale: true,
        dirty: false,
        tightUntil: 0,
        recall: 0,
        answered: 0,
        turn: Promise.resolve(),
        waiting: 0,
        leaving: false,
        usedAt: mono(),
      }
      purses.set(account, purse)
    }
    if (purse.max !== max || purse.duration !== duration) {
      purse.max = max
      purse.duration = duration
      purse.stale = true
    }
    purse.usedAt = mono()
    purse.leaving = false
    return purse
  }

  /** The oldest tenth goes back, as far as nobody uses it; it is forgotten when that is written. */
  function evict(): void {
    let count = 0
    for (const purse of purses.values()) {
      if (purse.reserved !== 0 || purse.waiting > 0) continue
      if (purse.lease === 0 && purse.spent === 0) drop(purse)
      else {
        purse.leaving = true
        restless.add(purse)
      }
      if (++count >= pursesMax / 10) break
    }
    evictAt = Math.max(pursesMax, purses.size + 100)
  }

  function drop(purse: Purse): void {
    purses.delete(purse.id)
    restless.delete(purse)
  }

  const due = ({ seen }: Purse): boolean =>
    seen !== undefined && seen.resetsAt !== null && seen.resetsAt <= now()

  /** The others may have taken us for dead by now, and what we held idle for theirs. */
  function lapse(): boolean {
    if (lapsed) return true
    if (mono() - heard < leaseMs && now() - heardWall < leaseMs) return false
    lapsed = true
    for (const purse of purses.values()) purse.stale = true
    return true
  }

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
    for (const purse of of) purse.waiting++
    try {
      return await reserveAsking(of, need)
    } finally {
      for (const purse of of) purse.waiting--
    }
  }

  async function reserveAsking(of: readonly Purse[], need: Need): Promise<Reserved | Refused> {
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

  /**
   * Leases more of one account, and learns how it stands. One asks at a time, and never beside a flush. Whoever waits for
   * a database that does not answer is told so in time.
   */
  async function ask(purse: Purse, amount: number): Promise<void> {
    if (mono() < awayUntil) throw awayCause
    const asked = due(purse) ? rollOver(purse) : inTurn(purse, () => leased(purse, amount))
    try {
      await within(asked)
    } catch (cause) {
      if (isAway(cause)) {
        awayUntil = mono() + awayMs
        awayCause = cause
      }
      throw cause
    }
  }

  function inTurn<T>(purse: Purse, work: () => Promise<T>): Promise<T> {
    const done = purse.turn.then(work)
    purse.turn = done.catch(() => {})
    return done
  }

  /** Gives back what a lowered budget does not cover, leases what is needed, reads the row: one transaction. */
  async function leased(purse: Purse, amount: number): Promise<void> {
    const { id, max } = purse
    lapse()
    // Nobody may give out meanwhile what goes back.
    if (purse.stale) purse.lease = purse.reserved + purse.spent
    const base = Math.max(0, purse.lease)
    const need = Math.max(0, amount - Math.max(0, base - purse.reserved - purse.spent))
    // What is written from now on must be looked at again.
    purse.stale = false
    const duration = purse.duration ?? null
    const step = Math.max(1, amount)
    // Alone, a quarter of what is left at a time, so that a crash does not hold up the rest. With others a few
    // reservations while plenty is left, whole ones, so that no crumbs lie about; near the limit just the one.
    const alone = nodes <= 1
    const tight = !alone && (!purse.seen || amount <= 0 || purse.tightUntil > mono())
    const statements = leaseStatements(db, node, {
      account: id,
      max,
      duration,
      resetsAt: duration === null ? null : nextReset(duration, { ...clock, now: now() }),
      base,
      need,
      share: alone ? 4 : 4 * nodes,
      step: alone ? 1 : step,
      cap: alone ? max : tight ? need : 16 * step,
    })
    try {
      const row = readLease((await db.batch(statements)).at(-1)?.rows ?? [])
      purse.seen = { spend: row.spend, leased: row.leased, resetsAt: row.resetsAt }
      purse.lease = row.mine
    } catch (cause) {
      // It may have been written all the same: the next flush, or the next who asks, says what we hold.
      purse.stale = true
      disturb(purse)
      throw cause
    }
  }

  const disturb = (purse: Purse): void => {
    purse.dirty = true
    restless.add(purse)
  }

  /** A period has ended. What was spent in it is written first; one process writes the new one. */
  async function rollOver(purse: Purse): Promise<void> {
    await flush()
    await resetAccount(db, purse.id, purse.duration, { ...clock, now: now() })
    if (purse.seen) purse.seen.resetsAt = null
    purse.stale = true
  }

  /** Asks the others for what they hold idle. False: there is nothing to wait for. */
  async function recall(purse: Purse, need: Need): Promise<boolean> {
    const { id, seen } = purse
    if (!seen || seen.leased <= purse.lease || purse.tightUntil > mono()) return false
    purse.tightUntil = mono() + tightMs
    restless.add(purse)
    const seq = await store.announce('recall', id)
    const end = mono() + recallMs
    do {
      await sleep(recallStepMs)
      const alive = others()
      const open =
        alive.length === 0
          ? []
          : await db.query
              .selectFrom('lease')
              .select('node')
              .where('account', '=', id)
              .where('node', 'in', alive)
              .where('recalled', '<', seq)
              .where('amount', '>', 0)
              .execute()
      await ask(purse, need.amount)
      if (idle(purse) >= need.amount) return true
      if (open.length === 0) break
    } while (mono() < end)
    return true
  }

  /** What goes back with a flush. */
  function backOf(purse: Purse, at: number): number {
    const wanted = closing || purse.leaving || purse.stale
    const tight = purse.tightUntil > at || purse.recall > purse.answered
    return wanted || tight || unused(purse, at) ? Math.max(0, idle(purse)) : 0
  }
  const unused = ({ usedAt }: Purse, at: number): boolean => nodes > 1 && at - usedAt > tightMs

  /** Nothing has to be done for it now, nor soon. */
  const calm = (purse: Purse, at: number): boolean =>
    !purse.dirty &&
    !purse.leaving &&
    purse.recall <= purse.answered &&
    purse.tightUntil <= at &&
    backOf(purse, at) === 0

  /** Looks for leases that nobody has used lately, once a second. */
  function sweep(at: number): void {
    if (at - sweptAt < 1000) return
    sweptAt = at
    if (nodes > 1)
      for (const purse of purses.values())
        if (unused(purse, at) && idle(purse) > 0) restless.add(purse)
  }

  /** Everything a flush touches is nobody else's until it has ended. */
  async function takeFlush(spent: ReadonlyMap<string, number>): Promise<Flush> {
    const at = mono()
    sweep(at)
    const of = new Set<Purse>()
    for (const account of spent.keys()) {
      const purse = purses.get(account)
      if (purse) of.add(purse)
    }
    let more = 0
    for (const purse of restless) {
      if (calm(purse, at)) restless.delete(purse)
      else if (++more <= leavingMax) of.add(purse)
    }
    const ended = Promise.withResolvers<void>()
    const turns = [...of].map(({ turn }) => turn)
    for (const purse of of) purse.turn = ended.promise
    await Promise.all(turns)
    const held = [...of].map((purse) => {
      const amount = spent.get(purse.id) ?? 0
      const back = backOf(purse, at)
      // Nobody may give out what is on its way back.
      purse.lease -= back
      const used = Math.max(0, Math.min(amount, purse.lease))
      return { purse, amount, back, used, recall: purse.recall }
    })
    const settle = (): void => {
      for (const { purse, amount, used } of held) {
        purse.spent -= amount
        purse.lease -= used
      }
      // One that was made meanwhile began with all that was unwritten, this included.
      for (const [account, amount] of spent) {
        const purse = purses.get(account)
        if (!purse || of.has(purse)) continue
        purse.spent -= amount
        purse.lease -= Math.max(0, Math.min(amount, purse.lease))
        disturb(purse)
      }
    }
    return {
      statements: settleStatements(
        db,
        node,
        spent,
        held.map(({ purse, used, recall }) => ({
          account: purse.id,
          amount: Math.max(0, purse.lease - used),
          busy: purse.reserved,
          recalled: recall,
        })),
      ),
      done() {
        settle()
        for (const { purse, amount, back, used, recall } of held) {
          purse.answered = Math.max(purse.answered, recall)
          purse.dirty = false
          if (purse.seen) {
            purse.seen.spend += amount
            purse.seen.leased -= used + back
          }
          if (purse.leaving && purse.lease === 0 && purse.spent === 0 && purse.waiting === 0)
            drop(purse)
        }
        if (purses.size < pursesMax) evictAt = pursesMax
        ended.resolve()
      },
      failed() {
        // What was to go back stays out: it may have gone. The row is said anew with the next flush.
        for (const { purse } of held) disturb(purse)
        ended.resolve()
        return {
          known: (written) => {
            if (written) settle()
          },
        }
      },
    }
  }

  return {
    reserve(asks, need) {
      if (asks.length === 0 || need.amount <= 0) return take([], need)
      const of = asks.map(purseOf)
      if (lapse()) {
        for (const purse of of) purse.stale = true
        return reserveSlowly(of, need)
      }
      for (const purse of of) if (!ready(purse, need)) return reserveSlowly(of, need)
      return take(of, need)
    },
    spend(account, nanoDollars) {
      const purse = purses.get(account)
      if (purse) purse.spent += nanoDollars
    },
    pending() {
      sweep(mono())
      return restless.size > 0
    },
    takeFlush,
    recalled(account, seq) {
      const purse = purses.get(account)
      if (!purse) return
      purse.recall = Math.max(purse.recall, seq)
      purse.tightUntil = mono() + tightMs
      restless.add(purse)
    },
    forget(account) {
      const beside = `${account}|`
      for (const [id, purse] of purses)
        if (id === account || id.startsWith(beside)) purse.stale = true
    },
    forgetAll() {
      for (const purse of purses.values()) purse.stale = true
    },
    setNodes(count) {
      nodes = count
    },
    heardAt(instant) {
      // What lapsed meanwhile is looked at again before anything of it is given out.
      lapse()
      heard = instant
      heardWall = now()
      lapsed = false
    },
    giveBackAll() {
      closing = true
      for (const purse of purses.values()) restless.add(purse)
    },
  }
}

/** Rejects with `isAway` where the database takes too long. What was asked goes on by itself. */
function within(work: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(away(new Error(`no answer within ${askMs} ms`), 'does not answer')),
      askMs,
    )
    work.then(() => resolve(), reject).finally(() => clearTimeout(timer))
  })
}
