import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { noUsage } from '../src/chat/chat.ts'
import { createBooks } from '../src/ledger/books.ts'
import { openJournal } from '../src/ledger/journal.node.ts'
import { createAdmit } from '../src/policy/admit.ts'
import { nobody } from '../src/policy/caller.ts'
import { createLimits } from '../src/policy/limits.ts'
import { createParties } from '../src/policy/parties.ts'
import { priceOf } from '../src/provider/cost.ts'
import { migrate } from '../src/store/migrate.ts'
import { createSealer } from '../src/store/seal.node.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { createStore } from '../src/store/store.ts'

/** More than any table in memory holds. HEAVY=1: a million, which takes minutes. */
const heavy = process.env['HEAVY'] === '1'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
const heapMb = (): number => {
  collect()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

async function crowd(customers: number, customerMax: number | undefined): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'throughway-crowd-'))
  const db = openSqlite(join(folder, 'throughway.db'))
  await migrate(db)
  const store = await createStore({ db, node: 'n', sealer: createSealer('test') })
  const books = await createBooks({
    store,
    journal: openJournal(folder, 'n'),
    host: 'h',
    log: (level, message, more) => assert.fail(`${level}: ${message} ${String(more?.['cause'])}`),
  })
  try {
    const admit = createAdmit({
      books,
      limits: createLimits(store, Date.now),
      parties: await createParties(store, undefined),
      now: Date.now,
      settings: {
        overshoot: 'bounded',
        budgetStatus: 422,
        proxy: undefined,
        customerMax,
        parallel: undefined,
        outputOtherwise: 4096,
      },
    })
    const price = priceOf({ input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 })
    const caller = { ...nobody, role: 'none' as const, keyId: 'k' }
    const one = async (nth: number): Promise<void> => {
      const pass = await admit({
        caller,
        group: 'm',
        asked: 'm',
        prices: [price],
        worst: {
          input: () => 100,
          exactInput: async () => 50,
          output: () => 10,
          modelOutput: () => undefined,
        },
        customerId: `customer-${nth}-of-many`,
        tags: [],
        sessionId: undefined,
        ip: undefined,
        userAgent: undefined,
        metadata: undefined,
      })
      const at = Date.now()
      const opened = books.open({
        requestId: `r${nth}`,
        startedAt: at,
        operation: 'chat',
        keyId: 'k',
        model: 'm',
        stream: false,
        nanoDollars: pass.inputCost,
        payer: pass.payer(),
      })
      books.record({
        requestId: `r${nth}`,
        startedAt: at,
        firstByteAt: undefined,
        endedAt: at,
        operation: 'chat',
        keyId: 'k',
        model: 'm',
        group: 'm',
        deploymentId: 'd',
        provider: 'p',
        upstreamModel: 'u',
        stream: false,
        usage: { ...noUsage, input: 10, output: 5 },
        nanoDollars: 20_000,
        priced: true,
        retries: 0,
        fallbacks: 0,
        fault: undefined,
        status: 200,
        opened,
        payer: pass.payer(),
      })
      pass.release({ ...noUsage, input: 10, output: 5 }, false)
    }
    // What is held of the latest ones is held by then.
    const warm = Math.floor(customers / 2)
    let before = 0
    for (let at = 0; at < customers; at += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, nth) => one(at + nth)))
      if (at % 5000 === 0) await books.flush()
      if (at === warm) before = heapMb()
    }
    await books.flush()
    const grown = heapMb() - before
    const { n } = await db.query
      .selectFrom('account')
      .select((a) => a.fn.countAll<number>().as('n'))
      .where('id', 'like', 'customer:%')
      .executeTakeFirstOrThrow()
    assert.equal(Number(n), customers)
    return grown
  } finally {
    await books.close()
    await rm(folder, { recursive: true, force: true })
  }
}

test('customers nobody has heard of, by the ten thousand: their accounts are on disk, not in memory', async () => {
  const grown = await crowd(heavy ? 1_000_000 : 60_000, undefined)
  assert.ok(grown < 24, `${grown.toFixed(1)} MB more for the second half`)
})

test('the same, each with a budget', async () => {
  const grown = await crowd(heavy ? 200_000 : 30_000, 1_000_000_000)
  assert.ok(grown < 24, `${grown.toFixed(1)} MB more for the second half`)
})
