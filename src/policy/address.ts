import type { Incoming } from '../http/http.ts'

/** Addresses: single ones, or ranges as `10.0.0.0/8` and `fd00::/8`. */
export type Ranges = { has(address: string): boolean }

export type AddressOptions = {
  /** `use_x_forwarded_for`: who is in front of us says who asks. */
  forwarded: boolean
  /** `trusted_proxy_ranges`: who of those in the header is in front of us too. */
  trusted: Ranges
}

/**
 * The client's address. Of a header that everybody on the way has added to, the last one is believed that is not one of
 * our own proxies: what stands before it the client may have written itself.
 */
export function addressOf(incoming: Incoming, { forwarded, trusted }: AddressOptions): string {
  const said = forwarded ? incoming.header('x-forwarded-for') : undefined
  if (said === undefined) return plainAddress(incoming.remoteAddress)
  const hops = said
    .slice(-2000)
    .split(',')
    .map(plainAddress)
    .filter((hop) => hop !== '')
  for (let at = hops.length - 1; at > 0; at--) {
    const hop = hops[at] ?? ''
    if (!trusted.has(hop)) return hop
  }
  return hops[0] ?? plainAddress(incoming.remoteAddress)
}

/** Without a port, brackets, a zone, and what makes IPv4 look like IPv6. */
export function plainAddress(said: string): string {
  let address = said.trim().toLowerCase()
  const bracketed = /^\[([^\]]*)\]/.exec(address)
  if (bracketed) address = bracketed[1] ?? ''
  else if (/^[\d.]+:\d+$/.test(address)) address = address.slice(0, address.indexOf(':'))
  address = address.replace(/%.*$/, '')
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(address)
  return mapped?.[1] ?? address
}

/** What is none is told to `wrong` and fits nobody. */
export function rangesOf(said: readonly string[], wrong: (one: string) => void): Ranges {
  const exact = new Set<string>()
  const ranges: { bits: number; prefix: bigint; length: 32 | 128 }[] = []
  for (const one of said) {
    const [address = '', size] = one.split('/')
    const plain = plainAddress(address)
    const number = numberOf(plain)
    if (!number) {
      wrong(one)
      continue
    }
    exact.add(canonical(number))
    if (size === undefined) continue
    const bits = /^\d{1,3}$/.test(size) ? Number(size) : -1
    if (bits < 0 || bits > number.length) {
      exact.delete(canonical(number))
      wrong(one)
      continue
    }
    const length = number.length
    ranges.push({ bits, length, prefix: number.value >> BigInt(length - bits) })
  }
  return {
    has(address) {
      const number = numberOf(plainAddress(address))
      if (!number) return false
      if (exact.has(canonical(number))) return true
      return ranges.some(
        ({ bits, length, prefix }) =>
          length === number.length && number.value >> BigInt(length - bits) === prefix,
      )
    },
  }
}

type Numbered = { value: bigint; length: 32 | 128 }
const canonical = ({ value, length }: Numbered): string => `${length}:${value}`

function numberOf(address: string): Numbered | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)
  if (four) {
    const bytes = four.slice(1).map(Number)
    if (bytes.some((byte) => byte > 255)) return undefined
    return { value: bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n), length: 32 }
  }
  if (!/^[0-9a-f:]{2,39}$/.test(address)) return undefined
  const [before = '', after, more] = address.split('::')
  if (more !== undefined) return undefined
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const missing = 8 - head.length - tail.length
  if (after === undefined ? missing !== 0 : missing < 1) return undefined
  const words = [...head, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...tail]
  if (!words.every((word) => /^[0-9a-f]{1,4}$/.test(word))) return undefined
  return {
    value: words.reduce((sum, word) => sum * 65_536n + BigInt(`0x${word}`), 0n),
    length: 128,
  }
}
