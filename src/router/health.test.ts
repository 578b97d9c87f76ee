import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import { bench, row, said } from './deployments.test.ts'
import { secondsAsked } from './health.ts'
import type { RouterSettings } from './router.ts'

const open = (rows: ReturnType<typeof row>[], more: Partial<RouterSettings> = {}) => {
  const { router, clock } = bench(rows, more)
  const { health } = router
  const end = (at: ReturnType<typeof row>, error?: GatewayError) => {
    health.started(at)
    health.ended(at, error)
  }
  return { health, clock, end }
}
const [a, b] = [row('a'), row('b')]

const rules: [name: string, status: number, alone: boolean, inGroup: boolean][] = [
  ['401', 401, true, true],
  ['404', 404, true, true],
  ['402', 402, false, true],
  ['429', 429, false, true],
  ['408, once', 408, false, false],
  ['500, once', 500, false, false],
  ['400', 400, false, false],
  ['403', 403, false, false],
  ['409', 409, false, false],
  ['422', 422, false, false],
]
for (const [name, status, alone, inGroup] of rules)
  test(`rests after ${name}: ${alone ? 'also alone' : inGroup ? 'in a group' : 'never'}`, () => {
    const one = open([a])
    one.end(a, said(status))
    assert.equal(one.health.cooling(a), alone)
    const two = open([a, b])
    two.end(a, said(status))
    assert.equal(two.health.cooling(a), inGroup)
    assert.equal(two.health.cooling(b), false)
  })

test('more than half of five requests of a minute: rests, in a group', () => {
  const { health, end, clock } = open([a, b])
  for (const error of [undefined, undefined, said(500), said(500)]) end(a, error)
  assert.equal(health.cooling(a), false)
  end(a, said(500))
  assert.equal(health.cooling(a), true)
  clock.now += 60_000
  assert.equal(health.cooling(a), false)
  end(a, said(500))
  assert.equal(health.cooling(a), false, 'a new minute counts anew')
  const alone = open([a])
  for (let i = 0; i < 9; i++) alone.end(a, said(500))
  assert.equal(alone.health.cooling(a), false)
})

test('a thousand failures and nothing else: rests alone too', () => {
  const { health, end } = open([a])
  for (let i = 0; i < 999; i++) end(a, said(500))
  assert.equal(health.cooling(a), false)
  end(a, said(500))
  assert.equal(health.cooling(a), true)
})

const times: [name: string, params: object, retryAfter: string | undefined, seconds: number][] = [
  ['the setting', {}, undefined, 5],
  ['what the provider asks', {}, '30', 30],
  ['what the row says', { cooldown_time: 7 }, '30', 7],
  ['nothing asked', {}, '0', 0],
  ['nothing said by the row', { cooldown_time: 0 }, '30', 0],
  ['an empty header is no wish', {}, '', 5],
  ['no number', {}, 'soon', 5],
  ['below nothing', {}, '-3', 5],
  ['forever is a day', {}, '999999999', 86_400],
  ['endless is no number', {}, 'Infinity', 5],
]
for (const [name, params, retryAfter, seconds] of times)
  test(`how long: ${name}`, () => {
    const one = row('a', 'g', { ...params })
    const { health, end, clock } = open([one, b])
    end(one, said(429, retryAfter === undefined ? {} : { retryAfter }))
    assert.equal(health.coolUntil(one) - clock.now, seconds * 1000)
    assert.equal(health.cooling(one), seconds > 0)
    clock.now += seconds * 1000
    assert.equal(health.cooling(one), false)
  })

test('a date to wait for', () => {
  assert.equal(secondsAsked('Thu, 01 Jan 1970 00:01:00 GMT', 30_000), 30)
  assert.equal(secondsAsked('Thu, 01 Jan 1970 00:01:00 GMT', 90_000), undefined)
  fc.assert(
    fc.property(fc.string(), (text) => {
      const seconds = secondsAsked(text, 1e12)
      assert.ok(seconds === undefined || (seconds >= 0 && seconds <= 86_400))
    }),
  )
})

const allowed: [name: string, more: Partial<RouterSettings>, errors: number[], rests: boolean][] = [
  ['allowed_fails', { allowedFails: 2 }, [500, 500], false],
  ['more than allowed_fails', { allowedFails: 2 }, [500, 500, 500], true],
  ['none allowed', { allowedFails: 0 }, [500], true],
  ['a policy by class', { allowedFailsPolicy: { rate_limit: 1 } }, [429], false],
  ['more than a policy', { allowedFailsPolicy: { rate_limit: 1 } }, [429, 429], true],
  ['a policy for others', { allowedFailsPolicy: { rate_limit: 1 } }, [500], false],
  ['401 has to be counted too', { allowedFails: 1 }, [401], false],
  ['400 is never counted', { allowedFails: 0 }, [400, 400], false],
  ['no cooldowns', { disableCooldowns: true, allowedFails: 0 }, [500, 401], false],
]
for (const [name, more, errors, rests] of allowed)
  test(`${name}: ${rests ? 'rests' : 'does not rest'}, alone`, () => {
    const { health, end } = open([a], more)
    for (const status of errors) end(a, said(status))
    assert.equal(health.cooling(a), rests)
  })

test('failures are forgotten after the time of a cooldown', () => {
  const { health, end, clock } = open([a], { allowedFails: 1, cooldownSeconds: 5 })
  end(a, said(500))
  clock.now += 5000
  end(a, said(500))
  assert.equal(health.cooling(a), false)
})

test('what the gateway itself says, and a client that goes, cool nobody', () => {
  const { health, end } = open([a, b], { allowedFails: 0 })
  end(a, new GatewayError('authentication', 'no key'))
  end(a, new GatewayError('canceled', 'gone', { provider: 'P' }))
  end(a, new GatewayError('internal', 'bug'))
  assert.equal(health.cooling(a), false)
})

test('a name that somebody made up does not close a wildcard for all others', async () => {
  const w = bench([row('w', 'openai/*', { model: 'openai/*' })], {}, (_, nth) =>
    nth === 1 ? said(404) : undefined,
  )
  await assert.rejects(w.ask('openai/invented'), { status: 404 })
  assert.equal(await w.ask('openai/gpt-5'), 'w')
})

test('all resting: told how long, and to come back', async () => {
  const w = bench(
    [row('a', 'g', { cooldown_time: 30 }), row('b', 'g', { cooldown_time: 6.5 })],
    {},
    () => said(429),
  )
  await assert.rejects(w.ask('g'))
  await assert.rejects(w.ask('g'), {
    kind: 'rate_limit',
    status: 429,
    type: 'all_deployments_in_cooldown',
    retryAfter: '7',
    message:
      "No deployments available for selected model, Try again in 7 seconds. All deployments for selected model are in cooldown. Passed model=g. pre-call-checks=False, cooldown_list=['a', 'b']",
  })
})

test('law: what is started and ended leaves no slot in use', () => {
  const one = row('a', 'g', { max_parallel_requests: 3 })
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 30 }), (steps) => {
      const { health } = open([one])
      let running = 0
      for (const starts of steps) {
        if (starts) {
          health.started(one)
          running++
        } else if (running > 0) {
          health.ended(one, undefined)
          running--
        }
        assert.equal(health.inFlight(one), running)
        assert.equal(health.hasSlot(one), running < 3)
      }
    }),
    { numRuns: 50 },
  )
})

const slots: [name: string, params: object, parallelDefault: number | undefined, free: number][] = [
  ['max_parallel_requests', { max_parallel_requests: 2, rpm: 9 }, 5, 2],
  ['rpm', { rpm: 3, tpm: 9 }, 5, 3],
  ['tpm: six for each thousand', { tpm: 1000 }, 5, 6],
  ['a small tpm: one', { tpm: 10 }, 5, 1],
  ['the default', {}, 4, 4],
]
for (const [name, params, parallelDefault, free] of slots)
  test(`slots: ${name}`, () => {
    const one = row('a', 'g', { ...params })
    const { health } = open([one], { parallelDefault })
    for (let i = 0; i < free; i++) {
      assert.equal(health.hasSlot(one), true)
      health.started(one)
    }
    assert.equal(health.hasSlot(one), false)
    health.ended(one, undefined)
    assert.equal(health.hasSlot(one), true)
  })

test('slots: none stated, none counted', () => {
  const { health } = open([a])
  for (let i = 0; i < 10_000; i++) health.started(a)
  assert.equal(health.hasSlot(a), true)
})

const ofRow: [
  name: string,
  more: Partial<ReturnType<typeof row>>,
  errors: number[],
  rests: boolean,
][] = [
  ['its own allowed_fails', { allowedFails: 1 }, [500], false],
  ['more than its own', { allowedFails: 1 }, [500, 500], true],
  ['its own before the policy of all', { allowedFails: 5 }, [429, 429], false],
  [
    'its own policy before its number',
    { allowedFails: 9, failsPolicy: { provider: 0 } },
    [500],
    true,
  ],
  ['a kind it names rests it on 400 too', { failsPolicy: { bad_request: 0 } }, [400], true],
  ['another kind does not', { failsPolicy: { bad_request: 0 } }, [422], false],
]
for (const [name, more, errors, rests] of ofRow)
  test(`of a row: ${name}`, () => {
    const one = { ...row('a'), ...more }
    const { health, end } = open([one], { allowedFailsPolicy: { rate_limit: 0 } })
    for (const status of errors) end(one, said(status))
    assert.equal(health.cooling(one), rests)
  })
