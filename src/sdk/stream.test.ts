import { deepEqual, equal, ok, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import * as fc from 'fast-check'
import {
  chatStream,
  chunk,
  fileScope,
  hello,
  refusal,
  type Script,
  sse,
  startProvider,
  stream,
  whole,
} from '../../test/support/provider.ts'
import { openPlace } from '../../test/support/sdk.ts'
import type { JsonObject } from '../json/json.ts'
import { APIError } from './errors.ts'
import type { ChatCompletionChunk, ChatCompletionStream } from './types.ts'

const scope = fileScope()
const provider = await startProvider(scope, hello)
const { sdk, slept } = openPlace(scope)
const ask = {
  model: 'openai/gpt-4o',
  api_key: 'sk-of-the-tests',
  api_base: provider.base,
  messages: [{ role: 'user' as const, content: 'Hi' }],
  stream: true as const,
}

function told(script: Script): void {
  provider.asked.length = 0
  slept.length = 0
  provider.tell(script)
}
const textOf = (chunks: readonly ChatCompletionChunk[]): string =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
async function all(from: ChatCompletionStream): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = []
  for await (const one of from) chunks.push(one)
  return chunks
}

test('chunks as they come; what they cost is known at the end', async () => {
  told(hello)
  const answer = await sdk.completion(ask)
  equal(answer._hidden_params.response_cost, null)
  const chunks = await all(answer)
  equal(textOf(chunks), 'Hello')
  equal(chunks.at(-1)?.choices[0]?.finish_reason, 'stop')
  ok(chunks.every(({ model, object }) => model === 'gpt-4o' && object === 'chat.completion.chunk'))
  // Asked of the provider, since somebody has to pay; not told, since nobody asked.
  deepEqual(provider.last().json['stream_options'], { include_usage: true })
  ok(chunks.every(({ usage }) => usage === undefined || usage === null))
  equal(answer._hidden_params.response_cost, 0.0000525)
  equal(chunks[0]?._hidden_params, answer._hidden_params)
  ok(!JSON.stringify(chunks).includes('_hidden'))
  deepEqual(await answer.next(), { done: true, value: undefined })
})

test('usage where it is asked for: the last chunk, without choices', async () => {
  told(hello)
  const chunks = await all(
    await sdk.completion({ ...ask, stream_options: { include_usage: true } }),
  )
  deepEqual(chunks.at(-1)?.choices, [])
  equal(chunks.at(-1)?.usage?.total_tokens, 12)
})

test('usage nobody told is counted', async () => {
  told(() =>
    stream([
      chunk({ role: 'assistant', content: 'Hello world' }),
      chunk({}, { finish_reason: 'stop' }),
      'data: [DONE]\n\n',
    ]),
  )
  const answer = await sdk.completion({ ...ask, streamOptions: { include_usage: true } })
  const { usage } = (await all(answer)).at(-1) ?? {}
  deepEqual([usage?.prompt_tokens, usage?.completion_tokens], [8, 2])
  // 8 × $2.50 and 2 × $10 a million
  equal(answer._hidden_params.response_cost, 0.00004)
})

test('another wire streams in OpenAI’s words', async () => {
  const event = (value: JsonObject) => `event: ${String(value['type'])}\n${sse(value)}`
  told(() =>
    stream([
      event({
        type: 'message_start',
        message: { id: 'msg_1', model: 'm', usage: { input_tokens: 4, output_tokens: 1 } },
      }),
      event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
      event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Gut' } }),
      event({ type: 'content_block_stop', index: 0 }),
      event({
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { output_tokens: 2 },
      }),
      event({ type: 'message_stop' }),
    ]),
  )
  const asked = { ...ask, model: 'anthropic/claude-sonnet-4-5', api_base: provider.origin }
  const answer = await sdk.completion(asked)
  equal(textOf(await all(answer)), 'Gut')
  // 4 × $3 and 2 × $15 a million
  equal(answer._hidden_params.response_cost, 0.000042)
})

/** A provider that never ends: whoever leaves must end it. */
const endless: Script = () =>
  stream([chunk({ role: 'assistant', content: 'on ' }), chunk({ content: 'and on' })], {
    end: 'hang',
  })

const leaving: [name: string, leave: (answer: ChatCompletionStream) => Promise<unknown>][] = [
  [
    'break',
    async (answer) => {
      for await (const _ of answer) break
    },
  ],
  [
    'an exception in the loop',
    async (answer) => {
      const loop = async () => {
        for await (const _ of answer) throw new RangeError('mine')
      }
      await rejects(loop(), RangeError)
    },
  ],
  ['return before the first chunk', (answer) => answer.return?.() ?? Promise.reject()],
  ['cancel before the first chunk', (answer) => answer.cancel()],
  [
    'cancel while the next chunk is awaited',
    async (answer) => {
      await answer.next()
      await answer.next()
      const next = answer.next()
      await later(5)
      await answer.cancel()
      deepEqual(await next, { done: true, value: undefined })
    },
  ],
]
for (const [name, leave] of leaving)
  test(`left by ${name}: the provider is hung up on, and nothing more comes`, async () => {
    told(endless)
    const answer = await sdk.completion(ask)
    await leave(answer)
    equal(await provider.last().gone, true)
    deepEqual(await answer.next(), { done: true, value: undefined })
  })

test('a signal ends a stream with an error', async () => {
  told(endless)
  const calling = new AbortController()
  const answer = await sdk.completion({ ...ask, signal: calling.signal })
  await answer.next()
  await answer.next()
  setTimeout(() => calling.abort(), 5)
  await rejects(answer.next(), { name: 'APIError', status_code: 499 })
  equal(await provider.last().gone, true)
  deepEqual(await answer.next(), { done: true, value: undefined })
})

test('next, asked for several times at once, answers in order', async () => {
  told((asked) =>
    stream(
      chatStream(
        asked,
        [{ content: 'a' }, 5, { content: 'b' }, { content: 'c' }].filter(
          (one) => typeof one === 'object',
        ),
      ),
    ),
  )
  const answer = await sdk.completion(ask)
  const steps = await Promise.all(Array.from({ length: 7 }, () => answer.next()))
  equal(textOf(steps.flatMap(({ value }) => value ?? [])), 'abc')
  equal(steps.at(-1)?.done, true)
})

test('what fails before anything was said is tried again', async () => {
  told((asked, nth) =>
    nth === 1
      ? refusal(503, { message: 'full' })
      : nth === 2
        ? stream([sse({ error: { message: 'oh', code: 500 } })])
        : hello(asked, nth),
  )
  equal(textOf(await all(await sdk.completion(ask))), 'Hello')
  equal(slept.length, 2)
})

/** What was said comes first, then the error, then nothing. */
const broken: [
  name: string,
  end: (string | number)[],
  how: 'end' | 'cut',
  status: number,
  className: string,
][] = [
  [
    'an error of the provider',
    [sse({ error: { message: 'overloaded', type: 'server_error', code: 503 } })],
    'end',
    503,
    'ServiceUnavailableError',
  ],
  ['a connection that breaks', [20], 'cut', 502, 'BadGatewayError'],
  ['an end without an end', [], 'end', 502, 'BadGatewayError'],
  ['no JSON', ['data: {"choices":[}\n\n'], 'end', 502, 'BadGatewayError'],
  [
    'no JSON behind a beginning like all others',
    [chunk({ content: '!' }).replace('}]', '}}')],
    'end',
    502,
    'BadGatewayError',
  ],
]
for (const [name, end, how, status, className] of broken)
  test(`a stream that fails in its midst: ${name}`, async () => {
    const begun = ['a', 'b', 'c'].map((content) => chunk({ role: 'assistant', content }))
    told(() => stream([...begun, ...end], { end: how }))
    const answer = await sdk.completion(ask)
    let heard = ''
    const loop = async () => {
      for await (const { choices } of answer) heard += choices[0]?.delta.content ?? ''
    }
    await rejects(loop(), (error: unknown) => {
      ok(error instanceof APIError)
      deepEqual(
        [error.name, error.status_code, error.llm_provider, error.model],
        [className, status, 'openai', 'gpt-4o'],
      )
      return true
    })
    equal(heard.slice(0, 3), 'abc')
    deepEqual(await answer.next(), { done: true, value: undefined })
  })

test('a provider that answers whole though it was asked to stream', async () => {
  told(() =>
    whole({
      id: 'x',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'All at once' }, finish_reason: 'stop' },
      ],
    }),
  )
  equal(textOf(await all(await sdk.completion(ask))), 'All at once')
})

test('however the bytes are cut, the text is the same', async () => {
  const said = 'Größe 😀 "quoted" \\ 末'
  const bytes = Buffer.from(
    [
      chunk({ role: 'assistant', content: '' }),
      ...[...said].map((content) => chunk({ content })),
      chunk({}, { finish_reason: 'stop' }),
      'data: [DONE]\n\n',
    ].join(''),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 6 }), async (places) => {
      const cuts = [0, ...places.sort((a, b) => a - b), bytes.length]
      told(() => stream(cuts.slice(1).map((to, at) => bytes.subarray(cuts[at], to))))
      equal(textOf(await all(await sdk.completion(ask))), said)
    }),
    { numRuns: 25 },
  )
})
