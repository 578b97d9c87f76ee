import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** How long the requests of an hour took that did not fail, all together. */
export const durations: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('spend_hour')
      .addColumn('duration', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
  },
}
