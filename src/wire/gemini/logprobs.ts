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

/** Google's list of chosen tokens beside the list of their rivals, as OpenAI's list of tokens with their rivals. */
export function decodeLogprobs(value: Json | undefined): JsonObject | undefined {
  if (!isObject(value) || !Array.isArray(value.chosenCandidates)) return undefined
  const rivals = list(value.topCandidates)
  return {
    content: value.chosenCandidates.map((chosen, at) => ({
      ...decodeToken(chosen),
      top_logprobs: list(object(rivals[at]).candidates).map(decodeToken),
    })),
  }
}

function decodeToken(value: Json): JsonObject {
  const { token, logProbability } = object(value)
  return { token: text(token) ?? '', logprob: number(logProbability) ?? 0, bytes: null }
}

export function encodeLogprobs(value: Json | undefined): JsonObject | undefined {
  const content = object(value).content
  if (!Array.isArray(content) || content.length === 0) return undefined
  const rivals = content.map((token) => list(object(token).top_logprobs).map(encodeToken))
  return compact({
    chosenCandidates: content.map(encodeToken),
    topCandidates: rivals.some((some) => some.length > 0)
      ? rivals.map((candidates) => ({ candidates }))
      : undefined,
  })
}

const encodeToken = (value: Json): JsonObject => {
  const { token, logprob } = object(value)
  return { token: text(token) ?? '', logProbability: number(logprob) ?? 0 }
}
