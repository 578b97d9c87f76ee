import { type JsonObject, number } from '../../json/json.ts'
import type { Count } from '../wire.ts'

/** Anthropic's count_tokens: the body of a message without what only its answer needs (messages-count-tokens, 2026-11). */
export const count: Count = {
  url: (chat) => {
    const counted = chat.replace(/\/messages(?=\?|$)/, '/messages/count_tokens')
    return counted === chat ? undefined : counted
  },
  encode: (body, _, own) => (own ? body : pick(body, countable)),
  decode: ({ input_tokens }) => number(input_tokens),
  answer: (tokens) => ({ input_tokens: tokens }),
}

/** The API refuses what it does not know, and the limit of the answer is such a thing. */
const countable =
  'model messages system tools tool_choice thinking output_config mcp_servers cache_control context_management'.split(
    ' ',
  )

export function pick(body: JsonObject, keys: readonly string[]): JsonObject {
  const out: JsonObject = {}
  for (const key of keys) if (body[key] !== undefined) out[key] = body[key]
  return out
}
