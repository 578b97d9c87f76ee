import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import fc from 'fast-check'
import type { ChatEvent, ChatResult, Part, Usage } from '../../chat/chat.ts'
import { noUsage } from '../../chat/chat.ts'
import { type FaultKind, GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { bytesOf, utf8 } from '../../json/latin1.ts'
import { openFrames } from '../framing/frames.ts'
import type { Frame, Notes } from '../wire.ts'
import { bedrockConverse } from './wire.ts'

const answer = (content: JsonObject[], more: JsonObject = {}): JsonObject => ({
  output: { message: { role: 'assistant', content } },
  stopReason: 'end_turn',
  usage: { inputTokens: 14, outputTokens: 6, totalTokens: 20 },
  ...more,
})
const decode = (body: JsonObject, notes: Partial<Notes> = {}): ChatResult =>
  bedrockConverse.decodeResult(body, { model: 'm', ...notes })
const tool = (name: string, input: JsonObject, id = 't1'): JsonObject => ({
  toolUse: { toolUseId: id, name, input },
})
const web = { title: 'T', location: { web: { url: 'https://a.example', domain: 'a.example' } } }

const contents: [
  name: string,
  content: JsonObject[],
  notes: Partial<Notes>,
  parts: Part[],
  finish?: string,
][] = [
  ['text', [{ text: 'a' }, { text: '' }], {}, [{ type: 'text', text: 'a' }]],
  [
    'thoughts',
    [
      { reasoningContent: { reasoningText: { text: 'h', signature: 'S' } } },
      { reasoningContent: { redactedContent: 'UkVE' } },
    ],
    {},
    [
      { type: 'reasoning', text: 'h', signature: 'S' },
      { type: 'reasoning', text: '', redacted: 'UkVE' },
    ],
  ],
  [
    'calls, whatever the stop reason says',
    [tool('f_1', { a: 1 })],
    { toolNames: new Map([['f_1', 'f.1']]) },
    [{ type: 'tool-call', id: 't1', name: 'f.1', input: '{"a":1}' }],
    'tool-calls',
  ],
  [
    'a freeform tool',
    [tool('c', { input: 'x y' })],
    { customTools: new Set(['c']) },
    [{ type: 'tool-call', id: 't1', name: 'c', kind: 'custom', input: 'x y' }],
    'tool-calls',
  ],
  [
    'the answer tool is the answer',
    [tool('json_tool_call', { n: 3 })],
    { outputTool: 'json_tool_call' },
    [{ type: 'text', text: '{"n":3}' }],
  ],
  [
    'an answer that is no object',
    [tool('json_tool_call', { value: [3] })],
    { outputTool: 'json_tool_call', outputKey: 'value' },
    [{ type: 'text', text: '[3]' }],
  ],
  [
    'citations',
    [
      { text: 'abc' },
      {
        citationsContent: {
          content: [{ text: 'de' }, { text: 'f' }],
          citations: [web, { location: { documentPage: { start: 1 } } }],
        },
      },
    ],
    {},
    [
      { type: 'text', text: 'abc' },
      {
        type: 'text',
        text: 'def',
        annotations: [
          {
            type: 'url_citation',
            url_citation: { url: 'https://a.example', title: 'T', start_index: 3, end_index: 6 },
            citation: web,
          },
          { location: { documentPage: { start: 1 } } },
        ],
      },
    ],
  ],
  [
    'pictures',
    [{ image: { format: 'jpeg', source: { bytes: 'QQ==' } } }],
    {},
    [
      {
        type: 'media',
        media: 'image',
        source: { type: 'bytes', base64: 'QQ==', mime: 'image/jpeg' },
      },
    ],
  ],
  [
    'what nobody knows is kept',
    [{ toolUse: { type: 'server_tool_use', toolUseId: 'x', name: 'nova_grounding', input: {} } }],
    {},
    [
      {
        type: 'raw',
        wire: 'bedrock-converse',
        value: {
          toolUse: { type: 'server_tool_use', toolUseId: 'x', name: 'nova_grounding', input: {} },
        },
      },
    ],
  ],
]
describe('Converse answers', () => {
  for (const [name, content, notes, parts, finish = 'stop'] of contents)
    it(name, () => {
      const [choice] = decode(answer(content), notes).choices
      assert.deepEqual(choice?.parts, parts)
      assert.equal(choice?.finish, finish)
    })

  it('what else it tells', () => {
    const trace = { guardrail: {} }
    const result = decode(
      answer([{ text: 'a' }], { trace, metrics: { latencyMs: 3 }, serviceTier: { type: 'flex' } }),
    )
    assert.deepEqual(result.choices[0]?.extras, {
      provider_specific_fields: { trace, metrics: { latencyMs: 3 } },
    })
    assert.deepEqual(result.extras, { service_tier: 'flex' })
    assert.equal(result.model, 'm')
  })
})

const finishes: [reason: string, finish: string][] = [
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool-calls'],
  ['guardrail_intervened', 'content-filter'],
  ['content_filtered', 'content-filter'],
  ['malformed_tool_use', 'other'],
  ['constructor', 'other'],
]
describe('stop reasons', () => {
  for (const [stopReason, finish] of finishes)
    it(`${stopReason} is ${finish}`, () => {
      const [choice] = decode(answer([{ text: 'a' }], { stopReason })).choices
      assert.deepEqual([choice?.finish, choice?.reason], [finish, stopReason])
      assert.deepEqual(
        heard([['messageStop', { stopReason }]]).find(({ type }) => type === 'finish'),
        { type: 'finish', finish, reason: stopReason },
      )
    })
})

const usages: [name: string, told: JsonObject, usage: Partial<Usage>][] = [
  [
    'input is what the cache had no part in',
    { inputTokens: 10, outputTokens: 4, cacheReadInputTokens: 100, cacheWriteInputTokens: 20 },
    { input: 10, output: 4, cacheRead: 100, cacheWrite: 20 },
  ],
  [
    'writes by how long they last',
    {
      inputTokens: 1,
      outputTokens: 2,
      cacheWriteInputTokens: 30,
      cacheDetails: [
        { ttl: '1h', inputTokens: 20 },
        { ttl: '5m', inputTokens: 10 },
      ],
    },
    { input: 1, output: 2, cacheWrite: 10, cacheWrite1h: 20 },
  ],
  [
    'nonsense counts as nothing',
    { inputTokens: -1, outputTokens: 'x', cacheReadInputTokens: 1e300 },
    {},
  ],
]
describe('usage', () => {
  for (const [name, told, usage] of usages)
    it(name, () =>
      assert.deepEqual(decode(answer([], { usage: told })).usage, {
        ...noUsage,
        ...usage,
        raw: told,
      }),
    )
})

const broken: [name: string, body: JsonObject, kind: FaultKind][] = [
  ['nothing', {}, 'bad_gateway'],
  ['no message', { output: {} }, 'bad_gateway'],
  [
    'an error in a success’s clothes',
    { Output: { __type: 'com.amazon.coral.service#UnknownOperationException' }, Version: '1.0' },
    'provider',
  ],
  [
    'a throttle in a success’s clothes',
    { __type: 'ThrottlingException', message: 'slow' },
    'rate_limit',
  ],
]
describe('broken answers', () => {
  for (const [name, body, kind] of broken)
    it(name, () =>
      assert.throws(
        () => decode(body),
        (error) => GatewayError.is(error) && error.kind === kind,
      ),
    )
})

const errors: [
  name: string,
  status: number,
  type: string | undefined,
  body: string,
  kind: FaultKind,
  status2?: number,
][] = [
  [
    'throttled',
    429,
    'ThrottlingException:http://internal.amazon.com/',
    '{"message":"Too many tokens, please wait before trying again."}',
    'rate_limit',
  ],
  [
    'throttled, by status alone',
    429,
    undefined,
    '{"message":"Too many requests, please wait"}',
    'rate_limit',
  ],
  ['quota', 400, 'ServiceQuotaExceededException', '{"message":"Too many"}', 'rate_limit', 429],
  ['throttled as AWS has it', 400, 'ThrottlingException', '{"message":"Slow"}', 'rate_limit', 429],
  [
    'bad request',
    400,
    'ValidationException',
    '{"message":"Malformed input request"}',
    'bad_request',
  ],
  [
    'too long',
    400,
    'ValidationException',
    '{"message":"Input is too long for requested model."}',
    'context_window',
  ],
  [
    'too long, in Claude’s words',
    400,
    undefined,
    '{"message":"The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum"}',
    'context_window',
  ],
  [
    'too long, in Nova’s words',
    400,
    'ValidationException',
    '{"message":"Input Tokens Exceeded: Number of input tokens exceeds maximum length."}',
    'context_window',
  ],
  [
    'filtered',
    400,
    'ValidationException',
    '{"message":"Output blocked by content filtering policy"}',
    'content_policy',
  ],
  [
    'no such model',
    400,
    'ValidationException',
    '{"message":"The provided model identifier is invalid."}',
    'not_found',
  ],
  [
    'no access',
    403,
    'AccessDeniedException',
    '{"Message":"You don\'t have access to the model with the specified model ID."}',
    'permission',
  ],
  [
    'expired',
    403,
    'ExpiredTokenException',
    '{"message":"The security token included in the request is expired"}',
    'authentication',
    401,
  ],
  [
    'wrong key',
    403,
    'UnrecognizedClientException',
    '{"message":"The security token included in the request is invalid."}',
    'authentication',
    401,
  ],
  [
    'wrong signature, unnamed',
    403,
    undefined,
    '{"message":"The request signature we calculated does not match"}',
    'authentication',
    401,
  ],
  [
    'in the body',
    404,
    undefined,
    '{"__type":"com.amazon#ResourceNotFoundException","message":"gone"}',
    'not_found',
  ],
  ['not ready', 429, 'ModelNotReadyException', '{"message":"warming up"}', 'unavailable'],
  ['timeout', 408, 'ModelTimeoutException', '{"message":"slow"}', 'timeout'],
  ['the model failed', 424, 'ModelErrorException', '{"message":"oops"}', 'provider'],
  [
    'internal',
    500,
    'InternalServerException',
    '{"message":"Unexpected fault in bedrock"}',
    'provider',
  ],
  ['a page', 502, undefined, '<html>bad</html>', 'bad_gateway'],
  ['a line', 503, undefined, 'try later', 'unavailable'],
]
describe('errors', () => {
  for (const [name, status, type, body, kind, expected = status] of errors)
    it(name, () => {
      const header = (asked: string) => (asked === 'x-amzn-errortype' ? type : undefined)
      const error = bedrockConverse.decodeError({ status, body, header, provider: 'Bedrock' })
      assert.deepEqual([error.kind, error.status], [kind, expected])
      assert.equal(error.provider, 'Bedrock')
    })
})

/** Streams */

type Said = [event: string, payload: JsonObject]
const frames = (events: readonly Said[]): Frame[] =>
  events.map(([event, payload]) => ({ event, data: JSON.stringify(payload) }))
function heard(events: readonly Said[], notes: Partial<Notes> = {}): ChatEvent[] {
  const decoder = bedrockConverse.decodeStream({ model: 'm', ...notes })
  return [...frames(events).flatMap((frame) => decoder.push(frame)), ...decoder.end()]
}
const delta = (contentBlockIndex: number, said: JsonObject): Said => [
  'contentBlockDelta',
  { contentBlockIndex, delta: said },
]
const stop = (contentBlockIndex: number): Said => ['contentBlockStop', { contentBlockIndex }]
const begin = (contentBlockIndex: number, name: string, toolUseId = 't'): Said => [
  'contentBlockStart',
  { contentBlockIndex, start: { toolUse: { name, toolUseId } } },
]
const end: Said = ['messageStop', { stopReason: 'end_turn' }]
const usage = { ...noUsage, input: 14, output: 6 }

const streams: [name: string, events: Said[], notes: Partial<Notes>, told: ChatEvent[]][] = [
  [
    'text, usage and what else is told',
    [
      ['messageStart', { role: 'assistant' }],
      delta(0, { text: 'a' }),
      delta(0, { text: '' }),
      stop(0),
      end,
      [
        'metadata',
        {
          usage: { inputTokens: 14, outputTokens: 6 },
          metrics: { latencyMs: 1 },
          serviceTier: { type: 'default' },
        },
      ],
    ],
    {},
    [
      { type: 'text', text: 'a' },
      { type: 'finish', finish: 'stop', reason: 'end_turn' },
      {
        type: 'extras',
        extras: { provider_specific_fields: { metrics: { latencyMs: 1 } } },
        of: 'message',
      },
      { type: 'extras', extras: { service_tier: 'default' }, of: 'result' },
      { type: 'usage', usage: { ...usage, raw: { inputTokens: 14, outputTokens: 6 } } },
    ],
  ],
  [
    'a thought, signed in two pieces',
    [
      delta(0, { reasoningContent: { text: 'h' } }),
      delta(0, { reasoningContent: { signature: 'S' } }),
      delta(0, { reasoningContent: { signature: '=' } }),
      stop(0),
      delta(1, { reasoningContent: { redactedContent: 'UkVE' } }),
      stop(1),
      end,
    ],
    {},
    [
      { type: 'reasoning', text: 'h' },
      { type: 'signature', signature: 'S=' },
      { type: 'redacted', data: 'UkVE' },
      { type: 'finish', finish: 'stop', reason: 'end_turn' },
    ],
  ],
  [
    'calls are numbered from 0; one without input has an empty one',
    [
      delta(0, { text: 'a' }),
      stop(0),
      begin(1, 'f', 'x'),
      delta(1, { toolUse: { input: '{"a"' } }),
      delta(1, { toolUse: { input: ':1}' } }),
      stop(1),
      begin(2, 'g', 'y'),
      stop(2),
      ['messageStop', { stopReason: 'tool_use' }],
    ],
    { toolNames: new Map([['g', 'g.g']]) },
    [
      { type: 'text', text: 'a' },
      { type: 'tool-start', index: 0, id: 'x', name: 'f' },
      { type: 'tool-input', index: 0, text: '{"a"' },
      { type: 'tool-input', index: 0, text: ':1}' },
      { type: 'tool-start', index: 1, id: 'y', name: 'g.g' },
      { type: 'tool-input', index: 1, text: '{}' },
      { type: 'finish', finish: 'tool-calls', reason: 'tool_use' },
    ],
  ],
  [
    'the answer tool is the answer',
    [
      begin(0, 'json_tool_call'),
      delta(0, { toolUse: { input: '{"n"' } }),
      delta(0, { toolUse: { input: ':3}' } }),
      stop(0),
      ['messageStop', { stopReason: 'tool_use' }],
    ],
    { outputTool: 'json_tool_call' },
    [
      { type: 'text', text: '{"n"' },
      { type: 'text', text: ':3}' },
      { type: 'finish', finish: 'stop' },
    ],
  ],
  [
    'an answer that is no object comes when it is whole',
    [
      begin(0, 'json_tool_call'),
      delta(0, { toolUse: { input: '{"value"' } }),
      delta(0, { toolUse: { input: ':[3]}' } }),
      stop(0),
      ['messageStop', { stopReason: 'tool_use' }],
    ],
    { outputTool: 'json_tool_call', outputKey: 'value' },
    [
      { type: 'text', text: '[3]' },
      { type: 'finish', finish: 'stop' },
    ],
  ],
  [
    'a freeform tool',
    [begin(0, 'c'), delta(0, { toolUse: { input: '{"input":"x"}' } }), end],
    { customTools: new Set(['c']) },
    [
      { type: 'tool-start', index: 0, id: 't', name: 'c', kind: 'custom' },
      { type: 'tool-input', index: 0, text: 'x' },
      { type: 'finish', finish: 'tool-calls', reason: 'end_turn' },
    ],
  ],
  [
    'citations',
    [delta(0, { text: 'abc' }), delta(0, { citation: web }), stop(0), end],
    {},
    [
      { type: 'text', text: 'abc' },
      {
        type: 'annotation',
        annotation: {
          type: 'url_citation',
          url_citation: { url: 'https://a.example', title: 'T', start_index: 0, end_index: 3 },
          citation: web,
        },
      },
      { type: 'finish', finish: 'stop', reason: 'end_turn' },
    ],
  ],
  [
    'a picture',
    [
      ['contentBlockStart', { contentBlockIndex: 0, start: { image: { format: 'webp' } } }],
      delta(0, { image: { source: { bytes: 'QUJD' } } }),
      delta(0, { image: { source: { bytes: 'REVG' } } }),
      stop(0),
      end,
    ],
    {},
    [
      {
        type: 'media',
        part: {
          type: 'media',
          media: 'image',
          source: { type: 'bytes', base64: 'QUJDREVG', mime: 'image/webp' },
        },
      },
      { type: 'finish', finish: 'stop', reason: 'end_turn' },
    ],
  ],
]
describe('Converse streams', () => {
  for (const [name, events, notes, told] of streams)
    it(name, () =>
      assert.deepEqual(heard(events, notes), [
        { type: 'start', id: '', model: 'm', created: 0 },
        ...told,
      ]),
    )

  it('a stream that ends without a word is a fault', () => {
    const last = heard([delta(0, { text: 'a' })]).at(-1)
    assert.ok(last?.type === 'fault' && last.error.kind === 'bad_gateway')
  })
})

const exceptions: [name: string, payload: string, kind: FaultKind, status: number][] = [
  ['throttlingException', '{"message":"Too many tokens"}', 'rate_limit', 429],
  ['validationException', '{"message":"Input is too long"}', 'context_window', 400],
  ['serviceUnavailableException', '{"message":"busy"}', 'unavailable', 503],
  ['modelStreamErrorException', '{"message":"broke","originalStatusCode":500}', 'provider', 500],
  ['modelTimeoutException', '', 'timeout', 408],
  ['somethingNewException', '{', 'provider', 500],
  ['', '', 'provider', 500],
]
describe('exceptions in a stream', () => {
  for (const [name, data, kind, status] of exceptions)
    it(name, () => {
      const decoder = bedrockConverse.decodeStream({ model: 'm' })
      const [fault, ...more] = decoder.push({ event: `exception:${name}`, data })
      assert.ok(fault?.type === 'fault')
      assert.deepEqual([fault.error.kind, fault.error.status], [kind, status])
      assert.notEqual(fault.error.message, '')
      assert.deepEqual(
        [...more, ...decoder.push({ event: 'messageStop', data: '{}' }), ...decoder.end()],
        [],
      )
    })
})

const odd = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.constant([]), fc.constant({}))
const payload = fc.oneof(
  fc.string(),
  fc.json(),
  fc
    .record(
      {
        contentBlockIndex: fc.oneof(fc.integer({ min: -1, max: 3 }), odd),
        start: fc.oneof(
          fc.record({ toolUse: fc.oneof(odd, fc.record({ name: odd, toolUseId: odd })) }),
          odd,
        ),
        delta: fc.oneof(
          odd,
          fc.record(
            { text: odd, reasoningContent: odd, toolUse: odd, citation: odd, image: odd },
            { requiredKeys: [] },
          ),
        ),
        stopReason: odd,
        usage: fc.oneof(odd, fc.record({ inputTokens: odd, cacheDetails: odd })),
      },
      { requiredKeys: [] },
    )
    .map((body) => JSON.stringify(body)),
)
const event = fc.constantFrom(
  undefined,
  'messageStart',
  'contentBlockStart',
  'contentBlockDelta',
  'contentBlockStop',
  'messageStop',
  'metadata',
  'exception:x',
  '',
)

test('whatever a provider says, decoders throw nothing but a GatewayError, and nothing follows a fault', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ event, data: payload })), fc.json(), (said, body) => {
      const decoder = bedrockConverse.decodeStream({ model: 'm', outputTool: 'json_tool_call' })
      const events = [...said.flatMap((frame) => decoder.push(frame)), ...decoder.end()]
      const fault = events.findIndex(({ type }) => type === 'fault')
      assert.ok(fault === -1 || fault === events.length - 1)
      assert.ok(events.filter(({ type }) => type === 'finish').length <= 1)
      const error = bedrockConverse.decodeError({ status: 400, body, header: () => body })
      assert.ok(GatewayError.is(error))
      const value: unknown = JSON.parse(body)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return
      try {
        decode(answer([{ ...value }], { ...value }))
        decode({ ...value })
      } catch (thrown) {
        assert.ok(GatewayError.is(thrown))
      }
    }),
    { numRuns: 300 },
  )
})

test('a stream survives any cutting', async () => {
  const { EventStreamCodec } = await import('@smithy/eventstream-codec')
  const codec = new EventStreamCodec(String, (text) => new TextEncoder().encode(text))
  const events = streams.flatMap(([, said]) => said).filter(([name]) => name !== 'messageStop')
  const bytes = [...events, end].flatMap(([type, body]) => [
    ...codec.encode({
      headers: {
        ':event-type': { type: 'string', value: type },
        ':message-type': { type: 'string', value: 'event' },
      },
      body: new TextEncoder().encode(JSON.stringify(body)),
    }),
  ])
  const read = (places: readonly number[]): ChatEvent[] => {
    const framer = openFrames('aws-events', 1_000_000)
    const decoder = bedrockConverse.decodeStream({ model: 'm' })
    const all = [0, ...places.map((at) => at % bytes.length), bytes.length].sort((a, b) => a - b)
    const told = all
      .slice(1)
      .flatMap((to, at) =>
        framer
          .push(Uint8Array.from(bytes.slice(all[at], to)))
          .flatMap(({ event, data }) => decoder.push({ event, data: utf8(bytesOf(data)) })),
      )
    return [...told, ...decoder.end()]
  }
  const whole = read([])
  assert.ok(whole.length > 20)
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 40 }), (places) =>
      assert.deepEqual(read(places), whole),
    ),
    { numRuns: 40 },
  )
})
