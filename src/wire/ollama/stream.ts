import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { clientsCall } from '../anthropic/response.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { cutShort } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import {
  decodeCall,
  decodeFinish,
  decodeLogprobs,
  decodeTime,
  decodeUsage,
  hasUsage,
} from './response.ts'

/** One JSON object a line, each a piece of the message; calls come whole. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let over = false
  let called = 0

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }

  function begin(line: JsonObject): ChatEvent[] {
    if (started) return []
    started = true
    const model = text(line.model) ?? notes.model
    return [{ type: 'start', id: '', model, created: decodeTime(line.created_at) }]
  }

  function call(value: Json, at: Json | undefined): ChatEvent[] {
    const index = called++
    const part = clientsCall(decodeCall(value, index, at), notes)
    if (part.type !== 'tool-call') return []
    const { id, name, kind, input } = part
    return [
      { type: 'tool-start', index, id, name, ...(kind && { kind }) },
      { type: 'tool-input', index, text: input },
    ]
  }

  function decode(line: JsonObject): ChatEvent[] {
    const events = begin(line)
    const message = object(line.message)
    const thought = text(message.thinking)
    if (thought) events.push({ type: 'reasoning', text: thought })
    const said = text(message.content)
    if (said) events.push({ type: 'text', text: said })
    for (const value of list(message.tool_calls)) events.push(...call(value, line.created_at))
    const logprobs = decodeLogprobs(line.logprobs)
    if (logprobs) events.push({ type: 'logprobs', logprobs })
    if (line.done !== true) return events
    over = true
    const reason = text(line.done_reason)
    events.push({
      type: 'finish',
      finish: decodeFinish(reason, called > 0),
      ...(reason !== undefined && { reason }),
    })
    if (hasUsage(line)) events.push({ type: 'usage', usage: decodeUsage(line) })
    return events
  }

  return {
    push({ data }) {
      if (over || data === '') return []
      const line = parseOr(data)
      if (!isObject(line))
        return fail(new GatewayError('bad_gateway', 'the upstream sent a line that is not JSON'))
      if (line.error !== undefined && line.error !== null)
        return fail(decodeErrorObject(line.error))
      return decode(line)
    },
    end() {
      if (over) return []
      return fail(cutShort())
    },
  }
}
