import type { MediaFile } from './media.ts'

/**
 * How long a sound is, from its bytes as they pass: by the head of a WAV or FLAC file, the last page of an Ogg file, the
 * rate of an MP3 file's first frame. Undefined for what it does not know.
 */
export function soundMeter(): {
  push(bytes: Uint8Array): void
  through(bytes: MediaFile['bytes']): MediaFile['bytes']
  seconds(): number | undefined
} {
  let head: Uint8Array = new Uint8Array(0)
  let tail: Uint8Array = new Uint8Array(0)
  let size = 0
  const look = (chunk: Uint8Array): void => {
    size += chunk.length
    if (head.length < headMax) head = concat(head, chunk.subarray(0, headMax - head.length))
    tail =
      chunk.length >= tailMax
        ? chunk.slice(chunk.length - tailMax)
        : concat(tail.subarray(Math.max(0, tail.length + chunk.length - tailMax)), chunk)
  }
  async function* looked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      look(chunk)
      yield chunk
    }
  }
  return {
    push: look,
    through(bytes) {
      if (!(bytes instanceof Uint8Array)) return looked(bytes)
      look(bytes)
      return bytes
    },
    seconds() {
      const found = ofWav(head, size) ?? ofFlac(head) ?? ofOgg(head, tail) ?? ofMp3(head, size)
      return found !== undefined && Number.isFinite(found) && found >= 0 ? found : undefined
    },
  }
}

const headMax = 65_536
const tailMax = 65_536

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const tagAt = (bytes: Uint8Array, at: number, tag: string): boolean =>
  [...tag].every((letter, i) => bytes[at + i] === letter.charCodeAt(0))

function ofWav(head: Uint8Array, size: number): number | undefined {
  if (!tagAt(head, 0, 'RIFF') || !tagAt(head, 8, 'WAVE')) return undefined
  const view = viewOf(head)
  let rate = 0
  for (let at = 12; at + 8 <= head.length; ) {
    const length = view.getUint32(at + 4, true)
    if (tagAt(head, at, 'fmt ') && at + 20 <= head.length) rate = view.getUint32(at + 16, true)
    if (tagAt(head, at, 'data'))
      // A recorder that was piped does not know the length: then it is what came.
      return rate > 0 ? Math.min(length, Math.max(size - at - 8, 0)) / rate : undefined
    at += 8 + length + (length % 2)
  }
  return undefined
}

function ofFlac(head: Uint8Array): number | undefined {
  if (!tagAt(head, 0, 'fLaC') || head.length < 26) return undefined
  const view = viewOf(head)
  const rate = view.getUint32(18) >>> 12
  const samples = (view.getUint8(21) & 15) * 2 ** 32 + view.getUint32(22)
  return rate > 0 && samples > 0 ? samples / rate : undefined
}

function ofOgg(head: Uint8Array, tail: Uint8Array): number | undefined {
  if (!tagAt(head, 0, 'OggS')) return undefined
  let rate = 0
  for (let at = 28; at < Math.min(head.length - 16, 512); at++) {
    // Opus counts in 48 kHz whatever it was recorded at.
    if (tagAt(head, at, 'OpusHead')) rate = 48_000
    else if (head[at] === 1 && tagAt(head, at + 1, 'vorbis'))
      rate = viewOf(head).getUint32(at + 12, true)
    if (rate > 0) break
  }
  for (let at = tail.length - 14; at >= 0 && rate > 0; at--)
    if (tagAt(tail, at, 'OggS')) {
      const view = viewOf(tail)
      const samples = view.getUint32(at + 6, true) + view.getUint32(at + 10, true) * 2 ** 32
      return samples / rate
    }
  return undefined
}

/** By the bit rate of the first frame, or the count of frames where the file says it. */
function ofMp3(head: Uint8Array, size: number): number | undefined {
  let at = 0
  if (tagAt(head, 0, 'ID3'))
    at =
      10 +
      (((head[6] ?? 0) & 127) << 21) +
      (((head[7] ?? 0) & 127) << 14) +
      (((head[8] ?? 0) & 127) << 7) +
      ((head[9] ?? 0) & 127)
  const view = viewOf(head)
  for (; at + 4 <= head.length; at++) {
    const word = view.getUint32(at)
    if (word >>> 21 !== 0x7ff) continue
    const version = (word >>> 19) & 3
    const layer = (word >>> 17) & 3
    const bits = rates[version === 3 ? 0 : 1]?.[(word >>> 12) & 15] ?? 0
    const hz = (frequencies[(word >>> 10) & 3] ?? 0) / (version === 3 ? 1 : version === 2 ? 2 : 4)
    if (version === 1 || layer !== 1 || bits === 0 || hz === 0) continue
    const frame = version === 3 ? 1152 : 576
    for (let from = at; from < Math.min(at + 200, head.length - 12); from++)
      if (tagAt(head, from, 'Xing') || tagAt(head, from, 'Info'))
        if ((view.getUint32(from + 4) & 1) === 1) return (view.getUint32(from + 8) * frame) / hz
    return ((size - at) * 8) / (bits * 1000)
  }
  return undefined
}
/** Kilobits a second of layer III: version 1, and 2 and 2.5. */
const rates = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
]
const frequencies = [44_100, 48_000, 32_000, 0]

/** Where the last cue of subtitles ends, in seconds. */
export function lastTime(said: string): number | undefined {
  const at = said.lastIndexOf('-->')
  const found =
    at === -1
      ? null
      : /^-->\s*(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{3})/.exec(said.slice(at, at + 40))
  if (!found) return undefined
  const [, hours = '0', minutes = '0', seconds = '0', ms = '0'] = found
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) + Number(ms) / 1000
}
