import type { Message, Part, ReasoningPart, ToolCallPart, ToolResultPart } from '../../chat/chat.ts'
import { compact, type Json, type JsonObject, text } from '../../json/json.ts'
import { isOpenAis } from '../signatures.ts'
import { encodeInput, encodeSaid, itemWire } from './content.ts'
import { shortened, type ToolNames } from './names.ts'
import { thoughtItem } from './thoughts.ts'

export type Writer = {
  /** Does the client speak this wire? Then ids and unknown fields go along. */
  own: boolean
  names: ToolNames
  /** OpenAI refuses thoughts that another model signed. */
  onlyOpenAis: boolean
  drop(what: string): void
}

export type Conversation = { instructions?: string; input: JsonObject[] }

/** A system message at the beginning is the instructions; each later one stays in its place. */
export function encodeConversation(messages: readonly Message[], writer: Writer): Conversation {
  const instructions = messages.length > 1 ? instructionsOf(messages[0], writer) : undefined
  const customs = new Set<string>()
  const input = (instructions === undefined ? messages : messages.slice(1)).flatMap((message) =>
    encodeMessage(message, writer, customs),
  )
  const kept = writer.own ? input : input.filter((item, at) => isFollowed(item, input[at + 1]))
  return { input: kept, ...(instructions !== undefined && { instructions }) }
}

function instructionsOf(message: Message | undefined, { own }: Writer): string | undefined {
  if (message?.role !== 'system' && message?.role !== 'developer') return undefined
  const texts = message.parts.map((part) =>
    part.type === 'text' && !(own && part.extras) ? part.text : undefined,
  )
  const isPlain = texts.length > 0 && texts.every((said) => said !== undefined && said !== '')
  return isPlain ? texts.join('\n\n') : undefined
}

/** The API refuses a thought "without its required following item". */
const isFollowed = (item: JsonObject, next: JsonObject | undefined): boolean =>
  item.type !== 'reasoning' ||
  (next !== undefined && (next.type !== 'message' || next.role === 'assistant') && !isOutput(next))
const isOutput = ({ type }: JsonObject): boolean => text(type)?.endsWith('_output') ?? false

/** What one message says, as items; words in a row are one of them. */
function encodeMessage(message: Message, writer: Writer, customs: Set<string>): JsonObject[] {
  const items: JsonObject[] = []
  let words: Part[] = []
  const flush = () => {
    const item = messageItem(message, words, writer)
    if (item) items.push(item)
    words = []
  }
  for (const [at, part] of message.parts.entries()) {
    const last = words.at(-1)
    switch (part.type) {
      case 'text':
        if (last?.type === 'text' && headOf(last, writer) !== headOf(part, writer)) flush()
        words.push(part)
        break
      case 'refusal':
      case 'media':
        words.push(part)
        break
      case 'raw':
        if (part.wire !== itemWire) words.push(part)
        else {
          flush()
          items.push(part.value)
        }
        break
      case 'reasoning':
        flush()
        items.push(...encodeThought(signed(part, message.parts[at + 1]), writer))
        break
      case 'tool-call':
        flush()
        // Clients of Gemini's have the thought's encryption at the call, with the thought or without it.
        if (part.signature !== undefined && !isUnsigned(message.parts[at - 1]))
          items.push(...encodeThought(signed(wordless, part), writer))
        if (part.kind === 'custom') customs.add(part.id)
        items.push(encodeCall(part, writer))
        break
      case 'tool-result':
        flush()
        items.push(encodeResult(part, writer, customs))
        break
    }
  }
  flush()
  if (message.name !== undefined) writer.drop('messages[].name')
  return items
}

/** Texts of the same item of the model's have the same id and phase. */
const headOf = (part: Part, { own }: Writer): string => (own ? JSON.stringify(ownOfItem(part)) : '')

function ownOfItem(part: Part | undefined): JsonObject {
  if (part?.type !== 'text' || !part.extras) return {}
  const { prompt_cache_breakpoint: _, ...rest } = part.extras
  return rest
}

function messageItem(message: Message, words: Part[], writer: Writer): JsonObject | undefined {
  if (words.length === 0) return undefined
  const role = message.role === 'tool' ? 'user' : message.role
  const only = words.length === 1 ? words[0] : undefined
  if (role !== 'assistant') {
    if (only?.type === 'text' && !(writer.own && only.extras))
      return { type: 'message', role, content: only.text }
    const content = encodeInput(words, writer)
    return content.length > 0 ? { type: 'message', role, content } : undefined
  }
  const head = writer.own ? ownOfItem(words.find(({ type }) => type === 'text')) : {}
  // The short form is the one that every server reads.
  if (only?.type === 'text' && !only.annotations && head.id === undefined)
    return { type: 'message', role, content: only.text, ...head }
  const content = encodeSaid(words, writer)
  return content.length > 0
    ? { type: 'message', role, status: 'completed', content, ...head }
    : undefined
}

const isUnsigned = (part: Part | undefined): boolean =>
  part?.type === 'reasoning' && part.signature === undefined && part.redacted === undefined

/** With the signature of the call after it, where only that has one, and it is OpenAI's. */
function signed(thought: ReasoningPart, next: Part | undefined): ReasoningPart {
  const signature = next?.type === 'tool-call' ? next.signature : undefined
  return signature !== undefined && isUnsigned(thought) && isOpenAis(signature)
    ? { ...thought, signature }
    : thought
}

const wordless: ReasoningPart = { type: 'reasoning', text: '' }

/** Without its encrypted content a thought means nothing to the API, unless it has kept the thought itself. */
function encodeThought(
  { text: said, signature, redacted, id }: ReasoningPart,
  { own, onlyOpenAis }: Writer,
): JsonObject[] {
  if (redacted !== undefined) return []
  if (signature !== undefined && onlyOpenAis && !isOpenAis(signature)) return []
  if (signature === undefined && !(own && id !== undefined)) return []
  const { id: _, ...item } = thoughtItem('', said, signature)
  return [own && id !== undefined ? { ...item, id } : item]
}

function encodeCall(part: ToolCallPart, { own, names }: Writer): JsonObject {
  const said =
    part.kind === 'custom'
      ? { type: 'custom_tool_call', input: part.input }
      : { type: 'function_call', arguments: part.input.trim() === '' ? '{}' : part.input }
  return {
    ...said,
    call_id: callId(part.id, own),
    name: names.of(part.name),
    ...(own && part.extras),
  }
}

const callId = (id: string, own: boolean): string => (own ? id : shortened(id || 'call'))

function encodeResult(part: ToolResultPart, writer: Writer, customs: Set<string>): JsonObject {
  const isCustom = part.kind === 'custom' || customs.has(part.id)
  return compact({
    type: isCustom ? 'custom_tool_call_output' : 'function_call_output',
    call_id: callId(part.id, writer.own),
    output: encodeOutput(part.parts, writer),
    ...(writer.own && { name: part.name, ...part.extras }),
  })
}

/** One text as a string, which is how everybody says it. */
function encodeOutput(parts: readonly Part[], writer: Writer): Json {
  const only = parts.length === 1 ? parts[0] : undefined
  if (only?.type === 'text' && !(writer.own && only.extras)) return only.text
  const content = encodeInput(parts, writer)
  return content.length > 0 ? content : ''
}
