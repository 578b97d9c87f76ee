import { type OperationAnswer, operate, wayOf } from '../call/operate.ts'
import type { Limits } from '../call/transport.ts'
import { isObject, type JsonObject, number, text } from '../json/json.ts'
import type { Entry, Payer } from '../ledger/ledger.ts'
import type { Deployment } from '../provider/deployment.ts'
import { createResource } from '../wire/media/resource.ts'
import { heardOf } from './operation.ts'
import type { Rooms } from './rooms.ts'

/**
 * What will be paid for when a provider is through with it (batches.ts, jobs.ts): until then a note on the shelf says who
 * owes. Whoever takes the note away settles it.
 */
export type Owed = {
  deploymentId: string
  keyId: string
  model: string
  group: string
  /** Milliseconds since the epoch. */
  madeAt: number
  payer?: Payer
}

/** What every note has, as it was written here. */
export const owedIn = (note: JsonObject): Omit<Owed, 'deploymentId'> => ({
  keyId: text(note['keyId']) ?? '',
  model: text(note['model']) ?? '',
  group: text(note['group']) ?? '',
  madeAt: number(note['madeAt']) ?? 0,
  ...(isObject(note['payer']) && { payer: note['payer'] as unknown as Payer }),
})

/** Of a row that is gone nothing can be asked; its note stays until it is swept, should the row come back. */
export function keeperOf(
  { deploymentId }: Owed,
  operation: string,
  { router, provider }: Rooms,
): Deployment | undefined {
  const named = /^provider:(.+)$/.exec(deploymentId)?.[1]
  return named === undefined
    ? router.groups.all().find(({ id }) => id === deploymentId)
    : provider(named, operation)
}

/** Asks whoever keeps it. `live`: what is told is passed on as it comes. */
export function askKeeper(
  to: Deployment,
  owed: Owed,
  asked: { id: string; path: string; live: boolean; requestId: string; wholeMs: number },
  rooms: Rooms,
): Promise<OperationAnswer> {
  const { id, path, live, requestId, wholeMs } = asked
  const operation = createResource({ id, method: 'GET', path, query: '', live, model: false })
  const model = owed.model || to.target.model
  const context = {
    model: owed.group || model,
    requestId,
    created: Math.floor(owed.madeAt / 1000),
  }
  const limits: Limits = { firstByteMs: waitMs, idleMs: waitMs }
  return operate(
    operation,
    wayOf(to, operation),
    {
      said: heardOf({}, model, operation),
      upload: undefined,
      context: { ...context, owner: owed.keyId },
      check() {},
    },
    to,
    {
      remove: [],
      dropParams: false,
      headers: {},
      dialectHeaders: {},
      context: { ...context, streamUsage: false, choices: 1 },
    },
    rooms.calls,
    { signal: AbortSignal.timeout(wholeMs), limits },
  )
}
const waitMs = 60_000

/** What the ledger is told of everything that is settled so. */
export const settledBy = (
  { keyId, model, group, payer }: Owed,
  { id, provider }: Deployment,
): Pick<
  Entry,
  | 'keyId'
  | 'model'
  | 'group'
  | 'deploymentId'
  | 'provider'
  | 'payer'
  | 'firstByteAt'
  | 'stream'
  | 'retries'
  | 'fallbacks'
  | 'fault'
  | 'status'
> => ({
  firstByteAt: undefined,
  keyId,
  model,
  group,
  deploymentId: id,
  provider,
  stream: false,
  retries: 0,
  fallbacks: 0,
  fault: undefined,
  status: 200,
  payer,
})

/** Looks again and again, never at once with itself; the returned function ends it. */
export function lookAgain(look: () => Promise<void>, everyMs: number): () => void {
  let running = false
  const timer = setInterval(() => {
    if (running) return
    running = true
    void look().finally(() => {
      running = false
    })
  }, everyMs)
  if (typeof timer === 'object') timer.unref?.()
  return () => clearInterval(timer)
}
