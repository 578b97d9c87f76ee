import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../json/json.ts'
import type { Sealer } from '../store/seal.ts'
import type { MakeDeps } from './import-fields.ts'
import * as rows from './import-rows.ts'

const sealer: Sealer = {
  seal: (text) => `sealed:${text}`,
  open: (text) => text.replace('sealed:', ''),
  lookup: (key) => key,
  digest: (key) => key,
}
const now = Date.UTC(2026, 4, 10, 12)
const deps: MakeDeps = {
  sealer,
  open: (text) => (text.startsWith('box:') ? text.slice(4) : undefined),
  clock: { now },
}
const token = 'a'.repeat(64)
/** Long enough to be something sealed. */
const strange = 'A'.repeat(60)

test('a row as a document: what nobody said is not there, and what nobody knows stays', () => {
  const made = rows.userOf(
    {
      user_id: 'u',
      user_email: 'A@B.c',
      models: [],
      metadata: '{"shoe": 44}',
      teams: ['t'],
      spend: 1.5,
      max_budget: null,
      hat: 'green',
      updated_at: '2026-01-02T00:00:00.000Z',
    },
    {},
    deps,
  )
  assert.deepEqual(made.data, {
    user_id: 'u',
    user_email: 'A@B.c',
    metadata: { shoe: 44 },
    hat: 'green',
  })
  assert.equal(made.columns['email'], 'a@b.c')
  assert.equal(made.updatedAt, Date.UTC(2026, 0, 2))
  assert.equal(made.books?.spend, 1_500_000_000)
})

const periods: [
  name: string,
  row: JsonObject,
  budget: JsonObject,
  duration: string | null,
  resetsAt: string | null,
][] = [
  ['none', {}, {}, null, null],
  [
    'its own',
    { budget_duration: '1d', budget_reset_at: '2026-05-11T00:00:00.000Z' },
    {},
    '1d',
    '2026-05-11T00:00:00.000Z',
  ],
  ['its own without an end', { budget_duration: '1d' }, {}, '1d', '2026-05-11T00:00:00.000Z'],
  [
    'of the budget it refers to',
    { budget_id: 'b' },
    { budget_duration: '30d', budget_reset_at: '2026-06-01T00:00:00.000Z' },
    '30d',
    '2026-06-01T00:00:00.000Z',
  ],
  [
    'its own over that of the budget',
    { budget_id: 'b', budget_duration: '1d', budget_reset_at: '2026-05-11T00:00:00.000Z' },
    { budget_duration: '30d', budget_reset_at: '2026-06-01T00:00:00.000Z' },
    '1d',
    '2026-05-11T00:00:00.000Z',
  ],
]
for (const [name, row, budget, duration, resetsAt] of periods)
  test(`the period of a key: ${name}`, () => {
    const made = rows.keyOf({ token, ...row }, { budgets: new Map([['b', budget]]) }, deps)
    assert.ok(!('left' in made))
    const at = made.books?.resetsAt
    assert.deepEqual(
      [made.books?.duration, at == null ? null : new Date(at).toISOString()],
      [duration, resetsAt],
    )
  })

const sealed: [name: string, params: JsonObject, expected: JsonObject | undefined][] = [
  ['all of it', { model: 'box:a/b', api_key: 'box:k' }, { model: 'a/b', api_key: 'k' }],
  ['none of it', { model: 'a/b', rpm: 3 }, { model: 'a/b', rpm: 3 }],
  ['some of it', { model: 'box:a/b', api_key: strange }, { model: 'a/b', api_key: strange }],
  ['with another key', { model: strange, api_key: strange }, undefined],
  [
    'deeper down',
    { model: 'box:a/b', tags: ['box:x'], of: { k: 'box:y' } },
    { model: 'a/b', tags: ['x'], of: { k: 'y' } },
  ],
  ['with nothing in it', { model: 'box:a/b', api_base: null }, { model: 'a/b' }],
]
for (const [name, litellm_params, expected] of sealed)
  test(`parameters of a model that are sealed: ${name}`, () => {
    const made = rows.modelOf({ model_id: 'm', model_name: 'n', litellm_params }, deps)
    if (expected === undefined) assert.match('left' in made ? made.left : '', /LITELLM_SALT_KEY/)
    else
      assert.deepEqual(
        'left' in made ? made : JSON.parse(sealer.open(String(made.data['litellm_params']))),
        expected,
      )
  })

test('members of a team: each once, as what the team says first, with the budget that is theirs', () => {
  const made = rows.teamMembersOf(
    {
      team_id: 't',
      members_with_roles: [{ user_id: 'a', role: 'admin' }, { user_email: 'x@y.z' }],
      admins: ['a'],
      members: ['a', 'b'],
      metadata: { team_member_budget_id: 'all' },
    },
    [
      { user_id: 'b', team_id: 't', budget_id: 'own', spend: 1 },
      { user_id: 'c', team_id: 't', budget_id: 'all' },
    ],
    {
      budgets: new Map([
        ['own', { budget_id: 'own', max_budget: 5 }],
        ['all', { budget_id: 'all', max_budget: 7 }],
      ]),
    },
    deps,
  )
  assert.deepEqual(
    made.map((one) =>
      'left' in one
        ? 'left'
        : [one.id, one.data['role'], one.data['max_budget'], one.columns['budget_id']],
    ),
    [
      ['t/a', 'admin', undefined, null],
      ['t/b', 'user', 5, null],
      ['t/c', 'user', undefined, 'all'],
      'left',
    ],
  )
})

test('a key of a session and one that is no hash stay where they are', () => {
  for (const row of [{ token, team_id: 'litellm-dashboard' }, { token: 'sk-plain' }, {}])
    assert.ok('left' in rows.keyOf(row, {}, deps), JSON.stringify(row))
})

test('whatever stands in a row, it is made or left, and no amount is less than nothing', () => {
  const value = fc.oneof(
    fc.jsonValue() as fc.Arbitrary<JsonObject[string]>,
    fc.constantFrom('[{', '2026-01-01T00:00:00Z', 'box:x', Number.NaN, -1, 1e300, ['x'], {
      user_id: 7,
    }),
  )
  const columns = [
    ...['token', 'user_id', 'team_id', 'model_id', 'credential_name', 'budget_id', 'tag_name'],
    ...['spend', 'total_spend', 'budget_duration', 'budget_reset_at', 'expires', 'metadata'],
    ...['budget_limits', 'members_with_roles', 'admins', 'litellm_params', 'credential_values'],
    ...['model_info', 'created_at', 'models', 'object_permission_id', 'key_alias'],
  ]
  const row = fc.dictionary(fc.constantFrom(...columns), value)
  fc.assert(
    fc.property(row, row, (one, other) => {
      const beside = { budgets: new Map([['b', other]]), permissions: new Map([['b', other]]) }
      for (const made of [
        rows.keyOf({ ...one, token }, beside, deps),
        rows.userOf(one, beside, deps),
        rows.organizationOf(one, beside, deps),
        rows.organizationMemberOf(one, beside, deps),
        rows.teamOf(one, beside, {}, deps),
        ...rows.teamMembersOf(one, [other], beside, deps),
        rows.projectOf(one, beside, deps),
        rows.customerOf(one, beside, deps),
        rows.tagOf(one, beside, deps),
        rows.budgetOf(one),
        rows.accessGroupOf(one),
        rows.replacedKeyOf(one),
        rows.deletedKeyOf(one, deps),
        rows.modelOf(one, deps),
        rows.credentialOf(one, deps),
      ])
        if ('books' in made && made.books) {
          assert.ok(made.books.spend >= 0 && made.books.total >= made.books.spend)
          assert.ok(Number.isSafeInteger(made.books.total))
        }
    }),
    { numRuns: 200 },
  )
})
