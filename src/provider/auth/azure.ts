import type { AuthDeps, Authorize, AuthRow, AuthScheme } from './auth.ts'
import { type AzureIdentity, azureIdentity, azureParameters } from './azure-identity.ts'
import { isHeaderValue } from './exchange.ts'
import type { Planner } from './plan.ts'
import { refused, type Settings, secretsOf, settingsOf } from './settings.ts'
import { createTokenCache, type TokenCache } from './token.ts'

export type AzureSchemeOptions = {
  /** litellm_settings.enable_azure_ad_token_refresh: the machine's own identity, where nothing else is set. */
  ambient?: boolean
}

/**
 * `azure`: Azure OpenAI. A key goes as `api-key`, an Entra ID token as a bearer. What the row says comes before what the
 * environment says, and a key before an identity.
 */
export function createAzureScheme(deps: AuthDeps, options: AzureSchemeOptions = {}): AuthScheme {
  const cache = createTokenCache<string>(deps)
  return {
    open: (row) =>
      open(row, {
        keys: ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'],
        header: () => 'api-key',
        identity: createIdentity(row, cache, deps, options),
        deps,
      }),
  }
}

/** `azure-ai`: Azure AI Foundry. Hosts of Azure take the key as `api-key`, servers of others as a bearer. */
export function createAzureAiScheme(deps: AuthDeps, options: AzureSchemeOptions = {}): AuthScheme {
  const cache = createTokenCache<string>(deps)
  return {
    open: (row) =>
      open(row, {
        keys: ['AZURE_AI_API_KEY', 'AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'],
        // Document Intelligence knows the key by its older name only (learn.microsoft.com, 2026-11).
        header: (url) =>
          !isAzureHost(url)
            ? 'authorization'
            : /\/documentintelligence\//.test(url)
              ? 'ocp-apim-subscription-key'
              : 'api-key',
        identity: createIdentity(row, cache, deps, options),
        deps,
      }),
  }
}

/** `azure-foundry`: a Foundry project. A key of the row goes as `api-key`; tokens are for another audience than models'. */
export const azureFoundry: Planner = (settings, _row, deps) => {
  const own = settings.own('api_key')
  if (own) return { type: 'headers', headers: { 'api-key': own }, secrets: [own] }
  const token = settings.env('BING_GROUNDING_TOKEN')
  const identity: AzureIdentity = token
    ? { type: 'token', token }
    : azureIdentity(settings, { scope: foundryScope, ambient: false }, deps)
  switch (identity.type) {
    case 'none':
      return { type: 'wrong', message: nothing(['BING_GROUNDING_TOKEN']) }
    case 'wrong':
      return { type: 'wrong', message: identity.problem.message }
    case 'token': {
      const authorization = `Bearer ${identity.token}`
      return { type: 'headers', headers: { authorization }, secrets: [identity.token] }
    }
    case 'fetched':
      return {
        type: 'token',
        fetch: identity.fetch,
        key: [identity.key],
        secrets: identity.secrets,
      }
  }
}
const foundryScope = 'https://ai.azure.com/.default'

/** A bearer token of Entra ID for another service of Azure, such as Key Vault. */
export function azureBearer(deps: AuthDeps, scope: string): ReturnType<AuthScheme['open']> {
  const cache = createTokenCache<string>(deps)
  const row = { provider: 'azure', model: '', params: {}, hasBase: false }
  const identity = azureIdentity(settingsOf(row, deps), { scope, ambient: true }, deps)
  return opened(identity, cache) ?? refused(nothing(['AZURE_CLIENT_SECRET']))
}

type Opening = {
  keys: readonly string[]
  header: (url: string) => 'api-key' | 'ocp-apim-subscription-key' | 'authorization'
  identity: () => ReturnType<AuthScheme['open']> | undefined
  deps: AuthDeps
}

function open(
  row: AuthRow,
  { keys, header, identity, deps }: Opening,
): ReturnType<AuthScheme['open']> {
  const settings = settingsOf(row, deps)
  const problem = settings.unset('api_key')
  if (problem) return refused(problem)
  const own = settings.own('api_key')
  if (own) return keyed(own, header)
  const key = settings.env(...keys)
  if (key && !hasIdentity(row, settings)) return keyed(key, header)
  return identity() ?? refused(nothing(keys))
}

/** A row that names an identity means it: no key of the environment takes its place. */
const hasIdentity = ({ unset = {} }: AuthRow, settings: Settings): boolean =>
  azureParameters.some(
    (name) => name !== 'tenant_id' && (settings.own(name) !== undefined || name in unset),
  )

function keyed(key: string, header: Opening['header']): ReturnType<AuthScheme['open']> {
  if (!isHeaderValue(key)) return refused(unsendable)
  return {
    secrets: secretsOf(key),
    authorize({ url, headers }) {
      const name = header(url)
      headers[name] = name === 'authorization' ? `Bearer ${key}` : key
    },
  }
}

const createIdentity =
  (row: AuthRow, cache: TokenCache<string>, deps: AuthDeps, options: AzureSchemeOptions) => () => {
    const settings = settingsOf(row, deps)
    const scope = settings.own('azure_scope') ?? settings.env('AZURE_SCOPE') ?? defaultScope
    return opened(
      azureIdentity(settings, { scope, ambient: options.ambient ?? false }, deps),
      cache,
    )
  }

function opened(
  identity: AzureIdentity,
  cache: TokenCache<string>,
): ReturnType<AuthScheme['open']> | undefined {
  switch (identity.type) {
    case 'none':
      return undefined
    case 'wrong':
      return refused(identity.problem)
    case 'token':
      if (!isHeaderValue(identity.token)) return refused(unsendable)
      return { secrets: secretsOf(identity.token), authorize: bearer(() => identity.token) }
    case 'fetched':
      return {
        secrets: secretsOf(...identity.secrets),
        authorize: bearer(() => cache.get(identity.key, identity.fetch)),
      }
  }
}

const bearer =
  (token: () => string | Promise<string>): Authorize =>
  ({ headers }) => {
    const sign = (value: string): void => {
      headers['authorization'] = `Bearer ${value}`
    }
    const held = token()
    return typeof held === 'string' ? sign(held) : held.then(sign)
  }

function isAzureHost(url: string): boolean {
  const host = URL.canParse(url) ? new URL(url).hostname : ''
  return azureHosts.some((name) => host.endsWith(name))
}

const nothing = (keys: readonly string[]): string =>
  `Azure: no credentials. Set api_key in litellm_params or ${keys.join(' or ')} in the environment, or an identity: tenant_id, client_id and client_secret (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET), AZURE_FEDERATED_TOKEN_FILE, or AZURE_CREDENTIAL=ManagedIdentityCredential`

const unsendable =
  'Azure: the key or token has characters no header may have: is it the content of a file, or several lines?'
const azureHosts = [
  '.services.ai.azure.com',
  '.openai.azure.com',
  '.cognitiveservices.azure.com',
  '.services.ai.azure.us',
  '.openai.azure.us',
  '.cognitiveservices.azure.us',
] as const
const defaultScope = 'https://cognitiveservices.azure.com/.default'
