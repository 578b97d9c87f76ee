import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type EnvSettings, readEnvironment } from '../config/environment.ts'
import { readConfig } from '../config/schema.ts'
import type { JsonObject } from '../json/json.ts'
import { readAdminKey } from './data.node.ts'
import {
  accessOf,
  addressFor,
  planDeployments,
  type StartOptions,
  startServer,
} from './start.node.ts'

const root = await mkdtemp(join(tmpdir(), 'throughway-start-'))
after(() => rm(root, { recursive: true, force: true }))
let folders = 0

function options(
  config: JsonObject = {},
  env: Record<string, string> = {},
  more: Partial<StartOptions> = {},
): StartOptions {
  const read = readConfig({
    model_list: [{ model_name: 'g', litellm_params: { model: 'mock/any' } }],
    ...config,
  })
  assert.deepEqual(read.errors, [])
  return {
    config: read.config,
    env,
    settings: readEnvironment(env),
    dataDir: join(root, String(folders++)),
    port: 0,
    log: () => {},
    ...more,
  }
}

const strong = 'sk-0123456789abcdef-strong'
const addresses: [
  name: string,
  host: string | undefined,
  masterKey: string | undefined,
  permitWeak: boolean,
  at: string | RegExp,
  note?: RegExp,
][] = [
  ['nothing said', undefined, undefined, false, '127.0.0.1'],
  ['a strong key', undefined, strong, false, '0.0.0.0', /listening on all addresses/],
  ['a weak key', undefined, 'sk-1234', false, '127.0.0.1', /weak/],
  ['this machine', '127.0.0.1', undefined, false, '127.0.0.1'],
  ['this machine by name', 'localhost', 'sk-1234', false, 'localhost'],
  ['this machine, the new way', '::1', undefined, false, '::1'],
  ['everywhere with a strong key', '0.0.0.0', strong, false, '0.0.0.0'],
  [
    'everywhere without a key',
    '0.0.0.0',
    undefined,
    false,
    /will not listen on 0\.0\.0\.0 without a master key.*LITELLM_MASTER_KEY/,
  ],
  ['everywhere, the new way, without a key', '::', undefined, false, /will not listen on ::/],
  ['everywhere with a weak key', '0.0.0.0', 'sk-1234', false, /with a weak master key/],
  [
    'everywhere with a known key',
    '192.168.0.5',
    'sk-1234567890123456',
    false,
    /with a weak master key/,
  ],
  ['everywhere without a key, and it is meant', '0.0.0.0', undefined, true, '0.0.0.0'],
  ['everywhere with a weak key, and it is meant', '0.0.0.0', 'sk-1234', true, '0.0.0.0'],
  ['nothing said, and anything goes', undefined, undefined, true, '127.0.0.1'],
]
for (const [name, host, masterKey, permitWeak, at, note] of addresses)
  test(`address: ${name}`, () => {
    const attempt = () => addressFor({ host, masterKey, permitWeak })
    if (at instanceof RegExp) return assert.throws(attempt, { name: 'GatewayError', message: at })
    const found = attempt()
    assert.equal(found.host, at)
    if (note) assert.match(found.note ?? '', note)
    else assert.equal(found.note, undefined)
  })

const accesses: [
  config: JsonObject,
  env: Record<string, string>,
  masterKey: string | undefined,
  permitWeak: boolean,
][] = [
  [{}, {}, undefined, false],
  [
    { general_settings: { master_key: 'sk-config' } },
    { LITELLM_MASTER_KEY: 'sk-env' },
    'sk-config',
    false,
  ],
  [{}, { LITELLM_MASTER_KEY: 'sk-env' }, 'sk-env', false],
  [
    { general_settings: { dangerously_permit_weak_or_unset_master_key: true } },
    {},
    undefined,
    true,
  ],
  [{}, { LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: 'true' }, undefined, true],
]
for (const [config, env, masterKey, permitWeak] of accesses)
  test(`access: ${JSON.stringify([config, env])}`, () =>
    assert.deepEqual(accessOf(options(config, env)), { masterKey, permitWeak }))

async function running(
  chosen: StartOptions,
  use: (url: string, running: Awaited<ReturnType<typeof startServer>>) => Promise<void>,
): Promise<void> {
  const server = await startServer(chosen)
  try {
    await use(server.url, server)
  } finally {
    await server.close(0)
  }
}
const say = (url: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'g', messages: [{ role: 'user', content: 'hello' }] }),
  })

test('without a master key: models for this machine, management for the generated key', async () => {
  const chosen = options()
  await running(chosen, async (url, { admin, host }) => {
    assert.equal(host, '127.0.0.1')
    assert.equal(admin?.created, true)
    assert.equal(admin?.key, await readAdminKey(chosen.dataDir))
    const answer = await say(url)
    assert.deepEqual(
      [answer.status, (await answer.json()).choices[0].message.content],
      [200, 'hello'],
    )
    assert.equal((await say(url, { origin: 'https://evil.example' })).status, 403)
    assert.equal((await fetch(`${url}/health`)).status, 401)
    assert.equal(
      (await fetch(`${url}/health`, { headers: { authorization: `Bearer ${admin?.key}` } })).status,
      200,
    )
  })
  await running(chosen, async (_url, { admin }) => assert.equal(admin?.created, false))
})

test('with a master key: nobody without it, and no other key is made', async () => {
  const chosen = options({ general_settings: { master_key: strong } }, {}, { host: '127.0.0.1' })
  await running(chosen, async (url, { admin }) => {
    assert.equal(admin, undefined)
    assert.equal(await readAdminKey(chosen.dataDir), undefined)
    assert.deepEqual(
      [(await say(url)).status, (await say(url, { authorization: `Bearer ${strong}` })).status],
      [401, 200],
    )
    const health = await fetch(`${url}/health/liveliness`)
    assert.equal(health.status, 200)
    await health.text()
  })
})

const failures: [name: string, more: Partial<StartOptions>, message: RegExp][] = [
  [
    'half of TLS: no certificate',
    { tls: { keyPath: '/k', certPath: undefined } },
    /HTTPS needs a key and a certificate: --ssl_certfile_path \(SSL_CERTFILE_PATH\) is missing/,
  ],
  [
    'half of TLS: no key',
    { tls: { keyPath: undefined, certPath: '/c' } },
    /--ssl_keyfile_path \(SSL_KEYFILE_PATH\) is missing/,
  ],
  [
    'TLS from nowhere',
    { tls: { keyPath: '/not/there.key', certPath: '/not/there.crt' } },
    /cannot read \/not\/there\.key for TLS/,
  ],
  ['an address for others without a key', { host: '0.0.0.0' }, /will not listen on 0\.0\.0\.0/],
  ['a folder that cannot be', { dataDir: '/dev/null/below' }, /data folder .* cannot be written/],
  [
    'a database that is not there',
    {
      settings: readEnvironment({
        DATABASE_URL: 'postgres://user:canary@127.0.0.1:9/none',
        LITELLM_SALT_KEY: strong,
      }),
    },
    /^(?!.*canary).*the database at 127\.0\.0\.1:9\/none cannot be reached/,
  ],
]
for (const [name, more, message] of failures)
  test(`no start with ${name}`, async () => {
    await assert.rejects(startServer(options({}, {}, more)), { name: 'GatewayError', message })
  })

test('a port that is taken is one clear error', async () => {
  await running(options(), async (_url, { port }) => {
    await assert.rejects(startServer(options({}, {}, { port })), (error: Error) =>
      error.message.includes(String(port)),
    )
  })
})

test('a plan names what would be served and opens nothing', async () => {
  const chosen = options()
  const settings: EnvSettings = { ...chosen.settings, dropParams: true }
  const { deployments } = await planDeployments({ ...chosen, settings })
  assert.deepEqual(
    deployments.map(({ group, target }) => [group, target.dropParams]),
    [['g', true]],
  )
  assert.equal(await readAdminKey(chosen.dataDir), undefined)
})
