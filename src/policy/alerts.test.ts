import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { type AlertPlaces, createAlerts, placesOf, type SoftBudget } from './alerts.ts'
import { nobody } from './caller.ts'
import type { Holder, HolderScope } from './terms.ts'

const url = 'http://127.0.0.1:1/hook'
const holder = (scope: HolderScope, id: string, soft = 5e9): Holder => ({
  scope,
  id,
  name: id,
  account: `${scope}:${id}`,
  terms: {
    budget: { account: `${scope}:${id}`, max: 10e9, duration: '1d' },
    soft,
    windows: [],
    models: new Map(),
    rpm: undefined,
    tpm: undefined,
    tpd: undefined,
    parallel: undefined,
    modelRpm: new Map(),
    modelTpm: new Map(),
    modelSides: { input: new Map(), output: new Map() },
    tagRpm: new Map(),
  },
})
const caller = { ...nobody, role: 'none' as const, keyId: 'hash', userId: 'u', teamId: 't' }
const passed = (scope: HolderScope, id: string, more: Partial<SoftBudget> = {}): SoftBudget => ({
  holder: holder(scope, id),
  spend: 6e9,
  resetsAt: 1000,
  caller,
  ...more,
})

type Sent = { url: string; body: JsonObject }
function alertsWith({
  places = { webhooks: [url], slack: [] },
  answers = () => 200,
  first = async () => true,
}: {
  places?: AlertPlaces
  answers?: (nth: number) => number
  first?: (name: string) => Promise<boolean>
} = {}) {
  const sent: Sent[] = []
  const logged: string[] = []
  const slept: number[] = []
  const alerts = createAlerts({
    places: () => places,
    async post(to, body) {
      sent.push({ url: to, body: JSON.parse(body) })
      const status = answers(sent.length)
      if (status === 0) throw new Error('nobody is there')
      return status
    },
    isFirst: first,
    log: (_, message) => void logged.push(message),
    now: () => Date.parse('2026-11-21T10:11:12Z'),
    sleep: async (ms) => void slept.push(ms),
  })
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5))
  return { alerts, sent, logged, slept, settled }
}

describe('a soft budget', () => {
  test('is told of once in a period, in LiteLLM’s words', async () => {
    const { alerts, sent, logged, settled } = alertsWith()
    alerts.soft(passed('key', 'k'))
    alerts.soft(passed('key', 'k', { spend: 7e9 }))
    await settled()
    assert.deepEqual(
      sent.map(({ body }) => body),
      [
        {
          spend: 6,
          max_budget: 10,
          soft_budget: 5,
          token: 'hash',
          customer_id: null,
          user_id: 'u',
          team_id: 't',
          team_alias: null,
          organization_id: null,
          user_email: null,
          key_alias: null,
          projected_exceeded_date: null,
          projected_spend: null,
          event_group: 'key',
          alert_emails: null,
          max_budget_alert_emails: null,
          event: 'soft_budget_crossed',
          event_message: 'Soft Budget Crossed: Total Soft Budget:`5`',
        },
      ],
    )
    alerts.soft(passed('key', 'k', { resetsAt: 2000 }))
    alerts.soft(passed('key', 'k', { resetsAt: 2000, holder: holder('key', 'k', 6e9) }))
    await settled()
    assert.equal(sent.length, 3, 'the next period, and another bound')
    assert.equal(logged.length, 3)
  })

  const who: [scope: HolderScope, id: string, expected: JsonObject][] = [
    ['user', 'ann', { event_group: 'user', user_id: 'ann', team_id: null, token: null }],
    ['team', 'blue', { event_group: 'team', team_id: 'blue', user_id: null, token: null }],
    ['member', 'blue/ann', { event_group: 'team_member', team_id: 'blue', user_id: 'ann' }],
    ['customer', 'c', { event_group: 'end_user', customer_id: 'c', user_id: null }],
    ['organization', 'o', { event_group: 'organization', organization_id: 'o', team_id: null }],
    ['tag', 'x', { event_group: 'tag', token: null, user_id: null }],
  ]
  for (const [scope, id, expected] of who)
    test(`of a ${scope}`, async () => {
      const { alerts, sent, settled } = alertsWith()
      alerts.soft(passed(scope, id))
      await settled()
      const body = sent[0]?.body ?? {}
      assert.deepEqual({ ...body, ...expected }, body)
    })

  test('is told by one process of all', async () => {
    const names = new Set<string>()
    const first = async (name: string) => !names.has(name) && Boolean(names.add(name))
    const [one, other] = [alertsWith({ first }), alertsWith({ first })]
    one.alerts.soft(passed('key', 'k'))
    other.alerts.soft(passed('key', 'k'))
    await one.settled()
    assert.equal(one.sent.length + other.sent.length, 1)
  })

  test('in Slack is a text, and nobody breaks out of its marks', async () => {
    const { alerts, sent, settled } = alertsWith({ places: { webhooks: [], slack: [url] } })
    alerts.soft(passed('customer', 'a` <!channel> `b'))
    await settled()
    const text = String(sent[0]?.body['text'])
    assert.match(text, /Soft Budget Crossed/)
    assert.match(text, /\*customer_id:\* `a' &lt;!channel&gt; 'b`/)
    assert.match(text, /Timestamp: `10:11:12`/)
    assert.doesNotMatch(text, /hash/)
  })
})

describe('a receiver', () => {
  test('that is away is tried again, and then let be', async () => {
    const { alerts, sent, slept, logged, settled } = alertsWith({
      answers: (nth) => (nth < 3 ? 0 : 503),
    })
    alerts.soft(passed('key', 'k'))
    await settled()
    assert.equal(sent.length, 3)
    assert.deepEqual(slept, [1000, 10_000])
    assert.match(logged.at(-1) ?? '', /could not be sent to 127\.0\.0\.1:1$/)
  })

  test('that refuses is not asked again', async () => {
    const { alerts, sent, settled } = alertsWith({ answers: () => 403 })
    alerts.soft(passed('key', 'k'))
    await settled()
    assert.equal(sent.length, 1)
  })

  test('that never answers holds up a bounded number', async () => {
    let waits = 0
    const alerts = createAlerts({
      places: () => ({ webhooks: [url], slack: [] }),
      post: () => {
        waits++
        return new Promise(() => {})
      },
      isFirst: async () => true,
      log: (_, message) => void (message.startsWith('too many') && dropped++),
      now: Date.now,
    })
    let dropped = 0
    for (let n = 0; n < 1101; n++) alerts.soft(passed('key', `k${n}`))
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual([waits, dropped], [1, 100])
    alerts.close()
  })

  test('there is none: the log alone is told', async () => {
    const { alerts, sent, logged, settled } = alertsWith({ places: { webhooks: [], slack: [] } })
    alerts.soft(passed('key', 'k'))
    await settled()
    assert.deepEqual([sent.length, logged], [0, ['key k has passed its soft budget']])
  })
})

describe('where alerts go', () => {
  const env: Record<string, string> = {
    WEBHOOK_URL: 'https://hooks.example/w',
    SLACK_WEBHOOK_URL: 'https://hooks.example/s',
  }
  const rows: [general: JsonObject, env: Record<string, string>, expected: unknown][] = [
    [{}, env, [[], [], []]],
    [{ alerting: ['webhook'] }, env, [['https://hooks.example/w'], [], []]],
    [{ alerting: 'slack' }, env, [[], ['https://hooks.example/s'], []]],
    [
      {
        alerting: ['slack'],
        alert_to_webhook_url: { budget_alerts: ['https://a.example', 'https://b.example'] },
      },
      env,
      [[], ['https://a.example', 'https://b.example'], []],
    ],
    [
      { alerting: ['slack'] },
      { ALERTING_WEBHOOK_URL: 'https://c.example' },
      [[], ['https://c.example'], []],
    ],
    [{ alerting: ['webhook'], alert_types: ['llm_exceptions'] }, env, [[], [], []]],
    [
      { alerting: ['webhook', 'slack'] },
      {},
      [[], [], ['webhook (WEBHOOK_URL)', 'slack (SLACK_WEBHOOK_URL)']],
    ],
    [
      { alerting: ['webhook'] },
      { WEBHOOK_URL: 'not an address' },
      [[], [], ['webhook (WEBHOOK_URL)']],
    ],
  ]
  for (const [general, variables, expected] of rows)
    test(JSON.stringify([general, Object.keys(variables)]), () => {
      const { webhooks, slack, missing } = placesOf(general, (name) => variables[name])
      assert.deepEqual([webhooks, slack, missing], expected)
    })
})
