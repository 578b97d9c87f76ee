import { toUtf8 } from '../../json/latin1.ts'
import type { Authorize } from '../../provider/auth/auth.ts'

/** Headers of a request that proves who asks, and which of them are nobody's business. */
export async function signed(
  method: 'GET' | 'POST',
  url: string,
  authorize: Authorize,
  sent: Record<string, string> = {},
  body = '',
): Promise<{ method: 'GET' | 'POST'; headers: Record<string, string>; secrets: string[] }> {
  const headers = { ...sent }
  await authorize({ method, url, headers, body: toUtf8(body) })
  const secrets = Object.entries(headers).flatMap(([name, value]) =>
    name in sent ? [] : [value, value.replace(/^Bearer /, '')],
  )
  return { method, headers, secrets }
}
