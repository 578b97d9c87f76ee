import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { mockEntries } from '../src/cli/rows.ts'
import { createLog, loadConfig, readEnvironment, startServer } from '../src/node.ts'

/** What README says to do is done. */
const root = join(import.meta.dirname, '..')
const readme = await readFile(join(root, 'README.md'), 'utf8')

const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, text = '']) => text,
  )

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'throughway-readme-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const load = (path: string, env: Record<string, string> = {}) => loadConfig({ path, env })

test('the configurations are understood, all of them', async () => {
  const all = blocks('yaml')
  ok(all.length > 0)
  for (const text of all) {
    const path = join(folder, 'example.yaml')
    await writeFile(path, text)
    const names = [...text.matchAll(/os\.environ\/(\w+)/g)].map(([, name = '']) => name)
    const env = Object.fromEntries(names.map((name) => [name, 'sk-of-the-readme-0123456789']))
    const { errors, warnings, unsetVariables, config } = await load(path, env)
    deepEqual(
      { errors, warnings, unsetVariables },
      { errors: [], warnings: [], unsetVariables: [] },
    )
    ok(config.models.length > 0)
  }
})

test('the first curl is answered without an account', async () => {
  const [, path = '', body = ''] =
    /^curl http:\/\/127\.0\.0\.1:4000(\S+) -H 'content-type: application\/json' -d '(.+)'$/m.exec(
      readme,
    ) ?? []
  const file = join(folder, 'mock.yaml')
  // As a start without settings has it.
  await writeFile(file, JSON.stringify({ model_list: mockEntries }))
  const server = await startServer({
    config: (await load(file)).config,
    env: {},
    settings: readEnvironment({}),
    dataDir: join(folder, 'data'),
    port: 0,
    log: createLog({ level: 'error', json: false }),
  })
  try {
    const answer = await fetch(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    equal((await answer.json()).choices[0].message.content, 'Hello!')
  } finally {
    await server.close()
  }
})

test('the program of "As a package" starts a server', async () => {
  const [program = ''] = blocks('js')
  match(program, /from 'throughway\/node'/)
  const source = program.replace('throughway/node', new URL('../src/node.ts', import.meta.url).href)
  await writeFile(join(folder, 'program.mjs'), source)
  await writeFile(join(folder, 'config.yaml'), JSON.stringify({ model_list: mockEntries }))
  const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], {
    cwd: folder,
    env: {},
  })
  match(stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/)
})
