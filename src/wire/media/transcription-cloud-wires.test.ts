import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, kindOf, targetOf } from '../../../test/support/exchange.ts'
import { type JsonObject, object } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import type { Answered, MediaFile } from './media.ts'
import { wav } from './speech.ts'
import { transcription } from './transcription.ts'
import type { Upload } from './upload.ts'

const sound = wav(new Uint8Array(48_000), 24_000)
const uploadOf = (file: Partial<MediaFile> = {}): Upload => ({
  fields: new Map(),
  complete: true,
  ended: true,
  fileBytes: 0,
  encode: () => ({ type: 'form', fields: {}, files: [] }),
  file: () => ({ name: 'a.wav', mime: 'audio/wav', bytes: sound, ...file }),
  files: () => [],
  hold: async () => {},
})
const hear = (
  wire: string,
  model: string,
  body: JsonObject,
  rounds: readonly (readonly Answered[])[],
  file?: Partial<MediaFile>,
  values: Record<string, string> = {},
) =>
  converse(
    transcription,
    wire,
    targetOf('p', model, { values }),
    { model: 'public', ...body },
    rounds,
    {
      upload: uploadOf(file),
    },
  )

describe('watsonx', () => {
  test('OpenAI’s form, and whose project pays; its length is counted here', () => {
    const { sent, bodies, json, told } = hear(
      'watsonx',
      'whisper-large-v3-turbo',
      { language: 'de', temperature: '0.2' },
      [[answered({ text: 'Hallo' })]],
      {},
      { project_id: 'p-1', space_id: 's-1' },
    )
    equal(sent[0]?.path, '/ml/v1/audio/transcriptions')
    deepEqual(bodies[0], {
      model: 'whisper-large-v3-turbo',
      project_id: 'p-1',
      language: 'de',
      temperature: 0.2,
    })
    equal(json['text'], 'Hallo')
    deepEqual(told.units, { seconds: 1 })
  })

  test('a space where there is no project; times for those who want them', () => {
    const { bodies, json } = hear(
      'watsonx',
      'm',
      { response_format: 'verbose_json', timestamp_granularities: ['word'] },
      [
        [
          answered({
            text: 'Hi there',
            language: 'en',
            duration: 2.5,
            segments: [{ text: ' Hi there', start: 0.1, end: 1 }],
          }),
        ],
      ],
      {},
      { space_id: 's-1' },
    )
    deepEqual(bodies[0], {
      model: 'm',
      space_id: 's-1',
      response_format: 'verbose_json',
      'timestamp_granularities[]': 'word',
    })
    deepEqual(
      [json['duration'], json['language'], json['segments']],
      [2.5, 'en', [{ id: 0, start: 0.1, end: 1, text: 'Hi there' }]],
    )
  })
})

describe('Soniox', () => {
  const tokens = [
    { text: 'Hel', start_ms: 0, end_ms: 200, speaker: '1', language: 'en' },
    { text: 'lo', start_ms: 200, end_ms: 400, speaker: '1', language: 'en' },
    { text: ' there', start_ms: 500, end_ms: 900, speaker: '1', language: 'en' },
    { text: 'Hallo', translation_status: 'translation', language: 'en' },
    { text: 'Yes', start_ms: 1000, end_ms: 1200, speaker: '2', language: 'en' },
  ]
  const rounds = (last: JsonObject, ...more: Answered[][]): Answered[][] => [
    [answered({ id: 'f-1' })],
    [answered({ id: 't-1', status: 'queued' })],
    [answered({ id: 't-1', status: 'processing' })],
    [answered({ id: 't-1', audio_duration_ms: 2500, ...last })],
    ...more,
  ]
  const gone: Answered = { ...answered({}), status: 404 }
  const done = rounds(
    { status: 'completed' },
    [answered({ id: 't-1', text: 'Hello there Yes', tokens })],
    [answered({}), gone],
  )
  test('a file, a job and its words; both are taken away again, and nobody minds if they stay', () => {
    const { sent, bodies, json, told } = hear(
      'soniox',
      'stt-async-v4',
      {
        language: 'en',
        language_hints: ['de', 'en'],
        enable_language_identification: 'true',
        response_format: 'diarized_json',
      },
      done,
    )
    deepEqual(
      sent.map(({ method, path }) => `${method ?? 'POST'} ${path}`),
      [
        'POST /v1/files',
        'POST /v1/transcriptions',
        'GET /v1/transcriptions/t-1',
        'GET /v1/transcriptions/t-1',
        'GET /v1/transcriptions/t-1/transcript',
        'DELETE /v1/transcriptions/t-1',
        'DELETE /v1/files/f-1',
      ],
    )
    deepEqual(bodies[1], {
      model: 'stt-async-v4',
      file_id: 'f-1',
      language_hints: ['en', 'de'],
      enable_speaker_diarization: true,
      enable_language_identification: true,
    })
    deepEqual(json['words'], [
      { word: 'Hello', start: 0, end: 0.4, speaker: '1' },
      { word: 'there', start: 0.5, end: 0.9, speaker: '1' },
      { word: 'Yes', start: 1, end: 1.2, speaker: '2' },
    ])
    deepEqual([json['text'], json['duration'], json['language']], ['Hello there Yes', 2.5, 'en'])
    deepEqual(told.units, { seconds: 2.5 })
  })

  test('what failed is taken away too, and said', () => {
    const failed = rounds({ status: 'error', error_message: 'no sound' }, [answered({}), gone])
    throws(() => hear('soniox', 'm', {}, failed), { kind: 'bad_request', message: 'no sound' })
  })

  test('what it lacks is named, and another’s file is nobody’s', () => {
    const { dropped, bodies } = hear(
      'soniox',
      'm',
      { prompt: 'x', temperature: '0', file_id: 'f-9', audio_url: 'https://x' },
      done,
    )
    deepEqual(dropped, ['prompt', 'temperature', 'file_id', 'audio_url'])
    equal(object(bodies[1])['file_id'], 'f-1')
    equal(
      kindOf(() => hear('soniox', 'm', {}, [[answered({ id: '../x' })]])),
      'bad_gateway',
    )
  })
})

describe('Bedrock', () => {
  const said = answered({
    output: { message: { content: [{ text: ' Hello. ' }] } },
    usage: { inputTokens: 100, outputTokens: 5 },
  })
  test('a model that hears is asked to write it down', () => {
    const { sent, bodies, json, told } = hear(
      'bedrock',
      'mistral.voxtral-mini-3b-2507',
      { language: 'en', temperature: '0' },
      [[said]],
    )
    equal(sent[0]?.path, '/model/mistral.voxtral-mini-3b-2507/converse')
    const { messages, inferenceConfig } = object(bodies[0])
    deepEqual(inferenceConfig, { temperature: 0 })
    const text = JSON.stringify(messages)
    equal(/"format":"wav"/.test(text) && /The language is en/.test(text), true)
    deepEqual(json, {
      text: 'Hello.',
      usage: { type: 'tokens', input_tokens: 100, output_tokens: 5, total_tokens: 105 },
    })
    deepEqual([told.usage?.input, told.usage?.output], [100, 5])
  })

  test('the kind of sound is told by its type, then by its name', () => {
    const kinds: [mime: string, name: string, kind: string][] = [
      ['audio/mpeg', 'a', 'mp3'],
      ['audio/x-m4a', 'a', 'm4a'],
      ['application/octet-stream', 'a.FLAC', 'flac'],
    ]
    for (const [mime, name, kind] of kinds) {
      const { sent } = hear('bedrock', 'm', {}, [[said]], { mime, name })
      const { body } = sent[0] ?? {}
      const bytes = body?.type === 'json' ? JSON.stringify(body.value) : ''
      equal(bytes.includes(`"format":"${kind}"`), true, mime)
    }
    throws(() => hear('bedrock', 'm', {}, [], { mime: 'text/plain', name: 'a.txt' }), {
      kind: 'bad_request',
      param: 'file',
    })
  })

  test('what it cannot tell is named', () => {
    const { dropped } = hear(
      'bedrock',
      'm',
      { response_format: 'srt', timestamp_granularities: ['word'], x: '1' },
      [[said]],
    )
    deepEqual(dropped, ['timestamp_granularities', 'response_format', 'x'])
    equal(
      kindOf(() => hear('bedrock', 'm', {}, [[answered({ stopReason: 'x' })]])),
      'bad_gateway',
    )
  })
})

test('subtitles of a provider that tells only segments', () => {
  const { told } = hear('watsonx', 'm', { response_format: 'srt' }, [
    [answered({ text: 'Hi', segments: [{ text: 'Hi', start: 0, end: 1.5 }] })],
  ])
  const out = told.type === 'whole' ? told.encode(undefined) : undefined
  equal(out instanceof Uint8Array && utf8(out), '1\n00:00:00,000 --> 00:00:01,500\nHi\n')
})
