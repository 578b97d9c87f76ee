import { deepEqual, equal, ok } from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { ask, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  type Asked,
  chatAnswer,
  chatStream,
  chunk,
  sse,
  startProvider,
  stream,
  type Told,
  whole,
} from './support/provider.ts'

/** A canary for every place a credential can be; none may come out again, whatever a provider does with it. */
const canary = {
  apiKey: 'sk-canary-api-key-0123456789/+=',
  environment: 'sk-canary-environment-0123456789',
  header: 'canary-extra-header-0123456789',
  oddHeader: 'canary-odd-header"quoted"\\0123456789',
  cookie: 'session=canary-cookie-0123456789',
  headers: 'canary-headers-0123456789',
  login: 'canary-login-0123456789',
  query: 'canary-query-0123456789',
  nested: 'canary-extra-body-0123456789',
  master: 'sk-canary-master-0123456789',
  info: 'canary-model-info-0123456789',
}
const echoes = Buffer.from(`user:${canary.login}`).toString('base64')

const rows = (base: string): JsonObject[] => {
  const bare = base.replace('http://', '')
  return [
    openaiRow(
      'keyed',
      { base },
      {
        api_key: canary.apiKey,
        extra_headers: {
          'X-Corp-Auth': canary.header,
          Cookie: canary.cookie,
          'X-Odd': canary.oddHeader,
        },
        headers: { 'X-Other': canary.headers },
        extra_body: { internal_token: canary.nested },
        additional_drop_params: ['user'],
      },
      { api_key: canary.info, note: 'shown' },
    ),
    openaiRow('from-environment', { base }, { api_key: undefined }),
    openaiRow(
      'by-address',
      { base: `http://user:${canary.login}@${bare}?api_key=${canary.query}` },
      { api_key: undefined },
    ),
    {
      model_name: 'claude',
      litellm_params: {
        model: 'anthropic/claude-sonnet-4-5',
        api_base: base.replace('/v1', ''),
        api_key: canary.apiKey,
      },
    },
  ]
}

/** Everything it was sent, in every way it could say it. */
const echoed = ({ headers, path, text }: Asked): string =>
  JSON.stringify({ headers, path, text, lines: Object.values(headers) })

const anthropicBlock = (value: JsonObject): string =>
  `event: ${String(value['type'])}\ndata: ${JSON.stringify(value)}\n\n`

const answers: [name: string, tell: (asked: Asked) => Told][] = [
  ['a body', (asked) => whole(chatAnswer({ content: echoed(asked) }, { debug: asked.headers }))],
  [
    'a body with slashes escaped',
    (asked) => whole(JSON.stringify(chatAnswer({ content: echoed(asked) })).replaceAll('/', '\\/')),
  ],
  [
    'a body in another wire',
    (asked) =>
      whole({
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'x',
        stop_reason: 'end_turn',
        content: [{ type: 'text', text: echoed(asked) }],
        usage: { input_tokens: 1, output_tokens: 1 },
      }),
  ],
  [
    'a stream',
    (asked) =>
      stream(
        chatStream(asked, [
          { content: 'a' },
          { content: echoed(asked) },
          { content: echoed(asked) },
        ]),
      ),
  ],
  [
    'a stream in another wire',
    (asked) =>
      stream([
        anthropicBlock({ type: 'message_start', message: { id: 'msg_1', model: 'x', usage: {} } }),
        anthropicBlock({
          type: 'content_block_start',
          index: 0,
          content_block: { type: 'text', text: '' },
        }),
        ...[1, 2].map(() =>
          anthropicBlock({
            type: 'content_block_delta',
            index: 0,
            delta: { type: 'text_delta', text: echoed(asked) },
          }),
        ),
        anthropicBlock({ type: 'content_block_stop', index: 0 }),
        anthropicBlock({
          type: 'message_delta',
          delta: { stop_reason: 'end_turn' },
          usage: { output_tokens: 1 },
        }),
        anthropicBlock({ type: 'message_stop' }),
      ]),
  ],
  ['a whole answer to a stream', (asked) => whole(chatAnswer({ content: echoed(asked) }))],
  ['an error’s message', (asked) => whole({ error: { message: echoed(asked) } }, { status: 400 })],
  [
    'every field of an error',
    (asked) => {
      const said = String(asked.headers.authorization ?? asked.headers['x-api-key'])
      return whole(
        { error: { message: said, type: said, code: said, param: said } },
        { status: 401 },
      )
    },
  ],
  ['an error’s fields of its own', (asked) => whole({ errors: [asked.headers] }, { status: 422 })],
  [
    'a page',
    (asked) =>
      whole(`<html><title>${asked.headers.authorization}</title>`, {
        status: 502,
        headers: { 'content-type': 'text/html' },
      }),
  ],
  [
    'text',
    (asked) =>
      whole(echoed(asked).slice(0, 400), {
        status: 500,
        headers: { 'content-type': 'text/plain' },
      }),
  ],
  [
    'headers of an answer',
    (asked) => whole(chatAnswer({ content: 'x' }), { headers: headersOf(asked) }),
  ],
  [
    'headers of an error',
    (asked) => whole({ error: { message: 'x' } }, { status: 429, headers: headersOf(asked) }),
  ],
  [
    'headers of a stream',
    (asked) => stream(chatStream(asked, [{ content: 'x' }]), { headers: headersOf(asked) }),
  ],
  [
    'a stream that begins with an error',
    (asked) => stream([sse({ error: { message: echoed(asked), code: 500 } })]),
  ],
  [
    'an error in the middle of a stream',
    (asked) =>
      stream([
        chunk({ role: 'assistant', content: 'x' }),
        2,
        sse({ error: { message: echoed(asked), type: String(asked.headers.authorization) } }),
      ]),
  ],
  ['not JSON', (asked) => whole(echoed(asked).slice(1))],
  [
    'frames that are not JSON',
    (asked) =>
      stream([
        chunk({ role: 'assistant', content: 'x' }),
        2,
        `data: ${echoed(asked).slice(1)}\n\n`,
      ]),
  ],
  [
    'a redirect',
    (asked) =>
      whole('', {
        status: 302,
        headers: { location: `http://example.invalid/?${asked.headers.authorization}` },
      }),
  ],
]

/** Names of its choosing, and those a client would be shown in any case. */
const headersOf = ({ headers }: Asked): Record<string, string> => {
  const out: Record<string, string> = {}
  Object.values(headers).forEach((value, index) => {
    if (value !== undefined && !/[^\x20-\x7e]/.test(String(value)))
      out[`x-echo-${index}`] = String(value)
  })
  const key = String(headers.authorization ?? headers['x-api-key'])
  return {
    ...out,
    'retry-after': key,
    'x-request-id': key,
    'x-ratelimit-limit-requests': key,
    'set-cookie': key,
  }
}

/** As they are, and as JSON writes them. */
const forbidden = [...Object.values(canary), echoes].flatMap((one) => [
  one,
  JSON.stringify(one).slice(1, -1),
  one.replaceAll('/', '\\/'),
])
const found = (said: string): string[] => [
  ...new Set(forbidden.filter((one) => said.includes(one))),
]

const everything = async (response: Response): Promise<string> =>
  `${response.status} ${JSON.stringify([...response.headers])}\n${await response.text().catch(String)}`

async function start(t: Parameters<typeof startGateway>[0]) {
  const provider = await startProvider(t, () => whole({}))
  const gateway = await startGateway(t, {
    models: rows(provider.base),
    general: { master_key: canary.master },
    env: { OPENAI_API_KEY: canary.environment },
    host: '127.0.0.1',
    key: canary.master,
  })
  return { provider, gateway }
}

describe('a provider that echoes what it was sent shows no credential', () => {
  for (const [name, tell] of answers)
    test(`in ${name}`, async (t) => {
      const { provider, gateway } = await start(t)
      provider.tell(tell)
      const asked = provider.asked.length
      for (const model of ['keyed', 'from-environment', 'by-address', 'claude'])
        for (const streamed of [false, true])
          for (const path of ['/v1/chat/completions', '/v1/messages']) {
            const body = ask(model, { stream: streamed, max_tokens: 5 })
            const said = await everything(await gateway.post(path, body))
            deepEqual(found(said), [], `${model} ${path} ${streamed}: ${said.slice(0, 2000)}`)
          }
      ok(provider.asked.length >= asked + 16)
      deepEqual(found(gateway.logged()), [])
      ok(gateway.logged().includes('request'), 'entries are logged')
    })

  test('and the credentials do reach it', async (t) => {
    const { provider, gateway } = await start(t)
    const sent = async (model: string) => {
      await (await gateway.post('/v1/chat/completions', ask(model))).text()
      const { headers, path, text } = provider.last()
      return JSON.stringify([headers, path, text])
    }
    const keyed = await sent('keyed')
    for (const one of [canary.apiKey, canary.header, canary.cookie, canary.headers, canary.nested])
      ok(keyed.includes(one), one)
    ok((await sent('from-environment')).includes(canary.environment))
    const address = await sent('by-address')
    ok(address.includes(canary.query))
    for (const one of provider.asked) ok(!JSON.stringify(one).includes(canary.master), 'never ours')
  })
})

test('nothing that describes models or health shows a credential', async (t) => {
  const { provider, gateway } = await start(t)
  provider.tell((asked) => whole({ error: { message: echoed(asked) } }, { status: 400 }))
  const paths =
    `/model/info /v1/model/info /v1/models /models /v1/models/keyed /model_group/info /health /health/readiness
    /health/liveliness /routes /openapi.json /docs / /get/litellm_model_cost_map /utils/supported_openai_params?model=keyed
    /model/info?litellm_model_id=nobody /v1/models/nobody /nowhere /health?model=keyed`.split(/\s+/)
  for (const path of paths) {
    const said = await everything(await gateway.get(path))
    deepEqual(found(said), [], `${path}: ${said.slice(0, 500)}`)
  }
  const { data } = await (await gateway.get('/model/info')).json()
  equal(data[0].model_info.note, 'shown')
  deepEqual(found(gateway.logged()), [])
})

test('a key the gateway refuses is not repeated', async (t) => {
  const { gateway } = await start(t)
  for (const headers of carriers('sk-canary-api-key-0123456789/+=')) {
    const said = await everything(await fetch(`${gateway.url}/v1/models`, { headers }))
    ok(said.startsWith('401'))
    deepEqual(found(said), [])
  }
  deepEqual(found(gateway.logged()), [])
})

const carriers = (key: string): Record<string, string>[] => [
  { authorization: `Bearer ${key}` },
  { authorization: key },
  { 'x-api-key': key },
  { 'api-key': key },
  { 'x-goog-api-key': key },
  { 'x-litellm-api-key': key },
]

test('the gateway’s key never goes on to a provider, not even where clients’ headers do', async (t) => {
  const provider = await startProvider(t, () => whole(chatAnswer({ content: 'x' })))
  const options = {
    models: [openaiRow('m', provider), ...rows(provider.base).slice(3)],
    general: {
      master_key: canary.master,
      forward_client_headers_to_llm_api: true,
      forward_openai_org_id: true,
      litellm_key_header_name: 'X-Corp-Gateway-Key',
    },
    host: '127.0.0.1',
  }
  const gateway: Gateway = await startGateway(t, options)
  for (const headers of [
    ...carriers(canary.master),
    { 'x-corp-gateway-key': canary.master },
    { 'x-corp-gateway-key': `Bearer ${canary.master}`, 'x-custom': 'goes on' },
  ])
    for (const model of ['m', 'claude']) {
      const body = ask(model, { max_tokens: 5 })
      equal((await gateway.post('/v1/chat/completions', body, headers)).status < 503, true)
      const { headers: sent, path, text } = provider.last()
      ok(!JSON.stringify([sent, path, text]).includes(canary.master), JSON.stringify(sent))
    }
  equal(provider.last().headers['x-custom'], 'goes on')
})
