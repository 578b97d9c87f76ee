import { latin1, writeLatin1 } from '../json/latin1.ts'

/**
 * The id of an answer, read off its JSON: `id` or `responseId` at the top, or `id` of the `message` or `response` a
 * stream's first event carries. A glance at the beginning, where every provider puts it; undefined where it is not there.
 */
export function idOfAnswer(json: string): string | undefined {
  let depth = 0
  let inner = false
  const end = Math.min(json.length, glanceMax)
  for (let at = 0; at < end; at++) {
    const char = json.charCodeAt(at)
    if (char === 123 || char === 91) depth++
    else if (char === 125 || char === 93) {
      if (--depth === 1) inner = false
    } else if (char === 34) {
      const close = endOfString(json, at + 1, end)
      if (close === -1) return undefined
      if (depth === 1 || (depth === 2 && inner)) {
        const name = json.slice(at + 1, close)
        const value = afterColon(json, close + 1, end)
        if (value !== -1) {
          if (depth === 1 && (name === 'message' || name === 'response')) inner = true
          if ((name === 'id' || (depth === 1 && name === 'responseId')) && json[value] === '"') {
            const stop = endOfString(json, value + 1, end)
            const id = stop === -1 ? '' : json.slice(value + 1, stop)
            return id !== '' && id.length <= idMax && !id.includes('\\') ? own(id) : undefined
          }
          at = value - 1
          continue
        }
      }
      at = close
    }
  }
  return undefined
}
const glanceMax = 16_384

/** A text of its own: a slice keeps the whole answer in memory for as long as the ledger keeps the id. */
function own(id: string): string {
  if (!/^[\x20-\x7e]*$/.test(id)) return id
  writeLatin1(letters, id, 0)
  return latin1(letters, 0, id.length)
}
const idMax = 256
/** One for all: a buffer for each id would be 200 bytes more. */
const letters = new Uint8Array(idMax)

function endOfString(json: string, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    const char = json.charCodeAt(at)
    if (char === 92) at++
    else if (char === 34) return at
  }
  return -1
}

/** Where the value of a name begins, or -1 for what is no name. */
function afterColon(json: string, from: number, end: number): number {
  let at = from
  while (at < end && json.charCodeAt(at) <= 32) at++
  if (json.charCodeAt(at) !== 58) return -1
  at++
  while (at < end && json.charCodeAt(at) <= 32) at++
  return at < end ? at : -1
}

/** The same of a stream's first bytes: the first event that has one. */
export function idOfStream(bytes: Uint8Array): string | undefined {
  const text = latin1(bytes, 0, Math.min(bytes.length, glanceMax))
  for (let from = text.indexOf('{'); from !== -1; from = text.indexOf('{', from)) {
    const line = text.indexOf('\n', from)
    const id = idOfAnswer(line === -1 ? text.slice(from) : text.slice(from, line))
    if (id !== undefined) return id
    if (line === -1) return undefined
    from = line
  }
  return undefined
}
