import { sql } from 'kysely'
import type { Shelf } from '../call/shelf.ts'
import { toUtf8 } from '../json/latin1.ts'
import type { Db } from './db.ts'

/** Told apart from prompts and answers of requests, which lie in the same table. */
const mark = 'shelf '
/** Rows of prompts and answers only: what lies on the shelf is somebody's until it is taken down. */
export const isPayload = sql<boolean>`request_id not like ${`${mark}%`}`

/** The shelf of all processes on this database. */
export const openShelf = ({ query }: Db, now: () => number): Shelf => ({
  async save(name, data) {
    const row = { at: now(), bytes: toUtf8(data).length, data }
    await query
      .insertInto('payload')
      .values({ request_id: mark + name, ...row })
      .onConflict((conflict) => conflict.column('request_id').doUpdateSet(row))
      .execute()
  },
  async add(name, data) {
    const { numInsertedOrUpdatedRows } = await query
      .insertInto('payload')
      .values({ request_id: mark + name, at: now(), bytes: toUtf8(data).length, data })
      .onConflict((conflict) => conflict.column('request_id').doNothing())
      .executeTakeFirst()
    return numInsertedOrUpdatedRows === 1n
  },
  async find(name) {
    const row = await query
      .selectFrom('payload')
      .select('data')
      .where('request_id', '=', mark + name)
      .executeTakeFirst()
    return row?.data
  },
  async remove(name) {
    const { numDeletedRows } = await query
      .deleteFrom('payload')
      .where('request_id', '=', mark + name)
      .executeTakeFirst()
    return numDeletedRows > 0n
  },
  async names(prefix) {
    const rows = await query
      .selectFrom('payload')
      .select('request_id')
      // Not a range of the key: PostgreSQL sorts it as the language of the database does.
      .where('request_id', 'like', `${mark}%`)
      .execute()
    return rows
      .map((row) => row.request_id.slice(mark.length))
      .filter((name) => name.startsWith(prefix))
  },
  async sweep(olderThanMs) {
    await query
      .deleteFrom('payload')
      .where('request_id', 'like', `${mark}%`)
      .where('at', '<', now() - olderThanMs)
      .execute()
  },
})
