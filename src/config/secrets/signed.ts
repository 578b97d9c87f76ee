import { GatewayError } from '../../errors.ts'
import { toUtf8 } from '../../json/latin1.ts'
import type { Authorize } from '../../provider/auth/auth.ts'

/** Headers of a request that proves who asks, and which of them are nobody's business. */
export async function signed(
  method: 'GET' | 'POST' | 'PUT',
  url: string,
  authorize: Authorize,
  sent: Record<string, string> = {},
  body = '',
): Promise<{
  method: 'GET' | 'POST' | 'PUT'
  headers: Record<string, string>
  secrets: string[]
}> {
  const headers = { ...sent }
  await authorize({ method, url, headers, body: toUtf8(body) })
  const secrets = Object.entries(headers).flatMap(([name, value]) =>
    name in sent ? [] : [value, value.replace(/^Bearer /, '')],
  )
  return { method, headers, secrets }
}

/** A secret cannot be kept under a name that the manager does not have, nor under another. */
export const unnameable = (who: string, name: string, letters: string): GatewayError =>
  new GatewayError(
    'bad_request',
    `${who}: ${JSON.stringify(name.slice(0, 100))} cannot be the name of a secret there, which has ${letters} only`,
  )
