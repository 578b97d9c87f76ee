import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { entry, fill } from '../store/spend-fill.test.ts'
import { budgetRoutes } from './budgets.ts'
import { openEntry, sealedEntry } from './live-rows.ts'
import { noon, openOffice } from './office.test.ts'
import { tagRoutes } from './tags.ts'
import { teamSpendRoutes } from './team-spend.ts'

const open = (config?: JsonObject) =>
  openOffice([...budgetRoutes, ...tagRoutes, ...teamSpendRoutes], config)
const message = (body: JsonObject): string => String(object(body['error'])['message'])
const nameOf = (one: unknown): unknown => (one as JsonObject)['name']

test('a tag shows what it was given; an update changes what it names', async () => {
  const { ask } = await open()
  await ask('admin', 'POST', '/budget/new', {
    budget_id: 'b',
    max_budget: 9,
    budget_duration: '1d',
  })
  const name = "Ünï'; DROP TABLE tag;--☃"
  const { body } = await ask('admin', 'POST', '/tag/new', {
    name,
    description: 'd',
    max_budget: 3,
    of_ours: 1,
  })
  assert.match(String(body['message']), /created/)
  const info = async () =>
    object((await ask('admin', 'POST', '/tag/info', { names: [name] })).body[name])
  const tag = await info()
  assert.deepEqual(tag, body['tag'])
  assert.deepEqual(
    [
      tag['name'],
      tag['description'],
      tag['of_ours'],
      tag['spend'],
      object(tag['litellm_budget_table'])['max_budget'],
    ],
    [name, 'd', 1, 0, 3],
  )
  await ask('admin', 'POST', '/tag/update', { name, budget_id: 'b' })
  const after = await info()
  assert.deepEqual(
    [
      after['description'],
      object(after['litellm_budget_table'])['max_budget'],
      after['budget_reset_at'],
    ],
    ['d', 9, '2026-01-15T00:00:00.000Z'],
  )
  assert.equal((await ask('admin', 'POST', '/tag/delete', { name })).status, 200)
  assert.equal((await ask('admin', 'POST', '/tag/info', { names: [name] })).status, 404)
})

const refused: [name: string, path: string, body: JsonObject, status: number, says: RegExp][] = [
  ['twice', '/tag/new', { name: 't' }, 409, /exists/],
  ['no name', '/tag/new', {}, 422, /name/],
  ['a negative budget', '/tag/new', { name: 'x', max_budget: -1 }, 422, /max_budget/],
  ['an unknown budget', '/tag/new', { name: 'x', budget_id: 'no' }, 400, /Budget 'no'/],
  ['an unknown model', '/tag/new', { name: 'x', models: ['no'] }, 400, /neither/],
  [
    'a model of the file',
    '/tag/new',
    { name: 'x', models: ['gpt-a'] },
    400,
    /litellm_params\.tags/,
  ],
  ['an unknown tag', '/tag/update', { name: 'no' }, 404, /no not found/],
  ['some unknown', '/tag/info', { names: ['t', 'no', 'none'] }, 404, /no, none/],
  ['an unknown one', '/tag/delete', { name: 'no' }, 404, /not found/],
]
test('what is refused, and why; and nothing is half done', async () => {
  const { ask } = await open()
  await ask('admin', 'POST', '/tag/new', { name: 't' })
  for (const [name, path, body, status, says] of refused) {
    const told = await ask('admin', 'POST', path, body)
    assert.equal(told.status, status, `${name} ${JSON.stringify(told.body)}`)
    assert.match(message(told.body), says, name)
  }
  assert.deepEqual((await ask('admin', 'GET', '/tag/list')).list.map(nameOf), ['t'])
  const later = await ask('admin', 'GET', '/tag/dau')
  assert.deepEqual(
    [later.status, message(later.body)],
    [501, 'GET /tag/dau is not offered by this gateway'],
  )
})

test('deployments of the database carry the tags that list them', async () => {
  const { ask, store } = await open()
  const { sealer } = store
  const params = { model: 'openai/x', api_key: 'sk-1234567890', tags: ['paid'] }
  await store.write((tx) =>
    tx.model.insert({
      id: 'm1',
      columns: { alias: 'mine' },
      data: sealedEntry({ model_name: 'mine', litellm_params: params, model_info: {} }, sealer),
    }),
  )
  const tags = async () => {
    const doc = await store.docs.model.find('m1')
    return doc && openEntry(doc, sealer).litellm_params
  }
  await ask('admin', 'POST', '/tag/new', { name: 't', models: ['mine'] })
  assert.deepEqual(await tags(), { ...params, tags: ['paid', 't'] })
  await ask('admin', 'POST', '/tag/update', { name: 't', models: ['m1'] })
  assert.deepEqual(await tags(), { ...params, tags: ['paid', 't'] })
  await ask('admin', 'POST', '/tag/update', { name: 't', models: [] })
  assert.deepEqual(await tags(), params)
  await ask('admin', 'POST', '/tag/update', { name: 't', models: ['m1'] })
  await ask('admin', 'POST', '/tag/delete', { name: 't' })
  assert.deepEqual(await tags(), params)
})

test('the list has tags that were made, configured or just carried; a user sees those of their own keys', async () => {
  const { ask, store, person, key } = await open({
    litellm_settings: { tag_budget_config: { paid: { max_budget: 5 } } },
  })
  await person('ann')
  await person('ben')
  await person('viewer', 'proxy_admin_viewer')
  const anns = await key('anns', { user_id: 'ann' })
  await ask('admin', 'POST', '/tag/new', { name: 'made' })
  const tagged = (id: string, keyId: string, tags: string[], at = noon) =>
    entry(id, at, { keyId, payer: { tags } })
  await fill(store.db, [
    tagged('1', anns, ['made', 'walk-in']),
    tagged('2', 'somebody', ['theirs'], noon - 40 * 86_400_000),
  ])
  const seen = async (who: string, query = '') =>
    (await ask(who, 'GET', `/tag/list${query}`)).list.map(nameOf).sort()
  assert.deepEqual(await seen('viewer'), ['made', 'paid', 'theirs', 'walk-in'])
  assert.deepEqual(await seen('admin', '?start_date=2026-01-01&end_date=2026-01-31'), [
    'made',
    'paid',
    'walk-in',
  ])
  assert.deepEqual(await seen('ann'), ['made', 'walk-in'])
  assert.deepEqual(await seen('anns'), ['made', 'walk-in'])
  assert.deepEqual(await seen('ben'), [])
  assert.equal((await ask('admin', 'GET', '/tag/list?start_date=2026-01-01')).status, 400)
  for (const verb of ['new', 'update', 'delete'])
    for (const who of ['viewer', 'ann'])
      assert.equal(
        (await ask(who, 'POST', `/tag/${verb}`, { name: 'made' })).status,
        403,
        `${who} ${verb}`,
      )
})

test('what users spend in a team: all of it for who runs it, their own for others', async () => {
  const { ask, store, person, key } = await open()
  for (const name of ['ann', 'ben', 'eve']) await person(name)
  await store.write(async (tx) => {
    await tx.team.insert({ id: 't', data: { team_alias: 'T' }, columns: { alias: 'T' } })
    for (const [user, role] of [
      ['ann', 'admin'],
      ['ben', 'user'],
    ] as const)
      await tx.team_member.insert({
        id: `t/${user}`,
        columns: { team_id: 't', user_id: user },
        data: { role },
      })
  })
  const anns = await key('anns', { user_id: 'ann', team_id: 't' })
  const bens = await key('bens', { user_id: 'ben', team_id: 't' })
  const spent = (id: string, keyId: string, nanoDollars: number, fault?: 'provider') =>
    entry(id, noon, {
      keyId,
      nanoDollars,
      payer: { teamId: 't' },
      ...(fault && { fault, status: 500 }),
    })
  await fill(store.db, [
    spent('1', anns, 1_000_000),
    spent('2', bens, 3_000_000),
    spent('3', bens, 0, 'provider'),
    spent('4', 'service', 2_000_000),
  ])
  const days = 'start_date=2026-01-14&end_date=2026-01-14'
  const seen = async (who: string) =>
    list((await ask(who, 'GET', `/team/spend/by_user?team_ids=t&${days}`)).body['results'])
      .map(object)
      .map(({ user_id, spend, failed_requests, total_tokens }) => [
        user_id,
        spend,
        failed_requests,
        total_tokens,
      ])
  const ben = ['ben', 0.003, 1, 30]
  assert.deepEqual(await seen('ann'), [ben, ['', 0.002, 0, 15], ['ann', 0.001, 0, 15]])
  assert.deepEqual(await seen('ben'), [ben])
  for (const [who, query, status] of [
    ['eve', `team_ids=t&${days}`, 403],
    ['admin', `team_ids=no&${days}`, 404],
    ['admin', days, 400],
    ['admin', 'team_ids=t', 400],
    ['admin', 'team_ids=t&start_date=2026-01-14&end_date=2026-01-13', 400],
    ['admin', 'team_ids=t&start_date=2020-01-14&end_date=2026-01-13', 400],
  ] as const)
    assert.equal((await ask(who, 'GET', `/team/spend/by_user?${query}`)).status, status, query)
})
