import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { accountOf } from '../store/accounts.ts'
import type { Doc, ListOptions } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import {
  budgetKeys,
  checkExtra,
  checkSoftBudget,
  configureFor,
  effective,
  namedBudget,
  withBudget,
} from './budget-table.ts'
import { endOrganization } from './ending.ts'
import {
  budgetFields,
  dollars,
  id,
  ids,
  instant,
  limitByModel,
  metadata,
  name,
  names,
  objectPermission,
} from './fields.ts'
import { refuseUnknownModels } from './model-names.ts'
import { organizationRows } from './organization-row.ts'
import { organizationFor, runsOrganization } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'
import { standingOf } from './standing.ts'
import { created, merged, shownOnly, updated } from './written.ts'

const fields = {
  budget_id: id.nullish(),
  ...budgetFields,
  temp_budget_increase: dollars.nullish(),
  temp_budget_expiry: instant.nullish(),
  models: names.nullish(),
  metadata: metadata.nullish(),
  model_rpm_limit: limitByModel.nullish(),
  model_tpm_limit: limitByModel.nullish(),
  object_permission: objectPermission.nullish(),
}
const newOrganization = z
  .looseObject({
    organization_id: z.preprocess(
      (value) => (typeof value === 'string' && value.trim() === '' ? null : value),
      id.nullish(),
    ),
    organization_alias: name,
    ...fields,
  })
  .meta({ id: 'NewOrganization' })
const organizationUpdate = z
  .looseObject({
    organization_id: id,
    organization_alias: name.optional(),
    ...fields,
    litellm_budget_table: z.looseObject(budgetFields).nullish(),
  })
  .meta({ id: 'OrganizationUpdate' })
/** Every field there is: another name is a mistake. */
const organizationPatch = z
  .strictObject({
    ...fields,
    organization_alias: name.optional(),
    models: names.optional(),
  })
  .meta({ id: 'OrganizationPatch' })
const organizationIds = z
  .object({ organization_ids: ids.min(1, 'name at least one organisation') })
  .meta({ id: 'OrganizationIds' })
const organizationsAsked = z
  .object({ organizations: ids.min(1, 'name at least one organisation') })
  .meta({ id: 'Organizations' })
const row = z.looseObject({ organization_id: z.string() }).meta({ id: 'Organization' })
const rows = z.array(row).meta({ id: 'OrganizationList' })

const inMetadata = ['model_rpm_limit', 'model_tpm_limit']
const derived = new Set([
  ...shownOnly,
  ...inMetadata,
  'metadata',
  'organization_id',
  'teams',
  'members',
  'users',
  'object_permission_id',
])

type Body = Readonly<Record<string, unknown>>

/** An organisation's document after a body. `joined`: metadata is added to, not replaced. */
function organizationData(was: JsonObject, body: Body, joined: boolean): JsonObject {
  const before = object(was['metadata'])
  const sent = body['metadata'] as JsonObject | null | undefined
  const base = sent === undefined ? before : joined ? { ...before, ...sent } : { ...sent }
  const folded = inMetadata.filter((key) => body[key] !== undefined)
  const all = { ...base, ...Object.fromEntries(folded.map((key) => [key, body[key]])) }
  const gone = new Set(['__proto__', ...folded.filter((key) => body[key] === null)])
  const data: JsonObject = {
    ...merged(withBudget(was, body), body, derived),
    // Bodies were JSON.
    metadata: Object.fromEntries(
      Object.entries(all).filter(([key]) => !gone.has(key)),
    ) as JsonObject,
  }
  checkSoftBudget(data)
  checkExtra(data)
  return data
}

const columnsOf = (data: JsonObject) => ({
  alias: text(data['organization_alias']) ?? null,
  budget_id: text(data['budget_id']) ?? null,
})

async function settle(visit: Visit, tx: Tx, doc: Doc<'organization'>): Promise<void> {
  const shared = await namedBudget(tx, doc.columns.budget_id ?? undefined)
  await configureFor(visit, tx, accountOf.organization(doc.id), doc, shared)
}

const rowNow = async (visit: Visit, doc: Doc<'organization'>): Promise<JsonObject> =>
  (await organizationRows(visit, [doc]))[0] ?? {}

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newOrganization)
  const store = storeOf(visit)
  await refuseUnknownModels(visit, store.docs, body.models ?? [])
  const data = { ...organizationData({}, body, false), ...created(visit) }
  const doc = await store.write(async (tx) => {
    const made = await tx.organization.insert({
      id: body.organization_id ?? crypto.randomUUID(),
      data,
      columns: columnsOf(data),
    })
    await settle(visit, tx, made)
    return made
  })
  return json(await rowNow(visit, doc))
}

async function update(visit: Visit): Promise<Outgoing> {
  const { litellm_budget_table, ...body } = await readBody(visit, organizationUpdate)
  return change(visit, body.organization_id, body, true, object(litellm_budget_table as JsonObject))
}

async function patch(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, organizationPatch)
  return change(visit, visit.params['organization_id'] ?? '', body, false)
}

/** `table`: a budget as rows show it, which pages send back within the organisation; what differs in it is a change. */
async function change(
  visit: Visit,
  organizationId: string,
  body: Body,
  joined: boolean,
  table: JsonObject = {},
): Promise<Outgoing> {
  const store = storeOf(visit)
  const before = await store.docs.organization.find(organizationId)
  const known = { known: list(before?.data['models']) }
  const models = Array.isArray(body['models']) ? body['models'] : []
  await refuseUnknownModels(visit, store.docs, models, known)
  const doc = await store.write(async (tx) => {
    const held = await tx.organization.update(organizationId, () => {})
    if (!held) throw missing(organizationId)
    const budget = await tx.budget.find(held.columns.budget_id ?? '')
    const shown = effective(held.data, budget)
    const sent = { ...differing(table, shown), ...body }
    const changed = await tx.organization.update(organizationId, (one) => {
      one.data = { ...organizationData(one.data, sent, joined), ...updated(visit) }
      one.columns = columnsOf(one.data)
    })
    if (!changed) throw missing(organizationId)
    await settle(visit, tx, changed)
    return changed
  })
  return json(await rowNow(visit, doc))
}

const differing = (table: JsonObject, shown: JsonObject): JsonObject =>
  Object.fromEntries(
    budgetKeys
      .filter(
        (key) =>
          table[key] !== undefined &&
          JSON.stringify(table[key]) !== JSON.stringify(shown[key] ?? null),
      )
      .map((key) => [key, table[key]]),
  )

const missing = (organizationId: string) =>
  notFound(`Organization not found for organization_id=${organizationId.slice(0, 200)}`)

async function remove(visit: Visit): Promise<Outgoing> {
  const { organization_ids } = await readBody(visit, organizationIds)
  const books = booksOf(visit)
  await books.flush()
  const wanted = [...new Set(organization_ids)]
  const docs = await books.store.docs.organization.many(wanted)
  const shown = await organizationRows(visit, docs)
  await books.store.write(async (tx) => {
    for (const id of wanted) if (!(await tx.organization.find(id))) throw missing(id)
    for (const id of wanted) await endOrganization(visit, tx, id)
  })
  return json(shown)
}

async function info(visit: Visit): Promise<Outgoing> {
  const { organization_id } = readQuery(visit, z.object({ organization_id: id }))
  const { organization } = await organizationFor(visit, organization_id, 'see')
  return json(await rowNow(visit, organization))
}

async function infoOfSeveral(visit: Visit): Promise<Outgoing> {
  const { organizations } = await readBody(visit, organizationsAsked)
  if (organizations.length > 100)
    throw badRequest('organizations: ask for 100 at most', 'organizations')
  const docs: Doc<'organization'>[] = []
  for (const id of new Set(organizations))
    docs.push((await organizationFor(visit, id, 'see')).organization)
  return json(await organizationRows(visit, docs))
}

const listQuery = z.object({ org_id: id.optional(), org_alias: name.optional() })

/** Those the caller is in, or all of them for whoever sees everything. */
async function listAll(visit: Visit): Promise<Outgoing> {
  const { org_id, org_alias } = readQuery(visit, listQuery)
  const standing = await standingOf(visit)
  const own = [...standing.organizations.keys()]
  const seen = standing.sees ? undefined : own
  const wanted =
    org_id === undefined ? seen : !seen || seen.includes(org_id) ? [org_id] : ([] as string[])
  const where: ListOptions<'organization'>['where'] = wanted ? { id: wanted } : {}
  const found = await storeOf(visit).docs.organization.list({ where })
  const part = org_alias?.toLowerCase()
  const docs = found.filter(
    ({ columns }) => part === undefined || columns.alias?.toLowerCase().includes(part),
  )
  return json(
    await organizationRows(visit, docs, (id) => standing.sees || runsOrganization(standing, id)),
  )
}

export const organizationRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/organization/new',
    permission: 'admin',
    summary: 'Make an organisation',
    input: newOrganization,
    output: row,
    run: create,
  },
  {
    method: 'PATCH',
    path: '/organization/update',
    permission: 'admin',
    summary: 'Change what is named of an organisation; metadata is added to',
    input: organizationUpdate,
    output: row,
    run: update,
  },
  {
    method: 'PATCH',
    path: '/v2/organization/{organization_id}',
    permission: 'admin',
    summary: 'The same with known fields only; metadata is replaced',
    input: organizationPatch,
    output: row,
    run: patch,
  },
  {
    method: 'DELETE',
    path: '/organization/delete',
    permission: 'admin',
    summary: 'Delete organisations with their teams, keys and memberships',
    input: organizationIds,
    output: rows,
    run: remove,
  },
  {
    method: 'GET',
    path: '/organization/info',
    permission: 'self',
    summary: 'An organisation with its teams and members',
    output: row,
    run: info,
  },
  {
    method: 'POST',
    path: '/organization/info',
    permission: 'self',
    summary: 'Several of them',
    input: organizationsAsked,
    output: rows,
    run: infoOfSeveral,
  },
  {
    method: 'GET',
    path: '/organization/list',
    permission: 'self',
    summary: 'Organisations the caller is in, or all of them',
    output: rows,
    run: listAll,
  },
]
