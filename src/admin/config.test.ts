import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readConfig } from '../config/schema.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { accountOf, setSpend } from '../store/accounts.ts'
import { configRoutes } from './config.ts'
import type { FileRead } from './live.ts'
import { modelHubRoutes } from './model-hub.ts'
import { modelRoutes } from './models.ts'
import { type Office, openOffice } from './office.test.ts'

const canary = 'sk-CANARY-0123456789abcdef'
const opened = (config: JsonObject = {}, serving: Parameters<typeof openOffice>[2] = {}) =>
  openOffice([...configRoutes, ...modelHubRoutes, ...modelRoutes], config, serving)
const messageOf = (body: JsonObject) => String(object(body['error'])['message'])
const call = (office: Office, who: string, model: string) =>
  office.ask(who, 'POST', '/v1/chat/completions', {
    model,
    messages: [{ role: 'user', content: 'hi' }],
  })

const office = await opened({
  litellm_settings: { num_retries: 3, drop_params: true },
  general_settings: { alerting: ['slack'] },
})
await office.person('kim')
await office.person('vic', 'proxy_admin_viewer')

describe('settings changed while serving', () => {
  const update = (body: JsonObject) => office.ask('admin', 'POST', '/config/update', body)
  const settings = () => office.rooms.router.settings

  test('hold at once, over those of the file, key by key', async () => {
    const router_settings = { num_retries: 7, model_group_alias: { other: 'gpt-a' } }
    const { status, body } = await update({ router_settings })
    assert.deepEqual([status, body['message']], [200, 'Config updated successfully'])
    assert.equal(settings().retries, 7)
    assert.equal((await call(office, 'kim', 'other')).status, 200)
    await update({ router_settings: { num_retries: null } })
    assert.equal(settings().retries, 3, "the file's again")
    assert.deepEqual(Object.keys(settings().aliases), ['other'])
    await update({ general_settings: { completion_model: 'gpt-b' } })
    assert.equal(office.rooms.settings.completionModel, 'gpt-b')
    await update({ general_settings: { completion_model: null } })
    assert.equal(office.rooms.settings.completionModel, undefined)
    assert.equal(office.rooms.live?.config.settings.drop_params, true)
  })

  test('what takes a restart, and what is without effect, is said', async () => {
    const { body } = await update({ general_settings: { litellm_key_header_name: 'X-Mine' } })
    assert.deepEqual(body['restart_required'], ['general_settings.litellm_key_header_name'])
    const { body: odd } = await update({ litellm_settings: { num_retrys: 2 } })
    assert.match(String(list(odd['warnings'])), /num_retries/)
    await update({ litellm_settings: { num_retrys: null } })
  })

  test('variables are used, kept sealed and shown to nobody', async () => {
    await office.ask('admin', 'POST', '/model/new', {
      model_name: 'keyless',
      litellm_params: { model: 'openai/x' },
    })
    assert.match(messageOf((await call(office, 'kim', 'keyless')).body), /OPENAI_API_KEY/)
    const { status } = await update({ environment_variables: { OPENAI_API_KEY: canary } })
    assert.equal(status, 200)
    assert.equal((await call(office, 'kim', 'keyless')).status, 200)
    assert.equal(office.asked.at(-1)?.headers['authorization'], `Bearer ${canary}`)
    await update({ general_settings: { alerting_args: { api_key: canary, every: 3 } } })
    const rows = await office.store.db.query.selectFrom('setting').selectAll().execute()
    const told = await Promise.all([
      office.ask('vic', 'GET', '/config/yaml'),
      office.ask('vic', 'GET', '/config/list'),
      office.ask('vic', 'GET', '/get/config/callbacks'),
    ])
    assert.ok(!JSON.stringify([rows, told]).includes(canary))
    assert.equal(object(office.rooms.live?.config.general.alerting_args)['every'], 3)
    await update({ environment_variables: { OPENAI_API_KEY: null } })
    assert.match(messageOf((await call(office, 'kim', 'keyless')).body), /OPENAI_API_KEY/)
  })

  test('callbacks are added to those there are', async () => {
    await update({ litellm_settings: { success_callback: ['langfuse'] } })
    await update({ litellm_settings: { success_callback: ['datadog', 'langfuse'] } })
    const { body } = await office.ask('vic', 'GET', '/get/config/callbacks')
    assert.deepEqual(
      list(body['callbacks']).map((one) => [object(one)['name'], object(one)['type']]),
      [
        ['langfuse', 'success'],
        ['datadog', 'success'],
      ],
    )
    assert.deepEqual(list(body['alerts']), [{ name: 'slack', variables: {} }])
    const remove = (callback_name: string, who = 'admin') =>
      office.ask(who, 'POST', '/config/callback/delete', { callback_name })
    assert.equal((await remove('langfuse', 'vic')).status, 403)
    assert.equal((await remove('nobody')).status, 404)
    assert.deepEqual((await remove('Langfuse')).body['remaining_callbacks'], ['datadog'])
    assert.deepEqual(office.rooms.live?.config.settings.success_callback, ['datadog'])
    assert.deepEqual((await remove('datadog')).body['remaining_callbacks'], [])
  })

  const wrong: [name: string, body: JsonObject, said: RegExp][] = [
    ['a wrong type', { router_settings: { num_retries: 'many' } }, /num_retries/],
    ['a wrong section', { model_list: [] }, /model_list.*model\/new/],
    ['the key of administrators', { general_settings: { master_key: canary } }, /master_key/],
    ['the database', { general_settings: { database_url: canary } }, /database_url/],
    [
      'a variable programs are started by',
      { environment_variables: { NODE_OPTIONS: 'x' } },
      /NODE_OPTIONS/,
    ],
    ['a variable that is none', { environment_variables: { 'a b': 'x' } }, /a b/],
    [
      'a variable that is a map',
      { environment_variables: { A: { b: canary } } },
      /A: expected text/,
    ],
    ['code that decides who gets in', { general_settings: { custom_auth: 'x.y' } }, /custom_auth/],
  ]
  for (const [name, body, said] of wrong)
    test(`are refused: ${name}`, async () => {
      const before = office.rooms.router
      const told = await update(body)
      assert.equal(told.status, 400)
      assert.match(messageOf(told.body), said)
      assert.ok(!JSON.stringify(told).includes(canary))
      assert.equal(office.rooms.router, before)
    })
})

describe('one setting at a time', () => {
  const field = { field_name: 'completion_model' }
  const info = () => office.ask('vic', 'GET', '/config/field/info?field_name=completion_model')
  test('written, read, listed, taken back', async () => {
    assert.deepEqual((await info()).body, { ...field, field_value: null, stored_in_db: false })
    const sent = { ...field, field_value: 'gpt-b', config_type: 'general_settings' }
    const told = await office.ask('admin', 'POST', '/config/field/update', sent)
    assert.deepEqual([told.status, told.body['field_value']], [200, 'gpt-b'])
    assert.equal(office.rooms.settings.completionModel, 'gpt-b')
    assert.deepEqual((await info()).body, { ...field, field_value: 'gpt-b', stored_in_db: true })
    const { list: all } = await office.ask(
      'vic',
      'GET',
      '/config/list?config_type=general_settings',
    )
    const found = all.map(object).find((one) => one['field_name'] === 'completion_model')
    assert.deepEqual(
      [found?.['field_value'], found?.['stored_in_db'], found?.['field_type']],
      ['gpt-b', true, 'String'],
    )
    assert.equal((await office.ask('admin', 'POST', '/config/field/delete', field)).status, 200)
    assert.equal(office.rooms.settings.completionModel, undefined)
    assert.equal((await office.ask('admin', 'POST', '/config/field/delete', field)).status, 400)
  })

  test('what is no setting is refused, and viewers change none', async () => {
    for (const [method, path] of [
      ['GET', '/config/field/info?field_name=nothing'],
      ['GET', '/config/field/info'],
      ['GET', '/config/list?config_type=colours'],
    ] as const)
      assert.ok([400, 422].includes((await office.ask('admin', method, path)).status), path)
    const odd = { field_name: 'nothing', field_value: 1 }
    assert.equal((await office.ask('admin', 'POST', '/config/field/update', odd)).status, 400)
    for (const who of ['vic', 'kim'])
      for (const path of [
        '/config/update',
        '/config/field/update',
        '/config/field/delete',
        '/config/reload',
      ])
        assert.equal((await office.ask(who, 'POST', path, {})).status, 403, path)
    assert.equal((await office.ask('kim', 'GET', '/config/yaml')).status, 403)
  })
})

test('public models and links', async () => {
  const groups = { model_groups: ['gpt-a'] }
  assert.equal((await office.ask('admin', 'POST', '/model_group/make_public', groups)).status, 200)
  assert.deepEqual(office.rooms.settings.said.settings['public_model_groups'], ['gpt-a'])
  const none = { model_groups: ['none'] }
  assert.equal((await office.ask('admin', 'POST', '/model_group/make_public', none)).status, 400)
  const links = { useful_links: { Docs: 'https://docs.invalid' } }
  assert.equal(
    (await office.ask('admin', 'POST', '/model_hub/update_useful_links', links)).status,
    200,
  )
  assert.deepEqual(
    office.rooms.settings.said.settings['public_model_groups_links'],
    links.useful_links,
  )
})

test('budgets of providers, with what they spent', async () => {
  const at = await opened({
    router_settings: { provider_budget_config: { openai: { budget_limit: 5, time_period: '1d' } } },
  })
  await at.store.write((tx) => setSpend(tx, accountOf.provider('openai'), 1_500_000_000))
  const { body } = await at.ask('admin', 'GET', '/provider/budgets')
  assert.deepEqual(body, {
    providers: {
      openai: { budget_limit: 5, time_period: '1d', spend: 1.5, budget_reset_at: null },
    },
  })
})

describe('the file read again', () => {
  const fileWith = (models: readonly string[], hash: string, more: JsonObject = {}): FileRead => {
    const read = readConfig({
      model_list: models.map((name) => ({
        model_name: name,
        litellm_params: { model: `openai/${name}`, api_key: 'sk-file-0123456789abcdef' },
        model_info: { id: name },
      })),
      ...more,
    })
    return { ...read, hash, environment: '' }
  }

  test('serves what it says now; what the database adds stays; errors change nothing', async () => {
    let next = fileWith(['one'], 'a')
    const at = await opened({}, { read: async () => next })
    await at.ask('admin', 'POST', '/model/new', {
      model_name: 'added',
      litellm_params: { model: 'openai/x', api_key: canary },
    })
    const reload = () => at.ask('admin', 'POST', '/config/reload')
    assert.deepEqual((await reload()).body, { status: 'success', changed: true })
    const one = at.rooms.router.groups.find('one')[0]
    assert.deepEqual(at.rooms.router.groups.names(), ['one', 'added'])
    assert.deepEqual((await reload()).body, { status: 'success', changed: false })
    next = fileWith(['one', 'two'], 'b', { litellm_settings: { num_retries: 9 } })
    await reload()
    assert.deepEqual(at.rooms.router.groups.names(), ['one', 'two', 'added'])
    assert.equal(at.rooms.router.settings.retries, 9)
    assert.equal(at.rooms.router.groups.find('one')[0], one, 'taken over as it was')
    next = fileWith(['three'], 'c', { router_settings: { num_retries: 'many' } })
    const told = await reload()
    assert.equal(told.status, 400)
    assert.match(messageOf(told.body), /num_retries/)
    assert.deepEqual(at.rooms.router.groups.names(), ['one', 'two', 'added'])
    // With another environment every credential is looked up again.
    next = { ...fileWith(['one', 'two'], 'b'), environment: 'other' }
    await reload()
    assert.notEqual(at.rooms.router.groups.find('one')[0], one)
  })

  test('there may be none', async () => {
    const told = await office.ask('admin', 'POST', '/config/reload')
    assert.equal(told.status, 400)
    assert.match(messageOf(told.body), /config file/)
  })
})
