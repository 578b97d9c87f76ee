import { inputTokens, outputTokens, type Usage } from '../chat/chat.ts'
import type { Payer } from '../ledger/ledger.ts'
import type { Reserved } from '../ledger/purse.ts'
import type { Price } from '../provider/cost.ts'
import type { AdmitOptions, Entering, Pass } from './admit.ts'
import { type Bounding, budgetRefusal } from './budgets.ts'
import type { Caller } from './caller.ts'
import {
  isOfModel,
  limitRefusal,
  limitsOf,
  type Side,
  tellLimits,
  tokensOf,
  tokensReckoned,
} from './limit-asks.ts'
import type { Denied, Taken } from './limits.ts'
import { dearest, isToldLater, mostOf, onlyText, unknownCost } from './most.ts'
import { payerOf } from './payer.ts'
import { budgetsBy, type Plan } from './plan.ts'
import type { Budget } from './terms.ts'

/** What all passes of a gateway have in common. */
export type Desk = Omit<AdmitOptions, 'parties'> & {
  /** Tells whoever wants to hear of a spend. */
  tellSoft(plan: Plan, caller: Caller): void
}

/** Who has been let in, with what was counted and set aside. */
export type LetIn = {
  entering: Entering
  plan: Plan
  taken: Taken
  /** Undefined: nothing bounds it, or it costs nothing. */
  reserved: Reserved | undefined
  /** Nano-dollars that were wanted. */
  amount: number
}

/** A class, since its closures were a kilobyte a request; what most requests never need is made once it is. */
export class Admitted implements Pass {
  readonly inputCost: number
  mayUse: Pass['mayUse'] = undefined
  readonly #desk: Desk
  readonly #entering: Entering
  readonly #plan: Plan
  readonly #taken: Taken
  readonly #reserved: Reserved | undefined
  /** The request as the deployment that was tried last has it. */
  #answering: Entering
  #payer: Payer | undefined = undefined
  /** Of the settings that payer was made with. */
  #proxy: Budget | undefined = undefined
  #set: number
  #released = false
  /** Groups it went on with. */
  #covered: Set<string> | undefined = undefined
  #more: Reserved[] | undefined = undefined
  #alsoTaken: Taken[] | undefined = undefined
  #sides: { sides: readonly Side[]; taken: readonly Taken[] } | undefined = undefined

  constructor(desk: Desk, { entering, plan, taken, reserved, amount }: LetIn) {
    this.#desk = desk
    this.#entering = entering
    this.#answering = entering
    this.#plan = plan
    this.#taken = taken
    this.#reserved = reserved
    this.#set = amount
    const input = reserved ? Math.ceil(entering.worst.input() / 4) : 0
    this.inputCost = reserved ? mostOf(dearest(entering.prices, 0), input, 0, onlyText) : 0
  }

  payer(): Payer {
    const { settings } = this.#desk
    // A budget of the whole gateway that is set meanwhile counts this request too.
    if (!this.#payer || this.#proxy !== settings.proxy) {
      this.#proxy = settings.proxy
      this.#payer = payerOf(this.#answering, this.#plan.holders, settings)
    }
    return this.#payer
  }

  tell(headers: Record<string, string>): void {
    if (!this.#entering.caller.grant) return
    tellLimits(this.#taken, headers)
    const { rpm, tpm, max } = this.#plan.told
    if (rpm !== undefined) headers['x-litellm-key-rpm-limit'] = rpm
    if (tpm !== undefined) headers['x-litellm-key-tpm-limit'] = tpm
    if (max !== undefined) headers['x-litellm-key-max-budget'] = max
  }

  keySpend(): number | undefined {
    const own = this.#plan.key?.budget
    if (!own || !this.#reserved) return undefined
    for (const { purse } of this.#reserved.held)
      if (purse.id === own.account) return (purse.seen?.spend ?? 0) + purse.spent
    return undefined
  }

  cover(group: string, prices: readonly Price[]): void | Promise<void> {
    const first = this.#entering
    const isNew = group !== first.group && this.#covered?.has(group) !== true
    const answering = group === first.group ? first : { ...first, group, asked: group, prices }
    if (answering !== this.#answering) {
      this.#answering = answering
      this.#payer = undefined
    }
    if (!isNew && areAllAmong(prices, first.prices)) return
    const limited = isNew ? this.#takeFor(answering) : undefined
    if (isNew) (this.#covered ??= new Set()).add(group)
    const { settings } = this.#desk
    if (settings.reserve === false || this.#budgets().length === 0) return limited
    const { worst } = first
    const price = dearest(prices, worst.input())
    const output = worst.output() ?? worst.modelOutput() ?? settings.outputOtherwise
    const known = mostOf(price, worst.input(), output, worst)
    const wanted = prices.some(isToldLater) ? Math.max(known, unknownCost) : known
    if (wanted <= this.#set && (!isNew || wanted === 0)) return limited
    return this.#setAside(wanted, isNew, price, limited)
  }

  goOn(spent: number): void | Promise<void> {
    const budgets = this.#budgets()
    if (budgets.length === 0) return
    const held = budgets.map(({ account }) => this.#heldOf(account))
    const missing = spent + unknownCost - Math.min(...held)
    // In steps: a conversation has many turns.
    if (missing > unknownCost / 2) return this.#setAsideMore(budgets, spent, missing)
  }

  release(usage: Usage): void {
    const { settings, tellSoft } = this.#desk
    this.#released = true
    this.#reserved?.release()
    if (this.#more) for (const one of this.#more) one.release()
    const [input, output] = [inputTokens(usage), outputTokens(usage)]
    const tokens = tokensOf(input, output, settings)
    this.#taken.release(tokens)
    if (this.#alsoTaken) for (const one of this.#alsoTaken) one.release(tokens)
    if (this.#sides)
      for (const [nth, { side }] of this.#sides.sides.entries())
        this.#sides.taken[nth]?.release(side === 'input' ? input : output)
    if (this.#plan.soft) tellSoft(this.#plan, this.#entering.caller)
  }

  /** What was counted of one side's tokens by themselves is given back with the rest. */
  holdSides(sides: readonly Side[], taken: readonly Taken[]): void {
    this.#sides = { sides, taken }
  }

  #budgets(): readonly Bounding[] {
    const { settings, now } = this.#desk
    return budgetsBy(this.#plan, this.#answering, settings, now())
  }

  /** A fallback counts against the limits of its own model too. */
  #takeFor(answering: Entering): void | Promise<void> {
    const { limits, settings } = this.#desk
    const { holders, parallel } = this.#plan
    const asks = limitsOf(holders, answering, parallel).filter(isOfModel)
    if (asks.length === 0) return
    const taken = limits.take(asks, tokensReckoned(asks, answering, settings))
    return taken instanceof Promise ? taken.then((one) => this.#note(one)) : this.#note(taken)
  }

  #note(taken: Taken | Denied): void {
    if (!taken.ok) throw limitRefusal(taken.ask, taken.retryAfterMs, this.#desk.now())
    if (this.#released) taken.release(undefined)
    else (this.#alsoTaken ??= []).push(taken)
  }

  /** `wanted`: what its models' own budgets must hold; what everybody else's must hold besides is missing. */
  async #setAside(
    wanted: number,
    isNew: boolean,
    price: Price | undefined,
    limited: void | Promise<void>,
  ): Promise<void> {
    if (limited) await limited
    const { books, settings, now } = this.#desk
    const { worst } = this.#entering
    const budgets = this.#budgets()
    const before = new Set(
      budgetsBy(this.#plan, this.#entering, settings, now()).map(({ account }) => account),
    )
    const fresh = isNew ? budgets.filter(({ account }) => !before.has(account)) : []
    const rest = budgets.filter((one) => !fresh.includes(one))
    const short =
      settings.overshoot === 'deny' ||
      (settings.overshoot === 'bounded' && worst.output() !== undefined)
        ? 'refuse'
        : 'clip'
    const parts: [readonly Bounding[], number][] = [
      [fresh, wanted],
      [rest, wanted - this.#set],
    ]
    for (const [of, missing] of parts) {
      if (of.length === 0 || missing <= 0) continue
      const one = await books.purses.reserve(of, { amount: missing, short })
      if (!one.ok)
        throw budgetRefusal(one, of, this.#answering, wanted, worst.input(), price, settings)
      this.#hold(one)
    }
    this.#set = Math.max(this.#set, wanted)
  }

  async #setAsideMore(budgets: readonly Bounding[], spent: number, missing: number): Promise<void> {
    const { books, settings } = this.#desk
    const one = await books.purses.reserve(budgets, { amount: missing, short: 'clip' })
    if (one.ok && this.#released) return one.release()
    if (one.ok) this.#hold(one)
    const empty = budgets.find(({ account }) => this.#heldOf(account) <= spent)
    if (!empty) return
    // What is set aside is not written yet, so the books do not show it as spent.
    const { account, max } = empty
    const figures = one.ok ? { account, max, spend: spent, left: 0 } : one
    const refused = { ok: false, ...figures } as const
    throw budgetRefusal(refused, budgets, this.#answering, spent, 0, undefined, settings)
  }

  /** Whoever has left meanwhile holds nothing. */
  #hold(reserved: Reserved): void {
    if (this.#released) reserved.release()
    else (this.#more ??= []).push(reserved)
  }

  /** What is set aside of one account. */
  #heldOf(account: string): number {
    return [this.#reserved, ...(this.#more ?? [])]
      .flatMap((one) => one?.held ?? [])
      .reduce((sum, { purse, amount }) => (purse.id === account ? sum + amount : sum), 0)
  }
}

function areAllAmong(prices: readonly Price[], those: readonly Price[]): boolean {
  for (const price of prices) if (!those.includes(price)) return false
  return true
}
