/** What is done about a worker that has ended and should not have: it is started anew after a while, or all is ended. */
export type Verdict = { type: 'again'; afterMs: number } | { type: 'enough' }

export type Death = {
  /** How long it had served; undefined: it never got so far. */
  servedMs: number | undefined
  /** It said itself why it could not start: the config has become wrong, the database is away. */
  refused: boolean
  othersServe: boolean
}

/**
 * Of one worker. Soon after a death it is tried again, ever later while it keeps dying; who dies at once so many times in a
 * row will do so again. One that says why it cannot start harms nobody who serves already: they are not ended for it.
 */
export function createRestarts(): { died(death: Death): Verdict } {
  let quick = 0
  let refusals = 0
  return {
    died({ servedMs, refused, othersServe }) {
      if (refused && othersServe)
        return { type: 'again', afterMs: Math.min(refusedMs * 2 ** refusals++, longestMs) }
      refusals = 0
      if (servedMs !== undefined && servedMs >= quickMs) quick = 0
      else if (++quick >= quickMax) return { type: 'enough' }
      return { type: 'again', afterMs: firstMs * 2 ** Math.max(quick - 1, 0) }
    },
  }
}

/** Who served for so long did not die of its start. */
export const quickMs = 10_000
export const quickMax = 5
const firstMs = 100
const refusedMs = 1000
const longestMs = 30_000
