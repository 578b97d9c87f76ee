import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLimits, type LimitAsk } from '../../src/policy/limits.ts'

const ask = (id: string, limit: number, amount: number): LimitAsk => ({
  id,
  kind: 'requests',
  limit,
  amount,
  windowMs: 60_000,
  descriptor: 'api_key',
  name: 'k',
})

test('a million names do not fill the memory', async () => {
  let now = 1_000_000
  const limits = createLimits(undefined, () => now)
  for (let i = 0; i < 60_000; i++) {
    if (i % 1000 === 0) now += 2000
    await limits.take([ask(`customer:${i}`, 5, 1)])
  }
  assert.ok(!(await limits.take([ask('key:1', 1, 2)])).ok)
})
