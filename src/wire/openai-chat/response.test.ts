import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ChatResult,
  inputTokens,
  noUsage,
  outputTokens,
  type Part,
  type Usage,
} from '../../chat/chat.ts'
import { type JsonObject, list, object } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { context, target } from './chunks.test.ts'
import { passResult } from './pass.ts'
import { decodeResult, decodeUsage, encodeResult, encodeUsage } from './response.ts'

const notes = { model: 'm' }
const result = (message: JsonObject, more: JsonObject = {}): ChatResult =>
  decodeResult(
    {
      id: 'i',
      created: 1,
      model: 'x',
      choices: [{ index: 0, message, finish_reason: 'stop', ...more }],
    },
    notes,
  )

const messages: [name: string, message: JsonObject, parts: Part[]][] = [
  ['text', { content: 'hi' }, [{ type: 'text', text: 'hi' }]],
  ['nothing', { content: null }, []],
  [
    'reasoning_content',
    { reasoning_content: 'h', content: 'hi' },
    [
      { type: 'reasoning', text: 'h' },
      { type: 'text', text: 'hi' },
    ],
  ],
  ['reasoning', { reasoning: 'h' }, [{ type: 'reasoning', text: 'h' }]],
  [
    'signed thoughts',
    {
      reasoning_content: 'h',
      thinking_blocks: [
        { type: 'thinking', thinking: 'h', signature: 's' },
        { type: 'redacted_thinking', data: 'd' },
      ],
    },
    [
      { type: 'reasoning', text: 'h', signature: 's' },
      { type: 'reasoning', text: '', redacted: 'd' },
    ],
  ],
  [
    "Magistral's parts",
    {
      content: [
        { type: 'thinking', thinking: [{ type: 'text', text: 'h' }] },
        { type: 'text', text: 'hi' },
      ],
    },
    [
      { type: 'reasoning', text: 'h' },
      { type: 'text', text: 'hi' },
    ],
  ],
  [
    "Databricks' parts",
    {
      content: [
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 'h', signature: 's' }] },
        { type: 'text', text: 'hi' },
      ],
    },
    [
      { type: 'reasoning', text: 'h', signature: 's' },
      { type: 'text', text: 'hi' },
    ],
  ],
  ['a refusal', { refusal: 'no' }, [{ type: 'refusal', text: 'no' }]],
  [
    'a call',
    { tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] },
    [{ type: 'tool-call', id: 'c', name: 'f', input: '{"a":1}' }],
  ],
  [
    'arguments as an object',
    { tool_calls: [{ id: 'c', function: { name: 'f', arguments: { a: 1 } } }] },
    [{ type: 'tool-call', id: 'c', name: 'f', input: '{"a":1}' }],
  ],
  [
    'a custom call',
    { tool_calls: [{ id: 'c', type: 'custom', custom: { name: 'f', input: 'ls' } }] },
    [{ type: 'tool-call', id: 'c', name: 'f', input: 'ls', kind: 'custom' }],
  ],
  [
    'the old function_call',
    { function_call: { name: 'f', arguments: '{}' } },
    [{ type: 'tool-call', id: 'f', name: 'f', input: '{}' }],
  ],
  [
    'annotations',
    { content: 'hi', annotations: [{ type: 'x' }] },
    [{ type: 'text', text: 'hi', annotations: [{ type: 'x' }] }],
  ],
]
for (const [name, message, parts] of messages)
  test(`decode: ${name}`, () => {
    const before = structuredClone(message)
    assert.deepEqual(result(message).choices[0]?.parts, parts)
    assert.deepEqual(message, before, 'what came is left as it was')
  })

test('decode: what is not modelled is kept', () => {
  const body = {
    id: 'i',
    model: 'x',
    choices: [
      { message: { content: 'a', images: [1] }, finish_reason: 'weird', logprobs: { content: [] } },
    ],
    system_fingerprint: 'f',
  }
  const { extras, choices, created } = decodeResult(body, notes)
  assert.deepEqual([extras, created], [{ system_fingerprint: 'f' }, 0])
  assert.deepEqual(choices[0], {
    parts: [{ type: 'text', text: 'a' }],
    finish: 'other',
    reason: 'weird',
    logprobs: { content: [] },
    extras: { images: [1] },
  })
})

for (const body of [
  {},
  { error: { message: 'no' } },
  { choices: 'x' },
  { message: 'no' },
] as JsonObject[])
  test(`decode: ${JSON.stringify(body)} is no answer`, () => {
    assert.throws(() => decodeResult(body, notes), { name: 'GatewayError' })
  })

const usages: [name: string, usage: JsonObject, buckets: Partial<Usage>][] = [
  ['plain', { prompt_tokens: 10, completion_tokens: 5 }, { input: 10, output: 5 }],
  [
    'cached, audio and image are parts of the prompt',
    {
      prompt_tokens: 10,
      completion_tokens: 0,
      prompt_tokens_details: { cached_tokens: 4, audio_tokens: 2, image_tokens: 1 },
    },
    { input: 3, cacheRead: 4, inputAudio: 2, inputImage: 1 },
  ],
  [
    'reasoning and audio are parts of the completion',
    {
      prompt_tokens: 0,
      completion_tokens: 9,
      completion_tokens_details: { reasoning_tokens: 4, audio_tokens: 2 },
    },
    { output: 3, reasoning: 4, outputAudio: 2 },
  ],
  [
    'xAI: reasoning beside the completion, as the total shows',
    {
      prompt_tokens: 32,
      completion_tokens: 9,
      total_tokens: 135,
      prompt_tokens_details: { text_tokens: 32, cached_tokens: 6 },
      completion_tokens_details: { reasoning_tokens: 94 },
    },
    { input: 26, cacheRead: 6, output: 9, reasoning: 94 },
  ],
  [
    'the total shows that it is inside',
    {
      prompt_tokens: 32,
      completion_tokens: 103,
      total_tokens: 135,
      completion_tokens_details: { reasoning_tokens: 94 },
    },
    { input: 32, output: 9, reasoning: 94 },
  ],
  [
    'Perplexity: more reasoning than a completion could hold',
    {
      prompt_tokens: 33,
      completion_tokens: 7163,
      total_tokens: 7196,
      reasoning_tokens: 73129,
      num_search_queries: 30,
    },
    { input: 33, output: 7163, reasoning: 73129, searches: 30 },
  ],
  [
    'DeepSeek',
    {
      prompt_tokens: 10,
      completion_tokens: 1,
      prompt_cache_hit_tokens: 6,
      prompt_cache_miss_tokens: 4,
    },
    { input: 4, cacheRead: 6, output: 1 },
  ],
  [
    'in front of Claude',
    {
      prompt_tokens: 10,
      completion_tokens: 1,
      cache_creation_input_tokens: 5,
      prompt_tokens_details: { cached_tokens: 2 },
    },
    { input: 3, cacheRead: 2, cacheWrite: 5, output: 1 },
  ],
  ['the names of Responses', { input_tokens: 3, output_tokens: 4 }, { input: 3, output: 4 }],
  [
    'details beyond the whole',
    {
      prompt_tokens: 3,
      completion_tokens: 2,
      prompt_tokens_details: { cached_tokens: 9 },
      completion_tokens_details: { reasoning_tokens: 9 },
    },
    { cacheRead: 3, reasoning: 2 },
  ],
  [
    'counts below nothing',
    { prompt_tokens: -5, completion_tokens: -1, prompt_tokens_details: { cached_tokens: -9 } },
    {},
  ],
  [
    'counts beyond everything',
    { prompt_tokens: Number.POSITIVE_INFINITY, completion_tokens: 1 },
    { output: 1 },
  ],
  [
    'searches',
    { prompt_tokens: 1, completion_tokens: 1, num_search_queries: 3 },
    { input: 1, output: 1, searches: 3 },
  ],
]
for (const [name, usage, buckets] of usages)
  test(`usage: ${name}`, () =>
    assert.deepEqual(decodeUsage({ usage }), { ...noUsage, ...buckets, raw: usage }))

for (const usage of [null, undefined, {}, [], 'x', { prompt_tokens: '3' }, { total_tokens: 3 }])
  test(`usage: ${JSON.stringify(usage)} says nothing`, () => {
    assert.equal(decodeUsage(usage === undefined ? {} : { usage: usage as never }), undefined) // wrong on purpose
  })

const count = fc.nat(1000)
test('law: buckets written and read again sum to the same', () => {
  fc.assert(
    fc.property(
      count,
      count,
      count,
      count,
      count,
      count,
      count,
      (input, cacheRead, cacheWrite, inputAudio, output, reasoning, outputAudio) => {
        const usage: Usage = {
          ...noUsage,
          input,
          cacheRead,
          cacheWrite,
          inputAudio,
          output,
          reasoning,
          outputAudio,
        }
        const back = decodeUsage({ usage: encodeUsage(usage) })
        const { raw: _, ...buckets } = back ?? noUsage
        assert.deepEqual(buckets, usage)
        assert.equal(
          object(encodeUsage(usage))['total_tokens'],
          inputTokens(usage) + outputTokens(usage),
        )
      },
    ),
    { numRuns: 100 },
  )
})

test('law: any usage gives counts that are none below nothing and sum to what was said', () => {
  const value = fc.oneof(
    fc.integer({ min: -10, max: 50 }),
    fc.constant(null),
    fc.string(),
    fc.double(),
  )
  const details = fc.record(
    {
      cached_tokens: value,
      audio_tokens: value,
      image_tokens: value,
      cache_creation_tokens: value,
      reasoning_tokens: value,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(
      fc.nat(60),
      fc.nat(60),
      details,
      details,
      (prompt_tokens, completion_tokens, read, wrote) => {
        const usage =
          decodeUsage({
            usage: {
              prompt_tokens,
              completion_tokens,
              prompt_tokens_details: structuredClone(read),
              completion_tokens_details: structuredClone(wrote),
            } as JsonObject,
          }) ?? noUsage // odd on purpose
        const { raw: _, estimated: __, searches: ___, ...counts } = usage
        assert.ok(Object.values(counts).every((one) => one >= 0))
        assert.ok(
          Math.abs(inputTokens(usage) - prompt_tokens) < 1e-9 &&
            Math.abs(outputTokens(usage) - completion_tokens) < 1e-9,
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('encode: one message of all parts, null content beside calls', () => {
  const parts: Part[] = [
    { type: 'reasoning', text: 'h', signature: 's' },
    { type: 'text', text: 'a', annotations: [{ type: 'x' }] },
    { type: 'text', text: 'b' },
    { type: 'media', media: 'image', source: { type: 'url', url: 'https://e.com/i.png' } },
    { type: 'raw', wire: 'w', value: { r: 1 } },
  ]
  const encode = (of: Part[]) =>
    object(
      object(
        list(
          encodeResult(
            {
              id: '',
              created: 0,
              model: 'x',
              usage: noUsage,
              choices: [{ parts: of, finish: 'stop' }],
            },
            context,
          )['choices'],
        )[0],
      )['message'],
    )
  assert.deepEqual(encode(parts), {
    role: 'assistant',
    content: 'ab',
    reasoning_content: 'h',
    thinking_blocks: [{ type: 'thinking', thinking: 'h', signature: 's' }],
    annotations: [{ type: 'x' }],
    images: [{ type: 'image_url', image_url: { url: 'https://e.com/i.png' } }],
    provider_specific_fields: { raw_blocks: [{ r: 1 }] },
  })
  assert.equal(encode([{ type: 'tool-call', id: 'c', name: 'f', input: '{}' }])['content'], null)
  assert.equal(encode([])['content'], '')
})

test('law: an answer that passes says what its decoder hears', () => {
  const message = fc.oneof(
    fc.record({ content: fc.string() }),
    fc.record({ content: fc.string(), reasoning: fc.string() }),
    fc.record({
      content: fc.constant(null),
      tool_calls: fc.array(
        fc.record({
          id: fc.string(),
          function: fc.record({ name: fc.string(), arguments: fc.string() }),
        }),
      ),
    }),
    fc.record({ content: fc.constant(null), refusal: fc.string() }),
  )
  fc.assert(
    fc.property(fc.array(message, { maxLength: 3 }), fc.option(fc.nat(99)), (drawn, tokens) => {
      // Plain objects, as JSON.parse makes them.
      const said = structuredClone(drawn)
      const body: JsonObject = {
        id: 'i',
        model: 'm',
        choices: said.map((one, index) => ({ index, message: one, finish_reason: 'stop' })),
        ...(tokens !== null && { usage: { prompt_tokens: tokens, completion_tokens: 1 } }),
      }
      const pass = passResult(toUtf8(JSON.stringify(body)), target, context)
      const heard = decodeResult(body, notes)
      assert.deepEqual(pass.usage ?? noUsage, heard.usage)
      const words = heard.choices.flatMap(({ parts }) =>
        parts.map((part) =>
          part.type === 'tool-call' ? part.name + part.input : 'text' in part ? part.text : '',
        ),
      )
      const bare = (text: string) => text.replaceAll('\n', '')
      assert.equal(bare(pass.text()), bare(words.join('')))
    }),
    { numRuns: 150 },
  )
})
