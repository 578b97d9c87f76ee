import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { list } from '../json/json.ts'
import type { Tx } from '../store/store.ts'
import { id, ids } from './fields.ts'
import { teamFor } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'
import { defaultsOf } from './settings.ts'
import { standingOf } from './standing.ts'
import { teamRowShape } from './team-fields.ts'
import { teamRowNow } from './team-row.ts'
import { updated } from './written.ts'

/** Routes that plain members of a team may use for its keys, as its administrators allow them. */

const available = [
  '/key/generate',
  '/key/update',
  '/key/delete',
  '/key/info',
  '/key/regenerate',
  '/key/service-account/generate',
  '/key/{key_id}/regenerate',
  '/key/list',
  '/key/block',
  '/key/unblock',
  '/key/bulk_update',
  '/team/key/bulk_update',
  '/team/daily/activity',
  '/team/daily/activity/aggregated',
  '/spend/logs',
  '/spend/logs/v2',
  '/key/{key_id}/reset_spend',
  '/key/aliases',
  '/key/access_group_assignment',
  '/key/health',
] as const
const standard = ['/key/info', '/key/health']
/** LiteLLM's clients write paths of routes that this gateway may not know: kept, and they open nothing. */
const permission = z
  .string('expected the path of a route')
  .max(255)
  .regex(/^\//, 'must be the path of a route, such as /key/generate')

const permissionsUpdate = z
  .object({ team_id: id, team_member_permissions: z.array(permission).max(100) })
  .meta({ id: 'TeamPermissions' })
const bulkUpdate = z
  .object({
    permissions: z.array(z.enum(available)).max(100),
    team_ids: ids.nullish(),
    apply_to_all_teams: z.boolean().default(false),
  })
  .meta({ id: 'TeamPermissionsBulk' })

async function show(visit: Visit): Promise<Outgoing> {
  const { team_id } = readQuery(visit, z.object({ team_id: id }))
  const open = list(defaultsOf(visit, 'default_internal_user_params')['available_teams'])
  const standing = await standingOf(visit)
  const { docs } = storeOf(visit)
  const guest = open.includes(team_id) && standing.userId !== undefined
  const team =
    standing.sees || guest
      ? await docs.team.find(team_id)
      : (await teamFor(visit, team_id, 'run')).team
  if (!team) throw notFound(`Team not found, passed team_id=${team_id.slice(0, 200)}`)
  const own = team.data['team_member_permissions']
  return json({
    team_id: team.id,
    team_member_permissions: own ?? standard,
    all_available_permissions: available,
  })
}

async function update(visit: Visit): Promise<Outgoing> {
  const { team_id, team_member_permissions } = await readBody(visit, permissionsUpdate)
  await teamFor(visit, team_id, 'run')
  const team = await storeOf(visit).write((tx) =>
    tx.team.update(team_id, ({ data }) => {
      Object.assign(data, { team_member_permissions }, updated(visit))
    }),
  )
  if (!team) throw notFound(`Team not found, passed team_id=${team_id}`)
  return json(await teamRowNow(visit, team))
}

/** Adds permissions to many teams, or to all. */
async function updateMany(visit: Visit): Promise<Outgoing> {
  const { permissions, team_ids, apply_to_all_teams } = await readBody(visit, bulkUpdate)
  if (permissions.length === 0)
    return json({ message: 'No permissions provided', teams_updated: 0 })
  if (!apply_to_all_teams && !team_ids?.length)
    throw badRequest('Must provide team_ids or set apply_to_all_teams=true', 'team_ids')
  if (apply_to_all_teams && team_ids?.length)
    throw badRequest('Cannot set both apply_to_all_teams=true and team_ids', 'team_ids')
  const teams_updated = await storeOf(visit).write(async (tx) => {
    const wanted = team_ids?.length ? [...new Set(team_ids)] : undefined
    const teams = wanted ? await tx.team.many(wanted) : await tx.team.list()
    const missing = wanted?.find((one) => !teams.some((team) => team.id === one))
    if (missing !== undefined) throw notFound(`Team(s) not found: ${missing.slice(0, 200)}`)
    let count = 0
    for (const team of teams) if (await append(tx, team.id, permissions)) count++
    return count
  })
  return json({
    message: 'Team permissions updated successfully',
    teams_updated,
    permissions_appended: permissions,
  })
}

async function append(tx: Tx, teamId: string, permissions: readonly string[]): Promise<boolean> {
  const team = await tx.team.find(teamId)
  const own = list(team?.data['team_member_permissions']).map(String)
  if (permissions.every((one) => own.includes(one))) return false
  await tx.team.update(teamId, ({ data }) => {
    data['team_member_permissions'] = [...new Set([...own, ...permissions])].sort()
  })
  return true
}

export const teamPermissionRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/team/permissions_list',
    permission: 'self',
    summary: 'What plain members of a team may do with its keys',
    run: show,
  },
  {
    method: 'POST',
    path: '/team/permissions_update',
    permission: 'self_write',
    summary: 'Say what plain members of a team may do with its keys',
    input: permissionsUpdate,
    output: teamRowShape,
    run: update,
  },
  {
    method: 'POST',
    path: '/team/permissions_bulk_update',
    permission: 'admin',
    summary: 'Let plain members of many teams do more',
    input: bulkUpdate,
    run: updateMany,
  },
]
