import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Prices } from '../gateway/prices.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { createCatalogue } from '../provider/catalogue.ts'
import { noon, openOffice } from './office.test.ts'
import { priceRoutes } from './prices.ts'

const office = await openOffice(priceRoutes, {
  models: {
    ended: { model_info: { deprecation_date: '2026-01-13' } },
    ending: { model_info: { deprecation_date: '2026-02-01' } },
    'not soon': { model_info: { deprecation_date: '2027-01-01' } },
    'some day': { model_info: { deprecation_date: 'when the cows come home' } },
    stays: {},
  },
})
office.rooms.catalogue = async () =>
  createCatalogue({
    'gpt-4o': {
      litellm_provider: 'openai',
      mode: 'chat',
      input_cost_per_token: 2.5e-6,
      supports_function_calling: true,
    },
  })
await office.person('kim')
await office.person('vic', 'proxy_admin_viewer')

test('models that end, by how soon', async () => {
  const names = (body: JsonObject, of: string) =>
    list(body[of]).map((one) => [object(one)['model_name'], object(one)['days_until_deprecation']])
  const { status, body } = await office.ask('kim', 'GET', '/model/deprecations')
  assert.equal(status, 200)
  assert.deepEqual(names(body, 'deprecated'), [['ended', -1]])
  assert.deepEqual(names(body, 'imminent'), [['ending', 18]])
  assert.deepEqual(names(body, 'upcoming'), [['not soon', 352]])
  const { body: narrow } = await office.ask(
    'vic',
    'GET',
    '/v1/model/deprecations?warn_within_days=3',
  )
  assert.deepEqual(names(narrow, 'imminent'), [])
  assert.equal(
    (await office.ask('kim', 'GET', '/model/deprecations?warn_within_days=x')).status,
    422,
  )
})

test('what the list says of a model, by any of its names', async () => {
  for (const query of [
    'model=gpt-4o',
    'model=openai/gpt-4o',
    'model=gpt-4o&custom_llm_provider=openai',
    'model=openai/gpt-4o&custom_llm_provider=openai',
  ]) {
    const { status, body } = await office.ask('kim', 'GET', `/utils/model_info?${query}`)
    assert.equal(status, 200, query)
    assert.equal(body['custom_llm_provider'], 'openai')
    const info = object(body['model_info'])
    assert.equal(info['key'], 'gpt-4o')
    assert.ok(Number(info['input_cost_per_token']) > 0)
    assert.ok(list(info['supported_openai_params']).includes('tools'))
  }
  for (const query of ['model=no-such-model', 'model=gpt-4o&custom_llm_provider=anthropic'])
    assert.equal((await office.ask('kim', 'GET', `/utils/model_info?${query}`)).status, 404, query)
  assert.equal((await office.ask('kim', 'GET', '/utils/model_info')).status, 422)
})

test('prices are fetched anew by administrators, by the clock too, and viewers see when', async () => {
  let hours: number | undefined
  let fetched = 0
  const prices: Prices = {
    source: () => ({
      ...{ models: 7, etag: '"v1"', url: 'https://prices.example/list.json', localOnly: false },
      ...{ loadedAt: noon, lookedAt: fetched > 0 ? noon : undefined, problem: undefined },
    }),
    refresh: async () => void fetched++,
    setInterval: async (one) => void (hours = one),
    interval: async () => hours,
  }
  const path = '/schedule/model_cost_map_reload'
  assert.equal((await office.ask('admin', 'POST', '/reload/model_cost_map')).status, 503)
  office.rooms.prices = prices
  const { body } = await office.ask('admin', 'POST', '/reload/model_cost_map')
  assert.deepEqual([body['status'], body['models_count'], body['etag']], ['success', 7, '"v1"'])
  assert.equal((await office.ask('admin', 'POST', `${path}?hours=0`)).status, 400)
  assert.equal((await office.ask('admin', 'POST', path)).status, 422)
  assert.equal((await office.ask('admin', 'POST', `${path}?hours=6`)).body['interval_hours'], 6)
  const { body: told } = await office.ask('vic', 'GET', `${path}/status`)
  assert.deepEqual(
    [told['scheduled'], told['interval_hours'], told['last_run'], told['next_run']],
    [true, 6, '2026-01-14T12:00:00.000Z', '2026-01-14T18:00:00.000Z'],
  )
  assert.equal((await office.ask('admin', 'DELETE', path)).status, 200)
  assert.equal((await office.ask('vic', 'GET', `${path}/status`)).body['scheduled'], false)
  const { body: from } = await office.ask('vic', 'GET', '/model/cost_map/source')
  assert.deepEqual([from['source'], from['model_count']], ['remote', 7])
  for (const [method, one] of [
    ['POST', '/reload/model_cost_map'],
    ['POST', `${path}?hours=6`],
    ['DELETE', path],
  ] as const)
    assert.equal((await office.ask('vic', method, one)).status, 403, `${method} ${one}`)
  assert.equal((await office.ask('kim', 'GET', '/model/cost_map/source')).status, 403)
  assert.deepEqual([fetched, hours], [1, undefined])
})
