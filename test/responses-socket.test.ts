import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { type JsonObject, list, object, text } from '../src/json/json.ts'
import { eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  chatStream,
  fileScope,
  type Provider,
  type Script,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** Responses over a WebSocket, as Codex speaks them: upstream it is plain HTTP, native or translated. */
const scope = fileScope()
const masterKey = 'sk-master-key-of-the-tests'
let native: Provider
let chatty: Provider
let gateway: Gateway

const line = (type: string, more: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`

const openai: Script = (_, nth) => {
  const response = {
    id: `resp_up${nth}`,
    object: 'response',
    status: 'completed',
    model: 'upstream',
    output: [
      {
        type: 'reasoning',
        id: `rs_${nth}`,
        summary: [],
        encrypted_content: `gAAAA${nth}`,
      },
      {
        type: 'message',
        id: `msg_${nth}`,
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: `Answer ${nth} ü世`, annotations: [] }],
      },
    ],
    usage: { input_tokens: 9, output_tokens: 3, total_tokens: 12 },
  }
  return stream([
    line('response.created', { response: { ...response, status: 'in_progress', output: [] } }),
    line('response.output_text.delta', {
      item_id: `msg_${nth}`,
      output_index: 1,
      content_index: 0,
      delta: `Answer ${nth} ü世`,
    }),
    line('response.completed', { response }),
  ])
}
const onlyChat: Script = (asked) =>
  asked.path !== '/v1/chat/completions'
    ? whole({ detail: 'Not Found' }, { status: 404 })
    : asked.json['stream'] === true
      ? stream(chatStream(asked, [{ content: 'Hel' }, { content: 'lo' }]))
      : whole(chatAnswer({ content: 'Hello' }))

before(async () => {
  native = await startProvider(scope, openai)
  chatty = await startProvider(scope, onlyChat)
  gateway = await startGateway(scope, {
    models: [
      openaiRow('gpt', native),
      {
        model_name: 'together',
        litellm_params: { model: 'together_ai/qwen', api_base: chatty.base, api_key: 'sk-t' },
      },
    ],
    general: { master_key: masterKey },
    host: '127.0.0.1',
  })
})

type Talk = {
  peer: WebSocket
  /** Sends, and waits for the last event of the answer. */
  turn(frame: JsonObject): Promise<JsonObject[]>
}

async function connect(
  t: { after(end: () => unknown): void },
  path = '/v1/responses',
  headers: Record<string, string> = { authorization: `Bearer ${masterKey}` },
): Promise<Talk> {
  const peer = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, { headers })
  t.after(() => peer.terminate())
  await new Promise<void>((resolve, reject) => {
    peer.once('open', resolve)
    peer.once('error', reject)
  })
  const heard: JsonObject[] = []
  peer.on('message', (data) => heard.push(object(JSON.parse(String(data)))))
  return {
    peer,
    async turn(frame) {
      heard.length = 0
      peer.send(JSON.stringify({ type: 'response.create', ...frame }))
      await eventually(() => endings.has(text(heard.at(-1)?.['type']) ?? ''))
      return [...heard]
    },
  }
}
const endings = new Set(['response.completed', 'response.failed', 'error'])
const responseIn = (events: readonly JsonObject[]): JsonObject =>
  object(events.at(-1)?.['response'])
const contents = (json: JsonObject): unknown[] =>
  list(json['messages']).map((message) => object(message)['content'])

/** What a handshake is answered with when it is refused. */
const refused = (path: string, headers: Record<string, string> = {}) =>
  new Promise<{ status: number; body: JsonObject }>((resolve, reject) => {
    const peer = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, { headers })
    peer.on('open', () => reject(new Error('accepted')))
    peer.on('error', () => {})
    peer.on('unexpected-response', (_, response) => {
      let said = ''
      response.on('data', (chunk) => (said += chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: object(JSON.parse(said)) }),
      )
    })
  })

describe('a turn', () => {
  test('has the events of the stream, each as one message', async (t) => {
    const { turn } = await connect(t)
    const events = await turn({
      model: 'gpt',
      input: 'hi',
      store: false,
      client_metadata: { a: 1 },
    })
    deepEqual(
      events.map(({ type }) => type),
      ['response.created', 'response.output_text.delta', 'response.completed'],
    )
    match(String(events[1]?.['delta']), /Answer \d+ ü世/)
    equal(responseIn(events)['model'], 'gpt')
    const { json, headers } = native.last()
    deepEqual(json, {
      model: 'upstream-model',
      input: 'hi',
      store: false,
      client_metadata: { a: 1 },
      stream: true,
    })
    equal(headers['upgrade'], undefined)
    equal(headers.authorization, 'Bearer sk-upstream-credential')
  })

  test('after a warm-up only the new input is sent, and the provider hears all of it', async (t) => {
    const { turn } = await connect(t, '/responses')
    const asked = native.asked.length
    const warm = await turn({
      model: 'gpt',
      input: [{ role: 'user', content: 'one' }],
      generate: false,
      store: false,
    })
    deepEqual(
      warm.map(({ type }) => type),
      ['response.created', 'response.completed'],
    )
    equal(native.asked.length, asked, 'nobody is asked for it')
    const first = await turn({
      model: 'gpt',
      input: [],
      store: false,
      previous_response_id: responseIn(warm)['id'],
    })
    deepEqual(native.last().json['input'], [{ role: 'user', content: 'one' }])
    ok(!('previous_response_id' in native.last().json))
    await turn({
      model: 'gpt',
      input: [{ type: 'function_call_output', call_id: 'c', output: 'x' }],
      store: false,
      previous_response_id: responseIn(first)['id'],
    })
    deepEqual(
      list(native.last().json['input']).map((item) => object(item)['type'] ?? object(item)['role']),
      ['user', 'reasoning', 'message', 'function_call_output'],
    )
    match(String(object(list(native.last().json['input'])[1])['encrypted_content']), /^gAAAA/)
  })

  test('what the provider keeps is named to it, not repeated', async (t) => {
    const { turn } = await connect(t, '/openai/v1/responses')
    const first = await turn({ model: 'gpt', input: 'one' })
    const theirs = `resp_up${native.asked.length}`
    await turn({ model: 'gpt', input: 'two', previous_response_id: responseIn(first)['id'] })
    equal(native.last().json['previous_response_id'], theirs)
    equal(native.last().json['input'], 'two')
  })

  test('at a server that only chats it is the same', async (t) => {
    const { turn } = await connect(t)
    const first = await turn({ model: 'together', input: 'one', store: false })
    equal(text(object(list(responseIn(first)['output'])[0])['type']), 'message')
    await turn({
      model: 'together',
      input: 'two',
      store: false,
      previous_response_id: responseIn(first)['id'],
    })
    deepEqual(contents(chatty.last().json), ['one', 'Hello', 'two'])
  })

  test('an error is an event, and the connection goes on', async (t) => {
    const { turn, peer } = await connect(t)
    const [unknown] = await turn({ model: 'nobody', input: 'x' })
    deepEqual([unknown?.['type'], unknown?.['status']], ['error', 400])
    match(String(object(unknown?.['error'])['message']), /Invalid model name/)
    const [lost] = await turn({ model: 'gpt', input: 'x', previous_response_id: 'resp_tw.AAAA' })
    equal(object(lost?.['error'])['code'], 'previous_response_not_found')
    native.tell(() =>
      whole({ error: { message: 'slow down' } }, { status: 429, headers: { 'retry-after': '7' } }),
    )
    const [limited] = await turn({ model: 'gpt', input: 'x' })
    native.tell(openai)
    deepEqual([limited?.['status'], object(limited?.['headers'])['retry-after']], [429, '7'])
    for (const bad of ['{', '[]', '{"type":"response.steer"}', '"x"']) {
      const heard = new Promise<JsonObject>((resolve) =>
        peer.once('message', (data) => resolve(object(JSON.parse(String(data))))),
      )
      peer.send(bad)
      const said = await heard
      deepEqual([said['type'], said['status']], ['error', 400], bad)
    }
    equal((await turn({ model: 'gpt', input: 'x' })).at(-1)?.['type'], 'response.completed')
  })

  test('each is settled in the ledger as any request', async (t) => {
    const { turn } = await connect(t)
    const before = gateway.running.rooms.ledger.totals()
    await turn({ model: 'gpt', input: 'x' })
    await turn({ model: 'nobody', input: 'x' })
    await eventually(() => gateway.running.rooms.ledger.totals().requests === before.requests + 2)
    equal(gateway.running.rooms.ledger.totals().failures, before.failures + 1)
  })
})

test('a client that leaves in the middle: the provider is told', async (t) => {
  const { peer } = await connect(t)
  chatty.tell((asked) =>
    stream(chatStream(asked, [{ content: 'Hel' }]).slice(0, 2), { end: 'hang' }),
  )
  const first = new Promise((resolve) => peer.once('message', resolve))
  peer.send(JSON.stringify({ type: 'response.create', model: 'together', input: 'x' }))
  await first
  peer.terminate()
  equal(await chatty.last().gone, true)
  chatty.tell(onlyChat)
})

describe('a handshake', () => {
  test('asks who it is, in JSON', async () => {
    for (const headers of [{}, { authorization: 'Bearer sk-wrong' }]) {
      const { status, body } = await refused('/v1/responses', headers)
      equal(status, 401)
      ok(text(object(body['error'])['message']))
    }
  })

  test('a path without a WebSocket says so', async () => {
    const headers = { authorization: `Bearer ${masterKey}` }
    equal((await refused('/v1/models', headers)).status, 426)
    equal((await refused('/v1/chat/completions', headers)).status, 426)
    equal((await refused('/nowhere', headers)).status, 404)
    const plain = await gateway.get('/v1/responses', headers)
    equal(plain.status, 426)
    equal(plain.headers.get('allow'), 'POST')
  })

  test('what is no handshake is refused and nothing breaks', async (t) => {
    const response = await new Promise<string>((resolve, reject) => {
      import('node:net').then(({ connect: open }) => {
        const socket = open(gateway.port, '127.0.0.1')
        t.after(() => socket.destroy())
        let said = ''
        socket.on('data', (chunk) => (said += chunk))
        socket.on('close', () => resolve(said))
        socket.on('error', reject)
        socket.write(
          `GET /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${masterKey}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: short\r\n\r\n`,
        )
      }, reject)
    })
    match(response, /^HTTP\/1\.1 400 /)
    match(response, /no WebSocket handshake/)
  })
})

test('a message larger than a body may be ends the connection, not the gateway', async (t) => {
  const small = await startGateway(t, {
    models: [openaiRow('gpt', native)],
    general: { max_request_size_mb: 1 },
  })
  const peer = new WebSocket(`${small.url.replace('http', 'ws')}/v1/responses`)
  t.after(() => peer.terminate())
  await new Promise((resolve) => peer.once('open', resolve))
  const closed = new Promise<number>((resolve) => peer.once('close', resolve))
  peer.on('error', () => {})
  peer.send('x'.repeat(2 * 1024 * 1024))
  equal(await closed, 1009)
  equal((await small.get('/health/liveliness')).status, 200)
})

test('a gateway that closes lets the turn finish and says goodbye', async (t) => {
  const own = await startGateway(t, { models: [openaiRow('gpt', native)] })
  const peer = new WebSocket(`${own.url.replace('http', 'ws')}/v1/responses`)
  t.after(() => peer.terminate())
  await new Promise((resolve) => peer.once('open', resolve))
  const heard: string[] = []
  peer.on('message', (data) => heard.push(String(JSON.parse(String(data)).type)))
  const closed = new Promise<number>((resolve) => peer.once('close', resolve))
  native.tell((asked, nth) => {
    const told = openai(asked, nth)
    if (!('type' in told) || told.type !== 'stream') throw new Error('a stream is told')
    const [first = '', ...rest] = told.steps
    return { ...told, steps: [first, 100, ...rest] }
  })
  peer.send(JSON.stringify({ type: 'response.create', model: 'gpt', input: 'x' }))
  await eventually(() => heard.length > 0)
  const closing = own.running.close(5000)
  equal(await closed, 1001)
  native.tell(openai)
  equal(heard.at(-1), 'response.completed')
  await closing
})
