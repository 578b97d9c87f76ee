import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ChatEvent, noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { object } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { context, framed, framesOf, partsOf } from '../testing.test.ts'
import type { Notes } from '../wire.ts'
import { decodeError } from './errors.ts'
import { readGrammar, targetOf } from './generators.test.ts'
import { decodeResult, decodeUsage, encodeResult, encodeUsage } from './response.ts'
import { anthropic } from './wire.ts'

const notes: Notes = { model: 'm' }
const messageOf = (content: JsonObject[], more: JsonObject = {}): JsonObject => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-x',
  content,
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 3, output_tokens: 4 },
  ...more,
})
const start: JsonObject = { type: 'message_start', message: messageOf([], { stop_reason: null }) }
const opens = (index: number, content_block: JsonObject): JsonObject => ({
  type: 'content_block_start',
  index,
  content_block,
})
const adds = (index: number, delta: JsonObject): JsonObject => ({
  type: 'content_block_delta',
  index,
  delta,
})
const closes = (index: number): JsonObject => ({ type: 'content_block_stop', index })
const ends = (stop_reason: string, more: JsonObject = {}): JsonObject[] => [
  {
    type: 'message_delta',
    delta: { stop_reason, stop_sequence: null, ...more },
    usage: { output_tokens: 9 },
  },
  { type: 'message_stop' },
]
const hear = (frames: JsonObject[], about: Notes = notes): ChatEvent[] => {
  const decoder = anthropic.decodeStream(about)
  return [...framed(frames).flatMap((frame) => decoder.push(frame)), ...decoder.end()]
}

test('usage is told in buckets that share no token', () => {
  const raw = {
    input_tokens: 12,
    cache_creation_input_tokens: 10,
    cache_read_input_tokens: 20,
    cache_creation: { ephemeral_5m_input_tokens: 4, ephemeral_1h_input_tokens: 6 },
    output_tokens: 9,
    output_tokens_details: { thinking_tokens: 5 },
    server_tool_use: { web_search_requests: 2 },
    service_tier: 'standard',
  }
  const usage = decodeUsage(raw)
  assert.deepEqual(usage, {
    ...noUsage,
    input: 12,
    cacheRead: 20,
    cacheWrite: 4,
    cacheWrite1h: 6,
    output: 4,
    reasoning: 5,
    searches: 2,
    raw,
  })
  assert.deepEqual(encodeUsage(usage), raw)
})

const usages: [name: string, raw: JsonObject, expected: Partial<typeof noUsage>][] = [
  ['writes of an unstated time', { cache_creation_input_tokens: 10 }, { cacheWrite: 10 }],
  [
    'writes by time only',
    { cache_creation: { ephemeral_1h_input_tokens: 6 } },
    { cacheWrite1h: 6 },
  ],
  ['nulls', { input_tokens: null, output_tokens: null, server_tool_use: null }, {}],
  ['nonsense', { input_tokens: -4, output_tokens: 'x', cache_read_input_tokens: 1e300 }, {}],
]
for (const [name, raw, expected] of usages)
  test(`usage: ${name}`, () => assert.deepEqual(decodeUsage(raw), { ...noUsage, ...expected, raw }))

test('usage of other wires is told in Anthropic’s words', () => {
  const usage = {
    ...noUsage,
    input: 5,
    cacheRead: 2,
    inputAudio: 1,
    output: 3,
    reasoning: 4,
    raw: { prompt_tokens: 8 },
  }
  assert.deepEqual(encodeUsage(usage), {
    input_tokens: 6,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 2,
    output_tokens: 7,
    output_tokens_details: { thinking_tokens: 4 },
  })
})

const reasons: [word: string, finish: string][] = [
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool-calls'],
  ['pause_turn', 'pause'],
  ['refusal', 'content-filter'],
  ['of_next_year', 'other'],
  ['toString', 'other'],
]
for (const [word, finish] of reasons)
  test(`ending: ${word}`, () => {
    const result = decodeResult(
      messageOf([{ type: 'text', text: 'a' }], { stop_reason: word }),
      notes,
    )
    assert.equal(result.choices[0]?.finish, finish)
    const streamed = hear([start, ...ends(word)]).find((event) => event.type === 'finish')
    assert.equal(streamed?.finish, finish)
  })

const citation = {
  type: 'web_search_result_location',
  url: 'https://e.com',
  title: 'E',
  encrypted_index: 'i',
  cited_text: 'so',
}
const annotation = {
  type: 'url_citation',
  url_citation: { url: 'https://e.com', title: 'E', start_index: 6, end_index: 9 },
  citation,
}

test('citations are annotations in their place, and come back as they were', () => {
  const search = {
    type: 'server_tool_use',
    id: 'srvtoolu_1',
    name: 'web_search',
    input: { query: 'q' },
  }
  const content = [
    search,
    { type: 'text', text: 'It is ' },
    { type: 'text', text: 'so.', citations: [citation] },
  ]
  const result = decodeResult(messageOf(content), notes)
  assert.deepEqual(result.choices[0]?.parts, [
    { type: 'raw', wire: 'anthropic', value: search },
    { type: 'text', text: 'It is ' },
    { type: 'text', text: 'so.', annotations: [annotation] },
  ])
  assert.deepEqual(encodeResult(result, context).content, content)

  const events = hear([
    start,
    opens(0, { type: 'text', text: '' }),
    adds(0, { type: 'text_delta', text: 'It is ' }),
    closes(0),
    opens(1, { type: 'text', text: '', citations: [] }),
    adds(1, { type: 'citations_delta', citation }),
    adds(1, { type: 'text_delta', text: 'so.' }),
    closes(1),
    ...ends('end_turn'),
  ])
  assert.deepEqual(
    events.filter((event) => event.type === 'annotation'),
    [{ type: 'annotation', annotation }],
  )
})

test('the answer tool’s input is the answer', () => {
  const about = { model: 'm', outputTool: 'json_tool_call' }
  const use = { type: 'tool_use', id: 'toolu_1', name: 'json_tool_call', input: { a: [1] } }
  const result = decodeResult(messageOf([use], { stop_reason: 'tool_use' }), about)
  assert.deepEqual(result.choices, [
    { parts: [{ type: 'text', text: '{"a":[1]}' }], finish: 'stop' },
  ])
  const frames = [
    start,
    opens(0, { ...use, input: {} }),
    adds(0, { type: 'input_json_delta', partial_json: '{"a":' }),
    adds(0, { type: 'input_json_delta', partial_json: ' [1]}' }),
    closes(0),
    ...ends('tool_use'),
  ]
  const events = hear(frames, about)
  assert.deepEqual(partsOf(events), [{ type: 'text', text: '{"a": [1]}' }])
  assert.deepEqual(
    events.find((event) => event.type === 'finish'),
    { type: 'finish', finish: 'stop' },
  )
  const wrapped = hear(frames, { ...about, outputKey: 'a' })
  assert.deepEqual(partsOf(wrapped), [{ type: 'text', text: '[1]' }])
})

test('names and freeform tools are the client’s again', () => {
  const about: Notes = {
    model: 'm',
    toolNames: new Map([
      ['a_b', 'a.b'],
      ['patch', 'pätch'],
    ]),
    customTools: new Set(['patch']),
  }
  const content = [
    { type: 'tool_use', id: 'toolu_1', name: 'a_b', input: {} },
    { type: 'tool_use', id: 'toolu_2', name: 'patch', input: { input: '*** Begin' } },
  ]
  const parts = [
    { type: 'tool-call', id: 'toolu_1', name: 'a.b', input: '{}' },
    { type: 'tool-call', id: 'toolu_2', name: 'pätch', kind: 'custom', input: '*** Begin' },
  ]
  assert.deepEqual(
    decodeResult(messageOf(content, { stop_reason: 'tool_use' }), about).choices[0]?.parts,
    parts,
  )
  const events = hear(
    [
      start,
      opens(0, content[0] ?? {}),
      closes(0),
      opens(1, { ...content[1], input: {} }),
      adds(1, { type: 'input_json_delta', partial_json: '{"input":"*** ' }),
      adds(1, { type: 'input_json_delta', partial_json: 'Begin"}' }),
      closes(1),
      ...ends('tool_use'),
    ],
    about,
  )
  assert.deepEqual(
    events.filter((event) => event.type === 'tool-start' || event.type === 'tool-input'),
    [
      { type: 'tool-start', index: 0, id: 'toolu_1', name: 'a.b' },
      { type: 'tool-input', index: 0, text: '{}' },
      { type: 'tool-start', index: 1, id: 'toolu_2', name: 'pätch', kind: 'custom' },
      { type: 'tool-input', index: 1, text: '*** Begin' },
    ],
  )
})

const streams: [name: string, frames: JsonObject[], types: string][] = [
  [
    'text',
    [
      start,
      opens(0, { type: 'text', text: '' }),
      { type: 'ping' },
      adds(0, { type: 'text_delta', text: 'a' }),
      closes(0),
      ...ends('end_turn'),
    ],
    'start usage ping text finish usage',
  ],
  [
    'thinking, its signature at the end',
    [
      start,
      opens(0, { type: 'thinking', thinking: '', signature: '' }),
      adds(0, { type: 'signature_delta', signature: 'S' }),
      adds(0, { type: 'thinking_delta', thinking: 'h', estimated_tokens: 3 }),
      closes(0),
      ...ends('end_turn'),
    ],
    'start usage reasoning signature finish usage',
  ],
  [
    'a thought that is not shown',
    [
      start,
      opens(0, { type: 'thinking', thinking: '', signature: 'S' }),
      closes(0),
      ...ends('end_turn'),
    ],
    'start usage signature finish usage',
  ],
  [
    'blocks that are never closed',
    [start, opens(0, { type: 'tool_use', id: 'i', name: 'n', input: {} }), ...ends('tool_use')],
    'start usage tool-start tool-input finish usage',
  ],
  [
    'no start of a block, none of the message',
    [adds(0, { type: 'text_delta', text: 'a' }), ...ends('end_turn')],
    'start text finish usage',
  ],
  [
    'what comes new',
    [
      start,
      { type: 'of_next_year' },
      opens(0, { type: 'new' }),
      adds(0, { type: 'new_delta' }),
      closes(0),
      ...ends('end_turn'),
    ],
    'start usage raw finish usage',
  ],
  ['a stop without a reason', [start, { type: 'message_stop' }], 'start usage finish'],
  ['no message_stop', [start, ends('end_turn')[0] ?? {}], 'start usage finish usage'],
  [
    'cut',
    [start, opens(0, { type: 'text', text: '' }), adds(0, { type: 'text_delta', text: 'a' })],
    'start usage text fault',
  ],
  ['nothing at all', [], 'fault'],
  [
    'an error',
    [
      start,
      { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      ...ends('end_turn'),
    ],
    'start usage fault',
  ],
  [
    'a container and what was refused',
    [start, ...ends('refusal', { container: { id: 'c' }, stop_details: { type: 'refusal' } })],
    'start usage extras extras finish usage',
  ],
]
for (const [name, frames, types] of streams)
  test(`stream: ${name}`, () =>
    assert.equal(
      hear(frames)
        .map((event) => event.type)
        .join(' '),
      types,
    ))

test('usage of the end fills in what the start said', () => {
  const events = hear([
    start,
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
      usage: { output_tokens: 50, input_tokens: null, cache_read_input_tokens: 7 },
    },
  ])
  const usage = events.findLast((event) => event.type === 'usage')?.usage
  assert.deepEqual([usage?.input, usage?.cacheRead, usage?.output], [3, 7, 50])
})

test('a client sees its own model name, an id of its kind and usage at both ends', () => {
  const encoder = anthropic.encodeStream(context)
  const out =
    encoder.push({ type: 'start', id: 'chatcmpl-1', model: 'upstream', created: 5 }) +
    encoder.push({ type: 'usage', usage: { ...noUsage, input: 8 } }) +
    encoder.push({ type: 'text', text: 'a' }) +
    encoder.push({
      type: 'extras',
      extras: { provider_specific_fields: { stop_sequence: 'END' } },
      of: 'message',
    }) +
    encoder.push({ type: 'finish', finish: 'stop', reason: 'stop_sequence' }) +
    encoder.push({ type: 'usage', usage: { ...noUsage, input: 8, output: 2 } }) +
    encoder.end()
  const frames = framesOf(out)
  const message = object(object(JSON.parse(frames[0]?.data ?? '')).message)
  assert.deepEqual(
    [message.id, message.model, object(message.usage).input_tokens],
    ['msg_r-1', 'public', 8],
  )
  assert.equal(frames[1]?.event, 'ping')
  const { end } = readGrammar(frames)
  assert.deepEqual(end.delta, { stop_reason: 'stop_sequence', stop_sequence: 'END' })
  assert.deepEqual([object(end.usage).input_tokens, object(end.usage).output_tokens], [8, 2])
})

test('a fault inside a stream is its last event', () => {
  const encoder = anthropic.encodeStream(context)
  encoder.push({ type: 'start', id: 'x', model: 'y', created: 0 })
  encoder.push({ type: 'text', text: 'a' })
  const out = encoder.push({ type: 'fault', error: new GatewayError('unavailable', 'Overloaded') })
  assert.equal(
    out,
    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
  )
  assert.equal(encoder.push({ type: 'text', text: 'b' }) + encoder.end(), '')
})

test('calls and endings agree, whatever the other wire said', () => {
  const of = (
    parts: Parameters<typeof encodeResult>[0]['choices'][number]['parts'],
    finish: 'stop' | 'tool-calls',
  ) =>
    encodeResult(
      { id: '', created: 0, model: '', usage: noUsage, choices: [{ parts, finish }] },
      context,
    )
  const call = { type: 'tool-call' as const, id: 'c1', name: 'f', input: '' }
  assert.equal(of([call], 'stop').stop_reason, 'tool_use')
  assert.equal(of([{ type: 'text', text: 'a' }], 'tool-calls').stop_reason, 'end_turn')
  assert.deepEqual(of([call, { ...call, input: '[1]' }], 'stop').content, [
    { type: 'tool_use', id: 'c1', name: 'f', input: {} },
    { type: 'tool_use', id: 'c1', name: 'f', input: { input: '[1]' } },
  ])
})

test('nesting without end is a fault, not a crash', () => {
  const deep = (open: string, close: string) =>
    JSON.parse(open.repeat(20_000) + close.repeat(20_000))
  const call = { type: 'tool_use', id: 'i', name: 'n', input: deep('[', ']') }
  assert.throws(() => decodeResult(messageOf([call]), notes), GatewayError)
  const decoder = anthropic.decodeStream(notes)
  const data = `{"type":"content_block_start","index":0,"content_block":{"type":"x","input":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`
  assert.deepEqual(
    decoder.push({ event: undefined, data }).map((event) => event.type),
    ['fault'],
  )
  let result: JsonObject = { type: 'text', text: 'a' }
  for (let at = 0; at < 20_000; at++)
    result = { type: 'tool_result', tool_use_id: 'i', content: [result] }
  assert.equal(decodeResult(messageOf([result]), notes).choices[0]?.parts.length, 1)
})

const errors: [name: string, status: number, body: string, kind: string, message: RegExp][] = [
  [
    'its own shape',
    400,
    '{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: no"}}',
    'bad_request',
    /^max_tokens: no$/,
  ],
  [
    'too long',
    400,
    '{"error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"}}',
    'context_window',
    /5 tokens > 4/,
  ],
  [
    'blocked',
    400,
    '{"error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}',
    'content_policy',
    /blocked/,
  ],
  [
    'overloaded',
    529,
    '{"error":{"type":"overloaded_error","message":"Overloaded"}}',
    'unavailable',
    /Overloaded/,
  ],
  [
    'a cloud’s shape',
    403,
    '[{"error":{"code":403,"message":"denied","status":"PERMISSION_DENIED"}}]',
    'permission',
    /^denied$/,
  ],
  ['AWS’s shape', 429, '{"message":"Too many"}', 'rate_limit', /^Too many$/],
  ['a page', 502, '<html>gateway</html>', 'bad_gateway', /HTTP 502/],
  ['a line', 500, 'upstream connect error', 'provider', /^upstream connect error$/],
  ['nothing', 500, '', 'provider', /HTTP 500/],
]
for (const [name, status, body, kind, message] of errors)
  test(`error: ${name}`, () => {
    const error = decodeError({
      status,
      body,
      header: (key) => (key === 'retry-after' ? '9' : undefined),
      provider: 'Anthropic',
    })
    assert.deepEqual(
      [error.kind, error.status, error.retryAfter, error.provider],
      [kind, status, '9', 'Anthropic'],
    )
    assert.match(error.message, message)
  })

test('an error is told in Anthropic’s words, whoever said it', () => {
  const typeOf = (error: GatewayError) => object(anthropic.encodeError(error).error).type
  assert.equal(
    typeOf(new GatewayError('rate_limit', 'm', { status: 429, type: 'invalid_request_error' })),
    'rate_limit_error',
  )
  assert.equal(
    typeOf(new GatewayError('bad_request', 'm', { status: 402, type: 'billing_error' })),
    'billing_error',
  )
  assert.equal(
    typeOf(new GatewayError('provider', 'm', { status: 500, type: 'server_error' })),
    'api_error',
  )
})

test('a whole answer passes but for the model', () => {
  const native = anthropic.native
  assert.ok(native)
  const body =
    '{ "id":"msg_1", "model":"up", "content":[{"type":"text","text":"a","n":12345678901234567890}], "usage":{"input_tokens":1,"output_tokens":2}, "new":1.0 }'
  const passed = native.passResult(toUtf8(body), targetOf('m'), context)
  assert.equal(passed.encode(undefined).body, body.replace('"up"', '"public"'))
  assert.deepEqual([passed.usage?.input, passed.usage?.output, passed.text()], [1, 2, 'a'])
  for (const broken of [
    '[]',
    'x',
    '{}',
    '{"type":"error","error":{"type":"api_error","message":"m"}}',
  ])
    assert.throws(() => native.passResult(toUtf8(broken), targetOf('m'), context), GatewayError)
})

test('a passing stream that breaks off or fails says so', () => {
  const open = () => anthropic.native?.passStream(targetOf('m'), context)
  const cut = open()
  cut?.push({ event: undefined, data: JSON.stringify(start) })
  assert.equal(cut?.content, false)
  assert.equal(
    cut?.push({
      event: undefined,
      data: '{"type":"content_block_delta",\n"index":0,"delta":{"type":"text_delta","text":"\\u00e9\\"x"}}',
    }),
    'event: content_block_delta\ndata: {"type":"content_block_delta",\ndata: "index":0,"delta":{"type":"text_delta","text":"\\u00e9\\"x"}}\n\n',
  )
  assert.equal(cut?.end(undefined), '')
  assert.deepEqual(
    [cut?.content, cut?.fault?.kind, cut?.text(), cut?.usage()?.input],
    [true, 'bad_gateway', 'é"x', 3],
  )
  const failed = open()
  assert.equal(
    failed?.push({
      event: 'error',
      data: '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    }),
    '',
  )
  assert.deepEqual([failed?.fault?.status, failed?.content], [529, false])
})

const adapted: [name: string, model: string, body: JsonObject, expected: JsonObject][] = [
  [
    'the newest takes all',
    'claude-opus-5',
    {
      thinking: { type: 'adaptive' },
      output_config: { effort: 'max' },
      messages: [{ role: 'system', content: 's' }],
    },
    {
      thinking: { type: 'adaptive' },
      output_config: { effort: 'max' },
      messages: [{ role: 'system', content: 's' }],
    },
  ],
  [
    'an older one behind an alias',
    'claude-sonnet-4-5',
    {
      max_tokens: 32000,
      thinking: { type: 'adaptive' },
      output_config: { effort: 'xhigh' },
      system: 'a',
      messages: [
        { role: 'user', content: 'x', n: 1 },
        { role: 'system', content: [{ type: 'text', text: 'b' }] },
      ],
    },
    {
      max_tokens: 32000,
      thinking: { type: 'enabled', budget_tokens: 8192 },
      system: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
      messages: [{ role: 'user', content: 'x', n: 1 }],
    },
  ],
  [
    'one in between',
    'claude-opus-4-6',
    { thinking: { type: 'adaptive' }, output_config: { effort: 'xhigh', x: 1 } },
    { thinking: { type: 'adaptive' }, output_config: { effort: 'high', x: 1 } },
  ],
  [
    'what is no Claude',
    'glm-5',
    { thinking: { type: 'adaptive' }, messages: [{ role: 'system', content: 's' }] },
    { thinking: { type: 'adaptive' }, messages: [{ role: 'system', content: 's' }] },
  ],
]
const used = { type: 'tool_use', id: 'c', name: 'f', input: {} }
const encrypted = { type: 'thinking', thinking: 'Hm', signature: 'gAAAAs' }
const given = { type: 'tool_result', tool_use_id: 'c', content: 'r' }
adapted.push(
  [
    'a thought that OpenAI encrypted is not sent, nor a turn that was nothing else',
    'claude-opus-5',
    {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: [encrypted] },
        { role: 'user', content: 'y' },
        { role: 'assistant', content: [encrypted, { type: 'text', text: 'a' }] },
        { role: 'user', content: 'z' },
      ],
      thinking: { type: 'enabled', budget_tokens: 2000 },
    },
    {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'user', content: 'y' },
        { role: 'assistant', content: [{ type: 'text', text: 'a' }] },
        { role: 'user', content: 'z' },
      ],
      thinking: { type: 'enabled', budget_tokens: 2000 },
    },
  ],
  [
    'a tool loop that lost its thought so goes on without thinking by budget',
    'claude-opus-5',
    {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: [encrypted, used] },
        { role: 'user', content: [given] },
      ],
      thinking: { type: 'enabled', budget_tokens: 2000 },
    },
    {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: [used] },
        { role: 'user', content: [given] },
      ],
    },
  ],
)
for (const [name, model, body, expected] of adapted)
  test(`same wire: ${name}`, () => {
    const keys = anthropic.native?.requestKeys(targetOf(model))
    const words = anthropic.native?.requestWords?.(targetOf(model)) ?? []
    const copy = structuredClone(body)
    const isRead =
      (keys !== 'all' && [...(keys ?? [])].some((key) => key in copy)) ||
      words.some((word) => JSON.stringify(body).includes(word))
    if (isRead) anthropic.native?.adaptRequest(copy, targetOf(model))
    assert.deepEqual(copy, expected)
  })
