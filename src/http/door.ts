import { faults, GatewayError } from '../errors.ts'
import type { Outgoing } from './http.ts'

/** What every door decides alike: where a request goes, how much it may send, how a refusal looks. */
export type BodyLimits = {
  /** Bytes on the wire. */
  bytes: number
  /** Bytes once decompressed. */
  decompressedBytes: number
  /** A body must bring `progressBytes` (or end) in each such span. */
  idleMs: number
}

/** A client that sends less than this in a whole idle span is as good as silent. */
export const progressBytes = 4096

export const defaultBodyLimits: BodyLimits = {
  bytes: 64 * 1024 * 1024,
  decompressedBytes: 64 * 1024 * 1024,
  idleMs: 60_000,
}

/**
 * Path and query of a request target. An absolute one (`GET http://host/path`) counts by its path alone, and
 * nothing is normalised: what the handler routes by is what was sent.
 */
export function targetOf(target: string, root: string): { path: string; query: string } {
  let start = 0
  if (target.charCodeAt(0) !== slash && target !== '*') {
    const scheme = target.indexOf('://')
    const rest = scheme === -1 ? -1 : target.slice(scheme + 3).search(/[/?#]/)
    start = rest === -1 ? target.length : scheme + 3 + rest
  }
  const mark = target.indexOf('?', start)
  const sent = target.slice(start, mark === -1 ? target.length : mark)
  const path = withoutRoot(sent.charCodeAt(0) === slash || sent === '*' ? sent : `/${sent}`, root)
  return { path, query: mark === -1 ? '' : target.slice(mark + 1) }
}

/** Requests without the prefix are served too: some proxies strip it and some do not. */
function withoutRoot(path: string, root: string): string {
  if (root === '' || !path.startsWith(root)) return path
  if (path.length === root.length) return '/'
  return path.charCodeAt(root.length) === slash ? path.slice(root.length) : path
}

/** `/a/b` of whatever was written: `a/b`, `/a/b/`, ` /a/b`. Empty for none. */
export function rootOf(written: string | undefined): string {
  const names = (written ?? '').trim().split('/')
  return names
    .filter((name) => name !== '')
    .map((name) => `/${name}`)
    .join('')
}

/** The answer when the handler could not give one, in OpenAI's shape. */
export function faultAnswer(error: GatewayError): Outgoing {
  const body = {
    error: {
      message: error.message,
      type: error.type ?? faults[error.kind].openai,
      param: error.param ?? null,
      code: error.code ?? String(error.status),
    },
  }
  const headers: Record<string, string> = { ...error.headers, 'content-type': 'application/json' }
  if (error.retryAfter !== undefined) headers['retry-after'] = error.retryAfter
  return { status: error.status, headers, body: JSON.stringify(body) }
}

/** What only a fault of ours can cause; all else is the client's or the provider's doing. */
export const isUnexpected = (error: unknown): boolean =>
  !GatewayError.is(error) || error.kind === 'internal'

/** Status 204 and 304 and answers to HEAD have a head and nothing else. */
export const isBodiless = (method: string, status: number): boolean =>
  method === 'HEAD' || status === 204 || status === 304

export const tooLarge = (bytes: number): GatewayError =>
  new GatewayError(
    'too_large',
    `The request body is larger than the limit of ${sizeOf(bytes)}; send less at a time`,
  )

export const tooSlow = (ms: number): GatewayError =>
  new GatewayError(
    'timeout',
    `The request body stopped arriving for ${ms / 1000} seconds; send it again`,
  )

export const clientGone = (): GatewayError =>
  new GatewayError('canceled', 'The client closed the connection before the answer was complete')

export const unknownEncoding = (encoding: string, known: readonly string[]): GatewayError =>
  new GatewayError(
    'bad_request',
    `The content-encoding ${JSON.stringify(encoding.slice(0, 40))} is not supported; use ${known.join(', ')} or none`,
    { status: 415, headers: { 'accept-encoding': known.join(', ') } },
  )

export const badEncoding = (encoding: string, cause: unknown): GatewayError =>
  new GatewayError('bad_request', `The request body is not valid ${encoding}`, { cause })

export const bodyTaken = (): GatewayError =>
  new GatewayError('internal', 'Internal server error', {
    cause: new Error('a request body can be read once: stream() was called before'),
  })

function sizeOf(bytes: number): string {
  if (bytes >= 1024 * 1024 && bytes % (1024 * 1024) === 0) return `${bytes / (1024 * 1024)} MB`
  if (bytes >= 1024 && bytes % 1024 === 0) return `${bytes / 1024} KB`
  return `${bytes} bytes`
}

const slash = 47
