import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ChatEvent, noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object } from '../../json/json.ts'
import { latin1, toUtf8 } from '../../json/latin1.ts'
import type { ClientContext } from '../wire.ts'
import { context, specs, target, write } from './chunks.test.ts'
import { passStream } from './pass.ts'
import { decodeStream, encodeStream } from './stream.ts'

const heard = (frames: readonly Json[]): ChatEvent[] => {
  const decoder = decodeStream({ model: 'm' })
  const said = frames.flatMap((frame) =>
    decoder.push({
      event: undefined,
      data: typeof frame === 'string' ? frame : JSON.stringify(frame),
    }),
  )
  return [...said, ...decoder.end()]
}
const chunk = (choice: JsonObject | undefined, more: JsonObject = {}): JsonObject => ({
  id: 'c1',
  created: 5,
  model: 'gpt-x',
  choices: choice ? [{ index: 0, ...choice }] : [],
  ...more,
})
const delta = (said: JsonObject, more: JsonObject = {}): JsonObject =>
  chunk({ delta: said, ...more })
const start: ChatEvent = { type: 'start', id: 'c1', model: 'gpt-x', created: 5 }
const stop = chunk({ delta: {}, finish_reason: 'stop' })
const stopped: ChatEvent = { type: 'finish', finish: 'stop', reason: 'stop' }
const call = (tool: JsonObject): JsonObject => delta({ tool_calls: [tool] })

const rows: [name: string, frames: Json[], events: ChatEvent[]][] = [
  [
    'text',
    [delta({ role: 'assistant', content: '' }), delta({ content: 'a' })],
    [{ type: 'text', text: 'a' }],
  ],
  ['reasoning_content', [delta({ reasoning_content: 'h' })], [{ type: 'reasoning', text: 'h' }]],
  ['reasoning', [delta({ reasoning: 'h' })], [{ type: 'reasoning', text: 'h' }]],
  ['reasoning_text', [delta({ reasoning_text: 'h' })], [{ type: 'reasoning', text: 'h' }]],
  [
    'a signature',
    [
      delta({
        thinking_blocks: [
          { type: 'thinking', thinking: '', signature: 's' },
          { type: 'redacted_thinking', data: 'd' },
        ],
      }),
    ],
    [
      { type: 'signature', signature: 's' },
      { type: 'redacted', data: 'd' },
    ],
  ],
  [
    "Magistral's parts",
    [
      delta({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'h' }] }] }),
      delta({ content: [{ type: 'text', text: 'a' }] }),
    ],
    [
      { type: 'reasoning', text: 'h' },
      { type: 'text', text: 'a' },
    ],
  ],
  ['a refusal', [delta({ refusal: 'no' })], [{ type: 'refusal', text: 'no' }]],
  [
    'an annotation',
    [delta({ annotations: [{ type: 'x' }] })],
    [{ type: 'annotation', annotation: { type: 'x' } }],
  ],
  ['audio', [delta({ audio: { id: 'a' } })], [{ type: 'audio', audio: { id: 'a' } }]],
  [
    'logprobs',
    [delta({ content: 'a' }, { logprobs: { content: [] } })],
    [
      { type: 'text', text: 'a' },
      { type: 'logprobs', logprobs: { content: [] } },
    ],
  ],
  [
    'parallel calls, interleaved',
    [
      call({ index: 0, id: 'x', function: { name: 'f', arguments: '' } }),
      call({ index: 1, id: 'y', function: { name: 'g', arguments: '{' } }),
      call({ index: 0, function: { arguments: '{}' } }),
      call({ index: 1, function: { arguments: '}' } }),
    ],
    [
      { type: 'tool-start', index: 0, id: 'x', name: 'f' },
      { type: 'tool-start', index: 1, id: 'y', name: 'g' },
      { type: 'tool-input', index: 1, text: '{' },
      { type: 'tool-input', index: 0, text: '{}' },
      { type: 'tool-input', index: 1, text: '}' },
    ],
  ],
  [
    'calls that all say index 0, or none',
    [
      call({ index: 0, id: 'x', function: { name: 'f', arguments: '{}' } }),
      call({ index: 0, id: 'y', function: { name: 'f', arguments: '[]' } }),
      delta({ tool_calls: [{ id: 'z', function: { name: 'f', arguments: { a: 1 } } }] }),
    ],
    [
      { type: 'tool-start', index: 0, id: 'x', name: 'f' },
      { type: 'tool-input', index: 0, text: '{}' },
      { type: 'tool-start', index: 1, id: 'y', name: 'f' },
      { type: 'tool-input', index: 1, text: '[]' },
      { type: 'tool-start', index: 2, id: 'z', name: 'f' },
      { type: 'tool-input', index: 2, text: '{"a":1}' },
    ],
  ],
  [
    'an id said again is the same call',
    [
      call({ index: 0, id: 'x', function: { name: 'f', arguments: '{' } }),
      call({ index: 0, id: 'x', function: { name: 'f', arguments: '}' } }),
    ],
    [
      { type: 'tool-start', index: 0, id: 'x', name: 'f' },
      { type: 'tool-input', index: 0, text: '{' },
      { type: 'tool-input', index: 0, text: '}' },
    ],
  ],
  [
    'a custom tool',
    [
      call({ index: 0, id: 'x', type: 'custom', custom: { name: 'f', input: '' } }),
      call({ index: 0, custom: { input: 'ls' } }),
    ],
    [
      { type: 'tool-start', index: 0, id: 'x', name: 'f', kind: 'custom' },
      { type: 'tool-input', index: 0, text: 'ls' },
    ],
  ],
  [
    'the old function_call',
    [
      delta({ function_call: { name: 'f', arguments: '' } }),
      delta({ function_call: { arguments: '{}' } }),
    ],
    [
      { type: 'tool-start', index: 0, id: 'call_0_0', name: 'f' },
      { type: 'tool-input', index: 0, text: '{}' },
    ],
  ],
  [
    "Gemini's thought signature",
    [
      call({
        index: 0,
        id: 'x',
        function: { name: 'f' },
        extra_content: { google: { thought_signature: 'ts' } },
      }),
    ],
    [{ type: 'tool-start', index: 0, id: 'x', name: 'f', signature: 'ts' }],
  ],
  [
    'a finish_reason that is empty is none',
    [delta({ content: 'a' }, { finish_reason: '' })],
    [{ type: 'text', text: 'a' }],
  ],
  [
    'what every frame repeats is told once',
    [
      chunk(undefined, { system_fingerprint: 'fp' }),
      chunk(undefined, { system_fingerprint: 'fp' }),
    ],
    [{ type: 'extras', extras: { system_fingerprint: 'fp' }, of: 'result' }],
  ],
  ['heartbeats', [chunk(undefined), '', ' '], []],
]
for (const [name, frames, events] of rows)
  test(`heard: ${name}`, () =>
    assert.deepEqual(heard([...frames, stop, '[DONE]']), [start, ...events, stopped]))

test('heard: choices are told apart, and all of them have to end', () => {
  const frame = (index: number, finish_reason: string | null): JsonObject => ({
    ...chunk(undefined),
    choices: [{ index, delta: { content: 'x' }, finish_reason }],
  })
  assert.deepEqual(heard([frame(0, null), frame(1, 'stop'), frame(0, 'length')]).slice(1), [
    { type: 'text', text: 'x' },
    { type: 'text', text: 'x', choice: 1 },
    { type: 'finish', finish: 'stop', reason: 'stop', choice: 1 },
    { type: 'text', text: 'x' },
    { type: 'finish', finish: 'length', reason: 'length' },
  ])
  const cut = heard([frame(0, null), frame(1, 'stop')]).at(-1)
  assert.equal(cut?.type, 'fault')
})

const reasons: [reason: string, finish: string][] = [
  ['stop', 'stop'],
  ['length', 'length'],
  ['tool_calls', 'tool-calls'],
  ['function_call', 'tool-calls'],
  ['content_filter', 'content-filter'],
  ['eos', 'stop'],
  ['model_length', 'length'],
  ['whatever', 'other'],
  ['constructor', 'other'],
  ['__proto__', 'other'],
]
for (const [reason, finish] of reasons)
  test(`finish_reason ${reason}`, () => {
    const event = heard([chunk({ delta: {}, finish_reason: reason })]).find(
      ({ type }) => type === 'finish',
    )
    assert.deepEqual(event, { type: 'finish', finish, reason })
  })

test('usage: the last one counts, and one without counts is none', () => {
  const usage = (completion_tokens: number) => ({ prompt_tokens: 1, completion_tokens })
  const events = heard([
    delta({ content: 'a' }, {}),
    chunk(undefined, { usage: usage(1) }),
    stop,
    chunk(undefined, { usage: usage(2) }),
    chunk(undefined, { usage: {} }),
  ])
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'usage' ? [event.usage.output] : [])),
    [1, 2],
  )
})

test('a fault ends it: once, whatever follows', () => {
  const error = { error: { message: 'boom', code: 502 } }
  for (const broken of [error, 'no json', '[]', { object: 'error', message: 'boom' }]) {
    const events = heard([delta({ content: 'a' }), broken, delta({ content: 'b' }), broken])
    assert.deepEqual(
      events.map(({ type }) => type),
      ['start', 'text', 'fault'],
    )
  }
  assert.deepEqual(
    heard([]).map(({ type }) => type),
    ['fault'],
  )
})

test('law: what passes and what is decoded agree about usage, text and the ending', () => {
  fc.assert(
    fc.property(specs, fc.nat(20), (spec, left) => {
      const frames = write(spec).slice(0, left)
      const pass = passStream(target, { ...context, choices: spec.choices })
      const events = heard(spec.done && left >= 20 ? [...frames, '[DONE]'] : frames)
      for (const frame of frames) pass.push({ event: undefined, data: latin1(toUtf8(frame)) })
      if (spec.done && left >= 20) pass.push({ event: undefined, data: '[DONE]' })
      const out = pass.end(undefined)
      const said = events.map((event) =>
        event.type === 'text' ||
        event.type === 'reasoning' ||
        event.type === 'tool-input' ||
        event.type === 'refusal'
          ? event.text
          : '',
      )
      assert.equal(pass.text(), said.join(''))
      const usage = events.findLast((event) => event.type === 'usage')
      assert.deepEqual(pass.usage(), usage?.usage)
      const finishes = events.filter(({ type }) => type === 'finish').length
      // What asks for several choices waits for all of them, which the decoder does not know of.
      assert.equal(out.endsWith('data: [DONE]\n\n'), pass.complete || finishes === spec.choices)
      if (pass.fault && finishes === 0) assert.equal(events.at(-1)?.type, 'fault')
    }),
    { numRuns: 200 },
  )
})

const told = (events: ChatEvent[], more: Partial<ClientContext> = {}): JsonObject[] => {
  const encoder = encodeStream({ ...context, ...more })
  const out = events.map((event) => encoder.push(event)).join('') + encoder.end()
  return out
    .split('\n\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => (line === 'data: [DONE]' ? { done: true } : object(JSON.parse(line.slice(6)))))
}
const deltasOf = (chunks: JsonObject[]): JsonObject[] =>
  chunks.flatMap(({ choices }) => list(choices).map((choice) => object(object(choice)['delta'])))

test('told: the role comes first and once for each choice, ids and model never change', () => {
  const chunks = told([
    start,
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
    { type: 'text', text: 'c', choice: 1 },
    stopped,
  ])
  assert.deepEqual(deltasOf(chunks), [
    { role: 'assistant', content: 'a' },
    { content: 'b' },
    { role: 'assistant', content: 'c' },
    {},
  ])
  const heads = chunks
    .slice(0, -1)
    .map(({ id, model, object: what, created }) => [id, model, what, created])
  assert.equal(new Set(heads.map(String)).size, 1)
  assert.deepEqual(heads[0], ['c1', 'public', 'chat.completion.chunk', 5])
  assert.deepEqual(chunks.at(-1), { done: true })
})

const tellings: [name: string, events: ChatEvent[], deltas: JsonObject[]][] = [
  ['an answer without words', [stopped], [{ role: 'assistant', content: '' }]],
  [
    'thoughts and their signature',
    [
      { type: 'reasoning', text: 'a' },
      { type: 'reasoning', text: 'b' },
      { type: 'signature', signature: 's' },
    ],
    [
      { role: 'assistant', reasoning_content: 'a' },
      { reasoning_content: 'b' },
      { thinking_blocks: [{ type: 'thinking', thinking: 'ab', signature: 's' }] },
    ],
  ],
  [
    'a custom call',
    [
      { type: 'tool-start', index: 0, id: 'x', name: 'f', kind: 'custom' },
      { type: 'tool-input', index: 0, text: 'ls' },
    ],
    [
      {
        role: 'assistant',
        tool_calls: [{ index: 0, id: 'x', type: 'custom', custom: { name: 'f', input: '' } }],
      },
      { tool_calls: [{ index: 0, custom: { input: 'ls' } }] },
    ],
  ],
  [
    'a call',
    [
      { type: 'tool-start', index: 1, id: 'x', name: 'f', signature: 't' },
      { type: 'tool-input', index: 1, text: '{}' },
    ],
    [
      {
        role: 'assistant',
        tool_calls: [
          {
            index: 1,
            id: 'x',
            type: 'function',
            function: { name: 'f', arguments: '' },
            provider_specific_fields: { thought_signature: 't' },
            extra_content: { google: { thought_signature: 't' } },
          },
        ],
      },
      { tool_calls: [{ index: 1, function: { arguments: '{}' } }] },
    ],
  ],
  [
    'an image',
    [
      {
        type: 'media',
        part: {
          type: 'media',
          media: 'image',
          source: { type: 'bytes', base64: 'AA', mime: 'image/png' },
        },
      },
    ],
    [
      {
        role: 'assistant',
        images: [{ index: 0, type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }],
      },
    ],
  ],
]
for (const [name, events, deltas] of tellings)
  test(`told: ${name}`, () => assert.deepEqual(deltasOf(told(events)), deltas))

test('told: usage only where it was asked for, in a frame of its own', () => {
  const usage: ChatEvent = { type: 'usage', usage: { ...noUsage, input: 3, output: 4 } }
  assert.ok(told([stopped, usage]).every((one) => one['usage'] === undefined))
  const last = told([stopped, usage], { streamUsage: true }).at(-2)
  assert.deepEqual([last?.['choices'], object(last?.['usage'])['total_tokens']], [[], 7])
})

test('told: a fault is an error object', () => {
  const out = encodeStream(context).push({
    type: 'fault',
    error: new GatewayError('rate_limit', 'slow down'),
  })
  assert.deepEqual(object(JSON.parse(out.slice(6)))['error'], {
    message: 'slow down',
    type: 'rate_limit_error',
    param: null,
    code: '429',
  })
})
