import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Json, JsonObject } from '../src/json/json.ts'
import type { Entry } from '../src/ledger/ledger.ts'
import { ask, eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  chunk,
  fileScope,
  hello,
  type Provider,
  refusal,
  sleep,
  sse,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'
import { callCost, makeKey, masterKey, pricedRow } from './support/spending.ts'

/** Ways to spend without being counted, or more than one may: each is closed. */
const scope = fileScope()
let provider: Provider
/** Lets in only what fits. */
let strict: Gateway
/** As it is by default. */
let usual: Gateway

const row = (name: string, params: JsonObject, info: JsonObject = {}): JsonObject => ({
  model_name: name,
  litellm_params: {
    api_base: provider.base,
    api_key: 'sk-upstream-credential',
    input_cost_per_token: 0.000_001,
    output_cost_per_token: 0.000_002,
    ...params,
  },
  model_info: info,
})

const image = 'data:image/png;base64,iVBORw0KGgo='
const free = { input_cost_per_token: 0, output_cost_per_token: 0 }

before(async () => {
  provider = await startProvider(scope, hello)
  const models = [
    pricedRow(provider),
    row('claude', { model: 'anthropic/claude-x', api_base: provider.origin }),
    row('gemini', { model: 'gemini/gemini-x', api_base: `${provider.origin}/v1beta` }),
    row('native', { model: 'openai/gpt-5' }),
    row('legacy', { model: 'text-completion-openai/legacy' }),
    row('free', { model: 'openai/free-model', ...free }),
    row('dear', { model: 'openai/dear-model', output_cost_per_token: 0.001 }),
    row('talker', { model: 'openai/talker', output_cost_per_audio_token: 0.01 }),
    row('priority', { model: 'openai/quick', output_cost_per_token_priority: 0.01 }),
    openaiRow('routed', provider, { model: 'openrouter/nobody/knows' }),
    openaiRow(
      'pictures',
      provider,
      { model: 'openai/paint' },
      { mode: 'image_generation', input_cost_per_image: 0.04 },
    ),
    openaiRow(
      'ranked',
      provider,
      { model: 'hosted_vllm/rank' },
      { mode: 'rerank', input_cost_per_query: 0.000_05 },
    ),
    openaiRow(
      'edits',
      provider,
      {
        model: 'openai/draw',
        input_cost_per_token: 5e-6,
        input_cost_per_image_token: 10e-6,
        output_cost_per_image_token: 40e-6,
      },
      { mode: 'image_generation' },
    ),
    openaiRow(
      'said',
      provider,
      { model: 'openai/speak' },
      { mode: 'audio_speech', input_cost_per_character: 0.001 },
    ),
    openaiRow(
      'read',
      provider,
      { model: 'mistral/mistral-ocr-x', api_base: provider.base },
      { mode: 'ocr', ocr_cost_per_page: 0.01 },
    ),
    openaiRow(
      'heard',
      provider,
      { model: 'openai/whisper' },
      { mode: 'audio_transcription', input_cost_per_second: 0.0001 },
    ),
  ]
  const router = {
    model_group_alias: { nickname: 'm' },
    fallbacks: [{ free: ['dear'] }, { m: ['dear'] }],
  }
  const start = (more: JsonObject) =>
    startGateway(scope, {
      models,
      router,
      general: { master_key: masterKey, ...more },
      env: {
        OPENAI_API_KEY: 'sk-openai-credential',
        OPENAI_BASE_URL: provider.base,
        ANTHROPIC_API_KEY: 'sk-ant-credential',
        ANTHROPIC_API_BASE: provider.origin,
      },
    })
  ;[strict, usual] = await Promise.all([start({ budget_overshoot: 'deny' }), start({})])
})

type Asking = { path?: string; body: JsonObject | string; headers?: Record<string, string> }
const send = (gateway: Gateway, key: string, { path, body, headers }: Asking) =>
  gateway.post(path ?? '/v1/chat/completions', body, { authorization: `Bearer ${key}`, ...headers })

async function statusOf(gateway: Gateway, key: string, asking: Asking): Promise<number> {
  const response = await send(gateway, key, asking)
  await response.text()
  return response.status
}

async function spendOf(gateway: Gateway, key: string): Promise<number> {
  const response = await gateway.get('/key/info', { authorization: `Bearer ${key}` })
  return (await response.json()).info.spend
}

const say = (content: Json): JsonObject => ({ messages: [{ role: 'user', content }] })
const chat = (more: JsonObject, model = 'm'): Asking => ({ body: ask(model, more) })
const claude = (more: JsonObject): Asking => ({ path: '/v1/messages', body: ask('claude', more) })
const gemini = (config: JsonObject, more: JsonObject = {}): Asking => ({
  path: '/v1beta/models/gemini:generateContent',
  body: {
    contents: [{ role: 'user', parts: [{ text: 'hi' }] }],
    generationConfig: config,
    ...more,
  },
})
const respond = (more: JsonObject): Asking => ({
  path: '/v1/responses',
  body: { model: 'm', input: 'hi', ...more },
})
const complete = (more: JsonObject): Asking => ({
  path: '/v1/completions',
  body: { model: 'legacy', prompt: 'hi', ...more },
})

describe('what a request may cost is not made to look less', () => {
  const small: [name: string, asking: Asking][] = [
    ['chat', chat({ max_tokens: 5 })],
    ['the newer name', chat({ max_completion_tokens: 5 })],
    ['two choices', chat({ max_tokens: 5, n: 2 })],
    ['Anthropic', claude({ max_tokens: 5 })],
    ['Gemini', gemini({ maxOutputTokens: 5 })],
    ['Responses', respond({ max_output_tokens: 5 })],
    ['text', complete({ max_tokens: 5 })],
    ['a prompt in tokens', complete({ prompt: [1, 2, 3], max_tokens: 5 })],
    [
      'a tool of the client’s own, whatever it is called',
      chat({ max_tokens: 5, tools: [{ type: 'function', function: { name: 'web_search' } }] }),
    ],
    ['words about documents', chat({ max_tokens: 5, ...say('"document" "file_id" web_search') })],
    ['null for another bound', chat({ max_tokens: 5, max_completion_tokens: null })],
  ]
  for (const [name, asking] of small)
    test(`fits: ${name}`, async () => {
      const key = await makeKey(strict.url, { max_budget: 0.0006 })
      const status = await statusOf(strict, key, asking)
      ok(status !== 422, `${status}`)
    })

  const large: [name: string, asking: Asking][] = [
    ['no bound', chat({})],
    ['null', chat({ max_tokens: null })],
    ['negative', chat({ max_tokens: -1 })],
    ['nothing', chat({ max_tokens: 0 })],
    ['text', chat({ max_tokens: '5' })],
    ['huge', chat({ max_tokens: 1e308 })],
    ['one of both names is large', chat({ max_completion_tokens: 1, max_tokens: 100_000 })],
    ['the bound of another dialect', chat({ max_output_tokens: 5 })],
    [
      'the bound of another dialect, at Anthropic',
      claude({ max_tokens: 100_000, max_completion_tokens: 5 }),
    ],
    ['the bound of another dialect, at Responses', respond({ max_tokens: 5 })],
    ['the bound of another dialect, at Gemini', gemini({}, { max_tokens: 5 })],
    ['many choices', chat({ max_tokens: 5, n: 1000 })],
    ['many choices as text', chat({ max_tokens: 5, n: '1000' })],
    ['best_of hidden behind n', complete({ max_tokens: 5, n: 1, best_of: 1000 })],
    ['a list of prompts', complete({ max_tokens: 100, prompt: Array(20).fill('a') })],
    ['candidates', gemini({ maxOutputTokens: 5, candidateCount: 1000 })],
    ['fields put in by extra_body', chat({ max_tokens: 5, extra_body: { n: 1000 } })],
    [
      'an image by its address',
      chat({
        max_tokens: 5,
        ...say([{ type: 'image_url', image_url: { url: 'https://example.org/a.png' } }]),
      }),
    ],
    [
      'an image of few bytes',
      chat({ max_tokens: 5, ...say([{ type: 'image_url', image_url: { url: image } }]) }),
    ],
    [
      'a document',
      claude({ max_tokens: 5, ...say([{ type: 'document', source: { type: 'url', url: 'x' } }]) }),
    ],
    ['a file', chat({ max_tokens: 5, ...say([{ type: 'file', file: { file_id: 'f' } }]) })],
    [
      'a document in disguise',
      {
        path: '/v1/messages',
        body: JSON.stringify(
          ask('claude', { max_tokens: 5, ...say([{ type: 'document', source: {} }]) }),
        ).replace('"document"', '"\\u0064ocument"'),
      },
    ],
    [
      'film',
      gemini(
        { maxOutputTokens: 5 },
        { contents: [{ parts: [{ fileData: { fileUri: 'youtube' } }] }] },
      ),
    ],
    [
      'a search by the provider',
      claude({ max_tokens: 5, tools: [{ type: 'web_search_20250305', name: 'web_search' }] }),
    ],
    ['Google’s search', gemini({ maxOutputTokens: 5 }, { tools: [{ googleSearch: {} }] })],
    [
      'a conversation that the provider keeps',
      respond({ max_output_tokens: 5, conversation: 'conv_1' }),
    ],
    ['sound at its own price', chat({ max_tokens: 100, modalities: ['text', 'audio'] }, 'talker')],
    ['a dearer tier', chat({ max_tokens: 100, service_tier: 'priority' }, 'priority')],
    ['a price that only the answer tells', chat({ max_tokens: 5 }, 'routed')],
    [
      'many pictures',
      { path: '/v1/images/generations', body: { model: 'pictures', prompt: 'x', n: 9 } },
    ],
    [
      'a thousand documents to rank',
      {
        path: '/v1/rerank',
        body: { model: 'ranked', query: 'x', documents: Array(2000).fill('x') },
      },
    ],
  ]
  for (const [name, asking] of large)
    test(`does not fit: ${name}`, async () => {
      const key = await makeKey(strict.url, { max_budget: 0.0006 })
      const asked = provider.asked.length
      const response = await send(strict, key, asking)
      const said = await response.text()
      equal(response.status, name === 'a price that only the answer tells' ? 200 : 422, said)
      if (response.status === 422) {
        match(said, /Budget has been exceeded/)
        equal(provider.asked.length, asked)
      }
    })
})

describe('pictures to start from', () => {
  const edit = (files: number, bytes: number): FormData => {
    const form = new FormData()
    form.append('model', 'edits')
    form.append('prompt', 'x')
    for (let n = 0; n < files; n++)
      form.append('image[]', new Blob([new Uint8Array(bytes)]), `${n}.png`)
    return form
  }
  /** Of 6,500 tokens each, read and written, at ten and forty millionths. */
  const drawn = 6500 * 40e-6
  const read = 6500 * 10e-6
  const cases: [name: string, files: number, bytes: number, budget: number, status: number][] = [
    ['one fits', 1, 1000, drawn + read + 0.001, 200],
    ['three do not', 3, 1000, drawn + read + 0.001, 422],
    ['three fit', 3, 1000, drawn + 3 * read + 0.001, 200],
    [
      'a form that is not held to its end is counted all the same',
      1,
      6e6,
      drawn + read + 0.001,
      200,
    ],
    ['and its second one too', 2, 3e6, drawn + read + 0.001, 422],
  ]
  for (const [name, files, bytes, max_budget, status] of cases)
    test(name, async () => {
      const key = await makeKey(strict.url, { max_budget })
      provider.tell(() =>
        whole({
          created: 1,
          data: [{ b64_json: 'aaaa' }],
          usage: { input_tokens: 10, output_tokens: 10 },
        }),
      )
      const response = await fetch(`${strict.url}/v1/images/edits`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: edit(files, bytes),
      })
      provider.tell(hello)
      equal(response.status, status, await response.text())
    })
})

describe('an exhausted budget', () => {
  const nothing: [name: string, asking: Asking][] = [
    ['a model that the answer prices', chat({}, 'routed')],
    [
      'a recording of unknown length',
      {
        path: '/v1/audio/transcriptions',
        body: '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nheard\r\n--x--\r\n',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
      },
    ],
    ['a batch', { path: '/v1/batches', body: { input_file_id: 'file-1' } }],
    ['a film', { path: '/v1/videos', body: { model: 'x', prompt: 'x' } }],
    ['a job', { path: '/v1/fine_tuning/jobs', body: { model: 'x', training_file: 'f' } }],
    ['the provider’s own API', { path: '/openai/v1/evals', body: {} }],
    ['Gemini', gemini({})],
    ['a model by another name', chat({}, 'nickname')],
  ]
  for (const [name, asking] of nothing)
    test(`refuses ${name}`, async () => {
      const key = await makeKey(usual.url, { max_budget: 0 })
      const asked = provider.asked.length
      equal(await statusOf(usual, key, asking), 422)
      equal(provider.asked.length, asked)
    })

  test('a form of unknown length too', async () => {
    const key = await makeKey(usual.url, { max_budget: 0 })
    const form = '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nheard\r\n--x--\r\n'
    const response = await fetch(`${usual.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'multipart/form-data; boundary=x',
      },
      body: new Blob([form]).stream(),
      duplex: 'half',
    } as RequestInit) // `duplex` is missing in the types
    equal(response.status, 422, await response.text())
  })

  test('lets a free model answer, and its dear fallback not', async () => {
    const key = await makeKey(usual.url, { max_budget: 0 })
    provider.tell(hello)
    equal(await statusOf(usual, key, chat({}, 'free')), 200)
    provider.tell((asked, nth) =>
      asked.json['model'] === 'free-model' ? refusal(500, { message: 'down' }) : hello(asked, nth),
    )
    const asked = provider.asked.length
    const status = await statusOf(usual, key, chat({}, 'free'))
    provider.tell(hello)
    ok(status >= 400, String(status))
    ok(provider.asked.slice(asked).every(({ json }) => json['model'] === 'free-model'))
    equal(await spendOf(usual, key), 0)
  })
})

test('a customer’s models bound what comes after the first one, too', async () => {
  const manage = (path: string, body: JsonObject) =>
    usual.post(path, body, { authorization: `Bearer ${masterKey}` })
  provider.tell((asked, nth) =>
    asked.json['model'] === 'upstream-model'
      ? refusal(500, { message: 'down' })
      : hello(asked, nth),
  )
  const key = await makeKey(usual.url)
  for (const [user_id, models, others] of [
    ['narrow', ['m'], 0],
    ['wide', ['m', 'dear'], 1],
    ['by a pattern', ['m', 'd*r'], 1],
  ] as const) {
    equal((await manage('/customer/new', { user_id, models: [...models] })).status, 200)
    const asked = provider.asked.length
    const status = await statusOf(usual, key, chat({ max_tokens: 5, user: user_id }))
    equal(status === 200, others === 1, `${user_id} ${status}`)
    const dear = provider.asked.slice(asked).filter(({ json }) => json['model'] === 'dear-model')
    equal(dear.length, others, user_id)
  }
  provider.tell(hello)
})

test('counts and looks at what was answered have a pace', async () => {
  const key = await makeKey(usual.url, { rpm_limit: 2 })
  const count: Asking = { path: '/v1/messages/count_tokens', body: ask('m') }
  const look = () => usual.get('/v1/responses/resp_of_nobody', { authorization: `Bearer ${key}` })
  equal((await look()).status, 404)
  equal(await statusOf(usual, key, count), 200)
  equal(await statusOf(usual, key, count), 429)
  const refused = await look()
  equal(refused.status, 429)
  match(await refused.text(), /Rate limit exceeded/)
})

describe('prices that a client sends', () => {
  const own = { input_cost_per_token: 0.0001, output_cost_per_token: 0, base_model: 'gpt-4o' }
  const metadata = { allow_client_pricing_override: true }
  const asked: [name: string, more: JsonObject][] = [
    ['in the body', own],
    ['in model_info', { model_info: own }],
  ]
  for (const [name, more] of asked) {
    test(`${name} count for nothing, and go nowhere`, async () => {
      const key = await makeKey(usual.url)
      equal(await statusOf(usual, key, chat({ max_tokens: 5, ...more })), 200)
      equal(await spendOf(usual, key), callCost / 1e9)
      const sent = Object.keys(provider.last().json)
      ok(!sent.some((field) => /cost|base_model|model_info/.test(field)), sent.join())
    })

    test(`${name} count where the key may say them, also before it is sent`, async () => {
      const key = await makeKey(usual.url, { metadata, max_budget: 0.01 })
      equal(await statusOf(usual, key, chat({ max_tokens: 5, ...more })), 422)
      const rich = await makeKey(usual.url, { metadata, max_budget: 1 })
      equal(await statusOf(usual, rich, chat({ max_tokens: 5, ...more })), 200)
      equal(await spendOf(usual, rich), 0.0009)
    })
  }

  test('a price below nothing is none', async () => {
    const key = await makeKey(usual.url, { metadata })
    const below = { input_cost_per_token: -1, output_cost_per_token: 'free' }
    equal(await statusOf(usual, key, chat({ max_tokens: 5, ...below })), 200)
    equal(await spendOf(usual, key), callCost / 1e9)
  })

  test('a team may be allowed to', async () => {
    const made = await usual.post(
      '/team/new',
      { team_id: 'pricing', metadata },
      { authorization: `Bearer ${masterKey}` },
    )
    equal(made.status, 200)
    const key = await makeKey(usual.url, { team_id: 'pricing' })
    const embed = { path: '/v1/embeddings', body: { model: 'm', input: 'x', ...own } }
    provider.tell(() =>
      whole({ data: [], model: 'x', usage: { prompt_tokens: 100, total_tokens: 100 } }),
    )
    equal(await statusOf(usual, key, embed), 200)
    provider.tell(hello)
    equal(await spendOf(usual, key), 0.01)
  })
})

describe('a budget of one model', () => {
  const spent = { m: { max_budget: 0, budget_duration: '1d' } }
  test('bounds it by every name it is called by', async () => {
    const deployment = usual.running.rooms.router.groups.find('m')[0]?.id ?? ''
    for (const terms of [
      { model_max_budget: spent },
      { model_max_budget: { nickname: spent.m } },
      { model_max_budget: spent, aliases: { mine: 'm' } },
    ]) {
      const names = Object.hasOwn(terms.model_max_budget, 'nickname')
        ? ['nickname']
        : ['m', 'nickname', deployment, ...('aliases' in terms ? ['mine'] : [])]
      const key = await makeKey(usual.url, terms)
      for (const name of names) equal(await statusOf(usual, key, chat({}, name)), 422, name)
      equal(await statusOf(usual, key, chat({ max_tokens: 1 }, 'dear')), 200)
    }
  })

  test('bounds it as a fallback, and its limits do', async () => {
    const dear = { max_budget: 0, budget_duration: '1d' }
    provider.tell((asked, nth) =>
      asked.json['model'] === 'upstream-model'
        ? refusal(500, { message: 'down' })
        : hello(asked, nth),
    )
    for (const terms of [{ model_max_budget: { dear } }, { model_rpm_limit: { dear: 0 } }]) {
      const key = await makeKey(usual.url, terms)
      const asked = provider.asked.length
      ok((await statusOf(usual, key, chat({ max_tokens: 5 }))) >= 400)
      ok(provider.asked.slice(asked).every(({ json }) => json['model'] !== 'dear-model'))
    }
    // Where there is room the fallback's account is charged, not that of the model that was asked.
    const both = { max_budget: 1, budget_duration: '1d' }
    const key = await makeKey(usual.url, { model_max_budget: { dear: both, m: both } })
    equal(await statusOf(usual, key, chat({ max_tokens: 5 })), 200)
    provider.tell(hello)
    const info = await (await usual.get('/key/info', { authorization: `Bearer ${key}` })).json()
    const usage = info.info.model_max_budget_usage
    deepEqual([usage.m.current_spend, usage.dear.current_spend > 0], [0, true])
  })
})

test('tags of the key are not pushed out by a crowd of others', async () => {
  const headers = { authorization: `Bearer ${masterKey}` }
  const made = await usual.post('/tag/new', { name: 'bounded', max_budget: 0 }, headers)
  equal(made.status, 200, await made.text())
  const key = await makeKey(usual.url, { metadata: { tags: ['bounded'] } })
  const tags = Array.from({ length: 500 }, (_, n) => `t${n}`)
  equal(await statusOf(usual, key, chat({ metadata: { tags } })), 422)
  equal(
    await statusOf(usual, key, { ...chat({}), headers: { 'x-litellm-tags': tags.join() } }),
    422,
  )
})

test('a customer is one, whatever it is called by', async () => {
  const headers = { authorization: `Bearer ${masterKey}` }
  const made = await usual.post('/customer/new', { user_id: '42', blocked: true }, headers)
  equal(made.status, 200, await made.text())
  const key = await makeKey(usual.url)
  for (const user of ['42', 42]) equal(await statusOf(usual, key, chat({ user })), 401)
  for (const user of ['', null, {}, ['42'], 'x'.repeat(100_000), '\u0000', '\ud800', "';--"])
    equal(await statusOf(usual, key, chat({ user })), 200)
  equal(await spendOf(usual, key), (8 * callCost) / 1e9)
})

test('the same id for many calls: each is counted', async () => {
  const key = await makeKey(usual.url)
  const headers = { 'x-litellm-call-id': 'always-the-same' }
  for (let n = 0; n < 5; n++) equal(await statusOf(usual, key, { ...chat({}), headers }), 200)
  equal(await spendOf(usual, key), (5 * callCost) / 1e9)
})

test('prices and costs that others say count for nothing', async () => {
  const key = await makeKey(usual.url)
  provider.tell(() =>
    whole(chatAnswer({ content: 'x' }), {
      headers: { 'x-litellm-response-cost': '0', 'x-litellm-key-spend': '0' },
    }),
  )
  const body = chat({ input_cost_per_token: 0, output_cost_per_token: 0, cost: 0 })
  equal(await statusOf(usual, key, body), 200)
  provider.tell(hello)
  equal(await spendOf(usual, key), callCost / 1e9)
})

test('what a provider counts wrongly takes nothing back', async () => {
  const key = await makeKey(usual.url)
  for (const usage of [
    { prompt_tokens: -5, completion_tokens: -9, total_tokens: -14 },
    { prompt_tokens: '1e999', completion_tokens: null },
    { prompt_tokens: 1e300, completion_tokens: 3 },
  ]) {
    provider.tell(() => whole(chatAnswer({ content: 'x' }, { usage })))
    const before = await spendOf(usual, key)
    equal(await statusOf(usual, key, chat({})), 200)
    ok((await spendOf(usual, key)) >= before)
  }
  provider.tell(hello)
})

describe('a slot and what was set aside come back', () => {
  const held = async (key: string): Promise<number> => {
    // One slot, and a budget for one request: it is free when the next is let in.
    const response = await send(usual, key, chat({ max_tokens: 5 }))
    await response.text()
    return response.status
  }
  const endings: [
    name: string,
    script: () => ReturnType<typeof whole>,
    body: JsonObject,
    hangUpMs?: number,
  ][] = [
    ['an answer', () => whole(chatAnswer({ content: 'x' })), {}],
    ['a refusal', () => refusal(400, { message: 'no' }), {}],
    ['a server error', () => refusal(500, { message: 'no' }), {}],
    ['no JSON', () => whole('<html>'), {}],
    [
      'a stream that is cut',
      () => stream([chunk({ content: 'x' })], { end: 'cut' }),
      { stream: true },
    ],
    ['a stream of nothing', () => stream([]), { stream: true }],
    ['an unknown model', () => whole({}), { model: 'nobody' }],
    ['a hang-up before the first byte', () => stream([], { end: 'hang' }), { stream: true }, 60],
    [
      'a hang-up amid the stream',
      () => stream([chunk({ content: 'x' }), 30, chunk({ content: 'y' })], { end: 'hang' }),
      { stream: true },
      60,
    ],
    ['a hang-up of a whole answer', () => ({ type: 'hang' }) as never, {}, 60],
    ['a hang-up at once', () => whole(chatAnswer({ content: 'x' })), {}, 0],
    ['a time of the client’s own', () => ({ type: 'hang' }) as never, { timeout: 0.05 }],
  ]
  for (const [name, script, body, hangUpMs] of endings)
    test(name, async () => {
      const key = await makeKey(usual.url, { max_parallel_requests: 1, max_budget: 0.01 })
      provider.tell(script)
      const controller = new AbortController()
      const asked = fetch(`${usual.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(ask('m', { max_tokens: 1000, disable_fallbacks: true, ...body })),
        signal: controller.signal,
      }).then((response) => response.text())
      if (hangUpMs !== undefined) {
        await sleep(hangUpMs)
        controller.abort()
      }
      await asked.catch(() => {})
      provider.tell(hello)
      // Whoever hangs up is noticed a moment later.
      const until = performance.now() + 2000
      while ((await held(key)) === 429 && performance.now() < until) await sleep(10)
      equal(await held(key), 200)
    })
})

describe('whoever leaves early pays for what was begun', () => {
  const leaving: [name: string, body: JsonObject][] = [
    ['a whole answer', {}],
    ['a stream before its first byte', { stream: true }],
  ]
  for (const [name, body] of leaving)
    test(name, async () => {
      const key = await makeKey(usual.url)
      provider.tell(() => ({ type: 'hang' }))
      const controller = new AbortController()
      const before = provider.asked.length
      const asked = fetch(`${usual.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(ask('m', { ...body, ...say('word '.repeat(500)) })),
        signal: controller.signal,
      })
      await eventually(() => provider.asked.length > before)
      controller.abort()
      await asked.catch(() => {})
      const until = performance.now() + 2000
      while ((await spendOf(usual, key)) === 0 && performance.now() < until) await sleep(20)
      provider.tell(hello)
      const spend = await spendOf(usual, key)
      ok(spend > 0.0004 && spend < 0.0007, String(spend))
    })

  const entries: Entry[] = []
  before(() => {
    const { ledger } = usual.running.rooms
    const { record } = ledger
    ledger.record = (entry) => {
      entries.push(entry)
      return record(entry)
    }
  })
  /** A second of sound, by its head. */
  const wav = Buffer.alloc(44 + 16_000)
  wav.write('RIFF', 0)
  wav.write('WAVEfmt ', 8)
  wav.writeUInt32LE(16, 16)
  wav.writeUInt32LE(16_000, 28)
  wav.write('data', 36)
  wav.writeUInt32LE(16_000, 40)
  const spoken = (): FormData => {
    const form = new FormData()
    form.append('model', 'heard')
    form.append('file', new Blob([wav]), 'a.wav')
    return form
  }
  const words = 'word '.repeat(500)
  const others: [name: string, path: string, body: () => JsonObject | FormData, least: number][] = [
    ['pictures', '/v1/images/generations', () => ({ model: 'pictures', prompt: 'x', n: 3 }), 0.12],
    [
      'pictures as they come',
      '/v1/images/generations',
      () => ({ model: 'pictures', prompt: 'x', n: 2, stream: true }),
      0.08,
    ],
    ['speech', '/v1/audio/speech', () => ({ model: 'said', input: 'hello', voice: 'a' }), 0.005],
    ['vectors', '/v1/embeddings', () => ({ model: 'm', input: words }), 0.0005],
    [
      'documents to rank',
      '/v1/rerank',
      () => ({ model: 'ranked', query: 'x', documents: Array(150).fill('x') }),
      0.0001,
    ],
    ['pages to read', '/v1/ocr', () => ({ model: 'read', document: page, pages: [0, 1] }), 0.02],
    ['sound to write down', '/v1/audio/transcriptions', spoken, 0.0001],
  ]
  const page = { type: 'document_url', document_url: 'https://example.org/a.pdf' }
  for (const [name, path, body, spend] of others) {
    const begins = name.includes('as they come')
    test(name, async () => {
      const key = await makeKey(usual.url)
      provider.tell(() =>
        begins ? stream([sse({ type: 'begun' })], { end: 'hang' }) : { type: 'hang' },
      )
      const controller = new AbortController()
      const before = provider.asked.length
      const said = body()
      const response = fetch(usual.url + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          ...(!(said instanceof FormData) && { 'content-type': 'application/json' }),
        },
        body: said instanceof FormData ? said : JSON.stringify(said),
        signal: controller.signal,
      })
      await eventually(() => provider.asked.length > before)
      if (begins) await (await response).body?.getReader().read()
      controller.abort()
      await response.catch(() => {})
      const until = performance.now() + 2000
      while ((await spendOf(usual, key)) === 0 && performance.now() < until) await sleep(20)
      provider.tell(hello)
      const paid = await spendOf(usual, key)
      ok(paid >= spend - 1e-9 && paid <= spend * 1.1, String(paid))
      ok(entries.at(-1)?.usage.estimated, 'and it is said that this is an estimate')
    })
  }

  test('who leaves while it still sends has asked nothing', async () => {
    const key = await makeKey(usual.url)
    provider.tell(() => ({ type: 'hang' }))
    const controller = new AbortController()
    const head =
      '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nheard\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    const body = new ReadableStream<Uint8Array>({
      start(to) {
        to.enqueue(new TextEncoder().encode(head))
        to.enqueue(new Uint8Array(5 * 1024 * 1024))
      },
    })
    const response = fetch(`${usual.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'multipart/form-data; boundary=x',
      },
      body,
      duplex: 'half',
      signal: controller.signal,
    } as RequestInit) // `duplex` is missing in the types
    response.catch(() => {})
    const before = entries.length
    await sleep(100)
    controller.abort()
    await eventually(() => entries.length > before)
    equal(entries.at(-1)?.fault, 'canceled')
    provider.tell(hello)
    equal(await spendOf(usual, key), 0)
  })

  test('a time that the client set, each time the provider was asked', async () => {
    const key = await makeKey(usual.url)
    provider.tell(() => ({ type: 'hang' }))
    const body = {
      timeout: 0.05,
      num_retries: 2,
      disable_fallbacks: true,
      ...say('word '.repeat(500)),
    }
    const before = provider.asked.length
    equal(await statusOf(usual, key, chat(body)), 408)
    const times = provider.asked.length - before
    provider.tell(hello)
    const spend = await spendOf(usual, key)
    ok(spend > times * 0.0004 && spend < times * 0.0007, `${times} times: ${spend}`)
  })

  test('a time that the client set: what the provider refused before is not paid for', async () => {
    const key = await makeKey(usual.url)
    const before = provider.asked.length
    const refused = refusal(500, { message: 'no' })
    provider.tell(() => (provider.asked.length - before > 1 ? { type: 'hang' } : refused))
    const body = {
      timeout: 0.05,
      num_retries: 1,
      disable_fallbacks: true,
      ...say('word '.repeat(500)),
    }
    equal(await statusOf(usual, key, chat(body)), 408)
    equal(provider.asked.length - before, 2)
    provider.tell(hello)
    const spend = await spendOf(usual, key)
    ok(spend > 0.0004 && spend < 0.0007, String(spend))
  })
})

describe('a provider’s own API is counted from what passes', () => {
  const words = 'word '.repeat(400)
  const read = { input_tokens: 20, output_tokens: 1 }
  const named = (steps: (string | number)[]) =>
    steps.map((one) =>
      typeof one === 'string' ? one.replaceAll('upstream-model-2026', 'gpt-4o') : one,
    )
  const rows: [
    name: string,
    path: string,
    steps: (string | number)[],
    least: number,
    most: number,
  ][] = [
    [
      'a stream that tells no usage',
      '/openai/v1/chat/completions',
      named([chunk({ content: words }), chunk({}, { finish_reason: 'stop' }), 'data: [DONE]\n\n']),
      300 * 10_000,
      700 * 10_000,
    ],
    [
      'one that tells it: that counts',
      '/openai/v1/chat/completions',
      named([
        chunk({ content: words }),
        chunk({}, {}, { choices: [], usage: { prompt_tokens: 0, completion_tokens: 7 } }),
      ]),
      7 * 10_000,
      7 * 10_000,
    ],
    [
      'Responses, which says everything three times',
      '/openai/v1/responses/x',
      [
        sse({ type: 'response.output_text.delta', delta: words }),
        sse({ type: 'response.output_text.done', text: words }),
        sse({
          type: 'response.completed',
          response: { model: 'gpt-4o', usage: { input_tokens: 0, output_tokens: 9 } },
        }),
      ],
      9 * 10_000,
      9 * 10_000,
    ],
    [
      'a stream that ends before its usage',
      '/anthropic/v1/other',
      [
        sse({ type: 'message_start', message: { model: 'claude-opus-4-6', usage: read } }),
        sse({ type: 'content_block_delta', delta: { type: 'text_delta', text: words } }),
      ],
      300 * 25_000,
      700 * 25_000,
    ],
  ]
  for (const [name, path, steps, least, most] of rows)
    test(name, async () => {
      const key = await makeKey(usual.url)
      provider.tell(() => stream(steps))
      equal(await statusOf(usual, key, { path, body: ask('gpt-4o', { stream: true }) }), 200)
      provider.tell(hello)
      const spend = (await spendOf(usual, key)) * 1e9
      ok(spend >= least - 1 && spend <= most + 1, String(spend))
    })
})

describe('an answer made in the background is paid for, however it is looked at', () => {
  const usage = { input_tokens: 10, output_tokens: 100, total_tokens: 110 }
  const made = (status: string): JsonObject => ({
    id: 'resp_1',
    object: 'response',
    status,
    model: 'x',
    output: [],
    usage: status === 'completed' ? usage : null,
  })
  const cost = (10 * 1000 + 100 * 2000) / 1e9
  const looks: [
    name: string,
    ask: (path: string, headers: Record<string, string>) => Promise<Response>,
  ][] = [
    ['whole', (path, headers) => usual.get(path, headers)],
    ['as a stream', (path, headers) => usual.get(`${path}?stream=true`, headers)],
    [
      'never, and deleted',
      (path, headers) => fetch(usual.url + path, { method: 'DELETE', headers }),
    ],
  ]
  for (const [name, look] of looks)
    test(name, async () => {
      const key = await makeKey(usual.url, { max_budget: 1, max_parallel_requests: 1 })
      provider.tell(({ method, path }) =>
        method === 'POST'
          ? whole(made('queued'))
          : method === 'DELETE'
            ? whole({ id: 'resp_1', object: 'response', deleted: true })
            : path.includes('stream=true')
              ? stream([sse({ type: 'response.completed', response: made('completed') })])
              : whole(made('completed')),
      )
      const body = { model: 'native', input: 'hi', background: true, max_output_tokens: 100 }
      const response = await send(usual, key, { path: '/v1/responses', body })
      const { id } = await response.json()
      equal(response.status, 200)
      const seen = await look(`/v1/responses/${id}`, { authorization: `Bearer ${key}` })
      await seen.text()
      equal(seen.status, 200)
      equal(await spendOf(usual, key), cost)
      provider.tell(hello)
      equal(await statusOf(usual, key, chat({ max_tokens: 5 })), 200)
    })
})
