import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { noUsage } from '../chat/chat.ts'
import type { Db } from '../store/db.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { createStore } from '../store/store.ts'
import { type Books, createBooks } from './books.ts'
import { noJournal } from './journal.ts'
import type { Entry, Payer } from './ledger.ts'

/**
 * What the books promise on any database. `openDb` opens one by name: the same name is the same database, as another
 * process would open it. `many`: how many processes share one budget.
 */
export function booksContract(openDb: (name: string) => Promise<Db>, many = 4): void {
  const open: Books[] = []
  after(async () => {
    for (const books of open) await books.close()
  })

  /** A process on a database: as many as one likes. */
  async function process(
    database: string,
    name: string,
    now: () => number = Date.now,
  ): Promise<Books> {
    const db = await openDb(database.replace('.db', ''))
    await migrate(db)
    const store = await createStore({ db, node: name, sealer: createSealer('test'), now })
    const books = await createBooks({ store, journal: noJournal, host: 'h', log() {}, now })
    open.push(books)
    return books
  }

  const entry = (nanoDollars: number, accounts: string[], more: Partial<Entry> = {}): Entry => ({
    requestId: Math.random().toString(36),
    startedAt: Date.now(),
    firstByteAt: undefined,
    endedAt: Date.now() + 5,
    operation: 'chat',
    keyId: 'k',
    model: 'm',
    group: 'm',
    deploymentId: 'd',
    provider: 'p',
    upstreamModel: 'u',
    stream: false,
    usage: { ...noUsage, input: 3, output: 4 },
    nanoDollars,
    priced: true,
    retries: 0,
    fallbacks: 0,
    fault: undefined,
    status: 200,
    payer: { accounts } satisfies Payer,
    ...more,
  })

  const ask = (account: string, max: number, duration?: string) => [{ account, max, duration }]
  const refuse = (amount: number) => ({ amount, short: 'refuse' as const })
  const clip = (amount: number) => ({ amount, short: 'clip' as const })
  const spendOf = async (books: Books, account: string): Promise<number> =>
    (await books.accounts([account])).get(account)?.spend ?? -1

  test('a budget lets through what it pays for, to the last one that fits', async () => {
    const books = await process('one.db', 'a')
    for (let i = 0; i < 5; i++) {
      const reserved = await books.purses.reserve(ask('key:1', 50), refuse(10))
      assert.ok(reserved.ok)
      books.record(entry(10, ['key:1']))
      reserved.release()
    }
    const refused = await books.purses.reserve(ask('key:1', 50), refuse(1))
    assert.deepEqual(refused, { ok: false, account: 'key:1', max: 50, spend: 50, left: 0 })
    await books.flush()
    assert.equal(await spendOf(books, 'key:1'), 50)
  })

  test('what was set aside and not used is free again, and what is left is told', async () => {
    const books = await process('one.db', 'b')
    const first = await books.purses.reserve(ask('key:2', 25), refuse(20))
    assert.ok(first.ok)
    const second = await books.purses.reserve(ask('key:2', 25), refuse(10))
    assert.ok(!second.ok)
    assert.equal(second.left, 5)
    books.record(entry(1, ['key:2']))
    first.release()
    first.release()
    const third = await books.purses.reserve(ask('key:2', 25), refuse(24))
    assert.ok(third.ok)
    third.release()
  })

  test('what cost more than was set aside keeps nobody from what is left', async () => {
    const books = await process('one.db', 'more')
    for (let i = 0; i < 4; i++) {
      const reserved = await books.purses.reserve(ask('key:more', 60), refuse(14))
      assert.ok(reserved.ok, `${60 - 15 * i} of 60 are left`)
      books.record(entry(15, ['key:more']))
      reserved.release()
    }
    const refused = await books.purses.reserve(ask('key:more', 60), refuse(1))
    assert.deepEqual(refused, { ok: false, account: 'key:more', max: 60, spend: 60, left: 0 })
    await books.flush()
    assert.equal(await spendOf(books, 'key:more'), 60)
  })

  test('all accounts or none', async () => {
    const books = await process('one.db', 'c')
    const both = [...ask('key:3', 100), ...ask('team:3', 15)]
    const first = await books.purses.reserve(both, refuse(10))
    assert.ok(first.ok)
    const second = await books.purses.reserve(both, refuse(10))
    assert.ok(!second.ok && second.account === 'team:3')
    const key = await books.purses.reserve(ask('key:3', 100), refuse(90))
    assert.ok(key.ok, 'nothing of the refused one stays set aside')
  })

  test('an unbounded request goes in while anything is left, and takes no more than that', async () => {
    const books = await process('one.db', 'd')
    const first = await books.purses.reserve(ask('key:4', 25), clip(1000))
    assert.ok(first.ok)
    assert.equal(first.held[0]?.amount, 25)
    const second = await books.purses.reserve(ask('key:4', 25), clip(1000))
    assert.ok(!second.ok, 'nothing is left while the first runs')
    books.record(entry(20, ['key:4']))
    first.release()
    const third = await books.purses.reserve(ask('key:4', 25), clip(1000))
    assert.ok(third.ok)
    books.record(entry(20, ['key:4']))
    third.release()
    const last = await books.purses.reserve(ask('key:4', 25), clip(1000))
    assert.ok(!last.ok)
    assert.equal(last.spend, 40)
  })

  test('a changed budget counts from the next request on', async () => {
    const books = await process('one.db', 'e')
    const first = await books.purses.reserve(ask('key:5', 10), refuse(10))
    assert.ok(first.ok)
    books.record(entry(10, ['key:5']))
    first.release()
    assert.ok(!(await books.purses.reserve(ask('key:5', 10), refuse(1))).ok)
    const raised = await books.purses.reserve(ask('key:5', 20), refuse(10))
    assert.ok(raised.ok)
    raised.release()
    assert.ok(!(await books.purses.reserve(ask('key:5', 5), refuse(1))).ok)
  })

  test('a period that ends gives the budget back', async () => {
    let now = Date.parse('2026-01-01T10:00:00Z')
    const books = await process('period.db', 'f', () => now)
    const spend = async () => {
      const reserved = await books.purses.reserve(ask('key:6', 10, '1h'), refuse(10))
      if (reserved.ok) {
        books.record(entry(10, ['key:6']))
        reserved.release()
      }
      return reserved.ok
    }
    assert.ok(await spend())
    assert.ok(!(await spend()))
    now += 61 * 60_000
    assert.ok(await spend())
    assert.ok(!(await spend()))
    const account = (await books.accounts(['key:6'])).get('key:6')
    assert.equal(account?.spend, 10)
    assert.equal(account?.total, 20)
    assert.equal(account?.resetsAt, Date.parse('2026-01-01T12:00:00Z'))
  })

  test(`${many} processes on one budget never pass it, and use it up`, async () => {
    const all: Books[] = []
    for (let nth = 0; nth < many; nth++) all.push(await process('many.db', `p${nth}`))
    const max = 10_000
    let through = 0
    const client = async (index: number): Promise<void> => {
      const books = all[index % all.length]
      assert.ok(books)
      for (let refusals = 0; refusals < 3; ) {
        const reserved = await books.purses.reserve(ask('key:7', max), refuse(70))
        if (!reserved.ok) {
          refusals++
          await new Promise((resolve) => setTimeout(resolve, 120))
          continue
        }
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
        through++
        // It may cost less than was set aside.
        books.record(entry(index % 3 === 0 ? 70 : 60, ['key:7']))
        reserved.release()
      }
    }
    await Promise.all(Array.from({ length: 24 }, (_, index) => client(index)))
    // Who was refused while others still ran comes back once more.
    await Promise.all(all.map((_, index) => client(index)))
    for (const books of all) await books.flush()
    const [first] = all
    assert.ok(first)
    const spend = await spendOf(first, 'key:7')
    assert.ok(spend <= max, `${spend} of ${max}`)
    assert.ok(max - spend < 70, `${max - spend} is left of ${max}, and a request costs 70 at most`)
    assert.ok(through > 140)
  })

  test('of several processes that want all that is left, one gets it', async () => {
    const all: Books[] = []
    for (const name of ['q1', 'q2', 'q3', 'q4']) all.push(await process('last.db', name))
    for (let round = 0; round < 6; round++) {
      const account = `key:last${round}`
      // Crumbs lie about in every process.
      const crumbs = await Promise.all(
        all.map((books) => books.purses.reserve(ask(account, 100), refuse(20))),
      )
      for (const crumb of crumbs) if (crumb.ok) crumb.release()
      const asked = await Promise.all(
        all.map((books) => books.purses.reserve(ask(account, 100), refuse(100))),
      )
      assert.equal(asked.filter(({ ok }) => ok).length, 1, `round ${round}`)
      for (const one of asked) {
        if (one.ok) one.release()
        else assert.ok(one.left < 100)
      }
    }
  })

  test('rows and sums are those of the entries', async () => {
    const books = await process('rows.db', 'g')
    for (let i = 0; i < 250; i++)
      books.record(
        entry(7, ['key:8'], {
          answerId: `a${i}`,
          ...(i % 5 === 0 && { fault: 'provider' as const, status: 500, error: 'no' }),
          payer: { accounts: ['key:8'], userId: 'u', customerId: `c${i}`, tags: ['x', "y'; drop"] },
        }),
      )
    await books.flush()
    const { query } = books.store.db
    const rows = await query.selectFrom('spend_log').selectAll().execute()
    assert.equal(rows.length, 250)
    assert.equal(new Set(rows.map((row) => row.request_id)).size, 250)
    const sums = await query
      .selectFrom('spend_hour')
      .select((a) => [
        a.fn.sum<number>('spend').as('spend'),
        a.fn.sum<number>('failures').as('bad'),
      ])
      .where('scope', '=', 'all')
      .executeTakeFirstOrThrow()
    assert.equal(Number(sums.spend), 1750)
    assert.equal(Number(sums.bad), 50)
    const tags = await query
      .selectFrom('spend_hour')
      .innerJoin('word', 'word.id', 'spend_hour.scope_id')
      .select(['word.text'])
      .where('scope', '=', 'tag')
      .distinct()
      .execute()
    assert.deepEqual(tags.map(({ text }) => text).sort(), ['x', "y'; drop"])
    assert.equal(await spendOf(books, 'key:8'), 1750)
  })
}
