import { token, unwritable } from '../http/fields.ts'
import { bytesOf, latin1 } from '../json/latin1.ts'
import { HttpFault } from './h1.ts'
import { headersFor, ofConnection, type Target } from './target.ts'
import type { Upstream } from './transport.ts'

/** The head of a request, but for its last lines, which say how long the body is. */
export type Head = {
  /** A character for each byte. */
  text: string
  /** What the request's own headers say of the body's length. */
  length: number | undefined
  /** The host they name instead of the URL's. */
  host: string | undefined
}

/** Of a plain HTTP proxy. */
export type Detour = { readonly pathPrefix: string; readonly proxyLogin: string | undefined }

/**
 * A deployment sends the same headers with nearly every request, so those of late are kept for each target: to put a head
 * together anew were 25 strings of 30 bytes, and one of 300 to join them.
 */
export function headOf(request: Upstream, target: Target, detour: Detour): Head {
  const { headers, method = 'POST' } = request
  let known = recent.get(target)
  if (!known) recent.set(target, (known = []))
  for (const one of known)
    if (one.method === method && isSameWay(one, detour) && isSame(one.headers, headers))
      return one.head
  const written = write(method, headersFor(request, target), target, detour)
  if (written.text.length > keptMax) return written
  const { pathPrefix, proxyLogin } = detour
  const said = [written.text]
  for (const name in headers) said.push(name, headers[name] ?? '')
  const [text = '', ...own] = copiesOf(said)
  const head: Head = { text, length: written.length, host: written.host }
  known.push({ headers: own, head, method, pathPrefix, proxyLogin })
  // The oldest, not the least used: that would have to be noted with every request.
  if (known.length > recentMax) known.shift()
  return head
}

/** A header that is a client's was cut out of its head, and would hold all of that: 32 KB, and its key. */
function copiesOf(texts: readonly string[]): string[] {
  const all = latin1(bytesOf(texts.join('')))
  let at = 0
  return texts.map((text) => all.slice(at, (at += text.length)))
}

/** `headers`: names and values by turns. */
type Known = Detour & { method: string; headers: readonly string[]; head: Head }
const recent = new WeakMap<Target, Known[]>()
/** Keys that share one address, say. */
const recentMax = 16
/** Of a head: there may be a thousand targets. */
const keptMax = 4096

const isSameWay = (a: Detour, b: Detour): boolean =>
  a.pathPrefix === b.pathPrefix && a.proxyLogin === b.proxyLogin

function isSame(list: readonly string[], headers: Upstream['headers']): boolean {
  let at = 0
  for (const name in headers) {
    if (list[at] !== name || list[at + 1] !== headers[name]) return false
    at += 2
  }
  return at === list.length
}

function write(
  method: string,
  headers: readonly string[],
  target: Target,
  { pathPrefix, proxyLogin }: Detour,
): Head {
  let lines = ''
  let host: string | undefined
  let length: number | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = nameOf(headers[i] ?? '')
    const value = headers[i + 1] ?? ''
    if (name === '') continue
    if (unwritable.test(value)) throw new HttpFault('HTTP_UNWRITABLE', `invalid ${name} header`)
    if (name === 'host') host = value
    else if (name === 'content-length') length = Number(value)
    else lines += `${name}: ${value}\r\n`
  }
  if (proxyLogin) lines += `proxy-authorization: ${proxyLogin}\r\n`
  const text = `${method} ${pathPrefix}${target.path} HTTP/1.1\r\nhost: ${host ?? target.host}\r\nconnection: keep-alive\r\n${lines}`
  return { text, length, host }
}

/**
 * In lower case; '' for what is written here alone, however it was spelled: a second length would make two requests of
 * one. The same few names are written again and again.
 */
function nameOf(said: string): string {
  const known = names.get(said)
  if (known !== undefined) return known
  if (!token.test(said)) throw new HttpFault('HTTP_UNWRITABLE', 'invalid header name')
  const lower = said.toLowerCase()
  const name = ofConnection.has(lower) ? '' : lower
  if (said.length > 64) return name
  if (names.size >= 2000) names.clear()
  names.set(said, name)
  return name
}
const names = new Map<string, string>()
