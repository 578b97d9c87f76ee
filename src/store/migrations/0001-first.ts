import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { docTables, idBlock, idLength, idParts, instants } from '../tables.ts'

/** The first shape. `seq` columns count up by themselves in the words of either database. */
export const first = (dialect: 'sqlite' | 'postgres'): Migration => ({
  async up(db: Kysely<unknown>) {
    const counted = dialect === 'sqlite' ? 'integer' : 'bigserial'
    for (const [table, columns] of Object.entries(docTables)) {
      let create = db.schema
        .createTable(table)
        .addColumn('id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('unique_name', 'text', (column) => column.unique())
        .addColumn('data', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
      for (const name of columns)
        create = create.addColumn(name, instants.has(name) ? 'bigint' : 'text')
      await create.execute()
      for (const name of columns)
        await db.schema.createIndex(`${table}_${name}`).on(table).columns([name, 'id']).execute()
      await db.schema
        .createIndex(`${table}_created`)
        .on(table)
        .columns(['created_at', 'id'])
        .execute()
    }
    await db.schema
      .createTable('account')
      .addColumn('id', 'text', (column) => column.primaryKey().notNull())
      .addColumn('spend', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('total', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('leased', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('duration', 'text')
      .addColumn('resets_at', 'bigint')
      .execute()
    await db.schema
      .createIndex('account_resets')
      .on('account')
      .column('resets_at')
      .where('resets_at', 'is not', null)
      .execute()
    await db.schema
      .createTable('lease')
      .addColumn('account', 'text', (column) => column.notNull())
      .addColumn('node', 'text', (column) => column.notNull())
      .addColumn('amount', 'bigint', (column) => column.notNull())
      .addColumn('busy', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('recalled', 'bigint', (column) => column.notNull().defaultTo(0))
      .addPrimaryKeyConstraint('lease_key', ['account', 'node'])
      .execute()
    await db.schema.createIndex('lease_node').on('lease').column('node').execute()
    await db.schema
      .createTable('meter')
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('slot', 'bigint', (column) => column.notNull())
      .addColumn('used', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('meter_key', ['id', 'slot'])
      .execute()
    await db.schema.createIndex('meter_slot').on('meter').column('slot').execute()
    await db.schema
      .createTable('node')
      .addColumn('seq', counted, (column) => column.primaryKey())
      .addColumn('id', 'text', (column) => column.notNull().unique())
      .addColumn('host', 'text', (column) => column.notNull())
      .addColumn('started_at', 'bigint', (column) => column.notNull())
      .addColumn('heartbeat_at', 'bigint', (column) => column.notNull())
      .addColumn('seen', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('flushed', 'bigint', (column) => column.notNull().defaultTo(0))
      .addColumn('taken_by', 'text')
      .execute()
    await db.schema
      .createTable('change')
      .addColumn('seq', counted, (column) => column.primaryKey())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('node', 'text', (column) => column.notNull())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .execute()
    await db.schema
      .createTable('word')
      .addColumn('id', counted, (column) => column.primaryKey())
      .addColumn('text', 'text', (column) => column.notNull().unique())
      .execute()
    let log = db.schema
      .createTable('spend_log')
      .addColumn('seq', counted, (column) => column.primaryKey())
      .addColumn('request_id', 'text', (column) => column.notNull())
      .addColumn('call_id', 'text')
      .addColumn('started_at', 'bigint', (column) => column.notNull())
      .addColumn('duration', 'integer', (column) => column.notNull())
      .addColumn('first_byte', 'integer')
      .addColumn('operation', 'bigint', (column) => column.notNull())
    for (const word of [
      'key_id',
      'user_id',
      'team_id',
      'organization_id',
      'customer_id',
      'model_group',
      'model',
      'deployment_id',
      'provider',
    ])
      log = log.addColumn(word, 'bigint')
    for (const number of [
      'spend',
      'input',
      'output',
      'cache_read',
      'cache_write',
      'reasoning',
      'status',
    ])
      log = log.addColumn(number, 'bigint', (column) => column.notNull().defaultTo(0))
    await log
      .addColumn('fault', 'bigint')
      .addColumn('flags', 'integer', (column) => column.notNull().defaultTo(0))
      .addColumn('more', 'text')
      .execute()
    // Ends and beginnings of ids tell them apart well enough, and take a third of the room.
    for (const [name, part] of Object.entries(idParts(idLength[dialect])))
      await sql`create index ${sql.ref(`spend_log_${name}`)} on spend_log (${dialect === 'sqlite' ? sql`${idBlock}, ` : sql``}${part})`.execute(
        db,
      )
    await db.schema.createIndex('spend_log_started').on('spend_log').column('started_at').execute()
    // Rows of a user or a team are found by their keys, which `spend_hour` knows.
    for (const who of ['key_id', 'customer_id'])
      await db.schema
        .createIndex(`spend_log_${who}`)
        .on('spend_log')
        .columns([who, 'started_at'])
        .where(sql.ref(who), 'is not', null)
        .execute()
    let hours = db.schema
      .createTable('spend_hour')
      .addColumn('hour', 'bigint', (column) => column.notNull())
      .addColumn('scope', 'text', (column) => column.notNull())
      .addColumn('scope_id', 'bigint', (column) => column.notNull())
      .addColumn('key_id', 'bigint', (column) => column.notNull())
      .addColumn('model_group', 'bigint', (column) => column.notNull())
      .addColumn('model', 'bigint', (column) => column.notNull())
      .addColumn('provider', 'bigint', (column) => column.notNull())
      .addColumn('operation', 'bigint', (column) => column.notNull())
      .addColumn('spend', 'bigint', (column) => column.notNull())
      .addColumn('input', 'bigint', (column) => column.notNull())
      .addColumn('output', 'bigint', (column) => column.notNull())
      .addColumn('cache_read', 'bigint', (column) => column.notNull())
      .addColumn('cache_write', 'bigint', (column) => column.notNull())
      .addColumn('requests', 'bigint', (column) => column.notNull())
      .addColumn('failures', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('spend_hour_key', [
        'scope',
        'scope_id',
        'hour',
        'key_id',
        'model_group',
        'model',
        'provider',
        'operation',
      ])
    // The key is most of the row: kept once, it takes half the room.
    if (dialect === 'sqlite') hours = hours.modifyEnd(sql`without rowid`)
    await hours.execute()
    await db.schema
      .createTable('payload')
      .addColumn('request_id', 'text', (column) => column.primaryKey().notNull())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .addColumn('bytes', 'bigint', (column) => column.notNull())
      .addColumn('data', 'text', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('payload_at').on('payload').column('at').execute()
  },
})
