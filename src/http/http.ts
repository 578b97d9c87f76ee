import type { Signal } from './signal.ts'
/** A request and an answer as the rooms see them: not Node's, not the web's. */
export type Incoming = {
  method: string
  /** Path only, as sent (percent-encoding kept), without the server's root path. */
  path: string
  /** Query string without the `?`; empty when there is none. */
  query: string
  /** Lower-case name. A header sent several times is joined with ", ". */
  header(name: string): string | undefined
  /** Every header, lower-case names. A copy: where names are enough, ask for those. */
  headers(): Record<string, string>
  headerNames(): readonly string[]
  /** Address of the peer; empty where the runtime does not tell. */
  remoteAddress: string
  /** The whole body, decompressed, within the server's limits (GatewayError `too_large` or `timeout` beyond them). */
  body(): Promise<Uint8Array>
  /** The body as it comes: uploads are never held whole. */
  stream(): AsyncIterable<Uint8Array>
  /** Aborted when the client has gone before the answer was complete. */
  readonly signal: Signal
}

export type Outgoing = {
  status: number
  /** Lower-case names. */
  headers: Record<string, string>
  /** Of a `body`, or pieces of it, that are text: `latin1` says that each character is one byte, as where bytes passed through undecoded. Default utf8. */
  encoding?: 'utf8' | 'latin1'
  /** Leaving the iteration, however it is left, ends the body: its `finally` settles the request. */
  body: Uint8Array | string | AsyncIterable<Uint8Array | string>
}

/**
 * An iterator of a body that can also tell what comes as it comes, without a promise for each piece: a third of what a
 * streamed token costs otherwise. Asked once, when nobody waits for a step; undefined: it goes on step by step.
 */
export type Flowing<T> = AsyncIterator<T> & { flow?(sink: Sink): Flow | undefined }
export type Sink = {
  /** False: no more until `resume`. */
  write(piece: Uint8Array | string): boolean
  /** All has been told. */
  end(): void
}
export type Flow = { resume(): void }

export type Handler = (incoming: Incoming) => Promise<Outgoing>
