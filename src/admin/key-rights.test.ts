import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { keyBulkRoutes } from './key-bulk.ts'
import { keyInfoRoutes } from './key-info.ts'
import { keyListRoutes } from './key-list.ts'
import { keyRoutes } from './keys.ts'
import { openOffice } from './office.test.ts'

/**
 * ada and bob: users with keys of their own. lead: administers team core. dev: a member of it. free: a member of a team
 * whose members may do more. boss: administers organisation acme, to which team core belongs.
 */
const routes = [...keyRoutes, ...keyInfoRoutes, ...keyListRoutes, ...keyBulkRoutes]
const office = await openOffice(routes)
const { store } = office
const people = ['ada', 'bob', 'lead', 'dev', 'free', 'boss']
for (const name of people) await office.person(name)
await office.person('watcher', 'internal_user_viewer')
await office.person('viewer', 'proxy_admin_viewer')
await office.key('nobody')
await store.write(async (tx) => {
  await tx.organization.insert({ id: 'acme', data: { organization_id: 'acme' } })
  await tx.team.insert({
    id: 'core',
    columns: { organization_id: 'acme' },
    data: { team_id: 'core', models: ['gpt-a'], rpm_limit: 100, tpm_limit: 1000 },
  })
  const permissions = [
    '/key/generate',
    '/key/update',
    '/key/regenerate',
    '/key/list',
    '/key/service-account/generate',
  ]
  await tx.team.insert({
    id: 'open',
    data: { team_id: 'open', team_member_permissions: permissions },
  })
  for (const [team, user, role] of [
    ['core', 'lead', 'admin'],
    ['core', 'dev', 'user'],
    ['open', 'free', 'user'],
    ['open', 'lead', 'admin'],
  ] as const)
    await tx.team_member.insert({
      id: `${team}/${user}`,
      columns: { team_id: team, user_id: user },
      data: { team_id: team, user_id: user, role },
    })
  await tx.organization_member.insert({
    id: 'acme/boss',
    columns: { organization_id: 'acme', user_id: 'boss' },
    data: { user_role: 'org_admin' },
  })
  await tx.project.insert({
    id: 'small',
    columns: { team_id: 'core' },
    data: { project_id: 'small', models: ['gpt-a'], max_budget: 5 },
  })
})
await office.key('of-ada', { user_id: 'ada' })
await office.key('of-dev', { user_id: 'dev', team_id: 'core' })
await office.key('robot', { team_id: 'core' })
await office.key('of-free', { user_id: 'free', team_id: 'open' })
await office.key('open-robot', { team_id: 'open' })
const secret = (name: string) => `sk-${name}-0123456789`
const idOf = (name: string) => store.sealer.digest(secret(name))
const dataOf = async (name: string) => (await store.docs.virtual_key.find(idOf(name)))?.data

const everybody = [
  'admin',
  'viewer',
  'ada',
  'bob',
  'lead',
  'dev',
  'free',
  'boss',
  'watcher',
  'nobody',
  'unknown',
]
const rows: [method: string, path: string, body: JsonObject | undefined, statuses: string][] = [
  ['GET', '/key/info', undefined, '404 200 200 200 200 200 200 200 200 200 401'],
  [
    'GET',
    `/key/info?key=${idOf('of-ada')}`,
    undefined,
    '200 200 200 403 403 403 403 403 403 403 401',
  ],
  [
    'GET',
    `/key/info?key=${secret('of-dev')}`,
    undefined,
    '200 200 403 403 200 200 403 200 403 403 401',
  ],
  ['GET', '/key/list', undefined, '200 200 200 200 200 200 200 200 200 200 401'],
  ['GET', '/key/list?user_id=ada', undefined, '200 200 200 403 403 403 403 403 403 200 401'],
  ['GET', '/key/list?team_id=core', undefined, '200 200 403 403 200 200 403 200 403 200 401'],
  [
    'GET',
    '/key/list?organization_id=acme',
    undefined,
    '200 200 403 403 403 403 403 200 403 200 401',
  ],
  ['GET', '/key/aliases', undefined, '200 200 200 200 200 200 200 200 200 200 401'],
  ['POST', '/key/health', undefined, '200 200 200 200 200 200 200 200 200 200 401'],
  ['POST', '/key/generate', {}, '200 403 200 200 200 200 200 200 403 403 401'],
  ['POST', '/key/generate', { user_id: 'ada' }, '200 403 200 403 403 403 403 403 403 403 401'],
  ['POST', '/key/generate', { team_id: 'core' }, '200 403 401 401 200 401 401 400 403 403 401'],
  [
    'POST',
    '/key/generate',
    { team_id: 'core', user_id: 'dev' },
    '200 403 403 403 200 401 403 200 403 403 401',
  ],
  ['POST', '/key/generate', { team_id: 'open' }, '200 403 401 401 200 401 200 401 403 403 401'],
  [
    'POST',
    '/key/service-account/generate',
    { team_id: 'core' },
    '200 403 401 401 200 401 401 200 403 403 401',
  ],
  [
    'POST',
    '/key/service-account/generate',
    { team_id: 'open' },
    '200 403 401 401 200 401 200 401 403 403 401',
  ],
  [
    'POST',
    '/key/generate',
    { allowed_routes: ['/v1/models'] },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  ['POST', '/key/generate', { key_type: 'llm_api' }, '200 403 200 200 200 200 200 200 403 403 401'],
  [
    'POST',
    '/key/generate',
    { key_type: 'management' },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  [
    'POST',
    '/key/generate',
    { permissions: { all: true } },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  [
    'POST',
    '/key/generate',
    { metadata: { allow_client_pricing_override: true } },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  [
    'POST',
    '/key/generate',
    { metadata: { temp_budget_increase: 1 } },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  ['POST', '/key/generate', { unheard_of: 1 }, '200 403 403 403 403 403 403 403 403 403 401'],
  [
    'POST',
    '/key/generate',
    { organization_id: 'acme' },
    '200 403 403 403 403 403 403 200 403 403 401',
  ],
  [
    'POST',
    '/key/update',
    { key: secret('of-ada'), rpm_limit: 5 },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  [
    'POST',
    '/key/update',
    { key: secret('of-dev'), max_budget: 5 },
    '200 403 403 403 200 401 403 200 403 403 401',
  ],
  [
    'POST',
    '/key/update',
    { key: secret('open-robot'), metadata: { a: 1 } },
    '200 403 401 401 200 401 200 401 403 403 401',
  ],
  [
    'POST',
    '/key/update',
    { key: secret('open-robot'), max_budget: 7 },
    '200 403 401 401 200 401 403 401 403 403 401',
  ],
  [
    'POST',
    '/key/update',
    { key: secret('open-robot'), team_id: null },
    '200 403 401 401 200 401 403 401 403 403 401',
  ],
  [
    'POST',
    '/key/bulk_update',
    { keys: [{ key: secret('of-ada'), rpm_limit: 5 }] },
    '200 403 403 403 403 403 403 403 403 403 401',
  ],
  [
    'POST',
    '/team/key/bulk_update',
    { team_id: 'core', all_keys_in_team: true, update_fields: { rpm_limit: 5 } },
    '200 403 401 401 200 401 401 200 403 403 401',
  ],
  ['POST', '/key/block', { key: secret('of-dev') }, '200 403 403 403 200 403 403 200 403 403 401'],
  [
    'POST',
    '/key/unblock',
    { key: secret('of-dev') },
    '200 403 403 403 200 403 403 200 403 403 401',
  ],
  [
    'POST',
    `/key/${idOf('of-dev')}/reset_spend`,
    { reset_to: 0 },
    '200 403 403 403 200 403 403 200 403 403 401',
  ],
  [
    'POST',
    '/key/regenerate',
    { key: secret('of-ada'), new_key: secret('bob') },
    '409 403 409 403 403 403 403 403 403 403 401',
  ],
  [
    'POST',
    '/key/regenerate',
    { key: secret('of-dev'), new_key: secret('bob') },
    '409 403 403 403 409 401 403 409 403 403 401',
  ],
  [
    'POST',
    '/key/delete',
    { keys: [secret('robot')] },
    '200 403 403 403 200 403 403 200 403 403 401',
  ],
  [
    'POST',
    '/key/delete',
    { keys: [secret('of-ada')] },
    '200 403 200 403 403 403 403 403 403 403 401',
  ],
]

describe('who may what', () => {
  for (const [method, path, body, statuses] of rows)
    test(`${method} ${path.slice(0, 60)} ${JSON.stringify(body ?? '')}`, async () => {
      const found: number[] = []
      for (const who of everybody) {
        found.push((await office.ask(who, method, path, body)).status)
        // What was deleted or changed is there again for the next one.
        if (path === '/key/delete') await restore()
        await store.write(
          async (tx) =>
            void (await tx.virtual_key.update(idOf('open-robot'), (key) => {
              key.columns = { ...key.columns, team_id: 'open' }
              key.uniqueName = 'open-robot'
              key.data = { team_id: 'open', key_alias: 'open-robot' }
            })),
        )
      }
      equal(found.join(' '), statuses, everybody.join(' '))
    })
  const restore = async () => {
    if (!(await dataOf('robot'))) await office.key('robot', { team_id: 'core' })
    if (!(await dataOf('of-ada'))) await office.key('of-ada', { user_id: 'ada' })
  }
})

describe('what is seen', () => {
  const seen = async (who: string, query: string) => {
    const { body } = await office.ask(
      who,
      'GET',
      `/key/list?size=100&return_full_object=true&${query}`,
    )
    return list(body['keys'])
      .map((one) => object(one)['key_alias'])
      .filter((alias) => alias !== null)
      .sort()
  }
  const cases: [who: string, query: string, aliases: string[]][] = [
    ['nobody', '', ['nobody']],
    ['dev', '', ['dev', 'of-dev']],
    ['dev', 'include_team_keys=true', ['dev', 'of-dev', 'robot']],
    ['lead', '', ['lead']],
    ['lead', 'include_team_keys=true', ['lead', 'of-dev', 'of-free', 'open-robot', 'robot']],
    ['free', 'include_team_keys=true', ['free', 'of-free', 'open-robot']],
    ['boss', 'include_team_keys=true', ['boss', 'of-dev', 'robot']],
    ['ada', `key_hash=${idOf('of-ada')}`, ['of-ada']],
    ['admin', 'team_id=core&user_id=dev', ['of-dev']],
    ['admin', 'user_id=D&substring_matching=true&team_id=core', ['of-dev']],
    ['admin', 'user_id=D&team_id=core', []],
    ['viewer', 'search=ROBOT', ['open-robot', 'robot']],
  ]
  for (const [who, query, aliases] of cases)
    test(`${who}: ${query}`, async () => deepEqual(await seen(who, query), aliases))

  test('aliases: of those one may see', async () => {
    const of = async (who: string, query = '') =>
      (await office.ask(who, 'GET', `/key/aliases?${query}`)).body['aliases']
    deepEqual(await of('dev'), ['dev', 'of-dev', 'robot'])
    deepEqual(await of('nobody'), ['nobody'])
    deepEqual(await of('admin', 'search=OF-&size=2'), ['of-ada', 'of-dev'])
    deepEqual(await of('admin', 'search=OF-&size=2&page=2'), ['of-free'])
    deepEqual(await of('admin', 'search=%25'), [])
  })

  test('several at once: those one may see', async () => {
    const { body } = await office.ask('dev', 'POST', '/v2/key/info', {
      keys: [secret('of-dev'), idOf('robot'), secret('of-ada'), 'nope'],
    })
    deepEqual(
      list(body['info'])
        .map((one) => object(one)['key_alias'])
        .sort(),
      ['of-dev', 'robot'],
    )
    ok(list(body['info']).every((one) => !('token' in object(one))))
  })
})

describe('a key hands on no more than it has', () => {
  const small = { max_budget: 5, budget_duration: '1d', rpm_limit: 10, models: ['gpt-a'] }
  const made = async (who: string, body: JsonObject) =>
    office.ask(who, 'POST', '/key/generate', body)
  test('what is not said is what it has', async () => {
    await office.ask('admin', 'POST', '/key/generate', {
      key: secret('small'),
      user_id: 'ada',
      ...small,
    })
    const { body } = await made('small', { max_budget: 2 })
    deepEqual(
      [
        body['max_budget'],
        body['budget_duration'],
        body['rpm_limit'],
        body['models'],
        body['user_id'],
      ],
      [2, '1d', 10, ['gpt-a'], 'ada'],
    )
  })
  for (const more of [
    { max_budget: 6 },
    { rpm_limit: 11 },
    { models: ['gpt-a', 'gpt-b'] },
    { models: ['*'] },
    { budget_limits: [{ budget_duration: '1h', max_budget: 6 }] },
  ] satisfies JsonObject[])
    test(JSON.stringify(more), async () => equal((await made('small', more)).status, 400))
  test('whoever made a key changes it, and raises nothing by it', async () => {
    const { body } = await made('small', {})
    const change = async (more: JsonObject) =>
      (await office.ask('small', 'POST', '/key/update', { key: String(body['key']), ...more }))
        .status
    equal(await change({ key_alias: 'renamed', metadata: { mine: 1 }, rpm_limit: 5 }), 200)
    equal(await change({ rpm_limit: 11 }), 400)
    equal(await change({ rpm_limit: null }), 200)
    equal((await store.docs.virtual_key.find(String(body['token'])))?.data['rpm_limit'], 10)
    equal(await change({ models: [] }), 200)
    deepEqual((await store.docs.virtual_key.find(String(body['token'])))?.data['models'], ['gpt-a'])
    for (const more of [
      { max_budget: 4 },
      { max_budget: null },
      { budget_duration: '1s' },
      { user_id: 'bob' },
      { blocked: true },
      { metadata: { tags: ['x'] } },
      { temp_budget_increase: 5 },
      { model_max_budget: { 'gpt-a': 100 } },
    ] satisfies JsonObject[])
      equal(await change(more), 403, JSON.stringify(more))
  })
})

describe('bounds of teams, projects and organisations', () => {
  const ask = (body: JsonObject, path = '/key/generate') => office.ask('admin', 'POST', path, body)
  test('guaranteed throughput is promised once', async () => {
    await store.write((tx) =>
      tx.team.insert({ id: 'full', data: { team_id: 'full', rpm_limit: 100 } }),
    )
    const guaranteed = { team_id: 'full', rpm_limit_type: 'guaranteed_throughput' }
    const first = await ask({ ...guaranteed, rpm_limit: 60 })
    equal(first.status, 200)
    const second = await ask({ ...guaranteed, rpm_limit: 60 })
    equal(second.status, 400)
    match(
      String(object(second.body['error'])['message']),
      /Allocated RPM limit=60 \+ Key RPM limit=60 is greater than team RPM limit=100/,
    )
    equal((await ask({ team_id: 'full', rpm_limit: 500 })).status, 200, 'best effort is no promise')
  })
  test('a project bounds models and budget', async () => {
    equal((await ask({ project_id: 'small', models: ['gpt-a'], max_budget: 5 })).status, 200)
    equal((await ask({ project_id: 'small', models: ['gpt-b'] })).status, 400)
    const { body } = await ask({ project_id: 'small' })
    const key = String(body['key'])
    equal((await ask({ key, max_budget: 5.01 }, '/key/update')).status, 400)
    equal((await ask({ key, project_id: null, max_budget: 6 }, '/key/update')).status, 200)
    equal(
      (await ask({ key, project_id: 'small' }, '/key/update')).status,
      400,
      'projects are not changed',
    )
  })
  test('a key moves only to a team it fits', async () => {
    for (const [body, status] of [
      [{ models: ['gpt-b'] }, 400],
      [{ rpm_limit: 101 }, 400],
      [{ user_id: 'ada' }, 400],
      [{ user_id: 'dev', models: ['gpt-a'], rpm_limit: 100 }, 200],
      [{ models: ['all-team-models'] }, 200],
    ] as [JsonObject, number][]) {
      const { body: made } = await ask(body)
      equal(
        (await ask({ key: String(made['key']), team_id: 'core' }, '/key/update')).status,
        status,
        JSON.stringify(body),
      )
    }
  })
})

describe('what the configuration says of keys', () => {
  const at = async (settings: JsonObject, general: JsonObject = {}) => {
    const strict = await openOffice(routes, {
      litellm_settings: settings,
      general_settings: general,
    })
    await strict.person('ada')
    return (body: JsonObject, who = 'admin', path = '/key/generate') =>
      strict.ask(who, 'POST', path, body)
  }
  test('defaults and upper bounds', async () => {
    const ask = await at({
      default_key_generate_params: {
        max_budget: 3,
        models: ['gpt-a'],
        duration: '7d',
        metadata: { from: 'defaults' },
      },
      upperbound_key_generate_params: {
        max_budget: 10,
        rpm_limit: 50,
        duration: '30d',
        budget_duration: '30d',
      },
    })
    const { body } = await ask({})
    deepEqual(
      [
        body['max_budget'],
        body['models'],
        body['rpm_limit'],
        body['budget_duration'],
        body['expires'],
        object(body['metadata'])['from'],
      ],
      [3, ['gpt-a'], 50, '30d', '2026-01-21T12:00:00.000Z', 'defaults'],
    )
    equal((await ask({ max_budget: 10, rpm_limit: 50, duration: '30d' })).status, 200)
    for (const more of [
      { max_budget: 10.01 },
      { rpm_limit: 51 },
      { duration: '31d' },
      { duration: '-1' },
      { budget_duration: '60d' },
    ] satisfies JsonObject[])
      equal((await ask(more)).status, 400, JSON.stringify(more))
    const key = String(body['key'])
    equal((await ask({ key, max_budget: 11 }, 'admin', '/key/update')).status, 400)
    equal((await ask({ key, max_budget: null }, 'admin', '/key/update')).body['max_budget'], 10)
  })
  test('who may make keys, and what they are called', async () => {
    const ask = await at(
      {
        key_generation_settings: {
          personal_key_generation: { allowed_user_roles: ['proxy_admin'] },
        },
        key_alias_pattern: 'team-[a-z]+',
      },
      { disable_custom_api_keys: true },
    )
    equal((await ask({}, 'ada')).status, 400)
    equal((await ask({ key: 'sk-my-very-own-key-1' })).status, 403)
    equal((await ask({ key_alias: 'other' })).status, 400)
    equal((await ask({ key_alias: 'team-core' })).status, 200)
  })
})
