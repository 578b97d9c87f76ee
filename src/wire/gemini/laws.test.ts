import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChatEvent } from '../../chat/chat.ts'
import { noUsage } from '../../chat/chat.ts'
import { eventsOf } from '../../chat/fold.ts'
import { isObject, type JsonObject, list, object } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import {
  bothWays,
  context,
  fallsSilent,
  partsOf,
  refusesInOwnWords,
  shuffledCalls,
  toolCalls,
  withoutRaw,
} from '../testing.test.ts'
import {
  answers,
  framed,
  framesOf,
  readGrammar,
  requestBodies,
  targetOf,
  textIn,
  wildBodies,
} from './generators.test.ts'
import { createItems, encodeStreamArray } from './stream-out.ts'
import { gemini } from './wire.ts'

const notes = { model: 'm' }
const { told, heard } = bothWays(gemini)
test('a request that Gemini can say survives decode and encode', () => {
  fc.assert(
    fc.property(requestBodies, (body) => {
      const before = structuredClone(body)
      const request = gemini.decodeRequest({ ...body, model: 'gemini-3-pro-preview' })
      const { body: sent, dropped } = gemini.encodeRequest(request, targetOf('gemini-3.1-pro'))
      assert.deepEqual(dropped, undefined)
      assert.deepEqual(sent, before)
      assert.deepEqual(body, before, 'the copy of the client is its own')
    }),
    { numRuns: 150 },
  )
})

test('either spelling of the fields says the same', () => {
  const snake = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(snake)
      : isObject(value)
        ? Object.fromEntries(
            Object.entries(value).map(([key, inner]) => [
              key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
              ['args', 'response', 'labels', 'brandNew'].includes(key) ? inner : snake(inner),
            ]),
          )
        : value
  fc.assert(
    fc.property(requestBodies, (body) => {
      const { generationConfig: _, ...rest } = body
      const plain = gemini.decodeRequest(rest)
      const other = gemini.decodeRequest(object(snake(rest)))
      assert.deepEqual({ ...other, tools: plain.tools }, { ...plain, extras: other.extras })
      assert.deepEqual(Object.keys(other.extras), Object.keys(plain.extras))
    }),
    { numRuns: 80 },
  )
})

test('an answer survives encode and decode', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const back = gemini.decodeResult(gemini.encodeResult(result, context), notes)
      assert.deepEqual(withoutRaw(back), withoutRaw(result))
    }),
    { numRuns: 150 },
  )
})

test('a stream survives encode and decode, and obeys the grammar', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const frames = framesOf(told(eventsOf(result)))
      const { last } = readGrammar(frames)
      const events = heard(frames)
      assert.deepEqual(partsOf(events), result.choices[0]?.parts)
      const finish = events.find((event) => event.type === 'finish')
      assert.equal(finish?.finish, result.choices[0]?.finish)
      assert.equal(object(list(last.candidates)[0]).finishReason, result.choices[0]?.reason)
      const { raw: _, ...counts } =
        events.findLast((event) => event.type === 'usage')?.usage ?? noUsage
      assert.deepEqual(counts, result.usage)
    }),
    { numRuns: 150 },
  )
})

test('a stream as one list holds the same chunks', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const encoder = encodeStreamArray(context)
      const whole = eventsOf(result)
        .map((event) => encoder.push(event))
        .join('')
      assert.deepEqual(
        JSON.parse(whole + encoder.end()),
        framesOf(told(eventsOf(result))).map(({ data }) => JSON.parse(data)),
      )
    }),
    { numRuns: 50 },
  )
  assert.equal(createItems().end(), '[]')
})

const words = fc.string({ minLength: 1, maxLength: 6 })
const anyEvent: fc.Arbitrary<ChatEvent> = fc.oneof(
  words.map((said): ChatEvent => ({ type: 'text', text: said })),
  words.map((said): ChatEvent => ({ type: 'reasoning', text: said })),
  words.map((said): ChatEvent => ({ type: 'refusal', text: said })),
  words.map((data): ChatEvent => ({ type: 'redacted', data })),
  fc
    .base64String({ minLength: 4 })
    .map((signature): ChatEvent => ({ type: 'signature', signature })),
  fc.constant<ChatEvent>({ type: 'ping' }),
  fc.constant<ChatEvent>({ type: 'text', text: 'of another choice', choice: 1 }),
  fc.constant<ChatEvent>({ type: 'raw', wire: 'other', value: { type: 'x' } }),
  fc.constant<ChatEvent>({ type: 'extras', extras: { a: 1 }, of: 'message' }),
  fc.constant<ChatEvent>({ type: 'finish', finish: 'length' }),
  fc.constant<ChatEvent>({ type: 'usage', usage: { ...noUsage, input: 3, output: 4 } }),
  fc.constant<ChatEvent>({
    type: 'annotation',
    annotation: { type: 'url_citation', url_citation: { url: 'https://e.com', title: 'E' } },
  }),
)

test('whatever order events come in, the client gets lawful chunks and every word of every call', () => {
  fc.assert(
    fc.property(
      fc.array(anyEvent, { maxLength: 12 }),
      toolCalls(words),
      fc.infiniteStream(fc.nat(100)),
      (others, called, dice) => {
        const events = shuffledCalls(others, called, dice, 'c')
        const { parts } = readGrammar(framesOf(told(events)))
        const got = parts.flatMap(({ functionCall }) =>
          functionCall ? [object(functionCall)] : [],
        )
        assert.deepEqual(
          Object.fromEntries(got.map(({ id, args }) => [id, args])),
          Object.fromEntries(called.map(([index, input]) => [`c${index}`, input])),
        )
        const saidBy = (...types: string[]): string =>
          others
            .map((event) =>
              'text' in event && types.includes(event.type) && !('choice' in event)
                ? event.text
                : '',
            )
            .join('')
        assert.equal(textIn(parts, true), saidBy('reasoning'))
        assert.equal(textIn(parts, false), saidBy('text', 'refusal'))
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
      const pass = gemini.native?.passStream(targetOf('m'), { ...context, model: 'prü✓' })
      assert.ok(pass)
      const bytes = frames.map((frame) => pass.push(frame)).join('') + pass.end(undefined)
      const out = framesOf(utf8(bytesOf(bytes)))
      const plain = frames.map(({ event, data }) => ({ event, data: utf8(bytesOf(data)) }))
      assert.deepEqual(
        out.map(({ data }) => data),
        plain.map(({ data }) => data.replace('"modelVersion":"public"', '"modelVersion":"prü✓"')),
      )
      assert.equal(pass.content, true)
      assert.deepEqual(
        pass.usage(),
        heard(plain).findLast((event) => event.type === 'usage')?.usage,
      )
    }),
    { numRuns: 100 },
  )
})

test('nothing but GatewayError is thrown for any JSON', () => {
  const native = gemini.native
  assert.ok(native)
  const encoded = (body: JsonObject, model: string): unknown =>
    gemini.encodeRequest(gemini.decodeRequest(body), targetOf(model))
  const asked = (part: JsonObject): JsonObject => ({
    contents: [
      { role: 'user', parts: [part] },
      { role: 'model', parts: [part, { functionCall: part }] },
      { parts: [{ functionResponse: part }] },
    ],
    tools: [part, { functionDeclarations: [{ name: 'f', parameters: part }] }],
    generationConfig: part,
  })
  const tries: ((body: JsonObject) => unknown)[] = [
    (body) => gemini.decodeRequest(body),
    (body) => gemini.decodeRequest({ contents: [], ...body }),
    (body) => encoded(asked(body), 'gemini-2.5-flash'),
    (body) => encoded({ ...asked(body), ...body }, 'gemini-3-pro-preview'),
    (body) =>
      encoded({ contents: 'x', generationConfig: { responseSchema: body } }, 'gemini-2.0-flash'),
    (body) => gemini.decodeResult(body, notes),
    (body) =>
      gemini.encodeResult(
        gemini.decodeResult({ candidates: [body, { content: { parts: [body] }, ...body }] }, notes),
        context,
      ),
    (body) => told(heard(framed([body, { candidates: [body, body] }, body]))),
    (body) =>
      told(
        heard(
          framed([
            { candidates: [{ content: { parts: [body, { text: 'é' }] }, ...body }], ...body },
          ]),
        ),
      ),
    (body) =>
      gemini.encodeError(
        gemini.decodeError({
          status: 400,
          body: JSON.stringify([{ error: body }]),
          header: () => undefined,
        }),
      ),
    (body) => native.adaptRequest(structuredClone(body), targetOf('gemini-2.5-pro')),
    (body) =>
      native.adaptRequest(
        structuredClone({ ...body, generationConfig: body }),
        targetOf('gemini-3.8-flash', { info: { supports_sampling_params: false } }),
      ),
    (body) => {
      const result = native.passResult(toUtf8(JSON.stringify(body)), targetOf('m'), context)
      return [result.text(), result.encode(noUsage)]
    },
    (body) => {
      const pass = native.passStream(targetOf('m'), context)
      const data = JSON.stringify({ candidates: [body], ...body })
      return [pass.push({ event: undefined, data }), pass.usage(), pass.end(noUsage), pass.text()]
    },
  ]
  refusesInOwnWords(wildBodies, tries)
})

test('frames that are no JSON are one fault and then silence', () => fallsSilent(gemini, undefined))
