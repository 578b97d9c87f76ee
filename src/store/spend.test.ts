import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Db } from './db.ts'
import { migrate } from './migrate.ts'
import { countSpendRows, type SpendRow, spendRowSums, spendRows } from './spend.ts'
import { entry, fill } from './spend-fill.test.ts'
import type { SpendFilter } from './spend-filter.ts'
import { openSqlite } from './sqlite.node.ts'

const start = Date.UTC(2026, 0, 1)

async function open(path = ':memory:'): Promise<Db> {
  const db = openSqlite(path)
  await migrate(db)
  return db
}

describe('rows of spend', () => {
  let db: Db
  before(async () => {
    db = await open()
    await fill(db, [
      entry('a', start, { payer: { userId: 'u1', teamId: 't1', tags: ['x'] } }),
      entry('b', start + 1000, { keyId: 'k2', payer: { userId: 'u2', sessionId: 's "1"' } }),
      entry('c', start + 2000, {
        nanoDollars: 0,
        fault: 'rate_limit',
        status: 429,
        error: 'too "fast"\nfor us',
        payer: { userId: 'u1', customerId: "Ünïcode'; drop table spend_log; --" },
      }),
      entry('d', start + 3000, {
        keyId: 'k3',
        group: 'other',
        upstreamModel: 'other-x',
        deploymentId: 'd2',
        nanoDollars: 9,
        endedAt: start + 3001,
        payer: { teamId: 't1', organizationId: 'o1', cached: true },
      }),
      // Written last, begun first.
      entry('e', start - 1000, { answerId: undefined, keyId: 'k3', payer: { teamId: 't2' } }),
    ])
  })
  after(() => db.close())

  const sight = { keys: [], users: [], teams: [], organizations: [] }
  const found: [name: string, filter: SpendFilter, ids: string[]][] = [
    ['all, the newest first', {}, ['d', 'c', 'b', 'a', 'call-e']],
    ['a key', { keys: ['k3'] }, ['d', 'call-e']],
    ['keys', { keys: ['k1', 'k2'] }, ['c', 'b', 'a']],
    ['a key nobody used', { keys: ['nobody'] }, []],
    ['one that is there and one that is not', { keys: ['k2', 'nobody'] }, ['b']],
    ['no key at all', { keys: [] }, []],
    ['a user', { users: ['u1'] }, ['c', 'a']],
    ['a team and a user', { users: ['u1'], teams: ['t1'] }, ['a']],
    ['a customer of any name', { customers: ["Ünïcode'; drop table spend_log; --"] }, ['c']],
    ['an organisation', { organizations: ['o1'] }, ['d']],
    ['a model', { models: ['other-x'] }, ['d']],
    ['a group', { groups: ['gpt'] }, ['c', 'b', 'a', 'call-e']],
    ['a deployment', { deployments: ['d2'] }, ['d']],
    ["the answer's id", { requestId: 'a' }, ['a']],
    ["the call's id", { requestId: 'call-a' }, ['a']],
    ['times, the end outside', { from: start, until: start + 3000 }, ['c', 'b', 'a']],
    ['a session with quotes in its name', { session: 's "1"' }, ['b']],
    ['a part of a session is none', { session: 's ' }, []],
    ['failures', { failed: true }, ['c']],
    ['successes', { failed: false }, ['d', 'b', 'a', 'call-e']],
    ['a status', { status: 429 }, ['c']],
    ['an error by its words', { error: 'fast"\nfor' }, ['c']],
    ['an error by its words, the case too', { error: 'FAST' }, []],
    ['from the cache', { cached: true }, ['d']],
    ['not from the cache', { cached: false, users: ['u1'] }, ['c', 'a']],
    ['money', { minSpend: 9, maxSpend: 999 }, ['d']],
    ['any id: a key', { anyId: 'k2' }, ['b']],
    ['any id: a call', { anyId: 'call-c' }, ['c']],
    ['any id: a session', { anyId: 's "1"' }, ['b']],
    ['any id: a request, outside the times', { anyId: 'a', from: start + 9000 }, ['a']],
    ['any id: a team, inside the times', { anyId: 't1', until: start + 500 }, ['a']],
    ['nothing may be seen', { sight }, []],
    ['own rows', { sight: { ...sight, users: ['u1'] } }, ['c', 'a']],
    [
      'own rows and those of teams and keys, each once',
      { sight: { ...sight, users: ['u1', 'u2'], teams: ['t1', 't2'], keys: ['k1'] } },
      ['d', 'c', 'b', 'a', 'call-e'],
    ],
    [
      'what is asked for, as far as it may be seen',
      { keys: ['k2'], sight: { ...sight, users: ['u1'] } },
      [],
    ],
  ]
  for (const [name, filter, ids] of found)
    test(name, async () => {
      const rows = await spendRows(db.query, filter, { limit: 10 })
      assert.deepEqual(
        rows.map(({ requestId }) => requestId),
        ids,
      )
      assert.equal(await countSpendRows(db.query, filter), ids.length)
      assert.equal(await countSpendRows(db.query, filter, 2), Math.min(2, ids.length))
      // Cut into pages, by number and by the last one seen, they are the same rows.
      const paged: string[] = []
      const keyed: string[] = []
      let last: SpendRow | undefined
      for (let offset = 0; offset < 6; offset += 2) {
        const page = await spendRows(db.query, filter, { limit: 2, offset })
        paged.push(...page.map(({ requestId }) => requestId))
        const more = await spendRows(db.query, filter, { limit: 2, ...(last && { after: last }) })
        if (offset === 0 || last) keyed.push(...more.map(({ requestId }) => requestId))
        last = more.at(-1)
      }
      assert.deepEqual(paged, ids)
      assert.deepEqual(keyed, ids)
    })

  test('a row is what was written', async () => {
    const [row] = await spendRows(db.query, { requestId: 'd' }, { limit: 1 })
    assert.deepEqual(row, {
      seq: 4,
      requestId: 'd',
      callId: 'call-d',
      startedAt: start + 3000,
      duration: 1,
      firstByte: 40,
      operation: 'chat',
      key: 'k3',
      user: null,
      team: 't1',
      organization: 'o1',
      customer: null,
      group: 'other',
      model: 'other-x',
      deployment: 'd2',
      provider: 'openai',
      spend: 9,
      input: 10,
      output: 5,
      cacheRead: 0,
      cacheWrite: 0,
      reasoning: 0,
      status: 200,
      fault: null,
      flags: 8,
      more: { asked: 'gpt' },
    })
  })

  test('orders', async () => {
    const first = async (order: 'spend' | 'request_duration_ms' | 'model', descending: boolean) =>
      (await spendRows(db.query, {}, { order, descending, limit: 1 }))[0]?.requestId
    assert.equal(await first('spend', true), 'call-e')
    assert.equal(await first('spend', false), 'c')
    assert.equal(await first('request_duration_ms', false), 'd')
    assert.equal(await first('model', true), 'd')
  })

  test('sums of rows', async () => {
    const none = { day: 0, key: '', team: '', model: '', deployment: '' }
    assert.deepEqual(await spendRowSums(db.query, { status: 429 }, ['day', 'deployment']), [
      {
        ...none,
        day: start / 86_400_000,
        deployment: 'd1',
        count: 1,
        spend: 0,
        input: 10,
        output: 5,
      },
    ])
    const byTeam = await spendRowSums(db.query, { keys: ['k3'] }, ['team', 'model'])
    assert.deepEqual(byTeam.map(({ team, spend }) => [team, spend]).sort(), [
      ['t1', 9],
      ['t2', 1000],
    ])
    assert.deepEqual(await spendRowSums(db.query, { keys: [] }, ['day']), [])
  })
})
