import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { headersBack, scrub } from './scrub.ts'
import type { Reply } from './transport.ts'

test('an error without secrets is the same error', () => {
  const error = new GatewayError('provider', 'down')
  assert.equal(scrub(error, ['sk-12345678']), error)
  assert.equal(scrub(error, []), error)
})

test('each text of an error is cleaned, what is no text stays', () => {
  const error = new GatewayError('rate_limit', 'a sk-1 b sk-1', {
    status: 430,
    provider: 'P',
    type: 'sk-1',
    param: 'p',
    code: 'xsk-1',
    retryAfter: '5',
    headers: { a: 'b' },
    cause: 'c',
  })
  const clean = scrub(error, ['sk-1'])
  assert.deepEqual(
    [
      clean.kind,
      clean.message,
      clean.status,
      clean.provider,
      clean.type,
      clean.param,
      clean.code,
      clean.retryAfter,
      clean.headers,
      clean.cause,
    ],
    [
      'rate_limit',
      'a [redacted] b [redacted]',
      430,
      'P',
      '[redacted]',
      'p',
      'x[redacted]',
      '5',
      { a: 'b' },
      'c',
    ],
  )
})

const reply = (headers: Record<string, string>): Reply => ({
  status: 200,
  header: (name) => headers[name],
  headers: () => headers,
  body: (async function* () {})(),
  bytes: async () => new Uint8Array(),
})
const rows: [headers: Record<string, string>, shown: Record<string, string>][] = [
  [{ 'x-request-id': '1' }, { 'llm_provider-x-request-id': '1' }],
  [
    { 'x-ratelimit-limit-tokens': '9' },
    { 'llm_provider-x-ratelimit-limit-tokens': '9', 'x-ratelimit-limit-tokens': '9' },
  ],
  [
    {
      connection: 'close',
      'transfer-encoding': 'chunked',
      'content-length': '5',
      'set-cookie': 'a',
      'content-encoding': 'gzip',
      date: 'x',
    },
    {},
  ],
  [{ 'x-a': 'has sk-12345678 in it', 'x-b': 'no' }, { 'llm_provider-x-b': 'no' }],
]
for (const [headers, shown] of rows)
  test(`headers back: ${Object.keys(headers)}`, () => {
    assert.deepEqual(headersBack(reply(headers), ['sk-12345678']), shown)
    const one = {
      ...reply({}),
      eachHeader(tell: (name: string, value: string) => void) {
        for (const [name, value] of Object.entries(headers)) tell(name, value)
      },
    }
    assert.deepEqual(headersBack(one, ['sk-12345678']), shown, 'told one by one')
  })
