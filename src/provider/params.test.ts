import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { supportedOpenAiParams } from './params.ts'

const catalogued: JsonObject = { litellm_provider: 'x', mode: 'chat' }

const cases: [
  name: string,
  provider: string,
  model: string,
  info: JsonObject,
  yes: string,
  no: string,
][] = [
  [
    'an OpenAI model nobody described',
    'openai',
    'my-gpt',
    {},
    'temperature tools response_format store user',
    'reasoning_effort',
  ],
  [
    'a reasoning model',
    'openai',
    'gpt-5-mini',
    { ...catalogued, supports_reasoning: true },
    'reasoning_effort verbosity max_tokens',
    'temperature top_p stop logprobs',
  ],
  [
    'free sampling without effort',
    'openai',
    'gpt-5.1',
    { supports_reasoning: true },
    'temperature reasoning_effort',
    'stop',
  ],
  [
    'an open model',
    'hosted_vllm',
    'qwen3',
    {},
    'tools seed n logprobs',
    'store audio prediction verbosity',
  ],
  [
    'the catalogue knows tools',
    'groq',
    'm',
    { ...catalogued, supports_function_calling: true },
    'tools tool_choice parallel_tool_calls',
    'logprobs n',
  ],
  [
    'the catalogue knows no tools',
    'groq',
    'm',
    catalogued,
    'temperature response_format',
    'tools tool_choice functions',
  ],
  [
    'a plain no',
    'groq',
    'm',
    { supports_function_calling: false, supports_response_schema: false },
    'stop',
    'tools response_format',
  ],
  [
    'tools, but not in parallel',
    'groq',
    'm',
    { supports_function_calling: true, supports_parallel_function_calling: false },
    'tools',
    'parallel_tool_calls',
  ],
  ['Mistral', 'mistral', 'm', {}, 'seed n tools', 'user stream_options logit_bias metadata'],
  ['Kimi sets its temperature', 'moonshot', 'kimi-k2.6', {}, 'top_p', 'temperature'],
  [
    'web search',
    'perplexity',
    'sonar',
    { ...catalogued, supports_web_search: true },
    'web_search_options',
    'audio',
  ],
  [
    'embeddings',
    'openai',
    'e',
    { mode: 'embedding' },
    'dimensions encoding_format',
    'temperature tools',
  ],
  ['a mode without parameters', 'openai', 'e', { mode: 'moderation' }, '', 'temperature'],
  ['a provider without a row', 'nobody', 'm', {}, 'temperature tools', 'store'],
]
for (const [name, provider, model, info, yes, no] of cases)
  test(`parameters: ${name}`, () => {
    const found = supportedOpenAiParams(provider, model, info)
    const words = (list: string) => list.split(' ').filter((word) => word !== '')
    assert.deepEqual(
      words(yes).filter((param) => !found.includes(param)),
      [],
    )
    assert.deepEqual(
      words(no).filter((param) => found.includes(param)),
      [],
    )
    assert.equal(new Set(found).size, found.length)
  })
