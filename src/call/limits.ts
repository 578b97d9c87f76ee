import { GatewayError } from '../errors.ts'
import type { Limits } from './transport.ts'

/** Tells an exchange when one of its limits has passed. One timer at most, none where no limit is set. */
export type Watch = {
  /** Waiting for a connection, no longer than so; 0 is for ever. */
  connecting(ms: number): void
  /** The request is on its way: the answer's head is awaited. */
  sent(): void
  /** Bytes of the answer have come; the next ones are awaited. */
  read(): void
  /** Nobody is reading, so the upstream cannot be blamed for its silence. */
  hold(): void
  stop(): void
}

/**
 * A timer that is due late enough stays as it is and looks again when it fires: reading a chunk costs one look at
 * the clock, not a timer.
 */
export function watchLimits(
  limits: Limits,
  since: number,
  late: Late,
  clock: Clock = usual,
): Watch {
  return new Stopwatch(limits, since, late, clock)
}

export type Clock = {
  /**
   * Runs its argument after bytes that have already arrived were read, so that a busy process does not take its own
   * slowness for the upstream's.
   */
  later(check: () => void): void
  /** Where those wait whose limits are further away than `farMs`. Absent: each has a timer for that too. */
  far?: Far
}
/** Looks at each of them often enough that none comes nearer than `farMs` and passes unseen. */
export type Far = { add(one: Patient): void; remove(one: Patient): void }
export type Patient = { look(): void }
export const farMs = 10_000

const usual: Clock = { later: (check) => setTimeout(check) }

/** Is told when a limit has passed. */
type Late = { refuse(error: GatewayError): unknown }

/** A class, since every request has one: its functions as closures would be 600 bytes more. */
class Stopwatch implements Watch, Patient {
  readonly #limits: Limits
  readonly #late: Late
  readonly #clock: Clock
  readonly #total: number
  #wait: Wait | undefined
  #waitMs = 0
  #ends = Number.POSITIVE_INFINITY
  #timer: ReturnType<typeof setTimeout> | undefined
  #due = Number.POSITIVE_INFINITY
  #isFar = false
  #stopped = false

  constructor(limits: Limits, since: number, late: Late, clock: Clock) {
    this.#limits = limits
    this.#late = late
    this.#clock = clock
    this.#total = limits.totalMs ? since + limits.totalMs : Number.POSITIVE_INFINITY
    if (this.#total < Number.POSITIVE_INFINITY) this.#arm(performance.now())
  }
  connecting(ms: number): void {
    this.#expect('connectMs', ms)
  }
  sent(): void {
    this.#expect('firstByteMs', this.#limits.firstByteMs)
  }
  read(): void {
    this.#expect('idleMs', this.#limits.idleMs)
  }
  hold(): void {
    this.#expect(undefined, undefined)
  }
  stop(): void {
    this.#stopped = true
    if (this.#isFar) this.#clock.far?.remove(this)
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #expect(next: Wait | undefined, ms: number | undefined): void {
    if (this.#stopped) return
    this.#wait = next
    if (!ms) {
      this.#ends = Number.POSITIVE_INFINITY
      return
    }
    this.#waitMs = ms
    const now = performance.now()
    this.#ends = now + ms
    this.#arm(now)
  }
  #arm(now: number): void {
    const at = this.#ends < this.#total ? this.#ends : this.#total
    if (at >= this.#due) return
    const { far } = this.#clock
    if (far && at - now > farMs) {
      if (!this.#isFar) far.add(this)
      this.#isFar = true
      return
    }
    clearTimeout(this.#timer)
    this.#due = at
    const ms = Math.max(Math.ceil(at - now), 1)
    this.#timer = setTimeout(
      // Not as an argument: a timer that was cleared lets go of its function and not of its arguments.
      () => {
        this.#due = Number.POSITIVE_INFINITY
        this.look()
      },
      Math.min(ms > farMs ? Math.ceil(ms / 1000) * 1000 : ms, timerMsMax),
    )
  }
  look(): void {
    const now = performance.now()
    if (now < Math.min(this.#ends, this.#total)) this.#arm(now)
    else this.#clock.later(() => this.#judge())
  }
  #judge(): void {
    if (this.#stopped) return
    const now = performance.now()
    if (now >= this.#ends && this.#wait) this.#late.refuse(timeout(this.#wait, this.#waitMs))
    else if (now >= this.#total) this.#late.refuse(timeout('totalMs', this.#limits.totalMs))
    else this.#arm(now)
  }
}

type Wait = 'connectMs' | 'firstByteMs' | 'idleMs'

function timeout(limit: keyof Limits, ms: number | undefined): GatewayError {
  return new GatewayError('timeout', `Timeout: ${texts[limit](ms ?? 0)}`, { status: 408 })
}

const texts: Record<keyof Limits, (ms: number) => string> = {
  connectMs: (ms) => `no connection to the upstream within ${ms} ms (connect limit)`,
  firstByteMs: (ms) => `the upstream did not begin to answer within ${ms} ms (first byte limit)`,
  idleMs: (ms) => `the upstream sent nothing for ${ms} ms (idle limit)`,
  totalMs: (ms) => `the upstream's answer was not complete within ${ms} ms (total limit)`,
}

/**
 * What a timer can hold; a longer wait is looked at again. Long ones are rounded up to seconds, because Node keeps a
 * list for each length of time, and making one costs more than a timer.
 */
const timerMsMax = 2 ** 31 - 1
