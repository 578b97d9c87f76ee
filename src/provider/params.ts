import { bool, type JsonObject, text } from '../json/json.ts'
import type { Quirks } from '../wire/quirks.ts'
import { specFor, specOf } from './resolve.ts'

/**
 * OpenAI parameters a model takes, for people who ask. Requests are not checked against it: only a row's `unsupported`
 * refuses. `info` is what the catalogue and the row say of the model; without a word from the catalogue nothing is struck
 * off on its account.
 */
export function supportedOpenAiParams(provider: string, model: string, info: JsonObject): string[] {
  const mode = text(info.mode)
  if (mode !== undefined && !chatModes.has(mode)) return [...(otherModes[mode] ?? [])]
  const quirks = specFor(provider, model)?.quirks ?? {}
  const dropped = lacking(quirks)
  const known = text(info.litellm_provider) !== undefined
  return chatParams.filter(
    (param) =>
      !dropped.has(param) &&
      says(param, info, known) &&
      (!openAiOnly.has(param) || takesAll(provider)),
  )
}

/** Abilities by the catalogue's name. Some are told only where they exist, others are struck off only by a plain no. */
const abilities: Readonly<Record<string, { flag: string; unsaid: 'no' | 'yes' | 'as-known' }>> = {
  tools: { flag: 'supports_function_calling', unsaid: 'as-known' },
  tool_choice: { flag: 'supports_function_calling', unsaid: 'as-known' },
  functions: { flag: 'supports_function_calling', unsaid: 'as-known' },
  function_call: { flag: 'supports_function_calling', unsaid: 'as-known' },
  parallel_tool_calls: { flag: 'supports_function_calling', unsaid: 'as-known' },
  response_format: { flag: 'supports_response_schema', unsaid: 'yes' },
  reasoning_effort: { flag: 'supports_reasoning', unsaid: 'no' },
  verbosity: { flag: 'supports_reasoning', unsaid: 'no' },
  web_search_options: { flag: 'supports_web_search', unsaid: 'as-known' },
  audio: { flag: 'supports_audio_output', unsaid: 'as-known' },
  modalities: { flag: 'supports_audio_output', unsaid: 'as-known' },
}

/** Struck off besides, where the catalogue says a plain no. */
const refinements: Readonly<Record<string, string>> = {
  tool_choice: 'supports_tool_choice',
  parallel_tool_calls: 'supports_parallel_function_calling',
}

function says(param: string, info: JsonObject, known: boolean): boolean {
  const finer = refinements[param]
  if (finer !== undefined && bool(info[finer]) === false) return false
  const ability = abilities[param]
  if (!ability) return true
  const { flag, unsaid } = ability
  return bool(info[flag]) ?? (unsaid === 'as-known' ? !known : unsaid === 'yes')
}

function lacking(quirks: Quirks): ReadonlySet<string> {
  return new Set([
    ...(quirks.unsupported ?? []),
    ...(quirks.refusedThere ?? []),
    ...(quirks.fixed ?? []),
    ...(quirks.samplingFreeAt ? [] : Object.keys(quirks.onlyDefault ?? {})),
    ...(quirks.noStreamUsage ? ['stream_options'] : []),
    ...(quirks.singleChoice ? ['n'] : []),
    ...(quirks.dropBookkeeping
      ? ['user', 'metadata', 'store', 'safety_identifier', 'prompt_cache_key']
      : []),
  ])
}

/** OpenAI itself, and who passes whatever comes on to it. */
const takesAll = (provider: string): boolean =>
  passesOn.has(provider) || specOf(provider)?.baseUrl === 'https://api.openai.com/v1'
const passesOn = new Set([
  'azure',
  'azure_ai',
  'litellm_proxy',
  'openrouter',
  'vercel_ai_gateway',
  'github_copilot',
])

const chatModes = new Set(['chat', 'completion', 'responses'])
const otherModes: Readonly<Record<string, readonly string[]>> = {
  embedding: ['dimensions', 'encoding_format', 'user'],
  image_generation: ['n', 'quality', 'response_format', 'size', 'style', 'user'],
  audio_transcription: [
    'language',
    'prompt',
    'response_format',
    'temperature',
    'timestamp_granularities',
  ],
  audio_speech: ['voice', 'response_format', 'speed', 'instructions'],
}

const chatParams = [
  'frequency_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'max_tokens',
  'max_completion_tokens',
  'modalities',
  'prediction',
  'n',
  'presence_penalty',
  'seed',
  'stop',
  'stream',
  'stream_options',
  'temperature',
  'top_p',
  'tools',
  'tool_choice',
  'function_call',
  'functions',
  'parallel_tool_calls',
  'audio',
  'web_search_options',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'store',
  'metadata',
  'response_format',
  'reasoning_effort',
  'verbosity',
  'user',
]

/** Means something at OpenAI alone. */
const openAiOnly = new Set([
  'audio',
  'metadata',
  'modalities',
  'prediction',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
  'store',
  'verbosity',
])
