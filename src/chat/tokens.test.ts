import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Json } from '../json/json.ts'
import type { Encoder, EncodingName } from './bpe.ts'
import { type ChatRequest, inputTokens, outputTokens, type Part } from './chat.ts'
import { estimateTokens } from './estimate.ts'
import { loadTokenizers } from './tokenizer.node.ts'
import { countedUsage, createTokenCounter, encodingOf, type TokenCounter } from './tokens.ts'

const encodings: [model: string, encoding: EncodingName][] = [
  ['gpt-4o', 'o200k_base'],
  ['gpt-4.1-mini', 'o200k_base'],
  ['chatgpt-4o-latest', 'o200k_base'],
  ['gpt-5-nano', 'o200k_base'],
  ['o3', 'o200k_base'],
  ['claude-sonnet-4-5', 'o200k_base'],
  ['', 'o200k_base'],
  ['gpt-4', 'cl100k_base'],
  ['gpt-4-turbo', 'cl100k_base'],
  ['gpt-3.5-turbo-16k', 'cl100k_base'],
  ['azure/gpt-35-turbo', 'cl100k_base'],
  ['ft:gpt-4-0613:us', 'cl100k_base'],
  ['openrouter/openai/gpt-4-1106-preview', 'cl100k_base'],
  ['text-embedding-3-small', 'cl100k_base'],
]

const parameters = {
  type: 'object',
  properties: {
    city: { type: 'string', description: 'Name of the city' },
    unit: { type: 'string', enum: ['c', 'f'] },
    days: { type: 'integer' },
    spots: {
      type: 'array',
      items: {
        type: 'object',
        properties: { lat: { type: 'number' }, lon: { type: 'number' } },
        required: ['lat'],
      },
    },
  },
  required: ['city'],
}
const description = 'Current weather of a city'
const none = { type: 'object', properties: {} }
const tools: Json = [
  { type: 'function', function: { name: 'get_weather', description, parameters } },
  { type: 'function', function: { name: 'now', parameters: none } },
]
const asked = { role: 'user', content: 'weather in Paris?' }
const terse = { role: 'system', content: 'You are terse.' }
const forced = { type: 'function', function: { name: 'get_weather' } }
const lowImage = { type: 'image_url', image_url: { url: 'https://x/y.png', detail: 'low' } }

/** Counted by LiteLLM 1.107's token_counter. */
const counted: [
  name: string,
  messages: Json[],
  tools: Json | undefined,
  choice: Json | undefined,
  gpt4o: number,
  gpt4: number,
][] = [
  ['one message', [{ role: 'user', content: 'Hello, how are you?' }], undefined, undefined, 13, 13],
  [
    'a name',
    [terse, { role: 'user', name: 'ada', content: 'Hello' }],
    undefined,
    undefined,
    18,
    18,
  ],
  [
    'content in parts',
    [{ role: 'user', content: [{ type: 'text', text: 'What is in this picture?' }] }],
    undefined,
    undefined,
    13,
    13,
  ],
  ['tools', [asked], tools, undefined, 88, 90],
  ['tools beside a system message', [terse, asked], tools, undefined, 92, 94],
  ['tools, none to be called', [asked], tools, 'none', 89, 91],
  ['tools, one to be called', [asked], tools, forced, 97, 99],
  [
    'an image in low detail',
    [{ role: 'user', content: [{ type: 'text', text: 'a' }, lowImage] }],
    undefined,
    undefined,
    93,
    93,
  ],
]

const user = (...content: Json[]): Json[] => [{ role: 'user', content }]
const nested = { type: 'tool_result', content: [{ type: 'text', text: 'hello world' }] }
/** Tokens beside those of an empty message of the user. */
const blocks: [name: string, content: Json, tokens: number][] = [
  ['text of the Responses API', { type: 'input_text', text: 'hello world' }, 2],
  ['a string in a list', 'hello world', 2],
  ['thinking', { type: 'thinking', thinking: 'hello world', signature: 'A'.repeat(500) }, 2],
  ['redacted thinking', { type: 'redacted_thinking', data: 'A'.repeat(500) }, 0],
  ['a refusal', { type: 'refusal', refusal: 'hello world' }, 2],
  ['an image that may be anything', { type: 'image_url', image_url: 'https://x/y.png' }, 765],
  [
    'an image of the Responses API',
    { type: 'input_image', image_url: 'https://x/y.png', detail: 'low' },
    85,
  ],
  ["Anthropic's image", { type: 'image', source: { type: 'url', url: 'https://x/y.png' } }, 765],
  [
    'a document in words',
    { type: 'document', title: 'hello', source: { type: 'text', data: 'hello world' } },
    3,
  ],
  ['a document in blocks', { type: 'document', source: { type: 'content', content: [nested] } }, 2],
  [
    'a file',
    {
      type: 'file',
      file: { filename: 'hello', file_data: `data:application/pdf;base64,${'A'.repeat(100)}` },
    },
    2001,
  ],
  ['a text file', { type: 'input_file', file_data: `data:text/csv;base64,${'A'.repeat(400)}` }, 75],
  ['audio', { type: 'input_audio', input_audio: { data: 'A'.repeat(64_000), format: 'mp3' } }, 30],
  ['a video', { type: 'video_url', video_url: { url: 'https://x/y.mp4' } }, 8700],
  [
    'a call of a tool',
    { type: 'tool_use', id: 'toolu_1', name: 'hello', input: { id: 'world' } },
    8,
  ],
  [
    'a result of a tool',
    { type: 'tool_result', tool_use_id: 'toolu_1', content: 'hello world' },
    2,
  ],
  ['results in results', { type: 'tool_result', content: [nested] }, 2],
  ['a block from tomorrow', { type: 'tomorrow', id: 'x', text: 'hello world', n: [1, true] }, 4],
  ['a block named as an inherited key', { type: 'constructor' }, 0],
  ['neither text nor block', 42, 0],
]

const text = (said: string): Part => ({ type: 'text', text: said })
const request = (rest: Partial<ChatRequest>): ChatRequest => ({
  model: 'gpt-4o',
  messages: [],
  tools: [],
  stream: false,
  extras: {},
  ...rest,
})
/** The same request in the house's words and in OpenAI's. */
const twins: [
  name: string,
  house: Partial<ChatRequest>,
  messages: Json[],
  tools?: Json,
  choice?: Json,
][] = [
  [
    'words',
    {
      messages: [
        { role: 'system', parts: [text('Be brief.')] },
        { role: 'user', name: 'ada', parts: [text('Hi there')] },
      ],
    },
    [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', name: 'ada', content: 'Hi there' },
    ],
  ],
  [
    'a call and its result',
    {
      messages: [
        {
          role: 'assistant',
          parts: [{ type: 'tool-call', id: 'c1', name: 'get_weather', input: '{"city":"Paris"}' }],
        },
        {
          role: 'tool',
          parts: [{ type: 'tool-result', id: 'c1', parts: [text('sunny')], failed: false }],
        },
      ],
    },
    [
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'c1',
            type: 'function',
            function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
    ],
  ],
  [
    'tools, one to be called',
    {
      messages: [{ role: 'user', parts: [text('weather?')] }],
      tools: [{ type: 'function', name: 'get_weather', description, schema: parameters }],
      toolChoice: { name: 'get_weather' },
    },
    [{ role: 'user', content: 'weather?' }],
    [{ type: 'function', function: { name: 'get_weather', description, parameters } }],
    forced,
  ],
  [
    'pictures and sounds',
    {
      messages: [
        {
          role: 'user',
          parts: [
            {
              type: 'media',
              media: 'image',
              source: { type: 'url', url: 'https://x/y.png' },
              detail: 'low',
            },
            {
              type: 'media',
              media: 'audio',
              source: { type: 'bytes', base64: 'A'.repeat(64_000), mime: 'audio/mp3' },
            },
            { type: 'media', media: 'file', source: { type: 'id', id: 'file-1' }, name: 'a.pdf' },
          ],
        },
      ],
    },
    [
      {
        role: 'user',
        content: [
          lowImage,
          { type: 'input_audio', input_audio: { data: 'A'.repeat(64_000), format: 'mp3' } },
          { type: 'file', file: { file_id: 'file-1', filename: 'a.pdf' } },
        ],
      },
    ],
  ],
]

const fill = (unit: string, length: number): string =>
  unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
/** Random, the same each time: the worst there is for a merge. */
const prose = (length: number): string =>
  fill(
    'The gateway keeps the keys, counts what was used, and asks 3 others when one is silent.\nNobody notices; 网关很安静。 ',
    length,
  )

let counter: TokenCounter
const rough = createTokenCounter()
before(async () => {
  counter = createTokenCounter({ encoderFor: await loadTokenizers() })
})

describe('tokens', () => {
  for (const [model, encoding] of encodings)
    test(`${model || 'no model'} reads ${encoding}`, () => {
      assert.equal(encodingOf(model), encoding)
      assert.equal(counter.tokenizer(model), encoding)
      assert.equal(rough.tokenizer(model), 'estimate')
    })

  for (const [name, messages, with_, choice, gpt4o, gpt4] of counted)
    test(`as LiteLLM counts: ${name}`, () => {
      const count = (model: string) => counter.countMessages(messages, with_, model, choice)
      assert.deepEqual([count('gpt-4o'), count('gpt-4')], [gpt4o, gpt4])
    })

  for (const [name, content, tokens] of blocks)
    test(`block: ${name}`, () => {
      const count = (messages: Json[]) => counter.countMessages(messages, undefined, 'gpt-4o')
      assert.equal(count(user(content)) - count(user()), tokens)
    })

  for (const [name, house, messages, with_, choice] of twins)
    test(`decoded and undecoded count the same: ${name}`, () => {
      assert.equal(
        counter.countRequest(request(house), 'gpt-4o'),
        counter.countMessages(messages, with_, 'gpt-4o', choice),
      )
    })

  test('a schema to answer in, custom and server tools are read by the model too', () => {
    const bare = counter.countRequest(request({}), 'gpt-4o')
    const more = (rest: Partial<ChatRequest>) =>
      counter.countRequest(request(rest), 'gpt-4o') - bare
    assert.equal(bare, 3)
    assert.ok(more({ output: { type: 'schema', name: 'answer', schema: parameters } }) > 30)
    assert.ok(more({ tools: [{ type: 'custom', name: 'sql', description: 'Runs SQL' }] }) > 4)
    assert.ok(
      more({
        tools: [{ type: 'server', wire: 'anthropic', value: { type: 'web_search', max_uses: 3 } }],
      }) > 4,
    )
    assert.equal(more({ output: { type: 'json' }, toolChoice: 'auto' }), 0)
  })

  test('what was written goes into the buckets of usage', () => {
    const parts: Part[] = [
      { type: 'reasoning', text: 'hello world', signature: 'A'.repeat(500) },
      text('hello world'),
      { type: 'tool-call', id: 'c1', name: 'hello', input: 'world' },
      { type: 'media', media: 'image', source: { type: 'url', url: 'https://x/y.png' } },
      {
        type: 'media',
        media: 'audio',
        source: { type: 'bytes', base64: 'A'.repeat(64_000), mime: 'audio/mp3' },
      },
    ]
    const written = counter.countOutput([{ parts }, { parts: [text('hello')] }], 'gpt-4o')
    assert.deepEqual(written, { output: 8, reasoning: 2, outputAudio: 30, outputImage: 1290 })
    const usage = countedUsage(13, written)
    assert.equal(usage.estimated, true)
    assert.deepEqual([inputTokens(usage), outputTokens(usage)], [13, 1330])
  })

  test('exact up to the limit, reckoned above it within 3 %, and it says which', () => {
    const long = prose(1_000_000)
    const parts = Array.from({ length: 10_000 }, (_, i) => long.slice(i * 100, i * 100 + 100))
    assert.equal(counter.count([prose(100_000)], 'gpt-4o').exact, true)
    assert.equal(counter.count(parts.slice(0, 1000), 'gpt-4o').exact, true)
    assert.equal(rough.count(['a'], 'gpt-4o').exact, false)
    for (const model of ['azure/o3', 'openai/gpt-oss-20b', 'ft:gpt-4-0613:us'])
      assert.deepEqual(counter.count(['a'], model), { tokens: 1, exact: true })
    for (const model of ['claude-sonnet-4-5', 'gemini/gemini-2.5-pro', 'groq/llama-3.3-70b'])
      assert.deepEqual(counter.count(['a'], model), { tokens: 1, exact: false })
    const sum = parts.reduce((total, said) => total + counter.countText(said, 'gpt-4o'), 0)
    const whole = counter.countText(prose(100_000), 'gpt-4o') * 10
    for (const [texts, expected] of [
      [[long], whole],
      [parts, sum],
    ] as const) {
      const { tokens, exact } = counter.count(texts, 'gpt-4o')
      assert.equal(exact, false)
      assert.ok(Math.abs(tokens / expected - 1) < 0.03, `${tokens} for ${expected}`)
    }
  })

  test('the limit is one of bytes: Chinese reaches it at a third of the characters', () => {
    assert.equal(counter.count([fill('你好', 43_000)], 'gpt-4o').exact, true)
    assert.equal(counter.count([fill('你好', 44_000)], 'gpt-4o').exact, false)
    assert.equal(counter.count([fill('你好', 44_000)], 'gpt-4o').tokens, 22_000)
  })

  test('an encoder that comes later is used when it comes', async () => {
    let encoderFor: ((model: string) => Encoder) | undefined
    const late = createTokenCounter({ encoderFor: (model) => encoderFor?.(model) })
    assert.equal(
      late.countText('antidisestablishmentarianism', 'gpt-4o'),
      estimateTokens('antidisestablishmentarianism'),
    )
    encoderFor = await loadTokenizers()
    assert.equal(late.tokenizer('gpt-4o'), 'o200k_base')
    assert.equal(late.countText('antidisestablishmentarianism', 'gpt-4o'), 6)
  })

  test('any JSON can be counted', () => {
    const types = fc.constantFrom(...blocks.map(([, block]) => block))
    const messages = fc.array(
      fc.oneof(
        fc.jsonValue(),
        types.map((block) => user(block)[0]),
        fc.record({
          role: fc.jsonValue(),
          content: fc.array(fc.jsonValue()),
          tool_calls: fc.jsonValue(),
        }),
      ),
    )
    fc.assert(
      fc.property(messages, fc.jsonValue(), fc.jsonValue(), (said, with_, choice) => {
        const raw: unknown = JSON.parse(JSON.stringify([said, with_, choice]))
        assert.ok(Array.isArray(raw))
        const tokens = counter.countMessages(raw[0], raw[1], 'gpt-4o', raw[2])
        assert.ok(Number.isSafeInteger(tokens) && tokens >= 3 + 3 * said.length)
      }),
    )
  })

  test('depth does not matter', () => {
    let value: Json = 'x'
    let results: Json = 'hello'
    for (let i = 0; i < 100_000; i++) {
      value = [value]
      results = [{ type: 'tool_result', content: results }]
    }
    const messages = user({ type: 'tomorrow', value }, { type: 'tool_result', content: results })
    assert.ok(counter.countMessages(messages, undefined, 'gpt-4o') > 3)
  })
})
