import { latin1, strictUtf8 } from './latin1.ts'

/**
 * The name that stands between two offsets of a body; undefined where it is not UTF-8. Bodies have the same few names
 * again and again: one that came lately is the very string it was, which spares making it (24 to 80 bytes), and its
 * readers its hash. It never is a slice of `text`: a longer slice keeps its whole parent in memory, and names live on.
 */
export function nameAt(text: string, bytes: Uint8Array, start: number, end: number) {
  let hash = 0
  for (let at = start; at < end; at++) {
    const c = text.charCodeAt(at)
    if (c > 127) return strictUtf8(bytes.subarray(start, end))
    hash = (Math.imul(hash, 31) + c) | 0
  }
  const place = (hash ^ (hash >>> 9)) & (places - 1)
  const known = lately[place]
  if (known?.length === end - start && text.startsWith(known, start)) return known
  const name = latin1(bytes, start, end)
  if (name.length <= nameMax) lately[place] = name
  return name
}

/** A power of two. A place holds the last name that fell to it, so this never grows. */
const places = 512
const nameMax = 64
const lately: string[] = new Array(places).fill('')
