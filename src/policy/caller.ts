import type { Grant } from './grant.ts'

/** What a route asks of its caller. */
export type Permission =
  /** Anyone who reaches the port. */
  | 'public'
  /** Calls models. */
  | 'llm'
  /** Learns what models there are. */
  | 'info'
  /** Reads what belongs to the caller; the handler narrows what it shows to that. */
  | 'self'
  /** Changes what belongs to the caller; the handler narrows. Nobody who may only look. */
  | 'self_write'
  /** Reads everything: administrators, and those who may only look. */
  | 'view'
  /** Changes everything: administrators. */
  | 'admin'

/** LiteLLM's roles of a user. `none`: a key that belongs to no user. `open`: nobody asked who it is. */
export type Role =
  | 'proxy_admin'
  | 'proxy_admin_viewer'
  | 'org_admin'
  | 'internal_user'
  | 'internal_user_viewer'
  | 'none'
  | 'open'

/** Who is asking, as far as the door could tell. Administrators of a team or an organisation show only in its members. */
export type Caller = {
  readonly role: Role
  /** Stands for the key in logs and spend rows, and is what LiteLLM shows as its id: never the key. */
  readonly keyId: string
  readonly userId: string | undefined
  readonly teamId: string | undefined
  readonly organizationId: string | undefined
  /** What the virtual key may do and what it counts against; absent for the master key and where nobody was asked. */
  readonly grant: Grant | undefined
  /** Who it is for, where the caller's token says so: no request may say otherwise. */
  readonly customerId?: string | undefined
}

export const nobody: Caller = {
  role: 'open',
  keyId: '',
  userId: undefined,
  teamId: undefined,
  organizationId: undefined,
  grant: undefined,
}

export const isAdmin = ({ role }: Caller): boolean => role === 'proxy_admin'
/** May see everything. */
export const seesAll = ({ role }: Caller): boolean =>
  role === 'proxy_admin' || role === 'proxy_admin_viewer'
