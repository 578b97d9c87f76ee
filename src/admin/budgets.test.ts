import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { budgetRoutes } from './budgets.ts'
import { openOffice } from './office.test.ts'

test('a budget shows what it was given, also what nobody models, and when it starts again', async () => {
  const { ask } = await openOffice(budgetRoutes)
  const said = {
    budget_id: 'Ünïcode; DROP TABLE budget;--',
    max_budget: 5,
    soft_budget: '4.5',
    rpm_limit: 3,
    budget_duration: '7d',
    model_max_budget: { 'gpt-a': { max_budget: 1, budget_duration: '1d' } },
    of_ours: { deep: [1, null] },
  }
  const { status, body } = await ask('admin', 'POST', '/budget/new', said)
  assert.equal(status, 200)
  assert.deepEqual(
    { ...body, created_at: '', updated_at: '' },
    {
      ...said,
      soft_budget: 4.5,
      max_parallel_requests: null,
      tpm_limit: null,
      tpd_limit: null,
      allowed_models: null,
      temp_budget_increase: null,
      temp_budget_expiry: null,
      budget_reset_at: '2026-01-19T00:00:00.000Z',
      created_at: '',
      created_by: 'default_user_id',
      updated_at: '',
      updated_by: 'default_user_id',
    },
  )
  const { list } = await ask('admin', 'POST', '/budget/info', { budgets: [said.budget_id] })
  assert.deepEqual(list, [body])
})

test('an update changes what it names, and null clears; shown fields sent back change nothing', async () => {
  const { ask } = await openOffice(budgetRoutes)
  const { body: made } = await ask('admin', 'POST', '/budget/new', {
    max_budget: 5,
    rpm_limit: 3,
    budget_duration: '1d',
  })
  const { body } = await ask('admin', 'POST', '/budget/update', {
    ...made,
    max_budget: 6,
    rpm_limit: null,
    created_by: 'somebody',
    spend: 99,
  })
  assert.equal(body['max_budget'], 6)
  assert.equal(body['rpm_limit'], null)
  assert.equal(body['budget_duration'], '1d')
  assert.equal(body['created_by'], 'default_user_id')
  assert.equal('spend' in body, false)
})

const refused: [name: string, path: string, body: JsonObject, status: number, says: RegExp][] = [
  ['twice the same id', '/budget/new', { budget_id: 'b', max_budget: 9 }, 409, /exists/],
  ['negative', '/budget/new', { max_budget: -3 }, 422, /max_budget.*negative/],
  ['words', '/budget/new', { max_budget: 'lots' }, 422, /max_budget/],
  ['a fraction of a request', '/budget/new', { rpm_limit: 1.5 }, 422, /rpm_limit/],
  ['no duration', '/budget/new', { budget_duration: '3 fortnights' }, 422, /budget_duration/],
  ['two months', '/budget/new', { budget_duration: '2mo' }, 422, /budget_duration/],
  ['soft above hard', '/budget/new', { max_budget: 1, soft_budget: 2 }, 400, /soft_budget/],
  ['a name too long', '/budget/new', { budget_id: 'x'.repeat(256) }, 422, /budget_id/],
  ['a name that would share an account', '/budget/new', { budget_id: 'b|model:x' }, 422, /model:/],
  ['a NUL', '/budget/new', { budget_id: 'b\0' }, 422, /NUL/],
  ['an unknown one changed', '/budget/update', { budget_id: 'no' }, 404, /does not exist/],
  ['an unknown one deleted', '/budget/delete', { id: 'no' }, 404, /does not exist/],
  ['none asked for', '/budget/info', { budgets: [] }, 400, /budgets/],
  ['held by a key', '/budget/delete', { id: 'b' }, 400, /1 virtual key:/],
  ['the default of customers', '/budget/delete', { id: 'walk-in' }, 400, /max_end_user_budget_id/],
]

test('what is refused, and why', async () => {
  const { ask, key } = await openOffice(budgetRoutes, {
    litellm_settings: { max_end_user_budget_id: 'walk-in' },
  })
  for (const budget_id of ['b', 'walk-in', 'free'])
    await ask('admin', 'POST', '/budget/new', { budget_id, max_budget: 1 })
  await key('holder', { budget_id: 'b' })
  for (const [name, path, body, status, says] of refused) {
    const told = await ask('admin', 'POST', path, body)
    assert.equal(told.status, status, name)
    assert.match(String((told.body['error'] as JsonObject)['message']), says, name)
  }
  assert.equal((await ask('admin', 'POST', '/budget/delete', { id: 'free' })).status, 200)
  const { list } = await ask('admin', 'GET', '/budget/list')
  assert.deepEqual(
    list.map((one) => (one as JsonObject)['budget_id']),
    ['b', 'walk-in'],
  )
})

test('viewers see budgets, nobody else but administrators does, and only those change them', async () => {
  const { ask, person } = await openOffice(budgetRoutes)
  await ask('admin', 'POST', '/budget/new', { budget_id: 'b', max_budget: 1 })
  await person('viewer', 'proxy_admin_viewer')
  await person('user')
  for (const [who, reads, writes] of [
    ['viewer', 200, 403],
    ['user', 403, 403],
    ['stranger', 401, 401],
  ] as const) {
    assert.equal((await ask(who, 'GET', '/budget/list')).status, reads, who)
    assert.equal((await ask(who, 'GET', '/budget/settings?budget_id=b')).status, reads, who)
    assert.equal((await ask(who, 'POST', '/budget/update', { budget_id: 'b' })).status, writes, who)
  }
})
