import { drain, named, type StreamAnswer } from '../call/call.ts'
import type { Receiver } from '../call/inbox.ts'
import { join } from '../call/transport.ts'
import { outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Flow, Flowing, Sink } from '../http/http.ts'
import { bytesOf, toUtf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Routed } from '../router/router.ts'
import type { Inbound } from '../wire/inbound.ts'
import { idOfStream } from './answer-id.ts'
import { counted, countNow } from './counted.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import { noteUnpriced } from './unpriced.ts'

type Answered = StreamAnswer & { deployment: Deployment }
type Release = Routed<unknown>['release']

/** What a streamed answer's client gets. However it is left, the request settles. */
export const streamBody = (
  answer: Answered,
  said: Inbound,
  receipt: Receipt,
  rooms: Rooms,
  release: Release,
): AsyncIterable<Uint8Array> => new ChatStream(answer, said, receipt, rooms, release)

/**
 * An iterator by hand, not a generator: one that is left before its first step must settle too, and a generator's
 * `finally` would not run then. A class: its functions as closures were 1.5 KB a stream.
 */
class ChatStream implements AsyncIterable<Uint8Array>, Flowing<Uint8Array>, Receiver {
  readonly #answer: Answered
  readonly #said: Inbound
  readonly #receipt: Receipt
  readonly #rooms: Rooms
  readonly #release: Release
  #sink: Sink | undefined
  #opened = false
  #closed = false

  constructor(answer: Answered, said: Inbound, receipt: Receipt, rooms: Rooms, release: Release) {
    this.#answer = answer
    this.#said = said
    this.#receipt = receipt
    this.#rooms = rooms
    this.#release = release
  }

  /** Whoever asks again goes on where the stream is. */
  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    let value: Uint8Array | undefined
    try {
      value = this.#closed ? undefined : await this.#step()
    } catch (cause) {
      value = this.#closed ? undefined : this.#failed(cause)
    }
    return value === undefined ? { done: true, value } : { done: false, value }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.#closed) {
      this.#answer.rest.stop()
      this.#settle(new GatewayError('canceled', 'the client has gone'))
    }
    return { done: true, value: undefined }
  }

  /** The same as steps again and again, told by the upstream's reads. */
  flow(sink: Sink): Flow | undefined {
    const { relay, rest } = this.#answer
    if (this.#closed || !this.#opened || relay.fault || relay.complete) return undefined
    this.#sink = sink
    return rest.flow?.(this)
  }

  chunk(bytes: Uint8Array): ReturnType<Receiver['chunk']> {
    const { relay } = this.#answer
    try {
      if (this.#closed) return 'nothing'
      const out = relay.pass ? relay.pass(bytes) : relay.push(bytes)
      if (!relay.fault && !relay.complete)
        return out === undefined || this.#sink?.write(out) ? 'more' : 'later'
      this.#ended(typeof out === 'string' ? bytesOf(out) : out)
    } catch (cause) {
      this.fail(cause)
    }
    return 'nothing'
  }

  end(): void {
    try {
      if (!this.#closed) this.#ended(this.#answer.relay.flush())
    } catch (cause) {
      this.fail(cause)
    }
  }

  /** Nobody waits who could catch what this throws; by then it has settled. */
  fail(cause: unknown): void {
    let last: Uint8Array | undefined
    try {
      last = this.#closed ? undefined : this.#failed(cause)
    } catch (second) {
      const { requestId } = this.#receipt
      this.#rooms.log('error', 'a stream failed inside the gateway', { cause: second, requestId })
    }
    this.#last(last)
  }

  async #step(): Promise<Uint8Array | undefined> {
    const { relay, head, rest } = this.#answer
    if (!this.#opened) {
      this.#opened = true
      if (this.#receipt.pass && head[0]) this.#receipt.answerId = idOfStream(head[0])
      if (head.length > 0 && !relay.complete) return join(head)
      if (head.length > 0) return both(join(head), await this.#finish())
    }
    while (!this.#closed) {
      if (relay.fault) return this.#failed(relay.fault)
      if (relay.complete) return this.#finish()
      const chunk = await rest.next()
      const out = chunk === undefined ? relay.flush() : relay.push(chunk)
      if (chunk === undefined)
        return relay.fault ? both(out, this.#failed(relay.fault)) : both(out, await this.#finish())
      if (out) return relay.complete ? both(out, await this.#finish()) : out
    }
    return undefined
  }

  /** The upstream has said all it says: what comes after `before` is an error or the end. */
  #ended(before: Uint8Array | undefined): void {
    const { fault } = this.#answer.relay
    if (fault) this.#last(both(before, this.#failed(fault)))
    else
      this.#finish().then(
        (bytes) => this.#last(both(before, bytes)),
        (cause) => this.#last(this.#closed ? undefined : both(before, this.#failed(cause))),
      )
  }

  #last(bytes: Uint8Array | undefined): void {
    if (bytes) this.#sink?.write(bytes)
    this.#sink?.end()
  }

  async #finish(): Promise<Uint8Array | undefined> {
    const { relay, rest, deployment } = this.#answer
    const usage =
      relay.usage() ?? (await counted(this.#said, relay.text(), deployment, this.#rooms))
    this.#receipt.usage = usage
    const out = relay.end(usage)
    if (relay.fault) return this.#failed(relay.fault)
    drain(rest)
    // The client has the whole answer only once a crash cannot lose it.
    const written = this.#settle(relay.failure && named(relay.failure, deployment))
    if (written) await written
    return out
  }

  /** A stream that has begun cannot change its status: the error is its last event, and no end follows. */
  #failed(cause: unknown): Uint8Array | undefined {
    const { relay, rest, deployment } = this.#answer
    const error = named(cause, deployment)
    if (error.kind === 'internal')
      this.#rooms.log('error', 'a stream failed inside the gateway', {
        cause: error.cause,
        requestId: this.#receipt.requestId,
      })
    rest.stop()
    this.#settle(error)
    if (error.kind === 'canceled') return undefined
    return relay.fail(error) ?? toUtf8(this.#said.wire.encodeStreamError(error))
  }

  #settle(cause: unknown): Promise<void> | undefined {
    if (this.#closed) return undefined
    this.#closed = true
    const receipt = this.#receipt
    const { relay } = this.#answer
    const error = cause === undefined ? undefined : receipt.failed(cause)
    let written: Promise<void> | undefined
    this.#release(error)
    try {
      receipt.usage = error ? this.#soFar() : (relay.usage() ?? receipt.usage)
      if (receipt.keep) receipt.said = { text: relay.text() }
      noteUnpriced(receipt, this.#rooms)
    } finally {
      written = receipt.settle()
    }
    return written
  }

  /** Of an answer that was not finished: what the provider told by then, but no less than what was written. */
  #soFar(): Usage {
    const { relay, deployment } = this.#answer
    const told = relay.usage()
    const reckoned = countNow(this.#said, relay.text(), deployment, this.#rooms)
    if (!told) return reckoned
    const missing = reckoned.output - outputTokens(told)
    return missing > 0 ? { ...told, output: told.output + missing, estimated: true } : told
  }
}

const both = (a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined =>
  a && b ? join([a, b]) : (a ?? b)
