import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noUsage } from '../chat/chat.ts'
import type { JsonObject } from '../json/json.ts'
import { loadCatalogue } from './catalogue.node.ts'
import { createCatalogue, createCatalogueHolder, infoOf, pricesOf } from './catalogue.ts'
import { costOf, priceOf } from './cost.ts'

const catalogue = await loadCatalogue({ env: () => undefined })

const lookups: [provider: string, model: string, key: string | undefined, region?: string][] = [
  ['openai', 'gpt-5.5', 'gpt-5.5'],
  ['openai', 'openai/gpt-5.5', 'gpt-5.5'],
  ['openai', 'GPT-5.5', 'gpt-5.5'],
  ['openai', 'gpt-5.5-2027-01-31', 'gpt-5.5'],
  // A date without dashes is not taken off: this one is known by its family only.
  ['openai', 'gpt-5.5-20270131', 'openai/gpt-5.5-20270131'],
  ['anthropic', 'gpt-5.5', undefined],
  ['openai', 'ft:gpt-4o-2024-08-06:my-org::abc', 'ft:gpt-4o-2024-08-06'],
  ['openai', 'ft:gpt-4o-2024-08-06:my-org:suffix:abc', 'ft:gpt-4o-2024-08-06'],
  ['azure', 'gpt-4o', 'azure/gpt-4o'],
  ['azure', 'azure/gpt-4o', 'azure/gpt-4o'],
  ['azure', 'gpt-35-turbo', 'azure/gpt-35-turbo'],
  ['azure', 'my-deployment', undefined],
  ['azure_ai', 'gpt-5.5', 'azure_ai/gpt-5.5'],
  ['groq', 'llama-guard-3-8b', 'groq/llama-guard-3-8b'],
  ['gemini', 'gemini-2.5-pro', 'gemini/gemini-2.5-pro'],
  ['gemini', 'gemini-2.5-pro-001', 'gemini/gemini-2.5-pro'],
  ['vertex_ai', 'gemini-2.5-pro', 'gemini-2.5-pro'],
  ['vertex_ai_beta', 'gemini-2.5-flash', 'gemini-2.5-flash'],
  ['vertex_ai', 'claude-opus-4-5@20251101', 'vertex_ai/claude-opus-4-5@20251101'],
  ['vertex_ai', 'claude-opus-4-5@20301231', 'vertex_ai/claude-opus-4-5'],
  ['vertex_ai', 'llama-3.1-405b-instruct-maas', 'vertex_ai/meta/llama-3.1-405b-instruct-maas'],
  ['vertex_ai', 'codestral', 'vertex_ai/codestral@latest'],
  [
    'bedrock',
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
  ],
  [
    'bedrock',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  ],
  ['bedrock', 'us-gov.meta.llama3-1-8b-instruct-v1:0', 'meta.llama3-1-8b-instruct-v1:0'],
  [
    'bedrock',
    'converse/anthropic.claude-sonnet-4-5-20250929-v1:0[1m]',
    'anthropic.claude-sonnet-4-5-20250929-v1:0',
  ],
  ['bedrock', 'anthropic.claude-v2:1', 'anthropic.claude-v2:1'],
  ['bedrock', 'anthropic.claude-v2:1:18k', 'anthropic.claude-v2:1'],
  ['bedrock', 'us-west-2/anthropic.claude-v2:1', 'bedrock/us-west-2/anthropic.claude-v2:1'],
  ['bedrock', 'anthropic.claude-v2:1', 'bedrock/us-west-2/anthropic.claude-v2:1', 'us-west-2'],
  ['bedrock', 'anthropic.claude-v2:1', 'anthropic.claude-v2:1', 'nowhere-1'],
  [
    'bedrock',
    'arn:aws:bedrock:us-east-1:1:inference-profile/anthropic.claude-v2:1',
    'anthropic.claude-v2:1',
  ],
  [
    'fireworks_ai',
    'deepseek-coder-v2-instruct',
    'fireworks_ai/accounts/fireworks/models/deepseek-coder-v2-instruct',
  ],
  ['cohere', 'command-a-03-2025', 'command-a-03-2025'],
  ['ollama_chat', 'codegemma', 'ollama/codegemma'],
  ['github', 'gpt-5.5', 'gpt-5.5'],
  // Nobody listed these: what is known is what their family has.
  ['anthropic', 'claude-newfamily-7', 'anthropic/claude-newfamily-7'],
  ['openai', 'o9-pro', 'openai/o9-pro'],
  ['openai', 'sample_spec', undefined],
  ['openai', 'fallback_generalizations', undefined],
  ['openai', '', undefined],
  ['openai', 'x'.repeat(600), undefined],
  ['__proto__', 'constructor', undefined],
]
for (const [provider, model, key, region] of lookups) {
  test(`look-up: ${provider} ${model.slice(0, 60)} ${region ?? ''}`, () => {
    const found = catalogue.find(provider, model, region)
    assert.equal(found?.key, key)
    assert.equal(catalogue.find(provider, model, region), found, 'the same object every time')
  })
}

const owners: [model: string, provider: string | undefined][] = [
  ['gpt-5.5', 'openai'],
  ['o3', 'openai'],
  ['gpt-image-9', 'openai'],
  ['ft:gpt-4o-2024-08-06:org::id', 'openai'],
  ['gpt-3.5-turbo-instruct', 'text-completion-openai'],
  ['claude-opus-5', 'anthropic'],
  ['claude-nobody-7-1', 'anthropic'],
  ['claude-2', 'anthropic_text'],
  ['gemini-2.5-pro', 'vertex_ai'],
  ['command-a-03-2025', 'cohere_chat'],
  ['jamba-large-1.7', 'ai21_chat'],
  ['anthropic.claude-v2:1', 'bedrock'],
  ['eu.anthropic.claude-9', 'bedrock'],
  [`owner/model:${'0'.repeat(64)}`, 'replicate'],
  ['*', 'openai'],
  ['llama-9', undefined],
  ['ft:gpt-3.5-turbo', 'openai'],
  ['__proto__', undefined],
]
for (const [model, provider] of owners)
  test(`owner of ${model.slice(0, 40)}`, () => assert.equal(catalogue.providerOf(model), provider))

test('a family fills what an entry does not mention, and nothing it does', () => {
  const rules = [
    {
      pattern: 'claude-',
      model_info: { supports_vision: true, supports_new: true },
      fill_missing_for_providers: ['anthropic'],
    },
    {
      pattern: '^claude-x',
      model_info: { supports_new: 'more' },
      fill_missing_for_providers: ['anthropic'],
    },
    { pattern: '(', model_info: { broken: true } },
    { pattern: 7, model_info: { broken: true } },
    { pattern: '^claude-', model_info: { litellm_provider: 'anthropic' } },
  ]
  const models = createCatalogue({
    'claude-x1': { litellm_provider: 'anthropic', mode: 'chat', supports_vision: false },
    'claude-art': { litellm_provider: 'anthropic', mode: 'image_generation' },
    'claude-b': { litellm_provider: 'bedrock', mode: 'chat' },
    fallback_generalizations: { rules },
  })
  const info = (provider: string, model: string) => models.find(provider, model)?.info
  assert.deepEqual(info('anthropic', 'claude-x1'), {
    litellm_provider: 'anthropic',
    mode: 'chat',
    supports_vision: false,
    supports_new: 'more',
  })
  assert.deepEqual(info('anthropic', 'claude-art'), {
    litellm_provider: 'anthropic',
    mode: 'image_generation',
  })
  assert.deepEqual(info('bedrock', 'claude-b'), { litellm_provider: 'bedrock', mode: 'chat' })
  assert.deepEqual(info('bedrock', 'claude-z'), {
    litellm_provider: 'bedrock',
    supports_vision: true,
    supports_new: true,
  })
  assert.equal(info('anthropic', 'claude-b'), undefined)
  assert.equal(models.providerOf('claude-anything'), 'anthropic')
  assert.equal(models.size, 3)
})

test('aliases are entries of their own, and lose to entries', () => {
  const models = createCatalogue({
    a: { litellm_provider: 'p', aliases: ['b', 'c', 7], n: 1 },
    c: { litellm_provider: 'p', n: 2 },
  })
  assert.deepEqual(models.find('p', 'b')?.info, { litellm_provider: 'p', n: 1 })
  assert.equal(models.find('p', 'c')?.info.n, 2)
})

test('what is listed', () => {
  assert.ok(catalogue.size >= 4200)
  assert.equal([...catalogue.entries()].length, catalogue.size)
  assert.ok(catalogue.providers().length >= 140)
  const openai = catalogue.models('openai')
  assert.ok(openai.includes('openai/gpt-5.5'))
  assert.ok(!openai.some((name) => /container|\d-x-\d|^openai\/ft:/.test(name)))
  assert.ok(catalogue.models('bedrock').includes('bedrock/anthropic.claude-v2:1'))
  assert.ok(
    !catalogue
      .models('bedrock')
      .some((name) => name.includes('commitment') || name.includes('us-west-2/')),
  )
  assert.ok(catalogue.models('vertex_ai').every((name) => name.startsWith('vertex_ai/')))
  assert.deepEqual(catalogue.models('nobody'), [])
})

test('images have prices per size and quality', () => {
  const key = (size?: string, quality?: string) =>
    catalogue.findImage('openai', 'gpt-image-1.5', { size, quality })?.key
  assert.equal(key('1024x1536', 'high'), 'high/1024-x-1536/gpt-image-1.5')
  assert.equal(key('1024x1024'), '1024-x-1024/gpt-image-1.5')
  assert.equal(key('9x9', 'odd'), 'gpt-image-1.5')
})

test('many names are not remembered for ever', () => {
  const models = createCatalogue({ m: { litellm_provider: 'p' } })
  const first = models.find('p', 'm')
  for (let at = 0; at < 25_000; at++) models.find('p', `m${at}`)
  assert.equal(models.find('p', 'm')?.info, first?.info)
})

const overrides: [
  name: string,
  provider: string,
  model: string,
  row: JsonObject,
  expected: JsonObject,
][] = [
  [
    'the row wins',
    'openai',
    'gpt-5.5',
    { max_input_tokens: 5, supports_vision: false },
    { max_input_tokens: 5, supports_vision: false, input_cost_per_token: 5e-6 },
  ],
  [
    'nothing said is nothing set',
    'openai',
    'gpt-5.5',
    { max_input_tokens: null, mode: undefined },
    { mode: 'chat' },
  ],
  [
    'a base model',
    'azure',
    'my-deployment',
    { base_model: 'azure/gpt-4o' },
    { litellm_provider: 'azure', mode: 'chat' },
  ],
  [
    'an own price is the price everywhere in its direction',
    'openai',
    'gpt-5.5',
    { input_cost_per_token: 1e-6 },
    {
      input_cost_per_token: 1e-6,
      input_cost_per_token_above_272k_tokens: undefined,
      input_cost_per_token_batches: undefined,
      input_cost_per_token_flex: 2.5e-6,
      cache_read_input_token_cost: 5e-7,
      output_cost_per_token_above_272k_tokens: 4.5e-5,
    },
  ],
  [
    'an own price in a table of tiers',
    'dashscope',
    'qwen-plus-latest',
    { input_cost_per_token: 1e-6 },
    {
      tiered_pricing: [
        {
          input_cost_per_token: 1e-6,
          output_cost_per_reasoning_token: 4e-6,
          output_cost_per_token: 1.2e-6,
          range: [0, 256_000],
        },
        {
          input_cost_per_token: 1e-6,
          output_cost_per_reasoning_token: 1.2e-5,
          output_cost_per_token: 3.6e-6,
          range: [256_000, 1_000_000],
        },
      ],
    },
  ],
  [
    'both prices replace the table',
    'dashscope',
    'qwen-plus-latest',
    { input_cost_per_token: 1e-6, output_cost_per_token: 1e-6 },
    { tiered_pricing: undefined },
  ],
  [
    'an own price by time',
    'openai',
    'gpt-5.5',
    { output_cost_per_second: 0.01 },
    {
      input_cost_per_token: undefined,
      output_cost_per_token: undefined,
      output_cost_per_second: 0.01,
    },
  ],
  [
    'a model nobody knows',
    'openai',
    'nobody',
    { input_cost_per_token: '2e-6' },
    { input_cost_per_token: '2e-6', mode: undefined },
  ],
  [
    'a size nobody listed, at Together',
    'together_ai',
    'me/my-llama-70b',
    {},
    { input_cost_per_token: 9e-7, mode: undefined },
  ],
  [
    'a mixture of experts, at Fireworks',
    'fireworks_ai',
    'me/mine-8x7b',
    {},
    { input_cost_per_token: 5e-7 },
  ],
  ['no size at all, at Fireworks', 'fireworks_ai', 'mine', {}, { input_cost_per_token: 0 }],
]
for (const [name, provider, model, row, expected] of overrides) {
  test(`info: ${name}`, () => {
    const info = infoOf(catalogue, provider, model, row)
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(info[key], value, key)
  })
}

test('an own price bills long prompts and batches', () => {
  const info = infoOf(catalogue, 'openai', 'gpt-5.5', {
    input_cost_per_token: 1e-6,
    output_cost_per_token: 2e-6,
  })
  const cost = (input: number, serviceTier?: string) =>
    costOf({ ...noUsage, input, output: 1 }, priceOf(info, { serviceTier })).nanoDollars
  assert.equal(cost(300_000), 300_002_000)
  assert.equal(cost(100, 'batch'), 51_000)
})

test('price fields of a row', () => {
  const params = {
    model: 'x',
    input_cost_per_token: 1,
    cache_read_input_token_cost: 2,
    tiered_pricing: [],
    timeout: 3,
  }
  assert.deepEqual(pricesOf(params), {
    input_cost_per_token: 1,
    cache_read_input_token_cost: 2,
    tiered_pricing: [],
  })
})

test('a holder shows the latest', () => {
  const holder = createCatalogueHolder(createCatalogue({}))
  holder.replace(catalogue)
  assert.equal(holder.current, catalogue)
})
