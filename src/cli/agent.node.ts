import { spawn } from 'node:child_process'
import { constants as files } from 'node:fs'
import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { constants, homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { readEnvironment } from '../config/environment.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import { isLoopbackHost } from '../policy/identify.ts'
import {
  type Agent,
  type AgentName,
  agents,
  chooseModel,
  type Home,
  type Launch,
  type Way,
} from './agents.ts'
import type { Terminal } from './terminal.node.ts'
import { addressOf, ask, baseOf, type Door, visible } from './visit.node.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * `throughway claude …`: the agent, led to the running gateway by nothing but its environment and its command line.
 * Resolves with its exit code, or 128 and the number of the signal that ended it. Throws where it cannot be started.
 */
export async function runAgent(
  name: AgentName,
  argv: readonly string[],
  { err }: Pick<Terminal, 'err'>,
  env: Environment = process.env,
): Promise<number> {
  const agent: Agent = agents[name]
  const said = readWords(name, argv)
  const program = await findProgram(agent, env)
  const door = doorOf(said, env)
  const way = await wayThrough(agent, door, said.model)
  if (said.model === undefined)
    err(
      `throughway: ${agent.title} with ${visible(way.model)} through ${way.base} (one of ${way.models.length}; --model takes another)\n`,
    )
  const launch = agent.launch(way)
  const home = launch.home && (await openHome(launch.home, env))
  try {
    return await run(
      program,
      [...launch.args, ...said.rest],
      environmentFor(launch, env, way.base, home),
    )
  } finally {
    if (home !== undefined) await rm(home, { recursive: true, force: true })
  }
}

type Words = {
  url: string | undefined
  key: string | undefined
  model: string | undefined
  rest: string[]
}

/** Ours are taken out wherever they stand; behind `--` all is the agent's. */
export function readWords(name: string, argv: readonly string[]): Words {
  const words: Words = { url: undefined, key: undefined, model: undefined, rest: [] }
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? ''
    if (word === '--') {
      words.rest.push(...argv.slice(at + 1))
      break
    }
    const [, flag = '', value] = /^(--url|--key|--model|-m)(?:=(.*))?$/s.exec(word) ?? []
    const field = ours[flag]
    if (field === undefined) {
      words.rest.push(word)
      continue
    }
    const given = value ?? argv[++at]
    if (given === undefined || given === '')
      throw new GatewayError(
        'bad_request',
        `${flag} needs a value: throughway ${name} ${flag} ${examples[field]}`,
      )
    words[field] = given
  }
  return words
}
const ours: Readonly<Record<string, 'url' | 'key' | 'model' | undefined>> = {
  '--url': 'url',
  '--key': 'key',
  '--model': 'model',
  '-m': 'model',
}
const examples = { url: 'http://127.0.0.1:4000', key: 'sk-…', model: 'gpt-5.5' }

/** Flags, then the environment, then where a gateway on this machine listens when nobody says otherwise. */
export function doorOf({ url, key }: Pick<Words, 'url' | 'key'>, env: Environment): Door {
  const settings = readEnvironment(env)
  const named = url ?? (env['THROUGHWAY_URL'] || env['LITELLM_PROXY_URL'] || undefined)
  const from = url === undefined ? 'THROUGHWAY_URL' : '--url'
  return {
    base:
      named === undefined
        ? addressOf(settings, settings.tlsCertificatePath !== undefined)
        : baseOf(named, from),
    key:
      key ??
      (env['THROUGHWAY_KEY'] || env['LITELLM_PROXY_API_KEY'] || undefined) ??
      settings.masterKey,
    hints: {
      nobody:
        'start a gateway with `throughway --config FILE`, or say where one runs with --url or THROUGHWAY_URL',
      refused:
        'Give a key of this gateway with --key or THROUGHWAY_KEY (POST /key/generate makes one)',
    },
  }
}

/** What the gateway serves, asked before the agent starts: so what is wrong is said here, in plain words. */
async function wayThrough(
  { prefers, title }: Agent,
  door: Door,
  asked: string | undefined,
): Promise<Way> {
  const found = list((await ask(door, '/v1/models'))['data']).map(object)
  const models = found.flatMap(({ id, mode, max_input_tokens, max_output_tokens }) =>
    typeof id === 'string' && (mode === undefined || conversing.has(text(mode) ?? ''))
      ? [{ id, context: number(max_input_tokens), output: number(max_output_tokens) }]
      : [],
  )
  const model = asked ?? chooseModel(models, prefers)?.id
  if (model === undefined)
    throw new GatewayError(
      'not_found',
      `${door.base} lists no chat model for ${title}: name one with --model`,
    )
  // Where no key is needed any will do, and the agents want one.
  return { base: door.base, key: door.key ?? 'throughway', model, models }
}
const conversing: ReadonlySet<string> = new Set(['chat', 'responses'])

async function findProgram({ program, title, install }: Agent, env: Environment): Promise<string> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue
    const path = join(folder, program)
    const runs = await access(path, files.X_OK).then(
      async () => (await stat(path)).isFile(),
      () => false,
    )
    if (runs) return path
  }
  throw new GatewayError(
    'not_found',
    `${title} is not installed: there is no program "${program}" in PATH. Install it with ${install}`,
  )
}

/** Loopback is not reached through a proxy. */
function environmentFor(
  { env: own, without, home }: Launch,
  env: Environment,
  base: string,
  path: string | undefined,
): NodeJS.ProcessEnv {
  const out: NodeJS.ProcessEnv = { ...env }
  for (const name of without) delete out[name]
  Object.assign(out, own)
  if (home && path !== undefined) out[home.variable] = path
  const { hostname } = new URL(base)
  if (isLoopbackHost(hostname))
    for (const name of ['NO_PROXY', 'no_proxy'])
      out[name] = [out[name], hostname].filter((one) => one !== undefined && one !== '').join(',')
  return out
}

/**
 * A home for one run, where the user's does not say what it has to: the settings are a copy with that in it, everything
 * else beside them is a link to the user's own. Undefined: the user's will do.
 */
async function openHome(
  { variable, folder, file, content }: Home,
  env: Environment,
): Promise<string | undefined> {
  const mine = join(env[variable] || env['HOME'] || homedir(), folder)
  const before = await settingsIn(join(mine, file))
  const settings = merged(before, content)
  if (isDeepStrictEqual(settings, before)) return undefined
  const home = await mkdtemp(join(tmpdir(), 'throughway-agent-'))
  await mkdir(join(home, folder))
  for (const name of await readdir(mine).catch(() => []))
    if (name !== file) await symlink(join(mine, name), join(home, folder, name))
  await writeFile(join(home, folder, file), JSON.stringify(settings, null, 2), { mode: 0o600 })
  return home
}

/** Agents allow comments in their JSON. */
async function settingsIn(path: string): Promise<JsonObject> {
  const said = await readFile(path, 'utf8').catch(() => '{}')
  try {
    return object(JSON.parse(said.replace(comments, (found) => (found[0] === '"' ? found : ''))))
  } catch (cause) {
    throw new GatewayError('bad_request', `${path} is no JSON: its settings cannot be kept`, {
      cause,
    })
  }
}
const comments = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g

function merged(under: JsonObject, over: JsonObject): JsonObject {
  const out: JsonObject = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const there = out[key]
    out[key] = isObject(there) && isObject(value) ? merged(there, value) : value
  }
  return out
}

/** Its terminal is ours. Signals for us are for it; those of the keyboard reach it by themselves. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: 'inherit' })
    const pass = (signal: NodeJS.Signals): void => {
      if (!byKeyboard.has(signal) || !process.stdin.isTTY) child.kill(signal)
    }
    const over = (): void => {
      for (const signal of passed) process.off(signal, pass)
    }
    for (const signal of passed) process.on(signal, pass)
    child.once('error', (cause) => {
      over()
      const hint = process.platform === 'win32' ? '; on Windows start this in WSL' : ''
      reject(
        new GatewayError('internal', `${program} cannot be started: ${cause.message}${hint}`, {
          cause,
        }),
      )
    })
    child.once('close', (code, signal) => {
      over()
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}
const passed = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
const byKeyboard: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT'])
