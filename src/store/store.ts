import { sql, type Transaction } from 'kysely'
import { isObject, type Json, object } from '../json/json.ts'
import type { Db } from './db.ts'
import { type Docs, readDocs, type WritableDocs, writeDocs } from './docs.ts'
import type { Sealer } from './seal.ts'
import { type DocKind, docTables, type Tables } from './tables.ts'

export type AllDocs = { readonly [K in DocKind]: Docs<K> }
export type Tx = { readonly [K in DocKind]: WritableDocs<K> } & {
  /** For what is not a document: accounts, and deletions that touch many rows. */
  readonly db: Transaction<Tables>
  /** For writes past the documents: lets every process forget what it knows of this. */
  changed(kind: string, id: string): void
}

/** What is managed: documents read by anyone, written in transactions that every process hears of. */
export type Store = {
  readonly db: Db
  readonly docs: AllDocs
  /**
   * All or nothing. When it resolves the change is on disk and this process has heard of it (`onChange`); other
   * processes hear within a second.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Every document written, here or in another process. `id` is empty when more has changed than can be told. */
  onChange(hear: (kind: string, id: string) => void): void
  /** Tells every process something that is no document. Returns its place in the order of things told. */
  announce(kind: string, id: string): Promise<number>
  /** Hears what other processes have changed since it was last asked. */
  catchUp(): Promise<void>
  /** The place of the last change this process has heard of. */
  heard(): number
  readonly sealer: Sealer
  /** This process, as the others know it. */
  readonly node: string
  now(): number
}

export type StoreOptions = { db: Db; node: string; sealer: Sealer; now?: () => number }

/** Of what has changed this much is kept, for processes that were busy; who has missed more forgets all they know. */
const changesKeptMs = 600_000
const changesMax = 10_000
/** Any number, the same in every process: whoever holds the lock tells. */
const tellingLock = 7_205_759_403

type Change = { seq: number; kind: string; id: string; node: string }

const changesOf = (rows: readonly unknown[] = []): Change[] =>
  rows.map((row) => {
    const { seq, kind, id, node } = object(row)
    return { seq: Number(seq), kind: String(kind), id: String(id), node: String(node) }
  })

export async function createStore({
  db,
  node,
  sealer,
  now = Date.now,
}: StoreOptions): Promise<Store> {
  const kinds = Object.keys(docTables) as DocKind[]
  const ears: ((kind: string, id: string) => void)[] = []
  const tell = (kind: string, id: string): void => {
    for (const hear of ears) hear(kind, id)
  }
  const newest = async (): Promise<number> => {
    const row = await db.query
      .selectFrom('change')
      .select((a) => a.fn.max('seq').as('seq'))
      .executeTakeFirst()
    return Number(row?.seq ?? 0)
  }
  let heardOf = await newest()
  let version: number | undefined
  let sweptAt = now()

  /**
   * What makes the other processes hear. On PostgreSQL numbers are given out before they can be seen, and who has heard 8
   * would never look for a 7 that comes later: so one process at a time takes numbers.
   */
  function saying(heard: readonly { kind: string; id: string }[]) {
    const at = now()
    const values = heard.map(({ kind, id }) => sql`(${kind}, ${id}, ${node}, ${at})`)
    const inserts: ReturnType<typeof sql<{ seq: number }>>[] = []
    for (let from = 0; from < values.length; from += 200)
      inserts.push(
        sql<{
          seq: number
        }>`insert into change (kind, id, node, at) values ${sql.join(values.slice(from, from + 200))} returning seq`,
      )
    return db.dialect === 'sqlite'
      ? inserts
      : [
          sql`select pg_advisory_xact_lock(${tellingLock})`,
          ...inserts,
          sql`select pg_notify('throughway', ${node})`,
        ]
  }

  /** Forgets what everybody has heard. */
  async function sweep(): Promise<void> {
    if (Math.abs(now() - sweptAt) < changesKeptMs / 2) return
    sweptAt = now()
    await db.query
      .deleteFrom('change')
      .where('at', '<', now() - changesKeptMs)
      // The last one stays: SQLite counts on from the highest there is.
      .where('seq', '<', (inner) =>
        inner.selectFrom('change').select((a) => a.fn.max('seq').as('seq')),
      )
      .execute()
  }

  async function hearMore(): Promise<boolean> {
    const changes = db.query
      .selectFrom('change')
      .selectAll()
      .where('seq', '>', heardOf)
      .orderBy('seq')
      .limit(changesMax)
    // A batch of PostgreSQL's has an end where the connection says nothing any more; SQLite's would keep writers out.
    const rows =
      db.dialect === 'sqlite'
        ? await changes.execute()
        : changesOf((await db.batch([{ query: changes.compile() }]))[0]?.rows)
    const first = rows[0]
    // Some of it was swept before we looked. (Numbers that PostgreSQL has given out in vain make gaps too.)
    if (first && first.seq > heardOf + 1 && heardOf > 0 && (await missed(heardOf))) tell('', '')
    for (const { seq, kind, id, node: by } of rows) {
      heardOf = Math.max(heardOf, seq)
      if (by !== node) tell(kind, id)
    }
    return rows.length === changesMax
  }

  /** The last thing we heard is not there any more, so what came after it may not be either. */
  const missed = async (seq: number): Promise<boolean> =>
    (await db.query
      .selectFrom('change')
      .select('seq')
      .where('seq', '=', seq)
      .executeTakeFirst()) === undefined

  return {
    db,
    docs: Object.fromEntries(
      kinds.map((kind) => [kind, readDocs(kind, db.query)]),
    ) as unknown as AllDocs,
    async write(work) {
      const changes: { kind: string; id: string }[] = []
      const result = await db.query.transaction().execute(async (tx) => {
        const deps = {
          dialect: db.dialect,
          now,
          changed: (kind: string, id: string) => void changes.push({ kind, id }),
        }
        const docs = Object.fromEntries(kinds.map((kind) => [kind, writeDocs(kind, tx, deps)]))
        const done = await work({ ...docs, db: tx, changed: deps.changed } as unknown as Tx)
        const heard = changes.filter(({ kind }) => kind !== 'audit')
        if (heard.length > 0) for (const say of saying(heard)) await say.execute(tx)
        return done
      })
      for (const { kind, id } of changes) tell(kind, id)
      return result
    },
    onChange(hear) {
      ears.push(hear)
    },
    async announce(kind, id) {
      const said = await db.batch(
        saying([{ kind, id }]).map((statement) => ({ query: statement.compile(db.query) })),
      )
      const row = said.flatMap(({ rows }) => rows).find((one) => isObject(one) && 'seq' in one)
      return Number(object(row as Json)['seq'] ?? 0)
    },
    async catchUp() {
      await sweep()
      const is = await db.version?.()
      if (is !== undefined && is === version) return
      while (await hearMore());
      // Only now: what could not be read is looked for again.
      version = is
    },
    heard: () => heardOf,
    sealer,
    node,
    now,
  }
}
