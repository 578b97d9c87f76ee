import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import type { Permission } from './caller.ts'
import {
  createIdentify,
  type IdentifyOptions,
  isLoopbackHost,
  isWeakKey,
  keyOf,
  sameSecret,
} from './identify.ts'

const visitor = (
  headers: Record<string, string> = {},
  path = '/v1/chat/completions',
  query = '',
): Incoming => ({
  method: 'POST',
  path,
  query,
  header: (name) => headers[name],
  headers: () => headers,
  headerNames: () => Object.keys(headers),
  remoteAddress: '',
  body: async () => new Uint8Array(),
  stream: async function* () {},
  signal: new AbortController().signal,
})

const carriers: [
  name: string,
  headers: Record<string, string>,
  headerName?: string | undefined,
  path?: string | undefined,
  query?: string | undefined,
  key?: string | undefined,
][] = [
  ['authorization', { authorization: 'Bearer k' }],
  ['authorization, any case', { authorization: 'bearer   k ' }],
  ['authorization without a scheme', { authorization: 'k' }],
  ['x-litellm-api-key', { 'x-litellm-api-key': 'Bearer k' }],
  ['x-litellm-api-key, bare', { 'x-litellm-api-key': 'k' }],
  ['api-key', { 'api-key': 'k' }],
  ['x-api-key', { 'x-api-key': 'k' }],
  ['x-goog-api-key', { 'x-goog-api-key': 'k' }],
  ['ocp-apim-subscription-key', { 'ocp-apim-subscription-key': 'k' }],
  ['the config says which', { 'x-mine': 'Bearer k', authorization: 'Bearer other' }, 'X-Mine'],
  ['the config says which, but it is empty', { authorization: 'Bearer k' }, 'X-Mine'],
  ['the first of two', { 'x-litellm-api-key': 'k', authorization: 'Bearer other' }],
  ['an empty one is none', { authorization: '', 'api-key': 'k' }],
  ["the query of Google's routes", {}, undefined, '/v1beta/models/x:generateContent', 'key=k'],
  [
    'a header before the query',
    { 'x-goog-api-key': 'k' },
    undefined,
    '/v1beta/models/x:generateContent',
    'key=other',
  ],
  ['the query of other routes is none', {}, undefined, '/key/generate', 'key=k', undefined],
  ['nothing', {}, undefined, undefined, undefined, undefined],
]
for (const [name, headers, headerName, path, query, ...rest] of carriers)
  test(`key: ${name}`, () => {
    assert.equal(keyOf(visitor(headers, path, query), headerName), rest.length > 0 ? rest[0] : 'k')
  })

const master: IdentifyOptions = {
  masterKey: 'sk-master',
  adminKey: 'sk-admin',
  open: false,
  headerName: undefined,
}
const open: IdentifyOptions = {
  masterKey: undefined,
  adminKey: 'sk-admin',
  open: true,
  headerName: undefined,
}
const openToAll: IdentifyOptions = { ...open, open: false, openToAll: true }
const closed: IdentifyOptions = {
  masterKey: undefined,
  adminKey: undefined,
  open: false,
  headerName: undefined,
}
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

const callers: [
  name: string,
  options: IdentifyOptions,
  permission: Permission,
  headers: Record<string, string>,
  caller: string,
][] = [
  [
    'the master key opens everything',
    master,
    'admin',
    bearer('sk-master'),
    'proxy_admin master_key',
  ],
  ['the master key calls models', master, 'llm', bearer('sk-master'), 'proxy_admin master_key'],
  ['no key', master, 'llm', {}, '401 auth_error'],
  ['a wrong key', master, 'llm', bearer('sk-master2'), '401 token_not_found_in_db'],
  ['a wrong key to look', master, 'info', bearer('x'), '401 token_not_found_in_db'],
  [
    'the admin key counts for nothing beside a master key',
    master,
    'llm',
    bearer('sk-admin'),
    '401 token_not_found_in_db',
  ],
  ['public', master, 'public', {}, 'open '],
  ['open: models', open, 'llm', {}, 'open open'],
  ['open: models with whatever key', open, 'llm', bearer('anything'), 'open open'],
  ['open: looking', open, 'info', {}, 'open open'],
  ['open: management needs the key', open, 'admin', {}, '401 auth_error'],
  ['open: management with a wrong one', open, 'admin', bearer('x'), '401 token_not_found_in_db'],
  ['open: management', open, 'admin', bearer('sk-admin'), 'proxy_admin admin_key'],
  ['open to all: models', openToAll, 'llm', { host: 'gateway.example' }, 'open open'],
  ['open to all: management needs the key', openToAll, 'admin', {}, '401 auth_error'],
  ['no rule lets in: nobody is', closed, 'llm', {}, '401 auth_error'],
  [
    'no rule lets in, whatever key',
    closed,
    'admin',
    bearer('undefined'),
    '401 token_not_found_in_db',
  ],
]
for (const [name, options, permission, headers, wanted] of callers)
  test(`who: ${name}`, async () => {
    const identify = createIdentify(options)
    let got: string
    try {
      const { role, keyId } = await identify(visitor(headers), permission)
      got = `${role} ${keyId}`
    } catch (error) {
      assert.ok(GatewayError.is(error))
      assert.doesNotMatch(error.message, /sk-master2|anything/)
      got = `${error.status} ${error.type}`
    }
    assert.equal(got, wanted)
  })

const strangers: [headers: Record<string, string>, allowed: boolean][] = [
  [{}, true],
  [{ host: 'localhost' }, true],
  [{ host: 'localhost:4000' }, true],
  [{ host: 'LocalHost:4000' }, true],
  [{ host: 'app.localhost:4000' }, true],
  [{ host: '127.0.0.1:4000' }, true],
  [{ host: '127.1.2.3' }, true],
  [{ host: '[::1]:4000' }, true],
  [{ host: '[::ffff:127.0.0.1]:4000' }, true],
  [{ host: '' }, false],
  [{ host: '0.0.0.0:4000' }, false],
  [{ host: '192.168.1.5:4000' }, false],
  [{ host: 'evil.example' }, false],
  [{ host: 'localhost.evil.example' }, false],
  [{ host: 'evil-localhost' }, false],
  [{ host: '127.0.0.1.evil.example' }, false],
  [{ host: 'localhost:4000, evil.example' }, false],
  [{ host: 'localhost', origin: 'http://localhost:3000' }, true],
  [{ host: 'localhost', origin: 'http://127.0.0.1' }, true],
  [{ host: 'localhost', origin: 'http://[::1]:5173' }, true],
  [{ host: 'localhost', origin: 'https://evil.example' }, false],
  [{ host: 'localhost', origin: 'https://localhost.evil.example' }, false],
  [{ host: 'localhost', origin: 'https://localhost@evil.example' }, false],
  [{ host: 'localhost', origin: 'null' }, false],
  [{ host: 'localhost', origin: '' }, false],
  [{ host: 'localhost', origin: 'chrome-extension://abc' }, false],
]
for (const [headers, allowed] of strangers)
  test(`without a master key: ${JSON.stringify(headers)} is ${allowed ? 'this machine' : 'a stranger'}`, () => {
    for (const permission of ['llm', 'info', 'public', 'admin'] as const) {
      const attempt = () =>
        createIdentify(open)(visitor({ ...headers, ...bearer('sk-admin') }), permission)
      if (allowed) attempt()
      else
        assert.throws(attempt, { kind: 'permission', status: 403, message: /LITELLM_MASTER_KEY/ })
    }
    if (!allowed) createIdentify(master)(visitor({ ...headers, ...bearer('sk-master') }), 'llm')
  })

for (const [host, is] of [
  ['localhost', true],
  ['::1', true],
  ['[::1]', true],
  ['127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['example.com', false],
] as const)
  test(`${host} is ${is ? '' : 'not '}loopback`, () => assert.equal(isLoopbackHost(host), is))

test('law: secrets are the same when they are, and cost the same to compare', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      assert.equal(sameSecret(a, b), a === b && a !== '')
      assert.equal(sameSecret(a, a), a !== '')
      assert.equal(sameSecret(`${a}x`, `${a}y`), false)
      assert.equal(sameSecret(a + b, a), b === '' && a !== '')
    }),
    { numRuns: 300 },
  )
  // Every character of what is presented is looked at, wherever the first difference is.
  let reads = 0
  const spy = (text: string) =>
    new Proxy(Object(text), {
      get: (of, key) => {
        if (key === 'charCodeAt')
          return (at: number) => {
            reads++
            return text.charCodeAt(at)
          }
        return Reflect.get(of, key)
      },
    }) as string // behaves like one
  const counts = ['xaaaaaaa', 'aaaaaaax', 'aaaaaaaa'].map((said) => {
    reads = 0
    sameSecret(spy(said), 'aaaaaaaa')
    return reads
  })
  assert.deepEqual(counts, [8, 8, 8])
})

for (const [key, weak] of [
  ['sk-1234', true],
  ['sk-1234567890123456', true],
  ['SK-litellm-master-KEY', true],
  ['sk-abcdefghijklmnop', false],
  ['a'.repeat(15), true],
] as const)
  test(`${key} is ${weak ? 'weak' : 'strong enough'}`, () => assert.equal(isWeakKey(key), weak))
