import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finish } from '../../chat/chat.ts'
import { type FaultKind, GatewayError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { asked, heard, partsOf, targetOf } from '../testing.test.ts'
import type { Target } from '../wire.ts'
import { ollama } from './wire.ts'

const llama = targetOf('ollama_chat', 'llama3.2')
const encode = (body: JsonObject, to: Target = llama) => ollama.encodeRequest(asked(body), to)
const tool = (name: string): JsonObject => ({
  type: 'function',
  function: { name, parameters: { type: 'object' } },
})
const user: JsonObject = { role: 'user', content: 'x' }

const words: [name: string, said: JsonObject, sent: JsonObject][] = [
  ['a stream is turned off in so many words', {}, { stream: false }],
  ['and on', { stream: true }, { stream: true }],
  [
    'sampling goes into options',
    {
      max_tokens: 9,
      temperature: 0,
      top_p: 0.7,
      top_k: 3,
      seed: 1,
      stop: 'E',
      presence_penalty: 1,
    },
    {
      stream: false,
      options: {
        num_predict: 9,
        temperature: 0,
        top_p: 0.7,
        top_k: 3,
        seed: 1,
        stop: ['E'],
        presence_penalty: 1,
      },
    },
  ],
  [
    "the server's own options, by name or in their object",
    { num_ctx: 4096, options: { min_p: 0.1 }, keep_alive: '5m' },
    { stream: false, keep_alive: '5m', options: { num_ctx: 4096, min_p: 0.1 } },
  ],
  ['any JSON', { response_format: { type: 'json_object' } }, { stream: false, format: 'json' }],
  [
    'JSON of a schema',
    {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', schema: { type: 'object' } },
      },
    },
    { stream: false, format: { type: 'object' } },
  ],
  [
    'logprobs',
    { logprobs: true, top_logprobs: 2 },
    { stream: false, logprobs: true, top_logprobs: 2 },
  ],
  [
    'its own word for thinking wins',
    { think: true, reasoning_effort: 'none' },
    { stream: false, think: true },
  ],
]
for (const [name, said, sent] of words)
  test(`request: ${name}`, () => {
    const { messages: _, model: __, ...body } = encode(said).body
    assert.deepEqual(body, sent)
  })

const thinks: [model: string, said: JsonObject, sent: Json | undefined][] = [
  ['qwen3', { reasoning_effort: 'low' }, true],
  ['qwen3', { reasoning_effort: 'none' }, false],
  ['qwen3', { thinking: { type: 'enabled', budget_tokens: 9 } }, true],
  ['qwen3', { thinking: { type: 'disabled' } }, false],
  ['qwen3', {}, undefined],
  ['gpt-oss:20b', { reasoning_effort: 'minimal' }, 'low'],
  ['gpt-oss:20b', { reasoning_effort: 'xhigh' }, 'high'],
  ['gpt-oss:20b', { reasoning_effort: 'none' }, false],
  ['gpt-oss:20b', { thinking: { type: 'enabled', budget_tokens: 3000 } }, 'medium'],
]
for (const [model, said, sent] of thinks)
  test(`thinking of ${model}: ${JSON.stringify(said)}`, () =>
    assert.equal(encode(said, targetOf('ollama', model)).body.think, sent))

for (const said of [
  { n: 2 },
  { parallel_tool_calls: false },
  { logit_bias: { 1: 1 } },
] as JsonObject[])
  test(`${Object.keys(said)} is refused by name, or dropped where that is wished`, () => {
    assert.throws(
      () => encode(said),
      (error) => GatewayError.is(error) && error.kind === 'unsupported_params',
    )
    assert.deepEqual(encode(said, { ...llama, dropParams: true }).dropped, Object.keys(said))
  })

const choices: [choice: Json, tools: number | undefined, dropped: string[] | undefined][] = [
  ['auto', 2, undefined],
  ['none', undefined, undefined],
  ['required', 2, ['tool_choice']],
  [{ type: 'function', function: { name: 'b' } }, 1, ['tool_choice']],
]
for (const [tool_choice, tools, dropped] of choices)
  test(`tool_choice ${JSON.stringify(tool_choice)}: others are kept back, nothing is forced`, () => {
    const encoded = encode({ tools: [tool('a'), tool('b')], tool_choice })
    assert.equal((encoded.body.tools as Json[] | undefined)?.length, tools)
    assert.deepEqual(encoded.dropped, dropped)
  })

const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } }
const conversations: [name: string, said: JsonObject[], sent: JsonObject[]][] = [
  [
    'texts are one, pictures bare base64',
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
          { type: 'text', text: 'b' },
        ],
      },
    ],
    [{ role: 'user', content: 'a\nb', images: ['AA=='] }],
  ],
  [
    'calls have objects, results the name of their tool',
    [
      user,
      { role: 'assistant', reasoning_content: 'hm', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'r' },
    ],
    [
      user,
      {
        role: 'assistant',
        content: '',
        thinking: 'hm',
        tool_calls: [{ function: { name: 'look', arguments: { at: 1 } } }],
      },
      { role: 'tool', content: 'r', tool_name: 'look' },
    ],
  ],
  [
    'a developer is the system',
    [{ role: 'developer', content: 'S' }, user],
    [{ role: 'system', content: 'S' }, user],
  ],
  [
    'a file of text is text',
    [
      {
        role: 'user',
        content: [
          { type: 'file', file: { filename: 'a', file_data: 'data:text/plain;base64,SGk=' } },
        ],
      },
    ],
    [{ role: 'user', content: 'a:\nHi' }],
  ],
]
for (const [name, messages, sent] of conversations)
  test(`messages: ${name}`, () => assert.deepEqual(encode({ messages }).body.messages, sent))

test('a picture that was not fetched is refused with its address, whatever may be dropped', () => {
  const messages = [
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://e.com/a.png' } }] },
  ]
  for (const dropParams of [false, true])
    assert.throws(
      () => encode({ messages }, { ...llama, dropParams }),
      (error) =>
        GatewayError.is(error) &&
        error.kind === 'bad_request' &&
        error.message.includes('https://e.com/a.png'),
    )
})

const finishes: [reason: string | undefined, calls: number, finish: Finish][] = [
  ['stop', 0, 'stop'],
  ['stop', 1, 'tool-calls'],
  ['length', 0, 'length'],
  ['length', 1, 'length'],
  [undefined, 0, 'stop'],
  ['unload', 0, 'other'],
]
for (const [done_reason, calls, finish] of finishes)
  test(`done_reason ${done_reason} with ${calls} calls is ${finish}`, () => {
    const tool_calls = Array.from({ length: calls }, () => ({
      function: { name: 'f', arguments: {} },
    }))
    const line: JsonObject = {
      message: { content: '', tool_calls },
      done: true,
      ...(done_reason && { done_reason }),
    }
    assert.equal(ollama.decodeResult(line, { model: 'm' }).choices[0]?.finish, finish)
    const events = heard(ollama, `${JSON.stringify(line)}\n`, [9])
    assert.equal(events.find((event) => event.type === 'finish')?.finish, finish)
  })

test('an answer: thoughts, words, time, counts', () => {
  const result = ollama.decodeResult(
    {
      created_at: '2026-01-01T00:00:00Z',
      message: { thinking: 'hm', content: 'Hi' },
      logprobs: [{ token: 'Hi', logprob: -1 }],
      prompt_eval_count: 12,
      eval_count: 5,
    },
    { model: 'm' },
  )
  assert.deepEqual(result.choices[0]?.parts, [
    { type: 'reasoning', text: 'hm' },
    { type: 'text', text: 'Hi' },
  ])
  assert.deepEqual(result.choices[0]?.logprobs, { content: [{ token: 'Hi', logprob: -1 }] })
  assert.deepEqual(
    [result.created, result.usage.input, result.usage.output],
    [1_767_225_600, 12, 5],
  )
})

test('counts nobody told are left for the gateway to count', () => {
  const line = { message: { content: 'Hi' }, done: true }
  assert.equal(ollama.decodeResult(line, { model: 'm' }).usage.raw, undefined)
  assert.equal(
    heard(ollama, `${JSON.stringify(line)}\n`, [9]).some((event) => event.type === 'usage'),
    false,
  )
})

test('the input of a freeform tool comes back as plain text', () => {
  const notes = { model: 'm', customTools: new Set(['sh']) }
  const line = {
    message: { tool_calls: [{ function: { name: 'sh', arguments: { input: 'ls' } } }] },
    done: true,
  }
  const [part] = partsOf(heard(ollama, JSON.stringify(line), [9], notes))
  assert.ok(part?.type === 'tool-call')
  assert.deepEqual([part.kind, part.input], ['custom', 'ls'])
})

const errors: [status: number, message: string, kind: FaultKind][] = [
  [404, "model 'llama3.2' not found", 'not_found'],
  [400, '"llama3.2" does not support tools', 'bad_request'],
  [400, 'the input exceeds the context length', 'context_window'],
  [503, 'server busy', 'unavailable'],
]
for (const [status, error, kind] of errors)
  test(`HTTP ${status} "${error}" is ${kind}`, () => {
    const decoded = ollama.decodeError({
      status,
      body: JSON.stringify({ error }),
      header: () => undefined,
    })
    assert.deepEqual([decoded.kind, decoded.status, decoded.message], [kind, status, error])
  })

test('an error inside a stream is a fault, and then there is silence', () => {
  const stream =
    '{"message":{"content":"a"}}\n{"error":"out of memory"}\n{"message":{"content":"b"},"done":true}\n'
  const events = heard(ollama, stream, [3])
  assert.deepEqual(
    events.map((event) => event.type),
    ['start', 'text', 'fault'],
  )
  assert.throws(
    () => ollama.decodeResult({ error: 'out of memory' }, { model: 'm' }),
    /out of memory/,
  )
})
