import { deepEqual, equal, match, notEqual, ok, rejects } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { GatewayError } from '../src/errors.ts'
import { storedResponse } from '../src/gateway/stored.ts'
import type { Incoming } from '../src/http/http.ts'
import { isObject, type JsonObject, list, object, text } from '../src/json/json.ts'
import { type Caller, nobody } from '../src/policy/caller.ts'
import { eventsOf, eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  type Asked,
  chatAnswer,
  chatStream,
  fileScope,
  type Provider,
  type Script,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** OpenAI's Responses through a real port: over a provider that has them, and over servers that only chat. */
const scope = fileScope()
let native: Provider
let chatty: Provider
let gateway: Gateway

const responseOf = (id: string, more: JsonObject = {}): JsonObject => ({
  id,
  object: 'response',
  created_at: 1_700_000_000,
  status: 'completed',
  model: 'upstream-model-2026',
  output: [
    {
      type: 'message',
      id: 'msg_1',
      status: 'completed',
      role: 'assistant',
      content: [{ type: 'output_text', text: 'Hello', annotations: [] }],
    },
  ],
  usage: { input_tokens: 9, output_tokens: 3, total_tokens: 12 },
  error: null,
  incomplete_details: null,
  previous_response_id: null,
  ...more,
})

const line = (type: string, more: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`

/** As OpenAI's servers answer: what was made is found again, in the order it was asked for. */
const openai: Script = (asked, nth) => {
  const { method, path, json } = asked
  const [, id, tail] = /\/responses\/([^/?]+)\/?([^?]*)/.exec(path) ?? []
  if (method === 'DELETE') return whole({ id, object: 'response', deleted: true })
  if (tail === 'input_items')
    return whole({ object: 'list', data: [{ id: 'msg_in', type: 'message' }], has_more: false })
  if (tail === 'cancel') return whole(responseOf(id ?? '', { status: 'cancelled', usage: null }))
  if (method === 'GET') return whole(responseOf(id ?? '', { previous_response_id: 'resp_up0' }))
  const mine = `resp_up${nth}`
  const more = { previous_response_id: json['previous_response_id'] ?? null }
  if (json['background'] === true)
    return whole(responseOf(mine, { ...more, status: 'queued', output: [], usage: null }))
  if (json['stream'] !== true) return whole(responseOf(mine, more))
  const begun = responseOf(mine, { ...more, status: 'in_progress', output: [], usage: null })
  return stream([
    line('response.created', { sequence_number: 0, response: begun }),
    line('response.in_progress', { sequence_number: 1, response: begun }),
    line('response.output_text.delta', {
      sequence_number: 2,
      item_id: 'msg_1',
      output_index: 0,
      content_index: 0,
      delta: 'Hello',
    }),
    line('response.completed', { sequence_number: 3, response: responseOf(mine, more) }),
  ])
}

/** A compatible server without the route. */
const onlyChat: Script = (asked) =>
  asked.path !== '/v1/chat/completions'
    ? whole({ detail: 'Not Found' }, { status: 404 })
    : asked.json['stream'] === true
      ? stream(chatStream(asked, [{ content: 'Hel' }, { content: 'lo' }]))
      : whole(chatAnswer({ content: 'Hello' }))

const priced = { input_cost_per_token: 0.000_001, output_cost_per_token: 0.000_002 }

before(async () => {
  native = await startProvider(scope, openai)
  chatty = await startProvider(scope, onlyChat)
  gateway = await startGateway(scope, {
    models: [
      openaiRow('gpt', native, priced),
      openaiRow('gpt-mini', native, { ...priced, model: 'openai/upstream-mini' }),
      openaiRow('other-account', native, { api_key: 'sk-another-credential' }),
      openaiRow('gpt/*', native, { model: 'openai/*' }),
      openaiRow('local', chatty),
      {
        model_name: 'together',
        litellm_params: { model: 'together_ai/qwen', api_base: chatty.base, api_key: 'sk-t' },
      },
    ],
  })
})

const post = (body: JsonObject, path = '/v1/responses') => gateway.post(path, body)
const create = async (body: JsonObject): Promise<JsonObject> => {
  const response = await post(body)
  const told = object(await response.json())
  equal(response.status, 200, JSON.stringify(told))
  return told
}
const get = async (path: string): Promise<{ status: number; body: JsonObject }> => {
  const response = await gateway.get(path)
  return { status: response.status, body: object(await response.json()) }
}
const send = async (method: string, path: string): Promise<JsonObject> => {
  const response = await fetch(gateway.url + path, { method })
  return object(await response.json())
}

describe('at a provider that has Responses', () => {
  test('the body passes as it was sent, the answer under the public name and an id of the gateway’s', async () => {
    const body = { input: 'hi', client_metadata: { a: 'b' }, unknown: [1], store: false }
    const told = await create({ model: 'gpt', ...body })
    deepEqual(native.last().json, { model: 'upstream-model', ...body })
    equal(native.last().path, '/v1/responses')
    equal(told['model'], 'gpt')
    match(text(told['id']) ?? '', /^resp_tw\.[\w-]+$/)
    ok(!JSON.stringify(told).includes('resp_up'), 'the provider’s id is not shown')
  })

  test('the id is the provider’s again in what follows, also over another path and model of the account', async () => {
    const first = await create({ model: 'gpt', input: 'one' })
    const theirs = `resp_up${native.asked.length}`
    for (const model of ['gpt', 'gpt-mini', 'gpt/upstream-model']) {
      const next = await create({ model, input: 'two', previous_response_id: first['id'] })
      equal(native.last().json['previous_response_id'], theirs, model)
      equal(next['previous_response_id'], first['id'], 'the client sees the id it gave')
    }
    const elsewhere = await post({
      model: 'other-account',
      input: 'two',
      previous_response_id: first['id'],
    })
    equal(elsewhere.status, 400)
    equal(
      object(object(await elsewhere.json())['error'])['code'],
      'previous_response_not_found',
      'an account that does not have it is not asked',
    )
  })

  test('a stream tells the same id three times, and its events carry their names', async () => {
    const events = await eventsOf(await post({ model: 'gpt', input: 'hi', stream: true }))
    const theirs = `resp_up${native.asked.length}`
    deepEqual(
      events.map(({ event }) => event),
      [
        'response.created',
        'response.in_progress',
        'response.output_text.delta',
        'response.completed',
      ],
    )
    const ids = new Set(
      events.flatMap(({ data }) => text(object(object(data)['response'])['id']) ?? []),
    )
    equal(ids.size, 1)
    const [id = ''] = ids
    await create({ model: 'gpt', input: 'more', previous_response_id: id })
    equal(native.last().json['previous_response_id'], theirs)
  })

  test('GET, DELETE, cancel and input_items reach the deployment that made it', async () => {
    const { id } = await create({ model: 'gpt', input: 'one' })
    const theirs = `resp_up${native.asked.length}`
    const found = await get(`/v1/responses/${id}?include=message.output_text.logprobs&api_key=x`)
    equal(native.last().path, `/v1/responses/${theirs}?include=message.output_text.logprobs`)
    equal(native.last().headers.authorization, 'Bearer sk-upstream-credential')
    equal(found.body['id'], id)
    equal(found.body['model'], 'gpt')
    const items = await get(`/responses/${id}/input_items?limit=5&order=asc`)
    equal(native.last().path, `/v1/responses/${theirs}/input_items?limit=5&order=asc`)
    equal(list(items.body['data']).length, 1)
    await send('POST', `/openai/v1/responses/${id}/cancel`)
    equal(`${native.last().method} ${native.last().path}`, `POST /v1/responses/${theirs}/cancel`)
    const deleted = await send('DELETE', `/v1/responses/${id}`)
    equal(`${native.last().method} ${native.last().path}`, `DELETE /v1/responses/${theirs}`)
    deepEqual([deleted['id'], deleted['deleted']], [id, true])
  })

  test('a gateway started anew with the same key understands the ids of the one before', async (t) => {
    const general = { master_key: 'sk-master-key-of-the-tests' }
    const options = {
      models: [openaiRow('gpt', native)],
      general,
      host: '127.0.0.1',
      key: 'sk-master-key-of-the-tests',
    }
    const one = await startGateway(t, options)
    const { id } = object(
      await (await one.post('/v1/responses', { model: 'gpt', input: 'x' })).json(),
    )
    const other = await startGateway(t, options)
    const found = await other.get(`/v1/responses/${id}`)
    equal(found.status, 200)
    equal(object(await found.json())['id'], id)
    const stranger = await startGateway(t, { ...options, general: {}, key: 'sk-x' })
    equal((await stranger.get(`/v1/responses/${id}`)).status, 404)
  })

  test('what runs in the background is billed once, when it is seen to be over', async () => {
    const before = gateway.running.rooms.ledger.totals()
    const { id, status } = await create({ model: 'gpt', input: 'long', background: true })
    equal(status, 'queued')
    equal(native.last().json['background'], true)
    const between = gateway.running.rooms.ledger.totals()
    equal(between.requests, before.requests, 'nothing is settled yet')
    for (let times = 0; times < 2; times++) equal((await get(`/v1/responses/${id}`)).status, 200)
    const after = gateway.running.rooms.ledger.totals()
    equal(after.requests, before.requests + 1)
    equal(after.nanoDollars - before.nanoDollars, 9 * 1000 + 3 * 2000)
  })

  test('response.failed reaches the client as it is, and is a failure in the ledger', async (t) => {
    const failing = await startProvider(t, () =>
      stream([
        line('response.created', { response: responseOf('resp_f', { status: 'in_progress' }) }),
        line('response.failed', {
          response: responseOf('resp_f', {
            status: 'failed',
            usage: null,
            error: { code: 'server_error', message: 'It broke' },
          }),
        }),
      ]),
    )
    const { post: ask, running } = await startGateway(t, { models: [openaiRow('m', failing)] })
    const events = await eventsOf(
      await ask('/v1/responses', { model: 'm', input: 'x', stream: true }),
    )
    deepEqual(
      events.map(({ event }) => event),
      ['response.created', 'response.failed'],
    )
    equal(running.rooms.ledger.totals().failures, 1)
  })

  test('response.incomplete is an answer', async (t) => {
    const short = await startProvider(t, () =>
      stream([
        line('response.created', { response: responseOf('resp_i', { status: 'in_progress' }) }),
        line('response.incomplete', {
          response: responseOf('resp_i', {
            status: 'incomplete',
            incomplete_details: { reason: 'max_output_tokens' },
          }),
        }),
      ]),
    )
    const { post: ask, running } = await startGateway(t, { models: [openaiRow('m', short)] })
    await eventsOf(await ask('/v1/responses', { model: 'm', input: 'x', stream: true }))
    deepEqual(running.rooms.ledger.totals().failures, 0)
    equal(running.rooms.ledger.totals().requests, 1)
  })
})

describe('at a server that only chats', () => {
  const paths = (from: number): string[] => chatty.asked.slice(from).map(({ path }) => path)

  test('it is asked for the route once, and from then on in chat', async () => {
    const from = chatty.asked.length
    equal(
      text(object(list((await create({ model: 'local', input: 'Hi' }))['output'])[0])['type']),
      'message',
    )
    await create({ model: 'local', input: 'Hi' })
    deepEqual(paths(from), ['/v1/responses', '/v1/chat/completions', '/v1/chat/completions'])
  })

  test('a model it does not have stays not found, and nothing is remembered of the route', async (t) => {
    const strict = await startProvider(t, ({ path }) =>
      path.endsWith('/responses')
        ? whole({ error: { message: 'no such model', code: 'model_not_found' } }, { status: 404 })
        : whole(chatAnswer({ content: 'never' })),
    )
    const { post: ask } = await startGateway(t, { models: [openaiRow('m', strict)] })
    equal((await ask('/v1/responses', { model: 'm', input: 'x' })).status, 404)
    equal(strict.asked.length, 1)
  })

  test('the conversation before is kept here and told whole', async () => {
    const first = await create({ model: 'together', input: 'one', instructions: 'Be brief.' })
    equal(first['store'], true)
    const second = await create({
      model: 'together',
      input: [{ role: 'user', content: 'two' }],
      previous_response_id: first['id'],
    })
    equal(second['previous_response_id'], first['id'])
    await create({ model: 'together', input: 'three', previous_response_id: second['id'] })
    const { json } = chatty.last()
    deepEqual(
      list(json['messages']).map((message) => [
        object(message)['role'],
        object(message)['content'],
      ]),
      [
        ['user', 'one'],
        ['assistant', 'Hello'],
        ['user', 'two'],
        ['assistant', 'Hello'],
        ['user', 'three'],
      ],
    )
    ok(!('previous_response_id' in json))
    // Where the next model is a provider's that keeps answers itself, it hears all of it too.
    await create({ model: 'gpt', input: 'four', previous_response_id: second['id'] })
    equal(list(native.last().json['input']).length, 5)
    ok(!('previous_response_id' in native.last().json))
  })

  test('an item of an answer that is only named is told in full, and one that is gone is missed', async () => {
    const ask = (...named: string[]) => {
      const items = named.map((id) => ({ type: 'item_reference', id }))
      return post({ model: 'together', input: ['one', ...items, 'two'].map(turnOf) })
    }
    const turnOf = (said: string | JsonObject) =>
      typeof said === 'string' ? { role: 'user', content: said } : said
    const first = await create({ model: 'together', input: 'one' })
    const id = text(object(list(first['output'])[0])['id']) ?? ''
    const answer = await ask(id)
    equal(answer.status, 200, await answer.clone().text())
    const heard = () =>
      list(chatty.last().json['messages']).map((one) => [
        object(one)['role'],
        object(one)['content'],
      ])
    const whole = [
      ['user', 'one'],
      ['assistant', 'Hello'],
      ['user', 'two'],
    ]
    deepEqual(heard(), whole)
    // The next turn has it too, where that names only the answer.
    const previous_response_id = object(await answer.json())['id']
    await create({ model: 'together', input: 'three', previous_response_id })
    deepEqual(heard(), [...whole, ['assistant', 'Hello'], ['user', 'three']])
    for (const [named, says] of [
      [[id, id], /Duplicate item found with id/],
      [['msg_of-nobody_0'], /Item with id 'msg_of-nobody_0' not found/],
      [['msg_0abc'], /Item with id 'msg_0abc' not found/],
    ] as const) {
      const refused = await ask(...named)
      equal(refused.status, 400)
      const { error } = object(await refused.json())
      match(String(object(error)['message']), says)
      equal(object(error)['param'], 'input')
    }
    const thoughtless = await ask('rs_of-nobody_0', id)
    equal(thoughtless.status, 200)
    match(thoughtless.headers.get('x-throughway-dropped') ?? '', /item_reference/)
    deepEqual(heard(), whole)
    // Where the next model is a provider's that keeps items itself, it is told ours, and judges its own.
    const input = [id, 'msg_1'].map((one) => ({ type: 'item_reference', id: one }))
    await create({ model: 'gpt', input })
    const [ours, theirs] = list(native.last().json['input'])
    deepEqual([object(ours)['role'], theirs], ['assistant', input[1]])
  })

  test('a streamed answer is kept as a whole one is', async () => {
    const events = await eventsOf(await post({ model: 'together', input: 'one', stream: true }))
    const done = object(object(events.at(-1)?.data)['response'])
    const found = await get(`/v1/responses/${done['id']}`)
    deepEqual(found.body, done)
    const items = await get(`/v1/responses/${done['id']}/input_items`)
    deepEqual(object(list(items.body['data'])[0])['content'], [{ type: 'input_text', text: 'one' }])
    equal((await send('DELETE', `/v1/responses/${done['id']}`))['deleted'], true)
    equal((await get(`/v1/responses/${done['id']}`)).status, 404)
  })

  test('a kept answer is told again as a stream, from where the client has it', async () => {
    const told = await create({ model: 'together', input: 'one' })
    const read = async (query: string) =>
      eventsOf(await gateway.get(`/v1/responses/${told['id']}?stream=true${query}`))
    const all = await read('')
    deepEqual(object(all.at(-1)?.data)['response'], told)
    deepEqual(
      all.map(({ data }) => object(data)['sequence_number']),
      all.map((_, at) => at),
    )
    deepEqual(await read('&starting_after=3'), all.slice(4))
    // It may have been told in more events before.
    const [last, ...more] = await read('&starting_after=900')
    deepEqual(more, [])
    deepEqual(object(last?.data), { ...object(all.at(-1)?.data), sequence_number: 901 })
    const wrong = await gateway.get(`/v1/responses/${told['id']}?stream=true&starting_after=x`)
    equal(wrong.status, 400)
    match(await wrong.text(), /starting_after/)
  })

  test('one that is being made is told to its end, and one that is forgotten is not waited for', async () => {
    let answer = (): void => {}
    const ready = new Promise<void>((resolve) => {
      answer = resolve
    })
    chatty.tell(async (asked, nth) => {
      await ready
      return onlyChat(asked, nth)
    })
    const queued = await create({ model: 'together', input: 'long', background: true })
    const stream = eventsOf(await gateway.get(`/v1/responses/${queued['id']}?stream=true`))
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer()
    const types = (await stream).map(({ data }) => text(object(data)['type']))
    deepEqual(types.slice(0, 3), [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
    ])
    equal(types.at(-1), 'response.completed')
    chatty.tell(() => ({ type: 'hang' }))
    const hanging = await create({ model: 'together', input: 'long', background: true })
    const cut = eventsOf(await gateway.get(`/v1/responses/${hanging['id']}?stream=true`))
    await send('DELETE', `/v1/responses/${hanging['id']}`)
    chatty.tell(onlyChat)
    equal(text(object((await cut).at(-1)?.data)['type']), 'error')
  })

  test('a client that leaves while it waits is not looked for any longer', async () => {
    chatty.tell(() => ({ type: 'hang' }))
    const hanging = await create({ model: 'together', input: 'long', background: true })
    const { answers } = gateway.running.rooms.memory
    const { find } = answers
    let looks = 0
    answers.find = (owner, id) => {
      looks++
      return find(owner, id)
    }
    try {
      const left = new AbortController()
      const url = `${gateway.url}/v1/responses/${hanging['id']}?stream=true`
      const { body } = await fetch(url, { signal: left.signal })
      await body?.getReader().read()
      const before = looks
      left.abort()
      await new Promise((resolve) => setTimeout(resolve, 100))
      await send('POST', `/v1/responses/${hanging['id']}/cancel`)
      await new Promise((resolve) => setTimeout(resolve, 400))
      equal(looks, before + 1, 'only who cancels looks')
    } finally {
      answers.find = find
      chatty.tell(onlyChat)
    }
  })

  test('store: false keeps nothing', async () => {
    const told = await create({ model: 'together', input: 'one', store: false })
    equal(told['store'], false)
    equal((await get(`/v1/responses/${told['id']}`)).status, 404)
    const next = await post({ model: 'together', input: 'x', previous_response_id: told['id'] })
    equal(next.status, 400)
    match(JSON.stringify(await next.json()), /previous_response_not_found/)
  })

  test('in the background: queued, then done, and cancelled only while it runs', async () => {
    const queued = await create({ model: 'together', input: 'long', background: true })
    equal(queued['status'], 'queued')
    let found: JsonObject = {}
    await eventually(() => {
      void get(`/v1/responses/${queued['id']}`).then(({ body }) => (found = body))
      return found['status'] === 'completed'
    })
    equal(found['id'], queued['id'])
    equal(found['background'], true)
    equal(object(list(object(list(found['output'])[0])['content'])[0])['text'], 'Hello')
    equal((await send('POST', `/v1/responses/${queued['id']}/cancel`))['status'], 'completed')
    chatty.tell(() => ({ type: 'hang' }))
    const hanging = await create({ model: 'together', input: 'long', background: true })
    await eventually(() => chatty.asked.at(-1)?.json['messages'] !== undefined)
    const cancelled = await send('POST', `/v1/responses/${hanging['id']}/cancel`)
    equal(cancelled['status'], 'cancelled')
    equal(await chatty.last().gone, true, 'the provider is told')
    chatty.tell(onlyChat)
    equal((await get(`/v1/responses/${hanging['id']}`)).body['status'], 'cancelled')
    const plain = await create({ model: 'together', input: 'x' })
    match(JSON.stringify(await send('POST', `/v1/responses/${plain['id']}/cancel`)), /synchronous/)
  })

  test('in the background and as a stream: who leaves comes back to it', async () => {
    const asked = { model: 'together', input: 'long', background: true, stream: true }
    const all = await eventsOf(await post(asked))
    const done = object(object(all.at(-1)?.data)['response'])
    deepEqual([done['status'], done['background']], ['completed', true])
    const again = await eventsOf(await gateway.get(`/v1/responses/${done['id']}?stream=true`))
    // Before there was an answer nobody knew what the provider would say of it.
    deepEqual(again.slice(2), all.slice(2))
  })

  test('a failure in the background is told as one', async () => {
    chatty.tell(() => whole({ error: { message: 'Out of paper' } }, { status: 400 }))
    const queued = await create({ model: 'together', input: 'long', background: true })
    let found: JsonObject = {}
    await eventually(() => {
      void get(`/v1/responses/${queued['id']}`).then(({ body }) => (found = body))
      return found['status'] === 'failed'
    })
    chatty.tell(onlyChat)
    match(JSON.stringify(found['error']), /Out of paper/)
  })

  test('what the server cannot be told is named in a header', async () => {
    const response = await post({
      model: 'together',
      input: [
        { role: 'user', content: 'x' },
        { type: 'additional_tools', role: 'developer', tools: [{ type: 'function', name: 'f' }] },
      ],
      tools: [{ type: 'web_search' }, { type: 'tool_search', execution: 'client' }],
      tool_choice: 'auto',
      store: false,
      include: ['reasoning.encrypted_content'],
      prompt_cache_key: 'k',
      max_tool_calls: 3,
    })
    equal(response.status, 200)
    deepEqual(response.headers.get('x-throughway-dropped')?.split(',').sort(), [
      'max_tool_calls',
      'prompt_cache_key',
      'tools[].tool_search',
      'tools[].web_search',
    ])
    const { json } = chatty.last()
    equal(object(object(list(json['tools'])[0])['function'])['name'], 'f')
    for (const key of ['include', 'prompt_cache_key', 'max_tool_calls', 'input', 'store'])
      ok(!(key in json), key)
  })
})

test('a stream that is cut ends in an error and a failed response, numbered on', async (t) => {
  const cutNative = await startProvider(t, () =>
    stream(
      [
        line('response.created', {
          sequence_number: 0,
          response: responseOf('resp_c', { status: 'in_progress', output: [], usage: null }),
        }),
        line('response.output_text.delta', { sequence_number: 1, output_index: 0, delta: 'Hel' }),
        // For what was written to arrive before the end of the connection does.
        50,
      ],
      { end: 'cut' },
    ),
  )
  const cutChat = await startProvider(t, (asked) =>
    stream([...chatStream(asked, [{ content: 'Hel' }]).slice(0, 2), 50], { end: 'cut' }),
  )
  const own = await startGateway(t, {
    models: [
      openaiRow('native', cutNative),
      {
        model_name: 'chat',
        litellm_params: { model: 'together_ai/q', api_base: cutChat.base, api_key: 'k' },
      },
    ],
  })
  for (const model of ['native', 'chat']) {
    const events = await eventsOf(
      await own.post('/v1/responses', { model, input: 'x', stream: true }),
    )
    const said = events.map(({ data }) => object(data))
    const types = said.map(({ type }) => type)
    ok(types.includes('error'), `${model}: ${types}`)
    const last = said.at(-1) ?? {}
    equal(last['type'], 'response.failed')
    const response = object(last['response'])
    deepEqual([response['status'], response['model']], ['failed', model])
    equal(response['id'], object(said[0]?.['response'])['id'])
    ok(text(object(response['error'])['code']))
    said.forEach(({ sequence_number }, at) => {
      equal(sequence_number, at, model)
    })
  }
  equal(own.running.rooms.ledger.totals().failures, 2)
})

describe('compaction', () => {
  const input = [
    { role: 'user', content: 'Fix the bug' },
    { role: 'assistant', content: 'I looked at a.ts and b.ts' },
    { type: 'function_call', call_id: 'c1', name: 'run', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c1', output: 'all green' },
  ]

  test('a provider that does it is asked, and billed', async (t) => {
    const item = { type: 'compaction', id: 'cmp_1', encrypted_content: 'gAAAAsecret' }
    const provider = await startProvider(t, () =>
      whole({
        id: 'resp_c',
        object: 'response.compaction',
        created_at: 1,
        output: [item],
        usage: { input_tokens: 9, output_tokens: 3, total_tokens: 12 },
      }),
    )
    const { post: ask, running } = await startGateway(t, {
      models: [openaiRow('m', provider, priced)],
    })
    const response = await ask('/v1/responses/compact', { model: 'm', input, instructions: 'i' })
    const told = object(await response.json())
    equal(provider.last().path, '/v1/responses/compact')
    deepEqual(provider.last().json, { model: 'upstream-model', input, instructions: 'i' })
    deepEqual([told['object'], told['output']], ['response.compaction', [item]])
    equal(running.rooms.ledger.totals().nanoDollars, 9 * 1000 + 3 * 2000)
  })

  test('elsewhere the model makes a summary, which every provider understands later', async () => {
    for (const model of ['together', 'local']) {
      const response = await post({ model, input }, '/v1/responses/compact')
      const told = object(await response.json())
      equal(told['object'], 'response.compaction', JSON.stringify(told))
      const asked = list(chatty.last().json['messages']).map(object)
      match(String(asked.at(-1)?.['content']), /summary/)
      deepEqual(
        asked.map(({ role }) => role),
        ['user', 'assistant', 'tool', 'user'],
      )
      const output = list(told['output']).map(object)
      deepEqual(
        output.map(({ type, role }) => type ?? role),
        ['user', 'compaction'],
      )
      await create({ model, input: [...output, { role: 'user', content: 'go on' }] })
      deepEqual(
        list(chatty.last().json['messages']).map((message) => object(message)['content']),
        ['Fix the bug', 'Summary of the conversation before this point:\n\nHello', 'go on'],
      )
      await create({ model: 'gpt', input: output })
      match(JSON.stringify(native.last().json['input']), /before this point:.*Hello/)
      ok(!JSON.stringify(native.last().json).includes('throughway/'))
    }
  })
})

test('nobody finds what is another’s', async () => {
  const { rooms } = gateway.running
  const asAnother: Caller = { ...nobody, keyId: 'another-key' }
  const incoming = (path: string): Incoming => ({
    method: 'GET',
    path,
    query: '',
    header: () => undefined,
    headers: () => ({}),
    headerNames: () => [],
    remoteAddress: '127.0.0.1',
    body: async () => new Uint8Array(),
    async *stream() {},
    signal: new AbortController().signal,
  })
  for (const model of ['gpt', 'together']) {
    const { id = '' } = await create({ model, input: 'secret' })
    const asked = native.asked.length
    for (const action of ['get', 'delete', 'cancel', 'input_items'] as const)
      await rejects(
        storedResponse(action)({
          incoming: incoming(`/v1/responses/${id}`),
          rooms,
          caller: asAnother,
          params: { id: String(id) },
        }),
        (error) => GatewayError.is(error) && error.status === 404,
        `${model} ${action}`,
      )
    equal(native.asked.length, asked, 'the provider is not asked')
    equal((await get(`/v1/responses/${id}`)).status, 200)
  }
})

test('an id of nobody’s is not found, whatever it looks like', async () => {
  for (const id of [
    'resp_nothing',
    'resp_tw.',
    'resp_tw.AAAA',
    `resp_tw.${'A'.repeat(900)}`,
    '%2e%2e',
  ]) {
    const { status, body } = await get(`/v1/responses/${id}`)
    equal(status, 404, id)
    ok(isObject(body['error']))
  }
  const from: Asked[] = native.asked
  notEqual(from.at(-1)?.path, '/v1/responses/..')
})
