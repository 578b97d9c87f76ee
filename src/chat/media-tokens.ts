import { byteAt } from './base64.ts'

/**
 * Tokens of what is not text, read off its size and header without decoding it. The rules are the providers' own where
 * they publish one, and stated guesses where they do not:
 * - images: OpenAI's tiles (https://platform.openai.com/docs/guides/images-vision), Anthropic's area for Claude
 *   (https://docs.anthropic.com/en/docs/build-with-claude/vision). `auto` counts as high: it is what large images get.
 *   Where the dimensions cannot be read (a URL, a file id), 1024 × 1024 is assumed.
 * - audio: OpenAI's 10 a second; video: Gemini's 258 frames and 32 sound a second.
 * - files: text by its length, anything else 2,000 a page of 60 KB (a page costs its text and its picture).
 */
export function mediaTokens(media: CountedMedia, model: string): number {
  const { kind, base64, detail = 'auto' } = media
  const bytes = base64 === undefined ? undefined : Math.floor((base64.length * 3) / 4)
  switch (kind) {
    case 'image':
      return imageTokens(base64 === undefined ? undefined : imageSize(base64), detail, model)
    case 'audio':
      return Math.ceil(seconds(bytes, audioRate(media)) * 10)
    case 'video':
      return Math.ceil(seconds(bytes, 125_000) * 290)
    case 'file':
      if (media.mime?.startsWith('image/')) return mediaTokens({ ...media, kind: 'image' }, model)
      if (bytes !== undefined && /^text\/|json|xml|csv/.test(media.mime ?? ''))
        return Math.ceil(bytes / 4)
      return 2000 * Math.ceil((bytes ?? 1) / 60_000)
  }
}

export type CountedMedia = {
  kind: 'image' | 'audio' | 'video' | 'file'
  /** Absent: somewhere else, by URL or id. */
  base64?: string | undefined
  mime?: string | undefined
  detail?: string | undefined
}

/** A URL as a client gave it: `data:` holds the bytes, anything else is elsewhere. */
export function mediaOfUrl(kind: CountedMedia['kind'], url: string, detail?: string): CountedMedia {
  if (!url.startsWith('data:')) return { kind, detail }
  const comma = url.indexOf(',')
  // No comma near the start: not a data URL that anybody could read.
  if (comma < 0 || comma > 200) return { kind, detail }
  return { kind, base64: url.slice(comma + 1), mime: url.slice(5, comma).split(';', 1)[0], detail }
}

export type Size = { width: number; height: number }

/** Width and height from the header of a PNG, GIF, WebP or JPEG; a JPEG's segments are hopped over, not decoded. */
export function imageSize(base64: string): Size | undefined {
  const byte = (at: number): number => byteAt(base64, at)
  const big = (at: number): number => byte(at) * 256 + byte(at + 1)
  const little = (at: number): number => byte(at + 1) * 256 + byte(at)
  const is = (at: number, letters: string): boolean => {
    for (let i = 0; i < letters.length; i++)
      if (byte(at + i) !== letters.charCodeAt(i)) return false
    return true
  }
  if (is(1, 'PNG\r\n')) return size(big(16) * 65536 + big(18), big(20) * 65536 + big(22))
  if (is(0, 'GIF8')) return size(little(6), little(8))
  if (is(0, 'RIFF') && is(8, 'WEBP')) {
    if (is(12, 'VP8X'))
      return size(little(24) + byte(26) * 65536 + 1, little(27) + byte(29) * 65536 + 1)
    if (is(12, 'VP8L')) {
      const bits = little(21) + little(23) * 65536
      return size((bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1)
    }
    return is(12, 'VP8 ') ? size(little(26) & 0x3fff, little(28) & 0x3fff) : undefined
  }
  if (big(0) !== 0xffd8) return undefined
  let at = 2
  for (let segments = 0; segments < 500 && byte(at) === 0xff; segments++) {
    const marker = byte(at + 1)
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return size(big(at + 7), big(at + 5))
    // 0xFF may be repeated before a marker.
    at += marker === 0xff ? 1 : 2 + big(at + 2)
  }
  return undefined
}

const size = (width: number, height: number): Size | undefined =>
  width > 0 && height > 0 ? { width, height } : undefined

function imageTokens(known: Size | undefined, detail: string, model: string): number {
  const { width, height } = known ?? { width: 1024, height: 1024 }
  if (/claude/i.test(model)) {
    const edge = Math.min(1, 1568 / Math.max(width, height))
    return Math.max(1, Math.ceil(Math.min(1_150_000, width * edge * height * edge) / 750))
  }
  const { base, tile } = /gpt-4o-mini/.test(model)
    ? { base: 2833, tile: 5667 }
    : { base: 85, tile: 170 }
  if (detail === 'low') return base
  const fit = Math.min(1, 2048 / Math.max(width, height))
  const shrink = fit * Math.min(1, 768 / (Math.min(width, height) * fit))
  const tiles = (edge: number): number => Math.max(1, Math.ceil(Math.round(edge * shrink) / 512))
  return base + tile * tiles(width) * tiles(height)
}

/** Where nothing is known, half a minute. */
const seconds = (bytes: number | undefined, bytesPerSecond: number): number =>
  bytes === undefined ? 30 : bytes / bytesPerSecond

/** Bytes a second: WAV says it itself, raw samples are 24 kHz of 16 bits, the rest is taken for 128 kbit/s. */
function audioRate({ base64 = '', mime = '' }: CountedMedia): number {
  if (/pcm|l16/i.test(mime)) return 48_000
  if (byteAt(base64, 0) !== 0x52 || byteAt(base64, 8) !== 0x57)
    return /wav/i.test(mime) ? 48_000 : 16_000
  const rate = [31, 30, 29, 28].reduce((sum, at) => sum * 256 + byteAt(base64, at), 0)
  return rate >= 1000 && rate <= 1_000_000 ? rate : 48_000
}
