import { noUsage, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeError as decodeGoogle } from '../gemini/errors.ts'
import { decodeUsage as googleUsage } from '../gemini/usage.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { ErrorAnswer } from '../wire.ts'
import {
  askOnce,
  beside,
  bytesOfBase64,
  counted,
  jsonBody,
  type Lacks,
  type Measured,
  type MediaWire,
  missing,
  numberOf,
  othersOf,
  readJson,
  step,
  textOf,
} from './media.ts'
import { createOperation, type Operation, type OperationBody } from './operation.ts'
import { speechCloudWires } from './speech-cloud-wires.ts'
import { usageTap } from './tap.ts'

export type SpeechRequest = {
  model: string
  text: string
  voice?: string
  /** `mp3`, `opus`, `aac`, `flac`, `wav`, `pcm`; absent: the provider's own. */
  format?: string
  speed?: number
  instructions?: string
  extras: JsonObject
}

export type SpeechResult = Measured & {
  mime: string
  audio: Uint8Array | AsyncIterable<Uint8Array>
}

/** OpenAI's `POST /v1/audio/speech`: the sound as it comes. */
export const speech: Operation = createOperation<SpeechRequest, SpeechResult>({
  id: 'speech',
  dialect: openaiChat,
  passes: {
    openai: {
      path: (to) => beside(to, '/audio/speech'),
      live: 'always',
      foresee: (asked) => ({ units: { characters: charactersOf(asked) } }),
      tap: (asked) =>
        asked.field('stream_format') === 'sse' ? usageTap(usageOfSpeech) : undefined,
    },
  },
  wires: {
    elevenlabs: elevenlabs(),
    gemini: gemini(),
    chirp: chirp(),
    minimax: minimax(),
    mistral: mistral(),
    ...speechCloudWires,
  },
  decodeRequest,
  encodeResult: ({ mime, audio }) => ({ type: 'bytes', mime, bytes: audio }),
  bound: (body) => {
    const characters = charactersOf(body)
    const textCharacters = characters + (text(body.field('instructions'))?.length ?? 0)
    // A character is a tenth of a second at most, and a second of sound some 25 tokens.
    return { characters, textCharacters, output: characters * 4 }
  },
  text: textIn,
  begun: (body) => ({ text: textIn(body), units: { characters: charactersOf(body) } }),
})

function textIn(body: OperationBody): string {
  const said = [body.field('instructions'), body.field('input')]
  return said
    .map((one) => text(one) ?? '')
    .join('\n')
    .trim()
}

const charactersOf = (body: OperationBody): number => [...(text(body.field('input')) ?? '')].length

function usageOfSpeech(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const input = counted(value['input_tokens'])
  const output = counted(value['output_tokens'])
  if (input === undefined && output === undefined) return undefined
  return { ...noUsage, input: input ?? 0, outputAudio: output ?? 0, raw: value }
}

function decodeRequest(body: JsonObject): SpeechRequest {
  const input = textOf(body['input'], 'input')
  if (input === undefined) throw missing('input')
  // OpenAI's own voices may also be given as {id}.
  const voice = text(object(body['voice'])['id']) ?? textOf(body['voice'], 'voice')
  const format = textOf(body['response_format'], 'response_format')
  const speed = numberOf(body['speed'], 'speed')
  const instructions = textOf(body['instructions'], 'instructions')
  return {
    model: text(body['model']) ?? '',
    text: input,
    ...(voice !== undefined && { voice }),
    ...(format !== undefined && { format }),
    ...(speed !== undefined && { speed }),
    ...(instructions !== undefined && { instructions }),
    extras: othersOf(body, known),
  }
}
const known = new Set([
  'model',
  'input',
  'voice',
  'response_format',
  'speed',
  'instructions',
  'stream_format',
  'stream',
  'user',
])

type SpeechWire = MediaWire<SpeechRequest, SpeechResult>

/** `POST /v1/text-to-speech/{voice}`; the format is in the query (elevenlabs.io/docs, 2026-11). */
function elevenlabs(): SpeechWire {
  return {
    decodeError: decodeEleven,
    *exchange({ text: said, voice, format, speed, instructions, extras }, { model }, lacks) {
      if (instructions !== undefined) lacks('instructions')
      const {
        output_format,
        voice_settings,
        optimize_streaming_latency,
        enable_logging,
        ...others
      } = extras
      const query = new URLSearchParams()
      const sound = text(output_format) ?? elevenFormats.get(format ?? 'mp3')
      if (sound === undefined) lacks('response_format')
      else query.set('output_format', sound)
      for (const [name, value] of Object.entries({ optimize_streaming_latency, enable_logging }))
        if (value !== undefined) query.set(name, String(value))
      const id = elevenVoices.get(voice ?? 'alloy') ?? voice ?? ''
      const answer = yield* askOnce({
        path: `/v1/text-to-speech/${step(id)}?${query.toString()}`,
        live: true,
        body: jsonBody({
          text: said,
          model_id: model,
          ...((speed !== undefined || voice_settings !== undefined) && {
            voice_settings: { ...(speed !== undefined && { speed }), ...object(voice_settings) },
          }),
          ...others,
        }),
      })
      return {
        mime: answer.header('content-type') ?? 'audio/mpeg',
        audio: answer.live ?? answer.bytes,
        units: { characters: [...said].length },
        usage: noUsage,
      }
    },
  }
}
const elevenFormats = new Map([
  ['mp3', 'mp3_44100_128'],
  ['pcm', 'pcm_24000'],
  ['opus', 'opus_48000_64'],
  ['wav', 'wav_24000'],
])
/** OpenAI's names for ElevenLabs' default voices, as LiteLLM has them; any other name is a voice's id. */
const elevenVoices = new Map([
  ['alloy', '21m00Tcm4TlvDq8ikWAM'],
  ['amber', '5Q0t7uMcjvnagumLfvZi'],
  ['ash', 'AZnzlk1XvdvUeBnXmlld'],
  ['august', 'D38z5RcWu1voky8WS1ja'],
  ['blue', '2EiwWnXFnvU5JabPnv8n'],
  ['coral', '9BWtsMINqrJLrRacOk9x'],
  ['lily', 'EXAVITQu4vr4xnSDxMaL'],
  ['onyx', '29vD33N1CtxCmqQRPOHJ'],
  ['sage', 'CwhRBWXzGAHq8TQ4Fs17'],
  ['verse', 'CYw3kZ02Hs0563khs1Fj'],
])

function decodeEleven(answer: ErrorAnswer): GatewayError {
  try {
    const detail = object(object(JSON.parse(answer.body))['detail'])
    const message = text(detail['message'])
    if (message !== undefined)
      return decodeOpenai({
        ...answer,
        body: JSON.stringify({ error: { message, code: detail['status'] ?? null } }),
      })
  } catch {
    // Whatever it is, it is told as such.
  }
  return decodeOpenai(answer)
}

/** A Gemini model speaks: samples without a head, which a client asks for as `pcm`, or with one. */
function gemini(): SpeechWire {
  return {
    decodeError: decodeGoogle,
    *exchange(request, { model }, lacks) {
      const { text: said, voice, format, speed, instructions, extras } = request
      if (speed !== undefined) lacks('speed')
      if (format !== undefined && format !== 'pcm' && format !== 'wav') lacks('response_format')
      const { generationConfig, ...others } = extras
      const body = readJson(
        yield* askOnce({
          path: `/models/${step(model)}:generateContent`,
          body: jsonBody({
            contents: [
              {
                role: 'user',
                parts: [{ text: instructions === undefined ? said : `${instructions}: ${said}` }],
              },
            ],
            generationConfig: {
              responseModalities: ['AUDIO'],
              ...(voice !== undefined && {
                speechConfig: {
                  voiceConfig: {
                    prebuiltVoiceConfig: { voiceName: googleVoices.get(voice) ?? voice },
                  },
                },
              }),
              ...object(generationConfig),
            },
            ...others,
          }),
        }),
      )
      const parts = list(object(object(list(body['candidates'])[0])['content'])['parts'])
      const sound = object(parts.map((part) => object(part)['inlineData']).find(isObject))
      const data = text(sound['data'])
      if (data === undefined)
        throw new GatewayError('bad_gateway', 'the upstream answered without sound')
      const told = googleUsage(body['usageMetadata'])
      const mime = text(sound['mimeType']) ?? ''
      const samples = bytesOfBase64(data)
      const raw = format === 'pcm' || !/^audio\/(L16|pcm)/i.test(mime)
      const rate = Number(/rate=(\d{4,6})/.exec(mime)?.[1] ?? 24_000)
      return {
        mime: raw ? (format === 'pcm' ? 'audio/pcm' : mime) : 'audio/wav',
        audio: raw ? samples : wav(samples, rate),
        ...(told && { usage: told }),
        units: { characters: [...said].length },
      }
    },
  }
}
/** OpenAI's names for voices of Gemini's; others are its own. */
const googleVoices = new Map([
  ['alloy', 'Kore'],
  ['echo', 'Charon'],
  ['fable', 'Puck'],
  ['onyx', 'Fenrir'],
  ['nova', 'Aoede'],
  ['shimmer', 'Leda'],
])

/** One channel of 16-bit samples, with the head that makes them a file. */
export function wav(samples: Uint8Array, rate: number): Uint8Array {
  const out = new Uint8Array(44 + samples.length)
  const view = new DataView(out.buffer)
  const tag = (at: number, name: string) => {
    for (let i = 0; i < 4; i++) view.setUint8(at + i, name.charCodeAt(i))
  }
  tag(0, 'RIFF')
  view.setUint32(4, 36 + samples.length, true)
  tag(8, 'WAVE')
  tag(12, 'fmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, rate, true)
  view.setUint32(28, rate * 2, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  tag(36, 'data')
  view.setUint32(40, samples.length, true)
  out.set(samples, 44)
  return out
}

/** Google Cloud's own text to speech, for models that are no Gemini; it lives on a host of its own. */
function chirp(): SpeechWire {
  const talking = gemini()
  return {
    decodeError: decodeGoogle,
    *exchange(request, to, lacks) {
      if (/gemini/.test(to.model)) return yield* talking.exchange(request, to, lacks)
      return yield* synthesize(request, lacks)
    },
  }
}

function* synthesize(
  { text: said, voice, format, speed, instructions, extras }: SpeechRequest,
  lacks: Lacks,
): ReturnType<SpeechWire['exchange']> {
  if (instructions !== undefined) lacks('instructions')
  const encoding = googleEncodings.get(format ?? 'mp3')
  if (encoding === undefined) lacks('response_format')
  const { voice: own, audioConfig, input, ...others } = extras
  const body = readJson(
    yield* askOnce({
      path: '/v1/text:synthesize',
      root: true,
      home: 'https://texttospeech.googleapis.com/v1/text:synthesize',
      body: jsonBody({
        input: {
          ...(/^\s*<speak>/.test(said) ? { ssml: said } : { text: said }),
          ...object(input),
        },
        voice: {
          languageCode: /^([a-z]{2,3}-[A-Z]{2})-/.exec(voice ?? '')?.[1] ?? 'en-US',
          ...(voice !== undefined && /^[a-z]{2,3}-[A-Z]{2}-/.test(voice) && { name: voice }),
          ...object(own),
        },
        audioConfig: {
          audioEncoding: encoding?.[0] ?? 'MP3',
          ...(speed !== undefined && { speakingRate: speed }),
          ...object(audioConfig),
        },
        ...others,
      }),
    }),
  )
  const data = text(body['audioContent'])
  if (data === undefined)
    throw new GatewayError('bad_gateway', 'the upstream answered without sound')
  return {
    mime: encoding?.[1] ?? 'audio/mpeg',
    audio: bytesOfBase64(data),
    units: { characters: [...said].length },
    usage: noUsage,
  }
}
const googleEncodings = new Map<string, [name: string, mime: string]>([
  ['mp3', ['MP3', 'audio/mpeg']],
  ['opus', ['OGG_OPUS', 'audio/ogg']],
  ['wav', ['LINEAR16', 'audio/wav']],
  ['pcm', ['PCM', 'audio/pcm']],
])

/** `POST /v1/t2a_v2`: sound as hexadecimal text, errors in a 200 (platform.minimax.io, 2026-11). */
function minimax(): SpeechWire {
  return {
    decodeError: decodeOpenai,
    *exchange({ text: said, voice, format, speed, instructions, extras }, { model }, lacks) {
      if (instructions !== undefined) lacks('instructions')
      const { voice_setting, audio_setting, ...others } = extras
      const kind = format ?? 'mp3'
      if (!['mp3', 'pcm', 'flac', 'wav'].includes(kind)) lacks('response_format')
      const body = readJson(
        yield* askOnce({
          path: '/v1/t2a_v2',
          body: jsonBody({
            model,
            text: said,
            stream: false,
            voice_setting: {
              voice_id: minimaxVoices.get(voice ?? 'alloy') ?? voice ?? '',
              ...(speed !== undefined && { speed }),
              ...object(voice_setting),
            },
            audio_setting: { format: kind, ...object(audio_setting) },
            ...others,
          }),
        }),
      )
      const { status_code, status_msg } = object(body['base_resp'])
      const code = number(status_code) ?? 0
      if (code !== 0)
        throw new GatewayError(
          code === 1004
            ? 'authentication'
            : code === 1002 || code === 1008
              ? 'rate_limit'
              : 'bad_request',
          `${text(status_msg) ?? 'error'} (${code})`,
        )
      const hex = text(object(body['data'])['audio']) ?? ''
      if (hex === '' || hex.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(hex))
        throw new GatewayError('bad_gateway', 'the upstream answered without sound')
      const audio = new Uint8Array(hex.length / 2)
      for (let at = 0; at < audio.length; at++)
        audio[at] = Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16)
      const billed = counted(object(body['extra_info'])['usage_characters'])
      return {
        mime: mimes.get(kind) ?? 'audio/mpeg',
        audio,
        units: { characters: billed ?? [...said].length },
        usage: noUsage,
      }
    },
  }
}
const minimaxVoices = new Map([
  ['alloy', 'male-qn-qingse'],
  ['echo', 'male-qn-jingying'],
  ['fable', 'female-shaonv'],
  ['onyx', 'male-qn-badao'],
  ['nova', 'female-yujie'],
  ['shimmer', 'female-tianmei'],
])
const mimes = new Map([
  ['mp3', 'audio/mpeg'],
  ['pcm', 'audio/pcm'],
  ['flac', 'audio/flac'],
  ['wav', 'audio/wav'],
  ['opus', 'audio/ogg'],
  ['aac', 'audio/aac'],
])

/** OpenAI's path, other words: a voice has an id, and the sound is base64 inside JSON. */
function mistral(): SpeechWire {
  return {
    decodeError: decodeOpenai,
    *exchange({ text: said, voice, format, speed, instructions, extras }, { model }, lacks) {
      if (instructions !== undefined) lacks('instructions')
      if (speed !== undefined) lacks('speed')
      const body = readJson(
        yield* askOnce({
          path: '/audio/speech',
          body: jsonBody({
            model,
            input: said,
            ...(voice !== undefined && { voice_id: mistralVoices.get(voice) ?? voice }),
            ...(format !== undefined && { response_format: format }),
            ...extras,
          }),
        }),
      )
      const data = text(body['audio_data'])
      if (data === undefined)
        throw new GatewayError('bad_gateway', 'the upstream answered without sound')
      return {
        mime: mimes.get(format ?? 'mp3') ?? 'audio/mpeg',
        audio: bytesOfBase64(data),
        units: { characters: [...said].length },
      }
    },
  }
}
const mistralVoices = new Map([
  ['alloy', 'en_paul_neutral'],
  ['echo', 'gb_oliver_neutral'],
  ['fable', 'en_paul_cheerful'],
  ['onyx', 'en_paul_confident'],
  ['nova', 'gb_jane_sarcasm'],
  ['shimmer', 'gb_jane_sarcasm'],
])
