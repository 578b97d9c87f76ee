import { isObject, list, text } from '../json/json.ts'
import { type EitherCase, snakeKeys } from './names.ts'
import { jsonOf, wrong } from './options.ts'
import type { Room } from './room.ts'
import type { ChatMessage, Tool, ToolChoice } from './types.ts'

export type TokenCounterOptions = EitherCase<{
  model: string
  /** A text, or a list of texts. */
  text?: string | readonly string[] | undefined
  /** A conversation, instead of a text. */
  messages?: readonly ChatMessage[] | undefined
  tools?: readonly Tool[] | undefined
  tool_choice?: ToolChoice | undefined
}>

/** Tokens of a text, or of a conversation as a model reads it. */
export function tokenCounter(options: TokenCounterOptions, { tokens }: Room): number {
  const said = jsonOf(isObject(options) ? snakeKeys(options, () => true) : {})
  const { messages, text: told } = said
  const model = text(said.model) ?? ''
  if ((messages === undefined) === (told === undefined))
    throw wrong('token_counter takes text or messages: give one of them')
  if (told !== undefined) {
    const texts = typeof told === 'string' ? [told] : list(told).map(String)
    return tokens.count(texts, model).tokens
  }
  if (!Array.isArray(messages))
    throw wrong("'messages' must be a list of message objects.", 'messages')
  return tokens.countMessages(messages, said.tools, model, said.tool_choice)
}
