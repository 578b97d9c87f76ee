import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { hasNoBody } from './body.node.ts'
import { isBodiless } from './door.ts'
import type { Flowing, Outgoing } from './http.ts'
import { atTurnEnd } from './turn.ts'

/** One request and its answer, from head to last byte. */
export type Visit = {
  req: IncomingMessage
  res: ServerResponse
  /** The client waits for "100 Continue" before it sends its body, and has not been told yet. */
  expects: boolean
  /** No more requests on this connection. */
  last: boolean
  /** Some of the answer has been written, its head at least. */
  begun: boolean
  /** The client has left before the answer was complete. */
  gone: boolean
  /** Told when that happens. */
  onGone: (() => void) | undefined
  controller: AbortController
}

export type AnswerOptions = {
  /** The door is closing: no connection is kept. */
  draining: boolean
  /** A client that takes nothing for so long is cut off. */
  stallMs: number
  /** How long, and how many bytes of it, an unread body is taken in after the answer. */
  lingerMs: number
  lingerBytes: number
  onError: (error: unknown) => void
}

/** Sends the answer. Throws only while nothing has been sent, so that another answer can be. */
export function sendAnswer(
  visit: Visit,
  answer: Outgoing,
  options: AnswerOptions,
): Promise<void> | undefined {
  const { body } = answer
  if (typeof body !== 'string' && !(body instanceof Uint8Array))
    return pour(visit, answer, body, options)
  if (visit.gone) return undefined
  writeHead(
    visit,
    answer,
    options,
    typeof body === 'string' ? Buffer.byteLength(body, answer.encoding) : body.length,
  )
  const bytes = isBodiless(visit.req.method ?? '', answer.status) ? '' : body
  return finish(visit, bytes, options, answer.encoding)
}

/**
 * The one loop that sends bytes. It ends when the client goes, and however it ends the body is told: at once by
 * `return()`, which a generator hears when its pending step is over; the request's signal ends that step.
 */
async function pour(
  visit: Visit,
  answer: Outgoing,
  body: AsyncIterable<Uint8Array | string>,
  options: AnswerOptions,
): Promise<void> {
  const { req, res } = visit
  const iterator: Flowing<Uint8Array | string> = body[Symbol.asyncIterator]()
  let ended: Promise<void> | undefined
  const end = () => (ended ??= leave(iterator, options.onError))
  visit.onGone = () => void end()
  try {
    // Also for a client that has left: a generator that never began has no `finally` to settle anything.
    let step = await iterator.next()
    if (!visit.gone) writeHead(visit, answer, options, undefined)
    const bodiless = isBodiless(req.method ?? '', answer.status)
    while (!step.done && !bodiless && !visit.gone) {
      if (step.value.length > 0 && !put(visit, step.value, answer.encoding))
        await room(visit, end, options.stallMs)
      if (visit.gone) break
      const flowing = iterator.flow && flowed(visit, answer, iterator, end, options.stallMs)
      if (flowing && (await flowing)) break
      step = await iterator.next()
    }
    if (!visit.gone) await finish(visit, '', options)
  } catch (error) {
    if (visit.gone) return
    if (!res.headersSent) throw error
    options.onError(error)
    cut(req)
  } finally {
    await end()
  }
}

/**
 * Lets the body write by itself, until its end or until the client goes. Undefined, or false, where it cannot now.
 */
function flowed(
  visit: Visit,
  { encoding }: Outgoing,
  iterator: Flowing<Uint8Array | string>,
  end: () => void,
  stallMs: number,
): Promise<boolean> | undefined {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const flow = iterator.flow?.({
    write(piece) {
      if (visit.gone || piece.length === 0 || put(visit, piece, encoding)) return true
      room(visit, end, stallMs).then(() => flow?.resume())
      return false
    },
    end: () => resolve(true),
  })
  if (!flow) return undefined
  visit.onGone = () => {
    end()
    resolve(true)
  }
  if (visit.gone) resolve(true)
  return promise
}

async function leave(
  iterator: AsyncIterator<unknown>,
  onError: (error: unknown) => void,
): Promise<void> {
  try {
    await iterator.return?.()
  } catch (error) {
    onError(error)
  }
}

/**
 * Writes a piece of a streamed body; false: the client has to take some of it first. A chunk with its frame in one buffer:
 * Node writes size, bytes and line ends as four pieces, which costs a streamed token 4 µs more.
 */
function put(
  visit: Visit,
  piece: Uint8Array | string,
  encoding: Outgoing['encoding'] = 'utf8',
): boolean {
  const { req, res } = visit
  const { socket } = req
  if (!res.chunkedEncoding || !visit.begun || res.socket !== socket || piece.length > frameMax) {
    // With the first piece goes the head.
    visit.begun = true
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
/** CR LF */
const lineEnd = 0x0d0a
/** Copying more than this costs more than it saves. */
const frameMax = 16_384

/** Waits until the client has taken what was written, or has gone. */
function room(visit: Visit, end: () => void, stallMs: number): Promise<void> {
  const { req, res } = visit
  return new Promise((resolve) => {
    if (visit.gone) return resolve()
    const before = visit.onGone
    const done = () => {
      res.off('drain', done)
      req.socket.off('drain', done)
      visit.onGone = before
      req.socket.setTimeout(0)
      resolve()
    }
    // Whichever of them was written to.
    res.on('drain', done)
    req.socket.on('drain', done)
    visit.onGone = () => {
      end()
      done()
      before?.()
    }
    req.socket.setTimeout(stallMs)
  })
}

/** A flat list of names and values is the form Node writes fastest. */
function writeHead(
  visit: Visit,
  { status, headers }: Outgoing,
  options: AnswerOptions,
  size: number | undefined,
): void {
  const { req, res } = visit
  const head: string[] = []
  for (const key of Object.keys(headers)) {
    const name = key.toLowerCase()
    const value = headers[key]
    if (value !== undefined && !connectionHeaders.has(name)) head.push(name, value)
  }
  const length = lengthOf(req.method, status, headers['content-length'], size)
  if (length !== undefined) {
    head.push('content-length', length)
    res.strictContentLength = size === undefined
  }
  // Who was too slow is not waited for again.
  visit.last ||= options.draining || (isUnread(visit) && (status === 408 || !isFew(req)))
  if (visit.last) res.shouldKeepAlive = false
  res.writeHead(status, head)
}

/**
 * A whole body is measured. A streamed one may promise its length and is held to it. An answer without a body may
 * tell what the body would have measured, except 204, which has none by its nature.
 */
function lengthOf(
  method: string | undefined,
  status: number,
  promised: string | undefined,
  size: number | undefined,
): string | undefined {
  if (status === 204) return undefined
  if (method === 'HEAD') return promised ?? (size ? `${size}` : undefined)
  if (status === 304 || size === undefined) return promised
  return `${size}`
}

/**
 * The last bytes. While the client is still sending, closing would reset the connection and with it the answer,
 * so the rest of its body is taken in first, within bounds: the answer itself has left before.
 */
function finish(
  visit: Visit,
  bytes: Uint8Array | string,
  options: AnswerOptions,
  encoding: Outgoing['encoding'] = 'utf8',
): Promise<void> | undefined {
  const { req, res } = visit
  if (visit.last && isUnread(visit)) {
    if (bytes.length > 0) res.write(bytes, encoding)
    else res.flushHeaders()
    return linger(visit, options).then(() => void res.end())
  }
  const end = (): void => {
    res.end(bytes, encoding)
    if (req.socket.writableLength > 0) req.socket.setTimeout(options.stallMs)
  }
  // A stream that promised another length is told so here.
  if (bytes.length === 0) end()
  else atTurnEnd(end)
  if (!req.complete) req.resume()
  return undefined
}

/** Some of the body is still to come. Of a client that was never told to send it, nothing is. */
const isUnread = ({ req, expects }: Visit): boolean => !req.complete && !expects && !hasNoBody(req)

/** As much is taken in for the sake of keeping the connection. */
const isFew = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined && Number(headers['content-length']) <= 64 * 1024

function linger(visit: Visit, { lingerMs, lingerBytes }: AnswerOptions): Promise<void> {
  const { req } = visit
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

/** The client must see that the answer is not whole. What was written before still goes out first. */
function cut({ socket, httpVersionMinor }: IncomingMessage): void {
  // HTTP/1.0 has no chunks: there the end of the connection is the end of the answer, unless it is a reset.
  if (httpVersionMinor === 0)
    return void (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy())
  socket.destroySoon()
  setTimeout(() => socket.destroy(), cutMs).unref()
}

/** These are between the client and this door; whoever made the answer has no say in them. */
const connectionHeaders = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** For the bytes before a cut to leave. */
const cutMs = 2000
