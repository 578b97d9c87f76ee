import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { GatewayError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Target } from '../wire.ts'
import { bedrockPegasus } from './wire.ts'

const to: Target = {
  provider: 'bedrock',
  model: 'us.twelvelabs.pegasus-1-2-v1:0',
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
}
const film = (url: string): JsonObject => ({ type: 'video_url', video_url: { url } })
const clip = film('data:video/mp4;base64,AAAA')
const encode = (body: JsonObject, more: Partial<Target> = {}) =>
  bedrockPegasus.encodeRequest(openaiChat.decodeRequest({ model: 'p', ...body }), {
    ...to,
    ...more,
  })
const ask = (...parts: Json[]) => [
  { role: 'user', content: [{ type: 'text', text: 'What?' }, ...parts] },
]

const rows: [name: string, body: JsonObject, sent: JsonObject][] = [
  [
    'a clip in the request',
    { messages: ask(clip), temperature: 0, max_tokens: 9 },
    {
      inputPrompt: 'What?',
      mediaSource: { base64String: 'AAAA' },
      temperature: 0,
      maxOutputTokens: 9,
    },
  ],
  [
    'a film in S3, and instructions before the question',
    { messages: [{ role: 'system', content: 'Be brief.' }, ...ask(film('s3://b/f.mp4'))] },
    {
      inputPrompt: 'Be brief.\n\nWhat?',
      mediaSource: { s3Location: { uri: 's3://b/f.mp4' } },
    },
  ],
  [
    'the provider’s own field, as it came',
    { messages: ask(), mediaSource: { s3Location: { uri: 's3://b/f', bucketOwner: '1' } } },
    { inputPrompt: 'What?', mediaSource: { s3Location: { uri: 's3://b/f', bucketOwner: '1' } } },
  ],
  [
    'a schema',
    {
      messages: ask(clip),
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', schema: { type: 'object' } },
      },
    },
    {
      inputPrompt: 'What?',
      mediaSource: { base64String: 'AAAA' },
      responseFormat: { jsonSchema: { type: 'object' } },
    },
  ],
]
describe('questions about films', () => {
  for (const [name, body, sent] of rows) it(name, () => assert.deepEqual(encode(body).body, sent))
})

const wrong: [name: string, body: JsonObject, says: RegExp][] = [
  ['no film', { messages: ask() }, /one video, and there is none/],
  ['two films', { messages: ask(clip, clip) }, /there are 2/],
  [
    'a picture',
    { messages: ask(clip, { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }) },
    /does not take/,
  ],
  [
    'tools',
    { messages: ask(clip), tools: [{ type: 'function', function: { name: 'f' } }] },
    /tools/,
  ],
  [
    'JSON without a schema',
    { messages: ask(clip), response_format: { type: 'json_object' } },
    /response_format/,
  ],
]
describe('what it cannot be asked', () => {
  for (const [name, body, says] of wrong)
    it(name, () =>
      assert.throws(
        () => encode(body),
        (error) => GatewayError.is(error) && error.status === 400 && says.test(error.message),
      ),
    )
  it('is left out where that is wanted, and named', () => {
    const body = { messages: ask(clip), top_p: 0.5, response_format: { type: 'json_object' } }
    assert.deepEqual(encode(body, { dropParams: true }).dropped, ['top_p', 'response_format'])
  })
})

test('an answer, also to who asked for a stream', () => {
  assert.equal(bedrockPegasus.path(to, true), '/model/us.twelvelabs.pegasus-1-2-v1%3A0/invoke')
  const { choices } = bedrockPegasus.decodeResult(
    { message: 'A dog.', finishReason: 'length' },
    { model: 'm' },
  )
  assert.deepEqual(choices, [
    { parts: [{ type: 'text', text: 'A dog.' }], finish: 'length', reason: 'length' },
  ])
  assert.throws(
    () =>
      bedrockPegasus.decodeResult(
        { __type: 'ThrottlingException', message: 'slow' },
        { model: 'm' },
      ),
    (error) => GatewayError.is(error) && error.kind === 'rate_limit',
  )
})
