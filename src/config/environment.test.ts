import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readDotEnv } from './env.node.ts'
import { readEnvironment, variables } from './environment.ts'
import { formatNotice } from './notice.ts'

const good: [name: string, env: Record<string, string>, expected: Record<string, unknown>][] = [
  ['nothing', {}, {}],
  ['an empty variable is not set', { PORT: '', HOST: ' ' }, {}],
  [
    'numbers',
    { PORT: '8080', NUM_WORKERS: '2', REQUEST_TIMEOUT: '1.5' },
    { port: 8080, workers: 2, requestTimeoutSeconds: 1.5 },
  ],
  [
    'booleans as people write them',
    { JSON_LOGS: 'True', LITELLM_DROP_PARAMS: '1', NO_DOCS: 'false' },
    { jsonLogs: true, dropParams: true, noDocs: false },
  ],
  ['a level in any case', { LITELLM_LOG: 'debug' }, { logLevel: 'DEBUG' }],
  ['NO_COLOR is set to anything', { NO_COLOR: '0' }, { noColor: true }],
  [
    'a list with commas',
    { LITELLM_CORS_ORIGINS: 'https://a.example, https://b.example,' },
    { corsOrigins: ['https://a.example', 'https://b.example'] },
  ],
  ['a root path loses its last slash', { SERVER_ROOT_PATH: '/llm/' }, { rootPath: '/llm' }],
  ['SSL_VERIFY may be a path', { SSL_VERIFY: '/etc/ca.pem' }, { sslVerify: '/etc/ca.pem' }],
  ['SSL_VERIFY may be a boolean', { SSL_VERIFY: 'False' }, { sslVerify: false }],
  [
    'a database in parts',
    {
      DATABASE_HOST: 'db',
      DATABASE_USER: 'me',
      DATABASE_PASSWORD: 'p@ss/',
      DATABASE_NAME: 'llm',
      DATABASE_PORT: '6543',
    },
    {
      databaseUrl: 'postgresql://me:p%40ss%2F@db:6543/llm',
      databaseHost: 'db',
      databaseUsername: 'me',
      databasePassword: 'p@ss/',
      databaseName: 'llm',
      databasePort: 6543,
    },
  ],
  [
    'the whole URL counts more',
    { DATABASE_URL: 'postgresql://x', DATABASE_HOST: 'db', DATABASE_NAME: 'n', DATABASE_USER: 'u' },
    { databaseUrl: 'postgresql://x', databaseHost: 'db', databaseName: 'n', databaseUsername: 'u' },
  ],
]
for (const [name, env, expected] of good)
  test(name, () => assert.deepEqual(readEnvironment(env), { ...expected, errors: [] }))

const bad: [env: Record<string, string>, line: string][] = [
  [{ PORT: 'abc' }, '✖ environment PORT: expected a port, 0 to 65535, found "abc"'],
  [{ PORT: '70000' }, '✖ environment PORT: expected a port, 0 to 65535, found "70000"'],
  [
    { NUM_WORKERS: '0' },
    '✖ environment NUM_WORKERS: expected a whole number, 1 or more, found "0"',
  ],
  [{ JSON_LOGS: 'perhaps' }, '✖ environment JSON_LOGS: expected true or false, found "perhaps"'],
  [
    { LITELLM_LOG: 'LOUD' },
    '✖ environment LITELLM_LOG: expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, found "LOUD"',
  ],
  [
    { SERVER_ROOT_PATH: 'llm' },
    '✖ environment SERVER_ROOT_PATH: expected a path that begins with /, found "llm"',
  ],
  [
    { REQUEST_TIMEOUT: '-1' },
    '✖ environment REQUEST_TIMEOUT: expected seconds, 0 to 2147483, found "-1"',
  ],
  [{ PORT: '1\n2' }, '✖ environment PORT: expected a port, 0 to 65535, found "1\\n2"'],
]
for (const [env, line] of bad)
  test(line, () =>
    assert.deepEqual(
      readEnvironment(env).errors.map((error) => formatNotice(error)),
      [line],
    ),
  )

test('one variable has one row', () => {
  const names = Object.values(variables).map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
})

test('.env adds what is not set, and nothing in production', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'dotenv-'))
  t.after(() => rm(directory, { recursive: true }))
  assert.deepEqual(await readDotEnv({ env: {}, directory }), {}, 'there is none')
  await writeFile(join(directory, '.env'), '# mine\nOPENAI_API_KEY="sk-1"\nexport PORT=1\nHOST=\n')
  assert.deepEqual(await readDotEnv({ env: { PORT: '2' }, directory }), {
    OPENAI_API_KEY: 'sk-1',
    HOST: '',
  })
  assert.deepEqual(await readDotEnv({ env: { LITELLM_MODE: 'PRODUCTION' }, directory }), {})
  await writeFile(join(directory, '.env'), 'x'.repeat(5 * 1024 * 1024))
  await assert.rejects(readDotEnv({ env: {}, directory }), /\.env is larger than 4 MiB/)
})
