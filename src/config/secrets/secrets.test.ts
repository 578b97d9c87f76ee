import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, depsOf, startEndpoint, type Told } from '../../../test/token-endpoint.ts'
import type { JsonObject } from '../../json/json.ts'
import type { Authorize } from '../../provider/auth/auth.ts'
import { createSecretReader, resolveSecrets, type SecretDeps } from './secrets.ts'

type Env = Record<string, string>
const awsSigner: Authorize = ({ headers, body }) => {
  headers['authorization'] = `AWS4 over ${body.length}`
}

/** A manager that knows OPENAI_KEY and `all`, in its own words. */
const managers: {
  system: string
  name: string
  env: (url: string) => Env
  settings?: JsonObject
  /** Answers like the vendor's service; undefined where the question is not as it must be. */
  tell: (asked: Asked, secrets: Env) => Told | undefined
  /** How often a token is asked for. */
  logins: number
}[] = [
  {
    system: 'hashicorp_vault',
    name: 'with a token',
    env: (url) => ({ HCP_VAULT_ADDR: url, HCP_VAULT_TOKEN: 'hvs.t0ken' }),
    tell: ({ path, headers }, secrets) => {
      const name = /^\/v1\/secret\/data\/(.+)$/.exec(path)?.[1] ?? ''
      return headers['x-vault-token'] === 'hvs.t0ken' ? kv(secrets[name]) : undefined
    },
    logins: 0,
  },
  {
    system: 'hashicorp_vault',
    name: 'with an AppRole, a namespace, a mount and a prefix',
    env: (url) => ({
      HCP_VAULT_ADDR: `${url}/`,
      HCP_VAULT_APPROLE_ROLE_ID: 'role',
      HCP_VAULT_APPROLE_SECRET_ID: 'role-s3cret',
      HCP_VAULT_APPROLE_MOUNT_PATH: 'ap',
      HCP_VAULT_NAMESPACE: 'admin/team',
      HCP_VAULT_MOUNT_NAME: '/kv/',
      HCP_VAULT_PATH_PREFIX: 'gateway',
    }),
    tell: ({ path, headers, body }, secrets) => {
      if (path === '/v1/auth/ap/login')
        return headers['x-vault-namespace'] === 'admin/team' &&
          JSON.parse(body).secret_id === 'role-s3cret'
          ? { json: { auth: { client_token: 'hvs.role', lease_duration: 1200 } } }
          : undefined
      const name = /^\/v1\/admin\/team\/kv\/data\/gateway\/(.+)$/.exec(path)?.[1] ?? ''
      return headers['x-vault-token'] === 'hvs.role' ? kv(secrets[name]) : undefined
    },
    logins: 1,
  },
  {
    system: 'azure_key_vault',
    name: 'with a client secret',
    env: (url) => ({
      AZURE_KEY_VAULT_URI: `${url}/`,
      AZURE_AUTHORITY_HOST: url,
      AZURE_TENANT_ID: 't',
      AZURE_CLIENT_ID: 'c',
      AZURE_CLIENT_SECRET: 'azure-s3cret',
    }),
    tell: ({ path, headers, form }, secrets) => {
      if (path === '/t/oauth2/v2.0/token')
        return form.scope === 'https://vault.azure.net/.default'
          ? { json: { access_token: 'at', expires_in: 3600 } }
          : undefined
      const name = /^\/secrets\/([\w-]+)\?api-version=7\.4$/.exec(path)?.[1] ?? ''
      if (headers['authorization'] !== 'Bearer at') return undefined
      const value = secrets[name.replaceAll('-', '_')]
      return value === undefined
        ? { status: 404, json: { error: { code: 'SecretNotFound' } } }
        : { json: { value, id: path } }
    },
    logins: 1,
  },
  {
    system: 'google_secret_manager',
    name: 'with a user’s credentials',
    env: (url) => ({
      GOOGLE_SECRET_MANAGER_PROJECT_ID: 'p-1',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: `${url}/`,
      GOOGLE_APPLICATION_CREDENTIALS: JSON.stringify({
        type: 'authorized_user',
        client_id: 'c',
        client_secret: 's',
        refresh_token: 'google-s3cret',
        token_uri: `${url}/token`,
      }),
    }),
    tell: ({ path, headers }, secrets) => {
      if (path === '/token') return { json: { access_token: 'at', expires_in: 3600 } }
      const name =
        /^\/v1\/projects\/p-1\/secrets\/([\w-]+)\/versions\/latest:access$/.exec(path)?.[1] ?? ''
      if (headers['authorization'] !== 'Bearer at') return undefined
      const value = secrets[name]
      return value === undefined
        ? { status: 404, json: { error: { status: 'NOT_FOUND' } } }
        : { json: { payload: { data: Buffer.from(value).toString('base64') } } }
    },
    logins: 1,
  },
  {
    system: 'aws_secret_manager',
    name: 'signed by what it is given',
    env: (url) => ({ AWS_ENDPOINT_URL_SECRETS_MANAGER: url }),
    tell: ({ method, headers, body }, secrets) => {
      if (
        method !== 'POST' ||
        headers['x-amz-target'] !== 'secretsmanager.GetSecretValue' ||
        headers['content-type'] !== 'application/x-amz-json-1.1' ||
        headers['authorization'] !== `AWS4 over ${body.length}`
      )
        return undefined
      const value = secrets[JSON.parse(body).SecretId]
      return value === undefined
        ? { status: 400, json: { __type: 'com.amazonaws#ResourceNotFoundException' } }
        : { json: { SecretString: value } }
    },
    logins: 0,
  },
]
const kv = (key: string | undefined): Told =>
  key === undefined
    ? { status: 404, json: { errors: [] } }
    : { json: { data: { data: { key }, metadata: { version: 1 } } } }

const nameIn = (system: string, name: string) =>
  system === 'azure_key_vault' ? name.replaceAll('_', '-') : name

for (const { system, name, env, settings = {}, tell, logins } of managers) {
  const start = async (t: Parameters<typeof startEndpoint>[0], secrets: Env) => {
    const endpoint = await startEndpoint(
      t,
      (asked) => tell(asked, secrets) ?? { status: 403, json: { errors: ['permission denied'] } },
    )
    const deps = { ...depsOf(env(endpoint.url)), authorize: awsSigner }
    return { ...endpoint, deps }
  }

  test(`${system}, ${name}: what it knows is found, what it does not know is not there`, async (t) => {
    const { deps, asked } = await start(t, { OPENAI_KEY: 'sk-ü', OTHER: '' })
    const reader = createSecretReader(system, settings, deps)
    const names = ['OPENAI_KEY', 'UNKNOWN', 'OPENAI_KEY', 'OTHER'].map((one) => nameIn(system, one))
    assert.deepEqual(await resolveSecrets(names, reader), {
      [nameIn(system, 'OPENAI_KEY')]: 'sk-ü',
      [nameIn(system, 'OTHER')]: '',
    })
    assert.equal(asked.length, 3 + logins, 'each is asked for once, all share one login')
  })

  test(`${system}, ${name}: one secret that holds many`, async (t) => {
    const many = { OPENAI_KEY: 'sk-1', PORT: 4000, toString: 'own' }
    const { deps, asked } = await start(t, { all: JSON.stringify(many), none: '[]' })
    const reader = createSecretReader(system, { ...settings, primary_secret_name: 'all' }, deps)
    assert.deepEqual(await resolveSecrets(['OPENAI_KEY', 'PORT', 'valueOf', 'toString'], reader), {
      OPENAI_KEY: 'sk-1',
      PORT: '4000',
      toString: 'own',
    })
    assert.equal(asked.length, 1 + logins)
    const broken = createSecretReader(system, { ...settings, primary_secret_name: 'none' }, deps)
    await assert.rejects(broken('A'), /the secret none is not a JSON object/)
    const missing = createSecretReader(
      system,
      { ...settings, primary_secret_name: 'nowhere' },
      deps,
    )
    await assert.rejects(missing('A'), /there is no secret nowhere/)
  })

  test(`${system}, ${name}: refused, unreachable, and back again`, async (t) => {
    let down = true
    const secrets = { OPENAI: 'sk-1' }
    const { url, host } = await startEndpoint(t, (asked) =>
      down
        ? { status: 503, json: { message: `no: ${JSON.stringify(asked.headers)} ${asked.body}` } }
        : (tell(asked, secrets) ?? { status: 403, json: {} }),
    )
    const variables = env(url)
    const deps = { ...depsOf(variables), authorize: awsSigner }
    const reader = createSecretReader(system, settings, deps)
    const error = await resolveSecrets(['OPENAI'], reader).catch((cause: unknown) => cause)
    assert.ok(error instanceof Error)
    assert.ok(error.message.includes(`${host} refused with status 503: no: {`), error.message)
    for (const secret of ['s3cret', 't0ken', 'AWS4'])
      assert.ok(!`${error.message}${error.cause}`.includes(secret), error.message)
    down = false
    deps.clock.now += 1001
    assert.deepEqual(await resolveSecrets(['OPENAI'], reader), { OPENAI: 'sk-1' })
  })
}

test('only the hosted keys are looked up, and none where it is written to only', async () => {
  const deps = depsOf({ A: 'a', B: 'b' })
  const some = createSecretReader('local', { hosted_keys: ['A'] }, deps)
  assert.deepEqual(await resolveSecrets(['A', 'B'], some), { A: 'a' })
  const none = createSecretReader('local', { access_mode: 'write_only' }, deps)
  assert.deepEqual(await resolveSecrets(['A', 'B'], none), {})
})

test('a name that would step out of its path is not asked for', async (t) => {
  const { url, asked } = await startEndpoint(t, () => ({ json: {} }))
  const deps = depsOf({ HCP_VAULT_ADDR: url, HCP_VAULT_TOKEN: 't' })
  const reader = createSecretReader('hashicorp_vault', {}, deps)
  const names = [
    '../sys/seal',
    'a/../../b',
    'a//b',
    '/a',
    'a/',
    'a?b',
    'a#b',
    'a b',
    'a\nb',
    '',
    '..',
    './a',
    'a%2fb',
  ]
  assert.deepEqual(await resolveSecrets(names, reader), {})
  assert.equal(asked.length, 0)
  await assert.rejects(reader('team/a+b'), /no field "key"/)
  assert.equal(asked[0]?.path, '/v1/secret/data/team/a%2Bb')
})

test('at most eight at once', async () => {
  let running = 0
  let most = 0
  const names = Array.from({ length: 50 }, (_, at) => `N${at}`)
  const found = await resolveSecrets(names, async (name) => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return name
  })
  assert.equal(most, 8)
  assert.equal(Object.keys(found).length, 50)
})

const problems: [system: string, env: Env, expected: RegExp][] = [
  ['hashicorp_vault', {}, /Vault: set HCP_VAULT_TOKEN, or HCP_VAULT_APPROLE_ROLE_ID/],
  ['hashicorp_vault', { HCP_VAULT_ADDR: 'vault', HCP_VAULT_TOKEN: 't' }, /HCP_VAULT_ADDR is not/],
  [
    'hashicorp_vault',
    { HCP_VAULT_MOUNT_NAME: 'a/../b', HCP_VAULT_TOKEN: 't' },
    /cannot be part of a path/,
  ],
  ['azure_key_vault', {}, /set AZURE_KEY_VAULT_URI/],
  ['google_secret_manager', {}, /set GOOGLE_SECRET_MANAGER_PROJECT_ID/],
  ['aws_secret_manager', { AWS_REGION: 'us-east-1' }, /nothing to sign requests with/],
  ['aws_kms', {}, /aws_kms is not offered here: .*aws_secret_manager/],
  ['custom', {}, /custom is not offered here/],
  ['constructor', {}, /"constructor" is not known: use one of aws_secret_manager/],
]
for (const [system, env, expected] of problems)
  test(`not set up: ${system}: ${expected.source}`, () => {
    assert.throws(() => createSecretReader(system, {}, depsOf(env)), expected)
  })

test('aws: the region decides the host', async () => {
  const cases: [settings: JsonObject, env: Env, host: string | RegExp][] = [
    [
      { aws_region_name: 'eu-west-1' },
      { AWS_REGION: 'x' },
      'https://secretsmanager.eu-west-1.amazonaws.com/',
    ],
    [{}, { AWS_REGION_NAME: 'cn-north-1' }, 'https://secretsmanager.cn-north-1.amazonaws.com.cn/'],
    [{}, {}, /AWS_REGION to its region/],
    [{ aws_region_name: 'evil.example/' }, {}, /AWS_REGION to its region/],
  ]
  for (const [settings, env, expected] of cases) {
    const urls: string[] = []
    const deps: SecretDeps = {
      ...depsOf(env),
      authorize: awsSigner,
      fetch: async ({ url }) => {
        urls.push(url)
        return { status: 200, body: '{"SecretBinary":"YWJj"}' }
      },
    }
    if (expected instanceof RegExp) {
      assert.throws(() => createSecretReader('aws_secret_manager', settings, deps), expected)
      continue
    }
    assert.equal(await createSecretReader('aws_secret_manager', settings, deps)('A'), 'abc')
    assert.deepEqual(urls, [expected])
  }
})
