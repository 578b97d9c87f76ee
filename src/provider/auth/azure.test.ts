import assert from 'node:assert/strict'
import { createHash, createPrivateKey } from 'node:crypto'
import { test } from 'node:test'
import {
  depsOf,
  headersOf,
  pemOf,
  readJwt,
  row,
  rsaKey,
  settled,
  startEndpoint,
  type Told,
} from '../../../test/token-endpoint.ts'
import type { JsonObject } from '../../json/json.ts'
import { createAzureAiScheme, createAzureScheme } from './azure.ts'
import { createAuthDeps } from './fetch.node.ts'

const key = await rsaKey()
const principal = { tenant_id: 't-1', client_id: 'c-1', client_secret: 's3cr3t~value' }
const token = (name: string): Told => ({ json: { access_token: name, expires_in: 3599 } })
const scope = 'https://cognitiveservices.azure.com/.default'

const static_: [name: string, params: JsonObject, env: Record<string, string>, expected: object][] =
  [
    [
      'a key of the row',
      { api_key: 'row-key' },
      { AZURE_API_KEY: 'env' },
      { 'api-key': 'row-key' },
    ],
    ['a key of the environment', {}, { AZURE_API_KEY: 'env' }, { 'api-key': 'env' }],
    ['either name', {}, { AZURE_OPENAI_API_KEY: 'env' }, { 'api-key': 'env' }],
    [
      'a token of the row, whatever key the environment has',
      { azure_ad_token: 'ey' },
      { AZURE_API_KEY: 'env' },
      { authorization: 'Bearer ey' },
    ],
    [
      'a token of the environment',
      {},
      { AZURE_AD_TOKEN: 'Bearer ey' },
      { authorization: 'Bearer ey' },
    ],
  ]
for (const [name, params, env, expected] of static_)
  test(`azure, nothing to fetch: ${name}`, async () => {
    const opened = createAzureScheme(depsOf(env)).open(row(params))
    assert.equal(opened.problem, undefined)
    assert.deepEqual(await headersOf(opened), expected)
  })

test('azure-ai: hosts of Azure take the key as api-key, others as a bearer', async () => {
  const scheme = createAzureAiScheme(depsOf({ AZURE_AI_API_KEY: 'ai', AZURE_API_KEY: 'openai' }))
  const cases: [url: string, expected: object][] = [
    ['https://x.services.ai.azure.com/models/chat/completions', { 'api-key': 'ai' }],
    ['https://x.openai.azure.com/openai', { 'api-key': 'ai' }],
    ['https://x.cognitiveservices.azure.com/', { 'api-key': 'ai' }],
    ['https://m.eastus.models.ai.azure.com/v1', { authorization: 'Bearer ai' }],
    ['https://x.openai.azure.com.evil.example/', { authorization: 'Bearer ai' }],
  ]
  for (const [url, expected] of cases)
    assert.deepEqual(await headersOf(scheme.open(row()), { url }), expected)
})

test('a client secret: fetched once, at the authority that is set, renewed early, never sent expired', async (t) => {
  let count = 0
  const { url, asked } = await startEndpoint(t, () => token(`t${++count}`))
  const deps = depsOf({ AZURE_AUTHORITY_HOST: `${url}/` })
  const opened = createAzureScheme(deps).open(row(principal))
  assert.deepEqual(opened.secrets, [principal.client_secret])
  const all = await Promise.all([headersOf(opened), headersOf(opened)])
  assert.deepEqual(all, [{ authorization: 'Bearer t1' }, { authorization: 'Bearer t1' }])
  assert.equal(asked.length, 1)
  assert.equal(asked[0]?.path, '/t-1/oauth2/v2.0/token')
  assert.deepEqual(asked[0]?.form, {
    grant_type: 'client_credentials',
    client_id: 'c-1',
    client_secret: principal.client_secret,
    scope,
  })
  const sent = async () => (await headersOf(opened))['authorization']
  deps.clock.now += 55 * 60_000
  assert.equal(await sent(), 'Bearer t1')
  await settled(async () => (await sent()) === 'Bearer t2')
  deps.clock.now += 60 * 60_000
  assert.equal(await sent(), 'Bearer t3')
})

test('what is told apart: tenants, clients, secrets, scopes', async (t) => {
  let count = 0
  const { url } = await startEndpoint(t, () => token(`t${++count}`))
  const scheme = createAzureScheme(depsOf({ AZURE_AUTHORITY_HOST: url }))
  const rows: JsonObject[] = [
    principal,
    { ...principal, tenant_id: 't-2' },
    { ...principal, client_id: 'c-2' },
    { ...principal, client_secret: 'another~secret' },
    { ...principal, azure_scope: 'https://ai.azure.com/.default' },
  ]
  const sent = new Set<string | undefined>()
  for (const params of [...rows, ...rows])
    sent.add((await headersOf(scheme.open(row(params))))['authorization'])
  assert.equal(sent.size, rows.length)
  assert.equal(count, rows.length)
})

test('identities that are exchanged at Entra', async (t) => {
  const { url, asked } = await startEndpoint(t, () => token('t'))
  const ids = { AZURE_TENANT_ID: 't-1', AZURE_CLIENT_ID: 'c-1' }
  const cases: [
    name: string,
    params: JsonObject,
    env: Record<string, string>,
    path: string,
    form: object,
  ][] = [
    [
      'the environment',
      {},
      { ...ids, AZURE_CLIENT_SECRET: 'sec' },
      '/t-1/',
      { client_secret: 'sec' },
    ],
    [
      'a federated token',
      {},
      { ...ids, AZURE_FEDERATED_TOKEN_FILE: '/fed' },
      '/t-1/',
      { client_assertion: 'fed-1' },
    ],
    [
      'a token that somebody else vouches with',
      { tenant_id: 't-1', client_id: 'c-1', azure_ad_token: 'oidc/file//fed' },
      { AZURE_API_KEY: 'not this' },
      '/t-1/',
      { grant_type: 'client_credentials', client_id: 'c-1', client_assertion: 'fed-1' },
    ],
    [
      'the same from the environment',
      {},
      { ...ids, AZURE_AD_TOKEN: 'oidc/env/FED', FED: 'fed-2' },
      '/t-1/',
      { client_assertion: 'fed-2' },
    ],
    [
      'a password',
      { client_id: 'c-1', azure_username: 'u@x', azure_password: 'pw' },
      {},
      '/organizations/',
      { grant_type: 'password', username: 'u@x', password: 'pw' },
    ],
    [
      'a password of the environment',
      {},
      { ...ids, AZURE_USERNAME: 'u@x', AZURE_PASSWORD: 'pw' },
      '/t-1/',
      { grant_type: 'password', password: 'pw' },
    ],
    [
      'a scope',
      {},
      { ...ids, AZURE_CLIENT_SECRET: 'sec', AZURE_SCOPE: 'api://x/.default' },
      '/t-1/',
      { scope: 'api://x/.default' },
    ],
  ]
  for (const [name, params, env, path, form] of cases) {
    asked.length = 0
    const deps = depsOf({ ...env, AZURE_AUTHORITY_HOST: url }, { '/fed': 'fed-1\n' })
    const opened = createAzureScheme(deps).open(row(params))
    assert.deepEqual(await headersOf(opened), { authorization: 'Bearer t' }, name)
    assert.ok(asked[0]?.path.startsWith(path), name)
    assert.deepEqual({ ...asked[0]?.form, ...form }, asked[0]?.form, name)
  }
})

test('a certificate: an assertion that names it by its thumbprint', async (t) => {
  const { url, asked } = await startEndpoint(t, () => token('t'))
  const der = Buffer.from('a certificate is only hashed here')
  const pem = pemOf(der, 'CERTIFICATE') + key.pem
  const ids = { AZURE_TENANT_ID: 't-1', AZURE_CLIENT_ID: 'c-1', AZURE_AUTHORITY_HOST: url }
  for (const env of [
    { AZURE_CERTIFICATE: pem },
    { AZURE_CERTIFICATE_PATH: '/c.pem' },
    { AZURE_CLIENT_CERTIFICATE_PATH: '/c.pem' },
  ]) {
    const deps = depsOf({ ...ids, ...env }, { '/c.pem': pem })
    assert.deepEqual(await headersOf(createAzureScheme(deps).open(row())), {
      authorization: 'Bearer t',
    })
    const form = asked.at(-1)?.form ?? {}
    assert.equal(
      form.client_assertion_type,
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    )
    const { header, claims } = await readJwt(form.client_assertion ?? '', key.verify)
    assert.equal(header.x5t, createHash('sha1').update(der).digest('base64url'))
    assert.equal(header['x5t#S256'], createHash('sha256').update(der).digest('base64url'))
    assert.equal(claims.aud, `${url}/t-1/oauth2/v2.0/token`)
    assert.equal(claims.iss, 'c-1')
    assert.equal(claims.sub, 'c-1')
    assert.equal(claims.exp, deps.now() / 1000 + 600)
  }
})

const locked: [name: string, type: 'pkcs8' | 'pkcs1'][] = [
  ['ENCRYPTED PRIVATE KEY', 'pkcs8'],
  ['RSA PRIVATE KEY, the older form', 'pkcs1'],
]
for (const [name, type] of locked)
  test(`a certificate whose key a password protects: ${name}`, async (t) => {
    const { url, asked } = await startEndpoint(t, () => token('t'))
    const passphrase = 'open sesame'
    const shut = createPrivateKey(key.pem).export({
      type,
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase,
    })
    const opened = (env: Record<string, string>) => {
      const ids = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_AUTHORITY_HOST: url }
      const pem = pemOf(Buffer.from('c'), 'CERTIFICATE') + shut
      const { decryptKey } = createAuthDeps({ env: {} })
      const deps = depsOf({ ...ids, AZURE_CERTIFICATE_PATH: '/c.pem', ...env }, { '/c.pem': pem })
      return createAzureScheme(decryptKey ? { ...deps, decryptKey } : deps).open(row())
    }
    for (const word of ['AZURE_CERTIFICATE_PASSWORD', 'AZURE_CLIENT_CERTIFICATE_PASSWORD']) {
      const made = opened({ [word]: passphrase })
      assert.deepEqual(await headersOf(made), { authorization: 'Bearer t' })
      assert.ok(made.secrets.includes(passphrase))
      const { claims } = await readJwt(asked.at(-1)?.form.client_assertion ?? '', key.verify)
      assert.equal(claims.iss, 'c')
    }
    await assert.rejects(headersOf(opened({})), /is encrypted: set AZURE_CERTIFICATE_PASSWORD/)
    const wrong = headersOf(opened({ AZURE_CERTIFICATE_PASSWORD: 'guess' }))
    await assert.rejects(wrong, /does not open with AZURE_CERTIFICATE_PASSWORD/)
  })

const arcFolder = '/var/opt/azcmagent/tokens'
const arcs: [name: string, challenge: string | undefined, expected: object | RegExp][] = [
  ['the file it names', `Basic realm=${arcFolder}/a-1.key`, { authorization: 'Bearer t' }],
  ['no file', undefined, /outside of the folder/],
  ['another folder', 'Basic realm=/etc/passwd.key', /outside of the folder/],
  ['a way out of the folder', `Basic realm=${arcFolder}/../x.key`, /outside of the folder/],
  ['another kind of file', `Basic realm=${arcFolder}/a-1.pem`, /outside of the folder/],
  ['a file that is not there', `Basic realm=${arcFolder}/b.key`, /b\.key does not exist/],
  ['a file too long to be a key', `Basic realm=${arcFolder}/long.key`, /holds no key/],
]
for (const [name, challenge, expected] of arcs)
  test(`Azure Arc proves itself by a file: ${name}`, async (t) => {
    const { url, asked } = await startEndpoint(t, ({ headers }) =>
      headers.authorization === 'Basic secret-of-arc'
        ? { json: { access_token: 't', expires_on: '1780401600' } }
        : {
            status: 401,
            text: '',
            ...(challenge && { headers: { 'www-authenticate': challenge } }),
          },
    )
    const files = {
      [`${arcFolder}/a-1.key`]: 'secret-of-arc\n',
      [`${arcFolder}/long.key`]: 'x'.repeat(4097),
      '/etc/passwd.key': 'secret-of-arc',
      [`${arcFolder}/../x.key`]: 'secret-of-arc',
    }
    const env = { IDENTITY_ENDPOINT: `${url}/metadata/identity/oauth2/token`, IMDS_ENDPOINT: url }
    const made = createAzureScheme(depsOf(env, files)).open(row())
    if (expected instanceof RegExp) return assert.rejects(headersOf(made), expected)
    assert.deepEqual(await headersOf(made), expected)
    const [first, second] = asked
    assert.deepEqual([first?.headers.metadata, first?.headers.authorization], ['true', undefined])
    assert.equal(
      second?.path,
      '/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https%3A%2F%2Fcognitiveservices.azure.com',
    )
  })

test('a key in the older form (RSA PRIVATE KEY) signs as well', async (t) => {
  const { url, asked } = await startEndpoint(t, () => token('t'))
  const pkcs1 = createPrivateKey(key.pem).export({ type: 'pkcs1', format: 'pem' })
  const pem = `${pemOf(Buffer.from('c'), 'CERTIFICATE')}${pkcs1}`
  const env = {
    AZURE_TENANT_ID: 't',
    AZURE_CLIENT_ID: 'c',
    AZURE_CERTIFICATE: pem,
    AZURE_AUTHORITY_HOST: url,
  }
  await headersOf(createAzureScheme(depsOf(env)).open(row()))
  await readJwt(asked[0]?.form.client_assertion ?? '', key.verify)
})

test('managed identities: App Service, and the machine by name, by pod identity or by setting', async (t) => {
  const { url, asked } = await startEndpoint(t, ({ headers }) =>
    headers['x-identity-header'] === 'h-1' || headers.metadata === 'true'
      ? // Azure says numbers in texts, and only the end.
        {
          json: {
            access_token: 'mi',
            expires_on: String(Date.parse('2026-06-01T13:00:00Z') / 1000),
          },
        }
      : { status: 401, json: {} },
  )
  const cases: [env: Record<string, string>, path: string, ambient: boolean][] = [
    [
      { IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: 'h-1' },
      '/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com',
      false,
    ],
    [
      { IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: 'h-1', AZURE_CLIENT_ID: 'c-1' },
      '/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=c-1',
      false,
    ],
    [
      { AZURE_POD_IDENTITY_AUTHORITY_HOST: url },
      '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com',
      false,
    ],
  ]
  for (const [env, path, ambient] of cases) {
    const deps = depsOf(env)
    const opened = createAzureScheme(deps, { ambient }).open(row())
    assert.deepEqual(await headersOf(opened), { authorization: 'Bearer mi' })
    assert.equal(asked.at(-1)?.path, path)
    const before = asked.length
    deps.clock.now += 50 * 60_000
    await headersOf(opened)
    assert.equal(asked.length, before, 'expires_on is understood')
  }
})

test('the machine is asked at its own address only when something says so', async () => {
  const asked: string[] = []
  const deps = (env: Record<string, string>) => ({
    ...depsOf(env),
    fetch: async ({ url }: { url: string }) => {
      asked.push(url)
      return { status: 200, body: '{"access_token":"imds","expires_in":"3600"}' }
    },
  })
  for (const [env, ambient] of [
    [{ AZURE_CREDENTIAL: 'ManagedIdentityCredential' }, false],
    [{}, true],
  ] as const) {
    const opened = createAzureScheme(deps(env), { ambient }).open(row())
    assert.deepEqual(await headersOf(opened), { authorization: 'Bearer imds' })
  }
  assert.ok(asked.every((url) => url.startsWith('http://169.254.169.254/metadata/identity/')))
  assert.equal(asked.length, 2)
  assert.match(createAzureScheme(deps({})).open(row()).problem?.message ?? '', /no credentials/)
})

test('down, then up again; the secret stays out of the error', async (t) => {
  let down = true
  const { url, host } = await startEndpoint(
    t,
    ({ body }): Told =>
      down
        ? {
            status: 401,
            json: {
              error: 'invalid_client',
              error_description: `AADSTS7000215: wrong secret, got ${body}\r\nTrace ID: 1`,
            },
          }
        : token('back'),
  )
  const deps = depsOf({ AZURE_AUTHORITY_HOST: url })
  const opened = createAzureScheme(deps).open(
    row({ ...principal, client_secret: 'a+b/c=&~secret' }),
  )
  const error = await headersOf(opened).catch((cause: unknown) => cause)
  assert.ok(error instanceof Error)
  assert.match(
    error.message,
    new RegExp(`^Azure: ${host} refused with status 401: invalid_client: AADSTS7000215`),
  )
  assert.ok(
    !`${error.message}${error.cause}`.includes('secret%') &&
      !/b%2Fc|a\+b/.test(`${error.message}${error.cause}`),
  )
  assert.ok(!error.message.includes('Trace'))
  down = false
  deps.clock.now += 1001
  assert.deepEqual(await headersOf(opened), { authorization: 'Bearer back' })
})

const problems: [
  name: string,
  params: JsonObject,
  env: Record<string, string>,
  expected: RegExp,
  unset?: Record<string, string>,
][] = [
  [
    'nothing',
    {},
    {},
    /no credentials. Set api_key in litellm_params or AZURE_OPENAI_API_KEY or AZURE_API_KEY/,
  ],
  ['half an identity', { client_id: 'c' }, { AZURE_API_KEY: 'k' }, /no credentials/],
  [
    'oidc/ without an application',
    { azure_ad_token: 'oidc/github/x' },
    {},
    /oidc\/… is exchanged .* set tenant_id and client_id/,
  ],
  [
    'a tenant that is a path',
    { ...principal, tenant_id: '../x' },
    {},
    /neither a tenant id nor a domain/,
  ],
  ['a strange authority', principal, { AZURE_AUTHORITY_HOST: 'ftp://x' }, /AZURE_AUTHORITY_HOST/],
  [
    'Azure Arc, for an identity that is not its own',
    {},
    { IDENTITY_ENDPOINT: 'http://127.0.0.1:1', IMDS_ENDPOINT: 'x', AZURE_CLIENT_ID: 'c' },
    /unset AZURE_CLIENT_ID/,
  ],
  [
    'Service Fabric',
    {},
    {
      IDENTITY_ENDPOINT: 'http://127.0.0.1:1',
      IDENTITY_HEADER: 'h',
      IDENTITY_SERVER_THUMBPRINT: 'x',
    },
    /Service Fabric is not offered/,
  ],
  [
    'half a managed identity',
    {},
    { IDENTITY_ENDPOINT: 'http://127.0.0.1:1' },
    /IDENTITY_HEADER is not/,
  ],
  ['a key of two lines', { api_key: 'a\nb' }, {}, /characters no header may have/],
  [
    'a variable that is not set',
    {},
    { AZURE_API_KEY: 'ambient' },
    /client_secret of this model is os\.environ\/MY_SECRET, which is not set/,
    { client_secret: 'MY_SECRET' },
  ],
]
for (const [name, params, env, expected, unset] of problems)
  test(`said before anyone is asked: ${name}`, async () => {
    const opened = createAzureScheme(depsOf(env)).open(row(params, unset ? { unset } : {}))
    assert.match(opened.problem?.message ?? '', expected)
    await assert.rejects(headersOf(opened), expected)
  })

const certificates: [name: string, pem: string, expected: RegExp][] = [
  ['no certificate', key.pem, /AZURE_CERTIFICATE_PATH holds no PEM certificate.*openssl pkcs12/],
  ['no key', pemOf(Buffer.from('c'), 'CERTIFICATE'), /holds no PEM private key/],
  [
    'an encrypted key',
    pemOf(Buffer.from('c'), 'CERTIFICATE') + pemOf(Buffer.from('k'), 'ENCRYPTED PRIVATE KEY'),
    /is encrypted.*nocrypt/,
  ],
]
for (const [name, pem, expected] of certificates)
  test(`a certificate that cannot be used: ${name}`, async () => {
    const env = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_CERTIFICATE_PATH: '/c.pem' }
    const opened = createAzureScheme(depsOf(env, { '/c.pem': pem })).open(row())
    await assert.rejects(headersOf(opened), expected)
  })
