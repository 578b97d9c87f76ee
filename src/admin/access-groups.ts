import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { id, ids, longText, name, names } from './fields.ts'
import { refuseUnknownModels } from './model-names.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  iso,
  json,
  notFound,
  readBody,
  storeOf,
} from './route.ts'
import { created, merged, shownOnly, updated } from './written.ts'

/**
 * Named groups of models, given to teams and keys. Teams and keys list the groups they have (`access_group_ids`), groups
 * list whom they are given to: whichever is written, the other follows.
 */

const fields = {
  description: longText.nullish(),
  access_model_names: names.nullish(),
  access_mcp_server_ids: ids.nullish(),
  access_agent_ids: ids.nullish(),
  assigned_team_ids: ids.nullish(),
  assigned_key_ids: ids.nullish(),
}
const newGroup = z
  .looseObject({ access_group_name: name, ...fields })
  .meta({ id: 'NewAccessGroup' })
const groupUpdate = z
  .looseObject({ access_group_name: name.optional(), ...fields })
  .meta({ id: 'AccessGroupUpdate' })
const row = z
  .looseObject({ access_group_id: id, access_group_name: name })
  .meta({ id: 'AccessGroup' })

const derived = new Set([
  ...shownOnly,
  'access_group_id',
  'access_mcp_servers',
  'access_agents',
  'assigned_teams',
  'assigned_keys',
])

async function groupRows(
  visit: Visit,
  docs: readonly Doc<'access_group'>[],
): Promise<JsonObject[]> {
  const { docs: read } = booksOf(visit).store
  const idsOf = (field: string) => [
    ...new Set(docs.flatMap(({ data }) => list(data[field]).map(String))),
  ]
  const [teams, keys] = await Promise.all([
    read.team.many(idsOf('assigned_team_ids')),
    read.virtual_key.many(idsOf('assigned_key_ids')),
  ])
  const teamNames = new Map(teams.map((one) => [one.id, one.columns.alias ?? null]))
  const keyNames = new Map(keys.map((one) => [one.id, one.uniqueName]))
  return docs.map(({ id: groupId, uniqueName, data, createdAt, updatedAt }) => {
    const named = (field: string, of: ReadonlyMap<string, string | null>) =>
      list(data[field]).map((one) => ({ id: one, name: of.get(String(one)) ?? null }))
    return {
      description: null,
      access_model_names: [],
      access_mcp_server_ids: [],
      access_agent_ids: [],
      assigned_team_ids: [],
      assigned_key_ids: [],
      ...data,
      access_group_id: groupId,
      access_group_name: uniqueName ?? groupId,
      access_mcp_servers: named('access_mcp_server_ids', new Map()),
      access_agents: named('access_agent_ids', new Map()),
      assigned_teams: named('assigned_team_ids', teamNames),
      assigned_keys: named('assigned_key_ids', keyNames),
      created_at: iso(createdAt),
      updated_at: iso(updatedAt),
    }
  })
}

async function create(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, newGroup)
  const store = storeOf(visit)
  await refuseUnknownModels(visit, store.docs, body.access_model_names ?? [])
  const doc = await store.write(async (tx) => {
    const made = await insertGroup(visit, tx, body.access_group_name, body)
    await hand(tx, made.id, {}, made.data)
    return made
  })
  return json((await groupRows(visit, [doc]))[0], 201)
}

/** Throws 409 where the name is taken. */
export const insertGroup = (
  visit: Visit,
  tx: Tx,
  groupName: string,
  body: Readonly<Record<string, unknown>>,
): Promise<Doc<'access_group'>> =>
  tx.access_group.insert({
    id: crypto.randomUUID(),
    uniqueName: groupName,
    data: { ...merged({}, body, derived), access_group_name: groupName, ...created(visit) },
  })

async function update(visit: Visit): Promise<Outgoing> {
  const groupId = visit.params['access_group_id'] ?? ''
  const body = await readBody(visit, groupUpdate)
  const store = storeOf(visit)
  const known = list((await store.docs.access_group.find(groupId))?.data['access_model_names'])
  await refuseUnknownModels(visit, store.docs, body.access_model_names ?? [], { known })
  const doc = await store.write(async (tx) => {
    let before: JsonObject = {}
    const changed = await tx.access_group.update(groupId, (one) => {
      before = one.data
      one.data = { ...merged(one.data, body, derived), ...updated(visit) }
      one.uniqueName = text(one.data['access_group_name']) ?? one.uniqueName
    })
    if (!changed) throw missing(groupId)
    await hand(tx, groupId, before, changed.data)
    return changed
  })
  return json((await groupRows(visit, [doc]))[0])
}

export const missing = (group: string) =>
  notFound(`Access group '${group.slice(0, 200)}' not found`)

/** Gives a group to whom it is assigned now, and takes it from those it was and is not. Throws 400 for an unknown one. */
async function hand(tx: Tx, groupId: string, before: JsonObject, now: JsonObject): Promise<void> {
  for (const [kind, field] of assigned) {
    const had = list(before[field]).map(String)
    const has = list(now[field]).map(String)
    for (const one of had) if (!has.includes(one)) await setGroup(tx, kind, one, groupId, false)
    for (const one of has)
      if (!had.includes(one) && !(await setGroup(tx, kind, one, groupId, true)))
        throw badRequest(
          `${field}: there is no ${kind === 'team' ? 'team' : 'key'} with the id '${shownId(kind, one)}'`,
          field,
        )
  }
}
const assigned = [
  ['team', 'assigned_team_ids'],
  ['virtual_key', 'assigned_key_ids'],
] as const

/** Whoever writes a key where its id belongs is not shown it again. */
const shownId = (kind: 'team' | 'virtual_key', one: string): string =>
  kind === 'team' || /^[0-9a-f]{64}$/.test(one) ? one.slice(0, 200) : '…'

async function setGroup(
  tx: Tx,
  kind: 'team' | 'virtual_key',
  of: string,
  groupId: string,
  has: boolean,
): Promise<boolean> {
  const change = ({ data }: { data: JsonObject }) => {
    const others = list(data['access_group_ids']).filter((one) => one !== groupId)
    data['access_group_ids'] = has ? [...others, groupId] : others
  }
  const found =
    kind === 'team' ? await tx.team.update(of, change) : await tx.virtual_key.update(of, change)
  return found !== undefined
}

/** Takes a group from everybody who has it, and forgets it. */
export async function endGroup(tx: Tx, { id: groupId, data }: Doc<'access_group'>): Promise<void> {
  await hand(tx, groupId, data, {})
  await tx.access_group.remove(groupId)
}

async function remove(visit: Visit): Promise<Outgoing> {
  const groupId = visit.params['access_group_id'] ?? ''
  await storeOf(visit).write(async (tx) => {
    const found = await tx.access_group.find(groupId)
    if (!found) throw missing(groupId)
    await endGroup(tx, found)
  })
  return { status: 204, headers: {}, body: '' }
}

async function info(visit: Visit): Promise<Outgoing> {
  const groupId = visit.params['access_group_id'] ?? ''
  const found = await storeOf(visit).docs.access_group.find(groupId)
  if (!found) throw missing(groupId)
  return json((await groupRows(visit, [found]))[0])
}

async function listAll(visit: Visit): Promise<Outgoing> {
  return json(await groupRows(visit, await storeOf(visit).docs.access_group.list()))
}

export const accessGroupRoutes: readonly AdminRoute[] = [
  '/v1/access_group',
  '/v1/unified_access_group',
].flatMap((path): AdminRoute[] => [
  {
    method: 'POST',
    path,
    permission: 'admin',
    summary: 'Make a group of models, with the teams and keys that have it',
    input: newGroup,
    output: row,
    run: create,
  },
  { method: 'GET', path, permission: 'view', summary: 'Every group of models', run: listAll },
  {
    method: 'GET',
    path: `${path}/{access_group_id}`,
    permission: 'view',
    summary: 'A group of models',
    output: row,
    run: info,
  },
  {
    method: 'PUT',
    path: `${path}/{access_group_id}`,
    permission: 'admin',
    summary: 'Change what is named of a group of models',
    input: groupUpdate,
    output: row,
    run: update,
  },
  {
    method: 'DELETE',
    path: `${path}/{access_group_id}`,
    permission: 'admin',
    summary: 'Delete a group of models',
    run: remove,
  },
])
