/** One byte out of base64 text; what cannot be read is -1, which is no byte of any header. */
export function byteAt(base64: string, at: number): number {
  const first = Math.floor(at / 3) * 4 + (at % 3)
  const high = sextet(base64.charCodeAt(first))
  const low = sextet(base64.charCodeAt(first + 1))
  if (high < 0 || low < 0) return -1
  const shift = (at % 3) * 2
  return ((high << (2 + shift)) | (low >> (4 - shift))) & 255
}

/** The six bits of a character in either alphabet of base64, -1 for any other. */
export function sextet(code: number): number {
  if (code >= 65 && code <= 90) return code - 65
  if (code >= 97 && code <= 122) return code - 71
  if (code >= 48 && code <= 57) return code + 4
  if (code === 43 || code === 45) return 62
  return code === 47 || code === 95 ? 63 : -1
}
