import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answer,
  chunk,
  done,
  event,
  provider,
  stopped,
  type Told,
  tokens,
  usage,
} from '../call/upstream.test.ts'
import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { type Asked, door, hi, jsonOf, textOf } from './visit.test.ts'

const one = { g: {} }
const open = (
  told: (Told | Error)[],
  config: JsonObject & { models: Record<string, JsonObject> } = { models: one },
) => {
  const from = provider(...told)
  const at = door(config, from)
  const health = () =>
    at.rooms.router.health.inFlight(at.rooms.router.groups.all()[0] ?? assert.fail())
  return {
    ...at,
    from,
    inFlight: health,
    ask: (body: JsonObject | string, more: Partial<Asked> = {}) => at.visit({ body, ...more }),
  }
}
const streaming = hi('g', { stream: true })
const events = (text: string): string[] => text.split('\n\n').filter((one) => one !== '')

test('a whole answer: told, counted, settled once', async () => {
  const at = open([{ body: answer('hi'), headers: { 'x-request-id': 'q' } }])
  const out = await at.ask(hi('g', { temperature: 0 }), {
    headers: { 'x-litellm-call-id': 'my-id' },
  })
  assert.equal(out.status, 200)
  assert.deepEqual(
    [
      'content-type',
      'x-litellm-call-id',
      'x-litellm-model-id',
      'x-litellm-model-group',
      'x-litellm-response-cost',
      'llm_provider-x-request-id',
      'x-litellm-attempted-retries',
    ].map((name) => out.headers[name]),
    ['application/json', 'my-id', 'g', 'g', '0.000011', 'q', '0'],
  )
  assert.equal((await jsonOf(out))['model'], 'g')
  const [entry] = at.entries
  assert.equal(at.entries.length, 1)
  assert.deepEqual(
    [
      entry?.requestId,
      entry?.keyId,
      entry?.model,
      entry?.group,
      entry?.deploymentId,
      entry?.nanoDollars,
      entry?.status,
      entry?.fault,
      entry?.usage.input,
    ],
    ['my-id', 'master_key', 'g', 'g', 'g', 11_000, 200, undefined, 7],
  )
  assert.equal(at.inFlight(), 0)
})

test('a stream: told, counted, settled when it has ended', async () => {
  const at = open([
    {
      body: [
        chunk({ role: 'assistant', content: 'a' }),
        chunk({ content: 'b' }) + stopped,
        usage,
        done,
      ],
    },
  ])
  const out = await at.ask(streaming)
  assert.match(out.headers['content-type'] ?? '', /^text\/event-stream/)
  assert.deepEqual([at.entries.length, at.inFlight()], [0, 1])
  const seen = events(await textOf(out))
  assert.equal(seen.filter((one) => one === 'data: [DONE]').length, 1)
  assert.equal(seen.at(-1), 'data: [DONE]')
  assert.ok(!seen.some((one) => one.includes('"usage":{')))
  assert.deepEqual(
    [at.entries.length, at.entries[0]?.stream, at.entries[0]?.usage.output, at.inFlight()],
    [1, true, 2, 0],
  )
})

test('usage that nobody told is counted, in the answer and in the ledger', async () => {
  const whole = open([{ body: answer('four words are here', { usage: undefined }) }])
  const told = object((await jsonOf(await whole.ask(hi('g'))))['usage'])
  assert.ok(Number(told['completion_tokens']) > 0 && Number(told['prompt_tokens']) > 0)
  assert.equal(whole.entries[0]?.usage.output, told['completion_tokens'])
  const stream = open([
    { body: [chunk({ role: 'assistant', content: 'four words are here' }) + stopped] },
  ])
  const text = await textOf(
    await stream.ask({ ...streaming, stream_options: { include_usage: true } }),
  )
  assert.equal(
    object(object(JSON.parse(events(text).at(-2)?.slice(6) ?? ''))['usage'])['completion_tokens'],
    told['completion_tokens'],
  )
  assert.equal(stream.entries[0]?.usage.output, told['completion_tokens'])
})

const refusals: [
  name: string,
  body: JsonObject | string,
  status: number,
  type: string,
  message: RegExp,
][] = [
  ['no JSON', '{"model":', 400, 'invalid_request_error', /Invalid JSON/],
  [
    'no model',
    { messages: [] },
    400,
    'invalid_request_error',
    /Missing required parameter: 'model'/,
  ],
  [
    'an unknown model',
    hi('nope'),
    400,
    'invalid_request_error',
    /^\/chat\/completions: Invalid model name passed in model=nope/,
  ],
  [
    'no messages',
    { model: 'g' },
    400,
    'invalid_request_error',
    /Missing required parameter: 'messages'/,
  ],
  [
    'messages that are none',
    { model: 'g', messages: {} },
    400,
    'invalid_request_error',
    /must be a list/,
  ],
  [
    'a field that chooses the upstream',
    hi('g', { api_base: 'http://evil' }),
    401,
    'auth_error',
    /api_base is not allowed/,
  ],
]
for (const [name, body, status, type, message] of refusals)
  test(`refused: ${name}, before anybody is called`, async () => {
    const at = open([{ body: answer('hi') }])
    const out = await at.ask(body)
    const said = await jsonOf(out)
    const error = object(said['error'])
    assert.deepEqual([out.status, error['type'], said['detail']], [status, type, error['message']])
    assert.match(String(error['message']), message)
    assert.equal(out.headers['x-litellm-response-cost'], '0')
    assert.deepEqual(
      [at.from.asked.length, at.entries.length, at.entries[0]?.status],
      [0, 1, status],
    )
  })

test("a provider's refusal keeps its status and its words", async () => {
  const at = open([
    { status: 429, body: '{"error":{"message":"slow down"}}', headers: { 'x-a': 'b' } },
  ])
  const out = await at.ask(hi('g', { num_retries: 0 }))
  const said = await jsonOf(out)
  assert.deepEqual(
    [out.status, object(said['error'])['message'], said['detail'], out.headers['llm_provider-x-a']],
    [429, 'litellm.RateLimitError: RateLimitError: OpenAIException - slow down', undefined, 'b'],
  )
  assert.deepEqual(
    [at.entries[0]?.fault, at.entries[0]?.status, at.inFlight()],
    ['rate_limit', 429, 0],
  )
})

test('an error before anything was said falls back, and the client sees one answer', async () => {
  const at = open(
    [
      {
        body: [
          chunk({ role: 'assistant', content: '' }),
          event({ error: { message: 'boom', code: 500 } }),
        ],
      },
      { body: [chunk({ role: 'assistant', content: 'ok' }) + stopped + done] },
    ],
    { models: { g: {}, h: {} }, router_settings: { fallbacks: [{ g: ['h'] }], num_retries: 0 } },
  )
  const out = await at.ask(streaming)
  const seen = events(await textOf(out))
  assert.equal(seen.length, 3)
  assert.deepEqual(
    [out.headers['x-litellm-attempted-fallbacks'], out.headers['x-litellm-model-group']],
    ['1', 'h'],
  )
  assert.deepEqual(
    [
      at.entries.length,
      at.entries[0]?.deploymentId,
      at.entries[0]?.fallbacks,
      at.entries[0]?.fault,
    ],
    [1, 'h', 1, undefined],
  )
})

const midway: [name: string, reads: Told['body'], kind: string, message: RegExp][] = [
  [
    'an error event',
    [chunk({ role: 'assistant', content: 'a' }), event({ error: { message: 'boom', code: 503 } })],
    'unavailable',
    /OpenAIException - boom/,
  ],
  [
    'an error event in the same read',
    [chunk({ role: 'assistant', content: 'a' }) + event({ error: 'boom' })],
    'provider',
    /boom/,
  ],
  [
    'an end too early',
    [chunk({ role: 'assistant', content: 'a' })],
    'bad_gateway',
    /before the answer was complete/,
  ],
  [
    'a break',
    [chunk({ role: 'assistant', content: 'a' }), new GatewayError('timeout', 'idle')],
    'timeout',
    /idle/,
  ],
  [
    'no JSON',
    [chunk({ role: 'assistant', content: 'a' }), event('oops')],
    'bad_gateway',
    /not JSON/,
  ],
  [
    'a cut in the middle of a frame',
    [chunk({ role: 'assistant', content: 'a' }), 'data: {"id":"c1","cho'],
    'bad_gateway',
    /not JSON/,
  ],
]
for (const [name, body, kind, message] of midway)
  test(`in the middle of a stream, ${name}: what was said, one error, no [DONE]`, async () => {
    const at = open([{ body }])
    const out = await at.ask(streaming)
    assert.equal(out.status, 200)
    const seen = events(await textOf(out))
    assert.equal(seen.length, 2)
    assert.match(seen[0] ?? '', /"content":"a"/)
    assert.match(
      String(object(object(JSON.parse(seen[1]?.slice(6) ?? ''))['error'])['message']),
      message,
    )
    assert.deepEqual([at.entries.length, at.entries[0]?.fault, at.inFlight()], [1, kind, 0])
    assert.ok((at.entries[0]?.usage.output ?? 0) > 0, 'what was written is paid')
  })

const iteratorOf = ({ body }: Outgoing): AsyncIterator<Uint8Array | string> => {
  assert.ok(typeof body === 'object' && !(body instanceof Uint8Array))
  return body[Symbol.asyncIterator]()
}
const nap = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms))

const leavings: [name: string, leave: (out: Outgoing) => Promise<unknown>][] = [
  ['before the first step', async (out) => iteratorOf(out).return?.()],
  [
    'after the first step',
    async (out) => {
      const steps = iteratorOf(out)
      await steps.next()
      await steps.return?.()
    },
  ],
  [
    'while it waits',
    async (out) => {
      const steps = iteratorOf(out)
      await steps.next()
      const next = steps.next()
      await steps.return?.()
      await next
    },
  ],
  [
    'twice',
    async (out) => {
      const steps = iteratorOf(out)
      await steps.return?.()
      await steps.return?.()
      assert.equal((await steps.next()).done, true)
    },
  ],
]
for (const [name, leave] of leavings)
  test(`a client that hangs up ${name}: upstream is told, the slot is free, the ledger hears once`, async () => {
    const at = open([
      {
        body: [
          chunk({ role: 'assistant', content: 'a' }),
          'wait',
          'wait',
          chunk({ content: 'b' }),
          'wait',
          stopped,
        ],
      },
    ])
    const out = await at.ask(streaming)
    assert.equal(at.inFlight(), 1)
    await leave(out)
    await nap()
    assert.deepEqual(
      [at.entries.length, at.entries[0]?.fault, at.entries[0]?.status, at.inFlight(), at.from.left],
      [1, 'canceled', 499, 0, 1],
    )
    assert.ok((at.entries[0]?.usage.output ?? 0) > 0)
  })

test('a slot is given back in every ending, so that the next request finds it', async () => {
  const at = open(
    [
      { body: answer('hi') },
      { status: 500, body: '{}' },
      { body: [chunk({ content: 'a' }) + stopped + done] },
      { body: [chunk({ content: 'a' }), event({ error: 'x' })] },
      { body: '<html>' },
      { body: [chunk({ content: 'a' }), 'wait', 'wait'] },
      { body: answer('hi') },
    ],
    { models: { g: { max_parallel_requests: 1, num_retries: 0 } } },
  )
  await textOf(await at.ask(hi('g')))
  await textOf(await at.ask(hi('g')))
  await textOf(await at.ask(streaming))
  await textOf(await at.ask(streaming))
  await textOf(await at.ask(hi('g')))
  await iteratorOf(await at.ask(streaming)).return?.()
  const last = await at.ask(hi('g'))
  assert.equal(last.status, 200)
  assert.equal(at.entries.length, 7)
})

test('a stream whose model has an impossible name still settles', async () => {
  const at = open([{ body: [chunk({ content: 'a' }) + stopped + done] }], {
    models: { any: { group: '*', model: 'openai/*' } },
  })
  const out = await at.ask('{"model":"openai/\\ud800","stream":true,"messages":[]}')
  assert.equal(out.status, 200)
  assert.match(await textOf(out), /DONE/)
  assert.deepEqual([at.entries.length, at.inFlight()], [1, 0])
})

test('odd messages that pass unread are counted without a stumble', async () => {
  const odd = [
    null,
    5,
    'x',
    [],
    {},
    { role: 7 },
    { content: [null, 1, { type: 'image_url', image_url: null }] },
    { tool_calls: [null, {}] },
  ]
  const at = open([
    { body: [chunk({ content: 'a' }), event({ error: 'x' })] },
    { body: answer('a', { usage: undefined }) },
  ])
  await textOf(await at.ask({ model: 'g', stream: true, messages: odd, tools: [null, 3, {}] }))
  assert.equal((await at.ask({ model: 'g', messages: odd, tools: 'x' })).status, 200)
  assert.deepEqual([at.entries.length, at.inFlight()], [2, 0])
})

test('limits: what the request says, the row, the settings', async () => {
  const cases: [body: JsonObject, params: JsonObject, config: JsonObject, limits: JsonObject][] = [
    [{}, {}, {}, { firstByteMs: 600_000, idleMs: 600_000, totalMs: 600_000 }],
    [
      {},
      {},
      { litellm_settings: { request_timeout: 9 } },
      { firstByteMs: 9000, idleMs: 9000, totalMs: 9000 },
    ],
    [
      {},
      { timeout: 8 },
      { litellm_settings: { request_timeout: 9 } },
      { firstByteMs: 8000, idleMs: 8000, totalMs: 8000 },
    ],
    [{ timeout: 7 }, { timeout: 8 }, {}, { firstByteMs: 7000, idleMs: 7000, totalMs: 7000 }],
    [{ stream: true }, { timeout: 8 }, {}, { firstByteMs: 8000, idleMs: 8000 }],
    [{ stream: true }, { timeout: 8, stream_timeout: 3 }, {}, { firstByteMs: 3000, idleMs: 3000 }],
    [
      { stream: true, stream_timeout: 2 },
      { stream_timeout: 3 },
      {},
      { firstByteMs: 2000, idleMs: 2000 },
    ],
    [{ stream: true, timeout: 2 }, { stream_timeout: 3 }, {}, { firstByteMs: 3000, idleMs: 3000 }],
    [
      { stream: true },
      {},
      { router_settings: { stream_timeout: 4 } },
      { firstByteMs: 4000, idleMs: 4000 },
    ],
  ]
  for (const [body, params, config, limits] of cases) {
    const at = open([{ body: answer('hi') }], { models: { g: params }, ...config })
    await textOf(await at.ask(hi('g', body)))
    assert.deepEqual(at.from.asked[0]?.limits, limits, JSON.stringify([body, params, config]))
  }
})

test("fields that are the gateway's never leave it; headers only where they may", async () => {
  const at = open([{ body: answer('hi') }], {
    models: { g: { extra_headers: { 'x-row': 'r' } } },
    general_settings: { forward_client_headers_to_llm_api: true },
  })
  await at.ask(
    hi('g', {
      tags: ['a'],
      metadata: { a: 1 },
      num_retries: 1,
      mock_response: 'x',
      extra_headers: { 'x-body': 'b', 'x-row': 'no' },
      extra_body: { top_k: 3, model: 'dear' },
    }),
    { headers: { 'x-client': 'c', 'x-litellm-tags': 't', cookie: 'c' } },
  )
  const [asked] = at.from.asked
  assert.deepEqual(Object.keys(asked?.json ?? {}).sort(), ['messages', 'model', 'top_k'])
  assert.equal(asked?.json['model'], 'gpt-x')
  assert.deepEqual(asked?.headers, {
    'content-type': 'application/json',
    'x-row': 'r',
    'x-body': 'b',
    'x-client': 'c',
    authorization: 'Bearer sk-upstream-0123456789',
  })
})

test('models without a price: warned of once, or refused where that is asked for', async () => {
  const row = {
    model: 'openai/unheard-of',
    input_cost_per_token: null,
    output_cost_per_token: null,
  }
  const free = open([{ body: answer('hi') }], { models: { unpriced_1: row } })
  await free.ask(hi('unpriced_1'))
  await free.ask(hi('unpriced_1'))
  assert.equal(
    free.logged.filter((line) => line.startsWith('warn no price is known for openai/unheard-of'))
      .length,
    1,
  )
  assert.deepEqual([free.entries[0]?.priced, free.entries[0]?.nanoDollars], [false, 0])
  const denied = open([{ body: answer('hi') }], {
    models: { unpriced_1: row },
    general_settings: { unpriced_models: 'deny' },
  })
  const out = await denied.ask(hi('unpriced_1'))
  assert.deepEqual(
    [out.status, object((await jsonOf(out))['error'])['type'], denied.from.asked.length],
    [403, 'model_cost_map_missing', 0],
  )
})

test('a bug of ours is logged and says nothing', async () => {
  const at = open([new TypeError('secret detail')])
  const out = await at.ask(hi('g'))
  assert.equal(out.status, 500)
  assert.doesNotMatch(await textOf(out), /secret detail/)
  assert.ok(at.logged.some((line) => line.startsWith('error')))
})

test("another dialect: Anthropic's client, OpenAI's provider", async () => {
  const at = open([
    {
      body: [
        chunk({ role: 'assistant', content: 'a' }),
        event({ error: { message: 'boom', code: 429 } }),
      ],
    },
    { status: 401, body: '{}' },
  ])
  const body = { model: 'g', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }
  const text = await textOf(await at.ask({ ...body, stream: true }, { path: '/v1/messages' }))
  assert.match(text, /event: error\ndata: \{"type":"error"/)
  assert.doesNotMatch(text, /message_stop/)
  const out = await at.ask(body, { path: '/v1/messages' })
  assert.deepEqual([out.status, (await jsonOf(out))['type']], [401, 'error'])
  assert.equal(at.entries.length, 2)
})

test('tokens that stopped a stream early are those told or those written, whichever is more', async () => {
  const at = open([
    {
      body: [
        chunk(
          { role: 'assistant', content: 'one two three four five six' },
          {},
          { usage: { ...tokens, completion_tokens: 1 } },
        ),
        event({ error: 'x' }),
      ],
    },
  ])
  await textOf(await at.ask(streaming))
  const { usage: counted } = at.entries[0] ?? assert.fail()
  assert.ok(counted.output > 1 && counted.estimated)
  assert.equal(counted.input, 7)
})

test('several choices are told as they came', async () => {
  const of = (index: number, said: JsonObject, finish_reason: string | null = null) =>
    event({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [{ index, delta: said, finish_reason }],
    })
  const at = open([
    {
      body: [
        of(0, { role: 'assistant', content: 'a' }) + of(1, { role: 'assistant', content: 'b' }),
        of(0, {}, 'stop') + of(1, {}, 'length') + done,
      ],
    },
  ])
  const seen = events(await textOf(await at.ask({ ...streaming, n: 2 })))
  assert.deepEqual(
    seen
      .slice(0, -1)
      .map((one) => object(list(object(JSON.parse(one.slice(6)))['choices'])[0])['index']),
    [0, 1, 0, 1],
  )
  assert.equal(seen.at(-1), 'data: [DONE]')
})
