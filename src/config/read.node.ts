import { createReadStream } from 'node:fs'

/** A text file, read no further than it must be: the path may be a pipe or a device. Throws with a `code`. */
export async function readBounded(path: string, bytesMax = fileBytesMax): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of createReadStream(path, { end: bytesMax })) {
    const bytes: Buffer = chunk
    chunks.push(bytes)
    size += bytes.length
  }
  if (size > bytesMax) throw Object.assign(new Error(`${path} is too large`), { code: 'TOO_LARGE' })
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
}

/** Some thirty thousand deployments. */
export const fileBytesMax = 4 * 1024 * 1024

/** Why a file cannot be read, in words. */
export function whyUnreadable(cause: unknown): string {
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  if (typeof code !== 'string') return 'cannot be read'
  return reasons[code] ?? `cannot be read (${code})`
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'not found (no such file)',
  ENOTDIR: 'not found (no such folder)',
  EISDIR: 'is a folder, not a file',
  EACCES: 'cannot be read: permission denied',
  TOO_LARGE: 'is larger than 4 MiB',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8 text',
}
