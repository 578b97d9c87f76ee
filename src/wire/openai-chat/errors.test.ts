import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type FaultKind, faults, GatewayError } from '../../errors.ts'
import { type JsonObject, object } from '../../json/json.ts'
import {
  decodeError,
  decodeErrorObject,
  describe,
  encodeError,
  encodeStreamError,
  errorIn,
} from './errors.ts'

const decode = (status: number, body: string, retryAfter?: string): GatewayError =>
  decodeError({
    status,
    body,
    provider: 'OpenAI',
    header: (name) => (name === 'retry-after' ? retryAfter : undefined),
  })

const bodies: [name: string, status: number, body: string, kind: FaultKind, message: string][] = [
  [
    'OpenAI',
    401,
    '{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}',
    'authentication',
    'Incorrect API key',
  ],
  [
    'a code on a 400',
    400,
    '{"error":{"message":"x","code":"context_length_exceeded"}}',
    'context_window',
    'x',
  ],
  [
    'a code that does not fit its status',
    500,
    '{"error":{"message":"x","code":"invalid_api_key"}}',
    'provider',
    'x',
  ],
  [
    'quota',
    429,
    '{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}',
    'rate_limit',
    'x',
  ],
  [
    'vLLM',
    400,
    '{"object":"error","message":"This model\'s maximum context length is 4096 tokens","type":"BadRequestError","code":400}',
    'context_window',
    "This model's maximum context length is 4096 tokens",
  ],
  ['a text', 422, '{"error":"bad"}', 'unprocessable', 'bad'],
  ['detail', 404, '{"detail":"Not Found"}', 'not_found', 'Not Found'],
  [
    'detail as a list',
    422,
    '{"detail":[{"loc":["body"]}]}',
    'unprocessable',
    '{"detail":[{"loc":["body"]}]}',
  ],
  [
    'message as a map',
    422,
    '{"object":"error","message":{"detail":[]}}',
    'unprocessable',
    '{"detail":[]}',
  ],
  ['msg', 400, '{"error":{"msg":"m"}}', 'bad_request', 'm'],
  ['an error without words', 400, '{"error":{"x":1}}', 'bad_request', '{"x":1}'],
  ['a list', 503, '[{"error":{"message":"down"}}]', 'unavailable', 'down'],
  ['a string', 500, '"oops"', 'provider', 'oops'],
  ['plain text', 502, ' upstream died \n', 'bad_gateway', 'upstream died'],
  [
    'HTML with a title',
    504,
    '<html><head><title>504 Gateway Time-out</title></head></html>',
    'timeout',
    '504 Gateway Time-out',
  ],
  ['HTML without', 503, '<!doctype html><p>x', 'unavailable', 'HTTP 503'],
  ['nothing', 529, '', 'unavailable', 'HTTP 529'],
  [
    'policy',
    400,
    '{"error":{"message":"Your request was rejected by our safety system"}}',
    'content_policy',
    'Your request was rejected by our safety system',
  ],
  [
    'violates',
    400,
    '{"message":"this violates our usage policy"}',
    'content_policy',
    'this violates our usage policy',
  ],
  ['a tooth', 418, '{}', 'bad_request', 'HTTP 418'],
  [
    'a code named as a prototype is',
    400,
    '{"error":{"message":"x","code":"constructor"}}',
    'bad_request',
    'x',
  ],
  ['and another', 400, '{"error":{"message":"x","type":"__proto__"}}', 'bad_request', 'x'],
]
for (const [name, status, body, kind, message] of bodies)
  test(`decode: ${name}`, () => {
    const error = decode(status, body, '7')
    assert.deepEqual(
      [error.kind, error.status, error.message, error.provider, error.retryAfter],
      [kind, status, message, 'OpenAI', '7'],
    )
  })

const objects: [
  name: string,
  value: Parameters<typeof decodeErrorObject>[0],
  kind: FaultKind,
  status: number,
][] = [
  ['a status as code', { message: 'x', code: 429 }, 'rate_limit', 429],
  ['a status in a string', { message: 'x', code: '503' }, 'unavailable', 503],
  ['a status as status', { message: 'x', status: 404 }, 'not_found', 404],
  ['a word as code', { message: 'x', code: 'rate_limit_exceeded' }, 'rate_limit', 429],
  [
    'a word as type',
    { message: 'x', type: 'invalid_request_error', code: null },
    'bad_request',
    400,
  ],
  ['context', { message: 'x', code: 'context_length_exceeded' }, 'context_window', 400],
  ['nothing known', { message: 'x', type: 'server_error' }, 'provider', 500],
  ['a text', 'x', 'provider', 500],
  ['a number out of range', { message: 'x', code: 1302 }, 'provider', 500],
  ['a list', [1], 'provider', 500],
  ['nothing', undefined, 'provider', 500],
]
for (const [name, value, kind, status] of objects)
  test(`an error inside an answer: ${name}`, () => {
    const error = decodeErrorObject(value)
    assert.deepEqual([error.kind, error.status], [kind, status])
  })

test('where an error stands', () => {
  const cases: [JsonObject, boolean][] = [
    [{ error: { message: 'x' } }, true],
    [{ error: 'x' }, true],
    [{ error: '', choices: [] }, false],
    [{ error: null }, false],
    [{ object: 'error', choices: [] }, true],
    [{ message: 'x' }, true],
    [{ detail: 'x' }, true],
    [{ message: 'x', choices: [] }, false],
    [{}, false],
  ]
  for (const [body, is] of cases)
    assert.equal(errorIn(body) !== undefined, is, JSON.stringify(body))
})

test('every fault has a spelling that LiteLLM clients map', () => {
  for (const [kind, { status, className }] of Object.entries(faults)) {
    const ours = object(encodeError(new GatewayError(kind as FaultKind, 'why'))['error']) // a key of the table
    assert.deepEqual([ours['message'], ours['code'], ours['param']], ['why', String(status), null])
    assert.ok(typeof ours['type'] === 'string' && ours['type'] !== '')
    const theirs = describe(new GatewayError(kind as FaultKind, 'why', { provider: 'Groq' })) // a key of the table
    assert.match(theirs, new RegExp(`^litellm\\.${className}: .*GroqException - why$`))
  }
})

const written: [name: string, error: GatewayError, wanted: JsonObject][] = [
  [
    'bad request names its class once',
    new GatewayError('bad_request', 'no', { provider: 'OpenAI', param: 'p' }),
    {
      message: 'litellm.BadRequestError: OpenAIException - no',
      type: 'invalid_request_error',
      param: 'p',
      code: '400',
    },
  ],
  [
    "a provider's 429",
    new GatewayError('rate_limit', 'no', { provider: 'OpenAI' }),
    {
      message: 'litellm.RateLimitError: RateLimitError: OpenAIException - no',
      type: 'throttling_error',
      param: null,
      code: '429',
    },
  ],
  [
    "the provider's own code",
    new GatewayError('bad_request', 'no', { code: 'model_not_found' }),
    { message: 'no', type: 'invalid_request_error', param: null, code: 'model_not_found' },
  ],
  [
    'a number as code is the status',
    new GatewayError('bad_request', 'no', { code: '17', status: 418 }),
    { message: 'no', type: 'invalid_request_error', param: null, code: '418' },
  ],
]
for (const [name, error, wanted] of written)
  test(`encode: ${name}`, () => {
    assert.deepEqual(encodeError(error)['error'], wanted)
    assert.equal(encodeStreamError(error), `data: ${JSON.stringify({ error: wanted })}\n\n`)
  })

test('law: any status with any body is a GatewayError of that status', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 400, max: 599 }),
      fc.oneof(fc.string(), fc.json()),
      (status, body) => {
        const error = decode(status, body)
        assert.ok(GatewayError.is(error) && Object.hasOwn(faults, error.kind))
        assert.equal(error.status, status)
        assert.ok(error.message !== '')
      },
    ),
    { numRuns: 300 },
  )
})

test('a message of a megabyte costs no time', () => {
  const before = performance.now()
  for (const piece of ['violat', 'content ', 'exceeds the model', '<title>', 'a '])
    decode(400, JSON.stringify({ error: { message: piece.repeat(1_000_000 / piece.length) } }))
  decode(400, `<title>${'x'.repeat(1_000_000)}`)
  assert.ok(performance.now() - before < 1000)
})
