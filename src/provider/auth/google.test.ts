import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Asked,
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
import { createGoogleScheme, projectOf, projectSaid } from './google.ts'

const minute = 60_000
const key = await rsaKey()
const account = (url: string, more: JsonObject = {}): JsonObject => ({
  type: 'service_account',
  project_id: 'p-1',
  private_key_id: 'k-1',
  private_key: key.pem,
  client_email: 'robot@p-1.example',
  token_uri: `${url}/token`,
  ...more,
})

test('a service account: its JWT is exchanged at its token_uri, once for all who come together', async (t) => {
  const { url, asked } = await startEndpoint(t, () => ({
    json: { access_token: 'ya29.a', expires_in: 3599, token_type: 'Bearer' },
  }))
  const deps = depsOf({})
  const opened = createGoogleScheme(deps).open(row({ vertex_credentials: account(url) }))
  assert.equal(opened.problem, undefined)
  assert.ok(opened.secrets.includes(key.pem))
  const all = await Promise.all([headersOf(opened), headersOf(opened), headersOf(opened)])
  for (const headers of all) assert.deepEqual(headers, { authorization: 'Bearer ya29.a' })
  assert.equal(asked.length, 1)
  const [{ path, form, headers }] = asked as [Asked] // one was counted
  assert.equal(path, '/token')
  assert.equal(headers['content-type'], 'application/x-www-form-urlencoded')
  assert.equal(form.grant_type, 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  const { header, claims } = await readJwt(form.assertion ?? '', key.verify)
  assert.deepEqual(header, { alg: 'RS256', typ: 'JWT', kid: 'k-1' })
  const iat = deps.now() / 1000
  assert.deepEqual(claims, {
    iss: 'robot@p-1.example',
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    aud: `${url}/token`,
    iat,
    exp: iat + 3600,
  })
  const headersNow: Record<string, string> = {}
  const signing = opened.authorize({
    method: 'POST',
    url,
    headers: headersNow,
    body: new Uint8Array(),
  })
  assert.equal(signing, undefined, 'a token at hand needs no waiting')
  assert.equal(headersNow['authorization'], 'Bearer ya29.a')
})

test('its token is renewed early, and never sent after its end', async (t) => {
  let count = 0
  const { url } = await startEndpoint(t, () => ({
    json: { access_token: `t${++count}`, expires_in: 3600 },
  }))
  const deps = depsOf({})
  const opened = createGoogleScheme(deps).open(row({ vertex_credentials: account(url) }))
  const sent = async () => (await headersOf(opened))['authorization']
  assert.equal(await sent(), 'Bearer t1')
  deps.clock.now += 56 * minute
  assert.equal(await sent(), 'Bearer t1')
  await settled(async () => (await sent()) === 'Bearer t2')
  assert.equal(count, 2)
  deps.clock.now += 61 * minute
  assert.equal(await sent(), 'Bearer t3')
})

test('the endpoint is down: a clear error, and recovery a second later', async (t) => {
  let down = true
  const { url, host } = await startEndpoint(
    t,
    (): Told =>
      down
        ? { status: 503, json: { error: 'unavailable', error_description: 'try later' } }
        : { json: { access_token: 'back', expires_in: 3600 } },
  )
  const deps = depsOf({})
  const opened = createGoogleScheme(deps).open(row({ vertex_credentials: account(url) }))
  await assert.rejects(headersOf(opened), {
    kind: 'authentication',
    message: `Google: ${host} refused with status 503: unavailable: try later`,
  })
  down = false
  deps.clock.now += 1001
  assert.equal((await headersOf(opened))['authorization'], 'Bearer back')
})

test('nobody listens: the host is named', async (t) => {
  const { url, host, close } = await startEndpoint(t, () => ({}))
  await close()
  const opened = createGoogleScheme(depsOf({})).open(row({ vertex_credentials: account(url) }))
  await assert.rejects(headersOf(opened), {
    kind: 'authentication',
    message: `Google: ${host} did not answer (ECONNREFUSED)`,
  })
})

test('an endpoint that echoes what it was sent: no secret in the error, nor in its cause', async (t) => {
  const { url } = await startEndpoint(t, ({ body, form }) => ({
    status: 400,
    json: {
      error: `bad ${form.refresh_token}`,
      error_description: `sent ${body} ${form.client_secret}`,
    },
  }))
  const secrets = { client_secret: 'GOCSPX-s3cr3t+/=', refresh_token: '1//r3fr3sh&token' }
  const user = { type: 'authorized_user', client_id: 'c', ...secrets, token_uri: url }
  for (const credentials of [user, account(url)]) {
    const opened = createGoogleScheme(depsOf({})).open(row({ vertex_credentials: credentials }))
    const error = await headersOf(opened).catch((cause: unknown) => cause)
    assert.ok(error instanceof Error)
    const shown = `${error.message} ${String(error.cause)}`
    assert.match(shown, /refused with status 400: bad/)
    for (const secret of [...Object.values(secrets), 'r3fr3sh', 's3cr3t', 'eyJ'])
      assert.ok(!shown.includes(secret), `${secret} in ${shown}`)
  }
})

const answers: [name: string, told: Told, expected: RegExp][] = [
  ['a page', { text: '<html>' }, /something other than a JSON object/],
  ['a list', { json: [] }, /something other than a JSON object/],
  ['no token', { json: { expires_in: 3600 } }, /without an access token/],
  [
    'a token no header can carry',
    { json: { access_token: 'a\r\nx: y' } },
    /without an access token/,
  ],
  [
    'a redirect',
    { status: 302, headers: { location: 'http://127.0.0.1:1/' }, text: '' },
    /status 302: a redirect, which is not followed/,
  ],
  ['expired', { json: { access_token: 'a', expires_in: 0 } }, /already expired/],
  ['too large', { text: 'x'.repeat(1_100_000) }, /did not answer \(TOO_LARGE\)/],
]
for (const [name, told, expected] of answers)
  test(`an answer that is no token: ${name}`, async (t) => {
    const { url } = await startEndpoint(t, () => told)
    const opened = createGoogleScheme(depsOf({})).open(row({ vertex_credentials: account(url) }))
    await assert.rejects(headersOf(opened), expected)
  })

test('where credentials come from: the row, then the environment, then the file of gcloud, then the machine', async (t) => {
  const { url, host, asked } = await startEndpoint(t, ({ path, form }) => ({
    json: {
      access_token: path.startsWith('/computeMetadata') ? 'machine' : (form.refresh_token ?? ''),
      expires_in: 3600,
    },
  }))
  const file = (refresh_token: string) =>
    JSON.stringify({
      type: 'authorized_user',
      client_id: 'c',
      client_secret: 's',
      refresh_token,
      token_uri: url,
    })
  const files = {
    '/row.json': file('row'),
    '/env.json': file('env'),
    '/adc.json': file('adc'),
    '/home/.config/gcloud/application_default_credentials.json': file('gcloud'),
    '/cloudsdk/application_default_credentials.json': file('cloudsdk'),
  }
  const cases: [expected: string, params: JsonObject, env: Record<string, string>][] = [
    ['row', { vertex_credentials: '/row.json' }, { VERTEXAI_CREDENTIALS: '/env.json' }],
    ['row', { vertex_credentials: files['/row.json'] }, {}],
    ['row', { vertex_ai_credentials: JSON.parse(files['/row.json']) }, {}],
    ['env', {}, { VERTEXAI_CREDENTIALS: '/env.json', GOOGLE_APPLICATION_CREDENTIALS: '/adc.json' }],
    ['adc', {}, { GOOGLE_APPLICATION_CREDENTIALS: '/adc.json', HOME: '/home' }],
    ['gcloud', {}, { HOME: '/home' }],
    ['cloudsdk', {}, { HOME: '/home', CLOUDSDK_CONFIG: '/cloudsdk' }],
    ['machine', {}, { HOME: '/nobody', GCE_METADATA_HOST: host }],
  ]
  for (const [expected, params, env] of cases) {
    const opened = createGoogleScheme(depsOf(env, files)).open(row(params))
    assert.deepEqual(await headersOf(opened), { authorization: `Bearer ${expected}` })
  }
  const last = asked.at(-1)
  assert.equal(last?.headers['metadata-flavor'], 'Google')
  assert.match(
    last?.path ?? '',
    /^\/computeMetadata\/v1\/instance\/service-accounts\/default\/token\?scopes=https%3A/,
  )
})

const lives: [name: string, said: JsonObject, goodForMs: number][] = [
  ['seconds in a text', { expires_in: '120' }, 2 * minute],
  [
    'its end, in seconds',
    { expires_on: String(Date.parse('2026-06-01T12:02:00Z') / 1000) },
    2 * minute,
  ],
  ['its end, in milliseconds', { expires_at: Date.parse('2026-06-01T12:02:00Z') }, 2 * minute],
  ['a life comes before an end', { expires_in: 120, expires_on: 1 }, 2 * minute],
  ['nothing', {}, 5 * minute],
  ['longer than anyone should', { expires_in: 1e300 }, 7 * 24 * 60 * minute],
]
for (const [name, said, goodForMs] of lives)
  test(`how long a token lives: ${name}`, async (t) => {
    const { url, asked } = await startEndpoint(t, () => ({ json: { access_token: 'a', ...said } }))
    const deps = depsOf({})
    const opened = createGoogleScheme(deps).open(row({ vertex_credentials: account(url) }))
    await headersOf(opened)
    deps.clock.now += goodForMs * 0.8
    await headersOf(opened)
    assert.equal(asked.length, 1)
    deps.clock.now += goodForMs * 0.2
    await headersOf(opened).catch(() => undefined) // the same end again has passed by now
    assert.equal(asked.length, 2)
  })

test('two rows of one identity share its token; two identities do not', async (t) => {
  let count = 0
  const { url } = await startEndpoint(t, () => ({
    json: { access_token: `t${++count}`, expires_in: 3600 },
  }))
  const scheme = createGoogleScheme(depsOf({}))
  const sent = async (credentials: JsonObject) =>
    (await headersOf(scheme.open(row({ vertex_credentials: credentials }))))['authorization']
  assert.equal(await sent(account(url)), 'Bearer t1')
  assert.equal(await sent(account(url)), 'Bearer t1')
  assert.equal(await sent(account(url, { client_email: 'other@p-1.example' })), 'Bearer t2')
})

test('the project that pays is named', async (t) => {
  const { url } = await startEndpoint(t, () => ({ json: { access_token: 'a', expires_in: 3600 } }))
  const credentials = account(url, { quota_project_id: 'payer-1' })
  const opened = createGoogleScheme(depsOf({})).open(row({ vertex_credentials: credentials }))
  assert.equal((await headersOf(opened))['x-goog-user-project'], 'payer-1')
})

test('workload identity: the subject token of a file or URL is exchanged, then a service account is worn', async (t) => {
  const { url, asked } = await startEndpoint(t, ({ path, headers }): Told => {
    if (path === '/subject')
      return headers['x-id'] === 'me'
        ? { json: { id_token: 'subject-2' } }
        : { status: 403, json: {} }
    if (path === '/sts') return { json: { access_token: 'federated', expires_in: 3600 } }
    return { json: { accessToken: 'worn', expireTime: '2026-06-01T13:00:00Z' } }
  })
  const base: JsonObject = {
    type: 'external_account',
    audience:
      '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${url}/sts`,
  }
  const wear = { service_account_impersonation_url: `${url}/sa:generateAccessToken` }
  const cases: [expected: string, subject: string, credentials: JsonObject][] = [
    ['federated', 'subject-1', { ...base, credential_source: { file: '/token' } }],
    ['worn', 'subject-1', { ...base, ...wear, credential_source: { file: '/token' } }],
    [
      'worn',
      'subject-2',
      {
        ...base,
        ...wear,
        credential_source: {
          url: `${url}/subject`,
          headers: { 'X-Id': 'me' },
          format: { type: 'json', subject_token_field_name: 'id_token' },
        },
      },
    ],
  ]
  for (const [expected, subject, credentials] of cases) {
    asked.length = 0
    const deps = depsOf({}, { '/token': 'subject-1\n' })
    const opened = createGoogleScheme(deps).open(row({ vertex_credentials: credentials }))
    assert.equal((await headersOf(opened))['authorization'], `Bearer ${expected}`)
    const sts = asked.find(({ path }) => path === '/sts')
    assert.equal(sts?.form.subject_token, subject)
    assert.equal(sts?.form.audience, base.audience)
    assert.equal(sts?.form.requested_token_type, 'urn:ietf:params:oauth:token-type:access_token')
    const worn = asked.find(({ path }) => path.startsWith('/sa'))
    if (expected !== 'worn') continue
    assert.equal(worn?.headers['authorization'], 'Bearer federated')
    assert.deepEqual(JSON.parse(worn?.body ?? ''), {
      scope: ['https://www.googleapis.com/auth/cloud-platform'],
      lifetime: '3600s',
      delegates: [],
    })
  }
})

test('workload identity on AWS: a signed question who we are is the subject token', async (t) => {
  const { url, host, asked } = await startEndpoint(t, ({ path, method }): Told => {
    if (method === 'PUT') return { text: 'imds-token' }
    if (path === '/latest/meta-data/placement/region') return { text: 'eu-west-3' }
    if (path.endsWith('/security-credentials/')) return { text: 'role' }
    if (path.endsWith('/security-credentials/role'))
      return {
        json: { Code: 'Success', AccessKeyId: 'AKMACHINE', SecretAccessKey: 's', Token: 't' },
      }
    return { json: { access_token: 'federated', expires_in: 3600 } }
  })
  const audience =
    '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b'
  const credentials: JsonObject = {
    type: 'external_account',
    audience,
    subject_token_type: 'urn:ietf:params:aws:token-type:aws4_request',
    token_url: `${url}/sts`,
    credential_source: {
      environment_id: 'aws1',
      regional_cred_verification_url: `http://${host}/{region}?Action=GetCallerIdentity&Version=2011-06-15`,
    },
  }
  const keys = {
    AWS_ACCESS_KEY_ID: 'AKENV',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: 'eu-central-1',
  }
  const off = { AWS_EC2_METADATA_DISABLED: 'true' }
  const machine = { AWS_EC2_METADATA_SERVICE_ENDPOINT: url }
  const own = {
    aws_access_key_id: 'AKFILE',
    aws_secret_access_key: 's',
    aws_region_name: 'us-east-2',
  }
  const cases: [
    key: string,
    region: string,
    token: boolean,
    more: JsonObject,
    env: Record<string, string>,
  ][] = [
    ['AKENV', 'eu-central-1', false, {}, { ...keys, ...off }],
    ['AKMACHINE', 'eu-west-3', true, {}, machine],
    ['AKFILE', 'us-east-2', false, own, { ...keys, ...off }],
  ]
  for (const [key, region, token, more, env] of cases) {
    asked.length = 0
    const opened = createGoogleScheme(depsOf(env)).open(
      row({ vertex_credentials: { ...credentials, ...more } }),
    )
    assert.equal((await headersOf(opened))['authorization'], 'Bearer federated')
    const { form } = asked.find(({ path }) => path === '/sts') ?? {}
    assert.equal(form?.audience, audience)
    const said = JSON.parse(decodeURIComponent(form?.subject_token ?? ''))
    assert.equal(said.method, 'POST')
    assert.equal(said.url, `http://${host}/${region}?Action=GetCallerIdentity&Version=2011-06-15`)
    const headers: Record<string, string> = Object.fromEntries(
      said.headers.map((one: { key: string; value: string }) => [one.key, one.value]),
    )
    assert.equal(headers.host, host)
    assert.equal(headers['x-goog-cloud-target-resource'], audience)
    assert.equal('x-amz-security-token' in headers, token)
    assert.match(
      headers.authorization ?? '',
      new RegExp(
        `^AWS4-HMAC-SHA256 Credential=${key}/20260601/${region}/sts/aws4_request, SignedHeaders=host;x-amz-date;${token ? 'x-amz-security-token;' : ''}x-goog-cloud-target-resource, Signature=[0-9a-f]{64}$`,
      ),
    )
  }
  for (const environment_id of ['azure1', 'aws2', 3]) {
    const source = { ...credentials, credential_source: { environment_id } }
    const opened = createGoogleScheme(depsOf({})).open(row({ vertex_credentials: source }))
    await assert.rejects(headersOf(opened), /environment_id\): aws1 is/)
  }
})

test('the file of a federated token is read for each exchange', async (t) => {
  const { url, asked } = await startEndpoint(t, () => ({
    json: { access_token: 'a', expires_in: 60 },
  }))
  const deps = depsOf({}, { '/token': 'first' })
  const opened = createGoogleScheme(deps).open(
    row({
      vertex_credentials: {
        type: 'external_account',
        audience: 'a',
        subject_token_type: 'jwt',
        token_url: url,
        credential_source: { file: '/token' },
      },
    }),
  )
  await headersOf(opened)
  deps.files['/token'] = 'second'
  deps.clock.now += 2 * minute
  await headersOf(opened)
  assert.deepEqual(
    asked.map(({ form }) => form.subject_token),
    ['first', 'second'],
  )
})

test('impersonation and users of a workforce', async (t) => {
  const { url, asked } = await startEndpoint(
    t,
    ({ path }): Told =>
      path === '/sa'
        ? { json: { accessToken: 'worn', expireTime: '2026-06-01T12:30:00Z' } }
        : { json: { access_token: 'user', expires_in: 3600 } },
  )
  const user = { client_id: 'c', client_secret: 's', refresh_token: 'r', token_uri: `${url}/user` }
  const cases: [string, JsonObject][] = [
    [
      'worn',
      {
        type: 'impersonated_service_account',
        service_account_impersonation_url: `${url}/sa`,
        delegates: ['d'],
        source_credentials: { type: 'authorized_user', ...user },
      },
    ],
    ['user', { type: 'external_account_authorized_user', token_url: `${url}/workforce`, ...user }],
  ]
  for (const [expected, credentials] of cases) {
    const opened = createGoogleScheme(depsOf({})).open(row({ vertex_credentials: credentials }))
    assert.equal((await headersOf(opened))['authorization'], `Bearer ${expected}`)
  }
  assert.deepEqual(JSON.parse(asked.find(({ path }) => path === '/sa')?.body ?? '').delegates, [
    'd',
  ])
  const workforce = asked.find(({ path }) => path === '/workforce')
  assert.equal(workforce?.headers['authorization'], `Basic ${btoa('c:s')}`)
})

const external = (credential_source: JsonObject): JsonObject => ({
  type: 'external_account',
  audience: 'a',
  subject_token_type: 'b',
  token_url: 'http://127.0.0.1:1/',
  credential_source,
})
const broken: [name: string, credentials: string | JsonObject, expected: RegExp][] = [
  ['a file that is not there', '/none.json', /vertex_credentials: \/none\.json does not exist/],
  ['a file that is not JSON', '/text', /vertex_credentials does not hold a JSON object/],
  ['an unknown type', { type: 'gdch' }, /is of type "gdch": give one of service_account/],
  ['a type named as a method', { type: 'constructor' }, /is of type "constructor"/],
  ['no key', { client_email: 'a' }, /has no private_key/],
  [
    'a key that is none',
    account('x', { private_key: 'abc' }),
    /private_key of vertex_credentials holds no PEM private key/,
  ],
  [
    'a key cut short',
    account('x', { private_key: key.pem.replace(/\n.{64}\n/, '\n') }),
    /is not an RSA private key/,
  ],
  [
    'a program',
    external({ executable: { command: 'rm' } }),
    /asks to run a program.*use file or url/,
  ],
  [
    'a client certificate',
    external({ certificate: { use_default_certificate_config: true } }),
    /asks for a client certificate.*use file or url/,
  ],
  ['no source', external({}), /has no credential_source\.file/],
  ['an empty token', external({ file: '/empty' }), /empty subject token/],
  ['a strange URL', external({ url: 'file:///etc/passwd' }), /not an http or https URL/],
  ['nested without end', nested(6), /nested more than 3 deep/],
]
function nested(depth: number): JsonObject {
  return depth === 0
    ? account('http://127.0.0.1:1')
    : {
        type: 'impersonated_service_account',
        service_account_impersonation_url: 'x',
        source_credentials: nested(depth - 1),
      }
}
for (const [name, credentials, expected] of broken)
  test(`credentials that cannot be used: ${name}`, async () => {
    const deps = depsOf({}, { '/text': 'no', '/empty': ' \n' })
    const opened = createGoogleScheme(deps).open(row({ vertex_credentials: credentials }))
    const error = await headersOf(opened).catch((cause: unknown) => cause)
    assert.ok(error instanceof Error)
    assert.match(error.message, expected)
    assert.ok(!error.message.includes('PRIVATE KEY-----\nMII'))
  })

test('what is wrong at first sight is said before anyone is asked', () => {
  const scheme = createGoogleScheme(depsOf({}))
  const broken = scheme.open(row({ vertex_credentials: '{"type": "service_account",' }))
  assert.match(broken.problem?.message ?? '', /vertex_credentials does not hold a JSON object/)
  const unset = scheme.open(row({}, { unset: { vertex_credentials: 'MY_CREDENTIALS' } }))
  assert.match(unset.problem?.message ?? '', /os\.environ\/MY_CREDENTIALS, which is not set/)
})

test('no credentials at all: the error says what to set', async (t) => {
  const { host, close } = await startEndpoint(t, () => ({}))
  await close()
  const opened = createGoogleScheme(depsOf({ GCE_METADATA_HOST: host })).open(row())
  await assert.rejects(headersOf(opened), {
    kind: 'authentication',
    message: `Google: no credentials. Set vertex_credentials in litellm_params or GOOGLE_APPLICATION_CREDENTIALS in the environment (Google: ${host} did not answer (ECONNREFUSED))`,
  })
})

test('the project: the row, the environment, the credentials, the machine', async (t) => {
  const { host } = await startEndpoint(t, ({ path }) => ({
    text: path === '/computeMetadata/v1/project/project-id' ? 'machine-p' : 'wrong',
  }))
  const files = {
    '/sa.json': JSON.stringify({ project_id: 'file-p' }),
    '/user.json': JSON.stringify({ quota_project_id: 'quota-p' }),
  }
  const cases: [expected: string | undefined, params: JsonObject, env: Record<string, string>][] = [
    ['row-p', { vertex_project: 'row-p' }, { VERTEXAI_PROJECT: 'env-p' }],
    ['env-p', {}, { VERTEXAI_PROJECT: 'env-p' }],
    ['inline-p', { vertex_credentials: { project_id: 'inline-p' } }, {}],
    ['file-p', { vertex_credentials: '/sa.json' }, {}],
    ['quota-p', {}, { GOOGLE_APPLICATION_CREDENTIALS: '/user.json' }],
    ['machine-p', {}, { GCE_METADATA_HOST: host }],
    [undefined, { vertex_project: 'a/../b' }, { GCE_METADATA_HOST: '127.0.0.1:1' }],
  ]
  const place = '/projects/{vertex_project|VERTEXAI_PROJECT}/locations'
  for (const [expected, params, env] of cases) {
    const deps = depsOf(env, files)
    assert.equal(await projectOf(params, deps), expected)
    const locate = async () => createGoogleScheme(deps).open(row(params)).locate?.(place)
    if (expected !== undefined) assert.equal(await locate(), `/projects/${expected}/locations`)
    else await assert.rejects(locate(), { message: /no project. Set vertex_project/ })
  }
  const closed = createGoogleScheme(depsOf({})).open(row({})).locate?.('https://h/p')
  assert.equal(closed, 'https://h/p', 'nothing is asked where nothing is open')
  assert.equal(
    projectSaid({ vertex_credentials: { project_id: 'inline-p' } }, () => undefined),
    'inline-p',
  )
  assert.equal(
    projectSaid({ vertex_credentials: '/sa.json' }, () => undefined),
    undefined,
  )
})
