import type { JsonObject } from '../json/json.ts'
import { bytewise, latin1 } from '../json/latin1.ts'
import { parseJson } from '../json/parse.ts'
import { patch } from '../json/patch.ts'
import type { Glance } from '../json/peek.ts'
import type { Written } from './wire.ts'

/**
 * A whole answer with other top-level members. `set` is raw JSON by key. On the text it came as where that is plain, so
 * that untouched members stay as they were written; on the value otherwise.
 */
export function edit(
  glance: Glance | undefined,
  value: () => JsonObject,
  set: Readonly<Record<string, string>>,
  remove: readonly string[] = [],
): Written {
  if (!glance) return { body: JSON.stringify(changed(value(), set, remove)), encoding: 'utf8' }
  const body = remove.length === 0 ? replaced(glance, set) : undefined
  return { body: body ?? latin1(patch(glance, { set, remove })), encoding: 'latin1' }
}

/** The everyday edit: values replaced where they stand, in one pass over the text. */
function replaced(
  { text, keys }: Glance,
  set: Readonly<Record<string, string>>,
): string | undefined {
  let out = ''
  let from = 0
  let left = 0
  for (const _ in set) left++
  for (let member = keys.first; member !== undefined && left > 0; member = member.next) {
    const raw = Object.hasOwn(set, member.key) ? set[member.key] : undefined
    if (raw === undefined) continue
    out += text.slice(from, member.valueStart) + bytewise(raw)
    from = member.valueEnd
    left--
  }
  return left === 0 ? out + text.slice(from) : undefined
}

function changed(
  value: JsonObject,
  set: Readonly<Record<string, string>>,
  remove: readonly string[],
): JsonObject {
  const out: JsonObject = { ...value }
  for (const key of remove) delete out[key]
  for (const [key, raw] of Object.entries(set)) out[key] = parseJson(raw, { maxDepth: Infinity })
  return out
}

/** What was written as text of one character per byte, whatever way it was written. */
export const latin1Of = ({ body, encoding }: Written): string =>
  encoding === 'latin1' ? body : bytewise(body)
