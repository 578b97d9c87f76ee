import { GatewayError } from '../../errors.ts'
import { object, text } from '../../json/json.ts'
import type { AuthDeps } from './auth.ts'
import { ask, parsed, refusal } from './exchange.ts'
import { metadataBase, metadataHeaders, metadataMs } from './google-tokens.ts'
import { readNamed } from './settings.ts'

/**
 * The token that LiteLLM's `oidc/<source>/<what>` stands for: who else vouches for us, to be exchanged for a token of
 * AWS's or Azure's. `setting` is where it was written, for errors.
 */
export async function readOidc(said: string, setting: string, deps: AuthDeps): Promise<string> {
  const [, source = '', what = ''] = /^oidc\/([^/]*)\/?(.*)$/s.exec(said) ?? []
  const read = Object.hasOwn(sources, source) ? sources[source] : undefined
  if (!read) throw wrong(setting, `oidc/${source.slice(0, 40)}/… is not known: use one of ${known}`)
  const token = (await read(what, setting, deps)).trim()
  if (token === '') throw wrong(setting, `oidc/${source}/… leads to an empty token`)
  return token
}

export const isOidc = (said: string): boolean => said.startsWith('oidc/')

type Read = (what: string, setting: string, deps: AuthDeps) => string | Promise<string>

const sources: Readonly<Record<string, Read>> = {
  env: (name, setting, deps) => variable(name, setting, deps),
  file: (path, setting, deps) => readNamed(path, setting, deps),
  env_path: (name, setting, deps) => readNamed(variable(name, setting, deps), name, deps),
  circleci: (_, setting, deps) => variable('CIRCLE_OIDC_TOKEN', setting, deps),
  circleci_v2: (_, setting, deps) => variable('CIRCLE_OIDC_TOKEN_V2', setting, deps),
  azure: (_, setting, deps) =>
    readNamed(
      variable('AZURE_FEDERATED_TOKEN_FILE', setting, deps),
      'AZURE_FEDERATED_TOKEN_FILE',
      deps,
    ),
  google: ofGoogle,
  github: ofGithub,
}
const known = Object.keys(sources)
  .map((name) => `oidc/${name}/`)
  .join(', ')

function variable(name: string, setting: string, { env }: AuthDeps): string {
  const value = env(name)
  if (value) return value
  throw wrong(setting, `the environment variable ${name.slice(0, 100)} is not set`)
}

/** https://cloud.google.com/compute/docs/instances/verifying-instance-identity#request_signature */
async function ofGoogle(audience: string, setting: string, deps: AuthDeps): Promise<string> {
  if (audience === '') throw wrong(setting, 'oidc/google/ needs an audience behind it')
  const query = new URLSearchParams({ audience, format: 'full' })
  const question = {
    who: `Google, for ${setting}`,
    url: `${metadataBase(deps.env)}/instance/service-accounts/default/identity?${query}`,
    headers: metadataHeaders,
    timeoutMs: metadataMs,
  }
  const told = await ask(question, deps)
  if (told.status !== 200) throw refusal(question, told)
  return told.body
}

/** https://docs.github.com/actions/reference/security/oidc */
async function ofGithub(audience: string, setting: string, deps: AuthDeps): Promise<string> {
  const place = variable('ACTIONS_ID_TOKEN_REQUEST_URL', setting, deps)
  const token = variable('ACTIONS_ID_TOKEN_REQUEST_TOKEN', setting, deps)
  if (!URL.canParse(place)) throw wrong(setting, 'ACTIONS_ID_TOKEN_REQUEST_URL is no URL')
  const url = new URL(place)
  if (audience !== '') url.searchParams.set('audience', audience)
  const question = {
    who: `GitHub, for ${setting}`,
    url: url.href,
    headers: { authorization: `Bearer ${token}` },
    secrets: [token],
  }
  const told = await ask(question, deps)
  if (told.status !== 200) throw refusal(question, told)
  return text(object(parsed(told.body) ?? {}).value) ?? ''
}

const wrong = (setting: string, why: string): GatewayError =>
  new GatewayError('authentication', `${setting}: ${why}`)
