import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../json/json.ts'
import { bench, row } from './deployments.test.ts'
import { type Lar1Kind, lar1Kind, lar1Thresholds, readLar1 } from './lar1.ts'

const kinds: [said: Json | undefined, kind: Lar1Kind | undefined][] = [
  [undefined, 'local'],
  [{}, 'local'],
  [{ confidence: 0 }, 'cloud-smart'],
  [{ confidence: 0.29 }, 'cloud-smart'],
  [{ confidence: 0.3 }, 'cloud-fast'],
  [{ confidence: 0.5 }, 'local'],
  [{ confidence: 0.7 }, 'deep'],
  [{ confidence: 1 }, 'deep'],
  [{ confidence: 1, evidence: ['UNVERIFIED'] }, 'cloud-smart'],
  [{ confidence: 1, evidence: ['CONFIRMED'], act: 'GEN', mind: 'HYP' }, 'deep'],
  [{ confidence: 1, time: 'MEM' }, 'cloud-fast'],
  [{ time: 'MEM', evidence: ['UNVERIFIED'] }, 'cloud-smart'],
  [{ confidence: 1.1 }, undefined],
  [{ confidence: 'sure' }, undefined],
  [{ evidence: ['HEARSAY'] }, undefined],
  [{ evidence: 'UNVERIFIED' }, undefined],
  [{ time: 'LATER' }, undefined],
  ['sure', undefined],
]
for (const [said, kind] of kinds)
  test(`${JSON.stringify(said)} is for ${kind ?? 'nobody: it is not of the protocol'}`, () => {
    const read = readLar1(said)
    assert.equal(read && lar1Kind(read, lar1Thresholds), kind)
  })

const typed = (id: string, type?: string) => ({ ...row(id), info: type ? { type } : {} })
const rows = () => [typed('a'), typed('fast', 'cloud-fast'), typed('deep', 'deep')]

test('the row of that type serves; where there is none the first, and the thresholds may be moved', async () => {
  const ask = (confidence: number, more = {}) =>
    bench(rows(), { strategy: 'lar1', ...more }).ask('g', {
      hints: { lar1: readLar1({ confidence }) },
    })
  assert.equal(await ask(0.4), 'fast')
  assert.equal(await ask(0.9), 'deep')
  assert.equal(await ask(0.1), 'a')
  const lar1 = { low: 0.1, medium: 0.95, high: 0.99 }
  assert.equal(await ask(0.9, { strategyArgs: { lar1 } }), 'fast')
  assert.equal(await bench(rows(), { strategy: 'lar1' }).ask('g'), 'a')
})
