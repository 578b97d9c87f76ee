import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { ChatEvent, ChatRequest, ChatResult, Part } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, text } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import { openFrames } from './framing/frames.ts'
import { openaiChat } from './openai-chat/wire.ts'
import type { ClientContext, Frame, Notes, ProviderWire, Target, Wire } from './wire.ts'

/** What the tests of the wires share: how to ask and to hear one, generators, and laws that hold for all of them. */

export const context: ClientContext = {
  model: 'public',
  requestId: 'r-1',
  created: 1_700_000_000,
  streamUsage: true,
  choices: 1,
}

export const targetOf = (provider: string, model: string, more: Partial<Target> = {}): Target => ({
  provider,
  model,
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
  ...more,
})

/** The same for a wire of one provider. */
export const targetsOf =
  (provider: string) =>
  (model: string, more: Partial<Target> = {}): Target =>
    targetOf(provider, model, more)

/** A request as an OpenAI client words it. */
export const asked = (body: JsonObject): ChatRequest => ({
  ...openaiChat.decodeRequest({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], ...body }),
  dialect: 'openai-chat',
})

/** What a decoder hears of bytes that come in pieces; the cuts are lengths, used in turn. */
export function heard(
  wire: ProviderWire,
  stream: string,
  cuts: readonly number[],
  notes: Notes = { model: 'm' },
): ChatEvent[] {
  const bytes = toUtf8(stream)
  const frames = openFrames(wire.framing, 1_000_000)
  const decoder = wire.decodeStream(notes)
  const events: ChatEvent[] = []
  const take = (batch: ReturnType<typeof frames.push>) => {
    for (const { event, data } of batch)
      events.push(...decoder.push({ event, data: utf8(bytesOf(data)) }))
  }
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = Math.max(1, cuts[turn % cuts.length] ?? bytes.length)
    take(frames.push(bytes.subarray(at, at + length)))
    at += length
  }
  take(frames.end())
  return [...events, ...decoder.end()]
}

/** What a wire writes for a client, and what it hears of a provider, in whole frames. */
export const bothWays = (wire: Wire, as: ClientContext = context) => ({
  told(events: readonly ChatEvent[]): string {
    const encoder = wire.encodeStream(as)
    return events.map((event) => encoder.push(event)).join('') + encoder.end()
  },
  heard(frames: readonly Frame[]): ChatEvent[] {
    const decoder = wire.decodeStream({ model: 'm' })
    return [...frames.flatMap((frame) => decoder.push(frame)), ...decoder.end()]
  },
})

/** What a client reads from the bytes of a stream whose events have names; data must be one line, as our wires write it. */
export const framesOf = (stream: string): Frame[] =>
  stream
    .split('\n\n')
    .filter((block) => block !== '' && !block.startsWith(':'))
    .map((block) => {
      const [event = '', data = '', ...rest] = block.split('\n')
      const lawful = rest.length === 0 && event.startsWith('event: ') && data.startsWith('data: ')
      assert.ok(lawful, `no event: ${block}`)
      return { event: event.slice(7), data: data.slice(6) }
    })

/** Events that have their type for a name. */
export const framed = (events: readonly JsonObject[]): Frame[] =>
  events.map((event) => ({ event: text(event.type), data: JSON.stringify(event) }))

/** A decoded answer without what only a provider's own words can be. */
export const withoutRaw = ({ usage, ...result }: ChatResult): unknown => {
  const { raw: _, ...counts } = usage
  return { ...result, model: 'm', usage: counts }
}

/** What a stream's events come to, in the shape of a whole answer's choice. */
export function partsOf(events: readonly ChatEvent[]): Part[] {
  const parts: Part[] = []
  const calls = new Map<number, Extract<Part, { type: 'tool-call' }>>()
  let thinking = false
  for (const event of events) {
    const last = parts.at(-1)
    if (event.type === 'text') {
      if (last?.type === 'text') last.text += event.text
      else parts.push({ type: 'text', text: event.text })
    } else if (event.type === 'annotation') {
      const said = parts.findLast((part) => part.type === 'text')
      if (said) said.annotations = [...(said.annotations ?? []), event.annotation]
    } else if (event.type === 'refusal') parts.push({ type: 'refusal', text: event.text })
    else if (event.type === 'reasoning') {
      if (thinking && last?.type === 'reasoning') last.text += event.text
      else parts.push({ type: 'reasoning', text: event.text })
    } else if (event.type === 'signature') {
      if (thinking && last?.type === 'reasoning') last.signature = event.signature
      else parts.push({ type: 'reasoning', text: '', signature: event.signature })
    } else if (event.type === 'redacted')
      parts.push({ type: 'reasoning', text: '', redacted: event.data })
    else if (event.type === 'tool-start') {
      const { index, id, name, kind, signature } = event
      const call = {
        type: 'tool-call' as const,
        id,
        name,
        input: '',
        ...(kind && { kind }),
        ...(signature !== undefined && { signature }),
      }
      calls.set(index, call)
      parts.push(call)
    } else if (event.type === 'tool-input') {
      const call = calls.get(event.index)
      if (call) call.input += event.text
    } else if (event.type === 'media') parts.push(event.part)
    else if (event.type === 'raw') parts.push({ type: 'raw', wire: event.wire, value: event.value })
    thinking = event.type === 'reasoning'
  }
  return parts
}

export const word = fc.oneof(
  fc.string({ minLength: 1, maxLength: 8 }),
  fc.constantFrom('Zürich ✓', '🌍', '\n', '"', '\\u0000', '[DONE]'),
)
export const inputs = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(word, fc.nat(9)), {
  noNullPrototype: true,
})
/** What tools are called with. */
export const inputRecords = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,5}$/),
  fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
  { maxKeys: 3, noNullPrototype: true },
)
export const cutting = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 })

/** JSON with real keys and types, and any values. */
export const wildJson = (keys: string, values: string): fc.Arbitrary<JsonObject> =>
  fc.letrec<{ node: Json; object: JsonObject }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Json>(null, true, false, 0, -1, 1e300, '', ...values.split(/\s+/)),
      fc.array(tie('node'), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.constantFrom(...keys.split(/\s+/), '__proto__'), tie('node'), {
      maxKeys: 6,
      noNullPrototype: true,
    }),
  })).object

/** Calls of tools, by index, and where to cut what they are called with. */
export const toolCalls = (words: fc.Arbitrary<string>) =>
  fc.uniqueArray(
    fc.tuple(
      fc.nat(3),
      fc.dictionary(fc.constantFrom('a', 'b'), words, { noNullPrototype: true }),
      fc.nat(3),
    ),
    { selector: ([index]) => index, maxLength: 4 },
  )

/** The events of each call in order, all of them and the others shuffled into each other. */
export function shuffledCalls(
  others: readonly ChatEvent[],
  called: readonly (readonly [index: number, input: object, cut: number])[],
  dice: Iterator<number>,
  prefix: string,
): ChatEvent[] {
  const queues: ChatEvent[][] = called.map(([index, input, cut]) => {
    const json = JSON.stringify(input)
    return [
      { type: 'tool-start', index, id: `${prefix}${index}`, name: 'f' },
      ...[json.slice(0, cut), json.slice(cut)].map(
        (said): ChatEvent => ({ type: 'tool-input', index, text: said }),
      ),
    ]
  })
  queues.push([...others])
  const events: ChatEvent[] = [{ type: 'start', id: 'x', model: 'y', created: 0 }]
  for (;;) {
    const left = queues.filter((queue) => queue.length > 0)
    const next = left[(dice.next().value ?? 0) % Math.max(left.length, 1)]?.shift()
    if (!next) return events
    events.push(next)
  }
}

/** Whatever a body is: it is understood, or refused in our own words. */
export function refusesInOwnWords(
  wild: fc.Arbitrary<JsonObject>,
  tries: readonly ((body: JsonObject) => unknown)[],
  numRuns = 300,
): void {
  fc.assert(
    fc.property(wild, (body) => {
      for (const attempt of tries)
        try {
          attempt(body)
        } catch (error) {
          if (!GatewayError.is(error)) throw error
        }
    }),
    { numRuns },
  )
}

/** A stream that breaks off before its end, wherever, is one fault. */
export function breaksAreFaults(
  wire: ProviderWire,
  streams: fc.Arbitrary<string>,
  endOf: (stream: string) => number,
): void {
  fc.assert(
    fc.property(streams, fc.nat(100), (stream, share) => {
      const events = heard(wire, stream.slice(0, Math.floor((endOf(stream) * share) / 100)), [7])
      assert.equal(events.at(-1)?.type, 'fault')
      assert.equal(events.filter((event) => event.type === 'fault').length, 1)
    }),
    { numRuns: 60 },
  )
}

/** Frames that are no JSON are one fault, and then silence. */
export function fallsSilent(
  wire: ProviderWire,
  event: string | undefined,
  more: (data: string) => void = () => {},
): void {
  fc.assert(
    fc.property(fc.string(), (data) => {
      let value: unknown
      try {
        value = JSON.parse(data)
      } catch {
        /* as wanted */
      }
      fc.pre(data !== '' && data !== '[DONE]' && !isObject(value))
      const decoder = wire.decodeStream({ model: 'm' })
      const frame = { event, data }
      const events = [...decoder.push(frame), ...decoder.push(frame), ...decoder.end()]
      assert.deepEqual(
        events.map(({ type }) => type),
        ['fault'],
      )
      more(data)
    }),
    { numRuns: 50 },
  )
}
