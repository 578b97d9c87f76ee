import { list, text } from '../json/json.ts'
import { within } from '../ledger/purse.ts'
import type { Doc } from '../store/docs.ts'
import type { Store } from '../store/store.ts'
import { type Holder, holderOf } from './terms.ts'

/** What a request names besides its key: customers, tags, groups of models. */
export type Parties = {
  /**
   * A customer somebody made; undefined: a walk-in. At once when it was seen lately. `budgetId`: what bounds whoever has no
   * budget of their own, where the key that asks says so (`end_user_budget_id`).
   */
  customer(id: string, budgetId?: string): Known | undefined | Promise<Known | undefined>
  /** A tag somebody made. */
  tag(name: string): Holder | undefined
  /** Models of an access group that was made by itself (others are named by `model_info.access_groups`). */
  group(name: string): readonly string[] | undefined
  /** Resolves when what has been written last is known here; undefined: it is. */
  settling(): Promise<void> | undefined
  /** `max_end_user_budget_id`: the budget of every customer that has none. */
  setDefaultBudget(id: string | undefined): Promise<void>
}
export type Known = { doc: Doc<'customer'>; holder: Holder }

const customersMax = 10_000

/** Tags and groups are few and held; of customers the latest are. `firstDefault`: `max_end_user_budget_id`. */
export async function createParties(
  store: Store,
  firstDefault: string | undefined,
): Promise<Parties> {
  let defaultBudget = firstDefault
  let tags = new Map<string, Holder>()
  let groups = new Map<string, readonly string[]>()
  const customers = new Map<string, Known | undefined>()
  /** The same by the budget of the key that asked, a line end, and their id. */
  const byBudget = new Map<string, Known | undefined>()
  let anyCustomer = true
  let writes = 0
  let reading: Promise<void> | undefined

  async function budgetOf(id: string | null | undefined): Promise<Doc<'budget'> | undefined> {
    return id ? store.docs.budget.find(id) : undefined
  }

  async function read(): Promise<void> {
    const before = writes
    const [tagDocs, groupDocs, customerCount] = await Promise.all([
      store.docs.tag.list(),
      store.docs.access_group.list(),
      store.docs.customer.list({ limit: 1 }),
    ])
    const budgets = new Map(
      (
        await store.docs.budget.many(
          tagDocs.flatMap(({ columns }) => (columns.budget_id ? [columns.budget_id] : [])),
        )
      ).map((one) => [one.id, one]),
    )
    if (before !== writes) return read()
    tags = new Map(
      tagDocs.map((doc) => [doc.id, holderOf(doc, budgets.get(doc.columns.budget_id ?? ''))]),
    )
    groups = new Map(
      groupDocs.flatMap((doc): [string, readonly string[]][] => {
        const models = list(doc.data['access_model_names'])
          .map((name) => text(name))
          .filter((name) => name !== undefined)
        // Lists of models have its name, `access_group_ids` its id.
        return [
          [doc.id, models],
          [doc.uniqueName ?? doc.id, models],
        ]
      }),
    )
    // A gateway that knows no customers need not look for each.
    anyCustomer = customerCount.length > 0
  }

  store.onChange((kind, id) => {
    if (!bearing.has(kind) && id !== '') return
    writes++
    if (kind === 'customer') {
      customers.delete(id)
      byBudget.clear()
      anyCustomer = true
      return
    }
    if (kind === 'budget' || id === '') {
      customers.clear()
      byBudget.clear()
    }
    reading ??= read()
      .catch(() => {})
      .finally(() => {
        reading = undefined
      })
  })
  await read()

  async function find(id: string, ofKey: string | undefined): Promise<Known | undefined> {
    const looking = look(id, ofKey)
    await within(looking)
    return looking
  }

  async function look(id: string, ofKey: string | undefined): Promise<Known | undefined> {
    const before = writes
    const doc = await store.docs.customer.find(id)
    const own = doc?.columns.budget_id
    // A budget that the key names and nobody has any more bounds nobody: what is set for everybody does.
    const shared = own
      ? await budgetOf(own)
      : ((await budgetOf(ofKey)) ?? (await budgetOf(defaultBudget)))
    const known = doc ? { doc, holder: holderOf(doc, shared) } : walkedIn(id, shared)
    if (before === writes) {
      const held = ofKey === undefined ? customers : byBudget
      if (held.size >= customersMax) held.delete(held.keys().next().value ?? '')
      held.set(ofKey === undefined ? id : `${ofKey}\n${id}`, known)
    }
    return known
  }

  /** Whoever nobody made has the budget that is set for everybody. */
  function walkedIn(id: string, budget: Doc<'budget'> | undefined): Known | undefined {
    if (!budget) return undefined
    const doc: Doc<'customer'> = {
      kind: 'customer',
      id,
      uniqueName: null,
      columns: {},
      data: {},
      createdAt: 0,
      updatedAt: 0,
    }
    return { doc, holder: holderOf(doc, budget) }
  }

  return {
    customer(id, budgetId) {
      if (budgetId !== undefined) {
        const name = `${budgetId}\n${id}`
        return byBudget.has(name) ? byBudget.get(name) : find(id, budgetId)
      }
      if (!anyCustomer && defaultBudget === undefined) return undefined
      return customers.has(id) ? customers.get(id) : find(id, undefined)
    },
    tag: (name) => tags.get(name),
    group: (name) => groups.get(name),
    settling: () => reading,
    async setDefaultBudget(id) {
      writes++
      defaultBudget = id
      customers.clear()
      byBudget.clear()
    },
  }
}

const bearing = new Set(['customer', 'tag', 'access_group', 'budget'])
