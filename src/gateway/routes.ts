import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import type { Caller, Permission } from '../policy/identify.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { serveChat } from './chat.ts'
import { alive, health, readiness } from './health.ts'
import { json, listModels, modelGroupInfo, modelInfo, oneModel } from './models.ts'
import type { Rooms } from './rooms.ts'
import { costMap, supportedParams, tokenCounter } from './utilities.ts'

/** One row per method and path. A row without a permission does not compile; what is not here is not served. */
export type Route = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `{name}` stands for one segment, `{name+}` for one or more, slashes included. */
  path: string
  permission: Permission
  /** In whose words errors are told; default OpenAI's. */
  dialect?: Wire
  /** One line for /openapi.json. */
  summary: string
  run(visit: Visit): Promise<Outgoing> | Outgoing
}

export type Visit = {
  incoming: Incoming
  rooms: Rooms
  caller: Caller
  /** What stood for the path's `{…}`, percent-decoding done. */
  params: Readonly<Record<string, string>>
}

const chat = wires['openai-chat']

const queryOf = ({ query }: Incoming): URLSearchParams => new URLSearchParams(query)

const route = (
  method: Route['method'],
  paths: string,
  permission: Permission,
  summary: string,
  run: Route['run'],
  dialect?: Wire,
): Route[] =>
  paths
    .split(' ')
    .map((path) => ({ method, path, permission, summary, run, ...(dialect && { dialect }) }))

export const routes: readonly Route[] = [
  ...route('POST', '/v1/chat/completions /chat/completions', 'llm', 'Chat completion', ({ incoming, rooms, caller }) =>
    serveChat(incoming, chat, rooms, caller),
  ),
  ...route(
    'POST',
    '/openai/deployments/{model+}/chat/completions /engines/{model+}/chat/completions',
    'llm',
    'Chat completion of the model in the path (Azure clients)',
    ({ incoming, rooms, caller, params }) =>
      serveChat(incoming, chat, rooms, caller, { model: params['model'] ?? '' }),
  ),
  ...route(
    'POST',
    '/v1/messages /anthropic/v1/messages',
    'llm',
    "Anthropic's Messages",
    ({ incoming, rooms, caller }) => serveChat(incoming, wires.anthropic, rooms, caller),
    wires.anthropic,
  ),
  ...route('GET', '/v1/models /models', 'info', 'Models the caller may use', ({ incoming, rooms }) => listModels(rooms, queryOf(incoming))),
  ...route('GET', '/v1/models/{id+} /models/{id+}', 'info', 'One model', ({ rooms, params }) => oneModel(rooms, params['id'] ?? '')),
  ...route('GET', '/v1/model/info /model/info', 'info', 'Deployments with their facts', ({ incoming, rooms }) => modelInfo(rooms, queryOf(incoming))),
  ...route('GET', '/model_group/info', 'info', 'Model groups with their facts', ({ incoming, rooms }) => modelGroupInfo(rooms, queryOf(incoming))),
  ...route('POST', '/utils/token_counter', 'info', 'Count the tokens of a request', ({ incoming, rooms }) => tokenCounter(incoming, rooms)),
  ...route('GET', '/utils/supported_openai_params', 'info', 'OpenAI parameters a model takes', ({ incoming, rooms }) => supportedParams(rooms, queryOf(incoming))),
  ...route('GET', '/get/litellm_model_cost_map /public/litellm_model_cost_map /public/model_cost_map', 'info', 'The catalogue of models and prices', ({ rooms }) => costMap(rooms)),
  ...route('GET', '/health', 'admin', 'Calls every deployment once', ({ incoming, rooms }) => health(rooms, queryOf(incoming), incoming.signal)),
  ...route('GET', '/health/liveliness /health/liveness', 'public', 'The process runs', () => alive()),
  ...route('GET', '/health/readiness', 'public', 'The gateway can serve', ({ rooms }) => readiness(rooms)),
  ...route('GET', '/routes', 'info', 'Every route', () =>
    json({ routes: routes.map(({ path, method, summary }) => ({ path, methods: [method], name: summary })) }),
  ),
]

const none: Readonly<Record<string, string>> = {}
type Compiled = { route: Route; pattern: RegExp; names: string[] }
export type Table = {
  match(method: string, path: string): { route: Route; params: Readonly<Record<string, string>> } | { allowed: string[] }
}

/** Plain paths by a map, the others by pattern, most specific first. */
export function compile(all: readonly Route[]): Table {
  const plain = new Map<string, Map<string, Route>>()
  const patterns: Compiled[] = []
  for (const one of all) {
    if (!one.path.includes('{')) {
      const methods = plain.get(one.path) ?? new Map<string, Route>()
      methods.set(one.method, one)
      plain.set(one.path, methods)
      continue
    }
    const names: string[] = []
    const source = one.path.replace(/[.*?^$()|[\]\\]/g, '\\$&').replace(/\{(\w+)(\+?)\}/g, (_, name: string, more: string) => {
      names.push(name)
      return more ? '(.+)' : '([^/]+)'
    })
    patterns.push({ route: one, pattern: new RegExp(`^${source}$`), names })
  }
  return {
    match(method, path) {
      const methods = plain.get(path)
      const exact = methods?.get(method) ?? (method === 'HEAD' ? methods?.get('GET') : undefined)
      if (exact) return { route: exact, params: none }
      const allowed = methods ? [...methods.keys()] : []
      for (const { route: one, pattern, names } of patterns) {
        const found = pattern.exec(path)
        if (!found) continue
        if (one.method !== method) {
          allowed.push(one.method)
          continue
        }
        const params: Record<string, string> = {}
        names.forEach((name, at) => {
          params[name] = decode(found[at + 1] ?? '')
        })
        return { route: one, params }
      }
      return { allowed }
    },
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new GatewayError('bad_request', 'the path has a broken percent-encoding')
  }
}
