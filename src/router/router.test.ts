import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import type { Deployment } from '../provider/deployment.ts'
import { bench, row, said } from './deployments.test.ts'
import type { RouterSettings } from './router.ts'
import { shuffle } from './strategies.ts'

const always = (status: number, retryAfter?: string) => () =>
  said(status, retryAfter === undefined ? {} : { retryAfter })
const kind = (of: 'context_window' | 'content_policy') => () =>
  new GatewayError(of, of, { provider: 'P' })

/* 1 Selection */

test('an unknown model is refused with the words clients know', async () => {
  await assert.rejects(bench([row('a')]).ask('nope'), {
    kind: 'bad_request',
    status: 400,
    message: /^Invalid model name passed in model=nope\. Call `\/v1\/models`/,
  })
})

const weights: [name: string, rows: Deployment[], dart: number, id: string][] = [
  ['uniform, low', [row('a'), row('b')], 0.49, 'a'],
  ['uniform, high', [row('a'), row('b')], 0.51, 'b'],
  ['weight', [row('a', 'g', { weight: 1 }), row('b', 'g', { weight: 3 })], 0.26, 'b'],
  ['weight, low', [row('a', 'g', { weight: 1 }), row('b', 'g', { weight: 3 })], 0.24, 'a'],
  ['those without a weight are not drawn', [row('a'), row('b', 'g', { weight: 1 })], 0, 'b'],
  ['weight is before rpm', [row('a', 'g', { rpm: 99 }), row('b', 'g', { weight: 1 })], 0, 'b'],
  ['rpm is before tpm', [row('a', 'g', { tpm: 99 }), row('b', 'g', { rpm: 1 })], 0, 'b'],
  ['weights of nothing', [row('a', 'g', { weight: 0 }), row('b', 'g', { weight: 0 })], 0.9, 'b'],
  ['the very end', [row('a', 'g', { weight: 1 }), row('b', 'g', { weight: 0 })], 1, 'a'],
]
for (const [name, rows, dart, id] of weights)
  test(`shuffle: ${name}`, () => assert.equal(shuffle(rows, () => dart)?.id, id))

test('law: a deployment is drawn as often as it weighs', () => {
  fc.assert(
    fc.property(
      fc
        .array(fc.nat(9), { minLength: 1, maxLength: 5 })
        .filter((all) => all.some((one) => one > 0)),
      (all) => {
        const rows = all.map((weight, at) => row(String(at), 'g', { weight }))
        const total = all.reduce((a, b) => a + b, 0)
        const drawn = all.map(() => 0)
        for (let i = 0; i < total; i++) {
          const at = Number(shuffle(rows, () => (i + 0.5) / total)?.id)
          drawn[at] = (drawn[at] ?? 0) + 1
        }
        assert.deepEqual(drawn, all)
      },
    ),
    { numRuns: 50 },
  )
})

test('order: only the lowest is drawn, one that states none comes last', async () => {
  const b = bench([row('a'), row('b', 'g', { order: 2 }), row('c', 'g', { order: 1 })])
  assert.equal(await b.ask('g'), 'c')
})

test('who tries fallbacks out is not given the group, which is not blamed', async () => {
  const b = bench([row('a'), row('b', 'h')], { fallbacks: { g: ['h'] }, retries: 2 })
  const failFirst = new GatewayError('provider', 'asked for')
  const { deployment, retries, fallbacks } = await b.router.route({
    model: 'g',
    tags: [],
    retries: undefined,
    fallbacks: undefined,
    disableFallbacks: false,
    failFirst,
    signal: new AbortController().signal,
    attempt: async ({ id }) => id,
  })
  assert.deepEqual([deployment.id, retries, fallbacks], ['b', 0, 1])
  assert.equal(await b.ask('g'), 'a')
})

const tags: [
  name: string,
  asked: string[],
  rows: Record<string, string[]>,
  any: boolean,
  ids: string[] | undefined,
][] = [
  ['any', ['x', 'y'], { a: ['x'], b: ['z'] }, true, ['a']],
  ['all', ['x', 'y'], { a: ['x'], b: ['x', 'y'] }, false, ['b']],
  ['no match: default', ['q'], { a: ['x'], b: ['default'] }, true, ['b']],
  ['no match, no default: refused', ['q'], { a: ['x'], b: [] }, true, undefined],
  ['none asked: default', [], { a: ['x'], b: ['default'] }, true, ['b']],
  ['none asked, no default: all', [], { a: ['x'], b: [] }, true, ['a', 'b']],
]
for (const [name, asked, rows, any, ids] of tags)
  test(`tags: ${name}`, async () => {
    const seen = new Set<string>()
    for (const dice of [0.01, 0.99]) {
      const b = bench(
        Object.entries(rows).map(([id, of]) => row(id, 'g', { tags: of })),
        { tagFiltering: true, tagMatchAny: any },
      )
      b.clock.dice = dice
      const answer = b.ask('g', { tags: asked })
      if (ids) seen.add(await answer)
      else
        await assert.rejects(answer, {
          kind: 'authentication',
          status: 401,
          message: /tags configuration/,
        })
    }
    if (ids) assert.deepEqual([...seen], ids)
  })

test('tags mean nothing unless they are switched on', async () => {
  assert.equal(await bench([row('a', 'g', { tags: ['x'] })]).ask('g', { tags: ['q'] }), 'a')
})

test('all slots in use: refused at once', async () => {
  const b = bench([row('a', 'g', { max_parallel_requests: 1 })])
  b.router.health.started(row('a'))
  await assert.rejects(b.ask('g'), { kind: 'rate_limit', status: 429, type: 'throttling_error' })
  b.router.health.ended(row('a'), undefined)
  assert.equal(await b.ask('g'), 'a')
})

/* 4 Retries */

const retries: [name: string, status: number, rows: number, tries: number][] = [
  ['408 is retried', 408, 1, 3],
  ['409 is retried', 409, 1, 3],
  ['429 is retried', 429, 1, 3],
  ['500 is retried', 500, 1, 3],
  ['503 is retried', 503, 1, 3],
  ['529 is retried', 529, 1, 3],
  ['400 is not', 400, 3, 1],
  ['413 is not', 413, 3, 1],
  ['422 is not', 422, 3, 1],
  ['404 never is', 404, 3, 1],
  ['401 is, where there are others', 401, 3, 3],
  ['401 is not, where there are none', 401, 1, 1],
  ['403 is, where there are others', 403, 3, 3],
  ['403 is not, where there are none', 403, 1, 1],
]
for (const [name, status, rows, tries] of retries)
  test(`retry: ${name}`, async () => {
    const b = bench(
      Array.from({ length: rows }, (_, at) => row(String(at))),
      {},
      always(status),
    )
    await assert.rejects(b.ask('g'), { status, message: `said ${status}` })
    assert.equal(b.tried.length, tries)
    if (rows > 1) assert.equal(new Set(b.tried).size, tries, 'each try is another deployment')
  })

const bounds: [
  name: string,
  more: Partial<RouterSettings>,
  params: object,
  asked: number | undefined,
  status: number,
  tries: number,
][] = [
  ['the setting', { retries: 1 }, {}, undefined, 500, 2],
  ['the row is over it', { retries: 1 }, { num_retries: 3 }, undefined, 500, 4],
  ['max_retries of the row', {}, { max_retries: 0 }, undefined, 500, 1],
  ['the request is over both', { retries: 1 }, { num_retries: 3 }, 0, 500, 1],
  ['a policy by class', { retryPolicy: { provider: 4 } }, {}, undefined, 500, 5],
  ['a policy for others', { retryPolicy: { rate_limit: 4 } }, {}, undefined, 500, 3],
  ['a policy retries what is else not', { retryPolicy: { bad_request: 1 } }, {}, undefined, 400, 2],
  ['a policy of nothing', { retryPolicy: { provider: 0 } }, {}, undefined, 500, 1],
  [
    'the policy of the group is over it',
    { retryPolicy: { provider: 4 }, groupRetryPolicy: { g: { provider: 1 } } },
    {},
    undefined,
    500,
    2,
  ],
  ['the default of a policy', { retryPolicy: { default: 1 } }, {}, undefined, 500, 2],
  ['0 of the request turns a policy off', { retryPolicy: { provider: 4 } }, {}, 0, 500, 1],
  [
    'a request does not make a 400 one to retry',
    { retryPolicy: { bad_request: 4 } },
    {},
    3,
    400,
    1,
  ],
]
for (const [name, more, params, asked, status, tries] of bounds)
  test(`how often: ${name}`, async () => {
    const b = bench([row('a', 'g', { ...params })], more, always(status))
    await assert.rejects(b.ask('g', { retries: asked }), { status })
    assert.equal(b.tried.length, tries)
  })

test('a second try that works is an answer, and tells how many there were', async () => {
  const b = bench([row('a')], {}, (_, nth) => (nth < 3 ? said(500) : undefined))
  const {
    retries: times,
    answer,
    release,
  } = await b.router.route({
    model: 'g',
    tags: [],
    retries: undefined,
    fallbacks: undefined,
    disableFallbacks: false,
    signal: new AbortController().signal,
    attempt: async ({ id }) => {
      b.tried.push(id)
      if (b.tried.length < 3) throw said(500)
      return 'yes'
    },
  })
  release(undefined)
  assert.deepEqual([times, answer], [2, 'yes'])
})

const waits: [
  name: string,
  rows: number,
  retryAfter: string | undefined,
  more: Partial<RouterSettings>,
  dice: number,
  slept: number[],
][] = [
  ['half a second, doubled', 1, undefined, { retries: 6 }, 0, [500, 1000, 2000, 4000, 8000, 8000]],
  ['with jitter', 1, undefined, { retries: 1 }, 0.5, [875]],
  ['not below the floor', 1, undefined, { retries: 2, retryAfterSeconds: 1 }, 0, [1000, 1000]],
  ['what the provider asks', 1, '7', { retries: 1 }, 0, [7000]],
  ['what the provider asks, with jitter', 1, '7', { retries: 1 }, 1, [7750]],
  ['more than a minute is not waited for', 1, '61', { retries: 1 }, 0, [500]],
  ['nothing is no wish', 1, '0', { retries: 1 }, 0, [500]],
  ['no number is no wish', 1, 'soon', { retries: 1 }, 0, [500]],
  ['a date', 1, new Date(1_000_000 + 3000).toUTCString(), { retries: 1 }, 0, [3000]],
  ['not at all while there are others', 3, undefined, {}, 0, []],
  ['when all others have failed too', 2, undefined, { retries: 2 }, 0, [1000]],
]
for (const [name, rows, retryAfter, more, dice, slept] of waits)
  test(`wait: ${name}`, async () => {
    const b = bench(
      Array.from({ length: rows }, (_, at) => row(String(at))),
      { disableCooldowns: true, ...more },
      always(503, retryAfter),
    )
    b.clock.dice = dice
    await assert.rejects(b.ask('g'))
    assert.deepEqual(b.slept, slept)
  })

test('nobody left who is warm: the error at once, without a wait', async () => {
  const b = bench([row('a'), row('b')], {}, always(429))
  await assert.rejects(b.ask('g'), { message: 'said 429' })
  assert.deepEqual([b.tried, b.slept], [['a', 'b'], []])
})

test('what is wrong with a row is not tried again, but another row is', async () => {
  const problem = new GatewayError('bad_request', 'no address', { status: 500 })
  const broken = { ...row('a'), problem }
  const alone = bench([broken], {}, () => problem)
  await assert.rejects(alone.ask('g'), { message: 'no address' })
  assert.deepEqual([alone.tried, alone.slept], [['a'], []])
  assert.equal(
    await bench([broken, row('b')], {}, (id) => (id === 'a' ? problem : undefined)).ask('g'),
    'b',
  )
})

test('a client that has gone is nobody to try for', async () => {
  for (const error of [said(500), new GatewayError('canceled', 'gone')]) {
    const gone = new AbortController()
    const b = bench([row('a'), row('b')], { fallbacks: { g: ['h'] } })
    await assert.rejects(
      b.ask('g', {
        signal: gone.signal,
        attempt: async ({ id }) => {
          b.tried.push(id)
          gone.abort()
          throw error
        },
      }),
      { message: error.message },
    )
    assert.equal(b.tried.length, 1)
  }
})

test('a client that goes during the wait ends it', async () => {
  const gone = new AbortController()
  const b = bench([row('a')], {}, always(500))
  const attempt = async () => {
    setImmediate(() => gone.abort())
    await new Promise((resolve) => setImmediate(resolve))
    throw said(500)
  }
  await assert.rejects(b.ask('g', { signal: gone.signal, attempt }), { status: 500 })
  assert.equal(b.slept.length, 0)
})

test('order: a level that has failed gives way to the next, which has tries of its own', async () => {
  const rows = [row('a', 'g', { order: 1 }), row('b', 'g', { order: 2 }), row('c')]
  const b = bench(rows, { retries: 0 }, (id) => (id === 'c' ? undefined : said(400)))
  assert.equal(await b.ask('g'), 'c')
  assert.deepEqual(b.tried, ['a', 'b', 'c'])
  for (const fault of ['context_window', 'content_policy'] as const) {
    const same = bench(rows, {}, kind(fault))
    await assert.rejects(same.ask('g'), { kind: fault })
    assert.deepEqual(same.tried, ['a'])
  }
})

/* 5 Fallbacks */

const groups = ['g', 'h', 'i', 'j', 'k', 'l', 'm'].map((name) => row(name, name))
const falls: [
  name: string,
  more: Partial<RouterSettings>,
  fails: (id: string) => GatewayError | undefined,
  tried: string,
  answer: string | undefined,
][] = [
  [
    'to the next group',
    { fallbacks: { g: ['h', 'i'] } },
    (id) => (id === 'g' ? said(400) : undefined),
    'g h',
    'h',
  ],
  [
    'to the one after that',
    { fallbacks: { g: ['h', 'i'] } },
    (id) => (id === 'i' ? undefined : said(400)),
    'g h i',
    'i',
  ],
  [
    'along a chain',
    { fallbacks: { g: ['h'], h: ['i'], i: ['j'] } },
    (id) => (id === 'j' ? undefined : said(400)),
    'g h i j',
    'j',
  ],
  [
    'no deeper than allowed',
    { fallbacks: { g: ['h', 'i', 'j'] }, maxFallbacks: 2 },
    always(400),
    'g h i',
    undefined,
  ],
  ['in a circle once', { fallbacks: { g: ['h'], h: ['g', 'h'] } }, always(400), 'g h', undefined],
  [
    'for everyone',
    { fallbacks: { '*': ['m'] } },
    (id) => (id === 'g' ? said(400) : undefined),
    'g m',
    'm',
  ],
  [
    'the own entry before that of everyone',
    { fallbacks: { '*': ['m'], g: ['h'] } },
    (id) => (id === 'g' ? said(400) : undefined),
    'g h',
    'h',
  ],
  [
    'to nobody known: skipped',
    { fallbacks: { g: ['nobody', 'h'] } },
    (id) => (id === 'g' ? said(400) : undefined),
    'g h',
    'h',
  ],
  ['none', {}, always(400), 'g', undefined],
  [
    'each group has its tries',
    { fallbacks: { g: ['h'] }, retries: 1 },
    always(500),
    'g g h h',
    undefined,
  ],
  [
    'context',
    { fallbacks: { g: ['h'] }, contextWindowFallbacks: { g: ['i'] } },
    (id) => (id === 'g' ? kind('context_window')() : undefined),
    'g i',
    'i',
  ],
  [
    'context without an entry',
    { fallbacks: { g: ['h'] }, contextWindowFallbacks: { z: ['i'] } },
    kind('context_window'),
    'g',
    undefined,
  ],
  [
    'context without a table',
    { fallbacks: { g: ['h'] } },
    (id) => (id === 'g' ? kind('context_window')() : undefined),
    'g h',
    'h',
  ],
  [
    'policy',
    { fallbacks: { g: ['h'] }, contentPolicyFallbacks: { g: ['i'] } },
    (id) => (id === 'g' ? kind('content_policy')() : undefined),
    'g i',
    'i',
  ],
  [
    'context is not retried where there is a table',
    { contextWindowFallbacks: { g: ['i'] }, retryPolicy: { default: 3 } },
    (id) => (id === 'g' ? kind('context_window')() : undefined),
    'g i',
    'i',
  ],
]
for (const [name, more, fails, tried, answer] of falls)
  test(`fall back ${name}`, async () => {
    const b = bench(groups, more, fails)
    const got = b.ask('g')
    if (answer === undefined) await assert.rejects(got, GatewayError.is)
    else assert.equal(await got, answer)
    assert.equal(b.tried.join(' '), tried)
  })

test('after all have failed the first error is told', async () => {
  await assert.rejects(
    bench(groups, { fallbacks: { g: ['h'] } }, (id) => said(id === 'g' ? 400 : 422)).ask('g'),
    { status: 400 },
  )
})

test("fallbacks of the request are instead of the config's", async () => {
  const b = bench(groups, { fallbacks: { g: ['h'], i: ['j'] } }, (id) =>
    id === 'k' ? undefined : said(400),
  )
  assert.equal(await b.ask('g', { fallbacks: ['i', 'k'] }), 'k')
  assert.deepEqual(b.tried, ['g', 'i', 'k'])
})

test('fallbacks can be turned off', async () => {
  const b = bench(groups, { fallbacks: { g: ['h'] } }, always(400))
  await assert.rejects(b.ask('g', { disableFallbacks: true, fallbacks: ['i'] }))
  assert.deepEqual(b.tried, ['g'])
})

const finds: [name: string, table: RouterSettings['fallbacks'], asked: string][] = [
  ['the exact name', { 'openai/x': ['h'], x: ['i'], 'openai/*': ['j'], '*': ['k'] }, 'h'],
  ['without the prefix', { x: ['i'], 'openai/*': ['j'], '*': ['k'] }, 'i'],
  ['a wildcard', { 'openai/*': ['j'], '*': ['k'] }, 'j'],
  ['everyone', { '*': ['k'] }, 'k'],
]
for (const [name, fallbacks, id] of finds)
  test(`whose fallbacks: ${name}`, async () => {
    const b = bench([...groups, row('w', 'openai/*')], { fallbacks }, (one) =>
      one === 'w' ? said(400) : undefined,
    )
    assert.equal(await b.ask('openai/x'), id)
  })

test('a model named as a prototype is has no fallbacks by that', async () => {
  const b = bench([row('w', '*')], { fallbacks: { g: ['h'] } }, always(400))
  for (const name of ['constructor', '__proto__', 'toString'])
    await assert.rejects(b.ask(name), { status: 400 })
})

/* Slots */

const endings: [name: string, run: (b: ReturnType<typeof bench>) => Promise<unknown>][] = [
  ['an answer', (b) => b.ask('g')],
  [
    'a refusal',
    (b) => assert.rejects(b.ask('g', { attempt: async () => Promise.reject(said(400)) })),
  ],
  [
    'retries',
    (b) => assert.rejects(b.ask('g', { attempt: async () => Promise.reject(said(500)) })),
  ],
  [
    'something thrown at once',
    (b) =>
      assert.rejects(
        b.ask('g', {
          attempt: () => {
            throw said(400)
          },
        }),
      ),
  ],
  [
    'something thrown that is no GatewayError',
    (b) =>
      assert.rejects(
        b.ask('g', {
          attempt: async () => {
            throw new TypeError('x')
          },
        }),
        { kind: 'internal' },
      ),
  ],
]
for (const [name, run] of endings)
  test(`slots after ${name}: all free`, async () => {
    const a = row('a')
    const b = bench([a])
    await run(b)
    assert.equal(b.router.health.inFlight(a), 0)
  })

test('a slot is held until the answer is released', async () => {
  const a = row('a')
  const { router } = bench([a])
  const { release } = await router.route({
    model: 'g',
    tags: [],
    retries: 0,
    fallbacks: undefined,
    disableFallbacks: false,
    signal: new AbortController().signal,
    attempt: async () => 1,
  })
  assert.equal(router.health.inFlight(a), 1)
  release(said(500))
  assert.equal(router.health.inFlight(a), 0)
})

test("a limit the client set is no fault of the deployment's", async () => {
  for (const ownTimeout of [true, false]) {
    const b = bench(
      [row('a'), row('b')],
      { allowedFails: 0 },
      () => new GatewayError('timeout', 'slow', { provider: 'P' }),
    )
    await assert.rejects(b.ask('g', { ownTimeout }))
    assert.equal(b.router.health.cooling(row('a')), !ownTimeout)
    assert.equal(b.router.health.inFlight(row('a')), 0)
  }
})

test('fallbacks of the request by kind of error come before those of the settings', async () => {
  const b = bench(groups, { contextWindowFallbacks: { g: ['h'] } }, (id) =>
    id === 'g' ? kind('context_window')() : undefined,
  )
  assert.equal(await b.ask('g', { contextWindowFallbacks: ['k'] }), 'k')
  const policy = bench(groups, { fallbacks: { g: ['h'] } }, (id) =>
    id === 'g' ? kind('content_policy')() : undefined,
  )
  assert.equal(await policy.ask('g', { contentPolicyFallbacks: ['l'] }), 'l')
  assert.deepEqual(policy.tried, ['g', 'l'], 'it is not tried again where there is such a list')
})
