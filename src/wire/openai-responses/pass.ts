import type { Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { peek, raw, value } from '../../json/peek.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { edit, latin1Of } from '../edit.ts'
import { Heard } from '../heard.ts'
import type {
  ClientContext,
  Frame,
  PassedResult,
  PassMachine,
  PassStream,
  Target,
} from '../wire.ts'
import { responseId } from './envelope.ts'
import { decodeFault, encodeFault, encodeStreamError } from './errors.ts'
import { cancelled, refuseFailure } from './response.ts'
import { cutShort } from './stream.ts'
import { decodeUsage, encodeUsage } from './usage.ts'

/** The client sees the public model name; everything else goes by as the provider wrote it. */
export function passResult(bytes: Uint8Array, _to: Target, context: ClientContext): PassedResult {
  const body = parse(utf8(bytes))
  if (!body)
    throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON')
  refuseFailure(body)
  const usage = decodeUsage(body)
  const isOver = body.status === undefined || overs.has(text(body.status) ?? '')
  return {
    usage,
    unfinished: !isOver,
    text: () => list(body.output).map(written).join('\n'),
    encode(counted) {
      const set: Record<string, string> = { model: JSON.stringify(context.model) }
      if (!usage && counted && isOver) set['usage'] = JSON.stringify(encodeUsage(counted))
      Object.assign(set, sealed(body, context))
      if (!text(body.id)) set['id'] = JSON.stringify(responseId('', context))
      if (body.object === undefined) set['object'] = '"response"'
      return edit(peek(bytes), () => body, set)
    },
  }
}
const overs = new Set(['completed', 'incomplete'])

/** The client's names for this answer and the one before it, as raw JSON by key. */
export function sealed(response: JsonObject, { seal }: ClientContext): Record<string, string> {
  const out: Record<string, string> = {}
  for (const key of ['id', 'previous_response_id']) {
    const id = text(response[key])
    if (seal && id) out[key] = JSON.stringify(seal(id))
  }
  return out
}

/** What an item says, for counting. */
function written(value: Json): string {
  const item = object(value)
  const texts = [...list(item.summary), ...list(item.content)].map(
    (part) => text(object(part).text) ?? text(object(part).refusal) ?? '',
  )
  const input = text(item.arguments) ?? text(item.input)
  return input === undefined ? texts.join('') : `${text(item.name) ?? ''}${input}`
}

const typeAtStart = /^\s*\{\s*"type"\s*:\s*"([a-z_.]{1,80})"/
const pieces = /"delta"\s*:\s*(?=")/g
/** Events that hold the response itself, and so the name of its model. */
const lifecycle = new Set(
  ['created', 'queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled'].map(
    (word) => `response.${word}`,
  ),
)
const lasts = new Set(
  ['completed', 'incomplete', 'failed', 'cancelled'].map((word) => `response.${word}`),
)

export function passStream(_to: Target, context: ClientContext): PassStream {
  const name = JSON.stringify(context.model)
  let usage: Usage | undefined
  /** The response as it began, and how many events were told. */
  let begun: string | undefined
  let told = 0
  /** The last event, kept back because it lacks the usage. */
  let last: { type: string; data: string } | undefined
  const heard = new Heard(pieces)

  function refuse(error: GatewayError): string {
    machine.fault = error
    return ''
  }

  /** An event that is not a piece of the answer. */
  function slow(type: string, data: string): string {
    const glance = peek(bytesOf(data))
    const event = glance ? undefined : parse(utf8(bytesOf(data)))
    if (!glance && !event)
      return refuse(new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON'))
    const field = (key: string): Json | undefined => (glance ? value(glance, key) : event?.[key])
    const kind = type || (text(field('type')) ?? '')
    const error = field('error')
    if (kind === 'error' || (kind === '' && error !== undefined && error !== null))
      return refuse(
        decodeFault(isObject(error) ? error : { code: field('code'), message: field('message') }),
      )
    if (!lifecycle.has(kind)) return kind === '' ? '' : pass(kind, data)
    if (!lasts.has(kind)) {
      told++
      const named = renamed(data, {})
      begun ??= named
      return line(kind, named)
    }
    machine.complete = true
    // A client that was told of a machine.failure in the stream's own words needs no other.
    machine.content = true
    const response = object(field('response'))
    usage = decodeUsage(response)
    if (kind === 'response.failed') machine.failure = decodeFault(response.error)
    if (kind === 'response.cancelled') machine.failure = cancelled()
    if (usage || kind === 'response.failed' || kind === 'response.cancelled')
      return line(kind, renamed(data, {}))
    last = { type: kind, data }
    return ''
  }

  function pass(type: string, data: string): string {
    if (type.startsWith('response.')) machine.content = true
    told++
    if (type.endsWith('.delta') && type !== 'response.audio.delta') heard.keep(data)
    return line(type, data)
  }

  /** The event with the public name in its response, the rest of it as it came. */
  function renamed(data: string, more: Record<string, string>): string {
    const whole = peek(bytesOf(data))
    const inner = whole && raw(whole, 'response')
    const span = whole?.keys.get('response')
    const glance = inner === undefined ? undefined : peek(bytesOf(inner))
    if (glance && span) {
      const ids = {
        id: value(glance, 'id'),
        previous_response_id: value(glance, 'previous_response_id'),
      }
      const set = { model: name, ...sealed(ids, context), ...more }
      const changed = latin1Of(edit(glance, () => ({}), set))
      return data.slice(0, span.valueStart) + changed + data.slice(span.valueEnd)
    }
    const event = parse(utf8(bytesOf(data))) ?? {}
    const response: JsonObject = { ...object(event.response) }
    const set = { model: name, ...sealed(response, context), ...more }
    for (const [key, said] of Object.entries(set)) response[key] = parseOr(said)
    return latin1(toUtf8(JSON.stringify({ ...event, response })))
  }

  const machine: PassMachine = {
    content: false,
    complete: false,
    fault: undefined,
    failure: undefined,
    push({ event, data }: Frame) {
      if (machine.fault || machine.complete || data === '' || data === '[DONE]') return ''
      const type = typeAtStart.exec(data)?.[1] ?? event ?? ''
      const isPiece = type.startsWith('response.') && !lifecycle.has(type)
      return isPiece ? pass(type, data) : slow(type, data)
    },
    usage: () => usage,
    text: () => heard.text(),
    fail(error) {
      const said = encodeStreamError(error, told++)
      const response = object(parse(utf8(bytesOf(begun ?? '')))?.response)
      if (begun === undefined) return said
      const failed = {
        type: 'response.failed',
        sequence_number: told,
        response: { ...response, status: 'failed', error: encodeFault(error) },
      }
      return `${said}event: response.failed\ndata: ${JSON.stringify(failed)}\n\n`
    },
    end(counted) {
      if (machine.fault) return ''
      if (!machine.complete) return refuse(cutShort())
      if (!last) return ''
      const { type, data } = last
      last = undefined
      return line(
        type,
        renamed(data, counted ? { usage: JSON.stringify(encodeUsage(counted)) } : {}),
      )
    },
  }
  return machine
}

/** The official clients skip an event without a name, which some servers leave out. */
const line = (type: string, data: string): string =>
  `event: ${type}\ndata: ${data.includes('\n') ? data.replaceAll('\n', '\ndata: ') : data}\n\n`

function parse(json: string): JsonObject | undefined {
  const value = parseOr(json)
  return isObject(value) ? value : undefined
}
