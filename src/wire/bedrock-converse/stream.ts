import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, number, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { answerOf, customText } from '../anthropic/response.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeException } from './errors.ts'
import { decodeCitation, decodeFields, decodeUsage, finishOf, tierOf } from './response.ts'

/** A block between its first word and its stop. */
type Block = {
  type: 'text' | 'reasoning' | 'tool' | 'answer' | 'image' | 'other'
  /** Number of the tool call. */
  index: number
  name: string
  /** Input so far, as the provider wrote it. */
  input: string
  /** The input is told in one piece when the block closes. */
  held: boolean
  signature: string
  /** Bytes and format of a picture. */
  image: { format: string; base64: string }
  citations: JsonObject[]
  /** Where its text begins in the answer. */
  from: number
}

export function decodeStream(notes: Notes): StreamDecoder {
  const blocks = new Map<number, Block>()
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

  function begin(): ChatEvent[] {
    if (started) return []
    started = true
    return [{ type: 'start', id: '', model: notes.model, created: 0 }]
  }

  /** Only tools and pictures are announced; other blocks begin with their first word. */
  function blockAt(at: number, type: Block['type']): Block {
    const known = blocks.get(at)
    if (known) return known
    const block: Block = {
      type,
      index: 0,
      name: '',
      input: '',
      held: false,
      signature: '',
      image: { format: 'png', base64: '' },
      citations: [],
      from: length,
    }
    blocks.set(at, block)
    return block
  }

  function open(at: number, start: JsonObject): ChatEvent[] {
    const events = close(at)
    if (isObject(start.image)) blockAt(at, 'image').image.format = text(start.image.format) ?? 'png'
    // Tools that Bedrock runs itself are not the client's to answer.
    else if (!isObject(start.toolUse) || start.toolUse.type !== undefined) blockAt(at, 'other')
    else events.push(...call(at, start.toolUse))
    return events
  }

  function call(at: number, { name: said, toolUseId }: JsonObject): ChatEvent[] {
    const name = text(said) ?? ''
    const isAnswer = notes.outputTool !== undefined && name === notes.outputTool
    const block = blockAt(at, isAnswer ? 'answer' : 'tool')
    block.name = name
    if (isAnswer) {
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
        id: text(toolUseId) ?? '',
        name: notes.toolNames?.get(name) ?? name,
        ...(isCustom && { kind: 'custom' as const }),
      },
    ]
  }

  function say(words: string): ChatEvent[] {
    if (words === '') return []
    length += words.length
    return [{ type: 'text', text: words }]
  }

  function more(at: number, delta: JsonObject): ChatEvent[] {
    if (typeof delta.text === 'string') {
      blockAt(at, 'text')
      return say(delta.text)
    }
    if (isObject(delta.reasoningContent)) {
      const { text: words, signature, redactedContent } = delta.reasoningContent
      const block = blockAt(at, 'reasoning')
      block.signature += text(signature) ?? ''
      const redacted = text(redactedContent)
      if (redacted !== undefined) return [{ type: 'redacted', data: redacted }]
      return typeof words === 'string' && words !== '' ? [{ type: 'reasoning', text: words }] : []
    }
    if (isObject(delta.toolUse)) return write(blocks.get(at), text(delta.toolUse.input) ?? '')
    if (isObject(delta.citation)) blockAt(at, 'text').citations.push(delta.citation)
    if (isObject(delta.image))
      blockAt(at, 'image').image.base64 += text(object(delta.image.source).bytes) ?? ''
    return []
  }

  function write(block: Block | undefined, json: string): ChatEvent[] {
    if (!block || json === '' || (block.type !== 'tool' && block.type !== 'answer')) return []
    block.input += json
    if (block.held) return []
    return block.type === 'answer'
      ? say(json)
      : [{ type: 'tool-input', index: block.index, text: json }]
  }

  function close(at: number): ChatEvent[] {
    const block = blocks.get(at)
    if (!block) return []
    blocks.delete(at)
    const whole = block.input === '' ? '{}' : block.input
    switch (block.type) {
      case 'text': {
        const place = { start: block.from, end: length }
        return block.citations.map((citation) => ({
          type: 'annotation',
          annotation: decodeCitation(citation, place),
        }))
      }
      case 'reasoning':
        return block.signature === '' ? [] : [{ type: 'signature', signature: block.signature }]
      case 'answer':
        return block.held || block.input === '' ? say(answerOf(whole, notes)) : []
      case 'tool':
        if (block.held) return [{ type: 'tool-input', index: block.index, text: customText(whole) }]
        return block.input === '' ? [{ type: 'tool-input', index: block.index, text: whole }] : []
      case 'image': {
        const { format, base64 } = block.image
        if (base64 === '') return []
        const source = { type: 'bytes' as const, base64, mime: `image/${format}` }
        return [{ type: 'media', part: { type: 'media', media: 'image', source } }]
      }
      case 'other':
        return []
    }
  }

  const closeAll = (): ChatEvent[] => [...blocks.keys()].flatMap(close)

  function tell(said: JsonObject): ChatEvent[] {
    const events: ChatEvent[] = []
    const fields = decodeFields(said)
    const tier = tierOf(said)
    if (fields)
      events.push({ type: 'extras', extras: { provider_specific_fields: fields }, of: 'message' })
    if (tier) events.push({ type: 'extras', extras: tier, of: 'result' })
    return events
  }

  function stop(event: JsonObject): ChatEvent[] {
    const events = [...closeAll(), ...tell(event)]
    if (finished) return events
    finished = true
    const reason = text(event.stopReason)
    const finish = finishOf(reason, calls > 0, answered)
    events.push({ type: 'finish', finish, ...(reason !== undefined && !answered && { reason }) })
    return events
  }

  function decode(name: string | undefined, event: JsonObject): ChatEvent[] {
    const at = number(event.contentBlockIndex) ?? 0
    switch (name) {
      case 'messageStart':
        return begin()
      case 'contentBlockStart':
        return [...begin(), ...open(at, object(event.start))]
      case 'contentBlockDelta':
        return [...begin(), ...more(at, object(event.delta))]
      case 'contentBlockStop':
        return close(at)
      case 'messageStop':
        return [...begin(), ...stop(event)]
      case 'metadata':
        return [
          ...begin(),
          ...tell(event),
          ...(isObject(event.usage)
            ? [{ type: 'usage' as const, usage: decodeUsage(event.usage) }]
            : []),
        ]
      default:
        // New events come without notice.
        return []
    }
  }

  return {
    push({ event, data }) {
      if (over) return []
      if (event?.startsWith('exception:'))
        return fail(decodeException(event.slice('exception:'.length), data))
      const said = parseOr(data)
      if (isObject(said)) return decode(event, said)
      // An event without a payload is nothing; one that is broken is.
      return data === ''
        ? []
        : fail(new GatewayError('bad_gateway', 'the upstream sent an event that is not JSON'))
    },
    end() {
      if (over) return []
      over = true
      return finished
        ? []
        : [
            {
              type: 'fault',
              error: new GatewayError(
                'bad_gateway',
                'the upstream ended the stream before the answer was complete',
              ),
            },
          ]
    },
  }
}
