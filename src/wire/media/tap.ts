import type { Usage } from '../../chat/chat.ts'
import { isObject, type Json, object } from '../../json/json.ts'
import type { Measured } from './media.ts'
import type { Tap } from './operation.ts'

/** The usage in the events of a stream that passes: the last one told counts. A line that is too long is not looked at. */
export function usageTap(
  read: (usage: Json | undefined) => Usage | undefined,
  more?: (event: Json) => Measured,
): Tap {
  const decoder = new TextDecoder()
  let rest = ''
  let measured: Measured = {}
  const look = (line: string): void => {
    if (!line.startsWith('data:') || !line.includes('"usage"')) return
    try {
      const event: Json = JSON.parse(line.slice(5))
      if (!isObject(event)) return
      const usage = read(event['usage'] ?? object(event['response'])['usage'])
      if (usage) measured = { ...measured, usage }
      const units = more?.(event)
      if (units) measured = { ...measured, ...units }
    } catch {
      // Not our stream: it passes as it is.
    }
  }
  return {
    push(chunk) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      // Pictures are megabytes of one line; the usage is in lines that end.
      if (rest.length > lineMax) rest = rest.slice(-lineMax)
      for (const line of lines) look(line.trimEnd())
    },
    end() {
      look(rest)
      return measured
    },
  }
}

const lineMax = 32 * 1024 * 1024
