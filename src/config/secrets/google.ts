import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { ask, parsed, refusal, type Told } from '../../provider/auth/exchange.ts'
import { createGoogleScheme } from '../../provider/auth/google.ts'
import { fromBase64 } from '../../provider/auth/jwt.ts'
import type { SecretDeps, SecretReader, SecretWriter } from './secrets.ts'
import { signed, unnameable } from './signed.ts'

/** Google Secret Manager, the latest version: https://cloud.google.com/secret-manager/docs/reference/rest. */
export function createGoogleReader(_settings: JsonObject, deps: SecretDeps): SecretReader {
  const ask = openGoogle(deps)
  return async (name) => {
    if (!isName(name)) return undefined
    const { told, refused } = await ask('GET', `/${name}/versions/latest:access`)
    if (told.status === 404) return undefined
    if (told.status !== 200) throw refused
    const data = text(object(object(parsed(told.body)).payload).data)
    const bytes = data === undefined ? undefined : fromBase64(data)
    return bytes && utf8(bytes)
  }
}

/** A new version, of a new secret where there is none. */
export function createGoogleWriter(_settings: JsonObject, deps: SecretDeps): SecretWriter {
  const ask = openGoogle(deps)
  return async (name, value) => {
    if (!isName(name)) throw unnameable('Google Secret Manager', name, 'letters, digits, - and _')
    const data = btoa(latin1(toUtf8(value)))
    const add = () => ask('POST', `/${name}:addVersion`, { payload: { data } }, [value, data])
    let { told, refused } = await add()
    if (told.status === 404) {
      const made = await ask('POST', `?secretId=${name}`, { replication: { automatic: {} } })
      if (made.told.status !== 200) throw made.refused
      ;({ told, refused } = await add())
    }
    if (told.status !== 200) throw refused
  }
}

const isName = (name: string): boolean => /^[\w-]{1,255}$/.test(name)

function openGoogle(deps: SecretDeps) {
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
  return async (
    method: 'GET' | 'POST',
    path: string,
    json?: JsonObject,
    hidden: readonly string[] = [],
  ): Promise<{ told: Told; refused: GatewayError }> => {
    const url = `${base}/v1/projects/${project}/secrets${path}`
    const body = json ? JSON.stringify(json) : ''
    const { secrets, ...proof } = await signed(method, url, authorize, {}, body)
    const question = {
      who: 'Google Secret Manager',
      url,
      ...(json && { json }),
      ...proof,
      secrets: [...secrets, ...hidden],
    }
    const told = await ask(question, deps)
    return { told, refused: refusal(question, told) }
  }
}
