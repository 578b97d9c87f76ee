import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { accessGroupRoutes } from '../../src/admin/access-groups.ts'
import { budgetRoutes } from '../../src/admin/budgets.ts'
import { customerRoutes } from '../../src/admin/customers.ts'
import { modelGroupRoutes } from '../../src/admin/model-groups.ts'
import { openOffice } from '../../src/admin/office.test.ts'
import { organizationMemberRoutes } from '../../src/admin/organization-members.ts'
import { organizationRoutes } from '../../src/admin/organizations.ts'
import { projectRoutes } from '../../src/admin/projects.ts'
import { tagRoutes } from '../../src/admin/tags.ts'
import { teamCallbackRoutes } from '../../src/admin/team-callbacks.ts'
import { teamInfoRoutes } from '../../src/admin/team-info.ts'
import { teamListRoutes } from '../../src/admin/team-lists.ts'
import { teamMemberRoutes } from '../../src/admin/team-members.ts'
import { teamModelRoutes } from '../../src/admin/team-models.ts'
import { teamPermissionRoutes } from '../../src/admin/team-permissions.ts'
import { teamRoutes } from '../../src/admin/teams.ts'

const routes = [
  ...accessGroupRoutes,
  ...budgetRoutes,
  ...customerRoutes,
  ...modelGroupRoutes,
  ...organizationMemberRoutes,
  ...organizationRoutes,
  ...projectRoutes,
  ...tagRoutes,
  ...teamCallbackRoutes,
  ...teamInfoRoutes,
  ...teamListRoutes,
  ...teamMemberRoutes,
  ...teamModelRoutes,
  ...teamPermissionRoutes,
  ...teamRoutes,
]

/** Values of every kind, and those that mean something somewhere. */
const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('t', 'org', 'b', 'ann', 'gpt-a', '1d', 'user', 'admin', '', null),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(0, -1, 1.5, 1e308, true, [], {}, ['t'], ['ann', 'ann'], "'; --"),
  },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
)
const field = fc.constantFrom(
  ...[
    'team_id',
    'team_ids',
    'user_id',
    'user_ids',
    'user_email',
    'organization_id',
    'organization_ids',
  ],
  ...[
    'organization_alias',
    'budget_id',
    'budgets',
    'id',
    'name',
    'names',
    'project_id',
    'project_ids',
  ],
  ...[
    'member',
    'members',
    'members_with_roles',
    'role',
    'models',
    'metadata',
    'max_budget',
    'soft_budget',
  ],
  ...[
    'budget_duration',
    'rpm_limit',
    'model_max_budget',
    'budget_limits',
    'model_aliases',
    'spend',
    'tags',
  ],
  ...[
    'team_member_budget',
    'access_group_ids',
    'access_group',
    'access_group_name',
    'model_names',
    'model_ids',
  ],
  ...[
    'assigned_team_ids',
    'access_model_names',
    'permissions',
    'team_member_permissions',
    'reset_to',
    'logging',
  ],
  ...[
    'callback_name',
    'callback_vars',
    'litellm_budget_table',
    'temp_budget_increase',
    '__proto__',
    'constructor',
  ],
)
/** What most routes are content with, before something is said otherwise. */
const content = {
  team_id: 't',
  team_ids: ['new'],
  user_id: 'ann',
  user_ids: ['ann'],
  organization_id: 'org',
  organization_alias: 'org',
  organizations: ['org'],
  budgets: ['b'],
  name: 'tag',
  names: ['tag'],
  project_id: 'p',
  models: ['gpt-a'],
  access_group: 'g',
  model_names: ['gpt-a'],
  callback_name: 'c',
  callback_vars: {},
  team_member_permissions: [],
  permissions: ['/key/info'],
  reset_to: 0,
}
const body = fc
  .record({
    base: fc.subarray(Object.entries(content), { minLength: 12 }),
    more: fc.array(fc.tuple(field, value), { maxLength: 3 }),
  })
  .map(({ base, more }) => {
    const fields = [...base, ...more].map(
      ([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`,
    )
    return `{${fields.join(',')}}`
  })
/** The team and the organisation stay, so that there is something to change. */
const asked = routes.filter(({ path }) => !/^\/(team|organization)\/delete$/.test(path))

test('whatever is sent is answered, and never as a fault of ours', async () => {
  const { ask, person, store } = await openOffice(routes)
  await person('ann')
  await ask('admin', 'POST', '/organization/new', {
    organization_id: 'org',
    organization_alias: 'org',
  })
  await ask('admin', 'POST', '/team/new', {
    team_id: 't',
    organization_id: 'org',
    members: ['ann'],
  })
  await ask('admin', 'POST', '/budget/new', { budget_id: 'b', max_budget: 1 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...asked), body, async ({ method, path }, said) => {
      const told = await ask('admin', method, path.replace(/\{\w+\+?\}/g, 't'), said)
      assert.ok(
        told.status < 500 || told.status === 501,
        `${method} ${path} ${said}: ${JSON.stringify(told.body)}`,
      )
    }),
    { numRuns: 1500, seed: 7 },
  )
  for (const raw of [
    '{"max_budget":1e999}',
    '{"max_budget":123456789012345678901}',
    '[]',
    'null',
    '"x"',
    '{',
    '\u0000',
  ])
    assert.ok([400, 422].includes((await ask('admin', 'POST', '/budget/new', raw)).status), raw)
  assert.equal(({} as Record<string, unknown>)['max_budget'], undefined)
  assert.ok(await store.docs.team.count())
})
