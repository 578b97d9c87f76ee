import { GatewayError } from '../errors.ts'
import type { Upstream } from './transport.ts'

/** Where a URL leads: what a client wants to know of it. */
export type Target = {
  origin: string
  /** As the `host` header names it. */
  host: string
  path: string
  /** The URL's login as an `authorization`. */
  login: string | undefined
}

export function targetOf(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new GatewayError(
      'bad_request',
      'the base URL of the upstream is not an http or https URL; write it as https://host/path',
    )
  return {
    origin: url.origin,
    host: url.host,
    path: url.pathname + url.search,
    login: basicLogin(url),
  }
}

/** The login in a URL, as a header. */
export function basicLogin({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  const bytes = new TextEncoder().encode(`${unescaped(username)}:${unescaped(password)}`)
  return `Basic ${btoa(String.fromCharCode(...bytes))}`
}

/** A lone percent sign in a password is meant as it stands. */
function unescaped(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Names and values by turns: the request's own headers, and what goes with every request. */
export function headersFor({ headers }: Upstream, { login }: Target): string[] {
  const list: string[] = []
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && !ofConnection.has(name)) list.push(name, value)
  }
  if (headers['accept-encoding'] === undefined) list.push('accept-encoding', 'identity')
  if (login && headers['authorization'] === undefined) list.push('authorization', login)
  return list
}

/** Of one connection, so written by the one who owns it (RFC 9110 §7.6.1). */
export const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
