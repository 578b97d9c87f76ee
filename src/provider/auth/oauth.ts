import { toUtf8 } from '../../json/latin1.ts'
import { hostOf } from './exchange.ts'
import { base64 } from './jwt.ts'
import { asBearer, exchanged, type Plan, type Planner } from './plan.ts'

/**
 * Databricks: a personal token, or a service principal (https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m). A row's own key comes first, then the principal, as in LiteLLM.
 */
export const databricks: Planner = (settings, _row, deps) => {
  const own = settings.own('api_key')
  if (own) return asBearer(own)
  const id = settings.own('client_id') ?? settings.env('DATABRICKS_CLIENT_ID')
  const secret = settings.own('client_secret') ?? settings.env('DATABRICKS_CLIENT_SECRET')
  if (!id || !secret) {
    const key = settings.env('DATABRICKS_API_KEY', 'DATABRICKS_TOKEN')
    if (key) return asBearer(key)
    return wrong(
      'Databricks: no credentials. Set api_key in litellm_params, DATABRICKS_API_KEY, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET',
    )
  }
  const said =
    settings.own('api_base', 'base_url') ?? settings.env('DATABRICKS_API_BASE', 'DATABRICKS_HOST')
  if (!said)
    return wrong(
      'Databricks: set api_base or DATABRICKS_API_BASE, so that it is known whom to ask for a token',
    )
  const workspace = said.includes('://') ? said : `https://${said}`
  if (hostOf(workspace) === undefined)
    return wrong('Databricks: the address of the workspace (api_base) is not an http or https URL')
  const login = base64(toUtf8(`${id}:${secret}`))
  const question = {
    who: 'Databricks',
    url: new URL('/oidc/v1/token', workspace).href,
    form: { grant_type: 'client_credentials', scope: 'all-apis' },
    headers: { authorization: `Basic ${login}` },
    secrets: [secret, login],
  }
  return {
    type: 'token',
    fetch: exchanged(question, deps),
    key: [question.url, id, secret],
    secrets: [secret, login],
  }
}

/** GigaChat: https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-token. The key is a login in base64 already. */
export const gigachat: Planner = (settings, _row, deps) => {
  const ready = settings.own('gigachat_access_token') ?? settings.env('GIGACHAT_ACCESS_TOKEN')
  const own = settings.own('api_key', 'gigachat_credentials')
  if (!own && ready) return asBearer(ready)
  const login = (own ?? settings.env('GIGACHAT_CREDENTIALS', 'GIGACHAT_API_KEY'))?.replace(
    /^Basic /i,
    '',
  )
  if (!login)
    return wrong(
      'GigaChat: no credentials. Set api_key in litellm_params or GIGACHAT_CREDENTIALS (the authorization key)',
    )
  const url =
    settings.own('gigachat_auth_url') ??
    settings.env('GIGACHAT_AUTH_URL') ??
    'https://ngw.devices.sberbank.ru:9443/api/v2/oauth'
  const scope =
    settings.own('gigachat_scope') ?? settings.env('GIGACHAT_SCOPE') ?? 'GIGACHAT_API_PERS'
  return {
    type: 'token',
    fetch: () => {
      const headers = { authorization: `Basic ${login}`, rquid: crypto.randomUUID() }
      const question = { who: 'GigaChat', url, form: { scope }, headers, secrets: [login] }
      return exchanged(question, deps)()
    },
    key: [url, scope, login],
    secrets: [login],
  }
}

/** IBM watsonx: a token as it is, a Zen key of an installation of one's own, or an API key for IBM Cloud's IAM (https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey). */
export const watsonx: Planner = (settings, _row, deps) => {
  const token = settings.own('token', 'watsonx_token')
  if (token) return asBearer(token.replace(/^Bearer /i, ''))
  const zen = settings.own('zen_api_key')
  if (zen) return zenKey(zen)
  const own = settings.own('api_key', 'apikey')
  if (!own) {
    const ready = settings.env('WATSONX_TOKEN')
    if (ready) return asBearer(ready.replace(/^Bearer /i, ''))
    const zenOfEnv = settings.env('WATSONX_ZENAPIKEY')
    if (zenOfEnv) return zenKey(zenOfEnv)
  }
  const apikey = own ?? settings.env(...watsonxKeys)
  if (!apikey)
    return wrong(
      'watsonx: no credentials. Set api_key in litellm_params, WATSONX_APIKEY (IBM Cloud), or WATSONX_ZENAPIKEY (an installation of your own)',
    )
  const question = {
    who: 'watsonx',
    url: settings.env('WATSONX_IAM_URL') ?? 'https://iam.cloud.ibm.com/identity/token',
    form: { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey },
    secrets: [apikey],
  }
  return {
    type: 'token',
    fetch: exchanged(question, deps),
    key: [question.url, apikey],
    secrets: [apikey],
  }
}

const zenKey = (key: string): Plan => ({
  type: 'headers',
  headers: { authorization: `ZenApiKey ${key}` },
  secrets: [key],
})

const wrong = (message: string): Plan => ({ type: 'wrong', message })

const watsonxKeys = [
  'WATSONX_APIKEY',
  'WATSONX_API_KEY',
  'WX_API_KEY',
  'IBM_CLOUD_API_KEY',
] as const
