import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import { createInbox } from './inbox.ts'
import { readAll } from './transport.ts'

function open(maxBytes = 1e9) {
  const calls: string[] = []
  const note = (name: string) => () => void calls.push(name)
  const inbox = createInbox({
    pause: note('pause'),
    resume: note('resume'),
    cancel: note('cancel'),
    maxBytes,
  })
  return {
    push: (chunk: Uint8Array) => inbox.push(chunk),
    /** And writes over what it lent, as the network does. */
    lend(chunk: Uint8Array) {
      inbox.lend(chunk)
      chunk.fill(0)
    },
    end: () => inbox.end(),
    fail: (error: GatewayError, atOnce: boolean) => inbox.fail(error, atOnce),
    bytes: () => inbox.bytes(),
    ready: (max?: number) => inbox.ready(max),
    body: inbox,
    calls,
  }
}

test('whenever it is read, everything comes out once and in order', async () => {
  const step = fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ read: fc.integer({ min: 1, max: 3 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { push, end, body, calls } = open()
      const reader = body[Symbol.asyncIterator]()
      const reads: Promise<IteratorResult<Uint8Array>>[] = []
      const sizes: number[] = []
      for (const { push: size, read } of steps as { push?: number; read?: number }[]) {
        if (size) {
          sizes.push(size)
          push(new Uint8Array(size).fill(sizes.length))
        }
        for (let at = 0; at < (read ?? 0); at++) reads.push(reader.next())
      }
      end()
      for (let at = 0; at <= sizes.length; at++) reads.push(reader.next())
      const got = await Promise.all(reads)
      const chunks = got.flatMap(({ done, value }) => (done ? [] : [value]))
      const pushed = sizes.map((size, at) => Buffer.alloc(size, at + 1))
      assert.ok(Buffer.concat(chunks).equals(Buffer.concat(pushed)))
      // Told to wait and to go on by turns, and never left waiting.
      assert.deepEqual(
        calls,
        calls.map((_, at) => (at % 2 === 0 ? 'pause' : 'resume')),
      )
      assert.equal(calls.length % 2, 0)
    }),
    { numRuns: 200 },
  )
})

test('a step brings all that came in one go', async () => {
  const { push, end, body } = open()
  const reader = body[Symbol.asyncIterator]()
  const first = reader.next()
  const second = reader.next()
  for (const byte of [1, 2, 3]) push(Uint8Array.of(byte))
  assert.deepEqual([...((await first).value ?? [])], [1, 2, 3])
  push(Uint8Array.of(4))
  push(Uint8Array.of(5))
  end()
  assert.deepEqual([...((await second).value ?? [])], [4, 5])
  assert.equal((await reader.next()).done, true)
})

test('what is lent is told at once where somebody waits for it, and kept where nobody does', async () => {
  const { push, lend, end, body, calls } = open()
  lend(Uint8Array.of(1))
  lend(Uint8Array.of(2))
  const reader = body[Symbol.asyncIterator]()
  assert.deepEqual([...((await reader.next()).value ?? [])], [1, 2])
  const heard: (number[] | string)[] = []
  let wants: 'more' | 'later' | 'nothing' = 'more'
  const flow = reader.flow({
    chunk(bytes) {
      heard.push([...bytes])
      return wants
    },
    end: () => void heard.push('end'),
    fail: () => void heard.push('fail'),
  })
  await Promise.resolve()
  lend(Uint8Array.of(3))
  assert.deepEqual(heard.splice(0), [[3]])
  // What waits already comes first.
  push(Uint8Array.of(4))
  lend(Uint8Array.of(5))
  assert.equal(heard.length, 0)
  await Promise.resolve()
  assert.deepEqual(heard.splice(0), [[4, 5]])
  wants = 'later'
  lend(Uint8Array.of(6))
  lend(Uint8Array.of(7))
  lend(new Uint8Array(300_000))
  assert.deepEqual([heard.splice(0), calls], [[[6]], ['pause']])
  wants = 'nothing'
  flow?.resume()
  await Promise.resolve()
  const last = heard.pop()
  assert.deepEqual([last?.length, last?.[0], calls], [300_001, 7, ['pause', 'resume']])
  lend(Uint8Array.of(8))
  end()
  assert.deepEqual([...((await reader.next()).value ?? [])], [8])
  assert.equal((await reader.next()).done, true)
  assert.equal(heard.length, 0)
})

test('a receiver that fails or leaves while it is told hears no more, or the end', async () => {
  const { lend, fail, body, calls } = open()
  const reader = body[Symbol.asyncIterator]()
  const heard: string[] = []
  reader.flow({
    chunk() {
      heard.push('chunk')
      void reader.return?.()
      return 'more'
    },
    end: () => void heard.push('end'),
    fail: () => void heard.push('fail'),
  })
  await Promise.resolve()
  lend(Uint8Array.of(1))
  lend(Uint8Array.of(2))
  fail(new GatewayError('canceled', 'gone'), true)
  await Promise.resolve()
  assert.deepEqual([heard, calls], [['chunk', 'end'], ['cancel']])
})

test('gathering takes what had come, and lets the rest come', async () => {
  const { push, end, bytes, calls } = open()
  push(new Uint8Array(300_000))
  const all = bytes()
  push(new Uint8Array(300_000))
  end()
  assert.equal((await all).length, 600_000)
  assert.deepEqual(calls, ['pause', 'resume'])
})

test('what is all there can be had at once, and nothing else', async () => {
  const { push, end, ready, bytes } = open()
  push(new Uint8Array(3))
  assert.equal(ready(), undefined)
  end()
  assert.equal(ready(2), undefined)
  assert.equal(ready(3)?.length, 3)
  assert.equal(ready(), undefined)
  await assert.rejects(bytes(), /only once/)
  const cut = open()
  cut.fail(new GatewayError('bad_gateway', 'cut'), false)
  cut.end()
  assert.equal(cut.ready(), undefined)
  await assert.rejects(cut.bytes(), /cut/)
})

test('too much is refused whenever it is noticed', async () => {
  for (const early of [true, false]) {
    const { push, bytes, calls } = open(10)
    if (early) push(new Uint8Array(11))
    const all = assert.rejects(bytes(), /larger than 10 bytes/)
    if (!early) push(new Uint8Array(11))
    await all
    assert.deepEqual(calls, ['cancel'])
  }
})

test('a failure waits for what had come, or does not', async () => {
  for (const atOnce of [false, true]) {
    const { push, fail, body } = open()
    push(new Uint8Array(3))
    fail(new GatewayError('bad_gateway', 'cut'), atOnce)
    let got = 0
    await assert.rejects(async () => {
      for await (const chunk of body) got += chunk.length
    }, /cut/)
    assert.equal(got, atOnce ? 0 : 3)
  }
})

test('leaving tells the upstream once, and only if it is still sending', async () => {
  const left = open()
  const reader = left.body[Symbol.asyncIterator]()
  const pending = reader.next()
  await reader.return?.()
  left.push(new Uint8Array(3))
  assert.deepEqual([(await pending).done, (await reader.next()).done], [true, true])
  assert.deepEqual(left.calls, ['cancel'])
  const ended = open()
  ended.push(new Uint8Array(3))
  ended.end()
  for await (const _ of ended.body) break
  assert.deepEqual(ended.calls, [])
})

test('an answer is read once', async () => {
  const { end, body, bytes } = open()
  end()
  assert.equal((await readAll(body)).length, 0)
  await assert.rejects(bytes(), /only once/)
  assert.throws(() => body[Symbol.asyncIterator](), /only once/)
})
