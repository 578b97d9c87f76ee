import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** Allocates as a busy server does, each object outliving some collections; prints the most its young generation took, in MB. */
const busy = `
  import { setImmediate } from 'node:timers/promises'
  import v8 from 'node:v8'
  const { boundYoungGeneration } = await import(process.argv[1])
  if (process.argv[2] === 'bounded') boundYoungGeneration([], '', 16 * 2 ** 20)
  let kept = []
  let most = 0
  for (let turn = 0; turn < 1_500; turn++) {
    for (let i = 0; i < 2_000; i++) kept.push({ turn, pair: [turn, i] })
    if (turn % 500 === 499) kept = []
    await setImmediate()
    const young = v8.getHeapSpaceStatistics().find((s) => s.space_name === 'new_space')
    most = Math.max(most, young.space_size / 2 ** 20)
  }
  console.log(most)
`
const youngAfter = (mode: string): number => {
  const module = new URL('./heap.node.ts', import.meta.url).href
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--max-semi-space-size=128', '--input-type=module', '--eval', busy, module, mode],
    { encoding: 'utf8' },
  )
  assert.equal(stderr, '')
  return Number(stdout)
}

test('a busy young generation stops growing at its ceiling, which it would have passed', () => {
  const bounded = youngAfter('bounded')
  assert.ok(bounded >= 16 && bounded < 64, `${bounded} MB`)
  assert.ok(youngAfter('free') >= 64)
})

test('who sets the size by flag or environment is left alone', async () => {
  const { boundYoungGeneration } = await import('./heap.node.ts')
  assert.equal(boundYoungGeneration(['--max-semi-space-size=128'], ''), undefined)
  assert.equal(boundYoungGeneration([], '--max_semi_space_size=8'), undefined)
  const stop = boundYoungGeneration([], '')
  assert.ok(stop)
  stop()
})
