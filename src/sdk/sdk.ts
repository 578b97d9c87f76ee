import type { JsonObject } from '../json/json.ts'
import { createCatalogue } from '../provider/catalogue.ts'
import { providers } from '../provider/providers.ts'
import { alone } from './alone.ts'
import { askNames, asksOf } from './ask.ts'
import { streamChunkBuilder } from './chunks.ts'
import {
  type CompletionCostOptions,
  type CostPerTokenOptions,
  completionCost,
  costPerToken,
} from './costs.ts'
import { AuthenticationError, guarded, PermissionDeniedError } from './errors.ts'
import {
  type Ability,
  abilities,
  catalogueOf,
  type EnvironmentCheck,
  type EnvironmentOptions,
  getLlmProvider,
  getMaxTokens,
  getModelInfo,
  getSupportedOpenaiParams,
  getValidModels,
  type LlmProvider,
  lazily,
  readQuery,
  supports,
  validateEnvironment,
} from './models.ts'
import { type BothNames, bothNames, type EitherCase, snakeKeys } from './names.ts'
import { openRoom, type Room, type Settings } from './room.ts'
import { openRouter } from './router.ts'
import type { Runtime } from './runtime.ts'
import { type TokenCounterOptions, tokenCounter } from './tokens.ts'
import type {
  Asks,
  ChatCompletion,
  ChatCompletionChunk,
  ChatMessage,
  ModelInfo,
  ModelQuery,
  Router,
  RouterOptions,
  TwiceNamed,
} from './types.ts'

/** The library: every function under LiteLLM's name and in camelCase. */
export type Sdk = BothNames<Functions>

type Supports = (model: ModelQuery, customLlmProvider?: string) => boolean
type Pascal<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Capitalize<Head>}${Pascal<Tail>}`
  : Capitalize<S>

type Functions = {
  /** What the catalogue says of a model. */
  getModelInfo(model: ModelQuery, customLlmProvider?: string): ModelInfo
  /** Tokens a model may write at most. */
  getMaxTokens(model: ModelQuery): number
  costPerToken(options: CostPerTokenOptions): [number, number]
  completionCost(options: CompletionCostOptions): number
  getSupportedOpenaiParams(
    model: string | SupportedParamsOptions,
    customLlmProvider?: string,
  ): string[] | null
  getLlmProvider(model: ModelQuery, customLlmProvider?: string): LlmProvider
  tokenCounter(options: TokenCounterOptions): number
  validateEnvironment(model?: string | null, options?: EnvironmentOptions): EnvironmentCheck
  /** One small call with this key. False if the provider refuses the key; any other failure is thrown. */
  checkValidKey(model: string, apiKey: string): Promise<boolean>
  getValidModels(options?: EitherCase<{ custom_llm_provider?: string | undefined }>): string[]
  streamChunkBuilder(
    chunks: readonly ChatCompletionChunk[],
    options?: { messages?: readonly ChatMessage[] | undefined },
  ): ChatCompletion
  /** The catalogue's entries by name, read when first looked at. */
  modelCost: Readonly<Record<string, JsonObject>>
  /** Every model of every provider, as `provider/model`. */
  modelList: readonly string[]
  /** Ids of the providers on offer. */
  providerList: readonly string[]
  /** What holds for every call that does not say otherwise. */
  settings: Settings
  /** The price list from now on: LiteLLM's model_prices_and_context_window.json. */
  setCatalogue(data: JsonObject): void
  /** Ends connections that are kept for the next call. */
  close(): Promise<void>
  Router: new (options: RouterOptions) => Router
} & Asks &
  TwiceNamed & { [A in Ability as `supports${Pascal<A>}`]: Supports }

export type SupportedParamsOptions = EitherCase<{
  model: string
  custom_llm_provider?: string | undefined
  request_type?: 'chat_completion' | 'embeddings' | 'transcription' | undefined
}>

/** What is no function, or another's. */
type Made = keyof TwiceNamed | 'Router' | 'settings' | keyof ReturnType<typeof lists>

export function sdkOf(runtime: () => Runtime): Sdk {
  const room = openRoom(runtime)
  const asks = asksOf((said) => alone(said, room), room)
  const functions: Omit<Functions, Made> = {
    ...asks,
    getModelInfo: (model, provider) => getModelInfo(readQuery(model, provider), room),
    getMaxTokens: (model) => getMaxTokens(readQuery(model), room),
    costPerToken: (options) => costPerToken(options, room),
    completionCost: (options) => completionCost(options, room),
    getSupportedOpenaiParams(model, provider) {
      const said = typeof model === 'string' ? {} : snakeKeys(model, () => true)
      return getSupportedOpenaiParams(
        readQuery(model, provider),
        String(said['request_type'] ?? 'chat_completion'),
        room,
      )
    },
    getLlmProvider: (model, provider) => getLlmProvider(readQuery(model, provider), room),
    tokenCounter: (options) => tokenCounter(options, room),
    validateEnvironment: (model, options = {}) =>
      validateEnvironment(model ?? undefined, options, room),
    checkValidKey: (model, apiKey) => checkValidKey(model, apiKey, asks.completion),
    getValidModels(options = {}) {
      const provider = options.custom_llm_provider ?? options.customLlmProvider
      return getValidModels(provider, room)
    },
    streamChunkBuilder: (chunks, options = {}) =>
      streamChunkBuilder(chunks, options.messages, room),
    setCatalogue: (data) => room.runtime.setCatalogue(createCatalogue(data)),
    close: () => room.runtime.close(),
    ...abilityFunctions(room),
  }
  const typed = Object.fromEntries(
    Object.entries(functions).map(([name, call]) => [name, guarded(call)]),
    // The same functions, only that what they throw is typed.
  ) as typeof functions
  const whole = {
    ...typed,
    ...twiceNamed(typed),
    ...lists(room),
    settings: room.settings,
    Router: routerClass(room),
  }
  return bothNames<Functions>(whole)
}

function abilityFunctions(room: Room) {
  const made = abilities.map((ability): [string, Supports] => [
    `supports${ability.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    (model, provider) => supports(ability, readQuery(model, provider), room),
  ])
  // Named by the rule the type states.
  return Object.fromEntries(made) as { [A in Ability as `supports${Pascal<A>}`]: Supports }
}

function lists(room: Room) {
  const version = () => room.runtime.catalogue()
  const entries: Record<string, JsonObject> = {}
  const names: string[] = []
  return {
    modelCost: lazily<Record<string, JsonObject>>(
      entries,
      (target) => Object.assign(target, Object.fromEntries(catalogue().entries())),
      version,
    ),
    modelList: lazily<string[]>(
      names,
      (target) => {
        const all = catalogue()
        const found = all.providers().flatMap((provider) => all.models(provider))
        for (const name of new Set(found)) target.push(name)
      },
      version,
    ),
    providerList: Object.keys(providers),
  }
  function catalogue() {
    return guarded(() => catalogueOf(room))()
  }
}

/** LiteLLM has everything that asks a model a second time, for who waits without a thread: `aembedding`. */
function twiceNamed(asks: Asks): TwiceNamed {
  // Named by the rule the type states.
  return Object.fromEntries(askNames.map((name) => [`a${name}`, asks[name]])) as TwiceNamed
}

/** `new Router(…)`, as LiteLLM has it. */
function routerClass(room: Room): Functions['Router'] {
  const open = guarded((options: RouterOptions) => openRouter(options, room))
  class Opened {
    constructor(options: RouterOptions) {
      const { asks, modelNames, modelList, warnings } = open(options)
      const typed = Object.fromEntries(
        Object.entries(asks).map(([name, ask]) => [name, guarded(ask)]),
        // The same functions, only that what they throw is typed.
      ) as Asks
      const whole = { ...typed, ...twiceNamed(typed), getModelNames: modelNames }
      Object.assign(this, bothNames({ ...whole, getModelList: modelList }), { warnings })
    }
  }
  // What it has is assigned above, by both of its names.
  return Opened as unknown as Functions['Router']
}

/** Anything but a refusal of the key tells nothing about the key. */
async function checkValidKey(
  model: string,
  apiKey: string,
  completion: Asks['completion'],
): Promise<boolean> {
  try {
    await completion({
      model,
      messages: [{ role: 'user', content: 'Hi' }],
      max_tokens: 10,
      api_key: apiKey,
      num_retries: 0,
    })
    return true
  } catch (cause) {
    if (cause instanceof AuthenticationError || cause instanceof PermissionDeniedError) return false
    throw cause
  }
}
