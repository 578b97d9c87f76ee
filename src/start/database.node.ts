import { join } from 'node:path'
import type { EnvSettings } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { type Json, text } from '../json/json.ts'
import type { Db } from '../store/db.ts'
import type { PostgresOptions } from '../store/postgres.node.ts'

export type DatabaseOptions = {
  config: Config
  settings: EnvSettings
  dataDir: string
  log(level: 'warn', message: string, more?: Record<string, unknown>): void
}

/** SQLite's file in the data folder. */
export const sqlitePath = (dataDir: string): string => join(dataDir, 'throughway.db')

/** The database of these settings: PostgreSQL where one is named, the file in the data folder otherwise. */
export async function openDb({ settings, dataDir, config, log }: DatabaseOptions): Promise<Db> {
  const url = settings.databaseUrl ?? text(config.general.database_url as Json)
  if (url === undefined) {
    const { openSqlite } = await import('../store/sqlite.node.ts')
    return openSqlite(sqlitePath(dataDir))
  }
  return openPostgresAt(url, 'DATABASE_URL', {
    connections: config.general.database_connection_pool_limit ?? 10,
    connectSeconds: Math.min(config.general.database_connection_timeout ?? 10, 60),
    onError: (cause) => log('warn', 'a connection to the database broke', { cause }),
  })
}

/** `said`: where the address stands, for whoever has to put it right. */
export async function openPostgresAt(
  url: string,
  said: string,
  options: Omit<PostgresOptions, 'url'>,
): Promise<Db> {
  if (!/^postgres(ql)?:\/\//.test(url))
    throw new GatewayError(
      'internal',
      `${said} begins with ${url.split(':')[0]?.slice(0, 20)}: it must be postgres://… (leave it out for the SQLite database in the data folder)`,
    )
  const { openPostgres } = await import('../store/postgres.node.ts')
  try {
    return await openPostgres({ url, ...options })
  } catch (cause) {
    throw new GatewayError(
      'internal',
      `the database at ${hostOf(url)} cannot be reached (${(cause as { code?: string }).code ?? 'no answer'}): see that it runs and that ${said} names its user and password rightly`,
      { cause },
    )
  }
}

/** Never the password. */
function hostOf(url: string): string {
  try {
    const { host, pathname } = new URL(url)
    return `${host}${pathname}`
  } catch {
    return 'that address'
  }
}
