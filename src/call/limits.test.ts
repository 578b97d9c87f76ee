import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { GatewayError } from '../errors.ts'
import { createFar } from './far.node.ts'
import { farMs, type Patient, watchLimits } from './limits.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function watch(limits: Parameters<typeof watchLimits>[0]) {
  const said: string[] = []
  const far = new Set<Patient>()
  const refuse = (error: GatewayError) => void said.push(error.message)
  const watch = watchLimits(
    limits,
    performance.now(),
    { refuse },
    {
      later: setImmediate,
      far: { add: (one) => void far.add(one), remove: (one) => void far.delete(one) },
    },
  )
  /** What the clock shows from now on. */
  const at = async (ms: number) => {
    const now = performance.now()
    const clock = mock.method(performance, 'now', () => now + ms)
    for (const one of far) one.look()
    await new Promise((resolve) => setImmediate(resolve))
    clock.mock.restore()
  }
  return { watch, said, far, at }
}

test('a limit that is far away needs no timer until it is near', async () => {
  const { watch: one, said, far, at } = watch({ firstByteMs: 60_000, totalMs: 600_000 })
  const timers = mock.method(globalThis, 'setTimeout')
  one.sent()
  await at(45_000)
  assert.deepEqual([far.size, timers.mock.callCount(), said], [1, 0, []])
  await at(55_000)
  assert.equal(timers.mock.callCount(), 1)
  const left = Number(timers.mock.calls[0]?.arguments[1])
  assert.ok(left > 4000 && left <= 5000, `${left}`)
  timers.mock.restore()
  await at(60_001)
  assert.match(said.join(), /^Timeout: the upstream did not begin to answer within 60000 ms/)
  one.stop()
  assert.equal(far.size, 0)
})

test('a limit that is near has its own, though another is far away', async () => {
  const { watch: one, said, far } = watch({ idleMs: 20, totalMs: 600_000 })
  one.read()
  assert.equal(far.size, 1)
  await pause(60)
  assert.match(said.join(), /^Timeout: the upstream sent nothing for 20 ms/)
  one.stop()
})

test('whoever has stopped is told nothing', async () => {
  const { watch: one, said, far, at } = watch({ firstByteMs: farMs * 2, idleMs: 10 })
  one.sent()
  one.read()
  one.stop()
  one.read()
  await at(farMs * 3)
  await pause(30)
  assert.deepEqual([said, far.size], [[], 0])
})

test('those far away are looked at again and again, as long as there are any', async () => {
  const far = createFar(5)
  let looks = 0
  const one = { look: () => void looks++ }
  far.add(one)
  // An interval that does not keep the process running is waited for by one that does.
  while (looks < 3) await pause(5)
  far.remove(one)
  const before = looks
  await pause(30)
  assert.equal(looks, before)
  far.add(one)
  while (looks === before) await pause(5)
  far.remove(one)
})
