/**
 * Which addresses the gateway fetches nothing from when a client names the URL: everything that is not the public
 * internet (RFC 6890 and the IANA special-purpose registries, 2026-11), and what a cloud answers its own machines on.
 * Text that is no plain address is forbidden too: whoever asks has resolved the name before.
 */
export function isForbidden(ip: string): boolean {
  const four = readFour(ip)
  if (four !== undefined) return isForbiddenFour(four)
  const six = readSix(ip)
  return six === undefined || isForbiddenSix(six)
}

/** Hosts the operator lets clients name all the same. As LiteLLM: as the URL spells it, `host` for any port or `host:port`. */
export type AllowedHosts = { has(url: URL): boolean }

export function createAllowedHosts(entries: readonly string[]): AllowedHosts {
  const known = new Set(entries.flatMap(spellingsOf))
  return {
    has: (url) => {
      const host = withoutDot(url.hostname)
      return known.has(host) || known.has(`${host}:${portOf(url)}`)
    },
  }
}

/** Why a URL is not even looked up; undefined: it may be. `trusted`: the operator allowed the host, or everything. */
export function objectionTo(url: URL, trusted: boolean): string | undefined {
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return 'only https addresses are fetched'
  if (url.username !== '' || url.password !== '')
    return 'an address with a login in it is not fetched'
  if (trusted) return undefined
  if (url.protocol === 'http:') return `only https addresses are fetched (${hint})`
  if (!usualPorts.has(portOf(url))) return `only the usual port of https is fetched from (${hint})`
  return undefined
}

/** What an operator can do about it. */
export const hint = 'the operator can allow a host with user_url_allowed_hosts'

/** A name that does not exist and one that leads inside are told alike: nobody learns what names the network has. */
export const notPublic = `its host has no public address (${hint})`

/** As sockets and certificates name a host: no brackets, no dot at the end. */
export const hostOf = (url: URL): string => withoutDot(url.hostname).replace(/^\[([^\]]*)\]$/, '$1')

export const portOf = (url: URL): number =>
  url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)

const usualPorts: ReadonlySet<number> = new Set([80, 443])

const withoutDot = (host: string): string => host.replace(/(.)\.$/, '$1')

/** The URL parser knows every way to write a host; the port is read apart, since it hides the usual one. */
function spellingsOf(entry: string): string[] {
  const text = entry.trim().replace(/^https?:\/\//i, '')
  const bare = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) ? `[${text}]` : text
  const [, host = '', port] = /^(\[[^\]]*\]|[^:/?#@\\]+)(?::(\d{1,5}))?\/?$/.exec(bare) ?? []
  if (!URL.canParse(`http://${host}`)) return []
  const name = withoutDot(new URL(`http://${host}`).hostname)
  return [port === undefined ? name : `${name}:${Number(port)}`]
}

/** Four decimal numbers and nothing else: other spellings are the URL parser's business, and refused here. */
function readFour(text: string): number | undefined {
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!found) return undefined
  let value = 0
  for (const part of found.slice(1)) {
    // A leading zero is octal to some readers.
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined
    value = value * 256 + Number(part)
  }
  return value
}

/** Eight groups; undefined for what is none, an address with a zone (`fe80::1%eth0`) among it. */
function readSix(text: string): number[] | undefined {
  if (text.length > 45 || !text.includes(':')) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':').flatMap(readGroup)))
  if (!head || head.includes(Number.NaN) || tail?.includes(Number.NaN)) return undefined
  if (tail === undefined) return head.length === 8 ? head : undefined
  const gap = 8 - head.length - tail.length
  return gap < 1 ? undefined : [...head, ...new Array<number>(gap).fill(0), ...tail]
}

function readGroup(group: string): number[] {
  const four = readFour(group)
  if (four !== undefined) return [Math.floor(four / 65_536), four % 65_536]
  return [/^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : Number.NaN]
}

const isForbiddenFour = (address: number): boolean =>
  rangesOfFour.some(([first, size]) => address >= first && address < first + size)

/** Of the sixteen-byte addresses only what has been given out is public (2000::/3), and not all of that. */
function isForbiddenSix(groups: readonly number[]): boolean {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups
  const inner = g * 65_536 + h
  const zeros = (c | d | e) === 0
  // ::ffff:0:0/96 is an IPv4 address in other clothes; 64:ff9b::/96 is one behind a translator (RFC 6052).
  if ((a | b) === 0 && zeros && f === 0xffff) return isForbiddenFour(inner)
  if (a === 0x64 && b === 0xff9b && zeros && f === 0) return isForbiddenFour(inner)
  if ((a & 0xe000) !== 0x2000) return true
  // 2001::/23 holds Teredo and other protocols, 2002::/16 is 6to4: tunnels that may end anywhere, long given up.
  if (a === 0x2001 && (b < 0x200 || b === 0xdb8)) return true
  if (a === 0x2002 || (a === 0x3fff && b < 0x1000)) return true
  // ISATAP carries an IPv4 address at its end (RFC 5214).
  return (e & 0xfdff) === 0 && f === 0x5efe && isForbiddenFour(inner)
}

const rangesOfFour: readonly (readonly [first: number, size: number])[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  // Azure's agent, which hands out a machine's credentials, has a public number.
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map((range) => {
  const [net = '', bits] = range.split('/')
  return [readFour(net) ?? 0, 2 ** (32 - Number(bits))] as const
})
