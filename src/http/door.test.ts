import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import { faultAnswer, rootOf, targetOf, tooLarge } from './door.ts'

const targets: [name: string, target: string, root: string, path: string, query: string][] = [
  ['plain', '/v1/models', '', '/v1/models', ''],
  ['query', '/v1/models?a=b&c', '', '/v1/models', 'a=b&c'],
  ['two question marks', '/a?b?c', '', '/a', 'b?c'],
  ['empty query', '/a?', '', '/a', ''],
  ['absolute', 'http://evil.example/v1/models?x', '', '/v1/models', 'x'],
  ['absolute, no path', 'http://evil.example', '', '/', ''],
  ['absolute, query only', 'http://evil.example?x=/y', '', '/', 'x=/y'],
  ['absolute with user', 'http://a:b@evil/key/generate', '', '/key/generate', ''],
  ['a scheme in the path', '/http://x/y', '', '/http://x/y', ''],
  ['two slashes', '//v1//models', '', '//v1//models', ''],
  ['encoded slash', '/v1%2fmodels', '', '/v1%2fmodels', ''],
  ['dots', '/v1/../key', '', '/v1/../key', ''],
  ['semicolon', '/v1/models;x=1', '', '/v1/models;x=1', ''],
  ['everything', '*', '', '*', ''],
  ['root taken off', '/api/v1/models?q', '/api', '/v1/models', 'q'],
  ['root alone', '/api', '/api', '/', ''],
  ['root with slash', '/api/', '/api', '/', ''],
  ['root not there', '/v1/models', '/api', '/v1/models', ''],
  ['root as part of a word', '/apis/x', '/api', '/apis/x', ''],
  ['root once only', '/api/api/x', '/api', '/api/x', ''],
  ['root of an absolute target', 'https://h/api/x', '/api', '/x', ''],
]
for (const [name, target, root, path, query] of targets)
  test(`target: ${name}`, () => assert.deepEqual(targetOf(target, root), { path, query }))

const written = fc.string({ unit: fc.constantFrom(...'ab/.:@;%2f?*') })
test('an absolute target means what its path means', () =>
  fc.assert(
    fc.property(written, written, (path, query) => {
      const target = `/${path}?${query}`
      assert.deepEqual(targetOf(`http://host${target}`, ''), targetOf(target, ''))
    }),
  ))

test('a root path may be written in any way', () => {
  for (const written of ['api/v2', '/api/v2', '/api/v2/', ' /api//v2 '])
    assert.equal(rootOf(written), '/api/v2')
  for (const written of ['', '/', undefined]) assert.equal(rootOf(written), '')
})

test('a fault is answered in the shape of OpenAI', () => {
  assert.deepEqual(faultAnswer(GatewayError.from(new Error('secret'))), {
    status: 500,
    headers: { 'content-type': 'application/json' },
    body: '{"error":{"message":"Internal server error","type":"internal_server_error","param":null,"code":"500"}}',
  })
  const busy = new GatewayError('unavailable', 'Later', {
    retryAfter: '7',
    headers: { 'x-a': 'b' },
  })
  assert.deepEqual(faultAnswer(busy).headers, {
    'x-a': 'b',
    'content-type': 'application/json',
    'retry-after': '7',
  })
})

test('a limit is told in a size people read', () => {
  assert.match(tooLarge(64 * 1024 * 1024).message, /limit of 64 MB;/)
  assert.match(tooLarge(2048).message, /limit of 2 KB;/)
  assert.match(tooLarge(1000).message, /limit of 1000 bytes;/)
})
