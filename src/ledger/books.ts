import { sql } from 'kysely'
import { GatewayError } from '../errors.ts'
import { type Account, readAccounts, resetAccount } from '../store/accounts.ts'
import { isAway, isRefusal, Superseded } from '../store/db.ts'
import type { Store } from '../store/store.ts'
import type { Dead, Journal } from './journal.ts'
import type { Entry, Opening } from './ledger.ts'
import { beatMs, createNodes, type Nodes } from './nodes.ts'
import type { Flush, Purses } from './purse.ts'
import { createPurses } from './purses.ts'
import { fitted, spentBy, statementsOf, wordsOf } from './rows.ts'
import { giveBackLeases, sweepNodes } from './sweep.ts'
import { takeOver, writtenOf } from './takeover.ts'
import { createWords, fitting } from './words.ts'

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
  /** Processes that serve on this database, this one included. */
  nodes(): number
  /** Of all processes the one that does what needs doing once: clearing away. */
  leads(): boolean
  /** Writes what waits, gives back what is held, and closes the database. */
  close(): Promise<void>
}

export type BooksOptions = {
  store: Store
  journal: Journal
  now?(): number
  /** Milliseconds that only go forward. */
  mono?(): number
  clock?: { timeZone?: string; timeOfDay?: string }
  host: string
  /** Rows of single requests; false: only sums (`disable_spend_logs`). */
  rows?: boolean
  log(level: 'error' | 'warn' | 'info', message: string, more?: Record<string, unknown>): void
  /** Told the numbers of the processes that serve, and which of them this one is. */
  onNodes?(alive: readonly number[], self: number): Promise<void> | void
  /** Journals that lie beside ours and that nobody writes any more; asked now and then. */
  findDead?(): Dead[]
}

/** Entries that wait to be written while the database is away; past this no new request is let in. */
const waitingMax = 100_000
/** The same, of entries that are not on disk either: what a crash would lose. */
const owedMax = 500
/** Prompts and answers that wait for the database; past this they are not kept, which matters less than memory. */
const payloadsMax = 64 * 1024 * 1024
/** More at once would hold the requests up for longer than 5 ms. */
const batchMax = 512
const flushMs = 100
/** So many that wait are written without waiting for it. */
const flushMax = 256
const buryMs = 5000
const progressMs = 1000

type Waiting = { seq: number; entry: Entry }

export async function createBooks(options: BooksOptions): Promise<Books> {
  const { store, journal, log, rows = true, clock = {} } = options
  const now = options.now ?? Date.now
  const mono = options.mono ?? (() => performance.now())
  const { db, node } = store
  let waiting: Waiting[] = []
  /** Spent and not written, by account. */
  const unwritten = new Map<string, number>()
  const begun = new Map<number, Opening>()
  /** Of requests that another process has closed in our place, what it has counted for them. */
  const counted = new Map<number, number>()
  let lastSeq = 0
  let flushedSeq = 0
  let lastOpened = 0
  let batchSize = batchMax
  /** Bytes of prompts and answers that wait. */
  let payloads = 0
  let running: Promise<void> | undefined
  /** A batch of which nobody knows whether it was written. */
  let doubt: { batch: Waiting[]; upTo: number; known(written: boolean): void } | undefined
  let failing = false
  let closed = false

  const purses = createPurses({
    store,
    now,
    mono,
    clock,
    flush,
    unwritten: (account) => unwritten.get(account) ?? 0,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    others: () => nodes.others(),
  })
  const words = createWords(db)

  // Before anything is answered, and before the living are counted: what the last process left counts.
  await buryAll(({ sure }) => sure)
  const nodes: Nodes = await createNodes({
    store,
    host: options.host,
    now,
    mono,
    onLook(alive, self) {
      purses.setNodes(alive.length)
      return options.onNodes?.(alive, self)
    },
    onHeard: purses.heardAt,
  })

  /** Everything that waits now, in one transaction with the mark how far the journal has come. */
  async function writeOnce(): Promise<void> {
    if (doubt) await resolveDoubt()
    const batch = waiting.slice(0, batchSize)
    const upTo = batch.at(-1)?.seq ?? flushedSeq
    let flushing: Flush | undefined
    let spent: ReadonlyMap<string, number>
    try {
      const entries = batch.map(({ entry }) => entry)
      const wordOf = await words.known(wordsOf(entries))
      const rowsAndSums = statementsOf(entries, wordOf, db.dialect, rows)
      spent = spentBy(entries)
      flushing = await purses.takeFlush(spent)
      const mark = sql`update node set flushed = ${upTo}
        where id = ${node} and taken_by is null and flushed = ${flushedSeq}`
      await db.batch([
        { query: mark.compile(db.query), expect: 1 },
        ...rowsAndSums,
        ...flushing.statements,
      ])
    } catch (cause) {
      if (flushing) doubt = { batch, upTo, ...flushing.failed() }
      afterFailure(cause, batch)
      throw cause
    }
    batchSize = batchMax
    written(batch, upTo, spent, flushing)
  }

  function written(
    batch: readonly Waiting[],
    upTo: number,
    spent: ReadonlyMap<string, number> = spentBy(batch.map(({ entry }) => entry)),
    flushing?: Flush,
  ): void {
    flushing?.done()
    waiting = waiting.slice(batch.length)
    for (const { entry } of batch) payloads -= entry.payload?.length ?? 0
    for (const [account, amount] of spent) {
      const rest = (unwritten.get(account) ?? 0) - amount
      if (rest === 0) unwritten.delete(account)
      else unwritten.set(account, rest)
    }
    flushedSeq = upTo
    journal.flushed(upTo)
  }

  /** The connection broke, perhaps after the commit: the mark in our row tells. */
  async function resolveDoubt(): Promise<void> {
    if (!doubt) return
    const own = await ownRow()
    if (own === undefined || own.taken_by !== null) {
      await revive()
      return
    }
    const { batch, upTo, known } = doubt
    doubt = undefined
    const isWritten = upTo > flushedSeq && Number(own.flushed) >= upTo
    known(isWritten)
    if (isWritten) written(batch, upTo)
  }

  const ownRow = () =>
    db.query
      .selectFrom('node')
      .select(['flushed', 'taken_by'])
      .where('id', '=', node)
      .executeTakeFirst()

  /** One entry that the database does not take must not hold up the others. */
  function afterFailure(cause: unknown, batch: readonly Waiting[]): void {
    if (cause instanceof Superseded || isAway(cause) || !isRefusal(cause)) return
    if (batch.length > 1) {
      batchSize = Math.ceil(batch.length / 2)
      return
    }
    const [one] = batch
    if (!one) return
    log('error', 'the database refuses the row of a request: it is left out, and its spend', {
      cause,
      request: one.entry.requestId,
      nanoDollars: one.entry.nanoDollars,
    })
    doubt?.known(false)
    doubt = undefined
    for (const account of one.entry.payer?.accounts ?? [])
      purses.spend(account, -one.entry.nanoDollars)
    written(batch, flushedSeq)
    batchSize = batchMax
  }

  /**
   * Another process has taken this one for dead, as after a machine that stood still: it has written what our journal
   * said, closed what was open, and freed our leases. We go on from there.
   */
  async function revive(): Promise<void> {
    const own = await ownRow()
    const upTo = Math.max(flushedSeq, Number(own?.flushed ?? 0))
    doubt?.known(false)
    doubt = undefined
    const done = waiting.filter(({ seq }) => seq <= upTo)
    for (const { entry } of done)
      for (const account of entry.payer?.accounts ?? []) purses.spend(account, -entry.nanoDollars)
    const rest = waiting.filter(({ seq }) => seq > upTo)
    const known = await writtenOf(db, [...begun.values(), ...rest.map(({ entry }) => entry)])
    purses.forgetAll()
    await db.batch([
      own
        ? {
            query: sql`update node set taken_by = null where id = ${node}`.compile(db.query),
            expect: 1,
          }
        : {
            query:
              sql`insert into node (id, host, started_at, heartbeat_at, seen, flushed, taken_by)
              values (${node}, ${options.host}, ${now()}, ${now()}, 0, ${upTo}, null)`.compile(
                db.query,
              ),
          },
    ])
    for (const [opened, { requestId }] of begun) {
      const before = known.get(fitting(requestId))
      if (before !== undefined) counted.set(opened, before)
    }
    for (const one of rest) {
      const { requestId, nanoDollars } = one.entry
      const before = Math.min(known.get(fitting(requestId)) ?? 0, nanoDollars)
      if (before === 0) continue
      one.entry = { ...one.entry, nanoDollars: nanoDollars - before }
      for (const account of one.entry.payer?.accounts ?? []) {
        unwritten.set(account, (unwritten.get(account) ?? 0) - before)
        purses.spend(account, -before)
      }
    }
    written(done, upTo)
    journal.renew()
    log('warn', 'another process had taken this one for dead and closed its books: they go on', {
      requests: done.length,
    })
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
    if (waiting.length === 0 && !purses.pending() && !doubt) return
    flush().then(
      () => {
        if (failing) log('info', 'spend is written again')
        failing = false
      },
      (cause: unknown) => {
        if (cause instanceof Superseded) return
        if (!failing)
          log('error', 'spend cannot be written now; it is kept and tried again', { cause })
        failing = true
      },
    )
  }

  const quietly = (what: string, work: () => Promise<unknown>): (() => void) =>
    oneAtATime(
      () => (closed ? Promise.resolve() : work()),
      (cause) => log('warn', `${what} has to wait`, { cause }),
    )
  const catchUp = quietly('hearing of other processes', () => store.catchUp())
  const beat = quietly('the heartbeat', async () => {
    if (!(await nodes.beat())) await revive()
  })
  const reset = quietly('starting budgets again', resetDue)
  const bury = quietly('closing the books of processes that ended', async () => {
    const lapsed = new Set(nodes.lapsed())
    await buryAll(({ node: one, sure }) => (sure ? !nodes.lives(one) : lapsed.has(one)))
    await sweepNodes(db, node, now(), [...lapsed])
  })

  async function buryAll(isDead: (one: Dead) => boolean): Promise<void> {
    for (const one of options.findDead?.() ?? []) {
      if (!isDead(one)) continue
      const taken = await takeOver(db, node, await one.read(), words, rows)
      one.remove()
      if (!taken) continue
      for (const account of taken.accounts) purses.forget(account)
      if (taken.requests > 0)
        log('warn', 'closed the books of a process that did not', {
          requests: taken.requests,
          unfinished: taken.unfinished,
        })
    }
  }

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
      await resetAccount(db, id, duration ?? undefined, { ...clock, now: now() })
      purses.forget(id)
    }
  }

  store.onChange((kind, id) => {
    if (kind === 'recall') {
      purses.recalled(id, store.heard())
      flushQuietly()
    } else if (kind === 'account') purses.forget(id)
  })
  await db.listen?.(catchUp)
  await nodes.join()

  const every = (ms: number, work: () => void): NodeJS.Timeout => setInterval(work, ms)
  const timers = [
    every(flushMs, flushQuietly),
    // To ask SQLite costs nothing. PostgreSQL tells by itself; asking it is for what it could not tell.
    every(db.listen ? 500 : 50, () => {
      if (db.listen || nodes.count() > 1) catchUp()
    }),
    every(250, db.listen ? () => {} : catchUp),
    every(beatMs, beat),
    every(1000, reset),
    every(buryMs, bury),
    every(progressMs, () => {
      for (const [opened, { soFar }] of begun) {
        const is = soFar?.()
        if (is) journal.progress(opened, is)
      }
    }),
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
    record(said) {
      const seq = ++lastSeq
      let entry = fitted(said)
      if (entry.payload !== undefined) {
        if (payloads + entry.payload.length > payloadsMax) entry = { ...entry, payload: undefined }
        else payloads += entry.payload.length
      }
      if (entry.opened !== undefined) {
        begun.delete(entry.opened)
        const before = counted.get(entry.opened)
        counted.delete(entry.opened)
        if (before !== undefined)
          entry = { ...entry, nanoDollars: Math.max(0, entry.nanoDollars - before) }
      }
      waiting.push({ seq, entry })
      for (const account of entry.payer?.accounts ?? []) {
        unwritten.set(account, (unwritten.get(account) ?? 0) + entry.nanoDollars)
        purses.spend(account, entry.nanoDollars)
      }
      journal.done(seq, entry)
      // What waits long is moved about by every collection of garbage.
      if (waiting.length >= flushMax && !running && !failing) flushQuietly()
    },
    written: journal.written,
    refuseWhenFull() {
      if (waiting.length < waitingMax && journal.owed() < owedMax) return
      throw new GatewayError(
        'unavailable',
        'spend cannot be written: the database or the disk has been away or full for too long. Calls go on when it is back',
        { type: 'no_db_connection', code: '503' },
      )
    },
    nodes: nodes.count,
    leads: nodes.leads,
    async close() {
      for (const timer of timers) clearInterval(timer)
      purses.giveBackAll()
      try {
        await flush()
        while (waiting.length > 0) await flush()
        closed = true
        await giveBackLeases(db, node)
        await nodes.leave()
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

/** Work that is begun again and again: not while it still runs, and told once when it begins to fail. */
function oneAtATime(work: () => Promise<unknown>, onFailure: (cause: unknown) => void): () => void {
  let busy = false
  let told = false
  return () => {
    if (busy) return
    busy = true
    work()
      .then(() => {
        told = false
      })
      .catch((cause: unknown) => {
        if (!told) onFailure(cause)
        told = true
      })
      .finally(() => {
        busy = false
      })
  }
}
