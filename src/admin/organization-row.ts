import type { Visit } from '../gateway/routes.ts'
import { type JsonObject, text } from '../json/json.ts'
import { accountOf } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import {
  budgetIdOf,
  budgetsOf,
  budgetTable,
  moneyOf,
  spendOf,
  wholeTable,
  withoutBudget,
} from './budget-table.ts'
import { peopleRows } from './people.ts'
import { allOf } from './reach.ts'
import { booksOf, dollarsOf, iso } from './route.ts'
import { teamRows } from './team-row.ts'

const blank: JsonObject = {
  organization_alias: null,
  budget_id: null,
  metadata: {},
  models: [],
  model_spend: {},
  users: null,
  object_permission: null,
  object_permission_id: null,
}

/**
 * Organisations as LiteLLM shows them, with their teams and members. `whole`: which of them the caller may see all of;
 * of the others, members see themselves and no team.
 */
export async function organizationRows(
  visit: Visit,
  docs: readonly Doc<'organization'>[],
  whole: (organizationId: string) => boolean = () => true,
): Promise<JsonObject[]> {
  const books = booksOf(visit)
  const open = docs.map(({ id }) => id).filter(whole)
  const [budgets, accounts, teams, members] = await Promise.all([
    budgetsOf(books.store, docs),
    books.accounts(docs.map(({ id }) => accountOf.organization(id))),
    allOf(books.store.docs.team, 'organization_id', open),
    allOf(
      books.store.docs.organization_member,
      'organization_id',
      docs.map(({ id }) => id),
    ),
  ])
  const shown = members.filter(
    ({ columns }) =>
      whole(columns.organization_id ?? '') || columns.user_id === visit.caller.userId,
  )
  const [teamsShown, membersShown] = await Promise.all([
    teamRows(visit, teams),
    orgMembershipRows(visit, shown),
  ])
  const teamsOf = Map.groupBy(teamsShown, (row) => row['organization_id'])
  const membersOf = Map.groupBy(membersShown, (row) => row['organization_id'])
  return docs.map((doc) => {
    const account = accounts.get(accountOf.organization(doc.id))
    const shared = budgets.get(budgetIdOf(doc) ?? '')
    return {
      ...blank,
      ...withoutBudget(doc.data),
      organization_id: doc.id,
      ...moneyOf(account),
      litellm_budget_table: wholeTable(doc, shared, account),
      teams: teamsOf.get(doc.id) ?? [],
      members: membersOf.get(doc.id) ?? [],
      created_at: iso(doc.createdAt),
      updated_at: iso(doc.updatedAt),
    }
  })
}

/** Memberships of organisations, each with its user. */
export async function orgMembershipRows(
  visit: Visit,
  members: readonly Doc<'organization_member'>[],
): Promise<JsonObject[]> {
  const books = booksOf(visit)
  const [budgets, accounts, users] = await Promise.all([
    budgetsOf(books.store, members),
    books.accounts(members.map(accountOfOrgMember)),
    books.store.docs.gateway_user.many([
      ...new Set(members.map(({ columns }) => columns.user_id ?? '')),
    ]),
  ])
  const people = new Map(
    (await peopleRows(books, users)).map((row) => [text(row['user_id']) ?? '', row]),
  )
  return members.map((member) => {
    const account = accounts.get(accountOfOrgMember(member))
    const user = people.get(member.columns.user_id ?? '')
    return {
      user_id: member.columns.user_id ?? null,
      organization_id: member.columns.organization_id ?? null,
      user_role: text(member.data['user_role']) ?? null,
      spend: spendOf(account),
      total_spend: dollarsOf(account?.total ?? 0),
      budget_id: budgetIdOf(member) ?? null,
      litellm_budget_table: budgetTable(member, budgets.get(budgetIdOf(member) ?? ''), account),
      user: user ?? null,
      user_email: user?.['user_email'] ?? null,
      created_at: iso(member.createdAt),
      updated_at: iso(member.updatedAt),
    }
  })
}

export const accountOfOrgMember = ({
  columns,
}: Pick<Doc<'organization_member'>, 'columns'>): string =>
  accountOf.organizationMember(columns.organization_id ?? '', columns.user_id ?? '')
