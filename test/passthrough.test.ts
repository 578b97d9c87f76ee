import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import type { Entry } from '../src/ledger/ledger.ts'
import { exchange } from './raw-client.ts'
import { eventually, type Gateway, startGateway } from './support/gateway.ts'
import {
  fileScope,
  type Provider,
  refusal,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** Requests that pass to a provider untouched, and to servers of the operator's. */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
let provider: Provider
let gateway: Gateway

before(async () => {
  provider = await startProvider(scope, () => whole({}))
  gateway = await startGateway(scope, {
    general: {
      master_key: key,
      pass_through_endpoints: [
        {
          path: '/own/api',
          target: `${provider.origin}/elsewhere?fixed=1`,
          include_subpath: true,
          headers: { 'X-Secret': 'operator' },
          default_query_params: { more: 'x' },
          cost_per_request: 0.25,
        },
        { path: '/open', target: provider.origin, auth: false, methods: ['GET'] },
      ],
    },
    env: {
      OPENAI_API_KEY: 'sk-openai-credential',
      OPENAI_BASE_URL: `${provider.origin}/v1`,
      ANTHROPIC_API_KEY: 'sk-ant-credential',
      ANTHROPIC_API_BASE: provider.origin,
      GEMINI_API_KEY: 'gemini-credential',
      GEMINI_API_BASE: `${provider.origin}/v1beta`,
    },
    key,
  })
})
const totals = () => gateway.running.rooms.ledger.totals()

describe('a provider’s own API', () => {
  test('path, query and bytes are untouched; our credential is in the place of the caller’s', async () => {
    provider.tell(() => whole({ object: 'list' }, { headers: { 'x-own': 'yes' } }))
    const body = ' {"a": 1,\n"b":[1.50]}'
    const response = await gateway.post('/openai/v1/evals/a%2Fb?after=x%20y', body, {
      'x-custom': 'mine',
      cookie: 'session=1',
      'x-api-key': 'other',
    })
    equal(response.status, 200)
    equal(response.headers.get('llm_provider-x-own'), 'yes')
    ok(response.headers.get('x-litellm-call-id'))
    const { path, text, headers } = provider.last()
    deepEqual([path, text], ['/v1/evals/a%2Fb?after=x%20y', body])
    equal(headers.authorization, 'Bearer sk-openai-credential')
    deepEqual(
      [headers['x-custom'], headers['cookie'], headers['x-api-key']],
      ['mine', undefined, undefined],
    )
  })

  test('the key of Google’s clients stays here', async () => {
    provider.tell(() => whole({}))
    const response = await fetch(
      `${gateway.url}/gemini/v1beta/models/g:countTokens?key=${key}&alt=json`,
      {
        method: 'POST',
        body: '{}',
      },
    )
    equal(response.status, 200)
    equal(provider.last().path, '/v1beta/models/g:countTokens?alt=json')
    equal(provider.last().headers['x-goog-api-key'], 'gemini-credential')
  })

  test('files of Google and Anthropic are asked for at the paths their clients know', async () => {
    provider.tell(() =>
      whole('{}', {
        headers: {
          'x-goog-upload-url': 'https://google.example/upload?upload_id=1',
          'x-goog-upload-status': 'active',
        },
      }),
    )
    const begun = await fetch(`${gateway.url}/upload/v1beta/files?key=${key}`, {
      method: 'POST',
      headers: { 'x-goog-upload-command': 'start', 'content-type': 'application/json' },
      body: '{"file":{}}',
    })
    equal(begun.headers.get('x-goog-upload-url'), 'https://google.example/upload?upload_id=1')
    equal(provider.last().path, '/upload/v1beta/files')
    deepEqual(
      [provider.last().headers['x-goog-upload-command'], provider.last().headers['x-goog-api-key']],
      ['start', 'gemini-credential'],
    )
    await gateway.get('/v1beta/files/abc:download?alt=media', { 'x-goog-api-key': key })
    equal(provider.last().path, '/v1beta/files/abc:download?alt=media')

    const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'files-api-2025-04-14' }
    for (const place of ['', '/anthropic']) {
      await gateway.get(`${place}/v1/files/file_011?beta=true`, headers)
      equal(provider.last().path, '/v1/files/file_011?beta=true')
    }
    deepEqual(
      [provider.last().headers['x-api-key'], provider.last().headers['anthropic-beta']],
      ['sk-ant-credential', 'files-api-2025-04-14'],
    )
  })

  test('its errors are its own', async () => {
    provider.tell(() => refusal(418, { message: 'teapot', own: true }))
    const response = await gateway.get('/openai/v1/anything')
    equal(response.status, 418)
    deepEqual(await response.json(), { error: { message: 'teapot', own: true } })
  })

  test('what it used is read from what passes', async () => {
    const rows = [
      [
        '/openai/v1/chat/completions',
        whole({ model: 'gpt-4o-mini', usage: { input_tokens: 1000, output_tokens: 1000 } }),
        0.00075,
      ],
      [
        '/anthropic/v1/messages/batches',
        stream([
          'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-haiku-4-5-20251001","usage":{"input_tokens":1000,"output_tokens":1}}}\n\n',
          'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":1000}}\n\n',
        ]),
        0.006,
      ],
    ] as const
    for (const [path, told, dollars] of rows) {
      provider.tell(() => told)
      const before = totals()
      await (await gateway.post(path, { model: 'x' })).text()
      await eventually(() => totals().requests > before.requests)
      equal((totals().nanoDollars - before.nanoDollars) / 1e9, dollars, path)
    }
  })

  test('never upwards, and nowhere without a credential', async () => {
    const asked = provider.asked.length
    for (const path of ['/openai/v1/%2e%2e/admin', '/openai/..%2f..', '/openai/a%5c..'])
      match(
        // `fetch` would tidy the path.
        await exchange(
          gateway.port,
          `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`,
        ),
        /^HTTP\/1.1 400 /,
        path,
      )
    const mistral = await gateway.get('/mistral/v1/models')
    equal(mistral.status, 501)
    match((await mistral.json()).error.message, /MISTRAL_API_KEY/)
    equal((await fetch(`${gateway.url}/openai/v1/models`)).status, 401)
    equal(provider.asked.length, asked)
  })
})

describe('pass_through_endpoints', () => {
  test('what is below the path, with the operator’s headers and query, at its price', async () => {
    provider.tell(() => whole({ ok: true }))
    const before = totals()
    const response = await gateway.post('/own/api/b/c?q=1', { a: 1 }, { 'x-custom': 'mine' })
    deepEqual(await response.json(), { ok: true })
    const { path, headers, json } = provider.last()
    equal(path, '/elsewhere/b/c?fixed=1&q=1&more=x')
    deepEqual(json, { a: 1 })
    deepEqual(
      [headers['x-secret'], headers['x-custom'], headers.authorization],
      ['operator', undefined, undefined],
    )
    await eventually(() => totals().requests > before.requests)
    equal(totals().nanoDollars - before.nanoDollars, 250_000_000)
  })

  test('without a key where the operator says so, and only by its methods', async () => {
    equal((await fetch(`${gateway.url}/open`)).status, 200)
    equal((await fetch(`${gateway.url}/own/api`)).status, 401)
    equal((await gateway.post('/open', {})).status, 405)
  })
})

describe('an answer that does not tell what it used', () => {
  const start = (unpriced_models?: JsonObject | string): Promise<Gateway> =>
    startGateway(scope, {
      general: { master_key: key, ...(unpriced_models !== undefined && { unpriced_models }) },
      env: { OPENAI_API_KEY: 'sk-openai-credential', OPENAI_BASE_URL: `${provider.origin}/v1` },
      key,
    })
  const words = 'word '.repeat(1000)
  const send = async (to: Gateway, path: string, body: JsonObject) => {
    const entries: Entry[] = []
    const { ledger } = to.running.rooms
    const { record } = ledger
    ledger.record = (entry) => {
      entries.push(entry)
      return record(entry)
    }
    const asked = provider.asked.length
    const response = await to.post(path, body)
    const text = await response.text()
    ledger.record = record
    return { status: response.status, text, entry: entries[0], sent: provider.asked.length - asked }
  }
  const picture = { model: 'dall-e-x', prompt: words }

  test('a conversation is counted, word by word', async () => {
    provider.tell(() =>
      whole({ model: 'gpt-4o', choices: [{ message: { content: 'word '.repeat(100) } }] }),
    )
    const said = { model: 'gpt-4o', messages: [{ role: 'user', content: words }] }
    const { entry } = await send(gateway, '/openai/v1/chat/completions', said)
    ok(entry?.usage.estimated)
    ok(entry.usage.input > 1000 && entry.usage.input < 1015, String(entry.usage.input))
    ok(entry.usage.output >= 100 && entry.usage.output < 103, String(entry.usage.output))
    equal(entry.nanoDollars, entry.usage.input * 2500 + entry.usage.output * 10_000)
    equal(provider.last().text, JSON.stringify(said))
  })

  test('so is one in the words of others', async () => {
    provider.tell(() => whole({ model: 'gpt-4o', answer: 1 }))
    const said = { model: 'gpt-4o', messages: [{ role: 'user', parts: [{ words }] }] }
    const { entry } = await send(gateway, '/openai/v1/other/words', said)
    ok((entry?.usage.input ?? 0) > 1000, String(entry?.usage.input))
  })

  test('what nobody can count is free, and it is said', async () => {
    provider.tell(() => whole({ created: 1, data: [{ url: 'https://x.example/1.png' }] }))
    const before = gateway.running.rooms.ledger.totals().unpriced
    const { entry } = await send(gateway, '/openai/v1/images/generations', picture)
    deepEqual([entry?.nanoDollars, entry?.priced], [0, false])
    equal(gateway.running.rooms.ledger.totals().unpriced, before + 1)
    match(gateway.logged(), /what openai \/openai\/v1\/images\/generations used was not told/)
  })

  test('or refused', async () => {
    const to = await start('deny')
    for (const body of [picture, { prompt: 'x' }]) {
      const { status, text, sent } = await send(to, '/openai/v1/images/generations', body)
      deepEqual([status, sent], [403, 0])
      match(text, /model_cost_map_missing/)
    }
    provider.tell(() => whole({ object: 'list' }))
    equal((await to.get('/openai/v1/models')).status, 200)
    provider.tell(() =>
      whole({ model: 'gpt-4o', usage: { prompt_tokens: 1, completion_tokens: 1 } }),
    )
    const said = { model: 'gpt-4o', messages: [] }
    const { status, entry } = await send(to, '/openai/v1/chat/completions', said)
    deepEqual([status, entry?.nanoDollars], [200, 12_500])
    equal(provider.last().text, JSON.stringify(said))
  })

  test('or has the price of another', async () => {
    const to = await start({ price_as: 'openai/gpt-4o' })
    provider.tell(() => whole({ created: 1, data: [{ url: 'https://x.example/1.png' }] }))
    const { entry } = await send(to, '/openai/v1/images/generations', picture)
    ok(entry?.priced && entry.usage.estimated)
    ok(
      entry.nanoDollars >= 1000 * 2500 && entry.nanoDollars < 1020 * 2500,
      String(entry.nanoDollars),
    )
  })

  test('what is made in the background is paid once, however often it is looked at', async () => {
    const usage = { input_tokens: 1000, output_tokens: 1000 }
    const made = (status: string) => ({
      id: 'resp_background',
      model: 'gpt-4o-mini',
      status,
      usage: status === 'completed' ? usage : null,
    })
    const paid = async (status: string, look: boolean): Promise<number> => {
      provider.tell(() => whole(made(status)))
      const before = totals().nanoDollars
      const said = { model: 'gpt-4o-mini', input: 'hi', background: true }
      const response = look
        ? await gateway.get('/openai_passthrough/v1/responses/resp_background')
        : await gateway.post('/openai_passthrough/v1/responses', said)
      await response.text()
      return totals().nanoDollars - before
    }
    deepEqual(
      [
        await paid('queued', false),
        await paid('in_progress', true),
        await paid('completed', true),
        await paid('completed', true),
      ],
      [0, 0, 750_000, 0],
    )
    deepEqual([await paid('completed', false), await paid('completed', true)], [750_000, 0])
  })

  test('who leaves before it pays for what was read', async () => {
    provider.tell(() => ({ type: 'hang' }))
    const before = [totals().nanoDollars, provider.asked.length] as const
    const controller = new AbortController()
    const left = fetch(`${gateway.url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: words }] }),
      signal: controller.signal,
    })
    await eventually(() => provider.asked.length > before[1])
    controller.abort()
    await left.catch(() => {})
    await eventually(() => totals().nanoDollars > before[0])
    const paid = totals().nanoDollars - before[0]
    ok(paid > 1000 * 2500 && paid < 1015 * 2500, String(paid))
  })

  test('looking costs nothing, and sending files', async () => {
    provider.tell(() => whole({ id: 'file-1', data: [] }))
    const { ledger } = gateway.running.rooms
    const before = ledger.totals().unpriced
    await (await gateway.get('/openai/v1/evals')).text()
    const { entry } = await send(gateway, '/openai/v1/uploads', {})
    deepEqual([entry?.nanoDollars, entry?.priced], [0, true])
    equal(ledger.totals().unpriced, before)
  })
})
