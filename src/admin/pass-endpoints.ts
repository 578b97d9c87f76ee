import * as z from 'zod'
import { pathsOf, shares } from '../gateway/pass-endpoints.ts'
import { compile, type Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { mayPass } from '../policy/lanes.ts'
import { name } from './fields.ts'
import { namesVariable } from './live-rows.ts'
import { liveOf } from './live-visit.ts'
import { documentOf, isEndpoint, openEndpoint, sealEndpoint } from './pass-endpoint-rows.ts'
import {
  type AdminRoute,
  badRequest,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'

/** Paths of the operator's that lead to another server, added while the gateway serves. */

const methodNames = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

const map = z
  .record(z.string().max(255), z.union([z.string(), z.number(), z.boolean()]))
  .refine((value) => JSON.stringify(value).length <= 65_536, 'may not be larger than 64 KB')

const fields = {
  id: name.regex(/^[\w.-]+$/, 'may have letters, digits, dots, hyphens and underscores').nullish(),
  path: name.regex(/^\/[^\s?#{}\\%]+$/, "begins with '/', without ?, #, %, {} and spaces"),
  target: z
    .string('expected a URL')
    .max(2048, 'is too long')
    .refine(isTarget, 'expected an http(s) URL without a user name and a fragment in it'),
  headers: map.nullish(),
  default_query_params: map.nullish(),
  include_subpath: z.boolean().nullish(),
  forward_headers: z.boolean().nullish(),
  auth: z.boolean().nullish(),
  cost_per_request: z.number().min(0, 'may not be negative').max(9e6).nullish(),
  timeout: z.number().positive('is more than 0 seconds').max(86_400).nullish(),
  methods: z
    .array(z.string().toUpperCase().pipe(z.enum(methodNames)))
    .max(5)
    .nullish(),
  // Nothing looks at them here: an endpoint that counts on them would be without.
  guardrails: z
    .unknown()
    .refine(
      (value) => value == null || Object.keys(object(value as JsonObject)).length === 0,
      'guardrails of endpoints are not offered by this gateway',
    )
    .optional(),
}
const newEndpoint = z.looseObject(fields).meta({
  id: 'PassThroughEndpoint',
  description: 'As a row of general_settings.pass_through_endpoints',
})
const changedEndpoint = z
  .looseObject({ ...fields, path: fields.path.nullish(), target: fields.target.nullish() })
  .meta({ id: 'PassThroughEndpointChange', description: 'What is not said stays' })

function isTarget(said: string): boolean {
  if (!URL.canParse(said)) return false
  const { protocol, username, password, hash } = new URL(said)
  return /^https?:$/.test(protocol) && username === '' && password === '' && hash === ''
}

async function addEndpoint(visit: Visit): Promise<Outgoing> {
  const { id: said, ...body } = await readBody(visit, newEndpoint)
  const id = said ?? crypto.randomUUID()
  const row = cleaned(body)
  const { sealer, write } = storeOf(visit)
  await write(async (tx) => {
    refuseTaken(visit, id, row)
    await tx.setting.insert({ id: documentOf(id), data: sealEndpoint(row, sealer) })
  })
  await liveOf(visit).refresh()
  return json({ endpoints: [shown({ ...row, id }, false)] })
}

async function changeEndpoint(visit: Visit): Promise<Outgoing> {
  const id = visit.params['endpoint_id'] ?? ''
  const { id: _, ...body } = await readBody(visit, changedEndpoint)
  const { sealer, write } = storeOf(visit)
  let row: JsonObject = {}
  const doc = await write((tx) =>
    tx.setting.update(documentOf(id), (one) => {
      const { id: _, ...was } = openEndpoint(one, sealer)
      row = { ...was, ...cleaned(body, was) }
      refuseTaken(visit, id, row)
      one.data = sealEndpoint(row, sealer)
    }),
  )
  if (!doc) throw missing(visit, id)
  await liveOf(visit).refresh()
  return json({ endpoints: [shown({ ...row, id }, false)] })
}

async function removeEndpoint(visit: Visit): Promise<Outgoing> {
  const { endpoint_id: id } = readQuery(visit, z.looseObject({ endpoint_id: name }))
  const { sealer, write } = storeOf(visit)
  const gone = await write(async (tx) => {
    const doc = await tx.setting.find(documentOf(id))
    if (doc) await tx.setting.remove(doc.id)
    return doc
  })
  if (!gone) throw missing(visit, id)
  await liveOf(visit).refresh()
  return json({ endpoints: [shown(openEndpoint(gone, sealer), false)] })
}

const query = z.looseObject({ endpoint_id: name.optional(), team_id: name.optional() })

/** Those of the file first. With `endpoint_id` only those that may be changed here; with a team only those it may call. */
async function listEndpoints(visit: Visit): Promise<Outgoing> {
  const { endpoint_id, team_id } = readQuery(visit, query)
  const { docs, sealer } = storeOf(visit)
  const added = (await docs.setting.list())
    .filter(isEndpoint)
    .map((doc) => openEndpoint(doc, sealer))
  const ids = new Set(added.map(({ id }) => id))
  const ofFile = visit.rooms.settings.passThrough.filter(
    ({ id }) => id === undefined || !ids.has(id),
  )
  const every =
    endpoint_id === undefined
      ? [...ofFile.map((row) => [row, true] as const), ...added.map((row) => [row, false] as const)]
      : added.filter(({ id }) => id === endpoint_id).map((row) => [row, false] as const)
  const teamId = visit.params['team_id'] ?? team_id
  const team = teamId === undefined ? undefined : await docs.team.find(teamId)
  if (teamId !== undefined && !team) throw notFound('Team not found')
  const theirs = team
    ? every.filter(([{ path, auth }]) => mayPass(team.data, text(path) ?? '', auth !== false))
    : every
  return json({ endpoints: theirs.map(([row, fromConfig]) => shown(row, fromConfig)) })
}

const hidden = '********'

/** What is said and not null. A value that is sent back as it was shown stays what it was. */
function cleaned(body: Record<string, unknown>, was: JsonObject = {}): JsonObject {
  const { is_from_config: _, ...said } = body
  // Bodies were JSON.
  const row = Object.fromEntries(
    Object.entries(said).filter(([, value]) => value !== null && value !== undefined),
  ) as JsonObject
  for (const field of ['headers', 'default_query_params']) {
    if (row[field] === undefined) continue
    if (namesVariable(row[field]))
      throw badRequest(
        `${field}: os.environ/… is read from the config file only: write the value, or the endpoint into config.yaml`,
        field,
      )
    const before = object(was[field])
    row[field] = Object.fromEntries(
      Object.entries(object(row[field])).flatMap(([key, value]) => {
        const kept = value === hidden ? before[key] : value
        return kept === undefined ? [] : [[key, String(kept)]]
      }),
    )
  }
  const headers = object(row['headers'])
  for (const [key, value] of Object.entries(headers))
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(key) || /[^\t\x20-\x7e\x80-\xff]/.test(String(value)))
      throw badRequest(`headers: ${key.slice(0, 100)} cannot be sent as a header`, 'headers')
  return row
}

/** An endpoint never stands before the gateway's own routes, nor before another endpoint. */
function refuseTaken({ rooms, routes = [] }: Visit, id: string, row: JsonObject): void {
  const others = rooms.settings.passThrough.filter((one) => one['id'] !== id)
  const other = others.find((one) => shares(one, row))
  if (other)
    throw badRequest(
      `path: ${text(other['path'])} is served by another endpoint${text(other['id']) === undefined ? ' of the config file' : `, ${text(other['id'])}`}`,
      'path',
    )
  const path = text(row['path']) ?? ''
  const configured = new Set(rooms.settings.passThrough.flatMap(pathsOf))
  // The providers' own paths are wide: one below them may lead elsewhere.
  const own = routes.filter((one) => !configured.has(one.path) && !one.path.endsWith('/{path+}'))
  const table = compile(own)
  const met = methodNames.some((method) => 'route' in table.match(method, path))
  const above =
    row['include_subpath'] === true && own.some((one) => one.path.startsWith(`${path}/`))
  if (met || above)
    throw badRequest(
      `path: ${path} ${met ? "is one of the gateway's own" : 'has paths of the gateway below it'}: choose another`,
      'path',
    )
}

function missing({ rooms }: Visit, id: string) {
  return rooms.settings.passThrough.some((one) => one['id'] === id)
    ? badRequest(`Endpoint '${id.slice(0, 100)}' is of the config file: change it there`)
    : notFound(`Endpoint with ID '${id.slice(0, 100)}' not found`)
}

/** LiteLLM's fields; of headers and queries the names, for the values may be credentials. */
function shown(row: JsonObject, fromConfig: boolean): JsonObject {
  const names = (field: string): JsonObject =>
    Object.fromEntries(Object.keys(object(row[field])).map((key) => [key, hidden]))
  const methods = list(row['methods'])
  return {
    ...row,
    id: row['id'] ?? null,
    headers: names('headers'),
    default_query_params: names('default_query_params'),
    include_subpath: row['include_subpath'] === true,
    cost_per_request: row['cost_per_request'] ?? 0,
    timeout: row['timeout'] ?? null,
    auth: row['auth'] !== false,
    guardrails: row['guardrails'] ?? null,
    methods: methods.length > 0 ? methods : null,
    is_from_config: fromConfig,
  }
}

const row = (
  method: AdminRoute['method'],
  tail: string,
  summary: string,
  run: AdminRoute['run'],
  input?: z.ZodType,
): AdminRoute => ({
  method,
  path: `/config/pass_through_endpoint${tail}`,
  permission: method === 'GET' ? 'view' : 'admin',
  summary,
  run,
  ...(input && { input }),
})

export const passEndpointRoutes: readonly AdminRoute[] = [
  row('GET', '', 'Paths that lead to another server', listEndpoints),
  row('GET', '/team/{team_id}', 'Those a team may call', listEndpoints),
  row('POST', '', 'Add one', addEndpoint, newEndpoint),
  row('POST', '/{endpoint_id}', 'Change one', changeEndpoint, changedEndpoint),
  row('DELETE', '', 'Take one away', removeEndpoint),
]
