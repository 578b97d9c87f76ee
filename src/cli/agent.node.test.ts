import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { doorOf, readWords, runAgent } from './agent.node.ts'
import { type AgentName, agents, chooseModel } from './agents.ts'

/** Notes what it was started with, and ends with 7; or waits for a signal. */
const fake = `#!${process.execPath}
const { readFileSync, writeFileSync } = require('node:fs')
const { argv, env } = process
const at = env.GEMINI_CLI_HOME && env.GEMINI_CLI_HOME + '/.gemini/'
const read = (name) => at && readFileSync(at + name, 'utf8')
const settings = at && { ...JSON.parse(read('settings.json')), memory: read('GEMINI.md') }
writeFileSync(env.TOLD, JSON.stringify({ argv: argv.slice(2), env, settings }))
if (argv.includes('wait')) {
  process.on('SIGTERM', () => process.exit(41))
  setInterval(() => {}, 1000)
} else process.exitCode = 7
`

let folder = ''
let base = ''
let asked: (string | undefined)[] = []
let served: JsonObject[] = []
const gateway = createServer((request, response) => {
  asked.push(request.headers.authorization)
  const refused = request.headers.authorization === 'Bearer sk-wrong'
  response.writeHead(refused ? 401 : 200, { 'content-type': 'application/json' })
  response.end(
    JSON.stringify(
      refused ? { error: { message: 'no such key' } } : { data: served, object: 'list' },
    ),
  )
})

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'throughway-agents-'))
  await mkdir(join(folder, 'bin'))
  for (const { program } of Object.values(agents)) {
    await writeFile(join(folder, 'bin', program), fake)
    await chmod(join(folder, 'bin', program), 0o755)
  }
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  const at = gateway.address()
  base = `http://127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`
})
after(async () => {
  gateway.close()
  await rm(folder, { recursive: true })
})

type Started = { code: number; said: string; argv: string[]; env: JsonObject; settings: unknown }

async function start(
  name: AgentName,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Started> {
  asked = []
  let said = ''
  const told = join(folder, `${name}.json`)
  const code = await runAgent(
    name,
    argv,
    { err: (line) => void (said += line) },
    { PATH: join(folder, 'bin'), THROUGHWAY_URL: base, TOLD: told, ...env },
  )
  const noted = object(JSON.parse(await readFile(told, 'utf8')))
  const words = list(noted['argv']).map(String)
  return { code, said, argv: words, env: object(noted['env']), settings: noted['settings'] }
}

const pick = (env: JsonObject, names: readonly string[]) => names.map((name) => env[name])

test('Claude Code: its environment, its code, the key as Bearer, nothing of the user that leads elsewhere', async () => {
  served = ['gpt-5.5', 'claude-sonnet-4-5', 'claude-haiku-4-5'].map((id) => ({ id, mode: 'chat' }))
  const { code, said, argv, env } = await start('claude', ['-p', 'hi', '--model=gpt-5.5'], {
    THROUGHWAY_KEY: 'sk-virtual',
    ANTHROPIC_API_KEY: 'sk-ant-mine',
    CLAUDE_CODE_USE_BEDROCK: '1',
    KEPT: 'yes',
  })
  equal(code, 7)
  equal(said, '')
  deepEqual(argv, ['-p', 'hi'])
  deepEqual(asked, ['Bearer sk-virtual'])
  deepEqual(pick(env, ['ANTHROPIC_BASE_URL', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_MODEL', 'KEPT']), [
    base,
    'sk-virtual',
    'gpt-5.5',
    'yes',
  ])
  deepEqual(
    ['HAIKU', 'SONNET', 'OPUS'].map((kind) => env[`ANTHROPIC_DEFAULT_${kind}_MODEL`]),
    ['claude-haiku-4-5', 'claude-sonnet-4-5', 'gpt-5.5'],
  )
  deepEqual(pick(env, ['ANTHROPIC_API_KEY', 'CLAUDE_CODE_USE_BEDROCK']), [undefined, undefined])
})

test('Codex: overrides on its command line, the key in a variable', async () => {
  served = [{ id: 'it "is"', mode: 'chat', max_input_tokens: 100_000 }]
  const { argv, env, said } = await start('codex', ['--key', 'sk-1', 'exec', '--', '--model', 'x'])
  deepEqual(argv, [
    ...['-c', 'model="it \\"is\\""', '-c', 'model_provider="throughway"'],
    ...['-c', 'model_providers.throughway.name="Throughway"'],
    ...['-c', `model_providers.throughway.base_url="${base}/v1"`],
    ...['-c', 'model_providers.throughway.env_key="THROUGHWAY_KEY"'],
    ...['-c', 'model_providers.throughway.wire_api="responses"'],
    ...['-c', 'model_context_window=100000', 'exec', '--model', 'x'],
  ])
  equal(env['THROUGHWAY_KEY'], 'sk-1')
  match(
    said,
    /^throughway: Codex with it "is" through http:.* \(one of 1; --model takes another\)\n$/,
  )
})

test("Gemini CLI: the login is set in a home for this run, where all else is the user's", async () => {
  served = [{ id: 'gemini-3-pro-preview' }]
  const mine = join(folder, '.gemini')
  await mkdir(mine)
  const said = '{"security": {"auth": {"selectedType": "oauth-personal"}, /* x */ "x": "//"}} // y'
  await writeFile(join(mine, 'settings.json'), said)
  await writeFile(join(mine, 'GEMINI.md'), 'Remember.')
  const { env, settings } = await start('gemini', [], {
    HOME: folder,
    GOOGLE_GENAI_USE_VERTEXAI: 'true',
    HTTP_PROXY: 'http://proxy:3128',
    NO_PROXY: 'a.b',
  })
  const security = { auth: { selectedType: 'gemini-api-key' }, x: '//' }
  deepEqual(settings, { security, memory: 'Remember.' })
  deepEqual(pick(env, ['GOOGLE_GEMINI_BASE_URL', 'GEMINI_API_KEY', 'GEMINI_MODEL']), [
    base,
    'throughway',
    'gemini-3-pro-preview',
  ])
  deepEqual(pick(env, ['GOOGLE_GENAI_USE_VERTEXAI', 'NO_PROXY']), [undefined, 'a.b,127.0.0.1'])
  const home = text(env['GEMINI_CLI_HOME']) ?? ''
  ok(home !== '' && !existsSync(home))
  equal(await readFile(join(mine, 'settings.json'), 'utf8'), said)
  equal(await readFile(join(mine, 'GEMINI.md'), 'utf8'), 'Remember.')
  await writeFile(join(mine, 'settings.json'), JSON.stringify({ security }))
  equal((await start('gemini', [], { HOME: folder })).env['GEMINI_CLI_HOME'], undefined)
  await writeFile(join(mine, 'settings.json'), '{')
  await rejects(start('gemini', [], { HOME: folder }), { message: /settings\.json is no JSON/ })
})

test('opencode: a provider with every chat model of the gateway', async () => {
  served = [
    { id: 'a', mode: 'chat', max_input_tokens: 10, max_output_tokens: 5 },
    { id: 'pictures', mode: 'image_generation' },
  ]
  const { env } = await start('opencode', ['run', '-m', 'hidden', 'hello'])
  const config = object(JSON.parse(String(env['OPENCODE_CONFIG_CONTENT'])))
  equal(config['model'], 'throughway/hidden')
  deepEqual(object(object(config['provider'])['throughway']), {
    name: 'Throughway',
    npm: '@ai-sdk/openai-compatible',
    options: { baseURL: `${base}/v1`, apiKey: '{env:THROUGHWAY_KEY}' },
    models: { a: { name: 'a', limit: { context: 10, output: 5 } }, hidden: { name: 'hidden' } },
  })
})

const failures: [name: string, argv: string[], env: Record<string, string>, message: RegExp][] = [
  ['not installed', [], { PATH: '/nowhere' }, /no program "claude" in PATH.*npm install -g @anth/],
  ['nobody there', ['--url', 'http://127.0.0.1:1'], {}, /nothing answers at .*throughway --config/],
  ['no address', ['--url', 'localhost:4000'], {}, /no address: --url http:\/\/127/],
  ['a wrong key', ['--key', 'sk-wrong'], {}, /401: no such key\nGive a key .*THROUGHWAY_KEY/],
  ['a flag without its value', ['--model'], {}, /--model needs a value: throughway claude --model/],
]
for (const [name, argv, env, message] of failures)
  test(`not started: ${name}`, () => rejects(start('claude', argv, env), { message }))

test('not started: a gateway without chat models', async () => {
  served = [{ id: 'e', mode: 'embedding' }]
  await rejects(start('claude', []), { message: /lists no chat model.*--model/ })
})

const doors: [name: string, env: Record<string, string>, base: string, key: string | undefined][] =
  [
    ['the usual place', {}, 'http://127.0.0.1:4000', undefined],
    [
      'where the server listens',
      { PORT: '4001', HOST: '0.0.0.0', SERVER_ROOT_PATH: '/llm' },
      'http://127.0.0.1:4001/llm',
      undefined,
    ],
    [
      'an address with a path of the API',
      { THROUGHWAY_URL: 'https://a.b/x/v1/' },
      'https://a.b/x',
      undefined,
    ],
    [
      "LiteLLM's names",
      { LITELLM_PROXY_URL: 'http://a', LITELLM_PROXY_API_KEY: 'k' },
      'http://a',
      'k',
    ],
    [
      'the master key where there is no other',
      { LITELLM_MASTER_KEY: 'm' },
      'http://127.0.0.1:4000',
      'm',
    ],
    [
      'a key of its own before the master key',
      { LITELLM_MASTER_KEY: 'm', THROUGHWAY_KEY: 'v' },
      'http://127.0.0.1:4000',
      'v',
    ],
  ]
for (const [name, env, where, key] of doors)
  test(`the gateway: ${name}`, () => {
    const door = doorOf({ url: undefined, key: undefined }, env)
    deepEqual([door.base, door.key], [where, key])
  })

test("words of ours are taken out, all others and what is behind -- are the agent's", () =>
  deepEqual(readWords('x', ['a', '--url=u', '--', '--key', 'k', '--']), {
    url: 'u',
    key: undefined,
    model: undefined,
    rest: ['a', '--key', 'k', '--'],
  }))

const choices: [agent: AgentName, models: string, chosen: string | undefined][] = [
  [
    'claude',
    'gpt-5.5 claude-haiku-4-5 claude-sonnet-4-20250514 claude-sonnet-4-5',
    'claude-sonnet-4-5',
  ],
  ['claude', 'claude-sonnet-4-5-20250929 claude-sonnet-4-5 claude-opus-4-6', 'claude-sonnet-4-5'],
  ['claude', 'mine other', 'mine'],
  ['codex', 'openai/gpt-4o openai/gpt-5.4 openai/gpt-5.5 openai/gpt-5.5-mini', 'openai/gpt-5.5'],
  ['codex', 'gpt-5.5 gpt-5.3-codex', 'gpt-5.3-codex'],
  ['gemini', 'gemini-2.5-pro gemini-3-pro-preview gemini-3.8-flash', 'gemini-3-pro-preview'],
  ['opencode', '', undefined],
]
for (const [agent, models, chosen] of choices)
  test(`${agent} of ${models}: ${chosen}`, () =>
    equal(
      chooseModel(
        models
          .split(' ')
          .filter(Boolean)
          .map((id) => ({ id })),
        agents[agent].prefers,
      )?.id,
      chosen,
    ))

test('a signal for the command is for the agent, whose code is its own', async () => {
  served = [{ id: 'a' }]
  const told = join(folder, 'signal.json')
  const bin = join(import.meta.dirname, '..', '..', 'bin', 'throughway.ts')
  const child = spawn(process.execPath, [bin, 'claude', 'wait', '--version'], {
    env: { PATH: join(folder, 'bin'), HOME: folder, THROUGHWAY_URL: base, TOLD: told },
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  while (!existsSync(told)) await new Promise((resolve) => setTimeout(resolve, 10))
  // It listens a moment after it has written.
  await new Promise((resolve) => setTimeout(resolve, 100))
  child.kill('SIGTERM')
  equal(await ended, 41)
  deepEqual(object(JSON.parse(await readFile(told, 'utf8')))['argv'], ['wait', '--version'])
})
