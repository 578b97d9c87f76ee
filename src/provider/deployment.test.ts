import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deployment } from '../call/upstream.test.ts'
import { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import type { AuthScheme } from './auth/auth.ts'
import { createDeployment, type Deployment, idOf, join, type Row } from './deployment.ts'
import { resolve } from './resolve.ts'

/** Where clients that speak Responses lead, and where all others do. */
const spoken: [
  model: string,
  params: JsonObject,
  info: JsonObject,
  own: string | undefined,
  usual: string,
][] = [
  [
    'openai/gpt-4o',
    {},
    {},
    'https://api.openai.com/v1/responses',
    'https://api.openai.com/v1/chat/completions',
  ],
  [
    'openai/gpt-4o',
    { use_chat_completions_api: true },
    {},
    undefined,
    'https://api.openai.com/v1/chat/completions',
  ],
  ['openai/responses/gpt-5.5', {}, {}, undefined, 'https://api.openai.com/v1/responses'],
  ['openai/o3-pro', {}, { mode: 'responses' }, undefined, 'https://api.openai.com/v1/responses'],
  [
    'openai/o3-pro',
    { use_chat_completions_api: true },
    { mode: 'responses' },
    undefined,
    'https://api.openai.com/v1/chat/completions',
  ],
  [
    'openai/m',
    { api_base: 'https://h/v1/chat/completions' },
    {},
    'https://h/v1/responses',
    'https://h/v1/chat/completions',
  ],
  [
    'azure/dep',
    { api_base: 'https://r.openai.azure.com', api_version: '2025-02-01-preview' },
    {},
    'https://r.openai.azure.com/openai/v1/responses',
    'https://r.openai.azure.com/openai/deployments/dep/chat/completions?api-version=2025-02-01-preview',
  ],
  [
    'azure/dep',
    { api_base: 'https://r.openai.azure.com/openai/v1' },
    {},
    'https://r.openai.azure.com/openai/v1/responses',
    'https://r.openai.azure.com/openai/v1/chat/completions',
  ],
  [
    'perplexity/sonar',
    {},
    {},
    'https://api.perplexity.ai/v1/responses',
    'https://api.perplexity.ai/chat/completions',
  ],
  ['groq/llama', {}, {}, undefined, 'https://api.groq.com/openai/v1/chat/completions'],
  ['anthropic/claude-opus-5', {}, {}, undefined, 'https://api.anthropic.com/v1/messages'],
]
for (const [model, params, info, own, usual] of spoken)
  test(`${model} ${JSON.stringify({ ...params, ...info })} and clients of Responses`, () => {
    const to = deployment({ model, ...params }, { info })
    assert.deepEqual([to.forClient['openai-responses']?.url.whole, to.url.whole], [own, usual])
  })

const gov = 'https://bedrock-mantle.us-gov-west-1.api.aws'
const east = 'https://bedrock-mantle.us-east-1.api.aws'
const mantle: [
  model: string,
  params: JsonObject,
  info: JsonObject,
  sent: string,
  own: string,
  usual: string,
][] = [
  [
    'us-gov-west-1/openai.gpt-oss-20b',
    {},
    {},
    'openai.gpt-oss-20b',
    `${gov}/v1/responses`,
    `${gov}/v1/chat/completions`,
  ],
  [
    'us-gov-west-1/deepseek.v3.1',
    {},
    {},
    'deepseek.v3.1',
    `${gov}/v1/chat/completions`,
    `${gov}/v1/chat/completions`,
  ],
  [
    'us-gov-west-1/anthropic.claude-opus-5-5',
    {},
    {},
    'anthropic.claude-opus-5-5',
    `${gov}/anthropic/v1/messages`,
    `${gov}/anthropic/v1/messages`,
  ],
  [
    'us-gov-west-1/google.gemma-4-31b',
    { aws_region_name: 'us-east-1' },
    {},
    'google.gemma-4-31b',
    `${east}/openai/v1/responses`,
    `${east}/openai/v1/chat/completions`,
  ],
  [
    'openai.gpt-5.4',
    {},
    {},
    'openai.gpt-5.4',
    `${east}/openai/v1/responses`,
    `${east}/openai/v1/chat/completions`,
  ],
  [
    'openai.gpt-5.4',
    {},
    { mode: 'responses' },
    'openai.gpt-5.4',
    `${east}/openai/v1/responses`,
    `${east}/openai/v1/responses`,
  ],
]
for (const [model, params, info, sent, own, usual] of mantle)
  test(`bedrock_mantle/${model} ${JSON.stringify({ ...params, ...info })} is asked where it is`, () => {
    const to = deployment({ model: `bedrock_mantle/${model}`, ...params }, { info })
    const { 'openai-responses': responses } = to.forClient
    assert.deepEqual([responses?.url.whole ?? own, to.url.whole], [own, usual])
    assert.equal(to.target.model, sent)
    if (own.endsWith('/responses')) assert.equal((responses ?? to).wire.id, 'openai-responses')
  })

const chat = '/chat/completions'
const urls: [base: string, path: string, query: Record<string, string> | undefined, url: string][] =
  [
    ['https://h/v1', chat, undefined, 'https://h/v1/chat/completions'],
    ['https://h/v1/', chat, undefined, 'https://h/v1/chat/completions'],
    ['https://h/v1///', chat, undefined, 'https://h/v1/chat/completions'],
    ['https://h', chat, undefined, 'https://h/chat/completions'],
    ['https://h/v1/chat/completions', chat, undefined, 'https://h/v1/chat/completions'],
    ['https://h/v1/chat/completions/', chat, undefined, 'https://h/v1/chat/completions'],
    ['https://h/deep/path', chat, undefined, 'https://h/deep/path/chat/completions'],
    ['https://h/v1?a=b', chat, undefined, 'https://h/v1/chat/completions?a=b'],
    ['https://h/v1/?a=b', chat, undefined, 'https://h/v1/chat/completions?a=b'],
    ['https://h/v1/chat/completions?a=b', chat, undefined, 'https://h/v1/chat/completions?a=b'],
    ['https://h/v1?sig=a%2Bb%3D', chat, undefined, 'https://h/v1/chat/completions?sig=a%2Bb%3D'],
    ['https://h/v1?', chat, undefined, 'https://h/v1/chat/completions'],
    ['https://h', '/v1/messages', undefined, 'https://h/v1/messages'],
    ['https://h/v1', '/v1/messages', undefined, 'https://h/v1/messages'],
    ['https://h/v1/', '/v1/messages', undefined, 'https://h/v1/messages'],
    ['https://h/v1/messages', '/v1/messages', undefined, 'https://h/v1/messages'],
    ['https://h/myv1', '/v1/messages', undefined, 'https://h/myv1/v1/messages'],
    ['https://h/v1', '/models/m:stream?alt=sse', undefined, 'https://h/v1/models/m:stream?alt=sse'],
    [
      'https://h/v1?key=k',
      '/models/m:stream?alt=sse',
      undefined,
      'https://h/v1/models/m:stream?key=k&alt=sse',
    ],
    ['https://h/v1', chat, { 'api-version': '1' }, 'https://h/v1/chat/completions?api-version=1'],
    [
      'https://h/v1?api-version=2',
      chat,
      { 'api-version': '1' },
      'https://h/v1/chat/completions?api-version=2',
    ],
    ['http://127.0.0.1:8000/v1', chat, undefined, 'http://127.0.0.1:8000/v1/chat/completions'],
  ]
for (const [base, path, query, url] of urls)
  test(`${base} and ${path}${query ? ` with ${JSON.stringify(query)}` : ''}`, () =>
    assert.equal(join(base, path, query), url))

const keys: [
  name: string,
  params: JsonObject,
  unset: Record<string, string>,
  env: Record<string, string>,
  authorization: string | undefined,
  problem: RegExp | undefined,
][] = [
  [
    'of the row',
    { api_key: 'sk-row' },
    {},
    { OPENAI_API_KEY: 'sk-env' },
    'Bearer sk-row',
    undefined,
  ],
  [
    'of the environment',
    { api_key: undefined },
    {},
    { OPENAI_API_KEY: 'sk-env' },
    'Bearer sk-env',
    undefined,
  ],
  ['none', { api_key: undefined }, {}, {}, undefined, /no API key. Set OPENAI_API_KEY/],
  [
    'none, at an address of its own',
    { api_key: undefined, api_base: 'http://h/v1' },
    {},
    {},
    undefined,
    undefined,
  ],
  [
    'an empty one is none, and none is taken from the environment',
    { api_key: '', api_base: 'http://h/v1' },
    {},
    { OPENAI_API_KEY: 'sk-env' },
    undefined,
    undefined,
  ],
  [
    'one that should have come from the environment is never replaced',
    { api_key: undefined },
    { api_key: 'MY_KEY' },
    { OPENAI_API_KEY: 'sk-env' },
    undefined,
    /os\.environ\/MY_KEY/,
  ],
  [
    "a header of the row's own is meant",
    { extra_headers: { Authorization: 'Basic x' } },
    {},
    {},
    'Basic x',
    undefined,
  ],
]
for (const [name, params, unset, env, authorization, problem] of keys)
  test(`key: ${name}`, () => {
    const made = deployment(params, { unset }, env)
    assert.equal(made.headers['authorization'], authorization)
    if (problem) assert.match(made.problem?.message ?? '', problem)
    else assert.equal(made.problem, undefined)
    if (problem) assert.equal(made.problem?.kind, 'authentication')
  })

type Address = [
  name: string,
  params: JsonObject,
  env: Record<string, string>,
  url: string | undefined,
]
const addresses: Address[] = [
  [
    'an agent’s own host',
    { model: 'gradient_ai/m', api_key: 'k' },
    { GRADIENT_AI_AGENT_ENDPOINT: 'https://a.agents.do-ai.run' },
    'https://a.agents.do-ai.run/api/v1/chat/completions',
  ],
  ["the provider's", {}, {}, 'https://api.openai.com/v1/chat/completions'],
  [
    'of the environment',
    {},
    { OPENAI_BASE_URL: 'https://env/v1' },
    'https://env/v1/chat/completions',
  ],
  [
    'of the row',
    { api_base: 'https://row/v1' },
    { OPENAI_BASE_URL: 'https://env/v1' },
    'https://row/v1/chat/completions',
  ],
  [
    'of the row by its other name',
    { base_url: 'https://row/v1' },
    {},
    'https://row/v1/chat/completions',
  ],
  ['none', { model: 'hosted_vllm/m' }, {}, undefined],
]
for (const [name, params, env, url] of addresses)
  test(`address: ${name}`, () => {
    const made = deployment(params, {}, env)
    if (url === undefined) assert.match(made.problem?.message ?? '', /no address\. Set api_base/)
    else assert.deepEqual([made.url.whole, made.problem], [url, undefined])
  })

const azure: [params: JsonObject, env: Record<string, string>, url: string][] = [
  [{ api_version: 'v1' }, {}, '/openai/v1/chat/completions'],
  [
    { api_version: 'latest', api_base: 'https://x.example/openai/' },
    {},
    '/openai/v1/chat/completions',
  ],
  [{}, { AZURE_API_VERSION: 'preview' }, '/openai/v1/chat/completions'],
  [{ api_base: 'https://x.example/openai/v1' }, {}, '/openai/v1/chat/completions'],
  [
    { api_version: '2024-10-21' },
    { AZURE_API_VERSION: 'preview' },
    '/openai/deployments/d/chat/completions?api-version=2024-10-21',
  ],
]
test("Azure's v1 API is known by its base, or by a version that is no date", () => {
  for (const [params, env, url] of azure) {
    const row = { model: 'azure/d', api_key: 'k', api_base: 'https://x.example', ...params }
    assert.equal(deployment(row, {}, env).url.whole, `https://x.example${url}`)
  }
})

const fields: [params: JsonObject, info: JsonObject, seen: Partial<Deployment>][] = [
  [
    {},
    {},
    {
      timeout: undefined,
      weight: undefined,
      order: undefined,
      maxParallel: undefined,
      retries: undefined,
      tags: [],
      dropKeys: [],
      dropPaths: [],
      mock: undefined,
      extraBody: undefined,
    },
  ],
  [
    {
      timeout: 5,
      stream_timeout: '2.5',
      num_retries: 0,
      weight: '3',
      rpm: 9,
      tpm: 8,
      order: 1,
      max_parallel_requests: 4,
      cooldown_time: 0,
    },
    {},
    {
      timeout: 5,
      streamTimeout: 2.5,
      retries: 0,
      weight: 3,
      rpm: 9,
      tpm: 8,
      order: 1,
      maxParallel: 4,
      cooldownSeconds: 0,
    },
  ],
  [
    { request_timeout: 6, max_retries: 2 },
    { cooldown_time: 7 },
    { timeout: 6, retries: 2, cooldownSeconds: 7 },
  ],
  [
    { timeout: 'soon', weight: null, order: ' ' },
    {},
    { timeout: undefined, weight: undefined, order: undefined },
  ],
  [{ tags: ['a', 1] }, {}, { tags: ['a'] }],
  [
    { additional_drop_params: ['user', 'a.b', 'tools[*].x', 3] },
    {},
    { dropKeys: ['user'], dropPaths: ['a.b', 'tools[*].x'] },
  ],
  [{ extra_body: { a: 1 } }, {}, { extraBody: { a: 1 } }],
  [{ extra_body: 'x' }, {}, { extraBody: undefined }],
]
for (const [params, info, seen] of fields)
  test(`row ${JSON.stringify([params, info])}`, () => {
    const made = deployment(params, { info })
    for (const [key, value] of Object.entries(seen))
      assert.deepEqual(made[key as keyof Deployment], value, key) // its own keys
  })

const drops: [params: JsonObject, drop: boolean][] = [
  [{}, false],
  [{ drop_params: true }, true],
  [{ drop_params: 'True' }, true],
  [{ drop_params: 'no' }, false],
  [{ drop_params: null }, false],
]
for (const [params, drop] of drops)
  test(`drop_params of ${JSON.stringify(params)}`, () =>
    assert.equal(deployment(params).target.dropParams, drop))

test("headers: the content type, the provider's, the row's, in lower case", () => {
  const made = deployment({
    organization: 'org',
    extra_headers: { 'X-A': 'b', 'X-N': 5, 'X-O': {} },
  })
  assert.deepEqual(made.headers, {
    'content-type': 'application/json',
    'openai-organization': 'org',
    'x-a': 'b',
    'x-n': '5',
    authorization: 'Bearer sk-1234567890',
  })
})

test('a mock is never a problem and speaks openai-chat', () => {
  for (const params of [
    { model: 'mock/x' },
    { mock_response: 'x', api_key: undefined },
    { model: 'anthropic/claude-x', mock_response: 'x' },
  ]) {
    const made = deployment(params)
    assert.deepEqual(
      [made.problem, made.wire.id, made.mock !== undefined],
      [undefined, 'openai-chat', true],
    )
  }
})

test('a model nobody knows is a problem that says so', () => {
  const made = deployment({ model: 'nonsense' })
  assert.ok(GatewayError.is(made.problem))
  assert.notEqual(made.problem.message, '')
})

test('a scheme gives the way to sign, its secrets and its problems', () => {
  const row: Row = {
    modelName: 'g',
    params: { model: 'bedrock/anthropic.claude-x' },
    defaults: {},
    prices: {},
    info: {},
    unset: {},
  }
  const deps = (schemes: Record<string, AuthScheme>) => ({
    env: () => undefined,
    resolve: (model: string, custom: string | undefined) => resolve(model, custom),
    infoOf: () => ({}),
    dropParams: false,
    modifyParams: false,
    schemes,
  })
  assert.match(
    createDeployment(row, deps({}), 'id').problem?.message ?? '',
    /credentials are not offered by this build/,
  )
  const problem = new GatewayError('authentication', 'no region')
  const authorize = () => {}
  const spoken = { open: () => ({ authorize, secrets: ['secret-0123456789'], problem }) }
  const made = createDeployment(row, deps(new Proxy({}, { get: () => spoken })), 'id')
  assert.equal(made.authorize, authorize)
  assert.ok(made.secrets.includes('secret-0123456789'))
})

const base: Row = {
  modelName: 'g',
  params: { model: 'openai/x', api_base: 'https://h', rpm: 5, extra_headers: { a: '1' } },
  defaults: { temperature: 1 },
  prices: {},
  info: {},
  unset: {},
}
const changed = (params: JsonObject): Row => ({ ...base, params: { ...base.params, ...params } })

test('an id is the same for the same row, whatever order its keys are in', () => {
  assert.match(idOf(base), /^[0-9a-f]{32}$/)
  const turned: Row = {
    ...base,
    params: { extra_headers: { a: '1' }, rpm: 5, api_base: 'https://h', model: 'openai/x' },
  }
  assert.equal(idOf(turned), idOf(base))
})

test('rotating a credential keeps the id', () => {
  for (const params of [
    { api_key: 'a' },
    { aws_secret_access_key: 'b' },
    { extra_headers: { a: '1', authorization: 'c' } },
  ])
    assert.equal(idOf(changed(params)), idOf(base), JSON.stringify(params))
})

test('another row has another id', () => {
  const ids = [
    base,
    { ...base, modelName: 'h' },
    changed({ model: 'openai/y' }),
    changed({ api_base: 'https://i' }),
    changed({ rpm: 6 }),
    changed({ extra_headers: { a: '2' } }),
    { ...base, defaults: { temperature: 0 } },
  ].map(idOf)
  assert.equal(new Set(ids).size, ids.length)
})

test('law: ids of many rows do not meet', () => {
  const seen = new Map<string, string>()
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.nat(), (name, model, rpm) => {
      const row: Row = { ...base, modelName: name, params: { model, rpm } }
      const id = idOf(row)
      const said = JSON.stringify([name, model, rpm])
      assert.equal(seen.get(id) ?? said, said)
      seen.set(id, said)
    }),
    { numRuns: 1500 },
  )
})

for (const [model, unsupported] of [
  ['azure/o_series/mine', true],
  ['azure/gpt5_series/mine', true],
  ['azure/mine', false],
] as const)
  test(`${model}: ${unsupported ? 'the prefix says what the name does not' : 'nothing says what it is'}`, () => {
    const { target, url } = deployment({ model, api_base: 'https://mine.openai.azure.com' })
    assert.equal(target.model, 'mine')
    assert.equal(target.quirks.maxTokensField === 'max_completion_tokens', unsupported)
    assert.match(url.whole, /\/openai\/deployments\/mine\/chat\/completions/)
  })
