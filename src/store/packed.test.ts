import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnsOf, eachRow, Packing, packed } from './packed.ts'

test('rows come out as they were put down, what they share included', () => {
  const packing = new Packing(3, 3)
  const rows: [number, string | null, number | null][] = [
    [1, 'a', null],
    [2, 'a', 0],
    [3, null, -7.5],
  ]
  packing.number(1)
  packing.text('a')
  packing.nothing()
  packing.number(2)
  packing.asBefore()
  packing.number(0)
  packing.number(3)
  packing.text(null)
  packing.number(-7.5)
  const told: unknown[] = []
  eachRow(packing.packed, (row) => told.push([...row]))
  assert.deepEqual(told, rows)
  assert.deepEqual(columnsOf(packing.packed), [
    [1, 2, 3],
    ['a', 'a', null],
    [null, 0, -7.5],
  ])
  const again: unknown[] = []
  const same = packed(rows)
  assert.ok(same)
  eachRow(same, (row) => again.push([...row]))
  assert.deepEqual(again, rows)
})

test('what does not fit is not packed', () => {
  for (const row of [[Number.NaN], [Number.POSITIVE_INFINITY], [1n], [undefined], [[1]]])
    assert.equal(packed([row]), undefined)
  assert.equal(packed([[1], [1, 2]]), undefined)
})
