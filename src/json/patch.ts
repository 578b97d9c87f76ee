import { allocate, toUtf8, writeLatin1 } from './latin1.ts'
import type { Glance } from './peek.ts'

export type Edits = {
  /** Raw JSON by key: replaces the value, or adds the key at the end. */
  set?: Record<string, string>
  /** Keys to take out; absent ones are no matter. */
  remove?: Iterable<string>
  /** Raw JSON by key, added at the end where the key is absent. */
  append?: Record<string, string>
}

/**
 * The body with other top-level members, as new bytes: what is not named is copied as it came, down to the spelling of
 * numbers and the spaces between. The same as, on an object, `delete` for each key of `remove`, then an assignment for
 * each of `set`, then one for each of `append` whose key is not there.
 *
 * Never in place: another attempt at another deployment starts from the original.
 */
export function patch(glance: Glance, edits: Edits): Uint8Array {
  return copy(glance.bytes, onlyValue(glance, edits) ?? cutsOf(glance, edits))
}

/** `insert` instead of the bytes from `start` to `end`. */
type Cut = { start: number; end: number; insert: string }

/** The everyday edit, one key's new value, without a walk over the others. */
function onlyValue({ keys }: Glance, { set, remove, append }: Edits): Cut[] | undefined {
  if (set === undefined || remove !== undefined || append !== undefined) return undefined
  let only: Cut | undefined
  for (const key in set) {
    const span = keys.get(key)
    const insert = set[key]
    if (only !== undefined || span === undefined || insert === undefined) return undefined
    only = { start: span.valueStart, end: span.valueEnd, insert }
  }
  return only && [only]
}

function cutsOf({ text, keys }: Glance, { set = {}, remove = [], append = {} }: Edits): Cut[] {
  const removed = new Set(remove)
  const added = new Map<string, string>()
  const cuts: Cut[] = []
  const first = text.indexOf('{') + 1
  let start = first // where the comma or space before the next member begins
  let kept = 0
  for (const [key, span] of keys) {
    const insert = own(set, key)
    if (removed.has(key)) {
      // Up to its own value: the comma before it goes too.
      cuts.push({ start, end: span.valueEnd, insert: '' })
    } else {
      // The first that stays loses the comma of those that went before it.
      if (kept++ === 0 && start !== first) cuts.push({ start, end: span.start, insert: '' })
      if (insert !== undefined) cuts.push({ start: span.valueStart, end: span.valueEnd, insert })
    }
    start = span.valueEnd
  }
  const isThere = (key: string) => keys.has(key) && !removed.has(key)
  for (const key of Object.keys(set)) if (!isThere(key)) added.set(key, set[key] ?? '')
  for (const key of Object.keys(append))
    if (!isThere(key) && !added.has(key)) added.set(key, append[key] ?? '')
  let insert = ''
  for (const [key, json] of added)
    insert += `${kept++ === 0 ? '' : ','}${JSON.stringify(key)}:${json}`
  if (insert !== '') cuts.push({ start, end: start, insert })
  return cuts
}

const own = (record: Record<string, string>, key: string): string | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

/** One copy; `cuts` are in order and do not overlap. */
function copy(bytes: Uint8Array, cuts: Cut[]): Uint8Array {
  const inserts = cuts.map(({ insert }) => (beyondAscii.test(insert) ? toUtf8(insert) : insert))
  let length = bytes.length
  for (const [i, { start, end }] of cuts.entries())
    length += (inserts[i]?.length ?? 0) - (end - start)
  const out = allocate(length)
  let from = 0
  let at = 0
  for (const [i, { start, end }] of cuts.entries()) {
    const insert = inserts[i] ?? ''
    out.set(bytes.subarray(from, start), at)
    at += start - from
    if (typeof insert === 'string') writeLatin1(out, insert, at)
    else out.set(insert, at)
    at += insert.length
    from = end
  }
  out.set(bytes.subarray(from), at)
  return out
}

const beyondAscii = /[^\x00-\x7f]/
