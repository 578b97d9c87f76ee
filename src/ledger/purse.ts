import { away, type Statement } from '../store/db.ts'
import type { Store } from '../store/store.ts'

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
export type Purse = {
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
  /** When the others were last asked for what they hold of it. */
  recalledAt: number
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

/** A request waits no longer than this for the database. */
const askMs = 5000
/** Rejects with `isAway` where the database takes too long. What was asked goes on by itself. */
export function within(work: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(away(new Error(`no answer within ${askMs} ms`), 'does not answer')),
      askMs,
    )
    work.then(() => resolve(), reject).finally(() => clearTimeout(timer))
  })
}
