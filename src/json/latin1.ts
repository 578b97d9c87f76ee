/**
 * Bytes as a string of one character per byte: an offset in one is an offset in the other, and the engine's string
 * search works on bytes. Exact for all 256 values, which `TextDecoder('latin1')` is not: by the web's rules that label
 * means windows-1252, where 0x80 is the euro sign.
 */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return read === undefined ? readSlowly(bytes, start, end) : read.call(bytes, start, end)
}

/** The bytes of a string `latin1` made. */
export function bytesOf(characters: string): Uint8Array {
  const out = allocate(characters.length)
  writeLatin1(out, characters, 0)
  return out
}

/** Writes one byte per character, or for the first `length` of them, into `out`, which must have the room. */
export function writeLatin1(
  out: Uint8Array,
  characters: string,
  at: number,
  length = characters.length,
): void {
  if (write === undefined) writeSlowly(out, characters, at, length)
  else write.call(out, characters, at, length)
}

/**
 * Bytes with arbitrary content: whoever asks writes every one of them. On Node they come from Buffer's pool, which for
 * a small body takes 36 ns where `new Uint8Array` takes 570.
 */
export function allocate(length: number): Uint8Array {
  return NodeBuffer === undefined ? new Uint8Array(length) : NodeBuffer.allocUnsafe(length)
}

/** UTF-8 as text. A byte order mark is dropped; what is not UTF-8 becomes U+FFFD. */
export const utf8 = (bytes: Uint8Array): string => lenient.decode(bytes)

/**
 * UTF-8 as text, a byte order mark too: in the middle of a body (a key that begins with one, say) it is a character like
 * any other. Undefined when it is not UTF-8 throughout.
 */
export function strictUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

export const toUtf8 = (text: string): Uint8Array => encoder.encode(text)

/** Text as the characters of its bytes in UTF-8: of ASCII, as most is, the same. */
export const bytewise = (text: string): string =>
  beyondAscii.test(text) ? latin1(toUtf8(text)) : text
/** The text that bytes say, one character for each, in UTF-8. */
export const textwise = (characters: string): string =>
  beyondAscii.test(characters) ? utf8(bytesOf(characters)) : characters
const beyondAscii = /[^\x00-\x7f]/

const lenient = new TextDecoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

const NodeBuffer: typeof globalThis.Buffer | undefined = globalThis.Buffer
type Read = (this: Uint8Array, start: number, end: number) => string
type Write = (this: Uint8Array, characters: string, at: number, length: number) => number
const read = nodeRead()
const write = nodeWrite()

/**
 * Buffer's own reader takes any Uint8Array and spares the wrapping (70 ns instead of 120 for a small body). It is not
 * in Node's manual, so it is tried before it is trusted.
 */
function nodeRead(): Read | undefined {
  if (NodeBuffer === undefined) return undefined
  const found: unknown = Reflect.get(NodeBuffer.prototype, 'latin1Slice')
  const quick = found as Read // tried right below
  return passes(() => quick.call(Uint8Array.of(65, 128, 255, 66), 1, 3) === '\x80\xff')
    ? quick
    : function (start, end) {
        return NodeBuffer.from(this.buffer, this.byteOffset + start, end - start).toString('latin1')
      }
}

function nodeWrite(): Write | undefined {
  if (NodeBuffer === undefined) return undefined
  const found: unknown = Reflect.get(NodeBuffer.prototype, 'latin1Write')
  const quick = found as Write // tried right below
  const trial = new Uint8Array(4)
  return passes(() => quick.call(trial, '\x80\xff', 1, 2) === 2 && trial.join() === '0,128,255,0')
    ? quick
    : function (characters, at, length) {
        return NodeBuffer.from(this.buffer, this.byteOffset, this.length).write(
          characters,
          at,
          length,
          'latin1',
        )
      }
}

function passes(trial: () => boolean): boolean {
  try {
    return trial()
  } catch {
    return false
  }
}

function readSlowly(bytes: Uint8Array, start: number, end: number): string {
  let out = ''
  // In pieces: a call takes only so many arguments.
  for (let at = start; at < end; at += 8192)
    out += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 8192)))
  return out
}

function writeSlowly(out: Uint8Array, characters: string, at: number, length: number): void {
  for (let i = 0; i < length; i++) out[at + i] = characters.charCodeAt(i)
}
