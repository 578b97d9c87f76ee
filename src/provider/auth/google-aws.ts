import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import type { AuthDeps } from './auth.ts'
import { readSettings } from './aws.ts'
import { findCredentials } from './aws-credentials.ts'
import { WebHash } from './aws-hash.ts'
import { safeRegion } from './aws-keys.ts'
import { machineRegion } from './aws-platform.ts'
import { createSign } from './aws-sign.ts'

/**
 * What AWS says of us, for Google: a signed question who we are, which Google asks in our place
 * (https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds, 2026-11). The credentials file may
 * name keys, a profile or a role (`aws_role_name`…), as LiteLLM's users write it; otherwise they are the machine's.
 */
export async function awsSubjectToken(content: JsonObject, deps: AuthDeps): Promise<string> {
  const source = object(content.credential_source)
  const region = safeRegion(
    text(content.aws_region_name) ??
      deps.env('AWS_REGION') ??
      deps.env('AWS_DEFAULT_REGION') ??
      (await machineRegion(deps)) ??
      'us-east-1',
  )
  const settings = readSettings(content, region)
  if (GatewayError.is(settings)) throw settings
  const sign = createSign({ hash: WebHash, now: deps.now })
  const credentials = await findCredentials(settings, { ...deps, sign })
  const url = (text(source.regional_cred_verification_url) ?? usualUrl).replace('{region}', region)
  if (!URL.canParse(url))
    throw new GatewayError(
      'authentication',
      'Google: credential_source.regional_cred_verification_url is no URL',
    )
  const headers: Record<string, string> = {
    'x-goog-cloud-target-resource': text(content.audience) ?? '',
  }
  await sign(
    { method: 'POST', url, headers, body: new Uint8Array() },
    { credentials, region, service: 'sts' },
  )
  const told = Object.entries({ ...headers, host: new URL(url).host })
    .filter(([name]) => name !== 'x-amz-content-sha256')
    .map(([key, value]) => ({ key, value }))
  return encodeURIComponent(JSON.stringify({ url, method: 'POST', headers: told }))
}

const usualUrl = 'https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15'
