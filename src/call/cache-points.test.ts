import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json, JsonObject } from '../json/json.ts'
import { utf8 } from '../json/latin1.ts'
import { prepare } from './prepare.ts'
import { ask, deployment, hear } from './upstream.test.ts'

const mark = { type: 'ephemeral' }
const system = { location: 'message', role: 'system' }
const last = { location: 'message', index: -1 }

const sent = (
  points: Json[],
  body: JsonObject,
  model = 'openrouter/anthropic/claude-sonnet-4',
  wire: 'openai-chat' | 'anthropic' = 'openai-chat',
): JsonObject => {
  const to = deployment({ model, cache_control_injection_points: points })
  return JSON.parse(utf8(prepare(hear(body, wire), to, ask()).body))
}
const block = (text: string, marked = true) => ({
  type: 'text',
  text,
  ...(marked && { cache_control: mark }),
})
const talk = [
  { role: 'system', content: 'S' },
  { role: 'user', content: 'A' },
  { role: 'assistant', content: 'B' },
  { role: 'user', content: 'C' },
]

const rows: [name: string, points: Json[], contents: Json[]][] = [
  ['a role', [system], [[block('S')], 'A', 'B', 'C']],
  [
    'every message of it',
    [{ location: 'message', role: 'user' }],
    ['S', [block('A')], 'B', [block('C')]],
  ],
  ['from the end', [last], ['S', 'A', 'B', [block('C')]]],
  ['by number, as text', [{ location: 'message', index: '1' }], ['S', [block('A')], 'B', 'C']],
  ['beyond the end', [{ location: 'message', index: 9 }], ['S', 'A', 'B', 'C']],
  ['both, and no mark twice', [system, last, last], [[block('S')], 'A', 'B', [block('C')]]],
  [
    'for an hour',
    [{ ...last, control: { type: 'ephemeral', ttl: '1h' } }],
    ['S', 'A', 'B', [{ ...block('C'), cache_control: { ...mark, ttl: '1h' } }]],
  ],
  ['nothing known', [{ location: 'elsewhere' }, 'x', null], ['S', 'A', 'B', 'C']],
]
for (const [name, points, contents] of rows)
  test(`passing through: ${name}`, () => {
    const { messages } = sent(points, { messages: talk })
    assert.deepEqual(
      (messages as JsonObject[]).map(({ content }) => content), // sent just now
      contents,
    )
  })

test('translated for Anthropic, the marks are its own', () => {
  const body = sent([system, last], { messages: talk }, 'anthropic/claude-sonnet-4')
  assert.deepEqual(body.system, [block('S')])
  assert.deepEqual(body.messages, [
    { role: 'user', content: [block('A', false)] },
    { role: 'assistant', content: [block('B', false)] },
    { role: 'user', content: [block('C')] },
  ])
})

test('translated for Bedrock, they are points', () => {
  const model = 'bedrock/converse/anthropic.claude-sonnet-4-20250514-v1:0'
  const body = sent([system], { messages: talk }, model)
  assert.deepEqual(body.system, [{ text: 'S' }, { cachePoint: { type: 'default' } }])
})

test("Anthropic's own body, passing through", () => {
  const body = sent(
    [system, last],
    { system: 'S', messages: [{ role: 'user', content: 'A' }], max_tokens: 9 },
    'anthropic/claude-sonnet-4',
    'anthropic',
  )
  assert.deepEqual(body.system, [block('S')])
  assert.deepEqual(body.messages, [{ role: 'user', content: [block('A')] }])
})

test('the last tool', () => {
  const tool = { type: 'function', function: { name: 'f' } }
  const point = { location: 'tool_config' }
  assert.deepEqual(sent([point], { messages: talk, tools: [tool, tool] }).tools, [
    tool,
    { ...tool, cache_control: mark },
  ])
  const [, second] = sent(
    [point],
    { messages: talk, tools: [tool, { ...tool, function: { name: 'g' } }] },
    'anthropic/claude-sonnet-4',
  ).tools as JsonObject[] // sent just now
  assert.deepEqual(second?.cache_control, mark)
})

test('no more than four marks, those of the client first', () => {
  const own = { role: 'user', content: [block('mine')] }
  const messages = [own, own, own, ...talk]
  for (const model of ['openrouter/anthropic/claude-sonnet-4', 'anthropic/claude-sonnet-4']) {
    const body = sent([{ location: 'message', role: 'user' }, system], { messages }, model)
    assert.equal(JSON.stringify(body).split('"cache_control"').length - 1, 4, model)
  }
})

test('without points, bytes pass unread', () => {
  const body = { messages: talk }
  assert.deepEqual(sent([], body).messages, talk)
})
