/** What the heads of answers have in common, whoever writes them. */

/**
 * A whole body is measured. A streamed one may promise its length and is held to it. An answer without a body may
 * tell what the body would have measured, except 204, which has none by its nature.
 */
export function lengthOf(
  method: string,
  status: number,
  promised: string | undefined,
  size: number | undefined,
): string | undefined {
  if (status === 204) return undefined
  if (method === 'HEAD') return promised ?? (size ? `${size}` : undefined)
  if (status === 304 || size === undefined) return promised
  return `${size}`
}

/** These are between the client and this door; whoever made the answer has no say in them. */
export const connectionHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Copying more than this into one write costs more than it saves. */
export const joinedMax = 16_384

/** For the bytes before a cut to leave. */
export const cutMs = 2000
