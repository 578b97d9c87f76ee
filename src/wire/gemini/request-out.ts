import type { ChatRequest } from '../../chat/chat.ts'
import { compact, isObject, type Json, type JsonObject, object } from '../../json/json.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import type { Encoded, Notes, Target } from '../wire.ts'
import { abilitiesOf } from './abilities.ts'
import { configNames, encodeGeneration } from './generation.ts'
import { at, camelOf, lookUp, restOf } from './keys.ts'
import { encodeTools } from './tools.ts'
import { encodeConversation } from './turns.ts'

export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const request = inOurWords(asked)
  const abilities = abilitiesOf(to)
  const box = encodeTools(request, abilities)
  const talk = encodeConversation(request.messages, box.names, abilities)
  const generation = encodeGeneration(request, abilities, {
    withOutput: box.notes.outputTool === undefined && !box.withoutOutput,
    clampTokens: to.modifyParams,
  })
  const dropped = [...box.dropped, ...talk.dropped, ...generation.dropped, ...leftOut(request, to)]
  const body = compact({
    systemInstruction: talk.systemInstruction,
    contents: talk.contents,
    tools: box.tools.length > 0 ? box.tools : undefined,
    toolConfig: box.config,
    generationConfig: Object.keys(generation.config).length > 0 ? generation.config : undefined,
    serviceTier: lookUp(tiers, request.serviceTier),
    ...ownFields(request),
  })
  const lacking = [...lacks(request), ...box.unsupported, ...generation.unsupported]
  refuse(body, lacking, dropped, request, to)
  const notes: Notes = {
    model: to.model,
    ...box.notes,
    ...(box.names.changed.size > 0 && { toolNames: box.names.changed }),
  }
  return { body, notes, ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }) }
}

/** Google's own OpenAI route takes its fields in `google`, so its users have them there. */
function inOurWords(request: ChatRequest): ChatRequest {
  const { google, ...extras } = request.extras
  return isForeign(request) && isObject(google)
    ? { ...request, extras: { ...google, ...extras } }
    : request
}

/** Are the extras another dialect's words? Then only those that are known to be ours go along. */
const isForeign = ({ dialect }: ChatRequest): boolean =>
  dialect !== undefined && dialect !== 'gemini'

/**
 * Of the request's top level (@google/genai 3.1). Not `store`: OpenAI's is another thing of the same name, and most
 * clients that say it are OpenAI's.
 */
export const ownNames = [
  'safetySettings',
  'cachedContent',
  'labels',
  'modelArmorConfig',
  'continuationToken',
]

function ownFields(request: ChatRequest): JsonObject {
  const { extras } = request
  if (!isForeign(request))
    return restOf(extras, new Set(['generationConfig', 'toolConfig', ...configNames])) ?? {}
  const own: JsonObject = {}
  for (const name of ownNames) {
    const said = at(extras, name)
    if (isSaid(said)) own[name] = said
  }
  return own
}

/** OpenAI's words for it, and Google's own. */
const tiers: Readonly<Record<string, string>> = {
  default: 'standard',
  standard: 'standard',
  flex: 'flex',
  priority: 'priority',
}

/** What OpenAI's dialect can ask and Gemini cannot do. A value that changes nothing is as good as unsaid. */
function lacks({ logitBias, verbosity }: ChatRequest): string[] {
  const asked: Record<string, boolean> = {
    logit_bias: logitBias !== undefined && Object.keys(logitBias).length > 0,
    verbosity: verbosity !== undefined && verbosity !== 'medium',
  }
  return Object.keys(asked).filter((name) => asked[name])
}

/** What goes unsaid without a refusal: bookkeeping, and fields of other providers. */
function leftOut(request: ChatRequest, to: Target): string[] {
  const known = new Set([...ownNames, ...configNames, 'generationConfig', 'toolConfig', 'thinking'])
  const allowed = new Set(to.allowedParams)
  const foreign = Object.keys(isForeign(request) ? request.extras : {}).filter(
    (name) => !known.has(camelOf(name)) && !allowed.has(name) && isSaid(request.extras[name]),
  )
  return [
    ...(request.user !== undefined ? ['user'] : []),
    ...(request.serviceTier !== undefined &&
    request.serviceTier !== 'auto' &&
    lookUp(tiers, request.serviceTier) === undefined
      ? ['service_tier']
      : []),
    ...foreign,
  ]
}

const isSaid = (value: Json | undefined): boolean => value !== undefined && value !== null

/** Refuses what Gemini lacks by name, or leaves it out; lets through what the row allows. */
function refuse(
  body: JsonObject,
  lacking: readonly string[],
  dropped: string[],
  request: ChatRequest,
  to: Target,
): void {
  const allowed = new Set(to.allowedParams)
  const config = object(body.generationConfig)
  const byRow = (to.quirks.unsupported ?? []).filter((name) => isSaid(config[spelt(name)]))
  const refused = [...new Set([...lacking, ...byRow])].filter((name) => !allowed.has(name))
  if (refused.length > 0 && !to.dropParams) throw unsupported(to, refused)
  for (const name of byRow) if (!allowed.has(name)) delete config[spelt(name)]
  dropped.push(...refused)
  for (const name of allowed) {
    const value = request.extras[name]
    if (isSaid(value)) body[name] = value
  }
}

/** OpenAI's names of what `generationConfig` holds under another. */
const spellings: Readonly<Record<string, string>> = {
  max_tokens: 'maxOutputTokens',
  max_completion_tokens: 'maxOutputTokens',
  n: 'candidateCount',
  stop: 'stopSequences',
  logprobs: 'responseLogprobs',
  top_logprobs: 'logprobs',
  response_format: 'responseMimeType',
  reasoning_effort: 'thinkingConfig',
  modalities: 'responseModalities',
  audio: 'speechConfig',
}
export const spelt = (name: string): string => lookUp(spellings, name) ?? camelOf(name)
