import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Db } from '../src/store/db.ts'
import { openPostgres } from '../src/store/postgres.node.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'
import { type GatewayProcess, startProcess } from './support/process.ts'
import { fileScope, sleep, startProvider } from './support/provider.ts'
import {
  audit,
  call,
  configOf,
  type Heard,
  makeKey,
  masterKey,
  unhurried,
} from './support/spending.ts'

/** HEAVY=1: twenty of them. */
const kills = process.env['HEAVY'] === '1' ? 20 : 3
const clients = 12

const scope = fileScope()
const folder = await mkdtemp(join(tmpdir(), 'throughway-kill-'))
scope.after(() => rm(folder, { recursive: true, force: true }))
const provider = await startProvider(scope, unhurried(8))

/** Clients that go on until their gateway is gone. */
async function load(url: string, key: string, heard: Heard[], going: () => boolean): Promise<void> {
  const one = async (nth: number): Promise<void> => {
    for (let i = 0; going(); i++) {
      const answer = await call(url, key, (i + nth) % 3 === 0 ? { stream: true } : {}, {
        'x-litellm-tags': `t${i % 4}`,
      })
      heard.push(answer)
      if (answer.status === 0) return
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, nth) => one(nth)))
}

async function ended(gateway: GatewayProcess): Promise<void> {
  gateway.signal('SIGTERM')
  await gateway.ended
}

async function killed(name: string, env: Record<string, string>): Promise<Heard[]> {
  const dataDir = join(folder, name)
  const heard: Heard[] = []
  let key = ''
  for (let nth = 0; nth < kills; nth++) {
    const gateway = await startProcess(scope, configOf(provider), { dataDir, env })
    key ||= await makeKey(gateway.url, { max_budget: 1000 })
    let alive = true
    const loading = load(gateway.url, key, heard, () => alive)
    await sleep(200 + Math.random() * 400)
    gateway.signal('SIGKILL')
    alive = false
    await gateway.ended
    await loading
  }
  await ended(await startProcess(scope, configOf(provider), { dataDir, env }))
  assert.ok(heard.filter(({ whole }) => whole).length > kills * clients)
  return heard
}

async function audited(db: Db, heard: readonly Heard[]): Promise<void> {
  try {
    const wrong = await audit(db, heard)
    assert.deepEqual(wrong.slice(0, 10), [])
  } finally {
    await db.close()
  }
}

test('killed under load on SQLite: what was answered is billed, and once', async () => {
  const heard = await killed('sqlite', {})
  await audited(openSqlite(join(folder, 'sqlite', 'throughway.db')), heard)
})

test('one of two processes on one file is killed: the other closes its books', async () => {
  const dataDir = join(folder, 'two')
  const start = () => startProcess(scope, configOf(provider), { dataDir })
  const [one, other] = [await start(), await start()]
  const key = await makeKey(one.url, { max_budget: 1000 })
  const heard: Heard[] = []
  let alive = true
  const loading = [one, other].map(({ url }) => load(url, key, heard, () => alive))
  await sleep(700)
  one.signal('SIGKILL')
  await sleep(300)
  alive = false
  await Promise.all(loading)
  // Ten seconds after its last heartbeat at the latest.
  const acknowledged = heard.filter(({ whole }) => whole)
  const db = openSqlite(join(dataDir, 'throughway.db'))
  for (let tries = 0; tries < 150; tries++) {
    const { n } = await db.query
      .selectFrom('node')
      .select((a) => a.fn.countAll<number>().as('n'))
      .where('taken_by', 'is not', null)
      .executeTakeFirstOrThrow()
    if (Number(n) === 1) break
    await sleep(100)
  }
  await ended(other)
  assert.ok(acknowledged.length > 20)
  await audited(db, heard)
})

const bin = postgresFolder()
if (bin === undefined) test('on PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  after(() => server.stop())
  const env = { DATABASE_URL: server.database('kill'), LITELLM_SALT_KEY: `${masterKey}-salt` }
  test('killed under load on PostgreSQL: what was answered is billed, and once', async () => {
    const heard = await killed('postgres', env)
    await audited(await openPostgres({ url: env.DATABASE_URL, onError: () => {} }), heard)
  })
}
