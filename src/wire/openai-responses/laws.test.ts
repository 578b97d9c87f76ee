import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ChatEvent, type ChatResult, noUsage, type Part } from '../../chat/chat.ts'
import { eventsOf } from '../../chat/fold.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { anthropic } from '../anthropic/wire.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import {
  bothWays,
  context,
  fallsSilent,
  framed,
  framesOf,
  partsOf,
  refusesInOwnWords,
} from '../testing.test.ts'
import {
  answers,
  asked,
  readGrammar,
  requestBodies,
  targetOf,
  wildBodies,
} from './generators.test.ts'
import { anyStream } from './streams.test.ts'
import { openaiResponses as wire } from './wire.ts'

const notes = { model: 'm' }
const { native } = wire
assert.ok(native)

const { told, heard } = bothWays(wire)
/** Without what the client's wire makes up: ids of thoughts, and what comes with a picture. */
const plainPart = (part: Part): Part => {
  if (part.type === 'reasoning') {
    const { id: _, ...rest } = part
    return rest
  }
  if (part.type !== 'media') return part
  const { extras: _, ...rest } = part
  return rest
}
const plainResult = ({ usage, choices, ...result }: ChatResult): unknown => {
  const { raw: _, ...counts } = usage
  const plain = choices.map((choice) => ({ ...choice, parts: choice.parts.map(plainPart) }))
  return { ...result, model: 'm', extras: undefined, choices: plain, usage: counts }
}

test('a request that this wire can say survives decode and encode', () => {
  fc.assert(
    fc.property(requestBodies, (body) => {
      const before = structuredClone(body)
      const { body: sent, dropped } = wire.encodeRequest(
        wire.decodeRequest(body),
        targetOf('gpt-5.5'),
      )
      assert.deepEqual(dropped, [])
      assert.deepEqual(sent, before)
      assert.deepEqual(body, before, 'the copy of the client is its own')
    }),
    { numRuns: 200 },
  )
})

test('whatever this wire can say, chat and Anthropic take what they know of it', () => {
  fc.assert(
    fc.property(requestBodies, (body) => {
      const request = { ...wire.decodeRequest(body), dialect: wire.id }
      const chat = openaiChat.encodeRequest(request, targetOf('m'))
      const roles = list(chat.body.messages).map((message) => text(object(message).role))
      assert.ok(roles.every((role) => role !== undefined))
      const names = list(chat.body.tools).map((tool) => object(object(tool).function).name)
      const { toolChoice } = request
      if (typeof toolChoice === 'object' && 'names' in toolChoice)
        assert.ok(
          names.every((name) => toolChoice.names.some((allowed) => allowed === name)),
          'what may not be called is not offered',
        )
      else assert.ok(names.includes('crm__find'), 'namespaces are flattened')
      anthropic.encodeRequest(request, targetOf('claude-opus-5', { dropParams: true }))
    }),
    { numRuns: 50 },
  )
})

test('an answer survives encode and decode', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const back = wire.decodeResult(wire.encodeResult(result, context), notes)
      assert.deepEqual(plainResult(back), plainResult({ ...result, extras: {} }))
    }),
    { numRuns: 200 },
  )
})

test('a stream survives encode and decode, obeys the grammar, and says what the whole answer says', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const frames = framesOf(told(eventsOf(result)))
      const response = readGrammar(frames)
      const events = heard(frames)
      assert.deepEqual(partsOf(events).map(plainPart), result.choices[0]?.parts.map(plainPart))
      const finish = events.find((event) => event.type === 'finish')
      assert.equal(finish?.finish, result.choices[0]?.finish)
      const { raw: _, ...counts } =
        events.findLast((event) => event.type === 'usage')?.usage ?? noUsage
      assert.deepEqual(counts, result.usage)
      assert.deepEqual(
        wire.decodeResult(response, notes).choices[0]?.parts.map(plainPart),
        result.choices[0]?.parts.map(plainPart),
      )
    }),
    { numRuns: 200 },
  )
})

test('whatever order events come in, the client gets a lawful stream and every word of it', () => {
  fc.assert(
    fc.property(anyStream, (events) => {
      // A call that the end of the answer has cut has no more to say.
      const until = events.findIndex((event) => event.type === 'finish')
      const live = until === -1 ? events : events.slice(0, until + 1)
      const response = readGrammar(framesOf(told(live)))
      readGrammar(framesOf(told(events)))
      const output = list(response.output).map(object)
      const said = (type: string) =>
        live.map((event) => (event.type === type ? textOf(event) : '')).join('')
      const thoughts = output.flatMap((item) => list(item.summary)).map((part) => object(part).text)
      assert.equal(thoughts.join(''), said('reasoning'))
      const refused = output
        .flatMap((item) => list(item.content))
        .map((part) => object(part).refusal)
      assert.equal(refused.join(''), said('refusal'))
      for (const event of live)
        if (event.type === 'tool-start') {
          const call = output.find((item) => item.call_id === event.id)
          const input = live
            .map((other) =>
              other.type === 'tool-input' && other.index === event.index ? other.text : '',
            )
            .join('')
          assert.equal(call?.arguments ?? call?.input, input || (event.kind ? '' : '{}'))
        }
    }),
    { numRuns: 150 },
  )
})
const textOf = (event: ChatEvent): string =>
  'text' in event && !('choice' in event) ? event.text : ''

test('a fault ends the stream in the words of this wire', () => {
  fc.assert(
    fc.property(anyStream, (events) => {
      const fault: ChatEvent = { type: 'fault', error: new GatewayError('rate_limit', 'slow down') }
      const response = readGrammar(framesOf(told([...events, fault, ...events])))
      assert.equal(response.status, 'failed')
      assert.equal(object(response.error).code, 'rate_limit_exceeded')
    }),
    { numRuns: 30 },
  )
})

test('bytes that pass say what the decoder hears, and differ in the model only', () => {
  fc.assert(
    fc.property(answers, fc.boolean(), (result, named) => {
      const plain = framesOf(told(eventsOf(result)))
      const pass = native.passStream(targetOf('gpt-5.5'), { ...context, model: 'prü✓' })
      const out = plain
        .map(({ event, data }) =>
          pass.push({ event: named ? event : undefined, data: latin1(toUtf8(data)) }),
        )
        .join('')
      const shown = framesOf(utf8(bytesOf(out + pass.end(undefined))))
      assert.deepEqual(
        shown.map(({ event, data }) => [event, data.replaceAll('"prü✓"', '"public"')]),
        plain.map(({ event, data }) => [event, data]),
      )
      for (const { data } of shown) {
        const { response } = object(JSON.parse(data))
        if (isObject(response)) assert.equal(response.model, 'prü✓')
      }
      assert.equal(pass.complete, true)
      const usage = heard(plain).findLast((event) => event.type === 'usage')?.usage
      assert.deepEqual(pass.usage(), usage)
    }),
    { numRuns: 100 },
  )
})

test('a whole answer passes with another name and nothing else changed', () => {
  fc.assert(
    fc.property(answers, (result) => {
      const body = {
        ...wire.encodeResult(result, asked({ tools: [{ type: 'x' }] })),
        odd: [1, { a: 'é' }],
      }
      const bytes = toUtf8(JSON.stringify(body))
      const passed = native.passResult(bytes, targetOf('m'), { ...context, model: 'prü✓' })
      const { body: shown, encoding } = passed.encode(undefined)
      const said = encoding === 'latin1' ? utf8(bytesOf(shown)) : shown
      assert.deepEqual(JSON.parse(said), { ...body, model: 'prü✓' })
      assert.deepEqual(passed.usage, wire.decodeResult(body, notes).usage)
    }),
    { numRuns: 50 },
  )
})

test('nothing but GatewayError is thrown for any JSON', () => {
  const wrap = (body: JsonObject): JsonObject => ({
    model: 'm',
    input: [body, body],
    tools: [body],
  })
  const tries: ((body: JsonObject) => unknown)[] = [
    (body) => wire.decodeRequest(body),
    (body) => wire.decodeRequest({ input: 'x', ...body }),
    (body) => wire.decodeRequest(wrap(body)),
    (body) => wire.encodeRequest(wire.decodeRequest(wrap(body)), targetOf('m')),
    (body) =>
      wire.encodeRequest(
        {
          ...wire.decodeRequest({ ...wrap(body), reasoning: body, text: body }),
          dialect: 'anthropic',
        },
        targetOf('m', { info: { supports_reasoning: true }, provider: 'other' }),
      ),
    (body) =>
      wire.encodeRequest(
        {
          ...openaiChat.decodeRequest({
            messages: [{ role: 'assistant', ...body }],
            tools: [body],
          }),
        },
        targetOf('m', { dropParams: true }),
      ),
    (body) => wire.decodeResult(body, notes),
    (body) =>
      wire.encodeResult(
        wire.decodeResult({ output: [body, body], usage: body }, notes),
        asked(body),
      ),
    (body) => heard(framed([body, body])),
    (body) =>
      heard(
        framed([
          { type: 'response.output_item.added', output_index: 0, item: body },
          { type: 'response.output_text.delta', ...body },
          { type: 'response.output_item.done', output_index: 0, item: body },
          { type: 'response.completed', response: { output: [body], ...body } },
        ]),
      ),
    (body) => heard(framed([{ type: 'response.completed', response: { output: [body] } }])),
    (body) => heard(framed([{ type: 'error', ...body }])),
    (body) =>
      wire.encodeError(
        wire.decodeError({ status: 400, body: JSON.stringify(body), header: () => undefined }),
      ),
    (body) => native.adaptRequest(structuredClone({ ...wrap(body), ...body }), odd),
    (body) => {
      const result = native.passResult(toUtf8(JSON.stringify(body)), targetOf('m'), context)
      return [result.text(), result.encode(noUsage)]
    },
    (body) => {
      const pass = native.passStream(targetOf('m'), context)
      const data = JSON.stringify({
        ...body,
        type: body.type ?? 'response.completed',
        response: body,
      })
      return [pass.push({ event: undefined, data }), pass.end(noUsage), pass.text(), pass.usage()]
    },
  ]
  refusesInOwnWords(wildBodies, tries, 150)
})
const odd = targetOf('m', {
  quirks: {
    unsupported: ['reasoning_effort', 'verbosity', 'max_tokens'],
    rename: { include: 'x' },
    onlyDefault: { temperature: 1 },
    temperatureMax: 1,
    toolChoiceAny: true,
    dropStrict: true,
    dropBookkeeping: true,
    systemRole: 'system',
  },
})

test('frames that are no JSON are one fault and then silence', () => {
  fallsSilent(wire, 'x', (data) => {
    const pass = native.passStream(targetOf('m'), context)
    assert.equal(pass.push({ event: undefined, data: latin1(toUtf8(data)) }), '')
    assert.ok(pass.fault)
  })
})
