import type { Message } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { refuseMedia } from '../cohere/media.ts'
import { wordsOf } from '../replicate/prompt.ts'
import type { Target } from '../wire.ts'
import { type Side, templateOf } from './templates.ts'

/**
 * A conversation as one text, for servers that only go on with a text. An answer that was begun is gone on with; calls
 * of an earlier model are told in words.
 */
export function encodePrompt(messages: readonly Message[], to: Target, dropped: string[]): string {
  const turns = messages.flatMap(({ role, parts }): Turn[] => {
    const words = parts
      .flatMap((part) => wordsOf(part, (media) => refuseMedia(media, to, 'text', dropped), dropped))
      .join('\n')
    return words === '' ? [] : [{ side: sides[role], words }]
  })
  if (turns.every(({ side }) => side === 'system'))
    throw new GatewayError(
      'bad_request',
      'messages: at least one message with content is needed besides system messages; add a user message',
      { param: 'messages' },
    )
  const template = templateOf(to)
  const told = template.fold ? folded(turns, template.fold) : turns
  const last = told.at(-1)
  const text = told
    .map((turn) => {
      const [before, after] = template.sides[turn.side]
      return before + turn.words + (turn === last && turn.side === 'assistant' ? '' : after)
    })
    .join('')
  return template.begin + text + (last?.side === 'assistant' ? '' : template.answer)
}

type Turn = { side: Side; words: string }

const sides = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
} as const satisfies Record<Message['role'], Side>

/** Instructions before the first question; without one, they are the question. */
function folded(turns: readonly Turn[], [before, after]: readonly [string, string]): Turn[] {
  const said = turns.filter(({ side }) => side === 'system').map(({ words }) => words)
  const rest = turns.filter(({ side }) => side !== 'system')
  if (said.length === 0) return rest
  const head = before + said.join('\n\n') + after
  const first = rest.findIndex(({ side }) => side === 'user')
  if (first === -1) return [{ side: 'user', words: head }, ...rest]
  return rest.map((turn, at) => (at === first ? { ...turn, words: head + turn.words } : turn))
}
