import { decodeException } from '../bedrock-converse/errors.ts'
import type { StreamDecoder } from '../wire.ts'

/** What the container writes, and AWS's exceptions between (`ModelStreamError`, `InternalStreamFailure`). */
export function decodeStream(inner: StreamDecoder): StreamDecoder {
  let over = false
  return {
    push(frame) {
      if (over) return []
      const { event, data } = frame
      if (event?.startsWith('exception:')) {
        over = true
        return [{ type: 'fault', error: decodeException(event.slice('exception:'.length), data) }]
      }
      const events = inner.push(frame)
      over = events.some(({ type }) => type === 'fault')
      return events
    },
    end: () => (over ? [] : inner.end()),
  }
}
