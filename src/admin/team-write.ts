import type { Visit } from '../gateway/routes.ts'
import { type Json, type JsonObject, list, object, text } from '../json/json.ts'
import { accountOf, configureAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { checkExtra, configureFor } from './budget-table.ts'
import { accountsBeside } from './key-row.ts'
import { type Named, personFor } from './people.ts'
import { clockOf } from './settings.ts'
import { memberBudgetFields, memberBudgetId } from './team-fields.ts'
import { merged } from './written.ts'

/** Teams and memberships as they are written. */

/** Gives a team's accounts their periods. */
export async function configureTeam(visit: Visit, tx: Tx, team: Doc<'team'>): Promise<void> {
  const own = accountOf.team(team.id)
  await configureFor(visit, tx, own, team)
  for (const { id, duration } of accountsBeside(own, team.data))
    await configureAccount(tx, id, duration, clockOf(visit))
}

/**
 * `team_member_budget` and its like: the budget of members who have none of their own is a shared budget, made when it
 * is first spoken of. Changes `data`; returns the budget's id.
 */
export async function writeMemberBudget(
  tx: Tx,
  data: JsonObject,
  body: Readonly<Record<string, unknown>>,
): Promise<string | undefined> {
  const metadata = object(data['metadata'])
  const known = text(metadata[memberBudgetId])
  const sent = Object.entries(memberBudgetFields).filter(([field]) => body[field] !== undefined)
  if (sent.length === 0) return known
  const fields = Object.fromEntries(sent.map(([field, column]) => [column, body[field]]))
  const changed =
    known === undefined
      ? undefined
      : await tx.budget.update(known, (budget) => {
          budget.data = merged(budget.data, fields, new Set())
        })
  if (changed) return known
  if (sent.every(([field]) => body[field] === null)) return undefined
  const id = crypto.randomUUID()
  await tx.budget.insert({ id, data: merged({}, fields, new Set()) })
  data['metadata'] = { ...metadata, [memberBudgetId]: id }
  return id
}

/** Members who joined before there was a budget for all get it too. */
export async function shareMemberBudget(
  visit: Visit,
  tx: Tx,
  teamId: string,
  budgetId: string,
): Promise<void> {
  const shared = await tx.budget.find(budgetId)
  for (const one of await tx.team_member.list({ where: { team_id: teamId } })) {
    if (one.columns.budget_id != null && one.columns.budget_id !== budgetId) continue
    const doc = await tx.team_member.update(one.id, (member) => linkBudget(member, budgetId))
    if (doc)
      await configureFor(
        visit,
        tx,
        accountOf.member(teamId, doc.columns.user_id ?? ''),
        doc,
        shared,
      )
  }
}

export function linkBudget(member: Doc<'team_member'>, budgetId: string | undefined): void {
  member.columns.budget_id = budgetId ?? null
  if (budgetId === undefined) delete member.data['budget_id']
  else member.data['budget_id'] = budgetId
}

export type Joining = Named & { role: 'admin' | 'user' }

/** Fields of a membership, in the words of the store; null clears. */
export function memberFields(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  if (body['max_budget_in_team'] !== undefined) fields['max_budget'] = body['max_budget_in_team']
  for (const field of memberOwn) if (body[field] !== undefined) fields[field] = body[field]
  // An empty list bounds nothing: it is no list of the member's own.
  if (list(fields['allowed_models'] as Json).length === 0 && 'allowed_models' in fields)
    fields['allowed_models'] = null
  return fields
}
const memberOwn = [
  'budget_duration',
  'tpm_limit',
  'rpm_limit',
  'allowed_models',
  'temp_budget_increase',
  'temp_budget_expiry',
]

/** A user joins a team; undefined: they are in it already. The user is made where there is none. */
export async function join(
  visit: Visit,
  tx: Tx,
  team: Doc<'team'>,
  who: Joining,
  fields: Readonly<Record<string, unknown>>,
): Promise<{ member: Doc<'team_member'>; user: Doc<'gateway_user'> } | undefined> {
  const user = await personFor(visit, tx, who)
  const id = `${team.id}/${user.id}`
  if (await tx.team_member.find(id)) return undefined
  const defaults = list(team.data['default_team_member_models'])
  const budgetId = text(object(team.data['metadata'])[memberBudgetId])
  const shared = budgetId === undefined ? undefined : await tx.budget.find(budgetId)
  const email = who.user_email ?? text(user.data['user_email'])
  const data = merged(
    {
      user_id: user.id,
      team_id: team.id,
      role: who.role,
      ...(email !== undefined && { user_email: email }),
      ...(defaults.length > 0 && { allowed_models: defaults }),
      ...(shared && { budget_id: shared.id }),
    },
    fields,
    new Set(),
  )
  checkExtra(data)
  const member = await tx.team_member.insert({
    id,
    columns: { team_id: team.id, user_id: user.id, budget_id: shared?.id ?? null },
    data,
  })
  await configureFor(visit, tx, accountOf.member(team.id, user.id), member, shared)
  return { member, user }
}

/** The members a body of /team/new names in any of its three ways, and whoever makes the team. */
export function founders(
  { caller, rooms }: Visit,
  body: {
    members_with_roles?: readonly Joining[] | null | undefined
    members?: readonly string[] | null | undefined
    admins?: readonly string[] | null | undefined
  },
): Joining[] {
  const all: Joining[] = [
    ...(body.members_with_roles ?? []),
    ...(body.admins ?? []).map((user_id): Joining => ({ user_id, role: 'admin' })),
    ...(body.members ?? []).map((user_id): Joining => ({ user_id, role: 'user' })),
  ]
  const leftOut =
    caller.role === 'proxy_admin' &&
    rooms.settings.said.general['disable_auto_add_proxy_admin_to_teams'] === true
  if (
    caller.userId !== undefined &&
    !leftOut &&
    !all.some(({ user_id }) => user_id === caller.userId)
  )
    all.push({ user_id: caller.userId, role: 'admin' })
  return all
}

/** Who is in a team that moves to an organisation is in the organisation. */
export async function joinOrganization(
  tx: Tx,
  organizationId: string,
  teamId: string,
): Promise<void> {
  for (const { columns } of await tx.team_member.list({ where: { team_id: teamId } })) {
    const userId = columns.user_id ?? ''
    const id = `${organizationId}/${userId}`
    if (await tx.organization_member.find(id)) continue
    await tx.organization_member.insert({
      id,
      columns: { organization_id: organizationId, user_id: userId },
      data: { organization_id: organizationId, user_id: userId, user_role: 'internal_user' },
    })
  }
}
