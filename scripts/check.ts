import { spawn } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/**
 * `npm run check`: whatever must be right before a change is done, but for the tests that take long, which are in test/.
 * A few steps at a time, a line for each, and of those that fail what they said.
 */
type Step = {
  name: string
  args: readonly string[]
  /** Of what a failed step said, the part worth reading. */
  tell?: (said: string) => string
}

const root = join(import.meta.dirname, '..')
const cores = Math.max(2, availableParallelism())
/**
 * A process per test file, as `npm test` has it, takes half as much time again. Two for each processor, all at once: some
 * tests wait for timers and sockets, a third of their time.
 */
const shards = Math.min(cores, 4) * 2
/** The steps that are no tests take turns in one. */
const slots = shards + 1

/** What the next run need not do again: sources without their types, code compiled, files whose types and style are right. */
const cache = join(root, 'node_modules', '.cache', 'check')

const program = (name: string, ...args: string[]): readonly string[] => {
  const script = join(root, 'node_modules', ...name.split('/'))
  if (!existsSync(script)) throw new Error(`${script} is missing: run npm ci first`)
  return [script, ...args]
}

const failing = (said: string): string => said.slice(Math.max(0, said.indexOf('✖ failing tests:')))

/** As much to do for each: a longer file takes longer, more or less. Taken by turns, one shard has twice another's work. */
function shared(files: readonly string[]): string[][] {
  const parts = Array.from({ length: shards }, () => ({ bytes: 0, files: [] as string[] }))
  const sized = files.map((file) => ({ file, bytes: statSync(join(root, file)).size }))
  for (const { file, bytes } of sized.sort((a, b) => b.bytes - a.bytes)) {
    const least = parts.reduce((one, other) => (other.bytes < one.bytes ? other : one))
    least.bytes += bytes
    least.files.push(file)
  }
  return parts.map((part) => part.files)
}

const steps: readonly Step[] = [
  ...shared(globSync('src/**/*.test.ts', { cwd: root })).map((files, at) => ({
    name: `unit tests ${at + 1}/${shards}`,
    args: [
      '--test',
      '--test-isolation=none',
      '--test-timeout=120000',
      '--test-reporter=spec',
      ...files,
    ],
    tell: failing,
  })),
  {
    name: 'types',
    // 1.5 s instead of 11 where nothing has changed.
    args: program(
      'typescript/bin/tsc',
      '--noEmit',
      '--incremental',
      '--tsBuildInfoFile',
      join(cache, 'types.tsbuildinfo'),
      '-p',
      '.',
    ),
  },
  { name: 'lint and format', args: ['scripts/lint.ts'] },
  { name: 'written docs', args: ['scripts/docs.ts', '--check'] },
  { name: 'layers', args: ['scripts/layers.ts'] },
]

type Outcome = { ok: boolean; seconds: number; said: string }

function run({ args }: Step): Promise<Outcome> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const started = performance.now()
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      // A seventh less of all that is computed, from the second run on.
      env: { ...env, NODE_COMPILE_CACHE: join(cache, 'compiled') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    const ended = (ok: boolean, more = '') =>
      resolve({
        ok,
        seconds: (performance.now() - started) / 1000,
        said: Buffer.concat(chunks).toString('utf8') + more,
      })
    child.on('error', (cause) => ended(false, cause.message))
    child.on('close', (code) => ended(code === 0))
  })
}

const line = (mark: string, name: string, seconds: number): string =>
  `${mark} ${name.padEnd(16)} ${seconds.toFixed(1).padStart(5)} s`

const queue = [...steps]
const failures: string[] = []
const started = performance.now()

async function slot(): Promise<void> {
  for (let step = queue.shift(); step; step = queue.shift()) {
    const { ok, seconds, said } = await run(step)
    console.log(line(ok ? '✓' : '✖', step.name, seconds))
    const { name, tell = (all: string) => all } = step
    if (!ok) failures.push(`\n── ${name}\n${tell(said).trim()}`)
  }
}

await Promise.all(Array.from({ length: slots }, slot))
console.log(line(failures.length === 0 ? '✓' : '✖', 'all', (performance.now() - started) / 1000))
for (const failure of failures) console.error(failure)
process.exitCode = failures.length === 0 ? 0 : 1
