import type { Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { type Glance, peek, value } from '../../json/peek.ts'
import { edit } from '../edit.ts'
import type { Named } from '../named.ts'
import { decodeErrorObject, decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import type { ErrorAnswer, Target, Wire, Written } from '../wire.ts'
import type { Job } from './job.ts'
import {
  type Answered,
  askOnce,
  type Exchange,
  expected,
  jsonBody,
  type Lacks,
  type Measured,
  type Measures,
  type MediaContext,
  type MediaWire,
  readJson,
  type Sent,
  type SentBody,
} from './media.ts'
import { soundMeter } from './sound.ts'
import type { FormEdits, Upload } from './upload.ts'

/**
 * One operation as clients ask for it: the straight path (gateway/operation.ts) serves each of them alike. Where the
 * provider speaks what the client speaks the body passes, with another model; elsewhere it is read, sent in the
 * provider's words, and its answer is told in the client's.
 */
export type Operation = {
  /** Its name among the operations of a provider's row, and in the ledger. */
  readonly id: string
  /** In whose words errors are told. */
  readonly dialect: Wire
  /** The client's body is a form. */
  readonly form: boolean
  /** Fields that are the gateway's own elsewhere and the provider's here. */
  readonly keeps?: readonly string[]
  /** There is no body. */
  readonly bare?: boolean
  /** Is this way of speaking known here? */
  knows(wire: string): boolean
  /** Must a form be held whole for this way of speaking? */
  reads(wire: string): boolean
  start(ask: OperationAsk): Started
  /** At most this is used by a request of so many bytes, as far as can be told before it is sent; less where a form is held. */
  bound(body: OperationBody, bytes: number, upload?: Upload): Bound
  /** What is read by the model, to be counted when the provider does not. */
  text(body: OperationBody): string
  /** What is used once the request has been sent, whatever becomes of the answer; absent: no more than `text` says. */
  begun?(body: OperationBody, upload: Upload | undefined): Begun
}

/** Text that is read, to be counted, and what is not counted in tokens. */
export type Begun = { text: string; units?: Measures }

export type OperationBody = { has(key: string): boolean; field(key: string): Json | undefined }

export type Bound = Measures & {
  /** Of text; a token is at least one character. */
  textCharacters?: number
  /** Tokens of pictures that are read. */
  pictureTokens?: number
  /** Tokens that may be written; absent: nobody knows. */
  output?: number
  /** Nobody can tell what it costs before it is done, or who asks is told nothing. */
  unknown?: true
}

export type OperationAsk = {
  /** How the provider speaks it. */
  wire: string
  to: Target
  /** What the client asked. */
  asked: OperationBody
  /** The body as this deployment is to see it: bytes where they may pass. */
  bytes(): Uint8Array
  json(): JsonObject
  upload: Upload | undefined
  /** The form with this deployment's fields. */
  form(
    tap?: (bytes: Uint8Array) => void,
    instead?: Pick<FormEdits, 'set' | 'remove' | 'rewrite'>,
  ): SentBody
  /** The body without what is for the gateway, and nothing of the deployment's added. */
  plain(): JsonObject
  /** Names the deployment in an id. */
  keeper: string
  stream: boolean
  context: MediaContext
  lacks: Lacks
}

export type Started = {
  exchange: Exchange<Told>
  decodeError(answer: ErrorAnswer): GatewayError
}

/** For the client. `counted`: the usage where the provider gave none. */
export type Told =
  | ({
      type: 'whole'
      mime: string
      encode(counted: Usage | undefined): Written | Uint8Array
      /** A batch it tells of: by the provider's id, whether it is over, and whether it has just been made. */
      batch?: { id: string; ended: boolean; fresh: boolean }
      /** What the requests of an uploaded batch name. */
      named?: Named
      /** Something the provider goes on working at. */
      job?: Job
    } & Measured)
  | ({
      type: 'live'
      mime: string
      body: AsyncIterable<Uint8Array>
      /** Looks at what passes; what it learnt is asked for at the end. */
      tap?: Tap
    } & Measured)

type Whole = Extract<Told, { type: 'whole' }>

/** The bytes a client would hear. */
export function bytesOfTold(told: Whole): Uint8Array {
  const out = told.encode(undefined)
  if (out instanceof Uint8Array) return out
  return out.encoding === 'latin1' ? bytesOf(out.body) : toUtf8(out.body)
}

/** The JSON object a client would hear; empty where it is none. */
export function bodyOfTold(told: Whole): JsonObject {
  try {
    return object(JSON.parse(utf8(bytesOfTold(told))))
  } catch {
    return {}
  }
}

/** The same answer with another body. */
export const jsonTold = (told: Told, body: JsonObject): Whole => ({
  ...(told.type === 'whole' ? told : {}),
  type: 'whole',
  mime: 'application/json',
  encode: () => ({ body: JSON.stringify(body), encoding: 'utf8' }),
})

export type Tap = { push(chunk: Uint8Array): void; end(): Measured & { job?: Job } }

export type OperationRow<Request, Result> = {
  id: string
  dialect: Wire
  form?: true
  /** Files are put into the provider's words, so that the whole form is needed; others pass them on as they come. */
  wholeForm?: true
  wires: Readonly<Record<string, MediaWire<Request, Result>>>
  /** How bytes pass, by the provider's wire. */
  passes: Readonly<Record<string, Pass>>
  decodeRequest(body: JsonObject, upload: Upload | undefined): Request
  encodeResult(
    result: Result,
    context: MediaContext,
    counted: Usage | undefined,
    request: Request,
  ): Spoken
  bound(body: OperationBody, bytes: number, upload?: Upload): Bound
  text(body: OperationBody): string
  begun?(body: OperationBody, upload: Upload | undefined): Begun
}

/** What a client hears: JSON, or anything else with its type. */
export type Spoken =
  | { type: 'json'; value: JsonObject }
  | { type: 'bytes'; mime: string; bytes: Uint8Array | AsyncIterable<Uint8Array> }

/** The same words on both sides. */
export type Pass = {
  path(to: Target, stream: boolean, asked: OperationBody): string
  /** The path begins at the host. */
  root?: true
  /** Another way, by its name, for models that have one of their own. */
  instead?(to: Target): string | undefined
  /** Fields this provider refuses: the body is then parsed and they are taken out. */
  adapt?(body: JsonObject, to: Target): void
  /** Does `adapt` have to see the body? */
  sees?(body: OperationBody, to: Target): boolean
  /** The answer is passed on as it comes: always, or when the client asks for a stream. */
  live?: 'always' | 'stream'
  measure?(answer: PassedAnswer, asked: OperationBody): Measured
  /** What is known to be used before there is an answer. */
  foresee?(asked: OperationBody): Measured
  tap?(asked: OperationBody): Tap | undefined
  /** The file is sound: its length counts where the answer says none. */
  sound?: true
  /** Members of the answer that the client sees otherwise, as raw JSON. */
  change?(answer: PassedAnswer, asked: OperationBody): Record<string, string>
  headers?(to: Target): Readonly<Record<string, string>>
}

export type PassedAnswer = OperationBody & {
  /** One character per byte; empty where the answer had to be parsed. */
  said: string
}

export function createOperation<Request, Result extends Measured>(
  row: OperationRow<Request, Result>,
): Operation {
  const { wires, passes } = row
  return {
    id: row.id,
    dialect: row.dialect,
    form: row.form ?? false,
    knows: (wire) => Object.hasOwn(wires, wire) || Object.hasOwn(passes, wire),
    reads: (wire) =>
      (row.wholeForm === true && !Object.hasOwn(passes, wire)) ||
      (Object.hasOwn(wires, wire) && wires[wire]?.whole === true),
    bound: row.bound,
    text: row.text,
    ...(row.begun && { begun: row.begun }),
    start(ask) {
      const pass = Object.hasOwn(passes, ask.wire) ? passes[ask.wire] : undefined
      const own = pass?.instead?.(ask.to)
      if (own !== undefined) return this.start({ ...ask, wire: own })
      if (pass) return { exchange: passing(ask, pass), decodeError: decodeOpenai }
      const wire = Object.hasOwn(wires, ask.wire) ? wires[ask.wire] : undefined
      if (!wire) throw new GatewayError('not_offered', `this provider does not offer ${row.id}`)
      return { exchange: telling(row, ask, wire), decodeError: wire.decodeError }
    },
  }
}

function* telling<Request, Result extends Measured>(
  { decodeRequest, encodeResult }: OperationRow<Request, Result>,
  { json, upload, to, context, lacks }: OperationAsk,
  wire: MediaWire<Request, Result>,
): Exchange<Told> {
  const request = decodeRequest(json(), upload)
  const result = yield* wire.exchange(request, to, lacks)
  const { usage, units } = result
  const first = encodeResult(result, context, undefined, request)
  const measured = { usage, units }
  if (first.type === 'bytes') {
    const { mime, bytes } = first
    return bytes instanceof Uint8Array
      ? { type: 'whole', mime, encode: () => bytes, ...measured }
      : { type: 'live', mime, body: bytes, ...measured }
  }
  return {
    type: 'whole',
    mime: 'application/json',
    ...measured,
    encode(counted) {
      const spoken = usage || !counted ? first : encodeResult(result, context, counted, request)
      const body = spoken.type === 'json' ? JSON.stringify(spoken.value) : ''
      return { body, encoding: 'utf8' }
    },
  }
}

function* passing(ask: OperationAsk, pass: Pass): Exchange<Told> {
  const { to, upload, stream } = ask
  const live = pass.live === 'always' || (pass.live === 'stream' && stream)
  const headers = pass.headers?.(to)
  const meter = pass.sound ? soundMeter() : undefined
  const sent: Sent = {
    path: pass.path(to, stream, ask.asked),
    ...(pass.root && { root: true }),
    body: upload ? ask.form(meter?.push) : passedBody(ask, pass),
    ...(headers && { headers }),
    ...(live && { live: true }),
  }
  const answer = yield* askOnce(sent)
  const mime = answer.header('content-type') ?? 'application/json'
  if (answer.live) {
    const tap = pass.tap?.(ask.asked)
    return {
      type: 'live',
      mime,
      body: answer.live,
      ...pass.foresee?.(ask.asked),
      ...(tap && { tap }),
    }
  }
  const told = passedAnswer(answer, mime, pass, ask)
  const seconds = told.units || told.usage ? undefined : meter?.seconds()
  return seconds === undefined ? told : { ...told, units: { seconds } }
}

function passedBody(ask: OperationAsk, pass: Pass): SentBody {
  const bytes = ask.bytes()
  if (pass.adapt) {
    const glance = peek(bytes)
    const body = glance && bodyOfGlance(glance)
    if (!body || !pass.sees || pass.sees(body, ask.to)) {
      const value = ask.json()
      pass.adapt(value, ask.to)
      return jsonBody(value)
    }
  }
  return { type: 'bytes', bytes, mime: 'application/json' }
}

const bodyOfGlance = (glance: Glance): OperationBody => ({
  has: (key) => glance.keys.has(key),
  field: (key) => value(glance, key),
})

/** Text and sound pass as they are; JSON names the public model. */
function passedAnswer(
  answer: Answered,
  mime: string,
  pass: Pass,
  { asked, context }: OperationAsk,
): Told {
  const { bytes } = answer
  if (!/json/i.test(mime) && !startsLikeJson(bytes))
    return {
      type: 'whole',
      mime,
      encode: () => bytes,
      ...pass.measure?.({ ...nothing, said: latin1(bytes) }, asked),
    }
  const glance = peek(bytes)
  let parsed: JsonObject | undefined
  const body = (): JsonObject => (parsed ??= readJson(answer))
  if (!glance) body()
  else if (glance.keys.has('error')) refuseError(value(glance, 'error'))
  const read: PassedAnswer = glance
    ? { ...bodyOfGlance(glance), said: glance.text }
    : { has: (key) => Object.hasOwn(body(), key), field: (key) => body()[key], said: '' }
  return {
    type: 'whole',
    mime: 'application/json',
    ...pass.measure?.(read, asked),
    encode() {
      const set = { ...pass.change?.(read, asked) }
      if (read.has('model')) set['model'] = JSON.stringify(context.model)
      return Object.keys(set).length > 0
        ? edit(glance, body, set)
        : { body: glance?.text ?? JSON.stringify(body()), encoding: glance ? 'latin1' : 'utf8' }
    },
  }
}

const nothing: PassedAnswer = { has: () => false, field: () => undefined, said: '' }

function startsLikeJson(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 32) return byte === 123
  return false
}

function refuseError(error: Json | undefined): void {
  if (isObject(error) || text(error)) throw decodeErrorObject(error)
}

/** `expected`, for exchanges that ask several at once. */
export const allOf = (answers: readonly Answered[], count: number): Answered[] =>
  Array.from({ length: count }, (_, at) => expected(answers[at]))
