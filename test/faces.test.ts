import { deepEqual, equal, match } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  createCatalogue,
  createGateway,
  createIdentify,
  createLedger,
  createTokenCounter,
  type Entry,
  fetchTransport,
  openRooms,
  readConfig,
  serveFetch,
} from '../src/gateway.ts'
import { createLog, loadConfig, readEnvironment, startServer } from '../src/node.ts'

const ask = (model: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: 'Bearer sk-a-key-of-the-tests' },
  body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] }),
})

test('throughway/gateway: a config, a fetch and a catalogue make a fetch handler', async () => {
  const { config, errors } = readConfig({
    model_list: [
      {
        model_name: 'mine',
        litellm_params: { model: 'openai/gpt-4o-mini', api_key: 'sk-upstream' },
      },
    ],
  })
  deepEqual(errors, [])
  const asked: { url: string; key: string | null }[] = []
  const provider: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    asked.push({ url: request.url, key: request.headers.get('authorization') })
    return Response.json({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'gpt-4o-mini-2024-07-18',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'Hi.' }, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 },
    })
  }
  const entries: Entry[] = []
  const catalogue = createCatalogue({
    'gpt-4o-mini': {
      litellm_provider: 'openai',
      mode: 'chat',
      input_cost_per_token: 1e-6,
      output_cost_per_token: 2e-6,
    },
  })
  const rooms = openRooms(config, {
    env: () => undefined,
    transport: fetchTransport(provider),
    identify: createIdentify({
      masterKey: 'sk-a-key-of-the-tests',
      adminKey: undefined,
      open: false,
      headerName: undefined,
    }),
    ledger: createLedger([(entry) => entries.push(entry)], () => {}),
    catalogue: { current: catalogue, loaded: async () => catalogue },
    tokens: { counter: createTokenCounter(), ready: async () => {} },
    log: () => {},
    defaults: {
      dropParams: false,
      modifyParams: false,
      requestTimeoutSeconds: 60,
      retries: 0,
      allowedFails: undefined,
      cooldownSeconds: 5,
      maxFallbacks: 5,
    },
    corsOrigins: [],
    docs: false,
  })
  const handle = serveFetch(createGateway(rooms))

  const answer = await handle(new Request('https://edge.test/v1/chat/completions', ask('mine')))
  const body = await answer.json()
  equal(answer.status, 200, JSON.stringify(body))
  equal(body.model, 'mine')
  equal(body.choices[0].message.content, 'Hi.')
  equal(answer.headers.get('x-litellm-response-cost'), '0.002')
  deepEqual(asked, [
    { url: 'https://api.openai.com/v1/chat/completions', key: 'Bearer sk-upstream' },
  ])
  deepEqual(
    entries.map(({ nanoDollars, status }) => ({ nanoDollars, status })),
    [{ nanoDollars: 2_000_000, status: 200 }],
  )

  const stranger = await handle(
    new Request('https://edge.test/v1/models', { headers: { authorization: 'Bearer sk-other' } }),
  )
  equal(stranger.status, 401)
})

test('throughway/node: a config file makes a server', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'throughway-faces-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'config.yaml')
  await writeFile(
    path,
    'model_list:\n  - model_name: echo\n    litellm_params: { model: mock/echo }\n',
  )

  const env = {}
  const { config, errors } = await loadConfig({ path, env })
  deepEqual(errors, [])
  const lines: string[] = []
  const server = await startServer({
    config,
    env,
    settings: readEnvironment(env),
    dataDir: join(folder, 'data'),
    port: 0,
    log: createLog({ level: 'error', json: false, write: (line) => lines.push(line) }),
  })
  try {
    match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    const answer = await fetch(`${server.url}/v1/chat/completions`, ask('echo'))
    equal((await answer.json()).choices[0].message.content, 'Hello!')
  } finally {
    await server.close()
  }
  deepEqual(lines, [])
})
