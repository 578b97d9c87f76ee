import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatRequest, Message } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { list, object } from '../../json/json.ts'
import type { Target } from '../wire.ts'
import { targetOf } from './generators.test.ts'
import { decodeRequest } from './request.ts'
import { encodeRequest } from './request-out.ts'

const user: Message = { role: 'user', parts: [{ type: 'text', text: 'x' }] }
const asked = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: 'm',
  messages: [user],
  tools: [],
  stream: false,
  extras: {},
  ...more,
})
const say = (role: Message['role'], text: string): Message => ({
  role,
  parts: [{ type: 'text', text }],
})
const block = (text: string) => ({ type: 'text', text })
const schema = {
  type: 'object',
  properties: { a: { type: 'string' } },
  required: ['a'],
  additionalProperties: false,
}
const look = { type: 'function' as const, name: 'look', schema }
const bodyOf = (
  more: Partial<ChatRequest>,
  to: Target = targetOf('claude-sonnet-4-5'),
): JsonObject => encodeRequest(asked(more), to).body
const calls = (...ids: string[]): Message => ({
  role: 'assistant',
  parts: ids.map((id) => ({ type: 'tool-call', id, name: 'look', input: '{"a":"b"}' })),
})
const result = (id: string, text: string): Message => ({
  role: 'tool',
  parts: [{ type: 'tool-result', id, parts: [{ type: 'text', text }], failed: false }],
})

const bodies: [name: string, request: Partial<ChatRequest>, to: Target, expected: JsonObject][] = [
  [
    'system and developer messages go to the top, with their cache marks',
    {
      messages: [
        { role: 'system', parts: [{ type: 'text', text: 'a', cache: { ttl: '1h' } }] },
        user,
        say('assistant', 'y'),
        say('developer', 'b'),
        user,
      ],
    },
    targetOf('claude-sonnet-4-5'),
    {
      system: [{ ...block('a'), cache_control: { type: 'ephemeral', ttl: '1h' } }, block('b')],
      messages: [
        { role: 'user', content: [block('x')] },
        { role: 'assistant', content: [block('y')] },
        { role: 'user', content: [block('x')] },
      ],
    },
  ],
  [
    'a system message between turns stays where the model takes it',
    { messages: [user, say('system', 'b'), say('assistant', 'y'), user, say('system', 'c')] },
    targetOf('claude-opus-4-8'),
    {
      system: undefined,
      messages: [
        { role: 'user', content: [block('x')] },
        { role: 'system', content: [block('b')] },
        { role: 'assistant', content: [block('y')] },
        { role: 'user', content: [block('x')] },
        { role: 'system', content: [block('c')] },
      ],
    },
  ],
  [
    'a system message between two user turns is in no lawful place, so it goes to the top',
    { messages: [user, say('system', 'b'), user] },
    targetOf('claude-opus-4-8'),
    { system: [block('b')], messages: [{ role: 'user', content: [block('x'), block('x')] }] },
  ],
  [
    'results of one turn come together and first',
    {
      messages: [
        user,
        calls('toolu_1', 'toolu_2'),
        say('user', 'so?'),
        result('toolu_1', 'A'),
        result('toolu_2', 'B'),
      ],
      tools: [look],
    },
    targetOf('claude-sonnet-4-5'),
    {
      messages: [
        { role: 'user', content: [block('x')] },
        {
          role: 'assistant',
          content: ['toolu_1', 'toolu_2'].map((id) => ({
            type: 'tool_use',
            id,
            name: 'look',
            input: { a: 'b' },
          })),
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'toolu_1', content: [block('A')] },
            { type: 'tool_result', tool_use_id: 'toolu_2', content: [block('B')] },
            block('so?'),
          ],
        },
      ],
    },
  ],
  [
    'ids Anthropic refuses, and ids used twice, are changed alike in call and result',
    {
      messages: [
        user,
        calls('call:1', 'same', 'same'),
        result('same', 'A'),
        result('same', 'B'),
        result('call:1', 'C'),
      ],
      tools: [look],
    },
    targetOf('claude-sonnet-4-5'),
    {
      messages: [
        { role: 'user', content: [block('x')] },
        {
          role: 'assistant',
          content: ['call_1_b1635388', 'same', 'same_2'].map((id) => ({
            type: 'tool_use',
            id,
            name: 'look',
            input: { a: 'b' },
          })),
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'same', content: [block('A')] },
            { type: 'tool_result', tool_use_id: 'same_2', content: [block('B')] },
            { type: 'tool_result', tool_use_id: 'call_1_b1635388', content: [block('C')] },
          ],
        },
      ],
    },
  ],
  [
    'calls in the history without tools: they are declared, and may not be called',
    { messages: [user, calls('toolu_1'), result('toolu_1', 'A')] },
    targetOf('claude-sonnet-4-5'),
    {
      tools: [{ name: 'look', input_schema: { type: 'object', properties: {} } }],
      tool_choice: { type: 'none' },
    },
  ],
  [
    'only signed thoughts go back, byte for byte',
    {
      messages: [
        user,
        {
          role: 'assistant',
          parts: [
            { type: 'reasoning', text: 'h\u00e9', signature: 'S==' },
            { type: 'reasoning', text: 'unsigned' },
            { type: 'reasoning', text: 'OpenAI’s', signature: 'gAAAAs' },
            { type: 'reasoning', text: '', redacted: 'R==' },
            { type: 'text', text: 'y' },
          ],
        },
        user,
      ],
    },
    targetOf('claude-sonnet-4-5'),
    {
      messages: [
        { role: 'user', content: [block('x')] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'h\u00e9', signature: 'S==' },
            { type: 'redacted_thinking', data: 'R==' },
            block('y'),
          ],
        },
        { role: 'user', content: [block('x')] },
      ],
    },
  ],
  [
    'a prefill loses the space at its end, and its thoughts where thinking is off',
    {
      messages: [
        user,
        {
          role: 'assistant',
          parts: [
            { type: 'reasoning', text: 'h', signature: 's' },
            { type: 'text', text: '{"a": \n' },
          ],
        },
      ],
    },
    targetOf('claude-3-5-haiku-20241022'),
    {
      messages: [
        { role: 'user', content: [block('x')] },
        { role: 'assistant', content: [block('{"a":')] },
      ],
    },
  ],
  [
    'media by what they are, not by what they are called',
    {
      messages: [
        {
          role: 'user',
          parts: [
            {
              type: 'media',
              media: 'image',
              source: { type: 'bytes', mime: 'image/jpg', base64: 'AA==' },
            },
            {
              type: 'media',
              media: 'image',
              source: { type: 'bytes', mime: 'application/pdf', base64: 'AA==' },
              name: 'T',
            },
            {
              type: 'media',
              media: 'file',
              source: { type: 'bytes', mime: 'text/csv', base64: 'w7w=' },
            },
            { type: 'media', media: 'file', source: { type: 'url', url: 'https://e.com/a.pdf' } },
            { type: 'media', media: 'file', source: { type: 'id', id: 'file_1' }, cache: {} },
          ],
        },
      ],
    },
    targetOf('claude-sonnet-4-5'),
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'AA==' } },
            {
              type: 'document',
              source: { type: 'base64', media_type: 'application/pdf', data: 'AA==' },
              title: 'T',
            },
            { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'ü' } },
            { type: 'document', source: { type: 'url', url: 'https://e.com/a.pdf' } },
            {
              type: 'document',
              source: { type: 'file', file_id: 'file_1' },
              cache_control: { type: 'ephemeral' },
            },
          ],
        },
      ],
    },
  ],
  [
    'max_tokens: what the client said',
    { maxTokens: 7 },
    targetOf('claude-sonnet-4-5'),
    { max_tokens: 7 },
  ],
  [
    'max_tokens: what the model can',
    {},
    targetOf('claude-sonnet-4-5', { info: { max_output_tokens: 64000 } }),
    { max_tokens: 64000 },
  ],
  [
    'max_tokens: something, since it is mandatory',
    {},
    targetOf('some-model'),
    { max_tokens: 4096 },
  ],
  [
    'one call at a time',
    { tools: [look], parallelTools: false },
    targetOf('claude-sonnet-4-5'),
    { tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
  ],
  [
    'any tool',
    { tools: [look], toolChoice: 'required', parallelTools: true },
    targetOf('claude-sonnet-4-5'),
    { tool_choice: { type: 'any' } },
  ],
  [
    'a named tool',
    { tools: [look], toolChoice: { name: 'look' } },
    targetOf('claude-sonnet-4-5'),
    { tool_choice: { type: 'tool', name: 'look' } },
  ],
  [
    'only some tools',
    { tools: [look, { ...look, name: 'hear' }], toolChoice: { names: ['hear'], mode: 'required' } },
    targetOf('claude-sonnet-4-5'),
    { tools: [{ name: 'hear', input_schema: schema }], tool_choice: { type: 'any' } },
  ],
  [
    'a choice without tools says nothing',
    { toolChoice: 'auto' },
    targetOf('claude-sonnet-4-5'),
    { tools: undefined, tool_choice: undefined },
  ],
  [
    'web search of OpenAI',
    {
      webSearch: {
        search_context_size: 'low',
        user_location: { type: 'approximate', approximate: { city: 'Ulm', country: 'DE' } },
      },
    },
    targetOf('claude-sonnet-4-5'),
    {
      tools: [
        {
          type: 'web_search_20250305',
          name: 'web_search',
          max_uses: 1,
          user_location: { type: 'approximate', city: 'Ulm', country: 'DE' },
        },
      ],
    },
  ],
  [
    'a freeform tool is a function of one text',
    {
      tools: [
        {
          type: 'custom',
          name: 'patch',
          description: 'Patches',
          format: { type: 'grammar', syntax: 'lark', definition: 'start: "a"' },
        },
      ],
    },
    targetOf('claude-sonnet-4-5'),
    {
      tools: [
        {
          name: 'patch',
          description: 'Patches\n\nThe text follows this grammar:\nstart: "a"',
          input_schema: {
            type: 'object',
            properties: {
              input: { type: 'string', description: 'The whole input, as plain text.' },
            },
            required: ['input'],
          },
        },
      ],
    },
  ],
  [
    'structured output where the model has it',
    { output: { type: 'schema', name: 'n', schema } },
    targetOf('claude-sonnet-4-5'),
    { output_config: { format: { type: 'json_schema', schema } }, tools: undefined },
  ],
  [
    'structured output where it has not: a forced tool',
    { output: { type: 'schema', name: 'n', schema } },
    targetOf('claude-3-7-sonnet-20250219'),
    {
      output_config: undefined,
      tools: [
        {
          name: 'json_tool_call',
          description: 'Gives the final answer in the form asked for.',
          input_schema: schema,
        },
      ],
      tool_choice: { type: 'tool', name: 'json_tool_call' },
    },
  ],
  [
    'the answer tool beside others',
    { tools: [look], output: { type: 'json' } },
    targetOf('claude-sonnet-4-5'),
    { tool_choice: { type: 'any' } },
  ],
  [
    'user, stop, tier',
    { user: 'u', stop: ['a', '\n'], serviceTier: 'default' },
    targetOf('claude-sonnet-4-5'),
    { metadata: { user_id: 'u' }, stop_sequences: ['a'], service_tier: 'standard_only' },
  ],
  [
    'own words pass, other dialects’ bookkeeping does not',
    {
      topK: 3,
      extras: {
        container: 'c',
        brand_new: 1,
        store: false,
        prompt_cache_key: 'k',
        metadata: { tag: 'a' },
        betas: ['b-1'],
      },
    },
    targetOf('claude-sonnet-4-5'),
    {
      top_k: 3,
      container: 'c',
      brand_new: 1,
      store: undefined,
      prompt_cache_key: undefined,
      metadata: undefined,
      betas: undefined,
    },
  ],
  [
    'temperature or top_p, not both',
    { temperature: 0.2, topP: 0.5 },
    targetOf('claude-sonnet-4-5'),
    { temperature: 0.2, top_p: undefined },
  ],
  [
    'older models take both',
    { temperature: 0.2, topP: 0.5 },
    targetOf('claude-3-5-sonnet-20241022'),
    { temperature: 0.2, top_p: 0.5 },
  ],
  [
    'the usual temperature is no reason to refuse',
    { temperature: 1, topP: 1 },
    targetOf('claude-opus-4-7'),
    { temperature: undefined, top_p: undefined },
  ],
  [
    'sampling gives way to thinking',
    { temperature: 0.2, topP: 0.97, topK: 5, maxTokens: 9000, reasoning: { effort: 'low' } },
    targetOf('claude-3-7-sonnet-20250219'),
    { temperature: undefined, top_p: 0.97, top_k: undefined },
  ],
]
for (const [name, request, to, expected] of bodies)
  test(`asks: ${name}`, () => {
    const body = bodyOf(request, to)
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(body[key], value, key)
  })

const budgets = targetOf('claude-3-7-sonnet-20250219')
const newest = targetOf('claude-opus-5')
const thoughts: [
  name: string,
  request: Partial<ChatRequest>,
  to: Target,
  thinking: JsonObject | undefined,
  effort: string | undefined,
  maxTokens?: number,
][] = [
  [
    'minimal is the least the API takes',
    { reasoning: { effort: 'minimal' }, maxTokens: 9000 },
    budgets,
    { type: 'enabled', budget_tokens: 1024, display: undefined },
    undefined,
    9000,
  ],
  [
    'low',
    { reasoning: { effort: 'low' } },
    budgets,
    { type: 'enabled', budget_tokens: 1024 },
    undefined,
    4096,
  ],
  [
    'medium',
    { reasoning: { effort: 'medium' } },
    budgets,
    { type: 'enabled', budget_tokens: 2048 },
    undefined,
    4096,
  ],
  [
    'high, with room for an answer',
    { reasoning: { effort: 'high' } },
    budgets,
    { type: 'enabled', budget_tokens: 4096 },
    undefined,
    8192,
  ],
  [
    'xhigh',
    { reasoning: { effort: 'xhigh' } },
    budgets,
    { type: 'enabled', budget_tokens: 8192 },
    undefined,
    12288,
  ],
  [
    'less than max_tokens',
    { reasoning: { effort: 'high' }, maxTokens: 2000 },
    budgets,
    { type: 'enabled', budget_tokens: 1999 },
    undefined,
    2000,
  ],
  [
    'no room to think',
    { reasoning: { effort: 'high' }, maxTokens: 1000 },
    budgets,
    undefined,
    undefined,
    1000,
  ],
  ['none', { reasoning: { effort: 'none' } }, budgets, undefined, undefined],
  [
    'a budget',
    { reasoning: { budget: 1600, summary: 'auto' }, maxTokens: 4000 },
    budgets,
    { type: 'enabled', budget_tokens: 1600, display: 'summarized' },
    undefined,
  ],
  [
    'adaptive, of a model that is not',
    { reasoning: { adaptive: true, effort: 'high' }, maxTokens: 32000 },
    budgets,
    { type: 'enabled', budget_tokens: 4096 },
    undefined,
  ],
  [
    'effort of the newest',
    { reasoning: { effort: 'minimal' } },
    newest,
    { type: 'adaptive', display: 'summarized' },
    'low',
  ],
  [
    'xhigh of the newest',
    { reasoning: { effort: 'xhigh' } },
    newest,
    { type: 'adaptive', display: 'summarized' },
    'xhigh',
  ],
  [
    'xhigh where it is unknown',
    { reasoning: { effort: 'xhigh' } },
    targetOf('claude-opus-4-6'),
    { type: 'adaptive', display: 'summarized' },
    'high',
  ],
  [
    'a budget where there are none',
    { reasoning: { budget: 2000 } },
    newest,
    { type: 'adaptive' },
    'low',
  ],
  ['off', { reasoning: { effort: 'none' } }, newest, { type: 'disabled' }, undefined],
  [
    'off, where it cannot be',
    { reasoning: { effort: 'none' } },
    targetOf('claude-fable-5', { info: { thinking_always_on: true } }),
    undefined,
    'low',
  ],
  [
    'the client’s own words',
    { extras: { thinking: { type: 'enabled', budget_tokens: 500 } }, reasoning: { budget: 500 } },
    budgets,
    { type: 'enabled', budget_tokens: 500 },
    undefined,
  ],
  [
    'a forced tool wins over a budget',
    { reasoning: { effort: 'low' }, tools: [look], toolChoice: 'required' },
    budgets,
    undefined,
    undefined,
  ],
  [
    'a forced tool beside adaptive thinking',
    { reasoning: { effort: 'low' }, tools: [look], toolChoice: 'required' },
    newest,
    { type: 'adaptive', display: 'summarized' },
    'low',
  ],
  [
    'a tool loop whose thought was lost',
    {
      reasoning: { effort: 'low' },
      tools: [look],
      messages: [user, calls('toolu_1'), result('toolu_1', 'A')],
    },
    budgets,
    undefined,
    undefined,
  ],
  [
    'a tool loop with its thought',
    {
      reasoning: { effort: 'low' },
      tools: [look],
      messages: [
        user,
        {
          role: 'assistant',
          parts: [{ type: 'reasoning', text: 'h', signature: 's' }, ...calls('toolu_1').parts],
        },
        result('toolu_1', 'A'),
      ],
    },
    budgets,
    { type: 'enabled', budget_tokens: 1024 },
    undefined,
  ],
]
for (const [name, request, to, thinking, effort, maxTokens] of thoughts)
  test(`thinks: ${name}`, () => {
    const { body, dropped } = encodeRequest(asked(request), to)
    const { display, ...said } = object(body.thinking)
    const { display: shown, ...wanted } = thinking ?? {}
    assert.deepEqual(said, wanted)
    if (thinking && 'display' in thinking) assert.equal(display, shown ?? display)
    assert.equal(object(body.output_config).effort, effort)
    if (maxTokens !== undefined) assert.equal(body.max_tokens, maxTokens)
    const off = request.reasoning?.effort === 'none' && thinking?.type !== 'enabled'
    if (thinking === undefined && !off) assert.deepEqual(dropped, ['reasoning_effort'])
  })

test('what Anthropic lacks is refused by name, in LiteLLM’s words', () => {
  const request = asked({ n: 2, seed: 5, presencePenalty: 1 })
  assert.throws(
    () => encodeRequest(request, targetOf('claude-sonnet-4-5')),
    (error) => {
      assert.ok(GatewayError.is(error))
      assert.equal(error.kind, 'unsupported_params')
      assert.match(
        error.message,
        /anthropic does not support parameters: \['n', 'seed', 'presence_penalty'\], for model=claude-sonnet-4-5/,
      )
      return true
    },
  )
  const { body, dropped } = encodeRequest(
    request,
    targetOf('claude-sonnet-4-5', { dropParams: true }),
  )
  assert.deepEqual(dropped, ['n', 'seed', 'presence_penalty'])
  for (const key of ['n', 'seed', 'presence_penalty']) assert.ok(!(key in body))
  const allowed = encodeRequest(
    asked({ seed: 5 }),
    targetOf('claude-sonnet-4-5', { allowedParams: ['seed'] }),
  )
  assert.equal(allowed.body.seed, 5)
})

test('what changes nothing is no reason to refuse', () => {
  const neutral = {
    n: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: {},
    logprobs: false,
    modalities: ['text'],
  }
  assert.equal(encodeRequest(asked(neutral), targetOf('claude-sonnet-4-5')).dropped, undefined)
})

const refusals: [name: string, request: Partial<ChatRequest>, model: string, words: RegExp][] = [
  ['sampling of the newest', { temperature: 0.5 }, 'claude-opus-5', /'temperature'/],
  [
    'thinking of the oldest',
    { reasoning: { effort: 'low' } },
    'claude-3-5-haiku-20241022',
    /'reasoning_effort'/,
  ],
  [
    'no message at all',
    { messages: [say('system', 's')] },
    'claude-sonnet-4-5',
    /at least one message/,
  ],
  [
    'sound',
    {
      messages: [
        {
          role: 'user',
          parts: [
            {
              type: 'media',
              media: 'audio',
              source: { type: 'bytes', mime: 'audio/wav', base64: '' },
            },
          ],
        },
      ],
    },
    'claude-sonnet-4-5',
    /audio\/wav/,
  ],
]
for (const [name, request, model, words] of refusals)
  test(`refuses: ${name}`, () => {
    assert.throws(
      () => bodyOf(request, targetOf(model)),
      (error) => GatewayError.is(error) && words.test(error.message),
    )
  })

test('modify_params repairs what the API would refuse', () => {
  const to = targetOf('claude-sonnet-4-5', { modifyParams: true })
  assert.deepEqual(bodyOf({ messages: [say('system', 's')] }, to).messages, [
    { role: 'user', content: [block('.')] },
  ])
  const messages = list(
    bodyOf({ messages: [user, calls('toolu_1'), user], tools: [look] }, to).messages,
  )
  assert.deepEqual(object(messages[2]).content, [
    { type: 'tool_result', tool_use_id: 'toolu_1', content: 'no result' },
    block('x'),
  ])
})

test('names Anthropic refuses are changed, told in the notes, and never collide', () => {
  const long = 'n'.repeat(140)
  const tools = ['a.b', 'a_b', 'a b', long, 'web_search'].map((name) => ({ ...look, name }))
  const { body, notes } = encodeRequest(
    asked({
      tools: [
        ...tools,
        {
          type: 'server',
          wire: 'anthropic',
          value: { type: 'web_search_20250305', name: 'web_search' },
        },
      ],
      toolChoice: { name: 'a b' },
    }),
    targetOf('claude-sonnet-4-5'),
  )
  const sent = list(body.tools).map((tool) => String(object(tool).name))
  assert.deepEqual(sent.slice(0, 3), ['a_b', 'a_b_2', 'a_b_3'])
  assert.ok(sent.every((name) => /^[a-zA-Z0-9_-]{1,128}$/.test(name)))
  assert.equal(new Set(sent).size, sent.length)
  assert.deepEqual(object(body.tool_choice).name, 'a_b_3')
  assert.deepEqual(
    sent.slice(0, 5).map((name) => notes.toolNames?.get(name) ?? name),
    ['a.b', 'a_b', 'a b', long, 'web_search'],
  )
})

const betas: [name: string, request: Partial<ChatRequest>, header: string | undefined][] = [
  ['none', {}, undefined],
  [
    'computer use',
    {
      tools: [
        {
          type: 'server',
          wire: 'openai-chat',
          value: { type: 'computer_20250124', name: 'computer' },
        },
      ],
    },
    'computer-use-2025-01-24',
  ],
  [
    'web search needs none',
    {
      tools: [
        {
          type: 'server',
          wire: 'anthropic',
          value: { type: 'web_search_20260209', name: 'web_search' },
        },
      ],
    },
    undefined,
  ],
  [
    'context management',
    {
      extras: {
        context_management: {
          edits: [{ type: 'clear_tool_uses_20250919' }, { type: 'compact_20260112' }],
        },
      },
    },
    'compact-2026-01-12,context-management-2025-06-27',
  ],
  [
    'MCP, and the client’s own',
    { extras: { mcp_servers: [{ type: 'url', url: 'u', name: 'n' }], betas: ['x-1', 'x-1'] } },
    'mcp-client-2025-04-04,x-1',
  ],
  [
    'files',
    {
      messages: [
        {
          role: 'user',
          parts: [{ type: 'media', media: 'file', source: { type: 'id', id: 'f' } }],
        },
      ],
    },
    'files-api-2025-04-14',
  ],
]
for (const [name, request, header] of betas)
  test(`betas: ${name}`, () => {
    assert.equal(
      encodeRequest(asked(request), targetOf('claude-sonnet-4-5')).headers?.['anthropic-beta'],
      header,
    )
  })

test('Claude Code’s request is understood', () => {
  const request = decodeRequest({
    model: 'alias',
    max_tokens: 32000,
    stream: true,
    system: [
      block('x-anthropic-billing-header: 1'),
      { ...block('You are'), cache_control: { type: 'ephemeral' } },
    ],
    messages: [
      { role: 'user', content: [block('do')] },
      { role: 'system', content: 'remember' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: '', signature: 'S' },
          { type: 'tool_use', id: 'toolu_1', name: 'Read', input: { p: 1 } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: 'text', is_error: true },
          { ...block('go on'), cache_control: { type: 'ephemeral', ttl: '1h' } },
        ],
      },
    ],
    tools: [
      { name: 'Read', description: 'Reads', input_schema: schema, defer_loading: true },
      { type: 'web_search_20250305', name: 'web_search' },
    ],
    tool_choice: { type: 'auto', disable_parallel_tool_use: true },
    thinking: { type: 'adaptive', display: 'updates' },
    output_config: { effort: 'xhigh', task_budget: { type: 'tokens', total: 1 } },
    context_management: { edits: [] },
    metadata: { user_id: '{"device_id":"d"}' },
  })
  assert.deepEqual(
    request.messages.map(({ role, parts }) => [role, parts.map((part) => part.type)]),
    [
      ['system', ['text', 'text']],
      ['user', ['text']],
      ['system', ['text']],
      ['assistant', ['reasoning', 'tool-call']],
      ['tool', ['tool-result']],
      ['user', ['text']],
    ],
  )
  assert.deepEqual(request.reasoning, { effort: 'xhigh', adaptive: true, summary: 'auto' })
  assert.equal(request.parallelTools, false)
  assert.equal(request.user, '{"device_id":"d"}')
  assert.deepEqual(
    request.tools.map((tool) => tool.type),
    ['function', 'server'],
  )
  assert.deepEqual(Object.keys(request.extras).sort(), [
    'context_management',
    'output_config',
    'thinking',
  ])
})

const wrong: [name: string, body: JsonObject, words: string][] = [
  ['no model', { messages: [] }, 'model: Field required'],
  ['no messages', { model: 'm' }, 'messages: Field required'],
  [
    'messages of another kind',
    { model: 'm', messages: 'x' },
    'messages: Input should be a valid list',
  ],
  [
    'a message of another kind',
    { model: 'm', messages: ['x'] },
    'messages.0: Input should be an object',
  ],
  [
    'an unknown role',
    { model: 'm', messages: [{ role: 'tool', content: '' }] },
    "messages.0.role: Input should be 'user', 'assistant' or 'system'",
  ],
  [
    'no content',
    { model: 'm', messages: [{ role: 'user' }] },
    'messages.0.content: Field required',
  ],
  [
    'a number in words',
    { model: 'm', messages: [], max_tokens: '5' },
    'max_tokens: Input should be a valid number',
  ],
  [
    'a tool without a name',
    { model: 'm', messages: [], tools: [{}] },
    'tools.0.name: Field required',
  ],
]
for (const [name, body, words] of wrong)
  test(`wrong: ${name}`, () => {
    assert.throws(
      () => decodeRequest(body),
      (error) => GatewayError.is(error) && error.status === 400 && error.message === words,
    )
  })
