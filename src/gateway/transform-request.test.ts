import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { provider } from '../call/upstream.test.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { door, hi, jsonOf } from './visit.test.ts'

const models = {
  chat: { model: 'openai/gpt-x' },
  gemini: { model: 'gemini/gemini-x', temperature: 0.5 },
}
const ask = async (call_type: string, request_body: JsonObject) => {
  const from = provider()
  const out = await door({ models }, from).visit({
    path: '/utils/transform_request',
    body: { call_type, request_body },
  })
  assert.equal(from.asked.length, 0, 'nothing is sent')
  const told = await jsonOf(out)
  assert.ok(!JSON.stringify(told).includes('sk-upstream'), 'no credential is shown')
  return { status: out.status, told }
}

describe('the request a provider would be sent', () => {
  test('in its own words, with its address', async () => {
    const { told } = await ask('completion', hi('gemini', { max_tokens: 5 }))
    assert.match(String(told['raw_request_api_base']), /gemini-x:generateContent$/)
    const body = object(told['raw_request_body'])
    assert.deepEqual(list(body['contents']), [{ role: 'user', parts: [{ text: 'hi' }] }])
    assert.deepEqual(body['generationConfig'], { maxOutputTokens: 5, temperature: 0.5 })
    assert.equal(object(told['raw_request_headers'])['x-goog-api-key'], '********')
  })

  test('as it comes, where both speak alike', async () => {
    const { told } = await ask('acompletion', hi('chat', { own: 1 }))
    assert.deepEqual(told['raw_request_body'], hi('gpt-x', { own: 1 }))
    assert.equal(object(told['raw_request_headers'])['authorization'], '********')
    const { told: more } = await ask('aresponses', { model: 'chat', input: 'hi' })
    assert.match(String(more['raw_request_api_base']), /\/v1\/responses$/)
  })

  test('or why there is none', async () => {
    const { status, told } = await ask('completion', {
      model: 'gemini',
      messages: [{ role: 'user', content: [{ type: 'video' }] }],
    })
    assert.equal(status, 200)
    assert.ok(String(told['error']).length > 0)
    assert.equal((await ask('aembedding', hi('chat'))).status, 400)
    assert.equal((await ask('completion', hi('nobody'))).status, 400)
    assert.equal(
      (await ask('completion', hi('chat', { api_base: 'https://x.example' }))).status,
      401,
    )
  })
})
