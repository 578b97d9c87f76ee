import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatRequest, Message } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import type { Target } from '../wire.ts'
import { targetOf } from './generators.test.ts'
import { gemini, vertexGemini } from './wire.ts'

const flash = 'gemini-2.5-flash'
const third = 'gemini-3-pro-preview'

const asked = (more: Partial<ChatRequest>): ChatRequest => ({
  model: 'm',
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'x' }] }],
  tools: [],
  stream: false,
  extras: {},
  dialect: 'openai-chat',
  ...more,
})
const sent = (more: Partial<ChatRequest>, model = flash, to: Partial<Target> = {}): JsonObject =>
  gemini.encodeRequest(asked(more), targetOf(model, to)).body
const config = (more: Partial<ChatRequest>, model = flash, to: Partial<Target> = {}): unknown =>
  sent(more, model, to).generationConfig
const look = {
  type: 'function' as const,
  name: 'look',
  schema: { type: 'object', properties: { a: { type: 'string' } } },
}

const paths: [model: string, stream: boolean, path: string, vertex: string][] = [
  [flash, false, '/models/gemini-2.5-flash:generateContent', '/gemini-2.5-flash:generateContent'],
  [
    flash,
    true,
    '/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    '/gemini-2.5-flash:streamGenerateContent?alt=sse',
  ],
  ['models/a', false, '/models/a:generateContent', '/models%2Fa:generateContent'],
  ['tunedModels/a', false, '/tunedModels/a:generateContent', '/tunedModels%2Fa:generateContent'],
  [
    '../../x?y',
    false,
    '/models/..%2F..%2Fx%3Fy:generateContent',
    '/..%2F..%2Fx%3Fy:generateContent',
  ],
  ['a@001', false, '/models/a@001:generateContent', '/a@001:generateContent'],
]
for (const [model, stream, path, vertex] of paths)
  test(`path: ${model}${stream ? ', streamed' : ''}`, () => {
    assert.equal(gemini.path(targetOf(model), stream), path)
    assert.equal(vertexGemini.path(targetOf(model), stream), vertex)
  })

const thinking: [
  name: string,
  reasoning: ChatRequest['reasoning'],
  model: string,
  expected: unknown,
][] = [
  ['effort minimal', { effort: 'minimal' }, flash, { thinkingBudget: 128, includeThoughts: true }],
  ['effort low', { effort: 'low' }, flash, { thinkingBudget: 1024, includeThoughts: true }],
  ['effort medium', { effort: 'medium' }, flash, { thinkingBudget: 2048, includeThoughts: true }],
  ['effort high', { effort: 'high' }, flash, { thinkingBudget: 4096, includeThoughts: true }],
  ['effort xhigh', { effort: 'xhigh' }, flash, { thinkingBudget: 8192, includeThoughts: true }],
  ['effort none', { effort: 'none' }, flash, { thinkingBudget: 0 }],
  [
    'effort none, a model that always thinks',
    { effort: 'none' },
    'gemini-2.5-pro',
    { thinkingBudget: 128 },
  ],
  [
    'the least of Flash-Lite',
    { effort: 'minimal' },
    'gemini-2.5-flash-lite',
    { thinkingBudget: 512, includeThoughts: true },
  ],
  [
    'more than Flash takes',
    { budget: 31_999 },
    flash,
    { thinkingBudget: 24_576, includeThoughts: true },
  ],
  [
    'more than Flash takes, at Pro',
    { budget: 31_999 },
    'gemini-2.5-pro',
    { thinkingBudget: 31_999, includeThoughts: true },
  ],
  ['as the model likes', { adaptive: true }, flash, { thinkingBudget: -1, includeThoughts: true }],
  ['without being shown', { effort: 'low', summary: 'none' }, flash, { thinkingBudget: 1024 }],
  ['Gemini 3: low', { effort: 'low' }, third, { thinkingLevel: 'LOW', includeThoughts: true }],
  [
    'Gemini 3 Pro has no medium',
    { effort: 'medium' },
    third,
    { thinkingLevel: 'HIGH', includeThoughts: true },
  ],
  [
    'Gemini 3.1 Pro has',
    { effort: 'medium' },
    'gemini-3.1-pro-preview',
    { thinkingLevel: 'MEDIUM', includeThoughts: true },
  ],
  ['Gemini 3: none is the least there is', { effort: 'none' }, third, { thinkingLevel: 'LOW' }],
  [
    'Gemini 3 Flash: none',
    { effort: 'none' },
    'gemini-3-flash-preview',
    { thinkingLevel: 'MINIMAL' },
  ],
  [
    'Gemini 3.8 Flash: minimal',
    { effort: 'minimal' },
    'gemini-3.8-flash',
    { thinkingLevel: 'LOW', includeThoughts: true },
  ],
  [
    'Gemini 3: a budget is a level',
    { budget: 31_999 },
    third,
    { thinkingLevel: 'HIGH', includeThoughts: true },
  ],
  ['Gemini 3: as it likes', { adaptive: true }, third, { includeThoughts: true }],
  [
    'adaptive with an effort',
    { adaptive: true, effort: 'xhigh' },
    third,
    { thinkingLevel: 'HIGH', includeThoughts: true },
  ],
  [
    'the latest',
    { effort: 'low' },
    'gemini-flash-latest',
    { thinkingLevel: 'LOW', includeThoughts: true },
  ],
]
for (const [name, reasoning, model, expected] of thinking)
  test(`thinking: ${name}`, () => {
    assert.deepEqual(config({ reasoning: reasoning ?? {} }, model), { thinkingConfig: expected })
  })

const configs: [name: string, more: Partial<ChatRequest>, model: string, expected: unknown][] = [
  [
    'everything at once',
    {
      maxTokens: 9,
      temperature: 0.1,
      topP: 0.2,
      topK: 3,
      seed: 4,
      n: 2,
      presencePenalty: 0.5,
      frequencyPenalty: 0.25,
    },
    flash,
    {
      maxOutputTokens: 9,
      temperature: 0.1,
      topP: 0.2,
      topK: 3,
      seed: 4,
      candidateCount: 2,
      presencePenalty: 0.5,
      frequencyPenalty: 0.25,
    },
  ],
  [
    'what changes nothing is not said',
    { n: 1, presencePenalty: 0, logprobs: false, modalities: ['text'] },
    flash,
    undefined,
  ],
  ['logprobs', { logprobs: true, topLogprobs: 4 }, flash, { responseLogprobs: true, logprobs: 4 }],
  [
    'speech',
    { modalities: ['text', 'audio'], audio: { voice: 'Kore', format: 'pcm16' } },
    flash,
    {
      responseModalities: ['AUDIO'],
      speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Kore' } } },
    },
  ],
  ['pictures', { modalities: ['image', 'text'] }, flash, { responseModalities: ['IMAGE', 'TEXT'] }],
  ['JSON', { output: { type: 'json' } }, flash, { responseMimeType: 'application/json' }],
  [
    'a schema, its order told',
    {
      output: {
        type: 'schema',
        name: 's',
        schema: { type: 'object', properties: { b: { type: 'string' }, a: { type: 'string' } } },
      },
    },
    flash,
    {
      responseMimeType: 'application/json',
      responseSchema: {
        type: 'OBJECT',
        properties: { b: { type: 'STRING' }, a: { type: 'STRING' } },
        propertyOrdering: ['b', 'a'],
      },
    },
  ],
  [
    'a schema the older field cannot hold',
    {
      output: {
        type: 'schema',
        name: 's',
        schema: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    flash,
    {
      responseMimeType: 'application/json',
      responseJsonSchema: { type: 'object', additionalProperties: { type: 'string' } },
    },
  ],
  [
    'the same where the newer field is not known',
    {
      output: {
        type: 'schema',
        name: 's',
        schema: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    'gemini-2.0-flash',
    { responseMimeType: 'application/json', responseSchema: { type: 'OBJECT' } },
  ],
  [
    'Google’s own fields beside OpenAI’s, in any spelling',
    {
      extras: {
        media_resolution: 'LOW',
        speechConfig: { languageCode: 'de' },
        generation_config: { audioTimestamp: true },
      },
    },
    flash,
    { mediaResolution: 'LOW', speechConfig: { languageCode: 'de' }, audioTimestamp: true },
  ],
  [
    'Google’s own fields as its OpenAI route takes them',
    { extras: { google: { thinking_config: { thinking_budget: 5 } } } },
    flash,
    { thinkingConfig: { thinking_budget: 5 } },
  ],
]
for (const [name, more, model, expected] of configs)
  test(`generationConfig: ${name}`, () => assert.deepEqual(config(more, model), expected))

test('more than five stop sequences: the first five, and it is told', () => {
  const stop = ['a', '', 'b', 'c', 'd', 'e', 'f']
  const { body, dropped } = gemini.encodeRequest(asked({ stop }), targetOf(flash))
  assert.deepEqual(body.generationConfig, { stopSequences: ['a', 'b', 'c', 'd', 'e'] })
  assert.deepEqual(dropped, ['stop'])
})

const own = { info: { supports_sampling_params: false } }
const refusals: [
  name: string,
  more: Partial<ChatRequest>,
  model: string,
  to: Partial<Target>,
  params: string[],
][] = [
  ['logit_bias', { logitBias: { 5: 1 } }, flash, {}, ['logit_bias']],
  ['verbosity', { verbosity: 'low' }, flash, {}, ['verbosity']],
  [
    'one call at a time, of several tools',
    { parallelTools: false, tools: [look, { ...look, name: 'b' }] },
    flash,
    {},
    ['parallel_tool_calls'],
  ],
  [
    'thinking of a model that cannot',
    { reasoning: { effort: 'low' } },
    'gemini-2.0-flash',
    {},
    ['reasoning_effort'],
  ],
  [
    'sampling of a model that does its own',
    { temperature: 0.2, topP: 0.5 },
    'gemini-3.8-flash',
    own,
    ['temperature', 'top_p'],
  ],
  ['what the row says', { seed: 3 }, flash, { quirks: { unsupported: ['seed'] } }, ['seed']],
]
for (const [name, more, model, to, params] of refusals)
  test(`refused or dropped: ${name}`, () => {
    assert.throws(
      () => sent(more, model, to),
      (error) =>
        GatewayError.is(error) &&
        error.kind === 'unsupported_params' &&
        error.message.includes(`[${params.map((param) => `'${param}'`).join(', ')}]`),
    )
    const { body, dropped } = gemini.encodeRequest(
      asked(more),
      targetOf(model, { ...to, dropParams: true }),
    )
    assert.deepEqual(dropped, params)
    assert.ok(!body.generationConfig || Object.keys(body.generationConfig).length === 0)
    const allowed = { ...to, allowedParams: params }
    assert.doesNotThrow(() => sent(more, model, allowed))
  })

test('left out without a refusal, and told: user, foreign fields, a tool nobody runs', () => {
  const { body, dropped } = gemini.encodeRequest(
    asked({
      user: 'u',
      verbosity: 'medium',
      logitBias: {},
      parallelTools: false,
      tools: [
        look,
        { type: 'server', wire: 'anthropic', value: { type: 'bash_20250124', name: 'bash' } },
      ],
      extras: {
        store: true,
        safety_settings: [],
        cached_content: 'c',
        labels: { a: 'b' },
        prediction: null,
      },
    }),
    targetOf(flash),
  )
  assert.deepEqual(dropped, ['tools.bash_20250124', 'user', 'store'])
  assert.deepEqual(
    {
      safetySettings: body.safetySettings,
      cachedContent: body.cachedContent,
      labels: body.labels,
      store: body.store,
    },
    { safetySettings: [], cachedContent: 'c', labels: { a: 'b' }, store: undefined },
  )
})

const tiers: [said: string, tier: string | undefined, dropped: string[] | undefined][] = [
  ['flex', 'flex', undefined],
  ['default', 'standard', undefined],
  ['auto', undefined, undefined],
  ['scale', undefined, ['service_tier']],
  ['constructor', undefined, ['service_tier']],
]
for (const [serviceTier, tier, left] of tiers)
  test(`service_tier: ${serviceTier}`, () => {
    const { body, dropped } = gemini.encodeRequest(asked({ serviceTier }), targetOf(flash))
    assert.equal(body.serviceTier, tier)
    assert.deepEqual(dropped, left)
  })

test('a token limit above the model’s is lowered only where requests may be repaired', () => {
  const info = { info: { max_output_tokens: 10 } }
  assert.deepEqual(config({ maxTokens: 20 }, flash, info), { maxOutputTokens: 20 })
  assert.deepEqual(config({ maxTokens: 20 }, flash, { ...info, modifyParams: true }), {
    maxOutputTokens: 10,
  })
})

const functionOf = (name: string) => ({
  name,
  parameters: { type: 'OBJECT', properties: { a: { type: 'STRING' } } },
})
const tools: [name: string, more: Partial<ChatRequest>, model: string, expected: JsonObject][] = [
  [
    'names the API refuses',
    {
      tools: [
        { ...look, name: 'a/b' },
        { ...look, name: 'a b' },
        { ...look, name: '1' },
      ],
    },
    flash,
    {
      tools: [{ functionDeclarations: [functionOf('a_b'), functionOf('a_b_2'), functionOf('_1')] }],
    },
  ],
  [
    'a tool without parameters, one declared twice',
    {
      tools: [
        { type: 'function', name: 'f', schema: { type: 'object', properties: {} } },
        { type: 'function', name: 'f' },
      ],
    },
    flash,
    { tools: [{ functionDeclarations: [{ name: 'f' }] }] },
  ],
  [
    'an open map',
    { tools: [{ ...look, schema: { type: 'object', additionalProperties: true } }] },
    flash,
    {
      tools: [
        {
          functionDeclarations: [
            { name: 'look', parametersJsonSchema: { type: 'object', additionalProperties: true } },
          ],
        },
      ],
    },
  ],
  [
    'a freeform tool',
    { tools: [{ type: 'custom', name: 'sh', description: 'Runs' }] },
    flash,
    {
      tools: [
        {
          functionDeclarations: [
            {
              name: 'sh',
              description: 'Runs',
              parameters: {
                type: 'OBJECT',
                properties: {
                  input: { type: 'STRING', description: 'The whole input, as plain text.' },
                },
                required: ['input'],
              },
            },
          ],
        },
      ],
    },
  ],
  [
    'required',
    { tools: [look], toolChoice: 'required' },
    flash,
    {
      tools: [{ functionDeclarations: [functionOf('look')] }],
      toolConfig: { functionCallingConfig: { mode: 'ANY' } },
    },
  ],
  [
    'one by its name',
    { tools: [{ ...look, name: 'a/b' }], toolChoice: { name: 'a/b' } },
    flash,
    {
      tools: [{ functionDeclarations: [functionOf('a_b')] }],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['a_b'] } },
    },
  ],
  [
    'some of them',
    { tools: [look, { ...look, name: 'b' }], toolChoice: { names: ['b'], mode: 'auto' } },
    flash,
    {
      tools: [{ functionDeclarations: [functionOf('b')] }],
      toolConfig: { functionCallingConfig: { mode: 'AUTO' } },
    },
  ],
  ['a choice among none is no choice', { toolChoice: 'auto' }, flash, {}],
  ['web_search_options', { webSearch: {} }, flash, { tools: [{ googleSearch: {} }] }],
  [
    'tools of other dialects',
    {
      tools: [
        { type: 'server', wire: 'openai-chat', value: { type: 'web_search_preview' } },
        {
          type: 'server',
          wire: 'anthropic',
          value: { type: 'web_fetch_20250910', name: 'web_fetch' },
        },
        { type: 'server', wire: 'anthropic', value: { type: 'code_execution_20250825' } },
        { type: 'server', wire: 'openai-chat', value: { google_maps: { a: 1 } } },
      ],
    },
    flash,
    {
      tools: [
        { googleSearch: {} },
        { urlContext: {} },
        { codeExecution: {} },
        { googleMaps: { a: 1 } },
      ],
    },
  ],
  [
    'beside functions they give way',
    { tools: [look], webSearch: {} },
    flash,
    { tools: [{ functionDeclarations: [functionOf('look')] }] },
  ],
  [
    'since Gemini 3 they need not',
    { tools: [look], webSearch: {} },
    third,
    {
      tools: [{ functionDeclarations: [functionOf('look')] }, { googleSearch: {} }],
      toolConfig: { includeServerSideToolInvocations: true },
    },
  ],
]
for (const [name, more, model, expected] of tools)
  test(`tools: ${name}`, () => {
    const { contents: _, ...rest } = sent(more, model)
    assert.deepEqual(rest, expected)
  })

test('JSON beside functions: a tool of its own before Gemini 3, and the answer is its input', () => {
  const output = {
    type: 'schema' as const,
    name: 's',
    schema: { type: 'array', items: { type: 'string' } },
  }
  const { body, notes } = gemini.encodeRequest(asked({ tools: [look], output }), targetOf(flash))
  assert.equal(body.generationConfig, undefined)
  assert.deepEqual(body.toolConfig, { functionCallingConfig: { mode: 'ANY' } })
  assert.deepEqual(notes, { model: flash, outputTool: 'json_tool_call', outputKey: 'value' })
  const answer = gemini.decodeResult(
    {
      candidates: [
        {
          content: {
            parts: [{ functionCall: { name: 'json_tool_call', args: { value: ['a'] } } }],
          },
          finishReason: 'STOP',
        },
      ],
    },
    notes,
  )
  assert.deepEqual(answer.choices, [{ parts: [{ type: 'text', text: '["a"]' }], finish: 'stop' }])
  const since = sent({ tools: [look], output }, third)
  assert.equal(Object.hasOwn(since, 'generationConfig'), true)
  assert.equal(JSON.stringify(since).includes('json_tool_call'), false)
})

const call = (id: string, name = 'look', signature?: string): Message => ({
  role: 'assistant',
  parts: [{ type: 'tool-call', id, name, input: '{"a":1}', ...(signature && { signature }) }],
})
const result = (id: string, text: string, failed = false): Message => ({
  role: 'tool',
  parts: [{ type: 'tool-result', id, parts: [{ type: 'text', text }], failed }],
})
const user = (text: string): Message => ({ role: 'user', parts: [{ type: 'text', text }] })
const called = (name = 'look', more: JsonObject = {}, id?: string): JsonObject => ({
  functionCall: { ...(id && { id }), name, args: { a: 1 } },
  ...more,
})
const answered = (response: JsonObject, name = 'look', id?: string): JsonObject => ({
  functionResponse: { ...(id && { id }), name, response },
})
const dummy = { thoughtSignature: 'skip_thought_signature_validator' }

const turns: [
  name: string,
  messages: Message[],
  model: string,
  contents: JsonObject[],
  system?: JsonObject,
][] = [
  [
    'system and developer messages from anywhere, neighbours merged',
    [
      { role: 'system', parts: [{ type: 'text', text: 's' }] },
      user('a'),
      { role: 'developer', parts: [{ type: 'text', text: 'd' }] },
      user('b'),
    ],
    flash,
    [{ role: 'user', parts: [{ text: 'a' }, { text: 'b' }] }],
    { parts: [{ text: 's' }, { text: 'd' }] },
  ],
  [
    'a model without system instructions',
    [{ role: 'system', parts: [{ type: 'text', text: 's' }] }, user('a')],
    'gemma-3-27b-it',
    [{ role: 'user', parts: [{ text: 's' }, { text: 'a' }] }],
  ],
  [
    'a system message alone asks for an answer',
    [{ role: 'system', parts: [{ type: 'text', text: 's' }] }],
    flash,
    [{ role: 'user', parts: [{ text: ' ' }] }],
    { parts: [{ text: 's' }] },
  ],
  [
    'results of one turn are one content, in the order of the calls, apart from what is said next',
    [
      { role: 'assistant', parts: [...call('1').parts, ...call('2', 'b').parts] },
      result('2', '[1]'),
      result('1', '{"x":2}'),
      user('so?'),
    ],
    flash,
    [
      { role: 'model', parts: [called(), called('b')] },
      { role: 'user', parts: [answered({ x: 2 }), answered({ result: [1] }, 'b')] },
      { role: 'user', parts: [{ text: 'so?' }] },
    ],
  ],
  [
    'a failure, a text that looks like JSON, a result nobody asked for',
    [call('1'), result('1', 'no', true), call('1'), result('1', '{x'), result('9', 'y')],
    flash,
    [
      { role: 'model', parts: [called()] },
      { role: 'user', parts: [answered({ error: 'no' })] },
      { role: 'model', parts: [called()] },
      { role: 'user', parts: [answered({ result: '{x' }), answered({ result: 'y' }, '_9')] },
    ],
  ],
  [
    'Gemini 3: ids, and a word for a call that nobody signed',
    [call('c1'), result('c1', 'r'), call('c2', 'look', 'U0lH'), result('c2', 'r')],
    third,
    [
      { role: 'model', parts: [called('look', dummy, 'c1')] },
      { role: 'user', parts: [answered({ result: 'r' }, 'look', 'c1')] },
      { role: 'model', parts: [called('look', { thoughtSignature: 'U0lH' }, 'c2')] },
      { role: 'user', parts: [answered({ result: 'r' }, 'look', 'c2')] },
    ],
  ],
  [
    'parallel calls: the first is signed',
    [{ role: 'assistant', parts: [...call('1').parts, ...call('2').parts] }],
    third,
    [{ role: 'model', parts: [called('look', dummy, '1'), called('look', {}, '2')] }],
  ],
  [
    'a signature that came as a thought of its own belongs to what follows',
    [
      {
        role: 'assistant',
        parts: [{ type: 'reasoning', text: '', signature: 'QQ==' }, ...call('1').parts],
      },
      {
        role: 'assistant',
        parts: [{ type: 'reasoning', text: 'hm', signature: 'Qg==' }, ...call('2').parts],
      },
      {
        role: 'assistant',
        parts: [
          { type: 'reasoning', text: '', signature: 'Qw==' },
          { type: 'text', text: 't' },
          { type: 'reasoning', text: 'hm', signature: 'RA==' },
          { type: 'text', text: 'u' },
        ],
      },
    ],
    third,
    [
      {
        role: 'model',
        parts: [
          called('look', { thoughtSignature: 'QQ==' }, '1'),
          { text: 'hm', thought: true },
          called('look', { thoughtSignature: 'Qg==' }, '2'),
          { text: 't', thoughtSignature: 'Qw==' },
          { text: 'hm', thought: true },
          { text: 'u', thoughtSignature: 'RA==' },
        ],
      },
    ],
  ],
  [
    'at the end, to what came before; alone, to a part of its own',
    [
      {
        role: 'assistant',
        parts: [
          { type: 'text', text: 't' },
          { type: 'reasoning', text: '', signature: 'QQ==' },
        ],
      },
      user('x'),
      { role: 'assistant', parts: [{ type: 'reasoning', text: '', signature: 'Qg==' }] },
    ],
    flash,
    [
      { role: 'model', parts: [{ text: 't', thoughtSignature: 'QQ==' }] },
      { role: 'user', parts: [{ text: 'x' }] },
      { role: 'model', parts: [{ text: '', thoughtSignature: 'Qg==' }] },
    ],
  ],
  [
    'what cannot be a signature of Gemini’s is none',
    [
      call('1', 'look', 'gAAAAABsomething'),
      { role: 'assistant', parts: [{ type: 'reasoning', text: 'hm', signature: 'not base64!' }] },
    ],
    third,
    [{ role: 'model', parts: [called('look', dummy, '1'), { text: 'hm', thought: true }] }],
  ],
  [
    'pictures in results: inside since Gemini 3',
    [
      call('1'),
      {
        role: 'tool',
        parts: [
          {
            type: 'tool-result',
            id: '1',
            failed: false,
            parts: [
              { type: 'text', text: 'r' },
              {
                type: 'media',
                media: 'image',
                source: { type: 'bytes', mime: 'image/png', base64: 'aa' },
              },
            ],
          },
        ],
      },
    ],
    third,
    [
      { role: 'model', parts: [called('look', dummy, '1')] },
      {
        role: 'user',
        parts: [
          {
            functionResponse: {
              id: '1',
              name: 'look',
              response: { result: 'r' },
              parts: [{ inlineData: { mimeType: 'image/png', data: 'aa' } }],
            },
          },
        ],
      },
    ],
  ],
  [
    'pictures in results: beside them before',
    [
      call('1'),
      {
        role: 'tool',
        parts: [
          {
            type: 'tool-result',
            id: '1',
            failed: false,
            parts: [
              {
                type: 'media',
                media: 'image',
                source: { type: 'bytes', mime: 'image/png', base64: 'aa' },
              },
            ],
          },
        ],
      },
    ],
    flash,
    [
      { role: 'model', parts: [called()] },
      {
        role: 'user',
        parts: [answered({ result: '' }), { inlineData: { mimeType: 'image/png', data: 'aa' } }],
      },
    ],
  ],
]
for (const [name, messages, model, contents, system] of turns)
  test(`contents: ${name}`, () => {
    const body = sent({ messages }, model)
    assert.deepEqual(body.contents, contents)
    assert.deepEqual(body.systemInstruction, system)
  })

test('nothing to answer is refused with what to do', () => {
  assert.throws(() => sent({ messages: [] }), /add a user message/)
})

type Media = Extract<Message['parts'][number], { type: 'media' }>
const media: [name: string, part: Omit<Media, 'type'>, expected: JsonObject][] = [
  [
    'bytes',
    { media: 'image', source: { type: 'bytes', mime: 'image/jpg', base64: 'a' } },
    { inlineData: { mimeType: 'image/jpeg', data: 'a' } },
  ],
  [
    'bytes of an unknown type, by their name',
    {
      media: 'file',
      name: 'a.csv',
      source: { type: 'bytes', mime: 'application/octet-stream', base64: 'a' },
    },
    { inlineData: { mimeType: 'text/csv', data: 'a' } },
  ],
  [
    'a bucket',
    { media: 'file', source: { type: 'id', id: 'gs://b/a.mp4' } },
    { fileData: { fileUri: 'gs://b/a.mp4', mimeType: 'video/mp4' } },
  ],
  [
    'YouTube',
    { media: 'video', source: { type: 'url', url: 'https://youtu.be/x' } },
    { fileData: { fileUri: 'https://youtu.be/x', mimeType: 'video/mp4' } },
  ],
  [
    'a picture nobody fetched',
    { media: 'image', source: { type: 'url', url: 'https://e.com/a.webp?x=1' } },
    { fileData: { fileUri: 'https://e.com/a.webp?x=1', mimeType: 'image/webp' } },
  ],
  [
    'a file of the Files API',
    { media: 'file', source: { type: 'id', id: 'files/abc' } },
    {
      fileData: {
        fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/abc',
        mimeType: 'application/pdf',
      },
    },
  ],
]
for (const [name, part, expected] of media)
  test(`media: ${name}`, () => {
    const parts = [{ type: 'media' as const, ...part }]
    assert.deepEqual(sent({ messages: [{ role: 'user', parts }] }).contents, [
      { role: 'user', parts: [expected] },
    ])
  })

const bad: [name: string, body: JsonObject, words: RegExp][] = [
  ['no contents', {}, /contents is not specified/],
  ['a content that is none', { contents: [3] }, /contents\[0\] must be an object/],
  ['a part that is none', { contents: [{ parts: [3] }] }, /contents\[0\]\.parts/],
  ['a role that is none', { contents: [{ role: 3, parts: [] }] }, /role/],
  [
    'a limit that is none',
    { contents: 'x', generationConfig: { topK: 'many' } },
    /topK must be a number/,
  ],
  [
    'a function without a name',
    { contents: 'x', tools: [{ functionDeclarations: [{}] }] },
    /needs a name/,
  ],
  ['a tool that is none', { contents: 'x', tools: ['x'] }, /tools\[0\]/],
]
for (const [name, body, words] of bad)
  test(`decode refuses ${name}`, () => {
    assert.throws(
      () => gemini.decodeRequest(body),
      (error) =>
        GatewayError.is(error) && error.kind === 'bad_request' && words.test(error.message),
    )
  })

test('decode: results come first, find their calls by name and order, and keep their words', () => {
  const request = gemini.decodeRequest({
    model: 'm',
    contents: [
      { parts: [{ text: 'a' }, 'b'] },
      {
        role: 'model',
        parts: [
          { text: 'Hal' },
          { text: 'lo', thoughtSignature: 'QQ==' },
          { functionCall: { name: 'f', args: { a: 'ü' } }, thoughtSignature: 'Qg==' },
          { functionCall: { name: 'f' } },
          { functionCall: { id: 'mine', name: 'g' } },
        ],
      },
      {
        role: 'user',
        parts: [
          { text: 'note' },
          { functionResponse: { name: 'f', response: { output: 'ä' } } },
          { functionResponse: { id: 'mine', name: 'g', response: { error: 'no' } } },
          {
            functionResponse: {
              name: 'f',
              response: { a: 1 },
              parts: [{ inlineData: { mimeType: 'image/png', data: 'x' } }],
            },
          },
        ],
      },
    ],
  })
  assert.deepEqual(request.messages, [
    {
      role: 'user',
      parts: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    },
    {
      role: 'assistant',
      parts: [
        { type: 'text', text: 'Hal' },
        { type: 'reasoning', text: '', signature: 'QQ==' },
        { type: 'text', text: 'lo' },
        { type: 'tool-call', id: 'call_0', name: 'f', input: '{"a":"ü"}', signature: 'Qg==' },
        { type: 'tool-call', id: 'call_1', name: 'f', input: '{}' },
        { type: 'tool-call', id: 'mine', name: 'g', input: '{}' },
      ],
    },
    {
      role: 'tool',
      parts: [
        {
          type: 'tool-result',
          id: 'call_0',
          name: 'f',
          parts: [{ type: 'text', text: 'ä' }],
          failed: false,
        },
        {
          type: 'tool-result',
          id: 'mine',
          name: 'g',
          parts: [{ type: 'text', text: 'no' }],
          failed: true,
        },
        {
          type: 'tool-result',
          id: 'call_1',
          name: 'f',
          parts: [
            { type: 'text', text: '{"a":1}' },
            {
              type: 'media',
              media: 'image',
              source: { type: 'bytes', base64: 'x', mime: 'image/png' },
            },
          ],
          failed: false,
        },
      ],
    },
    { role: 'user', parts: [{ type: 'text', text: 'note' }] },
  ])
})

test('decode: thoughts told in pieces are one, ended by their signature', () => {
  const { messages } = gemini.decodeRequest({
    contents: [
      {
        role: 'model',
        parts: [
          { text: 'H', thought: true },
          { text: 'm', thought: true },
          { text: '', thought: true, thoughtSignature: 'S' },
          { text: 'next', thought: true },
          { text: 'a' },
          { text: 'b' },
          { executableCode: { code: '1' } },
        ],
      },
    ],
  })
  assert.deepEqual(messages[0]?.parts, [
    { type: 'reasoning', text: 'Hm', signature: 'S' },
    { type: 'reasoning', text: 'next' },
    { type: 'text', text: 'ab' },
    { type: 'raw', wire: 'gemini', value: { executableCode: { code: '1' } } },
  ])
})

test('decode: everything else of a request', () => {
  const { messages: _, ...rest } = gemini.decodeRequest({
    model: 'm',
    stream: true,
    contents: 'x',
    tools: [
      {
        function_declarations: [
          { name: 'f', parameters_json_schema: { type: 'OBJECT' }, behavior: 'BLOCKING' },
        ],
        google_search: {},
      },
    ],
    tool_config: {
      function_calling_config: { mode: 'any', allowed_function_names: ['f'] },
      retrieval_config: { a: 1 },
    },
    generation_config: {
      max_output_tokens: '12',
      response_mime_type: 'text/x.enum',
      response_schema: { type: 'STRING', enum: ['a'] },
      thinking_config: { thinking_level: 'low', include_thoughts: true },
      media_resolution: 'LOW',
    },
    safety_settings: [{ category: 'A' }],
    cachedContent: 'c',
  })
  assert.deepEqual(rest, {
    model: 'm',
    stream: true,
    streamUsage: true,
    tools: [
      { type: 'function', name: 'f', schema: { type: 'object' }, extras: { behavior: 'BLOCKING' } },
      { type: 'server', wire: 'gemini', value: { google_search: {} } },
    ],
    toolChoice: { name: 'f' },
    maxTokens: 12,
    output: { type: 'schema', name: 'response', schema: { type: 'string', enum: ['a'] } },
    reasoning: { effort: 'low', summary: 'auto' },
    extras: {
      safetySettings: [{ category: 'A' }],
      cachedContent: 'c',
      generationConfig: { mediaResolution: 'LOW', responseMimeType: 'text/x.enum' },
      toolConfig: { retrievalConfig: { a: 1 } },
    },
  })
})

test('as many parts as a body can hold', () => {
  const parts = Array.from({ length: 150_000 }, () => ({ text: 'x' }))
  const request = gemini.decodeRequest({ contents: [{ parts }, { parts }] })
  const { contents } = gemini.encodeRequest(request, targetOf(flash)).body
  assert.equal(JSON.stringify(contents).split('{"text":"x"}').length - 1, 300_000)
})

test('a turn of the model in one content per chunk is one turn, and signatures come back in the usual alphabet', () => {
  const said = (text: string, more: JsonObject = {}) => ({
    role: 'model',
    parts: [{ text, ...more }],
  })
  const call = { functionCall: { name: 'look', args: {} }, thoughtSignature: 'a-_b' }
  const { messages } = gemini.decodeRequest({
    model: 'm',
    contents: [
      { role: 'user', parts: [{ text: 'x' }] },
      said('Let ', { thought: true }),
      said('me see.', { thought: true, thoughtSignature: 'Pz8_Pj4-' }),
      said('I '),
      said('look.'),
      { role: 'model', parts: [call] },
      { role: 'model', parts: [{ ...call, ...dummy }] },
      { role: 'model', parts: [{ ...call, thoughtSignature: 'gAAAAABm-_==' }] },
    ],
  })
  assert.deepEqual(
    messages.map(({ role }) => role),
    ['user', 'assistant'],
  )
  const [thought, words, ...calls] = messages[1]?.parts ?? []
  assert.deepEqual(thought, { type: 'reasoning', text: 'Let me see.', signature: 'Pz8/Pj4+' })
  assert.deepEqual(words, { type: 'text', text: 'I look.' })
  assert.deepEqual(
    calls.map((part) => part.type === 'tool-call' && part.signature),
    ['a+/b', dummy.thoughtSignature, 'gAAAAABm-_=='],
  )
})
