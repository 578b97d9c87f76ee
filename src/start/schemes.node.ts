import type { AuthScheme } from '../provider/auth/auth.ts'
import { awsScheme } from '../provider/auth/aws.ts'
import { NodeHash } from '../provider/auth/aws-hash.node.ts'
import { createAuthDeps } from '../provider/auth/fetch.node.ts'
import { createTokenSchemes } from '../provider/auth/token-schemes.ts'

/** Every way to prove who we are that is more than a header, by the name providers' rows give it. Each keeps its tokens. */
export function createSchemes(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, AuthScheme>> {
  const deps = createAuthDeps({ env })
  return {
    ...createTokenSchemes(deps),
    aws: awsScheme({ ...deps, hash: NodeHash }, 'bedrock'),
  }
}
