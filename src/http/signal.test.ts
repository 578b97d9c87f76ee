import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { abortSignalOf, Stop } from './signal.ts'

test('law: those who listen are told as an AbortSignal tells them, once and in order', () => {
  const listener = fc.nat({ max: 3 })
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), listener }),
    fc.record({ do: fc.constant('remove' as const), listener }),
    fc.record({ do: fc.constant('abort' as const), listener }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const [ours, theirs]: [number[], number[]] = [[], []]
      const listeners = [0, 1, 2, 3].map((i) => [
        () => void ours.push(i),
        () => void theirs.push(i),
      ])
      const stop = new Stop()
      const controller = new AbortController()
      for (const { do: what, listener: i } of steps) {
        const [own, other] = listeners[i] ?? []
        assert.ok(own && other)
        if (what === 'abort') {
          stop.abort(i)
          controller.abort(i)
        } else if (what === 'add') {
          stop.addEventListener('abort', own)
          controller.signal.addEventListener('abort', other, { once: true })
        } else {
          stop.removeEventListener('abort', own)
          controller.signal.removeEventListener('abort', other)
        }
        assert.deepEqual(ours, theirs)
        assert.equal(stop.aborted, controller.signal.aborted)
        if (stop.aborted) assert.equal(stop.reason, controller.signal.reason)
      }
    }),
  )
})

test('who is taken off while others are told is told no more', () => {
  const controller = new AbortController()
  const stop = new Stop()
  for (const [signal, end] of [
    [controller.signal, () => controller.abort()],
    [stop, () => stop.abort('gone')],
  ] as const) {
    const told: string[] = []
    const late = ['b', 'c', 'd'].map((name) => () => void told.push(name))
    signal.addEventListener('abort', () => {
      told.push('a')
      for (const one of [late[0], late[2]]) if (one) signal.removeEventListener('abort', one)
    })
    for (const one of late) signal.addEventListener('abort', one)
    end()
    assert.deepEqual(told, ['a', 'c'])
  }
})

test('one that throws keeps nobody from being told, and is heard of', async () => {
  const stop = new Stop()
  let told = 0
  stop.addEventListener('abort', () => {
    throw new Error('on purpose')
  })
  stop.addEventListener('abort', () => void told++)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const heard = new Promise<Error>((resolve) => process.once('uncaughtException', resolve))
  stop.abort('gone')
  assert.equal(told, 1)
  assert.match((await heard).message, /on purpose/)
  for (const other of others) process.on('uncaughtException', other)
})

test('as an AbortSignal: at once where it is over, later where it ends later, itself where it is one', () => {
  const stop = new Stop()
  const before = abortSignalOf(stop)
  assert.equal(before.aborted, false)
  stop.abort('gone')
  for (const signal of [before, abortSignalOf(stop)]) {
    assert.equal(signal.aborted, true)
    assert.equal(signal.reason, 'gone')
  }
  const { signal } = new AbortController()
  assert.equal(abortSignalOf(signal), signal)
})
