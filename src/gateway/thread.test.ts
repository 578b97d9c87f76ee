import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { listen } from '../wire/inbound.ts'
import { wires } from '../wire/wires.ts'
import { threadOf } from './thread.ts'

const of = (body: JsonObject): string | undefined =>
  threadOf(
    listen(
      toUtf8(JSON.stringify({ model: 'm', ...body })),
      wires[body.messages ? 'openai-chat' : 'openai-responses'],
    ),
  )
const ask = { role: 'user', content: 'What is up?' }
const thought = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAAB' }
const call = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' }
const result = { type: 'function_call_output', call_id: 'c', output: 'r' }

const begun = of({ input: [ask] })
const same: [name: string, body: JsonObject][] = [
  ['the question as a text', { input: 'What is up?' }],
  [
    'the question in parts',
    { input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is up?' }] }] },
  ],
  [
    'the question as a message with an id',
    { input: [{ type: 'message', id: 'msg_1', status: 'completed', ...ask }] },
  ],
  ['the next turn', { input: [ask, thought, call, result] }],
  [
    'a turn much later',
    { input: [ask, thought, call, result, thought, { role: 'user', content: 'And?' }] },
  ],
  ['a thought without an id', { input: [ask, { ...thought, id: undefined }, call, result] }],
  [
    'the same in another dialect',
    {
      messages: [
        ask,
        {
          role: 'assistant',
          content: 'x',
          thinking_blocks: [{ type: 'thinking', thinking: '', signature: 'gAAAAB' }],
        },
        { role: 'user', content: 'And?' },
      ],
    },
  ],
]
for (const [name, body] of same)
  test(`one conversation: ${name}`, () => assert.equal(of(body), begun))

const other: [name: string, body: JsonObject][] = [
  ['another question', { input: 'What is down?' }],
  ['a longer beginning', { input: [ask, { role: 'assistant', content: 'Much.' }] }],
  ['another role', { input: [{ ...ask, role: 'developer' }] }],
  [
    'a picture beside it',
    {
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'What is up?' },
            { type: 'input_image', image_url: 'data:,' },
          ],
        },
      ],
    },
  ],
]
for (const [name, body] of other)
  test(`another conversation: ${name}`, () => {
    assert.notEqual(of(body), begun)
    assert.notEqual(of(body), undefined)
  })

test('what is no conversation has none', () => {
  for (const body of [{ input: [] }, { input: [thought] }, { input: 3 }, { messages: [] }])
    assert.equal(of(body as JsonObject), undefined)
})
