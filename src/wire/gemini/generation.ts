import type { ChatRequest } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, object, text } from '../../json/json.ts'
import type { Abilities } from './abilities.ts'
import { cleanJsonSchema } from './json-schema.ts'
import { at, restOf } from './keys.ts'
import { encodeSchema } from './schema.ts'
import { planThinking } from './thinking.ts'

export type Generation = { config: JsonObject; dropped: string[]; unsupported: string[] }

/** Everything that goes into `generationConfig`; `withOutput` is false where a tool carries the answer. */
export function encodeGeneration(
  request: ChatRequest,
  abilities: Abilities,
  { withOutput, clampTokens }: { withOutput: boolean; clampTokens: boolean },
): Generation {
  const thinking = planThinking(request, abilities)
  const sampling = encodeSampling(request, abilities)
  const stop = request.stop?.filter((sequence) => sequence !== '')
  const { maxTokens } = request
  const most = clampTokens ? abilities.maxOutput : undefined
  const config = compact({
    maxOutputTokens: maxTokens !== undefined && most ? Math.min(maxTokens, most) : maxTokens,
    ...sampling.config,
    seed: request.seed,
    candidateCount: request.n === 1 ? undefined : request.n,
    stopSequences: stop && stop.length > 0 ? stop.slice(0, stopsMax) : undefined,
    // 0 is where both start; some models refuse to hear of them.
    presencePenalty: request.presencePenalty || undefined,
    frequencyPenalty: request.frequencyPenalty || undefined,
    responseLogprobs: request.logprobs || undefined,
    logprobs: request.logprobs ? request.topLogprobs || undefined : undefined,
    ...(withOutput ? encodeOutput(request, abilities) : {}),
    responseModalities: encodeModalities(request),
    speechConfig: encodeVoice(request.audio),
    thinkingConfig: thinking.config,
    ...ownConfig(request.extras),
  })
  const cut = stop !== undefined && stop.length > stopsMax
  return {
    config,
    dropped: [...thinking.dropped, ...(cut ? ['stop'] : [])],
    unsupported: [...thinking.unsupported, ...sampling.unsupported],
  }
}

/** The API takes five. */
const stopsMax = 5

/** Models that set their own sampling answer any of it with a 400; what is the usual value anyway is as good as unsaid. */
function encodeSampling(
  { temperature, topP, topK }: ChatRequest,
  { sampling }: Abilities,
): { config: JsonObject; unsupported: string[] } {
  if (sampling) return { config: { temperature, topP, topK }, unsupported: [] }
  const said = {
    temperature: temperature === 1 ? undefined : temperature,
    top_p: topP === 1 || topP === 0.95 ? undefined : topP,
    top_k: topK === 64 ? undefined : topK,
  }
  return { config: {}, unsupported: Object.keys(compact(said)) }
}

/** The old schema field where it says everything; the newer one keeps what it would lose. */
function encodeOutput({ output }: ChatRequest, { jsonSchema }: Abilities): JsonObject {
  if (output === undefined || output.type === 'text') return {}
  if (output.type === 'json') return { responseMimeType: 'application/json' }
  const { schema, exact } = encodeSchema(output.schema)
  return exact || !jsonSchema
    ? { responseMimeType: 'application/json', responseSchema: schema && ordered(schema, 0) }
    : { responseMimeType: 'application/json', responseJsonSchema: cleanJsonSchema(output.schema) }
}

/** Older models write the fields of an object by the alphabet unless told the order. */
function ordered(node: JsonObject, depth: number): JsonObject {
  if (depth > 60) return node
  const inner = (value: unknown): JsonObject => ordered(object(value), depth + 1)
  const out: JsonObject = { ...node }
  if (Array.isArray(node.anyOf)) out.anyOf = node.anyOf.map(inner)
  if (isObject(node.items)) out.items = inner(node.items)
  if (!isObject(node.properties)) return out
  const names = Object.keys(node.properties)
  out.properties = Object.fromEntries(
    Object.entries(node.properties).map(([name, value]) => [name, inner(value)]),
  )
  if (names.length > 1) out.propertyOrdering ??= names
  return out
}

/** No model writes text and speech in one answer, though OpenAI's clients always ask for both. */
function encodeModalities({ modalities }: ChatRequest): string[] | undefined {
  if (modalities === undefined || modalities.length === 0) return undefined
  const names = modalities.map((name) => name.toUpperCase())
  if (names.includes('AUDIO')) return ['AUDIO']
  return names.length === 1 && names[0] === 'TEXT' ? undefined : names
}

function encodeVoice(audio: JsonObject | undefined): JsonObject | undefined {
  const voiceName = text(audio?.voice)
  return voiceName === undefined
    ? undefined
    : { voiceConfig: { prebuiltVoiceConfig: { voiceName } } }
}

/** Fields of `generationConfig` as the client gave them: under that name, or beside OpenAI's parameters. */
function ownConfig(extras: JsonObject): JsonObject {
  const beside: JsonObject = {}
  for (const name of configNames) {
    const said = at(extras, name)
    if (said !== undefined && said !== null) beside[name] = said
  }
  return { ...beside, ...restOf(object(at(extras, 'generationConfig')), nothing) }
}

const nothing: ReadonlySet<string> = new Set()

/** Of GenerationConfig (@google/genai 3.1). */
export const configNames =
  `audioTimestamp audioTranscriptionConfig candidateCount enableAffectiveDialog
  enableEnhancedCivicAnswers imageConfig maxOutputTokens mediaResolution modelConfig modelSelectionConfig
  responseFormat responseJsonSchema responseLogprobs responseMimeType responseModalities responseSchema
  routingConfig speechConfig stopSequences thinkingConfig topK topP translationConfig`.split(/\s+/)
