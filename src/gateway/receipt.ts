import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { text } from '../json/json.ts'
import type { Entry, Ledger } from '../ledger/ledger.ts'
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

export function openReceipt(deps: ReceiptDeps, operation: string, requestId: string): Receipt {
  const startedAt = deps.now()
  let fault: Entry['fault']
  let settled = false
  let opened: number | undefined
  let wrong: string | undefined
  let costed:
    | { usage: Usage; units: Units | undefined; cost: ReturnType<Receipt['cost']> }
    | undefined
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
    units: undefined,
    status: 200,
    pass: undefined,
    measured: undefined,
    answerId: undefined,
    written: undefined,
    keep: undefined,
    said: undefined,
    open() {
      const { pass } = receipt
      if (!deps.ledger.open || !pass) return
      opened = deps.ledger.open({
        requestId,
        startedAt,
        operation,
        keyId: receipt.keyId,
        model: receipt.model,
        stream: receipt.stream,
        payer: pass.payer(),
        nanoDollars: pass.inputCost,
        ...(receipt.stream && { soFar: () => soFar(receipt) }),
      })
    },
    cost() {
      const { usage, units } = receipt
      // Asked for by the answer's head and by the ledger: worked out once for the same usage.
      if (costed?.usage !== usage || costed.units !== units)
        costed = { usage, units, cost: price(receipt) }
      return costed.cost
    },
    failed(cause) {
      const error = GatewayError.from(cause)
      fault = error.kind
      wrong = error.message
      receipt.status = error.status
      return error
    },
    settle() {
      if (settled) return undefined
      settled = true
      const { deployment } = receipt
      const { nanoDollars, priced } = receipt.cost()
      const written = deps.ledger.record({
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
        ...(receipt.units && { units: receipt.units }),
        nanoDollars,
        priced,
        retries: receipt.retries,
        fallbacks: receipt.fallbacks,
        fault,
        status: receipt.status,
        answerId: receipt.answerId,
        error: wrong,
        opened,
        payer: receipt.pass?.payer(),
        ...(receipt.keep && { payload: receipt.keep(receipt.said) }),
      })
      const { usage, measured } = receipt
      measured?.({ input: inputTokens(usage), output: outputTokens(usage) })
      // After it has been recorded: in between, the money would be there twice.
      receipt.pass?.release(receipt.usage, fault !== undefined)
      return written
    },
  }
  return receipt
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
  const all = BigInt(Math.round(nanoDollars))
  const [sign, amount] = all < 0n ? ['-', -all] : ['', all]
  const rest = String(amount % billion)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${sign}${amount / billion}${rest === '' ? '' : `.${rest}`}`
}
const billion = 1_000_000_000n
