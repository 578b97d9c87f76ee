import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import OpenAI, { APIError, RateLimitError } from 'openai'
import type { ChatEvent } from '../src/chat/chat.ts'
import { eventsOf } from '../src/chat/fold.ts'
import { GatewayError } from '../src/errors.ts'
import { list, object } from '../src/json/json.ts'
import { answers, asked, readGrammar } from '../src/wire/openai-responses/generators.test.ts'
import { anyStream } from '../src/wire/openai-responses/streams.test.ts'
import { openaiResponses as wire } from '../src/wire/openai-responses/wire.ts'
import { context, framesOf } from '../src/wire/testing.test.ts'

/** The official client, answered with this text. */
const clientOf = (body: string, type: string, status = 200): OpenAI =>
  new OpenAI({
    apiKey: 'k',
    baseURL: 'http://gateway.test/v1',
    maxRetries: 0,
    fetch: async () => new Response(body, { status, headers: { 'content-type': type } }),
  })
const sse = 'text/event-stream'
const ask = { model: 'public', input: 'x' } as const

const told = (events: readonly ChatEvent[]): string => {
  const encoder = wire.encodeStream(context)
  return events.map((event) => encoder.push(event)).join('') + encoder.end()
}

test('the official client reads every whole answer', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (result) => {
      const body = wire.encodeResult(result, asked({ tools: [], temperature: 0.5 }))
      const read = await clientOf(JSON.stringify(body), 'application/json').responses.create(ask)
      const words = result.choices[0]?.parts.map((part) => (part.type === 'text' ? part.text : ''))
      assert.equal(read.output_text, words?.join(''))
      assert.equal(read.temperature, 0.5)
      assert.deepEqual(read.output, body.output)
    }),
    { numRuns: 20 },
  )
})

test('the official stream helper reads every stream, in whatever order its events came', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyStream, answers.map(eventsOf)), async (events) => {
      const stream = told(events)
      const final = await clientOf(stream, sse).responses.stream(ask).finalResponse()
      const response = readGrammar(framesOf(stream))
      assert.deepEqual(
        final.output.map(({ type }) => type),
        list(response.output).map((item) => object(item).type),
      )
      assert.deepEqual(final.usage, response.usage)
      const items = final.output.map((item) => ({ ...object(JSON.parse(JSON.stringify(item))) }))
      for (const item of items) {
        // Parsed for the caller by the client itself.
        delete item.parsed_arguments
        for (const part of list(item.content)) delete object(part).parsed
      }
      assert.deepEqual(items, response.output)
    }),
    { numRuns: 60 },
  )
})

test('what is parsed is what the model said', async () => {
  const stream = told([
    { type: 'start', id: 'resp_1', model: 'm', created: 1 },
    { type: 'text', text: '{"a":' },
    { type: 'text', text: '1}' },
    { type: 'tool-start', index: 0, id: 'call_1', name: 'look' },
    { type: 'tool-input', index: 0, text: '{"at":"x"}' },
    { type: 'finish', finish: 'tool-calls' },
  ])
  const seen: string[] = []
  const helper = clientOf(stream, sse).responses.stream({
    ...ask,
    tools: [
      {
        type: 'function',
        name: 'look',
        strict: true,
        parameters: { type: 'object', properties: { at: { type: 'string' } } },
      },
    ],
  })
  helper.on('response.output_text.delta', ({ snapshot }) => seen.push(snapshot))
  helper.on('response.function_call_arguments.delta', ({ snapshot }) => seen.push(snapshot))
  const final = await helper.finalResponse()
  assert.deepEqual(seen, ['{"a":', '{"a":1}', '{"at":"x"}'])
  assert.equal(final.output_text, '{"a":1}')
  assert.equal(final.id, 'resp_1')
})

test('an error is the class the official client has for it', async () => {
  const error = new GatewayError('rate_limit', 'slow down', { provider: 'OpenAI' })
  const body = JSON.stringify(wire.encodeError(error))
  await assert.rejects(
    async () => await clientOf(body, 'application/json', 429).responses.create(ask),
    (cause) => cause instanceof RateLimitError && cause.message.includes('slow down'),
  )
})

test('an error inside a stream is thrown with its message and code', async () => {
  const begun = told([{ type: 'text', text: 'so' }]).split('event: response.output_text.done')[0]
  const error = new GatewayError('context_window', 'prompt is too long', { provider: 'OpenAI' })
  const client = clientOf(begun + wire.encodeStreamError(error), sse)
  const isError = (cause: unknown) =>
    cause instanceof APIError &&
    cause.message.includes('prompt is too long') &&
    cause.code === 'context_length_exceeded'
  await assert.rejects(async () => await client.responses.stream(ask).finalResponse(), isError)
  await assert.rejects(async () => {
    for await (const _ of await client.responses.create({ ...ask, stream: true }));
  }, isError)
})

test('a failed response is the end of its stream, with the error in it', async () => {
  const stream = told([
    { type: 'text', text: 'so' },
    { type: 'fault', error: new GatewayError('provider', 'it broke') },
  ])
  const final = await clientOf(stream, sse).responses.stream(ask).finalResponse()
  assert.equal(final.status, 'failed')
  assert.deepEqual(final.error, { code: 'server_error', message: 'it broke' })
})
