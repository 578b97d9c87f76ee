import { isMockFailure, mockFailures } from '../call/mock-failures.ts'
import * as keys from '../config/keys.ts'
import { callParameters, isPrice } from '../config/names.ts'
import { rowOf as findKey } from '../config/table.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import { readLar1 } from '../router/lar1.ts'
import type { RouteHints } from '../router/router.ts'
import { snakeKeys } from './names.ts'

/** A function of the library that asks a model. */
export type Asking = {
  /** As callers know it. */
  name: string
  /** Parameters of its own that may be written in camelCase, besides those of chat. */
  parameters: ReadonlySet<string>
  /** Asked where the caller names no model. */
  model?: string
  /** Its parameters that hold files. */
  files?: ReadonlySet<string>
  /** `metadata` is the provider's. */
  keepsMetadata?: true
  streams?: true
}

/** What the caller of one of them said, sorted by whom it is for. */
export type Said = {
  model: string
  stream: boolean
  /** For the provider. */
  body: JsonObject
  /** Keys of LiteLLM's `litellm_params`: how the provider is reached. */
  params: JsonObject
  /** For this library. */
  controls: Controls
  /** As they came. */
  files: readonly [name: string, value: unknown][]
}

export type Controls = {
  signal: AbortSignal | undefined
  retries: number | undefined
  fallbacks: readonly Fallback[]
  disableFallbacks: boolean
  tags: readonly string[]
  hints: RouteHints
  callId: string | undefined
  /** An error to throw instead of asking anyone. */
  mockError: Error | undefined
  /** LiteLLM's `mock_testing_…`: the first group fails in this way. */
  failFirst: string | undefined
}
export type Fallback = { model: string; options: JsonObject | undefined }

/** Sorts the options. `idle` hears of those that have no effect here, so that nobody relies on them. */
export function readOptions(
  options: unknown,
  asking: Asking,
  warn: (message: string) => void,
): Said {
  if (!isObject(options)) throw wrong(`${asking.name} takes one object: { model, … }`)
  const said = snakeKeys(options, (name) => isKnown(name) || asking.parameters.has(name))
  const files: Said['files'][number][] = []
  // As entries: a field named `__proto__` is a field like any other.
  const body: [string, unknown][] = []
  const params: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(said)) {
    const rule = ruleOf(name)
    if (asking.files?.has(name)) {
      if (value !== null) files.push([name, value])
      continue
    }
    if (rule === 'refused') throw wrong(refusals[name] ?? '', name)
    if (rule === 'idle') warn(`${asking.name}: ${name} has no effect in this build`)
    if (rule === 'row' && value !== null) params[name] = value
    // OpenAI keeps metadata where it stores the answer.
    const kept = name === 'metadata' && (said['store'] === true || asking.keepsMetadata)
    if (rule === 'provider' || kept) body.push([name, value])
  }
  const model = text(said['model']) ?? asking.model
  if (!model) throw wrong('model is missing: give provider/model, e.g. openai/gpt-4o', 'model')
  if (said['stream'] === true && !asking.streams)
    throw wrong(`${asking.name} gives its answer whole: leave stream out`, 'stream')
  const { mock_response: mock } = params
  if (mock instanceof Error) delete params['mock_response']
  return {
    model,
    stream: said['stream'] === true,
    body: jsonOf(Object.fromEntries(body)),
    params: jsonOf(params),
    files,
    controls: {
      signal: signalOf(said['signal']),
      retries: wholeOf('num_retries', said) ?? wholeOf('max_retries', said),
      fallbacks: fallbacksOf(said['fallbacks']),
      disableFallbacks: said['disable_fallbacks'] === true,
      tags: [...strings(said['tags']), ...strings(object(said['metadata'])['tags'])],
      hints: hintsIn(said),
      callId: text(said['litellm_call_id']),
      mockError: mock instanceof Error ? mock : undefined,
      failFirst: Object.keys(mockFailures).find((name) => said[name] === true),
    },
  }
}

/** What stickiness and `lar1` look at. */
function hintsIn(said: Record<string, unknown>): RouteHints {
  const metadata = jsonOf(object(said['metadata']))
  return {
    session: text(said['litellm_session_id']) ?? text(metadata['session_id']),
    lar1: readLar1(metadata['lar1']),
  }
}

/** Is it an option by this name, of whatever kind? Only such are looked for in camelCase. */
export const isKnown = (name: string): boolean =>
  ruleOf(name) !== 'provider' || callParameters.has(name) || name === 'messages'

type Rule = 'provider' | 'row' | 'own' | 'idle' | 'refused'

function ruleOf(name: string): Rule {
  if (own.has(name) || isMockFailure(name)) return 'own'
  if (idle.has(name)) return 'idle'
  if (Object.hasOwn(refusals, name)) return 'refused'
  return isRowKey(name) ? 'row' : 'provider'
}

/** Is it a key of litellm_params? */
export const isRowKey = (name: string): boolean =>
  (isPrice(name) || findKey(keys.litellmParams, name) !== undefined) && name !== 'model'

/** Read here, and not sent. */
const own = new Set(
  `signal num_retries max_retries fallbacks disable_fallbacks tags metadata litellm_metadata
  litellm_call_id litellm_session_id`.split(/\s+/),
)

/** LiteLLM's switches of things that are not here: told once, never sent. */
const idle = new Set(
  `cache caching caching_groups guardrails guardrail_config logger_fn no-log no_log retry_strategy shared_session
  enable_json_schema_validation litellm_trace_id litellm_logging_obj litellm_params
  context_window_fallback_dict context_window_fallbacks content_policy_fallbacks default_fallbacks callbacks
  success_callback failure_callback priority policies deployment_id verbose litellm_disabled_callbacks`.split(
    /\s+/,
  ),
)

const refusals: Readonly<Record<string, string>> = {
  model_list: 'a call takes no model_list: make a Router of it, new Router({ model_list })',
  azure_ad_token_provider:
    'azure_ad_token_provider is a function, which a call cannot carry: give azure_ad_token',
  client: 'a call takes no client: give api_key and api_base',
}

/** A copy, as JSON says it. */
export function jsonOf(value: unknown): JsonObject {
  try {
    return object(JSON.parse(JSON.stringify(value)))
  } catch (cause) {
    const why = cause instanceof Error ? `: ${cause.message.split('\n')[0]}` : ''
    throw new GatewayError('bad_request', `the options cannot be written as JSON${why}`, { cause })
  }
}

function signalOf(value: unknown): AbortSignal | undefined {
  if (value === undefined || value === null) return undefined
  if (value instanceof AbortSignal) return value
  throw wrong('signal must be an AbortSignal', 'signal')
}

function wholeOf(name: string, said: Readonly<Record<string, unknown>>): number | undefined {
  const value = said[name]
  if (value === undefined || value === null) return undefined
  const read = number(value)
  if (read === undefined || !Number.isInteger(read) || read < 0 || read > 100)
    throw wrong(`${name} must be a whole number, 0 to 100`, name)
  return read
}

function fallbacksOf(value: unknown): Fallback[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong('fallbacks must be a list of models', 'fallbacks')
  return value.map((one: unknown) => {
    const options = isObject(one) ? snakeKeys(one, isKnown) : undefined
    const model = text(one) ?? text(options?.['model'])
    if (!model) throw wrong('each of fallbacks must be a model, or { model, … }', 'fallbacks')
    return { model, options: options && jsonOf(options) }
  })
}

const strings = (value: unknown): string[] =>
  list(value).filter((one): one is string => typeof one === 'string')

export const wrong = (message: string, param?: string): GatewayError =>
  new GatewayError('bad_request', message, { param })
