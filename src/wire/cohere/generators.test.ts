import fc from 'fast-check'
import type { ChatEvent, ChatRequest, Part } from '../../chat/chat.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../../json/latin1.ts'
import { openFrames } from '../framing/frames.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Notes, ProviderWire, Target } from '../wire.ts'

export const targetOf = (provider: string, model: string, more: Partial<Target> = {}): Target => ({
  provider,
  model,
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
  ...more,
})

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

/** The parts a stream comes to, in the order in which they began. */
export function partsOf(events: readonly ChatEvent[]): Part[] {
  const parts: Part[] = []
  const calls = new Map<number, Extract<Part, { type: 'tool-call' }>>()
  for (const event of events) {
    const last = parts.at(-1)
    if (event.type === 'text' || event.type === 'reasoning') {
      if (last?.type === event.type) last.text += event.text
      else parts.push({ type: event.type, text: event.text })
    } else if (event.type === 'tool-start') {
      const { id, name, kind } = event
      const call = { type: 'tool-call' as const, id, name, input: '', ...(kind && { kind }) }
      calls.set(event.index, call)
      parts.push(call)
    } else if (event.type === 'tool-input') {
      const call = calls.get(event.index)
      if (call) call.input += event.text
    }
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
