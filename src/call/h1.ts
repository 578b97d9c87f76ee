import {
  type HeaderList,
  isBlank,
  isControl,
  isPrintable,
  nameOf,
  trimmed,
} from '../http/fields.ts'
import { bytesOf, latin1 } from '../json/latin1.ts'

/** Who listens to the answers of one connection. */
export type AnswerListener = {
  /** Never informational (1xx): those are passed over. */
  head(status: number, headers: HeaderList): void
  /** A piece of the body, from `from` to before `to`; what stands before `to` is read no more when this returns. */
  data(bytes: Uint8Array, from: number, to: number): void
  /** The answer is complete. `keepMs`: the connection may carry another, for so long; undefined: the server did not say for how long; false: it may not. */
  end(keepMs: number | undefined | false): void
}

/** What an upstream said was not HTTP/1.1, or not all of it came. */
export class HttpFault extends Error {
  override readonly name: string = 'HttpFault'
  readonly code: HttpFaultCode
  constructor(code: HttpFaultCode, message: string) {
    super(message)
    this.code = code
  }
}
export type HttpFaultCode =
  /** Not HTTP. */
  | 'HTTP_MALFORMED'
  /** The head is longer than we read. */
  | 'HTTP_HEAD_TOO_LARGE'
  /** The peer ended the connection before the answer was there, or complete. */
  | 'HTTP_CLOSED'
  /** We ended it. */
  | 'HTTP_DESTROYED'
  /** The request cannot be written as HTTP. */
  | 'HTTP_UNWRITABLE'

export type AnswerReader = {
  /** A request has been sent: its answer is what comes next. */
  expect(): void
  /** Bytes of the connection, `length` of them. Throws `HttpFault`. Nothing may follow an answer that has ended until `expect`. */
  push(bytes: Uint8Array, length?: number): void
  /** The peer has ended the connection. Throws `HttpFault` where the answer needed more of it. */
  close(): void
}

/**
 * Reads HTTP/1.1 answers (RFC 9112) to requests that have bodies of their own, so no HEAD and no CONNECT. It takes what
 * the RFC's grammar takes and little more: line ends are CRLF, there is one length or none, no header is folded.
 */
export function createAnswerReader(listener: AnswerListener, headMax = 65_536): AnswerReader {
  let state: State = 'idle'
  /** What has come of a head or a trailer that is not complete. */
  let held: Uint8Array | undefined
  let left = 0
  let digits = 0
  /** Bytes of informational answers, of one chunk's extensions, of trailers: they are bounded too. */
  let beside = 0
  let keep: number | undefined | false
  const names: Name[] = []

  function finish(): void {
    state = 'idle'
    listener.end(keep)
  }

  /** Where the body begins; -1: the head is not complete. */
  function readHead(bytes: Uint8Array, at: number, length: number): number {
    const before = held
    const all = before ? joined(before, bytes, length) : bytes
    const from = before ? 0 : at
    const to = before ? all.length : length
    const end = endOfHead(all, before ? Math.max(0, before.length - 3) : at, to)
    // Of an end that has not come whole, three bytes may be there.
    const isLong = (end === -1 ? to - 3 : end) - from > headMax
    // Whatever does not begin like HTTP is not waited for.
    if (end === -1 || isLong) refuseEarly(all, from, to)
    if (isLong) throw new HttpFault('HTTP_HEAD_TOO_LARGE', 'the head of the answer is too large')
    if (end === -1) {
      held = before ? all : new Uint8Array(all.subarray(from, to))
      return -1
    }
    held = undefined
    const { status, headers, version } = parseHead(latin1(all, from, end), names)
    const next = end + 4 - (before ? before.length : 0)
    if (status < 200) {
      if (status === 101) throw malformed('nobody asked to switch protocols')
      beside += end - from
      if (beside > headMax)
        throw new HttpFault('HTTP_HEAD_TOO_LARGE', 'too many informational answers')
      return next
    }
    begin(status, headers, version)
    return next
  }

  function begin(status: number, headers: HeaderList, version: number): void {
    let length: number | undefined
    let coding: string | undefined
    let connection = ''
    let kept: string | undefined
    for (let i = 0; i < headers.length; i += 2) {
      const value = headers[i + 1] ?? ''
      switch (headers[i]) {
        case 'content-length':
          length = lengthOf(value)
          break
        case 'transfer-encoding':
          coding = value.toLowerCase()
          break
        case 'connection':
          connection = value.toLowerCase()
          break
        case 'keep-alive':
          kept = value
      }
    }
    if (coding !== undefined && length !== undefined) throw malformed('two lengths of one body')
    // Others are sent to those who ask for them (`te`): their bytes would be taken for the body's.
    if (coding !== undefined && coding !== 'chunked') throw malformed('an unknown transfer coding')
    const persists = version === 1 ? !has(connection, 'close') : has(connection, 'keep-alive')
    // HTTP/1.0 knows no chunks: whoever sends them there is not trusted with another (RFC 9112 §6.1).
    keep = persists && (version === 1 || coding === undefined) ? keepOf(kept) : false
    if (status === 204 || status === 304) state = 'none'
    else if (coding !== undefined) state = 'size'
    else if (length === undefined) state = 'rest'
    else if (length === 0) state = 'none'
    else {
      state = 'length'
      left = length
    }
    if (state === 'rest') keep = false
    digits = 0
    if (state === 'size') left = 0
    listener.head(status, headers)
  }

  /** The lines around chunks, a byte at a time; where the data begins, or the end of what has come. */
  function readFraming(bytes: Uint8Array, from: number, to: number): number {
    let at = from
    for (; at < to; at++) {
      const byte = bytes[at] ?? 0
      switch (state) {
        case 'size': {
          const digit = hexOf(byte)
          if (digit >= 0) {
            if (++digits > 13) throw malformed('a chunk of impossible size')
            left = left * 16 + digit
          } else if (digits === 0) throw malformed('a chunk without a size')
          else if (byte === cr) state = 'size-lf'
          else if (byte === semicolon) state = 'extension'
          else if (isBlank(byte)) state = 'padding'
          else throw malformed('a chunk without a size')
          break
        }
        case 'padding':
          if (byte === cr) state = 'size-lf'
          else if (byte === semicolon) state = 'extension'
          else if (!isBlank(byte) || ++beside > headMax) throw malformed('a chunk without a size')
          break
        case 'extension':
          if (byte === cr) state = 'size-lf'
          else if (isControl(byte) || ++beside > headMax) throw malformed('a chunk extension')
          break
        case 'size-lf':
          if (byte !== lf) throw malformed('a line end without its half')
          if (left > 0) {
            beside = 0
            state = 'data'
            return at + 1
          }
          state = 'trailer'
          break
        case 'data-cr':
          if (byte !== cr) throw malformed('a chunk longer than its size')
          state = 'data-lf'
          break
        case 'data-lf':
          if (byte !== lf) throw malformed('a chunk longer than its size')
          state = 'size'
          digits = 0
          left = 0
          break
        case 'trailer':
          if (byte === cr) state = 'end-lf'
          else if (isControl(byte) || ++beside > headMax) throw malformed('a trailer')
          else state = 'trailer-line'
          break
        case 'trailer-line':
          if (byte === cr) state = 'trailer-lf'
          else if (isControl(byte) || ++beside > headMax) throw malformed('a trailer')
          break
        case 'trailer-lf':
          if (byte !== lf) throw malformed('a line end without its half')
          state = 'trailer'
          break
        case 'end-lf':
          if (byte !== lf) throw malformed('a line end without its half')
          state = 'none'
          return at + 1
        default:
          return at
      }
    }
    return at
  }

  return {
    expect() {
      state = 'head'
      beside = 0
    },
    push(bytes, length = bytes.length) {
      let at = 0
      while (at < length) {
        if (state === 'head') {
          at = readHead(bytes, at, length)
          if (at === -1) return
        } else if (state === 'length' || state === 'data') {
          const from = at
          at = Math.min(from + left, length)
          left -= at - from
          if (left === 0) state = state === 'data' ? 'data-cr' : 'none'
          listener.data(bytes, from, at)
        } else if (state === 'rest') {
          listener.data(bytes, at, length)
          at = length
        } else if (state === 'idle') throw malformed('more than was asked for')
        else if (state !== 'none') at = readFraming(bytes, at, length)
        if (state === 'none') {
          // What follows is of no request of ours.
          if (at < length) keep = false
          finish()
          return
        }
      }
    },
    close() {
      if (state === 'idle') return
      if (state === 'rest') return finish()
      throw new HttpFault('HTTP_CLOSED', 'the connection was closed')
    },
  }
}

type State =
  | 'idle'
  | 'head'
  | 'length'
  /** All until the connection ends. */
  | 'rest'
  | 'size'
  /** Blanks after it. */
  | 'padding'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailer'
  | 'trailer-line'
  | 'trailer-lf'
  | 'end-lf'
  /** Nothing is missing. */
  | 'none'

const malformed = (what: string): HttpFault => new HttpFault('HTTP_MALFORMED', what)

const cr = 13
const lf = 10
const semicolon = 59

function hexOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

function joined(a: Uint8Array, b: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(a.length + length)
  out.set(a)
  out.set(b.length === length ? b : b.subarray(0, length), a.length)
  return out
}

/**
 * Where the empty line begins that ends a head, CR LF CR LF; -1: not before `to`. Where it would end stands another byte
 * most of the time, so only every fourth is looked at.
 */
function endOfHead(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from + 3; at < to; ) {
    const byte = bytes[at]
    if (byte === cr) at += 1
    else if (byte !== lf) at += 4
    else if (bytes[at - 1] === cr && bytes[at - 2] === lf && bytes[at - 3] === cr) return at - 3
    else at += 2
  }
  return -1
}

const protocol = 'HTTP/1.'
function refuseEarly(bytes: Uint8Array, from: number, to: number): void {
  const begun = latin1(bytes, from, Math.min(to, from + protocol.length))
  if (!protocol.startsWith(begun)) throw malformed('no status line')
}

type Head = { status: number; version: number; headers: HeaderList }

/** `written` with the colon after it. */
type Name = { written: string; name: string }

/**
 * `head` is a character for each byte, without the empty line. `names` are those of the head before, line by line: an
 * upstream writes the same nearly every time, and what is the same need not be cut out and looked up again.
 */
function parseHead(head: string, names: Name[]): Head {
  if (!isPrintable(head)) throw malformed('a control character, or half a line end, in the head')
  const lineEnd = head.indexOf('\r\n')
  if (!statusLine.test(head)) throw malformed('no status line')
  const headers: string[] = []
  let lines = 0
  for (let at = lineEnd; at !== -1; ) {
    if (++lines > headersMax)
      throw new HttpFault('HTTP_HEAD_TOO_LARGE', 'the answer has too many headers')
    const from = at + 2
    at = head.indexOf('\r\n', from)
    const end = at === -1 ? head.length : at
    let known = names[lines - 1]
    if (!known || !head.startsWith(known.written, from)) {
      known = readName(head, from, end)
      if (lines <= namesMax) names[lines - 1] = known
    }
    add(headers, known.name, trimmed(head, from + known.written.length, end))
  }
  return { version: Number(head[7]), status: Number(head.slice(9, 12)), headers }
}
const statusLine = /^HTTP\/1\.[01] [1-9]\d\d(?: .*)?(?:\r|$)/

function readName(head: string, from: number, end: number): Name {
  const colon = head.indexOf(':', from)
  if (colon === -1 || colon > end) throw malformed('a header without a colon')
  const name = nameOf(head.slice(from, colon))
  if (name === undefined) throw malformed('a header whose name is none')
  // A copy: what is cut out of a head holds all of it.
  return { written: latin1(bytesOf(head.slice(from, colon + 1))), name }
}
/** A connection is kept for long, and there may be thousands. */
const namesMax = 50

function add(headers: string[], name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i] === name) {
      headers[i + 1] = `${headers[i + 1]}, ${value}`
      return
    }
  headers.push(name, value)
}
const headersMax = 1000

/** Of several lengths, joined as other headers are, none is taken. */
function lengthOf(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw malformed('a length that is none')
  return Number(value)
}

/** Is the word in a header's list? */
const has = (listed: string, word: string): boolean =>
  listed === word ||
  (listed.length > word.length && listed.split(',').some((one) => one.trim() === word))

/** `Keep-Alive: timeout=5`, in milliseconds. */
function keepOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const seconds = /(?:^|[\s,;])timeout=(\d{1,6})/i.exec(value)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
