import { deepEqual, equal, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { noUsage } from '../../chat/chat.ts'
import type { JsonObject } from '../../json/json.ts'
import { geminiLive, modelOfSetup, openaiRealtime } from './realtime.ts'

const names = { here: 'voice', there: 'gpt-realtime' }
const bounds = { maxDepth: 50, maxFields: 100, maxValues: 1000 }
const done = (usage: JsonObject | null) =>
  JSON.stringify({ type: 'response.done', response: { id: 'r', usage } })

test('usage: text, sound and pictures apart, what was cached counted once, responses added', () => {
  const { tell, told } = openaiRealtime(names, bounds)
  tell(
    done({
      input_tokens: 150,
      output_tokens: 60,
      input_token_details: {
        text_tokens: 90,
        audio_tokens: 50,
        image_tokens: 10,
        cached_tokens: 64,
        cached_tokens_details: { text_tokens: 44, audio_tokens: 20 },
      },
      output_token_details: { text_tokens: 15, audio_tokens: 45 },
    }),
  )
  tell(done(null))
  tell(done({ input_tokens: 7, output_tokens: 3 }))
  const { usage, cachedAudio } = told()
  const { raw, ...counts } = usage
  deepEqual(counts, {
    ...noUsage,
    input: 46 + 7,
    cacheRead: 64,
    inputAudio: 30,
    inputImage: 10,
    output: 15 + 3,
    outputAudio: 45,
  })
  equal(raw, undefined)
  equal(cachedAudio, 20)
})

test('one response: what the provider said of it is kept as it was', () => {
  const { tell, told } = openaiRealtime(names, bounds)
  tell(done({ input_tokens: 7, output_tokens: 3, new_field: 1 }))
  deepEqual(told().usage.raw, { input_tokens: 7, output_tokens: 3, new_field: 1 })
})

test('counts that cannot be are not believed', () => {
  const { tell, told } = openaiRealtime(names, bounds)
  tell(
    done({
      input_tokens: 5,
      output_tokens: -1,
      input_token_details: { audio_tokens: 50, cached_tokens: 3 },
    }),
  )
  const { input, cacheRead, inputAudio, output } = told().usage
  deepEqual([input, cacheRead, inputAudio, output], [0, 3, 2, 0])
})

const completed = (usage: JsonObject) =>
  JSON.stringify({ type: 'conversation.item.input_audio_transcription.completed', usage })

test('what another model wrote down is counted apart, under the name the session gives it', () => {
  const { tell, told } = openaiRealtime(names, bounds)
  const transcription = { model: 'gpt-4o-transcribe' }
  tell(
    JSON.stringify({ type: 'session.updated', session: { audio: { input: { transcription } } } }),
  )
  tell(completed({ type: 'tokens', input_tokens: 20, output_tokens: 4 }))
  tell(completed({ type: 'duration', seconds: 1.5 }))
  equal(told().usage, noUsage)
  const { model, usage, seconds } = told().transcripts
  deepEqual([model, usage.input, usage.output, seconds], ['gpt-4o-transcribe', 20, 4, 1.5])
})

test('a session that only transcribes: it is the model that was asked for, whatever the client says', () => {
  const { ask, tell, told } = openaiRealtime(names, bounds, true)
  const transcription = { model: 'another', language: 'de' }
  const session = { type: 'transcription', audio: { input: { transcription } } }
  const said = JSON.parse(ask(JSON.stringify({ type: 'session.update', session })))
  deepEqual(said.session.audio.input.transcription, { model: 'gpt-realtime', language: 'de' })
  tell(completed({ type: 'duration', seconds: 2 }))
  deepEqual([told().seconds, told().transcripts.seconds], [2, 0])
})

const asked: [name: string, message: string, heard: string][] = [
  [
    'sound passes as it is',
    '{"type":"input_audio_buffer.append", "audio":"AA=="}',
    '{"type":"input_audio_buffer.append", "audio":"AA=="}',
  ],
  [
    'the model of a session is the one that was let in',
    '{"type":"session.update","session":{"model":"dearer","x":1}}',
    '{"type":"session.update","session":{"model":"gpt-realtime","x":1}}',
  ],
  [
    'what is said twice is said once',
    '{"type":"session.update","session":{"model":"dearer"},"session":{"x":12345678901234567890}}',
    '{"type":"session.update","session":{"x":12345678901234567890}}',
  ],
]
for (const [name, message, heard] of asked)
  test(`to the provider: ${name}`, () => equal(openaiRealtime(names, bounds).ask(message), heard))

const told: [name: string, message: string, heard: string][] = [
  [
    'sound passes as it is',
    '{ "type":"response.output_audio.delta","delta":"AA=="}',
    '{ "type":"response.output_audio.delta","delta":"AA=="}',
  ],
  [
    'the model has the name it was asked by',
    '{"type":"session.created","session":{"model":"gpt-realtime","x":1}}',
    '{"type":"session.created","session":{"model":"voice","x":1}}',
  ],
  ["what is no JSON is the provider's affair", '"session" {', '"session" {'],
]
for (const [name, message, heard] of told)
  test(`to the client: ${name}`, () => equal(openaiRealtime(names, bounds).tell(message), heard))

for (const message of ['', '[]', 'x', '{"a":'.repeat(60)])
  test(`refused: ${message.slice(0, 10)}`, () =>
    throws(() => openaiRealtime(names, bounds).ask(message), { kind: 'bad_request' }))

test('an answer that is being made is unfinished until it is done', () => {
  const { tell, unfinished } = openaiRealtime(names, bounds)
  equal(unfinished(), undefined)
  tell('{"type":"response.created","response":{"id":"r"}}')
  equal(unfinished(), '{"type":"response.cancel"}')
  tell(done({ input_tokens: 1 }))
  equal(unfinished(), undefined)
})

test("Google's: the model of the setup is put in its place, once; usage of the turns is added", () => {
  const { ask, tell, told } = geminiLive({ here: 'live', there: 'gemini-live' }, bounds)
  const setup = '{"setup":{"model":"models/live","tools":[]}}'
  equal(modelOfSetup(setup, bounds), 'live')
  equal(ask(setup), '{"setup":{"model":"models/gemini-live","tools":[]}}')
  equal(ask('{"realtimeInput":{"text":"hi"}}'), '{"realtimeInput":{"text":"hi"}}')
  throws(() => ask(setup), { kind: 'bad_request' })
  const usageMetadata = {
    promptTokenCount: 30,
    responseTokenCount: 12,
    totalTokenCount: 42,
    promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 20 }],
    responseTokensDetails: [{ modality: 'AUDIO', tokenCount: 9 }],
  }
  for (let turn = 0; turn < 2; turn++) tell(JSON.stringify({ usageMetadata }))
  const { input, inputAudio, output, outputAudio } = told().usage
  deepEqual([input, inputAudio, output, outputAudio], [20, 40, 6, 18])
})
