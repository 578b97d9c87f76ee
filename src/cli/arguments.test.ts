import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { type Arguments, readArguments } from './arguments.node.ts'
import { type Flag, flags, isFlag } from './flags.ts'
import { help } from './help.ts'

const run = (options: object, command = 'serve', words: string[] = []) => ({
  type: 'run',
  command,
  words,
  options,
})

const cases: [line: string, expected: unknown][] = [
  ['', run({})],
  ['serve', run({})],
  ['--model gpt-5.5', run({ model: 'gpt-5.5' })],
  ['-m gpt-5.5 --alias gpt', run({ model: 'gpt-5.5', alias: 'gpt' })],
  ['-mgpt-5.5', run({ model: 'gpt-5.5' })],
  ['--config=a.yaml --port=0', run({ config: 'a.yaml', port: 0 })],
  ['-c a.yaml -p 4001', run({ config: 'a.yaml', port: 4001 })],
  ['--port 1 --port 2', run({ port: 2 })],
  ['--api_base http://a --drop-params', run({ api_base: 'http://a', drop_params: true })],
  ['--api-base http://a --drop_params', run({ api_base: 'http://a', drop_params: true })],
  ['--temperature 0.5 --max_tokens 10', run({ temperature: 0.5, max_tokens: 10 })],
  ['--headers {"x-a":"b","n":1}', run({ headers: { 'x-a': 'b', n: 1 } })],
  ['--add_key A=1 --add-key B=x=y', run({ add_key: { A: '1', B: 'x=y' } })],
  ['--telemetry False --max_budget 1.5', run({ telemetry: false, max_budget: 1.5 })],
  ['--data-dir /x', run({ data_dir: '/x' })],
  ['--data_dir /x', run({ data_dir: '/x' })],
  ['--test', run({ test: true })],
  ['--test http://a:1', run({ test: 'http://a:1' })],
  ['--test=http://a:1 --model m', run({ test: 'http://a:1', model: 'm' })],
  ['check --json -c a.yaml', run({ json: true, config: 'a.yaml' }, 'check')],
  ['models claude haiku', run({}, 'models', ['claude', 'haiku'])],
  ['help', run({ help: true })],
  ['-v', run({ version: true })],
]

for (const [line, expected] of cases)
  test(`throughway ${line}`, () =>
    deepEqual(readArguments(line.split(' ').filter(Boolean)), expected))

const mistakes: [line: string, message: RegExp][] = [
  ['--confg a', /no flag --confg; did you mean --config\?/],
  ['--data-dirs a', /did you mean --data-dir\?/],
  ['--toString', /no flag --toString$/],
  ['--constructor x', /no flag --constructor/],
  ['-x', /no flag -x$/],
  ['--config', /--config needs a value \(FILE\)/],
  ['--config=', /--config needs a value/],
  ['--config --port 4000', /--config needs a value/],
  ['-c -p 4000', /-c needs a value/],
  ['--port abc', /--port wants a whole number from 0 to 65535, found "abc"/],
  ['--port 1.5', /whole number/],
  ['--port 65536', /65535/],
  ['--port 0x10', /whole number/],
  ['--temperature -1', /0 or more, found "-1"/],
  ['--max_tokens 0', /1 or more/],
  ['--headers nonsense', /--headers wants JSON/],
  ['--headers ["a"]', /JSON map/],
  ['--headers {"a":{}}', /JSON map/],
  ['--add_key sk-secret', /^--add_key wants NAME=VALUE$/],
  ['--telemetry perhaps', /true or false/],
  ['--debug=1', /--debug takes no value/],
  ['config.yaml', /to start with that file: --config config.yaml/],
  ['chek', /did you mean check\?/],
  ['frobnicate', /they are check, models, migrate, move/],
  ['check now', /one word too many/],
  ['--json', /belongs to the commands check and models/],
]

for (const [line, message] of mistakes)
  test(`mistake: throughway ${line}`, () => {
    const asked = readArguments(line.split(' '))
    equal(asked.type, 'mistake')
    match(asked.type === 'mistake' ? asked.message : '', message)
  })

const sample = {
  switch: [],
  maybe: [],
  text: ['x'],
  assignment: ['A=b'],
  truth: ['true'],
  integer: ['3'],
  number: ['3'],
  headers: ['{}'],
} as const satisfies Record<Flag['kind'], readonly string[]>

test('every flag is read alike in both spellings', () => {
  for (const name of Object.keys(flags).filter(isFlag)) {
    const words: readonly string[] = sample[flags[name].kind]
    const { of }: Flag = flags[name]
    const read = (spelling: string): Arguments =>
      readArguments([...(of?.slice(0, 1) ?? []), `--${spelling}`, ...words])
    const asked = read(name)
    equal(asked.type, 'run', name)
    deepEqual(Object.keys(asked.type === 'run' ? asked.options : {}), [name])
    deepEqual(read(name.replaceAll('_', '-')), asked)
  }
})

// The flags of litellm 1.106.2 that people use; the rest are accepted, too.
const litellms =
  `host port num_workers api_base api_version model alias add_key headers save debug detailed_debug use_queue temperature
  max_tokens request_timeout drop_params add_function_to_prompt config max_budget telemetry log_config setup version
  health test test_async iam_token_db_auth azure_postgresql_auth num_requests run_gunicorn run_hypercorn run_granian
  granian_threads ssl_keyfile_path ssl_certfile_path ciphers use_prisma_db_push local skip_server_startup
  validate_config keepalive_timeout timeout_worker_healthcheck max_requests_before_restart
  max_requests_before_restart_jitter limit_concurrency enforce_prisma_migration_check use_v2_migration_resolver
  use_legacy_migration_resolver reload prometheus_metrics_port`.split(/\s+/)

test('every flag of litellm is known', () =>
  deepEqual(
    litellms.filter((name) => !isFlag(name)),
    [],
  ))

test('the help has every flag that does something, and no other', () => {
  const lines = help()
  for (const [name, row] of Object.entries(flags)) {
    const { idle, gone }: Flag = row
    const listed = new RegExp(`--${name.replaceAll('_', '[_-]')}\\b`).test(lines)
    equal(listed, idle === undefined && gone === undefined, name)
  }
  for (const line of lines.split('\n')) ok(line.length <= 120, line)
})
