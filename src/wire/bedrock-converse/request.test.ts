import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import fc from 'fast-check'
import type { Message, Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { anthropic } from '../anthropic/wire.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Encoded, Target } from '../wire.ts'
import { bedrockConverse } from './wire.ts'

const claude35 = 'anthropic.claude-3-5-sonnet-20240620-v1:0'
const claude37 = 'us.anthropic.claude-3-7-sonnet-20250219-v1:0'
const thinker = { supports_reasoning: true, supports_prompt_caching: true, max_output_tokens: 8192 }
const newest = {
  supports_reasoning: true,
  supports_adaptive_thinking: true,
  supports_output_config: true,
  supports_sampling_params: false,
  supports_xhigh_reasoning_effort: true,
  supports_max_reasoning_effort: true,
  bedrock_output_config_effort_ceiling: 'xhigh',
}

function encode(
  body: JsonObject,
  model = claude35,
  info: JsonObject = {},
  more: Partial<Target> = {},
): Encoded {
  const to = {
    provider: 'bedrock',
    model,
    quirks: {},
    info,
    dropParams: false,
    modifyParams: false,
    ...more,
  }
  const asked = { model: 'public', messages: [{ role: 'user', content: 'x' }], ...body }
  return bedrockConverse.encodeRequest(openaiChat.decodeRequest(asked), to)
}

const user = { role: 'user', content: [{ text: 'x' }] }
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}
const weatherSpec = {
  toolSpec: {
    name: 'weather',
    description: 'Weather',
    inputSchema: { json: { type: 'object', properties: { city: { type: 'string' } } } },
  },
}
const called = [
  { role: 'user', content: 'x' },
  {
    role: 'assistant',
    content: null,
    tool_calls: [
      { id: 't1', type: 'function', function: { name: 'weather', arguments: '{"city":"A"}' } },
    ],
  },
  { role: 'tool', tool_call_id: 't1', content: 'sun' },
]
const calledTurns = [
  user,
  {
    role: 'assistant',
    content: [{ toolUse: { toolUseId: 't1', name: 'weather', input: { city: 'A' } } }],
  },
  { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ text: 'sun' }] } }] },
]
const schema = {
  type: 'json_schema',
  json_schema: {
    name: 'my answer',
    schema: {
      type: 'object',
      properties: { n: { type: 'integer' } },
      required: ['n'],
      additionalProperties: false,
    },
  },
}

type Row = [
  name: string,
  model: string,
  info: JsonObject,
  asked: JsonObject,
  sent: JsonObject,
  dropped?: string[],
]
const bodies: Row[] = [
  [
    'system messages are hoisted, neighbours join',
    claude35,
    {},
    {
      messages: [
        { role: 'system', content: 'A' },
        { role: 'user', content: 'x' },
        { role: 'developer', content: 'B' },
        { role: 'user', content: 'y' },
      ],
    },
    {
      system: [{ text: 'A' }, { text: 'B' }],
      messages: [{ role: 'user', content: [{ text: 'x' }, { text: 'y' }] }],
    },
  ],
  [
    'texts of nothing but space are refused, so they are not sent',
    claude35,
    {},
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: ' \n' },
            { type: 'text', text: 'x' },
          ],
        },
        { role: 'assistant', content: '' },
        { role: 'user', content: 'y' },
      ],
    },
    { messages: [{ role: 'user', content: [{ text: 'x' }, { text: 'y' }] }] },
  ],
  [
    'a prefill ends without space',
    claude35,
    {},
    {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: 'So: ' },
      ],
    },
    { messages: [user, { role: 'assistant', content: [{ text: 'So:' }] }] },
  ],
  [
    'models without system messages get them as the user’s first words',
    'mistral.mistral-7b-instruct-v0:2',
    {},
    {
      messages: [
        { role: 'system', content: 'A' },
        { role: 'user', content: 'x' },
      ],
    },
    { messages: [{ role: 'user', content: [{ text: 'A' }, { text: 'x' }] }] },
  ],
  [
    'sampling and bounds',
    claude35,
    {},
    { max_tokens: 5, temperature: 0.1, top_p: 0.6, top_k: 3, stop: ['E', ' '] },
    {
      messages: [user],
      inferenceConfig: { maxTokens: 5, temperature: 0.1, topP: 0.6, stopSequences: ['E'] },
      additionalModelRequestFields: { top_k: 3 },
    },
    ['stop'],
  ],
  [
    'Nova spells top_k in its own way',
    'us.amazon.nova-lite-v1:0',
    {},
    { top_k: 3 },
    { messages: [user], additionalModelRequestFields: { inferenceConfig: { topK: 3 } } },
  ],
  [
    'Converse’s own fields, and what only the model knows',
    claude35,
    {},
    {
      guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' },
      performanceConfig: { latency: 'optimized' },
      requestMetadata: { a: 'b' },
      service_tier: 'flex',
      custom_field: [1],
      additionalModelRequestFields: { other: true },
      store: true,
    },
    {
      messages: [user],
      guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' },
      performanceConfig: { latency: 'optimized' },
      requestMetadata: { a: 'b' },
      serviceTier: { type: 'flex' },
      additionalModelRequestFields: { custom_field: [1], other: true },
    },
    ['store'],
  ],
  [
    'bookkeeping is left out',
    claude35,
    {},
    { user: 'u1', metadata: { a: 'b' }, n: 1, logprobs: false, service_tier: 'auto' },
    { messages: [user] },
    ['user'],
  ],

  [
    'tools and a choice',
    claude35,
    {},
    { tools: [weather], tool_choice: 'required' },
    { messages: [user], toolConfig: { tools: [weatherSpec], toolChoice: { any: {} } } },
  ],
  [
    '`none` has no spelling: no tools',
    claude35,
    {},
    { tools: [weather], tool_choice: 'none' },
    { messages: [user] },
  ],
  [
    '`none` with calls in the history: tools without a choice',
    claude35,
    {},
    { messages: called, tools: [weather], tool_choice: 'none' },
    { messages: calledTurns, toolConfig: { tools: [weatherSpec] } },
    ['tool_choice'],
  ],
  [
    'calls in the history, no tools offered: they are declared',
    claude35,
    {},
    { messages: called, tools: [] },
    {
      messages: calledTurns,
      toolConfig: {
        tools: [
          {
            toolSpec: {
              name: 'weather',
              inputSchema: { json: { type: 'object', properties: {} } },
            },
          },
        ],
      },
    },
  ],
  [
    'one call at a time, where Claude’s word for it is known',
    claude37,
    { supports_parallel_tool_use_config: true },
    { tools: [weather], tool_choice: 'required', parallel_tool_calls: false },
    {
      messages: [user],
      toolConfig: { tools: [weatherSpec] },
      additionalModelRequestFields: {
        tool_choice: { type: 'any', disable_parallel_tool_use: true },
      },
    },
  ],
  [
    'one call at a time, where it is not',
    'us.amazon.nova-lite-v1:0',
    {},
    { tools: [weather], parallel_tool_calls: false },
    { messages: [user], toolConfig: { tools: [weatherSpec] } },
    ['parallel_tool_calls'],
  ],
  [
    'Nova’s schemas hold three keywords at the root, and no references',
    'amazon.nova-pro-v1:0',
    {},
    {
      tools: [
        {
          type: 'function',
          function: {
            name: 'f',
            parameters: {
              $schema: 's',
              title: 'T',
              type: 'object',
              additionalProperties: false,
              required: ['a'],
              properties: { a: { $ref: '#/$defs/A' } },
              $defs: { A: { type: 'object', properties: { again: { $ref: '#/$defs/A' } } } },
            },
          },
        },
      ],
    },
    {
      messages: [user],
      toolConfig: {
        tools: [
          {
            toolSpec: {
              name: 'f',
              inputSchema: {
                json: {
                  type: 'object',
                  properties: { a: { type: 'object', properties: { again: { type: 'object' } } } },
                  required: ['a'],
                },
              },
            },
          },
        ],
      },
    },
  ],
  [
    'Claude’s own tools stand beside the others',
    claude37,
    {},
    {
      tools: [
        weather,
        { type: 'computer_20250124', name: 'computer', display_width_px: 1, display_height_px: 1 },
        { type: 'web_search_20250305', name: 'web_search' },
      ],
    },
    {
      messages: [user],
      toolConfig: { tools: [weatherSpec] },
      additionalModelRequestFields: {
        tools: [
          {
            type: 'computer_20250124',
            name: 'computer',
            display_width_px: 1,
            display_height_px: 1,
          },
        ],
        anthropic_beta: ['computer-use-2025-01-24'],
      },
    },
    ['tools.web_search_20250305'],
  ],
  [
    'Nova searches the web by itself',
    'us.amazon.nova-premier-v1:0',
    {},
    { web_search_options: {} },
    { messages: [user], toolConfig: { tools: [{ systemTool: { name: 'nova_grounding' } }] } },
  ],

  [
    'a schema where the model knows them',
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
    { supports_native_structured_output: true },
    { response_format: schema },
    {
      messages: [user],
      outputConfig: {
        textFormat: {
          type: 'json_schema',
          structure: {
            jsonSchema: {
              name: 'my_answer',
              schema:
                '{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false,"required":["n"]}',
            },
          },
        },
      },
    },
  ],
  [
    'a schema where it does not: a forced tool',
    claude35,
    {},
    { response_format: schema },
    {
      messages: [user],
      toolConfig: {
        tools: [
          {
            toolSpec: {
              name: 'json_tool_call',
              description: 'Gives the final answer in the form asked for.',
              inputSchema: { json: schema.json_schema.schema },
            },
          },
        ],
        toolChoice: { tool: { name: 'json_tool_call' } },
      },
    },
  ],
  [
    'a forced tool gives way to a thinking budget',
    claude37,
    thinker,
    {
      response_format: { type: 'json_object' },
      thinking: { type: 'enabled', budget_tokens: 1024 },
      max_tokens: 2000,
    },
    {
      messages: [user],
      inferenceConfig: { maxTokens: 2000 },
      toolConfig: {
        tools: [
          {
            toolSpec: {
              name: 'json_tool_call',
              description: 'Gives the final answer in the form asked for.',
              inputSchema: { json: { type: 'object', properties: {}, additionalProperties: true } },
            },
          },
        ],
        toolChoice: { auto: {} },
      },
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 1024 } },
    },
  ],

  [
    'an effort becomes a budget for older Claudes',
    claude37,
    thinker,
    { reasoning_effort: 'low', max_tokens: 5000, temperature: 0.2 },
    {
      messages: [user],
      inferenceConfig: { maxTokens: 5000 },
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 1024 } },
    },
    ['temperature'],
  ],
  [
    'newer Claudes think adaptively, as far as Bedrock’s ceiling',
    'us.anthropic.claude-opus-4-7',
    newest,
    { reasoning_effort: 'max' },
    {
      messages: [user],
      additionalModelRequestFields: {
        thinking: { type: 'adaptive', display: 'summarized' },
        output_config: { effort: 'xhigh' },
      },
    },
  ],
  [
    'Nova 2 thinks in three steps, and not with sampling at the highest',
    'us.amazon.nova-2-lite-v1:0',
    thinker,
    { reasoning_effort: 'xhigh', temperature: 0.5, max_tokens: 9 },
    {
      messages: [user],
      inferenceConfig: { maxTokens: 9 },
      additionalModelRequestFields: {
        reasoningConfig: { type: 'enabled', maxReasoningEffort: 'high' },
      },
    },
    ['temperature'],
  ],
  [
    'gpt-oss',
    'openai.gpt-oss-120b-1:0',
    thinker,
    { reasoning_effort: 'minimal' },
    { messages: [user], additionalModelRequestFields: { reasoning_effort: 'low' } },
  ],
  [
    'OpenAI’s newer models',
    'us.openai.gpt-6-sol',
    { supports_none_reasoning_effort: true },
    { reasoning_effort: 'none' },
    { messages: [user], additionalModelRequestFields: { reasoning: { effort: 'none' } } },
  ],
  [
    'DeepSeek V3',
    'deepseek.v3-v1:0',
    thinker,
    { thinking: { type: 'enabled', budget_tokens: 9000 } },
    { messages: [user], additionalModelRequestFields: { reasoning_effort: 'high' } },
  ],
  [
    'a model that always thinks and has no word for how much',
    'us.deepseek.r1-v1:0',
    thinker,
    { reasoning_effort: 'low' },
    { messages: [user] },
    ['reasoning_effort'],
  ],
  [
    'flags Bedrock does not know would be refused',
    claude37,
    {},
    { anthropic_beta: ['context-1m-2025-08-07', 'files-api-2025-04-14'] },
    {
      messages: [user],
      additionalModelRequestFields: { anthropic_beta: ['context-1m-2025-08-07'] },
    },
    ['anthropic-beta.files-api-2025-04-14'],
  ],

  [
    'cache points stand behind what they close',
    claude37,
    thinker,
    {
      messages: [
        {
          role: 'system',
          content: [{ type: 'text', text: 'A', cache_control: { type: 'ephemeral', ttl: '1h' } }],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x', cache_control: { type: 'ephemeral' } },
            { type: 'text', text: 'y' },
          ],
        },
      ],
      tools: [{ ...weather, cache_control: { type: 'ephemeral' } }],
    },
    {
      system: [{ text: 'A' }, { cachePoint: { type: 'default' } }],
      messages: [
        {
          role: 'user',
          content: [{ text: 'x' }, { cachePoint: { type: 'default' } }, { text: 'y' }],
        },
      ],
      toolConfig: { tools: [weatherSpec, { cachePoint: { type: 'default' } }] },
    },
  ],
  [
    'an hour, where it can be had',
    'anthropic.claude-opus-4-5-20251101-v1:0',
    { ...thinker, cache_creation_input_token_cost_above_1hr: 1 },
    {
      messages: [
        {
          role: 'user',
          content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '1h' } }],
        },
      ],
    },
    {
      messages: [
        { role: 'user', content: [{ text: 'x' }, { cachePoint: { type: 'default', ttl: '1h' } }] },
      ],
    },
  ],
  [
    'a listed model that keeps nothing',
    claude35,
    { litellm_provider: 'bedrock' },
    {
      messages: [
        {
          role: 'user',
          content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
        },
      ],
    },
    { messages: [user] },
  ],
]

describe('Converse requests', () => {
  for (const [name, model, info, asked, sent, dropped] of bodies)
    it(name, () => {
      const encoded = encode(asked, model, info)
      assert.deepEqual(JSON.parse(JSON.stringify(encoded.body)), sent)
      assert.deepEqual(encoded.dropped, dropped)
    })
})

const file = (filename: string, mime: string): JsonObject => ({
  type: 'file',
  file: { filename, file_data: `data:${mime};base64,QUJD` },
})
const image = (url: string): JsonObject => ({ type: 'image_url', image_url: { url } })
const media: [name: string, part: JsonObject, block: JsonObject][] = [
  [
    'png',
    image('data:image/png;base64,QUJD'),
    { image: { format: 'png', source: { bytes: 'QUJD' } } },
  ],
  [
    'jpg is jpeg',
    image('data:image/jpg;base64,QUJD'),
    { image: { format: 'jpeg', source: { bytes: 'QUJD' } } },
  ],
  [
    'S3',
    image('s3://bucket/a.webp'),
    { image: { format: 'webp', source: { s3Location: { uri: 's3://bucket/a.webp' } } } },
  ],
  [
    'pdf',
    file('Zwölf & drei.pdf', 'application/pdf'),
    { document: { format: 'pdf', name: 'Zwolf - drei', source: { bytes: 'QUJD' } } },
  ],
  [
    'by its ending',
    file('a  table.XLSX', 'application/octet-stream'),
    { document: { format: 'xlsx', name: 'a table', source: { bytes: 'QUJD' } } },
  ],
  [
    'any text',
    file('notes.log', 'text/x-log'),
    { document: { format: 'txt', name: 'notes', source: { bytes: 'QUJD' } } },
  ],
  [
    'json is text',
    file('', 'application/json'),
    { document: { format: 'txt', name: 'document', source: { bytes: 'QUJD' } } },
  ],
  [
    'video',
    { type: 'video_url', video_url: { url: 'data:video/mp4;base64,QUJD' } },
    { video: { format: 'mp4', source: { bytes: 'QUJD' } } },
  ],
  [
    'audio',
    { type: 'input_audio', input_audio: { data: 'QUJD', format: 'mp3' } },
    { audio: { format: 'mp3', source: { bytes: 'QUJD' } } },
  ],
  ['guarded text', { type: 'guarded_text', text: 'g' }, { guardContent: { text: { text: 'g' } } }],
]
describe('media', () => {
  for (const [name, part, block] of media)
    it(name, () => {
      const { body } = encode({ messages: [{ role: 'user', content: [part] }] })
      assert.deepEqual(object(list(object(list(body.messages)[0]).content)[0]), block)
    })

  it('no two documents have the same name, and the same request always the same names', () => {
    const content = ['a.pdf', 'a.pdf', 'a.txt', 'a-2.pdf'].map((name) =>
      file(name, 'application/pdf'),
    )
    const names = () => namesIn(encode({ messages: [{ role: 'user', content }] }).body)
    assert.deepEqual(names(), ['a', 'a-2', 'a-3', 'a-2-2'])
    assert.deepEqual(names(), names())
  })
})
const namesIn = (body: JsonObject): Json[] =>
  list(object(list(body.messages)[0]).content).map(
    (block) => object(object(block).document).name ?? null,
  )

const history: [name: string, message: Message, more: Partial<Target>, blocks: Json[]][] = [
  [
    'signed thoughts go back untouched',
    {
      role: 'assistant',
      parts: [
        { type: 'reasoning', text: ' t ', signature: 'S==' },
        { type: 'reasoning', text: 'OpenAI’s', signature: 'gAAAAs' },
        { type: 'reasoning', text: '', redacted: 'UkVE' },
        { type: 'reasoning', text: 'unsigned' },
        { type: 'tool-call', id: 'c', name: 'f', input: '{}' },
      ],
    },
    {},
    [
      { reasoningContent: { reasoningText: { text: ' t ', signature: 'S==' } } },
      { reasoningContent: { redactedContent: 'UkVE' } },
      { toolUse: { toolUseId: 'c', name: 'f', input: {} } },
    ],
  ],
  [
    'other families take no thoughts',
    {
      role: 'assistant',
      parts: [
        { type: 'reasoning', text: 't', signature: 'S' },
        { type: 'text', text: 'a' },
      ],
    },
    { model: 'us.deepseek.r1-v1:0' },
    [{ text: 'a' }],
  ],
  [
    'input that is no object is kept under a key',
    { role: 'assistant', parts: [{ type: 'tool-call', id: 'c', name: 'f', input: '[1' }] },
    {},
    [{ toolUse: { toolUseId: 'c', name: 'f', input: { input: '[1' } } }],
  ],
  [
    'a failed result, and one without a word',
    {
      role: 'tool',
      parts: [
        { type: 'tool-result', id: 'a', parts: [], failed: true },
        { type: 'tool-result', id: 'b', parts: [], failed: false, cache: {} },
      ],
    },
    {},
    [
      { toolResult: { toolUseId: 'a', content: [{ text: 'error' }], status: 'error' } },
      { toolResult: { toolUseId: 'b', content: [{ text: 'no output' }] } },
      { cachePoint: { type: 'default' } },
    ],
  ],
  [
    'results come first',
    {
      role: 'user',
      parts: [
        { type: 'text', text: 'x', cache: {} },
        { type: 'tool-result', id: 'a', parts: [{ type: 'text', text: 'r' }], failed: false },
      ],
    },
    {},
    [
      { toolResult: { toolUseId: 'a', content: [{ text: 'r' }] } },
      { text: 'x' },
      { cachePoint: { type: 'default' } },
    ],
  ],
  [
    'pictures in results',
    {
      role: 'tool',
      parts: [
        {
          type: 'tool-result',
          id: 'a',
          parts: [
            {
              type: 'media',
              media: 'image',
              source: { type: 'bytes', base64: 'QQ==', mime: 'image/png' },
            },
          ],
          failed: false,
        },
      ],
    },
    {},
    [
      {
        toolResult: {
          toolUseId: 'a',
          content: [{ image: { format: 'png', source: { bytes: 'QQ==' } } }],
        },
      },
    ],
  ],
  [
    'pictures behind results, where a result holds none',
    {
      role: 'tool',
      parts: [
        {
          type: 'tool-result',
          id: 'a',
          parts: [
            {
              type: 'media',
              media: 'image',
              source: { type: 'bytes', base64: 'QQ==', mime: 'image/png' },
            },
          ],
          failed: false,
        },
      ],
    },
    { info: { supports_bedrock_converse_tool_result_images: false } },
    [
      { toolResult: { toolUseId: 'a', content: [{ text: 'see below' }] } },
      { image: { format: 'png', source: { bytes: 'QQ==' } } },
    ],
  ],
  [
    'what only Bedrock understands is sent as it came',
    {
      role: 'user',
      parts: [
        { type: 'raw', wire: 'bedrock-converse', value: { guardContent: { text: { text: 'g' } } } },
      ],
    },
    {},
    [{ guardContent: { text: { text: 'g' } } }],
  ],
  [
    'search results of Anthropic’s clients',
    {
      role: 'user',
      parts: [
        {
          type: 'raw',
          wire: 'anthropic',
          value: {
            type: 'search_result',
            source: 's',
            title: 't',
            content: [{ type: 'text', text: 'c' }],
            citations: { enabled: true },
          },
        },
      ],
    },
    {},
    [
      {
        searchResult: {
          source: 's',
          title: 't',
          content: [{ text: 'c' }],
          citations: { enabled: true },
        },
      },
    ],
  ],
]
describe('the history', () => {
  for (const [name, message, more, blocks] of history)
    it(name, () => {
      // With thinking off, the last turn holds no thoughts.
      const last: Message = { role: 'user', parts: [{ type: 'text', text: 'go on' }] }
      const messages = message.role === 'assistant' ? [message, last] : [message]
      const request = { model: 'm', messages, tools: [], stream: false, extras: {} }
      const to = {
        provider: 'bedrock',
        model: claude37,
        quirks: {},
        info: {},
        dropParams: false,
        modifyParams: false,
        ...more,
      }
      const body: JsonObject = JSON.parse(
        JSON.stringify(bedrockConverse.encodeRequest(request, to).body),
      )
      assert.deepEqual(object(list(body.messages)[0]).content, blocks)
    })

  it('names and ids that do not fit are changed, and names are remembered', () => {
    const long = 'mcp__' + 'tool.'.repeat(20)
    const id = 'call:' + '9'.repeat(80)
    const { body, notes } = encode({
      messages: [
        {
          role: 'assistant',
          tool_calls: [{ id, type: 'function', function: { name: long, arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: id, content: 'r' },
      ],
      tools: [{ type: 'function', function: { name: long } }],
    })
    const [{ toolUse }, { toolResult }] = list(body.messages).map((turn) =>
      object(list(object(turn).content)[0]),
    ) as [JsonObject, JsonObject]
    const { name, toolUseId } = object(toolUse)
    assert.match(text(name) ?? '', /^[a-zA-Z0-9_-]{1,64}$/)
    assert.match(text(toolUseId) ?? '', /^[a-zA-Z0-9_-]{1,64}$/)
    assert.equal(object(toolResult).toolUseId, toolUseId)
    assert.equal(notes.toolNames?.get(text(name) ?? ''), long)
    assert.equal(object(object(list(object(body.toolConfig).tools)[0]).toolSpec).name, name)
  })

  it('modify_params mends what Bedrock would refuse', () => {
    const messages = [
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '' } }],
      },
      { role: 'user', content: [file('a.pdf', 'application/pdf')] },
      { role: 'assistant', content: 'So' },
    ]
    const { body } = encode(
      { messages },
      claude35,
      { supports_assistant_prefill: false },
      { modifyParams: true },
    )
    assert.deepEqual(
      list(body.messages).map((turn) => [
        object(turn).role,
        list(object(turn).content).map((block) => Object.keys(object(block))[0]),
      ]),
      [
        ['user', ['text']],
        ['assistant', ['toolUse']],
        ['user', ['toolResult', 'document']],
        ['assistant', ['text']],
        ['user', ['text']],
      ],
    )
  })

  it('a tool loop that has lost its thought goes on without a budget', () => {
    const { body, dropped } = encode(
      { messages: called, tools: [weather], reasoning_effort: 'high', max_tokens: 9000 },
      claude37,
      thinker,
    )
    assert.equal(body.additionalModelRequestFields, undefined)
    assert.deepEqual(dropped, ['reasoning_effort'])
  })
})

const refusals: [name: string, asked: JsonObject, model: string, said: RegExp][] = [
  ['n', { n: 2 }, claude35, /does not support parameters: \['n'\]/],
  [
    'several at once',
    { seed: 1, logprobs: true, logit_bias: { 1: 1 } },
    claude35,
    /\['seed', 'logprobs', 'logit_bias'\]/,
  ],
  ['no top_k for Llama', { top_k: 3 }, 'meta.llama3-3-70b-instruct-v1:0', /\['top_k'\]/],
  [
    'thinking, of a model that cannot',
    { reasoning_effort: 'low' },
    'meta.llama3-3-70b-instruct-v1:0',
    /\['reasoning_effort'\]/,
  ],
  [
    'a picture on the web',
    { messages: [{ role: 'user', content: [image('https://example.com/a.png')] }] },
    claude35,
    /fetches no image from a web address/,
  ],
  [
    'a file nobody reads',
    { messages: [{ role: 'user', content: [file('a.zip', 'application/zip')] }] },
    claude35,
    /does not take application\/zip/,
  ],
  [
    'nothing to say',
    { messages: [{ role: 'system', content: 'A' }] },
    claude35,
    /at least one message/,
  ],
]
describe('what Bedrock lacks', () => {
  for (const [name, asked, model, said] of refusals)
    it(`is refused: ${name}`, () =>
      assert.throws(
        () => encode(asked, model),
        (error) => GatewayError.is(error) && said.test(error.message),
      ))

  it('is left out and told with drop_params, or let through by the row', () => {
    const asked = {
      n: 2,
      seed: 1,
      messages: [
        {
          role: 'user',
          content: [{ type: 'text', text: 'x' }, image('https://example.com/a.png')],
        },
      ],
    }
    const { body, dropped } = encode(
      asked,
      claude35,
      {},
      { dropParams: true, allowedParams: ['seed'] },
    )
    assert.deepEqual(body, { messages: [user], additionalModelRequestFields: { seed: 1 } })
    assert.deepEqual(dropped, ['messages.image', 'n'])
  })

  it('the row’s own list is refused or left out', () => {
    const to = { quirks: { unsupported: ['temperature'] } }
    assert.throws(() => encode({ temperature: 1 }, claude35, {}, to), /\['temperature'\]/)
    const { body, dropped } = encode({ temperature: 1 }, claude35, {}, { ...to, dropParams: true })
    assert.deepEqual([body, dropped], [{ messages: [user] }, ['temperature']])
  })
})

test('model ids are one segment of the path, however they look', () => {
  const to = { provider: 'bedrock', quirks: {}, info: {}, dropParams: false, modifyParams: false }
  const path = (model: string, stream: boolean) => bedrockConverse.path({ ...to, model }, stream)
  assert.equal(
    path('us.amazon.nova-lite-v1:0', false),
    '/model/us.amazon.nova-lite-v1%3A0/converse',
  )
  assert.equal(
    path('arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1', true),
    '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1/converse-stream',
  )
  assert.equal(
    path('converse/us-east-1/anthropic.claude-v2:1', false),
    '/model/anthropic.claude-v2%3A1/converse',
  )
  assert.equal(
    path('nova-2/arn:aws:bedrock:us-east-1:1:custom/x', false),
    '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Acustom%2Fx/converse',
  )
})

test('what an ARN is, its row may tell', () => {
  const arn = 'arn:aws:bedrock:us-east-1:1:application-inference-profile/a1'
  const sent = (model: string, info: JsonObject) =>
    encode({ reasoning_effort: 'low', max_tokens: 5000 }, model, info).body
      .additionalModelRequestFields
  assert.deepEqual(sent(arn, {}), { thinking: { type: 'enabled', budget_tokens: 1024 } })
  const nova = { reasoningConfig: { type: 'enabled', maxReasoningEffort: 'low' } }
  assert.deepEqual(sent(arn, { base_model: 'amazon.nova-2-lite-v1:0' }), nova)
  assert.deepEqual(sent(`nova-2/${arn}`, {}), nova)
})

const words = fc.constantFrom('', ' ', 'a', 'b\n', '✓')
const leaf: fc.Arbitrary<Part> = fc.oneof(
  fc.record({
    type: fc.constant('text' as const),
    text: words,
    cache: fc.constantFrom({}, { ttl: '1h' as const }),
  }),
  fc.record({ type: fc.constant('reasoning' as const), text: words, signature: words }),
  fc.record({
    type: fc.constant('tool-call' as const),
    id: words,
    name: words,
    input: fc.constantFrom('', '{}', '{', '[]'),
  }),
)
const result: fc.Arbitrary<Part> = fc.record({
  type: fc.constant('tool-result' as const),
  id: words,
  parts: fc.array(leaf, { maxLength: 2 }),
  failed: fc.boolean(),
})
const message: fc.Arbitrary<Message> = fc.record({
  role: fc.constantFrom('system', 'user', 'assistant', 'tool'),
  parts: fc.array(fc.oneof(leaf, result), { maxLength: 4 }),
})

test('whatever was said: turns alternate, nothing is blank, calls have names, ids are unique', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), fc.boolean(), (messages, modifyParams) => {
      const before = JSON.stringify(messages)
      const to = {
        provider: 'bedrock',
        model: claude37,
        quirks: {},
        info: thinker,
        dropParams: false,
        modifyParams,
      }
      let body: JsonObject
      try {
        body = bedrockConverse.encodeRequest(
          { model: 'm', messages, tools: [], stream: false, extras: {} },
          to,
        ).body
      } catch (error) {
        assert.ok(GatewayError.is(error))
        return
      }
      assert.equal(JSON.stringify(messages), before)
      const turns = list(body.messages).map(object)
      for (const [at, turn] of turns.entries()) assert.notEqual(turn.role, turns[at - 1]?.role)
      const blocks = turns.flatMap((turn) => list(turn.content).map(object))
      const ids = blocks.flatMap((block) => text(object(block.toolUse).toolUseId) ?? [])
      assert.equal(new Set(ids).size, ids.length)
      for (const id of ids) assert.match(id, /^[a-zA-Z0-9_-]{1,64}$/)
      for (const block of blocks) {
        assert.equal(Object.keys(block).length, 1)
        if (block.text !== undefined) assert.notEqual(text(block.text)?.trim(), '')
      }
      if (blocks.some((block) => block.toolUse ?? block.toolResult))
        assert.ok(list(object(body.toolConfig).tools).length > 0)
      if (modifyParams) assert.equal(turns[0]?.role, 'user')
    }),
    { numRuns: 300 },
  )
})

test('Anthropic’s clients: effort and adaptive thinking reach Claude', () => {
  const request = anthropic.decodeRequest({
    model: 'public',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'x' }],
    thinking: { type: 'adaptive' },
    output_config: { effort: 'high' },
    context_management: { edits: [] },
  })
  const to = {
    provider: 'bedrock',
    model: 'us.anthropic.claude-opus-4-7',
    quirks: {},
    info: newest,
    dropParams: false,
    modifyParams: false,
  }
  assert.deepEqual(bedrockConverse.encodeRequest(request, to).body, {
    messages: [user],
    inferenceConfig: { maxTokens: 100 },
    additionalModelRequestFields: {
      thinking: { type: 'adaptive' },
      output_config: { effort: 'high' },
      context_management: { edits: [] },
    },
  })
})
