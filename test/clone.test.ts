import { deepEqual, equal, match } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { bundleInto, entries } from '../bin/bundle.ts'

/** A clone as small as can be, with the real bin/: what it starts says a word, and so does a worker of it. */
const repository = join(import.meta.dirname, '..')
const [program, worker] = entries
let root = ''
const at = (...path: string[]): string => join(root, ...path)
const cache = () => at('node_modules', '.cache', 'throughway')

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'throughway-clone-'))
  await cp(join(repository, 'bin'), at('bin'), { recursive: true, verbatimSymlinks: true })
  await cp(join(repository, 'tsconfig.json'), at('tsconfig.json'))
  await writeFile(at('package-lock.json'), '{}')
  await writeFile(at('package.json'), '{ "type": "module" }')
  for (const entry of entries) await mkdir(at(dirname(entry)), { recursive: true })
  for (const entry of entries) await writeFile(at(entry), 'export {}\n')
  const name = worker.split('/').pop()?.replace(/\.ts$/, '')
  await writeFile(
    at(dirname(worker), 'ask.ts'),
    `import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
export const ask = () => new Promise<unknown>((resolve) =>
  new Worker(new URL(\`./${name}\${extname(import.meta.url)}\`, import.meta.url)).on('message', resolve))
`,
  )
  await writeFile(
    at(worker),
    `import { parentPort } from 'node:worker_threads'\nparentPort?.postMessage('a worker')\n`,
  )
  await writeFile(at('src', 'version.ts'), `export const version: string = 'one'\n`)
  await writeFile(
    at(program),
    `import { ask } from '../../${dirname(worker)}/ask.ts'
import { version } from '../version.ts'
export const main = async (words: string[]) => console.log(version, ...words, await ask())
`,
  )
})
after(() => rm(root, { recursive: true, force: true }))

const run = promisify(execFile)
const env = () => ({ HOME: root, XDG_CACHE_HOME: at('cache') })

async function start(): Promise<string> {
  const argv = [at('bin', 'throughway.ts'), 'two']
  const { stdout } = await run(process.execPath, argv, { cwd: root, env: env() })
  return stdout.trim()
}

/** What a start would import. */
async function chosen(): Promise<string> {
  const clone = JSON.stringify(pathToFileURL(at('bin', 'clone.js')).href)
  const asked = `import { programOf } from ${clone}; console.log(await programOf(${JSON.stringify(root)}))`
  const argv = ['--input-type=module', '--eval', asked]
  const { stdout } = await run(process.execPath, argv, { cwd: root, env: env() })
  return stdout.trim()
}

describe('a clone', () => {
  test('without esbuild it runs its sources', async () => {
    match(await chosen(), /\/src\/cli\/main\.node\.ts$/)
    equal(await start(), 'one two a worker')
  })

  test('with it, starts at the same time make one bundle and leave nothing else', async () => {
    await mkdir(at('node_modules'), { recursive: true })
    for (const name of ['esbuild', '@esbuild'])
      await symlink(join(repository, 'node_modules', name), at('node_modules', name))
    deepEqual(await Promise.all([start(), start(), start()]), Array(3).fill('one two a worker'))
    const [made, ...others] = await readdir(cache())
    deepEqual(others, [])
    match(
      await chosen(),
      new RegExp(`/node_modules/\\.cache/throughway/${made}/main\\.node\\.mjs$`),
    )
  })

  test('a source that changed is another bundle; of earlier ones the last few stay', async () => {
    const before = await chosen()
    const old = ['a', 'b', 'c', 'd', 'e', 'f.12'].map((name) => join(cache(), name))
    for (const [hour, folder] of old.entries()) {
      await mkdir(folder)
      const time = new Date(Date.now() - (hour + 1) * 3_600_000)
      await utimes(folder, time, time)
    }
    await mkdir(join(cache(), 'g.34'))
    await writeFile(at('src', 'version.ts'), `export const version: string = 'another'\n`)
    equal(await start(), 'another two a worker')
    const now = await chosen()
    const names = [before, now].map((address) => address.split('/').at(-2) ?? '')
    deepEqual((await readdir(cache())).sort(), [...names, 'a', 'b', 'g.34'].sort())
  })
})

test('no large part of the bundle has a character that makes Node keep all of it at twice its size', async () => {
  const folder = at('bundle')
  await bundleInto(folder, repository)
  const large = []
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name))
    const nth = bytes.findIndex((byte) => byte > 127)
    if (bytes.length > 65_536)
      large.push(nth < 0 ? '' : `${bytes.subarray(Math.max(nth - 60, 0), nth + 60)}`)
  }
  equal(large.length > 5, true)
  // Most likely a regular expression: written as \uXXXX it is the same.
  deepEqual(
    large.filter((found) => found !== ''),
    [],
  )
})
