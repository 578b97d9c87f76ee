import type { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import { type ChatEvent, type ChatResult, type Choice, noUsage, type Part } from './chat.ts'

/** A whole answer told as a stream, for a provider that answered whole though it was asked to stream. */
export function eventsOf(result: ChatResult): ChatEvent[] {
  const events: ChatEvent[] = [
    { type: 'start', id: result.id, model: result.model, created: result.created },
  ]
  if (result.extras) events.push({ type: 'extras', extras: result.extras, of: 'result' })
  result.choices.forEach((choice, at) => {
    const of = at === 0 ? {} : { choice: at }
    let calls = 0
    for (const part of choice.parts) {
      switch (part.type) {
        case 'text':
          events.push({ type: 'text', text: part.text, ...of })
          for (const annotation of part.annotations ?? [])
            events.push({ type: 'annotation', annotation, ...of })
          break
        case 'reasoning':
          if (part.redacted !== undefined)
            events.push({ type: 'redacted', data: part.redacted, ...of })
          else events.push({ type: 'reasoning', text: part.text, ...of })
          if (part.signature !== undefined)
            events.push({ type: 'signature', signature: part.signature, ...of })
          break
        case 'refusal':
          events.push({ type: 'refusal', text: part.text, ...of })
          break
        case 'tool-call': {
          const index = calls++
          events.push({
            type: 'tool-start',
            index,
            id: part.id,
            name: part.name,
            ...(part.kind && { kind: part.kind }),
            ...(part.signature !== undefined && { signature: part.signature }),
            ...of,
          })
          if (part.input !== '') events.push({ type: 'tool-input', index, text: part.input, ...of })
          break
        }
        case 'media':
          events.push({ type: 'media', part, ...of })
          break
        case 'raw':
          events.push({ type: 'raw', wire: part.wire, value: part.value, ...of })
          break
        case 'tool-result':
          break
      }
    }
    if (choice.extras) events.push({ type: 'extras', extras: choice.extras, of: 'message', ...of })
    if (choice.logprobs !== undefined)
      events.push({ type: 'logprobs', logprobs: choice.logprobs, ...of })
    events.push({
      type: 'finish',
      finish: choice.finish,
      ...(choice.reason !== undefined && { reason: choice.reason }),
      ...of,
    })
  })
  events.push({ type: 'usage', usage: result.usage })
  return events
}

/** A stream told as a whole answer, for a provider that streams what was asked for whole. A fault is the answer's. */
export function foldEvents(): { push(event: ChatEvent): void; result(): ChatResult } {
  const result: ChatResult = { id: '', created: 0, model: '', choices: [], usage: noUsage }
  const calls = new Map<string, Extract<Part, { type: 'tool-call' }>>()
  let fault: GatewayError | undefined
  let extras: JsonObject | undefined
  const choiceAt = (at: number): Choice => {
    // Nobody is asked for more: a provider must not fill our memory with empty ones.
    const place = Math.min(Math.max(Math.floor(at) || 0, 0), choicesMax)
    while (result.choices.length <= place) result.choices.push({ parts: [], finish: 'other' })
    return result.choices[place] ?? { parts: [], finish: 'other' }
  }
  function write(event: Extract<ChatEvent, { choice?: number }>): void {
    const at = event.choice ?? 0
    const choice = choiceAt(at)
    const { parts } = choice
    const last = parts.at(-1)
    switch (event.type) {
      case 'text':
      case 'refusal':
        if (last?.type === event.type) last.text += event.text
        else parts.push({ type: event.type, text: event.text })
        break
      case 'reasoning':
        if (last?.type === 'reasoning' && last.signature === undefined) last.text += event.text
        else parts.push({ type: 'reasoning', text: event.text })
        break
      case 'signature':
        if (last?.type === 'reasoning') last.signature = event.signature
        else parts.push({ type: 'reasoning', text: '', signature: event.signature })
        break
      case 'redacted':
        parts.push({ type: 'reasoning', text: '', redacted: event.data })
        break
      case 'annotation': {
        const said = parts.findLast((part) => part.type === 'text')
        if (said) said.annotations = [...(said.annotations ?? []), event.annotation]
        break
      }
      case 'tool-start': {
        const { id, name, kind, signature } = event
        const call: Part = {
          type: 'tool-call',
          id,
          name,
          input: '',
          ...(kind && { kind }),
          ...(signature !== undefined && { signature }),
        }
        calls.set(`${at}:${event.index}`, call)
        parts.push(call)
        break
      }
      case 'tool-input': {
        const call = calls.get(`${at}:${event.index}`)
        if (call) call.input += event.text
        break
      }
      case 'media':
        parts.push(event.part)
        break
      case 'raw':
        parts.push({ type: 'raw', wire: event.wire, value: event.value })
        break
      case 'audio':
        choice.extras = { ...choice.extras, audio: event.audio }
        break
      case 'logprobs':
        choice.logprobs = event.logprobs
        break
      case 'extras':
        if (event.of === 'result') extras = { ...extras, ...event.extras }
        else choice.extras = { ...choice.extras, ...event.extras }
        break
      case 'finish':
        choice.finish = event.finish
        if (event.reason !== undefined) choice.reason = event.reason
        break
    }
  }
  return {
    push(event) {
      switch (event.type) {
        case 'start':
          result.id = event.id
          result.model = event.model
          result.created = event.created
          break
        case 'usage':
          result.usage = event.usage
          break
        case 'fault':
          fault ??= event.error
          break
        case 'ping':
          break
        default:
          write(event)
      }
    },
    result() {
      if (fault) throw fault
      return extras ? { ...result, extras } : result
    },
  }
}

/** OpenAI's own limit of n. */
const choicesMax = 127
