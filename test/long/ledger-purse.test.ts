import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { booksContract } from '../../src/ledger/contract.node.ts'
import { openSqlite } from '../../src/store/sqlite.node.ts'

const folder = await mkdtemp(join(tmpdir(), 'throughway-test-'))
booksContract(async (name) => openSqlite(join(folder, `${name}.db`)))
after(() => rm(folder, { recursive: true, force: true }))
