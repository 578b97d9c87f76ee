import { GatewayError } from '../errors.ts'
import { allocate } from '../json/latin1.ts'
import { join } from './transport.ts'

/** Where the bytes of an answer wait for their reader. Pushed from one side, read once from the other, where a step brings all that has come by then. */
export interface Inbox extends InboxBody {
  push(chunk: Uint8Array): void
  /** The same of bytes that are the caller's again when it returns. */
  lend(bytes: Uint8Array): void
  end(): void
  /** What has come is still read, then the error is thrown; with `atOnce` what has come is dropped. */
  fail(error: GatewayError, atOnce: boolean): void
  bytes(max?: number): Promise<Uint8Array>
  /** What `bytes` would give, where all of it has come; undefined otherwise, and then it can still be read. */
  ready(max?: number): Uint8Array | undefined
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

export function createInbox(network: InboxOptions): Inbox {
  return new Queue(network)
}

/** A class, and its own reader: closures for all of it were 1.5 KB for every request. */
class Queue implements Inbox, InboxReader {
  readonly #network: InboxOptions
  #chunks: Uint8Array[] | undefined
  #size = 0
  #reader: 'none' | 'loop' | 'whole' | 'gone' = 'none'
  #paused = false
  #ended = false
  #error: GatewayError | undefined
  #max = 0
  /** Who waits for the whole of it. */
  #whole: PromiseWithResolvers<Uint8Array> | undefined
  readonly #waiting: Waiting[] = []
  #calling = false
  #receiver: Receiver | undefined
  /** The receiver has no room. */
  #held = false

  constructor(network: InboxOptions) {
    this.#network = network
  }

  push(chunk: Uint8Array): void {
    if (this.#reader === 'gone' || this.#error) return
    if (this.#chunks) this.#chunks.push(chunk)
    else this.#chunks = [chunk]
    this.#size += chunk.length
    if (this.#reader === 'whole') {
      if (this.#size > this.#max) this.#tooMuch()
      else return
    } else if (!this.#paused && this.#size >= highWater) {
      this.#paused = true
      this.#network.pause()
    }
    this.#call()
  }
  /** To a receiver that waits they go as they are: a copy, a queue and a microtask are a tenth of a streamed token. */
  lend(bytes: Uint8Array): void {
    const to = this.#receiver
    if (to && !this.#held && !this.#calling && this.#size === 0) this.#tell(to, bytes)
    else if (this.#reader !== 'gone') {
      const own = allocate(bytes.length)
      own.set(bytes)
      this.push(own)
    }
  }
  end(): void {
    this.#ended = true
    this.#call()
  }
  fail(reason: GatewayError, atOnce: boolean): void {
    if (this.#ended || this.#error) return
    this.#error = reason
    if (atOnce) this.#drop()
    this.#call()
  }

  [Symbol.asyncIterator](): InboxReader {
    if (this.#reader !== 'none') throw readTwice()
    this.#reader = 'loop'
    return this
  }
  next(): Promise<Step> {
    return new Promise<Step>((resolve, reject) => {
      const reader = { resolve, reject }
      if (this.#waiting.length > 0 || !this.#answer(reader)) this.#waiting.push(reader)
    })
  }
  flow(to: Receiver): { resume(): void } | undefined {
    if (this.#waiting.length > 0) return undefined
    this.#receiver = to
    this.#call()
    return this
  }
  resume(): void {
    this.#held = false
    this.#call()
  }
  return(): Promise<Step> {
    this.#reader = 'gone'
    this.#drop()
    this.#call()
    if (!this.#ended && !this.#error) this.#network.cancel()
    return Promise.resolve({ done: true, value: undefined })
  }

  bytes(max = this.#network.maxBytes): Promise<Uint8Array> {
    if (this.#reader !== 'none') return Promise.reject(readTwice())
    this.#reader = 'whole'
    this.#max = max
    if (this.#size > max) this.#tooMuch()
    if (this.#error) return Promise.reject(this.#error)
    if (this.#ended) return Promise.resolve(this.#taken())
    this.#flow()
    this.#whole = Promise.withResolvers()
    return this.#whole.promise
  }

  ready(max = this.#network.maxBytes): Uint8Array | undefined {
    if (this.#reader !== 'none' || !this.#ended || this.#error || this.#size > max) return undefined
    this.#reader = 'whole'
    return this.#taken()
  }

  /**
   * One go may bring dozens of chunks, one call after the other. Whoever waits is answered after the last of them: a
   * stream that comes in a burst then costs a third less.
   */
  #call(): void {
    if (this.#whole) {
      if (this.#error) this.#whole.reject(this.#error)
      else this.#whole.resolve(this.#taken())
      this.#whole = undefined
    }
    if ((this.#waiting.length === 0 && !this.#receiver) || this.#calling) return
    this.#calling = true
    queueMicrotask(() => this.#answerAll())
  }
  /** Answers those who wait, in their order, as far as there is something to say. */
  #answerAll(): void {
    this.#calling = false
    while (this.#waiting[0] && this.#answer(this.#waiting[0])) this.#waiting.shift()
    if (this.#receiver && !this.#held) this.#deliver(this.#receiver)
  }
  /** Answers one `next()` if there is something to say. */
  #answer({ resolve, reject }: Waiting): boolean {
    if (this.#size > 0) {
      const value = this.#taken()
      this.#flow()
      resolve({ done: false, value })
    } else if (this.#error) reject(this.#error)
    else if (this.#ended || this.#reader === 'gone') resolve({ done: true, value: undefined })
    else return false
    return true
  }
  /** Tells the receiver all that has come by then. */
  #deliver(to: Receiver): void {
    if (this.#size > 0) {
      const all = this.#taken()
      this.#flow()
      this.#tell(to, all)
    } else this.#conclude(to)
  }
  #tell(to: Receiver, bytes: Uint8Array): void {
    const wanted = to.chunk(bytes)
    if (wanted === 'nothing') this.#receiver = undefined
    this.#held = wanted === 'later'
    this.#conclude(to)
  }
  #conclude(to: Receiver): void {
    if (this.#receiver !== to || this.#held) return
    if (this.#error) {
      this.#receiver = undefined
      to.fail(this.#error)
    } else if (this.#ended || this.#reader === 'gone') {
      this.#receiver = undefined
      to.end()
    }
  }
  #flow(): void {
    if (!this.#paused || (this.#reader === 'loop' && this.#size > lowWater)) return
    this.#paused = false
    this.#network.resume()
  }
  #taken(): Uint8Array {
    const all = join(this.#chunks ?? [])
    this.#drop()
    return all
  }
  #drop(): void {
    this.#chunks = undefined
    this.#size = 0
  }
  #tooMuch(): void {
    this.#error = new GatewayError(
      'bad_gateway',
      `the upstream's answer is larger than ${this.#max} bytes`,
    )
    this.#drop()
    this.#network.cancel()
  }
}

const readTwice = () => new GatewayError('internal', 'an answer can be read only once')

export type InboxBody = { [Symbol.asyncIterator](): InboxReader }
export type InboxReader = AsyncIterator<Uint8Array, undefined> & {
  /** From now on the receiver is told, instead of steps being asked for; undefined where one has been. */
  flow(to: Receiver): { resume(): void } | undefined
}
export type Receiver = {
  /**
   * The bytes are its own only until it returns. `later`: nothing more until `resume`. `nothing`: it wants no more; what
   * comes is for those who ask for steps.
   */
  chunk(bytes: Uint8Array): 'more' | 'later' | 'nothing'
  end(): void
  fail(error: GatewayError): void
}

type Step = IteratorResult<Uint8Array, undefined>
type Waiting = { resolve(step: Step): void; reject(reason: GatewayError): void }

/** An upstream is told to wait at the first and to go on at the second. */
const highWater = 262_144
const lowWater = 65_536
