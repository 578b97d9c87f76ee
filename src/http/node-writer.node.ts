import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { AnswerOptions, ResponseWriter, Visit } from './answer.node.ts'
import { hasNoBody } from './body.node.ts'
import { connectionHeaders, cutMs, joinedMax, lengthOf } from './head.ts'
import type { Outgoing } from './http.ts'
import { atTurnEnd } from './turn.ts'

/** A request as Node's own parser read it. */
export type NodeExchange = {
  req: IncomingMessage
  res: ServerResponse
  /** The client waits for "100 Continue" before it sends its body, and has not been told yet. */
  expects: boolean
}

/** Answers what Node's parser has read: any request there is. `visit` is whose answer it is. */
export function createNodeWriter(
  exchange: NodeExchange,
  visit: Pick<Visit, 'last'>,
  options: AnswerOptions,
): ResponseWriter {
  const { req, res } = exchange
  const { socket } = req
  const method = req.method ?? ''
  let begun = false

  /** A flat list of names and values is the form Node writes fastest. */
  function head({ status, headers }: Outgoing, size: number | undefined): void {
    const list: string[] = []
    for (const key of Object.keys(headers)) {
      const name = key.toLowerCase()
      const value = headers[key]
      if (value !== undefined && !connectionHeaders.has(name)) list.push(name, value)
    }
    const length = lengthOf(method, status, headers['content-length'], size)
    if (length !== undefined) {
      list.push('content-length', length)
      res.strictContentLength = size === undefined
    }
    // Who was too slow is not waited for again.
    visit.last ||= options.draining || (isUnread(exchange) && (status === 408 || !isFew(req)))
    if (visit.last) res.shouldKeepAlive = false
    res.writeHead(status, list)
  }

  /**
   * A chunk with its frame in one buffer: Node writes size, bytes and line ends as four pieces, which costs a streamed token
   * 4 µs more.
   */
  function write(piece: Uint8Array | string, encoding: Outgoing['encoding'] = 'utf8'): boolean {
    if (!res.chunkedEncoding || !begun || res.socket !== socket || piece.length > joinedMax) {
      // With the first piece goes the head.
      begun = true
      return res.write(piece, encoding)
    }
    const bytes = typeof piece === 'string' ? Buffer.from(piece, encoding) : piece
    const size = bytes.length.toString(16)
    const frame = Buffer.allocUnsafe(size.length + bytes.length + 4)
    let at = frame.write(size, 'latin1')
    at = frame.writeUInt16BE(lineEnd, at)
    frame.set(bytes, at)
    frame.writeUInt16BE(lineEnd, at + bytes.length)
    return socket.write(frame)
  }

  /**
   * While the client is still sending, closing would reset the connection and with it the answer, so the rest of its body
   * is taken in first, within bounds: the answer itself has left before.
   */
  function end(
    bytes: Uint8Array | string,
    encoding: Outgoing['encoding'] = 'utf8',
  ): Promise<void> | undefined {
    if (visit.last && isUnread(exchange)) {
      if (bytes.length > 0) res.write(bytes, encoding)
      else res.flushHeaders()
      return linger(req, options).then(() => void res.end())
    }
    const finish = (): void => {
      res.end(bytes, encoding)
      if (socket.writableLength > 0) socket.setTimeout(options.stallMs)
    }
    // A stream that promised another length is told so here.
    if (bytes.length === 0) finish()
    else atTurnEnd(finish)
    if (!req.complete) req.resume()
    return undefined
  }

  return {
    get begun() {
      return res.headersSent
    },
    head,
    write,
    end,
    onRoom(done) {
      // Whichever of them was written to.
      res.on('drain', done)
      socket.on('drain', done)
      return () => {
        res.off('drain', done)
        socket.off('drain', done)
      }
    },
    cut() {
      // HTTP/1.0 has no chunks: there the end of the connection is the end of the answer, unless it is a reset.
      if (req.httpVersionMinor === 0)
        return void (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy())
      socket.destroySoon()
      setTimeout(() => socket.destroy(), cutMs).unref()
    },
  }
}

/** CR LF */
const lineEnd = 0x0d0a

/** Some of the body is still to come. Of a client that was never told to send it, nothing is. */
const isUnread = ({ req, expects }: NodeExchange): boolean =>
  !req.complete && !expects && !hasNoBody(req)

/** As much is taken in for the sake of keeping the connection. */
const isFew = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined && Number(headers['content-length']) <= 64 * 1024

function linger(req: IncomingMessage, { lingerMs, lingerBytes }: AnswerOptions): Promise<void> {
  return new Promise((resolve) => {
    let taken = 0
    const done = () => {
      clearTimeout(timer)
      req.off('data', take)
      req.pause()
      resolve()
    }
    const take = (chunk: Uint8Array) => {
      taken += chunk.length
      if (taken > lingerBytes) done()
    }
    const timer = setTimeout(done, lingerMs)
    // Whoever still waits for a part of the body waits for its end now.
    req.removeAllListeners('readable')
    req.on('data', take).once('end', done).once('close', done)
    req.resume()
  })
}
