import { createParser } from 'eventsource-parser'
import { latin1 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { type Framer, tooLong } from './frames.ts'

/** Server-sent events in every legal shape: any chunking, CR, LF and CRLF, byte-order mark, comments, multi-line data. */
export function sseFrames(maxBytes: number): Framer {
  let frames: Frame[] = []
  let overflow = false
  const parser = createParser({
    maxBufferSize: maxBytes,
    onEvent: ({ event, data }) => {
      frames.push({ event, data })
    },
    onError: ({ type }) => {
      overflow ||= type === 'max-buffer-size-exceeded'
    },
  })
  function take(): Frame[] {
    if (overflow) throw tooLong(maxBytes)
    const taken = frames
    frames = []
    return taken
  }
  return {
    push(chunk) {
      if (overflow) throw tooLong(maxBytes)
      parser.feed(latin1(chunk))
      return take()
    },
    // The last event may lack its blank line; where it has one, these are two empty lines.
    end() {
      if (overflow) throw tooLong(maxBytes)
      parser.feed('\n\n')
      return take()
    },
  }
}
