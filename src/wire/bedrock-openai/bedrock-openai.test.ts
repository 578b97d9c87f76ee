import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Target } from '../wire.ts'
import { bedrockChat, bedrockOpenAI } from './wire.ts'

const arn = 'arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123'
const targetOf = (model: string): Target => ({
  provider: 'bedrock',
  model,
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
})
const request = openaiChat.decodeRequest({
  model: 'public',
  messages: [{ role: 'user', content: 'Hi' }],
  stream: true,
  stream_options: { include_usage: true },
  structured_outputs: { choice: ['a', 'b'] },
})

const paths: [model: string, stream: boolean, path: string][] = [
  [`openai/${arn}`, false, `/model/${encodeURIComponent(arn)}/invoke`],
  [`qwen2/${arn}`, true, `/model/${encodeURIComponent(arn)}/invoke-with-response-stream`],
  [`invoke/qwen2/${arn}`, false, `/model/${encodeURIComponent(arn)}/invoke`],
]
test('the path names the model without its make, and nothing of it is in the body', () => {
  for (const [model, stream, path] of paths)
    assert.equal(bedrockOpenAI.path(targetOf(model), stream), path)
  const { body } = bedrockOpenAI.encodeRequest(request, targetOf(`openai/${arn}`))
  assert.deepEqual(body, {
    messages: [{ role: 'user', content: 'Hi' }],
    structured_outputs: { choice: ['a', 'b'] },
  })
})

test('at Bedrock’s own address for OpenAI’s chat the body names the model', () => {
  const to = targetOf('chat_completions/openai.gpt-oss-20b-1:0')
  const { body } = bedrockChat.encodeRequest(request, to)
  assert.equal(bedrockChat.path(to, true), '/openai/v1/chat/completions')
  assert.equal(body.model, 'openai.gpt-oss-20b-1:0')
  assert.equal(body.stream, true)
})

const chunk = (more: JsonObject, delta: JsonObject, reason: string | null = null) => ({
  event: 'chunk',
  data: JSON.stringify({
    bytes: Buffer.from(
      JSON.stringify({
        id: 'c',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'm',
        choices: [{ index: 0, delta, finish_reason: reason }],
        ...more,
      }),
    ).toString('base64'),
  }),
})
const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
const metrics = { inputTokenCount: 7, outputTokenCount: 3, invocationLatency: 9 }
const counts: [name: string, last: JsonObject, counted: number[]][] = [
  ['OpenAI’s own', { usage }, [5, 2]],
  ['Bedrock’s', { 'amazon-bedrock-invocationMetrics': metrics }, [7, 3]],
  ['OpenAI’s before Bedrock’s', { usage, 'amazon-bedrock-invocationMetrics': metrics }, [5, 2]],
]
for (const [name, last, counted] of counts)
  test(`usage of a stream: ${name}`, () => {
    const decoder = bedrockOpenAI.decodeStream({ model: 'm' })
    const events: ChatEvent[] = [
      chunk({}, { role: 'assistant', content: 'Hé' }),
      chunk(last, {}, 'stop'),
    ].flatMap((frame) => decoder.push(frame))
    events.push(...decoder.end())
    const told = events.flatMap((event) => (event.type === 'usage' ? [event.usage] : []))
    assert.deepEqual(
      told.map(({ input, output }) => [input, output]),
      [counted],
    )
    assert.ok(events.some((event) => event.type === 'text' && event.text === 'Hé'))
  })

test('an exception of AWS is one, whole and in a stream', () => {
  assert.throws(
    () =>
      bedrockOpenAI.decodeResult(
        { __type: 'ThrottlingException', message: 'slow' },
        { model: 'm' },
      ),
    (error) => GatewayError.is(error) && error.kind === 'rate_limit',
  )
  const decoder = bedrockOpenAI.decodeStream({ model: 'm' })
  const [event] = decoder.push({
    event: 'exception:modelStreamErrorException',
    data: '{"message":"gone"}',
  })
  assert.ok(event?.type === 'fault' && event.error.kind === 'provider')
  assert.deepEqual(decoder.end(), [])
})

test('a model that is being loaded is no limit: another may answer', () => {
  const error = bedrockOpenAI.decodeError({
    status: 429,
    body: '{"message":"Model is not ready for inference."}',
    header: (name) => (name === 'x-amzn-errortype' ? 'ModelNotReadyException' : undefined),
  })
  assert.equal(error.kind, 'unavailable')
})
