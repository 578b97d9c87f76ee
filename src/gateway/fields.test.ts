import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, hear } from '../call/upstream.test.ts'
import type { Json, JsonObject } from '../json/json.ts'
import {
  type Controls,
  type FieldRules,
  isPlainHeader,
  readControls,
  refuseUpstreamElsewhere,
} from './fields.ts'

const rules: FieldRules = {
  allowCredentials: false,
  allowedByRows: new Set(),
  allowMockTesting: false,
}
const read = (
  body: JsonObject,
  headers: Record<string, string> = {},
  more: Partial<FieldRules> = {},
): Controls => readControls(hear(body), { ...rules, ...more }, { header: (name) => headers[name] })
const plain = read({})

const refused =
  `api_base base_url api_key api_version user_config model_list litellm_credential_name azure_ad_token
  azure_ad_token_provider vertex_credentials vertex_project vertex_location vertex_ai_credentials vertex_ai_project
  vertex_ai_location aws_role_name aws_sts_endpoint aws_web_identity_token aws_profile_name aws_access_key_id
  aws_secret_access_key aws_session_token aws_session_name aws_bedrock_runtime_endpoint aws_external_id tenant_id
  client_id client_secret azure_username azure_password watsonx_token token_url proxy_url ssl_verify ssl_certificate
  langfuse_host langfuse_secret_key langfuse_public_key langsmith_api_key langsmith_base_url helicone_api_base
  s3_endpoint_url gcs_path_service_account_key slack_webhook_url datadog_api_key`.split(/\s+/)
for (const key of refused)
  test(`body: ${key} is refused, though the config may allow it`, () => {
    const never = key === 'model_list' || key === 'user_config'
    const wanted = {
      kind: 'authentication',
      status: 401,
      type: 'auth_error',
      param: key,
      message: new RegExp(`^Authentication Error, Rejected Request: ${key} is not allowed in`),
    }
    for (const value of ['x', null, {}]) assert.throws(() => read({ [key]: value }), wanted)
    for (const more of [{ allowCredentials: true }, { allowedByRows: new Set([key]) }]) {
      if (never) assert.throws(() => read({ [key]: 'x' }, {}, more), wanted)
      else {
        const controls = read({ [key]: 'x' }, {}, more)
        assert.deepEqual([controls.clientSide, controls.remove], [{ [key]: 'x' }, [key]])
        assert.deepEqual(read({ [key]: null }, {}, more).clientSide, {}, 'null brings nothing')
      }
    }
    assert.throws(() => read({ [key]: 'x' }, {}, { allowedByRows: new Set(['other']) }), wanted)
  })

for (const key of [
  'api_base',
  'base_url',
  'api_key',
  'model_list',
  'user_config',
  'aws_sts_endpoint',
])
  test(`query: ${key} is refused`, () => {
    assert.throws(() => refuseUpstreamElsewhere(`a=1&${key}=x`, []), {
      kind: 'authentication',
      param: key,
    })
    assert.throws(() => refuseUpstreamElsewhere(`${key.replace('_', '%5F')}`, []), { param: key })
  })
test('query: others are none of its business', () =>
  refuseUpstreamElsewhere('api-version=1&key=x', ['authorization']))

for (const [name, allowed] of [
  ['x-litellm-base-url', false],
  ['x-litellm-api-base', false],
  ['x-portkey-custom-host', false],
  ['x-helicone-target-url', false],
  ['x-throughway-upstream', false],
  ['x-litellm-tags', true],
  ['x-forwarded-host', true],
  ['x-base-url', true],
] as const)
  test(`header: ${name} is ${allowed ? 'let through' : 'refused'}`, () => {
    if (allowed) refuseUpstreamElsewhere('', [name])
    else
      assert.throws(() => refuseUpstreamElsewhere('', [name]), {
        kind: 'authentication',
        param: name,
      })
  })

const mocks: [key: string, refusedPlain: boolean][] = [
  ['mock_response', false],
  ['mock_tool_calls', false],
  ['mock_testing_fallbacks', true],
  ['mock_timeout', true],
  ['mock_delay', true],
  ['mock_anything', true],
]
for (const [key, refusedPlain] of mocks)
  test(`mock: ${key} ${refusedPlain ? 'is refused unless allowed' : 'goes nowhere'}`, () => {
    if (refusedPlain)
      assert.throws(() => read({ [key]: 1 }), {
        kind: 'bad_request',
        status: 400,
        param: key,
        message: /dangerously_allow_mock_testing_request_params/,
      })
    else assert.deepEqual(read({ [key]: 1 }).remove, [key])
    assert.deepEqual(read({ [key]: 1 }, {}, { allowMockTesting: true }).remove, [key])
    const asked = read({ [key]: true }, {}, { allowMockTesting: true })
    const fails = key === 'mock_testing_fallbacks'
    assert.equal(asked.failFirst?.kind, fails ? 'provider' : undefined)
  })

const controls: [
  name: string,
  body: JsonObject,
  headers: Record<string, string>,
  seen: Partial<Controls>,
][] = [
  ['nothing', { temperature: 1, top_k: 3, odd: 1, metadata_: 1 }, {}, {}],
  ['tags of the body', { tags: ['a', 1, 'b'] }, {}, { tags: ['a', 'b'], remove: ['tags'] }],
  [
    'tags of the metadata',
    { metadata: { tags: ['a'] } },
    {},
    { tags: ['a'], remove: ['metadata'] },
  ],
  [
    'tags of the other metadata',
    { litellm_metadata: { tags: ['a'] } },
    {},
    { tags: ['a'], remove: ['litellm_metadata'] },
  ],
  ['tags of a header', {}, { 'x-litellm-tags': 'a, b,,' }, { tags: ['a', 'b'] }],
  [
    'tags of everywhere',
    { tags: ['c'], metadata: { tags: ['d'] } },
    { 'x-litellm-tags': 'a' },
    { tags: ['a', 'c', 'd'], remove: ['tags', 'metadata'] },
  ],
  ['tags that are none', { tags: 'a', metadata: 'x' }, {}, { remove: ['tags', 'metadata'] }],
  [
    "metadata of what is to be stored is the provider's",
    { metadata: { a: 'b' }, store: true },
    {},
    {},
  ],
  ['timeout', { timeout: 5 }, {}, { timeoutSeconds: 5, remove: ['timeout'] }],
  ['timeout in a string', { timeout: '5.5' }, {}, { timeoutSeconds: 5.5, remove: ['timeout'] }],
  [
    'request_timeout',
    { request_timeout: 5 },
    {},
    { timeoutSeconds: 5, remove: ['request_timeout'] },
  ],
  [
    'timeout before request_timeout',
    { request_timeout: 5, timeout: 6 },
    {},
    { timeoutSeconds: 6, remove: ['request_timeout', 'timeout'] },
  ],
  [
    'timeout of a header',
    {},
    { 'x-litellm-timeout': '7', 'x-litellm-stream-timeout': '8' },
    { timeoutSeconds: 7, streamTimeoutSeconds: 8 },
  ],
  [
    'the body before the header',
    { timeout: 5, stream_timeout: 3 },
    { 'x-litellm-timeout': '7', 'x-litellm-stream-timeout': '8' },
    { timeoutSeconds: 5, streamTimeoutSeconds: 3, remove: ['timeout', 'stream_timeout'] },
  ],
  [
    'a timeout that is none',
    { timeout: 0, stream_timeout: -1, request_timeout: 'x' },
    { 'x-litellm-timeout': 'NaN' },
    { remove: ['timeout', 'stream_timeout', 'request_timeout'] },
  ],
  ['retries', { num_retries: 3 }, {}, { retries: 3, remove: ['num_retries'] }],
  ['retries: none', { num_retries: 0 }, {}, { retries: 0, remove: ['num_retries'] }],
  ['max_retries', { max_retries: 2 }, {}, { retries: 2, remove: ['max_retries'] }],
  ['retries of a header', {}, { 'x-litellm-num-retries': '4' }, { retries: 4 }],
  [
    'retries that are too many or none',
    { num_retries: 101, max_retries: 1.5 },
    { 'x-litellm-num-retries': '-1' },
    { remove: ['num_retries', 'max_retries'] },
  ],
  [
    'fallbacks',
    { fallbacks: ['a', { model: 'b', messages: [] }, 7] },
    {},
    { fallbacks: ['a', 'b'], remove: ['fallbacks'] },
  ],
  ['fallbacks that are none', { fallbacks: [] }, {}, { remove: ['fallbacks'] }],
  [
    'no fallbacks',
    { disable_fallbacks: true },
    {},
    { disableFallbacks: true, remove: ['disable_fallbacks'] },
  ],
  ['drop_params', { drop_params: true }, {}, { dropParams: true, remove: ['drop_params'] }],
  ['drop_params, odd', { drop_params: 'true' }, {}, { remove: ['drop_params'] }],
  ['extra_body', { extra_body: { a: 1 } }, {}, { remove: ['extra_body'] }],
  [
    'extra_headers',
    {
      extra_headers: {
        'X-A': 'b',
        Authorization: 'x',
        Host: 'x',
        'x-b': 'c\r\nd: e',
        'x c': 'd',
        'x-n': 1,
      },
    },
    {},
    { headers: { 'x-a': 'b' }, remove: ['extra_headers'] },
  ],
  [
    'other fields of its own',
    { caching: true, guardrails: [], 'no-log': true, prompt_id: 'p' },
    {},
    { remove: ['caching', 'guardrails', 'no-log', 'prompt_id'] },
  ],
]
for (const [name, body, headers, seen] of controls)
  test(`controls: ${name}`, () => assert.deepEqual(read(body, headers), { ...plain, ...seen }))

test("metadata of other dialects is the provider's", () => {
  const said = hear({ max_tokens: 1, metadata: { user_id: 'u' } }, 'anthropic')
  assert.deepEqual(readControls(said, rules, { header: () => undefined }).remove, [])
  assert.deepEqual(ask().remove, [])
})

const headers: [name: string, value: string, plain: boolean][] = [
  ['x-a', 'b', true],
  ['x-a', '', true],
  ['openai-organization', 'o', true],
  ['authorization', 'b', false],
  ['cookie', 'b', false],
  ['content-length', '5', false],
  ['transfer-encoding', 'chunked', false],
  ['x-a', 'b\nc', false],
  ['x-a', 'b\0', false],
  ['x-a', '世', false],
  ['x-a', 'é', true],
  ['x-a', 'x'.repeat(8193), false],
  ['X-A', 'b', false],
  ['x:a', 'b', false],
  ['', 'b', false],
]
for (const [name, value, is] of headers)
  test(`header ${JSON.stringify(name)}: ${JSON.stringify(value.slice(0, 20))} is ${is ? '' : 'not '}plain`, () =>
    assert.equal(isPlainHeader(name, value), is))

const lists: [field: string, value: Json, read: Partial<Controls>][] = [
  ['fallbacks', ['a', { model: 'b', messages: [] }], { fallbacks: ['a', 'b'] }],
  ['fallbacks', [{ group: ['a', 'b'] }], { fallbacks: ['a', 'b'] }],
  ['default_fallbacks', ['a'], { fallbacks: ['a'] }],
  ['context_window_fallbacks', [{ g: ['a'] }], { contextWindowFallbacks: ['a'] }],
  ['content_policy_fallbacks', ['a'], { contentPolicyFallbacks: ['a'] }],
  [
    'additional_drop_params',
    ['seed', 'tools[*].function.strict'],
    { dropKeys: ['seed'], dropPaths: ['tools[*].function.strict'] },
  ],
  ['allowed_openai_params', ['seed'], { allowedParams: ['seed'] }],
  ['modify_params', true, { modifyParams: true }],
]
for (const [field, value, expected] of lists)
  test(`body: ${field} ${JSON.stringify(value)}`, () => {
    const controls = read({ [field]: value })
    assert.deepEqual(controls.remove, [field])
    for (const [key, said] of Object.entries(expected))
      assert.deepEqual(controls[key as keyof Controls], said)
  })
