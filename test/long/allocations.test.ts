import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocationsOf } from '../support/allocations.ts'

/** Bytes. A bound that is passed has a cause worth finding: `node scripts/allocations.ts` shows the functions. */
const bounds: [name: string, stream: boolean, most: number][] = [
  ['a small request', false, 40_000],
  ['a small stream', true, 70_000],
]

for (const [name, stream, most] of bounds)
  test(`${name} makes few objects`, async (t) => {
    const { perRequest, functions } = await allocationsOf(t, { stream, requests: 2000 })
    t.diagnostic(`${perRequest.toFixed(0)} bytes a request`)
    const largest = functions.slice(0, 10).map(([of, bytes]) => `${bytes.toFixed(0)} ${of}`)
    assert.ok(perRequest < most, [`${perRequest} bytes`, ...largest].join('\n'))
    // Nothing at all would be a fault of the measurement.
    assert.ok(perRequest > 2000, `${perRequest} bytes`)
  })
