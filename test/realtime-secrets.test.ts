import { deepEqual, equal, match } from 'node:assert/strict'
import { before, test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import { fileScope, type Provider, refusal, startProvider, whole } from './support/provider.ts'

/** Keys for realtime sessions, made by the provider for callers who may use the session's model. */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
let provider: Provider
let gateway: Gateway

before(async () => {
  provider = await startProvider(scope, () =>
    whole({ value: 'ek_1', expires_at: 1, session: { type: 'realtime', model: 'gpt-realtime' } }),
  )
  gateway = await startGateway(scope, {
    general: { master_key: key },
    models: [
      openaiRow('voice', provider, { model: 'openai/gpt-realtime' }),
      openaiRow('other', provider, { model: 'openai/gpt-realtime-mini' }),
      {
        model_name: 'live',
        litellm_params: { model: 'gemini/gemini-live', api_key: 'k', api_base: provider.base },
      },
    ],
    key,
  })
})

const ask = (body: JsonObject, path = '/v1/realtime/client_secrets', token = key) =>
  gateway.post(path, body, { authorization: `Bearer ${token}` })
const session = (model: string): JsonObject => ({ session: { type: 'realtime', model } })

test('the provider makes it with the real key, and hears its own name of the model', async () => {
  const response = await ask(session('voice'))
  deepEqual(await response.json(), {
    value: 'ek_1',
    expires_at: 1,
    session: { type: 'realtime', model: 'voice' },
  })
  const { path, json, headers } = provider.last()
  equal(path, '/v1/realtime/client_secrets')
  deepEqual(json, session('gpt-realtime'))
  equal(headers.authorization, 'Bearer sk-upstream-credential')
})

test('every path leads there', async () => {
  for (const kind of ['client_secrets', 'sessions', 'transcription_sessions'])
    for (const start of ['/v1/realtime', '/realtime', '/openai/v1/realtime']) {
      equal((await ask({ model: 'voice' }, `${start}/${kind}`)).status, 200)
      equal(provider.last().path, `/v1/realtime/${kind}`)
    }
})

test('a caller gets one for models it may use, wherever the body names the model', async () => {
  const made = await gateway.post('/key/generate', { models: ['voice'] })
  const { key: bound } = await made.json()
  equal((await ask(session('voice'), undefined, bound)).status, 200)
  const asked = provider.asked.length
  for (const body of [
    session('other'),
    { model: 'voice', ...session('other') },
    { session: { model: 'other' }, model: 'voice' },
  ])
    equal((await ask(body, undefined, bound)).status, 403, JSON.stringify(body))
  equal((await ask({ model: 'other' }, '/v1/realtime/sessions', bound)).status, 403)
  equal((await ask(session('voice'), undefined, 'sk-nobody')).status, 401)
  equal(provider.asked.length, asked)
})

test('refused in words', async () => {
  const rows: [body: JsonObject, status: number, message: RegExp][] = [
    [{}, 400, /session\.model/],
    [session('nobody'), 400, /nobody/],
    [session('live'), 501, /does not offer realtime here/],
  ]
  for (const [body, status, message] of rows) {
    const response = await ask(body)
    const said = await response.text()
    equal(response.status, status, said)
    match(said, message)
  }
  provider.tell(() => refusal(429, { message: 'slow down' }))
  equal((await ask(session('voice'))).status, 429)
})

test('where nothing without a price may be asked, it is not', async () => {
  const strict = await startGateway(scope, {
    general: { unpriced_models: 'deny' },
    models: [openaiRow('voice', provider, { model: 'openai/gpt-realtime' })],
  })
  const response = await strict.post('/v1/realtime/client_secrets', session('voice'))
  equal(response.status, 403)
  match(await response.text(), /connect to \/v1\/realtime instead/)
})
