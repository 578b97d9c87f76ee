import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type FaultKind, GatewayError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import {
  asked,
  cutting,
  heard,
  partsOf,
  refusesInOwnWords,
  targetOf,
  wildJson,
  word,
} from '../testing.test.ts'
import { replicate } from './wire.ts'

const hash = 'ab'.repeat(32)
const to = (model: string, dropParams = false) => targetOf('replicate', model, { dropParams })
const encode = (model: string, body: JsonObject) => replicate.encodeRequest(asked(body), to(model))

const paths: [model: string, path: string, version: string | undefined][] = [
  ['meta/meta-llama-3-8b-instruct', '/models/meta/meta-llama-3-8b-instruct/predictions', undefined],
  ['deployments/me/mine', '/deployments/me/mine/predictions', undefined],
  [`me/mine:${hash}`, '/predictions', hash],
]
for (const [model, path, version] of paths)
  test(`${model.slice(0, 40)} is asked at ${path}`, () => {
    assert.equal(replicate.path(to(model), false), path)
    assert.equal(encode(model, {}).body.version, version)
  })

test('a whole answer is waited for, a stream is not; neither goes on for ever', () => {
  assert.deepEqual(encode('a/b', {}).headers, { prefer: 'wait', 'cancel-after': '10m' })
  const { headers, body } = encode('a/b', { stream: true })
  assert.deepEqual([headers, body.stream], [{ 'cancel-after': '10m' }, true])
})

const urls = { get: 'https://api.replicate.com/v1/predictions/p', stream: 'https://s/p' }
const tickets: [prediction: JsonObject, stream: boolean, url: string | undefined][] = [
  [{ status: 'starting', urls }, true, urls.stream],
  [{ status: 'processing', urls }, false, urls.get],
  [{ status: 'processing', urls: { get: urls.get } }, true, urls.get],
  [{ status: 'succeeded', urls }, true, undefined],
  [{ status: 'failed', urls }, false, undefined],
  [{ status: 'starting' }, true, undefined],
  [{ detail: 'no' }, true, undefined],
]
for (const [prediction, stream, url] of tickets)
  test(`${JSON.stringify(prediction)} ${stream ? 'as a stream' : 'whole'} leads to ${url}`, () =>
    assert.equal(replicate.follow?.next(prediction, stream, '')?.url, url))

const system: JsonObject = { role: 'system', content: 'S' }
const hi: JsonObject = { role: 'user', content: 'Hi' }
const png = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }
const inputs: [name: string, model: string, said: JsonObject, input: JsonObject][] = [
  ['one question as it is', 'a/b', {}, { prompt: 'Hi' }],
  ['instructions before it', 'a/b', { messages: [system, hi] }, { prompt: 'S\n\nHi' }],
  [
    'or beside it',
    'openai/gpt-4.1',
    { messages: [system, hi] },
    { prompt: 'Hi', system_prompt: 'S' },
  ],
  [
    'a conversation with its speakers',
    'a/b',
    { messages: [hi, { role: 'assistant', content: 'Ho' }, { role: 'user', content: 'So?' }] },
    { prompt: 'User: Hi\n\nAssistant: Ho\n\nUser: So?\n\nAssistant:' },
  ],
  [
    'an answer begun is gone on with',
    'a/b',
    { messages: [hi, { role: 'assistant', content: 'Once' }] },
    { prompt: 'User: Hi\n\nAssistant: Once' },
  ],
  [
    'the limit, by family',
    'openai/gpt-4.1',
    { max_tokens: 9 },
    { prompt: 'Hi', max_completion_tokens: 9 },
  ],
  ['', 'anthropic/claude-4-sonnet', { max_tokens: 9 }, { prompt: 'Hi', max_tokens: 9 }],
  ['', 'meta/llama-2-70b-chat', { max_tokens: 9 }, { prompt: 'Hi', max_new_tokens: 9 }],
  ['', 'openai/gpt-oss-20b', { max_tokens: 9 }, { prompt: 'Hi', max_tokens: 9 }],
  [
    'sampling',
    'a/b',
    { temperature: 0, top_p: 0.5, seed: 1, stop: ['E'] },
    { prompt: 'Hi', temperature: 0, top_p: 0.5, seed: 1, stop_sequences: ['E'] },
  ],
  [
    "a model's own fields",
    'a/b',
    { prompt_template: '{prompt}' },
    { prompt: 'Hi', prompt_template: '{prompt}' },
  ],
  [
    'pictures in a list',
    'openai/gpt-4.1',
    { messages: [{ role: 'user', content: [{ type: 'text', text: '?' }, png] }] },
    { prompt: '?', image_input: [png.image_url.url] },
  ],
  [
    'or the one',
    'anthropic/claude-4-sonnet',
    { messages: [{ role: 'user', content: [{ type: 'text', text: '?' }, png] }] },
    { prompt: '?', image: png.image_url.url },
  ],
]
for (const [name, model, said, input] of inputs)
  test(`input of ${model}: ${name || Object.keys(said)}`, () =>
    assert.deepEqual(encode(model, said).body.input, input))

const refusals: [model: string, said: JsonObject][] = [
  ['a/b', { tools: [{ type: 'function', function: { name: 'f' } }] }],
  ['a/b', { response_format: { type: 'json_object' } }],
  ['anthropic/claude-4-sonnet', { temperature: 0.5 }],
  ['openai/gpt-4.1', { stop: ['E'] }],
]
for (const [model, said] of refusals)
  test(`${model} has no ${Object.keys(said)}`, () => {
    assert.throws(
      () => encode(model, said),
      (error) => GatewayError.is(error) && error.kind === 'unsupported_params',
    )
    const { dropped, body } = replicate.encodeRequest(asked(said), to(model, true))
    assert.deepEqual(dropped, Object.keys(said))
    assert.deepEqual(body.input, { prompt: 'Hi' })
  })

test('a second picture is refused where there is room for one', () => {
  const messages = [{ role: 'user', content: [png, png] }]
  assert.throws(() => encode('anthropic/claude-4-sonnet', { messages }), /one image/)
  assert.throws(() => encode('a/b', { messages }), /send text/)
})

const outputs: [output: Json, said: string][] = [
  [['He', 'llo'], 'Hello'],
  ['Hello', 'Hello'],
  [{ a: 1 }, '{"a":1}'],
  [null, ''],
]
for (const [output, said] of outputs)
  test(`output ${JSON.stringify(output)}`, () => {
    const metrics = { input_token_count: 7, output_token_count: 2, predict_time: 1 }
    const result = replicate.decodeResult(
      { id: 'p', status: 'succeeded', output, metrics, created_at: '2026-01-01T00:00:00Z' },
      { model: 'm' },
    )
    assert.deepEqual(result.choices[0]?.parts, said === '' ? [] : [{ type: 'text', text: said }])
    assert.deepEqual(
      [result.usage.input, result.usage.output, result.created],
      [7, 2, 1_767_225_600],
    )
  })

test('tokens nobody counted are left for the gateway to count', () => {
  const body = { status: 'succeeded', output: 'x', metrics: { predict_time: 1 } }
  assert.equal(replicate.decodeResult(body, { model: 'm' }).usage.raw, undefined)
})

const failures: [body: JsonObject, kind: FaultKind, words: string][] = [
  [{ status: 'failed', error: 'CUDA' }, 'provider', 'CUDA'],
  [{ status: 'processing', id: 'p1' }, 'timeout', 'p1'],
  [{ status: 'canceled', id: 'p1', output: ['half'] }, 'timeout', 'canceled'],
  [{ status: 'aborted' }, 'timeout', 'aborted'],
  [{ detail: 'odd' }, 'bad_gateway', 'odd'],
]
for (const [body, kind, words] of failures)
  test(`${JSON.stringify(body)} is a ${kind} fault`, () =>
    assert.throws(
      () => replicate.decodeResult(body, { model: 'm' }),
      (error) => GatewayError.is(error) && error.kind === kind && error.message.includes(words),
    ))

test('HTTP errors are told by their detail', () => {
  const body = JSON.stringify({ title: 'Invalid', detail: 'version does not exist', status: 422 })
  const error = replicate.decodeError({ status: 422, body, header: () => undefined })
  assert.deepEqual([error.kind, error.message], ['unprocessable', 'version does not exist'])
})

const line = (event: string, data: string) =>
  `event: ${event}\n${data
    .split('\n')
    .map((one) => `data: ${one}\n`)
    .join('')}\n`
const plainWord = word.filter((said) => !/[\r]/.test(said))

test('a stream, cut anywhere, says its words', () => {
  fc.assert(
    fc.property(fc.array(plainWord, { maxLength: 5 }), cutting, (words, cuts) => {
      const stream = words.map((said) => line('output', said)).join('') + line('done', '{}')
      const events = heard(replicate, stream, cuts)
      const said = words.join('')
      assert.deepEqual(partsOf(events), said === '' ? [] : [{ type: 'text', text: said }])
      assert.equal(events.at(-1)?.type, 'finish')
    }),
    { numRuns: 100 },
  )
})

const endings: [tail: string, kind: FaultKind][] = [
  [line('error', '{"detail":"CUDA"}'), 'provider'],
  [line('done', '{"reason":"canceled"}'), 'timeout'],
  [line('done', '{"reason":"error"}'), 'provider'],
  ['', 'bad_gateway'],
]
for (const [tail, kind] of endings)
  test(`a stream that ends with ${JSON.stringify(tail)} is a ${kind} fault`, () => {
    const fault = heard(replicate, line('output', 'a') + tail, [4]).at(-1)
    assert.ok(fault?.type === 'fault')
    assert.equal(fault.error.kind, kind)
  })

test('nothing but GatewayError is thrown for any JSON', () => {
  const wild = wildJson(
    'id status output error metrics input_token_count created_at detail reason messages role content image_url url tools',
    'succeeded failed processing output done error user image_url text a/b toString',
  )
  const tries: ((body: JsonObject) => unknown)[] = [
    (body) => replicate.decodeResult(body, { model: 'm' }),
    (body) =>
      replicate.decodeResult({ status: 'succeeded', output: body, metrics: body }, { model: 'm' }),
    (body) => heard(replicate, line('error', JSON.stringify(body)), [9]),
    (body) => heard(replicate, line('done', JSON.stringify(body)), [9]),
    (body) =>
      replicate.encodeRequest(
        asked({ ...body, messages: [{ role: 'user', content: [body] }] }),
        to('a/b', true),
      ),
  ]
  refusesInOwnWords(wild, tries, 200)
})
