import type { JsonObject } from '../../json/json.ts'
import { awsScheme } from '../../provider/auth/aws.ts'
import { NodeHash } from '../../provider/auth/aws-hash.node.ts'
import { createAuthDeps } from '../../provider/auth/fetch.node.ts'
import {
  createSecretReader,
  createSecretWriter,
  type SecretDeps,
  type SecretReader,
  type SecretWriter,
} from './secrets.ts'

/** The secret manager of the settings, reached with what the environment says of it. Throws a GatewayError that says what to do. */
export const openSecrets = (
  system: string,
  settings: JsonObject,
  env: Readonly<Record<string, string | undefined>>,
): SecretReader => createSecretReader(system, settings, depsOf(system, settings, env))

/** The same, to be written into. */
export const openSecretWriter = (
  system: string,
  settings: JsonObject,
  env: Readonly<Record<string, string | undefined>>,
): SecretWriter => createSecretWriter(system, settings, depsOf(system, settings, env))

function depsOf(
  system: string,
  settings: JsonObject,
  env: Readonly<Record<string, string | undefined>>,
): SecretDeps {
  const deps = createAuthDeps({ env })
  if (system !== 'aws_secret_manager') return deps
  const { authorize, problem } = awsScheme({ ...deps, hash: NodeHash }, 'secretsmanager').open({
    provider: 'aws',
    model: '',
    params: settings,
    hasBase: false,
  })
  if (problem) throw problem
  return { ...deps, authorize }
}
