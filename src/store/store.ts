import { sql, type Transaction } from 'kysely'
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
  let version = await db.version?.()

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
        for (let at = 0; at < heard.length; at += 200)
          await tx
            .insertInto('change')
            .values(heard.slice(at, at + 200).map((one) => ({ ...one, node, at: now() })))
            .execute()
        if (heard.length > 0 && db.dialect === 'postgres')
          await sql`select pg_notify('throughway', ${node})`.execute(tx)
        return done
      })
      for (const { kind, id } of changes) tell(kind, id)
      return result
    },
    onChange(hear) {
      ears.push(hear)
    },
    async catchUp() {
      if (db.version) {
        const is = await db.version()
        if (is === version) return
        version = is
      }
      const rows = await db.query
        .selectFrom('change')
        .selectAll()
        .where('seq', '>', heardOf)
        .orderBy('seq')
        .limit(10_000)
        .execute()
      for (const { seq, kind, id, node: by } of rows) {
        heardOf = Math.max(heardOf, seq)
        if (by !== node) tell(kind, id)
      }
    },
    heard: () => heardOf,
    sealer,
    node,
    now,
  }
}
