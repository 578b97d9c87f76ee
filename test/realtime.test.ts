import { deepEqual, equal, match, ok } from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { before, describe, test } from 'node:test'
import { GoogleGenAI, Modality } from '@google/genai'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import { type JsonObject, list, number, object, text } from '../src/json/json.ts'
import { eventually, type Gateway, startGateway } from './support/gateway.ts'
import { fileScope, type Scope } from './support/provider.ts'

/** Realtime sessions, OpenAI's, Azure's and Google's, against providers on loopback. */
const scope = fileScope()
const masterKey = 'sk-master-key-of-the-tests'

/** A provider of WebSockets: each session's handshake, messages and end, and what it answers to which message. */
type Session = {
  url: string
  headers: IncomingMessage['headers']
  heard: JsonObject[]
  peer: WebSocket
  ended: number | undefined
}
type LiveProvider = {
  base: string
  sessions: Session[]
  last(): Session
  /** Refuses handshakes with this status from now on. */
  refuse(status: number | undefined): void
}

async function startLive(
  t: Scope,
  says: (message: JsonObject, session: Session) => readonly (JsonObject | Buffer)[],
): Promise<LiveProvider> {
  let refused: number | undefined
  const sessions: Session[] = []
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    verifyClient: (_, done) =>
      refused === undefined
        ? done(true)
        : done(false, refused, '{"error":{"message":"no room","type":"x"}}', {
            'retry-after': '7',
          }),
  })
  server.on('connection', (peer, request) => {
    const session: Session = {
      url: request.url ?? '',
      headers: request.headers,
      heard: [],
      peer,
      ended: undefined,
    }
    sessions.push(session)
    peer.on('close', (code) => (session.ended = code))
    const answer = (message: JsonObject): void => {
      for (const one of says(message, session))
        peer.send(one instanceof Buffer ? one : JSON.stringify(one))
    }
    peer.on('message', (data) => {
      const message = object(JSON.parse(String(data)))
      session.heard.push(message)
      answer(message)
    })
    answer({ type: 'hello' })
  })
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => {
    for (const peer of server.clients) peer.terminate()
    server.close()
  })
  const at = server.address()
  const port = typeof at === 'object' && at ? at.port : 0
  return {
    base: `http://127.0.0.1:${port}`,
    sessions,
    last() {
      const one = sessions.at(-1)
      if (!one) throw new Error('nobody called')
      return one
    },
    refuse(status) {
      refused = status
    },
  }
}

const usage = {
  total_tokens: 253,
  input_tokens: 132,
  output_tokens: 121,
  input_token_details: {
    text_tokens: 119,
    audio_tokens: 13,
    cached_tokens: 64,
    cached_tokens_details: { text_tokens: 64, audio_tokens: 0 },
  },
  output_token_details: { text_tokens: 30, audio_tokens: 91 },
}
const done = { type: 'response.done', response: { id: 'resp_1', usage } }

let openai: LiveProvider
let google: LiveProvider
let gateway: Gateway
let key = ''

before(async () => {
  openai = await startLive(scope, ({ type }, { peer }) => {
    if (type === 'hello')
      return [{ type: 'session.created', session: { model: 'gpt-realtime', id: 'sess_1' } }]
    if (type === 'response.create')
      return [{ type: 'response.created', response: { id: 'resp_1' } }, done]
    if (type === 'think') return [{ type: 'response.created', response: { id: 'resp_1' } }]
    if (type === 'response.cancel') return [done]
    if (type === 'transcribe')
      return [
        {
          type: 'session.updated',
          session: { audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } } },
        },
        {
          type: 'conversation.item.input_audio_transcription.completed',
          usage: { type: 'tokens', input_tokens: 1000, output_tokens: 100 },
        },
      ]
    if (type === 'leave') peer.close(4001, 'session expired')
    return []
  })
  google = await startLive(scope, (message) => {
    if (message['setup']) return [Buffer.from('{"setupComplete":{}}')]
    if (message['clientContent'])
      return [
        Buffer.from(
          JSON.stringify({
            serverContent: { modelTurn: { parts: [{ text: 'Hallo ü' }] }, turnComplete: true },
            usageMetadata: { promptTokenCount: 30, responseTokenCount: 12, totalTokenCount: 42 },
          }),
        ),
      ]
    return []
  })
  const row = (name: string, params: JsonObject) => ({
    model_name: name,
    litellm_params: { api_key: 'sk-upstream', ...params },
  })
  gateway = await startGateway(scope, {
    models: [
      row('voice', { model: 'openai/gpt-realtime', api_base: `${openai.base}/v1` }),
      row('azure-voice', { model: 'azure/my-deployment', api_base: openai.base }),
      row('live', { model: 'gemini/gemini-live-2.5-flash', api_base: `${google.base}/v1beta` }),
      row('claude', { model: 'anthropic/claude-sonnet-4-5', api_base: openai.base }),
      row('nowhere', { model: 'openai/gpt-realtime', api_base: 'http://127.0.0.1:1/v1' }),
    ],
    general: { master_key: masterKey },
    key: masterKey,
  })
  const made = await gateway.post('/key/generate', { models: ['voice', 'live', 'azure-voice'] })
  key = text(object(await made.json())['key']) ?? ''
})

type Client = {
  peer: WebSocket
  heard: JsonObject[]
  say(message: JsonObject | string): void
  closed: Promise<{ code: number; reason: string }>
}

/** Resolves with the connection, or with the status and body of the refusal. */
function connect(
  path: string,
  { headers = { authorization: `Bearer ${key}` }, protocols = [] as string[] } = {},
): Promise<Client | { status: number; body: string }> {
  const peer = new WebSocket(gateway.url.replace('http', 'ws') + path, protocols, { headers })
  const heard: JsonObject[] = []
  peer.on('message', (data: RawData) => heard.push(object(JSON.parse(String(data)))))
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    peer.once('close', (code, reason) => resolve({ code, reason: String(reason) })),
  )
  peer.on('error', () => {})
  return new Promise((resolve) => {
    peer.once('open', () =>
      resolve({
        peer,
        heard,
        closed,
        say: (message) =>
          peer.send(typeof message === 'string' ? message : JSON.stringify(message)),
      }),
    )
    peer.once('unexpected-response', (_, answer) => {
      let body = ''
      answer.on('data', (chunk) => (body += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
    })
  })
}

async function open(path: string, how?: Parameters<typeof connect>[1]): Promise<Client> {
  const client = await connect(path, how)
  if ('status' in client) throw new Error(`refused: ${client.status} ${client.body}`)
  return client
}

/** Rows of the key since the last call. */
let seen = 0
async function rows(count: number): Promise<JsonObject[]> {
  for (let tries = 0; ; tries++) {
    const path = `/spend/logs?api_key=${encodeURIComponent(key)}&summarize=false`
    const all = list(await (await gateway.get(path)).json()).map(object)
    if (all.length >= seen + count || tries === 100) {
      const ids = [...all].sort((a, b) =>
        String(a['startTime']).localeCompare(String(b['startTime'])),
      )
      const fresh = ids.slice(seen)
      seen = all.length
      return fresh
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('a budget', () => {
  /** Of one response, at the catalogue's prices. */
  const turn = 55 * 4e-6 + 64 * 4e-7 + 13 * 32e-6 + 30 * 16e-6 + 91 * 64e-6
  const keyWith = async (max_budget: number): Promise<string> =>
    text(object(await (await gateway.post('/key/generate', { max_budget })).json())['key']) ?? ''
  const spendOf = async (of: string): Promise<number> => {
    const said = await gateway.get('/key/info', { authorization: `Bearer ${of}` })
    return number(object(object(await said.json())['info'])['spend']) ?? 0
  }
  const talk = (of: string): Promise<Client> =>
    open('/v1/realtime?model=voice', { headers: { authorization: `Bearer ${of}` } })
  const responses = ({ heard }: Client): number =>
    heard.filter(({ type }) => type === 'response.done').length

  test('that is used up ends the conversation, and says so', async () => {
    const of = await keyWith(1.5 * turn)
    const client = await talk(of)
    client.say({ type: 'response.create' })
    await eventually(() => responses(client) === 1)
    client.say({ type: 'response.create' })
    const { code, reason } = await client.closed
    equal(code, 1008)
    match(reason, /^Budget has been exceeded!/)
    equal(responses(client), 2)
    const { type, error } = client.heard.at(-1) ?? {}
    deepEqual([type, object(error)['type']], ['error', 'budget_exceeded'])
    await eventually(() => openai.last().ended !== undefined)
    ok(Math.abs((await spendOf(of)) - 2 * turn) < 1e-9)
    const again = await connect('/v1/realtime?model=voice', {
      headers: { authorization: `Bearer ${of}` },
    })
    equal('status' in again && again.status, 422)
  })

  test('with something left lets it go on, far beyond what was set aside at first', async () => {
    const of = await keyWith(1)
    const client = await talk(of)
    const turns = Math.ceil(0.25 / turn)
    for (let n = 0; n < turns; n++) client.say({ type: 'response.create' })
    await eventually(() => responses(client) === turns)
    client.peer.close(1000)
    await client.closed
    await eventually(() => openai.last().ended !== undefined)
    ok(Math.abs((await spendOf(of)) - turns * turn) < 1e-9)
  })

  test('is one for all conversations', async () => {
    const of = await keyWith(0.6)
    const clients = await Promise.all([talk(of), talk(of), talk(of)])
    const most = Math.ceil(0.6 / turn) + clients.length
    for (const client of clients)
      for (let n = 0; n < most; n++) client.say({ type: 'response.create' })
    for (const client of clients) equal((await client.closed).code, 1008)
    await eventually(() => openai.sessions.every(({ ended }) => ended !== undefined))
    const spend = await spendOf(of)
    ok(spend >= 0.6 - turn && spend <= most * turn, String(spend))
  })
})

describe('OpenAI', () => {
  test('messages pass both ways, the name is the one asked for, responses are one row', async () => {
    const client = await open('/v1/realtime?model=voice&other=x')
    await eventually(() => client.heard.length === 1)
    deepEqual(client.heard[0], {
      type: 'session.created',
      session: { model: 'voice', id: 'sess_1' },
    })
    const { url, headers, heard } = openai.last()
    equal(url, '/v1/realtime?model=gpt-realtime')
    equal(headers.authorization, 'Bearer sk-upstream')
    equal(headers['openai-beta'], undefined)
    const session = { type: 'realtime', model: 'voice', instructions: 'Be brief. ü' }
    client.say({ type: 'session.update', session })
    client.say({ type: 'response.create' })
    client.say({ type: 'response.create' })
    await eventually(() => client.heard.filter(({ type }) => type === 'response.done').length === 2)
    deepEqual(heard[0], { type: 'session.update', session: { ...session, model: 'gpt-realtime' } })
    deepEqual(client.heard.at(-1), done)
    client.peer.close(1000)
    await client.closed
    await eventually(() => openai.last().ended !== undefined)
    const [row, ...more] = await rows(1)
    deepEqual(more, [])
    deepEqual(
      [row?.['model_group'], row?.['prompt_tokens'], row?.['completion_tokens'], row?.['status']],
      ['voice', 264, 242, 'success'],
    )
    // 55 read, 64 from the cache and 13 of sound, 30 written and 91 spoken, twice, at the catalogue's prices.
    const spend = 2 * (55 * 4e-6 + 64 * 4e-7 + 13 * 32e-6 + 30 * 16e-6 + 91 * 64e-6)
    ok(Math.abs((number(row?.['spend']) ?? 0) - spend) < 1e-9, `${row?.['spend']} for ${spend}`)
  })

  test('a web page: its key among the subprotocols, of which it is told another', async () => {
    const protocols = ['realtime', `openai-insecure-api-key.${key}`, 'openai-beta.realtime-v1']
    const client = await open('/v1/realtime?model=voice', { headers: {} as never, protocols })
    equal(client.peer.protocol, 'realtime')
    equal(openai.last().headers['openai-beta'], 'realtime=v1')
    equal(JSON.stringify(openai.last().headers).includes(key), false)
    client.peer.close()
    await client.closed
    equal((await rows(1)).length, 1)
  })

  test('what is no message is answered, and the session goes on', async () => {
    const client = await open('/openai/v1/realtime?model=voice')
    client.say('nonsense')
    client.say({ type: 'response.create' })
    await eventually(() => client.heard.some(({ type }) => type === 'response.done'))
    const [error] = client.heard.filter(({ type }) => type === 'error')
    equal(object(error?.['error'])['type'], 'invalid_request_error')
    equal(openai.last().heard.length, 1)
    client.peer.close()
    await rows(1)
  })

  test('what the provider ends, ends with its code and words, and what was used is counted', async () => {
    const client = await open('/realtime?model=voice')
    client.say({ type: 'response.create' })
    client.say({ type: 'leave' })
    deepEqual(await client.closed, { code: 4001, reason: 'session expired' })
    const [row] = await rows(1)
    deepEqual([row?.['prompt_tokens'], row?.['status']], [132, 'failure'])
  })

  test('who hangs up in the middle of an answer pays for it: it is ended, and told', async () => {
    const client = await open('/v1/realtime?model=voice')
    client.say({ type: 'think' })
    await eventually(() => client.heard.some(({ type }) => type === 'response.created'))
    client.peer.terminate()
    const [row] = await rows(1)
    equal(row?.['completion_tokens'], 121)
    equal(openai.last().heard.at(-1)?.['type'], 'response.cancel')
    await eventually(() => openai.last().ended !== undefined)
  })

  test('another model writes down what is said: a row of its own, at its own price', async () => {
    const client = await open('/v1/realtime?model=voice')
    client.say({ type: 'transcribe' })
    await eventually(() => client.heard.length === 3)
    client.peer.close()
    const [one, other] = await rows(2)
    const row = [one, other].find((each) => number(each?.['prompt_tokens']) === 1000)
    ok(row, JSON.stringify([one, other]))
    ok(
      Math.abs((number(row['spend']) ?? 0) - (1000 * 2.5e-6 + 100 * 1e-5)) < 1e-9,
      `${row['spend']}`,
    )
  })

  test('a reader that stands still stops the provider, not the memory of the gateway', async () => {
    const client = await open('/v1/realtime?model=voice')
    await eventually(() => client.heard.length === 1)
    client.peer.pause()
    const { peer } = openai.last()
    const delta = JSON.stringify({
      type: 'response.output_audio.delta',
      delta: 'A'.repeat(1_000_000),
    })
    for (let sent = 0; sent < 64; sent++) peer.send(delta)
    await new Promise((resolve) => setTimeout(resolve, 300))
    ok(peer.bufferedAmount > 20_000_000, `${peer.bufferedAmount} bytes wait at the provider`)
    client.peer.resume()
    await eventually(() => client.heard.length === 65, 10_000)
    client.peer.close()
    await rows(1)
  })

  const refusals: [name: string, path: string, auth: string, status: number, message: RegExp][] = [
    ['without a model', '/v1/realtime', '', 400, /Missing required parameter: 'model'/],
    ['an unknown model', '/v1/realtime?model=none', masterKey, 400, /none/],
    ['a model the key may not use', '/v1/realtime?model=claude', '', 403, /claude/],
    [
      'a model that does not do this',
      '/v1/realtime?model=claude',
      masterKey,
      501,
      /does not offer realtime/,
    ],
    ['a wrong key', '/v1/realtime?model=voice', 'sk-wrong', 401, /Invalid proxy server token/],
    ['nobody there', '/v1/realtime?model=nowhere', masterKey, 500, /Connection error/],
    ["Google's model", '/v1/realtime?model=live', masterKey, 501, /BidiGenerateContent/],
    ['no such path', '/v1/realtimes?model=voice', masterKey, 404, /Not Found/],
  ]
  for (const [name, path, auth, status, message] of refusals)
    test(`the handshake is refused: ${name}`, async () => {
      const headers = { authorization: `Bearer ${auth || key}` }
      const answer = await connect(path, { headers })
      ok('status' in answer, 'it was accepted')
      match(answer.body, message)
      equal(answer.status, status)
      await rows(0)
    })

  test("the provider's refusal is the client's, with its status", async () => {
    openai.refuse(429)
    try {
      const answer = await connect('/v1/realtime?model=voice')
      ok('status' in answer)
      equal(answer.status, 429)
      match(answer.body, /no room/)
    } finally {
      openai.refuse(undefined)
    }
    await rows(1)
  })

  test('a plain request is told what the path is for', async () => {
    const response = await gateway.get('/v1/realtime?model=voice')
    equal(response.status, 426)
  })
})

describe('Azure', () => {
  const ways: [name: string, headers: Record<string, string>, url: string][] = [
    ['as OpenAI does', {}, '/openai/v1/realtime?model=my-deployment'],
    [
      'the preview, by deployment and version',
      { 'openai-beta': 'realtime=v1' },
      '/openai/realtime?api-version=2025-02-01-preview&deployment=my-deployment',
    ],
  ]
  for (const [name, more, url] of ways)
    test(name, async () => {
      const client = await open('/v1/realtime?model=azure-voice', {
        headers: { authorization: `Bearer ${key}`, ...more },
      })
      equal(openai.last().url, url)
      equal(openai.last().headers['api-key'], 'sk-upstream')
      client.peer.close()
      await rows(1)
    })
})

describe('Google', () => {
  test("its SDK: the model's name, words both ways, usage in a row", async () => {
    const ai = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: gateway.url } })
    const heard: string[] = []
    let ready = false
    const session = await ai.live.connect({
      model: 'live',
      config: { responseModalities: [Modality.TEXT] },
      callbacks: {
        onmessage(message) {
          if (message.setupComplete) ready = true
          heard.push(...(message.text === undefined ? [] : [message.text]))
        },
      },
    })
    await eventually(() => ready)
    session.sendClientContent({ turns: 'Hello' })
    await eventually(() => heard.length > 0)
    deepEqual(heard, ['Hallo ü'])
    const { url, headers, heard: asked } = google.last()
    match(url, /^\/ws\/google\.ai\.generativelanguage\.v1\.GenerativeService\.BidiGenerateContent$/)
    equal(headers['x-goog-api-key'], 'sk-upstream')
    equal(object(asked[0]?.['setup'])['model'], 'models/gemini-live-2.5-flash')
    session.close()
    const [row] = await rows(1)
    deepEqual(
      [row?.['model_group'], row?.['prompt_tokens'], row?.['completion_tokens']],
      ['live', 30, 12],
    )
  })

  const endings: [name: string, first: string, code: number, reason: RegExp][] = [
    ['no setup', '{"clientContent":{}}', 1008, /has to be a setup/],
    ['an unknown model', '{"setup":{"model":"models/none"}}', 1008, /none/],
    ['a model that speaks otherwise', '{"setup":{"model":"models/voice"}}', 1011, /Live API/],
  ]
  for (const [name, first, code, reason] of endings)
    test(`closed: ${name}`, async () => {
      const path = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent'
      const client = await open(`${path}?key=${key}`, { headers: {} as never })
      client.say(first)
      const ended = await client.closed
      equal(ended.code, code)
      match(ended.reason, reason)
    })
})
