import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prepare } from '../call/prepare.ts'
import { ask, deployment, hear } from '../call/upstream.test.ts'
import type { JsonObject } from '../json/json.ts'
import { utf8 } from '../json/latin1.ts'
import { readControls } from './fields.ts'
import { shaped } from './shaped.ts'

const sent = (body: JsonObject, to = deployment()): JsonObject => {
  const said = hear(body)
  const rules = {
    allowCredentials: false,
    allowedByRows: new Set<string>(),
    allowMockTesting: false,
  }
  const controls = readControls(said, rules, { header: () => undefined })
  return JSON.parse(
    utf8(prepare(said, shaped(to, controls), ask({ remove: controls.remove })).body),
  )
}
const tool = { type: 'function', function: { name: 'f', strict: true } }

test('additional_drop_params of a request: names, and paths', () => {
  const body = { seed: 1, user: 'u', tools: [tool] }
  const got = sent({
    ...body,
    additional_drop_params: ['seed', 'tools[*].function.strict'],
  })
  assert.deepEqual(
    [got['seed'], got['user'], got['tools']],
    [undefined, 'u', [{ type: 'function', function: { name: 'f' } }]],
  )
  assert.equal('additional_drop_params' in got, false)
})

test('the row drops what it drops, besides', () => {
  const to = deployment({ additional_drop_params: ['user'] })
  assert.deepEqual(
    Object.keys(sent({ seed: 1, user: 'u', additional_drop_params: ['seed'] }, to)),
    ['model', 'messages'],
  )
})

test('allowed_openai_params of a request', () => {
  const to = deployment({ model: 'groq/llama' })
  assert.throws(() => sent({ logit_bias: { a: 1 } }, to), { kind: 'unsupported_params' })
  const got = sent({ logit_bias: { a: 1 }, allowed_openai_params: ['logit_bias'] }, to)
  assert.deepEqual(got['logit_bias'], { a: 1 })
})

test('nothing asked: the deployment itself', () => {
  const to = deployment()
  const none = readControls(
    hear(),
    { allowCredentials: false, allowedByRows: new Set(), allowMockTesting: false },
    { header: () => undefined },
  )
  assert.equal(shaped(to, none), to)
})
