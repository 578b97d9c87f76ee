import type { Visit } from '../gateway/routes.ts'
import { type JsonObject, number, text } from '../json/json.ts'
import { type Account, configureAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { nextReset } from '../store/durations.ts'
import type { AllDocs, Store, Tx } from '../store/store.ts'
import { badRequest, dollarsOf, iso } from './route.ts'
import { clockOf } from './settings.ts'

/** Fields that LiteLLM keeps in its budget table, whoever they belong to. */
export const budgetKeys = [
  'max_budget',
  'soft_budget',
  'max_parallel_requests',
  'tpm_limit',
  'rpm_limit',
  'tpd_limit',
  'model_max_budget',
  'budget_duration',
  'allowed_models',
  'temp_budget_increase',
  'temp_budget_expiry',
] as const
const isBudgetKey: ReadonlySet<string> = new Set(budgetKeys)

/** Without the fields of a budget: where rows show those in `litellm_budget_table` only. */
export const withoutBudget = (data: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(data).filter(([key]) => !isBudgetKey.has(key)))

/** What counts: a thing's own fields, and those of the shared budget where it has none. */
export const effective = (data: JsonObject, shared: Doc<'budget'> | undefined): JsonObject => ({
  ...shared?.data,
  ...Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null)),
})

/** LiteLLM's `litellm_budget_table` of one thing; null where nothing bounds it. */
export function budgetTable(
  doc: Pick<Doc, 'data' | 'createdAt'>,
  shared: Doc<'budget'> | undefined,
  account: Account | undefined,
): JsonObject | null {
  if (!shared && !budgetKeys.some((key) => doc.data[key] !== undefined)) return null
  return wholeTable(doc, shared, account)
}

/** The same for what LiteLLM always gives a budget, be there anything in it or not. */
export function wholeTable(
  { data, createdAt }: Pick<Doc, 'data' | 'createdAt'>,
  shared: Doc<'budget'> | undefined,
  account: Account | undefined,
): JsonObject {
  const counts = effective(data, shared)
  return {
    budget_id: shared?.id ?? null,
    ...Object.fromEntries(budgetKeys.map((key) => [key, counts[key] ?? null])),
    budget_reset_at: resetOf(account),
    created_at: iso(shared?.createdAt ?? createdAt),
  }
}

/** What an account says of itself in any row. */
export const moneyOf = (account: Account | undefined): JsonObject => ({
  spend: dollarsOf(account?.spend ?? 0),
  total_spend: dollarsOf(account?.total ?? 0),
  budget_reset_at: resetOf(account),
})
export const spendOf = (account: Account | undefined): number => dollarsOf(account?.spend ?? 0)
const resetOf = (account: Account | undefined): string | null =>
  account?.resetsAt == null ? null : iso(account.resetsAt)

/** The shared budgets that documents refer to, by id. */
export async function budgetsOf(
  { docs }: Pick<Store, 'docs'>,
  of: readonly Doc[],
): Promise<Map<string, Doc<'budget'>>> {
  const wanted = new Set(of.flatMap((doc) => budgetIdOf(doc) ?? []))
  return new Map((await docs.budget.many([...wanted])).map((one) => [one.id, one]))
}
export const budgetIdOf = (doc: Pick<Doc, 'data'>): string | undefined =>
  text(doc.data['budget_id'])

/** The shared budget a body names. Throws 400 where there is none of that id. */
export async function namedBudget(
  docs: Pick<AllDocs, 'budget'>,
  budgetId: string | undefined,
): Promise<Doc<'budget'> | undefined> {
  if (budgetId === undefined) return undefined
  const found = await docs.budget.find(budgetId)
  if (!found)
    throw badRequest(
      `Budget '${budgetId.slice(0, 100)}' does not exist: create it with /budget/new first`,
      'budget_id',
    )
  return found
}

/**
 * Whoever is given another shared budget gets all of it: fields of their own that the same body does not say are gone,
 * as they are where LiteLLM links another row of its table.
 */
export function withBudget(was: JsonObject, sent: Readonly<Record<string, unknown>>): JsonObject {
  const { budget_id } = sent
  return typeof budget_id === 'string' && budget_id !== was['budget_id'] ? withoutBudget(was) : was
}

/** Gives a document's account the period that counts for it, so that the next reset shows at once. */
export async function configureFor(
  visit: Visit,
  tx: Tx,
  account: string,
  doc: Pick<Doc, 'data'>,
  shared?: Doc<'budget'>,
): Promise<void> {
  const duration = text(effective(doc.data, shared)['budget_duration']) ?? null
  await configureAccount(tx, account, duration, clockOf(visit))
}

/** `budget_limits` with the next reset of each window, as LiteLLM shows them. */
export const windowsOf = (visit: Visit, windows: readonly JsonObject[]): JsonObject[] =>
  windows.map((window) => ({
    ...window,
    reset_at: iso(nextReset(text(window['budget_duration']) ?? '', clockOf(visit))),
  }))

/** A soft budget is a warning before the end: it lies below the budget. Throws 400. */
export function checkSoftBudget(data: JsonObject): void {
  const soft = number(data['soft_budget'])
  const max = number(data['max_budget'])
  if (soft !== undefined && max !== undefined && soft >= max)
    throw badRequest(
      `soft_budget (${soft}) must be strictly lower than max_budget (${max})`,
      'soft_budget',
    )
}

/** Extra money for a while is an amount and an end, or neither. Throws 400. */
export function checkExtra(data: JsonObject): void {
  if ((data['temp_budget_increase'] === undefined) !== (data['temp_budget_expiry'] === undefined))
    throw badRequest(
      'temp_budget_increase and temp_budget_expiry must be set together',
      'temp_budget_increase',
    )
}
