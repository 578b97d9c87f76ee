import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, list, object } from '../json/json.ts'
import { accountOf, readAccounts, setSpend } from '../store/accounts.ts'
import { budgetRoutes } from './budgets.ts'
import { type Office, openOffice } from './office.test.ts'
import { teamInfoRoutes } from './team-info.ts'
import { teamListRoutes } from './team-lists.ts'
import { teamMemberRoutes } from './team-members.ts'
import { teamRoutes } from './teams.ts'

const open = (config?: JsonObject): Promise<Office> =>
  openOffice(
    [...budgetRoutes, ...teamRoutes, ...teamMemberRoutes, ...teamInfoRoutes, ...teamListRoutes],
    config,
  )
const team = async ({ ask }: Office, body: JsonObject = {}): Promise<string> =>
  String((await ask('admin', 'POST', '/team/new', body)).body['team_id'])
const info = async ({ ask }: Office, team_id: string): Promise<JsonObject> =>
  (await ask('admin', 'GET', `/team/info?team_id=${team_id}`)).body
const membership = async (office: Office, team_id: string, user: string): Promise<JsonObject> =>
  object(
    list((await info(office, team_id))['team_memberships']).find(
      (one) => object(one)['user_id'] === user,
    ),
  )
const roles = async (office: Office, team_id: string): Promise<string> =>
  list(object((await info(office, team_id))['team_info'])['members_with_roles'])
    .map(object)
    .map(({ user_id, role }) => `${user_id}:${role}`)
    .sort()
    .join(' ')

test('members join by id or address, alone or together, once; whoever is not there yet is made', async () => {
  const office = await open({
    litellm_settings: {
      default_internal_user_params: { models: ['gpt-a'], max_budget: 3, budget_duration: '1d' },
    },
  })
  const { ask, person, store } = office
  for (const name of ['ann', 'ben']) await person(name)
  const id = await team(office)
  const add = (member: JsonObject | JsonObject[], more: JsonObject = {}) =>
    ask('admin', 'POST', '/team/member_add', { team_id: id, member, ...more })
  const rows: [member: JsonObject | JsonObject[], status: number][] = [
    [{ user_id: 'ann', role: 'user' }, 200],
    [{ user_id: 'ann', role: 'admin' }, 400],
    [{ user_email: 'ANN@example.org', role: 'user' }, 400],
    [{ user_email: 'ben@example.org', user_id: 'ann', role: 'user' }, 400],
    [{ user_email: 'no address', role: 'user' }, 422],
    [{ role: 'user' }, 422],
    [{ user_id: 'ben', role: 'king' }, 422],
    [
      [
        { user_id: 'ann', role: 'user' },
        { user_email: 'Ben@example.org', role: 'admin' },
      ],
      200,
    ],
    [
      [
        { user_id: 'ann', role: 'user' },
        { user_id: 'ben', role: 'user' },
      ],
      400,
    ],
    [{ user_id: 'auth0|17', role: 'user' }, 200],
  ]
  for (const [member, status] of rows)
    assert.equal((await add(member)).status, status, JSON.stringify(member))
  assert.equal(await roles(office, id), 'ann:user auth0|17:user ben:admin')
  const made = await store.docs.gateway_user.find('auth0|17')
  assert.deepEqual(
    ['user_role', 'models', 'max_budget', 'budget_duration'].map((field) => made?.data[field]),
    ['internal_user', ['gpt-a'], 3, '1d'],
  )
  const [account] = (await readAccounts(store.db.query, [accountOf.user('auth0|17')])).values()
  assert.equal(account?.duration, '1d')
  const { body } = await add({ user_email: 'new@example.org', role: 'user' })
  const [user] = list(body['updated_users']).map(object)
  assert.equal(user?.['user_email'], 'new@example.org')
  assert.equal('password' in (user ?? {}), false)
  assert.equal(list(body['updated_team_memberships']).length, 1)
  assert.equal(
    (
      await ask('admin', 'POST', '/team/member_add', {
        team_id: 'no',
        member: { user_id: 'ann', role: 'user' },
      })
    ).status,
    404,
  )
})

test('a member has a budget of their own, or the one of all members; a change of that reaches them', async () => {
  const office = await open()
  for (const name of ['ann', 'ben', 'eve']) await office.person(name)
  const { ask } = office
  const id = await team(office, { members: ['ann'] })
  const update = (path: string, body: JsonObject) =>
    ask('admin', 'POST', path, { team_id: id, ...body })
  const budget = async (user: string, field = 'max_budget') => {
    const { budget_source, litellm_budget_table } = await membership(office, id, user)
    return [budget_source, object(litellm_budget_table)[field]]
  }
  assert.deepEqual(await budget('ann'), ['none', undefined])
  await update('/team/update', { team_member_budget: 2, team_member_budget_duration: '1d' })
  assert.deepEqual(await budget('ann'), ['team_default', 2], 'who joined before has it too')
  assert.equal((await budget('ann', 'budget_reset_at'))[1], '2026-01-15T00:00:00.000Z')
  await update('/team/member_add', { member: { user_id: 'ben', role: 'user' } })
  await update('/team/member_add', {
    member: { user_id: 'eve', role: 'user' },
    max_budget_in_team: 9,
    budget_duration: '7d',
  })
  assert.deepEqual(await budget('ben'), ['team_default', 2])
  assert.deepEqual(await budget('eve'), ['custom', 9])
  assert.equal((await budget('eve', 'budget_reset_at'))[1], '2026-01-19T00:00:00.000Z')
  await update('/team/update', { team_member_budget: 4 })
  assert.deepEqual(
    [await budget('ben'), await budget('eve')],
    [
      ['team_default', 4],
      ['custom', 9],
    ],
  )
  const shown = object((await info(office, id))['team_info'])
  assert.equal(object(shown['team_member_budget_table'])['max_budget'], 4)
  await update('/team/member_update', { user_id: 'ben', max_budget_in_team: 5, rpm_limit: 7 })
  assert.deepEqual(await budget('ben'), ['custom', 5])
  await update('/team/member_update', { user_id: 'ben', max_budget_in_team: null })
  assert.deepEqual(await budget('ben'), ['custom', 4], 'what is cleared is the team’s again')
  const { body } = await ask('admin', 'POST', `/team/${id}/member/ben/reset_budget`)
  assert.equal(body['budget_source'], 'team_default')
  assert.deepEqual(await budget('ben', 'rpm_limit'), ['team_default', null])
  await update('/team/update', { team_member_budget: null, team_member_budget_duration: null })
  assert.deepEqual(await budget('ann'), ['team_default', null])
})

test('a member’s role, limits and extra money', async () => {
  const office = await open()
  for (const name of ['ann', 'ben']) await office.person(name)
  const id = await team(office, { members: ['ann'], default_team_member_models: ['gpt-a'] })
  const update = (body: JsonObject) =>
    office.ask('admin', 'POST', '/team/member_update', { team_id: id, user_id: 'ann', ...body })
  const rows: [body: JsonObject, status: number][] = [
    [{ role: 'admin' }, 200],
    [{ role: 'king' }, 422],
    [{ max_budget_in_team: -1 }, 422],
    [{ temp_budget_increase: 1 }, 400],
    [{ temp_budget_increase: 1, temp_budget_expiry: '2026-02-01T00:00:00Z' }, 200],
    [{ temp_budget_expiry: 'whenever' }, 422],
    [{ user_id: 'ben', role: 'user' }, 400],
    [{ user_id: null }, 422],
    [{ user_id: null, user_email: 'ann@example.org', tpm_limit: 8 }, 200],
  ]
  for (const [body, status] of rows)
    assert.equal((await update(body)).status, status, JSON.stringify(body))
  assert.equal(await roles(office, id), 'ann:admin')
  const table = object((await membership(office, id, 'ann'))['litellm_budget_table'])
  assert.deepEqual(
    [table['tpm_limit'], table['temp_budget_increase'], table['allowed_models']],
    [8, 1, ['gpt-a']],
  )
  await update({ allowed_models: [] })
  const after = object((await membership(office, id, 'ann'))['litellm_budget_table'])
  assert.equal(after['allowed_models'], null)
})

test('a member who leaves loses their keys of the team, and no others', async () => {
  const office = await open()
  for (const name of ['ann', 'ben']) await office.person(name)
  const id = await team(office, { members: ['ann', 'ben'] })
  await office.key('anns', { team_id: id, user_id: 'ann' })
  await office.key('bens', { team_id: id, user_id: 'ben' })
  const remove = (body: JsonObject) =>
    office.ask('admin', 'POST', '/team/member_delete', { team_id: id, ...body })
  assert.equal((await remove({ user_email: 'Ann@example.org' })).status, 200)
  assert.equal(await roles(office, id), 'ben:user')
  const works = async (who: string) => (await office.ask(who, 'GET', '/team/list')).status
  assert.deepEqual([await works('anns'), await works('bens'), await works('ann')], [401, 200, 200])
  assert.equal((await remove({ user_id: 'ann' })).status, 400)
  assert.equal((await remove({})).status, 422)
})

test('what a member has spent is set back, never forth, and not by themselves', async () => {
  const office = await open()
  await office.person('ann')
  const id = await team(office, { members: ['ann'] })
  await office.ask('admin', 'POST', '/team/member_update', {
    team_id: id,
    user_id: 'ann',
    max_budget_in_team: 2,
  })
  await office.store.write((tx) => setSpend(tx, accountOf.member(id, 'ann'), 3_000_000_000))
  const reset = (reset_to: unknown) =>
    office.ask('admin', 'POST', `/team/${id}/member/ann/reset_spend`, { reset_to } as JsonObject)
  for (const [to, status] of [
    [4, 400],
    [2.5, 400],
    [-1, 422],
    ['x', 422],
    [0.5, 200],
  ] as const)
    assert.equal((await reset(to)).status, status, String(to))
  assert.equal((await membership(office, id, 'ann'))['spend'], 0.5)
  assert.equal(
    (await office.ask('admin', 'POST', `/team/${id}/member/no/reset_spend`, { reset_to: 0 }))
      .status,
    404,
  )
})

test('many join at once, each with a result', async () => {
  const office = await open()
  for (const name of ['ann', 'ben', 'eve']) await office.person(name)
  const id = await team(office, { members: ['ann'] })
  const add = (body: JsonObject) =>
    office.ask('admin', 'POST', '/team/bulk_member_add', { team_id: id, ...body })
  const { body } = await add({
    members: [
      { user_id: 'ann', role: 'user' },
      { user_email: 'ben@example.org', role: 'admin' },
    ],
  })
  assert.deepEqual([body['successful_additions'], body['failed_additions']], [1, 1])
  assert.deepEqual(
    list(body['results']).map((one) => object(one)['success']),
    [false, true],
  )
  assert.equal((await add({ members: [] })).status, 400)
  assert.equal((await add({ all_users: true })).status, 200)
  assert.equal(await roles(office, id), 'ann:user ben:admin eve:user')
})

test('a team open to all: a user joins by themselves, as they are, and nobody else', async () => {
  const office = await open({
    litellm_settings: { default_internal_user_params: { available_teams: ['open'] } },
  })
  for (const name of ['ann', 'ben']) await office.person(name)
  await team(office, { team_id: 'open' })
  await team(office, { team_id: 'closed' })
  const available = async () =>
    (await office.ask('ann', 'GET', '/team/available')).list.map((one) => object(one)['team_id'])
  assert.deepEqual(await available(), ['open'])
  const rows: [body: JsonObject, status: number][] = [
    [{ team_id: 'closed', member: { user_id: 'ann', role: 'user' } }, 403],
    [{ team_id: 'open', member: { user_id: 'ben', role: 'user' } }, 403],
    [{ team_id: 'open', member: { user_id: 'ann', role: 'admin' } }, 403],
    [{ team_id: 'open', member: { user_id: 'ann', role: 'user' }, max_budget_in_team: 5 }, 403],
    [{ team_id: 'open', member: { user_id: 'ann', role: 'user' } }, 200],
  ]
  for (const [body, status] of rows)
    assert.equal(
      (await office.ask('ann', 'POST', '/team/member_add', body)).status,
      status,
      JSON.stringify(body),
    )
  assert.deepEqual(await available(), [])
})
