import type { Visit } from '../gateway/routes.ts'
import type { JsonObject } from '../json/json.ts'
import { type Account, accountOf } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Store } from '../store/store.ts'
import { budgetsOf, effective, moneyOf } from './budget-table.ts'
import { accountsBeside, usageOf } from './key-row.ts'
import { booksOf, iso, storeOf } from './route.ts'

/** The teams and organisations somebody belongs to: rows show them, and keep them nowhere. */
export type Memberships = {
  teams: readonly Doc<'team_member'>[]
  organizations: readonly Doc<'organization_member'>[]
}

/** A user as LiteLLM's lists show them; the hash of the password is not shown. */
export function userRow(
  { id, data, createdAt, updatedAt }: Doc<'gateway_user'>,
  account: Account | undefined,
  of?: Memberships,
): JsonObject {
  const { password: _, ...shown } = data
  return {
    ...blank,
    ...shown,
    user_id: id,
    teams: (of?.teams ?? []).map(({ columns }) => columns.team_id ?? ''),
    organization_memberships: (of?.organizations ?? []).map(membershipRow),
    ...moneyOf(account),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

const membershipRow = ({ columns, data, createdAt, updatedAt }: Doc<'organization_member'>) => ({
  ...data,
  user_id: columns.user_id ?? null,
  organization_id: columns.organization_id ?? null,
  user_role: data['user_role'] ?? data['role'] ?? null,
  budget_id: columns.budget_id ?? null,
  created_at: iso(createdAt),
  updated_at: iso(updatedAt),
})

/** Every field a row has, so that clients find those nobody has set. */
const blank: JsonObject = {
  user_alias: null,
  user_email: null,
  user_role: null,
  team_id: null,
  sso_user_id: null,
  organization_id: null,
  object_permission_id: null,
  object_permission: null,
  password_reset_required: null,
  last_breach_check_at: null,
  max_budget: null,
  models: [],
  metadata: {},
  max_parallel_requests: null,
  tpm_limit: null,
  rpm_limit: null,
  budget_duration: null,
  allowed_cache_controls: [],
  policies: [],
  model_spend: {},
  model_max_budget: {},
}

/** A user as answers show them now. */
export async function userRowNow(visit: Visit, user: Doc<'gateway_user'>): Promise<JsonObject> {
  const store = storeOf(visit)
  const own = accountOf.user(user.id)
  const shared = (await budgetsOf(store, [user])).get(user.columns.budget_id ?? '')
  const counts = effective(user.data, shared)
  const beside = accountsBeside(own, counts).map(({ id }) => id)
  const [members, accounts] = await Promise.all([
    membershipsOf(store, [user.id]),
    booksOf(visit).accounts([own, ...beside]),
  ])
  return {
    ...userRow(user, accounts.get(own), members.get(user.id)),
    ...usageOf(own, counts, accounts),
  }
}

/** Whose teams and organisations; by user. */
export async function membershipsOf(
  { docs }: Pick<Store, 'docs'>,
  userIds: readonly string[],
): Promise<Map<string, Memberships>> {
  const where = { user_id: userIds }
  const [teams, organizations] = await Promise.all([
    docs.team_member.list({ where }),
    docs.organization_member.list({ where }),
  ])
  return new Map(
    userIds.map((id) => [
      id,
      {
        teams: teams.filter(({ columns }) => columns.user_id === id),
        organizations: organizations.filter(({ columns }) => columns.user_id === id),
      },
    ]),
  )
}

/** The accounts a row is shown with. */
export const userAccounts = (docs: readonly Doc<'gateway_user'>[]): string[] =>
  docs.map(({ id }) => accountOf.user(id))
