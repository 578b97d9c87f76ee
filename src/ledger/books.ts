import type { Account } from '../store/accounts.ts'
import type { Store } from '../store/store.ts'

/** Management's way to the books. */
export type Books = {
  readonly store: Store
  /**
   * Accounts as they are now, with what this process has settled and not yet written. Accounts that never spent are
   * there too, with nothing spent.
   */
  accounts(ids: readonly string[]): Promise<Map<string, Account>>
  /** Writes what has been settled: what is read from the tables afterwards has every answered request of this process. */
  flush(): Promise<void>
}
