import type { ChatEvent } from '../../chat/chat.ts'
import type { GatewayError } from '../../errors.ts'
import { isObject, list, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { cutShort, notJson } from '../openai-chat/stream.ts'
import { count } from '../tgi/response.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { createdAt, decodeFinish, decodeUsage, faultIn } from './response.ts'

/** The same results, piece by piece. What was read is counted in the first, what was written in all of them. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let finished = false
  let failed = false
  let read: number | undefined
  function fail(error: GatewayError): ChatEvent[] {
    failed = true
    return [{ type: 'fault', error }]
  }
  return {
    push({ data }) {
      if (failed || data.trim() === '' || data.startsWith('[DONE]')) return []
      const said = parseOr(data)
      if (!isObject(said)) return fail(notJson())
      const error = faultIn(said)
      if (error) return fail(error)
      const events: ChatEvent[] = []
      if (!started) {
        started = true
        const model = text(said.model_id) ?? notes.model
        events.push({
          type: 'start',
          id: text(said.id) ?? '',
          model,
          created: createdAt(said.created_at),
        })
      }
      const result = object(list(said.results)[0])
      const words = text(result.generated_text)
      if (words) events.push({ type: 'text', text: words })
      read = Math.max(read ?? 0, count(result.input_token_count) ?? 0)
      const reason = text(result.stop_reason)
      if (reason !== undefined && reason !== 'not_finished' && !finished) {
        finished = true
        events.push({ type: 'finish', finish: decodeFinish(reason.toLowerCase()), reason })
      }
      const usage = decodeUsage({ ...result, input_token_count: read })
      if (usage && finished) events.push({ type: 'usage', usage })
      return events
    },
    end: () => (failed || finished ? [] : fail(cutShort())),
  }
}
