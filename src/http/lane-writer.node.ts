import type { Socket } from 'node:net'
import { writeLatin1 } from '../json/latin1.ts'
import type { AnswerOptions, ResponseWriter, Visit } from './answer.node.ts'
import { isBodiless } from './door.ts'
import { nameOf, unwritable } from './fields.ts'
import { connectionHeaders, cutMs, joinedMax, lengthOf } from './head.ts'
import type { Outgoing } from './http.ts'
import { atTurnEnd } from './turn.ts'

// See serve.node.ts: an import would load Node's own fetch.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

export type LaneWriterOptions = AnswerOptions & {
  /** Said to the client: how long a connection without a request is kept. */
  keepAliveMs: number
}

/** Answers a plain request: its head and body in as few writes as can be. */
export class LaneWriter implements ResponseWriter {
  begun = false
  readonly #visit: Visit
  readonly #options: LaneWriterOptions
  readonly #lane: { written(): void }
  /** The head, until the first bytes of the body go with it. */
  #head = ''
  #isChunked = false
  /** What a streamed body promised and has not brought yet; -1: nothing was promised. */
  #left = -1

  /** `lane` is told when all of the answer is the socket's. */
  constructor(visit: Visit, options: LaneWriterOptions, lane: { written(): void }) {
    this.#visit = visit
    this.#options = options
    this.#lane = lane
  }

  head({ status, headers }: Outgoing, size: number | undefined): void {
    const { method } = this.#visit
    let text = statusLine(status)
    for (const key in headers) {
      const value = headers[key]
      const begun = value === undefined ? '' : beginningOf(key)
      if (value === undefined || begun === '') continue
      if (unwritable.test(value)) throw new TypeError(`the header ${key} cannot be sent`)
      text = text + begun + value
    }
    const length = lengthOf(method, status, headers['content-length'], size)
    if (length !== undefined) {
      if (!/^\d+$/.test(length)) throw new TypeError('the content-length is not a number')
      text += `\r\ncontent-length: ${length}`
    } else if (!isBodiless(method, status)) {
      this.#isChunked = true
      text += '\r\ntransfer-encoding: chunked'
    }
    if (size === undefined && length !== undefined && !isBodiless(method, status))
      this.#left = Number(length)
    this.#visit.last ||= this.#options.draining
    this.#head =
      text +
      (this.#visit.last
        ? `\r\ndate: ${dateNow()}\r\nconnection: close\r\n\r\n`
        : endOfKept(this.#options.keepAliveMs))
    this.begun = true
  }

  write(piece: Uint8Array | string, encoding: Outgoing['encoding'] = 'utf8'): boolean {
    const size = typeof piece === 'string' ? Buffer.byteLength(piece, encoding) : piece.length
    this.#count(size)
    const before = this.#isChunked ? `${this.#head}${size.toString(16)}\r\n` : this.#head
    this.#head = ''
    return put(this.#visit.socket, before, piece, size, this.#isChunked ? '\r\n' : '', encoding)
  }

  end(piece: Uint8Array | string, encoding: Outgoing['encoding'] = 'utf8'): undefined {
    const { socket } = this.#visit
    if (piece.length === 0) {
      if (this.#left > 0) throw new Error('the answer is shorter than its content-length says')
      const rest = this.#isChunked ? `${this.#head}0\r\n\r\n` : this.#head
      if (rest !== '') socket.write(rest, 'latin1')
      this.#finish()
    } else
      atTurnEnd(() => {
        const size = typeof piece === 'string' ? Buffer.byteLength(piece, encoding) : piece.length
        put(socket, this.#head, piece, size, '', encoding)
        this.#finish()
      })
  }

  onRoom(done: () => void): () => void {
    const { socket } = this.#visit
    socket.on('drain', done)
    return () => void socket.off('drain', done)
  }

  cut(): void {
    const { socket } = this.#visit
    socket.destroySoon()
    setTimeout(() => socket.destroy(), cutMs).unref()
  }

  #count(size: number): void {
    if (this.#left === -1) return
    if (size > this.#left) throw new Error('the answer is longer than its content-length says')
    this.#left -= size
  }

  #finish(): void {
    const { last, socket } = this.#visit
    if (socket.writableLength > 0) socket.setTimeout(this.#options.stallMs)
    if (last) socket.destroySoon()
    this.#lane.written()
  }
}

/** Small pieces go as one; false: there is more than the client takes at present. */
function put(
  socket: Socket,
  before: string,
  piece: Uint8Array | string,
  size: number,
  after: string,
  encoding: 'utf8' | 'latin1',
): boolean {
  // A text with as many characters as bytes is the same in both encodings.
  if (typeof piece === 'string' && (encoding === 'latin1' || size === piece.length))
    return socket.write(before + piece + after, 'latin1')
  if (size > joinedMax) {
    socket.cork()
    socket.write(before, 'latin1')
    socket.write(piece, encoding)
    if (after !== '') socket.write(after, 'latin1')
    socket.uncork()
    return !socket.writableNeedDrain
  }
  const all = Buffer.allocUnsafe(before.length + size + after.length)
  writeLatin1(all, before, 0)
  if (typeof piece === 'string') all.write(piece, before.length, size, encoding)
  else all.set(piece, before.length)
  writeLatin1(all, after, before.length + size)
  return socket.write(all)
}

function statusLine(status: number): string {
  const known = statusLines.get(status)
  if (known !== undefined) return known
  if (!Number.isInteger(status) || status < 200 || status > 999)
    throw new RangeError(`${status} is no status of an answer`)
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}`
  statusLines.set(status, line)
  return line
}
const statusLines = new Map<number, string>()

/** `\\r\\nname: ` of a header; empty for what is said by this door alone. Answers have the same few names again and again. */
function beginningOf(key: string): string {
  const known = beginnings.get(key)
  if (known !== undefined) return known
  const name = nameOf(key)
  if (name === undefined) throw new TypeError('a header whose name is none cannot be sent')
  const beginning = connectionHeaders.has(name) ? '' : `\r\n${name}: `
  if (beginnings.size >= 2000) beginnings.clear()
  beginnings.set(key, beginning)
  return beginning
}
const beginnings = new Map<string, string>()

/** What a head ends with where the connection is kept: another each second. */
function endOfKept(keepAliveMs: number): string {
  const date = dateNow()
  if (date !== kept.date || keepAliveMs !== kept.ms)
    kept = {
      date,
      ms: keepAliveMs,
      text: `\r\ndate: ${date}\r\nconnection: keep-alive\r\nkeep-alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`,
    }
  return kept.text
}
let kept = { date: '', ms: 0, text: '' }

/** Made once a second. */
function dateNow(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== datedAt) {
    datedAt = second
    dated = new Date(second * 1000).toUTCString()
  }
  return dated
}
let datedAt = Number.NaN
let dated = ''
