import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Asked, depsOf, startEndpoint, type Told } from '../../../test/token-endpoint.ts'
import type { Authorize } from '../../provider/auth/auth.ts'
import { createSecretReader, createSecretWriter } from './secrets.ts'

/** Each manager as far as one secret is written and read: its own words, and its own way of making a new one. */
const awsSigner: Authorize = ({ headers, body }) => {
  headers['authorization'] = `AWS4 over ${body.length}`
}
type Env = Record<string, string>
const missing: Told = { status: 404, json: { error: { status: 'NOT_FOUND' } } }

const managers: {
  system: string
  name: string
  env: (url: string) => Env
  tell(asked: Asked, kept: Map<string, string>): Told | undefined
}[] = [
  {
    system: 'hashicorp_vault',
    name: 'litellm/a.key',
    env: (url) => ({ HCP_VAULT_ADDR: url, HCP_VAULT_TOKEN: 'hvs.t0ken' }),
    tell({ method, path, body }, kept) {
      const name = path.replace('/v1/secret/data/', '')
      if (method === 'POST') kept.set(name, JSON.parse(body).data.key)
      const key = kept.get(name)
      return key === undefined ? missing : { json: { data: { data: { key } } } }
    },
  },
  {
    system: 'azure_key_vault',
    name: 'litellm-a-key',
    env: (url) => ({
      AZURE_KEY_VAULT_URI: url,
      AZURE_AUTHORITY_HOST: url,
      AZURE_TENANT_ID: 't',
      AZURE_CLIENT_ID: 'c',
      AZURE_CLIENT_SECRET: 'azure-s3cret',
    }),
    tell({ method, path, body }, kept) {
      if (path.endsWith('/token')) return { json: { access_token: 'at', expires_in: 3600 } }
      const name = /^\/secrets\/([\w-]+)\?/.exec(path)?.[1] ?? ''
      if (method === 'PUT') kept.set(name, JSON.parse(body).value)
      const value = kept.get(name)
      return value === undefined ? missing : { json: { value } }
    },
  },
  {
    system: 'google_secret_manager',
    name: 'litellm-a_key',
    env: (url) => ({
      GOOGLE_SECRET_MANAGER_PROJECT_ID: 'p-1',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: url,
      GOOGLE_APPLICATION_CREDENTIALS: JSON.stringify({
        type: 'authorized_user',
        client_id: 'c',
        client_secret: 's',
        refresh_token: 'google-s3cret',
        token_uri: `${url}/token`,
      }),
    }),
    tell({ method, path, body }, kept) {
      if (path === '/token') return { json: { access_token: 'at', expires_in: 3600 } }
      const made = /^\/v1\/projects\/p-1\/secrets\?secretId=([\w-]+)$/.exec(path)?.[1]
      if (made !== undefined) {
        assert.deepEqual(JSON.parse(body), { replication: { automatic: {} } })
        kept.set(made, '')
        return { json: {} }
      }
      const name = /\/secrets\/([\w-]+)[:/]/.exec(path)?.[1] ?? ''
      if (!kept.has(name)) return missing
      if (method === 'POST') kept.set(name, JSON.parse(body).payload.data)
      return { json: { payload: { data: kept.get(name) } } }
    },
  },
  {
    system: 'aws_secret_manager',
    name: 'litellm/a_key',
    env: (url) => ({ AWS_ENDPOINT_URL_SECRETS_MANAGER: url }),
    tell({ headers, body }, kept) {
      const { SecretId, Name = SecretId, SecretString, ClientRequestToken } = JSON.parse(body)
      const action = String(headers['x-amz-target']).split('.')[1]
      if (headers['authorization'] !== `AWS4 over ${Buffer.byteLength(body)}`) return undefined
      if (action !== 'CreateSecret' && !kept.has(Name))
        return { status: 400, json: { __type: 'ResourceNotFoundException' } }
      if (SecretString !== undefined) {
        assert.match(ClientRequestToken, /^[\w-]{32,64}$/)
        kept.set(Name, SecretString)
      }
      return { json: { SecretString: kept.get(Name) } }
    },
  },
]

describe('a secret that is written', () => {
  for (const { system, name, env, tell } of managers) {
    test(`${system}: is read again, the first and the second`, async (t) => {
      const kept = new Map<string, string>()
      const { url } = await startEndpoint(
        t,
        (asked) => tell(asked, kept) ?? { status: 403, json: {} },
      )
      const deps = { ...depsOf(env(url)), authorize: awsSigner }
      const settings = { access_mode: 'read_and_write' }
      const write = createSecretWriter(system, settings, deps)
      const read = createSecretReader(system, settings, deps)
      for (const value of ['sk-first', 'sk-sécond']) {
        await write(name, value)
        assert.equal(await read(name), value)
      }
      await assert.rejects(write('../other', 'x'), /cannot be the name of a secret/)
    })

    test(`${system}: and is not told by its errors`, async (t) => {
      const { url } = await startEndpoint(t, ({ body, path }) =>
        /token$/.test(path)
          ? { json: { access_token: 'at', expires_in: 3600 } }
          : { status: 403, json: { message: `no: ${body}` } },
      )
      const deps = { ...depsOf(env(url)), authorize: awsSigner }
      const write = createSecretWriter(system, { access_mode: 'write_only' }, deps)
      const error = await write(name, 'sk-canary').catch((cause: unknown) => cause)
      assert.ok(error instanceof Error)
      const said = `${error.message} ${String(error.cause)}`
      assert.match(said, /403/)
      for (const secret of ['canary', btoa('sk-canary')]) assert.ok(!said.includes(secret), said)
    })
  }

  test('only where it may be, and can', () => {
    const deps = depsOf({ HCP_VAULT_TOKEN: 't' })
    assert.throws(() => createSecretWriter('hashicorp_vault', {}, deps), /access_mode is read_only/)
    assert.throws(() => createSecretWriter('local', {}, deps), /nothing can be written to "local"/)
  })
})
