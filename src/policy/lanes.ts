import { GatewayError } from '../errors.ts'
import { list } from '../json/json.ts'
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
  const said = list(allowed_routes).filter((route) => typeof route === 'string')
  const lanes =
    said.length > 0
      ? said
      : typeof key_type === 'string' && Object.hasOwn(types, key_type)
        ? [types[key_type] ?? '']
        : []
  if (lanes.length === 0 || lanes.some((lane) => isIn(lane, permission, method, path))) return
  throw new GatewayError(
    'permission',
    `Virtual key is not allowed to call this route. Only allowed to call routes: [${lanes.join(', ').slice(0, 500)}]. Tried to call route: ${path.slice(0, 200)}`,
    { type: 'auth_error', param: 'None', code: '403' },
  )
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
