import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Db } from '../../src/store/db.ts'
import { migrate } from '../../src/store/migrate.ts'
import { countSpendRows, spendRows } from '../../src/store/spend.ts'
import { entry, fill } from '../../src/store/spend-fill.test.ts'
import type { SpendFilter } from '../../src/store/spend-filter.ts'
import { type SumsFilter, spenders, spendSums } from '../../src/store/spend-sums.ts'
import { openSqlite } from '../../src/store/sqlite.node.ts'

const hour = 3_600_000
const start = Date.UTC(2026, 0, 1)

async function open(path = ':memory:'): Promise<Db> {
  const db = openSqlite(path)
  await migrate(db)
  return db
}

test('sums: days of any time zone add up to the same, and every sum to its rows', async () => {
  const one = fc.record({
    at: fc.integer({ min: 0, max: 72 }),
    key: fc.constantFrom('k1', 'k2'),
    user: fc.option(fc.constantFrom('u1', 'u2'), { nil: undefined }),
    tags: fc.subarray(['x', 'y']),
    spend: fc.integer({ min: 0, max: 1e12 }),
    failed: fc.boolean(),
    took: fc.integer({ min: 0, max: 9999 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(one, { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0, 480, -330, 60, -840),
      async (all, offsetMinutes) => {
        const db = await open()
        const entries = all.map(({ at, key, user, tags, spend, failed, took }, index) =>
          entry(`${index}`, start + at * hour + 1, {
            keyId: key,
            endedAt: start + at * hour + 1 + took,
            nanoDollars: spend,
            ...(failed && { fault: 'provider' as const, status: 500 }),
            payer: { userId: user, tags },
          }),
        )
        // In two parts, so that sums are added to what is there.
        await fill(db, entries.slice(0, 3))
        await fill(db, entries.slice(3))
        const total = (fits: (one: (typeof all)[number]) => boolean) =>
          all.filter(fits).reduce((sum, { spend }) => sum + spend, 0)
        const days = await spendSums(db.query, { scope: 'all' }, ['day'], { offsetMinutes })
        for (const { day, spend, requests, failures, duration } of days) {
          const here = all.filter(
            ({ at }) =>
              Math.floor((start + at * hour - offsetMinutes * 60_000) / 86_400_000) === day,
          )
          assert.deepEqual(
            [spend, requests, failures, duration],
            [
              here.reduce((sum, { spend }) => sum + spend, 0),
              here.length,
              here.filter(({ failed }) => failed).length,
              here.reduce((sum, { failed, took }) => sum + (failed ? 0 : took), 0),
            ],
          )
        }
        const counted = days.reduce((sum, { requests }) => sum + requests, 0)
        assert.equal(counted, all.length)
        const sums: [filter: SumsFilter, fits: (one: (typeof all)[number]) => boolean][] = [
          [{ scope: 'all' }, () => true],
          [{ scope: 'user', of: ['u1'] }, ({ user }) => user === 'u1'],
          [{ scope: 'user', except: ['u1'] }, ({ user }) => user === 'u2'],
          [
            { scope: 'tag', of: ['x'], keys: ['k1'] },
            ({ tags, key }) => tags.includes('x') && key === 'k1',
          ],
          [{ scope: 'all', models: ['gpt-x', 'none'] }, () => true],
          [{ scope: 'all', models: ['none'] }, () => false],
          [{ scope: 'all', keys: [] }, () => false],
          [
            { scope: 'all', from: start + 5 * hour, until: start + 9 * hour },
            ({ at }) => at >= 5 && at < 9,
          ],
        ]
        for (const [filter, fits] of sums)
          assert.equal(
            (await spendSums(db.query, filter, []))[0]?.spend ?? 0,
            total(fits),
            JSON.stringify(filter),
          )
        assert.deepEqual(
          await spenders(db.query, 'user', 10),
          [...new Set(all.flatMap(({ user }) => user ?? []))].sort(),
        )
        const top = await spendSums(db.query, { scope: 'all' }, ['key'], { top: 1 })
        assert.equal(
          top[0]?.spend,
          Math.max(
            total(({ key }) => key === 'k1'),
            total(({ key }) => key === 'k2'),
          ),
        )
        await db.close()
      },
    ),
    { numRuns: 10 },
  )
})

test('a million rows: small, and a page of them at once', {
  skip: process.env['HEAVY'] === '1' ? false : 'takes a minute: HEAVY=1',
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'spend-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const db = await open(join(dir, 'db.sqlite'))
  t.after(() => db.close())
  const rows = 1_000_000
  const month = 30 * 24 * hour
  const hex = (n: number, length: number) => n.toString(16).padStart(length, '0')
  for (let at = 0; at < rows; at += 5000) {
    await fill(
      db,
      Array.from({ length: 5000 }, (_, index) => {
        const n = at + index
        // A hundred keys, a few of which have most of the traffic; each has its model, and sometimes another.
        const who = Math.floor((100 * ((n * 7919) % 1000) ** 3) / 1e9)
        const model = (who + (n % 50 === 0 ? 1 : 0)) % 5
        const random = (n: number) => hex(Math.imul(n, 0x9e3779b1) >>> 0, 8)
        const failed = n % 50 === 0
        return entry(`chatcmpl-${hex(n, 16)}${random(n)}`, start + Math.floor((n * month) / rows), {
          requestId: `${random(n + rows)}-0000-4000-8000-${hex(n, 12)}`,
          keyId: hex(who, 64),
          group: `model-${model}`,
          upstreamModel: `provider-model-${model}`,
          deploymentId: `deployment-${model}-${n % 2}`,
          provider: model % 2 === 0 ? 'openai' : 'anthropic',
          nanoDollars: (n * 104729) % 1_000_000_000,
          ...(failed && { fault: 'rate_limit' as const, status: 429, error: 'slow down, please' }),
          payer: {
            userId: `user-${who % 100}`,
            ...(who % 2 === 0 && { teamId: `team-${who % 20}`, organizationId: 'org' }),
            ...(n % 10 === 0 && { customerId: `customer-${n % 2000}` }),
            ...(who % 4 === 0 && { tags: ['production', `job-${who % 7}`] }),
          },
        })
      }),
    )
  }
  const size = (await stat(join(dir, 'db.sqlite'))).size / 1e6
  t.diagnostic(`${rows} rows: ${size.toFixed(0)} MB`)
  const pages: [name: string, filter: SpendFilter, offset: number][] = [
    ['newest', {}, 0],
    ['of a day', { from: start + 20 * 24 * hour, until: start + 21 * 24 * hour }, 0],
    ['of a key', { keys: [hex(7, 64)] }, 0],
    ['of a team, page 10', { teams: ['team-4'] }, 450],
    [
      'own and of three teams',
      {
        sight: {
          keys: [hex(7, 64)],
          users: ['user-7'],
          teams: ['team-2', 'team-4', 'team-6'],
          organizations: [],
        },
      },
      0,
    ],
    [
      'by id',
      { requestId: `chatcmpl-${hex(777_777, 16)}${hex(Math.imul(777_777, 0x9e3779b1) >>> 0, 8)}` },
      0,
    ],
    ['page 10,000', {}, 500_000],
    ['last page', {}, rows - 50],
  ]
  const slow: string[] = []
  for (const [name, filter, offset] of pages) {
    const times: number[] = []
    for (let i = 0; i < 5; i++) {
      const began = performance.now()
      await spendRows(db.query, filter, { limit: 50, offset })
      times.push(performance.now() - began)
    }
    const ms = times.sort((a, b) => a - b)[2] ?? 0
    const began = performance.now()
    const count = await countSpendRows(db.query, filter)
    t.diagnostic(
      `${name}: ${ms.toFixed(1)} ms; counting ${count}: ${(performance.now() - began).toFixed(1)} ms`,
    )
    if (ms > 100) slow.push(`${name}: ${ms} ms`)
  }
  for (const [name, filter, by] of [
    ['days of a month', { scope: 'all' }, ['day']],
    [
      'a day by key and model',
      { scope: 'all', from: start + 20 * 24 * hour, until: start + 21 * 24 * hour },
      ['key', 'group'],
    ],
    ['teams', { scope: 'team' }, ['day', 'who']],
  ] as const) {
    const began = performance.now()
    const sums = await spendSums(db.query, filter, by)
    t.diagnostic(`sums, ${name}: ${sums.length} rows, ${(performance.now() - began).toFixed(1)} ms`)
  }
  const { n } = await db.query
    .selectFrom('spend_hour')
    .select((a) => a.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  t.diagnostic(`spend_hour: ${n} rows`)
  assert.deepEqual(slow, [])
  assert.ok(size <= 250, `${size} MB`)
})
