import { text } from '../json/json.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import { endOfString } from '../json/peek.ts'

/**
 * What a model writes, kept from frames that pass unread: to be counted in case the provider never tells the usage or
 * the client leaves. Frames are one character per byte. `begins`, a global pattern, matches what stands before the opening
 * quote of a piece; where it ends is sought by hand, since a pattern for that overflows the stack on long ones.
 */
export class Heard {
  readonly #begins: RegExp
  #frames: string[] = []
  #pieces: string[] = []
  /** Of what is in the two lists. */
  #size = 0
  #heard = ''
  constructor(begins: RegExp) {
    this.#begins = begins
  }
  /** A frame, to be read in time. */
  keep(frame: string): void {
    this.#size += frame.length
    if (this.#frames.push(frame) === atOnce || this.#size > sizeMax) this.#read()
  }
  /** A piece of which is known where it was: JSON string content. */
  add(piece: string): void {
    if (this.#frames.length > 0) this.#read()
    this.#size += piece.length
    if (this.#pieces.push(piece) >= atOnce || this.#size > sizeMax) this.#join()
  }
  text(): string {
    this.#read()
    this.#join()
    return unescaped(this.#heard)
  }
  /** Where the opening quote of the frame's piece is; -1 where there is none, or more than one. */
  onlyPiece(frame: string): number {
    const begins = this.#begins
    begins.lastIndex = 0
    if (!begins.test(frame)) return -1
    const open = begins.lastIndex
    return begins.test(frame) ? -1 : open
  }
  #read(): void {
    const begins = this.#begins
    // Not `matchAll`, which makes a pattern and an iterator for each frame: 0.3 µs instead of 0.06.
    for (const frame of this.#frames) {
      begins.lastIndex = 0
      while (begins.test(frame)) {
        const open = begins.lastIndex
        const end = endOfString(frame, open)
        if (end !== -1) this.#pieces.push(frame.slice(open + 1, end - 1))
      }
    }
    this.#frames = []
    if (this.#pieces.length >= atOnce || this.#size > sizeMax) this.#join()
  }
  /** A text of its own: slices would keep whole frames in memory. */
  #join(): void {
    if (this.#heard.length < heardMax) this.#heard += this.#pieces.join('')
    this.#pieces = []
    this.#size = 0
  }
}

const atOnce = 64
const sizeMax = 1024 * 1024

/** No model writes so much in one answer (two million tokens); a stream without an end must not fill our memory. */
export const heardMax = 8 * 1024 * 1024

/** JSON string content, one character per byte, as the text it says. */
function unescaped(escaped: string): string {
  try {
    const value: unknown = JSON.parse(`"${utf8(bytesOf(escaped))}"`)
    return text(value) ?? escaped
  } catch {
    return escaped
  }
}
