import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { mockTransport } from './mock.ts'
import type { Upstream } from './transport.ts'
import { deployment } from './upstream.test.ts'

const naps: number[] = []
const sleep = async (ms: number): Promise<void> => void naps.push(ms)
async function ask(params: JsonObject, body: JsonObject | string, more: Partial<Upstream> = {}) {
  const to = deployment({ model: 'mock/any', ...params })
  const text =
    typeof body === 'string'
      ? body
      : JSON.stringify({ messages: [{ role: 'user', content: 'hello you' }], ...body })
  naps.length = 0
  const reply = await mockTransport(
    to,
    sleep,
  )({ url: 'x', headers: {}, body: toUtf8(text), ...more })
  return { status: reply.status, text: utf8(await reply.bytes()) }
}
const message = (text: string): JsonObject =>
  object(object(list(object(JSON.parse(text))['choices'])[0])['message'])

const answers: [
  name: string,
  params: JsonObject,
  body: JsonObject,
  seen: (message: JsonObject) => unknown,
  wanted: unknown,
][] = [
  ['echoes', {}, {}, ({ content }) => content, 'hello you'],
  ['a canned text', { mock_response: 'canned' }, {}, ({ content }) => content, 'canned'],
  [
    'a tool that is demanded',
    {},
    {
      tool_choice: 'required',
      tools: [
        {
          function: {
            name: 'f',
            parameters: {
              type: 'object',
              required: ['a', 'constructor'],
              properties: { a: { enum: ['x'] } },
            },
          },
        },
      ],
    },
    ({ tool_calls }) => object(object(list(tool_calls)[0])['function']),
    { name: 'f', arguments: '{"a":"x","constructor":{}}' },
  ],
  [
    'a tool that is named',
    {},
    { tools: [{ function: { name: 'g' } }, { function: { name: 'hello' } }] },
    ({ tool_calls }) => object(object(list(tool_calls)[0])['function'])['name'],
    'hello',
  ],
  [
    'no tool where none is meant',
    {},
    { tools: [{ function: { name: 'hello' } }], tool_choice: 'none' },
    ({ tool_calls }) => tool_calls,
    undefined,
  ],
  [
    'the final word',
    {},
    {
      tools: [{ function: { name: 'hello' } }],
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'tool', content: '42' },
      ],
    },
    ({ content }) => content,
    'The tool answered: 42',
  ],
  [
    'canned calls',
    { mock_tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
    {},
    ({ tool_calls, content }) => [list(tool_calls).length, content],
    [1, null],
  ],
]
for (const [name, params, body, seen, wanted] of answers)
  test(`mock: ${name}`, async () => {
    const { status, text } = await ask(params, body)
    assert.equal(status, 200)
    assert.deepEqual(seen(message(text)), wanted)
  })

const errors: [name: string, params: JsonObject, status: number, message: RegExp][] = [
  ['by the model', { model: 'mock/error-429' }, 429, /429/],
  ['by a setting', { mock_error: 503 }, 503, /503/],
  ['by a setting in a string', { mock_error: '500' }, 500, /500/],
  ["by LiteLLM's class", { mock_response: 'litellm.RateLimitError' }, 429, /RateLimitError/],
  [
    'context',
    { mock_response: 'litellm.ContextWindowExceededError' },
    400,
    /context_length_exceeded/,
  ],
  [
    'policy',
    { mock_response: 'Exception: content_filter_policy' },
    400,
    /content_policy_violation/,
  ],
]
for (const [name, params, status, said] of errors)
  test(`mock error: ${name}`, async () => {
    const got = await ask(params, {})
    assert.equal(got.status, status)
    assert.match(got.text, said)
  })

test('a class that is not one of the three is a text', async () => {
  const { text } = await ask({ mock_response: 'litellm.Timeout' }, {})
  assert.equal(message(text)['content'], 'litellm.Timeout')
})

test('several choices, a bounded number of them', async () => {
  const { text } = await ask({}, { n: 1e9 })
  assert.equal(list(object(JSON.parse(text))['choices']).length, 16)
})

const naptimes: [params: JsonObject, ms: number][] = [
  [{}, 0],
  [{ mock_delay: 2 }, 2000],
  [{ mock_latency_ms: 50 }, 50],
  [{ model: 'mock/latency-70' }, 70],
]
for (const [params, ms] of naptimes)
  test(`mock waits: ${JSON.stringify(params)}`, async () => {
    await ask(params, {})
    assert.deepEqual(naps, [ms])
  })

test('a limit that is passed is a timeout, and nobody waits longer', async () => {
  for (const params of [{ mock_timeout: true }, { mock_delay: 60 }]) {
    await assert.rejects(ask(params, {}, { limits: { firstByteMs: 30, totalMs: 90 } }), {
      kind: 'timeout',
      status: 408,
      message: /30 ms/,
    })
    assert.deepEqual(naps, [30])
  }
})

test('a body that is no JSON is refused as one', async () => {
  await assert.rejects(ask({}, '{"messages":[,]}'), { kind: 'bad_request', status: 400 })
})

test('a client that leaves is canceled, before and while it waits', async () => {
  const gone = new AbortController()
  const waiting = mockTransport(deployment({ model: 'mock/latency-90000' }))({
    url: 'x',
    headers: {},
    body: '{}',
    signal: gone.signal,
  })
  setImmediate(() => gone.abort())
  await assert.rejects(waiting, { kind: 'canceled' })
  await assert.rejects(
    mockTransport(deployment({ model: 'mock/x' }))({
      url: 'x',
      headers: {},
      body: '{}',
      signal: gone.signal,
    }),
    { kind: 'canceled' },
  )
})

test('a stream says what the whole answer says', async () => {
  const calls = [
    { id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":"bcdefghijklmn"}' } },
  ]
  for (const params of [
    { mock_response: 'some text 👋' },
    { mock_tool_calls: calls },
  ] as JsonObject[]) {
    const whole = message((await ask(params, {})).text)
    const { text } = await ask(params, { stream: true, stream_options: { include_usage: true } })
    const frames = text.split('\n\n').filter((one) => one !== '')
    assert.equal(frames.at(-1), 'data: [DONE]')
    const chunks = frames.slice(0, -1).map((frame) => object(JSON.parse(frame.slice(6))))
    assert.ok(object(chunks.at(-1))['usage'])
    const deltas = chunks.map(({ choices }) => object(object(list(choices)[0])['delta']))
    const said = deltas.map(({ content }) => (typeof content === 'string' ? content : '')).join('')
    assert.equal(said, whole['content'] ?? '')
    const input = deltas
      .map(({ tool_calls }) => object(object(list(tool_calls)[0])['function'])['arguments'] ?? '')
      .join('')
    assert.equal(input, object(object(list(whole['tool_calls'])[0])['function'])['arguments'] ?? '')
  }
})

test('a stream that breaks says so after its first words', async () => {
  const { text } = await ask({ mock_response: 'Exception: mock_streaming_error' }, { stream: true })
  assert.match(text, /"content":"Exc"[\s\S]*mock streaming error/)
  assert.doesNotMatch(text, /DONE/)
})
