import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { accountOf, readAccounts, setSpend } from '../store/accounts.ts'
import { budgetRoutes } from './budgets.ts'
import { type Office, openOffice } from './office.test.ts'
import { teamCallbackRoutes } from './team-callbacks.ts'
import { teamInfoRoutes } from './team-info.ts'
import { teamListRoutes } from './team-lists.ts'
import { teamMemberRoutes } from './team-members.ts'
import { teamModelRoutes } from './team-models.ts'
import { teamPermissionRoutes } from './team-permissions.ts'
import { teamRoutes } from './teams.ts'

const routes = [
  ...budgetRoutes,
  ...teamRoutes,
  ...teamModelRoutes,
  ...teamMemberRoutes,
  ...teamInfoRoutes,
  ...teamListRoutes,
  ...teamPermissionRoutes,
  ...teamCallbackRoutes,
]
const open = (config?: JsonObject): Promise<Office> => openOffice(routes, config)

const info = async ({ ask }: Office, team_id: string, who = 'admin'): Promise<JsonObject> =>
  (await ask(who, 'GET', `/team/info?team_id=${encodeURIComponent(team_id)}`)).body
const team = async (office: Office, body: JsonObject = {}): Promise<string> => {
  const told = await office.ask('admin', 'POST', '/team/new', body)
  assert.equal(told.status, 200, JSON.stringify(told.body))
  return String(told.body['team_id'])
}
const message = (body: JsonObject): string => String(object(body['error'])['message'])

test('every field given at creation is shown, also what nobody models; metadata holds what LiteLLM keeps there', async () => {
  const office = await open()
  const said: JsonObject = {
    team_id: "'; DROP TABLE team; -- Ünïcode/☃",
    team_alias: 'x'.repeat(255),
    models: ['gpt-a', 'beta', 'openai/*'],
    max_budget: 40,
    soft_budget: 30,
    budget_duration: '7d',
    budget_limits: [{ budget_duration: '1d', max_budget: 3 }],
    tpm_limit: 500,
    rpm_limit: 50,
    metadata: { cost_centre: 'x1', nothing: null, deep: { a: [1] } },
    model_aliases: { house: 'gpt-b' },
    tags: ['paid'],
    model_rpm_limit: { 'gpt-a': 3 },
    of_ours: { a: 1 },
  }
  const id = await team(office, said)
  assert.equal(id, said['team_id'])
  const { team_info } = await info(office, id)
  const row = object(team_info)
  for (const field of [
    'team_alias',
    'models',
    'max_budget',
    'soft_budget',
    'budget_duration',
    'tpm_limit',
    'rpm_limit',
    'of_ours',
  ])
    assert.deepEqual(row[field], said[field], field)
  assert.deepEqual(row['metadata'], {
    ...object(said['metadata']),
    tags: ['paid'],
    model_rpm_limit: { 'gpt-a': 3 },
  })
  assert.deepEqual(row['budget_limits'], [
    { budget_duration: '1d', max_budget: 3, reset_at: '2026-01-15T00:00:00.000Z' },
  ])
  assert.deepEqual(object(row['litellm_model_table'])['model_aliases'], { house: 'gpt-b' })
  assert.equal(row['budget_reset_at'], '2026-01-19T00:00:00.000Z')
  assert.equal(row['spend'], 0)
  assert.equal(row['blocked'], false)
  assert.deepEqual(row['members_with_roles'], [])
})

test('an update changes what it names, null clears, and a row sent back as it was shown changes nothing', async () => {
  const office = await open()
  const id = await team(office, {
    max_budget: 4,
    budget_duration: '1d',
    models: ['gpt-a'],
    tags: ['a'],
    metadata: { k: 1 },
  })
  const before = object((await info(office, id))['team_info'])
  await office.ask('admin', 'POST', '/team/update', before)
  const update = (body: JsonObject) =>
    office.ask('admin', 'POST', '/team/update', { team_id: id, ...body })
  const same = object((await update({}))['body']['data'])
  for (const [field, value] of Object.entries(before))
    if (same[field] !== undefined && !/_at$/.test(field))
      assert.deepEqual(same[field], value, field)
  const { body } = await update({ max_budget: 5, budget_duration: null, tags: null })
  const row = object(body['data'])
  assert.equal(row['max_budget'], 5)
  assert.equal(row['budget_duration'], null)
  assert.equal(row['budget_reset_at'], null)
  assert.deepEqual(row['models'], ['gpt-a'])
  assert.deepEqual(row['metadata'], { k: 1 })
  const replaced = object((await update({ metadata: { other: 2 } })).body['data'])
  assert.deepEqual(replaced['metadata'], { other: 2 })
  const patched = await office.ask('admin', 'PATCH', `/team/${id}`, {
    metadata: { more: { a: 1 }, other: null },
  })
  assert.deepEqual(patched.body['metadata'], { more: { a: 1 } })
})

const refused: [name: string, path: string, body: JsonObject, status: number, says: RegExp][] = [
  ['the same id twice', '/team/new', { team_id: 't' }, 409, /exists/],
  ['an unknown model', '/team/new', { models: ['nope'] }, 400, /nope/],
  ['soft above hard', '/team/new', { max_budget: 1, soft_budget: 1 }, 400, /soft_budget/],
  ['negative', '/team/new', { max_budget: -1 }, 422, /max_budget/],
  [
    'a bad period',
    '/team/new',
    { team_member_budget_duration: 'x' },
    422,
    /team_member_budget_dur/,
  ],
  ['models as text', '/team/new', { models: 'gpt-a' }, 422, /models/],
  ['metadata as text', '/team/new', { metadata: 'x' }, 422, /metadata/],
  ['metadata too large', '/team/new', { metadata: { a: 'x'.repeat(1100000) } }, 422, /1 MB/],
  ['an unknown organisation', '/team/new', { organization_id: 'no' }, 400, /organization_id/],
  ['an unknown access group', '/team/new', { access_group_ids: ['no'] }, 400, /Access group/],
  [
    'a role nobody has',
    '/team/new',
    { members_with_roles: [{ user_id: 'u', role: 'king' }] },
    422,
    /role/,
  ],
  ['an unknown team', '/team/update', { team_id: 'no', max_budget: 1 }, 404, /not found/],
  ['an unknown team blocked', '/team/block', { team_id: 'no' }, 404, /not found/],
  ['one unknown of two', '/team/delete', { team_ids: ['t', 'no'] }, 404, /no/],
  ['no team', '/team/delete', { team_ids: [] }, 422, /team/],
  [
    'taken from all models',
    '/team/model/delete',
    { team_id: 't', models: ['gpt-a'] },
    400,
    /all of them/,
  ],
]
test('what is refused, and why', async () => {
  const office = await open()
  await team(office, { team_id: 't' })
  for (const [name, path, body, status, says] of refused) {
    const told = await office.ask('admin', 'POST', path, body)
    assert.equal(told.status, status, name)
    assert.match(message(told.body), says, name)
  }
  assert.equal((await office.ask('admin', 'GET', '/team/info?team_id=no')).status, 404)
  assert.equal(
    object((await info(office, 't'))['team_info'])['team_id'],
    't',
    'nothing was deleted',
  )
})

test('deleting a team ends its keys and memberships, and closes its accounts', async () => {
  const office = await open()
  await office.person('ann|1')
  await office.person('ann')
  const id = await team(office, { members: ['ann', 'ann|1'], team_member_budget: 2 })
  const other = await team(office)
  await office.key('of-team', { team_id: id })
  await office.key('of-other', { team_id: other })
  const { store, ask } = office
  const accounts = [
    accountOf.team(id),
    accountOf.teamModel(id, 'gpt-a'),
    accountOf.member(id, 'ann'),
    accountOf.member(id, 'ann|1'),
    accountOf.member(other, 'ann'),
    accountOf.user('ann|1'),
  ]
  await store.write(async (tx) => {
    for (const account of accounts) await setSpend(tx, account, 5)
  })
  const status = async (who: string) => (await ask(who, 'GET', '/team/list')).status
  assert.equal(await status('of-team'), 200)
  assert.equal((await ask('admin', 'POST', '/team/delete', { team_ids: [id] })).status, 200)
  assert.equal(await status('of-team'), 401)
  assert.equal(await status('of-other'), 200)
  assert.equal((await ask('admin', 'GET', `/team/info?team_id=${id}`)).status, 404)
  assert.equal(await store.docs.team_member.count(), 0)
  assert.deepEqual([...(await readAccounts(store.db.query, accounts)).keys()].sort(), [
    accountOf.member(other, 'ann'),
    accountOf.user('ann|1'),
  ])
})

test('models are added and taken; the last one taken away does not open everything', async () => {
  const office = await open()
  const id = await team(office, { models: ['gpt-a'] })
  const change = async (what: string, models: string[]) =>
    (await office.ask('admin', 'POST', `/team/model/${what}`, { team_id: id, models })).body[
      'models'
    ]
  assert.deepEqual(await change('add', ['gpt-b', 'gpt-a']), ['gpt-a', 'gpt-b'])
  assert.deepEqual(await change('delete', ['gpt-b']), ['gpt-a'])
  assert.deepEqual(await change('delete', ['gpt-a']), ['no-default-models'])
  const all = await team(office)
  const { body } = await office.ask('admin', 'POST', '/team/model/add', {
    team_id: all,
    models: ['gpt-a'],
  })
  assert.deepEqual(body['models'], ['all-proxy-models', 'gpt-a'])
})

test('default_team_params fill what is left out; null for a period is "never"', async () => {
  const office = await open({
    litellm_settings: {
      default_team_params: {
        max_budget: 7,
        budget_duration: '1d',
        models: ['gpt-a'],
        rpm_limit: 9,
      },
    },
  })
  const shown = async (body: JsonObject) =>
    object((await info(office, await team(office, body)))['team_info'])
  const filled = await shown({ rpm_limit: 1 })
  assert.deepEqual(
    ['max_budget', 'budget_duration', 'models', 'rpm_limit'].map((field) => filled[field]),
    [7, '1d', ['gpt-a'], 1],
  )
  assert.equal((await shown({ budget_duration: null }))['budget_duration'], null)
})

test('a team lies within its organisation', async () => {
  const office = await open()
  await office.store.write((tx) =>
    tx.organization.insert({
      id: 'org',
      data: {
        organization_id: 'org',
        models: ['gpt-a', 'azure/*'],
        max_budget: 10,
        rpm_limit: 100,
        metadata: { model_tpm_limit: { 'gpt-a': 50 } },
      },
    }),
  )
  const make = (body: JsonObject) =>
    office.ask('admin', 'POST', '/team/new', { organization_id: 'org', ...body })
  const within: [body: JsonObject, status: number, says?: RegExp][] = [
    [{ models: ['gpt-a', 'azure/x'], max_budget: 10 }, 400, /azure\/x/],
    [{ models: ['gpt-a', 'no-default-models'], max_budget: 10 }, 200],
    [{ models: ['gpt-b'] }, 400, /gpt-b.*organization/],
    [{ models: ['all-proxy-models'] }, 400, /all-proxy-models/],
    [{ max_budget: 11 }, 400, /max_budget/],
    [{ rpm_limit: 101 }, 400, /rpm_limit/],
    [{ rpm_limit: 60, rpm_limit_type: 'guaranteed_throughput' }, 200],
    [{ rpm_limit: 41, rpm_limit_type: 'guaranteed_throughput' }, 400, /Allocated RPM limit=60/],
    [{ rpm_limit: 41 }, 200],
    [{ model_tpm_limit: { 'gpt-a': 51 }, tpm_limit_type: 'guaranteed_throughput' }, 400, /TPM/],
  ]
  for (const [body, status, says] of within) {
    const told = await make(body)
    assert.equal(told.status, status, JSON.stringify([body, told.body]))
    if (says) assert.match(message(told.body), says)
  }
  const outside = await team(office, { models: ['gpt-b'], members: [] })
  const move = { team_id: outside, organization_id: 'org' }
  assert.equal((await office.ask('admin', 'POST', '/team/update', move)).status, 400)
  await office.ask('admin', 'POST', '/team/update', { team_id: outside, models: ['gpt-a'] })
  await office.person('ann')
  await office.ask('admin', 'POST', '/team/member_add', {
    team_id: outside,
    member: { user_id: 'ann', role: 'user' },
  })
  assert.equal((await office.ask('admin', 'POST', '/team/update', move)).status, 200)
  assert.ok(await office.store.docs.organization_member.find('org/ann'), 'members come along')
})

test('who may do what with a team: everybody who asks, against every route', async () => {
  const office = await open()
  const { person, store, ask } = office
  await store.write((tx) => tx.organization.insert({ id: 'org', data: { models: ['gpt-a'] } }))
  const mine = await team(office, { team_id: 'mine', organization_id: 'org', max_budget: 5 })
  const theirs = await team(office, { team_id: 'theirs' })
  for (const name of ['boss', 'plain', 'orgboss', 'stranger']) await person(name)
  await person('viewer', 'proxy_admin_viewer')
  await person('lookon', 'internal_user_viewer')
  await person('root', 'proxy_admin')
  for (const [user_id, role] of [
    ['boss', 'admin'],
    ['plain', 'user'],
    ['lookon', 'admin'],
  ])
    await ask('admin', 'POST', '/team/member_add', {
      team_id: mine,
      member: { user_id: String(user_id), role: String(role) },
    })
  await store.write((tx) =>
    tx.organization_member.insert({
      id: 'org/orgboss',
      columns: { organization_id: 'org', user_id: 'orgboss' },
      data: { user_role: 'org_admin' },
    }),
  )
  await office.key('teamkey', { team_id: mine })
  const add = { member: { user_id: 'stranger', role: 'user' } }
  const rows: [
    method: string,
    path: string,
    body: JsonObject | undefined,
    who: Record<string, number>,
  ][] = [
    [
      'GET',
      '/team/info?team_id=mine',
      undefined,
      {
        root: 200,
        viewer: 200,
        boss: 200,
        plain: 200,
        orgboss: 200,
        lookon: 200,
        teamkey: 200,
        stranger: 403,
      },
    ],
    [
      'GET',
      '/team/info?team_id=theirs',
      undefined,
      { root: 200, viewer: 200, boss: 403, orgboss: 403, teamkey: 403, stranger: 403 },
    ],
    [
      'GET',
      '/team/info?team_id=nowhere',
      undefined,
      { root: 404, viewer: 404, boss: 403, stranger: 403 },
    ],
    [
      'POST',
      '/team/new',
      { team_alias: 'new' },
      { root: 200, viewer: 403, boss: 403, orgboss: 403, teamkey: 403 },
    ],
    [
      'POST',
      '/team/new',
      { organization_id: 'org', models: ['gpt-a'] },
      { orgboss: 200, boss: 403 },
    ],
    ['POST', '/team/new', { organization_id: 'org', access_group_ids: ['g'] }, { orgboss: 403 }],
    [
      'POST',
      '/team/update',
      { team_id: mine, team_alias: 'called' },
      {
        viewer: 403,
        lookon: 403,
        plain: 403,
        boss: 403,
        stranger: 403,
        teamkey: 403,
        orgboss: 200,
        root: 200,
      },
    ],
    ['POST', '/team/update', { team_id: mine, models: ['gpt-b'] }, { orgboss: 400, boss: 403 }],
    ['POST', '/team/update', { team_id: mine, organization_id: null }, { orgboss: 403 }],
    ['POST', '/team/update', { team_id: mine, of_ours: 1 }, { orgboss: 403 }],
    ['POST', '/team/update', { team_id: mine, metadata: { guardrails: [] } }, { orgboss: 403 }],
    [
      'POST',
      '/team/update',
      { team_id: mine, metadata: { allow_client_pricing_override: true } },
      { orgboss: 403 },
    ],
    [
      'POST',
      '/team/update',
      { team_id: mine, metadata: { temp_budget_increase: 9 } },
      { orgboss: 403 },
    ],
    ['POST', '/team/update', { team_id: mine, metadata: { tags: ['x'], k: 1 } }, { orgboss: 200 }],
    ['PATCH', '/team/mine', { metadata: { k: 2 } }, { orgboss: 200 }],
    ['POST', '/team/update', { team_id: theirs, team_alias: 'taken' }, { boss: 403, orgboss: 403 }],
    [
      'POST',
      '/team/member_add',
      { team_id: mine, ...add },
      {
        viewer: 403,
        lookon: 403,
        plain: 403,
        stranger: 403,
        teamkey: 403,
        boss: 200,
        orgboss: 400,
      },
    ],
    ['POST', '/team/member_add', { team_id: theirs, ...add }, { boss: 403, plain: 403 }],
    [
      'POST',
      '/team/member_add',
      { team_id: mine, member: { user_id: 'nobody-yet', role: 'user' } },
      { boss: 403, root: 200 },
    ],
    [
      'POST',
      '/team/member_add',
      { team_id: mine, member: { user_email: 'new@example.org', role: 'user' } },
      { boss: 200 },
    ],
    [
      'POST',
      '/team/member_update',
      { team_id: mine, user_id: 'plain', rpm_limit: 3 },
      { plain: 403, stranger: 403, boss: 200 },
    ],
    [
      'POST',
      '/team/member_update',
      { team_id: mine, user_id: 'boss', rpm_limit: 3 },
      { boss: 403, orgboss: 200 },
    ],
    [
      'POST',
      '/team/mine/member/boss/reset_spend',
      { reset_to: 0 },
      { boss: 403, plain: 403, orgboss: 200 },
    ],
    [
      'POST',
      '/team/permissions_update',
      { team_id: mine, team_member_permissions: [] },
      { plain: 403, boss: 200 },
    ],
    [
      'GET',
      '/team/permissions_list?team_id=mine',
      undefined,
      { plain: 403, boss: 200, viewer: 200 },
    ],
    [
      'POST',
      '/team/permissions_bulk_update',
      { permissions: ['/key/generate'], apply_to_all_teams: true },
      { boss: 403, orgboss: 403, viewer: 403, root: 200 },
    ],
    [
      'POST',
      '/team/model/add',
      { team_id: mine, models: ['gpt-a'] },
      { boss: 403, orgboss: 403, root: 200 },
    ],
    ['POST', '/team/block', { team_id: theirs }, { boss: 403, viewer: 403, root: 200 }],
    ['GET', '/team/mine/callback', undefined, { plain: 403, viewer: 403, boss: 200 }],
    [
      'GET',
      '/team/mine/members/me',
      undefined,
      { plain: 200, boss: 200, stranger: 200, viewer: 404, teamkey: 400 },
    ],
    [
      'POST',
      '/team/member_delete',
      { team_id: mine, user_id: 'stranger' },
      { plain: 403, boss: 200 },
    ],
    [
      'POST',
      '/team/delete',
      { team_ids: [mine] },
      { boss: 403, orgboss: 403, viewer: 403, root: 200 },
    ],
  ]
  for (const [method, path, body, who] of rows)
    for (const [name, status] of Object.entries(who)) {
      const told = await ask(name, method, path, body)
      assert.equal(
        told.status,
        status,
        `${name} ${method} ${path} ${JSON.stringify([body, told.body])}`,
      )
    }
})

test('an administrator of a team changes of it only what the operator allows, and never raises its budget', async () => {
  const office = await open({
    general_settings: { team_admin_editable_team_fields: ['max_budget', 'rpm_limit', 'models'] },
  })
  await office.person('boss')
  const id = await team(office, {
    max_budget: 5,
    models: ['gpt-a'],
    members_with_roles: [{ user_id: 'boss', role: 'admin' }],
  })
  const rows: [body: JsonObject, status: number][] = [
    [{ max_budget: 4, team_alias: null, models: ['gpt-a'] }, 200],
    [{ max_budget: 5 }, 403],
    [{ max_budget: null }, 403],
    [{ rpm_limit: 1000 }, 200],
    [{ models: ['gpt-b'] }, 403],
    [{ tpm_limit: 1 }, 403],
  ]
  for (const [body, status] of rows)
    assert.equal(
      (await office.ask('boss', 'POST', '/team/update', { team_id: id, ...body })).status,
      status,
      JSON.stringify(body),
    )
  assert.equal(object((await info(office, id))['team_info'])['max_budget'], 4)
})

test('lists show what the caller sees, in pages that fit together', async () => {
  const office = await open()
  const { ask, person } = office
  await person('ann')
  await person('viewer', 'proxy_admin_viewer')
  for (let i = 0; i < 7; i++)
    await team(office, {
      team_id: `t${i}`,
      team_alias: `Team ${i % 2 === 0 ? 'Even' : 'odd'} ${i}`,
      ...(i < 3 && { members: ['ann'] }),
    })
  await office.key('k', { team_id: 't1' })
  const pages = async (who: string, query: string) => {
    const ids: unknown[] = []
    for (let page = 1; page <= 4; page++) {
      const { body } = await ask(who, 'GET', `/v2/team/list?page=${page}&page_size=2${query}`)
      ids.push(...list(body['teams']).map((one) => object(one)['team_id']))
    }
    return ids.join(' ')
  }
  const expected: [who: string, query: string, ids: string][] = [
    ['viewer', '&sort_by=team_id', 't0 t1 t2 t3 t4 t5 t6'],
    ['viewer', '&sort_by=team_id&sort_order=desc', 't6 t5 t4 t3 t2 t1 t0'],
    ['viewer', '&sort_by=team_id&team_alias=EVEN', 't0 t2 t4 t6'],
    ['viewer', '&sort_by=team_id&search=t3', 't3'],
    ['viewer', '&sort_by=team_id&search=t&search_team_id_match=prefix', 't0 t1 t2 t3 t4 t5 t6'],
    ['viewer', '&sort_by=team_id&user_id=ann', 't0 t1 t2'],
    ['viewer', '&team_alias=%25', ''],
    ['ann', '&sort_by=team_id', 't0 t1 t2'],
    ['ann', '&sort_by=team_id&team_id=t5', ''],
    ['ann', '&sort_by=team_id&team_alias=odd', 't1'],
    ['k', '&sort_by=team_id', 't1'],
  ]
  for (const [who, query, ids] of expected)
    assert.equal(await pages(who, query), ids, `${who} ${query}`)
  const { body } = await ask('ann', 'GET', '/v2/team/list?page_size=2&sort_by=team_id&page=1')
  assert.deepEqual([body['total'], body['total_pages'], body['page']], [3, 2, 1])
  assert.deepEqual(
    list(body['teams']).map((one) => [object(one)['keys_count'], object(one)['members_count']]),
    [
      [0, 1],
      [1, 1],
    ],
  )
  assert.equal((await ask('ann', 'GET', '/v2/team/list?user_id=other')).status, 403)
  assert.equal((await ask('ann', 'GET', '/team/list?user_id=other')).status, 403)
  const old = await ask('ann', 'GET', '/team/list')
  assert.deepEqual(
    old.list.map((one) => object(one)['team_id']),
    ['t0', 't2', 't1'],
  )
  assert.deepEqual(
    list(object(old.list[2])['keys']),
    [],
    'keys of others are for who runs the team',
  )
  const whole = await ask('admin', 'GET', '/team/list')
  assert.equal(list(object(whole.list.at(-3))['keys']).length + whole.list.length, 8)
})

test('a member sees keys of their own in a team, its administrator all, and nobody a key', async () => {
  const office = await open()
  for (const name of ['boss', 'ann']) await office.person(name)
  const id = await team(office, { admins: ['boss'], members: ['ann'] })
  await office.key('anns', { team_id: id, user_id: 'ann' })
  await office.key('bosses', { team_id: id, user_id: 'boss' })
  const keys = async (who: string) => list((await info(office, id, who))['keys']).length
  assert.deepEqual([await keys('ann'), await keys('boss'), await keys('admin')], [1, 2, 2])
  await office.ask('boss', 'POST', '/team/permissions_update', {
    team_id: id,
    team_member_permissions: ['/key/list'],
  })
  assert.equal(await keys('ann'), 2)
  assert.doesNotMatch(JSON.stringify(await info(office, id)), /sk-anns|lookup|hash"/)
})

test('credentials of callbacks are sealed in the database and never shown', async () => {
  const office = await open()
  const id = await team(office, {
    metadata: {
      logging: [
        {
          callback_name: 'langfuse',
          callback_vars: { langfuse_secret_key: 'sk-canary-1', langfuse_host: 'h' },
        },
      ],
    },
  })
  const added = await office.ask('admin', 'POST', `/team/${id}/callback`, {
    callback_name: 'langsmith',
    callback_vars: { langsmith_api_key: 'sk-canary-2' },
  })
  assert.match(String(added.body['warning']), /not used/)
  const shown = await info(office, id)
  // A page that sends back what it was shown keeps what is there.
  await office.ask('admin', 'POST', '/team/update', {
    team_id: id,
    metadata: object(object(shown['team_info'])['metadata']),
  })
  await office.ask('admin', 'PATCH', `/team/${id}`, { metadata: { more: 1 } })
  const kept = JSON.stringify((await office.store.docs.team.find(id))?.data)
  assert.doesNotMatch(JSON.stringify([shown, added.body]), /canary/)
  assert.doesNotMatch(kept, /canary|REDACTED/)
  const sealed = /"langsmith_api_key":"(sealed:[^"]+)"/.exec(kept)?.[1] ?? ''
  assert.equal(office.store.sealer.open(sealed), 'sk-canary-2')
  const { body } = await office.ask('admin', 'GET', `/team/${id}/callback`)
  assert.deepEqual(object(body['data'])['success_callbacks'], ['langfuse', 'langsmith'])
  assert.equal((await office.ask('admin', 'DELETE', `/team/${id}/callback/langfuse`)).status, 200)
  assert.equal((await office.ask('admin', 'DELETE', `/team/${id}/callback/langfuse`)).status, 404)
  assert.equal((await office.ask('admin', 'POST', `/team/${id}/disable_logging`)).status, 200)
  const { body: after } = await office.ask('admin', 'GET', `/team/${id}/callback`)
  assert.deepEqual(object(after['data'])['success_callbacks'], [])
})

test('a blocked team is refused with the next request, and let in again', async () => {
  const office = await open()
  const id = await team(office)
  await office.key('k', { team_id: id })
  const status = async () => (await office.ask('k', 'GET', `/team/info?team_id=${id}`)).status
  assert.equal(await status(), 200)
  const { body } = await office.ask('admin', 'POST', '/team/block', { team_id: id })
  assert.equal(body['blocked'], true)
  assert.equal(await status(), 401)
  await office.ask('admin', 'POST', '/team/unblock', { team_id: id })
  assert.equal(await status(), 200)
})
