import { equal, rejects } from 'node:assert/strict'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { booksContract } from '../src/ledger/contract.node.ts'
import { migrate } from '../src/store/migrate.ts'
import { openPostgres } from '../src/store/postgres.node.ts'
import { startGateway } from './support/gateway.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'

const bin = postgresFolder()
if (bin === undefined) test('PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  // The contract closes what it has opened in an `after` of its own, which was asked for first.
  // Eight processes: four workers on each of two machines.
  booksContract(
    (name) => openPostgres({ url: server.database(name), onError: () => {}, connections: 4 }),
    8,
  )
  test('a database that is not in UTF-8 is refused, with what to do', async () => {
    const url = server.database('plain')
    const db = await openPostgres({ url, onError: () => {}, connections: 1 })
    await sql`create database narrow encoding 'SQL_ASCII' locale 'C' template template0`.execute(
      db.query,
    )
    await db.close()
    const narrow = await openPostgres({
      url: url.replace('/plain', '/narrow'),
      onError: () => {},
      connections: 1,
    })
    await rejects(migrate(narrow), /encoded in SQL_ASCII: use one in UTF8/)
    await narrow.close()
  })
  test('without anything to seal keys with there is no start, and nothing is made', async (t) => {
    const url = server.database('unsealed')
    await rejects(
      startGateway(t, { env: { DATABASE_URL: url } }),
      /neither LITELLM_SALT_KEY nor LITELLM_MASTER_KEY/,
    )
    const db = await openPostgres({ url, onError: () => {}, connections: 1 })
    const { rows } = await sql`select 1 from pg_tables where schemaname = 'throughway'`.execute(
      db.query,
    )
    equal(rows.length, 0)
    await db.close()
  })
  after(() => server.stop())
}
