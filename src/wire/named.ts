import { isObject, type Json, type JsonObject, text } from '../json/json.ts'

/** A name of a file or a store anywhere in a text of JSON. */
export function mentions(said: string): boolean {
  for (let at = said.indexOf('_id'); at !== -1; at = said.indexOf('_id', at + 3))
    if (said.startsWith('file', at - 4) || said.startsWith('store', at - 5)) return true
  // A name may be written with escapes, which nobody does to letters for any other reason.
  for (let at = said.indexOf('\\u00'); at !== -1; at = said.indexOf('\\u00', at + 4)) {
    const sign = said.charCodeAt(at + 4)
    if (sign >= 0x35 && sign <= 0x37) return true
  }
  return false
}

/** Ids that a conversation hands to the model. */
export type Named = { things: Set<string>; containers: Set<string> }

/**
 * Where a conversation hands something to the model: parts of messages and tools. What answers cite, arguments of calls and
 * schemas of tools have fields of these names too, and hand over nothing.
 */
export function namedIn(body: JsonObject): Named {
  const found: Named = { things: new Set(), containers: new Set() }
  for (const name of ['messages', 'input', 'system', 'tools', 'tool_resources'])
    walk(body[name], found, 0)
  return found
}

function walk(value: Json | undefined, found: Named, depth: number): void {
  if (depth > depthMax) return
  if (Array.isArray(value)) for (const item of value) walk(item, found, depth + 1)
  else if (isObject(value))
    for (const [name, item] of Object.entries(value)) {
      if (naming.has(name))
        for (const id of [item].flat()) if (text(id)) found.things.add(text(id) ?? '')
      if (name === 'container' && text(item)) found.containers.add(text(item) ?? '')
      if (inwards.has(name)) walk(item, found, depth + 1)
    }
}
const depthMax = 32
const naming: ReadonlySet<string> = new Set(['file_id', 'file_ids', 'vector_store_ids'])
const inwards: ReadonlySet<string> = new Set(
  'content source file output container file_search code_interpreter input_image_mask image_url'.split(
    ' ',
  ),
)
