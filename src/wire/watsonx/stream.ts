import type { ChatEvent } from '../../chat/chat.ts'
import { isObject } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeStream as decodeChat } from '../openai-chat/stream.ts'
import { faultIn } from '../watsonx-text/response.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { finishOf } from './response.ts'

/** OpenAI's chunks; what goes wrong comes as watsonx's list of errors. */
export function decodeStream(notes: Notes): StreamDecoder {
  const inner = decodeChat(notes)
  let failed = false
  return {
    push(frame) {
      if (failed) return []
      const said = frame.data.includes('"errors"') ? parseOr(frame.data) : undefined
      const error = isObject(said) ? faultIn(said) : undefined
      if (error) {
        failed = true
        return [{ type: 'fault', error }]
      }
      return inner
        .push(frame)
        .map(
          (event): ChatEvent =>
            event.type === 'finish'
              ? { ...event, finish: finishOf(event.finish, event.reason) }
              : event,
        )
    },
    end: () => (failed ? [] : inner.end()),
  }
}
