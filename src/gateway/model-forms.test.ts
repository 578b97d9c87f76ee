import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { provider } from '../call/upstream.test.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { door, jsonOf } from './visit.test.ts'

const at = door(
  {
    models: {
      gpt: {
        model_info: { max_input_tokens: 1000, max_output_tokens: 50, supports_reasoning: true },
      },
      'org/embed': { model_info: { mode: 'embedding', max_input_tokens: 8192 } },
      claude: { model_info: { display_name: 'Claude' } },
    },
  },
  provider(),
)
const get = async (path: string, headers: Record<string, string> = {}, query = '') => {
  const out = await at.visit({ method: 'GET', path, query, headers })
  return { status: out.status, body: await jsonOf(out) }
}
const anthropic = { 'anthropic-version': '2023-06-01' }
const google = { 'x-goog-api-key': 'sk-master-0123456789' }
const ids = (body: JsonObject): unknown[] => list(body['data']).map((one) => object(one)['id'])
const names = (body: JsonObject): unknown[] =>
  list(body['models']).map((one) => object(one)['name'])

test('Anthropic’s clients get Anthropic’s list, at every path', async () => {
  for (const path of ['/v1/models', '/models', '/anthropic/v1/models']) {
    const { body } = await get(path, anthropic, 'limit=1000')
    deepEqual(ids(body), ['gpt', 'org/embed', 'claude'])
    equal(body['has_more'], false)
    const [first, , last] = list(body['data']).map(object)
    deepEqual(first, {
      type: 'model',
      id: 'gpt',
      display_name: 'gpt',
      created_at: '2023-02-28T18:56:42.000Z',
      max_input_tokens: 1000,
      max_tokens: 50,
    })
    equal(last?.['display_name'], 'Claude')
  }
  equal((await get('/v1/models', {})).body['object'], 'list', 'and others OpenAI’s')
})

test('its pages: after an id, before an id, and whether there is more', async () => {
  const page = async (query: string) => {
    const { body } = await get('/v1/models', anthropic, query)
    return [ids(body), body['has_more'], body['first_id'], body['last_id']]
  }
  deepEqual(await page('limit=2'), [['gpt', 'org/embed'], true, 'gpt', 'org/embed'])
  deepEqual(await page('limit=2&after_id=org/embed'), [['claude'], false, 'claude', 'claude'])
  deepEqual(await page('limit=1&before_id=claude'), [['org/embed'], true, 'org/embed', 'org/embed'])
  deepEqual(await page('before_id=gpt'), [[], false, null, null])
  for (const bad of ['limit=0', 'limit=x', 'after_id=nobody'])
    equal((await get('/anthropic/v1/models', {}, bad)).status, 400, bad)
})

test('Google’s clients get Google’s list', async () => {
  for (const [path, headers] of [
    ['/v1beta/models', {}],
    ['/v1/models', google],
  ] as const) {
    const { body } = await get(path, headers)
    deepEqual(names(body), ['models/gpt', 'models/org/embed', 'models/claude'])
    deepEqual(list(body['models'])[0], {
      name: 'models/gpt',
      baseModelId: 'gpt',
      version: '001',
      displayName: 'gpt',
      description: '',
      inputTokenLimit: 1000,
      outputTokenLimit: 50,
      supportedGenerationMethods: ['generateContent', 'countTokens'],
      thinking: true,
    })
    deepEqual(object(list(body['models'])[1])['supportedGenerationMethods'], ['embedContent'])
  }
})

test('its pages go on where the last one ended', async () => {
  const { body } = await get('/v1beta/models', {}, 'pageSize=2')
  deepEqual(names(body), ['models/gpt', 'models/org/embed'])
  const next = await get('/v1beta/models', {}, `pageSize=2&pageToken=${body['nextPageToken']}`)
  deepEqual(names(next.body), ['models/claude'])
  equal('nextPageToken' in next.body, false)
  equal((await get('/v1beta/models', {}, 'pageToken=-1')).status, 400)
})

test('one model in each form, slashes and all; an unknown one in the dialect that asked', async () => {
  equal((await get('/v1/models/org/embed', anthropic)).body['type'], 'model')
  equal((await get('/anthropic/v1/models/gpt')).body['id'], 'gpt')
  equal((await get('/v1beta/models/org/embed')).body['name'], 'models/org/embed')
  equal((await get('/v1/models/gpt', google)).body['name'], 'models/gpt')
  const claudes = await get('/anthropic/v1/models/nobody')
  deepEqual([claudes.status, claudes.body['type']], [404, 'error'])
  const googles = await get('/v1beta/models/nobody')
  deepEqual([googles.status, object(googles.body['error'])['status']], [404, 'NOT_FOUND'])
})
