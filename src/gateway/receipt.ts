import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { text } from '../json/json.ts'
import type { Entry, Ledger, Opening } from '../ledger/ledger.ts'
import type { Pass } from '../policy/admit.ts'
import { costOf, priceOf, tierOf, type Units } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Routed } from '../router/router.ts'
import type { Keep, Said } from './payload.ts'

export type ReceiptDeps = { ledger: Ledger; now(): number }

/** What one request learns about itself on the way through. Settled once, when it has ended, however it ended. */
export type Receipt = {
  readonly requestId: string
  readonly startedAt: number
  keyId: string
  model: string
  group: string
  stream: boolean
  deployment: Deployment | undefined
  retries: number
  fallbacks: number
  serviceTier: string | undefined
  firstByteAt: number | undefined
  usage: Usage
  /** What it used that is not counted in tokens. */
  units: Units | undefined
  status: number
  /** What lets it in and is given back when it ends; absent before it is in, and where nothing is counted. */
  pass: Pass | undefined
  /** Tells the router what the answer came to, where its strategy asks. */
  measured: Routed<unknown>['measured']
  /** The answer's own id, where it has one. */
  answerId: string | undefined
  /** What has been written of a stream so far, as text; absent while there is none. */
  written: (() => string) | undefined
  /** What is kept of prompt and answer; absent where nothing is. */
  keep: Keep | undefined
  /** What was answered, for `keep`. */
  said: Said | undefined
  /** Tells the ledger that it begins, should the process not live to settle it. */
  open(): void
  /** What it costs so far, in nano-dollars. */
  cost(): { nanoDollars: number; priced: boolean }
  /** Whatever was thrown, noted and as the error to answer with. */
  failed(cause: unknown): GatewayError
  /** Resolves when what it was outlives this process; undefined: it does already. An answer's last byte waits for it. */
  settle(): Promise<void> | undefined
}

export const openReceipt = (deps: ReceiptDeps, operation: string, requestId: string): Receipt =>
  new OpenReceipt(deps, operation, requestId)

/** A class, since every request has one: its functions as closures would be 400 bytes more. */
class OpenReceipt implements Receipt {
  readonly requestId: string
  readonly startedAt: number
  keyId = ''
  model = ''
  group = ''
  stream = false
  deployment: Deployment | undefined
  retries = 0
  fallbacks = 0
  serviceTier: string | undefined
  firstByteAt: number | undefined
  usage = noUsage
  units: Units | undefined
  status = 200
  pass: Pass | undefined
  measured: Receipt['measured']
  answerId: string | undefined
  written: Receipt['written']
  keep: Keep | undefined
  said: Said | undefined
  readonly #deps: ReceiptDeps
  readonly #operation: string
  #fault: Entry['fault']
  #wrong: string | undefined
  #opened: number | undefined
  #settled = false
  #cost: ReturnType<Receipt['cost']> | undefined
  #costUsage: Usage | undefined
  #costUnits: Units | undefined

  constructor(deps: ReceiptDeps, operation: string, requestId: string) {
    this.requestId = requestId
    this.startedAt = deps.now()
    this.#deps = deps
    this.#operation = operation
  }

  open(): void {
    const { requestId, startedAt, keyId, model, stream, pass } = this
    const { ledger } = this.#deps
    if (!ledger.open || !pass) return
    const opening: Opening = {
      requestId,
      startedAt,
      operation: this.#operation,
      keyId,
      model,
      stream,
      payer: pass.payer(),
      nanoDollars: pass.inputCost,
    }
    if (stream) opening.soFar = () => soFar(this)
    this.#opened = ledger.open(opening)
  }

  cost(): ReturnType<Receipt['cost']> {
    const { usage, units } = this
    // Asked for by the answer's head and by the ledger: worked out once for the same usage.
    if (this.#cost && this.#costUsage === usage && this.#costUnits === units) return this.#cost
    this.#costUsage = usage
    this.#costUnits = units
    this.#cost = price(this)
    return this.#cost
  }

  failed(cause: unknown): GatewayError {
    const error = GatewayError.from(cause)
    this.#fault = error.kind
    this.#wrong = error.message
    this.status = error.status
    return error
  }

  settle(): Promise<void> | undefined {
    if (this.#settled) return undefined
    this.#settled = true
    const { deployment, usage, units, keep, pass } = this
    const { nanoDollars, priced } = this.cost()
    const entry: Entry = {
      requestId: this.requestId,
      startedAt: this.startedAt,
      firstByteAt: this.firstByteAt,
      endedAt: this.#deps.now(),
      operation: this.#operation,
      keyId: this.keyId,
      model: this.model,
      group: this.group,
      deploymentId: deployment?.id,
      provider: deployment?.provider,
      upstreamModel: deployment?.target.model,
      stream: this.stream,
      usage,
      nanoDollars,
      priced,
      retries: this.retries,
      fallbacks: this.fallbacks,
      fault: this.#fault,
      status: this.status,
      answerId: this.answerId,
      error: this.#wrong,
      opened: this.#opened,
      payer: pass?.payer(),
    }
    // Not as spreads: what follows a spread in a literal grows the object field by field, 300 bytes an entry.
    if (units) entry.units = units
    if (keep) entry.payload = keep(this.said)
    const written = this.#deps.ledger.record(entry)
    this.measured?.({ input: inputTokens(usage), output: outputTokens(usage) })
    // After it has been recorded: in between, the money would be there twice.
    pass?.release(usage, this.#fault !== undefined)
    return written
  }
}

function price({
  deployment,
  usage,
  units,
  serviceTier,
  startedAt,
}: Receipt): ReturnType<Receipt['cost']> {
  if (!deployment) return { nanoDollars: 0, priced: true }
  const tier = tierOf(serviceTier, text(usage.raw?.['service_tier']))
  const { info, price: usual, priceOptions } = deployment
  const list = tier === undefined ? usual : priceOf(info, { ...priceOptions, serviceTier: tier })
  return costOf(usage, list, { at: startedAt, units })
}

/** About four characters make a token: good enough for what a crash leaves behind. */
function soFar(receipt: Receipt): { tokens: number; nanoDollars: number } | undefined {
  const { written, deployment } = receipt
  if (!written || !deployment) return undefined
  const tokens = Math.ceil(written().length / 4)
  const { nanoDollars } = costOf({ ...noUsage, output: tokens }, deployment.price, {
    at: receipt.startedAt,
  })
  return { tokens, nanoDollars }
}

/** Nano-dollars as dollars without an exponent: `0.0000123`. */
export function dollars(nanoDollars: number): string {
  if (!Number.isFinite(nanoDollars)) return '0'
  const all = Math.round(nanoDollars)
  const amount = Math.abs(all)
  let rest = amount % billion
  // A remainder is exact however large the amount is; beyond what is counted exactly the difference is not.
  const whole =
    amount <= Number.MAX_SAFE_INTEGER ? (amount - rest) / billion : BigInt(amount) / 1_000_000_000n
  const sign = all < 0 ? '-' : ''
  if (rest === 0) return `${sign}${whole}`
  let places = 9
  while (rest % 10 === 0) {
    rest /= 10
    places--
  }
  // A one in front keeps the zeros.
  return `${sign}${whole}.${String(10 ** places + rest).slice(1)}`
}
const billion = 1_000_000_000
