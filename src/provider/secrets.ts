import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'

/** Does a parameter of this name hold a credential? */
export const isSecretKey = (key: string): boolean =>
  /key|secret|token$|password|credential|authorization/i.test(key) &&
  !/^(max_|.*_tokens$|.*cost|.*_per_token)/.test(key)

/** Every text of a row that must not be shown: a provider may repeat whatever it was sent. */
export function secretsOf(params: JsonObject): string[] {
  const found = [
    ...named(params, 0),
    ...named(object(params.extra_body), 0),
    ...[params.extra_headers, params.headers].flatMap(ofHeaders),
    ...[params.api_base, params.base_url].flatMap(ofAddress),
  ]
  return spellings(found)
}

/** As they are and as JSON may write them, the longest first: one may be the beginning of another. */
export function spellings(secrets: readonly string[]): string[] {
  const all = new Set<string>()
  for (const secret of secrets) {
    if (secret.length < shortest) continue
    const quoted = JSON.stringify(secret).slice(1, -1)
    // PHP's way.
    for (const one of [secret, quoted, quoted.replaceAll('/', '\\/')]) all.add(one)
  }
  return [...all].sort((a, b) => b.length - a.length)
}

/** Taking out shorter ones would take out words. */
const shortest = 8

/**
 * Those that nobody writes by chance. Errors and headers lose every secret, answers only these: where a local server
 * takes any key and the operator wrote `password`, a model may still say the word.
 */
export const unmistakable = (secrets: readonly string[]): string[] =>
  secrets.filter(
    (one) => one.length >= 16 && /\d/.test(one) && /[a-z]/i.test(one) && !/\s/.test(one),
  )

function named(values: JsonObject, depth: number): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    if (typeof value === 'string') return isSecretKey(key) ? [value] : []
    return isObject(value) && depth < 4 ? named(value, depth + 1) : []
  })
}

/** A header of the operator's own is a credential unless it is known to be none. */
const ofHeaders = (headers: Json | undefined): string[] =>
  Object.entries(object(headers)).flatMap(([name, value]) =>
    typeof value === 'string' && !harmless.test(name) ? [value, value.replace(scheme, '')] : [],
  )

const scheme = /^(Bearer|Basic|Token|ApiKey)\s+/i
const harmless =
  /^(accept.*|content-.*|user-agent|(http-)?referer|origin|x-title|.*-beta|.*-version|.*-organization|.*-project)$/i

/** The login of a URL, as it stands there and as it is sent; and what its query calls a key. */
function ofAddress(value: Json | undefined): string[] {
  const said = text(value) ?? ''
  if (!URL.canParse(said)) return []
  const { username, password, searchParams } = new URL(said)
  const keys = [...searchParams].flatMap(([name, one]) =>
    isSecretKey(name) || /^(sig|code)/i.test(name) ? [one, encodeURIComponent(one)] : [],
  )
  if (username === '' && password === '') return keys
  const [user = '', word = ''] = [username, password].map(unescaped)
  const bytes = new TextEncoder().encode(`${user}:${word}`)
  return [...keys, password, word, btoa(String.fromCharCode(...bytes))]
}

function unescaped(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** The credentials in the headers of one request, in one text: the same for the same ones. */
export function credentialsIn(headers: Readonly<Record<string, string>>): string {
  let all = ''
  for (const name of carriers) {
    const value = headers[name]
    if (value !== undefined) all = all === '' ? value : `${all}\n${value}`
  }
  return all
}

/** What signing put into the headers of one request: a token that was fetched is a credential too. */
export function sentSecrets(headers: Readonly<Record<string, string>>): string[] {
  const found: string[] = []
  for (const name of carriers) {
    const value = headers[name]
    if (value !== undefined) found.push(value, value.replace(scheme, ''))
  }
  return spellings(found)
}
const carriers = ['authorization', 'x-amz-security-token', 'api-key', 'x-api-key', 'x-goog-api-key']
