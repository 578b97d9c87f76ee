import * as z from 'zod'
import { publicParams } from '../gateway/models.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { isAdmin } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { name } from './fields.ts'
import { type Entry, namesVariable, openEntry, sealedEntry } from './live-rows.ts'
import { liveOf } from './live-visit.ts'
import {
  type AdminRoute,
  badRequest,
  forbidden,
  iso,
  json,
  notFound,
  readBody,
  storeOf,
} from './route.ts'
import { runsTeam, standingOf } from './standing.ts'
import { created, updated } from './written.ts'

const map = z
  .record(z.string(), z.unknown(), 'expected a map')
  .refine((value) => JSON.stringify(value).length <= 1024 * 1024, 'may not be larger than 1 MB')

const newModel = z
  .looseObject({
    model_name: name,
    litellm_params: map.refine((params) => text(params['model']) !== undefined, {
      path: ['model'],
      message: "missing: the provider and its model, like 'openai/gpt-5'",
    }),
    model_info: map.nullish(),
  })
  .meta({ id: 'NewModel', description: 'An entry of model_list, as in config.yaml' })

const changedModel = z
  .looseObject({
    model_name: name.nullish(),
    litellm_params: map.nullish(),
    model_info: map.nullish(),
  })
  .meta({ id: 'ModelChange', description: 'What is not said stays; null clears' })

const modelRow = z
  .looseObject({
    model_id: z.string(),
    model_name: z.string(),
    litellm_params: z.record(z.string(), z.unknown()),
    model_info: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'ModelRow' })

async function addModel(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newModel)
  const { rooms } = visit
  const live = liveOf(visit)
  if (live.config.general.store_model_in_db === false)
    throw forbidden('general_settings.store_model_in_db is false: models are those of the file')
  // Bodies were JSON.
  const { id: asked, ...info } = object(body.model_info)
  const id = readId(asked) ?? crypto.randomUUID()
  const entry: Entry = {
    model_name: body.model_name,
    litellm_params: withoutNulls(body.litellm_params as JsonObject),
    model_info: withoutNulls(info),
  }
  if (rooms.router.groups.all().some((one) => one.id === id)) throw taken(id)
  await refuseStranger(visit, text(entry.model_info['team_id']))
  const scoped = await forTeam(visit, id, entry)
  await refuseUnfit(visit, id, scoped)
  const doc = await storeOf(visit).write(async (tx) => {
    const made = await tx.model.insert({
      id,
      columns: columnsOf(scoped),
      data: { ...sealedEntry(scoped, storeOf(visit).sealer), ...created(visit) },
    })
    await linkTeam(tx, scoped)
    return made
  })
  await live.refresh()
  return json(shown(visit, doc))
}

const readId = (value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined
  const read = name.safeParse(value)
  if (!read.success)
    throw badRequest('model_info.id: expected a name of 1 to 255 characters', 'model_info.id')
  return read.data
}

const taken = (id: string) =>
  badRequest(
    `There is a model with the id '${id.slice(0, 100)}' already: leave model_info.id out, or give another`,
    'model_info.id',
  )

const withoutNulls = (values: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))

const columnsOf = ({ model_name, model_info }: Entry) => ({
  alias: model_name,
  team_id: text(model_info['team_id']) ?? null,
})

/** A team's own model is served under a name of its own, which only the team's name for it leads to. */
async function forTeam(visit: Visit, id: string, entry: Entry): Promise<Entry> {
  const teamId = text(entry.model_info['team_id'])
  if (teamId === undefined) return entry
  if (!(await storeOf(visit).docs.team.find(teamId)))
    throw badRequest(
      `model_info.team_id: there is no team '${teamId.slice(0, 100)}'`,
      'model_info.team_id',
    )
  const known = text(entry.model_info['team_public_model_name']) ?? entry.model_name
  return {
    ...entry,
    model_name: `model_name_${teamId}_${id}`.slice(0, 255),
    model_info: { ...entry.model_info, team_public_model_name: known },
  }
}

/** The team's name for its model, where it asks for models. */
async function linkTeam(tx: Tx, { model_name, model_info }: Entry, was?: Entry): Promise<void> {
  const teamId = text(model_info['team_id']) ?? text(was?.model_info['team_id'])
  if (teamId === undefined) return
  const known = text(model_info['team_public_model_name'])
  const before = text(was?.model_info['team_public_model_name'])
  await tx.team.update(teamId, (team) => {
    const aliases = { ...object(team.data['model_aliases']) }
    if (before !== undefined && aliases[before] === was?.model_name) delete aliases[before]
    if (known !== undefined) aliases[known] = model_name
    team.data['model_aliases'] = aliases
    // An empty list opens every model, so it stays one; and what is listed stays, for emptying it would open all.
    const models = list(team.data['models'])
    if (known !== undefined && models.length > 0 && !models.includes(known))
      team.data['models'] = [...models, known]
  })
}

/** Throws 400 for what cannot be served, 403 for what the caller may not have served. */
async function refuseUnfit(visit: Visit, id: string, entry: Entry): Promise<void> {
  const { caller } = visit
  const deployments = await liveOf(visit).try({
    model_name: entry.model_name,
    litellm_params: entry.litellm_params,
    model_info: { ...entry.model_info, id, db_model: true },
  })
  if (!isAdmin(caller)) refuseBorrowed(entry, deployments)
}

async function refuseStranger(visit: Visit, teamId: string | undefined): Promise<void> {
  if (isAdmin(visit.caller)) return
  const team = teamId === undefined ? undefined : await storeOf(visit).docs.team.find(teamId)
  if (!runsTeam(await standingOf(visit), team))
    throw forbidden(
      'Only proxy administrators may change models; an administrator of a team may change those whose model_info.team_id names it',
    )
}

/** What a team's administrator adds must not use the gateway's own credentials, nor make it speak to any address. */
function refuseBorrowed({ litellm_params: params }: Entry, of: readonly Deployment[]): void {
  if (namesVariable(params) || params['litellm_credential_name'] !== undefined)
    throw forbidden(
      "litellm_params: only proxy administrators may use the gateway's own credentials: give an api_key",
    )
  for (const key of [
    'api_base',
    'base_url',
    'aws_bedrock_runtime_endpoint',
    'token_url',
    'proxy_url',
    'headers',
    'extra_headers',
    'ssl_verify',
    'ssl_certificate',
  ])
    if (params[key] !== undefined)
      throw forbidden(`litellm_params.${key}: only proxy administrators may say where requests go`)
  if (!text(params['api_key']))
    throw forbidden('litellm_params.api_key: the model needs a key of your own')
  if (of.some(({ spec }) => 'scheme' in spec.auth))
    throw forbidden(
      'litellm_params: models of this provider take credentials of the environment: ask a proxy administrator to add them',
    )
}

/** Finds one of the database, or says why there is none. */
async function stored(visit: Visit, id: string): Promise<Doc<'model'>> {
  const doc = await storeOf(visit).docs.model.find(id)
  if (doc) return doc
  const served = visit.rooms.router.groups.all().some((one) => one.id === id)
  if (served && isAdmin(visit.caller))
    throw badRequest(`Model '${id.slice(0, 100)}' is of the config file: change it there`, 'id')
  throw isAdmin(visit.caller)
    ? notFound(`Model with id=${id.slice(0, 100)} not found in the database`)
    : forbidden('You may not change this model, or there is none of this id')
}

async function changeModel(visit: Visit, id: string): Promise<Outgoing> {
  const body = await readBody(visit, changedModel)
  return json(await change(visit, id, (was) => merged(was, body)))
}

const merged = (was: Entry, body: z.output<typeof changedModel>): Entry => {
  const over = (before: JsonObject, said: Record<string, unknown> | null | undefined): JsonObject =>
    // Bodies were JSON.
    withoutNulls({ ...before, ...(said as JsonObject | null | undefined) })
  const { id: _, db_model: __, ...info } = over(was.model_info, body.model_info)
  const ofTeam = text(was.model_info['team_id']) !== undefined
  const said = body.model_name ?? undefined
  return {
    model_name: ofTeam ? was.model_name : (said ?? was.model_name),
    litellm_params: over(was.litellm_params, body.litellm_params),
    model_info:
      ofTeam && said !== undefined && said !== was.model_name
        ? { ...info, team_public_model_name: said }
        : info,
  }
}

async function change(visit: Visit, id: string, to: (was: Entry) => Entry): Promise<JsonObject> {
  const { sealer, write } = storeOf(visit)
  const before = openEntry(await stored(visit, id), sealer)
  await refuseStranger(visit, text(before.model_info['team_id']))
  const wanted = to(before)
  const team = (entry: Entry) => text(entry.model_info['team_id'])
  if (team(wanted) !== team(before))
    throw badRequest(
      'model_info.team_id: a model stays with its team: add it anew for another one',
      'model_info.team_id',
    )
  await refuseUnfit(visit, id, wanted)
  const doc = await write(async (tx) => {
    let was: Entry | undefined
    let is: Entry | undefined
    const done = await tx.model.update(id, (one) => {
      was = openEntry(one, sealer)
      is = to(was)
      one.columns = columnsOf(is)
      one.data = { ...one.data, ...sealedEntry(is, sealer), ...updated(visit) }
    })
    if (was && is) await linkTeam(tx, is, was)
    return done
  })
  if (!doc) throw notFound(`Model with id=${id.slice(0, 100)} not found in the database`)
  await liveOf(visit).refresh()
  return shown(visit, doc)
}

const idBody = z.looseObject({ id: name }).meta({ id: 'ModelId' })

async function removeModel(visit: Visit): Promise<Outgoing> {
  const { id } = await readBody(visit, idBody)
  const doc = await stored(visit, id)
  const teamId = doc.columns.team_id ?? undefined
  await refuseStranger(visit, teamId)
  await storeOf(visit).write(async (tx) => {
    await tx.model.remove(id)
    // A model whose parameters cannot be opened any more can still be taken out.
    const info = object(doc.data['model_info'])
    const was = {
      model_name: text(doc.data['model_name']) ?? '',
      litellm_params: {},
      model_info: info,
    }
    await linkTeam(tx, { ...was, model_info: {} }, was)
  })
  await liveOf(visit).refresh()
  return json({ message: `Model: ${id} deleted successfully` })
}

const blockBody = z.looseObject({ model_id: name }).meta({ id: 'BlockModelRequest' })

const block = (blocked: boolean) => async (visit: Visit) => {
  const { model_id: id } = await readBody(visit, blockBody)
  return json(
    await change(visit, id, (was) => {
      const { id: _, db_model: __, blocked: ___, ...info } = was.model_info
      return { ...was, model_info: blocked ? { ...info, blocked } : info }
    }),
  )
}

/** As it was written down; what is secret is left out. */
function shown(visit: Visit, doc: Doc<'model'>): JsonObject {
  const { model_name, litellm_params, model_info } = openEntry(doc, storeOf(visit).sealer)
  return {
    model_id: doc.id,
    model_name,
    litellm_params: publicParams(litellm_params),
    model_info: publicParams(model_info),
    created_at: iso(doc.createdAt),
    created_by: doc.data['created_by'] ?? null,
    updated_at: iso(doc.updatedAt),
    updated_by: doc.data['updated_by'] ?? null,
  }
}

const row = (
  method: AdminRoute['method'],
  path: string,
  permission: AdminRoute['permission'],
  summary: string,
  run: AdminRoute['run'],
  input?: z.ZodType,
  output?: z.ZodType,
): AdminRoute => ({
  method,
  path,
  permission,
  summary,
  run,
  ...(input && { input }),
  ...(output && { output }),
})

export const modelRoutes: readonly AdminRoute[] = [
  row('POST', '/model/new', 'self_write', 'Add a deployment', addModel, newModel, modelRow),
  row(
    'POST',
    '/model/update',
    'self_write',
    'Change the deployment that model_info.id names',
    async (visit) => {
      const body = await readBody(visit, changedModel)
      const id = readId(object(body.model_info)['id'])
      if (id === undefined)
        throw badRequest('model_info.id: missing: which model is it?', 'model_info.id')
      return json(await change(visit, id, (was) => merged(was, body)))
    },
    changedModel,
    modelRow,
  ),
  row(
    'PATCH',
    '/model/{model_id}/update',
    'self_write',
    'Change a deployment',
    (visit) => changeModel(visit, visit.params['model_id'] ?? ''),
    changedModel,
    modelRow,
  ),
  row('POST', '/model/delete', 'self_write', 'Take a deployment out', removeModel, idBody),
  row('POST', '/model/block', 'admin', 'Stop using a deployment', block(true), blockBody, modelRow),
  row('POST', '/model/unblock', 'admin', 'Use it again', block(false), blockBody, modelRow),
]
