import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import {
  bool,
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  text,
} from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import { supportedOpenAiParams } from '../provider/params.ts'
import { isSecretKey } from '../provider/secrets.ts'
import type { Rooms } from './rooms.ts'

/** What models there are: LiteLLM's lists, with what clients need to show a model properly. Secrets never appear. */

/** A constant, as LiteLLM's: clients sort by it and must not see the list move. */
export const created = 1677610602

export async function listModels(
  rooms: Rooms,
  query: URLSearchParams,
  caller: Caller,
): Promise<Outgoing> {
  const wildcards = query.get('return_wildcard_routes') === 'true'
  const names = await publicNames(rooms, wildcards, caller)
  return json({ data: names.map((name) => describeModel(name, rooms, caller)), object: 'list' })
}

export async function oneModel(rooms: Rooms, id: string, caller: Caller): Promise<Outgoing> {
  await refuseUnknown(rooms, id, caller)
  return json(describeModel(id, rooms, caller))
}

export async function refuseUnknown(rooms: Rooms, id: string, caller: Caller): Promise<void> {
  const { groups } = rooms.router
  const known =
    (await publicNames(rooms, true, caller)).includes(id) ||
    (!id.includes('*') &&
      rooms.router.knows(groups.nameOf(id)) &&
      (rooms.access?.mayUse(caller, groups.nameOf(id)) ?? true))
  if (!known)
    throw new GatewayError('not_found', `The model \`${id}\` does not exist or is not accessible`, {
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    })
}

/** Groups and visible aliases; a wildcard row stands for the catalogue's models of its provider. */
export async function publicNames(
  rooms: Rooms,
  wildcards: boolean,
  caller: Caller,
): Promise<string[]> {
  const { groups, settings } = rooms.router
  const names = new Set<string>()
  for (const group of groups.names()) {
    if (groups.find(group).every(({ info }) => info['discoverable'] === false)) continue
    if (!group.includes('*')) names.add(group)
    else {
      if (wildcards) names.add(group)
      for (const name of await expandWildcard(group, rooms)) names.add(name)
    }
  }
  for (const [alias, { hidden }] of Object.entries(settings.aliases)) if (!hidden) names.add(alias)
  const seen = rooms.access ? rooms.access.visible(caller, [...names]) : [...names]
  return [...new Set(seen.map((name) => knownAs(name, rooms, caller)))]
}

/** A team knows its own model by another name than the gateway does. */
function knownAs(name: string, { router }: Rooms, { teamId }: Caller): string {
  const info = teamId === undefined ? undefined : router.groups.find(name)[0]?.row.info
  return (info?.['team_id'] === teamId && text(info?.['team_public_model_name'])) || name
}

async function expandWildcard(group: string, rooms: Rooms): Promise<readonly string[]> {
  const slash = group.indexOf('/*')
  if (slash === -1) return []
  const rows = rooms.router.groups.find(group)
  const provider = rows[0]?.provider
  if (provider === undefined) return []
  const catalogue = await rooms.catalogue()
  const prefix = group.slice(0, slash + 1)
  return catalogue
    .models(rows[0]?.spec.catalogue ?? provider)
    .map((name) => prefix + withoutPrefix(name, provider))
}

const withoutPrefix = (name: string, provider: string): string =>
  name.startsWith(`${provider}/`) ? name.slice(provider.length + 1) : name

function describeModel(name: string, rooms: Rooms, caller: Caller): JsonObject {
  const meant = rooms.access?.aliasOf(caller, name) ?? name
  const deployment = rooms.router.groups.find(rooms.router.groups.nameOf(meant))[0]
  const info = deployment?.info ?? {}
  const params = deployment
    ? supportedOpenAiParams(deployment.provider, deployment.target.model, info)
    : []
  return compact({
    id: name,
    object: 'model',
    created,
    owned_by: 'openai',
    display_name: text(info['display_name']) ?? name,
    mode: text(info['mode']),
    max_input_tokens: number(info['max_input_tokens']) ?? number(info['max_tokens']),
    max_output_tokens: number(info['max_output_tokens']) ?? number(info['max_tokens']),
    context_window: number(info['max_input_tokens']),
    capabilities: deployment ? capabilities(info) : undefined,
    input_modalities: deployment ? modalities(info, 'input') : undefined,
    output_modalities: deployment ? modalities(info, 'output') : undefined,
    reasoning: bool(info['supports_reasoning']),
    supported_parameters: params.length > 0 ? params : undefined,
    pricing: pricing(info),
  })
}

function capabilities(info: JsonObject): JsonObject {
  const can = (field: string) => info[field] === true
  return {
    vision: can('supports_vision'),
    tools: can('supports_function_calling'),
    parallel_tools: can('supports_parallel_function_calling'),
    json: can('supports_response_schema'),
    reasoning: can('supports_reasoning'),
    pdf: can('supports_pdf_input'),
    audio_input: can('supports_audio_input'),
    audio_output: can('supports_audio_output'),
    web_search: can('supports_web_search'),
    prompt_caching: can('supports_prompt_caching'),
    streaming: info['supports_native_streaming'] !== false,
  }
}

function modalities(info: JsonObject, side: 'input' | 'output'): Json[] {
  const told = list(info[`supported_${side === 'input' ? '' : 'output_'}modalities`])
  if (told.length > 0) return told
  const found = ['text']
  if (side === 'input' && info['supports_vision'] === true) found.push('image')
  if (info[`supports_audio_${side}`] === true) found.push('audio')
  if (side === 'input' && info['supports_pdf_input'] === true) found.push('file')
  if (side === 'input' && info['supports_video_input'] === true) found.push('video')
  return found
}

/** US dollars per token. */
function pricing(info: JsonObject): JsonObject | undefined {
  const prices = compact({
    prompt: number(info['input_cost_per_token']),
    completion: number(info['output_cost_per_token']),
    input_cache_read: number(info['cache_read_input_token_cost']),
    input_cache_write: number(info['cache_creation_input_token_cost']),
  })
  return Object.keys(prices).length > 0 ? prices : undefined
}

export function modelInfo(rooms: Rooms, query: URLSearchParams, caller: Caller): Outgoing {
  const id = query.get('litellm_model_id')
  const all = rooms.router.groups
    .all()
    .filter(
      (deployment) =>
        (id === null || deployment.id === id) &&
        (rooms.access?.mayUse(caller, deployment.group) ?? true),
    )
  if (id !== null && all.length === 0)
    throw new GatewayError('bad_request', `Model id = ${id} not found on the gateway`, {
      param: 'litellm_model_id',
    })
  return json({ data: all.map(describeDeployment) })
}

export function describeDeployment(deployment: Deployment): JsonObject {
  const { info, row, id, target } = deployment
  const mode = text(info['mode'])
  return {
    model_name: deployment.group,
    litellm_params: publicParams(row.params),
    model_info: {
      ...publicParams({ ...info, ...row.info }),
      id,
      db_model: row.info['db_model'] === true,
      key: text(info['key']) ?? target.model,
      litellm_provider: text(info['litellm_provider']) ?? deployment.provider,
      supported_openai_params: supportedOpenAiParams(deployment.provider, target.model, info),
      ...(mode !== undefined && { mode }),
    },
  }
}

/** Without anything that is, or may hold, a credential. */
export function publicParams(params: JsonObject): JsonObject {
  const out: JsonObject = {}
  for (const [key, value] of Object.entries(params)) {
    if (isSecretKey(key) || hidden.has(key)) continue
    out[key] = shown(value)
  }
  return out
}

function shown(value: Json | undefined): Json | undefined {
  if (typeof value === 'string')
    return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? withoutLogin(value) : value
  if (Array.isArray(value)) return value.map((item) => shown(item) ?? null)
  return isObject(value) ? publicParams(value) : value
}
const hidden = new Set([
  'extra_headers',
  'headers',
  'vertex_credentials',
  'extra_body',
  'ssl_certificate',
])

function withoutLogin(url: string): string {
  try {
    const parsed = new URL(url)
    parsed.username = ''
    parsed.password = ''
    for (const name of [...parsed.searchParams.keys()])
      if (isSecretKey(name)) parsed.searchParams.delete(name)
    return parsed.toString().replace(/\/$/, url.endsWith('/') ? '/' : '')
  } catch {
    return url
  }
}

export function modelGroupInfo(rooms: Rooms, query: URLSearchParams, caller: Caller): Outgoing {
  const asked = query.get('model_group')
  const names = rooms.router.groups
    .names()
    .filter(
      (name) => (asked === null || name === asked) && (rooms.access?.mayUse(caller, name) ?? true),
    )
  return json({ data: names.map((name) => describeGroup(name, rooms.router.groups.find(name))) })
}

function describeGroup(name: string, group: readonly Deployment[]): JsonObject {
  const infos = group.map(({ info }) => info)
  const most = (field: string) => extreme(infos, field, Math.max)
  const can = (field: string) => infos.some((info) => info[field] === true)
  const sum = (field: 'tpm' | 'rpm') => {
    const stated = group.flatMap((deployment) => deployment[field] ?? [])
    return stated.length > 0 ? stated.reduce((a, b) => a + b, 0) : null
  }
  const params = new Set(
    group.flatMap(({ provider, target, info }) =>
      supportedOpenAiParams(provider, target.model, info),
    ),
  )
  return {
    model_group: name,
    providers: [...new Set(group.map(({ provider }) => provider))],
    max_input_tokens: most('max_input_tokens'),
    max_output_tokens: most('max_output_tokens'),
    input_cost_per_token: most('input_cost_per_token'),
    output_cost_per_token: most('output_cost_per_token'),
    mode: infos.map((info) => text(info['mode'])).find((mode) => mode !== undefined) ?? 'chat',
    tpm: sum('tpm'),
    rpm: sum('rpm'),
    supports_parallel_function_calling: can('supports_parallel_function_calling'),
    supports_vision: can('supports_vision'),
    supports_web_search: can('supports_web_search'),
    supports_reasoning: can('supports_reasoning'),
    supports_function_calling: can('supports_function_calling'),
    supported_openai_params: [...params],
    configurable_clientside_auth_params: group.flatMap(({ clientSide }) => [...clientSide]),
    is_public_model_group: false,
  }
}

function extreme(
  infos: readonly JsonObject[],
  field: string,
  of: (...values: number[]) => number,
): number | null {
  const stated = infos.flatMap((info) => number(info[field]) ?? [])
  return stated.length > 0 ? of(...stated) : null
}

export const json = (body: Json | JsonObject, status = 200): Outgoing => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
