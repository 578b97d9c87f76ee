import type { ChatEvent } from '../../chat/chat.ts'
import { noUsage } from '../../chat/chat.ts'
import { isObject, number, object } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { decodeStream as decodeChunks } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'

/** OpenAI's chunks. Where they tell no usage, Bedrock's own count beside the last one does. */
export function decodeStream(notes: Notes): StreamDecoder {
  const inner = decodeChunks(notes)
  let told = false
  return {
    push(frame) {
      const events = inner.push(frame)
      told ||= events.some(({ type }) => type === 'usage')
      const counted = told || !frame.data.includes(metrics) ? undefined : countedIn(frame.data)
      if (counted) told = true
      return counted ? [...events, counted] : events
    },
    end: () => inner.end(),
  }
}

const metrics = 'amazon-bedrock-invocationMetrics'

function countedIn(data: string): ChatEvent | undefined {
  const said = parseOr(data)
  const raw = isObject(said) ? said[metrics] : undefined
  const input = number(object(raw).inputTokenCount)
  const output = number(object(raw).outputTokenCount)
  return isObject(raw) && input !== undefined && output !== undefined
    ? { type: 'usage', usage: { ...noUsage, input, output, raw } }
    : undefined
}
