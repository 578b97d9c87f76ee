import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { number, object } from '../src/json/json.ts'
import { postgresFolder, startPostgres } from '../test/support/postgres.ts'
import { startProcess } from '../test/support/process.ts'
import { chatAnswer, type Scope, sleep, startProvider, whole } from '../test/support/provider.ts'
import { call, configOf, type Heard, makeKey, masterKey } from '../test/support/spending.ts'

/**
 * Whether budgets are exact: a hundred clients hammer one budget through four processes, on one SQLite file, and as two
 * machines of two processes and of four on one PostgreSQL. Requests that bound their output must never pass it, those that do not by
 * one request's excess at most, and what is left must be less than one more would have set aside.
 *
 *     node scripts/exactness.ts [--runs 20] [--clients 100] [--only sqlite|postgres]
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    clients: { type: 'string', default: '100' },
    only: { type: 'string' },
  },
})
const runs = Number(values.runs)
const clients = Number(values.clients)

/** Nano-dollars of a call with so many tokens written, by the prices of `pricedRow`. */
const costOf = (written: number): number => 9 * 1000 + written * 2000
const budgetCalls = 150

type Run = {
  mode: 'bounded' | 'unbounded'
  /** Nano-dollars. */
  budget: number
  spent: number
  answered: number
  refused: number
  /** What the last refused one would have set aside. */
  reservation: number
  dearest: number
  ms: number
}

async function main(): Promise<void> {
  const ends: (() => unknown)[] = []
  const scope: Scope = { after: (end) => void ends.push(end) }
  let wrong = 0
  try {
    const folder = await mkdtemp(join(tmpdir(), 'throughway-exact-'))
    scope.after(() => rm(folder, { recursive: true, force: true }))
    if (values.only !== 'postgres')
      wrong += await measure('four processes, one SQLite file', scope, [
        ...Array.from({ length: 4 }, () => ({ dataDir: join(folder, 'sqlite') })),
      ])
    const bin = postgresFolder()
    if (bin !== undefined && values.only !== 'sqlite') {
      const server = await startPostgres(bin)
      scope.after(() => server.stop())
      const env = { DATABASE_URL: server.database('exact'), LITELLM_SALT_KEY: `${masterKey}-salt` }
      for (const [many, words] of [
        [2, 'two'],
        [4, 'four'],
      ] as const)
        wrong += await measure(
          `two machines of ${words} processes, one PostgreSQL`,
          scope,
          ['one', 'two'].flatMap((machine) =>
            Array.from({ length: many }, () => ({ dataDir: join(folder, words, machine), env })),
          ),
        )
    }
  } finally {
    for (const end of ends.reverse()) await end()
  }
  process.exitCode = wrong === 0 ? 0 : 1
}

async function measure(
  name: string,
  scope: Scope,
  processes: readonly { dataDir: string; env?: Record<string, string> }[],
): Promise<number> {
  const provider = await startProvider(scope, async (asked) => {
    await sleep(5 + Math.random() * 15)
    const bound = number(asked.json['max_tokens'])
    const written = 1 + Math.floor(Math.random() * (bound ?? 60))
    return whole(
      chatAnswer(
        { content: 'Hello' },
        { usage: { prompt_tokens: 9, completion_tokens: written, total_tokens: 9 + written } },
      ),
    )
  })
  const urls: string[] = []
  for (const { dataDir, env = {} } of processes)
    urls.push((await startProcess(scope, configOf(provider), { dataDir, env })).url)
  console.log(`${name}: ${runs} runs each, ${clients} clients`)
  let wrong = 0
  for (const mode of ['bounded', 'unbounded'] as const) {
    const done: Run[] = []
    for (let nth = 0; nth < runs; nth++) done.push(await run(mode, urls))
    const failed = done.filter((one) => problemOf(one) !== undefined)
    wrong += failed.length
    const over = done.map(({ spent, budget }) => spent - budget)
    const most = (numbers: readonly number[]): number => Math.max(...numbers)
    console.log(
      `  ${mode.padEnd(9)} ${runs - failed.length} of ${runs} exact; overspent at most ${most(over.map((one) => Math.max(0, one)))} (dearest request ${most(done.map(({ dearest }) => dearest))}), unused at most ${most(over.map((one) => Math.max(0, -one)))} (reservation ${most(done.map(({ reservation }) => reservation))}) nano-dollars; ${Math.round(done.reduce((sum, { ms }) => sum + ms, 0) / runs)} ms and ${Math.round(done.reduce((sum, { answered }) => sum + answered, 0) / runs)} answers a run`,
    )
    for (const one of failed) console.log(`    ${problemOf(one)}: ${JSON.stringify(one)}`)
  }
  return wrong
}

function problemOf({ mode, budget, spent, reservation, dearest }: Run): string | undefined {
  if (mode === 'bounded' && spent > budget) return 'overspent'
  if (mode === 'unbounded' && spent - budget > dearest) return 'overspent by more than a request'
  if (mode === 'bounded' && budget - spent >= reservation) return 'money for another one is left'
  if (mode === 'unbounded' && spent < budget) return 'money is left'
  return undefined
}

async function run(mode: Run['mode'], urls: readonly string[]): Promise<Run> {
  const budget = budgetCalls * costOf(30)
  const key = await makeKey(urls[0] ?? '', { max_budget: budget / 1e9 })
  const began = performance.now()
  let answered = 0
  let refused = 0
  let spent = 0
  let dearest = 0
  let reservation = 0
  const body = mode === 'bounded' ? { max_tokens: 60 } : {}
  const one = async (url: string): Promise<Heard> => {
    const heard = await call(url, key, body)
    if (heard.whole) {
      const usage = object(object(JSON.parse(heard.body))['usage'])
      const cost = costOf(number(usage['completion_tokens']) ?? 0)
      answered++
      spent += cost
      dearest = Math.max(dearest, cost)
    } else if (heard.status === 422) {
      refused++
      const may = /may cost up to ([\d.e-]*\d)/.exec(heard.body)
      reservation = Math.round(Number(may?.[1] ?? 0) * 1e9)
    } else throw new Error(`${heard.status}: ${heard.body}`)
    return heard
  }
  const client = async (nth: number): Promise<void> => {
    const url = urls[nth % urls.length] ?? ''
    for (let refusals = 0; refusals < 3; ) {
      if ((await one(url)).status === 200) continue
      refusals++
      await sleep(150)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, nth) => client(nth)))
  // Who was refused while others still held something comes back, one at a time, wherever it likes.
  for (const url of urls) while ((await one(url)).status === 200);
  const info = await fetch(`${urls.at(-1)}/key/info?key=${key}`, {
    headers: { authorization: `Bearer ${masterKey}` },
  })
  const told = number(object(object(await info.json())['info'])['spend']) ?? 0
  const booked = Math.round(told * 1e9)
  // The others' last answers are in the tables within a tenth of a second.
  if (booked !== spent) {
    await sleep(500)
    const again = await fetch(`${urls.at(-1)}/key/info?key=${key}`, {
      headers: { authorization: `Bearer ${masterKey}` },
    })
    const now = Math.round((number(object(object(await again.json())['info'])['spend']) ?? 0) * 1e9)
    if (now !== spent) throw new Error(`answers cost ${spent}, the books say ${now}`)
  }
  return {
    mode,
    budget,
    spent,
    answered,
    refused,
    reservation,
    dearest,
    ms: performance.now() - began,
  }
}

await main()
