import { deepEqual, equal, match, ok, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { JsonObject } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { speech } from './speech.ts'

const sound = (headers: Record<string, string> = {}) => answered(toUtf8('sound'), headers)
const say = (wire: string, model: string, body: JsonObject, headers = {}) =>
  converse(speech, wire, targetOf('p', model), { model: 'public', ...body }, [[sound(headers)]])

const ssml = (body: JsonObject) => {
  const { sent, told, dropped } = say('azure-speech', 'azure-tts', body)
  const [first] = sent
  const said = first?.body?.type === 'bytes' && first.body.bytes
  return {
    path: first?.path,
    format: first?.headers?.['x-microsoft-outputformat'],
    said: said instanceof Uint8Array ? utf8(said) : '',
    told,
    dropped,
  }
}

test('Azure Speech: the voice, the speed and the text are one SSML, and the text cannot leave it', () => {
  const { path, format, said, told, dropped } = ssml({
    input: 'a < b & </speak>',
    voice: 'fable',
    speed: 1.5,
    style: 'cheer"ful',
    instructions: 'x',
    response_format: 'opus',
  })
  equal(path, '/cognitiveservices/v1')
  equal(format, 'ogg-48khz-16bit-mono-opus')
  equal(
    said,
    '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xmlns:mstts="https://www.w3.org/2001/mstts" xml:lang="en-GB"><voice name="en-GB-RyanNeural"><mstts:express-as style="cheer&quot;ful"><prosody rate="+50%">a &lt; b &amp; &lt;/speak&gt;</prosody></mstts:express-as></voice></speak>',
  )
  deepEqual(told.units, { characters: 16 })
  deepEqual(dropped, ['instructions'])
})

test('Azure Speech: SSML passes, other voices and formats are Azure’s own', () => {
  equal(ssml({ input: '<speak>x</speak>' }).said, '<speak>x</speak>')
  match(ssml({ input: 'x', voice: 'de-DE-KatjaNeural' }).said, /xml:lang="de-DE".*KatjaNeural/)
  equal(ssml({ input: 'x', output_format: 'webm-24khz' }).format, 'webm-24khz')
  deepEqual(ssml({ input: 'x', response_format: 'flac' }).dropped, ['response_format'])
})

test('Polly: the model is the engine, and it tells what it billed', () => {
  const { sent, bodies, told } = say(
    'polly',
    'neural',
    { input: 'Hällo', voice: 'alloy', SampleRate: '16000' },
    { 'x-amzn-requestcharacters': '7', 'content-type': 'audio/mpeg' },
  )
  equal(sent[0]?.path, '/v1/speech')
  ok(sent[0]?.live)
  deepEqual(bodies[0], {
    Engine: 'neural',
    OutputFormat: 'mp3',
    Text: 'Hällo',
    TextType: 'text',
    VoiceId: 'Joanna',
    SampleRate: '16000',
  })
  deepEqual(told.units, { characters: 7 })
  deepEqual(say('polly', 'standard', { input: 'Hällo' }).told.units, { characters: 5 })
  deepEqual(say('polly', 'neural', { input: 'a', response_format: 'wav', speed: 2 }).dropped, [
    'speed',
    'response_format',
  ])
  throws(() => say('polly', 'joanna', { input: 'a' }), { kind: 'bad_request', param: 'model' })
})

test('Runway: a task is waited for, and its sound fetched with no credential', () => {
  const ask = (more: JsonObject, rounds: JsonObject[]) =>
    converse(
      speech,
      'runway',
      targetOf('runwayml', 'eleven_multilingual_v2'),
      { model: 'public', input: 'Hällo', ...more },
      [...rounds.map((one) => [answered(one)]), [sound({ 'content-type': 'audio/mpeg' })]],
    )
  const done = { status: 'SUCCEEDED', output: ['https://cdn/a.mp3'] }
  const { sent, bodies, told } = ask({ voice: 'nova' }, [{ id: 't1' }, { status: 'RUNNING' }, done])
  deepEqual(
    sent.map(({ method, path, afterMs, open }) => [method, path, afterMs, open]),
    [
      [undefined, '/text_to_speech', undefined, undefined],
      ['GET', '/tasks/t1', 2000, undefined],
      ['GET', '/tasks/t1', 5000, undefined],
      ['GET', 'https://cdn/a.mp3', undefined, true],
    ],
  )
  deepEqual(bodies[0], {
    model: 'eleven_multilingual_v2',
    promptText: 'Hällo',
    voice: { type: 'runway-preset', presetId: 'Serene' },
  })
  deepEqual([told.mime, told.units], ['audio/mpeg', { characters: 5 }])
  deepEqual(ask({ speed: 2, response_format: 'wav' }, [{ id: 't1' }, done]).dropped, [
    'speed',
    'response_format',
  ])
  const failed = { status: 'FAILED', failure: 'no', failureCode: 'SAFETY.INPUT.TEXT' }
  throws(() => ask({}, [{ id: 't1' }, failed]), { kind: 'content_policy', message: /: no/ })
})
