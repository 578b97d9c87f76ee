import { isObject, text } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Auth } from '../provider/spec.ts'

/** One credential of one provider, and the models that need it. */
export type Credential = { provider: string; ok: boolean; state: string; models: string[] }

type Env = Readonly<Record<string, string | undefined>>

/** Never holds a value: only where it is, or where it was looked for. */
export function credentialsOf(deployments: readonly Deployment[], env: Env): Credential[] {
  const found = new Map<string, Credential>()
  for (const deployment of deployments) {
    const { provider, group, row } = deployment
    const { ok, state } = stateOf(deployment, env)
    // Two keys of one provider are two credentials, even where both stand in the file.
    const name = JSON.stringify([provider, ok, state, text(row.params['api_key'])])
    const known = found.get(name)
    if (known === undefined)
      found.set(name, { provider: provider || 'unknown', ok, state, models: [group] })
    else if (!known.models.includes(group)) known.models.push(group)
  }
  return [...found.values()]
}

function stateOf(
  { problem, spec, row, mock, headers }: Deployment,
  env: Env,
): { ok: boolean; state: string } {
  if (mock !== undefined) return { ok: true, state: 'needs no key, it answers inside the process' }
  const unset = row.unset['api_key']
  if (unset !== undefined) return { ok: false, state: `${unset} not set` }
  const { auth } = spec
  const key = text(row.params['api_key'])
  const names = namesOf(auth)
  if (problem !== undefined)
    return {
      ok: false,
      state:
        problem.kind === 'authentication' && key === undefined && names.length > 0
          ? `${names.join(' or ')} not set`
          : problem.message,
    }
  if (key !== undefined) {
    const holder = [...names, ...Object.keys(env)].find((name) => env[name] === key)
    return { ok: true, state: holder === undefined ? 'key set in the config' : `${holder} set` }
  }
  const name = names.find((each) => env[each])
  if (name !== undefined) return { ok: true, state: `${name} set` }
  if ('scheme' in auth) return { ok: true, state: `credentials set (${auth.scheme})` }
  return {
    ok: true,
    state: 'authorization' in headers ? 'key set in its headers' : 'no key, and none is needed',
  }
}

function namesOf(auth: Auth): readonly string[] {
  if ('bearer' in auth) return auth.bearer
  return 'env' in auth && !isObject(auth.env) ? (auth.env ?? []) : []
}
