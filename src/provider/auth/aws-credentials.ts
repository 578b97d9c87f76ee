import type { AuthDeps } from './auth.ts'
import {
  type AwsCredentials,
  type AwsSettings,
  type CredentialDeps,
  checked,
  complete,
  refuse,
  refused,
} from './aws-keys.ts'
import { fromContainer, fromMachine } from './aws-platform.ts'
import { readShared, type Settings, type SharedFiles } from './aws-profile.ts'
import { fromSso } from './aws-sso.ts'
import { assumeByWebIdentity, assumeRole, readToken, readTokenFile } from './aws-sts.ts'

/**
 * Credentials in the order LiteLLM and AWS's SDKs look for them: the row's role, profile or keys; keys in the
 * environment, a web identity (IRSA), the shared files, a container's service, the machine's.
 */
export async function findCredentials(
  settings: AwsSettings,
  deps: CredentialDeps,
): Promise<AwsCredentials> {
  const { role, webIdentityToken, profile, keys } = settings
  if (role !== undefined && webIdentityToken !== undefined)
    return assumeByWebIdentity({ ...settings, role }, await readToken(webIdentityToken, deps), deps)
  const own = async (): Promise<AwsCredentials> =>
    keys ??
    (profile === undefined
      ? fromSurroundings(settings, deps)
      : fromProfile(profile, settings, deps))
  // A pod that already runs as this role must not assume it again.
  if (role === undefined || (keys === undefined && profile === undefined && isOurRole(role, deps)))
    return own()
  return assumeRole({ ...settings, role }, await own(), deps)
}

const isOurRole = (role: string, { env }: CredentialDeps): boolean =>
  env('AWS_ROLE_ARN') === role && !!env('AWS_WEB_IDENTITY_TOKEN_FILE')

async function fromSurroundings(
  settings: AwsSettings,
  deps: CredentialDeps,
): Promise<AwsCredentials> {
  const { env, readFile } = deps
  const keys = keysInEnvironment(env)
  if (keys) return keys
  const tokenFile = env('AWS_WEB_IDENTITY_TOKEN_FILE')
  const role = env('AWS_ROLE_ARN')
  if (tokenFile && role)
    return assumeByWebIdentity({ ...settings, role }, await readTokenFile(tokenFile, deps), deps)
  if (readFile) {
    const named = env('AWS_PROFILE') ?? env('AWS_DEFAULT_PROFILE')
    if (named) return fromProfile(named, settings, deps)
    const files = await readShared(env, readFile)
    if (files.profiles.has('default')) {
      const found = await inProfile('default', settings, deps, files, [])
      if (found) return found
    }
  }
  return (await fromContainer(deps)) ?? (await fromMachine(deps)) ?? missing()
}

export function keysInEnvironment(env: AuthDeps['env']): AwsCredentials | undefined {
  const accessKeyId = env('AWS_ACCESS_KEY_ID')
  const secretAccessKey = env('AWS_SECRET_ACCESS_KEY')
  if (!accessKeyId || !secretAccessKey) return undefined
  const sessionToken = env('AWS_SESSION_TOKEN')
  return checked({ accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) })
}

async function fromProfile(
  name: string,
  settings: AwsSettings,
  deps: CredentialDeps,
): Promise<AwsCredentials> {
  if (!deps.readFile)
    throw refused(`the AWS profile ${name} cannot be read: there are no files in this runtime`)
  const files = await readShared(deps.env, deps.readFile)
  if (!files.profiles.has(name))
    throw refused(
      `there is no AWS profile ${name}: add it to ~/.aws/config or ~/.aws/credentials, or name another in aws_profile_name`,
    )
  const found = await inProfile(name, settings, deps, files, [])
  return (
    found ??
    refuse(`the AWS profile ${name} names no credentials: give it keys, a role or an SSO session`)
  )
}

/** Undefined when the profile says nothing of credentials. `seen` are the profiles that led here. */
async function inProfile(
  name: string,
  settings: AwsSettings,
  deps: CredentialDeps,
  files: SharedFiles,
  seen: readonly string[],
): Promise<AwsCredentials | undefined> {
  const profile = files.profiles.get(name)
  if (!profile)
    throw refused(`the AWS profile ${seen.at(-1)} refers to ${name}, which does not exist`)
  const own = keysOf(profile)
  if (seen.includes(name)) {
    // A profile may be its own source: its keys then assume its role.
    if (own && seen.at(-1) === name) return own
    throw refused(`the AWS profiles ${[...seen, name].join(' → ')} refer to each other in a circle`)
  }
  if (profile.role_arn) {
    const base = await sourceOf(name, profile, settings, deps, files, seen)
    const said: AwsSettings & { role: string } = {
      region: profile.region ?? settings.region,
      role: profile.role_arn,
      ...(profile.role_session_name && { sessionName: profile.role_session_name }),
      ...(profile.external_id && { externalId: profile.external_id }),
      ...(settings.stsEndpoint && { stsEndpoint: settings.stsEndpoint }),
    }
    return 'token' in base
      ? assumeByWebIdentity(said, base.token, deps)
      : assumeRole(said, base.credentials, deps)
  }
  if (own) return own
  if (profile.sso_session || profile.sso_start_url) return fromSso(name, profile, deps, files)
  const known = profile.credential_process ?? profile.login_session
  const found = known === undefined ? undefined : await fromChain(name, deps)
  if (known !== undefined && found === undefined)
    throw refused(
      `the AWS profile ${name} uses ${profile.credential_process === undefined ? 'login_session' : 'credential_process'}, which takes AWS's own package: install @aws-sdk/credential-provider-node beside this one, or use keys, a role, SSO or a web identity`,
    )
  return found
}

async function sourceOf(
  name: string,
  profile: Settings,
  settings: AwsSettings,
  deps: CredentialDeps,
  files: SharedFiles,
  seen: readonly string[],
): Promise<{ token: string } | { credentials: AwsCredentials }> {
  if (profile.mfa_serial)
    throw refused(
      `the AWS profile ${name} wants a code from a device (mfa_serial), which nobody can type here`,
    )
  if (profile.web_identity_token_file)
    return { token: await readTokenFile(profile.web_identity_token_file, deps) }
  const { source_profile: source, credential_source: service } = profile
  if (source) {
    const found = await inProfile(source, settings, deps, files, [...seen, name])
    if (found) return { credentials: found }
  }
  const credentials =
    service === 'Environment'
      ? keysInEnvironment(deps.env)
      : service === 'EcsContainer'
        ? await fromContainer(deps)
        : service === 'Ec2InstanceMetadata'
          ? await fromMachine(deps)
          : undefined
  if (credentials) return { credentials }
  throw refused(
    `the AWS profile ${name} has a role_arn but no credentials to assume it with: check its ${source ? 'source_profile' : 'source_profile or credential_source'}`,
  )
}

const keysOf = (profile: Settings): AwsCredentials | undefined =>
  profile.aws_access_key_id && profile.aws_secret_access_key
    ? checked({
        accessKeyId: profile.aws_access_key_id,
        secretAccessKey: profile.aws_secret_access_key,
        ...(profile.aws_session_token && { sessionToken: profile.aws_session_token }),
      })
    : undefined

/** What is not spoken here AWS's own package may know, where it is installed. */
async function fromChain(
  profile: string,
  deps: CredentialDeps,
): Promise<AwsCredentials | undefined> {
  const who = `the AWS profile ${profile}`
  const found = await deps.awsChain?.(profile).catch((cause: unknown) => {
    // What a program said on its way out may hold anything.
    throw refused(`${who} gave no credentials: its program or login failed`, cause)
  })
  return found && complete(who, found)
}

const missing = (): never => refuse(nothingFound)
export const nothingFound =
  'no AWS credentials: set aws_access_key_id and aws_secret_access_key, aws_profile_name or aws_role_name in litellm_params; or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK in the environment; or run on a machine that has a role'
