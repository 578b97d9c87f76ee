import { type JsonObject, number, object, text } from '../json/json.ts'
import { infoOf } from '../provider/catalogue.ts'
import type { Rooms } from './rooms.ts'

/**
 * Answers of providers that count no tokens: seconds of sound, steps of a browser. Each is the dollars of what the answer
 * says was done; undefined: it does not say so yet.
 */
const ways: Readonly<Record<string, (said: JsonObject, rateOf: RateOf) => number | undefined>> = {
  // audio_duration in seconds, once the transcript is done (assemblyai.com/docs/api-reference/transcripts, 2026-11).
  assemblyai(said, rateOf) {
    if (text(said['status']) !== 'completed') return undefined
    const model = text(said['speech_model']) === 'nano' ? 'nano' : 'best'
    return times(number(said['audio_duration']), rateOf('assemblyai', model))
  },
  // The fast transcription tells milliseconds, the recognition of short sound hundreds of nanoseconds
  // (learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short, 2026-11).
  azure_speech(said, rateOf) {
    const fast = number(said['durationMilliseconds'])
    const ticks = number(said['Duration'])
    const short = ticks === undefined ? undefined : (ticks + (number(said['Offset']) ?? 0)) / 1e7
    return times(fast === undefined ? short : fast / 1000, rateOf('azure', 'speech/azure-stt'))
  },
  // Runs that came to their end are paid by their steps, at LiteLLM's price; others are free.
  tinyfish_agent(said) {
    const status = text(said['status'])
    if (status === 'FAILED' || status === 'CANCELLED') return 0
    return status === 'COMPLETED' ? times(number(said['num_of_steps']), 0.016) : undefined
  },
}

type RateOf = (provider: string, model: string) => number | undefined

const times = (count: number | undefined, rate: number | undefined): number | undefined =>
  count === undefined || rate === undefined || count < 0 ? undefined : count * rate

/** Does this provider's answer say in words of its own what it costs? */
export const tellsOwnWay = (provider: string): boolean => Object.hasOwn(ways, provider)

export async function paidFor(
  provider: string,
  said: JsonObject,
  rooms: Rooms,
): Promise<number | undefined> {
  const way = tellsOwnWay(provider) ? ways[provider] : undefined
  if (!way) return undefined
  const catalogue = await rooms.catalogue()
  return way(said, (of, model) =>
    number(object(infoOf(catalogue, of, model, {}))['input_cost_per_second']),
  )
}
