import { isObject, type Json, type JsonObject, text } from '../../json/json.ts'
import { foreignMark } from './thoughts.ts'

/**
 * A conversation cut short: OpenAI's item holds it encrypted. Where the gateway made the summary itself it stands in the
 * same field, marked, and is told to every provider as a message.
 */
const summaryMark = `${foreignMark}summary:`

export const compactionItem = (id: string, summary: string): JsonObject => ({
  type: 'compaction',
  id,
  encrypted_content: summaryMark + summary,
})

/** The message a summary of the gateway's stands for; undefined for anything else. */
export function summaryOf(item: Json): JsonObject | undefined {
  if (!isObject(item) || item.type !== 'compaction') return undefined
  const said = text(item.encrypted_content)
  if (!said?.startsWith(summaryMark)) return undefined
  return {
    type: 'message',
    role: 'user',
    content: `Summary of the conversation before this point:\n\n${said.slice(summaryMark.length)}`,
  }
}
