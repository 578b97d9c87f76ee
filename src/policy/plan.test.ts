import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import type { AdmitSettings, Entering } from './admit.ts'
import { nobody } from './caller.ts'
import { budgetsBy, limitsBy, planOf } from './plan.ts'
import { type Holder, holderOf } from './terms.ts'

const settings: AdmitSettings = {
  overshoot: 'bounded',
  budgetStatus: 422,
  proxy: undefined,
  customerMax: undefined,
  parallel: undefined,
  outputOtherwise: 4096,
}
const entering = (more: Partial<Entering> = {}): Entering => ({
  caller: nobody,
  group: 'm',
  asked: 'm',
  prices: [],
  worst: { input: () => 4, exactInput: async () => 1, output: () => 1, modelOutput: () => 1 },
  customerId: undefined,
  tags: [],
  sessionId: undefined,
  ip: undefined,
  userAgent: undefined,
  metadata: undefined,
  ...more,
})
const key = (data: JsonObject): Holder =>
  holderOf({
    kind: 'virtual_key',
    id: 'k',
    uniqueName: null,
    columns: {},
    data,
    createdAt: 0,
    updatedAt: 0,
  })
const budgets = (holders: readonly Holder[], more = settings, ask = entering(), now = 0) =>
  budgetsBy(planOf(holders, more), ask, more, now).map(({ account, max }) => `${account} ${max}`)
const limits = (holders: readonly Holder[], more = settings, ask = entering()) =>
  limitsBy(planOf(holders, more), ask).map(({ id, kind, limit }) => `${id} ${kind} ${limit}`)

test('what a key says for every request alike is worked out once', () => {
  const holders = [key({ max_budget: 1, rpm_limit: 3, tpm_limit: 5 })]
  const plan = planOf(holders, settings)
  assert.equal(planOf(holders, settings), plan)
  assert.equal(budgetsBy(plan, entering(), settings, 0), plan.budgets)
  assert.equal(limitsBy(plan, entering()), plan.limits)
  assert.deepEqual(budgets(holders), ['key:k 1000000000'])
  assert.deepEqual(limits(holders), ['key:k requests 3', 'key:k tokens 5'])
})

test('settings that change are heeded with the next request', () => {
  const holders = [key({ max_budget: 1, rpm_limit: 3 })]
  const all = { account: 'proxy', max: 7, duration: undefined }
  assert.deepEqual(budgets(holders), ['key:k 1000000000'])
  assert.deepEqual(budgets(holders, { ...settings, proxy: all }), ['proxy 7', 'key:k 1000000000'])
  assert.deepEqual(budgets(holders), ['key:k 1000000000'])
  assert.deepEqual(limits(holders, { ...settings, parallel: 2 }), [
    'key:k requests 3',
    'proxy max_parallel_requests 2',
  ])
  assert.deepEqual(limits(holders), ['key:k requests 3'])
})

test('settings that change are heeded by a request that has been let in', () => {
  const plan = planOf([key({ max_budget: 1 })], settings)
  const proxy = { account: 'proxy', max: 7, duration: undefined }
  const by = (more: AdmitSettings) => budgetsBy(plan, entering(), more, 0).map(({ max }) => max)
  assert.deepEqual(by(settings), [1e9])
  assert.deepEqual(by({ ...settings, proxy }), [7, 1e9])
  assert.deepEqual(by({ ...settings, proxy: { ...proxy, max: 8 } }), [8, 1e9])
})

test('a budget that is raised for a while is so until then', () => {
  const holders = [
    key({
      max_budget: 1,
      temp_budget_increase: 2,
      temp_budget_expiry: new Date(1000).toISOString(),
    }),
  ]
  assert.deepEqual(budgets(holders, settings, entering(), 999), ['key:k 3000000000'])
  assert.deepEqual(budgets(holders, settings, entering(), 1000), ['key:k 1000000000'])
})

test('budgets and limits of a model bound requests for it only', () => {
  const holders = [
    key({
      rpm_limit: 3,
      model_max_budget: { m: 1 },
      model_rpm_limit: { m: 2 },
      model_tpm_limit: { m: 4 },
    }),
  ]
  const other = entering({ group: 'n', asked: 'n' })
  assert.deepEqual(budgets(holders), ['key:k|model:m 1000000000'])
  assert.deepEqual(budgets(holders, settings, other), [])
  assert.deepEqual(limits(holders), [
    'key:k requests 3',
    'key:k|model:m requests 2',
    'key:k|model:m tokens 4',
  ])
  assert.deepEqual(limits(holders, settings, other), ['key:k requests 3'])
})

test("a model's limits for each key, a tag's, and a customer's budget are the request's own", () => {
  const holders = [key({ rpm_limit: 3, tag_rpm_limit: { t: 1 } })]
  const ask = entering({ keyLimits: { rpm: 9, tpm: undefined }, tags: ['t', 'u'], customerId: 'c' })
  assert.deepEqual(limits(holders, settings, ask), [
    'key:k requests 3',
    'key:k|model:m requests 9',
    'key:k|tag:t requests 1',
  ])
  assert.deepEqual(limits(holders), ['key:k requests 3'])
  assert.deepEqual(budgets(holders, { ...settings, customerMax: 6 }, ask), ['customer:c 6'])
  assert.deepEqual(budgets(holders, { ...settings, customerMax: 6 }), [])
})
