import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatRequest } from '../chat/chat.ts'
import type { Target } from './wire.ts'
import { wires } from './wires.ts'

const request: ChatRequest = {
  model: 'public',
  dialect: 'openai-chat',
  stream: false,
  extras: {},
  maxTokens: 9,
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }],
  tools: [{ type: 'function', name: 'look', schema: { type: 'object', properties: {} } }],
  toolChoice: { name: 'look' },
  output: { type: 'schema', name: 'out', schema: { type: 'object', properties: { SHAPE: {} } } },
}
const target: Target = {
  provider: 'p',
  model: 'm',
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
}

/** Models that have no form of an answer beside functions. */
const rows: [id: keyof typeof wires, model: string][] = [
  ['anthropic', 'claude-3-haiku-20240307'],
  ['bedrock-converse', 'anthropic.claude-3-haiku-20240307-v1:0'],
  ['bedrock-converse', 'us.amazon.nova-pro-v1:0'],
  ['gemini', 'gemini-2.5-flash'],
]
for (const [id, model] of rows)
  test(`${id}, ${model}: where one function must be called, the form asked for is left out and named`, () => {
    const { body, dropped, notes } = wires[id].encodeRequest(request, { ...target, model })
    assert.doesNotMatch(JSON.stringify(body), /SHAPE|application\/json/)
    assert.ok(dropped?.includes('response_format'))
    assert.equal(notes.outputTool, undefined)
    const { toolChoice: _, ...free } = request
    const asked = wires[id].encodeRequest(free, { ...target, model })
    assert.match(JSON.stringify(asked.body), /SHAPE/)
    assert.ok(!asked.dropped?.includes('response_format'))
  })

test('gemini: where a search may look is not lost without a word', () => {
  const search = (value: object) =>
    wires.gemini.encodeRequest(
      {
        model: 'public',
        dialect: 'anthropic',
        stream: false,
        extras: {},
        messages: request.messages,
        tools: [{ type: 'server', wire: 'anthropic', value: { type: 'web_search', ...value } }],
      },
      { ...target, model: 'gemini-2.5-flash' },
    )
  const { body, dropped } = search({ allowed_domains: ['a.example'] })
  assert.deepEqual(body.tools, [{ googleSearch: {} }])
  assert.deepEqual(dropped, ['tools.web_search.allowed_domains'])
  assert.deepEqual(search({ filters: { blocked_domains: ['b.example'] } }).dropped, [
    'tools.web_search.blocked_domains',
  ])
  assert.equal(search({ allowed_domains: [] }).dropped, undefined)
})

test('gemini-3: both can be asked for', () => {
  const { body, dropped = [] } = wires.gemini.encodeRequest(request, {
    ...target,
    model: 'gemini-3-pro-preview',
  })
  assert.match(JSON.stringify(body), /SHAPE/)
  assert.ok(!dropped.includes('response_format'))
})
