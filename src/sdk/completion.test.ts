import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import {
  chatAnswer,
  fileScope,
  hello,
  refusal,
  type Script,
  startProvider,
  whole,
} from '../../test/support/provider.ts'
import { openPlace } from '../../test/support/sdk.ts'
import { APIError, BadRequestError } from './errors.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)
const { sdk, slept, warned } = openPlace(scope, { GROQ_API_KEY: 'gsk-from-the-environment' })
const { completion } = sdk
const messages = [{ role: 'user' as const, content: 'Hi' }]
const groq = { model: 'groq/llama-3.3-70b', messages, api_base: provider.base }

function told(script: Script = hello): void {
  provider.asked.length = 0
  slept.length = 0
  warned.length = 0
  provider.tell(script)
}

test('a call: the bare model name, the key of the environment, the answer as the provider said it', async () => {
  told((asked) =>
    whole(chatAnswer({ content: 'Hello' }, { system_fingerprint: 'fp', n: asked.path })),
  )
  const answer = await completion({ ...groq, temperature: 0.5, top_k: 7, nobody: { knows: [1] } })
  const { path, headers, json } = provider.last()
  equal(path, '/v1/chat/completions')
  equal(headers.authorization, 'Bearer gsk-from-the-environment')
  deepEqual(json, {
    model: 'llama-3.3-70b',
    messages,
    stream: false,
    temperature: 0.5,
    top_k: 7,
    nobody: { knows: [1] },
  })
  equal(answer.choices[0]?.message.content, 'Hello')
  equal(answer.model, 'llama-3.3-70b')
  equal(answer.system_fingerprint, 'fp')
  deepEqual(answer.usage, { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 })
})

test('hidden parameters: beside the answer, not in it', async () => {
  told(() =>
    whole(chatAnswer({ content: 'Hello' }), {
      headers: { 'x-ratelimit-remaining-requests': '41' },
    }),
  )
  const answer = await completion({
    ...groq,
    model: 'openai/gpt-4o',
    api_key: 'sk-one-of-many',
    litellm_call_id: 'call-7',
  })
  ok(!JSON.stringify(answer).includes('_hidden'))
  ok(!Object.keys(answer).includes('_hidden_params'))
  const {
    _response_ms: ms,
    additional_headers: headers,
    model_id: id,
    ...rest
  } = answer._hidden_params
  deepEqual(rest, {
    custom_llm_provider: 'openai',
    litellm_model_name: 'gpt-4o',
    api_base: provider.base,
    // 9 × $2.50 and 3 × $10 a million
    response_cost: 0.0000525,
    litellm_call_id: 'call-7',
    dropped_params: [],
  })
  equal(headers['x-ratelimit-remaining-requests'], '41')
  equal(headers['llm_provider-x-ratelimit-remaining-requests'], '41')
  equal(headers['x-litellm-attempted-retries'], '0')
  ok(ms >= 0 && ms < 5000)
  match(id, /^[0-9a-f]{32}$/)
  ok(!JSON.stringify(answer._hidden_params).includes('sk-one-of-many'))
})

/** What is said, and what of it the provider hears. */
const spoken: [name: string, options: object, heard: object, headers?: object][] = [
  ['LiteLLM spells it so', { max_tokens: 5, drop_params: true }, { max_tokens: 5 }],
  [
    'camelCase is the same',
    { maxTokens: 5, dropParams: true, topP: 0.1 },
    { max_tokens: 5, top_p: 0.1 },
  ],
  ['camelCase that is no option goes as it is', { someThing: 1 }, { someThing: 1 }],
  [
    'what is nested keeps its spelling',
    { metadata: { myTag: 1 }, store: true },
    { metadata: { myTag: 1 }, store: true },
  ],
  ['metadata stays here where nothing is stored', { metadata: { a: 1 }, tags: ['x'] }, {}],
  [
    'extra_body goes over all',
    { temperature: 1, extra_body: { temperature: 0, min_p: 2 } },
    { temperature: 0, min_p: 2 },
  ],
  [
    'fields named like a prototype',
    JSON.parse('{"__proto__": 1, "constructor": 2}'),
    JSON.parse('{"__proto__": 1, "constructor": 2}'),
  ],
  ['undefined is nothing', { temperature: undefined, stop: undefined }, {}],
  ['null is told', { stop: null }, { stop: null }],
  ['headers', { extra_headers: { 'X-Mine': 'a' } }, {}, { 'x-mine': 'a' }],
  [
    'a key beats the environment',
    { api_key: 'gsk-of-the-call' },
    {},
    { authorization: 'Bearer gsk-of-the-call' },
  ],
  ['what must be left out', { seed: 1, additional_drop_params: ['seed'] }, {}],
  ['prices are not for the provider', { input_cost_per_token: 1, output_cost_per_token: 2 }, {}],
]
for (const [name, options, heard, headers = {}] of spoken)
  test(`options: ${name}`, async () => {
    told()
    await completion({ ...groq, ...options })
    const { json, headers: sent } = provider.last()
    const { model: _, messages: __, stream: ___, ...rest } = json
    deepEqual(rest, heard)
    for (const [key, value] of Object.entries(headers)) equal(sent[key], value)
  })

test('custom_llm_provider and base_url', async () => {
  told()
  const { api_base: base_url, ...rest } = groq
  const answer = await completion({
    ...rest,
    model: 'org/any',
    custom_llm_provider: 'groq',
    base_url,
  })
  equal(provider.last().json['model'], 'org/any')
  equal(answer._hidden_params.custom_llm_provider, 'groq')
})

test('another wire: Anthropic is asked in its own words and answers in OpenAI’s', async () => {
  told(() =>
    whole({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5',
      content: [{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Oslo' } }],
      stop_reason: 'tool_use',
      usage: { input_tokens: 10, output_tokens: 5 },
    }),
  )
  const {
    choices,
    usage,
    _hidden_params: hidden,
  } = await completion({
    model: 'anthropic/claude-sonnet-4-5',
    messages,
    api_key: 'sk-ant-of-the-tests',
    api_base: provider.origin,
    tools: [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }],
  })
  equal(provider.last().path, '/v1/messages')
  equal(provider.last().headers['x-api-key'], 'sk-ant-of-the-tests')
  equal(choices[0]?.finish_reason, 'tool_calls')
  const [call] = choices[0]?.message.tool_calls ?? []
  deepEqual(call?.type === 'function' && call.function, {
    name: 'weather',
    arguments: '{"city":"Oslo"}',
  })
  equal(usage.total_tokens, 15)
  // 10 × $3 and 5 × $15 a million
  equal(hidden.response_cost, 0.000105)
})

test('a provider that tells no usage: it is counted', async () => {
  told(() => whole(chatAnswer({ content: 'Hello world' }, { usage: undefined })))
  const { usage } = await completion({ ...groq, model: 'openai/gpt-4o', api_key: 'sk-any-key' })
  // 3 for the message, 1 for its role, 1 for "Hi", 3 for the answer's beginning; "Hello world" is 2.
  deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [8, 2, 10])
})

test('own prices: dollars a token, for this call only', async () => {
  told()
  const paid = { input_cost_per_token: 0.001, output_cost_per_token: 0.01 }
  const answer = await completion({ ...groq, ...paid })
  equal(answer._hidden_params.response_cost, 0.039)
  equal(sdk.completion_cost({ completion_response: answer }), 0.039)
  equal(
    (await completion({ ...groq, model: 'groq/nobody-prices-this' }))._hidden_params.response_cost,
    null,
  )
})

const flaky =
  (...statuses: number[]): Script =>
  (asked, nth) => {
    const status = statuses[nth - 1]
    return status === undefined ? hello(asked, nth) : refusal(status, { message: `no ${nth}` })
  }

const retried: [
  name: string,
  options: object,
  statuses: number[],
  asked: number,
  status: number,
][] = [
  ['two by default', {}, [503, 429], 3, 200],
  ['and no more', {}, [503, 429, 500], 3, 500],
  ['as many as are asked for', { num_retries: 4 }, [500, 500, 500, 500], 5, 200],
  ['none', { num_retries: 0 }, [500], 1, 500],
  ['max_retries counts where num_retries is silent', { max_retries: 1 }, [500, 500], 2, 500],
  ['camelCase', { maxRetries: 0 }, [500], 1, 500],
  ['a wrong request is not repeated', {}, [400], 1, 400],
  ['nor a wrong key', {}, [401], 1, 401],
]
for (const [name, options, statuses, asked, status] of retried)
  test(`retries: ${name}`, async () => {
    told(flaky(...statuses))
    const got = await completion({ ...groq, ...options }).then(
      (answer) => {
        equal(
          answer._hidden_params.additional_headers['x-litellm-attempted-retries'],
          String(asked - 1),
        )
        return 200
      },
      (error: unknown) => (error instanceof APIError ? error.status_code : error),
    )
    equal(got, status)
    equal(provider.asked.length, asked)
    equal(slept.length, asked - 1)
    ok(slept.every((ms) => ms >= 500))
  })

test('settings hold for calls that do not say otherwise', async () => {
  told(flaky(500, 500))
  const place = openPlace(scope, { GROQ_API_KEY: 'gsk-any-key' })
  place.sdk.settings.num_retries = 1
  await rejects(place.sdk.completion(groq), { status_code: 500 })
  equal(provider.asked.length, 2)
  const cohere = {
    model: 'cohere/command-r',
    messages,
    api_base: provider.base,
    api_key: 'co-any-key',
    n: 2,
  }
  await rejects(place.sdk.completion(cohere), { name: 'UnsupportedParamsError', status_code: 400 })
  place.sdk.settings.drop_params = true
  told(() =>
    whole({
      id: 'a',
      message: { role: 'assistant', content: [{ type: 'text', text: 'Hello' }] },
      finish_reason: 'COMPLETE',
      usage: { tokens: { input_tokens: 1, output_tokens: 1 } },
    }),
  )
  const answer = await place.sdk.completion(cohere)
  deepEqual(answer._hidden_params.dropped_params, ['n'])
})

test('fallbacks: the next model, with its own key and never the first one’s', async () => {
  told((asked, nth) => (nth < 3 ? refusal(500, { message: 'down' }) : hello(asked, nth)))
  const answer = await completion({
    ...groq,
    api_key: 'gsk-first',
    extra_headers: { 'x-team': 'blue' },
    temperature: 0.3,
    num_retries: 0,
    fallbacks: [
      'groq/second',
      { model: 'deepseek/third', api_base: provider.base, api_key: 'sk-third', temperature: 1 },
    ],
  })
  deepEqual(
    provider.asked.map(({ json, headers }) => [
      json['model'],
      headers.authorization,
      headers['x-team'],
      json['temperature'],
    ]),
    [
      ['llama-3.3-70b', 'Bearer gsk-first', 'blue', 0.3],
      ['second', 'Bearer gsk-first', 'blue', 0.3],
      ['third', 'Bearer sk-third', undefined, 0.3],
    ],
  )
  equal(answer._hidden_params.custom_llm_provider, 'deepseek')
  equal(answer._hidden_params.additional_headers['x-litellm-attempted-fallbacks'], '2')
})

test('fallbacks: a provider whose key is not here is not asked with another’s; the first error is told', async () => {
  told(flaky(400))
  const asked = { ...groq, api_key: 'gsk-first', fallbacks: ['openai/gpt-4o'] }
  await rejects(completion(asked), {
    name: 'BadRequestError',
    llm_provider: 'groq',
    message: /no 1/,
  })
  equal(provider.asked.length, 1)
  told(flaky(400))
  await rejects(completion({ ...asked, disable_fallbacks: true }), { status_code: 400 })
})

test('mocks: nobody is asked', async () => {
  told()
  const text = await completion({ ...groq, mock_response: 'Well' })
  equal(text.choices[0]?.message.content, 'Well')
  deepEqual([text.usage.prompt_tokens, text.usage.completion_tokens], [10, 20])
  const body = chatAnswer({ content: 'As given' })
  equal(
    (await completion({ ...groq, mock_response: body })).choices[0]?.message.content,
    'As given',
  )
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
  const calls = await completion({ ...groq, mock_tool_calls: [call] })
  equal(calls.choices[0]?.finish_reason, 'tool_calls')
  await rejects(completion({ ...groq, mock_response: new RangeError('mine') }), RangeError)
  await rejects(completion({ ...groq, mock_response: 'litellm.RateLimitError' }), {
    status_code: 429,
  })
  await rejects(completion({ ...groq, mock_response: 'a', mock_timeout: true, timeout: 0.02 }), {
    name: 'Timeout',
    status_code: 408,
    llm_provider: 'groq',
  })
  const saved = await completion({
    ...groq,
    mock_testing_fallbacks: true,
    num_retries: 0,
    fallbacks: [{ model: 'groq/other' }],
  })
  equal(saved.model, 'other')
  equal(provider.asked.length, 1)
})

test('a limit that passes: Timeout, and the provider is hung up on', async () => {
  told(() => ({ type: 'hang' }))
  await rejects(completion({ ...groq, timeout: 0.05, num_retries: 0 }), {
    name: 'Timeout',
    status_code: 408,
    llm_provider: 'groq',
    model: 'llama-3.3-70b',
  })
  equal(await provider.last().gone, true)
})

test('a signal: the call ends at once, is not repeated, and the provider is hung up on', async () => {
  const calling = new AbortController()
  told(() => {
    setTimeout(() => calling.abort(new Error('enough')), 5)
    return { type: 'hang' }
  })
  await rejects(completion({ ...groq, signal: calling.signal }), (error: unknown) => {
    ok(error instanceof APIError)
    equal(error.status_code, 499)
    match(String(error.cause), /enough/)
    return true
  })
  equal(await provider.last().gone, true)
  equal(provider.asked.length, 1)
  told()
  await rejects(completion({ ...groq, signal: calling.signal }), { status_code: 499 })
  await rejects(completion({ ...groq, mock_response: 'a', signal: calling.signal }), {
    status_code: 499,
  })
  equal(provider.asked.length, 0)
})

/** Refused here, each with what to do. */
const refused: [name: string, options: unknown, says: RegExp][] = [
  ['nothing', undefined, /takes one object/],
  ['no model', { messages }, /model is missing/],
  [
    'a model of nobody',
    { model: 'nobody-knows', messages },
    /Cannot tell the provider.*provider\/model/,
  ],
  ['a misspelt provider', { model: 'grok/llama', messages }, /Did you mean groq/],
  ['no messages', { model: 'groq/a' }, /Missing required parameter: 'messages'/],
  ['messages that are none', { ...groq, messages: 'Hi' }, /'messages' must be a list/],
  ['a message without a role', { ...groq, messages: [{ content: 'Hi' }] }, /the provider says so/],
  [
    'one name twice',
    { ...groq, maxTokens: 1, max_tokens: 2 },
    /maxTokens and max_tokens are the same/,
  ],
  [
    'a timeout in words',
    { ...groq, timeout: 'soon' },
    /^litellm.BadRequestError: timeout: expected seconds/,
  ],
  ['retries without end', { ...groq, num_retries: -1 }, /num_retries must be a whole number/],
  ['a signal that is none', { ...groq, signal: {} }, /signal must be an AbortSignal/],
  ['a model_list', { ...groq, model_list: [] }, /new Router/],
  ['a loop', { ...groq, x: loop() }, /cannot be written as JSON/],
  ['a bigint', { ...groq, seed: 5n }, /cannot be written as JSON/],
]
function loop(): object {
  const one: { self?: object } = {}
  one.self = one
  return one
}
for (const [name, options, says] of refused)
  test(`refused: ${name}`, async () => {
    told(() => refusal(400, { message: 'the provider says so' }))
    // As a caller without types has it.
    const asking: Promise<unknown> = Reflect.apply(completion, undefined, [options])
    await rejects(asking, (error: unknown) => {
      ok(error instanceof BadRequestError, String(error))
      match(error.message, says)
      return true
    })
  })

test('what has no effect is told once, and never sent', async () => {
  told()
  const place = openPlace(scope, { GROQ_API_KEY: 'gsk-any-key' })
  for (let at = 0; at < 2; at++)
    await place.sdk.completion({ ...groq, caching: true, guardrails: ['pii'], max_budget: 3 })
  equal(place.warned.length, 3)
  ok(place.warned.some((line) => line.includes('guardrails')))
  ok(place.warned.some((line) => line.includes('NOT ENFORCED') && line.includes('max_budget')))
  deepEqual(Object.keys(provider.last().json), ['model', 'messages', 'stream'])
})
