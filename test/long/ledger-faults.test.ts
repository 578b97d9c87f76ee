import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { noUsage } from '../../src/chat/chat.ts'
import { type Books, createBooks } from '../../src/ledger/books.ts'
import { type Journal, type Left, noJournal } from '../../src/ledger/journal.ts'
import type { Entry, Opening } from '../../src/ledger/ledger.ts'
import type { Reserved } from '../../src/ledger/purse.ts'
import { away, type Db, isAway } from '../../src/store/db.ts'
import { migrate } from '../../src/store/migrate.ts'
import { createSealer } from '../../src/store/seal.node.ts'
import { openSqlite } from '../../src/store/sqlite.node.ts'
import { createStore } from '../../src/store/store.ts'

const folder = await mkdtemp(join(tmpdir(), 'throughway-test-'))
const open = new Set<Books>()
after(async () => {
  for (const books of open) await books.close()
  await rm(folder, { recursive: true, force: true })
})
let files = 0
const newFile = (): string => join(folder, `${++files}.db`)

/** What becomes of the next transactions: `before` nothing of it is written, `after` all of it, and nobody is told. */
type Fate = 'well' | 'before' | 'after'
type Made = { books: Books; db: Db; logged: string[]; fates(next: () => Fate): void; beat(): void }
type More = {
  now?: () => number
  journal?: Journal
  dead?: Left[]
}

async function make(
  file: string,
  node: string,
  { now = Date.now, journal = noJournal, dead = [] }: More = {},
): Promise<Made> {
  const db = openSqlite(file)
  await migrate(db)
  let fate: () => Fate = () => 'well'
  const logged: string[] = []
  const broken: Db = {
    ...db,
    async batch(statements) {
      if (statements.some(({ packed }) => packed?.texts.includes('poison')))
        throw Object.assign(new Error('CHECK constraint failed'), { errcode: 275 })
      const is = fate()
      if (is === 'before') throw away(new Error('gone before'))
      const results = await db.batch(statements)
      if (is === 'after') throw away(new Error('gone after'))
      return results
    },
  }
  const store = await createStore({ db: broken, node, sealer: createSealer('test'), now })
  const books = await createBooks({
    store,
    journal,
    host: 'h',
    now,
    log: (_, message) => void logged.push(message),
    findDead: () =>
      dead.splice(0).map((left) => ({
        node: left.node,
        sure: true,
        read: async () => left,
        remove() {},
      })),
  })
  open.add(books)
  return {
    books,
    db,
    logged,
    fates: (next) => {
      fate = next
    },
    beat: () => books.purses.heardAt(performance.now()),
  }
}

const opening = (id: string, more: Partial<Opening> = {}): Opening => ({
  requestId: id,
  startedAt: Date.now(),
  operation: 'chat',
  keyId: 'k',
  model: 'm',
  stream: false,
  nanoDollars: 3,
  payer: { accounts: ['key:1'] },
  ...more,
})
const entry = (nanoDollars: number, more: Partial<Entry> = {}): Entry => ({
  ...opening(Math.random().toString(36)),
  firstByteAt: undefined,
  endedAt: Date.now() + 5,
  group: 'm',
  deploymentId: 'd',
  provider: 'p',
  upstreamModel: 'u',
  usage: { ...noUsage, input: 3, output: 4 },
  nanoDollars,
  priced: true,
  retries: 0,
  fallbacks: 0,
  fault: undefined,
  status: 200,
  ...more,
})
const ask = (max: number, account = 'key:1') => [{ account, max, duration: undefined }]
const refuse = (amount: number) => ({ amount, short: 'refuse' as const })

async function sums({
  db,
}: Made): Promise<{ rows: number; spend: number; account: number; leased: number }> {
  const rows = await db.query.selectFrom('spend_log').select('spend').execute()
  const account = await db.query
    .selectFrom('account')
    .selectAll()
    .where('id', '=', 'key:1')
    .executeTakeFirst()
  return {
    rows: rows.length,
    spend: rows.reduce((sum, { spend }) => sum + Number(spend), 0),
    account: Number(account?.spend ?? 0),
    leased: Number(account?.leased ?? 0),
  }
}

async function flushed({ books, fates }: Made): Promise<void> {
  fates(() => 'well')
  for (let tries = 0; ; tries++)
    try {
      await books.flush()
      return
    } catch (cause) {
      if (tries > 20) throw cause
    }
}

test('whatever the database does not answer: nothing is lost, nothing is twice, no budget is passed', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom<Fate>('well', 'well', 'before', 'after'), {
        minLength: 4,
        maxLength: 40,
      }),
      fc.array(
        fc.record({
          on: fc.integer({ min: 0, max: 1 }),
          need: fc.integer({ min: 1, max: 40 }),
          cost: fc.integer({ min: 0, max: 40 }),
          flush: fc.boolean(),
        }),
        { minLength: 5, maxLength: 40 },
      ),
      async (fates, requests) => {
        const max = 500
        const file = newFile()
        const nodes = [await make(file, 'a'), await make(file, 'b')]
        let nth = 0
        for (const node of nodes) node.fates(() => fates[nth++ % fates.length] ?? 'well')
        let spent = 0
        let answered = 0
        for (const { on, need, cost, flush } of requests) {
          const node = nodes[on]
          assert.ok(node)
          let reserved: Reserved | undefined
          for (let tries = 0; tries < 3 && !reserved; tries++)
            try {
              const got = await node.books.purses.reserve(ask(max), refuse(need))
              if (!got.ok) break
              reserved = got
            } catch (cause) {
              assert.ok(isAway(cause), String(cause))
              // Who was told that the database is away is told so again for a while.
              await new Promise((resolve) => setTimeout(resolve, 1))
            }
          if (reserved) {
            const real = Math.min(cost, need)
            node.books.record(entry(real))
            reserved.release()
            spent += real
            answered++
          }
          if (flush) await node.books.flush().catch(() => {})
        }
        for (const node of nodes) await flushed(node)
        const [first] = nodes
        assert.ok(first)
        const is = await sums(first)
        assert.deepEqual([is.rows, is.spend, is.account], [answered, spent, spent])
        assert.ok(is.account <= max)
        assert.ok(
          is.account + is.leased <= max,
          `${is.account} spent and ${is.leased} leased of ${max}`,
        )
        for (const { books } of nodes) {
          open.delete(books)
          await books.close()
        }
      },
    ),
    { numRuns: process.env['HEAVY'] === '1' ? 300 : 6 },
  ))

test('while the database is away, what is in hand goes on and the rest is refused at once', async () => {
  const made = await make(newFile(), 'a')
  const { books } = made
  const first = await books.purses.reserve(ask(1000), refuse(10))
  assert.ok(first.ok)
  first.release()
  made.fates(() => 'before')
  let through = 0
  const before = performance.now()
  for (let i = 0; i < 200; i++) {
    try {
      const reserved = await books.purses.reserve(ask(1000), refuse(10))
      assert.ok(reserved.ok)
      books.record(entry(10))
      reserved.release()
      through++
    } catch (cause) {
      assert.ok(isAway(cause))
    }
  }
  assert.ok(performance.now() - before < 1000)
  assert.equal(through, 25, 'a quarter was in hand')
  await assert.rejects(async () => books.purses.reserve(ask(1000, 'key:2'), refuse(10)), isAway)
  await flushed(made)
  assert.deepEqual(await sums(made), { rows: 25, spend: 250, account: 250, leased: 0 })
})

test('a row that the database does not take is left out, and the others are written', async () => {
  const made = await make(newFile(), 'a')
  for (let i = 0; i < 50; i++) made.books.record(entry(1, i === 20 ? { requestId: 'poison' } : {}))
  for (let tries = 0; tries < 30; tries++) await made.books.flush().catch(() => {})
  const is = await sums(made)
  assert.equal(is.rows, 49)
  assert.ok(made.logged.some((line) => line.includes('refuses the row')))
})

test('numbers and names that no database takes are made to fit', async () => {
  const made = await make(newFile(), 'a')
  const wild = entry(5, {
    model: 'x\u0000'.repeat(1_000_000),
    group: '\ud800',
    endedAt: Number.NaN,
    firstByteAt: 9e15,
    usage: { ...noUsage, input: Number.NaN, output: 1.5, cacheRead: 1e300 },
    payer: { accounts: ['key:1', 'customer:\u0000\udfff'], tags: ['\u0000', 't'.repeat(9000)] },
  })
  made.books.record(wild)
  await made.books.flush()
  assert.deepEqual(await sums(made), { rows: 1, spend: 5, account: 5, leased: 0 })
})

test('a clock that jumps frees no lease, ends no heartbeat and stops no reset', async () => {
  let now = Date.parse('2026-03-01T12:00:00Z')
  const file = newFile()
  const [a, b] = [
    await make(file, 'a', { now: () => now }),
    await make(file, 'b', { now: () => now }),
  ]
  const hold = await a.books.purses.reserve(ask(100), refuse(60))
  assert.ok(hold.ok)
  for (const jump of [3_600_000, -86_400_000 * 400]) {
    now += jump
    await new Promise((resolve) => setTimeout(resolve, 1200))
    assert.equal(b.books.nodes(), 2, `after ${jump} ms`)
    const refused = await b.books.purses.reserve(ask(100), refuse(60))
    assert.ok(!refused.ok, 'what the other holds is still held')
  }
  hold.release()
})

test('a reset that was written while the clock was wrong comes when it should', async () => {
  let now = Date.parse('2030-01-01T12:00:00Z')
  const made = await make(newFile(), 'a', { now: () => now })
  const hourly = [{ account: 'key:1', max: 10, duration: '1h' }]
  const first = await made.books.purses.reserve(hourly, refuse(10))
  assert.ok(first.ok)
  made.books.record(entry(10))
  first.release()
  await made.books.flush()
  // Four years too late.
  now = Date.parse('2026-01-01T12:10:00Z')
  made.books.purses.forget('key:1')
  assert.ok(!(await made.books.purses.reserve(hourly, refuse(10))).ok)
  now += 3_600_000
  assert.ok((await made.books.purses.reserve(hourly, refuse(10))).ok)
})

test('a process that was taken for dead goes on where the other has stopped: nothing twice', async () => {
  const file = newFile()
  const journaled: Left = { node: 'slow', settled: [], open: [] }
  let renewed = 0
  const journal: Journal = {
    ...noJournal,
    open: (_, { soFar: __, ...one }) =>
      void journaled.open.push({ opening: one, tokens: 0, nanoDollars: one.nanoDollars }),
    done: (seq, one) => void journaled.settled.push({ seq, entry: one }),
    renew: () => void renewed++,
  }
  const slow = await make(file, 'slow', { journal })
  const held = await slow.books.purses.reserve(ask(1000), refuse(100))
  assert.ok(held.ok)
  slow.fates(() => 'before')
  slow.books.record(entry(7))
  const began = opening('in-flight')
  const opened = slow.books.open(began)
  const other = await make(file, 'other', { dead: [structuredClone(journaled)] })
  assert.deepEqual(await sums(other), { rows: 2, spend: 10, account: 10, leased: 0 })
  slow.books.record(entry(20, { ...began, nanoDollars: 20, opened }))
  held.release()
  slow.books.record(entry(1))
  slow.fates(() => 'well')
  for (let tries = 0; tries < 100 && renewed === 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 50))
  await flushed(slow)
  const is = await sums(slow)
  assert.deepEqual([is.spend, is.account], [28, 28], 'seven, twenty and one')
  const again = await slow.books.purses.reserve(ask(1000), refuse(1000 - 28))
  assert.ok(again.ok, 'and all that is left can be used')
})
