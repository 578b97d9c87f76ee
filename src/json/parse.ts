import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { strictUtf8, toUtf8, utf8 } from './latin1.ts'
import { maxDepth as deepest, endOfString, number as numberAt, skipSpace } from './peek.ts'

export type ParseOptions = {
  /** Levels of brackets allowed. `Infinity` is for text that `peek` has already vouched for. */
  maxDepth?: number
  /** Values allowed, at all levels together; and fields of the object itself. */
  maxValues?: number
  maxFields?: number
}

/**
 * A body that has to be understood. UTF-8, with or without a byte order mark; GatewayError `bad_request` with the
 * place and the reason when it is not JSON.
 *
 * Numbers are numbers, but for the few that JavaScript would change: an integer beyond 2^53 or a number beyond
 * 1.8e308 becomes a *raw number*, which `stringify` (and any `JSON.stringify`) writes as it came. A raw number is a
 * frozen object made by `JSON.rawJSON`: pass it on by reference and nothing is lost; `isRawNumber` knows it,
 * `numberOf` reads it. To `typeof` and `isObject` it looks like an object, so code that rebuilds objects it does not
 * know (a spread, a structured clone), or writes into them, must ask `isRawNumber` first.
 */
export function parseJson(
  body: Uint8Array | string,
  { maxDepth = deepest, maxValues = Number.POSITIVE_INFINITY }: ParseOptions = {},
): Json {
  const text = textOf(body)
  if (skipSpace(text, 0) === text.length) throw invalid('request body is empty: send a JSON object')
  const { tooDeep, tooMany, lossy } = survey(text, maxDepth, maxValues)
  if (tooDeep !== undefined) throw payload(text, tooDeep, `nested deeper than ${maxDepth} levels`)
  if (tooMany) throw invalid(`Invalid JSON payload: more than ${maxValues} values`)
  try {
    return JSON.parse(text, lossy && json.rawJSON !== undefined ? exactly : undefined)
  } catch (cause) {
    const fault = findFault(text)
    if (fault !== undefined) throw payload(text, fault.at, fault.reason)
    throw invalid('Invalid JSON payload: it could not be read', cause)
  }
}

/** The same for what must be an object, as nearly every body must. */
export function parseObject(body: Uint8Array | string, options?: ParseOptions): JsonObject {
  const value = parseJson(body, options)
  if (isObject(value) && !isRawNumber(value)) {
    const { maxFields } = options ?? {}
    if (maxFields !== undefined && Object.keys(value).length > maxFields)
      throw invalid(`Invalid JSON payload: more than ${maxFields} fields`)
    return value
  }
  const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${kindOf(value)}`
  throw invalid(`Invalid JSON payload: body must be a JSON object, not ${found}`)
}

/** JSON text; raw numbers as they came. */
export const stringify = (value: Json): string => JSON.stringify(value)

/** Is it a number too large for JavaScript, kept as its text? No object of a client can pose as one. */
export const isRawNumber = (value: unknown): value is { rawJSON: string } =>
  json.isRawJSON?.(value) ?? false

/** A number or the nearest to a raw one; undefined for anything else and for what is beyond 1.8e308. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  const nearest = isRawNumber(value) ? Number(value.rawJSON) : undefined
  return Number.isFinite(nearest) ? nearest : undefined
}

/** In V8 since 2023, not yet in TypeScript's library. Where it is missing, large numbers are rounded. */
const json: JSON & {
  rawJSON?: (text: string) => Json
  isRawJSON?: (value: unknown) => boolean
} = JSON

/** Reviver: called for every value, which makes parsing some five times slower. */
function exactly(_key: string, value: Json, context?: { source?: string }): Json {
  if (typeof value !== 'number' || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value
  const source = context?.source
  if (source === undefined || source === String(value)) return value
  return json.rawJSON?.(source) ?? value
}

const kindOf = (value: Json): string => (typeof value === 'object' ? 'number' : typeof value)

function textOf(body: Uint8Array | string): string {
  const text = typeof body === 'string' ? body : (strictUtf8(body) ?? notUtf8(body))
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

function notUtf8(bytes: Uint8Array): never {
  const text = utf8(bytes)
  throw payload(text, firstReplaced(bytes, text), 'not UTF-8')
}

/** Where `text`, decoded from `bytes`, first has U+FFFD for bytes that were something else. */
function firstReplaced(bytes: Uint8Array, text: string): number {
  let offset = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  let from = 0
  for (;;) {
    const at = text.indexOf('\ufffd', from)
    if (at === -1) return text.length
    offset += toUtf8(text.slice(from, at)).length
    if (bytes[offset] !== 0xef || bytes[offset + 1] !== 0xbf || bytes[offset + 2] !== 0xbd)
      return at
    offset += 3
    from = at + 1
  }
}

/**
 * What must be known before parsing, in one pass over what is outside of strings: a third of the time of parsing
 * itself, and a body of a million brackets is refused after the first two hundred. `lossy`: there may be a number that
 * JavaScript would change, that is, sixteen digits before the point or an exponent that makes it larger. Numbers such
 * as embeddings have (long fractions, negative exponents) are none.
 */
function survey(
  text: string,
  maxDepth: number,
  maxValues: number,
): { tooDeep: number | undefined; tooMany: boolean; lossy: boolean } {
  let depth = 0
  /** No fewer than there are, but for empty brackets. */
  let values = 0
  let lossy = false
  let at = 0
  while (at < text.length) {
    const c = text.charCodeAt(at)
    if (c === 34) {
      at = endOfString(text, at)
      if (at === -1) break // JSON.parse will say so
      continue
    }
    if (c === 123 || c === 91) {
      if (++depth > maxDepth) return { tooDeep: at, tooMany: false, lossy }
      if (++values > maxValues) break
    } else if (c === 44) {
      if (++values > maxValues) break
    } else if (c === 125 || c === 93) depth--
    else if (c >= 48 && c <= 57) {
      const end = endOfDigits(text, at + 1)
      if (end - at >= 16) lossy = true
      at = text.charCodeAt(end) === 46 ? endOfDigits(text, end + 1) : end
      const exponent = text.charCodeAt(at)
      if ((exponent === 101 || exponent === 69) && text.charCodeAt(at + 1) !== 45) lossy = true
      continue
    }
    at++
  }
  return { tooDeep: undefined, tooMany: values > maxValues, lossy }
}

function endOfDigits(text: string, from: number): number {
  let at = from
  for (; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c < 48 || c > 57) break
  }
  return at
}

type Fault = { at: number; reason: string }
type Expected = keyof typeof expectations | 'next'

/**
 * Why a text is not JSON. Engines tell it in words of their own, often without the place, so what `JSON.parse` refused
 * is read again, slowly, to the first fault.
 */
function findFault(text: string): Fault | undefined {
  const open: string[] = [] // the brackets that would close what is open
  let expected: Expected = 'value'
  let at = skipSpace(text, 0)
  while (at < text.length) {
    const c = text.charAt(at)
    const closer = open.at(-1)
    const isKey: boolean = namesKey.has(expected)
    const isValue: boolean = takesValue.has(expected)
    let end = at + 1
    if (c === closer && mayClose.has(expected)) {
      open.pop()
      expected = 'next'
    } else if (expected === 'next' && c === ',' && closer !== undefined) {
      expected = closer === '}' ? 'name' : 'value'
    } else if (expected === 'colon' && c === ':') {
      expected = 'value'
    } else if (c === '"' && (isKey || isValue)) {
      const string = readString(text, at)
      if (typeof string !== 'number') return string
      end = string
      expected = isKey ? 'colon' : 'next'
    } else if (isValue && (c === '{' || c === '[')) {
      open.push(c === '{' ? '}' : ']')
      expected = c === '{' ? 'key' : 'item'
    } else {
      end = isValue ? endOfPlain(text, at) : at
      if (end === at) return { at, reason: unexpected(text, at, expected, closer) }
      expected = 'next'
    }
    at = skipSpace(text, end)
  }
  if (expected === 'next' && open.length === 0) return undefined
  return { at, reason: unexpected(text, at, expected, open.at(-1)) }
}

function unexpected(text: string, at: number, expected: Expected, closer?: string): string {
  const next = closer === undefined ? 'nothing more' : `',' or '${closer}'`
  const wanted = expected === 'next' ? next : expectations[expected]
  if (at === text.length) return `expected ${wanted}, found the end`
  words.lastIndex = at
  const found = words.exec(text)?.[0] ?? String.fromCodePoint(text.codePointAt(at) ?? 0)
  return `expected ${wanted}, found ${found === '"' ? 'a string' : JSON.stringify(found)}`
}

const expectations = {
  value: 'a value',
  item: "a value or ']'",
  key: "a key in double quotes or '}'",
  name: 'a key in double quotes',
  colon: "':' after the key",
}
const namesKey: ReadonlySet<Expected> = new Set(['key', 'name'])
const takesValue: ReadonlySet<Expected> = new Set(['value', 'item'])
const mayClose: ReadonlySet<Expected> = new Set(['key', 'item', 'next'])

/** What people write where JSON wants something else: NaN, None, undefined, a bare key. */
const words = /[\w.+-]{1,24}/y

function endOfPlain(text: string, at: number): number {
  for (const word of ['true', 'false', 'null'])
    if (text.startsWith(word, at)) return at + word.length
  numberAt.lastIndex = at
  return numberAt.test(text) ? numberAt.lastIndex : at
}

function readString(text: string, open: number): number | Fault {
  for (let at = open + 1; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === 34) return at + 1
    if (c < 32)
      return { at, reason: 'line breaks and control characters in a string must be escaped' }
    if (c !== 92) continue
    escapes.lastIndex = at
    if (!escapes.test(text)) return { at, reason: 'a backslash that begins no escape JSON has' }
    at = escapes.lastIndex - 1
  }
  return { at: open, reason: 'the string that begins here has no end' }
}

const escapes = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** One-based; the column counts characters as JavaScript does. */
function payload(text: string, at: number, reason: string): GatewayError {
  let line = 1
  let start = 0
  for (let end = text.indexOf('\n'); end !== -1 && end < at; end = text.indexOf('\n', start)) {
    line++
    start = end + 1
  }
  return invalid(`Invalid JSON payload: ${reason} at line ${line}, column ${at - start + 1}`)
}

function invalid(message: string, cause?: unknown): GatewayError {
  return new GatewayError('bad_request', message, {
    param: 'request_body',
    type: 'invalid_request_error',
    cause,
  })
}
