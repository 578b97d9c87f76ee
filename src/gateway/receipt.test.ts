import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deployment } from '../call/upstream.test.ts'
import { noUsage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Entry } from '../ledger/ledger.ts'
import { dollars, openReceipt } from './receipt.ts'

const open = () => {
  const entries: Entry[] = []
  const clock = { now: 1000 }
  const ledger = {
    record: (entry: Entry) => {
      entries.push(entry)
      return undefined
    },
    totals: () => ({ requests: 0, failures: 0, nanoDollars: 0, unpriced: 0 }),
  }
  return { entries, clock, receipt: openReceipt({ ledger, now: () => clock.now }, 'chat', 'r-1') }
}
const priced = deployment(
  {},
  { prices: { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 } },
)

test('settled once, however often it is asked', () => {
  const { entries, clock, receipt } = open()
  receipt.deployment = priced
  receipt.usage = { ...noUsage, input: 10, output: 5 }
  receipt.keyId = 'k'
  clock.now = 1500
  receipt.settle()
  receipt.usage = noUsage
  receipt.settle()
  assert.equal(entries.length, 1)
  const { usage, ...entry } = entries[0] ?? assert.fail()
  assert.equal(usage.input, 10)
  assert.deepEqual(entry, {
    requestId: 'r-1',
    startedAt: 1000,
    firstByteAt: undefined,
    endedAt: 1500,
    operation: 'chat',
    keyId: 'k',
    model: '',
    group: '',
    deploymentId: 'id-1',
    provider: 'openai',
    upstreamModel: 'gpt-x',
    stream: false,
    nanoDollars: 20_000,
    priced: true,
    retries: 0,
    fallbacks: 0,
    fault: undefined,
    status: 200,
    answerId: undefined,
    error: undefined,
    opened: undefined,
    payer: undefined,
  })
})

test('what let it in is given back after it has been recorded, once', () => {
  const heard: string[] = []
  const ledger = {
    open: () => {
      heard.push('open')
      return 7
    },
    record: (entry: Entry) => {
      heard.push(`record ${entry.opened} ${entry.payer?.accounts.join()}`)
      return undefined
    },
    totals: () => ({ requests: 0, failures: 0, nanoDollars: 0, unpriced: 0 }),
  }
  const receipt = openReceipt({ ledger, now: () => 1 }, 'chat', 'r')
  receipt.open()
  assert.equal(heard.length, 0, 'nobody let it in yet')
  receipt.pass = {
    payer: () => ({ accounts: ['key:k'] }),
    tell() {},
    inputCost: 0,
    cover() {},
    goOn() {},
    release: () => void heard.push('release'),
  }
  receipt.open()
  receipt.settle()
  receipt.settle()
  assert.deepEqual(heard, ['open', 'record 7 key:k', 'release'])
})

test('what is not counted in tokens goes to the ledger too', () => {
  const { entries, receipt } = open()
  receipt.units = { seconds: 1.5 }
  receipt.settle()
  assert.deepEqual(entries[0]?.units, { seconds: 1.5 })
})

test('a failure is noted with its kind and status', () => {
  const { entries, receipt } = open()
  assert.equal(receipt.failed(new GatewayError('rate_limit', 'x')).kind, 'rate_limit')
  receipt.settle()
  assert.deepEqual(
    [entries[0]?.fault, entries[0]?.status, entries[0]?.nanoDollars, entries[0]?.priced],
    ['rate_limit', 429, 0, true],
  )
  assert.equal(open().receipt.failed(new TypeError('x')).kind, 'internal')
})

test('a model without a price is free, and said to be', () => {
  const { receipt } = open()
  receipt.deployment = deployment()
  receipt.usage = { ...noUsage, input: 10 }
  assert.deepEqual([receipt.cost().nanoDollars, receipt.cost().priced], [0, false])
})

const amounts: [nano: number, text: string][] = [
  [0, '0'],
  [1, '0.000000001'],
  [12_300, '0.0000123'],
  [1e9, '1'],
  [1_500_000_000, '1.5'],
  [123_456_789_012, '123.456789012'],
  [-500, '-0.0000005'],
  [-1e9, '-1'],
  [0.4, '0'],
  [0.6, '0.000000001'],
  [1e21, '1000000000000'],
  [5_042_894_981_656_609_000, '5042894981.656608768'],
  [2 ** 69 - 2 ** 17, '590295810358.70552064'],
  [1e33, '999999999999999945575230.987042816'],
  [Number.NaN, '0'],
  [Number.POSITIVE_INFINITY, '0'],
]
for (const [nano, text] of amounts)
  test(`${nano} nano-dollars are ${text}`, () => assert.equal(dollars(nano), text))

test('law: dollars read back are the nano-dollars they came from, without an exponent', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (nano) => {
      const text = dollars(nano)
      assert.match(text, /^-?\d+(\.\d{0,8}[1-9])?$/)
      const [, sign, whole = '', rest = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? []
      const back = BigInt(whole) * 1_000_000_000n + BigInt(rest.padEnd(9, '0'))
      assert.equal(sign === '-' ? -back : back, BigInt(nano))
    }),
    { numRuns: 500 },
  )
})
