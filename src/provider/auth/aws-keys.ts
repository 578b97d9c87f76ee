import { GatewayError } from '../../errors.ts'
import { type JsonObject, object } from '../../json/json.ts'
import type { AuthDeps, AuthFetch } from './auth.ts'
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

export async function ask(request: AuthFetch, who: string, { fetch }: CredentialDeps) {
  try {
    const { status, body } = await fetch(request)
    return { status, body: body.slice(0, 65_536) }
  } catch (cause) {
    throw new GatewayError('unavailable', `${who} could not be reached for AWS credentials`, {
      cause,
    })
  }
}

export function failure(who: string, status: number, said: string): GatewayError {
  const kind = status === 429 || status >= 500 ? 'unavailable' : 'authentication'
  const words = said === '' ? `HTTP ${status}` : said.slice(0, 500)
  return new GatewayError(kind, `${who} gave no AWS credentials: ${words}`)
}

export function complete(
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
export const isPlain = (value: string): boolean =>
  value.length < 16_384 && /^[\x21-\x7e]+$/.test(value)

/** A time nobody can read is taken for a short one. */
export function timeOf(said: string | undefined, { now }: CredentialDeps): number | undefined {
  if (said === undefined) return undefined
  const time = Date.parse(said)
  return Number.isNaN(time) ? now() + 900_000 : time
}

export function parse(json: string | undefined): JsonObject {
  try {
    return object(JSON.parse(json ?? ''))
  } catch {
    return {}
  }
}

/** Where a service is, if not at its usual address. */
export const endpoint = (service: string, { env }: CredentialDeps): string | undefined =>
  (env(`AWS_ENDPOINT_URL_${service}`) ?? env('AWS_ENDPOINT_URL'))?.replace(/\/+$/, '') || undefined

export const domainOf = (region: string): string =>
  region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'

/** A region becomes part of a host name. */
export function safeRegion(region: string): string {
  if (!/^[a-z0-9-]{1,40}$/.test(region)) throw refused(`${region} is no AWS region`)
  return region
}

export const refused = (message: string, cause?: unknown): GatewayError =>
  new GatewayError('authentication', message, { cause })
export function refuse(message: string): never {
  throw refused(message)
}
