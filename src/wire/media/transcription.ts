import { noUsage, type Usage } from '../../chat/chat.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import {
  askOnce,
  beside,
  counted,
  invalid,
  type Measured,
  type MediaFile,
  type MediaWire,
  missing,
  numberOf,
  othersOf,
  readJson,
  textOf,
} from './media.ts'
import {
  createOperation,
  type Operation,
  type OperationRow,
  type Pass,
  type PassedAnswer,
} from './operation.ts'
import { lastTime, soundMeter } from './sound.ts'
import { usageTap } from './tap.ts'
import { transcriptionCloudWires } from './transcription-cloud-wires.ts'
import { transcriptionWires } from './transcription-wires.ts'
import type { Upload } from './upload.ts'

export type TranscriptionRequest = {
  model: string
  file: MediaFile
  language?: string
  prompt?: string
  temperature?: number
  /** `json`, `text`, `srt`, `verbose_json`, `vtt`, `diarized_json`. */
  format: string
  words: boolean
  extras: JsonObject
}

export type Word = { word: string; start: number; end: number; speaker?: string }
export type TranscriptionResult = Measured & {
  text: string
  language?: string
  /** Seconds. */
  duration?: number
  words: Word[]
}

const row: Omit<
  OperationRow<TranscriptionRequest, TranscriptionResult>,
  'id' | 'passes' | 'wires'
> = {
  dialect: openaiChat,
  form: true,
  decodeRequest,
  encodeResult: (result, _, __, request) => encodeResult(result, request),
  // How long the sound is nobody knows yet: few recordings have less than 32 kilobits a second.
  bound: (_, bytes) => (bytes > 0 ? { seconds: bytes / 4000 } : { unknown: true }),
  text: () => '',
  begun: (_, upload) => ({ text: '', units: { seconds: secondsIn(upload) } }),
}

/** Of a recording that was not held there is only its size: 128 kilobits a second is usual. */
function secondsIn(upload: Upload | undefined): number {
  if (!upload) return 0
  const file = upload.complete
    ? upload.files().find(({ field }) => field === 'file')?.file
    : undefined
  if (!(file?.bytes instanceof Uint8Array)) return upload.fileBytes / 16_000
  const meter = soundMeter()
  meter.push(file.bytes)
  return meter.seconds() ?? file.bytes.length / 16_000
}

const passTo = (path: string): Pass => ({
  path: (to) => beside(to, path),
  live: 'stream',
  sound: true,
  measure,
  tap: () => usageTap(usageOf, (event) => ({ units: unitsOf(object(event)['usage']) })),
})

/** OpenAI's `POST /v1/audio/transcriptions`. The file is passed on as it comes. */
export const transcription: Operation = createOperation({
  ...row,
  id: 'transcription',
  passes: { openai: passTo('/audio/transcriptions') },
  wires: {
    deepgram: deepgram(),
    elevenlabs: elevenlabs(),
    xai: xai(),
    ...transcriptionWires,
    ...transcriptionCloudWires,
  },
})

/** OpenAI's `POST /v1/audio/translations`: into English. */
export const translation: Operation = createOperation({
  ...row,
  id: 'transcription',
  passes: { openai: passTo('/audio/translations') },
  wires: {},
})

/** By tokens, by time, or by what the answer says of the sound's length. */
function measure(answer: PassedAnswer): Measured {
  const said = answer.field('usage')
  const usage = usageOf(said)
  const seconds =
    unitsOf(said)?.seconds ?? counted(answer.field('duration')) ?? lastTime(answer.said)
  return {
    ...(usage && { usage }),
    ...(seconds !== undefined && { units: { seconds } }),
  }
}

function usageOf(value: Json | undefined): Usage | undefined {
  if (!isObject(value) || value['type'] === 'duration') return undefined
  const input = counted(value['input_tokens']) ?? counted(value['prompt_tokens'])
  const output = counted(value['output_tokens']) ?? counted(value['completion_tokens'])
  if (input === undefined && output === undefined) return undefined
  const details = object(value['input_token_details'] ?? value['prompt_tokens_details'])
  const inputAudio = Math.min(input ?? 0, counted(details['audio_tokens']) ?? 0)
  return {
    ...noUsage,
    input: (input ?? 0) - inputAudio,
    inputAudio,
    output: output ?? 0,
    raw: value,
  }
}

function unitsOf(value: Json | undefined): { seconds: number } | undefined {
  const usage = object(value)
  const seconds = counted(usage['seconds']) ?? counted(usage['prompt_audio_seconds'])
  return seconds === undefined ? undefined : { seconds }
}

function decodeRequest(body: JsonObject, upload: Upload | undefined): TranscriptionRequest {
  const file = upload?.file('file', 'audio')
  if (!file) throw missing('file')
  const language = textOf(body['language'], 'language')
  const prompt = textOf(body['prompt'], 'prompt')
  const temperature = numberOf(body['temperature'], 'temperature')
  const format = textOf(body['response_format'], 'response_format') ?? 'json'
  if (!formats.has(format))
    throw invalid('response_format', `'response_format' must be one of ${[...formats].join(', ')}.`)
  const kinds = body['timestamp_granularities']
  return {
    model: text(body['model']) ?? '',
    file,
    ...(language !== undefined && { language }),
    ...(prompt !== undefined && { prompt }),
    ...(temperature !== undefined && { temperature }),
    format,
    words: (Array.isArray(kinds) ? kinds : [kinds]).includes('word'),
    extras: othersOf(body, known),
  }
}
const formats = new Set(['json', 'text', 'srt', 'verbose_json', 'vtt', 'diarized_json'])
const known = new Set(
  'model file audio language prompt temperature response_format timestamp_granularities stream user'.split(
    ' ',
  ),
)

function encodeResult(
  { text: said, language, duration, words, usage }: TranscriptionResult,
  { format, words: asked }: TranscriptionRequest,
): ReturnType<OperationRow<TranscriptionRequest, TranscriptionResult>['encodeResult']> {
  const plain = (mime: string, body: string) =>
    ({ type: 'bytes', mime: `${mime}; charset=utf-8`, bytes: toUtf8(body) }) as const
  switch (format) {
    case 'text':
      return plain('text/plain', `${said}\n`)
    case 'srt':
      return plain(
        'text/plain',
        cuesOf(words, said, duration)
          .map(
            ({ start, end, line }, at) =>
              `${at + 1}\n${clock(start, ',')} --> ${clock(end, ',')}\n${line}\n`,
          )
          .join('\n'),
      )
    case 'vtt':
      return plain(
        'text/vtt',
        `WEBVTT\n\n${cuesOf(words, said, duration)
          .map(({ start, end, line }) => `${clock(start, '.')} --> ${clock(end, '.')}\n${line}\n`)
          .join('\n')}`,
      )
    case 'verbose_json':
    case 'diarized_json':
      return {
        type: 'json',
        value: {
          task: 'transcribe',
          ...(language !== undefined && { language }),
          ...(duration !== undefined && { duration }),
          text: said,
          segments: cuesOf(words, said, duration).map(({ start, end, line, speaker }, id) => ({
            id,
            start,
            end,
            text: line,
            ...(speaker !== undefined && { speaker }),
          })),
          ...((asked || format === 'diarized_json') && {
            words: words.map((word) => ({ ...word })),
          }),
        },
      }
    default:
      return {
        type: 'json',
        value: {
          text: said,
          ...(usage?.raw
            ? { usage: usage.raw }
            : duration !== undefined && {
                usage: { type: 'duration', seconds: Math.ceil(duration) },
              }),
        },
      }
  }
}

type Cue = { start: number; end: number; line: string; speaker?: string }

/** Words as lines a person reads: until a sentence ends, the speaker changes, a pause comes or the line is long. */
export function cuesOf(words: readonly Word[], said: string, duration: number | undefined): Cue[] {
  const cues: Cue[] = []
  for (const { word, start, end, speaker } of words) {
    const last = cues.at(-1)
    const over =
      !last ||
      last.speaker !== speaker ||
      start - last.end > 1.5 ||
      last.line.length + word.length > 84 ||
      /[.!?\u3002\uff01\uff1f]$/.test(last.line)
    if (over)
      cues.push({ start, end, line: word.trim(), ...(speaker !== undefined && { speaker }) })
    else {
      last.line += ` ${word.trim()}`
      last.end = end
    }
  }
  return cues.length > 0 || said === '' ? cues : [{ start: 0, end: duration ?? 0, line: said }]
}

function clock(seconds: number, point: string): string {
  const ms = Math.round(Math.max(seconds, 0) * 1000)
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}${point}${String(ms % 1000).padStart(3, '0')}`
}

type TranscriptionWire = MediaWire<TranscriptionRequest, TranscriptionResult>

/** `POST /listen`: the sound is the body, the rest the query (developers.deepgram.com, 2026-11). */
function deepgram(): TranscriptionWire {
  return {
    decodeError: (answer) => decodeOpenai(deepgramError(answer)),
    *exchange(request, { model }, lacks) {
      const { file, language, prompt, temperature, format, extras } = request
      if (prompt !== undefined) lacks('prompt')
      if (temperature !== undefined) lacks('temperature')
      const query = new URLSearchParams({ model, punctuate: 'true' })
      if (language !== undefined) query.set('language', language)
      if (format === 'diarized_json') query.set('diarize', 'true')
      for (const [name, value] of Object.entries(extras))
        for (const one of Array.isArray(value) ? value : [value])
          if (one !== undefined && one !== null)
            query.append(name, typeof one === 'string' ? one : JSON.stringify(one))
      const body = readJson(
        yield* askOnce({
          path: `/listen?${query.toString()}`,
          body: { type: 'bytes', bytes: file.bytes, mime: file.mime },
        }),
      )
      const channel = object(list(object(body['results'])['channels'])[0])
      const best = object(list(channel['alternatives'])[0])
      const duration = counted(object(body['metadata'])['duration'])
      const spoken = text(channel['detected_language']) ?? language
      return {
        text: text(best['transcript']) ?? '',
        words: list(best['words']).map((item) => {
          const one = object(item)
          return {
            word: text(one['punctuated_word']) ?? text(one['word']) ?? '',
            start: number(one['start']) ?? 0,
            end: number(one['end']) ?? 0,
            ...(one['speaker'] !== undefined && { speaker: String(one['speaker']) }),
          }
        }),
        ...timed(duration),
        ...(spoken !== undefined && { language: spoken }),
      }
    },
  }
}

/** `{err_code, err_msg, request_id}`. */
function deepgramError<T extends { body: string }>(answer: T): T {
  try {
    const said = object(JSON.parse(answer.body))
    const message = text(said['err_msg'])
    if (message === undefined) return answer
    return {
      ...answer,
      body: JSON.stringify({ error: { message, code: said['err_code'] ?? null } }),
    }
  } catch {
    return answer
  }
}

const timed = (duration: number | undefined) =>
  duration === undefined ? {} : { duration, units: { seconds: duration } }

/** `POST /v1/speech-to-text`, a form. */
function elevenlabs(): TranscriptionWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request, { model }, lacks) {
      const { file, language, prompt, temperature, format, extras } = request
      if (prompt !== undefined) lacks('prompt')
      const meter = soundMeter()
      const body = readJson(
        yield* askOnce({
          path: '/v1/speech-to-text',
          body: {
            type: 'form',
            fields: {
              model_id: model,
              language_code: language,
              temperature,
              ...(format === 'diarized_json' && { diarize: true }),
              ...plain(extras),
            },
            files: [{ field: 'file', file: { ...file, bytes: meter.through(file.bytes) } }],
          },
        }),
      )
      const words = list(body['words']).flatMap((item): Word[] => {
        const one = object(item)
        if (one['type'] === 'spacing') return []
        const speaker = text(one['speaker_id'])
        return [
          {
            word: text(one['text']) ?? '',
            start: number(one['start']) ?? 0,
            end: number(one['end']) ?? 0,
            ...(speaker !== undefined && { speaker }),
          },
        ]
      })
      const spoken = text(body['language_code'])
      return {
        text: text(body['text']) ?? '',
        words,
        ...timed(counted(body['audio_duration_secs']) ?? meter.seconds() ?? words.at(-1)?.end),
        ...(spoken !== undefined && { language: spoken }),
      }
    },
  }
}

/** `POST /v1/stt`, a form; the file comes last (docs.x.ai, 2026-11). */
function xai(): TranscriptionWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request, _, lacks) {
      const { file, language, prompt, temperature, extras } = request
      if (prompt !== undefined) lacks('prompt')
      if (temperature !== undefined) lacks('temperature')
      const body = readJson(
        yield* askOnce({
          path: '/stt',
          body: {
            type: 'form',
            fields: { language, ...(language !== undefined && { format: true }), ...plain(extras) },
            files: [{ field: 'file', file }],
          },
        }),
      )
      const spoken = text(body['language'])
      return {
        text: text(body['text']) ?? '',
        words: list(body['words']).map((item) => {
          const one = object(item)
          return {
            word: text(one['text']) ?? '',
            start: number(one['start']) ?? 0,
            end: number(one['end']) ?? 0,
            ...(one['speaker'] !== undefined && { speaker: String(one['speaker']) }),
          }
        }),
        ...timed(counted(body['duration'])),
        ...(spoken !== undefined && { language: spoken }),
      }
    },
  }
}

const plain = (extras: JsonObject): Record<string, string | number | boolean> =>
  Object.fromEntries(
    Object.entries(extras).flatMap(([key, value]) =>
      value === undefined || value === null
        ? []
        : [[key, typeof value === 'object' ? JSON.stringify(value) : value]],
    ),
  )
