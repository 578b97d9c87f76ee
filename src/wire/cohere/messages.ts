import type { Message, Part, ToolCallPart, ToolResultPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, isObject, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { customInput } from '../anthropic/blocks.ts'
import type { Target } from '../wire.ts'
import { refuseMedia, textOfFile } from './media.ts'

export type Conversation = {
  messages: JsonObject[]
  /** Text files, in the shape in which Cohere cites them. */
  documents: JsonObject[]
}

export type Writer = {
  to: Target
  /** The model thinks in this request: only then may thoughts go back. */
  thinks: boolean
  dropped: string[]
}

/** "system turn must be the first in the list" (docs.cohere.com/reference/errors, 2026-11): all of them become one, at the top. */
export function encodeMessages(messages: readonly Message[], writer: Writer): Conversation {
  const instructions: string[] = []
  const turns: JsonObject[] = []
  const documents: JsonObject[] = []
  for (const message of messages) {
    if (message.role === 'system' || message.role === 'developer') {
      const said = encodeParts(message.parts, writer, documents).flatMap(
        (one) => text(one.text) ?? [],
      )
      if (said.length > 0) instructions.push(said.join('\n'))
      continue
    }
    for (const part of message.parts)
      if (part.type === 'tool-result') turns.push(encodeToolResult(part, writer))
    const turn =
      message.role === 'assistant'
        ? encodeAssistant(message, writer)
        : encodeUser(message, writer, documents)
    if (turn) turns.push(turn)
  }
  if (turns.length === 0)
    throw new GatewayError(
      'bad_request',
      'messages: at least one message with content is needed besides system messages; add a user message',
      { param: 'messages' },
    )
  const system = instructions.join('\n\n')
  return {
    messages: system === '' ? turns : [{ role: 'system', content: system }, ...turns],
    documents,
  }
}

/** "message must not be empty in a turn", so an empty one is none. */
function encodeUser(
  { parts }: Message,
  writer: Writer,
  documents: JsonObject[],
): JsonObject | undefined {
  const content = encodeParts(parts, writer, documents)
  return content.length === 0 ? undefined : { role: 'user', content: plainly(content) }
}

/** Text, pictures, and files of text; those go beside the messages, as documents. */
const encodeParts = (
  parts: readonly Part[],
  writer: Writer,
  documents: JsonObject[],
): JsonObject[] => parts.flatMap((part) => encodePart(part, writer, documents))

function encodePart(part: Part, { to, dropped }: Writer, documents: JsonObject[]): JsonObject[] {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [{ type: 'text', text: part.text }]
    case 'media': {
      const { source, detail } = part
      if (part.media === 'image' && source.type !== 'id') {
        const url =
          source.type === 'url' ? source.url : `data:${source.mime};base64,${source.base64}`
        return [{ type: 'image_url', image_url: compact({ url, detail }) }]
      }
      const words = textOfFile(part)
      if (words !== undefined) documents.push({ data: compact({ title: part.name, text: words }) })
      else refuseMedia(part, to, 'text, an image or a file of text', dropped)
      return []
    }
    case 'raw':
      dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
      return []
    case 'reasoning':
    case 'tool-call':
    case 'tool-result':
      return []
  }
}

/**
 * "text content is not allowed when tool_calls are provided. If you wish to pass a tool plan, either pass thinking
 * content (with thinking enabled) or use 'tool_plan'" (vercel/ai#5794, 2025-04).
 */
function encodeAssistant(message: Message, { thinks, dropped }: Writer): JsonObject | undefined {
  const said: string[] = []
  const thoughts: string[] = []
  const calls: ToolCallPart[] = []
  for (const part of message.parts) {
    if (part.type === 'text' || part.type === 'refusal') said.push(part.text)
    else if (part.type === 'reasoning') thoughts.push(part.text)
    else if (part.type === 'tool-call') calls.push(part)
    else if (part.type === 'media') dropped.push(`messages.${part.media}`)
    else if (part.type === 'raw') dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
  }
  const words = said.join('')
  const thought = thoughts.join('')
  const content: JsonObject[] = []
  if (thinks && thought !== '') content.push({ type: 'thinking', thinking: thought })
  if (calls.length === 0) {
    if (words === '') return undefined
    return { role: 'assistant', content: plainly([...content, { type: 'text', text: words }]) }
  }
  const extras = message.extras ?? {}
  const plan =
    text(extras.tool_plan) ??
    (words || text(object(extras.provider_specific_fields).tool_plan) || (thinks ? '' : thought))
  return compact({
    role: 'assistant',
    content: content.length > 0 ? content : undefined,
    tool_plan: plan || undefined,
    tool_calls: calls.map(encodeCall),
  })
}

const encodeCall = ({ id, name, input, kind }: ToolCallPart): JsonObject => ({
  id,
  type: 'function',
  function: {
    name,
    arguments: kind === 'custom' ? JSON.stringify({ [customInput]: input }) : input || '{}',
  },
})

/** Text, or blocks where a document is among it. Turns must not be empty, so a result that is goes as an empty object. */
function encodeToolResult({ id, parts }: ToolResultPart, { to, dropped }: Writer): JsonObject {
  const content: JsonObject[] = []
  for (const part of parts) {
    if (part.type === 'text') {
      if (part.text !== '') content.push({ type: 'text', text: part.text })
    } else if (part.type === 'media') {
      const words = textOfFile(part)
      if (words !== undefined)
        content.push(documentBlock(compact({ title: part.name, text: words })))
      else refuseMedia(part, to, 'text or documents as the result of a tool', dropped)
    } else if (part.type === 'raw') {
      const { value } = part
      if (value.type === 'document' && isObject(value.document)) content.push(value)
      else dropped.push(`messages.${text(value.type) ?? part.wire}`)
    }
  }
  const isText = content.every((block) => block.type === 'text')
  const words = content.map((block) => text(block.text) ?? '').join('\n')
  return { role: 'tool', tool_call_id: id, content: isText ? words || '{}' : content }
}

const documentBlock = (data: JsonObject): JsonObject => ({ type: 'document', document: { data } })

/** One text is a string. */
function plainly(content: readonly JsonObject[]): Json {
  const [only] = content
  return content.length === 1 && only?.type === 'text' ? (only.text ?? '') : [...content]
}
