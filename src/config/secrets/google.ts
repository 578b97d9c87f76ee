import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { ask, parsed, refusal } from '../../provider/auth/exchange.ts'
import { createGoogleScheme } from '../../provider/auth/google.ts'
import { fromBase64 } from '../../provider/auth/jwt.ts'
import type { SecretDeps, SecretReader } from './secrets.ts'
import { signed } from './signed.ts'

/** Google Secret Manager, the latest version: https://cloud.google.com/secret-manager/docs/reference/rest. */
export function createGoogleReader(_settings: JsonObject, deps: SecretDeps): SecretReader {
  const project = deps.env('GOOGLE_SECRET_MANAGER_PROJECT_ID')
  if (!project || !/^[\w.:-]+$/.test(project))
    throw new GatewayError(
      'authentication',
      'Google Secret Manager: set GOOGLE_SECRET_MANAGER_PROJECT_ID to the id of its project',
    )
  const row = { provider: 'vertex_ai', model: '', params: {}, hasBase: false }
  const { authorize, problem } = createGoogleScheme(deps).open(row)
  if (problem) throw problem
  // The variable is gcloud's own.
  const base = (
    deps.env('CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER') ||
    'https://secretmanager.googleapis.com'
  ).replace(/\/{1,10}$/, '')
  return async (name) => {
    if (!/^[\w-]{1,255}$/.test(name)) return undefined
    const url = `${base}/v1/projects/${project}/secrets/${name}/versions/latest:access`
    const question = { who: 'Google Secret Manager', url, ...(await signed('GET', url, authorize)) }
    const told = await ask(question, deps)
    if (told.status === 404) return undefined
    if (told.status !== 200) throw refusal(question, told)
    const data = text(object(object(parsed(told.body)).payload).data)
    const bytes = data === undefined ? undefined : fromBase64(data)
    return bytes && utf8(bytes)
  }
}
