import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import { nextReset } from '../store/durations.ts'
import type { Tx } from '../store/store.ts'
import type { DocKind } from '../store/tables.ts'
import { budgetKeys, checkSoftBudget } from './budget-table.ts'
import { budgetFields, id, ids, instant } from './fields.ts'
import {
  type AdminRoute,
  badRequest,
  iso,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'
import { clockOf } from './settings.ts'
import { created, merged, shownOnly, updated } from './written.ts'

/** Budgets that several may hold: whatever is written here reaches all of them with their next request. */

const fields = {
  ...budgetFields,
  budget_reset_at: instant.nullish().meta({
    description: 'Worked out from budget_duration, for each holder: what is sent is not kept',
  }),
}
const newBudget = z.looseObject({ budget_id: id.nullish(), ...fields }).meta({ id: 'NewBudget' })
const budgetUpdate = z.looseObject({ budget_id: id, ...fields }).meta({ id: 'BudgetUpdate' })
const budgetInfo = z.object({ budgets: ids }).meta({ id: 'BudgetIds' })
const budgetDelete = z.object({ id }).meta({ id: 'BudgetId' })
const row = z.looseObject({ budget_id: z.string() }).meta({ id: 'Budget' })
const rows = z.array(row).meta({ id: 'Budgets' })

const derived = new Set([...shownOnly, 'budget_id', 'id'])

/** One budget as LiteLLM shows it. It has no spend of its own; its next reset is the one a holder would have. */
export function budgetRow(
  visit: Visit,
  { id: budgetId, data, createdAt, updatedAt }: Doc<'budget'>,
): JsonObject {
  const duration = text(data['budget_duration'])
  return {
    ...data,
    ...Object.fromEntries(budgetKeys.map((key) => [key, data[key] ?? null])),
    budget_id: budgetId,
    budget_reset_at: duration === undefined ? null : iso(nextReset(duration, clockOf(visit))),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newBudget)
  const budgetId = body.budget_id ?? crypto.randomUUID()
  const data = { ...merged({}, body, derived), ...created(visit) }
  checkSoftBudget(data)
  const doc = await storeOf(visit).write((tx) => tx.budget.insert({ id: budgetId, data }))
  return json(budgetRow(visit, doc))
}

async function update(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, budgetUpdate)
  const doc = await storeOf(visit).write((tx) =>
    tx.budget.update(body.budget_id, (one) => {
      one.data = { ...merged(one.data, body, derived), ...updated(visit) }
      checkSoftBudget(one.data)
    }),
  )
  return json(budgetRow(visit, doc ?? missing(body.budget_id)))
}

async function info(visit: Visit): Promise<Outgoing> {
  const { budgets } = await readBody(visit, budgetInfo)
  if (budgets.length === 0) throw badRequest('budgets: name at least one budget_id', 'budgets')
  const found = await storeOf(visit).docs.budget.many([...new Set(budgets)])
  return json(found.map((doc) => budgetRow(visit, doc)))
}

async function list(visit: Visit): Promise<Outgoing> {
  const all = await storeOf(visit).docs.budget.list({ sort: 'created_at' })
  return json(all.map((doc) => budgetRow(visit, doc)))
}

/** Fields of a budget as LiteLLM's pages ask for them, each with what it is now. */
async function settings(visit: Visit): Promise<Outgoing> {
  const { budget_id } = readQuery(visit, z.object({ budget_id: id }))
  const data = (await storeOf(visit).docs.budget.find(budget_id))?.data ?? {}
  return json(
    described.map(([field_name, field_type, field_description]) => ({
      field_name,
      field_type,
      field_description,
      field_value: data[field_name] ?? null,
      stored_in_db: true,
      field_default_value: null,
    })),
  )
}

const described: readonly [name: string, type: string, description: string][] = [
  ['max_budget', 'Float', 'Requests are refused once this much (USD) is spent.'],
  ['soft_budget', 'Float', 'A warning is due at this spend (USD); requests go on.'],
  ['max_parallel_requests', 'Integer', 'Requests at the same time.'],
  ['tpm_limit', 'Integer', 'Tokens per minute.'],
  ['rpm_limit', 'Integer', 'Requests per minute.'],
  ['tpd_limit', 'Integer', 'Tokens per day.'],
  [
    'budget_duration',
    'String',
    "How long a budget lasts before it starts again: '1h', '1d', '30d'.",
  ],
  ['model_max_budget', 'Object', 'A budget for each model.'],
]

async function remove(visit: Visit): Promise<Outgoing> {
  const { id: budgetId } = await readBody(visit, budgetDelete)
  if (defaultsToIt(visit, budgetId))
    throw badRequest(
      `Budget '${budgetId.slice(0, 100)}' is the max_end_user_budget_id of the configuration: change that first`,
      'id',
    )
  const doc = await storeOf(visit).write(async (tx) => {
    const found = (await tx.budget.find(budgetId)) ?? missing(budgetId)
    await refuseHeld(tx, budgetId)
    await tx.budget.remove(budgetId)
    return found
  })
  return json(budgetRow(visit, doc))
}

const defaultsToIt = ({ rooms }: Visit, budgetId: string): boolean =>
  rooms.settings.said.settings['max_end_user_budget_id'] === budgetId

/** Whoever holds a budget that goes away would be bounded by nothing, and nobody would have said so. */
async function refuseHeld(tx: Tx, budgetId: string): Promise<void> {
  const counts: string[] = []
  for (const kind of holders) {
    const count = await tx[kind].count({ where: { budget_id: budgetId } })
    if (count > 0) counts.push(`${count} ${kind.replaceAll('_', ' ')}${count === 1 ? '' : 's'}`)
  }
  if (counts.length > 0)
    throw badRequest(
      `Budget '${budgetId.slice(0, 100)}' is held by ${counts.join(', ')}: give them another budget first`,
      'id',
    )
}
const holders = [
  'virtual_key',
  'gateway_user',
  'team_member',
  'organization',
  'organization_member',
  'customer',
  'tag',
  'project',
] as const satisfies readonly DocKind[]

function missing(budgetId: string): never {
  throw notFound(`Budget '${budgetId.slice(0, 100)}' does not exist`)
}

export const budgetRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/budget/new',
    permission: 'admin',
    summary: 'Make a budget that several may hold',
    input: newBudget,
    output: row,
    run: create,
  },
  {
    method: 'POST',
    path: '/budget/update',
    permission: 'admin',
    summary: 'Change a budget for all who hold it',
    input: budgetUpdate,
    output: row,
    run: update,
  },
  {
    method: 'POST',
    path: '/budget/info',
    permission: 'view',
    summary: 'Budgets by their ids',
    input: budgetInfo,
    output: rows,
    run: info,
  },
  {
    method: 'GET',
    path: '/budget/list',
    permission: 'view',
    summary: 'Every budget',
    output: rows,
    run: list,
  },
  {
    method: 'GET',
    path: '/budget/settings',
    permission: 'view',
    summary: 'Fields of a budget and what they are',
    run: settings,
  },
  {
    method: 'POST',
    path: '/budget/delete',
    permission: 'admin',
    summary: 'Delete a budget nobody holds',
    input: budgetDelete,
    output: row,
    run: remove,
  },
]
