import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { HeaderList } from '../http/fields.ts'
import { atTurnEnd } from '../http/turn.ts'
import { allocate, writeLatin1 } from '../json/latin1.ts'
import { openSocket, type Route } from './connection.node.ts'
import { createAnswerReader, HttpFault } from './h1.ts'

/** One kept-alive connection, which carries one request at a time. */
export type Line = {
  /** Has it lain idle for a while? Then its peer may have closed it meanwhile. */
  reused: boolean
  isAlive(): boolean
  dispatch(request: LineRequest, listener: LineListener): void
  /** The answer is complete: the next may have it. */
  release(): void
  /** Ends it at once, whatever state it is in. */
  drop(): void
}

export type LineRequest = {
  /** Request line and headers, a character for each byte; and what follows them, with the empty line. */
  head: string
  tail: string
  body: Uint8Array | Readable | undefined
  /** Of a body that is read as it is sent: as it was said in the head; undefined: it goes in chunks. */
  length: number | undefined
  /** Whose certificate is wanted, where that is not the host's. */
  servername: string | undefined
}

export type LineListener = {
  /** A socket has to be opened for the request. */
  opening(): void
  /** The request is on its way. */
  sent(): void
  head(status: number, headers: HeaderList, flow: Flow): void
  /** All of the body that one read brought; only to be read, and only until this returns. */
  data(bytes: Uint8Array): void
  /** The answer is complete. */
  end(): void
  /** `heard`: the upstream has said something. Nothing follows. */
  fail(error: Error, heard: boolean): void
}
export type Flow = { pause(): void; resume(): void }

export type LineOptions = {
  /** How long a connection is kept without use when the server does not say. */
  keepAliveMs: number
  /** One that served less than this ago is not `reused`. */
  idleMs: number
}

export type LineOwner = { idle(line: Line): void; gone(line: Line): void }

export function openLine(route: Route, options: LineOptions, owner: LineOwner): Line {
  let socket: Socket | undefined
  let servername: string | undefined
  let listener: LineListener | undefined
  let request: LineRequest | undefined
  let stopOpening: (() => void) | undefined
  /** The request waits for the end of the turn: nothing of it has been written. */
  let due = false
  let heard = false
  let dropped = false
  /** May it carry another request? */
  let keep = true
  let servedAt = Number.NEGATIVE_INFINITY
  let idleUntil = 0

  /** What is being read, and where the body stands in it; `bodyTo` 0: there is none of it. */
  let reading: Uint8Array = nothing
  let bodyFrom = 0
  let bodyTo = 0

  /** Not as a Buffer, whose `slice` is no copy. */
  function tell(): void {
    if (bodyTo === 0) return
    const body = new Uint8Array(reading.buffer, reading.byteOffset + bodyFrom, bodyTo - bodyFrom)
    bodyTo = 0
    listener?.data(body)
  }

  const reader = createAnswerReader({
    head(status, headers) {
      listener?.head(status, headers, flow)
    },
    data(bytes, from, to) {
      if (bodyTo === 0) bodyFrom = from
      // Over what has been read already: dozens of chunks may come in one read, and cost one piece so.
      else bytes.copyWithin(bodyTo, from, to)
      bodyTo = bodyTo === 0 ? to : bodyTo + to - from
    },
    end(keepMs) {
      tell()
      const ended = listener
      listener = undefined
      // An answer that comes before its request was read to the end: what is left of that would go to nobody.
      keep = keepMs !== false && uploaded && socket?.writableLength === 0
      // Closed a second earlier than the server would, so that no request meets its closing.
      const ms = keepMs === undefined || keepMs === false ? options.keepAliveMs : keepMs - 1000
      idleUntil = performance.now() + Math.min(ms, keepMsMax)
      ended?.end()
    },
  })
  let uploaded = true

  const flow: Flow = {
    pause: () => void socket?.pause(),
    resume: () => void socket?.resume(),
  }

  function fail(error: Error): void {
    const failed = listener
    listener = undefined
    drop()
    failed?.fail(error, heard)
  }

  function drop(): void {
    if (dropped) return
    dropped = true
    due = false
    stopOpening?.()
    socket?.destroy()
    owner.gone(line)
    const ended = listener
    listener = undefined
    ended?.fail(new HttpFault('HTTP_DESTROYED', 'the connection was ended'), heard)
  }

  /** For a request of which nothing has been written: whatever became of the socket, another can carry it. */
  function renew(): void {
    const old = socket
    socket = undefined
    due = false
    old?.destroy()
    connect()
  }

  function connect(): void {
    line.reused = false
    listener?.opening()
    servername = request?.servername
    const told = (error: Error | null, opened: Socket | null): void => {
      stopOpening = undefined
      if (!opened) {
        fail(error ?? new Error('no socket'))
        return
      }
      socket = opened
      own = opened
      opened.on('end', () => {
        if (socket === opened) ended()
      })
      opened.on('error', (broken) => {
        if (socket !== opened) return
        if (due) renew()
        else fail(broken)
      })
      opened.on('close', () => {
        if (socket === opened) closed()
      })
      send(opened)
    }
    let own: Socket | undefined
    stopOpening = openSocket(route, servername, told, (bytes, length) => {
      if (socket === own) read(bytes, length)
    })
  }

  function read(bytes: Uint8Array, length: number): void {
    // Nothing is expected before something was asked; what comes all the same must not be taken for the answer.
    if (due) renew()
    else if (!listener) drop()
    else
      try {
        heard = true
        reading = bytes
        reader.push(bytes, length)
        tell()
      } catch (error) {
        tell()
        fail(error instanceof Error ? error : new Error(String(error)))
      }
  }

  function ended(): void {
    if (due) renew()
    else if (!listener) drop()
    else
      try {
        reader.close()
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)))
      }
  }

  function closed(): void {
    if (listener) fail(new HttpFault('HTTP_CLOSED', 'the connection was closed'))
    else drop()
  }

  /** At the end of the turn. One for all requests: each has another turn, since a line carries one at a time. */
  function sendDue(): void {
    if (!due || !socket) return
    // Its 'close' comes later.
    if (socket.destroyed) renew()
    else send(socket)
  }

  function send(over: Socket): void {
    due = false
    if (!request || !listener) return
    const { head, tail, body } = request
    reader.expect()
    listener.sent()
    if (body === undefined) over.write(head + tail, 'latin1')
    else if (body instanceof Uint8Array) {
      if (body.length <= joinedMax) {
        const before = head.length + tail.length
        const all = allocate(before + body.length)
        // Not joined before: that would copy the head once more.
        writeLatin1(all, head, 0)
        writeLatin1(all, tail, head.length)
        all.set(body, before)
        over.write(all)
      } else {
        over.cork()
        over.write(head + tail, 'latin1')
        over.write(body)
        over.uncork()
      }
    } else upload(over, request, body)
  }

  /** No faster than the upstream takes it. */
  function upload(over: Socket, { head, tail, length }: LineRequest, body: Readable): void {
    const answering = listener
    let sent = 0
    /** What fills the length is sent when nothing follows it: more would be cut off, and nobody would know. */
    let last: Uint8Array | undefined
    uploaded = false
    over.write(head + tail, 'latin1')
    const mismatch = () =>
      new HttpFault('HTTP_UNWRITABLE', 'the body is not as long as its content-length says')
    const stop = (error?: Error): void => {
      over.off('drain', drained)
      over.off('close', closing)
      body.off('data', write)
      // The upstream must not take half of it for all.
      if (error && listener === answering) fail(error)
    }
    const drained = (): void => void body.resume()
    const closing = (): void => stop()
    const write = (chunk: Uint8Array): void => {
      if (chunk.length === 0) return
      sent += chunk.length
      if (length !== undefined && sent > length) stop(mismatch())
      else if (sent === length) last = chunk
      else put(chunk)
    }
    const put = (chunk: Uint8Array): void => {
      if (length === undefined) {
        over.cork()
        over.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
        over.write(chunk)
        over.write('\r\n', 'latin1')
        over.uncork()
      } else over.write(chunk)
      if (over.writableNeedDrain) body.pause()
    }
    over.on('drain', drained)
    over.once('close', closing)
    body.on('data', write)
    body.once('error', stop)
    body.once('end', () => {
      if (length !== undefined && sent < length) return stop(mismatch())
      stop()
      if (length === undefined) over.write('0\r\n\r\n', 'latin1')
      else if (last) over.write(last)
      uploaded = true
    })
  }

  const line: Line = {
    reused: false,
    isAlive: () =>
      socket !== undefined &&
      !socket.destroyed &&
      socket.readable &&
      socket.writable &&
      performance.now() < idleUntil,
    dispatch(asked, told) {
      request = asked
      listener = told
      uploaded = true
      heard = false
      line.reused = performance.now() - servedAt >= options.idleMs && servedAt >= 0
      if (!socket) return connect()
      // Another name wants another certificate.
      if (route.secure && servername !== asked.servername) return renew()
      due = true
      socket.ref()
      atTurnEnd(sendDue)
    },
    release() {
      request = undefined
      reading = nothing
      servedAt = performance.now()
      if (!keep || !socket || socket.destroyed || servedAt >= idleUntil) return drop()
      // The reader of the answer may have asked for a rest just before its end.
      if (socket.isPaused()) socket.resume()
      // Whoever has nothing else to do may end meanwhile.
      socket.unref()
      owner.idle(line)
    },
    drop,
  }
  return line
}

const nothing = new Uint8Array(0)
const keepMsMax = 120_000
/** Up to here one write of one copy is cheaper than two pieces in one write. */
const joinedMax = 16_384
