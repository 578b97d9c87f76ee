import type { Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, bytewise, textwise, utf8 } from '../../json/latin1.ts'
import { type Glance, peek, saysText, value } from '../../json/peek.ts'
import { Alike } from '../alike.ts'
import { edit, latin1Of } from '../edit.ts'
import { Heard } from '../heard.ts'
import type {
  ClientContext,
  Frame,
  PassedResult,
  PassMachine,
  PassStream,
  Target,
  Written,
} from '../wire.ts'
import { parseOr } from './blocks.ts'
import { decodeFault } from './errors.ts'
import { decodeUsage, encodeUsage, messageId } from './response.ts'
import { cutShort } from './stream.ts'

/** The client sees the public model name; everything else goes by as the provider wrote it. */
export const passResult = (bytes: Uint8Array, _to: Target, context: ClientContext): PassedResult =>
  new Passed(bytes, context)

/** An answer that looks like one is not parsed: of its members only the usage is read. */
class Passed implements PassedResult {
  readonly usage: Usage | undefined
  readonly #bytes: Uint8Array
  readonly #context: ClientContext
  readonly #glance: Glance | undefined
  #parsed: JsonObject | undefined
  constructor(bytes: Uint8Array, context: ClientContext) {
    const glance = peek(bytes)
    this.#bytes = bytes
    this.#context = context
    this.#glance = glance
    const plain = glance && isPlain(glance)
    if (!plain) refuseBroken(this.#body())
    const usage = plain ? value(glance, 'usage') : this.#body().usage
    this.usage = isObject(usage) ? decodeUsage(usage) : undefined
  }
  #body(): JsonObject {
    return (this.#parsed ??= readBody(this.#bytes))
  }
  text(): string {
    return list(this.#body().content).map(written).join('\n')
  }
  encode(counted: Usage | undefined): Written {
    const set: Record<string, string> = { model: JSON.stringify(this.#context.model) }
    if (!this.usage && counted) set['usage'] = JSON.stringify(encodeUsage(counted))
    if (!this.#hasId()) set['id'] = JSON.stringify(messageId('', this.#context))
    return edit(this.#glance, () => this.#body(), set)
  }
  #hasId(): boolean {
    const glance = this.#glance
    return glance ? saysText(glance, 'id') : Boolean(text(this.#body().id))
  }
}

const isPlain = ({ text: said, keys }: Glance): boolean => {
  const content = keys.get('content')
  return content !== undefined && said[content.valueStart] === '['
}

function readBody(bytes: Uint8Array): JsonObject {
  const body = parseOr(utf8(bytes))
  if (isObject(body)) return body
  throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON')
}

function refuseBroken(body: JsonObject): void {
  if (Array.isArray(body.content)) return
  if (isObject(body.error)) throw decodeFault(body)
  throw new GatewayError('bad_gateway', 'the upstream answered without content')
}

/** What a block says, for counting. */
function written(value: unknown): string {
  const block = object(value)
  return block.type === 'tool_use'
    ? `${text(block.name) ?? ''}${JSON.stringify(block.input ?? {})}`
    : (text(block.text) ?? text(block.thinking) ?? '')
}

const typeAtStart = /^\s*\{\s*"type"\s*:\s*"([a-z_]{1,64})"/
const pieces = /"(?:text|thinking|partial_json)"\s*:\s*(?=")/g
/** Deltas pass unread; what is read says who answers, how it ended and what it cost. */
const passing = new Set([
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'ping',
])

export function passStream(_to: Target, context: ClientContext): PassStream {
  let told: JsonObject | undefined
  let finished = false
  const heard = new Heard(pieces)
  const alike = new Alike(heard)

  function read(data: string): JsonObject | undefined {
    const event = parseOr(textwise(data))
    if (isObject(event)) return event
    machine.fault = new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON')
    return undefined
  }

  function slow(data: string): string {
    const event = read(data)
    if (!event) return ''
    const type = text(event.type) ?? ''
    if (type === 'error' || (type === '' && isObject(event.error))) {
      machine.fault = decodeFault(event)
      return ''
    }
    if (type === 'message_start') {
      const message = object(event.message)
      if (isObject(message.usage)) told = message.usage
      return line(type, begin(data, event, message, context))
    }
    if (type === 'message_delta') {
      machine.content = true
      if (typeof object(event.delta).stop_reason === 'string') finished = true
      if (isObject(event.usage)) {
        const counts = Object.entries(event.usage).filter(([, value]) => value !== null)
        told = { ...told, ...Object.fromEntries(counts) }
      }
    }
    if (type === 'message_stop') machine.complete = true
    return type === '' ? '' : line(type, data)
  }

  const machine: PassMachine = {
    content: false,
    complete: false,
    fault: undefined,
    alike,
    push({ event, data }: Frame) {
      if (machine.fault || machine.complete || data === '' || data === '[DONE]') return ''
      const type = typeAtStart.exec(data)?.[1] ?? ''
      if (!passing.has(type)) return slow(data)
      if (type === 'content_block_start' || type === 'content_block_delta') {
        machine.content = true
        heard.keep(data)
      }
      const out = line(type, data)
      if (type === 'content_block_delta')
        alike.learn(event === undefined ? `data: ${data}\n\n` : line(event, data), out)
      return out
    },
    usage: () => told && decodeUsage(told),
    text: () => heard.text(),
    end(_counted: Usage | undefined) {
      if (machine.fault || machine.complete) return ''
      if (finished) return line('message_stop', '{"type":"message_stop"}')
      machine.fault = cutShort()
      return ''
    },
  }
  return machine
}

/** The official clients skip an event without a name, which some servers leave out. */
const line = (type: string, data: string): string =>
  `event: ${type}\ndata: ${data.includes('\n') ? data.replaceAll('\n', '\ndata: ') : data}\n\n`

/** The first event under the public model name, the rest of it as it came. */
function begin(
  data: string,
  event: JsonObject,
  message: JsonObject,
  context: ClientContext,
): string {
  const set: Record<string, string> = { model: JSON.stringify(context.model) }
  if (!text(message.id)) set['id'] = JSON.stringify(messageId('', context))
  const whole = peek(bytesOf(data))
  const span = whole?.keys.get('message')
  if (whole && span) {
    const inner = whole.bytes.subarray(span.valueStart, span.valueEnd)
    const changed = latin1Of(edit(peek(inner), () => message, set))
    return data.slice(0, span.valueStart) + changed + data.slice(span.valueEnd)
  }
  const changed: JsonObject = { ...message }
  for (const [key, raw] of Object.entries(set)) changed[key] = parseOr(raw)
  return bytewise(JSON.stringify({ ...event, message: changed }))
}
