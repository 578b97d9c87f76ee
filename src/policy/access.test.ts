import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deployment } from '../call/upstream.test.ts'
import { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import type { Groups } from '../router/groups.ts'
import type { Doc } from '../store/docs.ts'
import type { DocKind } from '../store/tables.ts'
import { createAccess } from './access.ts'
import { type Caller, nobody } from './caller.ts'
import type { Grant } from './grant.ts'

const rows: Record<string, JsonObject> = {
  'gpt-a': {},
  'gpt-b': { access_groups: ['beta'] },
  'acme/x': {},
  ours: { team_id: 't1' },
}
const groups: Groups = {
  nameOf: (name) => name,
  find: (name) => {
    const info = rows[name] ?? (name.startsWith('acme/') ? {} : undefined)
    return info ? [{ ...deployment(), row: { ...deployment().row, info } }] : []
  },
  isOwn: (name) => name in rows,
  wildcard: () => undefined,
  all: () => [],
  names: () => Object.keys(rows),
}
const access = createAccess(() => groups, {
  customer: () => undefined,
  tag: () => undefined,
  group: (name) => (name === 'made' ? ['gpt-a', 'acme/*'] : undefined),
  settling: () => undefined,
  async setDefaultBudget() {},
})

const doc = <K extends DocKind>(kind: K, id: string, data: JsonObject): Doc<K> => ({
  kind,
  id,
  uniqueName: null,
  columns: {},
  data,
  createdAt: 0,
  updatedAt: 0,
})
type Lists = {
  key?: JsonObject
  user?: JsonObject
  team?: JsonObject
  organization?: JsonObject
  member?: JsonObject
}
function caller({ key = {}, user, team, organization, member }: Lists): Caller {
  const grant: Grant = {
    keyId: 'k',
    role: 'internal_user',
    key: doc('virtual_key', 'k', key),
    user: user && doc('gateway_user', 'u', user),
    team: team && doc('team', 't1', team),
    member: member && doc('team_member', 't1/u', member),
    organization: organization && doc('organization', 'o', organization),
    project: undefined,
    expiresAt: undefined,
    refusal: undefined,
    holders: [],
    parts: new Set(),
  }
  return { ...nobody, role: 'internal_user', keyId: 'k', teamId: team && 't1', grant }
}

const cases: [name: string, who: Lists, open: string[], closed: string[]][] = [
  ['no list opens everything', {}, ['gpt-a', 'gpt-b', 'acme/x'], ['ours']],
  ['a list opens what it names', { key: { models: ['gpt-a'] } }, ['gpt-a'], ['gpt-b', 'acme/x']],
  ['a wildcard', { key: { models: ['acme/*'] } }, ['acme/x', 'acme/y'], ['gpt-a']],
  ['everything', { key: { models: ['all-proxy-models'] } }, ['gpt-a', 'gpt-b'], ['ours']],
  ['a group named by rows', { key: { models: ['beta'] } }, ['gpt-b'], ['gpt-a']],
  ['a group made by itself', { key: { models: ['made'] } }, ['gpt-a', 'acme/z'], ['gpt-b']],
  ['nothing by default', { user: { models: ['no-default-models'] } }, [], ['gpt-a']],
  ["a user's list bounds their own keys", { user: { models: ['gpt-a'] } }, ['gpt-a'], ['gpt-b']],
  [
    "a user's list does not bound a team's key",
    { user: { models: ['gpt-b'] }, team: { models: ['gpt-a'] } },
    ['gpt-a'],
    ['gpt-b'],
  ],
  [
    'the key within the team',
    { key: { models: ['gpt-a', 'gpt-b'] }, team: { models: ['gpt-b'] } },
    ['gpt-b'],
    ['gpt-a'],
  ],
  [
    'whatever the team has',
    { key: { models: ['all-team-models'] }, team: { models: ['gpt-b'] } },
    ['gpt-b'],
    ['gpt-a'],
  ],
  ['the organisation', { organization: { models: ['gpt-a'] } }, ['gpt-a'], ['gpt-b']],
  ['a member', { team: {}, member: { allowed_models: ['gpt-a'] } }, ['gpt-a'], ['gpt-b']],
  ["a team's own model", { team: {} }, ['ours', 'gpt-a'], []],
]
for (const [name, who, open, closed] of cases)
  test(`models: ${name}`, () => {
    const one = caller(who)
    for (const model of open) assert.ok(access.mayUse(one, model), `${model} is open`)
    for (const model of closed) {
      assert.ok(!access.mayUse(one, model), `${model} is closed`)
      assert.throws(
        () => access.refuse(one, model, model),
        (error) =>
          GatewayError.is(error) &&
          error.status === 403 &&
          /_model_access_denied$/.test(error.type ?? '') &&
          error.message.includes(model),
      )
    }
    const seen = access.visible(one, Object.keys(rows))
    for (const model of Object.keys(rows))
      assert.equal(seen.includes(model), access.mayUse(one, model))
  })

test('the master key may use everything', () => {
  const admin: Caller = { ...nobody, role: 'proxy_admin', keyId: 'master_key' }
  assert.ok(access.mayUse(admin, 'ours'))
  access.refuse(admin, 'anything', 'anything')
  access.refuseBound(admin)
})

test('aliases of the key come before those of the team', () => {
  const one = caller({
    key: { aliases: { mine: 'gpt-a' } },
    team: { model_aliases: { mine: 'gpt-b', house: 'gpt-b' } },
  })
  assert.equal(access.aliasOf(one, 'mine'), 'gpt-a')
  assert.equal(access.aliasOf(one, 'house'), 'gpt-b')
  assert.equal(access.aliasOf(one, 'other'), 'other')
})

test('a single name under a wildcard shows in the list of the key that has it', () => {
  assert.deepEqual(access.visible(caller({ key: { models: ['acme/only'] } }), Object.keys(rows)), [
    'acme/only',
  ])
})

test('a bound key does not pass to a provider unseen', () => {
  access.refuseBound(caller({}))
  access.refuseBound(caller({ key: { models: ['all-proxy-models'] } }))
  assert.throws(() => access.refuseBound(caller({ key: { models: ['gpt-a'] } })))
  assert.throws(() => access.refuseBound(caller({ team: { models: ['gpt-a'] } })))
})
