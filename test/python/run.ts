import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type JsonObject, object, text } from '../../src/json/json.ts'
import { type Turn, type Upstream, upstreams } from '../agents/upstreams.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import {
  type Asked,
  refusal,
  type Scope,
  startProvider,
  stream,
  type Told,
  whole,
} from '../support/provider.ts'

/**
 * Python's clients as released, through a real port, over a scripted provider of each API: whole and streamed answers,
 * tools, structured output, errors as their classes, discovery. Not part of `npm test`: it installs them from PyPI.
 *
 *     node test/python/run.ts [--only openai,litellm] [--venv FOLDER] [--python PROGRAM] [--show]
 *
 * Each client has an environment of its own in FOLDER (node_modules/.cache/python), which is kept; what a script says
 * beside its checks is printed with `--show`.
 */
const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    venv: { type: 'string' },
    python: { type: 'string' },
    show: { type: 'boolean', default: false },
  },
})

type Client = { packages: readonly string[]; python: readonly string[] }
const python = ['python3', 'python3.13', 'python3.12', 'python3.11']
const clients: Record<string, Client> = {
  openai: { packages: ['openai==3.54.0'], python },
  anthropic: { packages: ['anthropic==2.12.0'], python },
  google: { packages: ['google-genai==3.4.0'], python },
  // Tools it does not call without `mcp`, which it does not bring.
  litellm: { packages: ['litellm==1.106.2', 'mcp==2.3.0'], python },
  // Wants the newest Python but one.
  fast_agent: { packages: ['fast-agent-mcp==0.10.44'], python: ['python3.13', 'python3'] },
}

const masterKey = 'sk-python-0123456789-master'
const here = import.meta.dirname
const folder = flags.venv ?? join(here, '..', '..', 'node_modules', '.cache', 'python')

async function main(): Promise<void> {
  const wanted = flags.only?.split(',')
  const unknown = wanted?.filter((name) => !Object.hasOwn(clients, name)) ?? []
  if (unknown.length > 0)
    throw new Error(`--only ${unknown}: there are ${Object.keys(clients).join(', ')}`)
  let failed = 0
  const rows: string[] = []
  for (const [name, client] of Object.entries(clients)) {
    if (wanted && !wanted.includes(name)) continue
    const program = await install(name, client).catch((cause: unknown) => cause)
    if (typeof program !== 'string') {
      failed++
      rows.push(`${name} | not installed: ${String(program).slice(0, 500)}`)
      continue
    }
    const told = await play(name, program)
    const bad = told.filter(({ why }) => why !== undefined)
    for (const { check, why } of bad) console.log(`✖ ${name}: ${check}\n${why}\n`)
    if (bad.length > 0 || told.length === 0) failed++
    rows.push(`${name} (${client.packages}) | ${told.length - bad.length} of ${told.length} checks`)
  }
  console.log(rows.join('\n'))
  process.exit(failed === 0 ? 0 : 1)
}

/** The Python of an environment that has the client. */
async function install(name: string, { packages, python: names }: Client): Promise<string> {
  const home = join(folder, name)
  const program = join(home, 'bin', 'python')
  const run = promisify(execFile)
  await mkdir(folder, { recursive: true })
  const add = () => run(program, ['-m', 'pip', 'install', '--quiet', ...packages])
  if (await isThere(program)) {
    // Quick where it is there already.
    await add()
    return program
  }
  let why: unknown
  for (const one of flags.python === undefined ? names : [flags.python])
    try {
      await run(one, ['-m', 'venv', home])
      await add()
      return program
    } catch (cause) {
      why = cause
      // Of a Python too old for the client, the environment would be taken again next time.
      await rm(home, { recursive: true, force: true })
    }
  throw why
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

type Outcome = { check: string; why: string | undefined }

async function play(name: string, program: string): Promise<Outcome[]> {
  const ends: (() => unknown)[] = []
  const t: Scope = { after: (end) => void ends.push(end) }
  try {
    const provider = await startProvider(t, playing)
    const gateway = await startGateway(t, {
      models: Object.entries(upstreams).map(([upstream, { row }]) => ({
        model_name: `house-${upstream}`,
        litellm_params: row(`${provider.origin}/${upstream}`),
        model_info: { max_input_tokens: 4096, supports_function_calling: true },
      })),
      general: { master_key: masterKey },
      key: masterKey,
    })
    const home = await mkdtemp(join(tmpdir(), 'throughway-python-'))
    t.after(() => rm(home, { recursive: true, force: true }))
    const ran = await said(program, join(here, `${name}_client.py`), home, {
      GATEWAY_URL: gateway.url,
      GATEWAY_KEY: await virtualKey(gateway),
    })
    if (flags.show) console.log(ran)
    const told = outcomesIn(ran)
    if (told.length === 0) console.log(`✖ ${name}: it told nothing\n${ran.slice(-3000)}`)
    return told
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function virtualKey(gateway: Gateway): Promise<string> {
  const made = await gateway.post('/key/generate', { key_alias: 'python' })
  const key = text(object(await made.json())['key'])
  if (key === undefined) throw new Error(`no key was made: ${made.status}`)
  return key
}

/** Everything a script said. Its environment is only what is given: no credential of the machine's, no proxy. */
const said = (
  program: string,
  script: string,
  home: string,
  env: Record<string, string>,
): Promise<string> =>
  new Promise((resolve) => {
    const options = {
      cwd: home,
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        PYTHONDONTWRITEBYTECODE: '1',
        PYTHONUTF8: '1',
        LITELLM_LOCAL_MODEL_COST_MAP: 'True',
        ...env,
      },
      timeout: 240_000,
      maxBuffer: 64 * 1024 * 1024,
    }
    execFile(program, [script], options, (_failed, out, err) => resolve(`${out}\n${err}`))
  })

function outcomesIn(ran: string): Outcome[] {
  return ran.split('\n').flatMap((line): Outcome[] => {
    if (!line.startsWith('{"check"')) return []
    const { check, why } = object(JSON.parse(line))
    return [{ check: text(check) ?? '', why: text(why) }]
  })
}

const thought = 'Both cities, "Oslo" and "Tromsø".'
const calls = ['Oslo', 'Tromsø'].map((city) => ({ name: 'weather', input: { city } }))
const asks: Turn[] = [
  { thought, calls, text: '' },
  { thought: undefined, calls: [], text: 'Rain in both.' },
]
const says = (words: string): Turn[] => [{ thought: undefined, calls: [], text: words }]
const plays: Record<string, Turn[]> = {
  hello: says('Hello, 世界!'),
  tools: asks,
  object: says('{"city":"Tromsø","people":77000}'),
}
/** In each provider's own words. */
const tooLong: Record<string, JsonObject> = {
  anthropic: {
    type: 'invalid_request_error',
    message: 'prompt is too long: 215000 tokens > 200000 maximum',
  },
  gemini: {
    code: 400,
    message: 'The input token count (9000) exceeds the maximum number of tokens allowed (8192).',
    status: 'INVALID_ARGUMENT',
  },
  chat: {
    message: "This model's maximum context length is 8192 tokens. Please reduce the length.",
    type: 'BadRequestError',
    code: 400,
  },
  responses: {
    message: 'Your input exceeds the context window of this model.',
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
  },
}
const refusals: Record<string, { status: number; error: JsonObject }> = {
  bad: { status: 400, error: { message: 'temperature: out of range', param: 'temperature' } },
  key: { status: 401, error: { message: 'Incorrect API key provided', code: 'invalid_api_key' } },
  forbidden: { status: 403, error: { message: 'this project may not' } },
  missing: { status: 404, error: { message: 'no such model here', code: 'model_not_found' } },
  fast: { status: 429, error: { message: 'slow down', code: 'rate_limit_exceeded' } },
  broken: { status: 500, error: { message: 'it broke' } },
  busy: { status: 503, error: { message: 'overloaded' } },
}

/** The prompt says what to do: `[play:hello]`. The path begins with the API that is spoken. */
function playing(asked: Asked): Told {
  const [, name = '', path = ''] = /^\/(\w+)(\/.*)$/.exec(asked.path) ?? []
  const upstream: Upstream | undefined = (upstreams as Record<string, Upstream>)[name]
  if (!upstream?.asks(path)) return refusal(404, { message: `no ${asked.path}` })
  const play = /\[play:(\w+)\]/.exec(asked.text)?.[1] ?? 'hello'
  const refused = play === 'context' ? { status: 400, error: tooLong[name] ?? {} } : refusals[play]
  if (refused) return refusal(refused.status, refused.error, { 'retry-after': '0.01' })
  const turns = plays[play.replace('later', 'hello')] ?? says(`nobody plays ${play}`)
  const { json } = asked
  const nth = upstream.turnsDone(json)
  const turn = turns[nth]
  if (!turn) return refusal(400, { message: `more turns than there are: ${nth}` })
  try {
    // A client that has no place for signatures says so in its prompt.
    upstream.check(json, turns.slice(0, nth), asked.text.includes('(unsigned)'))
  } catch (cause) {
    return refusal(400, { message: cause instanceof Error ? cause.message : String(cause) })
  }
  const { whole: body, events } = upstream.answer(json, turn, nth)
  if (!upstream.isStreamed(path, json)) return whole(body)
  return play === 'later'
    ? stream([...events.slice(0, 2), 20, 'data: {"error":{"message":"it broke","code":500}}\n\n'])
    : stream(events)
}

await main()
