import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearest } from './nearest.ts'

const names = ['model_name', 'litellm_params', 'model_info', 'num_retries', 'tpm', 'rpm', 'order']

const cases: [name: string, expected: string | undefined][] = [
  ['model_nam', 'model_name'],
  ['modle_name', 'model_name'],
  ['MODEL_NAME', 'model_name'],
  ['num_retrys', 'num_retries'],
  ['tmp', 'tpm'],
  ['ordre', 'order'],
  ['abc', undefined],
  ['temperature', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
]
for (const [name, expected] of cases)
  test(`nearest to ${name.slice(0, 20)}: ${expected}`, () =>
    assert.equal(nearest(name, names), expected))

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 })

test('the distance is the same both ways, and zero only for equals', () =>
  fc.assert(
    fc.property(word, word, (a, b) => {
      assert.equal(editDistance(a, b), editDistance(b, a))
      assert.equal(editDistance(a, b) === 0, a === b)
      assert.ok(editDistance(a, b) <= Math.max(a.length, b.length))
    }),
  ))

test('a bound only cuts off', () =>
  fc.assert(
    fc.property(word, word, fc.nat(9), (a, b, bound) => {
      assert.equal(editDistance(a, b, bound), Math.min(editDistance(a, b), bound))
    }),
  ))

test('one slip of the finger is distance one', () =>
  fc.assert(
    fc.property(fc.string({ minLength: 2, maxLength: 20 }), fc.nat(), (name, where) => {
      const at = where % (name.length - 1)
      assert.equal(editDistance(name, name.slice(0, at) + name.slice(at + 1)), 1)
      const swapped = name.slice(0, at) + name.charAt(at + 1) + name.charAt(at) + name.slice(at + 2)
      assert.ok(editDistance(name, swapped) <= 1)
    }),
  ))
