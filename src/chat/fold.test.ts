import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { type ChatEvent, type ChatResult, noUsage, type Part } from './chat.ts'
import { eventsOf, foldEvents } from './fold.ts'

const result = (parts: Part[], more: Partial<ChatResult> = {}): ChatResult => ({
  id: 'i',
  created: 1,
  model: 'm',
  usage: noUsage,
  choices: [{ parts, finish: 'stop' }],
  ...more,
})

const rows: [name: string, parts: Part[], events: ChatEvent[]][] = [
  [
    'text and its annotations',
    [{ type: 'text', text: 'a', annotations: [{ type: 'x' }] }],
    [
      { type: 'text', text: 'a' },
      { type: 'annotation', annotation: { type: 'x' } },
    ],
  ],
  [
    'a signed thought',
    [{ type: 'reasoning', text: 'h', signature: 's' }],
    [
      { type: 'reasoning', text: 'h' },
      { type: 'signature', signature: 's' },
    ],
  ],
  [
    'a thought that is encrypted',
    [{ type: 'reasoning', text: '', redacted: 'd' }],
    [{ type: 'redacted', data: 'd' }],
  ],
  ['a refusal', [{ type: 'refusal', text: 'no' }], [{ type: 'refusal', text: 'no' }]],
  [
    'calls, numbered',
    [
      { type: 'tool-call', id: 'a', name: 'f', input: '{}' },
      { type: 'text', text: 't' },
      { type: 'tool-call', id: 'b', name: 'g', input: '', kind: 'custom', signature: 's' },
    ],
    [
      { type: 'tool-start', index: 0, id: 'a', name: 'f' },
      { type: 'tool-input', index: 0, text: '{}' },
      { type: 'text', text: 't' },
      { type: 'tool-start', index: 1, id: 'b', name: 'g', kind: 'custom', signature: 's' },
    ],
  ],
  [
    'media and blocks',
    [
      { type: 'media', media: 'image', source: { type: 'url', url: 'u' } },
      { type: 'raw', wire: 'w', value: { a: 1 } },
    ],
    [
      { type: 'media', part: { type: 'media', media: 'image', source: { type: 'url', url: 'u' } } },
      { type: 'raw', wire: 'w', value: { a: 1 } },
    ],
  ],
  ['nothing', [], []],
]
for (const [name, parts, events] of rows)
  test(name, () => {
    assert.deepEqual(eventsOf(result(parts)), [
      { type: 'start', id: 'i', model: 'm', created: 1 },
      ...events,
      { type: 'finish', finish: 'stop' },
      { type: 'usage', usage: noUsage },
    ])
  })

test('each choice has its own calls, its own ending and what else was said of it', () => {
  const call: Part = { type: 'tool-call', id: 'a', name: 'f', input: '' }
  const events = eventsOf(
    result([], {
      extras: { fingerprint: 'x' },
      choices: [
        { parts: [call], finish: 'tool-calls', reason: 'tool_use' },
        { parts: [call], finish: 'length', extras: { e: 1 }, logprobs: { l: 1 } },
      ],
    }),
  )
  assert.deepEqual(events.slice(1, -1), [
    { type: 'extras', extras: { fingerprint: 'x' }, of: 'result' },
    { type: 'tool-start', index: 0, id: 'a', name: 'f' },
    { type: 'finish', finish: 'tool-calls', reason: 'tool_use' },
    { type: 'tool-start', index: 0, id: 'a', name: 'f', choice: 1 },
    { type: 'extras', extras: { e: 1 }, of: 'message', choice: 1 },
    { type: 'logprobs', logprobs: { l: 1 }, choice: 1 },
    { type: 'finish', finish: 'length', choice: 1 },
  ])
})

for (const [name, parts] of rows)
  test(`told as a stream and folded, it is the same: ${name}`, () => {
    const whole = result(structuredClone(parts), {
      usage: { ...noUsage, input: 3, output: 1 },
      extras: { citations: ['c'] },
    })
    const folded = foldEvents()
    for (const event of eventsOf(whole)) folded.push(event)
    assert.deepEqual(folded.result(), whole)
  })

test('pieces become parts, each choice its own', () => {
  const folded = foldEvents()
  const events: ChatEvent[] = [
    { type: 'start', id: 'i', model: 'm', created: 1 },
    { type: 'reasoning', text: 'h' },
    { type: 'reasoning', text: 'm' },
    { type: 'signature', signature: 's' },
    { type: 'reasoning', text: 'again' },
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
    { type: 'text', text: 'other', choice: 1 },
    { type: 'tool-start', index: 0, id: 'c', name: 'f' },
    { type: 'ping' },
    { type: 'tool-input', index: 0, text: '{' },
    { type: 'tool-input', index: 0, text: '}' },
    { type: 'finish', finish: 'tool-calls' },
    { type: 'finish', finish: 'length', reason: 'max', choice: 1 },
    { type: 'text', text: 'far', choice: 1e9 },
  ]
  for (const event of events) folded.push(event)
  const { choices } = folded.result()
  assert.deepEqual(choices.slice(0, 2), [
    {
      parts: [
        { type: 'reasoning', text: 'hm', signature: 's' },
        { type: 'reasoning', text: 'again' },
        { type: 'text', text: 'ab' },
        { type: 'tool-call', id: 'c', name: 'f', input: '{}' },
      ],
      finish: 'tool-calls',
    },
    { parts: [{ type: 'text', text: 'other' }], finish: 'length', reason: 'max' },
  ])
  assert.equal(choices.length, 128, 'no provider fills the memory with choices')
})

test('a fault of the stream is thrown', () => {
  const folded = foldEvents()
  folded.push({ type: 'text', text: 'a' })
  folded.push({ type: 'fault', error: new GatewayError('provider', 'gone') })
  assert.throws(() => folded.result(), { message: 'gone' })
})
