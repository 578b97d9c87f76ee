import { allocate, bytewise, writeLatin1 } from './latin1.ts'
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
  return replaced(glance, edits) ?? copy(glance, cutsOf(glance, edits))
}

/** The everyday edit, one key's new value: without a walk over the others, and no more made than its bytes. */
function replaced({ text, keys }: Glance, { set, remove, append }: Edits): Uint8Array | undefined {
  if (set === undefined || remove !== undefined || append !== undefined) return undefined
  let only: string | undefined
  for (const key in set) {
    if (only !== undefined) return undefined
    only = key
  }
  const span = only === undefined ? undefined : keys.get(only)
  const json = only === undefined ? undefined : set[only]
  if (span === undefined || json === undefined) return undefined
  const { valueStart, valueEnd } = span
  const insert = bytewise(json)
  const out = allocate(text.length - (valueEnd - valueStart) + insert.length)
  writeLatin1(out, text, 0, valueStart)
  writeLatin1(out, insert, valueStart)
  writeLatin1(out, text.slice(valueEnd), valueStart + insert.length)
  return out
}

/** `insert`, one character per byte, instead of the bytes from `start` to `end`. */
type Cut = { start: number; end: number; insert: string }

function cutsOf({ text, keys }: Glance, { set = none, remove, append = none }: Edits): Cut[] {
  const removed = remove && new Set(remove)
  const cuts: Cut[] = []
  const first = text.indexOf('{') + 1
  let start = first // where the comma or space before the next member begins
  let kept = 0
  for (let member = keys.first; member !== undefined; member = member.next) {
    const { key, valueStart, valueEnd: end } = member
    const json = own(set, key)
    if (removed?.has(key)) {
      // Up to its own value: the comma before it goes too.
      cuts.push({ start, end, insert: '' })
    } else {
      // The first that stays loses the comma of those that went before it.
      if (kept++ === 0 && start !== first) cuts.push({ start, end: member.start, insert: '' })
      if (json !== undefined) cuts.push({ start: valueStart, end, insert: bytewise(json) })
    }
    start = end
  }
  let added = ''
  const add = (key: string, json: string | undefined) => {
    if (keys.has(key) && !removed?.has(key)) return
    added += `${kept++ === 0 ? '' : ','}${JSON.stringify(key)}:${json ?? ''}`
  }
  for (const key of Object.keys(set)) add(key, set[key])
  for (const key of Object.keys(append)) if (!Object.hasOwn(set, key)) add(key, append[key])
  if (added !== '') cuts.push({ start, end: start, insert: bytewise(added) })
  return cuts
}

const none: Record<string, string> = {}
const own = (record: Record<string, string>, key: string): string | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

/** One copy; `cuts` are in order and do not overlap. */
function copy({ text }: Glance, cuts: readonly Cut[]): Uint8Array {
  let length = text.length
  for (const { start, end, insert } of cuts) length += insert.length - (end - start)
  const out = allocate(length)
  let from = 0
  let at = 0
  const write = (characters: string) => {
    writeLatin1(out, characters, at)
    at += characters.length
  }
  for (const { start, end, insert } of cuts) {
    write(text.slice(from, start))
    write(insert)
    from = end
  }
  write(text.slice(from))
  return out
}
