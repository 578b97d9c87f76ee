import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { accountOf, setSpend } from '../store/accounts.ts'
import { budgetRoutes } from './budgets.ts'
import { customerRoutes } from './customers.ts'
import { openOffice } from './office.test.ts'

const open = (config?: JsonObject) => openOffice([...budgetRoutes, ...customerRoutes], config)
const message = (body: JsonObject): string => String(object(body['error'])['message'])

test('a customer shows what they were given, by either name of the routes', async () => {
  const { ask } = await open()
  const said = {
    user_id: "Ann O'Neil; DROP TABLE customer/☃",
    alias: 'ACME',
    max_budget: 3,
    budget_duration: '30d',
    models: ['gpt-a'],
    default_model: 'gpt-b',
    allowed_model_region: 'eu',
    of_ours: [1],
  }
  const { body, status } = await ask('admin', 'POST', '/customer/new', said)
  assert.equal(status, 200)
  const info = `info?end_user_id=${encodeURIComponent(said.user_id)}`
  for (const noun of ['customer', 'end_user']) {
    const shown = await ask('admin', 'GET', `/${noun}/${info}`)
    assert.deepEqual(shown.body, body)
    const { list: all } = await ask('admin', 'GET', `/${noun}/list`)
    assert.deepEqual(all, [body])
  }
  for (const field of [
    'alias',
    'models',
    'default_model',
    'allowed_model_region',
    'of_ours',
  ] as const)
    assert.deepEqual(body[field], said[field], field)
  assert.deepEqual([body['blocked'], body['spend'], body['budget_id']], [false, 0, null])
  const table = object(body['litellm_budget_table'])
  assert.deepEqual([table['max_budget'], table['budget_reset_at']], [3, '2026-02-01T00:00:00.000Z'])
})

test('a named budget counts where there are no own fields, and another one takes their place', async () => {
  const { ask } = await open()
  for (const [budget_id, max_budget] of [
    ['small', 1],
    ['large', 100],
  ] as const)
    await ask('admin', 'POST', '/budget/new', {
      budget_id,
      max_budget,
      budget_duration: '1d',
      rpm_limit: 7,
    })
  await ask('admin', 'POST', '/customer/new', { user_id: 'c', budget_id: 'small', spend: 0.25 })
  const steps: [body: JsonObject, max: number | null, rpm: number | null, budget: string | null][] =
    [
      [{}, 1, 7, 'small'],
      [{ max_budget: 5 }, 5, 7, 'small'],
      [{ budget_id: 'large' }, 100, 7, 'large'],
      [{ rpm_limit: 9 }, 100, 9, 'large'],
      [{ budget_id: null }, null, 9, null],
    ]
  for (const [body, max, rpm, budget] of steps) {
    const told = await ask('admin', 'POST', '/customer/update', { user_id: 'c', ...body })
    const table = object(told.body['litellm_budget_table'])
    assert.deepEqual(
      [table['max_budget'], table['rpm_limit'], told.body['budget_id']],
      [max, rpm, budget],
      JSON.stringify(body),
    )
    assert.equal(told.body['budget_reset_at'], budget === null ? null : '2026-01-15T00:00:00.000Z')
    assert.equal(told.body['spend'], 0.25)
  }
})

const refused: [name: string, path: string, body: JsonObject, status: number, says: RegExp][] = [
  ['twice', '/customer/new', { user_id: 'c' }, 409, /exist/],
  ['no id', '/customer/new', {}, 422, /user_id/],
  [
    'two budgets',
    '/customer/new',
    { user_id: 'd', max_budget: 1, budget_id: 'b' },
    422,
    /not both/,
  ],
  ['an unknown budget', '/customer/new', { user_id: 'd', budget_id: 'no' }, 400, /Budget 'no'/],
  [
    'an unknown default',
    '/customer/new',
    { user_id: 'd', default_model: 'no' },
    400,
    /default_model/,
  ],
  ['an unknown model', '/customer/new', { user_id: 'd', models: ['no'] }, 400, /models/],
  ['a region', '/customer/new', { user_id: 'd', allowed_model_region: 'mars' }, 422, /region/],
  ['an account of another', '/customer/new', { user_id: 'c|model:gpt-a' }, 422, /\|model:/],
  ['too much spent', '/customer/new', { user_id: 'd', spend: 1e12 }, 422, /spend/],
  ['an unknown one', '/customer/update', { user_id: 'no' }, 404, /does not exist/],
  ['one unknown of two', '/customer/delete', { user_ids: ['c', 'no'] }, 404, /no/],
  ['nobody', '/customer/block', { user_ids: [] }, 422, /user_ids/],
]
test('what is refused, and why', async () => {
  const { ask } = await open()
  await ask('admin', 'POST', '/budget/new', { budget_id: 'b', max_budget: 1 })
  await ask('admin', 'POST', '/customer/new', { user_id: 'c' })
  for (const [name, path, body, status, says] of refused) {
    const told = await ask('admin', 'POST', path, body)
    assert.equal(told.status, status, `${name} ${JSON.stringify(told.body)}`)
    assert.match(message(told.body), says, name)
  }
  assert.equal((await ask('admin', 'GET', '/customer/list')).list.length, 1)
})

test('blocked customers need not be there; deleted ones leave no account', async () => {
  const { ask, store } = await open()
  const { body } = await ask('admin', 'POST', '/customer/block', { user_ids: ['new', 'new'] })
  assert.deepEqual(
    list(body['blocked_users']).map((one) => [object(one)['user_id'], object(one)['blocked']]),
    [['new', true]],
  )
  await ask('admin', 'POST', '/customer/unblock', { user_ids: ['new', 'nobody'] })
  const { body: free } = await ask('admin', 'GET', '/customer/info?end_user_id=new')
  assert.equal(free['blocked'], false)
  await store.write((tx) => setSpend(tx, accountOf.customer('new'), 5))
  assert.equal((await ask('admin', 'POST', '/customer/delete', { user_ids: ['new'] })).status, 200)
  assert.equal((await ask('admin', 'GET', '/customer/info?end_user_id=new')).status, 404)
})

test('somebody nobody made is shown once they have spent', async () => {
  const { ask, store } = await open()
  await store.write((tx) => setSpend(tx, accountOf.customer('walk-in'), 250_000_000))
  const { body } = await ask('admin', 'GET', '/customer/info?end_user_id=walk-in')
  assert.deepEqual([body['user_id'], body['spend'], body['blocked']], ['walk-in', 0.25, false])
})

test('customers are for administrators, and viewers to look at', async () => {
  const { ask, person } = await open()
  await person('viewer', 'proxy_admin_viewer')
  await person('user')
  for (const [who, reads, writes] of [
    ['viewer', 200, 403],
    ['user', 403, 403],
  ] as const) {
    assert.equal((await ask(who, 'GET', '/customer/list')).status, reads, who)
    for (const verb of ['new', 'update', 'block', 'unblock', 'delete'])
      assert.equal(
        (await ask(who, 'POST', `/end_user/${verb}`, { user_id: 'x', user_ids: ['x'] })).status,
        writes,
        verb,
      )
  }
})
