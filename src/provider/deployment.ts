import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Quirks } from '../wire/quirks.ts'
import type { ProviderWire, Target } from '../wire/wire.ts'
import { type WireId, wires } from '../wire/wires.ts'
import type { Authorize, AuthRow, AuthScheme, Locate } from './auth/auth.ts'
import { type Price, type PriceOptions, priceOf } from './cost.ts'
import { fillPlaces, hasText, type Resolved, sentName, specFor } from './resolve.ts'
import { isSecretKey, secretsOf, spellings, unmistakable } from './secrets.ts'
import type { Auth, ProviderSpec } from './spec.ts'

/** One row of `model_list`: a name clients use, and where it really goes. Everything that can be worked out before a request is. */
export type Deployment = {
  /** Stable over restarts and key rotations; `x-litellm-model-id`. */
  id: string
  /** The public name: `model_name`. Several deployments of one name are a model group. */
  group: string
  provider: string
  spec: ProviderSpec
  wire: ProviderWire
  target: Target
  /** The word before "Exception" in error texts. */
  errorName: string
  url: { whole: string; stream: string }
  /** Where operations other than chat are asked: below `base`, which is the row's or the environment's `own` or the provider's. */
  place: { base: string; own: boolean; query: Readonly<Record<string, string>>; target: Target }
  /** Sent with every request: the credential, the row's headers, the content type. */
  headers: Record<string, string>
  /** Signs each request, where a header is not enough. */
  authorize: Authorize | undefined
  /** Fills what is still open in an address: asked before each request whose `url` has places left. */
  locate: Locate | undefined
  /** Parameters of the row, used where the client gives none. */
  defaults: JsonObject
  /** `extra_body` of the row: over what the client said. */
  extraBody: JsonObject | undefined
  /** Top-level parameters never sent; and those further down, as paths. */
  dropKeys: readonly string[]
  dropPaths: readonly string[]
  /** `cache_control_injection_points`: where prompts are marked for the provider's cache. */
  cachePoints: readonly Json[]
  /** Seconds, as LiteLLM's keys are. */
  timeout: number | undefined
  streamTimeout: number | undefined
  retries: number | undefined
  cooldownSeconds: number | undefined
  /** Failures before it rests, if other than the router's; and by kind of error. */
  allowedFails: number | undefined
  failsPolicy: Readonly<Partial<Record<string, number>>> | undefined
  weight: number | undefined
  rpm: number | undefined
  tpm: number | undefined
  order: number | undefined
  tags: readonly string[]
  maxParallel: number | undefined
  /** What the client may bring along: `api_key`, `api_base` (perhaps only where a pattern fits). */
  clientSide: readonly Json[]
  connection: ConnectionValues | undefined
  info: JsonObject
  price: Price
  priceOptions: PriceOptions
  /** Settings of the mock provider: the request never leaves the process. */
  mock: JsonObject | undefined
  /** Why it cannot be called, found out beforehand. */
  problem: GatewayError | undefined
  /** The same for chat alone: the provider makes embeddings, pictures or sound, and does not converse. */
  noChat: GatewayError | undefined
  /** Texts that must never be shown: scrubbed from whatever a provider echoes. */
  secrets: readonly string[]
  /** Those of them that are taken out of answers too. */
  credentials: readonly string[]
  row: Row
  /** The same for clients of one wire, where that makes a difference. */
  forClient: Readonly<Record<string, Deployment>>
}

/** As config/schema.ts reads it; spelt here because the config room is above this one. */
export type Row = {
  modelName: string
  /** Keys of litellm_params that are for the gateway. */
  params: JsonObject
  /** Parameters of every call, unless the request says otherwise. */
  defaults: JsonObject
  prices: JsonObject
  info: JsonObject
  /** `allowed_fails_policy` of model_info: failures before it rests, by kind of error. */
  failsPolicy?: Readonly<Partial<Record<string, number>>>
  /** Parameters whose `os.environ/NAME` is not set: parameter → NAME. */
  unset: Readonly<Record<string, string>>
}

/** See call/transport.ts `Connection`: PEM texts, not paths. */
export type ConnectionValues = {
  verifyTls?: boolean
  ca?: string
  clientCert?: string
  clientKey?: string
  clientKeyPassphrase?: string
  proxy?: string
}

export type DeploymentDeps = {
  env: (name: string) => string | undefined
  resolve: (model: string, custom: string | undefined, base: string | undefined) => Resolved
  /** Catalogue facts of a model, the row's overrides applied. */
  infoOf: (provider: string, model: string, overrides: JsonObject) => JsonObject
  dropParams: boolean
  modifyParams: boolean
  /** Credentials by the name a provider's row gives them. */
  schemes: Readonly<Record<string, AuthScheme>>
  /** Reads a PEM named by a row (`ssl_certificate`, `ssl_verify: path`); absent where there are no files. */
  connectionOf?: (params: JsonObject) => ConnectionValues | undefined
}

/** `client`: the wire of the clients it is for, where a provider speaks another way with them (see `forClient`). */
export function createDeployment(
  row: Row,
  deps: DeploymentDeps,
  id: string,
  client?: string,
): Deployment {
  const { params } = row
  const base = baseOf(params)
  const resolved = deps.resolve(text(params.model) ?? '', text(params.custom_llm_provider), base)
  const { provider, model } = resolved
  const spec: ProviderSpec = resolved.spec ?? nowhere
  const info = deps.infoOf(provider, model, { ...row.info, ...row.prices })
  const {
    wire: wireId,
    quirks,
    baseUrl,
  } = specFor(provider, shapedLike(model, row), client ?? ownDialect(row, info)) ?? {
    wire: spec.wire,
    quirks: {},
    baseUrl: undefined,
  }
  const own = base ?? fromEnv(spec.baseUrlEnv, deps.env)
  const filled = respelt(
    own ?? fillPlaces(baseUrl ?? spec.baseUrl, params, deps.env),
    spec,
    (value) => fillPlaces(value, params, deps.env) ?? '',
  )
  const special = spec.bases?.find(({ match }) => new RegExp(match).test(filled ?? ''))
  const mock = mockOf(provider, params)
  const wire = mock ? wires['openai-chat'] : wires[special?.wire ?? wireId]
  const drops = list(params.additional_drop_params).filter((key) => typeof key === 'string')
  const target: Target = {
    provider,
    model: sentName(spec, model),
    quirks: quirks satisfies Quirks,
    info,
    dropParams: truth(params.drop_params) ?? deps.dropParams,
    modifyParams: truth(params.modify_params) ?? deps.modifyParams,
    allowedParams: list(params.allowed_openai_params).filter((key) => typeof key === 'string'),
    ...(spec.values && { values: valuesOf(spec.values, params, deps.env) }),
  }
  const auth = authorization(
    spec,
    { provider, model, params, hasBase: base !== undefined, unset: row.unset },
    deps,
    row.unset,
  )
  const { responsesPath, ...others } = target.quirks
  const asked = {
    ...target,
    model: (provider === 'bedrock' ? text(params['model_id']) : undefined) ?? target.model,
    quirks: special ? { ...others, chatPath: special.chatPath } : target.quirks,
  }
  const isAside = wire.id === 'openai-responses' && responsesPath !== undefined
  const query = isAside ? {} : queryOf(special ? special.query : spec.query, params, deps.env)
  const root = wire.id === 'openai-responses' ? filled?.replace(chatTail, '') : filled
  const urlOf = (stream: boolean) => join(root ?? '', wire.path(asked, stream), query)
  const problem =
    (info['blocked'] === true ? blocked(row) : undefined) ??
    (resolved.type === 'offered' ? undefined : resolved.error) ??
    (filled === undefined ? noBase(provider, spec, filled) : undefined) ??
    // A place may be one that the credential would have filled.
    (isOpen(withoutPlace(filled ?? '', auth.fills))
      ? ((auth.fills === undefined ? auth.problem : undefined) ?? noBase(provider, spec, filled))
      : undefined) ??
    lacking(spec, target) ??
    (upwards.test(wire.path(asked, false)) ? astray(model) : undefined) ??
    auth.problem
  const prices = priceOptionsOf(provider, filled, row)
  return {
    id,
    group: row.modelName,
    provider,
    spec,
    wire,
    target,
    errorName: spec.errorName ?? spec.name.replace(/[^A-Za-z0-9]/g, ''),
    url: { whole: urlOf(false), stream: urlOf(true) },
    place: { base: filled ?? '', own: own !== undefined, query, target: asked },
    headers: {
      'content-type': 'application/json',
      ...spec.headers,
      ...(text(params.organization) && { 'openai-organization': text(params.organization) ?? '' }),
      ...auth.headers,
      // Last: an operator who writes a credential here means this one.
      ...headersOf(params.headers),
      ...headersOf(params.extra_headers),
    },
    authorize: auth.authorize,
    locate: isOpen(filled ?? '') ? auth.locate : undefined,
    defaults: row.defaults,
    extraBody: isObject(params.extra_body) ? params.extra_body : undefined,
    dropKeys: drops.filter((key) => /^[\w-]+$/.test(key)),
    dropPaths: drops.filter((key) => !/^[\w-]+$/.test(key)),
    cachePoints: list(params.cache_control_injection_points),
    timeout: seconds(params.timeout) ?? seconds(params.request_timeout),
    streamTimeout: seconds(params.stream_timeout),
    retries: seconds(params.num_retries) ?? seconds(params.max_retries),
    cooldownSeconds: seconds(params.cooldown_time) ?? seconds(row.info.cooldown_time),
    allowedFails: seconds(row.info['allowed_fails']),
    failsPolicy: row.failsPolicy,
    weight: seconds(params.weight),
    rpm: seconds(params.rpm),
    tpm: seconds(params.tpm),
    order: seconds(params.order),
    tags: list(params.tags).filter((tag) => typeof tag === 'string'),
    maxParallel: seconds(params.max_parallel_requests),
    clientSide: list(params.configurable_clientside_auth_params),
    connection: deps.connectionOf?.(params),
    info,
    price: priceOf(info, prices),
    priceOptions: prices,
    mock,
    problem: mock && info['blocked'] !== true ? undefined : problem,
    noChat: mock || spec.operations.some((one) => talks.has(one)) ? undefined : noChat(spec),
    secrets: auth.secrets,
    credentials: unmistakable(auth.secrets),
    row,
    forClient:
      client === undefined && !mock
        ? clientsOf(spec, wireId, shapedLike(model, row), row, deps, id)
        : {},
  }
}

/** Some services have a name of their own for it. */
const baseOf = (params: JsonObject): string | undefined =>
  ['api_base', 'base_url', 'aws_bedrock_runtime_endpoint', 'sagemaker_base_url']
    .map((name) => text(params[name]))
    .find((said) => said !== undefined)

function respelt(
  base: string | undefined,
  { addresses }: ProviderSpec,
  fill: (value: string) => string,
): string | undefined {
  const rule = addresses?.find(
    ({ match, where }) =>
      new RegExp(match).test(base ?? '') &&
      (!where || new RegExp(where.is).test(fill(where.value))),
  )
  return rule ? base?.replace(new RegExp(rule.match), rule.to) : base
}

/** Are there places that nobody has filled? */
const isOpen = (base: string): boolean => /[{}]/.test(base)
const withoutPlace = (base: string, name: string | undefined): string =>
  name === undefined ? base : base.replace(new RegExp(`\\{${name}(\\|[^}]*)?\\}`, 'g'), '')

/** A base that was written for chat, down to its path, leads Responses beside it. */
const chatTail = /(\/openai\/deployments\/[^/?]+)?\/chat\/completions\/*(\?.*)?$/

function priceOptionsOf(provider: string, base: string | undefined, row: Row): PriceOptions {
  return {
    provider,
    residency: /^https:\/\/(eu|us)\.api\.openai\.com/.exec(base ?? '')?.[1],
    location: text(row.params['vertex_location']),
    ownPrices: Object.keys(row.prices).length > 0,
  }
}

/** Models that answer nobody in chat, by the catalogue, and those whose row names them with `responses/`. */
const ownDialect = (row: Row, info: JsonObject): string | undefined =>
  !wantsChat(row) &&
  (text(info['mode']) === 'responses' ||
    /^(?:[^/]+\/)?responses\/./.test(text(row.params['model']) ?? ''))
    ? 'openai-responses'
    : undefined

const wantsChat = ({ params }: Row): boolean => truth(params['use_chat_completions_api']) === true

function clientsOf(
  spec: ProviderSpec,
  wire: WireId,
  model: string,
  row: Row,
  deps: DeploymentDeps,
  id: string,
): Record<string, Deployment> {
  const out: Record<string, Deployment> = {}
  for (const { client } of spec.variants ?? [])
    if (client !== undefined) out[client] ??= createDeployment(row, deps, id, client)
  const hasResponses = wire === 'openai-chat' && spec.operations.includes('responses')
  if (hasResponses && !wantsChat(row))
    out['openai-responses'] = createDeployment(row, deps, id, 'openai-responses')
  if (wire === 'openai-chat' && hasText(spec, model))
    out['openai-text'] = createDeployment(row, deps, id, 'openai-text')
  return out
}

/**
 * A deployment's own name says little where the operator chose it (Azure): `base_model` says what it is, or a prefix does
 * that goes no further.
 */
function shapedLike(model: string, row: Row): string {
  const said = text(row.info['base_model'])?.replace(/^azure(_ai)?\//, '')
  const series = /(?:^|\/)(o_series|gpt5_series)\//.exec(text(row.params.model) ?? '')?.[1]
  return said ?? (series === undefined ? model : series === 'o_series' ? 'o3' : 'gpt-5')
}

function queryOf(
  query: ProviderSpec['query'],
  params: JsonObject,
  env: DeploymentDeps['env'],
): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, places] of Object.entries(query ?? {})) {
    const value = fillPlaces(places, params, env)
    if (value !== undefined && value !== '' && !value.includes('{')) out[name] = value
  }
  return out
}

/** `{A|B=eu}` as in addresses; but a value goes into JSON, so any text will do. */
function valuesOf(
  values: Readonly<Record<string, string>>,
  params: JsonObject,
  env: DeploymentDeps['env'],
): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, place] of Object.entries(values)) {
    const [, names = '', otherwise] = /^\{([\w|]+)(?:=([^}]*))?\}$/.exec(place) ?? []
    const all = names.split('|')
    const own = all.map((one) => params[one.toLowerCase()]).find((value) => value !== undefined)
    const said =
      isObject(own) || Array.isArray(own)
        ? JSON.stringify(own)
        : text(own) || number(own)?.toString()
    const value = said ?? all.map(env).find((one) => one) ?? otherwise
    if (value !== undefined && value !== '') out[name] = value
  }
  return out
}

/** A number, or a number in a string, as config files have both. */
const seconds = (value: Json | undefined): number | undefined => {
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : number(value)
  return read !== undefined && Number.isFinite(read) ? read : undefined
}
const truth = (value: Json | undefined): boolean | undefined =>
  typeof value === 'boolean'
    ? value
    : typeof value === 'string'
      ? /^(true|1|yes)$/i.test(value)
      : undefined

const talks: ReadonlySet<string> = new Set(['chat', 'text_completion', 'responses', 'messages'])
const noChat = ({ name, operations }: ProviderSpec): GatewayError =>
  new GatewayError(
    'not_offered',
    `${name} does not converse; it offers ${operations.join(', ').replaceAll('_', ' ') || 'nothing'}`,
    { param: 'model' },
  )

const nowhere: ProviderSpec = {
  name: 'Unknown',
  wire: 'openai-chat',
  auth: { none: true },
  operations: [],
}

function mockOf(provider: string, params: JsonObject): JsonObject | undefined {
  if (
    provider !== 'mock' &&
    params.mock_response === undefined &&
    params.mock_tool_calls === undefined
  )
    return undefined
  const { mock_response, mock_tool_calls, mock_delay, mock_timeout, mock_latency_ms, mock_error } =
    params
  return { mock_response, mock_tool_calls, mock_delay, mock_timeout, mock_latency_ms, mock_error }
}

const headersOf = (value: Json | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(object(value)).flatMap(([name, said]) =>
      typeof said === 'string' || typeof said === 'number'
        ? [[name.toLowerCase(), String(said)]]
        : [],
    ),
  )

function fromEnv(
  names: readonly string[] | undefined,
  env: DeploymentDeps['env'],
): string | undefined {
  for (const name of names ?? []) {
    const value = env(name)
    if (value) return value
  }
  return undefined
}

/** A base that already ends in the path is used as it is; its query stays behind the path. */
export function join(
  base: string,
  path: string,
  query: Readonly<Record<string, string>> = {},
): string {
  const at = base.indexOf('?')
  let end = at === -1 ? base.length : at
  while (base[end - 1] === '/') end--
  const front = base.slice(0, end)
  const search = new URLSearchParams(at === -1 ? '' : base.slice(at + 1))
  for (const [name, value] of Object.entries(query)) if (!search.has(name)) search.set(name, value)
  const asked = path.indexOf('?')
  if (asked !== -1) {
    for (const [name, value] of new URLSearchParams(path.slice(asked + 1))) search.set(name, value)
    path = path.slice(0, asked)
  }
  const whole = front.endsWith(path) ? front : front + withoutDoubled(front, path)
  return search.size === 0 ? whole : `${whole}?${search.toString()}`
}

/** A base that ends in the version the path begins with names it once. */
const withoutDoubled = (front: string, path: string): string =>
  front.endsWith('/v1') && path.startsWith('/v1/') ? path.slice(3) : path

type Authorization = {
  headers: Record<string, string>
  authorize?: Authorize
  locate?: Locate
  fills?: string
  secrets: readonly string[]
  problem?: GatewayError
}

/** A credential that was to come from the environment and is not there is never replaced by another one. */
function authorization(
  spec: ProviderSpec,
  row: AuthRow,
  { env, schemes }: DeploymentDeps,
  unset: Row['unset'],
): Authorization {
  const { params, hasBase } = row
  const missing = unset['api_key']
  if (missing !== undefined)
    return refused(
      `the API key of this model is os.environ/${missing}, which is not set: set ${missing} and restart`,
    )
  const secrets = secretsOf(params)
  const auth: Auth = spec.auth
  if ('none' in auth) return { headers: {}, secrets }
  if ('scheme' in auth) {
    const scheme = schemes[auth.scheme]
    if (!scheme) return refused(`${spec.name}: its credentials are not offered by this build`)
    const opened = scheme.open(row)
    return { headers: {}, ...opened, secrets: [...secrets, ...spellings(opened.secrets)] }
  }
  const names = 'bearer' in auth ? auth.bearer : auth.env
  const key = text(params.api_key) ?? fromEnv(names, env)
  if (!key)
    return auth.optional || hasBase
      ? { headers: {}, secrets }
      : refused(
          `${spec.name}: no API key. Set ${names.join(' or ') || 'api_key'} in the environment, or api_key in litellm_params`,
        )
  const headers: Record<string, string> =
    'bearer' in auth
      ? { authorization: `Bearer ${key}` }
      : { [auth.header.toLowerCase()]: `${auth.prefix ?? ''}${key}` }
  return { headers, secrets: [...secrets, ...spellings([key])] }
}

const refused = (message: string): Authorization => ({
  headers: {},
  secrets: [],
  problem: new GatewayError('authentication', message),
})

/** A client names the model of a wildcard row: in a path, steps of dots would lead to what is not the operator's choice. */
const upwards = /(?:^|\/)(?:\.|%2e){1,2}(?:[/?]|$)/i
const astray = (model: string): GatewayError =>
  new GatewayError('bad_request', `'${model}' is not the name of a model: a step of it is all dots`)

const blocked = ({ modelName }: Row): GatewayError =>
  new GatewayError('permission', `the model ${modelName} is blocked by its model_info`)

/** A value without which nothing can be asked, by all the names it may have. */
function lacking(spec: ProviderSpec, { model, values = {} }: Target): GatewayError | undefined {
  for (const { any, unless } of spec.needs ?? []) {
    if (any.some((name) => values[name] !== undefined)) continue
    if (unless !== undefined && new RegExp(unless).test(model)) continue
    const names = any.flatMap((name) => spec.values?.[name]?.match(/\w+/g) ?? [])
    const [params, variables] = [/[a-z]/, /^[A-Z_]+$/].map((look) =>
      names.filter((name) => look.test(name)).join(' or '),
    )
    return new GatewayError(
      'bad_request',
      `${spec.name}: set ${params} in litellm_params${variables ? `, or ${variables} in the environment` : ''}`,
      { status: 500 },
    )
  }
  return undefined
}

const noBase = (provider: string, spec: ProviderSpec, filled: string | undefined): GatewayError =>
  new GatewayError(
    'bad_request',
    filled === undefined
      ? `${spec.name}: no address. Set api_base in litellm_params${spec.baseUrlEnv?.length ? ` or ${spec.baseUrlEnv.join(' or ')} in the environment` : ''}`
      : `${provider}: the address ${filled} still has open places: set them in litellm_params or in the environment`,
    { status: 500 },
  )

/** Not for security: the same row gets the same id on every machine. Credentials are left out, so rotating one keeps the id. */
export function idOf(row: Row): string {
  return hash(JSON.stringify([row.modelName, telling({ ...row.params, ...row.defaults })]))
}

/** What is no credential, in one order. */
function telling(params: JsonObject): [key: string, value: unknown][] {
  return Object.entries(params)
    .filter(([key]) => !isSecretKey(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, isObject(value) ? telling(value) : value])
}

/** 128 bits of a non-cryptographic hash (four FNV-1a lanes with different seeds), as hex. */
function hash(said: string): string {
  const lanes = [0x811c9dc5, 0x01000193, 0x9e3779b9, 0x85ebca6b]
  for (let i = 0; i < said.length; i++) {
    const code = said.charCodeAt(i)
    for (let lane = 0; lane < 4; lane++)
      lanes[lane] = Math.imul((lanes[lane] ?? 0) ^ (code + lane * 131), 0x01000193 + lane * 2) >>> 0
  }
  return lanes.map((lane) => lane.toString(16).padStart(8, '0')).join('')
}
