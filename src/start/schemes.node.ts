import type { AuthScheme } from '../provider/auth/auth.ts'
import { NodeHash } from '../provider/auth/aws-hash.node.ts'
import { createAuthDeps } from '../provider/auth/fetch.node.ts'
import { createSchemes as createAll } from '../provider/auth/schemes.ts'

/** The schemes of this process, with Node's files, sockets and hashes. */
export const createSchemes = (
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, AuthScheme>> => createAll({ ...createAuthDeps({ env }), hash: NodeHash })
