import { Migrator } from 'kysely/migration'
import { GatewayError } from '../errors.ts'
import type { Db } from './db.ts'
import { first } from './migrations/0001-first.ts'
import { owned } from './migrations/0002-owned.ts'
import { imported } from './migrations/0003-imported.ts'

/** Brings the tables to the newest shape, under a lock: of several processes one does it and the others wait. */
export async function migrate({ query, dialect }: Db): Promise<string[]> {
  const migrator = new Migrator({
    db: query,
    provider: {
      getMigrations: async () => ({
        '0001-first': first(dialect),
        '0002-owned': owned,
        '0003-imported': imported,
      }),
    },
    migrationTableName: 'migration',
    migrationLockTableName: 'migration_lock',
    allowUnorderedMigrations: false,
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error !== undefined)
    throw new GatewayError(
      'internal',
      'the database could not be brought to this version: it may have been used by a newer Throughway, or this user may not create tables in it',
      { cause: error },
    )
  return (results ?? [])
    .filter(({ status }) => status === 'Success')
    .map(({ migrationName }) => migrationName)
}
