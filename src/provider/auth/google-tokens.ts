import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import type { AuthDeps } from './auth.ts'
import { ask, askJson, parsed, readToken, refusal } from './exchange.ts'
import type { GoogleCredentials } from './google-credentials.ts'
import { base64, readRsaKey, signJwt } from './jwt.ts'
import { readNamed } from './settings.ts'
import type { Fetched } from './token.ts'

export type GoogleToken = { token: string; quotaProject: string | undefined }
type Plain = { token: string; expiresAt: number }
type Grant = (content: JsonObject, how: Granting) => Promise<Plain>
type Granting = { from: string; scope: string; deps: AuthDeps; depth: number }

/** A token for credentials of any kind, or for the machine's own account where there are none. */
export async function fetchGoogleToken(
  found: GoogleCredentials,
  scope: string,
  deps: AuthDeps,
): Promise<Fetched<GoogleToken>> {
  const { token, expiresAt } = found
    ? await grant(found.content, { from: found.from, scope, deps, depth: 0 })
    : await ofMachine(scope, deps)
  const project = text(found?.content.quota_project_id)
  const quotaProject = project && /^[\w.:-]+$/.test(project) ? project : undefined
  return { value: { token, quotaProject }, expiresAt }
}

function grant(content: JsonObject, how: Granting): Promise<Plain> {
  const type = text(content.type) ?? 'service_account'
  const known = Object.hasOwn(grants, type) ? grants[type] : undefined
  if (!known)
    throw wrong(
      how,
      `is of type ${JSON.stringify(type.slice(0, 40))}: give one of ${Object.keys(grants).join(', ')}`,
    )
  return known(content, how)
}

/** `type` of a credentials file → how a token is had for it. */
const grants: Readonly<Record<string, Grant>> = {
  service_account: serviceAccount,
  authorized_user: authorizedUser,
  external_account: externalAccount,
  external_account_authorized_user: externalUser,
  impersonated_service_account: impersonated,
}

/** https://developers.google.com/identity/protocols/oauth2/service-account#httprest */
async function serviceAccount(content: JsonObject, how: Granting): Promise<Plain> {
  const email = needed(content, 'client_email', how)
  const key = await readRsaKey(needed(content, 'private_key', how), `private_key of ${how.from}`)
  const url = text(content.token_uri) ?? tokenUri
  const askedAt = how.deps.now()
  const issued = Math.floor(askedAt / 1000)
  const keyId = text(content.private_key_id)
  const claims = { iss: email, scope: how.scope, aud: url, iat: issued, exp: issued + 3600 }
  const assertion = await signJwt(key, claims, keyId === undefined ? {} : { kid: keyId })
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
  return readToken(await askJson({ who, url, form }, how.deps), { who, url }, askedAt)
}

async function authorizedUser(content: JsonObject, how: Granting): Promise<Plain> {
  const url = text(content.token_uri) ?? tokenUri
  const form = {
    grant_type: 'refresh_token',
    client_id: needed(content, 'client_id', how),
    client_secret: needed(content, 'client_secret', how),
    refresh_token: needed(content, 'refresh_token', how),
  }
  const askedAt = how.deps.now()
  const secrets = [form.client_secret, form.refresh_token]
  return readToken(await askJson({ who, url, form, secrets }, how.deps), { who, url }, askedAt)
}

/** Workforce users: the same grant, the client in a Basic login. */
async function externalUser(content: JsonObject, how: Granting): Promise<Plain> {
  const url = needed(content, 'token_url', how)
  const form = { grant_type: 'refresh_token', refresh_token: needed(content, 'refresh_token', how) }
  const askedAt = how.deps.now()
  const secrets = [form.refresh_token, text(content.client_secret) ?? '']
  const said = await askJson({ who, url, form, headers: clientLogin(content), secrets }, how.deps)
  return readToken(said, { who, url }, askedAt)
}

/** https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token */
async function externalAccount(content: JsonObject, how: Granting): Promise<Plain> {
  const url = needed(content, 'token_url', how)
  const impersonation = text(content.service_account_impersonation_url)
  const workforce = text(content.workforce_pool_user_project)
  const subject = await subjectToken(content, how)
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience: needed(content, 'audience', how),
    scope: impersonation === undefined ? how.scope : cloudPlatform,
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    subject_token_type: needed(content, 'subject_token_type', how),
    subject_token: subject,
    ...(workforce !== undefined && { options: JSON.stringify({ userProject: workforce }) }),
  }
  const askedAt = how.deps.now()
  const secrets = [subject, text(content.client_secret) ?? '']
  const said = await askJson({ who, url, form, headers: clientLogin(content), secrets }, how.deps)
  const own = readToken(said, { who, url }, askedAt)
  return impersonation === undefined ? own : impersonate(own.token, impersonation, content, how)
}

/** What the other identity provider says of us: from a file, a URL, or AWS. */
async function subjectToken(content: JsonObject, how: Granting): Promise<string> {
  const source = object(content.credential_source)
  if (source.executable !== undefined)
    throw wrong(
      how,
      'asks to run a program (credential_source.executable), which is not done here: use file or url',
    )
  if (source.certificate !== undefined)
    throw wrong(
      how,
      'asks for a client certificate (credential_source.certificate), which is not offered: use file or url',
    )
  if (source.environment_id !== undefined) return ofAws(content, how)
  const file = text(source.file)
  const url = text(source.url)
  const said =
    file !== undefined
      ? await readNamed(file, `credential_source.file of ${how.from}`, how.deps)
      : url !== undefined
        ? await askSubject(url, object(source.headers), how)
        : undefined
  if (said === undefined) throw wrong(how, 'has no credential_source.file or credential_source.url')
  const format = object(source.format)
  const token =
    format.type === 'json'
      ? text(object(parsed(said))[text(format.subject_token_field_name) ?? ''])
      : said.trim()
  if (!token) throw wrong(how, 'leads to an empty subject token')
  return token
}

/** Loaded by those who need it: AWS's signatures are large. */
async function ofAws(content: JsonObject, how: Granting): Promise<string> {
  if (text(object(content.credential_source).environment_id) !== 'aws1')
    throw wrong(how, 'names a source that is not known (credential_source.environment_id): aws1 is')
  const { awsSubjectToken } = await import('./google-aws.ts')
  return awsSubjectToken(content, how.deps)
}

async function askSubject(url: string, headers: JsonObject, how: Granting): Promise<string> {
  const sent = Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name.toLowerCase(), value]] : [],
    ),
  )
  const question = { who, url, headers: sent, secrets: Object.values(sent) }
  const told = await ask(question, how.deps)
  if (told.status !== 200) throw refusal(question, told)
  return told.body
}

async function impersonated(content: JsonObject, how: Granting): Promise<Plain> {
  const source = content.source_credentials
  if (!isObject(source)) throw wrong(how, 'has no source_credentials')
  if (how.depth >= depthMax) throw wrong(how, `is nested more than ${depthMax} deep`)
  const url = needed(content, 'service_account_impersonation_url', how)
  const { token } = await grant(source, { ...how, scope: cloudPlatform, depth: how.depth + 1 })
  return impersonate(token, url, content, how)
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
async function impersonate(
  token: string,
  url: string,
  content: JsonObject,
  { scope, deps }: Granting,
): Promise<Plain> {
  const life = object(content.service_account_impersonation).token_lifetime_seconds
  const json = {
    scope: scope.split(' '),
    lifetime: `${typeof life === 'number' && life > 0 ? Math.floor(life) : 3600}s`,
    delegates: list(content.delegates).filter((one) => typeof one === 'string'),
  }
  const askedAt = deps.now()
  const headers = { authorization: `Bearer ${token}` }
  const question = { who, url, json, headers, secrets: [token] }
  return readToken(await askJson(question, deps), question, askedAt)
}

/** https://cloud.google.com/compute/docs/access/authenticate-workloads#applications */
async function ofMachine(scope: string, deps: AuthDeps): Promise<Plain> {
  const url = `${metadataBase(deps.env)}/instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`
  const askedAt = deps.now()
  const question = { who, url, headers: metadataHeaders, timeoutMs: metadataMs }
  try {
    return readToken(await askJson(question, deps), question, askedAt)
  } catch (cause) {
    const { message } = GatewayError.from(cause)
    throw new GatewayError(
      'authentication',
      `Google: no credentials. Set vertex_credentials in litellm_params or GOOGLE_APPLICATION_CREDENTIALS in the environment (${message})`,
      { cause },
    )
  }
}

/** Google's libraries read GCE_METADATA_HOST too. */
export const metadataBase = (env: AuthDeps['env']): string =>
  `http://${env('GCE_METADATA_HOST') || env('GCE_METADATA_ROOT') || 'metadata.google.internal'}/computeMetadata/v1`
export const metadataHeaders = { 'metadata-flavor': 'Google' }
/** It is next door or not there at all. */
export const metadataMs = 3000

function clientLogin(content: JsonObject): Record<string, string> {
  const [id, secret] = [text(content.client_id), text(content.client_secret)]
  if (id === undefined || secret === undefined) return {}
  return { authorization: `Basic ${base64(toUtf8(`${id}:${secret}`))}` }
}

function needed(content: JsonObject, field: string, how: Granting): string {
  const value = text(content[field])
  if (value) return value
  throw wrong(how, `has no ${field}`)
}

const wrong = ({ from }: Granting, why: string): GatewayError =>
  new GatewayError('authentication', `Google: what ${from} holds ${why}`)

export const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'
const tokenUri = 'https://oauth2.googleapis.com/token'
const who = 'Google'
const depthMax = 3
