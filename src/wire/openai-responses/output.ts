import type { MediaPart, Part, ReasoningPart, ToolCallPart } from '../../chat/chat.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import type { Notes } from '../wire.ts'
import { decodeContent, itemWire, outputText } from './content.ts'
import type { Ids } from './envelope.ts'
import { decodeCall } from './items.ts'
import { decodeThought, encodeEncrypted, thoughtItem } from './thoughts.ts'
import type { Declared } from './tools.ts'

/** One item of an answer, as parts. */
export function decodeItem(item: JsonObject, notes: Notes): Part[] {
  switch (item.type) {
    case 'message':
      return decodeContent(item.content)
    case 'reasoning':
      return [decodeThought(item)]
    case 'function_call':
    case 'custom_tool_call':
      return [callOf(item, notes)]
    case 'image_generation_call':
      return [decodeImage(item) ?? { type: 'raw', wire: itemWire, value: item }]
    default:
      return [{ type: 'raw', wire: itemWire, value: item }]
  }
}

/** A call under the name by which the client knows its tool. */
export function callOf(item: JsonObject, { toolNames }: Notes): ToolCallPart {
  const { extras: _, ...call } = decodeCall(item)
  return { ...call, name: toolNames?.get(call.name) ?? call.name }
}

export const isCall = ({ type }: JsonObject): boolean =>
  type === 'function_call' || type === 'custom_tool_call'

/** A painted picture; the rest of its item goes along for clients of this wire. */
function decodeImage(item: JsonObject): MediaPart | undefined {
  const { result, ...rest } = item
  if (typeof result !== 'string' || result === '') return undefined
  const format = text(item.output_format) ?? 'png'
  const mime = format === 'svg' ? 'image/svg+xml' : `image/${format}`
  return {
    type: 'media',
    media: 'image',
    source: { type: 'bytes', mime, base64: result },
    extras: { item: rest },
  }
}

/** Log probabilities in the shape of chat, where a choice has one list of them. */
export function logprobsOf(output: readonly Json[]): Json | undefined {
  const content = output.flatMap((item) =>
    list(object(item).content).flatMap((part) => list(object(part).logprobs)),
  )
  return content.length > 0 ? { content } : undefined
}

export type OutputWriter = {
  ids: Ids
  /** What the client calls its tools. */
  declared(name: string): Declared | undefined
}

/** A call under the name the client gave its tool. */
export function callItem(
  part: Pick<ToolCallPart, 'id' | 'name' | 'kind'>,
  { ids, declared }: OutputWriter,
): JsonObject {
  const custom = part.kind === 'custom'
  const tool = declared(part.name)
  return {
    type: custom ? 'custom_tool_call' : 'function_call',
    id: ids.next(custom ? 'ctc' : 'fc'),
    call_id: ids.keep(part.id, 'call'),
    name: tool?.name ?? part.name,
    ...(tool?.namespace !== undefined && { namespace: tool.namespace }),
  }
}

export const finishedCall = (item: JsonObject, input: string, status: string): JsonObject =>
  item.type === 'custom_tool_call'
    ? { ...item, input, status }
    : { ...item, arguments: input.trim() === '' ? '{}' : input, status }

export const messageItem = (
  id: string,
  content: JsonObject[],
  status: string,
  more?: JsonObject,
): JsonObject => ({ type: 'message', id, status, role: 'assistant', content, ...more })

/** A picture in bytes is what the image tool makes; an address can only be told in words. */
export function imageItem({ source, extras }: MediaPart, ids: Ids): JsonObject | undefined {
  if (source.type !== 'bytes') return undefined
  const own = object(extras?.item)
  return {
    output_format: source.mime.replace(/^image\//, '').replace('svg+xml', 'svg'),
    ...own,
    type: 'image_generation_call',
    id: ids.keep(text(own.id), 'ig'),
    status: 'completed',
    result: source.base64,
  }
}

export const imageWords = ({ media, source }: MediaPart): string =>
  media === 'image' && source.type === 'url' ? `![image](${source.url})` : ''

export function rawItem(value: JsonObject, ids: Ids): JsonObject {
  return { ...value, id: ids.keep(text(value.id), 'item') }
}

/** The output of a whole answer; words in a row are one message. */
export function encodeOutput(
  parts: readonly Part[],
  writer: OutputWriter,
  status: string,
): JsonObject[] {
  const output: JsonObject[] = []
  let words: JsonObject[] = []
  const { ids } = writer
  const flush = (ending: string) => {
    if (words.length > 0) output.push(messageItem(ids.next('msg'), words, ending))
    words = []
  }
  const item = (value: JsonObject | undefined) => {
    if (!value) return
    flush('completed')
    output.push(value)
  }
  parts.forEach((part, at) => {
    switch (part.type) {
      case 'text':
        words.push({ ...outputText(part.text, part.annotations), logprobs: [] })
        break
      case 'refusal':
        words.push({ type: 'refusal', refusal: part.text })
        break
      case 'reasoning':
        item(encodeThought(part, parts[at + 1], ids))
        break
      case 'tool-call':
        if (part.signature !== undefined && !isUnsigned(parts[at - 1]))
          item(thoughtItem(ids.next('rs'), '', encodeEncrypted(wordless(part.signature))))
        item(finishedCall(callItem(part, writer), part.input, 'completed'))
        break
      case 'media': {
        const image = part.media === 'image' ? imageItem(part, ids) : undefined
        if (image) item(image)
        else if (imageWords(part) !== '')
          words.push({ ...outputText(imageWords(part)), logprobs: [] })
        break
      }
      case 'raw':
        if (part.wire === itemWire) item(rawItem(part.value, ids))
        break
      case 'tool-result':
        break
    }
  })
  flush(status)
  return output
}

export const wordless = (signature: string): ReasoningPart => ({
  type: 'reasoning',
  text: '',
  signature,
})

const isUnsigned = (part: Part | undefined): boolean =>
  part?.type === 'reasoning' && part.signature === undefined && part.redacted === undefined

/** Gemini signs a call; the item of the thought before it is the only place where clients keep that. */
function encodeThought(part: ReasoningPart, next: Part | undefined, ids: Ids): JsonObject {
  const signature = isUnsigned(part) && next?.type === 'tool-call' ? next.signature : part.signature
  const encrypted = encodeEncrypted({ ...part, ...(signature !== undefined && { signature }) })
  return thoughtItem(ids.keep(part.id, 'rs'), part.text, encrypted)
}
