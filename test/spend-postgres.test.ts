import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { migrate } from '../src/store/migrate.ts'
import { openPostgres } from '../src/store/postgres.node.ts'
import { countSpendRows, type SpendOrder, spendRowSums, spendRows } from '../src/store/spend.ts'
import { entry, fill } from '../src/store/spend-fill.test.ts'
import type { SpendFilter } from '../src/store/spend-filter.ts'
import {
  type SumsBy,
  type SumsFilter,
  type SumsRow,
  spenders,
  spendSums,
} from '../src/store/spend-sums.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'

const bin = postgresFolder()
if (bin === undefined) test('PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  const postgres = await openPostgres({ url: server.database(), onError: () => {} })
  const sqlite = openSqlite(':memory:')
  after(async () => {
    await postgres.close()
    await sqlite.close()
    server.stop()
  })
  const start = Date.UTC(2026, 0, 1)
  const names = ['a', 'b', undefined]
  const entries = Array.from({ length: 60 }, (_, n) =>
    entry(n % 7 === 0 ? `${n}` : `chatcmpl-${n}-Ünï`, start + ((n * 7) % 53) * 1_800_000 + n, {
      keyId: `k${n % 4}`,
      nanoDollars: n * 1_000_003,
      group: `g${n % 3}`,
      upstreamModel: `m${n % 5}`,
      ...(n % 6 === 0 && { fault: 'rate_limit' as const, status: 429, error: `no ${n} "now"` }),
      payer: {
        userId: names[n % 3],
        teamId: names[n % 2],
        organizationId: names[(n + 1) % 3],
        customerId: n % 5 === 0 ? "c'; drop" : undefined,
        tags: n % 2 === 0 ? ['t1', 't2'] : [],
        sessionId: n % 9 === 0 ? 's%_' : undefined,
      },
    }),
  )
  for (const db of [postgres, sqlite]) {
    await migrate(db)
    await fill(db, entries)
  }

  const sight = { keys: ['k1'], users: ['a'], teams: ['b'], organizations: ['a', 'b'] }
  const filters: SpendFilter[] = [
    {},
    { from: start + 3_600_000, until: start + 40_000_000 },
    { keys: ['k1', 'k2'], users: ['a'] },
    { teams: ['b'], failed: true },
    { organizations: ['a'], failed: false },
    { customers: ["c'; drop"] },
    { sight },
    { sight, groups: ['g1'], models: ['m1', 'm4'] },
    { sight: { keys: [], users: [], teams: [], organizations: [] } },
    { requestId: 'chatcmpl-1-Ünï' },
    { requestId: '7' },
    { requestId: 'call-7' },
    { requestId: '' },
    { session: 's%_' },
    { session: 's%' },
    { error: '"now"', status: 429 },
    { minSpend: 5_000_000, maxSpend: 30_000_000, cached: false },
    { anyId: 'k3', from: start },
    { deployments: ['d1'] },
  ]
  for (const filter of filters)
    test(`both databases find the same rows: ${JSON.stringify(filter)}`, async () => {
      const found = async (db: typeof sqlite) => ({
        rows: await spendRows(db.query, filter, { limit: 100 }),
        page: await spendRows(db.query, filter, { limit: 5, offset: 3 }),
        counted: await countSpendRows(db.query, filter),
        sums: (
          await spendRowSums(db.query, filter, ['day', 'key', 'team', 'model', 'deployment'])
        ).sort(byJson),
      })
      const [one, other] = await Promise.all([found(postgres), found(sqlite)])
      assert.deepEqual(one, other)
      assert.equal(one.counted, one.rows.length)
    })

  test('in the same order', async () => {
    const orders: SpendOrder[] = [
      'startTime',
      'endTime',
      'spend',
      'total_tokens',
      'request_duration_ms',
      'ttft_ms',
      'model',
    ]
    for (const order of orders)
      for (const descending of [true, false]) {
        const of = async (db: typeof sqlite) =>
          (await spendRows(db.query, {}, { limit: 60, order, descending })).map(({ seq }) => seq)
        assert.deepEqual(await of(postgres), await of(sqlite), `${order} ${descending}`)
      }
  })

  test('both databases add up to the same', async () => {
    const sums: [filter: SumsFilter, by: SumsBy[], offsetMinutes: number][] = [
      [{ scope: 'all' }, [], 0],
      [{ scope: 'all' }, ['day', 'key', 'group', 'model', 'provider', 'operation'], 480],
      [{ scope: 'user', of: ['a'] }, ['day', 'who'], -330],
      [{ scope: 'team', except: ['a'] }, ['who', 'key'], 0],
      [{ scope: 'tag', of: ['t1', 'none'], keys: ['k0'] }, ['who'], 0],
      [{ scope: 'customer', models: ['g1', 'm2'] }, ['day'], 0],
      [{ scope: 'organization', from: start + 3_600_000, until: start + 7_200_000 }, ['who'], 0],
      [{ scope: 'all', keys: [] }, ['day'], 0],
    ]
    for (const [filter, by, offsetMinutes] of sums) {
      const of = async (db: typeof sqlite): Promise<SumsRow[]> =>
        (await spendSums(db.query, filter, by, { offsetMinutes })).sort(byJson)
      assert.deepEqual(await of(postgres), await of(sqlite), JSON.stringify(filter))
    }
    const top = (db: typeof sqlite) => spendSums(db.query, { scope: 'all' }, ['key'], { top: 2 })
    assert.deepEqual(await top(postgres), await top(sqlite))
    assert.deepEqual(
      await spenders(postgres.query, 'tag', 9),
      await spenders(sqlite.query, 'tag', 9),
    )
  })
}

const byJson = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
