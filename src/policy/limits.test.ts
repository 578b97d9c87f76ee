import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { openSqlite } from '../store/sqlite.node.ts'
import { createStore, type Store } from '../store/store.ts'
import { createLimits, type LimitAsk, type LimitKind } from './limits.ts'

const ask = (
  kind: LimitKind,
  limit: number,
  amount = 1,
  more: Partial<LimitAsk> = {},
): LimitAsk => ({
  id: 'key:1',
  kind,
  limit,
  amount,
  windowMs: 60_000,
  descriptor: 'api_key',
  name: 'k',
  ...more,
})

test('a window lets through its limit, then says when there is room again', async () => {
  let now = 1_000_000_500
  const limits = createLimits(undefined, () => now)
  for (let i = 0; i < 3; i++) {
    const taken = await limits.take([ask('requests', 3)])
    assert.ok(taken.ok)
    assert.equal(taken.left[0], 2 - i)
    taken.release(5)
    now += 10_000
  }
  const denied = await limits.take([ask('requests', 3)])
  assert.ok(!denied.ok)
  assert.ok(
    denied.retryAfterMs >= 29_000 && denied.retryAfterMs <= 31_000,
    `${denied.retryAfterMs}`,
  )
  now += denied.retryAfterMs
  assert.ok((await limits.take([ask('requests', 3)])).ok)
  assert.ok(!(await limits.take([ask('requests', 3)])).ok)
})

test('never more than the limit in any sixty seconds', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 9000 }), { minLength: 20, maxLength: 120 }),
      fc.integer({ min: 1, max: 10 }),
      async (steps, limit) => {
        let now = 5_000_000
        const limits = createLimits(undefined, () => now)
        const through: number[] = []
        for (const step of steps) {
          now += step
          if ((await limits.take([ask('requests', limit)])).ok) through.push(now)
        }
        for (const [at, instant] of through.entries())
          assert.ok((through[at + limit] ?? Number.POSITIVE_INFINITY) - instant >= 60_000)
      },
    ),
    { numRuns: 60 },
  ))

test('tokens are corrected by what was used, and a refused request counts for nothing', async () => {
  const limits = createLimits(undefined, () => 1_000_000)
  const both = [ask('requests', 10), ask('tokens', 100, 50)]
  const first = await limits.take(both)
  assert.ok(first.ok)
  first.release(10)
  first.release(99)
  const second = await limits.take([ask('requests', 10), ask('tokens', 100, 90)])
  assert.ok(second.ok, 'ten were used, not fifty')
  second.release(undefined)
  const third = await limits.take([ask('requests', 10), ask('tokens', 100, 91)])
  assert.ok(!third.ok && third.ask.kind === 'tokens')
  const fourth = await limits.take(both)
  assert.ok(fourth.ok)
  assert.equal(fourth.left[0], 8, 'neither the refused one nor the released one is counted')
})

test('slots are free again however a request ends, and once only', async () => {
  const limits = createLimits(undefined, () => 1_000_000)
  const slot = [ask('max_parallel_requests', 2)]
  const [a, b] = [await limits.take(slot), await limits.take(slot)]
  assert.ok(a.ok && b.ok && !(await limits.take(slot)).ok)
  a.release(0)
  a.release(0)
  assert.ok((await limits.take(slot)).ok)
  assert.ok(!(await limits.take(slot)).ok)
})

const folder = await mkdtemp(join(tmpdir(), 'throughway-test-'))
const stores: Store[] = []
after(async () => {
  for (const { db } of stores) await db.close()
  await rm(folder, { recursive: true, force: true })
})

test('two processes together let through what one would', async () => {
  const nodes = await Promise.all(
    ['a', 'b'].map(async (node) => {
      const db = openSqlite(join(folder, 'limits.db'))
      await migrate(db)
      const store = await createStore({ db, node, sealer: createSealer('test') })
      stores.push(store)
      await db.query
        .insertInto('node')
        .values({
          id: node,
          host: 'h',
          started_at: 0,
          heartbeat_at: Date.now(),
          seen: 0,
          flushed: 0,
          taken_by: null,
        })
        .execute()
      return createLimits(store, Date.now)
    }),
  )
  const [a, b] = nodes
  assert.ok(a && b)
  // The first has counted alone before the second came.
  assert.ok((await a.take([ask('requests', 8)])).ok)
  await a.setNodes([1, 2], 1)
  await b.setNodes([1, 2], 2)
  const results = await Promise.all(
    Array.from({ length: 24 }, (_, at) => (at % 2 ? a : b).take([ask('requests', 8)])),
  )
  assert.equal(results.filter(({ ok }) => ok).length, 7)
  const slot = [ask('max_parallel_requests', 3, 1, { id: 'key:2' })]
  const taken = await Promise.all(
    Array.from({ length: 10 }, (_, at) => (at % 2 ? a : b).take(slot)),
  )
  assert.equal(taken.filter(({ ok }) => ok).length, 3)
  for (const one of taken) if (one.ok) one.release(0)
  for (let tries = 0; ; tries++) {
    if ((await b.take(slot)).ok) break
    assert.ok(tries < 50, 'the slots are free again')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
})
