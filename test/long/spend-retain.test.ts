import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { migrate } from '../../src/store/migrate.ts'
import { type RetainTerms, retain } from '../../src/store/retain.ts'
import { isPayload, openShelf } from '../../src/store/shelf.ts'
import { entry, fill } from '../../src/store/spend-fill.test.ts'
import { openSqlite } from '../../src/store/sqlite.node.ts'

const folder = await mkdtemp(join(tmpdir(), 'throughway-test-'))
after(() => rm(folder, { recursive: true, force: true }))

const day = 86_400_000
const today = Date.parse('2026-06-30T00:00:00Z')
const forEver: RetainTerms = {
  rowsMs: undefined,
  rowsBytes: undefined,
  payloadsMs: undefined,
  payloadsBytes: undefined,
}
const rows = 300

/** A row and a prompt of 100 bytes each day, and what is left of them. */
async function keeping(name: string, terms: Partial<RetainTerms>, steps?: number) {
  const db = openSqlite(join(folder, `${name}.db`))
  await migrate(db)
  await fill(
    db,
    Array.from({ length: rows }, (_, nth) =>
      entry(`r${nth}`, today - nth * day, {
        endedAt: today - nth * day,
        payload: `"${'x'.repeat(98)}"`,
      }),
    ),
  )
  // Older than all of them, and somebody's still.
  const shelf = openShelf(db, () => 0)
  await shelf.save('batch', 'unpaid')
  let pauses = 0
  const done = await retain({
    db,
    terms: { ...forEver, ...terms },
    now: today + 1,
    pause: async () => void pauses++,
    stepRows: 20,
    ...(steps !== undefined && { steps }),
  })
  const left = await db.query
    .selectFrom('spend_log')
    .select('request_id')
    .orderBy('started_at', 'desc')
    .execute()
  const prompts = await db.query
    .selectFrom('payload')
    .select('request_id')
    .where(isPayload)
    .orderBy('at', 'desc')
    .execute()
  const hours = await db.query
    .selectFrom('spend_hour')
    .select('requests')
    .where('scope', '=', 'all')
    .execute()
  assert.equal(
    hours.reduce((sum, { requests }) => sum + Number(requests), 0),
    rows,
    'sums stay',
  )
  assert.equal(await shelf.find('batch'), 'unpaid', 'what lies on the shelf is not cleared away')
  await db.close()
  assert.deepEqual([rows - left.length, rows - prompts.length], [done.rows, done.payloads])
  for (const [nth, { request_id }] of left.entries())
    assert.equal(request_id, `r${nth}`, 'the newest stay')
  for (const [nth, { request_id }] of prompts.entries()) assert.equal(request_id, `call-r${nth}`)
  return { rows: left.length, payloads: prompts.length, pauses }
}

const cases: [name: string, terms: Partial<RetainTerms>, rows: number, payloads: number][] = [
  ['nothing said: everything stays', {}, rows, rows],
  ['by time', { rowsMs: 30 * day }, 30, 30],
  ['prompts sooner than rows', { rowsMs: 30 * day, payloadsMs: 7 * day }, 30, 7],
  ['prompts never later than their rows', { rowsMs: 30 * day, payloadsMs: 60 * day }, 30, 30],
  ['prompts alone', { payloadsMs: 7 * day }, rows, 7],
  ['rows by size', { rowsBytes: 230 * 50 }, 50, 50],
  ['prompts by size', { payloadsBytes: 10_000 }, rows, 100],
  ['what comes first, time or size', { rowsMs: 30 * day, rowsBytes: 230 * 10 }, 10, 10],
  ['there is room for more', { rowsBytes: 230 * 1000, payloadsBytes: 1e9 }, rows, rows],
]
for (const [name, terms, keptRows, keptPayloads] of cases)
  test(name, async () => {
    const { rows: left, payloads } = await keeping(name, terms)
    assert.deepEqual([left, payloads], [keptRows, keptPayloads])
  })

test('in steps, with a pause after each, and no further than a run goes', async () => {
  const all = await keeping('steps', { rowsMs: 100 * day })
  assert.equal(all.pauses, 20, 'ten of twenty prompts each, ten of as many rows')
  const cut = await keeping('cut', { rowsMs: 100 * day }, 3)
  assert.deepEqual([cut.rows, cut.payloads], [rows - 60, rows - 60])
})
