import { type JsonObject, number, object, text } from '../../json/json.ts'
import { sha1Hex } from './aws-hash.ts'
import {
  type AwsCredentials,
  ask,
  type CredentialDeps,
  complete,
  domainOf,
  endpoint,
  failure,
  parse,
  refused,
  safeRegion,
} from './aws-keys.ts'
import { homeOf, type Settings, type SharedFiles } from './aws-profile.ts'

/** What `aws sso login` left behind buys credentials; when it can no longer be renewed somebody has to log in again. */
export async function fromSso(
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
  const token = await tokenOf(file, region, deps)
  if (token === undefined)
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
      timeoutMs: 10_000,
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

/** The token in the file; a new one shortly before its end, which goes into the file for AWS's own tools too. */
async function tokenOf(
  file: string,
  region: string,
  deps: CredentialDeps,
): Promise<string | undefined> {
  const cached = parse(await deps.readFile?.(file).catch(() => ''))
  const token = text(cached.accessToken)
  const left = timeSaid(cached.expiresAt) - deps.now()
  if (token !== undefined && left > renewMs) return token
  const fresh = await renewed(cached, region, deps)
  if (fresh === undefined) return left > 0 ? token : undefined
  // A file that may not be written is no reason to fail: the token serves all the same.
  await deps.writeFile?.(file, JSON.stringify(fresh, null, 2)).catch(() => {})
  return text(fresh.accessToken)
}

/** https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html; undefined where it cannot be renewed. */
async function renewed(
  cached: JsonObject,
  region: string,
  deps: CredentialDeps,
): Promise<JsonObject | undefined> {
  const [clientId, clientSecret, refreshToken] = [
    text(cached.clientId),
    text(cached.clientSecret),
    text(cached.refreshToken),
  ]
  if (!clientId || !clientSecret || !refreshToken) return undefined
  if (!(timeSaid(cached.registrationExpiresAt) > deps.now())) return undefined
  const base =
    endpoint('SSO_OIDC', deps) ?? `https://oidc.${safeRegion(region)}.${domainOf(region)}`
  const askedAt = deps.now()
  const { status, body } = await ask(
    {
      method: 'POST',
      url: `${base}/token`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ clientId, clientSecret, refreshToken, grantType: 'refresh_token' }),
      timeoutMs: 10_000,
    },
    'AWS SSO',
    deps,
  )
  const said = parse(body)
  const accessToken = text(said.accessToken)
  if (status !== 200 || accessToken === undefined) return undefined
  const expires = new Date(askedAt + (number(said.expiresIn) ?? 0) * 1000)
  return {
    ...cached,
    accessToken,
    expiresAt: expires.toISOString().replace(/\.\d+Z$/, 'Z'),
    refreshToken: text(said.refreshToken) ?? refreshToken,
  }
}

/** AWS's older tools wrote `UTC` for `Z`. */
const timeSaid = (said: unknown): number => Date.parse(text(said)?.replace(/UTC$/, 'Z') ?? '')
const renewMs = 5 * 60_000
