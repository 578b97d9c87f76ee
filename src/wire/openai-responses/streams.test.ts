import fc from 'fast-check'
import { type ChatEvent, noUsage } from '../../chat/chat.ts'
import { inputRecords } from '../testing.test.ts'

const words = fc.string({ minLength: 1, maxLength: 6 })
const anyEvent: fc.Arbitrary<ChatEvent> = fc.oneof(
  words.map((said): ChatEvent => ({ type: 'text', text: said })),
  words.map((said): ChatEvent => ({ type: 'reasoning', text: said })),
  words.map((signature): ChatEvent => ({ type: 'signature', signature })),
  words.map((data): ChatEvent => ({ type: 'redacted', data })),
  words.map((said): ChatEvent => ({ type: 'refusal', text: said })),
  fc.constantFrom<ChatEvent>(
    { type: 'ping' },
    { type: 'text', text: '' },
    { type: 'text', text: 'of another choice', choice: 1 },
    {
      type: 'annotation',
      annotation: { type: 'url_citation', url_citation: { url: 'https://e.com', title: 'E' } },
    },
    { type: 'annotation', annotation: { type: 'char_location', cited_text: 'x' } },
    { type: 'logprobs', logprobs: { content: [{ token: 'a', logprob: -1, top_logprobs: [] }] } },
    { type: 'raw', wire: 'other', value: { type: 'x' } },
    { type: 'raw', wire: 'openai-responses', value: { type: 'web_search_call', id: 'ws_1' } },
    {
      type: 'media',
      part: {
        type: 'media',
        media: 'image',
        source: { type: 'bytes', mime: 'image/png', base64: 'iVBO' },
      },
    },
    {
      type: 'media',
      part: { type: 'media', media: 'image', source: { type: 'url', url: 'https://e.com/i.png' } },
    },
    { type: 'audio', audio: { data: 'UklG', transcript: 'hi' } },
    { type: 'extras', of: 'result', extras: { service_tier: 'flex' } },
    { type: 'finish', finish: 'stop' },
    { type: 'finish', finish: 'length' },
    { type: 'usage', usage: { ...noUsage, input: 3, output: 4 } },
  ),
)

/** Each call's events in order, all of them shuffled into the others. */
export const anyStream: fc.Arbitrary<ChatEvent[]> = fc
  .tuple(
    fc.array(anyEvent, { maxLength: 12 }),
    fc.uniqueArray(
      fc.tuple(
        fc.nat(3),
        fc.option(inputRecords, { nil: undefined }),
        words,
        fc.nat(9),
        fc.boolean(),
      ),
      { selector: ([index]) => index, maxLength: 4 },
    ),
    fc.array(fc.nat(100), { minLength: 40, maxLength: 40 }),
  )
  .map(([others, called, dice]) => {
    const queues: ChatEvent[][] = called.map(([index, input, free, cut, signed]) => {
      const said = input === undefined ? free : JSON.stringify(input)
      return [
        {
          type: 'tool-start',
          index,
          id: `call_${index}`,
          name: 'f',
          ...(input === undefined && { kind: 'custom' as const }),
          ...(signed && { signature: 'sig' }),
        },
        { type: 'tool-input', index, text: said.slice(0, cut) },
        { type: 'tool-input', index, text: said.slice(cut) },
      ]
    })
    queues.push([...others])
    const events: ChatEvent[] = [{ type: 'start', id: 'x', model: 'y', created: 0 }]
    for (let at = 0; ; at++) {
      const left = queues.filter((queue) => queue.length > 0)
      const next = left[(dice[at % dice.length] ?? 0) % Math.max(left.length, 1)]?.shift()
      if (!next) return events
      events.push(next)
    }
  })
