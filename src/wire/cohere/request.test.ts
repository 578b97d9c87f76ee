import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { asked, targetOf } from '../testing.test.ts'
import type { Target } from '../wire.ts'
import { cohere } from './wire.ts'

const command = targetOf('cohere_chat', 'command-a-03-2025', {
  info: { litellm_provider: 'cohere_chat' },
})
const thinker = targetOf('cohere_chat', 'command-a-reasoning-08-2025')
const encode = (body: JsonObject, to: Target = command) => cohere.encodeRequest(asked(body), to)
const fn = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: {
    name,
    parameters: { type: 'object', properties: { at: { type: 'string' } } },
    ...more,
  },
})
const user: JsonObject = { role: 'user', content: 'x' }

const words: [name: string, said: JsonObject, sent: JsonObject][] = [
  ['top_p is p', { top_p: 0.7 }, { p: 0.7 }],
  ['a top_p of 1 is the most there is', { top_p: 1 }, { p: 0.99 }],
  ['and 0 the least', { top_p: 0 }, { p: 0.01 }],
  ['top_k is k', { top_k: 5 }, { k: 5 }],
  ['stop is stop_sequences', { stop: 'E' }, { stop_sequences: ['E'] }],
  ['either limit is max_tokens', { max_completion_tokens: 9 }, { max_tokens: 9 }],
  ['penalties keep their names', { frequency_penalty: 0.5 }, { frequency_penalty: 0.5 }],
  ['penalties of 0 are not specified', { frequency_penalty: 0, presence_penalty: 0 }, {}],
  [
    'seed, temperature, logprobs',
    { seed: 3, temperature: 0, logprobs: true },
    { seed: 3, temperature: 0, logprobs: true },
  ],
  ['stream', { stream: true }, { stream: true }],
  [
    'values that change nothing',
    { n: 1, parallel_tool_calls: true, logit_bias: {}, service_tier: 'auto' },
    {},
  ],
  [
    'any JSON',
    { response_format: { type: 'json_object' } },
    { response_format: { type: 'json_object' } },
  ],
  [
    'JSON of a schema',
    {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', schema: { type: 'object' } },
      },
    },
    { response_format: { type: 'json_object', json_schema: { type: 'object' } } },
  ],
  ['plain text is what it does anyway', { response_format: { type: 'text' } }, {}],
  [
    "Cohere's own fields pass",
    { documents: ['d'], citation_options: { mode: 'OFF' }, safety_mode: 'STRICT' },
    { documents: ['d'], citation_options: { mode: 'OFF' }, safety_mode: 'STRICT' },
  ],
]
for (const [name, said, sent] of words)
  test(`request: ${name}`, () => {
    const { messages: _, model: __, ...body } = encode(said).body
    assert.deepEqual(body, sent)
  })

const choices: [choice: Json, names: string[], sent: string | undefined][] = [
  ['auto', ['a', 'b'], undefined],
  ['none', ['a', 'b'], 'NONE'],
  ['required', ['a', 'b'], 'REQUIRED'],
  [{ type: 'function', function: { name: 'b' } }, ['b'], 'REQUIRED'],
  [{ type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [fn('a')] } }, ['a'], undefined],
]
for (const [tool_choice, names, sent] of choices)
  test(`tool_choice ${JSON.stringify(tool_choice)}`, () => {
    const { body } = encode({ tools: [fn('a'), fn('b')], tool_choice })
    assert.deepEqual(
      (body.tools as { function: { name: string } }[]).map((tool) => tool.function.name),
      names,
    )
    assert.equal(body.tool_choice, sent)
  })

test('a choice that names no tool is refused with its name', () => {
  const choice = { type: 'function', function: { name: 'zzz' } }
  assert.throws(() => encode({ tools: [fn('a')], tool_choice: choice }), /'zzz'/)
})

test('strict is one switch: on where every tool asks for it, named where only some do', () => {
  assert.equal(encode({ tools: [fn('a', { strict: true })] }).body.strict_tools, true)
  const some = encode({ tools: [fn('a', { strict: true }), fn('b')] })
  assert.equal(some.body.strict_tools, undefined)
  assert.deepEqual(some.dropped, ['tools.strict'])
})

test('a freeform tool is a function of one text, and is remembered', () => {
  const { body, notes } = encode({ tools: [{ type: 'custom', custom: { name: 'sh' } }] })
  assert.deepEqual([...(notes.customTools ?? [])], ['sh'])
  assert.match(JSON.stringify(body.tools), /"required":\["input"\]/)
})

const lacking: [said: JsonObject, name: string][] = [
  [{ n: 2 }, 'n'],
  [{ parallel_tool_calls: false }, 'parallel_tool_calls'],
  [{ logit_bias: { 1: 2 } }, 'logit_bias'],
  [{ top_logprobs: 2 }, 'top_logprobs'],
  [{ web_search_options: {} }, 'web_search_options'],
  [{ reasoning_effort: 'high' }, 'reasoning_effort'],
  [{ thinking: { type: 'enabled', budget_tokens: 9 } }, 'thinking'],
  [{ modalities: ['text', 'audio'] }, 'modalities'],
]
for (const [said, name] of lacking)
  test(`${name} is refused by name, or dropped where that is wished`, () => {
    assert.throws(
      () => encode(said),
      (error) =>
        GatewayError.is(error) &&
        error.kind === 'unsupported_params' &&
        error.message.includes(`'${name}'`),
    )
    const { body, dropped } = encode(said, { ...command, dropParams: true })
    assert.deepEqual(dropped, [name])
    assert.deepEqual(Object.keys(body).sort(), ['messages', 'model'])
  })

test('the row may insist, and the row may refuse', () => {
  const insists = encode({ n: 2 }, { ...command, allowedParams: ['n'] })
  assert.equal(insists.body.n, 2)
  assert.throws(
    () => encode({ seed: 1 }, { ...command, quirks: { unsupported: ['seed'] } }),
    /'seed'/,
  )
})

test('nobody is refused for saying who asks', () => {
  assert.deepEqual(encode({ user: 'u', store: true }).dropped, ['user', 'store'])
})

const thoughts: [said: JsonObject, sent: JsonObject | undefined][] = [
  [{ reasoning_effort: 'none' }, { type: 'disabled' }],
  [{ reasoning_effort: 'low' }, { type: 'enabled', token_budget: 1024 }],
  [{ reasoning_effort: 'xhigh' }, { type: 'enabled', token_budget: 8192 }],
  [{ thinking: { type: 'enabled', budget_tokens: 77 } }, { type: 'enabled', token_budget: 77 }],
  [{ thinking: { type: 'disabled' } }, { type: 'disabled' }],
  [{ thinking: { type: 'adaptive' } }, { type: 'enabled' }],
  [{ thinking: { type: 'enabled', token_budget: 5 } }, { type: 'enabled', token_budget: 5 }],
  [{}, undefined],
]
for (const [said, sent] of thoughts)
  test(`thinking: ${JSON.stringify(said)}`, () =>
    assert.deepEqual(encode(said, thinker).body.thinking, sent))

const png = 'data:image/png;base64,AA=='
const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } }
const conversations: [name: string, said: JsonObject[], sent: JsonObject[]][] = [
  [
    'system messages are one, at the top',
    [{ role: 'system', content: 'A' }, user, { role: 'developer', content: 'B' }],
    [{ role: 'system', content: 'A\n\nB' }, user],
  ],
  [
    'pictures, by address or as data',
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: '?' },
          { type: 'image_url', image_url: { url: 'https://e.com/a.png', detail: 'low' } },
          { type: 'image_url', image_url: { url: png } },
        ],
      },
    ],
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: '?' },
          { type: 'image_url', image_url: { url: 'https://e.com/a.png', detail: 'low' } },
          { type: 'image_url', image_url: { url: png } },
        ],
      },
    ],
  ],
  [
    'words beside calls are the plan',
    [
      user,
      { role: 'assistant', content: 'I look', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'r' },
    ],
    [
      user,
      { role: 'assistant', tool_plan: 'I look', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'r' },
    ],
  ],
  [
    'a thought beside calls is the plan, where the model does not think',
    [user, { role: 'assistant', content: null, reasoning_content: 'hm', tool_calls: [call] }],
    [user, { role: 'assistant', tool_plan: 'hm', tool_calls: [call] }],
  ],
  [
    'a thought without calls does not go back to it',
    [user, { role: 'assistant', content: 'Y', reasoning_content: 'hm' }],
    [user, { role: 'assistant', content: 'Y' }],
  ],
  [
    'an empty result and an empty turn',
    [user, { role: 'assistant', content: '' }, { role: 'tool', tool_call_id: 'c1', content: '' }],
    [user, { role: 'tool', tool_call_id: 'c1', content: '{}' }],
  ],
  [
    "Cohere's document blocks in a result stay",
    [
      user,
      {
        role: 'tool',
        tool_call_id: 'c1',
        content: [{ type: 'document', document: { data: { a: 1 } } }],
      },
    ],
    [
      user,
      {
        role: 'tool',
        tool_call_id: 'c1',
        content: [{ type: 'document', document: { data: { a: 1 } } }],
      },
    ],
  ],
]
for (const [name, messages, sent] of conversations)
  test(`messages: ${name}`, () => assert.deepEqual(encode({ messages }).body.messages, sent))

test('a model that thinks gets its thoughts back, unless this request turns them off', () => {
  const messages = [
    user,
    { role: 'assistant', reasoning_content: 'hm', content: null, tool_calls: [call] },
  ]
  assert.deepEqual((encode({ messages }, thinker).body.messages as Json[])[1], {
    role: 'assistant',
    content: [{ type: 'thinking', thinking: 'hm' }],
    tool_calls: [call],
  })
  const off = encode({ messages, reasoning_effort: 'none' }, thinker).body.messages as Json[]
  assert.deepEqual(off[1], { role: 'assistant', tool_plan: 'hm', tool_calls: [call] })
})

test('a file of text is a document; another file is refused or left out', () => {
  const file = (mime: string): JsonObject => ({
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: '?' },
          { type: 'file', file: { filename: 'a', file_data: `data:${mime};base64,SGk=` } },
        ],
      },
    ],
  })
  assert.deepEqual(encode(file('text/plain')).body.documents, [
    { data: { title: 'a', text: 'Hi' } },
  ])
  assert.throws(() => encode(file('application/pdf')), /application\/pdf/)
  assert.deepEqual(encode(file('application/pdf'), { ...command, dropParams: true }).dropped, [
    'messages.file',
  ])
})

test('system messages alone are no conversation', () => {
  assert.throws(() => encode({ messages: [{ role: 'system', content: 'S' }] }), /user message/)
})
