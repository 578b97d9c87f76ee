import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mediaWireOf } from './operations.ts'
import { type ProviderId, providers } from './providers.ts'
import { fillPlaces, specFor } from './resolve.ts'
import type { ProviderSpec } from './spec.ts'

/** Everyone who speaks chat completions at LiteLLM, and more of its configured ones. */
const expected =
  `abliteration ai21 ai21_chat aihubmix aiml aiohttp_openai amazon_nova anyscale apertis assemblyai azure_ai
  baseten bedrock_mantle cerebras charity_engine chutes clarifai cloudflare codestral cognition cometapi
  compactifai cortecs crusoe custom_openai darkbloom dashscope databricks datarobot deepinfra deepseek
  docker_model_runner edenai empiriolabs empower featherless_ai fireworks_ai friendliai galadriel gdc github
  github_copilot gmi gradient_ai groq helicone heroku hosted_vllm huggingface hyperbolic inception lambda_ai
  lemonade libertai litellm_proxy llamafile llamagate lm_studio maritalk meta meta_llama minimax mistral
  modelscope moonshot morph nadir nano-gpt nebius neosantara novita nscale nvidia_nim oobabooga openai
  openai_like openrouter ovhcloud parasail perplexity pinstripes poe prism publicai qwen_ai_platform qwencloud
  ragflow reka sail sambanova sarvam scaleway scx-ai snowflake synthetic tencent tensormesh together_ai v0
  veniceai vercel_ai_gateway volcengine wandb xai xiaomi_mimo xinference zai`.split(/\s+/)

const rows = Object.entries<ProviderSpec>(providers)

test('every provider of the openai-chat wire has a row', () => {
  const missing = expected.filter((id) => !Object.hasOwn(providers, id))
  assert.deepEqual(missing, [])
})

const reached: [id: ProviderId, url: string | undefined, bases: string[], keys: string[]][] = [
  [
    'openai',
    'https://api.openai.com/v1',
    ['OPENAI_BASE_URL', 'OPENAI_API_BASE'],
    ['OPENAI_API_KEY'],
  ],
  ['groq', 'https://api.groq.com/openai/v1', ['GROQ_API_BASE'], ['GROQ_API_KEY']],
  ['mistral', 'https://api.mistral.ai/v1', ['MISTRAL_API_BASE'], ['MISTRAL_API_KEY']],
  ['codestral', 'https://codestral.mistral.ai/v1', ['CODESTRAL_API_BASE'], ['CODESTRAL_API_KEY']],
  ['deepseek', 'https://api.deepseek.com/beta', ['DEEPSEEK_API_BASE'], ['DEEPSEEK_API_KEY']],
  ['xai', 'https://api.x.ai/v1', ['XAI_API_BASE'], ['XAI_API_KEY']],
  [
    'perplexity',
    'https://api.perplexity.ai',
    ['PERPLEXITY_API_BASE'],
    ['PERPLEXITYAI_API_KEY', 'PERPLEXITY_API_KEY'],
  ],
  [
    'together_ai',
    'https://api.together.ai/v1',
    ['TOGETHER_AI_API_BASE'],
    ['TOGETHER_API_KEY', 'TOGETHER_AI_API_KEY', 'TOGETHERAI_API_KEY', 'TOGETHER_AI_TOKEN'],
  ],
  [
    'fireworks_ai',
    'https://api.fireworks.ai/inference/v1',
    ['FIREWORKS_API_BASE'],
    ['FIREWORKS_API_KEY', 'FIREWORKS_AI_API_KEY', 'FIREWORKSAI_API_KEY', 'FIREWORKS_AI_TOKEN'],
  ],
  [
    'openrouter',
    'https://openrouter.ai/api/v1',
    ['OPENROUTER_API_BASE'],
    ['OPENROUTER_API_KEY', 'OR_API_KEY'],
  ],
  ['cerebras', 'https://api.cerebras.ai/v1', ['CEREBRAS_API_BASE'], ['CEREBRAS_API_KEY']],
  ['moonshot', 'https://api.moonshot.ai/v1', ['MOONSHOT_API_BASE'], ['MOONSHOT_API_KEY']],
  ['zai', 'https://api.z.ai/api/paas/v4', ['ZAI_API_BASE'], ['ZAI_API_KEY']],
  [
    'dashscope',
    'https://dashscope.aliyuncs.com/compatible-mode/v1',
    ['DASHSCOPE_API_BASE'],
    ['DASHSCOPE_API_KEY'],
  ],
  [
    'nvidia_nim',
    'https://integrate.api.nvidia.com/v1',
    ['NVIDIA_NIM_API_BASE'],
    ['NVIDIA_NIM_API_KEY'],
  ],
  ['github', 'https://models.github.ai/inference', ['GITHUB_API_BASE'], ['GITHUB_API_KEY']],
  ['sambanova', 'https://api.sambanova.ai/v1', ['SAMBANOVA_API_BASE'], ['SAMBANOVA_API_KEY']],
  [
    'cloudflare',
    'https://api.cloudflare.com/client/v4/accounts/x1/ai/v1',
    ['CLOUDFLARE_API_BASE'],
    ['CLOUDFLARE_API_KEY'],
  ],
  [
    'vercel_ai_gateway',
    'https://ai-gateway.vercel.sh/v1',
    ['VERCEL_AI_GATEWAY_API_BASE'],
    ['VERCEL_AI_GATEWAY_API_KEY', 'AI_GATEWAY_API_KEY', 'VERCEL_OIDC_TOKEN'],
  ],
  ['hosted_vllm', undefined, ['HOSTED_VLLM_API_BASE'], ['HOSTED_VLLM_API_KEY']],
  ['llamafile', 'http://127.0.0.1:8080/v1', ['LLAMAFILE_API_BASE'], ['LLAMAFILE_API_KEY']],
  ['lm_studio', undefined, ['LM_STUDIO_API_BASE'], ['LM_STUDIO_API_KEY']],
  [
    'deepinfra',
    'https://api.deepinfra.com/v1/openai',
    ['DEEPINFRA_API_BASE'],
    ['DEEPINFRA_API_KEY'],
  ],
  ['novita', 'https://api.novita.ai/v3/openai', ['NOVITA_API_BASE'], ['NOVITA_API_KEY']],
  ['apertis', 'https://api.stima.tech/v1', [], ['STIMA_API_KEY']],
  ['scaleway', 'https://api.scaleway.ai/v1', [], ['SCW_SECRET_KEY']],
  [
    'huggingface',
    'https://router.huggingface.co/v1',
    ['HF_API_BASE', 'HUGGINGFACE_API_BASE'],
    ['HF_TOKEN', 'HUGGINGFACE_API_KEY'],
  ],
]
for (const [id, url, bases, keys] of reached)
  test(`${id}: address and credentials`, () => {
    const spec: ProviderSpec = providers[id]
    assert.equal(
      fillPlaces(spec.baseUrl, {}, () => 'x1'),
      url,
    )
    assert.deepEqual(spec.baseUrlEnv ?? [], bases)
    assert.deepEqual('bearer' in spec.auth ? spec.auth.bearer : undefined, keys)
  })

test('keys that are no bearer tokens', () => {
  assert.deepEqual(providers.databricks.auth, {
    scheme: 'databricks',
    env: ['DATABRICKS_API_KEY', 'DATABRICKS_TOKEN', 'DATABRICKS_CLIENT_ID'],
  })
  assert.deepEqual(providers.sarvam.auth, {
    header: 'api-subscription-key',
    env: ['SARVAM_API_KEY'],
  })
  assert.deepEqual(providers.oobabooga.auth, {
    header: 'authorization',
    env: [],
    prefix: 'Token ',
    optional: true,
  })
})

test('law: every base URL is a URL once its places are filled, over TLS unless it never leaves this machine', () => {
  for (const [id, spec] of rows) {
    const filled = fillPlaces(spec.baseUrl, {}, () => 'x1')
    if (filled === undefined) continue
    const { protocol, hostname } = new URL(filled)
    assert.ok(protocol === 'https:' || /^(localhost|127\.0\.0\.1|.+\.invalid)$/.test(hostname), id)
    assert.doesNotMatch(filled, /[{}]|\/$/, id)
  }
})

test('law: a row without an address says where to get one, and names are spelt as names', () => {
  for (const [id, spec] of rows) {
    assert.ok(
      spec.baseUrl || spec.baseUrlEnv?.length || ['oobabooga', 'ragflow'].includes(id),
      `${id}: no base`,
    )
    const names = [...(spec.baseUrlEnv ?? []), ...('bearer' in spec.auth ? spec.auth.bearer : [])]
    for (const name of names) assert.match(name, /^[A-Z][A-Z0-9_]+$/, id)
    const served = spec.operations.filter((one) => one === 'chat' || mediaWireOf(spec, one))
    assert.ok(
      served.length > 0 || spec.operations.includes('text_completion'),
      `${id}: offers nothing`,
    )
    for (const one of Object.keys(spec.also ?? {}))
      assert.ok(
        spec.operations.some((listed) => listed === one),
        `${id}: ${one} is not listed`,
      )
    if (spec.docs !== undefined) assert.ok(URL.canParse(spec.docs), id)
  }
})

test('law: patterns of every row compile, and name no group that is not there', () => {
  for (const [id, spec] of rows) {
    for (const { match, to } of [...(spec.models ?? []), ...(spec.places ?? [])])
      assertGroups(id, match, to)
    for (const { match, baseUrl = '', quirks } of spec.variants ?? []) {
      assertGroups(id, match, baseUrl)
      assertGroups(id, match, quirks?.chatPath ?? '')
    }
  }
})

function assertGroups(id: string, match: string, to: string): void {
  const groups = new RegExp(`${match}|`).exec('')?.length ?? 0
  for (const [, group] of to.matchAll(/\$(\d)/g)) assert.ok(Number(group) < groups, `${id}: ${to}`)
}

const variants: [provider: string, model: string, expected: object][] = [
  ['openai', 'gpt-4o', { refusedThere: ['thinking', 'verbosity', 'web_search_options'] }],
  ['openai', 'gpt-4.1-mini', { refusedThere: ['thinking', 'verbosity', 'web_search_options'] }],
  ['openai', 'gpt-4o-search-preview', { maxTokensField: 'max_completion_tokens' }],
  [
    'openai',
    'gpt-4-0613',
    { refusedThere: ['thinking', 'verbosity', 'web_search_options', 'response_format'] },
  ],
  ['openai', 'qwen3-32b', {}],
  ['openai', 'llama-o3', {}],
  ['openai', 'gpt-oss-120b', {}],
  ['openai', 'gpt-35-turbo', { refusedThere: ['thinking', 'verbosity', 'web_search_options'] }],
  ['openai', 'gpt-5-chat-latest', { refusedThere: ['thinking', 'web_search_options'] }],
  ['openai', 'o1', { maxTokensField: 'max_completion_tokens' }],
  ['openai', 'o3-mini', { maxTokensField: 'max_completion_tokens' }],
  ['openai', 'o4-mini-2025-04-16', { maxTokensField: 'max_completion_tokens' }],
  ['openai', 'gpt-5-mini', { maxTokensField: 'max_completion_tokens', samplingFreeAt: undefined }],
  ['openai', 'GPT-5', { maxTokensField: 'max_completion_tokens' }],
  ['openai', 'gpt-5.1', { samplingFreeAt: 'none-or-unset' }],
  ['openai', 'gpt-5.4-nano-2026-03-17', { samplingFreeAt: 'none-or-unset' }],
  ['openai', 'gpt-5.1-codex', { samplingFreeAt: 'none' }],
  ['openai', 'gpt-5.5', { samplingFreeAt: 'none' }],
  ['openai', 'gpt-6-sol', { maxTokensField: 'max_completion_tokens', samplingFreeAt: 'none' }],
  ['custom_openai', 'my-model-7b', { maxTokensField: 'max_tokens' }],
  ['custom_openai', 'gpt-35-turbo', { maxTokensField: 'max_tokens' }],
  ['custom_openai', 'org/gpt-10-x', { maxTokensField: 'max_completion_tokens' }],
  ['custom_openai', 'gpt-5', { maxTokensField: 'max_completion_tokens' }],
  ['github', 'openai/o3-mini', { maxTokensField: 'max_completion_tokens' }],
  ['github', 'Phi-4', { maxTokensField: 'max_tokens' }],
  ['xai', 'grok-3', { unsupported: undefined }],
  ['xai', 'grok-4-0709', { unsupported: ['stop'] }],
  ['xai', 'grok-4.20-non-reasoning', { unsupported: undefined }],
  ['zai', 'glm-4.6', { effortAsThinking: true, maxTokensField: 'max_tokens' }],
  ['zai', 'glm-5', { effortAsThinking: true }],
  ['zai', 'glm-5.2', { effortAsThinking: undefined }],
  ['moonshot', 'kimi-k2-0711-preview', { fixed: undefined, temperatureMax: 1 }],
  ['moonshot', 'kimi-k2.6', { fixed: ['temperature'] }],
  ['databricks', 'databricks-gpt-oss-20b', { splitToolCalls: true, contentParts: true }],
  ['databricks', 'databricks-claude-sonnet-4', { splitToolCalls: false, contentParts: true }],
  ['mistral', 'magistral-medium-2506', { contentParts: true, rename: { seed: 'random_seed' } }],
  ['fireworks_ai', 'accounts/fireworks/models/m', { toolChoiceAny: true }],
  ['groq', 'qwen/qwen3-32b', { reasoningField: 'reasoning', maxTokensField: undefined }],
  ['ragflow', 'chat/ab-1/any', { chatPath: '/api/v1/chats_openai/ab-1/chat/completions' }],
  ['ragflow', 'agent/ab_2/any', { chatPath: '/api/v1/agents_openai/ab_2/chat/completions' }],
  ['ragflow', 'chat/../any', { chatPath: undefined }],
]
for (const [provider, model, wanted] of variants)
  test(`quirks of ${provider}/${model}`, () => {
    const quirks: Record<string, unknown> = { ...specFor(provider, model)?.quirks }
    for (const [name, value] of Object.entries(wanted)) assert.deepEqual(quirks[name], value, name)
    if (Object.keys(wanted).length === 0) assert.deepEqual(quirks, {})
  })

const profile = 'arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4'
const imported = 'arn:aws:bedrock:us-east-1:1:imported-model/abc'
const eu = 'https://bedrock-runtime.eu-west-1.amazonaws.com'
const us = 'https://bedrock-runtime.us-east-1.amazonaws.com'
const unplaced = providers.bedrock.baseUrl
const bedrock: [model: string, client: string | undefined, wire: string, base: string][] = [
  ['anthropic.claude-x', undefined, 'bedrock-converse', unplaced],
  ['anthropic.claude-x', 'anthropic', 'bedrock-invoke', unplaced],
  ['us-east-1/anthropic.claude-x', undefined, 'bedrock-converse', us],
  ['us-east-1/anthropic.claude-x', 'anthropic', 'bedrock-invoke', us],
  ['invoke/us-east-1/anthropic.claude-x', undefined, 'bedrock-invoke', us],
  [profile, undefined, 'bedrock-converse', eu],
  [profile, 'anthropic', 'bedrock-invoke', eu],
  [`converse/${profile}`, 'anthropic', 'bedrock-converse', eu],
  [`invoke/${profile}`, undefined, 'bedrock-invoke', eu],
  [`llama/${imported}`, undefined, 'bedrock-converse', us],
  [`openai/${imported}`, undefined, 'bedrock-openai', us],
  [`invoke/qwen2/${imported}`, undefined, 'bedrock-openai', us],
  ['openai.gpt-oss-20b-1:0', undefined, 'bedrock-converse', unplaced],
  ['chat_completions/openai.gpt-oss-20b-1:0', undefined, 'bedrock-chat', unplaced],
  ['us.twelvelabs.pegasus-1-2-v1:0', undefined, 'bedrock-pegasus', unplaced],
]
test('where and how a model of Bedrock is asked', () => {
  for (const [model, client, wire, base] of bedrock) {
    const found = specFor('bedrock', model, client)
    assert.deepEqual([found?.wire, found?.baseUrl], [wire, base], `${client} ${model}`)
  }
})

test('a dedicated deployment of Baseten has a host of its own', () => {
  assert.equal(
    specFor('baseten', 'abcd1234')?.baseUrl,
    'https://model-abcd1234.api.baseten.co/environments/production/sync/v1',
  )
  assert.equal(specFor('baseten', 'deepseek-ai/V3')?.baseUrl, 'https://inference.baseten.co/v1')
})
