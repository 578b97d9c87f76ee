import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, number, object, text } from '../json/json.ts'
import { accountOf } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import {
  budgetsOf,
  budgetTable,
  checkExtra,
  checkSoftBudget,
  configureFor,
  effective,
  moneyOf,
  namedBudget,
  withBudget,
  withoutBudget,
} from './budget-table.ts'
import { closeAccounts } from './ending.ts'
import {
  budgetFields,
  dollars,
  id,
  ids,
  instant,
  limitByModel,
  longText,
  metadata,
  name,
  names,
  objectPermission,
} from './fields.ts'
import { refuseUnknownModels } from './model-names.ts'
import { absent, allOf, teamFor } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  forbidden,
  iso,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'
import { type Standing, standingOf } from './standing.ts'
import { opens, refuseSmuggled } from './team-bounds.ts'
import { teamData } from './team-fields.ts'
import { seenTeams } from './team-lists.ts'
import { created, updated } from './written.ts'

/** Work within a team, with a budget and limits of its own that lie within the team's. */

const fields = {
  project_alias: name.nullish(),
  description: longText.nullish(),
  budget_id: id.nullish(),
  ...budgetFields,
  temp_budget_increase: dollars.nullish(),
  temp_budget_expiry: instant.nullish(),
  metadata: metadata.nullish(),
  tags: names.nullish(),
  guardrails: names.nullish(),
  policies: names.nullish(),
  models: names.nullish(),
  model_rpm_limit: limitByModel.nullish(),
  model_tpm_limit: limitByModel.nullish(),
  blocked: z.boolean().nullish(),
  object_permission: objectPermission.nullish(),
}
const newProject = z
  .looseObject({ project_id: id.nullish(), team_id: id, ...fields })
  .meta({ id: 'NewProject' })
const projectUpdate = z
  .looseObject({ project_id: id, team_id: id.optional(), ...fields })
  .meta({ id: 'ProjectUpdate' })
const projectIds = z
  .object({ project_ids: ids.min(1, 'name at least one project') })
  .meta({ id: 'ProjectIds' })
const row = z.looseObject({ project_id: z.string() }).meta({ id: 'Project' })
const rows = z.array(row).meta({ id: 'Projects' })

type Body = Readonly<Record<string, unknown>>

/** What whoever runs a team may say of its projects; the rest opens things and is for proxy administrators. */
const teamAdminFields: ReadonlySet<string> = new Set([
  'project_id',
  'project_alias',
  'description',
  'team_id',
  'budget_id',
  ...Object.keys(budgetFields),
  'metadata',
  'tags',
  'models',
  'model_rpm_limit',
  'model_tpm_limit',
  'blocked',
])

function refuseFields({ admin }: Standing, body: Body, before: JsonObject = {}): void {
  if (admin) return
  const refused = Object.keys(body).find((field) => !teamAdminFields.has(field))
  if (refused !== undefined)
    throw forbidden(
      `You may not set '${refused.slice(0, 100)}' of a project: ask a proxy administrator`,
    )
  refuseSmuggled(body['metadata'], object(before['metadata']), teamAdminFields)
}

/** A project's document after a body: its fields stand where a team's do, but for the team's own id. */
function projectData(was: JsonObject, body: Body): JsonObject {
  const { project_id: _, team_id, litellm_budget_table: __, ...rest } = body
  const data = teamData(withBudget(was, body), rest)
  if (typeof team_id === 'string') data['team_id'] = team_id
  checkSoftBudget(data)
  checkExtra(data)
  return data
}

const columnsOf = (data: JsonObject) => ({
  team_id: text(data['team_id']) ?? null,
  alias: text(data['project_alias']) ?? null,
  budget_id: text(data['budget_id']) ?? null,
})

/** Models, money and pace that a body gives a project lie within its team's. Throws 400. */
async function settle(
  visit: Visit,
  tx: Tx,
  doc: Doc<'project'>,
  team: Doc<'team'>,
  body: Body,
): Promise<void> {
  const says = (field: string): boolean => field in body || 'team_id' in body
  const shared = await namedBudget(tx, doc.columns.budget_id ?? undefined)
  const terms = effective(doc.data, shared)
  for (const field of ['max_budget', 'tpm_limit', 'rpm_limit']) {
    const asked = number(terms[field])
    const most = number(team.data[field])
    if (!says(field) && !says('budget_id')) continue
    if (asked !== undefined && most !== undefined && asked > most)
      throw badRequest(
        `Project ${field} (${asked}) exceeds team's ${field} (${most}). Team: ${team.id}`,
        field,
      )
  }
  const models = list(team.data['models'])
  const more = list(doc.data['models']).find((model) => !opens(models, model))
  if (more !== undefined && says('models'))
    throw badRequest(
      `Model '${String(more).slice(0, 100)}' not in team's allowed models. Team: ${team.id}`,
      'models',
    )
  await configureFor(visit, tx, accountOf.project(doc.id), doc, shared)
}

async function projectRows(visit: Visit, docs: readonly Doc<'project'>[]): Promise<JsonObject[]> {
  const books = booksOf(visit)
  const [budgets, accounts] = await Promise.all([
    budgetsOf(books.store, docs),
    books.accounts(docs.map((doc) => accountOf.project(doc.id))),
  ])
  return docs.map((doc) => {
    const account = accounts.get(accountOf.project(doc.id))
    return {
      project_alias: null,
      description: null,
      budget_id: null,
      models: [],
      model_spend: {},
      blocked: false,
      object_permission: null,
      object_permission_id: null,
      ...withoutBudget(doc.data),
      project_id: doc.id,
      team_id: doc.columns.team_id ?? null,
      ...moneyOf(account),
      litellm_budget_table: budgetTable(doc, budgets.get(doc.columns.budget_id ?? ''), account),
      created_at: iso(doc.createdAt),
      updated_at: iso(doc.updatedAt),
    }
  })
}

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newProject)
  const { team, standing } = await teamFor(visit, body.team_id, 'run')
  refuseFields(standing, body)
  const store = storeOf(visit)
  const known = { known: list(team.data['models']), teamId: team.id }
  await refuseUnknownModels(visit, store.docs, body.models ?? [], known)
  const data = { ...projectData({}, body), ...created(visit) }
  const doc = await store.write(async (tx) => {
    const made = await tx.project.insert({
      id: body.project_id ?? crypto.randomUUID(),
      data,
      columns: columnsOf(data),
    })
    await settle(visit, tx, made, team, body)
    return made
  })
  return json((await projectRows(visit, [doc]))[0])
}

async function update(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, projectUpdate)
  const { project, standing } = await projectFor(visit, body.project_id, 'run')
  refuseFields(standing, body, project.data)
  const teamId = body.team_id ?? project.columns.team_id
  if (teamId == null) throw badRequest('this project belongs to no team: name one', 'team_id')
  const { team } = await teamFor(visit, teamId, 'run')
  const store = storeOf(visit)
  const known = [...list(team.data['models']), ...list(project.data['models'])]
  await refuseUnknownModels(visit, store.docs, body.models ?? [], { known, teamId })
  const doc = await store.write(async (tx) => {
    const changed = await tx.project.update(project.id, (one) => {
      one.data = { ...projectData(one.data, body), ...updated(visit) }
      one.columns = columnsOf(one.data)
    })
    if (!changed) throw missing(project.id)
    await settle(visit, tx, changed, team, body)
    return changed
  })
  return json((await projectRows(visit, [doc]))[0])
}

const missing = (projectId: string) =>
  notFound(`Project not found, project_id=${projectId.slice(0, 200)}`)

/** The project, for a caller who may see or run its team. Throws 404 or 403 as for teams. */
async function projectFor(
  visit: Visit,
  projectId: string,
  need: 'see' | 'run',
): Promise<{ project: Doc<'project'>; standing: Standing }> {
  const project = await storeOf(visit).docs.project.find(projectId)
  if (!project) throw absent(visit, missing(projectId).message, 'project')
  const teamId = project.columns.team_id
  if (teamId != null) return { project, standing: (await teamFor(visit, teamId, need)).standing }
  const standing = await standingOf(visit)
  if (need === 'run' ? !standing.admin : !standing.sees)
    throw forbidden('this project belongs to no team: it is for proxy administrators')
  return { project, standing }
}

/** Keys of a project would be bounded by nothing of it: they go first, or elsewhere. */
async function remove(visit: Visit): Promise<Outgoing> {
  const wanted = [...new Set((await readBody(visit, projectIds)).project_ids)]
  const books = booksOf(visit)
  await books.flush()
  const docs = await books.store.docs.project.many(wanted)
  const shown = await projectRows(visit, docs)
  await books.store.write(async (tx) => {
    for (const projectId of wanted) {
      const keys = await tx.virtual_key.count({ where: { project_id: projectId } })
      if (keys > 0)
        throw badRequest(
          `Project '${projectId}' has ${keys} ${keys === 1 ? 'key' : 'keys'}: delete them or give them another project first`,
          'project_ids',
        )
      if (!(await tx.project.remove(projectId))) throw missing(projectId)
    }
    await closeAccounts(tx, wanted.map(accountOf.project))
  })
  return json(shown)
}

async function info(visit: Visit): Promise<Outgoing> {
  const { project_id } = readQuery(visit, z.object({ project_id: id }))
  const { project } = await projectFor(visit, project_id, 'see')
  return json((await projectRows(visit, [project]))[0])
}

async function listAll(visit: Visit): Promise<Outgoing> {
  const { team_id } = readQuery(visit, z.object({ team_id: id.optional() }))
  const { docs } = storeOf(visit)
  const seen = await seenTeams(visit)
  const wanted =
    team_id === undefined ? seen : seen ? seen.filter((one) => one === team_id) : [team_id]
  const found = wanted ? await allOf(docs.project, 'team_id', wanted) : await docs.project.list()
  return json(await projectRows(visit, found))
}

export const projectRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/project/new',
    permission: 'self_write',
    summary: 'Make a project in a team',
    input: newProject,
    output: row,
    run: create,
  },
  {
    method: 'POST',
    path: '/project/update',
    permission: 'self_write',
    summary: 'Change what is named of a project; null clears',
    input: projectUpdate,
    output: row,
    run: update,
  },
  {
    method: 'DELETE',
    path: '/project/delete',
    permission: 'admin',
    summary: 'Delete projects that have no keys',
    input: projectIds,
    output: rows,
    run: remove,
  },
  {
    method: 'GET',
    path: '/project/info',
    permission: 'self',
    summary: 'A project with what it has spent',
    output: row,
    run: info,
  },
  {
    method: 'GET',
    path: '/project/list',
    permission: 'self',
    summary: 'Projects of the teams the caller sees',
    output: rows,
    run: listAll,
  },
]
