import type { Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import { list, object, text } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import type { Payer } from '../ledger/ledger.ts'
import type { Need, Refused, Reserved } from '../ledger/purse.ts'
import type { Price, Units } from '../provider/cost.ts'
import type { SoftBudget } from './alerts.ts'
import { type Bounding, budgetRefusal, fits } from './budgets.ts'
import type { Caller } from './caller.ts'
import { isOfRequests, limitRefusal, sidesOf, tokensReckoned } from './limit-asks.ts'
import type { Denied, LimitAsk, Limits, Taken } from './limits.ts'
import { dearest, isToldLater, mostOf, unknownCost } from './most.ts'
import type { Known, Parties } from './parties.ts'
import { Admitted, type Desk } from './pass.ts'
import { budgetsBy, createPlan, limitsBy, type Plan, planOf } from './plan.ts'
import type { Budget, Holder } from './terms.ts'

/** A request that asks to be let in, as far as its money and its pace go. */
export type Entering = {
  caller: Caller
  /** The public name that answers, aliases resolved. */
  group: string
  /** The name the client said: budgets and limits of models may be written by it too. */
  asked: string
  /** `default_api_key_rpm_limit` and `_tpm_limit` of the model: of each key that has none of its own for it. */
  keyLimits?: { rpm: number | undefined; tpm: number | undefined } | undefined
  /** Prices of the deployments that may answer; the dearest counts. */
  prices: readonly Price[]
  /** What it may use at most. Asked only where somebody's budget or tokens are bounded. */
  worst: Worst
  /** Nothing is asked of a model: of its limits, those of requests alone count, and it holds no place among those that run. */
  looks?: true
  /** Who it is for, beyond the key. */
  customerId: string | undefined
  tags: readonly string[]
  sessionId: string | undefined
  ip: string | undefined
  userAgent: string | undefined
  metadata: JsonObject | undefined
}

/** Bounds of a request before it is sent. Cheap ones first; `exactInput` may count. */
export type Worst = {
  /** Never less than the input tokens, without counting: bytes are enough. */
  input(): number
  /** Counted tokens of the input: asked where the cheap bound does not fit. */
  exactInput(): Promise<number>
  /** The most it may write, in all its choices; undefined: the request does not say. */
  output(): number | undefined
  /** Where it does not say: what the model can write at most; undefined: not known. */
  modelOutput(): number | undefined
  /** Nobody can tell before the answer is there: a native route passed on to a provider. */
  unknown?: true
  /** Images, seconds, characters…, for operations priced by them. */
  units?: Units | undefined
  /** Asked where somebody's money is bounded; absent: nothing but text. */
  kinds?(): Kinds
  /** What is paid by, where it is not what the group's deployments usually cost. */
  prices?: readonly Price[]
}

/** What besides plain text may be billed. */
export type Kinds = {
  audio: boolean
  images: boolean
  /** Something is to be kept in the provider's cache for an hour. */
  longCache: boolean
  /** Web searches. */
  searches: number
  /** What the request says of itself that has a price: how fast, and where. */
  raw: JsonObject | undefined
}

/** A request that has been let in. */
export type Pass = {
  /** Who pays now: a fallback may count for others. */
  payer(): Payer
  /** Puts `x-ratelimit-*` and the key's own figures among the headers of its answer. */
  tell(headers: Record<string, string>): void
  /** Nano-dollars the key has spent of its own budget, before this request; undefined: it has none that this one counts against. */
  keySpend?(): number | undefined
  /** What the input alone costs, for a process that does not live to settle it; nano-dollars. */
  inputCost: number
  /** May it go on with another group? Absent: as far as its customer is concerned, with any. */
  mayUse?: ((group: string) => boolean) | undefined
  /** A deployment is about to be tried, perhaps dearer, perhaps of another group: sets more aside, or throws. */
  cover(group: string, prices: readonly Price[]): void | Promise<void>
  /**
   * An answer that goes on has cost so many nano-dollars by now: sets aside more for what may come. Throws once what it has
   * cost is all that there was.
   */
  goOn(spent: number): void | Promise<void>
  /** The end, however it came: what was set aside is free again. */
  release(usage: Usage, fault: boolean): void
}

export type Admit = (entering: Entering) => Pass | Promise<Pass>

export type AdmitOptions = {
  books: Books
  limits: Limits
  parties: Parties
  now(): number
  settings: AdmitSettings
}
export type AdmitSettings = {
  /** `general_settings.budget_overshoot`. */
  overshoot: 'bounded' | 'allow' | 'deny'
  /** Status of a budget's refusal (`budget_exceeded_status_code`). */
  budgetStatus: number
  /** `litellm_settings.max_budget`: of the whole gateway. */
  proxy: Budget | undefined
  /** `max_end_user_budget`: nano-dollars for every customer without a budget. */
  customerMax: number | undefined
  /** False (`disable_budget_reservation`): whoever comes is let in while anything is left, however many come at once. */
  reserve?: boolean
  /** `token_rate_limit_type`: which tokens limits of tokens count; absent: all. */
  tokens?: 'total' | 'input' | 'output'
  /** `global_max_parallel_requests`. */
  parallel: number | undefined
  /** Output of a request that does not bound it, where nothing better is known, in tokens. */
  outputOtherwise: number
  /** Told when a soft budget has been passed, with every request until its period ends. */
  onSoft?(budget: SoftBudget): void
}

export function createAdmit({ books, limits, parties, now, settings }: AdmitOptions): Admit {
  const desk: Desk = { books, limits, now, settings, tellSoft }

  /** Everybody it counts against. */
  function planFor({ caller, tags }: Entering, customer: Holder | undefined): Plan {
    const own = caller.grant?.holders ?? nobody
    if (!customer && tags.length === 0) return planOf(own, settings)
    const others = tags.map((name) => parties.tag(name)).filter((one) => one !== undefined)
    if (!customer && others.length === 0) return planOf(own, settings)
    return createPlan([...own, ...(customer ? [customer] : []), ...others], settings)
  }

  function enter(entering: Entering, customer: Holder | undefined): Admitted | Promise<Admitted> {
    books.refuseWhenFull()
    const plan = planFor(entering, customer)
    const all = limitsBy(plan, entering)
    const asks = entering.looks ? all.filter(isOfRequests) : all
    const tokens = tokensReckoned(asks, entering, settings)
    if (plan.sided && !entering.looks) return enterBySides(entering, plan, asks, tokens)
    const taken = limits.take(asks, tokens)
    return taken instanceof Promise ? payWhen(taken, entering, plan) : pay(entering, plan, taken)
  }

  /** The same where one side's tokens are limited by themselves. */
  async function enterBySides(
    entering: Entering,
    plan: Plan,
    asks: readonly LimitAsk[],
    tokens: number,
  ): Promise<Admitted> {
    const sides = sidesOf(plan.holders, entering)
    const taken: Taken[] = []
    try {
      for (const { ask } of sides) {
        const one = await limits.take([ask])
        if (!one.ok) throw limitRefusal(one.ask, one.retryAfterMs, now())
        taken.push(one)
      }
      const admitted = await pay(entering, plan, await limits.take(asks, tokens))
      admitted.holdSides(sides, taken)
      return admitted
    } catch (cause) {
      for (const one of taken) one.release(undefined)
      throw cause
    }
  }

  async function payWhen(
    taken: Promise<Taken | Denied>,
    entering: Entering,
    plan: Plan,
  ): Promise<Admitted> {
    return pay(entering, plan, await taken)
  }

  function pay(
    entering: Entering,
    plan: Plan,
    taken: Taken | Denied,
  ): Admitted | Promise<Admitted> {
    if (!taken.ok) throw limitRefusal(taken.ask, taken.retryAfterMs, now())
    try {
      const budgets = budgetsBy(plan, entering, settings, now())
      const paid =
        budgets.length === 0
          ? letIn(entering, plan, taken, undefined, 0)
          : reserve(entering, plan, budgets, taken)
      return paid instanceof Promise ? orGiveBack(paid, taken) : paid
    } catch (cause) {
      taken.release(undefined)
      throw cause
    }
  }

  async function orGiveBack(paid: Promise<Admitted>, taken: Taken): Promise<Admitted> {
    try {
      return await paid
    } catch (cause) {
      taken.release(undefined)
      throw cause
    }
  }

  const letIn = (
    entering: Entering,
    plan: Plan,
    taken: Taken,
    reserved: Reserved | undefined,
    amount: number,
  ): Admitted => new Admitted(desk, { entering, plan, taken, reserved, amount })

  function reserve(
    entering: Entering,
    plan: Plan,
    budgets: readonly Bounding[],
    taken: Taken,
  ): Admitted | Promise<Admitted> {
    const { worst, prices } = entering
    const input = worst.input()
    const price = dearest(prices, input)
    const bounded = worst.output()
    const output = bounded ?? worst.modelOutput() ?? settings.outputOtherwise
    const cheap = mostOf(price, input, output, worst)
    // Nobody can tell what it will cost, or wants to know: it is let in while anything is left.
    const careless = settings.reserve === false && cheap > 0
    const unknown = careless || worst.unknown === true || prices.some(isToldLater)
    // What costs nothing passes an exhausted budget.
    if (!unknown && cheap === 0) return letIn(entering, plan, taken, undefined, 0)
    const clips =
      settings.overshoot === 'bounded' ? bounded === undefined : settings.overshoot === 'allow'
    const need: Need = {
      amount: careless ? 1 : unknown ? Math.max(cheap, unknownCost) : cheap,
      short: unknown || clips ? 'clip' : 'refuse',
    }
    const reserved = books.purses.reserve(budgets, need)
    if (!(reserved instanceof Promise) && reserved.ok)
      return letIn(entering, plan, taken, reserved, need.amount)
    return reserveSlowly(entering, plan, budgets, taken, { need, reserved, price, output, unknown })
  }

  /** Where it could not be set aside at once. */
  async function reserveSlowly(
    entering: Entering,
    plan: Plan,
    budgets: readonly Bounding[],
    taken: Taken,
    asked: Asked,
  ): Promise<Admitted> {
    const { worst } = entering
    const { need, price, output, unknown } = asked
    const first = await asked.reserved
    if (first.ok) return letIn(entering, plan, taken, first, need.amount)
    if (unknown) {
      const input = worst.input()
      throw budgetRefusal(first, budgets, entering, need.amount, input, undefined, settings)
    }
    // The cheap bound is several times the truth: before a refusal the input is counted.
    const exact = await worst.exactInput()
    const amount = mostOf(price, exact, output, worst)
    if (amount >= need.amount)
      throw budgetRefusal(first, budgets, entering, need.amount, exact, price, settings)
    const reserved = await books.purses.reserve(budgets, { ...need, amount })
    if (reserved.ok) return letIn(entering, plan, taken, reserved, amount)
    throw budgetRefusal(reserved, budgets, entering, amount, exact, price, settings)
  }

  /** Who has been told of lately is not looked at again, up to the instant that is kept here. */
  const toldUntil = new Map<string, number>()
  const softOf = ({ account, terms }: Holder): string => `${account} ${terms.soft}`

  function tellSoft({ holders }: Plan, caller: Caller): void {
    if (!settings.onSoft) return
    const soft = holders.filter(
      (one) => one.terms.soft !== undefined && (toldUntil.get(softOf(one)) ?? 0) <= now(),
    )
    if (soft.length === 0) return
    books
      .accounts(soft.map(({ account }) => account))
      .then((accounts) => {
        for (const holder of soft) {
          const { spend = 0, resetsAt = null } = accounts.get(holder.account) ?? {}
          if (holder.terms.soft === undefined || spend < holder.terms.soft) continue
          if (toldUntil.size >= 10_000) toldUntil.clear()
          toldUntil.set(softOf(holder), resetsAt ?? Number.POSITIVE_INFINITY)
          settings.onSoft?.({ holder, spend, resetsAt, caller })
        }
      })
      .catch(() => {})
  }

  return (entering) => {
    const settling = parties.settling()
    return settling ? admitWhen(settling, entering) : admit(entering)
  }

  async function admitWhen(settling: Promise<void>, entering: Entering): Promise<Pass> {
    await settling
    return admit(entering)
  }

  function admit(entering: Entering): Pass | Promise<Pass> {
    const { customerId } = entering
    if (customerId === undefined) return enter(entering, undefined)
    const known = parties.customer(customerId, customerBudgetOf(entering.caller))
    if (known instanceof Promise) return admitKnown(known, entering, customerId)
    return known ? admitCustomer(known, entering, customerId) : enter(entering, undefined)
  }

  async function admitKnown(
    known: Promise<Known | undefined>,
    entering: Entering,
    customerId: string,
  ): Promise<Pass> {
    const one = await known
    return one ? admitCustomer(one, entering, customerId) : enter(entering, undefined)
  }

  function admitCustomer(
    { doc, holder }: Known,
    entering: Entering,
    customerId: string,
  ): Pass | Promise<Pass> {
    if (doc.data['blocked'] === true)
      throw new GatewayError(
        'authentication',
        `Authentication Error, User blocked from making LLM API Calls. User=${customerId.slice(0, 200)}`,
        { type: 'auth_error', param: 'None', code: '401' },
      )
    const models = list(doc.data['models'])
    if (models.length === 0) return enter(entering, holder)
    const mayUse = (group: string): boolean => models.some((name) => fits(name, group))
    if (!mayUse(entering.group))
      throw new GatewayError(
        'permission',
        `The requested model '${entering.group.slice(0, 200)}' is not in the allowed models for this customer. Check the models this customer can use and try again.`,
        { type: 'customer_model_access_denied', param: 'model', code: '403' },
      )
    const bounded = (one: Admitted): Pass => {
      one.mayUse = mayUse
      return one
    }
    const entered = enter(entering, holder)
    return entered instanceof Promise ? entered.then(bounded) : bounded(entered)
  }
}

/** What was asked of the purses, for what, and their answer. */
type Asked = {
  need: Need
  reserved: Reserved | Refused | Promise<Reserved | Refused>
  price: Price | undefined
  output: number
  /** It is let in while anything is left. */
  unknown: boolean
}

const nobody: readonly Holder[] = []

/** `end_user_budget_id`: of customers who have no budget of their own. */
function customerBudgetOf({ grant }: Caller): string | undefined {
  if (!grant) return undefined
  const { end_user_budget_id, metadata } = grant.key.data
  return text(end_user_budget_id ?? object(metadata)['end_user_budget_id'])
}
