import { inputTokens, outputTokens, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, list, number, object, text } from '../../json/json.ts'
import { decodeError as decodeGoogle } from '../gemini/errors.ts'
import { decodeUsage as googleUsage } from '../gemini/usage.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import {
  askOnce,
  base64Of,
  counted,
  jsonBody,
  type MediaWire,
  readJson,
  readValue,
  step,
} from './media.ts'
import type { TranscriptionRequest, TranscriptionResult, Word } from './transcription.ts'

type TranscriptionWire = MediaWire<TranscriptionRequest, TranscriptionResult>

const server = 'https://api.assemblyai.com'

/** An upload, a job, and a look at it until it is done (assemblyai.com/docs/api-reference, 2026-11). */
const assemblyai: TranscriptionWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    const { file, language, prompt, temperature, format, extras } = request
    if (temperature !== undefined) lacks('temperature')
    const at = (path: string) => ({ path, root: true as const, home: server + path })
    const uploaded = readJson(
      yield* askOnce({
        ...at('/v2/upload'),
        body: { type: 'bytes', bytes: file.bytes, mime: 'application/octet-stream' },
      }),
    )
    let job = readJson(
      yield* askOnce({
        ...at('/v2/transcript'),
        body: jsonBody({
          audio_url: text(uploaded['upload_url']) ?? '',
          // The first two have no other name, and all that came later are in a list.
          ...(/^(best|nano)$/.test(model) ? { speech_model: model } : { speech_models: [model] }),
          ...(language === undefined ? { language_detection: true } : { language_code: language }),
          ...(prompt !== undefined && { prompt }),
          ...(format === 'diarized_json' && { speaker_labels: true }),
          ...extras,
        }),
      }),
    )
    for (let looks = 0; !over.has(text(job['status']) ?? ''); looks++) {
      if (looks === looksMax)
        throw new GatewayError('timeout', 'the recording was not written down in 20 minutes')
      const answer = yield* askOnce({
        ...at(`/v2/transcript/${step(text(job['id']) ?? '')}`),
        method: 'GET',
        afterMs: looks < 5 ? 1000 : 3000,
      })
      // Its `error` is a text of its own.
      job = object(readValue(answer.bytes))
    }
    if (job['status'] === 'error')
      throw new GatewayError(
        'bad_request',
        text(job['error']) ?? 'the recording was not understood',
      )
    const duration = counted(job['audio_duration'])
    const spoken = text(job['language_code'])
    return {
      text: text(job['text']) ?? '',
      words: list(job['words']).map((item): Word => {
        const one = object(item)
        const speaker = text(one['speaker'])
        return {
          word: text(one['text']) ?? '',
          start: (number(one['start']) ?? 0) / 1000,
          end: (number(one['end']) ?? 0) / 1000,
          ...(speaker !== undefined && { speaker }),
        }
      }),
      ...(duration !== undefined && { duration, units: { seconds: duration } }),
      ...(spoken !== undefined && { language: spoken }),
    }
  },
}
const over: ReadonlySet<string> = new Set(['completed', 'error'])
const looksMax = 400

/**
 * A Gemini model is asked to write down what it hears, and tells no times; one that is made for it needs no words for that
 * (audioTranscriptionConfig; cloud.google.com/vertex-ai, 2026-11).
 */
const gemini: TranscriptionWire = {
  decodeError: decodeGoogle,
  whole: true,
  *exchange(request, { model }, lacks) {
    const { file, language, prompt, temperature, format, words, extras } = request
    if (words) lacks('timestamp_granularities')
    if (format !== 'json' && format !== 'text') lacks('response_format')
    const { generationConfig, ...others } = extras
    if (/^chirp/.test(model))
      throw new GatewayError(
        'not_offered',
        "Google's chirp models are asked through Cloud Speech, which is not offered here: use a Gemini model",
        { param: 'model' },
      )
    const made = /-transcribe/.test(model)
    if (made && prompt !== undefined) lacks('prompt')
    const instructions = [
      'Write down what is said in this recording, word for word. Answer with nothing else.',
      ...(language === undefined ? [] : [`The language is ${language}.`]),
      ...(prompt === undefined ? [] : [`It may help to know: ${prompt}`]),
    ]
    const mimeType = soundOf(file.mime, file.name)
    const body = readJson(
      yield* askOnce({
        path: `/models/${step(model)}:generateContent`,
        body: jsonBody({
          contents: [
            {
              role: 'user',
              parts: [
                { inlineData: { mimeType, data: dataOf(file.bytes) } },
                ...(made ? [] : [{ text: instructions.join(' ') }]),
              ],
            },
          ],
          generationConfig: {
            ...(temperature !== undefined && { temperature }),
            ...(made &&
              language !== undefined && {
                audioTranscriptionConfig: { languageCodes: [language] },
              }),
            ...object(generationConfig),
          },
          ...others,
        }),
      }),
    )
    const candidate = object(list(body['candidates'])[0])
    const parts = list(object(candidate['content'])['parts']).filter(isObject)
    const said = parts.flatMap((part) =>
      part['thought'] === true ? [] : (text(part['text']) ?? []),
    )
    if (said.length === 0)
      throw new GatewayError(
        'bad_gateway',
        `the upstream answered without words (${text(candidate['finishReason']) ?? 'no reason'})`,
      )
    const usage = googleUsage(body['usageMetadata'])
    return { text: said.join('').trim(), words: [], ...(usage && { usage: inOpenai(usage) }) }
  },
}

/** Told as OpenAI tells it. */
const inOpenai = (usage: Usage): Usage => ({
  ...usage,
  raw: {
    type: 'tokens',
    input_tokens: inputTokens(usage),
    output_tokens: outputTokens(usage),
    total_tokens: inputTokens(usage) + outputTokens(usage),
    input_token_details: { audio_tokens: usage.inputAudio, text_tokens: usage.input },
  },
})

function dataOf(bytes: TranscriptionRequest['file']['bytes']): string {
  if (bytes instanceof Uint8Array) return base64Of(bytes)
  throw new GatewayError('internal', 'a file was expected whole')
}

/** Clients that do not know say that it is a stream of octets, and Google wants to know. */
const soundOf = (mime: string, name: string): string =>
  /^(audio|video)\//.test(mime)
    ? mime
    : (byEnding.get(/\.(\w{2,4})$/.exec(name)?.[1]?.toLowerCase() ?? '') ?? 'audio/wav')
const byEnding = new Map([
  ['mp3', 'audio/mp3'],
  ['mpga', 'audio/mp3'],
  ['m4a', 'audio/m4a'],
  ['mp4', 'video/mp4'],
  ['ogg', 'audio/ogg'],
  ['flac', 'audio/flac'],
  ['aac', 'audio/aac'],
  ['aiff', 'audio/aiff'],
  ['webm', 'audio/webm'],
])

export const transcriptionWires = { assemblyai, gemini } as const
