import type { Signal } from '../http/signal.ts'
import { allocate } from '../json/latin1.ts'
import type { InboxBody } from './inbox.ts'

/** The only way out of the house. One implementation per runtime; a mock is one more. */
export type Transport = (request: Upstream) => Promise<Reply>

export type Upstream = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  /** Lower-case names. */
  headers: Record<string, string>
  body?: Uint8Array | string | AsyncIterable<Uint8Array>
  /** Aborting ends the upstream request at once, whatever state it is in. */
  signal?: Signal | undefined
  limits?: Limits | undefined
  /** TLS and proxy settings of the deployment; absent: the process's. */
  connection?: Connection | undefined
}

/** Milliseconds; absent or 0 means no limit. Passing one is a `timeout` fault that names the limit. */
export type Limits = {
  connectMs?: number
  /** From sending the request to the answer's head. */
  firstByteMs?: number
  /** Between two reads of the answer's body. */
  idleMs?: number
  /** From the start to the last byte. */
  totalMs?: number
}

/** Plain values (PEM texts, not paths), so that equal settings share one pool. */
export type Connection = {
  verifyTls?: boolean
  ca?: string
  clientCert?: string
  clientKey?: string
  clientKeyPassphrase?: string
  /** Proxy URL, or '' for none; absent: HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide. */
  proxy?: string
}

/** Its functions are called on it, not taken out of it. */
export type Reply = {
  status: number
  header(name: string): string | undefined
  /** Every header, lower-case names; several values joined with ", ". */
  headers(): Record<string, string>
  /** The same one by one, where no copy is wanted; absent where that saves nothing. */
  eachHeader?(tell: (name: string, value: string) => void): void
  /** The body as it comes, decompressed. Read once. Leaving the loop early closes the upstream connection. Slow readers slow the upstream (back-pressure). */
  body: AsyncIterable<Uint8Array> | InboxBody
  /** The whole body; cheaper than the loop. More than `max` bytes is a `bad_gateway` fault. */
  bytes(max?: number): Promise<Uint8Array>
  /** The same where all of it is here already, as of a short answer; undefined, or absent: `bytes` has to be waited for. */
  ready?(max?: number): Uint8Array | undefined
}

/** Joins what an iterable gives. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return join(chunks)
}

export function join(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1 && chunks[0]) return chunks[0]
  let size = 0
  for (const chunk of chunks) size += chunk.length
  const out = allocate(size)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}
