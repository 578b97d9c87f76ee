import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import OpenAI, { APIError, AzureOpenAI } from 'openai'
import type { JsonObject } from '../src/json/json.ts'
import { ask, eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  chatStream,
  chunk,
  fileScope,
  hello,
  type Provider,
  refusal,
  startProvider,
  stream,
  usage,
  whole,
} from './support/provider.ts'

/** OpenAI's own client, through a real port. */
let provider: Provider
let gateway: Gateway
let client: OpenAI
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'

before(async () => {
  provider = await startProvider(scope, hello)
  gateway = await startGateway(scope, {
    models: [
      openaiRow('m', provider),
      openaiRow('team/project/model-1', provider),
      openaiRow('free/*', provider, { model: 'openai/*' }),
    ],
    general: { master_key: key },
    host: '127.0.0.1',
    key,
  })
  client = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
})

const messages = [{ role: 'user' as const, content: 'Say hello' }]
const tools = [
  {
    type: 'function' as const,
    function: { name: 'weather', parameters: { type: 'object', properties: {} } },
  },
]

describe('whole answers', () => {
  test('text, the public name, usage and headers', async () => {
    provider.tell(hello)
    const { data, response } = await client.chat.completions
      .create({ model: 'm', messages })
      .withResponse()
    equal(data.choices[0]?.message.content, 'Hello')
    equal(data.choices[0]?.finish_reason, 'stop')
    equal(data.model, 'm')
    equal(data.id, 'chatcmpl-upstream')
    deepEqual(data.usage, usage)
    equal(response.headers.get('x-litellm-model-group'), 'm')
    match(response.headers.get('x-litellm-call-id') ?? '', /^[\w-]{36}$/)
    const asked = provider.last()
    equal(asked.path, '/v1/chat/completions')
    equal(asked.headers.authorization, 'Bearer sk-upstream-credential')
    equal(asked.json['model'], 'upstream-model')
  })

  test('a provider that tells no usage: it is counted', async () => {
    provider.tell(() => whole({ ...chatAnswer({ content: 'Hello' }), usage: undefined }))
    const { usage: counted } = await client.chat.completions.create({ model: 'm', messages })
    deepEqual(counted && [counted.prompt_tokens, counted.completion_tokens], [9, 1])
  })

  test('fields that nobody models reach the provider and come back', async () => {
    provider.tell(() =>
      whole(chatAnswer({ content: 'x', novel: { deep: [1] } }, { service_tier: 'flex' })),
    )
    const answer = await client.chat.completions.create({
      model: 'm',
      messages,
      // @ts-expect-error: no such field, yet.
      brand_new: { a: [1, 2.5, null] },
    })
    deepEqual(provider.last().json['brand_new'], { a: [1, 2.5, null] })
    equal(answer.service_tier, 'flex')
    deepEqual(JSON.parse(JSON.stringify(answer.choices[0]?.message)).novel, { deep: [1] })
  })
})

describe('streams', () => {
  test('chunks, one id, the public name, no usage unless asked for', async () => {
    provider.tell(hello)
    const chunks = []
    for await (const one of await client.chat.completions.create({
      model: 'm',
      messages,
      stream: true,
    }))
      chunks.push(one)
    equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'Hello')
    deepEqual(
      [...new Set(chunks.map(({ id, model }) => `${id} ${model}`))],
      ['chatcmpl-upstream m'],
    )
    equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop')
    ok(chunks.every((one) => one.usage === undefined || one.usage === null))
    // The ledger needs it all the same.
    deepEqual(provider.last().json['stream_options'], { include_usage: true })
  })

  test('usage in a last chunk without choices', async () => {
    for (const told of [true, false]) {
      provider.tell((asked) =>
        stream(
          chatStream(told ? asked : { ...asked, json: {} }, [
            { content: 'Hel' },
            { content: 'lo' },
          ]),
        ),
      )
      const chunks = []
      for await (const one of await client.chat.completions.create({
        model: 'm',
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }))
        chunks.push(one)
      const last = chunks.at(-1)
      deepEqual(last?.choices, [])
      deepEqual(
        last?.usage && [last.usage.prompt_tokens, last.usage.completion_tokens],
        told ? [9, 3] : [9, 1],
      )
      equal(chunks.filter((one) => one.usage).length, 1)
    }
  })

  test('the stream helper puts tool calls together', async () => {
    const call = (said: JsonObject) => ({ tool_calls: [{ index: 0, ...said }] })
    provider.tell((asked) =>
      stream(
        chatStream(
          asked,
          [
            call({ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
            call({ function: { arguments: '{"city":' } }),
            call({ function: { arguments: '"Å"}' } }),
            {
              tool_calls: [
                {
                  index: 1,
                  id: 'call_2',
                  type: 'function',
                  function: { name: 'weather', arguments: '{}' },
                },
              ],
            },
          ],
          'tool_calls',
        ),
      ),
    )
    const run = client.chat.completions.stream({
      model: 'm',
      messages,
      tools,
      stream_options: { include_usage: true },
    })
    const done = await run.finalChatCompletion()
    const calls = done.choices[0]?.message.tool_calls?.map((one) =>
      one.type === 'function' ? [one.id, one.function.name, one.function.arguments] : [],
    )
    deepEqual(calls, [
      ['call_1', 'weather', '{"city":"Å"}'],
      ['call_2', 'weather', '{}'],
    ])
    equal(done.choices[0]?.finish_reason, 'tool_calls')
    deepEqual(await run.totalUsage(), usage)
  })

  test('several choices', async () => {
    provider.tell(() =>
      stream([
        ...[0, 1].map((index) => chunk({ role: 'assistant', content: `from ${index}` }, { index })),
        ...[1, 0].map((index) => chunk({}, { index, finish_reason: 'stop' })),
        'data: [DONE]\n\n',
      ]),
    )
    const done = await client.chat.completions
      .stream({ model: 'm', messages, n: 2 })
      .finalChatCompletion()
    deepEqual(
      done.choices.map((choice) => choice.message.content),
      ['from 0', 'from 1'],
    )
  })

  test('an error after the first words is the stream’s last event, and an APIError', async () => {
    provider.tell(() =>
      stream([
        chunk({ role: 'assistant', content: 'Hel' }),
        5,
        'data: {"error":{"message":"it broke","type":"server_error","code":"boom"}}\n\n',
      ]),
    )
    let heard = ''
    await rejects(
      async () => {
        for await (const one of await client.chat.completions.create({
          model: 'm',
          messages,
          stream: true,
        }))
          heard += one.choices[0]?.delta.content ?? ''
      },
      (error) =>
        error instanceof APIError &&
        /it broke/.test(error.message) &&
        error.type === 'server_error',
    )
    equal(heard, 'Hel')
  })

  test('a connection that breaks off is an error, not an end', async () => {
    for (const end of ['cut', 'end'] as const) {
      provider.tell(() => stream([chunk({ role: 'assistant', content: 'Hel' }), 20], { end }))
      await rejects(
        client.chat.completions.stream({ model: 'm', messages }).finalChatCompletion(),
        APIError,
      )
    }
  })

  test('an error before the first words is an HTTP error', async () => {
    for (const told of [
      refusal(503, { message: 'overloaded' }),
      stream(['data: {"error":{"message":"overloaded","code":503}}\n\n']),
      stream([': ping\n\n', 'data: {"error":{"message":"overloaded","code":"503"}}\n\n']),
    ]) {
      provider.tell(() => told)
      await rejects(
        client.chat.completions.create({ model: 'm', messages, stream: true }),
        (error) => error instanceof OpenAI.InternalServerError && error.status === 503,
      )
    }
  })
})

describe('errors are the client’s own classes', () => {
  const cases: [
    status: number,
    error: JsonObject,
    kind: new (...said: never[]) => APIError,
    more: JsonObject,
  ][] = [
    [
      400,
      { message: 'bad', param: 'temperature', code: null },
      OpenAI.BadRequestError,
      { param: 'temperature' },
    ],
    [
      400,
      {
        message: "This model's maximum context length is 8 tokens",
        code: 'context_length_exceeded',
      },
      OpenAI.BadRequestError,
      { code: 'context_length_exceeded' },
    ],
    [
      401,
      { message: 'bad key', code: 'invalid_api_key' },
      OpenAI.AuthenticationError,
      { code: 'invalid_api_key' },
    ],
    [403, { message: 'no' }, OpenAI.PermissionDeniedError, { code: '403' }],
    [
      404,
      { message: 'no such model', code: 'model_not_found' },
      OpenAI.NotFoundError,
      { code: 'model_not_found' },
    ],
    [409, { message: 'again' }, OpenAI.ConflictError, { code: '409' }],
    [422, { message: 'what' }, OpenAI.UnprocessableEntityError, { code: '422' }],
    [429, { message: 'slow down', type: 'requests' }, OpenAI.RateLimitError, { type: 'requests' }],
    [429, { message: 'slow down' }, OpenAI.RateLimitError, { type: 'throttling_error' }],
    [500, { message: 'oops' }, OpenAI.InternalServerError, { code: '500' }],
    [503, { message: 'later' }, OpenAI.InternalServerError, { code: '503' }],
  ]
  for (const [status, error, kind, more] of cases)
    test(`${status} ${JSON.stringify(error)}`, async () => {
      for (const streamed of [false, true]) {
        provider.tell(() => refusal(status, error))
        await rejects(
          client.chat.completions.create({ model: 'm', messages, stream: streamed }),
          (thrown) => {
            ok(thrown instanceof kind, String(thrown))
            equal(thrown.status, status)
            ok(thrown.message.includes(String(error['message'])), thrown.message)
            for (const field of ['param', 'code', 'type'] as const)
              if (field in more) equal(thrown[field], more[field])
            return true
          },
        )
      }
    })

  test('the gateway’s own refusals', async () => {
    await rejects(
      client.chat.completions.create({ model: 'nobody', messages }),
      (error) =>
        error instanceof OpenAI.BadRequestError && /Invalid model name.*nobody/.test(error.message),
    )
    await rejects(
      new OpenAI({ apiKey: 'sk-wrong', baseURL: `${gateway.url}/v1` }).models.list(),
      (error) => error instanceof OpenAI.AuthenticationError && !/sk-wrong/.test(error.message),
    )
    await rejects(
      // @ts-expect-error: what a mistaken caller sends.
      client.chat.completions.create({ model: 'm' }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === 'messages',
    )
    // @ts-expect-error: the same.
    await rejects(client.chat.completions.create({ messages }), OpenAI.BadRequestError)
  })

  test('nobody listens at the provider’s address', async (t) => {
    const own = await startGateway(t, {
      models: [openaiRow('m', { base: 'http://127.0.0.1:1/v1' })],
    })
    const lost = new OpenAI({ apiKey: 'any', baseURL: `${own.url}/v1`, maxRetries: 0 })
    await rejects(
      lost.chat.completions.create({ model: 'm', messages }),
      (error) =>
        error instanceof OpenAI.InternalServerError &&
        error.status === 500 &&
        /Connection error/.test(error.message) &&
        !/127\.0\.0\.1/.test(error.message),
    )
  })
})

describe('retries', () => {
  test('an upstream 429 stays one: the client’s two retries make three upstream requests', async () => {
    const eager = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1` })
    equal(eager.maxRetries, 2)
    const before = provider.asked.length
    provider.tell(() =>
      refusal(429, { message: 'slow down' }, { 'retry-after-ms': '1', 'retry-after': '0.01' }),
    )
    await rejects(eager.chat.completions.create({ model: 'm', messages }), OpenAI.RateLimitError)
    equal(provider.asked.length - before, 3)
  })

  test('the gateway’s own retry: the client sees one answer', async (t) => {
    const own = await startGateway(t, {
      models: [openaiRow('m', provider)],
      router: { num_retries: 1 },
    })
    let asked = 0
    provider.tell((request, nth) =>
      asked++ === 0
        ? refusal(429, { message: 'slow down' }, { 'retry-after': '0.01' })
        : hello(request, nth),
    )
    const once = new OpenAI({ apiKey: 'any', baseURL: `${own.url}/v1`, maxRetries: 0 })
    const { data, response } = await once.chat.completions
      .create({ model: 'm', messages })
      .withResponse()
    equal(data.choices[0]?.message.content, 'Hello')
    equal(response.headers.get('x-litellm-attempted-retries'), '1')
    equal(asked, 2)
  })
})

describe('a client that hangs up: the provider is told, the ledger still hears', () => {
  const settled = () => gateway.running.rooms.ledger.totals().requests

  test('of a stream', async () => {
    provider.tell(() => stream([chunk({ role: 'assistant', content: 'Hel' })], { end: 'hang' }))
    const before = settled()
    const run = await client.chat.completions.create({ model: 'm', messages, stream: true })
    for await (const one of run) if (one.choices[0]?.delta.content) break
    equal(await provider.last().gone, true)
    await eventually(() => settled() === before + 1)
  })

  test('before the first byte of a stream', async () => {
    provider.tell(() => ({ type: 'hang' }))
    const asked = provider.asked.length
    const before = settled()
    const stop = new AbortController()
    const run = client.chat.completions.create(
      { model: 'm', messages, stream: true },
      { signal: stop.signal },
    )
    run.catch(() => {})
    await eventually(() => provider.asked.length > asked)
    stop.abort()
    await rejects(run, OpenAI.APIUserAbortError)
    equal(await provider.last().gone, true)
    await eventually(() => settled() === before + 1)
  })

  test('of a whole call', async () => {
    provider.tell(() => ({ type: 'hang' }))
    const asked = provider.asked.length
    const before = settled()
    const stop = new AbortController()
    const run = client.chat.completions.create({ model: 'm', messages }, { signal: stop.signal })
    run.catch(() => {})
    await eventually(() => provider.asked.length > asked)
    stop.abort()
    await rejects(run, OpenAI.APIUserAbortError)
    equal(await provider.last().gone, true)
    await eventually(() => settled() === before + 1)
  })

  test('a slow provider between two pieces', async () => {
    provider.tell(() =>
      stream([chunk({ role: 'assistant', content: 'Hel' }), 50, chunk({ content: 'lo' })], {
        end: 'hang',
      }),
    )
    const before = settled()
    const run = await client.chat.completions.create({ model: 'm', messages, stream: true })
    let heard = 0
    for await (const one of run) if (one.choices[0]?.delta.content && ++heard === 2) break
    equal(await provider.last().gone, true)
    await eventually(() => settled() === before + 1)
  })
})

describe('Azure’s client', () => {
  test('deployment in the path, api-key header, api-version in the query', async () => {
    provider.tell(hello)
    const azure = new AzureOpenAI({
      endpoint: gateway.url,
      apiKey: key,
      apiVersion: '2025-01-01-preview',
      maxRetries: 0,
    })
    for (const model of ['m', 'team/project/model-1']) {
      const answer = await azure.chat.completions.create({ model, messages })
      equal(answer.choices[0]?.message.content, 'Hello')
      equal(answer.model, model)
    }
    const done = await azure.chat.completions.stream({ model: 'm', messages }).finalChatCompletion()
    equal(done.choices[0]?.message.content, 'Hello')
    // Neither its key nor its version go on.
    const { headers, path } = provider.last()
    equal(headers['api-key'], undefined)
    equal(path, '/v1/chat/completions')
    await rejects(
      azure.chat.completions.create({ model: 'nobody', messages }),
      OpenAI.BadRequestError,
    )
  })
})

describe('models', () => {
  test('listed, and found by ids with slashes', async () => {
    const listed = []
    for await (const model of client.models.list()) listed.push(model.id)
    ok(listed.includes('m') && listed.includes('team/project/model-1'), String(listed.slice(0, 9)))
    for (const id of ['m', 'team/project/model-1', 'free/anything/at-all']) {
      const model = await client.models.retrieve(id)
      equal(model.id, id)
      equal(model.object, 'model')
    }
    await rejects(
      client.models.retrieve('team/nobody'),
      (error) =>
        error instanceof OpenAI.NotFoundError &&
        error.code === 'model_not_found' &&
        /team\/nobody/.test(error.message),
    )
  })

  test('a name with characters of every kind', async () => {
    provider.tell(hello)
    const name = 'free/ünïcode %2F"model"\\ 你好'
    const answer = await client.chat.completions.create({ model: name, messages })
    equal(answer.model, name)
    equal(provider.last().json['model'], 'ünïcode %2F"model"\\ 你好')
    equal((await client.models.retrieve(name)).id, name)
    const response = await gateway.post('/v1/chat/completions', ask(name))
    equal(decodeURIComponent(response.headers.get('x-litellm-model-group') ?? ''), name)
  })
})
