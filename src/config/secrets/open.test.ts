import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Asked, startEndpoint, type Told } from '../../../test/token-endpoint.ts'
import { loadConfig } from '../load.node.ts'

const config = (system: string, more = '') => `model_list:
  - model_name: a
    litellm_params:
      model: openai/a
      api_key: os.environ/KEY-1
general_settings:
  master_key: os.environ/MASTER
  key_management_system: ${system}
${more}`

const load = (text: string, env: Record<string, string>) =>
  loadConfig({ path: 'config.yaml', env, readFile: async () => text })

/** Each in its own words, over loopback. KEY-1 is what it knows. */
const managers: {
  system: string
  env: (url: string) => Record<string, string>
  tell: (asked: Asked) => Told
}[] = [
  {
    system: 'hashicorp_vault',
    env: (url) => ({ HCP_VAULT_ADDR: url, HCP_VAULT_TOKEN: 'hvs.token' }),
    tell: ({ path }) =>
      path === '/v1/secret/data/KEY-1'
        ? { json: { data: { data: { key: 'sk-kept' } } } }
        : { status: 404, json: {} },
  },
  {
    system: 'aws_secret_manager',
    env: (url) => ({
      AWS_ENDPOINT_URL_SECRETS_MANAGER: url,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIA1',
      AWS_SECRET_ACCESS_KEY: 's3cret-of-aws',
    }),
    tell: ({ body, headers }) =>
      !/^AWS4-HMAC-SHA256 Credential=AKIA1\/\d+\/eu-west-1\/secretsmanager\//.test(
        headers['authorization'] ?? '',
      )
        ? { status: 403, json: { message: 'unsigned' } }
        : JSON.parse(body).SecretId === 'KEY-1'
          ? { json: { SecretString: 'sk-kept' } }
          : { status: 400, json: { __type: 'ResourceNotFoundException' } },
  },
  {
    system: 'azure_key_vault',
    env: (url) => ({
      AZURE_KEY_VAULT_URI: url,
      AZURE_AUTHORITY_HOST: url,
      AZURE_TENANT_ID: 't',
      AZURE_CLIENT_ID: 'c',
      AZURE_CLIENT_SECRET: 's3cret-of-azure',
    }),
    tell: ({ path }) =>
      path.includes('/oauth2/')
        ? { json: { access_token: 'at', expires_in: 3600 } }
        : path.startsWith('/secrets/KEY-1?')
          ? { json: { value: 'sk-kept' } }
          : { status: 404, json: {} },
  },
  {
    system: 'google_secret_manager',
    env: (url) => ({
      GOOGLE_SECRET_MANAGER_PROJECT_ID: 'p',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: url,
      GOOGLE_APPLICATION_CREDENTIALS: JSON.stringify({
        type: 'authorized_user',
        client_id: 'c',
        client_secret: 's3cret-of-google',
        refresh_token: 'r3fresh',
        token_uri: `${url}/token`,
      }),
    }),
    tell: ({ path }) =>
      path === '/token'
        ? { json: { access_token: 'at', expires_in: 3600 } }
        : path === '/v1/projects/p/secrets/KEY-1/versions/latest:access'
          ? { json: { payload: { data: btoa('sk-kept') } } }
          : { status: 404, json: {} },
  },
]

for (const { system, env, tell } of managers)
  test(`${system} stands behind os.environ/, before the environment`, async (t) => {
    const { url } = await startEndpoint(t, tell)
    const set = { ...env(url), 'KEY-1': 'sk-of-environment', MASTER: 'sk-master' }
    const { config: read, errors, warnings, unsetVariables } = await load(config(system), set)
    assert.deepEqual([errors, warnings, unsetVariables], [[], [], []])
    assert.equal(read.models[0]?.params['api_key'], 'sk-kept')
    assert.equal(read.general.master_key, 'sk-master', 'what it lacks comes from the environment')
  })

const vault = async (t: TestContext, tell: (asked: Asked) => Told) => {
  const { url, asked } = await startEndpoint(t, tell)
  return { asked, env: { HCP_VAULT_ADDR: url, HCP_VAULT_TOKEN: 'hvs.token-12345' } }
}
const hosted = `  key_management_settings:
    hosted_keys: [KEY-1]
`

test('hosted_keys: no other name is asked for', async (t) => {
  const { asked, env } = await vault(t, () => ({ json: { data: { data: { key: 'sk-kept' } } } }))
  const { config: read } = await load(config('hashicorp_vault', hosted), { ...env, MASTER: 'm' })
  assert.deepEqual([read.models[0]?.params['api_key'], read.general.master_key], ['sk-kept', 'm'])
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/v1/secret/data/KEY-1'],
  )
})

test('environment_variables may come from there, and may say how it is reached', async (t) => {
  const { env } = await vault(t, () => ({ json: { data: { data: { key: 'kept' } } } }))
  const { environment } = await load(
    `${config('os.environ/SYSTEM')}environment_variables:
  HCP_VAULT_TOKEN: hvs.of-file
  LANGFUSE_SECRET_KEY: os.environ/LANGFUSE
`,
    { HCP_VAULT_ADDR: env.HCP_VAULT_ADDR, SYSTEM: 'hashicorp_vault' },
  )
  assert.deepEqual(environment, { HCP_VAULT_TOKEN: 'hvs.of-file', LANGFUSE_SECRET_KEY: 'kept' })
})

const wrong: [name: string, text: string, env: Record<string, string>, words: RegExp][] = [
  ['not set up', config('azure_key_vault'), {}, /set AZURE_KEY_VAULT_URI to its address/],
  ['not offered', config('cyberark'), {}, /cyberark is not offered here: let its agent/],
  ['unknown', config('vaultish'), {}, /"vaultish" is not known: use one of aws_secret_manager/],
  ['no keys', config('aws_secret_manager'), { AWS_EC2_METADATA_DISABLED: 'true' }, /AWS/],
  [
    'nobody there',
    config('hashicorp_vault'),
    { HCP_VAULT_ADDR: 'http://127.0.0.1:1', HCP_VAULT_TOKEN: 't' },
    /Vault: 127\.0\.0\.1:1 did not answer/,
  ],
]
for (const [name, text, env, words] of wrong)
  test(`an error at start, with its line: ${name}`, async () => {
    const { errors } = await load(text, env)
    assert.equal(errors.length, 1)
    assert.match(errors[0]?.message ?? '', words)
    assert.deepEqual(
      [errors[0]?.path, errors[0]?.line],
      ['general_settings.key_management_system', 8],
    )
  })

test('a refusal says why, and not the token', async (t) => {
  const { env } = await vault(t, ({ headers }) => ({
    status: 403,
    json: { errors: [`permission denied for ${headers['x-vault-token']}`] },
  }))
  const { errors } = await load(config('hashicorp_vault'), env)
  assert.match(
    errors[0]?.message ?? '',
    /refused with status 403: permission denied for \[redacted\]/,
  )
})

test('a name nobody knows is told with both places', async (t) => {
  const { env } = await vault(t, () => ({ status: 404, json: {} }))
  const { unsetVariables } = await load(config('hashicorp_vault'), env)
  assert.match(
    unsetVariables.map(({ message }) => message).join('\n'),
    /KEY-1 is not set, and hashicorp_vault has no such secret/,
  )
})
