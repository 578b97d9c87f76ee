import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { answer, provider } from '../call/upstream.test.ts'
import { loadConfig } from '../config/load.node.ts'
import { door } from '../gateway/visit.test.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { openSqlite } from '../store/sqlite.node.ts'
import { createStore } from '../store/store.ts'
import { openLive } from './live.node.ts'

test('a changed file is served by itself, whichever way it was changed; a broken one is not', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'live-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const db = openSqlite(':memory:')
  t.after(() => db.close())
  await migrate(db)
  const store = await createStore({ db, node: 'one', sealer: createSealer('test') })
  const path = join(dir, 'config.yaml')
  const more = join(dir, 'more.yaml')
  const yaml = (name: string, included = false) =>
    `${included ? 'include: [more.yaml]\n' : ''}model_list:\n  - model_name: ${name}\n    litellm_params: {model: openai/x, api_key: sk-0123456789abcdef}\n`
  await writeFile(path, yaml('one'))
  const env: Record<string, string> = {}
  const { rooms, deps, config, logged } = door({ models: {} }, provider({ body: answer('hi') }))
  const live = await openLive({
    rooms,
    deps,
    config,
    store,
    env,
    log: rooms.log,
    watchMs: 20,
    files: {
      paths: [path],
      async read() {
        const loaded = await loadConfig({ path, env })
        return { ...loaded, paths: loaded.sources }
      },
    },
  })
  t.after(() => live.close())
  const names = () => rooms.router.groups.names().join(' ')
  const until = async (said: () => boolean, what: string): Promise<void> => {
    for (let i = 0; i < 150; i++) {
      if (said()) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.fail(`${what}: ${names()} ${logged.join('\n')}`)
  }
  await live.reload?.()
  assert.equal(names(), 'one')

  await writeFile(path, yaml('rewritten'))
  await until(() => names() === 'rewritten', 'written over')

  await writeFile(join(dir, 'next.yaml'), yaml('renamed'))
  await rename(join(dir, 'next.yaml'), path)
  await until(() => names() === 'renamed', 'renamed over, as editors do')

  await writeFile(join(dir, 'linked.yaml'), yaml('linked'))
  await unlink(path)
  await symlink(join(dir, 'linked.yaml'), path)
  await until(() => names() === 'linked', 'a link in its place, as clusters do')

  const errors = () => logged.filter((line) => line.startsWith('error')).length
  await writeFile(join(dir, 'linked.yaml'), 'model_list: {not: [a list')
  await until(() => errors() === 1, 'broken')
  assert.equal(names(), 'linked', 'what was served goes on')

  await writeFile(more, yaml('included'))
  await writeFile(join(dir, 'linked.yaml'), yaml('main', true))
  await until(() => names() === 'main included', 'with a file it includes')
  await writeFile(more, yaml('changed'))
  await until(() => names() === 'main changed', 'the included file changed')

  live.close()
  await writeFile(more, yaml('late'))
  await new Promise((resolve) => setTimeout(resolve, 80))
  assert.equal(names(), 'main changed', 'nobody looks any more')
})
