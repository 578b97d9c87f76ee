import { GatewayError } from '../errors.ts'
import type { Json } from '../json/json.ts'
import type { Ask, Refused } from '../ledger/purse.ts'
import type { Price } from '../provider/cost.ts'
import { matched } from '../router/groups.ts'
import { accountOf } from '../store/accounts.ts'
import type { AdmitSettings, Entering, Worst } from './admit.ts'
import { mostOf } from './most.ts'
import { type Budget, boundAt, type Holder } from './terms.ts'

/** A budget as the purses want it, whose it is, and whether it is of one model. */
export type Bounding = Ask & { holder: Holder | undefined; model?: boolean }

/** Every budget that bounds the request. */
export function budgetsOf(
  holders: readonly Holder[],
  { group, asked, customerId }: Pick<Entering, 'group' | 'asked' | 'customerId'>,
  { proxy, customerMax }: AdmitSettings,
  now: number,
): readonly Bounding[] {
  const asks: Bounding[] = []
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

export function modelBudget(
  models: ReadonlyMap<string, Budget>,
  group: string,
  asked: string,
): Budget | undefined {
  const own = models.get(group) ?? models.get(asked)
  if (own) return own
  for (const [name, budget] of models) if (fits(name, group)) return budget
  return undefined
}

export const fits = (pattern: Json, name: string): boolean =>
  typeof pattern === 'string' &&
  (pattern === name || (pattern.includes('*') && matched(pattern, name) !== undefined))

const money = (nanoDollars: number): string => String(Number((nanoDollars / 1e9).toFixed(9)))

/** What was spent, the bound, what is left, and which bound of the output would still fit. */
export function budgetRefusal(
  { account, max, spend, left }: Refused,
  budgets: readonly Bounding[],
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
