import type { Usage } from '../chat/chat.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { decodeUsage as anthropicUsage } from '../wire/anthropic/response.ts'
import { decodeUsage as googleUsage } from '../wire/gemini/usage.ts'
import { decodeUsage as openaiUsage } from '../wire/openai-chat/response.ts'

/** What is learnt of an answer that nobody reads: how much was used, and of which model. */
export type PassTap = {
  push(chunk: Uint8Array): void
  end(): { usage: Usage | undefined; model: string | undefined }
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
  const look = (said: string): void => {
    if (!/"usage(?:Metadata)?"/.test(said) && !said.includes('"model')) return
    try {
      const value: Json = JSON.parse(said)
      const one = object(Array.isArray(value) ? value.at(-1) : value)
      // Anthropic begins with a message and goes on with its changes; Responses ends with the whole.
      const inner = object(one['message'] ?? one['response'])
      model = text(one['model']) ?? text(inner['model']) ?? text(one['modelVersion']) ?? model
      const usage = one['usage'] ?? inner['usage'] ?? one['usageMetadata']
      if (isObject(usage)) told = { ...told, ...usage }
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
    end() {
      if (rest.length <= heldMax) look(events ? rest.replace(/^data:/, '') : rest)
      return { usage: usageOf(to, told), model }
    },
  }
}

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
