import { deepEqual, equal, match } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { planDeployments } from '../start/start.node.ts'
import { credentialsOf } from './credentials.ts'
import type { Options } from './flags.ts'
import { curl, greet } from './greeting.ts'
import { offerOf } from './offer.ts'
import { plain } from './paint.ts'
import { noticeLines, prepare } from './settings.node.ts'

let folder = ''
const file = (name: string) => join(folder, name)
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'throughway-cli-'))
  await writeFile(
    file('config.yaml'),
    `environment_variables:
  FROM_FILE: yes-it-is
model_list:
  - model_name: with-key
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/FROM_FILE }
  - model_name: first
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/NOT_THERE }
  - model_name: second
    litellm_params: { model: openai/gpt-4o-mini, api_key: os.environ/NOT_THERE }
  - model_name: literal
    litellm_params: { model: openai/x, api_base: http://127.0.0.1:9/v1, api_key: abcdefgh }
  - model_name: keyless
    litellm_params: { model: anthropic/claude-haiku-4-5 }
  - model_name: nowhere
    litellm_params: { model: no-such-thing }
litellm_settings: { request_timeout: 10 }
`,
  )
})
after(() => rm(folder, { recursive: true }))

/** No .env of the folder the tests run in. */
const production = { LITELLM_MODE: 'PRODUCTION' }

const rows: [
  name: string,
  options: Options,
  env: Record<string, string>,
  expected: [string, string][],
][] = [
  [
    'no key: the mock',
    {},
    {},
    [
      ['mock/echo', 'mock/echo'],
      ['mock/*', 'mock/*'],
    ],
  ],
  [
    'an empty key is no key',
    {},
    { OPENAI_API_KEY: '' },
    [
      ['mock/echo', 'mock/echo'],
      ['mock/*', 'mock/*'],
    ],
  ],
  [
    'keys: each provider under its name',
    {},
    { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b' },
    [
      ['openai/*', 'openai/*'],
      ['anthropic/*', 'anthropic/*'],
    ],
  ],
  ['--add_key counts as a key', { add_key: { GROQ_API_KEY: 'a' } }, {}, [['groq/*', 'groq/*']]],
  [
    '--model: every name',
    { model: 'gpt-5.5' },
    {},
    [
      ['gpt-5.5', 'gpt-5.5'],
      ['*', 'gpt-5.5'],
    ],
  ],
  [
    '--alias',
    { model: 'groq/x', alias: 'fast' },
    { OPENAI_API_KEY: 'a' },
    [
      ['fast', 'groq/x'],
      ['*', 'groq/x'],
    ],
  ],
]
for (const [name, options, env, expected] of rows)
  test(name, async () => {
    const { config, errors } = await prepare(options, { ...production, ...env })
    deepEqual(errors, [])
    deepEqual(
      config.models.map(({ modelName, params }) => [modelName, params.model]),
      expected,
    )
  })

test('--model takes its flags along, and they are defaults of the call', async () => {
  const { config } = await prepare(
    { model: 'm', api_base: 'http://a', headers: { 'x-a': 'b' }, temperature: 0, max_tokens: 5 },
    { ...production },
  )
  const [row] = config.models
  deepEqual(row?.params, { model: 'm', api_base: 'http://a', extra_headers: { 'x-a': 'b' } })
  deepEqual(row?.defaults, { temperature: 0, max_tokens: 5 })
})

test('a file: its variables reach the environment, flags go over it, --model comes besides', async () => {
  const env: Record<string, string> = { ...production }
  const options: Options = {
    config: file('config.yaml'),
    request_timeout: 5,
    drop_params: true,
    model: 'more',
  }
  const { config, source } = await prepare(options, env)
  equal(env['FROM_FILE'], 'yes-it-is')
  equal(config.settings.request_timeout, 5)
  equal(config.settings.drop_params, true)
  deepEqual(
    config.models.slice(-2).map(({ modelName }) => modelName),
    ['more', '*'],
  )
  deepEqual(source, { type: 'file', path: file('config.yaml') })
})

test('CONFIG_FILE_PATH names the file where --config does not', async () => {
  const { source } = await prepare({}, { ...production, CONFIG_FILE_PATH: file('config.yaml') })
  deepEqual(source, { type: 'file', path: file('config.yaml') })
})

test('what has no effect is said, once for each', async () => {
  const { warnings } = await prepare(
    { max_budget: 3, alias: 'a', config: file('config.yaml') },
    { ...production },
  )
  const lines = noticeLines(warnings, 'warning').join('\n')
  match(lines, /--max_budget: is NOT ENFORCED/)
  match(lines, /--alias: has no effect without --model/)
  match(lines, /config\.yaml:7:\d+ .*NOT_THERE is not set \(and so in 1 more places\)/)
  equal(lines.match(/NOT_THERE/g)?.length, 1)
  deepEqual(noticeLines(warnings, 'warning', 1).slice(1), [
    `… and ${warnings.length - 1} more: throughway check shows all`,
  ])
})

test('workers: as the flag says, else the environment, else one; not more than anybody means', async () => {
  const several = { ...production, NUM_WORKERS: '4' }
  equal((await prepare({}, { ...production })).workers, 1)
  equal((await prepare({}, { ...several })).workers, 4)
  equal((await prepare({ num_workers: 2 }, { ...several })).workers, 2)
  const { errors } = await prepare({ num_workers: 4000 }, { ...production })
  match(noticeLines(errors, 'error').join(), /--num_workers 4000: is more than 256/)
})

test('a variable of the environment that cannot be is an error', async () => {
  const { errors } = await prepare({}, { ...production, PORT: 'abc' })
  match(noticeLines(errors, 'error').join(), /environment PORT: .*"abc"/)
})

const plan = async (options: Options, more: Record<string, string> = {}) => {
  const env = { ...production, ...more }
  const prepared = await prepare(options, env)
  return { env, ...(await planDeployments({ ...prepared, env, log: () => {} })) }
}

test('credentials: where they are and where they are missed, never what they are', async () => {
  const { deployments, env } = await plan({ config: file('config.yaml') })
  const found = credentialsOf(deployments, env)
  deepEqual(
    found.slice(0, 4).map(({ provider, ok, state, models }) => [provider, ok, state, models]),
    [
      ['openai', true, 'FROM_FILE set', ['with-key']],
      ['openai', false, 'NOT_THERE not set', ['first', 'second']],
      ['openai', true, 'key set in the config', ['literal']],
      ['anthropic', false, 'ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN not set', ['keyless']],
    ],
  )
  match(found[4]?.state ?? '', /Cannot tell the provider of 'no-such-thing'/)
  equal(/yes-it-is|abcdefgh/.test(JSON.stringify(found)), false)
})

const today = '2026-11-21'
const offers: [name: string, options: Options, env: Record<string, string>, example: RegExp][] = [
  ['the mock', {}, {}, /^mock\/echo$/],
  ['a cheap chat model with tools', {}, { OPENAI_API_KEY: 'a' }, /^openai\/gpt-.*(nano|mini)/],
  [
    'the first of several providers',
    {},
    { ANTHROPIC_API_KEY: 'a', GROQ_API_KEY: 'b' },
    /^anthropic\/claude-haiku/,
  ],
  ['the alias', { model: 'gpt-5.5', alias: 'mine' }, { OPENAI_API_KEY: 'a' }, /^mine$/],
]
for (const [name, options, env, example] of offers)
  test(`to try: ${name}`, async () => {
    const { deployments, catalogue } = await plan(options, env)
    match(offerOf(deployments, catalogue, today).example ?? '', example)
  })

test('to try: nothing whose key is missing', async () => {
  const { deployments, catalogue } = await plan({ model: 'gpt-5.5' })
  equal(offerOf(deployments, catalogue, today).example, undefined)
})

const greetings: [name: string, rows: string, said: RegExp][] = [
  ['no model at all', '[]', /It has no model yet: add one to model_list in \S+ and start again\./],
  [
    'a key is missing',
    '[{ model_name: a, litellm_params: { model: openai/gpt-4o } }]',
    /None of its models can be called yet: the warnings say why\./,
  ],
  [
    'no chat model',
    '[{ model_name: a, litellm_params: { model: openai/text-embedding-3-small, api_key: k } }]',
    /None of its models is for chat: GET \/v1\/models lists them\./,
  ],
  [
    'a chat model among others',
    '[{ model_name: a, litellm_params: { model: openai/text-embedding-3-small, api_key: k } }, { model_name: b, litellm_params: { model: openai/gpt-4o, api_key: k } }]',
    /Try it:[^{]+-d '\{"model":"b"/,
  ],
]
for (const [name, rows, said] of greetings)
  test(`the greeting: ${name}`, async () => {
    await writeFile(file('greeted.yaml'), `model_list: ${rows}\n`)
    const { deployments, catalogue } = await plan({ config: file('greeted.yaml') })
    const text = greet(
      {
        url: 'http://127.0.0.1:1',
        wide: false,
        source: { type: 'file', path: file('greeted.yaml') },
        offer: offerOf(deployments, catalogue, today),
        key: { needed: false },
        admin: undefined,
        workers: 1,
        notes: [],
      },
      plain,
    )
    match(text, said)
  })

test('a wildcard row counts the models it matches', async () => {
  const { deployments, catalogue } = await plan({}, { OPENAI_API_KEY: 'a' })
  equal(
    offerOf(deployments, catalogue, today).counts.get('openai'),
    catalogue.models('openai').length,
  )
})

test('the curl line survives any name and shows no key', () => {
  const line = curl('https://127.0.0.1:1', `it's "x"`, { needed: true, variable: 'MY_KEY' })
  match(line, /^ {2}curl --insecure https:\/\/127\.0\.0\.1:1\/v1\/chat\/completions /)
  match(line, /-H "authorization: Bearer \$MY_KEY"/)
  match(line, /-d '\{"model":"it'\\''s \\"x\\""/)
})
