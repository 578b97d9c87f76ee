import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eachRow } from '../store/packed.ts'
import { entry } from '../store/spend-fill.test.ts'
import { Tallies } from './tallies.ts'

const hour = 3_600_000
const numbers = new Map<string, number>()
const wordOf = (text: string): number => {
  if (!numbers.has(text)) numbers.set(text, numbers.size + 1)
  return numbers.get(text) ?? 0
}

test('requests that name the same are one tally, whoever comes between; others are not', () => {
  const tallies = new Tallies(wordOf)
  const plain = () => entry('x', hour)
  const first = tallies.add(plain())
  const others = [
    entry('x', 2 * hour),
    entry('x', hour, { keyId: 'k2' }),
    entry('x', hour, { group: 'other' }),
    entry('x', hour, { upstreamModel: 'other' }),
    entry('x', hour, { provider: 'other' }),
    entry('x', hour, { operation: 'other' }),
    entry('x', hour, { fault: 'provider', status: 500 }),
    entry('x', hour, { payer: { userId: 'u' } }),
    entry('x', hour, { payer: { customerId: 'u' } }),
    entry('x', hour, { payer: { tags: ['u'] } }),
    entry('x', hour, { payer: { tags: ['u', 'v'] } }),
  ].map((one) => tallies.add(one))
  assert.equal(new Set([first, ...others]).size, others.length + 1)
  assert.equal(tallies.add(plain()), first)
  assert.deepEqual([first.requests, first.spend, first.duration], [2, 2000, 200])
})

test('sums: once for everybody and once for each party, a tag that is said twice once', () => {
  const tallies = new Tallies(wordOf)
  tallies.add(entry('a', hour + 1, { payer: { userId: 'u', tags: ['t', 't'] } }))
  tallies.add(entry('b', hour + 2, { payer: { userId: 'u' } }))
  tallies.add(entry('c', hour + 3, { fault: 'provider', payer: { tags: ['t', 's'] } }))
  const told: unknown[] = []
  eachRow(tallies.hourRows(), ([at, scope, id, , , , , , spend, , , , , requests, failures]) =>
    told.push([Number(at) / hour, scope, id, spend, requests, failures]),
  )
  assert.deepEqual(told, [
    [1, 'all', 0, 3000, 3, 1],
    [1, 'tag', wordOf('t'), 2000, 2, 1],
    [1, 'tag', wordOf('s'), 1000, 1, 1],
    [1, 'user', wordOf('u'), 2000, 2, 0],
  ])
})
