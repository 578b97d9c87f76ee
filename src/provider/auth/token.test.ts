import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../errors.ts'
import { createTokenCache, type Fetched } from './token.ts'

const minute = 60_000
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A cache with a clock in hand; each fetch waits to be answered. */
function staged(options: { entriesMax?: number } = {}) {
  const clock = { now: 1_000_000 }
  const waiting: { resolve(token: Fetched<string>): void; reject(cause: unknown): void }[] = []
  const cache = createTokenCache<string>({ now: () => clock.now, ...options })
  const fetched = { count: 0 }
  const get = (key = 'k') =>
    cache.get(key, () => {
      fetched.count++
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    })
  const answer = async (value: string, lifeMs: number) => {
    await turn()
    waiting.shift()?.resolve({ value, expiresAt: clock.now + lifeMs })
    await turn()
  }
  const fail = async (why = 'down') => {
    await turn()
    waiting.shift()?.reject(new GatewayError('authentication', why))
    await turn()
  }
  return { clock, get, answer, fail, fetched }
}

test('callers that come together share one fetch', async () => {
  const { get, answer, fetched } = staged()
  const all = [get(), get(), get()]
  await answer('a', 60 * minute)
  assert.deepEqual(await Promise.all(all), ['a', 'a', 'a'])
  assert.equal(get(), 'a', 'at hand: no promise')
  assert.equal(fetched.count, 1)
})

const renewals: [name: string, lifeMs: number, lateAt: number][] = [
  ['an hour: five minutes before the end', 60 * minute, 55 * minute],
  ['half an hour: a tenth of its life', 30 * minute, 27 * minute],
  ['ten seconds: a tenth of its life', 10_000, 9000],
]
for (const [name, life, lateAt] of renewals)
  test(`renewed early, beside the requests: ${name}`, async () => {
    const { clock, get, answer, fetched } = staged()
    const first = get()
    await answer('a', life)
    assert.equal(await first, 'a')
    clock.now += lateAt - 1
    assert.equal(get(), 'a')
    await turn()
    assert.equal(fetched.count, 1, 'not yet')
    clock.now += 1
    assert.equal(get(), 'a', 'the old one serves')
    assert.equal(get(), 'a')
    await answer('b', life)
    assert.equal(fetched.count, 2, 'renewed once')
    assert.equal(get(), 'b')
  })

test('at its end a token is not sent: callers wait for the next, also for one that is on its way', async () => {
  const { clock, get, answer, fetched } = staged()
  const first = get()
  await answer('a', 60 * minute)
  await first
  clock.now += 56 * minute
  assert.equal(get(), 'a')
  clock.now += 4 * minute
  const next = get()
  assert.ok(next instanceof Promise)
  await answer('b', 60 * minute)
  assert.equal(await next, 'b')
  assert.equal(fetched.count, 2)
})

test('a failure is remembered for a second and no longer', async () => {
  const { clock, get, fail, answer, fetched } = staged()
  const first = assert.rejects(async () => get(), /down/)
  await fail()
  await first
  clock.now += 999
  await assert.rejects(async () => get(), /down/)
  assert.equal(fetched.count, 1)
  clock.now += 1
  const second = assert.rejects(async () => get(), /still/)
  await fail('still')
  await second
  clock.now += 1000
  const third = get()
  await answer('a', minute)
  assert.equal(await third, 'a')
  assert.equal(fetched.count, 3)
})

test('a renewal that fails: the old token serves, the endpoint is asked less and less', async () => {
  const { clock, get, answer, fail, fetched } = staged()
  const first = get()
  await answer('a', 60 * minute)
  await first
  clock.now += 55 * minute
  for (let second = 0; second < 240; second++) {
    assert.equal(get(), 'a')
    await fail()
    clock.now += 1000
  }
  assert.ok(fetched.count > 8 && fetched.count < 16, `${fetched.count} fetches in four minutes`)
  clock.now += minute
  const next = get()
  await answer('b', 60 * minute)
  assert.equal(await next, 'b')
})

test('one that has expired on arrival is an error, not a token', async () => {
  const { get, answer } = staged()
  const first = assert.rejects(async () => get(), /already expired.*clock/)
  await answer('a', 0)
  await first
})

test('a token without an end is kept', async () => {
  const { clock, get, answer, fetched } = staged()
  const first = get()
  await answer('a', Number.POSITIVE_INFINITY)
  await first
  clock.now += 1e12
  assert.equal(get(), 'a')
  assert.equal(fetched.count, 1)
})

test('a clock set back: the token is fetched again', async () => {
  const { clock, get, answer } = staged()
  const first = get()
  await answer('a', 60 * minute)
  await first
  clock.now -= 10 * minute
  const second = get()
  assert.ok(second instanceof Promise)
  await answer('b', 60 * minute)
  assert.equal(await second, 'b')
})

test('what is thrown is a GatewayError, whatever was thrown', async () => {
  const cache = createTokenCache<string>({ now: () => 0 })
  const thrown = await Promise.resolve(
    cache.get('k', () => {
      throw new TypeError('inside')
    }),
  ).catch((cause: unknown) => cause)
  assert.ok(GatewayError.is(thrown))
})

test('keys that differ in their last character are two identities', async () => {
  const cache = createTokenCache<string>({ now: () => 0 })
  const long = 'x'.repeat(5000)
  const of = async (key: string) => cache.get(key, async () => ({ value: key, expiresAt: minute }))
  assert.equal(await of(`${long}a`), `${long}a`)
  assert.equal(await of(`${long}b`), `${long}b`)
})

test('entries are bounded; the one longest not renewed goes first', async () => {
  const { get, answer, fetched } = staged({ entriesMax: 2 })
  for (const key of ['a', 'b', 'c']) {
    const one = get(key)
    await answer(key, minute)
    await one
  }
  assert.equal(get('b'), 'b')
  assert.equal(get('c'), 'c')
  assert.equal(fetched.count, 3)
  assert.ok(get('a') instanceof Promise)
})

test('law: however time passes and endpoints behave, no token is sent after its end, and no two fetches of a key overlap', async () => {
  const step = fc.record({
    passMs: fc.integer({ min: -20_000, max: 400_000 }),
    lifeMs: fc.integer({ min: 1, max: 900_000 }),
    fails: fc.boolean(),
    slow: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      let now = 1e9
      let running = 0
      const cache = createTokenCache<{ end: number }>({ now: () => now })
      for (const { passMs, lifeMs, fails, slow } of steps) {
        now += passMs
        const ask = () =>
          cache.get('k', async () => {
            assert.equal(running++, 0)
            if (slow) await turn()
            running--
            if (fails) throw new GatewayError('authentication', 'no')
            return { value: { end: now + lifeMs }, expiresAt: now + lifeMs }
          })
        for (const got of await Promise.allSettled([ask(), ask()]))
          if (got.status === 'fulfilled') assert.ok(got.value.end > now)
        await turn()
      }
    }),
    { numRuns: 150 },
  )
})
