import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { WebSocket } from 'ws'
import { list, object } from '../src/json/json.ts'
import { openSqlite } from '../src/store/sqlite.node.ts'
import { ask } from './support/gateway.ts'
import { type GatewayProcess, startProcess } from './support/process.ts'
import {
  chunk,
  fileScope,
  type Provider,
  sleep,
  startProvider,
  stream,
} from './support/provider.ts'
import {
  audit,
  call,
  callCost,
  configOf,
  type Heard,
  makeKey,
  masterKey,
  pricedRow,
  unhurried,
} from './support/spending.ts'

/** `--num_workers 3`: one port, one folder, four processes. */
const scope = fileScope()
const env = { NUM_WORKERS: '3', LITELLM_LOG: 'DEBUG' }
let folder = ''
let provider: Provider
let gateway: GatewayProcess
/** Every call of the tests, for the books at the end. */
const heard: Heard[] = []
let keys = 0

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'throughway-workers-'))
  scope.after(() => rm(folder, { recursive: true, force: true }))
  provider = await startProvider(scope, unhurried(8))
  const config = configOf(provider)
  // Whose provider keeps no answers.
  const forgetful = {
    ...pricedRow(provider, { model: 'cerebras/upstream-model' }),
    model_name: 'forgetful',
  }
  const models = [...list(config['model_list']), forgetful]
  gateway = await startProcess(
    scope,
    { ...config, model_list: models },
    { dataDir: join(folder, 'data'), env },
  )
})

const run = promisify(execFile)
async function workers(of: { pid: number } = gateway): Promise<number[]> {
  const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(of.pid)]).catch(() => ({
    stdout: '',
  }))
  return stdout.split('\n').map(Number).filter(Boolean)
}

/** Lines of the log that say this, and which worker each is of. */
const logged = (message: string, of: GatewayProcess = gateway) =>
  of
    .said()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => object(JSON.parse(line)))
    .filter((line) => String(line['message']).startsWith(message))

async function until(what: () => boolean | Promise<boolean>, ms = 8000): Promise<void> {
  const end = performance.now() + ms
  while (!(await what())) {
    ok(performance.now() < end, `not within ${ms} ms: ${gateway.said().slice(-2000)}`)
    await sleep(20)
  }
}

const manage = async (path: string, body: unknown): Promise<Response> =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

const newKey = (more = {}) => {
  keys++
  return makeKey(gateway.url, more)
}

/** Each on a connection of its own, so that they come to all workers. */
const afresh = { connection: 'close' }

describe('three workers', () => {
  test('start as one: one greeting, one admin of the port, three that answer', async () => {
    equal((await workers()).length, 3)
    const greetings = logged('listening')
    deepEqual(
      greetings.map(({ worker, workers: several }) => [worker, several]),
      [[undefined, 3]],
    )
    const key = await newKey()
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => call(gateway.url, key, {}, afresh)),
    )
    heard.push(...answers)
    deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    await until(() => logged('request').length >= 30)
    deepEqual(new Set(logged('request').map(({ worker }) => worker)), new Set([1, 2, 3]))
    for (let i = 0; i < 6; i++) {
      const ready = await fetch(`${gateway.url}/health/readiness`, { headers: afresh })
      equal(ready.status, 200)
      equal(object(await ready.json())['status'], 'healthy')
    }
  })

  test('requests of one connection are answered in turn, all by one worker', async () => {
    const key = await newKey()
    const before = logged('request').length
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let i = 0; i < 8; i++)
      equal(await sendOn(agent, key, ask('m', { stream: i % 2 === 0 })), 200)
    agent.destroy()
    await until(() => logged('request').length >= before + 8)
    const by = logged('request').slice(before)
    equal(new Set(by.map(({ worker }) => worker)).size, 1)
  })

  test('a budget is never overspent and all of it is usable', async () => {
    const calls = 20
    const key = await newKey({ max_budget: (calls * callCost) / 1e9 })
    const bounded = { max_tokens: 3 }
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => call(gateway.url, key, bounded, afresh)),
    )
    // What was set aside beside them while they ran is free now.
    for (let i = 0; i < calls; i++) answers.push(await call(gateway.url, key, bounded, afresh))
    heard.push(...answers)
    const served = answers.filter(({ whole }) => whole).length
    const refused = answers.filter(({ status }) => status === 422 || status === 429).length
    equal(served + refused, answers.length)
    ok(served <= calls, `${served} were let in where ${calls} can be paid`)
    // A request is let in by what it may cost, which its input as it is counted here may exceed by little.
    ok(served >= calls - 2, `${served} were let in where ${calls} can be paid`)
  })

  test('a key that one deletes is refused by all within a second', async () => {
    const key = await makeKey(gateway.url)
    // Costs nothing: what a key has spent goes with its account, and the books below are to be whole.
    const use = async () =>
      (
        await fetch(`${gateway.url}/v1/models`, {
          headers: { authorization: `Bearer ${key}`, ...afresh },
        })
      ).status
    const all = () => Promise.all(Array.from({ length: 12 }, use))
    deepEqual(new Set(await all()), new Set([200]))
    equal((await manage('/key/delete', { keys: [key] })).status, 200)
    await sleep(1000)
    deepEqual(new Set(await all()), new Set([401]))
  })

  test('a model that one is told of is served by all within a second', async () => {
    const [row] = list(configOf(provider)['model_list']).map(object)
    equal((await manage('/model/new', { ...row, model_name: 'newer' })).status, 200)
    await sleep(1000)
    const key = await newKey()
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => call(gateway.url, key, ask('newer'), afresh)),
    )
    heard.push(...answers)
    deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  })

  test('a conversation goes on wherever it comes to, also where the gateway keeps its answers', async () => {
    const key = await newKey()
    let previous: string | undefined
    for (let turn = 1; turn <= 6; turn++) {
      const response = await fetch(`${gateway.url}/v1/responses`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          ...afresh,
        },
        body: JSON.stringify({
          model: 'forgetful',
          input: `turn ${turn}`,
          ...(previous !== undefined && { previous_response_id: previous }),
        }),
      })
      const answer = object(await response.json())
      equal(response.status, 200, JSON.stringify(answer))
      previous = String(answer['id'])
      const told = list(provider.last().json['messages']).map((one) => object(one)['role'])
      equal(told.filter((role) => role === 'user').length, turn)
    }
  })

  test('a WebSocket reaches one of them', async () => {
    const socket = new WebSocket(gateway.url.replace('http', 'ws') + '/v1/responses', {
      headers: { authorization: `Bearer ${masterKey}` },
    })
    const opened = await new Promise<string>((resolve) => {
      socket.on('open', () => resolve('open'))
      socket.on('error', (cause) => resolve(cause.message))
    })
    socket.close()
    equal(opened, 'open')
  })

  test('one that is killed under load loses no spend and is started anew', async () => {
    const key = await newKey({ max_budget: 1000 })
    const before = await workers()
    let going = true
    const client = async (nth: number) => {
      for (let i = 0; going; i++) {
        const answer = await call(
          gateway.url,
          key,
          (i + nth) % 3 === 0 ? { stream: true } : {},
          i % 2 === 0 ? afresh : {},
        )
        heard.push(answer)
      }
    }
    const clients = Array.from({ length: 12 }, (_, nth) => client(nth))
    const [victim = 0] = before
    try {
      await sleep(300)
      process.kill(victim, 'SIGKILL')
      await until(() => logged('worker').length >= 2)
      await sleep(200)
    } finally {
      going = false
    }
    await Promise.all(clients)
    const now = await workers()
    equal(now.length, 3)
    ok(!now.includes(victim))
    equal(now.filter((pid) => before.includes(pid)).length, 2)
    match(String(logged('worker')[0]?.['message']), /^worker \d was ended by SIGKILL/)
    match(String(logged('worker')[1]?.['message']), /^worker \d serves again/)
    // Ten seconds after its last heartbeat at the latest its books are closed, and its row goes or says by whom.
    const db = openSqlite(join(folder, 'data', 'throughway.db'))
    try {
      await until(async () => {
        const nodes = await db.query.selectFrom('node').select('taken_by').execute()
        return nodes.filter((node) => node.taken_by === null).length === 3
      }, 15_000)
    } finally {
      await db.close()
    }
  })

  test('SIGTERM: a stream that runs is told to its end, and all of them end with 0', async () => {
    const key = await newKey()
    provider.tell(() =>
      stream([
        chunk({ role: 'assistant', content: 'Hel' }),
        800,
        chunk({ content: 'lo' }, { finish_reason: 'stop' }),
        'data: [DONE]\n\n',
      ]),
    )
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(ask('m', { stream: true })),
    })
    const text = response.text()
    const pids = await workers()
    gateway.signal('SIGTERM')
    match(await text, /lo.*\[DONE\]/s)
    equal(await gateway.ended, 0)
    equal(pids.length, 3)
    for (const pid of pids) equal(isAlive(pid), false)
    const db = openSqlite(join(folder, 'data', 'throughway.db'))
    try {
      deepEqual(
        await db.query.selectFrom('node').selectAll().where('taken_by', 'is', null).execute(),
        [],
      )
      deepEqual(await audit(db, heard, { keys }), [])
    } finally {
      await db.close()
    }
  })
})

/** One that is started to fail, or to be treated badly. */
function startPoorly(config: string, more: string[], environment: Record<string, string> = {}) {
  const bin = join(import.meta.dirname, '..', 'bin', 'throughway.ts')
  const child = spawn(
    process.execPath,
    [bin, '--config', config, '--data-dir', `${config}-data`, '--num_workers', '3', ...more],
    {
      env: { PATH: process.env['PATH'], HOME: folder, LITELLM_MODE: 'PRODUCTION', ...environment },
    },
  )
  let said = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => (said += chunk))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  scope.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    pid: child.pid ?? 0,
    said: () => said,
    ended,
    signal: (name: NodeJS.Signals) => child.kill(name),
  }
}

test('a port that is taken: one clear line, and exit code 1', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const at = taken.address()
  const port = String(typeof at === 'object' ? at?.port : 0)
  const file = join(folder, 'busy.yaml')
  await writeFile(file, 'model_list: []\n')
  const { ended, said } = startPoorly(file, ['--host', '127.0.0.1', '--port', port])
  equal(await ended, 1)
  taken.close()
  equal(said(), `throughway: port ${port} on 127.0.0.1 is in use; choose another with --port\n`)
})

test('a worker that keeps dying ends the whole, which says why; files that have become wrong do not', async () => {
  const file = join(folder, 'poor.yaml')
  await writeFile(file, 'model_list: []\n')
  const poor = startPoorly(file, ['--host', '127.0.0.1', '--port', '0'])
  const saying = (pattern: RegExp) => until(() => pattern.test(poor.said()), 10_000)
  await saying(/3 processes on this port/)
  const kill = async () => {
    const [, , youngest = 0] = (await workers(poor)).sort((a, b) => a - b)
    if (youngest > 0) process.kill(youngest, 'SIGKILL')
  }
  await writeFile(file, 'model_list: {}\nrouter_settings: { num_retrys: [ }\n')
  await kill()
  await saying(/worker \d cannot start and is tried again: .*poor\.yaml/)
  await writeFile(file, 'model_list: []\n')
  await saying(/serves again/)
  let over = false
  void poor.ended.then(() => {
    over = true
  })
  while (!over) {
    await kill()
    await sleep(50)
  }
  equal(await poor.ended, 1)
  match(
    poor.said(),
    /throughway: worker \d died 5 times in a row, each time within 10 seconds: the gateway ends\. The last time: worker \d was ended by SIGKILL/,
  )
})

test('SIGHUP: all read the files again; without the first process the others end', async () => {
  const file = join(folder, 'orphans.yaml')
  const models = (...names: string[]) =>
    `model_list: ${JSON.stringify(names.map((name) => ({ ...pricedRow(provider), model_name: name })))}\n`
  await writeFile(file, models('one'))
  const poor = startPoorly(file, ['--host', '127.0.0.1', '--port', '0'])
  await until(() => /3 processes on this port/.test(poor.said()), 10_000)
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(poor.said())?.[0] ?? ''
  const served = async () => {
    const response = await fetch(`${url}/v1/models`, { headers: afresh })
    return list(object(await response.json())['data']).length
  }
  await writeFile(file, models('one', 'two'))
  poor.signal('SIGHUP')
  await until(async () => {
    const counts = await Promise.all(Array.from({ length: 9 }, served))
    return counts.every((count) => count === 2)
  })
  const pids = await workers(poor)
  equal(pids.length, 3)
  poor.signal('SIGKILL')
  await until(() => !pids.some(isAlive))
})

test('an interrupt that the terminal sends to all of them ends them once', async () => {
  const file = join(folder, 'interrupted.yaml')
  await writeFile(file, 'model_list: []\n')
  const poor = startPoorly(file, ['--host', '127.0.0.1', '--port', '0'])
  await until(() => /3 processes on this port/.test(poor.said()), 10_000)
  for (const pid of [...(await workers(poor)), poor.pid]) process.kill(pid, 'SIGINT')
  equal(await poor.ended, 0)
  equal(/anew|serves again/.test(poor.said()), false)
})

const sendOn = (agent: Agent, key: string, body: unknown): Promise<number> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const url = `${gateway.url}/v1/chat/completions`
    request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0))
    })
      .once('error', reject)
      .end(JSON.stringify(body))
  })

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
