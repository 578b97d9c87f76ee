import type { ChatEvent, ChatResult, Usage } from '../chat/chat.ts'
import { foldEvents } from '../chat/fold.ts'
import type { GatewayError } from '../errors.ts'
import { GatewayError as Fault } from '../errors.ts'
import { isObject, type JsonObject } from '../json/json.ts'
import { bytesOf, bytewise, latin1, textwise, toUtf8, utf8 } from '../json/latin1.ts'
import { openFrames } from './framing/frames.ts'
import { heardMax } from './heard.ts'
import { hide } from './hide.ts'
import type {
  ClientContext,
  Frame,
  Native,
  Notes,
  PassedResult,
  PassStream,
  ProviderWire,
  StreamDecoder,
  StreamEncoder,
  Target,
  Wire,
  Written,
} from './wire.ts'

/** How an answer crosses from a provider to a client: passed on where both speak the same wire, told again where not. */
export type Crossing = {
  from: ProviderWire
  to: Wire
  /** Set where both are the same wire and the bytes may pass. */
  native: Native | undefined
  target: Target
  notes: Notes
  context: ClientContext
  /** Never shown, whatever the provider says. */
  secrets: readonly string[]
}

/** A whole answer. Throws GatewayError for one that is broken. */
export function relayResult(bytes: Uint8Array, crossing: Crossing): PassedResult {
  return hidden(read(bytes, crossing), crossing)
}

/** The same of a provider that answers in streams only: fed with the stream, until its end. */
export function gatherResult(
  crossing: Crossing,
  maxLineBytes: number,
): { push(chunk: Uint8Array): void; end(): PassedResult } {
  const { from, to, notes, context } = crossing
  const frames = openFrames(from.framing, maxLineBytes)
  const decoder = from.decodeStream(notes)
  const folded = foldEvents()
  const take = (batch: readonly Frame[]): void => {
    for (const frame of batch) for (const one of decoder.push(inUtf8(frame))) folded.push(one)
  }
  return {
    push: (chunk) => take(frames.push(chunk)),
    end() {
      take(frames.end())
      for (const one of decoder.end()) folded.push(one)
      return hidden(passedOf(folded.result(), to, context), crossing)
    },
  }
}

function hidden(result: PassedResult, { secrets }: Crossing): PassedResult {
  return new Hidden(result, secrets)
}

/** A class: what it says is asked for once, and closures for it cost more than its fields. */
class Hidden implements PassedResult {
  readonly usage: Usage | undefined
  readonly unfinished: boolean
  readonly #result: PassedResult
  readonly #secrets: readonly string[]
  constructor(result: PassedResult, secrets: readonly string[]) {
    this.usage = result.usage
    this.unfinished = result.unfinished ?? false
    this.#result = result
    this.#secrets = secrets
  }
  text(): string {
    return this.#result.text()
  }
  encode(counted: Usage | undefined): Written {
    const written = this.#result.encode(counted)
    const body = hide(written.body, this.#secrets)
    return body === written.body ? written : { body, encoding: written.encoding }
  }
}

function read(bytes: Uint8Array, crossing: Crossing): PassedResult {
  const { from, to, native, target, notes, context } = crossing
  if (native) return native.passResult(bytes, target, context)
  return passedOf(from.decodeResult(readObject(bytes), notes), to, context)
}

const passedOf = (result: ChatResult, to: Wire, context: ClientContext): PassedResult =>
  new Told(result, to, context)

/** Told again, in the client's wire. */
class Told implements PassedResult {
  readonly usage: Usage | undefined
  readonly #result: ChatResult
  readonly #to: Wire
  readonly #context: ClientContext
  constructor(result: ChatResult, to: Wire, context: ClientContext) {
    const { usage } = result
    const known = usage.raw !== undefined || usage.input + usage.output + usage.cacheRead > 0
    this.usage = known ? usage : undefined
    this.#result = result
    this.#to = to
    this.#context = context
  }
  text(): string {
    return this.#result.choices.flatMap((choice) => choice.parts.map(textOfPart)).join('\n')
  }
  encode(counted: Usage | undefined): Written {
    const result = !this.usage && counted ? { ...this.#result, usage: counted } : this.#result
    const body = JSON.stringify(this.#to.encodeResult(result, this.#context))
    return { body, encoding: 'utf8' }
  }
}

export function readObject(bytes: Uint8Array): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(utf8(bytes))
  } catch {
    throw new Fault('bad_gateway', 'the upstream answered with something that is not JSON')
  }
  // Servers of text generation answer with a list of one.
  if (Array.isArray(value) && value.length === 1 && isObject(value[0])) return value[0]
  if (!isObject(value)) throw new Fault('bad_gateway', 'the upstream answered with no JSON object')
  return value
}

const textOfPart = (part: {
  type: string
  text?: string
  name?: string
  input?: string
}): string =>
  part.type === 'tool-call' ? `${part.name ?? ''}${part.input ?? ''}` : (part.text ?? '')

/** A streamed answer, fed with network reads. */
export interface StreamRelay {
  /** Bytes for the client, or undefined when this read has nothing for it. Throws GatewayError for a hostile stream. */
  push(chunk: Uint8Array): Uint8Array | undefined
  /** The same as a text with a character for each byte, where that is what it has; absent: it has bytes. */
  pass?(chunk: Uint8Array): string | undefined
  /** Has the model said anything yet? Until then an error may still become an HTTP error. */
  readonly content: boolean
  /** The provider has said its last word, though the connection may still be open. */
  readonly complete: boolean
  /** The provider failed, or ended too early. */
  readonly fault: GatewayError | undefined
  /** What tells the client that it failed, where the wire has more to say than its error. Nothing may follow. */
  fail(error: GatewayError): Uint8Array | undefined
  /** The provider failed, and the client has been told in what passed. */
  readonly failure?: GatewayError | undefined
  usage(): Usage | undefined
  /** What the model wrote so far, to be counted when nobody told. */
  text(): string
  /** The upstream has ended: what is left of its bytes. Sets `fault` if the answer was cut. */
  flush(): Uint8Array | undefined
  /** What closes the stream for the client; `counted` where the provider gave no usage. Said once, when the answer is complete or flushed. */
  end(counted: Usage | undefined): Uint8Array
}

export function relayStream(crossing: Crossing, maxLineBytes: number): StreamRelay {
  const frames = openFrames(crossing.from.framing, maxLineBytes)
  const { native, target, context, secrets } = crossing
  return native
    ? new Passing(frames, native.passStream(target, context), secrets)
    : new Telling(frames, crossing)
}

const failing = (out: string | undefined, secrets: readonly string[]): Uint8Array | undefined =>
  out === undefined ? undefined : toUtf8(hide(out, secrets))

type Frames = ReturnType<typeof openFrames>

/** What passes, passes unread. A class, since an object made with getters costs its maker 2 µs and its readers each time. */
class Passing implements StreamRelay {
  readonly #frames: Frames
  readonly #machine: PassStream
  readonly #secrets: readonly string[]
  constructor(frames: Frames, machine: PassStream, secrets: readonly string[]) {
    this.#frames = frames
    this.#machine = machine
    this.#secrets = secrets
  }
  #take(batch: readonly Frame[]): string | undefined {
    let out = ''
    for (const frame of batch) out += this.#machine.push(frame)
    if (out === '') return undefined
    const shown = hide(out, this.#secrets)
    // What is around a piece is not looked at again.
    if (shown !== out) this.#machine.alike?.stop()
    return shown
  }
  pass(chunk: Uint8Array): string | undefined {
    const frames = this.#frames
    const { alike } = this.#machine
    if (alike === undefined || !frames.isWhole || !frames.pushText)
      return this.#take(frames.push(chunk))
    const text = latin1(chunk)
    if (!this.#isOpen() || !frames.isWhole(text)) return this.#take(frames.pushText(text))
    let out = ''
    let at = 0
    for (;;) {
      const piece = alike.pieceAt(text, at)
      if (piece === undefined) break
      at += alike.lengthOf(piece)
      out += alike.around(hide(piece, this.#secrets))
    }
    if (at === text.length) return out
    const rest = this.#take(frames.pushText(text.slice(at)))
    return at === 0 ? rest : out + (rest ?? '')
  }
  #isOpen(): boolean {
    return !this.#machine.fault && !this.#machine.complete
  }
  push(chunk: Uint8Array): Uint8Array | undefined {
    return asBytes(this.pass(chunk))
  }
  flush(): Uint8Array | undefined {
    const out = this.#take(this.#frames.end())
    // Whether it was cut short it finds out at its end; what it says there is said by `end`.
    this.#machine.end(undefined)
    return asBytes(out)
  }
  get content(): boolean {
    return this.#machine.content
  }
  get complete(): boolean {
    return this.#machine.complete
  }
  get fault(): GatewayError | undefined {
    return this.#machine.fault
  }
  get failure(): GatewayError | undefined {
    return this.#machine.failure
  }
  fail(error: GatewayError): Uint8Array | undefined {
    return failing(this.#machine.fail?.(error), this.#secrets)
  }
  usage(): Usage | undefined {
    return this.#machine.usage()
  }
  text(): string {
    return this.#machine.text()
  }
  end(counted: Usage | undefined): Uint8Array {
    return bytesOf(hide(this.#machine.end(counted), this.#secrets))
  }
}

const asBytes = (out: string | undefined): Uint8Array | undefined =>
  out === undefined ? undefined : bytesOf(out)

const speaks = new Set<ChatEvent['type']>([
  'text',
  'reasoning',
  'refusal',
  'tool-start',
  'media',
  'audio',
  'redacted',
  'raw',
  'finish',
])

/** What is told again, event by event. */
class Telling implements StreamRelay {
  content = false
  readonly complete = false
  fault: GatewayError | undefined
  readonly #frames: Frames
  readonly #decoder: StreamDecoder
  readonly #encoder: StreamEncoder
  readonly #secrets: readonly string[]
  #usage: Usage | undefined
  #said: string[] = []
  #size = 0
  #flushed = false
  constructor(frames: Frames, { from, to, notes, context, secrets }: Crossing) {
    this.#frames = frames
    this.#decoder = from.decodeStream(notes)
    this.#encoder = to.encodeStream(context)
    this.#secrets = secrets
  }
  #tell(events: readonly ChatEvent[]): string {
    let out = ''
    for (const event of events) {
      if (this.fault) break
      if (event.type === 'fault') {
        this.fault = event.error
        break
      }
      if (event.type === 'usage') this.#usage = event.usage
      else if (event.type === 'text' || event.type === 'reasoning' || event.type === 'tool-input')
        this.#note(event.text)
      if (!this.content && speaks.has(event.type)) this.content = true
      out += this.#encoder.push(event)
    }
    return out
  }
  #note(text: string): void {
    if (this.#size < heardMax) this.#said.push(text)
    this.#size += text.length
  }
  #decode(batch: readonly Frame[]): string {
    let out = ''
    for (const frame of batch) out += this.#tell(this.#decoder.push(inUtf8(frame)))
    return out
  }
  pass(chunk: Uint8Array): string | undefined {
    const out = this.#decode(this.#frames.push(chunk))
    return out === '' ? undefined : bytewise(hide(out, this.#secrets))
  }
  push(chunk: Uint8Array): Uint8Array | undefined {
    return asBytes(this.pass(chunk))
  }
  flush(): Uint8Array | undefined {
    if (this.#flushed) return undefined
    this.#flushed = true
    const out = this.#decode(this.#frames.end()) + this.#tell(this.#decoder.end())
    return out === '' ? undefined : toUtf8(hide(out, this.#secrets))
  }
  fail(error: GatewayError): Uint8Array | undefined {
    return failing(this.#encoder.fail?.(error), this.#secrets)
  }
  usage(): Usage | undefined {
    return this.#usage
  }
  text(): string {
    const all = this.#said.join('')
    this.#said = [all]
    return all
  }
  end(counted: Usage | undefined): Uint8Array {
    let out = ''
    if (!this.fault) {
      if (!this.#usage && counted) out += this.#encoder.push({ type: 'usage', usage: counted })
      out += this.#encoder.end()
    }
    return toUtf8(hide(out, this.#secrets))
  }
}

/** As decoders read it. Of ASCII, as nearly always, it is the frame itself. */
function inUtf8(frame: Frame): Frame {
  const data = textwise(frame.data)
  return data === frame.data ? frame : { event: frame.event, data }
}
