import { noUsage, type Usage } from '../chat/chat.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { decodeUsage as anthropicUsage } from '../wire/anthropic/response.ts'
import { decodeUsage as googleUsage } from '../wire/gemini/usage.ts'
import { decodeUsage as openaiUsage } from '../wire/openai-chat/response.ts'

/** What is learnt of an answer that nobody reads: how much was used, and of which model. */
export type PassTap = {
  push(chunk: Uint8Array): void
  /** `asked`: bytes of the request. What was written is counted where nobody says how much it was. */
  end(asked?: number): { usage: Usage | undefined; model: string | undefined }
}

/** By the provider's way of telling; undefined where nothing is told, as of files. */
export function passTap(
  to: Deployment | undefined,
  path: string,
  type: string,
): PassTap | undefined {
  const events = type.startsWith('text/event-stream')
  if (!to || !(events || /json/.test(type))) return undefined
  const inPath = /\/(?:models?)\/([^/:]+)(?::|\/)/.exec(path)?.[1]
  const decoder = new TextDecoder()
  let rest = ''
  let told: JsonObject = {}
  let model = inPath && decode(inPath)
  let written = 0
  let ended = false
  const look = (said: string): void => {
    if (!telling.test(said)) return
    try {
      const value: Json = JSON.parse(said)
      const one = object(Array.isArray(value) ? value.at(-1) : value)
      // The whole of a piece says again what was said bit by bit.
      if (!events || !/\.(done|completed)$/.test(text(one['type']) ?? ''))
        written += charactersIn(Array.isArray(value) ? value : one, 12)
      // Anthropic begins with a message and goes on with its changes; Responses ends with the whole.
      const inner = object(one['message'] ?? one['response'])
      model = text(one['model']) ?? text(inner['model']) ?? text(one['modelVersion']) ?? model
      const usage = one['usage'] ?? inner['usage'] ?? one['usageMetadata']
      if (isObject(usage)) told = { ...told, ...usage }
      // Anthropic's first event tells what was read, and its last what was written.
      if (isObject(usage) && one['message'] === undefined) ended = true
    } catch {
      // A provider's own affair: it passes as it is.
    }
  }
  return {
    push(chunk) {
      if (rest.length > heldMax) return
      rest += decoder.decode(chunk, { stream: true })
      if (!events) return
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('data:')) look(line.slice(5))
    },
    end(asked = 0) {
      if (rest.length <= heldMax) look(events ? rest.replace(/^data:/, '') : rest)
      const usage = usageOf(to, told)
      const output = Math.ceil(written / charactersPerToken)
      if ((usage && ended) || output === 0) return { usage, model }
      const input = usage ? usage.input : Math.ceil(asked / charactersPerToken)
      return { usage: { ...(usage ?? noUsage), input, output, estimated: true }, model }
    },
  }
}

const charactersPerToken = 4
const telling = /"usage(?:Metadata)?"|"model|"delta"|"parts"|"text"|"content"/

/** What a model wrote, by the names all dialects give it. */
function charactersIn(value: Json | undefined, depth: number): number {
  if (depth === 0) return 0
  if (Array.isArray(value))
    return value.reduce((sum: number, item) => sum + charactersIn(item, depth - 1), 0)
  let sum = 0
  for (const [name, one] of Object.entries(object(value)))
    if (typeof one === 'string') sum += writing.has(name) ? one.length : 0
    else sum += charactersIn(one, depth - 1)
  return sum
}
const writing: ReadonlySet<string> = new Set([
  'content',
  'text',
  'delta',
  'thinking',
  'reasoning',
  'reasoning_content',
  'refusal',
  'arguments',
  'partial_json',
])

/** Of an answer, or a line, that is longer nothing is learnt. */
const heldMax = 16 * 1024 * 1024

function usageOf({ provider }: Deployment, told: JsonObject): Usage | undefined {
  if (Object.keys(told).length === 0) return undefined
  if (told['promptTokenCount'] !== undefined) return googleUsage(told)
  if (provider === 'anthropic' || told['cache_creation_input_tokens'] !== undefined)
    return anthropicUsage(told)
  return openaiUsage({ usage: told })
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
