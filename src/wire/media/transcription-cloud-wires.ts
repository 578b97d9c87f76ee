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
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { modelId } from '../bedrock-converse/family.ts'
import { decodeUsage as converseUsage } from '../bedrock-converse/response.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { askOnce, base64Of, counted, invalid, jsonBody, type MediaWire, readJson } from './media.ts'
import { soundMeter } from './sound.ts'
import type { TranscriptionRequest, TranscriptionResult, Word } from './transcription.ts'

type TranscriptionWire = MediaWire<TranscriptionRequest, TranscriptionResult>

/** OpenAI's form with a project beside it (cloud.ibm.com/apidocs/watsonx-ai, audio transcriptions, 2026-11). */
const watsonx: TranscriptionWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model, values = {} }) {
    const { file, language, prompt, temperature, format, words, extras } = request
    const meter = soundMeter()
    const timed = words || !/^(json|text)$/.test(format)
    const body = readJson(
      yield* askOnce({
        path: '/ml/v1/audio/transcriptions',
        body: {
          type: 'form',
          fields: {
            model,
            project_id: values['project_id'],
            space_id: values['project_id'] === undefined ? values['space_id'] : undefined,
            language,
            prompt,
            temperature,
            ...(timed && { response_format: 'verbose_json' }),
            ...(words && { 'timestamp_granularities[]': 'word' }),
            ...plainFields(extras),
          },
          files: [{ field: 'file', file: { ...file, bytes: meter.through(file.bytes) } }],
        },
      }),
    )
    const said = list(body['words']).length > 0 ? list(body['words']) : list(body['segments'])
    const duration = counted(body['duration'])
    const seconds = duration ?? meter.seconds()
    const spoken = text(body['language'])
    return {
      text: text(body['text']) ?? '',
      words: said.map((item): Word => {
        const one = object(item)
        return {
          word: text(one['word']) ?? text(one['text']) ?? '',
          start: number(one['start']) ?? 0,
          end: number(one['end']) ?? 0,
        }
      }),
      ...(duration !== undefined && { duration }),
      ...(seconds !== undefined && { units: { seconds } }),
      ...(spoken !== undefined && { language: spoken }),
    }
  },
}

/**
 * Soniox: a file, a job about it, a look at it until it is done, and both are taken away again (soniox.com/docs, async
 * transcription, 2026-11).
 */
const soniox: TranscriptionWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    const { file, language, prompt, temperature, format, extras } = request
    if (prompt !== undefined) lacks('prompt')
    if (temperature !== undefined) lacks('temperature')
    // Another one's file, or a recording elsewhere: what is sent is what is written down.
    const { file_id, audio_url, language_hints, ...others } = extras
    const left = Object.entries({ file_id, audio_url }).flatMap(([name, value]) =>
      value === undefined ? [] : [name],
    )
    if (left.length > 0) lacks(...left)
    const uploaded = readJson(
      yield* askOnce({
        path: '/v1/files',
        body: { type: 'form', fields: {}, files: [{ field: 'file', file }] },
      }),
    )
    const fileId = idIn(uploaded)
    const hints = [...new Set([language ?? null, ...list(language_hints)])].filter(Boolean)
    const begun = readJson(
      yield* askOnce({
        path: '/v1/transcriptions',
        body: jsonBody({
          model,
          file_id: fileId,
          ...(hints.length > 0 && { language_hints: hints }),
          ...(format === 'diarized_json' && { enable_speaker_diarization: true }),
          ...Object.fromEntries(
            Object.entries(others).map(([name, value]) => [name, switched(value)]),
          ),
        }),
      }),
    )
    const place = `/v1/transcriptions/${idIn(begun)}`
    let job = begun
    for (let looks = 0; !over.has(text(job['status']) ?? ''); looks++) {
      if (looks === looksMax)
        throw new GatewayError('timeout', 'the recording was not written down in 20 minutes')
      job = readJson(
        yield* askOnce({ method: 'GET', path: place, afterMs: looks < 5 ? 1000 : 3000 }),
      )
    }
    const failed = job['status'] === 'error'
    const told = failed
      ? {}
      : readJson(yield* askOnce({ method: 'GET', path: `${place}/transcript` }))
    // Whether it goes away or not, what it says is there.
    yield [place, `/v1/files/${fileId}`].map((path) => ({
      method: 'DELETE' as const,
      path,
      refusals: true as const,
    }))
    if (failed)
      throw new GatewayError(
        'bad_request',
        text(job['error_message']) ?? 'the recording was not understood',
      )
    const tokens = list(told['tokens']).filter(isObject)
    const spoken = new Set(tokens.flatMap((token) => text(token['language']) ?? []))
    const ms = counted(job['audio_duration_ms'])
    const [only] = spoken.size === 1 ? spoken : []
    return {
      text: text(told['text']) ?? tokens.map((token) => text(token['text']) ?? '').join(''),
      words: wordsOf(tokens),
      ...(ms !== undefined && { duration: ms / 1000, units: { seconds: ms / 1000 } }),
      ...(only !== undefined && { language: only }),
    }
  },
}
const over: ReadonlySet<string> = new Set(['completed', 'error'])
const looksMax = 400

function idIn(told: JsonObject): string {
  const id = text(told['id']) ?? ''
  if (/^[\w-]{1,100}$/.test(id)) return id
  throw new GatewayError('bad_gateway', 'the upstream answered without an id')
}

/** A form has no true and false. */
const switched = (value: Json | undefined): Json =>
  value === 'true' ? true : value === 'false' ? false : (value ?? null)

/** Tokens are parts of words: a space begins one. What is translated has no time. */
function wordsOf(tokens: readonly JsonObject[]): Word[] {
  const words: Word[] = []
  let begins = true
  for (const token of tokens) {
    if (token['translation_status'] === 'translation') continue
    const said = text(token['text']) ?? ''
    const speaker = token['speaker'] === undefined ? undefined : String(token['speaker'])
    const last = words.at(-1)
    const end = (number(token['end_ms']) ?? 0) / 1000
    if (last && !begins && !/^\s/.test(said) && last.speaker === speaker) {
      last.word += said.trimEnd()
      last.end = end
    } else if (said.trim() !== '')
      words.push({
        word: said.trim(),
        start: (number(token['start_ms']) ?? 0) / 1000,
        end,
        ...(speaker !== undefined && { speaker }),
      })
    begins = /\s$/.test(said)
  }
  return words
}

/** A model that hears is asked to write it down, and tells no times (docs.aws.amazon.com/bedrock, AudioBlock, 2026-11). */
const bedrock: TranscriptionWire = {
  decodeError: decodeAws,
  whole: true,
  *exchange({ file, language, prompt, temperature, format, words, extras }, { model }, lacks) {
    if (words) lacks('timestamp_granularities')
    if (format !== 'json' && format !== 'text') lacks('response_format')
    const left = Object.keys(extras)
    if (left.length > 0) lacks(...left)
    const sound = soundFormat(file.mime, file.name)
    if (!(file.bytes instanceof Uint8Array))
      throw new GatewayError('internal', 'a file was expected whole')
    const instructions = [
      'Write down what is said in this recording, word for word. Answer with nothing else.',
      ...(language === undefined ? [] : [`The language is ${language}.`]),
      ...(prompt === undefined ? [] : [`It may help to know: ${prompt}`]),
    ]
    const body = readJson(
      yield* askOnce({
        path: `/model/${encodeURIComponent(modelId(model))}/converse`,
        body: jsonBody({
          messages: [
            {
              role: 'user',
              content: [
                { audio: { format: sound, source: { bytes: base64Of(file.bytes) } } },
                { text: instructions.join(' ') },
              ],
            },
          ],
          ...(temperature !== undefined && { inferenceConfig: { temperature } }),
        }),
      }),
    )
    const said = list(object(object(body['output'])['message'])['content']).flatMap(
      (part) => text(object(part)['text']) ?? [],
    )
    if (said.length === 0)
      throw new GatewayError(
        'bad_gateway',
        `the upstream answered without words (${text(body['stopReason']) ?? 'no reason'})`,
      )
    const { raw: _, ...counts } = converseUsage(object(body['usage']))
    const [read, written] = [counts.input + counts.cacheRead + counts.cacheWrite, counts.output]
    return {
      text: said.join('').trim(),
      words: [],
      usage: {
        ...counts,
        // As OpenAI tells it.
        raw: {
          type: 'tokens',
          input_tokens: read,
          output_tokens: written,
          total_tokens: read + written,
        },
      },
    }
  },
}

const formats: ReadonlyMap<string, string> = new Map([
  ['mpeg', 'mp3'],
  ['mpga', 'mp3'],
  ['mp3', 'mp3'],
  ['wav', 'wav'],
  ['wave', 'wav'],
  ['x-wav', 'wav'],
  ['flac', 'flac'],
  ['x-flac', 'flac'],
  ['ogg', 'ogg'],
  ['oga', 'ogg'],
  ['opus', 'opus'],
  ['aac', 'aac'],
  ['mp4', 'mp4'],
  ['m4a', 'm4a'],
  ['x-m4a', 'm4a'],
  ['webm', 'webm'],
])

function soundFormat(mime: string, name: string): string {
  const said = /^(?:audio|video)\/([\w-]+)/.exec(mime)?.[1]
  const ending = /\.(\w{2,4})$/.exec(name)?.[1]?.toLowerCase()
  const found = formats.get(said ?? '') ?? formats.get(ending ?? '')
  if (found !== undefined) return found
  throw invalid('file', 'name the file by its kind of sound, such as a.wav or a.mp3.')
}

const plainFields = (extras: JsonObject): Record<string, string | number | boolean> =>
  Object.fromEntries(
    Object.entries(extras).flatMap(([key, value]: [string, Json | undefined]) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [[key, value]]
        : [],
    ),
  )

export const transcriptionCloudWires = { watsonx, soniox, bedrock } as const
