import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { modelOfSession, realtimeSecret, type SecretKind } from './realtime-secret.ts'

type Row = {
  name: string
  kind: SecretKind
  body: JsonObject
  model: string
  sent: Json
}
const heard = (model?: string): JsonObject => ({
  input: { format: 'pcm', transcription: { language: 'de', ...(model && { model }) } },
})
const rows: Row[] = [
  {
    name: 'a session and how long its key lives',
    kind: 'client_secrets',
    body: { expires_after: { seconds: 60 }, session: { type: 'realtime', model: 'a', x: 1 } },
    model: 'a',
    sent: { expires_after: { seconds: 60 }, session: { type: 'realtime', model: 'up', x: 1 } },
  },
  {
    name: 'a model beside the session, as LiteLLM takes it',
    kind: 'client_secrets',
    body: { model: 'a' },
    model: 'a',
    sent: { session: { type: 'realtime', model: 'up' } },
  },
  {
    name: 'what writes down what is said is the client’s to choose',
    kind: 'client_secrets',
    body: { session: { model: 'a', audio: heard('whisper-1') } },
    model: 'a',
    sent: { session: { type: 'realtime', model: 'up', audio: heard('whisper-1') } },
  },
  {
    name: 'but where there is nothing else it is the model',
    kind: 'client_secrets',
    body: { session: { type: 'transcription', audio: heard('a') } },
    model: 'a',
    sent: {
      session: {
        type: 'transcription',
        audio: { input: { format: 'pcm', transcription: { language: 'de', model: 'up' } } },
      },
    },
  },
  {
    name: 'the earlier API',
    kind: 'sessions',
    body: { model: 'a', voice: 'v', input_audio_transcription: { model: 'whisper-1' } },
    model: 'a',
    sent: { model: 'up', voice: 'v', input_audio_transcription: { model: 'whisper-1' } },
  },
  {
    name: 'its transcriptions',
    kind: 'transcription_sessions',
    body: { input_audio_transcription: { model: 'a', language: 'de' } },
    model: 'a',
    sent: { input_audio_transcription: { model: 'up', language: 'de' } },
  },
  {
    name: 'its transcriptions, with the model at the top',
    kind: 'transcription_sessions',
    body: { model: 'a' },
    model: 'a',
    sent: { input_audio_transcription: { model: 'up' } },
  },
]
describe('a key for a realtime session', () => {
  for (const { name, kind, body, model, sent: wanted } of rows)
    test(name, () => {
      equal(modelOfSession(kind, body), model)
      const { sent, bodies, json } = converse(
        realtimeSecret(kind),
        'openai',
        targetOf('openai', 'up'),
        body,
        [[answered({ value: 'ek_1', model: 'up', session: { model: 'up' }, x: 1 })]],
      )
      equal(sent[0]?.path, `/realtime/${kind}`)
      deepEqual(bodies[0], wanted)
      deepEqual(json, { value: 'ek_1', model: 'public', session: { model: 'public' }, x: 1 })
    })

  test('a session without a model is refused, and so is one that is none', () => {
    const wrong: [SecretKind, JsonObject, string][] = [
      ['client_secrets', {}, 'session.model'],
      ['client_secrets', { session: { type: 'realtime', model: '' } }, 'session.model'],
      ['client_secrets', { session: 'x' }, 'session'],
      ['sessions', { voice: 'v' }, 'model'],
    ]
    for (const [kind, body, param] of wrong)
      throws(() => modelOfSession(kind, body), { kind: 'bad_request', param })
  })

  test('Azure has it beside its deployments, and a wildcard passes the name on', () => {
    const quirks = { chatPath: '/openai/deployments/{model}/chat/completions' }
    const to = targetOf('azure', '*', { quirks })
    const { sent, bodies } = converse(
      realtimeSecret('client_secrets'),
      'openai',
      to,
      { session: { model: 'mine' } },
      [[answered({ value: 'ek_1' })]],
    )
    const places = ['https://x.openai.azure.com', 'https://x.openai.azure.com/openai/v1/'].map(
      (base) => sent[0]?.address?.(base),
    )
    const place = 'https://x.openai.azure.com/openai/v1/realtime/client_secrets'
    deepEqual(places, [place, place])
    deepEqual(bodies[0], { session: { type: 'realtime', model: 'mine' } })
  })
})
