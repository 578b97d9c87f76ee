import type { Db } from './db.ts'
import type { Tables } from './tables.ts'

/** One thing that a provider keeps: a file, a batch, a vector store. */
export type OwnedRow = Tables['owned']

/** Whose the things are that providers keep, by the providers' ids of them. */
export type Owned = {
  /** Rows of these ids, whoever keeps them; ids nobody made here are left out. */
  find(ids: readonly string[]): Promise<OwnedRow[]>
  /** Whoever was written first stays. */
  note(rows: readonly Omit<OwnedRow, 'at'>[]): Promise<void>
  forget(row: Pick<OwnedRow, 'id' | 'keeper'>): Promise<void>
}

/** The same for all processes on this database. */
export const openOwned = ({ query }: Pick<Db, 'query'>, now: () => number): Owned => ({
  async find(ids) {
    const rows: OwnedRow[] = []
    for (let at = 0; at < ids.length; at += stepIds)
      rows.push(
        ...(await query
          .selectFrom('owned')
          .selectAll()
          .where('id', 'in', ids.slice(at, at + stepIds))
          .execute()),
      )
    return rows
  },
  async note(rows) {
    if (rows.length === 0) return
    await query
      .insertInto('owned')
      .values(rows.map((row) => ({ ...row, at: now() })))
      .onConflict((conflict) => conflict.columns(['id', 'keeper']).doNothing())
      .execute()
  },
  async forget({ id, keeper }) {
    await query.deleteFrom('owned').where('id', '=', id).where('keeper', '=', keeper).execute()
  },
})
const stepIds = 500
