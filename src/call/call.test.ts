import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { type JsonObject, object } from '../json/json.ts'
import { utf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import { type Answer, type CallDeps, call, named } from './call.ts'
import { mockTransport } from './mock.ts'
import type { Limits } from './transport.ts'
import {
  answer,
  ask,
  chunk,
  deployment,
  done,
  event,
  hear,
  type Provider,
  provider,
  stopped,
  type Told,
  usage,
} from './upstream.test.ts'

const depsOf = ({ transport }: Provider): CallDeps => ({
  transport,
  mock: mockTransport,
  maxLineBytes: 1000,
  maxAnswerBytes: 1 << 20,
})
const limits: Limits = { firstByteMs: 1000 }
const reach = (
  from: Provider,
  said: JsonObject = {},
  to: Deployment = deployment(),
): Promise<Answer> =>
  call(hear(said), to, ask(), depsOf(from), { signal: new AbortController().signal, limits })
const refused = async (
  from: Provider,
  said: JsonObject = {},
  to?: Deployment,
): Promise<GatewayError> => {
  const error = await reach(from, said, to).then(
    () => undefined,
    (cause: unknown) => cause,
  )
  assert.ok(GatewayError.is(error), String(error))
  return error
}
const streamOf = async (from: Provider, to?: Deployment) => {
  const got = await reach(from, { stream: true }, to)
  assert.ok(got.type === 'stream')
  return { ...got, head: got.head.map(utf8).join('') }
}

test('a whole answer: what was sent and what came', async () => {
  const from = provider({
    body: answer('hi'),
    headers: {
      'x-request-id': 'q',
      'x-ratelimit-remaining-requests': '5',
      'set-cookie': 'c',
      authorization: 'x',
    },
  })
  const got = await reach(from, { temperature: 0 })
  assert.ok(got.type === 'whole')
  const [asked] = from.asked
  assert.equal(asked?.url, 'https://api.openai.com/v1/chat/completions')
  assert.deepEqual(asked?.headers, {
    'content-type': 'application/json',
    authorization: 'Bearer sk-1234567890',
  })
  assert.deepEqual(asked?.json, {
    model: 'gpt-x',
    messages: [{ role: 'user', content: 'hi' }],
    temperature: 0,
  })
  assert.deepEqual(asked?.limits, limits)
  assert.deepEqual(got.headers, {
    'llm_provider-content-type': 'application/json',
    'llm_provider-x-request-id': 'q',
    'llm_provider-x-ratelimit-remaining-requests': '5',
    'x-ratelimit-remaining-requests': '5',
  })
  assert.equal(object(JSON.parse(got.result.encode(undefined).body))['model'], 'public')
})

const refusals: [
  name: string,
  told: Told | Error,
  kind: string,
  status: number,
  message: string,
][] = [
  [
    'a status',
    { status: 429, body: '{"error":{"message":"slow"}}', headers: { 'retry-after': '7' } },
    'rate_limit',
    429,
    'slow',
  ],
  [
    'an error in a success',
    { body: '{"error":{"message":"no","code":503}}' },
    'unavailable',
    503,
    'no',
  ],
  [
    'no JSON',
    { body: '<html>' },
    'bad_gateway',
    502,
    'the upstream answered with something that is no JSON object',
  ],
  [
    'an empty answer',
    { body: '' },
    'bad_gateway',
    502,
    'the upstream answered with something that is no JSON object',
  ],
  ['a status below 200', { status: 101, body: '' }, 'bad_request', 101, 'error'],
  [
    'a break in the answer',
    { body: [new GatewayError('timeout', 'slow')] },
    'timeout',
    408,
    'slow',
  ],
  [
    'no connection',
    new GatewayError('provider', 'Connection error.'),
    'provider',
    500,
    'Connection error.',
  ],
]
for (const [name, told, kind, status, message] of refusals)
  test(`refused: ${name}`, async () => {
    const error = await refused(provider(told))
    assert.deepEqual([error.kind, error.message, error.provider], [kind, message, 'OpenAI'])
    if (status >= 200) assert.equal(error.status, status)
    if (status === 429)
      assert.deepEqual([error.retryAfter, error.headers?.['llm_provider-retry-after']], ['7', '7'])
  })

test('what throws no GatewayError is ours, and says nothing', async () => {
  const error = await refused(provider(new Error('sk-canary')))
  assert.deepEqual(
    [error.kind, error.message, error.provider],
    ['internal', 'Internal server error', undefined],
  )
})

test('a row with a problem is never called', async () => {
  const from = provider({ body: answer('hi') })
  const error = await refused(from, {}, deployment({ api_key: undefined }))
  assert.match(error.message, /OPENAI_API_KEY/)
  assert.deepEqual(
    [error.kind, error.provider, from.asked.length],
    ['authentication', undefined, 0],
  )
})

const before: [name: string, reads: Told['body'], kind: string, message: RegExp][] = [
  ['an error event', [event({ error: { message: 'boom', code: 503 } })], 'unavailable', /boom/],
  [
    'an error after the role',
    [chunk({ role: 'assistant', content: '' }), event({ error: { message: 'boom' } })],
    'provider',
    /boom/,
  ],
  ['nothing at all', [], 'bad_gateway', /before the answer was complete/],
  ['comments only', [': hi\n\n', ': hi\n\n'], 'bad_gateway', /before the answer was complete/],
  [
    'a role and the end',
    [chunk({ role: 'assistant', content: '' })],
    'bad_gateway',
    /before the answer was complete/,
  ],
  ['no JSON', [event('oops')], 'bad_gateway', /not JSON/],
  ['a line without end', ['data: ', 'x'.repeat(1001)], 'bad_gateway', /more than 1000 bytes/],
  [
    'a break',
    [chunk({ role: 'assistant', content: '' }), new GatewayError('timeout', 'slow')],
    'timeout',
    /slow/,
  ],
]
for (const [name, body, kind, message] of before)
  test(`before anything was said, ${name} is an error of the call`, async () => {
    const from = provider({ body })
    const error = await refused(from, { stream: true })
    assert.deepEqual([error.kind, error.provider], [kind, 'OpenAI'])
    assert.match(error.message, message)
  })

test('an error before content ends the upstream request', async () => {
  const from = provider({ body: [event({ error: 'boom' }), 'wait', 'wait'] })
  await refused(from, { stream: true })
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(from.left, 1)
})

test('a stream begins when something was said; the rest is read later', async () => {
  const from = provider({
    body: [
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'a' }),
      chunk({ content: 'b' }) + stopped,
      usage + done,
    ],
  })
  const { head, rest, relay } = await streamOf(from)
  assert.equal(head.split('\n\n').length, 3)
  assert.equal(relay.content, true)
  let out = ''
  for (let read = await rest.next(); read; read = await rest.next())
    out += utf8(relay.push(read) ?? new Uint8Array())
  assert.match(out, /"content":"b"/)
  assert.equal(relay.usage()?.input, 7)
  assert.equal(relay.complete, true)
})

test('an answer without a word is an answer', async () => {
  const { head, relay } = await streamOf(provider({ body: [stopped + done] }))
  assert.match(head, /"finish_reason":"stop"/)
  assert.equal(relay.fault, undefined)
})

test('a provider that says [DONE] and nothing else, told again in another wire, ends lawfully', async () => {
  const from = provider({ body: [done] })
  const said = hear({ max_tokens: 5, stream: true }, 'anthropic')
  const got = await call(said, deployment(), ask(), depsOf(from), {
    signal: new AbortController().signal,
    limits,
  })
  assert.ok(got.type === 'stream')
  const { relay, head, rest } = got
  assert.equal(await rest.next(), undefined)
  const out =
    head.map(utf8).join('') + utf8(relay.flush() ?? new Uint8Array()) + utf8(relay.end(undefined))
  assert.equal(out.match(/event: message_stop/g)?.length, 1)
})

test('asked to stream, answered whole: the client gets its stream', async () => {
  const { head, relay, rest } = await streamOf(provider({ body: answer('hi') }))
  assert.match(head, /"content":"hi"/)
  assert.deepEqual([relay.content, relay.complete, await rest.next()], [true, true, undefined])
  assert.equal(utf8(relay.end(undefined)), 'data: [DONE]\n\n')
  assert.equal(relay.usage()?.input, 7)
  rest.stop()
})

for (const [body, kind] of [
  ['{"error":{"message":"no","code":429}}', 'rate_limit'],
  ['{"choices":[,]}', 'bad_gateway'],
  ['{}', 'bad_gateway'],
  ['', 'bad_gateway'],
] as const)
  test(`asked to stream, answered whole: ${body || 'nothing'} is refused`, async () => {
    const error = await refused(provider({ body }), { stream: true })
    assert.deepEqual([error.kind, error.provider], [kind, 'OpenAI'])
  })

test('silence after the first byte: the answer begins all the same', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const from = provider({ body: [] })
  const transport: CallDeps['transport'] = async (request) => {
    const reply = await from.transport(request)
    async function* body() {
      yield new TextEncoder().encode(': begun\n\n')
      await held
      yield new TextEncoder().encode(chunk({ role: 'assistant', content: 'late' }) + stopped)
    }
    return { ...reply, body: body() }
  }
  const calling = call(
    hear({ stream: true }),
    deployment(),
    ask(),
    { ...depsOf(from), transport },
    { signal: new AbortController().signal, limits },
  )
  for (let i = 0; i < 10; i++) await Promise.resolve()
  t.mock.timers.tick(2000)
  const got = await calling
  assert.ok(got.type === 'stream' && !got.relay.content)
  release?.()
  const read = await got.rest.next()
  assert.match(utf8(got.relay.push(read ?? new Uint8Array()) ?? new Uint8Array()), /late/)
})

test('leaving a stream ends the upstream request', async () => {
  const from = provider({
    body: [chunk({ role: 'assistant', content: 'a' }), 'wait', chunk({ content: 'b' })],
  })
  const { rest } = await streamOf(from)
  rest.stop()
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(from.left, 1)
})

const canary = 'sk-canary-0123456789'
const echo = {
  status: 401,
  body: JSON.stringify({
    error: { message: `bad key ${canary}`, type: canary, param: canary, code: canary },
  }),
  headers: { 'x-echo': `Bearer ${canary}`, 'retry-after': canary },
}
const slots: [slot: string, params: JsonObject][] = [
  ['api_key', { api_key: canary }],
  ['extra_headers', { extra_headers: { 'x-corp': canary } }],
  ['headers', { headers: { Authorization: `Bearer ${canary}` } }],
  ['extra_body', { extra_body: { secret: canary } }],
  ['api_base login', { api_base: `https://user:${canary}@upstream.invalid/v1` }],
  ['api_base query', { api_base: `https://upstream.invalid/v1?key=${canary}` }],
]
for (const [slot, params] of slots)
  test(`a credential in ${slot} is shown nowhere`, async () => {
    const to = deployment(params)
    const error = await refused(provider(echo), {}, to)
    const seen = JSON.stringify([
      error.message,
      error.type,
      error.param,
      error.code,
      error.retryAfter,
      error.headers,
    ])
    assert.doesNotMatch(seen, /canary/)
    const inStream = await refused(
      provider({ body: [event({ error: { message: `key ${canary}` } })] }),
      { stream: true },
      to,
    )
    assert.doesNotMatch(inStream.message, /canary/)
    const { head, relay, headers } = await streamOf(
      provider({
        body: [
          chunk({ role: 'assistant', content: `it is ${canary}` }) +
            event({ error: { message: canary } }),
        ],
        headers: { 'x-echo': canary },
      }),
      to,
    )
    assert.doesNotMatch(head + JSON.stringify(headers), /canary/)
    assert.doesNotMatch(named(relay.fault, to).message, /canary/)
    const whole = await reach(
      provider({ body: answer(canary), headers: { 'x-echo': canary } }),
      {},
      to,
    )
    assert.ok(whole.type === 'whole')
    assert.doesNotMatch(
      whole.result.encode(undefined).body + JSON.stringify(whole.headers),
      /canary/,
    )
  })

test('a fetched token is a secret too, and signing adds headers only to its own request', async () => {
  const to: Deployment = {
    ...deployment(),
    authorize: async ({ headers }) => void (headers['authorization'] = `Bearer ${canary}`),
  }
  const error = await refused(provider(echo), {}, to)
  assert.doesNotMatch(error.message, /canary/)
  assert.equal(to.headers['authorization'], 'Bearer sk-1234567890')
})

test('a credential that changes: each is hidden in the answers of its own requests', async () => {
  let token = ''
  const to: Deployment = {
    ...deployment(),
    authorize: ({ headers }) => void (headers['authorization'] = `Bearer ${token}`),
  }
  for (token of ['canary-of-1234567890', 'canary-of-1234567890', 'canary-of-0987654321']) {
    const error = await refused(provider({ status: 400, body: `no ${token}` }), {}, to)
    assert.match(error.message, /no /)
    assert.doesNotMatch(error.message, /canary/)
    const got = await reach(provider({ body: answer(`it is ${token}`) }), {}, to)
    assert.ok(got.type === 'whole')
    assert.doesNotMatch(String(got.result.encode(undefined).body), /canary/)
    assert.ok(got.deployment.secrets.includes(token))
  }
})
