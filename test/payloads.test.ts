import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { isObject, list, object } from '../src/json/json.ts'
import { type Gateway, type GatewayOptions, startGateway } from './support/gateway.ts'
import { fileScope, hello, type Scope, startProvider } from './support/provider.ts'
import { call, makeKey, masterKey, pricedRow } from './support/spending.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)

async function gatewayWith(
  t: Scope,
  options: GatewayOptions,
): Promise<{ gateway: Gateway; key: string }> {
  const gateway = await startGateway(t, {
    models: [pricedRow(provider)],
    ...options,
    general: { master_key: masterKey, ...options.general },
  })
  return { gateway, key: await makeKey(gateway.url) }
}

/** What is shown of a call. */
async function shown({ url }: Gateway, callId: string): Promise<JsonObject> {
  const answer = await fetch(`${url}/spend/logs?request_id=${callId}`, {
    headers: { authorization: `Bearer ${masterKey}` },
  })
  const rows: unknown = await answer.json()
  assert.ok(Array.isArray(rows) && isObject(rows[0]), JSON.stringify(rows))
  const { messages, response, proxy_server_request } = rows[0]
  return { messages, response, proxy_server_request }
}
const nothing = { messages: {}, response: {}, proxy_server_request: {} }
const stored = { store_prompts_in_spend_logs: true }

test('prompts and answers are not kept unless somebody says so', async (t) => {
  const { gateway, key } = await gatewayWith(t, {})
  const { callId } = await call(gateway.url, key)
  assert.deepEqual(await shown(gateway, callId), nothing)
})

const ways: [
  name: string,
  options: GatewayOptions,
  body: JsonObject,
  headers: Record<string, string>,
  kept: boolean,
][] = [
  ['by the config', { general: stored }, {}, {}, true],
  ['by the environment', { env: { STORE_PROMPTS_IN_SPEND_LOGS: 'true' } }, {}, {}, true],
  ['not where the body says no-log', { general: stored }, { 'no-log': true }, {}, false],
  [
    'unless that is not heard',
    { general: stored, litellm: { global_disable_no_log_param: true } },
    { 'no-log': true },
    {},
    true,
  ],
  [
    'not where a header says so',
    { general: stored },
    {},
    { 'x-litellm-enable-message-redaction': 'true' },
    false,
  ],
  [
    'not where logging of messages is off',
    { general: stored, litellm: { turn_off_message_logging: true } },
    {},
    {},
    false,
  ],
  [
    'unless a header asks for it then',
    { general: stored, litellm: { turn_off_message_logging: true } },
    {},
    { 'litellm-disable-message-redaction': 'true' },
    true,
  ],
]
for (const [name, options, body, headers, kept] of ways)
  test(`they are kept ${name}`, async (t) => {
    const { gateway, key } = await gatewayWith(t, options)
    for (const stream of [false, true]) {
      const one = await call(gateway.url, key, { ...body, stream }, headers)
      assert.ok(one.whole)
      const is = await shown(gateway, one.callId)
      if (!kept) {
        assert.deepEqual(is, nothing)
        continue
      }
      assert.deepEqual(is['messages'], [{ role: 'user', content: 'Say hello' }])
      assert.equal(object(is['proxy_server_request'])['model'], 'm')
      const [choice] = list(object(is['response'])['choices'])
      assert.equal(object(object(choice)['message'])['content'], 'Hello')
    }
  })

test('long strings are cut in the middle, and credentials are not kept', async (t) => {
  const { gateway, key } = await gatewayWith(t, {
    general: { ...stored, allow_client_side_credentials: true },
    env: { MAX_STRING_LENGTH_PROMPT_IN_DB: '100' },
  })
  const { callId } = await call(gateway.url, key, {
    messages: [{ role: 'user', content: `begin${'x'.repeat(10_000)}end` }],
    api_key: 'sk-of-the-client',
  })
  const is = await shown(gateway, callId)
  assert.ok(!JSON.stringify(is).includes('sk-of-the-client'))
  const said = String(object(list(is['messages'])[0])['content'])
  assert.match(said, /^beginx{30}\.\.\. \(litellm_truncated skipped 9908 chars.*\) \.\.\.x{62}end$/)
  const large = await call(gateway.url, key, {
    messages: Array.from({ length: 20_000 }, () => ({ role: 'user', content: 'y'.repeat(90) })),
  })
  assert.equal(large.status, 200)
  assert.match(JSON.stringify(await shown(gateway, large.callId)), /not kept/)
})
