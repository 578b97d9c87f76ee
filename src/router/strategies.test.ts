import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { bench, row, said } from './deployments.test.ts'
import type { RouteAsk, RouterSettings } from './router.ts'
import { strategies } from './strategies.ts'

/** One request through the router: it takes as long as is said and comes to so many tokens. */
const serve = async (
  b: ReturnType<typeof bench>,
  {
    seconds = 0,
    output = 10,
    stream = false,
    firstSeconds = seconds,
    error,
  }: {
    seconds?: number
    output?: number
    stream?: boolean
    firstSeconds?: number
    error?: GatewayError
  } = {},
): Promise<string> => {
  const ask: RouteAsk<string> = {
    model: 'g',
    tags: [],
    retries: 0,
    fallbacks: undefined,
    disableFallbacks: false,
    stream,
    signal: new AbortController().signal,
    attempt: async ({ id }) => {
      b.clock.now += (stream ? firstSeconds : seconds) * 1000
      if (error) throw error
      return id
    },
  }
  const { answer, release, measured } = await b.router.route(ask)
  if (stream) b.clock.now += (seconds - firstSeconds) * 1000
  release(undefined)
  measured?.({ input: 5, output })
  return answer
}
const many = async (b: ReturnType<typeof bench>, times: number): Promise<string> => {
  let out = ''
  for (let i = 0; i < times; i++) out += await serve(b)
  return out
}
const using = (strategy: RouterSettings['strategy'], more: Partial<RouterSettings> = {}) =>
  ({ ...(strategy && { strategy }), ...more }) satisfies Partial<RouterSettings>

test('every strategy finds the only one', async () => {
  for (const name of Object.keys(strategies) as (keyof typeof strategies)[])
    assert.equal(await serve(bench([row('a')], using(name))), 'a', name)
})

test('least-busy: who has fewest requests open', async () => {
  const b = bench([row('a'), row('b')], using('least-busy'))
  const held: (() => void)[] = []
  const hold = async () => {
    const { deployment, release } = await b.router.route<string>({
      model: 'g',
      tags: [],
      retries: 0,
      fallbacks: undefined,
      disableFallbacks: false,
      signal: new AbortController().signal,
      attempt: async ({ id }) => id,
    })
    held.push(() => release(undefined))
    return deployment.id
  }
  assert.deepEqual([await hold(), await hold()].sort(), ['a', 'b'])
  assert.equal(await hold(), 'a', 'a draw is drawn')
  held[0]?.()
  held[2]?.()
  assert.equal(await hold(), 'a')
})

for (const strategy of ['usage-based-routing', 'usage-based-routing-v2'] as const) {
  test(`${strategy}: who has used fewest tokens this minute`, async () => {
    const b = bench([row('a'), row('b')], using(strategy))
    assert.equal(await serve(b, { output: 100 }), 'a')
    assert.equal(await serve(b, { output: 10 }), 'b')
    assert.equal(await serve(b, { output: 10 }), 'b')
    b.clock.now += 60_000
    assert.equal(await serve(b), 'a', 'a new minute counts anew')
  })

  test(`${strategy}: beyond its rpm or tpm nobody is asked`, async () => {
    const b = bench([row('a', 'g', { rpm: 2 }), row('b', 'g', { tpm: 40 })], using(strategy))
    const all = await many(b, 5)
    assert.equal([...all].filter((id) => id === 'a').length, 2)
    assert.equal([...all].filter((id) => id === 'b').length, 3)
    await assert.rejects(serve(b), {
      kind: 'rate_limit',
      status: 429,
      message: /No deployments available for selected model, Try again in \d+ seconds/,
    })
    b.clock.now += 60_000
    assert.match(await serve(b), /a|b/)
  })
}

test('cost-based: the cheaper; what has no price comes last, and the limits hold', async () => {
  const priced = (id: string, cost: number | undefined, params = {}) => ({
    ...row(id, 'g', params),
    info: cost === undefined ? {} : { input_cost_per_token: cost, output_cost_per_token: 2 * cost },
  })
  const rows = [priced('x', undefined), priced('dear', 3e-6), priced('cheap', 1e-6, { rpm: 1 })]
  const b = bench(rows, using('cost-based-routing'))
  assert.equal(await serve(b), 'cheap')
  assert.equal(await serve(b), 'dear')
})

test('latency-based: who nobody has measured first, then the faster by token', async () => {
  const b = bench([row('a'), row('b')], using('latency-based-routing'))
  assert.equal(await serve(b, { seconds: 10, output: 100 }), 'a')
  assert.equal(await serve(b, { seconds: 8, output: 10 }), 'b')
  assert.equal(await serve(b, { seconds: 10, output: 100 }), 'a', '0.1 s a token, not 0.8')
})

test('latency-based: a stream goes by its first words', async () => {
  const b = bench([row('a'), row('b')], using('latency-based-routing'))
  const slowToStart = { seconds: 10, firstSeconds: 3, output: 1000, stream: true }
  const quickToStart = { seconds: 60, firstSeconds: 1, output: 10, stream: true }
  assert.equal(await serve(b, slowToStart), 'a')
  assert.equal(await serve(b, quickToStart), 'b')
  assert.equal(await serve(b, quickToStart), 'b')
  assert.equal(await serve(b, { seconds: 1 }), 'a', 'a whole answer goes by all of its time')
})

test('latency-based: within the buffer all are as good', async () => {
  const args = { strategyArgs: { latencyBuffer: 0.5 } }
  const b = bench([row('a'), row('b')], using('latency-based-routing', args))
  await serve(b, { seconds: 10, output: 10 })
  await serve(b, { seconds: 14, output: 10 })
  b.clock.dice = 0.99
  assert.equal(await serve(b, { seconds: 14, output: 10 }), 'b')
  const strict = bench([row('a'), row('b')], using('latency-based-routing'))
  await serve(strict, { seconds: 10, output: 10 })
  await serve(strict, { seconds: 14, output: 10 })
  strict.clock.dice = 0.99
  assert.equal(await serve(strict), 'a')
})

test('latency-based: what timed out is slower than anything, until its time is forgotten', async () => {
  const args = { disableCooldowns: true, strategyArgs: { ttlSeconds: 100 } }
  const b = bench([row('a'), row('b')], using('latency-based-routing', args))
  const error = new GatewayError('timeout', 'late', { status: 408, provider: 'P' })
  await assert.rejects(serve(b, { error }))
  assert.equal(await serve(b, { seconds: 50 }), 'b')
  assert.equal(await serve(b, { seconds: 50 }), 'b')
  b.clock.now += 200_000
  assert.equal(await serve(b), 'a')
})

test('latency-based: only the last few times count, or a share of the first words', async () => {
  const args = { strategyArgs: { latencyListMax: 1 } }
  const b = bench([row('a'), row('b')], using('latency-based-routing', args))
  await serve(b, { seconds: 90, output: 1 })
  await serve(b, { seconds: 10, output: 1 })
  b.clock.now += 1
  await serve(b, { seconds: 95, output: 1 })
  assert.equal(await serve(b, { seconds: 1, output: 1 }), 'a', "b's 95 alone counts")
  const p = bench(
    [row('a'), row('b')],
    using('latency-based-routing', { strategyArgs: { firstPercentile: 0.5 } }),
  )
  const first = (seconds: number) => ({ stream: true, seconds, firstSeconds: seconds })
  await serve(p, first(2))
  await serve(p, first(1))
  await serve(p, first(1))
  assert.equal(await serve(p, first(90)), 'b')
  assert.equal(await serve(p, first(1)), 'b', 'one in four that was slow does not count')
})

test('an error of the client itself is measured as nothing, one that fails is not measured', async () => {
  const b = bench([row('a'), row('b')], using('latency-based-routing'))
  await assert.rejects(serve(b, { error: said(400), seconds: 5 }))
  assert.equal(await serve(b, { seconds: 1 }), 'a', 'still unmeasured')
})

test('enforce_model_rate_limits: a row is not asked beyond its rpm, whatever the strategy', async () => {
  const rows = [row('a', 'g', { rpm: 2 })]
  const b = bench(rows, { enforceLimits: true })
  assert.equal(await many(b, 2), 'aa')
  await assert.rejects(serve(b), { kind: 'rate_limit', status: 429 })
  assert.equal(await many(bench(rows), 5), 'aaaaa', 'without it, rpm is a weight')
})

test('pre-call checks: a request goes only where it has room', async () => {
  const sized = (id: string, max: number | undefined) => ({
    ...row(id),
    info: max === undefined ? {} : { max_input_tokens: max },
  })
  const ask = (tokens: number, more: Partial<RouterSettings> = { preCallChecks: true }) =>
    bench([sized('small', 100), sized('large', 1000)], more).ask('g', {
      inputTokens: () => tokens,
    })
  assert.equal(await ask(50), 'small')
  assert.equal(await ask(500), 'large')
  await assert.rejects(ask(5000), {
    kind: 'context_window',
    status: 400,
    message: /about 5000 tokens, and no deployment of g takes more than 1000/,
  })
  assert.equal(await ask(5000, {}), 'small', 'nobody looks where nobody asked for it')
  const fallen = await bench([sized('small', 100), { ...sized('other', 9000), group: 'h' }], {
    preCallChecks: true,
    contextWindowFallbacks: { g: ['h'] },
  }).ask('g', { inputTokens: () => 5000 })
  assert.equal(fallen, 'other')
  assert.equal(
    await bench([sized('any', undefined)], { preCallChecks: true }).ask('g', {
      inputTokens: () => assert.fail('not counted where nobody has a limit'),
    }),
    'any',
  )
})
