/**
 * SHA-256, or HMAC-SHA-256 where a secret is given, in the shape AWS's signer wants. Web Crypto is everywhere but slow
 * for small inputs (half a millisecond a request, each step a promise), so Node brings its own (`aws-hash.node.ts`).
 */
export type HashClass = new (secret?: HashInput) => Hash
export type HashInput = string | ArrayBuffer | ArrayBufferView
export type Hash = {
  update(data: Uint8Array): void
  digest(): Promise<Uint8Array>
  reset(): void
}

export class WebHash implements Hash {
  readonly #secret: Uint8Array<ArrayBuffer> | undefined
  #pieces: Uint8Array[] = []

  constructor(secret?: HashInput) {
    this.#secret = secret === undefined ? undefined : bytesOfInput(secret)
  }
  update(data: Uint8Array): void {
    this.#pieces.push(data)
  }
  async digest(): Promise<Uint8Array> {
    const data = await new Blob(this.#pieces.map((piece) => piece.slice())).arrayBuffer()
    if (this.#secret === undefined)
      return new Uint8Array(await crypto.subtle.digest('SHA-256', data))
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    const key = await crypto.subtle.importKey('raw', this.#secret, algorithm, false, ['sign'])
    return new Uint8Array(await crypto.subtle.sign('HMAC', key, data))
  }
  reset(): void {
    this.#pieces = []
  }
}

export function bytesOfInput(input: HashInput): Uint8Array<ArrayBuffer> {
  if (typeof input === 'string') return new TextEncoder().encode(input)
  if (input instanceof ArrayBuffer) return new Uint8Array(input)
  return new Uint8Array(input.buffer, input.byteOffset, input.byteLength).slice()
}

/** What AWS's tools name the files of their token cache by. */
export async function sha1Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
