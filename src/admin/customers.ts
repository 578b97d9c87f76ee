import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, text } from '../json/json.ts'
import { type Account, accountOf, setSpend } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import {
  budgetsOf,
  budgetTable,
  checkSoftBudget,
  configureFor,
  moneyOf,
  namedBudget,
  withBudget,
  withoutBudget,
} from './budget-table.ts'
import { closeAccounts } from './ending.ts'
import { budgetFields, id, ids, instant, name, names, objectPermission, spent } from './fields.ts'
import { refuseUnknownModels } from './model-names.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  iso,
  json,
  nanoOf,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'
import { created, merged, shownOnly, updated } from './written.ts'

/** Whom requests are for, beyond the key: the `user` of their bodies. Nobody has to be made before they are counted. */

const fields = {
  alias: name.nullish(),
  blocked: z.boolean().nullish(),
  budget_id: id.nullish(),
  ...budgetFields,
  budget_reset_at: instant.nullish(),
  allowed_model_region: z.enum(['eu', 'us']).nullish(),
  default_model: name.nullish(),
  models: names.nullish(),
  object_permission: objectPermission.nullish(),
}
const oneBudget = (body: { max_budget?: unknown; budget_id?: unknown }): boolean =>
  body.max_budget == null || body.budget_id == null
const twoBudgets = {
  message: "Set either 'max_budget' or 'budget_id', not both.",
  path: ['max_budget'],
}
const newCustomer = z
  .looseObject({ user_id: id, ...fields, spend: spent.nullish() })
  .refine(oneBudget, twoBudgets)
  .meta({ id: 'NewCustomer' })
const customerUpdate = z
  .looseObject({ user_id: id, ...fields })
  .refine(oneBudget, twoBudgets)
  .meta({ id: 'CustomerUpdate' })
const customerIds = z
  .object({ user_ids: ids.min(1, 'name at least one customer') })
  .meta({ id: 'CustomerIds' })
const row = z.looseObject({ user_id: z.string() }).meta({ id: 'Customer' })
const rows = z.array(row).meta({ id: 'Customers' })

const derived = new Set([...shownOnly, 'user_id', 'object_permission_id'])

function customerRow(
  doc: Pick<Doc<'customer'>, 'id' | 'data' | 'createdAt' | 'updatedAt'>,
  shared: Doc<'budget'> | undefined,
  account: Account | undefined,
): JsonObject {
  return {
    alias: null,
    blocked: false,
    allowed_model_region: null,
    default_model: null,
    models: [],
    budget_id: null,
    object_permission_id: null,
    object_permission: null,
    ...withoutBudget(doc.data),
    user_id: doc.id,
    ...moneyOf(account),
    litellm_budget_table: budgetTable(doc, shared, account),
    created_at: iso(doc.createdAt),
    updated_at: iso(doc.updatedAt),
  }
}

async function customerRows(visit: Visit, docs: readonly Doc<'customer'>[]): Promise<JsonObject[]> {
  const books = booksOf(visit)
  const [budgets, accounts] = await Promise.all([
    budgetsOf(books.store, docs),
    books.accounts(docs.map((doc) => accountOf.customer(doc.id))),
  ])
  return docs.map((doc) =>
    customerRow(
      doc,
      budgets.get(doc.columns.budget_id ?? ''),
      accounts.get(accountOf.customer(doc.id)),
    ),
  )
}
const rowNow = async (visit: Visit, doc: Doc<'customer'>): Promise<JsonObject> =>
  (await customerRows(visit, [doc]))[0] ?? {}

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newCustomer)
  await refuseUnknown(visit, body)
  const data = { ...merged({}, body, derived), ...created(visit) }
  checkSoftBudget(data)
  const doc = await storeOf(visit).write(async (tx) => {
    const shared = await namedBudget(tx, body.budget_id ?? undefined)
    const made = await tx.customer.insert({ id: body.user_id, data, columns: columnsOf(data) })
    const account = accountOf.customer(made.id)
    await configureFor(visit, tx, account, made, shared)
    if (body.spend != null) await setSpend(tx, account, nanoOf(body.spend))
    return made
  })
  return json(await rowNow(visit, doc))
}

async function update(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, customerUpdate)
  await refuseUnknown(visit, body)
  const doc = await storeOf(visit).write(async (tx) => {
    const changed = await tx.customer.update(body.user_id, (one) => {
      one.data = { ...merged(withBudget(one.data, body), body, derived), ...updated(visit) }
      one.columns = columnsOf(one.data)
      checkSoftBudget(one.data)
    })
    if (!changed) throw missing(body.user_id, 'user_id')
    const shared = await namedBudget(tx, changed.columns.budget_id ?? undefined)
    await configureFor(visit, tx, accountOf.customer(changed.id), changed, shared)
    return changed
  })
  return json(await rowNow(visit, doc))
}

async function refuseUnknown(
  visit: Visit,
  {
    models,
    default_model,
  }: { models?: string[] | null | undefined; default_model?: string | null | undefined },
): Promise<void> {
  const { router } = visit.rooms
  if (default_model != null && !router.knows(router.groups.nameOf(default_model)))
    throw badRequest(
      `default_model: '${default_model.slice(0, 100)}' is no model of this gateway: /v1/models lists what there is`,
      'default_model',
    )
  await refuseUnknownModels(visit, storeOf(visit).docs, models ?? [])
}

const columnsOf = (data: JsonObject) => ({
  alias: text(data['alias']) ?? null,
  budget_id: text(data['budget_id']) ?? null,
})

/** Somebody nobody has made, but who has been counted, is shown with what they have spent. */
async function info(visit: Visit): Promise<Outgoing> {
  const { end_user_id } = readQuery(visit, z.object({ end_user_id: id }))
  const books = booksOf(visit)
  const found = await books.store.docs.customer.find(end_user_id)
  if (found) return json(await rowNow(visit, found))
  const name = accountOf.customer(end_user_id)
  const account = (await books.accounts([name])).get(name)
  if (!account || (account.spend === 0 && account.total === 0))
    throw missing(end_user_id, 'end_user_id')
  const now = books.store.now()
  const nothing = { id: end_user_id, data: {}, createdAt: now, updatedAt: now }
  return json(customerRow(nothing, undefined, account))
}

async function listAll(visit: Visit): Promise<Outgoing> {
  return json(await customerRows(visit, await storeOf(visit).docs.customer.list()))
}

/** Whoever is not there yet is made, so that they cannot come at all. */
async function block(visit: Visit): Promise<Outgoing> {
  const { user_ids } = await readBody(visit, customerIds)
  const docs = await storeOf(visit).write(async (tx) => {
    const all: Doc<'customer'>[] = []
    for (const userId of new Set(user_ids))
      all.push(
        (await tx.customer.update(userId, (one) => {
          one.data = { ...one.data, blocked: true, ...updated(visit) }
        })) ??
          (await tx.customer.insert({ id: userId, data: { blocked: true, ...created(visit) } })),
      )
    return all
  })
  return json({ blocked_users: await customerRows(visit, docs) })
}

async function unblock(visit: Visit): Promise<Outgoing> {
  const { user_ids } = await readBody(visit, customerIds)
  await storeOf(visit).write(async (tx) => {
    for (const userId of new Set(user_ids))
      await tx.customer.update(userId, (one) => {
        one.data = { ...one.data, blocked: false, ...updated(visit) }
      })
  })
  return json({ blocked_users: [] })
}

async function remove(visit: Visit): Promise<Outgoing> {
  const { user_ids } = await readBody(visit, customerIds)
  const books = booksOf(visit)
  await books.flush()
  const wanted = [...new Set(user_ids)]
  await books.store.write(async (tx) => {
    for (const userId of wanted)
      if (!(await tx.customer.remove(userId))) throw missing(userId, 'user_ids')
    await closeAccounts(tx, wanted.map(accountOf.customer))
  })
  return json({
    deleted_customers: wanted.length,
    message: `Successfully deleted customers with ids: ${wanted.join(', ').slice(0, 1000)}`,
  })
}

const missing = (userId: string, param: string) =>
  notFound(`${param}: End User Id=${userId.slice(0, 200)} does not exist in db`)

/** Every route by its two names. */
const both = (
  method: AdminRoute['method'],
  verb: string,
  rest: Omit<AdminRoute, 'method' | 'path'>,
): AdminRoute[] =>
  ['customer', 'end_user'].map((noun) => ({ method, path: `/${noun}/${verb}`, ...rest }))

export const customerRoutes: readonly AdminRoute[] = [
  ...both('POST', 'new', {
    permission: 'admin',
    summary: 'Make a customer',
    input: newCustomer,
    output: row,
    run: create,
  }),
  ...both('POST', 'update', {
    permission: 'admin',
    summary: 'Change what is named of a customer; null clears',
    input: customerUpdate,
    output: row,
    run: update,
  }),
  ...both('GET', 'info', {
    permission: 'view',
    summary: 'A customer with what they have spent',
    output: row,
    run: info,
  }),
  ...both('GET', 'list', {
    permission: 'view',
    summary: 'Every customer somebody made',
    output: rows,
    run: listAll,
  }),
  ...both('POST', 'block', {
    permission: 'admin',
    summary: 'Refuse requests for customers',
    input: customerIds,
    run: block,
  }),
  ...both('POST', 'unblock', {
    permission: 'admin',
    summary: 'Let them in again',
    input: customerIds,
    run: unblock,
  }),
  ...both('POST', 'delete', {
    permission: 'admin',
    summary: 'Delete customers',
    input: customerIds,
    run: remove,
  }),
]
