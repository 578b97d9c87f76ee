import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeCitation, parseOr } from './blocks.ts'
import { decodeFault } from './errors.ts'
import {
  answerOf,
  customText,
  decodeEnding,
  decodeFinish,
  decodeUsage,
  ownFields,
} from './response.ts'

export const cutShort = (): GatewayError =>
  new GatewayError('bad_gateway', 'the upstream ended the stream before the answer was complete')

/** A block between its start and its stop. */
type Block = {
  type: string
  /** As it was opened; whole when it closes, for blocks only this wire understands. */
  value: JsonObject
  /** Number of the tool call. */
  index: number
  /** Input so far, as the provider wrote it. */
  input: string
  /** The input is told in one piece when the block closes. */
  held: boolean
  signature: string
  citations: JsonObject[]
  /** Where its text begins in the answer. */
  from: number
}

export function decodeStream(notes: Notes): StreamDecoder {
  const blocks = new Map<number, Block>()
  let usage: JsonObject = {}
  let started = false
  let finished = false
  let over = false
  let calls = 0
  let answered = false
  let length = 0

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }

  function begin(message: JsonObject): ChatEvent[] {
    if (started) return []
    started = true
    const events: ChatEvent[] = [
      {
        type: 'start',
        id: text(message.id) ?? '',
        model: text(message.model) ?? notes.model,
        created: 0,
      },
    ]
    if (isObject(message.usage)) {
      usage = message.usage
      events.push({ type: 'usage', usage: decodeUsage(usage) })
    }
    return events
  }

  function open(at: number, value: JsonObject): ChatEvent[] {
    const events = close(at)
    const type = text(value.type) ?? ''
    const block: Block = {
      type,
      value,
      index: 0,
      input: '',
      held: false,
      signature: text(value.signature) ?? '',
      citations: list(value.citations).filter(isObject),
      from: length,
    }
    blocks.set(at, block)
    if (type === 'text') events.push(...say(text(value.text)))
    else if (type === 'thinking') events.push(...think(text(value.thinking)))
    else if (type === 'redacted_thinking')
      events.push({ type: 'redacted', data: text(value.data) ?? '' })
    else if (type === 'tool_use') events.push(...call(block))
    return events
  }

  function call(block: Block): ChatEvent[] {
    const name = text(block.value.name) ?? ''
    if (name === notes.outputTool) {
      answered = true
      block.held = notes.outputKey !== undefined
      return []
    }
    const isCustom = notes.customTools?.has(name) ?? false
    block.held = isCustom
    block.index = calls++
    return [
      {
        type: 'tool-start',
        index: block.index,
        id: text(block.value.id) ?? '',
        name: notes.toolNames?.get(name) ?? name,
        ...(isCustom && { kind: 'custom' as const }),
      },
    ]
  }

  function say(words: string | undefined): ChatEvent[] {
    if (!words) return []
    length += words.length
    return [{ type: 'text', text: words }]
  }
  const think = (words: string | undefined): ChatEvent[] =>
    words ? [{ type: 'reasoning', text: words }] : []

  const isAnswer = (block: Block): boolean =>
    block.type === 'tool_use' &&
    notes.outputTool !== undefined &&
    block.value.name === notes.outputTool

  function more(at: number, delta: JsonObject): ChatEvent[] {
    const block = blocks.get(at)
    switch (delta.type) {
      case 'text_delta':
        if (block && block.type !== 'text' && !isSpoken(block)) {
          block.value = {
            ...block.value,
            text: (text(block.value.text) ?? '') + (text(delta.text) ?? ''),
          }
          return []
        }
        return say(text(delta.text))
      case 'thinking_delta':
        return think(text(delta.thinking))
      case 'signature_delta':
        if (!block) return [{ type: 'signature', signature: text(delta.signature) ?? '' }]
        block.signature = text(delta.signature) ?? block.signature
        return []
      case 'citations_delta':
        if (block && isObject(delta.citation)) block.citations.push(delta.citation)
        return []
      case 'input_json_delta':
        return block ? write(block, text(delta.partial_json) ?? '') : []
      case 'compaction_delta':
        if (block) block.value = { ...block.value, ...delta, type: block.type }
        return []
      default:
        return []
    }
  }
  const isSpoken = ({ type }: Block): boolean =>
    type === 'tool_use' || type === 'thinking' || type === 'redacted_thinking'

  function write(block: Block, json: string): ChatEvent[] {
    if (json === '') return []
    block.input += json
    if (block.type !== 'tool_use' || block.held) return []
    return isAnswer(block) ? say(json) : [{ type: 'tool-input', index: block.index, text: json }]
  }

  function close(at: number): ChatEvent[] {
    const block = blocks.get(at)
    if (!block) return []
    blocks.delete(at)
    switch (block.type) {
      case 'text': {
        const place = { start: block.from, end: length }
        return block.citations.map((citation) => ({
          type: 'annotation',
          annotation: decodeCitation(citation, place),
        }))
      }
      case 'thinking':
        return block.signature === '' ? [] : [{ type: 'signature', signature: block.signature }]
      case 'redacted_thinking':
        return []
      case 'tool_use':
        return finishCall(block)
      default: {
        const input = block.input === '' ? undefined : parseOr(block.input)
        const value = input === undefined ? block.value : { ...block.value, input }
        return [{ type: 'raw', wire: 'anthropic', value }]
      }
    }
  }

  /** Some servers give the whole input at the start; a call without parameters may have none at all. */
  function finishCall(block: Block): ChatEvent[] {
    const whole = block.input === '' ? JSON.stringify(block.value.input ?? {}) : block.input
    if (isAnswer(block)) return block.held || block.input === '' ? say(answerOf(whole, notes)) : []
    if (block.held) return [{ type: 'tool-input', index: block.index, text: customText(whole) }]
    return block.input === '' ? [{ type: 'tool-input', index: block.index, text: whole }] : []
  }

  const closeAll = (): ChatEvent[] => [...blocks.keys()].flatMap(close)

  function conclude(event: JsonObject): ChatEvent[] {
    const events = closeAll()
    const delta = object(event.delta)
    const said = ownFields({ ...event, ...delta })
    const known = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null))
    if (Object.keys(known).length > 0) events.push({ type: 'extras', extras: known, of: 'result' })
    const ending = decodeEnding(delta)
    if (ending) events.push({ type: 'extras', extras: ending, of: 'message' })
    const reason = text(delta.stop_reason)
    if (reason !== undefined && !finished) {
      finished = true
      const finish = decodeFinish(reason)
      const isOnlyAnswer = answered && calls === 0 && finish === 'tool-calls'
      events.push(
        isOnlyAnswer ? { type: 'finish', finish: 'stop' } : { type: 'finish', finish, reason },
      )
    }
    if (isObject(event.usage)) {
      // Cumulative; what does not apply is null or left out.
      const told = Object.entries(event.usage).filter(([, value]) => value !== null)
      usage = { ...usage, ...Object.fromEntries(told) }
      events.push({ type: 'usage', usage: decodeUsage(usage) })
    }
    return events
  }

  /** Servers that only resemble Anthropic's may not say that they begin. */
  const told = (events: ChatEvent[]): ChatEvent[] => (started ? events : [...begin({}), ...events])

  function decode(event: JsonObject): ChatEvent[] {
    switch (event.type) {
      case 'message_start':
        return begin(object(event.message))
      case 'content_block_start':
        return [...begin({}), ...open(number(event.index) ?? 0, object(event.content_block))]
      case 'content_block_delta':
        return told(more(number(event.index) ?? 0, object(event.delta)))
      case 'content_block_stop':
        return close(number(event.index) ?? 0)
      case 'message_delta':
        return [...begin({}), ...conclude(event)]
      case 'message_stop': {
        if (!started)
          return fail(
            new GatewayError('bad_gateway', 'the upstream ended the stream without an answer'),
          )
        over = true
        return finished ? closeAll() : [...closeAll(), { type: 'finish', finish: 'stop' }]
      }
      case 'ping':
        return [{ type: 'ping' }]
      case 'error':
        return fail(decodeFault(event))
      default:
        // New events come without notice; Anthropic asks clients to let them pass.
        return []
    }
  }

  return {
    push({ data }) {
      if (over || data === '' || data === '[DONE]') return []
      const event = parseOr(data)
      if (!isObject(event))
        return fail(new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON'))
      // Servers that only resemble Anthropic's may send a bare error object.
      if (event.type === undefined && isObject(event.error)) return fail(decodeFault(event))
      return decode(event)
    },
    end() {
      if (over) return []
      over = true
      return finished ? closeAll() : [{ type: 'fault', error: cutShort() }]
    },
  }
}
