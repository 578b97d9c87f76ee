import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Whose the things are that providers keep. */
export const owned: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('owned')
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('keeper', 'text', (column) => column.notNull())
      .addColumn('key_id', 'text', (column) => column.notNull())
      .addColumn('owner', 'text')
      .addColumn('team_id', 'text')
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('owned_key', ['id', 'keeper'])
      .execute()
  },
}
