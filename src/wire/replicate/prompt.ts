import type { MediaPart, Message, Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { text } from '../../json/json.ts'
import { refuseMedia, textOfFile } from '../cohere/media.ts'
import type { Target } from '../wire.ts'
import type { Family } from './families.ts'

export type Prompt = { prompt: string; system: string; images: string[] }

/** One question stands as it is; a conversation is told with its speakers, and left open where the model goes on. */
export function encodePrompt(
  messages: readonly Message[],
  { images: place }: Family,
  to: Target,
  dropped: string[],
): Prompt {
  const instructions: string[] = []
  const turns: { speaker: string; words: string }[] = []
  const images: string[] = []
  const see = (part: MediaPart): void => {
    const room = place !== undefined && (place.several || images.length === 0)
    if (part.media === 'image' && part.source.type !== 'id' && room) images.push(urlOf(part.source))
    else refuseMedia(part, to, place ? takes(place.several) : 'text', dropped)
  }
  for (const { role, parts } of messages) {
    const words = parts.flatMap((part) => wordsOf(part, see, dropped)).join('\n')
    if (words === '') continue
    if (role === 'system' || role === 'developer') instructions.push(words)
    else turns.push({ speaker: speakers[role], words })
  }
  if (turns.length === 0 && images.length === 0)
    throw new GatewayError(
      'bad_request',
      'messages: at least one message with content is needed besides system messages; add a user message',
      { param: 'messages' },
    )
  return { prompt: tell(turns), system: instructions.join('\n\n'), images }
}

const takes = (several: boolean): string => (several ? 'text or images' : 'text and one image')

function tell(turns: readonly { speaker: string; words: string }[]): string {
  const [only] = turns
  if (turns.length <= 1 && only?.speaker !== 'Assistant') return only?.words ?? ''
  const lines = turns.map(({ speaker, words }) => `${speaker}: ${words}`)
  return (turns.at(-1)?.speaker === 'Assistant' ? lines : [...lines, 'Assistant:']).join('\n\n')
}

const speakers = {
  system: 'System',
  developer: 'System',
  user: 'User',
  tool: 'Tool',
  assistant: 'Assistant',
} as const satisfies Record<Message['role'], string>

const urlOf = (source: Exclude<MediaPart['source'], { type: 'id' }>): string =>
  source.type === 'url' ? source.url : `data:${source.mime};base64,${source.base64}`

/** Calls of an earlier model are told in words: without them its results would answer nothing. */
export function wordsOf(part: Part, see: (part: MediaPart) => void, dropped: string[]): string[] {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [part.text]
    case 'tool-call':
      return [`${part.name}(${part.input})`]
    case 'tool-result':
      return part.parts.flatMap((inner) => wordsOf(inner, see, dropped))
    case 'media': {
      const words = textOfFile(part)
      if (words !== undefined) return [part.name === undefined ? words : `${part.name}:\n${words}`]
      see(part)
      return []
    }
    case 'raw':
      dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
      return []
    case 'reasoning':
      return []
  }
}
