import { GatewayError } from '../../errors.ts'
import { type JsonObject, number, object, text } from '../../json/json.ts'
import {
  ask,
  askJson,
  hostOf,
  parsed,
  type Question,
  refusal,
} from '../../provider/auth/exchange.ts'
import { createTokenCache } from '../../provider/auth/token.ts'
import type { SecretDeps, SecretReader, SecretWriter } from './secrets.ts'

/**
 * HashiCorp Vault, KV version 2: the field `key` of /v1/{namespace}/{mount}/data/{prefix}/{name}
 * (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2).
 */
export function createVaultReader(_settings: JsonObject, deps: SecretDeps): SecretReader {
  const questionFor = openVault(deps)
  return async (name) => {
    const question = await questionFor(name)
    const told = await ask(question, deps)
    if (told.status === 404) return undefined
    if (told.status !== 200) throw refusal(question, told)
    const value = text(object(object(object(parsed(told.body)).data).data).key)
    if (value === undefined) throw wrong(`the secret ${name} has no field "key" with a text`)
    return value
  }
}

/** A new version of it: its other fields are of the versions before. */
export function createVaultWriter(_settings: JsonObject, deps: SecretDeps): SecretWriter {
  const questionFor = openVault(deps)
  return async (name, value) => {
    const { secrets = [], ...question } = await questionFor(name)
    const json = { data: { key: value } }
    await askJson({ ...question, method: 'POST', json, secrets: [...secrets, value] }, deps)
  }
}

function openVault(deps: SecretDeps): (name: string) => Promise<Question> {
  const { env } = deps
  const address = (env('HCP_VAULT_ADDR') || 'http://127.0.0.1:8200').replace(/\/{1,10}$/, '')
  if (hostOf(address) === undefined) throw wrong('HCP_VAULT_ADDR is not an http or https URL')
  const namespace = part(env('HCP_VAULT_SECRET_NAMESPACE') || env('HCP_VAULT_NAMESPACE'))
  const mount = part(env('HCP_VAULT_MOUNT_NAME')) || 'secret'
  const prefix = part(env('HCP_VAULT_PATH_PREFIX'))
  const base = [address, 'v1', namespace, mount, 'data', prefix].filter(Boolean).join('/')
  const token = tokenOf(address, deps)
  return async (name) => {
    const held = await token()
    return {
      who: 'Vault',
      url: `${base}/${name.split('/').map(encodeURIComponent).join('/')}`,
      headers: { 'x-vault-token': held },
      secrets: [held],
    }
  }
}

/** An AppRole's token, renewed by logging in again; else the token that is set. */
function tokenOf(address: string, deps: SecretDeps): () => string | Promise<string> {
  const { env, now } = deps
  const role_id = env('HCP_VAULT_APPROLE_ROLE_ID')
  const secret_id = env('HCP_VAULT_APPROLE_SECRET_ID')
  if (!role_id || !secret_id) {
    const token = env('HCP_VAULT_TOKEN')
    if (token) return () => token
    throw wrong(
      'set HCP_VAULT_TOKEN, or HCP_VAULT_APPROLE_ROLE_ID and HCP_VAULT_APPROLE_SECRET_ID (logging in with a certificate is not offered)',
    )
  }
  const cache = createTokenCache<string>({ now })
  const mount = part(env('HCP_VAULT_APPROLE_MOUNT_PATH')) || 'approle'
  const namespace = part(env('HCP_VAULT_LOGIN_NAMESPACE') || env('HCP_VAULT_NAMESPACE'))
  const question: Question = {
    who: 'Vault',
    url: `${address}/v1/auth/${mount}/login`,
    json: { role_id, secret_id },
    headers: namespace ? { 'x-vault-namespace': namespace } : {},
    secrets: [role_id, secret_id],
  }
  return () =>
    cache.get('approle', async () => {
      const askedAt = now()
      const auth = object((await askJson(question, deps)).auth)
      const value = text(auth.client_token)
      if (!value) throw wrong('the AppRole login gave no token')
      // 0 is a token without an end.
      const life = number(auth.lease_duration) || foreverSeconds
      return { value, expiresAt: askedAt + life * 1000 }
    })
}

/** A part of a path, without the slashes around it. */
const part = (said: string | undefined): string => {
  const name = (said ?? '').trim().replace(/^\/{1,10}|\/{1,10}$/g, '')
  if (name !== '' && (!/^[\w.~/-]+$/.test(name) || /(^|\/)\.{1,2}(\/|$)/.test(name)))
    throw wrong(`${JSON.stringify(name.slice(0, 60))} cannot be part of a path`)
  return name
}

const wrong = (message: string): GatewayError =>
  new GatewayError('authentication', `Vault: ${message}`)

const foreverSeconds = 24 * 3600
