import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, object } from '../json/json.ts'
import { accountOf, readAccounts, setSpend } from '../store/accounts.ts'
import { budgetRoutes } from './budgets.ts'
import { type Office, openOffice } from './office.test.ts'
import { projectRoutes } from './projects.ts'
import { teamMemberRoutes } from './team-members.ts'
import { teamRoutes } from './teams.ts'

async function open(): Promise<Office> {
  const office = await openOffice([
    ...budgetRoutes,
    ...teamRoutes,
    ...teamMemberRoutes,
    ...projectRoutes,
  ])
  const { ask, person } = office
  for (const name of ['boss', 'plain', 'stranger']) await person(name)
  await ask('admin', 'POST', '/team/new', {
    team_id: 't',
    models: ['gpt-a'],
    max_budget: 10,
    admins: ['boss'],
    members: ['plain'],
  })
  await ask('admin', 'POST', '/team/new', { team_id: 'other' })
  return office
}
const message = (body: JsonObject): string => String(object(body['error'])['message'])

test('a project shows what it was given; an update changes what it names', async () => {
  const { ask } = await open()
  const said = {
    project_id: "p'; --☃",
    team_id: 't',
    project_alias: 'P',
    description: 'd',
    models: ['gpt-a'],
    max_budget: 5,
    budget_duration: '1d',
    tags: ['x'],
    of_ours: 1,
  }
  const { body, status } = await ask('admin', 'POST', '/project/new', said)
  assert.equal(status, 200)
  for (const field of [
    'project_id',
    'team_id',
    'project_alias',
    'description',
    'models',
    'of_ours',
  ] as const)
    assert.deepEqual(body[field], said[field], field)
  assert.deepEqual(
    [object(body['litellm_budget_table'])['max_budget'], body['budget_reset_at'], body['metadata']],
    [5, '2026-01-15T00:00:00.000Z', { tags: ['x'] }],
  )
  const { body: after } = await ask('admin', 'POST', '/project/update', {
    ...body,
    description: null,
    blocked: true,
    max_budget: 6,
  })
  assert.deepEqual(
    [
      after['description'],
      after['blocked'],
      after['project_alias'],
      object(after['litellm_budget_table'])['max_budget'],
    ],
    [null, true, 'P', 6],
  )
  const info = await ask(
    'admin',
    'GET',
    `/project/info?project_id=${encodeURIComponent(said.project_id)}`,
  )
  assert.deepEqual(info.body, after)
})

const refused: [name: string, path: string, body: JsonObject, status: number, says: RegExp][] = [
  ['no team', '/project/new', {}, 422, /team_id/],
  ['an unknown team', '/project/new', { team_id: 'no' }, 404, /Team not found/],
  ['twice', '/project/new', { team_id: 't', project_id: 'p' }, 409, /exists/],
  ['more money', '/project/new', { team_id: 't', max_budget: 11 }, 400, /max_budget \(11\)/],
  [
    'more money by a named budget',
    '/project/new',
    { team_id: 't', budget_id: 'large' },
    400,
    /max_budget/,
  ],
  ['another model', '/project/new', { team_id: 't', models: ['gpt-b'] }, 400, /gpt-b.*team/],
  ['an unknown model', '/project/new', { team_id: 'other', models: ['no'] }, 400, /no model/],
  ['more later', '/project/update', { project_id: 'p', max_budget: 11 }, 400, /max_budget/],
  ['an unknown one', '/project/update', { project_id: 'no' }, 404, /not found/],
]
test('what is refused, and why; and nothing is half done', async () => {
  const { ask, store } = await open()
  await ask('admin', 'POST', '/budget/new', { budget_id: 'large', max_budget: 100 })
  await ask('admin', 'POST', '/project/new', { team_id: 't', project_id: 'p' })
  for (const [name, path, body, status, says] of refused) {
    const told = await ask('admin', 'POST', path, body)
    assert.equal(told.status, status, `${name} ${JSON.stringify(told.body)}`)
    assert.match(message(told.body), says, name)
  }
  assert.equal(await store.docs.project.count(), 1)
  assert.equal((await store.docs.project.find('p'))?.data['max_budget'], undefined)
})

test('a project with keys stays; deleted, it leaves no account', async () => {
  const { ask, store, key } = await open()
  await ask('admin', 'POST', '/project/new', { team_id: 't', project_id: 'p' })
  const id = await key('k', { project_id: 'p', team_id: 't' })
  await store.write((tx) => setSpend(tx, accountOf.project('p'), 5))
  const remove = () => ask('admin', 'DELETE', '/project/delete', { project_ids: ['p'] })
  assert.match(message((await remove()).body), /1 key:/)
  await store.write((tx) => tx.virtual_key.remove(id))
  assert.equal((await remove()).status, 200)
  assert.equal((await remove()).status, 404)
  assert.equal((await readAccounts(store.db.query, [accountOf.project('p')])).size, 0)
})

test('a team that is deleted leaves its projects to administrators', async () => {
  const { ask } = await open()
  await ask('admin', 'POST', '/project/new', { team_id: 't', project_id: 'p' })
  await ask('admin', 'POST', '/team/delete', { team_ids: ['t'] })
  const { body } = await ask('admin', 'GET', '/project/info?project_id=p')
  assert.equal(body['team_id'], null)
  assert.equal((await ask('boss', 'GET', '/project/info?project_id=p')).status, 403)
  assert.equal(
    (await ask('admin', 'POST', '/project/update', { project_id: 'p', description: 'x' })).status,
    400,
  )
  const moved = await ask('admin', 'POST', '/project/update', { project_id: 'p', team_id: 'other' })
  assert.equal(moved.body['team_id'], 'other')
})

test('who may do what with a project', async () => {
  const { ask, person } = await open()
  await person('viewer', 'proxy_admin_viewer')
  await ask('admin', 'POST', '/project/new', { team_id: 't', project_id: 'p' })
  await ask('admin', 'POST', '/project/new', { team_id: 'other', project_id: 'q' })
  const rows: [
    method: string,
    path: string,
    body: JsonObject | undefined,
    who: Record<string, number>,
  ][] = [
    [
      'POST',
      '/project/new',
      { team_id: 't' },
      { boss: 200, plain: 403, stranger: 403, viewer: 403 },
    ],
    ['POST', '/project/new', { team_id: 'other' }, { boss: 403 }],
    ['POST', '/project/new', { team_id: 't', object_permission: {} }, { boss: 403 }],
    [
      'POST',
      '/project/new',
      { team_id: 't', metadata: { disable_global_guardrails: true } },
      { boss: 403 },
    ],
    ['POST', '/project/update', { project_id: 'p', description: 'x' }, { boss: 200, plain: 403 }],
    ['POST', '/project/update', { project_id: 'p', team_id: 'other' }, { boss: 403 }],
    ['POST', '/project/update', { project_id: 'q', description: 'x' }, { boss: 403 }],
    [
      'GET',
      '/project/info?project_id=p',
      undefined,
      { boss: 200, plain: 200, viewer: 200, stranger: 403 },
    ],
    [
      'POST',
      '/project/new',
      { team_id: 't', metadata: { disable_global_guardrails: true } },
      { boss: 403 },
    ],
    ['GET', '/project/info?project_id=no', undefined, { boss: 403, viewer: 404 }],
    ['DELETE', '/project/delete', { project_ids: ['p'] }, { boss: 403, viewer: 403 }],
  ]
  for (const [method, path, body, who] of rows)
    for (const [name, status] of Object.entries(who))
      assert.equal(
        (await ask(name, method, path, body)).status,
        status,
        `${name} ${method} ${path} ${JSON.stringify(body)}`,
      )
  const seen = async (who: string, query = '') =>
    (await ask(who, 'GET', `/project/list${query}`)).list.length
  assert.deepEqual([await seen('viewer'), await seen('plain'), await seen('stranger')], [3, 2, 0])
  assert.deepEqual(
    [await seen('viewer', '?team_id=other'), await seen('plain', '?team_id=other')],
    [1, 0],
  )
})
