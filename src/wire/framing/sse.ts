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
  /** All that came by now has been told: what comes begins an event. */
  let between = false
  function take(): Frame[] {
    if (overflow) throw tooLong(maxBytes)
    const taken = frames
    frames = []
    return taken
  }
  return {
    push(chunk) {
      if (overflow) throw tooLong(maxBytes)
      const text = latin1(chunk)
      const isPlain = text.endsWith('\n\n') && text.length <= maxBytes && !text.includes('\r')
      const whole = between && isPlain ? wholeEvents(text) : undefined
      if (whole) return whole
      parser.feed(text)
      between = isPlain
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

/**
 * Events as nearly all providers write them, whole and nothing else: `data: …` and an empty line, perhaps with their name
 * before. Undefined: they are written in another way. A parser that is ready for all of them costs a streamed token 1 µs.
 */
function wholeEvents(text: string): Frame[] | undefined {
  const frames: Frame[] = []
  for (let at = 0; at < text.length; ) {
    let line = text.indexOf('\n', at)
    let event: string | undefined
    if (text.startsWith(named, at)) {
      event = text.slice(at + named.length, line)
      at = line + 1
      line = text.indexOf('\n', at)
    }
    if (!text.startsWith(data, at) || text[line + 1] !== '\n' || event === '') return undefined
    frames.push({ event, data: text.slice(at + data.length, line) })
    at = line + 2
  }
  return frames
}
const named = 'event: '
const data = 'data: '
