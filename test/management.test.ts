import { deepEqual, equal, ok } from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { adminRoutes } from '../src/admin/admin.ts'
import type { Json, JsonObject } from '../src/json/json.ts'
import { ask, eventually, type Gateway, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  chatStream,
  fileScope,
  hello,
  type Provider,
  sleep,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'
import { callCost, makeKey, masterKey, pricedRow } from './support/spending.ts'

/** What management keeps to itself, and what it takes from hostile and hurried callers. */
const scope = fileScope()
const secrets = {
  upstream: 'sk-canary-upstream-0123456789',
  stored: 'sk-canary-stored-0123456789',
  salt: 'canary-salt-0123456789-abcdef',
  password: 'canary-password-0123456789',
  prompt: 'canary words of a prompt',
  answer: 'canary words of an answer',
}
let provider: Provider
let gateway: Gateway
const admin = { authorization: `Bearer ${masterKey}` }

before(async () => {
  provider = await startProvider(scope, hello)
  gateway = await startGateway(scope, {
    models: [pricedRow(provider, { api_key: secrets.upstream })],
    general: { master_key: masterKey, store_model_in_db: true },
    env: { LITELLM_SALT_KEY: secrets.salt },
  })
})

async function manage(path: string, body: Json): Promise<{ status: number; said: JsonObject }> {
  const response = await gateway.post(path, body, admin)
  return { status: response.status, said: await response.json() }
}
const infoOf = async (key: string): Promise<JsonObject> =>
  (await (await gateway.get('/key/info', { authorization: `Bearer ${key}` })).json()).info
const call = async (key: string, body: JsonObject = {}): Promise<number> => {
  const response = await gateway.post('/v1/chat/completions', ask('m', body), {
    authorization: `Bearer ${key}`,
  })
  await response.text()
  return response.status
}

describe('secrets', () => {
  test('stay where they are: not in files, in logs, in answers or in errors', async () => {
    const key = await makeKey(gateway.url, { key_alias: 'canary', user_id: 'una' })
    await manage('/user/new', { user_id: 'una', user_email: 'una@example.org' })
    await manage('/user/update', { user_id: 'una', password: secrets.password })
    const params = { model: 'openai/x', api_key: secrets.stored, api_base: provider.base }
    equal((await manage('/model/new', { model_name: 'new', litellm_params: params })).status, 200)
    await manage('/credentials', {
      credential_name: 'c',
      credential_values: { api_key: secrets.stored },
      credential_info: {},
    })
    provider.tell(() => whole(chatAnswer({ content: secrets.answer })))
    const said = { messages: [{ role: 'user', content: secrets.prompt }] }
    for (const model of ['m', 'new', 'nobody']) await call(key, { ...said, model })
    provider.tell(() =>
      whole({ error: { message: `bad key ${secrets.upstream}` } }, { status: 401 }),
    )
    await call(key, said)
    provider.tell(hello)
    await gateway.get('/v1/models', { authorization: `Bearer ${key}x` })
    const old = key
    const { said: renewed } = await manage('/key/regenerate', { key })
    const now = String(renewed['key'])
    await gateway.running.rooms.books?.flush()

    const all: [where: string, text: string][] = [['the log', gateway.logged()]]
    for (const { method, path } of adminRoutes) {
      if (method !== 'GET') continue
      const query = `?key=${renewed['token']}&user_id=una&start_date=2026-01-01&end_date=2030-01-01`
      const url = path.replace(/\{\w+\+?\}/g, 'c') + query
      all.push([path, await (await gateway.get(url, admin)).text()])
    }
    for (const path of ['/model/info', '/v1/models', '/model_group/info', '/nowhere'])
      all.push([path, await (await gateway.get(path, { authorization: `Bearer ${now}` })).text()])
    const names = await readdir(gateway.dataDir, { recursive: true })
    for (const name of names) {
      const file = join(gateway.dataDir, name)
      const found = await stat(file)
      if (!found.isFile()) continue
      equal(found.mode & 0o077, 0, `${name} is ${(found.mode & 0o777).toString(8)}`)
      all.push([name, await readFile(file, 'latin1')])
    }
    ok(all.length > 60 && names.some((name) => name.endsWith('.db')), names.join())
    const lookup = gateway.running.rooms.books?.store.sealer.lookup(now) ?? ''
    for (const [where, text] of all) {
      for (const [name, secret] of Object.entries({ ...secrets, masterKey, old, now }))
        ok(!text.includes(secret), `${name} is in ${where}`)
      if (!/\.db/.test(where)) ok(!text.includes(lookup), `a digest is in ${where}`)
    }
  })

  test('neither a hash nor a digest opens anything', async () => {
    const key = await makeKey(gateway.url)
    const sealer = gateway.running.rooms.books?.store.sealer
    for (const guess of [sealer?.digest(key), sealer?.lookup(key), `hashed-${sealer?.digest(key)}`])
      equal(await call(String(guess)), 401)
  })
})

describe('hostile bodies', () => {
  const deep = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
  const rows: [name: string, body: string][] = [
    [
      'a prototype in metadata',
      '{"metadata":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}}',
    ],
    ['a prototype as an alias', '{"aliases":{"__proto__":"m","constructor":"m","toString":"m"}}'],
    [
      'a prototype as a model',
      '{"model_max_budget":{"__proto__":{"max_budget":1,"budget_duration":"1d"}}}',
    ],
    ['a prototype as a field', '{"__proto__":{"max_budget":1e9,"user_role":"proxy_admin"}}'],
    ['lists for maps', '{"metadata":[],"aliases":[],"model_max_budget":[],"permissions":[]}'],
    ['maps for lists', '{"models":{},"tags":{},"allowed_routes":{"0":"x","length":1}}'],
    ['texts for numbers', '{"max_budget":"x","rpm_limit":"0x10"}'],
    ['numbers beyond all', '{"max_budget":1e400}'],
    ['a fraction of a request', '{"rpm_limit":1.5}'],
    ['less than nothing', '{"max_budget":-1}'],
    ['a period of nobody', '{"max_budget":1,"budget_duration":"fortnight"}'],
    ['a period without end', `{"budget_duration":"${'9'.repeat(30)}d"}`],
    ['depth', `{"metadata":${deep(5000)}}`],
    ['ten megabytes', `{"metadata":{"x":"${'x'.repeat(10_000_000)}"}}`],
    ['half a character', '{"key_alias":"\\ud800 half"}'],
    ['NUL', '{"key_alias":"a\\u0000b"}'],
    ['SQL', `{"key_alias":"'; drop table virtual_key; --","metadata":{"a":"' or 1=1"}}`],
    ['no object', '[]'],
    ['not even JSON', '{"max_budget":'],
  ]
  for (const [name, body] of rows)
    test(name, async () => {
      for (const path of ['/key/generate', '/user/new', '/team/new', '/budget/new', '/tag/new']) {
        const response = await gateway.post(path, body, admin)
        const said = await response.text()
        ok(response.status < 500, `${path} ${response.status}: ${said.slice(0, 300)}`)
        if (response.status !== 200) continue
        const made: JsonObject = JSON.parse(said)
        equal(Object.hasOwn(made, 'polluted'), false)
        // Whatever was made can be read and used.
        if (path !== '/key/generate') continue
        ok([200, 422].includes(await call(String(made['key']))), said)
        for (const model of ['__proto__', 'constructor', 'toString'])
          ok((await call(String(made['key']), { model })) < 500)
        equal((await gateway.get(`/key/info?key=${made['token']}`, admin)).status, 200)
      }
      equal(({} as Record<string, unknown>)['polluted'], undefined)
      equal((await gateway.get('/key/list', admin)).status, 200)
    })
})

describe('at once', () => {
  test('changes of different fields of one key: none is lost', async () => {
    const key = await makeKey(gateway.url)
    const fields: JsonObject[] = [
      { max_budget: 7 },
      { rpm_limit: 77 },
      { tpm_limit: 777 },
      { key_alias: 'at once' },
      { models: ['m'] },
      { max_parallel_requests: 5 },
      { budget_duration: '7d' },
      { soft_budget: 3 },
    ]
    const told = await Promise.all(fields.map((field) => manage('/key/update', { key, ...field })))
    deepEqual(new Set(told.map(({ status }) => status)), new Set([200]))
    const info = await infoOf(key)
    for (const field of fields)
      for (const [name, value] of Object.entries(field)) deepEqual(info[name], value, name)
  })

  test('a key made anew many times: one opens, and its spend goes on', async () => {
    const key = await makeKey(gateway.url)
    equal(await call(key), 200)
    const told = await Promise.all(
      Array.from({ length: 8 }, () => manage('/key/regenerate', { key })),
    )
    const keys = told.flatMap(({ status, said }) => (status === 200 ? [String(said['key'])] : []))
    for (const { status } of told) ok(status < 500, String(status))
    const opening: string[] = []
    for (const one of keys) if ((await call(one)) === 200) opening.push(one)
    equal(opening.length, 1)
    equal(await call(key), 401)
    equal((await infoOf(opening[0] ?? ''))['spend'], (2 * callCost) / 1e9)
  })

  test('a key deleted while its request runs: it ends, is counted, and no other begins', async () => {
    const key = await makeKey(gateway.url, {
      team_id: (await manage('/team/new', {})).said['team_id'] ?? null,
      max_budget: 1,
    })
    const { team_id } = await infoOf(key)
    const before = provider.asked.length
    provider.tell((asked) =>
      stream([
        ...chatStream(asked, []).slice(0, 1),
        150,
        ...chatStream(asked, [{ content: 'x' }]).slice(1),
      ]),
    )
    const running = gateway.post('/v1/chat/completions', ask('m', { stream: true }), {
      authorization: `Bearer ${key}`,
    })
    await eventually(() => provider.asked.length > before)
    equal((await manage('/key/delete', { keys: [key] })).status, 200)
    equal(await call(key), 401)
    ok((await (await running).text()).includes('[DONE]'))
    provider.tell(hello)
    await sleep(20)
    const team = await (await gateway.get(`/team/info?team_id=${team_id}`, admin)).json()
    equal(team.team_info.spend, callCost / 1e9)
  })
})
