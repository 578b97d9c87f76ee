import { createDecipheriv, createHash } from 'node:crypto'
import { gcmMark, type OpenSealed } from './litellm.ts'
import { openSecretBox } from './secret-box.ts'

/** Opens what was sealed with any of these: LITELLM_SALT_KEY as it was there, or its master key. */
export function createOpenSealed(secrets: readonly string[]): OpenSealed {
  const keys = [...new Set(secrets)].map((secret) => createHash('sha256').update(secret).digest())
  return (text) => {
    for (const key of keys) {
      const opened = text.startsWith(gcmMark)
        ? openGcm(Buffer.from(text.slice(gcmMark.length), 'base64url'), key)
        : openSecretBox(Buffer.from(text, 'base64url'), key)
      if (opened) return Buffer.from(opened).toString('utf8')
    }
    return undefined
  }
}

/** 12 bytes of nonce, the sealed text, 16 bytes of tag. */
function openGcm(bytes: Buffer, key: Buffer): Uint8Array | undefined {
  if (bytes.length < 28) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), {
    authTagLength: 16,
  })
  decipher.setAuthTag(bytes.subarray(-16))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  } catch {
    return undefined
  }
}
