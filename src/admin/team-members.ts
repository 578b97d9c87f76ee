import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { list, number, object, text } from '../json/json.ts'
import { isAdmin } from '../policy/caller.ts'
import { setSpend } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { AllDocs, Tx } from '../store/store.ts'
import { budgetKeys, checkExtra, configureFor, effective } from './budget-table.ts'
import { endMember } from './ending.ts'
import { dollars, duration, id, instant, limit, names, oneOrMore, spent } from './fields.ts'
import { isNamed, member, type Named, named, nameless, peopleRows } from './people.ts'
import { absent, denied, teamFor } from './reach.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  dollarsOf,
  forbidden,
  json,
  nanoOf,
  notFound,
  readBody,
  storeOf,
} from './route.ts'
import { defaultsOf } from './settings.ts'
import { runsTeam, standingOf } from './standing.ts'
import { memberBudgetId } from './team-fields.ts'
import { accountOfMember, membershipRows, roleOf, teamRowNow } from './team-row.ts'
import { type Joining, join, linkBudget, memberFields } from './team-write.ts'
import { merged } from './written.ts'

const own = {
  max_budget_in_team: dollars.nullish(),
  budget_duration: duration.nullish(),
  allowed_models: names.nullish(),
}
const memberAdd = z
  .object({ team_id: id, member: oneOrMore(member), ...own })
  .meta({ id: 'TeamMemberAdd' })
const bulkAdd = z
  .object({
    team_id: id,
    members: z.array(member).max(500, 'Maximum 500 members can be added at once').nullish(),
    all_users: z.boolean().nullish(),
    ...own,
  })
  .meta({ id: 'TeamBulkMemberAdd' })
const memberDelete = z
  .object({ team_id: id, ...named })
  .refine(isNamed, nameless)
  .meta({ id: 'TeamMemberDelete' })
const memberUpdate = z
  .object({
    team_id: id,
    ...named,
    ...own,
    role: z.enum(['admin', 'user']).nullish(),
    tpm_limit: limit.nullish(),
    rpm_limit: limit.nullish(),
    temp_budget_increase: dollars.nullish(),
    temp_budget_expiry: instant.nullish(),
  })
  .refine(isNamed, nameless)
  .meta({ id: 'TeamMemberUpdate' })
const resetTo = z.object({ reset_to: spent }).meta({ id: 'MemberResetSpend' })

type Added = { member: Doc<'team_member'>; user: Doc<'gateway_user'> }

async function add(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, memberAdd)
  const { team, added } = await addAll(visit, body.team_id, body.member, body)
  return json(await addedShown(visit, team, added))
}

async function addedShown(visit: Visit, team: Doc<'team'>, added: readonly Added[]) {
  const members = added.map((one) => one.member)
  return {
    ...(await teamRowNow(visit, team)),
    updated_users: await peopleRows(
      booksOf(visit),
      added.map(({ user }) => user),
    ),
    updated_team_memberships: await membershipRows(booksOf(visit), members),
  }
}

/** Adds whoever is not in the team yet. Throws 400 where all of them are. */
async function addAll(
  visit: Visit,
  teamId: string,
  members: readonly Joining[],
  body: Readonly<Record<string, unknown>>,
): Promise<{ team: Doc<'team'>; added: Added[] }> {
  const store = storeOf(visit)
  const found = await store.docs.team.find(teamId)
  const standing = await standingOf(visit)
  if (!found) throw absent(visit, `Team not found for team_id=${teamId.slice(0, 200)}`, 'team')
  if (!runsTeam(standing, found)) refuseGuests(visit, found, members, body)
  const fields = memberFields(body)
  const added = await store.write(async (tx) => {
    const all: Added[] = []
    for (const who of members) {
      const one = await join(visit, tx, found, who, fields)
      if (one) all.push(one)
    }
    return all
  })
  if (added.length === 0)
    throw new GatewayError(
      'bad_request',
      members.length === 1
        ? `User already in team. Member: ${members[0]?.user_id ?? members[0]?.user_email}`
        : 'All users are already in team',
      { type: 'team_member_already_in_team', param: 'member', code: '400' },
    )
  return { team: found, added }
}

/** A user may join a team that is open to all (`available_teams`): themselves, as a plain member, on its terms. */
function refuseGuests(
  visit: Visit,
  team: Doc<'team'>,
  members: readonly Joining[],
  body: Readonly<Record<string, unknown>>,
): void {
  const open = list(defaultsOf(visit, 'default_internal_user_params')['available_teams'])
  if (!open.includes(team.id)) throw denied('team')
  const { userId } = visit.caller
  const onlySelf = members.every(
    ({ user_id, user_email, role }) => user_id === userId && user_email == null && role === 'user',
  )
  if (userId === undefined || !onlySelf || Object.keys(memberFields(body)).length > 0)
    throw forbidden(
      'Joining an available team adds yourself only (user_id must be your own), with the role user and without budget or models',
    )
}

async function bulk(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, bulkAdd)
  const members = body.all_users === true ? await everybody(visit) : (body.members ?? [])
  if (members.length === 0) throw badRequest('At least one member is required', 'members')
  const { team, added } = await addAll(visit, body.team_id, members, body)
  const shown = await addedShown(visit, team, added)
  const results = members.map(({ user_id, user_email }) => {
    const at = added.findIndex(
      ({ user, member: joined }) =>
        user.id === user_id ||
        (user_email != null &&
          text(joined.data['user_email'])?.toLowerCase() === user_email.toLowerCase()),
    )
    return {
      user_id: added[at]?.user.id ?? user_id ?? null,
      user_email: user_email ?? null,
      success: at !== -1,
      error: at === -1 ? 'User already in team' : null,
      updated_user: shown.updated_users[at] ?? null,
      updated_team_membership: shown.updated_team_memberships[at] ?? null,
    }
  })
  const successes = results.filter(({ success }) => success).length
  return json({
    team_id: team.id,
    results,
    total_requested: members.length,
    successful_additions: successes,
    failed_additions: members.length - successes,
    updated_team: await teamRowNow(visit, team),
  })
}

async function everybody(visit: Visit): Promise<Joining[]> {
  if (!isAdmin(visit.caller)) throw forbidden('all_users is for proxy administrators')
  const users = await storeOf(visit).docs.gateway_user.list()
  return users.map((user): Joining => ({ user_id: user.id, role: 'user' }))
}

/** The membership a body names. Throws 400 where there is none. */
async function memberNamed(
  docs: Pick<AllDocs, 'team_member' | 'gateway_user'>,
  teamId: string,
  { user_id, user_email }: Named,
): Promise<Doc<'team_member'>> {
  const [found] =
    user_id != null
      ? [await docs.team_member.find(`${teamId}/${user_id}`)]
      : await byEmail(docs, teamId, user_email ?? '')
  if (!found) throw badRequest('User not found in team', user_id != null ? 'user_id' : 'user_email')
  return found
}

async function byEmail(
  { team_member, gateway_user }: Pick<AllDocs, 'team_member' | 'gateway_user'>,
  teamId: string,
  address: string,
): Promise<Doc<'team_member'>[]> {
  const users = await gateway_user.list({ where: { email: address.toLowerCase() } })
  return team_member.many(users.map((user) => `${teamId}/${user.id}`))
}

async function remove(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, memberDelete)
  const { team } = await teamFor(visit, body.team_id, 'run')
  const books = booksOf(visit)
  await books.flush()
  await books.store.write(async (tx) => {
    const found = await memberNamed(tx, team.id, body)
    await endMember(visit, tx, team.id, found.columns.user_id ?? '')
  })
  return json(await teamRowNow(visit, team))
}

async function update(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, memberUpdate)
  const { team } = await teamFor(visit, body.team_id, 'run')
  const doc = await storeOf(visit).write(async (tx) => {
    const found = await memberNamed(tx, team.id, body)
    refuseSelf(visit, found, 'limits', Object.keys(memberFields(body)).length > 0)
    return changeMember(visit, tx, found, {
      ...memberFields(body),
      ...(body.role != null && { role: body.role }),
    })
  })
  const { team_id: _, user_id: __, user_email, role: ___, ...said } = body
  return json({
    team_id: team.id,
    user_id: doc.columns.user_id ?? null,
    user_email: user_email ?? text(doc.data['user_email']) ?? null,
    role: roleOf(doc),
    ...said,
    max_budget_in_team: number(doc.data['max_budget']) ?? null,
  })
}

async function changeMember(
  visit: Visit,
  tx: Tx,
  { id: memberId, columns }: Doc<'team_member'>,
  fields: Readonly<Record<string, unknown>>,
): Promise<Doc<'team_member'>> {
  const doc = await tx.team_member.update(memberId, (one) => {
    one.data = merged(one.data, fields, new Set())
    checkExtra(one.data)
  })
  if (!doc) throw badRequest('User not found in team', 'user_id')
  const shared = columns.budget_id ? await tx.budget.find(columns.budget_id) : undefined
  await configureFor(visit, tx, accountOfMember(doc), doc, shared)
  return doc
}

/** Whoever runs a team is bounded in it as others are: their own bounds are for a proxy administrator to change. */
function refuseSelf(visit: Visit, { columns }: Doc<'team_member'>, what: string, does = true) {
  if (does && !isAdmin(visit.caller) && columns.user_id === visit.caller.userId)
    throw forbidden(`Cannot change your own ${what} in a team. Ask a proxy admin.`)
}

/** The team and the membership that stand in the path. */
async function inPath(visit: Visit): Promise<{ team: Doc<'team'>; found: Doc<'team_member'> }> {
  const { team_id = '', user_id = '' } = visit.params
  const { team } = await teamFor(visit, team_id, 'run')
  const found = await storeOf(visit).docs.team_member.find(`${team.id}/${user_id}`)
  if (!found) throw notFound(`User ${user_id.slice(0, 200)} is not a member of team ${team.id}.`)
  return { team, found }
}

async function resetSpend(visit: Visit): Promise<Outgoing> {
  const { reset_to } = await readBody(visit, resetTo)
  const { team, found } = await inPath(visit)
  refuseSelf(visit, found, 'spend')
  const books = booksOf(visit)
  await books.flush()
  const account = accountOfMember(found)
  const spend = dollarsOf((await books.accounts([account])).get(account)?.spend ?? 0)
  const { budget_id } = found.columns
  const shared = budget_id ? await books.store.docs.budget.find(budget_id) : undefined
  const most = number(effective(found.data, shared)['max_budget'])
  if (reset_to > spend)
    throw badRequest(`reset_to (${reset_to}) must be <= current spend (${spend})`, 'reset_to')
  if (most !== undefined && reset_to > most)
    throw badRequest(`reset_to (${reset_to}) must be <= budget (${most})`, 'reset_to')
  await books.store.write((tx) => setSpend(tx, account, nanoOf(reset_to)))
  return json({
    team_id: team.id,
    user_id: found.columns.user_id ?? null,
    spend: reset_to,
    previous_spend: spend,
    max_budget: most ?? null,
  })
}

/** Back to the budget the team has for all: the member's own fields are gone, their spend stays. */
async function resetBudget(visit: Visit): Promise<Outgoing> {
  const { team, found } = await inPath(visit)
  refuseSelf(visit, found, 'budget')
  const wanted = text(object(team.data['metadata'])[memberBudgetId])
  const shared = await storeOf(visit).write(async (tx) => {
    const budget = wanted === undefined ? undefined : await tx.budget.find(wanted)
    const doc = await tx.team_member.update(found.id, (one) => {
      for (const key of budgetKeys) delete one.data[key]
      linkBudget(one, budget?.id)
    })
    if (doc) await configureFor(visit, tx, accountOfMember(doc), doc, budget)
    return budget
  })
  return json({
    team_id: team.id,
    user_id: found.columns.user_id ?? null,
    budget_id: shared?.id ?? null,
    previous_budget_id: found.columns.budget_id ?? null,
    budget_source: shared ? 'team_default' : 'none',
  })
}

/** The caller's own membership. */
async function me(visit: Visit): Promise<Outgoing> {
  const { team_id = '' } = visit.params
  const { userId } = visit.caller
  if (userId === undefined)
    throw badRequest("this key belongs to no user, so nobody is 'me': use a key of a user")
  const books = booksOf(visit)
  const { docs } = books.store
  const [team, found, user] = await Promise.all([
    docs.team.find(team_id),
    docs.team_member.find(`${team_id}/${userId}`),
    docs.gateway_user.find(userId),
  ])
  if (!team || !found)
    throw notFound(`User user_id=${userId} is not a member of team_id=${team_id.slice(0, 200)}.`)
  const [row] = await membershipRows(books, [found])
  return json({
    ...row,
    team_alias: text(team.data['team_alias']) ?? null,
    role: roleOf(found),
    user_email: text(user?.data['user_email']) ?? null,
  })
}

export const teamMemberRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/team/member_add',
    permission: 'self_write',
    summary: 'Add members to a team',
    input: memberAdd,
    run: add,
  },
  {
    method: 'POST',
    path: '/team/bulk_member_add',
    permission: 'self_write',
    summary: 'Add many members, or everybody, with a result for each',
    input: bulkAdd,
    run: bulk,
  },
  {
    method: 'POST',
    path: '/team/member_delete',
    permission: 'self_write',
    summary: 'Take a member out of a team, with their keys of it',
    input: memberDelete,
    run: remove,
  },
  {
    method: 'POST',
    path: '/team/member_update',
    permission: 'self_write',
    summary: 'Change the role or the limits of a member',
    input: memberUpdate,
    run: update,
  },
  {
    method: 'POST',
    path: '/team/{team_id}/member/{user_id}/reset_spend',
    permission: 'self_write',
    summary: 'Set what a member has spent in a team back',
    input: resetTo,
    run: resetSpend,
  },
  {
    method: 'POST',
    path: '/team/{team_id}/member/{user_id}/reset_budget',
    permission: 'self_write',
    summary: 'Give a member the budget the team has for all',
    run: resetBudget,
  },
  {
    method: 'GET',
    path: '/team/{team_id}/members/me',
    permission: 'self',
    summary: 'The caller’s own membership',
    run: me,
  },
]
