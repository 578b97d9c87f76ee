import { after, test } from 'node:test'
import { booksContract } from '../src/ledger/contract.node.ts'
import { openPostgres } from '../src/store/postgres.node.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'

const bin = postgresFolder()
if (bin === undefined) test('PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  // The contract closes what it has opened in an `after` of its own, which was asked for first.
  booksContract((name) =>
    openPostgres({ url: server.database(name), onError: () => {}, connections: 4 }),
  )
  after(() => server.stop())
}
