import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { type Caller, nobody, type Permission, type Role } from './caller.ts'
import { refuseOtherLane } from './lanes.ts'

export type IdentifyOptions = {
  /** LiteLLM's master key: opens everything. Absent: the gateway is open to this machine. */
  masterKey: string | undefined
  /** The generated key that opens management when there is no master key. */
  adminKey: string | undefined
  /** Bound to a loopback address without a master key: LLM and discovery routes are open. */
  open: boolean
  /** No master key, yet bound to other addresses: somebody said dangerously_permit_weak_or_unset_master_key. */
  openToAll?: boolean
  /** `general_settings.litellm_key_header_name`. */
  headerName: string | undefined
  /** Virtual keys; absent without a database. */
  find?: FindCaller
}

/**
 * Tells who is asking, or throws. A promise only where the key has not been seen lately: what is cached costs no turn of
 * the loop.
 */
export type Identify = (incoming: Incoming, permission: Permission) => Caller | Promise<Caller>

/** Knows virtual keys. Undefined: there is no such key. */
export type FindCaller = (
  key: string,
  incoming: Incoming,
) => Caller | undefined | Promise<Caller | undefined>

/** Deny by default: whoever is not let in by a rule here is not let in. */
export function createIdentify({
  masterKey,
  adminKey,
  open,
  openToAll = false,
  headerName,
  find,
}: IdentifyOptions): Identify {
  const admin = masterKey ?? adminKey
  const administrator: Caller = {
    ...nobody,
    role: 'proxy_admin',
    keyId: masterKey === undefined ? 'admin_key' : 'master_key',
  }
  const stranger: Caller = { ...nobody, keyId: 'open' }
  const admit = (
    caller: Caller | undefined,
    permission: Exclude<Permission, 'public'>,
    { method, path }: Incoming,
    key?: string,
  ): Caller => {
    if (caller) {
      refuseUnfit(caller, permission)
      refuseOtherLane(caller, permission, method, path)
      return caller
    }
    if ((open || openToAll) && (permission === 'llm' || permission === 'info')) return stranger
    throw key === undefined
      ? refusal('Authentication Error, No api key passed in.', 'auth_error')
      : refusal(
          'Authentication Error, Invalid proxy server token passed. Create a key via `/key/generate` with the master key, or pass the master key itself.',
          'token_not_found_in_db',
        )
  }
  const admitWhen = async (
    found: Promise<Caller | undefined>,
    permission: Exclude<Permission, 'public'>,
    incoming: Incoming,
    key: string,
  ): Promise<Caller> => admit(await found, permission, incoming, key)
  return (incoming, permission) => {
    if (open) refuseStrangers(incoming)
    if (permission === 'public') return nobody
    const key = keyOf(incoming, headerName)
    if (key === undefined) return admit(undefined, permission, incoming)
    if (admin !== undefined && sameSecret(key, admin)) return administrator
    const found = find?.(key, incoming)
    return found instanceof Promise
      ? admitWhen(found, permission, incoming, key)
      : admit(found, permission, incoming, key)
  }
}

/** Which roles a permission lets in. Routes that narrow by ownership are open to every role that may read or write at all. */
const fit: Readonly<Record<Exclude<Permission, 'public'>, ReadonlySet<Role>>> = {
  llm: new Set([
    'proxy_admin',
    'proxy_admin_viewer',
    'org_admin',
    'internal_user',
    'internal_user_viewer',
    'none',
  ]),
  info: new Set([
    'proxy_admin',
    'proxy_admin_viewer',
    'org_admin',
    'internal_user',
    'internal_user_viewer',
    'none',
  ]),
  self: new Set([
    'proxy_admin',
    'proxy_admin_viewer',
    'org_admin',
    'internal_user',
    'internal_user_viewer',
    'none',
  ]),
  self_write: new Set(['proxy_admin', 'org_admin', 'internal_user', 'none']),
  view: new Set(['proxy_admin', 'proxy_admin_viewer']),
  admin: new Set(['proxy_admin']),
}

function refuseUnfit({ role }: Caller, permission: Exclude<Permission, 'public'>): void {
  if (fit[permission].has(role)) return
  throw new GatewayError(
    'permission',
    `Authentication Error, this route is for ${permission === 'view' ? 'proxy administrators and viewers' : permission === 'self_write' ? 'roles that may change things' : 'proxy administrators'}. Your role: ${role === 'none' ? 'a key without a user' : role}`,
    { type: 'auth_error', param: 'None', code: '403' },
  )
}

const refusal = (message: string, type: string): GatewayError =>
  new GatewayError('authentication', message, { type, param: 'None', code: '401' })

/** Where clients put their key; the first one present counts. */
const carriers: readonly { header: string; strip?: RegExp }[] = [
  { header: 'x-litellm-api-key', strip: /^Bearer\s+/i },
  { header: 'authorization', strip: /^(?:Bearer|Basic)\s+/i },
  { header: 'api-key' },
  { header: 'x-api-key' },
  { header: 'x-goog-api-key' },
  { header: 'ocp-apim-subscription-key' },
]

export function keyOf(incoming: Incoming, headerName: string | undefined): string | undefined {
  if (headerName !== undefined) {
    const said = incoming.header(headerName.toLowerCase())
    if (said) return said.replace(/^Bearer\s+/i, '').trim()
  }
  for (const carrier of carriers) {
    const said = incoming.header(carrier.header)
    if (!said) continue
    const { strip } = carrier
    // As nearly everybody writes it, without an expression's matches.
    if (strip && said.startsWith('Bearer ')) return said.slice(7).trim()
    return (strip ? said.replace(strip, '') : said).trim()
  }
  return googleRoute.test(incoming.path)
    ? (new URLSearchParams(incoming.query).get('key') ?? undefined)
    : undefined
}
const googleRoute = /^\/(upload\/v1beta|v1beta|v1|models|gemini|vertex[_-]ai)(\/|$)/

/**
 * Without a key the gateway trusts this machine, and only it: a web page that makes the browser call us shows itself by
 * its Origin, a name that was made to point here (DNS rebinding) by the Host.
 */
function refuseStrangers(incoming: Incoming): void {
  const host = incoming.header('host')
  if (host !== undefined && !isLoopbackHost(host.replace(/:\d+$/, '')))
    throw stranger(`Host "${host.slice(0, 100)}" is not this machine`)
  const origin = incoming.header('origin')
  if (origin !== undefined && !isLoopbackOrigin(origin))
    throw stranger(`Origin "${origin.slice(0, 100)}" is not this machine`)
}

const stranger = (what: string): GatewayError =>
  new GatewayError(
    'permission',
    `${what}. Without a master key the gateway answers only programs on this machine: set LITELLM_MASTER_KEY to let others in.`,
    { type: 'auth_error', code: '403' },
  )

export const isLoopbackHost = (host: string): boolean =>
  /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|\[?::1\]?|\[?::ffff:127(\.\d{1,3}){3}\]?)$/i.test(
    host,
  )

function isLoopbackOrigin(origin: string): boolean {
  try {
    return isLoopbackHost(new URL(origin).hostname)
  } catch {
    return false
  }
}

/** Takes as long for a near miss as for a far one. */
export function sameSecret(a: string, b: string): boolean {
  let differ = a.length ^ b.length
  for (let i = 0; i < a.length; i++) differ |= a.charCodeAt(i) ^ b.charCodeAt(i % (b.length || 1))
  return differ === 0 && b.length > 0
}

/** Keys that everybody knows, and keys that can be guessed. */
export const isWeakKey = (key: string): boolean => key.length < 16 || known.has(key.toLowerCase())
const known = new Set([
  'sk-1234567890123456',
  'sk-12345678901234567890',
  'sk-litellm-master-key',
  'your-master-key-here',
  'sk-your-master-key-here',
])
