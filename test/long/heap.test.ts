import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

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

/** Much that lives, and much that dies in the old generation, slowly; prints the most it took, in MB. */
const passing = `
  import { setTimeout } from 'node:timers/promises'
  import v8 from 'node:v8'
  const { boundOldGeneration } = await import(process.argv[1])
  if (process.argv[2] === 'bounded') boundOldGeneration([], '')
  const living = Array.from({ length: 200_000 }, (_, i) => ({ i, pair: [i, i] }))
  const queue = []
  let most = 0
  for (let turn = 0; turn < 2_500; turn++) {
    queue[turn % 64] = Array.from({ length: 1_500 }, (_, i) => ({ turn, i }))
    if (turn % 4 === 0) await setTimeout(1)
    const old = v8.getHeapSpaceStatistics().find((s) => s.space_name === 'old_space')
    most = Math.max(most, old.space_used_size / 2 ** 20)
  }
  console.log(living.length && most)
`

const run = promisify(execFile)
async function megabytes(program: string, semiSpaceMb: number, mode: string): Promise<number> {
  const module = new URL('../../src/start/heap.node.ts', import.meta.url).href
  const flags = [`--max-semi-space-size=${semiSpaceMb}`, '--input-type=module']
  const { stdout, stderr } = await run(process.execPath, [
    ...flags,
    '--eval',
    program,
    module,
    mode,
  ])
  assert.equal(stderr, '')
  return Number(stdout)
}

test('a busy young generation stops growing at its ceiling, which it would have passed', async () => {
  const bounded = await megabytes(busy, 128, 'bounded')
  assert.ok(bounded >= 16 && bounded < 64, `${bounded} MB`)
  assert.ok((await megabytes(busy, 128, 'free')) >= 64)
})

test('the old generation is looked through before it has grown to several times what lives in it', async () => {
  const [bounded, free] = await Promise.all(
    ['bounded', 'free'].map((mode) => megabytes(passing, 1, mode)),
  )
  assert.ok(bounded && free && bounded < 0.75 * free, `${bounded} MB, and ${free} MB without`)
})

test('who sets the size by flag or environment is left alone', async () => {
  const { boundOldGeneration, boundYoungGeneration } = await import('../../src/start/heap.node.ts')
  assert.equal(boundYoungGeneration(['--max-semi-space-size=128'], ''), undefined)
  assert.equal(boundYoungGeneration([], '--max_semi_space_size=8'), undefined)
  const stop = boundYoungGeneration([], '')
  assert.ok(stop)
  stop()
  assert.equal(boundOldGeneration([], '--heap_growing_percent=50'), false)
  assert.equal(boundOldGeneration([], ''), true)
})
