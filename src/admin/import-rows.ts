import { type JsonObject, list, number, object, text } from '../json/json.ts'
import { accountOf } from '../store/accounts.ts'
import {
  type Beside,
  base,
  booksOf,
  budgetId,
  fieldsOf,
  idOf,
  instantOf,
  jsonOf,
  type Left,
  type Made,
  type MakeDeps,
  permissionOf,
  resealed,
  said,
  shared,
  spent,
  unsealed,
} from './import-fields.ts'
import { sealedEntry, sealValues } from './live-rows.ts'
import { iso } from './route.ts'
import { memberBudgetId } from './team-fields.ts'

/** Rows of LiteLLM's tables as the documents they become. */

export const budgetOf = (row: JsonObject): Made => ({
  ...base('budget', idOf(row, 'budget_id'), row),
  data: fieldsOf(row, ['budget_id', 'budget_reset_at']),
})

export const userOf = (row: JsonObject, beside: Beside, deps: MakeDeps): Made => {
  const id = idOf(row, 'user_id')
  return {
    ...base('gateway_user', id, row),
    columns: {
      email: text(row['user_email'])?.toLowerCase() ?? null,
      sso_id: text(row['sso_user_id']) ?? null,
      role: text(row['user_role']) ?? null,
      budget_id: null,
    },
    // Which teams they are in, their memberships say.
    data: resealed({ ...fieldsOf(row, ['teams', ...spent]), ...permissionOf(row, beside) }, deps),
    books: booksOf(accountOf.user(id), row, row, deps),
  }
}

export const organizationOf = (row: JsonObject, beside: Beside, deps: MakeDeps): Made => {
  const id = idOf(row, 'organization_id')
  return {
    ...base('organization', id, row),
    columns: { alias: text(row['organization_alias']) ?? null, budget_id: budgetId(row) },
    data: resealed(
      { ...fieldsOf(row, ['organization_id', ...spent]), ...permissionOf(row, beside) },
      deps,
    ),
    books: booksOf(accountOf.organization(id), row, shared(row, beside), deps),
  }
}

export const organizationMemberOf = (row: JsonObject, beside: Beside, deps: MakeDeps): Made => {
  const organization = idOf(row, 'organization_id')
  const user = idOf(row, 'user_id')
  return {
    ...base('organization_member', `${organization}/${user}`, row),
    columns: { organization_id: organization, user_id: user, budget_id: budgetId(row) },
    data: fieldsOf(row, spent),
    books: booksOf(
      accountOf.organizationMember(organization, user),
      row,
      shared(row, beside),
      deps,
    ),
  }
}

/** `aliases`: the team's names for models, which LiteLLM keeps in a table of their own. */
export const teamOf = (
  row: JsonObject,
  beside: Beside,
  aliases: JsonObject,
  deps: MakeDeps,
): Made => {
  const id = idOf(row, 'team_id')
  const members = ['admins', 'members', 'members_with_roles', 'model_id']
  return {
    ...base('team', id, { ...row, aliases }),
    columns: {
      organization_id: text(row['organization_id']) ?? null,
      alias: text(row['team_alias']) ?? null,
    },
    data: resealed(
      {
        ...fieldsOf(row, ['team_id', ...members, ...spent]),
        ...(Object.keys(aliases).length > 0 && { model_aliases: aliases }),
        ...permissionOf(row, beside),
      },
      deps,
    ),
    books: booksOf(accountOf.team(id), row, row, deps, beside.windows?.get(id)),
  }
}

/**
 * Who is in a team: those its row lists, in whatever way, and those who have a row of their own. `memberships`: rows of
 * `LiteLLM_TeamMembership` of this team.
 */
export function teamMembersOf(
  team: JsonObject,
  memberships: readonly JsonObject[],
  beside: Beside,
  deps: MakeDeps,
): (Made | Left)[] {
  const id = idOf(team, 'team_id')
  const common = text(object(jsonOf(team['metadata']))[memberBudgetId])
  const rows = new Map(memberships.map((row) => [idOf(row, 'user_id'), row]))
  const nameless: Left[] = []
  const people = new Map<string, { role: string; email: string | undefined }>()
  const add = (user: string | undefined, role: string, email?: string): void => {
    if (user === undefined || user === '')
      nameless.push({ id, left: 'members of a team who have no user_id' })
    else if (!people.has(user)) people.set(user, { role, email })
  }
  for (const one of list(jsonOf(team['members_with_roles']))) {
    const { user_id, role, user_email } = object(one)
    add(text(user_id), role === 'admin' ? 'admin' : 'user', text(user_email))
  }
  for (const user of list(team['admins'])) add(text(user), 'admin')
  for (const user of [...list(team['members']), ...rows.keys()]) add(text(user), 'user')
  const made = [...people].map(([user, { role, email }]): Made => {
    const row = rows.get(user) ?? {}
    const budget = shared(row, beside)
    // A budget that is theirs alone is theirs; one that all members have is referred to.
    const own = budgetId(row) === null || budgetId(row) !== common
    const { allowed_models } = fieldsOf(budget, [])
    return {
      ...base('team_member', `${id}/${user}`, { ...row, role, email: email ?? null, budget }),
      columns: { team_id: id, user_id: user, budget_id: own ? null : budgetId(row) },
      data: {
        ...(own
          ? fieldsOf(budget, ['budget_id', 'budget_reset_at', 'created_by', 'updated_by'])
          : {
              ...(allowed_models !== undefined && { allowed_models }),
              budget_id: budgetId(row) ?? '',
            }),
        ...fieldsOf(row, ['budget_id', ...spent]),
        user_id: user,
        team_id: id,
        role,
        ...(email !== undefined && { user_email: email }),
      },
      books: booksOf(accountOf.member(id, user), row, budget, deps),
    }
  })
  return [...made, ...nameless]
}

export const projectOf = (row: JsonObject, beside: Beside, deps: MakeDeps): Made => {
  const id = idOf(row, 'project_id')
  return {
    ...base('project', id, row),
    columns: {
      team_id: text(row['team_id']) ?? null,
      alias: text(row['project_alias']) ?? null,
      budget_id: budgetId(row),
    },
    data: resealed(
      { ...fieldsOf(row, ['project_id', ...spent]), ...permissionOf(row, beside) },
      deps,
    ),
    books: booksOf(accountOf.project(id), row, shared(row, beside), deps),
  }
}

export const accessGroupOf = (row: JsonObject): Made => ({
  ...base('access_group', idOf(row, 'access_group_id'), row),
  uniqueName: text(row['access_group_name']) ?? null,
  data: fieldsOf(row, ['access_group_id']),
})

/** LiteLLM's row of a key is found by the SHA-256 of the key, as a key here until it is first used. */
export function keyOf(row: JsonObject, beside: Beside, deps: MakeDeps): Made | Left {
  const id = idOf(row, 'token')
  if (text(row['team_id']) === 'litellm-dashboard')
    return { id, left: "keys of sessions of LiteLLM's pages, which end by themselves" }
  if (!/^[0-9a-f]{64}$/.test(id))
    return { id, left: 'keys that are not stored as a SHA-256: make them anew' }
  const budget = shared(row, beside)
  return {
    ...base('virtual_key', id, row),
    uniqueName: text(row['key_alias']) ?? null,
    columns: ownersOf(row),
    data: resealed(
      { ...fieldsOf(row, ['token', 'expires', ...spent]), ...permissionOf(row, beside) },
      deps,
    ),
    books: booksOf(
      accountOf.key(id),
      row,
      { ...budget, ...said(row) },
      deps,
      beside.windows?.get(id),
    ),
  }
}

/** The former secret of a key that was made anew, while it goes on. */
export const replacedKeyOf = (row: JsonObject): Made => {
  const id = idOf(row, 'token')
  const key = text(row['active_token_id']) ?? null
  return {
    ...base('former_key', id, row),
    columns: { key_id: key },
    data: {
      ...(text(row['created_at']) !== undefined && { deleted_at: text(row['created_at']) }),
      ...(key !== null && { replaced_by: key }),
      ...(text(row['revoke_at']) !== undefined && { revoke_at: text(row['revoke_at']) }),
    },
  }
}

/** A deleted key, for whoever asks what it was. */
export const deletedKeyOf = (row: JsonObject, deps: MakeDeps): Made => ({
  ...base('former_key', idOf(row, 'token'), row),
  columns: { ...ownersOf(row), key_id: null },
  data: resealed(
    {
      ...fieldsOf(row, ['id', 'token', 'expires', 'budget_reset_at']),
      spend: number(row['spend']) ?? 0,
      total_spend: Math.max(number(row['total_spend']) ?? 0, number(row['spend']) ?? 0),
      created_at: text(row['created_at']) ?? iso(deps.clock.now),
      deleted_at: text(row['deleted_at']) ?? iso(deps.clock.now),
    },
    deps,
  ),
})

export const customerOf = (row: JsonObject, beside: Beside, deps: MakeDeps): Made => {
  const id = idOf(row, 'user_id')
  return {
    ...base('customer', id, row),
    columns: { alias: text(row['alias']) ?? null, budget_id: budgetId(row) },
    data: { ...fieldsOf(row, ['user_id', ...spent]), ...permissionOf(row, beside) },
    books: booksOf(accountOf.customer(id), row, shared(row, beside), deps),
  }
}

export const tagOf = (row: JsonObject, beside: Beside, deps: MakeDeps): Made => {
  const id = idOf(row, 'tag_name')
  return {
    ...base('tag', id, row),
    columns: { budget_id: budgetId(row) },
    data: fieldsOf(row, ['tag_name', 'model_info', ...spent]),
    books: booksOf(accountOf.tag(id), row, shared(row, beside), deps),
  }
}

const otherKey =
  'that were sealed with another key: set LITELLM_SALT_KEY to the one LiteLLM had (or to its master key, where it had none), and run this again'

export function modelOf(row: JsonObject, { open, sealer }: MakeDeps): Made | Left {
  const id = idOf(row, 'model_id')
  const params = unsealed(jsonOf(row['litellm_params']), open)
  if (!params) return { id, left: `models ${otherKey}` }
  const name = text(row['model_name']) ?? ''
  const { id: _, db_model: __, ...info } = object(jsonOf(row['model_info']))
  const entry = {
    model_name: name,
    litellm_params: params,
    model_info: { ...info, ...(row['blocked'] === true && { blocked: true }) },
  }
  return {
    ...base('model', id, row),
    columns: { alias: name, team_id: text(info['team_id']) ?? null },
    data: {
      ...fieldsOf(row, ['model_id', 'model_name', 'litellm_params', 'model_info', 'blocked']),
      ...sealedEntry(entry, sealer),
    },
  }
}

export function credentialOf(row: JsonObject, { open, sealer }: MakeDeps): Made | Left {
  const id = idOf(row, 'credential_name')
  const values = unsealed(jsonOf(row['credential_values']), open)
  if (!values) return { id, left: `credentials ${otherKey}` }
  return {
    ...base('credential', id, row),
    data: {
      ...fieldsOf(row, ['credential_id', 'credential_name', 'credential_values']),
      credential_values: sealValues(values, sealer),
      credential_info: object(jsonOf(row['credential_info'])),
    },
  }
}

const ownersOf = (row: JsonObject): Record<string, string | null> => ({
  user_id: text(row['user_id']) ?? null,
  team_id: text(row['team_id']) ?? null,
  organization_id: text(row['organization_id']) ?? null,
  project_id: text(row['project_id']) ?? null,
  ...('budget_id' in row && !('deleted_at' in row) && { budget_id: budgetId(row) }),
  expires_at: instantOf(row['expires'])?.toString() ?? null,
})
