import { GatewayError } from '../errors.ts'
import { join } from './transport.ts'

/** Where the bytes of an answer wait for their reader. Pushed from one side, read once from the other. */
export type Inbox = {
  push(chunk: Uint8Array): void
  end(): void
  /** What has come is still read, then the error is thrown; with `atOnce` what has come is dropped. */
  fail(error: GatewayError, atOnce: boolean): void
  /** A step brings all that has come by then. */
  body: InboxBody
  bytes(max?: number): Promise<Uint8Array>
}

export type InboxOptions = {
  /** The queue is full: no more, please. */
  pause(): void
  resume(): void
  /** The reader has left, or was sent more than it takes. */
  cancel(): void
  /** For `bytes()` when it is not given a limit. */
  maxBytes: number
}

export function createInbox({ pause, resume, cancel, maxBytes }: InboxOptions): Inbox {
  let chunks: Uint8Array[] = []
  let size = 0
  let reader: 'none' | 'loop' | 'whole' | 'gone' = 'none'
  let paused = false
  let ended = false
  let error: GatewayError | undefined
  let max = maxBytes
  let gathered: (() => void) | undefined
  const waiting: Waiting[] = []
  let calling = false
  let receiver: Receiver | undefined
  /** The receiver has no room. */
  let held = false

  const drop = () => {
    chunks = []
    size = 0
  }
  /** Answers those who wait, in their order, as far as there is something to say. */
  const answer = () => {
    calling = false
    while (waiting[0] && take(waiting[0])) waiting.shift()
    if (receiver && !held) deliver(receiver)
  }
  /** Tells the receiver all that has come by then. */
  const deliver = (to: Receiver) => {
    if (size > 0) {
      const all = join(chunks)
      drop()
      flow()
      const wanted = to.chunk(all)
      if (wanted === 'nothing') receiver = undefined
      held = wanted === 'later'
    }
    if (receiver !== to || held) return
    if (error) {
      receiver = undefined
      to.fail(error)
    } else if (ended || reader === 'gone') {
      receiver = undefined
      to.end()
    }
  }
  /**
   * A network read may bring dozens of chunks, one call after the other. Whoever waits is answered after the last of
   * them: a stream that is sent in a burst then costs a third less.
   */
  const call = () => {
    gathered?.()
    if ((waiting.length === 0 && !receiver) || calling) return
    calling = true
    queueMicrotask(answer)
  }
  const flow = () => {
    if (!paused || (reader === 'loop' && size > lowWater)) return
    paused = false
    resume()
  }
  const claim = (as: 'loop' | 'whole') => {
    if (reader !== 'none') throw new GatewayError('internal', 'an answer can be read only once')
    reader = as
  }
  /** Answers one `next()` if there is something to say. */
  const take = ({ resolve, reject }: Waiting): boolean => {
    if (size > 0) {
      const value = join(chunks)
      drop()
      flow()
      resolve({ done: false, value })
    } else if (error) reject(error)
    else if (ended || reader === 'gone') resolve({ done: true, value: undefined })
    else return false
    return true
  }
  const next = () =>
    new Promise<Step>((resolve, reject) => {
      const reader = { resolve, reject }
      if (waiting.length > 0 || !take(reader)) waiting.push(reader)
    })
  const tooMuch = () => {
    error = new GatewayError('bad_gateway', `the upstream's answer is larger than ${max} bytes`)
    drop()
    cancel()
  }
  const whole = (): Uint8Array => {
    if (error) throw error
    const all = join(chunks)
    drop()
    return all
  }
  return {
    push(chunk) {
      if (reader === 'gone' || error) return
      chunks.push(chunk)
      size += chunk.length
      if (reader === 'whole') {
        if (size > max) tooMuch()
        else return
      } else if (!paused && size >= highWater) {
        paused = true
        pause()
      }
      call()
    },
    end() {
      ended = true
      call()
    },
    fail(reason, atOnce) {
      if (ended || error) return
      error = reason
      if (atOnce) drop()
      call()
    },
    body: {
      [Symbol.asyncIterator]() {
        claim('loop')
        return {
          next,
          flow(to) {
            if (waiting.length > 0) return undefined
            receiver = to
            call()
            return {
              resume() {
                held = false
                call()
              },
            }
          },
          return() {
            reader = 'gone'
            drop()
            call()
            if (!ended && !error) cancel()
            return Promise.resolve({ done: true, value: undefined })
          },
        }
      },
    },
    async bytes(limit = maxBytes) {
      claim('whole')
      max = limit
      if (size > max) tooMuch()
      if (ended || error) return whole()
      flow()
      await new Promise<void>((resolve) => {
        gathered = resolve
      })
      return whole()
    },
  }
}

export type InboxBody = { [Symbol.asyncIterator](): InboxReader }
export type InboxReader = AsyncIterator<Uint8Array, undefined> & {
  /** From now on the receiver is told, instead of steps being asked for; undefined where one has been. */
  flow(to: Receiver): { resume(): void } | undefined
}
export type Receiver = {
  /** `later`: nothing more until `resume`. `nothing`: it wants no more; what comes is for those who ask for steps. */
  chunk(bytes: Uint8Array): 'more' | 'later' | 'nothing'
  end(): void
  fail(error: GatewayError): void
}

type Step = IteratorResult<Uint8Array, undefined>
type Waiting = { resolve(step: Step): void; reject(reason: GatewayError): void }

/** An upstream is told to wait at the first and to go on at the second. */
const highWater = 262_144
const lowWater = 65_536
