import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isAdmin } from '../policy/caller.ts'
import type { Doc } from '../store/docs.ts'
import type { AllDocs, Tx } from '../store/store.ts'
import { configureFor } from './budget-table.ts'
import { closeAccounts } from './ending.ts'
import { dollars, id, oneOrMore } from './fields.ts'
import { accountOfOrgMember, orgMembershipRows } from './organization-row.ts'
import {
  findPerson,
  isNamed,
  type Named,
  named,
  nameless,
  peopleRows,
  personFor,
} from './people.ts'
import { organizationFor } from './reach.ts'
import { type AdminRoute, booksOf, forbidden, json, notFound, readBody, storeOf } from './route.ts'
import { merged } from './written.ts'

const role = z.enum(
  ['org_admin', 'internal_user', 'internal_user_viewer'],
  'role must be org_admin, internal_user or internal_user_viewer',
)
const member = z
  .object({ role, ...named })
  .refine(isNamed, nameless)
  .meta({ id: 'OrganizationMember' })
const budget = { max_budget_in_organization: dollars.nullish() }
const memberAdd = z
  .object({
    organization_id: id,
    member: oneOrMore(member),
    ...budget,
  })
  .meta({ id: 'OrganizationMemberAdd' })
const memberUpdate = z
  .object({ organization_id: id, ...named, role: role.nullish(), ...budget })
  .refine(isNamed, nameless)
  .meta({ id: 'OrganizationMemberUpdate' })
const memberDelete = z
  .object({ organization_id: id, ...named })
  .refine(isNamed, nameless)
  .meta({ id: 'OrganizationMemberDelete' })

async function add(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, memberAdd)
  await organizationFor(visit, body.organization_id, 'run')
  const added = await storeOf(visit).write(async (tx) => {
    const all: { user: Doc<'gateway_user'>; membership: Doc<'organization_member'> }[] = []
    for (const who of body.member) {
      const user = await personFor(visit, tx, who)
      const memberId = `${body.organization_id}/${user.id}`
      if (await tx.organization_member.find(memberId)) throw already(user.id)
      const membership = await tx.organization_member.insert({
        id: memberId,
        columns: { organization_id: body.organization_id, user_id: user.id },
        data: {
          organization_id: body.organization_id,
          user_id: user.id,
          user_role: who.role,
          ...(body.max_budget_in_organization != null && {
            max_budget: body.max_budget_in_organization,
          }),
        },
      })
      await configureFor(visit, tx, accountOfOrgMember(membership), membership)
      all.push({ user, membership })
    }
    return all
  })
  return json({
    organization_id: body.organization_id,
    updated_users: await peopleRows(
      booksOf(visit),
      added.map(({ user }) => user),
    ),
    updated_organization_memberships: await orgMembershipRows(
      visit,
      added.map(({ membership }) => membership),
    ),
  })
}

const already = (userId: string): GatewayError =>
  new GatewayError('bad_request', `User ${userId} is in this organization already`, {
    type: 'bad_request_error',
    param: 'member',
    code: '400',
  })

async function update(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, memberUpdate)
  await organizationFor(visit, body.organization_id, 'run')
  const { role: asked, max_budget_in_organization: max } = body
  const doc = await storeOf(visit).write(async (tx) => {
    const found = await memberNamed(tx, body.organization_id, body)
    await refuseHigher(visit, tx, found)
    if (max !== undefined) refuseSelf(visit, found)
    const changed = await tx.organization_member.update(found.id, (one) => {
      one.data = merged(
        one.data,
        {
          ...(asked != null && { user_role: asked }),
          ...(max !== undefined && { max_budget: max }),
        },
        new Set(),
      )
    })
    return changed ?? found
  })
  const [row] = await orgMembershipRows(visit, [doc])
  return json(row)
}

/** What a proxy administrator is in an organisation, only a proxy administrator changes. */
async function refuseHigher(
  { caller }: Visit,
  tx: Tx,
  { columns }: Doc<'organization_member'>,
): Promise<void> {
  if (isAdmin(caller)) return
  const user = await tx.gateway_user.find(columns.user_id ?? '')
  if (String(user?.data['user_role']).startsWith('proxy_admin'))
    throw forbidden(
      'Only a proxy administrator may change the membership of a user who is one, or who sees everything',
    )
}

function refuseSelf({ caller }: Visit, { columns }: Doc<'organization_member'>): void {
  if (!isAdmin(caller) && columns.user_id === caller.userId)
    throw forbidden('Cannot change your own budget in an organization. Ask a proxy admin.')
}

async function memberNamed(
  docs: Pick<AllDocs, 'organization_member' | 'gateway_user'>,
  organizationId: string,
  who: Named,
): Promise<Doc<'organization_member'>> {
  const userId = who.user_id ?? (await findPerson(docs, who))?.id
  const found =
    userId === undefined
      ? undefined
      : await docs.organization_member.find(`${organizationId}/${userId}`)
  if (!found)
    throw notFound(
      `Member not found in organization for ${who.user_id != null ? `user_id=${who.user_id}` : `user_email=${who.user_email}`}`,
    )
  return found
}

async function remove(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, memberDelete)
  await organizationFor(visit, body.organization_id, 'run')
  const { docs, write } = storeOf(visit)
  const found = await memberNamed(docs, body.organization_id, body)
  const [row] = await orgMembershipRows(visit, [found])
  await write(async (tx) => {
    await refuseHigher(visit, tx, found)
    await tx.organization_member.remove(found.id)
    await closeAccounts(tx, [accountOfOrgMember(found)])
  })
  return json(row)
}

export const organizationMemberRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/organization/member_add',
    permission: 'self_write',
    summary: 'Add members to an organisation',
    input: memberAdd,
    run: add,
  },
  {
    method: 'PATCH',
    path: '/organization/member_update',
    permission: 'self_write',
    summary: 'Change the role or the budget of a member',
    input: memberUpdate,
    run: update,
  },
  {
    method: 'DELETE',
    path: '/organization/member_delete',
    permission: 'self_write',
    summary: 'Take a member out of an organisation',
    input: memberDelete,
    run: remove,
  },
]
