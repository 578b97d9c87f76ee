import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AffinitySettings } from './affinity.ts'
import { bench, row, said } from './deployments.test.ts'

const affinity = (more: Partial<AffinitySettings> = {}): AffinitySettings => ({
  callers: false,
  sessions: true,
  ttlSeconds: 100,
  groups: new Map(),
  ...more,
})
const two = () => [row('a'), row('b')]
/** Dice at 0 draw the first, near 1 the last. */
const low = 0
const high = 0.99

test('a session stays where it was first, whatever the dice say', async () => {
  const b = bench(two(), { affinity: affinity() })
  b.clock.dice = high
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'b')
  b.clock.dice = low
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'b')
  assert.equal(await b.ask('g', { hints: { session: 't' } }), 'a')
  assert.equal(await b.ask('g', { hints: {} }), 'a')
})

test('a session that two callers name alike is two', async () => {
  const b = bench(two(), { affinity: affinity() })
  b.clock.dice = high
  assert.equal(await b.ask('g', { hints: { caller: 'k1', session: 's' } }), 'b')
  b.clock.dice = low
  assert.equal(await b.ask('g', { hints: { caller: 'k2', session: 's' } }), 'a')
})

test('a caller stays where its first session went; a session of its own comes first', async () => {
  const b = bench(two(), { affinity: affinity({ callers: true }) })
  b.clock.dice = high
  assert.equal(await b.ask('g', { hints: { caller: 'k', session: 's' } }), 'b')
  b.clock.dice = low
  assert.equal(await b.ask('g', { hints: { caller: 'k' } }), 'b')
  assert.equal(await b.ask('g', { hints: { caller: 'k', session: 'new' } }), 'b')
  assert.equal(await b.ask('g', { hints: { caller: 'l' } }), 'a')
})

test('it lasts so long after the last request', async () => {
  const b = bench(two(), { affinity: affinity() })
  b.clock.dice = high
  await b.ask('g', { hints: { session: 's' } })
  b.clock.dice = low
  for (let times = 0; times < 3; times++) {
    b.clock.now += 99_000
    assert.equal(await b.ask('g', { hints: { session: 's' } }), 'b')
  }
  b.clock.now += 100_000
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'a')
})

test('while its deployment rests another serves, and then it goes back', async () => {
  let down = false
  const b = bench(two(), { affinity: affinity(), cooldownSeconds: 5, allowedFails: 0 }, (id) =>
    down && id === 'b' ? said(500) : undefined,
  )
  b.clock.dice = high
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'b')
  down = true
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'a')
  assert.deepEqual(b.tried, ['b', 'b', 'a'])
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'a')
  down = false
  b.clock.now += 6000
  b.clock.dice = low
  assert.equal(await b.ask('g', { hints: { session: 's' } }), 'b')
})

test('a group has its own checks, in place of the general ones', async () => {
  const rows = [row('a'), row('b'), row('c', 'h'), row('d', 'h')]
  const groups = new Map([['h', { callers: true, sessions: false }]])
  const b = bench(rows, { affinity: affinity({ groups }) })
  const hints = { caller: 'k', session: 's' }
  b.clock.dice = high
  assert.deepEqual([await b.ask('g', { hints }), await b.ask('h', { hints })], ['b', 'd'])
  b.clock.dice = low
  assert.equal(await b.ask('h', { hints: { ...hints, session: 'other' } }), 'd')
  assert.equal(await b.ask('g', { hints: { ...hints, session: 'other' } }), 'a')
})

test('a prompt goes where its beginning was last, for five minutes', async () => {
  const b = bench(two(), { affinity: affinity({ sessions: false, prompts: true }) })
  b.clock.dice = high
  assert.equal(await b.ask('g', { hints: { prefixes: ['ab', 'a'] } }), 'b')
  b.clock.dice = low
  assert.equal(await b.ask('g', { hints: { prefixes: ['a'] } }), 'a')
  assert.equal(await b.ask('g', { hints: { prefixes: ['abcd', 'abc', 'ab', 'a'] } }), 'b')
  assert.equal(await b.ask('g', { hints: { prefixes: ['x'] } }), 'a')
  b.clock.now += 5 * 60_000
  assert.equal(await b.ask('g', { hints: { prefixes: ['ab'] } }), 'a')
})

test('a conversation with encrypted thoughts goes back to who encrypted them, before all else', async () => {
  const b = bench(two(), { affinity: affinity({ threads: true }) })
  b.clock.dice = high
  assert.equal(await b.ask('g', { hints: { caller: 'k', thread: 'x' } }), 'b')
  b.clock.dice = low
  assert.equal(await b.ask('g', { hints: { caller: 'k', session: 's' } }), 'a')
  assert.equal(await b.ask('g', { hints: { caller: 'k', session: 's', thread: 'x' } }), 'b')
  assert.equal(await b.ask('g', { hints: { caller: 'l', thread: 'x' } }), 'a')
  const off = bench(two(), { affinity: affinity() })
  off.clock.dice = high
  assert.equal(await off.ask('g', { hints: { thread: 'x' } }), 'b')
  off.clock.dice = low
  assert.equal(await off.ask('g', { hints: { thread: 'x' } }), 'a')
})

test('law: without a deployment that fails, a session sees one', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(3), fc.double({ min: 0, max: 0.99, noNaN: true })), {
        maxLength: 20,
      }),
      async (requests) => {
        const b = bench([row('a'), row('b'), row('c')], { affinity: affinity() })
        const seen = new Map<number, string>()
        for (const [session, dice] of requests) {
          b.clock.dice = dice
          const id = await b.ask('g', { hints: { session: String(session) } })
          assert.equal(id, seen.get(session) ?? id)
          seen.set(session, id)
        }
      },
    ),
    { numRuns: 50 },
  )
})
