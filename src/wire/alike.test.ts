import { deepEqual, doesNotMatch, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { join } from '../call/transport.ts'
import { bytesOf, bytewise, toUtf8, utf8 } from '../json/latin1.ts'
import { Alike } from './alike.ts'
import { Heard } from './heard.ts'
import { context, target } from './openai-chat/chunks.test.ts'
import { type Crossing, relayStream } from './relay.ts'
import { wires } from './wires.ts'

const openai = (delta: object, more: object = {}): string =>
  JSON.stringify({
    id: 'i',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm-2',
    choices: [{ index: 0, delta, finish_reason: null }],
    ...more,
  })
const block = (delta: object): string =>
  JSON.stringify({ type: 'content_block_delta', index: 0, delta })
const named = (data: string): string => `event: ${JSON.parse(data).type}\ndata: ${data}\n\n`

type Native = 'openai-chat' | 'anthropic'
const streams: [wire: Native, begin: string[], deltas: ((said: string) => string)[]][] = [
  [
    'openai-chat',
    [openai({ role: 'assistant', content: 'a' }), openai({ content: 'b' })].map(
      (data) => `data: ${data}\n\n`,
    ),
    [
      (said) => `data: ${openai({ content: said })}\n\n`,
      (said) => `data: ${openai({ content: said }, { usage: null })}\n\n`,
      (said) => `data: ${openai({ content: said }, { obfuscation: said })}\n\n`,
      (said) => `data: ${openai({ content: said, reasoning_content: said })}\n\n`,
      (said) =>
        `data: ${openai({ tool_calls: [{ index: 0, function: { arguments: said } }] })}\n\n`,
      (said) => `data: ${openai({ content: said }, { usage: { prompt_tokens: 1 } })}\n\n`,
      (said) => `data:${openai({ content: said })}\r\n\r\n`,
      (said) => `data: ${openai({ reasoning: said })}\n\n`,
      (said) => `: ${said.replaceAll(/[\r\n]/g, ' ')}\n\n`,
    ],
  ],
  [
    'anthropic',
    [
      named('{"type":"message_start","message":{"id":"i","model":"m-2","usage":{}}}'),
      named('{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
    ],
    [
      (said) => named(block({ type: 'text_delta', text: said })),
      (said) => `data: ${block({ type: 'text_delta', text: said })}\n\n`,
      (said) => named(block({ type: 'input_json_delta', partial_json: said })),
      (said) => `event: other\ndata: ${block({ type: 'thinking_delta', thinking: said })}\n\n`,
      () => named('{"type":"ping"}'),
    ],
  ],
]
const crossing = (id: Native, secrets: string[] = []): Crossing => ({
  from: wires[id],
  to: wires[id],
  native: wires[id].native,
  target,
  notes: { model: 'm' },
  context: { ...context, model: 'prü"✓' },
  secrets,
})

function carried(reads: readonly Uint8Array[], way: Crossing) {
  const relay = relayStream(way, 1 << 20)
  const out = reads.map((read) => relay.push(read) ?? new Uint8Array())
  return { text: utf8(join(out)), said: relay.text(), fault: relay.fault }
}

const inPairs = (events: readonly Uint8Array[]): Uint8Array[] =>
  events.flatMap((_, at) => (at % 2 === 0 ? [join(events.slice(at, at + 2))] : []))

const pieces = fc.oneof(
  fc.string({ maxLength: 20, unit: 'grapheme' }),
  fc.constantFrom(
    '"',
    '\\',
    '\\"',
    'a\n\nb',
    '"error":',
    '","usage":{',
    '\u{1f600}',
    'm-2',
    'prü"✓',
    '',
  ),
)
for (const [id, begin, deltas] of streams)
  test(`law, ${id}: an event a read means what it does among others and cut in two`, () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(0, 0, 0, ...deltas.keys()), fc.array(pieces)), {
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 400 }),
        (runs, size) => {
          const said = runs.flatMap(([how, some]) =>
            some.map((piece) => deltas[how]?.(piece) ?? ''),
          )
          const events = [...begin, ...said].map(toUtf8)
          const all = join(events)
          const cuts: Uint8Array[] = []
          for (let at = 0; at < all.length; at += size) cuts.push(all.subarray(at, at + size))
          const whole = carried([all], crossing(id))
          deepEqual(carried(events, crossing(id)), whole)
          deepEqual(carried(cuts, crossing(id)), whole)
          deepEqual(carried(inPairs(events), crossing(id)), whole)
        },
      ),
      { numRuns: 150 },
    )
  })

const event = (said: string): string => `data: {"model":"m","text":"${said}","end":1}\n\n`
const learned = (): { alike: Alike; heard: Heard } => {
  const heard = new Heard(/"text":(?=")/g)
  const alike = new Alike(heard)
  alike.learn(event('one'), event('one').replace('"m"', '"shown"'))
  return { alike, heard }
}

test('what is alike passes with its own words', () => {
  const { alike, heard } = learned()
  for (const said of ['two', '', String.raw`say \"hi\" \\`, bytewise('grün')]) {
    const piece = alike.pieceAt(event(said), 0)
    equal(piece, said)
    equal(alike.around(said), event(said).replace('"m"', '"shown"'))
  }
  equal(heard.text(), 'twosay "hi" \\grün')
  equal(bytesOf(alike.around(bytewise('ü'))).length, toUtf8(event('ü')).length + 4)
})

const others: [name: string, read: string][] = [
  ['another member', event('a').replace('"end":1', '"end":2')],
  ['one more member', event('a').replace(',"end"', ',"error":{},"end"')],
  ['another beginning', event('a').replace('"m"', '"n"')],
  ['a piece with no end', event('a\\')],
  ['cut short', event('a').slice(0, -1)],
  ['a line end in the piece', event('a\nb')],
  ['an event in the piece', event('a\n\ndata: b')],
  ['the rest of an event', event('a').slice(6)],
  ['nothing', ''],
]
for (const [name, read] of others)
  test(`not alike: ${name}`, () => equal(learned().alike.pieceAt(read, 0), undefined))

test('alike: one event after another', () => {
  const { alike } = learned()
  const read = event('a') + event('bc') + event('d')
  equal(alike.pieceAt(read, alike.lengthOf('a')), 'bc')
  equal(alike.lengthOf('a') + alike.lengthOf('bc') + alike.lengthOf('d'), read.length)
})

test('an event of two pieces, or of none, teaches nothing', () => {
  const { alike } = learned()
  const two = 'data: {"text":"a","text":"b"}\n\n'
  for (const said of [two, 'data: {}\n\n', 'data: {"text":"a\n\n']) alike.learn(said, said)
  equal(alike.pieceAt(two, 0), undefined)
  equal(alike.pieceAt(event('two'), 0), 'two', 'what was known is known still')
})

test('secrets are hidden in what is alike, and around it', () => {
  const [, , [delta = () => ''] = []] = streams[0] ?? []
  const of = (said: string, from = 'm-2') => toUtf8(delta(said).replace('m-2', from))
  const way = crossing('openai-chat', ['sk-canary-1'])
  const inside = carried(
    ['a', 'b', 'c', 'sk-canary-1', 'd'].map((said) => of(said)),
    way,
  )
  doesNotMatch(inside.text, /canary/)
  match(inside.text, /\[redacted\]/)
  const id = (said: string) => toUtf8(delta(said).replace('"i"', '"sk-canary-1"'))
  const around = carried(['a', 'b', 'c', 'd'].map(id), way)
  doesNotMatch(around.text, /canary/)
  equal(around.text.match(/redacted/g)?.length, 4)
})
