import type { ChatEvent, ChatRequest, ChatResult, MediaPart, Usage } from '../chat/chat.ts'
import type { GatewayError } from '../errors.ts'
import type { Json, JsonObject } from '../json/json.ts'
import type { Alike } from './alike.ts'
import type { Quirks } from './quirks.ts'

/**
 * A wire is one way of saying chat over HTTP. It is a grid: four things that travel (request, result, stream, error),
 * two directions: decode… comes from the wire into the house, encode… goes from the house onto the wire.
 * No I/O, no clock, no randomness, no config: everything arrives as a value.
 *
 * `ProviderWire` is the half a provider speaks; `Wire` adds the half a client speaks.
 */
export interface ProviderWire {
  readonly id: string
  /** How the bytes of a streamed answer are cut into frames. */
  readonly framing: 'sse' | 'json-lines' | 'aws-events' | 'aws-payload'
  /** Path appended to a base URL. A base that already ends in it is used as it is. */
  path(to: Target, stream: boolean): string
  encodeRequest(request: ChatRequest, to: Target): Encoded
  /**
   * May this part, which is a web address, be encoded as it is? False: the call fetches it first and the encoder sees
   * bytes. True also for what is left out or refused either way. Absent: addresses are sent.
   */
  takesUrl?(part: MediaPart, to: Target): boolean
  decodeResult(body: JsonObject, notes: Notes): ChatResult
  /** `decodeResult` wants to look at `Notes.header`. */
  readonly readsHeaders?: true
  decodeStream(notes: Notes): StreamDecoder
  decodeError(answer: ErrorAnswer): GatewayError
  /** How the provider tells what reading a request would cost; absent: it does not. */
  readonly count?: Count
  /** The provider streams every answer: a client that wants it whole gets it when it is complete. */
  readonly streamOnly?: true
  /** For providers that answer with a ticket first. */
  readonly follow?: Follow
}

export type Follow = {
  /** The provider's own hosts, and those below them: a ticket leads to where the request went or to one of these. */
  readonly hosts: readonly string[]
  /** Where the answer is, or will be, when this, which came from `from`, is not it; asked for by GET with the same credential. */
  next(answer: JsonObject, stream: boolean, from: string): Ticket | undefined
}
/** `afterMs`: how long to wait before asking. `stream`: events are told there. */
export type Ticket = { url: string; afterMs: number; stream: boolean }

/** Counting what a request would be billed for reading, without an answer to it. */
export interface Count {
  /** Where, told by where a conversation is asked; undefined where that address has no such route. */
  url(chat: string): string | undefined
  /** The body of it, from that of a conversation; `own`: the client wrote it in this wire, to be counted. */
  encode(body: JsonObject, to: Target, own: boolean): JsonObject
  /** Tokens; undefined where the answer tells none. */
  decode(answer: JsonObject): number | undefined
  /** A count as a client of the wire reads it; absent where no client speaks it. */
  answer?(tokens: number): JsonObject
}

export interface Wire extends ProviderWire {
  decodeRequest(body: JsonObject): ChatRequest
  encodeResult(result: ChatResult, context: ClientContext): JsonObject
  encodeStream(context: ClientContext): StreamEncoder
  encodeError(error: GatewayError): JsonObject
  /** An error inside a stream that has begun, as the bytes to write. */
  encodeStreamError(error: GatewayError): string
  /** Same wire on both sides. Absent: the wire is always decoded and encoded again. */
  readonly native?: Native
}

/** Whom a request is encoded for: what an encoder may know about a deployment. */
export type Target = {
  /** Row id of the provider, e.g. `groq`. */
  provider: string
  /** The provider's name for the model, prefix removed. */
  model: string
  quirks: Quirks
  /** Abilities and limits from the catalogue (`supports_reasoning`, `max_output_tokens`…), after the row's overrides. */
  info: JsonObject
  /** Drop what the provider lacks instead of refusing it. */
  dropParams: boolean
  /** LiteLLM's modify_params: repair a request the provider would refuse. */
  modifyParams: boolean
  /** Parameters let through although the row says the provider lacks them. */
  allowedParams?: readonly string[]
  /** What the row says besides for the wire, by the names of the provider's `values`: a project, a compartment, an endpoint. */
  values?: Readonly<Record<string, string>>
}

export type Encoded = {
  body: JsonObject
  /** Headers the body asks for, e.g. `anthropic-beta`. */
  headers?: Record<string, string>
  /** What the wire could not say, by its name in the client's dialect; told in `x-throughway-dropped`. */
  dropped?: string[]
  notes: Notes
}

/** What an encoder must remember to read the answer back. */
export type Notes = {
  /** Tool names that had to be changed for the provider: sent name → client's name. */
  toolNames?: Map<string, string>
  /** Structured output was asked for by a forced tool of this name: its input is the text of the answer. */
  outputTool?: string
  /** The answer is the value of this key of the tool's input, since it is no object itself. */
  outputKey?: string
  /** Freeform tools sent as functions of one string parameter `input`: their sent names. */
  customTools?: ReadonlySet<string>
  /** The model asked for, where an answer does not name one. */
  model: string
  /** Headers of the answer, for a wire that `readsHeaders`. */
  header?: (name: string) => string | undefined
}

/** What an encoder for a client needs besides the house's words. */
export type ClientContext = {
  /** The public name the client asked for: it sees no other. */
  model: string
  /** Used where the provider gave no id: unique per request. */
  requestId: string
  /** Unix seconds, where the provider gave no time. */
  created: number
  /** Does the client want usage in the stream? */
  streamUsage: boolean
  /** How many choices the client asked for. */
  choices: number
  /** One top-level field of what the client said, read when it is needed: some answers repeat the question. */
  said?(key: string): Json | undefined
  /** The id by which the client knows an answer that the provider keeps; absent: the provider's own. */
  seal?(id: string): string
  /** Told the whole answer once it is complete, where the gateway keeps it for the client. */
  keep?(answer: JsonObject): void
}

export type ErrorAnswer = {
  status: number
  body: string
  header(name: string): string | undefined
  /** The word before "Exception" in LiteLLM's texts, e.g. `OpenAI`; absent: `saidBy` names it later. */
  provider?: string
}

/** Synchronous machines: one frame in, zero or more events out. The loop that feeds them is elsewhere. They never throw for what a provider says: a broken frame is a `fault` event. */
export interface StreamDecoder {
  push(frame: Frame): ChatEvent[]
  /** The bytes have ended. A stream that never said how it ended answers with a `fault`. */
  end(): ChatEvent[]
}
export interface StreamEncoder {
  push(event: ChatEvent): string
  /** How a stream that has begun tells that it failed; absent: `encodeStreamError` says all. */
  fail?(error: GatewayError): string
  end(): string
}
export type Frame = { event: string | undefined; data: string }

/**
 * Same wire on both sides: what the client said passes without being understood, and unknown fields survive both ways.
 * A provider with quirks is adapted on its JSON, which keeps unknown fields too.
 */
export interface Native {
  /** Top-level fields that must be lists for a body to pass unread; anything else is decoded first, which refuses it. */
  readonly lists: readonly string[]
  /**
   * Top-level keys of a request that `adaptRequest` would look at for this target; `all` when it has to see the
   * whole body. None of them present: the bytes pass.
   */
  requestKeys(to: Target): ReadonlySet<string> | 'all'
  /** The path names the model, not the body. */
  readonly modelInPath?: true
  /** Texts whose presence anywhere in a body makes it one that `adaptRequest` has to see. */
  requestWords?(to: Target): readonly string[]
  /** Changes `body` (the gateway's own copy) into what the provider takes; answers with what had to be dropped. */
  adaptRequest(body: JsonObject, to: Target): string[]
  /** Reads a whole answer. Throws GatewayError for one that is broken, or that is an error in a success's clothes. */
  passResult(body: Uint8Array, to: Target, context: ClientContext): PassedResult
  passStream(to: Target, context: ClientContext): PassStream
}

/** Text to send. `latin1`: one character per byte, as it was read, so that what passes is never decoded nor copied. */
export type Written = { body: string; encoding: 'utf8' | 'latin1' }

export interface PassedResult {
  /** As the provider told it; absent when it did not. */
  readonly usage: Usage | undefined
  /** It is being made in the background: what it uses is not known yet. */
  readonly unfinished?: boolean
  /** Everything the model wrote, to be counted when the provider did not. */
  text(): string
  /** For the client: public model name, and `usage` put in where the provider gave none. */
  encode(usage: Usage | undefined): Written
}

/** As the one who makes it writes it. No getters: an object made with one costs its maker 2 µs, and its readers each time. */
export type PassMachine = { -readonly [K in keyof PassStream]: PassStream[K] }

/**
 * Synchronous machine of one stream. Frames come in and bytes go out as latin1 text, one character per byte, so that
 * most of a frame is never decoded.
 */
export interface PassStream {
  push(frame: Frame): string
  /** Has the model said anything yet? Until then an error may still become an HTTP error. */
  readonly content: boolean
  /** The provider has said its last word. */
  readonly complete: boolean
  /** What it has learned of the stream's events: those that are like the last need not be pushed. Absent: they always are. */
  readonly alike?: Alike
  readonly fault: GatewayError | undefined
  /** The provider failed and has said so in the stream's own words: the client needs no others, the ledger must know. */
  readonly failure?: GatewayError | undefined
  usage(): Usage | undefined
  text(): string
  /** As `StreamEncoder.fail`, of a stream that passes. */
  fail?(error: GatewayError): string
  /** What closes the stream for the client; `usage` where the provider gave none. */
  end(usage: Usage | undefined): string
}
