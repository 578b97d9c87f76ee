import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { accountOf, readAccounts, setSpend } from '../store/accounts.ts'
import { budgetRoutes } from './budgets.ts'
import { type Office, openOffice } from './office.test.ts'
import { organizationMemberRoutes } from './organization-members.ts'
import { organizationRoutes } from './organizations.ts'
import { teamListRoutes } from './team-lists.ts'
import { teamRoutes } from './teams.ts'

const open = (): Promise<Office> =>
  openOffice([
    ...budgetRoutes,
    ...organizationRoutes,
    ...organizationMemberRoutes,
    ...teamRoutes,
    ...teamListRoutes,
  ])
const message = (body: JsonObject): string => String(object(body['error'])['message'])
const make = async ({ ask }: Office, body: JsonObject = {}): Promise<JsonObject> => {
  const told = await ask('admin', 'POST', '/organization/new', {
    organization_alias: 'org',
    ...body,
  })
  assert.equal(told.status, 200, JSON.stringify(told.body))
  return told.body
}

test('an organisation shows what it was given; its budget stands in its table', async () => {
  const office = await open()
  const made = await make(office, {
    organization_id: 'Örg/1',
    models: ['gpt-a'],
    max_budget: 30,
    budget_duration: '30d',
    metadata: { k: 1 },
    model_rpm_limit: { 'gpt-a': 5 },
    of_ours: 'x',
  })
  const { body } = await office.ask(
    'admin',
    'GET',
    '/organization/info?organization_id=%C3%96rg%2F1',
  )
  assert.deepEqual(body, made)
  assert.deepEqual([body['models'], body['of_ours'], body['spend']], [['gpt-a'], 'x', 0])
  assert.deepEqual(body['metadata'], { k: 1, model_rpm_limit: { 'gpt-a': 5 } })
  const table = object(body['litellm_budget_table'])
  assert.deepEqual(
    [table['max_budget'], table['budget_reset_at']],
    [30, '2026-02-01T00:00:00.000Z'],
  )
  assert.equal('max_budget' in body, false)
  assert.deepEqual(object((await make(office))['litellm_budget_table'])['max_budget'], null)
})

test('an update changes what it names, adds to metadata, and takes a budget as rows show it', async () => {
  const office = await open()
  await office.ask('admin', 'POST', '/budget/new', { budget_id: 'b', max_budget: 50, rpm_limit: 9 })
  const { organization_id } = await make(office, { budget_id: 'b', metadata: { a: 1 } })
  const update = async (body: JsonObject) =>
    (
      await office.ask('admin', 'PATCH', '/organization/update', {
        organization_id: organization_id ?? '',
        ...body,
      })
    ).body
  const renamed = await update({ organization_alias: 'new', metadata: { b: 2 } })
  assert.deepEqual([renamed['organization_alias'], renamed['metadata']], ['new', { a: 1, b: 2 }])
  await update(renamed)
  assert.deepEqual(
    (await office.store.docs.organization.find(String(organization_id)))?.data['max_budget'],
    undefined,
    'what it holds did not become its own',
  )
  const raised = await update({
    litellm_budget_table: { ...object(renamed['litellm_budget_table']), max_budget: 60 },
  })
  const table = object(raised['litellm_budget_table'])
  assert.deepEqual([table['max_budget'], table['rpm_limit'], raised['budget_id']], [60, 9, 'b'])
  const patch = (body: JsonObject) =>
    office.ask('admin', 'PATCH', `/v2/organization/${organization_id}`, body)
  assert.deepEqual((await patch({ metadata: { c: 3 } })).body['metadata'], { c: 3 })
  for (const wrong of [
    { unknown: 1 },
    { organization_alias: null },
    { models: null },
    { rpm_limit: -1 },
  ])
    assert.equal((await patch(wrong as JsonObject)).status, 422, JSON.stringify(wrong))
})

const refused: [
  name: string,
  method: string,
  path: string,
  body: JsonObject,
  status: number,
  says: RegExp,
][] = [
  ['no name', 'POST', '/organization/new', {}, 422, /organization_alias/],
  [
    'twice',
    'POST',
    '/organization/new',
    { organization_alias: 'x', organization_id: 'org' },
    409,
    /exists/,
  ],
  [
    'an unknown budget',
    'POST',
    '/organization/new',
    { organization_alias: 'x', budget_id: 'no' },
    400,
    /Budget 'no'/,
  ],
  [
    'an unknown model',
    'POST',
    '/organization/new',
    { organization_alias: 'x', models: ['no'] },
    400,
    /no model/,
  ],
  [
    'soft above hard',
    'PATCH',
    '/organization/update',
    { organization_id: 'org', max_budget: 1, soft_budget: 2 },
    400,
    /soft_budget/,
  ],
  ['an unknown one', 'PATCH', '/organization/update', { organization_id: 'no' }, 404, /not found/],
  [
    'one unknown of two',
    'DELETE',
    '/organization/delete',
    { organization_ids: ['org', 'no'] },
    404,
    /=no/,
  ],
  [
    'a strange role',
    'POST',
    '/organization/member_add',
    { organization_id: 'org', member: { user_id: 'u', role: 'proxy_admin' } },
    422,
    /role/,
  ],
  [
    'a nameless member',
    'POST',
    '/organization/member_add',
    { organization_id: 'org', member: { role: 'org_admin' } },
    422,
    /user_id/,
  ],
  [
    'a member of nothing',
    'POST',
    '/organization/member_add',
    { organization_id: 'no', member: { user_id: 'u', role: 'org_admin' } },
    404,
    /not found/,
  ],
  [
    'who is no member',
    'DELETE',
    '/organization/member_delete',
    { organization_id: 'org', user_id: 'u' },
    404,
    /Member not found/,
  ],
]
test('what is refused, and why', async () => {
  const office = await open()
  await make(office, { organization_id: 'org' })
  for (const [name, method, path, body, status, says] of refused) {
    const told = await office.ask('admin', method, path, body)
    assert.equal(told.status, status, `${name} ${JSON.stringify(told.body)}`)
    assert.match(message(told.body), says, name)
  }
  assert.equal(
    (await office.ask('admin', 'GET', '/organization/info?organization_id=no')).status,
    404,
  )
})

test('members join once, with a role and a budget, and leave', async () => {
  const office = await open()
  await office.person('ann')
  await make(office, { organization_id: 'org' })
  const add = {
    organization_id: 'org',
    member: { user_email: 'ann@example.org', role: 'internal_user' },
    max_budget_in_organization: 3,
  }
  const { body } = await office.ask('admin', 'POST', '/organization/member_add', add)
  assert.deepEqual(
    list(body['updated_users']).map((one) => [object(one)['user_id'], 'password' in object(one)]),
    [['ann', false]],
  )
  assert.equal((await office.ask('admin', 'POST', '/organization/member_add', add)).status, 400)
  const member = async () =>
    object(
      list(
        (await office.ask('admin', 'GET', '/organization/info?organization_id=org')).body[
          'members'
        ],
      )[0],
    )
  assert.deepEqual(
    [
      (await member())['user_role'],
      object((await member())['litellm_budget_table'])['max_budget'],
      (await member())['user_email'],
    ],
    ['internal_user', 3, 'ann@example.org'],
  )
  const told = await office.ask('admin', 'PATCH', '/organization/member_update', {
    organization_id: 'org',
    user_id: 'ann',
    role: 'org_admin',
    max_budget_in_organization: null,
  })
  assert.deepEqual([told.body['user_role'], told.body['litellm_budget_table']], ['org_admin', null])
  await office.ask('admin', 'DELETE', '/organization/member_delete', {
    organization_id: 'org',
    user_id: 'ann',
  })
  assert.deepEqual(await member(), {})
})

test('deleting an organisation ends its teams, keys and memberships', async () => {
  const office = await open()
  await office.person('ann')
  await make(office, { organization_id: 'org' })
  await make(office, { organization_id: 'org2' })
  await office.ask('admin', 'POST', '/team/new', {
    team_id: 't',
    organization_id: 'org',
    members: ['ann'],
  })
  await office.ask('admin', 'POST', '/team/new', { team_id: 't2', organization_id: 'org2' })
  await office.key('of-team', { team_id: 't' })
  await office.key('of-org', { organization_id: 'org' })
  await office.key('of-other', { organization_id: 'org2' })
  const accounts = [accountOf.organization('org'), accountOf.team('t'), accountOf.team('t2')]
  await office.store.write(async (tx) => {
    for (const account of accounts) await setSpend(tx, account, 1)
  })
  const { status, list: gone } = await office.ask('admin', 'DELETE', '/organization/delete', {
    organization_ids: ['org'],
  })
  assert.equal(status, 200)
  assert.deepEqual(
    gone.map((one) => object(one)['organization_id']),
    ['org'],
  )
  const works = async (who: string) => (await office.ask(who, 'GET', '/team/list')).status
  assert.deepEqual(
    [await works('of-team'), await works('of-org'), await works('of-other'), await works('ann')],
    [401, 401, 200, 200],
  )
  assert.equal(await office.store.docs.team.count(), 1)
  assert.deepEqual(
    [...(await readAccounts(office.store.db.query, accounts)).keys()],
    [accountOf.team('t2')],
  )
})

test('who may do what with an organisation', async () => {
  const office = await open()
  const { ask, person, store } = office
  for (const name of ['boss', 'plain', 'stranger']) await person(name)
  await person('root', 'proxy_admin')
  await person('viewer', 'proxy_admin_viewer')
  await make(office, { organization_id: 'org' })
  await make(office, { organization_id: 'other' })
  await ask('admin', 'POST', '/team/new', { team_id: 't', organization_id: 'org' })
  const join = (user_id: string, role: string) =>
    ask('admin', 'POST', '/organization/member_add', {
      organization_id: 'org',
      member: { user_id, role },
    })
  await join('boss', 'org_admin')
  await join('plain', 'internal_user')
  await join('root', 'internal_user')
  const member = { organization_id: 'org', member: { user_id: 'stranger', role: 'internal_user' } }
  const rows: [
    method: string,
    path: string,
    body: JsonObject | undefined,
    who: Record<string, number>,
  ][] = [
    [
      'GET',
      '/organization/info?organization_id=org',
      undefined,
      { root: 200, viewer: 200, boss: 200, plain: 403, stranger: 403 },
    ],
    ['GET', '/organization/info?organization_id=other', undefined, { viewer: 200, boss: 403 }],
    ['GET', '/organization/info?organization_id=no', undefined, { viewer: 404, boss: 403 }],
    ['POST', '/organization/info', { organizations: ['org', 'other'] }, { viewer: 200, boss: 403 }],
    [
      'POST',
      '/organization/new',
      { organization_alias: 'x' },
      { root: 200, viewer: 403, boss: 403, stranger: 403 },
    ],
    [
      'PATCH',
      '/organization/update',
      { organization_id: 'org', max_budget: 9 },
      { boss: 403, viewer: 403 },
    ],
    [
      'POST',
      '/organization/member_add',
      member,
      { viewer: 403, plain: 403, stranger: 403, boss: 200 },
    ],
    ['POST', '/organization/member_add', { ...member, organization_id: 'other' }, { boss: 403 }],
    [
      'POST',
      '/organization/member_add',
      { organization_id: 'org', member: { user_id: 'new', role: 'internal_user' } },
      { boss: 403, root: 200 },
    ],
    [
      'PATCH',
      '/organization/member_update',
      { organization_id: 'org', user_id: 'boss', max_budget_in_organization: 9 },
      { boss: 403, root: 200 },
    ],
    [
      'PATCH',
      '/organization/member_update',
      { organization_id: 'org', user_id: 'root', role: 'internal_user_viewer' },
      { boss: 403 },
    ],
    [
      'PATCH',
      '/organization/member_update',
      { organization_id: 'org', user_id: 'plain', role: 'org_admin' },
      { plain: 403, boss: 200 },
    ],
    [
      'DELETE',
      '/organization/member_delete',
      { organization_id: 'org', user_id: 'stranger' },
      { stranger: 403, boss: 200 },
    ],
    ['DELETE', '/organization/delete', { organization_ids: ['org'] }, { boss: 403, viewer: 403 }],
  ]
  await store.write((tx) => tx.organization_member.update('org/plain', () => {}))
  for (const [method, path, body, who] of rows)
    for (const [name, status] of Object.entries(who)) {
      const told = await ask(name, method, path, body)
      assert.equal(
        told.status,
        status,
        `${name} ${method} ${path} ${JSON.stringify([body, told.body])}`,
      )
    }
  await ask('admin', 'PATCH', '/organization/member_update', {
    organization_id: 'org',
    user_id: 'plain',
    role: 'internal_user',
  })
  const seen = async (who: string) =>
    (await ask(who, 'GET', '/organization/list?org_alias=OR')).list.map((one) => {
      const { organization_id, teams, members } = object(one)
      return `${organization_id} ${list(teams).length} ${list(members).length > 1}`
    })
  assert.deepEqual(await seen('boss'), ['org 1 true'])
  assert.deepEqual(await seen('plain'), ['org 0 false'], 'of others they see nothing')
  assert.deepEqual(await seen('stranger'), [])
  assert.equal((await seen('viewer')).length, 2)
  assert.deepEqual((await ask('plain', 'GET', '/organization/list?org_id=other')).list, [])
})
