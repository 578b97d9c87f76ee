import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { configRoutes } from './config.ts'
import { type Office, openOffice } from './office.test.ts'
import { passEndpointRoutes } from './pass-endpoints.ts'
import { teamRoutes } from './teams.ts'

const canary = 'CANARY-0123456789abcdef'
const open = () =>
  openOffice(
    [...passEndpointRoutes, ...configRoutes, ...teamRoutes],
    {
      general_settings: {
        pass_through_endpoints: [
          { path: '/of-file', target: 'https://file.example/x', headers: { a: canary } },
        ],
      },
    },
    {},
  )
const messageOf = (body: JsonObject) => String(object(body['error'])['message'])
const endpoints = (body: JsonObject) => list(body['endpoints']).map(object)
const place = '/config/pass_through_endpoint'

const office: Office = await open()
await office.person('kim')
await office.person('vic', 'proxy_admin_viewer')
const add = (body: JsonObject, who = 'admin') => office.ask(who, 'POST', place, body)
const remove = (id: string) => office.ask('admin', 'DELETE', `${place}?endpoint_id=${id}`)

describe('pass-through endpoints over the API', () => {
  test('are served at once, as those of the file are, and gone at once', async () => {
    assert.equal((await office.ask('kim', 'POST', '/weather/today', {})).status, 404)
    const { status, body } = await add({
      id: 'weather',
      path: '/weather',
      target: 'http://10.0.0.7:8080/api?unit=c',
      headers: { 'X-Token': canary },
      default_query_params: { lang: 'en' },
      include_subpath: true,
      cost_per_request: 0.5,
    })
    assert.equal(status, 200)
    const [made] = endpoints(body)
    assert.deepEqual(
      [made?.['id'], made?.['auth'], made?.['headers'], made?.['is_from_config']],
      ['weather', true, { 'X-Token': '********' }, false],
    )
    assert.equal((await office.ask('kim', 'POST', '/weather/today?q=1', { a: 1 })).status, 200)
    const asked = office.asked.at(-1)
    assert.equal(asked?.url, 'http://10.0.0.7:8080/api/today?unit=c&q=1&lang=en')
    assert.equal(asked?.headers['x-token'], canary)
    assert.equal((await office.ask('nobody', 'POST', '/weather/today', {})).status, 401)
    assert.equal((await remove('weather')).status, 200)
    assert.equal((await office.ask('kim', 'POST', '/weather/today', {})).status, 404)
    assert.equal((await remove('weather')).status, 404)
  })

  test('change field by field; a secret that comes back hidden stays', async () => {
    await add({
      id: 'one',
      path: '/one',
      target: 'https://a.example/v1',
      headers: { authorization: canary, other: 'x' },
      auth: false,
      methods: ['get'],
    })
    const change = (body: JsonObject) => office.ask('admin', 'POST', `${place}/one`, body)
    const { status, body } = await change({
      target: 'https://b.example/v2',
      headers: { authorization: '********', more: 'y' },
      is_from_config: false,
    })
    assert.equal(status, 200)
    assert.deepEqual(
      [endpoints(body)[0]?.['auth'], endpoints(body)[0]?.['methods']],
      [false, ['GET']],
    )
    assert.equal((await office.ask('nobody', 'GET', '/one')).status, 200, 'no key is asked for')
    const { url, headers } = office.asked.at(-1) ?? {}
    assert.equal(url, 'https://b.example/v2')
    assert.deepEqual(
      [headers?.['authorization'], headers?.['more'], headers?.['other']],
      [canary, 'y', undefined],
    )
    assert.equal((await office.ask('kim', 'POST', '/one', {})).status, 405)
    assert.equal((await office.ask('admin', 'POST', `${place}/two`, {})).status, 404)
    await remove('one')
  })

  test('of one path with two methods lead to two places; the same twice is refused', async () => {
    const row = (id: string, methods: string[]) =>
      add({ id, path: '/two', target: `https://${id}.example`, methods })
    assert.equal((await row('reads', ['GET'])).status, 200)
    assert.equal((await row('writes', ['POST', 'PUT'])).status, 200)
    const { status, body } = await row('more', ['PUT'])
    assert.equal(status, 400)
    assert.match(messageOf(body), /\/two is served by another endpoint, writes/)
    await office.ask('kim', 'GET', '/two')
    assert.equal(office.asked.at(-1)?.url, 'https://reads.example/')
    await office.ask('kim', 'POST', '/two', {})
    assert.equal(office.asked.at(-1)?.url, 'https://writes.example/')
    await Promise.all([remove('reads'), remove('writes')])
  })

  test('are sealed in the database, and shown without their secrets', async () => {
    await add({
      id: 'sealed',
      path: '/sealed',
      target: 'https://a.example',
      headers: { plain: canary },
      default_query_params: { q: canary },
    })
    const rows = await office.store.db.query.selectFrom('setting').selectAll().execute()
    const told = await Promise.all([
      office.ask('vic', 'GET', place),
      office.ask('admin', 'GET', `${place}?endpoint_id=sealed`),
    ])
    assert.ok(!JSON.stringify([rows, told]).includes(canary))
    const [every, one] = told
    assert.deepEqual(
      endpoints(every.body).map(({ path, is_from_config }) => [path, is_from_config]),
      [
        ['/of-file', true],
        ['/sealed', false],
      ],
    )
    assert.equal(endpoints(one.body).length, 1)
    // Another change of settings does not meet them.
    const body = { router_settings: { num_retries: 4 } }
    assert.equal((await office.ask('admin', 'POST', '/config/update', body)).status, 200)
    await remove('sealed')
  })

  test('of a team are those it may call', async () => {
    await add({ id: 'a', path: '/team-a', target: 'https://a.example', include_subpath: true })
    await add({ id: 'b', path: '/team-b', target: 'https://b.example' })
    await office.ask('admin', 'POST', '/team/new', {
      team_id: 't',
      allowed_passthrough_routes: ['/team-a', '/of-file'],
      denied_passthrough_routes: ['/of-file'],
    })
    const paths = async (path: string) =>
      endpoints((await office.ask('admin', 'GET', path)).body).map((one) => one['path'])
    assert.deepEqual(await paths(`${place}/team/t`), ['/team-a'])
    assert.deepEqual(await paths(`${place}?team_id=t`), ['/team-a'])
    assert.equal((await office.ask('admin', 'GET', `${place}/team/nobody`)).status, 404)
    await Promise.all([remove('a'), remove('b')])
  })

  const good = { path: '/x', target: 'https://a.example' }
  const wrong: [name: string, body: JsonObject, said: RegExp][] = [
    ['no target', { path: '/x' }, /target/],
    ['no URL', { ...good, target: 'ftp://a.example' }, /http\(s\) URL/],
    ['a password in the URL', { ...good, target: 'https://a:b@c.example' }, /user name/],
    ['a path that is none', { ...good, path: 'x' }, /begins with '\/'/],
    ['a pattern', { ...good, path: '/x/{y+}' }, /begins with '\/'/],
    ["the gateway's own path", { ...good, path: '/v1/chat/completions' }, /one of the gateway/],
    ['a path of management', { ...good, path: place }, /one of the gateway/],
    ['what is below a path of ours', { ...good, path: '/v1', include_subpath: true }, /below it/],
    ['a variable', { ...good, headers: { a: 'os.environ/HOME' } }, /config file only/],
    ['a header that is none', { ...good, headers: { 'a b': 'x' } }, /cannot be sent/],
    ['two headers in one', { ...good, headers: { a: 'x\r\nb: y' } }, /cannot be sent/],
    ['a method that is none', { ...good, methods: ['BREW'] }, /methods/],
    ['a guardrail', { ...good, guardrails: { pii: null } }, /guardrails/],
    ['a negative cost', { ...good, cost_per_request: -1 }, /cost_per_request/],
    ['the path of the file', { ...good, path: '/of-file' }, /of the config file/],
  ]
  for (const [name, body, said] of wrong)
    test(`are refused: ${name}`, async () => {
      const { status, body: told } = await add(body)
      assert.ok(status === 400 || status === 422, String(status))
      assert.match(messageOf(told), said)
    })

  test('are for administrators', async () => {
    assert.equal((await add(good, 'kim')).status, 403)
    assert.equal((await add(good, 'vic')).status, 403)
    assert.equal((await office.ask('kim', 'GET', place)).status, 403)
  })
})

test('endpoints that /config/update sets are served at once too', async () => {
  const other = await open()
  const said = [{ path: '/new', target: 'https://new.example' }]
  await other.ask('admin', 'POST', '/config/update', {
    general_settings: { pass_through_endpoints: said },
  })
  assert.equal((await other.ask('admin', 'GET', '/new')).status, 200)
  assert.equal(other.asked.at(-1)?.url, 'https://new.example/')
})
