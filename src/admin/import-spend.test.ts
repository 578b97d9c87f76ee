import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inputTokens, outputTokens } from '../chat/chat.ts'
import type { JsonObject } from '../json/json.ts'
import { entryOf } from './import-spend.ts'

const masters = new Set(['hash-of-the-master-key'])
const row = (more: JsonObject): JsonObject => ({
  request_id: 'chatcmpl-1',
  call_type: 'acompletion',
  api_key: 'k',
  spend: 0.0015,
  prompt_tokens: 100,
  completion_tokens: 20,
  startTime: '2026-05-10T12:00:00.000Z',
  endTime: '2026-05-10T12:00:02.500Z',
  model: 'gpt-5',
  model_group: 'm',
  ...more,
})

const read: [name: string, more: JsonObject, expected: JsonObject][] = [
  [
    'times and money',
    {},
    {
      startedAt: Date.UTC(2026, 4, 10, 12),
      endedAt: Date.UTC(2026, 4, 10, 12, 0, 2, 500),
      nanoDollars: 1_500_000,
    },
  ],
  ['a call without an id of its own', {}, { requestId: 'chatcmpl-1', answerId: undefined }],
  ['a call with one', { litellm_call_id: 'c' }, { requestId: 'c', answerId: 'chatcmpl-1' }],
  [
    'one that is the same',
    { litellm_call_id: 'chatcmpl-1' },
    { requestId: 'chatcmpl-1', answerId: undefined },
  ],
  ['the master key', { api_key: 'hash-of-the-master-key' }, { keyId: 'master_key' }],
  [
    'no end',
    { endTime: null, request_duration_ms: 40 },
    { endedAt: Date.UTC(2026, 4, 10, 12) + 40 },
  ],
  ['embeddings', { call_type: 'aembedding' }, { operation: 'embeddings' }],
  ['chat that waits', { call_type: 'completion' }, { operation: 'chat' }],
  ['messages', { call_type: 'anthropic_messages' }, { operation: 'messages' }],
  ['an operation nobody knows', { call_type: 'aquery' }, { operation: 'aquery' }],
  ['a model without a group', { model_group: '' }, { group: 'gpt-5', model: 'gpt-5' }],
  [
    'a fallback',
    { metadata: { original_model_group: 'asked', attempted_fallbacks: 2 } },
    { model: 'asked', group: 'm', fallbacks: 2 },
  ],
  ['a success', {}, { status: 200, fault: undefined }],
  [
    'a failure',
    {
      status: 'failure',
      metadata: {
        error_information: {
          error_class: 'litellm.RateLimitError',
          error_code: '429',
          error_message: 'slow',
        },
      },
    },
    { status: 429, fault: 'rate_limit', error: 'slow' },
  ],
  [
    'a failure that says only its status',
    {
      status: 'failure',
      metadata: { error_information: { error_class: 'BadRequestError', error_code: '404' } },
    },
    { status: 404, fault: 'not_found', error: 'BadRequestError' },
  ],
  ['a failure that says nothing', { status: 'failure' }, { fault: 'provider' }],
  ['metadata as a text', { metadata: '{"attempted_retries": 3}' }, { retries: 3 }],
]
for (const [name, more, expected] of read)
  test(`a row of LiteLLM's spend: ${name}`, () => {
    const entry: Record<string, unknown> = { ...entryOf(row(more), masters) }
    assert.deepEqual(
      Object.fromEntries(Object.keys(expected).map((key) => [key, entry[key]])),
      expected,
    )
  })

test('whose it was, and what it carried', () => {
  const { payer } = entryOf(
    row({
      user: 'u',
      team_id: '',
      end_user: 'c',
      request_tags: '["blue", 7]',
      cache_hit: 'True',
      agent_id: 'a',
      metadata: {
        user_api_key_alias: 'alias',
        spend_logs_metadata: { job: 1 },
        usage_object: {},
        applied_guardrails: null,
      },
    }),
    masters,
  )
  assert.deepEqual(payer?.accounts, [], 'its spend is in the accounts already')
  assert.deepEqual(
    [payer?.userId, payer?.teamId, payer?.customerId, payer?.tags, payer?.cached, payer?.keyAlias],
    ['u', undefined, 'c', ['blue'], true, 'alias'],
  )
  assert.deepEqual(payer?.metadata, { spend_logs_metadata: { job: 1 }, agent_id: 'a' })
  const large = entryOf(row({ metadata: { x: 'y'.repeat(10_000) } }), masters)
  assert.equal(large.payer?.metadata, undefined)
})

test('tokens: the counts of the row are the whole, whatever its metadata says of parts', () => {
  const { usage } = entryOf(
    row({
      metadata: {
        additional_usage_values: { cache_read_input_tokens: 60, cache_creation_input_tokens: 10 },
        usage_object: { completion_tokens_details: { reasoning_tokens: 15 } },
      },
    }),
    masters,
  )
  assert.deepEqual(
    [usage.input, usage.cacheRead, usage.cacheWrite, usage.output, usage.reasoning],
    [30, 60, 10, 5, 15],
  )
  fc.assert(
    fc.property(
      fc.nat(1000),
      fc.nat(1000),
      fc.integer(),
      fc.integer(),
      fc.integer(),
      (input, output, read, written, reasoning) => {
        const entry = entryOf(
          row({
            prompt_tokens: input,
            completion_tokens: output,
            metadata: {
              usage_object: {
                cache_read_input_tokens: read,
                prompt_tokens_details: { cache_creation_tokens: written },
                completion_tokens_details: { reasoning_tokens: reasoning },
              },
            },
          }),
          masters,
        )
        assert.equal(inputTokens(entry.usage), input)
        assert.equal(outputTokens(entry.usage), output)
        assert.ok(Object.values(entry.usage).every((count) => Number(count) >= 0))
      },
    ),
  )
})

test('whatever stands in a row, it becomes an entry', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.constantFrom(
          'metadata',
          'request_tags',
          'startTime',
          'spend',
          'status',
          'call_type',
          'request_id',
          'litellm_call_id',
          'prompt_tokens',
        ),
        fc.jsonValue() as fc.Arbitrary<JsonObject[string]>,
      ),
      (more) => {
        const entry = entryOf(row(more), masters)
        assert.ok(entry.nanoDollars >= 0 && !Number.isNaN(entry.startedAt))
      },
    ),
    { numRuns: 200 },
  )
})
