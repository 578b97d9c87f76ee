import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ChatResult, noUsage, type Part } from '../../chat/chat.ts'
import type { JsonObject } from '../../json/json.ts'
import { bothWays, context, framed, partsOf } from '../testing.test.ts'
import { answers, readGrammar } from './generators.test.ts'
import { replayOf } from './replay.ts'
import { openaiResponses as wire } from './wire.ts'

const { heard } = bothWays(wire)
/** Without the ids of thoughts and what comes with a picture, which the wire makes up. */
const plainPart = (part: Part): Part => {
  if (part.type === 'reasoning') {
    const { id: _, ...rest } = part
    return rest
  }
  if (part.type !== 'media') return part
  const { extras: _, ...rest } = part
  return rest
}
const told = (result: ChatResult): JsonObject =>
  JSON.parse(JSON.stringify(wire.encodeResult(result, context)))

test('an answer told again is a lawful stream that ends in that answer and says what it says', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const response = told(result)
      const frames = framed(replayOf(response))
      deepEqual(readGrammar(frames), response)
      const events = heard(frames)
      deepEqual(partsOf(events).map(plainPart), result.choices[0]?.parts.map(plainPart))
      const { raw: _, ...counts } =
        events.findLast((event) => event.type === 'usage')?.usage ?? noUsage
      deepEqual(counts, result.usage)
    }),
    { numRuns: 100 },
  )
})

const typesOf = (response: JsonObject) => replayOf(response).map(({ type }) => type)

test('what is not over has no end, and what ended badly ends so', () => {
  const begun = ['response.created', 'response.in_progress']
  const rows: [status: string, last: string | undefined][] = [
    ['queued', undefined],
    ['in_progress', undefined],
    ['completed', 'response.completed'],
    ['failed', 'response.failed'],
    ['incomplete', 'response.incomplete'],
    ['cancelled', 'response.cancelled'],
  ]
  for (const [status, last] of rows)
    deepEqual(typesOf({ id: 'resp_1', status, output: [] }), [...begun, ...(last ? [last] : [])])
})

test('items of other kinds are told too, and what grows inside of them', () => {
  const output = [
    { type: 'web_search_call', id: 'ws', status: 'completed', action: { query: 'q' } },
    { type: 'code_interpreter_call', id: 'ci', status: 'completed', code: '1+1' },
    {
      type: 'reasoning',
      id: 'rs',
      summary: [],
      content: [{ type: 'reasoning_text', text: 'hm' }],
    },
    { type: 'message', id: 'm', status: 'completed', content: [{ type: 'odd', x: 1 }] },
  ]
  const all = replayOf({ id: 'resp_1', status: 'completed', output })
  deepEqual(
    all.slice(2, -1).map(({ type, output_index }) => `${output_index} ${type}`),
    [
      '0 response.output_item.added',
      '0 response.output_item.done',
      '1 response.output_item.added',
      '1 response.code_interpreter_call_code.delta',
      '1 response.code_interpreter_call_code.done',
      '1 response.output_item.done',
      '2 response.output_item.added',
      '2 response.content_part.added',
      '2 response.reasoning_text.delta',
      '2 response.reasoning_text.done',
      '2 response.content_part.done',
      '2 response.output_item.done',
      '3 response.output_item.added',
      '3 response.content_part.added',
      '3 response.content_part.done',
      '3 response.output_item.done',
    ],
  )
  all.forEach((event, at) => {
    equal(event['sequence_number'], at)
  })
  equal(replayOf({ output: [null, 'x'] } as JsonObject).length, 6, 'nothing is thrown')
})
