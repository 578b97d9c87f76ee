import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeAnnotation } from './content.ts'
import { decodeEnding } from './envelope.ts'
import { decodeFault } from './errors.ts'
import { callOf, decodeItem, isCall } from './output.ts'
import { betweenThoughts, decodeThought } from './thoughts.ts'
import { decodeUsage } from './usage.ts'

export const cutShort = (): GatewayError =>
  new GatewayError('bad_gateway', 'the upstream ended the stream before the answer was complete')

/** An item between its beginning and its end. */
type Item = {
  /** Number of the tool call; -1 for anything else. */
  call: number
  /** Parts (texts, refusals, summaries, arguments) that came in pieces: at the end they are known. */
  heard: Set<string>
  /** Parts whose log probabilities came. */
  weighed: Set<string>
  /** The part of a thought that is being told. */
  thought: string
}

/**
 * Deltas are the answer as it grows. What a server did not tell in deltas is read from the event that ends it: some
 * tell whole parts only, or whole items, or nothing but the finished response.
 */
export function decodeStream(notes: Notes): StreamDecoder {
  const items = new Map<number, Item>()
  let started = false
  let over = false
  let told = false
  let calls = 0
  /** The last thing said was a thought that nobody has signed. */
  let unsigned = false

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }

  function start(response: JsonObject): ChatEvent[] {
    if (started) return []
    started = true
    return [
      {
        type: 'start',
        id: text(response.id) ?? '',
        model: text(response.model) ?? notes.model,
        created: number(response.created_at) ?? 0,
      },
    ]
  }

  const say = (events: ChatEvent[]): ChatEvent[] => {
    const last = events.at(-1)
    if (last) unsigned = last.type === 'reasoning'
    return events
  }

  function itemAt(at: number): Item {
    told = true
    let item = items.get(at)
    if (!item) {
      item = { call: -1, heard: new Set(), weighed: new Set(), thought: '' }
      items.set(at, item)
    }
    return item
  }

  function open(at: number, value: JsonObject): ChatEvent[] {
    const item = itemAt(at)
    if (!isCall(value) || item.call !== -1) return []
    item.call = calls++
    const { id, name, kind } = callOf(value, notes)
    return [{ type: 'tool-start', index: item.call, id, name, ...(kind && { kind }) }]
  }

  /** What of an item was not told before. */
  function close(at: number, value: JsonObject): ChatEvent[] {
    const events = open(at, value)
    const item = itemAt(at)
    items.delete(at)
    if (isCall(value)) {
      const { input } = callOf(value, notes)
      if (!item.heard.has('input') && input !== '')
        events.push({ type: 'tool-input', index: item.call, text: input })
    } else if (value.type === 'message') {
      list(value.content).forEach((part, index) => {
        events.push(...finishPart(item, index, object(part)))
      })
    } else if (value.type === 'reasoning') events.push(...closeThought(item, value))
    else
      for (const part of decodeItem(value, notes))
        if (part.type === 'media') events.push({ type: 'media', part })
        else if (part.type === 'raw') events.push(part)
    return events
  }

  function closeThought(item: Item, value: JsonObject): ChatEvent[] {
    const { text: said, signature, redacted } = decodeThought(value)
    const events: ChatEvent[] = []
    if (item.heard.size === 0 && said !== '') events.push(...think(item, 'whole', said))
    if (redacted !== undefined) events.push({ type: 'redacted', data: redacted })
    if (signature !== undefined) events.push({ type: 'signature', signature })
    return events
  }

  /** Parts of a thought, and thoughts that follow each other, are told apart as they are in a whole answer. */
  function think(item: Item, part: string, said: string): ChatEvent[] {
    if (said === '') return []
    const isNext = item.thought === '' ? unsigned : item.thought !== part
    item.thought = part
    item.heard.add(part)
    return [{ type: 'reasoning', text: isNext ? betweenThoughts + said : said }]
  }

  function finishPart(item: Item, index: number, part: JsonObject): ChatEvent[] {
    const key = `${index}`
    const events: ChatEvent[] = []
    const isHeard = item.heard.has(key)
    if (part.type === 'refusal') {
      if (!isHeard && text(part.refusal))
        events.push({ type: 'refusal', text: text(part.refusal) ?? '' })
      return events
    }
    if (!isHeard && text(part.text)) events.push({ type: 'text', text: text(part.text) ?? '' })
    if (!item.weighed.has(key)) events.push(...weights(part.logprobs))
    if (!item.heard.has(`${key}a`))
      for (const annotation of list(part.annotations).filter(isObject))
        events.push({ type: 'annotation', annotation: decodeAnnotation(annotation) })
    return events
  }

  function delta(type: string, event: JsonObject): ChatEvent[] {
    const said = text(event.delta) ?? ''
    const item = itemAt(number(event.output_index) ?? 0)
    const key = `${number(event.content_index) ?? 0}`
    if (said === '') return []
    switch (type) {
      case 'response.output_text.delta': {
        item.heard.add(key)
        const weighed = weights(event.logprobs)
        if (weighed.length > 0) item.weighed.add(key)
        return [{ type: 'text', text: said }, ...weighed]
      }
      case 'response.refusal.delta':
        item.heard.add(key)
        return [{ type: 'refusal', text: said }]
      case 'response.reasoning_summary_text.delta':
        return think(item, `summary ${number(event.summary_index) ?? 0}`, said)
      case 'response.reasoning_text.delta':
        return think(item, `content ${key}`, said)
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        // A call that nobody has begun is told when it ends, with its name.
        if (item.call === -1) return []
        item.heard.add('input')
        return [{ type: 'tool-input', index: item.call, text: said }]
      default:
        return []
    }
  }

  function annotate(event: JsonObject): ChatEvent[] {
    if (!isObject(event.annotation)) return []
    const item = itemAt(number(event.output_index) ?? 0)
    item.heard.add(`${number(event.content_index) ?? 0}a`)
    return [{ type: 'annotation', annotation: decodeAnnotation(event.annotation) }]
  }

  function finish(response: JsonObject, status: string): ChatEvent[] {
    const events = start(response)
    if (!told)
      list(response.output).forEach((item, at) => {
        events.push(...say(close(at, object(item))))
      })
    over = true
    const usage = decodeUsage(response)
    if (usage) events.push({ type: 'usage', usage })
    if (status === 'failed') return [...events, ...fail(decodeFault(response.error))]
    const tier = text(response.service_tier)
    if (tier !== undefined)
      events.push({ type: 'extras', extras: { service_tier: tier }, of: 'result' })
    events.push({ type: 'finish', ...decodeEnding({ ...response, status }, calls > 0) })
    return events
  }

  function push(event: JsonObject): ChatEvent[] {
    const type = text(event.type) ?? ''
    const at = number(event.output_index) ?? 0
    switch (type) {
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        return start(object(event.response))
      case 'response.output_item.added':
        return open(at, object(event.item))
      case 'response.output_item.done':
        return close(at, object(event.item))
      case 'response.output_text.annotation.added':
        return annotate(event)
      case 'response.completed':
        return finish(object(event.response), 'completed')
      case 'response.incomplete':
        return finish(object(event.response), 'incomplete')
      case 'response.failed':
        return finish(object(event.response), 'failed')
      case 'response.cancelled':
        return fail(new GatewayError('bad_gateway', 'the upstream cancelled the response'))
      case 'error':
        return fail(decodeFault(isObject(event.error) ? event.error : event))
      case 'keepalive':
        return [{ type: 'ping' }]
      default:
        if (type === '' && event.error !== undefined && event.error !== null)
          return fail(decodeFault(event.error))
        return type.endsWith('.delta') ? delta(type, event) : []
    }
  }

  return {
    push({ data }) {
      if (over || data === '' || data === '[DONE]') return []
      const event = parseOr(data)
      if (!isObject(event))
        return fail(new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON'))
      return say(push(event))
    },
    end: () => (over ? [] : fail(cutShort())),
  }
}

/** Log probabilities in the shape of chat. */
function weights(logprobs: Json | undefined): ChatEvent[] {
  const content = list(logprobs)
  return content.length > 0 ? [{ type: 'logprobs', logprobs: { content } }] : []
}
