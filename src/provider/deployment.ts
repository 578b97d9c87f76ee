import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Quirks } from '../wire/quirks.ts'
import type { ProviderWire, Target } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import type { Authorize, AuthRow, AuthScheme } from './auth/auth.ts'
import { type Price, type PriceOptions, priceOf } from './cost.ts'
import { fillPlaces, type Resolved, specFor } from './resolve.ts'
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
  /** Sent with every request: the credential, the row's headers, the content type. */
  headers: Record<string, string>
  /** Signs each request, where a header is not enough. */
  authorize: Authorize | undefined
  /** Parameters of the row, used where the client gives none. */
  defaults: JsonObject
  /** `extra_body` of the row: over what the client said. */
  extraBody: JsonObject | undefined
  /** Top-level parameters never sent; and those further down, as paths. */
  dropKeys: readonly string[]
  dropPaths: readonly string[]
  /** Seconds, as LiteLLM's keys are. */
  timeout: number | undefined
  streamTimeout: number | undefined
  retries: number | undefined
  cooldownSeconds: number | undefined
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
  const base =
    text(params.api_base) ?? text(params.base_url) ?? text(params['aws_bedrock_runtime_endpoint'])
  const resolved = deps.resolve(text(params.model) ?? '', text(params.custom_llm_provider), base)
  const { provider, model } = resolved
  const spec: ProviderSpec = resolved.spec ?? nowhere
  const {
    wire: wireId,
    quirks,
    baseUrl,
  } = specFor(provider, shapedLike(model, row), client) ?? {
    wire: spec.wire,
    quirks: {},
    baseUrl: undefined,
  }
  const mock = mockOf(provider, params)
  const wire = mock ? wires['openai-chat'] : wires[wireId]
  const info = deps.infoOf(provider, model, { ...row.info, ...row.prices })
  const drops = list(params.additional_drop_params).filter((key) => typeof key === 'string')
  const target: Target = {
    provider,
    model,
    quirks: quirks satisfies Quirks,
    info,
    dropParams: truth(params.drop_params) ?? deps.dropParams,
    modifyParams: truth(params.modify_params) ?? deps.modifyParams,
    allowedParams: list(params.allowed_openai_params).filter((key) => typeof key === 'string'),
  }
  const filled =
    base ??
    fromEnv(spec.baseUrlEnv, deps.env) ??
    fillPlaces(baseUrl ?? spec.baseUrl, params, deps.env)
  const auth = authorization(
    spec,
    { provider, model, params, hasBase: base !== undefined, unset: row.unset },
    deps,
    row.unset,
  )
  const special = spec.bases?.find(({ match }) => new RegExp(match).test(filled ?? ''))
  const asked = {
    ...target,
    model: text(params['model_id']) ?? target.model,
    quirks: special ? { ...target.quirks, chatPath: special.chatPath } : target.quirks,
  }
  const query = queryOf(special ? special.query : spec.query, params, deps.env)
  const urlOf = (stream: boolean) => join(filled ?? '', wire.path(asked, stream), query)
  const problem =
    (info['blocked'] === true ? blocked(row) : undefined) ??
    (resolved.type === 'offered' ? undefined : resolved.error) ??
    (filled === undefined || /[{}]/.test(filled) ? noBase(provider, spec, filled) : undefined) ??
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
    defaults: row.defaults,
    extraBody: isObject(params.extra_body) ? params.extra_body : undefined,
    dropKeys: drops.filter((key) => /^[\w-]+$/.test(key)),
    dropPaths: drops.filter((key) => !/^[\w-]+$/.test(key)),
    timeout: seconds(params.timeout) ?? seconds(params.request_timeout),
    streamTimeout: seconds(params.stream_timeout),
    retries: seconds(params.num_retries) ?? seconds(params.max_retries),
    cooldownSeconds: seconds(params.cooldown_time) ?? seconds(row.info.cooldown_time),
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
    secrets: auth.secrets,
    credentials: unmistakable(auth.secrets),
    row,
    forClient: client === undefined ? clientsOf(spec, row, deps, id) : {},
  }
}

function priceOptionsOf(provider: string, base: string | undefined, row: Row): PriceOptions {
  return {
    provider,
    residency: /^https:\/\/(eu|us)\.api\.openai\.com/.exec(base ?? '')?.[1],
    location: text(row.params['vertex_location']),
    ownPrices: Object.keys(row.prices).length > 0,
  }
}

function clientsOf(
  spec: ProviderSpec,
  row: Row,
  deps: DeploymentDeps,
  id: string,
): Record<string, Deployment> {
  const out: Record<string, Deployment> = {}
  for (const { client } of spec.variants ?? [])
    if (client !== undefined) out[client] ??= createDeployment(row, deps, id, client)
  return out
}

/** A deployment's own name says little where the operator chose it (Azure); `base_model` says what it is. */
const shapedLike = (model: string, row: Row): string =>
  (text(row.info['base_model']) ?? model).replace(/^azure(_ai)?\//, '')

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
