import { GatewayError } from '../../errors.ts'
import type { AuthDeps } from './auth.ts'
import { ask, askJson, hostOf, type Question, readToken } from './exchange.ts'
import { base64Url, derOf, readRsaKey, signJwt } from './jwt.ts'
import { isOidc, readOidc } from './oidc.ts'
import { readNamed, type Settings } from './settings.ts'
import type { Fetched } from './token.ts'

/** One way to prove to Entra ID (Azure AD) who we are; `key` holds all it depends on. */
export type AzureIdentity =
  | { type: 'token'; token: string }
  | {
      type: 'fetched'
      key: string
      secrets: readonly string[]
      fetch: () => Promise<Fetched<string>>
    }
  | { type: 'wrong'; problem: GatewayError }
  /** Nothing is set that could be used. */
  | { type: 'none' }

export type AzureOptions = {
  scope: string
  /** May the machine's identity be asked for though nothing in the environment speaks of it? (`enable_azure_ad_token_refresh`) */
  ambient: boolean
}

type Asked = { settings: Settings; scope: string; ambient: boolean; deps: AuthDeps }

/** The first that is set up: a token as it is, a secret, a certificate, a password, a federated token, the machine's identity. */
export function azureIdentity(
  settings: Settings,
  { scope, ambient }: AzureOptions,
  deps: AuthDeps,
): AzureIdentity {
  const problem = settings.unset(...azureParameters)
  if (problem) return { type: 'wrong', problem }
  const asked = { settings, scope, ambient, deps }
  for (const way of ways) {
    const found = way(asked)
    if (found) return found
  }
  return { type: 'none' }
}

/** Parameters of a row that make up an identity. */
export const azureParameters = [
  'azure_ad_token',
  'tenant_id',
  'client_id',
  'client_secret',
  'azure_username',
  'azure_password',
] as const

const ways: readonly ((asked: Asked) => AzureIdentity | undefined)[] = [
  (asked) => adToken(asked, asked.settings.own('azure_ad_token')),
  clientSecret,
  certificate,
  password,
  (asked) => adToken(asked, asked.settings.env('AZURE_AD_TOKEN')),
  federated,
  appService,
  machine,
]

function adToken(asked: Asked, token: string | undefined): AzureIdentity | undefined {
  if (token === undefined) return undefined
  return isOidc(token)
    ? vouched(asked, token)
    : { type: 'token', token: token.replace(/^Bearer /i, '') }
}

/** LiteLLM's `azure_ad_token: oidc/…`: somebody else's token, exchanged for one of Azure's. */
function vouched(asked: Asked, said: string): AzureIdentity {
  const { tenant, client } = idsOf(asked)
  if (!tenant || !client)
    return wrong(
      'azure_ad_token of the form oidc/… is exchanged for a token of an application: set tenant_id and client_id (AZURE_TENANT_ID, AZURE_CLIENT_ID)',
    )
  return exchange(asked, tenant, ['oidc', client, said], [], async () => ({
    grant_type: 'client_credentials',
    client_id: client,
    client_assertion_type: assertionType,
    client_assertion: await readOidc(said, 'azure_ad_token', asked.deps),
  }))
}

function clientSecret(asked: Asked): AzureIdentity | undefined {
  const { tenant, client, settings } = idsOf(asked)
  const secret = settings.own('client_secret') ?? settings.env('AZURE_CLIENT_SECRET')
  if (!tenant || !client || !secret) return undefined
  const form = { grant_type: 'client_credentials', client_id: client, client_secret: secret }
  return exchange(asked, tenant, ['secret', client, secret], [secret], async () => form)
}

/** A PEM file or text with the certificate and its private key, which a password may protect. */
function certificate(asked: Asked): AzureIdentity | undefined {
  const { tenant, client, settings } = idsOf(asked)
  const said = settings.env(...certificates)
  if (!tenant || !client || !said) return undefined
  const from = certificates.find((name) => settings.env(name) === said) ?? ''
  const word = settings.env(...passwords) ?? ''
  const secrets = word === '' ? [] : [word]
  return exchange(asked, tenant, ['certificate', client, said, word], secrets, async (url) => {
    const read = said.includes('-----BEGIN') ? said : await readNamed(said, from, asked.deps)
    const pem = unlocked(read.replaceAll('\\n', '\n'), word, from, asked.deps)
    return {
      grant_type: 'client_credentials',
      client_id: client,
      client_assertion_type: assertionType,
      client_assertion: await assertion(pem, from, client, url, asked.deps),
    }
  })
}

/** The certificate, and its key as it is without the password. */
function unlocked(pem: string, password: string, from: string, { decryptKey }: AuthDeps): string {
  if (!pem.includes('ENCRYPTED')) return pem
  if (password === '' || !decryptKey)
    throw new GatewayError(
      'authentication',
      `${from} is encrypted: ${decryptKey ? 'set AZURE_CERTIFICATE_PASSWORD, or ' : ''}give it without a passphrase (openssl pkcs8 -topk8 -nocrypt)`,
    )
  const key = encryptedKey.exec(pem)?.[0] ?? pem
  try {
    return pem.replace(encryptedKey, '') + decryptKey(key, password)
  } catch (cause) {
    throw new GatewayError(
      'authentication',
      `the private key of ${from} does not open with AZURE_CERTIFICATE_PASSWORD`,
      { cause },
    )
  }
}
const encryptedKey =
  /-----BEGIN (?:ENCRYPTED|RSA) PRIVATE KEY-----[^-]*(?:-[^-]+)*-----END (?:ENCRYPTED|RSA) PRIVATE KEY-----/

/** https://learn.microsoft.com/entra/identity-platform/certificate-credentials: `x5t` is how Entra finds the certificate. */
async function assertion(
  pem: string,
  from: string,
  client: string,
  audience: string,
  { now }: AuthDeps,
): Promise<string> {
  const der = derOf(pem, 'CERTIFICATE')
  if (!der)
    throw new GatewayError(
      'authentication',
      `${from} holds no PEM certificate: put the certificate and its private key into one PEM file (openssl pkcs12 -in x.pfx -out x.pem -nodes)`,
    )
  const key = await readRsaKey(pem, from)
  const print = async (hash: string) =>
    base64Url(new Uint8Array(await crypto.subtle.digest(hash, der)))
  const header = { x5t: await print('SHA-1'), 'x5t#S256': await print('SHA-256') }
  const issued = Math.floor(now() / 1000)
  const claims = { nbf: issued - 60, iat: issued, exp: issued + 600, jti: crypto.randomUUID() }
  return signJwt(key, { ...claims, aud: audience, iss: client, sub: client }, header)
}

function password(asked: Asked): AzureIdentity | undefined {
  const { tenant = 'organizations', client, settings } = idsOf(asked)
  const username = settings.own('azure_username') ?? settings.env('AZURE_USERNAME')
  const word = settings.own('azure_password') ?? settings.env('AZURE_PASSWORD')
  if (!client || !username || !word) return undefined
  const form = { grant_type: 'password', client_id: client, username, password: word }
  return exchange(asked, tenant, ['password', client, username, word], [word], async () => form)
}

/** Workload identity: the cluster renews the file, so it is read for each exchange. */
function federated(asked: Asked): AzureIdentity | undefined {
  const { tenant, client, settings } = idsOf(asked)
  const path = settings.env('AZURE_FEDERATED_TOKEN_FILE')
  if (!tenant || !client || !path) return undefined
  return exchange(asked, tenant, ['federated', client, path], [], async () => ({
    grant_type: 'client_credentials',
    client_id: client,
    client_assertion_type: assertionType,
    client_assertion: (await readNamed(path, 'AZURE_FEDERATED_TOKEN_FILE', asked.deps)).trim(),
  }))
}

/** https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference; Container Apps too. */
function appService(asked: Asked): AzureIdentity | undefined {
  const { client, settings } = idsOf(asked)
  const endpoint = settings.env('IDENTITY_ENDPOINT')
  const header = settings.env('IDENTITY_HEADER')
  if (!endpoint) return undefined
  if (settings.env('IMDS_ENDPOINT') && !header) return arc(asked, endpoint, client)
  if (settings.env('IDENTITY_SERVER_THUMBPRINT'))
    return wrong(
      'the managed identity of Service Fabric is not offered: use a client secret or a certificate',
    )
  if (!header) return wrong('IDENTITY_ENDPOINT is set and IDENTITY_HEADER is not: set both or none')
  return managed(asked, endpoint, '2019-08-01', client, { 'x-identity-header': header })
}

/**
 * A server of one's own that Azure Arc manages: the first question is answered with the name of a file, and who can read
 * it may ask (https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication).
 */
function arc(asked: Asked, endpoint: string, client: string | undefined): AzureIdentity {
  if (client) return wrong('a server of Azure Arc has one identity, its own: unset AZURE_CLIENT_ID')
  const { deps } = asked
  return managed(
    asked,
    endpoint,
    '2020-06-01',
    undefined,
    { metadata: 'true' },
    imdsMs,
    async (question) => {
      const told = await ask(question, deps)
      if (told.status !== 401) return {}
      const file = /^Basic realm=(.{1,200})$/.exec(told.challenge ?? '')?.[1] ?? ''
      // Whoever answers there must not have us read and send any other file.
      if (!arcKey.test(file))
        throw new GatewayError(
          'authentication',
          'Azure: Azure Arc asks for a file outside of the folder for its keys, which is not read',
        )
      const key = (await readNamed(file, 'the key of Azure Arc', deps)).trim()
      if (key.length > 4096 || !/^[\x21-\x7e]+$/.test(key))
        throw new GatewayError('authentication', `Azure: ${file} holds no key of Azure Arc`)
      return { authorization: `Basic ${key}` }
    },
  )
}
const arcKey =
  /^(?:\/var\/opt\/azcmagent\/tokens\/|C:\\ProgramData\\AzureConnectedMachineAgent\\Tokens\\)[\w-]{1,100}\.key$/i

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
function machine(asked: Asked): AzureIdentity | undefined {
  const { client, settings } = idsOf(asked)
  const host = settings.env('AZURE_POD_IDENTITY_AUTHORITY_HOST')
  const named = /^(ManagedIdentity|Default|DeploymentIdentity)/i.test(
    settings.env('AZURE_CREDENTIAL') ?? '',
  )
  if (!host && !named && !asked.ambient) return undefined
  const base = (host ?? 'http://169.254.169.254').replace(/\/$/, '')
  const url = `${base}/metadata/identity/oauth2/token`
  return managed(asked, url, '2018-02-01', client, { metadata: 'true' }, imdsMs)
}

function managed(
  { scope, deps }: Asked,
  endpoint: string,
  version: string,
  client: string | undefined,
  headers: Record<string, string>,
  timeoutMs?: number,
  /** More headers, asked for each time. */
  prove?: (question: Question) => Promise<Record<string, string>>,
): AzureIdentity {
  if (hostOf(endpoint) === undefined)
    return wrong('the endpoint of the managed identity is not an http or https URL')
  const url = new URL(endpoint)
  url.searchParams.set('api-version', version)
  url.searchParams.set('resource', scope.replace(/\/\.default$/, ''))
  if (client) url.searchParams.set('client_id', client)
  const secrets = Object.values(headers).filter((value) => value !== 'true')
  const question = {
    who: 'Azure managed identity',
    url: url.href,
    headers,
    secrets,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
  return {
    type: 'fetched',
    key: JSON.stringify(['managed', url.href, headers]),
    secrets,
    async fetch() {
      const proof = prove ? await prove(question) : {}
      const asked = {
        ...question,
        headers: { ...headers, ...proof },
        secrets: [...secrets, ...Object.values(proof)],
      }
      const askedAt = deps.now()
      const { token, expiresAt } = readToken(await askJson(asked, deps), asked, askedAt)
      return { value: token, expiresAt }
    },
  }
}

/** Entra's token endpoint: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
function exchange(
  { settings, scope, deps }: Asked,
  tenant: string,
  key: readonly string[],
  secrets: readonly string[],
  form: (url: string) => Promise<Record<string, string>>,
): AzureIdentity {
  if (!/^[\w.-]+$/.test(tenant))
    return wrong('tenant_id (AZURE_TENANT_ID) is neither a tenant id nor a domain name')
  const authority = authorityOf(settings)
  if (hostOf(authority) === undefined)
    return wrong('AZURE_AUTHORITY_HOST is not a host or an https URL')
  const url = `${authority}/${tenant}/oauth2/v2.0/token`
  return {
    type: 'fetched',
    key: JSON.stringify([...key, url, scope]),
    secrets,
    async fetch() {
      const question = { who: 'Azure', url, form: { ...(await form(url)), scope }, secrets }
      const askedAt = deps.now()
      const { token, expiresAt } = readToken(await askJson(question, deps), question, askedAt)
      return { value: token, expiresAt }
    },
  }
}

/** Sovereign clouds name theirs, with or without `https://`. */
function authorityOf(settings: Settings): string {
  const said = settings.env('AZURE_AUTHORITY_HOST') ?? 'https://login.microsoftonline.com'
  return (said.includes('://') ? said : `https://${said}`).replace(/\/{1,10}$/, '')
}

const idsOf = ({ settings }: Asked) => ({
  settings,
  tenant: settings.own('tenant_id') ?? settings.env('AZURE_TENANT_ID'),
  client: settings.own('client_id') ?? settings.env('AZURE_CLIENT_ID'),
})

const wrong = (message: string): AzureIdentity => ({
  type: 'wrong',
  problem: new GatewayError('authentication', `Azure: ${message}`),
})

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const certificates = [
  'AZURE_CERTIFICATE',
  'AZURE_CERTIFICATE_PATH',
  'AZURE_CLIENT_CERTIFICATE_PATH',
] as const
/** Azure's libraries know the second name. */
const passwords = ['AZURE_CERTIFICATE_PASSWORD', 'AZURE_CLIENT_CERTIFICATE_PASSWORD'] as const
const imdsMs = 5000
