import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import type { AuthDeps, AuthRow } from './auth.ts'
import { askJson, hostOf, parsed } from './exchange.ts'
import { exchanged, type Planner } from './plan.ts'
import { settingsOf } from './settings.ts'

/**
 * SAP AI Core: client credentials out of a service key (https://help.sap.com/docs/sap-ai-core). Each value is
 * taken from the first place that has it: the row, the service key, AICORE_… in the environment, VCAP_SERVICES.
 */
export const sap: Planner = (_settings, row, deps) => {
  const found = sapService(row, deps)
  const missing = (['client_id', 'client_secret', 'auth_url'] as const).filter(
    (name) => !found[name],
  )
  if (missing.length > 0)
    return {
      type: 'wrong',
      message: `SAP AI Core: ${missing.join(', ')} is not known. Set AICORE_SERVICE_KEY to the service key (JSON), or AICORE_CLIENT_ID, AICORE_CLIENT_SECRET and AICORE_AUTH_URL; keys with a certificate instead of a secret are not offered`,
    }
  const { client_id = '', client_secret = '', auth_url = '' } = found
  const url = ended(auth_url, '/oauth/token')
  if (hostOf(url) === undefined)
    return { type: 'wrong', message: 'SAP AI Core: auth_url is not an http or https URL' }
  const question = {
    who: 'SAP AI Core',
    url,
    form: { grant_type: 'client_credentials', client_id, client_secret },
    secrets: [client_secret],
  }
  const group = found.resource_group ?? 'default'
  const { base_url } = found
  return {
    type: 'token',
    fetch: exchanged(question, deps),
    key: [url, client_id, client_secret],
    secrets: [client_secret],
    headers: { 'ai-resource-group': group },
    place: {
      name: 'sap_deployment',
      async find(token) {
        if (base_url === undefined || hostOf(base_url) === undefined)
          throw new GatewayError(
            'authentication',
            'SAP AI Core: no address. Set api_base in litellm_params to the URL of the orchestration deployment, or AICORE_BASE_URL, or a service key that has serviceurls.AI_API_URL',
          )
        const value = await newestDeployment({ base: ended(base_url, '/v2'), group, token }, deps)
        return { value, expiresAt: deps.now() + deploymentMs }
      },
    },
  }
}

/** Chat of every model goes through the orchestration service, which is a deployment of the resource group. */
async function newestDeployment(
  { base, group, token }: { base: string; group: string; token: string },
  deps: AuthDeps,
): Promise<string> {
  const said = await askJson(
    {
      who: 'SAP AI Core',
      url: `${base}/lm/deployments?scenarioId=orchestration&status=RUNNING`,
      headers: { authorization: `Bearer ${token}`, 'ai-resource-group': group },
      secrets: [token],
    },
    deps,
  )
  const [newest] = list(said.resources)
    .map(object)
    .filter(({ scenarioId, status }) => scenarioId === 'orchestration' && status !== 'STOPPED')
    .sort((a, b) => ((text(a.createdAt) ?? '') < (text(b.createdAt) ?? '') ? 1 : -1))
  const url = text(newest?.deploymentUrl)
  if (url === undefined || hostOf(url) === undefined)
    throw new GatewayError(
      'authentication',
      `SAP AI Core: no orchestration deployment is running in the resource group ${group}: create one, or set api_base in litellm_params to its URL`,
    )
  return url.replace(/\/{1,10}$/, '')
}

/** A deployment that was replaced is found within this time. */
const deploymentMs = 10 * 60_000

type Named = 'client_id' | 'client_secret' | 'auth_url' | 'base_url' | 'resource_group'

function sapService(row: AuthRow, deps: Pick<AuthDeps, 'env'>): Partial<Record<Named, string>> {
  const settings = settingsOf(row, deps)
  const key = serviceKey(
    row.params.service_key ?? row.params.api_key ?? deps.env('AICORE_SERVICE_KEY'),
  )
  const bound = object(
    object(list(object(parsed(deps.env('VCAP_SERVICES') ?? '')).aicore)[0]).credentials,
  )
  const out: Partial<Record<Named, string>> = {}
  for (const name of Object.keys(places) as Named[]) {
    const value =
      settings.own(name) ??
      places[name](key) ??
      settings.env(`AICORE_${name.toUpperCase()}`) ??
      places[name](bound)
    if (value) out[name] = value
  }
  return out
}

/** As SAP hands it out, or wrapped as `kubectl` and the cockpit show it. */
function serviceKey(said: unknown): JsonObject {
  const value = typeof said === 'string' ? parsed(said) : said
  const key = object(value)
  return isObject(key.credentials) ? key.credentials : key
}

/** Where a service key has what. */
const places: Record<Named, (key: JsonObject) => string | undefined> = {
  client_id: (key) => text(key.clientid),
  client_secret: (key) => text(key.clientsecret),
  auth_url: (key) => text(key.url),
  base_url: (key) => text(object(key.serviceurls).AI_API_URL),
  resource_group: (key) => text(key.resource_group),
}

const ended = (url: string, end: string): string => {
  const bare = url.replace(/\/{1,10}$/, '')
  return bare.endsWith(end) ? bare : bare + end
}
