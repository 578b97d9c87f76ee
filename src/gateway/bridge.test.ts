import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { deployment, hear } from '../call/upstream.test.ts'
import { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { listen } from '../wire/inbound.ts'
import { wires } from '../wire/wires.ts'
import { forClient } from './bridge.ts'

const responses = wires['openai-responses']
const asked = (more: JsonObject = {}) =>
  listen(toUtf8(JSON.stringify({ model: 'public', input: 'hi', ...more })), responses)

/** Which URLs are asked, and how it ends: `fails` by the end of the URL. */
async function asking(
  said: ReturnType<typeof asked>,
  to: ReturnType<typeof deployment>,
  fails: (url: string) => GatewayError | undefined = () => undefined,
  now = () => 0,
): Promise<{ urls: string[]; ended: string }> {
  const urls: string[] = []
  const ended = await forClient(said, to, now, async (as) => {
    const url = as.url.whole
    urls.push(url.replace(/^https:\/\/[^/]*/, ''))
    const error = fails(url)
    if (error) throw error
    return 'answered'
  }).catch((cause: unknown) => GatewayError.from(cause).kind)
  return { urls, ended }
}

const fn = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } }
const tools = [fn]

/** OpenAI's servers refuse functions beside thoughts in chat; nobody else does. */
const rows: [what: string, params: JsonObject, body: JsonObject, path: string][] = [
  ['functions, and it thinks unasked', { model: 'openai/gpt-5.5' }, { tools }, '/v1/responses'],
  ['no functions', { model: 'openai/gpt-5.5' }, {}, '/v1/chat/completions'],
  [
    'functions, and it is told not to think',
    { model: 'openai/gpt-5.5' },
    { tools, reasoning_effort: 'none' },
    '/v1/chat/completions',
  ],
  [
    'functions, and it thinks only when asked: unasked',
    { model: 'openai/gpt-5.4' },
    { tools },
    '/v1/chat/completions',
  ],
  [
    'functions, and it thinks only when asked: asked',
    { model: 'openai/gpt-5.4' },
    { tools, reasoning_effort: 'low' },
    '/v1/responses',
  ],
  [
    'an older model',
    { model: 'openai/gpt-5.2' },
    { tools, reasoning_effort: 'low' },
    '/v1/chat/completions',
  ],
  ['a model that does not think', { model: 'openai/gpt-4o' }, { tools }, '/v1/chat/completions'],
  [
    'a freeform tool only',
    { model: 'openai/gpt-5.5' },
    { tools: [{ type: 'custom', custom: { name: 'c' } }] },
    '/v1/chat/completions',
  ],
  [
    'a server that only looks like them',
    { model: 'openai/gpt-5.5', api_base: 'https://own.example/v1' },
    { tools },
    '/v1/chat/completions',
  ],
  [
    'an operator who wants chat',
    { model: 'openai/gpt-5.5', use_chat_completions_api: true },
    { tools },
    '/v1/chat/completions',
  ],
]
for (const [what, params, body, path] of rows)
  test(`a chat client at OpenAI, ${what}: ${path}`, async () => {
    deepEqual((await asking(hear(body), deployment(params))).urls, [path])
  })

test('an Anthropic client with tools at a model that thinks is asked in Responses', async () => {
  const said = hear(
    { max_tokens: 9, tools: [{ name: 'f', input_schema: { type: 'object' } }] },
    'anthropic',
  )
  deepEqual((await asking(said, deployment({ model: 'openai/gpt-5.5' }))).urls, ['/v1/responses'])
})

const search = { type: 'web_search_20250305', name: 'web_search' }
const searches: [what: string, model: string, body: JsonObject, knows: boolean, path: string][] = [
  ['at OpenAI', 'openai/gpt-4.1', { tools: [search] }, true, '/v1/responses'],
  ['at xAI', 'xai/grok-4', { tools: [search] }, true, '/v1/responses'],
  [
    'at a model made for it',
    'openai/gpt-4o-search-preview',
    { tools: [search] },
    true,
    '/v1/chat/completions',
  ],
  ['at a model without one', 'openai/gpt-4.1', { tools: [search] }, false, '/v1/chat/completions'],
  [
    'that may not be used',
    'openai/gpt-4.1',
    { tools: [search], tool_choice: { type: 'none' } },
    true,
    '/v1/chat/completions',
  ],
  [
    'and other tools, but no search',
    'openai/gpt-4.1',
    { tools: [{ name: 'f', input_schema: {} }] },
    true,
    '/v1/chat/completions',
  ],
]
for (const [what, model, body, knows, path] of searches)
  test(`an Anthropic client’s web search ${what}: ${path}`, async () => {
    const to = deployment({ model }, { info: { supports_web_search: knows } })
    const said = hear({ max_tokens: 9, ...body }, 'anthropic')
    deepEqual((await asking(said, to)).urls, [path])
  })

test('a server without the route is asked in chat, and not asked for the route again for an hour', async () => {
  const to = deployment({ api_base: 'https://own.example/v1' })
  const fails = (url: string) =>
    url.endsWith('/responses') ? new GatewayError('not_found', 'Not Found') : undefined
  let now = 0
  const ask = () => asking(asked(), to, fails, () => now)
  deepEqual(await ask(), { urls: ['/v1/responses', '/v1/chat/completions'], ended: 'answered' })
  deepEqual((await ask()).urls, ['/v1/chat/completions'])
  now = 3_600_001
  deepEqual((await ask()).urls, ['/v1/responses', '/v1/chat/completions'])
})

const notRouteless: [what: string, error: GatewayError, body: JsonObject][] = [
  ['a missing model', new GatewayError('not_found', 'x', { code: 'model_not_found' }), {}],
  ['another error', new GatewayError('rate_limit', 'x'), {}],
  [
    'a conversation that the provider keeps',
    new GatewayError('not_found', 'x'),
    { previous_response_id: 'resp_1' },
  ],
]
for (const [what, error, body] of notRouteless)
  test(`${what} is no reason to ask in chat`, async () => {
    const to = deployment({ api_base: 'https://own.example/v1' })
    const { urls, ended } = await asking(asked(body), to, () => error)
    deepEqual(urls, ['/v1/responses'])
    equal(ended, error.kind)
  })

test('where chat is not found either, nothing is learnt of the route', async () => {
  const to = deployment({ api_base: 'https://own.example/v1' })
  const fails = () => new GatewayError('not_found', 'Not Found')
  for (let times = 0; times < 2; times++)
    deepEqual((await asking(asked(), to, fails)).urls, ['/v1/responses', '/v1/chat/completions'])
})
