import type { Visit } from '../gateway/routes.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import { type Account, accountOf } from '../store/accounts.ts'
import type { Doc, Docs } from '../store/docs.ts'
import {
  budgetIdOf,
  budgetKeys,
  budgetsOf,
  budgetTable,
  moneyOf,
  spendOf,
  windowsOf,
} from './budget-table.ts'
import { allOf } from './reach.ts'
import { booksOf, dollarsOf, iso } from './route.ts'
import { withoutSecrets } from './team-secrets.ts'

/** Every field a row has, so that clients find those nobody has set. */
const blank: JsonObject = {
  team_alias: null,
  organization_id: null,
  team_member_permissions: null,
  tpm_limit: null,
  rpm_limit: null,
  tpd_limit: null,
  max_budget: null,
  soft_budget: null,
  budget_duration: null,
  budget_limits: null,
  models: [],
  blocked: false,
  router_settings: {},
  access_group_ids: [],
  default_team_member_models: [],
  max_parallel_requests: null,
  model_id: null,
  model_spend: {},
  model_max_budget: {},
  policies: [],
  allow_team_guardrail_config: false,
  object_permission: null,
  object_permission_id: null,
}

/** A team as LiteLLM shows it. `members`: its memberships, in the order they began. */
export function teamRow(
  visit: Visit,
  doc: Doc<'team'>,
  members: readonly Doc<'team_member'>[],
  account: Account | undefined,
): JsonObject {
  const { data } = doc
  const aliases = data['model_aliases']
  const windows = list(data['budget_limits']).map(object)
  const ids = (role: string) =>
    members.filter((one) => roleOf(one) === role).map(({ columns }) => columns.user_id ?? '')
  return {
    ...blank,
    ...data,
    metadata: withoutSecrets(object(data['metadata'])),
    ...(windows.length > 0 && { budget_limits: windowsOf(visit, windows) }),
    team_id: doc.id,
    admins: ids('admin'),
    members: ids('user'),
    members_with_roles: members.map(memberShown),
    ...moneyOf(account),
    litellm_model_table:
      aliases === undefined
        ? null
        : {
            model_aliases: aliases,
            created_by: data['created_by'] ?? null,
            updated_by: data['updated_by'] ?? null,
          },
    created_at: iso(doc.createdAt),
    updated_at: iso(doc.updatedAt),
  }
}

export const roleOf = ({ data }: Pick<Doc<'team_member'>, 'data'>): 'admin' | 'user' =>
  data['role'] === 'admin' ? 'admin' : 'user'

const memberShown = ({ columns, data }: Doc<'team_member'>): JsonObject => ({
  user_id: columns.user_id ?? null,
  user_email: text(data['user_email']) ?? null,
  role: roleOf({ data }),
})

/** Where a member's budget comes from: their own fields, the team's for all members, or nowhere. */
const sourceOf = ({ data }: Doc<'team_member'>): 'custom' | 'team_default' | 'none' => {
  if (budgetKeys.some((key) => data[key] !== undefined)) return 'custom'
  return budgetIdOf({ data }) === undefined ? 'none' : 'team_default'
}

/** Memberships as LiteLLM shows them, with what the members have spent in the team. */
export async function membershipRows(
  books: Pick<Books, 'store' | 'accounts'>,
  members: readonly Doc<'team_member'>[],
): Promise<JsonObject[]> {
  const [budgets, accounts] = await Promise.all([
    budgetsOf(books.store, members),
    books.accounts(members.map(accountOfMember)),
  ])
  return members.map((member) => {
    const account = accounts.get(accountOfMember(member))
    const { columns } = member
    return {
      user_id: columns.user_id ?? null,
      team_id: columns.team_id ?? null,
      budget_id: budgetIdOf(member) ?? null,
      spend: spendOf(account),
      total_spend: dollarsOf(account?.total ?? 0),
      litellm_budget_table: budgetTable(member, budgets.get(budgetIdOf(member) ?? ''), account),
      budget_source: sourceOf(member),
    }
  })
}
export const accountOfMember = ({ columns }: Pick<Doc<'team_member'>, 'columns'>): string =>
  accountOf.member(columns.team_id ?? '', columns.user_id ?? '')

/** Memberships of these teams, by team. */
export async function membersOf(
  docs: { readonly team_member: Pick<Docs<'team_member'>, 'list'> },
  teamIds: readonly string[],
): Promise<Map<string, Doc<'team_member'>[]>> {
  const all = await allOf(docs.team_member, 'team_id', teamIds)
  return Map.groupBy(all, ({ columns }) => columns.team_id ?? '')
}

/** Rows of several teams. */
export async function teamRows(visit: Visit, teams: readonly Doc<'team'>[]): Promise<JsonObject[]> {
  const books = booksOf(visit)
  const [members, accounts] = await Promise.all([
    membersOf(
      books.store.docs,
      teams.map(({ id }) => id),
    ),
    books.accounts(teams.map(({ id }) => accountOf.team(id))),
  ])
  return teams.map((team) =>
    teamRow(visit, team, members.get(team.id) ?? [], accounts.get(accountOf.team(team.id))),
  )
}

/** The row of one team as it is now. */
export async function teamRowNow(visit: Visit, team: Doc<'team'>): Promise<JsonObject> {
  const [row = {}] = await teamRows(visit, [team])
  return row
}
