import { type HeaderList, isPrintable, nameOf, trimmed } from './fields.ts'

/** The head of a plain request: one that two readers cannot understand differently. */
export type PlainHead = {
  method: string
  target: string
  headers: HeaderList
  /** Bytes of the body. */
  length: number
  /** The client wants no other answer on this connection. */
  last: boolean
}

/**
 * Reads the head of a request, a character for each byte, without the empty line. Undefined: it is not plain, and a reader
 * that knows all of HTTP has to look at it. Plain is HTTP/1.1 by the letter of RFC 9112 with one host, one length or
 * none, each header once, and nothing that changes the connection or the body's form.
 */
export function readPlainHead(head: string): PlainHead | undefined {
  if (!isPrintable(head)) return undefined
  const lineEnd = head.indexOf('\r\n')
  if (lineEnd === -1) return undefined
  const line = requestLine.exec(head.slice(0, lineEnd))
  if (!line) return undefined
  const headers: string[] = []
  let length = 0
  let last = false
  let hosts = 0
  for (let at = lineEnd; at !== -1; ) {
    const from = at + 2
    at = head.indexOf('\r\n', from)
    const end = at === -1 ? head.length : at
    const colon = head.indexOf(':', from)
    if (colon === -1 || colon > end) return undefined
    const name = nameOf(head.slice(from, colon))
    if (name === undefined || headers.length >= 2 * headersMax) return undefined
    const value = trimmed(head, colon + 1, end)
    switch (name) {
      case 'content-length':
        if (!/^\d{1,9}$/.test(value)) return undefined
        length = Number(value)
        break
      case 'host':
        if (value === '' || value.includes(' ') || value.includes(',')) return undefined
        hosts++
        break
      case 'connection': {
        const said = value.toLowerCase()
        if (said === 'close') last = true
        else if (said !== 'keep-alive') return undefined
        break
      }
      case 'transfer-encoding':
      case 'content-encoding':
      case 'trailer':
      case 'upgrade':
      case 'expect':
      case '__proto__':
        return undefined
    }
    for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return undefined
    headers.push(name, value)
  }
  if (hosts !== 1) return undefined
  return { method: line[1] ?? '', target: line[2] ?? '', headers, length, last }
}
const requestLine = /^(GET|POST|PUT|PATCH|DELETE|OPTIONS) (\/[\x21-\x22\x24-\x7e]*) HTTP\/1\.1$/

/** More than any client sends. */
const headersMax = 100
