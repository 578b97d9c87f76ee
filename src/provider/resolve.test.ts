import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import { address } from './address.test.ts'
import { providers } from './providers.ts'
import { fillPlaces, keysInEnvironment, type ResolveOptions, resolve, specFor } from './resolve.ts'

const catalogue: Record<string, string> = {
  'jamba-large': 'ai21',
  'gemini-9-ultra': 'vertex_ai-language-models',
  'us.vendor.model-v1:0': 'bedrock_converse',
  'gpt-3.5-turbo-instruct-0914': 'text-completion-openai',
  'nova-embed': 'fireworks_ai-embedding-models',
  'odd-model': 'nobody-knows-this',
  'deepseek-chat': 'deepseek',
}
const known: ResolveOptions = { providerOf: (model) => catalogue[model] }
const at = (base: string): ResolveOptions => ({ base })

const cases: [model: string, custom: string | undefined, options: ResolveOptions, found: string][] =
  [
    // A prefix that is a provider, what follows being its own affair.
    ['openai/gpt-4o', undefined, {}, 'openai gpt-4o'],
    ['openai/org/model', undefined, {}, 'openai org/model'],
    ['openai/responses/gpt-5', undefined, {}, 'openai gpt-5'],
    ['openai/*', undefined, {}, 'openai *'],
    ['groq/qwen/qwen3-32b', undefined, {}, 'groq qwen/qwen3-32b'],
    [
      'cloudflare/@cf/meta/llama-3.1-8b-instruct',
      undefined,
      {},
      'cloudflare @cf/meta/llama-3.1-8b-instruct',
    ],
    ['together_ai/Qwen/Qwen2.5-7B', undefined, {}, 'together_ai Qwen/Qwen2.5-7B'],
    ['vercel_ai_gateway/openai/gpt-4o', undefined, {}, 'vercel_ai_gateway openai/gpt-4o'],
    ['hosted_vllm/qwen3', undefined, {}, 'hosted_vllm qwen3'],
    ['nano-gpt/deepseek', undefined, {}, 'nano-gpt deepseek'],
    ['scx-ai/m', undefined, {}, 'scx-ai m'],
    [
      'custom_openai/my-model-7b',
      undefined,
      at('http://localhost:1/v1'),
      'custom_openai my-model-7b',
    ],
    ['openai/llama', undefined, at('https://api.groq.com/openai/v1'), 'openai llama'],
    ['ollama_chat/llama3', undefined, {}, 'ollama_chat llama3'],
    ['anthropic/claude-sonnet-4', undefined, {}, 'anthropic claude-sonnet-4'],
    ['bedrock/us.anthropic.claude-v2:1', undefined, {}, 'bedrock us.anthropic.claude-v2:1'],
    ['bedrock/mantle/anthropic.claude-x', undefined, {}, 'bedrock_mantle anthropic.claude-x'],
    ['bedrock/agent/A/B', undefined, {}, '?bedrock agent/A/B'],
    ['text-completion-openai/davinci-002', undefined, {}, 'text-completion-openai davinci-002'],
    ['mock/anything', undefined, {}, 'mock anything'],
    // Spelt the provider's way.
    [
      'fireworks_ai/llama-v3p1-8b',
      undefined,
      {},
      'fireworks_ai accounts/fireworks/models/llama-v3p1-8b',
    ],
    [
      'fireworks_ai/accounts/fireworks/models/qwen3-8b',
      undefined,
      {},
      'fireworks_ai accounts/fireworks/models/qwen3-8b',
    ],
    ['fireworks_ai/*', undefined, {}, 'fireworks_ai *'],
    ['openrouter/auto', undefined, {}, 'openrouter openrouter/auto'],
    ['openrouter/qwen/qwen3-8b', undefined, {}, 'openrouter qwen/qwen3-8b'],
    [
      'huggingface/together/deepseek-ai/DeepSeek-R1',
      undefined,
      {},
      'huggingface deepseek-ai/DeepSeek-R1:together',
    ],
    ['huggingface/deepseek-ai/DeepSeek-R1', undefined, {}, 'huggingface deepseek-ai/DeepSeek-R1'],
    [
      'clarifai/openai.chat.gpt-4',
      undefined,
      {},
      'clarifai https://clarifai.com/openai/chat/models/gpt-4',
    ],
    // What the row says wins.
    ['gpt-4o', 'azure', {}, 'azure gpt-4o'],
    ['openai/gpt-4o', 'groq', {}, 'groq openai/gpt-4o'],
    ['groq/llama', 'groq', {}, 'groq llama'],
    ['openrouter/auto', 'openrouter', {}, 'openrouter openrouter/auto'],
    ['openrouter/anthropic/claude-3.5', 'openrouter', {}, 'openrouter anthropic/claude-3.5'],
    ['llama', 'hosted_vllm', at('http://localhost:1'), 'hosted_vllm llama'],
    ['llama', 'nobody', at('http://localhost:1'), '!'],
    ['groq/llama', '', {}, 'groq llama'],
    // An address on a provider's host.
    ['llama-3', undefined, at('https://api.groq.com/openai/v1'), 'groq llama-3'],
    ['llama-3', undefined, at('https://API.GROQ.COM/openai/v1/'), 'groq llama-3'],
    [
      'meta-llama/Llama-3',
      undefined,
      at('https://api.together.xyz/v1'),
      'together_ai meta-llama/Llama-3',
    ],
    ['sonar', undefined, at('https://api.perplexity.ai'), 'perplexity sonar'],
    ['deepseek-chat', undefined, at('https://api.deepseek.com/v1'), 'deepseek deepseek-chat'],
    [
      'qwen-max',
      undefined,
      at('https://dashscope-intl.aliyuncs.com/compatible-mode/v1'),
      'dashscope qwen-max',
    ],
    ['gpt-4o', undefined, at('https://api.openai.com/v1'), 'openai gpt-4o'],
    // Not on one: no key of a provider may go there.
    ['llama-3', undefined, at('http://api.groq.com/openai/v1'), 'openai llama-3'],
    ['llama-3', undefined, at('https://api.groq.com.evil.example/v1'), 'openai llama-3'],
    ['llama-3', undefined, at('https://evil.example/api.groq.com/openai/v1'), 'openai llama-3'],
    ['llama-3', undefined, at('https://api.groq.com@evil.example/v1'), 'openai llama-3'],
    ['llama-3', undefined, at('https://api.groq.com:8443/v1'), 'openai llama-3'],
    ['llama-3', undefined, at('not a url'), 'openai llama-3'],
    ['meta-llama/Llama-3', undefined, at('http://localhost:8000/v1'), 'openai meta-llama/Llama-3'],
    ['meta-llama/Llama-3', undefined, { hasBase: true }, 'openai meta-llama/Llama-3'],
    // The catalogue, in whose words there are more providers than there are.
    ['jamba-large', undefined, known, 'ai21 jamba-large'],
    ['gemini-9-ultra', undefined, known, 'vertex_ai gemini-9-ultra'],
    ['us.vendor.model-v1:0', undefined, known, 'bedrock us.vendor.model-v1:0'],
    [
      'gpt-3.5-turbo-instruct-0914',
      undefined,
      known,
      'text-completion-openai gpt-3.5-turbo-instruct-0914',
    ],
    ['nova-embed', undefined, known, 'fireworks_ai accounts/fireworks/models/nova-embed'],
    ['deepseek-chat', undefined, known, 'deepseek deepseek-chat'],
    ['odd-model', undefined, known, '!'],
    ['odd-model', undefined, { ...known, hasBase: true }, 'openai odd-model'],
    // The look of a name.
    ['gpt-4o', undefined, {}, 'openai gpt-4o'],
    ['gpt-7-new', undefined, {}, 'openai gpt-7-new'],
    ['gpt-image-2', undefined, {}, 'openai gpt-image-2'],
    ['chatgpt-4o-latest', undefined, {}, 'openai chatgpt-4o-latest'],
    ['o3-mini', undefined, {}, 'openai o3-mini'],
    ['o1', undefined, {}, 'openai o1'],
    [
      'ft:gpt-4o-mini-2024-07-18:org::id',
      undefined,
      {},
      'openai ft:gpt-4o-mini-2024-07-18:org::id',
    ],
    ['text-embedding-3-small', undefined, {}, 'openai text-embedding-3-small'],
    ['*', undefined, {}, 'openai *'],
    ['claude-nextfamily-9', undefined, {}, 'anthropic claude-nextfamily-9'],
    ['anthropic.claude-v9', undefined, {}, 'bedrock anthropic.claude-v9'],
    ['eu.anthropic.claude-v9', undefined, {}, 'bedrock eu.anthropic.claude-v9'],
    ['gemini-3-pro', undefined, {}, 'vertex_ai gemini-3-pro'],
    ['command-r-plus', undefined, {}, 'cohere_chat command-r-plus'],
    ['rerank-english-v3.0', undefined, {}, 'cohere rerank-english-v3.0'],
    [
      `meta-org/llama:${'0a'.repeat(32)}`,
      undefined,
      {},
      `replicate meta-org/llama:${'0a'.repeat(32)}`,
    ],
    ['claude-local', undefined, at('http://localhost:1'), 'anthropic claude-local'],
    // Nothing tells.
    ['gpt-oss-120b', undefined, {}, '!'],
    ['o2000', undefined, {}, '!'],
    ['mistral-large-latest', undefined, {}, '!'],
    ['meta-llama/Llama-3', undefined, {}, '!'],
    ['Groq/llama', undefined, {}, '!'],
    ['groq/', undefined, {}, '!'],
    ['groq', undefined, {}, '!'],
    ['/x', undefined, {}, '!'],
    ['', undefined, {}, '!'],
    ['', undefined, at('http://localhost:1'), '!'],
    ['constructor/x', undefined, {}, '!'],
    ['__proto__/x', undefined, {}, '!'],
  ]
for (const [model, custom, options, found] of cases)
  test(`${model || 'an empty name'}${custom === undefined ? '' : ` as ${custom}`} at ${options.base ?? 'no address'} is ${found}`, () => {
    const { type, provider, model: sent } = resolve(model, custom, options)
    const told = {
      offered: `${provider} ${sent}`,
      'not-offered': `?${provider} ${sent}`,
      unknown: '!',
    }
    assert.equal(told[type], found)
  })

const hints: [model: string, hint: RegExp][] = [
  ['grok/llama', /Did you mean [^?]*groq/],
  ['together-ai/x', /Did you mean [^?]*together_ai/],
  ['mistral-large-latest', /Did you mean [^?]*mistral/],
  ['Groq/llama', /Did you mean [^?]*groq/],
  ['opnai/gpt-4o', /Did you mean [^?]*openai/],
  ['zzzzzzzzzz/x', /api_base of an OpenAI-compatible server\.$/],
]
for (const [model, hint] of hints)
  test(`nobody knows ${model}: the error says what to do`, () => {
    const found = resolve(model)
    assert.ok(found.type === 'unknown')
    assert.equal(found.error.kind, 'bad_request')
    assert.match(found.error.message, hint)
  })

test('known but not on offer is another error than unknown', () => {
  for (const [model, words] of [
    ['vllm/m', /'vllm' is known but this build does not speak to it: .*use hosted_vllm\//],
    ['reducto/m', /'reducto' is known but this build does not speak to it: .*another OCR model/],
  ] as const) {
    const found = resolve(model)
    assert.ok(found.type === 'not-offered')
    assert.equal(found.error.kind, 'not_offered')
    assert.match(found.error.message, words)
  }
})

test('law: no name makes it throw, and what it finds has a row', () => {
  const piece = fc.constantFrom(
    'openai',
    'groq',
    '@cf',
    '/',
    ':',
    '*',
    'gpt-',
    '{x}',
    '$1',
    '..',
    'a b',
    '\u0000',
  )
  const name = fc.oneof(
    fc.string(),
    fc.array(piece).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(
      name,
      fc.option(name, { nil: undefined }),
      fc.option(fc.oneof(address, fc.string()), { nil: undefined }),
      fc.option(name, { nil: undefined }),
      (model, custom, base, told) => {
        const found = resolve(model, custom, { base, providerOf: () => told })
        if (found.type === 'offered') {
          assert.equal(found.spec, providers[found.provider])
          assert.ok(specFor(found.provider, found.model))
        } else {
          assert.ok(GatewayError.is(found.error))
          assert.ok(found.error.message.length < 600)
          assert.equal(found.spec, undefined)
        }
      },
    ),
  )
})

test('a long name costs no time', () => {
  const before = performance.now()
  for (const name of ['a/'.repeat(1e5), `${'a'.repeat(1e5)}:`, '-'.repeat(1e5), '.'.repeat(1e5)]) {
    resolve(name)
    specFor('openai', name)
    resolve(`clarifai/${name}`)
    resolve(`huggingface/${name}`)
  }
  assert.ok(performance.now() - before < 500)
})

const places: [
  url: string,
  params: Record<string, string | number>,
  env: Record<string, string>,
  filled: string,
][] = [
  ['https://{ACCOUNT}.x.com', { account: 'a1' }, { ACCOUNT: 'e1' }, 'https://a1.x.com'],
  ['https://{ACCOUNT}.x.com', {}, { ACCOUNT: 'e1' }, 'https://e1.x.com'],
  ['https://{ACCOUNT}.x.com', { account: '' }, { ACCOUNT: 'e1' }, 'https://e1.x.com'],
  ['https://{ACCOUNT}.x.com', { account: 12 }, {}, 'https://12.x.com'],
  ['https://{ACCOUNT}.x.com', {}, {}, 'https://{ACCOUNT}.x.com'],
  ['https://{A|B=eu-1}.x.com', {}, {}, 'https://eu-1.x.com'],
  ['https://{A|B=eu-1}.x.com', {}, { B: 'us-2' }, 'https://us-2.x.com'],
  ['https://{A|B=eu-1}.x.com', { b: 'ap-3' }, { A: 'us-2' }, 'https://ap-3.x.com'],
  ['https://{A}.x.com', { a: 'evil.com/' }, {}, 'https://{A}.x.com'],
  ['https://x.com/{A}/y', { a: '..' }, {}, 'https://x.com/{A}/y'],
  ['https://x.com/{A}/y', { a: 'b?c' }, {}, 'https://x.com/{A}/y'],
]
for (const [url, params, env, filled] of places)
  test(`${url} with ${JSON.stringify(params)} and ${JSON.stringify(env)}`, () => {
    assert.equal(
      fillPlaces(url, params, (name) => env[name]),
      filled,
    )
  })

const environments: [env: Record<string, string>, found: string[]][] = [
  [{}, []],
  [{ OPENAI_API_KEY: 'k' }, ['openai OPENAI_API_KEY']],
  [{ OPENAI_API_KEY: '' }, []],
  [{ DASHSCOPE_API_KEY: 'k' }, ['dashscope DASHSCOPE_API_KEY']],
  [{ PERPLEXITY_API_KEY: 'k' }, ['perplexity PERPLEXITY_API_KEY']],
  [
    { QWENCLOUD_API_KEY: 'k', GROQ_API_KEY: 'k' },
    ['groq GROQ_API_KEY', 'qwencloud QWENCLOUD_API_KEY'],
  ],
  [{ DATABRICKS_TOKEN: 'k' }, []],
  [{ DATABRICKS_TOKEN: 'k', DATABRICKS_API_BASE: 'https://x' }, ['databricks DATABRICKS_TOKEN']],
  [{ CLOUDFLARE_API_KEY: 'k' }, []],
  [{ CLOUDFLARE_API_KEY: 'k', CLOUDFLARE_ACCOUNT_ID: 'a' }, ['cloudflare CLOUDFLARE_API_KEY']],
  [{ LM_STUDIO_API_KEY: 'k' }, []],
  [{ LM_STUDIO_API_BASE: 'http://localhost:1234/v1' }, ['lm_studio LM_STUDIO_API_BASE']],
  [{ HOSTED_VLLM_API_BASE: 'http://localhost:1/v1' }, ['hosted_vllm HOSTED_VLLM_API_BASE']],
  [{ VERCEL_OIDC_TOKEN: 'k', AZURE_API_KEY: 'k', AWS_BEARER_TOKEN_BEDROCK: 'k' }, []],
  [{ OPENAI_BASE_URL: 'https://x' }, []],
]
for (const [env, found] of environments)
  test(`keys in ${JSON.stringify(env)}`, () => {
    const keys = keysInEnvironment((name) => env[name])
    assert.deepEqual(keys.map(({ provider, name }) => `${provider} ${name}`).sort(), found)
  })
