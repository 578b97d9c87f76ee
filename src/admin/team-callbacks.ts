import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type JsonObject, list, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import { name } from './fields.ts'
import { teamFor } from './reach.ts'
import { type AdminRoute, json, notFound, readBody, storeOf } from './route.ts'
import { teamRowNow } from './team-row.ts'
import { withoutSecrets, withSealed } from './team-secrets.ts'
import { updated } from './written.ts'

/**
 * Callbacks of single teams: kept, and shown without their credentials. Nothing is sent to them: this gateway has the
 * callbacks of its configuration only, and says so in each answer.
 */
const notUsed = 'stored and not used: this gateway sends to the callbacks of its configuration only'

const callback = z
  .object({
    callback_name: name,
    callback_type: z.enum(['success', 'failure', 'success_and_failure']).nullish(),
    callback_vars: z.record(name, z.unknown(), 'expected a map'),
  })
  .meta({ id: 'TeamCallback' })

const everything = 'success_and_failure'

async function change(
  visit: Visit,
  apply: (metadata: JsonObject) => JsonObject,
): Promise<Doc<'team'>> {
  const id = visit.params['team_id'] ?? ''
  await teamFor(visit, id, 'run')
  const { write } = storeOf(visit)
  const team = await write((tx) =>
    tx.team.update(id, ({ data }) => {
      Object.assign(data, { metadata: apply(object(data['metadata'])) }, updated(visit))
    }),
  )
  if (!team) throw notFound(`Team id = ${id.slice(0, 200)} does not exist.`)
  return team
}

async function add(visit: Visit): Promise<Outgoing> {
  const { callback_name, callback_type, callback_vars } = await readBody(visit, callback)
  const type = callback_type ?? everything
  const team = await change(visit, (metadata) => {
    const before = list(metadata['logging']).filter(isObject)
    if (before.some((one) => one['callback_name'] === callback_name && typeOf(one) === type))
      throw new GatewayError(
        'bad_request',
        `callback_name = ${callback_name} already exists for this team and event = ${type}`,
        { type: 'bad_request_error', param: 'callback_name', code: '400' },
      )
    const entry = { callback_name, callback_type: type, callback_vars }
    const { logging } = withSealed({ logging: [entry] }, {}, storeOf(visit).sealer)
    // Sealing leaves a list a list.
    return { ...metadata, logging: [...before, ...(logging as JsonObject[])] }
  })
  return json({ status: 'success', warning: notUsed, data: await teamRowNow(visit, team) })
}

const typeOf = (entry: JsonObject): string => text(entry['callback_type']) ?? everything

async function show(visit: Visit): Promise<Outgoing> {
  const { team } = await teamFor(visit, visit.params['team_id'] ?? '', 'run')
  const entries = list(withoutSecrets(object(team.data['metadata']))['logging']).filter(isObject)
  const named = (type: string) =>
    entries
      .filter((one) => typeOf(one) === type || typeOf(one) === everything)
      .map((one) => one['callback_name'])
  return json({
    status: 'success',
    warning: notUsed,
    data: {
      team_id: team.id,
      success_callbacks: named('success'),
      failure_callbacks: named('failure'),
      callback_vars: Object.assign({}, ...entries.map((one) => object(one['callback_vars']))),
    },
  })
}

async function remove(visit: Visit): Promise<Outgoing> {
  const callbackName = visit.params['callback_name'] ?? ''
  const team = await change(visit, (metadata) => {
    const before = list(metadata['logging']).filter(isObject)
    const logging = before.filter((one) => one['callback_name'] !== callbackName)
    if (logging.length === before.length)
      throw notFound(`this team has no callback '${callbackName.slice(0, 100)}'`)
    return { ...metadata, logging }
  })
  return json({ status: 'success', data: await teamRowNow(visit, team) })
}

async function disable(visit: Visit): Promise<Outgoing> {
  const team = await change(visit, (metadata) => ({
    ...metadata,
    logging: [],
    callback_settings: {
      ...object(metadata['callback_settings']),
      success_callback: [],
      failure_callback: [],
    },
  }))
  return json({
    status: 'success',
    message: `Logging disabled for team ${team.id}`,
    data: { team_id: team.id, success_callbacks: [], failure_callbacks: [] },
  })
}

export const teamCallbackRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/team/{team_id+}/callback',
    permission: 'self_write',
    summary: 'Keep a callback of a team',
    input: callback,
    run: add,
  },
  {
    method: 'GET',
    path: '/team/{team_id+}/callback',
    permission: 'self',
    summary: 'Callbacks of a team, without their credentials',
    run: show,
  },
  {
    method: 'DELETE',
    path: '/team/{team_id+}/callback/{callback_name}',
    permission: 'self_write',
    summary: 'Forget a callback of a team',
    run: remove,
  },
  {
    method: 'POST',
    path: '/team/{team_id}/disable_logging',
    permission: 'self_write',
    summary: 'Forget all callbacks of a team',
    run: disable,
  },
]
