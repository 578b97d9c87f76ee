import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finish } from '../../chat/chat.ts'
import { type FaultKind, GatewayError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { heard, partsOf } from '../testing.test.ts'
import { cohere } from './wire.ts'

const notes = { model: 'm' }
const answer = (message: JsonObject, more: JsonObject = {}) =>
  cohere.decodeResult({ id: 'c1', message, finish_reason: 'COMPLETE', ...more }, notes)
const stream = (...events: JsonObject[]) =>
  heard(cohere, events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''), [1e6])

const finishes: [reason: string, finish: Finish][] = [
  ['COMPLETE', 'stop'],
  ['STOP_SEQUENCE', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['TOOL_CALL', 'tool-calls'],
  ['toString', 'other'],
]
for (const [finish_reason, finish] of finishes)
  test(`${finish_reason} is ${finish}, whole and streamed`, () => {
    assert.equal(answer({}, { finish_reason }).choices[0]?.finish, finish)
    const events = stream(
      { type: 'message-start' },
      { type: 'message-end', delta: { finish_reason } },
    )
    assert.equal(events.find((event) => event.type === 'finish')?.finish, finish)
  })

for (const [finish_reason, kind] of [
  ['ERROR', 'provider'],
  ['TIMEOUT', 'timeout'],
] as const)
  test(`${finish_reason} is no answer but a ${kind} fault`, () => {
    assert.throws(
      () => answer({}, { finish_reason }),
      (error) => GatewayError.is(error) && error.kind === kind,
    )
    const events = stream({ type: 'message-end', delta: { finish_reason, error: 'because' } })
    const fault = events.find((event) => event.type === 'fault')
    assert.equal(fault?.error.kind, kind)
    assert.equal(fault?.error.message, 'because')
  })

const usages: [name: string, said: JsonObject, counts: number[]][] = [
  [
    'the invoice counts',
    {
      billed_units: { input_tokens: 5, output_tokens: 3 },
      tokens: { input_tokens: 71, output_tokens: 4 },
    },
    [5, 0, 3],
  ],
  [
    'what went through the model, where there is no invoice',
    { tokens: { input_tokens: 71, output_tokens: 4 } },
    [71, 0, 4],
  ],
  [
    'cached tokens are in no other bucket',
    { tokens: { input_tokens: 71 }, cached_tokens: 64 },
    [7, 64, 0],
  ],
  [
    'more cached than read is no debt',
    { billed_units: { input_tokens: 5 }, cached_tokens: 64 },
    [0, 5, 0],
  ],
  ['nonsense is nothing', { tokens: { input_tokens: -1, output_tokens: 1e300 } }, [0, 0, 0]],
]
for (const [name, said, counts] of usages)
  test(`usage: ${name}`, () => {
    const { usage } = answer({}, { usage: said })
    assert.deepEqual([usage.input, usage.cacheRead, usage.output], counts)
    assert.deepEqual(usage.raw, said)
  })

const source = { type: 'document', id: 'd', document: { url: 'https://e.com', title: 'E' } }
const linked = {
  start: 1,
  end: 3,
  text: 'ab',
  sources: [source],
  content_index: 1,
  type: 'TEXT_CONTENT',
}
const plain = {
  start: 0,
  end: 1,
  text: 'x',
  sources: [{ type: 'tool', id: 't' }],
  content_index: 1,
}
const planned = { start: 0, end: 1, text: 'p', sources: [], type: 'PLAN' }
const annotations: Json = [
  {
    type: 'url_citation',
    url_citation: {
      url: 'https://e.com',
      title: 'E',
      start_index: 1,
      end_index: 3,
      cited_text: 'ab',
    },
  },
  plain,
]

test('citations are annotations of the text, and all of them are kept as they came', () => {
  const citations = [linked, plain, planned]
  const choice = answer({
    content: [
      { type: 'thinking', thinking: 'hm' },
      { type: 'text', text: 'xabc' },
    ],
    citations,
  }).choices[0]
  assert.deepEqual(choice?.parts, [
    { type: 'reasoning', text: 'hm' },
    { type: 'text', text: 'xabc', annotations },
  ])
  assert.deepEqual(choice?.extras, { provider_specific_fields: { citations } })
})

test('in a stream too', () => {
  const said = (type: string, index: number, message: JsonObject): JsonObject => ({
    type,
    index,
    delta: { message },
  })
  const events = stream(
    said('content-delta', 0, { content: { thinking: 'hm' } }),
    said('content-delta', 1, { content: { text: 'xabc' } }),
    said('citation-start', 0, { citations: linked }),
    said('citation-start', 1, { citations: plain }),
    said('citation-start', 2, { citations: planned }),
    { type: 'citation-end', index: 0 },
    { type: 'message-end', delta: { finish_reason: 'COMPLETE' } },
  )
  const told = events.flatMap((event) => (event.type === 'annotation' ? [event.annotation] : []))
  assert.deepEqual(told, annotations)
  const extras = events.find((event) => event.type === 'extras')
  assert.deepEqual(extras?.extras, {
    provider_specific_fields: { citations: [linked, plain, planned] },
  })
})

test('a plan is a thought, and kept by its name', () => {
  const tool_calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '' } }]
  const choice = answer({ tool_plan: 'I look', tool_calls }).choices[0]
  assert.deepEqual(choice?.parts, [
    { type: 'reasoning', text: 'I look' },
    { type: 'tool-call', id: 'c', name: 'f', input: '{}' },
  ])
  assert.equal(choice?.finish, 'tool-calls')
  assert.deepEqual(choice?.extras, { provider_specific_fields: { tool_plan: 'I look' } })
})

test('the input of a freeform tool comes back as plain text', () => {
  const custom = { model: 'm', customTools: new Set(['sh']) }
  const fn = { name: 'sh', arguments: '{"input":"ls -l"}' }
  const want = [{ type: 'tool-call', id: 'c', name: 'sh', input: 'ls -l', kind: 'custom' }]
  const body = { message: { tool_calls: [{ id: 'c', function: fn }] } }
  assert.deepEqual(cohere.decodeResult(body, custom).choices[0]?.parts, want)
  const events = [
    {
      type: 'tool-call-start',
      index: 4,
      delta: { message: { tool_calls: { id: 'c', function: { name: 'sh' } } } },
    },
    {
      type: 'tool-call-delta',
      index: 4,
      delta: { message: { tool_calls: { function: { arguments: fn.arguments } } } },
    },
    { type: 'message-end', delta: { finish_reason: 'TOOL_CALL' } },
  ]
  const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')
  assert.deepEqual(partsOf(heard(cohere, text, [5], custom)), want)
})

test('logprobs have the shape OpenAI gives them', () => {
  const logprobs = [{ text: 'Hi', token_ids: [1, 2], logprobs: [-1, -0.5] }]
  assert.deepEqual(answer({}, { logprobs }).choices[0]?.logprobs, {
    content: [{ token: 'Hi', logprob: -1.5, bytes: null, top_logprobs: [] }],
  })
})

const errors: [status: number, message: string, kind: FaultKind][] = [
  [429, 'You are past the per minute request limit', 'rate_limit'],
  [401, 'invalid api token', 'authentication'],
  [
    400,
    'too many tokens: total number of tokens in the prompt cannot exceed 4081',
    'context_window',
  ],
  [400, 'too many tokens: max tokens must be less than or equal to 4096', 'bad_request'],
  [400, 'message must not be empty in a turn', 'bad_request'],
  [500, 'internal', 'provider'],
]
for (const [status, message, kind] of errors)
  test(`HTTP ${status} "${message.slice(0, 40)}" is ${kind}`, () => {
    const error = cohere.decodeError({
      status,
      body: JSON.stringify({ message }),
      header: () => undefined,
    })
    assert.deepEqual([error.kind, error.status, error.message], [kind, status, message])
  })

test('an error where an answer was expected is one', () => {
  assert.throws(
    () => cohere.decodeResult({ message: 'no' }, notes),
    (error) => GatewayError.is(error) && error.message === 'no',
  )
  assert.deepEqual(
    stream({ message: 'no' }).map((event) => event.type),
    ['fault'],
  )
})

test('a call that has ended is told once, with or without parameters', () => {
  const at = (type: string, index: number, tool_calls?: JsonObject): JsonObject => ({
    type,
    index,
    ...(tool_calls && { delta: { message: { tool_calls } } }),
  })
  const events = [
    at('tool-call-start', 0, { id: 'a', function: { name: 'now', arguments: '' } }),
    at('tool-call-end', 0),
    at('tool-call-start', 1, { id: 'b', function: { name: 'sh', arguments: '{"input":"ls"}' } }),
    at('tool-call-end', 1),
    { type: 'message-end', delta: { finish_reason: 'TOOL_CALL' } },
  ]
  const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')
  assert.deepEqual(
    partsOf(heard(cohere, text, [9], { model: 'm', customTools: new Set(['sh']) })),
    [
      { type: 'tool-call', id: 'a', name: 'now', input: '{}' },
      { type: 'tool-call', id: 'b', name: 'sh', input: 'ls', kind: 'custom' },
    ],
  )
})
