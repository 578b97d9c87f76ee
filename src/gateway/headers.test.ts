import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from '../call/call.ts'
import { deployment } from '../call/upstream.test.ts'
import { GatewayError } from '../errors.ts'
import { createLedger } from '../ledger/ledger.ts'
import { litellmVersion } from '../version.ts'
import { answerHeaders, callIdOf, dialectHeaders, errorHeaders, forwarded } from './headers.ts'
import { openReceipt } from './receipt.ts'
import type { GatewaySettings } from './rooms.ts'
import { incoming } from './visit.test.ts'

const answerOf = (group: string, dropped: string[] = []) => {
  const receipt = openReceipt({ ledger: createLedger([], () => {}), now: () => 0 }, 'chat', 'r-1')
  receipt.group = group
  receipt.retries = 1
  receipt.fallbacks = 2
  const answer: Answer = {
    type: 'whole',
    deployment: deployment(),
    dropped,
    headers: { 'llm_provider-x': 'y' },
    result: { usage: undefined, text: () => '', encode: () => ({ body: '', encoding: 'utf8' }) },
  }
  return answerHeaders(answer, receipt)
}

test('an answer says who answered', () => {
  assert.deepEqual(answerOf('g'), {
    'llm_provider-x': 'y',
    'x-litellm-call-id': 'r-1',
    'x-litellm-model-id': 'id-1',
    'x-litellm-model-group': 'g',
    'x-litellm-version': litellmVersion,
    'x-litellm-attempted-retries': '1',
    'x-litellm-attempted-fallbacks': '2',
  })
})

const names: [group: string, shown: string][] = [
  ['gpt-5', 'gpt-5'],
  ['Grüße', 'Gr%C3%BC%C3%9Fe'],
  ['a\r\nb: c', 'a%0D%0Ab%3A%20c'],
  ['broken \ud800', 'broken%20%EF%BF%BD'],
  ['x'.repeat(5000), 'x'.repeat(1024)],
]
for (const [group, shown] of names)
  test(`a group named ${JSON.stringify(group.slice(0, 20))} is a header`, () => {
    assert.equal(answerOf(group)['x-litellm-model-group'], shown)
    assert.equal(
      answerOf('g', ['seed', group])['x-throughway-dropped']?.slice(0, 5),
      /^[ -~]*$/.test(group) ? 'seed,' : 'seed%',
    )
  })

const errors: [name: string, error: GatewayError, seen: Record<string, string | undefined>][] = [
  [
    'plain',
    new GatewayError('provider', 'x'),
    {
      'retry-after': undefined,
      'x-litellm-call-id': 'r-1',
      'x-litellm-response-cost': '0',
      'content-type': 'application/json',
    },
  ],
  ['with a wait', new GatewayError('rate_limit', 'x', { retryAfter: '7' }), { 'retry-after': '7' }],
  [
    'with a wait that would break out',
    new GatewayError('rate_limit', 'x', { retryAfter: '7\r\nx: y' }),
    { 'retry-after': undefined },
  ],
  [
    "with the provider's headers",
    new GatewayError('provider', 'x', {
      headers: { 'llm_provider-a': 'b', 'content-type': 'text/html' },
    }),
    { 'llm_provider-a': 'b' },
  ],
]
for (const [name, error, seen] of errors)
  test(`an error ${name}`, () => {
    const headers = errorHeaders(error, 'r-1')
    for (const [key, value] of Object.entries(seen)) assert.equal(headers[key], value)
  })

test('what a client sends along', () => {
  const sent = {
    'x-a': 'b',
    'x-litellm-tags': 't',
    'x-forwarded-for': '1',
    'x-stainless-os': 'x',
    'x-api-key': 'k',
    authorization: 'k',
    'openai-organization': 'o',
    accept: 'x',
  }
  const visit = incoming({ headers: sent })
  const settings = (headers: boolean, organization: boolean) =>
    ({
      forwardHeaders: (group: string) => headers && group === 'g',
      forwardOrganization: organization,
    }) as GatewaySettings // the two it reads
  assert.deepEqual(forwarded(visit, 'g', settings(false, false)), {})
  assert.deepEqual(forwarded(visit, 'g', settings(true, false)), { 'x-a': 'b' })
  assert.deepEqual(forwarded(visit, 'h', settings(true, false)), {})
  assert.deepEqual(forwarded(visit, 'h', settings(false, true)), { 'openai-organization': 'o' })
})

test("headers of Anthropic's dialect", () => {
  const visit = incoming({
    headers: { 'anthropic-beta': 'a', 'anthropic-version': 'v\n', 'x-a': 'b' },
  })
  assert.deepEqual(dialectHeaders(visit), { 'anthropic-beta': 'a' })
})

for (const [asked, kept] of [
  ['abc', true],
  ['', false],
  ['a b', false],
  ['x'.repeat(257), false],
  [undefined, false],
  ['é', false],
] as const)
  test(`a call id of ${JSON.stringify(asked?.slice(0, 10))} is ${kept ? 'kept' : 'replaced'}`, () => {
    assert.equal(callIdOf(asked) === asked, kept)
    assert.match(callIdOf(asked), /^[!-~]{1,256}$/)
  })
