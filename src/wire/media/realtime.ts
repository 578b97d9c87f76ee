import { noUsage, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, number, object, text } from '../../json/json.ts'
import { type ParseOptions, parseObject, stringify } from '../../json/parse.ts'
import { decodeUsage as decodeGoogle } from '../gemini/usage.ts'

/** A conversation of messages in both directions, which pass as they are but for the model's name. */
export type Conversation = {
  /** What the client says, as the provider is to hear it. Throws `bad_request` for what is no JSON object. */
  ask(message: string): string
  /** What the provider says, as the client is to hear it. */
  tell(message: string): string
  /** All that was told so far. */
  told(): RealtimeTold
  /** While an answer is being made whose usage is told at its end: what makes it end now. */
  unfinished(): string | undefined
}

export type RealtimeTold = {
  usage: Usage
  /** Tokens read from a cache that were sound. */
  cachedAudio: number
  /** Seconds of sound, where that is what a transcription is paid by. */
  seconds: number
  /** Of another model, which wrote down what the user said. */
  transcripts: { model: string | undefined; usage: Usage; seconds: number }
}

/** What the model is called here, and with the provider. */
export type RealtimeNames = { here: string; there: string }

/**
 * OpenAI's Realtime: a session's model is named in its events, and each `response.done` tells what that response used.
 * `transcribes`: the session has no other model than the one that writes down what is said.
 */
export function openaiRealtime(
  { here, there }: RealtimeNames,
  bounds: ParseOptions,
  transcribes = false,
): Conversation {
  const told = nothingTold()
  let answering = false
  const heard = (event: JsonObject): void => {
    if (event['type'] === 'response.created') answering = true
    if (event['type'] === 'response.done') {
      answering = false
      const { usage, cachedAudio } = decodeUsage(object(event['response'])['usage'])
      told.usage = sum(told.usage, usage)
      told.cachedAudio += cachedAudio
    } else if (event['type'] === 'conversation.item.input_audio_transcription.completed') {
      const { usage } = decodeUsage(event['usage'])
      const seconds = secondsOf(event['usage'])
      if (transcribes) {
        told.usage = sum(told.usage, usage)
        told.seconds += seconds
      } else {
        told.transcripts.usage = sum(told.transcripts.usage, usage)
        told.transcripts.seconds += seconds
      }
    }
  }
  return {
    ask(message) {
      const event = parseObject(message, bounds)
      const { session } = event
      if (!isObject(session)) return message
      // A session has one model, the one that was let in. Written anew, so that nothing is said twice in two ways.
      const said = transcribes ? transcribedBy(session, there) : session
      const named = said['model'] === undefined ? said : { ...said, model: there }
      return stringify({ ...event, session: named })
    },
    tell(message) {
      // Most of what comes is sound, which nobody reads.
      if (!read.some((word) => message.includes(word))) return message
      const event = parsed(message)
      if (!event) return message
      heard(event)
      const { session } = event
      if (!isObject(session)) return message
      told.transcripts.model = transcriberOf(session) ?? told.transcripts.model
      return session['model'] === there
        ? stringify({ ...event, session: { ...session, model: here } })
        : message
    },
    told: () => told,
    unfinished: () => (answering ? '{"type":"response.cancel"}' : undefined),
  }
}
const read = ['"usage"', '"session"', '"response.created"']

/** Google's Live API: the first message names the model; usage comes with the turns. */
export function geminiLive({ there }: RealtimeNames, bounds: ParseOptions): Conversation {
  const told = nothingTold()
  let begun = false
  return {
    ask(message) {
      const said = parseObject(message, bounds)
      const { setup } = said
      if (begun) {
        if (setup !== undefined)
          throw new GatewayError('bad_request', 'the setup is sent once, as the first message')
        return message
      }
      begun = true
      return stringify({ ...said, setup: { ...object(setup), model: `models/${there}` } })
    },
    tell(message) {
      if (!message.includes('"usageMetadata"')) return message
      const usage = decodeGoogle(inGenerateContent(parsed(message)?.['usageMetadata']))
      if (usage) told.usage = sum(told.usage, usage)
      return message
    },
    told: () => told,
    unfinished: () => undefined,
  }
}

/** `models/…` or the name alone; undefined where the first message is no setup. */
export const modelOfSetup = (message: string, bounds: ParseOptions): string | undefined =>
  text(object(parseObject(message, bounds)['setup'])['model'])?.replace(/^models\//, '')

/** Live says `response…` where generateContent says `candidates…`. */
function inGenerateContent(value: Json | undefined): Json | undefined {
  if (!isObject(value)) return undefined
  return {
    ...value,
    candidatesTokenCount: value['candidatesTokenCount'] ?? value['responseTokenCount'],
    candidatesTokensDetails: value['candidatesTokensDetails'] ?? value['responseTokensDetails'],
  }
}

const nothingTold = (): RealtimeTold => ({
  usage: noUsage,
  cachedAudio: 0,
  seconds: 0,
  transcripts: { model: undefined, usage: noUsage, seconds: 0 },
})

function parsed(message: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(message)
    return isObject(value) ? value : undefined
  } catch {
    // A provider's own affair: it passes as it is.
    return undefined
  }
}

/** `input_tokens` holds what was cached, and both hold sound: taken apart so that no token is counted twice. */
function decodeUsage(value: Json | undefined): { usage: Usage; cachedAudio: number } {
  const said = object(value)
  const count = (one: Json | undefined): number => Math.max(0, number(one) ?? 0)
  const read = object(said['input_token_details'])
  const wrote = object(said['output_token_details'])
  const cached = object(read['cached_tokens_details'])
  const input = count(said['input_tokens'])
  const output = count(said['output_tokens'])
  const cacheRead = Math.min(input, count(read['cached_tokens']))
  const cachedAudio = Math.min(cacheRead, count(cached['audio_tokens']))
  const fresh = (kind: string): number => Math.max(0, count(read[kind]) - count(cached[kind]))
  const inputAudio = Math.min(input - cacheRead, fresh('audio_tokens'))
  const inputImage = Math.min(input - cacheRead - inputAudio, fresh('image_tokens'))
  const outputAudio = Math.min(output, count(wrote['audio_tokens']))
  return {
    cachedAudio,
    usage: {
      ...noUsage,
      input: input - cacheRead - inputAudio - inputImage,
      cacheRead,
      inputAudio,
      inputImage,
      output: output - outputAudio,
      outputAudio,
      raw: said,
    },
  }
}

const secondsOf = (usage: Json | undefined): number =>
  object(usage)['type'] === 'duration' ? Math.max(0, number(object(usage)['seconds']) ?? 0) : 0

/** Where the session says it, before 2025-08 and since. */
const transcriberOf = (session: JsonObject): string | undefined =>
  text(object(object(object(session['audio'])['input'])['transcription'])['model']) ??
  text(object(session['input_audio_transcription'])['model'])

function transcribedBy(session: JsonObject, model: string): JsonObject {
  const { audio, input_audio_transcription: before } = session
  const input = object(object(audio)['input'])
  return {
    ...session,
    ...(isObject(before) && { input_audio_transcription: { ...before, model } }),
    ...(isObject(input['transcription']) && {
      audio: {
        ...object(audio),
        input: { ...input, transcription: { ...input['transcription'], model } },
      },
    }),
  }
}

/** Counts are added; what was said verbatim is kept while there is one. */
function sum({ raw, ...one }: Usage, { raw: said, ...other }: Usage): Usage {
  const isFirst = isNothing(one)
  return {
    input: one.input + other.input,
    cacheRead: one.cacheRead + other.cacheRead,
    cacheWrite: one.cacheWrite + other.cacheWrite,
    cacheWrite1h: one.cacheWrite1h + other.cacheWrite1h,
    inputAudio: one.inputAudio + other.inputAudio,
    inputImage: one.inputImage + other.inputImage,
    output: one.output + other.output,
    reasoning: one.reasoning + other.reasoning,
    outputAudio: one.outputAudio + other.outputAudio,
    outputImage: one.outputImage + other.outputImage,
    searches: one.searches + other.searches,
    ...(isFirst && raw === undefined && said !== undefined && { raw: said }),
  }
}

const isNothing = (usage: Usage): boolean => Object.values(usage).every((value) => value === 0)
