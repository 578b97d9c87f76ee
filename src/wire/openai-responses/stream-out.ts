import { type ChatEvent, type Finish, noUsage, type Usage } from '../../chat/chat.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import type { ClientContext, StreamEncoder } from '../wire.ts'
import { encodeAnnotation } from './content.ts'
import { createIds, type Envelope, encodeEnding, openEnvelope, responseId } from './envelope.ts'
import { encodeFault, encodeStreamError } from './errors.ts'
import {
  callItem,
  finishedCall,
  imageItem,
  imageWords,
  messageItem,
  type OutputWriter,
  rawItem,
  wordless,
} from './output.ts'
import { encodeEncrypted, thoughtItem } from './thoughts.ts'
import { declaredTools } from './tools.ts'
import { encodeUsage } from './usage.ts'

type Open = Words | Thought
type Words = { type: 'message'; at: number; id: string; parts: JsonObject[] }
type Thought = { type: 'reasoning'; at: number; id: string; said: string; begun: boolean }
type Call = { at: number; item: JsonObject; input: string; checked: number }

/**
 * What clients of this wire accept: created and in_progress, items numbered in the order they begin, each added and
 * done, what grows inside them told in deltas and then whole, and at the end the response with all of it. Words and
 * thoughts follow each other; calls may be open beside them, since other wires speak of several in turns.
 */
export function encodeStream(context: ClientContext): StreamEncoder {
  const envelope = openEnvelope(context)
  let id = ''
  let created = context.created
  let writer: OutputWriter | undefined
  let sequence = 0
  let over = false
  const output: JsonObject[] = []
  let next = 0
  let open: Open | undefined
  const calls = new Map<number, Call>()
  let usage: Usage = noUsage
  let finish: { finish: Finish; reason?: string } = { finish: 'stop' }
  let serviceTier: Json | undefined
  let weights: Json[] = []

  const frame = (type: string, body: JsonObject): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...body })}\n\n`
  const response = (more: Pick<Envelope, 'status'> & Partial<Envelope>): JsonObject => ({
    response: envelope({ id, created, output: [], serviceTier, ...more }),
  })

  function begin(said = ''): string {
    if (id !== '') return ''
    id = responseId(said, context)
    const body = response({ status: 'in_progress' })
    return frame('response.created', body) + frame('response.in_progress', body)
  }
  const tools = (): OutputWriter =>
    (writer ??= { ids: createIds(id), declared: declaredTools(context.said) })

  const added = (at: number, item: JsonObject): string =>
    frame('response.output_item.added', { output_index: at, item })
  function done(at: number, item: JsonObject): string {
    output[at] = item
    return frame('response.output_item.done', { output_index: at, item })
  }
  /** An item told in one piece. */
  function whole(item: JsonObject): string {
    const out = settle() + closeWhole()
    const at = next++
    return out + added(at, item) + done(at, item)
  }

  /** The words or the thought under way are finished. */
  function settle(status = 'completed', signature?: string): string {
    const ended = open
    open = undefined
    if (!ended) return ''
    if (ended.type === 'message')
      return closePart(ended) + done(ended.at, messageItem(ended.id, ended.parts, status))
    return closeThought(ended, signature)
  }

  function closePart({ at, id: item_id, parts }: Words): string {
    const part = parts.at(-1)
    if (!part) return ''
    const place = { item_id, output_index: at, content_index: parts.length - 1 }
    const told =
      part.type === 'refusal'
        ? frame('response.refusal.done', { ...place, refusal: part.refusal })
        : frame('response.output_text.done', {
            ...place,
            text: part.text,
            logprobs: list(part.logprobs),
          })
    return told + frame('response.content_part.done', { ...place, part })
  }

  function closeThought({ at, id: item_id, said, begun }: Thought, signature?: string): string {
    let out = ''
    if (begun) {
      const place = { item_id, output_index: at, summary_index: 0 }
      out += frame('response.reasoning_summary_text.done', { ...place, text: said })
      out += frame('response.reasoning_summary_part.done', {
        ...place,
        part: { type: 'summary_text', text: said },
      })
    }
    const encrypted = signature === undefined ? undefined : encodeEncrypted(wordless(signature))
    return out + done(at, thoughtItem(item_id, said, encrypted))
  }

  function say(type: 'output_text' | 'refusal', words: string): string {
    if (words === '') return ''
    let out = ''
    if (open?.type !== 'message') {
      out += settle() + closeWhole()
      open = { type: 'message', at: next++, id: tools().ids.next('msg'), parts: [] }
      out += added(open.at, messageItem(open.id, [], 'in_progress'))
    }
    const { at, id: item_id, parts } = open
    if (parts.at(-1)?.type !== type) {
      out += closePart(open)
      parts.push(
        type === 'refusal'
          ? { type, refusal: '' }
          : { type, annotations: [], logprobs: weights, text: '' },
      )
      if (type === 'output_text') weights = []
      out += frame('response.content_part.added', {
        item_id,
        output_index: at,
        content_index: parts.length - 1,
        part: { ...parts.at(-1) },
      })
    }
    const part = parts.at(-1) ?? {}
    const key = type === 'refusal' ? 'refusal' : 'text'
    part[key] = (text(part[key]) ?? '') + words
    return (
      out +
      frame(`response.${type}.delta`, {
        item_id,
        output_index: at,
        content_index: parts.length - 1,
        delta: words,
        ...(type === 'output_text' && { logprobs: [] }),
      })
    )
  }

  function think(words: string): string {
    if (words === '') return ''
    let out = ''
    if (open?.type !== 'reasoning') out += openThought()
    const thought = open?.type === 'reasoning' ? open : undefined
    if (!thought) return out
    const place = { item_id: thought.id, output_index: thought.at, summary_index: 0 }
    if (!thought.begun) {
      thought.begun = true
      const part = { type: 'summary_text', text: '' }
      out += frame('response.reasoning_summary_part.added', { ...place, part })
    }
    thought.said += words
    return out + frame('response.reasoning_summary_text.delta', { ...place, delta: words })
  }

  function openThought(): string {
    const out = settle() + closeWhole()
    open = { type: 'reasoning', at: next++, id: tools().ids.next('rs'), said: '', begun: false }
    return out + added(open.at, thoughtItem(open.id, '', undefined))
  }

  /** A signature ends the thought; without one under way it is a thought without words. */
  function sign(signature: string): string {
    const out = open?.type === 'reasoning' ? '' : openThought()
    return out + settle('completed', signature)
  }

  function annotate(annotation: JsonObject): string {
    const part = open?.type === 'message' ? open.parts.at(-1) : undefined
    if (open?.type !== 'message' || part?.type !== 'output_text') return ''
    const { at, id: item_id, parts } = open
    return encodeAnnotation(annotation)
      .map((said) => {
        const annotations = list(part.annotations)
        part.annotations = [...annotations, said]
        return frame('response.output_text.annotation.added', {
          item_id,
          output_index: at,
          content_index: parts.length - 1,
          annotation_index: annotations.length,
          annotation: said,
        })
      })
      .join('')
  }

  /** They stand with the words they are of; those that come first wait. */
  function weigh(logprobs: Json): void {
    const said = isObject(logprobs) ? list(logprobs.content) : []
    const part = open?.type === 'message' ? open.parts.at(-1) : undefined
    if (part?.type === 'output_text') part.logprobs = [...list(part.logprobs), ...said]
    else weights.push(...said)
  }

  function call(event: Extract<ChatEvent, { type: 'tool-start' }>): string {
    let out = event.signature === undefined ? settle() : sign(event.signature)
    out += closeWhole()
    const before = calls.get(event.index)
    if (before) out += closeCall(event.index, before, 'completed')
    const item = callItem(event, tools())
    const begun: Call = { at: next++, item, input: '', checked: 0 }
    calls.set(event.index, begun)
    return out + added(begun.at, pending(item))
  }

  const pending = (item: JsonObject): JsonObject => ({
    ...item,
    [item.type === 'custom_tool_call' ? 'input' : 'arguments']: '',
    status: 'in_progress',
  })

  function input(index: number, words: string): string {
    const begun = calls.get(index)
    if (!begun || words === '') return ''
    begun.input += words
    return frame(`response.${growing(begun.item)}.delta`, {
      item_id: begun.item.id,
      output_index: begun.at,
      delta: words,
    })
  }

  const growing = ({ type }: JsonObject): string =>
    type === 'custom_tool_call' ? 'custom_tool_call_input' : 'function_call_arguments'

  function closeCall(index: number, { at, item, input: said }: Call, status: string): string {
    // Clients parse the arguments, so a function without any gets none in JSON.
    const missing = item.type === 'function_call' && said.trim() === '' ? input(index, '{}') : ''
    calls.delete(index)
    const ended = finishedCall(item, missing === '' ? said : said + '{}', status)
    const key = item.type === 'custom_tool_call' ? 'input' : 'arguments'
    return (
      missing +
      frame(`response.${growing(item)}.done`, {
        item_id: item.id,
        output_index: at,
        ...(key === 'arguments' && { name: item.name }),
        [key]: ended[key],
      }) +
      done(at, ended)
    )
  }

  /** Calls whose arguments are one whole object: nothing can follow, and clients may begin with them. */
  function closeWhole(): string {
    let out = ''
    for (const [index, begun] of calls)
      if (isWhole(begun)) out += closeCall(index, begun, 'completed')
    return out
  }

  function closeAll(status: string): string {
    let out = settle(status)
    for (const [index, begun] of calls)
      out += closeCall(index, begun, isWhole(begun) ? 'completed' : status)
    return out
  }

  function content(event: ChatEvent): string {
    switch (event.type) {
      case 'text':
        return say('output_text', event.text)
      case 'refusal':
        return say('refusal', event.text)
      case 'reasoning':
        return think(event.text)
      case 'signature':
        return sign(event.signature)
      case 'redacted': {
        const encrypted = encodeEncrypted({ type: 'reasoning', text: '', redacted: event.data })
        return whole(thoughtItem(tools().ids.next('rs'), '', encrypted))
      }
      case 'annotation':
        return annotate(event.annotation)
      case 'tool-start':
        return call(event)
      case 'tool-input':
        return input(event.index, event.text)
      case 'media': {
        const image = event.part.media === 'image' ? imageItem(event.part, tools().ids) : undefined
        return image ? whole(image) : say('output_text', imageWords(event.part))
      }
      case 'audio':
        return audio(event.audio)
      case 'raw':
        return event.wire === 'openai-responses' ? whole(rawItem(event.value, tools().ids)) : ''
      default:
        return ''
    }
  }

  /** Sound has events but no item, so what is said is told in words too. */
  function audio({ data, transcript }: JsonObject): string {
    const sound = typeof data === 'string' ? frame('response.audio.delta', { delta: data }) : ''
    return sound + say('output_text', text(transcript) ?? '')
  }

  function take(event: ChatEvent): string {
    // A client of this wire knows one answer.
    if ('choice' in event && (event.choice ?? 0) !== 0) return ''
    switch (event.type) {
      case 'start':
        if (id === '' && event.created > 0) created = event.created
        return begin(event.id)
      case 'usage':
        usage = event.usage
        return ''
      case 'extras':
        if (event.of === 'result') serviceTier = event.extras.service_tier ?? serviceTier
        return ''
      case 'logprobs':
        weigh(event.logprobs)
        return ''
      case 'ping':
        return ': ping\n\n'
      case 'finish': {
        finish = event
        return begin() + closeAll(encodeEnding(event.finish, event.reason).status)
      }
      case 'fault':
        return begin() + closeAll('incomplete') + fail(event)
      default:
        return begin() + content(event)
    }
  }

  function fail({ error }: Extract<ChatEvent, { type: 'fault' }>): string {
    over = true
    return frame(
      'response.failed',
      response({ status: 'failed', output, error: encodeFault(error) }),
    )
  }

  return {
    push: (event) => (over ? '' : take(event)),
    // The official library stops at the error; Codex goes by the failed response, and by its code.
    fail(error) {
      if (over) return ''
      const told = begin() + encodeStreamError(error, sequence++)
      return told + closeAll('incomplete') + fail({ type: 'fault', error })
    },
    end() {
      if (over) return ''
      over = true
      const { status, reason } = encodeEnding(finish.finish, finish.reason)
      const before = begin() + closeAll(status)
      const told = response({ status, reason, output, usage: encodeUsage(usage) })
      context.keep?.(object(told.response))
      return before + frame(`response.${status}`, told)
    },
  }
}

/** Is the input one whole JSON object? Asked again only when it has grown. A freeform one may always go on. */
function isWhole(call: Call): boolean {
  if (call.item.type === 'custom_tool_call' || call.input.length === call.checked) return false
  call.checked = call.input.length
  return call.input.trimEnd().endsWith('}') && isObject(parseOr(call.input))
}
