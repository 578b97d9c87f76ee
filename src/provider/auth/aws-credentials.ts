import { GatewayError } from '../../errors.ts'
import { type JsonObject, number, object, text } from '../../json/json.ts'
import type { AuthDeps, AuthFetch } from './auth.ts'
import { sha1Hex } from './aws-hash.ts'
import { homeOf, readShared, type Settings, type SharedFiles } from './aws-profile.ts'
import type { Sign } from './aws-sign.ts'

export type AwsCredentials = {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  /** Milliseconds since 1970; absent for keys that last. */
  expires?: number
}

/** What a row says of its credentials, LiteLLM's parameters by other names. */
export type AwsSettings = {
  region: string
  keys?: AwsCredentials
  profile?: string
  role?: string
  sessionName?: string
  externalId?: string
  sessionTags?: JsonObject[]
  webIdentityToken?: string
  stsEndpoint?: string
}

export type CredentialDeps = AuthDeps & { sign: Sign }

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

/** Shared files */

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
  if (profile.credential_process)
    throw refused(
      `the AWS profile ${name} uses credential_process, which is not run here: use keys, a role, SSO or a web identity`,
    )
  return undefined
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

/** The token that `aws sso login` left behind buys credentials; when it has expired somebody has to log in again. */
async function fromSso(
  name: string,
  profile: Settings,
  deps: CredentialDeps,
  { ssoSessions }: SharedFiles,
): Promise<AwsCredentials> {
  const session = profile.sso_session ? ssoSessions.get(profile.sso_session) : profile
  const account = profile.sso_account_id
  const role = profile.sso_role_name
  const region = session?.sso_region
  if (!session?.sso_start_url || !region || !account || !role)
    throw refused(
      `the AWS profile ${name} is not complete for SSO: it needs sso_account_id, sso_role_name, and a session with sso_start_url and sso_region`,
    )
  const file = `${homeOf(deps.env)}/.aws/sso/cache/${await sha1Hex(profile.sso_session ?? session.sso_start_url)}.json`
  const cached = parse(await deps.readFile?.(file).catch(() => ''))
  const token = text(cached.accessToken)
  const until = Date.parse(text(cached.expiresAt)?.replace(/UTC$/, 'Z') ?? '')
  if (token === undefined || !(until > deps.now()))
    throw refused(
      `the SSO session of the AWS profile ${name} has expired: run \`aws sso login --profile ${name}\``,
    )
  const base =
    endpoint('SSO', deps) ?? `https://portal.sso.${safeRegion(region)}.${domainOf(region)}`
  const query = new URLSearchParams({ role_name: role, account_id: account })
  const answer = await ask(
    {
      method: 'GET',
      url: `${base}/federation/credentials?${query}`,
      headers: { 'x-amz-sso_bearer_token': token },
      timeoutMs: stsTimeoutMs,
    },
    'AWS SSO',
    deps,
  )
  const said = parse(answer.body)
  if (answer.status !== 200) throw failure('AWS SSO', answer.status, text(said.message) ?? '')
  const given = object(said.roleCredentials)
  return complete('AWS SSO', {
    accessKeyId: text(given.accessKeyId),
    secretAccessKey: text(given.secretAccessKey),
    sessionToken: text(given.sessionToken),
    expires: number(given.expiration),
  })
}

/** STS */

async function assumeRole(
  settings: AwsSettings & { role: string },
  credentials: AwsCredentials,
  deps: CredentialDeps,
): Promise<AwsCredentials> {
  const { externalId, sessionTags = [] } = settings
  const form = stsForm('AssumeRole', settings, deps)
  if (externalId !== undefined) form.set('ExternalId', externalId)
  sessionTags.forEach((tag, index) => {
    form.set(`Tags.member.${index + 1}.Key`, text(tag.Key) ?? text(tag.key) ?? '')
    form.set(`Tags.member.${index + 1}.Value`, text(tag.Value) ?? text(tag.value) ?? '')
  })
  const request = stsRequest(form, settings, deps)
  await deps.sign(
    { ...request, body: new TextEncoder().encode(request.body) },
    { credentials, region: settings.region, service: 'sts' },
  )
  return askSts('AssumeRole', request, deps)
}

async function assumeByWebIdentity(
  settings: AwsSettings & { role: string },
  token: string,
  deps: CredentialDeps,
): Promise<AwsCredentials> {
  const form = stsForm('AssumeRoleWithWebIdentity', settings, deps)
  form.set('WebIdentityToken', token)
  return askSts('AssumeRoleWithWebIdentity', stsRequest(form, settings, deps), deps)
}

const stsForm = (
  action: string,
  { role, sessionName }: AwsSettings & { role: string },
  { env }: CredentialDeps,
): URLSearchParams =>
  new URLSearchParams({
    Action: action,
    Version: '2011-06-15',
    RoleArn: role,
    RoleSessionName: sessionName ?? env('AWS_ROLE_SESSION_NAME') ?? 'throughway',
  })

function stsRequest(
  form: URLSearchParams,
  { region, stsEndpoint }: AwsSettings,
  deps: CredentialDeps,
): AuthFetch & { body: string } {
  const base = (
    stsEndpoint ??
    endpoint('STS', deps) ??
    `https://sts.${safeRegion(region)}.${domainOf(region)}`
  ).replace(/\/+$/, '')
  return {
    method: 'POST',
    url: `${base}/`,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: form.toString(),
    timeoutMs: stsTimeoutMs,
  }
}

async function askSts(
  action: string,
  request: AuthFetch,
  deps: CredentialDeps,
): Promise<AwsCredentials> {
  const who = `AWS STS ${action}`
  const { status, body } = await ask(request, who, deps)
  const said = (tag: string): string | undefined => element(body, tag)
  if (status !== 200)
    throw failure(who, status, [said('Code'), said('Message')].filter(Boolean).join(': '))
  return complete(who, {
    accessKeyId: said('AccessKeyId'),
    secretAccessKey: said('SecretAccessKey'),
    sessionToken: said('SessionToken'),
    expires: timeOf(said('Expiration'), deps),
  })
}

/** The text of one element: STS answers with flat XML whose values hold no tags. */
function element(xml: string, tag: string): string | undefined {
  const from = xml.indexOf(`<${tag}>`)
  const to = from === -1 ? -1 : xml.indexOf(`</${tag}>`, from)
  if (to === -1) return undefined
  return xml
    .slice(from + tag.length + 2, to)
    .trim()
    .replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name] ?? '')
}
const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }

/** A token itself, or where it is: a path, LiteLLM's `oidc/env/NAME` and `oidc/file/PATH`, or an environment name. */
async function readToken(said: string, deps: CredentialDeps): Promise<string> {
  if (said.startsWith('oidc/env/')) {
    const name = said.slice('oidc/env/'.length)
    return (
      deps.env(name) ??
      refuse(`aws_web_identity_token names the environment variable ${name}, which is not set`)
    )
  }
  if (said.startsWith('oidc/file/')) return readTokenFile(said.slice('oidc/file/'.length), deps)
  if (said.startsWith('oidc/'))
    throw refused('aws_web_identity_token: write a token, a path, oidc/env/NAME or oidc/file/PATH')
  if (said.startsWith('/')) return readTokenFile(said, deps)
  return (/^[A-Z_][A-Z0-9_]*$/.test(said) ? deps.env(said) : undefined) ?? said
}

async function readTokenFile(path: string, { readFile }: CredentialDeps): Promise<string> {
  if (!readFile) throw refused('a web identity token in a file needs a runtime with files')
  try {
    return (await readFile(path)).trim()
  } catch (cause) {
    throw refused(`the web identity token file ${path} cannot be read`, cause)
  }
}

/** Services of the platform */

async function fromContainer(deps: CredentialDeps): Promise<AwsCredentials | undefined> {
  const { env } = deps
  const relative = env('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
  const url = relative
    ? `http://169.254.170.2${relative}`
    : env('AWS_CONTAINER_CREDENTIALS_FULL_URI')
  if (!url) return undefined
  if (!isContainerService(url))
    throw refused(
      'AWS_CONTAINER_CREDENTIALS_FULL_URI must be an https address or one of this machine: a token would leave it unencrypted',
    )
  const file = env('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE')
  const token = file ? await readTokenFile(file, deps) : env('AWS_CONTAINER_AUTHORIZATION_TOKEN')
  const who = 'the container credential service'
  const answer = await ask(
    {
      method: 'GET',
      url,
      headers: token ? { authorization: token } : {},
      timeoutMs: metadataTimeoutMs,
    },
    who,
    deps,
  )
  if (answer.status !== 200) throw failure(who, answer.status, '')
  return fromDocument(who, answer.body, deps)
}

/** Over plain HTTP only to this machine and to the addresses of ECS and EKS, as AWS's SDKs have it. */
function isContainerService(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return (
    protocol === 'https:' ||
    (protocol === 'http:' &&
      (/^127\.\d+\.\d+\.\d+$/.test(hostname) ||
        ['localhost', '[::1]', '169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'].includes(
          hostname,
        )))
  )
}

/** EC2's metadata service, version 2 only: a token first, so that a forged request from inside gets nothing. */
async function fromMachine(deps: CredentialDeps): Promise<AwsCredentials | undefined> {
  const { env } = deps
  if (isMetadataOff(env)) return undefined
  const base = (
    env('AWS_EC2_METADATA_SERVICE_ENDPOINT') ??
    (env('AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE')?.toLowerCase() === 'ipv6'
      ? 'http://[fd00:ec2::254]'
      : 'http://169.254.169.254')
  ).replace(/\/+$/, '')
  const timeoutMs = metadataTimeoutMs
  // Nobody answers: this is no EC2 machine, or it gives nothing to us.
  const token = await deps
    .fetch({
      method: 'PUT',
      url: `${base}/latest/api/token`,
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' },
      timeoutMs,
    })
    .catch(() => undefined)
  if (token?.status !== 200 || !isPlain(token.body)) return undefined
  const headers = { 'x-aws-ec2-metadata-token': token.body }
  const path = `${base}/latest/meta-data/iam/security-credentials/`
  const who = 'the EC2 metadata service'
  const roles = await ask({ method: 'GET', url: path, headers, timeoutMs }, who, deps)
  const role = roles.body.split('\n')[0]?.trim()
  if (roles.status !== 200 || !role)
    throw refused('this EC2 machine has no role: attach an instance profile, or give keys')
  const answer = await ask(
    { method: 'GET', url: path + encodeURIComponent(role), headers, timeoutMs },
    who,
    deps,
  )
  if (answer.status !== 200) throw failure(who, answer.status, '')
  return fromDocument(who, answer.body, deps)
}

export const isMetadataOff = (env: AuthDeps['env']): boolean =>
  env('AWS_EC2_METADATA_DISABLED')?.toLowerCase() === 'true'

function fromDocument(who: string, body: string, deps: CredentialDeps): AwsCredentials {
  const said = parse(body)
  const code = text(said.Code)
  if (code !== undefined && code !== 'Success') throw failure(who, 200, code)
  return complete(who, {
    accessKeyId: text(said.AccessKeyId),
    secretAccessKey: text(said.SecretAccessKey),
    sessionToken: text(said.Token),
    expires: timeOf(text(said.Expiration), deps),
  })
}

/** What all of them share */

async function ask(request: AuthFetch, who: string, { fetch }: CredentialDeps) {
  try {
    const { status, body } = await fetch(request)
    return { status, body: body.slice(0, 65_536) }
  } catch (cause) {
    throw new GatewayError('unavailable', `${who} could not be reached for AWS credentials`, {
      cause,
    })
  }
}

function failure(who: string, status: number, said: string): GatewayError {
  const kind = status === 429 || status >= 500 ? 'unavailable' : 'authentication'
  const words = said === '' ? `HTTP ${status}` : said.slice(0, 500)
  return new GatewayError(kind, `${who} gave no AWS credentials: ${words}`)
}

function complete(
  who: string,
  said: { [K in keyof Required<AwsCredentials>]: AwsCredentials[K] | undefined },
): AwsCredentials {
  const { accessKeyId, secretAccessKey, sessionToken, expires } = said
  if (!accessKeyId || !secretAccessKey) throw refused(`${who} answered without AWS credentials`)
  return checked({
    accessKeyId,
    secretAccessKey,
    ...(sessionToken && { sessionToken }),
    ...(expires !== undefined && { expires }),
  })
}

/** They go into headers. */
export function checked(keys: AwsCredentials): AwsCredentials {
  for (const value of [keys.accessKeyId, keys.secretAccessKey, keys.sessionToken])
    if (value !== undefined && !isPlain(value))
      throw refused(
        'an AWS key or token holds a space, a line end or another character that none has',
      )
  return keys
}
const isPlain = (value: string): boolean => value.length < 16_384 && /^[\x21-\x7e]+$/.test(value)

/** A time nobody can read is taken for a short one. */
function timeOf(said: string | undefined, { now }: CredentialDeps): number | undefined {
  if (said === undefined) return undefined
  const time = Date.parse(said)
  return Number.isNaN(time) ? now() + 900_000 : time
}

function parse(json: string | undefined): JsonObject {
  try {
    return object(JSON.parse(json ?? ''))
  } catch {
    return {}
  }
}

const endpoint = (service: string, { env }: CredentialDeps): string | undefined =>
  (env(`AWS_ENDPOINT_URL_${service}`) ?? env('AWS_ENDPOINT_URL'))?.replace(/\/+$/, '') || undefined

export const domainOf = (region: string): string =>
  region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'

/** A region becomes part of a host name. */
function safeRegion(region: string): string {
  if (!/^[a-z0-9-]{1,40}$/.test(region)) throw refused(`${region} is no AWS region`)
  return region
}

const refused = (message: string, cause?: unknown): GatewayError =>
  new GatewayError('authentication', message, { cause })
function refuse(message: string): never {
  throw refused(message)
}
const missing = (): never => refuse(nothingFound)
export const nothingFound =
  'no AWS credentials: set aws_access_key_id and aws_secret_access_key, aws_profile_name or aws_role_name in litellm_params; or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK in the environment; or run on a machine that has a role'

const stsTimeoutMs = 10_000
/** The service is on this machine or nowhere. */
const metadataTimeoutMs = 1000
