import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type JsonObject, list, object } from '../src/json/json.ts'
import { ask, type Gateway, startGateway } from './support/gateway.ts'
import { fileScope, hello, type Provider, sleep, startProvider } from './support/provider.ts'
import { call, callCost, makeKey, masterKey, pricedRow } from './support/spending.ts'

/** What bounds a request, through the whole gateway: each bound in its place, and what it is refused with. */
const scope = fileScope()
const admin = { authorization: `Bearer ${masterKey}` }
const dollars = callCost / 1e9
let provider: Provider
let gateway: Gateway

before(async () => {
  provider = await startProvider(scope, hello)
  gateway = await startGateway(scope, {
    models: [pricedRow(provider), { ...pricedRow(provider), model_name: 'other' }],
    general: {
      master_key: masterKey,
      user_header_name: 'X-Our-User',
      user_header_mappings: [{ header_name: 'X-Of-Chat', litellm_user_role: 'customer' }],
    },
    env: { OPENAI_API_KEY: 'sk-openai-credential', OPENAI_BASE_URL: provider.base },
    sections: {
      search_tools: ['here', 'there'].map((search_tool_name) => ({
        search_tool_name,
        litellm_params: { search_provider: 'tavily', api_key: 'k', api_base: provider.origin },
      })),
    },
  })
})

async function manage(path: string, body: JsonObject): Promise<JsonObject> {
  const response = await gateway.post(path, body, admin)
  const said = await response.json()
  assert.equal(response.status, 200, `${path} ${JSON.stringify(said)}`)
  return said
}

const refusalOf = (body: string): string =>
  String(object(object(JSON.parse(body))['error'])['message'])

/** The provider counts more than the gateway did before it was asked: what is left pays for the next one all the same. */
const bounded: [name: string, make: () => Promise<string>, more: JsonObject, message: RegExp][] = [
  ['a key', () => makeKey(gateway.url, { max_budget: 4 * dollars }), {}, /^Budget has.*! Key=sk-/],
  [
    'a key, of several periods the shortest',
    () =>
      makeKey(gateway.url, {
        budget_limits: [
          { max_budget: 4 * dollars, budget_duration: '1h' },
          { max_budget: 1, budget_duration: '1d' },
        ],
      }),
    {},
    /^Budget has been exceeded! Key=sk-/,
  ],
  [
    'a team by periods',
    async () => {
      const budget_limits = [{ max_budget: 4 * dollars, budget_duration: '1d' }]
      await manage('/team/new', { team_id: 'periods', budget_limits })
      return makeKey(gateway.url, { team_id: 'periods' })
    },
    {},
    /^Budget has been exceeded! Team=periods /,
  ],
  ...(['key', 'user', 'team', 'customer'] as const).map(
    (who): [string, () => Promise<string>, JsonObject, RegExp] => [
      `a ${who} for one model`,
      async () => {
        const terms = { model_max_budget: { m: { budget_limit: 4 * dollars, time_period: '1d' } } }
        if (who === 'key') return makeKey(gateway.url, terms)
        if (who === 'customer') {
          await manage('/customer/new', { user_id: 'for-one', ...terms })
          return makeKey(gateway.url)
        }
        const id = { [`${who}_id`]: 'for-one' }
        await manage(`/${who}/new`, { ...id, auto_create_key: false, ...terms })
        return makeKey(gateway.url, id)
      },
      who === 'customer' ? { user: 'for-one' } : {},
      {
        key: /^LiteLLM Virtual Key: sk-.*, exceeded budget for model=m\./,
        user: /^LiteLLM User: for-one, exceeded budget for model=m\./,
        team: /^LiteLLM Team: for-one, exceeded budget for model=m\./,
        customer: /^LiteLLM End User: for-one, exceeded budget for model=m\./,
      }[who],
    ],
  ),
]

describe('a budget of four calls pays for four', () => {
  for (const [name, make, more, message] of bounded)
    test(name, async () => {
      const key = await make()
      for (let nth = 0; nth < 4; nth++) {
        const { status, body } = await call(gateway.url, key, { max_tokens: 3, ...more })
        assert.equal(status, 200, `${nth}: ${body}`)
      }
      const { status, body } = await call(gateway.url, key, { max_tokens: 3, ...more })
      assert.equal(status, 422)
      assert.match(refusalOf(body), message)
      assert.match(refusalOf(body), /Left: 0;/)
      if (!name.endsWith('for one model')) return
      const other = ask('other', { max_tokens: 3, ...more })
      const headers = { authorization: `Bearer ${key}` }
      assert.equal((await gateway.post('/v1/chat/completions', other, headers)).status, 200)
    })
})

test('a temporary increase ends when it says', async () => {
  const key = await makeKey(gateway.url, { max_budget: 0 })
  const statusNow = async (): Promise<number> =>
    (await call(gateway.url, key, { max_tokens: 3 })).status
  assert.equal(await statusNow(), 422)
  const until = new Date(Date.now() + 700).toISOString()
  await manage('/key/update', { key, temp_budget_increase: 1, temp_budget_expiry: until })
  assert.equal(await statusNow(), 200)
  await sleep(750)
  assert.equal(await statusNow(), 422)
})

test('an answer says what its key has spent and may, and how much of its pace is left', async () => {
  const key = await makeKey(gateway.url, {
    max_budget: 1,
    rpm_limit: 9,
    tpm_limit: 1000,
    max_parallel_requests: 2,
  })
  const headers = { authorization: `Bearer ${key}` }
  const seen: (string | null)[][] = []
  for (const stream of [false, true, false]) {
    const body = ask('m', { max_tokens: 3, stream })
    const answer = await gateway.post('/v1/chat/completions', body, headers)
    await answer.text()
    seen.push(
      [
        'x-litellm-key-spend',
        'x-litellm-key-max-budget',
        'x-litellm-key-rpm-limit',
        'x-ratelimit-api_key-remaining-requests',
        'x-ratelimit-api_key-limit-max_parallel_requests',
      ].map((name) => answer.headers.get(name)),
    )
  }
  assert.deepEqual(seen, [
    [String(dollars), '1', '9', '8', '2'],
    // A stream's head leaves before its cost is known.
    [String(dollars), '1', '9', '7', '2'],
    [String(3 * dollars), '1', '9', '6', '2'],
  ])
})

test('tokens that were set aside and not used are free again', async () => {
  const key = await makeKey(gateway.url, { tpm_limit: 200 })
  const left: number[] = []
  for (let nth = 0; nth < 3; nth++) {
    const body = ask('m', { max_tokens: 100 })
    const answer = await gateway.post('/v1/chat/completions', body, {
      authorization: `Bearer ${key}`,
    })
    assert.equal(answer.status, 200, await answer.text())
    left.push(Number(answer.headers.get('x-ratelimit-api_key-remaining-tokens')))
  }
  const [first = 0, second = 0, third = 0] = left
  // Nine in and three out: twelve each.
  assert.deepEqual([first - second, second - third], [12, 12])
})

test('tokens a day', async () => {
  const key = await makeKey(gateway.url, { tpd_limit: 40 })
  let through = 0
  let refused = await call(gateway.url, key, { max_tokens: 3 })
  while (refused.status === 200 && through++ < 9)
    refused = await call(gateway.url, key, { max_tokens: 3 })
  assert.equal(refused.status, 429)
  assert.ok(through >= 1 && through <= 3, `${through} of twelve tokens each`)
  assert.match(refusalOf(refused.body), /Limit type: tokens. Current limit: 40/)
})

const named: [header: string, customer: string][] = [
  ['x-our-user', 'by-name'],
  ['x-of-chat', 'by-mapping'],
  ['x-litellm-end-user-id', 'by-litellm'],
]
for (const [header, customer] of named)
  test(`${header} names the customer, whatever the body says`, async () => {
    await manage('/customer/new', { user_id: customer, max_budget: 0 })
    const key = await makeKey(gateway.url)
    const { status, body } = await call(
      gateway.url,
      key,
      { max_tokens: 3, user: 'another' },
      { [header]: customer },
    )
    assert.equal(status, 422, body)
    assert.ok(refusalOf(body).startsWith(`ExceededBudget: End User=${customer} `))
  })

test('spend_logs_metadata: of the request, over what its key and its team say', async () => {
  const spend_logs_metadata = (who: string): JsonObject => ({
    metadata: { spend_logs_metadata: { [who]: 1, same: who } },
  })
  await manage('/team/new', { team_id: 'noting', ...spend_logs_metadata('team') })
  const key = await makeKey(gateway.url, { team_id: 'noting', ...spend_logs_metadata('key') })
  const header = 'x-litellm-spend-logs-metadata'
  const kept: unknown[] = []
  for (const [body, headers] of [
    [{}, {}],
    [spend_logs_metadata('body'), {}],
    [spend_logs_metadata('body'), { [header]: '{"same":"header"}' }],
    [{}, { [header]: 'no JSON' }],
  ] as const) {
    const { callId, status } = await call(gateway.url, key, { max_tokens: 3, ...body }, headers)
    assert.equal(status, 200)
    const rows = await (await gateway.get(`/spend/logs?request_id=${callId}`, admin)).json()
    kept.push(object(object(list(rows)[0])['metadata'])['spend_logs_metadata'])
  }
  const own = { team: 1, key: 1 }
  assert.deepEqual(kept, [
    { ...own, same: 'key' },
    { ...own, body: 1, same: 'body' },
    { ...own, same: 'header' },
    { ...own, same: 'key' },
  ])
})

test('fail_closed_budget_enforcement: who bounds nothing is let in only where all of it fits', async (t) => {
  const statuses: number[][] = []
  for (const fail_closed_budget_enforcement of [false, true]) {
    const one = await startGateway(t, {
      models: [{ ...pricedRow(provider), model_info: { max_output_tokens: 1000 } }],
      general: { master_key: masterKey, fail_closed_budget_enforcement },
    })
    const key = await makeKey(one.url, { max_budget: 0.001 })
    statuses.push([
      (await call(one.url, key)).status,
      (await call(one.url, key, { max_tokens: 3 })).status,
    ])
  }
  assert.deepEqual(statuses, [
    [200, 200],
    [422, 200],
  ])
})

test('a user’s budget bounds their keys in teams only where that is wanted', async (t) => {
  const statuses: number[] = []
  for (const apply_user_budget_to_team_keys of [false, true]) {
    const one = await startGateway(t, {
      models: [pricedRow(provider)],
      general: { master_key: masterKey, apply_user_budget_to_team_keys },
    })
    const post = async (path: string, body: JsonObject): Promise<void> =>
      assert.equal((await one.post(path, body, admin)).status, 200, path)
    await post('/user/new', { user_id: 'poor', max_budget: 0, auto_create_key: false })
    const members_with_roles = [{ user_id: 'poor', role: 'user' }]
    await post('/team/new', { team_id: 'rich', members_with_roles })
    const key = await makeKey(one.url, { user_id: 'poor', team_id: 'rich' })
    statuses.push((await call(one.url, key, { max_tokens: 3 })).status)
  }
  assert.deepEqual(statuses, [200, 422])
})

test('search tools: those that object_permission of the key and of its team name, if they name any', async () => {
  const naming = (...search_tools: string[]): JsonObject => ({
    object_permission: { search_tools },
  })
  await manage('/team/new', { team_id: 'searching', ...naming('here') })
  const cases: [JsonObject, here: boolean, there: boolean][] = [
    [{}, true, true],
    [naming(), true, true],
    [naming('there'), false, true],
    [{ team_id: 'searching' }, true, false],
    [{ team_id: 'searching', ...naming('there') }, false, false],
  ]
  for (const [key, ...may] of cases) {
    const headers = { authorization: `Bearer ${await makeKey(gateway.url, key)}` }
    const shown = list(
      object(await (await gateway.get('/v1/search/tools', headers)).json())['data'],
    ).map((one) => object(one)['search_tool_name'])
    for (const [nth, tool] of ['here', 'there'].entries()) {
      const { status } = await gateway.post(`/v1/search/${tool}`, { query: 'q' }, headers)
      assert.equal(status !== 403, may[nth], `${tool} ${JSON.stringify(key)}`)
      assert.equal(shown.includes(tool), may[nth])
    }
  }
})

test('requests a minute that carry a tag', async () => {
  const key = await makeKey(gateway.url, { tag_rpm_limit: { batch: 2 } })
  const statuses: number[] = []
  for (const tags of ['batch', 'batch,other', 'batch', 'other'])
    statuses.push(
      (await call(gateway.url, key, { max_tokens: 3 }, { 'x-litellm-tags': tags })).status,
    )
  assert.deepEqual(statuses, [200, 200, 429, 200])
  const { body } = await call(gateway.url, key, { metadata: { tags: ['batch'] }, max_tokens: 3 })
  assert.match(
    refusalOf(body),
    /^Rate limit exceeded for tag_per_key: batch\. Limit type: requests/,
  )
})

test('tokens a minute that a model reads, and those it writes', async () => {
  const through = async (terms: JsonObject): Promise<number> => {
    const key = await makeKey(gateway.url, terms)
    for (let nth = 0; nth < 12; nth++) {
      const { status, body } = await call(gateway.url, key, { max_tokens: 3 })
      if (status === 200) continue
      assert.equal(status, 429)
      assert.match(refusalOf(body), /^Rate limit exceeded for model_per_key: m \((in|out)put\)\./)
      return nth
    }
    return 12
  }
  // Three are written each time, and three are set aside.
  assert.equal(await through({ model_otpm_limit: { m: 12 } }), 4)
  assert.equal(await through({ model_otpm_limit: { other: 1 } }), 12)
  const read = await through({ model_itpm_limit: { m: 45 } })
  assert.ok(read >= 2 && read <= 5, `${read} of nine tokens each`)
  assert.equal(await through({ model_itpm_limit: { m: 45 }, model_otpm_limit: { m: 3 } }), 1)
})

test('what is passed on to a provider: not where the key is denied it', async () => {
  const passed = async (key: JsonObject, path: string): Promise<number> =>
    (
      await gateway.get(path, {
        authorization: `Bearer ${await makeKey(gateway.url, key)}`,
      })
    ).status
  const denied = { denied_passthrough_routes: ['/openai/v1/evals'] }
  assert.equal(await passed({}, '/openai/v1/evals'), 200)
  assert.equal(await passed(denied, '/openai/v1/evals/x'), 403)
  assert.equal(await passed(denied, '/openai/v1/other'), 200)
})

test('end_user_budget_id: customers without a budget of their own have the one that the key names', async () => {
  await manage('/budget/new', { budget_id: 'of-guests', max_budget: 2 * dollars })
  await manage('/customer/new', { user_id: 'regular', max_budget: 1 })
  const key = await makeKey(gateway.url, { end_user_budget_id: 'of-guests' })
  const other = await makeKey(gateway.url)
  const through = async (of: string, user: string): Promise<number> => {
    let count = 0
    while (count < 4 && (await call(gateway.url, of, { max_tokens: 3, user })).status === 200)
      count++
    return count
  }
  assert.equal(await through(key, 'guest'), 2)
  assert.equal(await through(other, 'guest'), 4)
  assert.equal(await through(key, 'regular'), 4)
  await manage('/budget/update', { budget_id: 'of-guests', max_budget: 1 })
  assert.equal(await through(key, 'guest'), 4)
})

test('an answer that nothing bounds is reckoned as its key says, until it is there', async () => {
  const tokens = { tpm_limit: 200 }
  const first = async (terms: JsonObject): Promise<number> =>
    (await call(gateway.url, await makeKey(gateway.url, { ...tokens, ...terms }))).status
  assert.equal(await first({}), 200)
  assert.equal(await first({ default_estimated_output_tokens: 100 }), 200)
  assert.equal(await first({ default_estimated_output_tokens: 500 }), 429)
  const perModel = { default_estimated_output_tokens_per_model: { m: 500, other: 1 } }
  assert.equal(await first(perModel), 429)
  assert.equal(await first({ ...perModel, default_estimated_output_tokens: 1 }), 429)
})
