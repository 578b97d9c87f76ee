import { GatewayError } from '../errors.ts'
import { resetAccount } from '../store/accounts.ts'
import { isAway } from '../store/db.ts'
import { nextReset } from '../store/durations.ts'
import { leaseStatements, readLease, settleStatements } from './lease.ts'
import {
  type Ask,
  type Flush,
  type Need,
  type Purse,
  type PurseOptions,
  type Purses,
  type Refused,
  type Reserved,
  within,
} from './purse.ts'

const tightMs = 5000
const recallMs = 1500
const recallStepMs = 25
/** The others are asked again for the same after this long. */
const recallAgainMs = 200
const pursesMax = 20_000
const leavingMax = 2000
const roundsMax = 100
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

  function purseOf({ account, max, duration }: Ask, at: number): Purse {
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
        recalledAt: Number.NEGATIVE_INFINITY,
        recall: 0,
        answered: 0,
        turn: Promise.resolve(),
        waiting: 0,
        leaving: false,
        usedAt: at,
      }
      purses.set(account, purse)
    }
    if (purse.max !== max || purse.duration !== duration) {
      purse.max = max
      purse.duration = duration
      purse.stale = true
    }
    purse.usedAt = at
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
  function lapse(at = mono()): boolean {
    if (lapsed) return true
    if (at - heard < leaseMs && now() - heardWall < leaseMs) return false
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

  /** What the row has left for anybody, as it was last seen. */
  const free = ({ seen, max }: Purse): number =>
    seen ? Math.max(0, max - seen.spend - seen.leased) : 0

  /** Neither our lease nor the row has enough, and nobody else holds any of it. */
  const exhausted = (purse: Purse, { amount, short }: Need): boolean =>
    purse.seen !== undefined &&
    purse.seen.leased <= purse.lease &&
    idle(purse) + free(purse) < (short === 'clip' ? 1 : amount)

  function take(of: readonly Purse[], need: Need): Reserved {
    const held = []
    for (const purse of of) {
      const amount = Math.min(need.amount, Math.max(idle(purse), 0))
      purse.reserved += amount
      held.push({ purse, amount })
    }
    return new Hold(held)
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
      if (!lacking.stale && !due(lacking) && nodes <= 1 && exhausted(lacking, need))
        return refuse(lacking)
      await ask(lacking, need)
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
      left: Math.max(0, Math.min(idle(purse) + free(purse), max - spend)),
    }
  }

  const fits = (purse: Purse, { amount, short }: Need): boolean =>
    !purse.stale && !due(purse) && (idle(purse) >= amount || (short === 'clip' && idle(purse) > 0))

  /**
   * Leases more of one account, and learns how it stands. One asks at a time, and never beside a flush. Whoever waits for
   * a database that does not answer is told so in time.
   */
  async function ask(purse: Purse, need: Need): Promise<void> {
    if (mono() < awayUntil) throw awayCause
    const asked = due(purse) ? rollOver(purse) : inTurn(purse, () => leased(purse, need))
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
  async function leased(purse: Purse, { amount, short }: Need): Promise<void> {
    const { id, max } = purse
    lapse()
    // Nobody may give out meanwhile what goes back.
    if (purse.stale) purse.lease = purse.reserved + purse.spent
    const base = Math.max(0, purse.lease)
    // Where more was spent than was set aside, the lease has to grow by that too.
    const need = Math.max(0, amount - (base - purse.reserved - purse.spent))
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
      least: short === 'clip' ? 1 : need,
      share: alone ? 4 : 4 * nodes,
      step: alone ? 1 : step,
      cap: alone ? max : tight ? need : 16 * step,
    })
    try {
      const row = readLease((await db.batch(statements)).at(-1)?.rows ?? [])
      purse.seen = { spend: row.spend, leased: row.leased, resetsAt: row.resetsAt }
      purse.lease = row.mine
      // Near the limit what is not used goes back at once: somebody else may be able to use it.
      if (!alone && max - row.spend - row.leased < 4 * nodes * step) tighten(purse)
    } catch (cause) {
      // It may have been written all the same: the next flush, or the next who asks, says what we hold.
      purse.stale = true
      disturb(purse)
      throw cause
    }
  }

  const tighten = (purse: Purse): void => {
    purse.tightUntil = mono() + tightMs
    restless.add(purse)
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
    if (!seen || seen.leased <= purse.lease) return false
    // Whoever was asked just now has answered, or is about to.
    if (mono() - purse.recalledAt < recallAgainMs) {
      await sleep(recallAgainMs)
      await ask(purse, need)
      return true
    }
    purse.recalledAt = mono()
    tighten(purse)
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
      await ask(purse, need)
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
      const at = mono()
      const of = asks.map((ask) => purseOf(ask, at))
      if (lapse(at)) {
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
      tighten(purse)
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

/** One for each request: as a closure it was twice as large. */
class Hold implements Reserved {
  readonly ok = true
  readonly held: Reserved['held']
  #released = false

  constructor(held: Reserved['held']) {
    this.held = held
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    for (const { purse, amount } of this.held) purse.reserved -= amount
  }
}
