import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noUsage } from '../../chat/chat.ts'
import { type JsonObject, list, object } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { context, framesOf } from '../testing.test.ts'
import type { Written } from '../wire.ts'
import { targetOf } from './generators.test.ts'
import { openaiResponses } from './wire.ts'

const { native } = openaiResponses
assert.ok(native)
const to = targetOf('gpt-5.5')

const textOf = ({ body, encoding }: Written): string =>
  encoding === 'latin1' ? utf8(bytesOf(body)) : body
const passed = (body: string) => native.passResult(toUtf8(body), to, context)

test('a whole answer keeps every byte but the name', () => {
  const body =
    '{"id" : "resp_1",\n "object":"response","status":"completed","model":"gpt-5.5-2026","output":[],"odd":1.10,"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}'
  assert.equal(textOf(passed(body).encode(undefined)), body.replace('gpt-5.5-2026', 'public'))
  assert.equal(passed(body).usage?.input, 3)
})

test('usage is put in where the answer is over and tells none', () => {
  const counted = { ...noUsage, input: 2, output: 1, estimated: true }
  const usageOf = (status: string): unknown =>
    object(
      JSON.parse(textOf(passed(`{"status":"${status}","output":[],"usage":null}`).encode(counted))),
    ).usage
  assert.equal(object(usageOf('completed')).total_tokens, 3)
  assert.equal(usageOf('queued'), null)
})

test('what the model wrote, to be counted', () => {
  const output = [
    { type: 'reasoning', summary: [{ text: 'Hm' }] },
    { type: 'message', content: [{ text: 'Hi' }, { refusal: 'no' }] },
    { type: 'function_call', name: 'f', arguments: '{}' },
  ]
  assert.equal(passed(JSON.stringify({ output })).text(), 'Hm\nHino\nf{}')
})

const response = (status: string, more: JsonObject = {}): JsonObject => ({
  response: { id: 'resp_1', model: 'gpt-5.5-2026', status, output: [], ...more },
})
const told = { usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 } }
const created: JsonObject = {
  type: 'response.created',
  ...response('in_progress'),
  sequence_number: 0,
}
const delta = (said: string): JsonObject => ({
  type: 'response.output_text.delta',
  item_id: 'msg_1',
  output_index: 0,
  content_index: 0,
  delta: said,
  obfuscation: 'xyz',
})

function play(frames: (JsonObject | string)[], names = true) {
  const pass = native?.passStream(to, context)
  assert.ok(pass)
  const outs = frames.map((frame) => {
    const data = typeof frame === 'string' ? frame : JSON.stringify(frame)
    const event = names && typeof frame !== 'string' ? String(frame.type) : undefined
    return pass.push({ event, data: latin1(toUtf8(data)) })
  })
  return { pass, outs }
}
const read = (out: string) =>
  framesOf(utf8(bytesOf(out))).map(({ event, data }) => [event, JSON.parse(data)])

test('events pass as they came, named even where the server left that out', () => {
  for (const names of [true, false]) {
    const frames = [created, delta('añ日'), { type: 'keepalive' }]
    const { outs, pass } = play(frames, names)
    assert.deepEqual(read(outs.join('')), [
      [
        'response.created',
        { ...created, response: { ...object(created.response), model: 'public' } },
      ],
      ['response.output_text.delta', delta('añ日')],
      ['keepalive', { type: 'keepalive' }],
    ])
    assert.equal(pass.text(), 'añ日')
  }
})

test('an event whose type is not its first field is known by its name, or read', () => {
  const odd = '{"sequence_number":3,"type":"response.output_text.delta","delta":"a"}'
  const { outs, pass } = play([odd])
  assert.equal(outs[0], `event: response.output_text.delta\ndata: ${odd}\n\n`)
  assert.equal(pass.content, true)
})

test('the answer begins with its first item, not with the announcement', () => {
  const { pass } = play([created, { type: 'keepalive' }])
  assert.equal(pass.content, false)
  pass.push({ event: undefined, data: '{"type":"response.output_item.added","output_index":0}' })
  assert.equal(pass.content, true)
})

test('usage is read from the last event, which is put off when it lacks it', () => {
  const { pass, outs } = play([
    created,
    { type: 'response.completed', ...response('completed', told) },
  ])
  assert.equal(pass.complete, true)
  assert.equal(pass.usage()?.output, 4)
  assert.equal(read(outs[1] ?? '').length, 1)
  assert.equal(pass.end(undefined), '')

  const silent = play([created, { type: 'response.incomplete', ...response('incomplete') }])
  assert.equal(silent.outs[1], '')
  assert.equal(silent.pass.complete, true)
  assert.equal(silent.pass.usage(), undefined)
  const [[event, said] = []] = read(silent.pass.end({ ...noUsage, input: 5 }))
  assert.equal(event, 'response.incomplete')
  assert.equal(said.response.usage.input_tokens, 5)
  assert.equal(said.response.model, 'public')
})

test('a failure the provider tells in the stream’s own words goes to the client', () => {
  const error = { code: 'server_error', message: 'It broke' }
  const { pass, outs } = play([
    created,
    { type: 'response.failed', ...response('failed', { error }) },
  ])
  assert.deepEqual([pass.content, pass.complete, pass.fault], [true, true, undefined])
  assert.deepEqual(read(outs[1] ?? '')[0]?.[1].response.error, error)
})

const faults: [name: string, frame: JsonObject | string, kind: string][] = [
  ['an error event', { type: 'error', code: 'rate_limit_exceeded', message: 'slow' }, 'rate_limit'],
  ['an error inside', { type: 'error', error: { type: 'server_error', message: 'x' } }, 'provider'],
  ['an error alone', '{"error":{"message":"x"}}', 'provider'],
  ['no JSON', 'oh', 'bad_gateway'],
]
for (const [name, frame, kind] of faults)
  test(`a fault is not passed but told: ${name}`, () => {
    const { pass, outs } = play([created, frame, delta('late')])
    assert.equal(pass.fault?.kind, kind)
    assert.equal(outs.slice(1).join('') + pass.end(undefined), '')
  })

test('a stream that ends without its last event is a fault', () => {
  const { pass } = play([created, delta('a')])
  assert.equal(pass.end(undefined), '')
  assert.equal(pass.fault?.kind, 'bad_gateway')
})

test('nothing follows the end', () => {
  const { outs } = play([
    { type: 'response.completed', ...response('completed', told) },
    '[DONE]',
    delta('late'),
  ])
  assert.deepEqual(list(outs).slice(1), ['', ''])
})
