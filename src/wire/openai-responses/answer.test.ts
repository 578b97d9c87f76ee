import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ChatEvent, type ChatResult, noUsage, type Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type JsonObject, list, object, text } from '../../json/json.ts'
import { anthropic } from '../anthropic/wire.ts'
import { context, framed, framesOf, partsOf } from '../testing.test.ts'
import { asked, readGrammar, targetOf } from './generators.test.ts'
import { decodeUsage, encodeUsage } from './usage.ts'
import { openaiResponses as wire } from './wire.ts'

const notes = { model: 'm' }
const responseOf = (output: JsonObject[], more: JsonObject = {}): JsonObject => ({
  id: 'resp_1',
  object: 'response',
  created_at: 7,
  status: 'completed',
  model: 'gpt-5.5-2026-01-01',
  output,
  error: null,
  incomplete_details: null,
  usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
  ...more,
})
const message = (...content: JsonObject[]): JsonObject => ({
  type: 'message',
  id: 'msg_1',
  status: 'completed',
  role: 'assistant',
  content,
})
const words = (said: string, more: JsonObject = {}): JsonObject => ({
  type: 'output_text',
  text: said,
  annotations: [],
  ...more,
})

test('usage is told in buckets that share no token', () => {
  const usage = {
    input_tokens: 100,
    input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
    output_tokens: 50,
    output_tokens_details: { reasoning_tokens: 20 },
    total_tokens: 150,
  }
  const search = (type: string): JsonObject => ({ type: 'web_search_call', action: { type } })
  const read = decodeUsage({ usage, output: [search('search'), search('open_page')] })
  assert.deepEqual(read, {
    ...noUsage,
    input: 30,
    cacheRead: 60,
    cacheWrite: 10,
    output: 30,
    reasoning: 20,
    searches: 1,
    raw: usage,
  })
  assert.deepEqual(encodeUsage(read), usage)
})

const usages: [
  name: string,
  response: JsonObject,
  expected: Partial<typeof noUsage> | undefined,
][] = [
  ['not told', { usage: null }, undefined],
  ['nonsense', { usage: { input_tokens: -4, output_tokens: 'x' } }, {}],
  [
    'more parts than the whole',
    { usage: { input_tokens: 5, input_tokens_details: { cached_tokens: 9 } } },
    { cacheRead: 5 },
  ],
  [
    'searches the provider counted',
    { usage: {}, tool_usage: { web_search: { num_requests: 3 } } },
    { searches: 3 },
  ],
]
for (const [name, response, expected] of usages)
  test(`usage: ${name}`, () => {
    const read = decodeUsage(response)
    const { raw: _, ...counts } = read ?? {}
    assert.deepEqual(read && counts, expected && { ...noUsage, ...expected })
  })

test('usage of other wires is told in the words of this one', () => {
  const usage = { ...noUsage, input: 5, cacheRead: 2, cacheWrite: 1, output: 3, reasoning: 4 }
  assert.deepEqual(encodeUsage({ ...usage, raw: { input_tokens: 5 } }), {
    input_tokens: 8,
    output_tokens: 7,
    total_tokens: 15,
    input_tokens_details: { cached_tokens: 2, cache_write_tokens: 1 },
    output_tokens_details: { reasoning_tokens: 4 },
  })
})

const items: [name: string, item: JsonObject, parts: Part[]][] = [
  [
    'words with a citation, and a refusal',
    message(
      words('a', {
        annotations: [
          { type: 'url_citation', url: 'https://e.com', title: 'E', start_index: 0, end_index: 1 },
        ],
      }),
      { type: 'refusal', refusal: 'no' },
    ),
    [
      {
        type: 'text',
        text: 'a',
        annotations: [
          {
            type: 'url_citation',
            url_citation: { url: 'https://e.com', title: 'E', start_index: 0, end_index: 1 },
          },
        ],
      },
      { type: 'refusal', text: 'no' },
    ],
  ],
  [
    'a thought in several summaries',
    {
      type: 'reasoning',
      id: 'rs_1',
      summary: [
        { type: 'summary_text', text: 'A' },
        { type: 'summary_text', text: 'B' },
      ],
      encrypted_content: 'gAAAAx',
    },
    [{ type: 'reasoning', text: 'A\n\nB', signature: 'gAAAAx', id: 'rs_1' }],
  ],
  [
    'a thought told itself, by servers of open models',
    {
      type: 'reasoning',
      id: 'rs_1',
      summary: [],
      content: [{ type: 'reasoning_text', text: 'A' }],
    },
    [{ type: 'reasoning', text: 'A', id: 'rs_1' }],
  ],
  [
    'a call',
    { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'a_b', arguments: '{}' },
    [{ type: 'tool-call', id: 'c1', name: 'a.b', input: '{}' }],
  ],
  [
    'a freeform call',
    { type: 'custom_tool_call', id: 'ctc_1', call_id: 'c1', name: 'p', input: 'x' },
    [{ type: 'tool-call', id: 'c1', name: 'p', input: 'x', kind: 'custom' }],
  ],
  [
    'a picture',
    {
      type: 'image_generation_call',
      id: 'ig_1',
      status: 'completed',
      result: 'iVBO',
      output_format: 'webp',
    },
    [
      {
        type: 'media',
        media: 'image',
        source: { type: 'bytes', mime: 'image/webp', base64: 'iVBO' },
        extras: {
          item: {
            type: 'image_generation_call',
            id: 'ig_1',
            status: 'completed',
            output_format: 'webp',
          },
        },
      },
    ],
  ],
  [
    'what only this wire knows',
    { type: 'code_interpreter_call', id: 'ci_1', code: '1' },
    [
      {
        type: 'raw',
        wire: 'openai-responses',
        value: { type: 'code_interpreter_call', id: 'ci_1', code: '1' },
      },
    ],
  ],
]
const named = { model: 'm', toolNames: new Map([['a_b', 'a.b']]) }
for (const [name, item, parts] of items) {
  test(`an item: ${name}`, () =>
    assert.deepEqual(wire.decodeResult(responseOf([item]), named).choices[0]?.parts, parts))
  test(`the same in a stream that tells only whole items, or nothing but the response: ${name}`, () => {
    const done = { type: 'response.output_item.done', output_index: 0, item }
    const last = { type: 'response.completed', response: responseOf([item]) }
    for (const frames of [[done, last], [last]]) {
      const decoder = wire.decodeStream(named)
      const events = framed(frames).flatMap((frame) => decoder.push(frame))
      const withoutIds = parts.map((part) => {
        const { id: _, ...rest } = { id: '', ...part }
        return part.type === 'reasoning' ? rest : part
      })
      assert.deepEqual(partsOf(events), withoutIds)
    }
  })
}

const endings: [
  name: string,
  more: JsonObject,
  output: JsonObject[],
  finish: string,
  reason?: string,
][] = [
  ['completed', {}, [], 'stop'],
  ['completed with a call', {}, [{ type: 'function_call' }], 'tool-calls'],
  [
    'cut',
    incomplete('max_output_tokens'),
    [{ type: 'function_call' }],
    'length',
    'max_output_tokens',
  ],
  ['filtered', incomplete('content_filter'), [], 'content-filter', 'content_filter'],
  ['steered', incomplete('steered'), [], 'other', 'steered'],
]
function incomplete(reason: string): JsonObject {
  return { status: 'incomplete', incomplete_details: { reason } }
}
for (const [name, more, output, finish, reason] of endings)
  test(`ending: ${name}`, () => {
    const body = responseOf(output, more)
    const result = wire.decodeResult(body, notes)
    assert.equal(result.choices[0]?.finish, finish)
    assert.equal(result.choices[0]?.reason, reason)
    const back = wire.encodeResult(result, context)
    assert.equal(back.status, body.status)
    assert.deepEqual(back.incomplete_details, body.incomplete_details)
  })

const faults: [name: string, body: JsonObject, kind: string, status: number][] = [
  [
    'failed',
    { error: { code: 'server_error', message: 'It broke' }, status: 'failed' },
    'provider',
    500,
  ],
  ['too fast', { error: { code: 'rate_limit_exceeded', message: 'slow' } }, 'rate_limit', 429],
  [
    'too long',
    { error: { code: 'context_length_exceeded', message: 'long' } },
    'context_window',
    400,
  ],
  ['a bad picture', { error: { code: 'image_parse_error', message: 'x' } }, 'bad_request', 400],
  ['overloaded', { error: { code: 'server_is_overloaded', message: 'x' } }, 'unavailable', 503],
  ['not said', { error: null, status: 'failed' }, 'provider', 500],
  ['cancelled', { status: 'cancelled' }, 'bad_gateway', 502],
  ['no output', { output: undefined }, 'bad_gateway', 502],
]
for (const [name, more, kind, status] of faults)
  test(`a response that is an error: ${name}`, () => {
    const body = responseOf([], more)
    const isFault = (error: unknown) =>
      GatewayError.is(error) && error.kind === kind && error.status === status
    assert.throws(() => wire.decodeResult(body, notes), isFault)
    const bytes = new TextEncoder().encode(JSON.stringify(body))
    assert.throws(() => wire.native?.passResult(bytes, targetOf('m'), context), isFault)
  })

const hear = (frames: JsonObject[]): ChatEvent[] => {
  const decoder = wire.decodeStream(notes)
  return [...framed(frames).flatMap((frame) => decoder.push(frame)), ...decoder.end()]
}
const created: JsonObject = { type: 'response.created', response: responseOf([], { usage: null }) }

test('a stream is told as it comes, and what came in pieces is not told again', () => {
  const item = { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":1}' }
  const thought = {
    type: 'reasoning',
    summary: [{ text: 'Hm' }, { text: 'so' }],
    encrypted_content: 'gAAAAx',
  }
  const said = message(words('Hello', { logprobs: [{ token: 'Hello', logprob: -1 }] }))
  const at = { output_index: 0 }
  const summary = 'response.reasoning_summary_text.delta'
  const events = hear([
    created,
    { type: 'response.in_progress', response: responseOf([]) },
    { type: 'response.output_item.added', ...at, item: { type: 'reasoning' } },
    { type: summary, ...at, summary_index: 0, delta: 'H' },
    { type: summary, ...at, summary_index: 0, delta: 'm' },
    { type: summary, ...at, summary_index: 1, delta: 'so' },
    { type: 'response.output_item.done', ...at, item: thought },
    { type: 'response.output_item.added', output_index: 1, item: message() },
    {
      type: 'response.output_text.delta',
      output_index: 1,
      content_index: 0,
      delta: 'Hello',
      logprobs: [{ token: 'Hello', logprob: -1 }],
    },
    { type: 'response.output_item.done', output_index: 1, item: said },
    { type: 'keepalive', sequence_number: 9 },
    { type: 'response.output_item.added', output_index: 2, item: { ...item, arguments: '' } },
    { type: 'response.function_call_arguments.delta', output_index: 2, delta: '{"a":' },
    { type: 'response.function_call_arguments.delta', output_index: 2, delta: '1}' },
    { type: 'response.output_item.done', output_index: 2, item },
    {
      type: 'response.completed',
      response: responseOf([thought, said, item], { service_tier: 'flex' }),
    },
  ])
  assert.deepEqual(events, [
    { type: 'start', id: 'resp_1', model: 'gpt-5.5-2026-01-01', created: 7 },
    { type: 'reasoning', text: 'H' },
    { type: 'reasoning', text: 'm' },
    { type: 'reasoning', text: '\n\nso' },
    { type: 'signature', signature: 'gAAAAx' },
    { type: 'text', text: 'Hello' },
    { type: 'logprobs', logprobs: { content: [{ token: 'Hello', logprob: -1 }] } },
    { type: 'ping' },
    { type: 'tool-start', index: 0, id: 'c1', name: 'f' },
    { type: 'tool-input', index: 0, text: '{"a":' },
    { type: 'tool-input', index: 0, text: '1}' },
    { type: 'usage', usage: decodeUsage(responseOf([])) },
    { type: 'extras', extras: { service_tier: 'flex' }, of: 'result' },
    { type: 'finish', finish: 'tool-calls' },
  ])
})

const failures: [name: string, frames: JsonObject[], kind: string, message: RegExp][] = [
  ['it ends too early', [created], 'bad_gateway', /before the answer was complete/],
  [
    'it fails',
    [
      created,
      {
        type: 'response.failed',
        response: responseOf([], { error: { code: 'rate_limit_exceeded', message: 'slow' } }),
      },
    ],
    'rate_limit',
    /slow/,
  ],
  [
    'an error, as its type has it',
    [created, { type: 'error', code: 'server_error', message: 'bad', param: null }],
    'provider',
    /bad/,
  ],
  [
    'an error, as servers send it',
    [{ type: 'error', error: { type: 'invalid_request_error', message: 'bad' } }],
    'bad_request',
    /bad/,
  ],
  ['an error without a type', [{ error: { message: 'bad', code: 429 } }], 'rate_limit', /bad/],
  [
    'it is cancelled',
    [created, { type: 'response.cancelled', response: {} }],
    'bad_gateway',
    /cancelled/,
  ],
]
for (const [name, frames, kind, said] of failures)
  test(`a stream fails: ${name}`, () => {
    const last = hear(frames).at(-1)
    assert.ok(last?.type === 'fault')
    assert.equal(last.error.kind, kind)
    assert.match(last.error.message, said)
  })

const resultOf = (parts: Part[], more: Partial<ChatResult> = {}): ChatResult => ({
  id: 'chatcmpl-1',
  created: 0,
  model: 'm',
  choices: [{ parts, finish: 'stop' }],
  usage: noUsage,
  ...more,
})

test('a response has every field its type promises, and repeats what was asked', () => {
  const ask = {
    tools: [{ type: 'function', name: 'f' }],
    tool_choice: 'required',
    temperature: 0.3,
    instructions: 'I',
    metadata: { a: 'b' },
    reasoning: { effort: 'low' },
    text: { verbosity: 'low' },
    previous_response_id: 'resp_0',
    parallel_tool_calls: false,
  }
  const body = wire.encodeResult(resultOf([{ type: 'text', text: 'Hi' }]), asked(ask))
  assert.deepEqual(body, {
    id: 'resp_r-1',
    object: 'response',
    created_at: context.created,
    status: 'completed',
    background: false,
    error: null,
    incomplete_details: null,
    max_output_tokens: null,
    max_tool_calls: null,
    model: 'public',
    output: [
      {
        type: 'message',
        id: 'msg_r-1_0',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hi', annotations: [], logprobs: [] }],
      },
    ],
    usage: {
      input_tokens: 0,
      output_tokens: 0,
      total_tokens: 0,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 },
    },
    prompt_cache_key: null,
    safety_identifier: null,
    service_tier: 'default',
    store: false,
    top_logprobs: 0,
    top_p: 1,
    truncation: 'disabled',
    user: null,
    ...ask,
    reasoning: { effort: 'low', summary: null },
    text: { format: { type: 'text' }, verbosity: 'low' },
  })
})

test('log probabilities stand with the words', () => {
  const logprobs = { content: [{ token: 'Hi', logprob: -1, bytes: [72, 105], top_logprobs: [] }] }
  const choices = [
    { parts: [{ type: 'text' as const, text: 'Hi' }], finish: 'stop' as const, logprobs },
  ]
  const body = wire.encodeResult(resultOf([], { choices }), context)
  assert.deepEqual(object(list(object(list(body.output)[0]).content)[0]).logprobs, logprobs.content)
})

/** Both ways of telling an answer. */
const bothWays = (parts: Part[], events: ChatEvent[], ask: JsonObject = {}): JsonObject[][] => {
  const encoder = wire.encodeStream(asked(ask))
  const stream = events.map((event) => encoder.push(event)).join('') + encoder.end()
  const whole = wire.encodeResult(resultOf(parts), asked(ask))
  return [list(whole.output).map(object), list(readGrammar(framesOf(stream)).output).map(object)]
}

test('Gemini’s signature of a call travels in the thought before it', () => {
  const call = { type: 'tool-call' as const, id: 'c1', name: 'f', input: '{}', signature: 'sig' }
  const start: ChatEvent = { type: 'tool-start', index: 0, id: 'c1', name: 'f', signature: 'sig' }
  const input: ChatEvent = { type: 'tool-input', index: 0, text: '{}' }
  const signed = 'throughway/signature:sig'
  for (const output of bothWays(
    [{ type: 'reasoning', text: 'Hm' }, call],
    [{ type: 'reasoning', text: 'Hm' }, start, input],
  )) {
    assert.deepEqual(
      output.map(({ type, encrypted_content }) => [type, encrypted_content]),
      [
        ['reasoning', signed],
        ['function_call', undefined],
      ],
    )
    const back = wire.decodeRequest({ model: 'm', input: output }).messages[0]?.parts[0]
    assert.equal(back?.type === 'reasoning' && back.signature, 'sig')
  }
  for (const output of bothWays([call], [start, input]))
    assert.deepEqual(
      output.map(({ summary, encrypted_content }) => [summary, encrypted_content]),
      [
        [[], signed],
        [undefined, undefined],
      ],
    )
})

test('a thought of Anthropic’s comes back as it was, by way of a client of this wire', () => {
  const content = [
    { type: 'thinking', thinking: 'Hm', signature: 'S==' },
    { type: 'redacted_thinking', data: 'R==' },
    { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: 1 } },
  ]
  const answer = anthropic.decodeResult({ type: 'message', role: 'assistant', content }, notes)
  const { output } = wire.encodeResult(answer, context)
  const request = wire.decodeRequest({
    model: 'm',
    input: [
      { role: 'user', content: 'x' },
      ...list(output),
      { type: 'function_call_output', call_id: 'toolu_1', output: 'r' },
    ],
    tools: [{ type: 'function', name: 'f', parameters: { type: 'object' } }],
    max_output_tokens: 5000,
  })
  const sent = anthropic.encodeRequest(
    { ...request, dialect: wire.id },
    targetOf('claude-sonnet-4-5', { provider: 'anthropic' }),
  )
  assert.deepEqual(object(list(sent.body.messages)[1]).content, content)
})

test('OpenAI’s own encrypted thoughts go to the client byte by byte', () => {
  for (const [thought] of bothWays(
    [{ type: 'reasoning', text: 'Hm', signature: 'gAAAAx==' }],
    [
      { type: 'reasoning', text: 'Hm' },
      { type: 'signature', signature: 'gAAAAx==' },
    ],
  ))
    assert.equal(thought?.encrypted_content, 'gAAAAx==')
})

test('thoughts that nobody signed are told apart in a stream as well', () => {
  const summary = 'response.reasoning_summary_text.delta'
  const said = hear([
    created,
    { type: summary, output_index: 0, summary_index: 0, delta: 'A' },
    { type: 'response.output_item.done', output_index: 0, item: { type: 'reasoning' } },
    { type: summary, output_index: 1, summary_index: 0, delta: 'B' },
    { type: 'response.completed', response: responseOf([]) },
  ]).map((event) => (event.type === 'reasoning' ? event.text : ''))
  assert.equal(said.join(''), 'A\n\nB')
})

test('tools in a namespace come back under their own names', () => {
  const tools = [{ type: 'namespace', name: 'crm', tools: [{ type: 'function', name: 'find' }] }]
  const exec = { type: 'namespace', name: 'sys', tools: [{ type: 'custom', name: 'exec' }] }
  const ask = { tools, input: [{ type: 'additional_tools', role: 'developer', tools: [exec] }] }
  for (const output of bothWays(
    [
      { type: 'tool-call', id: 'c1', name: 'crm__find', input: '{}' },
      { type: 'tool-call', id: 'c2', name: 'sys__exec', input: 'ls', kind: 'custom' },
      { type: 'tool-call', id: 'c3', name: 'other', input: '' },
    ],
    [
      { type: 'tool-start', index: 0, id: 'c1', name: 'crm__find' },
      { type: 'tool-start', index: 1, id: 'c2', name: 'sys__exec', kind: 'custom' },
      { type: 'tool-input', index: 1, text: 'ls' },
      { type: 'tool-start', index: 2, id: 'c3', name: 'other' },
    ],
    ask,
  ))
    assert.deepEqual(
      output.map((item) => [item.type, item.namespace, item.name, item.arguments ?? item.input]),
      [
        ['function_call', 'crm', 'find', '{}'],
        ['custom_tool_call', 'sys', 'exec', 'ls'],
        ['function_call', undefined, 'other', '{}'],
      ],
    )
})

test('two calls with one id are two calls', () => {
  const call: Part = { type: 'tool-call', id: 'same', name: 'f', input: '{}' }
  const { output } = wire.encodeResult(resultOf([call, call]), context)
  const ids = list(output).flatMap((item) => [object(item).id, object(item).call_id])
  assert.equal(new Set(ids).size, 4)
})

test('a stream, event by event', () => {
  const encoder = wire.encodeStream(context)
  const events: ChatEvent[] = [
    { type: 'start', id: '', model: 'm', created: 5 },
    { type: 'reasoning', text: 'Hm' },
    { type: 'text', text: 'Hi' },
    { type: 'tool-start', index: 0, id: 'c1', name: 'p', kind: 'custom' },
    { type: 'tool-input', index: 0, text: 'x' },
    { type: 'finish', finish: 'length' },
    { type: 'usage', usage: { ...noUsage, input: 1 } },
  ]
  const frames = framesOf(events.map((event) => encoder.push(event)).join('') + encoder.end())
  assert.deepEqual(
    frames.map(({ event }) => event?.replace('response.', '')),
    `created in_progress output_item.added reasoning_summary_part.added reasoning_summary_text.delta
    reasoning_summary_text.done reasoning_summary_part.done output_item.done output_item.added content_part.added
    output_text.delta output_text.done content_part.done output_item.done output_item.added
    custom_tool_call_input.delta custom_tool_call_input.done output_item.done incomplete`.split(
      /\s+/,
    ),
  )
  const response = readGrammar(frames)
  assert.deepEqual(response.incomplete_details, { reason: 'max_output_tokens' })
  assert.deepEqual(
    list(response.output).map((item) => object(item).status),
    [undefined, 'completed', 'incomplete'],
  )
  assert.equal(object(response.usage).input_tokens, 1)
})

test('a call is done as soon as nothing can follow, so that clients may begin with it', () => {
  const encoder = wire.encodeStream(context)
  encoder.push({ type: 'tool-start', index: 0, id: 'c1', name: 'f' })
  encoder.push({ type: 'tool-input', index: 0, text: '{"a":1}' })
  const next = encoder.push({ type: 'tool-start', index: 1, id: 'c2', name: 'f' })
  assert.match(next, /response\.output_item\.done.*"call_id":"c1"/)
  encoder.push({ type: 'tool-input', index: 1, text: '{"b":' })
  const other = encoder.push({ type: 'tool-start', index: 2, id: 'c3', name: 'f' })
  assert.doesNotMatch(other, /output_item\.done/)
})

test('a client of this wire knows one answer', () => {
  const encoder = wire.encodeStream(context)
  assert.equal(encoder.push({ type: 'text', text: 'second', choice: 1 }), '')
})

const errors: [name: string, error: GatewayError, code: string][] = [
  ['ours', new GatewayError('bad_request', 'x'), 'invalid_prompt'],
  [
    'too long',
    new GatewayError('context_window', 'x', { provider: 'OpenAI' }),
    'context_length_exceeded',
  ],
  [
    'a code of its own',
    new GatewayError('rate_limit', 'x', { code: 'insufficient_quota' }),
    'insufficient_quota',
  ],
  ['a status for a code', new GatewayError('provider', 'x', { code: '500' }), 'server_error'],
]
for (const [name, error, code] of errors)
  test(`an error inside a stream: ${name}`, () => {
    const [frame] = framesOf(wire.encodeStreamError(error))
    const said = object(JSON.parse(frame?.data ?? ''))
    assert.deepEqual([frame?.event, said.type, said.code], ['error', 'error', code])
    assert.equal(object(said.error).message, said.message)
    assert.match(text(said.message) ?? '', /x$/)
  })
