import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noUsage } from '../chat/chat.ts'
import { createLedger, type Entry } from './ledger.ts'

const entry = (more: Partial<Entry> = {}): Entry => ({
  requestId: 'r',
  startedAt: 0,
  firstByteAt: undefined,
  endedAt: 1,
  operation: 'chat',
  keyId: 'k',
  model: 'm',
  group: 'g',
  deploymentId: 'd',
  provider: 'p',
  upstreamModel: 'u',
  stream: false,
  usage: noUsage,
  nanoDollars: 5,
  priced: true,
  retries: 0,
  fallbacks: 0,
  fault: undefined,
  status: 200,
  ...more,
})

test('entries are summed', () => {
  const ledger = createLedger([], () => assert.fail())
  ledger.record(entry())
  ledger.record(entry({ nanoDollars: 7, fault: 'rate_limit', status: 429, priced: false }))
  ledger.record(entry({ nanoDollars: 0, priced: false }))
  assert.deepEqual(ledger.totals(), { requests: 3, failures: 1, nanoDollars: 12, unpriced: 1 })
  ledger.totals().requests = 99
  assert.equal(ledger.totals().requests, 3, 'what is handed out is a copy')
})

test('every sink hears every entry; one that throws loses its own', () => {
  const heard: string[] = []
  const errors: unknown[] = []
  const ledger = createLedger(
    [
      ({ requestId }) => void heard.push(`a ${requestId}`),
      () => {
        throw new Error('full')
      },
      ({ requestId }) => void heard.push(`b ${requestId}`),
    ],
    (cause) => errors.push(cause),
  )
  ledger.record(entry({ requestId: '1' }))
  ledger.record(entry({ requestId: '2' }))
  assert.deepEqual(heard, ['a 1', 'b 1', 'a 2', 'b 2'])
  assert.equal(errors.length, 2)
})
