import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChatRequest, Message, Part, Source } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list } from '../../json/json.ts'
import type { Target } from '../wire.ts'
import { target } from './chunks.test.ts'
import {
  decodeContent,
  decodeRequest,
  decodeToolChoice,
  decodeUrl,
  encodeRequest,
  readMessages,
} from './request.ts'

const ask = (more: JsonObject = {}): JsonObject => ({
  model: 'm',
  messages: [{ role: 'user', content: 'hi' }],
  ...more,
})
const decode = (more: JsonObject = {}): ChatRequest => decodeRequest(ask(more))
const sent = (more: JsonObject = {}, to: Partial<Target> = {}) =>
  encodeRequest(decode(more), { ...target, ...to })

const refusals: [name: string, messages: Json | undefined, message: RegExp][] = [
  ['missing', undefined, /^Missing required parameter: 'messages'\.$/],
  ['null', null, /^Missing required parameter: 'messages'\.$/],
  ['a text', 'hi', /'messages' must be a list/],
  ['an object', { role: 'user' }, /'messages' must be a list/],
  ['a message that is a text', ['hi'], /'messages\[0\]' must be an object/],
  ['a message that is null', [{ role: 'user' }, null], /'messages\[1\]' must be an object/],
  ['no role', [{ content: 'x' }], /'messages\[0\]\.role' must be a string/],
  ['a number as role', [{ role: 1 }], /'messages\[0\]\.role' must be a string/],
]
for (const [name, messages, message] of refusals)
  test(`messages: ${name} is refused`, () => {
    const body = messages === undefined ? {} : { messages }
    assert.throws(() => readMessages(body), {
      kind: 'bad_request',
      status: 400,
      param: 'messages',
      message,
    })
  })
test('messages: an empty list is for the provider to judge', () =>
  assert.deepEqual(readMessages({ messages: [] }), []))

const fields: [said: JsonObject, decoded: Partial<ChatRequest>][] = [
  [{ max_tokens: 5 }, { maxTokens: 5 }],
  [{ max_tokens: 5, max_completion_tokens: 6 }, { maxTokens: 6 }],
  [{ stop: 'x' }, { stop: ['x'] }],
  [{ stop: ['x', 1] }, { stop: ['x'] }],
  [
    { temperature: 0, top_p: 0.5, top_k: 3, seed: 1, n: 2 },
    { temperature: 0, topP: 0.5, topK: 3, seed: 1, n: 2 },
  ],
  [{ temperature: null }, {}],
  [{ reasoning_effort: 'high' }, { reasoning: { effort: 'high' } }],
  [
    { reasoning_effort: { effort: 'low', summary: 'auto' } },
    { reasoning: { effort: 'low', summary: 'auto' } },
  ],
  [{ reasoning_effort: 'much' }, {}],
  [
    { thinking: { type: 'enabled', budget_tokens: 9 } },
    { reasoning: { budget: 9 }, extras: { thinking: { type: 'enabled', budget_tokens: 9 } } },
  ],
  [
    { thinking: { type: 'disabled' } },
    { reasoning: { budget: 0 }, extras: { thinking: { type: 'disabled' } } },
  ],
  [{ response_format: { type: 'json_object' } }, { output: { type: 'json' } }],
  [
    {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 's', schema: { a: 1 }, strict: true },
      },
    },
    { output: { type: 'schema', name: 's', schema: { a: 1 }, strict: true } },
  ],
  [
    { response_format: { type: 'json_object', response_schema: { a: 1 } } },
    { output: { type: 'schema', name: 'response', schema: { a: 1 } } },
  ],
  [{ response_format: { type: 'grammar' } }, {}],
  [
    { stream: true, stream_options: { include_usage: true } },
    { stream: true, streamUsage: true },
  ],
  [{ stream: 'yes' }, { stream: false }],
  [{ my_own: 1 }, { extras: { my_own: 1 } }],
  [JSON.parse('{"__proto__":{"x":1}}'), { extras: JSON.parse('{"__proto__":{"x":1}}') }],
]
for (const [said, decoded] of fields)
  test(`decode: ${JSON.stringify(said)}`, () => {
    const { model: _, messages: __, tools: ___, stream, extras, ...rest } = decode(said)
    assert.deepEqual({ stream, extras, ...rest }, { stream: false, extras: {}, ...decoded })
  })

const choices: [said: Json, decoded: ReturnType<typeof decodeToolChoice>][] = [
  ['auto', 'auto'],
  ['none', 'none'],
  ['required', 'required'],
  ['any', 'required'],
  ['odd', undefined],
  [{ type: 'function', function: { name: 'f' } }, { name: 'f' }],
  [{ type: 'custom', custom: { name: 'f' } }, { name: 'f' }],
  [{ name: 'f' }, { name: 'f' }],
  [{ type: 'auto' }, 'auto'],
  [
    {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'f' } }] },
    },
    { names: ['f'], mode: 'required' },
  ],
  [null, undefined],
]
for (const [said, decoded] of choices)
  test(`tool_choice ${JSON.stringify(said)}`, () =>
    assert.deepEqual(decodeToolChoice(said), decoded))

const urls: [url: string, mime: string | undefined, source: Source][] = [
  ['https://e.com/a.png', undefined, { type: 'url', url: 'https://e.com/a.png' }],
  [
    'gs://b/a.pdf',
    'application/pdf',
    { type: 'url', url: 'gs://b/a.pdf', mime: 'application/pdf' },
  ],
  ['data:image/png;base64,AAAA', undefined, { type: 'bytes', mime: 'image/png', base64: 'AAAA' }],
  ['data:;base64,AAAA', 'image/gif', { type: 'bytes', mime: 'image/gif', base64: 'AAAA' }],
  [
    'data:text/plain;charset=utf-8;base64,AAAA',
    undefined,
    { type: 'bytes', mime: 'text/plain', base64: 'AAAA' },
  ],
  ['AAAA', 'application/pdf', { type: 'bytes', mime: 'application/pdf', base64: 'AAAA' }],
]
for (const [url, mime, source] of urls)
  test(`url ${url}`, () => assert.deepEqual(decodeUrl(url, mime), source))

const contents: [content: Json | undefined, parts: Part[]][] = [
  ['hi', [{ type: 'text', text: 'hi' }]],
  ['', []],
  [undefined, []],
  [null, []],
  [{ type: 'text' }, []],
  [
    ['hi', { type: 'text', text: 'b', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    [
      { type: 'text', text: 'hi' },
      { type: 'text', text: 'b', cache: { ttl: '1h' } },
    ],
  ],
  [
    [{ type: 'image_url', image_url: { url: 'https://e.com/i', detail: 'low' } }],
    [
      {
        type: 'media',
        media: 'image',
        source: { type: 'url', url: 'https://e.com/i' },
        detail: 'low',
      },
    ],
  ],
  [
    [{ type: 'image_url', image_url: 'https://e.com/i' }],
    [{ type: 'media', media: 'image', source: { type: 'url', url: 'https://e.com/i' } }],
  ],
  [
    [{ type: 'video_url', video_url: { url: 'https://e.com/v' } }],
    [{ type: 'media', media: 'video', source: { type: 'url', url: 'https://e.com/v' } }],
  ],
  [
    [{ type: 'input_audio', input_audio: { data: 'AA', format: 'mp3' } }],
    [{ type: 'media', media: 'audio', source: { type: 'bytes', base64: 'AA', mime: 'audio/mp3' } }],
  ],
  [
    [{ type: 'file', file: { file_id: 'file-1' } }],
    [{ type: 'media', media: 'file', source: { type: 'id', id: 'file-1' } }],
  ],
  [
    [{ type: 'file', file: { file_id: 'https://e.com/a.pdf', format: 'application/pdf' } }],
    [
      {
        type: 'media',
        media: 'file',
        source: { type: 'url', url: 'https://e.com/a.pdf', mime: 'application/pdf' },
      },
    ],
  ],
  [
    [{ type: 'file', file: { filename: 'a.pdf', file_data: 'AA' } }],
    [
      {
        type: 'media',
        media: 'file',
        source: { type: 'bytes', base64: 'AA', mime: 'application/pdf' },
        name: 'a.pdf',
      },
    ],
  ],
  [[{ type: 'odd', x: 1 }], [{ type: 'raw', wire: 'openai-chat', value: { type: 'odd', x: 1 } }]],
]
for (const [content, parts] of contents)
  test(`content ${JSON.stringify(content)}`, () => assert.deepEqual(decodeContent(content), parts))

const messages: [said: JsonObject, message: Message][] = [
  [
    { role: 'tool', tool_call_id: 'c', content: 'r' },
    {
      role: 'tool',
      parts: [
        { type: 'tool-result', id: 'c', parts: [{ type: 'text', text: 'r' }], failed: false },
      ],
    },
  ],
  [
    { role: 'function', name: 'f', content: 'r' },
    {
      role: 'tool',
      parts: [
        {
          type: 'tool-result',
          id: 'f',
          parts: [{ type: 'text', text: 'r' }],
          failed: false,
          name: 'f',
        },
      ],
    },
  ],
  [
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'assistant', parts: [{ type: 'tool-call', id: 'c', name: 'f', input: '{}' }] },
  ],
  [
    { role: 'assistant', reasoning: 'h', content: 'a' },
    {
      role: 'assistant',
      parts: [
        { type: 'reasoning', text: 'h' },
        { type: 'text', text: 'a' },
      ],
    },
  ],
  [
    { role: 'user', reasoning: 'h', content: 'a', name: 'bob', odd: 1 },
    { role: 'user', parts: [{ type: 'text', text: 'a' }], name: 'bob', extras: { odd: 1 } },
  ],
  [
    { role: 'system', content: 'a', cache_control: { type: 'ephemeral' } },
    { role: 'system', parts: [{ type: 'text', text: 'a', cache: {} }] },
  ],
  [
    { role: 'constructor', content: 'a' },
    { role: 'user', parts: [{ type: 'text', text: 'a' }] },
  ],
  [
    { role: 'assistant', refusal: 'no' },
    { role: 'assistant', parts: [{ type: 'refusal', text: 'no' }] },
  ],
]
for (const [said, message] of messages)
  test(`message ${JSON.stringify(said)}`, () =>
    assert.deepEqual(decode({ messages: [said] }).messages, [message]))

const text = fc.string({ minLength: 1, maxLength: 8 })
const part = fc.oneof(
  fc.record({ type: fc.constant('text'), text }),
  fc.record({
    type: fc.constant('image_url'),
    image_url: fc.record({
      url: fc.constantFrom('https://e.com/i.png', 'data:image/png;base64,AAAA'),
      detail: fc.constant('low'),
    }),
  }),
  fc.record({
    type: fc.constant('file'),
    file: fc.record({ file_id: text.map((id) => `file-${id}`) }),
  }),
)
const tool = fc.record({
  id: text,
  type: fc.constant('function'),
  function: fc.record({ name: text, arguments: fc.constantFrom('{}', '{"a":1}') }),
})
const message = fc.oneof(
  fc.record({ role: fc.constantFrom('system', 'developer', 'user'), content: text }),
  fc.record({
    role: fc.constant('user'),
    content: fc.array(part, { minLength: 2, maxLength: 3 }),
    name: text,
  }),
  fc.record({
    role: fc.constant('assistant'),
    content: fc.oneof(text, fc.constant(null)),
    tool_calls: fc.array(tool, { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ role: fc.constant('assistant'), content: text, reasoning_content: text }),
  fc.record({ role: fc.constant('tool'), tool_call_id: text, content: text }),
)
const body = fc.record(
  {
    model: fc.constant('gpt-x'),
    messages: fc.array(message, { maxLength: 4 }),
    tools: fc.array(
      fc.record({
        type: fc.constant('function'),
        function: fc.record({
          name: text,
          description: text,
          parameters: fc.constant({ type: 'object' }),
          strict: fc.boolean(),
        }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    tool_choice: fc.oneof(
      fc.constantFrom('auto', 'none', 'required'),
      fc.constant({ type: 'function', function: { name: 'f' } }),
    ),
    parallel_tool_calls: fc.boolean(),
    max_completion_tokens: fc.nat(),
    stop: fc.array(text, { maxLength: 2 }),
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    top_p: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.integer(),
    n: fc.nat(3),
    logprobs: fc.boolean(),
    top_logprobs: fc.nat(5),
    logit_bias: fc.constant({ '50256': -100 }),
    reasoning_effort: fc.constantFrom('none', 'low', 'xhigh'),
    response_format: fc.constantFrom<JsonObject[]>(
      { type: 'text' },
      { type: 'json_object' },
      { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } },
    ),
    user: text,
    service_tier: text,
    verbosity: text,
    modalities: fc.array(text, { maxLength: 2 }),
    prediction: fc.constant({ type: 'content' }),
  },
  { requiredKeys: ['model', 'messages'] },
)

test('law: a request survives decode and encode, and the client keeps its copy', () => {
  fc.assert(
    fc.property(body, (drawn) => {
      const said = structuredClone(drawn)
      const before = structuredClone(said) as JsonObject // of records above
      const out = encodeRequest(decodeRequest(said as JsonObject), target) // of records above
      assert.deepEqual(out.dropped, [])
      assert.deepEqual(out.body, before)
      assert.deepEqual(said, before)
    }),
    { numRuns: 200 },
  )
})

test('encode: a stream asks for its usage, where that is known', () => {
  assert.deepEqual(sent({ stream: true }).body['stream_options'], { include_usage: true })
  assert.equal(
    sent({ stream: true }, { quirks: { noStreamUsage: true } }).body['stream_options'],
    undefined,
  )
  assert.equal(sent().body['stream'], undefined)
})

test("encode: another dialect's own fields are left out and named", () => {
  const request: ChatRequest = {
    ...decode(),
    extras: { container: 'x', thinking: {}, metadata: {} },
    dialect: 'anthropic',
  }
  const { body: out, dropped } = encodeRequest(request, target)
  assert.deepEqual(
    [out['container'], out['metadata'], dropped],
    [undefined, undefined, ['container']],
  )
})

const budgets: [reasoning: ChatRequest['reasoning'], effort: string | undefined][] = [
  [undefined, undefined],
  [{ effort: 'low', budget: 9000 }, 'low'],
  [{ budget: 0 }, 'none'],
  [{ budget: 500 }, 'minimal'],
  [{ budget: 1024 }, 'low'],
  [{ budget: 2048 }, 'medium'],
  [{ budget: 4096 }, 'high'],
  [{ budget: -1 }, 'medium'],
  [{ adaptive: true }, 'medium'],
  [{ summary: 'auto' }, undefined],
]
for (const [reasoning, effort] of budgets)
  test(`encode: ${JSON.stringify(reasoning)} is effort ${effort}`, () => {
    const request = { ...decode(), ...(reasoning && { reasoning }) }
    assert.equal(encodeRequest(request, target).body['reasoning_effort'], effort)
  })

test('encode: tools and parts of other wires are left out and named', () => {
  const request: ChatRequest = {
    ...decode(),
    tools: [{ type: 'server', wire: 'anthropic', value: { type: 'web_search' } }],
    messages: [
      {
        role: 'user',
        parts: [
          { type: 'raw', wire: 'anthropic', value: { type: 'container' } },
          { type: 'text', text: 'a' },
        ],
      },
    ],
  }
  const { body: out, dropped } = encodeRequest(request, target)
  assert.deepEqual(dropped, ['tools[].web_search', 'messages[].content[].container'])
  assert.deepEqual(out['messages'], [{ role: 'user', content: 'a' }])
})

const claudes = {
  type: 'web_search_20250305',
  name: 'web_search',
  user_location: { type: 'approximate', city: 'Bern', country: 'CH' },
  max_uses: 3,
  allowed_domains: ['e.com'],
}
const place = { type: 'approximate', approximate: { city: 'Bern', country: 'CH' } }
const lost = ['tools[].max_uses', 'tools[].allowed_domains']
const searches: [
  name: string,
  value: JsonObject,
  to: Partial<Target>,
  more: Partial<ChatRequest>,
  sent: JsonObject | undefined,
  dropped: string[],
][] = [
  [
    'a model that searches in chat',
    claudes,
    { info: { supports_web_search: true } },
    {},
    { user_location: place },
    lost,
  ],
  ['Google’s', { googleSearch: {} }, { info: { supports_web_search: true } }, {}, {}, []],
  [
    'chosen by name',
    { type: 'web_search_20250305', name: 'web_search' },
    { info: { supports_web_search: true } },
    { toolChoice: { name: 'web_search' } },
    {},
    [],
  ],
  ['a model that does not', claudes, {}, {}, undefined, ['tools[].web_search_20250305']],
  [
    'a model that searches elsewhere',
    claudes,
    { info: { supports_web_search: true }, quirks: { refusedThere: ['web_search_options'] } },
    {},
    undefined,
    ['tools[].web_search_20250305'],
  ],
  [
    'no tool is to be used',
    claudes,
    { info: { supports_web_search: true } },
    { toolChoice: 'none' },
    undefined,
    ['tools[].web_search_20250305'],
  ],
]
for (const [name, value, more, said, sent, dropped] of searches)
  test(`a search of another dialect: ${name}`, () => {
    const request: ChatRequest = {
      ...decode(),
      dialect: 'anthropic',
      tools: [
        { type: 'function', name: 'f' },
        { type: 'server', wire: 'anthropic', value },
      ],
      ...said,
    }
    const { body, dropped: told } = encodeRequest(request, { ...target, ...more })
    assert.deepEqual(body.web_search_options, sent)
    assert.deepEqual(told, dropped)
    assert.equal(list(body.tools).length, 1)
    assert.equal(body.tool_choice, said.toolChoice === 'none' ? 'none' : undefined)
  })

test('law: nothing but GatewayError is thrown for any JSON', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (drawn, also) => {
      const [some, other] = structuredClone([drawn, also])
      const bodies: JsonObject[] = [
        { messages: some } as JsonObject,
        {
          messages: [{ role: 'user', content: some, tool_calls: other }],
          tools: some,
          tool_choice: other,
        } as JsonObject,
        {
          messages: [
            { role: 'assistant', thinking_blocks: some, tool_calls: [some], function_call: other },
          ],
          functions: other,
        } as JsonObject,
        {
          messages: [{ role: 'tool', content: [some], name: other }],
          tools: [some, { function: other }],
          response_format: some,
        } as JsonObject,
        {
          messages: [],
          reasoning_effort: some,
          thinking: other,
          stop: some,
          stream_options: other,
          n: some,
        } as JsonObject,
      ]
      for (const one of bodies)
        try {
          encodeRequest(decodeRequest(one), target)
        } catch (error) {
          if (!GatewayError.is(error)) throw error
        }
    }),
    { numRuns: 150 },
  )
})
