import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { adminRoutes } from '../src/admin/admin.ts'
import { routes } from '../src/gateway/routes.ts'
import { exchange } from './raw-client.ts'
import { ask, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import { fileScope, hello, type Provider, startProvider } from './support/provider.ts'

/** Who may do what: every route, every kind of caller, both ways to run. */
const scope = fileScope()
const masterKey = 'sk-master-key-of-the-tests'
let provider: Provider
/** Without a master key, bound to loopback; and with one. */
let open: Gateway
let keyed: Gateway

before(async () => {
  provider = await startProvider(scope, hello)
  const models = [openaiRow('m', provider)]
  open = await startGateway(scope, { models })
  const general = { master_key: masterKey }
  keyed = await startGateway(scope, { models, general, host: '127.0.0.1' })
})

type Who = 'none' | 'wrong' | 'right'
const rightKey = (gateway: Gateway): string =>
  gateway === keyed ? masterKey : (gateway.running.admin?.key ?? 'there is none')

async function statusOf(gateway: Gateway, method: string, path: string, who: Who): Promise<number> {
  const key = { none: undefined, wrong: 'sk-wrong', right: rightKey(gateway) }[who]
  const response = await fetch(gateway.url + path.replace(/\{\w+\+?\}/g, 'm'), {
    method,
    headers: {
      'content-type': 'application/json',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    },
    ...(method !== 'GET' && { body: JSON.stringify(ask('m', { max_tokens: 5 })) }),
  })
  await response.text()
  return response.status
}

const everyone = ['none', 'wrong', 'right'] as const

async function rowOf(
  method: string,
  path: string,
  whos: readonly Who[] = everyone,
): Promise<Record<string, string>> {
  const row: Record<string, string> = {}
  for (const [mode, gateway] of [
    ['open', open],
    ['keyed', keyed],
  ] as const) {
    const statuses: string[] = []
    for (const who of whos) statuses.push(`${who} ${await statusOf(gateway, method, path, who)}`)
    row[mode] = statuses.join(', ')
  }
  return row
}

describe('the table of routes', () => {
  const file = join(import.meta.dirname, 'permissions.snapshot.json')

  test('every route answers as the snapshot says (WRITE_SNAPSHOT=1 writes it)', async () => {
    const found: Record<string, Record<string, string>> = {}
    for (const { method, path, permission } of routes)
      found[`${method} ${path}`] = { permission, ...(await rowOf(method, path)) }
    // What management answers to those it lets in is for the tests beside it.
    for (const { method, path, permission } of adminRoutes)
      found[`${method} ${path}`] = { permission, ...(await rowOf(method, path, ['none', 'wrong'])) }
    found['GET /nowhere'] = await rowOf('GET', '/nowhere')
    found['DELETE /v1/models'] = await rowOf('DELETE', '/v1/models')
    if (process.env['WRITE_SNAPSHOT'])
      await writeFile(file, `${JSON.stringify(found, undefined, 2)}\n`)
    const kept = JSON.parse(await readFile(file, 'utf8'))
    // Row by row, so that a difference can be read.
    for (const [row, statuses] of Object.entries(found)) deepEqual(statuses, kept[row], row)
    deepEqual(Object.keys(found), Object.keys(kept))
  })

  test('deny by default: with a master key only these answer without it', async () => {
    const answered: string[] = []
    for (const { method, path } of [...routes, ...adminRoutes])
      for (const who of ['none', 'wrong'] as const)
        if ((await statusOf(keyed, method, path, who)) !== 401) answered.push(`${method} ${path}`)
    deepEqual([...new Set(answered)].sort(), [
      'GET /',
      'GET /docs',
      'GET /health/liveliness',
      'GET /health/liveness',
      'GET /health/readiness',
      'GET /openapi.json',
      'GET /public/litellm_model_cost_map',
      'GET /public/model_cost_map',
    ])
  })

  test('without one, managing and spending for nobody take the generated key', async () => {
    for (const { method, path, permission } of routes) {
      if (permission !== 'admin') continue
      for (const who of ['none', 'wrong'] as const)
        equal(await statusOf(open, method, path, who), 401, path)
      ok((await statusOf(open, method, path, 'right')) < 400, path)
    }
  })

  test('a key in any of its places, and nowhere else', async () => {
    const status = async (headers: Record<string, string>, path = '/v1/models') =>
      (await fetch(keyed.url + path, { headers })).status
    const places = [
      'api-key',
      'x-api-key',
      'x-goog-api-key',
      'x-litellm-api-key',
      'ocp-apim-subscription-key',
    ]
    for (const name of places) equal(await status({ [name]: masterKey }), 200, name)
    for (const value of [`Bearer ${masterKey}`, `bearer  ${masterKey}`, masterKey])
      equal(await status({ authorization: value }), 200, value)
    for (const headers of [
      { cookie: `token=${masterKey}` },
      { 'x-forwarded-authorization': `Bearer ${masterKey}` },
      { 'x-key': masterKey },
      { authorization: `Bearer ${masterKey} ` + 'x' },
      { authorization: `Bearer ${masterKey.toUpperCase()}` },
      { authorization: `Bearer ${masterKey.slice(0, -1)}` },
      { authorization: `Bearer ${masterKey}${masterKey}` },
      { authorization: 'Bearer ' },
      { authorization: 'Bearer undefined' },
      // The first one present counts.
      { 'x-litellm-api-key': 'sk-wrong', authorization: `Bearer ${masterKey}` },
    ])
      equal(await status(headers), 401, JSON.stringify(headers))
    equal(await status({}, `/v1/models?key=${masterKey}`), 200, 'as Google’s clients send it')
    equal(await status({}, `/model/info?key=${masterKey}`), 401)
    equal(await status({}, `/v1/models?api_key=${masterKey}`), 401)
  })
})

describe('paths are taken as they were sent', () => {
  const line = (target: string, method = 'GET', more = '') =>
    `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${more}\r\n`
  const statusOfRaw = async (gateway: Gateway, target: string, method?: string, more?: string) =>
    Number((await exchange(gateway.port, line(target, method, more))).split(' ')[1])

  const cases: [target: string, keyed: number, open: number][] = [
    ['/v1/models', 401, 200],
    ['http://127.0.0.1/v1/models', 401, 200],
    ['http://elsewhere.example/v1/models', 401, 200],
    ['http://elsewhere.example/health/readiness', 200, 200],
    ['//v1/models', 404, 404],
    ['/v1//models', 404, 404],
    ['/v1/models/', 404, 404],
    ['/v1/./models', 404, 404],
    ['/health/../v1/models', 404, 404],
    ['/health/readiness/../../model/info', 404, 404],
    ['/health%2freadiness', 404, 404],
    ['/v1%2fmodels', 404, 404],
    ['/%76%31/models', 404, 404],
    ['/v1/models/..%2f..%2fhealth', 401, 404],
    ['/v1/models/%2e%2e/%2e%2e/health', 401, 404],
    ['/v1/models/%', 400, 400],
    ['/v1/models/%ff', 400, 400],
    ['/v1/models/m%00', 401, 404],
    ['/V1/MODELS', 404, 404],
    ['/v1/models;a=b', 404, 404],
    ['/v1/models?x=/health/readiness', 401, 200],
    ['/v1/models#/health/readiness', 404, 404],
    ['/health/readiness?/v1/models', 200, 200],
    ['*', 404, 404],
    ['/health', 401, 401],
    ['/health/', 404, 404],
    ['//health', 404, 404],
  ]
  for (const [target, withKey, without] of cases)
    test(target, async () => {
      equal(await statusOfRaw(keyed, target), withKey, 'keyed')
      equal(await statusOfRaw(open, target), without, 'open')
    })

  test('methods', async () => {
    for (const [method, status] of [
      ['HEAD', 401],
      ['POST', 405],
      ['PUT', 405],
      ['TRACE', 405],
      ['PROPFIND', 405],
    ] as const)
      equal(await statusOfRaw(keyed, '/v1/models', method), status, method)
    // No header makes it another one.
    const more = 'X-HTTP-Method-Override: GET\r\nX-Method-Override: GET\r\n'
    equal(await statusOfRaw(open, '/v1/models', 'POST', more), 405)
    equal(await statusOfRaw(open, '/health', 'HEAD'), 401)
    equal(await statusOfRaw(open, '/v1/models', 'HEAD'), 200)
  })
})

describe('web pages', () => {
  type Row = [name: string, headers: Record<string, string>, status: number]
  const openRows: Row[] = [
    ['no Origin', { Host: '127.0.0.1:4000' }, 200],
    ['localhost', { Host: 'localhost:4000', Origin: 'http://localhost:5173' }, 200],
    ['another loopback address', { Host: '127.9.9.9', Origin: 'http://127.0.0.1' }, 200],
    ['IPv6', { Host: '[::1]:4000', Origin: 'http://[::1]:4000' }, 200],
    ['a name below localhost', { Host: 'app.localhost', Origin: 'http://app.localhost:1' }, 200],
    ['a page elsewhere', { Host: 'localhost', Origin: 'https://evil.example' }, 403],
    ['a page of nowhere', { Host: 'localhost', Origin: 'null' }, 403],
    ['a file', { Host: 'localhost', Origin: 'file://' }, 403],
    ['a name made to point here', { Host: 'evil.example', Origin: 'http://evil.example' }, 403],
    ['the same without Origin', { Host: 'evil.example:4000' }, 403],
    ['a name that begins like ours', { Host: '127.0.0.1.evil.example' }, 403],
    ['a name that ends like ours', { Host: 'notlocalhost' }, 403],
    ['a login', { Host: 'localhost@evil.example' }, 403],
    [
      'an origin that begins like ours',
      { Host: 'localhost', Origin: 'http://localhost.evil.example' },
      403,
    ],
    ['a number that means us', { Host: '2130706433' }, 403],
    ['another machine', { Host: '10.0.0.1' }, 403],
    ['all addresses', { Host: '0.0.0.0:4000' }, 403],
  ]
  const raw = async (
    gateway: Gateway,
    method: string,
    path: string,
    headers: Record<string, string>,
  ) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const said = await exchange(
      gateway.port,
      `${method} ${path} HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n`,
    )
    const [head = '', body = ''] = said.split('\r\n\r\n')
    return { status: Number(head.split(' ')[1]), head: head.toLowerCase(), body }
  }
  for (const [name, headers, status] of openRows)
    test(`without a key: ${name}`, async () => {
      const paths = ['/v1/models', '/', '/health/readiness', '/openapi.json']
      for (const path of paths) equal((await raw(open, 'GET', path, headers)).status, status, path)
      const { head } = await raw(open, 'GET', '/v1/models', headers)
      ok(!head.includes('access-control'), 'no CORS without a key')
    })

  test('without a key a preflight is refused, even of this machine', async () => {
    for (const origin of ['http://localhost:5173', 'https://evil.example'])
      equal(
        (
          await raw(open, 'OPTIONS', '/v1/chat/completions', {
            Host: 'localhost',
            Origin: origin,
            'Access-Control-Request-Method': 'POST',
          })
        ).status,
        403,
      )
  })

  test('with a key pages may call models, and never manage', async (t) => {
    const preflight = (gateway: Gateway, path: string, method: string, more = {}) =>
      raw(gateway, 'OPTIONS', path, {
        Host: 'gateway.example',
        Origin: 'https://app.example',
        'Access-Control-Request-Method': method,
        'Access-Control-Request-Headers': 'authorization,content-type',
        ...more,
      })
    const named = await startGateway(t, {
      models: [openaiRow('m', provider)],
      general: { master_key: masterKey },
      host: '127.0.0.1',
      env: { LITELLM_CORS_ORIGINS: 'https://app.example, https://other.example' },
    })
    const table: [
      gateway: Gateway,
      path: string,
      method: string,
      status: number,
      origin: string,
    ][] = [
      [keyed, '/v1/chat/completions', 'POST', 204, '*'],
      [keyed, '/v1/models', 'GET', 204, '*'],
      [keyed, '/health', 'GET', 403, ''],
      [keyed, '/v1/models', 'POST', 405, ''],
      [keyed, '/nowhere', 'GET', 404, ''],
      [named, '/v1/chat/completions', 'POST', 204, 'https://app.example'],
      [named, '/health', 'GET', 403, ''],
    ]
    for (const [gateway, path, method, status, origin] of table) {
      const { status: got, head } = await preflight(gateway, path, method)
      equal(got, status, path)
      if (origin === '') ok(!head.includes('access-control-allow'), path)
      else {
        ok(head.includes(`access-control-allow-origin: ${origin}\r\n`), head)
        ok(head.includes('access-control-allow-headers: authorization,content-type\r\n'))
        ok(head.includes(`access-control-allow-methods: ${method.toLowerCase()}\r\n`))
        ok(!head.includes('allow-credentials'))
        equal(head.includes('vary: origin'), origin !== '*')
      }
    }
    const stranger = { Origin: 'https://evil.example' }
    equal((await preflight(named, '/v1/models', 'GET', stranger)).status, 403)
    const odd = await preflight(keyed, '/v1/models', 'GET', {
      'Access-Control-Request-Headers': 'x-a, <script>',
    })
    ok(!odd.head.includes('script'))

    // The answers themselves.
    const call = async (gateway: Gateway, path: string, origin: string) =>
      (
        await fetch(gateway.url + path, {
          headers: { origin, authorization: `Bearer ${masterKey}` },
        })
      ).headers.get('access-control-allow-origin')
    equal(await call(keyed, '/v1/models', 'https://app.example'), '*')
    equal(await call(named, '/v1/models', 'https://other.example'), 'https://other.example')
    equal(await call(named, '/v1/models', 'https://evil.example'), null)
    equal(await call(keyed, '/health', 'https://app.example'), null)
  })

  test('a form posted by a page elsewhere does not call a model', async () => {
    const before = provider.asked.length
    const response = await fetch(`${open.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', origin: 'https://evil.example' },
      body: JSON.stringify(ask('m')),
    })
    equal(response.status, 403)
    match((await response.json()).error.message, /Origin.*LITELLM_MASTER_KEY/)
    equal(provider.asked.length, before)
  })
})
