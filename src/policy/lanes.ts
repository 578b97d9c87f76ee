import { GatewayError } from '../errors.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import type { Caller, Permission } from './caller.ts'

/**
 * The lanes a key stays in: `allowed_routes`, as paths (`/v1/*` and `{name}` stand for what comes) or LiteLLM's names for
 * groups of them, and `key_type`, which is such a group.
 */
export function refuseOtherLane(
  { grant }: Caller,
  permission: Exclude<Permission, 'public'>,
  method: string,
  path: string,
): void {
  if (!grant) return
  const { allowed_routes, key_type } = grant.key.data
  const type = typeof key_type === 'string' && Object.hasOwn(types, key_type) && types[key_type]
  // Most keys have neither.
  if (!type && !(Array.isArray(allowed_routes) && allowed_routes.length > 0)) return
  const said = list(allowed_routes).filter((route) => typeof route === 'string')
  const lanes = said.length > 0 ? said : type ? [type] : []
  if (lanes.length === 0 || lanes.some((lane) => isIn(lane, permission, method, path))) return
  throw new GatewayError(
    'permission',
    `Virtual key is not allowed to call this route. Only allowed to call routes: [${lanes.join(', ').slice(0, 500)}]. Tried to call route: ${path.slice(0, 200)}`,
    { type: 'auth_error', param: 'None', code: '403' },
  )
}

/**
 * Paths that are passed on to a provider or to another server: none that `denied_passthrough_routes` of the key or its team
 * names, and of the operator's own ones (`own`) only those of `allowed_passthrough_routes`, where the key has such a list, or
 * else its team.
 */
export function refusePass({ grant }: Caller, path: string, own: boolean): void {
  if (!grant) return
  const sources = [grant.key, grant.team].map((doc) => doc?.data ?? {})
  const read = (data: JsonObject, name: string): readonly string[] =>
    [...list(data[name]), ...list(object(data['metadata'])[name])].filter(
      (route) => typeof route === 'string',
    )
  const names = namesOf(path)
  const denied = sources
    .flatMap((data) => read(data, 'denied_passthrough_routes'))
    .find((route) => names.some((name) => isUnder(route, name)))
  if (denied !== undefined)
    throw new GatewayError(
      'permission',
      `Key/team denied access to passthrough route ${path.slice(0, 200)}. Matched \`${denied.slice(0, 200)}\` in \`denied_passthrough_routes\`.`,
      { type: 'auth_error', param: 'None', code: '403' },
    )
  if (!own) return
  const [allowed] = sources
    .map((data) => read(data, 'allowed_passthrough_routes'))
    .filter((routes) => routes.length > 0)
  if (!allowed || allowed.some((route) => isUnder(route, path))) return
  throw new GatewayError(
    'permission',
    `Key/team not allowed to access passthrough route ${path.slice(0, 200)}. Configure \`allowed_passthrough_routes\` on the team or key.`,
    { type: 'auth_error', param: 'None', code: '403' },
  )
}

/** May keys of a team call an endpoint of the operator's, as far as the team's own lists say? Who needs no key is not asked. */
export function mayPass(team: JsonObject, path: string, asksForKey: boolean): boolean {
  const read = (field: string): readonly string[] =>
    [...list(team[field]), ...list(object(team['metadata'])[field])].filter(
      (route) => typeof route === 'string',
    )
  const allowed = read('allowed_passthrough_routes')
  const denied = asksForKey ? read('denied_passthrough_routes') : []
  return (
    (allowed.length === 0 || allowed.some((route) => isUnder(route, path))) &&
    !denied.some((route) => isUnder(route, path))
  )
}

/** A path as it was sent, and as a server may read it: nobody gets past a denial by spelling it in another way. */
function namesOf(path: string): readonly string[] {
  const names = new Set([path])
  let last = path
  // Servers behind servers decode more than once.
  for (let times = 0; times < 3; times++) {
    try {
      last = decodeURIComponent(last)
    } catch {
      break
    }
    names.add(last)
  }
  for (const name of [...names]) names.add(name.replace(/\/{2,}/g, '/').replace(/;[^/]*/g, ''))
  return [...names]
}

/** The path itself and everything below; `/` is all of them. */
function isUnder(route: string, path: string): boolean {
  const root = route.replace(/\/+$/, '')
  return path === root || path.startsWith(`${root}/`) || fits(route, path)
}

/** `default` is no lane. */
const types: Readonly<Record<string, string>> = {
  llm_api: 'llm_api_routes',
  management: 'management_routes',
  read_only: 'info_routes',
}

/** `lane`: a path, or LiteLLM's name for a group of them. */
export function isIn(
  lane: string,
  permission: Exclude<Permission, 'public'>,
  method: string,
  path: string,
): boolean {
  switch (lane) {
    case 'llm_api_routes':
    case 'openai_routes':
    case 'anthropic_routes':
    case 'google_routes':
    case 'passthrough_routes':
    case 'agent_routes':
    case 'mcp_routes':
      return permission === 'llm' || permission === 'info'
    case 'info_routes':
      return permission === 'info' || (permission === 'self' && method === 'GET' && info.has(path))
    case 'management_routes':
    case 'key_management_routes':
      return permission !== 'llm'
    case 'spend_tracking_routes':
      return permission !== 'llm' && (path.includes('/spend') || path.includes('/activity'))
    default:
      return fits(lane, path)
  }
}

/** What a key may read about itself and those it belongs to. */
const info = new Set([
  '/key/info',
  '/team/info',
  '/team/list',
  '/user/info',
  '/v2/user/info',
  '/spend/logs',
  '/key/list',
])

/** `/v1/*` is everything below; `{name}` one step. */
function fits(pattern: string, path: string): boolean {
  if (pattern === path || pattern === '*' || pattern === '/*') return true
  if (pattern.endsWith('*')) return path.startsWith(pattern.slice(0, -1))
  if (!pattern.includes('{')) return false
  const [wanted, steps] = [pattern.split('/'), path.split('/')]
  return (
    wanted.length === steps.length &&
    wanted.every((step, at) => (step.startsWith('{') && step.endsWith('}')) || step === steps[at])
  )
}
