import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatRequest } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { anthropic } from '../anthropic/wire.ts'
import { gemini } from '../gemini/wire.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Target, Wire } from '../wire.ts'
import { targetOf } from './generators.test.ts'
import { openaiResponses as wire } from './wire.ts'

const said = (input: JsonObject['input'], more: JsonObject = {}): ChatRequest =>
  wire.decodeRequest({ model: 'm', input, ...more })

const inputs: [name: string, body: JsonObject, messages: unknown][] = [
  ['a text', { input: 'Hi' }, [{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }]],
  [
    'instructions',
    { input: 'Hi', instructions: 'Be brief.' },
    [
      { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] },
      { role: 'user', parts: [{ type: 'text', text: 'Hi' }] },
    ],
  ],
  [
    'a message without a type',
    { input: [{ role: 'developer', content: [{ type: 'input_text', text: 'x' }] }] },
    [{ role: 'developer', parts: [{ type: 'text', text: 'x' }] }],
  ],
  [
    'a turn of the model is one message, its thoughts first',
    {
      input: [
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm' }] },
        { type: 'message', role: 'assistant', content: 'Let me' },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}', status: 'completed' },
        { type: 'custom_tool_call', call_id: 'c2', name: 'p', input: 'x' },
        { type: 'function_call_output', call_id: 'c1', output: 'sun' },
        { type: 'custom_tool_call_output', call_id: 'c2', output: [] },
      ],
    },
    [
      {
        role: 'assistant',
        parts: [
          { type: 'reasoning', text: 'Hm', id: 'rs_1' },
          { type: 'text', text: 'Let me' },
          { type: 'tool-call', id: 'c1', name: 'f', input: '{}' },
          { type: 'tool-call', id: 'c2', name: 'p', input: 'x', kind: 'custom' },
        ],
      },
      {
        role: 'tool',
        parts: [
          { type: 'tool-result', id: 'c1', parts: [{ type: 'text', text: 'sun' }], failed: false },
        ],
      },
      {
        role: 'tool',
        parts: [{ type: 'tool-result', id: 'c2', parts: [], failed: false, kind: 'custom' }],
      },
    ],
  ],
  [
    'a result as chat has it',
    { input: [{ role: 'tool', tool_call_id: 'c1', content: 'sun' }] },
    [
      {
        role: 'tool',
        parts: [
          { type: 'tool-result', id: 'c1', parts: [{ type: 'text', text: 'sun' }], failed: false },
        ],
      },
    ],
  ],
  [
    'pictures and files of a result',
    {
      input: [
        {
          type: 'function_call_output',
          call_id: 'c1',
          output: [
            { type: 'input_image', image_url: 'data:image/png;base64,iVBO', detail: 'high' },
            { type: 'input_file', file_url: 'https://e.com/a.pdf', filename: 'a.pdf' },
          ],
        },
      ],
    },
    [
      {
        role: 'tool',
        parts: [
          {
            type: 'tool-result',
            id: 'c1',
            parts: [
              {
                type: 'media',
                media: 'image',
                source: { type: 'bytes', mime: 'image/png', base64: 'iVBO' },
                detail: 'high',
              },
              {
                type: 'media',
                media: 'file',
                source: { type: 'url', url: 'https://e.com/a.pdf', mime: 'application/pdf' },
                name: 'a.pdf',
              },
            ],
            failed: false,
          },
        ],
      },
    ],
  ],
  [
    'an item that only this wire knows stays with a neighbour',
    {
      input: [
        { type: 'item_reference', id: 'msg_1' },
        { role: 'user', content: 'x' },
      ],
    },
    [
      {
        role: 'user',
        parts: [
          {
            type: 'raw',
            wire: 'openai-responses',
            value: { type: 'item_reference', id: 'msg_1' },
          },
          { type: 'text', text: 'x' },
        ],
      },
    ],
  ],
]
for (const [name, body, messages] of inputs)
  test(`input: ${name}`, () =>
    assert.deepEqual(wire.decodeRequest({ model: 'm', ...body }).messages, messages))

const bad: [name: string, body: JsonObject, param: string][] = [
  ['no input', {}, 'input'],
  ['input of another kind', { input: 4 }, 'input'],
  ['an item that is none', { input: [4] }, 'input'],
  ['a role nobody has', { input: [{ role: 'robot', content: 'x' }] }, 'input[0].role'],
  ['a limit in words', { input: 'x', max_output_tokens: 'many' }, 'max_output_tokens'],
]
for (const [name, body, param] of bad)
  test(`refused with its name: ${name}`, () =>
    assert.throws(
      () => wire.decodeRequest({ model: 'm', ...body }),
      (error) => GatewayError.is(error) && error.kind === 'bad_request' && error.param === param,
    ))

test('the input may be at the provider', () => {
  assert.deepEqual(wire.decodeRequest({ model: 'm', previous_response_id: 'resp_1' }).messages, [])
})

test('parameters are the house’s, the rest is kept', () => {
  const { messages: _, ...request } = said('x', {
    max_output_tokens: 9,
    temperature: 0.1,
    top_p: 0.2,
    top_logprobs: 3,
    include: ['message.output_text.logprobs'],
    reasoning: { effort: 'low', summary: 'auto', context: 'all_turns' },
    text: {
      format: { type: 'json_schema', name: 't', schema: {}, strict: true },
      verbosity: 'low',
    },
    parallel_tool_calls: false,
    service_tier: 'flex',
    user: 'u',
    store: false,
    previous_response_id: 'resp_0',
    stream: true,
  })
  assert.deepEqual(request, {
    model: 'm',
    tools: [],
    stream: true,
    streamUsage: true,
    maxTokens: 9,
    temperature: 0.1,
    topP: 0.2,
    topLogprobs: 3,
    logprobs: true,
    parallelTools: false,
    serviceTier: 'flex',
    user: 'u',
    reasoning: { effort: 'low', summary: 'auto' },
    output: { type: 'schema', name: 't', schema: {}, strict: true },
    verbosity: 'low',
    extras: {
      include: ['message.output_text.logprobs'],
      store: false,
      previous_response_id: 'resp_0',
      reasoning: { context: 'all_turns' },
    },
  })
})

test('namespaces and tools inside the input are tools like any other to everyone else', () => {
  const patch = { type: 'custom', name: 'exec', format: { type: 'text' } }
  const space = { type: 'namespace', name: 'agents', description: 'Agents', tools: [patch] }
  const spawn = { type: 'function', name: 'spawn', parameters: { type: 'object' } }
  const body = {
    input: [
      { type: 'additional_tools', role: 'developer', tools: [space] },
      { role: 'user', content: 'x' },
      {
        type: 'custom_tool_call',
        namespace: 'agents',
        name: 'exec',
        call_id: 'c1',
        input: 'ls',
      },
    ],
    tools: [{ ...space, tools: [spawn] }],
  }
  const request = said(body.input, { tools: body.tools })
  assert.deepEqual(
    request.tools.map((tool) => tool.type !== 'server' && [tool.type, tool.name]),
    [
      ['function', 'agents__spawn'],
      ['custom', 'agents__exec'],
    ],
  )
  const chat = openaiChat.encodeRequest({ ...request, dialect: wire.id }, targetOf('m')).body
  assert.match(JSON.stringify(chat.messages), /agents__exec/)
  const own = wire.encodeRequest(request, targetOf('m')).body
  assert.deepEqual(own.tools, body.tools)
  assert.deepEqual(own.input, [
    body.input[0],
    { type: 'message', role: 'user', content: 'x' },
    body.input[2],
  ])
})

const target = (more: Partial<Target> = {}) =>
  targetOf('gpt-5.5', { info: { supports_reasoning: true, litellm_provider: 'openai' }, ...more })
const encode = (from: Wire, body: JsonObject, to = target()) =>
  wire.encodeRequest({ ...from.decodeRequest({ model: 'm', ...body }), dialect: from.id }, to)
const chatted = (body: JsonObject, to?: Target) =>
  encode(openaiChat, { messages: [{ role: 'user', content: 'x' }], ...body }, to)
const stateless = { include: ['reasoning.encrypted_content'], store: false }
const x = { type: 'message', role: 'user', content: 'x' }
const call = (id: string): JsonObject => ({
  id,
  type: 'function',
  function: { name: 'f', arguments: '{}' },
})

const asks: [name: string, body: JsonObject, sent: JsonObject][] = [
  ['nothing but a question', {}, { input: [x] }],
  [
    'a system message at the beginning; later ones stay',
    {
      messages: [
        { role: 'system', content: 'S' },
        { role: 'user', content: 'x' },
        { role: 'developer', content: 'D' },
      ],
    },
    { instructions: 'S', input: [x, { type: 'message', role: 'developer', content: 'D' }] },
  ],
  [
    'a system message alone',
    { messages: [{ role: 'system', content: 'S' }] },
    { input: [{ type: 'message', role: 'system', content: 'S' }] },
  ],
  [
    'limits and sampling; fewer tokens than the API knows',
    { max_tokens: 5, temperature: 0.5, top_p: 0.5, n: 1, presence_penalty: 0, logit_bias: {} },
    { input: [x], max_output_tokens: 16, temperature: 0.5, top_p: 0.5 },
  ],
  [
    'effort, verbosity and a schema',
    {
      reasoning_effort: 'high',
      verbosity: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 't', schema: { a: 1 } } },
    },
    {
      input: [x],
      reasoning: { effort: 'high' },
      text: { format: { type: 'json_schema', name: 't', schema: { a: 1 } }, verbosity: 'low' },
    },
  ],
  [
    'functions are strict only where they said so, grammars are flat, a search is a tool',
    {
      tools: [
        { type: 'function', function: { name: 'f', description: 'F', parameters: { a: 1 } } },
        { type: 'function', function: { name: 'g', strict: true } },
        {
          type: 'custom',
          custom: {
            name: 'p',
            format: { type: 'grammar', grammar: { syntax: 'lark', definition: 'd' } },
          },
        },
      ],
      tool_choice: { type: 'custom', custom: { name: 'p' } },
      parallel_tool_calls: false,
      web_search_options: {
        search_context_size: 'low',
        user_location: { type: 'approximate', approximate: { city: 'Bern' } },
      },
    },
    {
      input: [x],
      tools: [
        { type: 'function', name: 'f', description: 'F', parameters: { a: 1 }, strict: false },
        {
          type: 'function',
          name: 'g',
          parameters: { type: 'object', properties: {} },
          strict: true,
        },
        { type: 'custom', name: 'p', format: { type: 'grammar', syntax: 'lark', definition: 'd' } },
        {
          type: 'web_search',
          search_context_size: 'low',
          user_location: { type: 'approximate', city: 'Bern' },
        },
      ],
      tool_choice: { type: 'custom', name: 'p' },
      parallel_tool_calls: false,
    },
  ],
  [
    'only some tools',
    {
      tools: [{ type: 'function', function: { name: 'f', parameters: {} } }],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'f' } }] },
      },
    },
    {
      input: [x],
      tools: [{ type: 'function', name: 'f', parameters: {}, strict: false }],
      tool_choice: {
        type: 'allowed_tools',
        mode: 'required',
        tools: [{ type: 'function', name: 'f' }],
      },
    },
  ],
  [
    'a tool loop, pictures and bookkeeping',
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x' },
            { type: 'image_url', image_url: { url: 'https://e.com/a.png', detail: 'low' } },
            { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBE' } },
            { type: 'input_audio', input_audio: { data: 'UklG', format: 'mp3' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'c1', type: 'function', function: { name: 'f', arguments: '' } },
            { id: 'c2', type: 'custom', custom: { name: 'p', input: 'i' } },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'sun' },
        { role: 'tool', tool_call_id: 'c2', content: [] },
      ],
      user: 'u',
      safety_identifier: 's',
      prompt_cache_key: 'k',
      service_tier: 'flex',
      stream: true,
    },
    {
      input: [
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'x' },
            { type: 'input_image', image_url: 'https://e.com/a.png', detail: 'low' },
            {
              type: 'input_file',
              filename: 'file.pdf',
              file_data: 'data:application/pdf;base64,JVBE',
            },
            { type: 'input_audio', input_audio: { data: 'UklG', format: 'mp3' } },
          ],
        },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
        { type: 'custom_tool_call', call_id: 'c2', name: 'p', input: 'i' },
        { type: 'function_call_output', call_id: 'c1', output: 'sun' },
        { type: 'custom_tool_call_output', call_id: 'c2', output: '' },
      ],
      user: 'u',
      safety_identifier: 's',
      prompt_cache_key: 'k',
      service_tier: 'flex',
      stream: true,
    },
  ],
  [
    'a thought whose encryption stands at its call goes back before it; that of others does not',
    {
      messages: [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          reasoning_content: 'Hm',
          tool_calls: [
            { ...call('c1'), provider_specific_fields: { thought_signature: 'gAAAAs' } },
            { ...call('c2'), provider_specific_fields: { thought_signature: 'gAAAAt' } },
            { ...call('c3'), provider_specific_fields: { thought_signature: 'QQ==' } },
          ],
        },
      ],
    },
    {
      input: [
        x,
        {
          type: 'reasoning',
          summary: [{ type: 'summary_text', text: 'Hm' }],
          encrypted_content: 'gAAAAs',
        },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
        { type: 'reasoning', summary: [], encrypted_content: 'gAAAAt' },
        { type: 'function_call', call_id: 'c2', name: 'f', arguments: '{}' },
        { type: 'function_call', call_id: 'c3', name: 'f', arguments: '{}' },
      ],
    },
  ],
  [
    'signed thoughts go back, unsigned and unfinished ones stay here',
    {
      messages: [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          content: 'a',
          thinking_blocks: [{ type: 'thinking', thinking: 'Hm', signature: 'gAAAAs' }],
        },
        { role: 'assistant', content: 'b', reasoning_content: 'unsigned' },
        {
          role: 'assistant',
          content: '',
          thinking_blocks: [{ type: 'thinking', thinking: 'cut', signature: 'gAAAAt' }],
        },
        { role: 'user', content: 'x' },
      ],
    },
    {
      input: [
        x,
        {
          type: 'reasoning',
          summary: [{ type: 'summary_text', text: 'Hm' }],
          encrypted_content: 'gAAAAs',
        },
        { type: 'message', role: 'assistant', content: 'a' },
        { type: 'message', role: 'assistant', content: 'b' },
        x,
      ],
    },
  ],
  [
    'log probabilities',
    { logprobs: true, top_logprobs: 2 },
    {
      input: [x],
      top_logprobs: 2,
      include: ['message.output_text.logprobs', 'reasoning.encrypted_content'],
    },
  ],
  [
    'a conversation the provider keeps',
    { store: true, metadata: { a: 'b' }, prediction: undefined },
    { input: [x], store: true, metadata: { a: 'b' }, include: undefined },
  ],
]
for (const [name, body, sent] of asks)
  test(`chat asks: ${name}`, () => {
    const expected = JSON.parse(JSON.stringify({ model: 'gpt-5.5', ...stateless, ...sent }))
    assert.deepEqual(chatted(body).body, expected)
  })

test('what this API lacks is refused by name, dropped where asked, and let through where the row says so', () => {
  const body = { n: 2, stop: ['a'], seed: 1, logit_bias: { 5: 1 }, presence_penalty: 1, top_k: 3 }
  const names = ['n', 'seed', 'stop', 'top_k', 'presence_penalty', 'logit_bias']
  assert.throws(
    () => chatted(body),
    (error) =>
      GatewayError.is(error) &&
      error.kind === 'unsupported_params' &&
      names.every((name) => error.message.includes(`'${name}'`)),
  )
  const dropped = chatted(body, target({ dropParams: true }))
  assert.deepEqual(dropped.dropped?.toSorted(), names.toSorted())
  assert.deepEqual(dropped.body, { model: 'gpt-5.5', input: [x], ...stateless })
  assert.equal(chatted({ seed: 1 }, target({ allowedParams: ['seed'] })).body.seed, 1)
})

test('names and ids the API would refuse are changed, and told back', () => {
  const long = 'n'.repeat(70)
  const { body, notes } = encode(openaiChat, {
    messages: [
      { role: 'user', content: 'x' },
      {
        role: 'assistant',
        tool_calls: [
          { id: 'i'.repeat(80), type: 'function', function: { name: 'a.b', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'i'.repeat(80), content: 'r' },
    ],
    tools: ['a.b', 'a_b', long].map((name) => ({ type: 'function', function: { name } })),
  })
  const names = (Array.isArray(body.tools) ? body.tools : []).map(
    (tool) => (tool as JsonObject).name,
  )
  assert.deepEqual(names.slice(0, 2), ['a_b', 'a_b_2'])
  assert.ok(names.every((name) => /^[a-zA-Z0-9_-]{1,64}$/.test(String(name))))
  assert.equal(notes.toolNames?.get('a_b'), 'a.b')
  assert.equal(notes.toolNames?.get(String(names[2])), long)
  const [, call, output] = Array.isArray(body.input) ? body.input : []
  const callId = (call as JsonObject).call_id
  assert.equal(String(callId).length, 64)
  assert.equal((output as JsonObject).call_id, callId)
})

const thoughts: [
  name: string,
  body: JsonObject,
  info: JsonObject,
  sent: unknown,
  dropped: string[],
][] = [
  [
    'a budget',
    { thinking: { type: 'enabled', budget_tokens: 5000 } },
    {},
    { effort: 'high', summary: 'auto' },
    [],
  ],
  ['adaptive', { thinking: { type: 'adaptive' } }, {}, { effort: 'medium' }, []],
  [
    'an effort the model lacks',
    { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'max' } },
    { supports_xhigh_reasoning_effort: true },
    { effort: 'xhigh', summary: 'auto' },
    [],
  ],
  ['off, where that is possible', { thinking: { type: 'disabled' } }, {}, { effort: 'none' }, []],
  [
    'off, where it is not',
    { thinking: { type: 'disabled' } },
    { supports_none_reasoning_effort: false, supports_minimal_reasoning_effort: true },
    { effort: 'minimal' },
    [],
  ],
  [
    'a model that does not think',
    { thinking: { type: 'enabled', budget_tokens: 5000 } },
    { supports_reasoning: undefined },
    undefined,
    ['thinking'],
  ],
]
for (const [name, body, info, sent, dropped] of thoughts)
  test(`Anthropic asks for thoughts: ${name}`, () => {
    const encoded = encode(
      anthropic,
      { max_tokens: 9000, messages: [{ role: 'user', content: 'x' }], ...body },
      target({ info: { supports_reasoning: true, litellm_provider: 'openai', ...info } }),
    )
    assert.deepEqual(encoded.body.reasoning, sent)
    assert.deepEqual(encoded.dropped, dropped)
    assert.deepEqual(encoded.body.include, sent === undefined ? undefined : stateless.include)
  })

test('an agent of another dialect: its long user is cut, what only it knows is dropped and named', () => {
  const { body, dropped } = encode(anthropic, {
    max_tokens: 10,
    messages: [{ role: 'user', content: 'x' }],
    metadata: { user_id: 'u'.repeat(200) },
    top_k: 40,
    service_tier: 'standard_only',
    context_management: { edits: [] },
    tools: [
      { type: 'web_search_20250305', name: 'web_search', allowed_domains: ['e.com'], max_uses: 8 },
    ],
  })
  assert.equal(body.user, 'u'.repeat(64))
  assert.equal(body.max_output_tokens, 16)
  assert.equal(body.service_tier, 'default')
  assert.deepEqual(body.tools, [{ type: 'web_search', filters: { allowed_domains: ['e.com'] } }])
  assert.deepEqual(dropped, ['tools[].max_uses', 'context_management', 'top_k'])
})

const search = { type: 'web_search_20250305', name: 'web_search' }
const forced: [name: string, tools: JsonObject[], choice: JsonObject | string][] = [
  ['the only tool', [search], 'required'],
  [
    'one of several',
    [search, { name: 'f', input_schema: { type: 'object' } }],
    { type: 'allowed_tools', mode: 'required', tools: [{ type: 'web_search' }] },
  ],
]
for (const [name, tools, choice] of forced)
  test(`an Anthropic client that wants its search used: ${name}`, () => {
    const messages = [{ role: 'user', content: 'x' }]
    const tool_choice = { type: 'tool', name: 'web_search' }
    const { body } = encode(anthropic, { max_tokens: 20, messages, tools, tool_choice })
    assert.deepEqual(body.tool_choice, choice)
  })

test('a thought that another model signed never reaches OpenAI, but other servers may have signed it', () => {
  const messages = [
    { role: 'user', content: 'x' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 'S==' },
        { type: 'text', text: 'a' },
      ],
    },
    { role: 'user', content: 'y' },
  ]
  const items = (provider: string) =>
    JSON.stringify(encode(anthropic, { max_tokens: 20, messages }, target({ provider })).body.input)
  assert.doesNotMatch(items('openai'), /S==/)
  assert.match(items('xai'), /"encrypted_content":"S=="/)
})

test('Gemini’s schema, search and calls', () => {
  const { body } = encode(gemini, {
    contents: [{ role: 'user', parts: [{ text: 'x' }] }],
    tools: [{ googleSearch: {} }],
    generationConfig: { responseMimeType: 'application/json', maxOutputTokens: 100 },
  })
  assert.deepEqual(body.tools, [{ type: 'web_search' }])
  assert.deepEqual(body.text, { format: { type: 'json_object' } })
  assert.equal(body.max_output_tokens, 100)
})

const native = wire.native
assert.ok(native)
const quirks: [
  name: string,
  quirk: Partial<Target>,
  body: JsonObject,
  sent: JsonObject,
  dropped?: string[],
][] = [
  ['none', {}, { brand_new: 1, input: 'x' }, { brand_new: 1, input: 'x' }],
  [
    'a row’s parameters in the words of chat',
    {},
    { max_tokens: 9, reasoning_effort: 'low', reasoning: { summary: 'auto' }, verbosity: 'low' },
    {
      max_output_tokens: 9,
      reasoning: { summary: 'auto', effort: 'low' },
      text: { verbosity: 'low' },
    },
  ],
  [
    'what the client says comes before the row',
    {},
    {
      max_tokens: 9,
      max_output_tokens: 5,
      response_format: { type: 'json_schema', json_schema: { name: 't', schema: {} } },
    },
    { max_output_tokens: 5, text: { format: { type: 'json_schema', name: 't', schema: {} } } },
  ],
  [
    'unsupported, dropped',
    { dropParams: true, quirks: { unsupported: ['reasoning_effort', 'verbosity', 'temperature'] } },
    {
      reasoning: { effort: 'low' },
      text: { verbosity: 'low', format: { type: 'text' } },
      top_p: 1,
    },
    { text: { format: { type: 'text' } }, top_p: 1 },
    ['reasoning_effort', 'verbosity'],
  ],
  [
    'thoughts of a model that has none, dropped',
    { dropParams: true, info: { litellm_provider: 'openai' } },
    { reasoning: { effort: 'high' }, include: ['reasoning.encrypted_content', 'x'], input: 'x' },
    { include: ['x'], input: 'x' },
    ['reasoning'],
  ],
  [
    'thoughts of a model that has none, for OpenAI to refuse',
    { info: { litellm_provider: 'openai' } },
    { reasoning: { effort: 'high' }, include: ['reasoning.encrypted_content'] },
    { reasoning: { effort: 'high' }, include: ['reasoning.encrypted_content'] },
  ],
  [
    'usual sampling is taken out',
    { quirks: { onlyDefault: { temperature: 1, top_p: 1 } } },
    { temperature: 1, top_p: 1, input: 'x' },
    { input: 'x' },
  ],
  [
    'sampling is free without effort',
    { quirks: { onlyDefault: { temperature: 1 }, samplingFreeAt: 'none' } },
    { temperature: 0.2, reasoning: { effort: 'none' } },
    { temperature: 0.2, reasoning: { effort: 'none' } },
  ],
  [
    'roles, strictness and bookkeeping',
    {
      quirks: { systemRole: 'system', dropStrict: true, dropBookkeeping: true, temperatureMax: 1 },
    },
    {
      input: [{ role: 'developer', content: 'x' }, 'y'],
      tools: [{ type: 'function', name: 'f', strict: true }],
      user: 'u',
      temperature: 1.5,
    },
    {
      input: [{ role: 'system', content: 'x' }, 'y'],
      tools: [{ type: 'function', name: 'f' }],
      temperature: 1,
    },
  ],
  [
    'thoughts of another model of the group',
    {},
    {
      input: [
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAAx' },
        { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'throughway/signature:S' },
      ],
    },
    { input: [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAAx' }] },
  ],
]
for (const [name, quirk, body, sent, dropped = []] of quirks)
  test(`adapted: ${name}`, () => {
    const mine = structuredClone(body)
    assert.deepEqual(native.adaptRequest(mine, targetOf('m', quirk)), dropped)
    assert.deepEqual(mine, sent)
    const keys = native.requestKeys(targetOf('m', quirk))
    const words = native.requestWords?.(targetOf('m', quirk)) ?? []
    const isChanged = JSON.stringify(body) !== JSON.stringify(sent)
    const isSeen =
      keys === 'all' ||
      Object.keys(body).some((key) => keys.has(key)) ||
      words.some((word) => JSON.stringify(body).includes(word))
    assert.ok(isSeen || !isChanged, 'a body that is changed is one that is looked at')
  })

test('unsupported, refused by the name the row gives it', () => {
  const quirk = { quirks: { unsupported: ['reasoning_effort'] } }
  assert.throws(
    () => native.adaptRequest({ reasoning: { effort: 'low' } }, targetOf('m', quirk)),
    (error) => GatewayError.is(error) && error.param === 'reasoning_effort',
  )
})
