import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { before, describe, test } from 'node:test'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  generateText,
  isStepCount,
  jsonSchema,
  type LanguageModel,
  Output,
  RetryError,
  streamText,
  tool,
} from 'ai'
import { isObject, type JsonObject, list, object } from '../src/json/json.ts'
import { type Turn, type UpstreamName, upstreams, usage } from './agents/upstreams.ts'
import { type Gateway, startGateway } from './support/gateway.ts'
import {
  fileScope,
  type Provider,
  refusal,
  type Script,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/**
 * Vercel's AI SDK and its providers through a real port: each of its ways to ask, over each kind of provider. The
 * providers are scripted, and as strict as the real ones about what they said before.
 */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
const upstreamNames = ['chat', 'anthropic', 'gemini', 'responses'] as const
globalThis.AI_SDK_LOG_WARNINGS = false

type Client = {
  /** The SDK reads from a model's name what it can, so the names begin as the real ones do. */
  named: string
  model(url: string, name: string, apiKey: string): LanguageModel
  options?: Record<string, JsonObject>
  /** Whose thoughts it tells. */
  thinks: readonly UpstreamName[]
  /** Whose signatures it has no place for. */
  unsigned: readonly UpstreamName[]
}
const openai = (url: string, apiKey: string) => createOpenAI({ baseURL: `${url}/v1`, apiKey })

const clients: Record<string, Client> = {
  'openai.chat': {
    named: 'gpt-5.5',
    model: (url, name, apiKey) => openai(url, apiKey).chat(name),
    thinks: [],
    unsigned: ['anthropic', 'gemini', 'responses'],
  },
  // Stored unless told otherwise: what the model said before is then only named by its id.
  openai: {
    named: 'gpt-5.5',
    model: (url, name, apiKey) => openai(url, apiKey)(name),
    thinks: upstreamNames,
    unsigned: [],
  },
  'openai, of a model it does not know': {
    named: 'house',
    model: (url, name, apiKey) => openai(url, apiKey)(name),
    // It asks for none, and who thinks only when asked does not.
    thinks: ['chat', 'gemini', 'responses'],
    unsigned: [],
  },
  'openai, nothing stored': {
    named: 'gpt-5.5',
    model: (url, name, apiKey) => openai(url, apiKey)(name),
    options: { openai: { store: false } },
    thinks: upstreamNames,
    unsigned: [],
  },
  'openai-compatible': {
    named: 'house',
    model: (url, name, apiKey) =>
      createOpenAICompatible({
        name: 'throughway',
        baseURL: `${url}/v1`,
        apiKey,
        includeUsage: true,
        supportsStructuredOutputs: true,
      })(name),
    thinks: upstreamNames,
    unsigned: ['anthropic', 'responses'],
  },
  anthropic: {
    named: 'claude-sonnet-4-5',
    model: (url, name, apiKey) => createAnthropic({ baseURL: `${url}/v1`, apiKey })(name),
    thinks: upstreamNames,
    unsigned: [],
  },
  google: {
    named: 'gemini-3.1-pro',
    model: (url, name, apiKey) =>
      createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey })(name),
    thinks: upstreamNames,
    unsigned: [],
  },
}

let provider: Provider
let gateway: Gateway
/** Where this process went, by address or name. */
const reached = new Set<string>()

before(async () => {
  const listen = (message: unknown): void => {
    const { socket } = message as { socket: Socket } // as the channel documents
    socket.on('connectionAttempt', (ip) => reached.add(ip))
    socket.on('lookup', (_error, _address, _family, host) => reached.add(host))
  }
  subscribe('net.client.socket', listen)
  scope.after(() => unsubscribe('net.client.socket', listen))
  provider = await startProvider(scope, () => whole({}))
  const names = new Set(Object.values(clients).map(({ named }) => named))
  gateway = await startGateway(scope, {
    models: [...names].flatMap((named) =>
      upstreamNames.map((upstream) => ({
        model_name: `${named}-${upstream}`,
        litellm_params: upstreams[upstream].row(provider.origin),
      })),
    ),
    general: { master_key: key },
    key,
  })
})

const asking = ({ named, model, options }: Client, upstream: UpstreamName, apiKey = key) => ({
  model: model(gateway.url, `${named}-${upstream}`, apiKey),
  maxRetries: 0,
  ...(options && { providerOptions: options }),
})

const calls = ['Oslo', 'Tromsø'].map((city) => ({ name: 'weather', input: { city } }))
const turns: Turn[] = [
  { thought: 'Both cities, "Oslo" and "Tromsø".', calls, text: 'I look at the sky.' },
  { thought: undefined, calls: [], text: 'Rain in both.' },
]

/** Answers turn by turn, and refuses with what is wrong with the turns before. */
function conversing(name: UpstreamName, unsigned: boolean): Script {
  const upstream = upstreams[name]
  const stored = new Map<unknown, JsonObject>()
  return ({ path, json }) => {
    if (!upstream.asks(path)) return refusal(404, { message: `no ${path}` })
    const input = list(json['input']).map((item) => recalled(object(item)))
    const said = isObject(json['input']) || input.length === 0 ? json : { ...json, input }
    const nth = upstream.turnsDone(said)
    const turn = turns[nth]
    if (!turn) return refusal(400, { message: `more turns than there are: ${nth}` })
    try {
      upstream.check(said, turns.slice(0, nth), unsigned)
      for (const { text: words } of turns.slice(0, nth))
        ok(JSON.stringify(said).includes(words), 'what was said before the calls')
    } catch (cause) {
      return refusal(400, { message: cause instanceof Error ? cause.message : String(cause) })
    }
    const { whole: body, events } = upstream.answer(json, turn, nth)
    if (json['store'] !== false)
      for (const item of list(body['output']).map(object)) stored.set(item['id'], item)
    return upstream.isStreamed(path, json) ? stream(events) : whole(body)
  }

  function recalled(item: JsonObject): JsonObject {
    return item['type'] === 'item_reference' ? (stored.get(item['id']) ?? item) : item
  }
}

/** Says this one text. */
const saying =
  (name: UpstreamName, words: string): Script =>
  ({ path, json }) => {
    const upstream = upstreams[name]
    if (!upstream.asks(path)) return refusal(404, { message: `no ${path}` })
    const turn = { thought: undefined, calls: [], text: words }
    const { whole: body, events } = upstream.answer(json, turn, 0)
    return upstream.isStreamed(path, json) ? stream(events) : whole(body)
  }

const weather = tool({
  description: 'The weather of a city',
  inputSchema: jsonSchema<{ city: string }>({
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  }),
  execute: async ({ city }) => ({ sky: `rain in ${city}` }),
})

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const pdf = Buffer.from('%PDF-1.4\n% as short as one may be\n%%EOF\n')
const city = jsonSchema<{ city: string; people: number }>({
  type: 'object',
  properties: {
    city: { type: 'string', description: 'Its name, as on the map' },
    people: { type: 'integer' },
  },
  required: ['city', 'people'],
  additionalProperties: false,
})

const tooLong = {
  message: "This model's maximum context length is 8192 tokens, and the prompt has 9000.",
  code: 'context_length_exceeded',
}

for (const [name, client] of Object.entries(clients))
  describe(name, () => {
    for (const upstream of upstreamNames) {
      for (const streamed of [false, true])
        test(`over ${upstream}${streamed ? ', streamed' : ''}: two calls at once, then the answer`, async () => {
          provider.tell(conversing(upstream, client.unsigned.includes(upstream)))
          const ask = {
            ...asking(client, upstream),
            instructions: 'Be brief.',
            prompt: 'Weather in Oslo and Tromsø?',
            reasoning: 'high' as const,
            tools: { weather },
            stopWhen: isStepCount(4),
          }
          const failed: unknown[] = []
          const steps = streamed
            ? streamText({ ...ask, onError: ({ error }) => void failed.push(error) }).steps
            : (await generateText(ask)).steps
          const [first, second] = await steps
          deepEqual(failed, [])
          deepEqual(
            first?.toolCalls.map((call) => ({ name: call.toolName, input: call.input })),
            calls,
          )
          equal(new Set(first?.toolCalls.map((call) => call.toolCallId)).size, 2)
          equal(first?.text, turns[0]?.text)
          equal(first?.finishReason, 'tool-calls')
          equal(
            first?.reasoningText,
            client.thinks.includes(upstream) ? turns[0]?.thought : undefined,
          )
          const { inputTokens, inputTokenDetails, outputTokens } = first?.usage ?? {}
          deepEqual(
            [inputTokens, inputTokenDetails?.cacheReadTokens, outputTokens],
            [usage.input, usage.cached, usage.output],
          )
          equal(first?.response.modelId, `${client.named}-${upstream}`)
          equal(second?.text, 'Rain in both.')
          equal(second?.finishReason, 'stop')
        })

      test(`over ${upstream}: an object of a schema`, async () => {
        const said = { city: 'Tromsø', people: 77_000 }
        provider.tell(saying(upstream, JSON.stringify(said)))
        const ask = {
          ...asking(client, upstream),
          prompt: 'Which city?',
          output: Output.object({ schema: city, name: 'city' }),
        }
        deepEqual((await generateText(ask)).output, said)
        match(provider.last().text, /Its name, as on the map/)
        deepEqual(await streamText(ask).output, said)
      })

      test(`over ${upstream}: a picture and a paper arrive byte by byte`, async () => {
        provider.tell(saying(upstream, 'I see.'))
        const { text: answer } = await generateText({
          ...asking(client, upstream),
          messages: [
            {
              role: 'user',
              content: [
                { type: 'text', text: 'What is this?' },
                { type: 'file', data: png, mediaType: 'image/png' },
                { type: 'file', data: pdf, mediaType: 'application/pdf', filename: 'a.pdf' },
              ],
            },
          ],
        })
        equal(answer, 'I see.')
        for (const bytes of [png, pdf]) ok(provider.last().text.includes(bytes.toString('base64')))
      })

      test(`over ${upstream}: who leaves in the middle is heard of`, async () => {
        const leave = new AbortController()
        provider.tell((asked, nth) => {
          const told = saying(upstream, 'It was a dark and stormy night. '.repeat(20))(asked, nth)
          return told instanceof Promise || told.type !== 'stream'
            ? told
            : stream([...told.steps].slice(0, -2), { end: 'hang' })
        })
        const run = streamText({
          ...asking(client, upstream),
          prompt: 'Tell me a story.',
          abortSignal: leave.signal,
        })
        let ended = ''
        for await (const part of run.stream) {
          ended = part.type
          if (part.type === 'text-delta') leave.abort()
        }
        equal(ended, 'abort')
        equal(await provider.last().gone, true)
      })
    }

    const refusals: [what: string, status: number, error: JsonObject, retried: boolean][] = [
      ['a bad key', 401, { message: 'Incorrect API key provided' }, false],
      ['a prompt too long', 400, tooLong, false],
      ['too fast', 429, { message: 'slow down', type: 'requests' }, true],
      ['too busy', 503, { message: 'overloaded' }, true],
    ]
    for (const [what, status, error, retried] of refusals)
      test(`${what}: an APICallError with its status, words and headers`, async () => {
        for (const upstream of upstreamNames)
          for (const streamed of [false, true]) {
            provider.tell(({ path }) =>
              upstreams[upstream].asks(path)
                ? refusal(status, error, { 'retry-after': '7' })
                : refusal(404, { message: 'no such path' }),
            )
            const ask = { ...asking(client, upstream), prompt: 'Hi' }
            const cause = streamed ? await failureOf(ask) : await generateText(ask).catch(told)
            ok(APICallError.isInstance(cause), `${upstream}: ${cause}`)
            equal(cause.statusCode, status)
            equal(cause.isRetryable, retried)
            ok(cause.message.includes(String(error['message'])), cause.message)
            if (status === 429) equal(cause.responseHeaders?.['retry-after'], '7')
          }
      })

    test('the gateway’s own refusals', async () => {
      const cases: [status: number, says: RegExp, model: LanguageModel][] = [
        [401, /./, client.model(gateway.url, `${client.named}-chat`, 'sk-wrong')],
        [400, /Invalid model name.*nobody/, client.model(gateway.url, 'nobody', key)],
      ]
      for (const [status, says, model] of cases)
        await rejects(
          generateText({ model, prompt: 'Hi', maxRetries: 0 }),
          (cause) =>
            APICallError.isInstance(cause) &&
            cause.statusCode === status &&
            says.test(cause.message) &&
            !cause.message.includes('sk-wrong'),
        )
    })

    test('it tries again, as long after as it is told', async () => {
      const [upstream] = upstreamNames
      let asked = 0
      provider.tell(({ path }) => {
        if (!upstreams[upstream].asks(path)) return refusal(404, { message: 'no such path' })
        asked++
        return refusal(429, { message: 'slow down' }, { 'retry-after': '0.01' })
      })
      await rejects(
        generateText({ ...asking(client, upstream), prompt: 'Hi', maxRetries: 2 }),
        (cause) => RetryError.isInstance(cause) && cause.errors.length === 3,
      )
      equal(asked, 3)
    })

    test('an error after the first words is an error of the stream', async () => {
      provider.tell((asked, nth) => {
        const told = saying('chat', 'It was a dark and stormy night.')(asked, nth)
        if (told instanceof Promise || told.type !== 'stream') return told
        const steps = [...told.steps].slice(0, 4)
        return stream([...steps, 20, 'data: {"error":{"message":"it broke","code":500}}\n\n'])
      })
      match(String(await failureOf({ ...asking(client, 'chat'), prompt: 'Hi' })), /it broke/)
    })
  })

test('nothing of it went anywhere but to this machine', () =>
  deepEqual([...reached], ['127.0.0.1']))

const told = (cause: unknown): unknown => cause

/** What a stream tells instead of its end. */
async function failureOf(ask: Parameters<typeof streamText>[0]): Promise<unknown> {
  let failure: unknown
  const { stream: parts } = streamText({ ...ask, onError() {} })
  for await (const part of parts) if (part.type === 'error') failure = part.error
  return isObject(failure) && !(failure instanceof Error) ? JSON.stringify(failure) : failure
}
