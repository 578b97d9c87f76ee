import type { Socket } from 'node:net'
import { isBodiless } from './door.ts'
import type { Flowing, Outgoing } from './http.ts'
import type { Stop } from './signal.ts'

/** The way back to the client of one request. */
export type ResponseWriter = {
  /** The head has been given: no other answer can be. */
  readonly begun: boolean
  /** `size`: of a body that is whole. Throws where a status or a header cannot be sent; nothing has been, then. */
  head(answer: Outgoing, size: number | undefined): void
  /** A piece of a streamed body; false: the client has to take some of it first. */
  write(piece: Uint8Array | string, encoding: Outgoing['encoding']): boolean
  /** The last bytes. Throws where the body is not as long as was promised. */
  end(piece: Uint8Array | string, encoding: Outgoing['encoding']): Promise<void> | undefined
  /** Calls `done` when the client has taken what was written. What comes back is for who no longer waits. */
  onRoom(done: () => void): () => void
  /** The client must see that the answer is not whole. What was written before still goes out first. */
  cut(): void
}

/** One request and its answer, from head to last byte. */
export type Visit = {
  method: string
  socket: Socket
  writer: ResponseWriter
  /** No more requests on this connection. */
  last: boolean
  /** The client has left before the answer was complete. */
  gone: boolean
  /** Told when that happens. */
  onGone: (() => void) | undefined
  /** Whoever works on the request hears of that by it. */
  leaving: Stop
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
  const { method, writer } = visit
  writer.head(
    answer,
    typeof body === 'string' ? Buffer.byteLength(body, answer.encoding) : body.length,
  )
  return writer.end(isBodiless(method, answer.status) ? '' : body, answer.encoding)
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
  const { method, writer } = visit
  const { encoding } = answer
  const iterator: Flowing<Uint8Array | string> = body[Symbol.asyncIterator]()
  let ended: Promise<void> | undefined
  const end = () => (ended ??= leave(iterator, options.onError))
  visit.onGone = () => void end()
  try {
    // Also for a client that has left: a generator that never began has no `finally` to settle anything.
    let step = await iterator.next()
    if (!visit.gone) writer.head(answer, undefined)
    const bodiless = isBodiless(method, answer.status)
    while (!step.done && !bodiless && !visit.gone) {
      if (step.value.length > 0 && !writer.write(step.value, encoding))
        await room(visit, end, options.stallMs)
      if (visit.gone) break
      const flowing = iterator.flow && flowed(visit, answer, iterator, end, options.stallMs)
      if (flowing && (await flowing)) break
      step = await iterator.next()
    }
    if (!visit.gone) await writer.end('', encoding)
  } catch (error) {
    if (visit.gone) return
    if (!writer.begun) throw error
    options.onError(error)
    writer.cut()
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
      if (visit.gone || piece.length === 0 || visit.writer.write(piece, encoding)) return true
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

/** Waits until the client has taken what was written, or has gone. */
function room(visit: Visit, end: () => void, stallMs: number): Promise<void> {
  const { socket, writer } = visit
  return new Promise((resolve) => {
    if (visit.gone) return resolve()
    const before = visit.onGone
    const done = () => {
      forget()
      visit.onGone = before
      socket.setTimeout(0)
      resolve()
    }
    const forget = writer.onRoom(done)
    visit.onGone = () => {
      end()
      done()
      before?.()
    }
    socket.setTimeout(stallMs)
  })
}
