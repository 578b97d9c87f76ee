import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { isSecretKey, secretsOf, sentSecrets, spellings, unmistakable } from './secrets.ts'

const secret = 'canary-0123456789'

const holding: [name: string, params: JsonObject][] = [
  ['a key', { api_key: secret }],
  ['a token', { azure_ad_token: secret }],
  ['a password', { azure_password: secret }],
  ['any header of the operator’s', { extra_headers: { 'X-Corp': secret } }],
  ['the word after a scheme', { extra_headers: { 'X-Corp': `Bearer ${secret}` } }],
  ['by its other name', { headers: { cookie: secret } }],
  ['below a name in the body', { extra_body: { options: { api_key: secret } } }],
  ['a login', { api_base: `https://user:${secret}@host.example/v1` }],
  [
    'a login, as it is sent',
    { api_base: `https://user:${encodeURIComponent(secret)}@host.example` },
  ],
  ['a key in a query', { api_base: `https://host.example/v1?api_key=${secret}` }],
  ['a signature in a query', { api_base: `https://host.example/v1?sig=${secret}` }],
]
for (const [name, params] of holding)
  test(`a secret: ${name}`, () => {
    ok(secretsOf(params).includes(secret), String(secretsOf(params)))
  })

const harmless: [name: string, params: JsonObject][] = [
  ['a model', { model: 'openai/gpt-4.1-with-a-long-name' }],
  ['limits', { max_tokens: 100_000, input_cost_per_token: 0.000001 }],
  ['an address', { api_base: 'https://host.example/v1?api-version=2025-01-01' }],
  [
    'a beta',
    {
      extra_headers: { 'anthropic-beta': 'context-1m-2025-08-07', 'User-Agent': 'something-long' },
    },
  ],
  ['what is too short to be taken out of a text', { api_key: 'sk-1' }],
]
for (const [name, params] of harmless)
  test(`no secret: ${name}`, () => deepEqual(secretsOf(params), []))

test('a login is also known as the header it makes', () => {
  const found = secretsOf({ api_base: 'https://user:p%40ss-word-of-mine@host.example' })
  ok(found.includes('p@ss-word-of-mine') && found.includes('p%40ss-word-of-mine'))
  ok(found.includes(btoa('user:p@ss-word-of-mine')))
})

test('every spelling JSON has, the longest first', () => {
  const found = spellings(['with/slash', 'with/slash-and-more', 'with"quote'])
  deepEqual(found, [
    'with\\/slash-and-more',
    'with/slash-and-more',
    'with\\/slash',
    'with\\"quote',
    'with/slash',
    'with"quote',
  ])
})

test('taken out of answers is only what nobody writes by chance', () => {
  const words = [
    'password',
    'lm-studio',
    'sk-no-key-required',
    'marketing team of 2026',
    '1234567890123456',
  ]
  const keys = [
    'sk-proj-0a1b2c3d4e5f6a7b',
    '3f2b8c1e-9d4a-4b6f-8e2d-1c5a7b9e0d3f',
    'AKIAIOSFODNN7EXAMPLE',
  ]
  deepEqual(unmistakable([...words, ...keys]), keys)
})

test('what signing adds: the token, without its scheme too', () => {
  const found = sentSecrets({
    authorization: `Bearer ${secret}`,
    'content-type': 'application/json',
  })
  deepEqual(found, [`Bearer ${secret}`, secret])
})

test('names of credentials, and names that only look like it', () => {
  for (const name of ['api_key', 'aws_secret_access_key', 'vertex_credentials', 'azure_ad_token'])
    equal(isSecretKey(name), true, name)
  for (const name of ['max_tokens', 'input_cost_per_token', 'cached_tokens', 'max_input_tokens'])
    equal(isSecretKey(name), false, name)
})
