import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, text } from '../../json/json.ts'
import type { AuthDeps, AuthRow, AuthScheme } from './auth.ts'
import { findCredentials, keysInEnvironment, nothingFound } from './aws-credentials.ts'
import { type HashClass, WebHash } from './aws-hash.ts'
import { type AwsCredentials, type AwsSettings, checked } from './aws-keys.ts'
import { isMetadataOff } from './aws-platform.ts'
import { createSign } from './aws-sign.ts'
import { createTokenCache } from './token.ts'

/** `hash`: Node's, where there is one; Web Crypto's otherwise. */
export type AwsDeps = AuthDeps & { hash?: HashClass }

/**
 * AWS's Signature Version 4 for one service, with whatever credentials the row or its surroundings have; or a Bedrock
 * API key as a bearer token. What the row says goes before what the environment says.
 */
export function awsScheme(deps: AwsDeps, service: string): AuthScheme {
  const { env, now, hash = WebHash } = deps
  const sign = createSign({ hash, now })
  const cache = createTokenCache<AwsCredentials>({ now })

  return {
    open(row) {
      const unset = unsetProblem(row)
      if (unset) return refusing(unset)
      const bearer = bearerOf(row, service, env)
      const signed = signing(row)
      return bearer === undefined ? signed : asBearer(bearer, signed)
    },
  }

  function signing(row: AuthRow): ReturnType<AuthScheme['open']> {
    const region = regionOf(row, env)
    const settings = readSettings(row.params, region)
    if (GatewayError.is(settings)) return refusing(settings)
    const problem = findProblem(settings, deps)
    const keys = bucketKeys(row.params)
    const bucketProblem = unsetProblem(row, ['s3_access_key_id', 's3_secret_access_key'])
    const key = JSON.stringify(settings)
    const find = async () => {
      const value = await findCredentials(settings, { ...deps, sign })
      return { value, expiresAt: value.expires ?? Number.POSITIVE_INFINITY }
    }
    return {
      async authorize(request) {
        const isBucket = request.service === 's3'
        if (isBucket && bucketProblem) throw bucketProblem
        await sign(request, {
          credentials: isBucket && keys ? checked(keys) : await cache.get(key, find),
          region: regionOfHost(request.url) ?? request.region ?? region,
          service: request.service ?? service,
        })
      },
      secrets: [
        settings.keys?.secretAccessKey,
        settings.keys?.sessionToken,
        keys?.secretAccessKey,
      ].filter(isLong),
      ...(problem && { problem }),
    }
  }
}

/** A key of the bucket's own, where both of its parts are there. */
function bucketKeys(params: JsonObject): AwsCredentials | undefined {
  const accessKeyId = text(params.s3_access_key_id)
  const secretAccessKey = text(params.s3_secret_access_key)
  return accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined
}

const refusing = (problem: GatewayError): ReturnType<AuthScheme['open']> => ({
  authorize: () => Promise.reject(problem),
  secrets: [],
  problem,
})

function bearerOf({ params }: AuthRow, service: string, env: AuthDeps['env']): string | undefined {
  const key = text(params.api_key)
  if (key) return key
  if (ownCredentials.some((name) => params[name])) return undefined
  return bearers.get(service)?.map(env).find(Boolean) || undefined
}
/** Services that take a token instead of a signature. */
const bearers: ReadonlyMap<string, readonly string[]> = new Map([
  ['bedrock', ['AWS_BEARER_TOKEN_BEDROCK']],
  ['bedrock-mantle', ['BEDROCK_MANTLE_API_KEY', 'AWS_BEARER_TOKEN_BEDROCK']],
  ['bedrock-agentcore', ['AGENTCORE_GATEWAY_TOKEN']],
])
const ownCredentials = [
  'aws_access_key_id',
  'aws_profile_name',
  'aws_role_name',
  'aws_web_identity_token',
]
const besideThem = ['aws_secret_access_key', 'aws_session_token', 'api_key', 'aws_external_id']

/** Other services know nothing of Bedrock's keys: their requests are signed. */
function asBearer(
  key: string,
  signed: ReturnType<AuthScheme['open']>,
): ReturnType<AuthScheme['open']> {
  const problem = /^[\x21-\x7e]+$/.test(key)
    ? undefined
    : new GatewayError('authentication', 'the Bedrock API key holds a character that none has')
  return {
    authorize(request) {
      if (request.service !== undefined) return signed.authorize(request)
      if (problem) throw problem
      request.headers.authorization = `Bearer ${key}`
    },
    secrets: [key, ...signed.secrets].filter(isLong),
    ...(problem && { problem }),
  }
}

const isLong = (value: string | undefined): value is string => (value?.length ?? 0) >= 8

/** What a row, or a credentials file, says of AWS's credentials. */
export function readSettings(params: JsonObject, region: string): AwsSettings | GatewayError {
  const accessKeyId = text(params.aws_access_key_id)
  const secretAccessKey = text(params.aws_secret_access_key)
  if (!accessKeyId !== !secretAccessKey)
    return new GatewayError(
      'authentication',
      `aws_${accessKeyId ? 'secret_access_key' : 'access_key_id'} is missing: an AWS access key has two parts`,
    )
  const said = compact({
    profile: text(params.aws_profile_name),
    role: text(params.aws_role_name),
    sessionName: text(params.aws_session_name),
    externalId: text(params.aws_external_id),
    webIdentityToken: text(params.aws_web_identity_token),
    stsEndpoint: text(params.aws_sts_endpoint),
    sessionToken: text(params.aws_session_token),
  })
  const { sessionToken, ...others } = said
  const sessionTags = list(params.aws_session_tags).filter(isObject)
  try {
    return {
      region,
      ...others,
      ...(sessionTags.length > 0 && { sessionTags }),
      ...(accessKeyId &&
        secretAccessKey && {
          keys: checked({ accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) }),
        }),
    }
  } catch (error) {
    return GatewayError.from(error)
  }
}

/** Without what is empty. */
function compact<K extends string>(said: Record<K, string | undefined>): { [N in K]?: string } {
  const out: { [N in K]?: string } = {}
  for (const name in said) if (said[name]) out[name] = said[name]
  return out
}

/** A credential that was to come from the environment is never replaced by another one. */
function unsetProblem(
  { unset = {} }: AuthRow,
  names: readonly string[] = [...ownCredentials, ...besideThem],
): GatewayError | undefined {
  const param = names.find((name) => unset[name])
  if (param === undefined) return undefined
  return new GatewayError(
    'authentication',
    `${param} of this model is os.environ/${unset[param]}, which is not set: set ${unset[param]} and restart`,
  )
}

/** What is known to be missing before anyone is asked. */
function findProblem(
  { keys, role, webIdentityToken, profile }: AwsSettings,
  { env, readFile }: AwsDeps,
): GatewayError | undefined {
  if (webIdentityToken !== undefined && role === undefined)
    return new GatewayError(
      'authentication',
      'aws_web_identity_token needs an aws_role_name to assume',
    )
  if (keys || webIdentityToken !== undefined || profile !== undefined) return undefined
  try {
    if (keysInEnvironment(env)) return undefined
  } catch (error) {
    return GatewayError.from(error)
  }
  const somewhere = [
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  ].some(env)
  return somewhere || readFile || !isMetadataOff(env)
    ? undefined
    : new GatewayError('authentication', nothingFound)
}

function regionOf({ params, model }: AuthRow, env: AuthDeps['env']): string {
  return (
    text(params.aws_region_name) ||
    regionOfArn(text(params.model_id) ?? model) ||
    regionOfName(model) ||
    ['AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'].map(env).find(Boolean) ||
    'us-west-2'
  )
}

const regionOfArn = (model: string): string | undefined =>
  /(?:^|\/)arn:aws[a-z-]{0,20}:[a-z-]{1,40}:([a-z0-9-]{1,40}):/.exec(model)?.[1]

/** `us-gov-west-1/openai.gpt-oss-20b`. */
const regionOfName = (model: string): string | undefined =>
  /^(?:\w{1,20}\/)?((?:us-gov|us|eu|ap|ca|sa|me|af|il|mx)-[a-z]{4,9}-\d)\//.exec(model)?.[1]

/** AWS's own host names tell the region, and the signature has to name the same. */
function regionOfHost(url: string): string | undefined {
  const { hostname } = new URL(url)
  if (!/\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.test(hostname)) return undefined
  return hostname.split('.').find((label) => /^[a-z]{2,4}(?:-[a-z]{2,12}){1,2}-\d$/.test(label))
}
