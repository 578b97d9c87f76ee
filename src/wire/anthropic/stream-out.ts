import { type ChatEvent, type Finish, noUsage, type Usage } from '../../chat/chat.ts'
import { isObject, type JsonObject, object } from '../../json/json.ts'
import type { ClientContext, StreamEncoder } from '../wire.ts'
import { encodeCitation, parseOr } from './blocks.ts'
import { encodeStreamError } from './errors.ts'
import {
  encodeFinish,
  encodeImage,
  encodeUsage,
  endingOf,
  messageId,
  ownFields,
} from './response.ts'

type Open = { type: 'text' | 'thinking' } | Call
type Call = { type: 'call'; tool: number; custom: boolean; input: string; checked: number }

/**
 * What Anthropic's clients accept: one message_start, blocks numbered and one at a time, deltas of the block's own kind,
 * one message_delta with the whole usage, message_stop. Other wires may speak of several calls in turns; here a call is
 * finished before the next thing begins, and what comes too early waits.
 */
export function encodeStream(context: ClientContext): StreamEncoder {
  let head: Extract<ChatEvent, { type: 'start' }> | undefined
  let begun = false
  let failed = false
  let ended = false
  let open: Open | undefined
  let next = 0
  let cited = false
  let waiting: ChatEvent[] = []
  let usage: Usage = noUsage
  let ending: JsonObject = {}
  let fields: JsonObject = {}
  let finish: { finish: Finish; reason?: string } = { finish: 'stop' }
  let calls = false

  /** Held back until the next event, which may tell the usage it should carry. */
  function begin(): string {
    if (begun) return ''
    begun = true
    return (
      frame('message_start', {
        message: {
          id: messageId(head?.id ?? '', context),
          type: 'message',
          role: 'assistant',
          model: context.model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: encodeUsage(usage),
        },
      }) + frame('ping', {})
    )
  }

  function start(block: Open, content_block: JsonObject): string {
    const out = stop()
    open = block
    cited = false
    return out + frame('content_block_start', { index: next, content_block })
  }
  const delta = (said: JsonObject): string =>
    frame('content_block_delta', { index: next, delta: said })

  function stop(): string {
    if (!open) return ''
    open = undefined
    return frame('content_block_stop', { index: next++ })
  }

  /** A block told in one piece. */
  function whole(content_block: JsonObject, ...deltas: JsonObject[]): string {
    return start({ type: 'text' }, content_block) + deltas.map(delta).join('') + stop()
  }

  function raw(value: JsonObject): string {
    if (!isObject(value.input)) return whole(value)
    return whole(
      { ...value, input: {} },
      { type: 'input_json_delta', partial_json: JSON.stringify(value.input) },
    )
  }

  function say(words: string): string {
    if (words === '') return ''
    // Citations belong to the block they stand in, so what follows them is another.
    const opened =
      open?.type === 'text' && !cited ? '' : start({ type: 'text' }, { type: 'text', text: '' })
    return opened + delta({ type: 'text_delta', text: words })
  }

  const think = (): string =>
    open?.type === 'thinking'
      ? ''
      : start({ type: 'thinking' }, { type: 'thinking', thinking: '', signature: '' })

  /** Gemini signs a call; the thought before it, with words or without, is where clients keep that. */
  const sign = (signature: string): string =>
    think() + delta({ type: 'signature_delta', signature }) + stop()

  function input(call: Call, words: string): string {
    if (words === '') return ''
    call.input += words
    return call.custom ? '' : delta({ type: 'input_json_delta', partial_json: words })
  }

  function stopCall(call: Call): string {
    const out = call.custom
      ? delta({ type: 'input_json_delta', partial_json: JSON.stringify({ input: call.input }) })
      : ''
    return out + stop()
  }

  /** Is the call's input one whole JSON object? Asked again only when it has grown. */
  function isComplete(call: Call): boolean {
    if (call.custom || call.input.length === call.checked) return false
    call.checked = call.input.length
    return isObject(parseOr(call.input))
  }

  function content(event: ChatEvent): string {
    if (open?.type === 'call') {
      const call = open
      if (event.type === 'tool-input' && event.index === call.tool) return input(call, event.text)
      if (!ended && !isComplete(call)) {
        waiting.push(event)
        return ''
      }
      return stopCall(call) + release() + content(event)
    }
    switch (event.type) {
      case 'text':
      case 'refusal':
        return say(event.text)
      case 'reasoning':
        return event.text === ''
          ? ''
          : think() + delta({ type: 'thinking_delta', thinking: event.text })
      case 'signature':
        return sign(event.signature)
      case 'redacted':
        return whole({ type: 'redacted_thinking', data: event.data })
      case 'annotation': {
        const citations = open?.type === 'text' ? encodeCitation(event.annotation, true) : []
        cited ||= citations.length > 0
        return citations.map((citation) => delta({ type: 'citations_delta', citation })).join('')
      }
      case 'tool-start': {
        calls = true
        const signed = event.signature === undefined ? '' : sign(event.signature)
        const opened = start(
          {
            type: 'call',
            tool: event.index,
            custom: event.kind === 'custom',
            input: '',
            checked: 0,
          },
          { type: 'tool_use', id: event.id, name: event.name, input: {} },
        )
        return signed + opened
      }
      case 'media':
        return encodeImage(event.part)
          .map((block) => whole(block))
          .join('')
      case 'raw':
        return event.wire === 'anthropic' ? raw(event.value) : ''
      default:
        return ''
    }
  }

  /** What waited, with each call's input gathered behind its start. */
  function release(): string {
    if (waiting.length === 0) return ''
    const events = waiting
    waiting = []
    const inputs = Map.groupBy(
      events.filter((event) => event.type === 'tool-input'),
      (event) => event.index,
    )
    let out = ''
    for (const event of events) {
      if (event.type === 'tool-input') continue
      out += content(event)
      if (event.type !== 'tool-start') continue
      for (const said of inputs.get(event.index) ?? []) out += content(said)
      inputs.delete(event.index)
    }
    // Those of a call that began before.
    for (const left of inputs.values()) for (const said of left) out += content(said)
    return out
  }

  function take(event: ChatEvent): string {
    if (event.type === 'start') {
      head ??= event
      return ''
    }
    if (event.type === 'usage') {
      usage = event.usage
      return head ? begin() : ''
    }
    // A client of this wire knows one answer.
    if ('choice' in event && (event.choice ?? 0) !== 0) return ''
    switch (event.type) {
      case 'extras':
        if (event.of === 'result') fields = { ...fields, ...ownFields(event.extras) }
        else ending = { ...ending, ...endingOf(event.extras) }
        return ''
      case 'finish':
        finish = event
        return ''
      case 'ping':
        return begun ? frame('ping', {}) : begin()
      case 'fault':
        failed = true
        return encodeStreamError(event.error)
      default:
        return begin() + content(event)
    }
  }

  return {
    push: (event) => (failed ? '' : take(event)),
    end() {
      if (failed) return ''
      failed = true
      ended = true
      const { container, ...rest } = fields
      return (
        begin() +
        release() +
        (open?.type === 'call' ? stopCall(open) : stop()) +
        frame('message_delta', {
          delta: {
            stop_reason: encodeFinish(finish.finish, finish.reason, calls),
            stop_sequence: ending.stop_sequence ?? null,
            ...(isObject(ending.stop_details) && { stop_details: ending.stop_details }),
            ...(container !== undefined && { container }),
          },
          usage: encodeUsage(usage),
          ...rest,
        }) +
        frame('message_stop', {})
      )
    },
  }
}

const frame = (type: string, body: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...object(body) })}\n\n`
