import type { CacheHint, MediaPart, Part, Source, TextPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { parseJson } from '../../json/parse.ts'

/** Content of a request or an answer, block by block; what the house has no word for stays as it is. */
export function decodeBlocks(content: Json | undefined, depth = 0): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return list(content).map((value) => decodeBlock(value, depth))
}

function decodeBlock(value: Json, depth: number): Part {
  if (typeof value === 'string') return { type: 'text', text: value }
  const block = object(value)
  if (depth > deepest) return raw(block)
  const cache = decodeCache(block.cache_control)
  const hint = cache && { cache }
  switch (block.type) {
    case 'text': {
      const citations = list(block.citations).filter(isObject)
      return {
        type: 'text',
        text: text(block.text) ?? '',
        ...(citations.length > 0 && { annotations: citations }),
        ...hint,
      }
    }
    case 'image':
    case 'document':
      return decodeMedia(block, depth) ?? raw(block)
    case 'thinking': {
      const signature = text(block.signature)
      return {
        type: 'reasoning',
        text: text(block.thinking) ?? '',
        ...(signature && { signature }),
      }
    }
    case 'redacted_thinking':
      return { type: 'reasoning', text: '', redacted: text(block.data) ?? '' }
    case 'tool_use':
      return {
        type: 'tool-call',
        id: text(block.id) ?? '',
        name: text(block.name) ?? '',
        input: written(block.input ?? {}),
        ...hint,
      }
    case 'tool_result':
      return {
        type: 'tool-result',
        id: text(block.tool_use_id) ?? '',
        parts: decodeBlocks(block.content, depth + 1),
        failed: block.is_error === true,
        ...hint,
      }
    default:
      return raw(block)
  }
}

/** Blocks hold blocks: a result its content, a document its chunks. No more than this is meant. */
const deepest = 4

const raw = (value: JsonObject): Part => ({ type: 'raw', wire: 'anthropic', value })

export function decodeCache(value: Json | undefined): CacheHint | undefined {
  if (!isObject(value)) return undefined
  return value.ttl === '1h' || value.ttl === '5m' ? { ttl: value.ttl } : {}
}

export const encodeCache = (cache: CacheHint | undefined): JsonObject | undefined =>
  cache && compact({ type: 'ephemeral', ttl: cache.ttl })

const modelledOfMedia = new Set(['type', 'source', 'title', 'cache_control'])

/** Undefined when the source is one the house cannot say. */
function decodeMedia(block: JsonObject, depth: number): MediaPart | undefined {
  const given = object(block.source)
  const source = decodeSource(given, block.type === 'document', depth)
  if (source === undefined) return undefined
  const name = text(block.title)
  const cache = decodeCache(block.cache_control)
  // Text in chunks is told to others as one text; the chunks are kept for Anthropic.
  const extras = compact({
    ...extrasOf(block, modelledOfMedia),
    source: given.type === 'content' ? given : undefined,
  })
  return {
    type: 'media',
    media: block.type === 'document' ? 'file' : 'image',
    source,
    ...(name !== undefined && { name }),
    ...(cache && { cache }),
    ...(Object.keys(extras).length > 0 && { extras }),
  }
}

function decodeSource(source: JsonObject, isDocument: boolean, depth: number): Source | undefined {
  const mime = text(source.media_type)
  switch (source.type) {
    case 'base64':
      return {
        type: 'bytes',
        mime: mime ?? (isDocument ? 'application/pdf' : 'image/png'),
        base64: text(source.data) ?? '',
      }
    case 'url':
      return {
        type: 'url',
        url: text(source.url) ?? '',
        ...(isDocument && { mime: 'application/pdf' }),
      }
    case 'file':
      return { type: 'id', id: text(source.file_id) ?? '' }
    case 'text':
      return {
        type: 'bytes',
        mime: mime ?? 'text/plain',
        base64: toBase64(text(source.data) ?? ''),
      }
    case 'content': {
      const parts = decodeBlocks(source.content, depth + 1)
      if (!parts.every((part) => part.type === 'text')) return undefined
      const whole = parts.map((part) => part.text).join('\n')
      return { type: 'bytes', mime: 'text/plain', base64: toBase64(whole) }
    }
    default:
      return undefined
  }
}

/** An image or a document; undefined for what Anthropic cannot read (sound, moving pictures, office files). */
export function encodeMedia(part: MediaPart): JsonObject | undefined {
  const { source, extras } = part
  if (part.media === 'audio' || part.media === 'video') return undefined
  const mime = source.mime?.toLowerCase()
  const cache_control = encodeCache(part.cache)
  const isImage = mime === undefined ? part.media === 'image' : mime.startsWith('image/')
  if (isImage)
    return compact({
      type: 'image',
      source: isObject(extras?.source) ? extras.source : encodeSource(source),
      transformations: extras?.transformations,
      cache_control,
    })
  const isText = isTextType(mime)
  // A type nobody stated is taken for what documents mostly are.
  if (
    !isText &&
    mime !== undefined &&
    mime !== 'application/pdf' &&
    mime !== 'application/octet-stream'
  )
    return undefined
  return compact({
    type: 'document',
    source: isObject(extras?.source)
      ? extras.source
      : isText && source.type === 'bytes'
        ? { type: 'text', media_type: 'text/plain', data: fromBase64(source.base64) }
        : encodeSource(source, 'application/pdf'),
    title: part.name,
    context: extras?.context,
    citations: extras?.citations,
    cache_control,
  })
}

/**
 * Anthropic reads pictures and PDFs from https addresses, and text from none (platform.claude.com, vision and PDF support,
 * 2026-11). Sound and films it does not take.
 */
export function takesUrl({ media, source }: MediaPart): boolean {
  if (media === 'audio' || media === 'video' || source.type !== 'url') return true
  return /^https:/i.test(source.url) && !isTextType(source.mime?.toLowerCase())
}

const isTextType = (mime: string | undefined): boolean =>
  mime !== undefined && (mime.startsWith('text/') || mime === 'application/json')

function encodeSource(source: Source, mime?: string): JsonObject {
  switch (source.type) {
    case 'url':
      return { type: 'url', url: source.url }
    case 'id':
      return { type: 'file', file_id: source.id }
    case 'bytes':
      return {
        type: 'base64',
        media_type:
          mime ?? (source.mime.toLowerCase() === 'image/jpg' ? 'image/jpeg' : source.mime),
        data: source.base64,
      }
  }
}

/** `invent`: tell other providers' citations too. In a request Anthropic refuses any but its own. */
export const encodeText = (part: TextPart, invent: boolean): JsonObject => {
  const citations = (part.annotations ?? []).flatMap((annotation) =>
    encodeCitation(annotation, invent),
  )
  return compact({
    type: 'text',
    text: part.text,
    citations: citations.length > 0 ? citations : undefined,
    cache_control: encodeCache(part.cache),
  })
}

/** `at` is where the cited text stands in the answer. The citation itself travels along, for whoever sends it back. */
export function decodeCitation(
  citation: JsonObject,
  at: { start: number; end: number },
): JsonObject {
  const url =
    text(citation.url) ??
    (citation.type === 'search_result_location' ? text(citation.source) : undefined)
  if (url === undefined) return citation
  return {
    type: 'url_citation',
    url_citation: {
      url,
      title: text(citation.title) ?? '',
      start_index: at.start,
      end_index: at.end,
    },
    citation,
  }
}

export function encodeCitation(annotation: JsonObject, invent: boolean): JsonObject[] {
  if (isObject(annotation.citation)) return [annotation.citation]
  if (citationTypes.has(text(annotation.type) ?? '')) return [annotation]
  if (!invent || annotation.type !== 'url_citation') return []
  const cited = isObject(annotation.url_citation) ? annotation.url_citation : annotation
  const url = text(cited.url)
  if (url === undefined) return []
  return [
    {
      type: 'web_search_result_location',
      url,
      title: text(cited.title) ?? null,
      cited_text: text(cited.cited_text) ?? '',
      encrypted_index: '',
    },
  ]
}

const citationTypes = new Set([
  'char_location',
  'page_location',
  'content_block_location',
  'web_search_result_location',
  'search_result_location',
])

/** A call's input as the object Anthropic wants; whatever else a model or client wrote is kept under one key. */
export function parseInput(input: string, kind?: 'function' | 'custom'): JsonObject {
  if (kind === 'custom') return { [customInput]: input }
  if (input.trim() === '') return {}
  const value = parseOr(input)
  return isObject(value) ? value : { [customInput]: input }
}

/** A freeform tool is sent as a function with this one parameter. */
export const customInput = 'input'

/** Undefined for what is no JSON, and for what is nested so deeply that writing it again would end the stack. */
export function parseOr(json: string): Json | undefined {
  try {
    if (json.length > shallow) return parseJson(json)
    const value: Json = JSON.parse(json)
    return value
  } catch {
    return undefined
  }
}
/** Text of this length cannot be nested dangerously: looking first would only cost time. */
const shallow = 4000

function written(value: Json): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the input of a call is nested too deeply', { cause })
  }
}

function toBase64(said: string): string {
  const bytes = toUtf8(said)
  let binary = ''
  // In pieces: a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192)
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(binary)
}

function fromBase64(base64: string): string {
  let binary: string
  try {
    binary = atob(base64)
  } catch (cause) {
    throw new GatewayError('bad_request', 'the data of a text file is not valid base64', { cause })
  }
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
  return utf8(bytes)
}
