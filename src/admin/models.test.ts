import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { configRoutes } from './config.ts'
import { credentialRoutes } from './credentials.ts'
import { modelPageRoutes } from './model-pages.ts'
import { modelRoutes } from './models.ts'
import { type Office, openOffice } from './office.test.ts'

const canary = 'sk-CANARY-0123456789abcdef'

async function opened(
  config: JsonObject = {},
  serving: Parameters<typeof openOffice>[2] = {},
): Promise<Office> {
  const office = await openOffice(
    [...modelRoutes, ...modelPageRoutes, ...credentialRoutes, ...configRoutes],
    config,
    {
      env: { FROM_ENV: 'sk-env-0123456789abcdef', OPENAI_API_KEY: 'sk-house-0123456789abcdef' },
      ...serving,
    },
  )
  for (const name of ['kim', 'lee']) await office.person(name)
  await office.person('vic', 'proxy_admin_viewer')
  await office.key('red', { user_id: 'kim', team_id: 'red' })
  await office.key('blue', { user_id: 'kim', team_id: 'blue' })
  await office.store.write(async (tx) => {
    for (const id of ['red', 'blue'])
      await tx.team.insert({ id, data: { models: id === 'red' ? ['gpt-a'] : [] } })
    await tx.team_member.insert({
      id: 'red/lee',
      columns: { team_id: 'red', user_id: 'lee' },
      data: { role: 'admin' },
    })
  })
  return office
}

const entry = (name: string, params: JsonObject = {}, info: JsonObject = {}): JsonObject => ({
  model_name: name,
  litellm_params: { model: 'openai/first', api_key: canary, ...params },
  model_info: info,
})
const call = (office: Office, who: string, model: string) =>
  office.ask(who, 'POST', '/v1/chat/completions', {
    model,
    messages: [{ role: 'user', content: 'hi' }],
  })
const messageOf = (body: JsonObject) => String(object(body['error'])['message'])

const office = await opened()

describe('a model added while serving', () => {
  test('is called at once, with the key it was given, changed and taken out at once', async () => {
    const { status, body } = await office.ask('admin', 'POST', '/model/new', entry('live'))
    assert.equal(status, 200)
    const id = String(body['model_id'])
    assert.equal((await call(office, 'kim', 'live')).status, 200)
    const first = office.asked.at(-1)
    assert.deepEqual(
      [first?.json['model'], first?.headers['authorization']],
      ['first', `Bearer ${canary}`],
    )
    const change = {
      model_name: 'live',
      litellm_params: { model: 'openai/second' },
      model_info: { id },
    }
    assert.equal((await office.ask('admin', 'POST', '/model/update', change)).status, 200)
    await call(office, 'kim', 'live')
    const second = office.asked.at(-1)
    assert.deepEqual(
      [second?.json['model'], second?.headers['authorization']],
      ['second', `Bearer ${canary}`],
    )
    const price = {
      model_info: { output_cost_per_token: 0.003 },
      litellm_params: { api_key: null },
    }
    const patched = await office.ask('admin', 'PATCH', `/model/${id}/update`, price)
    assert.equal(object(patched.body['model_info'])['output_cost_per_token'], 0.003)
    await call(office, 'kim', 'live')
    assert.equal(office.asked.at(-1)?.headers['authorization'], 'Bearer sk-house-0123456789abcdef')
    assert.equal((await office.ask('admin', 'POST', '/model/delete', { id })).status, 200)
    assert.equal((await call(office, 'kim', 'live')).status, 400)
  })

  test('keeps the id it was given, and no two have one', async () => {
    const made = await office.ask('admin', 'POST', '/model/new', entry('mine', {}, { id: 'my-id' }))
    assert.equal(made.body['model_id'], 'my-id')
    for (const id of ['my-id', 'dep-a'])
      assert.equal(
        (await office.ask('admin', 'POST', '/model/new', entry('other', {}, { id }))).status,
        400,
      )
  })

  test('is told of everywhere without its secrets, and is not in the database in the clear', async () => {
    const made = await office.ask(
      'admin',
      'POST',
      '/model/new',
      entry('seen', { api_base: `https://user:${canary}@a.invalid/v1` }),
    )
    const told = await Promise.all([
      office.ask('admin', 'GET', '/model/info'),
      office.ask('admin', 'GET', '/v2/model/info?size=1000'),
      office.ask('vic', 'GET', '/model_group/info'),
      office.ask('admin', 'GET', `/credentials/by_model/${made.body['model_id']}`),
      office.ask('vic', 'GET', '/config/yaml'),
    ])
    assert.ok(!JSON.stringify([made, ...told]).includes(canary))
    const [info] = told
    const row = list(info?.body['data'])
      .map(object)
      .find((one) => one['model_name'] === 'seen')
    assert.equal(object(row?.['model_info'])['db_model'], true)
    const rows = await office.store.db.query.selectFrom('model').selectAll().execute()
    assert.ok(rows.length > 0)
    assert.ok(!JSON.stringify(rows).includes(canary))
    assert.ok(!JSON.stringify(rows).includes(Buffer.from(canary).toString('base64').slice(0, -2)))
  })

  test('a variable is read when it is served, and named when it is not there', async () => {
    await office.ask(
      'admin',
      'POST',
      '/model/new',
      entry('env', { api_key: 'os.environ/FROM_ENV' }),
    )
    await call(office, 'kim', 'env')
    assert.equal(office.asked.at(-1)?.headers['authorization'], 'Bearer sk-env-0123456789abcdef')
    await office.ask(
      'admin',
      'POST',
      '/model/new',
      entry('unset', { api_key: 'os.environ/NOT_THERE' }),
    )
    assert.match(messageOf((await call(office, 'kim', 'unset')).body), /NOT_THERE/)
  })

  test('may be blocked for a while', async () => {
    await office.ask('admin', 'POST', '/model/new', entry('off', {}, { id: 'off-id' }))
    const blocked = await office.ask('admin', 'POST', '/model/block', { model_id: 'off-id' })
    assert.equal(object(blocked.body['model_info'])['blocked'], true)
    assert.match(messageOf((await call(office, 'kim', 'off')).body), /blocked/)
    await office.ask('admin', 'POST', '/model/unblock', { model_id: 'off-id' })
    assert.equal((await call(office, 'kim', 'off')).status, 200)
  })

  test('pages of models', async () => {
    const names = async (query: string) =>
      list((await office.ask('admin', 'GET', `/v2/model/info${query}`)).body['data'])
        .map(object)
        .map((one) => one['model_name'])
    const all = await names('?sortBy=model_name')
    assert.deepEqual(all, [...all].sort())
    assert.deepEqual(
      [
        ...(await names('?sortBy=model_name&size=2')),
        ...(await names('?sortBy=model_name&size=2&page=2')),
      ],
      all.slice(0, 4),
    )
    assert.deepEqual(await names('?search=GPT-'), ['gpt-a', 'gpt-b'])
    assert.deepEqual(await names('?modelId=dep-a'), ['gpt-a'])
  })

  const wrong: [
    name: string,
    method: string,
    path: string,
    body: JsonObject,
    status: number,
    said: RegExp,
  ][] = [
    ['no name', 'POST', '/model/new', { litellm_params: { model: 'openai/x' } }, 422, /model_name/],
    ['no parameters', 'POST', '/model/new', { model_name: 'x' }, 422, /litellm_params/],
    ['no model', 'POST', '/model/new', { model_name: 'x', litellm_params: {} }, 422, /model/],
    ['an empty name', 'POST', '/model/new', entry(''), 422, /model_name/],
    ['a name too long', 'POST', '/model/new', entry('x'.repeat(256)), 422, /255/],
    [
      'a provider nobody knows',
      'POST',
      '/model/new',
      { model_name: 'x', litellm_params: { model: 'nowhere/x' } },
      400,
      /nowhere/,
    ],
    ['a wrong type', 'POST', '/model/new', entry('x', { rpm: 'many' }), 400, /rpm/],
    [
      'a negative price',
      'POST',
      '/model/new',
      entry('x', { input_cost_per_token: -1 }),
      400,
      /input_cost_per_token/,
    ],
    [
      'a credential that is none',
      'POST',
      '/model/new',
      entry('x', { litellm_credential_name: 'none' }),
      400,
      /none/,
    ],
    ['a team that is none', 'POST', '/model/new', entry('x', {}, { team_id: 'none' }), 400, /team/],
    ['an id that is none', 'POST', '/model/new', entry('x', {}, { id: 7 }), 400, /model_info.id/],
    ['a change of what is not there', 'PATCH', '/model/none/update', {}, 404, /none/],
    [
      'a change that is wrong',
      'PATCH',
      '/model/my-id/update',
      { litellm_params: { rpm: 'many' } },
      400,
      /rpm/,
    ],
    ['a change of no one', 'POST', '/model/update', { model_name: 'x' }, 400, /model_info.id/],
    ['a model of the file', 'POST', '/model/delete', { id: 'dep-a' }, 400, /config file/],
    ['a model that is not there', 'POST', '/model/delete', { id: 'none' }, 404, /none/],
    ['nothing to block', 'POST', '/model/block', {}, 422, /model_id/],
  ]
  for (const [name, method, path, body, status, said] of wrong)
    test(`is refused: ${name}`, async () => {
      const before = office.rooms.router
      const told = await office.ask('admin', method, path, body)
      assert.equal(told.status, status, messageOf(told.body))
      assert.match(messageOf(told.body), said)
      assert.ok(!JSON.stringify(told).includes(canary))
      assert.equal(office.rooms.router, before, 'what was served goes on')
    })

  test('only administrators change models', async () => {
    const routes: [method: string, path: string, body: JsonObject][] = [
      ['POST', '/model/new', entry('x')],
      ['PATCH', '/model/my-id/update', { model_name: 'y' }],
      ['POST', '/model/update', { model_name: 'y', model_info: { id: 'my-id' } }],
      ['POST', '/model/delete', { id: 'my-id' }],
      ['POST', '/model/delete', { id: 'none' }],
      ['POST', '/model/block', { model_id: 'my-id' }],
      ['POST', '/credentials', { credential_name: 'x', credential_values: { a: 'b' } }],
      ['POST', '/config/update', {}],
      ['POST', '/config/reload', {}],
    ]
    for (const who of ['kim', 'lee', 'vic', 'red'])
      for (const [method, path, body] of routes)
        assert.equal((await office.ask(who, method, path, body)).status, 403, `${who} ${path}`)
  })
})

describe('a model of a team', () => {
  test('is called by the name the team gave it, by the team alone', async () => {
    const of = entry('ours', {}, { team_id: 'red', id: 'ours-id' })
    const made = await office.ask('admin', 'POST', '/model/new', of)
    assert.equal(made.status, 200, messageOf(made.body))
    const group = String(made.body['model_name'])
    assert.notEqual(group, 'ours')
    assert.equal((await call(office, 'red', 'ours')).status, 200)
    for (const [who, model] of [
      ['blue', 'ours'],
      ['blue', group],
      ['blue', 'ours-id'],
      ['kim', group],
    ] as const)
      assert.notEqual((await call(office, who, model)).status, 200, `${who} ${model}`)
    const listed = async (who: string) =>
      list((await office.ask(who, 'GET', '/v1/models')).body['data'])
        .map((one) => object(one)['id'])
        .filter((name) => String(name).includes('ours'))
    assert.deepEqual(await listed('red'), ['ours'])
    assert.deepEqual(await listed('blue'), [])
    // What was open to the team stays open, and what was closed closed.
    assert.equal((await call(office, 'red', 'gpt-a')).status, 200)
    assert.equal((await call(office, 'red', 'gpt-b')).status, 403)

    const renamed = { model_name: 'hers', model_info: { id: 'ours-id' } }
    assert.equal((await office.ask('lee', 'POST', '/model/update', renamed)).status, 200)
    assert.equal((await call(office, 'red', 'hers')).status, 200)
    assert.notEqual((await call(office, 'red', 'ours')).status, 200)
    const moved = { model_info: { id: 'ours-id', team_id: 'blue' } }
    assert.equal((await office.ask('admin', 'POST', '/model/update', moved)).status, 400)
    assert.equal((await office.ask('lee', 'POST', '/model/delete', { id: 'ours-id' })).status, 200)
    assert.notEqual((await call(office, 'red', 'hers')).status, 200)
    const team = await office.store.docs.team.find('red')
    assert.deepEqual(team?.data['model_aliases'], {})
  })

  test("its administrator uses no credential and no address of the gateway's", async () => {
    const of = { team_id: 'red' }
    const added = await office.ask('lee', 'POST', '/model/new', entry('hers', {}, of))
    assert.equal(added.status, 200, messageOf(added.body))
    const refused: [params: JsonObject, said: RegExp][] = [
      [{ api_key: 'os.environ/FROM_ENV' }, /credentials/],
      [{ api_key: null }, /api_key/],
      [{ api_key: '' }, /api_key/],
      [{ api_base: 'http://169.254.169.254/v1' }, /api_base/],
      [{ extra_headers: { a: 'b' } }, /extra_headers/],
      [{ model: 'bedrock/anthropic.claude-3-haiku-20240307-v1:0' }, /environment/],
    ]
    for (const [params, said] of refused) {
      const told = await office.ask('lee', 'POST', '/model/new', entry('x', params, of))
      assert.equal(told.status, 403, JSON.stringify(params))
      assert.match(messageOf(told.body), said)
    }
    const other = await office.ask('lee', 'POST', '/model/new', entry('x', {}, { team_id: 'blue' }))
    assert.equal(other.status, 403)
    const id = String(added.body['model_id'])
    const later = { litellm_params: { api_base: 'http://127.0.0.1/v1' } }
    assert.equal((await office.ask('lee', 'PATCH', `/model/${id}/update`, later)).status, 403)
  })
})

describe('credentials', () => {
  const named = { litellm_credential_name: 'shared', api_key: null }
  test('are used by name, changed and forgotten at once, and never shown', async () => {
    const values = { api_key: canary, api_base: 'https://there.invalid/v1' }
    const said = {
      credential_name: 'shared',
      credential_values: values,
      credential_info: { about: 'ours' },
    }
    assert.equal((await office.ask('admin', 'POST', '/credentials', said)).status, 200)
    assert.equal((await office.ask('admin', 'POST', '/credentials', said)).status, 409)
    await office.ask('admin', 'POST', '/model/new', entry('by-name', named))
    await call(office, 'kim', 'by-name')
    const asked = office.asked.at(-1)
    assert.deepEqual(
      [asked?.url, asked?.headers['authorization']],
      ['https://there.invalid/v1/chat/completions', `Bearer ${canary}`],
    )
    const { body } = await office.ask('admin', 'GET', '/credentials')
    assert.deepEqual(body['credentials'], [
      {
        credential_name: 'shared',
        credential_values: { api_base: 'https://there.invalid/v1', api_key: '********' },
        credential_info: { about: 'ours' },
      },
    ])
    const { body: one } = await office.ask('admin', 'GET', '/credentials/by_name/shared')
    assert.equal(one['credential_name'], 'shared')
    const rows = await office.store.db.query.selectFrom('credential').selectAll().execute()
    assert.ok(!JSON.stringify([body, one, rows]).includes(canary))

    const other = { credential_values: { api_key: 'sk-other-0123456789abcdef' } }
    assert.equal((await office.ask('admin', 'PATCH', '/credentials/shared', other)).status, 200)
    await call(office, 'kim', 'by-name')
    const then = office.asked.at(-1)
    assert.deepEqual(
      [then?.url, then?.headers['authorization']],
      ['https://there.invalid/v1/chat/completions', 'Bearer sk-other-0123456789abcdef'],
    )
    assert.equal((await office.ask('admin', 'DELETE', '/credentials/shared')).status, 200)
    assert.equal((await office.ask('admin', 'DELETE', '/credentials/shared')).status, 404)
    assert.equal((await office.ask('admin', 'GET', '/credentials/by_name/shared')).status, 404)
  })

  test('of a model, and with slashes in the name', async () => {
    await office.ask('admin', 'POST', '/model/new', entry('source', {}, { id: 'source-id' }))
    const said = { credential_name: 'a/b c', model_id: 'source-id' }
    assert.equal((await office.ask('admin', 'POST', '/credentials', said)).status, 200)
    const { body } = await office.ask('admin', 'GET', '/credentials/by_name/a/b%20c')
    assert.deepEqual(body['credential_values'], { api_key: '********' })
    assert.equal((await office.ask('admin', 'DELETE', '/credentials/a/b%20c')).status, 200)
  })

  test('those of the file stay as they are; empty ones are none', async () => {
    const list = [{ credential_name: 'file', credential_values: { api_key: canary } }]
    const at = await opened({ credential_list: list })
    for (const [method, path, body] of [
      ['POST', '/credentials', { credential_name: 'file', credential_values: { api_key: 'x' } }],
      ['PATCH', '/credentials/file', {}],
      ['DELETE', '/credentials/file', {}],
      ['POST', '/credentials', { credential_name: 'empty' }],
    ] as const)
      assert.equal((await at.ask('admin', method, path, body)).status, 400, path)
  })
})

test('what another process writes is served when it is heard of, and what cannot be opened is left out', async () => {
  const at = await opened()
  await at.ask('admin', 'POST', '/model/new', entry('theirs', {}, { id: 'theirs-id' }))
  await at.store.write(async (tx) => {
    await tx.model.insert({
      id: 'foreign',
      columns: { alias: 'foreign' },
      data: { model_name: 'foreign', litellm_params: 'sealed:00000000:AAAA', model_info: {} },
    })
    await tx.model.update('theirs-id', (doc) => {
      doc.data['model_name'] = 'renamed'
    })
  })
  await at.rooms.live?.refresh()
  assert.equal((await call(at, 'kim', 'renamed')).status, 200)
  assert.equal((await call(at, 'kim', 'foreign')).status, 400)
  // It can still be taken out.
  assert.equal((await at.ask('admin', 'POST', '/model/delete', { id: 'foreign' })).status, 200)
})

test('a deployment that stays as it was keeps its rest and its open requests; a changed one starts anew', async () => {
  const at = await opened({ router_settings: { cooldown_time: 60, allowed_fails: 0 } })
  await at.ask('admin', 'POST', '/model/new', entry('calm', {}, { id: 'calm-id' }))
  const find = (id: string) => {
    const one = at.rooms.router.groups.all().find((deployment) => deployment.id === id)
    assert.ok(one)
    return one
  }
  const before = find('dep-a')
  const { health } = at.rooms.router
  health.started(before)
  health.started(find('calm-id'))
  await at.ask('admin', 'POST', '/model/new', entry('more'))
  assert.equal(find('dep-a'), before)
  assert.notEqual(at.rooms.router.health, health)
  assert.equal(at.rooms.router.health.inFlight(before), 1)
  health.ended(before, undefined)
  assert.equal(
    at.rooms.router.health.inFlight(before),
    0,
    'an answer begun before counts where it is counted now',
  )
  await at.ask('admin', 'PATCH', '/model/calm-id/update', { litellm_params: { rpm: 7 } })
  assert.equal(at.rooms.router.health.inFlight(find('calm-id')), 0)
})
