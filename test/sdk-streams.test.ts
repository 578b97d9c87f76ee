import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import fc from 'fast-check'
import OpenAI from 'openai'
import type { ChatEvent } from '../src/chat/chat.ts'
import { anthropic } from '../src/wire/anthropic/wire.ts'
import { gemini } from '../src/wire/gemini/wire.ts'
import { openaiChat } from '../src/wire/openai-chat/wire.ts'
import { anyStream } from '../src/wire/openai-responses/streams.test.ts'
import { context } from '../src/wire/testing.test.ts'
import type { Wire } from '../src/wire/wire.ts'

/**
 * What a provider says may come in any order, and its stream may stop anywhere: the vendors' own clients must read whatever
 * we make of it, and hear every word. (For the Responses client see openai-responses-sdk.test.ts.)
 */
const told = (wire: Wire, events: readonly ChatEvent[]): string => {
  const encoder = wire.encodeStream(context)
  return events.map((event) => encoder.push(event)).join('') + encoder.end()
}
const answered = (body: string): (() => Promise<Response>) => {
  return async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

/** One that is whole: calls are counted from 0, each choice has its end, and nothing but usage comes behind. */
const whole: fc.Arbitrary<ChatEvent[]> = fc
  .tuple(anyStream, fc.constantFrom('stop', 'length', 'tool-calls', 'content-filter'))
  .map(([events, finish]) => {
    const order: number[] = []
    for (const event of events) if (event.type === 'tool-start') order.push(event.index)
    const said = events
      .filter(({ type }) => type !== 'finish' && type !== 'usage')
      .map((event) => ('index' in event ? { ...event, index: order.indexOf(event.index) } : event))
    const choices = new Set([0, ...said.map((event) => ('choice' in event && event.choice) || 0)])
    return [
      ...said,
      ...[...choices].map((choice): ChatEvent => ({ type: 'finish', finish, choice })),
      ...events.filter(({ type }) => type === 'usage'),
    ]
  })

/** Of the first choice, what was said until it was over. */
const saidIn = (events: readonly ChatEvent[], type: 'text' | 'reasoning'): string =>
  events.map((event) => (event.type === type && !event.choice ? event.text : '')).join('')
const callsIn = (events: readonly ChatEvent[]): { id: string; name: string; input: string }[] =>
  events.flatMap((start) =>
    start.type === 'tool-start'
      ? {
          id: start.id,
          name: start.name,
          input: events
            .map((one) => (one.type === 'tool-input' && one.index === start.index ? one.text : ''))
            .join(''),
        }
      : [],
  )
const byId = (a: { id: string }, b: { id: string }): number => a.id.localeCompare(b.id)

test("OpenAI's client reads every stream, and hears every word and every call", async () => {
  await fc.assert(
    fc.asyncProperty(whole, async (events) => {
      const client = new OpenAI({
        apiKey: 'k',
        baseURL: 'http://gateway.test/v1',
        maxRetries: 0,
        fetch: answered(told(openaiChat, events)),
      })
      const asked = { model: 'public', messages: [{ role: 'user', content: 'x' }] } as const
      const final = await client.chat.completions
        .stream({ ...asked, messages: [...asked.messages] })
        .finalChatCompletion()
      const [choice] = final.choices
      assert.ok(choice?.finish_reason)
      assert.equal(choice.message.content ?? '', saidIn(events, 'text'))
      const calls = (choice.message.tool_calls ?? []).map((call) =>
        call.type === 'function'
          ? { id: call.id, name: call.function.name, input: call.function.arguments }
          : { id: call.id, name: call.custom.name, input: call.custom.input },
      )
      assert.deepEqual(calls.sort(byId), callsIn(events).sort(byId))
    }),
    { numRuns: 100 },
  )
})

test("Anthropic's client reads every stream, and hears every word and every call", async () => {
  await fc.assert(
    fc.asyncProperty(whole, async (events) => {
      const client = new Anthropic({
        apiKey: 'k',
        baseURL: 'http://gateway.test',
        maxRetries: 0,
        fetch: answered(told(anthropic, events)),
      })
      const final = await client.messages
        .stream({ model: 'public', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] })
        .finalMessage()
      assert.ok(final.stop_reason)
      const blocks = final.content
      const thoughts = blocks.map((block) => (block.type === 'thinking' ? block.thinking : ''))
      assert.equal(thoughts.join(''), saidIn(events, 'reasoning'))
      const calls = blocks.flatMap((block) =>
        block.type === 'tool_use' ? { id: block.id, name: block.name } : [],
      )
      const expected = callsIn(events).map(({ id, name }) => ({ id, name }))
      assert.deepEqual(calls.sort(byId), expected.sort(byId))
      const words = blocks.map((block) => (block.type === 'text' ? block.text : '')).join('')
      for (const event of events)
        if (event.type === 'text' && !event.choice) assert.ok(words.includes(event.text))
    }),
    { numRuns: 100 },
  )
})

let body = ''
const site = createServer((_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(body)
})
before(async () => {
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
})
after(() => {
  site.close()
  site.closeAllConnections()
})

test("Google's client reads every stream, and hears every word and every call", async () => {
  const baseUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
  const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl } })
  await fc.assert(
    fc.asyncProperty(whole, async (events) => {
      body = told(gemini, events)
      const chunks = await client.models.generateContentStream({ model: 'public', contents: 'x' })
      let words = ''
      let thoughts = ''
      let finished = ''
      const calls: string[] = []
      for await (const chunk of chunks) {
        const candidate = chunk.candidates?.find(({ index = 0 }) => index === 0)
        finished ||= candidate?.finishReason ?? ''
        for (const part of candidate?.content?.parts ?? []) {
          if (part.functionCall) calls.push(part.functionCall.name ?? '')
          else if (part.thought) thoughts += part.text ?? ''
          else words += part.text ?? ''
        }
      }
      assert.notEqual(finished, '')
      assert.equal(thoughts, saidIn(events, 'reasoning'))
      assert.equal(calls.length, callsIn(events).length)
      for (const event of events)
        if (event.type === 'text' && !event.choice) assert.ok(words.includes(event.text))
    }),
    { numRuns: 60 },
  )
})
