import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomId } from './random-id.ts'

test('ids are random UUIDs, and no two alike', () => {
  const ids = Array.from({ length: 2000 }, randomId)
  for (const id of ids)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(new Set(ids).size, ids.length)
})

test('every digit that is not fixed takes every value', () => {
  const seen = Array.from({ length: 36 }, () => new Set<string>())
  for (let nth = 0; nth < 2000; nth++)
    for (const [at, digit] of [...randomId()].entries()) seen[at]?.add(digit)
  const sizes = seen.map(({ size }) => size)
  const expected = [...'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'].map(
    (sign) => ({ x: 16, y: 4 })[sign] ?? 1,
  )
  assert.deepEqual(sizes, expected)
})
