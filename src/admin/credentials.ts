import * as z from 'zod'
import { publicParams } from '../gateway/models.ts'
import { notOfferedHere } from '../gateway/not-offered.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, object, text } from '../json/json.ts'
import { isSecretKey } from '../provider/secrets.ts'
import { name } from './fields.ts'
import { openEntry, openValues, sealValues } from './live-rows.ts'
import { liveOf } from './live-visit.ts'
import { type AdminRoute, badRequest, json, notFound, readBody, storeOf } from './route.ts'
import { created, updated } from './written.ts'

const map = z
  .record(z.string(), z.unknown(), 'expected a map')
  .refine((value) => JSON.stringify(value).length <= 1024 * 1024, 'may not be larger than 1 MB')

const newCredential = z
  .looseObject({
    credential_name: name,
    credential_values: map.nullish(),
    credential_info: map.nullish(),
    model_id: name.nullish(),
  })
  .meta({
    id: 'NewCredential',
    description:
      'Parameters that rows share by litellm_credential_name; model_id takes those of a model',
  })

const changedCredential = z
  .looseObject({ credential_values: map.nullish(), credential_info: map.nullish() })
  .meta({ id: 'CredentialChange', description: 'What is not said stays; null clears' })

async function addCredential(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newCredential)
  const { sealer, write } = storeOf(visit)
  refuseOfFile(visit, body.credential_name)
  // Bodies were JSON.
  const said = body.credential_values as JsonObject | null | undefined
  const values = said ?? (body.model_id != null ? await valuesOfModel(visit, body.model_id) : {})
  if (Object.keys(values).length === 0)
    throw badRequest(
      'credential_values: missing: the parameters to share, like {"api_key": "…"}',
      'credential_values',
    )
  await write((tx) =>
    tx.credential.insert({
      id: body.credential_name,
      data: {
        credential_values: sealValues(values, sealer),
        credential_info: object(body.credential_info),
        ...created(visit),
      },
    }),
  )
  await liveOf(visit).refresh()
  return json({ success: true, message: 'Credential created successfully' })
}

/** What of a model's parameters is a credential, or goes with one. */
async function valuesOfModel(visit: Visit, id: string): Promise<JsonObject> {
  const { docs, sealer } = storeOf(visit)
  const doc = await docs.model.find(id)
  if (!doc) throw notFound(`Model with id=${id.slice(0, 100)} not found in the database`)
  const { litellm_params } = openEntry(doc, sealer)
  return Object.fromEntries(
    Object.entries(litellm_params).filter(([key]) => isSecretKey(key) || places.test(key)),
  )
}
const places = /^(api_base|base_url|api_version|organization)$|^(aws|azure|vertex|watsonx)_/

async function changeCredential(visit: Visit): Promise<Outgoing> {
  const id = visit.params['credential_name'] ?? ''
  const body = await readBody(visit, changedCredential)
  const { sealer, write } = storeOf(visit)
  refuseOfFile(visit, id)
  const over = (was: JsonObject, said: Record<string, unknown> | null | undefined): JsonObject =>
    Object.fromEntries(
      // Bodies were JSON.
      Object.entries({ ...was, ...(said as JsonObject | null | undefined) }).filter(
        ([, value]) => value !== null,
      ),
    )
  const doc = await write((tx) =>
    tx.credential.update(id, (one) => {
      const values = openValues(object(one.data['credential_values']), sealer)
      one.data = {
        ...one.data,
        credential_values: sealValues(over(values, body.credential_values), sealer),
        credential_info: over(object(one.data['credential_info']), body.credential_info),
        ...updated(visit),
      }
    }),
  )
  if (!doc) throw missing(id)
  await liveOf(visit).refresh()
  return json({ success: true, message: 'Credential updated successfully' })
}

async function removeCredential(visit: Visit): Promise<Outgoing> {
  const id = visit.params['credential_name'] ?? ''
  refuseOfFile(visit, id)
  if (!(await storeOf(visit).write((tx) => tx.credential.remove(id)))) throw missing(id)
  await liveOf(visit).refresh()
  return json({ success: true, message: 'Credential deleted successfully' })
}

const missing = (id: string) =>
  notFound(`There is no credential '${id.slice(0, 100)}': /credentials lists what there is`)

function refuseOfFile(visit: Visit, id: string): void {
  if (liveOf(visit).file.credentials.has(id))
    throw badRequest(
      `Credential '${id.slice(0, 100)}' is of the config file: change it there`,
      'credential_name',
    )
}

/** That there is a secret, and nothing of it. */
function shown(id: string, values: JsonObject, info: JsonObject): JsonObject {
  const hidden = Object.keys(values).filter((key) => isSecretKey(key))
  return {
    credential_name: id,
    credential_values: {
      ...publicParams(values),
      ...Object.fromEntries(hidden.map((key) => [key, '********'])),
    },
    credential_info: publicParams(info),
  }
}

/** Those of the file and of the database; of two with one name the database's counts. */
function allOf(visit: Visit): ReadonlyMap<string, { values: JsonObject; info: JsonObject }> {
  return liveOf(visit).config.credentials
}

async function listCredentials(visit: Visit): Promise<Outgoing> {
  return json({
    success: true,
    credentials: [...allOf(visit)].map(([id, { values, info }]) => shown(id, values, info)),
  })
}

async function oneCredential(visit: Visit): Promise<Outgoing> {
  const id = visit.params['credential_name'] ?? ''
  const found = allOf(visit).get(id)
  if (!found) throw missing(id)
  return json(shown(id, found.values, found.info))
}

async function credentialOfModel(visit: Visit): Promise<Outgoing> {
  const id = visit.params['model_id'] ?? ''
  const deployment = visit.rooms.router.groups.all().find((one) => one.id === id)
  if (!deployment) throw notFound(`There is no model with the id '${id.slice(0, 100)}'`)
  const { params } = deployment.row
  const named = text(params['litellm_credential_name'])
  const values = Object.fromEntries(
    Object.entries(params).filter(([key]) => isSecretKey(key) || places.test(key)),
  )
  delete values['litellm_credential_name']
  return json(shown(named ?? deployment.group, values, {}))
}

const row = (
  method: AdminRoute['method'],
  path: string,
  summary: string,
  run: AdminRoute['run'],
  input?: z.ZodType,
): AdminRoute => ({
  method,
  path,
  permission: method === 'GET' ? 'view' : 'admin',
  summary,
  run,
  ...(input && { input }),
})

const one = '/credentials/{credential_name+}'

export const credentialRoutes: readonly AdminRoute[] = [
  row('POST', '/credentials', 'Keep a credential', addCredential, newCredential),
  row('GET', '/credentials', 'Credentials by name, without their secrets', listCredentials),
  row('GET', '/credentials/by_name/{credential_name+}', 'One credential', oneCredential),
  row('GET', '/credentials/by_model/{model_id}', 'What a model is called with', credentialOfModel),
  // Before the name that may have slashes in it.
  row('GET', `${one}/jwks`, 'Not offered by this gateway', ({ incoming }) => {
    throw notOfferedHere(`${incoming.method} ${one}/jwks`)
  }),
  row('GET', one, 'One credential', oneCredential),
  row('PATCH', one, 'Change a credential', changeCredential, changedCredential),
  row('DELETE', one, 'Forget a credential', removeCredential),
]
