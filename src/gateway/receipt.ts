import { noUsage, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { text } from '../json/json.ts'
import type { Entry, Ledger } from '../ledger/ledger.ts'
import { costOf, priceOf, tierOf } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'

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
  status: number
  /** What it costs so far, in nano-dollars. */
  cost(): { nanoDollars: number; priced: boolean }
  /** Whatever was thrown, noted and as the error to answer with. */
  failed(cause: unknown): GatewayError
  settle(): void
}

export function openReceipt(deps: ReceiptDeps, operation: string, requestId: string): Receipt {
  const startedAt = deps.now()
  let fault: Entry['fault']
  let settled = false
  let costed: { usage: Usage; cost: ReturnType<Receipt['cost']> } | undefined
  const receipt: Receipt = {
    requestId,
    startedAt,
    keyId: '',
    model: '',
    group: '',
    stream: false,
    deployment: undefined,
    retries: 0,
    fallbacks: 0,
    serviceTier: undefined,
    firstByteAt: undefined,
    usage: noUsage,
    status: 200,
    cost() {
      const { usage } = receipt
      // Asked for by the answer's head and by the ledger: worked out once for the same usage.
      if (costed?.usage !== usage) costed = { usage, cost: price(receipt) }
      return costed.cost
    },
    failed(cause) {
      const error = GatewayError.from(cause)
      fault = error.kind
      receipt.status = error.status
      return error
    },
    settle() {
      if (settled) return
      settled = true
      const { deployment } = receipt
      const { nanoDollars, priced } = receipt.cost()
      deps.ledger.record({
        requestId,
        startedAt,
        firstByteAt: receipt.firstByteAt,
        endedAt: deps.now(),
        operation,
        keyId: receipt.keyId,
        model: receipt.model,
        group: receipt.group,
        deploymentId: deployment?.id,
        provider: deployment?.provider,
        upstreamModel: deployment?.target.model,
        stream: receipt.stream,
        usage: receipt.usage,
        nanoDollars,
        priced,
        retries: receipt.retries,
        fallbacks: receipt.fallbacks,
        fault,
        status: receipt.status,
      })
    },
  }
  return receipt
}

function price({
  deployment,
  usage,
  serviceTier,
  startedAt,
}: Receipt): ReturnType<Receipt['cost']> {
  if (!deployment) return { nanoDollars: 0, priced: true }
  const tier = tierOf(serviceTier, text(usage.raw?.['service_tier']))
  const { info, price: usual, priceOptions } = deployment
  const list = tier === undefined ? usual : priceOf(info, { ...priceOptions, serviceTier: tier })
  return costOf(usage, list, { at: startedAt })
}

/** Nano-dollars as dollars without an exponent: `0.0000123`. */
export function dollars(nanoDollars: number): string {
  if (!Number.isFinite(nanoDollars)) return '0'
  const all = BigInt(Math.round(nanoDollars))
  const [sign, amount] = all < 0n ? ['-', -all] : ['', all]
  const rest = String(amount % billion)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${sign}${amount / billion}${rest === '' ? '' : `.${rest}`}`
}
const billion = 1_000_000_000n
