import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8 } from '../../json/latin1.ts'

/** A private RSA key for RS256, from PEM text. `what` names the setting it came from. */
export async function readRsaKey(
  pem: string,
  what: string,
  { extractable = false } = {},
): Promise<CryptoKey> {
  const der = privateDer(pem.replaceAll('\\n', '\n'), what)
  try {
    return await crypto.subtle.importKey('pkcs8', der, rs256, extractable, ['sign'])
  } catch (cause) {
    throw wrongKey(what, 'is not an RSA private key that can be read', cause)
  }
}

/** Header and claims, signed: `alg` and `typ` are added. */
export async function signJwt(
  key: CryptoKey,
  claims: JsonObject,
  header: JsonObject = {},
): Promise<string> {
  const head = base64Url(toUtf8(JSON.stringify({ alg: 'RS256', typ: 'JWT', ...header })))
  const said = `${head}.${base64Url(toUtf8(JSON.stringify(claims)))}`
  return `${said}.${base64Url(await signRs256(key, said))}`
}

export async function signRs256(key: CryptoKey, said: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign(rs256.name, key, new Uint8Array(toUtf8(said))))
}

/** The DER inside the first PEM block of that label. */
export function derOf(pem: string, label: string): Uint8Array<ArrayBuffer> | undefined {
  const begin = `-----BEGIN ${label}-----`
  const start = pem.indexOf(begin)
  const end = start === -1 ? -1 : pem.indexOf(`-----END ${label}-----`, start)
  if (end === -1) return undefined
  return fromBase64(pem.slice(start + begin.length, end))
}

export const base64 = (bytes: Uint8Array): string => btoa(latin1(bytes))
export const base64Url = (bytes: Uint8Array): string =>
  base64(bytes)
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/={1,2}$/, '')

/** Undefined for what is not base64; both alphabets, spaces allowed. */
export function fromBase64(said: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return new Uint8Array(bytesOf(atob(said.replaceAll('-', '+').replaceAll('_', '/'))))
  } catch {
    return undefined
  }
}

function privateDer(pem: string, what: string): Uint8Array<ArrayBuffer> {
  const pkcs8 = derOf(pem, 'PRIVATE KEY')
  if (pkcs8) return pkcs8
  const pkcs1 = derOf(pem, 'RSA PRIVATE KEY')
  if (pkcs1 && !pem.includes('ENCRYPTED')) return wrapped(pkcs1)
  if (pem.includes('ENCRYPTED'))
    throw wrongKey(
      what,
      'is encrypted: give it without a passphrase (openssl pkcs8 -topk8 -nocrypt)',
    )
  throw wrongKey(what, 'holds no PEM private key (-----BEGIN PRIVATE KEY-----)')
}

/** PKCS#1 is what PKCS#8 holds, behind a fixed head that says "RSA" (RFC 5208 §5). */
function wrapped(pkcs1: Uint8Array): Uint8Array<ArrayBuffer> {
  const algorithm = [0x02, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0]
  const octets = [0x04, ...lengthOf(pkcs1.length)]
  const inside = algorithm.length + octets.length + pkcs1.length
  return new Uint8Array([0x30, ...lengthOf(inside), ...algorithm, ...octets, ...pkcs1])
}

const lengthOf = (size: number): number[] =>
  size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 255]

const wrongKey = (what: string, why: string, cause?: unknown): GatewayError =>
  new GatewayError('authentication', `${what} ${why}`, cause === undefined ? {} : { cause })

const rs256 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
