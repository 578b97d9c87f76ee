import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import type { Answered } from './media.ts'
import type { Told } from './operation.ts'
import { speech, wav } from './speech.ts'
import { cuesOf, transcription, type Word } from './transcription.ts'
import type { Upload } from './upload.ts'

const bytesOf = (told: Told): Uint8Array => {
  const out = told.type === 'whole' ? told.encode(undefined) : new Uint8Array(0)
  return out instanceof Uint8Array ? out : toUtf8(out.body)
}

describe('speech, by provider', () => {
  const ask = (more: JsonObject = {}): JsonObject => ({
    model: 'public',
    input: 'Hällo',
    voice: 'alloy',
    ...more,
  })
  const rows: [
    name: string,
    wire: string,
    model: string,
    more: JsonObject,
    answer: Answered,
    path: string,
    body: Json,
    mime: string,
    audio: Uint8Array,
    dropped: string[],
  ][] = [
    [
      'Gemini’s samples get a head, and a voice its own name',
      'gemini',
      'gemini-2.5-flash-preview-tts',
      { instructions: 'calmly', speed: 2 },
      answered({
        candidates: [
          {
            content: {
              parts: [{ inlineData: { mimeType: 'audio/L16;rate=16000', data: btoa('abcd') } }],
            },
          },
        ],
        usageMetadata: { promptTokenCount: 4, candidatesTokenCount: 9 },
      }),
      '/models/gemini-2.5-flash-preview-tts:generateContent',
      {
        contents: [{ role: 'user', parts: [{ text: 'calmly: Hällo' }] }],
        generationConfig: {
          responseModalities: ['AUDIO'],
          speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Kore' } } },
        },
      },
      'audio/wav',
      wav(toUtf8('abcd'), 16_000),
      ['speed'],
    ],
    [
      'Google’s own text to speech',
      'chirp',
      'chirp',
      { voice: 'de-DE-Chirp3-HD-Kore', response_format: 'opus' },
      answered({ audioContent: btoa('ogg') }),
      '/v1/text:synthesize',
      {
        input: { text: 'Hällo' },
        voice: { languageCode: 'de-DE', name: 'de-DE-Chirp3-HD-Kore' },
        audioConfig: { audioEncoding: 'OGG_OPUS' },
      },
      'audio/ogg',
      toUtf8('ogg'),
      [],
    ],
    [
      'MiniMax writes sound as hexadecimal',
      'minimax',
      'speech-2.6-hd',
      { speed: 1.5, instructions: 'x' },
      answered({ data: { audio: '616263' }, base_resp: { status_code: 0 } }),
      '/v1/t2a_v2',
      {
        model: 'speech-2.6-hd',
        text: 'Hällo',
        stream: false,
        voice_setting: { voice_id: 'male-qn-qingse', speed: 1.5 },
        audio_setting: { format: 'mp3' },
      },
      'audio/mpeg',
      toUtf8('abc'),
      ['instructions'],
    ],
    [
      'Mistral writes it as base64',
      'mistral',
      'voxtral-mini-tts-latest',
      { voice: 'own-voice', response_format: 'wav' },
      answered({ audio_data: btoa('abc') }),
      '/audio/speech',
      {
        model: 'voxtral-mini-tts-latest',
        input: 'Hällo',
        voice_id: 'own-voice',
        response_format: 'wav',
      },
      'audio/wav',
      toUtf8('abc'),
      [],
    ],
  ]
  for (const [name, wire, model, more, answer, path, body, mime, audio, dropped] of rows)
    test(name, () => {
      const played = converse(speech, wire, targetOf('p', model), ask(more), [[answer]])
      equal(played.sent[0]?.path, path)
      deepEqual(played.bodies[0], body)
      equal(played.told.mime, mime)
      deepEqual([...bytesOf(played.told)], [...audio])
      deepEqual(played.dropped, dropped)
      equal(played.told.units?.characters, 5)
    })

  test('sound that passes is counted by its characters before it comes', () => {
    async function* sound() {
      yield toUtf8('mp3')
    }
    const answer = { ...answered('', { 'content-type': 'audio/mpeg' }), live: sound() }
    for (const [wire, path] of [
      ['openai', '/audio/speech'],
      ['elevenlabs', '/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM?output_format=mp3_44100_128'],
    ] as const) {
      const { told, sent } = converse(speech, wire, targetOf('p', 'm'), ask(), [[answer]])
      equal(told.type, 'live')
      equal(told.mime, 'audio/mpeg')
      equal(told.units?.characters, 5)
      equal(sent[0]?.path, path)
      equal(sent[0]?.live, true)
    }
  })

  test('no sound, and errors in a 200', () => {
    const wrong: [wire: string, answer: Json, kind: string][] = [
      ['gemini', { candidates: [] }, 'bad_gateway'],
      ['mistral', {}, 'bad_gateway'],
      ['minimax', { base_resp: { status_code: 1004, status_msg: 'wrong key' } }, 'authentication'],
      ['minimax', { base_resp: { status_code: 1002, status_msg: 'slow' } }, 'rate_limit'],
      ['minimax', { data: { audio: 'zz' } }, 'bad_gateway'],
    ]
    for (const [wire, answer, kind] of wrong)
      throws(() => converse(speech, wire, targetOf('p', 'm'), ask(), [[answered(answer)]]), {
        kind,
      })
    throws(() => converse(speech, 'gemini', targetOf('p', 'm'), { model: 'm' }, []), {
      param: 'input',
    })
  })
})

describe('transcription', () => {
  const upload: Upload = {
    fields: new Map(),
    complete: true,
    ended: true,
    fileBytes: 0,
    encode: () => ({ type: 'form', fields: {}, files: [] }),
    file: () => ({ name: 'a.wav', mime: 'audio/wav', bytes: wav(new Uint8Array(48_000), 24_000) }),
    files: () => [],
    hold: async () => {},
  }
  const hear = (wire: string, body: JsonObject, answer: Answered) =>
    converse(
      transcription,
      wire,
      targetOf('p', 'nova-3'),
      { model: 'public', ...body },
      [[answer]],
      {
        upload,
      },
    )
  const heard = answered({
    metadata: { duration: 2.5 },
    results: {
      channels: [
        {
          alternatives: [
            {
              transcript: 'Hello there.',
              words: [
                { word: 'hello', punctuated_word: 'Hello', start: 0.1, end: 0.5 },
                { word: 'there', punctuated_word: 'there.', start: 0.6, end: 1 },
              ],
            },
          ],
        },
      ],
    },
  })

  test('Deepgram takes the sound as the body and the rest in the query', () => {
    const { sent, json, told, dropped } = hear(
      'deepgram',
      { language: 'en', smart_format: 'true', prompt: 'x' },
      heard,
    )
    equal(sent[0]?.path, '/listen?model=nova-3&punctuate=true&language=en&smart_format=true')
    equal(sent[0]?.body?.type === 'bytes' && sent[0].body.mime, 'audio/wav')
    deepEqual(json, { text: 'Hello there.', usage: { type: 'duration', seconds: 3 } })
    equal(told.units?.seconds, 2.5)
    deepEqual(dropped, ['prompt'])
  })

  test('AssemblyAI: an upload, a job, and a look until it is done', () => {
    const said = {
      id: 'j/1',
      status: 'completed',
      text: 'Hello there.',
      audio_duration: 3,
      language_code: 'en',
      words: [{ text: 'Hello', start: 100, end: 500, speaker: 'A' }],
      error: null,
    }
    const { sent, bodies, json, told, dropped } = converse(
      transcription,
      'assemblyai',
      targetOf('assemblyai', 'universal-3-pro'),
      { model: 'public', response_format: 'diarized_json', temperature: 0 },
      [
        [answered({ upload_url: 'https://cdn/up' })],
        [answered({ id: 'j/1', status: 'queued', error: null })],
        [answered({ id: 'j/1', status: 'processing' })],
        [answered(said)],
      ],
      { upload },
    )
    deepEqual(
      sent.map(({ path, home, root, afterMs }) => [path, home, root, afterMs]),
      [
        ['/v2/upload', 'https://api.assemblyai.com/v2/upload', true, undefined],
        ['/v2/transcript', 'https://api.assemblyai.com/v2/transcript', true, undefined],
        ['/v2/transcript/j%2F1', 'https://api.assemblyai.com/v2/transcript/j%2F1', true, 1000],
        ['/v2/transcript/j%2F1', 'https://api.assemblyai.com/v2/transcript/j%2F1', true, 1000],
      ],
    )
    deepEqual(bodies[1], {
      audio_url: 'https://cdn/up',
      speech_models: ['universal-3-pro'],
      language_detection: true,
      speaker_labels: true,
    })
    deepEqual(json['words'], [{ word: 'Hello', start: 0.1, end: 0.5, speaker: 'A' }])
    equal(told.units?.seconds, 3)
    deepEqual(dropped, ['temperature'])
    throws(
      () =>
        converse(
          transcription,
          'assemblyai',
          targetOf('assemblyai', 'best'),
          {},
          [
            [answered({ upload_url: 'u' })],
            [answered({ id: 'j', status: 'queued' })],
            [answered({ id: 'j', status: 'error', error: 'no speech' })],
          ],
          { upload },
        ),
      { kind: 'bad_request', message: 'no speech' },
    )
  })

  test('Gemini is asked for the words, and tells tokens', () => {
    const { sent, bodies, json, told, dropped } = converse(
      transcription,
      'gemini',
      targetOf('gemini', 'gemini-2.5-flash'),
      { model: 'public', language: 'de', prompt: 'Müller', timestamp_granularities: ['word'] },
      [
        [
          answered({
            candidates: [
              { content: { parts: [{ text: 'hm', thought: true }, { text: ' Guten Tag. ' }] } },
            ],
            usageMetadata: {
              promptTokenCount: 80,
              candidatesTokenCount: 4,
              promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 64 }],
            },
          }),
        ],
      ],
      { upload: { ...upload, file: () => ({ name: 'a.mp3', mime: '', bytes: toUtf8('abc') }) } },
    )
    equal(sent[0]?.path, '/models/gemini-2.5-flash:generateContent')
    const body = bodies[0] as { contents: { parts: JsonObject[] }[] }
    const [sound, words] = body.contents[0]?.parts ?? []
    deepEqual(sound, { inlineData: { mimeType: 'audio/mp3', data: btoa('abc') } })
    ok(/word for word.*language is de.*Müller/.test(String(words?.['text'])))
    equal(json['text'], 'Guten Tag.')
    deepEqual(json['usage'], {
      type: 'tokens',
      input_tokens: 80,
      output_tokens: 4,
      total_tokens: 84,
      input_token_details: { audio_tokens: 64, text_tokens: 16 },
    })
    deepEqual([told.usage?.input, told.usage?.inputAudio, told.usage?.output], [16, 64, 4])
    deepEqual(dropped, ['timestamp_granularities'])
    const { bodies: made } = converse(
      transcription,
      'gemini',
      targetOf('vertex_ai', 'gemini-3.5-transcribe'),
      { language: 'de' },
      [[answered({ candidates: [{ content: { parts: [{ text: 'Tag' }] } }] })]],
      { upload },
    )
    const asked = made[0] as JsonObject
    equal(JSON.stringify(asked['contents']).includes('word for word'), false)
    deepEqual(asked['generationConfig'], {
      audioTranscriptionConfig: { languageCodes: ['de'] },
    })
    ok(transcription.reads('gemini') && !transcription.reads('deepgram'))
    throws(
      () =>
        converse(
          transcription,
          'gemini',
          targetOf('gemini', 'g'),
          {},
          [[answered({ candidates: [{ finishReason: 'SAFETY' }] })]],
          { upload },
        ),
      { kind: 'bad_gateway', message: /SAFETY/ },
    )
  })

  const formats: [format: string, mime: string, text: RegExp][] = [
    ['text', 'text/plain; charset=utf-8', /^Hello there\.\n$/],
    ['srt', 'text/plain; charset=utf-8', /^1\n00:00:00,100 --> 00:00:01,000\nHello there\.\n/],
    [
      'vtt',
      'text/vtt; charset=utf-8',
      /^WEBVTT\n\n00:00:00\.100 --> 00:00:01\.000\nHello there\.\n/,
    ],
    [
      'verbose_json',
      'application/json',
      /"duration":2\.5.*"segments":\[\{"id":0,"start":0\.1,"end":1/,
    ],
  ]
  for (const [format, mime, text] of formats)
    test(`as ${format}`, () => {
      const { told } = hear('deepgram', { response_format: format }, heard)
      equal(told.mime, mime)
      ok(text.test(utf8(bytesOf(told))), utf8(bytesOf(told)))
    })

  test('ElevenLabs and xAI take a form; what says no length is measured', () => {
    const eleven = hear(
      'elevenlabs',
      {},
      answered({
        text: 'Hi',
        language_code: 'en',
        words: [
          { text: 'Hi', start: 0, end: 0.4, type: 'word' },
          { text: ' ', type: 'spacing' },
        ],
      }),
    )
    deepEqual(eleven.bodies[0], { model_id: 'nova-3' })
    equal(eleven.told.units?.seconds, 1)
    const xai = hear('xai', { language: 'en' }, answered({ text: 'Hi', duration: 3 }))
    equal(xai.sent[0]?.path, '/stt')
    deepEqual(xai.bodies[0], { language: 'en', format: true })
    equal(xai.told.units?.seconds, 3)
  })

  test('what passes is measured by what it says: time, tokens, cues, or its sound', () => {
    const pass = (answer: Answered) => hear('openai', {}, answer).told
    equal(pass(answered({ text: 'a', usage: { type: 'duration', seconds: 9 } })).units?.seconds, 9)
    equal(pass(answered({ text: 'a', duration: 4.5 })).units?.seconds, 4.5)
    const tokens = pass(
      answered({
        text: 'a',
        usage: {
          type: 'tokens',
          input_tokens: 10,
          output_tokens: 2,
          input_token_details: { audio_tokens: 8 },
        },
      }),
    )
    deepEqual(
      [tokens.usage?.input, tokens.usage?.inputAudio, tokens.usage?.output, tokens.units],
      [2, 8, 2, undefined],
    )
    const plain = { 'content-type': 'text/plain' }
    const srt = toUtf8('1\n00:00:00,000 --> 00:00:03,000\nHi\n')
    equal(pass(answered(srt, plain)).units?.seconds, 3)
    const metered = converse(
      transcription,
      'openai',
      targetOf('p', 'm'),
      { model: 'public' },
      [[answered(toUtf8('Hi\n'), plain)]],
      {
        upload,
        form: (tap) => {
          tap?.(wav(new Uint8Array(96_000), 24_000))
          return { type: 'form', fields: {}, files: [] }
        },
      },
    )
    equal(metered.told.units?.seconds, 2)
    equal(utf8(bytesOf(metered.told)), 'Hi\n')
  })

  test('what is wrong is named', () => {
    throws(() => hear('deepgram', { response_format: 'docx' }, heard), { param: 'response_format' })
    throws(
      () =>
        converse(transcription, 'deepgram', targetOf('p', 'm'), { model: 'm' }, [], {
          upload: { ...upload, file: () => undefined },
        }),
      { param: 'file' },
    )
  })

  test('lines end where sentences, speakers and pauses do', () => {
    const word = (said: string, start: number, speaker?: string): Word => ({
      word: said,
      start,
      end: start + 0.3,
      ...(speaker !== undefined && { speaker }),
    })
    deepEqual(
      cuesOf(
        [word('One.', 0), word('Two', 0.5), word('three', 5), word('four', 5.4, 'b')],
        '',
        6,
      ).map(({ line }) => line),
      ['One.', 'Two', 'three', 'four'],
    )
    deepEqual(cuesOf([], 'all of it', 7), [{ start: 0, end: 7, line: 'all of it' }])
  })
})
