import type { Socket } from 'node:net'
import { latin1 } from '../json/latin1.ts'
import type { Direct } from './direct.node.ts'
import { type PlainHead, readPlainHead } from './plain.ts'
import { SameHead } from './same-head.node.ts'

/** The lanes of one server, and the clock they share. */
export class Lanes {
  readonly #all = new Set<Lane>()
  readonly #headBytes: number
  readonly #sweepMs: number
  readonly #idleSweeps: number
  #sweeping: ReturnType<typeof setInterval> | undefined

  /** `headBytes`: of the largest head; `keepAliveMs`: how long a connection without a request is kept. */
  constructor({ headBytes, headMs, keepAliveMs }: LanesOptions) {
    this.#headBytes = headBytes
    this.#sweepMs = Math.min(Math.max(Math.min(headMs, keepAliveMs) / 20, 10), 1000)
    this.#idleSweeps = (keepAliveMs + idleMarginMs) / this.#sweepMs
  }

  open(direct: Direct, handOver: LaneOptions['handOver'], serve: LaneOptions['serve']): void {
    this.#all.add(
      new Lane(direct, {
        headBytes: this.#headBytes,
        idleSweeps: this.#idleSweeps,
        handOver,
        serve,
      }),
    )
    this.#sweeping ??= setInterval(() => this.#sweep(), this.#sweepMs).unref()
  }

  /** Ends the connections that carry no request. */
  closeIdle(): void {
    for (const lane of this.#all) lane.closeIdle()
  }

  #sweep(): void {
    for (const lane of this.#all) if (lane.sweep()) this.#all.delete(lane)
    if (this.#all.size > 0) return
    clearInterval(this.#sweeping)
    this.#sweeping = undefined
  }
}

export type LanesOptions = { headBytes: number; headMs: number; keepAliveMs: number }

/** A client that asks at the last moment of what it was told is still served. */
const idleMarginMs = 1000

export type LaneOptions = {
  /** Largest head. */
  headBytes: number
  /** After how many sweeps a connection without a request is closed. */
  idleSweeps: number
  /** A plain request that is there whole. `lane.written()` and `lane.over()` follow. */
  serve(head: PlainHead, body: Uint8Array, lane: Lane): void
  /** What is no such request: the socket goes to Node's own server, which reads it from there on. */
  handOver(socket: Socket): void
}

/**
 * One connection, as long as what comes on it are plain requests that are there whole, small and at once: nearly all there
 * are. Their head is read here, at half of what a request costs with Node's own server; whatever else may come, in form or
 * in time, that server gets, with all of its bytes, and the connection stays with it.
 */
export class Lane {
  readonly #direct: Direct
  readonly #socket: Socket
  readonly #options: LaneOptions
  #state: 'fresh' | 'idle' | 'part' | 'busy' | 'over' = 'fresh'
  /** Sweeps since the state began. */
  #age = 0
  /** What has come and was not served. */
  #held: Buffer | undefined
  #pieces = 0
  /** The head of the request whose body is waited for, and where that begins. */
  #head: PlainHead | undefined
  #bodyAt = 0
  /** What one of its requests began with, and perhaps the next; and how many heads were read in full. */
  #same: SameHead | undefined
  #heads = 0
  /** Of the request being answered: all has been written; and nobody works on it any more. */
  #isWritten = false
  #isOver = false

  constructor(direct: Direct, options: LaneOptions) {
    const { socket } = direct
    this.#direct = direct
    this.#socket = socket
    this.#options = options
    direct.tell(this.#data)
    socket.on('end', this.#end)
    socket.on('error', destroy)
    socket.on('timeout', destroy)
  }

  /** All of the answer is the socket's. */
  written(): void {
    this.#isWritten = true
    if (this.#isOver) this.#next()
  }

  /** Nobody works on the request any more. */
  over(): void {
    this.#isOver = true
    if (this.#isWritten) this.#next()
  }

  /** Called at regular times. True: nothing is left to watch. */
  sweep(): boolean {
    if (this.#state === 'over' || this.#socket.destroyed) return true
    this.#age++
    // Who takes his time is timed by Node's server.
    if (this.#state === 'fresh' || this.#state === 'part') {
      if (this.#age > 1) this.#handOver(this.#held)
    } else if (this.#state === 'idle' && this.#age > this.#options.idleSweeps)
      this.#socket.destroy()
    return false
  }

  /** Ends the connection where it carries no request. */
  closeIdle(): void {
    if (this.#state === 'idle' && this.#socket.writableLength === 0) this.#socket.destroy()
  }

  /** What is kept of the bytes is a copy. */
  readonly #data = (bytes: Buffer): void => {
    if (this.#state === 'busy') this.#hold(bytes)
    else this.#read(this.#held ? Buffer.concat([this.#held, bytes]) : bytes)
  }

  readonly #end = (): void => void this.#socket.end()

  /** What comes before the answer is the next request, or nothing good. */
  #hold(bytes: Buffer): void {
    const held = this.#held
    if (!held && !mayBegin(bytes[0])) return void this.#socket.destroy()
    this.#held = held ? Buffer.concat([held, bytes]) : Buffer.from(bytes)
    if (!this.#isWritten) this.#stem(this.#held)
    else if (this.#held.length > wholeMax) this.#socket.pause()
  }

  /** Against a flood: hardly anyone asks again before the answer, and nobody so much. */
  #stem(held: Buffer): void {
    if (held.length > wholeMax || headsIn(held) > pipelinedMax) this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    const head = this.#head ?? this.#readHead(bytes)
    if (head === undefined) return
    this.#head = head
    const end = this.#bodyAt + head.length
    if (head.length > wholeMax) this.#handOver(bytes)
    else if (bytes.length < end) this.#wait(bytes)
    else if (bytes.length > end && !mayBegin(bytes[end])) this.#socket.destroy()
    else this.#serve(head, bytes, end)
  }

  #serve(head: PlainHead, bytes: Buffer, end: number): void {
    this.#head = undefined
    this.#held = bytes.length > end ? copyOf(bytes, end, bytes.length) : undefined
    this.#state = 'busy'
    this.#pieces = 0
    this.#isWritten = false
    this.#isOver = false
    // Of a client that was slow to take the answer before.
    if (this.#socket.timeout) this.#socket.setTimeout(0)
    this.#options.serve(head, copyOf(bytes, this.#bodyAt, end), this)
    if (this.#held) this.#stem(this.#held)
  }

  /** Undefined: the connection has been handed over, or the head is not complete. */
  #readHead(bytes: Buffer): PlainHead | undefined {
    const known = this.#same?.read(bytes)
    if (this.#same && known) {
      this.#bodyAt = this.#same.bodyAt
      return known
    }
    const end = bytes.indexOf(emptyLine)
    const isPart = end === -1 && bytes.length <= this.#options.headBytes && mayBegin(bytes[0])
    // What ends with bare line feeds would be waited for in vain.
    if (isPart && bytes.indexOf(bareEnd) === -1) {
      this.#wait(bytes)
      return undefined
    }
    const head =
      end === -1 || end > this.#options.headBytes ? undefined : readPlainHead(latin1(bytes, 0, end))
    if (head === undefined) this.#handOver(bytes)
    this.#bodyAt = end + emptyLine.length
    // Many a connection carries one request, and others never the same twice.
    const isKept = this.#heads > 0 && this.#heads < triesMax && end <= sameMax
    if (head && isKept) this.#same = new SameHead(bytes, this.#bodyAt, head)
    this.#heads++
    return head
  }

  #wait(bytes: Buffer): void {
    this.#held = Buffer.from(bytes)
    if (this.#state !== 'part') {
      this.#state = 'part'
      this.#age = 0
    }
    if (++this.#pieces > piecesMax) this.#handOver(this.#held)
  }

  #next(): void {
    this.#state = 'idle'
    this.#age = 0
    const held = this.#held
    if (!held || this.#socket.destroyed) return
    // Not before the last answer has left: else one slow reader could make any number of answers pile up.
    if (this.#socket.writableLength > 0) {
      this.#state = 'busy'
      this.#socket.write('', () => this.#next())
      return
    }
    if (this.#socket.isPaused()) this.#socket.resume()
    this.#read(held)
  }

  /** `came`: what has come and was not served. */
  #handOver(came: Buffer | undefined): void {
    const socket = this.#socket
    this.#state = 'over'
    this.#held = undefined
    this.#head = undefined
    this.#direct.tell(undefined)
    socket.off('end', this.#end)
    socket.off('error', destroy)
    socket.off('timeout', destroy)
    socket.pause()
    if (came) socket.unshift(Buffer.from(came))
    this.#options.handOver(socket)
    socket.resume()
  }
}

function destroy(this: Socket): void {
  this.destroy()
}

function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafe(to - from)
  bytes.copy(copy, 0, from, to)
  return copy
}

const emptyLine = Buffer.from('\r\n\r\n')
const bareEnd = Buffer.from('\n\n')
/** A method; before it, empty lines are passed over (RFC 9112 §2.2). */
const mayBegin = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 65 && byte <= 90) || byte === 13 || byte === 10)

/** Larger bodies are read as they are asked for, and not before somebody knows whose they are. */
const wholeMax = 64 * 1024

/** One that comes in more pieces than this costs more than it may. */
const piecesMax = 16

/** After so many different heads no more are kept. */
const triesMax = 8
/** A head is kept twice, by connections that may lie idle for a minute: ten thousand large ones would be 630 MB. */
const sameMax = 4096

/** Requests that may wait for the one being answered. */
const pipelinedMax = 256

function headsIn(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(emptyLine); at !== -1; at = bytes.indexOf(emptyLine, at + 4)) count++
  return count
}
