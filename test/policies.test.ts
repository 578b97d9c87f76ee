import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { list, object } from '../src/json/json.ts'
import { type Gateway, type GatewayOptions, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  fileScope,
  hello,
  type Scope,
  sleep,
  startProvider,
  whole,
} from './support/provider.ts'
import { call, callCost, makeKey, masterKey, pricedRow } from './support/spending.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)
const admin = { authorization: `Bearer ${masterKey}` }

async function gatewayWith(
  t: Scope,
  options: GatewayOptions,
  key: JsonObject = {},
): Promise<{ gateway: Gateway; key: string }> {
  const gateway = await startGateway(t, {
    models: [pricedRow(provider)],
    ...options,
    general: { master_key: masterKey, ...options.general },
  })
  return { gateway, key: await makeKey(gateway.url, key) }
}

test('allowed_ips: who is elsewhere is refused, management and models alike; liveness is for everybody', async (t) => {
  const gateway = await startGateway(t, {
    models: [pricedRow(provider)],
    general: { master_key: masterKey, allowed_ips: ['10.0.0.0/8'], use_x_forwarded_for: true },
  })
  const from = (address: string) => ({ ...admin, 'x-forwarded-for': address })
  for (const path of ['/v1/models', '/user/list']) {
    assert.equal((await gateway.get(path, from('10.9.9.9'))).status, 200, path)
    assert.equal((await gateway.get(path, from('11.9.9.9'))).status, 403, path)
    assert.equal((await gateway.get(path, admin)).status, 403, 'loopback is not of them')
    assert.equal(
      (await gateway.get(path, from('10.9.9.9, 11.9.9.9'))).status,
      403,
      'only the last one was not written by the client',
    )
  }
  assert.equal((await gateway.get('/health/liveliness')).status, 200)
})

test('what is no address does not start', async (t) => {
  await assert.rejects(
    startGateway(t, { general: { master_key: masterKey, allowed_ips: ['localhost'] } }),
    /allowed_ips has "localhost"/,
  )
})

test('addresses of rows are those of clients, where a proxy in front says so', async (t) => {
  const { gateway, key } = await gatewayWith(t, { general: { use_x_forwarded_for: true } })
  await call(gateway.url, key, {}, { 'x-forwarded-for': '1.2.3.4' })
  const [row] = list(await (await gateway.get('/spend/logs', admin)).json())
  assert.equal(object(row)['requester_ip_address'], '1.2.3.4')
})

test('allowed_routes and admin_only_routes', async (t) => {
  const { gateway, key } = await gatewayWith(t, {
    general: {
      allowed_routes: ['/v1/*', '/chat/completions', '/key/generate', '/user/info', '/team/list'],
      admin_only_routes: ['/v1/models', '/team/*'],
    },
  })
  const own = { authorization: `Bearer ${key}` }
  const cases: [path: string, headers: Record<string, string>, status: number][] = [
    ['/v1/models', admin, 200],
    ['/v1/models', own, 403],
    ['/team/list', admin, 200],
    ['/team/list', own, 403],
    ['/user/list', admin, 403],
    ['/models', admin, 403],
  ]
  for (const [path, headers, status] of cases)
    assert.equal((await gateway.get(path, headers)).status, status, path)
  assert.equal((await call(gateway.url, key)).status, 200)
})

const bodies: [
  name: string,
  general: JsonObject,
  key: JsonObject,
  body: JsonObject,
  status: number,
  says?: RegExp,
][] = [
  ['user, and it is there', { enforce_user_param: true }, {}, { user: 'u' }, 200],
  ['user, and it is not', { enforce_user_param: true }, {}, {}, 400, /'user' param not passed in/],
  ['a field', { enforced_params: ['user'] }, {}, {}, 400, /param=user/],
  [
    'a field inside',
    { enforced_params: ['metadata.name'] },
    {},
    { metadata: { other: 1 } },
    400,
    /param=\[metadata\]\[name\]/,
  ],
  [
    'a field inside, and it is there',
    { enforced_params: ['metadata.name'] },
    {},
    { metadata: { name: 'x' } },
    200,
  ],
  [
    'a field of services, from anybody',
    { service_account_settings: { enforced_params: ['user'] } },
    {},
    {},
    200,
  ],
  [
    'a field of services, from one',
    { service_account_settings: { enforced_params: ['user'] } },
    { metadata: { service_account_id: 's' }, team_id: 'services' },
    {},
    400,
    /param=user/,
  ],
  ['a field of its own key', {}, { enforced_params: ['user'] }, {}, 400, /param=user/],
  [
    'no tags of the client',
    { reject_clientside_metadata_tags: true },
    {},
    { metadata: { tags: ['x'] } },
    400,
    /metadata\.tags/,
  ],
]
for (const [name, general, key, body, status, says] of bodies)
  test(`a body must have: ${name}`, async (t) => {
    const gateway = await startGateway(t, {
      models: [pricedRow(provider)],
      general: { master_key: masterKey, ...general },
    })
    await gateway.post('/team/new', { team_id: 'services' }, admin)
    const secret = await makeKey(gateway.url, key)
    const is = await call(gateway.url, secret, body)
    assert.equal(is.status, status, is.body)
    if (says) assert.match(is.body, says)
  })

test('max_parallel_requests: of keys that say none themselves', async (t) => {
  const slow = await startProvider(t, async () => {
    await sleep(100)
    return whole(chatAnswer({ content: 'Hello' }))
  })
  const { gateway, key } = await gatewayWith(t, {
    models: [pricedRow(slow)],
    general: { max_parallel_requests: 2 },
  })
  const wide = await makeKey(gateway.url, { max_parallel_requests: 10 })
  const through = async (of: string): Promise<number> =>
    (await Promise.all(Array.from({ length: 5 }, () => call(gateway.url, of)))).filter(
      ({ status }) => status === 200,
    ).length
  assert.equal(await through(key), 2)
  assert.equal(await through(wide), 5)
})

test('token_rate_limit_type: all tokens count, or those one side wrote', async (t) => {
  const through: number[] = []
  for (const type of [undefined, 'input', 'output']) {
    const { gateway, key } = await gatewayWith(
      t,
      { general: { ...(type !== undefined && { token_rate_limit_type: type }) } },
      { tpm_limit: 48 },
    )
    // Nine in and three out; before it runs, a call is reckoned by its bytes.
    let count = 0
    while (count < 20 && (await call(gateway.url, key, { max_tokens: 3 })).status === 200) count++
    through.push(count)
  }
  const [total = 0, input = 0, output = 0] = through
  assert.equal(output, 16, 'three each')
  assert.ok(0 < total && total < input && input <= 5, `${through}`)
})

test('limits of each key for a model, where the key has none of its own', async (t) => {
  const { gateway, key } = await gatewayWith(t, {
    models: [pricedRow(provider, { default_api_key_rpm_limit: 2 })],
  })
  const own = await makeKey(gateway.url, { model_rpm_limit: { m: 4 } })
  const through = async (of: string): Promise<number> => {
    let count = 0
    while (count < 9 && (await call(gateway.url, of)).status === 200) count++
    return count
  }
  assert.equal(await through(key), 2)
  assert.equal(await through(own), 4)
})

test('disable_budget_reservation: who comes while anything is left is let in', async (t) => {
  const slow = await startProvider(t, async () => {
    await sleep(50)
    return whole(chatAnswer({ content: 'Hello' }))
  })
  const options = { models: [pricedRow(slow)] }
  const budget = { max_budget: (callCost * 1.5) / 1e9 }
  const burst = async ({ gateway, key }: { gateway: Gateway; key: string }): Promise<number> =>
    (
      await Promise.all(Array.from({ length: 6 }, () => call(gateway.url, key, { max_tokens: 3 })))
    ).filter(({ status }) => status === 200).length
  assert.ok((await burst(await gatewayWith(t, options, budget))) <= 1)
  const careless = await gatewayWith(
    t,
    { ...options, general: { disable_budget_reservation: true } },
    budget,
  )
  assert.equal(await burst(careless), 6)
  assert.equal((await call(careless.gateway.url, careless.key)).status, 422)
})

test('a provider whose budget is used up is passed over, and asked again in the next period', async (t) => {
  const other = await startProvider(t, hello)
  const row = (name: string, model: string, { base }: { base: string }): JsonObject => ({
    model_name: name,
    litellm_params: {
      model,
      api_base: base,
      api_key: 'sk-x',
      input_cost_per_token: 0.000001,
      output_cost_per_token: 0.000002,
    },
  })
  const { gateway, key } = await gatewayWith(t, {
    models: [
      row('m', 'openai/x', provider),
      row('m', 'groq/x', other),
      row('only', 'openai/x', provider),
    ],
    router: {
      provider_budget_config: { openai: { budget_limit: (3 * callCost) / 1e9, time_period: '1d' } },
    },
  })
  const before = provider.asked.length
  for (let nth = 0; nth < 3; nth++)
    assert.equal((await call(gateway.url, key, { model: 'only' })).status, 200)
  for (let nth = 0; nth < 12; nth++) assert.equal((await call(gateway.url, key)).status, 200)
  assert.equal(provider.asked.length - before, 3, 'the other one serves')
  const refused = await call(gateway.url, key, { model: 'only' })
  assert.equal(refused.status, 429, refused.body)
  assert.match(refused.body, /crossed budget for provider/)
})

test('budget_fallbacks: a key goes on with another model when its budget for one is used up', async (t) => {
  const { gateway, key } = await gatewayWith(
    t,
    {
      models: [
        pricedRow(provider),
        { ...pricedRow(provider), model_name: 'small' },
        { ...pricedRow(provider), model_name: 'barred' },
      ],
    },
    {
      models: ['m', 'small'],
      model_max_budget: { m: { budget_limit: (2 * callCost) / 1e9, time_period: '1d' } },
      budget_fallbacks: { m: ['barred', 'small'] },
    },
  )
  for (let nth = 0; nth < 6; nth++) {
    const { status, body } = await call(gateway.url, key)
    assert.equal(status, 200, body)
  }
  const rows = list(await (await gateway.get('/spend/logs', admin)).json()).map(
    (row) => object(row)['model_group'],
  )
  assert.equal(
    rows.filter((group) => group === 'small').length,
    6 - rows.filter((group) => group === 'm').length,
  )
  assert.ok(rows.includes('small') && rows.includes('m') && !rows.includes('barred'))
})

test('settings of budgets and limits act as soon as they change', async (t) => {
  const { gateway, key } = await gatewayWith(t, {})
  const set = async (sections: JsonObject): Promise<void> => {
    const response = await gateway.post('/config/update', sections, admin)
    const said = await response.json()
    assert.equal(response.status, 200, JSON.stringify(said))
    assert.equal(said.restart_required, undefined, JSON.stringify(said))
  }
  const statusOf = async (more: JsonObject = {}): Promise<number> =>
    (await call(gateway.url, key, { max_tokens: 5, ...more })).status
  assert.equal(await statusOf(), 200)

  await set({ litellm_settings: { max_budget: 0 } })
  assert.equal(await statusOf(), 422)
  await set({ litellm_settings: { budget_exceeded_status_code: 429 } })
  assert.equal(await statusOf(), 429)
  await set({ litellm_settings: { max_budget: null, budget_exceeded_status_code: null } })
  assert.equal(await statusOf(), 200)

  await set({ general_settings: { max_parallel_requests: 0 } })
  assert.equal(await statusOf(), 429, 'of a key that was in use')
  await set({ general_settings: { max_parallel_requests: null, global_max_parallel_requests: 0 } })
  assert.equal(await statusOf(), 429)
  await set({ general_settings: { global_max_parallel_requests: null } })
  assert.equal(await statusOf(), 200)

  await set({ litellm_settings: { max_end_user_budget: 0 } })
  assert.equal(await statusOf({ user: 'walk-in' }), 422)
  assert.equal(await statusOf(), 200)
  const budget = await gateway.post('/budget/new', { budget_id: 'none', max_budget: 0 }, admin)
  assert.equal(budget.status, 200)
  await set({
    litellm_settings: { max_end_user_budget: null, max_end_user_budget_id: 'none' },
  })
  assert.equal(await statusOf({ user: 'walk-in' }), 422)
  await set({ litellm_settings: { max_end_user_budget_id: null } })
  assert.equal(await statusOf({ user: 'walk-in' }), 200)

  await set({
    router_settings: { provider_budget_config: { openai: { budget_limit: 0, time_period: '1d' } } },
  })
  assert.equal(await statusOf(), 429)
  await set({ router_settings: { provider_budget_config: null } })
  assert.equal(await statusOf(), 200)

  await set({ general_settings: { enforce_user_param: true } })
  assert.equal(await statusOf(), 400)
})

test('a soft budget that is passed is told to a webhook and to Slack, once', async (t) => {
  const heard: { path: string; body: JsonObject }[] = []
  const receiver = await startProvider(t, ({ path, json }) => {
    heard.push({ path, body: json })
    return whole({})
  })
  const gateway = await startGateway(t, {
    models: [pricedRow(provider)],
    general: { master_key: masterKey, alerting: ['webhook'] },
    env: { WEBHOOK_URL: `${receiver.origin}/hook` },
  })
  const key = await makeKey(gateway.url, { soft_budget: callCost / 1e9, key_alias: 'softly' })
  for (let n = 0; n < 3; n++) assert.equal((await call(gateway.url, key)).status, 200)
  const until = performance.now() + 2000
  while (heard.length === 0 && performance.now() < until) await sleep(10)
  const [{ path, body } = { path: '', body: {} as JsonObject }] = heard
  assert.equal(path, '/hook')
  assert.deepEqual(
    [body['event'], body['event_group'], body['key_alias'], body['soft_budget']],
    ['soft_budget_crossed', 'key', 'softly', callCost / 1e9],
  )
  assert.ok(Number(body['spend']) >= callCost / 1e9)
  await gateway.post(
    '/config/update',
    {
      general_settings: { alerting: ['slack'] },
      environment_variables: { SLACK_WEBHOOK_URL: `${receiver.origin}/slack` },
    },
    admin,
  )
  const other = await makeKey(gateway.url, { soft_budget: callCost / 1e9 })
  assert.equal((await call(gateway.url, other)).status, 200)
  while (heard.length === 1 && performance.now() < until + 2000) await sleep(10)
  assert.deepEqual(
    heard.map((one) => one.path),
    ['/hook', '/slack'],
  )
  assert.match(String(heard[1]?.body['text']), /Soft Budget Crossed/)
})
