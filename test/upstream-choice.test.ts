import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { ask, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  fileScope,
  hello,
  type Provider,
  startProvider,
  whole,
} from './support/provider.ts'

/** The operator chooses where requests go and with whose credential; nothing a caller or a provider says changes that. */
const scope = fileScope()
let provider: Provider
let elsewhere: Provider
let gateway: Gateway

before(async () => {
  provider = await startProvider(scope, hello)
  elsewhere = await startProvider(scope, hello)
  const row = (model_name: string, model: string, params: JsonObject = {}): JsonObject => ({
    model_name,
    litellm_params: {
      model,
      api_base: provider.base,
      api_key: 'sk-upstream-credential',
      ...params,
    },
  })
  const api_base = `${provider.origin}/deep/prefix`
  gateway = await startGateway(scope, {
    models: [
      openaiRow('m', provider),
      row('any/*', 'openai/*', { api_base }),
      row('claude/*', 'anthropic/*', { api_base }),
      row('gemini/*', 'gemini/*', { api_base }),
      row('azure/*', 'azure/*', { api_base, api_version: '2025-01-01' }),
      row('replicate/*', 'replicate/*', { api_base }),
      row('bedrock/*', 'bedrock/*', {
        api_base,
        aws_access_key_id: 'AKIAEXAMPLEEXAMPLE',
        aws_secret_access_key: 'secret-secret-secret',
        aws_region_name: 'us-east-1',
      }),
      row('vertex/*', 'vertex_ai/*', { api_base }),
    ],
  })
})

const chat = (body: JsonObject, headers?: Record<string, string>) =>
  gateway.post('/v1/chat/completions', body, headers)
const asked = () => provider.asked.length + elsewhere.asked.length

describe('fields by which a caller would choose are refused', () => {
  const fields =
    `api_base base_url api_key api_version user_config model_list litellm_credential_name azure_ad_token
    vertex_credentials vertex_project vertex_location vertex_ai_credentials vertex_ai_project vertex_ai_location
    aws_access_key_id aws_secret_access_key aws_session_token aws_role_name aws_sts_endpoint aws_web_identity_token
    aws_profile_name aws_bedrock_runtime_endpoint aws_external_id tenant_id client_id client_secret azure_username
    azure_password watsonx_token token_url proxy_url ssl_verify ssl_certificate langfuse_host langfuse_secret_key
    langfuse_public_key langsmith_api_key langsmith_base_url arize_api_key arize_space_key slack_webhook_url
    posthog_api_url braintrust_api_base humanloop_api_key s3_endpoint_url`.split(/\s+/)
  for (const path of [
    '/v1/chat/completions',
    '/v1/messages',
    '/openai/deployments/m/chat/completions',
  ])
    test(`in the body of ${path}`, async () => {
      const before = asked()
      for (const field of fields)
        for (const value of [elsewhere.base, { url: elsewhere.base }, [elsewhere.base]]) {
          const response = await gateway.post(path, ask('m', { [field]: value, max_tokens: 5 }))
          const said = await response.text()
          equal(response.status, 401, `${field}: ${said}`)
          if (field === 'api_base') match(said, /api_base is not allowed in request body/)
        }
      equal(asked(), before)
    })

  test('however the name is written', async () => {
    const before = asked()
    for (const key of ['api_base', 'api\\u005fbase', '\\u0061pi_base'])
      for (const body of [
        `{"model":"m","messages":[],"${key}":"${elsewhere.base}"}`,
        `{"${key}":"${elsewhere.base}","model":"m","messages":[]}`,
        `{"model":"m","messages":[],"${key}":null,"${key}":"${elsewhere.base}"}`,
      ])
        equal((await gateway.post('/v1/chat/completions', body)).status, 401, body)
    equal(asked(), before)
  })

  test('further down in the body they mean nothing', async () => {
    const bad = { api_base: elsewhere.base, api_key: 'sk-theirs', base_url: elsewhere.base }
    for (const more of [
      { extra_body: bad },
      { litellm_params: bad },
      { metadata: bad },
      { litellm_metadata: bad },
      { model_info: bad },
      { proxy_server_request: bad },
      { fallbacks: [{ model: 'm', ...bad }] },
      { custom_llm_provider: 'anthropic' },
      { secret_fields: { raw_headers: bad } },
    ]) {
      const response = await chat(ask('m', more))
      equal(response.status, 200, JSON.stringify(more))
      await response.text()
      equal(provider.last().headers.authorization, 'Bearer sk-upstream-credential')
    }
    equal(elsewhere.asked.length, 0)
  })

  test('in the query', async () => {
    const before = asked()
    for (const name of [
      'api_base',
      'base_url',
      'api_key',
      'model_list',
      'user_config',
      'aws_sts_endpoint',
    ]) {
      const response = await gateway.post(
        `/v1/chat/completions?${name}=${encodeURIComponent(elsewhere.base)}`,
        ask('m'),
      )
      equal(response.status, 401, name)
    }
    equal(asked(), before)
  })

  test('in headers', async () => {
    for (const name of [
      'x-litellm-api-base',
      'x-litellm-base-url',
      'x-portkey-custom-host',
      'x-helicone-target-url',
      'x-throughway-upstream',
    ]) {
      const before = asked()
      equal((await chat(ask('m'), { [name]: elsewhere.base })).status, 401, name)
      equal(asked(), before)
    }
    for (const headers of [
      { 'x-forwarded-host': 'elsewhere.example' },
      { 'x-original-url': elsewhere.base },
      { forwarded: 'host=elsewhere.example' },
    ]) {
      equal((await chat(ask('m'), headers)).status, 200)
      deepEqual(
        Object.keys(headers).filter((name) => name in provider.last().headers),
        [],
      )
    }
    equal(elsewhere.asked.length, 0)
  })

  test('a row that lets callers bring some: those, where the pattern fits, and no others', async (t) => {
    const api_base = 'http://127\\.0\\.0\\.1:1/.*'
    const own = await startGateway(t, {
      models: [
        openaiRow('m', provider),
        openaiRow('own', provider, {
          configurable_clientside_auth_params: ['api_key', { api_base }],
        }),
      ],
    })
    const chat = (body: JsonObject) => own.post('/v1/chat/completions', body)
    const brought = await chat(ask('own', { api_key: 'sk-theirs-theirs' }))
    equal(brought.status, 200)
    equal(provider.last().headers.authorization, 'Bearer sk-theirs-theirs')
    ok(!provider.last().text.includes('sk-theirs'))
    for (const more of [
      { api_base: elsewhere.base },
      { api_base: 'http://127.0.0.1:1@elsewhere.example/' },
      { api_base: 'http://127.0.0.1:1' },
      { api_base: 7 },
      { base_url: elsewhere.base },
      { aws_role_name: 'x' },
    ]) {
      const before = asked()
      equal((await chat(ask('own', more))).status, 401, JSON.stringify(more))
      equal(asked(), before)
    }
    // Of one row, so not of another.
    equal((await chat(ask('m', { api_key: 'sk-theirs-theirs' }))).status, 401)
  })
})

describe('the body cannot ask for another model or another kind of answer than the gateway saw', () => {
  test('extra_body', async () => {
    const response = await chat(
      ask('m', { extra_body: { model: 'dearer-model', stream: true, top_k: 4 } }),
    )
    equal(response.status, 200)
    equal((await response.json()).choices[0].message.content, 'Hello')
    const { json } = provider.last()
    deepEqual([json['model'], json['stream'] ?? false, json['top_k']], ['upstream-model', false, 4])
    ok(!('extra_body' in json))
  })

  test('a key that is there twice', async () => {
    for (const body of [
      '{"model":"m","model":"dearer-model","messages":[]}',
      '{"model":"dearer-model","model":"m","messages":[]}',
      '{"model":"m","mode\\u006c":"dearer-model","messages":[]}',
      '{"model":"m","messages":[],"stream":false,"str\\u0065am":true}',
    ]) {
      const before = provider.asked.length
      await (await gateway.post('/v1/chat/completions', body)).text()
      for (const one of provider.asked.slice(before)) {
        equal(one.json['model'], 'upstream-model')
        equal(one.text.match(/"mode(l|\\u006c)"/g)?.length, 1)
      }
    }
  })

  test('extra_headers: none of a credential or of the connection', async () => {
    await chat(
      ask('m', {
        extra_headers: {
          Authorization: 'Bearer sk-theirs',
          'API-Key': 'sk-theirs',
          Host: 'elsewhere.example',
          'Content-Length': '1',
          'Transfer-Encoding': 'chunked',
          Cookie: 'a=b',
          'x-fine': 'yes',
          'x-split': 'a\r\nx-injected: yes',
          'bad name': 'x',
        },
      }),
    )
    const { headers } = provider.last()
    equal(headers.authorization, 'Bearer sk-upstream-credential')
    equal(headers.host, provider.origin.replace('http://', ''))
    equal(headers['x-fine'], 'yes')
    for (const name of ['api-key', 'cookie', 'x-split', 'x-injected', 'bad name'])
      equal(headers[name], undefined, name)
  })
})

describe('a name that a wildcard takes stays within the path of its model', () => {
  const names = [
    '../../../admin',
    '..',
    '.',
    'a/../../b',
    'a?x=1',
    'a#b',
    'a%2f..%2fb',
    '%2e%2e',
    'a b',
    'a\\..\\b',
    'a:generateContent?x=',
    '@127.0.0.1',
    '//elsewhere.example/x',
    'http://elsewhere.example',
    'ü',
    'a\nb',
    'a\u0000b',
    'converse/../x',
  ]
  /** Kinds whose name of the model is a part of the path, and one where it is not. */
  for (const kind of ['any', 'claude', 'gemini', 'azure', 'replicate', 'bedrock', 'vertex'])
    test(kind, async () => {
      for (const name of names)
        for (const stream of [false, true]) {
          const before = provider.asked.length
          provider.tell(() => whole(chatAnswer({ content: 'x' })))
          await (await chat(ask(`${kind}/${name}`, { stream }))).text()
          for (const { path } of provider.asked.slice(before)) {
            // As a server would read it.
            const { pathname, searchParams } = new URL(path, 'http://127.0.0.1')
            match(
              pathname,
              /^\/deep\/prefix\/.*(completions|messages|predictions|enerateContent|redict|converse|converse-stream|invoke|stream)$/,
              name,
            )
            for (const key of searchParams.keys()) match(key, /^(api-version|alt)$/, name)
          }
        }
      equal(elsewhere.asked.length, 0)
      if (kind === 'any' || kind === 'claude') ok(provider.asked.length > 10)
    })
})

describe('redirects', () => {
  test('to another origin: not followed, not shown', async () => {
    for (const status of [301, 302, 303, 307, 308])
      for (const location of [
        `${elsewhere.origin}/v1/chat/completions`,
        elsewhere.origin.replace('http:', ''),
        'https://elsewhere.example/',
      ]) {
        provider.tell(() => whole('', { status, headers: { location } }))
        const response = await chat(ask('m'))
        equal(response.status, 502)
        const said = `${JSON.stringify([...response.headers])} ${await response.text()}`
        ok(!said.includes('elsewhere.example') && !said.includes(elsewhere.origin), said)
        match(said, /redirect/)
      }
    equal(elsewhere.asked.length, 0)
  })

  test('within the origin: followed with the body, a few times', async () => {
    provider.tell((one, nth) =>
      one.path === '/moved'
        ? hello(one, nth)
        : whole('', { status: 307, headers: { location: '/moved' } }),
    )
    const response = await chat(ask('m'))
    equal((await response.json()).choices[0].message.content, 'Hello')
    equal(provider.last().json['model'], 'upstream-model')
    provider.tell(() => whole('', { status: 308, headers: { location: '/again' } }))
    equal((await chat(ask('m'))).status, 502)
  })
})

test('names that every object has are names like others', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    equal((await chat(ask(name))).status, 400, name)
    equal((await gateway.get(`/v1/models/${name}`)).status, 404, name)
    provider.tell(hello)
    const response = await chat(ask(`any/${name}`))
    equal(response.status, 200, name)
    equal((await response.json()).model, `any/${name}`)
    // A refusal of the provider stays one: fallbacks are looked up by name.
    provider.tell(() =>
      whole({ error: { message: 'no', code: name, type: name } }, { status: 400 }),
    )
    const refused = await chat(ask(`any/${name}`, { fallbacks: undefined }))
    equal(refused.status, 400, await refused.text())
    provider.tell(() => whole({ error: { message: 'no', code: name } }, { status: 503 }))
    equal((await chat(ask(`any/${name}`))).status, 503, name)
    for (const key of [name, `mock_${name}`]) {
      provider.tell(hello)
      ok((await chat(ask('m', { [key]: 1 }))).status < 500, key)
    }
  }
})

test('the same with a row `*` and fallbacks', async (t) => {
  const own = await startGateway(t, {
    models: [openaiRow('*', provider, { model: 'openai/*' })],
    router: { fallbacks: [{ other: ['another'] }] },
    litellm: { model_alias_map: { alias: 'target' } },
  })
  provider.tell(() => whole({ error: { message: 'later' } }, { status: 503 }))
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'alias']) {
    const response = await own.post('/v1/chat/completions', ask(name))
    equal(response.status, 503, `${name}: ${await response.text()}`)
  }
  ok(!/inside the gateway/.test(own.logged()), own.logged())
})
