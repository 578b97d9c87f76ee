import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { isObject, type Json } from '../../src/json/json.ts'
import { bytesOf, latin1, strictUtf8, toUtf8 } from '../../src/json/latin1.ts'
import { isRawNumber, numberOf, parseJson, stringify } from '../../src/json/parse.ts'
import { type Edits, patch } from '../../src/json/patch.ts'
import { type Glance, peek, raw, value } from '../../src/json/peek.ts'

/*
 * Random bodies and damaged copies of them, each put to `peek`, `patch` and `parseJson`, with `JSON.parse` as the
 * judge. The texts are drawn by a generator of our own from one number that fast-check chooses (and prints, if it
 * fails): some 60,000 bodies in the time in which fast-check alone would make 3,000.
 */

test('law: peek agrees with JSON.parse on sound bodies and on damaged ones', () => {
  const counts = { both: 0, neither: 0, odd: 0, 'let through': 0 }
  each(1800, (draw) => {
    const bytes = toUtf8(body(draw))
    for (let i = 0; i < 31; i++) {
      const copy = i === 0 ? bytes : damaged(bytes, draw)
      counts[about(copy, judge)]++
    }
  })
  // A law that never saw one of the outcomes has not been tried.
  for (const [outcome, count] of Object.entries(counts))
    assert.ok(count > 100, `${outcome}: ${count}`)
})

function judge(bytes: Uint8Array): 'both' | 'neither' | 'odd' | 'let through' {
  const glance = peek(bytes)
  const text = strictUtf8(bytes)?.replace(/^\ufeff/, '')
  const truth = text === undefined ? undefined : parsed(text)
  if (glance) isSoundOnTop(glance)
  if (text === undefined || !isObject(truth)) return glance ? 'let through' : 'neither'
  const members = topLevel(text)
  const keys = members.map(([key]) => key)
  const model = members.find(([key]) => key === 'model')
  const plain =
    new Set(keys).size === keys.length &&
    !keys.some((key) => key.includes('\\')) &&
    (model === undefined || /^"[ -[\]-\x7f]*"$/.test(model[1])) &&
    (!Object.hasOwn(truth, 'stream') || [true, false, null].some((it) => it === truth['stream']))
  assert.equal(glance !== undefined, plain)
  if (!glance) return 'odd'
  assert.deepEqual([...glance.keys.keys()], keys)
  assert.equal(glance.model, truth['model'])
  assert.equal(glance.stream, truth['stream'] ?? undefined)
  for (const key of keys) assert.deepEqual(value(glance, key), truth[key])
  return 'both'
}

/** With every value made null, what peek let through is JSON with the very keys it saw. */
function isSoundOnTop(glance: Glance): void {
  const set = Object.fromEntries([...glance.keys.keys()].map((key) => [key, 'null']))
  const nulls = parsed(strictUtf8(patch(glance, { set })) ?? '')
  assert.ok(isObject(nulls))
  assert.deepEqual(Object.keys(nulls).sort(), [...glance.keys.keys()].sort())
}

test('law: patch does to the bytes what the same edits do to the members', () => {
  let patched = 0
  each(4000, (draw) => {
    const before = peek(toUtf8(body(draw)))
    if (!before) return
    const edits: { -readonly [K in keyof Edits]: Edits[K] } = {}
    const removed = draw(2) === 0 ? [] : draw(9) > 0 ? some(draw) : [...before.keys.keys()]
    if (removed.length > 0 || draw(2) > 0) edits.remove = removed
    if (draw(4) > 0) edits.set = newValues(draw)
    if (draw(2) > 0) edits.append = newValues(draw)

    const expected = new Map([...before.keys.keys()].map((key) => [key, raw(before, key)]))
    for (const key of removed) expected.delete(key)
    for (const [key, text] of Object.entries(edits.set ?? {}))
      expected.set(key, latin1(toUtf8(text)))
    for (const [key, text] of Object.entries(edits.append ?? {}))
      if (!expected.has(key)) expected.set(key, latin1(toUtf8(text)))

    const original = latin1(before.bytes)
    const bytes = patch(before, edits)
    const what = `${JSON.stringify(original)} ${JSON.stringify(edits)}`
    const after = peek(bytes)
    assert.ok(after, what)
    assert.notEqual(parsed(strictUtf8(bytes) ?? ''), undefined, what)
    assert.deepEqual(
      [...after.keys.keys()].map((key) => [key, raw(after, key)]),
      [...expected],
      what,
    )
    assert.equal(latin1(before.bytes), original, what)
    patched++
  })
  assert.ok(patched > 2000, `patched: ${patched}`)
})

const some = (draw: Draw): string[] => Array.from({ length: draw(4) }, () => keyOf(draw))

/** None that `peek` would decline, since it reads the outcome. */
function newValues(draw: Draw): Record<string, string> {
  const plain: Record<string, string> = { model: '"z"', stream: 'true' }
  const member = (key: string) => [key, Object.hasOwn(plain, key) ? plain[key] : pick(draw, values)]
  return Object.fromEntries(some(draw).map(member))
}

test('law: parseJson accepts what JSON.parse accepts and names the place in all else', () => {
  let refused = 0
  each(600, (draw) => {
    const bytes = toUtf8(body(draw))
    for (let i = 0; i < 12; i++) {
      const copy = i === 0 ? bytes : damaged(bytes, draw)
      if (about(copy, isRefused)) refused++
    }
  })
  assert.ok(refused > 2000, `refused: ${refused}`)
})

function isRefused(bytes: Uint8Array): boolean {
  const text = strictUtf8(bytes)?.replace(/^\ufeff/, '')
  const truth = text === undefined ? undefined : parsed(text)
  let read: Json
  try {
    read = parseJson(bytes)
  } catch (error) {
    if (!GatewayError.is(error)) throw error
    assert.equal(truth, undefined)
    if (text === undefined || /\S/.test(text))
      assert.match(error.message, /^Invalid JSON payload: .* at line \d+, column \d+$/)
    return true
  }
  assert.notEqual(truth, undefined)
  assert.deepEqual(rounded(read), truth)
  return false
}

test('law: what is parsed and written again keeps every integer, whatever its size', () => {
  const integer = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
  fc.assert(
    fc.property(fc.array(integer), fc.integer(), (integers, other) => {
      const text = `{"n":[${integers.join()}],"other":${other}}`
      assert.equal(stringify(parseJson(text)), text)
    }),
    { numRuns: 500 },
  )
})

/** Raw numbers as `JSON.parse` would have rounded them. */
function rounded(value: Json | undefined): unknown {
  if (isRawNumber(value)) return numberOf(value) ?? Number(value.rawJSON)
  if (Array.isArray(value)) return value.map(rounded)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, rounded(it)]))
}

function parsed(text: string): unknown {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0 // half of the time of these laws would go into traces nobody sees
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Names the body a law was broken by. */
function about<T>(bytes: Uint8Array, law: (bytes: Uint8Array) => T): T {
  try {
    return law(bytes)
  } catch (cause) {
    throw new Error(`broken by ${JSON.stringify(latin1(bytes))}`, { cause })
  }
}

/** Top-level keys as spelled, with the value's spelling if it is a string. For sound text only, and read by other means than peek's. */
function topLevel(text: string): [key: string, string: string][] {
  const out: [string, string][] = []
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]/g)) {
    const last = out.at(-1)
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (depth === 1 && token.endsWith(':'))
      out.push([token.replace(/"\s*:$/, '').slice(1), ''])
    else if (depth === 1 && last) last[1] = token.trim()
  }
  return out
}

type Draw = (below: number) => number

function each(runs: number, law: (draw: Draw) => void): void {
  fc.assert(
    fc.property(fc.integer(), (seed) => law(drawFrom(seed))),
    { numRuns: runs },
  )
}

/** Mulberry32. */
function drawFrom(seed: number): Draw {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const pick = (draw: Draw, from: readonly string[]): string => from[draw(from.length)] ?? ''
const spaces = ['', '', '', '', ' ', '\n', '\t\r\n  ']
const names = [
  'model',
  'stream',
  'messages',
  'usage',
  'a',
  'b',
  '',
  'é→',
  '__proto__',
  'x y',
  '{"',
  '7',
]
const pieces = [
  'a',
  'model',
  'é',
  '→😀',
  ' ',
  '{',
  ']',
  ',',
  ':',
  '\\"',
  '\\\\',
  '\\n',
  '\\u00e9',
  '\\ud800',
  '/',
  '\x7f',
]
const values = [
  'null',
  'true',
  '0',
  '-1.50',
  '1e400',
  '12345678901234567890',
  '"x"',
  '"é→"',
  '{"a":[1, 2]}',
  '[]',
]
const damage = [
  ...'{}[]",:\\-+.eEtfn01 \n\0',
  '"model":"z",',
  '"stream":1,',
  'null',
  'NaN',
  '\\u',
  '\xff',
  '\xef\xbb\xbf',
  '/*',
  ',"a":',
]

const keyOf = (draw: Draw): string => pick(draw, names).replace('"', '')
const string = (draw: Draw): string =>
  `"${Array.from({ length: draw(5) }, () => pick(draw, pieces)).join('')}"`

/** A sound object, oddly spelled; now and then a key twice or escaped, or a `model` that is none. */
function body(draw: Draw): string {
  const space = () => pick(draw, spaces)
  const used = new Set<string>()
  const members = Array.from({ length: draw(7) }, () => {
    const name = keyOf(draw)
    if (used.has(name) && draw(10) > 0) return undefined
    used.add(name)
    const key = draw(60) === 0 ? name.replace('m', '\\u006d') : name
    let json = something(draw, 3)
    if (name === 'model' && draw(8) > 0) json = pick(draw, ['"a"', '"gpt-4o"', '""', '"x/y:z"'])
    if (name === 'stream' && draw(8) > 0) json = pick(draw, ['true', 'false', 'null'])
    return `"${key}"${space()}:${space()}${json}${space()}`
  }).filter((it) => it !== undefined)
  return `${space()}{${space()}${members.join(`,${space()}`)}}${space()}`
}

function something(draw: Draw, depth: number): string {
  const kind = draw(depth === 0 ? 4 : 8)
  if (kind < 2) return string(draw)
  if (kind < 4) return pick(draw, values)
  const items = Array.from({ length: draw(4) }, () => something(draw, depth - 1))
  if (kind < 6) return `[${items.join(pick(draw, [',', ' ,\n']))}]`
  return `{${items.map((it) => `${string(draw)}:${pick(draw, spaces)}${it}`).join()}}`
}

function damaged(bytes: Uint8Array, draw: Draw): Uint8Array {
  const text = latin1(bytes)
  const at = draw(text.length + 1)
  const to = Math.min(text.length, at + 1 + draw(draw(5) === 0 ? 20 : 2))
  const insert = pick(draw, damage)
  switch (draw(5)) {
    case 0:
      return bytesOf(text.slice(0, at))
    case 1:
      return bytesOf(text.slice(0, at) + text.slice(to))
    case 2:
      return bytesOf(text.slice(0, at) + insert + text.slice(at))
    case 3:
      return bytesOf(text.slice(0, at) + insert + text.slice(to))
    default:
      return bytesOf(text.slice(0, to) + text.slice(at))
  }
}
