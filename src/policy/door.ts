import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { type AddressOptions, addressOf, type Ranges } from './address.ts'
import { isAdmin } from './caller.ts'
import type { Identify } from './identify.ts'
import { isIn } from './lanes.ts'

/** What holds for everybody, whoever they are. */
export type DoorRules = {
  /** `allowed_ips`; absent: from anywhere. */
  allowed: Ranges | undefined
  addresses: AddressOptions
  /** `allowed_routes` of general_settings: paths, or LiteLLM's names for groups of them; absent: all there are. */
  routes: readonly string[] | undefined
  /** `admin_only_routes`. */
  adminRoutes: readonly string[]
}

/** Asks these before, and after, who it is. Routes that ask nobody who they are stay open to everybody. */
export function withRules(identify: Identify, rules: DoorRules): Identify {
  const { allowed, addresses, routes, adminRoutes } = rules
  if (!allowed && !routes && adminRoutes.length === 0) return identify
  return (incoming, permission) => {
    if (permission === 'public') return identify(incoming, permission)
    if (allowed) refuseAddress(incoming, allowed, addresses)
    const { method, path } = incoming
    const within = (lanes: readonly string[]): boolean =>
      lanes.some((lane) => isIn(lane, permission, method, path))
    if (routes && !within(routes))
      throw forbidden(`Access forbidden: Route ${path.slice(0, 200)} not allowed`)
    const asked = identify(incoming, permission)
    if (adminRoutes.length === 0 || !within(adminRoutes)) return asked
    const onlyAdmin = (caller: Awaited<typeof asked>) => {
      if (isAdmin(caller)) return caller
      throw forbidden(
        `user not allowed to access this route. Route=${path.slice(0, 200)} is an admin only route`,
      )
    }
    return asked instanceof Promise ? asked.then(onlyAdmin) : onlyAdmin(asked)
  }
}

function refuseAddress(incoming: Incoming, allowed: Ranges, addresses: AddressOptions): void {
  const address = addressOf(incoming, addresses)
  if (!allowed.has(address))
    throw forbidden(`Access forbidden: IP address ${address.slice(0, 60)} not allowed.`)
}

const forbidden = (message: string): GatewayError =>
  new GatewayError('permission', message, { type: 'auth_error', param: 'None', code: '403' })
