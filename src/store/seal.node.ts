import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
} from 'node:crypto'
import { GatewayError } from '../errors.ts'
import type { Sealer } from './seal.ts'

/**
 * AES-256-GCM under a key derived from the salt key (or what stands for it). `former`: keys that were in use before, by
 * which what they sealed can still be read.
 */
export function createSealer(secret: string, former: readonly string[] = []): Sealer {
  const keys = [secret, ...former].map(derive)
  const [current] = keys
  if (!current) throw new GatewayError('internal', 'there is no key to seal with')
  return {
    seal(text) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', current.sealing, iv)
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return `sealed:${current.id}:${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')}`
    },
    open(sealed) {
      if (!sealed.startsWith('sealed:')) return sealed
      const [, id, text = ''] = sealed.split(':')
      const key = keys.find((one) => one.id === id)
      if (!key)
        throw new GatewayError(
          'internal',
          'a secret in the database was sealed with another key: set LITELLM_SALT_KEY to the one it was stored under',
        )
      const bytes = Buffer.from(text, 'base64')
      try {
        const decipher = createDecipheriv('aes-256-gcm', key.sealing, bytes.subarray(0, 12))
        decipher.setAuthTag(bytes.subarray(12, 28))
        return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString(
          'utf8',
        )
      } catch (cause) {
        throw new GatewayError('internal', 'a secret in the database is damaged: store it again', {
          cause,
        })
      }
    },
    lookup: (key) => createHmac('sha256', current.hashing).update(key).digest('hex'),
    digest: (key) => createHash('sha256').update(key).digest('hex'),
  }
}

function derive(secret: string): { id: string; sealing: Buffer; hashing: Buffer } {
  const part = (what: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, 'throughway', what, length))
  return { id: part('id', 4).toString('hex'), sealing: part('seal', 32), hashing: part('key', 32) }
}
