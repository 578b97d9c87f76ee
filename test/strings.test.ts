import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { type Gateway, startGateway } from './support/gateway.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'
import { fileScope, hello, type Scope, startProvider } from './support/provider.ts'
import { call, callCost, makeKey, masterKey, pricedRow } from './support/spending.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)
const admin = { authorization: `Bearer ${masterKey}` }

const strings: readonly string[] = [
  "'; drop table virtual_key; --",
  '" or 1=1 --',
  "x' union select * from spend_log /*",
  '%_\\',
  '$1 ?1 :name @name {id}',
  'before\u0000after',
  '\u0000',
  'half \ud83d of a character',
  '\u202eright to left \u2028 line',
  'emoji 👩‍👩‍👧‍👦 and Ünïcödé',
  '../../etc/passwd',
  '__proto__',
  'constructor',
]

/** Where management takes a name, and where it is read again. */
const places: readonly [
  path: string,
  body: (said: string) => JsonObject,
  read?: (said: string) => string,
][] = [
  [
    '/user/new',
    (s) => ({ user_id: s, user_alias: s, metadata: { [s]: s } }),
    (s) => `/user/info?user_id=${q(s)}`,
  ],
  [
    '/team/new',
    (s) => ({ team_id: s, team_alias: s, metadata: { [s]: s } }),
    (s) => `/team/info?team_id=${q(s)}`,
  ],
  [
    '/key/generate',
    (s) => ({ key_alias: s, user_id: s, metadata: { [s]: s }, tags: [s] }),
    (s) => `/key/list?key_alias=${q(s)}`,
  ],
  ['/customer/new', (s) => ({ user_id: s, alias: s }), (s) => `/customer/info?end_user_id=${q(s)}`],
  ['/budget/new', (s) => ({ budget_id: s, max_budget: 1 }), () => '/budget/list'],
  ['/tag/new', (s) => ({ name: s, description: s }), () => '/tag/list'],
  ['/organization/new', (s) => ({ organization_alias: s }), () => '/organization/list'],
]
const reads: readonly ((said: string) => string)[] = [
  (s) => `/spend/logs?user_id=${q(s)}`,
  (s) => `/spend/logs?request_id=${q(s)}`,
  (s) => `/spend/logs/v2?end_user=${q(s)}&start_date=2020-01-01&end_date=2030-01-01`,
  (s) => `/key/info?key=${q(s)}`,
  (s) => `/user/list?user_ids=${q(s)}`,
  (s) => `/global/spend/report?start_date=${q(s)}`,
]
/** As a browser would, half characters included. */
const q = (said: string): string => encodeURIComponent(said.toWellFormed())

async function hostile(t: Scope, env: Record<string, string>): Promise<void> {
  const gateway: Gateway = await startGateway(t, {
    models: [pricedRow(provider)],
    general: { master_key: masterKey },
    env,
  })
  const key = await makeKey(gateway.url, { max_budget: 100 })
  let calls = 0
  for (const said of strings) {
    const shown = JSON.stringify(said)
    const answered = await call(gateway.url, key, {
      user: said,
      metadata: { tags: [said], [said]: said },
      litellm_session_id: said,
    })
    assert.equal(answered.status, 200, `${shown}: ${answered.body}`)
    calls++
    for (const [path, body, read] of places) {
      const made = await gateway.post(path, body(said), admin)
      const told = await made.text()
      assert.ok(made.status < 500, `${path} with ${shown}: ${made.status} ${told}`)
      if (!read) continue
      const again = await gateway.get(read(said), admin)
      const text = await again.text()
      assert.ok(again.status < 500, `${read(said)}: ${again.status} ${text}`)
      if (made.ok && path !== '/organization/new')
        assert.ok(again.ok, `${path} took ${shown} and does not know it`)
    }
    for (const read of reads) {
      const answer = await gateway.get(read(said), admin)
      assert.ok(answer.status < 500, `${read(said)}: ${answer.status} ${await answer.text()}`)
    }
  }
  const large = await call(gateway.url, key, { metadata: { note: 'x'.repeat(1_000_000) } })
  assert.equal(large.status, 200, large.body.slice(0, 300))
  const unknown = await gateway.post(
    '/v1/chat/completions',
    { model: 'm'.repeat(1_000_000), messages: [] },
    { authorization: `Bearer ${key}` },
  )
  assert.ok(unknown.status >= 400 && unknown.status < 500)
  calls++
  const logs = await gateway.get('/spend/logs', admin)
  const rows: unknown = await logs.json()
  assert.ok(Array.isArray(rows))
  const spent = rows.filter((row: { spend?: number }) => (row.spend ?? 0) > 0)
  assert.equal(spent.length, calls)
  const info = (await (await gateway.get(`/key/info?key=${key}`, admin)).json()) as {
    info: { spend: number }
  }
  assert.equal(Math.round(info.info.spend * 1e9), calls * callCost)
}

test('SQL, NUL and half characters as names, on SQLite', (t) => hostile(t, {}))

const bin = postgresFolder()
if (bin === undefined) test('on PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  after(() => server.stop())
  test('SQL, NUL and half characters as names, on PostgreSQL', (t) =>
    hostile(t, { DATABASE_URL: server.database('strings') }))
}
