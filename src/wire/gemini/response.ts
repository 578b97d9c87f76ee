import type { ChatResult, Choice, Finish, Part, Usage } from '../../chat/chat.ts'
import { noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import type { ClientContext, Notes } from '../wire.ts'
import { versionOf } from './abilities.ts'
import { blocked, decodeErrorObject } from './errors.ts'
import { decodeAnnotations, encodeGrounding } from './grounding.ts'
import { lookUp, parseOr } from './keys.ts'
import { decodeLogprobs, encodeLogprobs } from './logprobs.ts'
import { callId } from './names.ts'
import { customText, decodeParts, encodePart, moveSignatures } from './parts.ts'
import { decodeUsage, encodeUsage } from './usage.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  if (body.error !== undefined && body.error !== null) throw decodeErrorObject(body.error)
  const candidates = list(body.candidates).map(object)
  if (candidates.length === 0) {
    if (isBlocked(body)) throw blocked(object(body.promptFeedback))
    throw new GatewayError('bad_gateway', 'the upstream answered without candidates')
  }
  const id = text(body.responseId) ?? ''
  const usage: Usage = decodeUsage(body.usageMetadata, searchesOf(candidates, notes)) ?? noUsage
  const extras = tellTop(candidates)
  return {
    id,
    created: createdAt(body),
    model: text(body.modelVersion) ?? notes.model,
    choices: candidates.map((candidate, at) => decodeCandidate(candidate, at, id, notes)),
    usage,
    ...(extras && { extras }),
  }
}

/** No candidate was made because of what the prompt says. */
export const isBlocked = (body: JsonObject): boolean =>
  text(object(body.promptFeedback).blockReason) !== undefined

export function createdAt({ createTime }: JsonObject): number {
  const made = typeof createTime === 'string' ? Date.parse(createTime) : Number.NaN
  return Number.isFinite(made) ? Math.floor(made / 1000) : 0
}

/** A grounded prompt is paid as one search, and since Gemini 3 each query is (ai.google.dev, pricing, 2026-11). */
export function searchesOf(candidates: readonly JsonObject[], { model }: Notes): number {
  const queries = candidates.reduce(
    (sum, { groundingMetadata }) => sum + list(object(groundingMetadata).webSearchQueries).length,
    0,
  )
  return (versionOf(model) ?? 3) >= 3 ? queries : Math.min(queries, 1)
}

function decodeCandidate(candidate: JsonObject, at: number, id: string, notes: Notes): Choice {
  let calls = 0
  let answered = false
  const parts = decodeParts(
    list(object(candidate.content).parts),
    (call) => call.id ?? callId(id, at, calls++, `${call.name}${call.args}`),
  ).map((part): Part => {
    if (part.type !== 'tool-call') return part
    if (part.name !== notes.outputTool) return clientsCall(part, notes)
    answered = true
    return { type: 'text', text: answerOf(part.input, notes) }
  })
  const { kept, audio } = takeAudio(parts, audioId(id, at))
  annotate(kept, candidate)
  const reason = text(candidate.finishReason)
  const called = kept.some((part) => part.type === 'tool-call')
  const logprobs = decodeLogprobs(candidate.logprobsResult)
  const fields = tellFields(candidate)
  const extras = compact({ provider_specific_fields: fields, audio })
  return {
    parts: kept,
    finish: decodeFinish(reason, called),
    ...(reason !== undefined && !answered && { reason }),
    ...(logprobs && { logprobs }),
    ...(Object.keys(extras).length > 0 && { extras }),
  }
}

export const audioId = (responseId: string, choice: number): string =>
  `audio_${responseId || 'answer'}_${choice}`

/** Speech is told as OpenAI tells it: beside the parts. */
function takeAudio(parts: Part[], id: string): { kept: Part[]; audio: JsonObject | undefined } {
  const at = parts.findIndex((part) => encodeSpeech(part, id) !== undefined)
  const found = parts[at]
  return found === undefined
    ? { kept: parts, audio: undefined }
    : { kept: parts.toSpliced(at, 1), audio: encodeSpeech(found, id) }
}

export const encodeSpeech = (part: Part, id: string): JsonObject | undefined =>
  part.type === 'media' && part.media === 'audio' && part.source.type === 'bytes'
    ? { id, data: part.source.base64, expires_at: 0, transcript: '' }
    : undefined

function annotate(parts: Part[], candidate: JsonObject): void {
  if (candidate.groundingMetadata === undefined && candidate.citationMetadata === undefined) return
  const texts = parts.filter((part) => part.type === 'text')
  const annotations = decodeAnnotations(candidate, texts.map((part) => part.text).join(''))
  const last = texts.at(-1)
  if (last && annotations.length > 0) last.annotations = annotations
}

/** What is told of a candidate besides its content: LiteLLM's clients look for a provider's own fields here. */
export function tellFields(candidate: JsonObject): JsonObject | undefined {
  const fields: JsonObject = {}
  for (const [name, field] of Object.entries(told)) {
    const said = candidate[field]
    if (said !== undefined && said !== null && !isEmpty(said)) fields[name] = said
  }
  return Object.keys(fields).length > 0 ? fields : undefined
}

const isEmpty = (value: Json): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

const told = {
  grounding_metadata: 'groundingMetadata',
  citation_metadata: 'citationMetadata',
  url_context_metadata: 'urlContextMetadata',
  safety_ratings: 'safetyRatings',
  finish_message: 'finishMessage',
  continuation_token: 'continuationToken',
} as const

/** The same under the names, and in the place, in which LiteLLM tells it. */
export function tellTop(candidates: readonly JsonObject[]): JsonObject | undefined {
  const found = (field: string): Json[] | undefined => {
    const all = candidates.flatMap((candidate) => {
      const said = candidate[field]
      return isObject(said) && Object.keys(said).length > 0 ? [said] : []
    })
    return all.length > 0 ? all : undefined
  }
  const top = compact({
    vertex_ai_grounding_metadata: found('groundingMetadata'),
    vertex_ai_url_context_metadata: found('urlContextMetadata'),
    vertex_ai_citation_metadata: found('citationMetadata'),
  })
  return Object.keys(top).length > 0 ? top : undefined
}

/** The input of the answer tool as the text of the answer. */
export function answerOf(input: string, { outputKey }: Notes): string {
  if (outputKey === undefined) return input
  const whole = object(parseOr(input))
  return JSON.stringify(whole[outputKey] ?? whole)
}

/** A call under the name, and in the form, in which the client knows its tool. */
export function clientsCall(
  part: Extract<Part, { type: 'tool-call' }>,
  { toolNames, customTools }: Notes,
): Extract<Part, { type: 'tool-call' }> {
  const name = toolNames?.get(part.name) ?? part.name
  if (!customTools?.has(part.name)) return name === part.name ? part : { ...part, name }
  return { ...part, name, kind: 'custom', input: customText(part.input) }
}

export function encodeResult(result: ChatResult, context: ClientContext): JsonObject {
  return {
    candidates: result.choices.map(encodeChoice),
    usageMetadata: encodeUsage(result.usage),
    modelVersion: context.model,
    responseId: result.id || context.requestId,
  }
}

function encodeChoice(choice: Choice, index: number): JsonObject {
  const texts = choice.parts.filter((part) => part.type === 'text')
  const parts = moveSignatures(choice.parts.flatMap(encodePart))
  parts.push(...encodeAudio(choice.extras?.audio))
  return compact({
    content: { parts: parts.length > 0 ? parts : [{ text: '' }], role: 'model' },
    finishReason: encodeFinish(choice.finish, choice.reason),
    index,
    groundingMetadata: encodeGrounding(
      texts.flatMap((part) => part.annotations ?? []),
      texts.map((part) => part.text).join(''),
    ),
    logprobsResult: encodeLogprobs(choice.logprobs),
  })
}

/** OpenAI's spoken answer, whose form the answer does not say: it is what Gemini's clients expect of speech. */
export function encodeAudio(audio: Json | undefined): JsonObject[] {
  const data = text(object(audio).data)
  return data === undefined
    ? []
    : [{ inlineData: { mimeType: 'audio/L16;codec=pcm;rate=24000', data } }]
}

const finishes: Readonly<Record<string, Finish>> = {
  STOP: 'stop',
  MAX_TOKENS: 'length',
  SAFETY: 'content-filter',
  RECITATION: 'content-filter',
  LANGUAGE: 'content-filter',
  BLOCKLIST: 'content-filter',
  PROHIBITED_CONTENT: 'content-filter',
  SPII: 'content-filter',
  MODEL_ARMOR: 'content-filter',
  IMAGE_SAFETY: 'content-filter',
  IMAGE_PROHIBITED_CONTENT: 'content-filter',
  IMAGE_RECITATION: 'content-filter',
  CONTINUATION: 'pause',
  OTHER: 'other',
  MALFORMED_FUNCTION_CALL: 'other',
  MALFORMED_RESPONSE: 'other',
  UNEXPECTED_TOOL_CALL: 'other',
  TOO_MANY_TOOL_CALLS: 'other',
  NO_IMAGE: 'other',
  IMAGE_OTHER: 'other',
}

/** Gemini stops for a call as for anything else. */
export function decodeFinish(reason: string | undefined, called: boolean): Finish {
  const finish = reason === undefined ? 'stop' : (lookUp(finishes, reason) ?? 'other')
  return finish === 'stop' && called ? 'tool-calls' : finish
}

const reasons = {
  stop: 'STOP',
  length: 'MAX_TOKENS',
  'tool-calls': 'STOP',
  'content-filter': 'SAFETY',
  pause: 'STOP',
  other: 'OTHER',
} as const satisfies Record<Finish, string>

/** The provider's own word where it is one of Google's. */
export const encodeFinish = (finish: Finish, reason: string | undefined): string =>
  reason !== undefined && lookUp(finishes, reason) === finish ? reason : reasons[finish]
