import { latin1 } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { type Framer, tooLong } from './frames.ts'

/** One JSON value a line (NDJSON). Blank lines are nothing. */
export function lineFrames(maxBytes: number): Framer {
  let rest: string[] = []
  let size = 0
  const frame = (line: string): Frame[] => {
    const data = line.trim()
    return data === '' ? [] : [{ event: undefined, data }]
  }
  return {
    push(chunk) {
      const frames: Frame[] = []
      const text = latin1(chunk)
      let from = 0
      for (let to = text.indexOf('\n'); to !== -1; to = text.indexOf('\n', from)) {
        rest.push(text.slice(from, to))
        frames.push(...frame(rest.join('')))
        rest = []
        size = 0
        from = to + 1
      }
      if (from < text.length) rest.push(text.slice(from))
      size += text.length - from
      if (size > maxBytes) throw tooLong(maxBytes)
      return frames
    },
    end() {
      const left = rest.join('')
      rest = []
      size = 0
      return frame(left)
    },
  }
}
