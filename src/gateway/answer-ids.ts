import { toUtf8, utf8 } from '../json/latin1.ts'

/**
 * Ids that carry what the gateway must know again, also after a restart or at another gateway with the same secret, and
 * that work for their owner only: nobody can read them, change them, or use those of another.
 */
export type AnswerIds = {
  /** The texts as one opaque word. The same texts give the same word. */
  seal(owner: string, texts: readonly string[]): string
  /** The texts again; undefined for what was not sealed here for this owner. */
  open(owner: string, sealed: string): string[] | undefined
}

/**
 * Authenticated encryption of the synthetic-IV kind (RFC 5297) with SipHash-2-4 as its only function: the tag of owner
 * and texts is also where the key stream begins. Synchronous, since ids are written in the middle of a stream, and made
 * of nothing a runtime might lack. 30 µs for a usual id.
 */
export function createAnswerIds(secret: string): AnswerIds {
  const seed = toUtf8(secret)
  const derive = (purpose: number): Uint8Array =>
    sipHash(
      Uint8Array.from({ length: 16 }, () => purpose),
      seed,
    )
  const [tagKey, streamKey] = [derive(1), derive(2)]

  function tagOf(owner: string, plain: Uint8Array): Uint8Array {
    const who = toUtf8(owner)
    // With its length, so that no owner and text are another owner and another text.
    const all = new Uint8Array(4 + who.length + plain.length)
    new DataView(all.buffer).setUint32(0, who.length)
    all.set(who, 4)
    all.set(plain, 4 + who.length)
    return sipHash(tagKey, all)
  }

  function mix(tag: Uint8Array, text: Uint8Array): Uint8Array {
    const out = new Uint8Array(text.length)
    const block = new Uint8Array(20)
    block.set(tag)
    let stream = tag
    for (let at = 0; at < text.length; at++) {
      if (at % 16 === 0) {
        new DataView(block.buffer).setUint32(16, at / 16)
        stream = sipHash(streamKey, block)
      }
      out[at] = (text[at] ?? 0) ^ (stream[at % 16] ?? 0)
    }
    return out
  }

  return {
    seal(owner, texts) {
      const plain = toUtf8(texts.join('\0'))
      const tag = tagOf(owner, plain)
      const whole = new Uint8Array(16 + plain.length)
      whole.set(tag)
      whole.set(mix(tag, plain), 16)
      return base64url(whole)
    },
    open(owner, sealed) {
      const whole = bytesOf(sealed)
      if (!whole || whole.length < 16) return undefined
      const tag = whole.subarray(0, 16)
      const plain = mix(tag, whole.subarray(16))
      return same(tag, tagOf(owner, plain)) ? utf8(plain).split('\0') : undefined
    },
  }
}

/** Takes as long for a near miss as for a far one. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  let differ = a.length ^ b.length
  for (let at = 0; at < a.length; at++) differ |= (a[at] ?? 0) ^ (b[at] ?? 0)
  return differ === 0
}

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')

function bytesOf(sealed: string): Uint8Array | undefined {
  if (sealed.length > sealedMax || !/^[\w-]*$/.test(sealed)) return undefined
  try {
    return Uint8Array.from(atob(sealed.replaceAll('-', '+').replaceAll('_', '/')), (one) =>
      one.charCodeAt(0),
    )
  } catch {
    return undefined
  }
}
const sealedMax = 4096

/** SipHash-2-4 with 128 bits of result (Aumasson and Bernstein), its 64-bit words as halves: BigInt takes ten times as long. */
export function sipHash(key: Uint8Array, data: Uint8Array): Uint8Array {
  const k = new DataView(key.buffer, key.byteOffset, 16)
  const [k0l, k0h, k1l, k1h] = [0, 4, 8, 12].map((at) => k.getUint32(at, true)) as Four
  // Low half, high half, of v0 to v3: the constants spell "somepseudorandomlygeneratedbytes".
  const v = Int32Array.of(
    k0l ^ 0x70736575,
    k0h ^ 0x736f6d65,
    k1l ^ 0x6e646f6d ^ 0xee,
    k1h ^ 0x646f7261,
    k0l ^ 0x6e657261,
    k0h ^ 0x6c796765,
    k1l ^ 0x79746573,
    k1h ^ 0x74656462,
  )
  const padded = new DataView(new ArrayBuffer((Math.floor(data.length / 8) + 1) * 8))
  for (const [at, byte] of data.entries()) padded.setUint8(at, byte)
  padded.setUint8(padded.byteLength - 1, data.length & 0xff)
  for (let at = 0; at < padded.byteLength; at += 8) {
    const low = padded.getUint32(at, true)
    const high = padded.getUint32(at + 4, true)
    xor(v, 3, low, high)
    rounds(v, 2)
    xor(v, 0, low, high)
  }
  const out = new DataView(new ArrayBuffer(16))
  xor(v, 2, 0xee, 0)
  rounds(v, 4)
  write(out, 0, v)
  xor(v, 1, 0xdd, 0)
  rounds(v, 4)
  write(out, 8, v)
  return new Uint8Array(out.buffer)
}

type Four = [number, number, number, number] // made from a list of four right there

function xor(v: Int32Array, word: number, low: number, high: number): void {
  v[word * 2] = (v[word * 2] ?? 0) ^ low
  v[word * 2 + 1] = (v[word * 2 + 1] ?? 0) ^ high
}

function add(v: Int32Array, to: number, from: number): void {
  const low = ((v[to * 2] ?? 0) >>> 0) + ((v[from * 2] ?? 0) >>> 0)
  v[to * 2] = low
  v[to * 2 + 1] = (v[to * 2 + 1] ?? 0) + (v[from * 2 + 1] ?? 0) + (low > 0xffffffff ? 1 : 0)
}

/** Rotates to the left; 32 and more change the halves. */
function turn(v: Int32Array, word: number, by: number): void {
  const [a, b] = [v[word * 2] ?? 0, v[word * 2 + 1] ?? 0]
  const [low, high] = by >= 32 ? [b, a] : [a, b]
  const rest = by % 32
  v[word * 2] = rest === 0 ? low : (low << rest) | (high >>> (32 - rest))
  v[word * 2 + 1] = rest === 0 ? high : (high << rest) | (low >>> (32 - rest))
}

function mixIn(v: Int32Array, to: number, from: number, by: number): void {
  add(v, to, from)
  turn(v, from, by)
  xor(v, from, v[to * 2] ?? 0, v[to * 2 + 1] ?? 0)
}

function rounds(v: Int32Array, count: number): void {
  for (let round = 0; round < count; round++) {
    mixIn(v, 0, 1, 13)
    turn(v, 0, 32)
    mixIn(v, 2, 3, 16)
    mixIn(v, 0, 3, 21)
    mixIn(v, 2, 1, 17)
    turn(v, 2, 32)
  }
}

function write(out: DataView, at: number, v: Int32Array): void {
  const half = (odd: number) =>
    (v[odd] ?? 0) ^ (v[2 + odd] ?? 0) ^ (v[4 + odd] ?? 0) ^ (v[6 + odd] ?? 0)
  out.setInt32(at, half(0), true)
  out.setInt32(at + 4, half(1), true)
}
