import type { MediaPart, Message, Part, ToolCallPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, type JsonObject, text } from '../../json/json.ts'
import { parseInput } from '../anthropic/blocks.ts'
import { refuseMedia, textOfFile } from '../cohere/media.ts'
import type { Target } from '../wire.ts'

/** One text per message, pictures beside it, calls with objects and without ids: a result tells its tool by name. */
export function encodeMessages(
  messages: readonly Message[],
  to: Target,
  dropped: string[],
): JsonObject[] {
  const names = new Map<string, string>()
  return messages.flatMap((message): JsonObject[] => {
    const out: JsonObject[] = []
    const spoken: Part[] = []
    for (const part of message.parts) {
      if (part.type === 'tool-call') names.set(part.id, part.name)
      if (part.type !== 'tool-result') spoken.push(part)
      else
        out.push(
          compact({
            role: 'tool',
            ...encodeParts(part.parts, to, dropped),
            tool_name: part.name ?? names.get(part.id),
          }),
        )
    }
    if (spoken.length === 0 && message.role !== 'assistant') return out
    const calls = spoken.filter((part) => part.type === 'tool-call')
    const thoughts = spoken.map((part) => (part.type === 'reasoning' ? part.text : '')).join('')
    out.push(
      compact({
        role: roles[message.role],
        ...encodeParts(spoken, to, dropped),
        thinking: thoughts || undefined,
        tool_calls: calls.length > 0 ? calls.map(encodeCall) : undefined,
      }),
    )
    return out
  })
}

const roles = {
  system: 'system',
  developer: 'system',
  user: 'user',
  tool: 'user',
  assistant: 'assistant',
} as const satisfies Record<Message['role'], string>

const encodeCall = ({ name, input, kind }: ToolCallPart): JsonObject => ({
  function: { name, arguments: parseInput(input, kind) },
})

function encodeParts(parts: readonly Part[], to: Target, dropped: string[]): JsonObject {
  const texts: string[] = []
  const images: string[] = []
  for (const part of parts) {
    if (part.type === 'text' || part.type === 'refusal') texts.push(part.text)
    else if (part.type === 'raw') dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
    else if (part.type === 'media') {
      const words = textOfFile(part)
      if (words !== undefined)
        texts.push(part.name === undefined ? words : `${part.name}:\n${words}`)
      else if (part.media !== 'image')
        refuseMedia(part, to, 'text, an image or a file of text', dropped)
      else images.push(encodeImage(part, to))
    }
  }
  return compact({ content: texts.join('\n'), images: images.length > 0 ? images : undefined })
}

/** Bare base64, nothing before it. Whoever could fetch an address has done so before this. */
function encodeImage({ source }: MediaPart, to: Target): string {
  if (source.type === 'bytes') return source.base64
  const named = (source.type === 'url' ? source.url : source.id).slice(0, 200)
  throw new GatewayError(
    'bad_request',
    `${to.provider} takes images as data only, and '${named}' was not fetched: send it as a data URL (data:image/png;base64,…)`,
    { param: 'messages' },
  )
}
