import type { Books } from '../ledger/books.ts'
import type { Entry, Payer } from '../ledger/ledger.ts'
import { configureAccount } from '../store/accounts.ts'
import type { ResetClock } from '../store/durations.ts'
import type { Budget } from './terms.ts'

/**
 * What may be spent with each provider (`provider_budget_config`). A deployment whose provider has had it is passed over:
 * nobody is refused for it who can be served by another, so nothing is reserved, and what is under way may pass the bound.
 */
export type ProviderBudgets = {
  /** Why a provider is not asked now; undefined: it is. */
  spent(provider: string): string | undefined
  /** The entry with the provider's account among those that pay. */
  charged(entry: Entry): Entry
  close(): void
}

const readMs = 1000

export type ProviderBudgetsOptions = {
  budgets: ReadonlyMap<string, Budget>
  books: Pick<Books, 'store' | 'accounts'>
  clock: Omit<ResetClock, 'now'>
  now(): number
  log(level: 'warn', message: string, more?: Record<string, unknown>): void
}

export async function openProviderBudgets(
  options: ProviderBudgetsOptions,
): Promise<ProviderBudgets> {
  const { budgets, books, clock, now, log } = options
  /** Nano-dollars of the running period, as last read and with what was spent here since. */
  const spends = new Map<string, number>()
  const payers = new WeakMap<Payer, Map<string, Payer>>()
  const told = new Set<string>()
  if (budgets.size === 0) return { spent: () => undefined, charged: (entry) => entry, close() {} }

  await books.store.write(async (tx) => {
    for (const { account, duration } of budgets.values())
      await configureAccount(tx, account, duration ?? null, { ...clock, now: now() })
  })
  async function read(): Promise<void> {
    const accounts = await books.accounts([...budgets.values()].map(({ account }) => account))
    for (const [provider, { account }] of budgets)
      spends.set(provider, accounts.get(account)?.spend ?? 0)
  }
  await read()
  let reading = false
  const timer = setInterval(() => {
    if (reading) return
    reading = true
    // While the database is away, what was known holds.
    read()
      .catch(() => {})
      .finally(() => {
        reading = false
      })
  }, readMs)
  timer.unref?.()

  return {
    spent(provider) {
      const budget = budgets.get(provider)
      const spend = spends.get(provider) ?? 0
      if (!budget || spend < budget.max) {
        told.delete(provider)
        return undefined
      }
      const figures = `${money(spend)} of ${money(budget.max)}`
      if (!told.has(provider)) log('warn', `the budget for ${provider} is used up: ${figures}`)
      told.add(provider)
      return `Exceeded budget for provider ${provider}: ${figures}`
    },
    charged(entry) {
      const { provider, payer } = entry
      const budget = provider === undefined ? undefined : budgets.get(provider)
      if (!budget || provider === undefined || !payer) return entry
      spends.set(provider, (spends.get(provider) ?? 0) + entry.nanoDollars)
      // The same payer stays the same object: the journal names it by a number.
      let beside = payers.get(payer)
      if (!beside) payers.set(payer, (beside = new Map()))
      let known = beside.get(provider)
      if (!known) {
        known = { ...payer, accounts: [...payer.accounts, budget.account] }
        beside.set(provider, known)
      }
      return { ...entry, payer: known }
    },
    close: () => clearInterval(timer),
  }
}

const money = (nanoDollars: number): string => `$${Number((nanoDollars / 1e9).toFixed(9))}`
