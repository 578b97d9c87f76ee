import { equal, ok } from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request as forward, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { isDeepStrictEqual, parseArgs, promisify } from 'node:util'
import { isObject, type JsonObject, list, number, object, text } from '../../src/json/json.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { type Scope, startProvider, stream, whole } from '../support/provider.ts'
import { type Cli, clis, type Task } from './clis.ts'
import { same, type Turn, type Upstream, type UpstreamName, upstreams, usage } from './upstreams.ts'

/**
 * The coding agents themselves, as released, do one task through the gateway: two reads at once, one long write in small
 * pieces, a last word. The providers are scripted and as strict as the real ones. Not part of `npm test`: it installs
 * the agents from the registry, and takes minutes.
 *
 *     node test/agents/run.ts [--only claude,codex] [--upstream gemini] [--installed FOLDER] [--show]
 *
 * `--installed` is a folder of an earlier run's agents (each in FOLDER/<name>); `--show` prints what was said.
 */
const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    upstream: { type: 'string' },
    installed: { type: 'string' },
    show: { type: 'boolean', default: false },
  },
})

const masterKey = 'sk-agents-0123456789-master'
const bin = join(import.meta.dirname, '..', '..', 'bin', 'throughway.ts')
const lastWord = 'All three files are as they should be.'

/** Everything that escaping, cutting and recoding can hurt, 14 KB of it. No line
 * ends in a space, and no escape stands there as text: Claude Code would change those. */
const content = Array.from(
  { length: 140 },
  (_, at) =>
    `${at}: "quoted" \\backslash\\n äöü 世界 🙂 \t tab <&> \${x} \`tick\` ${'x'.repeat(1 + (at % 37))}\n`,
).join('')

/** What passed between the agent and the gateway. */
type Passed = { method: string; path: string; body: string; status: number; answer: string }
/** What the gateway asked of the provider, and what it was told. */
type Told = { path: string; json: JsonObject; events: string; complaint: string | undefined }

const scope = (): Scope & { end(): Promise<void> } => {
  const ends: (() => unknown)[] = []
  return {
    after: (end) => void ends.push(end),
    async end() {
      for (const end of ends.reverse()) await end()
    },
  }
}

async function main(): Promise<void> {
  const folder = flags.installed ?? (await mkdtemp(join(tmpdir(), 'throughway-agents-')))
  const wanted = flags.only?.split(',')
  const rows: string[][] = []
  let failed = 0
  try {
    for (const cli of clis) {
      if (wanted && !wanted.includes(cli.name)) continue
      const path = await install(cli, folder)
      if (typeof path !== 'string') {
        rows.push([cli.name, '', `not installed: ${path.why}`])
        failed++
        continue
      }
      const { stdout } = await promisify(execFile)(join(path, cli.name), ['--version'], {
        env: { PATH: process.env['PATH'], HOME: folder },
      })
      const columns: [title: string, upstream: UpstreamName][] = [
        ['native', cli.native],
        ...cli.others.map((one): [string, UpstreamName] => ['translated', one]),
      ]
      for (const [title, upstream] of columns) {
        if (flags.upstream !== undefined && flags.upstream !== upstream) continue
        const started = performance.now()
        const problem = await play(cli, path, upstream).catch((cause: unknown) =>
          cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
        )
        const seconds = ((performance.now() - started) / 1000).toFixed(1)
        if (problem) failed++
        const release = stdout.trim().split('\n').at(-1) ?? ''
        const outcome = problem ? `FAILED ${problem}` : `ok, ${seconds} s`
        rows.push([`${cli.name} (${release})`, `${upstream} (${title})`, outcome])
        console.log(rows.at(-1)?.join(' | '))
      }
    }
  } finally {
    if (flags.installed === undefined) await rm(folder, { recursive: true, force: true })
  }
  console.log(
    `\n${rows.map((row) => row.map((cell) => cell.split('\n')[0]).join(' | ')).join('\n')}`,
  )
  process.exit(failed === 0 ? 0 : 1)
}

/** The folder of its program. */
async function install(
  { package: name, version, name: program }: Cli,
  folder: string,
): Promise<string | { why: string }> {
  const home = join(folder, program)
  const path = join(home, 'node_modules', '.bin')
  if (flags.installed !== undefined) return path
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'package.json'), '{"private":true}')
  let why = ''
  for (const release of [version, 'latest']) {
    try {
      const words = ['install', '--no-audit', '--no-fund', `${name}@${release}`]
      await promisify(execFile)('npm', words, { cwd: home })
      return path
    } catch (cause) {
      why = cause instanceof Error ? cause.message : String(cause)
    }
  }
  return { why }
}

/** One agent, one upstream. Undefined: all is well. */
async function play(
  cli: Cli,
  path: string,
  upstreamName: UpstreamName,
): Promise<string | undefined> {
  const native = upstreamName === cli.native
  const t = scope()
  const folder = await mkdtemp(join(tmpdir(), 'throughway-task-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  try {
    const task = await taskIn(folder)
    const upstream: Upstream = upstreams[upstreamName]
    const told: Told[] = []
    const provider = await startProvider(t, ({ path: at, json }) => {
      if (!upstream.asks(at)) return whole({ error: { message: `no ${at}` } }, { status: 404 })
      const { turn, nth, complaint } = turnFor(cli, upstream, json, task)
      const { whole: body, events } = upstream.answer(json, turn, nth)
      const streamed = upstream.isStreamed(at, json)
      const said = complaint === undefined && streamed ? events : []
      told.push({ path: at, json, events: said.join(''), complaint })
      if (complaint !== undefined)
        return whole(
          { error: { type: 'invalid_request_error', message: complaint } },
          { status: 400 },
        )
      return streamed ? stream(said) : whole(body)
    })
    const model = native ? cli.model : 'house-model'
    const gateway = await startGateway(t, {
      models: [{ model_name: model, litellm_params: upstream.row(provider.origin) }],
      general: { master_key: masterKey },
      key: masterKey,
    })
    const key = await virtualKey(gateway, model)
    const passed: Passed[] = []
    const url = await startRecorder(t, gateway.url, passed)
    const ran = await start(cli, path, task, { url, key, model })
    if (flags.show)
      console.log(JSON.stringify({ ran, told: told.map(brief), logged: gateway.logged() }, null, 1))
    const complaints = told.flatMap(({ complaint }) => complaint ?? [])
    ok(complaints.length === 0, `the provider refused: ${[...new Set(complaints)].join('; ')}`)
    equal(ran.code, 0, `exit code; ${ran.err.slice(-2000)} ${ran.out.slice(-2000)}`)
    equal(await readFile(task.out, 'utf8'), content, 'the file is not what was said')
    ok(ran.out.includes(lastWord), `the last word is missing: ${ran.out.slice(-2000)}`)
    same(complaintsIn(ran.out, ran.err), [], 'it complains')
    if (native) sameOnBothSides(passed, told)
    await allCounted(gateway, key, told.length)
    return undefined
  } finally {
    await t.end()
  }
}

const brief = ({ path, json, events, complaint }: Told) => ({
  path,
  complaint,
  json: flags.show ? json : undefined,
  events: events.length,
})

async function taskIn(folder: string): Promise<Task> {
  const work = join(folder, 'work')
  await mkdir(work)
  const [a, b, out] = [join(work, 'a.txt'), join(work, 'b.txt'), join(work, 'out.txt')]
  await writeFile(a, 'What a.txt says: äöü 世界\n')
  await writeFile(b, 'What b.txt says: "quoted" \\ 🙂\n')
  return { folder, a, b, out, content }
}

/** What the scripted model says now. Beside the task agents ask for titles and the like, without tools. */
function turnFor(
  cli: Cli,
  upstream: Upstream,
  json: JsonObject,
  task: Task,
): { turn: Turn; nth: number; complaint?: string } {
  const tools = upstream.tools(json)
  const { reads, write } = cli.turns(tools, task)
  const title: Turn = { thought: undefined, calls: [], text: 'A short title' }
  if (!reads.every(({ name }) => tools.includes(name))) return { turn: title, nth: 90 }
  const turns: Turn[] = [
    { thought: 'I should read both files, "a" and "b".', calls: reads, text: '' },
    { thought: 'Now I know: it is to be \\written\\. 世界', calls: [write], text: '' },
    { thought: undefined, calls: [], text: lastWord },
  ]
  const nth = upstream.turnsDone(json)
  const turn = turns[nth]
  if (!turn) return { turn: title, nth, complaint: `more turns than there are: ${nth}` }
  try {
    const unsigned = cli.unsigned?.some((name) => upstreams[name] === upstream) ?? false
    upstream.check(json, turns.slice(0, nth), unsigned)
    return { turn, nth }
  } catch (cause) {
    const complaint = cause instanceof Error ? cause.message : String(cause)
    return { turn, nth, complaint: complaint.slice(0, 1500) }
  }
}

async function virtualKey(gateway: Gateway, model: string): Promise<string> {
  const made = await gateway.post('/key/generate', { models: [model], key_alias: 'agent' })
  const key = text(object(await made.json())['key'])
  if (key === undefined) throw new Error(`no key was made: ${made.status}`)
  return key
}

/** Between the agent and the gateway: passes everything, and remembers it. */
async function startRecorder(t: Scope, gateway: string, passed: Passed[]): Promise<string> {
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request)
    const { method = 'GET', url = '/', headers } = request
    const one: Passed = { method, path: url, body: body.toString(), status: 0, answer: '' }
    passed.push(one)
    const asked = forward(`${gateway}${url}`, { method, headers }, (answer) => {
      one.status = answer.statusCode ?? 0
      response.writeHead(one.status, answer.headers)
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        one.answer = Buffer.concat(chunks).toString()
        response.write(chunk)
      })
      answer.on('end', () => response.end())
      answer.on('error', () => response.destroy())
    })
    asked.on('error', () => response.destroy())
    response.on('close', () => asked.destroy())
    asked.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const at = server.address()
  return `http://127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

type Ran = { code: number | null; out: string; err: string }

/** A home of its own, and no way out but loopback: whatever else it wants to reach is refused. */
function start(
  cli: Cli,
  path: string,
  { folder }: Task,
  { url, key, model }: { url: string; key: string; model: string },
): Promise<Ran> {
  const nowhere = 'http://127.0.0.1:1'
  const child = spawn(process.execPath, [bin, cli.name, '--model', model, ...cli.words], {
    cwd: join(folder, 'work'),
    env: {
      PATH: [path, process.env['PATH'] ?? ''].join(delimiter),
      HOME: folder,
      TERM: 'dumb',
      SHELL: '/bin/sh',
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      http_proxy: nowhere,
      https_proxy: nowhere,
      THROUGHWAY_URL: url,
      THROUGHWAY_KEY: key,
      ...cli.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk) => (said.out += chunk))
  child.stderr.on('data', (chunk) => (said.err += chunk))
  const timer = setTimeout(() => child.kill('SIGTERM'), patienceMs)
  return new Promise((resolve) =>
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...said })
    }),
  )
}
const patienceMs = 120_000

/** Lines that tell of an error, in the agents' own ways of telling. */
function complaintsIn(out: string, err: string): string[] {
  const told = out.split('\n').filter((line) => {
    if (!line.startsWith('{')) return false
    try {
      const { type, is_error, error } = object(JSON.parse(line))
      return type === 'error' || is_error === true || isObject(error)
    } catch {
      return false
    }
  })
  const lines = err.split('\n').filter((line) => /\berror\b|failed|exception/i.test(line))
  return [...told, ...lines].filter((line) => !known.test(line)).map((line) => line.slice(0, 500))
}

/** Of the agents' own surroundings here: nothing that concerns a gateway. */
const known =
  /PATH aliases|rmcp|plugins|featured|chatgpt\.com|analytics|statsig|keychain|Keytar|ripgrep/i

/** Native pairs: what was asked is what arrived, but for the model; what was told is what the agent heard. */
function sameOnBothSides(passed: readonly Passed[], told: readonly Told[]): void {
  const asked = passed.filter(({ method, status }) => method === 'POST' && status === 200)
  const open = [...asked]
  for (const { json, events } of told) {
    const at = open.findIndex(({ body }) => isDeepStrictEqual(bare(objectOf(body)), bare(json)))
    const [match] = at === -1 ? [] : open.splice(at, 1)
    if (!match) {
      const nearest = asked[told.findIndex((one) => one.json === json)]
      same(bare(json), nearest && bare(objectOf(nearest.body)), 'the body was changed')
      throw new Error('a request reached the provider that nobody sent')
    }
    if (events !== '') same(eventsIn(match.answer), eventsIn(events), 'events were changed')
  }
}

/** The gateway asks for usage where the client did not. */
function bare({ model: _, stream_options: __, ...body }: JsonObject): JsonObject {
  return body
}

function objectOf(said: string): JsonObject {
  try {
    return object(JSON.parse(said))
  } catch {
    return {}
  }
}

/** Without the model's name, and ids of answers, which are the gateway's own. */
function eventsIn(said: string): unknown[] {
  return said
    .split(/\r?\n\r?\n/)
    .filter((block) => block.trim() !== '')
    .map((block) => {
      const lines = block.split(/\r?\n/)
      const event = lines.find((line) => line.startsWith('event:'))
      const data =
        lines
          .find((line) => line.startsWith('data:'))
          ?.slice(5)
          .trim() ?? ''
      return [event, data.startsWith('{') ? unnamed(JSON.parse(data)) : data]
    })
}

function unnamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unnamed)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'model' && key !== 'modelVersion')
      .map(([key, one]) => [
        key,
        key === 'id' && /^(resp_|msg_\d|chatcmpl-)/.test(String(one)) ? 'id' : unnamed(one),
      ]),
  )
}

/** Every answer has its row, with what the provider counted. */
async function allCounted(gateway: Gateway, key: string, answers: number): Promise<void> {
  const path = `/spend/logs?api_key=${encodeURIComponent(key)}&summarize=false`
  const rows = list(await (await gateway.get(path)).json()).map(object)
  const sum = (field: string): number =>
    rows.reduce((all, row) => all + (number(row[field]) ?? 0), 0)
  equal(rows.length, answers, 'a row in /spend/logs for each answer')
  equal(sum('prompt_tokens'), answers * usage.input, 'tokens that were read')
  equal(sum('completion_tokens'), answers * usage.output, 'tokens that were written')
}

await main()
