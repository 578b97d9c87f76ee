import type { Doc } from '../store/docs.ts'
import type { Role } from './caller.ts'

/** A virtual key with everything that bears on it, put together once and kept until one of its parts is written. */
export type Grant = {
  /** SHA-256 of the key. */
  readonly keyId: string
  readonly role: Role
  readonly key: Doc<'virtual_key'>
  readonly user: Doc<'gateway_user'> | undefined
  readonly team: Doc<'team'> | undefined
  readonly member: Doc<'team_member'> | undefined
  readonly organization: Doc<'organization'> | undefined
  readonly project: Doc<'project'> | undefined
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined
}
