import type { Usage } from '../chat/chat.ts'
import type { FaultKind } from '../errors.ts'

/** What one request was, written once, when it has ended. Spend, logs and metrics read only this. */
export type Entry = {
  requestId: string
  /** Milliseconds since the epoch. */
  startedAt: number
  firstByteAt: number | undefined
  endedAt: number
  /** Which operation: `chat`. */
  operation: string
  keyId: string
  /** The public name asked for. */
  model: string
  /** The group that answered, after aliases and fallbacks. */
  group: string
  deploymentId: string | undefined
  provider: string | undefined
  upstreamModel: string | undefined
  stream: boolean
  usage: Usage
  nanoDollars: number
  /** False when the catalogue has no price for the model: then it was free, and somebody should know. */
  priced: boolean
  retries: number
  fallbacks: number
  fault: FaultKind | undefined
  status: number
}

export type Sink = (entry: Entry) => void

export type Ledger = { record(entry: Entry): void; totals(): Totals }
/** Since the start of the process. */
export type Totals = { requests: number; failures: number; nanoDollars: number; unpriced: number }

/** A sink that throws loses its own record, never the request. */
export function createLedger(sinks: readonly Sink[], onError: (cause: unknown) => void): Ledger {
  const totals: Totals = { requests: 0, failures: 0, nanoDollars: 0, unpriced: 0 }
  return {
    record(entry) {
      totals.requests++
      if (entry.fault) totals.failures++
      totals.nanoDollars += entry.nanoDollars
      if (!entry.priced && !entry.fault) totals.unpriced++
      for (const sink of sinks) {
        try {
          sink(entry)
        } catch (cause) {
          onError(cause)
        }
      }
    },
    totals: () => ({ ...totals }),
  }
}
