import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { GatewayError } from '../errors.ts'
import type { Db } from './db.ts'
import { first } from './migrations/0001-first.ts'
import { owned } from './migrations/0002-owned.ts'
import { imported } from './migrations/0003-imported.ts'
import { durations } from './migrations/0004-durations.ts'

/** Brings the tables to the newest shape, under a lock: of several processes one does it and the others wait. */
export async function migrate({ query, dialect }: Db): Promise<string[]> {
  if (dialect === 'postgres') await refuseOtherEncodings(query)
  const migrator = new Migrator({
    db: query,
    provider: {
      getMigrations: async () => ({
        '0001-first': first(dialect),
        '0002-owned': owned,
        '0003-imported': imported,
        '0004-durations': durations,
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

/** A database of ASCII finds no name that has more than ASCII in it. */
async function refuseOtherEncodings(query: Db['query']): Promise<void> {
  const { rows } = await sql<{ server_encoding: string }>`show server_encoding`.execute(query)
  const encoding = rows[0]?.server_encoding ?? 'UTF8'
  if (encoding === 'UTF8') return
  throw new GatewayError(
    'internal',
    `the PostgreSQL database is encoded in ${encoding}: use one in UTF8, made with create database NAME encoding 'UTF8' template template0`,
  )
}
