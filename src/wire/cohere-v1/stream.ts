import type { ChatEvent } from '../../chat/chat.ts'
import type { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeFault } from '../cohere/errors.ts'
import { decodeFinish, decodeUsage, failed, ownFields } from '../cohere/response.ts'
import { cutShort, notJson } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeCalls } from './response.ts'

/** An event a line. Calls come in pieces and then whole, and the end repeats the whole answer: what was told is not told again. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let spoken = false
  let over = false
  let called = false

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }
  function speak(words: string | undefined): ChatEvent[] {
    if (!words) return []
    spoken = true
    return [{ type: 'text', text: words }]
  }
  function call(said: JsonObject): ChatEvent[] {
    const calls = called ? [] : decodeCalls(said.tool_calls, notes)
    called ||= calls.length > 0
    return calls.flatMap(({ input, type: _, ...head }, index): ChatEvent[] => [
      { ...head, type: 'tool-start', index },
      { type: 'tool-input', index, text: input },
    ])
  }
  function finish(said: JsonObject): ChatEvent[] {
    const whole = object(said.response)
    const reason = text(said.finish_reason) ?? text(whole.finish_reason)
    const failure = failed(reason, text(said.error))
    if (failure) return fail(failure)
    over = true
    const extras = ownFields('', list(whole.citations))
    return [
      ...(spoken ? [] : speak(text(whole.text))),
      ...call(whole),
      ...(extras ? [{ type: 'extras' as const, extras, of: 'message' as const }] : []),
      {
        type: 'finish',
        finish: decodeFinish(reason, called),
        ...(reason !== undefined && { reason }),
      },
      ...(isObject(whole.meta) ? [{ type: 'usage' as const, usage: decodeUsage(whole.meta) }] : []),
    ]
  }
  function decode(said: JsonObject): ChatEvent[] {
    switch (said.event_type) {
      case 'text-generation':
      case 'tool-calls-chunk':
        return speak(text(said.text))
      case 'tool-calls-generation':
        return [...(spoken ? [] : speak(text(said.text))), ...call(said)]
      case 'stream-end':
        return finish(said)
      default:
        return []
    }
  }
  return {
    push({ data }) {
      if (over || data === '[DONE]') return []
      const said = parseOr(data)
      if (!isObject(said)) return fail(notJson())
      if (said.event_type === undefined && typeof said.message === 'string')
        return fail(decodeFault(said))
      const id = text(said.generation_id) ?? ''
      const events: ChatEvent[] = started
        ? []
        : [{ type: 'start', id, model: notes.model, created: 0 }]
      started = true
      return [...events, ...decode(said)]
    },
    end: () => (over ? [] : fail(cutShort())),
  }
}
