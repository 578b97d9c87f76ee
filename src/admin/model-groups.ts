import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Doc } from '../store/docs.ts'
import { endGroup, insertGroup, missing } from './access-groups.ts'
import { ids, name, names } from './fields.ts'
import { refuseUnknownModels } from './model-names.ts'
import { type AdminRoute, badRequest, json, readBody, storeOf } from './route.ts'
import { updated } from './written.ts'

/**
 * The same groups by LiteLLM's older routes, where a group is a name that lists of models may have. Rows of the
 * configuration name groups too (`model_info.access_groups`): those are shown beside, and changed in the file.
 */

const groupOf = { model_names: names.nullish(), model_ids: ids.nullish() }
const newGroup = z.object({ access_group: name, ...groupOf }).meta({ id: 'NewModelGroup' })
const groupUpdate = z.object(groupOf).meta({ id: 'ModelGroupUpdate' })
const row = z
  .looseObject({ access_group: name, model_names: names, deployment_count: z.number() })
  .meta({ id: 'ModelGroup' })

type Said = { model_names?: string[] | null | undefined; model_ids?: string[] | null | undefined }

/** The public names of what a body lists, and how many deployments those are. Throws 400 for what is not there. */
async function modelsOf(
  visit: Visit,
  { model_names, model_ids }: Said,
): Promise<{ names: string[]; deployments: number }> {
  const { groups } = visit.rooms.router
  if (model_ids?.length) {
    const found = groups.all().filter(({ id }) => model_ids.includes(id))
    const unknown = model_ids.find((id) => !found.some((one) => one.id === id))
    if (unknown !== undefined)
      throw badRequest(
        `Deployment with model_id '${unknown.slice(0, 100)}' not found: /model/info lists what there is`,
        'model_ids',
      )
    return { names: [...new Set(found.map(({ row }) => row.modelName))], deployments: found.length }
  }
  if (!model_names?.length)
    throw badRequest(
      'Either model_names or model_ids must be provided and non-empty',
      'model_names',
    )
  await refuseUnknownModels(visit, storeOf(visit).docs, model_names)
  const all = [...new Set(model_names)]
  return { names: all, deployments: all.flatMap((one) => groups.find(one)).length }
}

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newGroup)
  const { names: models, deployments } = await modelsOf(visit, body)
  await storeOf(visit).write((tx) =>
    insertGroup(visit, tx, body.access_group, { access_model_names: models }),
  )
  return json(written(body.access_group, body, deployments))
}

const written = (access_group: string, { model_names, model_ids }: Said, count: number) => ({
  access_group,
  model_names: model_names ?? null,
  model_ids: model_ids ?? null,
  models_updated: count,
})

async function update(visit: Visit): Promise<Outgoing> {
  const group = visit.params['access_group'] ?? ''
  const body = await readBody(visit, groupUpdate)
  const doc = await stored(visit, group)
  const { names: models, deployments } = await modelsOf(visit, body)
  await storeOf(visit).write((tx) =>
    tx.access_group.update(doc.id, ({ data }) => {
      Object.assign(data, { access_model_names: models }, updated(visit))
    }),
  )
  return json(written(group, body, deployments))
}

async function remove(visit: Visit): Promise<Outgoing> {
  const group = visit.params['access_group'] ?? ''
  const doc = await stored(visit, group)
  const { deployment_count } = shown(visit, group, doc)
  await storeOf(visit).write((tx) => endGroup(tx, doc))
  return json({
    access_group: group,
    models_updated: deployment_count,
    message: `Access group '${group}' deleted successfully`,
  })
}

/** The group's document. Throws 404, or 400 where only the configuration's file has it. */
async function stored(visit: Visit, group: string): Promise<Doc<'access_group'>> {
  const found = await storeOf(visit).docs.access_group.first({ unique_name: group })
  if (found) return found
  if (rowsIn(visit, group).length === 0) throw missing(group)
  throw badRequest(
    `Access group '${group.slice(0, 100)}' stands in model_info.access_groups of models: change it there`,
    'access_group',
  )
}

const rowsIn = ({ rooms }: Visit, group: string): Deployment[] =>
  rooms.router.groups.all().filter(({ row }) => list(row.info['access_groups']).includes(group))

/** What a group opens, as its document and the models' own rows say together. */
function shown(visit: Visit, group: string, doc: Doc<'access_group'> | undefined) {
  const { groups } = visit.rooms.router
  const models = list(doc?.data['access_model_names']).map(String)
  const deployments = new Set([
    ...rowsIn(visit, group),
    ...models.flatMap((one) => groups.find(one)),
  ])
  return {
    access_group: group,
    model_names: [...new Set([...models, ...[...deployments].map(({ row }) => row.modelName)])],
    deployment_count: deployments.size,
  } satisfies JsonObject
}

async function info(visit: Visit): Promise<Outgoing> {
  const group = visit.params['access_group'] ?? ''
  const doc = await storeOf(visit).docs.access_group.first({ unique_name: group })
  if (!doc && rowsIn(visit, group).length === 0) throw missing(group)
  return json(shown(visit, group, doc))
}

async function listAll(visit: Visit): Promise<Outgoing> {
  const docs = await storeOf(visit).docs.access_group.list()
  const byName = new Map(docs.map((doc) => [doc.uniqueName ?? doc.id, doc]))
  const ofRows = visit.rooms.router.groups
    .all()
    .flatMap(({ row: { info: said } }) => list(said['access_groups']).map(String))
  const all = [...new Set([...byName.keys(), ...ofRows])].sort()
  return json({ access_groups: all.map((group) => shown(visit, group, byName.get(group))) })
}

export const modelGroupRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/access_group/new',
    permission: 'admin',
    summary: 'Make a group of models that lists of models may name',
    input: newGroup,
    run: create,
  },
  {
    method: 'GET',
    path: '/access_group/list',
    permission: 'view',
    summary: 'Every group of models, also those that models name themselves',
    run: listAll,
  },
  {
    method: 'GET',
    path: '/access_group/{access_group}/info',
    permission: 'view',
    summary: 'What a group of models opens',
    output: row,
    run: info,
  },
  {
    method: 'PUT',
    path: '/access_group/{access_group}/update',
    permission: 'admin',
    summary: 'Set what a group of models opens',
    input: groupUpdate,
    run: update,
  },
  {
    method: 'DELETE',
    path: '/access_group/{access_group}/delete',
    permission: 'admin',
    summary: 'Delete a group of models',
    run: remove,
  },
]
