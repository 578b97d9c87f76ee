import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { isObject, type JsonObject, list, object } from '../src/json/json.ts'
import { type Gateway, startGateway } from './support/gateway.ts'
import { fileScope, hello, type Scope, startProvider } from './support/provider.ts'
import { call, callCost, masterKey, pricedRow } from './support/spending.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)

type Signer = { kid: string; alg: string; privateKey: CryptoKey; publicKey: CryptoKey; jwk: JWK }
async function signer(kid: string, alg = 'RS256'): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return {
    kid,
    alg,
    privateKey,
    publicKey,
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
  }
}

/** An issuer on loopback that shows the keys it is told to. */
async function startIssuer(t: Scope, keys: JWK[]) {
  let shown = keys
  let down = false
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    if (down) return void response.writeHead(500).end()
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify(
        request.url?.includes('openid-configuration')
          ? { issuer: origin, jwks_uri: `${origin}/keys` }
          : { keys: shown },
      ),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = server.address()
  const origin = `http://127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    origin,
    show: (next: JWK[]) => {
      shown = next
    },
    fail: (is: boolean) => {
      down = is
    },
    asked: () => asked,
  }
}

const token = (
  by: Signer,
  claims: JWTPayload,
  { kid = by.kid, alg = by.alg, seconds = 300 } = {},
): Promise<string> =>
  new SignJWT({ sub: 'kim', ...claims })
    .setProtectedHeader({ alg, kid })
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(by.privateKey)

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const first = await signer('first')

async function gatewayWith(
  t: Scope,
  jwt: JsonObject,
  {
    env = {},
    general = {},
    litellm = {},
  }: { env?: Record<string, string>; general?: JsonObject; litellm?: JsonObject } = {},
) {
  const issuer = await startIssuer(t, [first.jwk])
  const gateway = await startGateway(t, {
    models: [pricedRow(provider), { ...pricedRow(provider), model_name: 'other' }],
    litellm,
    general: { master_key: masterKey, enable_jwt_auth: true, litellm_jwtauth: jwt, ...general },
    env: {
      JWT_PUBLIC_KEY_URL: `${issuer.origin}/keys`,
      JWT_AUDIENCE: 'gateway',
      JWT_ISSUER: issuer.origin,
      ...env,
    },
  })
  const claims = { iss: issuer.origin, aud: 'gateway' }
  return { gateway, issuer, claims }
}

const admin = { authorization: `Bearer ${masterKey}` }
async function manage({ post }: Gateway, path: string, body: JsonObject): Promise<void> {
  const answer = await post(path, body, admin)
  assert.equal(answer.status, 200, `${path}: ${await answer.text()}`)
}
async function told({ get }: Gateway, path: string): Promise<JsonObject> {
  const value: unknown = await (await get(path, admin)).json()
  assert.ok(isObject(value))
  return value
}
async function statusOf(
  { url }: Gateway,
  bearer: string,
  body: JsonObject = {},
  headers: Record<string, string> = {},
) {
  const { status, body: said } = await call(url, bearer, body, headers)
  return { status, said }
}
const users = { user_id_jwt_field: 'sub', user_id_upsert: true }

test('who may come in: signature, issuer, audience, time and way of signing', async (t) => {
  const { gateway, claims } = await gatewayWith(t, users)
  const stranger = await signer('first')
  const { iss: _, ...nobodys } = claims
  const spki = await exportSPKI(first.publicKey)
  const head = (alg: string) => part({ alg, kid: 'first', typ: 'JWT' })
  const body = part({ sub: 'kim', ...claims, exp: Math.floor(Date.now() / 1000) + 300 })
  const confused = (secret: string): string =>
    `${head('HS256')}.${body}.${createHmac('sha256', secret)
      .update(`${head('HS256')}.${body}`)
      .digest('base64url')}`
  const good = await token(first, claims)
  const [h = '', , s = ''] = good.split('.')
  const cases: [name: string, token: string, status: number, says: RegExp][] = [
    ['a good one', good, 200, /Hello/],
    [
      'for several, us among them',
      await token(first, { ...claims, aud: ['else', 'gateway'] }),
      200,
      /Hello/,
    ],
    ['over', await token(first, claims, { seconds: -5 }), 401, /Token Expired/],
    [
      'not yet',
      await token(first, { ...claims, nbf: Math.floor(Date.now() / 1000) + 600 }),
      401,
      /nbf/,
    ],
    ['of another audience', await token(first, { ...claims, aud: 'else' }), 401, /aud/],
    ['without an audience', await token(first, { iss: claims.iss }), 401, /aud/],
    [
      'of another issuer',
      await token(first, { ...claims, iss: 'https://else.example' }),
      401,
      /iss/,
    ],
    ['without an issuer', await token(first, nobodys), 401, /iss/],
    [
      'that never ends',
      await new SignJWT({ sub: 'kim', ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'first' })
        .sign(first.privateKey),
      401,
      /exp/,
    ],
    ['signed by nobody', `${part({ alg: 'none' })}.${body}.`, 401, /not signed by a way|signature/],
    [
      'signed by nobody, said otherwise',
      `${part({ alg: 'NONE', kid: 'first' })}.${body}.x`,
      401,
      /refused/,
    ],
    ['signed with the public key as a secret (PEM)', confused(spki), 401, /not signed by a way/],
    [
      'signed with the public key as a secret (JWK)',
      confused(JSON.stringify(first.jwk)),
      401,
      /not signed by a way/,
    ],
    [
      'signed by somebody else under the same name',
      await token(stranger, claims),
      401,
      /signature/,
    ],
    [
      'with other claims than were signed',
      `${h}.${part({ sub: 'root', ...claims, exp: 9e9 })}.${s}`,
      401,
      /signature/,
    ],
    ['cut short', `${h}.${good.split('.')[1]}.${s.slice(0, 20)}`, 401, /refused/],
    ['no JSON inside', `${h}.AAAA.${s}`, 401, /claims/],
    ['three words that are no token', 'a.b.c', 401, /Invalid proxy server token/],
  ]
  for (const [name, bearer, status, says] of cases) {
    const is = await statusOf(gateway, bearer)
    assert.equal(is.status, status, `${name}: ${is.said}`)
    assert.match(is.said, says, name)
  }
  assert.equal((await statusOf(gateway, masterKey)).status, 200, 'keys go on')
})

test('keys rotate: a new one is found at once, an old one goes, and an issuer that is away is waited for', async (t) => {
  const { gateway, issuer, claims } = await gatewayWith(t, users)
  assert.equal((await statusOf(gateway, await token(first, claims))).status, 200)
  const second = await signer('second', 'ES256')
  assert.equal((await statusOf(gateway, await token(second, claims))).status, 401)
  issuer.show([second.jwk])
  issuer.fail(true)
  // Who is known stays known while the issuer is away, and nobody is let in for it.
  assert.equal((await statusOf(gateway, await token(first, { ...claims, jti: '2' }))).status, 200)
  assert.equal((await statusOf(gateway, await token(second, claims))).status, 401)
  issuer.fail(false)
  const asked = issuer.asked()
  for (let nth = 0; nth < 20; nth++)
    await statusOf(gateway, await token(second, { ...claims, jti: String(nth) }))
  assert.ok(issuer.asked() - asked <= 1, 'not for every token whose key nobody knows')
})

test('a key that came after the last look is found with its first token', async (t) => {
  const { gateway, issuer, claims } = await gatewayWith(t, users, {})
  assert.equal((await statusOf(gateway, await token(first, claims))).status, 200)
  const second = await signer('second', 'EdDSA')
  issuer.show([second.jwk])
  assert.equal((await statusOf(gateway, await token(second, claims))).status, 200)
  assert.equal((await statusOf(gateway, await token(first, { ...claims, jti: 'old' }))).status, 401)
})

test('an issuer that was never reached is no reason to let anybody in', async (t) => {
  const { gateway, issuer, claims } = await gatewayWith(t, users)
  issuer.fail(true)
  const is = await statusOf(gateway, await token(first, claims))
  assert.equal(is.status, 503, is.said)
})

test('users: made where asked for, found by id, SSO id and address, bounded and blocked as any other', async (t) => {
  const { gateway, claims } = await gatewayWith(
    t,
    { ...users, user_email_jwt_field: 'email' },
    {
      litellm: { default_internal_user_params: { max_budget: 0.0001, user_role: 'internal_user' } },
    },
  )
  const kim = await token(first, { ...claims, email: 'Kim@Example.com' })
  assert.equal((await statusOf(gateway, kim)).status, 200)
  const { user_info: info } = await told(gateway, '/user/info?user_id=kim')
  assert.equal(object(info)['user_email'], 'Kim@Example.com')
  assert.equal(Math.round(Number(object(info)['spend']) * 1e9), callCost)
  const over = [await statusOf(gateway, kim, { max_tokens: 3 })]
  for (let nth = 0; nth < 10 && over.at(-1)?.status === 200; nth++)
    over.push(await statusOf(gateway, kim, { max_tokens: 3 }))
  assert.equal(over.at(-1)?.status, 422, over.at(-1)?.said)
  await manage(gateway, '/user/update', { user_id: 'kim', max_budget: 5 })
  assert.equal((await statusOf(gateway, kim)).status, 200, 'a change counts at once')
  const again = await token(first, {
    ...claims,
    sub: 'kim-of-another-directory',
    email: 'KIM@example.com',
  })
  assert.equal((await statusOf(gateway, again)).status, 200)
  assert.equal(list((await told(gateway, '/user/list'))['users']).length, 1, 'the same person')
})

test('users who are not there are nobody unless they may be made', async (t) => {
  const { gateway, claims } = await gatewayWith(t, { user_id_jwt_field: 'sub' })
  const is = await statusOf(gateway, await token(first, claims))
  assert.equal(is.status, 403)
  assert.match(is.said, /user_id_upsert/)
  await manage(gateway, '/user/new', { user_id: 'kim', auto_create_key: false })
  assert.equal((await statusOf(gateway, await token(first, claims))).status, 200)
})

test('an address of another domain stays outside', async (t) => {
  const { gateway, claims } = await gatewayWith(t, {
    ...users,
    user_email_jwt_field: 'email',
    user_allowed_email_domain: 'example.com',
  })
  assert.equal(
    (await statusOf(gateway, await token(first, { ...claims, email: 'a@example.com' }))).status,
    200,
  )
  for (const email of ['a@else.com', 'a@notexample.com', 'a@example.com.else.com', undefined])
    assert.equal(
      (await statusOf(gateway, await token(first, { ...claims, ...(email && { email }) }))).status,
      403,
      email,
    )
})

test('teams: by id, by name, of several the one that may; and only those of the token', async (t) => {
  const { gateway, claims } = await gatewayWith(t, {
    team_id_jwt_field: 'resource.team',
    team_ids_jwt_field: 'groups',
    team_alias_jwt_field: 'team_name',
    end_user_id_jwt_field: 'customer',
  })
  await manage(gateway, '/team/new', { team_id: 'red', team_alias: 'Red ones', models: ['m'] })
  await manage(gateway, '/team/new', { team_id: 'blue', models: ['other'] })
  const cases: [
    name: string,
    claims: JsonObject,
    model: string,
    headers: Record<string, string>,
    status: number,
  ][] = [
    ['by id', { resource: { team: 'red' } }, 'm', {}, 200],
    ['whose models they are', { resource: { team: 'red' } }, 'other', {}, 403],
    ['that is not there', { resource: { team: 'green' } }, 'm', {}, 403],
    ['by name', { team_name: 'Red ones' }, 'm', {}, 200],
    ['by a name nobody has', { team_name: 'Green ones' }, 'm', {}, 403],
    ['of several the one that may', { groups: ['green', 'red', 'blue'] }, 'other', {}, 200],
    ['none of them may', { groups: ['red', 'blue'] }, 'third', {}, 403],
    [
      'the one a header names',
      { groups: ['red', 'blue'] },
      'other',
      { 'x-litellm-team-id': 'blue' },
      200,
    ],
    [
      'a header that names another',
      { groups: ['red'] },
      'other',
      { 'x-litellm-team-id': 'blue' },
      403,
    ],
    ['no team at all', {}, 'm', {}, 403],
  ]
  for (const [name, more, model, headers, status] of cases) {
    const is = await statusOf(
      gateway,
      await token(first, { ...claims, ...more }),
      { model },
      headers,
    )
    assert.equal(is.status, status, `${name}: ${is.said}`)
  }
  const ofCustomer = await token(first, { ...claims, resource: { team: 'red' }, customer: 'c1' })
  assert.equal((await statusOf(gateway, ofCustomer, { user: 'somebody-else' })).status, 200)
  const rows: unknown = await (await gateway.get('/spend/logs', admin)).json()
  const seen = list(rows).map((row) => [object(row)['team_id'], object(row)['end_user']])
  assert.ok(seen.some(([team, customer]) => team === 'red' && customer === 'c1'))
  const routes = await gateway.post('/key/generate', {}, { authorization: `Bearer ${ofCustomer}` })
  assert.equal(routes.status, 403, 'a team calls models and manages nothing')
})

test('teams are made, and joined, where asked for', async (t) => {
  const { gateway, claims } = await gatewayWith(t, {
    ...users,
    team_id_jwt_field: 'team',
    team_id_upsert: true,
    upsert_sso_user_to_team: true,
  })
  assert.equal(
    (await statusOf(gateway, await token(first, { ...claims, team: 'new' }))).status,
    200,
  )
  const { team_info: info } = await told(gateway, '/team/info?team_id=new')
  assert.deepEqual(
    list(object(info)['members_with_roles']).map((one) => object(one)['user_id']),
    ['kim'],
  )
})

test('administrators by scope: management and no models, unless their routes say so', async (t) => {
  const { gateway, claims } = await gatewayWith(t, { ...users, admin_jwt_scope: 'boss' })
  const boss = await token(first, { ...claims, scope: 'openid boss' })
  const bearer = { authorization: `Bearer ${boss}` }
  assert.equal((await gateway.post('/team/new', { team_id: 'x' }, bearer)).status, 200)
  assert.equal((await statusOf(gateway, boss)).status, 403)
  const nearly = {
    authorization: `Bearer ${await token(first, { ...claims, scope: 'openid bossy' })}`,
  }
  assert.equal((await gateway.post('/team/new', { team_id: 'y' }, nearly)).status, 403)
})

test('roles: who must have one, what they may, and what they become here', async (t) => {
  const { gateway, claims } = await gatewayWith(
    t,
    {
      user_id_upsert: true,
      roles_jwt_field: 'realm.roles',
      object_id_jwt_field: 'oid',
      role_mappings: [
        { role: 'llm-user', internal_role: 'internal_user' },
        { role: 'llm-team', internal_role: 'team' },
        { role: 'llm-boss', internal_role: 'proxy_admin' },
      ],
      jwt_litellm_role_map: [{ jwt_role: 'ops-*', litellm_role: 'proxy_admin_viewer' }],
      sync_user_role_and_teams: true,
      enforce_rbac: true,
    },
    { general: { role_permissions: [{ role: 'internal_user', models: ['m'] }] } },
  )
  await manage(gateway, '/team/new', { team_id: 'red' })
  const as = (oid: string, ...roles: string[]) => token(first, { ...claims, oid, realm: { roles } })
  assert.equal((await statusOf(gateway, await as('kim', 'llm-user'))).status, 200)
  assert.equal(
    (await statusOf(gateway, await as('kim', 'llm-user'), { model: 'other' })).status,
    403,
  )
  assert.equal(
    (await statusOf(gateway, await as('red', 'llm-team'), { model: 'other' })).status,
    200,
  )
  assert.equal((await statusOf(gateway, await as('kim', 'unknown'))).status, 403)
  const boss = { authorization: `Bearer ${await as('ann', 'llm-boss')}` }
  assert.equal((await gateway.post('/team/new', { team_id: 'x' }, boss)).status, 200)
  const viewer = { authorization: `Bearer ${await as('kim', 'llm-user', 'ops-europe')}` }
  assert.equal((await gateway.get('/user/list', viewer)).status, 200)
  assert.equal((await gateway.post('/team/new', { team_id: 'y' }, viewer)).status, 403)
  assert.equal(
    object((await told(gateway, '/user/info?user_id=kim'))['user_info'])['user_role'],
    'proxy_admin_viewer',
  )
})

test('scopes open models', async (t) => {
  const { gateway, claims } = await gatewayWith(t, {
    ...users,
    enforce_scope_based_access: true,
    scope_mappings: [
      { scope: 'a', models: ['m'] },
      { scope: 'b', models: ['other'] },
    ],
  })
  const cases: [scope: string, model: string, status: number][] = [
    ['a', 'm', 200],
    ['a', 'other', 403],
    ['a b', 'other', 200],
    ['', 'm', 403],
    ['c', 'm', 403],
  ]
  for (const [scopes, model, status] of cases)
    assert.equal(
      (await statusOf(gateway, await token(first, { ...claims, scope: scopes }), { model })).status,
      status,
      `${scopes} ${model}`,
    )
})

test('several issuers, each with its own keys, audience and claims', async (t) => {
  const own = await signer('of-the-other')
  const other = await startIssuer(t, [own.jwk])
  const { gateway, claims } = await gatewayWith(t, {
    ...users,
    issuers: [{ issuer: other.origin, audience: 'elsewhere', user_id_jwt_field: 'login' }],
  })
  const theirs = { iss: other.origin, aud: 'elsewhere', login: 'lee' }
  assert.equal((await statusOf(gateway, await token(own, theirs))).status, 200)
  assert.equal((await told(gateway, '/user/info?user_id=lee'))['user_id'], 'lee')
  assert.equal(
    (await statusOf(gateway, await token(own, { ...theirs, aud: 'gateway' }))).status,
    401,
  )
  assert.equal(
    (await statusOf(gateway, await token(own, claims))).status,
    401,
    'keys of one are not those of the other',
  )
  assert.equal((await statusOf(gateway, await token(first, theirs))).status, 401)
  assert.equal((await statusOf(gateway, await token(first, claims))).status, 200)
})

test('what would let everybody in does not start', async (t) => {
  const cases: [jwt: JsonObject, env: Record<string, string>, says: RegExp][] = [
    [{}, { JWT_PUBLIC_KEY_URL: '' }, /JWT_PUBLIC_KEY_URL/],
    [{ custom_validate: 'my.validator' }, {}, /custom_validate/],
    [{ issuers: [{ issuer: 'https://a.example' }] }, {}, /audience/],
  ]
  for (const [jwt, env, says] of cases) await assert.rejects(gatewayWith(t, jwt, { env }), says)
})
