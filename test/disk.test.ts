import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { eventually } from './support/gateway.ts'
import { startProcess } from './support/process.ts'
import { fileScope, hello, sleep, startProvider } from './support/provider.ts'
import { audit, call, configOf, type Heard, makeKey } from './support/spending.ts'

const scope = fileScope()

/** A disk of its own, of eight megabytes. Undefined: this user may not mount one. */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'throughway-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder])
  scope.after(() => {
    if (mounted.status === 0) spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return mounted.status === 0 ? folder : undefined
}

const disk = process.platform === 'linux' ? smallDisk() : undefined

test('a full disk: what was answered is kept, past a bound nothing is begun, and it goes on when there is room', {
  skip: disk === undefined ? 'no disk can be mounted here' : false,
}, async () => {
  assert.ok(disk)
  const dataDir = join(disk, 'data')
  mkdirSync(dataDir)
  const provider = await startProvider(scope, hello)
  const gateway = await startProcess(scope, configOf(provider), { dataDir })
  const key = await makeKey(gateway.url, { max_budget: 1000 })
  const heard: Heard[] = [await call(gateway.url, key)]
  await sleep(300)

  const filler = join(disk, 'filler')
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(filler, Buffer.alloc(bavail * bsize))
  let refused = 0
  const client = async (): Promise<void> => {
    for (let i = 0; i < 400 && refused < 20; i++) {
      const one = await call(gateway.url, key)
      heard.push(one)
      if (one.status === 503) {
        assert.match(one.body, /no_db_connection/)
        refused++
      } else assert.equal(one.status, 200, one.body)
    }
  }
  await Promise.all(Array.from({ length: 10 }, client))
  assert.ok(refused > 0, `refused after ${heard.length}`)
  assert.ok(heard.filter(({ whole }) => whole).length < 1200)
  assert.match(gateway.said(), /cannot be written/)

  rmSync(filler)
  let back: Heard | undefined
  for (let tries = 0; tries < 100 && back?.status !== 200; tries++) {
    await sleep(50)
    back = await call(gateway.url, key)
    heard.push(back)
  }
  assert.equal(back?.status, 200)
  await eventually(() => gateway.said().includes('spend is written again'), 5000)
  // The journal asks a disk that was full again every fifty milliseconds: then nothing answered is only in memory.
  await sleep(300)
  gateway.signal('SIGKILL')
  await gateway.ended
  const again = await startProcess(scope, configOf(provider), { dataDir })
  again.signal('SIGTERM')
  await again.ended
  const db = openSqlite(join(dataDir, 'throughway.db'))
  try {
    assert.deepEqual((await audit(db, heard)).slice(0, 10), [])
  } finally {
    await db.close()
  }
})
