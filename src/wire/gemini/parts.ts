import type { MediaPart, Part, Source } from '../../chat/chat.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { isOpenAis } from '../signatures.ts'
import { at, lookUp, parseOr, restOf } from './keys.ts'

/** Gives a call its id; the API names one since Gemini 3 only. */
export type IdOfCall = (call: { id: string | undefined; name: string; args: string }) => string
/** Finds the id that the call of a result has. */
export type IdOfResult = (result: { id: string | undefined; name: string }) => string

/**
 * Parts of a request or an answer; what the house has no word for stays as it is. The house keeps the signature of a
 * call on the call. That of a text or a picture it keeps on the thought before it, or on one without words: that is
 * what other dialects can carry, and `encodeConversation` puts it back.
 */
export function decodeParts(values: readonly Json[], idOf: IdOfCall, idFor?: IdOfResult): Part[] {
  const parts: Part[] = []
  for (const value of values) {
    const part = typeof value === 'string' ? { text: value } : object(value)
    const signature = standard(text(at(part, 'thoughtSignature'))) || undefined
    const call = at(part, 'functionCall')
    const result = at(part, 'functionResponse')
    if (isObject(call)) {
      parts.push(decodeCall(call, signature, idOf))
      continue
    }
    if (idFor && isObject(result)) {
      parts.push(decodeFunctionResponse(result, idFor))
      continue
    }
    if (part.thought === true && typeof part.text === 'string') {
      addThought(parts, part.text, signature)
      continue
    }
    const said = decodeSaid(part)
    if (said?.type === 'raw') {
      parts.push(said)
      continue
    }
    if (signature !== undefined) addThought(parts, '', signature)
    if (said && !(said.type === 'text' && said.text === '')) parts.push(said)
  }
  return parts
}

/**
 * A client that reads the field as bytes writes it in the URL's alphabet (python-genai does). Google takes both; others
 * sign in the usual one, and OpenAI in the URL's.
 */
const standard = (signature: string | undefined): string | undefined =>
  signature === undefined || isOpenAis(signature) || words.has(signature)
    ? signature
    : signature.replaceAll('-', '+').replaceAll('_', '/')
/** Google's own, for calls that nobody signed. */
const words = new Set(['skip_thought_signature_validator', 'context_engineering_is_the_way_to_go'])

function decodeSaid(part: JsonObject): Part | undefined {
  const inline = at(part, 'inlineData')
  const file = at(part, 'fileData')
  if (isObject(inline) || isObject(file)) return decodeMedia(part)
  if (typeof part.text === 'string' && part.thought !== true)
    return { type: 'text', text: part.text }
  const { thoughtSignature: _, thought_signature: __, thought: ___, ...rest } = part
  return Object.keys(rest).length === 0 ? undefined : { type: 'raw', wire: 'gemini', value: part }
}

/** Streams tell a thought in pieces; its signature ends it. */
function addThought(parts: Part[], said: string, signature: string | undefined): void {
  const last = parts.at(-1)
  if (last?.type === 'reasoning' && last.signature === undefined) {
    last.text += said
    if (signature !== undefined) last.signature = signature
  } else if (said !== '' || signature !== undefined)
    parts.push({ type: 'reasoning', text: said, ...(signature !== undefined && { signature }) })
}

function decodeCall(call: JsonObject, signature: string | undefined, idOf: IdOfCall): Part {
  const name = text(call.name) ?? ''
  const input = JSON.stringify(call.args ?? {})
  return {
    type: 'tool-call',
    id: idOf({ id: text(call.id) || undefined, name, args: input }),
    name,
    input,
    ...(signature !== undefined && { signature }),
  }
}

function decodeFunctionResponse(result: JsonObject, idFor: IdOfResult): Part {
  const name = text(result.name) ?? ''
  const { said, failed } = decodeResponse(object(result.response))
  const media = list(result.parts).flatMap((part) => {
    const found = decodeSaid(object(part))
    return found ? [found] : []
  })
  return {
    type: 'tool-result',
    id: idFor({ id: text(result.id) || undefined, name }),
    ...(name !== '' && { name }),
    parts: [...(said === '' ? [] : [{ type: 'text' as const, text: said }]), ...media],
    failed,
  }
}

/**
 * By convention `output` holds what the function gave and `error` what went wrong; `result` and `content` are what other
 * libraries wrap a text in. A text comes out as itself, anything else as JSON.
 */
function decodeResponse(response: JsonObject): { said: string; failed: boolean } {
  const keys = Object.keys(response)
  const [only] = keys
  if (keys.length === 0) return { said: '', failed: false }
  if (keys.length > 1 || only === undefined || !wrappers.has(only))
    return { said: JSON.stringify(response), failed: false }
  const value = response[only]
  if (typeof value !== 'string' && (only === 'result' || only === 'content'))
    return { said: JSON.stringify(response), failed: false }
  return {
    said: typeof value === 'string' ? value : JSON.stringify(value ?? null),
    failed: only === 'error',
  }
}

const wrappers = new Set(['output', 'error', 'result', 'content'])

/** Text results as the object Gemini wants: a JSON object is one already. */
export function encodeResponse(said: string, failed: boolean): JsonObject {
  if (failed) return { error: said }
  const value = /^\s*[{[]/.test(said) ? parseOr(said) : undefined
  if (isObject(value)) return value
  return { result: Array.isArray(value) ? value : said }
}

const modelledOfMedia = new Set(['inlineData', 'fileData', 'thoughtSignature', 'thought'])

function decodeMedia(part: JsonObject): MediaPart {
  const inline = at(part, 'inlineData')
  const held = isObject(inline) ? inline : object(at(part, 'fileData'))
  const mime = text(at(held, 'mimeType'))
  const name = text(at(held, 'displayName'))
  const source: Source = isObject(inline)
    ? { type: 'bytes', base64: text(inline.data) ?? '', mime: mime ?? 'application/octet-stream' }
    : decodeUri(text(at(held, 'fileUri')) ?? '', mime)
  const extras = restOf(part, modelledOfMedia)
  return {
    type: 'media',
    media: kindOf(mime ?? mimeOf(source.type === 'url' ? source.url : '')),
    source,
    ...(name !== undefined && { name }),
    ...(extras && { extras }),
  }
}

const decodeUri = (uri: string, mime: string | undefined): Source => ({
  ...(/^[a-z][a-z0-9+.-]*:/i.test(uri)
    ? { type: 'url' as const, url: uri }
    : { type: 'id' as const, id: uri }),
  ...(mime !== undefined && { mime }),
})

function kindOf(mime: string | undefined): MediaPart['media'] {
  const kind = mime?.split('/', 1)[0]?.toLowerCase()
  return kind === 'image' || kind === 'audio' || kind === 'video' ? kind : 'file'
}

/** Bytes go inline; an address goes as a file: Google's own files and buckets, YouTube, and what else it may fetch. */
export function encodeMedia(part: MediaPart): JsonObject {
  const { source, extras = {} } = part
  const own = compact({
    videoMetadata: extras.videoMetadata,
    mediaResolution: extras.mediaResolution,
    mediaProcessing: extras.mediaProcessing,
  })
  if (source.type === 'bytes')
    return { inlineData: { mimeType: mimeOfBytes(part, source.mime), data: source.base64 }, ...own }
  const uri = source.type === 'url' ? source.url : uriOfFile(source.id)
  return {
    fileData: {
      fileUri: uri,
      mimeType: source.mime ?? mimeOf(part.name ?? uri) ?? usual[part.media],
    },
    ...own,
  }
}

/** `files/abc` is how the Files API names what it keeps. */
const uriOfFile = (id: string): string =>
  /^files\/[\w-]+$/.test(id) ? `https://generativelanguage.googleapis.com/v1beta/${id}` : id

function mimeOfBytes({ media, name }: MediaPart, mime: string): string {
  const plain = mime.toLowerCase()
  if (plain === 'application/octet-stream') return mimeOf(name ?? '') ?? usual[media]
  return plain === 'image/jpg' ? 'image/jpeg' : mime
}

const usual = {
  image: 'image/jpeg',
  audio: 'audio/mpeg',
  video: 'video/mp4',
  file: 'application/pdf',
} as const satisfies Record<MediaPart['media'], string>

/** By the ending of a name or an address; Google wants a type with every file. */
export function mimeOf(name: string): string | undefined {
  if (/^https?:\/\/(?:www\.|m\.)?(?:youtube\.com|youtu\.be)\//i.test(name)) return 'video/mp4'
  const path = name.slice(-2048).replace(/[?#].*$/s, '')
  const ending = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  return lookUp(mimes, ending)
}

const mimes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  mp3: 'audio/mpeg',
  wav: 'audio/wav',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
  aac: 'audio/aac',
  m4a: 'audio/mp4',
  aiff: 'audio/aiff',
  mp4: 'video/mp4',
  mov: 'video/mov',
  webm: 'video/webm',
  mpeg: 'video/mpeg',
  mpg: 'video/mpg',
  avi: 'video/avi',
  wmv: 'video/wmv',
  flv: 'video/x-flv',
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  html: 'text/html',
  csv: 'text/csv',
  xml: 'text/xml',
  json: 'application/json',
}

/** A call's input as the object Gemini wants; whatever else a model or client wrote is kept under one key. */
export function encodeArgs(input: string, kind?: 'function' | 'custom'): JsonObject {
  if (kind === 'custom') return { [customInput]: input }
  if (input.trim() === '') return {}
  const value = parseOr(input)
  return isObject(value) ? value : { [customInput]: input }
}

/** A freeform tool is sent as a function with this one parameter. */
export const customInput = 'input'

export const customText = (input: string): string =>
  text(object(parseOr(input))[customInput]) ?? input

/** May a part carry the signature of the thought before it? */
export const isBare = (part: JsonObject | undefined): part is JsonObject =>
  part !== undefined &&
  part.thought !== true &&
  part.thoughtSignature === undefined &&
  part.text !== ''

/**
 * Encoded parts, with OpenAI's signatures on what comes after the thought: clients of this wire keep that, and leave
 * thoughts out of what they send back. Signatures of others are checked against the thought they are on.
 */
export function moveSignatures(parts: readonly JsonObject[]): JsonObject[] {
  let waiting: string | undefined
  return parts.flatMap((part, at) => {
    const signature = part.thought === true ? text(part.thoughtSignature) : undefined
    if (signature !== undefined && isOpenAis(signature) && isBare(parts[at + 1])) {
      waiting = signature
      return part.text === '' ? [] : [{ text: part.text, thought: true }]
    }
    const moved = waiting
    waiting = undefined
    return moved === undefined ? [part] : [{ ...part, thoughtSignature: moved }]
  })
}

/** What a client of this wire sees of an answer's part. */
export function encodePart(part: Part): JsonObject[] {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [{ text: part.text }]
    case 'reasoning':
      return part.text === '' && !part.signature
        ? []
        : [
            compact({
              text: part.text,
              thought: true,
              thoughtSignature: part.signature || undefined,
            }),
          ]
    case 'tool-call':
      return [
        compact({
          functionCall: compact({
            id: part.id || undefined,
            name: part.name,
            args: encodeArgs(part.input, part.kind),
          }),
          thoughtSignature: part.signature,
        }),
      ]
    case 'media':
      return [encodeMedia(part)]
    case 'raw':
      return part.wire === 'gemini' ? [part.value] : []
    case 'tool-result':
      return []
  }
}
