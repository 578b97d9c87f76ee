import { createParser, type EventSourceParser } from 'eventsource-parser'
import { latin1 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { type Framer, tooLong } from './frames.ts'

export const sseFrames = (maxBytes: number): Framer => new SseFrames(maxBytes)

/** Server-sent events in every legal shape: any chunking, CR, LF and CRLF, byte-order mark, comments, multi-line data. */
class SseFrames implements Framer {
  readonly #maxBytes: number
  readonly #parser: EventSourceParser
  #frames: Frame[] = []
  #overflow = false
  /** All that came by now has been told: what comes begins an event. */
  #between = false
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#parser = createParser({
      maxBufferSize: maxBytes,
      onEvent: ({ event, data }) => {
        this.#frames.push({ event, data })
      },
      onError: ({ type }) => {
        this.#overflow ||= type === 'max-buffer-size-exceeded'
      },
    })
  }
  push(chunk: Uint8Array): Frame[] {
    return this.pushText(latin1(chunk))
  }
  isWhole(text: string): boolean {
    return this.#between && !this.#overflow && this.#isPlain(text)
  }
  pushText(text: string): Frame[] {
    if (this.#overflow) throw tooLong(this.#maxBytes)
    const isPlain = this.#isPlain(text)
    const whole = this.#between && isPlain ? wholeEvents(text) : undefined
    if (whole) return whole
    this.#parser.feed(text)
    this.#between = isPlain
    return this.#take()
  }
  // The last event may lack its blank line; where it has one, these are two empty lines.
  end(): Frame[] {
    if (this.#overflow) throw tooLong(this.#maxBytes)
    this.#parser.feed('\n\n')
    return this.#take()
  }
  #isPlain(text: string): boolean {
    return text.endsWith('\n\n') && text.length <= this.#maxBytes && !text.includes('\r')
  }
  #take(): Frame[] {
    if (this.#overflow) throw tooLong(this.#maxBytes)
    const taken = this.#frames
    this.#frames = []
    return taken
  }
}

/**
 * Events as nearly all providers write them, whole and nothing else: `data: …` and an empty line, perhaps with their name
 * before. Undefined: they are written in another way. A parser that is ready for all of them costs a streamed token 1 µs.
 */
function wholeEvents(text: string): Frame[] | undefined {
  let frames: Frame[] | undefined
  for (let at = 0; at < text.length; ) {
    let line = text.indexOf('\n', at)
    let event: string | undefined
    if (text.startsWith(named, at)) {
      event = text.slice(at + named.length, line)
      at = line + 1
      line = text.indexOf('\n', at)
    }
    if (!text.startsWith(data, at) || text[line + 1] !== '\n' || event === '') return undefined
    const frame = { event, data: text.slice(at + data.length, line) }
    if (frames === undefined) frames = [frame]
    else frames.push(frame)
    at = line + 2
  }
  return frames
}
const named = 'event: '
const data = 'data: '
