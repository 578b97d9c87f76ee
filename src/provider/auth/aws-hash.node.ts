import { createHash, createHmac } from 'node:crypto'
import { bytesOfInput, type Hash, type HashInput } from './aws-hash.ts'

/** Node's own SHA-256: 36 µs to sign a request of 8 KB. */
export class NodeHash implements Hash {
  readonly #secret: Uint8Array | undefined
  #state: ReturnType<typeof createHash> | ReturnType<typeof createHmac>

  constructor(secret?: HashInput) {
    this.#secret = secret === undefined ? undefined : bytesOfInput(secret)
    this.#state = begin(this.#secret)
  }
  update(data: Uint8Array): void {
    this.#state.update(data)
  }
  async digest(): Promise<Uint8Array> {
    return this.#state.digest()
  }
  reset(): void {
    this.#state = begin(this.#secret)
  }
}

const begin = (secret: Uint8Array | undefined) =>
  secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
