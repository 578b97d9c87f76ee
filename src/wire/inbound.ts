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
export function listen(bytes: Uint8Array, wire: Wire, said: Said = {}, maxDepth?: number): Inbound {
  const glance = peek(bytes, maxDepth, requestBounds)
  const parse = () =>
    parseObject(bytes, { ...requestBounds, ...(maxDepth !== undefined && { maxDepth }) })
  let parsed: JsonObject | undefined = glance ? undefined : parse()
  let request: ChatRequest | undefined
  const whole = () => (parsed ??= parse())
  const field = (key: string): Json | undefined => (glance ? value(glance, key) : whole()[key])
  const model = said.model ?? glance?.model ?? field('model') ?? said.otherwise
  if (typeof model !== 'string' || model === '')
    throw new GatewayError(
      'bad_request',
      model === undefined || model === null || model === ''
        ? "Missing required parameter: 'model'."
        : "'model' must be a string.",
      { param: 'model', type: 'invalid_request_error' },
    )
  const stream = said.stream ?? (glance ? (glance.stream ?? false) : field('stream') === true)
  return {
    wire,
    bytes,
    glance,
    model,
    stream,
    keys: () => (glance ? glance.keys.keys() : Object.keys(whole())),
    has: (key) => (glance ? glance.keys.has(key) : Object.hasOwn(whole(), key)),
    field,
    json: () => {
      const mine = parsed ?? parse()
      parsed = undefined
      return mine
    },
    request: () => (request ??= wire.decodeRequest({ ...whole(), model, stream })),
  }
}
