import type { ChatEvent } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, number, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { customText } from '../anthropic/response.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { cutShort } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { blockOf, decodeCitation, readCitations } from './citations.ts'
import { decodeFault } from './errors.ts'
import { decodeFinish, decodeLogprobs, decodeUsage, failed, ownFields } from './response.ts'

type Call = {
  /** Counted from 0; Cohere's own index counts other things too. */
  index: number
  input: string
  /** The input is told in one piece when the call ends. */
  held: boolean
}

export function decodeStream(notes: Notes): StreamDecoder {
  const calls = new Map<number, Call>()
  /** Where each text block begins in the answer. */
  const starts = new Map<number, number>()
  const citations: JsonObject[] = []
  let started = false
  let over = false
  let called = 0
  let length = 0
  let plan = ''

  function fail(error: GatewayError): ChatEvent[] {
    over = true
    return [{ type: 'fault', error }]
  }

  function begin(id: string): ChatEvent[] {
    if (started) return []
    started = true
    return [{ type: 'start', id, model: notes.model, created: 0 }]
  }

  function speak(at: number, content: JsonObject, logprobs: Json | undefined): ChatEvent[] {
    const events: ChatEvent[] = []
    const thought = text(content.thinking)
    if (thought) events.push({ type: 'reasoning', text: thought })
    const words = text(content.text)
    if (words) {
      if (!starts.has(at)) starts.set(at, length)
      length += words.length
      events.push({ type: 'text', text: words })
    }
    const odds = decodeLogprobs(logprobs)
    if (odds) events.push({ type: 'logprobs', logprobs: odds })
    return events
  }

  function think(words: string | undefined): ChatEvent[] {
    if (!words) return []
    plan += words
    return [{ type: 'reasoning', text: words }]
  }

  function cite(value: Json | undefined): ChatEvent[] {
    return readCitations(value).flatMap((citation) => {
      citations.push(citation)
      const at = blockOf(citation)
      if (at === undefined) return []
      const from = starts.get(at) ?? starts.values().next().value ?? 0
      return decodeCitation(citation, from).map((annotation) => ({
        type: 'annotation',
        annotation,
      }))
    })
  }

  function open(at: number, said: JsonObject): ChatEvent[] {
    const events = close(at)
    const fn = object(said.function)
    const name = text(fn.name) ?? ''
    const held = notes.customTools?.has(name) ?? false
    calls.set(at, { index: called, input: '', held })
    events.push({
      type: 'tool-start',
      index: called++,
      id: text(said.id) ?? '',
      name: notes.toolNames?.get(name) ?? name,
      ...(held && { kind: 'custom' as const }),
    })
    return [...events, ...write(at, text(fn.arguments))]
  }

  function write(at: number, json: string | undefined): ChatEvent[] {
    const call = calls.get(at)
    if (!call || !json) return []
    call.input += json
    return call.held ? [] : [{ type: 'tool-input', index: call.index, text: json }]
  }

  function close(at: number): ChatEvent[] {
    const call = calls.get(at)
    if (!call) return []
    calls.delete(at)
    const { index, input, held } = call
    if (held) return [{ type: 'tool-input', index, text: customText(input) }]
    return input === '' ? [{ type: 'tool-input', index, text: '{}' }] : []
  }

  function conclude(delta: JsonObject): ChatEvent[] {
    const reason = text(delta.finish_reason)
    const said = text(delta.error)
    const error =
      failed(reason, said) ??
      (said && reason === undefined ? new GatewayError('provider', said) : undefined)
    if (error) {
      const usage = told(delta.usage)
      return [...usage, ...fail(error)]
    }
    const events = [...calls.keys()].flatMap(close)
    const fields = ownFields(plan, citations)
    if (fields) events.push({ type: 'extras', extras: fields, of: 'message' })
    events.push({
      type: 'finish',
      finish: decodeFinish(reason, called > 0),
      ...(reason !== undefined && { reason }),
    })
    over = true
    return [...events, ...told(delta.usage)]
  }

  const told = (usage: Json | undefined): ChatEvent[] =>
    isObject(usage) ? [{ type: 'usage', usage: decodeUsage(usage) }] : []

  function decode(event: JsonObject): ChatEvent[] {
    const at = number(event.index) ?? 0
    const delta = object(event.delta)
    const message = object(delta.message)
    switch (event.type) {
      case 'message-start':
        return begin(text(event.id) ?? '')
      case 'content-start':
      case 'content-delta':
        return [...begin(''), ...speak(at, object(message.content), event.logprobs)]
      case 'tool-plan-delta':
        return [...begin(''), ...think(text(message.tool_plan))]
      case 'tool-call-start':
        return [...begin(''), ...open(at, one(message.tool_calls))]
      case 'tool-call-delta':
        return write(at, text(object(one(message.tool_calls).function).arguments))
      case 'tool-call-end':
        return close(at)
      case 'citation-start':
        return [...begin(''), ...cite(message.citations)]
      case 'message-end':
        return [...begin(text(event.id) ?? ''), ...conclude(delta)]
      default:
        // content-end and citation-end say nothing new; `debug` and events of next year are for others.
        return []
    }
  }

  return {
    push({ data }) {
      if (over || data === '' || data === '[DONE]') return []
      const event = parseOr(data)
      if (!isObject(event))
        return fail(new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON'))
      if (event.error !== undefined && event.error !== null)
        return fail(decodeErrorObject(event.error))
      if (event.type === undefined && typeof event.message === 'string')
        return fail(decodeFault(event))
      return decode(event)
    },
    end() {
      if (over) return []
      return fail(cutShort())
    },
  }
}

/** One call per event, as an object under a name in the plural (SDK 8.1); a list of one is read as well. */
const one = (value: Json | undefined): JsonObject => object(Array.isArray(value) ? value[0] : value)
