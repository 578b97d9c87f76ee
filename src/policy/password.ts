import { sameSecret } from './identify.ts'

/** Passwords of people who log in, as they are stored: `pbkdf2$<rounds>$<salt>$<hash>`, SHA-256, base64. */

/** OWASP's number for PBKDF2-HMAC-SHA256, 2023. */
const rounds = 600_000

export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16))
  return `pbkdf2$${rounds}$${base64(salt)}$${await derive(password, salt, rounds)}`
}

/** False also for what is no stored password. */
export async function isPassword(password: string, stored: string): Promise<boolean> {
  const [scheme, count = '', salt = '', hash = ''] = stored.split('$')
  if (scheme !== 'pbkdf2' || !/^\d{1,8}$/.test(count) || !/^[\w+/]{1,100}={0,2}$/.test(salt))
    return false
  const bytes = Uint8Array.from(atob(salt), (letter) => letter.charCodeAt(0))
  return sameSecret(await derive(password, bytes, Number(count)), hash)
}

async function derive(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<string> {
  const key = await crypto.subtle.importKey(
    'raw',
    new TextEncoder().encode(password),
    'PBKDF2',
    false,
    ['deriveBits'],
  )
  const bits = await crypto.subtle.deriveBits(
    { name: 'PBKDF2', hash: 'SHA-256', salt, iterations },
    key,
    256,
  )
  return base64(new Uint8Array(bits))
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))
