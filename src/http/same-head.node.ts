import { latin1 } from '../json/latin1.ts'
import type { PlainHead } from './plain.ts'

/**
 * The head a connection's requests begin with. Clients send the same one again and again, at most with another length:
 * that it is the same is seen at a tenth of what reading it costs.
 */
export class SameHead {
  /** Where the body begins that belongs to the head last read. */
  bodyAt = 0
  /** With its empty line. */
  readonly #bytes: Buffer
  readonly #head: PlainHead
  /** Where the digits of its length stand; 0 where it tells none. */
  readonly #from: number
  readonly #to: number

  /** `bytes` begin with the head, which ends, empty line included, at `end`. */
  constructor(bytes: Buffer, end: number, head: PlainHead) {
    this.#bytes = Buffer.from(bytes.subarray(0, end))
    this.#head = head
    const found = lengthLine.exec(latin1(this.#bytes))
    this.#from = found ? found.index + found[0].length : 0
    this.#to = this.#from
    while (isDigit(this.#bytes[this.#to])) this.#to++
  }

  /** Undefined: these bytes do not begin with the same head, or not with all of it. */
  read(bytes: Buffer): PlainHead | undefined {
    const known = this.#bytes
    const from = this.#from
    if (bytes.length < from || bytes.compare(known, 0, from, 0, from) !== 0) return undefined
    let at = from
    let length = 0
    if (from > 0) {
      while (isDigit(bytes[at])) length = length * 10 + (bytes[at++] ?? 0) - zero
      if (at === from || at > from + digitsMax) return undefined
    }
    const end = at + known.length - this.#to
    if (bytes.length < end || bytes.compare(known, this.#to, known.length, at, end) !== 0)
      return undefined
    this.bodyAt = end
    return length === this.#head.length && at === this.#to
      ? this.#head
      : this.#longer(latin1(bytes, from, at), length)
  }

  #longer(written: string, length: number): PlainHead {
    const headers = [...this.#head.headers]
    for (let at = 0; at < headers.length; at += 2)
      if (headers[at] === 'content-length') headers[at + 1] = written
    return { ...this.#head, headers, length }
  }
}

/** The names of a plain head are compared without their case, and their values stand without blanks. */
const lengthLine = /\r\ncontent-length:[ \t]*(?=\d)/i
/** As many as a plain head's length may have. */
const digitsMax = 9
const zero = 48
const isDigit = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= zero && byte < zero + 10
