import { deepEqual, equal } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { listen } from '../wire/inbound.ts'
import { type WireId, wires } from '../wire/wires.ts'
import { mayNameThings } from './named-things.ts'

const may = (
  body: JsonObject | string,
  wire: 'openai-chat' | 'openai-responses' | 'anthropic' = 'openai-chat',
) => {
  const said = typeof body === 'string' ? body : JSON.stringify({ model: 'm', ...body })
  return mayNameThings(listen(toUtf8(said), wires[wire satisfies WireId]))
}

describe('a look at the bytes says whether a conversation may name something', () => {
  const rows: [name: string, may: boolean, body: JsonObject | string, wire?: 'openai-responses'][] =
    [
      ['plain words', false, { messages: [{ role: 'user', content: 'a file, an id: user_id' }] }],
      ['calls of tools', false, { messages: [{ role: 'tool', tool_call_id: 'c', content: 'x' }] }],
      ['a file', true, { messages: [{ content: [{ type: 'file', file: { file_id: 'f' } }] }] }],
      ['several', true, { file_ids: ['f'] }],
      ['a store', true, { tools: [{ type: 'file_search', vector_store_ids: ['v'] }] }],
      ['escaped letters', true, '{"model":"m","messages":[{"fil\\u0065_id":"f"}]}'],
      ['an escaped line between', true, '{"model":"m","messages":[{"file\\u005Fid":"f"}]}'],
      [
        'other escapes',
        false,
        '{"model":"m","messages":[{"content":"caf\\u00e9 \\u001b \\u003c"}]}',
      ],
      [
        'a container of a tool',
        true,
        { tools: [{ type: 'code_interpreter', container: 'cntr_1' }] },
        'openai-responses',
      ],
      [
        'the word elsewhere',
        false,
        { tools: [], metadata: { container: 'x' } },
        'openai-responses',
      ],
      ['a body that had to be parsed', true, '{"model":"m","messages":[],"a":1,"a":2}'],
    ]
  for (const [name, expected, body, wire] of rows)
    test(name, () => equal(may(body, wire), expected))

  test('however the name is written', () => {
    const spelt = fc
      .constantFrom('file_id', 'file_ids', 'vector_store_ids')
      .chain((word) =>
        fc
          .array(fc.boolean(), { minLength: word.length, maxLength: word.length })
          .map((escaped) =>
            [...word]
              .map((sign, at) => (escaped[at] ? `\\u00${sign.charCodeAt(0).toString(16)}` : sign))
              .join(''),
          ),
      )
    fc.assert(
      fc.property(spelt, fc.string(), (name, words) => {
        const said = `{"model":"m","messages":[{"content":${JSON.stringify(words)},"${name}":"f"}]}`
        equal(may(said), true)
        deepEqual(Object.keys(JSON.parse(said)), ['model', 'messages'])
      }),
    )
  })
})
