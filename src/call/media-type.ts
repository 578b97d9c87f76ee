import type { MediaPart } from '../chat/chat.ts'

/**
 * What fetched bytes are, if they are what was asked for; undefined: they are not. `stated` is the server's word, `mime`
 * the client's. Pictures are believed by their first bytes, since providers refuse one that is called something else.
 */
export function mediaTypeOf(
  { kind, mime }: { kind: MediaPart['media']; mime: string | undefined },
  stated: string | undefined,
  head: Uint8Array,
): string | undefined {
  const said = essenceOf(stated)
  const hoped = essenceOf(mime)
  const seen = sniff(head)
  const says = said !== undefined && !vague.has(said)
  if (kind === 'file') return says ? agreed(said, hoped) : (seen ?? hoped)
  const fits = (type: string | undefined) =>
    type?.startsWith(`${kind}/`) === true || (kind === 'audio' && type === 'application/ogg')
  if (says && !fits(said)) return undefined
  if (seen !== undefined && !vague.has(seen)) {
    if (kind === 'image') return fits(seen) ? seen : undefined
    if (!says && fits(seen)) return seen
  }
  if (says) return said
  return kind !== 'image' && fits(hoped) ? hoped : undefined
}

/** `text/html; charset=…` → `text/html`, in its usual spelling; undefined for what is no type. */
export function essenceOf(type: string | undefined): string | undefined {
  const essence = type?.slice(0, 256).split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!/^[\w!#$&^.+-]{1,60}\/[\w!#$&^.+-]{1,100}$/.test(essence)) return undefined
  return usual.get(essence) ?? essence
}

/** A file is what its server says; where the client said something else (a PDF that is a page of HTML now), it is not the file. */
function agreed(said: string, hoped: string | undefined): string | undefined {
  if (hoped === undefined || vague.has(hoped) || hoped === said) return said
  if (isText(hoped)) return isText(said) && said !== 'text/html' ? said : undefined
  const family = (type: string) => type.split('/', 1)[0]
  return family(hoped) !== 'application' && family(hoped) === family(said) ? said : undefined
}

const isText = (type: string): boolean =>
  type.startsWith('text/') || /[/+](?:json|xml|yaml|x-yaml|javascript)$/.test(type)

/** Types that say nothing. */
const vague: ReadonlySet<string> = new Set([
  'application/octet-stream',
  'binary/octet-stream',
  'application/binary',
  'application/unknown',
  'application/x-unknown',
  'application/force-download',
  'application/download',
  'application/x-download',
])

const usual: ReadonlyMap<string, string> = new Map([
  ['image/jpg', 'image/jpeg'],
  ['image/pjpeg', 'image/jpeg'],
  ['image/x-png', 'image/png'],
  ['application/x-pdf', 'application/pdf'],
])

/** By the first bytes, as the WHATWG's MIME Sniffing Standard knows them; undefined for what has no mark. */
export function sniff(head: Uint8Array): string | undefined {
  const text = String.fromCharCode(...head.subarray(0, 16))
  const mark = marks.find(([start]) => text.startsWith(start))
  if (mark) return mark[1]
  if (text.startsWith('RIFF')) return forms.get(text.slice(8, 12))
  if (text.slice(4, 8) === 'ftyp') return brands.get(text.slice(8, 12)) ?? 'video/mp4'
  if (text.startsWith('BM') && text.slice(6, 10) === '\0\0\0\0') return 'image/bmp'
  // A frame of MP3: eleven bits set, a version that exists, the third layer.
  const [a = 0, b = 0] = head
  const isFrame = a === 0xff && (b & 0xe0) === 0xe0 && (b & 0x18) !== 0x08 && (b & 0x06) === 0x02
  return isFrame ? 'audio/mpeg' : undefined
}

const marks: readonly (readonly [start: string, type: string])[] = [
  ['\x89PNG\r\n\x1a\n', 'image/png'],
  ['\xff\xd8\xff', 'image/jpeg'],
  ['GIF87a', 'image/gif'],
  ['GIF89a', 'image/gif'],
  ['%PDF-', 'application/pdf'],
  ['ID3', 'audio/mpeg'],
  ['OggS', 'audio/ogg'],
  ['fLaC', 'audio/flac'],
  ['\x1a\x45\xdf\xa3', 'video/webm'],
]
const forms: ReadonlyMap<string, string> = new Map([
  ['WEBP', 'image/webp'],
  ['WAVE', 'audio/wav'],
  ['AVI ', 'video/avi'],
])
const brands: ReadonlyMap<string, string> = new Map([
  ['avif', 'image/avif'],
  ['avis', 'image/avif'],
  ['heic', 'image/heic'],
  ['heix', 'image/heic'],
  ['mif1', 'image/heif'],
  ['M4A ', 'audio/mp4'],
  ['M4B ', 'audio/mp4'],
  ['qt  ', 'video/quicktime'],
])
