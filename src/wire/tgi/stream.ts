import type { ChatEvent } from '../../chat/chat.ts'
import type { GatewayError } from '../../errors.ts'
import { isObject, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { cutShort, notJson } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeFinish, decodeUsage, errorOf, marks } from './response.ts'

/** One token an event; the last one has the whole text and why it ended. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let over = false
  let spoken = false
  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }
  function begin(): ChatEvent[] {
    if (started) return []
    started = true
    return [{ type: 'start', id: '', model: notes.model, created: 0 }]
  }
  return {
    push({ data }) {
      if (over || data === '' || data.startsWith('[DONE]')) return []
      const said = parseOr(data)
      if (!isObject(said)) return fail(notJson())
      if (said.error) return fail(decodeErrorObject(errorOf(said)))
      const events = begin()
      const token = object(said.token)
      const words = text(token.text) ?? text(said.text) ?? ''
      if (words !== '' && token.special !== true && !marks.includes(words)) {
        spoken = true
        events.push({ type: 'text', text: words })
      }
      const whole = text(said.generated_text)
      const isMark = words === '<|endoftext|>'
      if (whole === undefined && !isObject(said.details) && !isMark) return events
      over = true
      // A server that does not tell its tokens one by one tells them here.
      if (!spoken && whole) events.push({ type: 'text', text: whole })
      const reason = text(object(said.details).finish_reason)
      events.push({
        type: 'finish',
        finish: decodeFinish(reason),
        ...(reason !== undefined && { reason }),
      })
      const usage = decodeUsage(object(said.details))
      return usage ? [...events, { type: 'usage', usage }] : events
    },
    end: () => (over ? [] : fail(cutShort())),
  }
}
