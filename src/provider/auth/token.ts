import { GatewayError } from '../../errors.ts'

/** What a token endpoint gave: the token, or whatever is made of it, and when it ends (milliseconds since 1970). */
export type Fetched<T> = { value: T; expiresAt: number }

export interface TokenCache<T> {
  /**
   * A value that is valid now: at once when one is at hand, else when it has been fetched. `key` must hold everything
   * the value depends on, whole: a shortened key would hand one identity's token to another.
   */
  get(key: string, fetch: () => Promise<Fetched<T>>): T | Promise<T>
}

export type TokenCacheOptions = {
  now: () => number
  /** A token is renewed this long before its end, or when a tenth of its life is left, whichever is later. */
  earlyMs?: number
  /** How long a failure is remembered. Renewals of a token that still serves wait longer each time. */
  errorMs?: number
  entriesMax?: number
}

/**
 * Keeps tokens until shortly before they end. Callers that come together share one fetch; a renewal runs beside the
 * requests, which go on with the old token; a token is never handed out after its end.
 */
export function createTokenCache<T>({
  now,
  earlyMs = 5 * 60_000,
  errorMs = 1000,
  entriesMax = 1000,
}: TokenCacheOptions): TokenCache<T> {
  const entries = new Map<string, Entry<T>>()

  function entryOf(key: string): Entry<T> {
    const known = entries.get(key)
    if (known) return known
    if (entries.size >= entriesMax) {
      const oldest = entries.keys().next()
      if (!oldest.done) entries.delete(oldest.value)
    }
    const entry: Entry<T> = { held: undefined, pending: undefined, failed: undefined }
    entries.set(key, entry)
    return entry
  }

  /** Now the youngest, so the entry that goes first is the one nobody has renewed for longest. */
  function renewed(key: string, entry: Entry<T>): void {
    if (entries.get(key) !== entry) return
    entries.delete(key)
    entries.set(key, entry)
  }

  function begin(key: string, entry: Entry<T>, fetch: () => Promise<Fetched<T>>): Promise<T> {
    const run = async (): Promise<T> => {
      try {
        const { value, expiresAt } = await fetch()
        entry.held = hold(value, expiresAt, now(), earlyMs)
        entry.failed = undefined
        renewed(key, entry)
        return value
      } catch (cause) {
        const at = now()
        const waitMs = Math.min(entry.failed ? entry.failed.waitMs * 2 : errorMs, waitMsMax)
        entry.failed = { error: GatewayError.from(cause), at, waitMs }
        throw entry.failed.error
      } finally {
        entry.pending = undefined
      }
    }
    // Set before anything is awaited, so the next caller finds it.
    const pending = Promise.resolve().then(run)
    entry.pending = pending
    return pending
  }

  return {
    get(key, fetch) {
      const at = now()
      const entry = entryOf(key)
      const { held, failed } = entry
      if (held && serves(held, at)) {
        if (at >= held.renewAt && !entry.pending && !(failed && rests(failed, at, failed.waitMs)))
          begin(key, entry, fetch).catch(() => undefined) // remembered in `failed`; the old token still serves
        return held.value
      }
      if (entry.pending) return entry.pending
      if (failed && rests(failed, at, Math.min(failed.waitMs, errorMs)))
        return Promise.reject(failed.error)
      return begin(key, entry, fetch)
    },
  }
}

type Entry<T> = {
  held: Held<T> | undefined
  pending: Promise<T> | undefined
  failed: Failed | undefined
}
type Held<T> = { value: T; from: number; renewAt: number; until: number }
type Failed = { error: GatewayError; at: number; waitMs: number }

function hold<T>(value: T, expiresAt: number, at: number, earlyMs: number): Held<T> {
  const life = expiresAt - at
  if (!(life > 0))
    throw new GatewayError(
      'authentication',
      'the credential that was fetched has already expired: check the clock of this machine',
    )
  return {
    value,
    from: at,
    renewAt: expiresAt - Math.min(earlyMs, life / 10),
    // It has to be valid still when the request arrives.
    until: expiresAt - Math.min(arrivalMs, life / 20),
  }
}

/** A clock that was set back makes a token look younger than it is. */
const serves = ({ from, until }: Held<unknown>, at: number): boolean =>
  at < until && at >= from - arrivalMs
const rests = ({ at: failedAt }: Failed, at: number, forMs: number): boolean =>
  at >= failedAt && at < failedAt + forMs

const arrivalMs = 10_000
const waitMsMax = 30_000
