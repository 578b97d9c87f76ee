import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Json, type JsonObject, list, object } from '../json/json.ts'
import { accountOf, setSpend } from '../store/accounts.ts'
import { entry, fill } from '../store/spend-fill.test.ts'
import { costRoutes } from './cost.ts'
import { dailyActivityRoutes } from './daily-activity.ts'
import { noon, type Office, openOffice } from './office.test.ts'
import { spendListRoutes } from './spend-lists.ts'
import { spendLogRoutes } from './spend-logs.ts'
import { spendReportRoutes } from './spend-reports.ts'

const dollar = 1e9
const today = '2026-01-14'
const yesterday = '2026-01-13'
const days = `start_date=${yesterday}&end_date=${today}`
const canary = 'sk-kim-0123456789'

/**
 * kim and lee are in team red, which lee administers; max is nobody's; vic sees all. `rita` administers the organisation
 * that red is part of.
 */
async function opened(): Promise<Office> {
  const office = await openOffice([
    ...spendLogRoutes,
    ...spendListRoutes,
    ...spendReportRoutes,
    ...dailyActivityRoutes,
    ...costRoutes,
  ])
  for (const name of ['kim', 'lee', 'rita']) await office.person(name)
  await office.person('vic', 'proxy_admin_viewer')
  const red = await office.key('red', { user_id: 'kim', team_id: 'red' })
  const nobody = await office.key('nobody')
  const { store } = office
  const kim = store.sealer.digest(canary)
  await store.write(async (tx) => {
    await tx.team.insert({
      id: 'red',
      columns: { alias: 'Red', organization_id: 'acme' },
      data: {},
    })
    for (const [user, role] of [
      ['kim', 'user'],
      ['lee', 'admin'],
    ] as const)
      await tx.team_member.insert({
        id: `red/${user}`,
        columns: { team_id: 'red', user_id: user },
        data: { role },
      })
    await tx.organization_member.insert({
      id: 'acme/rita',
      columns: { organization_id: 'acme', user_id: 'rita' },
      data: { user_role: 'org_admin' },
    })
    await setSpend(tx, accountOf.key(kim), 2 * dollar)
    await setSpend(tx, accountOf.user('kim'), 5 * dollar)
  })
  const hours = (ago: number) => noon - ago * 3_600_000
  await fill(store.db, [
    entry('old', hours(26), {
      keyId: kim,
      nanoDollars: dollar,
      payer: { userId: 'kim', tags: ['a'] },
    }),
    entry('k1', hours(3), {
      keyId: kim,
      nanoDollars: dollar,
      retries: 2,
      units: { seconds: 2.5, images: 0, resolution: '720p', pixels: Number.NaN },
      payer: { userId: 'kim', tags: ['a', 'b'], keyAlias: 'kim', sessionId: 's1', ip: '10.1.1.1' },
    }),
    entry('r1', hours(2), {
      keyId: red,
      nanoDollars: 3 * dollar,
      payer: { userId: 'kim', teamId: 'red', organizationId: 'acme', customerId: 'c1' },
    }),
    entry('r2', hours(1), {
      keyId: red,
      nanoDollars: 0,
      fault: 'rate_limit',
      status: 429,
      error: 'slow down',
      payer: { userId: 'kim', teamId: 'red', organizationId: 'acme', customerId: 'c1' },
    }),
    entry('n1', hours(0.5), { keyId: nobody, nanoDollars: 7 * dollar, answerId: undefined }),
    entry('m1', hours(0.4), {
      keyId: 'master_key',
      nanoDollars: 100_000_001,
      group: 'gpt-b',
      upstreamModel: 'big',
      payer: { tags: ['b'] },
    }),
  ])
  return office
}

const office = await opened()
const ids = (rows: readonly Json[]): Json[] => rows.map((row) => object(row)['request_id'] ?? null)

describe('who sees which rows', () => {
  const all = ['m1', 'call-n1', 'r2', 'r1', 'k1', 'old']
  const seen: [who: string, query: string, ids: string[]][] = [
    ['admin', '', all],
    ['vic', '', all],
    ['kim', '', ['r2', 'r1', 'k1', 'old']],
    ['kim', '?user_id=lee', []],
    ['kim', '?api_key=sk-nobody-0123456789', []],
    ['lee', '', ['r2', 'r1']],
    ['lee', '?user_id=kim', ['r2', 'r1']],
    ['rita', '', ['r2', 'r1']],
    ['nobody', '', ['call-n1']],
    ['nobody', '?request_id=k1', []],
    ['red', '', ['r2', 'r1', 'k1', 'old']],
    ['admin', `?api_key=${canary}`, ['k1', 'old']],
    ['admin', '?api_key=sk-kim-0123456789&api_key=sk-red-0123456789', ['r2', 'r1', 'k1', 'old']],
    ['admin', '?user_id=kim&request_id=r1', ['r1']],
    ['admin', '?request_id=call-r1', ['r1']],
    ['admin', '?user_id=nobody', []],
    ['admin', "?user_id=' or 1=1 --", []],
    ['admin', `?${days}&summarize=false`, all],
    ['admin', `?start_date=${today}&summarize=false`, all.slice(0, 5)],
    ['admin', '?start_date=2020-01-01&end_date=2020-01-02&summarize=false', []],
  ]
  for (const [who, query, expected] of seen)
    test(`${who} ${query}`, async () => {
      const told = await office.ask(who, 'GET', `/spend/logs${query}`)
      assert.equal(told.status, 200)
      assert.deepEqual(ids(told.list), expected)
    })
})

describe('what is refused, and why', () => {
  const refused: [who: string, path: string, status: number, said: RegExp][] = [
    ['admin', '/spend/logs?start_date=yesterday&end_date=today', 422, /start_date.*2026-01-31/],
    ['admin', '/spend/logs?start_date=2026-02-30', 422, /start_date/],
    ['admin', '/spend/logs/v2', 400, /date/i],
    ['admin', `/spend/logs/v2?${days}&sort_by=api_key`, 422, /sort_by/],
    ['admin', `/spend/logs/v2?${days}&sort_order=up`, 422, /sort_order/],
    ['admin', `/spend/logs/v2?${days}&page=0`, 422, /page/],
    ['admin', `/spend/logs/v2?${days}&page_size=1001`, 422, /page_size/],
    ['admin', `/spend/logs/v2?${days}&min_spend=much`, 422, /min_spend/],
    ['admin', `/spend/logs/v2?${days}&status_filter=odd`, 422, /status_filter/],
    ['admin', `/spend/logs/v2?${days}&group_by_session=true`, 400, /session/],
    ['admin', '/global/spend/report', 400, /date/i],
    ['admin', `/global/spend/report?${days}&group_by=colour`, 422, /group_by/],
    ['admin', '/user/daily/activity', 400, /date/i],
    ['admin', `/user/daily/activity?${days}&timezone=9999`, 422, /timezone/],
    ['admin', '/global/activity', 400, /date/i],
    ['admin', '/global/spend/provider', 400, /date/i],
    ['admin', '/spend/users?user_id=nobody', 404, /nobody/],
    ['kim', '/global/spend', 403, /viewers/],
    ['kim', '/spend/users?user_id=lee', 403, /own/],
    ['kim', `/user/daily/activity?${days}&user_id=lee`, 403, /own/],
    ['kim', `/team/daily/activity?${days}&team_ids=blue`, 403, /member/],
    ['kim', `/organization/daily/activity?${days}&organization_ids=acme`, 403, /administer/],
    ['kim', `/customer/daily/activity?${days}`, 403, /viewers/],
    ['kim', `/key/spend/report?${days}&api_key=sk-nobody-0123456789`, 403, /own/],
    ['kim', `/user/spend/report?${days}&internal_user_id=lee`, 403, /own/],
    ['kim', `/team/spend/report?${days}&team_id=blue`, 403, /own/],
    ['nobody', `/team/spend/report?${days}`, 403, /team_id/],
    ['nobody', '/spend/logs/ui/k1', 403, /may not/],
    ['admin', '/user/daily/activity/export', 501, /\/user\/daily\/activity\/export/],
  ]
  for (const [who, path, status, said] of refused)
    test(`${who} ${path}`, async () => {
      const told = await office.ask(who, 'GET', path)
      assert.equal(told.status, status)
      assert.match(String(object(told.body['error'])['message']), said)
    })

  test('a viewer resets nothing, and neither does an administrator who is a user', async () => {
    await office.person('ada', 'proxy_admin')
    for (const who of ['vic', 'kim', 'ada'])
      assert.equal((await office.ask(who, 'POST', '/global/spend/reset')).status, 403)
  })
})

test('a row is shown as LiteLLM shows it, and never holds a key', async () => {
  const { list: rows } = await office.ask('admin', 'GET', '/spend/logs?request_id=r2')
  const row = object(rows[0])
  const hash = office.store.sealer.digest('sk-red-0123456789')
  for (const [field, value] of Object.entries({
    request_id: 'r2',
    litellm_call_id: 'call-r2',
    call_type: 'acompletion',
    api_key: hash,
    spend: 0,
    total_tokens: 15,
    prompt_tokens: 10,
    completion_tokens: 5,
    startTime: '2026-01-14T11:00:00.000Z',
    endTime: '2026-01-14T11:00:00.100Z',
    completionStartTime: '2026-01-14T11:00:00.040Z',
    request_duration_ms: 100,
    model: 'gpt-x',
    model_id: 'd1',
    model_group: 'gpt',
    custom_llm_provider: 'openai',
    user: 'kim',
    team_id: 'red',
    organization_id: 'acme',
    end_user: 'c1',
    cache_hit: 'False',
    request_tags: [],
    status: 'failure',
    session_id: null,
  }))
    assert.deepEqual(row[field], value, field)
  const metadata = object(row['metadata'])
  assert.deepEqual(metadata['error_information'], {
    error_code: '429',
    error_class: 'RateLimitError',
    llm_provider: 'openai',
    error_message: 'slow down',
    traceback: '',
  })
  const [other] = (await office.ask('admin', 'GET', '/spend/logs?request_id=k1')).list
  const more = object(object(other)['metadata'])
  assert.deepEqual(
    [
      object(other)['request_tags'],
      object(other)['session_id'],
      object(other)['requester_ip_address'],
    ],
    [['a', 'b'], 's1', '10.1.1.1'],
  )
  assert.deepEqual([more['user_api_key_alias'], more['attempted_retries']], ['kim', 2])
  assert.deepEqual(more['additional_usage_values'], {
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
    seconds: 2.5,
    resolution: '720p',
  })
  assert.ok(!JSON.stringify([row, other]).includes(canary))
})

test('prompts and answers that were kept are shown to whom the row belongs', async () => {
  await office.store.write((tx) =>
    tx.db
      .insertInto('payload')
      .values({
        request_id: 'call-k1',
        at: noon,
        bytes: 10,
        data: JSON.stringify({
          messages: [{ role: 'user', content: 'hi' }],
          response: { id: 'k1' },
        }),
      })
      .execute()
      .then(() => {}),
  )
  const { body } = await office.ask('kim', 'GET', '/spend/logs/ui/k1')
  assert.deepEqual(body['response'], { id: 'k1' })
  const [row] = (await office.ask('kim', 'GET', '/spend/logs?request_id=k1')).list
  assert.deepEqual(object(row)['response'], { id: 'k1' })
  const { body: none } = await office.ask('kim', 'GET', '/spend/logs/ui/r1')
  assert.deepEqual(none, { messages: {}, response: {}, proxy_server_request: {} })
})

test('sums by day: who, what, and each key', async () => {
  const { list: entries } = await office.ask(
    'admin',
    'GET',
    `/spend/logs?${days.replace(today, '2026-01-16')}`,
  )
  const kim = office.store.sealer.digest(canary)
  assert.deepEqual(
    entries.map((one) => [object(one)['startTime'], object(one)['spend']]),
    [
      [yesterday, 1],
      [today, 11.100000001],
      ['2026-01-15', 0],
      ['2026-01-16', 0],
    ],
  )
  const now = object(entries[1])
  assert.deepEqual(now['users'], { kim: 4, '': 7.100000001 })
  assert.deepEqual(now['models'], { 'gpt-x': 11, big: 0.100000001 })
  assert.equal(now[kim], 1)
  // Only what is theirs, whatever they ask.
  const { list: own } = await office.ask('kim', 'GET', `/spend/logs?${days}&user_id=kim`)
  assert.deepEqual(
    own.map((one) => object(one)['spend']),
    [1, 4],
  )
  const { list: others } = await office.ask('kim', 'GET', `/spend/logs?${days}&user_id=lee`)
  assert.deepEqual(others, [])
  const { list: one } = await office.ask('nobody', 'GET', `/spend/logs?${days}`)
  assert.deepEqual(
    one.map((of) => object(of)['spend']),
    [7],
  )
})

describe('pages of rows', () => {
  const found: [query: string, ids: string[]][] = [
    ['', ['m1', 'call-n1', 'r2', 'r1', 'k1', 'old']],
    ['&team_id=red', ['r2', 'r1']],
    ['&end_user=c1&status_filter=success', ['r1']],
    ['&status_filter=failure', ['r2']],
    ['&error_code=429', ['r2']],
    ['&error_code=abc', []],
    ['&error_message=slow', ['r2']],
    ['&session_id=s1', ['k1']],
    ['&key_alias=re', ['r2', 'r1']],
    ['&min_spend=0.1&max_spend=1', ['m1', 'k1', 'old']],
    ['&model=big', ['m1']],
    ['&model_group=gpt-b', ['m1']],
    ['&model_id=none', []],
    ['&cache_hit_filter=hit', []],
    ['&search=red', ['r2', 'r1']],
    ['&search=c1', ['r2', 'r1']],
    ['&span_type=mcp', []],
    ['&span_type=llm&user_id=kim&sort_by=spend&sort_order=asc', ['r2', 'old', 'k1', 'r1']],
    ['&sort_by=startTime&sort_order=ASC&page_size=2', ['old', 'k1']],
    ['&page_size=4&page=2', ['k1', 'old']],
    ['&page=3', []],
  ]
  for (const [query, expected] of found)
    test(query, async () => {
      const { status, body } = await office.ask('vic', 'GET', `/spend/logs/v2?${days}${query}`)
      assert.equal(status, 200)
      assert.deepEqual(ids(list(body['data'])), expected)
      const size = Number(/page_size=(\d+)/.exec(query)?.[1] ?? 50)
      assert.equal(body['total_pages'], Math.ceil(Number(body['total']) / size))
    })

  test('times to the second, both inclusive', async () => {
    const at = (from: string, to: string) =>
      `/spend/logs/ui?start_date=${encodeURIComponent(`${today} ${from}`)}&end_date=${encodeURIComponent(`${today} ${to}`)}`
    const { body } = await office.ask('admin', 'GET', at('09:00:00', '10:00:00'))
    assert.deepEqual(ids(list(body['data'])), ['r1', 'k1'])
    const { body: less } = await office.ask('admin', 'GET', at('09:00:01', '09:59:59'))
    assert.deepEqual(less['data'], [])
    // One request is found whenever it was.
    const { body: one } = await office.ask('admin', 'GET', '/spend/logs/ui?request_id=old')
    assert.deepEqual(ids(list(one['data'])), ['old'])
  })

  test('a session', async () => {
    const path = '/spend/logs/session/ui?session_id=s1'
    const { body } = await office.ask('kim', 'GET', path)
    assert.deepEqual([ids(list(body['data'])), body['total']], [['k1'], 1])
    assert.deepEqual((await office.ask('nobody', 'GET', path)).body['data'], [])
  })
})

describe('lists and reports', () => {
  const told: [who: string, path: string, expected: unknown][] = [
    ['admin', '/global/spend', { spend: 12.100000001, max_budget: 0 }],
    [
      'vic',
      '/global/spend/logs',
      [
        { date: yesterday, spend: 1 },
        { date: today, spend: 11.100000001 },
      ],
    ],
    [
      'vic',
      `/global/spend/logs?api_key=${canary}`,
      [yesterday, today].map((date) => ({ date, spend: 1 })),
    ],
    [
      'vic',
      '/global/spend/models',
      [
        { model: 'gpt-x', total_spend: 12, total_tokens: 75 },
        { model: 'big', total_spend: 0.100000001, total_tokens: 15 },
      ],
    ],
    [
      'vic',
      '/global/spend/models?limit=1',
      [{ model: 'gpt-x', total_spend: 12, total_tokens: 75 }],
    ],
    ['vic', `/global/spend/provider?${days}`, [{ provider: 'openai', spend: 12.100000001 }]],
    ['vic', '/global/spend/all_tag_names', { tag_names: ['a', 'b'] }],
    ['vic', '/global/all_end_users', { end_users: ['c1'] }],
    [
      'vic',
      `/global/spend/tags?${days}&tags=a`,
      { spend_per_tag: [{ name: 'a', spend: 2, log_count: 2 }] },
    ],
    [
      'kim',
      '/spend/tags',
      [
        { individual_request_tag: 'a', log_count: 2, total_spend: 2 },
        { individual_request_tag: 'b', log_count: 1, total_spend: 1 },
      ],
    ],
    ['nobody', '/spend/tags', []],
    [
      'admin',
      '/spend/tags?start_date=2026-01-14',
      [
        { individual_request_tag: 'b', log_count: 2, total_spend: 1.100000001 },
        { individual_request_tag: 'a', log_count: 1, total_spend: 1 },
      ],
    ],
    [
      'kim',
      `/global/activity?${days}`,
      {
        daily_data: [
          { date: 'Jan 13', api_requests: 1, total_tokens: 15 },
          { date: 'Jan 14', api_requests: 3, total_tokens: 45 },
        ],
        sum_api_requests: 4,
        sum_total_tokens: 60,
      },
    ],
    [
      'vic',
      `/global/activity/exceptions?${days}&model_group=gpt`,
      {
        daily_data: [{ date: 'Jan 14', num_rate_limit_exceptions: 1 }],
        sum_num_rate_limit_exceptions: 1,
      },
    ],
    [
      'vic',
      '/global/spend/teams',
      {
        daily_spend: [
          { date: yesterday, Unassigned: 1 },
          { date: today, Unassigned: 8.100000001, Red: 3 },
        ],
        teams: ['Unassigned', 'Red'],
        total_spend_per_team: [
          { team_id: 'Unassigned', total_spend: 9.100000001 },
          { team_id: 'Red', total_spend: 3 },
        ],
      },
    ],
  ]
  for (const [who, path, expected] of told)
    test(`${who} ${path}`, async () => {
      const { body, list: rows } = await office.ask(who, 'GET', path)
      assert.deepEqual(Array.isArray(expected) ? rows : body, expected)
    })

  test('keys and users, those who spent most first', async () => {
    const { list: keys } = await office.ask('admin', 'GET', '/spend/keys')
    const [first] = keys.map(object)
    assert.deepEqual([first?.['token'], first?.['spend']], [office.store.sealer.digest(canary), 2])
    assert.ok(!JSON.stringify(keys).includes('sk-kim'))
    const { list: own } = await office.ask('kim', 'GET', '/spend/keys')
    assert.deepEqual(
      own.map((one) => object(one)['key_alias']),
      ['kim', 'red'],
    )
    const { list: users } = await office.ask('admin', 'GET', '/spend/users')
    assert.deepEqual([object(users[0])['user_id'], object(users[0])['spend']], ['kim', 5])
    assert.ok(!JSON.stringify(users).includes('password'))
    const { list: self } = await office.ask('lee', 'GET', '/spend/users')
    assert.deepEqual(
      self.map((one) => object(one)['user_id']),
      ['lee'],
    )
  })

  const hash = (who: string) => office.store.sealer.digest(`sk-${who}-0123456789`)
  test('reports', async () => {
    const report = async (who: string, path: string) =>
      (await office.ask(who, 'GET', `${path}${path.includes('?') ? '&' : '?'}${days}`)).list.map(
        object,
      )
    const red = {
      api_key: hash('red'),
      total_cost: 3,
      total_input_tokens: 20,
      total_output_tokens: 10,
      model_details: [
        { model: 'gpt-x', total_cost: 3, total_input_tokens: 20, total_output_tokens: 10 },
      ],
    }
    assert.deepEqual(await report('vic', '/global/spend/report?api_key=sk-red-0123456789'), [red])
    assert.deepEqual(await report('red', '/key/spend/report'), [red])
    assert.deepEqual(await report('lee', '/team/spend/report?team_id=red'), [red])
    assert.deepEqual(await report('red', '/team/spend/report'), [red])
    assert.deepEqual(
      (await report('kim', '/user/spend/report')).map((one) => one['total_cost']),
      [3, 2],
    )
    assert.deepEqual(await report('rita', '/organization/spend/report'), [
      { ...red, model_details: red.model_details.map((one) => ({ team_id: 'red', ...one })) },
    ])
    assert.deepEqual(
      (await report('vic', '/global/spend/report?group_by=api_key')).map(
        (one) => one['total_cost'],
      ),
      [7, 3, 2, 0.100000001],
    )
    const part = { model: 'gpt-x', api_key: hash('red'), spend: 3, total_tokens: 30 }
    assert.deepEqual(await report('vic', '/global/spend/report'), [
      {
        group_by_day: today,
        teams: [{ team_name: 'Red', team_id: 'red', total_spend: 3, metadata: [part] }],
      },
    ])
    assert.deepEqual(await report('vic', '/global/spend/report?group_by=customer'), [
      { group_by_day: today, customers: [{ customer: 'c1', total_spend: 3, metadata: [part] }] },
    ])
    assert.deepEqual(await report('vic', '/global/spend/report?team_id=red&customer_id=c1'), [
      {
        group_by_day: today,
        teams: [
          { team_name: 'Red', team_id: 'red', customer: 'c1', total_spend: 3, metadata: [part] },
        ],
      },
    ])
  })

  test('customers that spent most', async () => {
    const { list: rows } = await office.ask('vic', 'POST', '/global/spend/end_users', {
      api_key: 'sk-red-0123456789',
    })
    assert.deepEqual(rows, [{ end_user: 'c1', total_count: 2, total_spend: 3 }])
  })
})

describe('daily activity', () => {
  const ask = async (who: string, path: string) =>
    (await office.ask(who, 'GET', `${path}${path.includes('?') ? '&' : '?'}${days}`)).body
  const spend = (body: JsonObject) => object(body['metadata'])['total_spend']
  const sums: [who: string, path: string, spend: number | undefined][] = [
    ['admin', '/user/daily/activity', 12.100000001],
    ['vic', '/user/daily/activity?user_id=kim', 5],
    ['kim', '/user/daily/activity', 5],
    ['kim', `/user/daily/activity?api_key=${canary}`, 2],
    ['kim', '/user/daily/activity?api_key=sk-nobody-0123456789', 0],
    ['nobody', '/user/daily/activity', 7],
    ['kim', '/user/daily/activity?model=big', 0],
    ['lee', '/team/daily/activity', 3],
    // A member sees what they spent themselves: here all of it.
    ['kim', '/team/daily/activity?team_ids=red', 3],
    ['admin', '/team/daily/activity?exclude_team_ids=red', 0],
    ['rita', '/organization/daily/activity', 3],
    ['kim', '/tag/daily/activity?tags=b', 1],
    ['vic', '/tag/daily/activity?tags=b', 1.100000001],
    ['vic', '/customer/daily/activity?end_user_ids=c1', 3],
    ['vic', '/agent/daily/activity', 0],
    ['vic', '/user/daily/activity/aggregated', 12.100000001],
  ]
  for (const [who, path, expected] of sums)
    test(`${who} ${path}`, async () => assert.equal(spend(await ask(who, path)), expected))

  test('a day in all its parts', async () => {
    const body = await ask('vic', '/team/daily/activity')
    const metrics = {
      spend: 3,
      flat_cost: 0,
      prompt_tokens: 20,
      completion_tokens: 10,
      cache_read_input_tokens: 0,
      cache_creation_input_tokens: 0,
      total_tokens: 30,
      successful_requests: 1,
      failed_requests: 1,
      api_requests: 2,
      total_response_time_ms: 100,
      timed_requests: 1,
    }
    const key = {
      [office.store.sealer.digest('sk-red-0123456789')]: {
        metrics,
        metadata: {
          key_alias: 'red',
          team_id: 'red',
          user_id: 'kim',
          user_email: 'kim@example.org',
          key_exists: true,
        },
      },
    }
    const part = { metrics, metadata: {}, api_key_breakdown: key }
    assert.deepEqual(body['results'], [
      {
        date: today,
        metrics,
        breakdown: {
          mcp_servers: {},
          models: { 'gpt-x': part },
          model_groups: { gpt: part },
          providers: { openai: part },
          endpoints: { '/chat/completions': part },
          api_keys: key,
          entities: { red: { ...part, metadata: { team_alias: 'Red' } } },
        },
      },
    ])
  })

  test('pages are whole days; keys beyond the limit still count', async () => {
    const first = await ask('vic', '/user/daily/activity?page_size=1&api_key_limit=1')
    assert.deepEqual(
      list(first['results']).map((one) => object(one)['date']),
      [today],
    )
    const { metadata } = first
    assert.deepEqual(
      [
        spend(first),
        object(metadata)['has_more'],
        object(metadata)['total_pages'],
        object(metadata)['total_api_keys'],
      ],
      [11.100000001, true, 2, 4],
    )
    const breakdown = object(object(list(first['results'])[0])['breakdown'])
    assert.equal(Object.keys(object(breakdown['api_keys'])).length, 1)
    assert.equal(object(object(object(breakdown['models'])['gpt-x'])['metrics'])['spend'], 11)
    const second = await ask('vic', '/user/daily/activity?page_size=1&page=2')
    assert.deepEqual([spend(second), object(second['metadata'])['has_more']], [1, false])
    const third = await ask('vic', '/user/daily/activity?page_size=1&page=3')
    assert.deepEqual([third['results'], spend(third)], [[], 0])
  })

  test('a day begins where the caller is', async () => {
    // At noon in London it is past midnight two hours earlier only far in the east.
    const east = await ask('vic', '/user/daily/activity?timezone=-840')
    assert.deepEqual(
      list(east['results']).map((one) => [
        object(one)['date'],
        object(object(one)['metrics'])['spend'],
      ]),
      [[today, 2]],
    )
  })
})

test('what a request costs', async () => {
  const messages = [{ role: 'user', content: 'hello there' }]
  const { body } = await office.ask('kim', 'POST', '/spend/calculate', { model: 'gpt-a', messages })
  assert.ok(Number(body['cost']) > 0 && Number(body['cost']) < 1e-3)
  const usage = { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 }
  const { body: done } = await office.ask('kim', 'POST', '/spend/calculate', {
    completion_response: { model: 'gpt-a', usage, choices: [] },
  })
  assert.equal(done['cost'], 0.002)
  const { body: many } = await office.ask('kim', 'POST', '/cost/estimate', {
    model: 'gpt-a',
    input_tokens: 1000,
    output_tokens: 500,
    num_requests_per_day: 10,
  })
  assert.deepEqual(
    [
      many['cost_per_request'],
      many['input_cost_per_request'],
      many['daily_cost'],
      many['monthly_cost'],
    ],
    [0.002, 0.001, 0.02, null],
  )
  const wrong: [path: string, body: JsonObject, status: number, said: RegExp][] = [
    ['/spend/calculate', {}, 400, /model/],
    ['/spend/calculate', { model: 'gpt-a' }, 400, /messages/],
    ['/spend/calculate', { model: 'nobody/knows', messages }, 400, /price/],
    ['/spend/calculate', { model: 7 }, 422, /model/],
    ['/spend/calculate', { completion_response: { model: 'gpt-a' } }, 400, /usage/],
    ['/cost/estimate', { model: 'gpt-a', input_tokens: -1, output_tokens: 1 }, 422, /input_tokens/],
    [
      '/cost/estimate',
      { model: 'gpt-a', input_tokens: 1, output_tokens: 1, reasoning_tokens: 2 },
      422,
      /reasoning/,
    ],
  ]
  for (const [path, sent, status, said] of wrong) {
    const told = await office.ask('kim', 'POST', path, sent)
    assert.equal(told.status, status, JSON.stringify(sent))
    assert.match(String(object(told.body['error'])['message']), said)
  }
})

test('more rows than one piece are all told, the newest first', async () => {
  const many = await opened()
  await fill(
    many.store.db,
    Array.from({ length: 1234 }, (_, n) => entry(`m-${n}`, noon + n, { keyId: 'many' })),
  )
  const { list: rows } = await many.ask('admin', 'GET', '/spend/logs?api_key=many')
  assert.deepEqual(
    ids(rows),
    Array.from({ length: 1234 }, (_, n) => `m-${1233 - n}`),
  )
})

test('the master key sets everybody back to nothing', async () => {
  const fresh = await opened()
  const { body } = await fresh.ask('admin', 'POST', '/global/spend/reset')
  assert.equal(body['status'], 'success')
  const { list: keys } = await fresh.ask('admin', 'GET', '/spend/keys')
  assert.ok(keys.every((one) => object(one)['spend'] === 0))
  // What users spent is theirs, and rows stay.
  const { list: users } = await fresh.ask('admin', 'GET', '/spend/users?user_id=kim')
  assert.equal(object(users[0])['spend'], 5)
  assert.equal((await fresh.ask('admin', 'GET', '/spend/logs')).list.length, 6)
})
