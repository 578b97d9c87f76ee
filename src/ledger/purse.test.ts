import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openSqlite } from '../store/sqlite.node.ts'
import { booksContract } from './contract.node.ts'

const folder = await mkdtemp(join(tmpdir(), 'throughway-test-'))
booksContract(async (name) => openSqlite(join(folder, `${name}.db`)))
after(() => rm(folder, { recursive: true, force: true }))
