import { type Answer, drain, named } from '../call/call.ts'
import type { Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import { openFrames } from '../wire/framing/frames.ts'
import { withHidden } from './hidden.ts'
import type { ChatCompletionChunk, ChatCompletionStream, ChunkBody, HiddenParams } from './types.ts'

export type StreamParts = {
  answer: Extract<Answer, { type: 'stream' }>
  hidden: HiddenParams
  maxLineBytes: number
  /** Usage nobody told, counted from what was written. */
  count(text: string): Usage
  /** The stream has ended well, and so much was used. */
  settle(usage: Usage): void
  /** The stream has ended, in whatever way. */
  release(error: GatewayError | undefined): void
  /** Ends the request at the provider. */
  stop(): void
  /** Whatever was thrown, as the caller sees it. */
  errorOf(error: GatewayError): unknown
}

/**
 * Chunks of an answer. By hand and not a generator: one that is left before its first step must end the request too, and
 * a generator's `finally` would not run then.
 */
export function openStream(parts: StreamParts): ChatCompletionStream {
  const { answer, hidden, count, settle, release, stop, errorOf } = parts
  const { relay, head, rest, deployment } = answer
  const frames = openFrames('sse', parts.maxLineBytes)
  const ready: ChatCompletionChunk[] = []
  let failure: { cause: unknown } | undefined
  let ended = false
  let turn: Promise<unknown> = Promise.resolve()

  function take(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return
    for (const { data } of frames.push(bytes))
      if (data !== '[DONE]') ready.push(withHidden(parseChunk(data), hidden))
  }

  function end(error: GatewayError | undefined): void {
    if (ended) return
    ended = true
    release(error)
  }

  function fail(cause: unknown): void {
    if (ended) return
    const error = named(cause, deployment)
    failure = { cause: errorOf(error) }
    stop()
    rest.stop()
    end(error)
  }

  function finish(): void {
    const usage = relay.usage() ?? count(relay.text())
    settle(usage)
    take(relay.end(usage))
    if (relay.fault) fail(relay.fault)
    else {
      end(undefined)
      drain(rest)
    }
  }

  async function advance(): Promise<void> {
    try {
      if (relay.fault) return fail(relay.fault)
      if (relay.complete) return finish()
      const chunk = await rest.next()
      if (ended) return
      take(chunk === undefined ? relay.flush() : relay.push(chunk))
      if (chunk === undefined && !relay.fault) finish()
    } catch (cause) {
      fail(cause)
    }
  }

  async function step(): Promise<IteratorResult<ChatCompletionChunk, undefined>> {
    while (ready.length === 0 && !ended) await advance()
    const value = ready.shift()
    if (value) return { done: false, value }
    const failed = failure
    failure = undefined
    if (failed) throw failed.cause
    return { done: true, value: undefined }
  }

  function leave(): void {
    ready.length = 0
    failure = undefined
    if (ended) return
    stop()
    rest.stop()
    end(new GatewayError('canceled', 'the stream was left'))
  }

  const stream: ChatCompletionStream = withHidden(
    {
      [Symbol.asyncIterator]: () => stream,
      next() {
        // One at a time, whoever asks: the state of a stream is not made for two.
        const mine = turn.then(step)
        turn = mine.catch(() => undefined)
        return mine
      },
      async return() {
        leave()
        return { done: true as const, value: undefined }
      },
      async throw(cause: unknown) {
        leave()
        throw cause
      },
      async cancel() {
        leave()
      },
    },
    hidden,
  )
  try {
    for (const bytes of head) take(bytes)
  } catch (cause) {
    fail(cause)
  }
  return stream
}

/** What passed unread may still be no JSON. */
function parseChunk(data: string): ChunkBody {
  try {
    return JSON.parse(utf8(bytesOf(data)))
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON', { cause })
  }
}
