import { inputTokens, outputTokens, type Usage } from '../../chat/chat.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'

/**
 * `promptTokenCount` holds what was read from the cache; what tools gave the model to read comes on top. Thoughts stand
 * beside `candidatesTokenCount`, except where the total shows that they are inside it.
 */
export function decodeUsage(value: Json | undefined, searches = 0): Usage | undefined {
  if (!isObject(value)) return undefined
  const count = (name: string): number => Math.max(0, number(value[name]) ?? 0)
  const prompt = count('promptTokenCount')
  const tools = count('toolUsePromptTokenCount')
  const candidates = count('candidatesTokenCount')
  const reasoning = count('thoughtsTokenCount')
  const isInside =
    reasoning > 0 &&
    reasoning <= candidates &&
    prompt + tools + candidates === count('totalTokenCount')
  const wrote = isInside ? candidates - reasoning : candidates
  const cacheRead = Math.min(prompt, count('cachedContentTokenCount'))
  const fresh = (modality: string): number =>
    Math.max(
      0,
      ofModality(value.promptTokensDetails, modality) -
        ofModality(value.cacheTokensDetails, modality),
    )
  const inputAudio = Math.min(prompt - cacheRead, fresh('AUDIO'))
  const inputImage = Math.min(prompt - cacheRead - inputAudio, fresh('IMAGE'))
  const outputAudio = Math.min(wrote, ofModality(value.candidatesTokensDetails, 'AUDIO'))
  const outputImage = Math.min(
    wrote - outputAudio,
    ofModality(value.candidatesTokensDetails, 'IMAGE'),
  )
  return {
    input: prompt - cacheRead - inputAudio - inputImage + tools,
    cacheRead,
    cacheWrite: 0,
    cacheWrite1h: 0,
    inputAudio,
    inputImage,
    output: wrote - outputAudio - outputImage,
    reasoning,
    outputAudio,
    outputImage,
    searches,
    raw: value,
  }
}

const ofModality = (details: Json | undefined, modality: string): number =>
  list(details).reduce<number>((sum, item) => {
    const { modality: name, tokenCount } = object(item)
    return sum + (text(name) === modality ? Math.max(0, number(tokenCount) ?? 0) : 0)
  }, 0)

/** What the provider said comes back as it said it when it spoke this wire; otherwise Google's fields are made from the buckets. */
export function encodeUsage(usage: Usage): JsonObject {
  if (usage.raw && typeof usage.raw.promptTokenCount === 'number') return usage.raw
  const prompt = inputTokens(usage)
  const wrote = outputTokens(usage)
  return compact({
    promptTokenCount: prompt,
    candidatesTokenCount: wrote - usage.reasoning,
    totalTokenCount: prompt + wrote,
    cachedContentTokenCount: usage.cacheRead || undefined,
    thoughtsTokenCount: usage.reasoning || undefined,
    promptTokensDetails: details(
      prompt - usage.inputAudio - usage.inputImage,
      usage.inputAudio,
      usage.inputImage,
    ),
    candidatesTokensDetails: details(usage.output, usage.outputAudio, usage.outputImage),
  })
}

/** Only worth saying when there is more than text. */
const details = (said: number, audio: number, image: number): JsonObject[] | undefined =>
  audio + image === 0
    ? undefined
    : [
        { modality: 'TEXT', tokenCount: said },
        { modality: 'AUDIO', tokenCount: audio },
        { modality: 'IMAGE', tokenCount: image },
      ].filter(({ tokenCount }) => tokenCount > 0)
