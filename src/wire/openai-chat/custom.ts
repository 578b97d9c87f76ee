import type { ChatEvent, CustomTool, FunctionTool, Part } from '../../chat/chat.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { customInput } from '../anthropic/blocks.ts'
import { customText } from '../anthropic/response.ts'
import type { StreamDecoder } from '../wire.ts'

/**
 * Freeform tools are OpenAI's alone. Servers that are only compatible get a function of one text, whose calls are told
 * as the client's freeform ones again.
 */
export function asFunction({ name, description, format }: CustomTool): FunctionTool {
  const grammar = text(format?.definition) ?? text(object(format?.grammar).definition)
  const said = [description, grammar && `The text follows this grammar:\n${grammar}`]
    .filter(Boolean)
    .join('\n\n')
  return { type: 'function', name, ...(said && { description: said }), schema: freeform() }
}

/** Made when asked for: the wires read each other, so no constant of another may be read while they load. */
const freeform = (): JsonObject => ({
  type: 'object',
  properties: { [customInput]: { type: 'string', description: 'The whole input, as plain text.' } },
  required: [customInput],
})

/** The input of a call to such a function. */
export const inputAsArguments = (input: string): string => JSON.stringify({ [customInput]: input })

export const restored = (part: Part, custom: ReadonlySet<string>): Part =>
  part.type === 'tool-call' && custom.has(part.name)
    ? { ...part, kind: 'custom', input: customText(part.input) }
    : part

/** The same in a stream: the input of such a call is told once it is whole. */
export function restoring(decoder: StreamDecoder, custom: ReadonlySet<string>): StreamDecoder {
  type Held = { index: number; choice: number; input: string }
  const held = new Map<string, Held>()
  const keyOf = (choice: number, index: number): string => `${choice}:${index}`

  function release(choice: number): ChatEvent[] {
    const events: ChatEvent[] = []
    for (const [key, call] of held) {
      if (call.choice !== choice) continue
      held.delete(key)
      const said = customText(call.input)
      const of = choice === 0 ? {} : { choice }
      if (said !== '') events.push({ type: 'tool-input', index: call.index, text: said, ...of })
    }
    return events
  }

  function take(event: ChatEvent): ChatEvent[] {
    switch (event.type) {
      case 'tool-start': {
        const { index, choice = 0 } = event
        if (!custom.has(event.name)) return [event]
        held.set(keyOf(choice, index), { index, choice, input: '' })
        return [{ ...event, kind: 'custom' }]
      }
      case 'tool-input': {
        const call = held.get(keyOf(event.choice ?? 0, event.index))
        if (!call) return [event]
        call.input += event.text
        return []
      }
      case 'finish':
        return [...release(event.choice ?? 0), event]
      default:
        return [event]
    }
  }

  return {
    push: (frame) => decoder.push(frame).flatMap(take),
    end: () => decoder.end().flatMap(take),
  }
}
