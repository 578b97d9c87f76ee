import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { cutShort } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'

/**
 * Events of a prediction: `output` is plain text, `error` and `done` are JSON. Replicate tells them at an address of their
 * own (`follow.ts`); a server of one's own tells them at once.
 */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let over = false
  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }
  function begin(): ChatEvent[] {
    if (started) return []
    started = true
    return [{ type: 'start', id: '', model: notes.model, created: 0 }]
  }
  function conclude(reason: string | undefined): ChatEvent[] {
    if (reason?.startsWith('cancel'))
      return fail(new GatewayError('timeout', 'the prediction was canceled'))
    if (reason) return fail(new GatewayError('provider', `the prediction ended with: ${reason}`))
    over = true
    return [...begin(), { type: 'finish', finish: 'stop' }]
  }
  return {
    push({ event, data }) {
      if (over) return []
      switch (event) {
        case 'output':
          return data === '' ? begin() : [...begin(), { type: 'text', text: data }]
        case 'error': {
          const said = parseOr(data)
          const words = isObject(said) ? (text(said.detail) ?? text(said.error)) : undefined
          return fail(new GatewayError('provider', words ?? (data || 'the prediction failed')))
        }
        case 'done': {
          const said = parseOr(data)
          return conclude(isObject(said) ? text(said.reason) : undefined)
        }
        default:
          return []
      }
    },
    end() {
      if (over) return []
      return fail(cutShort())
    },
  }
}
