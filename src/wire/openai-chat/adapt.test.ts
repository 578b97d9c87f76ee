import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../../json/json.ts'
import type { Quirks } from '../quirks.ts'
import type { Target } from '../wire.ts'
import { adaptMessageAnswer, adaptRequest, requestKeys, requestWords } from './adapt.ts'
import { target } from './chunks.test.ts'

const to = (quirks: Quirks, more: Partial<Target> = {}): Target => ({ ...target, quirks, ...more })

const rows: [name: string, quirks: Quirks, said: JsonObject, sent: JsonObject][] = [
  ['max_tokens', { maxTokensField: 'max_tokens' }, { max_completion_tokens: 5 }, { max_tokens: 5 }],
  [
    'max_completion_tokens',
    { maxTokensField: 'max_completion_tokens' },
    { max_tokens: 5 },
    { max_completion_tokens: 5 },
  ],
  [
    'both spellings',
    { maxTokensField: 'max_tokens' },
    { max_completion_tokens: 5, max_tokens: 6 },
    { max_tokens: 6 },
  ],
  ['another name', { rename: { seed: 'random_seed' } }, { seed: 1 }, { random_seed: 1 }],
  ['required is any', { toolChoiceAny: true }, { tool_choice: 'required' }, { tool_choice: 'any' }],
  [
    'strict',
    { dropStrict: true },
    { tools: [{ type: 'function', function: { name: 'f', strict: true } }, { type: 'x' }] },
    { tools: [{ type: 'function', function: { name: 'f' } }, { type: 'x' }] },
  ],
  [
    'ids of nine characters',
    { nineCharCallIds: true },
    {
      messages: [
        { role: 'assistant', tool_calls: [{ id: 'call_a', function: {} }, { id: 'aB3456789' }] },
        { role: 'tool', tool_call_id: 'call_a', content: 'x' },
        { role: 'tool', tool_call_id: 'aB3456789', content: 'y' },
      ],
    },
    {
      messages: [
        { role: 'assistant', tool_calls: [{ id: '565894192', function: {} }, { id: 'aB3456789' }] },
        { role: 'tool', tool_call_id: '565894192', content: 'x' },
        { role: 'tool', tool_call_id: 'aB3456789', content: 'y' },
      ],
    },
  ],
  [
    'files as documents',
    { filesAsDocuments: true },
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'See?' },
            {
              type: 'file',
              file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,J' },
            },
            { type: 'file', file: { file_id: 'f-1' } },
            { type: 'file', file_id: 'own' },
          ],
        },
        { role: 'user', content: 'no parts' },
      ],
    },
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'See?' },
            {
              type: 'document_url',
              document_url: 'data:application/pdf;base64,J',
              document_name: 'a.pdf',
            },
            { type: 'file', file_id: 'f-1' },
            { type: 'file', file_id: 'own' },
          ],
        },
        { role: 'user', content: 'no parts' },
      ],
    },
  ],
  [
    'schema as json_object',
    { schemaAsJsonObject: true },
    { response_format: { type: 'json_schema', json_schema: { schema: { a: 1 } } } },
    { response_format: { type: 'json_object', schema: { a: 1 } } },
  ],
  [
    'effort as thinking',
    { effortAsThinking: true },
    { reasoning_effort: 'high' },
    { thinking: { type: 'enabled' } },
  ],
  [
    'no effort as thinking',
    { effortAsThinking: true },
    { reasoning_effort: 'none' },
    { thinking: { type: 'disabled' } },
  ],
  [
    'effort as enable_thinking',
    { effortAsEnableThinking: true },
    { reasoning_effort: 'none' },
    { enable_thinking: false },
  ],
  [
    'effort none only',
    { effortNoneAsThinkingOff: true },
    { reasoning_effort: 'none' },
    { thinking: { type: 'disabled' } },
  ],
  [
    'effort otherwise',
    { effortNoneAsThinkingOff: true },
    { reasoning_effort: 'low' },
    { reasoning_effort: 'low' },
  ],
  [
    'no stream_options',
    { noStreamUsage: true },
    { stream: true, stream_options: {} },
    { stream: true },
  ],
  ['bookkeeping', { dropBookkeeping: true }, { user: 'u', metadata: {}, store: true }, {}],
  ['one choice', { singleChoice: true }, { n: 1 }, {}],
  ['fixed', { fixed: ['temperature'] }, { temperature: 1, top_p: 1 }, { top_p: 1 }],
  ['the highest temperature', { temperatureMax: 1 }, { temperature: 1.5 }, { temperature: 1 }],
  ['defaults only', { onlyDefault: { temperature: 1 } }, { temperature: 1 }, {}],
  [
    'defaults only, unless it does not reason',
    { onlyDefault: { temperature: 1 }, samplingFreeAt: 'none' },
    { temperature: 0.2, reasoning_effort: 'none' },
    { temperature: 0.2, reasoning_effort: 'none' },
  ],
  [
    'defaults only, free without effort',
    { onlyDefault: { temperature: 1 }, samplingFreeAt: 'none-or-unset' },
    { temperature: 0.2 },
    { temperature: 0.2 },
  ],
  ['unsupported but null', { unsupported: ['logprobs'] }, { logprobs: null }, {}],
  [
    'unsupported but without effect',
    { unsupported: ['logprobs', 'n', 'logit_bias', 'presence_penalty'] },
    { logprobs: false, n: 1, logit_bias: {}, presence_penalty: 0 },
    {},
  ],
  [
    'roles',
    { systemRole: 'system' },
    { messages: [{ role: 'developer', content: 'a' }] },
    { messages: [{ role: 'system', content: 'a' }] },
  ],
  [
    'thoughts in the history',
    { dropReasoningHistory: true },
    {
      messages: [{ role: 'assistant', content: 'a', reasoning_content: 'h', thinking_blocks: [] }],
    },
    { messages: [{ role: 'assistant', content: 'a' }] },
  ],
  [
    'names',
    { dropMessageNames: true },
    {
      messages: [
        { role: 'user', name: 'n' },
        { role: 'tool', name: 'n' },
      ],
    },
    { messages: [{ role: 'user' }, { role: 'tool', name: 'n' }] },
  ],
  [
    'parts of text',
    { flattenText: true },
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
    },
    { messages: [{ role: 'user', content: 'a\nb' }] },
  ],
  [
    'parts that are no text',
    { flattenText: true },
    { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
  ],
  [
    'results',
    { flattenToolResults: true },
    {
      messages: [
        { role: 'tool', content: [{ type: 'text', text: 'a' }] },
        { role: 'user', content: [{ type: 'text', text: 'a' }] },
      ],
    },
    {
      messages: [
        { role: 'tool', content: 'a' },
        { role: 'user', content: [{ type: 'text', text: 'a' }] },
      ],
    },
  ],
  [
    'calls and results pair by pair',
    { splitToolCalls: true },
    {
      messages: [
        { role: 'assistant', content: 'x', tool_calls: [{ id: 'a' }, { id: 'b' }] },
        { role: 'tool', tool_call_id: 'b' },
        { role: 'tool', tool_call_id: 'a' },
        { role: 'tool', tool_call_id: 'z' },
        { role: 'user' },
      ],
    },
    {
      messages: [
        { role: 'assistant', content: 'x', tool_calls: [{ id: 'a' }] },
        { role: 'tool', tool_call_id: 'a' },
        { role: 'assistant', content: null, tool_calls: [{ id: 'b' }] },
        { role: 'tool', tool_call_id: 'b' },
        { role: 'tool', tool_call_id: 'z' },
        { role: 'user' },
      ],
    },
  ],
  [
    'odd messages stay',
    { flattenText: true, splitToolCalls: true },
    { messages: ['x', null, 3] },
    { messages: ['x', null, 3] },
  ],
]
for (const [name, quirks, said, sent] of rows)
  test(`quirk: ${name}`, () => {
    const body = structuredClone(said)
    assert.deepEqual(adaptRequest(body, to(quirks)), [])
    assert.deepEqual(body, sent)
    // A body that shows none of the keys and words passes unread: this one must not.
    const keys = requestKeys(to(quirks))
    const seen =
      keys === 'all' ||
      Object.keys(said).some((key) => keys.has(key)) ||
      requestWords(to(quirks)).some((word) => JSON.stringify(said).includes(word))
    if (JSON.stringify(said) !== JSON.stringify(sent))
      assert.ok(seen, 'and it would have been seen')
  })

const refusals: [name: string, quirks: Quirks, said: JsonObject, param: string][] = [
  ['unsupported', { unsupported: ['logprobs', 'seed'] }, { logprobs: true, seed: 1 }, 'logprobs'],
  ['not the default', { onlyDefault: { temperature: 1 } }, { temperature: 0.2 }, 'temperature'],
]
for (const [name, quirks, said, param] of refusals) {
  test(`${name}: refused by name`, () => {
    assert.throws(() => adaptRequest({ ...said }, to(quirks)), {
      kind: 'unsupported_params',
      status: 400,
      param,
      message: /drop_params/,
    })
  })
  test(`${name}: dropped where that is asked for`, () => {
    const body = { ...said }
    assert.deepEqual(adaptRequest(body, to(quirks, { dropParams: true })), Object.keys(said))
    assert.deepEqual(body, {})
  })
  test(`${name}: sent where the row allows it`, () => {
    const body = { ...said }
    assert.deepEqual(adaptRequest(body, to(quirks, { allowedParams: Object.keys(said) })), [])
    assert.deepEqual(body, said)
  })
}

const plain = { litellm_provider: 'openai' }
const thinker = { litellm_provider: 'openai', supports_reasoning: true }
const told: [name: string, quirks: Quirks, info: JsonObject, said: JsonObject, left: JsonObject][] =
  [
    [
      'what the row says is refused there',
      { refusedThere: ['thinking', 'verbosity'] },
      {},
      { thinking: { type: 'enabled' }, verbosity: 'low', n: 2 },
      { n: 2 },
    ],
    ['an effort, where nothing thinks', {}, plain, { reasoning_effort: 'high' }, {}],
    [
      'an effort that the row refuses as well',
      { refusedThere: ['reasoning_effort'] },
      plain,
      { reasoning_effort: 'low' },
      {},
    ],
    [
      'an effort as Responses says it',
      {},
      plain,
      { reasoning_effort: { effort: 'low', summary: 'auto' } },
      {},
    ],
    [
      'an effort of a model nobody knows',
      {},
      {},
      { reasoning_effort: 'high' },
      { reasoning_effort: 'high' },
    ],
    ['an effort it knows', {}, thinker, { reasoning_effort: 'low' }, { reasoning_effort: 'low' }],
    [
      'an effort the catalogue denies',
      {},
      { ...thinker, litellm_provider: 'groq', supports_none_reasoning_effort: false },
      { reasoning_effort: 'none' },
      {},
    ],
    ["an effort few of OpenAI's know", {}, thinker, { reasoning_effort: 'xhigh' }, {}],
    [
      'an effort that is granted',
      {},
      { ...thinker, supports_xhigh_reasoning_effort: true },
      { reasoning_effort: 'xhigh' },
      { reasoning_effort: 'xhigh' },
    ],
    [
      'an effort in words the row turns into a switch',
      { effortAsThinking: true },
      plain,
      { reasoning_effort: 'high' },
      { thinking: { type: 'enabled' } },
    ],
    [
      'no effort, in words the row has for it',
      { effortNoneAsThinkingOff: true },
      { ...thinker, supports_none_reasoning_effort: false },
      { reasoning_effort: 'none' },
      { thinking: { type: 'disabled' } },
    ],
    [
      'calls side by side',
      {},
      { ...thinker, supports_parallel_function_calling: false },
      { parallel_tool_calls: true, tools: [] },
      { tools: [] },
    ],
    ['a choice of tools', {}, { supports_tool_choice: false }, { tool_choice: 'required' }, {}],
    [
      'no tools, which must hold',
      {},
      { supports_tool_choice: false },
      { tool_choice: 'none' },
      { tool_choice: 'none' },
    ],
    [
      'nothing said',
      { refusedThere: ['verbosity'] },
      plain,
      { verbosity: null },
      { verbosity: null },
    ],
  ]
for (const [name, quirks, info, said, left] of told) {
  const gone = Object.keys(said).filter((key) => !(key in left) && left.thinking === undefined)
  test(`with drop_params: ${name}`, () => {
    const body = { ...said }
    const asked = to(quirks, { info, dropParams: true })
    assert.deepEqual(adaptRequest(body, asked).sort(), gone.sort())
    assert.deepEqual(body, left)
    const keys = requestKeys(asked)
    for (const key of gone) assert.ok(keys === 'all' || keys.has(key), `${key} is looked at`)
  })
  test(`without drop_params or where it is allowed: ${name}`, () => {
    const off = { ...quirks, effortAsThinking: false, effortNoneAsThinkingOff: false }
    const asked = to(off, { info })
    assert.deepEqual(requestKeys(asked), new Set(), 'the bytes pass')
    for (const one of [
      asked,
      to(off, { info, dropParams: true, allowedParams: Object.keys(said) }),
    ]) {
      const body = { ...said }
      assert.deepEqual(adaptRequest(body, one), [])
      assert.deepEqual(body, said)
    }
  })
}

const open: [provider: string, info: JsonObject, dropped: string[]][] = [
  ['databricks', { litellm_provider: 'databricks' }, []],
  [
    'databricks',
    { litellm_provider: 'databricks', supports_reasoning: false },
    ['reasoning_effort'],
  ],
  ['groq', { litellm_provider: 'groq' }, ['reasoning_effort']],
]
for (const [provider, info, dropped] of open)
  test(`an effort at ${provider}, of a model of which is said ${JSON.stringify(info)}`, () => {
    const asked = to({}, { provider, info, dropParams: true })
    assert.deepEqual(adaptRequest({ reasoning_effort: 'low' }, asked), dropped)
  })

const answers: [name: string, message: JsonObject, adapted: JsonObject | undefined][] = [
  ['a plain one', { content: 'a' }, undefined],
  [
    'thoughts by another name',
    { reasoning: 'h', content: 'a' },
    { reasoning: 'h', content: 'a', reasoning_content: 'h' },
  ],
  ['thoughts by both names', { reasoning: 'x', reasoning_content: 'h' }, undefined],
  ['thoughts that are empty', { reasoning: '' }, undefined],
  ['parts', { content: [{ type: 'text', text: 'a' }, 'b'] }, { content: 'ab' }],
  ['no parts', { content: [] }, { content: '' }],
]
for (const [name, message, adapted] of answers)
  test(`answer: ${name}`, () => {
    const mine = structuredClone(message)
    assert.equal(adaptMessageAnswer(mine), adapted !== undefined)
    assert.deepEqual(mine, adapted ?? message)
  })
