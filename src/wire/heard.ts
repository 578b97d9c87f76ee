import { text } from '../json/json.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import { endOfString } from '../json/peek.ts'

/**
 * What a model writes, kept from frames that pass unread: to be counted in case the provider never tells the usage or
 * the client leaves. Frames are one character per byte. `begins`, a global pattern, matches what stands before the opening
 * quote of a piece; where it ends is sought by hand, since a pattern for that overflows the stack on long ones.
 */
export function createHeard(begins: RegExp): { keep(frame: string): void; text(): string } {
  let frames: string[] = []
  let size = 0
  let heard = ''

  function fold(): void {
    // Not `matchAll`, which makes a pattern and an iterator for each frame: 0.3 µs instead of 0.06.
    for (const frame of frames) {
      begins.lastIndex = 0
      while (begins.test(frame)) {
        const open = begins.lastIndex
        const end = endOfString(frame, open)
        if (end !== -1 && heard.length < heardMax) heard += frame.slice(open + 1, end - 1)
      }
    }
    frames = []
    size = 0
  }

  return {
    keep(frame) {
      size += frame.length
      if (frames.push(frame) === 64 || size > foldedSize) fold()
    },
    text() {
      fold()
      return unescaped(heard)
    },
  }
}

/** No model writes so much in one answer (two million tokens); a stream without an end must not fill our memory. */
export const heardMax = 8 * 1024 * 1024
const foldedSize = 1024 * 1024

/** JSON string content, one character per byte, as the text it says. */
function unescaped(escaped: string): string {
  try {
    const value: unknown = JSON.parse(`"${utf8(bytesOf(escaped))}"`)
    return text(value) ?? escaped
  } catch {
    return escaped
  }
}
