import { bytesOf } from '../../json/latin1.ts'
import type { Frame } from '../wire.ts'
import { awsFrames } from './aws-events.ts'
import type { Framer } from './frames.ts'
import { lineFrames } from './json-lines.ts'
import { sseFrames } from './sse.ts'

/**
 * SageMaker's streams: what the container wrote, cut anywhere, in the events of AWS's binary stream. Containers write
 * server-sent events or lines of JSON; the first byte tells which. Exceptions are AWS's own and stand between.
 */
export function payloadFrames(maxBytes: number): Framer {
  const outer = awsFrames(maxBytes)
  let inner: Framer | undefined
  const open = (first: string): Framer =>
    /^\s*[{[]/.test(first) ? lineFrames(maxBytes) : sseFrames(maxBytes)
  return {
    push(chunk) {
      const frames: Frame[] = []
      for (const frame of outer.push(chunk)) {
        if (frame.event?.startsWith('exception:')) frames.push(frame)
        else if (frame.data !== '') {
          inner ??= open(frame.data)
          frames.push(...inner.push(bytesOf(frame.data)))
        }
      }
      return frames
    },
    end: () => [...outer.end(), ...(inner?.end() ?? [])],
  }
}
