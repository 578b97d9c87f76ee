import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { isObject, type Json, type JsonObject } from '../src/json/json.ts'
import { ask, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  chunk,
  fileScope,
  hello,
  type Provider,
  type Script,
  sse,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** Bodies nobody should send, and answers nobody should give: an error that says so, or a good answer; never a crash. */
const scope = fileScope()
let provider: Provider
let gateway: Gateway
const kinds = ['openai', 'anthropic', 'cohere', 'ollama', 'replicate', 'gemini']

before(async () => {
  provider = await startProvider(scope, hello)
  gateway = await startGateway(scope, {
    models: [
      openaiRow('m', provider),
      ...kinds.map((kind) => ({
        model_name: kind,
        litellm_params: {
          model: `${kind}/owner/some-model`,
          api_base: provider.origin,
          api_key: 'sk-upstream-credential',
        },
      })),
    ],
  })
})

/** Every variant is sent; otherwise a share of them, different ones on different days. */
const heavy = process.env['HEAVY'] === '1'
const day = Math.floor(Date.now() / 86_400_000)

/** What may stand where something else should. Raw text, since JSON.stringify does not write all of it. */
const odd =
  `null true 0 -1 1e400 12345678901234567890 "" "constructor" "__proto__" [] {} [null,[[]]] {"__proto__":{"a":1},"type":"text"} {"toString":1,"valueOf":[]}`.split(
    ' ',
  )

/** The same text with one value replaced, for every place and every odd value. */
function* variants(value: Json): Generator<string> {
  for (const path of pathsOf(value))
    for (const one of odd) yield written(value, path).replace('"\u0000here"', one)
}

function* pathsOf(value: Json, at: readonly (string | number)[] = []): Generator<typeof at> {
  if (at.length > 0) yield at
  if (Array.isArray(value))
    for (const [index, item] of value.entries()) yield* pathsOf(item, [...at, index])
  else if (isObject(value))
    for (const [key, item] of Object.entries(value)) yield* pathsOf(item ?? null, [...at, key])
}

function written(value: Json, path: readonly (string | number)[]): string {
  const copy = (from: Json, rest: readonly (string | number)[]): Json => {
    const [step, ...more] = rest
    if (step === undefined) return '\u0000here'
    if (Array.isArray(from))
      return from.map((item, index) => (index === step ? copy(item, more) : item))
    if (!isObject(from)) return from
    return { ...from, [step]: copy(from[step] ?? null, more) }
  }
  return JSON.stringify(copy(value, path)).replace('"\\u0000here"', '"\u0000here"')
}

/** So many at once: they are thousands. */
async function each<T>(items: Iterable<T>, run: (item: T) => Promise<void>): Promise<number> {
  const queue = items[Symbol.iterator]()
  let count = 0
  const worker = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      count++
      await run(next.value)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  return count
}

function plausible(status: number, said: string, what: string): void {
  ok(status >= 200 && status < 600, what)
  ok(!said.includes('Internal server error'), `${status} ${said.slice(0, 300)}\n${what}`)
  if (status >= 400) ok(isObject(JSON.parse(said)['error']), said)
}
const unbroken = () => {
  const broken = ['inside the gateway', 'a route failed', 'the server failed']
  const lines = gateway.logged().split('\n')
  deepEqual(lines.filter((line) => broken.some((words) => line.includes(words))).slice(0, 3), [])
}

const chatBody: JsonObject = {
  model: 'm',
  messages: [
    { role: 'system', content: 'Be brief.', name: 'n' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Hi' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBO', detail: 'low' } },
        {
          type: 'file',
          file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBE' },
        },
        { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'Hm.',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'r' },
  ],
  tools: [
    {
      type: 'function',
      function: {
        name: 'f',
        description: 'd',
        strict: true,
        parameters: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
      },
    },
  ],
  tool_choice: { type: 'function', function: { name: 'f' } },
  response_format: {
    type: 'json_schema',
    json_schema: { name: 's', strict: true, schema: { type: 'object' } },
  },
  stop: ['a'],
  max_tokens: 5,
  temperature: 1,
  n: 1,
  logit_bias: { 1: 2 },
  stream_options: { include_usage: true },
  reasoning_effort: 'low',
  metadata: { tags: ['a'] },
  extra_headers: { 'x-a': 'b' },
  extra_body: { top_k: 1 },
  fallbacks: ['m'],
  timeout: 5,
  num_retries: 0,
}

const messagesBody: JsonObject = {
  model: 'm',
  max_tokens: 5,
  system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '5m' } }],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Hi' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
        {
          type: 'document',
          title: 't',
          source: { type: 'text', media_type: 'text/plain', data: 'x' },
        },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 's' },
        { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } },
      ],
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 't1',
          is_error: false,
          content: [{ type: 'text', text: 'r' }],
        },
      ],
    },
  ],
  tools: [{ name: 'f', description: 'd', input_schema: { type: 'object', properties: {} } }],
  tool_choice: { type: 'tool', name: 'f' },
  stop_sequences: ['a'],
  thinking: { type: 'enabled', budget_tokens: 1024 },
  temperature: 1,
  metadata: { user_id: 'u' },
}

describe('wrong types, everywhere in a request', () => {
  const tables: [path: string, body: JsonObject, models: string[], share: number][] = [
    ['/v1/chat/completions', chatBody, ['m'], 9],
    ['/v1/chat/completions', chatBody, ['anthropic'], 9],
    ['/v1/chat/completions', chatBody, kinds.slice(2), 18],
    ['/v1/messages', messagesBody, ['m'], 9],
    ['/v1/messages', messagesBody, ['anthropic', ...kinds.slice(2)], 9],
  ]
  for (const [path, body, models, share] of tables)
    test(`${path} for ${models}`, async () => {
      // Each variant meets another model and another kind of answer; every so many are sent.
      const all = [...variants(body)].filter((_, index) => heavy || index % share === day % share)
      provider.tell(hello)
      let nth = 0
      const sent = await each(all, async (text) => {
        nth++
        const model = models[nth % models.length]
        const streamed = nth % 3 === 0 ? '"stream":true,' : ''
        const said = text.replace('"model":"m"', `${streamed}"model":"${model}"`)
        const response = await gateway.post(path, said)
        plausible(response.status, await response.text(), said)
      })
      ok(sent > 30)
      unbroken()
    })

  test('the token counter', async () => {
    const body = {
      model: 'm',
      messages: chatBody['messages'],
      tools: chatBody['tools'],
      system: 'x',
      tool_choice: 'auto',
    }
    await each(
      [...variants(body)].filter((_, index) => heavy || index % 16 === day % 16),
      async (text) => {
        const response = await gateway.post('/utils/token_counter', text)
        plausible(response.status, await response.text(), text)
      },
    )
    unbroken()
  })
})

const openaiWhole = chatAnswer(
  {
    content: 'x',
    reasoning_content: 'Hm.',
    refusal: null,
    tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
    annotations: [
      {
        type: 'url_citation',
        url_citation: { url: 'u', title: 't', start_index: 0, end_index: 1 },
      },
    ],
  },
  {
    usage: {
      prompt_tokens: 1,
      completion_tokens: 1,
      total_tokens: 2,
      prompt_tokens_details: { cached_tokens: 1 },
      completion_tokens_details: { reasoning_tokens: 1 },
    },
    service_tier: 'default',
  },
)
const openaiChunk = JSON.parse(
  chunk(
    {
      role: 'assistant',
      content: 'x',
      reasoning_content: 'y',
      tool_calls: [
        { index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } },
      ],
    },
    { finish_reason: 'stop' },
    {
      usage: {
        prompt_tokens: 1,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    },
  ).slice(6),
)
const anthropicWhole: JsonObject = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [
    { type: 'thinking', thinking: 'Hm.', signature: 's' },
    { type: 'text', text: 'x', citations: [{ type: 'char_location', cited_text: 'a' }] },
    { type: 'tool_use', id: 't', name: 'f', input: { a: 1 } },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: {
    input_tokens: 1,
    output_tokens: 1,
    cache_read_input_tokens: 1,
    cache_creation: { ephemeral_5m_input_tokens: 1 },
  },
}
const anthropicEvents: JsonObject[] = [
  { type: 'message_start', message: { ...anthropicWhole, content: [], stop_reason: null } },
  {
    type: 'content_block_start',
    index: 0,
    content_block: { type: 'tool_use', id: 't', name: 'f', input: {} },
  },
  {
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'input_json_delta', partial_json: '{}' },
  },
  { type: 'content_block_stop', index: 0 },
  {
    type: 'message_delta',
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: 2 },
  },
  { type: 'message_stop' },
]
const events = (all: readonly string[]): string[] =>
  all.map((text) => `event: ${/"type":"(\w+)"/.exec(text)?.[1]}\ndata: ${text}\n\n`)

describe('wrong types, everywhere in an answer', () => {
  const tables: [name: string, model: string, scripts: () => Iterable<Script>][] = [
    ['openai, whole', 'm', () => map(variants(openaiWhole), (text) => () => whole(text))],
    [
      'openai, streamed',
      'm',
      () =>
        map(
          variants(openaiChunk),
          (text) => () =>
            stream([chunk({ content: 'a' }), `data: ${text}\n\n`, 'data: [DONE]\n\n']),
        ),
    ],
    [
      'anthropic, whole',
      'anthropic',
      () => map(variants(anthropicWhole), (text) => () => whole(text)),
    ],
    [
      'anthropic, streamed',
      'anthropic',
      () => map(variants(anthropicEvents), (text) => () => stream(events(splitList(text)))),
    ],
    [
      'an error',
      'm',
      () =>
        map(
          variants({ error: { message: 'x', type: 't', param: 'p', code: 'c' } }),
          (text) => () => whole(text, { status: 400 }),
        ),
    ],
    [
      'an error inside a stream',
      'm',
      () =>
        map(
          variants({ error: { message: 'x', type: 't', param: 'p', code: 'c' } }),
          (text) => () => stream([chunk({ content: 'a' }), 1, `data: ${text}\n\n`]),
        ),
    ],
  ]
  for (const [name, model, scripts] of tables)
    test(name, async () => {
      const streamed = name.includes('stream')
      const all = [...scripts()].filter((_, index) => heavy || index % 16 === day % 16)
      for (const path of ['/v1/chat/completions', '/v1/messages'])
        await each(all.entries(), async ([nth, script]) => {
          // The request says which answer it is for.
          pending.set(`${nth}`, script)
          provider.tell((asked, count) =>
            (pending.get(String(asked.json['seed'])) ?? hello)(asked, count),
          )
          const body = ask(model, {
            stream: streamed,
            max_tokens: 5,
            seed: nth,
            extra_body: { seed: nth },
            stream_options: { include_usage: true },
          })
          const response = await gateway.post(path, body)
          const said = await response.text()
          plausible(response.status, said, said)
          if (response.status !== 200) return
          if (!streamed) ok(isObject(JSON.parse(said)))
          else match(said.slice(-2000), /(data: \[DONE\]|message_stop"\}|"error":\{.*\})\n\n$/)
        })
      unbroken()
    })
  const pending = new Map<string, Script>()
})

function* map<T, U>(items: Iterable<T>, make: (item: T) => U): Generator<U> {
  for (const item of items) yield make(item)
}
/** The items of a JSON list, as they are written. */
function splitList(text: string): string[] {
  const items: string[] = []
  let depth = 0
  let from = 1
  for (let at = 1; at < text.length - 1; at++) {
    const c = text[at]
    if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
    else if (c === ',' && depth === 0) {
      items.push(text.slice(from, at))
      from = at + 1
    }
  }
  items.push(text.slice(from, -1))
  return items
}

describe('bodies that are no request', () => {
  const deep = (depth: number) =>
    `{"model":"m","messages":[],"x":${'['.repeat(depth)}${']'.repeat(depth)}}`
  const cases: [name: string, body: string | Uint8Array, status: number][] = [
    ['nothing', '', 400],
    ['spaces', '   ', 400],
    ['a list', '[]', 400],
    ['null', 'null', 400],
    ['a string', '"model"', 400],
    ['NaN', '{"model":"m","messages":[],"temperature":NaN}', 400],
    ['Infinity', '{"model":"m","messages":[],"temperature":-Infinity}', 400],
    ['cut short', '{"model":"m","messages":[{"role":"user"', 400],
    ['more behind it', '{"model":"m","messages":[]}x', 400],
    ['single quotes', "{'model':'m','messages':[]}", 400],
    ['10,000 levels', deep(10_000), 400],
    ['a million brackets', '['.repeat(1_000_000), 400],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), 400],
    ['UTF-16', Buffer.from('{"model":"m","messages":[]}', 'utf16le'), 400],
    ['a form', 'model=m&messages=[]', 400],
    ['a model that is a list', '{"model":["m"],"messages":[]}', 400],
    ['a model of a megabyte', JSON.stringify({ model: 'x'.repeat(1_000_000), messages: [] }), 400],
    ['messages that are a map', '{"model":"m","messages":{"0":{}}}', 400],
    ['no messages', '{"model":"m"}', 400],
  ]
  for (const [name, body, status] of cases)
    test(name, async () => {
      for (const path of ['/v1/chat/completions', '/v1/messages']) {
        const before = performance.now()
        const response = await gateway.post(path, body)
        const said = await response.text()
        equal(response.status, status, said)
        ok(said.length < 3000, 'it does not repeat what it was sent')
        match(JSON.parse(said).error.message, /\w{3}/)
        ok(performance.now() - before < 500)
      }
      equal((await gateway.post('/v1/chat/completions', ask('m'))).status, 200)
    })

  test('numbers JavaScript cannot hold go on as they came', async () => {
    provider.tell(hello)
    const body =
      '{"model":"m","messages":[],"seed":12345678901234567890,"x":1e400,"drop_params":true}'
    equal((await gateway.post('/v1/chat/completions', body)).status, 200)
    match(provider.last().text, /"seed":12345678901234567890,"x":1e400/)
  })

  test('names that look like patterns are names', async () => {
    for (const model of [
      '(a+)+$',
      '^(.*)*$',
      '[',
      '*',
      '**',
      'a*',
      '\\',
      '$x',
      '$&',
      `${'a'.repeat(50_000)}!`,
    ]) {
      const before = performance.now()
      equal((await gateway.post('/v1/chat/completions', ask(model))).status, 400, model)
      const listed = await gateway.get(`/v1/models/${encodeURIComponent(model.slice(0, 5000))}`)
      equal(listed.status, 404, model)
      const info = await gateway.get(
        `/utils/supported_openai_params?model=${encodeURIComponent(model.slice(0, 5000))}`,
      )
      ok(info.status < 500)
      ok(performance.now() - before < 300, model)
    }
    deepEqual(gateway.running.rooms.router.groups.names().sort(), ['m', ...kinds].sort())
  })
})

describe('answers that are no answer', () => {
  const cases: [name: string, script: Script, streamed: boolean, status: number][] = [
    ['nothing', () => whole(''), false, 502],
    ['a list', () => whole('[]'), false, 502],
    ['null', () => whole('null'), false, 502],
    [
      'HTML',
      () => whole('<html>hi</html>', { headers: { 'content-type': 'text/html' } }),
      false,
      502,
    ],
    ['no choices', () => whole('{}'), false, 502],
    [
      'an error in a success’s clothes',
      () => whole({ error: { message: 'no', code: 429 } }),
      false,
      429,
    ],
    ['deep brackets', () => whole(`{"choices":${'['.repeat(100_000)}`), false, 502],
    ['a connection that is closed', () => ({ type: 'cut' }), false, 502],
    ['a stream of nothing', () => stream([]), true, 502],
    ['a stream of comments', () => stream([': a\n\n', ': b\n\n']), true, 502],
    ['a stream of [DONE]', () => stream(['data: [DONE]\n\n']), true, 200],
    [
      'a stream that is HTML',
      () => whole('<html>hi</html>', { headers: { 'content-type': 'text/html' } }),
      true,
      502,
    ],
    ['frames that are not JSON', () => stream(['data: {"a":\n\n']), true, 502],
    ['frames that are lists', () => stream([sse([]), sse(null)]), true, 502],
    [
      'a stream that is cut before it says anything',
      () => stream([': a\n\n'], { end: 'cut' }),
      true,
      502,
    ],
  ]
  for (const [name, script, streamed, status] of cases)
    test(name, async () => {
      provider.tell(script)
      const response = await gateway.post('/v1/chat/completions', ask('m', { stream: streamed }))
      const said = await response.text()
      equal(response.status, status, said)
      unbroken()
    })
})
