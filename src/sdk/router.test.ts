import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
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
import { BadRequestError } from './errors.ts'
import type { ChatCompletion } from './types.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)
const { sdk, slept, warned } = openPlace(scope, { MY_KEY: 'gsk-of-the-environment' })
const messages = [{ role: 'user' as const, content: 'Hi' }]

const row = (name: string, model: string, more: object = {}) => ({
  model_name: name,
  litellm_params: {
    model: `groq/${model}`,
    api_key: `gsk-key-of-${model}`,
    api_base: provider.base,
    ...more,
  },
})
function told(script: Script = hello): void {
  provider.asked.length = 0
  slept.length = 0
  warned.length = 0
  provider.tell(script)
}
const models = (): unknown[] => provider.asked.map(({ json }) => json['model'])
const said = (answer: ChatCompletion): unknown[] => [
  answer._hidden_params.litellm_model_name,
  answer._hidden_params.additional_headers['x-litellm-model-group'],
  answer._hidden_params.additional_headers['x-litellm-attempted-retries'],
  answer._hidden_params.additional_headers['x-litellm-attempted-fallbacks'],
]

/** The first `down` models refuse. */
const without =
  (status: number, ...down: string[]): Script =>
  (asked, nth) =>
    down.includes(String(asked.json['model']))
      ? refusal(status, { message: 'down' })
      : hello(asked, nth)

test('a group: the name is the caller’s, the rest the row’s', async () => {
  told()
  const router = new sdk.Router({
    model_list: [
      row('fast', 'a', { temperature: 0.1, max_tokens: 9, extra_headers: { 'x-row': '1' } }),
    ],
  })
  ok(router instanceof sdk.Router)
  const answer = await router.completion({
    model: 'fast',
    messages,
    max_tokens: 3,
    extra_headers: { 'x-call': '2' },
  })
  const { json, headers } = provider.last()
  deepEqual(json, { model: 'a', messages, stream: false, temperature: 0.1, max_tokens: 3 })
  deepEqual(
    [headers['x-row'], headers['x-call'], headers.authorization],
    ['1', '2', 'Bearer gsk-key-of-a'],
  )
  deepEqual(said(answer), ['a', 'fast', '0', '0'])
  equal(answer.model, 'a')
  deepEqual(router.get_model_names(), ['fast'])
  deepEqual(router.getModelList()[0]?.litellm_params, {
    model: 'groq/a',
    api_base: provider.base,
    temperature: 0.1,
    max_tokens: 9,
  })
})

test('a deployment that fails is left for another of its group', async () => {
  told(without(500, 'a'))
  const router = new sdk.Router({
    model_list: [row('g', 'a', { weight: 1000 }), row('g', 'b', { weight: 0 })],
  })
  const answer = await router.acompletion({ model: 'g', messages })
  deepEqual(models(), ['a', 'b'])
  deepEqual(said(answer), ['b', 'g', '1', '0'])
  deepEqual(slept, [])
})

test('fallbacks: of the router, of the call, and none', async () => {
  const router = new sdk.Router({
    model_list: [row('g', 'a'), row('h', 'b'), row('i', 'c')],
    fallbacks: [{ g: ['h'] }],
    num_retries: 0,
  })
  told(without(500, 'a'))
  deepEqual(said(await router.completion({ model: 'g', messages })), ['b', 'g', '0', '1'])
  deepEqual(said(await router.completion({ model: 'g', messages, fallbacks: ['i'] })), [
    'c',
    'g',
    '0',
    '1',
  ])
  await rejects(router.completion({ model: 'g', messages, disable_fallbacks: true }), {
    status_code: 500,
    llm_provider: 'groq',
    model: 'a',
  })
  const chunks = []
  for await (const one of await router.completion({ model: 'g', messages, stream: true }))
    chunks.push(one)
  equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'Hello')
})

test('a prompt that is too long has fallbacks of its own', async () => {
  told((asked, nth) =>
    asked.json['model'] === 'a'
      ? refusal(400, { message: 'prompt is too long' })
      : hello(asked, nth),
  )
  const router = new sdk.Router({
    model_list: [row('g', 'a'), row('h', 'b')],
    contextWindowFallbacks: [{ g: ['h'] }],
  })
  equal((await router.completion({ model: 'g', messages }))._hidden_params.litellm_model_name, 'b')
  deepEqual(models(), ['a', 'b'])
})

test('what the call says of credentials is for the group it asks, not for those that stand in', async () => {
  told(without(500, 'a'))
  const router = new sdk.Router({
    model_list: [row('g', 'a'), row('h', 'b')],
    default_fallbacks: ['h'],
    num_retries: 0,
  })
  await router.completion({ model: 'g', messages, api_key: 'gsk-brought-along' })
  deepEqual(
    provider.asked.map(({ headers }) => headers.authorization),
    ['Bearer gsk-brought-along', 'Bearer gsk-key-of-b'],
  )
})

test('retries: the policy, the call and the setting', async () => {
  told(() => refusal(429, { message: 'many' }, { 'retry-after': '3' }))
  const router = new sdk.Router({
    model_list: [row('g', 'a')],
    num_retries: 3,
    retry_policy: { RateLimitErrorRetries: 1 },
  })
  await rejects(router.completion({ model: 'g', messages }), { name: 'RateLimitError' })
  equal(provider.asked.length, 2)
  // Retry-After holds.
  ok(slept.every((ms) => ms >= 3000 && ms < 4000))
  told(() => refusal(500, { message: 'oh' }))
  await rejects(router.completion({ model: 'g', messages }), { name: 'InternalServerError' })
  equal(provider.asked.length, 4)
  told(() => refusal(500, { message: 'oh' }))
  await rejects(router.completion({ model: 'g', messages, num_retries: 0 }), {
    name: 'InternalServerError',
  })
  equal(provider.asked.length, 1)
})

test('cooldown: a wrong key is not asked with twice', async () => {
  told(() => refusal(401, { message: 'wrong key' }))
  const router = new sdk.Router({ model_list: [row('g', 'a')] })
  await rejects(router.completion({ model: 'g', messages }), { name: 'AuthenticationError' })
  await rejects(router.completion({ model: 'g', messages }), {
    name: 'RateLimitError',
    status_code: 429,
    message: /cooldown/,
  })
  equal(provider.asked.length, 1)
})

test('names: aliases, wildcards, ids; another name is refused with those there are', async () => {
  told()
  const router = new sdk.Router({
    model_list: [
      row('g', 'a'),
      row('any/*', '*'),
      { ...row('h', 'b'), model_info: { id: 'the-b' } },
    ],
    model_group_alias: { nick: 'g', secret: { model: 'g', hidden: true } },
  })
  for (const model of ['nick', 'secret', 'any/thing', 'the-b'])
    await router.completion({ model, messages })
  deepEqual(models(), ['a', 'a', 'thing', 'b'])
  deepEqual(router.getModelNames(), ['g', 'any/*', 'h', 'nick'])
  await rejects(router.completion({ model: 'x', messages }), {
    name: 'BadRequestError',
    message: /no model x; it has: g, any\/\*, h/,
  })
})

test('tags', async () => {
  told()
  const router = new sdk.Router({
    model_list: [row('g', 'free', { tags: ['free'] }), row('g', 'paid', { tags: ['paid'] })],
    enable_tag_filtering: true,
  })
  await router.completion({ model: 'g', messages, tags: ['paid'] })
  await router.completion({ model: 'g', messages, metadata: { tags: ['free'] } })
  deepEqual(models(), ['paid', 'free'])
  deepEqual(Object.keys(provider.last().json), ['model', 'messages', 'stream'])
})

test('session_affinity: a session stays at one deployment', async () => {
  told()
  const router = new sdk.Router({
    model_list: ['a', 'b', 'c'].map((model) => row('any', model)),
    optional_pre_call_checks: ['session_affinity'],
  })
  for (let times = 0; times < 12; times++)
    await router.completion({ model: 'any', messages, metadata: { session_id: 's' } })
  equal(new Set(models()).size, 1)
  // One in 3^29 that all sessions are drawn alike.
  for (let times = 0; times < 30; times++)
    await router.completion({ model: 'any', messages, litellm_session_id: `s${times}` })
  ok(new Set(models()).size > 1)
})

test('os.environ/NAME: what it holds; where it is missing no other key takes its place', async () => {
  told()
  const there = new sdk.Router({ model_list: [row('g', 'a', { api_key: 'os.environ/MY_KEY' })] })
  await there.completion({ model: 'g', messages })
  equal(provider.last().headers.authorization, 'Bearer gsk-of-the-environment')
  const missing = new sdk.Router({ model_list: [row('g', 'a', { api_key: 'os.environ/NOT_SET' })] })
  await rejects(missing.completion({ model: 'g', messages }), {
    name: 'AuthenticationError',
    message: /NOT_SET/,
  })
  await missing.completion({ model: 'g', messages, apiKey: 'gsk-of-the-call' })
  equal(provider.last().headers.authorization, 'Bearer gsk-of-the-call')
})

test('default_litellm_params and prices of a row', async () => {
  told(() => whole(chatAnswer({ content: 'Hello' })))
  const router = new sdk.Router({
    model_list: [
      {
        model_name: 'g',
        litellm_params: {
          model: 'groq/x',
          apiKey: 'gsk-any-key',
          apiBase: provider.base,
          input_cost_per_token: 0.5,
        },
      },
    ],
    defaultLitellmParams: { temperature: 0.7 },
  })
  const answer = await router.completion({ model: 'g', messages })
  equal(provider.last().json['temperature'], 0.7)
  equal(answer._hidden_params.response_cost, 4.5)
  equal(sdk.completion_cost({ completion_response: answer }), 4.5)
})

test('timeouts: of the call, of the row, of the router', async () => {
  told(() => ({ type: 'hang' }))
  const router = new sdk.Router({
    model_list: [row('g', 'a', { timeout: 0.03 }), row('h', 'b')],
    timeout: 0.04,
    stream_timeout: 0.05,
    num_retries: 0,
  })
  const limit = (ms: number) => ({ name: 'Timeout', message: new RegExp(` ${ms} ms`) })
  await rejects(router.completion({ model: 'g', messages, timeout: 0.02 }), limit(20))
  await rejects(router.completion({ model: 'g', messages }), limit(30))
  await rejects(router.completion({ model: 'h', messages }), limit(40))
  await rejects(router.completion({ model: 'h', messages, stream: true }), limit(50))
})

const wrongs: [name: string, options: unknown, says: RegExp][] = [
  ['no rows', {}, /needs a model_list/],
  [
    'a row without a name',
    { model_list: [{ litellm_params: { model: 'groq/a' } }] },
    /model_list\[0\]\.model_name: missing/,
  ],
  [
    'a setting in words',
    { model_list: [], num_retries: 'many' },
    /num_retries: expected a whole number.*"many"/,
  ],
  [
    'a strategy nobody knows',
    { model_list: [], routing_strategy: 'best' },
    /routing_strategy: expected one of simple-shuffle/,
  ],
]
for (const [name, options, says] of wrongs)
  test(`refused: ${name}`, () => {
    throws(
      () => Reflect.construct(sdk.Router, [options]),
      (error: unknown) => {
        ok(error instanceof BadRequestError)
        match(error.message, says)
        return true
      },
    )
  })

test('what has no effect is told', () => {
  told()
  const router = new sdk.Router({
    model_list: [row('g', 'a')],
    redis_url: 'redis://x',
    num_retrys: 3,
  })
  equal(router.warnings.length, 2)
  match(
    router.warnings.join('\n'),
    /redis_url[\s\S]*did you mean num_retries|did you mean num_retries[\s\S]*redis_url/,
  )
  deepEqual(
    warned.map((line) => line.slice(0, 8)),
    ['Router: ', 'Router: '],
  )
})
