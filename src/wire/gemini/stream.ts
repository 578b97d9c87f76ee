import type { ChatEvent, Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { blocked, decodeErrorObject } from './errors.ts'
import { decodeAnnotations } from './grounding.ts'
import { parseOr } from './keys.ts'
import { decodeLogprobs } from './logprobs.ts'
import { callId } from './names.ts'
import { decodeParts } from './parts.ts'
import {
  answerOf,
  audioId,
  clientsCall,
  createdAt,
  decodeFinish,
  encodeSpeech,
  isBlocked,
  searchesOf,
  tellFields,
  tellTop,
} from './response.ts'
import { decodeUsage } from './usage.ts'

export const cutShort = (): GatewayError =>
  new GatewayError('bad_gateway', 'the upstream ended the stream before the answer was complete')

/** What is known of one candidate so far. */
type Progress = {
  /** Calls told to the client, and those among them that came without an id. */
  calls: number
  unnamed: number
  answered: boolean
  reason: string | undefined
  /** Kept where sources may yet point into it. */
  said: string[]
  /** What is told of the candidate besides its content; the last word on each counts. */
  told: JsonObject
}

/**
 * Every chunk is an answer of its own with the next parts; calls come whole. How it ended is told at the very end,
 * since some models name a reason in every chunk.
 */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let over = false
  let id = ''
  const choices = new Map<number, Progress>()

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }

  function progress(choice: number): Progress {
    const known = choices.get(choice)
    if (known) return known
    const made = { calls: 0, unnamed: 0, answered: false, reason: undefined, said: [], told: {} }
    choices.set(choice, made)
    return made
  }

  function begin(chunk: JsonObject): ChatEvent[] {
    if (started) return []
    started = true
    id = text(chunk.responseId) ?? ''
    const model = text(chunk.modelVersion) ?? notes.model
    return [{ type: 'start', id, model, created: createdAt(chunk) }]
  }

  function tell(part: Part, choice: number, state: Progress): ChatEvent[] {
    const of = choice === 0 ? {} : { choice }
    switch (part.type) {
      case 'text':
        state.said.push(part.text)
        return [{ type: 'text', text: part.text, ...of }]
      case 'reasoning': {
        const thought: ChatEvent[] =
          part.text === '' ? [] : [{ type: 'reasoning', text: part.text, ...of }]
        return part.signature === undefined
          ? thought
          : [...thought, { type: 'signature', signature: part.signature, ...of }]
      }
      case 'tool-call': {
        if (part.name === notes.outputTool) {
          state.answered = true
          return [{ type: 'text', text: answerOf(part.input, notes), ...of }]
        }
        const { id: callsId, name, input, kind, signature } = clientsCall(part, notes)
        const index = state.calls++
        return [
          {
            type: 'tool-start',
            index,
            id: callsId,
            name,
            ...(kind && { kind }),
            ...(signature !== undefined && { signature }),
            ...of,
          },
          { type: 'tool-input', index, text: input, ...of },
        ]
      }
      case 'media': {
        const audio = encodeSpeech(part, audioId(id, choice))
        return [audio ? { type: 'audio', audio, ...of } : { type: 'media', part, ...of }]
      }
      case 'raw':
        return [{ type: 'raw', wire: part.wire, value: part.value, ...of }]
      case 'refusal':
      case 'tool-result':
        return []
    }
  }

  function decodeCandidate(candidate: JsonObject): ChatEvent[] {
    const choice = Math.max(0, Math.floor(number(candidate.index) ?? 0))
    const state = progress(choice)
    const parts = decodeParts(
      list(object(candidate.content).parts),
      (call) => call.id ?? callId(id, choice, state.unnamed++, `${call.name}${call.args}`),
    )
    const events = afterText(parts).flatMap((part) => tell(part, choice, state))
    const logprobs = decodeLogprobs(candidate.logprobsResult)
    if (logprobs) events.push({ type: 'logprobs', logprobs, ...(choice > 0 && { choice }) })
    state.reason = text(candidate.finishReason) ?? state.reason
    for (const key in candidate)
      if (key !== 'content' && candidate[key] !== null) state.told[key] = candidate[key]
    return events
  }

  function conclude(choice: number, state: Progress): ChatEvent[] {
    const of = choice === 0 ? {} : { choice }
    const events = decodeAnnotations(state.told, state.said.join('')).map(
      (annotation): ChatEvent => ({ type: 'annotation', annotation, ...of }),
    )
    const fields = tellFields(state.told)
    if (fields)
      events.push({
        type: 'extras',
        extras: { provider_specific_fields: fields },
        of: 'message',
        ...of,
      })
    const finish = decodeFinish(state.reason, state.calls > 0)
    const reason = state.answered ? undefined : state.reason
    events.push({ type: 'finish', finish, ...(reason !== undefined && { reason }), ...of })
    return events
  }

  function take(chunk: JsonObject): ChatEvent[] {
    if (chunk.error !== undefined && chunk.error !== null)
      return fail(decodeErrorObject(chunk.error))
    const candidates = list(chunk.candidates).map(object)
    if (candidates.length === 0 && choices.size === 0 && isBlocked(chunk))
      return fail(blocked(object(chunk.promptFeedback)))
    const events = begin(chunk)
    for (const candidate of candidates)
      for (const event of decodeCandidate(candidate)) events.push(event)
    const told = [...choices.values()].map((state) => state.told)
    const usage = decodeUsage(chunk.usageMetadata, searchesOf(told, notes))
    if (usage) events.push({ type: 'usage', usage })
    return events
  }

  return {
    push({ data }) {
      if (over || data === '' || data === '[DONE]') return []
      const chunk = parseOr(data)
      return isObject(chunk)
        ? take(chunk)
        : fail(new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON'))
    },
    end() {
      if (over) return []
      over = true
      const all = [...choices].toSorted(([a], [b]) => a - b)
      if (!all.some(([, { reason }]) => reason !== undefined))
        return [{ type: 'fault', error: cutShort() }]
      const extras = tellTop(all.map(([, { told }]) => told))
      return [
        ...(extras ? [{ type: 'extras' as const, extras, of: 'result' as const }] : []),
        ...all.flatMap(([choice, state]) => conclude(choice, state)),
      ]
    },
  }
}

/** A text is on its way to the client before its signature can be: here that follows it, so that no text is cut in two. */
function afterText(parts: Part[]): Part[] {
  const out = [...parts]
  for (let at = 0; at + 1 < out.length; at++) {
    const [part, next] = [out[at], out[at + 1]]
    if (part?.type !== 'reasoning' || part.text !== '' || next?.type !== 'text') continue
    out[at] = next
    out[at + 1] = part
    at++
  }
  return out
}
