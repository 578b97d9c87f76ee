import { noUsage, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, text } from '../../json/json.ts'
import { bytesOf, latin1, utf8 } from '../../json/latin1.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import type { ErrorAnswer, Target } from '../wire.ts'

/**
 * What is not chat: embeddings, images, speech and the like. A provider's way of one of them is a `MediaWire`: a
 * conversation that says what to send, is given the answers, and may send again (one text at a time, or a look whether a
 * picture is ready). No I/O and no clock, as with every wire.
 */
export interface MediaWire<Request, Result> {
  exchange(request: Request, to: Target, lacks: Lacks): Exchange<Result>
  decodeError(answer: ErrorAnswer): GatewayError
  /** A file of the request must be held whole. */
  readonly whole?: true
}

/** Yields what is sent next, all at once, and is given the answers in the same order. Refusals end it from outside. */
export type Exchange<Result> = Generator<readonly Sent[], Result, readonly Answered[]>

export type Sent = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the base URL, perhaps with a query; or an address of the same origin, as a provider told it. */
  path: string
  /** `path` begins at the host, not below the base. */
  root?: true
  /** The whole address where this operation lives elsewhere than chat: used unless the row, or the environment, has an address of its own. `{project}` is the one in the base. */
  home?: string
  /** The whole address where it is another of the provider's services, worked out from the base. Our credential goes there. */
  address?: (base: string) => string
  /** The service and the region a signature names, where they are others than chat's. */
  service?: string
  region?: string
  headers?: Readonly<Record<string, string>>
  body?: SentBody
  /** The answer's body is passed on as it comes. */
  live?: true
  /** `path` is a whole address the provider told, on one of its hosts for files, open to everybody who knows it: no credential goes along. */
  open?: true
  /** A refusal is an answer too, told apart by its status. */
  refusals?: true
  /** Milliseconds to wait before. */
  afterMs?: number
  /** Nothing is sent: something is kept by the gateway, or looked for. What is not there is answered with a 404. */
  shelf?:
    | { save: string; text: string }
    | { find: string }
    | { remove: string }
    /** Those that begin like this, as a list in JSON, in order. */
    | { names: string }
  /** Nothing is sent either: long work stops for a moment, so that others get their turn. */
  rest?: true
}
export type SentBody =
  | { type: 'json'; value: JsonObject }
  | { type: 'bytes'; bytes: Uint8Array | AsyncIterable<Uint8Array>; mime: string }
  | { type: 'form'; fields: FormFields; files: readonly FormFile[] }
/** Null and undefined are left out. */
export type FormFields = Readonly<Record<string, string | number | boolean | undefined | null>>
export type FormFile = { field: string; file: MediaFile }

export type Answered = {
  status: number
  header(name: string): string | undefined
  /** The whole body; empty where it is live. */
  bytes: Uint8Array
  live: AsyncIterable<Uint8Array> | undefined
}

/** Called with parameters the client gave and the provider lacks: refused, or left out where `drop_params` is set. */
export type Lacks = (...fields: string[]) => void

/** What an operation used. Units as in provider/cost.ts. */
export type Measured = { usage?: Usage | undefined; units?: Measures | undefined }
export type Measures = {
  images?: number
  pixels?: number
  seconds?: number
  audioSeconds?: number
  videoSeconds?: number
  resolution?: string
  characters?: number
  queries?: number
  maxResults?: number
  pages?: number
  annotatedPages?: number
  credits?: number
}

/** What is asked of us for a client, besides the request. */
export type MediaContext = {
  /** The public name. */
  model: string
  requestId: string
  /** Unix seconds. */
  created: number
  /** Whose what is kept for the client is. */
  owner?: string
}

/** A file of a form, or bytes that go into one. `bytes` of a large upload come only once and as they come. */
export type MediaFile = {
  name: string
  mime: string
  bytes: Uint8Array | AsyncIterable<Uint8Array>
}

export const jsonBody = (value: JsonObject): SentBody => ({ type: 'json', value })

/** One question, one answer. */
export function* askOnce(sent: Sent): Exchange<Answered> {
  const [answer] = yield [sent]
  return expected(answer)
}

export function expected(answer: Answered | undefined): Answered {
  if (answer) return answer
  throw new GatewayError('internal', 'Internal server error', {
    cause: new Error('an exchange was given too few answers'),
  })
}

/** A JSON object, or `bad_gateway`; an error that came as a success is thrown as the error it is. */
export function readJson({ bytes }: Answered): JsonObject {
  const value = readValue(bytes)
  if (!isObject(value))
    throw new GatewayError('bad_gateway', 'the upstream answered with no JSON object')
  if (isObject(value.error) || text(value.error)) throw decodeErrorObject(value.error)
  return value
}

/** The same of a job that may have failed: an `error` in it is its own, and not the answer's. */
export function readJob({ bytes }: Answered): JsonObject {
  const value = readValue(bytes)
  if (isObject(value)) return value
  throw new GatewayError('bad_gateway', 'the upstream answered with no JSON object')
}

export function readValue(bytes: Uint8Array): Json {
  try {
    return JSON.parse(utf8(bytes))
  } catch {
    throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON')
  }
}

/** A count of a provider's; what is none, or would lower a bill, is 0. */
export const counted = (value: Json | undefined): number | undefined =>
  typeof value !== 'number' ? undefined : value > 0 && value < 1e15 ? value : 0

/** Tokens that were read, as one number. */
export const readTokens = (input: number, raw?: JsonObject): Usage => ({
  ...noUsage,
  input,
  ...(raw && { raw }),
})

/** `param` is refused with what is wrong with it and what to send. */
export const invalid = (param: string, message: string): GatewayError =>
  new GatewayError('bad_request', message, { param, type: 'invalid_request_error' })

export const missing = (param: string): GatewayError =>
  invalid(param, `Missing required parameter: '${param}'.`)

/** Forms have only text: a number may be spelt. */
export function numberOf(value: Json | undefined, param: string): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const read = typeof value === 'string' ? Number(value) : value
  if (typeof read === 'number' && Number.isFinite(read)) return read
  throw invalid(param, `'${param}' must be a number.`)
}

export function textOf(value: Json | undefined, param: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw invalid(param, `'${param}' must be a string.`)
}

/** Where an operation of an OpenAI-compatible provider is: beside its chat. */
export const beside = ({ quirks, model }: Target, path: string): string =>
  quirks.chatPath === undefined
    ? path
    : quirks.chatPath
        .replace('/chat/completions', path)
        .replace('{model}', encodeURIComponent(model))

/** Azure's API without versions by date, below the host of its deployments. */
export const undatedAzure = (base: string): string =>
  `${base.replace(/\/+$/, '').replace(/\/openai(?:\/v1)?$/, '')}/openai/v1`

/** A model in a path stays one step of it. */
export const step = (model: string): string => encodeURIComponent(model).replaceAll('%40', '@')

/** Fields of a client's body that `known` does not name. */
export function othersOf(body: JsonObject, known: ReadonlySet<string>): JsonObject {
  const out: JsonObject = {}
  for (const [key, value] of Object.entries(body))
    if (value !== undefined && !known.has(key) && key !== '__proto__') out[key] = value
  return out
}

/** Bytes written as base64, perhaps as a `data:` address. */
export function bytesOfBase64(said: string): Uint8Array {
  try {
    return bytesOf(atob(said.startsWith('data:') ? said.slice(said.indexOf(',') + 1) : said))
  } catch {
    throw new GatewayError('bad_gateway', 'the upstream answered with something that is not base64')
  }
}

export const base64Of = (bytes: Uint8Array): string => btoa(latin1(bytes))

export function compactUnits(
  units: { [Key in keyof Measures]: Measures[Key] | undefined },
): Measures {
  const out: Measures = {}
  for (const [key, value] of Object.entries(units))
    if (value !== undefined) Object.assign(out, { [key]: value })
  return out
}
