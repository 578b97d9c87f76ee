import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Books } from '../ledger/books.ts'
import type { AdmitSettings } from './admit.ts'
import { nobody } from './caller.ts'
import { createLimits, type Taken } from './limits.ts'
import { Admitted, type Desk } from './pass.ts'
import { createPlan } from './plan.ts'

const settings: AdmitSettings = {
  overshoot: 'bounded',
  budgetStatus: 422,
  proxy: undefined,
  customerMax: undefined,
  parallel: undefined,
  outputOtherwise: 4096,
}
const taken: Taken = { ok: true, asks: [], left: [], release() {} }

test("a gateway's budget that is set while a request runs counts it too", () => {
  const changing = { ...settings }
  const desk: Desk = {
    // Nothing is asked of the books here.
    books: {} as Books,
    limits: createLimits(undefined, () => 0),
    now: () => 0,
    settings: changing,
    tellSoft() {},
  }
  const entering = {
    caller: nobody,
    group: 'm',
    asked: 'm',
    prices: [],
    worst: { input: () => 4, exactInput: async () => 1, output: () => 1, modelOutput: () => 1 },
    customerId: 'c',
    tags: ['t'],
    sessionId: undefined,
    ip: undefined,
    userAgent: undefined,
    metadata: undefined,
  }
  const plan = createPlan([], settings)
  const pass = new Admitted(desk, { entering, plan, taken, reserved: undefined, amount: 0 })
  const before = pass.payer()
  assert.deepEqual(before.accounts, ['customer:c', 'tag:t'])
  assert.equal(pass.payer(), before, 'who is named by number stays the same object')
  changing.proxy = { account: 'proxy', max: 7, duration: undefined }
  assert.deepEqual(pass.payer().accounts, ['customer:c', 'tag:t', 'proxy'])
})
