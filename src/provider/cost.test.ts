import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inputTokens, noUsage, type Usage } from '../chat/chat.ts'
import { loadCatalogue } from './catalogue.node.ts'
import type { ModelInfo } from './catalogue.ts'
import { type Asked, costOf, type PriceOptions, priceOf, tierOf } from './cost.ts'

const catalogue = await loadCatalogue({ env: () => undefined })
const entry = (provider: string, model: string): ModelInfo => {
  const found = catalogue.find(provider, model)
  assert.ok(found, `${provider}/${model} is in the catalogue`)
  return found.info
}

type Row = [
  name: string,
  provider: string,
  model: string,
  used: Partial<Usage>,
  nanoDollars: number,
  options?: PriceOptions,
  asked?: Asked,
]

/** Worked out by hand from the price list: tokens × dollars per million × 1000 nano-dollars. */
const rows: Row[] = [
  // gpt-5.5: 5 in, 30 out, 0.5 cached; beyond 272k 10, 45 and 1.
  ['text', 'openai', 'gpt-5.5', { input: 1000, output: 100 }, 5_000_000 + 3_000_000],
  ['thoughts cost what output costs', 'openai', 'gpt-5.5', { reasoning: 10 }, 300_000],
  ['read from cache', 'openai', 'gpt-5.5', { input: 10, cacheRead: 100 }, 50_000 + 50_000],
  [
    '272,000 tokens are not beyond it',
    'openai',
    'gpt-5.5',
    { input: 271_000, cacheRead: 1000 },
    1_355_000_000 + 500_000,
  ],
  [
    'beyond it everything costs more',
    'openai',
    'gpt-5.5',
    { input: 271_000, cacheRead: 1001, output: 1 },
    2_710_000_000 + 1_001_000 + 45_000,
  ],
  [
    'flex',
    'openai',
    'gpt-5.5',
    { input: 1000, cacheRead: 10, output: 10 },
    2_500_000 + 2500 + 150_000,
    { serviceTier: 'flex' },
  ],
  [
    'priority',
    'openai',
    'gpt-5.5',
    { input: 1000, cacheRead: 10, output: 10 },
    12_500_000 + 12_500 + 750_000,
    { serviceTier: 'priority' },
  ],
  ['fast is priority', 'openai', 'gpt-5.5', { input: 1000 }, 12_500_000, { serviceTier: 'fast' }],
  [
    'priority beyond 272k has no price: the standard one beyond it',
    'openai',
    'gpt-5.5',
    { input: 300_000 },
    3_000_000_000,
    { serviceTier: 'priority' },
  ],
  [
    'flex beyond 272k',
    'openai',
    'gpt-5.5',
    { input: 300_000, output: 10 },
    1_500_000_000 + 225_000,
    { serviceTier: 'flex' },
  ],
  [
    'batch',
    'openai',
    'gpt-5.5',
    { input: 1000, cacheRead: 10, output: 10 },
    2_500_000 + 2500 + 150_000,
    { serviceTier: 'batch' },
  ],
  [
    'batch beyond 272k',
    'openai',
    'gpt-5.5',
    { input: 300_000, output: 10 },
    1_500_000_000 + 225_000,
    { serviceTier: 'batch' },
  ],
  [
    'a tier nobody prices',
    'openai',
    'gpt-5.5',
    { input: 1000 },
    5_000_000,
    { serviceTier: 'constructor' },
  ],
  [
    'a host in the EU',
    'openai',
    'gpt-5.5',
    { input: 1000, output: 100 },
    8_800_000,
    { residency: 'EU' },
  ],
  ['web searches', 'openai', 'gpt-5.5', { searches: 3 }, 30_000_000],
  ['file searches', 'openai', 'gpt-5.5', {}, 5_000_000, {}, { units: { fileSearches: 2 } }],
  [
    'code sessions',
    'openai',
    'gpt-5.5',
    {},
    30_000_000,
    { codeSession: 0.03 },
    { units: { codeSessions: 1 } },
  ],
  // claude-sonnet-4-5: 3 in, 15 out, 0.3 read, 3.75 and 6 written.
  [
    'cache writes for 5 minutes and an hour',
    'anthropic',
    'claude-sonnet-4-5',
    { cacheWrite: 100, cacheWrite1h: 10, cacheRead: 1000 },
    375_000 + 60_000 + 300_000,
  ],
  [
    'Anthropic batch',
    'anthropic',
    'claude-sonnet-4-5',
    { input: 100, output: 10 },
    150_000 + 75_000,
    { serviceTier: 'batch' },
  ],
  // claude-opus-5: 5 in, 25 out, 1.1 times in the US, twice when fast.
  [
    'Anthropic in the US',
    'anthropic',
    'claude-opus-5',
    { input: 1000, output: 10, raw: { inference_geo: 'US' } },
    5_775_000,
  ],
  [
    'Anthropic fast in the US',
    'anthropic',
    'claude-opus-5',
    { input: 1000, output: 10, raw: { inference_geo: 'us', speed: 'fast' } },
    11_550_000,
  ],
  ['fast, as asked', 'anthropic', 'claude-opus-5', { input: 1000 }, 10_000_000, {}, { fast: true }],
  [
    'standard, as told',
    'anthropic',
    'claude-opus-5',
    { input: 1000, raw: { speed: 'standard' } },
    5_000_000,
    {},
    { fast: true },
  ],
  [
    'searches are not multiplied',
    'anthropic',
    'claude-opus-5',
    { searches: 1, raw: { inference_geo: 'us' } },
    10_000_000,
  ],
  // Bedrock's sonnet 4.5: beyond 200k 6 in, 22.5 out, 0.6 read, 7.5 and 12 written.
  [
    'every bucket beyond 200k',
    'bedrock',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    { input: 200_000, cacheRead: 1, cacheWrite: 1, cacheWrite1h: 1, output: 1 },
    1_320_000_000 + 660 + 8250 + 13_200 + 24_750,
  ],
  // gemini-2.5-pro: one price per grounded prompt, however many searches.
  ['Gemini 2: one price per prompt', 'gemini', 'gemini-2.5-pro', { searches: 4 }, 35_000_000],
  [
    'Google Maps, per prompt',
    'gemini',
    'gemini-2.5-pro',
    {},
    25_000_000,
    {},
    { units: { mapQueries: 3 } },
  ],
  // grok-4.3: 1.25 in, 2.5 out; from 200k on 2.5 and 5.
  ['xAI below its threshold', 'xai', 'grok-4.3', { input: 199_999 }, 249_998_750],
  [
    'xAI at its threshold',
    'xai',
    'grok-4.3',
    { input: 200_000, reasoning: 2 },
    500_000_000 + 10_000,
  ],
  [
    'xAI says what it charged',
    'xai',
    'grok-4.3',
    { input: 5, raw: { cost_in_usd_ticks: 123_450 } },
    12_345,
  ],
  [
    'unless the operator has own prices',
    'xai',
    'grok-4.3',
    { input: 4, raw: { cost_in_usd_ticks: 123_450 } },
    5000,
    { ownPrices: true },
  ],
  // qwen-plus: up to 256k 0.4 in, 1.2 out, 4 for thoughts; then 1.2, 3.6 and 12.
  [
    'a table of tiers',
    'dashscope',
    'qwen-plus-latest',
    { input: 255_999, cacheRead: 1, output: 10, reasoning: 10 },
    102_400_000 + 12_000 + 40_000,
  ],
  [
    'its second tier',
    'dashscope',
    'qwen-plus-latest',
    { input: 256_001, output: 10, reasoning: 10 },
    307_201_200 + 36_000 + 120_000,
  ],
  ['beyond its end', 'dashscope', 'qwen-plus-latest', { input: 2_000_000 }, 2_400_000_000],
  // Not in tokens.
  [
    'speech by character',
    'openai',
    'tts-1',
    { input: 7 },
    1_500_000,
    {},
    { units: { characters: 100 } },
  ],
  [
    'a transcription by second',
    'openai',
    'whisper-1',
    {},
    1_050_000,
    {},
    { units: { seconds: 10.5 } },
  ],
  ['a film by second', 'openai', 'sora-2', {}, 800_000_000, {}, { units: { seconds: 8 } }],
  [
    'pages, and pages with annotations',
    'mistral',
    'mistral-ocr-latest',
    {},
    12_000_000 + 5_000_000,
    {},
    { units: { pages: 3, annotatedPages: 1 } },
  ],
  [
    'pages in a batch',
    'mistral',
    'mistral-ocr-latest',
    {},
    6_000_000,
    { serviceTier: 'batch' },
    { units: { pages: 3 } },
  ],
  [
    'a search by its results',
    'exa_ai',
    'exa_ai/search',
    {},
    50_000_000,
    {},
    { units: { queries: 2, maxResults: 26 } },
  ],
]
for (const [name, provider, model, used, nanoDollars, options, asked] of rows) {
  test(`cost: ${name}`, () => {
    const cost = costOf({ ...noUsage, ...used }, priceOf(entry(provider, model), options), asked)
    assert.equal(cost.nanoDollars, nanoDollars)
    assert.equal(cost.priced, true)
  })
}

const made: [
  name: string,
  info: ModelInfo,
  used: Partial<Usage>,
  nanoDollars: number,
  asked?: Asked,
  options?: PriceOptions,
][] = [
  ['a price as text', { input_cost_per_token: '3e-7' }, { input: 10 }, 3000],
  [
    'a price that is none',
    { input_cost_per_token: 'cheap', output_cost_per_token: -1 },
    { input: 10, output: 10 },
    0,
  ],
  [
    'a cache without a price is input',
    { input_cost_per_token: 1e-6 },
    { cacheRead: 3, cacheWrite: 2, cacheWrite1h: 1 },
    6000,
  ],
  [
    'a cache that is free is free',
    { input_cost_per_token: 1e-6, cache_read_input_token_cost: 0 },
    { cacheRead: 3 },
    0,
  ],
  [
    'Fireworks reads its cache at half',
    { litellm_provider: 'fireworks_ai', input_cost_per_token: 1e-6 },
    { cacheRead: 4 },
    2000,
  ],
  [
    'sound without a price is text',
    { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 },
    { inputAudio: 2, outputAudio: 3 },
    8000,
  ],
  [
    'sound with one',
    { input_cost_per_audio_token: 5e-6, output_cost_per_audio_token: 9e-6 },
    { inputAudio: 2, outputAudio: 3 },
    37_000,
  ],
  [
    'sound read from cache',
    { cache_read_input_token_cost: 1e-6, cache_read_input_audio_token_cost: 4e-6 },
    { cacheRead: 5 },
    11_000,
    { units: { cachedAudio: 2 } },
  ],
  [
    'film among the input',
    { input_cost_per_token: 1e-6, input_cost_per_video_token: 3e-6 },
    { input: 5 },
    9000,
    { units: { inputVideo: 2 } },
  ],
  [
    'more film than input',
    { input_cost_per_token: 1e-6, input_cost_per_video_token: 3e-6 },
    { input: 2 },
    6000,
    { units: { inputVideo: 99 } },
  ],
  [
    'only images are written',
    { output_cost_per_image_token: 4e-6 },
    { output: 2, outputImage: 1 },
    12_000,
  ],
  [
    'thoughts with their own price',
    { output_cost_per_token: 1e-6, output_cost_per_reasoning_token: 3e-6 },
    { output: 1, reasoning: 1 },
    4000,
  ],
  [
    'a tier for output is one for thoughts',
    {
      output_cost_per_token: 1e-6,
      output_cost_per_reasoning_token: 3e-6,
      output_cost_per_token_flex: 5e-7,
    },
    { reasoning: 2 },
    1000,
    {},
    { serviceTier: 'flex' },
  ],
  [
    'thresholds add up',
    {
      input_cost_per_token: 1e-6,
      input_cost_per_token_above_128k_tokens: 2e-6,
      output_cost_per_token: 1e-6,
      output_cost_per_token_above_256k_tokens: 5e-6,
    },
    { input: 300_000, output: 1 },
    600_005_000,
  ],
  [
    'a threshold in plain tokens',
    { input_cost_per_token: 1e-6, input_cost_per_token_above_100_tokens: 2e-6 },
    { input: 101 },
    202_000,
  ],
  [
    'a batch without a price is half',
    { input_cost_per_token: 1e-6, output_cost_per_token: 4e-6 },
    { input: 3, output: 1, reasoning: 1 },
    5500,
    {},
    { serviceTier: 'batch' },
  ],
  [
    'time, where tokens have no price',
    { mode: 'chat', output_cost_per_second: 0.001 },
    { input: 50 },
    2_500_000,
    { units: { seconds: 2.5 } },
  ],
  [
    'no time where they have one',
    { mode: 'chat', input_cost_per_token: 1e-6, output_cost_per_second: 0.001 },
    { input: 50 },
    50_000,
    { units: { seconds: 2.5 } },
  ],
  [
    'images by the piece',
    { mode: 'image_generation', output_cost_per_image: 0.04 },
    {},
    80_000_000,
    { units: { images: 2 } },
  ],
  [
    'images by size',
    { mode: 'image_generation', output_cost_per_image: 0.04, output_cost_per_image_4K: 0.1 },
    {},
    100_000_000,
    { units: { images: 1, resolution: '4K' } },
  ],
  [
    'a size nobody prices',
    { mode: 'image_generation', output_cost_per_image: 0.04 },
    {},
    40_000_000,
    { units: { images: 1, resolution: '__proto__' } },
  ],
  [
    'images by pixel',
    { mode: 'image_generation', input_cost_per_pixel: 2e-8 },
    {},
    20_971_520,
    { units: { images: 1, pixels: 1024 * 1024 } },
  ],
  [
    'images by token, where they are counted',
    { mode: 'image_generation', output_cost_per_image: 0.04, output_cost_per_image_token: 1e-5 },
    { outputImage: 100 },
    1_000_000,
    { units: { images: 1 } },
  ],
  [
    'images that an embedding reads',
    { mode: 'embedding', input_cost_per_image: 0.0001, input_cost_per_token: 1e-6 },
    { input: 1, inputImage: 500 },
    201_000,
    { units: { images: 2 } },
  ],
  [
    'a film by its size',
    { mode: 'video_generation', output_cost_per_second: 0.1, output_cost_per_second_1080p: 0.3 },
    {},
    1_200_000_000,
    { units: { seconds: 4, resolution: '1080P' } },
  ],
  [
    'Vertex outside its global place',
    { input_cost_per_token: 1e-6, regional_endpoint_uplift_multiplier: 1.1 },
    { input: 100 },
    110_000,
    {},
    { location: 'us-east5' },
  ],
  [
    'Vertex global',
    { input_cost_per_token: 1e-6, regional_endpoint_uplift_multiplier: 1.1 },
    { input: 100 },
    100_000,
    {},
    { location: 'global' },
  ],
  [
    'Perplexity says what it charged',
    { litellm_provider: 'perplexity', input_cost_per_token: 1e-6 },
    { input: 9, raw: { cost: { total_cost: 0.0061 } } },
    6_100_000,
  ],
  [
    'search sizes',
    {
      search_context_cost_per_query: {
        search_context_size_low: 0.01,
        search_context_size_high: 0.03,
      },
    },
    { searches: 2 },
    60_000_000,
    { searchSize: 'high' },
  ],
  [
    'nonsense counts',
    { input_cost_per_token: 1e-6, output_cost_per_token: 1e-6 },
    { input: Number.NaN, output: -5, cacheRead: Number.POSITIVE_INFINITY, reasoning: 1 },
    1000,
  ],
  [
    'more than a bank holds',
    { input_cost_per_token: 1e9 },
    { input: 1e14 },
    Number.MAX_SAFE_INTEGER,
  ],
  // One rounding, half to even, of the sum.
  ['half, down to even', { input_cost_per_token: 2.5e-9 }, { input: 1 }, 2],
  ['half, up to even', { input_cost_per_token: 3.5e-9 }, { input: 1 }, 4],
  [
    'halves are added before they are rounded',
    { input_cost_per_token: 5e-10, output_cost_per_token: 5e-10 },
    { input: 1, output: 1 },
    1,
  ],
]
for (const [name, info, used, nanoDollars, asked, options] of made) {
  test(`made up: ${name}`, () => {
    assert.equal(
      costOf({ ...noUsage, ...used }, priceOf(info, options), asked).nanoDollars,
      nanoDollars,
    )
  })
}

test('what a provider says it charged counts also where nobody listed a price', () => {
  const usage = { ...noUsage, input: 5, raw: { cost: 0.000_25 } }
  const cost = costOf(usage, priceOf({}, { provider: 'openrouter' }))
  assert.deepEqual([cost.nanoDollars, cost.priced], [250_000, true])
})

test('a model without a price costs nothing, and says so', () => {
  const cost = costOf({ ...noUsage, input: 5 }, priceOf({ mode: 'chat', max_tokens: 10 }))
  assert.deepEqual([cost.nanoDollars, cost.priced], [0, false])
  assert.equal(costOf({ ...noUsage, input: 5 }, priceOf({ input_cost_per_token: 0 })).priced, true)
})

const night = entry('deepseek', 'deepseek-v4-pro')
const nights: [name: string, at: string, nanoDollars: number][] = [
  // deepseek-v4-pro: 1.32 in by day; 0.66 at 00–01, 04–06 and 10–24 UTC on weekdays, and at weekends.
  ['Wednesday morning', '2026-11-18T02:30:00Z', 1_320_000],
  ['Wednesday at four', '2026-11-18T04:00:00Z', 660_000],
  ['Wednesday at six', '2026-11-18T06:00:00Z', 1_320_000],
  ['Wednesday late', '2026-11-18T23:59:59Z', 660_000],
  ['Saturday morning', '2026-11-21T02:30:00Z', 660_000],
]
for (const [name, at, nanoDollars] of nights) {
  test(`off-peak: ${name}`, () => {
    const cost = costOf({ ...noUsage, input: 1000 }, priceOf(night), { at: Date.parse(at) })
    assert.equal(cost.nanoDollars, nanoDollars)
  })
}
test('off-peak: whose weekday it is', () => {
  const off = {
    input_cost_per_token: 0,
    windows: [{ hours_utc: '16:00-20:00', weekdays: ['Saturday'] }],
  }
  const fridayEvening = Date.parse('2026-11-20T17:00:00Z')
  const cost = (zone: string) =>
    costOf(
      { ...noUsage, input: 1 },
      priceOf({ input_cost_per_token: 1e-6, off_peak_pricing: { ...off, weekday_timezone: zone } }),
      { at: fridayEvening },
    ).nanoDollars
  assert.equal(cost('Asia/Shanghai'), 0)
  assert.equal(cost('UTC'), 1000)
  assert.equal(cost('no/where'), 1000)
})

const tiers: [asked: string | undefined, served: string | undefined, billed: string | undefined][] =
  [
    [undefined, undefined, undefined],
    ['auto', undefined, undefined],
    ['flex', undefined, 'flex'],
    ['flex', 'default', undefined],
    ['auto', 'priority', 'priority'],
    ['priority', 'standard', undefined],
    ['flex', 'unheard of', 'flex'],
    [undefined, 'ON_DEMAND_PRIORITY', 'priority'],
    ['priority', 'ON_DEMAND', undefined],
    ['__proto__', undefined, undefined],
  ]
for (const [asked, served, billed] of tiers)
  test(`tier: asked ${asked}, served ${served}`, () => assert.equal(tierOf(asked, served), billed))

const tokens = fc.integer({ min: 0, max: 400_000 })
const anyUsage = fc.record({
  input: tokens,
  cacheRead: tokens,
  cacheWrite: tokens,
  cacheWrite1h: tokens,
  inputAudio: tokens,
  inputImage: tokens,
  output: tokens,
  reasoning: tokens,
  outputAudio: tokens,
  outputImage: tokens,
  searches: fc.integer({ min: 0, max: 9 }),
})
const infos = [...catalogue.entries()].map(([, info]) => info)
const anyInfo = fc.nat({ max: infos.length - 1 }).map((index) => infos[index] ?? {})
const anyTier = fc.constantFrom(undefined, 'flex', 'priority', 'batch', 'ultrafast', 'balanced')

test('law: an integer, never negative, and the sum of its parts', () => {
  fc.assert(
    fc.property(anyInfo, anyUsage, anyTier, (info, usage, serviceTier) => {
      const cost = costOf(usage, priceOf(info, { serviceTier }))
      const parts = [
        cost.input,
        cost.cacheRead,
        cost.cacheWrite,
        cost.output,
        cost.reasoning,
        cost.tools,
        cost.units,
      ]
      const sum = parts.reduce((total, part) => total + part, 0)
      assert.ok(Number.isSafeInteger(cost.nanoDollars))
      assert.ok(parts.every((part) => part >= 0))
      assert.ok(Math.abs(sum * 1e9 - cost.nanoDollars) <= 0.5 + cost.nanoDollars * 1e-12)
      assert.equal(cost.dollars, cost.nanoDollars / 1e9)
    }),
  )
})

const buckets = [
  'input',
  'cacheRead',
  'cacheWrite',
  'cacheWrite1h',
  'inputAudio',
  'inputImage',
  'output',
  'reasoning',
  'outputAudio',
  'outputImage',
] as const

/** Few enough tokens to stay below every threshold of the list, also when two such requests are added: tables begin at 32,000. */
const few = fc.integer({ min: 0, max: 2000 })
const small = fc.tuple(...buckets.map(() => few)).map((counts) => {
  const usage: Usage = { ...noUsage }
  buckets.forEach((bucket, index) => {
    usage[bucket] = counts[index] ?? 0
  })
  // A table's first tier begins above nothing.
  usage.input += 1
  return usage
})
test('law: below the thresholds two requests cost what one of both costs', () => {
  fc.assert(
    fc.property(anyInfo, small, small, anyTier, (info, a, b, serviceTier) => {
      const price = priceOf(info, { serviceTier })
      if (price.pieces.request !== undefined) return
      const both: Usage = { ...noUsage }
      for (const bucket of buckets) both[bucket] = a[bucket] + b[bucket]
      const cost = (usage: Usage): number => costOf(usage, price).nanoDollars
      // Each of the three was rounded once.
      assert.ok(Math.abs(cost(a) + cost(b) - cost(both)) <= 2)
    }),
  )
})

test('law: more of anything never costs less', () => {
  fc.assert(
    fc.property(
      anyInfo,
      small,
      fc.constantFrom('input', 'cacheRead', 'cacheWrite', 'output', 'reasoning', 'searches'),
      (info, usage, key) => {
        const price = priceOf(info)
        const more = { ...usage, [key]: usage[key] + 100 }
        assert.ok(inputTokens(more) < 32_000, 'the law holds below the thresholds')
        assert.ok(costOf(more, price).nanoDollars >= costOf(usage, price).nanoDollars)
      },
    ),
  )
})
