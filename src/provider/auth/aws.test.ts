import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import type { AuthDeps, AuthFetch, AuthRow } from './auth.ts'
import { awsScheme } from './aws.ts'
import { NodeHash } from './aws-hash.node.ts'
import { sha1Hex } from './aws-hash.ts'

type Seen = { method: string; path: string; headers: IncomingMessage['headers']; body: string }
let base = ''
let seen: Seen[] = []
let answer: (seen: Seen) => { status?: number; body: string; delayMs?: number } = () => ({
  body: '',
})

/** AWS's services, all of them on one port of this machine. */
const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  const one = {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body,
  }
  seen.push(one)
  const { status = 200, body: said, delayMs = 0 } = answer(one)
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
  response.writeHead(status).end(said)
})
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => server.close())

const loopback = async ({ method, url, headers, body, timeoutMs }: AuthFetch) => {
  const init = {
    method,
    headers,
    redirect: 'manual' as const,
    signal: AbortSignal.timeout(timeoutMs),
  }
  const response = await fetch(url, body === undefined ? init : { ...init, body })
  return { status: response.status, body: await response.text() }
}

type World = {
  chain?: AuthDeps['awsChain']
  params?: JsonObject
  env?: Record<string, string>
  files?: Record<string, string>
  now?: () => number
  unset?: Record<string, string>
  model?: string
  service?: string
}
const start = Date.parse('2026-01-02T03:04:05Z')

function open({
  chain,
  params = {},
  env = {},
  files,
  now = () => start,
  unset = {},
  model = 'm',
  service = 'bedrock',
}: World) {
  seen = []
  const all: Record<string, string> = { AWS_EC2_METADATA_DISABLED: 'true', ...env }
  const scheme = awsScheme(
    {
      env: (name) => all[name]?.replace('BASE', base),
      now,
      fetch: loopback,
      hash: NodeHash,
      ...(files && {
        readFile: async (path: string) => files[path] ?? Promise.reject(new Error(`no ${path}`)),
        writeFile: async (path: string, content: string) => {
          files[path] = content
        },
      }),
      ...(chain && { awsChain: chain }),
    },
    service,
  )
  const row: AuthRow = { provider: 'bedrock', model, params, hasBase: false, unset }
  return scheme.open(row)
}

async function signed(
  { authorize }: ReturnType<typeof open>,
  url = 'http://127.0.0.1/model/m/converse',
): Promise<{
  key: string
  region: string
  token: string | undefined
  all: Record<string, string>
}> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  await authorize({ method: 'POST', url, headers, body: new Uint8Array() })
  const said = /Credential=([^/]+)\/\d{8}\/([^/]+)\//.exec(headers.authorization ?? '')
  return {
    key: said?.[1] ?? '',
    region: said?.[2] ?? '',
    token: headers['x-amz-security-token'],
    all: headers,
  }
}

const sts = (action: string, key: string, minutes = 60): string =>
  `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><AccessKeyId>${key}</AccessKeyId><SecretAccessKey>sts+secret</SecretAccessKey><SessionToken>token==&amp;x</SessionToken><Expiration>${new Date(start + minutes * 60_000).toISOString()}</Expiration></Credentials></${action}Result></${action}Response>`
const document = (key: string): string =>
  JSON.stringify({
    Code: 'Success',
    AccessKeyId: key,
    SecretAccessKey: 'secret',
    Token: 'token',
    Expiration: new Date(start + 3_600_000).toISOString(),
  })
const keys = { aws_access_key_id: 'AKROW', aws_secret_access_key: 'row-secret' }
const surrounding = { AWS_ACCESS_KEY_ID: 'AKENV', AWS_SECRET_ACCESS_KEY: 'env-secret' }
const form = (at: number): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(seen[at]?.body))

describe('AWS credentials', () => {
  it('keys of the row', async () => {
    const opened = open({
      params: { ...keys, aws_session_token: 'row-token', aws_region_name: 'eu-west-3' },
      env: surrounding,
    })
    const { key, region, token, all } = await signed(opened)
    assert.deepEqual([key, region, token], ['AKROW', 'eu-west-3', 'row-token'])
    assert.equal(all['x-amz-date'], '20260102T030405Z')
    assert.deepEqual(opened.secrets, ['row-secret', 'row-token'])
  })

  it('keys of the environment', async () => {
    const { key, region, token } = await signed(
      open({ env: { ...surrounding, AWS_SESSION_TOKEN: 'st', AWS_REGION: 'sa-east-1' } }),
    )
    assert.deepEqual([key, region, token], ['AKENV', 'sa-east-1', 'st'])
  })

  it('a Bedrock API key is a bearer token, and nothing is signed', async () => {
    const { all } = await signed(open({ params: { api_key: 'bedrock-api-key-1' } }))
    assert.deepEqual(all, {
      'content-type': 'application/json',
      authorization: 'Bearer bedrock-api-key-1',
    })
    const fromEnv = open({ env: { AWS_BEARER_TOKEN_BEDROCK: 'bedrock-api-key-2' } })
    assert.equal((await signed(fromEnv)).all.authorization, 'Bearer bedrock-api-key-2')
    assert.deepEqual(fromEnv.secrets, ['bedrock-api-key-2'])
    const both = open({ params: keys, env: { AWS_BEARER_TOKEN_BEDROCK: 'bedrock-api-key-2' } })
    assert.equal((await signed(both)).key, 'AKROW')
  })

  it('a bucket is asked with a signature, whatever Bedrock is asked with, and with keys of its own', async () => {
    const bucket = { s3_access_key_id: 'AKBUCKET', s3_secret_access_key: 'bucket-secret' }
    const cases: [params: JsonObject, env: Record<string, string>, key: string][] = [
      [{ api_key: 'bedrock-api-key-1' }, surrounding, 'AKENV'],
      [{ api_key: 'bedrock-api-key-1', ...bucket }, {}, 'AKBUCKET'],
      [{ ...keys, ...bucket }, {}, 'AKBUCKET'],
      [{ ...keys, s3_access_key_id: 'AKBUCKET' }, {}, 'AKROW'],
    ]
    for (const [params, env, key] of cases) {
      const { authorize, secrets } = open({ params, env })
      const headers: Record<string, string> = {}
      const url = 'http://127.0.0.1/bucket/name'
      const body = new Uint8Array()
      await authorize({ method: 'GET', url, headers, body, service: 's3', region: 'eu-south-1' })
      assert.match(
        headers.authorization ?? '',
        new RegExp(`Credential=${key}/\\d{8}/eu-south-1/s3/aws4_request`),
      )
      assert.equal(secrets.includes('bucket-secret'), key === 'AKBUCKET')
    }
    const { authorize } = open({ params: { ...keys, ...bucket, s3_secret_access_key: 'a\nb' } })
    const request = { method: 'GET', url: 'http://127.0.0.1/', headers: {}, body: new Uint8Array() }
    await assert.rejects(async () => authorize({ ...request, service: 's3' }), /AWS|key/)
    await authorize(request)
    const lacking = open({ params: keys, unset: { s3_secret_access_key: 'BUCKET_KEY' } })
    await assert.rejects(
      async () => lacking.authorize({ ...request, service: 's3' }),
      /s3_secret_access_key of this model is os.environ\/BUCKET_KEY, which is not set/,
    )
  })

  it('aws_role_name is assumed with the keys at hand, once for all who wait', async () => {
    answer = () => ({ body: sts('AssumeRole', 'AKROLE'), delayMs: 20 })
    const opened = open({
      params: {
        ...keys,
        aws_region_name: 'eu-central-1',
        aws_role_name: 'arn:aws:iam::1:role/r',
        aws_session_name: 'me',
        aws_external_id: 'x1',
        aws_session_tags: [{ Key: 'team', Value: 'a b' }],
      },
      env: { AWS_ENDPOINT_URL_STS: 'BASE' },
    })
    const all = await Promise.all([signed(opened), signed(opened), signed(opened)])
    assert.deepEqual(
      all.map(({ key }) => key),
      ['AKROLE', 'AKROLE', 'AKROLE'],
    )
    assert.equal(all[0]?.token, 'token==&x')
    assert.equal(seen.length, 1)
    assert.match(
      seen[0]?.headers.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=AKROW\/20260102\/eu-central-1\/sts\/aws4_request/,
    )
    assert.deepEqual(form(0), {
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: 'arn:aws:iam::1:role/r',
      RoleSessionName: 'me',
      ExternalId: 'x1',
      'Tags.member.1.Key': 'team',
      'Tags.member.1.Value': 'a b',
    })
  })

  it('a web identity: of the pod (IRSA), and of the row', async () => {
    answer = () => ({ body: sts('AssumeRoleWithWebIdentity', 'AKWEB') })
    const env = {
      AWS_WEB_IDENTITY_TOKEN_FILE: '/var/token',
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/pod',
      AWS_ENDPOINT_URL_STS: 'BASE/',
    }
    const files = { '/var/token': 'jwt.of.pod\n' }
    assert.equal((await signed(open({ env, files }))).key, 'AKWEB')
    assert.equal(form(0).WebIdentityToken, 'jwt.of.pod')
    assert.equal(seen[0]?.headers.authorization, undefined)
    // The pod's own role is not assumed a second time.
    await signed(open({ params: { aws_role_name: env.AWS_ROLE_ARN }, env, files }))
    assert.equal(seen.length, 1)
    for (const [token, sent] of [
      ['oidc/env/MY_TOKEN', 'from-env'],
      ['oidc/file//var/token', 'jwt.of.pod'],
      ['/var/token', 'jwt.of.pod'],
      ['MY_TOKEN', 'from-env'],
      ['ey.itself', 'ey.itself'],
    ]) {
      const params = {
        aws_web_identity_token: token,
        aws_role_name: 'arn:aws:iam::1:role/r',
        aws_sts_endpoint: base,
      }
      await signed(open({ params, env: { MY_TOKEN: 'from-env' }, files }))
      assert.equal(form(0).WebIdentityToken, sent)
    }
  })

  it('profiles: keys, roles over other profiles, SSO', async () => {
    const files: Record<string, string> = {
      '/home/u/.aws/credentials':
        '[base]\naws_access_key_id = AKBASE\naws_secret_access_key=s/+=\n\n[default]\r\naws_access_key_id=AKDEF\r\naws_secret_access_key=s # note\r\n',
      '/home/u/.aws/config': [
        '# comment',
        '[profile role]',
        'role_arn = arn:aws:iam::1:role/p',
        'source_profile = base',
        'external_id=e',
        's3 =',
        '  max_concurrent_requests = 20',
        '[profile circle]',
        'role_arn=arn:aws:iam::1:role/p',
        'source_profile=circle2',
        '[profile circle2]',
        'role_arn=arn:aws:iam::1:role/p',
        'source_profile=circle',
        '[profile process]',
        'credential_process = /bin/true',
        '[profile sso]',
        'sso_session = corp',
        'sso_account_id = 123456789012',
        'sso_role_name = Dev',
        '[sso-session corp]',
        'sso_start_url = https://corp.awsapps.com/start',
        'sso_region = eu-west-1',
        '[profile surroundings]',
        'role_arn=arn:aws:iam::1:role/p',
        'credential_source=Environment',
      ].join('\n'),
      [`/home/u/.aws/sso/cache/${await sha1Hex('corp')}.json`]: JSON.stringify({
        accessToken: 'sso-token',
        expiresAt: '2026-01-02T04:00:00Z',
      }),
    }
    const env = { HOME: '/home/u', AWS_ENDPOINT_URL_STS: 'BASE', AWS_ENDPOINT_URL_SSO: 'BASE' }
    const by = (profile: string, more = {}) =>
      signed(open({ params: { aws_profile_name: profile }, env: { ...env, ...more }, files }))

    assert.equal((await by('base')).key, 'AKBASE')
    assert.equal((await signed(open({ env, files }))).key, 'AKDEF')
    assert.equal(
      (await signed(open({ env: { ...env, AWS_PROFILE: 'base' }, files }))).key,
      'AKBASE',
    )
    assert.equal((await signed(open({ env: { ...env, ...surrounding }, files }))).key, 'AKENV')

    answer = () => ({ body: sts('AssumeRole', 'AKROLE') })
    assert.equal((await by('role')).key, 'AKROLE')
    assert.match(seen[0]?.headers.authorization ?? '', /Credential=AKBASE\//)
    assert.equal(form(0).ExternalId, 'e')
    assert.equal((await by('surroundings', surrounding)).key, 'AKROLE')
    assert.match(seen[0]?.headers.authorization ?? '', /Credential=AKENV\//)

    answer = () => ({
      body: JSON.stringify({
        roleCredentials: {
          accessKeyId: 'AKSSO',
          secretAccessKey: 's',
          sessionToken: 't',
          expiration: start + 3_600_000,
        },
      }),
    })
    assert.equal((await by('sso')).key, 'AKSSO')
    assert.equal(seen[0]?.path, '/federation/credentials?role_name=Dev&account_id=123456789012')
    assert.equal(seen[0]?.headers['x-amz-sso_bearer_token'], 'sso-token')

    await refusesWith(by('circle'), /circle → circle2 → circle/)
    await refusesWith(by('process'), /install @aws-sdk\/credential-provider-node/)
    await refusesWith(by('nobody'), /no AWS profile nobody/)
    const later = open({
      params: { aws_profile_name: 'sso' },
      env,
      files,
      now: () => start + 7_200_000,
    })
    await refusesWith(signed(later), /aws sso login --profile sso/)
  })

  it('an SSO session is renewed shortly before its end, for AWS’s own tools too', async () => {
    const cache = `/home/u/.aws/sso/cache/${await sha1Hex('corp')}.json`
    const files: Record<string, string> = {
      '/home/u/.aws/config':
        '[profile sso]\nsso_session=corp\nsso_account_id=1\nsso_role_name=Dev\n[sso-session corp]\nsso_start_url=https://corp\nsso_region=eu-west-1\n',
      [cache]: JSON.stringify({
        startUrl: 'https://corp',
        accessToken: 'old',
        expiresAt: '2026-01-02T03:05:00Z',
        clientId: 'client',
        clientSecret: 'secret',
        registrationExpiresAt: '2026-02-02T00:00:00Z',
        refreshToken: 'refresh-1',
      }),
    }
    const env = { HOME: '/home/u', AWS_ENDPOINT_URL_SSO: 'BASE', AWS_ENDPOINT_URL_SSO_OIDC: 'BASE' }
    const ask = () => signed(open({ params: { aws_profile_name: 'sso' }, env, files }))
    let refused = true
    answer = ({ path, headers }) => {
      if (path === '/token')
        return refused
          ? { status: 400, body: '{"error":"invalid_grant"}' }
          : {
              body: JSON.stringify({
                accessToken: 'new',
                expiresIn: 3600,
                refreshToken: 'refresh-2',
              }),
            }
      return {
        body: JSON.stringify({
          roleCredentials: {
            accessKeyId: `AK-${headers['x-amz-sso_bearer_token']}`,
            secretAccessKey: 's',
            sessionToken: 't',
            expiration: start + 3_600_000,
          },
        }),
      }
    }
    // What is left of it serves while it is not renewed.
    assert.equal((await ask()).key, 'AK-old')
    refused = false
    assert.equal((await ask()).key, 'AK-new')
    assert.deepEqual(JSON.parse(seen[0]?.body ?? ''), {
      clientId: 'client',
      clientSecret: 'secret',
      refreshToken: 'refresh-1',
      grantType: 'refresh_token',
    })
    assert.deepEqual(JSON.parse(files[cache] ?? ''), {
      startUrl: 'https://corp',
      accessToken: 'new',
      expiresAt: '2026-01-02T04:04:05Z',
      clientId: 'client',
      clientSecret: 'secret',
      registrationExpiresAt: '2026-02-02T00:00:00Z',
      refreshToken: 'refresh-2',
    })
    assert.equal((await ask()).key, 'AK-new')
    assert.deepEqual(
      seen.map(({ path }) => path.split('?')[0]),
      ['/federation/credentials'],
    )
  })

  it('what only AWS’s package knows is its affair, where it is installed', async () => {
    const files = { '/home/u/.aws/config': '[profile process]\ncredential_process = /bin/true\n' }
    const params = { aws_profile_name: 'process' }
    const env = { HOME: '/home/u' }
    const keys = {
      accessKeyId: 'AKSDK',
      secretAccessKey: 's',
      sessionToken: 't',
      expires: start + 9e6,
    }
    const asked: unknown[] = []
    const found = await signed(
      open({
        params,
        env,
        files,
        chain: async (profile) => {
          asked.push(profile)
          return keys
        },
      }),
    )
    assert.deepEqual([found.key, found.token, asked], ['AKSDK', 't', ['process']])
    const broken = open({
      params,
      env,
      files,
      chain: async () => Promise.reject(new Error('exit 1')),
    })
    await refusesWith(
      signed(broken),
      /the AWS profile process gave no credentials: its program or login failed$/,
    )
  })

  it('the container’s service, with its token', async () => {
    answer = () => ({ body: document('AKBOX') })
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'BASE/creds?x=1',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/run/token',
    }
    const { key, token } = await signed(open({ env, files: { '/run/token': 'Basic abc' } }))
    assert.deepEqual([key, token], ['AKBOX', 'token'])
    assert.equal(seen[0]?.path, '/creds?x=1')
    assert.equal(seen[0]?.headers.authorization, 'Basic abc')
    await refusesWith(
      signed(open({ env: { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.1.1/' } })),
      /https address or one of this machine/,
    )
  })

  it('the machine’s service: first a token, then the role, then its keys', async () => {
    answer = ({ method, path, headers }) =>
      method === 'PUT'
        ? { body: 'imds-token' }
        : headers['x-aws-ec2-metadata-token'] !== 'imds-token'
          ? { status: 401, body: '' }
          : { body: path.endsWith('/') ? 'my-role' : document('AKEC2') }
    const env = { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: 'BASE/' }
    assert.equal((await signed(open({ env }))).key, 'AKEC2')
    assert.deepEqual(
      seen.map(({ method, path }) => `${method} ${path}`),
      [
        'PUT /latest/api/token',
        'GET /latest/meta-data/iam/security-credentials/',
        'GET /latest/meta-data/iam/security-credentials/my-role',
      ],
    )
    answer = () => ({ status: 403, body: '' })
    await refusesWith(signed(open({ env })), /^no AWS credentials: set aws_access_key_id/)
  })

  it('what expires is fetched again early, beside the requests', async () => {
    let count = 0
    answer = () => ({ body: sts('AssumeRole', `AK${++count}`, count * 60) })
    let time = start
    const opened = open({
      params: { ...keys, aws_role_name: 'arn:aws:iam::1:role/r', aws_sts_endpoint: base },
      now: () => time,
    })
    assert.equal((await signed(opened)).key, 'AK1')
    time += 50 * 60_000
    assert.equal((await signed(opened)).key, 'AK1')
    assert.equal(count, 1)
    time += 6 * 60_000
    assert.equal((await signed(opened)).key, 'AK1')
    while (count < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    while ((await signed(opened)).key !== 'AK2')
      await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(count, 2)
  })

  it('answers that are refusals or nonsense are told, whatever they are', async () => {
    const row = { params: { ...keys, aws_role_name: 'r', aws_sts_endpoint: base } }
    answer = () => ({
      status: 403,
      body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>',
    })
    const denied = await refusesWith(
      signed(open(row)),
      /AWS STS AssumeRole gave no AWS credentials: AccessDenied: not authorized/,
    )
    assert.equal(denied.kind, 'authentication')
    answer = () => ({ status: 503, body: 'no' })
    assert.equal((await refusesWith(signed(open(row)), /HTTP 503/)).kind, 'unavailable')
    for (const body of [
      '',
      '{}',
      '<AccessKeyId>',
      '<AccessKeyId>a b</AccessKeyId><SecretAccessKey>x</SecretAccessKey>',
      sts('AssumeRole', 'A\nB'),
    ]) {
      answer = () => ({ body })
      await refusesWith(signed(open(row)), /AWS/)
    }
    await refusesWith(
      signed(open({ params: { ...row.params, aws_sts_endpoint: 'http://127.0.0.1:1' } })),
      /could not be reached/,
    )
  })
})

const problems: [name: string, world: World, said: RegExp | undefined][] = [
  ['half a key', { params: { aws_access_key_id: 'AK' } }, /aws_secret_access_key is missing/],
  ['the other half', { params: { aws_secret_access_key: 's' } }, /aws_access_key_id is missing/],
  ['a key with a line end', { params: { ...keys, aws_secret_access_key: 'a\nb' } }, /line end/],
  ['an API key with a space', { params: { api_key: 'a b' } }, /character/],
  ['a token without a role', { params: { aws_web_identity_token: 't' } }, /aws_role_name/],
  ['nothing at all', {}, /^no AWS credentials/],
  [
    'an environment variable that is not set',
    { params: {}, env: surrounding, unset: { aws_access_key_id: 'MY_KEY' } },
    /os\.environ\/MY_KEY/,
  ],
  ['files may hold some', { files: {} }, undefined],
  ['a machine may give some', { env: { AWS_EC2_METADATA_DISABLED: 'false' } }, undefined],
]
describe('what is known before anyone is asked', () => {
  for (const [name, world, said] of problems)
    it(name, async () => {
      const opened = open(world)
      if (said === undefined) return assert.equal(opened.problem, undefined)
      assert.match(opened.problem?.message ?? '', said)
      assert.equal(opened.problem?.kind, 'authentication')
      await refusesWith(signed(opened), said)
    })
})

const regions: [name: string, world: World, url: string, region: string][] = [
  [
    'the row',
    { params: { aws_region_name: 'eu-north-1' }, env: { AWS_REGION: 'us-east-2' } },
    'http://127.0.0.1/',
    'eu-north-1',
  ],
  [
    'AWS’s own host',
    { params: { aws_region_name: 'eu-north-1' } },
    'https://bedrock-runtime.ap-southeast-2.amazonaws.com/',
    'ap-southeast-2',
  ],
  [
    'a private endpoint',
    {},
    'https://vpce-1-a.bedrock-runtime.us-gov-west-1.vpce.amazonaws.com/',
    'us-gov-west-1',
  ],
  [
    'the ARN',
    {
      model: 'arn:aws:bedrock:ca-central-1:1:inference-profile/x',
      env: { AWS_REGION: 'us-east-2' },
    },
    'http://127.0.0.1/',
    'ca-central-1',
  ],
  [
    'AWS_REGION_NAME',
    { env: { AWS_REGION_NAME: 'us-east-1', AWS_REGION: 'us-east-2' } },
    'http://127.0.0.1/',
    'us-east-1',
  ],
  [
    'AWS_DEFAULT_REGION',
    { env: { AWS_DEFAULT_REGION: 'us-east-2' } },
    'http://127.0.0.1/',
    'us-east-2',
  ],
  ['nobody', {}, 'http://127.0.0.1/', 'us-west-2'],
]
describe('who tells the region', () => {
  for (const [name, world, url, region] of regions)
    it(name, async () => {
      const opened = open({ ...world, params: { ...keys, ...world.params } })
      assert.equal((await signed(opened, url)).region, region)
    })
})

async function refusesWith(promise: Promise<unknown>, said: RegExp): Promise<GatewayError> {
  const error: unknown = await promise.then(
    () => assert.fail('was not refused'),
    (cause) => cause,
  )
  assert.ok(GatewayError.is(error), String(error))
  assert.match(error.message, said)
  return error
}
