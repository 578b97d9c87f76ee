/** NaCl's secretbox (XSalsa20-Poly1305), opening only: what LiteLLM seals with by default, and Node has no name for. */

const nonceBytes = 24
const tagBytes = 16

/**
 * What a box holds. `box`: 24 bytes of nonce, 16 of tag, then the sealed text; `key`: 32 bytes. Undefined: the box was
 * made with another key, or is none.
 */
export function openSecretBox(box: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  if (box.length < nonceBytes + tagBytes || key.length !== 32) return undefined
  const nonce = box.subarray(0, nonceBytes)
  const tag = box.subarray(nonceBytes, nonceBytes + tagBytes)
  const sealed = box.subarray(nonceBytes + tagBytes)
  const subkey = hsalsa20(wordsOf(key), wordsOf(nonce.subarray(0, 16)))
  const stream = createStream(subkey, wordsOf(nonce.subarray(16)))
  // The first half block is the key of the tag, the text begins with the second half.
  const first = stream(0)
  if (!same(poly1305(first.subarray(0, 32), sealed), tag)) return undefined
  const opened = new Uint8Array(sealed.length)
  let block = first
  for (let at = 0; at < sealed.length; at++) {
    const place = (at + 32) % 64
    if (place === 0) block = stream((at + 32) / 64)
    opened[at] = (sealed[at] ?? 0) ^ (block[place] ?? 0)
  }
  return opened
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Uint32Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4, true))
}

function bytesOf(words: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(words.length * 4)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < words.length; at++) view.setUint32(at * 4, words[at] ?? 0, true)
  return bytes
}

/** "expand 32-byte k", in words. */
const sigma = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const

/** The sixteen words Salsa20 mixes: constants on the diagonal, the key around 16 bytes of input. */
function blockOf(key: Uint32Array, input: ArrayLike<number>): Uint32Array {
  const [s0, s1, s2, s3] = sigma
  return Uint32Array.from([
    ...[s0, ...key.subarray(0, 4), s1],
    ...Array.from(input),
    ...[s2, ...key.subarray(4), s3],
  ])
}

/** Twenty rounds, columns and rows in turn. */
function mixed(block: Uint32Array): Uint32Array {
  const x = Uint32Array.from(block)
  for (let round = 0; round < 20; round++)
    for (const quarter of round % 2 === 0 ? columns : rows) {
      const [a, b, c, d] = quarter
      x[b] = at(x, b) ^ turned(at(x, a) + at(x, d), 7)
      x[c] = at(x, c) ^ turned(at(x, b) + at(x, a), 9)
      x[d] = at(x, d) ^ turned(at(x, c) + at(x, b), 13)
      x[a] = at(x, a) ^ turned(at(x, d) + at(x, c), 18)
    }
  return x
}
const columns = [
  [0, 4, 8, 12],
  [5, 9, 13, 1],
  [10, 14, 2, 6],
  [15, 3, 7, 11],
] as const
const rows = [
  [0, 1, 2, 3],
  [5, 6, 7, 4],
  [10, 11, 8, 9],
  [15, 12, 13, 14],
] as const
const at = (words: Uint32Array, place: number): number => words[place] ?? 0
const turned = (sum: number, bits: number): number => (sum << bits) | ((sum >>> 0) >>> (32 - bits))

/** The key for one long nonce, out of its first 16 bytes. */
function hsalsa20(key: Uint32Array, input: Uint32Array): Uint32Array {
  const x = mixed(blockOf(key, input))
  return Uint32Array.from([0, 5, 10, 15, 6, 7, 8, 9].map((place) => at(x, place)))
}

/** Blocks of 64 bytes of Salsa20's key stream, by number. */
function createStream(key: Uint32Array, nonce: Uint32Array): (block: number) => Uint8Array {
  return (number) => {
    const block = blockOf(key, [...nonce, number >>> 0, Math.floor(number / 2 ** 32)])
    const x = mixed(block)
    return bytesOf(x.map((word, place) => word + at(block, place)))
  }
}

/** The tag of a text under a key that is used once: 32 bytes, the multiplier and what is added. */
function poly1305(key: Uint8Array, text: Uint8Array): Uint8Array {
  const clamped = numberOf(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn
  const prime = (1n << 130n) - 5n
  let sum = 0n
  for (let from = 0; from < text.length; from += 16) {
    const part = text.subarray(from, from + 16)
    sum = ((sum + numberOf(part) + (1n << BigInt(8 * part.length))) * clamped) % prime
  }
  let tag = sum + numberOf(key.subarray(16, 32))
  return Uint8Array.from({ length: tagBytes }, () => {
    const byte = Number(tag & 0xffn)
    tag >>= 8n
    return byte
  })
}

/** The first byte is the smallest. */
const numberOf = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

function same(a: Uint8Array, b: Uint8Array): boolean {
  let differ = a.length ^ b.length
  for (const [place, byte] of a.entries()) differ |= byte ^ (b[place] ?? 0)
  return differ === 0
}
