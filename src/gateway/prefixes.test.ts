import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { anthropic } from '../wire/anthropic/wire.ts'
import { listen } from '../wire/inbound.ts'
import { prefixesOf } from './prefixes.ts'

const mark = { cache_control: { type: 'ephemeral' } }
const long = 'x'.repeat(5000)
const block = (text: string, more: JsonObject = {}): JsonObject => ({ type: 'text', text, ...more })
const prefixes = (body: JsonObject): string[] =>
  prefixesOf(listen(toUtf8(JSON.stringify({ model: 'm', ...body })), anthropic, {}, 50))
const user = (...content: JsonObject[]): JsonObject => ({ role: 'user', content })

const counts: [name: string, body: JsonObject, keys: number][] = [
  ['nothing is marked', { messages: [user(block(long))] }, 0],
  ['what is marked is too short', { messages: [user(block('x', mark))] }, 0],
  ['one block', { messages: [user(block(long, mark))] }, 1],
  [
    'blocks before the last mark',
    { messages: [user(block('a'), block(long, mark), block('b'))] },
    2,
  ],
  [
    'tools and the system come first',
    { tools: [{ name: 'f' }], system: [block('s')], messages: [user(block(long, mark))] },
    3,
  ],
  ['a mark of the message', { messages: [{ role: 'user', content: long, ...mark }] }, 1],
  ['a mark of it all', { ...mark, messages: [user(block(long), block('b'))] }, 2],
  ['as far back as is looked', { ...mark, messages: Array(40).fill(user(block(long))) }, 20],
]
for (const [name, body, keys] of counts)
  test(`keys: ${name}`, () => assert.equal(prefixes(body).length, keys))

const turn = fc.record({ text: fc.string({ minLength: 1 }), marked: fc.boolean() })
test('law: a conversation that goes on has the key of what it was, wherever its marks move', () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 8 }), fc.array(turn, { maxLength: 8 }), (was, more) => {
      const said = (turns: typeof was, marked: boolean) =>
        turns.map(({ text, marked: own }) => user(block(text, own && marked ? mark : {})))
      const first = user(block(long))
      const before = prefixes({ messages: [first, ...said(was, true), user(block('a', mark))] })
      const after = prefixes({
        messages: [
          first,
          ...said(was, false),
          user(block('a')),
          ...said(more, true),
          user(block('b', mark)),
        ],
      })
      assert.ok(before[0] !== undefined && after.includes(before[0]))
    }),
  )
})

test('another beginning is another prompt, and so is another tool', () => {
  const keys = [
    prefixes({ messages: [user(block(long, mark))] }),
    prefixes({ messages: [user(block(`${long}y`, mark))] }),
    prefixes({ messages: [{ ...user(block(long, mark)), role: 'assistant' }] }),
    prefixes({ tools: [{ name: 'f' }], messages: [user(block(long, mark))] }).slice(0, 1),
  ].flat()
  assert.equal(new Set(keys).size, 4)
})
