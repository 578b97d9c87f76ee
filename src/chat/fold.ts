import type { ChatEvent, ChatResult } from './chat.ts'

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
