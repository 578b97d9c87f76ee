import type { MediaPart, Part, RawPart, Source, TextPart } from '../../chat/chat.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeCache, decodeContent as decodeChat, decodeUrl } from '../openai-chat/request.ts'

/** The mark of items that only this wire understands, and of parts inside a message that nobody else does. */
export const itemWire = 'openai-responses'
export const partWire = 'openai-responses.content'

/** Content of a message, of a tool's output or of an answer. */
export function decodeContent(content: Json | undefined): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return list(content).map(decodePart)
}

function decodePart(value: Json): Part {
  if (typeof value === 'string') return { type: 'text', text: value }
  const part = object(value)
  switch (part.type) {
    case 'input_text':
    case 'output_text':
    case 'text':
    case 'summary_text':
    case 'reasoning_text':
      return decodeText(part)
    case 'refusal':
      return { type: 'refusal', text: text(part.refusal) ?? '' }
    case 'input_image':
      return decodeImage(part)
    case 'input_file':
      return decodeFile(part)
    // Spelt as in chat, by clients that mix the two.
    case 'input_audio':
    case 'image_url':
    case 'video_url':
    case 'file':
      return decodeChat([part])[0] ?? rawPart(part)
    default:
      return rawPart(part)
  }
}

const rawPart = (value: JsonObject): RawPart => ({ type: 'raw', wire: partWire, value })

function decodeText(part: JsonObject): TextPart {
  const annotations = list(part.annotations).filter(isObject).map(decodeAnnotation)
  const cache = decodeCache(part.cache_control)
  return {
    type: 'text',
    text: text(part.text) ?? '',
    ...(annotations.length > 0 && { annotations }),
    ...(cache && { cache }),
    ...keptOf(part),
  }
}

/** Where the prompt's cache ends is said in this wire's own way, and goes back in it. */
const keptOf = ({ prompt_cache_breakpoint }: JsonObject): { extras?: JsonObject } =>
  isObject(prompt_cache_breakpoint) ? { extras: { prompt_cache_breakpoint } } : {}

function decodeImage(part: JsonObject): MediaPart {
  const url = text(part.image_url) ?? text(object(part.image_url).url)
  const detail = text(part.detail)
  const cache = decodeCache(part.cache_control)
  const source: Source =
    url === undefined
      ? { type: 'id', id: text(part.file_id) ?? '' }
      : typed(decodeUrl(url, undefined), 'image/png')
  return {
    type: 'media',
    media: 'image',
    source,
    ...(detail !== undefined && { detail }),
    ...(cache && { cache }),
    ...keptOf(part),
  }
}

/** Bare base64 has no type of its own. */
const typed = (source: Source, mime: string): Source =>
  source.type === 'bytes' && source.mime === 'application/octet-stream'
    ? { ...source, mime }
    : source

function decodeFile(part: JsonObject): MediaPart {
  const name = text(part.filename)
  const data = text(part.file_data)
  const url = text(part.file_url)
  const cache = decodeCache(part.cache_control)
  const mime = mimeOf(name)
  const source: Source =
    data !== undefined
      ? typed(decodeUrl(data), mime ?? 'application/pdf')
      : url !== undefined
        ? { ...decodeUrl(url), ...(mime !== undefined && { mime }) }
        : { type: 'id', id: text(part.file_id) ?? '' }
  const detail = text(part.detail)
  return {
    type: 'media',
    media: 'file',
    source,
    ...(name !== undefined && { name }),
    ...(detail !== undefined && { detail }),
    ...(cache && { cache }),
    ...keptOf(part),
  }
}

const endings: readonly [ending: string, mime: string][] = [
  ['pdf', 'application/pdf'],
  ['txt', 'text/plain'],
  ['md', 'text/markdown'],
  ['csv', 'text/csv'],
  ['html', 'text/html'],
  ['json', 'application/json'],
  ['docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['xlsx', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
  ['pptx', 'application/vnd.openxmlformats-officedocument.presentationml.presentation'],
]
function mimeOf(name: string | undefined): string | undefined {
  const ending = name?.slice(name.lastIndexOf('.') + 1).toLowerCase()
  return endings.find(([known]) => known === ending)?.[1]
}
/** A file sent as bytes must have a name, by whose ending OpenAI knows what it is. */
const nameOf = (mime: string): string =>
  `file.${endings.find(([, known]) => known === mime.toLowerCase())?.[0] ?? 'bin'}`

export type ContentWriter = {
  /** Does the client speak this wire? Then its own fields go along. */
  own: boolean
  drop(what: string): void
}

/** What somebody said to the model. */
export const encodeInput = (parts: readonly Part[], writer: ContentWriter): JsonObject[] =>
  parts.flatMap((part) => encodeInputPart(part, writer))

function encodeInputPart(part: Part, writer: ContentWriter): JsonObject[] {
  const { own, drop } = writer
  switch (part.type) {
    case 'text':
      return [compact({ type: 'input_text', text: part.text, ...(own && part.extras) })]
    case 'refusal':
      return [{ type: 'input_text', text: part.text }]
    case 'media': {
      const media = encodeMedia(part)
      if (media) return [compact({ ...media, ...(own && ownOfMedia(part)) })]
      drop(`messages[].content[].${part.media}`)
      return []
    }
    case 'raw':
      return encodeRaw(part, writer)
    case 'reasoning':
    case 'tool-call':
    case 'tool-result':
      return []
  }
}

function encodeRaw({ wire, value }: RawPart, { drop }: ContentWriter): JsonObject[] {
  if (wire === partWire) return [value]
  drop(`messages[].content[].${text(value.type) ?? wire}`)
  return []
}

const ownOfMedia = ({ extras = {} }: MediaPart): JsonObject => ({
  prompt_cache_breakpoint: extras.prompt_cache_breakpoint,
})

function encodeMedia({ media, source, detail, name }: MediaPart): JsonObject | undefined {
  const url = source.type === 'bytes' ? `data:${source.mime};base64,${source.base64}` : undefined
  switch (media) {
    case 'image':
      return source.type === 'id'
        ? { type: 'input_image', file_id: source.id, detail }
        : {
            type: 'input_image',
            image_url: source.type === 'url' ? source.url : url,
            detail: detail === undefined || details.has(detail) ? detail : 'auto',
          }
    case 'file':
      if (source.type === 'id') return { type: 'input_file', file_id: source.id, detail }
      return source.type === 'url'
        ? { type: 'input_file', file_url: source.url, filename: name, detail }
        : { type: 'input_file', filename: name ?? nameOf(source.mime), file_data: url, detail }
    case 'audio':
      if (source.type !== 'bytes') return undefined
      return {
        type: 'input_audio',
        input_audio: {
          data: source.base64,
          format: source.mime.replace(/^audio\/(x-)?/, '').replace('mpeg', 'mp3'),
        },
      }
    case 'video':
      return undefined
  }
}
const details = new Set(['low', 'high', 'auto', 'original'])

/** What the model itself said before. */
export const encodeSaid = (parts: readonly Part[], writer: ContentWriter): JsonObject[] =>
  parts.flatMap((part) => encodeSaidPart(part, writer))

function encodeSaidPart(part: Part, writer: ContentWriter): JsonObject[] {
  switch (part.type) {
    case 'text':
      return [outputText(part.text, part.annotations)]
    case 'refusal':
      return [{ type: 'refusal', refusal: part.text }]
    case 'media':
      writer.drop(`messages[].content[].${part.media}`)
      return []
    case 'raw':
      return encodeRaw(part, writer)
    case 'reasoning':
    case 'tool-call':
    case 'tool-result':
      return []
  }
}

export const outputText = (said: string, annotations: readonly JsonObject[] = []): JsonObject => ({
  type: 'output_text',
  text: said,
  annotations: annotations.flatMap(encodeAnnotation),
})

/** Chat puts a citation's fields one level deeper; citations of files are the same in both. */
export function decodeAnnotation(annotation: JsonObject): JsonObject {
  const { type, ...rest } = annotation
  return type === 'url_citation' && !isObject(rest.url_citation)
    ? { type, url_citation: rest }
    : annotation
}

/** None for citations in the words of another provider, which clients of this wire could not read. */
export function encodeAnnotation(annotation: JsonObject): JsonObject[] {
  const type = text(annotation.type) ?? ''
  if (type !== 'url_citation') return fileCitations.has(type) ? [annotation] : []
  const cited = isObject(annotation.url_citation) ? annotation.url_citation : annotation
  const url = text(cited.url)
  if (url === undefined) return []
  return [
    {
      ...cited,
      type,
      url,
      title: text(cited.title) ?? '',
      start_index: number(cited.start_index) ?? 0,
      end_index: number(cited.end_index) ?? 0,
    },
  ]
}
const fileCitations = new Set(['file_citation', 'container_file_citation', 'file_path'])
