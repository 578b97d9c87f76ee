import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { migrate } from '../src/store/migrate.ts'
import { movedTables } from '../src/store/move.node.ts'
import { openPostgres } from '../src/store/postgres.node.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'
import { startProcess } from './support/process.ts'
import { fileScope, hello, startProvider } from './support/provider.ts'
import { call, callCost, configOf, makeKey, masterKey } from './support/spending.ts'

const scope = fileScope()
const folder = await mkdtemp(join(tmpdir(), 'throughway-move-'))
scope.after(() => rm(folder, { recursive: true, force: true }))
const bin = join(import.meta.dirname, '..', 'bin', 'throughway.ts')

async function throughway(argv: string[], env: Record<string, string> = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [bin, ...argv], {
      cwd: folder,
      env: { HOME: folder, PATH: process.env['PATH'], LITELLM_MASTER_KEY: masterKey, ...env },
    })
    return { code: 0, stdout, stderr }
  } catch (cause) {
    const { code, stdout, stderr } = cause as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

test('migrate says what it did, and the second time that there was nothing to do', async () => {
  const dataDir = join(folder, 'migrated')
  const first = await throughway(['migrate', '--data-dir', dataDir])
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /0001-first.* done/)
  const second = await throughway(['migrate', '--data-dir', dataDir])
  assert.match(second.stdout, /up to date/)
  assert.doesNotMatch(second.stdout, /done/)
})

test('move says what it lacks', async () => {
  assert.equal((await throughway(['move'])).code, 2)
  const nowhere = await throughway([
    'move',
    '--to',
    'postgres://127.0.0.1:1/x',
    '--data-dir',
    join(folder, 'none'),
  ])
  assert.equal(nowhere.code, 1)
  assert.match(nowhere.stderr, /there is no .*throughway\.db/)
  assert.equal((await throughway(['check', '--to', 'x'])).code, 2)
})

const postgres = postgresFolder()
if (postgres === undefined)
  test('to PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(postgres)
  after(() => server.stop())

  test('a store moves to PostgreSQL while it is served, again, and to the last key and nano-dollar', async () => {
    const provider = await startProvider(scope, hello)
    const dataDir = join(folder, 'data')
    const url = server.database('target')
    const gateway = await startProcess(scope, configOf(provider), { dataDir })
    const key = await makeKey(gateway.url, { max_budget: 10, key_alias: 'überall \u{1F600}' })
    await Promise.all(Array.from({ length: 40 }, () => call(gateway.url, key, { user: 'someone' })))
    const first = await throughway(['move', '--to', url, '--data-dir', dataDir])
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /counts and sums are the same/)
    assert.match(first.stdout, /A gateway serves the original/)

    await Promise.all(Array.from({ length: 25 }, () => call(gateway.url, key)))
    gateway.signal('SIGTERM')
    await gateway.ended
    const second = await throughway(['move', '--to', url, '--data-dir', dataDir])
    assert.equal(second.code, 0, second.stderr)
    assert.match(second.stdout, /spend_log: 65 of 65/)
    assert.doesNotMatch(second.stdout, /serves the original/)

    const sqlite = openSqlite(join(dataDir, 'throughway.db'))
    const there = await openPostgres({ url, onError: () => {} })
    for (const table of movedTables) {
      const rows = async ({ query }: typeof sqlite) =>
        (
          await query
            .selectFrom(table as 'word')
            .selectAll()
            .execute()
        )
          .map((row) => JSON.stringify(Object.entries(row).sort()))
          .sort()
      assert.deepEqual(await rows(there), await rows(sqlite), table)
    }
    await sqlite.close()
    await there.close()

    const moved = await startProcess(scope, configOf(provider), {
      dataDir: join(folder, 'elsewhere'),
      env: { DATABASE_URL: url },
    })
    assert.equal((await call(moved.url, key)).status, 200)
    const info = await fetch(`${moved.url}/key/info?key=${key}`, {
      headers: { authorization: `Bearer ${masterKey}` },
    })
    const { spend } = ((await info.json()) as { info: { spend: number } }).info
    assert.equal(Math.round(spend * 1e9), 66 * callCost)
    const refused = await throughway(['move', '--to', url, '--data-dir', dataDir])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /data of its own/)
  })

  test('a copy that fails leaves nothing behind', async () => {
    const url = server.database('broken')
    const dataDir = join(folder, 'data')
    const there = await openPostgres({ url, onError: () => {} })
    await migrate(there)
    await there.query.schema
      .alterTable('spend_hour')
      .addCheckConstraint('no', sql`spend < 0`)
      .execute()
    const failed = await throughway(['move', '--to', url, '--data-dir', dataDir])
    assert.equal(failed.code, 1)
    for (const table of movedTables)
      assert.equal(
        (
          await there.query
            .selectFrom(table as 'word')
            .selectAll()
            .execute()
        ).length,
        0,
      )
    await there.close()
  })
}
