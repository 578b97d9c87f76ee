import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { noUsage } from '../chat/chat.ts'
import { list, object } from '../json/json.ts'
import { entry, fill } from '../store/spend-fill.test.ts'
import { modelMetricRoutes } from './model-metrics.ts'
import { modelPageRoutes } from './model-pages.ts'
import { noon, openOffice } from './office.test.ts'

const office = await openOffice([...modelMetricRoutes, ...modelPageRoutes], {
  general_settings: { alerting_threshold: 2 },
})
await office.person('kim')
await office.person('vic', 'proxy_admin_viewer')
const hour = 3_600_000
const usage = { ...noUsage, input: 10, output: 10 }
/** gpt-a is still served by dep-a; the other deployment is gone. */
const one = (id: string, at: number, ms: number, more: object = {}) =>
  entry(id, at, {
    group: 'gpt-a',
    deploymentId: 'dep-a',
    endedAt: at + ms,
    usage,
    ...more,
  })
await fill(office.store.db, [
  one('a', noon - hour, 1000),
  one('b', noon - 2 * hour, 3000, { stream: true, firstByteAt: noon - 2 * hour + 500 }),
  one('c', noon - 26 * hour, 1000, { deploymentId: 'gone', upstreamModel: 'old-x' }),
  one('cached', noon - hour, 9000, { cacheHit: true, deploymentId: undefined, group: 'other' }),
  one('f', noon - hour, 5000, { fault: 'rate_limited', status: 429, usage: noUsage }),
  one('g', noon - hour, 100, { fault: 'timeout', status: 504, usage: noUsage, keyId: 'k2' }),
  one('long ago', noon - 40 * 24 * hour, 1000),
])
const base = 'https://api.openai.com/v1'
const of = '_selected_model_group=gpt-a'
const ask = (path: string, who = 'vic') => office.ask(who, 'GET', path)

describe('figures of a model group', () => {
  test('seconds for each token, by day and place', async () => {
    const { body } = await ask(`/model/metrics?${of}`)
    assert.deepEqual(list(body['data']), [
      { date: '2026-01-13', 'old-x': 0.1 },
      { date: '2026-01-14', [base]: 0.2 },
    ])
    assert.deepEqual(new Set(list(body['all_api_bases'])), new Set([base, 'old-x']))
    const { body: none } = await ask('/model/metrics?_selected_model_group=nobody')
    assert.deepEqual(none, { data: [], all_api_bases: [] })
    const { body: day } = await ask(`/model/metrics?${of}&startTime=2026-01-13&endTime=2026-01-13`)
    assert.equal(list(day['data']).length, 1)
  })

  test('seconds to the first byte, of streams', async () => {
    const { body } = await ask(`/model/streaming_metrics?${of}`)
    assert.deepEqual(list(body['data']), [{ date: '2026-01-14', [base]: 0.5 }])
  })

  test('who takes too long', async () => {
    const { list: rows } = await ask(`/model/metrics/slow_responses?${of}&customer=undefined`)
    assert.deepEqual(rows, [
      { api_base: base, total_count: 4, slow_count: 2 },
      { api_base: 'old-x', total_count: 1, slow_count: 0 },
    ])
  })

  test('what failed, by kind', async () => {
    const { body } = await ask(`/model/metrics/exceptions?${of}`)
    assert.deepEqual(list(body['data']), [
      { model: base, total_exceptions: 2, rate_limited: 1, timeout: 1 },
    ])
    const { body: theirs } = await ask(`/model/metrics/exceptions?${of}&api_key=k2`)
    assert.deepEqual(theirs['exception_types'], ['timeout'])
  })

  test('are for those who see everything', async () => {
    assert.equal((await ask('/model/metrics', 'kim')).status, 403)
    assert.equal((await ask('/model/metrics?startTime=soon')).status, 422)
  })
})

test('what models of a provider need', async () => {
  const { list: rows } = await ask('/model/settings')
  const about = new Map(rows.map(object).map(({ name, fields }) => [name, list(fields)]))
  const { field_name, field_value } = object(about.get('groq')?.[0])
  assert.deepEqual([field_name, field_value], ['api_key', 'os.environ/GROQ_API_KEY'])
  assert.deepEqual(
    about.get('bedrock')?.map((one) => object(one)['field_name']),
    ['api_key', 'api_base'],
  )
})
