import type { AuthDeps, AuthRequest, AuthScheme } from './auth.ts'
import { base64, readRsaKey, signRs256 } from './jwt.ts'
import { readNamed, refused, secretsOf, settingsOf } from './settings.ts'
import { createTokenCache } from './token.ts'

/**
 * `oci`: each request is signed with the API key of a user of Oracle Cloud
 * (https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm).
 */
export function createOciScheme(deps: AuthDeps): AuthScheme {
  const keys = createTokenCache<CryptoKey>(deps)
  return {
    open(row) {
      const settings = settingsOf(row, deps)
      const problem = settings.unset(...parameters, 'oci_key', 'oci_key_file')
      if (problem) return refused(problem)
      const said = (name: string) => settings.own(name) ?? settings.env(name.toUpperCase())
      const missing = parameters.filter((name) => !said(name))
      const pem = said('oci_key')
      const path = said('oci_key_file')
      if (missing.length > 0 || (!pem && !path))
        return refused(
          `Oracle Cloud: ${[...missing, ...(pem || path ? [] : ['oci_key or oci_key_file'])].join(', ')} is not set, neither in litellm_params nor, in capitals, in the environment`,
        )
      const keyId = [said('oci_tenancy'), said('oci_user'), said('oci_fingerprint')].join('/')
      if (!/^[\w.:/-]+$/.test(keyId))
        return refused('Oracle Cloud: oci_tenancy, oci_user or oci_fingerprint is not an id')
      const what = pem ? 'oci_key' : 'oci_key_file'
      // A file that was replaced is read again.
      const read = async () => ({
        value: await readRsaKey(pem ?? (await readNamed(path ?? '', what, deps)), what),
        expiresAt: deps.now() + (pem ? 24 : 1) * 3600_000,
      })
      const cacheKey = JSON.stringify([pem ?? '', path ?? ''])
      return {
        secrets: secretsOf(pem),
        async authorize(request) {
          await sign(request, keyId, await keys.get(cacheKey, read), deps.now())
        },
      }
    },
  }
}

async function sign(
  request: AuthRequest,
  keyId: string,
  key: CryptoKey,
  now: number,
): Promise<void> {
  const { method, url, headers, body } = request
  const { host, pathname, search } = new URL(url)
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(body))
  const said: [name: string, value: string][] = [
    ['date', new Date(now).toUTCString()],
    ['(request-target)', `${method.toLowerCase()} ${pathname}${search}`],
    ['host', host],
    ['content-length', String(body.length)],
    ['content-type', (headers['content-type'] ??= 'application/json')],
    ['x-content-sha256', base64(new Uint8Array(digest))],
  ]
  const signature = await signRs256(
    key,
    said.map(([name, value]) => `${name}: ${value}`).join('\n'),
  )
  const names = said.map(([name]) => name).join(' ')
  headers['date'] = said[0]?.[1] ?? ''
  headers['x-content-sha256'] = base64(new Uint8Array(digest))
  headers['authorization'] =
    `Signature version="1",keyId="${keyId}",algorithm="rsa-sha256",headers="${names}",signature="${base64(signature)}"`
}

const parameters = ['oci_tenancy', 'oci_user', 'oci_fingerprint'] as const
