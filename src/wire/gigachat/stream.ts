import type { ChatEvent } from '../../chat/chat.ts'
import type { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeErrorObject, errorIn } from '../openai-chat/errors.ts'
import { cutShort, notJson } from '../openai-chat/stream.ts'
import { count } from '../tgi/response.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeCall, decodeFinish, decodeUsage, idOf } from './response.ts'

/** OpenAI's chunks; a call comes whole in one of them. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let failed = false
  let finished = false
  /** Choices that have made a call, and those whose structure has been told. */
  const called = new Set<number>()
  const answered = new Set<number>()
  function fail(error: GatewayError): ChatEvent[] {
    failed = true
    return [{ type: 'fault', error }]
  }
  function decodeChoice(choice: JsonObject): ChatEvent[] {
    const at = number(choice.index) ?? 0
    const of = at === 0 ? {} : { choice: at }
    const delta = object(choice.delta)
    const events: ChatEvent[] = []
    const thought = text(delta.reasoning_content)
    if (thought) events.push({ type: 'reasoning', text: thought, ...of })
    const words = text(delta.content)
    if (words) events.push({ type: 'text', text: words, ...of })
    const call = decodeCall(delta.function_call, notes)
    if (call?.type === 'answer' && !answered.has(at)) {
      answered.add(at)
      events.push({ type: 'text', text: call.text, ...of })
    } else if (call?.type === 'call' && !called.has(at)) {
      called.add(at)
      events.push({
        type: 'tool-start',
        index: 0,
        id: idOf(delta, at),
        name: call.name,
        ...call.kind,
        ...of,
      })
      if (call.input !== '') events.push({ type: 'tool-input', index: 0, text: call.input, ...of })
      const state = text(delta.functions_state_id)
      if (state !== undefined)
        events.push({
          type: 'extras',
          extras: { functions_state_id: state },
          of: 'message',
          ...of,
        })
    }
    const reason = text(choice.finish_reason)
    if (reason) {
      finished = true
      const finish = decodeFinish(reason, called.has(at), answered.has(at))
      events.push({ type: 'finish', finish, reason, ...of })
    }
    return events
  }
  return {
    push({ data }) {
      if (failed || data.trim() === '' || data.startsWith('[DONE]')) return []
      const chunk = parseOr(data)
      if (!isObject(chunk)) return fail(notJson())
      const error = errorIn(chunk)
      if (error !== undefined) return fail(decodeErrorObject(error))
      const events: ChatEvent[] = []
      if (!started) {
        started = true
        events.push({
          type: 'start',
          id: text(chunk.id) ?? '',
          model: text(chunk.model) ?? notes.model,
          created: count(chunk.created) ?? 0,
        })
      }
      for (const value of list(chunk.choices)) events.push(...decodeChoice(object(value)))
      const usage = decodeUsage(chunk.usage)
      return usage ? [...events, { type: 'usage', usage }] : events
    },
    end: () => (failed || finished ? [] : fail(cutShort())),
  }
}
