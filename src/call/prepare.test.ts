import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type JsonObject, object } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import type { Row } from '../provider/deployment.ts'
import { listen } from '../wire/inbound.ts'
import { canonical } from '../wire/openai-chat/chunks.test.ts'
import { wires } from '../wire/wires.ts'
import { type Ask, prepare, removePath } from './prepare.ts'
import { ask, deployment, hear } from './upstream.test.ts'

const sent = (
  said: JsonObject,
  params: JsonObject = {},
  row: Partial<Row> = {},
  more: Partial<Ask> = {},
) => {
  const { body, headers, dropped } = prepare(hear(said), deployment(params, row), ask(more))
  const { model, messages, ...rest } = object(JSON.parse(utf8(body)))
  return { model, messages, rest, headers, dropped }
}

const bodies: [
  name: string,
  said: JsonObject,
  params: JsonObject,
  row: Partial<Row>,
  more: Partial<Ask>,
  rest: JsonObject,
][] = [
  ['nothing to change', { temperature: 0.5, odd: [1] }, {}, {}, {}, { temperature: 0.5, odd: [1] }],
  [
    "the gateway's own fields stay",
    { tags: ['a'], num_retries: 1 },
    {},
    {},
    { remove: ['tags', 'num_retries'] },
    {},
  ],
  [
    "a row's parameter where the client says none",
    {},
    {},
    { defaults: { temperature: 0.2 } },
    {},
    { temperature: 0.2 },
  ],
  [
    "a row's parameter gives way",
    { temperature: 1 },
    {},
    { defaults: { temperature: 0.2 } },
    {},
    { temperature: 1 },
  ],
  [
    "a row's parameter gives way to the other spelling",
    { max_completion_tokens: 9 },
    {},
    { defaults: { max_tokens: 5 } },
    {},
    { max_completion_tokens: 9 },
  ],
  [
    'extra_body of the client',
    { extra_body: { top_k: 3, temperature: 1 } },
    {},
    {},
    { remove: ['extra_body'] },
    { top_k: 3, temperature: 1 },
  ],
  [
    'extra_body of the row is over it',
    { extra_body: { a: 1, b: 1 } },
    { extra_body: { b: 2 } },
    {},
    { remove: ['extra_body'] },
    { a: 1, b: 2 },
  ],
  [
    'extra_body chooses neither model nor way',
    { extra_body: { model: 'gpt-dear', stream: true } },
    {},
    {},
    { remove: ['extra_body'] },
    {},
  ],
  ['extra_body that is no object', { extra_body: 'x' }, {}, {}, { remove: ['extra_body'] }, {}],
  [
    "extra_body of the row is over the row's parameters",
    {},
    { extra_body: { a: 1 } },
    { defaults: { a: 2 } },
    {},
    { a: 1 },
  ],
  [
    'a parameter dropped by name',
    { user: 'u', seed: 1 },
    { additional_drop_params: ['user'] },
    {},
    {},
    { seed: 1 },
  ],
  [
    "a parameter dropped by name is not filled from the row's",
    { temperature: 1 },
    { additional_drop_params: ['temperature'] },
    { defaults: { temperature: 0.2 } },
    {},
    {},
  ],
  [
    'nor where the client said none',
    {},
    { additional_drop_params: ['temperature'] },
    { defaults: { temperature: 0.2 } },
    {},
    {},
  ],
  [
    'a stream asks for its usage',
    { stream: true },
    {},
    {},
    {},
    { stream: true, stream_options: { include_usage: true } },
  ],
  [
    'and keeps what else was asked',
    { stream: true, stream_options: { include_obfuscation: false } },
    {},
    {},
    {},
    { stream: true, stream_options: { include_obfuscation: false, include_usage: true } },
  ],
  [
    'even against an extra_body',
    { stream: true, extra_body: { stream_options: { include_usage: false } } },
    {},
    {},
    { remove: ['extra_body'] },
    { stream: true, stream_options: { include_usage: true } },
  ],
  [
    'an empty list of tools goes, and what chose among them',
    { tools: [], tool_choice: 'auto', parallel_tool_calls: true },
    {},
    {},
    {},
    {},
  ],
  [
    'a parameter named as a prototype is',
    JSON.parse('{"extra_body":{"__proto__":{"x":1},"constructor":1}}'),
    {},
    {},
    { remove: ['extra_body'] },
    { constructor: 1 } as unknown as JsonObject,
  ],
]
for (const [name, said, params, row, more, rest] of bodies)
  test(`sent: ${name}`, () => {
    const out = sent(said, params, row, more)
    assert.deepEqual(out.rest, rest)
    assert.deepEqual([out.model, out.messages], ['gpt-x', [{ role: 'user', content: 'hi' }]])
  })

for (const [name, said, params, row, more, rest] of bodies)
  test(`sent where the body has to be read: ${name}`, () => {
    // A path that is not there makes the body one that must be parsed: the result has to be the same.
    const drops = [
      ...((params['additional_drop_params'] as string[] | undefined) ?? []),
      'not[0].there',
    ] // as the row says
    assert.deepEqual(sent(said, { ...params, additional_drop_params: drops }, row, more).rest, rest)
  })

test('bytes that need no change are the bytes that came', () => {
  const body =
    '{ "model" : "public", "messages":[{"role":"user","content":"\\u00e9"}],\n "seed":12345678901234567890,"temperature":1.0 }'
  const said = listen(toUtf8(body), wires['openai-chat'])
  const { body: out } = prepare(said, deployment(), ask())
  assert.equal(utf8(out), body.replace('"public"', '"gpt-x"'))
  const again = prepare(said, deployment({ model: 'openai/other' }), ask())
  assert.equal(
    utf8(again.body),
    body.replace('"public"', '"other"'),
    'a second try starts from the same',
  )
})

test('large numbers survive where the body is read', () => {
  const said = listen(
    toUtf8(
      '{"model":"public","messages":[],"max_completion_tokens":5,"seed":12345678901234567890,"x":{"y":[99999999999999999999]}}',
    ),
    wires['openai-chat'],
  )
  const out = utf8(prepare(said, deployment({ model: 'deepseek/deepseek-chat' }), ask()).body)
  assert.match(out, /"seed":12345678901234567890/)
  assert.match(out, /\[99999999999999999999\]/)
  assert.match(out, /"max_tokens":5/)
})

test('law: what nobody has to change is sent as it came, whether it was read or not', () => {
  const extras = fc.dictionary(
    fc
      .stringMatching(/^[a-z_]{1,12}$/)
      .filter((key) => !['model', 'messages', 'stream', 'tools', 'extra_body'].includes(key)),
    fc.jsonValue({ maxDepth: 2 }),
  )
  fc.assert(
    fc.property(extras, fc.boolean(), (said, read) => {
      const heard = hear({ ...said } as JsonObject) // JSON, but for fast-check's prototype
      const to = deployment(read ? { additional_drop_params: ['not[0].there'] } : {})
      const out = utf8(prepare(heard, to, ask()).body)
      assert.equal(
        canonical(out),
        canonical(
          JSON.stringify({ model: 'gpt-x', messages: [{ role: 'user', content: 'hi' }], ...said }),
        ),
      )
    }),
    { numRuns: 100 },
  )
})

const paths: [path: string, body: JsonObject, out: JsonObject][] = [
  ['a.b', { a: { b: 1, c: 2 } }, { a: { c: 2 } }],
  [
    'tools[*].function.strict',
    { tools: [{ function: { strict: true, name: 'f' } }, { function: { strict: false } }, 'x'] },
    { tools: [{ function: { name: 'f' } }, { function: {} }, 'x'] },
  ],
  [
    'messages[0].name',
    { messages: [{ name: 'a' }, { name: 'b' }] },
    { messages: [{}, { name: 'b' }] },
  ],
  ['messages[1]', { messages: [1, 2, 3] }, { messages: [1, 3] }],
  ['messages[9]', { messages: [1] }, { messages: [1] }],
  ['a.*.b', { a: { x: { b: 1 }, y: { b: 2, c: 3 } } }, { a: { x: {}, y: { c: 3 } } }],
  ['a.b.c', { a: null }, { a: null }],
  ['a.b', { a: 'text' }, { a: 'text' }],
  ['', { a: 1 }, { a: 1 }],
  ['a.length', { a: [1, 2] }, { a: [1, 2] }],
  ['__proto__.toString', { a: 1 }, { a: 1 }],
  ['a.constructor.prototype.x', { a: {} }, { a: {} }],
]
for (const [path, body, out] of paths)
  test(`path ${JSON.stringify(path)}`, () => {
    removePath(body, path)
    assert.deepEqual(body, out)
    assert.equal(typeof {}.toString, 'function')
  })

test('paths of a row: only it is read, and the copy of the client stays', () => {
  const said = hear({
    tools: [{ type: 'function', function: { name: 'f', strict: true } }],
    messages: [{ role: 'user', content: 'x', name: 'n' }],
  })
  const { body } = prepare(
    said,
    deployment({
      additional_drop_params: ['tools[*].function.strict', 'messages[0].name', 'tool_choice'],
    }),
    ask(),
  )
  assert.deepEqual(object(JSON.parse(utf8(body))), {
    model: 'gpt-x',
    messages: [{ role: 'user', content: 'x' }],
    tools: [{ type: 'function', function: { name: 'f' } }],
  })
  assert.deepEqual(said.field('tools'), [
    { type: 'function', function: { name: 'f', strict: true } },
  ])
})

const dropping: [name: string, params: JsonObject, body: boolean, dropped: string[] | undefined][] =
  [
    ['refused by name', {}, false, undefined],
    ['drop_params of the row', { drop_params: true }, false, ['logit_bias']],
    ['drop_params of the body', {}, true, ['logit_bias']],
    ['allowed by the row', { allowed_openai_params: ['logit_bias'] }, false, []],
  ]
for (const [name, params, dropParams, dropped] of dropping)
  test(`what a provider lacks: ${name}`, () => {
    const to = deployment({ model: 'groq/llama-3', ...params })
    const quirked = { ...to, target: { ...to.target, quirks: { unsupported: ['logit_bias'] } } }
    const attempt = () => prepare(hear({ logit_bias: { a: 1 } }), quirked, ask({ dropParams }))
    if (dropped) assert.deepEqual(attempt().dropped, dropped)
    else assert.throws(attempt, { kind: 'unsupported_params', param: 'logit_bias' })
    assert.equal(
      quirked.target.dropParams,
      params['drop_params'] === true,
      'the deployment is as it was',
    )
  })

test("the row's headers win over the client's", () => {
  const { headers } = sent(
    {},
    { extra_headers: { 'X-Mine': 'row' } },
    {},
    { headers: { 'x-mine': 'client', 'x-other': 'client' } },
  )
  assert.deepEqual(
    [headers['x-mine'], headers['x-other'], headers['authorization']],
    ['row', 'client', 'Bearer sk-1234567890'],
  )
})

test('betas of the row and of the client both hold, and go to nobody who does not speak them', () => {
  const said = hear({ max_tokens: 5 }, 'anthropic')
  const betas = ask({
    dialectHeaders: { 'anthropic-beta': 'b, a', 'anthropic-version': '2099-01-01' },
  })
  const native = prepare(
    said,
    deployment({ model: 'anthropic/claude-x', extra_headers: { 'anthropic-beta': 'a,c' } }),
    betas,
  )
  assert.equal(native.headers['anthropic-beta'], 'a,c,b')
  assert.equal(prepare(said, deployment(), betas).headers['anthropic-beta'], undefined)
})

const refused: [name: string, params: JsonObject, more: Partial<Ask>, dropped: string[]][] = [
  ['drop_params of the row', { drop_params: true }, {}, ['reasoning_effort', 'thinking']],
  ['drop_params of the request', {}, { dropParams: true }, ['reasoning_effort', 'thinking']],
  ['no drop_params', {}, {}, []],
]
for (const [name, params, more, dropped] of refused)
  test(`what the model is known not to take, and ${name}`, () => {
    const said = { reasoning_effort: 'high', thinking: { type: 'adaptive' }, seed: 1 }
    const info = { litellm_provider: 'openai' }
    const made = sent(said, { model: 'openai/gpt-4.1', ...params }, { info }, more)
    assert.deepEqual([...made.dropped].sort(), dropped)
    assert.deepEqual(made.rest, dropped.length > 0 ? { seed: 1 } : said)
  })

const translated: [
  name: string,
  said: JsonObject,
  params: JsonObject,
  row: Partial<Row>,
  seen: (body: JsonObject) => unknown,
  wanted: unknown,
][] = [
  ['the model', {}, {}, {}, ({ model }) => model, 'claude-x'],
  [
    "a row's parameters fill what is missing",
    { temperature: 0.1 },
    {},
    { defaults: { temperature: 0.9, max_tokens: 77 } },
    ({ temperature, max_tokens }) => [temperature, max_tokens],
    [0.1, 77],
  ],
  [
    'dropped by name',
    { temperature: 0.1 },
    { additional_drop_params: ['temperature'] },
    { defaults: { temperature: 0.9 } },
    ({ temperature }) => temperature,
    undefined,
  ],
  [
    'dropped by path',
    { tools: [{ type: 'function', function: { name: 'f', description: 'd' } }] },
    { additional_drop_params: ['tools[*].function.description'] },
    {},
    ({ tools }) => object((tools as JsonObject[])[0])['description'],
    undefined,
  ],
  [
    "the client's extra_body is in OpenAI's words",
    { extra_body: { temperature: 0.3, model: 'x' } },
    {},
    {},
    ({ temperature, model, extra_body }) => [temperature, model, extra_body],
    [0.3, 'claude-x', undefined],
  ],
  [
    "the row's extra_body is in the provider's",
    {},
    { extra_body: { container: 'c' } },
    {},
    ({ container }) => container,
    'c',
  ],
]
for (const [name, said, params, row, seen, wanted] of translated)
  test(`told in another wire: ${name}`, () => {
    const to = deployment({ model: 'anthropic/claude-x', ...params }, row)
    const { body, crossing } = prepare(hear(said), to, ask({ remove: ['extra_body'] }))
    assert.deepEqual(seen(object(JSON.parse(utf8(body)))), wanted)
    assert.equal(crossing.native, undefined)
  })

test('messages that are none are refused when they have to be understood', () => {
  const said = hear({ messages: ['x'] })
  assert.throws(() => prepare(said, deployment({ model: 'anthropic/claude-x' }), ask()), {
    kind: 'bad_request',
    param: 'messages',
  })
})
