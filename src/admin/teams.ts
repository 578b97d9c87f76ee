import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { checkSoftBudget } from './budget-table.ts'
import { endTeam } from './ending.ts'
import { refuseUnknownModels } from './model-names.ts'
import { runsOrganization, teamFor } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  forbidden,
  json,
  notFound,
  readBody,
  storeOf,
} from './route.ts'
import { defaultsOf } from './settings.ts'
import { type Standing, standingOf } from './standing.ts'
import {
  boundsOf,
  orgAdminFields,
  refuseBeyond,
  refuseOverPromised,
  refuseSmuggled,
  teamAdminMay,
} from './team-bounds.ts'
import {
  newTeam,
  teamData,
  teamDefaults,
  teamIds,
  teamPatch,
  teamRef,
  teamRowShape,
  teamUpdate,
} from './team-fields.ts'
import { teamRowNow } from './team-row.ts'
import { withSealed } from './team-secrets.ts'
import {
  configureTeam,
  founders,
  join,
  joinOrganization,
  shareMemberBudget,
  writeMemberBudget,
} from './team-write.ts'
import { created, updated } from './written.ts'

type Body = Readonly<Record<string, unknown>>

async function create(visit: Visit): Promise<Outgoing> {
  const sent = await readBody(visit, newTeam)
  const body = withDefaults(visit, sent)
  const store = storeOf(visit)
  const standing = await standingOf(visit)
  const organizationId = text(body['organization_id'])
  refuseMaker(standing, organizationId, sent)
  const bounds = await boundsOf(store.docs, organizationId)
  const id = sent.team_id ?? crypto.randomUUID()
  const data = { ...teamData({}, withSealed(body, {}, store.sealer)), ...created(visit) }
  checkSoftBudget(data)
  if (bounds) refuseBeyond(bounds, data)
  await refuseUnknownModels(visit, store.docs, list(data['models']))
  const team = await store.write(async (tx) => {
    if (bounds) await refuseOverPromised(tx, bounds, id, data)
    await writeMemberBudget(tx, data, sent)
    const doc = await tx.team.insert({ id, data, columns: columnsOf(data) })
    await configureTeam(visit, tx, doc)
    await joinGroups(tx, doc, [])
    for (const who of founders(visit, sent)) await join(visit, tx, doc, who, {})
    return doc
  })
  return json(await teamRowNow(visit, team))
}

/** `default_team_params`, for what a body leaves out. A period sent as null is "never", not "left out". */
function withDefaults(visit: Visit, sent: Body): Record<string, unknown> {
  const read = teamDefaults.safeParse(defaultsOf(visit, 'default_team_params'))
  if (!read.success)
    throw new GatewayError(
      'internal',
      `default_team_params of the configuration cannot be used: ${z.prettifyError(read.error)}`,
    )
  const filled = { ...sent }
  for (const [field, value] of Object.entries(read.data))
    if (sent[field] === undefined || (sent[field] === null && field !== 'budget_duration'))
      filled[field] = value
  return filled
}

function refuseMaker(standing: Standing, organizationId: string | undefined, sent: Body): void {
  if (standing.admin) return
  if (organizationId === undefined || !runsOrganization(standing, organizationId))
    throw forbidden(
      'Only proxy administrators, and administrators of an organisation within it, make teams',
    )
  refuseFields(Object.keys(sent), orgAdminFields)
  refuseSmuggled(sent['metadata'], {}, orgAdminFields)
}

function refuseFields(fields: readonly string[], may: ReadonlySet<string>): void {
  const refused = fields.find((field) => !may.has(field))
  if (refused !== undefined)
    throw forbidden(
      `You may not set '${refused.slice(0, 100)}' of a team: ask a proxy administrator`,
    )
}

const update = async (visit: Visit): Promise<Outgoing> => {
  const body = await readBody(visit, teamUpdate)
  const team = await change(visit, body.team_id, body)
  return json({ team_id: team.id, data: await teamRowNow(visit, team) })
}

/** As an update, but that metadata is merged with what is there. */
async function patch(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, teamPatch)
  const id = visit.params['team_id'] ?? ''
  if (body.team_id != null && body.team_id !== id)
    throw badRequest(
      `team_id in body (${body.team_id}) does not match team_id in path (${id.slice(0, 255)})`,
      'team_id',
    )
  return json(await teamRowNow(visit, await change(visit, id, body, 'merge')))
}

async function change(
  visit: Visit,
  id: string,
  said: Body,
  metadata: 'replace' | 'merge' = 'replace',
): Promise<Doc<'team'>> {
  const store = storeOf(visit)
  const { team: before, standing } = await teamFor(visit, id, 'run')
  const body = narrowed(visit, standing, before, said, metadata === 'replace')
  const moves = body['organization_id'] !== undefined
  const organizationId = moves
    ? text(body['organization_id'])
    : (before.columns.organization_id ?? undefined)
  if (moves && organizationId !== undefined && !runsOrganization(standing, organizationId))
    throw forbidden(
      'Moving a team into an organisation takes an administrator of that organisation',
    )
  const bounds = await boundsOf(store.docs, organizationId)
  const models = { known: list(before.data['models']), teamId: id }
  await refuseUnknownModels(visit, store.docs, asList(body['models']), models)
  return store.write(async (tx) => {
    // Held from here on: what is read now is what is changed.
    const was = (await tx.team.update(id, () => {})) ?? gone(id)
    const metadataWas = object(was.data['metadata'])
    const sent = withSealed(body, metadataWas, store.sealer)
    if (metadata === 'merge' && isObject(sent['metadata']))
      sent['metadata'] = mergePatch(metadataWas, sent['metadata'])
    const data = { ...teamData(was.data, sent), ...updated(visit) }
    checkSoftBudget(data)
    const moved = moves && organizationId !== (was.columns.organization_id ?? undefined)
    if (bounds) {
      refuseBeyond(bounds, moved ? data : body)
      await refuseOverPromised(tx, bounds, id, data)
    }
    const budgetId = await writeMemberBudget(tx, data, body)
    const doc =
      (await tx.team.update(id, (one) => {
        one.data = data
        one.columns = columnsOf(data)
      })) ?? gone(id)
    await configureTeam(visit, tx, doc)
    await joinGroups(tx, doc, list(was.data['access_group_ids']))
    if (budgetId !== undefined) await shareMemberBudget(visit, tx, id, budgetId)
    if (moved && organizationId !== undefined) await joinOrganization(tx, organizationId, id)
    return doc
  })
}

/** What of a body this caller may change. Throws 403 naming the first field that they may not. */
function narrowed(
  visit: Visit,
  standing: Standing,
  team: Doc<'team'>,
  body: Body,
  whole: boolean,
): Body {
  if (standing.admin) return body
  if (runsOrganization(standing, team.columns.organization_id ?? '')) {
    refuseFields(Object.keys(body), orgAdminFields)
    refuseSmuggled(body['metadata'], object(team.data['metadata']), orgAdminFields, whole)
    if (body['organization_id'] === null)
      throw forbidden('Only a proxy administrator takes a team out of its organisation')
    return body
  }
  // Clients send rows back as they were shown: what is the same changes nothing, also not when a period begins.
  const changed = Object.entries(body).filter(
    ([field, value]) =>
      field !== 'team_id' &&
      JSON.stringify(value ?? null) !== JSON.stringify(team.data[field] ?? null),
  )
  const may = teamAdminMay(visit)
  const refused = changed.find(([field]) => !may.has(field))
  if (may.size === 0 || refused)
    throw forbidden(
      `Administrators of a team may not change ${refused ? `'${refused[0].slice(0, 100)}' of it` : 'its settings'}: ask a proxy administrator, who can allow single fields by general_settings.team_admin_editable_team_fields`,
    )
  const most = number(team.data['max_budget'])
  for (const [field, value] of changed)
    if (field === 'max_budget' && most !== undefined)
      if (typeof value !== 'number' || value > most)
        throw forbidden(
          `Only a proxy admin can raise or remove a team's max_budget. Team's current max_budget=${most}`,
        )
  return Object.fromEntries(changed)
}

/** RFC 7386: null takes away, maps are merged, everything else replaces. */
function mergePatch(was: JsonObject, sent: JsonObject, depth = 0): JsonObject {
  const result: JsonObject = { ...was }
  for (const [key, value] of Object.entries(sent)) {
    if (key === '__proto__') continue
    if (value === null) delete result[key]
    else if (typeof value === 'object' && !Array.isArray(value) && depth < 50)
      result[key] = mergePatch(object(was[key]), object(value), depth + 1)
    else result[key] = value
  }
  return result
}

/** Groups that a team is given know of it, and those that are taken from it forget it. */
async function joinGroups(tx: Tx, { id, data }: Doc<'team'>, before: readonly unknown[]) {
  const now = list(data['access_group_ids'])
  for (const group of now)
    if (!before.includes(group)) {
      const found = await tx.access_group.update(String(group), (one) => {
        const teams = list(one.data['assigned_team_ids'])
        one.data['assigned_team_ids'] = teams.includes(id) ? teams : [...teams, id]
      })
      if (!found)
        throw badRequest(
          `Access group '${String(group).slice(0, 100)}' does not exist`,
          'access_group_ids',
        )
    }
  for (const group of before)
    if (!now.includes(String(group)))
      await tx.access_group.update(String(group), (one) => {
        one.data['assigned_team_ids'] = list(one.data['assigned_team_ids']).filter(
          (team) => team !== id,
        )
      })
}

const columnsOf = (data: JsonObject) => ({
  organization_id: text(data['organization_id']) ?? null,
  alias: text(data['team_alias']) ?? null,
})
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

function gone(id: string): never {
  throw notFound(`Team not found, passed team_id=${id.slice(0, 200)}`)
}

async function remove(visit: Visit): Promise<Outgoing> {
  const { team_ids } = await readBody(visit, teamIds)
  const books = booksOf(visit)
  await books.flush()
  await books.store.write(async (tx) => {
    const wanted = [...new Set(team_ids)]
    for (const id of wanted) if (!(await tx.team.find(id))) gone(id)
    for (const id of wanted) await endTeam(visit, tx, id)
  })
  return json({ deleted_teams: team_ids })
}

const blocking =
  (blocked: boolean) =>
  async (visit: Visit): Promise<Outgoing> => {
    const { team_id } = await readBody(visit, teamRef)
    const team = await storeOf(visit).write((tx) =>
      tx.team.update(team_id, ({ data }) => {
        data['blocked'] = blocked
        Object.assign(data, updated(visit))
      }),
    )
    return json(await teamRowNow(visit, team ?? gone(team_id)))
  }

const output = teamRowShape

export const teamRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/team/new',
    permission: 'self_write',
    summary: 'Make a team',
    input: newTeam,
    output,
    run: create,
  },
  {
    method: 'POST',
    path: '/team/update',
    permission: 'self_write',
    summary: 'Change what is named of a team; null clears',
    input: teamUpdate,
    run: update,
  },
  {
    method: 'PATCH',
    path: '/team/{team_id}',
    permission: 'self_write',
    summary: 'The same, with metadata merged',
    input: teamPatch,
    output,
    run: patch,
  },
  {
    method: 'POST',
    path: '/team/delete',
    permission: 'admin',
    summary: 'Delete teams with their keys and memberships',
    input: teamIds,
    run: remove,
  },
  {
    method: 'POST',
    path: '/team/block',
    permission: 'admin',
    summary: 'Refuse requests of a team’s keys',
    input: teamRef,
    output,
    run: blocking(true),
  },
  {
    method: 'POST',
    path: '/team/unblock',
    permission: 'admin',
    summary: 'Let them in again',
    input: teamRef,
    output,
    run: blocking(false),
  },
]
