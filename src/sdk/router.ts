import * as keys from '../config/keys.ts'
import { formatNotice, formatPath, type Path } from '../config/notice.ts'
import { routerSettingsOf, rowOf, uniqueIds } from '../config/routing.ts'
import { type Config, readConfig } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import { type Deployment, idOf } from '../provider/deployment.ts'
import { isSecretKey } from '../provider/secrets.ts'
import { createRouter, type Router as Routing } from '../router/router.ts'
import { usualTimeoutSeconds } from './alone.ts'
import { asksOf } from './ask.ts'
import { snakeKeys } from './names.ts'
import { isRowKey, jsonOf, wrong } from './options.ts'
import { type Room, readRow } from './room.ts'
import type { Asks, RouterModel, RouterOptions } from './types.ts'

/** Several deployments behind one name: picked, retried, rested and replaced as LiteLLM's Router does. */
export type OpenRouter = {
  asks: Asks
  modelNames(): string[]
  modelList(): RouterModel[]
  warnings: readonly string[]
}

export function openRouter(options: RouterOptions, room: Room): OpenRouter {
  const { config, warnings } = readSettings(options, room)
  const routing = routingOf(config, room)
  const { router: settings } = config

  const asks = asksOf((said) => {
    const { model, params, controls } = said
    const group = routing.groups.nameOf(model)
    if (!routing.knows(group)) throw unknownGroup(model, routing)
    const named = controls.fallbacks.map((one) => one.model)
    return {
      router: routing,
      group,
      groupName: group,
      override: (to) => overridden(to, params, to.group === group, room),
      fallbacks: named.length > 0 ? named : undefined,
      timeout: settings.timeout ?? room.settings.request_timeout ?? usualTimeoutSeconds,
      streamTimeout: settings.stream_timeout,
    }
  }, room)
  return {
    asks,
    modelNames: () => [...routing.groups.names(), ...visibleAliases(routing)],
    modelList: () => routing.groups.all().map(shown),
    warnings,
  }
}

function readSettings(
  options: RouterOptions,
  room: Room,
): { config: Config; warnings: readonly string[] } {
  const said = jsonOf(
    snakeKeys(options, (name) => name === 'model_list' || name in keys.routerSettings),
  )
  const { model_list: models, credential_list: credentials, ...settings } = said
  if (!Array.isArray(models)) throw wrong('a Router needs a model_list', 'model_list')
  const unset = new Map<string, Record<string, string>>()
  const raw = {
    model_list: models.map(readEntry),
    ...(credentials !== undefined && { credential_list: credentials }),
    router_settings: settings,
  }
  const told = withEnvironment(raw, room.runtime.env, unset)
  const { config, errors, warnings } = readConfig(object(told), {
    unset: (path) => unset.get(formatPath(path)) ?? {},
  })
  const text = (notice: Parameters<typeof formatNotice>[0]) =>
    formatNotice(notice).replace(/^✖ (router_settings\.)?/, '')
  if (errors.length > 0) throw wrong(`the Router cannot be made: ${errors.map(text).join('; ')}`)
  const lines = warnings.map(text)
  for (const line of lines) room.warn(`Router: ${line}`)
  return { config, warnings: lines }
}

/** An entry of model_list; its parameters, too, may be written in camelCase. */
function readEntry(entry: Json): Json {
  if (!isObject(entry)) return entry
  const said = jsonOf(snakeKeys(entry, (name) => name in keys.modelEntry))
  if (isObject(said.litellm_params))
    said.litellm_params = jsonOf(snakeKeys(said.litellm_params, isRowKey))
  return said
}

const prefix = 'os.environ/'

/** `os.environ/NAME` is what NAME holds; where there is no NAME the key counts as not written, and is remembered. */
function withEnvironment(
  value: Json,
  env: (name: string) => string | undefined,
  unset: Map<string, Record<string, string>>,
  path: Path = [],
): Json | undefined {
  if (Array.isArray(value))
    return value.map((item, at) => withEnvironment(item, env, unset, [...path, at]) ?? null)
  if (isObject(value)) {
    const out: JsonObject = {}
    for (const [key, item] of Object.entries(value))
      out[key] = item === undefined ? item : withEnvironment(item, env, unset, [...path, key])
    return out
  }
  if (typeof value !== 'string' || !value.startsWith(prefix)) return value
  const name = value.slice(prefix.length)
  const held = env(name)
  if (held !== undefined) return held
  for (const [index, step] of path.entries()) {
    const above = formatPath(path.slice(0, index))
    unset.set(above, Object.assign(unset.get(above) ?? {}, { [step]: name }))
  }
  return undefined
}

function routingOf(config: Config, room: Room): Routing {
  const defaults = object(jsonOf(config.router.default_litellm_params ?? {}))
  const unique = uniqueIds()
  const deployments = config.models.map((model) => {
    const row = rowOf(model, defaults)
    return room.make(row, text(row.info.id) ?? unique(idOf(row)))
  })
  const settings = routerSettingsOf(config, {
    retries: room.settings.num_retries ?? 2,
    allowedFails: undefined,
    cooldownSeconds: 5,
    maxFallbacks: 5,
  })
  return createRouter({
    deployments,
    settings,
    ...(room.runtime.sleep && { sleep: room.runtime.sleep }),
    expand: ({ row, id }, modelName, model) =>
      room.make({ ...row, modelName, params: { ...row.params, model } }, id),
  })
}

/**
 * The options of a call go over the row's own. Credentials and addresses are for the group that was asked, not for those
 * that stand in for it.
 */
function overridden(to: Deployment, params: JsonObject, own: boolean, room: Room): Deployment {
  const brought = Object.entries(params).filter(
    ([key]) => own || !(isSecretKey(key) || elsewhere.has(key)),
  )
  if (brought.length === 0) return to
  const asked = readRow(
    to.group,
    text(to.row.params.model) ?? '',
    Object.fromEntries(brought),
    room,
  )
  const merged: JsonObject = { ...to.row.params, ...asked.params }
  for (const key of ['extra_headers', 'extra_body'])
    if (isObject(to.row.params[key]) && isObject(asked.params[key]))
      merged[key] = { ...object(to.row.params[key]), ...object(asked.params[key]) }
  const row = { ...to.row, params: merged, prices: { ...to.row.prices, ...asked.prices } }
  // A key that was given takes the place of one that was to come from the environment.
  const unset = Object.fromEntries(
    Object.entries(row.unset).filter(([key]) => !(key in asked.params)),
  )
  return room.make({ ...row, unset }, to.id)
}
const elsewhere = new Set(
  'api_base base_url api_version custom_llm_provider extra_headers headers'.split(' '),
)

function unknownGroup(model: string, { groups }: Routing): GatewayError {
  const names = groups.names().slice(0, 20).join(', ')
  return new GatewayError(
    'bad_request',
    `the Router has no model ${model.slice(0, 100)}; it has: ${names}`,
    {
      param: 'model',
    },
  )
}

const visibleAliases = ({ settings }: Routing): string[] =>
  Object.entries(settings.aliases).flatMap(([alias, { hidden }]) => (hidden ? [] : [alias]))

/** Without credentials, and without headers, which may be such. */
function shown({ group, row, id }: Deployment): RouterModel {
  const params = Object.entries({ ...row.params, ...row.defaults }).filter(
    ([key]) => !isSecretKey(key) && !/headers$|extra_body/.test(key),
  )
  return {
    model_name: group,
    litellm_params: { model: text(row.params.model) ?? '', ...Object.fromEntries(params) },
    model_info: { ...row.info, id },
  }
}
