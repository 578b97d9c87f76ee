import assert from 'node:assert/strict'
import { createHash, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import {
  depsOf,
  headersOf,
  readJwt,
  row,
  rsaKey,
  settled,
  startEndpoint,
  type Told,
} from '../../../test/token-endpoint.ts'
import type { JsonObject } from '../../json/json.ts'
import { createTokenSchemes, type TokenSchemeName } from './token-schemes.ts'

type Env = Record<string, string>
const serviceKey = (url: string) => ({
  clientid: 'sb-1!b2',
  clientsecret: 's3cr3t$value',
  url,
  serviceurls: { AI_API_URL: url },
})

/** Of every scheme that exchanges: what it needs, and what its endpoint must have been asked. */
const exchanges: {
  scheme: TokenSchemeName
  set: (url: string) => { params?: JsonObject; env?: Env; files?: Env }
  secret: string
  path: string
  form?: Env
  headers?: Env
  /** Sent to the provider beside the token. */
  sent?: Env
  /** How this endpoint says a token. */
  tell?: (token: string, now: number) => JsonObject
}[] = [
  {
    scheme: 'databricks',
    set: (url) => ({
      params: { api_base: `${url}/serving-endpoints` },
      env: { DATABRICKS_CLIENT_ID: 'c-1', DATABRICKS_CLIENT_SECRET: 'dose-s3cr3t' },
    }),
    secret: 'dose-s3cr3t',
    path: '/oidc/v1/token',
    form: { grant_type: 'client_credentials', scope: 'all-apis' },
    headers: { authorization: `Basic ${btoa('c-1:dose-s3cr3t')}` },
  },
  {
    scheme: 'gigachat',
    set: (url) => ({
      env: { GIGACHAT_CREDENTIALS: 'Y3JlZDppZA==', GIGACHAT_AUTH_URL: `${url}/oauth` },
    }),
    secret: 'Y3JlZDppZA==',
    path: '/oauth',
    form: { scope: 'GIGACHAT_API_PERS' },
    headers: { authorization: 'Basic Y3JlZDppZA==' },
    tell: (token, now) => ({ access_token: token, expires_at: now + 1800_000 }),
  },
  {
    scheme: 'watsonx',
    set: (url) => ({
      env: { WATSONX_APIKEY: 'ibm+key/1', WATSONX_IAM_URL: `${url}/identity/token` },
    }),
    secret: 'ibm+key/1',
    path: '/identity/token',
    form: { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: 'ibm+key/1' },
    tell: (token, now) => ({
      access_token: token,
      expires_in: 3600,
      expiration: now / 1000 + 3600,
    }),
  },
  {
    scheme: 'sap',
    set: (url) => ({ env: { AICORE_SERVICE_KEY: JSON.stringify(serviceKey(url)) } }),
    secret: 's3cr3t$value',
    path: '/oauth/token',
    form: { grant_type: 'client_credentials', client_id: 'sb-1!b2', client_secret: 's3cr3t$value' },
    sent: { 'ai-resource-group': 'default' },
  },
  {
    scheme: 'copilot',
    set: (url) => ({
      env: { GITHUB_COPILOT_TOKEN_DIR: '/copilot', GITHUB_COPILOT_API_KEY_URL: `${url}/v2/token` },
      files: { '/copilot/access-token': 'gho_s3cr3t\n' },
    }),
    secret: 'gho_s3cr3t',
    path: '/v2/token',
    headers: { authorization: 'token gho_s3cr3t' },
    tell: (token, now) => ({ token, expires_at: now / 1000 + 1500, refresh_in: 1200 }),
  },
]
const bearer = (access_token: string): JsonObject => ({ access_token, expires_in: 3600 })

for (const { scheme, set, secret, path, form, headers, sent, tell = bearer } of exchanges)
  test(`${scheme}: fetched once, renewed early, never sent expired; down is an error without secrets, then it recovers`, async (t) => {
    let count = 0
    let down = false
    const { url, host, asked } = await startEndpoint(t, (one): Told => {
      if (down)
        return {
          status: 400,
          json: { error: { message: `no: ${one.body} ${one.headers['authorization']}` } },
        }
      return { json: tell(`t${++count}`, deps.now()) }
    })
    const { params = {}, env = {}, files = {} } = set(url)
    const deps = depsOf(env, files)
    const opened = createTokenSchemes(deps)[scheme].open(row(params))
    assert.equal(opened.problem, undefined)
    const both = await Promise.all([headersOf(opened), headersOf(opened)])
    for (const got of both) assert.deepEqual(got, { authorization: 'Bearer t1', ...sent })
    assert.equal(asked.length, 1)
    assert.equal(asked[0]?.path, path)
    assert.deepEqual(asked[0]?.form, form ?? {})
    for (const [name, value] of Object.entries(headers ?? {}))
      assert.equal(asked[0]?.headers[name], value)

    const now = async () => (await headersOf(opened))['authorization']
    const life = deps.now()
    while ((await now()) === 'Bearer t1' && deps.clock.now < life + 3600_000 && count < 2)
      deps.clock.now += 60_000
    await settled(async () => (await now()) === 'Bearer t2')

    down = true
    deps.clock.now += 3600_000
    const error = await headersOf(opened).catch((cause: unknown) => cause)
    assert.ok(error instanceof Error)
    assert.ok(error.message.includes(`${host} refused with status 400: no: `), error.message)
    for (const spelling of [secret, encodeURIComponent(secret), btoa(`c-1:${secret}`)])
      assert.ok(!`${error.message}${error.cause}`.includes(spelling), error.message)
    down = false
    deps.clock.now += 1001
    assert.equal(await now(), 'Bearer t3')
  })

const ready: [
  scheme: TokenSchemeName,
  name: string,
  params: JsonObject,
  env: Env,
  expected: Env,
][] = [
  [
    'databricks',
    'a token of the row',
    { api_key: 'dapi' },
    { DATABRICKS_CLIENT_ID: 'c', DATABRICKS_CLIENT_SECRET: 's' },
    { authorization: 'Bearer dapi' },
  ],
  [
    'databricks',
    'a token of the environment',
    {},
    { DATABRICKS_TOKEN: 'dapi' },
    { authorization: 'Bearer dapi' },
  ],
  [
    'gigachat',
    'an access token',
    {},
    { GIGACHAT_ACCESS_TOKEN: 'at' },
    { authorization: 'Bearer at' },
  ],
  ['watsonx', 'a token', { token: 'wt' }, { WATSONX_APIKEY: 'k' }, { authorization: 'Bearer wt' }],
  [
    'watsonx',
    'a token of the environment',
    {},
    { WATSONX_TOKEN: 'Bearer wt' },
    { authorization: 'Bearer wt' },
  ],
  [
    'watsonx',
    'an installation of its own',
    {},
    { WATSONX_ZENAPIKEY: 'zen' },
    { authorization: 'ZenApiKey zen' },
  ],
  [
    'watsonx',
    'a Zen key of the row',
    { zen_api_key: 'zen' },
    {},
    { authorization: 'ZenApiKey zen' },
  ],
  ['copilot', 'a token of the row', { api_key: 'tid=1' }, {}, { authorization: 'Bearer tid=1' }],
  [
    'snowflake',
    'a JWT',
    {},
    { SNOWFLAKE_JWT: 'jwt' },
    { authorization: 'Bearer jwt', 'x-snowflake-authorization-token-type': 'KEYPAIR_JWT' },
  ],
  [
    'snowflake',
    'a programmatic token',
    { api_key: 'pat/abc' },
    {},
    {
      authorization: 'Bearer abc',
      'x-snowflake-authorization-token-type': 'PROGRAMMATIC_ACCESS_TOKEN',
    },
  ],
  ['anthropic', 'a key', { api_key: 'sk-ant-api03' }, {}, { 'x-api-key': 'sk-ant-api03' }],
  [
    'anthropic',
    'a key of the environment comes before a token',
    {},
    { ANTHROPIC_API_KEY: 'k', ANTHROPIC_AUTH_TOKEN: 't' },
    { 'x-api-key': 'k' },
  ],
  ['anthropic', 'a token', {}, { ANTHROPIC_AUTH_TOKEN: 't' }, { authorization: 'Bearer t' }],
  [
    'anthropic',
    'a login',
    { api_key: 'sk-ant-oat01-x' },
    {},
    { authorization: 'Bearer sk-ant-oat01-x', 'anthropic-beta': 'oauth-2025-04-20' },
  ],
]
for (const [scheme, name, params, env, expected] of ready)
  test(`${scheme}, nothing to fetch: ${name}`, async () => {
    const opened = createTokenSchemes(depsOf(env))[scheme].open(row(params))
    assert.equal(opened.problem, undefined)
    assert.deepEqual(await headersOf(opened), expected)
  })

test("anthropic: a login's beta joins the betas that are there, once; no x-api-key beside it", async () => {
  const opened = createTokenSchemes(depsOf({})).anthropic.open(
    row({ api_key: 'Bearer sk-ant-oat01-x' }),
  )
  const headers = { 'anthropic-beta': 'a-1, oauth-2025-04-20,b-2', 'x-api-key': 'placeholder' }
  assert.deepEqual(await headersOf(opened, { headers }), {
    'anthropic-beta': 'a-1,oauth-2025-04-20,b-2',
    authorization: 'Bearer sk-ant-oat01-x',
  })
})

test('anthropic: a base of one’s own needs no key', async () => {
  const scheme = createTokenSchemes(depsOf({})).anthropic
  assert.deepEqual(await headersOf(scheme.open(row({}, { hasBase: true }))), {})
})

test('snowflake: a JWT made of the private key, again before the hour is over', async () => {
  const key = await rsaKey()
  const env = {
    SNOWFLAKE_ACCOUNT_ID: 'xy12345.us-east-1',
    SNOWFLAKE_USER: 'robot',
    SNOWFLAKE_PRIVATE_KEY_PATH: '/key.p8',
  }
  const deps = depsOf(env, { '/key.p8': key.pem })
  const opened = createTokenSchemes(deps).snowflake.open(row())
  const first = await headersOf(opened)
  assert.equal(first['x-snowflake-authorization-token-type'], 'KEYPAIR_JWT')
  const { claims } = await readJwt((first['authorization'] ?? '').slice(7), key.verify)
  const spki = createPublicKey(key.pem).export({ type: 'spki', format: 'der' })
  const print = createHash('sha256').update(spki).digest('base64')
  assert.equal(claims.iss, `XY12345.ROBOT.SHA256:${print}`)
  assert.equal(claims.sub, 'XY12345.ROBOT')
  assert.ok(Number(claims.exp) - Number(claims.iat) < 3600)
  deps.clock.now += 59 * 60_000
  assert.notEqual((await headersOf(opened))['authorization'], first['authorization'])
})

test('sap: every place its values may stand in', async (t) => {
  const deployments = [
    {
      scenarioId: 'foundation-models',
      status: 'RUNNING',
      createdAt: '3',
      deploymentUrl: 'http://no',
    },
    { scenarioId: 'orchestration', status: 'RUNNING', createdAt: '1', deploymentUrl: 'http://old' },
    { scenarioId: 'orchestration', status: 'RUNNING', createdAt: '2', deploymentUrl: 'http://d/' },
  ]
  const { url, asked } = await startEndpoint(t, ({ path }) => ({
    json: path.startsWith('/v2/lm/') ? { resources: deployments } : bearer('t'),
  }))
  const wrapped = { credentials: serviceKey(url), name: 'key' }
  const cases: [params: JsonObject, env: Env, id: string, group: string][] = [
    [{ api_key: JSON.stringify(serviceKey(url)) }, {}, 'sb-1!b2', 'default'],
    [{ service_key: wrapped, resource_group: 'mine' }, {}, 'sb-1!b2', 'mine'],
    [{}, { VCAP_SERVICES: JSON.stringify({ aicore: [wrapped] }) }, 'sb-1!b2', 'default'],
    [
      {},
      {
        AICORE_CLIENT_ID: 'env-id',
        AICORE_CLIENT_SECRET: 'env-secret',
        AICORE_AUTH_URL: `${url}/oauth/token`,
        AICORE_RESOURCE_GROUP: 'env-group',
        AICORE_BASE_URL: `${url}/v2`,
      },
      'env-id',
      'env-group',
    ],
  ]
  for (const [params, env, id, group] of cases) {
    const deps = depsOf(env)
    const opened = createTokenSchemes(deps).sap.open(row(params))
    assert.deepEqual(await headersOf(opened), {
      authorization: 'Bearer t',
      'ai-resource-group': group,
    })
    assert.equal(asked.at(-1)?.form.client_id, id)
    assert.equal(asked.at(-1)?.path, '/oauth/token')
    assert.equal(await opened.locate?.('https://given/v2'), 'https://given/v2')
    const place = 'https://{sap_deployment}/v2/completion'
    assert.equal(await opened.locate?.(place), 'http://d/v2/completion', 'the newest')
    assert.equal(asked.at(-1)?.path, '/v2/lm/deployments?scenarioId=orchestration&status=RUNNING')
    assert.equal(asked.at(-1)?.headers['ai-resource-group'], group)
    const count = asked.length
    await opened.locate?.(place)
    assert.equal(asked.length, count, 'asked once')
  }
})

test('sap: no deployment, no address', async (t) => {
  const { url } = await startEndpoint(t, ({ path }) => ({
    json: path.startsWith('/v2/lm/') ? { resources: [] } : bearer('t'),
  }))
  const locate = async (key: JsonObject) =>
    createTokenSchemes(depsOf({}))
      .sap.open(row({ service_key: key }))
      .locate?.('https://{sap_deployment}')
  await assert.rejects(locate(serviceKey(url)), /no orchestration deployment is running/)
  const { serviceurls: _, ...without } = serviceKey(url)
  await assert.rejects(locate(without), /no address. Set api_base/)
})

const problems: [scheme: TokenSchemeName, params: JsonObject, env: Env, expected: RegExp][] = [
  ['databricks', {}, {}, /Databricks: no credentials/],
  ['databricks', { client_id: 'c', client_secret: 's' }, {}, /set api_base or DATABRICKS_API_BASE/],
  ['gigachat', {}, {}, /GigaChat: no credentials/],
  ['watsonx', {}, {}, /watsonx: no credentials/],
  ['watsonx', { token: 'a\nb' }, {}, /characters no header may have/],
  ['sap', {}, {}, /client_id, client_secret, auth_url is not known/],
  ['sap', { api_key: '{"clientid":' }, {}, /is not known. Set AICORE_SERVICE_KEY/],
  ['copilot', {}, {}, /set GITHUB_COPILOT_TOKEN_DIR/],
  ['snowflake', {}, {}, /Snowflake: no credentials/],
  [
    'snowflake',
    {},
    { SNOWFLAKE_USER: 'u', SNOWFLAKE_PRIVATE_KEY: 'k' },
    /set SNOWFLAKE_ACCOUNT_ID/,
  ],
  ['anthropic', {}, {}, /Anthropic: no API key/],
  [
    'oci',
    {},
    { OCI_USER: 'u' },
    /oci_tenancy, oci_fingerprint, oci_key or oci_key_file is not set/,
  ],
]
for (const [scheme, params, env, expected] of problems)
  test(`${scheme}: what is missing is said before anyone is asked: ${expected.source}`, async () => {
    const opened = createTokenSchemes(depsOf(env))[scheme].open(row(params))
    assert.match(opened.problem?.message ?? '', expected)
    await assert.rejects(headersOf(opened), expected)
  })

test('a secret from a variable that is not set is never replaced by an ambient one', () => {
  const env = { DATABRICKS_CLIENT_ID: 'c', DATABRICKS_CLIENT_SECRET: 'ambient', OCI_KEY: 'k' }
  const schemes = createTokenSchemes(depsOf(env))
  for (const [scheme, param] of [
    ['databricks', 'client_secret'],
    ['sap', 'service_key'],
    ['oci', 'oci_key'],
    ['watsonx', 'token'],
  ] as const) {
    const opened = schemes[scheme].open(row({}, { unset: { [param]: 'MINE' } }))
    assert.match(
      opened.problem?.message ?? '',
      new RegExp(`^${param} of this model is os.environ/MINE`),
    )
  }
})

test('copilot: no login yet', async () => {
  const opened = createTokenSchemes(depsOf({ HOME: '/home' })).copilot.open(row())
  await assert.rejects(
    headersOf(opened),
    /\/home\/\.config\/litellm\/github_copilot\/access-token does not exist/,
  )
})

test('oci: the request is signed as its headers say', async () => {
  const key = await rsaKey()
  const params = {
    oci_tenancy: 'ocid1.tenancy.oc1..t',
    oci_user: 'ocid1.user.oc1..u',
    oci_fingerprint: 'aa:bb',
  }
  const body = '{"chatRequest":{"text":"ü"}}'
  for (const [more, files] of [
    [{ oci_key: key.pem.replaceAll('\n', '\\n') }, {}],
    [{ oci_key_file: '/oci.pem' }, { '/oci.pem': key.pem }],
  ] as const) {
    const deps = depsOf({}, files)
    const opened = createTokenSchemes(deps).oci.open(row({ ...params, ...more }))
    const url =
      'https://inference.generativeai.us-ashburn-1.oci.oraclecloud.com/20231130/actions/chat?a=b'
    const headers = await headersOf(opened, {
      url,
      body,
      headers: { 'content-type': 'application/json' },
    })
    const said =
      /^Signature version="1",keyId="([^"]+)",algorithm="rsa-sha256",headers="([^"]+)",signature="([^"]+)"$/.exec(
        headers['authorization'] ?? '',
      )
    assert.equal(said?.[1], 'ocid1.tenancy.oc1..t/ocid1.user.oc1..u/aa:bb')
    const values: Env = {
      ...headers,
      '(request-target)': 'post /20231130/actions/chat?a=b',
      host: 'inference.generativeai.us-ashburn-1.oci.oraclecloud.com',
      'content-length': String(Buffer.byteLength(body)),
    }
    assert.equal(headers['date'], 'Mon, 01 Jun 2026 12:00:00 GMT')
    assert.equal(headers['x-content-sha256'], createHash('sha256').update(body).digest('base64'))
    const text = (said?.[2] ?? '')
      .split(' ')
      .map((name) => `${name}: ${values[name]}`)
      .join('\n')
    const signature = Buffer.from(said?.[3] ?? '', 'base64')
    assert.ok(
      await crypto.subtle.verify('RSASSA-PKCS1-v1_5', key.verify, signature, Buffer.from(text)),
    )
  }
})
