import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { accountOf, setSpend } from '../store/accounts.ts'
import { keyBulkRoutes } from './key-bulk.ts'
import { keyInfoRoutes } from './key-info.ts'
import { keyListRoutes } from './key-list.ts'
import { keyRoutes } from './keys.ts'
import { noon, openOffice } from './office.test.ts'

const routes = [...keyRoutes, ...keyInfoRoutes, ...keyListRoutes, ...keyBulkRoutes]
const office = await openOffice(routes)
const made = async (body: JsonObject = {}, who = 'admin'): Promise<JsonObject> => {
  const { status, body: said } = await office.ask(who, 'POST', '/key/generate', body)
  equal(status, 200, JSON.stringify(said))
  return said
}
const infoOf = async (key: unknown): Promise<JsonObject> =>
  object((await office.ask('admin', 'GET', `/key/info?key=${key}`)).body['info'])
const message = ({ body }: { body: JsonObject }): string => String(object(body['error'])['message'])

for (const [name, role] of [
  ['ada', 'internal_user'],
  ['bob', 'internal_user'],
  ['viewer', 'proxy_admin_viewer'],
  ['watcher', 'internal_user_viewer'],
  ['root', 'proxy_admin'],
])
  await office.person(name ?? '', role)
await office.key('nobody')

describe('making keys', () => {
  test('a key is sk- and 22 characters, and is kept nowhere', async () => {
    const one = await made({ key_alias: 'first' })
    match(String(one['key']), /^sk-[\w-]{22}$/)
    equal(one['token'], office.store.sealer.digest(String(one['key'])))
    equal(one['token_id'], one['token'])
    equal(one['key_name'], `sk-...${String(one['key']).slice(-4)}`)
    const doc = await office.store.docs.virtual_key.find(String(one['token']))
    ok(!JSON.stringify(doc).includes(String(one['key']).slice(3)))
    notEqual(one['key'], (await made())['key'])
  })

  test('what is said at creation is shown, in the places LiteLLM keeps it', async () => {
    const said = {
      key_alias: 'Köln-東京-🔑',
      models: ['gpt-a', 'acme/*'],
      max_budget: 12.5,
      budget_duration: '30d',
      metadata: { nested: { a: [1, { b: null }] } },
      tpm_limit: 1000,
      rpm_limit: '60',
      aliases: { mini: 'gpt-b' },
      tags: ['prod'],
      model_rpm_limit: { 'gpt-a': 7 },
      budget_limits: [{ budget_duration: '1d', max_budget: 1 }],
      model_max_budget: { 'gpt-a': { budget_limit: 0.5, time_period: '1d' } },
      unheard_of: { kept: true },
      spend: 0.25,
      duration: '30m',
    }
    const key = await made(said)
    deepEqual(key['tags'], ['prod'])
    const info = await infoOf(key['key'])
    const {
      tags,
      model_rpm_limit,
      metadata,
      budget_limits,
      duration: _,
      rpm_limit: __,
      ...plain
    } = said
    for (const [field, value] of Object.entries(plain)) deepEqual(info[field], value, field)
    equal(info['rpm_limit'], 60)
    deepEqual(info['metadata'], { ...metadata, tags, model_rpm_limit })
    deepEqual(info['budget_limits'], [
      { ...budget_limits[0], reset_at: '2026-01-15T00:00:00.000Z' },
    ])
    deepEqual(info['budget_limits_usage'], { '1d': { current_spend: 0 } })
    deepEqual(info['model_max_budget_usage'], {
      'gpt-a': { current_spend: 0, budget_limit: 0.5, time_period: '1d' },
    })
    equal(info['budget_reset_at'], '2026-02-01T00:00:00.000Z')
    equal(info['expires'], '2026-01-14T12:30:00.000Z')
    equal(info['status'], 'active')
    equal(info['created_by'], 'default_user_id')
    ok(!('token' in info))
  })

  const refused: [what: string, body: JsonObject, status: number, says: RegExp][] = [
    ['a budget in words', { max_budget: 'lots' }, 422, /max_budget/],
    ['a negative budget', { max_budget: -1 }, 422, /max_budget: may not be negative/],
    ['models that are no list', { models: 'gpt-a' }, 422, /models/],
    ['an unknown model', { models: ['gpt-z'] }, 400, /models: 'gpt-z'/],
    ['a limit in words', { rpm_limit: 'many' }, 422, /rpm_limit/],
    ['half a request', { rpm_limit: 0.5 }, 422, /rpm_limit/],
    ['metadata that is no map', { metadata: 'x' }, 422, /metadata/],
    ['metadata over a megabyte', { metadata: { m: 'm'.repeat(1_050_000) } }, 422, /metadata.*1 MB/],
    ['an unknown type', { key_type: 'superuser' }, 422, /key_type/],
    ['a period that is none', { budget_duration: 'abc' }, 422, /duration/],
    ['a life that is none', { duration: '5y' }, 422, /duration/],
    ['a long alias', { key_alias: 'a'.repeat(256) }, 422, /key_alias.*255/],
    ['another prefix', { key: 'pk-0123456789-abcdefgh' }, 422, /key: must start with 'sk-'/],
    ['a short key', { key: 'sk-short' }, 422, /at least 16/],
    ['a key no header carries', { key: 'sk-0123456789-\n-abc' }, 422, /key/],
    ['a team that is not there', { team_id: 'nowhere' }, 400, /team_id=nowhere/],
    ['a project that is not there', { project_id: 'nowhere' }, 404, /project_id=nowhere/],
    ['a budget that is not there', { budget_id: 'nowhere' }, 400, /budget_id=nowhere/],
    ['a group that is not there', { access_group_ids: ['no'] }, 400, /Access group 'no'/],
    ['rotation without an interval', { auto_rotate: true }, 400, /rotation_interval/],
    [
      'two windows of one length',
      { budget_limits: [1, 2].map((max_budget) => ({ budget_duration: '1d', max_budget })) },
      422,
      /budget_limits/,
    ],
    ['a service account of no team', { metadata: { service_account_id: 's' } }, 400, /team_id/],
  ]
  for (const [what, body, status, says] of refused)
    test(`${what} is refused`, async () => {
      const answer = await office.ask('admin', 'POST', '/key/generate', body)
      equal(answer.status, status, JSON.stringify(answer.body))
      match(message(answer), says)
    })

  test('a refusal does not repeat the key', async () => {
    const answer = await office.ask('admin', 'POST', '/key/generate', {
      key: 'pk-canary-0123456789',
    })
    ok(!JSON.stringify(answer.body).includes('canary'))
  })

  test('a chosen key works, once', async () => {
    const key = 'sk-my-very-own-key-1'
    const first = await made({ key, metadata: { who: 'first' }, user_id: 'ada' })
    equal(first['key'], key)
    const again = await office.ask('admin', 'POST', '/key/generate', {
      key,
      metadata: { who: 'second' },
    })
    equal(again.status, 409)
    ok(!message(again).includes(key))
    deepEqual((await infoOf(key))['metadata'], { who: 'first' })
  })

  test('an alias is taken once, and free again when its key is gone', async () => {
    const { key } = await made({ key_alias: "x'); DROP TABLE keys; --" })
    const twice = await office.ask('admin', 'POST', '/key/generate', {
      key_alias: "x'); DROP TABLE keys; --",
    })
    equal(twice.status, 400)
    match(message(twice), /alias 'x'\); DROP TABLE keys; --' already exists/)
    equal((await office.ask('admin', 'POST', '/key/delete', { keys: [String(key)] })).status, 200)
    await made({ key_alias: "x'); DROP TABLE keys; --" })
  })
})

describe('changing keys', () => {
  test('only what is named changes; null clears', async () => {
    const { key } = await made({
      max_budget: 5,
      budget_duration: '1d',
      models: ['gpt-a'],
      metadata: { keep: 1 },
      tags: ['t'],
      model_rpm_limit: { 'gpt-a': 1 },
      rpm_limit: 9,
      duration: '1h',
    })
    const change = async (body: JsonObject) => {
      const { status, body: said } = await office.ask('admin', 'POST', '/key/update', {
        key,
        ...body,
      })
      equal(status, 200, JSON.stringify(said))
      equal(said['key'], key)
      return infoOf(key)
    }
    const one = await change({ max_budget: 7 })
    equal(one['max_budget'], 7)
    equal(one['rpm_limit'], 9)
    deepEqual(one['models'], ['gpt-a'])
    deepEqual(one['metadata'], { keep: 1, tags: ['t'], model_rpm_limit: { 'gpt-a': 1 } })
    const two = await change({
      max_budget: null,
      budget_duration: null,
      model_rpm_limit: null,
      duration: '-1',
    })
    equal(two['max_budget'], null)
    equal(two['budget_reset_at'], null)
    equal(two['expires'], null)
    deepEqual(two['metadata'], { keep: 1, tags: ['t'] })
    const three = await change({ ...two, key_alias: 'renamed-key' })
    equal(three['key_alias'], 'renamed-key')
    deepEqual(
      { ...three, key_alias: null, settings_updated_at: two['settings_updated_at'] },
      two,
      'a row sent back changes nothing else',
    )
    equal(
      (await office.ask('admin', 'POST', '/key/update', { key_alias: 'renamed-key', rpm_limit: 1 }))
        .status,
      200,
    )
    equal((await infoOf(key))['rpm_limit'], 1)
  })

  const refused: [what: string, body: JsonObject, status: number][] = [
    ['no key', { max_budget: 2 }, 400],
    ['an unknown key', { key: 'sk-0000000000000000nope', max_budget: 2 }, 404],
    ['an unknown alias', { key_alias: 'nope', max_budget: 2 }, 404],
    ['a negative budget', { key: 'sk-ada-0123456789', max_budget: -4 }, 422],
    ["another's alias", { key: 'sk-ada-0123456789', key_alias: 'bob' }, 400],
    ['an unknown model', { key: 'sk-ada-0123456789', models: ['gpt-z'] }, 400],
  ]
  for (const [what, body, status] of refused)
    test(`${what}: ${status}`, async () => {
      const before = await office.store.docs.virtual_key.first({ unique_name: 'ada' })
      const answer = await office.ask('admin', 'POST', '/key/update', body)
      equal(answer.status, status, JSON.stringify(answer.body))
      ok(!message(answer).includes('0000000000000000nope'))
      deepEqual(await office.store.docs.virtual_key.first({ unique_name: 'ada' }), before)
    })

  test('a service account stays one', async () => {
    await office.store.write((tx) =>
      tx.team.insert({ id: 'service', data: { team_id: 'service' } }),
    )
    const { status, body } = await office.ask('admin', 'POST', '/key/service-account/generate', {
      team_id: 'service',
      key_alias: 'robot',
      user_id: 'ada',
    })
    equal(status, 200)
    equal(body['user_id'], null)
    const { key } = body
    equal(object(body['metadata'])['service_account_id'], 'robot')
    const change = (metadata: JsonObject) =>
      office.ask('admin', 'POST', '/key/update', { key, metadata })
    equal((await change({ service_account_id: 'other' })).status, 400)
    equal((await change({ more: 1 })).status, 200)
    deepEqual((await infoOf(key))['metadata'], { more: 1, service_account_id: 'robot' })
  })

  test('many at once: what fails is said, the others change', async () => {
    const [a, b] = [await made(), await made()]
    const { body } = await office.ask('admin', 'POST', '/key/bulk_update', {
      keys: [
        { key: a['key'], max_budget: 3 },
        { key: 'sk-0000000000000000nope', max_budget: 3 },
        { key: b['token'], models: ['gpt-z'] },
      ],
    })
    equal(body['total_requested'], 3)
    deepEqual(
      list(body['successful_updates']).map((one) => object(object(one)['key_info'])['max_budget']),
      [3],
    )
    equal(list(body['failed_updates']).length, 2)
    equal((await infoOf(a['key']))['max_budget'], 3)
  })
})

describe('making keys anew', () => {
  const works = async (key: unknown) => {
    const { status } = await office.ask(String(key).slice(3, -11), 'GET', '/key/info')
    return status
  }
  const own = (name: string) => `sk-${name}-0123456789`

  test('the old key ends at once, and the new one keeps its books and its row', async () => {
    await made({
      key: own('old'),
      key_alias: 'regen',
      max_budget: 6,
      metadata: { keep: 'me' },
      budget_limits: [{ budget_duration: '1d', max_budget: 1 }],
    })
    const id = office.store.sealer.digest(own('old'))
    await office.store.write(async (tx) => {
      await setSpend(tx, accountOf.key(id), 1_500_000_000)
      await setSpend(tx, accountOf.keyWindow(id, '1d'), 250_000_000)
    })
    const { status, body } = await office.ask('admin', 'POST', `/key/${own('old')}/regenerate`, {
      new_key: own('new'),
      max_budget: 8,
    })
    equal(status, 200, JSON.stringify(body))
    equal(body['key'], own('new'))
    deepEqual([await works(own('old')), await works(own('new'))], [401, 200])
    const info = await infoOf(own('new'))
    deepEqual(
      [
        info['key_alias'],
        info['max_budget'],
        info['metadata'],
        info['spend'],
        info['budget_limits_usage'],
      ],
      ['regen', 8, { keep: 'me' }, 1.5, { '1d': { current_spend: 0.25 } }],
    )
    equal((await infoOf(own('old')))['status'], 'deleted')
    // A request that was under way settles where it began.
    await office.store.write((tx) => setSpend(tx, accountOf.key(id), 1_750_000_000))
    equal((await infoOf(own('new')))['spend'], 1.75)
    const again = await made({ key: own('old') })
    equal(again['spend'], 0, 'somebody chooses the old key: it has books of its own')
    equal((await infoOf(own('new')))['spend'], 1.75)
  })

  test('with a grace period it goes on until then, and whatever becomes of its successor happens to it', async () => {
    await made({ key: own('slow'), user_id: 'ada' })
    const next = async (from: string, to: string, more: JsonObject = {}) =>
      equal(
        (await office.ask('admin', 'POST', '/key/regenerate', { key: from, new_key: to, ...more }))
          .status,
        200,
      )
    await next(own('slow'), own('fast'), { grace_period: '1h' })
    await next(own('fast'), own('faster'), { grace_period: '2h' })
    deepEqual(
      [await works(own('slow')), await works(own('fast')), await works(own('faster'))],
      [200, 200, 200],
    )
    const seen = await office.ask('slow', 'GET', '/key/info')
    equal(seen.body['key'], office.store.sealer.digest(own('faster')), 'it counts for the new one')
    equal((await office.ask('admin', 'POST', '/key/generate', { key: own('slow') })).status, 409)
    office.at(noon + 3_600_000)
    deepEqual(
      [await works(own('slow')), await works(own('fast')), await works(own('faster'))],
      [401, 200, 200],
    )
    equal((await office.ask('admin', 'POST', '/key/delete', { keys: [own('faster')] })).status, 200)
    deepEqual([await works(own('fast')), await works(own('faster'))], [401, 401])
    office.at(noon)
  })

  const refused: [what: string, path: string, body: JsonObject, status: number][] = [
    ['an unknown key', '/key/sk-0000000000000000nope/regenerate', {}, 404],
    ['no key', '/key/regenerate', {}, 400],
    ['a taken key', `/key/${own('ada')}/regenerate`, { new_key: own('bob') }, 409],
    ['a short key', `/key/${own('ada')}/regenerate`, { new_key: 'sk-1' }, 422],
    ['a grace that is none', `/key/${own('ada')}/regenerate`, { grace_period: 'soon' }, 422],
    ['the master key', '/key/regenerate', { key: 'sk-x', new_master_key: 'sk-y' }, 501],
    ['what may not be', `/key/${own('ada')}/regenerate`, { models: ['gpt-z'] }, 400],
  ]
  for (const [what, path, body, status] of refused)
    test(`${what}: ${status}, and the old one goes on`, async () => {
      equal((await office.ask('admin', 'POST', path, body)).status, status)
      equal(await works(own('ada')), 200)
    })
})

describe('blocking, deleting, resetting', () => {
  test('a blocked key is refused with the next request, by key or by id', async () => {
    const key = 'sk-stop-0123456789'
    const { token } = await made({ key })
    const status = async () => (await office.ask('stop', 'GET', '/key/info')).status
    equal(await status(), 200)
    for (const said of [key, token]) {
      const { body } = await office.ask('admin', 'POST', '/key/block', { key: said })
      equal(body['blocked'], true)
      equal(await status(), 401)
      equal((await office.ask('admin', 'POST', '/key/unblock', { key: said })).status, 200)
      equal(await status(), 200)
    }
    equal(
      (await office.ask('admin', 'POST', '/key/block', { key: 'sk-0000000000000000nope' })).status,
      404,
    )
  })

  test('deleted keys are gone with the next request, and their rows are kept apart', async () => {
    const [a, b, c] = [
      await made({ key: 'sk-gone-0123456789', user_id: 'ada', max_budget: 3 }),
      await made({ key_alias: 'by-alias' }),
      await made(),
    ]
    await office.store.write((tx) => setSpend(tx, accountOf.key(String(a['token'])), 2_000_000_000))
    equal((await office.ask('gone', 'GET', '/key/info')).status, 200)
    const { body } = await office.ask('admin', 'POST', '/key/delete', {
      keys: [String(a['key']), String(c['token']), 'sk-0000000000000000nope'],
      key_aliases: ['by-alias'],
    })
    deepEqual(body, { deleted_keys: [a['key'], c['token'], 'by-alias'] })
    equal((await office.ask('gone', 'GET', '/key/info')).status, 401)
    const kept = await infoOf(a['token'])
    deepEqual(
      [kept['status'], kept['spend'], kept['max_budget'], kept['deleted_by']],
      ['deleted', 2, 3, 'default_user_id'],
    )
    const { body: listed } = await office.ask(
      'admin',
      'GET',
      `/key/list?status=deleted&user_id=ada&return_full_object=true`,
    )
    ok(JSON.stringify(listed).includes(String(a['token'])))
    equal(
      (await office.ask('admin', 'GET', `/key/list?key_hash=${b['token']}`)).body['total_count'],
      0,
    )
    const accounts = await office.store.db.query
      .selectFrom('account')
      .select('id')
      .where('id', 'like', `%${a['token']}%`)
      .execute()
    deepEqual(accounts, [])
  })
  for (const [what, body, status] of [
    ['nothing', {}, 400],
    ['an unknown key', { keys: ['sk-0000000000000000nope'] }, 404],
    ['no list', { keys: 'sk-1' }, 422],
  ] satisfies [string, JsonObject, number][])
    test(`deleting ${what}: ${status}`, async () => {
      equal((await office.ask('admin', 'POST', '/key/delete', body)).status, status)
    })

  test('spend is set to less, never to more', async () => {
    const { key, token } = await made({ max_budget: 10 })
    await office.store.write((tx) => setSpend(tx, accountOf.key(String(token)), 4_000_000_000))
    const reset = (reset_to: unknown) =>
      office.ask('admin', 'POST', `/key/${key}/reset_spend`, { reset_to } as JsonObject)
    equal((await reset(5)).status, 400)
    equal((await reset(-1)).status, 422)
    const { body } = await reset(1.5)
    deepEqual([body['key_hash'], body['spend'], body['previous_spend']], [token, 1.5, 4])
    equal((await infoOf(token))['spend'], 1.5)
  })
})
