import { equal, match, ok, rejects } from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { before, describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import OpenAI, { APIError } from 'openai'
import type { JsonObject } from '../src/json/json.ts'
import { ask, eventsOf, type GatewayOptions, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatStream,
  chunk,
  hello,
  type Scope,
  type Script,
  startProvider,
  stream,
  type Told,
} from './support/provider.ts'

/** Every way a provider can keep us waiting, and everyone who may say how long. */
type Options = GatewayOptions & { script?: Script; base?: string }

/** A provider and a gateway of the test's own, so that many can wait at once. */
async function start(t: Scope, { script = () => hang, base, ...options }: Options = {}) {
  const provider = await startProvider(t, script)
  const to = base === undefined ? provider : { base }
  const gateway = await startGateway(t, {
    models: [
      openaiRow('m', to),
      openaiRow('impatient', to, { timeout: 0.15 }),
      openaiRow('stream-impatient', to, { timeout: 30, stream_timeout: 0.15 }),
    ],
    ...options,
  })
  const call = (body: JsonObject, headers?: Record<string, string>) =>
    gateway.post('/v1/chat/completions', body, headers)
  return { provider, gateway, call }
}

// The HTTP client is loaded with the first call.
before(async () => {
  const scope: Scope = { after: (end) => void ends.push(end) }
  const ends: (() => unknown)[] = []
  await (await (await start(scope, { script: hello })).call(ask('m'))).text()
  for (const end of ends.reverse()) await end()
})

/** It must fail in about this time: not at once, and not after some other limit. */
async function timed<T>(run: () => Promise<T>, ms = 150): Promise<T> {
  const before = performance.now()
  const answer = await run()
  const took = performance.now() - before
  // Far below the usual limit of 6,000 seconds, however busy the machine is.
  ok(took > ms * 0.8 && took < ms + 10_000, `${took.toFixed()} ms`)
  return answer
}

async function refused(response: Response, limit: RegExp): Promise<void> {
  equal(response.status, 408)
  const { error } = await response.json()
  match(error.message, /^litellm\.Timeout: Timeout: OpenAIException - Timeout: /)
  match(error.message, limit)
  equal(error.type, 'timeout_error')
  equal(error.code, '408')
}

const hang: Told = { type: 'hang' }
const trickle = (): Told =>
  stream(Array.from({ length: 60 }, () => [' ', 50]).flat(), {
    headers: { 'content-type': 'application/json' },
  })

describe('which limit', { concurrency: true }, () => {
  for (const streamed of [false, true]) {
    const kind = streamed ? 'streamed' : 'whole'

    test(`no first byte, ${kind}`, async (t) => {
      const { provider, call } = await start(t)
      const response = await timed(() => call(ask('m', { timeout: 0.15, stream: streamed })))
      await refused(response, /did not begin to answer within 150 ms|not complete within 150 ms/)
      equal(await provider.last().gone, true)
    })

    test(`a head, and then nothing, ${kind}`, async (t) => {
      const { provider, call } = await start(t, { script: () => stream([], { end: 'hang' }) })
      const response = await timed(() => call(ask('m', { timeout: 0.15, stream: streamed })))
      await refused(response, /within 150 ms|for 150 ms/)
      equal(await provider.last().gone, true)
    })

    test(`a connection that is not accepted, ${kind}`, async (t) => {
      const { call } = await start(t, { base: `http://127.0.0.1:${await fullListener(t)}/v1` })
      const run = () => call(ask('m', { timeout: 0.3, stream: streamed }))
      await refused(await timed(run, 300), /within 300 ms/)
    })

    test(`a TLS handshake that is not answered, ${kind}`, async (t) => {
      const sockets: Socket[] = []
      const silent = createServer((socket) => void sockets.push(socket.on('error', () => {})))
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
      t.after(() => {
        for (const socket of sockets) socket.destroy()
        silent.close()
      })
      const at = silent.address()
      ok(at !== null && typeof at === 'object')
      const { call } = await start(t, { base: `https://127.0.0.1:${at.port}/v1` })
      const run = () => call(ask('m', { timeout: 0.3, stream: streamed }))
      await refused(await timed(run, 300), /within 300 ms/)
    })
  }

  test('a whole answer that comes byte by byte: the total', async (t) => {
    const { provider, call } = await start(t, { script: trickle })
    const response = await timed(() => call(ask('m', { timeout: 0.3 })), 300)
    await refused(response, /was not complete within 300 ms/)
    equal(await provider.last().gone, true)
  })

  test('a stream that stops: its last event says so', async (t) => {
    const { provider, call } = await start(t, {
      script: () => stream([chunk({ role: 'assistant', content: 'Hel' })], { end: 'hang' }),
    })
    const events = await timed(async () => {
      const response = await call(ask('m', { timeout: 0.15, stream: true }))
      equal(response.status, 200)
      return eventsOf(response)
    })
    match(
      JSON.stringify(events.at(-1)?.data),
      /"message":"litellm\.Timeout: .*sent nothing for 150 ms.*"code":"408"/,
    )
    equal(await provider.last().gone, true)
  })

  test('a stream may go on for longer than the limit, as long as it goes on', async (t) => {
    const deltas = Array.from({ length: 8 }, () => ({ content: 'x' }))
    const { call } = await start(t, {
      script: (asked) => stream(chatStream(asked, deltas).flatMap((piece) => [60, piece])),
    })
    const response = await call(ask('m', { timeout: 0.3, stream: true }))
    match(await response.text(), /\[DONE\]\n\n$/)
  })
})

/** A port whose queue of connections is full: another one is never answered. */
async function fullListener(t: Scope): Promise<number> {
  const worker = new Worker(
    `const { createServer, connect } = require('node:net')
    const { parentPort } = require('node:worker_threads')
    const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      // From here on this thread takes no connection.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`,
    { eval: true },
  )
  t.after(() => worker.terminate())
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.after(() => {
    for (const one of fillers) one.destroy()
  })
  await new Promise((resolve) => void setTimeout(resolve, 100))
  return port
}

describe('who says how long', { concurrency: true }, () => {
  type Row = [name: string, body: JsonObject, headers?: Record<string, string>]
  const rows: Row[] = [
    ['the body', { model: 'm', timeout: 0.15 }],
    ['the body, as text', { model: 'm', timeout: '0.15' }],
    ['the body, by its other name', { model: 'm', request_timeout: 0.15 }],
    ['a header', { model: 'm' }, { 'x-litellm-timeout': '0.15' }],
    ['the body over the header', { model: 'm', timeout: 0.15 }, { 'x-litellm-timeout': '20' }],
    ['the deployment', { model: 'impatient' }],
    [
      'the header over the deployment',
      { model: 'stream-impatient' },
      { 'x-litellm-timeout': '0.15' },
    ],
    ['stream_timeout of the body', { model: 'm', stream: true, timeout: 20, stream_timeout: 0.15 }],
    ['its header', { model: 'm', stream: true }, { 'x-litellm-stream-timeout': '0.15' }],
    ['stream_timeout of the deployment', { model: 'stream-impatient', stream: true }],
    ['timeout, for a stream too', { model: 'impatient', stream: true }],
  ]
  for (const [name, body, headers] of rows)
    test(name, async (t) => {
      const { provider, call } = await start(t)
      await refused(await timed(() => call({ ...ask('m'), ...body }, headers)), /within 150 ms/)
      for (const field of ['timeout', 'request_timeout', 'stream_timeout'])
        ok(!(field in provider.last().json), 'it is for us, not for the provider')
    })
  const settings: [name: string, options: GatewayOptions][] = [
    ['litellm_settings.request_timeout', { litellm: { request_timeout: 0.15 } }],
    ['router_settings.timeout', { router: { timeout: 0.15 } }],
    ['REQUEST_TIMEOUT', { env: { REQUEST_TIMEOUT: '0.15' } }],
    [
      'router_settings.stream_timeout',
      { router: { stream_timeout: 0.15 }, litellm: { request_timeout: 20 } },
    ],
  ]
  for (const [name, options] of settings)
    test(name, async (t) => {
      const { call } = await start(t, options)
      const body = ask('m', { stream: name.includes('stream') })
      await refused(await timed(() => call(body)), /within 150 ms/)
    })

  test('what is no time counts as not said', async (t) => {
    const { call } = await start(t, { script: hello })
    for (const timeout of [0, -1, 'soon', null, true, [1], { s: 1 }, '1e400', '']) {
      equal((await call(ask('m', { timeout }))).status, 200, String(timeout))
      equal((await call(ask('m'), { 'x-litellm-timeout': String(timeout) })).status, 200)
    }
    // A month is no less than a moment.
    equal((await call(ask('m', { timeout: 10_000_000 }))).status, 200)
  })
})

describe('afterwards', { concurrency: true }, () => {
  test('a fallback is tried', async (t) => {
    let first = true
    const { call } = await start(t, {
      router: { fallbacks: [{ impatient: ['m'] }] },
      script: (asked, nth) => {
        if (!first) return hello(asked, nth)
        first = false
        return hang
      },
    })
    const response = await call(ask('impatient'))
    equal(response.status, 200)
    equal(response.headers.get('x-litellm-attempted-fallbacks'), '1')
    equal(response.headers.get('x-litellm-model-group'), 'm')
  })

  test('OpenAI’s client sees a 408', async (t) => {
    const { gateway } = await start(t)
    const client = new OpenAI({ apiKey: 'any', baseURL: `${gateway.url}/v1`, maxRetries: 0 })
    await rejects(
      client.chat.completions.create({ model: 'impatient', messages: [] }),
      (error) => error instanceof APIError && error.status === 408 && /Timeout/.test(error.message),
    )
  })
})
