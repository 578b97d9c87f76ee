import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, number, text } from '../json/json.ts'
import type { Catalogue } from '../provider/catalogue.ts'
import { supportedOpenAiParams } from '../provider/params.ts'
import { providers } from '../provider/providers.ts'
import { fillPlaces, keysInEnvironment, type Resolved } from '../provider/resolve.ts'
import type { ProviderSpec } from '../provider/spec.ts'
import { ModelNotMappedError } from './errors.ts'
import { type EitherCase, snakeKeys } from './names.ts'
import { jsonOf, wrong } from './options.ts'
import { type Room, readRow } from './room.ts'
import type { ModelInfo, ModelQuery } from './types.ts'

/** The catalogue, or an error that says how to bring one. */
export function catalogueOf({ runtime }: Room): Catalogue {
  const catalogue = runtime.catalogue()
  if (catalogue) return catalogue
  throw new GatewayError(
    'internal',
    'there is no model catalogue here: on Node it comes with the package; elsewhere give one first, setCatalogue(data), with the JSON of model_prices_and_context_window.json',
  )
}

export type Query = {
  model: string
  custom_llm_provider?: string | undefined
  api_base?: string | undefined
  api_key?: string | undefined
  region?: string | undefined
}

/** A name alone, or with what helps to tell whose it is. */
export function readQuery(asked: ModelQuery, provider?: string): Query {
  const said = typeof asked === 'string' ? { model: asked } : asked
  const query = jsonOf(isObject(said) ? snakeKeys(said, () => true) : {})
  const model = text(query.model)
  if (!model) throw wrong('model is missing: give provider/model, e.g. openai/gpt-4o', 'model')
  return {
    model,
    custom_llm_provider: text(query.custom_llm_provider) ?? provider,
    api_base: text(query.api_base),
    api_key: text(query.api_key),
  }
}

type Found = { provider: string; model: string; key: string; info: JsonObject }

/** What is known of a model; throws for one nobody knows. */
export function lookUp(query: Query, overrides: JsonObject, room: Room): Found {
  const found = find(query, overrides, room)
  if (found) return found
  throw new ModelNotMappedError(
    `litellm.ModelNotMappedError: nothing is known of the model ${query.model.slice(0, 100)}: it is not in the catalogue (model_list has the names)`,
    { status: 400, model: query.model, llm_provider: query.custom_llm_provider },
  )
}

function find(query: Query, overrides: JsonObject, room: Room): Found | undefined {
  const catalogue = catalogueOf(room)
  const { provider, model } = resolved(query, room)
  const entry =
    catalogue.find(provider, model, query.region) ??
    catalogue.find(provider, query.model, query.region)
  const own = Object.keys(overrides).length > 0
  const info = own
    ? room.infoOf(provider, model, overrides)
    : (entry?.info ?? room.infoOf(provider, model, {}))
  if (!entry && Object.keys(info).length === 0) return undefined
  return { provider, model, key: entry?.key ?? query.model, info }
}

const resolved = (query: Query, room: Room): Resolved =>
  room.resolve(query.model, query.custom_llm_provider, query.api_base)

export function getModelInfo(query: Query, room: Room): ModelInfo {
  const { provider, model, key, info } = lookUp(query, {}, room)
  return {
    ...info,
    key,
    litellm_provider: text(info.litellm_provider) ?? provider,
    supported_openai_params: supportedOpenAiParams(provider, model, info),
  }
}

/** Tokens the model may write at most. */
export function getMaxTokens(query: Query, room: Room): number {
  const { info } = lookUp(query, {}, room)
  const tokens = number(info.max_output_tokens) ?? number(info.max_tokens)
  if (tokens !== undefined) return tokens
  throw new ModelNotMappedError(
    `litellm.ModelNotMappedError: the catalogue does not say how much ${query.model.slice(0, 100)} may write`,
    { status: 400, model: query.model },
  )
}

/** Abilities by their names in the catalogue: `supports_<name>`. */
export const abilities = [
  'function_calling',
  'parallel_function_calling',
  'tool_choice',
  'vision',
  'response_schema',
  'reasoning',
  'prompt_caching',
  'web_search',
  'audio_input',
  'audio_output',
  'pdf_input',
  'url_context',
  'computer_use',
  'system_messages',
] as const
export type Ability = (typeof abilities)[number]

/** False for a model nobody knows. */
export const supports = (ability: Ability, query: Query, room: Room): boolean =>
  find(query, {}, room)?.info[`supports_${ability}`] === true

const modes: Readonly<Record<string, string>> = {
  embeddings: 'embedding',
  transcription: 'audio_transcription',
}

/** Null where the provider is not known. */
export function getSupportedOpenaiParams(
  query: Query,
  requestType: string,
  room: Room,
): string[] | null {
  const { type, provider, model } = resolved(query, room)
  if (type === 'unknown') return null
  const mode = modes[requestType]
  const info = room.infoOf(provider, model, mode === undefined ? {} : { mode })
  return supportedOpenAiParams(provider, model, info)
}

/** `[model, provider, api_key, api_base]`: the last two as far as they are known. */
export type LlmProvider = [
  model: string,
  provider: string,
  apiKey: string | null,
  apiBase: string | null,
]

export function getLlmProvider(query: Query, room: Room): LlmProvider {
  const found = resolved(query, room)
  if (found.type === 'unknown') throw found.error
  const { env } = room.runtime
  const spec: ProviderSpec | undefined = found.spec
  const auth = spec?.auth ?? { none: true as const }
  const names = 'bearer' in auth ? auth.bearer : 'header' in auth ? auth.env : []
  const key = query.api_key ?? names.map(env).find((value) => value)
  const told = spec?.baseUrlEnv?.map(env).find((value) => value)
  const base = query.api_base ?? told ?? fillPlaces(spec?.baseUrl, {}, env)
  return [
    found.model,
    found.provider,
    key ?? null,
    base === undefined || base.includes('{') ? null : base,
  ]
}

export type EnvironmentCheck = { keys_in_environment: boolean; missing_keys: string[] }
export type EnvironmentOptions = EitherCase<{
  api_key?: string | undefined
  api_base?: string | undefined
  api_version?: string | undefined
}>

/** Would a call to the model find its credential and its address? Nobody is asked. */
export function validateEnvironment(
  model: string | undefined,
  options: EnvironmentOptions,
  room: Room,
): EnvironmentCheck {
  if (!model) return { keys_in_environment: false, missing_keys: [] }
  const params = jsonOf(snakeKeys(options, () => true))
  const found = room.resolve(model, undefined, text(params.api_base))
  // LiteLLM's word for a model it knows nothing of.
  if (found.type === 'unknown') return { keys_in_environment: true, missing_keys: [] }
  if (found.type === 'not-offered') return { keys_in_environment: false, missing_keys: [] }
  const { problem, spec } = room.make(readRow(model, model, params, room))
  const missing = missingOf(spec, params, room.runtime.env)
  if (problem && missing.length === 0) missing.push(...namesIn(problem.message))
  return { keys_in_environment: !problem && missing.length === 0, missing_keys: missing }
}

/** The first name of each thing that is not there. */
function missingOf(
  { auth, baseUrl, baseUrlEnv }: ProviderSpec,
  params: JsonObject,
  env: (name: string) => string | undefined,
): string[] {
  const missing: string[] = []
  const names = 'bearer' in auth ? auth.bearer : 'none' in auth ? [] : (auth.env ?? [])
  const optional = 'optional' in auth && auth.optional === true
  const given = text(params.api_key) !== undefined || text(params.api_base) !== undefined
  const [first] = names
  if (!optional && !given && first !== undefined && !names.some(env)) missing.push(first)
  if (text(params.api_base) !== undefined || baseUrlEnv?.some(env)) return missing
  const filled = fillPlaces(baseUrl, params, env)
  const places = /\{([\w|]+)/.exec(filled ?? '')?.[1]?.split('|') ?? []
  // A place has a parameter's name and the environment's.
  const open = places.find((name) => name === name.toUpperCase()) ?? places[0]
  const lacking = open ?? (filled === undefined ? baseUrlEnv?.[0] : undefined)
  if (lacking !== undefined) missing.push(lacking)
  return missing
}

/** Credentials of more than one part say themselves what they lack. */
const namesIn = (message: string): string[] => [
  ...new Set(message.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []),
]

/** Models of every provider the environment has a credential for, as `provider/model`. */
export function getValidModels(provider: string | undefined, room: Room): string[] {
  const catalogue = catalogueOf(room)
  const found = keysInEnvironment(room.runtime.env).map((one): string => one.provider)
  return found
    .filter((one) => provider === undefined || one === provider)
    .flatMap((one) => catalogue.models(catalogued(one)))
}

function catalogued(provider: string): string {
  const rows: Readonly<Record<string, ProviderSpec>> = providers
  return rows[provider]?.catalogue ?? provider
}

/** An object or list that is filled when it is first looked at, and again when `version` has changed. */
export function lazily<T extends object>(
  target: T,
  fill: (target: T) => void,
  version: () => unknown,
): T {
  let filled: unknown = unfilled
  const ready = (): T => {
    const now = version()
    if (filled === now) return target
    for (const key of Object.keys(target)) Reflect.deleteProperty(target, key)
    if (Array.isArray(target)) target.length = 0
    fill(target)
    filled = now
    return target
  }
  return new Proxy(target, {
    get: (_, key) => Reflect.get(ready(), key),
    has: (_, key) => Reflect.has(ready(), key),
    ownKeys: () => Reflect.ownKeys(ready()),
    getOwnPropertyDescriptor: (_, key) => Reflect.getOwnPropertyDescriptor(ready(), key),
  })
}
const unfilled = Symbol('unfilled')
