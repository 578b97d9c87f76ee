import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Json, JsonObject } from '../json/json.ts'
import { list, text } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import type { Payer } from '../ledger/ledger.ts'
import type { Ask, Refused, Reserved } from '../ledger/purse.ts'
import { costOf, type Price, type Units } from '../provider/cost.ts'
import { matched } from '../router/groups.ts'
import { accountOf } from '../store/accounts.ts'
import type { Caller } from './caller.ts'
import type { LimitAsk, Limits, Taken } from './limits.ts'
import type { Parties } from './parties.ts'
import { type Budget, boundAt, type Holder } from './terms.ts'

/** A request that asks to be let in, as far as its money and its pace go. */
export type Entering = {
  caller: Caller
  /** The public name that answers, aliases resolved. */
  group: string
  /** Prices of the deployments that may answer; the dearest counts. */
  prices: readonly Price[]
  /** What it may use at most. Asked only where somebody's budget or tokens are bounded. */
  worst: Worst
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
}

/** A request that has been let in. */
export type Pass = {
  payer: Payer
  /** `x-ratelimit-*` and the key's own figures. */
  headers: Readonly<Record<string, string>>
  /** What the input alone costs, for a process that does not live to settle it; nano-dollars. */
  inputCost: number
  /** A dearer deployment is about to be tried: sets more aside, or throws. */
  cover(price: Price): void | Promise<void>
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
  /** `provider_budget_config`. */
  providers: ReadonlyMap<string, Budget>
  /** `global_max_parallel_requests`. */
  parallel: number | undefined
  /** Output of a request that does not bound it, where nothing better is known, in tokens. */
  outputOtherwise: number
  /** Told when a soft budget has been passed. */
  onSoft?(holder: Holder, spend: number): void
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
    const taken = limits.take(limitsOf(holders, entering, settings))
    return taken instanceof Promise
      ? taken.then((one) => pay(entering, holders, one))
      : pay(entering, holders, taken)
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
    const bounded = worst.output()
    const output = bounded ?? worst.modelOutput() ?? settings.outputOtherwise
    const short = (
      settings.overshoot === 'bounded'
        ? bounded === undefined
        : settings.overshoot === 'allow'
    )
      ? 'clip'
      : 'refuse'
    const cheap = costAtMost(price, worst.input(), output, worst.units)
    // Nobody can tell what it will cost: it is let in while anything is left.
    if (worst.unknown) {
      const one = books.purses.reserve(budgets, { amount: 1, short: 'clip' })
      const into = (reserved: Reserved | Refused): Pass => {
        if (reserved.ok) return passOf(entering, holders, taken, reserved, 1)
        throw budgetRefusal(reserved, budgets, entering, 1, worst.input(), undefined, settings)
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
      const counted = costAtMost(price, exact, output, worst.units)
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
    const { caller, group } = entering
    const more: Reserved[] = []
    let set = amount
    return {
      payer: payerOf(entering, holders, settings),
      headers: headersOf(taken, caller),
      inputCost: reserved
        ? costAtMost(
            dearest(entering.prices, 0),
            Math.ceil(entering.worst.input() / 4),
            0,
            undefined,
          )
        : 0,
      cover(price) {
        if (!reserved) return
        const { worst } = entering
        const output = worst.output() ?? worst.modelOutput() ?? settings.outputOtherwise
        const wanted = costAtMost(price, worst.input(), output, worst.units)
        if (wanted <= set) return
        const budgets = budgetsOf(holders, entering, settings, now())
        const missing = wanted - set
        const got = books.purses.reserve(budgets, {
          amount: missing,
          short: worst.output() === undefined ? 'clip' : 'refuse',
        })
        const take = (one: Reserved | Refused): void => {
          if (!one.ok)
            throw budgetRefusal(one, budgets, entering, wanted, worst.input(), price, settings)
          more.push(one)
          set = wanted
        }
        return got instanceof Promise ? got.then(take) : take(got)
      },
      release(usage, fault) {
        reserved?.release()
        for (const one of more) one.release()
        const tokens = inputTokens(usage) + outputTokens(usage)
        taken.release(fault && tokens === 0 ? 0 : tokens)
        if (settings.onSoft) tellSoft(holders, group)
      },
    }
  }

  function tellSoft(holders: readonly Holder[], _group: string): void {
    const soft = holders.filter(({ terms }) => terms.soft !== undefined)
    if (soft.length === 0) return
    books
      .accounts(soft.map(({ account }) => account))
      .then((accounts) => {
        for (const holder of soft) {
          const spend = accounts.get(holder.account)?.spend ?? 0
          if (holder.terms.soft !== undefined && spend >= holder.terms.soft)
            settings.onSoft?.(holder, spend)
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
    const known = parties.customer(customerId)
    const go = (one: Awaited<typeof known>): Pass | Promise<Pass> => {
      if (one?.doc.data['blocked'] === true)
        throw new GatewayError(
          'authentication',
          `Authentication Error, User blocked from making LLM API Calls. User=${customerId.slice(0, 200)}`,
          { type: 'auth_error', param: 'None', code: '401' },
        )
      const models = list(one?.doc.data['models'])
      if (models.length > 0 && !models.some((name) => fits(name, entering.group)))
        throw new GatewayError(
          'permission',
          `The requested model '${entering.group.slice(0, 200)}' is not in the allowed models for this customer. Check the models this customer can use and try again.`,
          { type: 'customer_model_access_denied', param: 'model', code: '403' },
        )
      return enter(entering, one?.holder)
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
  { group, customerId }: Entering,
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
      const own = modelBudget(models, group)
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

function modelBudget(models: ReadonlyMap<string, Budget>, group: string): Budget | undefined {
  const own = models.get(group)
  if (own) return own
  for (const [name, budget] of models) if (fits(name, group)) return budget
  return undefined
}

const lastPayers = new WeakMap<Caller, { group: string; payer: Payer }>()

/** Mostly the same as for the caller's last request: then it is the same object, which the journal names by a number. */
function payerOf(entering: Entering, holders: readonly Holder[], settings: AdmitSettings): Payer {
  const { caller, customerId, group, tags, sessionId, ip, userAgent, metadata } = entering
  const last = lastPayers.get(caller)
  if (
    last &&
    last.group === group &&
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
  lastPayers.set(caller, { group, payer })
  return payer
}

/** Every account its spend is added to, whether it bounds anything or not. */
function accountsOf(
  holders: readonly Holder[],
  entering: Entering,
  settings: AdmitSettings,
): string[] {
  const { caller, customerId, tags, group } = entering
  const accounts = new Set<string>()
  if (caller.keyId !== '' && !caller.grant) accounts.add(accountOf.key(caller.keyId))
  for (const { account, terms } of holders) {
    accounts.add(account)
    for (const window of terms.windows) accounts.add(window.account)
    if (terms.models.size > 0) {
      const own = modelBudget(terms.models, group)
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
    const one = costAtMost(price, Math.max(input, 1000), 1000, undefined)
    if (one > cost) {
      cost = one
      most = price
    }
  }
  return most
}

/** Nano-dollars that so much input and output cost at most, whatever of it is cached, thought or spoken. */
function costAtMost(
  price: Price | undefined,
  input: number,
  output: number,
  units: Units | undefined,
): number {
  if (!price) return 0
  let most = 0
  for (const into of ['input', 'cacheWrite'] as const)
    for (const out of ['output', 'reasoning'] as const) {
      const usage: Usage = { ...noUsage, [into]: input, [out]: output }
      most = Math.max(most, costOf(usage, price, units ? { units } : undefined).nanoDollars)
    }
  return most
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

function limitsOf(
  holders: readonly Holder[],
  { group, worst }: Entering,
  settings: AdmitSettings,
): LimitAsk[] {
  const asks: LimitAsk[] = []
  let tokens: number | undefined
  const estimate = (): number => (tokens ??= Math.ceil(worst.input() / 4) + (worst.output() ?? 0))
  for (const { terms, account, scope, name } of holders) {
    const descriptor = descriptors[scope]
    if (terms.rpm !== undefined)
      asks.push({
        id: account,
        kind: 'requests',
        limit: terms.rpm,
        amount: 1,
        windowMs: minute,
        descriptor,
        name,
      })
    if (terms.tpm !== undefined)
      asks.push({
        id: account,
        kind: 'tokens',
        limit: terms.tpm,
        amount: estimate(),
        windowMs: minute,
        descriptor,
        name,
      })
    if (terms.tpd !== undefined)
      asks.push({
        id: account,
        kind: 'tokens',
        limit: terms.tpd,
        amount: estimate(),
        windowMs: day,
        descriptor,
        name,
      })
    if (terms.parallel !== undefined)
      asks.push({
        id: account,
        kind: 'max_parallel_requests',
        limit: terms.parallel,
        amount: 1,
        windowMs: minute,
        descriptor,
        name,
      })
    const modelRpm = terms.modelRpm.get(group)
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
    const modelTpm = terms.modelTpm.get(group)
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

const none: Readonly<Record<string, string>> = {}
function headersOf(taken: Taken, caller: Caller): Readonly<Record<string, string>> {
  if (!caller.grant) return none
  const headers: Record<string, string> = {}
  for (const { ask, left } of taken.left) {
    if (ask.windowMs === day) continue
    headers[`x-ratelimit-${ask.descriptor}-limit-${ask.kind}`] = String(ask.limit)
    headers[`x-ratelimit-${ask.descriptor}-remaining-${ask.kind}`] = String(left)
  }
  const own = caller.grant.holders.find(({ scope }) => scope === 'key')?.terms
  if (own?.rpm !== undefined) headers['x-litellm-key-rpm-limit'] = String(own.rpm)
  if (own?.tpm !== undefined) headers['x-litellm-key-tpm-limit'] = String(own.tpm)
  if (own?.budget) headers['x-litellm-key-max-budget'] = String(own.budget.max / 1e9)
  return headers
}

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
      return `LiteLLM Virtual Key: ${name}, exceeded budget for model=${group.slice(0, 200)}. ${figures}`
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

/** The output bound with which the request would fit what is left. */
function hint(price: Price | undefined, input: number, left: number, worst: Worst): string {
  if (left <= 0 || worst.units) return ''
  const own = costAtMost(price, input, 0, undefined)
  const each = (costAtMost(price, input, 1000, undefined) - own) / 1000
  if (each <= 0 || own >= left) return ''
  let tokens = Math.floor((left - own) / each)
  while (tokens > 0 && costAtMost(price, input, tokens, undefined) > left) tokens--
  return tokens > 0 ? ` It fits with an output of at most ${tokens} tokens (max_tokens).` : ''
}
