import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import fc from 'fast-check'
import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { anthropic } from '../anthropic/wire.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Encoded, Target } from '../wire.ts'
import { bedrockInvoke } from './wire.ts'

const model = 'us.anthropic.claude-sonnet-4-20250514-v1:0'
const targetOf = (more: Partial<Target> = {}): Target => ({
  provider: 'bedrock',
  model,
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
  ...more,
})
const hi = { role: 'user', content: [{ type: 'text', text: 'Hi' }] }
const encode = (body: JsonObject, more?: Partial<Target>): Encoded =>
  bedrockInvoke.encodeRequest(
    anthropic.decodeRequest({ model: 'public', max_tokens: 9, messages: [hi], ...body }),
    targetOf(more),
  )
const base = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 9, messages: [hi] }
const marked = (ttl?: string): JsonObject => ({
  type: 'text',
  text: 'S',
  cache_control: { type: 'ephemeral', ...(ttl && { ttl }) },
})

type Row = [
  name: string,
  asked: JsonObject,
  more: Partial<Target>,
  sent: JsonObject,
  dropped?: string[] | undefined,
  headers?: JsonObject,
]
const bodies: Row[] = [
  [
    'model and stream are the path’s',
    { stream: true, top_k: 3, anthropic_version: 'x' },
    {},
    { ...base, top_k: 3 },
  ],
  [
    'flags are in the body; those Bedrock does not know are told',
    {
      anthropic_beta: ['interleaved-thinking-2025-05-14', 'mcp-client-2025-04-04'],
      context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] },
    },
    {},
    {
      ...base,
      context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] },
      anthropic_beta: ['interleaved-thinking-2025-05-14', 'context-management-2025-06-27'],
    },
    ['anthropic-beta.mcp-client-2025-04-04'],
  ],
  [
    'tools that run at Anthropic’s are not there',
    {
      tools: [
        { type: 'web_search_20250305', name: 'web_search' },
        { type: 'bash_20250124', name: 'bash' },
        { name: 'f', input_schema: { type: 'object', properties: { ttl: { type: 'string' } } } },
      ],
    },
    {},
    {
      ...base,
      tools: [
        { name: 'f', input_schema: { type: 'object', properties: { ttl: { type: 'string' } } } },
        { type: 'bash_20250124', name: 'bash' },
      ],
      anthropic_beta: ['computer-use-2025-01-24'],
    },
    ['tools.web_search_20250305'],
  ],
  [
    'a prompt is kept for an hour only by newer models',
    { system: [marked('1h')] },
    { info: { litellm_provider: 'bedrock' } },
    { ...base, system: [marked()] },
  ],
  [
    'which the catalogue tells',
    { system: [marked('1h')] },
    { info: { cache_creation_input_token_cost_above_1hr: 1 } },
    { ...base, system: [marked('1h')] },
  ],
  [
    'guardrails, latency and tier are headers',
    {
      guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '2', trace: 'enabled' },
      performanceConfig: { latency: 'opt\nimized' },
      service_tier: 'priority',
    },
    {},
    base,
    undefined,
    {
      'x-amzn-bedrock-guardrailidentifier': 'g',
      'x-amzn-bedrock-guardrailversion': '2',
      'x-amzn-bedrock-trace': 'ENABLED',
      'x-amzn-bedrock-service-tier': 'priority',
    },
  ],
]
describe('InvokeModel requests for Claude', () => {
  for (const [name, asked, more, sent, dropped, headers] of bodies)
    it(name, () => {
      const encoded = encode(asked, more)
      assert.deepEqual(JSON.parse(JSON.stringify(encoded.body)), sent)
      assert.deepEqual(encoded.dropped, dropped)
      assert.deepEqual(encoded.headers, headers)
    })

  it('OpenAI’s clients get there too', () => {
    const request = openaiChat.decodeRequest({
      model: 'p',
      messages: [{ role: 'user', content: 'Hi' }],
      max_tokens: 9,
    })
    assert.deepEqual(bedrockInvoke.encodeRequest(request, targetOf()).body, base)
  })

  it('nothing is fetched from the web', () => {
    const image = { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }
    const asked = { messages: [{ role: 'user', content: [image, { type: 'text', text: 'Hi' }] }] }
    assert.throws(
      () => encode(asked),
      (error) => GatewayError.is(error) && /web address/.test(error.message),
    )
    assert.deepEqual(encode(asked, { dropParams: true }).dropped, ['messages.image'])
  })

  it('paths', () => {
    assert.equal(
      bedrockInvoke.path(targetOf(), false),
      '/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/invoke',
    )
    assert.equal(
      bedrockInvoke.path(targetOf(), true),
      '/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/invoke-with-response-stream',
    )
  })
})

const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'Hé' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 2, output_tokens: 3 },
}

test('an answer is Anthropic’s; Bedrock’s verdict beside it is kept', () => {
  const result = bedrockInvoke.decodeResult(
    { ...message, 'amazon-bedrock-trace': { guardrail: 1 } },
    { model },
  )
  assert.deepEqual(result.choices[0]?.parts, [{ type: 'text', text: 'Hé' }])
  assert.deepEqual(result.extras, { trace: { guardrail: 1 } })
  assert.throws(
    () => bedrockInvoke.decodeResult({ message: 'slow', __type: 'ThrottlingException' }, { model }),
    (error) => GatewayError.is(error) && error.kind === 'rate_limit',
  )
})

const said: JsonObject[] = [
  { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hé ✓' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 4 } },
  { type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 2 } },
]
const chunk = (event: JsonObject) => ({
  event: 'chunk',
  data: JSON.stringify({ bytes: Buffer.from(JSON.stringify(event)).toString('base64'), p: 'abc' }),
})

test('a stream is Anthropic’s in an envelope', () => {
  const hear = (
    decoder: ReturnType<typeof bedrockInvoke.decodeStream>,
    events: { event: string | undefined; data: string }[],
  ): ChatEvent[] => [...events.flatMap((event) => decoder.push(event)), ...decoder.end()]
  assert.deepEqual(
    hear(bedrockInvoke.decodeStream({ model }), said.map(chunk)),
    hear(
      anthropic.decodeStream({ model }),
      said.map((event) => ({ event: undefined, data: JSON.stringify(event) })),
    ),
  )
  const cut = hear(bedrockInvoke.decodeStream({ model }), [
    ...said.slice(0, 3).map(chunk),
    { event: 'exception:throttlingException', data: '{"message":"slow"}' },
    chunk({ type: 'message_stop' }),
  ])
  const last = cut.at(-1)
  assert.ok(
    last?.type === 'fault' && last.error.kind === 'rate_limit' && last.error.message === 'slow',
  )
})

test('whatever arrives, nothing is thrown, and nothing follows a fault', () => {
  const data = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string().map((bytes) => JSON.stringify({ bytes })),
    fc.json().map((json) => JSON.stringify({ bytes: btoa(unescape(encodeURIComponent(json))) })),
    fc.constantFrom(...said.map((event) => chunk(event).data)),
  )
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ event: fc.constantFrom('chunk', undefined, 'exception:x', 'new'), data }),
      ),
      (frames) => {
        const decoder = bedrockInvoke.decodeStream({ model })
        const events = [...frames.flatMap((frame) => decoder.push(frame)), ...decoder.end()]
        const fault = events.findIndex(({ type }) => type === 'fault')
        assert.ok(fault === -1 || fault === events.length - 1)
      },
    ),
    { numRuns: 200 },
  )
})
