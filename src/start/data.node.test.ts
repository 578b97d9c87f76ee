import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { adminKey, adminKeyPath, defaultDataDir, openDataDir, readAdminKey } from './data.node.ts'

const root = await mkdtemp(join(tmpdir(), 'throughway-data-'))
after(() => rm(root, { recursive: true, force: true }))

const places: [platform: NodeJS.Platform, env: Record<string, string>, folder: string][] = [
  ['linux', {}, join('/home/me', '.local', 'share', 'throughway')],
  ['linux', { XDG_DATA_HOME: '/data' }, join('/data', 'throughway')],
  ['linux', { XDG_DATA_HOME: '' }, join('/home/me', '.local', 'share', 'throughway')],
  [
    'darwin',
    { XDG_DATA_HOME: '/data' },
    join('/home/me', 'Library', 'Application Support', 'throughway'),
  ],
  ['win32', { LOCALAPPDATA: '/local' }, join('/local', 'throughway')],
  ['win32', {}, join('/home/me', 'AppData', 'Local', 'throughway')],
]
for (const [platform, env, folder] of places)
  test(`${platform} with ${JSON.stringify(env)} keeps its data in ${folder}`, () =>
    assert.equal(defaultDataDir(env, platform, '/home/me'), folder))

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

test('the folder and the key are for their owner only', async () => {
  const folder = join(root, 'deep', 'down')
  await openDataDir(folder)
  await openDataDir(folder)
  assert.equal(await mode(folder), 0o700)
  const { key, created } = await adminKey(folder)
  assert.match(key, /^sk-[\w-]{32}$/)
  assert.equal(created, true)
  assert.equal(await mode(adminKeyPath(folder)), 0o600)
  assert.deepEqual(await adminKey(folder), { key, created: false })
  assert.equal(await readAdminKey(folder), key)
})

test('a key that others could read is closed to them', async () => {
  const folder = join(root, 'open')
  await openDataDir(folder)
  await writeFile(adminKeyPath(folder), '  sk-abcdefghijklmnop \n')
  await chmod(adminKeyPath(folder), 0o644)
  assert.deepEqual(await adminKey(folder), { key: 'sk-abcdefghijklmnop', created: false })
  assert.equal(await mode(adminKeyPath(folder)), 0o600)
})

test('two starts at once agree about the key', async () => {
  const folder = join(root, 'two')
  await openDataDir(folder)
  const keys = await Promise.all(Array.from({ length: 8 }, () => adminKey(folder)))
  assert.equal(new Set(keys.map(({ key }) => key)).size, 1)
  assert.equal(keys.filter(({ created }) => created).length, 1)
})

test('a file that is being written is waited for', async () => {
  const folder = join(root, 'slow')
  await openDataDir(folder)
  await writeFile(adminKeyPath(folder), '')
  setTimeout(() => void writeFile(adminKeyPath(folder), 'sk-written-a-little-later\n'), 40)
  assert.equal((await adminKey(folder)).key, 'sk-written-a-little-later')
})

test('a file without a key says what to do', async () => {
  const folder = join(root, 'short')
  await openDataDir(folder)
  await writeFile(adminKeyPath(folder), 'short')
  await assert.rejects(adminKey(folder), {
    name: 'GatewayError',
    message: /holds no key: delete it/,
  })
  assert.equal((await readFile(adminKeyPath(folder), 'utf8')).trim(), 'short')
})

test('a folder that cannot be says which, and how to choose another', async () => {
  const file = join(root, 'file')
  await writeFile(file, '')
  await assert.rejects(openDataDir(join(file, 'below')), {
    name: 'GatewayError',
    message: /cannot be written \(ENOTDIR\): choose another with --data-dir or THROUGHWAY_DATA_DIR/,
  })
  await assert.rejects(adminKey(join(root, 'not-there')), {
    name: 'GatewayError',
    message: /ENOENT/,
  })
  assert.equal(await readAdminKey(join(root, 'not-there')), undefined)
})
