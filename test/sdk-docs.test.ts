import { deepEqual, ok } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import * as face from '../src/index.node.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs', 'sdk.md'), 'utf8')
const library = pathToFileURL(join(root, 'src', 'index.node.ts')).href

const examples = [...page.matchAll(/```ts run\n([\s\S]*?)```/g)].map(([, code = '']) => ({
  code,
  says: [...code.matchAll(/^\/\/ → (.*)$/gm)].map(([, line]) => line),
}))

/** All of them in one process, one after the other, as a reader would try them. */
test('the examples of docs/sdk.md do what they say, and the process ends by itself', async () => {
  ok(examples.length >= 7)
  const folder = await mkdtemp(join(tmpdir(), 'throughway-docs-'))
  try {
    const names = await Promise.all(
      examples.map(async ({ code }, at) => {
        const path = join(folder, `${at}.ts`)
        await writeFile(
          path,
          code.replaceAll("from 'throughway'", `from ${JSON.stringify(library)}`),
        )
        return path
      }),
    )
    const all = join(folder, 'all.mjs')
    await writeFile(
      all,
      names.map((path) => `await import(${JSON.stringify(pathToFileURL(path).href)})`).join('\n'),
    )
    const lines = (await run(all)).trimEnd().split('\n')
    deepEqual(
      lines,
      examples.flatMap(({ says }) => says),
    )
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('every function of the library is in docs/sdk.md', () => {
  for (const name of Object.keys(face)) {
    if (!/^[a-z]+(_[a-z]+)+$/.test(name)) continue
    const ability = name.replace(/^supports_/, '')
    ok(page.includes(name) || page.includes(`\`${ability}\``), `${name} is not in docs/sdk.md`)
  }
  for (const [name] of Object.entries(face).filter(([name]) => /Error$|^Timeout$/.test(name)))
    ok(page.includes(`\`${name}\``), `${name} is not in docs/sdk.md`)
})

function run(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    let failed = ''
    child.stdout.on('data', (data) => {
      said += String(data)
    })
    child.stderr.on('data', (data) => {
      failed += String(data)
    })
    child.on('close', (code) => (code === 0 ? resolve(said) : reject(new Error(failed))))
  })
}
