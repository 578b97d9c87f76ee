import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../../json/json.ts'
import {
  asked,
  breaksAreFaults,
  cutting,
  heard,
  inputs,
  partsOf,
  refusesInOwnWords,
  targetOf,
  wildJson,
  word,
} from '../testing.test.ts'
import { cohere } from './wire.ts'

type Said = { thinking: string; words: string[]; plan: string[]; calls: JsonObject[]; cut: number }

const answers: fc.Arbitrary<Said> = fc.record({
  thinking: fc.oneof(fc.constant(''), word),
  words: fc.array(word, { maxLength: 4 }),
  plan: fc.array(word, { maxLength: 3 }),
  calls: fc.array(inputs, { maxLength: 3 }),
  cut: fc.nat(6),
})
const usage = { billed_units: { input_tokens: 5, output_tokens: 3 } }
const reasonOf = ({ calls }: Said): string => (calls.length > 0 ? 'TOOL_CALL' : 'COMPLETE')
const idOf = (at: number): string => `look_${at}`

const whole = (said: Said): JsonObject => {
  const { thinking, words, plan, calls } = said
  const content: JsonObject[] = []
  if (thinking !== '') content.push({ type: 'thinking', thinking })
  if (words.length > 0) content.push({ type: 'text', text: words.join('') })
  return {
    id: 'c1',
    message: {
      role: 'assistant',
      content,
      tool_plan: plan.join(''),
      tool_calls: calls.map((input, at) => ({
        id: idOf(at),
        type: 'function',
        function: { name: 'look', arguments: JSON.stringify(input) },
      })),
    },
    finish_reason: reasonOf(said),
    usage,
  }
}

const streamed = (said: Said): string => {
  const events: JsonObject[] = [{ type: 'message-start', id: 'c1' }]
  const message = (type: string, index: number, about: JsonObject) =>
    events.push({ type, index, delta: { message: about } })
  let at = 0
  if (said.thinking !== '') {
    message('content-start', at, { content: { type: 'thinking', thinking: '' } })
    message('content-delta', at++, { content: { thinking: said.thinking } })
  }
  if (said.words.length > 0) message('content-start', at, { content: { type: 'text', text: '' } })
  for (const text of said.words) message('content-delta', at, { content: { text } })
  for (const tool_plan of said.plan) message('tool-plan-delta', 0, { tool_plan })
  said.calls.forEach((input, index) => {
    const json = JSON.stringify(input)
    message('tool-call-start', index, {
      tool_calls: { id: idOf(index), type: 'function', function: { name: 'look', arguments: '' } },
    })
    for (const piece of [json.slice(0, said.cut), json.slice(said.cut)])
      message('tool-call-delta', index, { tool_calls: { function: { arguments: piece } } })
    events.push({ type: 'tool-call-end', index })
  })
  events.push({ type: 'message-end', delta: { finish_reason: reasonOf(said), usage } })
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}

test('a stream, cut anywhere, says what the whole answer says', () => {
  fc.assert(
    fc.property(answers, cutting, (said, cuts) => {
      const result = cohere.decodeResult(whole(said), { model: 'm' })
      const events = heard(cohere, streamed(said), cuts)
      assert.deepEqual(events, heard(cohere, streamed(said), [1e6]))
      // Neighbouring thoughts (a plan right after thinking) are one in a stream.
      const merged = result.choices[0]?.parts.reduce<ReturnType<typeof partsOf>>((parts, part) => {
        const last = parts.at(-1)
        if (last?.type === 'reasoning' && part.type === 'reasoning') last.text += part.text
        else parts.push({ ...part })
        return parts
      }, [])
      assert.deepEqual(partsOf(events), merged)
      const finish = events.find((event) => event.type === 'finish')
      assert.equal(finish?.finish, result.choices[0]?.finish)
      const told = events.find((event) => event.type === 'usage')
      assert.deepEqual(told?.usage, result.usage)
    }),
    { numRuns: 150 },
  )
})

test('a stream that ends before its message does is a fault', () =>
  breaksAreFaults(cohere, answers.map(streamed), (stream) => stream.indexOf('event: message-end')))

test('nothing but GatewayError is thrown for any JSON', () => {
  const wild = wildJson(
    `id type index delta message content text thinking tool_plan tool_calls function name arguments citations start end
    sources document url title finish_reason usage billed_units tokens input_tokens error logprobs role messages tools
    tool_choice response_format image_url documents reasoning_effort`,
    `message-start content-start content-delta tool-plan-delta tool-call-start tool-call-delta tool-call-end
    citation-start message-end COMPLETE ERROR TOOL_CALL text thinking user assistant tool image_url document toString`,
  )
  const tries: ((body: JsonObject) => unknown)[] = [
    (body) => cohere.decodeResult(body, { model: 'm' }),
    (body) => cohere.decodeResult({ message: body, usage: body }, { model: 'm' }),
    (body) =>
      heard(cohere, [body, body].map((one) => `data: ${JSON.stringify(one)}\n\n`).join(''), [9]),
    (body) =>
      cohere.decodeError({ status: 400, body: JSON.stringify(body), header: () => undefined }),
    (body) =>
      cohere.encodeRequest(
        asked({
          ...body,
          messages: [
            { role: 'user', content: [body] },
            { role: 'tool', content: [body] },
          ],
        }),
        targetOf('cohere', 'command-a', { dropParams: true }),
      ),
  ]
  refusesInOwnWords(wild, tries)
})
