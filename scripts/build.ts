import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundleInto } from '../bin/bundle.ts'
import { bundleTokenizers } from './tokenizers.ts'

/**
 * Makes `dist/`, what the published package runs: JavaScript and types of `src/`, the entry as it is, the server once more
 * as few files that start faster, and the vocabularies of the tokenizers. `data/` is shipped as it lies. npm runs this
 * before it packs.
 */
const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })

const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const compiled = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

const bin = join(dist, 'bin', 'throughway.js')
cpSync(join(root, 'bin', 'throughway.js'), bin)
chmodSync(bin, 0o755)

// Where bin/throughway.js looks for it, and as far from dist/tokenizers/ as the module that reads them.
await bundleInto(join(dist, 'bundle', 'server'), root)

const sizes = await bundleTokenizers(join(dist, 'tokenizers'))
const megabytes = Object.values(sizes).reduce((sum, size) => sum + size, 0) / 1e6
console.error(`dist/ is built, with ${megabytes.toFixed(1)} MB of tokenizers`)
