import type { Json } from './json.ts'
import { latin1, strictUtf8 } from './latin1.ts'
import { nameAt } from './names.ts'

/** What is known of a JSON object that was looked at, not parsed. It holds the whole body: let go of it in time. */
export type Glance = {
  /** The body, without a byte order mark. */
  bytes: Uint8Array
  /** The same, one character per byte. */
  text: string
  /** Every top-level key, in order. */
  keys: Members
  /** The value of `model`: a plain string that does not hold on to the body. */
  model: string | undefined
  /** The value of `stream`; undefined for null too. */
  stream: boolean | undefined
}

/** Offsets of one top-level member: the key's opening quote, then its value. */
export type Span = { start: number; valueStart: number; valueEnd: number }
export type Member = Span & { key: string; next: Member | undefined }

/** A chain and no map: most bodies have a handful of members, of which a map costs three times as much. */
class Members {
  first: Member | undefined
  size = 0
  #last: Member | undefined
  /** Of a body of many. */
  #index: Map<string, Member> | undefined

  /** False: the key was there already. */
  add(key: string, start: number, valueStart: number, valueEnd: number): boolean {
    if (this.get(key) !== undefined) return false
    const member: Member = { key, start, valueStart, valueEnd, next: undefined }
    if (this.#last === undefined) this.first = member
    else this.#last.next = member
    this.#last = member
    this.size++
    if (this.#index !== undefined) this.#index.set(key, member)
    else if (this.size > chainMax) this.#index = indexOf(this.first)
    return true
  }
  get(key: string): Member | undefined {
    if (this.#index !== undefined) return this.#index.get(key)
    let member = this.first
    while (member !== undefined && member.key !== key) member = member.next
    return member
  }
  has(key: string): boolean {
    return this.get(key) !== undefined
  }
  keys(): string[] {
    const keys: string[] = []
    for (let member = this.first; member !== undefined; member = member.next) keys.push(member.key)
    return keys
  }
}

const chainMax = 16
function indexOf(first: Member | undefined): Map<string, Member> {
  const index = new Map<string, Member>()
  for (let member = first; member !== undefined; member = member.next) index.set(member.key, member)
  return index
}

/** Deeper bodies are declined here and refused by `parseJson`. */
export const maxDepth = 200

/**
 * What a request may consist of; more is declined here and refused by `parseObject`. Making values costs a hundred times
 * what their bytes do: of 63 MB of `{},` or 12 MB of a million fields, 17 seconds in which nobody else is served. An
 * answer is not bounded by these, since embeddings are millions of numbers.
 */
export const requestBounds: Bounds = { maxFields: 1000, maxValues: 300_000 }

export type Bounds = { maxFields: number; maxValues: number }
/** Small enough to be counted down without a box around it; a body of so many values is longer than a string can be. */
const none: Bounds = { maxFields: 1_000_000_000, maxValues: 1_000_000_000 }

/**
 * Reads the top level of a JSON object in one pass, without building it: 0.5 µs for a small body, where parsing and
 * writing it again takes 1.1; 0.15 ms for a megabyte with an image, where parsing alone takes 1.2.
 *
 * Undefined whenever the body is anything but plain (an escaped or repeated key, a `model` that is not a plain string,
 * brackets that do not match, a body cut short…): the caller then parses it, which also finds the words for the
 * client. Two laws hold: what both accept, this reads as `JSON.parse` does; and what it accepts is at the top level
 * JSON to the letter. Deeper down it sees strings, brackets, numbers and words but not every comma: what is wrong
 * there is for the provider to refuse, and cannot change what the top level says.
 */
export function peek(
  body: Uint8Array,
  depthMax: number = maxDepth,
  { maxFields, maxValues }: Bounds = none,
): Glance | undefined {
  levels = Math.min(depthMax, closers.length - 1)
  left = maxValues
  const bytes = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body
  const text = latin1(bytes)
  const keys = new Members()
  const glance: Glance = { bytes, text, keys, model: undefined, stream: undefined }
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN) return undefined
  at = skipSpace(text, at + 1)
  if (text.charCodeAt(at) !== CLOSE) {
    for (;;) {
      const start = at
      const keyEnd = endOfKey(text, start)
      if (keyEnd === -1) return undefined
      const key = nameAt(text, bytes, start + 1, keyEnd)
      at = skipSpace(text, keyEnd + 1)
      if (key === undefined || text.charCodeAt(at) !== COLON) return undefined
      const valueStart = skipSpace(text, at + 1)
      const valueEnd = endOfValue(text, valueStart)
      if (valueEnd === -1) return undefined
      if (!keys.add(key, start, valueStart, valueEnd) || keys.size > maxFields) return undefined
      if (key === 'model' && !readModel(glance, valueStart, valueEnd)) return undefined
      if (key === 'stream' && !readStream(glance, valueStart, valueEnd)) return undefined
      at = skipSpace(text, valueEnd)
      const next = text.charCodeAt(at)
      if (next === CLOSE) break
      if (next !== COMMA) return undefined
      at = skipSpace(text, at + 1)
    }
  }
  return skipSpace(text, at + 1) === text.length ? glance : undefined
}

/** The bytes of a value, one character per byte. */
export function raw(glance: Glance, key: string): string | undefined {
  const span = glance.keys.get(key)
  return span && glance.text.slice(span.valueStart, span.valueEnd)
}

/**
 * One value, parsed; undefined when the key is absent or its value is not JSON after all. For reading: a number beyond
 * 2^53 is rounded here, so what goes out again is copied by `patch` instead.
 */
export function value(glance: Glance, key: string): Json | undefined {
  const span = glance.keys.get(key)
  if (span === undefined) return undefined
  const characters = glance.text.slice(span.valueStart, span.valueEnd)
  // Of plain ASCII, as most members are, the bytes are the text already.
  const text = /[\x80-\xff]/.test(characters)
    ? strictUtf8(glance.bytes.subarray(span.valueStart, span.valueEnd))
    : characters
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Is there a text under this key, and is it not empty? */
export function saysText(glance: Glance, key: string): boolean {
  const span = glance.keys.get(key)
  if (span === undefined) return false
  if (isPlainText(glance.text, span.valueStart, span.valueEnd))
    return span.valueEnd - span.valueStart > 2
  const said = value(glance, key)
  return typeof said === 'string' && said !== ''
}

const OPEN = 123
const CLOSE = 125
const OPEN_LIST = 91
const QUOTE = 34
const BACKSLASH = 92
const COLON = 58
const COMMA = 44
const MINUS = 45

export function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    const c = text.charCodeAt(at)
    if (c !== 32 && c !== 10 && c !== 13 && c !== 9) break
    at++
  }
  return at
}

/** Where the closing quote of the key that begins at `open` is; -1 if it is no key or not a plain one. */
function endOfKey(text: string, open: number): number {
  if (text.charCodeAt(open) !== QUOTE) return -1
  for (let at = open + 1; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === QUOTE) return at
    if (c === BACKSLASH || c < 32) return -1
  }
  return -1
}

function readModel(glance: Glance, start: number, end: number): boolean {
  if (!isPlainText(glance.text, start, end)) return false
  glance.model = nameAt(glance.text, glance.bytes, start + 1, end - 1)
  return true
}

/** Is the value a string in which every character stands for itself? */
function isPlainText(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(start) !== QUOTE) return false
  for (let at = start + 1; at < end - 1; at++) {
    const c = text.charCodeAt(at)
    if (c === BACKSLASH || c < 32 || c > 127) return false
  }
  return true
}

function readStream(glance: Glance, start: number, end: number): boolean {
  const word = glance.text.slice(start, end)
  if (word === 'true') glance.stream = true
  else if (word === 'false') glance.stream = false
  else return word === 'null'
  return true
}

/** The offset after the value that begins at `at`; -1 if there is none. */
function endOfValue(text: string, at: number): number {
  const c = text.charCodeAt(at)
  if (c === QUOTE) return endOfString(text, at)
  if (c === OPEN || c === OPEN_LIST) return endOfNest(text, at)
  if (c === MINUS || (c >= 48 && c <= 57)) {
    number.lastIndex = at
    return number.test(text) ? number.lastIndex : -1
  }
  return endOfWord(text, at)
}

/** Sticky: a number as JSON spells it. */
export const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

/** The offset after the string whose opening quote is at `open`; -1 if it has no end. */
export function endOfString(text: string, open: number): number {
  let at = text.indexOf('"', open + 1)
  while (at !== -1) {
    let back = at - 1
    while (text.charCodeAt(back) === BACKSLASH) back--
    if ((at - back) % 2 === 1) return at + 1 // an even number of backslashes: the quote is not escaped
    at = text.indexOf('"', at + 1)
  }
  return -1
}

function endOfWord(text: string, at: number): number {
  if (text.startsWith('true', at) || text.startsWith('null', at)) return at + 4
  return text.startsWith('false', at) ? at + 5 : -1
}

/** The bracket that each open level waits for, and how many levels this call takes; peek is synchronous, so one will do. */
const closers = new Uint8Array(1001)
let levels = maxDepth
/** How many more brackets and numbers may come. */
let left = 0

function endOfNest(text: string, open: number): number {
  let depth = 1 // the body itself
  let at = open
  while (at < text.length) {
    const c = text.charCodeAt(at)
    switch (kinds[c]) {
      case STRING:
        at = endOfString(text, at)
        if (at === -1) return -1
        break
      case SPACE:
        at++
        break
      case OPENER:
        if (++depth > levels || --left < 0) return -1
        closers[depth] = c + 2 // { is two before }, [ two before ]
        at++
        break
      case CLOSER:
        at++
        if (closers[depth] !== c) return -1
        if (--depth === 1) return at
        break
      case NUMBER:
        if (--left < 0) return -1
        do at++
        while (inNumber[text.charCodeAt(at)] === 1)
        break
      case WORD:
        at = endOfWord(text, at)
        if (at === -1) return -1
        break
      default:
        return -1
    }
  }
  return -1
}

const STRING = 1
const SPACE = 2
const OPENER = 3
const CLOSER = 4
const NUMBER = 5
const WORD = 6
/** What a byte outside of strings begins; 0 is nothing that JSON has. */
const kinds = table({
  '"': STRING,
  ' \t\n\r,:': SPACE,
  '{[': OPENER,
  '}]': CLOSER,
  '-0123456789': NUMBER,
  tfn: WORD,
})
const inNumber = table({ '0123456789.+-eE': 1 })

function table(rows: Record<string, number>): Uint8Array {
  const out = new Uint8Array(256)
  for (const [characters, kind] of Object.entries(rows))
    for (const character of characters) out[character.charCodeAt(0)] = kind
  return out
}
