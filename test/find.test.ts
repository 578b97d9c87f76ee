import { deepEqual, equal } from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Db } from '../src/store/db.ts'
import { findKeys, type KeyFilter, keySorts } from '../src/store/find-keys.ts'
import { findUsers, keyCounts, type UserFilter, userSorts } from '../src/store/find-users.ts'
import { migrate } from '../src/store/migrate.ts'
import { openPostgres } from '../src/store/postgres.node.ts'
import { createSealer } from '../src/store/seal.node.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { createStore } from '../src/store/store.ts'
import { postgresFolder, startPostgres, type TemporaryPostgres } from './support/postgres.ts'

/** What management looks for, by queries that the two databases are told in different words. */
const now = 1_000_000
const page = { now, limit: 10, offset: 0 }

async function fill(db: Db): Promise<void> {
  await migrate(db)
  let at = 0
  const store = await createStore({
    db,
    node: 'one',
    sealer: createSealer('test'),
    now: () => ++at,
  })
  await store.write(async (tx) => {
    await tx.team.insert({ id: 't1', columns: { organization_id: 'o1' }, data: {} })
    const keys = [
      ['k1', 'Éclair', { user_id: 'u1' }, { max_budget: 5, created_by: 'u1' }],
      ['k2', '100%_sure', { user_id: 'u2', team_id: 't1' }, { blocked: true, agent_id: 'a1' }],
      [
        'k3',
        "it's",
        { team_id: 't1', expires_at: '999999' },
        { max_budget: 1, access_group_ids: ['g1', 'g2'] },
      ],
      [
        'k4',
        null,
        { organization_id: 'o1', expires_at: '1000001' },
        { blocked: false, metadata: { nul: '\0', half: '\ud800', whole: '🔑', '\\u0000': '\\' } },
      ],
    ] as const
    for (const [id, alias, columns, data] of keys)
      await tx.virtual_key.insert({
        id,
        uniqueName: alias,
        columns,
        data: JSON.parse(JSON.stringify({ ...data, ...(alias && { key_alias: alias }) })),
      })
    await tx.former_key.insert({
      id: 'gone',
      columns: { user_id: 'u1' },
      data: { key_alias: 'was here', spend: 2 },
    })
    for (const [id, email, role, alias] of [
      ['u1', 'ada@x.example', 'internal_user', 'Zoe'],
      ['u2', 'b_b@x.example', 'proxy_admin', 'Bob'],
      ['u3', null, null, null],
    ] as const)
      await tx.gateway_user.insert({
        id,
        columns: { email, role, sso_id: `sso-${id}` },
        data: alias ? { user_alias: alias } : {},
      })
    await tx.team_member.insert({
      id: 't1/u2',
      columns: { team_id: 't1', user_id: 'u2' },
      data: {},
    })
    await tx.organization_member.insert({
      id: 'o1/u3',
      columns: { organization_id: 'o1', user_id: 'u3' },
      data: {},
    })
    for (const [id, spend] of [
      ['key:k3', 7],
      ['key:k1', 3],
      ['user:u1', 9],
    ] as const)
      await tx.db
        .insertInto('account')
        .values({ id, spend, total: 0, leased: 0, duration: null, resets_at: null })
        .execute()
  })
}

const keyCases: [filter: Partial<KeyFilter>, ids: string[]][] = [
  [{}, ['k4', 'k3', 'k2', 'k1']],
  [{ descending: false }, ['k1', 'k2', 'k3', 'k4']],
  [{ limit: 2, offset: 1 }, ['k3', 'k2']],
  [{ scopes: [] }, []],
  [{ scopes: [{ userId: 'u1' }, { teamIds: ['t1'], userId: null }] }, ['k3', 'k1']],
  [{ scopes: [{ userId: { containing: 'U' } }] }, ['k2', 'k1']],
  [{ scopes: [{ createdBy: 'u1', teamIds: null }] }, ['k1']],
  [{ scopes: [{ organizationIds: ['o1'] }] }, ['k4', 'k3', 'k2']],
  [{ scopes: [{ teamIds: [] }] }, []],
  [{ teamId: 't1', id: 'k2' }, ['k2']],
  [{ alias: "it's" }, ['k3']],
  [{ alias: "IT'S" }, []],
  [{ alias: { containing: "T'" } }, ['k3']],
  [{ alias: { containing: '0%_' } }, ['k2']],
  [{ alias: { containing: 'É' } }, ['k1']],
  [{ search: { id: 'k4', containing: 'it' } }, ['k4', 'k3']],
  [{ accessGroupId: 'g2' }, ['k3']],
  [{ accessGroupId: 'g' }, []],
  [{ agentId: 'a1' }, ['k2']],
  [{ aliased: true, sort: 'key_alias', descending: false }, ['k2', 'k3', 'k1']],
  [{ status: 'active' }, ['k4', 'k1']],
  [{ status: 'expired' }, ['k3']],
  [{ status: 'revoked' }, ['k2']],
  [{ status: 'deleted' }, ['gone']],
  [
    { status: 'deleted', alias: { containing: 'HERE' }, scopes: [{ userId: 'u1' }], sort: 'spend' },
    ['gone'],
  ],
  [{ status: 'deleted', alias: 'else' }, []],
  [{ expires: 'active' }, ['k4', 'k2', 'k1']],
  [{ expires: 'expired' }, ['k3']],
  [{ sort: 'spend' }, ['k3', 'k1', 'k4', 'k2']],
  [{ sort: 'max_budget', descending: false }, ['k3', 'k1', 'k2', 'k4']],
  [{ sort: 'token', descending: false }, ['k1', 'k2', 'k3', 'k4']],
]
const userCases: [filter: Partial<UserFilter>, ids: string[]][] = [
  [{}, ['u3', 'u2', 'u1']],
  [{ role: 'proxy_admin' }, ['u2']],
  [{ ids: ['u1', 'u3'] }, ['u3', 'u1']],
  [{ ids: { containing: 'U1' } }, ['u1']],
  [{ ssoIds: ['sso-u2'] }, ['u2']],
  [{ email: 'B_B' }, ['u2']],
  [{ search: 'ADA@' }, ['u1']],
  [{ search: 'u' }, ['u3', 'u2', 'u1']],
  [{ teamIds: ['t1'] }, ['u2']],
  [{ organizationIds: ['o1'] }, ['u3']],
  [{ within: { teamIds: ['t1'], organizationIds: ['o1'] } }, ['u3', 'u2']],
  [{ within: { teamIds: [], organizationIds: [] } }, []],
  [{ sort: 'spend' }, ['u1', 'u3', 'u2']],
  [{ sort: 'user_alias', descending: false }, ['u3', 'u2', 'u1']],
  [{ sort: 'user_email', descending: false, limit: 1, offset: 1 }, ['u1']],
]

function contract(name: string, open: () => Promise<Db>, close = () => {}): void {
  describe(name, () => {
    let db: Db
    before(async () => {
      db = await open()
      await fill(db)
    })
    after(async () => {
      await db?.close()
      close()
    })
    for (const [filter, ids] of keyCases)
      test(`keys: ${JSON.stringify(filter)}`, async () =>
        deepEqual((await findKeys(db, { ...page, ...filter })).ids, ids))
    for (const [filter, ids] of userCases)
      test(`users: ${JSON.stringify(filter)}`, async () =>
        deepEqual((await findUsers(db, { ...page, ...filter })).ids, ids))
    test('every order is one, and a page does not change how many there are', async () => {
      for (const sort of keySorts) {
        const found = await findKeys(db, { ...page, sort, limit: 1 })
        equal(found.total, 4, sort)
        equal((await findKeys(db, { ...page, sort, status: 'deleted' })).total, 1, sort)
      }
      for (const sort of userSorts)
        equal((await findUsers(db, { ...page, sort, limit: 1 })).total, 3, sort)
    })
    test('how many keys somebody has', async () => {
      deepEqual(Object.fromEntries(await keyCounts(db, ['u1', 'u2', 'u3'])), { u1: 1, u2: 1 })
      deepEqual((await keyCounts(db, [])).size, 0)
    })
  })
}

contract('SQLite', async () => openSqlite(':memory:'))

const bin = postgresFolder()
let server: TemporaryPostgres | undefined
if (bin === undefined) test('PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else
  contract(
    'PostgreSQL',
    async () => {
      server = await startPostgres(bin)
      return openPostgres({ url: server.database(), onError: () => {}, connections: 2 })
    },
    () => server?.stop(),
  )
