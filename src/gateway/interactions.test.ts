import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, event, provider } from '../call/upstream.test.ts'
import { type JsonObject, object } from '../json/json.ts'
import { door, jsonOf, textOf } from './visit.test.ts'

const models = {
  fast: { model: 'gemini/gemini-x', api_key: 'gemini-credential' },
  other: { model: 'openai/gpt-x' },
}
const usage = {
  total_input_tokens: 100,
  total_cached_tokens: 40,
  total_output_tokens: 10,
  total_thought_tokens: 5,
  total_tokens: 115,
}
const made: JsonObject = { id: 'v1_abc', object: 'interaction', model: 'gemini-x', usage }
const done = { ...made, status: 'completed', steps: [] }
const body = { model: 'fast', input: 'hi', own_field: 1 }

describe("Google's interactions", () => {
  for (const path of ['/interactions', '/v1beta/interactions'])
    test(`${path} asks Google for a model by the gateway's name, and is paid`, async () => {
      const from = provider({ body: JSON.stringify(done) })
      const at = door({ models }, from)
      assert.deepEqual(await jsonOf(await at.visit({ path, body })), done)
      const [asked] = from.asked
      assert.equal(asked?.url, 'https://generativelanguage.googleapis.com/v1beta/interactions')
      assert.equal(asked?.headers['x-goog-api-key'], 'gemini-credential')
      assert.deepEqual(asked?.json, { ...body, model: 'gemini-x' })
      const [entry] = at.entries
      assert.equal(entry?.nanoDollars, (100 + 2 * 15) * 1000)
    })

  test('a stream passes as it comes, and is paid by its last event', async () => {
    const events = [
      { event_type: 'interaction.start', interaction: { ...made, usage: undefined } },
      { event_type: 'content.delta', index: 0, delta: { type: 'text', text: 'hey' } },
      { event_type: 'interaction.complete', interaction: done },
    ].map((one) => event(JSON.stringify(one)))
    const at = door({ models }, provider({ body: events }))
    const told = await textOf(
      await at.visit({ path: '/interactions', body: { ...body, stream: true } }),
    )
    assert.equal(told, events.join(''))
    assert.equal(at.entries[0]?.nanoDollars, 130_000)
  })

  test('one that goes on in the background is paid when it is done, once', async () => {
    const status = (one: string) => ({ body: JSON.stringify({ ...made, status: one }) })
    const running = {
      body: JSON.stringify({ id: 'v1_abc', model: 'gemini-x', status: 'in_progress' }),
    }
    const from = provider(running, running, status('completed'), status('completed'))
    const at = door({ models }, from)
    await textOf(await at.visit({ path: '/interactions', body: { ...body, background: true } }))
    for (let look = 0; look < 3; look++)
      await textOf(await at.visit({ method: 'GET', path: '/interactions/v1_abc' }))
    assert.match(from.asked.at(-1)?.url ?? '', /\/v1beta\/interactions\/v1_abc$/)
    assert.deepEqual(
      at.entries.map(({ nanoDollars }) => nanoDollars),
      [0, 0, 130_000, 0],
    )
  })

  test('are stopped and forgotten at Google', async () => {
    const from = provider({ body: '{}' })
    const at = door({ models }, from)
    await at.visit({ path: '/v1beta/interactions/v1_abc/cancel' })
    await at.visit({ method: 'DELETE', path: '/interactions/v1_abc' })
    assert.deepEqual(
      from.asked.map(({ method, url }) => `${method} ${new URL(url).pathname}`),
      ['POST /v1beta/interactions/v1_abc/cancel', 'DELETE /v1beta/interactions/v1_abc'],
    )
  })

  const wrong: [body: JsonObject, status: number, said: RegExp][] = [
    [{ model: 'other', input: 'hi' }, 501, /'other' is at openai/],
    [{ model: 'nobody', input: 'hi' }, 400, /nobody/],
    [{ input: 'hi' }, 400, /'model' or an 'agent'/],
  ]
  for (const [asked, status, said] of wrong)
    test(`refused: ${JSON.stringify(asked)}`, async () => {
      const from = provider({ body: answer('hi') })
      const out = await door({ models }, from).visit({ path: '/interactions', body: asked })
      assert.equal(out.status, status)
      assert.match(String(object((await jsonOf(out))['error'])['message']), said)
      assert.equal(from.asked.length, 0)
    })
})
