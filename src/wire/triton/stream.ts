import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { notJson } from '../openai-chat/stream.ts'
import { marks } from '../tgi/response.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { textOf } from './response.ts'

/** One piece of the text an event. Nothing says which is the last: the stream's own end does. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let failed = false
  let reason: string | undefined
  function fail(error: GatewayError): ChatEvent[] {
    failed = true
    return [{ type: 'fault', error }]
  }
  return {
    push({ data }) {
      if (failed || data.trim() === '' || data.startsWith('[DONE]')) return []
      const said = parseOr(data)
      if (!isObject(said)) return fail(notJson())
      if (said.error) return fail(decodeErrorObject(said.error))
      const events: ChatEvent[] = []
      if (!started) events.push({ type: 'start', id: '', model: notes.model, created: 0 })
      started = true
      const words = textOf(said.text_output)
      if (words && !marks.includes(words)) events.push({ type: 'text', text: words })
      reason = text(said.stop_reason) || reason
      return events
    },
    end() {
      if (failed) return []
      if (!started) return fail(new GatewayError('bad_gateway', 'the upstream said nothing'))
      const finish = reason === 'length' ? 'length' : 'stop'
      return [{ type: 'finish', finish, ...(reason !== undefined && { reason }) }]
    },
  }
}

/** An answer comes whole, so a stream of events is none of this protocol's. */
export function decodeInferenceStream(): StreamDecoder {
  return {
    push: () => [],
    end: () => [
      {
        type: 'fault',
        error: new GatewayError('bad_gateway', 'the upstream streamed what has to be whole'),
      },
    ],
  }
}
