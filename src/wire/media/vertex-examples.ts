import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object } from '../../json/json.ts'
import { gemini } from '../gemini/wire.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Target } from '../wire.ts'
import { parsedLine } from './batch-lines.ts'
import { invalid } from './media.ts'

/** Examples in Google's words; lines that are in them already pass. Throws for a line that is none, and says which. */
export function tuningRows(said: string, to: Target): JsonObject[] {
  const rows: JsonObject[] = []
  for (const [at, line] of said.split('\n').entries()) {
    if (line.trim() === '') continue
    const value = parsedLine(line)
    try {
      if (!isObject(value)) throw invalid('file', 'it is no JSON object.')
      rows.push(Array.isArray(value['contents']) ? value : exampleOf(value, to))
    } catch (cause) {
      const { message } = GatewayError.from(cause)
      throw invalid('file', `line ${at + 1} of the file is no example: ${message}`)
    }
  }
  if (rows.length === 0) throw invalid('file', 'the file has no examples.')
  return rows
}

function exampleOf(line: JsonObject, to: Target): JsonObject {
  const { messages, tools } = line
  const last = list(messages).at(-1)
  if (!isObject(last) || last['role'] !== 'assistant')
    throw invalid('file', "its 'messages' must end with what the assistant says.")
  const request = openaiChat.decodeRequest({
    model: to.model,
    messages,
    ...(tools !== undefined && { tools }),
  })
  const asked = { ...request, model: to.model, dialect: openaiChat.id }
  const { systemInstruction, contents, tools: told } = gemini.encodeRequest(asked, to).body
  return {
    ...(systemInstruction !== undefined && { systemInstruction }),
    contents: list(contents).map((turn) => ({
      ...object(turn),
      // Stands in a request only so that it is taken.
      parts: list(object(turn)['parts']).map((part) => {
        const { thoughtSignature: _, ...others } = object(part)
        return others
      }),
    })),
    ...(told !== undefined && { tools: told }),
  }
}
