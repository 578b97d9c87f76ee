import type { CacheHint, MediaPart, Source } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import type { Powers } from './family.ts'
import { unique } from './names.ts'

/** `cachePoint` stands behind what it closes. */
export function encodeCache(
  cache: CacheHint | undefined,
  { cache: can, cacheHour }: Powers,
): JsonObject[] {
  if (cache === undefined || !can) return []
  const hour = cache.ttl === '1h' && cacheHour
  return [{ cachePoint: compact({ type: 'default', ttl: hour ? '1h' : undefined }) }]
}

/** Image, document, video or sound; undefined for what Bedrock cannot read. Bytes and S3 addresses only: it fetches nothing else. */
export function encodeMedia(part: MediaPart, names: DocumentNames): JsonObject | undefined {
  const where = encodeSource(part.source)
  const [kind, format] = formatOf(part) ?? []
  if (where === undefined || kind === undefined || format === undefined) return undefined
  if (kind !== 'document') return { [kind]: { format, source: where } }
  const { extras = {} } = part
  return {
    document: compact({
      format,
      name: names(part.name),
      source: where,
      context: text(extras.context),
      citations: object(extras.citations).enabled === true ? { enabled: true } : undefined,
    }),
  }
}

function encodeSource(source: Source): JsonObject | undefined {
  switch (source.type) {
    case 'bytes':
      return { bytes: source.base64 }
    case 'url':
      return isS3(source.url) ? { s3Location: { uri: source.url } } : undefined
    case 'id':
      return isS3(source.id) ? { s3Location: { uri: source.id } } : undefined
  }
}
const isS3 = (uri: string): boolean => uri.startsWith('s3://')

type Kind = 'image' | 'document' | 'video' | 'audio'

/** By the stated type, else by the ending of the name or address. */
function formatOf({ media, source, name }: MediaPart): [Kind, string] | undefined {
  const mime = source.mime?.toLowerCase().split(';')[0]?.trim() ?? ''
  const found = formats[mime]
  if (found) return found
  const place = source.type === 'url' ? source.url : source.type === 'id' ? source.id : ''
  const ending = /\.([a-z0-9]{2,4})$/i.exec(name ?? place) ?? /\.([a-z0-9]{2,4})$/i.exec(place)
  const byName = endings[ending?.[1]?.toLowerCase() ?? '']
  if (byName) return byName
  if (mime.startsWith('text/')) return ['document', 'txt']
  return mime === '' && media === 'image' ? ['image', 'png'] : undefined
}

const word = 'application/vnd.openxmlformats-officedocument'
const formats: Record<string, [Kind, string] | undefined> = {
  'image/png': ['image', 'png'],
  'image/jpeg': ['image', 'jpeg'],
  'image/jpg': ['image', 'jpeg'],
  'image/gif': ['image', 'gif'],
  'image/webp': ['image', 'webp'],
  'application/pdf': ['document', 'pdf'],
  'text/csv': ['document', 'csv'],
  'application/msword': ['document', 'doc'],
  [`${word}.wordprocessingml.document`]: ['document', 'docx'],
  'application/vnd.ms-excel': ['document', 'xls'],
  [`${word}.spreadsheetml.sheet`]: ['document', 'xlsx'],
  'text/html': ['document', 'html'],
  'text/plain': ['document', 'txt'],
  'application/json': ['document', 'txt'],
  'text/markdown': ['document', 'md'],
  'video/mp4': ['video', 'mp4'],
  'video/quicktime': ['video', 'mov'],
  'video/x-matroska': ['video', 'mkv'],
  'video/webm': ['video', 'webm'],
  'video/x-flv': ['video', 'flv'],
  'video/mpeg': ['video', 'mpeg'],
  'video/x-ms-wmv': ['video', 'wmv'],
  'video/3gpp': ['video', 'three_gp'],
  'audio/mpeg': ['audio', 'mp3'],
  'audio/mp3': ['audio', 'mp3'],
  'audio/wav': ['audio', 'wav'],
  'audio/x-wav': ['audio', 'wav'],
  'audio/flac': ['audio', 'flac'],
  'audio/ogg': ['audio', 'ogg'],
  'audio/opus': ['audio', 'opus'],
  'audio/aac': ['audio', 'aac'],
  'audio/mp4': ['audio', 'mp4'],
  'audio/m4a': ['audio', 'm4a'],
  'audio/x-m4a': ['audio', 'm4a'],
  'audio/webm': ['audio', 'webm'],
  'audio/pcm16': ['audio', 'pcm'],
  'audio/pcm': ['audio', 'pcm'],
}
const endings: Record<string, [Kind, string] | undefined> = {
  ...Object.fromEntries(
    Object.values(formats).flatMap((found) => (found ? [[found[1], found]] : [])),
  ),
  jpg: ['image', 'jpeg'],
  htm: ['document', 'html'],
  json: ['document', 'txt'],
  mp4: ['video', 'mp4'],
  webm: ['video', 'webm'],
  '3gp': ['video', 'three_gp'],
}

export type DocumentNames = (name: string | undefined) => string

/**
 * A document's name holds letters, digits, single spaces, hyphens, parentheses and brackets, and no two in a request
 * are the same (API_runtime_DocumentBlock, 2026-11). The same request always gets the same names, for the cache's sake.
 */
export function createDocumentNames(): DocumentNames {
  const free = unique([], '-')
  return (name = 'document') => {
    const bare = name.slice(0, 200).replace(/\.[a-z0-9]{2,4}$/i, '')
    const clean = bare
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .replace(/[^a-zA-Z0-9\s()[\]-]/g, '-')
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, 60)
      .trim()
    return free(clean || 'document')
  }
}

/** Anthropic's search results have a block of their own here too. */
export function encodeSearchResult(value: JsonObject): JsonObject {
  return {
    searchResult: compact({
      source: text(value.source) ?? '',
      title: text(value.title) ?? '',
      content: list(value.content)
        .filter(isObject)
        .map((part) => ({ text: text(part.text) ?? '' })),
      citations: object(value.citations).enabled === true ? { enabled: true } : undefined,
    }),
  }
}
