import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { createRestarts, type Death } from './restarts.ts'

const long = { servedMs: 60_000, refused: false, othersServe: true }
const quick = { servedMs: 200, refused: false, othersServe: true }
const unborn = { servedMs: undefined, refused: false, othersServe: false }
const refused = { servedMs: undefined, refused: true, othersServe: true }
const alone = { ...refused, othersServe: false }

const cases: [name: string, deaths: Death[], expected: (number | 'enough')[]][] = [
  ['who served long is back soon, however often', Array(7).fill(long), Array(7).fill(100)],
  ['five quick deaths in a row end it', Array(5).fill(quick), [100, 200, 400, 800, 'enough']],
  ['so do five of which none served', Array(5).fill(unborn), [100, 200, 400, 800, 'enough']],
  ['a long life between counts anew', [quick, quick, long, quick], [100, 200, 100, 100]],
  [
    'who cannot start beside others that serve is tried ever later, and ends nobody',
    Array(8).fill(refused),
    [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  ],
  ['where nobody serves, that ends it too', Array(5).fill(alone), [100, 200, 400, 800, 'enough']],
]
for (const [name, deaths, expected] of cases)
  test(name, () => {
    const { died } = createRestarts()
    const verdicts = deaths.map((death) => died(death))
    deepEqual(
      verdicts.map((one) => (one.type === 'again' ? one.afterMs : 'enough')),
      expected,
    )
  })
