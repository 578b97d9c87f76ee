import { bytesOf, latin1 } from '../json/latin1.ts'

/** The parts of an HTTP/1.1 head (RFC 9112 §5) that requests and answers share. A text has a character for each byte. */

/** Names (lower case) and values by turns; a name stands there once, its values joined with ", ". */
export type HeaderList = readonly string[]

/**
 * No control characters but tabs, and no half of a line end. A regular expression for it makes reading an answer a tenth
 * dearer.
 */
export function isPrintable(head: string): boolean {
  for (let at = 0; at < head.length; at++) {
    const code = head.charCodeAt(at)
    if (code >= space && code !== 127) continue
    if (code === cr && head.charCodeAt(at + 1) === lf) at++
    else if (code !== tab) return false
  }
  return true
}

/** The name in lower case; undefined where it is none. Peers send the same few names again and again. */
export function nameOf(written: string): string | undefined {
  const known = names.get(written)
  if (known !== undefined) return known
  if (!token.test(written)) return undefined
  // A copy: what is cut out of a head holds all of it.
  const own = latin1(bytesOf(written))
  const name = own.toLowerCase()
  if (name.length > 64) return name
  if (names.size >= 2000) names.clear()
  names.set(own, name)
  return name
}
const names = new Map<string, string>()

/** RFC 9110 §5.6.2. */
export const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** What no value may hold (RFC 9110 §5.5): a line end would begin a header, or a body, of somebody else's making. */
export const unwritable = /[^\t\x20-\x7e\x80-\xff]/

/** `name` in lower case. */
export function fieldIn(headers: HeaderList, name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return headers[at + 1]
  return undefined
}

/** What stands between the blanks. */
export function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

export const isBlank = (code: number): boolean => code === space || code === tab
export const isControl = (code: number): boolean => (code < space && code !== tab) || code === 127

const cr = 13
const lf = 10
const space = 32
const tab = 9
