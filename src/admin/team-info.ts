import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type JsonObject, list, object, text } from '../json/json.ts'
import { isAdmin } from '../policy/caller.ts'
import { accountOf, keyAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Store } from '../store/store.ts'
import { budgetRow } from './budgets.ts'
import { id } from './fields.ts'
import { keyAccounts, keyRow } from './key-row.ts'
import { teamFor } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  json,
  notFound,
  numberIn,
  readQuery,
  storeOf,
} from './route.ts'
import { defaultsOf } from './settings.ts'
import { runsTeam, type Standing } from './standing.ts'
import { memberBudgetId, teamRowShape } from './team-fields.ts'
import { teamsOfUser } from './team-lists.ts'
import { membershipRows, membersOf, teamRow, teamRows } from './team-row.ts'

/** One team, and which teams there are to join. */

const infoQuery = z.object({
  team_id: id.optional(),
  key_limit: numberIn(0, 100_000, 100_000).optional(),
})

async function info(visit: Visit): Promise<Outgoing> {
  const { team_id = visit.caller.teamId, key_limit } = readQuery(visit, infoQuery)
  if (team_id === undefined) throw badRequest('Malformed request. No team id passed in.', 'team_id')
  const { team, standing } = await teamFor(visit, team_id, 'see')
  const books = booksOf(visit)
  const members = (await membersOf(books.store.docs, [team.id])).get(team.id) ?? []
  const keys = await keysShown(visit, standing, team, key_limit)
  const budgetId = text(object(team.data['metadata'])[memberBudgetId])
  const [memberships, people, accounts, memberBudget, organization] = await Promise.all([
    membershipRows(books, members),
    books.store.docs.gateway_user.many(members.map(({ columns }) => columns.user_id ?? '')),
    books.accounts([accountOf.team(team.id), ...keyAccounts(keys)]),
    budgetId === undefined ? undefined : books.store.docs.budget.find(budgetId),
    team.columns.organization_id != null && runsTeam(standing, team)
      ? books.store.docs.organization.find(team.columns.organization_id)
      : undefined,
  ])
  const emails = new Map(people.map((one) => [one.id, one.data['user_email']]))
  const row = teamRow(visit, team, members, accounts.get(accountOf.team(team.id)))
  return json({
    team_id: team.id,
    team_info: {
      ...row,
      members_with_roles: list(row['members_with_roles'])
        .map(object)
        .map((one) => ({
          ...one,
          user_email: emails.get(text(one['user_id']) ?? '') ?? one['user_email'] ?? null,
        })),
      team_member_budget_table: memberBudget ? budgetRow(visit, memberBudget) : null,
      organization_models: organization ? list(organization.data['models']) : null,
      access_group_models: await groupModels(books.store, team),
    },
    keys: keys.map((key) => keyRow(key, accounts.get(keyAccount(key)))),
    team_memberships: memberships,
  })
}

/**
 * Keys of the team: for whoever runs it or sees everything all of them; for members their own, unless the team lets its
 * members list keys; for a key that belongs to nobody itself.
 */
async function keysShown(
  visit: Visit,
  standing: Standing,
  team: Doc<'team'>,
  limit?: number,
): Promise<Doc<'virtual_key'>[]> {
  const { caller } = visit
  const all =
    standing.sees ||
    runsTeam(standing, team) ||
    (standing.teams.has(team.id) &&
      list(team.data['team_member_permissions']).includes('/key/list'))
  if (limit === 0) return []
  const own =
    caller.userId === undefined
      ? { id: caller.keyId }
      : { team_id: team.id, user_id: caller.userId }
  return storeOf(visit).docs.virtual_key.list({
    where: all ? { team_id: team.id } : own,
    ...(limit !== undefined && { limit }),
  })
}

/** Models that access groups open to a team, beside its own list. */
async function groupModels({ docs }: Store, { data }: Doc<'team'>): Promise<unknown[] | null> {
  const ids = list(data['access_group_ids']).map(String)
  if (ids.length === 0) return null
  const groups = await docs.access_group.many(ids)
  return [...new Set(groups.flatMap((group) => list(group.data['access_model_names'])))]
}

/** Teams that are open to all (`available_teams`) and that the caller is not in. */
async function available(visit: Visit): Promise<Outgoing> {
  const open = list(defaultsOf(visit, 'default_internal_user_params')['available_teams'])
  const { userId } = visit.caller
  if (open.length === 0) return json([])
  const { docs } = storeOf(visit)
  if (userId === undefined) {
    if (isAdmin(visit.caller))
      return json(await teamRows(visit, await docs.team.many(open.map(String))))
    throw notFound('User not found: this key belongs to no user')
  }
  const own = new Set(await teamsOfUser(storeOf(visit), userId))
  const teams = await docs.team.many(open.map(String).filter((team) => !own.has(team)))
  return json(await teamRows(visit, teams))
}

/** Fields an operator wants to see in the metadata of teams (`team_metadata_schema`), for forms. */
function metadataSchema({ rooms }: Visit): Outgoing {
  const fields = list(rooms.settings.said.general['team_metadata_schema'])
    .filter(isObject)
    .map(({ key, label }: JsonObject) => ({ key: text(key) ?? '', label: text(label) ?? null }))
  return json({ fields: fields.filter(({ key }) => key !== '') })
}

const teams = z.array(teamRowShape).meta({ id: 'AvailableTeams' })

export const teamInfoRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/team/info',
    permission: 'self',
    summary: 'A team with its keys and memberships',
    run: info,
  },
  {
    method: 'GET',
    path: '/team/available',
    permission: 'self',
    summary: 'Teams a user may join by themselves',
    output: teams,
    run: available,
  },
  {
    method: 'GET',
    path: '/team/metadata_schema',
    permission: 'self',
    summary: 'Fields the metadata of teams should have',
    run: metadataSchema,
  },
]
