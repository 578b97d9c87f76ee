import { text } from '../../json/json.ts'
import type { AuthFetch } from './auth.ts'
import {
  type AwsCredentials,
  type AwsSettings,
  ask,
  type CredentialDeps,
  complete,
  domainOf,
  endpoint,
  failure,
  refused,
  safeRegion,
  timeOf,
} from './aws-keys.ts'
import { isOidc, readOidc } from './oidc.ts'

/** AWS's Security Token Service: credentials of a role for those of somebody else. */
export async function assumeRole(
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

/** The same for a token that somebody else has signed; it needs no credentials. */
export async function assumeByWebIdentity(
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

/** A token itself, or where it is: a path, LiteLLM's `oidc/…`, or an environment name. */
export async function readToken(said: string, deps: CredentialDeps): Promise<string> {
  if (isOidc(said)) return readOidc(said, 'aws_web_identity_token', deps)
  if (said.startsWith('/')) return readTokenFile(said, deps)
  return (/^[A-Z_][A-Z0-9_]*$/.test(said) ? deps.env(said) : undefined) ?? said
}

export async function readTokenFile(path: string, { readFile }: CredentialDeps): Promise<string> {
  if (!readFile) throw refused('a web identity token in a file needs a runtime with files')
  try {
    return (await readFile(path)).trim()
  } catch (cause) {
    throw refused(`the web identity token file ${path} cannot be read`, cause)
  }
}

const stsTimeoutMs = 10_000
