import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isObject, list, object, text } from '../src/json/json.ts'

/**
 * Runs the black-box kits that lie beside the clone (`../shared/conformance`, `../shared/acceptance`) against this
 * build, and compares with .ci/kits.json, the cases that have passed once. One of them that fails now fails the run.
 *
 *   node scripts/kits.ts                 both; output goes to .kit/
 *   node scripts/kits.ts conformance     one
 *   node scripts/kits.ts --update        and adds what passes now to .ci/kits.json
 */
type Results = {
  /** Cases that ran, and whether they passed. */
  cases: ReadonlyMap<string, boolean>
  /** False where the run was cut short: then a case that is missing did not run, else the kit no longer has it. */
  complete: boolean
}

type Kit = {
  seconds: number
  /** Arguments of its `run.mjs` besides --start. */
  args(files: { json: string }): Promise<string[]>
  /** Only one case, for a second look at it. */
  only(name: string): string[]
  read(files: { json: string; log: string }): Results
}

const root = join(import.meta.dirname, '..')
const shared = join(root, '..', 'shared')
const folder = join(root, '.kit')
const ratchetFile = join(root, '.ci', 'kits.json')

const kits: Record<string, Kit> = {
  conformance: {
    seconds: 150,
    async args({ json }) {
      // One gateway for each profile of settings, on ports that follow each other.
      const port = await freePorts(10)
      return ['--json', json, '--mock-port', String(port), '--port', String(port + 1)]
    },
    only: (name) => ['--filter', name],
    read({ json }) {
      if (!existsSync(json)) return { cases: new Map(), complete: false }
      const { results } = object(JSON.parse(readFileSync(json, 'utf8')))
      const cases = list(results).map((result): [string, boolean] => {
        const { name, ok } = object(result)
        return [text(name) ?? '', ok === true]
      })
      return { cases: new Map(cases), complete: true }
    },
  },
  acceptance: {
    seconds: 400,
    args: async () => [],
    only: (name) => ['--file', name.split(':')[0] ?? '', '--filter', name],
    read({ log }) {
      const said = existsSync(log) ? readFileSync(log, 'utf8') : ''
      const cases = new Map<string, boolean>()
      for (const [, word, file, rest = ''] of said.matchAll(/^(ok {2}|FAIL) ([\w-]+): (.*)$/gm)) {
        // A failure's reason follows its fact, and both may hold colons: known facts are found by their beginning.
        const name = word === 'FAIL' ? factOf(`${file}: ${rest}`) : `${file}: ${rest}`
        cases.set(name, word !== 'FAIL')
      }
      return { cases, complete: /^\d+ passed, \d+ failed\n$/m.test(said) }
    },
  },
}

const { values, positionals } = parseArgs({
  options: { update: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const ratchet = readRatchet()

async function compare(name: string, kit: Kit): Promise<boolean> {
  const held = ratchet[name] ?? []
  const started = performance.now()
  const { cases, complete } = await run(name, kit, [], kit.seconds)
  const passing = [...cases].filter(([, passed]) => passed).map(([each]) => each)
  const lost = held.filter((each) => cases.get(each) === false)
  const missing = held.filter((each) => !cases.has(each))
  const again = await secondLook(name, kit, lost)
  const failed = [...lost.filter((each) => !again.includes(each)), ...(complete ? [] : missing)]
  const added = passing.filter((each) => !held.includes(each))
  if (values.update) ratchet[name] = [...passing, ...again, ...(complete ? [] : missing)].sort()

  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  const notes = [
    `ratchet ${held.length}`,
    ...(added.length > 0 ? [`${added.length} new`] : []),
    ...(again.length > 0 ? [`${again.length} only when asked again: ${again.join('; ')}`] : []),
    ...(complete && missing.length > 0 ? [`${missing.length} no longer in the kit`] : []),
    ...(complete ? [] : [`cut after ${kit.seconds} s`]),
  ]
  console.log(
    `${name}: ${passing.length} of ${cases.size} cases pass (${notes.join(', ')}) in ${seconds} s`,
  )
  for (const each of failed.slice(0, shownMax))
    console.log(`${name}: has passed before and does not now: ${each} (see .kit/${name}.log)`)
  if (failed.length > shownMax) console.log(`${name}: … and ${failed.length - shownMax} more`)
  return failed.length === 0
}

/** Cases that wait and count by the clock fail on a busy machine: what seems lost is asked once more, alone. */
async function secondLook(name: string, kit: Kit, lost: readonly string[]): Promise<string[]> {
  const again: string[] = []
  if (lost.length > secondLooksMax) return again
  for (const each of lost) {
    const { cases } = await run(name, kit, kit.only(each), 30, '-again')
    if (cases.get(each) === true) again.push(each)
  }
  return again
}
const secondLooksMax = 3
const shownMax = 20

async function run(
  name: string,
  kit: Kit,
  more: readonly string[],
  seconds: number,
  suffix = '',
): Promise<Results> {
  const files = {
    json: join(folder, `${name}${suffix}.json`),
    log: join(folder, `${name}${suffix}.log`),
  }
  rmSync(files.json, { force: true })
  const log = openSync(files.log, 'w')
  const gateway = `'${process.execPath}' '${join(root, 'bin', 'throughway.ts')}' --config {config} --port {port} --data-dir {data}`
  const args = [
    join(shared, name, 'run.mjs'),
    '--start',
    gateway,
    ...(await kit.args(files)),
    ...more,
  ]
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  const { pid } = child
  const stop = (signal: NodeJS.Signals) => {
    try {
      // Its whole group: the kits end their gateways when they are asked to end.
      if (pid !== undefined) process.kill(-pid, signal)
    } catch {
      // It has gone already.
    }
  }
  const leave = () => {
    stop('SIGTERM')
    process.exit(1)
  }
  process.once('SIGINT', leave)
  process.once('SIGTERM', leave)
  const timers = [
    setTimeout(() => stop('SIGTERM'), seconds * 1000),
    setTimeout(() => stop('SIGKILL'), seconds * 1000 + 15_000),
  ]
  await new Promise((resolve) => child.once('close', resolve))
  for (const timer of timers) clearTimeout(timer)
  process.off('SIGINT', leave)
  process.off('SIGTERM', leave)
  return kit.read(files)
}

/** Of `FAIL file: fact: reason`, where it is a fact we hold: that one; else up to the first colon of the rest. */
function factOf(said: string): string {
  const held = (ratchet['acceptance'] ?? []).filter((each) => said.startsWith(`${each}: `))
  const longest = held.sort((a, b) => b.length - a.length)[0]
  return longest ?? said.split(': ').slice(0, 2).join(': ')
}

function readRatchet(): Record<string, string[]> {
  if (!existsSync(ratchetFile)) return {}
  const read: unknown = JSON.parse(readFileSync(ratchetFile, 'utf8'))
  if (!isObject(read)) throw new Error('.ci/kits.json must be a map of kits to lists of cases')
  return Object.fromEntries(
    Object.entries(read).map(([name, cases]) => [
      name,
      list(cases).filter((each) => typeof each === 'string'),
    ]),
  )
}

/** The first of so many free ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = 20_000 + Math.floor(Math.random() * 10_000)
    const free = await Promise.all(Array.from({ length: count }, (_, at) => isFree(first + at)))
    if (free.every(Boolean)) return first
  }
  throw new Error('no free ports were found between 20000 and 30000')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

const unknown = positionals.find((name) => !(name in kits))
if (unknown !== undefined)
  throw new Error(`there is no kit "${unknown}": they are ${Object.keys(kits).join(' and ')}`)

mkdirSync(folder, { recursive: true })
for (const [name, kit] of Object.entries(kits)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  if (!existsSync(join(shared, name, 'run.mjs'))) {
    console.log(`${name}: the kit does not lie beside this clone, so it is left out`)
    continue
  }
  if (!(await compare(name, kit))) process.exitCode = 1
}
if (values.update) writeFileSync(ratchetFile, `${JSON.stringify(ratchet, null, 1)}\n`)
