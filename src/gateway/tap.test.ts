import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import type { Json } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { passTap } from './tap.ts'

/** Each provider's way of telling what its own API used. */
const codec = new EventStreamCodec(
  (bytes) => utf8(typeof bytes === 'string' ? toUtf8(bytes) : bytes),
  toUtf8,
)
const frame = (event: string, value: Json): Uint8Array =>
  codec.encode({
    headers: {
      ':message-type': { type: 'string', value: 'event' },
      ':event-type': { type: 'string', value: event },
    },
    body: toUtf8(JSON.stringify(value)),
  })
const wrapped = (value: Json): Json => ({ bytes: btoa(JSON.stringify(value)) })
const aws = 'application/vnd.amazon.eventstream'
const sse = 'text/event-stream'
const events = (...values: Json[]): Uint8Array =>
  toUtf8(values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join(''))

const rows: [
  name: string,
  provider: string,
  path: string,
  type: string,
  body: Json | Uint8Array[],
  expected: { input: number; output: number } | undefined,
  model: string | undefined,
  written: string,
][] = [
  [
    'Bedrock’s converse',
    'bedrock',
    '/bedrock/model/anthropic.claude-v1%3A0/converse',
    'application/json',
    {
      output: { message: { content: [{ text: 'Hi' }] } },
      usage: { inputTokens: 7, outputTokens: 3 },
    },
    { input: 7, output: 3 },
    'anthropic.claude-v1:0',
    'Hi',
  ],
  [
    'its stream',
    'bedrock',
    '/bedrock/model/x.y-v1:0/converse-stream',
    aws,
    [
      frame('contentBlockDelta', { delta: { text: 'Hel' } }),
      frame('contentBlockDelta', { delta: { text: 'lo' } }),
      frame('metadata', { usage: { inputTokens: 7, outputTokens: 3 } }),
    ],
    { input: 7, output: 3 },
    'x.y-v1:0',
    'Hello',
  ],
  [
    'a stream of Anthropic’s events in Bedrock’s wrapping',
    'bedrock',
    '/bedrock/model/anthropic.x/invoke-with-response-stream',
    aws,
    [
      frame('chunk', wrapped({ message: { usage: { input_tokens: 5, output_tokens: 1 } } })),
      frame('chunk', wrapped({ delta: { text: 'Hi' } })),
      frame('chunk', wrapped({ usage: { output_tokens: 4 } })),
    ],
    { input: 5, output: 4 },
    'anthropic.x',
    'Hi',
  ],
  [
    'Cohere’s chat',
    'cohere',
    '/cohere/v2/chat',
    'application/json',
    { usage: { billed_units: { input_tokens: 4, output_tokens: 2 }, tokens: { input_tokens: 9 } } },
    { input: 4, output: 2 },
    undefined,
    '',
  ],
  [
    'its stream, which tells it in the last delta',
    'cohere',
    '/cohere/v2/chat',
    sse,
    [
      events(
        { type: 'content-delta', delta: { message: { content: { text: 'Hi' } } } },
        {
          type: 'message-end',
          delta: { usage: { billed_units: { input_tokens: 4, output_tokens: 2 } } },
        },
      ),
    ],
    { input: 4, output: 2 },
    undefined,
    'Hi',
  ],
  [
    'Cohere’s first version',
    'cohere',
    '/cohere/v1/generate',
    'application/json',
    { text: 'Hi', meta: { billed_units: { input_tokens: 4, output_tokens: 2 } } },
    { input: 4, output: 2 },
    undefined,
    'Hi',
  ],
  [
    'a usage of nothing is none',
    'openai',
    '/openai/v1/chat/completions',
    'application/json',
    {
      model: 'm',
      choices: [{ message: { content: 'Hi' } }],
      usage: { prompt_tokens: 0, completion_tokens: 0 },
    },
    undefined,
    'm',
    'Hi',
  ],
]

describe('what an answer that passes tells', () => {
  for (const [name, provider, path, type, body, expected, model, written] of rows)
    test(name, () => {
      const tap = passTap({ provider }, path, type, () => undefined)
      const chunks =
        Array.isArray(body) && body.every((one) => one instanceof Uint8Array)
          ? body
          : [toUtf8(JSON.stringify(body))]
      // Cut anywhere it is the same.
      for (const chunk of chunks)
        for (let at = 0; at < chunk.length; at += 5) tap?.push(chunk.subarray(at, at + 5))
      const learnt = tap?.end()
      assert.deepEqual(
        learnt?.usage && { input: learnt.usage.input, output: learnt.usage.output },
        expected,
      )
      assert.deepEqual([learnt?.model, learnt?.written], [model, written])
    })

  test('headers, where Amazon’s models say it there', () => {
    const said: Record<string, string> = {
      'x-amzn-bedrock-input-token-count': '12',
      'x-amzn-bedrock-output-token-count': '5',
    }
    const tap = passTap(
      { provider: 'bedrock' },
      '/bedrock/model/t/invoke',
      'application/json',
      (name) => said[name],
    )
    tap?.push(toUtf8('{"results":[{"outputText":"Hi"}]}'))
    const { usage } = tap?.end() ?? {}
    assert.deepEqual([usage?.input, usage?.output], [12, 5])
  })

  test('what is damaged passes, and tells nothing', () => {
    const tap = passTap(
      { provider: 'bedrock' },
      '/bedrock/model/t/converse-stream',
      aws,
      () => undefined,
    )
    tap?.push(toUtf8('this is no event stream at all, whatever it says'))
    assert.equal(tap?.end().usage, undefined)
  })
})
