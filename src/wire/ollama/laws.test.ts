import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../errors.ts'
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
import { ollama } from './wire.ts'

const at = '2026-01-01T00:00:00Z'
const ending = { done: true, done_reason: 'stop', prompt_eval_count: 12, eval_count: 5 }
const answers = fc.record({
  thinking: fc.array(word, { maxLength: 3 }),
  words: fc.array(word, { maxLength: 4 }),
  calls: fc.array(inputs, { maxLength: 3 }),
})
type Said = { thinking: string[]; words: string[]; calls: JsonObject[] }
const called = (input: JsonObject) => ({ function: { name: 'look', arguments: input } })

const whole = ({ thinking, words, calls }: Said): JsonObject => ({
  model: 'llama3.2',
  created_at: at,
  message: { content: words.join(''), thinking: thinking.join(''), tool_calls: calls.map(called) },
  ...ending,
})

const streamed = ({ thinking, words, calls }: Said): string => {
  const messages: JsonObject[] = [
    ...thinking.map((piece) => ({ content: '', thinking: piece })),
    ...words.map((content) => ({ content })),
    ...calls.map((input) => ({ content: '', tool_calls: [called(input)] })),
  ]
  const lines: JsonObject[] = messages.map((message) => ({ message, done: false }))
  lines.push({ message: { content: '' }, ...ending })
  return lines
    .map((line) => `${JSON.stringify({ model: 'llama3.2', created_at: at, ...line })}\n`)
    .join('')
}

test('a stream, cut anywhere, says what the whole answer says, ids of calls included', () => {
  fc.assert(
    fc.property(answers, cutting, (said, cuts) => {
      const result = ollama.decodeResult(whole(said), { model: 'm' })
      const events = heard(ollama, streamed(said), cuts)
      assert.deepEqual(partsOf(events), result.choices[0]?.parts)
      const finish = events.find((event) => event.type === 'finish')
      assert.equal(finish?.finish, result.choices[0]?.finish)
      assert.deepEqual(events.find((event) => event.type === 'usage')?.usage, result.usage)
      assert.deepEqual(events[0], {
        type: 'start',
        id: '',
        model: 'llama3.2',
        created: result.created,
      })
    }),
    { numRuns: 150 },
  )
})

test('ids of calls differ within an answer, and from one answer to the next', () => {
  const calls = [{ a: 1 }, { a: 1 }]
  const ids = [at, '2026-01-01T00:00:01Z'].flatMap((created_at) =>
    partsOf(
      heard(ollama, streamed({ thinking: [], words: [], calls }).replaceAll(at, created_at), [9]),
    ).map((part) => part.type === 'tool-call' && part.id),
  )
  assert.equal(ids.length, 4)
  assert.equal(new Set(ids).size, 4)
})

test('a stream that ends before it is done is a fault', () =>
  breaksAreFaults(ollama, answers.map(streamed), (stream) => stream.lastIndexOf('{"model"')))

test('nothing but GatewayError is thrown for any JSON', () => {
  const wild = wildJson(
    `model created_at message role content thinking images tool_calls id function name arguments done done_reason
    prompt_eval_count eval_count logprobs error options format think keep_alive tools tool_choice messages image_url url
    text type tool_call_id reasoning_effort response_format`,
    `stop length load user assistant tool system image_url text file json_object function required https://e.com toString`,
  )
  const tries: ((body: JsonObject) => unknown)[] = [
    (body) => ollama.decodeResult(body, { model: 'm' }),
    (body) => ollama.decodeResult({ message: body, created_at: 'x' }, { model: 'm' }),
    (body) =>
      heard(
        ollama,
        `${JSON.stringify(body)}\n${JSON.stringify({ message: body, done: true })}\n`,
        [9],
      ),
    (body) =>
      ollama.decodeError({ status: 400, body: JSON.stringify(body), header: () => undefined }),
    (body) =>
      ollama.encodeRequest(
        asked({
          ...body,
          messages: [
            { role: 'user', content: [body] },
            { role: 'assistant', tool_calls: [body] },
          ],
        }),
        targetOf('ollama', 'm', { dropParams: true }),
      ),
  ]
  refusesInOwnWords(wild, tries)
})

test('arguments nested too deeply to be written again are a fault of the provider', () => {
  let deep: JsonObject = {}
  for (let level = 0; level < 100_000; level++) deep = { a: deep }
  const body = { message: { tool_calls: [{ function: { name: 'f', arguments: deep } }] } }
  assert.throws(
    () => ollama.decodeResult(body, { model: 'm' }),
    (error) => GatewayError.is(error) && error.kind === 'bad_gateway',
  )
})
