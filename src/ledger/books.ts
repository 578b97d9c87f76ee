import { sql } from 'kysely'
import { noUsage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { type Account, readAccounts } from '../store/accounts.ts'
import { isUniqueViolation, type Statement, Superseded } from '../store/db.ts'
import type { Store } from '../store/store.ts'
import type { Journal, Left } from './journal.ts'
import type { Entry, Opening } from './ledger.ts'
import { announce, createPurses, type Purses, resetAccount } from './purse.ts'
import { statementsOf, wordsOf } from './rows.ts'

/** The database's side of the ledger: budgets, rows, sums; and management's way to them. */
export type Books = {
  readonly store: Store
  readonly purses: Purses
  /**
   * Accounts as they are now, with what this process has settled. Accounts that never spent are there too, with nothing
   * spent.
   */
  accounts(ids: readonly string[]): Promise<Map<string, Account>>
  /** Writes what has been settled: what is read from the tables afterwards has every answered request of this process. */
  flush(): Promise<void>
  /** A request begins: see `Ledger.open`. */
  open(opening: Opening): number
  /** A request has ended. In the journal when `written` says so, in the tables soon after. */
  record(entry: Entry): void
  /** See `Journal.written`. */
  written(): Promise<void> | undefined
  /** Throws where nothing more may be begun, because what has ended cannot be written. */
  refuseWhenFull(): void
  /** Answers the books of processes that are no more. */
  takeOver(left: Left): Promise<void>
  /** Processes that serve on this database, this one included. */
  nodes(): number
  /** What is written stays for this long and no longer; see `retain`. */
  close(): Promise<void>
}

export type BooksOptions = {
  store: Store
  journal: Journal
  now?(): number
  clock?: { timeZone?: string; timeOfDay?: string }
  host: string
  /** Rows of single requests; false: only sums (`disable_spend_logs`). */
  rows?: boolean
  log(level: 'error' | 'warn' | 'info', message: string, more?: Record<string, unknown>): void
  /** Told how many processes serve, and which number this one is. */
  onNodes?(count: number, self: number): Promise<void> | void
  /** Reads the journals of dead processes that lie beside ours; run now and then. */
  findDead?(): Promise<{ left: Left; remove(): void }[]>
}

/** Entries that wait to be written while the database is away; past this no new request is let in. */
const waitingMax = 100_000
const batchMax = 2000
const flushMs = 100
const heartbeatMs = 1000
/** A newcomer waits no longer than this for the others. */
const joinMs = 2500
/** A process that has not been heard of for so long is gone. */
export const lapsedMs = 5000
const wordsMax = 50_000

export async function createBooks(options: BooksOptions): Promise<Books> {
  const { store, journal, log } = options
  const now = options.now ?? Date.now
  const clock = options.clock ?? {}
  const { db, node } = store
  let waiting: { seq: number; entry: Entry }[] = []
  /** Spent and not written, by account. */
  const unwritten = new Map<string, number>()
  const begun = new Map<number, Opening>()
  let lastSeq = 0
  let flushedSeq = 0
  let lastOpened = 0
  let running: Promise<void> | undefined
  let failing = false
  let living = 1
  let closed = false

  const purses = createPurses({
    store,
    now,
    clock,
    flush,
    unwritten: (account) => unwritten.get(account) ?? 0,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  })
  const words = createWords(store)

  await db.query
    .insertInto('node')
    .values({
      id: node,
      host: options.host,
      started_at: now(),
      heartbeat_at: now(),
      seen: 0,
      flushed: 0,
      taken_by: null,
    })
    .execute()

  /** Everything that waits now, in one transaction with the mark how far the journal has come. */
  async function writeOnce(): Promise<void> {
    const batch = waiting.slice(0, batchMax)
    const entries = batch.map(({ entry }) => entry)
    const wordOf = await words.known(entries.flatMap(wordsOf))
    const spent = spentBy(entries)
    const upTo = batch.at(-1)?.seq ?? flushedSeq
    const flushing = purses.takeFlush(spent)
    try {
      const statements: Statement[] = [
        {
          query:
            sql`update node set flushed = ${upTo}, heartbeat_at = ${now()} where id = ${node} and taken_by is null`.compile(
              db.query,
            ),
          expect: 1,
        },
        ...statementsOf(entries, wordOf, db.dialect, options.rows ?? true),
        ...flushing.statements,
      ]
      await db.batch(statements)
    } catch (cause) {
      flushing.failed()
      if (cause instanceof Superseded && !closed)
        log(
          'error',
          'another process has taken this one for dead and closed its books: what it answers from now on may be counted twice until it is started again',
        )
      throw cause
    }
    flushing.done()
    waiting = waiting.slice(batch.length)
    for (const [account, amount] of spent) {
      const rest = (unwritten.get(account) ?? 0) - amount
      if (rest === 0) unwritten.delete(account)
      else unwritten.set(account, rest)
    }
    flushedSeq = upTo
    journal.flushed(upTo)
  }

  async function flush(): Promise<void> {
    const target = lastSeq
    for (let first = true; first || flushedSeq < target; first = false) {
      if (flushedSeq >= target && waiting.length === 0 && !purses.pending()) return
      running ??= writeOnce().finally(() => {
        running = undefined
      })
      await running
    }
  }

  function flushQuietly(): void {
    if (waiting.length === 0 && !purses.pending()) return
    flush().then(
      () => {
        if (failing) log('info', 'spend is written again')
        failing = false
      },
      (cause: unknown) => {
        if (!failing)
          log('error', 'spend cannot be written now; it is kept and tried again', { cause })
        failing = true
      },
    )
  }

  /**
   * Learns who else serves. A newcomer waits until everybody has said that they know of it: until then they may count
   * limits by themselves.
   */
  async function countNodes(): Promise<void> {
    const rows = await db.query
      .selectFrom('node')
      .select(['seq', 'seen', 'id'])
      .where('taken_by', 'is', null)
      .where('heartbeat_at', '>', now() - lapsedMs)
      .execute()
    const newest = Math.max(...rows.map(({ seq }) => Number(seq)), 0)
    living = Math.max(1, rows.length)
    purses.setNodes(living)
    await options.onNodes?.(living, Number(rows.find(({ id }) => id === node)?.seq ?? 0))
    const own = rows.find(({ id }) => id === node)
    if (own && Number(own.seen) < newest)
      await db.query.updateTable('node').set({ seen: newest }).where('id', '=', node).execute()
  }

  async function join(): Promise<void> {
    await countNodes()
    if (living === 1) return
    const own = await db.query
      .selectFrom('node')
      .select('seq')
      .where('id', '=', node)
      .executeTakeFirstOrThrow()
    await announce(store, 'node', node)
    const end = now() + joinMs
    for (;;) {
      const unaware = await db.query
        .selectFrom('node')
        .select('id')
        .where('taken_by', 'is', null)
        .where('heartbeat_at', '>', now() - lapsedMs / 2)
        .where('seen', '<', own.seq)
        .execute()
      if (unaware.length === 0 || now() > end) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const quietly = (what: string, work: () => Promise<unknown>): (() => void) => {
    let busy = false
    return () => {
      if (busy || closed) return
      busy = true
      work()
        .catch((cause: unknown) => log('warn', `${what} has to wait`, { cause }))
        .finally(() => {
          busy = false
        })
    }
  }
  const catchUp = quietly('hearing of other processes', () => store.catchUp())
  const beat = quietly('the heartbeat', async () => {
    await db.query.updateTable('node').set({ heartbeat_at: now() }).where('id', '=', node).execute()
    await countNodes()
  })
  const reset = quietly('starting budgets again', resetDue)
  const bury = quietly('closing the books of processes that ended', async () => {
    for (const { left, remove } of (await options.findDead?.()) ?? []) {
      await takeOver(left)
      remove()
    }
    await releaseLapsed()
  })

  /** Budgets whose period has ended, whoever holds them. */
  async function resetDue(): Promise<void> {
    const due = await db.query
      .selectFrom('account')
      .select(['id', 'duration'])
      .where('resets_at', '<=', now())
      .limit(200)
      .execute()
    if (due.length === 0) return
    await flush()
    for (const { id, duration } of due) {
      await resetAccount(store, id, duration ?? undefined, clock, now())
      purses.forget(id)
    }
  }

  /**
   * A process on another machine that is not heard of any more: what it had reserved stays reserved until its own
   * journal is read, the rest of its leases is free again.
   */
  async function releaseLapsed(): Promise<void> {
    const gone = await db.query
      .selectFrom('node')
      .select('id')
      .where('taken_by', 'is', null)
      .where('heartbeat_at', '<', now() - 3 * lapsedMs)
      .execute()
    for (const { id } of gone) {
      const idle = await db.query
        .selectFrom('lease')
        .select(['account', 'amount', 'busy'])
        .where('node', '=', id)
        .whereRef('amount', '>', 'busy')
        .limit(1000)
        .execute()
      for (const { account } of idle)
        await db.batch([
          {
            query:
              sql`update lease set amount = busy where account = ${account} and node = ${id}`.compile(
                db.query,
              ),
          },
          {
            query: releaseSum(account).compile(db.query),
          },
        ])
    }
  }

  const releaseSum = (account: string) =>
    sql`update account set leased = (select coalesce(sum(amount), 0) from lease where account = ${account}) where id = ${account}`

  /** Writes what a dead process had settled, and what it left open as far as it had come; then frees its leases. */
  async function takeOver(left: Left): Promise<void> {
    const row = await db.query
      .selectFrom('node')
      .select(['id', 'flushed', 'taken_by'])
      .where('id', '=', left.node)
      .executeTakeFirst()
    // It never got as far as telling the database that it exists, or somebody was here first.
    if (row?.taken_by) return
    const flushed = Number(row?.flushed ?? 0)
    const settled = left.settled.filter(({ seq }) => seq > flushed)
    const entries = [...settled.map(({ entry }) => entry), ...left.open.map(entryOfOpen)]
    const wordOf = await words.known(entries.flatMap(wordsOf))
    const spent = spentBy(entries)
    const accounts = new Set([
      ...(
        await db.query.selectFrom('lease').select('account').where('node', '=', left.node).execute()
      ).map(({ account }) => account),
    ])
    const statements: Statement[] = [
      row
        ? {
            query:
              sql`update node set taken_by = ${node} where id = ${left.node} and taken_by is null`.compile(
                db.query,
              ),
            expect: 1,
          }
        : {
            query:
              sql`insert into node (id, host, started_at, heartbeat_at, seen, flushed, taken_by) values (${left.node}, '', 0, 0, 0, 0, ${node})`.compile(
                db.query,
              ),
          },
      ...statementsOf(entries, wordOf, db.dialect, options.rows ?? true),
      ...[...spent]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([id, amount]) => ({
          query:
            sql`insert into account (id, spend, total, leased) values (${id}, ${amount}, ${amount}, 0)
            on conflict (id) do update set spend = account.spend + ${amount}, total = account.total + ${amount}`.compile(
              db.query,
            ),
        })),
      { query: sql`delete from lease where node = ${left.node}`.compile(db.query) },
      ...[...accounts].sort().map((account) => ({ query: releaseSum(account).compile(db.query) })),
    ]
    try {
      await db.batch(statements)
    } catch (cause) {
      // Another process was there first, and wrote the same.
      if (cause instanceof Superseded || isUniqueViolation(cause)) return
      throw cause
    }
    for (const account of [...accounts, ...spent.keys()]) purses.forget(account)
    if (entries.length > 0)
      log('warn', 'closed the books of a process that did not', {
        requests: entries.length,
        unfinished: left.open.length,
      })
  }

  function entryOfOpen({ opening, tokens, nanoDollars }: Left['open'][number]): Entry {
    return {
      ...opening,
      firstByteAt: undefined,
      endedAt: opening.startedAt,
      group: opening.model,
      deploymentId: undefined,
      provider: undefined,
      upstreamModel: undefined,
      usage: { ...noUsage, output: tokens, estimated: true },
      nanoDollars,
      priced: true,
      retries: 0,
      fallbacks: 0,
      fault: 'canceled',
      status: 499,
      error: 'the gateway ended before the answer did: counted as far as it had come',
    }
  }

  store.onChange((kind, id) => {
    if (kind === 'recall') {
      purses.recalled(id, store.heard())
      flushQuietly()
    } else if (kind === 'node') countNodes().catch(() => {})
    else if (kind === 'account') purses.forget(id)
  })
  await db.listen?.(catchUp)
  await join()

  const timers = [
    setInterval(flushQuietly, flushMs),
    setInterval(() => {
      if (living > 1) catchUp()
    }, 50),
    setInterval(catchUp, 250),
    setInterval(beat, heartbeatMs),
    setInterval(reset, 1000),
    setInterval(bury, lapsedMs),
    setInterval(() => {
      for (const [opened, { soFar }] of begun) {
        const is = soFar?.()
        if (is) journal.progress(opened, is)
      }
    }, 1000),
  ]
  for (const timer of timers) timer.unref?.()

  return {
    store,
    purses,
    async accounts(ids) {
      await flush()
      const found = await readAccounts(db.query, ids)
      for (const id of ids)
        if (!found.has(id))
          found.set(id, { id, spend: 0, total: 0, leased: 0, duration: null, resetsAt: null })
      return found
    },
    flush,
    open(opening) {
      const opened = ++lastOpened
      begun.set(opened, opening)
      journal.open(opened, opening)
      return opened
    },
    record(entry) {
      const seq = ++lastSeq
      if (entry.opened !== undefined) begun.delete(entry.opened)
      waiting.push({ seq, entry })
      for (const account of entry.payer?.accounts ?? []) {
        unwritten.set(account, (unwritten.get(account) ?? 0) + entry.nanoDollars)
        purses.spend(account, entry.nanoDollars)
      }
      journal.done(seq, entry)
    },
    written: journal.written,
    refuseWhenFull() {
      if (waiting.length < waitingMax) return
      throw new GatewayError(
        'unavailable',
        'spend cannot be written: the database or its disk has been away for too long',
        { type: 'no_db_connection' },
      )
    },
    takeOver,
    nodes: () => living,
    async close() {
      for (const timer of timers) clearInterval(timer)
      purses.giveBackAll()
      try {
        await flush()
        closed = true
        await db.query.transaction().execute(async (tx) => {
          const held = await tx
            .selectFrom('lease')
            .select('account')
            .where('node', '=', node)
            .execute()
          await tx.deleteFrom('lease').where('node', '=', node).execute()
          for (const { account } of held) await releaseSum(account).execute(tx)
          await tx.deleteFrom('node').where('id', '=', node).execute()
        })
      } catch (cause) {
        log('error', 'not everything could be written at the end: the next start does it', {
          cause,
        })
      }
      closed = true
      journal.close()
      await db.close()
    },
  }
}

function spentBy(entries: readonly Entry[]): Map<string, number> {
  const spent = new Map<string, number>()
  for (const { payer, nanoDollars } of entries)
    for (const account of payer?.accounts ?? [])
      spent.set(account, (spent.get(account) ?? 0) + nanoDollars)
  return spent
}

/** Names and the numbers that stand for them. */
function createWords({ db }: Store) {
  let numbers = new Map<string, number>()
  return {
    /** Learns the numbers of these, writing those that are new, and answers a lookup for them. */
    async known(wanted: readonly string[]): Promise<(word: string) => number> {
      const missing = [...new Set(wanted.filter((word) => !numbers.has(word)))].sort()
      if (missing.length > 0 && numbers.size > wordsMax) {
        // What was known is asked for again; better than a table of a million walk-in customers in memory.
        numbers = new Map()
        return this.known(wanted)
      }
      for (let at = 0; at < missing.length; at += 200) {
        const some = missing.slice(at, at + 200)
        await db.query
          .insertInto('word')
          .values(some.map((text) => ({ text })))
          .onConflict((conflict) => conflict.column('text').doNothing())
          .execute()
        for (const { id, text } of await db.query
          .selectFrom('word')
          .selectAll()
          .where('text', 'in', some)
          .execute())
          numbers.set(text, Number(id))
      }
      return (word) => numbers.get(word) ?? 0
    },
  }
}
