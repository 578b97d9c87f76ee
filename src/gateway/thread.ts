import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import type { Inbound } from '../wire/inbound.ts'
import { hashOf } from './prefixes.ts'

/**
 * What a conversation began with, before its first encrypted thought: the same for all of its later turns, and for the
 * request that was answered with that thought. Thoughts can only be read with the account that encrypted them, so who
 * was given the beginning has to be given the rest. Undefined for what is no conversation.
 */
export function threadOf(said: Inbound): string | undefined {
  const input = said.has('input') ? said.field('input') : undefined
  const items =
    typeof input === 'string'
      ? [{ role: 'user', content: input }]
      : list(input ?? (said.has('messages') ? said.field('messages') : undefined))
  const first = items.findIndex(isSealed)
  const beginning = first === -1 ? items : items.slice(0, first)
  return beginning.length === 0 ? undefined : hashOf(beginning.map(gistOf))
}

/** OpenAI's reasoning and compaction items; its thoughts in the words of other dialects. */
function isSealed(item: Json): boolean {
  if (!isObject(item)) return false
  if (typeof item.encrypted_content === 'string') return true
  const blocks = [...list(item.content), ...list(item.thinking_blocks)]
  return blocks.some((block) => text(object(block).signature)?.startsWith('gAAAA'))
}

/** What comes back as it was: clients add ids and a status, and make a list of a text. */
function gistOf(item: Json): string {
  const { id: _, status: __, type, content, ...rest } = object(item)
  const said = Array.isArray(content) ? content.map(wordsOf) : [wordsOf(content ?? null)]
  const kind = type === 'message' ? undefined : type
  return JSON.stringify([kind, said, Object.entries(rest).sort(byName)])
}

const wordsOf = (part: Json): Json => {
  const { text: words, annotations: _, logprobs: __, type: ___, ...more } = object(part)
  if (!isObject(part)) return part
  return typeof words === 'string' && isEmpty(more) ? words : part
}
const isEmpty = (value: JsonObject): boolean => Object.keys(value).length === 0
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0
