import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { ask, hostOf, parsed, refusal } from '../../provider/auth/exchange.ts'
import { fromBase64 } from '../../provider/auth/jwt.ts'
import type { SecretDeps, SecretReader } from './secrets.ts'
import { signed } from './signed.ts'

/** AWS Secrets Manager: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html. */
export function createAwsReader(settings: JsonObject, deps: SecretDeps): SecretReader {
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
  return async (name) => {
    const json = { SecretId: name }
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'secretsmanager.GetSecretValue',
    }
    const question = {
      who: 'AWS Secrets Manager',
      url,
      json,
      ...(await signed('POST', url, authorize, headers, JSON.stringify(json))),
    }
    const told = await ask(question, deps)
    const said = object(parsed(told.body))
    if (told.status === 400 && /(^|#)ResourceNotFoundException$/.test(text(said.__type) ?? ''))
      return undefined
    if (told.status !== 200) throw refusal(question, told)
    const binary = text(said.SecretBinary)
    const bytes = binary === undefined ? undefined : fromBase64(binary)
    return text(said.SecretString) ?? (bytes && utf8(bytes))
  }
}
