import { GatewayError } from '../errors.ts'
import type { Limits } from './transport.ts'

/** Tells an exchange when one of its limits has passed. One timer at most, none where no limit is set. */
export type Watch = {
  /** Waiting for a connection. */
  connecting(): void
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
 * the clock, not a timer. `later` runs its argument after bytes that have already arrived were read, so that a busy
 * process does not take its own slowness for the upstream's.
 */
export function watchLimits(
  limits: Limits,
  since: number,
  passed: (error: GatewayError) => void,
  later: (check: () => void) => void = (check) => setTimeout(check),
): Watch {
  const total = limits.totalMs ? since + limits.totalMs : Number.POSITIVE_INFINITY
  let wait: Wait | undefined
  let ends = Number.POSITIVE_INFINITY
  let timer: ReturnType<typeof setTimeout> | undefined
  let due = Number.POSITIVE_INFINITY
  let stopped = false

  const expect = (next: Wait | undefined) => {
    if (stopped) return
    wait = next
    const ms = next && limits[next]
    ends = ms ? performance.now() + ms : Number.POSITIVE_INFINITY
    arm()
  }
  const arm = () => {
    const at = ends < total ? ends : total
    if (at >= due) return
    clearTimeout(timer)
    due = at
    const ms = Math.max(Math.ceil(at - performance.now()), 1)
    timer = setTimeout(look, Math.min(ms > 10_000 ? Math.ceil(ms / 1000) * 1000 : ms, timerMsMax))
  }
  const look = () => {
    due = Number.POSITIVE_INFINITY
    if (performance.now() < Math.min(ends, total)) arm()
    else later(judge)
  }
  const judge = () => {
    if (stopped) return
    const now = performance.now()
    if (now >= ends && wait) passed(timeout(wait, limits[wait]))
    else if (now >= total) passed(timeout('totalMs', limits.totalMs))
    else arm()
  }
  if (total < Number.POSITIVE_INFINITY) arm()
  return {
    connecting: () => expect('connectMs'),
    sent: () => expect('firstByteMs'),
    read: () => expect('idleMs'),
    hold: () => expect(undefined),
    stop() {
      stopped = true
      clearTimeout(timer)
    },
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
