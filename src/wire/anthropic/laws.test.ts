import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChatEvent } from '../../chat/chat.ts'
import { eventsOf } from '../../chat/fold.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import {
  bothWays,
  context,
  fallsSilent,
  framed,
  framesOf,
  partsOf,
  refusesInOwnWords,
  shuffledCalls,
  toolCalls,
  withoutRaw,
} from '../testing.test.ts'
import { answers, readGrammar, requestBodies, targetOf, wildBodies } from './generators.test.ts'
import { decodeUsage } from './response.ts'
import { anthropic } from './wire.ts'

const notes = { model: 'm' }
const { told, heard } = bothWays(anthropic)
test('a request that Anthropic can say survives decode and encode', () => {
  fc.assert(
    fc.property(requestBodies, (body) => {
      const before = structuredClone(body)
      const { body: sent, dropped } = anthropic.encodeRequest(
        anthropic.decodeRequest(body),
        targetOf('claude-opus-5'),
      )
      assert.deepEqual(dropped, undefined)
      assert.deepEqual(sent, before)
      assert.deepEqual(body, before, 'the copy of the client is its own')
    }),
    { numRuns: 150 },
  )
})

test('an answer survives encode and decode', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const back = anthropic.decodeResult(anthropic.encodeResult(result, context), notes)
      assert.deepEqual(withoutRaw({ ...back, model: 'm' }), withoutRaw(result))
    }),
    { numRuns: 150 },
  )
})

test('a stream survives encode and decode, and obeys the grammar', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const frames = framesOf(told(eventsOf(result)))
      readGrammar(frames)
      const events = heard(frames)
      assert.deepEqual(partsOf(events), result.choices[0]?.parts)
      const finish = events.find((event) => event.type === 'finish')
      assert.equal(finish?.finish, result.choices[0]?.finish)
      const usage = events.findLast((event) => event.type === 'usage')?.usage
      const { raw: _, ...counts } = usage ?? decodeUsage({})
      assert.deepEqual(counts, result.usage)
    }),
    { numRuns: 150 },
  )
})

const words = fc.string({ minLength: 1, maxLength: 6 })
const anyEvent: fc.Arbitrary<ChatEvent> = fc.oneof(
  words.map((said): ChatEvent => ({ type: 'text', text: said })),
  words.map((said): ChatEvent => ({ type: 'reasoning', text: said })),
  words.map((signature): ChatEvent => ({ type: 'signature', signature })),
  words.map((data): ChatEvent => ({ type: 'redacted', data })),
  words.map((said): ChatEvent => ({ type: 'refusal', text: said })),
  fc.constant<ChatEvent>({ type: 'ping' }),
  fc.constant<ChatEvent>({ type: 'text', text: 'of another choice', choice: 1 }),
  fc.constant<ChatEvent>({
    type: 'annotation',
    annotation: { type: 'url_citation', url_citation: { url: 'https://e.com', title: 'E' } },
  }),
  fc.constant<ChatEvent>({ type: 'raw', wire: 'other', value: { type: 'x' } }),
  fc.constant<ChatEvent>({ type: 'finish', finish: 'stop' }),
  fc.constant<ChatEvent>({
    type: 'usage',
    usage: decodeUsage({ input_tokens: 3, output_tokens: 4 }),
  }),
)

test('whatever order events come in, the client gets lawful blocks and every word of every call', () => {
  fc.assert(
    fc.property(
      fc.array(anyEvent, { maxLength: 12 }),
      toolCalls(words),
      fc.infiniteStream(fc.nat(100)),
      (others, called, dice) => {
        const events = shuffledCalls(others, called, dice, 'toolu_')
        const { blocks } = readGrammar(framesOf(told(events)))
        const inputs = blocks
          .filter((block) => block.type === 'tool_use')
          .map((block) => [block.id, block.input])
        assert.deepEqual(
          Object.fromEntries(inputs),
          Object.fromEntries(called.map(([index, input]) => [`toolu_${index}`, { ...input }])),
        )
        const said = (type: string) =>
          others
            .map((event) =>
              event.type === type && !('choice' in event) ? (event as { text: string }).text : '',
            )
            .join('')
        const wrote = blocks.map((block) => text(block.thinking) ?? '').join('')
        assert.equal(wrote, said('reasoning'))
      },
    ),
    { numRuns: 200 },
  )
})

test('bytes that pass say what the decoder hears, and differ in the model only', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const frames = framesOf(told(eventsOf(result))).map(({ event, data }) => ({
        event,
        data: latin1(toUtf8(data)),
      }))
      const pass = anthropic.native?.passStream(targetOf('claude-opus-5'), {
        ...context,
        model: 'prü✓',
      })
      assert.ok(pass)
      const out = framesOf(
        utf8(bytesOf(frames.map((frame) => pass.push(frame)).join('') + pass.end(undefined))),
      )
      const plain = frames.map(({ event, data }) => ({ event, data: utf8(bytesOf(data)) }))
      assert.deepEqual(out.slice(1), plain.slice(1))
      assert.equal(object(object(JSON.parse(out[0]?.data ?? '')).message).model, 'prü✓')
      assert.equal(pass.complete, true)
      assert.deepEqual(
        pass.usage(),
        heard(plain).findLast((event) => event.type === 'usage')?.usage,
      )
    }),
    { numRuns: 100 },
  )
})

test('nothing but GatewayError is thrown for any JSON', () => {
  const tries: ((body: JsonObject) => unknown)[] = [
    (body) => anthropic.decodeRequest(body),
    (body) => anthropic.decodeRequest({ model: 'm', messages: [], ...body }),
    (body) =>
      anthropic.decodeRequest({
        model: 'm',
        messages: [{ role: 'user', content: [body] }],
        tools: [body],
      }),
    (body) =>
      anthropic.encodeRequest(
        anthropic.decodeRequest({
          model: 'm',
          messages: [{ role: 'user', content: [body] }, body],
          tools: [{ name: 't', input_schema: body }],
        }),
        targetOf('claude-sonnet-4-5'),
      ),
    (body) => anthropic.decodeResult(body, notes),
    (body) =>
      anthropic.encodeResult(
        anthropic.decodeResult({ content: [body, body], usage: body }, notes),
        context,
      ),
    (body) => heard(framed([body, body])),
    (body) =>
      heard(
        framed([
          { type: 'content_block_start', index: 0, content_block: body },
          { type: 'content_block_delta', index: 0, delta: body },
          { type: 'message_delta', delta: body, usage: body },
        ]),
      ),
    (body) =>
      anthropic.decodeError({ status: 400, body: JSON.stringify(body), header: () => undefined }),
    (body) => anthropic.native?.adaptRequest(structuredClone(body), targetOf('claude-sonnet-4-5')),
    (body) =>
      anthropic.native
        ?.passResult(toUtf8(JSON.stringify(body)), targetOf('m'), context)
        .encode(undefined),
    (body) => {
      const pass = anthropic.native?.passStream(targetOf('m'), context)
      return [
        pass?.push({ event: 'x', data: JSON.stringify(body) }),
        pass?.end(undefined),
        pass?.text(),
      ]
    },
  ]
  refusesInOwnWords(wildBodies, tries)
})

test('frames that are no JSON are one fault and then silence', () => fallsSilent(anthropic, 'x'))
