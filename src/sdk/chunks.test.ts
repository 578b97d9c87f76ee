import { deepEqual, equal, throws } from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fileScope } from '../../test/support/provider.ts'
import { openPlace } from '../../test/support/sdk.ts'
import type { ChatCompletion, ChatCompletionChunk } from './types.ts'

const scope = fileScope()
const { sdk } = openPlace(scope)
const messages = [{ role: 'user' as const, content: 'Hi' }]

/** An answer told as a stream by the mock provider, and put together again. */
async function thereAndBack(
  answer: object,
): Promise<{ whole: ChatCompletion; built: ChatCompletion }> {
  const asked = { model: 'openai/gpt-4o', messages, mock_response: answer }
  const chunks: ChatCompletionChunk[] = []
  for await (const one of await sdk.completion({
    ...asked,
    stream: true,
    stream_options: { include_usage: true },
  }))
    chunks.push(one)
  return { whole: await sdk.completion(asked), built: sdk.stream_chunk_builder(chunks) }
}

const word = fc.string({ unit: 'grapheme', maxLength: 20 })
const call = fc.record({
  id: fc.stringMatching(/^call_[a-z]{4}$/),
  type: fc.constant('function'),
  function: fc.record({
    name: fc.stringMatching(/^[a-z]{1,8}$/),
    arguments: fc.json({ maxDepth: 1 }),
  }),
})
const choice = fc.oneof(
  word
    .filter((said) => said !== '')
    .map((content) => ({ message: { role: 'assistant', content }, finish_reason: 'stop' })),
  fc.array(call, { minLength: 1, maxLength: 3 }).map((calls) => ({
    message: { role: 'assistant', content: null, tool_calls: calls },
    finish_reason: 'tool_calls',
  })),
)
const answers = fc.array(choice, { minLength: 1, maxLength: 3 }).map((choices) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 5,
  model: 'm',
  choices: choices.map((one, index) => ({ index, ...one })),
  usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
}))

test('an answer that was streamed is the answer', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      const { whole, built } = await thereAndBack(answer)
      const text = ({ choices }: ChatCompletion) =>
        choices.map(({ message }) => ({ ...message, content: message.content || null }))
      deepEqual(text(built), text(whole))
      deepEqual(
        built.choices.map((one) => one.finish_reason),
        whole.choices.map((one) => one.finish_reason),
      )
      deepEqual([built.id, built.created, built.usage], [whole.id, whole.created, whole.usage])
      equal(sdk.completion_cost({ completion_response: built }), whole._hidden_params.response_cost)
    }),
    { numRuns: 25 },
  )
})

const chunk = (delta: object, more: object = {}, top: object = {}): ChatCompletionChunk =>
  JSON.parse(
    JSON.stringify({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'gpt-4o',
      choices: [{ index: 0, delta, ...more }],
      ...top,
    }),
  )

const built: [name: string, deltas: object[], message: object][] = [
  [
    'thoughts',
    [{ reasoning_content: 'Let ' }, { reasoning_content: 'me' }, { content: 'Yes' }],
    { content: 'Yes', reasoning_content: 'Let me' },
  ],
  [
    'signed thoughts',
    [
      { thinking_blocks: [{ type: 'thinking', thinking: 'a', signature: 's' }] },
      { thinking_blocks: [{ type: 'redacted_thinking', data: 'd' }] },
    ],
    {
      content: null,
      thinking_blocks: [
        { type: 'thinking', thinking: 'a', signature: 's' },
        { type: 'redacted_thinking', data: 'd' },
      ],
    },
  ],
  [
    'a refusal',
    [{ refusal: 'I ' }, { refusal: 'will not' }],
    { content: null, refusal: 'I will not' },
  ],
  [
    'the old way to call',
    [{ function_call: { name: 'f', arguments: '{' } }, { function_call: { arguments: '}' } }],
    { content: null, function_call: { name: 'f', arguments: '{}' } },
  ],
  [
    'annotations',
    [{ content: 'a', annotations: [{ type: 'x' }] }, { annotations: [{ type: 'y' }] }],
    { content: 'a', annotations: [{ type: 'x' }, { type: 'y' }] },
  ],
  [
    'a call whose name comes again and again',
    [
      {
        tool_calls: [
          { index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '{"a"' } },
        ],
      },
      {
        tool_calls: [
          { index: 0, id: '', type: 'function', function: { name: 'f', arguments: ':1}' } },
        ],
      },
    ],
    {
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
    },
  ],
  [
    'sound',
    [{ audio: { id: 'a', data: 'AA' } }, { audio: { data: 'BB', transcript: 'Hi' } }],
    { content: null, audio: { id: 'a', data: 'AABB', transcript: 'Hi' } },
  ],
]
for (const [name, deltas, message] of built)
  test(`put together: ${name}`, () => {
    const { choices } = sdk.stream_chunk_builder(deltas.map((delta) => chunk(delta)))
    deepEqual(choices[0]?.message, { role: 'assistant', ...message })
  })

test('log probabilities, endings and the rest of the head', () => {
  const { choices, system_fingerprint: print } = sdk.streamChunkBuilder([
    chunk({ content: 'a' }, { logprobs: { content: [{ token: 'a' }] } }),
    chunk(
      { content: 'b' },
      { logprobs: { content: [{ token: 'b' }] }, finish_reason: 'length' },
      { system_fingerprint: 'fp' },
    ),
  ])
  deepEqual(choices[0]?.logprobs, { content: [{ token: 'a' }, { token: 'b' }], refusal: [] })
  equal(choices[0]?.finish_reason, 'length')
  equal(print, 'fp')
})

test('usage nobody told is counted: what was asked only if it is said', () => {
  const chunks = [chunk({ content: 'Hello' }), chunk({ content: ' world' })]
  deepEqual(sdk.stream_chunk_builder(chunks).usage, {
    prompt_tokens: 0,
    completion_tokens: 2,
    total_tokens: 2,
  })
  deepEqual(sdk.stream_chunk_builder(chunks, { messages }).usage, {
    prompt_tokens: 8,
    completion_tokens: 2,
    total_tokens: 10,
  })
})

test('no chunks, no answer', () => {
  throws(() => sdk.stream_chunk_builder([]), { name: 'BadRequestError' })
})
