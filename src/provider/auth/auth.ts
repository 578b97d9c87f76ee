import type { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'

/**
 * Credentials that are more than a header: signatures over the request, tokens that have to be fetched and renewed.
 * A scheme is made once per process and keeps its tokens; a deployment asks it for its own way to sign.
 */
export interface AuthScheme {
  /**
   * How requests of one deployment are signed. `params` are the row's litellm_params (`aws_region_name`,
   * `vertex_credentials`, `azure_ad_token`, `client_id`…), `env` the process's environment. A `problem` is found without
   * asking anyone: a missing setting, named.
   */
  open(row: AuthRow): {
    authorize: Authorize
    secrets: readonly string[]
    problem?: GatewayError
    locate?: Locate
    /** The place it fills, by its first name. */
    fills?: string
  }
}

/**
 * Fills the places of an address that neither the row nor the environment fills, since only the credential knows them: a
 * project, a deployment. Other addresses stay as they are. Waits only when it has to ask.
 */
export type Locate = (url: string) => string | Promise<string>

export type AuthRow = {
  provider: string
  model: string
  params: JsonObject
  /** Is the base URL the row's own? */
  hasBase: boolean
  /** Parameters whose `os.environ/NAME` is not set: parameter → NAME. What they stood for is never taken from elsewhere. */
  unset?: Readonly<Record<string, string>>
}

/** Adds what proves who we are to `request.headers` (and only there). Waits only when a token is not at hand. */
export type Authorize = (request: AuthRequest) => void | Promise<void>
export type AuthRequest = {
  method: string
  url: string
  headers: Record<string, string>
  body: Uint8Array
  /** Another service of the provider's, and its region, for signatures that name them. */
  service?: string
  region?: string
}

/** What schemes need from the runtime, as values: tests and edge runtimes give their own. */
export type AuthDeps = {
  env: (name: string) => string | undefined
  now: () => number
  /**
   * Token endpoints and metadata services; never follows redirects, gives up after `timeoutMs`. `challenge`: the answer's
   * `www-authenticate`.
   */
  fetch: (request: AuthFetch) => Promise<{ status: number; body: string; challenge?: string }>
  /** Files named by settings (service accounts, token files); absent where there is no disk. */
  readFile?: (path: string) => Promise<string>
  /** Puts a text in place of a file, whole or not at all; absent where there is no disk. */
  writeFile?: (path: string, content: string) => Promise<void>
  /** A private key in PEM without the passphrase it was encrypted with; throws where that is wrong. Absent where nothing can. */
  decryptKey?: (pem: string, passphrase: string) => string
  /** AWS's own chain of credentials, of a profile or of none; undefined where its package is not installed. */
  awsChain?: (profile?: string) => Promise<AwsChainKeys | undefined>
}
export type AwsChainKeys = {
  accessKeyId: string | undefined
  secretAccessKey: string | undefined
  sessionToken: string | undefined
  /** Milliseconds since 1970; undefined for keys that last. */
  expires: number | undefined
}
export type AuthFetch = {
  method: 'GET' | 'POST' | 'PUT'
  url: string
  headers: Record<string, string>
  body?: string
  timeoutMs: number
}
