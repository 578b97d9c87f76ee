import type { ChatRequest } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Json, JsonObject } from '../json/json.ts'
import { parseObject } from '../json/parse.ts'
import { type Glance, peek, requestBounds, value } from '../json/peek.ts'
import type { Wire } from './wire.ts'

/** What a client said: the bytes, a glance at them, and the whole of it if anyone asks. */
export type Inbound = {
  readonly wire: Wire
  readonly bytes: Uint8Array
  /** Where the top-level fields are; absent when the body is odd and had to be parsed. */
  readonly glance: Glance | undefined
  /** The public name the client asked for. */
  readonly model: string
  readonly stream: boolean
  /** Names of the top-level fields. */
  keys(): Iterable<string>
  has(key: string): boolean
  /** One top-level field, without reading the rest. */
  field(key: string): Json | undefined
  /** A copy of the whole body that the caller may change. */
  json(): JsonObject
  /** The body in the house's words; read once, not to be changed. */
  request(): ChatRequest
}

export type Said = {
  model?: string
  stream?: boolean
  /** The model where the body names none. */
  otherwise?: string
}

/** `model` and `stream` given: the path said it (Azure's deployments, Gemini's methods), and the body need not. */
export function listen(
  bytes: Uint8Array,
  wire: Wire,
  said: Said = nothing,
  maxDepth?: number,
): Inbound {
  return new Heard(bytes, wire, said, maxDepth)
}

const nothing: Said = {}

/** A class: its closures, of which most requests call three, were half a kilobyte of each. */
class Heard implements Inbound {
  readonly wire: Wire
  readonly bytes: Uint8Array
  readonly glance: Glance | undefined
  readonly model: string
  readonly stream: boolean
  readonly #maxDepth: number | undefined
  #parsed: JsonObject | undefined
  #request: ChatRequest | undefined
  constructor(bytes: Uint8Array, wire: Wire, said: Said, maxDepth: number | undefined) {
    const glance = peek(bytes, maxDepth, requestBounds)
    this.wire = wire
    this.bytes = bytes
    this.glance = glance
    this.#maxDepth = maxDepth
    if (!glance) this.#parsed = this.#parse()
    const model = said.model ?? glance?.model ?? this.field('model') ?? said.otherwise
    if (typeof model !== 'string' || model === '')
      throw new GatewayError(
        'bad_request',
        model === undefined || model === null || model === ''
          ? "Missing required parameter: 'model'."
          : "'model' must be a string.",
        { param: 'model', type: 'invalid_request_error' },
      )
    this.model = model
    this.stream = said.stream ?? (glance ? (glance.stream ?? false) : this.field('stream') === true)
  }
  #parse(): JsonObject {
    const maxDepth = this.#maxDepth
    return parseObject(this.bytes, {
      ...requestBounds,
      ...(maxDepth !== undefined && { maxDepth }),
    })
  }
  #whole(): JsonObject {
    return (this.#parsed ??= this.#parse())
  }
  keys(): Iterable<string> {
    return this.glance ? this.glance.keys.keys() : Object.keys(this.#whole())
  }
  has(key: string): boolean {
    return this.glance ? this.glance.keys.has(key) : Object.hasOwn(this.#whole(), key)
  }
  /** A function of its own: answers that repeat the question are given it and no more. */
  readonly field = (key: string): Json | undefined =>
    this.glance ? value(this.glance, key) : this.#whole()[key]
  json(): JsonObject {
    const mine = this.#whole()
    this.#parsed = undefined
    return mine
  }
  request(): ChatRequest {
    const { model, stream } = this
    return (this.#request ??= this.wire.decodeRequest({ ...this.#whole(), model, stream }))
  }
}
