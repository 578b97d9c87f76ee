import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Json, JsonObject } from '../json/json.ts'
import { list, number, object, text } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import type { Payer } from '../ledger/ledger.ts'
import type { Ask, Refused, Reserved } from '../ledger/purse.ts'
import { costOf, type Price, textAtMost, type Units } from '../provider/cost.ts'
import { matched } from '../router/groups.ts'
import { accountOf } from '../store/accounts.ts'
import type { SoftBudget } from './alerts.ts'
import type { Caller } from './caller.ts'
import { type LimitAsk, type Limits, meterOf, type Taken } from './limits.ts'
import type { Parties } from './parties.ts'
import { type Budget, boundAt, type Holder } from './terms.ts'

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
  /** `x-ratelimit-*` and the key's own figures. */
  headers: Readonly<Record<string, string>>
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

const minute = 60_000
const day = 86_400_000

export function createAdmit({ books, limits, parties, now, settings }: AdmitOptions): Admit {
  /** Everybody it counts against. */
  function holdersOf(entering: Entering, customer: Holder | undefined): readonly Holder[] {
    const own = entering.caller.grant?.holders ?? []
    const tags = entering.tags.map((name) => parties.tag(name)).filter((one) => one !== undefined)
    return customer || tags.length > 0 ? [...own, ...(customer ? [customer] : []), ...tags] : own
  }

  function enter(entering: Entering, customer: Holder | undefined): Pass | Promise<Pass> {
    books.refuseWhenFull()
    const holders = holdersOf(entering, customer)
    const asks = limitsOf(holders, entering, settings)
    const sides = entering.looks ? [] : sidesOf(holders, entering)
    if (sides.length > 0) return enterBySides(entering, holders, asks, sides)
    const taken = limits.take(entering.looks ? asks.filter(isOfRequests) : asks)
    return taken instanceof Promise
      ? taken.then((one) => pay(entering, holders, one))
      : pay(entering, holders, taken)
  }

  /** The same where one side's tokens are limited by themselves. */
  async function enterBySides(
    entering: Entering,
    holders: readonly Holder[],
    asks: readonly LimitAsk[],
    sides: readonly Side[],
  ): Promise<Pass> {
    const taken: Taken[] = []
    try {
      for (const { ask } of sides) {
        const one = await limits.take([ask])
        if (!one.ok) throw limitRefusal(one.ask, one.retryAfterMs, now())
        taken.push(one)
      }
      const pass = await pay(entering, holders, await limits.take(asks))
      const { release } = pass
      pass.release = (usage, fault) => {
        release(usage, fault)
        for (const [nth, { side }] of sides.entries())
          taken[nth]?.release(side === 'input' ? inputTokens(usage) : outputTokens(usage))
      }
      return pass
    } catch (cause) {
      for (const one of taken) one.release(undefined)
      throw cause
    }
  }

  function pay(
    entering: Entering,
    holders: readonly Holder[],
    taken: Awaited<ReturnType<Limits['take']>>,
  ): Pass | Promise<Pass> {
    if (!taken.ok) throw limitRefusal(taken.ask, taken.retryAfterMs, now())
    try {
      const budgets = budgetsOf(holders, entering, settings, now())
      const paid =
        budgets.length === 0
          ? passOf(entering, holders, taken, undefined, 0)
          : reserve(entering, holders, budgets, taken)
      return paid instanceof Promise
        ? paid.catch((cause: unknown) => {
            taken.release(undefined)
            throw cause
          })
        : paid
    } catch (cause) {
      taken.release(undefined)
      throw cause
    }
  }

  function reserve(
    entering: Entering,
    holders: readonly Holder[],
    budgets: readonly (Ask & { holder: Holder | undefined })[],
    taken: Taken,
  ): Pass | Promise<Pass> {
    const { worst } = entering
    const price = dearest(entering.prices, worst.input())
    const costAtMost = (input: number, output: number): number =>
      mostOf(price, input, output, worst)
    const bounded = worst.output()
    const output = bounded ?? worst.modelOutput() ?? settings.outputOtherwise
    const short = (
      settings.overshoot === 'bounded'
        ? bounded === undefined
        : settings.overshoot === 'allow'
    )
      ? 'clip'
      : 'refuse'
    const cheap = costAtMost(worst.input(), output)
    // Nobody can tell what it will cost, or wants to know: it is let in while anything is left.
    const careless = settings.reserve === false && cheap > 0
    if (careless || worst.unknown || entering.prices.some(isToldLater)) {
      const amount = careless ? 1 : Math.max(cheap, unknownCost)
      const one = books.purses.reserve(budgets, { amount, short: 'clip' })
      const into = (reserved: Reserved | Refused): Pass => {
        if (reserved.ok) return passOf(entering, holders, taken, reserved, amount)
        throw budgetRefusal(reserved, budgets, entering, amount, worst.input(), undefined, settings)
      }
      return one instanceof Promise ? one.then(into) : into(one)
    }
    // What costs nothing passes an exhausted budget.
    if (cheap === 0) return passOf(entering, holders, taken, undefined, 0)
    const done = (reserved: Reserved | Refused): Pass | Promise<Pass> => {
      if (reserved.ok) return passOf(entering, holders, taken, reserved, cheap)
      return again(reserved)
    }
    /** The cheap bound is several times the truth: before a refusal the input is counted. */
    const again = async (refused: Refused): Promise<Pass> => {
      const exact = await worst.exactInput()
      const counted = costAtMost(exact, output)
      if (counted < cheap) {
        const reserved = await books.purses.reserve(budgets, { amount: counted, short })
        if (reserved.ok) return passOf(entering, holders, taken, reserved, counted)
        throw budgetRefusal(reserved, budgets, entering, counted, exact, price, settings)
      }
      throw budgetRefusal(refused, budgets, entering, cheap, exact, price, settings)
    }
    const reserved = books.purses.reserve(budgets, { amount: cheap, short })
    return reserved instanceof Promise ? reserved.then(done) : done(reserved)
  }

  function passOf(
    entering: Entering,
    holders: readonly Holder[],
    taken: Taken,
    reserved: Reserved | undefined,
    amount: number,
  ): Pass {
    const { caller, worst } = entering
    const more: Reserved[] = []
    const alsoTaken: Taken[] = []
    const covered = new Set([entering.group])
    let answering = entering
    let set = amount
    let released = false

    /** A fallback counts against the limits of its own model too. */
    function takeFor(group: string): void | Promise<void> {
      const own = limitsOf(holders, { ...entering, group, asked: group }, settings)
      const asks = own.filter(({ id }) => id.includes('|model:'))
      if (asks.length === 0) return
      const note = (one: Awaited<ReturnType<Limits['take']>>): void => {
        if (!one.ok) throw limitRefusal(one.ask, one.retryAfterMs, now())
        if (released) one.release(undefined)
        else alsoTaken.push(one)
      }
      const one = limits.take(asks)
      return one instanceof Promise ? one.then(note) : note(one)
    }

    /** `all`: what its models' own budgets must hold; `missing`: what everybody else's must hold besides. */
    async function setAside(wanted: number, isNew: boolean, price: Price | undefined) {
      const budgets = budgetsOf(holders, answering, settings, now())
      const before = new Set(
        budgetsOf(holders, entering, settings, now()).map((one) => one.account),
      )
      const fresh = isNew ? budgets.filter(({ account }) => !before.has(account)) : []
      const rest = budgets.filter((one) => !fresh.includes(one))
      const short =
        settings.overshoot === 'deny' ||
        (settings.overshoot === 'bounded' && worst.output() !== undefined)
          ? 'refuse'
          : 'clip'
      const parts: [typeof budgets, number][] = [
        [fresh, wanted],
        [rest, wanted - set],
      ]
      for (const [of, missing] of parts) {
        if (of.length === 0 || missing <= 0) continue
        const one = await books.purses.reserve(of, { amount: missing, short })
        if (!one.ok) throw budgetRefusal(one, of, answering, wanted, worst.input(), price, settings)
        // Whoever has left meanwhile holds nothing.
        if (released) one.release()
        else more.push(one)
      }
      set = Math.max(set, wanted)
    }

    /** What is set aside of one account. */
    const heldOf = ({ account }: Ask): number =>
      [reserved, ...more]
        .flatMap((one) => one?.held ?? [])
        .reduce((sum, { purse, amount }) => (purse.id === account ? sum + amount : sum), 0)

    async function setAsideMore(
      budgets: ReturnType<typeof budgetsOf>,
      spent: number,
      missing: number,
    ) {
      const one = await books.purses.reserve(budgets, { amount: missing, short: 'clip' })
      if (one.ok && released) return one.release()
      if (one.ok) more.push(one)
      const empty = budgets.find((budget) => heldOf(budget) <= spent)
      if (!empty) return
      // What is set aside is not written yet, so the books do not show it as spent.
      const { account, max } = empty
      const figures = one.ok ? { account, max, spend: spent, left: 0 } : one
      throw budgetRefusal(
        { ok: false, ...figures },
        budgets,
        answering,
        spent,
        0,
        undefined,
        settings,
      )
    }

    return {
      payer: () => payerOf(answering, holders, settings),
      headers: headersOf(taken, caller),
      keySpend() {
        const own = keyTerms(caller)?.budget
        const held = own && reserved?.held.find(({ purse }) => purse.id === own.account)
        return held && (held.purse.seen?.spend ?? 0) + held.purse.spent
      },
      inputCost: reserved
        ? mostOf(dearest(entering.prices, 0), Math.ceil(worst.input() / 4), 0, {})
        : 0,
      cover(group, prices) {
        const isNew = !covered.has(group)
        answering =
          group === entering.group ? entering : { ...entering, group, asked: group, prices }
        if (!isNew && prices.every((price) => entering.prices.includes(price))) return
        const limited = isNew ? takeFor(group) : undefined
        covered.add(group)
        if (settings.reserve === false) return limited
        if (budgetsOf(holders, answering, settings, now()).length === 0) return limited
        const price = dearest(prices, worst.input())
        const output = worst.output() ?? worst.modelOutput() ?? settings.outputOtherwise
        const known = mostOf(price, worst.input(), output, worst)
        const wanted = prices.some(isToldLater) ? Math.max(known, unknownCost) : known
        if (wanted <= set && (!isNew || wanted === 0)) return limited
        return limited
          ? limited.then(() => setAside(wanted, isNew, price))
          : setAside(wanted, isNew, price)
      },
      goOn(spent) {
        const budgets = budgetsOf(holders, answering, settings, now())
        if (budgets.length === 0) return
        const missing = spent + unknownCost - Math.min(...budgets.map(heldOf))
        // In steps: a conversation has many turns.
        if (missing > unknownCost / 2) return setAsideMore(budgets, spent, missing)
      },
      release(usage, fault) {
        released = true
        reserved?.release()
        for (const one of more) one.release()
        const tokens = tokensOf(inputTokens(usage), outputTokens(usage), settings)
        for (const one of [taken, ...alsoTaken]) one.release(fault && tokens === 0 ? 0 : tokens)
        if (settings.onSoft) tellSoft(holders, caller)
      },
    }
  }

  /** Who has been told of lately is not looked at again, up to the instant that is kept here. */
  const toldUntil = new Map<string, number>()
  const softOf = ({ account, terms }: Holder): string => `${account} ${terms.soft}`

  function tellSoft(holders: readonly Holder[], caller: Caller): void {
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
    if (settling) return settling.then(() => admit(entering))
    return admit(entering)
  }

  function admit(entering: Entering): Pass | Promise<Pass> {
    const { customerId } = entering
    if (customerId === undefined) return enter(entering, undefined)
    const known = parties.customer(customerId, customerBudgetOf(entering.caller))
    const go = (one: Awaited<typeof known>): Pass | Promise<Pass> => {
      if (one?.doc.data['blocked'] === true)
        throw new GatewayError(
          'authentication',
          `Authentication Error, User blocked from making LLM API Calls. User=${customerId.slice(0, 200)}`,
          { type: 'auth_error', param: 'None', code: '401' },
        )
      const models = list(one?.doc.data['models'])
      const mayUse = (group: string): boolean => models.some((name) => fits(name, group))
      if (models.length > 0 && !mayUse(entering.group))
        throw new GatewayError(
          'permission',
          `The requested model '${entering.group.slice(0, 200)}' is not in the allowed models for this customer. Check the models this customer can use and try again.`,
          { type: 'customer_model_access_denied', param: 'model', code: '403' },
        )
      const entered = enter(entering, one?.holder)
      if (models.length === 0) return entered
      const bounded = (pass: Pass): Pass => {
        pass.mayUse = mayUse
        return pass
      }
      return entered instanceof Promise ? entered.then(bounded) : bounded(entered)
    }
    return known instanceof Promise ? known.then(go) : go(known)
  }
}

const fits = (pattern: Json, name: string): boolean =>
  typeof pattern === 'string' &&
  (pattern === name || (pattern.includes('*') && matched(pattern, name) !== undefined))

/** Every budget that bounds the request, as the purses want it. */
function budgetsOf(
  holders: readonly Holder[],
  { group, asked, customerId }: Entering,
  { proxy, customerMax }: AdmitSettings,
  now: number,
): (Ask & { holder: Holder | undefined; model?: boolean })[] {
  const asks: (Ask & { holder: Holder | undefined; model?: boolean })[] = []
  const add = (budget: Budget, holder: Holder | undefined, model = false): void => {
    asks.push({
      account: budget.account,
      max: boundAt(budget, now),
      duration: budget.duration,
      holder,
      model,
    })
  }
  if (proxy) add(proxy, undefined)
  let customer = false
  for (const holder of holders) {
    if (holder.scope === 'customer') customer = true
    if (holder.unbounded) continue
    const { budget, windows, models } = holder.terms
    if (budget) add(budget, holder)
    for (const window of windows) add(window, holder)
    if (models.size > 0) {
      const own = modelBudget(models, group, asked)
      if (own) add(own, holder, true)
    }
  }
  const withOwn = asks.some(({ holder }) => holder?.scope === 'customer')
  if (customerMax !== undefined && customerId !== undefined && !(customer && withOwn))
    add(
      { account: accountOf.customer(customerId), max: customerMax, duration: undefined },
      undefined,
    )
  return asks
}

function modelBudget(
  models: ReadonlyMap<string, Budget>,
  group: string,
  asked: string,
): Budget | undefined {
  const own = models.get(group) ?? models.get(asked)
  if (own) return own
  for (const [name, budget] of models) if (fits(name, group)) return budget
  return undefined
}

const lastPayers = new WeakMap<
  Caller,
  { group: string; asked: string; payer: Payer; proxy: Budget | undefined }
>()

/** Mostly the same as for the caller's last request: then it is the same object, which the journal names by a number. */
function payerOf(entering: Entering, holders: readonly Holder[], settings: AdmitSettings): Payer {
  const { caller, customerId, group, asked, tags, sessionId, ip, userAgent, metadata } = entering
  const last = lastPayers.get(caller)
  if (
    last &&
    last.group === group &&
    last.asked === asked &&
    last.proxy === settings.proxy &&
    last.payer.customerId === customerId &&
    last.payer.ip === ip &&
    last.payer.userAgent === userAgent &&
    last.payer.sessionId === sessionId &&
    metadata === undefined &&
    last.payer.metadata === undefined &&
    tags.length === 0 &&
    last.payer.tags === undefined
  )
    return last.payer
  const payer: Payer = {
    accounts: accountsOf(holders, entering, settings),
    userId: caller.userId,
    teamId: caller.teamId,
    organizationId: caller.organizationId,
    projectId: caller.grant?.project?.id,
    customerId,
    tags: tags.length > 0 ? tags : undefined,
    keyAlias: text(caller.grant?.key.data['key_alias']),
    teamAlias: text(caller.grant?.team?.data['team_alias']),
    sessionId,
    ip,
    userAgent,
    metadata,
  }
  lastPayers.set(caller, { group, asked, payer, proxy: settings.proxy })
  return payer
}

/** Every account its spend is added to, whether it bounds anything or not. */
function accountsOf(
  holders: readonly Holder[],
  entering: Entering,
  settings: AdmitSettings,
): string[] {
  const { caller, customerId, tags, group, asked } = entering
  const accounts = new Set<string>()
  if (caller.keyId !== '' && !caller.grant) accounts.add(accountOf.key(caller.keyId))
  for (const { account, terms } of holders) {
    accounts.add(account)
    for (const window of terms.windows) accounts.add(window.account)
    if (terms.models.size > 0) {
      const own = modelBudget(terms.models, group, asked)
      if (own) accounts.add(own.account)
    }
  }
  if (customerId !== undefined) accounts.add(accountOf.customer(customerId))
  for (const tag of tags) accounts.add(accountOf.tag(tag))
  if (settings.proxy) accounts.add(settings.proxy.account)
  return [...accounts]
}

/** The price that makes an ordinary request dearest. */
function dearest(prices: readonly Price[], input: number): Price | undefined {
  let most: Price | undefined
  let cost = -1
  for (const price of prices) {
    if (prices.length === 1) return price
    const one = mostOf(price, Math.max(input, 1000), 1000, {})
    if (one > cost) {
      cost = one
      most = price
    }
  }
  return most
}

/** Nano-dollars set aside where the answer alone tells what it cost. */
const unknownCost = 100_000_000
/** Nobody here knows its price, and the provider will say it. */
const isToldLater = ({ priced, reported }: Price): boolean => !priced && reported !== undefined

const texts = { into: ['input', 'cacheWrite'], out: ['output', 'reasoning'] } as const

/** Nano-dollars that so much input and output cost at most, whatever of it is cached, thought, drawn or spoken. */
function mostOf(
  price: Price | undefined,
  input: number,
  output: number,
  { units, kinds }: Pick<Worst, 'units' | 'kinds'>,
): number {
  if (!price) return 0
  const { audio, images, longCache, searches, raw } = kinds?.() ?? plainKinds
  if (!audio && !images && !longCache && searches === 0 && !raw && !units) {
    const most = textAtMost(Math.min(input, countMax), Math.min(output, countMax), price)
    if (most !== undefined) return most
  }
  const into: Tokens[] = [...texts.into]
  const out: Tokens[] = [...texts.out]
  if (longCache) into.push('cacheWrite1h')
  if (audio) {
    into.push('inputAudio')
    out.push('outputAudio')
  }
  if (images) into.push('inputImage')
  if (images || price.makes === 'images') out.push('outputImage')
  let most = 0
  for (const read of into)
    for (const written of out) {
      const usage: Usage = {
        ...noUsage,
        // Beyond what is a count at all, it would cost nothing.
        [read]: Math.min(input, countMax),
        [written]: Math.min(output, countMax),
        searches,
      }
      if (raw) usage.raw = raw
      most = Math.max(most, costOf(usage, price, units ? { units } : undefined).nanoDollars)
    }
  return most
}
type Tokens = Exclude<
  { [K in keyof Usage]-?: Usage[K] extends number ? K : never }[keyof Usage],
  'searches'
>
const countMax = 1e12
const plainKinds: Kinds = {
  audio: false,
  images: false,
  longCache: false,
  searches: 0,
  raw: undefined,
}

const descriptors: Readonly<Record<Holder['scope'], string>> = {
  key: 'api_key',
  user: 'user',
  team: 'team',
  member: 'team_member',
  organization: 'organization',
  organization_member: 'organization_member',
  project: 'project',
  customer: 'end_user',
  tag: 'tag',
}

const kept = new WeakMap<Holder, readonly LimitAsk[]>()

/** The limits of a holder that are the same for every request; the amount of tokens is put in for each. */
function ownLimits(holder: Holder): readonly LimitAsk[] {
  const before = kept.get(holder)
  if (before) return before
  const { terms, account, scope, name } = holder
  const asks: LimitAsk[] = []
  const add = (kind: LimitAsk['kind'], limit: number | undefined, windowMs: number): void => {
    if (limit === undefined) return
    const descriptor = descriptors[scope]
    const ask: LimitAsk = { id: account, kind, limit, amount: 1, windowMs, descriptor, name }
    meterOf(ask)
    headersFor(ask)
    asks.push(ask)
  }
  add('requests', terms.rpm, minute)
  add('tokens', terms.tpm, minute)
  add('tokens', terms.tpd, day)
  add('max_parallel_requests', terms.parallel, minute)
  kept.set(holder, asks)
  return asks
}

const headersFor = (ask: LimitAsk): NonNullable<LimitAsk['headers']> =>
  (ask.headers ??= {
    limit: `x-ratelimit-${ask.descriptor}-limit-${ask.kind}`,
    left: `x-ratelimit-${ask.descriptor}-remaining-${ask.kind}`,
    bound: String(ask.limit),
  })

function limitsOf(
  holders: readonly Holder[],
  { caller, group, asked, worst, keyLimits, tags }: Entering,
  settings: AdmitSettings,
): LimitAsk[] {
  const asks: LimitAsk[] = []
  let tokens: number | undefined
  const estimate = (): number =>
    (tokens ??= tokensOf(
      Math.ceil(worst.input() / 4),
      worst.output() ?? usualOutput(caller, group),
      settings,
    ))
  for (const holder of holders) {
    const { terms, account, scope } = holder
    for (const ask of ownLimits(holder))
      asks.push(ask.kind === 'tokens' ? { ...ask, amount: estimate() } : ask)
    const usual = scope === 'key' ? keyLimits : undefined
    const modelRpm = terms.modelRpm.get(group) ?? terms.modelRpm.get(asked) ?? usual?.rpm
    if (modelRpm !== undefined)
      asks.push({
        id: `${account}|model:${group}`,
        kind: 'requests',
        limit: modelRpm,
        amount: 1,
        windowMs: minute,
        descriptor: `model_per_${scope}`,
        name: group,
      })
    const modelTpm = terms.modelTpm.get(group) ?? terms.modelTpm.get(asked) ?? usual?.tpm
    if (modelTpm !== undefined)
      asks.push({
        id: `${account}|model:${group}`,
        kind: 'tokens',
        limit: modelTpm,
        amount: estimate(),
        windowMs: minute,
        descriptor: `model_per_${scope}`,
        name: group,
      })
    if (terms.tagRpm.size === 0) continue
    for (const tag of tags) {
      const limit = terms.tagRpm.get(tag)
      if (limit !== undefined)
        asks.push({
          id: `${account}|tag:${tag}`,
          kind: 'requests',
          limit,
          amount: 1,
          windowMs: minute,
          descriptor: `tag_per_${scope}`,
          name: tag,
        })
    }
  }
  if (settings.parallel !== undefined)
    asks.push({
      id: 'proxy',
      kind: 'max_parallel_requests',
      limit: settings.parallel,
      amount: 1,
      windowMs: minute,
      descriptor: 'global',
      name: 'this gateway',
    })
  return asks
}

/** What an answer is reckoned to be that nothing bounds, where its key or its team says so. */
function usualOutput({ grant }: Caller, group: string): number {
  for (const doc of [grant?.key, grant?.team]) {
    const own = object(doc?.data['metadata'])
    const tokens =
      number(object(own['default_estimated_output_tokens_per_model'])[group]) ??
      number(own['default_estimated_output_tokens'])
    if (tokens !== undefined && tokens > 0) return tokens
  }
  return 0
}

type Side = { side: 'input' | 'output'; ask: LimitAsk }
const bothSides = ['input', 'output'] as const
const noSides: readonly Side[] = []

/** Limits of the tokens that are read, and of those that are written. Few keys have any. */
function sidesOf(
  holders: readonly Holder[],
  { caller, group, asked, worst }: Entering,
): readonly Side[] {
  let sides: Side[] | undefined
  for (const { terms, account, scope } of holders)
    for (const side of bothSides) {
      const of = terms.modelSides[side]
      if (of.size === 0) continue
      const limit = of.get(group) ?? of.get(asked)
      if (limit === undefined) continue
      const ask: LimitAsk = {
        id: `${account}|model:${group}|${side}`,
        kind: 'tokens',
        limit,
        amount:
          side === 'input'
            ? Math.ceil(worst.input() / 4)
            : (worst.output() ?? usualOutput(caller, group)),
        windowMs: minute,
        descriptor: `model_per_${scope}`,
        name: `${group} (${side})`,
      }
      ;(sides ??= []).push({ side, ask })
    }
  return sides ?? noSides
}

const isOfRequests = ({ kind }: LimitAsk): boolean => kind === 'requests'

const tokensOf = (input: number, output: number, { tokens = 'total' }: AdmitSettings): number =>
  tokens === 'input' ? input : tokens === 'output' ? output : input + output

const none: Readonly<Record<string, string>> = {}
function headersOf(taken: Taken, caller: Caller): Readonly<Record<string, string>> {
  if (!caller.grant) return none
  const headers: Record<string, string> = {}
  for (const { ask, left } of taken.left) {
    if (ask.windowMs === day) continue
    const names = headersFor(ask)
    headers[names.limit] = names.bound
    headers[names.left] = String(left)
  }
  const own = keyTerms(caller)
  if (own?.rpm !== undefined) headers['x-litellm-key-rpm-limit'] = String(own.rpm)
  if (own?.tpm !== undefined) headers['x-litellm-key-tpm-limit'] = String(own.tpm)
  if (own?.budget) headers['x-litellm-key-max-budget'] = String(own.budget.max / 1e9)
  return headers
}

/** `end_user_budget_id`: of customers who have no budget of their own. */
const customerBudgetOf = ({ grant }: Caller): string | undefined =>
  grant &&
  text(
    grant.key.data['end_user_budget_id'] ??
      object(grant.key.data['metadata'])['end_user_budget_id'],
  )

const keyTerms = ({ grant }: Caller): Holder['terms'] | undefined =>
  grant?.holders.find(({ scope }) => scope === 'key')?.terms

const whoOf = ({ descriptor, name }: LimitAsk): string =>
  descriptor === 'api_key' ? 'api_key: this key' : `${descriptor}: ${name.slice(0, 200)}`

function limitRefusal(ask: LimitAsk, retryAfterMs: number, now: number): GatewayError {
  const seconds = Math.max(1, Math.min(ask.windowMs / 1000, Math.ceil(retryAfterMs / 1000)))
  const resets = new Date(now + retryAfterMs).toISOString().replace('T', ' ').slice(0, 19)
  return new GatewayError(
    'rate_limit',
    `Rate limit exceeded for ${whoOf(ask)}. Limit type: ${ask.kind}. Current limit: ${ask.limit}, Remaining: 0. Limit resets at: ${resets} UTC`,
    {
      type: 'throttling_error',
      code: '429',
      retryAfter: String(seconds),
      headers: { rate_limit_type: ask.kind, reset_at: `${resets} UTC` },
    },
  )
}

const money = (nanoDollars: number): string => String(Number((nanoDollars / 1e9).toFixed(9)))

/** What was spent, the bound, what is left, and which bound of the output would still fit. */
function budgetRefusal(
  { account, max, spend, left }: Refused,
  budgets: readonly (Ask & { holder: Holder | undefined; model?: boolean })[],
  { group, worst }: Entering,
  cost: number,
  input: number,
  price: Price | undefined,
  { budgetStatus }: AdmitSettings,
): GatewayError {
  const budget = budgets.find((one) => one.account === account)
  const holder = budget?.holder
  const figures = `Current cost: ${money(spend)}, Max budget: ${money(max)}`
  const id = (holder?.id ?? '').slice(0, 200)
  const name = (holder?.name ?? '').slice(0, 200)
  const said = (): string => {
    if (!holder)
      return account.startsWith('customer:')
        ? `ExceededBudget: End User=${account.slice(9, 209)} over budget. Spend=${money(spend)}, Budget=${money(max)}`
        : `Budget has been exceeded! ${figures}`
    if (budget?.model)
      return `LiteLLM ${modelBudgetOf[holder.scope] ?? 'Virtual Key'}: ${name}, exceeded budget for model=${group.slice(0, 200)}. ${figures}`
    switch (holder.scope) {
      case 'key':
        return `Budget has been exceeded! Key=${name} ${figures}`
      case 'user':
        return `ExceededBudget: User=${id} over budget. Spend=${money(spend)}, Budget=${money(max)}`
      case 'customer':
        return `ExceededBudget: End User=${id} over budget. Spend=${money(spend)}, Budget=${money(max)}`
      case 'member': {
        const [team = '', ...user] = id.split('/')
        return `Budget has been exceeded! User=${user.join('/')} in Team=${team} ${figures}`
      }
      case 'team':
        return `Budget has been exceeded! Team=${id} ${figures}`
      case 'project':
        return `Budget has been exceeded! Project=${id} ${figures}`
      case 'tag':
        return `Budget has been exceeded! Tag=${id} ${figures}`
      default:
        return `Budget has been exceeded! Organization=${id} ${figures}`
    }
  }
  return new GatewayError(
    'budget',
    `${said()}. Left: ${money(left)}; this request may cost up to ${money(cost)}.${hint(price, input, left, worst)}`,
    { status: budgetStatus, type: 'budget_exceeded', code: String(budgetStatus) },
  )
}

const modelBudgetOf: Readonly<Partial<Record<Holder['scope'], string>>> = {
  user: 'User',
  team: 'Team',
  member: 'Team Member',
  organization: 'Organization',
  organization_member: 'Organization Member',
  project: 'Project',
  customer: 'End User',
  tag: 'Tag',
}

/** The output bound with which the request would fit what is left. */
function hint(price: Price | undefined, input: number, left: number, worst: Worst): string {
  if (left <= 0 || worst.units) return ''
  const costs = (output: number): number => mostOf(price, input, output, worst)
  const own = costs(0)
  const each = (costs(1000) - own) / 1000
  if (each <= 0 || own >= left) return ''
  let tokens = Math.floor((left - own) / each)
  while (tokens > 0 && costs(tokens) > left) tokens--
  return tokens > 0 ? ` It fits with an output of at most ${tokens} tokens (max_tokens).` : ''
}
