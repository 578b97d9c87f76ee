import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { createParties } from '../policy/parties.ts'
import { accessGroupRoutes } from './access-groups.ts'
import { modelGroupRoutes } from './model-groups.ts'
import { type Office, openOffice } from './office.test.ts'
import { teamInfoRoutes } from './team-info.ts'
import { teamRoutes } from './teams.ts'

const open = (): Promise<Office> =>
  openOffice([...accessGroupRoutes, ...modelGroupRoutes, ...teamRoutes, ...teamInfoRoutes])
const message = (body: JsonObject): string => String(object(body['error'])['message'])

test('a group and whom it is given to: whichever is written, the other follows', async () => {
  const office = await open()
  const { ask, store, key } = office
  for (const team_id of ['a', 'b'])
    await ask('admin', 'POST', '/team/new', { team_id, team_alias: team_id })
  const k = await key('k')
  const made = await ask('admin', 'POST', '/v1/access_group', {
    access_group_name: "Ünï'; --☃",
    access_model_names: ['gpt-a'],
    assigned_team_ids: ['a'],
    assigned_key_ids: [k],
    of_ours: 1,
  })
  assert.equal(made.status, 201)
  const id = String(made.body['access_group_id'])
  const teams = async () => {
    const of: Record<string, unknown> = {}
    for (const team of ['a', 'b'])
      of[team] = (await store.docs.team.find(team))?.data['access_group_ids'] ?? []
    return of
  }
  assert.deepEqual(await teams(), { a: [id], b: [] })
  assert.deepEqual((await store.docs.virtual_key.find(k))?.data['access_group_ids'], [id])
  const group = async () => (await ask('admin', 'GET', `/v1/unified_access_group/${id}`)).body
  assert.deepEqual(await group(), made.body)
  assert.deepEqual(made.body['assigned_keys'], [{ id: k, name: 'k' }])
  await ask('admin', 'PUT', `/v1/access_group/${id}`, {
    assigned_team_ids: ['b'],
    description: 'd',
  })
  assert.deepEqual(await teams(), { a: [], b: [id] })
  await ask('admin', 'POST', '/team/update', { team_id: 'a', access_group_ids: [id] })
  assert.deepEqual((await group())['assigned_team_ids'], ['b', 'a'])
  await ask('admin', 'POST', '/team/delete', { team_ids: ['b'] })
  assert.deepEqual((await group())['assigned_teams'], [{ id: 'a', name: 'a' }])
  const { body } = await ask('admin', 'GET', '/team/info?team_id=a')
  assert.deepEqual(object(body['team_info'])['access_group_models'], ['gpt-a'])
  const parties = await createParties(store, undefined)
  assert.deepEqual(
    [parties.group(id), parties.group("Ünï'; --☃")],
    [['gpt-a'], ['gpt-a']],
    'found by either',
  )
  assert.equal((await ask('admin', 'DELETE', `/v1/access_group/${id}`)).status, 204)
  assert.deepEqual(await teams(), { a: [], b: [] })
  assert.deepEqual((await store.docs.virtual_key.find(k))?.data['access_group_ids'], [])
})

const refused: [
  name: string,
  method: string,
  path: string,
  body: JsonObject | undefined,
  status: number,
  says: RegExp,
][] = [
  ['twice', 'POST', '/v1/access_group', { access_group_name: 'g' }, 409, /exists/],
  ['no name', 'POST', '/v1/access_group', {}, 422, /access_group_name/],
  [
    'an unknown team',
    'POST',
    '/v1/access_group',
    { access_group_name: 'x', assigned_team_ids: ['no'] },
    400,
    /assigned_team_ids/,
  ],
  [
    'a key instead of its id',
    'POST',
    '/v1/access_group',
    { access_group_name: 'x', assigned_key_ids: ['sk-secret'] },
    400,
    /'…'/,
  ],
  [
    'an unknown model',
    'POST',
    '/v1/access_group',
    { access_group_name: 'x', access_model_names: ['no'] },
    400,
    /no model/,
  ],
  ['an unknown group', 'PUT', '/v1/access_group/no', { description: 'd' }, 404, /not found/],
  ['an unknown group', 'DELETE', '/v1/access_group/no', undefined, 404, /not found/],
  ['an unknown group', 'GET', '/v1/access_group/no', undefined, 404, /not found/],
  [
    'the older way, twice',
    'POST',
    '/access_group/new',
    { access_group: 'g', model_names: ['gpt-a'] },
    409,
    /exists/,
  ],
  [
    'without models',
    'POST',
    '/access_group/new',
    { access_group: 'x', model_names: [] },
    400,
    /model_names/,
  ],
  [
    'an unknown model',
    'POST',
    '/access_group/new',
    { access_group: 'x', model_names: ['no'] },
    400,
    /no model/,
  ],
  [
    'an unknown deployment',
    'POST',
    '/access_group/new',
    { access_group: 'x', model_ids: ['no'] },
    400,
    /model_ids|model_id/,
  ],
  ['an unknown group', 'GET', '/access_group/no/info', undefined, 404, /not found/],
  [
    'a group of the file',
    'PUT',
    '/access_group/beta/update',
    { model_names: ['gpt-a'] },
    400,
    /model_info/,
  ],
  ['a group of the file', 'DELETE', '/access_group/beta/delete', undefined, 400, /model_info/],
  ['its budget', 'PUT', '/access_group/g/budget', { max_budget: 1 }, 501, /not offered/],
]
test('what is refused, and why; and nothing is half done', async () => {
  const { ask, store } = await open()
  await ask('admin', 'POST', '/v1/access_group', { access_group_name: 'g' })
  for (const [name, method, path, body, status, says] of refused) {
    const told = await ask('admin', method, path, body)
    assert.equal(told.status, status, `${name} ${JSON.stringify(told.body)}`)
    assert.match(message(told.body), says, name)
    assert.doesNotMatch(message(told.body), /secret/)
  }
  assert.equal(await store.docs.access_group.count(), 1)
})

test('the older routes show groups that rows of models name, and keep groups of their own', async () => {
  const { ask } = await open()
  const groups = async () =>
    list((await ask('admin', 'GET', '/access_group/list')).body['access_groups'])
      .map(object)
      .map((one) => [
        one['access_group'],
        list(one['model_names']).join(' '),
        one['deployment_count'],
      ])
  assert.deepEqual(await groups(), [['beta', 'gpt-a', 1]])
  const { body } = await ask('admin', 'POST', '/access_group/new', {
    access_group: 'prod',
    model_ids: ['dep-a'],
  })
  assert.equal(body['models_updated'], 1)
  await ask('admin', 'PUT', '/access_group/prod/update', { model_names: ['gpt-b', 'gpt-a'] })
  assert.deepEqual(await groups(), [
    ['beta', 'gpt-a', 1],
    ['prod', 'gpt-b gpt-a', 2],
  ])
  const info = await ask('admin', 'GET', '/access_group/prod/info')
  assert.deepEqual(info.body['model_names'], ['gpt-b', 'gpt-a'])
  assert.equal((await ask('admin', 'DELETE', '/access_group/prod/delete')).status, 200)
  assert.deepEqual(await groups(), [['beta', 'gpt-a', 1]])
})

test('groups are for administrators, and viewers to look at', async () => {
  const { ask, person } = await open()
  await person('viewer', 'proxy_admin_viewer')
  await person('user')
  for (const [who, reads] of [
    ['viewer', 200],
    ['user', 403],
  ] as const) {
    for (const path of ['/v1/access_group', '/access_group/list'])
      assert.equal((await ask(who, 'GET', path)).status, reads, `${who} ${path}`)
    assert.equal(
      (await ask(who, 'POST', '/v1/access_group', { access_group_name: 'x' })).status,
      403,
    )
    assert.equal((await ask(who, 'DELETE', '/access_group/beta/delete')).status, 403)
  }
})
