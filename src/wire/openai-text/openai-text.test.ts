import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import type { ClientContext, Target } from '../wire.ts'
import { encodeLogprobs } from './response.ts'
import { openaiText as wire } from './wire.ts'

const to: Target = {
  provider: 'p',
  model: 'up',
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
}
const context: ClientContext = {
  model: 'public',
  requestId: 'r',
  created: 7,
  streamUsage: false,
  choices: 1,
}
const answer = (more: JsonObject = {}): JsonObject => ({
  id: 'cmpl-1',
  object: 'text_completion',
  created: 1,
  model: 'up',
  choices: [{ text: ' upon', index: 0, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
  ...more,
})
const passed = (body: JsonObject, seen: ClientContext = context) => {
  const result = wire.native?.passResult(toUtf8(JSON.stringify(body)), to, seen)
  return { usage: result?.usage, json: JSON.parse(result?.encode(undefined).body ?? '{}') }
}

test('an answer that passes keeps everything but the model', () => {
  const { usage, json } = passed(answer({ x: 1 }))
  deepEqual(json, { ...answer({ x: 1 }), model: 'public' })
  deepEqual([usage?.input, usage?.output], [5, 3])
})

test('a message where a text belongs, as fill-in-the-middle servers have it', () => {
  const { json } = passed(
    answer({
      choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
    }),
  )
  deepEqual(json.choices, [{ index: 0, finish_reason: 'stop', text: 'x', logprobs: null }])
})

test('no choices: an error, in a success’s clothes or not', () => {
  throws(() => passed({ error: { message: 'no', code: 'context_length_exceeded' } }), {
    kind: 'context_window',
  })
  throws(() => passed({ a: 1 }), { kind: 'bad_gateway' })
})

const chunk = (text: string, more: JsonObject = {}, finish: string | null = null) => ({
  event: undefined,
  data: JSON.stringify({
    ...answer({ usage: null }),
    choices: [{ text, index: 0, logprobs: null, finish_reason: finish }],
    ...more,
  }),
})

test('a stream that passes: the model’s name, the words for counting, usage where it was asked for', () => {
  for (const streamUsage of [false, true]) {
    const stream = wire.native?.passStream(to, { ...context, streamUsage })
    ok(stream)
    let out = stream.push(chunk('a'))
    ok(stream.content)
    out += stream.push(chunk('b')) + stream.push(chunk('', {}, 'stop'))
    out += stream.push({
      event: undefined,
      data: JSON.stringify(answer({ choices: [] })),
    })
    equal(stream.push({ event: undefined, data: '[DONE]' }), '')
    out += stream.end(undefined)
    equal(stream.text(), 'ab')
    equal(stream.usage()?.output, 3)
    ok(!out.includes('"model":"up"') && out.endsWith('data: [DONE]\n\n'))
    equal(out.includes('"prompt_tokens":5'), streamUsage)
  }
})

test('a stream that is cut short, or fails', () => {
  const cut = wire.native?.passStream(to, context)
  cut?.push(chunk('a'))
  cut?.end(undefined)
  equal(cut?.fault?.kind, 'bad_gateway')
  const failed = wire.native?.passStream(to, context)
  failed?.push({ event: undefined, data: '{"error":{"message":"x","code":"rate_limit_exceeded"}}' })
  equal(failed?.fault?.kind, 'rate_limit')
})

test('a prompt to a model that converses, and back', () => {
  const request = wire.decodeRequest({
    model: 'm',
    prompt: ['Once'],
    max_tokens: 9,
    stop: 'E',
    logprobs: 2,
    echo: false,
    x: 1,
  })
  deepEqual(request.messages, [{ role: 'user', parts: [{ type: 'text', text: 'Once' }] }])
  deepEqual(
    [request.maxTokens, request.stop, request.topLogprobs, request.extras],
    [9, ['E'], 2, { x: 1 }],
  )
  const told = wire.encodeResult(wire.decodeResult(answer(), { model: 'up' }), context)
  deepEqual(told, { ...answer(), model: 'public' })
})

test('what only a text model can do is refused by one that converses', () => {
  const refused: [body: JsonObject, param: string, kind: string][] = [
    [{ prompt: 'a', echo: true }, 'echo', 'unsupported_params'],
    [{ prompt: 'a', suffix: 'b' }, 'suffix', 'unsupported_params'],
    [{ prompt: 'a', best_of: 2 }, 'best_of', 'unsupported_params'],
    [{ prompt: ['a', 'b'] }, 'prompt', 'bad_request'],
    [{ prompt: [1, 2] }, 'prompt', 'bad_request'],
    [{}, 'prompt', 'bad_request'],
  ]
  for (const [body, param, kind] of refused) throws(() => wire.decodeRequest(body), { param, kind })
})

test('a conversation for a text model; what it cannot say is named', () => {
  const { body, dropped } = wire.encodeRequest(
    {
      model: 'm',
      messages: [
        { role: 'system', parts: [{ type: 'text', text: 'Be brief' }] },
        {
          role: 'user',
          parts: [
            { type: 'text', text: 'Hi' },
            { type: 'media', media: 'image', source: { type: 'url', url: 'https://a/b.png' } },
          ],
        },
      ],
      tools: [{ type: 'function', name: 'f' }],
      stream: false,
      extras: {},
    },
    to,
  )
  equal(body.prompt, 'system: Be brief\n\nuser: Hi\n\nassistant:')
  deepEqual(dropped, ['tools', 'image'])
})

test('log probabilities: one list there, four here', () => {
  const content = [
    { token: 'a', logprob: -1, top_logprobs: [{ token: 'a', logprob: -1 }] },
    { token: 'bc', logprob: -2, top_logprobs: [] },
  ]
  deepEqual(encodeLogprobs({ content }), {
    tokens: ['a', 'bc'],
    token_logprobs: [-1, -2],
    top_logprobs: [{ a: -1 }, {}],
    text_offset: [0, 1],
  })
})
