import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Transport, Upstream } from '../call/transport.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { entry, fill } from '../store/spend-fill.test.ts'
import { captureRateRoutes } from './capture-rate.ts'
import { noon, openOffice } from './office.test.ts'

const env: Record<string, string> = {}
const office = await openOffice(captureRateRoutes, {}, { env })
await office.person('kim')
await office.person('vic', 'proxy_admin_viewer')
const day = 86_400_000

const asked: Upstream[] = []
/** OpenAI's pages, one after another. */
const billing = (pages: JsonObject[], status = 200): void => {
  asked.length = 0
  const transport: Transport = async (request) => {
    asked.push(request)
    const body = new TextEncoder().encode(JSON.stringify(pages[asked.length - 1] ?? {}))
    return {
      status,
      header: () => undefined,
      headers: () => ({}),
      bytes: async () => body,
      body: (async function* () {
        yield body
      })(),
    }
  }
  office.rooms.calls = { ...office.rooms.calls, transport }
}
const bucket = (at: number, ...values: (number | string)[]): JsonObject => ({
  start_time: at / 1000,
  results: values.map((value) => ({ amount: { value, currency: 'usd' } })),
})
const ask = (who: string, more = '') =>
  office.ask(who, 'GET', `/spend/capture_rate?start_date=2026-01-13&end_date=2026-01-14${more}`)

test('what was spent here against the bill of OpenAI, by day', async () => {
  assert.match(JSON.stringify((await ask('vic')).body), /OPENAI_ADMIN_KEY is not set/)
  env['OPENAI_ADMIN_KEY'] = 'sk-admin-of-the-organisation'
  await fill(office.store.db, [
    entry('a', noon - day, { nanoDollars: 3e9, provider: 'openai' }),
    entry('b', noon - day, { nanoDollars: 1e9, provider: 'text-completion-openai' }),
    entry('c', noon - day, { nanoDollars: 5e9, provider: 'anthropic' }),
    entry('d', noon, { nanoDollars: 1e9, provider: 'openai' }),
    entry('e', noon + day, { nanoDollars: 7e9, provider: 'openai' }),
  ])
  const midnight = noon - (noon % day)
  billing([
    { data: [bucket(midnight - day, 4, '1')], has_more: true, next_page: 'p2' },
    { data: [bucket(midnight)], has_more: false, next_page: null },
  ])
  const { status, body } = await ask('vic', '&project_ids=p1&project_ids=p2')
  assert.equal(status, 200)
  assert.deepEqual(
    list(body['days']).map((one) => Object.values(object(one))),
    [
      ['2026-01-13', 4, 5, 0.8],
      ['2026-01-14', 1, 0, null],
    ],
  )
  assert.deepEqual(
    [body['captured_spend'], body['provider_spend'], body['capture_rate']],
    [5, 5, 1],
  )
  assert.equal(body['below_threshold'], false)
  const [first, second] = asked.map(({ url }) => new URL(url).searchParams)
  assert.deepEqual(first?.getAll('project_ids[]'), ['p1', 'p2'])
  assert.equal(Number(first?.get('end_time')) - Number(first?.get('start_time')), 2 * 86_400)
  assert.equal(second?.get('page'), 'p2')
  assert.equal(asked[0]?.headers['authorization'], 'Bearer sk-admin-of-the-organisation')
  billing([{ data: [bucket(midnight, 10)] }])
  assert.equal((await ask('admin', '&threshold=0.6')).body['below_threshold'], true)
})

const wrong: [name: string, who: string, more: string, status: number, said: RegExp][] = [
  ['who is not asked', 'kim', '', 403, /./],
  ['another provider', 'vic', '&provider=anthropic', 422, /provider/],
  ['a threshold that is none', 'vic', '&threshold=2', 422, /threshold/],
  ['days that end before they begin', 'vic', '&end_date=2026-01-01', 422, /end_date/],
]
for (const [name, who, more, status, said] of wrong)
  test(`refused: ${name}`, async () => {
    const told = await ask(who, more)
    assert.equal(told.status, status)
    assert.match(JSON.stringify(told.body), said)
  })

test('a bill that cannot be read is said to be so, without its words', async () => {
  const bad: [pages: JsonObject[], status: number, said: RegExp][] = [
    [[{ error: { message: 'canary' } }], 401, /answered 401.*OPENAI_ADMIN_KEY an admin key/],
    [[{ error: { message: 'canary' } }], 500, /answered 500/],
    [
      [{ data: [{ start_time: 1e9, results: [{ amount: { value: 1, currency: 'eur' } }] }] }],
      200,
      /only dollars/,
    ],
    [
      Array.from({ length: 30 }, () => ({ data: [], has_more: true, next_page: 'again' })),
      200,
      /more pages/,
    ],
  ]
  for (const [pages, status, said] of bad) {
    billing(pages, status)
    const told = await ask('vic')
    assert.equal(told.status, 502)
    assert.match(JSON.stringify(told.body), said)
    assert.ok(!JSON.stringify(told.body).includes('canary'))
  }
  for (const range of [
    'start_date=2026-01-02&end_date=2026-01-01',
    'start_date=1990-01-01&end_date=2026-01-01',
  ])
    assert.equal((await office.ask('vic', 'GET', `/spend/capture_rate?${range}`)).status, 400)
})
