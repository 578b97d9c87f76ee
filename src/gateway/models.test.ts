import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, provider } from '../call/upstream.test.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { publicParams } from './models.ts'
import { door, jsonOf } from './visit.test.ts'

const canary = 'sk-canary-0123456789'
const at = door(
  {
    models: {
      a: {
        group: 'gpt',
        rpm: 5,
        tpm: 100,
        model_info: {
          mode: 'chat',
          max_input_tokens: 1000,
          max_output_tokens: 50,
          supports_vision: true,
          supports_reasoning: true,
          my_own: 'note',
          api_key: canary,
        },
      },
      b: {
        group: 'gpt',
        rpm: 7,
        model_info: { max_input_tokens: 2000, supports_function_calling: true },
      },
      c: {
        group: 'secretive',
        api_key: canary,
        api_base: `https://user:${canary}@upstream.invalid/v1?key=${canary}&v=1`,
        extra_headers: { 'x-corp': canary },
        headers: { 'x-corp': canary },
        extra_body: { token: canary },
        vertex_credentials: { private_key: canary },
        aws_secret_access_key: canary,
        odd: { client_secret: canary },
      },
      w: { group: 'openai/*', model: 'openai/*' },
    },
    router_settings: { model_group_alias: { nick: 'gpt', ghost: { model: 'gpt', hidden: true } } },
  },
  provider({ body: answer('hi') }),
)
const get = async (path: string, query = '') => {
  const out = await at.visit({ method: 'GET', path, query })
  return { status: out.status, body: await jsonOf(out) }
}
const rows = (body: JsonObject): JsonObject[] => list(body['data']).map(object)

test('the list: groups and visible aliases, no wildcards unless asked', async () => {
  const names = async (query = '') =>
    rows((await get('/v1/models', query)).body).map(({ id }) => id)
  assert.deepEqual(await names(), ['gpt', 'secretive', 'nick'])
  assert.ok((await names('return_wildcard_routes=true')).includes('openai/*'))
})

test('one model, with what clients show of it', async () => {
  const { body } = await get('/v1/models/gpt')
  assert.deepEqual(
    [
      body['id'],
      body['object'],
      body['created'],
      body['context_window'],
      body['max_output_tokens'],
      object(body['capabilities'])['vision'],
      object(body['capabilities'])['tools'],
      body['input_modalities'],
      body['reasoning'],
      body['pricing'],
    ],
    [
      'gpt',
      'model',
      1677610602,
      1000,
      50,
      true,
      false,
      ['text', 'image'],
      true,
      { prompt: 1e-6, completion: 2e-6 },
    ],
  )
  assert.equal((await get('/v1/models/nick')).body['id'], 'nick')
  assert.equal((await get('/v1/models/ghost')).status, 200, 'a hidden one is not listed but there')
  assert.equal((await get('/v1/models/openai/gpt-9')).body['id'], 'openai/gpt-9')
})

test('an unknown model', async () => {
  const { status, body } = await get('/v1/models/nope')
  const error = object(body['error'])
  assert.deepEqual(
    [status, error['message'], error['code']],
    [404, 'The model `nope` does not exist or is not accessible', 'model_not_found'],
  )
})

test('deployments of a group, summed', async () => {
  const { body } = await get('/model_group/info')
  const group = rows(body).find((row) => row['model_group'] === 'gpt') ?? {}
  assert.deepEqual(
    [
      group['rpm'],
      group['tpm'],
      group['max_input_tokens'],
      group['supports_vision'],
      group['supports_function_calling'],
      group['supports_web_search'],
      group['mode'],
      group['providers'],
    ],
    [12, 100, 2000, true, true, false, 'chat', ['openai']],
  )
  assert.equal(rows((await get('/model_group/info', 'model_group=gpt')).body).length, 1)
})

test('every deployment, with what was said of it', async () => {
  const all = rows((await get('/v1/model/info')).body)
  assert.deepEqual(
    all.map(({ model_name }) => model_name),
    ['gpt', 'gpt', 'secretive', 'openai/*'],
  )
  const info = object(all[0]?.['model_info'])
  assert.deepEqual(
    [info['id'], info['my_own'], info['max_input_tokens'], info['key']],
    ['a', 'note', 1000, 'gpt-x'],
  )
  assert.equal(rows((await get('/v1/model/info', 'litellm_model_id=b')).body).length, 1)
  assert.equal((await get('/v1/model/info', 'litellm_model_id=zz')).status, 400)
})

for (const path of [
  '/v1/models',
  '/v1/model/info',
  '/model_group/info',
  '/v1/models/secretive',
  '/health',
])
  test(`${path} shows no credential`, async () => {
    const { body } = await get(path)
    assert.doesNotMatch(JSON.stringify(body), /canary/)
  })

const shown: [params: JsonObject, out: JsonObject][] = [
  [
    { model: 'm', api_key: 'k', max_tokens: 5, input_cost_per_token: 1 },
    { model: 'm', max_tokens: 5, input_cost_per_token: 1 },
  ],
  [{ api_base: 'https://u:p@h.invalid/v1' }, { api_base: 'https://h.invalid/v1' }],
  [{ api_base: 'https://h.invalid/v1/?api_key=k&a=b' }, { api_base: 'https://h.invalid/v1/?a=b' }],
  [{ api_base: 'https://h.invalid' }, { api_base: 'https://h.invalid' }],
  [
    { deep: { password: 'p', urls: ['https://u:p@h.invalid/x'], ok: [1, null] } },
    { deep: { urls: ['https://h.invalid/x'], ok: [1, null] } },
  ],
]
for (const [params, out] of shown)
  test(`shown of ${JSON.stringify(params)}`, () => assert.deepEqual(publicParams(params), out))
