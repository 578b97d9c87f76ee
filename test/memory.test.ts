import { equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Pool } from 'undici'
import type { JsonObject } from '../src/json/json.ts'
import { ask, openaiRow, startGateway } from './support/gateway.ts'
import { startProcess } from './support/process.ts'
import {
  type Asked,
  chunk,
  hello,
  type Provider,
  refusal,
  type Scope,
  type Script,
  sleep,
  startProvider,
  stream,
} from './support/provider.ts'

/** HEAVY=1 measures a process of its own over a night's worth of requests; any other number is how many. */
const heavy = process.env['HEAVY'] === '1' ? 100_000 : Number(process.env['HEAVY'] ?? 0)

const config = (provider: Provider) => [
  openaiRow('m', provider),
  openaiRow('any/*', provider, { model: 'openai/*' }),
]

const answers =
  (asked: () => Asked[]): Script =>
  (one, nth) => {
    const { model } = one.json
    if (model === 'broken') return refusal(500, { message: 'oops' })
    if (model === 'endless') return stream([chunk({ content: 'a' })], { end: 'hang' })
    // It remembers what it was asked, which is not what is measured here.
    asked().length = 0
    return hello(one, nth)
  }

test('nothing is kept of requests of any kind', async (t) => {
  const provider: Provider = await startProvider(
    t,
    answers(() => provider.asked),
  )
  const gateway = await startGateway(t, {
    models: config(provider),
    env: { LITELLM_LOG: 'ERROR' },
    logged: false,
  })
  const run = createLoad(t, gateway.url)
  await run(500)
  const before = await heapMb()
  await run(1000)
  const grown = (await heapMb()) - before
  t.diagnostic(`${before.toFixed(1)} MB and ${grown.toFixed(2)} MB more`)
  // What is bounded fills up meanwhile: names the journal has told, what the ledger has not written yet.
  ok(grown < 2, `${grown.toFixed(2)} MB more after 1000 requests`)
})

test(`a process is no larger after ${heavy || 'many'} requests`, {
  skip: heavy === 0 ? 'takes half a minute: HEAVY=1' : false,
}, async (t) => {
  const provider: Provider = await startProvider(
    t,
    answers(() => provider.asked),
  )
  const gateway = await startProcess(t, {
    model_list: config(provider),
    router_settings: { num_retries: 0, disable_cooldowns: true },
  })
  const run = createLoad(t, gateway.url)
  // By then the engine has taken the room it works in.
  await run(30_000)
  const before = await gateway.residentMb()
  const started = performance.now()
  await run(heavy)
  const grown = (await gateway.residentMb()) - before
  const seconds = (performance.now() - started) / 1000
  t.diagnostic(`${seconds.toFixed(1)} s: ${before.toFixed()} MB and ${grown.toFixed(1)} MB more`)
  ok(grown < 30, `${grown.toFixed(1)} MB more after ${heavy} requests`)
})

/** What is still held once everything that is not has been collected. */
async function heapMb(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  // Timers and sockets of what is over end first.
  for (let round = 0; round < 2; round++) {
    await sleep(250)
    collect()
  }
  return process.memoryUsage().heapUsed / 1024 / 1024
}

/** Sixteen callers at a time. */
function createLoad(t: Scope, url: string): (count: number) => Promise<void> {
  const pool = new Pool(url, { connections: 16 })
  t.after(() => pool.destroy())
  let nth = 0

  async function one(at: number): Promise<void> {
    const [body, status] = bodyOf(at)
    const stop = new AbortController()
    const response = await pool.request({
      path: at % 7 === 0 ? '/v1/messages' : '/v1/chat/completions',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: stop.signal,
    })
    equal(response.statusCode, status)
    if (body['model'] !== 'any/endless') return void (await response.body.dump())
    response.body.once('error', () => {})
    response.body.once('data', () => stop.abort())
    await new Promise<void>((resolve) => response.body.once('close', () => resolve()))
  }

  return async (count) => {
    const end = nth + count
    const worker = async () => {
      while (nth < end) await one(nth++)
    }
    await Promise.all(Array.from({ length: 16 }, worker))
  }
}

/** A whole answer mostly; streams, names never seen before, refusals and clients that leave in between. */
function bodyOf(nth: number): [body: JsonObject, status: number] {
  const common = { max_tokens: 5, seed: nth, user: `user-${nth}` }
  switch (nth % 20) {
    case 1:
    case 2:
    case 3:
      return [ask('m', { ...common, stream: true }), 200]
    case 4:
      return [ask(`any/model-${nth}`, common), 200]
    case 5:
      return [ask(`nobody-${nth}`, common), 400]
    case 6:
      return [ask('any/broken', common), 500]
    case 7:
      return [ask('any/endless', { ...common, stream: true }), 200]
    case 8:
      return [ask('m', { ...common, metadata: { tags: [`tag-${nth}`] } }), 200]
    default:
      return [ask('m', common), 200]
  }
}
