import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { type ImportReport, importLitellm } from '../src/admin/import.ts'
import type { JsonObject } from '../src/json/json.ts'
import { readAccounts } from '../src/store/accounts.ts'
import { openLitellm } from '../src/store/litellm.node.ts'
import { createOpenSealed } from '../src/store/litellm-seal.node.ts'
import { migrate } from '../src/store/migrate.ts'
import { createSealer } from '../src/store/seal.node.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { createStore, type Store } from '../src/store/store.ts'
import { litellmTables } from './support/litellm-tables.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'
import { startProcess } from './support/process.ts'
import { fileScope, hello, startProvider } from './support/provider.ts'
import { call, callCost, configOf, masterKey } from './support/spending.ts'

const scope = fileScope()
const folder = await mkdtemp(join(tmpdir(), 'throughway-import-'))
scope.after(() => rm(folder, { recursive: true, force: true }))
const bin = join(import.meta.dirname, '..', 'bin', 'throughway.ts')
const saltKey = 'sk-litellm-salt-of-some-length'
const day = 86_400_000

async function throughway(argv: string[], env: Record<string, string> = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [bin, ...argv], {
      cwd: folder,
      env: {
        HOME: folder,
        PATH: process.env['PATH'],
        LITELLM_MASTER_KEY: masterKey,
        LITELLM_SALT_KEY: saltKey,
        ...env,
      },
    })
    return { code: 0, stdout, stderr }
  } catch (cause) {
    const { code, stdout, stderr } = cause as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** As LiteLLM seals with `encryption_algorithm: aes-256-gcm`. */
function sealed(text: string): string {
  const nonce = Buffer.alloc(12, 7)
  const key = createHash('sha256').update(saltKey).digest()
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const parts = [nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]
  return `v2:gcm:${Buffer.concat(parts).toString('base64url')}`
}
/** As it seals otherwise: made with PyNaCl. */
const boxes = {
  model: 'X-zrZv_IbzjZUnhsbWlsecLbwjndTpG0kk5EKjcn9LUFSt0JWhTB7zhtl7IWJm3j4jezdZgPg6CGrcRZCA==',
  key: 'a4ayc_80_OGda4BO_1o_V0etpOqiLx1JJ2nHfag8l24PmxYSvZcUDDSqvQWfv5fOgfvIf5iksT2thQwkOMg=',
  credential: '1HNeOiZeFu7gP1lxi5tdAwGcB9i2xR-QtO5vHNnp49TikOqS5kvzdeuBLsBV-jyr30Wt2YFS9MC2N2M=',
}

/** Maps are JSON, lists are PostgreSQL's, and JSON that is a list comes as text. */
async function insert(client: pg.Client, table: string, rows: readonly JsonObject[]) {
  for (const row of rows) {
    const names = Object.keys(row)
    await client.query(
      `insert into "${table}" (${names.map((name) => `"${name}"`).join(', ')})
       values (${names.map((_, nth) => `$${nth + 1}`).join(', ')})`,
      Object.values(row),
    )
  }
}

const secret = 'sk-made-by-litellm-1'
const by = { created_by: 'admin', updated_by: 'admin' }
const tomorrow = new Date(Date.now() + day).toISOString().replace('Z', '')

/** A house of everything. `base`: where its models lead. */
async function furnish(url: string, base: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  after(() => client.end())
  await client.query(litellmTables)
  await insert(client, 'LiteLLM_BudgetTable', [
    {
      budget_id: 'b-org',
      max_budget: 100,
      budget_duration: '30d',
      budget_reset_at: tomorrow,
      ...by,
    },
    {
      budget_id: 'b-member',
      max_budget: 5,
      rpm_limit: 100,
      allowed_models: ['m', 'stored'],
      ...by,
    },
    { budget_id: 'b-all', max_budget: 7, ...by },
    { budget_id: 'b-customer', max_budget: 2, budget_duration: '1d', ...by },
  ])
  await insert(client, 'LiteLLM_OrganizationTable', [
    { organization_id: 'o1', organization_alias: 'Org', budget_id: 'b-org', spend: 12.5, ...by },
  ])
  await insert(client, 'LiteLLM_UserTable', [
    {
      user_id: 'u1',
      user_email: 'One@Example.com',
      user_role: 'internal_user',
      spend: 3.25,
      max_budget: 50,
      metadata: { shoe: 44 },
      password: 'scrypt:of-litellm',
    },
    { user_id: 'u2', user_role: 'proxy_admin' },
  ])
  await insert(client, 'LiteLLM_OrganizationMembership', [
    { user_id: 'u1', organization_id: 'o1', user_role: 'org_admin', spend: 1 },
  ])
  await client.query(
    `insert into "LiteLLM_ModelTable" (aliases, created_by, updated_by) values ('{"nick": "m"}', 'a', 'a')`,
  )
  await insert(client, 'LiteLLM_TeamTable', [
    {
      team_id: 't1',
      team_alias: 'Team One',
      organization_id: 'o1',
      models: ['m', 'nick', 'stored'],
      spend: 4,
      max_budget: 1000,
      model_id: 1,
      members_with_roles: JSON.stringify([
        { role: 'admin', user_id: 'u1', user_email: 'one@example.com' },
        { role: 'user', user_id: 'u2' },
        { role: 'user', user_email: 'nobody@example.com' },
      ]),
      metadata: {
        team_member_budget_id: 'b-all',
        logging: [{ callback_vars: { langfuse_secret_key: `litellm_enc::${sealed('sk-lf')}` } }],
      },
      budget_limits: JSON.stringify([
        { budget_duration: '5h', max_budget: 10, reset_at: tomorrow },
      ]),
    },
  ])
  await insert(client, 'LiteLLM_BudgetWindowSpend', [
    {
      entity_type: 'team',
      entity_id: 't1',
      window_duration: '5h',
      window_start: new Date(Date.now() - 3_600_000).toISOString().replace('Z', ''),
      spend: 1.5,
    },
  ])
  await insert(client, 'LiteLLM_TeamMembership', [
    { user_id: 'u1', team_id: 't1', spend: 0.75, total_spend: 2, budget_id: 'b-member' },
    { user_id: 'u2', team_id: 't1', spend: 0.25, budget_id: 'b-all' },
    { user_id: 'u3', team_id: 'gone', spend: 1 },
  ])
  await insert(client, 'LiteLLM_VerificationToken', [
    {
      token: sha256(secret),
      key_name: 'sk-...tm-1',
      key_alias: 'überall \u{1F600}',
      user_id: 'u1',
      team_id: 't1',
      spend: 0.5,
      total_spend: 9.5,
      max_budget: 0.500_02,
      budget_duration: '1d',
      budget_reset_at: tomorrow,
      models: ['m', 'stored'],
      tpm_limit: 4_000_000_000,
      metadata: { tags: ['blue'] },
      created_at: '2025-03-01T10:00:00',
    },
    { token: sha256('sk-over-1'), expires: '2025-01-01T00:00:00', key_alias: 'twice' },
    { token: sha256('sk-blocked-1'), blocked: true, key_alias: 'twice' },
    { token: sha256('sk-page'), team_id: 'litellm-dashboard' },
  ])
  await insert(client, 'LiteLLM_DeprecatedVerificationToken', [
    {
      id: 'd1',
      token: sha256('sk-former-1'),
      active_token_id: sha256(secret),
      revoke_at: tomorrow,
    },
  ])
  await insert(client, 'LiteLLM_DeletedVerificationToken', [
    { id: 'x1', token: sha256('sk-deleted'), key_alias: 'was', spend: 1, deleted_at: '2025-05-01' },
    { id: 'x2', token: sha256('sk-deleted'), key_alias: 'is', spend: 2, deleted_at: '2025-06-01' },
    { id: 'x3', token: sha256(secret), key_alias: 'came back' },
  ])
  await insert(client, 'LiteLLM_EndUserTable', [
    { user_id: 'c1', alias: 'Customer', spend: 1.25, budget_id: 'b-customer' },
    { user_id: 'c2', blocked: true },
  ])
  await insert(client, 'LiteLLM_TagTable', [{ tag_name: 'blue', spend: 0.125 }])
  await insert(client, 'LiteLLM_AccessGroupTable', [
    { access_group_id: 'g1', access_group_name: 'group', access_model_names: ['m'] },
  ])
  await insert(client, 'LiteLLM_ProjectTable', [
    { project_id: 'p1', team_id: 't1', project_alias: 'Project', spend: 2, ...by },
  ])
  await insert(client, 'LiteLLM_CredentialsTable', [
    {
      credential_id: '1',
      credential_name: 'shared',
      credential_values: { api_key: boxes.credential },
      credential_info: { description: 'all' },
      ...by,
    },
  ])
  await insert(client, 'LiteLLM_ProxyModelTable', [
    {
      model_id: 'm1',
      model_name: 'stored',
      litellm_params: {
        model: boxes.model,
        api_key: boxes.key,
        api_base: sealed(base),
        input_cost_per_token: 0.000001,
        output_cost_per_token: 0.000002,
      },
      model_info: { id: 'm1', db_model: true, mode: 'chat' },
      ...by,
    },
    {
      model_id: 'm2',
      model_name: 'lost',
      litellm_params: { model: `${boxes.key.slice(0, -4)}AAA=`, api_key: boxes.key.slice(4) },
      ...by,
    },
  ])
  await insert(client, 'LiteLLM_SpendLogs', requests)
  await insert(client, 'LiteLLM_Config', [{ param_name: 'general_settings', param_value: {} }])
  return client
}

const request = (nth: number, daysAgo: number, more: JsonObject = {}): JsonObject => {
  const at = Date.now() - daysAgo * day
  return {
    request_id: `chatcmpl-${nth}`,
    litellm_call_id: `call-${nth}`,
    call_type: 'acompletion',
    api_key: sha256(secret),
    spend: 0.001 * nth,
    prompt_tokens: 100,
    completion_tokens: 20,
    total_tokens: 120,
    startTime: new Date(at).toISOString().replace('Z', ''),
    endTime: new Date(at + 1500).toISOString().replace('Z', ''),
    model: 'gpt-5',
    model_group: 'm',
    custom_llm_provider: 'openai',
    user: 'u1',
    team_id: 't1',
    request_tags: JSON.stringify(['blue']),
    metadata: { user_api_key_alias: 'überall', usage_object: { completion_tokens: 20 } },
    ...more,
  }
}
const requests: JsonObject[] = [
  ...Array.from({ length: 9 }, (_, nth) => request(nth, 1 + nth / 10)),
  request(20, 2, {
    status: 'failure',
    spend: 0,
    metadata: {
      error_information: {
        error_class: 'RateLimitError',
        error_code: '429',
        error_message: 'slow',
      },
    },
  }),
  request(21, 50),
  request(22, 70),
]

/** Everything LiteLLM has, as one text. */
async function dump(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  )
  const all: string[] = []
  for (const { name } of rows) {
    const { rows: found } = await client.query(`select t::text from "${name}" t order by 1`)
    all.push(`${name} ${JSON.stringify(found)}`)
  }
  return all.join('\n')
}

test('import says what it lacks', async () => {
  const nobody = await throughway(['import', 'litellm', '--from', 'postgres://127.0.0.1:1/x'])
  assert.equal(nobody.code, 1)
  assert.match(nobody.stderr, /LiteLLM's database cannot be read \(ECONNREFUSED\)/)
  assert.equal((await throughway(['import'])).code, 2)
  assert.equal((await throughway(['import', 'other'])).code, 2)
  const nothing = await throughway(['import', 'litellm'])
  assert.equal(nothing.code, 2)
  assert.match(nothing.stderr, /--from postgres/)
})

const postgres = postgresFolder()
if (postgres === undefined)
  test('from LiteLLM', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(postgres)
  after(() => server.stop())

  test('a database of LiteLLM: the start offers it, it is brought over, its keys open, and it is never written', async () => {
    const provider = await startProvider(scope, hello)
    const url = server.database('house')
    const client = await furnish(url, provider.base)
    const before = await dump(client)
    const env = { DATABASE_URL: url, LITELLM_SALT_KEY: saltKey }
    const config = configOf(provider, { store_model_in_db: true })
    const start = () => startProcess(scope, config, { dataDir: join(folder, 'data'), env })

    const dry = await throughway(['import', 'litellm', '--dry-run'], { DATABASE_URL: url })
    assert.equal(dry.code, 0, dry.stderr)
    assert.match(dry.stdout, /keys: 3 written[\s\S]*requests of the last 30 days: 10\n/)
    assert.match(dry.stdout, /nothing was written/)
    const schemas = await client.query(
      `select 1 from information_schema.schemata where schema_name = 'throughway'`,
    )
    assert.equal(schemas.rowCount, 0)

    const first = await start()
    assert.match(first.said(), /throughway import litellm/)
    assert.equal((await call(first.url, secret)).status, 401)
    first.signal('SIGTERM')
    await first.ended

    const done = await throughway(['import', 'litellm', '--data-dir', join(folder, 'data')], {
      DATABASE_URL: url,
    })
    assert.equal(done.code, 0, done.stderr)
    for (const line of [
      /keys: 3 written, 1 without their alias, which another one has, spend \$0\.50\n/,
      /members of teams: 2 written/,
      /requests since .*: 10 written, 0 here before, spend \$0\.04\n/,
      /left where they are: 1 memberships of teams that are gone\n/,
      /left where they are: 1 models that were sealed with another key/,
      /left where they are: 1 members of a team who have no user_id\n/,
      /not brought over.*LiteLLM_Config/,
    ])
      assert.match(done.stdout, line)

    const gateway = await start()
    assert.doesNotMatch(gateway.said(), /throughway import litellm/)
    const ask = async (path: string): Promise<JsonObject> =>
      (await (
        await fetch(gateway.url + path, { headers: { authorization: `Bearer ${masterKey}` } })
      ).json()) as JsonObject
    assert.equal((await call(gateway.url, secret, { model: 'stored' })).status, 200)
    assert.equal(
      provider.asked.at(-1)?.headers['authorization'],
      'Bearer sk-upstream-credential',
      'the credential of a stored model is opened',
    )
    const lookups = await client.query<{ id: string; lookup: string | null }>(
      'select id, lookup from throughway.virtual_key order by lookup is null',
    )
    assert.deepEqual(
      lookups.rows.map(({ id, lookup }) => [id, lookup !== null]),
      [[sha256(secret), true], ...lookups.rows.slice(1).map(({ id }) => [id, false])],
      'a key that was used is found by its keyed hash from then on, and no other',
    )
    assert.equal((await call(gateway.url, 'sk-former-1', {})).status, 200, 'in its grace')
    // 20000 nano-dollars were left of its budget: the third does not fit.
    const third = await call(gateway.url, secret, { max_tokens: 3 })
    assert.match(third.body, /[Bb]udget/)
    assert.equal((await call(gateway.url, 'sk-over-1')).status, 401)
    assert.equal((await call(gateway.url, 'sk-blocked-1')).status, 401)
    assert.equal((await call(gateway.url, sha256(secret))).status, 401, 'a hash is no key')
    const { info } = (await ask(`/key/info?key=${secret}`)) as { info: JsonObject }
    assert.equal(info['spend'], (500_000_000 + 2 * callCost) / 1e9)
    assert.equal(info['total_spend'], (9_500_000_000 + 2 * callCost) / 1e9)
    assert.equal(info['created_at'], '2025-03-01T10:00:00.000Z')
    const logs = (await ask(`/spend/logs?request_id=chatcmpl-8`)) as unknown as JsonObject[]
    assert.equal(logs[0]?.['spend'], 0.008)
    const { team_info } = (await ask('/team/info?team_id=t1')) as { team_info: JsonObject }
    assert.deepEqual(team_info['admins'], ['u1'])
    assert.deepEqual((team_info['litellm_model_table'] as JsonObject)['model_aliases'], {
      nick: 'm',
    })
    assert.doesNotMatch(JSON.stringify(team_info), /sk-lf|litellm_enc/)
    gateway.signal('SIGTERM')
    await gateway.ended
    assert.equal(await dump(client), before)
  })

  test('again: what changed there comes, what changed here stays, spend is added once', async () => {
    const url = server.database('again')
    const client = await furnish(url, 'http://127.0.0.1:1')
    const { store, run, spendOf } = await house(url)
    const first = await run()
    assert.equal(first.kinds.get('virtual_key')?.written, 3)
    const second = await run()
    for (const [kind, { written, kept, spend }] of second.kinds)
      assert.deepEqual([kind, written, kept, spend], [kind, 0, 0, 0])
    assert.equal(second.requests?.written, 0)

    await client.query(`update "LiteLLM_VerificationToken" set spend = spend + 0.25, max_budget = 4,
      updated_at = now() where user_id = 'u1'`)
    await client.query(`update "LiteLLM_UserTable" set spend = 4, user_alias = 'There'`)
    await client.query(`delete from "LiteLLM_VerificationToken" where blocked`)
    await client.query(`delete from "LiteLLM_TeamMembership" where user_id = 'u2'`)
    await client.query(`update "LiteLLM_TeamTable" set members_with_roles = '[]'`)
    // Late, and begun before rows that are here.
    await insert(client, 'LiteLLM_SpendLogs', [request(30, 1.05), request(31, 0)])
    await store.write(async (tx) => {
      await tx.gateway_user.update('u1', ({ data }) => {
        data['user_alias'] = 'Here'
      })
      await tx.customer.remove('c2')
    })
    // Spent from here meanwhile.
    await store.db.query
      .updateTable('account')
      .set((row) => ({ spend: row('spend', '+', 7), total: row('total', '+', 7) }))
      .where('id', '=', `key:${sha256(secret)}`)
      .execute()
    const third = await run()
    assert.equal(third.kinds.get('virtual_key')?.written, 1)
    assert.equal(third.kinds.get('customer')?.kept, 1)
    assert.equal(third.ended, 2)
    assert.equal(third.requests?.written, 2)
    const { docs } = store
    assert.equal((await docs.virtual_key.find(sha256(secret)))?.data['max_budget'], 4)
    assert.equal(await docs.virtual_key.find(sha256('sk-blocked-1')), undefined)
    assert.equal(
      (await docs.former_key.find(sha256('sk-blocked-1')))?.data['deleted_by'],
      'litellm',
    )
    assert.equal(await docs.team_member.find('t1/u2'), undefined)
    assert.equal((await docs.gateway_user.find('u1'))?.data['user_alias'], 'Here')
    assert.equal((await docs.gateway_user.find('u2'))?.data['user_alias'], 'There')
    assert.equal(await docs.customer.find('c2'), undefined)
    assert.deepEqual(await spendOf(`key:${sha256(secret)}`), [750_000_007, 9_500_000_007])
    assert.deepEqual(await spendOf('user:u1'), [4_000_000_000, 4_000_000_000])
    assert.equal((await run()).kinds.get('virtual_key')?.written, 0)
    assert.deepEqual(await spendOf(`key:${sha256(secret)}`), [750_000_007, 9_500_000_007])
  })

  test('a database without LiteLLM, one in a schema of its own, and one that may not be read', async () => {
    const url = server.database('elsewhere')
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    after(() => client.end())
    await assert.rejects(openLitellm(url), /no tables of LiteLLM/)
    await client.query(`create schema apart; set search_path to apart; ${litellmTables}`)
    await client.query(`insert into "LiteLLM_TagTable" (tag_name) values ('blue')`)
    const source = await openLitellm(url)
    assert.match(source.name, /apart$/)
    assert.equal(await source.count('LiteLLM_TagTable'), 1)
    await source.close()
    await assert.rejects(openLitellm(`${url}?schema=public`), /\(schema "public"\)/)
    await client.query('create role reader login; grant usage on schema apart to reader')
    await client.query('grant select on "LiteLLM_VerificationToken" to reader')
    const poor = await openLitellm(url.replace('postgres@', 'reader@'))
    assert.equal(await poor.count('LiteLLM_VerificationToken'), 0)
    assert.equal(await poor.isEmpty('LiteLLM_Config'), false, 'who may not look does not say so')
    await assert.rejects(poor.count('LiteLLM_TagTable'), /cannot all be read by this user/)
    await poor.close()
  })

  test('older requests come when more days are asked for, and none comes twice', async () => {
    const url = server.database('days')
    await furnish(url, 'http://127.0.0.1:1')
    const { run, requestsOf } = await house(url)
    assert.equal((await run(30)).requests?.written, 10)
    assert.equal((await run(60)).requests?.written, 1)
    assert.equal((await run(30)).requests?.written, 0)
    assert.equal((await run(60)).requests?.written, 0)
    assert.equal((await run(90)).requests?.written, 1)
    assert.equal((await run(0)).requests?.written, undefined)
    const { rows, hours } = await requestsOf()
    assert.equal(rows.length, requests.length)
    const nano = requests.reduce((sum, { spend }) => sum + Math.round(Number(spend) * 1e9), 0)
    assert.deepEqual(
      [hours.requests, hours.failures, hours.spend],
      [requests.length, 1, nano].map(Number),
    )
    const failed = rows.find(({ request_id }) => request_id === 'chatcmpl-20')
    assert.equal(failed?.status, 429)
  })

  test('an account whose period ended there, here or in both has what belongs to the new one', async () => {
    const url = server.database('periods')
    const client = await furnish(url, 'http://127.0.0.1:1')
    const { store, run, spendOf } = await house(url)
    await run()
    const account = `key:${sha256(secret)}`
    const later = (days: number) => new Date(Date.now() + days * day).toISOString().replace('Z', '')
    const there = (spend: number, days: number) =>
      client.query(
        `update "LiteLLM_VerificationToken" set spend = $1, budget_reset_at = $2 where user_id = 'u1'`,
        [spend, later(days)],
      )
    const here = (spend: number, days: number) =>
      store.db.query
        .updateTable('account')
        .set({ spend, resets_at: Date.parse(`${later(days)}Z`) })
        .where('id', '=', account)
        .execute()
    // There only: what had been spent here stays beside it.
    await store.db.query
      .updateTable('account')
      .set((row) => ({ spend: row('spend', '+', 5) }))
      .where('id', '=', account)
      .execute()
    await there(0.125, 2)
    await run()
    assert.equal((await spendOf(account))[0], 125_000_005)
    // In both: what is here was spent here.
    await here(9, 3)
    await there(0.25, 3.5)
    await run()
    assert.equal((await spendOf(account))[0], 250_000_009)
  })
}

/** A store in memory, and LiteLLM's database to fill it from. */
async function house(url: string) {
  const db = openSqlite(':memory:')
  after(() => db.close())
  await migrate(db)
  const store: Store = await createStore({ db, node: 'n', sealer: createSealer(saltKey) })
  return {
    store,
    async run(days = 30): Promise<ImportReport> {
      const source = await openLitellm(url)
      try {
        return await importLitellm({
          source,
          store,
          open: createOpenSealed([saltKey]),
          clock: {},
          masterKeys: new Set(),
          requestsFrom: days === 0 ? undefined : Date.now() - days * day,
          requestRows: true,
          onProgress: () => {},
        })
      } finally {
        await source.close()
      }
    },
    async spendOf(id: string) {
      const account = (await readAccounts(db.query, [id])).get(id)
      return [account?.spend, account?.total]
    },
    async requestsOf() {
      const rows = await db.query.selectFrom('spend_log').selectAll().execute()
      const hours = await db.query
        .selectFrom('spend_hour')
        .select((a) => [
          a.fn.sum<number>('requests').as('requests'),
          a.fn.sum<number>('failures').as('failures'),
          a.fn.sum<number>('spend').as('spend'),
        ])
        .where('scope', '=', 'all')
        .executeTakeFirstOrThrow()
      return { rows, hours }
    },
  }
}
