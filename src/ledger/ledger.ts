import type { Usage } from '../chat/chat.ts'
import type { FaultKind } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import type { Units } from '../provider/cost.ts'

/** What one request was, written once, when it has ended. Spend, logs and metrics read only this. */
export type Entry = {
  /** The call's own id, as the header tells it. */
  requestId: string
  /** The answer's id, which LiteLLM's spend rows are found by; absent where there was no answer with one. */
  answerId?: string | undefined
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
  /** What it used besides tokens: images, seconds, characters, pages; absent where that is nothing. */
  units?: Units | undefined
  nanoDollars: number
  /** False when the catalogue has no price for the model: then it was free, and somebody should know. */
  priced: boolean
  retries: number
  fallbacks: number
  fault: FaultKind | undefined
  status: number
  /** What was wrong, in the words the client saw. */
  error?: string | undefined
  /** What `open` returned for it. */
  opened?: number | undefined
  /** Who pays, and what is kept with the row; absent where nobody was asked who they are. */
  payer?: Payer | undefined
  /** JSON of the prompt and its answer, where an operator wants them kept. Not in the journal: a crash may lose it. */
  payload?: string | undefined
}

/** Whose request it was. Names are ids of LiteLLM's API. */
export type Payer = {
  /** Accounts the spend is added to. */
  accounts: readonly string[]
  userId?: string | undefined
  teamId?: string | undefined
  organizationId?: string | undefined
  projectId?: string | undefined
  customerId?: string | undefined
  tags?: readonly string[] | undefined
  keyAlias?: string | undefined
  teamAlias?: string | undefined
  sessionId?: string | undefined
  ip?: string | undefined
  userAgent?: string | undefined
  /** `metadata` of the request, as far as it is kept with rows. */
  metadata?: JsonObject | undefined
  /** Answered from the cache. */
  cached?: boolean | undefined
}

export type Sink = (entry: Entry) => void
/** What keeps entries over a crash. */
export type Keeper = {
  open(opening: Opening): number
  record(entry: Entry): void
  written(): Promise<void> | undefined
}

export type Ledger = {
  /**
   * Before the provider is called: what is known so far, should the process not live to settle it. Returns what the
   * entry says in `opened`.
   */
  open?(opening: Opening): number
  /** Resolves when what was recorded so far outlives this process; undefined: it does already. */
  record(entry: Entry): Promise<void> | undefined
  totals(): Totals
}

/** An entry that has begun. `nanoDollars` is what its input costs. */
export type Opening = Pick<
  Entry,
  'requestId' | 'startedAt' | 'operation' | 'keyId' | 'model' | 'stream' | 'payer'
> & {
  nanoDollars: number
  /** What has been written of the answer so far, cheaply estimated; absent while there is none. */
  soFar?: () => { tokens: number; nanoDollars: number } | undefined
}

/** Since the start of the process. */
export type Totals = { requests: number; failures: number; nanoDollars: number; unpriced: number }

/** A sink that throws loses its own record, never the request. */
export function createLedger(
  sinks: readonly Sink[],
  onError: (cause: unknown) => void,
  keeper?: Keeper,
): Ledger {
  const totals: Totals = { requests: 0, failures: 0, nanoDollars: 0, unpriced: 0 }
  return {
    ...(keeper && { open: keeper.open }),
    record(entry) {
      totals.requests++
      if (entry.fault) totals.failures++
      totals.nanoDollars += entry.nanoDollars
      if (!entry.priced && !entry.fault) totals.unpriced++
      keeper?.record(entry)
      for (const sink of sinks) {
        try {
          sink(entry)
        } catch (cause) {
          onError(cause)
        }
      }
      return keeper?.written()
    },
    totals: () => ({ ...totals }),
  }
}
