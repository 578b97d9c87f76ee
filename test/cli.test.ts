import { equal, match, ok, rejects } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { litellmVersion, version } from '../src/version.ts'

const bin = join(import.meta.dirname, '..', 'bin', 'throughway.ts')

/** Its own home, working directory and cache, and an environment in which no provider has a key. */
let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'throughway-bin-'))
  await writeFile(join(folder, '.env'), 'GROQ_API_KEY=gsk-from-dot-env\n')
  await writeFile(
    join(folder, 'bad.yaml'),
    'model_list:\n  - model_name: a\n    litellm_params: { modle: openai/x }\nrouter_settings: { num_retrys: 1 }\n',
  )
})
after(() => rm(folder, { recursive: true, force: true }))

type Started = {
  /** All that came so far, from both streams. */
  said(): string
  /** Resolves once something matches; fails if the process ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  signal(name: NodeJS.Signals): void
  ended: Promise<{ code: number | null; out: string; err: string }>
}

function start(argv: string[], env: Record<string, string> = {}, node: string[] = []): Started {
  const child = spawn(process.execPath, [...node, bin, ...argv], {
    cwd: folder,
    env: { HOME: folder, XDG_CACHE_HOME: join(folder, 'cache'), PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const told = { out: '', err: '' }
  let wake = () => {}
  child.stdout.on('data', (chunk) => {
    told.out += chunk
    wake()
  })
  child.stderr.on('data', (chunk) => {
    told.err += chunk
    wake()
  })
  let over = false
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
    child.on('close', (code) => {
      over = true
      wake()
      resolve({ code, ...told })
    }),
  )
  const said = () => told.out + told.err
  return {
    said,
    async until(pattern) {
      for (;;) {
        const found = pattern.exec(said())
        if (found) return found
        if (over) throw new Error(`it ended without ${pattern}:\n${said()}`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    signal: (name) => void child.kill(name),
    ended,
  }
}

const run = (argv: string[], env?: Record<string, string>, node?: string[]) =>
  start(argv, env, node).ended

/** No `.env`: it would give a provider's key. */
const keyless = { LITELLM_MODE: 'PRODUCTION' }

const post = (url: string, model: string, more: object = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'tell me more' }], ...more }),
  })

describe('the bin', { concurrency: 2 }, () => {
  test('--version is one line', async () => {
    const { code, out, err } = await run(['--version'])
    equal(out, `throughway ${version} (serves the API of LiteLLM ${litellmVersion})\n`)
    equal(err, '')
    equal(code, 0)
  })

  test('an old Node is told which one is needed', async () => {
    const old =
      "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'22.18.9'})"
    const { code, out, err } = await run(['--version'], {}, ['--import', old])
    equal(out, '')
    match(err, /^throughway: needs Node 22\.19 or newer, and this is 22\.18\.9.*\n$/)
    equal(code, 1)
  })

  test('an unknown flag: what was meant, exit 2', async () => {
    const { code, out, err } = await run(['--confg', 'x'])
    equal(out, '')
    match(err, /^throughway: there is no flag --confg; did you mean --config\?\n/)
    equal(code, 2)
  })

  test('a bad config: its place, exit 1', async () => {
    const { code, out, err } = await run(['--config', 'bad.yaml', '--port', '0'])
    equal(out, '')
    match(
      err,
      /^✖ bad\.yaml:3:23 model_list\[0\]\.litellm_params\.model: missing; found "modle".*\n$/,
    )
    equal(code, 1)
  })

  test('check --json reads .env and shows no key', async () => {
    const { code, out } = await run(['check', '--json'])
    const verdict = JSON.parse(out)
    equal(verdict.ok, true)
    equal(verdict.source.type, 'environment')
    equal(verdict.credentials[0].state, 'GROQ_API_KEY set')
    ok(!out.includes('gsk-from'))
    equal(code, 0)
  })

  test('a busy port: one line, exit 1', async (t) => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    t.after(() => holder.close())
    const at = holder.address()
    const port = typeof at === 'object' && at !== null ? at.port : 0
    const { code, out, err } = await run(['--port', String(port), '--data-dir', 'busy'], keyless)
    equal(out, '')
    match(err, new RegExp(`^throughway: port ${port} on 127\\.0\\.0\\.1 is in use.*\\n$`))
    equal(code, 1)
  })

  test('with nothing it serves the mock, what it prints works, and SIGTERM lets a stream finish', async (t) => {
    const server = start(['--port', '0', '--data-dir', 'mock'], keyless)
    t.after(() => server.signal('SIGKILL'))
    const [, url = '', body = ''] = await server.until(
      /curl (http:\/\/127\.0\.0\.1:[1-9]\d*)\/v1\/chat\/completions .*\n *-d '(.+)'\n[\s\S]*Admin key +sk-\w/,
    )
    const whole = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    equal((await whole.json()).choices[0].message.content, 'Hello!')

    const stream = await post(url, 'mock/latency-200', { stream: true })
    server.signal('SIGTERM')
    match(await stream.text(), /data: \[DONE\]\n\n$/)
    const { code, err } = await server.ended
    equal(code, 0)
    match(err, /^\S+ INFO {2}SIGTERM.*\n$/, 'nothing noisy')
  })

  test("a start loads neither what strips types nor Node's own fetch, 14 MB and 13 MB", async (t) => {
    const tell = 'process.on("exit",()=>console.error(process.moduleLoadList.join("\\n")))'
    const server = start(['--port', '0', '--data-dir', 'loaded'], keyless, [
      '--import',
      `data:text/javascript,${tell}`,
    ])
    t.after(() => server.signal('SIGKILL'))
    const [, url = ''] = await server.until(/curl (http:\/\/127\.0\.0\.1:[1-9]\d*)\/v1/)
    equal((await post(url, 'mock/echo')).status, 200)
    server.signal('SIGTERM')
    const { err } = await server.ended
    match(err, /^NativeModule http$/m)
    equal(err.match(/^NativeModule internal\/deps\/(amaro|undici)\/.*$/m)?.[0], undefined)
  })

  test('SIGTERM to the shell that npm starts it through ends it too', async (t) => {
    // What npm does: a shell with the command, and SIGTERM for that shell.
    const command = `"${process.execPath}" "${bin}" --port 0 --data-dir npm`
    const shell = spawn('sh', ['-c', command], {
      cwd: folder,
      env: { ...keyless, HOME: folder, PATH: process.env['PATH'], npm_lifecycle_event: 'start' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    t.after(() => shell.stdout.destroy())
    let said = ''
    const url = await new Promise<string>((resolve) =>
      shell.stdout.on('data', (chunk) => {
        const found = /curl (http:\S+?)\/v1/.exec((said += chunk))
        if (found?.[1]) resolve(found[1])
      }),
    )
    equal((await post(url, 'mock/echo')).status, 200)
    // Its end of the pipe is closed when the server has ended, not the shell.
    const ended = once(shell.stdout, 'end')
    shell.kill('SIGTERM')
    await ended
    await rejects(post(url, 'mock/echo'))
  })

  test('--model answers every name; JSON logs hold no admin key; a second signal does not wait', async (t) => {
    const upstream = start(['--port', '0', '--data-dir', 'upstream'], keyless)
    t.after(() => upstream.signal('SIGKILL'))
    const [, base = ''] = await upstream.until(/curl (http:\S+?)\/v1\/chat/)
    // The upstream echoes by one name only, so that is what it must be asked for.
    const server = start(
      [
        '--model',
        'openai/mock/echo',
        '--alias',
        'mine',
        '--api_base',
        `${base}/v1`,
        '--port',
        '0',
        '--data-dir',
        'model',
      ],
      { ...keyless, JSON_LOGS: 'true' },
    )
    t.after(() => server.signal('SIGKILL'))
    const [, url = ''] = await server.until(/"message":"listening","url":"([^"]+)".*\n/)
    ok(!/sk-\w/.test(server.said()))
    for (const name of ['mine', 'default', 'gpt-4o']) {
      const answer = await (await post(url, name)).json()
      equal(answer.choices?.[0]?.message.content, 'tell me more', JSON.stringify(answer))
      equal(answer.model, name)
    }
    // Half a minute of a stream, echoed by three characters every 10 ms.
    const messages = [{ role: 'user', content: 'x'.repeat(10_000) }]
    const slow = (await post(base, 'mock/latency-100', { stream: true, messages })).text()
    const cut = slow.then(
      (said) => !said.includes('[DONE]'),
      () => true,
    )
    upstream.signal('SIGTERM')
    await upstream.until(/SIGTERM/)
    upstream.signal('SIGTERM')
    equal((await upstream.ended).code, 1)
    ok(await cut)
    server.signal('SIGINT')
    equal((await server.ended).code, 0)
  })
})
