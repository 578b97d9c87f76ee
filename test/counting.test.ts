import { deepEqual, equal, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type JsonObject, number, object } from '../src/json/json.ts'
import { type Gateway, startGateway } from './support/gateway.ts'
import {
  fileScope,
  hello,
  type Provider,
  refusal,
  type Script,
  startProvider,
  whole,
} from './support/provider.ts'

/** What a request would be billed for reading: by those who tell, and by the gateway for all others. */
const scope = fileScope()
let provider: Provider
let gateway: Gateway

/** Counts in whatever words it is asked. */
const counts: Script = ({ path }) =>
  path.endsWith(':countTokens')
    ? whole({ totalTokens: 31, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 31 }] })
    : path.includes('count-tokens')
      ? whole({ inputTokens: 41 })
      : path.endsWith('/input_tokens')
        ? whole({ object: 'response.input_tokens', input_tokens: 51 })
        : path.includes('count_tokens')
          ? whole({ input_tokens: 21 })
          : refusal(500, { message: 'nobody should talk to me' })

before(async () => {
  provider = await startProvider(scope, counts)
  const row = (name: string, model: string, base: string, more: JsonObject = {}) => ({
    model_name: name,
    litellm_params: { model, api_base: base, api_key: 'sk-upstream', ...more },
  })
  const { origin } = provider
  gateway = await startGateway(scope, {
    models: [
      row('claude', 'anthropic/claude-sonnet-4-5', origin),
      row('gemini', 'gemini/gemini-2.5-flash', `${origin}/v1beta`),
      row('bedrock', 'bedrock/converse/us.anthropic.claude-haiku-4-5-20251001-v1:0', origin),
      row('gpt', 'openai/gpt-4o', `${origin}/v1`),
      row('qwen', 'hosted_vllm/qwen3', `${origin}/v1`),
    ],
  })
})

const messages = [{ role: 'user', content: 'How many tokens are these words?' }]
const tools = [{ name: 'look', description: 'Looks', input_schema: { type: 'object' } }]
const post = async (path: string, body: JsonObject, headers: Record<string, string> = {}) => {
  const response = await gateway.post(path, body, headers)
  return { status: response.status, told: object(await response.json()), headers: response.headers }
}
const count = (model: string, more: JsonObject = {}, headers = {}) =>
  post('/v1/messages/count_tokens?beta=true', { model, messages, ...more }, headers)

describe('count_tokens', () => {
  test('Anthropic is asked with the body as it came, betas included', async () => {
    const more = {
      system: 'Be brief.',
      tools,
      thinking: { type: 'enabled', budget_tokens: 2048 },
      new_field: { a: 1 },
    }
    const beta = { 'anthropic-beta': 'token-counting-2024-11-01' }
    const { told, headers } = await count('claude', more, beta)
    deepEqual(told, { input_tokens: 21 })
    equal(headers.get('x-throughway-count'), 'provider')
    const { json, path, headers: sent } = provider.last()
    deepEqual(json, { model: 'claude-sonnet-4-5', messages, ...more })
    equal(path, '/v1/messages/count_tokens')
    ok(sent['anthropic-beta']?.includes('token-counting-2024-11-01'))
    equal(sent['x-api-key'], 'sk-upstream')
  })

  test('Gemini and Bedrock are asked in their own words', async () => {
    deepEqual((await count('gemini', { system: 'Be brief.' })).told, { input_tokens: 31 })
    const asked = provider.last()
    equal(asked.path, '/v1beta/models/gemini-2.5-flash:countTokens')
    const wrapped = object(asked.json['generateContentRequest'])
    equal(wrapped['model'], 'models/gemini-2.5-flash')
    ok('contents' in wrapped && 'systemInstruction' in wrapped)
    deepEqual((await count('bedrock', { tools })).told, { input_tokens: 41 })
    equal(
      provider.last().path,
      '/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens',
      'CountTokens knows no inference profiles',
    )
    const converse = object(object(provider.last().json['input'])['converse'])
    deepEqual(Object.keys(converse).sort(), ['messages', 'toolConfig'])
  })

  test('others are counted here: more words are more tokens, and tools are some', async () => {
    const asked = provider.asked.length
    const few = number((await count('qwen')).told['input_tokens']) ?? 0
    const withTools = number((await count('qwen', { tools })).told['input_tokens']) ?? 0
    const many = number(
      (await count('qwen', { system: [{ type: 'text', text: 'word '.repeat(200) }] })).told[
        'input_tokens'
      ],
    )
    ok(few > 6 && few < 40, `${few}`)
    ok(withTools > few + 3, `${withTools}`)
    ok((many ?? 0) > few + 190, `${many}`)
    equal(provider.asked.length, asked, 'nobody else is asked')
  })

  test('dozens at once are answered, bodies without max_tokens and with one tool', async () => {
    const all = await Promise.all(
      Array.from({ length: 35 }, (_, at) => count(at % 2 ? 'qwen' : 'claude', { tools })),
    )
    ok(all.every(({ status, told }) => status === 200 && (number(told['input_tokens']) ?? 0) > 0))
  })

  test('a provider that cannot count just now is made up for; one that blames the request is heard', async () => {
    for (const status of [404, 429, 500]) {
      provider.tell(() => refusal(status, { type: 'x', message: 'no' }))
      const { status: told, headers } = await count('claude')
      deepEqual([told, headers.get('x-throughway-count')], [200, 'local'], `${status}`)
    }
    provider.tell(() =>
      refusal(400, {
        type: 'invalid_request_error',
        message: 'messages.0.content: Input should be…',
      }),
    )
    const { status, told } = await count('claude')
    provider.tell(counts)
    equal(status, 400)
    deepEqual([told['type'], object(told['error'])['type']], ['error', 'invalid_request_error'])
  })

  test('errors are in the dialect', async () => {
    const { status, told } = await count('nobody')
    equal(status, 400)
    equal(told['type'], 'error')
    equal(
      (await post('/anthropic/v1/messages/count_tokens', { model: 'claude', messages })).status,
      200,
    )
    const { told: missing } = await post('/v1/messages/count_tokens', { messages })
    equal(object(missing['error'])['type'], 'invalid_request_error')
  })
})

describe('countTokens', () => {
  const contents = [{ role: 'user', parts: [{ text: 'How many?' }] }]

  test('every form of the path, plain and escaped colon, wrapped and bare', async () => {
    for (const path of ['/v1beta/models/gemini', '/v1/models/gemini', '/models/gemini'])
      for (const colon of [':', '%3A']) {
        const { told } = await post(`${path}${colon}countTokens`, { contents })
        equal(told['totalTokens'], 31)
        deepEqual(provider.last().json, { contents })
      }
    const request = {
      model: 'models/gemini',
      contents,
      systemInstruction: { parts: [{ text: 's' }] },
    }
    const { told } = await post('/v1beta/models/gemini:countTokens', {
      generateContentRequest: request,
    })
    deepEqual(told['promptTokensDetails'], [{ modality: 'TEXT', tokenCount: 31 }])
    deepEqual(provider.last().json, {
      generateContentRequest: { ...request, model: 'models/gemini-2.5-flash' },
    })
  })

  test('for Claude Anthropic is asked, for others the gateway counts', async () => {
    equal((await post('/v1beta/models/claude:countTokens', { contents })).told['totalTokens'], 21)
    ok(!('max_tokens' in provider.last().json) && !('stream' in provider.last().json))
    const { told } = await post('/v1beta/models/gpt:countTokens', { contents })
    ok((number(told['totalTokens']) ?? 0) > 3)
  })
})

test('input_tokens of Responses: OpenAI is asked, a chat server’s are counted here', async () => {
  const { told } = await post('/v1/responses/input_tokens', { model: 'gpt', input: 'How many?' })
  deepEqual(told, { object: 'response.input_tokens', input_tokens: 51 })
  deepEqual(provider.last().json, { model: 'gpt-4o', input: 'How many?' })
  provider.tell(hello)
  const local = await post('/responses/input_tokens', { model: 'gpt', input: 'How many?' })
  provider.tell(counts)
  ok((number(local.told['input_tokens']) ?? 0) > 3)
})
