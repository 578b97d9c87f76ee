/**
 * Lines of JSON, put down as the bytes they are written as: as texts the two lines of a request were 2.5 KB of pieces.
 * The bytes are the same ones again and again.
 */
export class Lines {
  #bytes = new Uint8Array(startBytes)
  /** Before them is a line feed, for whoever needs one. */
  #end = 1

  constructor() {
    this.#bytes[0] = 0x0a
  }

  get length(): number {
    return this.#end - 1
  }

  /** They are overwritten after `clear`. */
  bytes(afterLineFeed = false): Uint8Array {
    return this.#bytes.subarray(afterLineFeed ? 0 : 1, this.#end)
  }

  clear(): void {
    this.#end = 1
    if (this.#bytes.length <= keptBytes) return
    this.#bytes = new Uint8Array(startBytes)
    this.#bytes[0] = 0x0a
  }

  /** ASCII, as it is. */
  raw(said: string): this {
    this.#room(said.length)
    for (let at = 0; at < said.length; at++) this.#bytes[this.#end++] = said.charCodeAt(at)
    return this
  }

  /** A value of JSON, as JSON says it. */
  json(said: string): this {
    this.#room(said.length * 3)
    this.#end += encoder.encodeInto(said, this.#bytes.subarray(this.#end)).written
    return this
  }

  /** A text, which is put in quotes. Most need no escaping. */
  text(said: string): this {
    this.#room(said.length + 2)
    const bytes = this.#bytes
    let at = this.#end
    bytes[at++] = quote
    for (let nth = 0; nth < said.length; nth++) {
      const code = said.charCodeAt(nth)
      if (code < 0x20 || code > 0x7e || code === quote || code === backslash)
        return this.json(JSON.stringify(said))
      bytes[at++] = code
    }
    bytes[at++] = quote
    this.#end = at
    return this
  }

  number(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0)
      return this.raw(Number.isFinite(value) ? String(value) : 'null')
    const high = Math.floor(value / billion)
    if (high === 0) this.#digits(value, widthOf(value))
    else {
      this.#digits(high, widthOf(high))
      this.#digits(value - high * billion, 9)
    }
    return this
  }

  #digits(value: number, width: number): void {
    this.#room(width)
    let left = value
    for (let at = this.#end + width - 1; at >= this.#end; at--) {
      const rest = (left / 10) | 0
      this.#bytes[at] = 0x30 + left - rest * 10
      left = rest
    }
    this.#end += width
  }

  #room(more: number): void {
    if (this.#end + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#end + more))
    larger.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = larger
  }
}

const encoder = new TextEncoder()
const quote = 0x22
const backslash = 0x5c
const billion = 1_000_000_000
const startBytes = 16_384
/** More than that is not kept for the next lines. */
const keptBytes = 1_048_576

function widthOf(value: number): number {
  let width = 1
  for (let left = value; left >= 10; left = (left / 10) | 0) width++
  return width
}
