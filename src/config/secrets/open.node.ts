import type { JsonObject } from '../../json/json.ts'
import { awsScheme } from '../../provider/auth/aws.ts'
import { NodeHash } from '../../provider/auth/aws-hash.node.ts'
import { createAuthDeps } from '../../provider/auth/fetch.node.ts'
import { createSecretReader, type SecretReader } from './secrets.ts'

/** The secret manager of the settings, reached with what the environment says of it. Throws a GatewayError that says what to do. */
export function openSecrets(
  system: string,
  settings: JsonObject,
  env: Readonly<Record<string, string | undefined>>,
): SecretReader {
  const deps = createAuthDeps({ env })
  if (system !== 'aws_secret_manager') return createSecretReader(system, settings, deps)
  const { authorize, problem } = awsScheme({ ...deps, hash: NodeHash }, 'secretsmanager').open({
    provider: 'aws',
    model: '',
    params: settings,
    hasBase: false,
  })
  if (problem) throw problem
  return createSecretReader(system, settings, { ...deps, authorize })
}
