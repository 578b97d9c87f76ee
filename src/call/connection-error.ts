import { type FaultKind, GatewayError } from '../errors.ts'
import type { Signal } from '../http/signal.ts'

/**
 * What broke between us and an upstream, as a fault. The text names the code and what it means, and never a host, a
 * header or a proxy's login; those are in the cause. `answering`: the head of the answer had arrived.
 */
export function connectionError(cause: unknown, answering: boolean): GatewayError {
  const code = codeOf(cause)
  if (answering && !tellsMore(code))
    return new GatewayError(
      'bad_gateway',
      'the upstream closed the connection before the answer was complete',
      { cause },
    )
  const [kind, text] = meanings[code] ?? meaningOfFamily(code)
  const known = /^(?:$|UND_|HTTP_|HPE$)/.test(code) ? '' : ` (${code})`
  return new GatewayError(kind, `Connection error: ${text}${known}`, { cause })
}

/** The caller's signal was aborted. */
export function canceled(signal: Signal | undefined): GatewayError {
  return GatewayError.is(signal?.reason)
    ? signal.reason
    : new GatewayError('canceled', 'the request was canceled', { cause: signal?.reason })
}

/** The request's own body broke off; what its source says of that is passed on. */
export function uploadError(cause: unknown): GatewayError {
  return GatewayError.is(cause)
    ? cause
    : new GatewayError('bad_request', 'the body of the request could not be read', { cause })
}

/** The first code found from the outermost error inwards: `fetch` and several addresses wrap the real one. */
function codeOf(error: unknown): string {
  let at = error
  for (let depth = 0; depth < 5 && typeof at === 'object' && at !== null; depth++) {
    if ('code' in at && typeof at.code === 'string') return at.code
    // Node's fetch leaves the code of some of these out.
    if (at instanceof Error && at.name === 'HTTPParserError')
      return at.message.includes('EOF') ? 'HPE_INVALID_EOF_STATE' : 'HPE'
    at = 'cause' in at ? at.cause : undefined
  }
  return ''
}

type Meaning = readonly [FaultKind, string]

function meaningOfFamily(code: string): Meaning {
  if (code.startsWith('HPE')) return strange
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS'))
    return ['provider', 'no TLS connection could be agreed with the upstream']
  if (certificate.test(code)) return untrusted
  return ['provider', 'the upstream could not be reached']
}

const certificate = /CERT|SIGNATURE|_CRL_|ISSUER|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE/
const untrusted: Meaning = [
  'provider',
  "the upstream's TLS certificate is not trusted; give its CA with SSL_CERT_FILE or ssl_verify",
]
const closed: Meaning = ['bad_gateway', 'the upstream closed the connection without an answer']
const strange: Meaning = ['bad_gateway', 'the upstream did not answer in HTTP/1.1']
const tooLarge: Meaning = ['bad_gateway', "the head of the upstream's answer is too large"]
const shuttingDown: Meaning = ['unavailable', 'the gateway is shutting down']
const meanings: Record<string, Meaning> = {
  ECONNREFUSED: ['provider', 'connection refused by the upstream'],
  ENOTFOUND: ['provider', "the upstream's host name was not found"],
  EAI_AGAIN: ['provider', "the upstream's host name could not be looked up"],
  EHOSTUNREACH: ['provider', "the upstream's host is unreachable"],
  ENETUNREACH: ['provider', "the upstream's network is unreachable"],
  ETIMEDOUT: ['timeout', 'the upstream did not accept the connection in time'],
  ECONNRESET: closed,
  EPIPE: closed,
  ECONNABORTED: closed,
  HTTP_CLOSED: closed,
  HTTP_MALFORMED: strange,
  HTTP_HEAD_TOO_LARGE: tooLarge,
  HTTP_DESTROYED: shuttingDown,
  UND_ERR_SOCKET: closed,
  HPE_INVALID_EOF_STATE: closed,
  UND_ERR_HEADERS_OVERFLOW: tooLarge,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: closed,
  CERT_HAS_EXPIRED: ['provider', "the upstream's TLS certificate has expired"],
  UND_ERR_DESTROYED: shuttingDown,
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'provider',
    "the upstream's TLS certificate is for another host name",
  ],
}

/** Even in the middle of an answer this is not just a connection that was closed. */
const tellsMore = (code: string): boolean =>
  code === 'UND_ERR_DESTROYED' ||
  code === 'HTTP_DESTROYED' ||
  code === 'HTTP_MALFORMED' ||
  (code.startsWith('HPE') && code !== 'HPE_INVALID_EOF_STATE')
