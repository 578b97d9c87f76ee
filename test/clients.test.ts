import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import OpenAI from 'openai'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { type JsonObject, list, object } from '../src/json/json.ts'
import { ask, eventsOf, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  type Asked,
  chatAnswer,
  chatStream,
  chunk,
  fileScope,
  hello,
  type Provider,
  refusal,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** Products that are pointed at the gateway, calling as their sources and their wire say they do. */
const scope = fileScope()
let provider: Provider
let gateway: Gateway

before(async () => {
  provider = await startProvider(scope, hello)
  gateway = await startGateway(scope, {
    models: [
      openaiRow('gpt-5.5', provider),
      openaiRow('openai/gpt-4.1', provider, { model: 'openai/gpt-4.1' }),
      openaiRow('default', provider),
    ],
  })
})

const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}

describe('Sim', () => {
  /** Its base URL, one trailing slash less. */
  const discover = (base: string) =>
    fetch(`${base.replace(/\/$/, '')}/v1/models`, {
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer empty' },
    })
  const client = () =>
    new OpenAI({ apiKey: 'empty', baseURL: `${gateway.url}/v1`, timeout: 600_000 })

  test('discovery: ids, slashes and all', async () => {
    for (const base of [gateway.url, `${gateway.url}/`]) {
      const response = await discover(base)
      equal(response.status, 200)
      const { data } = await response.json()
      deepEqual(
        data.map(({ id }: { id: unknown }) => id),
        ['gpt-5.5', 'openai/gpt-4.1', 'default'],
      )
    }
  })

  test('a base that ends in /v1 is doubled: a clean 404', async () => {
    const response = await discover(`${gateway.url}/v1`)
    equal(response.status, 404)
    match(response.headers.get('content-type') ?? '', /^application\/json/)
    const body = await response.json()
    match(body.error.message, /\/v1\/v1\/models/)
    equal(body.detail, body.error.message)
    const doubled = new OpenAI({ apiKey: 'empty', baseURL: `${gateway.url}/v1/v1`, maxRetries: 0 })
    await rejects(
      doubled.chat.completions.create({ model: 'gpt-5.5', messages: [] }),
      OpenAI.NotFoundError,
    )
  })

  test('the tool loop: names on tool messages and the thoughts of the turn before are kept', async () => {
    const call = {
      id: 'call_1',
      type: 'function' as const,
      function: { name: 'weather', arguments: '{"city":"Oslo"}' },
    }
    const thinking = 'They want the weather.'
    provider.tell(({ json }) =>
      object(list(json['messages']).at(-1)).role === 'tool'
        ? whole(chatAnswer({ content: 'Rain.' }))
        : whole(chatAnswer({ content: null, reasoning_content: thinking, tool_calls: [call] })),
    )
    const common = {
      model: 'openai/gpt-4.1',
      temperature: 0.2,
      max_completion_tokens: 400,
      tools: [weather],
    }
    const question: ChatCompletionMessageParam[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Weather in Oslo?' },
    ]
    const first = await client().chat.completions.create({
      ...common,
      messages: question,
      tool_choice: { type: 'function', function: { name: 'weather' } },
    })
    const said = first.choices[0]?.message
    deepEqual(said?.tool_calls, [call])
    equal(said?.content, null)
    equal(object(JSON.parse(JSON.stringify(said))).reasoning_content, thinking)
    const replay = [
      { role: 'assistant', content: null, reasoning_content: thinking, tool_calls: [call] },
      { role: 'tool', name: 'weather', tool_call_id: 'call_1', content: '{"sky":"rain"}' },
    ]
    const second = await client().chat.completions.create({
      ...common,
      messages: [...question, ...(replay as ChatCompletionMessageParam[])], // as it sends them, beyond the types
      tool_choice: 'auto',
    })
    equal(second.choices[0]?.message.content, 'Rain.')
    const { json } = provider.last()
    deepEqual(list(json['messages']).slice(2), replay)
    equal(json['max_completion_tokens'], 400)
    equal(json['tool_choice'], 'auto')
  })

  test('schemas, strict or not, and the extraction after the tools, arrive as they were sent', async () => {
    provider.tell(() => whole(chatAnswer({ content: '{"city":"Oslo"}' })))
    for (const strict of [true, false]) {
      const response_format = {
        type: 'json_schema' as const,
        json_schema: { name: 'answer', strict, schema: weather.function.parameters },
      }
      const extraction = {
        tools: [weather],
        tool_choice: 'none' as const,
        parallel_tool_calls: false,
        response_format,
        reasoning_effort: 'low' as const,
      }
      const answer = await client().chat.completions.create({
        model: 'gpt-5.5',
        messages: [{ role: 'user', content: 'Extract' }],
        ...extraction,
      })
      equal(answer.choices[0]?.message.content, '{"city":"Oslo"}')
      for (const [key, value] of Object.entries(extraction))
        deepEqual(provider.last().json[key], value)
    }
  })

  test('an attached picture', async () => {
    provider.tell(hello)
    const content = [
      { type: 'text' as const, text: 'What is this?' },
      { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
    ]
    await client().chat.completions.create({
      model: 'gpt-5.5',
      messages: [{ role: 'user', content }],
    })
    deepEqual(object(list(provider.last().json['messages'])[0]).content, content)
  })

  test('a stream with thoughts and usage; an error inside one surfaces', async () => {
    const open = {
      model: 'gpt-5.5',
      messages: [{ role: 'user' as const, content: 'Hi' }],
      stream: true as const,
      stream_options: { include_usage: true },
    }
    provider.tell((asked) =>
      stream(chatStream(asked, [{ reasoning_content: 'Hm.' }, { content: 'Hello' }])),
    )
    const heard = { text: '', thought: '', tokens: 0 }
    for await (const one of await client().chat.completions.create(open)) {
      const delta = object(JSON.parse(JSON.stringify(one.choices[0]?.delta ?? {})))
      heard.text += delta.content ?? ''
      heard.thought += delta.reasoning_content ?? ''
      heard.tokens = one.usage?.total_tokens ?? heard.tokens
    }
    deepEqual(heard, { text: 'Hello', thought: 'Hm.', tokens: 12 })

    provider.tell(() =>
      stream([
        chunk({ role: 'assistant', content: 'x' }),
        5,
        'data: {"error":{"message":"gone"}}\n\n',
      ]),
    )
    await rejects(async () => {
      for await (const _ of await client().chat.completions.create(open));
    }, /gone/)
  })

  test('an upstream 429 stays a 429, with its message, type and code', async () => {
    provider.tell(() =>
      refusal(
        429,
        { message: 'slow down', code: 'rate_limit_exceeded' },
        { 'retry-after': '0.01' },
      ),
    )
    const before = provider.asked.length
    await rejects(
      client().chat.completions.create({ model: 'gpt-5.5', messages: [] }),
      (error) =>
        error instanceof OpenAI.RateLimitError &&
        /slow down/.test(error.message) &&
        error.type === 'throttling_error' &&
        error.code === 'rate_limit_exceeded',
    )
    equal(provider.asked.length - before, 3)
  })
})

describe('Firebender', () => {
  const row = {
    model_name: 'bedrock-claude-sonnet-4-6',
    litellm_params: { model: 'bedrock/anthropic.claude-sonnet-4-20250514-v1:0' },
  }
  /** What it reads of a row. */
  const facts = (info: JsonObject): JsonObject =>
    Object.fromEntries(
      'mode litellm_provider supports_reasoning supports_vision supports_pdf_input supports_function_calling max_input_tokens max_output_tokens max_tokens input_cost_per_token output_cost_per_token cache_read_input_token_cost'
        .split(' ')
        .map((key) => [key, info[key]]),
    )

  test('its documented config starts without credentials, and tells what the model can', async (t) => {
    const ids = new Set<unknown>()
    for (const path of ['/model/info', '/v1/model/info', '/model/info']) {
      const own = await startGateway(t, { models: [row] })
      const response = await own.get(path, { authorization: 'Bearer sk-org-key' })
      equal(response.status, 200)
      const { data } = await response.json()
      equal(data.length, 1)
      equal(data[0].model_name, row.model_name)
      equal(data[0].litellm_params.model, row.litellm_params.model)
      const told = facts(data[0].model_info)
      for (const can of ['reasoning', 'vision', 'pdf_input', 'function_calling'])
        equal(told[`supports_${can}`], true, can)
      equal(told['mode'], 'chat')
      ok(Number(told['max_input_tokens']) >= 200_000)
      ok(Number(told['max_output_tokens']) >= 8000)
      ok(Number(told['max_tokens']) >= 8000)
      for (const cost of [
        'input_cost_per_token',
        'output_cost_per_token',
        'cache_read_input_token_cost',
      ])
        ok(Number(told[cost]) > 0 && Number(told[cost]) < 1e-3, cost)
      match(String(told['litellm_provider']), /^bedrock/)
      ids.add(data[0].model_info.id)
      const models = await (await own.get('/v1/models')).json()
      equal(models.data[0].id, row.model_name)
      equal(models.data[0].capabilities.vision, true)
    }
    equal(ids.size, 1, 'the id is the same at every start')
    match(String([...ids][0]), /^\w{8,}$/)
  })

  test('model_info of the config is over the catalogue’s', async (t) => {
    const own = await startGateway(t, {
      models: [
        {
          ...row,
          model_info: { id: 'mine', max_input_tokens: 1234, supports_vision: false, team: 'a' },
        },
      ],
    })
    const { data } = await (await own.get('/model/info')).json()
    const { model_info } = data[0]
    deepEqual(
      [model_info.id, model_info.max_input_tokens, model_info.supports_vision, model_info.team],
      ['mine', 1234, false, 'a'],
    )
    equal(model_info.supports_pdf_input, true)
    equal((await own.get('/model/info?litellm_model_id=mine')).status, 200)
    equal((await own.get('/model/info?litellm_model_id=none')).status, 400)
  })

  test('a virtual key per user: what it may call and see, and what becomes of it', async (t) => {
    const master = 'sk-master-key-of-the-tests'
    const own = await startGateway(t, {
      models: [row, openaiRow('gpt-5.5', provider)],
      general: { master_key: master },
      key: master,
    })
    provider.tell(hello)
    const make = async (more: JsonObject): Promise<string> => {
      const made = await own.post('/key/generate', { user_id: 'ada', ...more })
      equal(made.status, 200, await made.clone().text())
      return (await made.json()).key
    }
    const as = (key: string) => ({ authorization: `Bearer ${key}` })
    const chats = (key: string, model = 'gpt-5.5') =>
      own.post('/v1/chat/completions', ask(model), as(key))
    const seen = async (key: string, path: string) => {
      const { data } = await (await own.get(path, as(key))).json()
      return data.map((one: JsonObject) => one['model_name'] ?? one['id']).sort()
    }
    const both = [row.model_name, 'gpt-5.5']

    const user = await make({ key_alias: 'ada', key_type: 'llm_api' })
    equal((await chats(user)).status, 200)
    const streamed = await own.post(
      '/v1/chat/completions',
      ask('gpt-5.5', { stream: true }),
      as(user),
    )
    equal((await eventsOf(streamed)).at(-1)?.data, '[DONE]')
    for (const path of ['/v1/models', '/model/info']) deepEqual(await seen(user, path), both, path)
    for (const path of ['/key/generate', '/model/new', '/user/new'])
      equal((await own.post(path, {}, as(user))).status, 403, path)
    equal((await own.get('/spend/logs', as(user))).status, 403)

    const reader = await make({ key_alias: 'reader', key_type: 'read_only' })
    for (const path of ['/v1/models', '/model/info'])
      deepEqual(await seen(reader, path), both, path)
    const denied = await chats(reader)
    equal(denied.status, 403)
    const told = await denied.json()
    equal(told.detail, told.error.message)

    const narrow = await make({ key_alias: 'narrow', models: ['gpt-5.5'] })
    for (const path of ['/v1/models', '/model/info'])
      deepEqual(await seen(narrow, path), ['gpt-5.5'], path)
    const other = await chats(narrow, row.model_name)
    equal(other.status, 403)
    equal((await other.json()).error.type, 'key_model_access_denied')

    await own.post('/key/block', { key: narrow })
    equal((await chats(narrow)).status, 401)
    await own.post('/key/unblock', { key: narrow })
    equal((await chats(narrow)).status, 200)
    await own.post('/key/delete', { keys: [narrow] })
    const gone = await chats(narrow)
    equal(gone.status, 401)
    equal((await gone.json()).error.type, 'token_not_found_in_db')
  })

  test('a call without credentials says which are missing', async (t) => {
    const own = await startGateway(t, { models: [row] })
    const response = await own.post('/v1/chat/completions', ask(row.model_name))
    ok(response.status >= 400 && response.status < 600)
    const { error } = await response.json()
    ok(error.message.length > 10)
  })
})

describe('Fased', () => {
  /** Its base URL has no /v1, and it always streams. */
  const call = (body: JsonObject) =>
    gateway.post(
      '/chat/completions',
      { stream: true, store: false, stream_options: { include_usage: true }, ...body },
      { authorization: 'Bearer any' },
    )
  const strictless = { ...weather, function: { ...weather.function, strict: false } }

  test('what it sends arrives: developer, store, 128,000 tokens, tools that are not strict', async () => {
    provider.tell(hello)
    const body = {
      model: 'default',
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
      max_completion_tokens: 128_000,
      reasoning_effort: 'high',
      tools: [strictless],
    }
    const events = await eventsOf(await call(body))
    equal(events.at(-1)?.data, '[DONE]')
    const { json }: Asked = provider.last()
    for (const [key, value] of Object.entries(body))
      if (key !== 'model') deepEqual(json[key], value, key)
    equal(json['store'], false)
    const chunks = events.slice(0, -1).map(({ data }) => object(data))
    equal(
      chunks
        .flatMap((one) => list(one.choices))
        .map(object)
        .filter((one) => one.finish_reason === 'stop').length,
      1,
    )
    equal(object(chunks.find((one) => one.usage)?.usage).total_tokens, 12)
  })

  test('an empty list of tools, where only the history has calls, is no mistake', async () => {
    // As OpenAI does it.
    provider.tell((asked, nth) =>
      ['tools', 'tool_choice', 'parallel_tool_calls'].some((key) => key in asked.json)
        ? refusal(400, { message: "Invalid 'tools': empty array.", code: 'empty_array' })
        : hello(asked, nth),
    )
    const call_1 = {
      id: 'c',
      type: 'function',
      function: { name: 'weather', arguments: '{}' },
    }
    const history = [
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: null, tool_calls: [call_1] },
      { role: 'tool', tool_call_id: 'c', content: 'rain' },
    ]
    for (const more of [
      {},
      { tool_choice: 'auto', parallel_tool_calls: true },
      { tool_choice: 'none' },
    ]) {
      const response = await call({ model: 'gpt-5.5', tools: [], messages: history, ...more })
      equal(response.status, 200, await response.clone().text())
      equal((await eventsOf(response)).at(-1)?.data, '[DONE]')
    }
    equal((await call({ model: 'gpt-5.5', messages: history, tools: [weather] })).status, 400)
    const demanding = { tools: [], tool_choice: 'required' }
    equal((await call({ model: 'gpt-5.5', messages: history, ...demanding })).status, 400)
  })

  test('thoughts by any name are reasoning_content', async () => {
    for (const name of ['reasoning_content', 'reasoning', 'reasoning_text']) {
      provider.tell((asked) => stream(chatStream(asked, [{ [name]: 'Hm.' }, { content: 'Yes' }])))
      const events = await eventsOf(await call(ask('default')))
      const deltas = events
        .flatMap(({ data }) => list(object(data).choices))
        .map((choice) => object(object(choice).delta))
      equal(deltas.map((delta) => delta.reasoning_content ?? '').join(''), 'Hm.', name)
      equal(deltas.map((delta) => delta.content ?? '').join(''), 'Yes')
    }
  })

  test('discovery at the root says what a model can and costs', async (t) => {
    const own = await startGateway(t, {
      models: [openaiRow('gpt-4.1', provider, { model: 'openai/gpt-4.1' })],
    })
    const { data } = await (await own.get('/models')).json()
    const [model] = data
    equal(model.id, 'gpt-4.1')
    ok(model.max_input_tokens > 100_000 && model.max_output_tokens > 1000)
    deepEqual(
      [model.capabilities.vision, model.capabilities.tools, model.capabilities.json],
      [true, true, true],
    )
    ok(model.input_modalities.includes('image'))
    for (const name of ['tools', 'response_format']) ok(model.supported_parameters.includes(name))
    ok(model.pricing.prompt > 0 && model.pricing.completion > model.pricing.prompt)
    equal(typeof model.display_name, 'string')
  })

  test('a stream that is cut before its end is an error', async () => {
    provider.tell(() => stream([chunk({ role: 'assistant', content: 'Hel' }), 5]))
    const events = await eventsOf(await call(ask('default')))
    const last = object(events.at(-1)?.data)
    ok(object(last.error).message, JSON.stringify(events))
  })

  test('a key with a budget for the month, and what it has spent', async (t) => {
    const master = 'sk-master-key-of-the-tests'
    const own = await startGateway(t, {
      models: [openaiRow('default', provider, { input_cost_per_token: 0.001 })],
      general: { master_key: master },
      key: master,
    })
    provider.tell(hello)
    const wanted = { key_alias: 'fased', max_budget: 50.0, budget_duration: 'monthly' }
    const made = await (await own.post('/key/generate', wanted)).json()
    deepEqual([made.max_budget, made.budget_duration], [50, 'monthly'])
    const again = await own.post('/key/generate', wanted)
    equal(again.status, 400)
    const { error } = await again.json()
    match(error.message, /Key with alias 'fased' already exists/)
    equal(error.param, 'key_alias')
    for (const budget_duration of ['fortnightly', '0d', '-1d']) {
      const refused = await own.post('/key/generate', {
        ...wanted,
        key_alias: 'x',
        budget_duration,
      })
      equal(refused.status, 422, budget_duration)
      match((await refused.json()).error.message, /budget_duration/)
    }
    const as = { authorization: `Bearer ${made.key}` }
    const { key: hash, info } = await (await own.get('/key/info', as)).json()
    match(hash, /^[0-9a-f]{64}$/)
    equal(info.budget_duration, 'monthly')
    const reset = new Date(info.budget_reset_at)
    equal(reset.getUTCDate(), 1)
    equal(reset.toISOString().slice(10), 'T00:00:00.000Z')

    const answer = await (await own.post('/chat/completions', ask('default'), as)).json()
    const rows = await (await own.get(`/spend/logs?api_key=${hash}`)).json()
    equal(rows.length, 1)
    const [{ request_id, api_key, spend, total_tokens, model_group }] = rows
    deepEqual(
      { request_id, api_key, spend, total_tokens, model_group },
      {
        request_id: answer.id,
        api_key: hash,
        spend: 0.009,
        total_tokens: 12,
        model_group: 'default',
      },
    )
    equal((await (await own.get(`/spend/logs?request_id=${answer.id}`)).json()).length, 1)
    // With the key itself: what was asked with it, and no more.
    const foreign = await own.post('/chat/completions', ask('default'))
    equal(foreign.status, 200)
    const mine = await (await own.get('/spend/logs', as)).json()
    deepEqual(
      mine.map((one: JsonObject) => one['request_id']),
      [answer.id],
    )
  })

  test('a row `*` takes every name', async (t) => {
    const own = await startGateway(t, {
      models: [openaiRow('*', provider, { model: 'openai/gpt-5.5' })],
    })
    provider.tell(hello)
    for (const model of ['default', 'gpt-5.5', 'any/thing:else']) {
      const response = await own.post('/chat/completions', ask(model))
      equal(response.status, 200)
      equal((await response.json()).model, model)
      equal(provider.last().json['model'], 'gpt-5.5')
    }
  })
})
