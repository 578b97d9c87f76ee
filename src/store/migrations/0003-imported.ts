import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What has been brought over from LiteLLM's tables, and as what. */
export const imported: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('imported')
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('source', 'text', (column) => column.notNull())
      .addColumn('print', 'text', (column) => column.notNull())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .addColumn('spend', 'bigint', (column) => column.notNull())
      .addColumn('total', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('imported_key', ['kind', 'id'])
      .execute()
  },
}
