import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { isPassword } from '../policy/password.ts'
import { accountOf, setSpend } from '../store/accounts.ts'
import { keyInfoRoutes } from './key-info.ts'
import { keyListRoutes } from './key-list.ts'
import { keyRoutes } from './keys.ts'
import { openOffice } from './office.test.ts'
import { userBulkRoutes } from './user-bulk.ts'
import { userListRoutes } from './user-list.ts'
import { userRoutes } from './users.ts'

const routes = [
  ...userRoutes,
  ...userListRoutes,
  ...userBulkRoutes,
  ...keyRoutes,
  ...keyInfoRoutes,
  ...keyListRoutes,
]
const office = await openOffice(routes, {
  litellm_settings: {
    default_internal_user_params: {
      user_role: 'internal_user_viewer',
      tpm_limit: 7,
      teams: ['welcome'],
    },
    max_internal_user_budget: 20,
    internal_user_budget_duration: '30d',
  },
})
const { store } = office
await store.write(async (tx) => {
  for (const id of ['welcome', 'core'])
    await tx.team.insert({ id, columns: { alias: id }, data: { team_id: id, team_alias: id } })
  await tx.organization.insert({ id: 'acme', data: { organization_id: 'acme' } })
})
await office.person('ada')
await office.person('boss')
await office.person('watcher', 'internal_user_viewer')
await office.person('viewer', 'proxy_admin_viewer')
await office.key('nobody')
await store.write((tx) =>
  tx.organization_member.insert({
    id: 'acme/boss',
    columns: { organization_id: 'acme', user_id: 'boss' },
    data: { user_id: 'boss', organization_id: 'acme', user_role: 'org_admin' },
  }),
)

const made = async (body: JsonObject = {}, who = 'admin'): Promise<JsonObject> => {
  const { status, body: said } = await office.ask(who, 'POST', '/user/new', body)
  equal(status, 200, JSON.stringify(said))
  return said
}
const infoOf = async (id: unknown): Promise<JsonObject> => {
  const { status, body } = await office.ask(
    'admin',
    'GET',
    `/user/info?user_id=${encodeURIComponent(String(id))}`,
  )
  equal(status, 200, JSON.stringify(body))
  return body
}
const message = ({ body }: { body: JsonObject }): string => String(object(body['error'])['message'])

describe('making users', () => {
  test('with a key, teams and organisations', async () => {
    const said = {
      user_id: 'auth0|17',
      user_email: 'Grace+x@Example.org',
      user_alias: 'Grace 霍珀',
      user_role: 'internal_user',
      models: ['gpt-a'],
      rpm_limit: 3,
      metadata: { dept: 'x' },
      model_rpm_limit: { 'gpt-a': 2 },
      teams: ['core', { team_id: 'welcome', user_role: 'admin', max_budget_in_team: 2 }],
      organizations: ['acme'],
      key_alias: "grace's key",
      spend: 1.25,
      of_ours: [1],
    }
    const user = await made(said)
    match(String(user['key']), /^sk-[\w-]{22}$/)
    const { key_alias, model_rpm_limit, teams: _, organizations: __, ...plain } = said
    const { user_info, keys, teams } = await infoOf('auth0|17')
    const row = object(user_info)
    for (const [field, value] of Object.entries({
      ...plain,
      metadata: { ...said.metadata, model_rpm_limit },
    }))
      deepEqual(row[field], value, field)
    deepEqual(list(row['teams']).sort(), ['core', 'welcome'])
    deepEqual(
      list(row['organization_memberships']).map((one) => object(one)['organization_id']),
      ['acme'],
    )
    deepEqual(
      [row['max_budget'], row['budget_duration'], row['tpm_limit']],
      [20, '30d', 7],
      'what the configuration gives',
    )
    equal(row['budget_reset_at'], '2026-02-01T00:00:00.000Z')
    deepEqual(
      list(keys).map((one) => object(one)['key_alias']),
      [key_alias],
    )
    deepEqual(
      list(teams).map((one) => object(one)['team_id']),
      ['core', 'welcome'],
    )
    ok(!JSON.stringify([keys, row]).includes(String(user['key'])))
    equal((await store.docs.team_member.find('welcome/auth0|17'))?.data['role'], 'admin')
    equal((await store.docs.team_member.find('welcome/auth0|17'))?.data['max_budget'], 2)
  })

  test('without a key, with an id of our own', async () => {
    const user = await made({ auto_create_key: false })
    equal(user['key'], '')
    match(String(user['user_id']), /^[0-9a-f-]{36}$/)
    equal(user['user_role'], 'internal_user_viewer')
    deepEqual(user['teams'], ['welcome'])
  })

  const refused: [what: string, body: JsonObject, status: number, says: RegExp][] = [
    ['a taken id', { user_id: 'ada' }, 409, /id ada already exists/],
    ['a taken address in other letters', { user_email: 'ADA@example.ORG' }, 409, /already exists/],
    ['an unknown role', { user_role: 'emperor' }, 422, /user_role/],
    ['no address', { user_email: 'not one' }, 422, /user_email/],
    ['a negative budget', { max_budget: -1 }, 422, /max_budget/],
    ['an unknown model', { models: ['gpt-z'] }, 400, /gpt-z/],
    ['an unknown team', { teams: ['nowhere'] }, 400, /nowhere/],
    ['an unknown organisation', { organizations: ['nowhere'] }, 400, /nowhere/],
    ['a password', { password: 'secret-canary' }, 422, /password/],
    ["a key's alias that is taken", { key_alias: 'ada' }, 400, /alias 'ada'/],
  ]
  for (const [what, body, status, says] of refused)
    test(`${what} is refused, and nothing is left of it`, async () => {
      const before = await store.docs.gateway_user.count()
      const answer = await office.ask('admin', 'POST', '/user/new', body)
      equal(answer.status, status, JSON.stringify(answer.body))
      match(message(answer), says)
      ok(!message(answer).includes('canary'))
      equal(await store.docs.gateway_user.count(), before)
    })

  test('of many who come with one address at once one is let in', async () => {
    const answers = await Promise.all(
      ['one@x.example', 'ONE@x.example', 'One@X.example'].map((user_email) =>
        office.ask('admin', 'POST', '/user/new', { user_email }),
      ),
    )
    deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409])
  })
})

describe('changing users', () => {
  test('only what is named changes; null clears; a row sent back changes nothing', async () => {
    const { user_id } = await made({
      max_budget: 5,
      budget_duration: '1d',
      user_alias: 'keep',
      models: ['gpt-a'],
      user_email: 'change@x.example',
      metadata: { a: 1 },
      auto_create_key: false,
    })
    const change = async (body: JsonObject) => {
      const answer = await office.ask('admin', 'POST', '/user/update', body)
      equal(answer.status, 200, JSON.stringify(answer.body))
      equal(answer.body['user_id'], user_id)
      return object((await infoOf(user_id))['user_info'])
    }
    const one = await change({ user_id: String(user_id), max_budget: 6 })
    deepEqual(
      [one['max_budget'], one['user_alias'], one['models'], one['metadata']],
      [6, 'keep', ['gpt-a'], { a: 1 }],
    )
    const two = await change({
      user_email: 'CHANGE@x.example',
      max_budget: null,
      budget_duration: null,
      tags: ['t'],
    })
    deepEqual(
      [two['max_budget'], two['budget_reset_at'], two['metadata']],
      [null, null, { a: 1, tags: ['t'] }],
    )
    const three = await change(two)
    deepEqual(three, two)
    const four = await change({ user_id: String(user_id), password: 'correct horse', spend: 2 })
    equal(four['spend'], 2)
    equal(four['password_reset_required'], true)
    ok(!('password' in four))
    const stored = (await store.docs.gateway_user.find(String(user_id)))?.data['password']
    ok(await isPassword('correct horse', String(stored)))
    ok(!(await isPassword('correct horse ', String(stored))))
  })

  const refused: [what: string, body: JsonObject, status: number][] = [
    ['nobody named', { max_budget: 1 }, 422],
    ['an unknown id', { user_id: 'nope', max_budget: 1 }, 404],
    ['an unknown address', { user_email: 'nope@x.example', max_budget: 1 }, 404],
    ["another's address", { user_id: 'ada', user_email: 'BOSS@example.org' }, 409],
    ['a short password', { user_id: 'ada', password: 'short' }, 422],
    ['an unknown model', { user_id: 'ada', models: ['gpt-z'] }, 400],
  ]
  for (const [what, body, status] of refused)
    test(`${what}: ${status}`, async () => {
      const before = await store.docs.gateway_user.find('ada')
      equal((await office.ask('admin', 'POST', '/user/update', body)).status, status)
      deepEqual(await store.docs.gateway_user.find('ada'), before)
    })

  test('a new role counts with the next request', async () => {
    await office.person('climber', 'proxy_admin')
    const status = async () => (await office.ask('climber', 'GET', '/user/list')).status
    equal(await status(), 200)
    await office.ask('admin', 'POST', '/user/update', {
      user_id: 'climber',
      user_role: 'internal_user',
    })
    equal(await status(), 403)
  })

  test('many at once', async () => {
    const { body } = await office.ask('admin', 'POST', '/user/bulk_update', {
      users: [
        { user_id: 'ada', rpm_limit: 4 },
        { user_id: 'nope', rpm_limit: 4 },
      ],
    })
    deepEqual([body['successful_updates'], body['failed_updates']], [1, 1])
    equal((await store.docs.gateway_user.find('ada'))?.data['rpm_limit'], 4)
    const all = await office.ask('admin', 'POST', '/user/bulk_update', {
      all_users: true,
      user_updates: { tpm_limit: 9 },
    })
    equal(all.body['failed_updates'], 0)
    ok((await store.docs.gateway_user.list()).every(({ data }) => data['tpm_limit'] === 9))
    for (const body of [
      {},
      { all_users: true },
      { users: [{ user_id: 'ada' }], all_users: true },
      { all_users: true, user_updates: { password: 'same for all' } },
    ] satisfies JsonObject[])
      notEqual((await office.ask('admin', 'POST', '/user/bulk_update', body)).status, 200)
  })
})

test('deleting users ends their keys, memberships and accounts', async () => {
  const { user_id, key } = await made({
    user_id: 'leaver',
    teams: ['core'],
    organizations: ['acme'],
    max_budget: 1,
    spend: 0.5,
  })
  await office.key('leaving', { user_id: 'leaver', team_id: 'core' })
  await office.key('staying', { user_id: 'ada', team_id: 'core' })
  await store.write(async (tx) => {
    await setSpend(tx, accountOf.member('core', 'leaver'), 5)
    await setSpend(tx, accountOf.user('leaver|2'), 5)
  })
  const status = async (who: string) => (await office.ask(who, 'GET', '/key/info')).status
  deepEqual([await status('leaving'), await status('staying')], [200, 200])
  equal(
    (await office.ask('admin', 'POST', '/user/delete', { user_ids: ['leaver', 'nope'] })).status,
    404,
  )
  equal(await status('leaving'), 200, 'all or nothing')
  equal(
    (await office.ask('admin', 'POST', '/user/delete', { user_ids: [String(user_id)] })).status,
    200,
  )
  deepEqual([await status('leaving'), await status('staying')], [401, 200])
  equal(
    (await office.ask('admin', 'GET', `/key/info?key=${key}`)).body['key'],
    key,
    'the row is kept',
  )
  equal((await office.ask('admin', 'GET', '/user/info?user_id=leaver')).status, 404)
  const left = await Promise.all([
    store.docs.team_member.count({ where: { user_id: 'leaver' } }),
    store.docs.organization_member.count({ where: { user_id: 'leaver' } }),
    store.docs.virtual_key.count({ where: { user_id: 'leaver' } }),
  ])
  deepEqual(left, [0, 0, 0])
  const accounts = await store.db.query
    .selectFrom('account')
    .select('id')
    .where('id', 'like', '%leaver%')
    .execute()
  deepEqual(accounts, [{ id: accountOf.user('leaver|2') }])
})

describe('listing users', () => {
  test('pages and filters', async () => {
    for (let at = 0; at < 5; at++)
      await made({
        user_id: `p%ge-${at}`,
        user_email: `page_${at}@list.example`,
        user_role: at < 2 ? 'internal_user' : 'internal_user_viewer',
        user_alias: `p${4 - at}`,
        sso_user_id: `sso-${at}`,
        teams: at === 0 ? ['core'] : [],
        spend: at,
      })
    const find = async (query: string) => {
      const { status, body } = await office.ask('admin', 'GET', `/user/list?${query}`)
      equal(status, 200, JSON.stringify(body))
      return {
        ...body,
        ids: list(body['users']).map((one) => object(one)['user_id']),
      } as JsonObject
    }
    const first = await find('user_email=LIST.example&page_size=2')
    deepEqual(
      [
        first['total'],
        first['page'],
        first['page_size'],
        first['total_pages'],
        list(first['ids']).length,
      ],
      [5, 1, 2, 3, 2],
    )
    const seen = new Set<unknown>()
    for (const page of [1, 2, 3])
      for (const id of list(
        (await find(`user_email=list.example&page=${page}&page_size=2`))['ids'],
      ))
        seen.add(id)
    equal(seen.size, 5)
    const cases: [query: string, ids: string[]][] = [
      ['user_email=page_&sort_by=user_id', ['p%ge-0', 'p%ge-1', 'p%ge-2', 'p%ge-3', 'p%ge-4']],
      ['user_email=page_&sort_by=user_alias', ['p%ge-4', 'p%ge-3', 'p%ge-2', 'p%ge-1', 'p%ge-0']],
      ['user_email=page_&sort_by=spend&sort_order=desc&page_size=2', ['p%ge-4', 'p%ge-3']],
      ['role=internal_user&user_email=page_&sort_by=user_id', ['p%ge-0', 'p%ge-1']],
      ['user_ids=p%25GE-3', ['p%ge-3']],
      ['user_ids=p%25ge-1,%20p%25ge-2&sort_by=user_id', ['p%ge-1', 'p%ge-2']],
      ['sso_user_ids=sso-1,sso-4&sort_by=user_id', ['p%ge-1', 'p%ge-4']],
      ['search=p%25ge-2', ['p%ge-2']],
      ['search=%25', ['p%ge-0', 'p%ge-1', 'p%ge-2', 'p%ge-3', 'p%ge-4'].reverse()],
      ['team=core&user_email=list.example', ['p%ge-0']],
      ["search=' or 1=1 --", []],
    ]
    for (const [query, ids] of cases) {
      const found = await find(query)
      if (query.startsWith('search=%25')) deepEqual(list(found['ids']).sort(), [...ids].sort())
      else deepEqual(found['ids'], ids, query)
    }
    equal(object(list((await find('user_ids=p%25ge-3'))['users'])[0])['key_count'], 1)
  })
  for (const query of ['page=0', 'page_size=101', 'page=x', 'sort_by=password', 'sort_order=up'])
    test(`${query} is refused`, async () => {
      equal((await office.ask('admin', 'GET', `/user/list?${query}`)).status, 422)
    })
})

describe('who may', () => {
  const everybody = ['admin', 'viewer', 'ada', 'boss', 'watcher', 'nobody', 'unknown']
  const rows: [method: string, path: string, body: JsonObject | undefined, statuses: number[]][] = [
    ['GET', '/user/list', undefined, [200, 200, 403, 200, 403, 403, 401]],
    ['GET', '/user/info', undefined, [200, 200, 200, 200, 200, 400, 401]],
    ['GET', '/user/info?user_id=ada', undefined, [200, 200, 200, 403, 403, 403, 401]],
    ['GET', '/v2/user/info?user_id=ada', undefined, [200, 200, 200, 403, 403, 403, 401]],
    ['GET', '/user/info?user_id=nope', undefined, [404, 404, 403, 403, 403, 403, 401]],
    ['GET', '/user/filter/ui?search=ada', undefined, [200, 200, 403, 200, 403, 403, 401]],
    ['GET', '/user/available_roles', undefined, [200, 200, 200, 200, 200, 200, 401]],
    ['POST', '/user/new', { auto_create_key: false }, [200, 403, 403, 403, 403, 403, 401]],
    [
      'POST',
      '/user/new',
      { organizations: ['acme'], auto_create_key: false },
      [200, 403, 403, 200, 403, 403, 401],
    ],
    [
      'POST',
      '/user/new',
      { organizations: ['acme'], user_role: 'proxy_admin' },
      [200, 403, 403, 403, 403, 403, 401],
    ],
    [
      'POST',
      '/user/bulk_update',
      { users: [{ user_id: 'ada', rpm_limit: 1 }] },
      [200, 403, 403, 403, 403, 403, 401],
    ],
    ['POST', '/user/delete', { user_ids: ['nope'] }, [404, 403, 403, 403, 403, 403, 401]],
    [
      'POST',
      '/user/update',
      { user_id: 'ada', user_alias: 'Ada' },
      [200, 403, 200, 403, 403, 403, 401],
    ],
    [
      'POST',
      '/user/update',
      { user_id: 'nope', user_alias: 'x' },
      [404, 403, 403, 403, 403, 403, 401],
    ],
  ]
  for (const [method, path, body, statuses] of rows)
    test(`${method} ${path} ${JSON.stringify(body ?? '')}`, async () => {
      for (const [at, who] of everybody.entries())
        equal((await office.ask(who, method, path, body)).status, statuses[at], who)
    })

  test('nobody raises what bounds themselves', async () => {
    const before = (await store.docs.gateway_user.find('ada'))?.data
    for (const more of [
      { user_role: 'proxy_admin' },
      { max_budget: 1000 },
      { max_budget: null },
      { models: [], model_max_budget: { 'gpt-a': 5 } },
      { models: ['gpt-b'] },
      { rpm_limit: 1_000_000 },
      { tpm_limit: null },
      { spend: 0 },
      { budget_id: null, budget_duration: '1s' },
      { blocked: false, permissions: { all: true } },
      { user_email: 'root@example.org' },
      { metadata: { model_rpm_limit: { 'gpt-a': 9 } } },
      { metadata: { allow_client_pricing_override: true } },
      { password: 'mine from now on' },
      { unheard_of: 1 },
    ] satisfies JsonObject[])
      equal(
        (await office.ask('ada', 'POST', '/user/update', { user_id: 'ada', ...more })).status,
        403,
        JSON.stringify(more),
      )
    deepEqual((await store.docs.gateway_user.find('ada'))?.data, before)
  })

  test('an administrator of an organisation sees and deletes whoever is only in theirs', async () => {
    await made({ user_id: 'inside', organizations: ['acme'] })
    await made({ user_id: 'outside' })
    const { body } = await office.ask('boss', 'GET', '/user/list?page_size=100')
    const ids = list(body['users']).map((one) => object(one)['user_id'])
    ok(ids.includes('inside') && !ids.includes('outside'))
    equal((await office.ask('boss', 'GET', '/user/info?user_id=inside')).status, 200)
    equal((await office.ask('boss', 'POST', '/user/delete', { user_ids: ['outside'] })).status, 403)
    equal(
      (await office.ask('boss', 'POST', '/user/delete', { user_ids: ['inside', 'outside'] }))
        .status,
      403,
    )
    equal((await office.ask('boss', 'POST', '/user/delete', { user_ids: ['inside'] })).status, 200)
    ok(await store.docs.gateway_user.find('outside'))
  })

  test('a plus in an id is a plus', async () => {
    await made({ user_id: 'a+b@x.example', auto_create_key: false })
    await made({ user_id: 'a b@x.example', auto_create_key: false })
    for (const [query, id] of [
      ['a+b@x.example', 'a+b@x.example'],
      ['a%2Bb@x.example', 'a+b@x.example'],
      ['a%20b@x.example', 'a b@x.example'],
    ])
      equal((await office.ask('admin', 'GET', `/user/info?user_id=${query}`)).body['user_id'], id)
  })
})
