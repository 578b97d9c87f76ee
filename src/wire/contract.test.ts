import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ChatEvent,
  type ChatRequest,
  type ChatResult,
  noUsage,
  type Part,
  type Usage,
} from '../chat/chat.ts'
import { eventsOf } from '../chat/fold.ts'
import { type FaultKind, faults, GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import { openFrames } from './framing/frames.ts'
import type { ClientContext, Frame, ProviderWire, Target, Wire } from './wire.ts'
import { wires } from './wires.ts'

/*
 * What holds for every wire, so that a new one gets its tests by being in the list. Only what each of them can say is
 * drawn; what one of them says better is in its own folder.
 */

const context: ClientContext = {
  model: 'public',
  requestId: 'r-1',
  created: 1_700_000_000,
  streamUsage: true,
  choices: 1,
}
/** A name that is plain to every wire: what differs by family of models is tested where the families are. */
const models: Partial<Record<string, string>> = {
  'bedrock-invoke': 'anthropic.claude-3-haiku-20240307-v1:0',
  'bedrock-converse': 'anthropic.claude-3-haiku-20240307-v1:0',
  anthropic: 'claude-3-haiku-20240307',
  replicate: 'meta/meta-llama-3-8b-instruct',
}
/** What an API must have besides what everybody says. */
const needed: Partial<Record<string, JsonObject>> = {
  'bedrock-pegasus': { mediaSource: { s3Location: { uri: 's3://b/film.mp4' } } },
}
/** What an API has no field for. */
const lacking: Partial<Record<string, readonly string[]>> = { 'openai-responses': ['stop'] }
const targetOf = ({ id }: ProviderWire): Target => ({
  provider: 'p',
  model: models[id] ?? 'm',
  quirks: {},
  info: {},
  dropParams: true,
  modifyParams: false,
})
const notesOf = (wire: ProviderWire) => ({ model: targetOf(wire).model })

const all: readonly ProviderWire[] = Object.values(wires)
/** Those that clients speak too; the half is told by its verbs. */
const isClient = (wire: ProviderWire): wire is Wire =>
  'decodeRequest' in wire && 'encodeStream' in wire
// Legacy completions say nothing but text: no roles, no tools. Their tests are beside them.
const clients = all.filter(isClient).filter(({ id }) => id !== 'openai-text')
test('some wires are spoken by clients', () => assert.ok(clients.length >= 3))

const runs = { numRuns: 40 }
const word = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9]{1,8}$/),
  fc.constantFrom('Grüße', '世界 👋', '"quoted" \\ back', '{"a":1}', 'data: [DONE]', 'line\nline'),
)
const input = fc
  .dictionary(fc.constantFrom('a', 'b', 'ü'), fc.oneof(word, fc.nat(99), fc.boolean()), {
    maxKeys: 2,
  })
  .map((value) => JSON.stringify({ ...value }))
const tools = [
  {
    type: 'function' as const,
    name: 'first',
    description: 'd',
    schema: { type: 'object', properties: { a: { type: 'string' } } },
  },
  {
    type: 'function' as const,
    name: 'second',
    schema: { type: 'object', properties: { b: { type: 'number' } } },
  },
]

/** Turns that every API takes: the user begins, sides alternate, each call is answered. */
const turns = fc.array(
  fc.record({
    asks: word,
    says: fc.option(word),
    calls: fc.array(fc.record({ name: fc.constantFrom('first', 'second'), input, answer: word }), {
      maxLength: 2,
    }),
  }),
  { minLength: 1, maxLength: 3 },
)
const requests = fc
  .record({
    system: fc.option(word),
    turns,
    last: word,
    maxTokens: fc.integer({ min: 1, max: 999 }),
    temperature: fc.option(fc.constantFrom(0, 0.5, 1)),
    stop: fc.option(fc.constant('END')),
    stream: fc.boolean(),
  })
  .map(({ system, turns: said, last, maxTokens, temperature, stop, stream }): ChatRequest => {
    let calls = 0
    const messages = said.flatMap((turn): ChatRequest['messages'] => {
      const ids = turn.calls.map(() => `call_${calls++}`)
      const spoken: Part[] =
        turn.says !== null || turn.calls.length === 0
          ? [{ type: 'text', text: turn.says ?? 'well' }]
          : []
      const called = turn.calls.map(
        (call, at): Part => ({
          type: 'tool-call',
          id: ids[at] ?? '',
          name: call.name,
          input: call.input,
        }),
      )
      const answers = turn.calls.map(({ answer, name }, at): ChatRequest['messages'][number] => ({
        role: 'tool',
        parts: [
          {
            type: 'tool-result',
            id: ids[at] ?? '',
            name,
            parts: [{ type: 'text', text: answer }],
            failed: false,
          },
        ],
      }))
      const heard: ChatRequest['messages'] =
        turn.calls.length > 0
          ? [...answers, { role: 'assistant', parts: [{ type: 'text', text: 'so' }] }]
          : []
      return [
        { role: 'user', parts: [{ type: 'text', text: turn.asks }] },
        { role: 'assistant', parts: [...spoken, ...called] },
        ...heard,
      ]
    })
    return {
      model: 'public',
      messages: [
        ...(system !== null
          ? [{ role: 'system' as const, parts: [{ type: 'text' as const, text: system }] }]
          : []),
        ...messages,
        { role: 'user', parts: [{ type: 'text', text: last }] },
      ],
      tools,
      maxTokens,
      stream,
      extras: {},
      ...(temperature !== null && { temperature }),
      ...(stop !== null && { stop: [stop] }),
    }
  })

const frozen = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null)
    for (const one of Object.values(Object.freeze(value))) frozen(one)
  return value
}

/** What a request says, whatever messages it is cut into and whatever its calls are numbered. */
function gist(request: ChatRequest): Record<string, unknown> {
  const numbers = new Map<string, number>()
  const number = (id: string) => numbers.get(id) ?? numbers.set(id, numbers.size).size - 1
  const part = (one: Part): unknown[] => {
    switch (one.type) {
      case 'text':
        return [['text', one.text]]
      case 'tool-call':
        return [['call', one.name, JSON.parse(one.input || '{}'), number(one.id)]]
      case 'tool-result':
        return [['result', one.parts.flatMap(part), number(one.id)]]
      default:
        return [[one.type]]
    }
  }
  const side = (role: string) => (role === 'developer' ? 'system' : role === 'tool' ? 'user' : role)
  return {
    said: request.messages.flatMap(({ role, parts }) =>
      parts.flatMap(part).map((one) => [side(role), one]),
    ),
    tools: request.tools.map((tool) =>
      tool.type === 'function' ? [tool.name, tool.schema?.['type']] : tool.type,
    ),
    maxTokens: request.maxTokens,
    temperature: request.temperature,
    stop: request.stop,
  }
}

for (const wire of clients)
  test(`${wire.id}: a request survives encode and decode`, () => {
    fc.assert(
      fc.property(requests, (request) => {
        const { body } = wire.encodeRequest(frozen(request), targetOf(wire))
        const back = wire.decodeRequest({ ...body, model: 'public' })
        const expected = gist(request)
        for (const field of lacking[wire.id] ?? []) expected[field] = undefined
        assert.deepEqual(gist(back), expected)
      }),
      runs,
    )
  })

for (const wire of all)
  test(`${wire.id}: a request is told with every word and left as it was`, () => {
    fc.assert(
      fc.property(requests, (drawn) => {
        const request = { ...drawn, extras: { ...drawn.extras, ...needed[wire.id] } }
        const { body, notes } = wire.encodeRequest(frozen(request), targetOf(wire))
        const sent = JSON.stringify(body)
        const said = request.messages.flatMap(({ parts }) =>
          parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])),
        )
        for (const text of said)
          assert.ok(sent.includes(JSON.stringify(text).slice(1, -1)), `${text} in ${sent}`)
        assert.equal(notes.model, targetOf(wire).model)
      }),
      runs,
    )
  })

const count = fc.nat(500)
const usages: fc.Arbitrary<Usage> = fc
  .tuple(count, count, count)
  .map(([read, cacheRead, output]) => ({
    ...noUsage,
    input: read + 1,
    cacheRead,
    output: output + 1,
  }))
const finishes = fc.constantFrom('stop', 'length', 'content-filter' as const)
const results: fc.Arbitrary<ChatResult> = fc
  .record({
    thought: fc.option(word),
    text: fc.option(word),
    calls: fc.array(fc.record({ name: fc.constantFrom('first', 'second'), input }), {
      maxLength: 3,
    }),
    finish: finishes,
    usage: usages,
  })
  .map(({ thought, text, calls, finish, usage }) => ({
    id: 'answer-1',
    created: 1_700_000_000,
    model: 'public',
    usage,
    choices: [
      {
        parts: [
          ...(thought !== null ? [{ type: 'reasoning' as const, text: thought }] : []),
          ...(text !== null || calls.length === 0
            ? [{ type: 'text' as const, text: text ?? 'hi' }]
            : []),
          ...calls.map((call, at) => ({ type: 'tool-call' as const, id: `call_${at}`, ...call })),
        ],
        finish: calls.length > 0 ? ('tool-calls' as const) : finish,
      },
    ],
  }))

type Gist = {
  thought: string
  text: string
  calls: unknown[]
  finish: string | undefined
  usage: unknown
}
const counts = ({ raw: _, estimated: __, ...buckets }: Usage): unknown => buckets

function gistOfResult({ choices, usage }: ChatResult): Gist {
  const parts = choices[0]?.parts ?? []
  const texts = (type: 'text' | 'reasoning') =>
    parts.map((part) => (part.type === type ? part.text : '')).join('')
  return {
    thought: texts('reasoning'),
    text: texts('text'),
    calls: parts.flatMap((part) =>
      part.type === 'tool-call' ? [[part.name, JSON.parse(part.input || '{}')]] : [],
    ),
    finish: choices[0]?.finish,
    usage: counts(usage),
  }
}

function gistOfEvents(events: readonly ChatEvent[]): Gist {
  const texts = (type: 'text' | 'reasoning') =>
    events.map((event) => (event.type === type ? event.text : '')).join('')
  const inputs = (index: number) =>
    events
      .map((event) => (event.type === 'tool-input' && event.index === index ? event.text : ''))
      .join('')
  const finish = events.findLast((event) => event.type === 'finish')
  const usage = events.findLast((event) => event.type === 'usage')
  return {
    thought: texts('reasoning'),
    text: texts('text'),
    calls: events.flatMap((event) =>
      event.type === 'tool-start' ? [[event.name, JSON.parse(inputs(event.index) || '{}')]] : [],
    ),
    finish: finish?.finish,
    usage: usage && counts(usage.usage),
  }
}

for (const wire of clients) {
  test(`${wire.id}: an answer survives encode and decode`, () => {
    fc.assert(
      fc.property(results, (result) => {
        const back = wire.decodeResult(wire.encodeResult(frozen(result), context), notesOf(wire))
        assert.deepEqual(gistOfResult(back), gistOfResult(result))
      }),
      runs,
    )
  })

  test(`${wire.id}: bytes that pass and what is decoded agree about a whole answer`, () => {
    fc.assert(
      fc.property(results, (result) => {
        const bytes = toUtf8(JSON.stringify(wire.encodeResult(result, context)))
        const pass = wire.native?.passResult(bytes, targetOf(wire), context)
        if (!pass) return
        const heard = wire.decodeResult(JSON.parse(utf8(bytes)), notesOf(wire))
        assert.deepEqual(pass.usage && counts(pass.usage), counts(heard.usage))
        const words = pass.text()
        const { text, thought } = gistOfResult(heard)
        assert.ok(words.includes(text) && words.includes(thought), words)
        const { body, encoding } = pass.encode(undefined)
        const shown = wire.decodeResult(
          JSON.parse(encoding === 'latin1' ? utf8(bytesOf(body)) : body),
          notesOf(wire),
        )
        assert.deepEqual(gistOfResult(shown), gistOfResult(result))
      }),
      runs,
    )
  })
}

/** The pieces of an answer in some order that a provider may tell them in: each call's own pieces stay in order. */
const streams: fc.Arbitrary<ChatEvent[]> = fc
  .tuple(results, fc.nat(3), fc.infiniteStream(fc.nat(9)))
  .map(([result, size, dice]) => {
    const events = eventsOf(result)
    const cut = events.flatMap((event): ChatEvent[] => {
      if (event.type !== 'text' && event.type !== 'reasoning' && event.type !== 'tool-input')
        return [event]
      const letters = [...event.text]
      const pieces: ChatEvent[] = []
      for (let at = 0; at < letters.length; ) {
        const next = at + 1 + ((dice.next().value ?? 0) % (size + 1))
        pieces.push({ ...event, text: letters.slice(at, next).join('') })
        at = next
      }
      return pieces
    })
    // Parallel calls may be told in turns.
    const calls = cut.filter((event) => event.type === 'tool-start' || event.type === 'tool-input')
    const first = cut.findIndex((event) => event.type === 'tool-start')
    if (first === -1 || (dice.next().value ?? 0) < 5) return cut
    const starts = calls.filter((event) => event.type === 'tool-start')
    const inputs = calls.filter((event) => event.type === 'tool-input')
    const queues = starts.map(({ index }) => inputs.filter((event) => event.index === index))
    const mixed: ChatEvent[] = [...starts]
    while (queues.some((queue) => queue.length > 0))
      for (const queue of queues) mixed.push(...queue.splice(0, 1 + ((dice.next().value ?? 0) % 2)))
    return [...cut.slice(0, first), ...mixed, ...cut.slice(first + calls.length)]
  })

const told = (wire: Wire, events: readonly ChatEvent[]): Uint8Array => {
  const encoder = wire.encodeStream(context)
  return toUtf8(events.map((event) => encoder.push(event)).join('') + encoder.end())
}
function framesOf(wire: ProviderWire, bytes: Uint8Array, size = Number.POSITIVE_INFINITY): Frame[] {
  const frames = openFrames(wire.framing, 1 << 24)
  const out: Frame[] = []
  for (let at = 0; at < bytes.length; at += size)
    out.push(...frames.push(bytes.subarray(at, at + size)))
  return [...out, ...frames.end()]
}
const inUtf8 = (frames: readonly Frame[]): Frame[] =>
  frames.map(({ event, data }) => ({ event, data: utf8(bytesOf(data)) }))
function heard(wire: ProviderWire, frames: readonly Frame[]): ChatEvent[] {
  const decoder = wire.decodeStream(notesOf(wire))
  return [...frames.flatMap((frame) => decoder.push(frame)), ...decoder.end()]
}

for (const wire of clients) {
  test(`${wire.id}: a stream survives encode and decode, however its bytes are cut`, () => {
    fc.assert(
      fc.property(streams, (events) => {
        const bytes = told(wire, events)
        const whole = heard(wire, inUtf8(framesOf(wire, bytes)))
        assert.deepEqual(gistOfEvents(whole), gistOfEvents(events))
        assert.ok(whole.every(({ type }) => type !== 'fault'))
        for (const size of [1, 2, 3, 7, 64])
          assert.deepEqual(heard(wire, inUtf8(framesOf(wire, bytes, size))), whole)
      }),
      runs,
    )
  })

  test(`${wire.id}: bytes that pass and what is decoded agree about a stream`, () => {
    fc.assert(
      fc.property(streams, (events) => {
        const pass = wire.native?.passStream(targetOf(wire), { ...context, model: 'prü✓' })
        if (!pass) return
        const frames = framesOf(wire, told(wire, events))
        const out = frames.map((frame) => pass.push(frame)).join('')
        const known = heard(wire, inUtf8(frames))
        const usage = known.findLast((event) => event.type === 'usage')
        assert.deepEqual(
          pass.usage() && counts(pass.usage() ?? noUsage),
          usage && counts(usage.usage),
        )
        const { text, thought } = gistOfEvents(known)
        if (thought === '') assert.ok(pass.text().includes(text))
        assert.equal(pass.content, true)
        const end = pass.end(undefined)
        assert.equal(pass.fault, undefined)
        const shown = heard(wire, inUtf8(framesOf(wire, bytesOf(out + end))))
        assert.deepEqual(gistOfEvents(shown), gistOfEvents(events))
      }),
      runs,
    )
  })

  test(`${wire.id}: a stream cut anywhere before its ending is a fault`, () => {
    const events: ChatEvent[] = [
      { type: 'start', id: 'i', model: 'm', created: 1 },
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ]
    const encoder = wire.encodeStream(context)
    const bytes = toUtf8(events.map((event) => encoder.push(event)).join(''))
    for (let at = 0; at <= bytes.length; at++) {
      const frames = framesOf(wire, bytes.subarray(0, at))
      assert.equal(heard(wire, inUtf8(frames)).at(-1)?.type, 'fault', `decoded, cut at ${at}`)
      const pass = wire.native?.passStream(targetOf(wire), context)
      if (!pass) continue
      const out = frames.map((frame) => pass.push(frame)).join('') + pass.end(undefined)
      assert.ok(pass.fault, `passed, cut at ${at}`)
      assert.doesNotMatch(out, /\[DONE\]|message_stop/)
    }
  })

  for (const kind of Object.keys(faults) as FaultKind[]) // the table's own keys
    test(`${wire.id}: ${kind} has a spelling`, () => {
      const error = new GatewayError(kind, 'say why', { cause: new Error('canary') })
      const body = wire.encodeError(error)
      const read = wire.decodeError({
        status: error.status,
        body: JSON.stringify(body),
        header: () => undefined,
      })
      assert.deepEqual([read.message, read.status], ['say why', error.status])
      const event = wire.encodeStreamError(error)
      assert.ok(event.endsWith('\n\n'))
      const frames = inUtf8(framesOf(wire, toUtf8(event)))
      assert.equal(frames.length, 1)
      const fault = heard(wire, frames).find((one) => one.type === 'fault')
      assert.equal(fault?.type === 'fault' && fault.error.message, 'say why')
      assert.doesNotMatch(JSON.stringify(body) + event, /canary/)
    })
}

/** Any JSON, with the names that wires look for in it. */
const names = fc.constantFrom(
  'type',
  'choices',
  'delta',
  'message',
  'content',
  'usage',
  'error',
  'candidates',
  'parts',
  'text',
  'tool_calls',
  'function',
  'index',
  'finish_reason',
  'content_block',
  'output',
  'code',
  'status',
  'messages',
  'role',
  'tools',
  'contentBlockDelta',
  'response',
  'constructor',
  '__proto__',
)
const { wild } = fc.letrec<{ wild: Json }>((tie) => ({
  wild: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.oneof(
      fc.constantFrom<Json[]>('text', 'stop', 'tool_use', 'error', '', null, true, 0, -1, 1e308),
      fc.string(),
      fc.double({ noNaN: true }),
    ),
    fc.array(tie('wild'), { maxLength: 3 }),
    fc
      .array(fc.tuple(names, tie('wild')), { maxLength: 4 })
      .map((members): Json => Object.fromEntries(members)),
  ),
}))
const objects = wild.map(
  (value): JsonObject =>
    isObject(value)
      ? value
      : { choices: [value], content: [value], message: value, candidates: [value], error: value },
)

const only = (attempt: () => unknown): void => {
  try {
    attempt()
  } catch (error) {
    if (!GatewayError.is(error)) throw error
  }
}

for (const wire of all)
  test(`${wire.id}: nothing but GatewayError is thrown for any JSON`, () => {
    const target = targetOf(wire)
    fc.assert(
      fc.property(
        fc.array(objects, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 400, max: 599 }),
        (bodies, status) => {
          const texts = bodies.map((body) => JSON.stringify(body))
          // A decoder answers with events: for what a provider says it never throws at all.
          const events = heard(
            wire,
            texts.map((data) => ({ event: 'x', data })),
          )
          assert.ok(events.filter(({ type }) => type === 'fault').length <= 1)
          heard(
            wire,
            texts.map((data) => ({ event: undefined, data: data.slice(0, -1) })),
          )
          for (const [at, body] of bodies.entries()) {
            only(() => wire.decodeResult(structuredClone(body), notesOf(wire)))
            const error = wire.decodeError({
              status,
              body: texts[at] ?? '',
              header: () => undefined,
            })
            assert.ok(GatewayError.is(error) && Object.hasOwn(faults, error.kind))
            if (!isClient(wire)) continue
            only(() => wire.encodeRequest(wire.decodeRequest(structuredClone(body)), target))
            only(() =>
              wire.encodeResult(wire.decodeResult(structuredClone(body), notesOf(wire)), context),
            )
            only(() => wire.native?.adaptRequest(structuredClone(body), target))
            only(() => {
              const pass = wire.native?.passResult(toUtf8(texts[at] ?? ''), target, context)
              return [pass?.text(), pass?.encode({ ...noUsage, input: 1 })]
            })
          }
          if (!isClient(wire)) return
          const pass = wire.native?.passStream(target, context)
          const said = texts.map((data) => pass?.push({ event: undefined, data }))
          assert.ok(said.every((one) => one === undefined || one === '' || one.endsWith('\n\n')))
          pass?.text()
          pass?.usage()
          pass?.end(undefined)
          const encoder = wire.encodeStream(context)
          for (const event of events) encoder.push(event)
          encoder.end()
        },
      ),
      { numRuns: 80 },
    )
  })
