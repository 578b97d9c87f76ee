import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { list, number, object, text } from '../../src/json/json.ts'
import { parseObject } from '../../src/json/parse.ts'
import { startProcess } from './process.ts'
import { hello, type Scope, sleep, startProvider } from './provider.ts'
import { call, configOf, makeKey } from './spending.ts'

const hook = pathToFileURL(join(import.meta.dirname, 'allocations-hook.ts')).href

export type Allocations = {
  /** Bytes of objects a request makes, within some 5 %. */
  perRequest: number
  /** The same by function, the most first; of functions of Node's with their caller. */
  functions: [name: string, bytes: number][]
}

/**
 * What a gateway allocates for requests of one kind, with a virtual key that has a budget and limits. Unlike CPU time it is
 * the same on a busy machine.
 */
export async function allocationsOf(
  t: Scope,
  { stream = false, requests = 4000 } = {},
): Promise<Allocations> {
  const provider = await startProvider(t, hello)
  const gateway = await startProcess(t, configOf(provider), {
    env: { NODE_OPTIONS: `--import=${hook}` },
  })
  const key = await makeKey(gateway.url, {
    max_budget: 1_000_000,
    budget_duration: '30d',
    rpm_limit: 100_000_000,
    tpm_limit: 100_000_000,
  })
  const run = async (): Promise<void> => {
    let left = requests
    const client = async (): Promise<void> => {
      while (left-- > 0) {
        const { status, body } = await call(gateway.url, key, { stream })
        if (status !== 200) throw new Error(`${status} ${body}`)
      }
    }
    await Promise.all(Array.from({ length: 16 }, client))
  }
  // What is made once, and what the compiler has not seen through yet, is not asked about.
  await run()
  gateway.signal('SIGUSR2')
  await sleep(200)
  await run()
  gateway.signal('SIGUSR2')
  for (let waited = 0; waited < 10_000; waited += 50) {
    const line = /^\{"allocations":.*\}$/m.exec(gateway.said())?.[0]
    if (line === undefined) {
      await sleep(50)
      continue
    }
    const { total, functions } = object(parseObject(line)['allocations'])
    return {
      perRequest: (number(total) ?? Number.NaN) / requests,
      functions: list(functions).map((one) => {
        const [name, bytes] = list(one)
        return [text(name) ?? '', (number(bytes) ?? 0) / requests]
      }),
    }
  }
  throw new Error(`the gateway told nothing: ${gateway.said().slice(-500)}`)
}
