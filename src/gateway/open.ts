import type { CallDeps } from '../call/call.ts'
import type { Dial } from '../call/dial.ts'
import type { FetchMedia } from '../call/media.ts'
import { mockTransport } from '../call/mock.ts'
import { createShelf } from '../call/shelf.ts'
import type { Transport } from '../call/transport.ts'
import { type RoutingDefaults, routerSettingsOf, rowOf, uniqueIds } from '../config/routing.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type AddressOptions, addressOf, rangesOf } from '../policy/address.ts'
import type { Identify } from '../policy/identify.ts'
import { type Catalogue, infoOf } from '../provider/catalogue.ts'
import {
  type ConnectionValues,
  createDeployment,
  type Deployment,
  type DeploymentDeps,
  idOf,
  type Row,
} from '../provider/deployment.ts'
import { keysInEnvironment, resolve, specOf } from '../provider/resolve.ts'
import { isSecretKey } from '../provider/secrets.ts'
import type { HealthMemory } from '../router/health.ts'
import { createRouter, type Router } from '../router/router.ts'
import { openShelf } from '../store/shelf.ts'
import type { Enforced } from './enforced.ts'
import { createMemory, type MemoryOptions } from './memory.ts'
import type { GatewaySettings, Rooms, Tokens } from './rooms.ts'
import { openStores } from './vector-stores.ts'

/** What the environment gives that no config file can say. */
export type OpenDeps = {
  env: (name: string) => string | undefined
  transport: Transport
  /** Fetches what clients name by its address; absent where nothing guards it. */
  media?: FetchMedia
  /** Opens WebSockets to providers; absent where the runtime has none. */
  dial?: Dial
  identify: Identify
  ledger: Ledger
  /** What needs a database; absent where there is none. */
  books?: Rooms['books']
  access?: Rooms['access']
  admit?: Rooms['admit']
  /** Why a provider is not asked now; absent: all are. */
  spentWith?: ((provider: string) => string | undefined) | undefined
  /** The catalogue as far as it is loaded, and the whole of it. */
  catalogue: { readonly current: Catalogue; loaded(): Promise<Catalogue> }
  tokens: Tokens
  /** Where answers are kept, and by which secret their ids are understood again. */
  memory?: Omit<MemoryOptions, 'now'>
  log: Rooms['log']
  now?: () => number
  connectionOf?: (params: JsonObject) => ConnectionValues | undefined
  schemes?: DeploymentDeps['schemes']
  /** Settings that environment variables give when the file is silent. */
  defaults: Defaults
  corsOrigins: readonly string[]
  docs: boolean
}
export type Defaults = RoutingDefaults & {
  dropParams: boolean
  modifyParams: boolean
  requestTimeoutSeconds: number
  /** STORE_PROMPTS_IN_SPEND_LOGS and MAX_STRING_LENGTH_PROMPT_IN_DB. */
  storePrompts?: boolean | undefined
  promptLength?: number | undefined
}

/** From a config to the rooms that serve it. */
export function openRooms(config: Config, deps: OpenDeps): Rooms {
  const now = deps.now ?? Date.now
  const calls: CallDeps = {
    transport: deps.transport,
    mock: mockTransport,
    maxLineBytes: config.limits.sse_line_mb * 1024 * 1024,
    maxAnswerBytes: 512 * 1024 * 1024,
    ...(deps.media && { media: deps.media }),
    ...(deps.dial && { dial: deps.dial }),
    shelf: deps.books ? openShelf(deps.books.store.db, now) : createShelf(now),
  }
  return {
    identify: deps.identify,
    ...openRouting(config, deps),
    calls,
    ledger: deps.ledger,
    ...(deps.books && { books: deps.books }),
    ...(deps.access && { access: deps.access }),
    ...(deps.admit && { admit: deps.admit }),
    memory: createMemory({ ...deps.memory, now }),
    catalogue: deps.catalogue.loaded,
    tokens: deps.tokens,
    now,
    log: deps.log,
    startedAt: now(),
  }
}

/** The part of the rooms that a config decides while they serve. */
export type Routing = Pick<
  Rooms,
  'router' | 'override' | 'provider' | 'searchTools' | 'vectorStores' | 'settings'
>

/** What is served now. Deployments that stay as they were are taken over, with what is known of them. */
export type Served = { config: Config; router: Router; catalogue: Catalogue }

export function openRouting(config: Config, deps: OpenDeps, was?: Served): Routing {
  const opened = openRouter(config, deps, was)
  return { ...opened, settings: settingsOf(config, deps, opened.router) }
}

/** What every deployment is made with, besides its row. */
const sharedOf = ({ settings, general }: Config): string =>
  JSON.stringify([settings.drop_params, settings.modify_params, general.unpriced_models])

function openRouter(
  config: Config,
  deps: OpenDeps,
  was: Served | undefined,
): Pick<Rooms, 'router' | 'override' | 'provider' | 'searchTools' | 'vectorStores'> {
  const priceAs = object(config.general.unpriced_models)['price_as']
  const deploymentDeps: DeploymentDeps = {
    env: deps.env,
    resolve: (model, custom, base) =>
      resolve(model, custom, {
        base,
        providerOf: (name) => deps.catalogue.current.providerOf(name),
      }),
    infoOf: (provider, model, overrides) =>
      priced(infoOf(deps.catalogue.current, provider, model, overrides), text(priceAs), deps),
    dropParams: config.settings.drop_params ?? deps.defaults.dropParams,
    modifyParams: config.settings.modify_params ?? deps.defaults.modifyParams,
    schemes: deps.schemes ?? {},
    ...(deps.connectionOf && { connectionOf: deps.connectionOf }),
  }
  const make = (row: Row, id: string) => createDeployment(row, deploymentDeps, id)
  const unique = uniqueIds()
  const defaults = object(config.router.default_litellm_params)
  const rows = [...config.models.map((model) => rowOf(model, defaults)), ...inferred(config, deps)]
  const known = new Map(
    was && sharedOf(was.config) === sharedOf(config)
      ? was.router.groups.all().map((one) => [one.id, one])
      : [],
  )
  const memory: HealthMemory = new Map()
  const deployments = rows.map((row) => {
    const id = text(row.info['id']) ?? unique(idOf(row))
    const before = known.get(id)
    if (!before || JSON.stringify(before.row) !== JSON.stringify(row)) return make(row, id)
    const state = was?.router.health.memory.get(id)
    if (state) memory.set(id, state)
    // Prices and limits of another list: made anew, and as healthy as it was.
    return was?.catalogue === deps.catalogue.current ? before : make(row, id)
  })
  const router = createRouter({
    deployments,
    memory,
    pins: was?.router.pins,
    settings: routerSettingsOf(config, deps.defaults),
    // Free models are asked all the same.
    passOver:
      deps.spentWith && config.router.provider_budget_config !== undefined
        ? ({ provider }) => deps.spentWith?.(provider)
        : undefined,
    expand: (wildcard, publicName, upstreamName) =>
      make(
        {
          ...wildcard.row,
          modelName: publicName,
          params: { ...wildcard.row.params, model: upstreamName },
        },
        wildcard.id,
      ),
    now: deps.now ?? Date.now,
  })
  const providers = new Map<string, Deployment | undefined>()
  const openProvider = (name: string, operation: string): Deployment | undefined => {
    const spec = specOf(name)
    if (!spec) return undefined
    const given = operation === 'passthrough' ? passedAs(config, name) : undefined
    const params = given?.params ?? providerSettings(config, name, operation)
    const model = (operation === 'vector_stores' && spec.storeModel) || '*'
    const row = {
      params: { ...params, model: `${name}/${model}` },
      defaults: {},
      prices: {},
      info: {},
    }
    return make({ ...row, modelName: name, unset: given?.unset ?? {} }, `provider:${name}`)
  }
  return {
    router,
    provider(name, operation) {
      const key = `${operation} ${name}`
      // Names come from clients: only those of providers are kept.
      if (!providers.has(key) && specOf(name)) providers.set(key, openProvider(name, operation))
      return providers.get(key)
    },
    searchTools: new Map(
      list(config.raw['search_tools']).flatMap((row): [string, Deployment][] => {
        const { search_tool_name, litellm_params } = object(row)
        const { search_provider, ...params } = object(litellm_params)
        const name = text(search_tool_name)
        if (name === undefined) return []
        const model = `${text(search_provider) ?? ''}/search`
        const own = { params: { ...params, model }, defaults: {}, prices: {}, info: {}, unset: {} }
        return [[name, make({ ...own, modelName: name }, `search:${name}`)]]
      }),
    ),
    vectorStores: openStores(config, make),
    override: ({ row, clientSide, id }, brought) => {
      const theirs = allowed(clientSide, brought, config)
      const ours = leadsElsewhere(clientSide, theirs) ? withoutSecrets(row.params) : row.params
      const unset = Object.entries(row.unset).filter(([key]) => theirs[key] === undefined)
      const params = { ...ours, ...theirs }
      return make({ ...row, params, unset: Object.fromEntries(unset) }, id)
    },
  }
}

/** `use_in_pass_through`: the model whose address and credential its provider's own API is asked with. */
function passedAs({ models }: Config, name: string): Row | undefined {
  const found = models.find(
    ({ params }) =>
      params['use_in_pass_through'] === true &&
      (text(params['custom_llm_provider']) ?? text(params['model'])?.split('/', 1)[0]) === name,
  )
  return found && rowOf(found, {})
}

/** Credentials of `files_settings` and `finetune_settings`, by provider; what they are silent about comes from the environment. */
function providerSettings({ raw }: Config, name: string, operation: string): JsonObject {
  const rows = list(raw[operation === 'fine_tuning' ? 'finetune_settings' : 'files_settings'])
  const row = rows.map(object).find((one) => text(one['custom_llm_provider']) === name)
  const { custom_llm_provider: _, ...params } = row ?? {}
  return params
}

/** `infer_model_from_keys`: every provider with a key in the environment serves all its models. */
function inferred({ general, models }: Config, { env }: OpenDeps): Row[] {
  if (general.infer_model_from_keys !== true) return []
  const there = new Set(models.map(({ modelName }) => modelName))
  return keysInEnvironment(env)
    .map(({ provider }) => `${provider}/*`)
    .filter((name) => !there.has(name))
    .map((name) => ({
      modelName: name,
      params: { model: name },
      defaults: {},
      prices: {},
      info: {},
      unset: {},
    }))
}

/** `unpriced_models: {price_as: model}`: the prices of another model where this one has none. */
function priced(info: JsonObject, as: string | undefined, deps: OpenDeps): JsonObject {
  if (as === undefined || Object.keys(info).some((key) => key.includes('cost'))) return info
  const slash = as.indexOf('/')
  const other = deps.catalogue.current.find(
    slash > 0 ? as.slice(0, slash) : '',
    slash > 0 ? as.slice(slash + 1) : as,
  )
  if (!other) return info
  const prices = Object.fromEntries(
    Object.entries(other.info).filter(([key]) => key.includes('cost')),
  )
  return { ...info, ...prices }
}

/** What this row lets a client bring; `{api_base: pattern}` must match the whole of it. */
function allowed(
  clientSide: Deployment['clientSide'],
  brought: Record<string, Json>,
  config: Config,
): JsonObject {
  const anything = config.general.allow_client_side_credentials === true
  for (const [key, value] of Object.entries(brought)) {
    const rule = ruleFor(clientSide, key)
    const pattern = isObject(rule) ? (text(rule[key]) ?? '') : undefined
    if ((rule === undefined && !anything) || (pattern !== undefined && !fits(pattern, value)))
      throw forbidden(`${key} is not allowed for this model.`, key)
  }
  return brought
}

const ruleFor = (clientSide: Deployment['clientSide'], key: string): Json | undefined =>
  clientSide.find((one) => one === key || (isObject(one) && Object.hasOwn(one, key)))

const forbidden = (why: string, param: string): GatewayError =>
  new GatewayError('authentication', `Authentication Error, Rejected Request: ${why}`, {
    type: 'auth_error',
    param,
    code: '401',
  })

/** Does a client choose where the request goes, beyond what the operator wrote down? Our credential does not go there: it needs one of its own. */
function leadsElsewhere(clientSide: Deployment['clientSide'], theirs: JsonObject): boolean {
  const chosen = addresses.filter(
    (key) => theirs[key] !== undefined && !isObject(ruleFor(clientSide, key)),
  )
  if (chosen.length === 0) return false
  if (!credentials.some((key) => text(theirs[key])))
    throw forbidden(`${chosen[0]} needs an api_key of your own beside it.`, 'api_key')
  return true
}
const addresses = ['api_base', 'base_url', 'aws_bedrock_runtime_endpoint', 'token_url', 'proxy_url']
const credentials = ['api_key', 'aws_secret_access_key', 'azure_ad_token', 'client_secret']

/** An empty key, so that none is taken from the environment. */
const withoutSecrets = (params: JsonObject): JsonObject => ({
  ...Object.fromEntries(Object.entries(params).filter(([key]) => !isSecretKey(key))),
  api_key: '',
  headers: {},
  extra_headers: {},
  extra_body: {},
})

function fits(pattern: string, value: Json): boolean {
  if (typeof value !== 'string' || value.length > 2048) return false
  try {
    return new RegExp(`^(?:${pattern})$`).test(value)
  } catch {
    return pattern === value
  }
}

function settingsOf(config: Config, deps: OpenDeps, router: Router): GatewaySettings {
  const { settings, general, router: routing } = config
  const groups = object(settings.model_group_settings)['forward_client_headers_to_llm_api']
  const named = new Set(list(groups).filter((name) => typeof name === 'string'))
  const unpriced =
    general.unpriced_models === 'deny' ||
    settings.block_requests_for_models_without_pricing === true
  const addresses = addressesOf(config)
  const allowedByRows = new Set(
    router.groups
      .all()
      .flatMap(({ clientSide }) =>
        clientSide.flatMap((one) => (typeof one === 'string' ? [one] : Object.keys(object(one)))),
      ),
  )
  return {
    fields: {
      allowCredentials: general.allow_client_side_credentials === true,
      allowedByRows,
      allowMockTesting: general.dangerously_allow_mock_testing_request_params === true,
    },
    timeoutSeconds:
      settings.request_timeout ?? routing.timeout ?? deps.defaults.requestTimeoutSeconds,
    streamTimeoutSeconds: routing.stream_timeout,
    completionModel: general.completion_model,
    passThrough: list(general.pass_through_endpoints).map(object),
    passThroughSeconds: general.pass_through_request_timeout ?? 600,
    operationModels: {
      embeddings: text(general.embedding_model),
      image: text(general.image_generation_model),
      moderation: text(general.moderation_model),
      transcription: text(general.transcription_model),
      speech: text(general.speech_model),
    },
    forwardHeaders: (group) =>
      general.forward_client_headers_to_llm_api === true || named.has(group),
    forwardOrganization: general.forward_openai_org_id === true,
    customerHeaders: customerHeadersOf(config),
    keyHeader: general.litellm_key_header_name?.toLowerCase(),
    corsOrigins: deps.corsOrigins,
    callIdInErrors: general.include_call_id_in_error_body === true,
    unpriced: unpriced ? 'deny' : 'free',
    alwaysStreamUsage: general.always_include_stream_usage === true,
    ...(addresses.forwarded && { addressOf: (incoming) => addressOf(incoming, addresses) }),
    enforced: enforcedOf(config),
    storePrompts:
      (general.store_prompts_in_spend_logs ?? deps.defaults.storePrompts) === true
        ? {
            length: deps.defaults.promptLength ?? 2048,
            onlyAsked: settings.turn_off_message_logging === true,
            ignoreNoLog: settings.global_disable_no_log_param === true,
          }
        : undefined,
    docs: deps.docs,
    publicRoutes: new Set(general.public_routes ?? []),
    jsonDepth: config.limits.json_depth,
    said: {
      settings: object(config.raw['litellm_settings']),
      general: object(config.raw['general_settings']),
    },
  }
}

/** Whose word on addresses is taken. */
function addressesOf({ general }: Config): AddressOptions {
  return {
    forwarded: general.use_x_forwarded_for === true,
    trusted: rangesOf(general.trusted_proxy_ranges ?? [], () => {}),
  }
}

function enforcedOf({ general }: Config): Enforced {
  const names = (value: unknown): string[] => list(value).filter((name) => typeof name === 'string')
  return {
    user: general.enforce_user_param === true,
    params: names(general.enforced_params),
    ofServices: names(object(general.service_account_settings)['enforced_params']),
    noTags: general.reject_clientside_metadata_tags === true,
  }
}

/** `user_header_name`, the mappings that name a customer, and LiteLLM's own two. */
function customerHeadersOf({ general }: Config): string[] {
  const mapped = list(general.user_header_mappings).flatMap((one) => {
    const { header_name, litellm_user_role } = object(one)
    return litellm_user_role === 'customer' && typeof header_name === 'string' ? [header_name] : []
  })
  const named = text(general.user_header_name)
  return [
    ...mapped,
    ...(named === undefined ? [] : [named]),
    'x-litellm-customer-id',
    'x-litellm-end-user-id',
  ].map((name) => name.toLowerCase())
}
