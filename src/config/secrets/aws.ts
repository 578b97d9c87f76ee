import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { ask, hostOf, parsed, refusal } from '../../provider/auth/exchange.ts'
import { fromBase64 } from '../../provider/auth/jwt.ts'
import type { SecretDeps, SecretReader, SecretWriter } from './secrets.ts'
import { signed } from './signed.ts'

/** AWS Secrets Manager: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html. */
export function createAwsReader(settings: JsonObject, deps: SecretDeps): SecretReader {
  const ask = openAws(settings, deps)
  return async (name) => {
    const { status, said, refused } = await ask('GetSecretValue', { SecretId: name })
    if (isMissing(status, said)) return undefined
    if (status !== 200) throw refused
    const binary = text(said.SecretBinary)
    const bytes = binary === undefined ? undefined : fromBase64(binary)
    return text(said.SecretString) ?? (bytes && utf8(bytes))
  }
}

/** A new version, or a new secret. */
export function createAwsWriter(settings: JsonObject, deps: SecretDeps): SecretWriter {
  const ask = openAws(settings, deps)
  return async (name, value) => {
    // Whoever is no SDK has to tell a repeated request from a new one itself.
    const version = { SecretString: value, ClientRequestToken: crypto.randomUUID() }
    const put = await ask('PutSecretValue', { SecretId: name, ...version }, value)
    if (put.status === 200) return
    if (!isMissing(put.status, put.said)) throw put.refused
    const made = await ask('CreateSecret', { Name: name, ...version }, value)
    if (made.status !== 200) throw made.refused
  }
}

const isMissing = (status: number, said: JsonObject): boolean =>
  status === 400 && /(^|#)ResourceNotFoundException$/.test(text(said.__type) ?? '')

type Asked = { status: number; said: JsonObject; refused: GatewayError }

function openAws(
  settings: JsonObject,
  deps: SecretDeps,
): (action: string, json: JsonObject, secret?: string) => Promise<Asked> {
  const { env, authorize } = deps
  if (!authorize)
    throw new GatewayError(
      'authentication',
      'AWS Secrets Manager: there is nothing to sign requests with',
    )
  const region =
    text(settings.aws_region_name) ||
    env('AWS_REGION_NAME') ||
    env('AWS_REGION') ||
    env('AWS_DEFAULT_REGION')
  const own = env('AWS_ENDPOINT_URL_SECRETS_MANAGER') || env('AWS_ENDPOINT_URL')
  if (!own && (!region || !/^[a-z0-9-]+$/.test(region)))
    throw new GatewayError(
      'authentication',
      'AWS Secrets Manager: set key_management_settings.aws_region_name or AWS_REGION to its region',
    )
  const end = region?.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  const url = `${(own ?? `https://secretsmanager.${region}.${end}`).replace(/\/{1,10}$/, '')}/`
  if (hostOf(url) === undefined)
    throw new GatewayError(
      'authentication',
      'AWS Secrets Manager: AWS_ENDPOINT_URL_SECRETS_MANAGER is not an http or https URL',
    )
  return async (action, json, secret) => {
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `secretsmanager.${action}`,
    }
    const { secrets, ...proof } = await signed(
      'POST',
      url,
      authorize,
      headers,
      JSON.stringify(json),
    )
    const question = {
      who: 'AWS Secrets Manager',
      url,
      json,
      ...proof,
      secrets: secret === undefined ? secrets : [...secrets, secret],
    }
    const told = await ask(question, deps)
    return {
      status: told.status,
      said: object(parsed(told.body)),
      refused: refusal(question, told),
    }
  }
}
