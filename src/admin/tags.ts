import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type JsonObject, list, object, text } from '../json/json.ts'
import { seesAll } from '../policy/caller.ts'
import { accountOf } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { spendSums } from '../store/spend-sums.ts'
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
import { budgetFields, id, ids, longText, names } from './fields.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  iso,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'
import { dates, maybeDays, ownKeys } from './spend-sight.ts'
import { namesOfModels, retag } from './tag-models.ts'
import { created, merged, shownOnly, updated } from './written.ts'

/** Names that requests carry, with budgets, limits and deployments of their own. */

const fields = {
  description: longText.nullish(),
  models: names.nullish(),
  budget_id: id.nullish(),
  ...budgetFields,
}
const newTag = z.looseObject({ name: id, ...fields }).meta({ id: 'NewTag' })
const tagUpdate = z.looseObject({ name: id, ...fields }).meta({ id: 'TagUpdate' })
const tagNames = z.object({ names: ids }).meta({ id: 'TagNames' })
const tagName = z.object({ name: id }).meta({ id: 'TagName' })
const row = z.looseObject({ name: z.string() }).meta({ id: 'Tag' })
const answer = z.object({ message: z.string(), tag: row }).meta({ id: 'TagAnswer' })

const derived = new Set([...shownOnly, 'name', 'model_info'])

async function tagRows(visit: Visit, docs: readonly Doc<'tag'>[]): Promise<JsonObject[]> {
  const books = booksOf(visit)
  const [budgets, accounts, modelNames] = await Promise.all([
    budgetsOf(books.store, docs),
    books.accounts(docs.map((doc) => accountOf.tag(doc.id))),
    namesOfModels(
      visit,
      docs.flatMap(({ data }) => list(data['models']).map(String)),
    ),
  ])
  return docs.map((doc) => {
    const account = accounts.get(accountOf.tag(doc.id))
    const models = list(doc.data['models']).map(String)
    return {
      description: null,
      budget_id: null,
      ...withoutBudget(doc.data),
      name: doc.id,
      models,
      model_info: Object.fromEntries(
        models.flatMap((one) => {
          const known = modelNames.get(one)
          return known === undefined ? [] : [[one, known]]
        }),
      ),
      ...moneyOf(account),
      litellm_budget_table: budgetTable(doc, budgets.get(doc.columns.budget_id ?? ''), account),
      created_at: iso(doc.createdAt),
      updated_at: iso(doc.updatedAt),
    }
  })
}

const columnsOf = (data: JsonObject) => ({ budget_id: text(data['budget_id']) ?? null })

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newTag)
  const data = { ...merged({}, body, derived), ...created(visit) }
  checkSoftBudget(data)
  const doc = await storeOf(visit).write(async (tx) => {
    const shared = await namedBudget(tx, body.budget_id ?? undefined)
    const made = await tx.tag.insert({ id: body.name, data, columns: columnsOf(data) })
    await configureFor(visit, tx, accountOf.tag(made.id), made, shared)
    await retag(visit, tx, made.id, [], body.models ?? [])
    return made
  })
  const [tag] = await tagRows(visit, [doc])
  return json({ message: `Tag ${doc.id} created successfully`, tag })
}

async function update(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, tagUpdate)
  const doc = await storeOf(visit).write(async (tx) => {
    const before = await tx.tag.update(body.name, () => {})
    const models = list(before?.data['models']).map(String)
    const changed = await tx.tag.update(body.name, (one) => {
      one.data = { ...merged(withBudget(one.data, body), body, derived), ...updated(visit) }
      one.columns = columnsOf(one.data)
      checkSoftBudget(one.data)
    })
    if (!changed) throw missing([body.name])
    const shared = await namedBudget(tx, changed.columns.budget_id ?? undefined)
    await configureFor(visit, tx, accountOf.tag(changed.id), changed, shared)
    if (body.models !== undefined) await retag(visit, tx, changed.id, models, body.models ?? [])
    return changed
  })
  const [tag] = await tagRows(visit, [doc])
  return json({ message: `Tag ${doc.id} updated successfully`, tag })
}

const missing = (of: readonly string[]) =>
  notFound(
    of.length === 1
      ? `Tag ${of[0]?.slice(0, 200)} not found`
      : `Tags not found: ${of.join(', ').slice(0, 1000)}`,
  )

async function info(visit: Visit): Promise<Outgoing> {
  const asked = [...new Set((await readBody(visit, tagNames)).names)]
  if (asked.length === 0) throw badRequest('names: name at least one tag', 'names')
  const docs = await storeOf(visit).docs.tag.many(asked)
  const absent = asked.filter((one) => !docs.some((doc) => doc.id === one))
  if (absent.length > 0) throw missing(absent)
  const rows = await tagRows(visit, docs)
  return json(Object.fromEntries(rows.map((one) => [text(one['name']) ?? '', one])))
}

async function remove(visit: Visit): Promise<Outgoing> {
  const { name } = await readBody(visit, tagName)
  const books = booksOf(visit)
  await books.flush()
  await books.store.write(async (tx) => {
    const found = await tx.tag.find(name)
    if (!found) throw missing([name])
    await retag(visit, tx, name, list(found.data['models']).map(String), [])
    await tx.tag.remove(name)
    await closeAccounts(tx, [accountOf.tag(name)])
  })
  return json({ message: `Tag ${name} deleted successfully` })
}

/**
 * Tags that were made, tags the configuration gives a budget, and tags that requests just carried. Whoever does not see
 * everything sees those that requests of their own keys carried.
 */
async function listAll(visit: Visit): Promise<Outgoing> {
  const said = readQuery(visit, z.object(dates))
  if ((said.start_date === undefined) !== (said.end_date === undefined))
    throw badRequest('start_date and end_date must be provided together', 'start_date')
  const books = booksOf(visit)
  await books.flush()
  const keys = seesAll(visit.caller) ? undefined : await ownKeys(visit)
  const days = await spendSums(books.store.db.query, { scope: 'tag', keys, ...maybeDays(said) }, [
    'who',
    'day',
  ])
  const used = Map.groupBy(days, ({ who }) => who)
  const docs = keys
    ? await books.store.docs.tag.many([...used.keys()])
    : await books.store.docs.tag.list()
  const stored = new Set(docs.map((doc) => doc.id))
  const configured = keys ? [] : budgetsOfConfig(visit).filter(({ name }) => !stored.has(name))
  for (const { name } of configured) stored.add(name)
  const at = (day: number) => iso(day * 86_400_000)
  return json([
    ...(await tagRows(visit, docs)),
    ...configured,
    ...[...used]
      .filter(([name]) => !stored.has(name))
      .map(([name, rows]) => ({
        name,
        description: 'Requests carried this tag. It has no budget and no models of its own.',
        models: null,
        created_at: at(Math.min(...rows.map(({ day }) => day))),
        updated_at: at(Math.max(...rows.map(({ day }) => day))),
      })),
  ])
}

/** `tag_budget_config`: {tag: {max_budget, budget_duration}}. */
const budgetsOfConfig = ({ rooms }: Visit) =>
  Object.entries(object(rooms.settings.said.settings['tag_budget_config']))
    .filter(([, budget]) => isObject(budget))
    .map(([name, budget]) => ({
      name,
      description: 'From the configuration',
      models: null,
      litellm_budget_table: object(budget),
    }))

export const tagRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/tag/new',
    permission: 'admin',
    summary: 'Make a tag',
    input: newTag,
    output: answer,
    run: create,
  },
  {
    method: 'POST',
    path: '/tag/update',
    permission: 'admin',
    summary: 'Change what is named of a tag; null clears',
    input: tagUpdate,
    output: answer,
    run: update,
  },
  {
    method: 'POST',
    path: '/tag/info',
    permission: 'view',
    summary: 'Tags by their names',
    input: tagNames,
    run: info,
  },
  {
    method: 'GET',
    path: '/tag/list',
    permission: 'self',
    summary: 'Tags there are, and tags that requests carried',
    run: listAll,
  },
  {
    method: 'POST',
    path: '/tag/delete',
    permission: 'admin',
    summary: 'Delete a tag',
    input: tagName,
    run: remove,
  },
]
