import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { fileScope, hello, refusal, startProvider } from '../../test/support/provider.ts'
import { openPlace } from '../../test/support/sdk.ts'
import { estimateTokens } from '../chat/estimate.ts'
import { createCatalogue } from '../provider/catalogue.ts'
import { ModelNotMappedError } from './errors.ts'
import { holding } from './runtime.ts'
import type { ModelQuery } from './types.ts'

const scope = fileScope()

/** Prices that can be reckoned in the head: dollars a million tokens are 2 and 10. */
const list = {
  'gpt-test': {
    litellm_provider: 'openai',
    mode: 'chat',
    max_input_tokens: 1000,
    max_output_tokens: 100,
    max_tokens: 90,
    input_cost_per_token: 2e-6,
    output_cost_per_token: 1e-5,
    cache_read_input_token_cost: 2e-7,
    cache_creation_input_token_cost: 4e-6,
    input_cost_per_token_priority: 4e-6,
    output_cost_per_token_priority: 2e-5,
    supports_vision: true,
    supports_function_calling: true,
    supports_reasoning: false,
  },
  'groq/llama-test': {
    litellm_provider: 'groq',
    mode: 'chat',
    max_tokens: 50,
    input_cost_per_token: 1e-6,
    output_cost_per_token: 1e-6,
  },
  'replicate/timed': { litellm_provider: 'replicate', mode: 'chat', input_cost_per_second: 0.5 },
  'groq/unpriced': { litellm_provider: 'groq', mode: 'chat' },
  'embed-test': { litellm_provider: 'openai', mode: 'embedding', input_cost_per_token: 1e-7 },
}
const { sdk } = openPlace(
  scope,
  { GROQ_API_KEY: 'gsk-any', AZURE_API_BASE: 'https://x' },
  holding(() => createCatalogue(list)),
)

test('get_model_info: the entry, its key and the parameters', () => {
  const info = sdk.get_model_info('gpt-test')
  deepEqual(
    [
      info.key,
      info.litellm_provider,
      info.mode,
      info.max_input_tokens,
      info.input_cost_per_token,
      info.supports_vision,
    ],
    ['gpt-test', 'openai', 'chat', 1000, 2e-6, true],
  )
  ok(info.supported_openai_params.includes('tools'))
  ok(!info.supported_openai_params.includes('reasoning_effort'))
  equal(sdk.getModelInfo({ model: 'llama-test', customLlmProvider: 'groq' }).key, 'groq/llama-test')
  equal(sdk.getModelInfo('llama-test', 'groq').key, 'groq/llama-test')
  throws(() => sdk.get_model_info('openai/none-such'), ModelNotMappedError)
})

test('get_max_tokens: what it may write', () => {
  equal(sdk.get_max_tokens('gpt-test'), 100)
  equal(sdk.get_max_tokens('groq/llama-test'), 50)
  throws(() => sdk.get_max_tokens('replicate/timed'), ModelNotMappedError)
})

test('supports_…: yes, no, and no for what nobody knows', () => {
  const asked: [model: ModelQuery, vision: boolean, reasoning: boolean][] = [
    ['gpt-test', true, false],
    ['openai/gpt-test', true, false],
    [{ model: 'gpt-test', custom_llm_provider: 'openai' }, true, false],
    ['groq/llama-test', false, false],
    ['nobody/none', false, false],
  ]
  for (const [model, vision, reasoning] of asked)
    deepEqual([sdk.supports_vision(model), sdk.supportsReasoning(model)], [vision, reasoning])
  equal(sdk.supports_function_calling('gpt-test'), true)
  equal(sdk.supportsPdfInput('gpt-test'), false)
})

/** Dollars, reckoned by hand from the list above. */
const costs: [
  name: string,
  options: Parameters<typeof sdk.cost_per_token>[0],
  cost: [number, number],
][] = [
  [
    'read and written',
    { model: 'gpt-test', prompt_tokens: 1000, completion_tokens: 100 },
    [0.002, 0.001],
  ],
  ['nothing', { model: 'gpt-test' }, [0, 0]],
  [
    'from the cache: 400 × 0.2 and 600 × 2',
    { model: 'gpt-test', prompt_tokens: 1000, cache_read_input_tokens: 400 },
    [0.00128, 0],
  ],
  [
    'into the cache: 400 × 4 and 600 × 2',
    { model: 'gpt-test', promptTokens: 1000, cacheCreationInputTokens: 400 },
    [0.0028, 0],
  ],
  [
    'an answer’s usage',
    {
      model: 'gpt-test',
      usage_object: {
        prompt_tokens: 10,
        completion_tokens: 10,
        prompt_tokens_details: { cached_tokens: 10 },
      },
    },
    [0.000002, 0.0001],
  ],
  [
    'Anthropic’s names in it',
    {
      model: 'gpt-test',
      usage_object: { prompt_tokens: 10, completion_tokens: 0, cache_read_input_tokens: 10 },
    },
    [0.000002, 0],
  ],
  [
    'a dearer tier',
    { model: 'gpt-test', prompt_tokens: 1000, completion_tokens: 100, service_tier: 'priority' },
    [0.004, 0.002],
  ],
  [
    'prices of one’s own',
    {
      model: 'gpt-test',
      prompt_tokens: 3,
      completion_tokens: 1,
      custom_cost_per_token: { input_cost_per_token: 1, output_cost_per_token: 5 },
    },
    [3, 5],
  ],
  [
    'of a model without any',
    {
      model: 'groq/unpriced',
      prompt_tokens: 3,
      custom_cost_per_token: { input_cost_per_token: 1, output_cost_per_token: 5 },
    },
    [3, 0],
  ],
  ['by time', { model: 'replicate/timed', response_time_ms: 3000 }, [1.5, 0]],
  [
    'by time, of one’s own',
    { model: 'groq/unpriced', response_time_ms: 2000, custom_cost_per_second: 0.25 },
    [0.5, 0],
  ],
]
for (const [name, options, cost] of costs)
  test(`cost_per_token: ${name}`, () => {
    const got = sdk.cost_per_token(options)
    for (const [at, dollars] of got.entries())
      ok(Math.abs(dollars - (cost[at] ?? 0)) < 1e-12, `${got}`)
  })

test('cost_per_token: a model without a price is no model for free', () => {
  throws(
    () => sdk.cost_per_token({ model: 'groq/unpriced', prompt_tokens: 1 }),
    ModelNotMappedError,
  )
  throws(() => sdk.cost_per_token({ model: 'nobody/none', prompt_tokens: 1 }), ModelNotMappedError)
})

test('completion_cost: of an answer, of its copy, of texts', async () => {
  const messages = [{ role: 'user' as const, content: 'Hi' }]
  const answer = await sdk.completion({
    model: 'openai/gpt-test',
    messages,
    mock_response: 'Hello',
  })
  // 10 × 2 and 20 × 10 a million
  equal(sdk.completion_cost({ completion_response: answer }), 0.00022)
  equal(sdk.completionCost({ completionResponse: JSON.parse(JSON.stringify(answer)) }), 0.00022)
  equal(sdk.completion_cost({ completion_response: answer, model: 'groq/llama-test' }), 0.00003)
  equal(
    sdk.completion_cost({ completion_response: { ...answer, service_tier: 'priority' } }),
    0.00044,
  )
  // 1 token each
  equal(sdk.completion_cost({ model: 'gpt-test', prompt: 'Hi', completion: 'Yes' }), 0.000012)
  // 8 tokens: see token_counter
  equal(sdk.completion_cost({ model: 'gpt-test', messages, completion: 'Yes' }), 0.000026)
  throws(() => sdk.completion_cost({}), { name: 'BadRequestError' })
})

test('token_counter', () => {
  const { token_counter: count } = sdk
  const hi = { role: 'user' as const, content: 'Hi' }
  equal(count({ model: 'gpt-4o', text: 'Hello world' }), 2)
  equal(count({ model: 'gpt-4o', text: ['Hello', ' world', ''] }), 2)
  // 3 for the message, 1 for its role, 1 for "Hi", 3 for the answer's beginning.
  equal(count({ model: 'gpt-4o', messages: [hi] }), 8)
  const tools = [
    { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } },
  ]
  ok(count({ model: 'gpt-4o', messages: [hi], tools }) > 15)
  // o200k has a token for it, cl100k has not.
  deepEqual(
    [count({ model: 'gpt-4o', text: '你好世界' }), count({ model: 'gpt-4', text: '你好世界' })],
    [2, 5],
  )
  throws(() => count({ model: 'gpt-4o' }), /give one of them/)
  throws(() => count({ model: 'gpt-4o', text: 'a', messages: [hi] }), /give one of them/)
  const without = openPlace(scope, {}, { encoderFor: () => undefined })
  const text = 'Where there is no tokenizer, it is an estimate.'
  equal(without.sdk.token_counter({ model: 'gpt-4o', text }), estimateTokens(text))
})

test('get_llm_provider: model, provider, key, address', () => {
  deepEqual(sdk.get_llm_provider('groq/llama'), [
    'llama',
    'groq',
    'gsk-any',
    'https://api.groq.com/openai/v1',
  ])
  deepEqual(sdk.get_llm_provider('gpt-test'), [
    'gpt-test',
    'openai',
    null,
    'https://api.openai.com/v1',
  ])
  deepEqual(
    sdk.getLlmProvider({
      model: 'a',
      customLlmProvider: 'openai',
      apiBase: 'http://here',
      apiKey: 'k',
    }),
    ['a', 'openai', 'k', 'http://here'],
  )
  throws(() => sdk.get_llm_provider('nobody-knows'), { name: 'BadRequestError' })
})

test('get_supported_openai_params', () => {
  ok(sdk.get_supported_openai_params({ model: 'gpt-test' })?.includes('temperature'))
  deepEqual(sdk.get_supported_openai_params({ model: 'embed-test', request_type: 'embeddings' }), [
    'dimensions',
    'encoding_format',
    'user',
  ])
  equal(sdk.getSupportedOpenaiParams('llama-test', 'groq')?.includes('temperature'), true)
  equal(sdk.get_supported_openai_params({ model: 'nobody-knows' }), null)
})

const checks: [
  model: string | null,
  options: Parameters<typeof sdk.validate_environment>[1],
  there: boolean,
  missing: string[],
][] = [
  ['groq/a', {}, true, []],
  ['openai/gpt-test', {}, false, ['OPENAI_API_KEY']],
  ['gpt-test', {}, false, ['OPENAI_API_KEY']],
  ['openai/gpt-test', { api_key: 'sk-any' }, true, []],
  ['openai/gpt-test', { apiBase: 'http://here' }, true, []],
  ['anthropic/claude', {}, false, ['ANTHROPIC_API_KEY']],
  ['cloudflare/a', {}, false, ['CLOUDFLARE_API_KEY', 'CLOUDFLARE_ACCOUNT_ID']],
  ['hosted_vllm/a', {}, false, ['HOSTED_VLLM_API_BASE']],
  ['mock/a', {}, true, []],
  ['nobody-knows', {}, true, []],
  [null, {}, false, []],
]
for (const [model, options, there, missing] of checks)
  test(`validate_environment: ${model} ${JSON.stringify(options)}`, () => {
    deepEqual(sdk.validate_environment(model, options), {
      keys_in_environment: there,
      missing_keys: missing,
    })
  })

test('validate_environment and completion agree', async () => {
  const messages = [{ role: 'user' as const, content: 'Hi' }]
  for (const model of ['openai/gpt-test', 'anthropic/claude', 'cloudflare/a', 'hosted_vllm/a']) {
    equal(sdk.validate_environment(model).keys_in_environment, false)
    await rejects(sdk.completion({ model, messages }), ({ message }: Error) =>
      sdk.validate_environment(model).missing_keys.some((name) => message.includes(name)),
    )
  }
})

test('get_valid_models, model_list, model_cost, provider_list', () => {
  deepEqual(sdk.get_valid_models(), ['groq/llama-test', 'groq/unpriced'])
  deepEqual(sdk.getValidModels({ customLlmProvider: 'openai' }), [])
  deepEqual(sdk.model_list, [
    'groq/llama-test',
    'groq/unpriced',
    'openai/embed-test',
    'openai/gpt-test',
    'replicate/timed',
  ])
  deepEqual(Object.keys(sdk.model_cost), Object.keys(list))
  equal(sdk.model_cost['gpt-test']?.['max_tokens'], 90)
  equal('none' in sdk.modelCost, false)
  ok(sdk.provider_list.includes('groq'))
})

test('set_catalogue: everything is read anew', () => {
  const place = openPlace(
    scope,
    {},
    holding(() => createCatalogue(list)),
  )
  equal(place.sdk.model_list.length, 5)
  place.sdk.set_catalogue({
    'gpt-new': { litellm_provider: 'openai', mode: 'chat', input_cost_per_token: 1 },
  })
  deepEqual(place.sdk.model_list, ['openai/gpt-new'])
  deepEqual(Object.keys(place.sdk.model_cost), ['gpt-new'])
  deepEqual(place.sdk.cost_per_token({ model: 'gpt-new', prompt_tokens: 2 }), [2, 0])
  throws(() => place.sdk.get_model_info('openai/gpt-test'), ModelNotMappedError)
})

test('without a catalogue: said how to bring one; calls are made all the same', async () => {
  const { sdk: bare } = openPlace(scope, {}, holding(undefined))
  const asks = [
    () => bare.get_model_info('gpt-4o'),
    () => bare.supports_vision('gpt-4o'),
    () => bare.cost_per_token({ model: 'gpt-4o' }),
    () => bare.get_valid_models(),
    () => Object.keys(bare.model_cost),
    () => bare.model_list.length,
  ]
  for (const ask of asks) throws(ask, { name: 'APIError', message: /setCatalogue\(data\)/ })
  const answer = await bare.completion({
    model: 'openai/gpt-4o',
    messages: [{ role: 'user', content: 'Hi' }],
    mock_response: 'Hello',
  })
  equal(answer._hidden_params.response_cost, null)
})

test('check_valid_key: one small call', async () => {
  const provider = await startProvider(scope, (asked, nth) =>
    asked.headers.authorization === 'Bearer sk-right'
      ? hello(asked, nth)
      : refusal(asked.headers.authorization === 'Bearer sk-wrong' ? 401 : 500, { message: 'no' }),
  )
  const place = openPlace(scope, { OPENAI_BASE_URL: provider.base })
  equal(await place.sdk.check_valid_key('openai/gpt-4o', 'sk-right'), true)
  equal(provider.last().json['max_tokens'], 10)
  equal(await place.sdk.checkValidKey('openai/gpt-4o', 'sk-wrong'), false)
  // Tells nothing about the key.
  await rejects(place.sdk.check_valid_key('openai/gpt-4o', 'sk-other'), { status_code: 500 })
  equal(provider.asked.length, 3)
})

test('the catalogue of the package', () => {
  const place = openPlace(scope)
  const { sdk: real } = place
  ok(Object.keys(real.model_cost).length > 4000)
  deepEqual(
    real.cost_per_token({
      model: 'gpt-4o',
      prompt_tokens: 1_000_000,
      completion_tokens: 1_000_000,
    }),
    [2.5, 10],
  )
  equal(real.supports_function_calling('groq/openai/gpt-oss-120b'), true)
  ok(real.get_max_tokens('claude-sonnet-4-5') >= 8192)
})
