import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { fileScope, hello, refusal, startProvider, whole } from '../../test/support/provider.ts'
import { openPlace } from '../../test/support/sdk.ts'
import { type FaultKind, faults, GatewayError } from '../errors.ts'
import * as errors from './errors.ts'
import { APIError, apiErrorFrom, classes } from './errors.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)
const { sdk } = openPlace(scope)
const ask = {
  model: 'groq/llama',
  messages: [{ role: 'user' as const, content: 'Hi' }],
  api_key: 'gsk-secret-of-the-tests',
  api_base: provider.base,
  num_retries: 0,
}

test('every kind has the class the table names', () => {
  const names = Object.entries(classes).map(([kind, Class]) => [kind, new Class('').name])
  deepEqual(
    names,
    Object.entries(faults).map(([kind, { className }]) => [kind, className]),
  )
})

test('every class is exported by its name, and is an APIError and an Error', () => {
  for (const [name, value] of Object.entries<unknown>(errors)) {
    if (!/^[A-Z]/.test(name) || typeof value !== 'function') continue
    const error: unknown = Reflect.construct(value, ['text', { status: 418 }])
    ok(error instanceof APIError && error instanceof Error)
    deepEqual(
      [error.name, error.message, error.status_code, error.status],
      [name, 'text', 418, 418],
    )
  }
})

/** LiteLLM's parents, for those that have one below APIError. */
const parents: [child: object, parent: object][] = [
  [errors.UnsupportedParamsError, errors.BadRequestError],
  [errors.ContextWindowExceededError, errors.BadRequestError],
  [errors.ContentPolicyViolationError, errors.BadRequestError],
  [errors.PaymentRequiredError, errors.BadRequestError],
  [errors.ModelNotMappedError, errors.BadRequestError],
  [errors.APIConnectionError, errors.InternalServerError],
]
test('parents', () => {
  for (const [child, parent] of parents) equal(Object.getPrototypeOf(child), parent)
})

/** What a provider says, and what is thrown. */
const thrown: [status: number, said: object, className: string, type: string][] = [
  [
    400,
    { message: 'bad', type: 'invalid_request_error', param: 'x' },
    'BadRequestError',
    'invalid_request_error',
  ],
  [
    400,
    { message: "This model's maximum context length is 8192 tokens" },
    'ContextWindowExceededError',
    'invalid_request_error',
  ],
  [
    400,
    { message: 'no', code: 'content_policy_violation' },
    'ContentPolicyViolationError',
    'invalid_request_error',
  ],
  [401, { message: 'wrong key' }, 'AuthenticationError', 'authentication_error'],
  [402, { message: 'no credit' }, 'PaymentRequiredError', 'invalid_request_error'],
  [403, { message: 'not you' }, 'PermissionDeniedError', 'permission_error'],
  [404, { message: 'no such model' }, 'NotFoundError', 'invalid_request_error'],
  [408, { message: 'slow' }, 'Timeout', 'timeout_error'],
  [409, { message: 'both' }, 'APIError', 'invalid_request_error'],
  [413, { message: 'big' }, 'BadRequestError', 'invalid_request_error'],
  [422, { message: 'odd' }, 'UnprocessableEntityError', 'invalid_request_error'],
  [422, { message: 'spent', type: 'budget_exceeded' }, 'BudgetExceededError', 'budget_exceeded'],
  [429, { message: 'many' }, 'RateLimitError', 'rate_limit_error'],
  [500, { message: 'oh' }, 'InternalServerError', 'internal_server_error'],
  [502, { message: 'oh' }, 'BadGatewayError', 'internal_server_error'],
  [503, { message: 'oh' }, 'ServiceUnavailableError', 'internal_server_error'],
  [504, { message: 'oh' }, 'Timeout', 'timeout_error'],
  [529, { message: 'oh' }, 'ServiceUnavailableError', 'internal_server_error'],
]
for (const [status, said, className, type] of thrown)
  test(`a provider's ${status} ${JSON.stringify(said)} is a ${className}`, async () => {
    provider.tell(() => refusal(status, { ...said }, { 'retry-after': '7', 'x-request-id': 'r-1' }))
    const message = Reflect.get(said, 'message')
    for (const stream of [true, false])
      await rejects(sdk.completion({ ...ask, stream }), (error: unknown) => {
        ok(error instanceof APIError)
        equal(Object.getPrototypeOf(error).constructor, Reflect.get(errors, className))
        deepEqual(
          [
            error.name,
            error.status_code,
            error.status,
            error.type,
            error.llm_provider,
            error.model,
          ],
          [className, status, status, type, 'groq', 'llama'],
        )
        const twice = className === 'BadRequestError' ? '' : `${className}: `
        equal(error.message, `litellm.${className}: ${twice}GroqException - ${message}`)
        equal(String(error), `${className}: ${error.message}`)
        equal(error.retry_after, '7')
        equal(error.headers['llm_provider-x-request-id'], 'r-1')
        return true
      })
  })

test('nobody there: an APIConnectionError, which is LiteLLM’s InternalServerError', async () => {
  provider.tell(() => ({ type: 'cut' }))
  await rejects(sdk.completion(ask), { name: 'BadGatewayError', status_code: 502 })
  const nobody = { ...ask, api_base: 'http://127.0.0.1:9/v1' }
  await rejects(sdk.completion(nobody), (error: unknown) => {
    ok(error instanceof errors.APIConnectionError && error instanceof errors.InternalServerError)
    match(
      error.message,
      /^litellm.APIConnectionError: APIConnectionError: GroqException - Connection error: /,
    )
    equal(error.status_code, 500)
    return true
  })
})

test('an answer that is none', async () => {
  for (const body of ['<html>', '[]', '{"choices":7}', '{"choices":[}']) {
    provider.tell(() => whole(body))
    await rejects(sdk.completion(ask), { name: 'BadGatewayError', llm_provider: 'groq' })
  }
})

test('a provider that repeats our key: it is not shown', async () => {
  provider.tell((asked) => refusal(401, { message: `wrong: ${asked.headers.authorization}` }))
  await rejects(sdk.completion(ask), (error: unknown) => {
    ok(error instanceof errors.AuthenticationError)
    equal(error.message.includes('gsk-secret'), false)
    match(error.message, /\[redacted\]/)
    return true
  })
})

test('no key: said without asking anyone', async () => {
  const { api_key: _, api_base: __, ...rest } = ask
  await rejects(sdk.completion(rest), {
    name: 'AuthenticationError',
    message: /GROQ_API_KEY/,
    llm_provider: 'groq',
  })
})

test('functions throw them too', () => {
  throws(() => sdk.get_model_info('nobody/knows'), errors.ModelNotMappedError)
  throws(() => sdk.get_llm_provider('nobody-knows'), errors.BadRequestError)
  throws(() => sdk.token_counter({ model: 'gpt-4o' }), errors.BadRequestError)
})

test('texts: our own have the class once, a provider’s that has it keeps it', () => {
  const texts: [
    kind: FaultKind,
    message: string,
    provider: string | undefined,
    expected: string,
  ][] = [
    ['rate_limit', 'slow down', undefined, 'litellm.RateLimitError: slow down'],
    [
      'rate_limit',
      'slow down',
      'Groq',
      'litellm.RateLimitError: RateLimitError: GroqException - slow down',
    ],
    ['bad_request', 'bad', 'Groq', 'litellm.BadRequestError: GroqException - bad'],
    ['rate_limit', 'litellm.RateLimitError: x', 'Litellm_proxy', 'litellm.RateLimitError: x'],
  ]
  for (const [kind, message, said, expected] of texts)
    equal(apiErrorFrom(new GatewayError(kind, message, { provider: said })).message, expected)
})

test('an accident of our own keeps its cause', () => {
  const cause = new TypeError('x is not a function')
  const error = apiErrorFrom(cause)
  deepEqual([error.name, error.status_code, error.cause], ['APIError', 500, cause])
  equal(apiErrorFrom(error), error)
})
