import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type JsonObject, list, object } from '../src/json/json.ts'
import { eventsOf, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  type Asked,
  chatAnswer,
  chatStream,
  chunk,
  fileScope,
  hello,
  type Provider,
  refusal,
  type Script,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** Anthropic's Messages through a real port, over a provider that speaks it and over one that does not. */
const scope = fileScope()
let openai: Provider
let anthropic: Provider
let gateway: Gateway

const block = (type: string, value: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...value })}\n\n`

/** As Anthropic's servers answer. */
const messages: Script = ({ json }) =>
  json['stream'] === true
    ? stream([
        block('message_start', {
          message: {
            id: 'msg_upstream',
            type: 'message',
            role: 'assistant',
            model: 'claude-upstream',
            content: [],
            stop_reason: null,
            stop_sequence: null,
            usage: { input_tokens: 9, output_tokens: 1 },
          },
        }),
        block('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
        block('ping', {}),
        block('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Hel' } }),
        2,
        block('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'lo' } }),
        block('content_block_stop', { index: 0 }),
        block('message_delta', {
          delta: { stop_reason: 'end_turn', stop_sequence: null },
          usage: { output_tokens: 3 },
        }),
        block('message_stop', {}),
      ])
    : whole({
        id: 'msg_upstream',
        type: 'message',
        role: 'assistant',
        model: 'claude-upstream',
        content: [{ type: 'text', text: 'Hello' }],
        stop_reason: 'end_turn',
        stop_sequence: null,
        usage: { input_tokens: 9, output_tokens: 3 },
      })

before(async () => {
  openai = await startProvider(scope, hello)
  anthropic = await startProvider(scope, messages)
  gateway = await startGateway(scope, {
    models: [
      openaiRow('gpt', openai),
      {
        model_name: 'claude',
        litellm_params: {
          model: 'anthropic/claude-sonnet-4-5',
          api_base: anthropic.origin,
          api_key: 'sk-ant-upstream-credential',
        },
      },
    ],
    general: { master_key: 'sk-master-key-of-the-tests' },
    host: '127.0.0.1',
  })
})

const post = (body: JsonObject, headers: Record<string, string> = {}) =>
  gateway.post('/v1/messages', body, {
    'x-api-key': 'sk-master-key-of-the-tests',
    'anthropic-version': '2023-06-01',
    ...headers,
  })
const hi = (model: string, more: JsonObject = {}): JsonObject => ({
  model,
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Say hello' }],
  ...more,
})
const namesOf = (events: { event: string }[]) => events.map(({ event }) => event)

for (const model of ['gpt', 'claude'])
  describe(`over ${model === 'gpt' ? 'openai-chat' : 'anthropic'}`, () => {
    const reset = () => {
      openai.tell(hello)
      anthropic.tell(messages)
    }

    test('a whole answer', async () => {
      reset()
      const response = await post(hi(model))
      equal(response.status, 200)
      const body = await response.json()
      match(body.id, /^msg_/)
      deepEqual(
        [body.type, body.role, body.model, body.stop_reason, body.stop_sequence],
        ['message', 'assistant', model, 'end_turn', null],
      )
      deepEqual(body.content, [{ type: 'text', text: 'Hello' }])
      deepEqual([body.usage.input_tokens, body.usage.output_tokens], [9, 3])
    })

    test('a stream: its events, in their order', async () => {
      reset()
      const response = await post(hi(model, { stream: true }))
      match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
      const events = (await eventsOf(response)).filter(({ event }) => event !== 'ping')
      deepEqual(namesOf(events), [
        'message_start',
        'content_block_start',
        'content_block_delta',
        'content_block_delta',
        'content_block_stop',
        'message_delta',
        'message_stop',
      ])
      for (const { event, data } of events) equal(object(data).type, event)
      const { message } = object(events[0]?.data)
      equal(object(message).model, model)
      match(String(object(message).id), /^msg_/)
      const last = object(events.at(-2)?.data)
      equal(object(last.delta).stop_reason, 'end_turn')
      equal(object(last.usage).output_tokens, 3)
    })

    test('errors in its own words, whole or streamed', async () => {
      const cases: [status: number, type: string][] = [
        [400, 'invalid_request_error'],
        [401, 'authentication_error'],
        [403, 'permission_error'],
        [404, 'not_found_error'],
        [429, 'rate_limit_error'],
        [500, 'api_error'],
        [529, 'overloaded_error'],
      ]
      for (const [status, type] of cases)
        for (const streamed of [false, true]) {
          const error = { type, message: 'the reason' }
          openai.tell(() => refusal(status, { message: 'the reason' }))
          anthropic.tell(() => whole({ type: 'error', error }, { status }))
          const response = await post(hi(model, { stream: streamed }))
          equal(response.status, status)
          const body = await response.json()
          equal(body.type, 'error')
          equal(body.error.type, type)
          match(body.error.message, /the reason/)
        }
    })

    test('an error in the middle is an error event, and nothing follows', async () => {
      openai.tell(() =>
        stream([
          chunk({ role: 'assistant', content: 'Hel' }),
          5,
          'data: {"error":{"message":"it broke"}}\n\n',
        ]),
      )
      anthropic.tell(() =>
        stream([
          block('message_start', {
            message: { id: 'msg_1', model: 'x', usage: { input_tokens: 1 } },
          }),
          block('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
          block('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Hel' } }),
          5,
          block('error', { error: { type: 'overloaded_error', message: 'it broke' } }),
        ]),
      )
      const events = await eventsOf(await post(hi(model, { stream: true })))
      const last = events.at(-1)
      equal(last?.event, 'error')
      match(String(object(object(last?.data).error).message), /it broke/)
      ok(!namesOf(events).includes('message_stop'))
    })

    test('a client that hangs up: the provider is told', async () => {
      openai.tell(() => stream([chunk({ role: 'assistant', content: 'x' })], { end: 'hang' }))
      anthropic.tell(() =>
        stream(
          [
            block('message_start', { message: { id: 'msg_1', model: 'x', usage: {} } }),
            block('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
            block('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'x' } }),
          ],
          { end: 'hang' },
        ),
      )
      const response = await post(hi(model, { stream: true }))
      const reader = response.body?.getReader()
      await reader?.read()
      await reader?.cancel()
      equal(await (model === 'gpt' ? openai : anthropic).last().gone, true)
    })
  })

describe('over openai-chat', () => {
  test('tools, thoughts and pictures are told in the other words, and back', async () => {
    const call = {
      id: 'call_1',
      type: 'function',
      function: { name: 'weather', arguments: '{"city":"Oslo"}' },
    }
    openai.tell(() => whole(chatAnswer({ content: 'Let me see.', tool_calls: [call] })))
    const response = await post(
      hi('gpt', {
        system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
        tools: [{ name: 'weather', description: 'd', input_schema: { type: 'object' } }],
        tool_choice: { type: 'any' },
        stop_sequences: ['END'],
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Where?' },
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
            ],
          },
          {
            role: 'assistant',
            content: [{ type: 'tool_use', id: 'a', name: 'weather', input: {} }],
          },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'rain' }] },
        ],
      }),
    )
    const body = await response.json()
    equal(body.stop_reason, 'tool_use')
    deepEqual(body.content, [
      { type: 'text', text: 'Let me see.' },
      { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Oslo' } },
    ])
    const { json }: Asked = openai.last()
    deepEqual(
      list(json['messages']).map((message) => object(message).role),
      ['system', 'user', 'assistant', 'tool'],
    )
    deepEqual(object(object(list(object(list(json['messages'])[1]).content)[1]).image_url), {
      url: 'data:image/png;base64,iVBO',
    })
    equal(json['tool_choice'], 'required')
    deepEqual(json['stop'], ['END'])
    equal(object(object(list(json['tools'])[0]).function).name, 'weather')
  })

  test('a call that is streamed is input_json_delta', async () => {
    openai.tell((asked) =>
      stream(
        chatStream(
          asked,
          [
            {
              tool_calls: [
                {
                  index: 0,
                  id: 'call_1',
                  type: 'function',
                  function: { name: 'weather', arguments: '' },
                },
              ],
            },
            { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] },
            { tool_calls: [{ index: 0, function: { arguments: '"Oslo"}' } }] },
          ],
          'tool_calls',
        ),
      ),
    )
    const events = await eventsOf(await post(hi('gpt', { stream: true })))
    const blocks = events.filter(({ event }) => event === 'content_block_start')
    deepEqual(object(object(blocks.at(-1)?.data).content_block).type, 'tool_use')
    const json = events
      .map(({ data }) => object(object(data).delta))
      .filter((delta) => delta.type === 'input_json_delta')
      .map((delta) => delta.partial_json)
      .join('')
    deepEqual(JSON.parse(json), { city: 'Oslo' })
    equal(object(object(events.at(-2)?.data).delta).stop_reason, 'tool_use')
  })
})

describe('over anthropic', () => {
  test('the body goes on as it came, the beta with it, the key of the caller not', async () => {
    anthropic.tell(messages)
    const body = hi('claude', {
      thinking: { type: 'enabled', budget_tokens: 1024 },
      novel: { deep: true },
    })
    const response = await post(body, { 'anthropic-beta': 'context-1m-2025-08-07' })
    equal(response.status, 200)
    const { headers, json, path } = anthropic.last()
    equal(path, '/v1/messages')
    deepEqual(json, { ...body, model: 'claude-sonnet-4-5' })
    equal(headers['x-api-key'], 'sk-ant-upstream-credential')
    equal(headers['anthropic-version'], '2023-06-01')
    match(String(headers['anthropic-beta']), /context-1m-2025-08-07/)
    equal(headers.authorization, undefined)
  })

  test('asked in OpenAI’s words it answers in them', async () => {
    anthropic.tell(messages)
    const response = await gateway.post(
      '/v1/chat/completions',
      { model: 'claude', messages: [{ role: 'user', content: 'Hi' }] },
      { authorization: 'Bearer sk-master-key-of-the-tests' },
    )
    const body = await response.json()
    equal(body.choices[0].message.content, 'Hello')
    equal(body.model, 'claude')
    deepEqual([body.usage.prompt_tokens, body.usage.completion_tokens], [9, 3])
    ok(object(anthropic.last().json)['max_tokens'])
  })
})

describe('the gateway’s own refusals', () => {
  const cases: [name: string, body: JsonObject | string, status: number, type: string][] = [
    ['an unknown model', hi('nobody'), 400, 'invalid_request_error'],
    ['no model', { messages: [] }, 400, 'invalid_request_error'],
    ['no messages', { model: 'claude', max_tokens: 1 }, 400, 'invalid_request_error'],
    ['not JSON', '{"model":', 400, 'invalid_request_error'],
  ]
  for (const [name, body, status, type] of cases)
    test(name, async () => {
      const response = await gateway.post('/v1/messages', body, {
        'x-api-key': 'sk-master-key-of-the-tests',
      })
      equal(response.status, status)
      const told = await response.json()
      equal(told.type, 'error')
      equal(told.error.type, type)
    })

  test('a wrong key', async () => {
    const response = await post(hi('claude'), { 'x-api-key': 'sk-wrong' })
    equal(response.status, 401)
    equal((await response.json()).error.type, 'authentication_error')
  })
})
